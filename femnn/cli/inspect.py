"""``femnn inspect``: what a mesh needs, as text or JSON, as fields for ParaView and as a picture."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from femnn.exceptions import ParameterError
from femnn.geometry.cells import HEXAHEDRON, cells, kind_of_mesh
from femnn.geometry.connectivity import measure_connectivity
from femnn.geometry.mesh import hexahedra
from femnn.geometry.validity import VALID, classify
from femnn.integration.convergence import MOST_POINTS
from femnn.io.tables import aligned
from femnn.mesh_files import read_with_remarks
from femnn.quadrature.adaptive.report import count_rules
from femnn.validation.cell_inspection import draw_cells, inspect_cells, write_cell_fields
from femnn.validation.inspection_output import draw, write_fields
from femnn.validation.mesh_inspection import make_rule, measure_integration, measure_shape
from femnn.validation.mesh_page import page_of_cells, page_of_hexahedra

_LISTED = 20


class _Confidence(click.ParamType):
    """A number, or ``none`` for the bare prediction."""

    name = "share|none"

    def convert(self, value, param, ctx):
        if value is None or str(value).lower() == "none":
            return None
        try:
            return float(value)
        except ValueError:
            return self.fail(f"{value!r} is neither a number nor 'none'", param, ctx)


@click.command("inspect")
@click.argument("mesh", type=click.Path(path_type=Path))
@click.option("--tol", type=float, default=1e-3, show_default=True, help="Tolerance of the Error of each element.")
@click.option(
    "--confidence",
    type=_Confidence(),
    default=0.99,
    show_default=True,
    help="Fraction of the elements that are to meet the tolerance; 'none' for the bare prediction.",
)
@click.option("--isotropic", is_flag=True, help="The same number of points along the three axes of an element.")
@click.option("--poisson", type=float, default=0.3, show_default=True, help="Poisson's ratio of the stiffness.")
@click.option(
    "--on-folded",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="Stop at folded or degenerate elements, or leave them out and count them.",
)
@click.option(
    "--weights",
    default="integration-points",
    show_default=True,
    help="Weights of AdaptiveGauss: shipped ones, or a file from `femnn train points`.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.  [default: ./NAME-inspect]"
)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one page for a browser, with the mesh to turn, cut and colour.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
@click.pass_context
def command(ctx, mesh, tol, confidence, isotropic, poisson, on_folded, weights, out, page, as_json):
    """Show how distorted the cells of MESH are and how many integration points each needs.

    MESH is a file of any format on the page docs/how-to/my-mesh.md. Says as well what of the file was left out, and
    which elements coincide or do not hang together. Errors are measured against converged integration of every
    element. Writes NAME.vtu with the findings as cell fields, NAME.png, a picture, and with --html a page to turn the
    mesh in. Exit code 1 means that there are folded or degenerate elements.
    """
    rule = make_rule(tol, confidence, not isotropic, poisson, weights)
    path = mesh
    mesh, remarks, warnings = read_with_remarks(path)
    folder = out if out is not None else Path(f"{path.stem}-inspect")
    files = [folder / f"{path.stem}.vtu", folder / f"{path.stem}.png", *([page] if page else [])]
    if kind_of_mesh(mesh) is not HEXAHEDRON:
        _inspect_other_cells(ctx, path, mesh, rule, on_folded, folder, files, page, as_json, remarks, warnings)
        return
    shape = measure_shape(mesh)
    skipped = mesh.nelements - len(shape.valid)
    stopped = (skipped > 0 and on_folded == "raise") or skipped == mesh.nelements
    _prepare(folder, files, path)
    integration = None
    if not stopped:
        integration = measure_integration(hexahedra(mesh)[shape.valid], rule, poisson)
    write_fields(files[0], mesh, shape, integration)
    draw(files[1], path.stem, mesh, shape, integration)
    if page is not None:
        page_of_hexahedra(mesh, shape, integration, path.stem).write(page)
    document = _document(path, mesh, shape, integration, rule, poisson, files)
    document |= {"remarks": remarks, "warnings": warnings}
    click.echo(json.dumps(document, indent=2, allow_nan=False) if as_json else _report(document))
    if stopped:
        click.echo(_bad_news(document, on_folded), err=True)
        ctx.exit(1)


def _inspect_other_cells(ctx, path, mesh, rule, on_folded, folder, files, page, as_json, remarks, warnings):
    """The findings about quadrilaterals and about cells with curved edges."""
    skipped = int(np.sum(classify(cells(mesh)) != VALID))
    stopped = (skipped > 0 and on_folded == "raise") or skipped == mesh.nelements
    _prepare(folder, files, path)
    findings = inspect_cells(mesh, rule, integrate=not stopped)
    write_cell_fields(files[0], mesh, findings)
    draw_cells(files[1], path.stem, mesh, findings, rule.tol)
    if page is not None:
        page_of_cells(mesh, findings, rule.tol, path.stem).write(page)
    document = _document_of_cells(path, mesh, findings, rule, files) | {"remarks": remarks, "warnings": warnings}
    click.echo(json.dumps(document, indent=2, allow_nan=False) if as_json else _report_of_cells(document))
    if stopped:
        click.echo(_bad_news(document, on_folded), err=True)
        ctx.exit(1)


def _document_of_cells(path, mesh, findings, rule, files):
    document = {
        "mesh": str(path),
        "cells": findings.kind.name,
        "elements": int(mesh.nelements),
        "vertices": int(mesh.nvertices),
        "tol": rule.tol,
        "confidence": rule.confidence,
        "poisson": rule.poisson,
        "anisotropic": rule.anisotropic,
        "area" if findings.kind.dim == 2 else "volume": float(findings.size[findings.valid].sum()),
        "folded": _elements(findings.folded),
        "degenerate": _elements(findings.degenerate),
        "duplicates": _elements(findings.duplicates),
        "loose_vertices": _vertices(findings.loose),
        "boundaries": {name: len(facets) for name, facets in (mesh.boundaries or {}).items()},
        "subdomains": {name: len(elements) for name, elements in (mesh.subdomains or {}).items()},
        "files": [str(file) for file in files],
    }
    if findings.chosen is None:
        return document
    points = findings.chosen.prod(axis=1)
    return document | {
        "points": int(points.sum()),
        "points_per_element": float(points.mean()),
        "chosen": {_rule_name(rule): count for rule, count in count_rules(findings.chosen).items()},
        "measured": len(findings.sample),
        "needed": _counts(findings.needed),
        "misses": int(np.sum(findings.errors >= rule.tol)),
        "worst": float(findings.errors.max()),
    }


def _report_of_cells(document):
    size = f"area {document['area']:.6g}" if "area" in document else f"volume {document['volume']:.6g}"
    parts = [
        f"{document['mesh']}: {document['elements']:,} {document['cells']}, {document['vertices']:,} vertices, {size}",
        "\n".join(
            [
                *(
                    f"{name} elements: {document[name]['count']:,}{_listing(document[name]['elements'])}"
                    for name in ("folded", "degenerate")
                ),
                *(
                    f"{document[name]['count']:,} {_FAULTS[name]}"
                    for name in ("duplicates", "loose_vertices")
                    if document[name]["count"]
                ),
                *(
                    f"{what}: " + ", ".join(f"{name} ({count:,})" for name, count in document[what].items())
                    for what in ("boundaries", "subdomains")
                    if document[what]
                ),
                *_file_remarks(document),
            ]
        ),
    ]
    if "points" in document:
        often = [[name.replace("x", "×"), f"{count:,}"] for name, count in list(document["chosen"].items())[:_LISTED]]
        needed = [[n, f"{count:,}"] for n, count in document["needed"].items()]
        parts += [
            f"Elements by the rule that AdaptiveGauss chooses for Error < {document['tol']:g} of the shape functions "
            f"that map them, {document['points']:,} points in all\n{aligned([['rule', 'elements'], *often])}",
            f"{document['measured']:,} of them, drawn at random, by points per axis that are needed, as measured\n"
            f"{aligned([['n per axis', 'elements'], *needed])}",
            f"AdaptiveGauss misses the tolerance in {document['misses']:,} of these {document['measured']:,}; its "
            f"largest Error is {document['worst']:.1e}",
        ]
    parts.append("written: " + ", ".join(document["files"]))
    return "\n\n".join(parts)


def _prepare(folder, files, path):
    """Fail before the long work where it would fail at the end."""
    if any(file.exists() and file.samefile(path) for file in files):
        raise ParameterError(f"the findings would overwrite {path} itself; choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)


def _document(path, mesh, shape, integration, rule, poisson, files):
    """All findings as plain numbers: what --json prints and the report words."""
    document = {
        "mesh": str(path),
        "elements": int(mesh.nelements),
        "vertices": int(mesh.nvertices),
        "tol": rule.tol,
        "confidence": rule.confidence,
        "poisson": poisson,
        "anisotropic": rule.anisotropic,
        "volume": float(shape.volume[shape.valid].sum()),
        "folded": _elements(shape.folded),
        "degenerate": _elements(shape.degenerate),
        **_connectivity(measure_connectivity(mesh)),
        "quality": {
            name: {"min": _number(least), "median": _number(median), "max": _number(largest)}
            for name, least, median, largest in shape.table()
        },
        "files": [str(file) for file in files],
    }
    if integration is None:
        return document
    return document | {
        "points_per_axis": {
            "chosen": {_rule_name(rule): count for rule, count in count_rules(integration.chosen).items()},
            "needed": _counts(integration.needed),
        },
        "uniform": integration.uniform,
        "uniform_at_equal_misses": _uniform(integration.needed, len(integration.violations)),
        "rules": [
            asdict(row) | {"points_per_element": row.points / len(integration.chosen)} for row in integration.table
        ],
        "learned": [asdict(gain) | {"pays": gain.pays} for gain in integration.learned],
        "violations": _elements(shape.valid[integration.violations]),
        "outside_range": _elements(shape.valid[integration.outside]),
        "unsettled": _elements(shape.valid[integration.unsettled]),
    }


def _connectivity(findings):
    return {
        "duplicates": _elements(findings.duplicates),
        "hanging_vertices": _vertices(findings.hanging_vertices),
        "coincident_vertices": _vertices(findings.coincident_vertices),
        "loose_vertices": _vertices(findings.loose_vertices),
        "parts": findings.parts,
        "hinged_parts": findings.hinged_parts,
    }


def _vertices(indices):
    return {"count": len(indices), "vertices": indices.tolist()}


def _elements(indices):
    return {"count": len(indices), "elements": indices.tolist()}


def _rule_name(rule):
    return "x".join(map(str, rule))


def _counts(points_per_axis):
    values, counts = np.unique(points_per_axis, return_counts=True)
    return {str(n): int(count) for n, count in zip(values, counts, strict=True)}


def _uniform(needed, missed):
    """Points per axis of the smallest uniform rule that misses the tolerance in ``missed`` elements; None if none."""
    n = int(np.sort(needed)[::-1][min(missed, len(needed) - 1)])
    return n if n < MOST_POINTS else None


def _number(value):
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None


def _report(document):
    unfit = document["folded"]["count"] + document["degenerate"]["count"]
    parts = [
        f"{document['mesh']}: {document['elements']:,} hexahedra, {document['vertices']:,} vertices, "
        f"volume {document['volume']:.6g}{' without the unfit ones' if unfit else ''}",
        _quality(document),
        _status(document),
    ]
    if "rules" in document:
        parts += [_points(document), _rules(document), _gains(document), _notes(document)]
    parts.append("written: " + ", ".join(document["files"]))
    return "\n\n".join(parts)


def _quality(document):
    rows = [
        [name, *("inf" if value is None else f"{value:.3g}" for value in figures.values())]
        for name, figures in document["quality"].items()
    ]
    return aligned([["Shape", "min", "median", "max"], *rows])


def _status(document):
    lines = []
    for kind in ("folded", "degenerate"):
        lines.append(f"{kind} elements: {document[kind]['count']:,}{_listing(document[kind]['elements'])}")
    return "\n".join([*lines, *_joints(document), *_file_remarks(document)])


# What is wrong with the connectivity, by its name in the document.
_FAULTS = {
    "duplicates": "elements coincide with others, their volume and stiffness count twice",
    "hanging_vertices": "vertices hang on faces or edges of elements that do not have them, displacements tear there",
    "coincident_vertices": "vertices are at the place of others: parts are not merged there, or are split on purpose",
    "loose_vertices": "vertices belong to no element, their rows of a matrix are zero",
}


def _joints(document):
    """Lines about the connectivity; none for a sound mesh."""
    for name, words in _FAULTS.items():
        if document[name]["count"]:
            members = document[name]["elements" if name == "duplicates" else "vertices"]
            yield f"{document[name]['count']:,} {words}{_listing(members)}"
    if document["parts"] > 1:
        yield f"{document['parts']:,} parts are not connected; each has to be held by itself"
    if document["hinged_parts"] > document["parts"]:
        yield (
            f"{document['hinged_parts']:,} parts share no face, some meet at edges or vertices alone; they can "
            "turn there as on hinges"
        )


def _file_remarks(document):
    yield from (f"file: {remark}" for remark in document["remarks"])
    yield from (f"file: warning: {warning}" for warning in document["warnings"])


def _points(document):
    chosen, needed = (document["points_per_axis"][key] for key in ("chosen", "needed"))
    confidence = "no safety" if document["confidence"] is None else f"confidence {document['confidence']:g}"
    rows = [[f">= {n}" if int(n) == MOST_POINTS else n, f"{count:,}"] for n, count in needed.items()]
    often = [[name.replace("x", "×"), f"{count:,}"] for name, count in list(chosen.items())[:_LISTED]]
    more = sum(chosen.values()) - sum(list(chosen.values())[:_LISTED])
    others = [["others", f"{more:,}"]] if more else []
    return (
        f"Elements by Gauss points per axis, n, needed for Error < {document['tol']:g}, as measured with "
        f"Poisson's ratio {document['poisson']:g}\n{aligned([['n per axis', 'elements'], *rows])}\n\n"
        f"and by the rule that AdaptiveGauss chooses ({confidence})\n{aligned([['rule', 'elements'], *often, *others])}"
    )


def _rules(document):
    rows = [["Rule", "points", "per element", "Error: median", "99 %", "worst", "misses tol"]]
    for row in document["rules"]:
        note = " *" if row["rule"] == f"GaussLegendre({document['uniform']})" else ""
        errors = [f"{row[key]:.1e}" for key in ("median", "p99", "worst")]
        rows.append(
            [
                row["rule"] + note,
                f"{row['points']:,}",
                f"{row['points_per_element']:.1f}",
                *errors,
                f"{row['misses']:,}",
            ]
        )
    uniform = document["uniform"]
    footnote = (
        f"* the smallest uniform rule that meets {document['tol']:g} in every element"
        if uniform is not None
        else f"no uniform rule of fewer than {MOST_POINTS} points per axis meets {document['tol']:g} in every element"
    )
    return f"{aligned(rows)}\n{footnote}"


def _gains(document):
    """What learned rules gain on this mesh over as many Gauss points, in words."""
    lines = []
    for gain in document["learned"]:
        name, plain = gain["rule"], f"GaussLegendre({gain['gauss']})"
        share = gain["changed"] / sum(document["points_per_axis"]["needed"].values())
        if gain["mean_r_error"] is None:
            lines.append(f"{name} does not pay on this mesh: {plain} is exact in every element")
            continue
        finding = f"changes {share:.0%} of the elements and leaves {gain['mean_r_error']:.0%} of the Error of {plain}"
        finding += f", {gain['worst_r_error']:.0%} at worst"
        lines.append(f"{name} {'pays' if gain['pays'] else f'does not pay on this mesh, take {plain}'}: it {finding}")
    return "\n".join(lines)


def _notes(document):
    adaptive, best = (_row(document, name)["points"] for name in ("AdaptiveGauss", "fewest n×n×n"))
    notes = []
    elements = sum(document["points_per_axis"]["needed"].values())
    if document["uniform_at_equal_misses"] is not None:
        n = document["uniform_at_equal_misses"]
        notes.append(
            f"AdaptiveGauss takes {adaptive / (elements * n**3):.0%} of the points of {n}×{n}×{n}, the smallest "
            "uniform rule that misses the tolerance in no more elements, and "
            f"{adaptive / best:.2f} times the fewest possible with equal numbers along the axes"
        )
    misses = document["violations"]
    notes.append(f"AdaptiveGauss misses the tolerance in {misses['count']:,} elements{_listing(misses['elements'])}")
    outside = document["outside_range"]
    notes.append(
        f"outside the trained range, settled by integration: {outside['count']:,} elements"
        f"{_listing(outside['elements'])}"
    )
    if document["unsettled"]["count"]:
        unsettled = document["unsettled"]
        notes.append(
            f"{unsettled['count']:,} elements are so nearly folded that {MOST_POINTS - 1} points per axis do not meet "
            f"the tolerance{_listing(unsettled['elements'])}; improve them or relax --tol"
        )
    return "\n".join(notes)


def _row(document, name):
    return next(row for row in document["rules"] if row["rule"] == name)


def _bad_news(document, on_folded):
    folded, degenerate = document["folded"], document["degenerate"]
    elements = sorted(folded["elements"] + degenerate["elements"])
    remedy = "repair the mesh or pass --on-folded skip"
    if on_folded == "skip":
        remedy = "nothing is left to integrate, repair the mesh"
    return (
        f"femnn: {folded['count']:,} elements are folded and {degenerate['count']:,} degenerate"
        f"{_listing(elements)}; {remedy}"
    )


def _listing(elements):
    """The elements by number, not too many of them; --json and the .vtu file have all."""
    if not elements:
        return ""
    more = f" and {len(elements) - _LISTED:,} more" if len(elements) > _LISTED else ""
    return f" ({', '.join(map(str, elements[:_LISTED]))}{more})"
