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

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.solvers.linear import Constraint
    >>> constraint = Constraint(4, [0], equal=[np.array([1, 2])])
    >>> constraint.matrix.toarray()
    array([[0., 0.],
           [1., 0.],
           [1., 0.],
           [0., 1.]])
    >>> constraint.reduce(np.array([5.0, 1.0, 2.0, 3.0]))
    array([3., 3.])
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
        motions = rigid_motions((x - x.mean(axis=1, keepdims=True)) / np.ptp(x, axis=1).max())
        require_held(self.resisted(motions), np.setdiff1d(np.arange(len(motions)), self.prescribed))

    @checked()
    def resisted(self, motions: np.ndarray) -> np.ndarray:
        """Rows of motions (n_u, k) of the first unknowns, combinations of which are not free where they are not 0."""
        prescribed = self.prescribed[self.prescribed < len(motions)]
        return np.concatenate([
            motions[prescribed], *(motions[group] - motions[group[:1]] for group in self.equal)
        ])  # fmt: skip


class Factors:
    """Factors of the matrices of a few step sizes, the least used thrown away first.

    Parameters
    ----------
    n_u
        Number of displacements, the first of the unknowns.
    iterate
        Makes of a step size and a constraint what iterates to the solution, see
        :class:`femnn.solvers.linear.saddle_iteration.SaddleSolver`; None: all systems are factored.
    method
        ``"splu"`` factors, ``"minres"`` iterates, ``"auto"`` iterates beyond 20,000 unknowns if that is possible.

    Raises
    ------
    ParameterError
        If the method is unknown, or is ``"minres"`` without ``iterate``.

    Examples
    --------
    >>> import scipy.sparse
    >>> from femnn.solvers.linear import Constraint, Factors
    >>> factors, constraint = Factors(1, method="splu"), Constraint(2, [])
    >>> def tangent(dt):
    ...     return scipy.sparse.csr_array([[2.0, -1.0], [-1.0, -dt]])
    >>> factors.get(0.1, constraint, tangent) is factors.get(0.1, constraint, tangent)
    True
    """

    @checked(n_u="[0, inf)", iterate="unchecked", method="unchecked")
    def __init__(
        self, n_u: int, iterate: Callable[[float, Constraint], Any] | None = None, method: str = "auto"
    ) -> None:
        self.method = one_of("method", method, METHODS)
        if method == "minres" and iterate is None:
            raise ParameterError("method='minres' needs `iterate`, which makes the iteration; pass it, or 'splu'")
        self._n_u, self._iterate = n_u, iterate
        self._kept: list[tuple[float, Constraint, Any]] = []

    @checked()
    def get(self, dt: float, constraint: Constraint, tangent: Callable[[float], sparray]) -> Any:
        """:class:`Factor` of ``tangent(dt)`` over what ``constraint`` leaves free, or what iterates; new or kept."""
        for place, (step, held, factor) in enumerate(self._kept):
            if held is constraint and abs(step - dt) <= _SAME_STEP * dt:
                self._kept.append(self._kept.pop(place))
                return factor
        large = self.method == "minres" or (self.method == "auto" and constraint.matrix.shape[1] > FEW_OF_SADDLE)
        if self._iterate is not None and large:
            factor = self._iterate(dt, constraint)
        else:
            factor = Factor.of(tangent(dt), constraint, self._n_u)
        self._kept = [*self._kept, (dt, constraint, factor)][-_KEPT:]
        return factor


class Factor(NamedTuple):
    """Triangular factors of a reduced matrix, scaled so that displacements and pressures compare.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from femnn.solvers.linear import Constraint, Factor
    >>> matrix = scipy.sparse.csr_array([[2.0, -1.0], [-1.0, -1.0]])
    >>> factor = Factor.of(matrix, Constraint(2, []), n_u=1)
    >>> x, error = factor.solve(np.zeros(2), lambda x: matrix @ x - np.array([1.0, 0.0]))
    >>> x.round(12), error < 1e-12
    (array([ 0.33333333, -0.33333333]), True)
    """

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
        reduced = csr_array(constraint.matrix.T @ matrix @ constraint.matrix)
        stiff = np.unique(constraint.matrix[:n_u].indices)
        fluid = np.setdiff1d(np.arange(reduced.shape[0]), stiff)
        scale = scale_of(np.abs(reduced.diagonal()), stiff, fluid, csr_array(reduced[fluid][:, stiff]), constraint)
        scaled = diags_array(scale) @ reduced @ diags_array(scale)
        try:
            # quasi-definite matrices have factors in any symmetric order (Vanderbei, SIAM J. Optim. 5 (1995) 100-113)
            lu = splu(
                scaled.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise singular(constraint, np.ones(len(scale), dtype=bool)) from error
        return cls(lu, scale, reduced, constraint)

    @checked(residual="any")
    def correction(self, residual: np.ndarray) -> np.ndarray:
        """What the matrix makes a residual (m,) of."""
        return self.scale * self.lu.solve(self.scale * residual)

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
            tried = x - self.constraint.matrix @ self.correction(out / self.scale)
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


def scale_of(
    diagonal: np.ndarray, stiff: np.ndarray, fluid: np.ndarray, coupling: csr_array, constraint: Constraint
) -> np.ndarray:
    """What brings rows of displacements and pressures to one size, (m,), from the diagonal and the block B."""
    size = diagonal.copy()
    # the size of a pressure's row is roughly that of the Schur complement C + B K⁻¹ Bᵀ
    size[fluid] += coupling.power(2) @ (1.0 / np.where(diagonal[stiff] > 0.0, diagonal[stiff], 1.0))
    if not (size > 0.0).all():
        raise singular(constraint, size <= 0.0)
    return 1.0 / np.sqrt(size)


def rigid_motions(x: np.ndarray) -> np.ndarray:
    """Translations and rotations (n, k) of displacements at places x (dim, n) of about unit size."""
    dim, n = x.shape
    axis = np.arange(n) % dim
    columns = [axis == i for i in range(dim)]
    columns += [
        np.where(axis == i, -x[j], np.where(axis == j, x[i], 0.0)) for i in range(dim) for j in range(i + 1, dim)
    ]
    return np.stack(columns, axis=1).astype(float)


def require_held(resisted: np.ndarray, free: np.ndarray) -> None:
    """Raise SingularMatrixError if rows (m, k) of rigid motions leave one free; ``free`` are the free unknowns."""
    held = np.linalg.matrix_rank(resisted, tol=1e-9) if len(resisted) else 0
    if held < resisted.shape[1]:
        raise SingularMatrixError(
            f"{resisted.shape[1] - held} of {resisted.shape[1]} rigid motions of the body are free; prescribe "
            "displacements that hold it",
            free,
        )


def singular(constraint: Constraint, rows: np.ndarray) -> SingularMatrixError:
    """The error that names the unknowns of these reduced rows."""
    dofs = np.flatnonzero(constraint.matrix @ rows.astype(float))
    return SingularMatrixError(
        f"the system of equations is singular, {len(dofs)} unknowns may move freely, the first of them {dofs[0]}; hold "
        "the body, prescribe a pressure, or give the fluid a finite bulk modulus",
        dofs,
    )
