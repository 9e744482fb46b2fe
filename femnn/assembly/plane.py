"""Plane strain and plane stress as stiffnesses of three dimensions, of which plane cells read the entries they need."""

from typing import Any

import numpy as np

from femnn.checks import one_of
from femnn.exceptions import ParameterError

#: What is zero out of the plane of a mesh of quadrilaterals.
PLANES = ("strain", "stress")

# Voigt places of the in-plane and the other components.
_IN, _OUT = [0, 1, 5], [2, 3, 4]


def require_plane(plane: Any, dim: int) -> str:
    """``plane``; ParameterError unless it is one of :data:`PLANES`, and "strain", which says nothing, in space."""
    one_of("plane", plane, PLANES)
    if dim == 3 and plane != "strain":
        raise ParameterError(f"plane={plane!r} is for meshes of quadrilaterals, these are hexahedra; leave it out")
    return plane


def plane_lame(lmbda: Any, mu: Any, plane: str) -> tuple[Any, Any]:
    """λ and μ that a plane cell takes: in plane stress 2 λ μ / (λ + 2 μ) stands for λ."""
    return (2.0 * lmbda * mu / (lmbda + 2.0 * mu) if plane == "stress" else lmbda), mu


def plane_stiffness(tensors: np.ndarray, plane: str) -> np.ndarray:
    """Stiffnesses (m, 36) from tensors (m, 6, 6), or (m, 3, 3) of the in-plane components xx, yy, xy.

    In plane stress those of (m, 6, 6) are condensed, and entries out of the plane are zero.

    Raises
    ------
    ParameterError
        If a stiffness out of the plane cannot be inverted.
    """
    if tensors.shape[1] == 3:
        inner = tensors
    elif plane == "strain":
        return np.ascontiguousarray(tensors.reshape(-1, 36))
    else:
        try:
            coupled = np.linalg.solve(tensors[:, _OUT][:, :, _OUT], tensors[:, _OUT][:, :, _IN])
        except np.linalg.LinAlgError as error:
            raise ParameterError(
                "the stiffness is singular out of the plane, plane stress cannot be found; pass the (3, 3) stiffness "
                "of xx, yy, xy"
            ) from error
        inner = tensors[:, _IN][:, :, _IN] - tensors[:, _IN][:, :, _OUT] @ coupled
    stiffness = np.zeros((len(inner), 6, 6))
    stiffness[:, np.array(_IN)[:, None], _IN] = inner
    return stiffness.reshape(-1, 36)


def in_plane(tensors: np.ndarray) -> np.ndarray:
    """Stiffnesses (m, 6, 6) without the entries out of the plane."""
    kept = np.zeros_like(tensors)
    kept[:, np.array(_IN)[:, None], _IN] = tensors[:, np.array(_IN)[:, None], _IN]
    return kept
