"""The nonlinear problem of a few unknowns that a basis and a cubature make of a large one."""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from femnn.assembly.groups import groups_of
from femnn.checks import brief, checked, one_of, vector
from femnn.exceptions import OutsideRangeError, ParameterError, warn
from femnn.quadrature.fixed import FixedGroups
from femnn.quadrature.rule import CellGroup, Rule
from femnn.reduced import fingerprint
from femnn.reduced.cubature import PROJECTIONS, EmpiricalCubature
from femnn.reduced.forms import FormProblem
from femnn.reduced.integrands import require_one_law_at_points, volumes
from femnn.reduced.least_squares import Balance, LeastSquaresCells
from femnn.reduced.pod import POD
from femnn.solids.laws import SIZES, PointLaw, updated, virgin_state
from femnn.solids.solid import Solid
from femnn.solvers.nonlinear.load_path import NonlinearProblem


class ReducedProblem(NonlinearProblem):
    """A problem in the coefficients q of a basis, evaluated at the points of a cubature alone.

    Its internal force is Vᵀ f(offset + V q), its tangent Vᵀ K V, both integrated by the rule; the first
    ``basis.n_lifting`` unknowns are the prescribed ones. No array in an evaluation is as long as those of the full
    problem, and laws with memory keep a state at the chosen points only.

    Parameters
    ----------
    problem
        A :class:`femnn.Solid` with ``formulation="standard"``, or a :class:`femnn.reduced.FormProblem`.
    basis
        The modes.
    rule
        The :class:`femnn.reduced.EmpiricalCubature`, or any other rule for comparison; None for that of the problem.
    projection
        ``"galerkin"``: the residual is orthogonal to the modes; for tangents that are symmetric. ``"least-squares"``:
        the residual is the least, over what is free (least-squares Petrov-Galerkin); for forms whose tangent is not
        symmetric. The problem then knows its load itself, see ``force``, and solvers are given none:
        ``newton(reduced, np.zeros(reduced.n_dofs))``.
    force : (n,)
        For least squares alone: external force of the full problem, multiplied by the t of the solver; 0 if None. For
        hyper-reduction the cubature must have been fitted with the same projection and force.
    on_outside
        Action if an accepted state lies outside the range of the snapshots, see :meth:`femnn.reduced.POD.in_range`:
        ``"warn"`` once, ``"raise"`` or ``"ignore"``.

    Attributes
    ----------
    outside : int
        Accepted states that lay outside.
    evaluations : int
        Evaluations of the law at a point so far (forms: of a cell).

    Raises
    ------
    ParameterError
        If basis, rule and problem are not of one mesh, law or numbering, or the rule was made for another projection.

    Examples
    --------
    A bar of nonlinear heat conduction: three solutions make a problem of two unknowns.

    >>> import femnn
    >>> from femnn.reduced import FormProblem, Snapshots
    >>> from skfem.helpers import dot, grad
    >>> residual = skfem.LinearForm(lambda v, w: (1 + w["u"] ** 2) * dot(grad(w["u"]), grad(v)))
    >>> tangent = skfem.BilinearForm(
    ...     lambda u, v, w: (1 + w["u"] ** 2) * dot(grad(u), grad(v)) + 2 * w["u"] * u * dot(grad(w["u"]), grad(v))
    ... )
    >>> mesh = skfem.MeshQuad().refined(3).with_defaults()
    >>> problem = FormProblem(mesh, skfem.ElementQuad1(), femnn.GaussLegendre(3), residual, tangent)
    >>> load, held = skfem.asm(skfem.LinearForm(lambda v, w: v), problem.bases), problem.bases[0].get_dofs("left")
    >>> snapshots = Snapshots(problem)
    >>> path = femnn.newton(problem, load, held, steps=3, callback=snapshots.record, progress=False)
    >>> pod = POD.fit(snapshots, modes=2, fixed=held)
    >>> cubature = EmpiricalCubature.fit(problem, pod, snapshots, by="cells", tol=1e-6, progress=False)
    >>> reduced = ReducedProblem(problem, pod, cubature)
    >>> q = femnn.newton(reduced, reduced.load(load), steps=1, progress=False).u
    >>> bool(abs(reduced.lift(q) - path.u).max() < 1e-3 * abs(path.u).max()), len(cubature.cells) < 10
    (True, True)
    """

    @checked(force="any")
    def __init__(
        self,
        problem: Solid | FormProblem,
        basis: POD,
        rule: Rule | None = None,
        *,
        projection: str = "galerkin",
        force: ArrayLike | None = None,
        on_outside: str = "warn",
    ) -> None:
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise", "ignore"))
        self.projection = one_of("projection", projection, PROJECTIONS)
        _require_match(problem, basis, rule)
        _require_projection(projection, problem, rule, force)
        self.basis, self.rule = basis, rule
        self._parts: Any
        if projection == "least-squares":
            known = np.zeros(basis.n) if force is None else vector(force, basis.n, "the force")
            self._parts = LeastSquaresCells(problem, basis, rule, known)
            # solvers ask for it
            self.equilibrium = Balance
        else:
            self._parts = (_SolidPoints if isinstance(problem, Solid) else _FormCells)(problem, basis, rule)
        self._q: np.ndarray | None = None
        self.outside = 0

    @property
    def n_dofs(self) -> int:
        """Number of unknowns."""
        return self.basis.r

    @property
    def evaluations(self) -> int:
        """Evaluations of the law at a point so far; of the forms in a cell."""
        return self._parts.evaluations

    @property
    def fixed(self) -> np.ndarray:
        """The unknowns that are prescribed: ``fixed`` of :func:`femnn.newton`, their values from ``basis.lifting``."""
        return np.arange(self.basis.n_lifting)

    @property
    def states(self) -> np.ndarray:
        """Committed state (points, s) of the law at the chosen points, a copy."""
        return self._parts.states.copy()

    @property
    def strain_modes(self) -> np.ndarray:
        """Of a solid: strains, or displacement gradients, of the modes (r of them) at the points, (points, size, r)."""
        return self._of_points("modes")

    @property
    def volumes(self) -> np.ndarray:
        """Of a solid: volumes (points,) that the points stand for."""
        return self._of_points("volumes")

    @property
    def cells(self) -> np.ndarray:
        """Of a solid: the cell of each point, (points,)."""
        return self._of_points("cells")

    def _of_points(self, name):
        if not isinstance(self._parts, _SolidPoints):
            raise ParameterError(f"{self!r} has no {name} of points; it is made of forms, a Solid has them")
        return getattr(self._parts, name).copy()

    def __repr__(self) -> str:
        return f"ReducedProblem({self.n_dofs} unknowns, {self._parts!r})"

    @checked(force="any")
    def load(self, force: ArrayLike) -> np.ndarray:
        """External force (n,) of the full problem as one (r,) of this; least squares know theirs already."""
        if self.projection == "least-squares":
            raise ParameterError(
                "the test functions of least squares change with the state, so that a load has no fixed projection; "
                "pass it as force= to ReducedProblem, and zeros to the solver"
            )
        return self.basis.modes.T @ vector(force, self.basis.n, "the force")

    @checked()
    def mass(self, mass: Any) -> csr_array:
        """A matrix (n, n) of the full problem, of its mass or damping, as one (r, r) of this."""
        return csr_array(self.basis.modes.T @ (mass @ self.basis.modes))

    @checked(q="any")
    def lift(self, q: ArrayLike) -> np.ndarray:
        """State (n,) of the full problem."""
        return self.basis.lift(q)

    @property
    def size(self) -> float:
        """Of least squares: norm of the larger of the forces that cancel, at the last evaluation."""
        return float(getattr(self._parts, "size", 0.0))

    def set_time(self, t: float) -> None:
        """Take note of the t that multiplies the force of least squares."""
        self._parts.t = t

    def residual_and_tangent(self, u: np.ndarray) -> tuple[np.ndarray, csr_array]:
        """Internal force (r,) and tangent (r, r) at coefficients ``u`` (r,), from the committed state."""
        force, tangent = self._evaluated(u, True)
        return force, csr_array(tangent)

    def internal_force(self, u: np.ndarray) -> np.ndarray:
        """Internal force (r,) alone."""
        return self._evaluated(u, False)[0]

    def commit(self) -> None:
        """Make the state of the last evaluation the committed one.

        Raises
        ------
        OutsideRangeError
            With ``on_outside="raise"``, if it lies outside the range of the snapshots.
        """
        self._parts.commit()
        if self._q is None or self.basis.in_range(self._q):
            return
        self.outside += 1
        if self.on_outside == "ignore" or (self.on_outside == "warn" and self.outside > 1):
            return
        message = (
            f"the coefficients of a state have left the range of the {self.basis.card.get('snapshots', '')} snapshots; "
            "add snapshots there, or take the full problem"
        )
        if self.on_outside == "raise":
            raise OutsideRangeError(message)
        warn(message)

    def rollback(self) -> None:
        """Forget the last evaluation."""
        self._q = None
        self._parts.rollback()

    def reset(self) -> None:
        """Go back to the virgin state, for another path."""
        self._q = None
        self._parts.reset()

    def _evaluated(self, q, tangent):
        q = vector(q, self.n_dofs, "the coefficients")
        self._q = None
        result = self._parts.evaluate(q, tangent)
        self._q = q
        return result


