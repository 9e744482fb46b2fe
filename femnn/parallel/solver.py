"""Solve ``K x = f`` over all ranks: PETSc's algebraic multigrid that knows the rigid-body modes, or MUMPS."""

import time
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of, vector
from femnn.exceptions import ConvergenceError
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.matrix import RankMatrix
from femnn.parallel.ranks import petsc
from femnn.solvers.linear.solver import Solution
from femnn.system.memory import require_memory

METHODS = ("gamg", "mumps")

# How PETSc multiplies PᵀAP on ranks. The first way takes half of the time of the other and keeps AP meanwhile, about as
# large as the matrix; it is taken where so many times the bytes of the matrix are left on the machine.
_PRODUCT, _FAST, _SMALL, _ROOM = "matptap_via", "scalable", "allatonce_merged", 3

# Iterations begun anew from the residual of x; a relative tolerance that is never met.
_ROUNDS, _NEVER = 3, 1e-50

#: ``PETSC_OPTIONS`` (with the prefix ``femnn_``) counts more. A smoother by the diagonal does not know of ranks: the
#: iterations hardly depend on their number. ``-femnn_pc_gamg_aggressive_coarsening 0`` halves the iterations on
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
    """As :class:`femnn.Solution`: ``x`` is the vector on this rank, ``n_free`` counts those of all ranks.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, assemble_elasticity, solve
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(1).with_boundaries({"fixed": lambda x: x[0] == 0.0}))
    >>> rule = femnn.GaussLegendre(2)
    >>> load = mesh.sum(femnn.assemble_body_force(mesh.mesh, rule, (0.0, 0.0, -77e3)))
    >>> solution = solve(assemble_elasticity(mesh, rule, 210e9, 0.3), load, mesh.dofs_on("fixed"))
    >>> len(solution.x) == mesh.n_dofs, solution.n_free
    (True, 54)
    """

    def __repr__(self):
        text = f"{self.method}: {self.n_free:,} free degrees of freedom, {self.iterations} iterations, relative "
        return f"{text}residual {self.residual:.1e}, {self.seconds:.2f} s"


@checked()
def solve(
    K: RankMatrix,
    f: ArrayLike,
    fixed: Any = None,
    values: ArrayLike = 0.0,
    method: str = "gamg",
    rtol: float = 1e-8,
    max_iterations: int = 300,
    overwrite: bool = False,
) -> RankSolution:
    """Solve ``K x = f`` with prescribed values over all ranks, and check the result; collective.

    Parameters
    ----------
    K : RankMatrix
    f : (n_dofs,)
        Load, a vector on this rank: ``distributed.sum`` of what was assembled on ``distributed.mesh``.
    fixed, values
        Prescribed degrees of freedom of this rank, ghosts included, and what they are prescribed, as in
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

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, assemble_elasticity, solve
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(1).with_boundaries({"fixed": lambda x: x[0] == 0.0}))
    >>> rule = femnn.GaussLegendre(2)
    >>> load = mesh.sum(femnn.assemble_body_force(mesh.mesh, rule, (0.0, 0.0, -77e3)))
    >>> solution = solve(assemble_elasticity(mesh, rule, 210e9, 0.3), load, mesh.dofs_on("fixed"))
    >>> solution.residual < 1e-8
    True
    """
    started = time.perf_counter()
    distributed = K.distributed
    one_of("method", method, METHODS)
    prescribed, is_fixed = distributed.prescribed(fixed, values)
    n_own = 3 * distributed.n_owned
    matrix = K.petsc if overwrite else K.petsc.copy()
    x, b = matrix.createVecs()
    x.setArray(np.where(is_fixed, prescribed, 0.0)[:n_own])
    b.setArray(vector(f, distributed.n_dofs, "f")[:n_own])
    rows = (3 * distributed.numbers[:, None] + np.arange(3)).ravel()[:n_own][is_fixed[:n_own]]
    matrix.zeroRowsColumns(rows.astype(petsc().IntType), 1.0, x, b)
    scale = _free_norm(distributed, b, is_fixed)
    residuals = (
        [0.0] if scale == 0.0 else _iterated(distributed, matrix, x, b, is_fixed, method, rtol * scale, max_iterations)
    )
    relative = tuple(float(norm / (scale or 1.0)) for norm in residuals)
    solution = K.vector(x)
    n_free = distributed.comm.allreduce(int((~is_fixed[:n_own]).sum()))
    seconds = time.perf_counter() - started
    if not relative[-1] <= rtol:
        raise ConvergenceError(
            f"{method} stopped at a relative residual of {relative[-1]:.1e} after {len(relative) - 1} iterations, "
            f"the target is {rtol:.1e}; hold every part of the structure, raise rtol or max_iterations, or pass "
            "method='mumps' where the matrix is not positive definite",
            solution,
            np.array(relative),
        )
    return RankSolution(solution, method, len(relative) - 1, relative[-1], relative, seconds, n_free)


