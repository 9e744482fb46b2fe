"""Draw ``docs/images/idea.png``, the picture of the README: elements, the roots of det J, the points that they ask for.

    python docs/tools/draw_idea.py

Two elements from the space of all distorted cubes, a mild and a strong one. Everything in the picture is computed: the
points are those of ``femnn.AdaptiveGauss``, the Errors are measured.
"""

from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import femnn
from femnn.geometry.hexahedron import jacobian_determinant, trilinear_map
from femnn.plotting import save

PICTURE = Path(__file__).resolve().parents[1] / "images" / "idea.png"
TOLERANCE = 1e-3
COLOURS = ("#0072b2", "#d55e00", "#009e73")
AXES = ("ξ", "η", "ζ")


def elements():
    """A mild and a strong element (2, 8, 3), for which the rule takes different numbers of points along the axes."""
    mild, strong = (femnn.distorted_hexahedra(300, size, seed=3) for size in (0.04, 0.27))
    rule = femnn.AdaptiveGauss(TOLERANCE, calibrate="families")

    def picked(shapes, wanted):
        chosen, _ = rule.choose(shapes)
        # of those that are near enough to the tolerance to show it, and not so near that the dots cover the line
        errors = femnn.integration_error(shapes, rule)
        return shapes[
            next(
                k
                for k, points in enumerate(chosen)
                if sorted(points) == wanted and TOLERANCE / 30.0 < errors[k] < TOLERANCE / 3.0
            )
        ]

    return np.stack([picked(mild, [2, 3, 3]), picked(strong, [3, 4, 5])])


def roots(element, axis):
    """Roots of det J on the nine lines along an axis, whose determinants are quadratic, as complex numbers."""
    found = []
    for place in product((0.0, 0.5, 1.0), repeat=2):
        points = np.insert(np.tile(np.array(place)[:, None], 3), axis, [0.0, 0.5, 1.0], axis=0)
        values = jacobian_determinant(element[None], points)[0]
        found.extend(np.roots(np.polyfit([0.0, 0.5, 1.0], values, 2)))
    return np.array(found, dtype=complex)


def size_of_ellipse(z):
    """Half axes ρ of the ellipses around [0, 1] through points of the plane: Gauss points converge as ρ^-2n."""
    w = 2.0 * z - 1.0
    size = np.abs(w + np.sqrt(w**2 - 1.0))
    return np.maximum(size, 1.0 / size)


def draw_element(axes, element, group, chosen):
    corners = np.array(list(product((0.0, 1.0), repeat=3))).T
    for a, b in product(range(8), repeat=2):
        if a < b and np.abs(corners[:, a] - corners[:, b]).sum() == 1.0:
            axis = int(np.flatnonzero(corners[:, a] != corners[:, b])[0])
            line = trilinear_map(element[None], corners[:, [a, b]])[0]
            axes.plot(*line.T, color=COLOURS[axis], linewidth=1.6, alpha=0.8)
    axes.scatter(*trilinear_map(element[None], group.X)[0].T, color="black", s=14, depthshade=False)
    axes.view_init(22, -62)
    axes.set_axis_off()
    axes.set_box_aspect((1, 1, 1), zoom=1.25)
    axes.set_title(f"takes {'×'.join(map(str, chosen))} points", fontsize=12)


def draw_roots(axes, element):
    axes.plot([0, 1], [0, 0], color="black", linewidth=5, solid_capstyle="round", zorder=3)
    axes.annotate("the element, 0 to 1", (0.5, -0.16), ha="center", va="top", fontsize=9)
    for axis in range(3):
        z = roots(element, axis)
        near = z[np.argmin(size_of_ellipse(z))]
        axes.plot(z.real, z.imag, "o", color=COLOURS[axis], markersize=5, alpha=0.75)
        axes.plot([0.5, near.real], [0.0, near.imag], color=COLOURS[axis], linewidth=0.8, alpha=0.6)
    axes.set(xlim=(-4.5, 5.5), ylim=(-3.0, 3.0), xlabel="along an axis of the element (complex plane)")
    axes.grid(alpha=0.25)


def draw_errors(axes, element, chosen):
    counts = range(2, 7)
    uniform = [femnn.integration_error(element[None], femnn.GaussLegendre(n))[0] for n in counts]
    axes.semilogy([n**3 for n in counts], uniform, "o-", color="0.55", label="n×n×n Gauss points")
    for n, error in zip(counts, uniform, strict=True):
        axes.annotate(f"{n}×{n}×{n}", (n**3, error), xytext=(4, 4), textcoords="offset points", fontsize=8)
    error = femnn.integration_error(element[None], femnn.GaussLegendre(tuple(map(int, chosen))))[0]
    axes.semilogy([int(np.prod(chosen))], [error], "*", color="black", markersize=14, label="AdaptiveGauss(tol=1e-3)")
    axes.axhline(TOLERANCE, color="#cc3311", linewidth=1.2)
    axes.annotate("tol", (216, TOLERANCE), xytext=(0, 3), textcoords="offset points", color="#cc3311", ha="right")
    axes.set(xlabel="integration points", ylabel="Error of the stiffness", xscale="log")
    axes.margins(x=0.19, y=0.1)  # room for the names of the points
    axes.set_xticks([8, 27, 64, 125, 216], [8, 27, 64, 125, 216])
    axes.minorticks_off()
    axes.grid(alpha=0.25)


def main(path=PICTURE):
    """Draw the picture."""
    shapes = elements()
    rule = femnn.AdaptiveGauss(TOLERANCE, calibrate="families")
    chosen, _ = rule.choose(shapes)
    figure = Figure(figsize=(12.0, 7.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1.25, 1.25))
    for row, (element, points) in enumerate(zip(shapes, chosen, strict=True)):
        (group,) = femnn.GaussLegendre(tuple(map(int, points))).groups(element[None])
        draw_element(figure.add_subplot(grid[row, 0], projection="3d"), element, group, points)
        middle, right = figure.add_subplot(grid[row, 1]), figure.add_subplot(grid[row, 2])
        draw_roots(middle, element)
        draw_errors(right, element, points)
        if row == 0:
            middle.annotate("most roots lie outside this window", (0.5, 2.4), ha="center", fontsize=9)
            middle.set_title("The nearer the roots of det J, the more points that axis needs", fontsize=11)
            right.set_title("The cheapest rule predicted to keep the tolerance", fontsize=11)
            right.legend(fontsize=8, loc="lower left")
    handles = [Line2D([], [], color=colour, marker="o", label=name) for colour, name in zip(COLOURS, AXES, strict=True)]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, title="axes of the element, and roots along them"
    )
    save(figure, path, dpi=110)


if __name__ == "__main__":
    main()
