"""Steps of porous bodies over all ranks: PETSc's MINRES, with multigrid for displacements and for pressures.

As :mod:`femnn.solvers.linear.saddle_iteration` does it in one process, with PETSc's GAMG as the V-cycles: on
[[K, −Bᵀ], [−B, −C]] the blocks are K and Ŝ = C + β M.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix, sparray

from femnn.exceptions import ConvergenceError
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.matrix import RankMatrix
from femnn.parallel.ranks import petsc
from femnn.parallel.solver import OPTIONS, multigrid, rigid_body_modes
from femnn.parallel.sparse_sum import Unknowns, summed
from femnn.solvers.linear.saddle_point import Constraint

# Of each call of MINRES, and of the solution as `SaddleIteration.solve` measures it: a hundredth of what that asks,
# since the pores that hold little fluid are to balance to 1e-8, too.
_RTOL, _ENOUGH = 1e-10, 1e-14

_MOST_ITERATIONS, _MOST_CORRECTIONS = 500, 4

#: Of the V-cycles, in place of those of :data:`femnn.parallel.solver.OPTIONS`: aggressive coarsening takes a quarter
#: less time for each iteration, and 1.4 to 2 times as many of them.
DISPLACEMENTS = OPTIONS | {"pc_gamg_aggressive_coarsening": 0}

#: Pressures of several systems at a vertex exchange fluid: smoothed one by one they would take three times the
#: iterations.
PRESSURES = DISPLACEMENTS | {"mg_levels_pc_type": "pbjacobi"}


class RankSaddleSolver:
    """Iterations for the steps of one body, which share the preconditioner of its displacements.

    Parameters
    ----------
    distributed : DistributedMesh
    stiffness : (n_u, n_u), swelling : (systems · n, n_u)
        K and B of the own cells.
    systems
        Pressures at a vertex.
    """

    def __init__(
        self, distributed: DistributedMesh, stiffness: csr_array, swelling: csr_array, systems: int = 1
    ) -> None:
        self._distributed, self._stiffness = distributed, stiffness
        self._u, self._p = Unknowns(distributed, 3), Unknowns(distributed, systems, by_component=True)
        self._swelling, self._coupling = swelling, None
        self._block: tuple[np.ndarray, Any, Any] | None = None

    def iteration(self, fluid: sparray, complement: sparray, constraint: Constraint) -> "RankSaddleIteration":
        """The iteration of a step; collective.

        Parameters
        ----------
        fluid, complement : (systems · n, systems · n)
            C and Ŝ of the own cells.
        constraint
            What is free.
        """
        is_free = np.ones(constraint.n, dtype=bool)
        is_free[constraint.prescribed] = False
        n_u = self._stiffness.shape[0]
        free_u, free_p = self._u.owned(is_free[:n_u]), self._p.owned(is_free[n_u:])
        matrix, cycle = self._displacements(free_u)
        if self._coupling is None:
            self._coupling = summed(-self._swelling, self._p, self._u)
        flow = summed(-fluid, self._p, self._p)
        schur = summed(complement, self._p, self._p)
        hold(schur, free_p)
        whole = petsc().Mat().createNest(
            [[matrix, petsc().Mat().createTranspose(self._coupling)], [self._coupling, flow]],
            comm=self._distributed.comm,
        )  # fmt: skip
        blocks = Blocks((matrix, schur), (cycle, multigrid(schur, "femnn_pressures_", PRESSURES)), (free_u, free_p))
        unknowns, operators = (self._u, self._p), (matrix, self._coupling, flow)
        scale = [1.0 / np.sqrt(block.getDiagonal().getArray()) for block in (matrix, schur)]
        return RankSaddleIteration(self._distributed.comm, unknowns, operators, whole, scale, blocks, [])

    def _displacements(self, free):
        """K over what is free, and its V-cycle: a body is held alike in all its steps."""
        known = self._block is not None and np.array_equal(self._block[0], free)
        if not all(self._distributed.comm.allgather(known)):
            matrix = RankMatrix.of(self._distributed, csr_matrix(self._stiffness)).petsc
            matrix.setNearNullSpace(rigid_body_modes(self._distributed, matrix))
            hold(matrix, free)
            self._block = free, matrix, multigrid(matrix, "femnn_displacements_", DISPLACEMENTS)
        return self._block[1:]


class Blocks:
    """The preconditioner, for PETSc: the V-cycle of each block, 0 where its unknowns are prescribed."""

    def __init__(self, matrices: tuple, cycles: tuple, is_free: tuple) -> None:
        self.cycles, self.is_free = cycles, is_free
        self._vectors = [matrix.createVecs() for matrix in matrices]

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """What PETSc calls."""
        result = []
        for right, (near, own), cycle, is_free in zip(
            self.split(x.getArray(readonly=True)), self._vectors, self.cycles, self.is_free, strict=True
        ):
            # what is prescribed has a residual that nobody looks at
            own.setArray(np.where(is_free, right, 0.0))
            cycle.apply(own, near)
            result.append(np.where(is_free, near.getArray(readonly=True), 0.0))
        y.setArray(np.concatenate(result))

    def split(self, owned: np.ndarray) -> list:
        """The values of displacements and of pressures that this rank owns."""
        return np.split(owned, [len(self.is_free[0])])


class RankSaddleIteration(NamedTuple):
    """What :class:`femnn.solvers.linear.Factor` does, over all ranks.

    Attributes
    ----------
    comm
        mpi4py's communicator.
    unknowns : tuple of Unknowns
        Displacements and pressures.
    operators : tuple
        ``petsc4py.PETSc.Mat`` of K, −B and −C; rows and columns of K that are prescribed have a diagonal alone.
    matrix
        What they are put together to.
    scale : list of (n,)
        Makes residuals of displacements and pressures compare.
    blocks : Blocks
    counts : list of int
        Iterations of each call of MINRES so far.
    """

    comm: Any
    unknowns: tuple
    operators: tuple
    matrix: Any
    scale: list
    blocks: Blocks
    counts: list

    def solve(self, x: np.ndarray, residual: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, float]:
        """Solution of ``residual(x) = 0``, a vector of this rank, and its relative error; collective.

        Raises
        ------
        ConvergenceError
            On all ranks, if it did not converge.
        """
        errors: list[float] = []
        begun = len(self.counts)
        out = self._free(residual(x))
        first = self._norm(out)
        for _ in range(_MOST_CORRECTIONS):
            # no further than is looked for
            gain = max(_RTOL, 0.1 * _ENOUGH / errors[-1]) if errors else _RTOL
            step = self._spread(self._iterate(out, gain))
            if not all(self.comm.allgather(bool(np.isfinite(step).all()))):
                errors.append(np.inf)
                break
            x = x - step
            out = self._free(residual(x))
            errors.append(self._relative(out, x, first))
            if errors[-1] <= _ENOUGH or (len(errors) > 1 and errors[-1] > 0.5 * errors[-2]):
                break
        if not errors[-1] < 1e-6:
            counts = " + ".join(map(str, self.counts[begun:]))
            raise ConvergenceError(
                f"MINRES left a relative error of {errors[-1]:.3g} after {counts} iterations for "
                f"{self.matrix.getSize()[0]:,} unknowns; check the orders of magnitude of the medium's parameters",
                x,
                np.array(errors),
            )
        return x, errors[-1]

    def _iterate(self, out, gain):
        """Values of the own unknowns, (n,) of displacements and of pressures, that the matrix makes ``out`` of."""
        module = petsc()
        x, b = self.matrix.createVecs()
        near = b.duplicate()
        b.setArray(np.concatenate(out))
        self.blocks.apply(None, b, near)
        # of size 1, which limits of PETSc's own are made for
        size = np.sqrt(max(b.dot(near), 0.0))
        if not (np.isfinite(size) and size > 0.0):
            self.counts.append(0)
            return [np.full_like(part, 0.0 if size == 0.0 else np.nan) for part in out]  # nothing to solve, or no way
        b.scale(1.0 / size)
        ksp = module.KSP().create(self.comm)
        ksp.setType("minres")
        ksp.setOperators(self.matrix)
        ksp.getPC().setType("python")
        ksp.getPC().setPythonContext(self.blocks)
        ksp.setNormType(module.KSP.NormType.PRECONDITIONED)
        ksp.setTolerances(rtol=gain, atol=0.0, max_it=_MOST_ITERATIONS)
        ksp.solve(b, x)
        self.counts.append(ksp.getIterationNumber())
        ksp.destroy()
        return self.blocks.split(size * x.getArray(readonly=True))

    def _relative(self, out, x, first):
        """Residual over the sizes of what adds up to it, and of the first one."""
        (stiffness, coupling, fluid), (free_u, free_p) = self.operators, self._free(x)
        (u, forces), (p, volumes) = stiffness.createVecs(), fluid.createVecs()
        u.setArray(free_u)
        p.setArray(free_p)
        sizes = [np.zeros_like(part) for part in out]
        for product, right, left, place in (
            (stiffness.mult, u, forces, 0),
            (coupling.multTranspose, p, forces, 0),
            (coupling.mult, u, volumes, 1),
            (fluid.mult, p, volumes, 1),
        ):
            product(right, left)
            sizes[place] += np.abs(left.getArray(readonly=True))
        sizes = [np.where(is_free, size, 0.0) for is_free, size in zip(self.blocks.is_free, sizes, strict=True)]
        size = first + self._norm(sizes)
        return self._norm(out) / size if size > 0.0 else 0.0

    def _free(self, vector):
        n_u = len(vector) - self.unknowns[1].components * len(self.unknowns[1].distributed.vertices)
        parts = zip(self.unknowns, (vector[:n_u], vector[n_u:]), self.blocks.is_free, strict=True)
        return [np.where(is_free, unknowns.owned(part), 0.0) for unknowns, part, is_free in parts]

    def _spread(self, owned):
        return np.concatenate([unknowns.spread(part) for unknowns, part in zip(self.unknowns, owned, strict=True)])

    def _norm(self, parts):
        own = sum(float((scale * part) @ (scale * part)) for scale, part in zip(self.scale, parts, strict=True))
        return float(np.sqrt(self.comm.allreduce(own)))


def hold(matrix, is_free):
    """Take what is not free out of a matrix: on the diagonal remains the mean of the others."""
    first, last = matrix.getOwnershipRange()
    diagonal = matrix.getDiagonal()
    mean = diagonal.sum() / diagonal.getSize()
    matrix.zeroRowsColumns(np.arange(first, last, dtype=petsc().IntType)[~is_free], mean)
