"""From mesh arrays to the solution, beside the programs that others would take: seconds of each stage, and memory.

Every program solves to a relative residual of 1e-8, or directly, in a process of its own; programs take turns. Those
that are not installed (``pip install femnn[bench]``) are left out with a word. Seconds are processor time with one
thread, and by the clock with two, which are asked of those whose solvers have threads. Each row is a file in the folder
``rows`` of ``--out``: a run that was stopped goes on with the rows that are missing, and measures anew those of another
machine, program or version.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.solution.problems import LARGE, names, problem
from benchmarks.solution.programs import PROGRAMS, asked_of, missing
from benchmarks.support.kept import KeptRows, version_of_femnn
from benchmarks.support.publishing import publish
from benchmarks.support.timing import median_and_spread, with_spread
from femnn.cli import Command
from femnn.exceptions import FemnnError
from femnn.io import markdown
from femnn.plotting import save
from femnn.system import description

# One thread for the libraries below the programs; those that have threads of their own are told how many.
_ONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Names under which modules are distributed, where they differ.
_DISTRIBUTIONS = {"skfem": "scikit-fem", "skfemntv": "scikit-fem-native", "torchfem": "torch-fem"}

# Mean displacements of two programs that solve the same problem to the tolerance, relative to each other.
_AGREEMENT = 1e-5

# Seconds that a program may take for all its solutions of one problem.
_PATIENCE = 900
_TOO_LONG = f"more than {_PATIENCE} s"


@click.command(cls=Command)
@click.option("--problem", "chosen", multiple=True, help="Name of a problem, as in the table; default: all.")
@click.option("--program", "programs", multiple=True, type=click.Choice(list(PROGRAMS)), help="Default: all.")
@click.option("--threads", "counts", multiple=True, type=click.IntRange(1, 2), help="1 or 2; default: both.")
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1), help="Warm solutions of each program.")
@click.option("--large", is_flag=True, help="Add a cube of 1,000,000 elements, for femnn alone, solved once.")
@click.option("--meshes", type=click.Path(path_type=Path, exists=True), help="Folder with bunny_out.mesh.")
@click.option("--quick", is_flag=True, help="Small problems, once each.")
@click.option("--anew", is_flag=True, help="Measure again what an earlier run has left in the folder --out.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/solution"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(chosen, programs, counts, repeat, large, meshes, quick, anew, out, as_json):
    """Solve linear, quadratic and nonlinear problems with femnn and the programs beside it."""
    rows, notes = [], {name: missing(name) for name in programs or PROGRAMS}
    cases = []
    for what in [*(chosen or names(quick)), *([LARGE] if large else [])]:
        try:
            given = problem(what, meshes)
        except FemnnError as error:
            notes[what] = str(error)
            continue
        cases += [
            (what, name, threads, given)
            for threads in sorted(set(counts)) or ((1,) if quick else (1, 2))
            for name in programs or PROGRAMS
            if notes[name] is None and _is_asked(name, what, given, threads)
        ]
    kept = KeptRows(out / "rows", anew)
    for what, name, threads, given in tqdm(cases, desc="solution", disable=None):
        row = {"problem": what, "program": name, "threads": threads, "elements": given.t.shape[1]}
        times = 0 if what == LARGE else 1 if quick else repeat
        rows.append({**row, **_resumed(kept, name, what, given, threads, times)})
    for row in rows:
        if "failure" not in row:
            # what is solved once has no warm solution
            row["warm"], row["spread"] = median_and_spread(row["warm runs"] or [row["cold"]])
    _compare(rows)
    left_out = {name: why for name, why in notes.items() if why}
    figures = {"machine": description(), "rows": rows, "left out": left_out}
    _plot(rows, out / "solution.png")
    publish(out, "solution", figures, report(figures), as_json)


def _is_asked(name, what, given, threads):
    asked = PROGRAMS[name]
    if given.kind not in asked.kinds or (threads > 1 and not asked.threads) or (what == LARGE and name != "femnn"):
        return False
    return asked.most is None or given.p.size <= asked.most


def _resumed(kept, name, what, given, threads, repeat):
    """Figures of one program from an earlier run of the same; measured if there is none."""
    label = f"{what}, {name}, {threads} thread{'s' * (threads > 1)}"
    return kept.get(
        label,
        {"repeat": repeat, "version": _version(name)},
        lambda: _measured(name, given, threads, repeat),
        # what failed for another cause than time may have been an accident
        lambda figures: "failure" not in figures or figures["failure"] == _TOO_LONG,
    )


def _version(name):
    """Version of a program; of femnn the checksum of its sources."""
    module = PROGRAMS[name].module
    if module == "femnn":
        return version_of_femnn()
    if PROGRAMS[name].python != sys.executable:
        return asked_of(PROGRAMS[name].python, f"import {module}; print({module}.__version__)")
    try:
        return version(_DISTRIBUTIONS.get(module, module))
    except PackageNotFoundError:
        return "unknown"


def _measured(name, given, threads, repeat):
    """Figures of one program, or why there are none."""
    folder = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **dict.fromkeys(_ONE, "1"), "NUMBA_NUM_THREADS": str(threads)}
    python = PROGRAMS[name].python
    # what is on the path for this interpreter is not for another
    others = environment.get("PYTHONPATH") if python == sys.executable else None
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, others]))
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "problem.npz"
        given.write(file)
        command = [python, "-m", "benchmarks.solution.worker", name, str(file), str(threads), str(repeat)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return {"failure": _TOO_LONG}
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
        row["together"] = with_spread(row["warm"], row.get("spread"))
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
            "together": ("together, s", "{}"),
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
    programs = [name for name in PROGRAMS if any(row["program"] == name for row in rows)]
    width = 0.8 / max(len(programs), 1)
    for k, name in enumerate(programs):
        own = [row for row in rows if row["program"] == name]
        places = [problems.index(row["problem"]) + width * k for row in own]
        axes.bar(places, [row["warm"] for row in own], width, label=name)
    axes.set_yscale("log")
    axes.set_xticks(np.arange(len(problems)) + 0.4 - width / 2, problems, rotation=20, ha="right")
    axes.set_ylabel("from arrays to the solution, s")
    axes.legend(fontsize="small")
    save(figure, path)


if __name__ == "__main__":
    main()
