"""States of laws on a rank, in the numbers of the whole mesh, so that another number of ranks can go on with them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from femnn.exceptions import ParameterError
from femnn.interfaces.problem import CohesiveProblem
from femnn.solids.solid import Solid
from femnn.solvers.nonlinear.problem_sum import ProblemSum


@dataclass(frozen=True, eq=False, repr=False)
class LawStates:
    """The state at some points of a rank.

    Attributes
    ----------
    name
        What it belongs to, the law included: a checkpoint of another is refused.
    owners : (m,) int64
        Cells or pairs of facets with these points, in the numbers of the whole, ascending.
    counts : (m,) int64
        Points of each.
    values : (sum of counts, k) float64
        Their states, in the order of ``owners``.
    total
        Cells or pairs of the whole.
    """

    name: str
    owners: np.ndarray
    counts: np.ndarray
    values: np.ndarray
    total: int

    def __repr__(self):
        return f"{self.name}: {len(self.values):,} points"


def law_states(distributed, problem):
    """List of LawStates of a problem on ranks: one of a Solid, one for each interface of a CohesiveProblem; collective.

    Those of a ProblemSum are those of its parts; parts without states have none.

    Raises
    ------
    ParameterError
        If the problem is of another kind.
    """
    if isinstance(problem, Solid):
        return [_of_solid(distributed, problem)]
    if isinstance(problem, CohesiveProblem):
        return [_of_interface(distributed, problem, number) for number in range(len(problem.states))]
    if isinstance(problem, ProblemSum):
        return [own for part in _with_states(problem) for own in law_states(distributed, part)]
    raise ParameterError(
        f"a {type(problem).__name__} cannot be saved; checkpoints know femnn.Solid, "
        "femnn.CohesiveProblem and sums of them"
    )


def restore(distributed, problem, values):
    """Give a problem the states (n, k) that :func:`law_states` would list; nothing is communicated."""
    if isinstance(problem, ProblemSum):
        for part in _with_states(problem):
            n = 1 if isinstance(part, Solid) else len(part.states)
            restore(distributed, part, values[:n])
            values = values[n:]
        return
    if isinstance(problem, Solid):
        order, sizes = _order_of(distributed, problem)
        flat = np.empty_like(values[0])
        flat[order] = values[0]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        widths = [int(np.prod(state.shape[2:])) for state in problem.states]
        own = [part[:, :width] for part, width in zip(parts, widths, strict=True)]
        problem.restore([part.reshape(state.shape) for part, state in zip(own, problem.states, strict=True)])
        return
    problem.rollback()
    problem.states = [
        type(state)(np.ascontiguousarray(columns[:, :-1]), state.law, columns[:, -1] > 0.5)
        for columns, state in zip(values, problem.states, strict=True)
    ]


def _with_states(problem):
    return [part for part in problem.parts if getattr(part, "states", None) is not None]


def _of_solid(distributed, solid):
    order, _ = _order_of(distributed, solid)
    states = solid.states
    rows = [state.reshape(state.shape[0] * state.shape[1], -1) for state in states]
    # states of several materials may be of different lengths
    width = max((own.shape[1] for own in rows), default=0)
    flat = np.concatenate([np.pad(own, ((0, 0), (0, width - own.shape[1]))) for own in rows])[order]
    counts = np.zeros(len(distributed.cells), dtype=np.int64)
    for group, state in zip(solid.groups, states, strict=True):
        counts[group.cells] = state.shape[1]
    by_number = np.argsort(distributed.cells)
    laws = solid.law if isinstance(solid.law, Mapping) else {"": solid.law}
    named = " and ".join(f"{region} {type(law).__name__}".strip() for region, law in laws.items())
    name = f"{named} of {flat.shape[1]} values a point"
    return LawStates(name, distributed.cells[by_number], counts[by_number], flat, distributed.n_cells)


def _order_of(distributed, solid):
    """Points of all groups, one after another, sorted by the number of their cell; and how many each group has."""
    shapes = [state.shape[:2] for state in solid.states]
    cells = [np.repeat(distributed.cells[group.cells], n) for group, (_, n) in zip(solid.groups, shapes, strict=True)]
    return np.argsort(np.concatenate(cells), kind="stable"), [m * n for m, n in shapes]


def _of_interface(distributed, problem, number):
    state, elements = problem.states[number], problem.interfaces[number][0]
    pairs = distributed.sides[number][0]
    each = elements.dx.shape[1]
    values = np.concatenate([state.values, state.outside[:, None].astype(float)], axis=1)
    total = 1 + max(distributed.comm.allgather(int(pairs.max(initial=-1))))
    return LawStates(f"interface {number}: {state.law}", pairs, np.full(len(pairs), each), values, total)