class _SolidPoints:
    """A law at the chosen points, and the strains of the modes there: all that is left of a solid."""

    def __init__(self, solid, basis, rule) -> None:
        vertices = solid.discretisation.hexahedra
        groups = solid.groups if rule is None else groups_of(rule, vertices, "raise")
        part, nodes, own = _on_cells(solid, groups)
        dim = solid.discretisation.dim
        dofs = (dim * nodes[:, None] + np.arange(dim)).ravel()
        size = SIZES[solid.law.kinematics]
        self.law, self.size = solid.law, size
        self.cells = np.repeat(
            np.concatenate([group.cells for group in groups]),
            np.concatenate([np.full(len(group.cells), group.W.shape[-1]) for group in groups]),
        )
        self.volumes = volumes(part.discretisation.hexahedra, own)
        # (points, numbers, r): gradients of the modes, once for all
        modes = np.stack([_flat(part.strains(mode)) for mode in basis.modes[dofs].T], axis=2)
        self.offset = _flat(part.strains(basis.offset[dofs]))
        # in plane strain most of a tensor is at rest
        self.moving = np.flatnonzero(modes.any(axis=(0, 2)))
        self.modes = np.ascontiguousarray(modes[:, self.moving])
        self.weighted = (self.volumes[:, None, None] * self.modes).reshape(-1, basis.r)
        self.evaluations = 0
        self.reset()

    def __repr__(self) -> str:
        return f"{len(self.volumes)} points in {len(np.unique(self.cells))} cells"

    def reset(self):
        self.states, self.trial = virgin_state(self.law, len(self.volumes)), None

    def commit(self):
        if self.trial is not None:
            self.states, self.trial = self.trial, None

    def rollback(self):
        self.trial = None

    def evaluate(self, q, tangent):
        self.trial = None
        n, size, r = self.modes.shape
        strain = self.offset.copy()
        strain[:, self.moving] += self.modes @ q
        stress, tangents, trial = updated(self.law, strain, self.states, self.cells)
        self.evaluations += n
        self.trial = trial.reshape(self.states.shape)
        force = stress[:, self.moving].reshape(-1) @ self.weighted
        if not tangent:
            return force, None
        tangents = tangents.reshape(n, self.size, self.size)[:, self.moving[:, None], self.moving]
        return force, self.weighted.T @ (tangents @ self.modes).reshape(n * size, r)


