"""A fluid-saturated reservoir with sealing faults: porous body and interface in one nonlinear time step.

The body is that of :mod:`femnn.reservoir.problem`, cut along the fault so that displacements and pressures of the two
sides are unknowns of their own; the fault's equations are in :mod:`femnn.reservoir.fault.points`. Implicit Euler
steps, each solved by Newton's method with the consistent tangent of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import skfem
from scipy.sparse import bsr_array, coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from femnn.checks import checked, instance, one_of, shaped
from femnn.cohesive.law import State
from femnn.exceptions import (
    ConvergenceError,
    LawError,
    OutsideRangeError,
    ParameterError,
    SingularMatrixError,
    StateError,
    warn,
)
from femnn.interfaces.frames import normals_of
from femnn.interfaces.split import Interface
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions, Well
from femnn.reservoir.fault.points import Fault, FaultPoints, JoinedPoints, joined
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem, PorousState, read_only
from femnn.solvers.linear.saddle_iteration import TangentIteration
from femnn.solvers.linear.saddle_point import FEW_OF_SADDLE, Factor
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate

# Relative residual that is a solution; iterations go on as long as they gain, because mass balances want all digits.
_ENOUGH = 1e-9

# That of the forces where the law has kinks or jumps that nothing gets nearer to, such as snap-backs inside an RVE.
_STAGNANT = 1e-6

# The factors of an iteration serve the next where it gains this much.
_GAIN = 1e-3

_MOST_LENGTHS = 5

# Distance of a well from a facet, over the size of the facet, at which it is in the fault.
_IN_FAULT = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class FaultedState(PorousState):
    """A moment of a porous body with a fault.

    Attributes
    ----------
    history : State
        Of the fault's law at its points.
    traction : (points, 3)
        Effective, of the law, Pa.
    rate : (points, 3)
        Of separation in the step that led here, m/s: opening and sliding.
    leak_off : (s, points)
        From minus to plus in that step, m/s.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> state = reservoir.initial_state()
    >>> state.t, state.traction.shape
    (0.0, (12, 3))
    """

    history: State
    traction: np.ndarray
    rate: np.ndarray
    leak_off: np.ndarray

    def __post_init__(self) -> None:
        super().__post_init__()
        read_only(self, "traction", "rate", "leak_off")


class FaultBalance(NamedTuple):
    """Fluid volumes of one time step, one number per pore system, m³ (m² in two dimensions).

    Attributes
    ----------
    stored, injected, exchanged, through
        As in :class:`femnn.reservoir.problem.MassBalance`.
    opened : (s,)
        In the fault, as it opens.
    leaked : (s,)
        Across the fault, from the minus to the plus side.
    error : (s,)
        What is missing, over all that moved: the worst of the body and of each of the parts that the fault makes of it.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> start = reservoir.initial_state()
    >>> balance = reservoir.balance(start, reservoir.step(start, 3600.0))
    >>> balance.leaked.shape
    (1,)
    """

    stored: np.ndarray
    injected: np.ndarray
    exchanged: np.ndarray
    through: dict
    opened: np.ndarray
    leaked: np.ndarray
    error: np.ndarray


class FaultFields(NamedTuple):
    """Fields of a state in the fault; points of all facets one after the other.

    Attributes
    ----------
    x : (dim, points)
    separation : (points, 3)
        Since the state in situ: opening and sliding, m.
    rate : (points, 3)
        m/s.
    traction : (points, 3)
        Effective, as the law has it: compression is negative; Pa.
    pressure : (2, s, points)
        Of minus and plus side, Pa.
    leak_off : (s, points)
        From minus to plus, m/s.
    damage : (points,)
        NaN where the law has none.
    outside : (points,) bool
        Has left the range that the law was trained in.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> fields = reservoir.fields(reservoir.initial_state())
    >>> fields.x.shape, fields.separation.shape
    ((2, 12), (12, 3))
    """

    x: np.ndarray
    separation: np.ndarray
    rate: np.ndarray
    traction: np.ndarray
    pressure: np.ndarray
    leak_off: np.ndarray
    damage: np.ndarray
    outside: np.ndarray

    @property
    def slip(self) -> np.ndarray:
        """Sliding since the state in situ, (points,), m."""
        return np.linalg.norm(self.separation[:, 1:], axis=1)


class FaultedReservoir:
    """A porous body with faults; its ``step`` is for :func:`femnn.solvers.nonlinear.time_march.march`.

    Parameters
    ----------
    medium
        :class:`femnn.reservoir.medium.PorousMedium` or ``DualPorousMedium``.
    conditions
        :class:`femnn.reservoir.conditions.Conditions`. Loads and pressures are in excess of the state in situ.
    fault : Fault or sequence of Fault
        Their interfaces bring the mesh. Several were split together; their points stand one fault after the other.
    element, rule
        As :class:`PorousProblem` takes them.
    method
        How the linear systems of Newton's method are solved: ``"splu"`` by factors, ``"gmres"`` by iteration with
        multigrid for displacements and pressures (:class:`femnn.solvers.linear.saddle_iteration.TangentIteration`);
        ``"auto"`` iterates beyond 20,000 unknowns in three dimensions.
    max_iterations
        Of Newton's method, beyond which a step fails.
    largest_slip
        Sliding of a point in one step, m, beyond which the step fails: :func:`femnn.reservoir.march` then takes a
        shorter one, and long ones again when the fault is at rest. Default: any.
    on_outside
        Action when points that are not broken leave the range that the law was trained in: ``"warn"`` flags them and
        warns at the first of them, ``"raise"`` raises OutsideRangeError instead of ending the step.

    Attributes
    ----------
    porous : PorousProblem
        The body alone: bases, numbering, loads.
    points : FaultPoints or JoinedPoints
        ``points.parts`` are the points of each fault.
    iterations : int
        Of the last step.

    Raises
    ------
    MeshError, ParameterError, SingularMatrixError
        As :class:`PorousProblem`; also if a law cannot bear the stress in situ, if faults overlap or are of different
        meshes, or if a well is in a fault.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> reservoir.step(reservoir.initial_state(), 3600.0).t
    3600.0
    """

    @checked(max_iterations="[1, inf)", largest_slip="(0, inf]", fault="unchecked", element="unchecked", rule="unchecked", method="unchecked")
    def __init__(
        self,
        medium: PorousMedium,
        conditions: Conditions,
        fault: Fault | Sequence[Fault],
        *,
        element: skfem.Element | None = None,
        rule: Rule | None = None,
        method: str = "auto",
        max_iterations: int = 25,
        largest_slip: float = np.inf,
        on_outside: str = "warn",
    ) -> None:
        self.max_iterations, self.iterations, self.largest_slip = int(max_iterations), 0, largest_slip
        one_of("method", method, ("auto", "splu", "gmres"))
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise"))
        faults = [fault] if isinstance(fault, Fault) else list(fault)
        if not faults:
            raise ParameterError("no fault is given; pass one, or use PorousProblem for a body without any")
        for own in faults:
            instance("a fault", own, Fault)
        interface = joined(own.interface for own in faults)
        for well in conditions.wells:
            _require_beside(interface, well)
        self.porous = PorousProblem(interface.mesh, medium, conditions, element=element, rule=rule)
        parts = [FaultPoints(own, self.porous) for own in faults]
        self.points = parts[0] if len(parts) == 1 else JoinedPoints(parts)
        self._parts = _parts(self.porous.pressure_basis)
        self._porous_tangent = (0.0, None)
        is_large = interface.mesh.dim() == 3 and self.porous.constraint.matrix.shape[1] > FEW_OF_SADDLE
        self._iterates = method == "gmres" or (method == "auto" and is_large)

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the pore systems."""
        return self.porous.systems

    @checked()
    def initial_state(self, t: float = 0.0) -> FaultedState:
        """State in situ, at rest."""
        body, points = self.porous.initial_state(t), self.points
        still, sealed = np.zeros((points.points, 3)), np.zeros((len(self.systems), points.points))
        return FaultedState(body.t, body.u, body.p, points.state, points.traction.copy(), still, sealed)

    @checked(state="unchecked")
    def step(self, state: FaultedState, dt: float) -> FaultedState:
        """State after a time step ``dt`` (s) from ``state``, which is left as it is.

        Raises
        ------
        ParameterError
            If dt is not positive, or a load is not finite.
        ConvergenceError
            If Newton's method does not converge, or the fault slides further than ``largest_slip``; ``x`` then is
            ``state``.
        OutsideRangeError
            With ``on_outside="raise"``.
        """
        if not (np.isfinite(dt) and dt > 0.0):
            raise ParameterError(f"the time step is {dt} s; it must be positive")
        self.check(state)
        x = self.porous.constraint.fill(state.x)
        self.porous.loads.prescribe(x, state.t + dt)
        x, response = self._newton(x, state, dt)
        n_u, s = self.porous.n_u, len(self.systems)
        moved = (self.points.strains(x) - self.points.strains(state.x))[:, :3]
        self._require_short(moved, state, dt)
        new = FaultedState(
            state.t + dt,
            x[:n_u],
            x[n_u:].reshape(s, -1),
            response.state,
            response.traction,
            moved / dt,
            response.leaked / dt,
        )
        self._report_outside(self.outside(state), self.outside(new), new.t)
        return new

    def _require_short(self, moved, state, dt):
        slid = np.linalg.norm(moved[:, 1:], axis=1).max()
        if slid > self.largest_slip:
            raise ConvergenceError(
                f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) is too long: the fault slides {slid:.3g} m in "
                f"it, allowed are {self.largest_slip:.3g} m",
                state,
                np.empty(0),
                state.t,
            )

    def _report_outside(self, before, now, t):
        message = (
            f"{now} of {self.points.points} points of the fault have left the range that their law was trained in at "
            f"t = {t:.6g} s; train the law further out"
        )
        if now > before and self.on_outside == "raise":
            raise OutsideRangeError(f"{message}, or pass on_outside='warn' to go on with flagged points")
        if now > before == 0:
            warn(f"{message}, or pass on_outside='raise' to stop there")

    @checked()
    def outside(self, state: FaultedState) -> int:
        """Number of points that have left the trained range of the law before they were broken."""
        return int((state.history.outside & ~(self.points.damage(state.history) >= 1.0)).sum())

    @checked(dt="(0, inf)", x="any")
    def residual(self, x: np.ndarray, state: FaultedState, dt: float) -> np.ndarray:
        """Forces and volumes out of balance (n,), with the signs of :meth:`PorousProblem.residual`."""
        return self._evaluate(self._unknowns(x), state, dt)[0]

    def tangent(self, x: np.ndarray, state: FaultedState, dt: float) -> csr_array:
        """Derivative of :meth:`residual` by x; with friction or dilation not symmetric."""
        return self._tangent(self._evaluate(self._unknowns(x), state, dt)[1], dt)

    def _unknowns(self, x):
        return shaped("x", x, self.initial_state().x.shape)

    @checked()
    def fields(self, state: FaultedState) -> FaultFields:
        """:class:`FaultFields` of a state."""
        points, history = self.points, state.history
        strains = points.strains(state.x)
        return FaultFields(
            points.x,
            strains[:, :3],
            state.rate,
            state.traction,
            strains[:, 3:].T.reshape(2, len(self.systems), -1),
            state.leak_off,
            points.damage(history),
            history.outside,
        )

    @checked()
    def balance(self, old: FaultedState, new: FaultedState) -> FaultBalance:
        """:class:`FaultBalance` of the step from one state to the other."""
        dt, s, points = new.t - old.t, len(self.systems), self.points
        body = self.porous.balance(old, new)
        strains, before = points.strains(new.x), points.strains(old.x)
        # without the law, which may be expensive: what leaked is known
        gained = points.gained(strains, before, dt * new.leak_off) * points.dx[:, None]
        force = np.concatenate([np.zeros((len(gained), 3)), gained], axis=1)
        residual = self.porous.residual(new.x, old, dt) + points.operator.T @ force.ravel()
        out = residual[self.porous.n_u :].reshape(s, -1)
        volumes = self.porous.volumes(new.u, new.p.ravel(), old, dt)
        moved = np.abs(np.array([volume.reshape(s, -1) for volume in volumes])).sum(axis=0)
        opened, leaked = points.opened(strains, before) @ points.dx, dt * new.leak_off @ points.dx
        through = {}
        free = np.ones(out.shape, dtype=bool)
        for name, of_systems in self.porous.loads.drains.items():
            through[name] = np.array([-out[i, dofs].sum() for i, dofs in enumerate(of_systems)])
            for i, dofs in enumerate(of_systems):
                free[i, dofs] = False
        errors = []
        for part in [np.ones(out.shape[1], dtype=bool), *self._parts]:
            size = moved[:, part].sum(axis=1) + np.abs(leaked) + np.abs(opened)
            missing = np.abs(np.where(free & part, out, 0.0).sum(axis=1))
            errors.append(np.divide(missing, size, out=np.zeros(s), where=size > 0.0))
        error = np.max(errors, axis=0)
        return FaultBalance(body.stored, body.injected, body.exchanged, through, opened, leaked, error)

    @checked(state="unchecked")
    def check(self, state: FaultedState) -> None:
        """Raise StateError unless a state is of this reservoir."""
        in_situ, history = self.points.state, getattr(state, "history", None)
        if not isinstance(history, State) or history.law != in_situ.law or history.values.shape != in_situ.values.shape:
            owner = f"{len(history)} points of {history.law}" if isinstance(history, State) else "no fault"
            raise StateError(
                f"the state is of {owner}, this reservoir of {len(in_situ)} points of {in_situ.law}; a state goes with "
                "the mesh and the law it was made for"
            )
        sizes = (self.porous.n_u, (len(self.systems), self.porous.pressure_basis.N))
        if (len(state.u), state.p.shape) != sizes:
            raise StateError(
                f"the state has {len(state.u)} displacements and pressures {state.p.shape}, this reservoir {sizes[0]} "
                f"and {sizes[1]}; a state goes with the mesh and medium it was made for"
            )

    def _evaluate(self, x, state, dt):
        points = self.points
        points.set_time(state.t + dt)
        response = points.respond(points.strains(x), points.strains(state.x), state.history, dt)
        force = (response.force * points.dx[:, None]).ravel()
        return self.porous.residual(x, state, dt) + points.operator.T @ force, response

    @checked(dt="(0, inf)", x="any")
    def _tangent(self, response, dt):
        if self._porous_tangent[0] != dt:
            self._porous_tangent = dt, self.porous.tangent(dt)
        points = self.points
        blocks = response.tangent * points.dx[:, None, None]
        n = len(blocks)
        middle = bsr_array((blocks, np.arange(n), np.arange(n + 1)), shape=(points.operator.shape[0],) * 2)
        return csr_array(self._porous_tangent[1] + points.operator.T @ (middle @ points.operator))

    def _newton(self, x, state, dt):
        """Unknowns and response at the end of the step, where rounding stops Newton's method."""
        constraint, n_u = self.porous.constraint, self.porous.n_u

        def iterate_at(x, out, response):
            return Iterate(x, out, response, np.linalg.norm(scale * constraint.reduce(out)), size)

        def is_solved(point, errors):
            if errors[-1] == 0.0 or (errors[-1] <= _ENOUGH and _gain(errors) > 0.5):
                return True
            if len(errors) <= self.max_iterations:
                return False
            volumes = np.concatenate([np.zeros(n_u), point.residual[n_u:]])
            wasted = np.linalg.norm(scale * constraint.reduce(volumes))
            return errors[-1] <= _STAGNANT and wasted <= _ENOUGH * size

        def advance(point, errors):
            nonlocal factor
            if _gain(errors) > _GAIN:
                factor = self._factor(point.response, dt)
            step = -(constraint.matrix @ factor.correction(constraint.reduce(point.residual)))

            def evaluate(length):
                x = point.x + length * step
                return iterate_at(x, *self._tried(x, state, dt))

            return search(evaluate, lambda tried: tried.norm <= point.norm, most=_MOST_LENGTHS)

        try:
            out, response = self._tried(x, state, dt)
            factor = self._factor(response, dt)
            scale = factor.scale
            # not of the displacements found, by which a runaway would measure itself
            size = np.linalg.norm(scale * constraint.reduce(out)) + self._size(x, factor)
            start = iterate_at(x, out, response)
            point, errors = iterate(start, is_solved, advance, self.max_iterations, "of the forces and volumes")
        except Diverged as cause:
            raise ConvergenceError(
                f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) did not converge: after "
                f"{max(len(cause.residuals) - 1, 0)} iterations {cause}",
                state,
                np.array(cause.residuals),
                state.t,
            ) from cause
        self.iterations = len(errors) - 1
        return point.x, point.response

    def _tried(self, x, state, dt):
        """As ``_evaluate``; Diverged where there is no answer."""
        if not np.isfinite(x).all():
            raise Diverged("the correction is not finite")
        try:
            return self._evaluate(x, state, dt)
        except (LawError, ConvergenceError) as error:
            raise Diverged(f"the law of the fault has no answer on the way: {error}") from error

    def _factor(self, response, dt):
        porous, tangent = self.porous, self._tangent(response, dt)
        try:
            if not self._iterates:
                return Factor.of(tangent, porous.constraint, porous.n_u)
            basis, systems = porous.displacement_basis, len(self.systems)
            return TangentIteration.of(tangent, porous.strained, porous.constraint, porous.n_u, basis, systems)
        except SingularMatrixError as error:
            raise Diverged(f"nothing holds the body any more: {error}") from error

    def _size(self, x, factor):
        """Scales of the residuals: stresses in situ, and all that is summed up in a residual."""
        scale = factor.scale
        in_situ = np.zeros((self.points.points, self.points.operator.shape[0] // self.points.points))
        in_situ[:, :3] = np.abs(self.points.traction) * self.points.dx[:, None]
        borne = self.porous.constraint.reduce(abs(self.points.operator).T @ in_situ.ravel())
        free = factor.constraint.reduce(np.abs(x))
        return np.linalg.norm(scale * borne) + np.linalg.norm(scale * (abs(factor.matrix) @ free))


def _require_beside(interface: Interface, well: Well) -> None:
    """Raise ParameterError if a well is in a fault, where it would feed one side by chance."""
    x = np.asarray(well.x, dtype=float)
    mesh = interface.mesh
    if x.shape != (mesh.dim(),):
        return
    corners = mesh.p[:, interface.minus_vertices].transpose(1, 2, 0)
    half = mesh.dim() - 1
    normals = normals_of(corners[:, half : 2 * half] - corners[:, :half])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    size = np.ptp(corners, axis=1).max(axis=1)
    away = x - corners.mean(axis=1)
    near = np.abs((away * normals).sum(axis=1)) < _IN_FAULT * size
    slack = _IN_FAULT * size[:, None]
    near &= ((x >= corners.min(axis=1) - slack) & (x <= corners.max(axis=1) + slack)).all(axis=1)
    if near.any():
        raise ParameterError(
            f"the well at {x.tolist()} is in a fault, in facet {interface.minus[near.argmax()]}; move it to the side "
            "that it feeds"
        )


def _gain(errors):
    """The last error over the one before, 0 for the first."""
    return errors[-1] / errors[-2] if len(errors) > 1 else 0.0


def _parts(basis):
    """Degrees of freedom, bool (n_p,), of each part of a mesh in pieces; none for a mesh in one."""
    rows = np.repeat(basis.element_dofs[:1], len(basis.element_dofs), axis=0).ravel()
    graph = coo_array((np.ones(rows.size), (rows, basis.element_dofs.ravel())), shape=(basis.N,) * 2)
    count, label = connected_components(graph, directed=False)
    return [label == part for part in range(count)] if count > 1 else []
