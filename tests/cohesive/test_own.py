"""Laws of one's own: the same law written in four ways, and what is refused."""

import numpy as np
import pytest
import torch
from support.cohesive_properties import assert_state_is_kept, assert_tangent_is_consistent
from support.cracked_boxes import box

import femnn
from femnn.cohesive import BatchCohesive, DamageCohesive, TorchCohesive, respond, separation_paths, tangent_error
from femnn.exceptions import LawError, ParameterError, StateError

STIFFNESS, LENGTH, SCALE = 1e12, 2e-5, 2e-4


def point(separation, state, parameters, traction, tangent, new_state):
    """Damage 1 - exp(-largest effective separation / length), elastic contact."""
    k, length = parameters
    opening = max(separation[0], 0.0)
    size = np.sqrt(opening**2 + separation[1] ** 2 + separation[2] ** 2)
    asked = 1.0 - np.exp(-size / length)
    grows = asked > state[0]
    d = asked if grows else state[0]
    new_state[0] = d
    for i in range(3):
        closed = i == 0 and separation[0] < 0.0
        tangent[i, i] = k if closed else (1.0 - d) * k
        traction[i] = tangent[i, i] * separation[i]
        if grows and not closed:
            for j in range(3):
                along = opening if j == 0 else separation[j]
                tangent[i, j] -= k * separation[i] * np.exp(-size / length) / length * along / size


def batch(separation, state):
    traction, tangent, new = np.empty_like(separation), np.zeros((len(state), 3, 3)), state.copy()
    for k in range(len(state)):
        point(separation[k], state[k], (STIFFNESS, LENGTH), traction[k], tangent[k], new[k])
    return traction, tangent, new


def in_torch(separation, state):
    opening = separation[0].clamp(min=0.0)
    # a norm has no derivative at zero
    size = torch.sqrt(opening**2 + separation[1] ** 2 + separation[2] ** 2 + 1e-40)
    d = torch.maximum(state[0], 1.0 - torch.exp(-size / LENGTH))
    normal = torch.where(separation[0] < 0.0, STIFFNESS, (1.0 - d) * STIFFNESS) * separation[0]
    return torch.stack([normal, *((1.0 - d) * STIFFNESS * separation[1:])]), d[None]


def damage(separation):
    opened = separation * np.where([True, False, False] & (separation < 0.0), 0.0, 1.0)
    size = np.linalg.norm(opened, axis=1)
    intact = np.exp(-size / LENGTH)
    return 1.0 - intact, (intact / (LENGTH * np.maximum(size, 1e-300)))[:, None] * opened


COMPILED = femnn.PointCohesive(point, [STIFFNESS, LENGTH], separation_scale=SCALE, initial_state=[0.0], damage=0)
LAWS = {
    "compiled": COMPILED,
    "NumPy": BatchCohesive(batch, separation_scale=SCALE, initial_state=[0.0], damage=0),
    "torch": TorchCohesive(in_torch, separation_scale=SCALE, initial_state=[0.0], damage=0),
    "damage": DamageCohesive(damage, STIFFNESS, STIFFNESS, separation_scale=SCALE),
}
laws = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
PATHS = separation_paths(24, 12, SCALE, "all", seed=4)


