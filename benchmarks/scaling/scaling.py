"""Assembly and solution from 10³ to 10⁶ elements: threads, ranks, memory, balance, and a model of larger runs.

Threads are measured in this environment. Ranks need that of `make test-mpi`, whose Python and mpiexec are called; they
are left out where it is not there. Every figure comes from processes of its own; medians are taken. Close everything
else: the load of the machine at the start is in the report.
"""

import os
import sys
import time
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.scaling.ranks import model
from benchmarks.support.processes import ROOT, figures_of, mpiexec
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import atomic_write, data_folder, markdown
from femnn.system import description

_MEASURE = Path(__file__).resolve().parent / "ranks" / "measure.py"
_RANKS = (2, 3, 4, 8, 16)
_SECONDS = 1800


@click.command(cls=Command)
@click.option("--edge", "edges", multiple=True, type=int, default=(10, 22, 46, 100), show_default=True,
              help="Elements along each edge of the cubes for threads; may be repeated.")  # fmt: skip
@click.option("--n", default=4, show_default=True, help="Bracket on ranks: 5,788 n³ elements.")
@click.option("--box", default=9, show_default=True, help="Weak scaling: 256 n³ elements a rank.")
@click.option("--rounds", default=5, show_default=True, help="Measurements of a time.")
@click.option("--mesh", type=click.Path(exists=True, path_type=Path),
              help="Mesh of the balance.  [default: dragon_out.mesh, else the bent blade]")  # fmt: skip
@click.option("--tol", default=1e-4, show_default=True, help="Tolerance of AdaptiveGauss for the balance.")
@click.option("--python", "interpreter", type=click.Path(path_type=Path), default=ROOT / ".venv-mpi/bin/python",
              help="Python of the ranks.  [default: of `make test-mpi`]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/scaling"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(edges, n, box, rounds, mesh, tol, interpreter, out, as_json):
    """Scaling over threads and ranks, memory a rank, and the balance of points."""
    figures = {"machine": description(), "load": os.getloadavg()[0], "bandwidth": bandwidth()}
    with tqdm(disable=None, bar_format="{desc} {elapsed}") as bar:
        figures["threads"] = []
        for edge in edges:
            bar.set_description_str(f"threads, {edge}³")
            figures["threads"].append(measured([sys.executable], "threads", edge, rounds))
        if interpreter.exists() and mpiexec():
            bar.set_description_str("ranks")
            figures |= on_ranks([mpiexec(), "--oversubscribe"], interpreter, n, box, rounds, bar)
            mesh = mesh or _default_mesh()
            figures["balance"] = measured([interpreter], "balance", mesh, tol, *_RANKS) | {
                "mesh": mesh.stem,
                "tol": tol,
            }
        else:
            figures["missing"] = f"no ranks: there is no {interpreter if mpiexec() else 'mpiexec'}; run `make test-mpi`"
    figures["model"] = model.large() | {"bytes": model.bytes_per_element()}
    publish(out, "scaling", figures, measured_report(figures), as_json)
    computed = modelled_report(figures)
    with atomic_write(out / "scaling-model.md") as temporary:
        temporary.write_text(computed, encoding="utf-8")
    if not as_json:
        click.echo(f"\n{computed}")


def on_ranks(starter, python, n, box, rounds, bar):
    """Strong scaling with the bracket, weak scaling with boxes, on one rank and two."""
    figures = {"assembly": [], "strong": [], "weak": []}
    for ranks, case in ((1, "8x8x4"), (2, "8x8x8")):
        start = [*starter, "-n", ranks, python]
        bar.set_description_str(f"{ranks} ranks, assembly")
        figures["assembly"].append(measured(start, "assemble", "bracket", n, rounds))
        bar.set_description_str(f"{ranks} ranks, bracket")
        figures["strong"].append(measured(start, "solve", "bracket", n, 1))
        bar.set_description_str(f"{ranks} ranks, box")
        figures["weak"].append(measured(start, "solve", case, box, 1))
    return figures


def measured(start, *arguments):
    """The figures that a process, or the ranks of one, prints."""
    ranks = Path(start[-1]) if "-n" in start else None
    return figures_of((*start, _MEASURE, *arguments), seconds=_SECONDS, ranks=ranks)


def bandwidth():
    """Bytes a second that one core reads and writes in a copy of 200 MB."""
    source = np.ones(25_000_000)
    target, times = np.empty_like(source), []
    for _ in range(5):
        started = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - started)
    return 2 * source.nbytes / min(times[1:])


