"""Displacements, stresses and what else belongs to a solution as files for ParaView."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, instance, number
from femnn.exceptions import ParameterError
from femnn.fields.facets import facet_means, require_points
from femnn.fields.invariants import von_mises
from femnn.geometry.hexahedron import TO_VTK
from femnn.geometry.mesh import require_hexahedra
from femnn.io.atomic import atomic_write
from femnn.io.time_series import time_series


@checked(displacement="unchecked", nodal="unchecked", elements="unchecked", interfaces="unchecked")
def save_fields(
    path: str | os.PathLike,
    mesh: skfem.Mesh,
    displacement: ArrayLike | None = None,
    *,
    nodal: Mapping[str, ArrayLike] | None = None,
    elements: Mapping[str, ArrayLike] | None = None,
    interfaces: Mapping[str, tuple[Any, Mapping[str, ArrayLike]]] | None = None,
    t: float | None = None,
) -> None:
    """Write a mesh with fields at its vertices, in its elements and on its interfaces.

    Parameters
    ----------
    path
        ``.vtu``, or any format of meshio; ``.pvd`` for a series, to which each call adds the state at ``t``.
    mesh
        A ``skfem.MeshHex``; its subdomains are written as a field of elements each, 1 inside.
    displacement
        (3 n_nodes,) or more, numbered as by femnn; written at the vertices as vectors.
    nodal
        Fields (n_vertices,) or (n_vertices, k) by name, or such that begin with the vertices, as
        :func:`femnn.recover` gives them. A field of six components is a stress: its von Mises equivalent is written
        beside it.
    elements
        Fields (n_elements,) or (n_elements, k), or the list of arrays (m, nqp, ...) of a rule of one group, of which
        the means are written.
    interfaces
        By name the elements of an interface of this mesh, :class:`femnn.InterfaceElements` or
        :class:`femnn.interfaces.InterfaceBases`, and fields at their points, (points, ...) as laws give them or
        (n, nqp, ...) as :meth:`femnn.CohesiveProblem.damage` does. The facets of the minus side are written as cells
        beside the elements, with means over each facet; ``interface`` counts them from 1 in the order of this argument
        and is 0 in the body. A field that is not defined in a cell is NaN there.
    t
        Time or load factor of a series; a time that is not beyond those in the file takes the place of these.

    Raises
    ------
    MeshError
    ParameterError
        If a field does not fit the mesh, or the suffix is unknown; nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_fields(Path(folder) / "cube.vtu", skfem.MeshHex(), np.zeros(24), elements={"material": [7.0]})
    """
    path = Path(path)
    require_hexahedra(mesh)
    points = _at_vertices(mesh, displacement, _by_name("nodal", nodal))
    cells = _in_elements(mesh, _by_name("elements", elements))
    blocks = [("hexahedron", _vtk_cells(mesh))]
    for facets, means in _on_interfaces(mesh, interfaces):
        blocks.append(("quad", facets))
        cells = _with_block(cells, means, [len(block) for _, block in blocks])
    whole = meshio.Mesh(mesh.p.T, blocks, point_data=points, cell_data=cells)
    if path.suffix in (".pvd", ".xdmf"):
        if t is None:
            raise ParameterError(f"{path} is a series; pass t, the time or load factor of this state")
        time = number("t", t)
        time_series(path, np.nextafter(time, -np.inf)).write(time, whole)
        return
    if t is not None:
        raise ParameterError(f"t={t} needs a series; pass a path that ends on .pvd")
    if path.suffix not in meshio.extension_to_filetypes:
        raise ParameterError(f"{path} has a suffix that meshio does not know; write a .vtu file")
    with atomic_write(path) as temporary:
        whole.write(temporary)


def _by_name(name, fields):
    return {} if fields is None else instance(name, fields, Mapping, remedy="a dict of fields by name")


def _vtk_cells(mesh):
    """Vertices of the cells in the order of VTK, whose bottom comes before its top, seen along a right-handed axis."""
    cells = mesh.t.T[:, TO_VTK]
    first, second, _, fourth, fifth = (mesh.p[:, cells[:, a]].T for a in range(5))
    volumes = np.einsum("ei,ei->e", np.cross(second - first, fourth - first), fifth - first)
    return np.where(volumes[:, None] < 0.0, np.roll(cells, 4, axis=1), cells)


def _at_vertices(mesh, displacement, nodal):
    n, points = mesh.p.shape[1], {}
    if displacement is not None:
        u = floats("the displacement", displacement)
        if u.ndim != 1 or len(u) < 3 * n or len(u) % 3:
            raise ParameterError(
                f"the displacement has shape {u.shape}; pass ({3 * n},), or the longer one of ElementHex2"
            )
        points["displacement"] = u.reshape(-1, 3)[:n]
    for name, values in nodal.items():
        array = floats(f"the field {name}", values, finite=False)
        if array.ndim not in (1, 2) or len(array) < n:
            raise ParameterError(f"the field {name} has shape {array.shape}; pass a row for each of {n} vertices")
        points[name] = array[:n]
        if array.shape[1:] == (6,):
            points[f"{name} von Mises"] = von_mises(array[:n])
    return points


def _on_interfaces(mesh, interfaces):
    """Corners (n, 4) of the facets of each interface, and its fields by name."""
    blocks = []
    for place, (name, pair) in enumerate(_by_name("interfaces", interfaces).items(), 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[1], Mapping):
            raise ParameterError(f"the interface {name!r} is {brief(pair)}; pass its elements and a dict of fields")
        elements, fields = pair
        require_points(f"the interface {name!r}", elements)
        elements.interface.require_mesh(mesh, f"the interface {name!r}")
        means = {field: facet_means(elements.dx, field, values) for field, values in fields.items()}
        blocks.append((elements.interface.minus_vertices, {"interface": np.full(len(elements.dx), place), **means}))
    return blocks


def _with_block(cells, means, sizes):
    """Fields of cells with one more block of facets; NaN, or 0 for integers, where a field is not defined."""
    grown = {}
    for name in {**cells, **means}:
        before, last = cells.get(name), means.get(name)
        known = last if before is None else before[0]
        before = [_undefined(n, known) for n in sizes[:-1]] if before is None else before
        last = _undefined(sizes[-1], known) if last is None else last
        if before[0].shape[1:] != last.shape[1:]:
            raise ParameterError(
                f"the field {name} has the shape {before[0].shape} in the elements and {last.shape} on an interface; "
                "give it another name there"
            )
        grown[name] = [*before, last]
    return grown


def _undefined(n, known):
    whole = known.dtype.kind in "iu"
    return np.full((n, *known.shape[1:]), 0 if whole else np.nan, dtype=known.dtype if whole else float)


def _in_elements(mesh, elements):
    m, cells = mesh.nelements, {}
    for name, values in elements.items():
        if isinstance(values, list) and len(values) == 1 and np.ndim(values[0]) >= 2:
            values = np.mean(values[0], axis=1)
        array = floats(f"the field {name}", values, finite=False)
        if array.ndim not in (1, 2) or len(array) != m:
            raise ParameterError(f"the field {name} has shape {array.shape}; pass a row for each of {m} elements")
        cells[name] = [array]
    for name, members in (mesh.subdomains or {}).items():
        inside = np.zeros(m, dtype=np.int8)
        inside[members] = 1
        cells.setdefault(name, [inside])
    return cells
