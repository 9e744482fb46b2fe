"""Perfect plasticity has a limit load, and Newton's method says so there: a thick cylinder, Prandtl's punch."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import ConvergenceError, SingularMatrixError

STRENGTH = 1.0
LAW = femnn.J2(1000.0, 0.3, STRENGTH)


def cylinder(n):
    """A quarter of a slice, radii 1 and 2, ``n`` by ``n`` elements."""
    mesh = skfem.MeshHex.init_tensor(np.linspace(1.0, 2.0, n + 1), np.linspace(0.0, np.pi / 2, n + 1), [0.0, 0.1])
    r, angle, z = mesh.p
    mesh = skfem.MeshHex(np.stack([r * np.cos(angle), r * np.sin(angle), z]), mesh.t)
    return mesh.with_boundaries(
        {
            "bore": lambda x: np.hypot(x[0], x[1]) < 1.0 + 1e-3 + 0.2 / n**2,
            "x": lambda x: np.isclose(x[0], 0.0),
            "y": lambda x: np.isclose(x[1], 0.0),
            "front": lambda x: np.isclose(x[2], 0.0),
            "back": lambda x: np.isclose(x[2], 0.1),
        }
    )


def limit(solid, loads, largest, min_step=1e-3):
    """Load at which Newton's method finds no equilibrium any more, and what it says there."""
    with pytest.raises(ConvergenceError) as caught:
        femnn.newton(
            solid, largest * loads.force, loads.fixed, steps=8, min_step=min_step, max_iterations=12, progress=False
        )
    return largest * caught.value.t, str(caught.value)


def slice_of_cylinder(n, rule, formulation, element=None):
    """Body and loads: a unit pressure in the bore, plane strain."""
    mesh = cylinder(n)
    solid = femnn.Solid(mesh, rule, LAW, formulation=formulation, element=element)
    loads = femnn.Loads(mesh, element).pressure("bore", 1.0)
    for plane in ("x", "y", "front", "back"):
        loads.symmetry(plane)
    return solid, loads


#: Of von Mises' cylinder in plane strain: 2/√3 σ ln(b/a).
COLLAPSE = 2.0 / np.sqrt(3.0) * STRENGTH * np.log(2.0)


def test_the_thick_cylinder_collapses_where_it_should():
    found, words = limit(*slice_of_cylinder(6, femnn.GaussLegendre(2), "mean-dilatation"), 1.2 * COLLAPSE)
    assert found == pytest.approx(COLLAPSE, rel=0.01)
    assert "no equilibrium exists beyond" in words
    assert "a limit load" in words


def test_elements_that_lock_carry_what_no_cylinder_can():
    solid, loads = slice_of_cylinder(4, femnn.GaussLegendre(2), "standard")
    path = femnn.newton(solid, 1.2 * COLLAPSE * loads.force, loads.fixed, steps=8, progress=False)
    assert path.t == 1.0


def test_triquadratic_elements_with_too_few_points_are_told_from_a_limit_load():
    solid, loads = slice_of_cylinder(2, femnn.GaussLegendre(2), "standard", skfem.ElementHex2())
    with pytest.raises(SingularMatrixError, match="a zero-energy mode"):
        femnn.newton(solid, loads.force, loads.fixed, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "tolerance"), [(4, 0.04), (8, 0.03)])
def test_prandtls_punch(cells, tolerance):
    # half of a strip of width 2 on ground 4.5 wide and 2.25 deep: the mechanism reaches 3 and √2 far
    across, down = np.linspace(0.0, 4.5, round(4.5 * cells) + 1), np.linspace(-2.25, 0.0, round(2.25 * cells) + 1)
    mesh = skfem.MeshHex.init_tensor(across, down, np.array([0.0, 1.0 / cells])).with_boundaries(
        {
            "strip": lambda x: np.isclose(x[1], 0.0) & (x[0] < 1.0),
            "middle": lambda x: np.isclose(x[0], 0.0),
            "front": lambda x: np.isclose(x[2], 0.0),
            "back": lambda x: np.isclose(x[2], 1.0 / cells),
            "bottom": lambda x: np.isclose(x[1], -2.25),
            "side": lambda x: np.isclose(x[0], 4.5),
        }
    )
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), LAW, formulation="mean-dilatation")
    loads = femnn.Loads(mesh).pressure("strip", 1.0).fix("bottom")
    for plane in ("middle", "front", "back", "side"):
        loads.symmetry(plane)
    # (2 + π) k with k = σ/√3
    exact = (2.0 + np.pi) * STRENGTH / np.sqrt(3.0)
    found, words = limit(solid, loads, 1.4 * exact)
    assert found == pytest.approx(exact, rel=tolerance)
    assert "a limit load" in words