def _default_mesh():
    published = ROOT.parent / "shared" / "meshes" / "dragon_out.mesh"
    return published if published.exists() else data_folder("meshes") / "bent_blade.vtu"


def measured_report(figures):
    """What was measured, as markdown."""
    parts = [
        f"Machine: {figures['machine']}; load at the start {figures['load']:.1f}; one core copies "
        f"{figures['bandwidth'] / 1e9:.1f} GB/s",
        "**Threads**: 2×2×2 points, new coordinates to CSR, connectivity known",
        _threads(figures["threads"]),
    ]
    if "missing" in figures:
        return "\n\n".join([*parts, figures["missing"]])
    balance = figures["balance"]
    parts += [
        "**One rank and two**, one core each: assembly of the bracket with 2×2×2 points",
        _assembly(figures["assembly"]),
        "**Strong and weak scaling**: the bracket; boxes, twice the size on two ranks",
        _solutions(figures["strong"] + figures["weak"]),
        f"**Balance**: integration points of {balance['mesh']}, {balance['elements']:,} elements, "
        f"{balance['points']:,} points at tol {balance['tol']:g}",
        _balance(balance),
        "**Targets**",
        targets_table(against_targets(figures)),
    ]
    return "\n\n".join(parts)


def _threads(rows):
    shown = []
    for row in rows:
        times = [seconds for _, seconds in sorted(row["seconds"].items(), key=lambda item: int(item[0]))]
        shown.append(
            {
                "elements": row["elements"],
                "one": row["elements"] / times[0] / 1e6,
                "two": row["elements"] / times[-1] / 1e6,
                "ratio": times[0] / times[-1],
                "pattern": row["pattern"],
                "bytes": row["bytes"],
                "matrix": row["matrix"],
            }
        )
    columns = {
        "elements": ("elements", "{:,}"),
        "one": ("10⁶/s, one core", "{:.2f}"),
        "two": ("two cores", "{:.2f}"),
        "ratio": ("ratio", "{:.2f}"),
        "pattern": ("pattern, s", "{:.3f}"),
        "bytes": ("peak bytes/element", "{:,.0f}"),
        "matrix": ("of it matrix", "{:,.0f}"),
    }
    return markdown(shown, columns)


def _assembly(rows):
    shown = [
        {
            "ranks": row["ranks"],
            "elements": row["elements"],
            "first": row["first"],
            "again": row["again"],
            "rate": row["elements"] / row["again"] / 1e6,
            "shared": row["shared"],
        }
        for row in rows
    ]
    columns = {
        "ranks": ("ranks", "{}"),
        "elements": ("elements", "{:,}"),
        "first": ("with structure, s", "{:.2f}"),
        "again": ("structure known, s", "{:.2f}"),
        "rate": ("10⁶ elements/s", "{:.2f}"),
        "shared": ("vertices shared", "{:.1%}"),
    }
    return markdown(shown, columns)


def _solutions(rows):
    shown = []
    for row in rows:
        peak = max(peak for peak, _ in row["memory"])
        growth = max(peak - baseline for peak, baseline in row["memory"])
        own = row["elements"] / row["ranks"]
        shown.append(row | {"peak": peak / 1e6, "growth": growth / 1e6, "each": growth / own})
    columns = {
        "case": ("case", "{}"),
        "ranks": ("ranks", "{}"),
        "elements": ("elements", "{:,}"),
        "free": ("free dofs", "{:,}"),
        "first": ("assembly, s", "{:.2f}"),
        "solution": ("solution, s", "{:.1f}"),
        "iterations": ("iterations", "{}"),
        "peak": ("peak of a rank, MB", "{:,.0f}"),
        "growth": ("without libraries, MB", "{:,.0f}"),
        "each": ("bytes/own element", "{:,.0f}"),
    }
    return markdown(shown, columns)