@laws
def test_the_same_law_written_in_another_way_gives_the_same_numbers(law):
    expected, end = respond(COMPILED, PATHS)
    tractions, state = respond(law, PATHS)
    np.testing.assert_allclose(tractions, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(law.damage(state), COMPILED.damage(end), rtol=0, atol=1e-12)
    assert tangent_error(law, PATHS[:8, 5] + 1e-3 * SCALE) < 1e-6


@pytest.mark.parametrize("law", [COMPILED, LAWS["damage"]], ids=["compiled", "damage"])
def test_laws_of_ones_own_keep_what_every_law_keeps(law):
    assert_state_is_kept(law, PATHS)
    assert_tangent_is_consistent(law, PATHS, 1e-6)


@laws
def test_a_joint_follows_a_law_of_ones_own(law, tmp_path):
    mesh = box(3, 2)
    interface = femnn.Interface.split(mesh, "x0")
    K = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 1e12, 0.0)
    elements = femnn.InterfaceElements(interface)
    problem = femnn.CohesiveProblem(K, [(elements, law)])
    x = interface.mesh.p[0]
    fixed = np.concatenate([3 * np.flatnonzero(x == 0.0), 3 * np.flatnonzero(x == 1.0)])
    fixed = np.unique(np.concatenate([fixed, np.arange(6), [3 * np.flatnonzero(x == 1.0)[0] + 1]]))
    held = np.where(np.isin(fixed, 3 * np.flatnonzero(x == 1.0)), 1e-5, 0.0)
    sides = np.flatnonzero(np.isin(np.arange(K.shape[0]) % 3, [1, 2]))
    fixed, held = np.union1d(fixed, sides), dict(zip(fixed, held, strict=True))
    path = femnn.newton(
        problem, np.zeros(K.shape[0]), fixed, np.array([held.get(dof, 0.0) for dof in fixed]), steps=2, progress=False,
        solver=lambda K, f, fixed, values: femnn.solve(K, f, fixed, values, method="splu"),
    )  # fmt: skip
    opening = elements.separation(path.u)[:, 0]
    # two bars of length 1/2 and the joint in series
    traction = STIFFNESS * np.exp(-opening / LENGTH) * opening
    np.testing.assert_allclose(traction, 1e12 * (1e-5 - opening), rtol=1e-6)
    problem.save(tmp_path / "state.npz", path.u, 1.0)
    np.testing.assert_array_equal(problem.load(tmp_path / "state.npz").u, path.u)


def test_other_code_constants_and_parameters_are_other_laws():
    def spring(k):
        return lambda separation, state: (k * separation, np.tile(k * np.eye(3), (len(state), 1, 1)), state)

    soft, same, stiff = (BatchCohesive(spring(k), separation_scale=1.0) for k in (1.0, 1.0, 2.0))
    assert soft.name == same.name != stiff.name
    with pytest.raises(StateError, match="belongs to"):
        stiff.update(np.zeros((1, 3)), soft.initial_state(1))
    other = femnn.PointCohesive(point, [2e12, LENGTH], separation_scale=SCALE, initial_state=[0.0])
    assert other.name != COMPILED.name
    assert np.isnan(other.damage(other.initial_state(2))).all()


def test_what_is_no_law_is_refused():
    def beyond(separation, state, parameters, traction, tangent, new_state):
        traction[3] = 1.0

    def unknown(separation, state, parameters, traction, tangent, new_state):
        traction[0] = no_such_name(separation)  # noqa: F821

    for make, words in (
        (lambda: femnn.PointCohesive(beyond, separation_scale=1.0), "reaches beyond its arrays"),
        (lambda: femnn.PointCohesive(unknown, separation_scale=1.0), "Numba cannot compile"),
        (lambda: femnn.PointCohesive(3, separation_scale=1.0), "pass a function"),
        (lambda: BatchCohesive(batch, separation_scale=0.0), "separation_scale=0.0"),
        (lambda: BatchCohesive(batch, separation_scale=1.0, initial_state=[0.0], damage=1), "damage=1"),
        (lambda: DamageCohesive(None, 1.0, 1.0, separation_scale=1.0), "pass a function"),
    ):
        with pytest.raises(ParameterError, match=words):
            make()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda s, v: s, ParameterError, "traction, tangent and state"),
        (lambda s, v: (s, s, v), ParameterError, r"tangent of shape \(2, 3\) for 2 points; needed is \(2, 3, 3\)"),
        (lambda s, v: (np.nan * s, np.zeros((2, 3, 3)), v), LawError, "no finite traction at 2 of 2"),
    ],
)
def test_answers_that_are_none_are_named(answer, error, words):
    law = BatchCohesive(answer, separation_scale=1.0)
    with pytest.raises(error, match=words):
        law.update(np.zeros((2, 3)), law.initial_state(2))


def test_damage_beyond_one_is_refused():
    law = DamageCohesive(lambda s: (s[:, 0], 0.0 * s), 1.0, 1.0, separation_scale=1.0)
    with pytest.raises(LawError, match="from 0 to 2; it must be from 0 to 1"):
        law.update([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]], law.initial_state(2))
