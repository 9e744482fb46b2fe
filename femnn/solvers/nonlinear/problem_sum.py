"""Sums of problems on the same degrees of freedom: a body with cohesive layers, springs, contact, follower loads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, csr_matrix, issparse

from femnn.checks import brief, shaped
from femnn.exceptions import ParameterError, StateError
from femnn.solvers.nonlinear.load_path import NonlinearProblem

_NEEDED = ("residual_and_tangent", "commit", "rollback")


class ProblemSum(NonlinearProblem):
    """Several problems as one, whose forces and tangents are their sums: ``body + layer + plane``.

    The parts share their degrees of freedom: all are made on the same mesh. States are accepted together: where one
    part refuses the state of a step, none takes it.

    Parameters
    ----------
    parts
        At least one :class:`femnn.NonlinearProblem`, or any objects with its methods; sums among them are taken apart.

    Attributes
    ----------
    parts : tuple
        In the order of the sum.
    points
        Those of the first part that knows where its degrees of freedom are.

    Raises
    ------
    ParameterError
        If a part is no problem, is there twice, or parts have different numbers of degrees of freedom.

    Examples
    --------
    >>> class Spring(NonlinearProblem):
    ...     def residual_and_tangent(self, u):
    ...         return u**3, csr_array(np.diag(3.0 * u**2 + 1e-9))
    >>> force, tangent = ProblemSum([Spring(), Spring()]).residual_and_tangent(np.array([2.0]))
    >>> float(force[0]), float(tangent.toarray()[0, 0].round(6))
    (16.0, 24.0)
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        if not isinstance(parts, list | tuple) or not parts:
            raise ParameterError(f"the parts of a sum are {brief(parts)}; pass a list of problems")
        flat = [inner for part in parts for inner in (part.parts if isinstance(part, ProblemSum) else (part,))]
        for part in flat:
            missing = [name for name in _NEEDED if not callable(getattr(part, name, None))]
            if missing:
                raise ParameterError(
                    f"{brief(part)} in a sum has no {' and no '.join(missing)}; see femnn.NonlinearProblem for what a "
                    "problem must have"
                )
            if hasattr(part, "equilibrium"):
                raise ParameterError(
                    f"{type(part).__name__} in a sum spans all ranks; add the problems of each rank first, and make "
                    "their sum a RankProblem"
                )
        if len({id(part) for part in flat}) < len(flat):
            raise ParameterError("a problem is in the sum twice, and would take its state twice; make another one")
        sizes = {type(part).__name__: part.n_dofs for part in flat if getattr(part, "n_dofs", None) is not None}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} has {n}" for name, n in sizes.items())
            raise ParameterError(
                f"the parts of a sum have different numbers of degrees of freedom: {listed}; make all of them on the "
                "same mesh (interface.mesh where an interface splits one) and for the same element"
            )
        self.parts: tuple = tuple(flat)
        self.points = next((p.points for p in flat if getattr(p, "points", None) is not None), None)
        self._pattern: _SharedPattern | None = None

    @property
    def n_dofs(self) -> int | None:
        """Degrees of freedom, None if no part knows."""
        return next((p.n_dofs for p in self.parts if getattr(p, "n_dofs", None) is not None), None)

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Internal force (n,) and tangent (n, n), the sums of those of the parts."""
        forces, matrices = [], []
        for part in self.parts:
            force, matrix = part.residual_and_tangent(u)
            if not issparse(matrix):
                raise ParameterError(f"the tangent of {type(part).__name__} is a {type(matrix).__name__}, not sparse")
            forces.append(self._force(part, force, u))
            matrices.append(matrix)
        if self._pattern is None or not self._pattern.fits(matrices):
            self._pattern = _SharedPattern(matrices, self.parts)
        return np.sum(forces, axis=0), self._pattern.sum(matrices)

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """The force alone."""
        forces = []
        for part in self.parts:
            alone = getattr(part, "internal_force", None)
            forces.append(self._force(part, alone(u) if alone else part.residual_and_tangent(u)[0], u))
        return np.sum(forces, axis=0)

    def set_time(self, t: float) -> None:
        """Tell every part that depends on time."""
        for part in self.parts:
            if hasattr(part, "set_time"):
                part.set_time(t)

    @property
    def depends_on_time(self) -> bool:
        """Whether a part does."""
        return any(getattr(part, "depends_on_time", hasattr(part, "set_time")) for part in self.parts)

    def check_trial(self) -> None:
        """Raise unless all parts may accept the state of the last evaluation."""
        for part in self.parts:
            if hasattr(part, "check_trial"):
                part.check_trial()

    def commit(self) -> None:
        """Accept the states of the last evaluation, all or none."""
        self.check_trial()
        for part in self.parts:
            part.commit()

    def rollback(self) -> None:
        """Forget what was tried since the last commit, in all parts."""
        for part in self.parts:
            part.rollback()

    @property
    def states(self) -> list:
        """Committed states, one entry a part; None for parts that have none."""
        return [getattr(part, "states", None) for part in self.parts]

    def restore(self, states: Sequence) -> None:
        """Make ``states``, as :attr:`states` gave them, the committed ones of all parts.

        Raises
        ------
        StateError
            If they are those of other parts; none is changed then.
        """
        if not isinstance(states, list | tuple) or len(states) != len(self.parts):
            raise StateError(
                f"the states are {brief(states)}; this sum of {len(self.parts)} parts needs one entry each"
            )
        before = self.states
        try:
            for part, state in zip(self.parts, states, strict=True):
                _restore(part, state)
        except BaseException:
            for part, state in zip(self.parts, before, strict=True):
                _restore(part, state)
            raise

    @property
    def boundaries(self) -> dict[str, np.ndarray]:
        """Degrees of freedom (k,) of every named boundary, as the first part that knows them gives them."""
        return next((p.boundaries for p in self.parts if getattr(p, "boundaries", None)), {})

    def __repr__(self) -> str:
        return " + ".join(type(part).__name__ for part in self.parts)

    def _force(self, part, force, u):
        if np.shape(force) != np.shape(u):
            raise ParameterError(
                f"the internal force of {type(part).__name__} has shape {np.shape(force)}, the displacement "
                f"{np.shape(u)}; make all parts of a sum on the same mesh"
            )
        return shaped(f"the internal force of {type(part).__name__}", force, np.shape(u))


def _restore(part, state):
    if hasattr(part, "restore"):
        part.restore(state)
    elif state is not None:
        raise StateError(f"{type(part).__name__} has no state to restore, but is given {brief(state)}")


class _SharedPattern:
    """The union of the sparsity patterns of matrices, kept while these stay: solvers keep what they made for it."""

    def __init__(self, matrices, parts) -> None:
        n = matrices[0].shape[0]
        for part, matrix in zip(parts, matrices, strict=True):
            if matrix.shape != (n, n):
                raise ParameterError(f"the tangent of {type(part).__name__} has shape {matrix.shape}, others {(n, n)}")
        self._own = [csr_array(matrix) for matrix in matrices]
        keys = []
        for matrix in self._own:
            rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(matrix.indptr))
            keys.append(n * rows + matrix.indices)
        unique = np.unique(np.concatenate(keys))
        self._places = [np.searchsorted(unique, key) for key in keys]
        self._indices = (unique % n).astype(np.int32)
        self._indptr = np.searchsorted(unique, np.arange(n + 1) * n).astype(np.int32)

    def fits(self, matrices):
        """Whether the matrices have the patterns that this one was made of."""
        return all(
            matrix.shape == own.shape and _same(matrix.indptr, own.indptr) and _same(matrix.indices, own.indices)
            for matrix, own in zip(map(csr_array, matrices), self._own, strict=True)
        )

    def sum(self, matrices):
        """The sum of matrices of these patterns, CSR with sorted indices."""
        data = np.zeros(len(self._indices))
        for matrix, places in zip(map(csr_array, matrices), self._places, strict=True):
            # an entry may be there twice
            data += np.bincount(places, matrix.data, minlength=len(data))
        n = len(self._indptr) - 1
        return csr_matrix((data, self._indices, self._indptr), shape=(n, n))


def _same(first, second):
    return first is second or np.array_equal(first, second)
