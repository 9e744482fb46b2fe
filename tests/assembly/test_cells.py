"""Fused assembly of quadrilaterals, curved hexahedra and serendipity elements against scikit-fem's forms."""

import numba
import numpy as np
import pytest
import skfem
from scipy.sparse import coo_array
from skfem.helpers import dot, grad
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals
from support.rules import OwnPoints

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.assembly.plane import plane_lame, plane_stiffness
from femnn.exceptions import FoldedElementError, MeshError, ParameterError
from femnn.fields import strain_energy

PLANE, SPACE = bent_quadrilaterals(), bent_hexahedra()
STRAIGHT = skfem.MeshHex().refined(1)
STRAIGHT_IN_27 = skfem.MeshHex2.from_mesh(STRAIGHT)
CASES = [
    *((PLANE, element) for element in (skfem.ElementQuad1(), skfem.ElementQuadS2(), skfem.ElementQuad2())),
    (skfem.MeshQuad().refined(2).translated([0.1, 0.2]), skfem.ElementQuad1()),
    *((SPACE, element) for element in (skfem.ElementHex1(), skfem.ElementHexS2(), skfem.ElementHex2())),
    (STRAIGHT, skfem.ElementHexS2()),
]
by_case = pytest.mark.parametrize(("mesh", "element"), CASES, ids=lambda value: type(value).__name__)
RULE = femnn.GaussLegendre(3)


def same(found, expected):
    assert abs(found - expected).max() < 1e-13 * abs(expected).max()


def vectors(mesh, element):
    return femnn.bases(mesh, skfem.ElementVector(element), RULE)


@by_case
def test_matrices_equal_those_of_scikit_fem(mesh, element):
    dim = mesh.dim()
    found = femnn.assemble_elasticity(mesh, RULE, 3.0, 0.2, element=element)
    same(found, skfem.asm(linear_elasticity(*lame_parameters(3.0, 0.2)), vectors(mesh, element)))
    found.check_format()
    assert found.has_sorted_indices
    tensor = np.array([[2.0, 0.3, 0.1], [0.5, 1.0, 0.2], [0.0, 0.4, 3.0]])[:dim, :dim]
    form = skfem.BilinearForm(lambda u, v, w: np.einsum("i...,ij,j...", grad(v), tensor, grad(u)))
    found = femnn.assemble_diffusion(mesh, RULE, tensor, element=element)
    same(found, skfem.asm(form, femnn.bases(mesh, element, RULE)))
    mass = skfem.BilinearForm(lambda u, v, w: (1.0 + w.x[0]) * dot(u, v))
    found = femnn.assemble_mass(mesh, RULE, lambda x: 1.0 + x[0], components=dim, element=element)
    same(found, skfem.asm(mass, vectors(mesh, element)))


@by_case
def test_vectors_equal_those_of_scikit_fem(mesh, element):
    dim, b = mesh.dim(), np.array([1.0, -2.0, 0.5])[: mesh.dim()]
    found = femnn.assemble_body_force(mesh, RULE, b, element=element)
    same(found, skfem.asm(skfem.LinearForm(lambda v, w: np.einsum("i,i...", b, v)), vectors(mesh, element)))
    stress = np.array([[2.0, 0.3, 0.1], [0.5, 1.0, 0.2], [0.0, 0.4, 3.0]])
    form = skfem.LinearForm(lambda v, w: np.einsum("ij,ij...", stress[:dim, :dim], grad(v)))
    found = femnn.assemble_internal_force(mesh, RULE, stress, element=element)
    same(found, skfem.asm(form, vectors(mesh, element)))


