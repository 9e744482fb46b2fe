"""From mesh arrays to the solution, beside the programs that others would take: seconds of each stage, and memory.

Every program solves to a relative residual of 1e-8 in a process of its own; programs take turns. Those that are not
installed (``pip install femnn[bench]``) are left out with a word. Seconds are processor time with one thread, and by
the clock with two.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.solution.problems import names, problem
from benchmarks.solution.programs import PROGRAMS, missing
from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.exceptions import FemnnError
from femnn.io import markdown
from femnn.plotting import save
from femnn.system import description

# One thread for the libraries below the programs; those that have threads of their own are told how many.
_ONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Mean displacements of two programs that solve the same problem to the tolerance, relative to each other.
_AGREEMENT = 1e-5

# Seconds that a program may take for all its solutions of one problem.
_PATIENCE = 900


@click.command(cls=Command)
@click.option("--problem", "chosen", multiple=True, help="Name of a problem, as in the table; default: all.")
@click.option("--program", "programs", multiple=True, type=click.Choice(list(PROGRAMS)), help="Default: all.")
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1), help="Warm solutions of each program.")
@click.option("--meshes", type=click.Path(path_type=Path, exists=True), help="Folder with bunny_out.mesh.")
@click.option("--quick", is_flag=True, help="Small problems, once each.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/solution"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(chosen, programs, repeat, meshes, quick, out, as_json):
    """Solve linear, quadratic and nonlinear problems with femnn and the programs beside it."""
    rows, notes = [], {name: missing(name) for name in programs or PROGRAMS}
    cases = []
    for what in chosen or names(quick):
        try:
            given = problem(what, meshes)
        except FemnnError as error:
            notes[what] = str(error)
            continue
        cases += [
            (what, name, threads, given)
            for threads in ((1,) if quick else (1, 2))
            for name in programs or PROGRAMS
            if notes[name] is None and _is_asked(name, given)
        ]
    for what, name, threads, given in tqdm(cases, desc="solution", disable=None):
        row = {"problem": what, "program": name, "threads": threads, "elements": given.t.shape[1]}
        rows.append({**row, **_measured(name, what, threads, 1 if quick else repeat, meshes)})
    _compare(rows)
    figures = {"machine": description(), "rows": rows, "left out": {k: v for k, v in notes.items() if v}}
    _plot(rows, out / "solution.png")
    publish(out, "solution", figures, report(figures), as_json)


def _is_asked(name, given):
    _, _, kinds, most = PROGRAMS[name]
    return given.kind in kinds and (most is None or given.p.size <= most)


def _measured(name, what, threads, repeat, meshes):
    """Figures of one program, or why there are none."""
    folder = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **dict.fromkeys(_ONE, "1"), "NUMBA_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks.solution.worker", name, what, str(threads), str(repeat)]
    command += [] if meshes is None else [str(meshes)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return {"failure": f"more than {_PATIENCE} s"}
    if run.returncode:
        return {"failure": (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]}
    return json.loads(run.stdout.strip().splitlines()[-1])


def _compare(rows):
    """Write down by how much each solution differs from femnn's; one that differs is a failure."""
    for row in rows:
        own = [r for r in rows if r["program"] == "femnn" and r["problem"] == row["problem"] and "mean" in r]
        if not own or "mean" not in row:
            continue
        expected = np.array(own[0]["mean"])
        row["difference"] = float(np.abs(np.array(row["mean"]) - expected).max() / expected.max())
        if row["difference"] > _AGREEMENT:
            row["failure"] = f"another solution: it differs by {row['difference']:.0e}"


def report(figures):
    """Table and notes as markdown."""
    rows = [row for row in figures["rows"] if "failure" not in row]
    for row in rows:
        others = [
            r["warm"]
            for r in rows
            if r["program"] != "femnn" and all(r[key] == row[key] for key in ("problem", "threads"))
        ]
        row["over best"] = row["warm"] / min(others) if others else None
        row |= {stage: row["stages"].get(stage) for stage in ("assembly", "set-up", "iterations")}
        row["megabytes"] = row["peak"] / 1e6
    table = markdown(
        rows,
        {
            "problem": ("problem", "{}"),
            "elements": ("elements", "{:,}"),
            "program": ("program", "{}"),
            "threads": ("threads", "{}"),
            "assembly": ("assembly, s", "{:.2f}"),
            "set-up": ("set-up, s", "{:.2f}"),
            "iterations": ("iterations, s", "{:.2f}"),
            "warm": ("together, s", "{:.2f}"),
            "over best": ("over the best other", "{:.2f}"),
            "cold": ("first time, s", "{:.2f}"),
            "megabytes": ("peak memory, MB", "{:,.0f}"),
        },
    )
    words = [f"{name}: {why}." for name, why in figures["left out"].items()]
    words += [
        f"{r['program']}, {r['problem']}, threads {r['threads']}: {r['failure']}."
        for r in figures["rows"]
        if "failure" in r
    ]
    return "\n\n".join([f"Machine: {figures['machine']}", table, *words]) + "\n"


def _plot(rows, path):
    """Seconds with one thread, a group of bars for each problem."""
    rows = [row for row in rows if "warm" in row and row["threads"] == 1]
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(PROGRAMS)
    for k, name in enumerate(PROGRAMS):
        own = [row for row in rows if row["program"] == name]
        places = [problems.index(row["problem"]) + width * k for row in own]
        axes.bar(places, [row["warm"] for row in own], width, label=name)
    axes.set_yscale("log")
    axes.set_xticks(np.arange(len(problems)) + 0.4 - width / 2, problems, rotation=20)
    axes.set_ylabel("from arrays to the solution, s")
    axes.legend(fontsize="small")
    save(figure, path)


if __name__ == "__main__":
    main()