class _FormCells:
    """Forms on the chosen cells, and the modes at the degrees of freedom of these."""

    def __init__(self, problem, basis, rule) -> None:
        self.problem, dofs = problem.on_cells(FixedGroups(problem.groups) if rule is None else rule)
        self.modes, self.offset = basis.modes[dofs], basis.offset[dofs]
        self.cells = sum(part.nelems for part in self.problem.bases)
        self.states, self.evaluations = np.empty((0, 0)), 0

    def __repr__(self) -> str:
        return f"forms in {self.cells} cells"

    def reset(self):
        """There is nothing to remember."""

    commit = rollback = reset

    def evaluate(self, q, tangent):
        self.evaluations += self.cells
        u = self.offset + self.modes @ q
        if not tangent:
            return self.modes.T @ self.problem.internal_force(u), None
        force, matrix = self.problem.residual_and_tangent(u)
        return self.modes.T @ force, self.modes.T @ (matrix @ self.modes)


def _on_cells(solid, groups):
    """The solid on the cells of ``groups`` alone, its nodes by their numbers in the whole one, and its groups."""
    pattern, mesh = solid.discretisation.pattern, solid.points
    cells = np.concatenate([group.cells for group in groups])
    vertices, t = np.unique(mesh.t[:, cells], return_inverse=True)
    starts = np.cumsum([0] + [len(group.cells) for group in groups])
    own = [
        CellGroup(np.arange(start, start + len(group.cells)), group.X, group.W)
        for start, group in zip(starts, groups, strict=False)
    ]
    kind = skfem.MeshHex1 if solid.discretisation.dim == 3 else skfem.MeshQuad1
    part_mesh = kind(mesh.p[:, vertices], t.reshape(len(mesh.t), -1))
    law = solid.law._at(cells) if isinstance(solid.law, PointLaw) else solid.law
    part = Solid(part_mesh, FixedGroups(own), law, element=solid.discretisation.element)
    nodes = np.zeros(part.discretisation.pattern.n_nodes, dtype=np.int64)
    nodes[part.discretisation.pattern.cells] = pattern.cells[cells]
    return part, nodes, own


