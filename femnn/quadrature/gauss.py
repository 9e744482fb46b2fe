"""Standard Gauss-Legendre rules: the reference, with the interface of the learned rules."""

from collections.abc import Sequence

import numpy as np

from femnn.checks import brief, numbers
from femnn.exceptions import ParameterError
from femnn.integration.gauss import tensor_gauss
from femnn.quadrature.rule import CellGroup, Rule


class GaussLegendre(Rule):
    """The same tensor rule for every element.

    Parameters
    ----------
    n
        Points per axis, or a triple (nx, ny, nz) along ξ, η, ζ. Exact for polynomials of degree 2n - 1 along each axis.

    Raises
    ------
    ParameterError
        Unless all are whole numbers from 1 to 100.

    Examples
    --------
    >>> import femnn
    >>> GaussLegendre((2, 3, 4)).count_points(femnn.distorted_hexahedra(10, 0.1, seed=0))
    240
    """

    def __init__(self, n: int | Sequence[int]) -> None:
        per_axis = numbers("Gauss points per axis", n)
        if (
            per_axis.dtype.kind not in "iu"
            or per_axis.shape not in ((), (3,))
            or per_axis.min() < 1
            or per_axis.max() > 100
        ):
            raise ParameterError(f"Gauss points per axis are {brief(n)}; give one or three whole numbers from 1 to 100")
        self.per_axis = tuple(int(k) for k in np.broadcast_to(per_axis, 3))

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        return [CellGroup(np.arange(len(hexahedra)), *tensor_gauss(*self.per_axis))]

    def _group_of_folded(self, hexahedra: np.ndarray) -> CellGroup:
        return self._groups(hexahedra)[0]

    def __repr__(self) -> str:
        same = len(set(self.per_axis)) == 1
        return f"GaussLegendre({self.per_axis[0] if same else self.per_axis})"
