"""Problems with published answers on cells of every kind: what each rule gives, and with how many points."""

from pathlib import Path

import click
from tqdm import tqdm

import femnn
from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.exceptions import SingularMatrixError
from femnn.io import markdown
from femnn.system import description
from femnn.validation.gallery import gallery_problems

RULES = {
    "2": femnn.GaussLegendre(2),
    "3": femnn.GaussLegendre(3),
    "AdaptiveGauss(1e-3)": femnn.AdaptiveGauss(1e-3),
}


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/validation"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(out, as_json):
    """Values, references and points of NAFEMS LE1 and LE10, Cook's membrane, a thick cylinder and a thick sphere."""
    rows = []
    for problem in tqdm(gallery_problems(), disable=None):
        row = {"problem": problem.name, "cells": problem.cells, "quantity": problem.quantity}
        row["reference"] = problem.reference
        for name, rule in RULES.items():
            try:
                value, points = problem.solve(rule)
            except SingularMatrixError:
                value, points = None, None
            off = None if value is None else value / problem.reference - 1.0
            row |= {name: value, f"{name}, off": off, f"{name}, points": points}
        rows.append(row)
    figures = {"machine": description(), "rows": rows}
    publish(out, "validation", figures, _report(figures), as_json)


def _report(figures):
    columns = {
        "problem": ("problem", "{}"),
        "cells": ("cells, element", "{}"),
        "quantity": ("what", "{}"),
        "reference": ("reference", "{:.4g}"),
    }
    for name in RULES:
        title = name if name in ("AdaptiveGauss(1e-3)",) else f"{name} per axis"
        columns |= {
            name: (title, "{:.4g}"),
            f"{name}, off": ("off", "{:+.2%}"),
            f"{name}, points": ("points", "{:,}"),
        }
    lines = [
        f"Machine: {figures['machine']}",
        "Values by each rule, how far they are off the reference, and the points of the whole mesh; stresses in Pa, "
        "displacements in m, those of the membrane in its own units. Two points per axis leave the functions of Quad2 "
        "and Hex2 motions without energy: the matrix is singular (a dash) or nearly so:",
        markdown(figures["rows"], columns),
    ]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
