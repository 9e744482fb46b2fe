"""Perfect plasticity has a limit load, and Newton's method says so there: a thick cylinder, Prandtl's punch."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import ConvergenceError

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


@pytest.mark.parametrize(
    ("n", "formulation", "element"),
    [
        pytest.param(2, "standard", skfem.ElementHex2(), id="Hex2 with 2x2x2 points"),
        pytest.param(4, "mean-dilatation", None, id="mean dilatation", marks=pytest.mark.slow),
    ],
)
def test_the_thick_cylinder_collapses_where_it_should(n, formulation, element):
    mesh = cylinder(n)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), LAW, formulation=formulation, element=element)
    loads = femnn.Loads(mesh, element)
    for plane in ("x", "y", "front", "back"):
        loads.symmetry(plane)
    loads.pressure("bore", 1.0)
    # von Mises, plane strain: 2/√3 σ ln(b/a)
    exact = 2.0 / np.sqrt(3.0) * STRENGTH * np.log(2.0)
    found, words = limit(solid, loads, 1.2 * exact)
    assert found == pytest.approx(exact, rel=0.01)
    assert "no equilibrium exists beyond" in words
    assert "a limit load" in words


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "tolerance"), [(4, 0.1), (8, 0.05)])
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
    print(f"Prandtl's punch, {cells} elements under half of the strip: {found / exact - 1.0:+.1%}")
    assert found == pytest.approx(exact, rel=tolerance)
    assert "a limit load" in words
