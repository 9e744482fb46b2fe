"""Formulations of trilinear elements: textbook answers, the patch test, rates, invariances, and what they refuse."""

import numpy as np
import pytest
import skfem
from support.properties import rotation

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.assembly.formulations import FORMULATIONS
from femnn.assembly.formulations.patches import bending_errors, distorted_patches, exact_states
from femnn.exceptions import FemnnWarning, FoldedElementError, ParameterError
from femnn.geometry import distorted_cube
from femnn.geometry.symmetry import vertex_permutations
from femnn.integration.lame import lame_parameters
from femnn.validation.bending import cook_membrane, curved_beam, straight_beam, twisted_beam

GAUSS = femnn.GaussLegendre(2)
BENDING = ["incompatible", "stabilised", "learned"]
OTHERS = [name for name in FORMULATIONS if name != "standard"]

by_formulation = pytest.mark.parametrize("formulation", OTHERS)


def stiffness(mesh, formulation, poisson=0.3, rule=GAUSS, **options):
    return femnn.assemble_elasticity(mesh, rule, 1.0, poisson, formulation=formulation, **options)


def affine(mesh, gradient):
    return (gradient @ mesh.p).T.ravel()


def single(seed, displacement=0.25):
    """One distorted element, as mesh."""
    (x,) = femnn.distorted_hexahedra(1, displacement, seed)
    return skfem.MeshHex(np.ascontiguousarray(x.T), np.arange(8)[:, None])


# --- textbook answers


def test_beams_lock_without_a_formulation():
    found = straight_beam().displacements("standard")
    assert found == pytest.approx({"in plane": 0.093, "out of plane": 0.025}, abs=1e-3)


@pytest.mark.parametrize("formulation", BENDING)
def test_regular_beam_bends(formulation):
    found = straight_beam().displacements(formulation)
    assert 0.97 <= min(found.values()) <= max(found.values()) < 1.0


@pytest.mark.parametrize("formulation", ["incompatible", "stabilised"])
def test_distorted_beams_bend_as_well_as_elements_with_the_patch_test_can(formulation):
    # MacNeal (1987): with trapezoids no such element comes near 1
    trapezoids = straight_beam("trapezoids").displacements(formulation)
    assert trapezoids == pytest.approx({"in plane": 0.047, "out of plane": 0.030}, abs=2e-3)
    parallelograms = straight_beam("parallelograms").displacements(formulation)
    assert parallelograms == pytest.approx({"in plane": 0.625, "out of plane": 0.531}, abs=3e-3)
    assert curved_beam().displacements(formulation)["in plane"] == pytest.approx(0.88, abs=2e-3)
    assert min(twisted_beam().displacements(formulation).values()) > 0.98


