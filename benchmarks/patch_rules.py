"""What corrections that keep the patch test reach: 27 corrected weights, and the hourglass correction.

R_error on elements and meshes that no network has seen, by Poisson's ratio; how exactly the patch test is kept; and
what a correction costs beside the points that it replaces.
"""

import json
import time
from pathlib import Path

import click
import numpy as np
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from tqdm import tqdm

from femnn import CorrectedGauss, GaussLegendre, HourglassCorrection, Pattern, assemble_elasticity, bases, hexahedra
from femnn import distorted_hexahedra as drawn
from femnn.commands import Command
from femnn.commands.locations import data_folder
from femnn.files import atomic_write
from femnn.geometry.families import distorted_cube
from femnn.geometry.reading import read_mesh
from femnn.geometry.validity import VALID, classify
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import error_against, stiffness_error
from femnn.integration.patch_test import patch_residual
from femnn.machine import description
from femnn.tables import markdown

POISSON = (0.3, -0.4, 0.0, 0.45, 0.49)

# Below this the Gauss points are exact up to round-off, and R_error compares noise.
_EXACT = 1e-9
_MOST_OF_A_MESH = 6000


class Corrected:
    """The hourglass correction, with the faces that the tables need: an Error per element, and what is corrected."""

    name, points = "HourglassCorrection, 2×2×2", 2

    def __init__(self):
        self.correction = HourglassCorrection()

    def errors(self, elements, references, poisson):
        """Error of each element, (n,)."""
        return stiffness_error(self.correction.stiffness(elements, poisson=poisson), references)

    def covered(self, elements):
        """Which elements are corrected, (n,) bool."""
        return self.correction.covers(elements)

    def residual(self, elements):
        """Largest force of a linear displacement over that of the stiffness, as the patch test has it."""
        change = self.correction.stiffness(elements)
        standard = np.abs(change).max(axis=(1, 2))
        linear = elements - elements.mean(axis=1, keepdims=True)
        linear = (linear / np.abs(linear).max(axis=(1, 2))[:, None, None]).reshape(len(elements), 24)
        exact = np.einsum("eij,ej->ei", _mean_part(elements), linear)
        return np.abs(np.einsum("eij,ej->ei", change, linear) - exact).max(axis=1) / standard


class Weighted:
    """A rule with corrected weights, the same way."""

    name, points = "CorrectedGauss(3, patch=True)", 3

    def __init__(self):
        self.rule = CorrectedGauss(3, patch=True)

    def errors(self, elements, references, poisson):
        """Error of each element, (n,)."""
        return error_against(elements, self.rule, references, poisson)

    def covered(self, elements):
        """Which elements are corrected, (n,) bool."""
        return self.rule.corrected(elements)

    def residual(self, elements):
        """Largest relative error of the 24 integrals, (n,)."""
        found = np.empty(len(elements))
        for group in self.rule.groups(elements):
            found[group.cells] = patch_residual(elements[group.cells], group.X, group.W)
        return found


def _mean_part(elements):
    """Stiffness by 30×30×30 points: exact for a linear displacement, with points that no rule here shares."""
    return converged_stiffness(elements)[0]


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--elements", type=click.IntRange(min=10), default=5000, show_default=True, help="Random elements.")
@click.option("--seed", type=click.IntRange(min=0), default=20_171, show_default=True, help="Of the random elements.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/patch-rules"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, elements, seed, out, as_json):
    """Measure on random elements and on the meshes PATHS; without any, on those that come with femnn."""
    random = drawn(elements, (0.05, 0.35), seed)
    rules = [Corrected(), Weighted()]
    rows = []
    for rule in rules:
        for poisson in tqdm(POISSON if rule.points == 2 else POISSON[:1], desc=rule.name, disable=None):
            rows.append(measure(rule, "random", random, poisson))
    for path in tqdm(paths or sorted(data_folder("meshes").glob("*.vtu")), desc="meshes", disable=None):
        found = hexahedra(read_mesh(path))
        found = found[classify(found) == VALID]
        found = found[:: -(-len(found) // _MOST_OF_A_MESH)]
        rows += [measure(rule, path.stem, found, POISSON[0]) for rule in rules]
    figures = {"machine": description(), "seed": seed, "errors": rows, "times": times()}
    report = tables(figures)
    for name, text in (("patch-rules.md", report), ("patch-rules.json", json.dumps(figures, indent=1))):
        with atomic_write(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    click.echo(json.dumps(figures) if as_json else report)


def measure(rule, where, elements, poisson):
    """One row: R_error against Gauss points, as many along each axis, on all elements that these do not settle."""
    references, doubt = converged_stiffness(elements, poisson)
    standard = error_against(elements, GaussLegendre(rule.points), references, poisson)
    wrong = (standard > _EXACT) & (doubt < 1e-3 * standard)
    ratio = rule.errors(elements, references, poisson)[wrong] / standard[wrong]
    return {
        "rule": rule.name,
        "where": where,
        "poisson": poisson,
        "elements": len(elements),
        "mean": float(ratio.mean()) if wrong.any() else None,
        "below_1": float(np.mean(ratio < 1.0)) if wrong.any() else None,
        "largest": float(ratio.max()) if wrong.any() else None,
        "outside": float(np.mean(~rule.covered(elements))),
        "patch": float(rule.residual(elements[:500]).max()),
    }


def times(n=20):
    """Microseconds an element: each way of assembly once prepared, the best of five in turn."""
    mesh = distorted_cube(n, 0.3)
    pattern, correction = Pattern.of(mesh), HourglassCorrection()
    element, form = skfem.ElementVector(skfem.ElementHex1()), linear_elasticity(*lame_parameters(1.0, 0.3))

    def fused(rule, **options):
        return lambda: assemble_elasticity(mesh, rule, 1.0, 0.3, pattern=pattern, **options)

    def general(rule):
        return lambda: skfem.asm(form, bases(mesh, element, rule))

    ways = {
        "fused, 8 points": fused(GaussLegendre(2)),
        "fused, 8 points and hourglass correction": fused(GaussLegendre(2), hourglass=correction),
        "fused, 27 points": fused(GaussLegendre(3)),
        "fused, 27 corrected weights": fused(CorrectedGauss(3, patch=True)),
        "fused, 64 points": fused(GaussLegendre(4)),
        "the correction alone": lambda: correction.matrix(mesh, 1.0, 0.3, pattern=pattern),
        "scikit-fem's form, 8 points": general(GaussLegendre(2)),
        "scikit-fem's form, 27 points": general(GaussLegendre(3)),
    }
    found = {name: [] for name in ways}
    for turn in range(6):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if turn:  # the first compiles
                found[name].append(time.perf_counter() - started)
    return [{"way": name, "microseconds": 1e6 * min(seconds) / mesh.nelements} for name, seconds in found.items()]


def tables(figures):
    """All figures as markdown."""
    errors = markdown(
        figures["errors"],
        {
            "rule": ("rule", "{}"),
            "where": ("elements", "{}"),
            "elements": ("number", "{:,}"),
            "poisson": ("ν", "{:g}"),
            "mean": ("mean R_error", "{:.3f}"),
            "below_1": ("R_error < 1", "{:.2%}"),
            "largest": ("largest", "{:.2f}"),
            "outside": ("outside range", "{:.2%}"),
            "patch": ("patch test", "{:.0e}"),
        },
    )
    spent = markdown(figures["times"], {"way": ("assembly", "{}"), "microseconds": ("µs an element", "{:.2f}")})
    return f"Machine: {figures['machine']}\n\n{errors}\n\n{spent}\n"


if __name__ == "__main__":
    main()
