"""Elements that bend and do not lock: each formulation on textbook beams, Cook's membrane and distorted cells.

Displacements over their references, bending errors of cells that no training saw, the patch test, and what a pass of
assembly costs beside the standard one of eight points.
"""

import time
from pathlib import Path

import click
import numpy as np
import skfem

import femnn
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.assembly.formulations import FORMULATIONS
from femnn.assembly.formulations.patches import bending_errors, distorted_patches
from femnn.cli import Command
from femnn.geometry import distorted_cube
from femnn.io import markdown
from femnn.system import description
from femnn.validation.bending import STRAIGHT, cook_membrane, curved_beam, straight_beam, twisted_beam
from femnn.validation.gallery import thick_plate

# Of the drawing of test patches: trainings use streams below.
_SEED = 987_654_321


@click.command(cls=Command)
@click.option("--patches", type=click.IntRange(min=1), default=250, show_default=True, help="Of eight cells each.")
@click.option("--n", type=click.IntRange(min=1), default=30, show_default=True, help="Elements an edge, for the cost.")
@click.option("--repeat", type=click.IntRange(min=1), default=9, show_default=True, help="Rounds of the cost.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/locking"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(patches, n, repeat, out, as_json):
    """Bending, locking, patch test and cost of every formulation of trilinear elements."""
    problems = [*(straight_beam(kind) for kind in STRAIGHT), curved_beam(), twisted_beam()]
    beams = [
        {"formulation": name}
        | {f"{p.name}, {load}": value for p in problems for load, value in p.displacements(name).items()}
        for name in FORMULATIONS
    ]
    panels = [
        {"formulation": name} | {str(k): cook_membrane(k).displacements(name)["shear"] for k in (4, 8, 16, 32)}
        for name in FORMULATIONS
    ]
    drawn = distorted_patches(patches, _SEED)
    cells = []
    for name in FORMULATIONS:
        errors = bending_errors(drawn, name)
        nearly = errors[drawn.poisson > 0.45]
        cells.append(
            {"formulation": name, "mean": float(errors.mean()), "median": float(np.median(errors))}
            | {"worst tenth": float(np.quantile(errors, 0.9)), "ν > 0.45": float(np.median(nearly))}
        )
    checks = [{"formulation": name} | _guarantees(name) for name in FORMULATIONS]
    costs = _costs(n, repeat)
    figures = {"machine": description(), "beams": beams, "panels": panels, "cells": cells, "checks": checks}
    figures["plates"] = _plates()
    figures |= {"costs": costs, "patches": patches}
    figures["targets"] = _targets(figures)
    publish(out, "locking", figures, _report(figures), as_json)


def _plates():
    """σyy (MPa) at the corner of NAFEMS LE10, recovered by patches, on straight cells."""
    linear, quadratic = skfem.ElementHex1(), skfem.ElementHex2()
    trilinear = thick_plate(8, linear, curved=False, layers=4, around=12)
    rows = [
        {"formulation": name, "8×12×4 Hex1": trilinear.recovered_stress(femnn.GaussLegendre(2), name)[1] / 1e6}
        for name in FORMULATIONS
    ]
    triquadratic = thick_plate(6, quadratic, curved=False, layers=4, around=9)
    rows[0]["6×9×4 Hex2"] = triquadratic.recovered_stress(femnn.GaussLegendre(3))[1] / 1e6
    return [{name: row.get(name) for name in rows[0]} for row in rows]


def _guarantees(name):
    """Largest error of the patch test, relative to the forces, and the zero-energy modes of distorted cells."""
    mesh = distorted_cube(3, 0.3, seed=1)
    matrix = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3, formulation=name)
    gradient = np.random.default_rng(0).normal(size=(3, 3))
    forces = matrix @ (gradient @ mesh.p).T.ravel()
    inner = np.setdiff1d(np.arange(mesh.p.shape[1]), mesh.boundary_nodes())
    patch = np.abs(forces.reshape(-1, 3)[inner]).max() / np.abs(forces).max()
    single = skfem.MeshHex(distorted_cube(1, 0.3, seed=2).p, distorted_cube(1, 0.3, seed=2).t)
    values = np.linalg.eigvalsh(
        femnn.assemble_elasticity(single, femnn.GaussLegendre(2), 1.0, 0.3, formulation=name).toarray()
    )
    return {"patch": float(patch), "zero modes": int((np.abs(values) < 1e-12 * values[-1]).sum())}


