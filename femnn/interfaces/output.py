"""Fields on an interface as files for ParaView."""

import meshio
import numpy as np

from femnn.io.atomic import atomic_write


def save_interface(path, elements, u=None, **fields):
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
    interface = elements.interface
    dim, corners = elements.dim, interface.minus_vertices
    points = np.zeros((corners.size, 3))
    points[:, :dim] = interface.mesh.p.T[corners.ravel()]
    if u is not None:
        points[:, :dim] += np.asarray(u).reshape(-1, dim)[corners.ravel()]
        fields = {"separation": elements.separation(u), **fields}
    cells = np.arange(corners.size).reshape(corners.shape)
    share = elements.dx / elements.dx.sum(axis=1, keepdims=True)
    data = {
        name: [np.einsum("nq,nq...->n...", share, np.asarray(values).reshape(*share.shape, *np.shape(values)[1:]))]
        for name, values in fields.items()
    }
    with atomic_write(path) as temporary:
        meshio.Mesh(points, [("quad" if dim == 3 else "line", cells)], cell_data=data).write(temporary)
