"""Solids with laws at their points: linear ones against the fused forms, plasticity and hyperelasticity."""

import numba
import numpy as np
import pytest
import skfem
from skfem.helpers import grad
from support.example_files import example
from support.laws import (
    ANISOTROPIC,
    J2,
    NEO_HOOKE,
    Hooke,
    NeoHooke,
    TorchNeoHooke,
    hooke,
    isotropic,
    neo_hooke,
    recorder,
)
from support.nonlinear_problems import order, quiet
from support.properties import rotation
from support.rules import OwnPoints

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.exceptions import StateError
from femnn.geometry import distorted_cube

MESH = distorted_cube(3, 0.3, seed=4)
ADAPTIVE = femnn.AdaptiveGauss(1e-4)
RULES = [femnn.GaussLegendre(2), femnn.GaussLegendre((1, 2, 3)), ADAPTIVE, OwnPoints()]
ELEMENTS = [skfem.ElementHex1(), skfem.ElementHex2()]
STEEL = {"young": 200.0, "poisson": 0.3, "strength": 1.0, "hardening": 10.0}

by_rule = pytest.mark.parametrize("rule", RULES, ids=repr)
by_element = pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: type(element).__name__)


@pytest.fixture(scope="module")
def laws():
    """Name: a law as a point function, and others that must do the same."""
    return {
        "linear": [femnn.PointLaw(hooke, ANISOTROPIC.ravel()), Hooke(ANISOTROPIC)],
        "j2": [example("plastic_bracket").steel(**STEEL), J2(**STEEL)],
        "neo-hooke": [femnn.PointLaw(neo_hooke, NEO_HOOKE, kinematics="finite"), NeoHooke(), TorchNeoHooke()],
    }


def assert_close(found, expected, tolerance=1e-12):
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= tolerance * abs(expected).max()


def displacement(solid, size, seed=0):
    return np.random.default_rng(seed).uniform(-size, size, solid.n_dofs)


def affine(mesh, gradient, shift=(0.0, 0.0, 0.0)):
    return (gradient @ mesh.p + np.reshape(shift, (3, 1))).T.ravel()


def loaded(mesh, rule, law, size, **options):
    """A solid that has been through one state already, so that laws with memory remember something."""
    solid = femnn.Solid(mesh, rule, law, **options)
    solid.residual_and_tangent(displacement(solid, size, seed=1))
    solid.commit()
    return solid


# --- linear laws


@by_rule
@by_element
@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
def test_a_linear_law_gives_the_stiffness(laws, path, element, rule):
    solid = femnn.Solid(MESH, rule, laws["linear"][path], element=element)
    expected = femnn.assemble_elasticity(MESH, rule, stiffness=ANISOTROPIC, element=element)
    u = displacement(solid, 1.0)
    force, tangent = solid.residual_and_tangent(u)
    assert_close(tangent, expected)
    assert_close(force, expected @ u)
    np.testing.assert_array_equal(solid.internal_force(u), force)
    assert solid.n_dofs == len(u) == expected.shape[0]


def test_a_linear_law_of_the_gradient_gives_the_stiffness():
    law = femnn.PointLaw(hooke, isotropic(2.0, 1.0).ravel(), kinematics="finite")
    solid = femnn.Solid(MESH, ADAPTIVE, law)
    expected = femnn.assemble_elasticity(MESH, ADAPTIVE, stiffness=isotropic_stiffness(2.0, 1.0))
    assert_close(solid.residual_and_tangent(displacement(solid, 1.0))[1], expected)


@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
def test_tangents_need_not_be_symmetric(path):
    stiffness = np.random.default_rng(0).normal(size=(6, 6))
    law = [femnn.PointLaw(hooke, stiffness.ravel()), Hooke(stiffness)][path]
    solid = femnn.Solid(MESH, ADAPTIVE, law)
    u = displacement(solid, 1.0)
    force, tangent = solid.residual_and_tangent(u)
    assert_close(tangent @ u, force)
    assert abs(tangent - tangent.T).max() > 0.1 * abs(tangent).max()


@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
def test_skipped_elements_have_no_points(laws, path):
    points = MESH.p.copy()
    points[:, MESH.t[0, 13]] = points[:, MESH.t[7, 13]]
    bad = skfem.MeshHex(points, MESH.t)
    with pytest.raises(femnn.FoldedElementError):
        femnn.Solid(bad, ADAPTIVE, laws["linear"][path])
    with pytest.warns(femnn.FemnnWarning, match="left out"):
        solid = femnn.Solid(bad, ADAPTIVE, laws["linear"][path], on_folded="skip")
    with pytest.warns(femnn.FemnnWarning, match="left out"):
        expected = femnn.assemble_elasticity(bad, ADAPTIVE, stiffness=ANISOTROPIC, on_folded="skip")
    u = displacement(solid, 1.0)
    force, tangent = solid.residual_and_tangent(u)
    assert_close(tangent, expected)
    assert_close(force, expected @ u)
    held = np.concatenate([group.cells for group in solid.groups])
    assert 0 < len(held) < MESH.nelements
    assert 13 not in held