@pytest.mark.parametrize("plane", ["strain", "stress"])
def test_plane_elasticity_is_that_of_the_plane(plane):
    element = skfem.ElementQuad2()
    lame = lame_parameters(3.0, 0.2)
    expected = skfem.asm(linear_elasticity(*plane_lame(*lame, plane)), vectors(PLANE, element))
    options = {"plane": plane, "element": element}
    same(femnn.assemble_elasticity(PLANE, RULE, 3.0, 0.2, **options), expected)
    # a ratio that varies, though by nothing, is integrated at the points
    same(femnn.assemble_elasticity(PLANE, RULE, 3.0, lambda x: 0.2 + 0.0 * x[0], **options), expected)
    tensor = isotropic_stiffness(*lame)
    same(femnn.assemble_elasticity(PLANE, RULE, stiffness=tensor, **options), expected)
    inner = plane_stiffness(tensor[None], plane).reshape(6, 6)[np.ix_([0, 1, 5], [0, 1, 5])]
    same(femnn.assemble_elasticity(PLANE, RULE, stiffness=inner, **options), expected)
    with pytest.raises(ParameterError, match="quadrilaterals"):
        femnn.assemble_elasticity(SPACE, RULE, 3.0, 0.2, plane="stress")


@by_case
def test_same_bits_for_any_number_of_threads(mesh, element):
    finer = mesh.refined(1) if mesh is not SPACE else bent_hexahedra(2)
    results, before = [], numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            results.append(femnn.assemble_elasticity(finer, femnn.AdaptiveGauss(1e-2), 1.0, 0.3, element=element))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0].data, results[1].data)


def test_adaptive_rules_give_the_sum_of_their_groups():
    rule, element = femnn.AdaptiveGauss(1e-4), skfem.ElementQuad2()
    basis = femnn.bases(PLANE, skfem.ElementVector(element), rule)
    assert len(basis) > 1
    found = femnn.assemble_elasticity(PLANE, rule, 3.0, 0.2, element=element)
    same(found, skfem.asm(linear_elasticity(*lame_parameters(3.0, 0.2)), basis))


@pytest.mark.parametrize("formulation", ["standard", "mean-dilatation"])
def test_plane_cells_of_unlike_points_and_materials_side_by_side(formulation):
    """More cells than are integrated at once, in an order that mixes their groups, each with its own material."""
    mesh, draws = skfem.MeshQuad().refined(4), np.random.default_rng(3)
    moved = mesh.p + 0.018 * draws.uniform(-1.0, 1.0, mesh.p.shape)
    mesh = skfem.MeshQuad(moved, mesh.t[:, draws.permutation(mesh.nelements)])
    young, poisson = draws.uniform(1.0, 5.0, mesh.nelements), draws.uniform(0.0, 0.45, mesh.nelements)
    rule = femnn.AdaptiveGauss(1e-5)
    assert len(femnn.bases(mesh, skfem.ElementQuad1(), rule)) > 2
    found = femnn.assemble_elasticity(mesh, rule, young, poisson, formulation=formulation)
    expected = 0.0
    for basis in femnn.bases(mesh, skfem.ElementVector(skfem.ElementQuad1()), rule):
        lmbda, mu = (part[basis.tind][:, None] for part in lame_parameters(young, poisson))
        form = linear_elasticity(lmbda, mu)
        if formulation == "mean-dilatation":
            form = linear_elasticity(-2.0 / 3.0 * mu, mu)
            expected = expected + _of_mean_dilatation(basis, lmbda + 2.0 / 3.0 * mu)
        expected = expected + form.assemble(basis)
    same(found, expected)


def _of_mean_dilatation(basis, bulk):
    """κ |Ω| θ̄ θ̄ with θ̄ the mean of the dilatation of each cell, from the basis functions of scikit-fem."""
    traces = np.stack([np.einsum("iieq->eq", function[0].grad) for function in basis.basis])
    volumes = basis.dx.sum(axis=1)
    means = (traces * basis.dx).sum(axis=2) / volumes
    matrices = np.einsum("ae,be,e->abe", means, means, bulk[:, 0] * volumes)
    rows, columns = np.broadcast_arrays(basis.element_dofs[:, None], basis.element_dofs[None])
    return coo_array((matrices.ravel(), (rows.ravel(), columns.ravel())), shape=(basis.N, basis.N)).tocsr()


