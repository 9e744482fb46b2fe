"""Solve ``K x = f``: a direct solver, algebraic multigrid or plain conjugate gradients, picked by size and checked."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, sparray, spmatrix

from femnn.checks import integer, number, one_of
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.condensation import Condensation
from femnn.solvers.linear.conjugate_gradients import Iteration, conjugate_gradients
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.linear.factorisation import Factorisation, memory_of_factors
from femnn.solvers.linear.multigrid import Multigrid
from femnn.solvers.linear.near_null_space import linear_interpolation, near_null_space
from femnn.solvers.linear.singularity import check_held, is_resisted
from femnn.solvers.linear.system import LinearSystem, Operator, rows_of
from femnn.system.blas import one_blas_thread
from femnn.system.memory import require_memory

METHODS = ("auto", "splu", "pyamg", "cg")

#: Free degrees of freedom up to which factoring is the faster way, in general and where multigrid knows the rigid-body
#: modes of a solid in three dimensions; and beyond which one machine is the slower one.
FEW, FEW_OF_SOLID, MANY = 20_000, 5_000, 2_000_000

_MOST_ITERATIONS = {"pyamg": 600, "cg": 20_000}

# Expected iterations with the quick multigrid beyond which the thorough one is set up: that takes as long as 100 of
# them and then saves half. Looked at on cubes, the shipped parts, and boxes, plates and beams of aspect 30 and 100.
_PATIENCE = 300

# A multigrid of an earlier matrix may take so many iterations for one of its own, and a few more.
_WORSE, _MORE = 2, 8

# Bytes that the levels of the multigrid take at most while they are made, over those of the entries of the matrix.
_LEVELS = 1.8


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
    set_up
        Seconds of these that making factors or multigrid took; 0 where those of an earlier load serve.

    Examples
    --------
    >>> import femnn, scipy.sparse
    >>> solution = femnn.solve(scipy.sparse.csr_matrix([[2.0, -1.0], [-1.0, 2.0]]), [1.0, 0.0])
    >>> solution.x.round(12), solution.method, solution.residual < 1e-12
    (array([0.66666667, 0.33333333]), 'splu', True)
    """

    x: np.ndarray
    method: str
    iterations: int
    residual: float
    residuals: tuple[float, ...] = field(repr=False)
    seconds: float
    n_free: int
    note: str = ""
    set_up: float = 0.0

    def __repr__(self):
        how = f"{self.iterations} iterations" if self.method != "splu" else f"refined {self.iterations} times"
        text = f"{self.method}: {self.n_free:,} of {len(self.x):,} degrees of freedom, {how}"
        text += f", relative residual {self.residual:.1e}, {self.seconds:.2f} s"
        return f"{text}; {self.note}" if self.note else text


