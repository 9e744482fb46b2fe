"""Poisson's equation with a known solution: uniform and adaptive Gauss points, swapped by name.

    python examples/poisson_swap.py --out results

The forms are scikit-fem's own. On meshes that stay distorted under refinement, linear and quadratic elements converge
as fast with `femnn.AdaptiveGauss` as with scikit-fem's default rule, which takes 64 points for linear and 343 for
quadratic elements. For a solution as smooth as this, 8 and 27 points do as well, although they keep no tolerance.
"""

import argparse
from pathlib import Path

import numpy as np
import skfem
from matplotlib.figure import Figure
from skfem.helpers import dot, grad
from skfem.models.poisson import laplace

import femnn
from femnn.geometry import distorted_cube
from femnn.plotting import save

ELEMENTS = {"ElementHex1": skfem.ElementHex1, "ElementHex2": skfem.ElementHex2}
SIZES = {"ElementHex1": (4, 8, 16), "ElementHex2": (2, 4, 8)}


def exact(x):
    """The solution, zero on the faces of the unit cube."""
    return np.sin(np.pi * x[0]) * np.sin(np.pi * x[1]) * np.sin(np.pi * x[2])


def exact_gradient(x):
    s, c = np.sin(np.pi * x), np.pi * np.cos(np.pi * x)
    return np.stack([c[0] * s[1] * s[2], s[0] * c[1] * s[2], s[0] * s[1] * c[2]])


@skfem.LinearForm
def source(v, w):
    return 3.0 * np.pi**2 * exact(w.x) * v


@skfem.Functional
def squared_l2(w):
    return (w["u"] - exact(w.x)) ** 2


@skfem.Functional
def squared_h1(w):
    difference = grad(w["u"]) - exact_gradient(w.x)
    return dot(difference, difference)


def solve(bases):
    """Solve Poisson's equation on a basis or a list of bases: nothing here knows about femnn."""
    stiffness, load = skfem.asm(laplace, bases), skfem.asm(source, bases)
    return skfem.solve(*skfem.condense(stiffness, load, D=bases[0].get_dofs()))


def measure(mesh, element, bases):
    """Points, L2 error and H1 error of the solution; the errors integrated finely, the same way for all rules."""
    fine = femnn.bases(mesh, element, femnn.GaussLegendre(6))[0]
    solution = fine.interpolate(solve(bases))
    return {
        "points": sum(basis.dx.size for basis in bases),
        "l2": float(np.sqrt(squared_l2.assemble(fine, u=solution))),
        "h1": float(np.sqrt(squared_h1.assemble(fine, u=solution))),
    }


def main(sizes=None, distortion=0.3, tol=1e-2, out="results"):
    """Returns ``{element: {rule: {"n": [...], "points": [...], "l2": [...], "h1": [...]}}}``."""
    sizes = sizes or SIZES
    figures = {}
    for name, make in ELEMENTS.items():
        figures[name] = {}
        for n in sizes[name]:
            mesh, element = distorted_cube(n, distortion, seed=1), make()
            few = 2 if name == "ElementHex1" else 3
            choices = {
                "skfem.Basis (default)": [skfem.Basis(mesh, element)],
                f"GaussLegendre({few})": femnn.bases(mesh, element, femnn.GaussLegendre(few)),
                f"AdaptiveGauss({tol:g})": femnn.bases(mesh, element, femnn.AdaptiveGauss(tol)),  # the swap
            }
            for rule, bases in choices.items():
                record = figures[name].setdefault(rule, {"n": [], "points": [], "l2": [], "h1": []})
                for key, value in {"n": n, **measure(mesh, element, bases)}.items():
                    record[key].append(value)
    report(figures)
    plot(figures, Path(out) / "poisson_swap.png")
    return figures


def rates(record, norm):
    """Observed orders of convergence between successive meshes."""
    return -np.diff(np.log(record[norm])) / np.diff(np.log(record["n"]))


def report(figures):
    for name, rules in figures.items():
        print(f"\n{name:<24}{'n':>4}{'points':>12}{'L2 error':>12}{'rate':>7}{'H1 error':>12}{'rate':>7}")
        for rule, record in rules.items():
            l2_rates, h1_rates = ([np.nan, *rates(record, norm)] for norm in ("l2", "h1"))
            columns = zip(record["n"], record["points"], record["l2"], l2_rates, record["h1"], h1_rates, strict=True)
            for n, points, l2, l2_rate, h1, h1_rate in columns:
                print(f"{rule:<24}{n:>4}{points:>12,}{l2:>12.3e}{l2_rate:>7.2f}{h1:>12.3e}{h1_rate:>7.2f}")


def plot(figures, path):
    figure = Figure(figsize=(10.0, 5.2), layout="constrained")
    for axes, norm in zip(figure.subplots(1, 2, sharex=True), ("l2", "h1"), strict=True):
        for name, colour in zip(figures, ("#0072b2", "#d55e00"), strict=True):
            for (rule, record), style in zip(figures[name].items(), ("o--", "s:", "x-"), strict=True):
                axes.loglog(record["points"], record[norm], style, color=colour, label=f"{name}, {rule}")
        axes.set(xlabel="integration points", ylabel=f"{norm.upper()} error")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tol", type=float, default=1e-2)
    parser.add_argument("--distortion", type=float, default=0.3)
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(distortion=arguments.distortion, tol=arguments.tol, out=arguments.out)