@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHexS2(), skfem.ElementHex2()])
def test_hexahedra_of_many_points(element):
    """More than the 32 points whose products are taken at once."""
    rule = femnn.GaussLegendre(4)
    found = femnn.assemble_elasticity(SPACE, rule, 3.0, 0.2, element=element)
    basis = femnn.bases(SPACE, skfem.ElementVector(element), rule)
    same(found, skfem.asm(linear_elasticity(*lame_parameters(3.0, 0.2)), basis))


def test_a_pattern_is_used_again_and_told_apart():
    pattern = femnn.Pattern.of(PLANE, skfem.ElementQuad2())
    assert "16 elements of 9 nodes, 81 nodes" in repr(pattern)
    options = {"element": skfem.ElementQuad2(), "pattern": pattern}
    first = femnn.assemble_elasticity(PLANE, RULE, 3.0, 0.2, **options)
    expected = first.toarray()
    again = femnn.assemble_elasticity(PLANE, RULE, 3.0, 0.2, **options, out=first)
    np.testing.assert_array_equal(again.toarray(), expected)
    with pytest.raises(MeshError, match="9 nodes per element, ElementQuadS2 has 8"):
        femnn.assemble_elasticity(PLANE, RULE, 3.0, 0.2, element=skfem.ElementQuadS2(), pattern=pattern)
    with pytest.raises(MeshError, match="elements 0 and 1 share 3 vertices, quadrilaterals share an edge of 2"):
        femnn.Pattern.of(
            skfem.MeshQuad(np.array([[0, 1, 1, 0, 0.5], [0, 0, 1, 1, 2.0]]), np.array([[0, 0], [1, 1], [2, 2], [3, 4]]))
        )


def test_mean_dilatation_does_not_lock():
    """A clamped square under a body force, nearly incompressible: linear elements lock, mean dilatation does not."""
    mesh = skfem.MeshQuad().refined(3)
    answers = {}
    for name, element in (("standard", None), ("mean-dilatation", None), ("quadratic", skfem.ElementQuad2())):
        formulation = "standard" if name == "quadratic" else name
        options = {"element": element}
        K = femnn.assemble_elasticity(mesh, RULE, 1.0, 0.4999, formulation=formulation, **options)
        f = femnn.assemble_body_force(mesh, RULE, [1.0, 0.0], **options)
        basis = skfem.CellBasis(mesh, skfem.ElementVector(element or skfem.ElementQuad1()))
        fixed = basis.get_dofs(lambda x: x[1] == 0.0)
        u = skfem.solve(*skfem.condense(K, f, D=fixed))
        answers[name] = float(f @ u)
    assert answers["standard"] < 0.85 * answers["quadratic"]
    assert answers["mean-dilatation"] == pytest.approx(answers["quadratic"], rel=0.05)


def test_mean_dilatation_keeps_the_energy_of_constant_strains():
    """Constant dilatations are their means; of others it leaves out κ ∫ (θ - mean)² dx."""
    K = femnn.assemble_elasticity(STRAIGHT_IN_27, RULE, 3.0, 0.4999, formulation="mean-dilatation")
    standard = femnn.assemble_elasticity(STRAIGHT_IN_27, RULE, 3.0, 0.4999)
    x, y, z = STRAIGHT.p
    constant = np.stack([2 * x + y, z - y, 0.5 * x], axis=1).ravel()
    assert constant @ K @ constant == pytest.approx(constant @ standard @ constant, rel=1e-10)
    twisted = np.stack([x * y, 0 * x, 0 * x], axis=1).ravel()
    # θ = y in cells of half an edge, and κ = E / 3 (1 - 2 ν)
    left_out = 3.0 / (3.0 * (1.0 - 2.0 * 0.4999)) * 0.5**2 / 12.0
    assert twisted @ standard @ twisted - twisted @ K @ twisted == pytest.approx(left_out, rel=1e-9)


@by_case
def test_rigid_motions_and_constant_strains(mesh, element):
    K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(4), 3.0, 0.2, element=element)
    basis = skfem.CellBasis(mesh, element, intorder=1)
    places = basis.doflocs
    spin = np.zeros_like(places)
    spin[0], spin[1] = -places[1], places[0]
    # linear and serendipity elements do not hold the coordinates of curved cells, but translations
    if len(element.doflocs) < len(mesh.elem().doflocs):
        spin = np.ones_like(places)
    assert np.abs(K @ spin.T.ravel()).max() < 1e-12 * abs(K).max()