class LinearSolver:
    """Systems ``K x = f`` with one matrix, or with matrices that change a little: what can be kept is kept.

    Factors or multigrid are made when first needed and serve every load. :meth:`update` takes another matrix of the
    same structure: the coarse levels of the multigrid stay as long as conjugate gradients take no more than about twice
    the iterations, and are made anew after that. Entries of K must not be changed in place without :meth:`update`.

    >>> import femnn, numpy as np, skfem
    >>> mesh = skfem.MeshHex().refined(2)
    >>> K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), young=210e9, poisson=0.3)
    >>> held = np.flatnonzero(np.repeat(mesh.p[2] == 0.0, 3))
    >>> solver = femnn.LinearSolver(K, held, points=mesh)
    >>> loads = np.random.default_rng(0).normal(size=(2, K.shape[0]))
    >>> first, second = (solver.solve(f).x for f in loads)
    >>> softer = solver.update(0.5 * K).solve(loads[0]).x
    >>> bool(np.allclose(softer, 2.0 * first))
    True

    Parameters
    ----------
    K, fixed, points, method, rtol, max_iterations
        As for :func:`femnn.solve`.

    Raises
    ------
    ParameterError
        If arguments do not fit together, or K is not finite.
    SingularMatrixError
        If a free degree of freedom has an empty row. What is not held is told by :meth:`solve`.
    """

    def __init__(
        self,
        K: sparray | spmatrix,
        fixed: Any = None,
        points: Any = None,
        method: str = "auto",
        rtol: float = 1e-8,
        max_iterations: int | None = None,
    ) -> None:
        self.method, self.rtol = one_of("method", method, METHODS), number("rtol", rtol, "(0, 1)")
        self.max_iterations = None if max_iterations is None else integer("max_iterations", max_iterations, at_least=1)
        n = rows_of(K)
        self._fixed, self._points = fixed, points
        _, self._is_fixed = prescribe(n, fixed, 0.0)
        self._operator = Operator.of(K, self._is_fixed)
        self._modes, self._components = near_null_space(points, n)
        self._interpolation = linear_interpolation(points, n)
        self._blocks: BlockRows | None = None
        self._condensation: Condensation | None = None
        self._multigrid: _Kept | None = None
        self._factors: Factorisation | None = None
        self._gave_up = False
        self._set_up = 0.0

    def __repr__(self):
        n, m = len(self._is_fixed), len(self._operator.free)
        return f"LinearSolver({m:,} of {n:,} degrees of freedom are free, method={self.method!r})"

    def update(self, K: sparray | spmatrix) -> "LinearSolver":
        """Go on with another matrix of the same structure; gives this solver.

        Raises
        ------
        ParameterError
            If K has another size or structure, or is not finite; the solver is as it was.
        SingularMatrixError
            If a free degree of freedom has an empty row.
        """
        operator = Operator.of(K, self._is_fixed)
        if not self.fits(operator.matrix):
            raise ParameterError(
                f"K has {operator.matrix.nnz:,} entries, of which not all are in the places of the "
                f"{self._operator.matrix.nnz:,} before; make a new LinearSolver for another structure"
            )
        self._operator, self._blocks, self._condensation, self._factors = operator, None, None, None
        if self._multigrid is not None:
            self._multigrid = self._multigrid._replace(is_own=False)
        return self

    def fits(self, K: sparray | spmatrix) -> bool:
        """True if a matrix has the size and structure of that of this solver."""
        old = self._operator.matrix
        if rows_of(K) != old.shape[0] or K.nnz != old.nnz:
            return False
        K = csr_array(K)
        pairs = ((K.indptr, old.indptr), (K.indices, old.indices))
        return all(np.shares_memory(new, kept) or np.array_equal(new, kept) for new, kept in pairs)

    @one_blas_thread()
    def solve(self, f: ArrayLike, values: ArrayLike = 0.0, *, rtol: float | None = None) -> Solution:
        """Solution for a load and prescribed values, as :func:`femnn.solve` gives it.

        Parameters
        ----------
        f : (n,)
        values
            Of what is ``fixed``, see :func:`femnn.solve`.
        rtol
            In place of that of the solver.

        Raises
        ------
        ParameterError, SingularMatrixError, ConvergenceError, MemoryError
            As :func:`femnn.solve`. Where a multigrid of an earlier matrix has stopped working, it is made anew once;
            the error tells how many iterations each took.
        """
        started = time.perf_counter()
        rtol = self.rtol if rtol is None else number("rtol", rtol, "(0, 1)")
        operator, self._set_up = self._operator, 0.0
        prescribed, _ = prescribe(len(self._is_fixed), self._fixed, values)
        system = LinearSystem.loaded(operator, f, prescribed)
        method, notes, tries = self._choose(), [], []
        converged, failure = True, ""
        if not len(operator.free):
            x, residuals = system.completed(np.zeros(0)), [0.0]
        elif method == "splu":
            x, residuals = self._factored(system, rtol)
        else:
            iteration, tries = self._iterated(system, method, rtol)
            x, residuals, converged, failure = iteration.x, iteration.residuals, iteration.converged, iteration.failure
        residual = system.relative_residual(x)
        exact = residual <= rtol or (converged and self._is_solved_to_rounding(system, x))
        automatic = self.method == "auto"
        if not exact and method != "splu" and (automatic or len(operator.free) <= FEW):
            refusal = _refusal_of_factors(operator)
            if refusal:
                notes.append(refusal)
            else:
                # where the user chose the method, this tells at least whether K is singular
                factored, refined = self._factored(system, rtol)
                if automatic:
                    notes.append(f"multigrid left a residual of {residual:.1e} after {len(residuals) - 1} iterations")
                    self._gave_up, method, residuals, x = True, "splu", refined, factored
                    residual = system.relative_residual(x)
                    exact = residual <= rtol or system.is_solved_to_rounding(x)
        solution = system.in_units_of_the_user(x)
        if not exact:
            message = _missed(method, failure, residual, rtol, tries or [("", len(residuals) - 1)], self._points)
            raise ConvergenceError("; ".join([message, *notes]), solution, np.array(residuals))
        if not np.isfinite(solution).all():
            raise ParameterError(
                f"the solution is larger than a double, 2^{system.exponent} times {np.abs(x).max():.1e}: choose other "
                "units"
            )
        if not residual <= rtol:
            notes.insert(0, f"K is so ill-conditioned that rounding keeps the residual above rtol={rtol:g}")
        note = "; ".join(filter(None, [*notes, _advice(method, len(operator.free))]))
        seconds, n_free = time.perf_counter() - started, len(operator.free)
        told = method, len(residuals) - 1, residual, tuple(residuals), seconds, n_free, note
        return Solution(solution, *told, self._set_up)

    def _is_solved_to_rounding(self, system, x):
        # what nothing resists is no answer, however large it makes the rounding
        free = self._operator.free
        return system.is_solved_to_rounding(x) and is_resisted(self._operator.condensed(), x[free])

    def _choose(self):
        """The method for the present matrix."""
        operator, method = self._operator, self.method
        if method == "auto":
            few = min(FEW, FEW_OF_SOLID) if self._components == 3 else FEW
            simple = len(operator.free) <= few or not (operator.is_positive and operator.is_symmetric)
            return "splu" if simple or self._gave_up else "pyamg"
        if method == "splu" or not len(operator.free):
            return method
        if not operator.is_symmetric:
            raise ParameterError(f"K is not symmetric, which method={method!r} needs; pass method='splu'")
        if not operator.is_positive:
            dof = operator.free[np.argmin(operator.diagonal[operator.free])]
            raise ParameterError(
                f"K is not positive definite, which method={method!r} needs: its diagonal is "
                f"{operator.diagonal[dof]:.3g} at degree of freedom {dof}; pass method='splu'"
            )
        return method

    def _factored(self, system, rtol):
        """x' (n,) by factors, and the residuals of its refinement."""
        if self._factors is None:
            with self._setting_up():
                self._factors = Factorisation(self._operator, self._modes, self._components)
        unknowns, residuals = self._factors.solve(system.right_side, rtol)
        return system.completed(unknowns), residuals

    def _iterated(self, system, method, rtol):
        """:class:`Iteration` to x' (n,), and for each preconditioner what it was and its iterations."""
        operator = self._operator
        b = np.zeros(len(operator.is_free))
        b[operator.free] = system.right_side
        most = self.max_iterations or _MOST_ITERATIONS[method]
        if not b.any():
            check_held(operator, self._in_blocks(), self._modes)
            return Iteration(system.prescribed, [0.0], True, ""), []
        if method == "cg":
            check_held(operator, self._in_blocks(), self._modes)
            inverse = np.where(operator.is_free, 1.0 / np.where(operator.is_free, operator.diagonal, 1.0), 0.0)
            matrix = _Free(self._in_blocks(), np.flatnonzero(~operator.is_free))
            iteration, tries = conjugate_gradients(matrix, b, inverse.__mul__, rtol, most), []
        else:
            iteration, tries = self._condensed_iteration(b, rtol, most)
        return iteration._replace(x=iteration.x + system.prescribed), tries

    def _condensed_iteration(self, b, rtol, most):
        """The iteration with multigrid, of the nodes that are left where interior ones can be eliminated."""
        held = np.flatnonzero(~self._operator.is_free)
        try:
            condensation = self._condensed()
        except ArithmeticError:
            return Iteration(np.zeros(len(b)), [1.0], False, "K"), []
        if condensation is None:
            return self._with_multigrid(_Free(self._in_blocks(), held), b, rtol, most)
        load = condensation.reduced(b)
        load[held] = 0.0
        # the residual of what is eliminated is zero, that of the others the same: it counts relative to the whole load
        share = np.linalg.norm(load) / np.linalg.norm(b)
        if share == 0.0:
            check_held(self._operator, self._in_blocks(), self._modes)
            return Iteration(condensation.completed(load, b), [0.0], True, ""), []
        iteration, tries = self._with_multigrid(_Free(condensation.matrix, held), load, rtol / share, most)
        residuals = [share * residual for residual in iteration.residuals]
        return iteration._replace(x=condensation.completed(iteration.x, b), residuals=residuals), tries

    def _with_multigrid(self, matrix, b, rtol, most):
        iteration = Iteration(np.zeros(len(b)), [1.0], False, "the coarsest level of the multigrid")
        start, residuals, tries, left, digits = None, [1.0], [], most, -np.log10(rtol)
        for kept in self._multigrids(matrix.blocks):
            limit, patience = left, _PATIENCE if kept.name == "quick" else np.inf
            if not kept.is_own:  # what was made for another matrix costs no iterations of those that are allowed
                limit = min(left, int(_WORSE * kept.per_digit * digits) + _MORE)
            iteration = conjugate_gradients(matrix, b, kept.cycle, rtol, limit, start, patience)
            start, done = iteration.x, len(iteration.residuals) - 1
            residuals += iteration.residuals[1:]
            left -= done if kept.is_own else 0
            tries.append((kept.description, done))
            if iteration.converged:
                if kept.is_own:
                    kept = kept._replace(per_digit=max(done / digits, kept.per_digit))
                self._multigrid = kept
                break
            # K itself is to blame, or there is nothing left to try with
            if iteration.failure == "K" or left < 1:
                break
        return iteration._replace(residuals=residuals), tries

    def _multigrids(self, blocks):
        """Preconditioners in the order in which they are to be tried: that at hand, a new one, a better one."""
        names = ["quick", "thorough"]
        kept = self._multigrid
        if kept is not None:
            try:
                cycle = kept.cycle if kept.is_own else kept.cycle.renewed(blocks)
            except ArithmeticError:
                self._multigrid = None
            else:
                yield kept._replace(cycle=cycle)
            names = names[names.index(kept.name) + int(kept.is_own) :]
        with self._setting_up():
            check_held(self._operator, self._in_blocks(), self._modes)
        require_memory(int(_LEVELS * blocks.data.nbytes), f"the multigrid of {len(self._operator.free):,} unknowns")
        for name in names:
            try:
                with self._setting_up():
                    made = self._made(name, blocks)
            except ArithmeticError:
                continue
            yield _Kept(made, name, True, 0.0)

    def _made(self, name, blocks):
        operator, rows = self._operator, blocks.n * blocks.rows
        is_free, modes = operator.is_free[:rows], self._modes[:rows]
        if name == "quick":
            interpolation = None if self._interpolation is None else self._interpolation[: blocks.n]
            return Multigrid.quick(blocks, modes, is_free.reshape(blocks.n, blocks.rows), interpolation)
        if rows < len(operator.is_free):
            operator = Operator(blocks.tocsr(), 0, is_free)
        matrix, dofs, is_free = operator.blocks(self._components)
        return Multigrid.thorough(matrix, self._components, dofs, modes[dofs] * is_free[:, None])

    def _condensed(self):
        """The system without the interior nodes of triquadratic elements; None if it has none, or they are held."""
        if self._interpolation is not None and self._condensation is None:
            with self._setting_up():
                blocks = self._in_blocks()
                is_free = self._operator.is_free.reshape(blocks.n, blocks.rows)
                self._condensation = Condensation.of(blocks, is_free, blocks.n - self._points.nelements)
        return self._condensation

    @contextmanager
    def _setting_up(self):
        begun = time.perf_counter()
        yield
        self._set_up += time.perf_counter() - begun

    def _in_blocks(self):
        if self._blocks is None:
            self._blocks = BlockRows.of(self._operator.matrix, self._components)
        return self._blocks


