"""Solids of quadrilaterals and curved cells that do not lock: laws with mean dilatation and incompatible modes."""

import numpy as np
import pytest
import skfem
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals
from support.laws import ANISOTROPIC, NEO_HOOKE, Hooke, NeoHooke, hooke, neo_hooke

import femnn
from femnn.exceptions import LawError, ParameterError
from femnn.integration.lame import lame_parameters

GAUSS = femnn.GaussLegendre(2)
STEEL = femnn.J2(200.0, 0.3, strength=1.0, isotropic=10.0)
RUBBER = femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite")


def distorted(n=2, size=0.25, seed=0):
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 2)
    moved = mesh.p.copy()
    inner = mesh.interior_nodes()
    moved[:, inner] += size / n * np.random.default_rng(seed).uniform(-1.0, 1.0, (2, len(inner)))
    return skfem.MeshQuad(moved, mesh.t)


#: Mesh and formulation: all that cells with tabulated shape functions have.
CASES = {
    "quadrilaterals, mean dilatation": (distorted(), "mean-dilatation"),
    "quadrilaterals, incompatible": (distorted(), "incompatible"),
    "curved quadrilaterals, mean dilatation": (bent_quadrilaterals(1), "mean-dilatation"),
    "curved hexahedra, mean dilatation": (bent_hexahedra(0), "mean-dilatation"),
}
by_case = pytest.mark.parametrize(("mesh", "formulation"), CASES.values(), ids=CASES.keys())


def solid(mesh, law, formulation, **options):
    return femnn.Solid(mesh, GAUSS, law, formulation=formulation, **options)


def displacement(body, size, seed):
    return np.random.default_rng(seed).uniform(-size, size, body.n_dofs)


def assert_tangent(body, u, step=1e-6):
    """The tangent against central differences of the internal force, and symmetric where the law has an energy."""
    _, matrix = body.residual_and_tangent(u)
    columns = [
        (body.internal_force(u + step * e) - body.internal_force(u - step * e)) / (2.0 * step) for e in np.eye(len(u))
    ]
    found, expected = matrix.toarray(), np.array(columns).T
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(found).max())
    np.testing.assert_allclose(found, found.T, atol=1e-13 * np.abs(found).max())


@by_case
def test_a_linear_law_gives_the_stiffness_of_linear_elasticity(mesh, formulation):
    body = solid(mesh, femnn.LinearElastic(3.0, 0.3), formulation)
    expected = femnn.assemble_elasticity(mesh, GAUSS, 3.0, 0.3, formulation=formulation)
    u = displacement(body, 1.0, seed=0)
    force, matrix = body.residual_and_tangent(u)
    assert abs(matrix - expected).max() < 1e-13 * abs(expected).max()
    np.testing.assert_allclose(force, expected @ u, atol=1e-12 * np.abs(force).max())


def test_sheets_have_incompatible_modes_too():
    mesh = distorted()
    body = solid(mesh, femnn.LinearElastic(3.0, 0.3), "incompatible", plane="stress")
    expected = femnn.assemble_elasticity(mesh, GAUSS, 3.0, 0.3, formulation="incompatible", plane="stress")
    _, matrix = body.residual_and_tangent(np.zeros(body.n_dofs))
    assert abs(matrix - expected).max() < 1e-12 * abs(expected).max()
    yielding = solid(mesh, STEEL, "incompatible", plane="stress")
    u = displacement(yielding, 0.02, seed=1)
    yielding.residual_and_tangent(u)
    yielding.commit()
    assert np.concatenate([state[..., 6].ravel() for state in yielding.states]).max() > 0.0
    assert_tangent(yielding, u + displacement(yielding, 0.01, seed=2))


@by_case
def test_tangents_of_plasticity_with_a_history(mesh, formulation):
    body = solid(mesh, STEEL, formulation)
    first = displacement(body, 0.02, seed=1)
    body.residual_and_tangent(first)
    body.commit()
    assert np.concatenate([state.ravel() for state in body.states]).max() > 0.0
    assert_tangent(body, first + displacement(body, 0.02, seed=2))


@by_case
def test_tangents_of_finite_strains(mesh, formulation):
    body = solid(mesh, RUBBER, formulation)
    assert_tangent(body, displacement(body, 0.05, seed=3))


