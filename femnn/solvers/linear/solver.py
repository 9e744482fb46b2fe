"""Solve ``K x = f``: a direct solver, algebraic multigrid or plain conjugate gradients, picked by size and checked."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

from femnn.checks import integer, number, one_of
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers.linear.conjugate_gradients import Iteration, conjugate_gradients
from femnn.solvers.linear.factorisation import factored, memory_of_factors
from femnn.solvers.linear.multigrid import multigrid
from femnn.solvers.linear.near_null_space import near_null_space
from femnn.solvers.linear.singularity import check_held
from femnn.solvers.linear.system import LinearSystem
from femnn.system.memory import require_memory

METHODS = ("auto", "splu", "pyamg", "cg")

#: Free degrees of freedom up to which factoring is the faster way, and beyond which one machine is the slower one.
FEW, MANY = 20_000, 2_000_000

_MOST_ITERATIONS = {"pyamg": 300, "cg": 20_000}


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """The result of :func:`femnn.solve`, and how it was found.

    Attributes
    ----------
    x : (n,) float64
        The solution, prescribed values included.
    method
        ``"splu"``, ``"pyamg"`` or ``"cg"``.
    iterations
        Of conjugate gradients; of the refinement after factoring.
    residual
        ‖f - K x‖ over what is free, relative to the right side, computed from ``x`` itself.
    residuals : tuple of float
        The same as the iteration saw it, from its start on.
    seconds
        Checks and set-up included.
    n_free
        Number of free degrees of freedom.
    note
        What limited the residual, why another method took over, and what to install for more; else empty.
    """

    x: np.ndarray
    method: str
    iterations: int
    residual: float
    residuals: tuple[float, ...] = field(repr=False)
    seconds: float
    n_free: int
    note: str = ""

    def __repr__(self):
        how = f"{self.iterations} iterations" if self.method != "splu" else f"refined {self.iterations} times"
        text = f"{self.method}: {self.n_free:,} of {len(self.x):,} degrees of freedom, {how}"
        text += f", relative residual {self.residual:.1e}, {self.seconds:.2f} s"
        return f"{text}; {self.note}" if self.note else text


def solve(
    K: sparray | spmatrix,
    f: ArrayLike,
    fixed: Any = None,
    values: ArrayLike = 0.0,
    points: Any = None,
    method: str = "auto",
    rtol: float = 1e-8,
    max_iterations: int | None = None,
) -> Solution:
    """Solve ``K x = f`` with prescribed values, and check the result.

    >>> import femnn, numpy as np, skfem
    >>> mesh = skfem.MeshHex().refined(2)
    >>> K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), young=210e9, poisson=0.3)
    >>> basis = skfem.CellBasis(mesh, skfem.ElementVector(skfem.ElementHex1()))
    >>> held, pulled = (basis.get_dofs(lambda x: x[2] == z) for z in (0.0, 1.0))
    >>> f = np.zeros(len(K.indptr) - 1)
    >>> f[pulled.nodal["u^3"]] = 1e3
    >>> x = femnn.solve(K, f, held, points=mesh).x

    Parameters
    ----------
    K
        Sparse matrix of the whole mesh, (n, n), real.
    f : (n,)
        Load; what it holds at fixed degrees of freedom does not matter.
    fixed
        Prescribed degrees of freedom: an array of them, a mask (n,), or what ``basis.get_dofs(...)`` of scikit-fem
        gives. None holds nothing.
    values
        What they are prescribed: a number, an array in the order of ``fixed``, or a vector (n,), of which the fixed
        ones count.
    points
        Where the degrees of freedom are: the mesh, the basis (or list of bases), or coordinates (dim, nodes). Needed
        for elasticity beyond 20,000 degrees of freedom, where it gives multigrid the rigid-body modes: an order of
        magnitude in iterations. None for scalar problems. Node k carries rows dim·k to dim·k + dim - 1.
    method
        ``"splu"``: SuperLU. ``"pyamg"``: conjugate gradients with smoothed aggregation multigrid (Vaněk, Mandel,
        Brezina, Computing 56 (1996) 179-196). ``"cg"``: conjugate gradients with the diagonal. ``"auto"``: splu up to
        20,000 free degrees of freedom, and for matrices that are unsymmetric or have no positive diagonal; else pyamg,
        and splu after all where multigrid does not converge and the factors fit into memory.
    rtol
        Greatest ‖f - K x‖ over the free degrees of freedom, relative to the norm of the right side there. Where K is
        so ill-conditioned that rounding prevents it, as in slender beams and thin plates, the solution that is as good
        as the matrix allows is given, with a note.
    max_iterations
        Of conjugate gradients; None for 300 with multigrid and 20,000 without.

    Returns
    -------
    Solution

    Raises
    ------
    ParameterError
        If arguments do not fit together, K or f are not finite, or K is not symmetric with a method that needs it.
    SingularMatrixError
        If a part is not held, or K is singular for another cause; names the degrees of freedom.
    ConvergenceError
        If the result misses ``rtol`` by more than rounding; carries the best iterate.
    MemoryError
        If the factors do not fit into memory.
    """
    started = time.perf_counter()
    _check_options(method, rtol, max_iterations)
    system = LinearSystem.of(K, f, fixed, values)
    modes, components = near_null_space(points, len(system.force))
    automatic, method = method == "auto", _choose(method, system)
    notes = []
    converged, failure = True, ""
    if not len(system.free):
        unknowns, residuals = np.zeros(0), [0.0]
    elif method == "splu":
        unknowns, residuals = factored(system, modes, components, rtol)
    else:
        most = max_iterations or _MOST_ITERATIONS[method]
        unknowns, residuals, converged, failure = _iterated(system, modes, components, method, rtol, most)
    x = system.completed(unknowns)
    residual = system.relative_residual(x)
    exact = residual <= rtol or (converged and system.is_solved_to_rounding(x))
    if not exact and method != "splu" and (automatic or len(system.free) <= FEW):
        refusal = _refusal_of_factors(system)
        if refusal:
            notes.append(refusal)
        else:
            # where the user chose the method, this tells at least whether K is singular
            factors, refined = factored(system, modes, components, rtol)
            if automatic:
                notes.append(f"multigrid left a residual of {residual:.1e} after {len(residuals) - 1} iterations")
                method, residuals, x = "splu", refined, system.completed(factors)
                residual = system.relative_residual(x)
                exact = residual <= rtol or system.is_solved_to_rounding(x)
    solution = system.in_units_of_the_user(x)
    if not exact:
        message = _missed(method, failure, residual, rtol, len(residuals) - 1, points)
        raise ConvergenceError("; ".join([message, *notes]), solution, np.array(residuals))
    if not np.isfinite(solution).all():
        raise ParameterError(
            f"the solution is larger than a double, 2^{system.exponent} times {np.abs(x).max():.1e}: choose other units"
        )
    if not residual <= rtol:
        notes.insert(0, f"K is so ill-conditioned that rounding keeps the residual above rtol={rtol:g}")
    note = "; ".join(filter(None, [*notes, _advice(method, len(system.free))]))
    seconds = time.perf_counter() - started
    return Solution(solution, method, len(residuals) - 1, residual, tuple(residuals), seconds, len(system.free), note)


def _check_options(method, rtol, max_iterations):
    one_of("method", method, METHODS)
    number("rtol", rtol, "(0, 1)")
    if max_iterations is not None:
        integer("max_iterations", max_iterations, at_least=1)


def _choose(method, system):
    if method == "auto":
        simple = len(system.free) <= FEW or not (system.is_positive and system.is_symmetric)
        return "splu" if simple else "pyamg"
    if method == "splu":
        return method
    if not system.is_symmetric:
        raise ParameterError(f"K is not symmetric, which method={method!r} needs; pass method='splu'")
    if not system.is_positive:
        dof = system.free[np.argmin(system.diagonal[system.free])]
        raise ParameterError(
            f"K is not positive definite, which method={method!r} needs: its diagonal is {system.diagonal[dof]:.3g} at "
            f"degree of freedom {dof}; pass method='splu'"
        )
    return method


def _iterated(system, modes, components, method, rtol, most):
    """:class:`Iteration` to the values of what is free."""
    matrix, dofs, is_free = check_held(system, modes, components)
    b = np.zeros(len(dofs))
    b[is_free] = system.right_side
    if not b.any():
        return Iteration(np.zeros(len(system.free)), [0.0], True, "")
    if method == "cg":
        inverse = 1.0 / matrix.diagonal()
        precondition = inverse.__mul__
    else:
        precondition = multigrid(matrix, modes[dofs] * is_free[:, None])
    try:
        iteration = conjugate_gradients(matrix, b, precondition, rtol, most)
    except RuntimeError:  # an exact zero for a pivot on the coarsest level
        return Iteration(np.zeros(len(system.free)), [1.0], False, "the coarsest level of the multigrid")
    return iteration._replace(x=iteration.x[is_free])


def _refusal_of_factors(system):
    """Why the factors of a system cannot be tried, empty if they can."""
    need = memory_of_factors(system.condensed())
    try:
        require_memory(need, f"a factorisation of {len(system.free):,} degrees of freedom")
    except MemoryError as error:
        return str(error)
    return ""


def _missed(method, failure, residual, rtol, iterations, points):
    """Message about a solution that misses the tolerance."""
    message = (
        f"{method} stopped at a relative residual of {residual:.1e} after {iterations} iterations, the target is "
        f"{rtol:.1e}"
    )
    if failure:
        return (
            f"{message}: {failure} is not positive definite; pass method='splu', and check the signs of the "
            "coefficients"
        )
    if method == "splu":
        return f"{message}; check the coefficients of K, some may differ by more than rounding allows"
    if points is None:
        return f"{message}; pass points=mesh if this is elasticity, raise max_iterations, or pass method='splu'"
    return f"{message}; raise max_iterations or rtol, or pass method='splu'"


def _advice(method, n_free):
    if n_free > MANY:
        return "beyond a machine: petsc4py (GAMG, MPI) solves systems of this size in parallel"
    if method == "splu" and n_free > FEW:
        return "method='pyamg' is faster if K is positive definite; pypardiso (pip install pypardiso) factors faster"
    return ""