class _Kept(NamedTuple):
    """A multigrid, how it was set up, whether for the present matrix, and the iterations for a digit that it took."""

    cycle: Multigrid
    name: str
    is_own: bool
    per_digit: float

    @property
    def description(self):
        return f"a {self.name} multigrid{'' if self.is_own else ' of an earlier matrix'}"


class _Free(NamedTuple):
    """A matrix over what is free: rows that are held give 0."""

    blocks: BlockRows
    held: np.ndarray

    def __matmul__(self, x):
        y = self.blocks @ x
        y[self.held] = 0.0
        return y


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
        for elasticity beyond 5,000 degrees of freedom, where it gives multigrid the rigid-body modes: an order of
        magnitude in iterations. None for scalar problems. Node k carries rows dim·k to dim·k + dim - 1.
    method
        ``"splu"``: SuperLU. ``"pyamg"``: conjugate gradients with smoothed aggregation multigrid (Vaněk, Mandel,
        Brezina, Computing 56 (1996) 179-196). ``"cg"``: conjugate gradients with the diagonal. ``"auto"``: splu up to
        20,000 free degrees of freedom (5,000 of a solid in three dimensions whose points are given), and for matrices
        that are unsymmetric or have no positive diagonal; else pyamg, and splu after all where multigrid does not
        converge and the factors fit into memory.
    rtol
        Greatest ‖f - K x‖ over the free degrees of freedom, relative to the norm of the right side there. Where K is
        so ill-conditioned that rounding prevents it, as in slender beams and thin plates, the solution that is as good
        as the matrix allows is given, with a note.
    max_iterations
        Of conjugate gradients; None for 600 with multigrid and 20,000 without.

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
    solution = LinearSolver(K, fixed, points, method, rtol, max_iterations).solve(f, values)
    return replace(solution, seconds=time.perf_counter() - started)


def _refusal_of_factors(operator):
    """Why the factors of a matrix cannot be tried, empty if they can."""
    need = memory_of_factors(operator.condensed())
    try:
        require_memory(need, f"a factorisation of {len(operator.free):,} degrees of freedom")
    except MemoryError as error:
        return str(error)
    return ""


def _missed(method, failure, residual, rtol, tries, points):
    """Message about a solution that misses the tolerance; ``tries`` are pairs of a preconditioner and iterations."""
    counts = " and ".join(f"{count} iterations{f' with {what}' * (len(tries) > 1)}" for what, count in tries)
    message = f"{method} stopped at a relative residual of {residual:.1e} after {counts}, the target is {rtol:.1e}"
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
