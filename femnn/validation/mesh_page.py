"""A mesh as one page for a browser: to turn, cut and colour, with a histogram and tables; it needs no network."""

import base64
import gzip
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, instance
from femnn.exceptions import ParameterError
from femnn.geometry.cells import HEXAHEDRON, kind_of_mesh
from femnn.geometry.mesh import hexahedra
from femnn.io.atomic import atomic_write
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.validation.cell_inspection import CellFindings, inspect_cells
from femnn.validation.mesh_inspection import Integration, Shape, measure_integration, measure_shape

_PARTS = Path(__file__).parent / "viewer"

# Fields whose values span decades.
_LOGARITHMIC = ("Error", "aspect", "volume")


@dataclass(frozen=True, eq=False, repr=False)
class MeshPage:
    """A page about a mesh: ``write`` makes a file of it, and a notebook shows it as it is.

    Parameters
    ----------
    mesh
        Of quadrilaterals or hexahedra. Curved edges are drawn straight.
    fields
        Values (n_elements,) by name, the first is shown at first. NaN is grey. Names that begin with "Error", "aspect"
        or "volume" get a logarithmic scale.
    title, summary
        Head of the page, and a line below it.
    tables
        Rows by heading; the first row of each is the head of its columns.

    Raises
    ------
    ParameterError
        If there are no fields, or one has not a value for each element.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> page = MeshPage(skfem.MeshHex(), {"size": np.ones(1)})
    >>> page.text().startswith("<!doctype html>")
    True
    """

    mesh: skfem.Mesh
    fields: Mapping[str, ArrayLike]
    title: str = "mesh"
    summary: str = ""
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind_of_mesh(self.mesh)
        if not instance("fields", self.fields, Mapping, remedy="values by name"):
            raise ParameterError("a page needs at least one field of the elements; pass fields={'name': values}")
        for name in ("title", "summary"):
            instance(name, getattr(self, name), str)
        for heading, rows in instance("tables", self.tables, Mapping, remedy="rows by heading").items():
            if not isinstance(rows, list | tuple) or not all(isinstance(row, list | tuple) for row in rows):
                raise ParameterError(f"the table {brief(heading)} is {brief(rows)}; pass a list of rows")
        fields = {str(name): floats(f"the field {name}", values, finite=False) for name, values in self.fields.items()}
        for name, values in fields.items():
            if values.shape != (self.mesh.nelements,):
                raise ParameterError(
                    f"the field {brief(name)} has the shape {values.shape}, the mesh {self.mesh.nelements} "
                    "elements; pass one value for each"
                )
        object.__setattr__(self, "fields", fields)

    def __repr__(self) -> str:
        names = list(self.fields)
        more = ", ..." if len(names) > 3 else ""
        return f"<MeshPage of {self.mesh.nelements} elements, fields {', '.join(names[:3])}{more}>"

    def text(self) -> str:
        """The page, with everything that it needs in it."""
        # a closing tag in a name would end the script that holds it
        data = json.dumps(self._data()).replace("</", "<\\/")
        parts = {
            "TITLE": html.escape(self.title),
            "SUMMARY": html.escape(self.summary),
            "TABLES": "\n".join(_table(name, rows) for name, rows in self.tables.items()),
            "TWGL": (_PARTS / "twgl.min.js").read_text(encoding="utf-8"),
            "VIEWER": (_PARTS / "viewer.js").read_text(encoding="utf-8"),
            "DATA": data,
        }
        page = (_PARTS / "page.html").read_text(encoding="utf-8")
        return re.sub(r"@([A-Z]+)@", lambda found: parts[found[1]], page)

    def write(self, path: str | os.PathLike) -> None:
        """Write the page, whole or not at all; its folder is made if need be."""
        with atomic_write(path) as temporary:
            Path(temporary).write_text(self.text(), encoding="utf-8")

    def _repr_html_(self) -> str:
        frame = 'style="width: 100%; height: 640px; border: 0"'
        return f'<iframe {frame} srcdoc="{html.escape(self.text())}"></iframe>'

    def _data(self) -> dict:
        facets, sides = _faces(self.mesh)
        corners = self.mesh.p[:, self.mesh.t]
        points = np.pad(self.mesh.p, [(0, 3 - self.mesh.dim()), (0, 0)])
        middles = np.pad(corners.mean(axis=1), [(0, 3 - self.mesh.dim()), (0, 0)])
        # far from the origin float32 would not tell vertices apart
        middle = (points.min(axis=1, keepdims=True) + points.max(axis=1, keepdims=True)) / 2.0
        colours = (255.0 * matplotlib.colormaps["viridis"](np.arange(256))[:, :3]).round()
        return {
            "plane": self.mesh.dim() == 2,
            "points": _packed((points - middle).T, np.float32),
            "middles": _packed((middles - middle).T, np.float32),
            "facets": _packed(facets.T, np.uint32),
            "sides": _packed(sides.T, np.int32),
            "colours": _packed(colours, np.uint8),
            "fields": [
                {"name": name, "log": name.startswith(_LOGARITHMIC), "packed": _packed(values, np.float32)}
                for name, values in self.fields.items()
            ],
        }


