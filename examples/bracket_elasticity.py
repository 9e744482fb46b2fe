"""A bracket under load: the cost of each rule, and its effect on displacement and strain energy.

    python examples/bracket_elasticity.py --out results

A wall bracket of steel, held at its bolts, carries 5 kN at its pin. Every rule assembles the stiffness with
``femnn.assemble_elasticity``; its solution is compared with that of exact integration on the same mesh. ``--forms``
also times scikit-fem's own form of linear elasticity: a form without a kernel in femnn costs as much.
"""

import argparse
from pathlib import Path

from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

import femnn
from femnn.io import data_folder
from femnn.mesh_files import read_mesh
from femnn.plotting import draw_surface, save
from femnn.validation import Structure, compare_rules


def rules():
    """Rules by name, with the family they are drawn with."""
    chosen = [(f"GaussLegendre({n})", femnn.GaussLegendre(n)) for n in (2, 3, 4)]
    chosen += [(f"AdaptiveGauss({tol:g})", femnn.AdaptiveGauss(tol)) for tol in (1e-1, 1e-2, 1e-3, 1e-4)]
    return [*chosen, ("CorrectedGauss()", femnn.CorrectedGauss())]


def main(mesh=None, tol=1e-3, out="results", forms=False):
    """Compare the rules on a ``skfem.MeshHex``, the bracket if None; ``forms`` also times scikit-fem's form.

    Returns
    -------
    dict of dict
        The figures of each rule by its name, see :class:`femnn.validation.rule_comparison.Comparison`.
    """
    mesh = read_mesh(data_folder("meshes") / "bracket.vtu") if mesh is None else mesh
    structure = Structure(mesh, young=210e9, poisson=0.3)
    results = compare_rules(structure, rules(), tol, print, forms)
    report(structure, results, tol)
    plot(structure, results, tol, Path(out) / "bracket_elasticity.png")
    return {result.name: result.figures() for result in results}


def report(structure, results, tol):
    print(f"\n{structure.case.description}\nstrain energy {structure.strain_energy:.6g} J with exact integration\n")
    print(
        f"{'rule':<24}{'points':>10}{'time (s)':>10}{'form (s)':>10}{'above tol':>11}"
        f"{'displacement':>14}{'energy norm':>13}{'strain energy':>15}"
    )
    for result in results:
        form = "–" if result.form_seconds is None else f"{result.form_seconds:.1f}"
        print(
            f"{result.name:<24}{result.points:>10,}{result.seconds:>10.3f}{form:>10}{result.share_above:>11.1%}"
            f"{result.displacement_error:>14.1e}{result.energy_norm_error:>13.1e}{result.energy_error:>15.1e}"
        )
    print(f"\nabove tol: share of elements whose Error is not below {tol:g}; the last three: relative errors")


def plot(structure, results, tol, path):
    figure = Figure(figsize=(13.0, 5.5), layout="constrained")
    grid = figure.add_gridspec(1, 2)
    surface_axes = figure.add_subplot(grid[0], projection="3d")
    surface_axes.view_init(elev=24, azim=-52)
    # the first rule is that of 2×2×2 points
    surface = draw_surface(surface_axes, structure.mesh, results[0].errors, norm=LogNorm(), cmap="magma", linewidth=0.1)
    figure.colorbar(surface, ax=surface_axes, label="Error of 2×2×2 points", shrink=0.7, pad=0.12, location="left")
    axes = figure.add_subplot(grid[1])
    # names stand beside their points, on the side where no curve runs
    families = (
        ("Gauss", "#5f5f5f", "o-", "left"),
        ("Adaptive", "#0072b2", "s-", "right"),
        ("Corr", "#d55e00", "D", "right"),
    )
    for family, colour, style, side in families:
        own = [result for result in results if result.name.startswith(family)]
        points, errors = [result.points for result in own], [result.energy_norm_error for result in own]
        axes.loglog(points, errors, style, color=colour)
        for result in own:
            annotate = (result.name, (result.points, result.energy_norm_error), (8 if side == "left" else -8, 0))
            axes.annotate(*annotate, textcoords="offset points", color=colour, ha=side, va="center")
    axes.set(xlabel="integration points", ylabel="relative energy-norm error of the displacement")
    axes.set_xlim(0.25 * min(result.points for result in results), 2.8 * max(result.points for result in results))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh", nargs="?", help="a file of hexahedra; the bracket if not given")
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--out", default="results")
    parser.add_argument("--forms", action="store_true", help="also time scikit-fem's form, a minute or so")
    arguments = parser.parse_args()
    main(arguments.mesh and read_mesh(arguments.mesh), arguments.tol, arguments.out, arguments.forms)
