"""A fluid-saturated reservoir with a sealing fault: porous body and interface in one nonlinear time step.

The body is that of :mod:`femnn.reservoir.problem`, cut along the fault so that displacements and pressures of the two
sides are unknowns of their own; the fault's equations are in :mod:`femnn.reservoir.fault.points`. Implicit Euler
steps, each solved by Newton's method with the consistent tangent of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import skfem
from scipy.sparse import block_diag, bsr_array, coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from femnn.assembly.forms import assemble_mass
from femnn.checks import checked, instance, one_of, positive, shaped
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
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions, Well
from femnn.reservoir.fault.points import Fault, FaultPoints
from femnn.reservoir.fault.stability import Stability, StabilityMeasure
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem, PorousState, read_only
from femnn.solvers.linear.saddle_iteration import TangentIteration
from femnn.solvers.linear.saddle_point import FEW_OF_SADDLE, Factor
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate

# Relative residual that is a solution; iterations go on as long as they gain, because mass balances want all digits.
_ENOUGH = 1e-9

# Relative residual at which Newton's method ends where its corrections are iterated themselves.
_ITERATED = 1e-12

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
    along : (s · (dim − 1), points)
        Flow along the fault at its end by width, m²/s: by system, and by shear direction in three dimensions.
    slip_error : float
        Estimated error of the sliding of any point in that step, m.
    velocity : (n_u,)
        Of the displacements in that step, m/s; default: at rest.

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
    along: np.ndarray
    slip_error: float = 0.0
    velocity: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.velocity is None:
            object.__setattr__(self, "velocity", np.zeros(len(self.u)))
        read_only(self, "traction", "rate", "leak_off", "along", "velocity")


class FaultBalance(NamedTuple):
    """Fluid volumes of one time step, one number per pore system, m³ (m² in two dimensions).

    Attributes
    ----------
    stored, injected, exchanged, through
        As in :class:`femnn.reservoir.problem.MassBalance`.
    opened : (s,)
        Taken up by the fault, as it opens and as its core fills.
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
    along : (s · (dim − 1), points)
        Flow along the fault by width, m²/s: by system, and by shear direction in three dimensions.
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
    along: np.ndarray
    damage: np.ndarray
    outside: np.ndarray

    @property
    def slip(self) -> np.ndarray:
        """Sliding since the state in situ, (points,), m."""
        return np.linalg.norm(self.separation[:, 1:], axis=1)

    @property
    def slip_tendency(self) -> np.ndarray:
        """Shear over normal traction, (points,); infinite where the fault is not pressed."""
        shear, normal = np.linalg.norm(self.traction[:, 1:], axis=1), -self.traction[:, 0]
        return np.divide(shear, normal, out=np.full(len(shear), np.inf), where=normal > 0.0)


