"""Solve ``K x = f`` over all ranks: PETSc's algebraic multigrid that knows the rigid-body modes, or MUMPS."""

import time
from dataclasses import dataclass

import numpy as np

from femnn.assembly.linear_solver import Solution
from femnn.assembly.linear_system import vector
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.parallel.ranks import petsc

METHODS = ("gamg", "mumps")

#: ``PETSC_OPTIONS`` (with the prefix ``femnn_``) counts more. A smoother by the diagonal does not know of ranks, so that
#: the iterations hardly depend on their number. ``-femnn_pc_gamg_aggressive_coarsening 0`` halves the iterations on
#: unstructured meshes, for twice the memory.
OPTIONS = {
    "pc_gamg_type": "agg",
    "pc_gamg_agg_nsmooths": 1,
    "pc_gamg_threshold": 0.01,
    "pc_gamg_aggressive_coarsening": 1,
    "mg_levels_ksp_type": "chebyshev",
    "mg_levels_ksp_max_it": 4,
    "mg_levels_pc_type": "jacobi",
}


@dataclass(frozen=True, repr=False)
class RankSolution(Solution):
    """As :class:`femnn.Solution`: ``x`` is the vector on this rank's part, ``n_free`` counts those of all ranks."""

    def __repr__(self):
        text = f"{self.method}: {self.n_free:,} free degrees of freedom, {self.iterations} iterations, relative "
        return f"{text}residual {self.residual:.1e}, {self.seconds:.2f} s"


def solve(K, f, fixed=None, values=0.0, method="gamg", rtol=1e-8, max_iterations=300, overwrite=False):
    """Solve ``K x = f`` with prescribed values over all ranks, and check the result; collective.

    Parameters
    ----------
    K : RankMatrix
    f : (n_dofs,)
        Load, a vector on the part: ``part.sum`` of what was assembled on ``part.mesh``.
    fixed, values
        Prescribed degrees of freedom of the part, ghosts included, and what they are prescribed, as in
        :func:`femnn.solve`.
    method
        ``"gamg"``: conjugate gradients with smoothed aggregation (PETSc's GAMG) and the rigid-body modes; for positive
        definite matrices. ``"mumps"``: a direct solver, for those that are indefinite or unsymmetric.
    rtol
        Greatest ‖f - K x‖ over what is free, relative to the norm of the right side there.
    max_iterations
        Of conjugate gradients.
    overwrite
        True puts the supports into K itself: saves a copy, K is of no use afterwards.

    Returns
    -------
    RankSolution

    Raises
    ------
    ParameterError
        If arguments do not fit together.
    ConvergenceError
        If the result misses ``rtol``, on all ranks; carries the last iterate.
    """
    started = time.perf_counter()
    part = K.part
    if method not in METHODS:
        raise ParameterError(f"method={method!r} is not one of {', '.join(METHODS)}")
    given, is_fixed = part.agreed(fixed, values)
    own = 3 * part.n_owned
    matrix = K.petsc if overwrite else K.petsc.copy()
    x, b = matrix.createVecs()
    x.setArray(np.where(is_fixed, given, 0.0)[:own])
    b.setArray(vector(f, part.n_dofs, "f")[:own])
    rows = (3 * part.numbers[:, None] + np.arange(3)).ravel()[:own][is_fixed[:own]]
    matrix.zeroRowsColumns(rows.astype(petsc().IntType), 1.0, x, b)
    ksp = _solver(part, matrix, method, rtol, max_iterations)
    scale = _free_norm(part, b.getArray(readonly=True), is_fixed)
    residuals = []
    ksp.setMonitor(lambda _, __, norm: residuals.append(norm / scale if scale else 0.0))
    ksp.setInitialGuessNonzero(True)
    if scale > 0.0:
        ksp.solve(b, x)
    reason, iterations = ksp.getConvergedReason(), ksp.getIterationNumber()
    missed = b.duplicate()
    matrix.mult(x, missed)
    missed.aypx(-1.0, b)
    residual = _free_norm(part, missed.getArray(readonly=True), is_fixed) / (scale or 1.0)
    found = K.vector(x)
    ksp.destroy()
    n_free = part.comm.allreduce(int((~is_fixed[:own]).sum()))
    seconds = time.perf_counter() - started
    if not residual <= rtol:
        raise ConvergenceError(
            f"{method} stopped at a relative residual of {residual:.1e} after {iterations} iterations (PETSc's reason "
            f"{reason}), asked for {rtol:.1e}; hold every part of the structure, raise max_iterations, or pass "
            "method='mumps' where the matrix is not positive definite",
            found,
            np.array(residuals),
        )
    return RankSolution(found, method, iterations, residual, tuple(residuals), seconds, n_free)


def _solver(part, matrix, method, rtol, max_iterations):
    module = petsc()
    ksp = module.KSP().create(part.comm)
    ksp.setOptionsPrefix("femnn_")
    ksp.setOperators(matrix)
    pc = ksp.getPC()
    if method == "mumps":
        ksp.setType("preonly")
        pc.setType("lu")
        pc.setFactorSolverType("mumps")
    else:
        matrix.setOption(module.Mat.Option.SPD, True)
        matrix.setNearNullSpace(_rigid_body_modes(part, matrix))
        ksp.setType("cg")
        ksp.setNormType(module.KSP.NormType.UNPRECONDITIONED)
        pc.setType("gamg")
        options = module.Options("femnn_")
        for name, value in OPTIONS.items():
            if not options.hasName(name):
                options[name] = value
    ksp.setTolerances(rtol=0.5 * rtol, atol=0.0, max_it=max_iterations)
    ksp.setFromOptions()
    return ksp


def _rigid_body_modes(part, matrix):
    coordinates = matrix.createVecLeft()
    coordinates.setBlockSize(3)
    coordinates.setArray(np.ascontiguousarray(part.mesh.p[:, : part.n_owned].T).ravel())
    return petsc().NullSpace().createRigidBody(coordinates)


def _free_norm(part, own, is_fixed):
    free = own[~is_fixed[: len(own)]]
    return float(np.sqrt(part.comm.allreduce(float(free @ free))))