@pytest.mark.parametrize("size", [0.0, 0.04])
def test_batched_laws_do_the_same_as_compiled_ones(size):
    for point, batched in ((femnn.PointLaw(hooke, ANISOTROPIC.ravel()), Hooke(ANISOTROPIC)), (RUBBER, NeoHooke())):
        bodies = [solid(distorted(), law, "mean-dilatation") for law in (point, batched)]
        u = displacement(bodies[0], size, seed=5)
        (force, matrix), (other_force, other) = (body.residual_and_tangent(u) for body in bodies)
        assert abs(matrix - other).max() < 1e-12 * abs(matrix).max()
        np.testing.assert_allclose(other_force, force, atol=1e-12 * abs(matrix).max())


@by_case
@pytest.mark.parametrize("law", [STEEL, RUBBER], ids=["steel", "rubber"])
def test_patch_test(mesh, formulation, law):
    """The forces of a constant strain are those of the standard element, whatever the law does."""
    gradient = np.random.default_rng(0).uniform(-0.05, 0.05, (mesh.dim(), mesh.dim()))
    basis = skfem.Basis(mesh, skfem.ElementQuad1() if mesh.dim() == 2 else skfem.ElementHex1())
    u = (gradient @ mesh.p).T.ravel()
    if type(mesh) in (skfem.MeshQuad1, skfem.MeshHex1):
        found = solid(mesh, law, formulation).internal_force(u)
        expected = solid(mesh, law, "standard").internal_force(u)
        assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
    else:
        # shape functions of the vertices alone hold no constant strain in a bent cell: rigid motions remain
        u = np.tile(np.arange(1.0, 1.0 + mesh.dim()), basis.N)
    for stress in solid(mesh, law, formulation).stresses(u):
        assert np.ptp(stress.reshape(-1, *stress.shape[2:]), axis=0).max() < 1e-12


@by_case
def test_rotations_turn_forces(mesh, formulation):
    if type(mesh) not in (skfem.MeshQuad1, skfem.MeshHex1):
        pytest.skip("rotations are no displacement of the vertices' shape functions on bent cells")
    body = solid(mesh, RUBBER, formulation)
    u = displacement(body, 0.05, seed=4)
    c, s = np.cos(1.0), np.sin(1.0)
    turn = np.array([[c, -s], [s, c]])
    forces = body.internal_force(u).reshape(-1, 2)
    turned = ((mesh.p.T + u.reshape(-1, 2)) @ turn.T - mesh.p.T).ravel()
    np.testing.assert_allclose(
        body.internal_force(turned).reshape(-1, 2), forces @ turn.T, atol=1e-12 * np.abs(forces).max()
    )


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible"])
def test_displacements_converge_with_the_square_of_the_size(formulation):
    """On meshes that stay distorted, nearly incompressible; u = ∇(eˣ cos y) is in equilibrium for any material."""
    errors = []
    # coarser ones are no asymptote yet, and differ with the seed
    for n in (16, 32):
        mesh = distorted(n, 0.2, seed=n)
        x, y = mesh.p
        exact = np.stack([np.exp(x) * np.cos(y), -np.exp(x) * np.sin(y)], axis=1)
        body = solid(mesh, femnn.LinearElastic(1.0, 0.4999), formulation)
        _, K = body.residual_and_tangent(np.zeros(body.n_dofs))
        fixed = (2 * mesh.boundary_nodes()[:, None] + np.arange(2)).ravel()
        u = femnn.solve(K, np.zeros(body.n_dofs), fixed, exact.ravel()[fixed], method="splu").x
        errors.append(np.linalg.norm(u - exact.ravel()) / n)
    assert np.log2(errors[0] / errors[1]) > 1.8


def membrane(n):
    """Cook's membrane, clamped at its left end, with loads on the right one."""
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 2)
    s, t = mesh.p
    return skfem.MeshQuad(np.stack([48.0 * s, 44.0 * s + t * (44.0 - 28.0 * s)]), mesh.t).with_boundaries(
        {"wall": lambda x: x[0] == 0.0, "end": lambda x: x[0] == 48.0}
    )