def _faces(mesh):
    """Corners (4, n) of all faces, in the order around them, and their elements (2, n), -1 where there is none."""
    if mesh.dim() == 2:
        return mesh.t[:4], np.stack([np.arange(mesh.nelements), np.full(mesh.nelements, -1)])
    return mesh.facets[:4], mesh.f2t


def _packed(values, kind):
    return base64.b64encode(gzip.compress(np.ascontiguousarray(values, dtype=kind).tobytes(), 6, mtime=0)).decode()


def _table(name, rows):
    head, *body = ([html.escape(str(cell)) for cell in row] for row in rows)
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
    return f'<h2>{html.escape(name)}</h2><div class="wide"><table>{"".join(lines)}</table></div>'


@checked()
def inspection_page(mesh: skfem.Mesh, tol: float = 1e-3, title: str = "mesh") -> MeshPage:
    """What ``femnn inspect`` finds out about a mesh, as a page; in a notebook the last line of a cell shows it.

    Parameters
    ----------
    mesh
        Of quadrilaterals or hexahedra. Folded elements are grey in the fields of points and Errors.
    tol
        Tolerance of the Error that :class:`femnn.AdaptiveGauss` is asked for.
    title
        Head of the page.

    Examples
    --------
    >>> from femnn.geometry import distorted_cube
    >>> inspection_page(distorted_cube(2, 0.2, seed=1), tol=1e-2)
    <MeshPage of 8 elements, fields points, Error of AdaptiveGauss, points needed per axis, ...>
    """
    rule = AdaptiveGauss(tol)
    if kind_of_mesh(mesh) is not HEXAHEDRON:
        return page_of_cells(mesh, inspect_cells(mesh, rule), tol, title)
    shape = measure_shape(mesh)
    integration = None
    if len(shape.valid):
        integration = measure_integration(hexahedra(mesh)[shape.valid], rule, rule.poisson, progress=False)
    return page_of_hexahedra(mesh, shape, integration, title)


def page_of_hexahedra(mesh: skfem.MeshHex, shape: Shape, integration: Integration | None, title: str) -> MeshPage:
    """The page of the findings about straight hexahedra; shape alone if nothing was integrated."""
    fields, tables = {}, {}
    if integration is not None:
        fields = {
            "points": integration.chosen.prod(axis=1),
            "Error of AdaptiveGauss": integration.adaptive,
            "points needed per axis": integration.needed,
            **{f"Error of {name}": errors for name, errors in integration.errors.items() if name != "AdaptiveGauss"},
            "outside the trained range": integration.outside,
        }
        fields = {name: _on_all(shape, values) for name, values in fields.items()}
        rows = [[row.rule, f"{row.points:,}", f"{row.median:.1e}", f"{row.worst:.1e}", f"{row.misses:,}"]
                for row in integration.table]  # fmt: skip
        tables[f"Rules, tolerance {integration.tol:g}"] = [["rule", "points", "median", "worst", "misses"], *rows]
    fields |= {
        "scaled Jacobian": shape.scaled_jacobian,
        "aspect": shape.aspect,
        "distance from parallelepiped": shape.distance,
        "volume": shape.volume,
    }
    if len(shape.valid) < mesh.nelements:
        fields["status: 1 folded, 2 degenerate"] = shape.status
    tables["Shape"] = [["", "min", "median", "max"],
                       *([name, *(f"{value:.3g}" for value in values)] for name, *values in shape.table())]  # fmt: skip
    summary = f"{mesh.nelements:,} hexahedra, {mesh.nvertices:,} vertices"
    unfit = mesh.nelements - len(shape.valid)
    return MeshPage(mesh, fields, title, f"{summary}, {unfit:,} folded or degenerate" if unfit else summary, tables)


def page_of_cells(mesh: skfem.Mesh, findings: CellFindings, tol: float, title: str) -> MeshPage:
    """The page of the findings about quadrilaterals and cells with curved edges."""
    fields = {}
    if findings.chosen is not None:
        fields["points"] = _on_all(findings, findings.chosen.prod(axis=1))
        errors = np.full(len(findings.valid), np.nan)
        errors[findings.sample] = findings.errors
        fields["Error of AdaptiveGauss"] = _on_all(findings, errors)
    fields["area" if findings.kind.dim == 2 else "volume"] = findings.size
    fields["status: 1 folded, 2 degenerate"] = findings.status
    return MeshPage(mesh, fields, title, f"{mesh.nelements:,} {findings.kind.name}, tolerance {tol:g}")


def _on_all(findings, values):
    """Values of the healthy elements as a field of the whole mesh, NaN elsewhere."""
    whole = np.full(len(findings.status), np.nan)
    whole[findings.valid] = values
    return whole
