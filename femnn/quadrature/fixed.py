"""Groups of cells and points that were found already, as a rule for the mesh that they are of."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from femnn.exceptions import ParameterError
from femnn.geometry.cells import KINDS, CellKind
from femnn.quadrature.rule import CellGroup, Rule


class FixedGroups(Rule):
    """A rule that gives the groups it was made of, for their mesh alone.

    Parameters
    ----------
    groups
        What ``rule.groups`` gave, or parts of it in any order.
    """

    cell_kinds: ClassVar[tuple[CellKind, ...]] = KINDS

    def __init__(self, groups: Sequence[CellGroup]) -> None:
        self._given = list(groups)
        self._cells = np.sort(np.concatenate([group.cells for group in groups]))

    def _groups(self, hexahedra):
        if len(hexahedra) != len(self._cells):
            raise ParameterError(
                f"these points are those of {len(self._cells)} elements, there are {len(hexahedra)}; pass the mesh and "
                "on_folded that they were found for"
            )
        # numbers among the elements that are integrated
        return [group._replace(cells=np.searchsorted(self._cells, group.cells)) for group in self._given]

    def __repr__(self) -> str:
        return f"FixedGroups({len(self._given)} groups of {len(self._cells)} elements)"
