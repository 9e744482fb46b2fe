"""Rules plugged into scikit-fem's assembly."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.forms import laplace, measure

import femnn
from femnn.geometry import distorted_cube
from femnn.integration.convergence import converged_stiffness
from femnn.integration.gauss import tensor_gauss

ELASTICITY = linear_elasticity(*lame_parameters(1.0, 0.3))
VECTOR = skfem.ElementVector(skfem.ElementHex1())
RULES = [
    femnn.GaussLegendre(2),
    femnn.Irons(),
    femnn.AdaptiveGauss(1e-3),
    femnn.AdaptiveGauss(1e-7),
    femnn.CorrectedGauss(),
]


@skfem.LinearForm
def load(v, w):
    return w.x[0] * w.x[1] * v


@pytest.fixture(scope="module")
def mesh():
    return distorted_cube(6, 0.3, seed=3)


@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2(), skfem.ElementHexS2(), VECTOR])
def test_gauss_bases_equal_scikit_fem(mesh, element):
    (basis,) = femnn.bases(mesh, element, femnn.GaussLegendre(3))
    own = skfem.CellBasis(mesh, element, intorder=5)
    form = ELASTICITY if isinstance(element, skfem.ElementVector) else laplace
    difference = form.assemble(basis) - form.assemble(own)
    assert abs(difference).max() < 1e-13


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_fused_and_general_paths_agree(mesh, rule):
    general = skfem.asm(ELASTICITY, femnn.bases(mesh, VECTOR, rule))
    fused = femnn.assemble_elasticity(mesh, rule, 1.0, 0.3)
    assert abs(general - fused).max() < 1e-12 * abs(general).max()


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
def test_adaptive_assembly_is_as_exact_as_asked(mesh, tol):
    exact = np.zeros((3 * mesh.nvertices,) * 2)
    references, _ = converged_stiffness(femnn.hexahedra(mesh))
    dofs = skfem.Dofs(mesh, VECTOR).element_dofs
    for e, matrix in enumerate(references):
        exact[np.ix_(dofs[:, e], dofs[:, e])] += matrix
    found = skfem.asm(ELASTICITY, femnn.bases(mesh, VECTOR, femnn.AdaptiveGauss(tol, 0.999)))
    # an entry of the whole collects from 8 elements at most; 576 entries of each share its Error
    assert np.abs(found - exact).max() < 8 * tol * np.abs(references).max()


@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2(), VECTOR])
def test_groups_share_one_numbering(mesh, element):
    bases = femnn.bases(mesh, element, femnn.AdaptiveGauss(1e-6))
    assert len(bases) > 2
    reference = skfem.CellBasis(mesh, element)
    for basis in bases:
        assert basis.dofs is bases[0].dofs
        np.testing.assert_array_equal(basis.doflocs, reference.doflocs)
        np.testing.assert_array_equal(basis.get_dofs("left").all(), reference.get_dofs("left").all())
    assert sorted(np.concatenate([basis.tind for basis in bases])) == list(range(mesh.nelements))


def test_vectors_and_functionals_assemble_too(mesh):
    bases = femnn.bases(mesh, skfem.ElementHex1(), femnn.AdaptiveGauss(1e-6))
    assert skfem.asm(measure, bases) == pytest.approx(1.0, abs=1e-13)
    assert skfem.asm(load, bases).sum() == pytest.approx(0.25, abs=1e-13)


def test_quadratic_elements_get_more_points(mesh):
    rule, element = femnn.AdaptiveGauss(1e-4), skfem.ElementHex2()
    trilinear = sum(basis.nelems * basis.X.shape[-1] for basis in femnn.bases(mesh, skfem.ElementHex1(), rule))
    bases = femnn.bases(mesh, element, rule)
    assert sum(basis.nelems * basis.X.shape[-1] for basis in bases) > 1.5 * trilinear
    assert min(basis.X.shape[-1] for basis in bases) >= 27
    exact = laplace.assemble(skfem.CellBasis(mesh, element, quadrature=tensor_gauss(14, 14, 14)))
    found = skfem.asm(laplace, bases)
    assert abs(found - exact).max() < 1e-3 * abs(exact).max()


TRILINEAR = [
    femnn.Irons(),
    femnn.CorrectedGauss(),
    femnn.CorrectedGauss(3, patch=True),
    femnn.MovedGauss(),
    femnn.MovedGauss(patch=True),
]


@pytest.mark.parametrize(
    ("rule", "element"),
    [
        (rule, element)
        for rule in TRILINEAR
        for element in (skfem.ElementHex2(), skfem.ElementHexS2(), skfem.ElementVector(skfem.ElementHex2()))
        # which other programs use for just these
        if not (isinstance(rule, femnn.Irons) and isinstance(element, skfem.ElementHexS2))
    ],
    ids=lambda value: repr(value) if isinstance(value, femnn.Rule) else type(value).__name__,
)
def test_rules_made_for_trilinear_elements_refuse_others(mesh, rule, element):
    with pytest.raises(femnn.ParameterError, match="degree 1 along each axis, this element has degree 2") as error:
        femnn.bases(mesh, element, rule)
    assert repr(rule) in str(error.value)
    assert "GaussLegendre(3)" in str(error.value)
    assert sum(basis.nelems for basis in femnn.bases(mesh, skfem.ElementHex1(), rule)) == mesh.nelements


@pytest.mark.parametrize("rule", TRILINEAR, ids=repr)
def test_the_fused_path_refuses_them_too(mesh, rule):
    with pytest.raises(femnn.ParameterError, match="degree 2"):
        femnn.assemble_elasticity(mesh, rule, 1.0, 0.3, element=skfem.ElementHex2())


def test_points_moved_for_the_stiffness_refuse_a_mass(mesh):
    for patch in (False, True):
        with pytest.raises(femnn.ParameterError, match=r"products of gradients.*GaussLegendre\(3\)"):
            femnn.assemble_mass(mesh, femnn.MovedGauss(patch))
    assert femnn.assemble_mass(mesh, femnn.GaussLegendre(3)).sum() == pytest.approx(1.0)


def test_constant_elements_count_as_of_the_first_degree(mesh):
    assert femnn.bases(mesh, skfem.ElementHex0(), femnn.AdaptiveGauss(1e-3))


def test_patch_test_of_all_but_corrected_weights(mesh):
    # a linear displacement is reproduced exactly inside when it is prescribed on the surface
    for rule in RULES[:-1]:
        bases = femnn.bases(mesh, skfem.ElementHex1(), rule)
        stiffness = skfem.asm(laplace, bases)
        linear = 1.0 + mesh.p[0] - 2.0 * mesh.p[1] + 0.5 * mesh.p[2]
        solution = skfem.solve(*skfem.condense(stiffness, x=linear, D=mesh.boundary_nodes()))
        np.testing.assert_allclose(solution, linear, atol=1e-12)


def test_corrected_weights_fail_the_patch_test(mesh):
    # what the documentation says of them must be true, or it must change
    stiffness = skfem.asm(laplace, femnn.bases(mesh, skfem.ElementHex1(), femnn.CorrectedGauss()))
    linear = mesh.p[0]
    solution = skfem.solve(*skfem.condense(stiffness, x=linear, D=mesh.boundary_nodes()))
    assert 1e-6 < np.abs(solution - linear).max() < 1e-1


def test_bases_keep_no_jacobians():
    mesh = distorted_cube(4, 0.3, seed=3)
    for basis in femnn.bases(mesh, VECTOR, femnn.AdaptiveGauss(1e-6)):
        assert not getattr(basis.mapping, "_cache", None)
    assert not getattr(mesh._mapping(), "_cache", None)


def folded(mesh, element=17):
    points = mesh.p.copy()
    points[:, mesh.t[0, element]] = points[:, mesh.t[7, element]]
    return skfem.MeshHex(points, mesh.t)


def test_folded_cells_stop_or_are_left_out(mesh):
    bad = folded(mesh)
    with pytest.raises(femnn.FoldedElementError, match="on_folded='skip'"):
        femnn.bases(bad, VECTOR, femnn.GaussLegendre(2))
    with pytest.warns(femnn.FemnnWarning, match=r"\d+ of 216 elements are folded or degenerate and left out"):
        bases = femnn.bases(bad, VECTOR, femnn.GaussLegendre(2), on_folded="skip")
    assert 0 < 216 - sum(basis.nelems for basis in bases) <= 8


def test_meshes_of_other_cells(mesh):
    rule = femnn.GaussLegendre(2)
    with pytest.raises(femnn.MeshError, match="MeshTet1"):
        femnn.bases(skfem.MeshTet(), skfem.ElementTetP1(), rule)
    with pytest.raises(femnn.MeshError, match="curved edges"):
        femnn.hexahedra(skfem.MeshHex2.from_mesh(skfem.MeshHex()))
    with pytest.raises(femnn.MeshError, match=r"femnn\.read_mesh"):
        femnn.bases("bracket.vtu", skfem.ElementHex1(), rule)
    points = mesh.p.copy()
    points[1, 40] = np.inf
    with pytest.raises(femnn.MeshError, match=r"inf.* at vertex"):
        femnn.bases(skfem.MeshHex(points, mesh.t), skfem.ElementHex1(), rule)
    with pytest.raises(femnn.MeshError, match="no cells"):
        femnn.bases(skfem.MeshHex(mesh.p, mesh.t[:, :0], validate=False), skfem.ElementHex1(), rule)


def test_arguments_of_the_wrong_kind(mesh):
    with pytest.raises(femnn.ParameterError, match="is not a rule"):
        femnn.bases(mesh, VECTOR, 3)
    with pytest.raises(femnn.ParameterError, match="ElementTetP1 lives on"):
        femnn.bases(mesh, skfem.ElementTetP1(), femnn.GaussLegendre(2))
    for element in (skfem.ElementHex1, None):
        with pytest.raises(femnn.ParameterError, match=r"is no element; pass one such as skfem\.ElementHex1\(\)"):
            femnn.bases(mesh, element, femnn.GaussLegendre(2))


def test_slightly_folded_cells_are_integrated_alike_everywhere():
    """A cell like that of the published patch test of solids: det J < 0 at a vertex, one sign at all points."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3)
    points = mesh.p.copy()
    # the corner of the domain, pushed into its cell
    points[:, np.flatnonzero((points == 0.0).all(axis=0))] = 0.17
    mesh = skfem.MeshHex(points, mesh.t)
    rule = femnn.GaussLegendre(2)
    with pytest.raises(femnn.FoldedElementError, match="1 of 8"):
        femnn.assemble_elasticity(mesh, rule, 1.0, 0.3)
    with pytest.warns(femnn.FemnnWarning, match="no tolerance is promised"):
        matrix = femnn.assemble_elasticity(mesh, rule, 1.0, 0.3, on_folded="warn")
    with pytest.warns(femnn.FemnnWarning, match="no tolerance is promised"):
        groups = femnn.bases(mesh, VECTOR, rule, on_folded="warn")
    expected = skfem.asm(ELASTICITY, groups)
    np.testing.assert_allclose(matrix.toarray(), expected.toarray(), atol=1e-12 * np.abs(expected.data).max())
    # the patch test: a linear field is in equilibrium inside
    linear = np.zeros(3 * mesh.nvertices)
    linear.reshape(-1, 3)[:] = mesh.p.T @ np.array([[1.0, 0.5, 0.0], [0.2, -0.3, 0.1], [0.0, 0.4, 0.7]])
    inner = mesh.interior_nodes()
    forces = (matrix @ linear).reshape(-1, 3)[inner]
    assert np.abs(forces).max() < 1e-12 * np.abs(matrix @ linear).max()
