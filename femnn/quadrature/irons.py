"""Irons' rule of 14 points: the classical step between 2×2×2 and 3×3×3 Gauss points."""

from functools import cache

import numpy as np
import skfem

from femnn.geometry.cells import CURVED_HEXAHEDRON, HEXAHEDRON
from femnn.geometry.hexahedron import SIGNS
from femnn.quadrature.rule import CellGroup, Rule


class Irons(Rule):
    """14 points for every element: six on the axes through its centre, eight on its diagonals.

    Exact for polynomials of total degree 5. On a trilinear hexahedron det J and what a constant stress works have total
    degree 4, so that the rule keeps the volume and passes the patch test on every one. Other programs use it for the 20
    serendipity functions of ``skfem.ElementHexS2``, on straight cells and curved ones; ``ElementHex2`` is refused.

    Notes
    -----
    B. M. Irons, "Quadrature rules for brick based finite elements", International Journal for Numerical Methods in
    Engineering 3 (1971) 293-294.

    Examples
    --------
    >>> import femnn
    >>> (group,) = femnn.Irons().groups(femnn.distorted_hexahedra(5, 0.2, seed=0))
    >>> group.X.shape, float(group.W.sum().round(12))
    ((3, 14), 1.0)
    """

    #: Highest total degree of the polynomials that are integrated exactly.
    degree: int = 5

    cell_kinds = (HEXAHEDRON, CURVED_HEXAHEDRON)

    # on triquadratic elements 14 points leave three zero-energy modes
    highest_degree = 1

    def for_element(self, element: skfem.Element) -> Rule:
        scalar = element.elem if isinstance(element, skfem.ElementVector) else element
        return self if isinstance(scalar, skfem.ElementHexS2) else super().for_element(element)

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        return [CellGroup(np.arange(len(hexahedra)), *irons())]

    def _group_of_folded(self, hexahedra: np.ndarray) -> CellGroup:
        return self._groups(hexahedra)[0]

    def __repr__(self) -> str:
        return "Irons()"


@cache
def irons() -> tuple[np.ndarray, np.ndarray]:
    """Points (3, 14) and weights (14,) on [0, 1]³; the weights sum to 1."""
    axes = np.sqrt(19.0 / 30.0) * np.concatenate([np.eye(3), -np.eye(3)])
    diagonals = np.sqrt(19.0 / 33.0) * SIGNS
    points = np.ascontiguousarray(0.5 * (np.concatenate([axes, diagonals]).T + 1.0))
    weights = np.repeat([40.0 / 361.0, 121.0 / 2888.0], [6, 8])
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights
