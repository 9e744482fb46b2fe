"""Whether a fault in its rock has an equilibrium to slip on in: eigenvalues of the stiffness of both.

A fault whose traction falls faster as it slips than the rock around unloads has no quasi-static way on. The stiffness
of rock and fault then has an eigenvalue that is not positive. It is measured by the stiffness of the same rock whose
fault is bonded, by springs as stiff as a layer of rock as thick as a facet is long: (K + Bᵀ D B) v = λ (K + Bᵀ D₀ B) v,
with separations B u. All λ but those of the separations are 1, so that a small matrix has them.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import splu


class Stability(NamedTuple):
    """The least stable motion of a fault in its rock, drained.

    Attributes
    ----------
    smallest : float
        Smallest real part of the eigenvalues; not above 1 unless the fault is stiffer than its rock, and negative where
        the fault weakens faster than the rock unloads.
    negative : int
        Number of eigenvalues with a negative real part.

    Examples
    --------
    >>> from femnn.reservoir.fault import Stability
    >>> Stability(smallest=-0.2, negative=1).negative
    1

    See Also
    --------
    femnn.reservoir.fault.FaultedReservoir.stability : finds it
    """

    smallest: float
    negative: int


class StabilityMeasure:
    """Eigenvalues for tangents of a fault, with the compliance of the bonded rock kept.

    Parameters
    ----------
    points : FaultPoints
    stiffness : (n_u, n_u) sparse
        Of the rock.
    constraint : Constraint
        Of all unknowns, displacements first.
    """

    def __init__(self, points: Any, stiffness: csr_array, constraint: Any) -> None:
        n_u, width = stiffness.shape[0], points.width
        axes = len(points.x)
        rows = (width * np.arange(points.points)[:, None] + np.arange(axes)).ravel()
        free = csr_array(constraint.matrix[:n_u])
        # pressures have no part in it
        free = csr_array(free[:, np.unique(free.indices)])
        jumps = csr_array(csr_array(points.operator[rows])[:, :n_u] @ free)
        self._points, self._axes, self._dx = points.points, axes, points.dx
        self._bond = points.shear_modulus / points.facet_size
        bonds = np.repeat(points.dx * self._bond, axes)
        bonded = free.T @ stiffness @ free + jumps.T @ diags_array(bonds) @ jumps
        self._compliance = jumps @ splu(bonded.tocsc()).solve(jumps.T.toarray())

    def of(self, tangent: np.ndarray) -> Stability:
        """:class:`Stability` of the law's tangents (points, 3, 3)."""
        axes = self._axes
        blocks = (tangent[:, :axes, :axes] - self._bond[:, None, None] * np.eye(axes)) * self._dx[:, None, None]
        columns = self._compliance.reshape(-1, self._points, axes)
        values = 1.0 + np.linalg.eigvals(np.einsum("rpi,pij->rpj", columns, blocks).reshape(self._compliance.shape))
        return Stability(float(values.real.min()), int((values.real < 0.0).sum()))
