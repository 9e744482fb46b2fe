"""Solids that bend: their laws in elements with mean dilatation, incompatible modes and stabilised points."""

import numpy as np
import pytest
import skfem
from support.example_files import example
from support.laws import ANISOTROPIC, NEO_HOOKE, Hooke, NeoHooke, hooke, isotropic, neo_hooke
from support.properties import rotation

import femnn
from femnn.exceptions import LawError, ParameterError
from femnn.geometry import distorted_cube
from femnn.integration.lame import lame_parameters
from femnn.validation.bending import straight_beam

MESH = distorted_cube(2, 0.3, seed=4)
GAUSS = femnn.GaussLegendre(2)
FORMULATIONS = ["mean-dilatation", "incompatible", "stabilised"]

by_formulation = pytest.mark.parametrize("formulation", FORMULATIONS)


def solid(law, formulation, mesh=MESH, **options):
    return femnn.Solid(mesh, GAUSS, law, formulation=formulation, **options)


def rubber():
    return femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite")


def steel():
    return example("plastic_bracket").steel(young=200.0, poisson=0.3, strength=1.0, hardening=10.0)


def displacement(body, size, seed=0):
    return np.random.default_rng(seed).uniform(-size, size, body.n_dofs)


def assert_tangent(body, u, step=1e-6):
    """The tangent against central differences of the internal force."""
    _, matrix = body.residual_and_tangent(u)
    columns = [
        (body.internal_force(u + step * e) - body.internal_force(u - step * e)) / (2.0 * step) for e in np.eye(len(u))
    ]
    found, expected = matrix.toarray(), np.array(columns).T
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(found).max())
    # laws with an energy: so have the elements
    np.testing.assert_allclose(found, found.T, atol=1e-13 * np.abs(found).max())


@by_formulation
def test_a_linear_law_gives_the_stiffness_of_linear_elasticity(formulation):
    body = solid(femnn.PointLaw(hooke, ANISOTROPIC.ravel()), formulation)
    expected = femnn.assemble_elasticity(MESH, GAUSS, stiffness=ANISOTROPIC, formulation=formulation)
    u = displacement(body, 1.0)
    force, matrix = body.residual_and_tangent(u)
    assert abs(matrix - expected).max() < 1e-13 * abs(expected).max()
    np.testing.assert_allclose(force, expected @ u, atol=1e-12 * np.abs(force).max())
    np.testing.assert_array_equal(body.internal_force(u), force)


@pytest.mark.parametrize("formulation", ["mean-dilatation", "stabilised"])
@pytest.mark.parametrize("size", [0.0, 0.04])
def test_batched_laws_do_the_same_as_compiled_ones(formulation, size):
    for point, batched in (
        (femnn.PointLaw(hooke, ANISOTROPIC.ravel()), Hooke(ANISOTROPIC)),
        (rubber(), NeoHooke()),
    ):
        bodies = [solid(law, formulation) for law in (point, batched)]
        u = displacement(bodies[0], size)
        (force, matrix), (other_force, other) = (body.residual_and_tangent(u) for body in bodies)
        assert abs(matrix - other).max() < 1e-12 * abs(matrix).max()
        np.testing.assert_allclose(other_force, force, atol=1e-12 * abs(matrix).max())
        for one, two in zip(*(body.stresses(u) for body in bodies), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-12 * abs(matrix).max())


@by_formulation
def test_tangents_of_plasticity_with_a_history(formulation):
    body = solid(steel(), formulation)
    first = displacement(body, 0.02, seed=1)
    body.residual_and_tangent(first)
    body.commit()
    assert np.concatenate([state.reshape(-1, state.shape[-1]) for state in body.states]).max() > 0.0
    assert_tangent(body, first + displacement(body, 0.02, seed=2))


@by_formulation
def test_tangents_of_finite_strains(formulation):
    body = solid(rubber(), formulation)
    assert_tangent(body, displacement(body, 0.05, seed=3))


@by_formulation
def test_rotations_turn_forces_and_store_no_energy(formulation):
    body, turn = solid(rubber(), formulation), rotation(1)
    u = displacement(body, 0.05, seed=4)
    forces = body.internal_force(u).reshape(-1, 3)
    places = MESH.p.T + u.reshape(-1, 3)
    turned = (places @ turn.T - MESH.p.T).ravel()
    found = body.internal_force(turned).reshape(-1, 3)
    np.testing.assert_allclose(found, forces @ turn.T, atol=1e-12 * np.abs(forces).max())
    still = (MESH.p.T @ turn.T - MESH.p.T).ravel()
    assert np.abs(body.internal_force(still)).max() < 1e-13


@by_formulation
@pytest.mark.parametrize("law", [steel, rubber])
def test_patch_test(formulation, law):
    """The forces of a constant strain are those of the standard element, whatever the law does."""
    mesh = distorted_cube(3, 0.35, seed=5)
    u = (np.random.default_rng(0).uniform(-0.05, 0.05, (3, 3)) @ mesh.p).T.ravel()
    found = solid(law(), formulation, mesh).internal_force(u)
    expected = solid(law(), "standard", mesh).internal_force(u)
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
    for stress in solid(law(), formulation, mesh).stresses(u):
        assert np.ptp(stress.reshape(-1, *stress.shape[2:]), axis=0).max() < 1e-12


