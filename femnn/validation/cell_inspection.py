"""Findings of ``femnn inspect`` about meshes of quadrilaterals and of cells with curved edges."""

import os
from dataclasses import dataclass

import matplotlib
import meshio
import numpy as np
import skfem
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from skfem.io.meshio import to_meshio

from femnn.geometry.cells import CellKind, cells, determinants, kind_of_mesh
from femnn.geometry.connectivity import duplicate_elements, loose_vertices
from femnn.geometry.validity import VALID, classify
from femnn.integration.gauss import tensor_gauss
from femnn.io.atomic import atomic_write
from femnn.plotting import PLAIN, save
from femnn.quadrature.adaptive.cell_measure import CellMeasure
from femnn.quadrature.adaptive.legendre_series import MOST
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.validation.mesh_inspection import ByStatus

# Cells on which rules are measured: all of a small mesh, so many drawn of a large one.
_SAMPLE = 400
_SEED = 0
# Points per side along which a curved edge is drawn.
_PER_EDGE = 6


@dataclass(frozen=True, eq=False, repr=False)
class CellFindings(ByStatus):
    """What a mesh needs.

    Attributes
    ----------
    kind
        Of its cells.
    status : (n,)
        Of each cell, as :func:`femnn.geometry.validity.classify` has it.
    size : (n,)
        Areas or volumes.
    duplicates, loose
        Numbers of elements that coincide with others, and of vertices without elements.
    chosen : (n_valid, dim)
        Points along the axes that AdaptiveGauss takes in healthy cells; None if nothing was integrated.
    sample
        Numbers, among the healthy cells, of those that were measured.
    needed : (n_sample,)
        Fewest points per axis, the same along all, that keep the tolerance there.
    errors : (n_sample,)
        Errors of AdaptiveGauss there.
    """

    kind: CellKind
    status: np.ndarray
    size: np.ndarray
    duplicates: np.ndarray
    loose: np.ndarray
    chosen: np.ndarray | None = None
    sample: np.ndarray | None = None
    needed: np.ndarray | None = None
    errors: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<CellFindings about {len(self.status)} {self.kind.name}>"


def inspect_cells(mesh: skfem.Mesh, rule: AdaptiveGauss, integrate: bool = True) -> CellFindings:
    """Findings about a mesh of any kind of cells; shape functions are those that map the cells.

    Parameters
    ----------
    mesh
        Of quadrilaterals or hexahedra, straight or curved.
    rule
        An AdaptiveGauss, whose measure is taken.
    integrate
        Choose and measure points on the healthy cells, if there are any.
    """
    x, kind = cells(mesh), kind_of_mesh(mesh)
    status = classify(x)
    points, weights = tensor_gauss(*[kind.dim * kind.degree] * kind.dim)
    size = np.abs(determinants(x, points)) @ weights
    findings = CellFindings(kind, status, size, duplicate_elements(mesh), loose_vertices(mesh))
    if not integrate or len(findings.valid) == 0:
        return findings
    healthy = x[findings.valid]
    chosen, _ = rule.for_degree(kind.degree).choose(healthy)
    rng = np.random.default_rng(_SEED)
    sample = np.sort(rng.choice(len(healthy), min(_SAMPLE, len(healthy)), replace=False))
    measure = CellMeasure(kind.degree, rule.poisson, rule.form, rule.measure)
    needed = _needed(measure, healthy[sample], rule.tol)
    errors = measure.errors(healthy[sample], chosen[sample])
    return CellFindings(kind, status, size, findings.duplicates, findings.loose, chosen, sample, needed, errors)


def _needed(measure, x, tolerance):
    """Fewest points per axis that keep the tolerance, (n,)."""
    needed, waiting = np.full(len(x), MOST), np.arange(len(x))
    for n in range(1, MOST):
        kept = measure.keeps(x[waiting], np.full((len(waiting), x.shape[2]), n), tolerance)
        needed[waiting[kept]] = n
        waiting = waiting[~kept]
        if len(waiting) == 0:
            break
    return needed


def write_cell_fields(path: str | os.PathLike, mesh: skfem.Mesh, findings: CellFindings) -> None:
    """Write the mesh with ``status`` (0 healthy, 1 folded, 2 degenerate) and ``points`` as cell fields."""
    fields = {"status": findings.status.astype(np.int32), "points": _points(findings).astype(np.int32)}
    written = to_meshio(mesh, cell_data={name: [values] for name, values in fields.items()})
    # the format has points in space alone
    written.points = np.pad(written.points, [(0, 0), (0, 3 - mesh.dim())])
    with atomic_write(path) as temporary:
        meshio.write(temporary, written, "vtu")


def _points(findings):
    points = np.zeros(len(findings.status))
    if findings.chosen is not None:
        points[findings.valid] = findings.chosen.prod(axis=1)
    return points


def draw_cells(path: str | os.PathLike, name: str, mesh: skfem.Mesh, findings: CellFindings, tol: float) -> None:
    """Write the picture: a plane mesh coloured by its points, and how many cells take how many points."""
    plane = findings.kind.dim == 2
    figure = Figure(figsize=(13.0 if plane else 7.5, 5.8))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    figure.suptitle(f"{name}: {mesh.nelements:,} {findings.kind.name}, tolerance {tol:g}", fontsize=14)
    axes = figure.subplots(1, 2 if plane else 1, squeeze=False)[0]
    if plane:
        _draw_plane(figure, axes[0], mesh, findings)
    _draw_counts(axes[-1], findings)
    save(figure, path)


def _draw_plane(figure, axes, mesh, findings):
    outlines = _outlines(mesh, findings.kind)
    points = _points(findings)
    healthy = findings.status == VALID
    drawn = PolyCollection(outlines[healthy], array=points[healthy], cmap="viridis", edgecolors="white", linewidths=0.3)
    axes.add_collection(drawn)
    if not healthy.all():
        axes.add_collection(PolyCollection(outlines[~healthy], facecolors=PLAIN, edgecolors="#d62728", linewidths=1.5))
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    if findings.chosen is not None:
        figure.colorbar(drawn, ax=axes, label="integration points of a cell", shrink=0.8)


def _outlines(mesh, kind):
    """Polygons (n, corners, 2) along the edges of the cells."""
    ticks = np.linspace(0.0, 1.0, _PER_EDGE if kind.degree > 1 else 2)[:-1]
    zero, one = np.zeros_like(ticks), np.ones_like(ticks)
    around = np.concatenate([[ticks, zero], [one, ticks], [1.0 - ticks, one], [zero, 1.0 - ticks]], axis=1)
    return np.einsum("aq,nai->nqi", kind.shapes(around), cells(mesh))


def _draw_counts(axes, findings):
    if findings.chosen is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no cell was integrated", ha="center", va="center")
        return
    points = findings.chosen.prod(axis=1)
    values, counts = np.unique(points, return_counts=True)
    colours = matplotlib.colormaps["viridis"]((values - values[0]) / max(1, values[-1] - values[0]))
    axes.bar([f"{value}" for value in values], counts, color=colours)
    axes.set_xlabel("integration points of a cell")
    axes.set_ylabel("cells")
    uniform = len(points) * findings.needed.max() ** findings.kind.dim
    axes.set_title(f"{points.sum():,} points; {uniform:,} with the same rule everywhere", fontsize=11)
    if len(values) > 12:
        axes.tick_params(axis="x", labelrotation=60)
