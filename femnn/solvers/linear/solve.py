"""Solve ``K x = f``: a direct solver, algebraic multigrid or plain conjugate gradients, picked by size and checked."""

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.linalg import splu

from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers.linear.near_null_space import near_null_space
from femnn.solvers.linear.singularity import check_held, explain_factors, moving_freely, raise_singular
from femnn.solvers.linear.system import LinearSystem

METHODS = ("auto", "splu", "pyamg", "cg")

#: Free degrees of freedom up to which factoring is the faster way, and beyond which one machine is the slower one.
FEW, MANY = 20_000, 2_000_000

_MOST_ITERATIONS = {"pyamg": 300, "cg": 20_000}

# Of a factored solution: each gains several digits, or none.
_REFINEMENTS = 3

# Nodes of the coarsest level, which is factored.
_COARSEST = 700

# On meshes of flat elements pyamg's defaults take two to nine times the iterations. The modes need no improvement.
_FOR_FLAT_ELEMENTS = {
    "strength": ("evolution", {"epsilon": 4.0, "k": 2}),
    "smooth": ("energy", {"krylov": "cg", "maxiter": 4, "degree": 1}),
}


@dataclass(frozen=True, repr=False)
class Solution:
    """What :func:`femnn.solve` found, and how.

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
        How many degrees of freedom were free.
    note
        What limited the residual, and what to install for more, where there is such; else empty.
    """

    x: np.ndarray
    method: str
    iterations: int
    residual: float
    residuals: tuple = field(repr=False)
    seconds: float
    n_free: int
    note: str = ""

    def __repr__(self):
        how = f"{self.iterations} iterations" if self.method != "splu" else f"refined {self.iterations} times"
        text = f"{self.method}: {self.n_free:,} of {len(self.x):,} degrees of freedom, {how}"
        text += f", relative residual {self.residual:.1e}, {self.seconds:.2f} s"
        return f"{text}; {self.note}" if self.note else text


