"""Fields on an interface as files for ParaView."""

import os
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import floats, instance, vector
from femnn.exceptions import ParameterError
from femnn.interfaces.elements import InterfaceElements
from femnn.io.atomic import atomic_write
from femnn.io.time_series import padded


def interface_mesh(interface, dx, fields):
    """Minus side of an interface as a ``meshio.Mesh`` with the means of fields over each facet, weighted by area.

    Parameters
    ----------
    interface
        :class:`femnn.Interface` of n facets; each gets vertices of its own.
    dx : (n, nqp)
        Area that belongs to each integration point.
    fields
        Values at the points by name, facet by facet: (n · nqp,) or (n · nqp, k).
    """
    corners = interface.minus_vertices
    cells = np.arange(corners.size).reshape(corners.shape)
    weights = dx / dx.sum(axis=1, keepdims=True)
    means = {}
    for name, values in fields.items():
        values = floats(name, values, finite=False)
        if values.shape[:1] != (dx.size,):
            raise ParameterError(f"the field {name} has shape {values.shape}; pass a row for each of {dx.size} points")
        means[name] = [np.einsum("nq,nq...->n...", weights, values.reshape(*dx.shape, *values.shape[1:]))]
    kind = "quad" if corners.shape[1] == 4 else "line"
    return meshio.Mesh(padded(interface.mesh.p.T[corners.ravel()]), [(kind, cells)], cell_data=means)


def save_interface(
    path: str | os.PathLike, elements: InterfaceElements, u: ArrayLike | None = None, **fields: ArrayLike
) -> None:
    """Write the facets of an interface with one value each, as VTU or any format of meshio, by the suffix of ``path``.

    Parameters
    ----------
    path
        Where to.
    elements
        :class:`femnn.InterfaceElements`.
    u : (ndof,)
        Displacements, by which the minus side is drawn moved; the field ``separation`` then is written, too.
    **fields
        Values at the integration points, (points,) or (points, k): the mean over each facet, weighted by area, is
        written.
    """
    instance("elements", elements, InterfaceElements)
    instance("path", path, str, os.PathLike)
    if Path(path).suffix not in meshio.extension_to_filetypes:
        raise ParameterError(f"{path} has a suffix that meshio does not know; write a .vtu file")
    if u is not None:
        u = vector(u, elements.ndof, "the displacement")
        fields = {"separation": elements.separation(u), **fields}
    mesh = interface_mesh(elements.interface, elements.dx, fields)
    if u is not None:
        mesh.points += padded(u.reshape(-1, elements.dim)[elements.interface.minus_vertices.ravel()])
    with atomic_write(path) as temporary:
        mesh.write(temporary)
