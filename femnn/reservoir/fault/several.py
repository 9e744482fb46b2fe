"""Several faults as one: the laws of each at its own points, behind the contract of the laws."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.law import Law, Response, State
from femnn.exceptions import ParameterError
from femnn.interfaces.split import Interface


class SeveralLaws(Law):
    """Laws of the points of several faults, one fault after the other.

    The last column of a state says which law a point has, so that any of the points can be answered.

    Parameters
    ----------
    laws
        One for each fault.
    counts
        Points of each.

    Raises
    ------
    ParameterError
        If laws that depend on time start at different ones.
    """

    def __init__(self, laws: Sequence[Law], counts: Sequence[int]) -> None:
        self.laws, self._owner = tuple(laws), np.repeat(np.arange(len(laws)), counts)
        self.separation_scale = max(law.separation_scale for law in laws)
        starts = {float(getattr(law, "start", 0.0)) for law in laws if law.depends_on_time}
        if len(starts) > 1:
            raise ParameterError(
                f"the laws of the faults start at the times {sorted(starts)} s; give all of them one start"
            )
        self.depends_on_time = bool(starts)
        self.start = starts.pop() if starts else 0.0
        self._columns = [law.initial_state(0).values.shape[1] for law in laws]

    def __repr__(self) -> str:
        counts = np.bincount(self._owner, minlength=len(self.laws))
        parts = [f"{law.name} at {count} points" for law, count in zip(self.laws, counts, strict=True)]
        return f"SeveralLaws({', '.join(parts)})"

    def set_time(self, t: float) -> None:
        """Take note of the time of the state that is sought next, for all laws."""
        for law in self.laws:
            law.set_time(t)

    def joined(self, states: Sequence[State]) -> State:
        """The state of all points from those of the laws, fault by fault."""
        values = np.zeros((sum(map(len, states)), max(self._columns) + 1))
        begin = 0
        for owner, (own, columns) in enumerate(zip(states, self._columns, strict=True)):
            values[begin : begin + len(own), :columns] = own.values
            values[begin : begin + len(own), -1] = owner
            begin += len(own)
        return State(values, self.name, np.concatenate([own.outside for own in states]))

    def update(self, separation: ArrayLike, state: State) -> Response:
        """As :meth:`femnn.cohesive.law.Law.update`."""
        checked = self._checked(separation, state)
        n = len(checked)
        traction, tangent, values = np.zeros((n, 3)), np.zeros((n, 3, 3)), state.values.copy()
        outside = state.outside.copy()
        for law, columns, rows, own in self._parts(state):
            traction[rows], tangent[rows], new = law.update(checked[rows], own)
            values[rows, :columns], outside[rows] = new.values, new.outside
        return Response(traction, tangent, State(values, state.law, outside))

    def damage(self, state: State) -> np.ndarray:
        """As the laws say, (n,)."""
        self._require_state(state)
        damage = np.full(len(state), np.nan)
        for law, _, rows, own in self._parts(state):
            damage[rows] = law.damage(own)
        return damage

    def how_far(self, separation: ArrayLike) -> str:
        """As the laws say, each of its own points."""
        values = self._shaped(separation)
        rows = (np.flatnonzero(self._owner == number) for number in range(len(self.laws)))
        said = [(law.name, law.how_far(values[own])) for law, own in zip(self.laws, rows, strict=True)]
        return "; ".join(f"of {name} {text}" for name, text in said if text)

    def of(self, fault: int, state: State) -> State:
        """The state of one fault's law."""
        return list(self._parts(state))[fault][-1]

    def _parts(self, state):
        """Of each law: it, its columns, its rows and their state."""
        owner = state.values[:, -1]
        for number, (law, columns) in enumerate(zip(self.laws, self._columns, strict=True)):
            rows = np.flatnonzero(owner == number)
            own = np.ascontiguousarray(state.values[rows, :columns])
            yield law, columns, rows, State(own, law.name, state.outside[rows])

    def _virgin(self, n):
        if n not in (0, len(self._owner)):
            raise ParameterError(f"the faults have {len(self._owner)} points, not {n}")
        values = np.zeros((n, max(self._columns) + 1))
        values[:, -1] = self._owner[:n]
        for number, (law, columns) in enumerate(zip(self.laws, self._columns, strict=True)):
            rows = np.flatnonzero(values[:, -1] == number)
            values[rows, :columns] = law.initial_state(len(rows)).values
        return values

    def _update(self, separation, values):
        response = self.update(separation, State(values, self.name, np.zeros(len(values), dtype=bool)))
        return response.traction, response.tangent, response.state.values


def joined_interface(faults: Sequence) -> Interface:
    """The facets of all faults, one fault after the other.

    Raises
    ------
    ParameterError
        If the faults are of different meshes, have facets in common, or different points on a facet.
    """
    first, *others = (fault.interface for fault in faults)
    for number, other in enumerate(others, start=1):
        other.require_mesh(first.mesh, f"the interface of fault {number}")
    facets = np.concatenate([interface.minus for interface in (first, *others)])
    if len(np.unique(facets)) < len(facets):
        raise ParameterError(
            f"{len(facets) - len(np.unique(facets))} facets belong to two faults; give each fault facets of its own, "
            "with interface.where(...)"
        )
    rules = [fault.quadrature for fault in faults]
    given = [rule for rule in rules if rule is not None]
    if 0 < len(given) < len(rules) or any(
        len(rule[1]) != len(given[0][1]) or not np.allclose(rule[0], given[0][0]) for rule in given
    ):
        raise ParameterError("the faults have different quadratures; give all of them the same")
    names = ("minus", "plus", "minus_vertices", "plus_vertices")
    parts = {name: np.concatenate([getattr(own, name) for own in (first, *others)]) for name in names}
    return replace(first, **parts)