def j2_like(strain, state, parameters, stress, tangent, new_state):
    """A stiffening elastic law, with a state that counts the largest dilatation."""
    theta = strain[0] + strain[1] + strain[2]
    new_state[0] = max(state[0], theta)
    for i in range(6):
        shear = 2.0 if i < 3 else 1.0
        stress[i] = shear * parameters[0] * strain[i]
        tangent[i, i] += shear * parameters[0]
        if i < 3:
            stress[i] += parameters[1] * theta + theta**3
            for j in range(3):
                tangent[i, j] += parameters[1] + 3.0 * theta**2


class Called:
    """The same law by calls."""

    kinematics = "small"

    def __init__(self, law):
        self._law = law

    def initial_state(self, n):
        return self._law.initial_state(n)

    def update(self, strain, state):
        return self._law.update(strain, state)


LAW = femnn.PointLaw(j2_like, [0.8, 1.1], initial_state=[0.0])


@pytest.mark.parametrize(
    ("mesh", "element"), [CASES[0], CASES[2], CASES[5]], ids=["quad1", "quad2", "serendipity hexahedra"]
)
def test_solids_have_consistent_tangents(mesh, element):
    solid, called = (femnn.Solid(mesh, RULE, law, element=element) for law in (LAW, Called(LAW)))
    random = np.random.default_rng(0)
    u, direction = (0.1 * random.standard_normal(solid.n_dofs) for _ in range(2))
    force, tangent = solid.residual_and_tangent(u)
    other_force, other_tangent = called.residual_and_tangent(u)
    np.testing.assert_allclose(force, other_force, atol=1e-12 * np.abs(force).max())
    same(tangent, other_tangent)
    step = 1e-6
    difference = (solid.internal_force(u + step * direction) - solid.internal_force(u - step * direction)) / (2 * step)
    np.testing.assert_allclose(tangent @ direction, difference, atol=1e-7 * np.abs(difference).max())
    solid.commit()
    assert max(part.max() for part in solid.states) > 0.0


def test_plane_strain_of_a_solid_is_that_of_linear_elasticity():
    solid = femnn.Solid(PLANE, RULE, LAW)
    tangent = solid.residual_and_tangent(np.zeros(solid.n_dofs))[1]
    same(tangent, femnn.assemble_elasticity(PLANE, RULE, stiffness=isotropic_stiffness(1.1, 0.8)))
    strains = solid.strains(np.ones(solid.n_dofs))[0]
    assert strains.shape == (16, 9, 6)


def test_stresses_of_a_constant_strain():
    element = skfem.ElementQuad2()
    basis = skfem.CellBasis(PLANE, element)
    u = np.stack([1e-3 * basis.doflocs[0], 0.0 * basis.doflocs[0]], axis=1).ravel()
    for plane, expected in (
        ("strain", [3.0 * 0.8 / (1.2 * 0.6), 3.0 * 0.2 / (1.2 * 0.6), 3.0 * 0.2 / (1.2 * 0.6)]),
        ("stress", [3.0 / 0.96, 0.6 / 0.96, 0.0]),
    ):
        (sigma,) = femnn.stress(PLANE, RULE, u, 3.0, 0.2, plane=plane, element=element)
        np.testing.assert_allclose(sigma[..., :3], 1e-3 * np.array(expected) * np.ones((16, 9, 1)), atol=1e-14)
        energy = strain_energy(PLANE, RULE, u, 3.0, 0.2, plane=plane, element=element)
        area = femnn.bases(PLANE, element, RULE)[0].dx.sum(axis=1)
        np.testing.assert_allclose(energy, 0.5e-6 * expected[0] * area, rtol=1e-12)
    nodal = femnn.recover(PLANE, RULE, [sigma], method="projection", element=element)
    np.testing.assert_allclose(nodal[:, 0], 1e-3 * 3.0 / 0.96, rtol=1e-8)


