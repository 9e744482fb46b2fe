"""A fluid-saturated reservoir with a sealing fault: porous body and interface in one nonlinear time step.

The body is that of :mod:`femnn.reservoir.problem`, cut along the fault so that displacements and pressures of the two
sides are unknowns of their own; the fault's equations are in :mod:`femnn.reservoir.fault.points`. Implicit Euler
steps, each solved by Newton's method with the consistent tangent of both.
"""

from collections.abc import Sequence

import numpy as np
import skfem
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from femnn.assembly.forms import assemble_mass
from femnn.checks import checked, instance, one_of, positive, shaped
from femnn.cohesive.law import State
from femnn.exceptions import ParameterError, StateError
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.fault.equations import StepEquations
from femnn.reservoir.fault.in_situ import require_start
from femnn.reservoir.fault.limits import Limits, require_beside_all
from femnn.reservoir.fault.newton import StepNewton
from femnn.reservoir.fault.points import Fault, FaultPoints
from femnn.reservoir.fault.stability import Stability
from femnn.reservoir.fault.states import FaultBalance, FaultedState, FaultFields, FaultSites, sliding
from femnn.reservoir.fault.step_length import is_easy, require_short, sliding_error
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem


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
        warns at the first of them, ``"raise"`` raises OutsideRangeError instead of ending the step, so that
        :func:`femnn.reservoir.march` comes as close as its smallest step and stops there. That the stress in situ is
        outside is told at once.
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
        one_of("on_outside", on_outside, ("warn", "raise"))
        one_of("on_fracture", on_fracture, ("warn", "raise"))
        self.faults = _faults(fault)
        one_of("method", method, ("auto", "splu", "gmres"))
        self.porous = self._body(medium, conditions, element, rule)
        self.points = self._brought_in_situ()
        self._mass = None if density is None else self._mass_of(positive("density", density))
        self._parts = self._pieces()
        self._equations = self._step_equations()
        self._newton = self._step_newton(method)
        self._limits = self._limits_that(on_outside, on_fracture)
        self._limits.report_in_situ()

    # what follows up to `systems` is another for a body that several processes share

    def _body(self, medium, conditions, element, rule) -> PorousProblem:
        require_beside_all(self.faults, conditions.wells)
        return PorousProblem(self.faults[0].interface.mesh, medium, conditions, element=element, rule=rule)

    def _brought_in_situ(self):
        return FaultPoints(self.faults, self.porous)

    def _pieces(self):
        """Pressures, bool (n_p,), of each part of a mesh in pieces."""
        return _parts(self.porous.pressure_basis)

    def _step_equations(self):
        return StepEquations(self.points, self.porous, self._mass)

    def _step_newton(self, method):
        return StepNewton(self._equations, method)

    def _limits_that(self, on_outside, on_fracture):
        return Limits(self.points, self.porous, on_outside, on_fracture)

    def _greatest(self, value):
        return value

    def _total(self, sums):
        return sums

    def _whole(self, volumes):
        """Volumes (s, n_p) by test function of the whole body, 0 where they belong to another process."""
        return volumes

    def _prescribed(self, state, dt):
        """Unknowns of a state with the values that are prescribed after ``dt``."""
        x = self.porous.constraint.fill(state.x)
        self.porous.loads.prescribe(x, state.t + dt)
        return x

    def _mass_of(self, density):
        mesh, element = self.porous.displacement_basis.mesh, self.porous.displacement_basis.elem.elem
        return csr_array(assemble_mass(mesh, GaussLegendre(3), density, components=mesh.dim(), element=element))

    @property
    def sites(self) -> FaultSites:
        """:class:`FaultSites`: the points of :meth:`fields`, and the faults that they are of."""
        points = self.points
        return FaultSites(points.parts, points.x, points.dx, points.shear_modulus)

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
        require_start(self.points.law, t)
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
            With ``on_outside="raise"`` or ``on_fracture="raise"``.
        """
        if not (np.isfinite(dt) and dt > 0.0):
            raise ParameterError(f"the time step is {dt} s; it must be positive")
        self.check(state)
        x = self._prescribed(state, dt)
        self._limits.require_borne(state.t + dt)
        x, response, self.iterations = self._newton.solve(x, state, dt, self.max_iterations)
        n_u, s = self.porous.n_u, len(self.systems)
        moved = (self.points.strains(x) - self.points.strains(state.x))[:, :3]
        error = self._greatest(sliding_error(moved, state.rate, dt))
        slid = self._greatest(float(sliding(moved).max(initial=0.0)))
        require_short(slid, error, state, dt, self.largest_slip, self.slip_error)
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
        self._limits.report(state, new)
        return new

    @checked()
    def is_easy(self, state: FaultedState) -> bool:
        """Whether twice the step that led to ``state`` would keep ``slip_error``: for ``march(..., is_easy=...)``."""
        return is_easy(state, self.slip_error)

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
        return self._limits.stress(state)

    @checked()
    def kinetic_energy(self, state: FaultedState) -> float:
        """Of the rock, J (J/m in two dimensions); ParameterError unless it was given a ``density``."""
        if self._mass is None:
            raise ParameterError("the rock has no mass; pass FaultedReservoir(..., density=) in kg/m³")
        return float(self._total(0.5 * state.velocity @ (self._mass @ state.velocity)))

    @checked()
    def outside(self, state: FaultedState) -> int:
        """Number of points that have left the trained range of the law before they were broken."""
        return self._limits.outside(state)

    @checked(dt="(0, inf)", x="any")
    def residual(self, x: np.ndarray, state: FaultedState, dt: float) -> np.ndarray:
        """Forces and volumes out of balance (n,), with the signs of :meth:`PorousProblem.residual`."""
        return self._equations.evaluate(self._unknowns(x), state, dt)[0]

    @checked(dt="(0, inf)", x="any")
    def tangent(self, x: np.ndarray, state: FaultedState, dt: float) -> csr_array:
        """Derivative of :meth:`residual` by x; with friction or dilation not symmetric."""
        x = self._unknowns(x)
        return self._equations.tangent(x, self._equations.evaluate(x, state, dt)[1], state, dt)

    def _unknowns(self, x):
        return shaped("x", x, self.initial_state().x.shape)

    @checked()
    def fields(self, state: FaultedState) -> FaultFields:
        """:class:`FaultFields` of a state, at the points of :attr:`sites`."""
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
        added = points.operator.T @ force.ravel() + points.gained_along(new.along, dt)
        strained, pressed, injected, exchanged, lost = self.porous.volumes(new.u, new.p.ravel(), old, dt)
        gained = injected - strained - pressed - lost + added[self.porous.n_u :]
        out = self._whole(gained.reshape(s, -1))
        volumes = [self._whole(own.reshape(s, -1)) for own in (strained, pressed, injected, exchanged, lost)]
        moved = np.abs(np.array(volumes)).sum(axis=0)
        taken = points.opened(strains, before) + points.stored(strains, before, storage)
        opened, leaked = self._total(np.array([taken @ points.dx, dt * new.leak_off @ points.dx]))
        drained, free = [], np.ones(out.shape, dtype=bool)
        for of_systems in self.porous.loads.drains.values():
            drained.append([-out[i, dofs].sum() for i, dofs in enumerate(of_systems)])
            for i, dofs in enumerate(of_systems):
                free[i, dofs] = False
        through = dict(zip(self.porous.loads.drains, self._total(np.array(drained)), strict=True))
        parts = [np.ones(out.shape[1], dtype=bool), *self._parts]
        sizes, missing = self._total(
            np.array(
                [
                    [moved[:, part].sum(axis=1) for part in parts],
                    [np.where(free & part, out, 0.0).sum(axis=1) for part in parts],
                ]
            )
        )
        sizes += np.abs(leaked) + np.abs(opened)
        errors = np.divide(np.abs(missing), sizes, out=np.zeros_like(sizes), where=sizes > 0.0)
        error = errors.max(axis=0)
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
        return self._newton.stability(points.law.update(separation, state.history).tangent)


def _faults(fault):
    """The faults as a tuple."""
    faults = tuple(fault) if isinstance(fault, list | tuple) else (fault,)
    if not faults:
        raise ParameterError("there is no fault; pass one, or take PorousProblem for a body without")
    return tuple(instance("fault", own, Fault) for own in faults)


def _parts(basis):
    """Degrees of freedom, bool (n_p,), of each part of a mesh in pieces; none for a mesh in one."""
    rows = np.repeat(basis.element_dofs[:1], len(basis.element_dofs), axis=0).ravel()
    graph = coo_array((np.ones(rows.size), (rows, basis.element_dofs.ravel())), shape=(basis.N,) * 2)
    count, label = connected_components(graph, directed=False)
    return [label == part for part in range(count)] if count > 1 else []
