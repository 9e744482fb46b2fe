"""Cost and gain of AdaptiveGauss: prediction against a stiffness pass, assembly against a uniform rule."""

import json
import subprocess
import sys
import time
from pathlib import Path

import click
import numba
import numpy as np
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity

import femnn
from benchmarks.support.memory import forget_peak, peak, resident
from benchmarks.support.publishing import publish
from benchmarks.support.timing import in_turns, median_and_spread, with_spread
from femnn.cli import Command
from femnn.geometry import VALID, classify, distorted_cube
from femnn.integration import elasticity_stiffness, error_table, smallest_points, tensor_gauss
from femnn.io import data_folder, markdown
from femnn.mesh_files import read_mesh
from femnn.system import description

_YOUNG, _POISSON = 210e9, 0.3
_CHUNK = 4096

# What scikit-fem keeps of a vector-valued basis at one point: 24 functions, values and gradients.
_BYTES_PER_POINT = 24 * 12 * 8

# Assemblies with scikit-fem's form of each rule, in turns, each in a process of its own.
_ASSEMBLIES = 3


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--elements", default=1_000_000, show_default=True, help="Elements of the prediction.")
@click.option("--repeat", default=5, show_default=True, help="Runs of each, alternating.")
@click.option("--tol", default=1e-3, show_default=True)
@click.option("--memory", default=3.0, show_default=True, help="GB that the uniform rule may take.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/adaptive-speed"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--worker", nargs=2, hidden=True, help="Rule and number of elements: one assembly, in this process.")
def main(paths, elements, repeat, tol, memory, out, as_json, worker):
    """Measure prediction on random elements, assembly and memory on the meshes PATHS, or on those of femnn.

    Where the uniform rule would take more than --memory, all rules are measured on a part of the mesh, drawn at random.
    """
    paths = paths or sorted(data_folder("meshes").glob("*.vtu"))
    if worker:
        click.echo(json.dumps(assemble_once(paths[0], *worker, tol)))
        return
    prediction = [measure_prediction(elements, repeat, tol, measure) for measure in ("entries", "energy")]
    rows = [row for path in paths for row in measure_assembly(path, tol, memory)]
    results = {"machine": description(), "elements": elements, "prediction": prediction, "assembly": rows}
    report = tables(results)
    publish(out, "adaptive-speed", results, report, as_json)


def measure_prediction(elements, repeat, tol, measure):
    """Seconds of prediction and of two stiffness passes over the same elements, one thread."""
    some = femnn.distorted_hexahedra(min(elements, 20_000), (0.05, 0.35), seed=1)
    x = np.ascontiguousarray(np.tile(some, (-(-elements // len(some)), 1, 1))[:elements])
    rule = femnn.AdaptiveGauss(tol, measure=measure)
    cube = distorted_cube(round(min(elements, 64_000) ** (1 / 3)), 0.2, seed=0)
    gauss = femnn.GaussLegendre(2)
    points = tensor_gauss(2, 2, 2)

    def predict():
        rule.choose(x)

    def stiffness():
        for start in range(0, len(x), _CHUNK):
            elasticity_stiffness(x[start : start + _CHUNK], *points)

    def assembly():
        femnn.assemble_elasticity(cube, gauss, _YOUNG, _POISSON)

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    work = {"prediction": predict, "stiffness": stiffness, "assembly": assembly}
    in_turns(work, 1)  # compiles
    seconds = in_turns(work, repeat)
    numba.set_num_threads(threads)
    elements = {"prediction": len(x), "stiffness": len(x), "assembly": cube.nelements}
    each = {name: 1e6 * np.array(values) / elements[name] for name, values in seconds.items()}
    # ratios of the same round: drift of the machine cancels
    each |= {f"over_{name}": each["prediction"] / each[name] for name in ("stiffness", "assembly")}
    found = {"measure": measure}
    for name, values in each.items():
        found[name], found[f"{name}_spread"] = median_and_spread(values)
    return found


def measure_assembly(path, tol, memory):
    """Rows of the uniform rule that keeps the tolerance and of AdaptiveGauss, each in a process of its own."""
    mesh = read_mesh(path)
    vertices = femnn.hexahedra(mesh)
    if (classify(vertices) != VALID).any():
        return []
    n = max(2, int(smallest_points(error_table(vertices, 20)[0], tol).max()))
    part = min(len(vertices), int(memory * 1e9 / (1.5 * _BYTES_PER_POINT * n**3)))
    runs = {str(n): [], "adaptive": []}
    for _ in range(_ASSEMBLIES):
        for rule, found in runs.items():
            command = [sys.executable, __file__, str(path), "--tol", str(tol), "--worker", rule, str(part)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    rows = []
    for found in runs.values():
        row = {"mesh": path.stem, "elements": part, **found[0], "faster": None, "faster_spread": None, "smaller": None}
        row["seconds"], row["seconds_spread"] = median_and_spread([run["seconds"] for run in found])
        rows.append(row)
    uniform, adaptive = rows
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(*runs.values(), strict=True)]
    adaptive["faster"], adaptive["faster_spread"] = median_and_spread(ratios)
    adaptive["smaller"] = uniform["memory"] / adaptive["memory"]
    return rows


def assemble_once(path, name, part, tol):
    """Seconds and peak memory of bases and assembly with scikit-fem's form on some elements of a mesh."""
    mesh = read_mesh(path)
    mesh = mesh.restrict(np.sort(np.random.default_rng(0).permutation(mesh.nelements)[: int(part)]))
    rule = femnn.AdaptiveGauss(tol) if name == "adaptive" else femnn.GaussLegendre(int(name))
    form = linear_elasticity(*lame_parameters(_YOUNG, _POISSON))
    element = skfem.ElementVector(skfem.ElementHex1())
    few = mesh.restrict(np.arange(20))
    skfem.asm(form, femnn.bases(few, element, rule))  # compiles, and loads what has to be loaded
    forget_peak()
    before = resident()
    started = time.perf_counter()
    bases = femnn.bases(mesh, element, rule)
    skfem.asm(form, bases)
    seconds = time.perf_counter() - started
    growth = peak() - before
    return {
        "rule": repr(rule),
        "points": rule.count_points(femnn.hexahedra(mesh)),
        "seconds": seconds,
        "memory": growth / 1e6,
    }


def _shown(rows, timed):
    """Rows with some of their figures as text, rounded to their spread."""
    return [{**row, **{name: with_spread(row[name], row[f"{name}_spread"]) for name in timed}} for row in rows]


def tables(results):
    """All figures as markdown."""
    prediction = {
        "measure": ("measure", "{}"),
        "prediction": ("prediction", "{}"),
        "stiffness": ("2×2×2 stiffness pass", "{}"),
        "assembly": ("2×2×2 fused assembly", "{}"),
        "over_stiffness": ("prediction / stiffness pass", "{}"),
        "over_assembly": ("prediction / fused assembly", "{}"),
    }
    assembly = {
        "mesh": ("mesh", "{}"),
        "elements": ("elements", "{:,}"),
        "rule": ("rule", "{}"),
        "points": ("points", "{:,}"),
        "seconds": ("bases + assembly, s", "{}"),
        "memory": ("peak memory, MB", "{:,.0f}"),
        "faster": ("times faster", "{}"),
        "smaller": ("times less memory", "{:.1f}"),
    }
    predicted = _shown(results["prediction"], list(prediction)[1:])
    assembled = _shown(results["assembly"], ("seconds", "faster"))
    return (
        f"Machine: {results['machine']}\n\nMicroseconds an element, one thread, {results['elements']:,} elements; "
        f"prediction includes what has to be settled by integration. Medians of runs in turn, with half the distance "
        f"between the quartiles:\n\n{markdown(predicted, prediction)}\n\n"
        "scikit-fem's elasticity form with femnn's bases, prediction "
        "included, memory above that of the loaded program and mesh; parts of the meshes drawn at random where the "
        f"uniform rule would take too much memory:\n\n{markdown(assembled, assembly)}\n"
    )


if __name__ == "__main__":
    main()
