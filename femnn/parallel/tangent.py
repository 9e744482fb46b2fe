"""Corrections of Newton's method for faulted bodies over all ranks: PETSc's GMRES with multigrid for the blocks.

As :class:`femnn.solvers.linear.saddle_iteration.TangentIteration` does it in one process, with PETSc's GAMG as the
V-cycles. The matrix of a body stays from iteration to iteration; what its faults add is a small matrix beside it.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix

from femnn.parallel.matrix import RankMatrix
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.ranks import petsc
from femnn.parallel.saddle import DISPLACEMENTS, PRESSURES, hold
from femnn.parallel.solver import multigrid, rigid_body_modes
from femnn.parallel.sparse_sum import summed
from femnn.solvers.linear.saddle_iteration import GAINED, RESTARTS, VECTORS, serves_on


class RankTangents:
    """Iterations for the steps of one body with faults.

    Parameters
    ----------
    porous : RankPorousProblem
    inertia
        Whether the stiffness depends on the step, as that of rock with a mass does.
    """

    def __init__(self, porous: RankPorousProblem, inertia: bool) -> None:
        self._porous, self._inertia = porous, inertia
        is_free = np.ones(porous.constraint.n, dtype=bool)
        is_free[porous.constraint.prescribed] = False
        self.unknowns = u, p = porous.unknowns
        self.is_free = (u.owned(is_free[: porous.n_u]), p.owned(is_free[porous.n_u :]))
        self._stiffness = RankMatrix.of(porous.distributed, csr_matrix(porous.stiffness)).petsc
        self._coupling: Any = None
        self._body: tuple[Any, tuple] = (None, ())

    def iteration(
        self, body: csr_array, fault: csr_array, held: csr_array, earlier: "RankTangentIteration | None"
    ) -> "RankTangentIteration":
        """For a tangent, the sum of what own cells and own points give; collective.

        Parameters
        ----------
        body, fault : (n, n)
            The part that stays while it is the same object, and the one of the faults.
        held : (n_u, n_u)
            What faults hold, positive: as ``StepEquations.held_stiffness`` gives it.
        earlier
            Its block of the displacements serves on as long as that costs no more iterations than a new one would save.
        """
        n_u, (u, p) = self._porous.n_u, self.unknowns
        stiffness, coupling, _ = blocks = self._blocks(body)
        if earlier is not None and serves_on(earlier.counts):
            displacements, counts = earlier.displacements, earlier.counts
        else:
            displacements, counts = self._displacements(held), []
        halves = (slice(n_u), u), (slice(n_u, None), p)
        added = [
            [summed(csr_array(fault[rows, columns]), one, other) for columns, other in halves] for rows, one in halves
        ]
        store = -(body[n_u:, n_u:] + fault[n_u:, n_u:])
        schur = summed(csr_array(0.5 * (store + store.T) + self._porous.strained), p, p)
        hold(schur, self.is_free[1])
        cycles = displacements[1], multigrid(schur, "femnn_pressures_", PRESSURES)
        scale = [1.0 / np.sqrt(matrix.getDiagonal().getArray()) for matrix in (displacements[0], schur)]
        comm, module = self._porous.distributed.comm, petsc()
        whole = module.Mat().createNest([[stiffness, module.Mat().createTranspose(coupling)], blocks[1:]], comm=comm)
        triangle = Triangle(cycles, (coupling, added[1][0]), scale, self.is_free)
        matrix = ScaledSum((whole, module.Mat().createNest(added, comm=comm)), triangle.scale)
        return RankTangentIteration(self._porous, displacements, matrix, triangle, scale, counts)

    def _blocks(self, body):
        """K, −B and −C."""
        if self._body[0] is not body:
            n_u, (u, p) = self._porous.n_u, self.unknowns
            if self._coupling is None:
                self._coupling = summed(csr_array(body[n_u:, :n_u]), p, u)
            stiffness = summed(csr_array(body[:n_u, :n_u]), u, u) if self._inertia else self._stiffness
            self._body = body, (stiffness, self._coupling, summed(csr_array(body[n_u:, n_u:]), p, p))
        return self._body[1]

    def _displacements(self, held):
        """A positive definite matrix of rock and faults, and its V-cycle."""
        distributed, u = self._porous.distributed, self.unknowns[0]
        matrix = self._stiffness.copy()
        matrix.axpy(1.0, summed(held, u, u), structure=petsc().Mat.Structure.DIFFERENT_NONZERO_PATTERN)
        matrix.setNearNullSpace(rigid_body_modes(distributed, matrix))
        hold(matrix, self.is_free[0])
        return matrix, multigrid(matrix, "femnn_displacements_", DISPLACEMENTS)

    def norm(self, scale: list, vector: np.ndarray) -> float:
        """Of what is free of a vector (n,) of this rank, in the scale of its rows; collective."""
        parts = zip(scale, self.owned(vector), strict=True)
        own = sum(float((by * part) @ (by * part)) for by, part in parts)
        return float(np.sqrt(self._porous.distributed.comm.allreduce(own)))

    def owned(self, vector: np.ndarray) -> list:
        """What is free of a vector (n,) of this rank: displacements and pressures that it owns."""
        return owned(self._porous, vector, self.is_free)


def owned(porous, vector, is_free):
    """Own displacements and pressures of a vector (n,) of this rank, 0 where they are not free."""
    parts = zip(porous.unknowns, (vector[: porous.n_u], vector[porous.n_u :]), is_free, strict=True)
    return [np.where(free, unknowns.owned(part), 0.0) for unknowns, part, free in parts]


class ScaledSum:
    """The sum of matrices over what is free with scaled rows and columns, for PETSc.

    Parameters
    ----------
    parts
        ``petsc4py.PETSc.Mat`` of one layout.
    scale : (n_owned,)
        0 where unknowns are prescribed.
    """

    def __init__(self, parts: tuple, scale: np.ndarray) -> None:
        self.parts, self.scale = parts, scale
        self._right, self._left = parts[0].createVecs()

    def mult(self, _matrix: Any, x: Any, y: Any) -> None:
        """What PETSc calls."""
        self._right.setArray(self.scale * x.getArray(readonly=True))
        total = np.zeros(len(self.scale))
        for part in self.parts:
            part.mult(self._right, self._left)
            total += self._left.getArray(readonly=True)
        y.setArray(self.scale * total)


class Triangle:
    """The preconditioner, for PETSc: the V-cycle of each block, and the lower triangle of the coupling between them.

    Parameters
    ----------
    cycles : tuple
        Of displacements and of pressures.
    couplings : tuple
        Whose sum makes volumes of displacements.
    scale : list of (n_owned,)
        Of the rows of displacements and pressures.
    is_free : tuple of (n_owned,) bool
    """

    def __init__(self, cycles: tuple, couplings: tuple, scale: list, is_free: tuple) -> None:
        self.cycles, self.couplings, self.is_free = cycles, couplings, is_free
        free, own = np.concatenate(is_free), np.concatenate(scale)
        self.scale, self._unscaled = np.where(free, own, 0.0), np.where(free, 1.0 / own, 0.0)
        (self._u, self._p), n = couplings[0].createVecs(), len(is_free[0])
        self._out_u, self._out_p, self._n = self._u.duplicate(), self._p.duplicate(), n

    def apply(self, _pc: Any, x: Any, y: Any) -> None:
        """What PETSc calls."""
        forces, volumes = np.split(self._unscaled * x.getArray(readonly=True), [self._n])
        self._out_u.setArray(forces)
        self.cycles[0].apply(self._out_u, self._u)
        u = np.where(self.is_free[0], self._u.getArray(readonly=True), 0.0)
        self._u.setArray(u)
        for coupling in self.couplings:
            coupling.mult(self._u, self._p)
            volumes = volumes - self._p.getArray(readonly=True)
        self._out_p.setArray(np.where(self.is_free[1], volumes, 0.0))
        self.cycles[1].apply(self._out_p, self._p)
        y.setArray(self._unscaled * np.concatenate([u, -self._p.getArray(readonly=True)]))


class RankTangentIteration(NamedTuple):
    """What :class:`femnn.solvers.linear.saddle_iteration.TangentIteration` does, over all ranks.

    Attributes
    ----------
    porous : RankPorousProblem
    displacements : tuple
        Matrix and V-cycle of the block of the displacements.
    matrix : ScaledSum
    triangle : Triangle
    scale : list of (n_owned,)
        Makes residuals of displacements and pressures compare.
    counts : list of int
        Iterations of each correction since the block of the displacements was set up.
    """

    porous: RankPorousProblem
    displacements: tuple
    matrix: ScaledSum
    triangle: Triangle
    scale: list
    counts: list

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """What the matrix makes a residual (n,) of, nearly, both vectors of this rank; collective."""
        module, comm = petsc(), self.porous.distributed.comm
        free = owned(self.porous, residual, self.triangle.is_free)
        sizes = (len(self.triangle.scale), sum(unknowns.sizes[1] for unknowns in self.porous.unknowns))
        operator = module.Mat().createPython((sizes, sizes), self.matrix, comm=comm)
        operator.setUp()
        x, b = operator.createVecs()
        b.setArray(self.triangle.scale * np.concatenate(free))
        ksp = module.KSP().create(comm)
        ksp.setType("gmres")
        ksp.setGMRESRestart(VECTORS)
        ksp.setOperators(operator)
        ksp.getPC().setType("python")
        ksp.getPC().setPythonContext(self.triangle)
        ksp.setPCSide(module.PC.Side.RIGHT)
        ksp.setTolerances(rtol=GAINED, atol=0.0, max_it=VECTORS * RESTARTS)
        ksp.solve(b, x)
        self.counts.append(ksp.getIterationNumber())
        ksp.destroy()
        operator.destroy()
        parts = np.split(self.triangle.scale * x.getArray(readonly=True), [len(free[0])])
        spread = [unknowns.spread(part) for unknowns, part in zip(self.porous.unknowns, parts, strict=True)]
        return np.concatenate(spread)
