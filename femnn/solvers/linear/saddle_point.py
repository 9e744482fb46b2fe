"""Saddle-point systems of displacements and pressures: their free unknowns, and factors kept from step to step.

The matrices are [[K, −Bᵀ], [−B, −C]], symmetric and quasi-definite, as steps of poroelasticity have them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, diags_array, sparray
from scipy.sparse.linalg import SuperLU, splu

from femnn.checks import checked, indices, one_of
from femnn.exceptions import ParameterError, SingularMatrixError
from femnn.solvers.linear.saddle_iteration import Displacements, Pressures, SaddleIteration

#: Ways to solve a step.
METHODS = ("auto", "splu", "minres")

#: Unknowns in three dimensions up to which factors solve a step: from 5,000 on they take longer than an iteration,
#: but further steps of the same size cost next to nothing.
FEW_OF_SADDLE = 20_000

# Steps that differ by less share their factors; the corrections of `Factor.solve` take out the difference.
_SAME_STEP = 1e-9

# Of each, as many as a step needs that is cut and grows back.
_KEPT = 4

_MOST_CORRECTIONS = 4


class Constraint:
    """The unknowns that are prescribed, those that are equal to each other, and those that are free.

    Parameters
    ----------
    n
        Number of unknowns.
    prescribed : (k,) int
    equal : list of (k,) int
        Groups with one value each.

    Raises
    ------
    ParameterError
        If these are no indices of unknowns.

    Attributes
    ----------
    matrix : (n, m) csr_array
        Spreads what is free over the unknowns; 0 where they are prescribed.
    """

    @checked(n="[0, inf)", prescribed="unchecked")
    def __init__(self, n: int, prescribed: ArrayLike, equal: Sequence[np.ndarray] = ()) -> None:
        self.n, self.prescribed = n, np.atleast_1d(indices("prescribed", prescribed, n))
        groups = [np.atleast_1d(indices("a group of equal", group, n)) for group in equal]
        self.equal = [group for group in groups if len(group)]
        self._leader = np.arange(n)
        for group in self.equal:
            self._leader[group] = self._leader[group].min()
        free = np.ones(n, dtype=bool)
        free[self.prescribed] = False
        rows = np.flatnonzero(free)
        leaders, columns = np.unique(self._leader[rows], return_inverse=True)
        self.matrix = csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, len(leaders)))

    @checked()
    def reduce(self, vector: np.ndarray) -> np.ndarray:
        """Components (m,) of a residual (n,) along what is free."""
        return self.matrix.T @ vector

    @checked()
    def fill(self, x: np.ndarray) -> np.ndarray:
        """A copy of ``x`` (n,) in which what must be equal is equal."""
        return x[self._leader]

    @checked()
    def check_held(self, x: np.ndarray) -> None:
        """Raise if a rigid motion is left free of displacements at the places ``x`` (dim, n_u), the first unknowns.

        Unknown i is the displacement along axis i modulo dim, as in ``skfem.ElementVector``.

        Raises
        ------
        SingularMatrixError
        """
        motions = _rigid_motions(x)
        prescribed = self.prescribed[self.prescribed < len(motions)]
        rows = [motions[prescribed], *(motions[group] - motions[group[:1]] for group in self.equal)]
        resisted = np.linalg.matrix_rank(np.concatenate(rows), tol=1e-9) if sum(map(len, rows)) else 0
        if resisted < motions.shape[1]:
            raise SingularMatrixError(
                f"{motions.shape[1] - resisted} of {motions.shape[1]} rigid motions of the body are free; prescribe "
                "displacements that hold it",
                np.setdiff1d(np.arange(len(motions)), prescribed),
            )


class Factors:
    """Factors of the matrices of a few step sizes, the least used thrown away first.

    Parameters
    ----------
    n_u
        Number of displacements, the first of the unknowns.
    basis
        Of the displacements; without it all systems are factored.
    complement
        From a step size to Ŝ (n_p, n_p) of :mod:`femnn.solvers.linear.saddle_iteration`.
    systems
        Pressures at a node.
    method
        ``"splu"`` factors, ``"minres"`` iterates, ``"auto"`` chooses by size.
    """

    @checked(n_u="[0, inf)", basis="unchecked", complement="unchecked", systems="[1, inf)", method="unchecked")
    def __init__(
        self,
        n_u: int,
        basis: Any = None,
        complement: Callable[[float], sparray] | None = None,
        systems: int = 1,
        method: str = "splu",
    ) -> None:
        self.method = one_of("method", method, METHODS)
        self._n_u, self._basis, self._complement, self._systems = n_u, basis, complement, systems
        self._kept: list[tuple[float, Constraint, Factor | SaddleIteration]] = []
        self._displacements: tuple[np.ndarray, Displacements] | None = None

    @checked()
    def get(self, dt: float, constraint: Constraint, tangent: Callable[[float], sparray]) -> "Factor | SaddleIteration":
        """:class:`Factor` of ``tangent(dt)`` over what ``constraint`` leaves free, or what iterates; new or kept."""
        for place, (step, held, factor) in enumerate(self._kept):
            if held is constraint and abs(step - dt) <= _SAME_STEP * dt:
                self._kept.append(self._kept.pop(place))
                return factor
        iterates = self.method == "minres" or (self.method == "auto" and self._is_large(constraint.matrix.shape[1]))
        matrix = csr_array(tangent(dt))
        factor = self._iteration(dt, matrix, constraint) if iterates else Factor.of(matrix, constraint, self._n_u)
        self._kept = [*self._kept, (dt, constraint, factor)][-_KEPT:]
        return factor

    def _is_large(self, unknowns):
        # in two dimensions factors stay small
        return unknowns > FEW_OF_SADDLE and self._basis is not None and self._basis.mesh.dim() == 3

    def _iteration(self, dt, matrix, constraint):
        if self._basis is None or self._complement is None:
            raise ParameterError("method='minres' needs the basis of the displacements and the complement")
        n_u, spread = self._n_u, constraint.matrix
        reduced, scale, stiff = _reduced(matrix, constraint, n_u)
        try:
            # the displacements of a body are held alike in all its steps
            if self._displacements is None or not np.array_equal(self._displacements[0], spread[:n_u].indptr):
                of_free = csr_array(spread[:n_u][:, : len(stiff)])
                displacements = Displacements.of(matrix[:n_u][:, :n_u], of_free, self._basis)
                self._displacements = spread[:n_u].indptr, displacements
            free = np.flatnonzero(np.diff(spread[n_u:].indptr))
            pressures = Pressures.of(csr_array(self._complement(dt)), self._systems, free)
        except ArithmeticError as error:
            raise _singular(constraint, np.ones(len(scale), dtype=bool)) from error
        return SaddleIteration(reduced, constraint, scale, self._displacements[1], pressures)


class Factor(NamedTuple):
    """Triangular factors of a reduced matrix, scaled so that displacements and pressures compare."""

    lu: SuperLU
    scale: np.ndarray
    matrix: csr_array
    constraint: Constraint

    @classmethod
    @checked()
    def of(cls, matrix: sparray, constraint: Constraint, n_u: int) -> "Factor":
        """Factor a symmetric matrix [[K, −Bᵀ], [−B, −C]] with K and C at least semi-definite.

        Raises
        ------
        SingularMatrixError
            If it has no inverse.
        """
        reduced, scale, _ = _reduced(matrix, constraint, n_u)
        scaled = diags_array(scale) @ reduced @ diags_array(scale)
        try:
            # quasi-definite matrices have factors in any symmetric order (Vanderbei, SIAM J. Optim. 5 (1995) 100-113)
            lu = splu(
                scaled.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise _singular(constraint, np.ones(len(scale), dtype=bool)) from error
        return cls(lu, scale, reduced, constraint)

    def solve(self, x: np.ndarray, residual: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, float]:
        """Solution of ``residual(x) = 0``, corrected until rounding stops it, and its relative error.

        Parameters
        ----------
        x : (n,)
            A start that has the prescribed values.
        residual
            A linear function of x with (nearly) the matrix that was factored.
        """
        reduce = self.constraint.reduce
        out = self.scale * reduce(residual(x))
        first = norm = np.linalg.norm(out)
        for _ in range(_MOST_CORRECTIONS):
            tried = x - self.constraint.matrix @ (self.scale * self.lu.solve(out))
            left = self.scale * reduce(residual(tried))
            new = np.linalg.norm(left)
            if not new < norm:
                break
            x, out, stalled, norm = tried, left, new > 0.5 * norm, new
            if stalled:
                break
        free = np.zeros(self.matrix.shape[0])
        free[self.constraint.matrix.indices] = x[np.diff(self.constraint.matrix.indptr) > 0]
        size = first + np.linalg.norm(self.scale * (abs(self.matrix) @ np.abs(free)))
        error = float(norm / size) if size > 0.0 else 0.0
        return x, error if np.isfinite(x).all() else np.inf


def _reduced(matrix, constraint, n_u):
    """The matrix over what is free, the scale of its rows, and which of them are displacements."""
    reduced = csr_array(constraint.matrix.T @ matrix @ constraint.matrix)
    stiff = np.unique(constraint.matrix[:n_u].indices)
    diagonal = np.abs(reduced.diagonal())
    size = diagonal.copy()
    # the size of a pressure's row is roughly that of the Schur complement C + B K⁻¹ Bᵀ
    fluid = np.setdiff1d(np.arange(len(size)), stiff)
    coupling = csr_array(reduced[fluid][:, stiff])
    size[fluid] += coupling.power(2) @ (1.0 / np.where(diagonal[stiff] > 0.0, diagonal[stiff], 1.0))
    if not (size > 0.0).all():
        raise _singular(constraint, size <= 0.0)
    return reduced, 1.0 / np.sqrt(size), stiff


def _rigid_motions(x):
    """Translations and rotations (n, k) of unit size of displacements at the places x (dim, n)."""
    dim, n = x.shape
    x = (x - x.mean(axis=1, keepdims=True)) / np.ptp(x, axis=1).max()
    axis = np.arange(n) % dim
    columns = [axis == i for i in range(dim)]
    columns += [
        np.where(axis == i, -x[j], np.where(axis == j, x[i], 0.0)) for i in range(dim) for j in range(i + 1, dim)
    ]
    return np.stack(columns, axis=1).astype(float)


def _singular(constraint, rows):
    dofs = np.flatnonzero(constraint.matrix @ rows.astype(float))
    return SingularMatrixError(
        f"the system of equations is singular, {len(dofs)} unknowns may move freely, the first of them {dofs[0]}; hold "
        "the body, prescribe a pressure, or give the fluid a finite bulk modulus",
        dofs,
    )
