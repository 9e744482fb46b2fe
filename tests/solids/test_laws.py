"""What laws at the points may do wrong, and what a Solid and its solver make of it: the state is never half changed."""

import re
from functools import partial
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import skfem
from support.example_files import example
from support.laws import ANISOTROPIC, J2, Hooke, hooke
from support.nonlinear_problems import quiet

import femnn
from femnn.geometry import distorted_cube

MESH = distorted_cube(3, 0.3, seed=4)
RULE = femnn.AdaptiveGauss(1e-4)
DOFS = skfem.Dofs(MESH, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs
HELD, PULLED = (DOFS[:, np.abs(MESH.p[0] - x) < 1e-12].ravel() for x in (0.0, 1.0))
STEEL = {"young": 200.0, "poisson": 0.3, "strength": 1.0, "hardening": 10.0}
LOAD = np.zeros(DOFS.size)
LOAD[PULLED] = 0.06

#: What a law breaks where the strain ε_xx of a point is above its limit: stress, tangent, state or all by an exception.
BREAKS = {"stress": 0, "tangent": 1, "state": 2, "raises": 3}


def brittle(strain, state, parameters, stress, tangent, new_state):
    """Linear, with a state that counts, and broken beyond a limit."""
    limit, broken = parameters
    for i in range(6):
        stress[i] = strain[i]
        tangent[i, i] = 1.0
    new_state[0] = state[0] + 1.0
    if strain[0] > limit:
        if broken == 0:
            stress[3] = np.nan
        elif broken == 1:
            tangent[1, 2] = np.inf
        elif broken == 2:
            new_state[0] = np.nan
        else:
            raise ValueError("broken")


class Brittle:
    """The same for many points."""

    kinematics = "small"

    def __init__(self, limit, broken):
        self.limit, self.broken = limit, broken

    def initial_state(self, n):
        return np.zeros((n, 1))

    def update(self, strain, state):
        results = [strain.copy(), np.tile(np.eye(6), (len(strain), 1, 1)), state + 1.0]
        if (strain[:, 0] > self.limit).any():
            if self.broken == 3:
                raise femnn.LawError("broken")
            results[self.broken][strain[:, 0] > self.limit] = np.nan
        return results


def brittle_solid(path, broken, limit=0.5):
    broken = BREAKS[broken]
    law = Brittle(limit, broken)
    if path == "point":
        law = femnn.PointLaw(brittle, (limit, broken), initial_state=[0.0])
    return femnn.Solid(MESH, RULE, law)


by_path = pytest.mark.parametrize("path", ["point", "batched"])
by_break = pytest.mark.parametrize("broken", BREAKS)


def bump(size):
    """A displacement that strains the elements of one vertex, and these elements."""
    u, vertex = np.zeros(DOFS.size), MESH.interior_nodes()[0]
    u[DOFS[0, vertex]] = size
    return u, np.flatnonzero((MESH.t == vertex).any(axis=0))


# --- laws that fail


@by_path
@by_break
def test_a_law_without_an_answer_is_an_error_and_leaves_no_trace(path, broken):
    solid = brittle_solid(path, broken)
    u, elements = bump(0.01)
    solid.residual_and_tangent(u)
    solid.commit()
    with pytest.raises(femnn.LawError) as caught:
        solid.residual_and_tangent(bump(10.0)[0])
    if not (path == "batched" and broken == "raises"):
        assert int(re.search(r"first of them (?:in element )?(\d+);", str(caught.value))[1]) in elements
    # a failed evaluation is nothing to commit
    solid.commit()
    for state in solid.states:
        np.testing.assert_array_equal(state, 1.0)
    if broken != "tangent":
        with pytest.raises(femnn.LawError):
            solid.internal_force(bump(10.0)[0])


@by_path
@by_break
def test_a_failed_evaluation_is_forgotten_by_the_next(path, broken):
    solid, other = brittle_solid(path, broken), brittle_solid(path, broken)
    u, _ = bump(0.01)
    with pytest.raises(femnn.LawError):
        solid.residual_and_tangent(bump(10.0)[0])
    for found, expected in zip(solid.residual_and_tangent(u), other.residual_and_tangent(u), strict=True):
        assert abs(found - expected).max() == 0.0


@by_path
def test_evaluations_are_pure(path):
    law = example("plastic_bracket").steel(**STEEL) if path == "point" else J2(**STEEL)
    solid, other = femnn.Solid(MESH, RULE, law), femnn.Solid(MESH, RULE, law)
    first, second = (np.random.default_rng(seed).uniform(-0.03, 0.03, DOFS.size) for seed in (0, 1))
    force, tangent = solid.residual_and_tangent(first)
    again = solid.residual_and_tangent(first)
    np.testing.assert_array_equal(again[0], force)
    np.testing.assert_array_equal(again[1].data, tangent.data)
    for state in solid.states:
        np.testing.assert_array_equal(state, 0.0)
        state[:] = 7.0  # a copy
    # what is tried and rolled back, or tried over, leaves no trace
    solid.residual_and_tangent(second)
    solid.rollback()
    solid.commit()
    solid.residual_and_tangent(second)
    solid.residual_and_tangent(first)
    solid.stresses(second)
    solid.commit()
    other.residual_and_tangent(first)
    other.commit()
    for state, expected in zip(solid.states, other.states, strict=True):
        np.testing.assert_array_equal(state, expected)
        assert (state[..., 6] > 0.0).any()
    np.testing.assert_array_equal(solid.internal_force(second), other.internal_force(second))


# --- laws that fail inside femnn.newton


linear = numba.njit(hooke)


def short_strides(strain, state, parameters, stress, tangent, new_state):
    """Linear; has no answer if the strain changes by more than a limit between two states of equilibrium."""
    linear(strain, state, parameters[1:], stress, tangent, new_state)
    for i in range(6):
        if abs(strain[i] - state[i]) > parameters[0]:
            stress[:] = np.nan
    new_state[:] = strain


class ShortStrides(Hooke):
    """The same for many points."""

    def initial_state(self, n):
        return np.zeros((n, 6))

    def update(self, strain, state):
        stress, tangent, _ = super().update(strain, state)
        stress[(np.abs(strain - state) > 0.02).any(axis=1)] = np.nan
        return stress, tangent, strain


@by_path
def test_newton_cuts_steps_where_the_law_fails_and_goes_on(path):
    law = ShortStrides(ANISOTROPIC)
    if path == "point":
        law = femnn.PointLaw(short_strides, np.r_[0.02, ANISOTROPIC.ravel()], initial_state=np.zeros(6))
    solid = femnn.Solid(MESH, RULE, law)
    found = quiet(solid, 0.04 * LOAD, fixed=HELD, steps=1)
    stiffness = femnn.assemble_elasticity(MESH, RULE, stiffness=ANISOTROPIC)
    expected = femnn.solve(stiffness, 0.04 * LOAD, HELD).x
    assert found.cuts > 0
    assert len(found.steps) > 2
    np.testing.assert_allclose(found.u, expected, atol=1e-7 * np.abs(expected).max())
    for state, strain in zip(solid.states, solid.strains(found.u), strict=True):
        np.testing.assert_array_equal(state, strain)


class Interrupting:
    """A linear solver that is interrupted at its ``n``-th call."""

    def __init__(self, n):
        self.left = n

    def __call__(self, *arguments):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return femnn.solve(*arguments)


@by_path
@pytest.mark.parametrize("cause", ["interrupt", "law"])
def test_what_ends_newton_leaves_the_last_committed_state(path, cause):
    law = example("plastic_bracket").steel(**STEEL) if path == "point" else J2(**STEEL)
    solid, other = femnn.Solid(MESH, RULE, law), femnn.Solid(MESH, RULE, law)
    reached = []
    options = {"fixed": HELD, "steps": 5, "callback": lambda step: reached.append(step)}
    if cause == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            quiet(solid, LOAD, solver=Interrupting(9), **options)
    else:

        def update(strain, state):
            stress, tangent, new_state = law.update(strain, state)
            stress[(np.abs(strain) > 0.02).any(axis=1)] = np.nan
            return stress, tangent, new_state

        limited = SimpleNamespace(kinematics="small", initial_state=law.initial_state, update=update)
        solid = femnn.Solid(MESH, RULE, limited)
        with pytest.raises(femnn.ConvergenceError, match="LawError: the law has no finite stress"):
            quiet(solid, LOAD, min_step=1e-2, **options)
    times = [step.t for step in reached]
    assert 0.0 < times[-1] < 1.0
    expected = quiet(other, LOAD, fixed=HELD, steps=times)
    np.testing.assert_allclose(reached[-1].u, expected.u, atol=1e-9)
    solid.commit()  # there is nothing left to commit
    for state, committed in zip(solid.states, other.states, strict=True):
        np.testing.assert_allclose(state, committed, atol=1e-9)
    assert max(state[..., 6].max() for state in solid.states) > 0.0


# --- what is no law


def uncompilable(strain, state, parameters, stress, tangent, new_state):
    stress[:] = np.no_such_function(strain)


def of_three(strain, stress, tangent):
    stress[:] = strain


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"function": uncompilable}, "Numba cannot compile the law 'uncompilable'"),
        ({"function": of_three}, "Numba cannot compile the law 'of_three'"),
        ({"function": partial(hooke, None)}, "Numba cannot compile the law 'functools.partial"),
        ({"function": "steel"}, "the law is 'steel'; give a function"),
        ({"parameters": [1.0, np.nan]}, "parameters of the law are .*; give a list of finite numbers"),
        ({"parameters": ["E"]}, "parameters of the law is no array of numbers"),
        ({"parameters": np.ones((2, 2, 2))}, "give a list of finite numbers"),
        ({"initial_state": [np.inf]}, "initial_state of the law are .*inf"),
        ({"kinematics": "large"}, "kinematics='large' is not allowed; pass 'small' or 'finite'"),
    ],
)
def test_point_laws_that_make_no_sense(arguments, says):
    with pytest.raises(femnn.ParameterError, match=says):
        femnn.PointLaw(**{"function": hooke, **arguments})