class FaultedReservoir:
    """A porous body with faults, of quadrilaterals (plane strain) or hexahedra.

    Its ``step`` is for :func:`femnn.solvers.nonlinear.time_march.march`.

    Parameters
    ----------
    medium
        :class:`femnn.reservoir.medium.PorousMedium` or ``DualPorousMedium``.
    conditions
        :class:`femnn.reservoir.conditions.Conditions`. Loads and pressures are in excess of the state in situ.
    fault
        A :class:`Fault`, whose interface brings the mesh, or several, each with its own law, cores and stress: split
        the mesh along all of them at once, ``Interface.split(mesh, ["north", "south"])``, and give each its part,
        ``interface.named("north")``. ``points.parts`` are the points of each.
    element, rule
        As :class:`PorousProblem` takes them.
    method
        How the linear systems of Newton's method are solved: ``"splu"`` by factors, ``"gmres"`` by iteration with
        multigrid for displacements and pressures (:class:`femnn.solvers.linear.saddle_iteration.TangentIteration`);
        ``"auto"`` iterates beyond 20,000 unknowns in three dimensions.
    max_iterations
        Of Newton's method, beyond which a step fails.
    density
        Of the saturated rock, kg/m³: steps then carry its inertia, by the implicit Euler method, which damps what is
        faster than them. A fault that weakens faster than the rock unloads then slides dynamically, with steps down to
        milliseconds by ``slip_error``. Default: none, each step is in equilibrium.
    largest_slip
        Sliding of a point in one step, m, beyond which the step fails: :func:`femnn.reservoir.march` then takes a
        shorter one, and long ones again when the fault is at rest. Default: any.
    slip_error
        Error of the sliding of a point in one step, m, as it is estimated from the change of its rate, beyond which the
        step fails. With this and ``march(..., is_easy=reservoir.is_easy)`` steps go from days to milliseconds and
        back. Default: any.
    on_outside
        Action when points that are not broken leave the range that the law was trained in: ``"warn"`` flags them and
        warns at the first of them, ``"raise"`` raises OutsideRangeError instead of ending the step. That the stress in
        situ is outside is told at once.
    on_fracture
        The same where the pressure exceeds the least compression of the fault or the rock, which then fractures
        hydraulically: that is not modelled.

    Attributes
    ----------
    faults : tuple of Fault
    porous : PorousProblem
        The body alone: bases, numbering, loads.
    points : FaultPoints
    iterations : int
        Of the last step.

    Raises
    ------
    MeshError, ParameterError, SingularMatrixError
        As :class:`PorousProblem`; also if the law cannot bear the stress in situ.

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

    @checked(
        max_iterations="[1, inf)",
        largest_slip="(0, inf]",
        slip_error="(0, inf]",
        element="unchecked",
        method="unchecked",
    )
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
        density: float | None = None,
        largest_slip: float = np.inf,
        slip_error: float = np.inf,
        on_outside: str = "warn",
        on_fracture: str = "warn",
    ) -> None:
        self.max_iterations, self.iterations = int(max_iterations), 0
        self.largest_slip, self.slip_error = largest_slip, slip_error
        self.on_outside = one_of("on_outside", on_outside, ("warn", "raise"))
        self.on_fracture = one_of("on_fracture", on_fracture, ("warn", "raise"))
        self.faults = _faults(fault)
        one_of("method", method, ("auto", "splu", "gmres"))
        mesh = self.faults[0].interface.mesh
        for well, own in product(conditions.wells, self.faults):
            _require_beside(own.interface, well)
        self.porous = PorousProblem(mesh, medium, conditions, element=element, rule=rule)
        is_large = mesh.dim() == 3 and self.porous.constraint.matrix.shape[1] > FEW_OF_SADDLE
        self._iterates = method == "gmres" or (method == "auto" and is_large)
        self.points = FaultPoints(self.faults, self.porous)
        self._mass = None
        if density is not None:
            element = self.porous.displacement_basis.elem.elem
            self._mass = csr_array(
                assemble_mass(
                    mesh, GaussLegendre(3), positive("density", density), components=mesh.dim(), element=element
                )
            )
        self._parts = _parts(self.porous.pressure_basis)
        self._porous_tangent: tuple = ((), None)
        self._measure: StabilityMeasure | None = None
        self._iteration: TangentIteration | None = None
        self._middle = self.porous.displacement_basis.mesh.p[:, self.porous.displacement_basis.mesh.t].mean(axis=1)
        # of the rock: the first that is known
        stress = next((own.stress for own in self.faults if own.stress is not None), None)
        dim = len(self._middle)
        if stress is not None:
            tensors = np.asarray(stress(self._middle) if callable(stress) else stress, dtype=float)
            stress = np.broadcast_to(tensors.reshape(dim, dim, -1), (dim, dim, self._middle.shape[1]))
        self._rest = stress
        self._report_in_situ()

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the pore systems."""
        return self.porous.systems

    @checked()
    def initial_state(self, t: float = 0.0) -> FaultedState:
        """State in situ, at rest.

        Raises
        ------
        ParameterError
            If the fault's law depends on time and starts at another one.
        """
        start = getattr(self.points.law, "start", t)
        if self.points.law.depends_on_time and start != t:
            raise ParameterError(
                f"the state starts at t = {t:g} s, the fault's law at {start:g} s: the rate of the first step would be "
                f"wrong; pass start={t:g} to the law"
            )
        body, points = self.porous.initial_state(t), self.points
        still, sealed = np.zeros((points.points, 3)), np.zeros((len(self.systems), points.points))
        along = np.tile(sealed, (len(points.x) - 1, 1))
        return FaultedState(body.t, body.u, body.p, points.state, points.traction.copy(), still, sealed, along)

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
        self._require_borne(state.t + dt)
        x, response = self._newton(x, state, dt)
        n_u, s = self.porous.n_u, len(self.systems)
        moved = (self.points.strains(x) - self.points.strains(state.x))[:, :3]
        # implicit Euler's method misses half of what the rate changes
        error = float(0.5 * dt * np.linalg.norm((moved / dt - state.rate)[:, 1:], axis=1).max(initial=0.0))
        self._require_short(moved, error, state, dt)
        new = FaultedState(
            state.t + dt,
            x[:n_u],
            x[n_u:].reshape(s, -1),
            response.state,
            response.traction,
            moved / dt,
            response.leaked / dt,
            self.points.flows_along(x, response.conductance),
            error,
            (x[:n_u] - state.u) / dt,
        )
        self._report_outside(self.outside(state), self.outside(new), new.t, x)
        self._report_fracture(state, new)
        return new

    def _require_borne(self, t):
        """Raise ParameterError if a well holds a pressure at the time ``t`` that lifts what is above."""
        if self._rest is None:
            return
        for place, pressure in self.porous.wells.held(t):
            nearest = int(np.linalg.norm(self._middle - place[:, None], axis=0).argmin())
            overburden = -float(self._rest[-1, -1, nearest])
            if pressure > overburden > 0.0:
                raise ParameterError(
                    f"the well at {place.tolist()} holds {pressure / 1e6:.4g} MPa over the pressure at rest at t = "
                    f"{t:.6g} s, but the overburden is only {overburden / 1e6:.4g} MPa above that and would be lifted; "
                    "lower the pressure of the well"
                )

    def _require_short(self, moved, error, state, dt):
        slid = float(np.linalg.norm(moved[:, 1:], axis=1).max(initial=0.0))
        if slid > self.largest_slip:
            raise _too_long(state, dt, f"the fault slides {slid:.3g} m in it", self.largest_slip)
        if error > self.slip_error:
            # it falls at least as fast as the step
            part = 0.9 * self.slip_error / error
            raise _too_long(state, dt, f"the error of its sliding is about {error:.3g} m", self.slip_error, part)

    @checked()
    def is_easy(self, state: FaultedState) -> bool:
        """Whether twice the step that led to ``state`` would keep ``slip_error``: for ``march(..., is_easy=...)``."""
        return state.slip_error <= 0.25 * self.slip_error

    def _report_in_situ(self):
        points = self.points
        outside = points.state.outside & ~(points.law.damage(points.state) >= 1.0)
        if not outside.any():
            return
        worst = int(np.where(outside, np.linalg.norm(points.traction, axis=1), -1.0).argmax())
        message = (
            f"the stress in situ takes {np.count_nonzero(outside)} of {points.points} points of the fault out of the "
            f"range that their law was trained in, to {(points.traction[worst] / 1e6).round(2).tolist()} MPa at "
            f"{points.x[:, worst].round(3).tolist()}; train the law further out, or rescale its traction"
        )
        self._tell_outside(message)

    def _tell_outside(self, message):
        if self.on_outside == "raise":
            raise OutsideRangeError(f"{message}, or pass on_outside='warn' to go on with flagged points")
        warn(f"{message}, or pass on_outside='raise' to stop there")

    def _report_outside(self, before, now, t, x):
        if now <= before:
            return
        far = self.points.law.how_far(self.points.separation + self.points.strains(x)[:, :3])
        message = (
            f"{now} of {self.points.points} points of the fault have left the range that their law was trained in at "
            f"t = {t:.6g} s{f' ({far})' if far else ''}; train the law further out"
        )
        if before == 0 or self.on_outside == "raise":
            self._tell_outside(message)

    def _report_fracture(self, old, new):
        before, now = self._fractured(old), self._fractured(new)
        if now is None or (before is not None and self.on_fracture == "warn"):
            return
        message = f"the pressure exceeds {now} at t = {new.t:.6g} s: rock would fracture there, which is not modelled"
        if self.on_fracture == "raise":
            raise OutsideRangeError(f"{message}; lower the rate, or pass on_fracture='warn' to go on")
        warn(f"{message}; lower the rate, or pass on_fracture='raise' to stop there")

    def _fractured(self, state):
        """What the pressure exceeds, in words; None where it exceeds nothing."""
        points = self.points
        opened = state.traction[:, 0] - np.maximum(points.traction[:, 0], 0.0)
        if (points.traction[:, 0] < 0.0).any() and (opened > 0.0).any():
            worst = int(opened.argmax())
            return (
                f"the compression of the fault at {np.count_nonzero(opened > 0.0)} of {points.points} points, by "
                f"{opened[worst] / 1e6:.3g} MPa at {points.x[:, worst].round(3).tolist()}"
            )
        if self._rest is None:
            return None
        missing = np.linalg.eigvalsh(self.stress(state).transpose(2, 0, 1))[:, -1]
        if missing.max() <= 0.0:
            return None
        worst = int(missing.argmax())
        return (
            f"the least compression of the rock in {np.count_nonzero(missing > 0.0)} of {len(missing)} cells, by "
            f"{missing[worst] / 1e6:.3g} MPa at {self._middle[:, worst].round(3).tolist()}"
        )

    @checked()
    def stress(self, state: FaultedState) -> np.ndarray:
        """Effective stress in the plane, mean over each cell, (dim, dim, n), Pa: that in situ and what came on since.

        The highest pressure of the pore systems counts in full, as it does where rock slips or fractures;
        :func:`femnn.reservoir.slip_tendency` makes a map of it.

        Raises
        ------
        ParameterError
            If the fault was given no stress in situ.
        """
        if self._rest is None:
            raise ParameterError("the fault has no stress in situ; give Fault(..., stress=...) that of the rock")
        dim, constants, pressure = len(self._middle), self.porous.constants, self.porous.mean_pressure(state)
        change = self.porous.effective_stress(state)[:, :dim, :dim].transpose(1, 2, 0)
        lifting = pressure.max(axis=0) - (constants.biot * pressure).sum(axis=0)
        return self._rest + change + lifting * np.eye(dim)[:, :, None]

    @checked()
    def kinetic_energy(self, state: FaultedState) -> float:
        """Of the rock, J (J/m in two dimensions); ParameterError unless it was given a ``density``."""
        if self._mass is None:
            raise ParameterError("the rock has no mass; pass FaultedReservoir(..., density=) in kg/m³")
        return float(0.5 * state.velocity @ (self._mass @ state.velocity))

    @checked()
    def outside(self, state: FaultedState) -> int:
        """Number of points that have left the trained range of the law before they were broken."""
        return int((state.history.outside & ~(self.points.law.damage(state.history) >= 1.0)).sum())

    @checked(dt="(0, inf)", x="any")
    def residual(self, x: np.ndarray, state: FaultedState, dt: float) -> np.ndarray:
        """Forces and volumes out of balance (n,), with the signs of :meth:`PorousProblem.residual`."""
        return self._evaluate(self._unknowns(x), state, dt)[0]

    @checked(dt="(0, inf)", x="any")
    def tangent(self, x: np.ndarray, state: FaultedState, dt: float) -> csr_array:
        """Derivative of :meth:`residual` by x; with friction or dilation not symmetric."""
        x = self._unknowns(x)
        return self._tangent(x, self._evaluate(x, state, dt)[1], state, dt)

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
            state.along,
            points.law.damage(history),
            history.outside,
        )

    @checked()
    def balance(self, old: FaultedState, new: FaultedState) -> FaultBalance:
        """:class:`FaultBalance` of the step from one state to the other."""
        dt, s, points = new.t - old.t, len(self.systems), self.points
        body = self.porous.balance(old, new)
        strains, before = points.strains(new.x), points.strains(old.x)
        # without the law, which may be expensive: what leaked is known
        storage = points.storage(old.history)
        gained = points.gained(strains, before, dt * new.leak_off, storage) * points.dx[:, None]
        force = np.concatenate([np.zeros((len(gained), 3)), gained], axis=1)
        residual = self.porous.residual(new.x, old, dt) + points.operator.T @ force.ravel()
        residual += points.gained_along(new.along, dt)
        out = residual[self.porous.n_u :].reshape(s, -1)
        volumes = self.porous.volumes(new.u, new.p.ravel(), old, dt)
        moved = np.abs(np.array([volume.reshape(s, -1) for volume in volumes])).sum(axis=0)
        taken = points.opened(strains, before) + points.stored(strains, before, storage)
        opened, leaked = taken @ points.dx, dt * new.leak_off @ points.dx
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
        if (len(state.u), state.p.shape) != sizes or state.velocity.shape != state.u.shape:
            raise StateError(
                f"the state has {len(state.u)} displacements and pressures {state.p.shape}, this reservoir {sizes[0]} "
                f"and {sizes[1]}; a state goes with the mesh and medium it was made for"
            )

    def _evaluate(self, x, state, dt):
        points = self.points
        points.law.set_time(state.t + dt)
        response = points.respond(points.strains(x), points.strains(state.x), state.history, dt)
        force = (response.force * points.dx[:, None]).ravel()
        residual = self.porous.residual(x, state, dt) + points.operator.T @ force
        if self._mass is not None:
            n_u = self.porous.n_u
            residual[:n_u] += self._mass @ ((x[:n_u] - state.u) / dt - state.velocity) / dt
        if response.conductance.any():
            residual += points.gained_along(points.flows_along(x, response.conductance), dt)
        return residual, response

    def _tangent(self, x, response, state, dt):
        made_for = dt, self.porous.open_wells(state.t, dt)
        if self._porous_tangent[0] != made_for:
            tangent = self.porous.tangent(dt, state.t + dt)
            if self._mass is not None:
                empty = csr_array((tangent.shape[0] - self.porous.n_u,) * 2)
                tangent = tangent + csr_array(block_diag([self._mass / dt**2, empty]))
            self._porous_tangent = made_for, tangent
        points = self.points
        blocks = response.tangent * points.dx[:, None, None]
        n = len(blocks)
        middle = bsr_array((blocks, np.arange(n), np.arange(n + 1)), shape=(points.operator.shape[0],) * 2)
        tangent = self._porous_tangent[1] + points.operator.T @ (middle @ points.operator)
        along = points.tangent_along(x, response, dt)
        return csr_array(tangent if along is None else tangent + along)

    def _newton(self, x, state, dt):
        """Unknowns and response at the end of the step, where rounding stops Newton's method."""
        constraint, last = self.porous.constraint, None

        def iterate_at(x, out, response):
            return Iterate(x, out, response, np.linalg.norm(scale * constraint.reduce(out)), size)

        def is_solved(point, errors):
            if errors[-1] == 0.0 or (errors[-1] <= _ENOUGH and _gain(errors) > 0.5):
                return True
            if self._iterates and errors[-1] <= _ITERATED:
                return True
            # what stalls above is no equilibrium, however little is missing
            return len(errors) > self.max_iterations and errors[-1] <= _ENOUGH

        def advance(point, errors):
            nonlocal factor, last
            last = point.response
            if _gain(errors) > _GAIN:
                factor = self._factor(point.x, point.response, state, dt)
            step = -(constraint.matrix @ factor.correction(constraint.reduce(point.residual)))

            def evaluate(length):
                x = point.x + length * step
                return iterate_at(x, *self._tried(x, state, dt))

            return search(evaluate, lambda tried: tried.norm <= point.norm, most=_MOST_LENGTHS)

        # a step depends on nothing but its state, so that runs go on from files as they would have without
        self._iteration = None
        try:
            out, response = self._tried(x, state, dt)
            factor = self._factor(x, response, state, dt)
            scale = factor.scale
            # not of the displacements found, by which a runaway would measure itself
            size = np.linalg.norm(scale * constraint.reduce(out)) + self._size(x, factor)
            start = iterate_at(x, out, response)
            point, errors = iterate(start, is_solved, advance, self.max_iterations, "of the forces and volumes")
        except Diverged as cause:
            raise ConvergenceError(
                f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) did not converge: after "
                f"{max(len(cause.residuals) - 1, 0)} iterations {cause}{self._told(cause.residuals, last)}",
                state,
                np.array(cause.residuals),
                state.t,
            ) from cause
        self.iterations = len(errors) - 1
        return point.x, point.response

    def _told(self, residuals, response):
        """What a step that did not converge says of its last iterate."""
        told = f"; the relative residual is {residuals[-1]:.3g}, {_ENOUGH:g} is asked for" if residuals else ""
        if response is None:
            return told
        stability = self._stability(response.tangent[:, :3, :3])
        if stability is None:
            return told
        told += f"; the smallest eigenvalue of rock and fault over those of bonded rock is {stability.smallest:.3g}"
        if stability.negative:
            told += (
                f", {stability.negative} of them negative: the fault weakens faster than the rock unloads and slips "
                "dynamically. Give it a viscosity or the damping by radiation with femnn.cohesive.ViscousCohesive, or "
                "the rock its inertia with density="
            )
        return told

    @checked()
    def stability(self, state: FaultedState) -> Stability | None:
        """:class:`Stability` of the fault in its drained rock as it slips on.

        None if the rock holds no part of itself, or if it is too large for factors.

        A law that depends on time answers as in a step of no time: without its viscosity, and sticking where its
        friction depends on the rate.
        """
        self.check(state)
        points = self.points
        points.law.set_time(state.t)
        separation = points.separation + points.strains(state.x)[:, :3]
        return self._stability(points.law.update(separation, state.history).tangent)

    def _stability(self, tangent):
        # the rock is factored for it, and what is dense has as many rows as the fault has separations
        if self._iterates:
            return None
        if self._measure is None:
            try:
                self._measure = StabilityMeasure(self.points, self.porous.stiffness, self.porous.constraint)
            except RuntimeError:
                return None
        return self._measure.of(tangent)

    def _tried(self, x, state, dt):
        """As ``_evaluate``; Diverged where there is no answer."""
        if not np.isfinite(x).all():
            raise Diverged("the correction is not finite")
        try:
            return self._evaluate(x, state, dt)
        except (LawError, ConvergenceError) as error:
            raise Diverged(f"the law of the fault has no answer on the way: {error}") from error

    def _factor(self, x, response, state, dt):
        porous, tangent = self.porous, self._tangent(x, response, state, dt)
        try:
            if not self._iterates:
                return Factor.of(tangent, porous.constraint, porous.n_u)
            basis, systems = porous.displacement_basis, len(self.systems)
            self._iteration = TangentIteration.of(
                tangent,
                porous.strained,
                porous.constraint,
                porous.n_u,
                basis,
                systems,
                self._held_stiffness(response.tangent[:, :3, :3]),
                self._iteration,
            )
            return self._iteration
        except SingularMatrixError as error:
            raise Diverged(f"nothing holds the body any more: {error}") from error

    def _held_stiffness(self, tangent):
        """Of the rock and of what the law's tangents (points, 3, 3) hold: positive, whatever weakens or rubs.

        The friction of faces that slide couples the shear to the compression one way, which makes the symmetric part of
        the tangent indefinite; GMRES takes a triangle into account by itself.
        """
        points, n_u = self.points, self.porous.n_u
        held = 0.5 * (tangent + tangent.swapaxes(1, 2)) * points.dx[:, None, None]
        held[:, 0, 1:] = held[:, 1:, 0] = 0.0
        values, axes = np.linalg.eigh(held)
        held = np.ascontiguousarray((axes * np.maximum(values, 0.0)[:, None, :]) @ axes.swapaxes(1, 2))
        width, count = points.operator.shape[0] // points.points, np.arange(points.points)
        rows = (width * count[:, None] + np.arange(3)).ravel()
        separations = csr_array(points.operator[rows][:, :n_u])
        blocks = bsr_array((held, count, np.arange(points.points + 1)), shape=(len(rows), len(rows)))
        return self.porous.stiffness + separations.T @ (blocks @ separations)

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
    x, mesh = np.asarray(well.x, dtype=float), interface.mesh
    if x.shape != (mesh.dim(),):
        return
    corners, half = mesh.p[:, interface.minus_vertices].transpose(1, 2, 0), mesh.dim() - 1
    normals = normals_of(corners[:, half : 2 * half] - corners[:, :half])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    slack = _IN_FAULT * np.ptp(corners, axis=1).max(axis=1)
    near = np.abs(((x - corners.mean(axis=1)) * normals).sum(axis=1)) < slack
    near &= (x >= corners.min(axis=1) - slack[:, None]).all(axis=1)
    near &= (x <= corners.max(axis=1) + slack[:, None]).all(axis=1)
    if near.any():
        raise ParameterError(
            f"the well at {x.tolist()} is in a fault, in facet {interface.minus[near.argmax()]}; move it to the side "
            "that it feeds"
        )


def _faults(fault):
    """The faults as a tuple."""
    faults = tuple(fault) if isinstance(fault, list | tuple) else (fault,)
    if not faults:
        raise ParameterError("there is no fault; pass one, or take PorousProblem for a body without")
    return tuple(instance("fault", own, Fault) for own in faults)


def _too_long(state, dt, what, most, part=0.5):
    return ConvergenceError(
        f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) is too long: {what}, allowed are {most:.3g} m",
        state,
        np.empty(0),
        state.t,
        part=part,
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