@pytest.mark.parametrize(("formulation", "low"), [("mean-dilatation", 7.5), ("incompatible", 7.7), ("stabilised", 7.7)])
def test_membrane_does_not_lock(formulation, low):
    assert low < cook_membrane(8).displacements(formulation)["shear"] < 8.0


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible", "stabilised", "learned"])
def test_a_block_under_pressure_does_not_lock(formulation):
    """A nearly incompressible block pressed on a quarter of its top: standard elements hardly move."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 5)] * 3)
    x, y, z = mesh.p
    fixed = np.concatenate([np.flatnonzero(x == 0) * 3, np.flatnonzero(y == 0) * 3 + 1, np.flatnonzero(z == 0) * 3 + 2])
    load = np.zeros((len(x), 3))
    load[(z == 1) & (x <= 0.5) & (y <= 0.5), 2] = -1.0 / 36
    corner = np.argmin(x + y - z)
    moves = {}
    for name, poisson in ((formulation, 0.4999), ("standard", 0.4999), (formulation, 0.49)):
        u = femnn.solve(stiffness(mesh, name, poisson), load.ravel(), fixed, method="splu").x
        moves[name, poisson] = -u[3 * corner + 2]
    assert moves["standard", 0.4999] < 0.5 * moves[formulation, 0.4999]
    assert moves[formulation, 0.4999] == pytest.approx(moves[formulation, 0.49], rel=0.06)


# --- what every formulation keeps


@by_formulation
@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.4999])
def test_patch_test(formulation, poisson):
    mesh = distorted_cube(4, 0.35, seed=3)
    gradient = np.random.default_rng(0).normal(size=(3, 3))
    u = affine(mesh, gradient)
    forces = stiffness(mesh, formulation, poisson) @ u
    lmbda, mu = lame_parameters(1.0, poisson)
    symmetric = 0.5 * (gradient + gradient.T)
    stress = lmbda * np.trace(symmetric) * np.eye(3) + 2.0 * mu * symmetric
    voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    expected = femnn.assemble_internal_force(mesh, GAUSS, voigt)
    assert np.abs(forces - expected).max() < 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible", "stabilised"])
def test_isotropic_elements_are_those_of_their_stiffness(formulation):
    """Closed formulas of isotropic materials against the kernels of any linear one."""
    mesh = distorted_cube(4, 0.35, seed=3)
    lmbda, mu = lame_parameters(1.0, 0.3)
    expected = femnn.assemble_elasticity(
        mesh, GAUSS, stiffness=femnn.assembly.isotropic_stiffness(lmbda, mu), formulation=formulation
    )
    found = femnn.assemble_elasticity(mesh, GAUSS, 1.0, 0.3, formulation=formulation)
    assert abs(found - expected).max() < 1e-13 * abs(expected).max()


@pytest.mark.parametrize("rule", [femnn.GaussLegendre((2, 3, 2)), femnn.AdaptiveGauss(1e-4)], ids=str)
def test_elements_side_by_side_need_not_have_as_many_points(rule):
    """Eight elements are worked on at a time, also where these have different points or none at all."""
    mesh = distorted_cube(3, 0.3, seed=4)
    lmbda, mu = lame_parameters(1.0, 0.3)
    material = np.where(np.arange(27) % 2, 1.0, 2.0)
    tensors = femnn.assembly.isotropic_stiffness(lmbda, mu)[:, :, None] * material
    expected = femnn.assemble_elasticity(mesh, rule, stiffness=tensors, formulation="incompatible")
    found = femnn.assemble_elasticity(mesh, rule, material, 0.3, formulation="incompatible")
    assert abs(found - expected).max() < 1e-13 * abs(expected).max()


@pytest.mark.parametrize("formulation", ["incompatible", "stabilised"])
def test_folded_elements_are_left_out(formulation):
    mesh = distorted_cube(3, 0.2, seed=4)
    connectivity = mesh.t.copy()
    connectivity[[0, 7], 5] = connectivity[[7, 0], 5]
    with pytest.warns(FemnnWarning):
        found = stiffness(skfem.MeshHex(mesh.p, connectivity), formulation, on_folded="skip")
    others = skfem.MeshHex(mesh.p, np.delete(mesh.t, 5, axis=1))
    expected = stiffness(others, formulation)
    assert abs(found - expected).max() < 1e-14 * abs(expected).max()


@by_formulation
def test_six_modes_without_energy_and_no_others(formulation):
    for seed in range(5):
        for poisson in (-0.4, 0.0, 0.3, 0.499):
            values = np.linalg.eigvalsh(stiffness(single(seed), formulation, poisson).toarray())
            assert np.abs(values[:6]).max() < 1e-13 * values[-1]
            assert values[6] > 1e-5 * values[-1]


@by_formulation
def test_matrices_are_symmetric_to_the_bit_of_rounding_and_the_same_on_any_number_of_threads(formulation):
    mesh = distorted_cube(4, 0.3, seed=1)
    matrix = stiffness(mesh, formulation)
    assert abs(matrix - matrix.T).max() < 1e-14 * abs(matrix).max()
    again = stiffness(
        mesh, formulation, out=stiffness(mesh, formulation, pattern=(p := femnn.Pattern.of(mesh))), pattern=p
    )
    np.testing.assert_array_equal(again.data, matrix.data)


@by_formulation
def test_matrices_turn_with_the_mesh(formulation):
    mesh, turn = distorted_cube(2, 0.3, seed=5), rotation(3)
    turned = skfem.MeshHex(turn @ mesh.p + 5.0, mesh.t)
    blocks = np.kron(np.eye(mesh.p.shape[1]), turn)
    expected = blocks @ stiffness(mesh, formulation).toarray() @ blocks.T
    np.testing.assert_allclose(stiffness(turned, formulation).toarray(), expected, atol=1e-12 * np.abs(expected).max())


@by_formulation
def test_numbering_of_the_vertices_of_an_element_does_not_matter(formulation):
    mesh = single(7)
    expected = stiffness(mesh, formulation).toarray()
    for order in vertex_permutations()[::7]:
        again = stiffness(skfem.MeshHex(mesh.p, mesh.t[order]), formulation).toarray()
        np.testing.assert_allclose(again, expected, atol=1e-12 * np.abs(expected).max())


@by_formulation
def test_stiffness_is_proportional_to_the_size_and_does_not_feel_the_place(formulation):
    mesh = distorted_cube(2, 0.3, seed=6)
    small = skfem.MeshHex(1e-6 * mesh.p, mesh.t)
    expected = stiffness(mesh, formulation)
    assert abs(1e6 * stiffness(small, formulation) - expected).max() < 1e-12 * abs(expected).max()
    far = skfem.MeshHex(mesh.p + 1e4, mesh.t)
    assert abs(stiffness(far, formulation) - expected).max() < 1e-9 * abs(expected).max()


@by_formulation
def test_solutions_converge_with_the_order_of_linear_elements(formulation):
    errors, (lmbda, mu) = [], lame_parameters(1.0, 0.3)

    def field(x):
        s = np.sin(np.pi * x)
        return np.stack([s[0] * s[1] * s[2], 0 * x[0], 0 * x[0]])

    def body_force(x):
        s, c = np.sin(np.pi * x), np.cos(np.pi * x)
        u, both = s[0] * s[1] * s[2], lmbda + mu
        return np.pi**2 * np.stack([3 * mu * u + both * u, -both * c[0] * c[1] * s[2], -both * c[0] * s[1] * c[2]])

    for n in (4, 8):
        mesh = distorted_cube(n, 0.2, seed=2)
        load = femnn.assemble_body_force(mesh, femnn.GaussLegendre(3), body_force)
        surface = mesh.boundary_nodes()
        fixed = (3 * surface[:, None] + np.arange(3)).ravel()
        u = femnn.solve(stiffness(mesh, formulation), load, fixed, method="splu").x
        errors.append(np.linalg.norm(u - field(mesh.p).T.ravel()) / np.sqrt(mesh.p.shape[1]))
    assert np.log2(errors[0] / errors[1]) > 1.7


@by_formulation
def test_one_material_in_several_guises(formulation):
    mesh = distorted_cube(2, 0.3, seed=8)
    expected = stiffness(mesh, formulation)
    per_element = femnn.assemble_elasticity(
        mesh, GAUSS, np.ones(mesh.nelements), np.full(mesh.nelements, 0.3), formulation=formulation
    )
    assert abs(per_element - expected).max() < 1e-14
    if formulation == "learned":
        return
    tensor = isotropic_stiffness(*lame_parameters(1.0, 0.3))
    full = femnn.assemble_elasticity(mesh, GAUSS, stiffness=tensor, formulation=formulation)
    assert abs(full - expected).max() < 1e-14


def test_any_rule_integrates_the_twists_and_one_point_formulations_use_none():
    mesh = distorted_cube(3, 0.2, seed=9)
    for formulation in ("mean-dilatation", "incompatible"):
        expected = stiffness(mesh, formulation, rule=femnn.GaussLegendre(5))
        found = stiffness(mesh, formulation, rule=femnn.AdaptiveGauss(1e-8))
        assert abs(found - expected).max() < 1e-6 * abs(expected).max()
        assert abs(stiffness(mesh, formulation) - expected).max() > 1e-5 * abs(expected).max()
    for formulation in ("stabilised", "learned"):
        np.testing.assert_array_equal(
            stiffness(mesh, formulation, rule=femnn.GaussLegendre(1)).data, stiffness(mesh, formulation).data
        )


# --- patches with known answers


def test_states_of_patches_are_in_equilibrium():
    """With triquadratic shape functions, which hold the states, the energies of the loads are those of the states."""
    patches = distorted_patches(6, seed=1, aspect=2.0)
    forces, exact, rigid = exact_states(patches)
    np.testing.assert_allclose(np.einsum("nsa,nsa->ns", forces, exact)[:, 6:], 1.0, atol=0.5)
    assert np.abs(np.einsum("nsa,nak->nsk", forces, rigid)).max() < 1e-12 * np.abs(forces).max()
    # refined patches of regular cells converge to the states: errors of nearly regular ones are small
    regular = distorted_patches(3, seed=1, displacement=1e-6, aspect=1.0, shear=0.0)
    assert bending_errors(regular, "incompatible").max() < 0.25


def test_elements_that_bend_have_smaller_bending_errors():
    patches = distorted_patches(30, seed=11)
    errors = {name: np.median(bending_errors(patches, name)) for name in FORMULATIONS}
    assert errors["incompatible"] < 0.6 * errors["standard"]
    assert errors["stabilised"] < 0.6 * errors["standard"]
    assert errors["learned"] < min(value for name, value in errors.items() if name != "learned")


# --- what is refused


@pytest.mark.parametrize("formulation", ["b-bar", "Standard", None, 3, np.zeros(3)])
def test_unknown_formulations_are_refused(formulation):
    with pytest.raises(ParameterError, match="'mean-dilatation' or 'incompatible'"):
        femnn.assemble_elasticity(skfem.MeshHex(), GAUSS, 1.0, 0.3, formulation=formulation)


@by_formulation
def test_combinations_that_make_no_sense_are_refused(formulation):
    mesh = skfem.MeshHex().refined(1)
    with pytest.raises(ParameterError, match="made for linear elements"):
        stiffness(mesh, formulation, element=skfem.ElementHex2())
    with pytest.raises(ParameterError, match="exclude each other"):
        stiffness(mesh, formulation, hourglass=femnn.HourglassCorrection())
    with pytest.raises(ParameterError, match="constant in each element"):
        femnn.assemble_elasticity(mesh, GAUSS, lambda x: 1.0 + x[0], 0.3, formulation=formulation)
    with pytest.raises(ParameterError, match=r"0\.5.*mean-dilatation"):
        stiffness(mesh, formulation, 0.5)


@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible"])
@pytest.mark.parametrize("rule", [femnn.GaussLegendre(1), femnn.GaussLegendre((1, 3, 3))], ids=repr)
def test_rules_that_do_not_see_the_twists_are_refused(formulation, rule):
    with pytest.raises(ParameterError, match="two points or more along each axis"):
        stiffness(skfem.MeshHex(), formulation, rule=rule)


def test_the_learned_element_is_for_isotropic_materials():
    with pytest.raises(ParameterError, match="isotropic"):
        femnn.assemble_elasticity(skfem.MeshHex(), GAUSS, stiffness=np.eye(6), formulation="learned")


@by_formulation
def test_folded_elements_are_refused_or_left_out(formulation):
    mesh = skfem.MeshHex().refined(1)
    p = mesh.p.copy()
    p[:, mesh.t[0, 3]], p[:, mesh.t[7, 3]] = mesh.p[:, mesh.t[7, 3]], mesh.p[:, mesh.t[0, 3]]
    folded = skfem.MeshHex(p, mesh.t)
    with pytest.raises(FoldedElementError):
        stiffness(folded, formulation)
    with pytest.warns(FemnnWarning, match="left out"):
        matrix = stiffness(folded, formulation, on_folded="skip")
    assert np.isfinite(matrix.data).all()
