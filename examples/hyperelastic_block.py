"""A rubber block, squeezed and sheared: what integration points cost with an expensive law.

    python examples/hyperelastic_block.py --out results

The law is Ogden's in principal stretches: every integration point solves an eigenvalue problem in every iteration of
Newton's method. ``femnn.Solid`` takes the law as a batched callable; the rules are swapped by name. Compared are 8, 27
and 64 points, the uniform rule that keeps the tolerance in every element, and AdaptiveGauss: evaluations of the law,
time of the whole solution, difference from a solution with many more points.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import skfem
from matplotlib.figure import Figure

import femnn
from femnn.geometry import distorted_cube
from femnn.integration import error_table, smallest_points
from femnn.io import atomic_write, markdown
from femnn.plotting import save

# Of rubber after Treloar's data, two terms of R. W. Ogden, Proc. R. Soc. A 326 (1972) 565-584; MPa.
MODULI, EXPONENTS, BULK = (0.63, -0.01), (1.3, -2.0), 5.0
TOLERANCE, STEPS = 1e-8, 2


def stress(deformation):
    """First Piola-Kirchhoff stress (3, 3, cells, points), MPa, of deformation gradients of the same shape.

    W = Σ μ/α (λ₁^α + λ₂^α + λ₃^α - 3) - Σ μ ln J + K/2 (ln J)².
    """
    f = np.moveaxis(deformation, (0, 1), (-2, -1))
    values, vectors = np.linalg.eigh(np.swapaxes(f, -1, -2) @ f)
    stretches = np.sqrt(values)
    log_volume = 0.5 * np.log(values.prod(axis=-1))[..., None]
    # principal second Piola-Kirchhoff stresses
    second = BULK * log_volume / values
    for modulus, exponent in zip(MODULI, EXPONENTS, strict=True):
        second = second + modulus * (stretches ** (exponent - 2.0) - 1.0 / values)
    result = f @ np.einsum("...ik,...k,...jk->...ij", vectors, second, vectors)
    return np.moveaxis(result, (-2, -1), (0, 1))


def tangent(deformation):
    """∂P/∂F (3, 3, 3, 3, cells, points) by central differences: a law given as a program has no other."""
    result = np.empty((3, 3, *deformation.shape))
    for k in range(3):
        for m in range(3):
            step = np.zeros_like(deformation)
            step[k, m] = 1e-6
            result[:, :, k, m] = (stress(deformation + step) - stress(deformation - step)) / 2e-6
    return result


class Ogden:
    """The law as ``femnn.Solid`` takes it, counting how often it is asked and the seconds that this takes."""

    kinematics = "finite"

    def __init__(self):
        self.evaluations, self.seconds = 0, 0.0

    def initial_state(self, n):
        return np.empty((n, 0))

    def update(self, gradient, state):
        """Stress and tangent of n points for displacement gradients (n, 3, 3)."""
        started = time.perf_counter()
        deformation = np.moveaxis(gradient, 0, -1) + np.eye(3)[..., None]
        if (np.linalg.det(np.moveaxis(deformation, -1, 0)) <= 0.0).any():
            raise femnn.LawError("a point is turned inside out")  # Newton's method tries a smaller step
        answer = np.moveaxis(stress(deformation), -1, 0), np.moveaxis(tangent(deformation), -1, 0)
        self.seconds += time.perf_counter() - started
        self.evaluations += len(gradient)
        return *answer, state


def solve(mesh, rule):
    """Displacement of the block, mm; its law, and seconds: prediction, assembly, Newton's method."""
    started, law = time.perf_counter(), Ogden()
    dofs = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs
    bottom, top = (np.unique(mesh.facets[:, mesh.boundaries[name]]) for name in ("bottom", "top"))
    final = np.zeros(dofs.size)
    final[dofs[0, top]], final[dofs[2, top]] = 0.25, -0.2
    held = np.concatenate([dofs[:, bottom].ravel(), dofs[:, top].ravel()])
    solid = femnn.Solid(mesh, rule, law)
    path = femnn.newton(solid, np.zeros(dofs.size), held, final[held], steps=STEPS, rtol=TOLERANCE, progress=False)
    return path.u, law, time.perf_counter() - started


def main(n=5, distortion=0.33, tol=1e-3, out="results", seed=0):
    """Solve with all rules; returns a dict of figures by rule."""
    mesh = distorted_cube(n, distortion, seed)
    elements = femnn.hexahedra(mesh)
    uniform = max(2, int(smallest_points(error_table(elements, 20)[0], tol).max()))
    rules = {f"{k}×{k}×{k} Gauss points": femnn.GaussLegendre(k) for k in sorted({2, 3, 4, uniform})}
    rules |= {
        f"AdaptiveGauss({tol:g})": femnn.AdaptiveGauss(tol),
        'AdaptiveGauss(0.01, measure="energy")': femnn.AdaptiveGauss(1e-2, measure="energy"),
    }
    exact = solve(mesh, femnn.AdaptiveGauss(1e-7))[0]
    figures = {}
    for name, rule in rules.items():
        displacement, law, seconds = solve(mesh, rule)
        figures[name] = {
            "points": rule.count_points(elements),
            "evaluations": law.evaluations,
            "law_seconds": law.seconds,
            "seconds": seconds,
            "error": float(np.abs(displacement - exact).max() / np.abs(exact).max()),
            "keeps_tol": name.startswith((f"{uniform}×", "AdaptiveGauss")),
        }
        print(f"{name}: {seconds:.1f} s, difference {figures[name]['error']:.1e}")
    report(figures, out)
    return figures


def report(figures, out):
    """Write the table and the picture."""
    rows = [{"rule": name, **own} for name, own in figures.items()]
    columns = {
        "rule": ("rule", "{}"),
        "points": ("points", "{:,}"),
        "evaluations": ("evaluations of the law", "{:,}"),
        "law_seconds": ("in the law, s", "{:.1f}"),
        "seconds": ("in all, s", "{:.1f}"),
        "error": ("difference of the displacement", "{:.1e}"),
    }
    table = markdown(rows, columns)
    print(table)
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, own in figures.items():
        axes.loglog(own["seconds"], own["error"], "o" if own["keeps_tol"] else "x", markersize=9, label=name)
    axes.set(xlabel="time of the solution (s)", ylabel="difference of the displacement from many points")
    axes.legend(fontsize=8, title="circles: tolerance kept in every element")
    save(figure, Path(out) / "hyperelastic_block.png")
    with atomic_write(Path(out) / "hyperelastic_block.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=5, help="elements along each edge")
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.n, tol=arguments.tol, out=arguments.out)
