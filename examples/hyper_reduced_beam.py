"""A beam that is solved again and again: a few modes, a few points with positive weights, and any form on them.

    python examples/hyper_reduced_beam.py --out results

Some solutions under other loads give the modes in which the beam moves, and an empirical cubature for these: a rule
that holds a few points of a few cells of the whole mesh. With them, loads that no training saw are solved by
``femnn.newton`` as a problem of as many unknowns as there are modes. Then the same is done with forms of scikit-fem
alone, whose bases come from ``femnn.bases(mesh, element, cubature)``: any form is reduced by swapping the rule.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import skfem
from matplotlib.figure import Figure
from skfem.helpers import ddot, det, grad, identity, inv, transpose

import femnn
from femnn.io import atomic_write, markdown
from femnn.plotting import draw_surface, save
from femnn.validation import ReducedBeam, training_loads, unseen_loads

LAME, SHEAR = 0.3 / (1.3 * 0.4), 1.0 / 2.6


@skfem.LinearForm
def internal_force(v, w):
    """P(F) : ∇v with the neo-Hookean P = μ (F - F⁻ᵀ) + λ ln J F⁻ᵀ."""
    f = grad(w["u"]) + identity(grad(w["u"]))
    back = transpose(inv(f))
    return ddot(SHEAR * (f - back) + LAME * np.log(det(f)) * back, grad(v))


@skfem.BilinearForm
def tangent(u, v, w):
    """Its derivative."""
    f = grad(w["u"]) + identity(grad(w["u"]))
    back, h = transpose(inv(f)), grad(u)
    turned = np.einsum("il...,kl...,kj...->ij...", back, h, back)
    return ddot(SHEAR * h + (SHEAR - LAME * np.log(det(f))) * turned + LAME * ddot(back, h) * back, grad(v))


def solve_by_forms(mesh, basis, cubature, load, steps):
    """Displacement under a load by Newton's method as one would write it with scikit-fem, on the chosen cells."""
    bases = femnn.bases(mesh, skfem.ElementVector(skfem.ElementHex1()), cubature)
    modes, q = basis.modes, np.zeros(basis.r)
    for t in np.linspace(0.0, 1.0, steps + 1)[1:]:
        for _ in range(20):
            u = basis.lift(q)
            residual = modes.T @ (t * load - skfem.asm(internal_force, bases, u=u))
            if np.linalg.norm(residual) < 1e-6 * np.linalg.norm(modes.T @ load):
                break
            q = q + np.linalg.solve(modes.T @ (skfem.asm(tangent, bases, u=u) @ modes), residual)
    return basis.lift(q)


def main(cells=(32, 6, 6), training=12, modes=(8, 16, 24), tolerances=(1e-3, 3e-4, 1e-4), unseen=3, out="results"):
    """Train, solve what was not seen, and compare; the figures by the number of modes."""
    out, beam = Path(out), ReducedBeam(tuple(cells))
    snapshots = beam.snapshots(training_loads(training), out / f"snapshots-{'-'.join(map(str, cells))}")
    print(snapshots)
    loads = unseen_loads(unseen)
    full = [beam.solve(load) for load in loads]
    figures, models = {}, {}
    for count, tol in zip(modes, tolerances, strict=True):
        model = models[count] = beam.reduce(snapshots, count, tol=tol)
        solved = [model.solve(load) for load in loads]
        errors = [_distance(u, path.u) for (u, *_), (path, _) in zip(solved, full, strict=True)]
        figures[count] = {
            "cells": len(model.cubature.cells),
            "points": model.cubature.n_points,
            "mean": float(np.mean(errors)),
            "worst": float(np.max(errors)),
            "seconds": float(np.mean([seconds for *_, seconds in solved])),
            "full": float(np.mean([seconds for _, seconds in full])),
        }
        print(model.cubature)
    model = models[modes[-1]]
    # the same by forms
    by_forms = solve_by_forms(beam.mesh, model.basis, model.cubature, beam.force(loads[0]), beam.steps)
    figures["by forms"] = _distance(by_forms, model.solve(loads[0])[0])
    print(f"scikit-fem's forms on the bases of the cubature differ by {figures['by forms']:.1e}")
    report(figures, beam, model, full[0][0].u, out)
    return figures


def _distance(u, expected):
    return float(np.linalg.norm(u - expected) / np.linalg.norm(expected))


def report(figures, beam, model, displacement, out):
    """Write the table and the picture of the chosen cells."""
    rows = [{"modes": count, **own} for count, own in figures.items() if count != "by forms"]
    columns = {
        "modes": ("modes", "{}"),
        "cells": ("cells", "{:,}"),
        "points": ("points", "{:,}"),
        "mean": ("mean error", "{:.1e}"),
        "worst": ("worst error", "{:.1e}"),
        "seconds": ("seconds", "{:.2f}"),
        "full": ("seconds in full", "{:.1f}"),
    }
    print(markdown(rows, columns))
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    axes = figure.add_subplot(1, 2, 1, projection="3d")
    axes.view_init(18.0, -55.0)
    nodes = skfem.Dofs(beam.mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs
    draw_surface(axes, beam.mesh, displacement=displacement[nodes], alpha=0.12, linewidth=0.0)
    chosen = beam.mesh.restrict(model.cubature.cells)
    vertices = np.unique(beam.mesh.t[:, model.cubature.cells])
    draw_surface(axes, chosen, values=np.log10(model.cubature.weights), displacement=displacement[nodes][:, vertices])
    moved = beam.mesh.p + displacement[nodes]
    axes.set(**{f"{axis}lim": (moved[k].min(), moved[k].max()) for k, axis in enumerate("xyz")})
    axes.set_box_aspect(np.ptp(moved, axis=1))
    axes.set_title(f"{len(model.cubature.cells)} of {beam.mesh.nelements:,} cells hold the points")
    errors = figure.add_subplot(1, 2, 2)
    errors.semilogy([row["modes"] for row in rows], [row["mean"] for row in rows], "o-", label="mean")
    errors.semilogy([row["modes"] for row in rows], [row["worst"] for row in rows], "x--", label="worst")
    errors.set(xlabel="modes", ylabel="error of the displacement under unseen loads")
    errors.legend()
    save(figure, out / "hyper_reduced_beam.png")
    with atomic_write(out / "hyper_reduced_beam.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs=3, default=(32, 6, 6), help="hexahedra along x, y and z")
    parser.add_argument("--training", type=int, default=12, help="loads to learn from")
    parser.add_argument("--unseen", type=int, default=3, help="loads to be tried on")
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.cells, arguments.training, unseen=arguments.unseen, out=arguments.out)
