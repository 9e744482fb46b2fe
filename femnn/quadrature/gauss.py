"""Standard Gauss-Legendre rules: the reference, with the interface of the learned rules."""

from collections.abc import Sequence

import numpy as np

from femnn.checks import brief, numbers
from femnn.exceptions import ParameterError
from femnn.geometry.cells import KINDS
from femnn.integration.gauss import tensor_gauss
from femnn.quadrature.rule import CellGroup, Rule


class GaussLegendre(Rule):
    """The same tensor rule for every element.

    Parameters
    ----------
    n
        Points per axis, or a triple (nx, ny, nz) along ξ, η, ζ; a pair for quadrilaterals. Exact for polynomials of
        degree 2n - 1 along each axis.

    Raises
    ------
    ParameterError
        Unless all are whole numbers from 1 to 100; when a pair is asked about hexahedra, or a triple about
        quadrilaterals.

    Examples
    --------
    >>> import femnn
    >>> GaussLegendre((2, 3, 4)).count_points(femnn.distorted_hexahedra(10, 0.1, seed=0))
    240
    """

    cell_kinds = KINDS

    def __init__(self, n: int | Sequence[int]) -> None:
        per_axis = numbers("Gauss points per axis", n)
        if (
            per_axis.dtype.kind not in "iu"
            or per_axis.shape not in ((), (2,), (3,))
            or per_axis.min() < 1
            or per_axis.max() > 100
        ):
            raise ParameterError(f"Gauss points per axis are {brief(n)}; give one to three whole numbers from 1 to 100")
        self.per_axis = tuple(int(k) for k in (per_axis if per_axis.ndim else np.full(3, per_axis)))

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        dim = hexahedra.shape[2]
        per_axis = self.per_axis[:dim] if len(set(self.per_axis)) == 1 else self.per_axis
        if len(per_axis) != dim:
            raise ParameterError(
                f"{self} has {len(per_axis)} numbers of points, these cells have {dim} axes; give one number, or {dim}"
            )
        return [CellGroup(np.arange(len(hexahedra)), *tensor_gauss(*per_axis))]

    def _group_of_folded(self, hexahedra: np.ndarray) -> CellGroup:
        return self._groups(hexahedra)[0]

    def __repr__(self) -> str:
        same = len(set(self.per_axis)) == 1
        return f"GaussLegendre({self.per_axis[0] if same else self.per_axis})"
