"""Problems with published answers: every kind of cell and element meets them, with every rule that suffices."""

import pytest
import skfem

import femnn
from femnn.validation.gallery import elliptic_membrane, plane_membrane, thick_cylinder, thick_plate, thick_sphere

ADAPTIVE = femnn.AdaptiveGauss(1e-3)
QUADS = {"linear": skfem.ElementQuad1(), "serendipity": skfem.ElementQuadS2(), "quadratic": skfem.ElementQuad2()}
HEXES = {"serendipity": skfem.ElementHexS2(), "quadratic": skfem.ElementHex2()}
CASES = [
    (elliptic_membrane, 64, QUADS["linear"], False),
    (elliptic_membrane, 16, QUADS["serendipity"], True),
    (elliptic_membrane, 16, QUADS["quadratic"], True),
    (thick_cylinder, 32, QUADS["linear"], False),
    (thick_cylinder, 4, QUADS["serendipity"], True),
    (thick_cylinder, 4, QUADS["quadratic"], True),
    (thick_sphere, 2, HEXES["quadratic"], True),
]


@pytest.mark.parametrize(
    ("problem", "n", "element", "curved"), CASES, ids=lambda value: getattr(value, "__name__", type(value).__name__)
)
def test_published_values_within_a_hundredth(problem, n, element, curved):
    body = problem(n, element, curved)
    value, points = body.solve(ADAPTIVE)
    assert value == pytest.approx(body.reference, rel=0.01)
    full = femnn.GaussLegendre(2 if element is QUADS["linear"] else 3)
    assert full.count_points(femnn.geometry.cells(body.mesh)) <= points
    assert body.solve(full)[0] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("name", list(QUADS))
def test_cooks_membrane(name):
    body = plane_membrane(64 if name == "linear" else 16, QUADS[name])
    assert body.solve(ADAPTIVE)[0] == pytest.approx(body.reference, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HEXES))
def test_thick_plate_with_curved_edges(name):
    body = thick_plate(8, HEXES[name])
    assert body.solve(ADAPTIVE)[0] == pytest.approx(body.reference, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("formulation", ["mean-dilatation", "incompatible", "stabilised", "learned"])
def test_stresses_of_the_thick_plate_are_recovered_on_straight_trilinear_cells(formulation):
    body = thick_plate(8, skfem.ElementHex1(), curved=False, layers=4, around=12)
    assert body.recovered_stress(femnn.GaussLegendre(2), formulation)[1] == pytest.approx(body.reference, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("curved", [True, False])
def test_stresses_of_the_thick_plate_are_recovered_on_triquadratic_cells(curved):
    body = thick_plate(6, skfem.ElementHex2(), curved, layers=4, around=9)
    # patches know straight cells
    method = "projection" if curved else "patches"
    found = body.recovered_stress(femnn.GaussLegendre(3), method=method)[1]
    assert found == pytest.approx(body.reference, rel=0.02)


@pytest.mark.parametrize("poisson", [0.0, 0.49])
def test_a_thick_cylinder_of_any_ratio(poisson):
    body = thick_cylinder(4, QUADS["quadratic"], True, poisson)
    assert body.solve(femnn.GaussLegendre(3))[0] == pytest.approx(body.reference, rel=0.01)


def test_curved_edges_are_worth_their_nodes():
    """The same elements on straight edges miss the answer by more."""
    off = []
    for curved in (True, False):
        body = thick_cylinder(2, QUADS["quadratic"], curved)
        off.append(abs(body.solve(femnn.GaussLegendre(3))[0] / body.reference - 1.0))
    assert off[0] < 0.2 * off[1]
