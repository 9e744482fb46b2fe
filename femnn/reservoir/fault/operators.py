"""Separations and pressures at the points of a fault as sparse products with the unknowns of the body."""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import block_array, csr_array, hstack, vstack

from femnn.interfaces.bases import InterfaceBases
from femnn.interfaces.split import Interface

# Points along an axis of a facet where displacements of these degrees have their nodes, and weights (trapezoids and
# Simpson's): a stiff fault does not make its tractions oscillate.
_AT_NODES = {
    1: (np.array([0.0, 1.0]), np.array([0.5, 0.5])),
    2: (np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6.0),
}


class Operators(NamedTuple):
    """What the points of an interface make of the unknowns of a body, and where they are.

    Attributes
    ----------
    x : (dim, points)
    frames : (3, dim, points)
        Normal and shear directions.
    dx : (facets, nqp)
        Area of each point.
    strains, along : (…, n) sparse
        See :func:`strain_operator` and :func:`along_operator`.
    """

    x: np.ndarray
    frames: np.ndarray
    dx: np.ndarray
    strains: csr_array
    along: csr_array


def operators(interface: Interface, u: Any, p: Any, quadrature: tuple[np.ndarray, np.ndarray], s: int) -> Operators:
    """:class:`Operators` of an interface between the bases of displacements and of the pressures of ``s`` systems."""
    dim, width = u.mesh.dim(), u.N + s * p.N
    if not len(interface):
        # as a process may have it whose part of a body no fault passes
        none = csr_array((0, width))
        return Operators(np.zeros((dim, 0)), np.zeros((3, dim, 0)), np.zeros((0, len(quadrature[1]))), none, none)
    moving = InterfaceBases(interface, u.elem, quadrature, u.dofs)
    pressed = InterfaceBases(interface, p.elem, quadrature, p.dofs)
    frames = moving.frames.reshape(3, dim, -1)
    strains = strain_operator(moving, pressed, frames, s)
    x = np.ascontiguousarray(moving.x.reshape(-1, dim).T)
    return Operators(x, frames, moving.dx, strains, along_operator(pressed, frames, s, width))


def strain_operator(moving, pressed, frames, s):
    """Generalised strains of all unknowns: rows of all points, those of each one after the other.

    Of ``s`` pore systems; ``frames`` (3, dim, points) are the normal and the shear directions.
    """
    jump = _values(moving.plus) - _values(moving.minus)
    # row i · points + k is axis i of point k
    dim, points = frames.shape[1:]
    axis, point = np.indices((dim, points))
    turns = [csr_array((one.ravel(), (point.ravel(), (axis * points + point).ravel()))) for one in frames]
    rows = [turn @ jump for turn in turns]
    width, n_p = jump.shape[1], pressed.minus.N
    empty = csr_array((points, width))
    parts = [hstack([row, csr_array((points, s * n_p))]) for row in rows]
    for side in (pressed.minus, pressed.plus):
        values = _values(side)
        for system in range(s):
            before, after = (csr_array((points, k * n_p)) for k in (system, s - 1 - system))
            parts.append(hstack([empty, before, values, after]))
    order = np.arange(len(parts) * points).reshape(len(parts), -1).T.ravel()
    operator = csr_array(vstack(parts, format="csr")[order])
    # scipy would sort them at some later product, and sums would round differently from then on
    operator.sort_indices()
    return operator


def along_operator(pressed, frames, s, width):
    """Slopes along the fault of the mean pressure of its faces: rows of the points, system by system.

    ``width`` is the number of all unknowns.
    """
    slopes = [0.5 * (_slopes(pressed.minus, one) + _slopes(pressed.plus, one)) for one in frames[1 : frames.shape[1]]]
    mean, before = vstack(slopes), width - s * pressed.minus.N
    blocks = [[csr_array((mean.shape[0], before)), *(mean if i == k else None for k in range(s))] for i in range(s)]
    return csr_array(block_array(blocks))


def at_nodes(displacement):
    """Points (dim − 1, nqp) and weights (nqp,) at the nodes of the displacements on a facet."""
    scalar, dim = displacement.elem.elem, displacement.mesh.dim()
    # scikit-fem counts the degrees of all axes together
    points, weights = _AT_NODES[scalar.maxdeg // dim]
    if dim == 2:
        return points[None], weights
    return np.stack(np.meshgrid(points, points, indexing="ij")).reshape(2, -1), np.outer(weights, weights).ravel()


def _slopes(basis, direction):
    """Slopes of all unknowns' shape functions at the points of a facet basis along ``direction`` (dim, points)."""
    facets, points = basis.dx.shape
    along = direction.reshape(len(direction), facets, points)
    data = np.array([(np.asarray(shape[0].grad) * along).sum(axis=0) for shape in basis.basis])
    rows = np.broadcast_to(np.arange(facets * points).reshape(facets, points), data.shape)
    columns = np.broadcast_to(basis.element_dofs[:, :, None], data.shape)
    return csr_array((data.ravel(), (rows.ravel(), columns.ravel())), shape=(facets * points, basis.N))


def _values(basis):
    """Values at the points of a facet basis for all unknowns: (components · points, N), sparse."""
    data = np.array([np.asarray(shape[0]) for shape in basis.basis])
    data = data.reshape(len(data), -1, *basis.dx.shape)
    components, facets, points = data.shape[1:]
    row = np.arange(components * facets * points).reshape(components, facets, points)
    rows = np.broadcast_to(row, data.shape)
    columns = np.broadcast_to(basis.element_dofs[:, None, :, None], data.shape)
    values = csr_array(
        (data.ravel(), (rows.ravel(), columns.ravel())), shape=(components * facets * points, basis.N)
    )  # fmt: skip
    values.eliminate_zeros()
    return values