def _balance(found):
    shown = [
        {
            "ranks": row["ranks"],
            "equal": row["points"]["equal"],
            "weighted": row["points"]["weighted"],
            "cells": row["cells"]["weighted"],
            "cut": row["cut"]["weighted"],
            "cut_equal": row["cut"]["equal"],
        }
        for row in found["rows"]
    ]
    columns = {
        "ranks": ("ranks", "{}"),
        "equal": ("points over mean, unweighted", "{:.1%}"),
        "weighted": ("weighted", "{:.1%}"),
        "cells": ("cells over mean, weighted", "{:.1%}"),
        "cut_equal": ("facets cut, unweighted", "{:,}"),
        "cut": ("weighted", "{:,}"),
    }
    return markdown(shown, columns)


def against_targets(figures):
    """Rows of targets and measured values."""
    (one, two), (small, large) = figures["assembly"], figures["strong"]
    more = large["iterations"] - small["iterations"]
    whole = [max(peak for peak, _ in row["memory"]) for row in (small, large)]
    growth = [max(peak - baseline for peak, baseline in row["memory"]) for row in (small, large)]
    worst = max(row["points"]["weighted"] for row in figures["balance"]["rows"])
    return [
        target("assembly on two ranks over one, structure known", "≥ 1.7", f"{one['again'] / two['again']:.2f}"),
        target("the same, structure found", "≥ 1.7", f"{one['first'] / two['first']:.2f}"),
        target("peak memory of a rank on two over one, all of it", "≤ 0.6", f"{whole[1] / whole[0]:.2f}"),
        target("the same, without interpreter and libraries", "≤ 0.6", f"{growth[1] / growth[0]:.2f}"),
        target("solution on two ranks over one", "≥ 1.5", f"{small['solution'] / large['solution']:.2f}"),
        target("iterations on two ranks less those on one", "within 2", f"{more:+d}"),
        target(f"imbalance of points, 2 to {max(_RANKS)} ranks, the worst", "< 5 %", f"{worst:.1%}"),
    ]


def modelled_report(figures):
    """The model beside what it can be held against, and far beyond: computed, not measured."""
    found, lines = figures["model"], []
    for row in figures.get("strong", []):
        parts = model.solution(row["elements"], row["ranks"], row["iterations"], figures["bandwidth"], 5e9, 1e-6)
        told = parts["halo"] + parts["reductions"]
        lines.append(
            f"{row['elements']:,} elements, {row['ranks']} ranks, {row['iterations']} iterations: "
            f"{parts['traffic']:.1f} s of memory traffic, {told:.2f} s of communication; "
            f"measured with set-up {row['solution']:.1f} s"
        )
    sizes = ", ".join(f"{size:,.0f} at the peak of the {stage}" for stage, size in found["bytes"].items())
    lines += [
        f"bytes per element: {sizes}",
        f"{found['elements']:.0e} elements: {found['memory'] / 1e12:.2f} TB, {found['machines']} machines of "
        f"{model.NODE['memory'] / 1e9:.0f} GB and {model.NODE['cores']} cores, {found['ranks']:,} ranks of "
        f"{found['elements a rank']:,.0f} elements, of whose nodes {found['surface']:.0%} are shared; "
        f"{found['entries a rank'] / 1e6:,.0f} million matrix entries a rank (PETSc's 32-bit indices end at 2,147)",
        f"assembly {found['kernel']:.2f} s, {found['iterations']} iterations: {found['traffic']:.1f} s of memory "
        f"traffic, {found['halo']:.2f} s of halo, {found['reductions']:.2f} s of reductions",
        f"a mesh file read on rank 0: {found['mesh on rank 0'] / 1e9:.0f} GB there",
    ]
    return "Computed, not measured:\n\n" + "\n".join(f"- {line}" for line in lines)


if __name__ == "__main__":
    main()
