"""Sums of problems: the parts as one, their states accepted and restored together, and curves from the path."""

import numpy as np
import pytest
import skfem
from scipy.sparse import csr_matrix
from support.laws import hooke
from support.nonlinear_problems import Spring, quiet

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.exceptions import OutsideRangeError, StateError

RULE = femnn.GaussLegendre(2)
YOUNG, POISSON = 1000.0, 0.3


def linear_law():
    lmbda, mu = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON)), YOUNG / (2 * (1 + POISSON))
    return femnn.PointLaw(hooke, isotropic_stiffness(lmbda, mu).ravel())


def bonded():
    """Two cubes on each other with a cohesive layer between them: interface and law."""
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 1, 3), np.linspace(0, 1, 3), np.linspace(0, 2, 5))
    interface = femnn.Interface.split(mesh, mesh.facets_satisfying(lambda x: abs(x[2] - 1.0) < 1e-9))
    split = interface.mesh.with_boundaries(
        {"bottom": lambda x: abs(x[2]) < 1e-9, "top": lambda x: abs(x[2] - 2.0) < 1e-9}
    )
    law = femnn.BilinearCohesive(normal_strength=2.0, shear_strength=2.0, normal_toughness=0.02, shear_toughness=0.02)
    return split, femnn.InterfaceElements(interface), law


def test_a_body_plus_a_layer_is_the_cohesive_problem_of_both():
    split, elements, law = bonded()
    K = femnn.assemble_elasticity(split, RULE, YOUNG, POISSON)
    both = femnn.CohesiveProblem(K, [(elements, law)])
    body, layer = femnn.Solid(split, RULE, linear_law()), femnn.CohesiveProblem(None, [(elements, law)])
    total = body + layer
    assert total.parts == (body, layer)
    assert total.n_dofs == body.n_dofs == layer.n_dofs
    loads = femnn.Loads(split).fix("bottom").displace("top", 2, 0.012)
    paths = [quiet(problem, loads.force, fixed=loads.fixed, values=loads.values, steps=6) for problem in (both, total)]
    np.testing.assert_allclose(paths[1].u, paths[0].u, atol=1e-9)
    np.testing.assert_allclose(layer.damage()[0], both.damage()[0], atol=1e-7)
    assert 0.0 < layer.damage()[0].max() < 1.0
    # a curve from the path is what a LoadCurve gathers, and the stress over the area at the top
    curve = paths[1].curve("top", 2)
    np.testing.assert_allclose(curve.displacement, 0.012 * curve.t, rtol=1e-12)
    np.testing.assert_allclose(curve.force, -paths[1].curve("bottom", 2).force, rtol=1e-6)
    fields = body.stresses(paths[1].u)
    assert abs(np.concatenate([part[..., 2].ravel() for part in fields]).mean() - curve.force[-1]) < 1e-6


def test_the_pattern_of_a_sum_is_kept_and_its_tangent_is_the_sum():
    split, elements, law = bonded()
    body, layer = femnn.Solid(split, RULE, linear_law()), femnn.CohesiveProblem(None, [(elements, law)])
    total = body + layer
    u = np.random.default_rng(0).uniform(-1e-3, 1e-3, body.n_dofs)
    force, tangent = total.residual_and_tangent(u)
    parts = [part.residual_and_tangent(u) for part in (body, layer)]
    np.testing.assert_allclose(force, parts[0][0] + parts[1][0], atol=1e-14)
    assert abs(tangent - parts[0][1] - parts[1][1]).max() < 1e-9
    np.testing.assert_allclose(total.internal_force(u), force, atol=1e-14)
    _, again = total.residual_and_tangent(2.0 * u)
    assert np.shares_memory(again.indices, tangent.indices)


def test_a_sum_takes_back_the_states_of_all_its_parts():
    split, elements, law = bonded()
    body, layer = femnn.Solid(split, RULE, linear_law()), femnn.CohesiveProblem(None, [(elements, law)])
    total = layer + body
    loads = femnn.Loads(split).fix("bottom").displace("top", 2, 0.012)
    virgin = total.states
    quiet(total, loads.force, fixed=loads.fixed, values=loads.values, steps=4)
    damaged = total.states
    assert layer.damage()[0].max() > 0.0
    total.restore(virgin)
    assert layer.damage()[0].max() == 0.0
    total.restore(damaged)
    with pytest.raises(StateError):
        total.restore([virgin[0], [np.zeros(3)]])
    assert layer.damage()[0].max() > 0.0  # the first part was taken back
    with pytest.raises(StateError, match="needs one entry each"):
        total.restore(virgin[:1])


class Refusing(Spring):
    """Accepts no state."""

    refuses = True

    def check_trial(self):
        if self.refuses:
            raise OutsideRangeError("no")


def test_no_part_commits_where_one_refuses():
    first, second = (kind(lambda u: u, lambda u: 1.0) for kind in (Spring, Refusing))
    total = first + second
    total.residual_and_tangent(np.array([1.0]))
    with pytest.raises(OutsideRangeError):
        total.commit()
    assert first.commits == second.commits == 0
    second.refuses = False
    total.commit()
    assert first.commits == second.commits == 1


def test_sums_of_sums_and_builtin_sum():
    springs = [Spring(lambda u: u, lambda u: 1.0) for _ in range(3)]
    assert sum(springs).parts == (springs[0] + (springs[1] + springs[2])).parts == tuple(springs)
    assert repr(sum(springs)) == "Spring + Spring + Spring"
    assert quiet(sum(springs), np.array([6.0]), steps=1).u == pytest.approx([2.0])


class Other:
    """A problem of another number of unknowns, of no class of femnn's."""

    n_dofs = 3

    def residual_and_tangent(self, u):
        return np.zeros(3), csr_matrix((3, 3))

    def commit(self):
        """Nothing."""

    rollback = commit


def test_what_does_not_add_up_is_refused():
    split, _, _ = bonded()
    body = femnn.Solid(split, RULE, linear_law())
    for parts, says in [
        ([], "pass a list of problems"),
        ([body, 7], "7 in a sum has no residual_and_tangent and no commit and no rollback"),
        ([body, body], "twice"),
        ([body, Other()], r"Solid has \d+, Other has 3; make all of them on the same mesh"),
    ]:
        with pytest.raises(femnn.ParameterError, match=says):
            femnn.ProblemSum(parts)
    one = Spring(lambda u: u, lambda u: 1.0)
    with pytest.raises(femnn.ParameterError, match="internal force of Other has shape"):
        (one + Other()).residual_and_tangent(np.zeros(1))
    with pytest.raises(femnn.ParameterError, match="no boundary 'top'; there are: none"):
        quiet(one, np.array([1.0])).curve("top", 0)