def test_a_pattern_is_shared(laws):
    pattern = femnn.Pattern.of(MESH)
    solids = [femnn.Solid(MESH, ADAPTIVE, law, pattern=pattern) for law in laws["linear"]]
    tangents = [solid.residual_and_tangent(displacement(solid, 1.0))[1] for solid in solids]
    assert np.shares_memory(tangents[0].indices, tangents[1].indices)
    with pytest.raises(femnn.MeshError, match="it has 27 elements, this one 8"):
        femnn.Solid(distorted_cube(2, 0.1, seed=0), ADAPTIVE, laws["linear"][0], pattern=pattern)


# --- nonlinear laws

# law, size of displacements that leave its linear range but fold no element
NONLINEAR = [("j2", 0.03), ("neo-hooke", 0.03)]

by_law = pytest.mark.parametrize(("name", "size"), NONLINEAR, ids=[name for name, _ in NONLINEAR])


@by_law
@by_element
@pytest.mark.parametrize("rule", [ADAPTIVE, OwnPoints()], ids=repr)
def test_tangents_are_the_derivatives_of_the_force(laws, name, size, element, rule):
    solid = loaded(MESH, rule, laws[name][0], size, element=element)
    u, direction = displacement(solid, size), displacement(solid, 1.0, seed=2)
    h = 1e-5 * size
    ahead, behind = (solid.internal_force(u + side * h * direction) for side in (1.0, -1.0))
    tangent = solid.residual_and_tangent(u)[1]
    assert_close(tangent @ direction, (ahead - behind) / (2.0 * h), 1e-6)
    if name == "j2":
        before = np.concatenate([state[..., 6].ravel() for state in solid.states])
        solid.commit()
        assert (np.concatenate([state[..., 6].ravel() for state in solid.states]) > before).mean() > 0.9


@by_law
@by_element
def test_all_ways_to_write_a_law_agree(laws, name, size, element):
    expected = loaded(MESH, ADAPTIVE, laws[name][0], size, element=element)
    u = displacement(expected, size)
    force, tangent = expected.residual_and_tangent(u)
    stresses = expected.stresses(u)
    expected.commit()
    for law in laws[name][1:]:
        solid = loaded(MESH, ADAPTIVE, law, size, element=element)
        found = solid.residual_and_tangent(u)
        assert_close(found[0], force)
        assert_close(found[1], tangent)
        for own, other in zip(solid.stresses(u), stresses, strict=True):
            assert_close(own, other)
        solid.commit()
        for own, other in zip(solid.states, expected.states, strict=True):
            np.testing.assert_allclose(own, other, atol=1e-13)


def test_hyperelasticity_does_not_see_rigid_motions(laws):
    solid = femnn.Solid(MESH, ADAPTIVE, laws["neo-hooke"][0])
    turn = rotation(3)
    assert np.abs(solid.internal_force(affine(MESH, turn - np.eye(3), (3.0, -1.0, 2.0)))).max() < 1e-13
    u = displacement(solid, 0.03)
    turned = (turn @ (MESH.p + u.reshape(-1, 3).T) - MESH.p).T.ravel()
    expected = solid.internal_force(u).reshape(-1, 3) @ turn.T
    assert_close(solid.internal_force(turned).reshape(-1, 3), expected)


@pytest.mark.parametrize("rule", RULES[::2], ids=repr)
@by_law
def test_patch(laws, name, size, rule):
    """Homogeneous deformations are in equilibrium, whatever the law."""
    gradient = size * np.array([[0.4, 0.3, 0.0], [0.1, -0.2, 0.2], [0.0, 0.1, 0.3]])
    solid = femnn.Solid(MESH, rule, laws[name][0])
    expected = affine(MESH, gradient)
    boundary = skfem.Dofs(MESH, skfem.ElementVector(ELEMENTS[0])).nodal_dofs[:, MESH.boundary_nodes()].ravel()
    found = quiet(solid, np.zeros(len(expected)), fixed=boundary, values=expected[boundary], steps=2)
    np.testing.assert_allclose(found.u, expected, atol=1e-9)
    stresses = np.concatenate([own.reshape(-1, *own.shape[2:]) for own in solid.stresses(found.u)])
    np.testing.assert_allclose(stresses, np.broadcast_to(stresses[0], stresses.shape), atol=1e-7)


