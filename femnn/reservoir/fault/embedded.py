"""Faults through the cells of a porous reservoir: they slip, conduct fluid along themselves, and leak into the pores.

The equations are in :mod:`femnn.reservoir.fault.embedded_equations`, the flow in
:mod:`femnn.reservoir.fault.embedded_flow`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from femnn.checks import checked, floats, instance, one_of, shaped
from femnn.cohesive.law import Law
from femnn.exceptions import ParameterError, StateError
from femnn.interfaces.embedded import MODES
from femnn.interfaces.embedded_crack import EmbeddedCrack
from femnn.quadrature.gauss import GaussLegendre
from femnn.reservoir.conditions import Conditions, Well
from femnn.reservoir.fault.embedded_equations import EmbeddedEquations, Part, body_of
from femnn.reservoir.fault.embedded_limits import EmbeddedLimits
from femnn.reservoir.fault.embedded_states import EmbeddedBalance, EmbeddedFields, EmbeddedState
from femnn.reservoir.fault.in_situ import require_start
from femnn.reservoir.fault.newton import ReservoirNewton
from femnn.reservoir.fault.states import FaultSites, sliding
from femnn.reservoir.fault.step_length import is_easy, require_short, sliding_error
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem
from femnn.solvers.linear.saddle_point import Constraint


class EmbeddedFault:
    """A fault that follows no facets: where it cuts cells, its law, how it conducts and what it bears in situ.

    Parameters
    ----------
    crack : EmbeddedCrack
        Through cells of a MeshQuad or MeshHex; it may end inside the body.
    law : Law
        Of the effective traction: classical, recurrent, or an RVE in the loop.
    core
        What conducts along the fault and fills it (:mod:`femnn.reservoir.fault.flow`); how it resists flow across
        itself adds to the resistance of the rock.
    stress, history
        In situ, as :class:`Fault` takes them.
    wells
        :class:`femnn.reservoir.Well` in the fault: they feed the fluid of the cut cell they are in at a ``rate``, one
        number, or hold a ``pressure`` with a ``well_index``.
    modes
        As :class:`femnn.interfaces.EmbeddedElements` takes them.
    sealing
        Whether the pressures of the pores may jump across the fault, in cells with one linear pressure on each side.
        Default: if the core in situ resists flow across it more than the rock of a cut cell does.

    Raises
    ------
    ParameterError
        If an argument is of another kind than described.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.reservoir.fault import CrackedCore, EmbeddedFault
    >>> crack = EmbeddedCrack.line(skfem.MeshQuad().refined(3), start=(0.2, 0.2), end=(0.8, 0.71))
    >>> core = CrackedCore(1e-13, thickness=0.01, along=1e-10)
    >>> fault = EmbeddedFault(crack, femnn.ContactCohesive(1e11, friction=0.6), core)

    See Also
    --------
    femnn.reservoir.fault.Fault : along facets; also takes quadratic displacements
    """

    @checked(stress="any", history="unchecked", core="unchecked")
    def __init__(
        self,
        crack: EmbeddedCrack,
        law: Law,
        core: Any,
        *,
        stress: ArrayLike | Callable | None = None,
        history: ArrayLike | None = None,
        wells: Sequence[Well] = (),
        modes: str = "linear",
        sealing: bool | None = None,
    ) -> None:
        instance("crack", crack, EmbeddedCrack)
        if not (hasattr(core, "transmissivity") and hasattr(core, "conductance")):
            raise ParameterError(
                f"the core of an embedded fault is {core!r}; give one that conducts across and along itself, such as "
                "femnn.reservoir.fault.ConstantCore or CrackedCore"
            )
        self.crack, self.law, self.core, self.stress = crack, law, core, stress
        self.history = None if history is None else floats("history", history)
        self.wells = [instance("a well of the fault", well, Well) for well in wells]
        self.modes, self.sealing = one_of("modes", modes, MODES), sealing


class EmbeddedReservoir:
    """A porous body with faults through its cells, of quadrilaterals (plane strain) or hexahedra.

    Its ``step`` is for :func:`femnn.reservoir.march`. Displacements are linear and stabilised; systems of equations are
    factored, so that meshes in three dimensions are limited to some thousand cells.

    Parameters
    ----------
    medium
        :class:`femnn.reservoir.PorousMedium` or ``DualPorousMedium``; the fluid of a fault leaks into each pore system.
    conditions
        :class:`femnn.reservoir.Conditions`. Loads and pressures are in excess of the state in situ.
    fault
        An :class:`EmbeddedFault`, or several in one mesh that share no cell.
    max_iterations
        Of Newton's method, beyond which a step fails.
    largest_slip, slip_error
        Sliding of a point in one step, and its error, m, beyond which the step fails, as :class:`FaultedReservoir`
        takes them.
    on_outside, on_fracture
        What to do where points leave the trained range of their law, or the pressure exceeds the least compression of
        fault or rock, as :class:`FaultedReservoir` takes them.

    Attributes
    ----------
    faults : tuple of EmbeddedFault
    porous : PorousProblem
        The body alone: bases, numbering, loads.
    iterations : int
        Of the last step.

    Raises
    ------
    MeshError
        As :class:`femnn.reservoir.PorousProblem`; also if a fault cuts off hardly anything of a cell.
    ParameterError
        If two faults cut one cell, a law cannot bear the stress in situ, or a core seals in spite of ``sealing=False``;
        if a well, a source or a flux feeds a cell that a sealing fault cuts.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.reservoir import Conditions, PorousMedium, Well
    >>> from femnn.reservoir.fault import ConstantCore, EmbeddedFault, EmbeddedReservoir
    >>> mesh = skfem.MeshQuad().refined(3).with_defaults()
    >>> crack = EmbeddedCrack.line(mesh, start=(0.2, 0.2), end=(0.8, 0.71))
    >>> core, wells = ConstantCore(1e-13, 0.01, along=1e-9), [Well(crack.centre[2], rate=1e-7)]
    >>> fault = EmbeddedFault(crack, femnn.ContactCohesive(1e11, friction=0.6), core, wells=wells)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = EmbeddedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> reservoir.step(reservoir.initial_state(), 3600.0).t
    3600.0

    See Also
    --------
    femnn.reservoir.fault.FaultedReservoir : faults along facets
    """

    @checked(max_iterations="[1, inf)", largest_slip="(0, inf]", slip_error="(0, inf]")
    def __init__(
        self,
        medium: PorousMedium,
        conditions: Conditions,
        fault: EmbeddedFault | Sequence[EmbeddedFault],
        *,
        max_iterations: int = 25,
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
        mesh = self.faults[0].crack.mesh
        element = skfem.ElementQuad1() if mesh.dim() == 2 else skfem.ElementHex1()
        # the rule of the cut cells, so that halves which move apart have no stress
        self.porous = PorousProblem(mesh, medium, conditions, element=element, rule=GaussLegendre(2))
        self._equations = EmbeddedEquations([Part(own, self.porous) for own in self.faults], self.porous)
        loads, jumps = self.porous.loads, self._equations.n_jumps
        held = [loads.prescribed_displacement, loads.prescribed_pressure + jumps, self._equations.held_sides()]
        self._constraint = Constraint(self._equations.size, np.concatenate(held), loads.rigid)
        self._newton = EmbeddedNewton(self._equations, self._constraint, self.porous.n_u + jumps)
        self._limits = EmbeddedLimits(self._equations, self.porous, on_outside, on_fracture)
        self._limits.report_in_situ()

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the pore systems."""
        return self.porous.systems

    @property
    def sites(self) -> FaultSites:
        """:class:`FaultSites`: the points of :meth:`fields`, and the faults that they are of."""
        parts, shear = self._equations.parts, self.porous.constants.mu
        modulus = [np.repeat(shear[part.fault.crack.elements], part.fault.crack.dx.shape[1]) for part in parts]
        return FaultSites(
            self._equations.points,
            np.concatenate([part.x for part in parts], axis=1),
            np.concatenate([part.fault.crack.dx.ravel() for part in parts]),
            np.concatenate(modulus),
        )

    @checked()
    def initial_state(self, t: float = 0.0) -> EmbeddedState:
        """State in situ, at rest.

        Raises
        ------
        ParameterError
            If the law of a fault depends on time and starts at another one.
        """
        for fault in self.faults:
            require_start(fault.law, t)
        body, equations = self.porous.initial_state(t), self._equations
        parts = equations.parts
        return EmbeddedState(
            body.t,
            body.u,
            body.p,
            np.zeros(equations.n_jumps),
            np.zeros(equations.n_cells),
            tuple(part.state for part in parts),
            np.concatenate([part.traction for part in parts]),
            np.zeros((sum(part.elements.points for part in parts), 3)),
            np.zeros((len(self.systems), equations.n_cells)),
            np.zeros((len(self.systems), equations.n_cells)),
            np.zeros((len(self.systems), equations.n_sides)),
        )

    @checked(dt="(0, inf)")
    def step(self, state: EmbeddedState, dt: float) -> EmbeddedState:
        """State after a time step ``dt`` (s) from ``state``, which is left as it is.

        Raises
        ------
        ParameterError
            If a load is not finite.
        ConvergenceError
            If Newton's method does not converge, or a fault slides further than ``largest_slip``; ``x`` then is
            ``state``.
        OutsideRangeError
            With ``on_outside="raise"`` or ``on_fracture="raise"``.
        """
        self.check(state)
        self._limits.require_borne(state.t + dt)
        equations = self._equations
        u, jumps, p, *others = equations.split(self._constraint.fill(state.x))
        body = np.concatenate([u, p])
        self.porous.loads.prescribe(body, state.t + dt)
        start = np.concatenate([body[: len(u)], jumps, body[len(u) :], *others])
        x, responses, self.iterations = self._newton.solve(start, state, dt, self.max_iterations)
        u, jumps, p, pressure, sides = equations.split(x)
        moved = equations.separations(jumps) - equations.separations(state.jumps)
        error, slid = sliding_error(moved, state.rate, dt), float(sliding(moved).max(initial=0.0))
        require_short(slid, error, state, dt, self.largest_slip, self.slip_error)
        leaks = [equations.leaks(number, response, x) for number, response in enumerate(responses)]
        new = EmbeddedState(
            state.t + dt,
            u,
            p.reshape(len(self.systems), -1),
            jumps,
            pressure,
            tuple(response.law.state for response in responses),
            np.concatenate([response.law.traction for response in responses]),
            moved / dt,
            np.concatenate([own.sum(axis=0) for own in leaks], axis=1),
            # what comes out on the plus side went in on the minus side, but for what the fault keeps
            np.concatenate([0.5 * (own[-1] - own[0]) for own in leaks], axis=1),
            sides.reshape(len(self.systems), -1),
            error,
        )
        self._limits.report(state, new)
        return new

    @checked()
    def is_easy(self, state: EmbeddedState) -> bool:
        """Whether twice the step that led to ``state`` would keep ``slip_error``: for ``march(..., is_easy=...)``."""
        return is_easy(state, self.slip_error)

    @checked()
    def outside(self, state: EmbeddedState) -> int:
        """Number of points that have left the trained range of their law before they were broken."""
        self.check(state)
        return self._limits.outside(state)

    @checked()
    def stress(self, state: EmbeddedState) -> np.ndarray:
        """Effective stress in the rock, mean over each cell, (dim, dim, n), Pa: that in situ and what came on since.

        In cut cells that of the strain without the jump. The highest pressure of the pore systems counts in full, as it
        does where rock slips or fractures; :func:`femnn.reservoir.slip_tendency` makes a map of it.

        Raises
        ------
        ParameterError
            If no fault was given a stress in situ.
        """
        self.check(state)
        return self._limits.stress(state)

    @checked(dt="(0, inf)", x="any")
    def residual(self, x: np.ndarray, state: EmbeddedState, dt: float) -> np.ndarray:
        """Forces and volumes out of balance (n,), with the signs of :meth:`PorousProblem.residual`."""
        return self._equations.evaluate(shaped("x", x, state.x.shape), state, dt)[0]

    @checked(dt="(0, inf)", x="any")
    def tangent(self, x: np.ndarray, state: EmbeddedState, dt: float) -> csr_array:
        """Derivative of :meth:`residual` by x; not symmetric."""
        x = shaped("x", x, state.x.shape)
        return self._equations.tangent(x, self._equations.evaluate(x, state, dt)[1], state, dt)

    @checked()
    def fields(self, state: EmbeddedState) -> tuple[EmbeddedFields, ...]:
        """:class:`EmbeddedFields` of each fault in a state."""
        self.check(state)
        equations = self._equations
        found: list[EmbeddedFields] = []
        places = zip(equations.parts, equations.jumps, equations.cells, equations.points, state.histories, strict=True)
        for part, jumps, cells, points, history in places:
            found.append(
                EmbeddedFields(
                    part.x,
                    part.separations(state.jumps[jumps]),
                    state.rate[points],
                    state.traction[points],
                    part.fault.crack.centre.T,
                    state.fault_pressure[cells],
                    equations.beside(len(found), state.x)[[0, -1]],
                    state.leak_off[:, cells],
                    state.across[:, cells],
                    part.fault.law.damage(history),
                    history.outside,
                )
            )
        return tuple(found)

    @checked()
    def balance(self, old: EmbeddedState, new: EmbeddedState) -> EmbeddedBalance:
        """:class:`EmbeddedBalance` of the step from one state to the other."""
        dt, s, equations = new.t - old.t, len(self.systems), self._equations
        body = self.porous.balance(body_of(old), body_of(new))
        released = equations.split(equations.volumes @ (new.x - old.x))
        volumes = [own.reshape(s, -1) for own in self.porous.volumes(new.u, new.p.ravel(), body_of(old), dt)]
        strained, pressed, injected, exchanged, lost = volumes
        strained = strained - released[2].reshape(s, -1)
        leaked = np.zeros_like(strained)
        opened, fed = -released[3], np.zeros(equations.n_cells)
        for part, cells, history in zip(equations.parts, equations.cells, old.histories, strict=True):
            change = new.fault_pressure[cells] - old.fault_pressure[cells]
            opened[cells] += part.storage(history) * part.channels.area * change
            fed[cells] = dt * part.fed(new.t, new.fault_pressure[cells])[0]
            # of the test functions that know no sides, whose sum is one everywhere
            for system, leak in enumerate(dt * new.leak_off[:, cells]):
                np.add.at(leaked[system], part.channels.dofs, leak[:, None] * part.channels.mean)
        between = dt * equations.split(equations.flows @ new.x)[2].reshape(s, -1)
        reaction = strained + pressed + lost - injected - leaked - between
        through = {
            name: np.array([own[dofs].sum() for own, dofs in zip(reaction, of_systems, strict=True)])
            for name, of_systems in self.porous.loads.drains.items()
        }
        # flow between vertices is no gain, exchange with the other pore system is
        stored, got, traded = (own.sum(axis=1) for own in (strained + pressed, injected, exchanged + between))
        leaks = leaked.sum(axis=1)
        moved = np.abs(strained).sum(axis=1) + np.abs(pressed).sum(axis=1) + np.abs(leaked).sum(axis=1)
        moved = np.append(moved, np.abs(opened).sum() + np.abs(fed).sum() + dt * np.abs(new.leak_off).sum())
        missing = np.append(
            stored - got - traded - leaks - sum(through.values(), np.zeros(s)), opened.sum() + leaks.sum() - fed.sum()
        )
        error = np.divide(np.abs(missing), moved, out=np.zeros(s + 1), where=moved > 0.0)
        return EmbeddedBalance(
            stored, body.injected, traded, through, leaks, float(opened.sum()), float(fed.sum()), error
        )

    @checked(state="unchecked")
    def check(self, state: EmbeddedState) -> None:
        """Raise StateError unless a state is of this reservoir."""
        instance("state", state, EmbeddedState)
        equations, s = self._equations, len(self.systems)
        own = [(len(part.state), part.state.law) for part in equations.parts]
        given = [(len(history), history.law) for history in state.histories]
        wanted = {
            "u": (equations.n_u,),
            "p": (s, self.porous.pressure_basis.N),
            "jumps": (equations.n_jumps,),
            "fault_pressure": (equations.n_cells,),
            "leak_off": (s, equations.n_cells),
            "across": (s, equations.n_cells),
            "pressure_jumps": (s, equations.n_sides),
        }
        widths = [
            (part.state.values.shape[1], history.values.shape[1])
            for part, history in zip(equations.parts, state.histories, strict=False)
        ]
        fits = all(getattr(state, name).shape == shape for name, shape in wanted.items())
        if own != given or not fits or any(first != second for first, second in widths):
            raise StateError(
                f"the state has {len(state.x)} unknowns and faults of {given}, this reservoir {self._equations.size} "
                f"and {own}; a state goes with the mesh, the medium and the laws it was made for"
            )


class EmbeddedNewton(ReservoirNewton):
    """Solves the equations of time steps with faults through cells."""

    def _borne(self):
        equations = self._equations
        borne = np.zeros(equations.size)
        for part, own in zip(equations.parts, equations.jumps, strict=True):
            borne[equations.n_u :][own] = np.abs(part.borne(part.traction)).ravel()
        return borne


def _faults(fault):
    """The faults as a tuple; ParameterError unless they are in one mesh and share no cell."""
    faults = tuple(fault) if isinstance(fault, list | tuple) else (fault,)
    if not faults:
        raise ParameterError("there is no fault; pass one, or take PorousProblem for a body without")
    for own in faults:
        instance("fault", own, EmbeddedFault)
    if any(own.crack.mesh is not faults[0].crack.mesh for own in faults):
        raise ParameterError("the embedded faults are in different meshes; make all their cracks in one")
    cut, count = np.unique(np.concatenate([own.crack.elements for own in faults]), return_counts=True)
    if (count > 1).any():
        raise ParameterError(
            f"{np.count_nonzero(count > 1)} cells are cut by two faults, the first of them {cut[count > 1][0]}; refine "
            "the mesh, or move a fault"
        )
    return faults
