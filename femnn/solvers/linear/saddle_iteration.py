"""Saddle-point systems of displacements and pressures by iteration, where factors would take too much memory.

[[K, −Bᵀ], [−B, −C]] is symmetric and indefinite, so MINRES solves it (C. C. Paige, M. A. Saunders, SIAM J. Numer. Anal.
12 (1975) 617-629). Its preconditioner has two blocks: a V-cycle of multigrid for K, and one for Ŝ = C + β M, where M is
the mass matrix of the pressures and β = α²/(bulk modulus of the drained skeleton). Ŝ is an upper bound of the Schur
complement C + B K⁻¹ Bᵀ, and no larger than it but for a constant where displacements and pressures are stable together:
so the iterations depend on neither the size of the mesh nor the step (J. J. Lee, K.-A. Mardal, R. Winther, SIAM J. Sci.
Comput. 39 (2017) A1-A24).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, diags_array, sparray
from scipy.sparse.linalg import LinearOperator, gmres, minres

from femnn.checks import checked
from femnn.exceptions import ConvergenceError
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.conjugate_gradients import conjugate_gradients
from femnn.solvers.linear.multigrid import Multigrid
from femnn.solvers.linear.near_null_space import linear_interpolation, near_null_space
from femnn.solvers.linear.saddle_point import Constraint, scale_of, singular

# Of each call of MINRES, in its own norm, and of the solution as `Factor.solve` measures it.
_RTOL, _ENOUGH = 1e-10, 1e-12

_MOST_ITERATIONS, _MOST_CORRECTIONS = 500, 4

#: Of GMRES: as much as an iteration of Newton's method is to gain, the vectors that it keeps, and its restarts.
GAINED, VECTORS, RESTARTS = 1e-6, 80, 6

# Iterations that take as long as setting up the block of the displacements.
_SETUP = 30

# How well the stiffness of unknowns that are equal to each other is to be known to the preconditioner.
_EXTENSION = 1e-2


class _Free(NamedTuple):
    """A matrix over what is free: other rows give 0."""

    matrix: csr_array
    is_free: np.ndarray

    def __matmul__(self, vector):
        return np.where(self.is_free, self.matrix @ vector, 0.0)


class Displacements(NamedTuple):
    """A symmetric positive definite approximation of the inverse of K over what is free.

    Attributes
    ----------
    cycle
        Of the displacements that are free and by themselves.
    single, columns : (k,) int
        These displacements, and their places among what is free.
    extensions : (m, g)
        For each group of equal displacements its motion, continued into the body.
    inverse : (g, g)
        Of the stiffness of these motions.
    """

    cycle: Multigrid
    single: np.ndarray
    columns: np.ndarray
    extensions: np.ndarray
    inverse: np.ndarray

    @classmethod
    @checked(points="unchecked")
    def of(cls, stiffness: csr_array, spread: csr_array, points: Any) -> "Displacements":
        """Set it up.

        Parameters
        ----------
        stiffness : (n_u, n_u)
        spread : (n_u, m)
            Rows of ``Constraint.matrix``: the column of each displacement that is free.
        points
            Basis of the displacements.

        Raises
        ------
        ArithmeticError
            If the stiffness is not positive definite.
        """
        n = stiffness.shape[0]
        modes, components = near_null_space(points, n)
        counts = np.bincount(spread.indices, minlength=spread.shape[1])
        moving = np.flatnonzero(np.diff(spread.indptr))
        alone = counts[spread.indices] == 1
        single, columns = moving[alone], spread.indices[alone]
        is_free = np.zeros(n, dtype=bool)
        is_free[single] = True
        cycle = Multigrid.quick(
            BlockRows.of(stiffness, components),
            modes,
            is_free.reshape(-1, components),
            linear_interpolation(points.mesh, n),
        )
        groups = np.flatnonzero(counts > 1)
        extensions = np.zeros((spread.shape[1], len(groups)))
        for g, column in enumerate(groups):
            motion = spread[:, [column]].toarray().ravel()
            pull = np.where(is_free, stiffness @ motion, 0.0)
            continued = conjugate_gradients(_Free(stiffness, is_free), pull, cycle, _EXTENSION, 100).x
            extensions[columns, g] = -continued[single]
            extensions[column, g] = 1.0
        resisted = spread.T @ (stiffness @ (spread @ extensions))
        return cls(cycle, single, columns, extensions, np.linalg.inv(extensions.T @ resisted))

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        result = self.extensions @ (self.inverse @ (self.extensions.T @ residual))
        whole = np.zeros(self.cycle.is_free.size)
        whole[self.single] = residual[self.columns]
        result[self.columns] += self.cycle(whole)[self.single]
        return result


class Pressures(NamedTuple):
    """A V-cycle for Ŝ over the pressures that are free.

    Attributes
    ----------
    cycle
    places : (m,) int
        Of the pressures that are free where those of all systems stand node by node.
    """

    cycle: Multigrid
    places: np.ndarray

    @classmethod
    @checked()
    def of(cls, complement: sparray, systems: int, free: np.ndarray) -> "Pressures":
        """Set it up for Ŝ (systems · n, systems · n), system by system, of which ``free`` are free."""
        n = complement.shape[0] // systems
        node_by_node = np.arange(systems * n).reshape(systems, n).T.ravel()
        place = np.empty(systems * n, dtype=np.int64)
        place[node_by_node] = np.arange(systems * n)
        ordered = csr_array(complement)[node_by_node][:, node_by_node]
        is_free = np.zeros(systems * n, dtype=bool)
        is_free[place[free]] = True
        modes = np.tile(np.eye(systems), (n, 1))
        return cls(Multigrid.quick(BlockRows.of(ordered, systems), modes, is_free.reshape(n, systems)), place[free])

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        whole = np.zeros(self.cycle.is_free.size)
        whole[self.places] = residual
        return self.cycle(whole)[self.places]


class SaddleMatrix(NamedTuple):
    """[[K, −Bᵀ], [−B, −C]] over what is free, never put together: K alone takes most of the memory.

    Attributes
    ----------
    stiffness : (n_u, n_u)
    swelling : (n_p, n_u)
    fluid : (n_p, n_p)
    constraint : Constraint
    """

    stiffness: csr_array
    swelling: csr_array
    fluid: csr_array
    constraint: Constraint

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """Product with a vector (m,)."""
        forces, volumes = self.parts(vector)
        return self.constraint.reduce(np.concatenate([forces[0] - forces[1], -volumes[0] - volumes[1]]))

    def parts(self, vector: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """K u and Bᵀ p, (n_u,) each; B u and C p, (n_p,) each."""
        whole = self.constraint.matrix @ vector
        u, p = whole[: self.stiffness.shape[0]], whole[self.stiffness.shape[0] :]
        return (self.stiffness @ u, self.swelling.T @ p), (self.swelling @ u, self.fluid @ p)

    def size(self, vector: np.ndarray) -> np.ndarray:
        """What adds up to the product, sizes alone, (m,)."""
        sums = [np.abs(one) + np.abs(other) for one, other in self.parts(vector)]
        return self.constraint.reduce(np.concatenate(sums))

    def scale(self) -> np.ndarray:
        """What brings rows of displacements and pressures to one size, (m,)."""
        n_u, spread = self.stiffness.shape[0], self.constraint.matrix
        stiff, fluid = np.unique(spread[:n_u].indices), np.unique(spread[n_u:].indices)
        diagonal = np.zeros(spread.shape[1])
        diagonal[fluid] = self.fluid.diagonal()[np.diff(spread[n_u:].indptr) > 0]
        moving = csr_array(spread[:n_u][:, stiff])
        diagonal[stiff] = moving.T @ self.stiffness.diagonal()
        shared = np.flatnonzero(np.bincount(moving.indices, minlength=len(stiff)) > 1)
        groups = moving[:, shared]
        diagonal[stiff[shared]] = groups.multiply(self.stiffness @ groups).sum(axis=0)
        free = csr_array(self.swelling[np.diff(spread[n_u:].indptr) > 0] @ moving)
        return scale_of(np.abs(diagonal), stiff, fluid, free, self.constraint)


class SaddleSolver:
    """Iterations for the steps of one body, which share the preconditioner of its displacements.

    Parameters
    ----------
    stiffness : (n_u, n_u), swelling : (systems · n, n_u)
        K and B.
    basis
        ``skfem.CellBasis`` of the displacements.
    systems
        Pressures at a node.
    """

    @checked(stiffness="unchecked", swelling="unchecked", basis="unchecked", systems="[1, inf)")
    def __init__(self, stiffness: csr_array, swelling: csr_array, basis: Any, systems: int = 1) -> None:
        self._stiffness, self._swelling, self._basis, self._systems = stiffness, swelling, basis, systems
        self._displacements: tuple[np.ndarray, Displacements] | None = None

    @checked(fluid="unchecked", complement="unchecked")
    def iteration(self, fluid: sparray, complement: sparray, constraint: Constraint) -> "SaddleIteration":
        """The iteration of a step.

        Parameters
        ----------
        fluid, complement : (systems · n, systems · n)
            C and Ŝ.
        constraint
            What is free.

        Raises
        ------
        SingularMatrixError
            If K or Ŝ is not positive definite over what is free.
        """
        n_u, spread = self._stiffness.shape[0], constraint.matrix
        matrix = SaddleMatrix(self._stiffness, self._swelling, csr_array(fluid), constraint)
        scale = matrix.scale()
        held, count = spread[:n_u], len(np.unique(spread[:n_u].indices))
        try:
            # a body is held alike in all its steps
            if self._displacements is None or not np.array_equal(self._displacements[0], held.indptr):
                displacements = Displacements.of(self._stiffness, csr_array(held[:, :count]), self._basis)
                self._displacements = held.indptr, displacements
            pressures = Pressures.of(complement, self._systems, np.flatnonzero(np.diff(spread[n_u:].indptr)))
        except ArithmeticError as error:
            raise singular(constraint, np.ones(len(scale), dtype=bool)) from error
        return SaddleIteration(matrix, scale, self._displacements[1], pressures, [])


class SaddleIteration(NamedTuple):
    """What :class:`femnn.solvers.linear.Factor` does, by preconditioned MINRES.

    Attributes
    ----------
    matrix : SaddleMatrix
    scale : (m,)
        Makes residuals of displacements and pressures compare.
    displacements, pressures
        Blocks of the preconditioner.
    counts : list of int
        Iterations of each call of MINRES so far.
    """

    matrix: SaddleMatrix
    scale: np.ndarray
    displacements: Displacements
    pressures: Pressures
    counts: list[int]

    @checked(residual="unchecked")
    def solve(self, x: np.ndarray, residual: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, float]:
        """Solution of ``residual(x) = 0`` and its relative error; as :meth:`femnn.solvers.linear.Factor.solve`.

        Raises
        ------
        ConvergenceError
            If it did not converge.
        """
        constraint, errors, begun = self.matrix.constraint, [], len(self.counts)
        out = constraint.reduce(residual(x))
        first = np.linalg.norm(self.scale * out)
        for _ in range(_MOST_CORRECTIONS):
            step, count = self._iterate(out)
            x = x - constraint.matrix @ step
            self.counts.append(count)
            out = constraint.reduce(residual(x))
            errors.append(self._relative(out, x, first))
            if errors[-1] <= _ENOUGH or (len(errors) > 1 and errors[-1] > 0.5 * errors[-2]):
                break
        if not errors[-1] < 1e-6:
            counts = " + ".join(map(str, self.counts[begun:]))
            raise ConvergenceError(
                f"MINRES left a relative error of {errors[-1]:.3g} after {counts} iterations for "
                f"{len(self.scale):,} unknowns; check the orders of magnitude of the medium's parameters, or pass "
                "method='splu'",
                x,
                np.array(errors),
            )
        return x, errors[-1]

    def _iterate(self, right):
        n, steps = len(right), []
        half = len(self.displacements.extensions)
        blocks = (self.displacements, slice(0, half)), (self.pressures, slice(half, n))

        def precondition(vector):
            result = np.empty(n)
            for block, rows in blocks:
                result[rows] = block(np.ravel(vector)[rows])
            return result

        step, _ = minres(
            LinearOperator((n, n), matvec=lambda vector: self.matrix @ np.ravel(vector), dtype=float),
            right,
            M=LinearOperator((n, n), matvec=precondition, dtype=float),
            rtol=_RTOL,
            maxiter=_MOST_ITERATIONS,
            callback=steps.append,
        )
        return step, len(steps)

    def _relative(self, out, x, first):
        free, spread = np.zeros(len(self.scale)), self.matrix.constraint.matrix
        free[spread.indices] = x[np.diff(spread.indptr) > 0]
        size = first + np.linalg.norm(self.scale * self.matrix.size(free))
        return float(np.linalg.norm(self.scale * out) / size) if size > 0.0 else 0.0


class TangentIteration(NamedTuple):
    """What :class:`femnn.solvers.linear.Factor` does for Newton's method where the tangent is large and not symmetric.

    GMRES with the blocks of :class:`SaddleIteration`, the lower triangle of the coupling between them.

    Attributes
    ----------
    matrix : (m, m)
        Over what is free.
    scale : (m,)
        Makes residuals of displacements and pressures compare.
    constraint : Constraint
    displacements, pressures
        Blocks of the preconditioner.
    coupling : (pressures, displacements)
    counts : list of int
        Iterations of each correction since the block of the displacements was set up.
    """

    matrix: csr_array
    scale: np.ndarray
    constraint: Constraint
    displacements: Displacements
    pressures: Pressures
    coupling: csr_array
    counts: list[int]

    @classmethod
    @checked(points="unchecked", n_u="[1, inf)", systems="[1, inf)")
    def of(
        cls,
        matrix: sparray,
        strained: sparray,
        constraint: Constraint,
        n_u: int,
        points: Any,
        systems: int,
        stiffness: sparray | None = None,
        earlier: "TangentIteration | None" = None,
    ) -> "TangentIteration":
        """Set it up for [[K, −Bᵀ], [−B, −C]].

        Parameters
        ----------
        matrix : (n, n)
        strained : (n − n_u, n − n_u)
            What the Schur complement has beside C, see the module.
        constraint
            What is free.
        points
            Basis of the displacements.
        systems
            Pressures at a node.
        stiffness : (n_u, n_u)
            Positive definite, what the block of the displacements is set up for; default: the symmetric part of K.
        earlier
            With the same constraint: its block of the displacements, which takes most of the time to set up, serves on
            as long as that costs no more iterations than a new one would save.

        Raises
        ------
        SingularMatrixError
            If the block of displacements or pressures is not positive definite.
        """
        matrix, spread = csr_array(matrix), constraint.matrix
        reduced = csr_array(spread.T @ matrix @ spread)
        stiff = np.unique(spread[:n_u].indices)
        fluid = np.setdiff1d(np.arange(reduced.shape[0]), stiff)
        coupling = csr_array(reduced[fluid][:, stiff])
        scale = scale_of(np.abs(reduced.diagonal()), stiff, fluid, coupling, constraint)
        store = -matrix[n_u:, n_u:]
        if stiffness is None:
            stiffness = 0.5 * (matrix[:n_u, :n_u] + matrix[:n_u, :n_u].T)
        try:
            if earlier is not None and earlier.serves_on:
                displacements, counts = earlier.displacements, earlier.counts
            else:
                held = csr_array(spread[:n_u, : len(stiff)])
                displacements, counts = Displacements.of(csr_array(stiffness), held, points), []
            complement = csr_array(0.5 * (store + store.T) + strained)
            pressures = Pressures.of(complement, systems, np.flatnonzero(np.diff(spread[n_u:].indptr)))
        except ArithmeticError as error:
            raise singular(constraint, np.ones(len(scale), dtype=bool)) from error
        return cls(reduced, scale, constraint, displacements, pressures, coupling, counts)

    @property
    def serves_on(self) -> bool:
        """Whether the block of the displacements is still good enough for another matrix."""
        return serves_on(self.counts)

    @checked(residual="any")
    def correction(self, residual: np.ndarray) -> np.ndarray:
        """What the matrix makes a residual (m,) of, nearly."""
        n, half = len(self.scale), self.coupling.shape[1]
        scaled = diags_array(self.scale) @ self.matrix @ diags_array(self.scale)

        def precondition(vector):
            out = np.ravel(vector) / self.scale
            result = np.empty(n)
            result[:half] = self.displacements(out[:half])
            result[half:] = -self.pressures(out[half:] - self.coupling @ result[:half])
            return result / self.scale

        norms: list[float] = []
        step, _ = gmres(
            scaled,
            self.scale * residual,
            M=LinearOperator((n, n), matvec=precondition, dtype=float),
            rtol=GAINED,
            restart=VECTORS,
            maxiter=RESTARTS,
            callback=norms.append,
            callback_type="pr_norm",
        )
        self.counts.append(len(norms))
        return self.scale * step


def serves_on(counts: list[int]) -> bool:
    """Whether a block of displacements is still good enough for another matrix, by the iterations it took so far."""
    return not counts or counts[-1] <= counts[0] + _SETUP