def test_a_point_law_is_printed_with_what_it_is():
    assert (
        repr(femnn.PointLaw(brittle, (0.5, 0.0), initial_state=[0.0])) == "PointLaw(brittle, small strains, state of 1)"
    )


def lawless(**changes):
    own = Hooke(ANISOTROPIC)
    whole = {"kinematics": "small", "initial_state": own.initial_state, "update": own.update, **changes}
    return SimpleNamespace(**{name: value for name, value in whole.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"update": None}, "has no update; see femnn.ConstitutiveLaw"),
        ({"update": None, "initial_state": None}, "has no initial_state and no update"),
        ({"kinematics": None}, "kinematics=None is not allowed; pass 'small' or 'finite'"),
        ({"kinematics": "plane"}, "kinematics='plane'"),
        (
            {"initial_state": lambda n: np.zeros((n - 1, 2))},
            r"initial_state\(\d+\) has shape \(\d+, 2\).*a row per point",
        ),
        ({"initial_state": lambda n: 0.0}, r"has shape \(\); it must give a row per point"),
        ({"initial_state": lambda n: np.full((n, 1), np.nan)}, "is not finite; give finite numbers"),
        ({"initial_state": lambda n: ["virgin"] * n}, "gives no array of numbers"),
    ],
)
def test_what_is_no_law_is_refused(changes, says):
    with pytest.raises(femnn.ParameterError, match=says):
        femnn.Solid(MESH, RULE, lawless(**changes))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, t, q: (s.T, t, q), r"gives arrays of shapes \(6, \d+\), .* for \d+ points; .* must have \(\d+, 6\)"),
        (lambda s, t, q: (s[1:], t, q), "stress, tangent and state must have"),
        (lambda s, t, q: (s, t[:, :5], q), r"\(\d+, 5, 6\)"),
        (lambda s, t, q: (s, t.reshape(-1, 36), q), r"\(\d+, 36\)"),
        (lambda s, t, q: (s, t, np.zeros((len(s), 2))), r"\(\d+, 2\) for"),
        (lambda s, t, q: (s, t), "gives arrays of shapes"),
        (lambda s, t, q: None, "must give arrays of stress, tangent and state"),
        (lambda s, t, q: ("none", t, q), "must give arrays of stress, tangent and state"),
    ],
)
def test_answers_of_another_shape_are_refused(change, says):
    law = lawless()
    whole = law.update
    law.update = lambda strain, state: change(*whole(strain, state))
    solid = femnn.Solid(MESH, RULE, law)
    with pytest.raises(femnn.ParameterError, match=says):
        solid.residual_and_tangent(bump(0.01)[0])


@by_path
@pytest.mark.parametrize(
    ("u", "says"),
    [
        (np.zeros(5), r"displacement has shape \(5,\), expected is \(192,\)"),
        (np.where(np.arange(192) == 7, np.nan, 0.0), "displacement is not finite at degree of freedom 7"),
        ("up", "displacement is no array of numbers"),
    ],
)
def test_displacements_that_make_no_sense(path, u, says):
    solid = brittle_solid(path, "stress")
    for method in (solid.residual_and_tangent, solid.internal_force, solid.strains, solid.stresses):
        with pytest.raises(femnn.ParameterError, match=says):
            method(u)


def test_more_points_than_the_machine_has_memory_for_are_refused_before_they_are_allocated(monkeypatch):
    solid = brittle_solid("batched", "stress")
    total = sum(state.shape[0] * state.shape[1] for state in solid.states)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(MemoryError, match=f"Brittle at {total:,} points needs {8 * total * 49:,} bytes, 1,000 are"):
        solid.residual_and_tangent(bump(0.01)[0])
