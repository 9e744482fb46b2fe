"""Fields on an interface as files for ParaView."""

import os
from pathlib import Path

import meshio
import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import instance, require_path, vector
from femnn.exceptions import ParameterError
from femnn.fields.facets import facet_means
from femnn.interfaces.bases import InterfaceBases
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
        Values at the points by name, as :func:`femnn.fields.facets.facet_means` takes them.
    """
    corners = interface.minus_vertices
    cells = np.arange(corners.size).reshape(corners.shape)
    means = {name: [facet_means(dx, name, values)] for name, values in fields.items()}
    kind = "quad" if corners.shape[1] == 4 else "line"
    return meshio.Mesh(padded(interface.mesh.p.T[corners.ravel()]), [(kind, cells)], cell_data=means)


def save_interface(
    path: str | os.PathLike,
    elements: InterfaceElements | InterfaceBases,
    u: ArrayLike | None = None,
    **fields: ArrayLike,
) -> None:
    """Write the facets of an interface with one value each, as VTU or any format of meshio, by the suffix of ``path``.

    :func:`femnn.save_fields` writes body and interfaces into one file.

    Parameters
    ----------
    path
        Where to.
    elements
        :class:`femnn.InterfaceElements` or :class:`femnn.interfaces.InterfaceBases`.
    u : (ndof,)
        Displacements, by which the minus side is drawn moved; the field ``separation`` then is written, too.
    **fields
        Values at the integration points, (points,) or (points, k) as laws give them, or (n, nqp) or (n, nqp, k) as
        ``problem.damage()[0]``: the mean over each facet, weighted by area, is written.

    Raises
    ------
    ParameterError
        If an argument does not fit; nothing is written then.

    Examples
    --------
    >>> import tempfile, skfem, femnn
    >>> mesh = skfem.MeshHex().refined(1).with_boundaries({"joint": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> elements = femnn.InterfaceElements(femnn.Interface.split(mesh, "joint"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_interface(Path(folder) / "joint.vtu", elements, np.zeros(elements.ndof), damage=np.zeros((4, 4)))
    """
    instance("elements", elements, InterfaceElements, InterfaceBases)
    require_path("path", path)
    if Path(path).suffix not in meshio.extension_to_filetypes:
        raise ParameterError(f"{path} has a suffix that meshio does not know; write a .vtu file")
    interface = elements.interface
    moved = np.zeros(3)
    if u is not None:
        u = vector(u, elements.ndof, "the displacement")
        fields = {"separation": elements.separation(u), **fields}
        moved = padded(_at_vertices(elements, u)[interface.minus_vertices.ravel()])
    mesh = interface_mesh(interface, elements.dx, fields)
    mesh.points += moved
    with atomic_write(path) as temporary:
        mesh.write(temporary)


def _at_vertices(elements, u):
    """Displacements (n_vertices, dim), zero for elements that have none there."""
    dim = elements.interface.mesh.dim()
    if isinstance(elements, InterfaceElements):
        return u.reshape(-1, dim)
    dofs = elements.minus.nodal_dofs
    return u[dofs].T if len(dofs) == dim else np.zeros((elements.interface.mesh.nvertices, dim))
