"""AdaptiveGauss on quadrilaterals, curved hexahedra and quadratic elements keeps its tolerance and says so."""

import numpy as np
import pytest
import skfem
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals

import femnn
from femnn.exceptions import ParameterError
from femnn.geometry.cell_families import cells_of_family
from femnn.geometry.cells import CURVED_HEXAHEDRON, CURVED_QUADRILATERAL, HEXAHEDRON, QUADRILATERAL, cells
from femnn.integration.cell_matrices import cell_matrices, energy_changes, energy_scales, matrices_of_group
from femnn.quadrature.adaptive.cell_measure import CellMeasure
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors


def annulus(rays, rings, mesh_class):
    """A quarter of an annulus that becomes thin towards its inner side: no family of the calibration."""
    tensor = skfem.MeshQuad.init_tensor(np.linspace(0, 1, rings + 1) ** 2, np.linspace(0, 1, rays + 1))
    mesh = mesh_class.from_mesh(tensor)
    r, angle = 0.1 + mesh.doflocs[0], 0.5 * np.pi * (mesh.doflocs[1] + 0.1 * np.sin(6 * mesh.doflocs[0]))
    return mesh_class(np.ascontiguousarray([r * np.cos(angle), r * np.sin(angle)]), mesh.t)


@pytest.mark.parametrize(("kind", "degree"), [(QUADRILATERAL, 1), (QUADRILATERAL, 2), (CURVED_QUADRILATERAL, 2)])
@pytest.mark.parametrize("anisotropic", [True, False])
@pytest.mark.parametrize("tol", [1e-1, 1e-3, 1e-6])
def test_plane_cells_keep_the_tolerance(kind, degree, anisotropic, tol):
    x = np.concatenate([cells_of_family(kind, family, 150, seed=77) for family in ("random", "bent")])
    rule = femnn.AdaptiveGauss(tol, anisotropic=anisotropic)
    errors = femnn.integration_error(x, rule, degree=degree)
    assert (errors >= tol).mean() <= 0.01
    assert errors.max() < 3.0 * tol
    points = rule.for_degree(degree).points_per_axis(x)
    assert anisotropic or (points == points[:, :1]).all()


def test_few_points_are_wasted_on_plane_cells():
    x = cells_of_family(QUADRILATERAL, "random", 300, seed=78)
    errors = np.stack([femnn.integration_error(x, femnn.GaussLegendre(n)) for n in range(2, 9)], axis=1)
    assert (errors[:, -1] < 1e-3).all()
    fewest = 2 + (errors < 1e-3).argmax(axis=1)
    adaptive = femnn.AdaptiveGauss(1e-3, anisotropic=False).count_points(x)
    assert (fewest**2).sum() <= adaptive <= 1.2 * (fewest**2).sum()
    assert femnn.AdaptiveGauss(1e-3).count_points(x) < adaptive


@pytest.mark.parametrize("calibrate", ["mesh", "families"])
def test_a_mesh_of_no_known_family(calibrate):
    mesh = annulus(24, 24, skfem.MeshQuad2)
    rule = femnn.AdaptiveGauss(1e-4, calibrate=calibrate)
    errors = femnn.integration_error(cells(mesh), rule)
    assert (errors >= 1e-4).mean() <= 0.01
    uniform = next(n for n in range(3, 20) if femnn.integration_error(cells(mesh), femnn.GaussLegendre(n)).max() < 1e-4)
    assert rule.count_points(cells(mesh)) < len(errors) * uniform**2


def test_hexahedra_with_27_nodes_keep_the_tolerance():
    x = cells(bent_hexahedra(1))
    rule = femnn.AdaptiveGauss(1e-3)
    errors = femnn.integration_error(x, rule, reference=10)
    assert errors.max() < 1e-3


def test_quadratic_elements_on_straight_hexahedra_keep_the_tolerance():
    x = cells_of_family(HEXAHEDRON, "random", 15, seed=79)
    errors = femnn.integration_error(x, femnn.AdaptiveGauss(1e-3), degree=2, reference=10)
    assert errors.max() < 1e-3


