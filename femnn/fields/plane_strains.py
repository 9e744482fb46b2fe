"""Strains of the formulations against locking on quadrilaterals and curved cells, from those of standard elements."""

from typing import Any

import numpy as np

from femnn.geometry.cells import kind_of_array

# Voigt places of the strains xx, yy and xy.
_XX, _YY, _XY = 0, 1, 5


def formulated_strains(name: str, discretisation: Any, strains: np.ndarray, tensors: np.ndarray, rows: Any) -> None:
    """Make standard strains (total, 6) those of ``"mean-dilatation"`` or ``"incompatible"``, in place.

    ``tensors`` (k, 6, 6) are the stiffnesses, ``rows`` (total,) which of them each point has.
    """
    points, groups = discretisation.points, discretisation.groups
    views = zip(points.per_group(strains, groups), points.per_group(np.asarray(rows), groups), groups, strict=True)
    for own, of_points, group in views:
        x, kind = discretisation.hexahedra[group.cells], kind_of_array(discretisation.hexahedra)
        X = np.broadcast_to(group.X[:, None] if group.X.ndim == 2 else group.X, (kind.dim, *own.shape[:2]))
        jacobians = _jacobians(x, kind, X)
        volumes = np.abs(np.linalg.det(jacobians))
        if name == "mean-dilatation":
            dx, dilatation = volumes * group.W, own[..., :3].sum(axis=-1)
            mean = (dilatation * dx).sum(axis=1) / dx.sum(axis=1)
            own[..., :3] += ((mean[:, None] - dilatation) / 3.0)[..., None]
            continue
        centre = _jacobians(x, kind, np.full((2, len(x), 1), 0.5))
        ratio = np.abs(np.linalg.det(centre)) / volumes
        modes = np.einsum("eq,keq,eki->eqki", ratio, 2.0 * X - 1.0, np.linalg.inv(centre[:, 0]))
        # columns: both components of the first mode, then of the second
        columns = np.zeros((*own.shape, 4))
        for k in range(2):
            columns[..., _XX, 2 * k] = columns[..., _XY, 2 * k + 1] = modes[..., k, 0]
            columns[..., _YY, 2 * k + 1] = columns[..., _XY, 2 * k] = modes[..., k, 1]
        weighted = np.einsum("eqic,eqij,eq->eqcj", columns, tensors[of_points], volumes * group.W, optimize=True)
        matrix = np.einsum("eqcj,eqjd->ecd", weighted, columns)
        amplitudes = np.linalg.solve(matrix, -np.einsum("eqcj,eqj->ec", weighted, own)[..., None])
        own += np.einsum("eqic,ec->eqi", columns, amplitudes[..., 0])


def _jacobians(x, kind, X):
    """∂x_i/∂ξ_j (m, nqp, dim, dim) of cells (m, nodes, dim) at points (dim, m, nqp)."""
    gradients = kind.gradients(X.reshape(kind.dim, -1)).reshape(-1, kind.dim, *X.shape[1:])
    return np.einsum("eai,ajeq->eqij", x - x[:, -1:], gradients)