@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
def test_uniaxial_plasticity_follows_the_closed_form(laws, path):
    """Pulled, unloaded and pressed beyond yield again: radial, so that the radial return is exact in any step."""
    young, strength, hardening = (STEEL[name] for name in ("young", "strength", "hardening"))
    solid = femnn.Solid(MESH, ADAPTIVE, laws["j2"][path])
    dofs = skfem.Dofs(MESH, skfem.ElementVector(ELEMENTS[0])).nodal_dofs
    held = [dofs[axis, np.abs(MESH.p[axis]) < 1e-12] for axis in range(3)]
    pulled = dofs[0, np.abs(MESH.p[0] - 1.0) < 1e-12]
    turning = np.array([0.0, 5.0, -4.0]) * strength / young
    times = np.linspace(0.25, 2.0, 8)
    forces, strains = [0.0], [0.0]

    def keep(step):
        strains.append(np.interp(step.t, [0.0, 1.0, 2.0], turning))
        forces.append(step.force[pulled].sum())

    def pull(t):
        return np.r_[np.zeros(sum(map(len, held))), np.full(len(pulled), np.interp(t, [0.0, 1.0, 2.0], turning))]

    quiet(
        solid,
        np.zeros(solid.n_dofs),
        fixed=np.concatenate([*held, pulled]),
        values=pull,
        steps=times,
        callback=keep,
        rtol=1e-10,
    )
    stress, plastic, hardened = 0.0, 0.0, 0.0
    for strain, force in zip(strains, forces, strict=True):
        stress = young * (strain - plastic)
        excess = abs(stress) - strength - hardening * hardened
        if excess > 0.0:
            plastic += np.sign(stress) * excess / (young + hardening)
            hardened += excess / (young + hardening)
            stress = young * (strain - plastic)
        assert force == pytest.approx(stress, abs=1e-7)
    assert len(forces) == 9
    assert max(forces) > 1.1 * strength
    assert min(forces) < -1.2 * strength
    for state in solid.states:
        np.testing.assert_allclose(state[..., 6], hardened, rtol=1e-6)
        np.testing.assert_allclose(state[..., 0], plastic, atol=1e-8)


def test_newton_converges_quadratically_on_adaptive_points(laws):
    solid = femnn.Solid(MESH, ADAPTIVE, laws["neo-hooke"][0])
    dofs = skfem.Dofs(MESH, skfem.ElementVector(ELEMENTS[0])).nodal_dofs
    load = np.zeros(solid.n_dofs)
    load[dofs[2, np.abs(MESH.p[0] - 1.0) < 1e-12]] = 0.02
    found = quiet(solid, load, fixed=dofs[:, np.abs(MESH.p[0]) < 1e-12], steps=1, rtol=1e-12)
    assert len(solid.groups) > 1
    assert found.cuts == 0
    assert np.abs(found.u).max() > 0.2  # far from linear
    assert found.iterations <= 10
    assert order(found.steps[0].residuals) > 1.7


# --- points and threads


@by_element
def test_strains_are_those_of_scikit_fem_in_the_order_of_the_groups(laws, element):
    small, finite = (femnn.Solid(MESH, ADAPTIVE, laws[name][0], element=element) for name in ("linear", "neo-hooke"))
    u = displacement(small, 1.0)
    bases = femnn.bases(MESH, skfem.ElementVector(element), ADAPTIVE)
    for basis, group, strains, gradients in zip(bases, small.groups, small.strains(u), finite.strains(u), strict=True):
        np.testing.assert_array_equal(basis.tind, group.cells)
        h = grad(basis.interpolate(u))
        assert_close(gradients, np.einsum("ijeq->eqij", h))
        voigt = np.stack([h[0, 0], h[1, 1], h[2, 2], h[1, 2] + h[2, 1], h[0, 2] + h[2, 0], h[0, 1] + h[1, 0]], axis=-1)
        assert_close(strains, voigt)


def test_states_belong_to_their_points():
    solid = femnn.Solid(MESH, ADAPTIVE, femnn.PointLaw(recorder, initial_state=np.zeros(7)))
    first, second = displacement(solid, 1.0), displacement(solid, 1.0, seed=1)
    for u in (first, second):
        solid.residual_and_tangent(u)
        solid.commit()
    assert len(solid.groups) > 1
    for group, state, strain in zip(solid.groups, solid.states, solid.strains(second), strict=True):
        assert state.shape == (len(group.cells), group.W.shape[-1], 7)
        np.testing.assert_array_equal(state[..., :6], strain)
        np.testing.assert_array_equal(state[..., 6], 2.0)


@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
def test_a_restored_solid_goes_on_as_the_first(laws, path):
    law = laws["j2"][path]
    first, second = loaded(MESH, ADAPTIVE, law, 0.05), femnn.Solid(MESH, ADAPTIVE, law)
    u = displacement(first, 0.05, seed=2)
    assert (second.internal_force(u) != first.internal_force(u)).any()
    second.restore(first.states)
    np.testing.assert_array_equal(second.internal_force(u), first.internal_force(u))
    others = femnn.Solid(MESH, femnn.GaussLegendre(2), law)
    with pytest.raises(StateError, match="the states have the shapes"):
        others.restore(first.states)
    assert not others.states[0].any()


@pytest.mark.parametrize("path", [0, 1], ids=["point", "batched"])
@pytest.mark.parametrize("name", ["j2", "neo-hooke"])
def test_same_bits_for_any_number_of_threads(laws, name, path):
    mesh, results, before = distorted_cube(12, 0.3, seed=5), [], numba.get_num_threads()
    try:
        for threads in (1, before, before):
            numba.set_num_threads(threads)
            solid = loaded(mesh, femnn.GaussLegendre(2), laws[name][path], 0.002)
            force, tangent = solid.residual_and_tangent(displacement(solid, 0.002))
            results.append((force, tangent.data, solid.states[0]))
    finally:
        numba.set_num_threads(before)
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(found, expected)