def test_trilinear_hexahedra_are_as_they_were():
    """A rule that was asked for another degree or kind before answers for the trilinear element as a new one does."""
    x = femnn.distorted_hexahedra(100, 0.3, seed=3)
    rule = femnn.AdaptiveGauss(1e-4)
    expected = femnn.AdaptiveGauss(1e-4).points_per_axis(x)
    rule.for_degree(2).points_per_axis(x[:20])
    rule.points_per_axis(cells(bent_quadrilaterals()))
    np.testing.assert_array_equal(rule.points_per_axis(x), expected)


def test_the_report_says_what_holds():
    report = str(femnn.AdaptiveGauss(1e-3).report(bent_quadrilaterals(4)))
    assert "on 256 elements" in report
    assert "measured" in report


def test_nearly_folded_cells_are_measured():
    x = np.stack([QUADRILATERAL.nodes] * 3)
    x[1, 2] = [0.502, 0.502]
    points, in_range = femnn.AdaptiveGauss(1e-3, calibrate="families").choose(x)
    assert in_range.tolist() == [True, False, True]
    assert points[1].min() > 5
    assert femnn.integration_error(x, femnn.AdaptiveGauss(1e-3, calibrate="families")).max() < 1e-3


def test_a_verified_rule_leaves_no_miss():
    x = cells_of_family(CURVED_QUADRILATERAL, "stretched", 100, seed=80)
    rule = femnn.AdaptiveGauss(1e-5, confidence=None, verify=True)
    # the reference has to be better than a rule of forty points
    assert femnn.integration_error(x, rule, reference=80).max() < 1e-5
    assert rule.report(x).missed is not None


def energy_of(x, rule, degree, poisson):
    """Largest relative change of energy (n,) by a rule, against far more points."""
    changes = np.empty(len(x))
    for group in rule.for_degree(degree).groups(x):
        some, dim = x[group.cells], x.shape[2]
        references = cell_matrices(some, (16,) * dim, degree, poisson)
        matrices = matrices_of_group(some, group.X, group.W, degree, poisson)
        changes[group.cells] = energy_changes(matrices, references, energy_scales(references, dim, "elasticity"))
    return changes


@pytest.mark.parametrize(
    ("kind", "degree", "count"), [(QUADRILATERAL, 1, 200), (CURVED_QUADRILATERAL, 2, 200), (CURVED_HEXAHEDRON, 2, 12)]
)
def test_energies_of_the_element_that_is_assembled_keep_the_tolerance(kind, degree, count):
    x = cells_of_family(kind, "bent", count, seed=82)
    rule = femnn.AdaptiveGauss(1e-2, measure="energy")
    changes = energy_of(x, rule, degree, 0.3)
    assert (changes >= 1e-2).mean() <= 0.01
    assert changes.max() < 3e-2
    assert rule.for_degree(degree).count_points(x) < count * 6**kind.dim


def test_energies_are_calibrated_on_the_mesh_alone():
    x = cells_of_family(QUADRILATERAL, "random", 100, seed=83)
    rule = femnn.AdaptiveGauss(1e-2, measure="energy", poisson=0.499)
    assert (energy_of(x, rule, 1, 0.499) >= 1e-2).mean() <= 0.01
    with pytest.raises(ParameterError, match="calibrated on the mesh at hand alone; pass calibrate='mesh'"):
        femnn.AdaptiveGauss(1e-2, measure="energy", calibrate="families").groups(x)


def test_energy_is_that_of_the_kernels_on_straight_hexahedra():
    x = cells_of_family(HEXAHEDRON, "random", 10, seed=84)
    rules = np.full((10, 3), 3)
    expected = tensor_rule_errors(x, rules, 0.3, "energy")
    np.testing.assert_allclose(CellMeasure(1, 0.3, "elasticity", "energy").errors(x, rules), expected, rtol=0.02)


def test_the_confidence_of_curved_hexahedra_ends_earlier():
    x = cells_of_family(CURVED_HEXAHEDRON, "random", 5, seed=81)
    with pytest.raises(ParameterError, match=r"confidence is 0\.999; it was calibrated up to 0.99"):
        femnn.AdaptiveGauss(1e-3, confidence=0.999, calibrate="families").groups(x)