def _flat(values):
    """Arrays (m, nqp, ...) of groups as one (points, numbers)."""
    return np.concatenate([array.reshape(array.shape[0] * array.shape[1], -1) for array in values])


def _require_match(problem, basis, rule):
    """Raise ParameterError unless basis and cubature were made of this problem."""
    if isinstance(problem, Solid):
        require_one_law_at_points(problem)
    n, own = fingerprint.numbering(problem)
    if n != basis.n:
        raise ParameterError(f"the problem has {n} unknowns, the basis {basis.n}; fit the basis to its snapshots")
    if not basis.fingerprint.endswith("unknowns") and basis.fingerprint != own:
        raise ParameterError(
            f"the basis was made on another mesh or numbering: its fingerprint is {basis.fingerprint}, that of the "
            f"problem {own}; fit it to snapshots of this problem"
        )
    if not isinstance(rule, EmpiricalCubature):
        return
    trained = rule.trained_on
    modes = fingerprint.of_columns(basis.modes)
    if modes != trained["modes"][: len(modes)]:
        raise ParameterError(
            f"the cubature was made for other modes: {len(trained['modes'])} of them, the basis has {len(modes)}, "
            "which are not their first; fit the cubature to this basis"
        )
    found = _law_of(problem), fingerprint.of_groups(problem.groups)
    for name, known, now in zip(("law", "rule"), (trained["law"], trained["rule"]), found, strict=True):
        if known != now:
            raise ParameterError(
                f"the cubature was made with another {name}: {brief(known)}, the problem has {brief(now)}; fit the "
                "cubature to this problem"
            )


def _require_projection(projection, problem, rule, force):
    """Raise ParameterError unless problem, rule and force go with the projection."""
    if projection == "galerkin" and force is not None:
        raise ParameterError("force= is for projection='least-squares'; pass reduced.load(force) to the solver")
    if projection == "least-squares" and not isinstance(problem, FormProblem):
        raise ParameterError(
            f"least squares take a FormProblem, not a {type(problem).__name__}; pass projection='galerkin', which is "
            "stable where the tangent is symmetric"
        )
    made_for = rule.report.get("projection", "galerkin") if isinstance(rule, EmpiricalCubature) else projection
    if made_for != projection:
        raise ParameterError(
            f"the cubature was made for projection={made_for!r}, asked is {projection!r}; fit it with "
            f"projection={projection!r}"
        )


def _law_of(problem):
    if isinstance(problem, Solid):
        return fingerprint.of_law(problem.law)
    return fingerprint.of_forms(problem.residual, problem.parameters)