def _iterated(distributed, matrix, x, b, is_fixed, method, enough, most):
    """Iterate until the residual is ``enough``; its norm at the start and after each iteration."""
    ksp = _solver(distributed, matrix, method)
    with _products(distributed.comm, matrix):
        ksp.setUp()
    missed, norms = b.duplicate(), []
    ksp.setMonitor(lambda _, number, norm: norms.append(norm) if number or not norms else None)
    try:
        # the residual of the recurrence drifts from that of x: what is left is made up from there
        for _ in range(_ROUNDS):
            ksp.setTolerances(rtol=_NEVER, atol=0.5 * enough, max_it=max(1, most + 1 - len(norms)))
            ksp.solve(b, x)
            matrix.mult(x, missed)
            missed.aypx(-1.0, b)
            norms[-1] = _free_norm(distributed, missed, is_fixed)
            if norms[-1] <= enough or ksp.getConvergedReason() < 0:
                break
    finally:
        ksp.destroy()
    return norms


@contextmanager
def _products(comm, matrix):
    """Coarse matrices the fast way where memory is left, else the one that saves it; no prefix reaches the option."""
    options = petsc().Options()
    is_set = comm.size == 1 or options.hasName(_PRODUCT)
    if not is_set:
        options[_PRODUCT] = _FAST if _has_room(comm, matrix) else _SMALL
    try:
        yield
    finally:
        if not is_set:
            options.delValue(_PRODUCT)


def _has_room(comm, matrix):
    """True on all ranks if every machine has memory left for the products of its ranks."""
    from mpi4py import MPI

    entries = matrix.getInfo(petsc().Mat.InfoType.LOCAL)["nz_used"]
    need = int(_ROOM * entries * (8 + np.dtype(petsc().IntType).itemsize))
    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        require_memory(here.allreduce(need), "the product of the coarse matrix")
        fits = True
    except MemoryError:
        fits = False
    finally:
        here.Free()
    return all(comm.allgather(fits))


def _solver(distributed, matrix, method):
    module = petsc()
    ksp = module.KSP().create(distributed.comm)
    ksp.setOptionsPrefix("femnn_")
    ksp.setOperators(matrix)
    pc = ksp.getPC()
    if method == "mumps":
        # refines what it factored
        ksp.setType("richardson")
        pc.setType("lu")
        pc.setFactorSolverType("mumps")
    else:
        matrix.setOption(module.Mat.Option.SPD, True)
        matrix.setNearNullSpace(rigid_body_modes(distributed, matrix))
        ksp.setType("cg")
        pc.setType("gamg")
        _set_defaults("femnn_", OPTIONS)
    ksp.setNormType(module.KSP.NormType.UNPRECONDITIONED)
    ksp.setInitialGuessNonzero(True)
    ksp.setFromOptions()
    return ksp


def multigrid(matrix: Any, prefix: str, options: Mapping[str, Any] = OPTIONS) -> Any:
    """``petsc4py.PETSc.PC``, a V-cycle for a positive definite matrix; collective.

    Parameters
    ----------
    matrix
        ``petsc4py.PETSc.Mat`` with its block size, and its near null space if that is not the constants.
    prefix
        Of what ``PETSC_OPTIONS`` says about it, which counts more than ``options``.
    """
    matrix.setOption(petsc().Mat.Option.SPD, True)
    cycle = petsc().PC().create(matrix.getComm())
    cycle.setOptionsPrefix(prefix)
    cycle.setOperators(matrix)
    cycle.setType("gamg")
    _set_defaults(prefix, options)
    cycle.setFromOptions()
    with _products(matrix.getComm().tompi4py(), matrix):
        cycle.setUp()
    return cycle


def _set_defaults(prefix, values):
    options = petsc().Options(prefix)
    for name, value in values.items():
        if not options.hasName(name):
            options[name] = value


def rigid_body_modes(distributed: DistributedMesh, matrix: Any) -> Any:
    """``petsc4py.PETSc.NullSpace`` of the motions that cost no energy while nothing is held; collective."""
    coordinates = matrix.createVecLeft()
    coordinates.setBlockSize(3)
    coordinates.setArray(np.ascontiguousarray(distributed.mesh.p[:, : distributed.n_owned].T).ravel())
    return petsc().NullSpace().createRigidBody(coordinates)


def _free_norm(distributed, vec, is_fixed):
    values = vec.getArray(readonly=True)
    free = values[~is_fixed[: len(values)]]
    return float(np.sqrt(distributed.comm.allreduce(float(free @ free))))