def test_loads_on_curved_boundaries():
    mesh = bent_hexahedra().with_boundaries({"floor": lambda x: x[2] < 0.05, "all": lambda x: x[0] > -1.0})
    loads = femnn.Loads(mesh, skfem.ElementHex2()).pressure("all", 2.0).resultant("floor", [1.0, 0.0, 3.0])
    # a pressure all around has no resultant
    np.testing.assert_allclose(loads.force.reshape(-1, 3).sum(axis=0), [1.0, 0.0, 3.0], atol=1e-9)
    plane = PLANE.with_boundaries({"all": lambda x: x[0] > -1.0})
    held = femnn.Loads(plane, skfem.ElementQuad2()).traction("all", [1.0, 2.0]).fix("all")
    length = skfem.FacetBasis(PLANE, skfem.ElementQuad1(), intorder=9).dx.sum()
    np.testing.assert_allclose(held.force.reshape(-1, 2).sum(axis=0), [length, 2 * length], rtol=1e-4)
    assert len(held.fixed) == 2 * 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"element": skfem.ElementHex1()}, "ElementQuad1, ElementQuadS2 and ElementQuad2 on quadrilateral cells"),
        ({"element": skfem.ElementTriP1()}, "not ElementTriP1"),
        ({"hourglass": femnn.HourglassCorrection()}, "made for straight hexahedra"),
        ({"formulation": "incompatible"}, "'mean-dilatation' against locking"),
        ({"formulation": "mean-dilatation", "plane": "stress"}, "plane stress does not lock in volume"),
        ({"formulation": "mean-dilatation", "element": skfem.ElementQuad2()}, "made for linear elements"),
        ({"plane": "shell"}, "'strain' or 'stress'"),
    ],
)
def test_what_these_cells_do_not_have_is_said(options, message):
    with pytest.raises(ParameterError, match=message):
        femnn.assemble_elasticity(PLANE, RULE, 3.0, 0.2, **options)


def test_other_refusals():
    with pytest.raises(ParameterError, match="1 or 2"):
        femnn.assemble_mass(PLANE, RULE, components=3)
    with pytest.raises(ParameterError, match=r"\(2, 2\)"):
        femnn.assemble_diffusion(PLANE, RULE, np.eye(3))
    with pytest.raises(ParameterError, match="method='projection'"):
        femnn.recover(PLANE, RULE, [np.zeros((16, 9))])
    with pytest.raises(MeshError, match="trilinear"):
        femnn.error_estimate(SPACE, RULE, np.zeros(81), 1.0, 0.3)
    with pytest.raises(ParameterError, match="straight hexahedra"):
        femnn.Solid(PLANE, RULE, LAW, formulation="stabilised")
    folded = skfem.MeshQuad2(PLANE.doflocs.copy(), PLANE.t)
    folded.doflocs[:, folded.dofs.interior_dofs[0, 3]] += 1.0
    with pytest.raises(FoldedElementError, match="element 3"):
        femnn.assemble_elasticity(folded, RULE, 3.0, 0.2)
    with pytest.warns(femnn.FemnnWarning, match="1 of 16 elements"):
        femnn.assemble_elasticity(folded, RULE, 3.0, 0.2, on_folded="skip")


def test_far_from_the_origin():
    far, element = PLANE.translated([2.0**20, -(2.0**20)]), skfem.ElementQuad2()
    near = skfem.MeshQuad2(far.doflocs - np.array([[2.0**20], [-(2.0**20)]]), far.t)
    there, here = (femnn.assemble_elasticity(mesh, RULE, 3.0, 0.2, element=element) for mesh in (far, near))
    np.testing.assert_array_equal(there.data, here.data)


def test_points_of_every_cell_of_its_own():
    rule = OwnPoints()
    found = femnn.assemble_elasticity(STRAIGHT, rule, 3.0, 0.2, element=skfem.ElementHexS2())
    basis = femnn.bases(STRAIGHT, skfem.ElementVector(skfem.ElementHexS2()), rule)
    same(found, skfem.asm(linear_elasticity(*lame_parameters(3.0, 0.2)), basis))