def rise(law, formulation, n, load, steps=1):
    """How far Cook's membrane lifts its upper corner, in plane strain."""
    mesh = membrane(n)
    loads = femnn.Loads(mesh).fix("wall").resultant("end", [0.0, load])
    path = femnn.newton(solid(mesh, law, formulation), loads.force, loads.fixed, steps=steps, progress=False)
    corner = np.argmin(np.abs(mesh.p - np.array([[48.0], [60.0]])).sum(axis=0))
    return path.u[2 * corner + 1]


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible"])
def test_cooks_membrane_of_small_strains_does_not_lock(formulation):
    law = femnn.LinearElastic(240.565, 0.4999)
    tips = [rise(law, formulation, n, 100.0) for n in (8, 16)]
    assert tips[0] > 7.5
    assert 7.85 < tips[1] < 8.05
    assert rise(law, "standard", 8, 100.0) < 2.5


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible"])
def test_cooks_membrane_of_finite_strains_does_not_lock(formulation):
    """J. C. Simo, F. Armero, IJNME 33 (1992) 1413-1449: 6.9 on fine meshes of their rubber, close to incompressible."""
    lmbda, mu = 400_889.806 - 2.0 / 3.0 * 80.1938, 80.1938
    law = femnn.PointLaw(neo_hooke, (lmbda, mu), kinematics="finite")
    assert rise(law, formulation, 16, 100.0, steps=4) == pytest.approx(6.9, rel=0.02)
    assert rise(law, "standard", 8, 100.0, steps=4) < 2.5


def test_a_strip_bends_by_newton_with_large_rotations():
    """About the elastica, where standard elements lock."""
    lmbda, mu = lame_parameters(1.2e3, 0.0)
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 10.0, 11), np.array([0.0, 0.2])).with_boundaries(
        {"wall": lambda x: x[0] == 0.0, "end": lambda x: x[0] == 10.0}
    )
    # P L² / EI = 1: the tip sinks by 0.3017 L (K. Mattiasson, IJNME 17 (1981) 145-153)
    loads = femnn.Loads(mesh).fix("wall").resultant("end", [0.0, 1.2e3 * (0.2**3 / 12.0) / 10.0**2])
    tips = {}
    for name in ("incompatible", "standard"):
        body = solid(mesh, femnn.PointLaw(neo_hooke, (lmbda, mu), kinematics="finite"), name)
        path = femnn.newton(body, loads.force, loads.fixed, steps=5, progress=False)
        tips[name] = path.u[1::2][mesh.p[0] == 10.0].mean() / 10.0
    assert tips["incompatible"] == pytest.approx(0.3017, rel=0.03)
    assert tips["standard"] < 0.1


def test_states_go_back_and_forth():
    body = solid(distorted(), STEEL, "incompatible")
    u = displacement(body, 0.02, seed=6)
    before, states = body.internal_force(u), body.states
    body.residual_and_tangent(displacement(body, 0.02, seed=7))
    body.commit()
    assert np.abs(body.internal_force(u) - before).max() > 1e-6
    body.restore(states)
    np.testing.assert_allclose(body.internal_force(u), before, atol=1e-12)


def test_what_has_no_such_formulation_is_refused():
    mesh, law = distorted(), femnn.LinearElastic(3.0, 0.3)
    with pytest.raises(ParameterError, match="made for plane strain"):
        solid(mesh, law, "mean-dilatation", plane="stress")
    with pytest.raises(ParameterError, match="one layer of hexahedra"):
        solid(mesh, RUBBER, "incompatible", plane="stress")
    with pytest.raises(ParameterError, match=r"of quadrilaterals is made for linear .* has 'incompatible'"):
        solid(mesh, law, "stabilised")
    with pytest.raises(ParameterError, match="on curved cells 'mean-dilatation'"):
        solid(bent_quadrilaterals(1), law, "incompatible")
    with pytest.raises(ParameterError, match="symmetric about the middle"):
        femnn.Solid(mesh, femnn.GaussLegendre(1), law, formulation="incompatible")
    with pytest.raises(ParameterError, match="needs a compiled law, Hooke"):
        solid(mesh, Hooke(ANISOTROPIC), "incompatible")


@by_case
def test_elements_that_are_turned_inside_out_have_no_answer(mesh, formulation):
    body = solid(mesh, RUBBER, formulation)
    flat = np.array([-2.0] + [0.0] * (mesh.dim() - 1))
    with pytest.raises(LawError, match="smaller steps"):
        body.residual_and_tangent((flat[:, None] * mesh.p).T.ravel()[: body.n_dofs])