def _costs(n, repeat):
    """CPU time of a pass with a pattern that is known, over that of eight points; rounds alternate, medians."""
    mesh = distorted_cube(n, 0.2, seed=0)
    pattern, rule, times = femnn.Pattern.of(mesh), femnn.GaussLegendre(2), {name: [] for name in FORMULATIONS}
    outs = {
        name: femnn.assemble_elasticity(mesh, rule, 1.0, 0.3, formulation=name, pattern=pattern)
        for name in FORMULATIONS
    }
    for _ in range(repeat):
        for name, out in outs.items():
            before = time.process_time()
            femnn.assemble_elasticity(mesh, rule, 1.0, 0.3, formulation=name, pattern=pattern, out=out)
            times[name].append(time.process_time() - before)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return [
        {"formulation": name, "µs an element": 1e6 * value / n**3, "over standard": value / medians["standard"]}
        for name, value in medians.items()
    ]


def _by_name(rows):
    return {row["formulation"]: row for row in rows}


def _targets(figures):
    beams, panels, costs = (_by_name(figures[key]) for key in ("beams", "panels", "costs"))
    cells, best = _by_name(figures["cells"]), "incompatible"

    def of(problem, name=best):
        return " / ".join(f"{beams[name][f'{problem}, {load}']:.3f}" for load in ("in plane", "out of plane"))

    classical = {name: row for name, row in cells.items() if name != "learned"}
    rows = [
        target("straight beam, regular, in / out of plane", "≥ 0.97 / 0.97", of("straight beam, regular")),
        target("curved beam, in / out of plane", "≥ 0.87 / 0.84", of("curved beam")),
        target("twisted beam, in / out of plane", "≥ 0.98 / 0.98", of("twisted beam")),
    ]
    for name, limit in (("mean-dilatation", "≥ 7.5 / 7.85"), ("incompatible", "≥ 7.7 / 7.9")):
        measured = f"{panels[name]['8']:.2f} / {panels[name]['16']:.2f}"
        rows.append(target(f"Cook, ν = 0.4999, n = 8 / 16, {name}", limit, measured))
    plates = _by_name(figures["plates"])
    for mesh, name in (("8×12×4 Hex1", best), ("6×9×4 Hex2", "standard")):
        off = plates[name][mesh] / -5.38 - 1.0
        rows.append(target(f"LE10, σyy at D, {mesh}, {name}", "within 2 % of -5.38", f"{off:+.1%}"))
    worst = max(row["patch"] for row in figures["checks"])
    rows.append(target("patch test, the worst formulation", "< 1e-12", f"{worst:.0e}"))
    modes = {row["zero modes"] for row in figures["checks"]}
    rows.append(target("zero-energy modes", "6", ", ".join(map(str, sorted(modes)))))
    for name, limit in (("mean-dilatation", "≤ 1.2"), ("stabilised", "≤ 0.8"), ("incompatible", "≤ 2")):
        rows.append(target(f"cost over standard, {name}", limit, f"{costs[name]['over standard']:.2f}"))
    for figure in ("mean", "median"):
        least = min(row[figure] for row in classical.values())
        ratio = cells["learned"][figure] / least
        rows.append(target(f"{figure} bending error, learned over the best classical", "≤ 0.8", f"{ratio:.2f}"))
    return rows


def _report(figures):
    def table(rows, style):
        return markdown(rows, {key: (key, "{}" if key == "formulation" else style) for key in rows[0]})

    beams = []
    for problem in dict.fromkeys(key.rpartition(", ")[0] for key in figures["beams"][0] if key != "formulation"):
        row = {"in / out of plane": problem}
        for line in figures["beams"]:
            values = (line[f"{problem}, {load}"] for load in ("in plane", "out of plane"))
            row[line["formulation"]] = " / ".join(f"{value:.3f}" for value in values)
        beams.append(row)
    parts = [
        "# Elements that bend and do not lock",
        f"Machine: {figures['machine']}",
        "Displacement over the reference, MacNeal and Harder's beams:",
        markdown(beams, {key: (key, "{}") for key in beams[0]}),
        "Cook's membrane, ν = 0.4999, plane strain, by elements an edge; 8.0 on fine meshes:",
        table(figures["panels"], "{:.2f}"),
        "NAFEMS LE10, σyy at D recovered by patches, MPa, straight cells; -5.38 is published:",
        table(figures["plates"], "{:.2f}"),
        f"Bending error on {8 * figures['patches']:,} distorted cells that no training saw:",
        table(figures["cells"], "{:.3f}"),
        "Guarantees on distorted cells:",
        markdown(
            figures["checks"],
            {
                "formulation": ("formulation", "{}"),
                "patch": ("patch test", "{:.0e}"),
                "zero modes": ("zero modes", "{}"),
            },
        ),
        "CPU time of a pass of assembly:",
        table(figures["costs"], "{:.2f}"),
        "Targets:",
        targets_table(figures["targets"]),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
