"""What the first call waits for: seconds of each stage with no kernel compiled, and with all of them on the disk.

Each row is a process of its own on the shipped bracket. Seconds are processor time, of one thread. Python's own code is
compiled before, as pip does where it installs femnn.
"""

import compileall
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from tqdm import tqdm

import femnn
from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.io import markdown
from femnn.system import description

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_STAGES = ("imports", "mesh", "rule and matrix", "solution", "law at the points", "law, mean dilatation")


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/first-call"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(out, as_json):
    """Time the stages from nothing to a solution, and a law at the points, before and after kernels are compiled."""
    compileall.compile_dir(Path(femnn.__file__).parent, quiet=1)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for kernels in tqdm(("none compiled", "all compiled"), desc="first call", disable=None):
            rows.append({"kernels": kernels, **_measured(cache)})
    publish(out, "first-call", {"machine": description(), "rows": rows}, report(rows), as_json)


def _measured(cache):
    folder = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "NUMBA_CACHE_DIR": cache}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks.solution.first_call_worker"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(run.stdout.strip().splitlines()[-1])


def report(rows):
    """Table as markdown."""
    columns = {"kernels": ("kernels", "{}")} | {stage: (f"{stage}, s", "{:.2f}") for stage in _STAGES}
    return f"Machine: {description()}\n\n{markdown(rows, columns)}\n"


if __name__ == "__main__":
    main()
