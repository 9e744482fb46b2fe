"""Isotropic elasticity from mesh to sparse matrix: the fused path against scikit-fem's form, with the same points.

Both sides start at a mesh whose connectivity is known to them (scikit-fem's facets, femnn's pattern) and end at a CSR
matrix; scikit-fem builds its basis. Runs alternate, medians are taken, compilation and first runs are shown apart.
"""

import json
import time
from pathlib import Path

import click
import numba
import numpy as np
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from tqdm import tqdm

import femnn
from femnn.assembly.pattern import Pattern
from femnn.files import atomic_write
from femnn.geometry.families import distorted_cube
from femnn.machine import description
from femnn.tables import markdown

_YOUNG, _POISSON = 210e9, 0.3
_FORM = linear_elasticity(*lame_parameters(_YOUNG, _POISSON))


@click.command()
@click.option("--n", default=20, show_default=True, help="Elements along each edge of a distorted cube.")
@click.option("--repeat", default=5, show_default=True, help="Runs of each, alternating.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/assembly"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(n, repeat, out, as_json):
    """Elements per second of fused assembly, and how many times faster than scikit-fem's elasticity form."""
    mesh = distorted_cube(n, 0.2, seed=0)
    started = time.perf_counter()
    femnn.assemble_elasticity(distorted_cube(2, 0.2, seed=0), femnn.GaussLegendre(2), _YOUNG, _POISSON)
    compiling = time.perf_counter() - started
    rules = {
        "8 points": femnn.GaussLegendre(2),
        "27 points": femnn.GaussLegendre(3),
        "AdaptiveGauss(1e-3)": femnn.AdaptiveGauss(1e-3),
        "CorrectedGauss()": femnn.CorrectedGauss(),
    }
    pattern, building = timed(lambda: Pattern.of(mesh))
    rows = [measure(name, rule, mesh, pattern, repeat) for name, rule in tqdm(rules.items(), disable=None)]
    figures = {"machine": description(), "compiling": compiling, "pattern": building, "n": n, "rows": rows}
    report = table(figures)
    for name, text in (("assembly.md", report), ("assembly.json", json.dumps(figures, indent=1))):
        with atomic_write(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    click.echo(json.dumps(figures) if as_json else report)


def measure(name, rule, mesh, pattern, repeat):
    """Seconds of both paths for one rule, and how far their matrices differ."""
    element = skfem.ElementVector(skfem.ElementHex1())

    def fused(threads):
        numba.set_num_threads(threads)
        return femnn.assemble_elasticity(mesh, rule, _YOUNG, _POISSON, pattern=pattern)

    def form():
        return skfem.asm(_FORM, femnn.bases(mesh, element, rule))

    threads = numba.config.NUMBA_NUM_THREADS
    one, all_, theirs = fused(1), fused(threads), form()
    seconds = {"one": [], "all": [], "form": []}
    for _ in range(repeat):
        seconds["one"].append(timed(lambda: fused(1))[1])
        seconds["all"].append(timed(lambda: fused(threads))[1])
        seconds["form"].append(timed(form)[1])
    medians = {key: float(np.median(values)) for key, values in seconds.items()}
    return {
        "rule": name,
        "points": rule.points(femnn.hexahedra(mesh)),
        "rate_one": mesh.nelements / medians["one"] / 1e6,
        "rate_all": mesh.nelements / medians["all"] / 1e6,
        "rate_form": mesh.nelements / medians["form"] / 1e6,
        "ratio": medians["form"] / medians["one"],
        "difference": float(abs(one - theirs).max() / abs(theirs).max()),
        "same_bits": bool((one.data == all_.data).all()),
        "threads": threads,
    }


def timed(function):
    """What a function returns, and the seconds it took."""
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def table(figures):
    """The figures as markdown."""
    elements, threads = figures["n"] ** 3, figures["rows"][0]["threads"]
    columns = {
        "rule": ("rule", "{}"),
        "points": ("points", "{:,}"),
        "rate_one": ("fused, 1 thread", "{:.3f}"),
        "rate_all": (f"fused, {threads} threads", "{:.3f}"),
        "rate_form": ("scikit-fem's form", "{:.4f}"),
        "ratio": ("1 thread / form", "{:.0f}"),
        "difference": ("difference", "{:.0e}"),
    }
    return (
        f"Machine: {figures['machine']}\n\nMillion elements a second, {elements:,} distorted hexahedra, prediction and "
        f"checks of the mesh included:\n\n{markdown(figures['rows'], columns)}\n\nFirst call with compilation or its "
        f"cache: {figures['compiling']:.1f} s; sparsity pattern, once a mesh: {1e3 * figures['pattern']:.0f} ms.\n"
    )


if __name__ == "__main__":
    main()