@by_formulation
def test_small_displacements_of_finite_strains_are_those_of_small_ones(formulation):
    body = solid(femnn.PointLaw(hooke, isotropic(*NEO_HOOKE).ravel(), kinematics="finite"), "standard")
    assert body.n_dofs == 81
    _, matrix = solid(rubber(), formulation).residual_and_tangent(np.zeros(81))
    lmbda, mu = NEO_HOOKE
    young, poisson = mu * (3 * lmbda + 2 * mu) / (lmbda + mu), 0.5 * lmbda / (lmbda + mu)
    expected = femnn.assemble_elasticity(MESH, GAUSS, young, poisson, formulation=formulation)
    # incompatible modes of finite strains keep the dilatation of ξηζ
    tolerance = 5e-2 if formulation == "incompatible" else 1e-12
    assert abs(matrix - expected).max() < tolerance * abs(expected).max()


@pytest.mark.parametrize("formulation", ["incompatible", "stabilised"])
def test_a_cantilever_bends_by_newton_with_large_rotations(formulation):
    """A strip bent far: about the elastica, where standard elements lock at an eighth of it."""
    lmbda, mu = lame_parameters(1.2e3, 0.0)
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 10.0, 11), np.array([0.0, 1.0]), np.array([0.0, 0.2]))
    held = np.flatnonzero(mesh.p[0] == 0.0)
    end = np.flatnonzero(mesh.p[0] == 10.0)
    load = np.zeros((mesh.p.shape[1], 3))
    # P L² / EI = 1: the tip sinks by 0.3017 L (K. Mattiasson, IJNME 17 (1981) 145-153)
    load[end, 2] = 1.2e3 * (0.2**3 / 12.0) / 10.0**2 / len(end)
    tips = {}
    for name in (formulation, "standard"):
        body = solid(femnn.PointLaw(neo_hooke, (lmbda, mu), kinematics="finite"), name, mesh)
        path = femnn.newton(body, load.ravel(), (3 * held[:, None] + np.arange(3)).ravel(), steps=5, progress=False)
        tips[name] = path.u[3 * end + 2].mean() / 10.0
    assert tips[formulation] == pytest.approx(0.3017, rel=0.03)
    assert tips["standard"] < 0.05


def test_states_go_back_and_forth():
    body = solid(steel(), "incompatible")
    u = displacement(body, 0.02, seed=6)
    before = body.internal_force(u)
    states = body.states
    body.residual_and_tangent(displacement(body, 0.02, seed=7))
    body.commit()
    assert np.abs(body.internal_force(u) - before).max() > 1e-6
    body.restore(states)
    np.testing.assert_allclose(body.internal_force(u), before, atol=1e-12)


def test_stabilised_elements_have_one_point():
    body = solid(steel(), "stabilised")
    assert [state.shape[:2] for state in body.states] == [(MESH.nelements, 1)]
    assert [strain.shape for strain in body.strains(np.zeros(body.n_dofs))] == [(MESH.nelements, 1, 6)]


def test_a_small_strain_beam_bends_as_the_linear_one():
    beam = straight_beam()
    law = femnn.PointLaw(hooke, femnn.assembly.isotropic_stiffness(*lame_parameters(1e7, 0.3)).ravel())
    body = solid(law, "incompatible", beam.mesh)
    u = femnn.newton(body, beam.loads["in plane"], beam.fixed, steps=1, progress=False).u
    found = u[beam.measured["in plane"]].mean() / beam.references["in plane"]
    assert found == pytest.approx(beam.displacements("incompatible")["in plane"], rel=1e-9)


# --- what is refused


def test_laws_and_elements_that_a_formulation_does_not_allow_are_refused():
    with pytest.raises(ParameterError, match="needs a compiled law, Hooke"):
        solid(Hooke(ANISOTROPIC), "incompatible")
    with pytest.raises(ParameterError, match="not symmetric positive definite"):
        solid(Hooke(np.zeros((6, 6))), "stabilised")
    with pytest.raises(ParameterError, match="isotropic"):
        solid(Hooke(ANISOTROPIC), "learned")
    with pytest.raises(ParameterError, match="made for linear elements"):
        solid(Hooke(ANISOTROPIC), "mean-dilatation", element=skfem.ElementHex2())
    with pytest.raises(ParameterError, match="two points or more"):
        femnn.Solid(MESH, femnn.GaussLegendre(1), Hooke(ANISOTROPIC), formulation="mean-dilatation")
    with pytest.raises(ParameterError, match="not a rule"):
        femnn.Solid(MESH, None, Hooke(ANISOTROPIC), formulation="stabilised")


@by_formulation
def test_elements_that_are_turned_inside_out_have_no_answer(formulation):
    body = solid(rubber(), formulation)
    inside_out = (np.diag([-2.0, 0.0, 0.0]) @ MESH.p).T.ravel()
    with pytest.raises(LawError, match="smaller steps"):
        body.residual_and_tangent(inside_out)