def solve(K, f, fixed=None, values=0.0, points=None, method="auto", rtol=1e-8, max_iterations=None):
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
        20,000 free degrees of freedom, and for matrices that are unsymmetric or have no positive diagonal; else pyamg.
    rtol
        Greatest ‖f - K x‖ over the free degrees of freedom, relative to the norm of the right side there. Where K is
        so ill-conditioned that rounding prevents it, splu gives what it can, with a note.
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
        If the result misses ``rtol``; carries the last iterate.
    """
    started = time.perf_counter()
    _check_options(method, rtol, max_iterations)
    system = LinearSystem.of(K, f, fixed, values)
    modes, components = near_null_space(points, len(system.force))
    method = _choose(method, system)
    if not len(system.free):
        found, residuals = np.zeros(0), [0.0]
    elif method == "splu":
        found, residuals = _factored(system, modes, components, rtol)
    else:
        most = max_iterations or _MOST_ITERATIONS[method]
        found, residuals = _iterated(system, modes, components, method, rtol, most)
    x = system.completed(found)
    residual = system.relative_residual(x)
    note = _note(method, len(system.free))
    if not residual <= rtol:
        if method != "splu" or not system.is_solved_to_rounding(x):
            raise ConvergenceError(_missed(method, residual, rtol, len(residuals) - 1, points), x, np.array(residuals))
        note = f"K is so ill-conditioned that rounding keeps the residual above rtol={rtol:g}; {note}".rstrip("; ")
    seconds = time.perf_counter() - started
    return Solution(x, method, len(residuals) - 1, residual, tuple(residuals), seconds, len(system.free), note)


def _check_options(method, rtol, max_iterations):
    if method not in METHODS:
        raise ParameterError(f"method={method!r} is not one of {', '.join(METHODS)}")
    if not 0.0 < rtol < 1.0:
        raise ParameterError(f"rtol={rtol!r} is not allowed; it must be between 0 and 1, such as 1e-8")
    if max_iterations is not None and (max_iterations != int(max_iterations) or max_iterations < 1):
        raise ParameterError(f"max_iterations={max_iterations!r} is not allowed; it must be an integer > 0, or None")


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


def _factored(system, modes, components, rtol):
    """Values of what is free, and their relative residual after each refinement."""
    matrix, b = system.condensed(), system.right_side
    columns = matrix.tocsc()
    for options in _ways_to_factor(system):
        factors = _factors(columns, options)
        if factors is not None:
            found, residuals = _refined(matrix, factors, b, rtol)
            if residuals[-1] <= rtol:
                break
    moving = None if factors is None else moving_freely(matrix, factors.solve)
    if moving is None or moving.any():
        if system.is_positive:
            check_held(system, modes, components)
        if moving is None:
            explain_factors(matrix, system.free)
        raise_singular(system.free[moving])
    return found, residuals


def _ways_to_factor(system):
    if system.is_symmetric and system.is_positive:
        # positive definite as a rule: no pivoting, so that the ordering keeps a quarter of the time and memory
        yield {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    yield {}


def _factors(columns, options):
    try:
        return splu(columns, **options)
    except RuntimeError:  # an exact zero for a pivot
        return None
    except MemoryError:
        raise MemoryError(
            f"the factors of {columns.shape[0]:,} degrees of freedom do not fit into memory; pass method='pyamg', or "
            "look at pypardiso and petsc4py"
        ) from None


def _refined(matrix, factors, b, rtol):
    scale = np.linalg.norm(b) or 1.0
    found, residuals = factors.solve(b), []
    for _ in range(_REFINEMENTS + 1):
        missed = b - matrix @ found
        residuals.append(float(np.linalg.norm(missed) / scale))
        if residuals[-1] <= rtol or len(residuals) > _REFINEMENTS or not np.isfinite(residuals[-1]):
            break
        found += factors.solve(missed)
    return found, residuals


def _iterated(system, modes, components, method, rtol, most):
    """Values of what is free, and the relative residual after each iteration."""
    matrix, dofs, is_free = check_held(system, modes, components)
    b = np.zeros(len(dofs))
    b[is_free] = system.right_side
    if method == "cg":
        preconditioner = diags_array(1.0 / matrix.diagonal())
    else:
        preconditioner = _multigrid(matrix, modes[dofs] * is_free[:, None])
    scale = np.linalg.norm(b)
    if scale == 0.0:
        return np.zeros(len(system.free)), [0.0]
    found, residuals, flag = None, [1.0], 0
    # the residual of the recurrence drifts from that of x: what is left is made up from there
    while flag == 0 and len(residuals) <= most:
        found, norms, flag = _conjugate_gradients(matrix, b, found, rtol, most + 1 - len(residuals), preconditioner)
        residuals += [float(norm / scale) for norm in norms[1:]]
        if len(norms) == 1 or np.linalg.norm(b - matrix @ found) <= rtol * scale:
            break
    if flag < 0:
        raise ConvergenceError(
            f"K is not positive definite: {method} met a direction of negative energy after {len(residuals) - 1} "
            "iterations; pass method='splu', and check the signs of the coefficients",
            system.completed(found[is_free]),
            np.array(residuals),
        )
    return found[is_free], residuals


def _conjugate_gradients(matrix, b, start, rtol, most, preconditioner):
    from pyamg.krylov import cg

    norms = []
    with warnings.catch_warnings(record=True):  # what it warns of is in the flag
        found, flag = cg(matrix, b, x0=start, tol=rtol, maxiter=most, M=preconditioner, residuals=norms)
    return found, norms, flag


def _multigrid(matrix, modes):
    """A V-cycle of smoothed aggregation that knows ``modes``."""
    from pyamg import smoothed_aggregation_solver

    with _seeded():
        levels = smoothed_aggregation_solver(
            matrix, B=modes, max_coarse=_COARSEST, coarse_solver="splu", improve_candidates=None, **_FOR_FLAT_ELEMENTS
        )
        return levels.aspreconditioner()


@contextmanager
def _seeded():
    """pyamg draws from NumPy's global generator: the same numbers each time, and none taken from its user."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _missed(method, residual, rtol, iterations, points):
    said = (
        f"{method} stopped at a relative residual of {residual:.1e} after {iterations} iterations, asked for {rtol:.1e}"
    )
    if method == "splu":
        return f"{said}; check the coefficients of K, some may differ by more than rounding allows"
    if points is None:
        return f"{said}; pass points=mesh if this is elasticity, raise max_iterations, or pass method='splu'"
    return f"{said}; raise max_iterations or rtol, or pass method='splu'"


def _note(method, n_free):
    if n_free > MANY:
        return "beyond a machine: petsc4py (GAMG, MPI) solves systems of this size in parallel"
    if method == "splu" and n_free > FEW:
        return "method='pyamg' is faster if K is positive definite; pypardiso (pip install pypardiso) factors faster"
    return ""
