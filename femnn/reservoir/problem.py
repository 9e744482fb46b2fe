"""Poroelasticity with one or two pore systems: displacements u and pressures p_M, p_m, in implicit time steps.

    div(σ' − (α_M p_M + α_m p_m) I) + b = 0
    ∂t(α_M div u + S_MM p_M + S_Mm p_m) − div(k_M/μ ∇p_M) + c = s_M,        c = ᾱ (p_M − p_m)/μ
    ∂t(α_m div u + S_Mm p_M + S_mm p_m) − div(k_m/μ ∇p_m) − c = s_m

K. Wang and W. C. Sun, CMAME 334 (2018) 337-380, with α_M = ψ α and α_m = (1 − ψ) α. Displacements are quadratic and
pressures linear (Taylor-Hood: P. J. Phillips and M. F. Wheeler, Computational Geosciences 11 (2007) 131-144), or both
are linear, which 10⁵ hexahedra can afford. Linear pairs oscillate where little fluid is stored and none can flow, so
that the storage S_ij then gets α_i α_j/(2 G) ∫ (p_j − Πp_j)(q_i − Πq_i) in addition, with means Π over the cells
(:func:`femnn.reservoir.integrals.unresolved`). Pressures are increments over the hydrostatic state.
"""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import block_array, csr_array

from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.forms import assemble_diffusion, assemble_mass
from femnn.checks import checked, instance, shaped
from femnn.exceptions import ConvergenceError, ParameterError, StateError
from femnn.geometry.mesh import RelativeMapping
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.discretisation import degree, elements, integration_order, require_sound, rule_for
from femnn.reservoir.integrals import CellBasis, swelling, unresolved
from femnn.reservoir.loads import Loads
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.states import MassBalance, PorousState
from femnn.reservoir.wells import PressureWells
from femnn.solvers.linear.saddle_iteration import SaddleSolver
from femnn.solvers.linear.saddle_point import Constraint, Factors

# Exact for products of linear functions in any cell.
_EXACT = GaussLegendre(3)


class PorousProblem:
    """A poroelastic body, in the plane strain of a MeshQuad or in a MeshHex.

    A step solves ``residual(x, state, dt) = 0``; it is linear in x with the matrix ``tangent(dt)``, symmetric, so that
    an interface with a nonlinear law can add its own force and tangent to the two, by way of the bases below.

    Parameters
    ----------
    mesh
        ``skfem.MeshQuad`` or ``skfem.MeshHex``.
    medium
        :class:`femnn.reservoir.medium.PorousMedium` or ``DualPorousMedium``.
    conditions
        :class:`femnn.reservoir.conditions.Conditions`.
    theta
        1 is the implicit Euler method; 0.5 is that of Crank and Nicolson, of second order, which oscillates after
        sudden loads unless it starts from :meth:`undrained` with small steps.
    element
        Of the displacements: ``skfem.ElementHex2()`` or ``ElementQuad2()``, the default, or ``ElementHex1()`` or
        ``ElementQuad1()``, which take a tenth of memory and time and are stabilised. Pressures are linear.
    rule
        femnn's rule for stiffness and flow. Default: ``GaussLegendre(3)`` for quadratic displacements and in the plane,
        ``AdaptiveGauss()`` for linear ones of hexahedra, which gives distorted cells the points that they need.
    method
        How the linear systems of steps are solved: ``"splu"`` by factors, which 10³ cells in three dimensions can
        afford; ``"minres"`` by iteration with multigrid for displacements and pressures
        (:mod:`femnn.solvers.linear.saddle_iteration`), with which 10⁵ linear ones are possible; ``"auto"`` chooses by
        size.

    Attributes
    ----------
    displacement_basis, pressure_basis : skfem.CellBasis
        Unknowns are numbered x = (u, p) or (u, p_M, p_m) one after the other.
    systems : tuple of str
        Names of the pore systems.
    loads : Loads
    wells : PressureWells
        Those that hold a pressure.
    strained : (s · n_p, s · n_p) sparse
        α_i α_j over the drained bulk modulus: by it pressures store fluid as they strain the skeleton, at most.
    constraint : Constraint
        Of a step: ``constraint.reduce(vector)`` leaves what is free.
    iterations : tuple of int
        Of MINRES in the last step: of the first solution, which takes most, and of its corrections; none with factors.

    Raises
    ------
    MeshError
        If the mesh has other cells, folded ones, or lacks a boundary that the conditions name.
    ParameterError
        If the medium or the conditions do not fit the mesh.
    SingularMatrixError
        If the conditions leave a rigid motion free.

    Examples
    --------
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> drained_top = Conditions(
    ...     displacement={"bottom": (0.0, 0.0)}, traction={"top": (0.0, -1e6)}, pressure={"top": 0.0}
    ... )
    >>> problem = PorousProblem(skfem.MeshQuad().refined(2).with_defaults(), medium, drained_top)
    >>> problem.step(problem.undrained(), 3600.0)
    PorousState(t = 3600 s, 162 displacements, pressures (1, 25))

    See Also
    --------
    femnn.reservoir.march : many steps, halved where one fails.
    femnn.reservoir.march_by_error : steps as long as their error allows.
    femnn.reservoir.fault.FaultedReservoir : the same body with a fault.
    """

    @checked(theta="[0, 1]", mesh="unchecked", method="unchecked", element="unchecked", rule="unchecked")
    def __init__(
        self,
        mesh: skfem.Mesh,
        medium: PorousMedium,
        conditions: Conditions,
        *,
        theta: float = 1.0,
        element: skfem.Element | None = None,
        rule: Rule | None = None,
        method: str = "auto",
    ) -> None:
        if not 0.5 <= theta <= 1.0:
            raise ParameterError(f"theta is {theta}; it must be in [0.5, 1], 1 for the implicit Euler method")
        self.medium, self.conditions, self.theta = medium, conditions, float(theta)
        self.systems = medium.systems
        self.iterations: tuple[int, ...] = ()
        require_sound(mesh)
        own, linear = elements(mesh, element)
        vectors, mapping = skfem.ElementVector(own), RelativeMapping(mesh)
        self.displacement_basis = CellBasis(mesh, vectors, mapping=mapping, intorder=integration_order(own))
        self.pressure_basis = self.displacement_basis.with_element(linear)
        self.rule = rule_for(own) if rule is None else instance("rule", rule, Rule, remedy="femnn.AdaptiveGauss()")
        self.constants = medium.constants(mesh.nelements, mesh.dim())
        self.loads, self.wells = self._applied()
        self._assemble()
        held = self.loads.prescribed_displacement
        n, rigid = self.loads.ndof, self.loads.rigid
        self.constraint = Constraint(n, np.concatenate([held, self.loads.prescribed_pressure]), rigid)
        self._closed = Constraint(n, held, rigid)
        self._saddle = self._iterations()
        # in the plane factors stay small
        self._method = "splu" if method == "auto" and mesh.dim() == 2 else method
        # by which wells are open
        self._factors: dict[tuple[bool, ...], Factors] = {}
        # at once, which checks the method
        self._factors_for(self.open_wells(0.0, 0.0))

    def _applied(self) -> tuple[Loads, PressureWells]:
        u, p = self.displacement_basis, self.pressure_basis
        return (
            Loads(self.conditions, u, p, self.systems),
            PressureWells(self.conditions.wells, p, self.systems, self.constants.mobility),
        )

    def _iterations(self) -> Any:
        """What iterates to the solution of a step; SingularMatrixError if nothing holds the body."""
        self._closed.check_held(self.displacement_basis.doflocs)
        return SaddleSolver(self._stiffness, self._swelling, self.displacement_basis, len(self.systems))

    @property
    def n_u(self) -> int:
        """Number of displacements."""
        return self.displacement_basis.N

    @property
    def stiffness(self) -> csr_array:
        """Of the drained skeleton, (n_u, n_u)."""
        return self._stiffness

    def _assemble(self):
        constants, s = self.constants, len(self.systems)
        u, p = self.displacement_basis, self.pressure_basis

        def mass(values):
            return assemble_mass(p.mesh, _EXACT, values)

        def blocks(of_pair):
            return csr_array(block_array([[of_pair(i, j) for j in range(s)] for i in range(s)]))

        lmbda, mu, biot = constants.lmbda, constants.mu, constants.biot
        young, poisson = mu * (3.0 * lmbda + 2.0 * mu) / (lmbda + mu), 0.5 * lmbda / (lmbda + mu)
        self._stiffness = csr_array(
            assemble_elasticity(u.mesh, self.rule, young, poisson, plane="strain", element=u.elem)
        )
        self._swelling = csr_array(block_array([[swelling(u, p, own)] for own in biot]))
        self._storage = blocks(lambda i, j: mass(constants.storage[i, j]))
        if degree(u.elem.elem) == 1:
            self._storage = self._storage + blocks(lambda i, j: unresolved(p, 0.5 * biot[i] * biot[j] / mu))
        darcy = [assemble_diffusion(p.mesh, self.rule, mobility) for mobility in constants.mobility]
        self._darcy = blocks(lambda i, j: darcy[i] if i == j else None)
        self._exchange = csr_array(mass(constants.exchange))
        bulk = lmbda + 2.0 * mu / u.mesh.dim()
        self.strained = blocks(lambda i, j: mass(biot[i] * biot[j] / bulk))
        self._flow = self._darcy + blocks(lambda i, j: self._exchange if i == j else -self._exchange)

    @checked(u="any", p="any")
    def initial_state(self, t: float = 0.0, u: ArrayLike | None = None, p: ArrayLike | None = None) -> PorousState:
        """State of rest, or one with displacements (n_u,) and pressures (s, n_p) that are given.

        Raises
        ------
        StateError
            If they have other shapes or are not finite.
        """
        shapes = {"displacements": (self.n_u,), "pressures": (len(self.systems), self.pressure_basis.N)}
        fields = []
        for (name, shape), values in zip(shapes.items(), (u, p), strict=True):
            values = np.zeros(shape) if values is None else np.array(values, dtype=float)
            if values.shape != shape or not np.isfinite(values).all():
                raise StateError(f"the {name} have shape {values.shape}; they must be {shape} and finite")
            fields.append(values)
        return PorousState(float(t), *fields)

    @checked()
    def undrained(self, state: PorousState | None = None) -> PorousState:
        """State right after the loads of its time came on, before any fluid could flow; prescribed pressures wait."""
        state = self.initial_state() if state is None else state
        return self._solve(state, 0.0, self._closed)

    @checked(dt="(0, inf)")
    def step(self, state: PorousState, dt: float) -> PorousState:
        """State after a time step ``dt`` (s) from ``state``, which is left as it is.

        Raises
        ------
        ParameterError
            If dt is not positive, or a load is not finite.
        ConvergenceError
            If the solution of the linear system is not finite or not accurate; ``x`` then is ``state``.
        SingularMatrixError
            If the system has no unique solution.
        """
        return self._solve(state, dt, self.constraint)

    @checked(dt="[0, inf)")
    def tangent(self, dt: float, t: float = 0.0) -> csr_array:
        """Derivative of :meth:`residual` by x: symmetric, indefinite.

        ``t`` is the time at the end of the step, where wells that hold a pressure are open at some times only.
        """
        return self._tangent(dt, self.open_wells(t - dt, dt))

    @checked(dt="[0, inf)")
    def open_wells(self, t: float, dt: float) -> tuple[bool, ...]:
        """Whether each well that holds a pressure is open, in each system, in the step ``dt`` from the time ``t``."""
        return self.wells.open_at(t + self.theta * dt)

    def _tangent(self, dt, pattern):
        fluid = self._fluid(dt, pattern)
        return csr_array(block_array([[self._stiffness, -self._swelling.T], [-self._swelling, -fluid]]))

    def _fluid(self, dt, pattern):
        flow = self._flow + self.wells.flow(pattern) if any(pattern) else self._flow
        return self._storage + dt * self.theta * flow

    def _factors_for(self, pattern):
        if pattern not in self._factors:

            def iteration(dt, constraint):
                fluid = self._fluid(dt, pattern)
                return self._saddle.iteration(fluid, fluid + self.strained, constraint)

            self._factors[pattern] = Factors(self.n_u, iteration, self._method)
        return self._factors[pattern]

    @checked()
    def well_rates(self, state: PorousState) -> np.ndarray:
        """Volume by time (wells, s) that each well of the conditions feeds at the time of a state, m³/s.

        In two dimensions m²/s, per metre of thickness; negative for what a well takes.
        """
        self._require_own(state)
        held = iter(self.wells.rates(state.t, state.p))
        return np.array([
            next(held) if well.rate is None else self.loads.rate_of(well, state.t) for well in self.conditions.wells
        ]).reshape(-1, len(self.systems))  # fmt: skip

    @checked(dt="[0, inf)", x="any")
    def residual(self, x: np.ndarray, state: PorousState, dt: float) -> np.ndarray:
        """Forces out of balance (n_u,), then volumes out of balance of each system, with the sign of sources.

        Parameters
        ----------
        x : (n,)
            Unknowns at ``state.t + dt``.
        state : PorousState
        dt
            s.
        """
        x = shaped("x", x, state.x.shape)
        u, p = x[: self.n_u], x[self.n_u :]
        force = self._stiffness @ u - self._swelling.T @ p - self.loads.force(state.t + dt)
        strained, pressed, injected, _, lost = self.volumes(u, p, state, dt)
        return np.concatenate([force, injected - strained - pressed - lost])

    @checked()
    def step_error(
        self, before: PorousState | None, old: PorousState, new: PorousState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Estimated error of a step of the implicit Euler method in displacements and pressures, and their sizes.

        Half the step times the change of the rates, the difference from the trapezoidal rule: S. W. Sloan, A. J. Abbo,
        Int. J. Numer. Anal. Methods Geomech. 23 (1999) 467-492. For :func:`femnn.reservoir.march_by_error`.

        Parameters
        ----------
        before
            State that led to ``old``; None: the body was at rest there.
        old, new

        Returns
        -------
        errors, sizes : (1 + s,)
            Norms of the displacements, and of the pressures of each system.
        """
        states = [state for state in (before, old, new) if state is not None]
        for state in states:
            self._require_own(state)
        fields = [[state.u, *state.p] for state in states]
        dt = new.t - old.t
        changes = [b - a for a, b in zip(fields[-2], fields[-1], strict=True)]
        if before is not None and old.t > before.t:
            ratio = dt / (old.t - before.t)
            changes = [now - ratio * (b - a) for now, a, b in zip(changes, fields[0], fields[1], strict=True)]
        errors = np.array([0.5 * self._norm(change) for change in changes])
        return errors, np.array([self._norm(field) for field in fields[-1]])

    def _norm(self, field):
        return np.linalg.norm(field)

    def _whole(self, volumes):
        """Volumes by test function of the whole body, 0 where they belong to another process."""
        return volumes

    def _total(self, sums):
        """Sums over the whole body, of those over this process."""
        return sums

    @checked()
    def balance(self, old: PorousState, new: PorousState) -> MassBalance:
        """:class:`MassBalance` of the step from one state to the other."""
        self._require_own(old)
        self._require_own(new)
        dt, s = new.t - old.t, len(self.systems)
        volumes = self.volumes(new.u, new.p.ravel(), old, dt)
        strained, pressed, injected, exchanged, lost = (self._whole(volume.reshape(s, -1)) for volume in volumes)
        reaction = strained + pressed + lost - injected
        drained = [
            np.array([volume[dofs].sum() for volume, dofs in zip(reaction, of_systems, strict=True)])
            for of_systems in self.loads.drains.values()
        ]
        sums = [volume.sum(axis=1) for volume in (strained + pressed, injected, exchanged)]
        # a closed system stores nothing in all, but moves fluid from place to place
        kept = np.abs(strained).sum(axis=1) + np.abs(pressed).sum(axis=1)
        stored, injected, exchanged, kept, *drained = self._total(np.array([*sums, kept, *drained]))
        through = dict(zip(self.loads.drains, drained, strict=True))
        supplied = [injected, exchanged, *drained]
        moved = kept + sum(np.abs(volume) for volume in supplied)
        error = np.divide(np.abs(stored - sum(supplied)), moved, out=np.zeros(s), where=moved > 0.0)
        return MassBalance(stored, injected, exchanged, through, error)

    @checked(dt="[0, inf)")
    def volumes(self, u: np.ndarray, p: np.ndarray, old: PorousState, dt: float) -> tuple[np.ndarray, ...]:
        """By test function: gained by strain, by pressure, fed, got by exchange; lost by flow and exchange."""
        self._require_own(old)
        u, p = shaped("u", u, (self.n_u,)), shaped("p", p, (old.p.size,))
        change = p - old.p.ravel()
        during = old.p.ravel() + self.theta * change
        when = old.t + self.theta * dt
        fed = self.loads.inflow(when) + self.wells.inflow(when, during.reshape(len(self.systems), -1))
        injected = dt * fed.ravel()
        # the difference of the pressures first, which keeps its digits where the exchange is fast; 0 for one system
        pressures = during.reshape(len(self.systems), -1)
        to_micro = dt * (self._exchange @ (pressures[0] - pressures[-1]))
        exchanged = np.concatenate([-to_micro, to_micro][: len(self.systems)])
        return (
            self._swelling @ (u - old.u),
            self._storage @ change,
            injected,
            exchanged,
            dt * (self._darcy @ during) - exchanged,
        )

    @checked()
    def effective_stress(self, state: PorousState) -> np.ndarray:
        """Mean over each cell of the stress that strains the skeleton, (n, 3, 3), Pa, positive in tension.

        As all increments over the state of rest; the total stress is less by biot · pressure of each system.
        """
        self._require_own(state)
        basis, constants = self.displacement_basis, self.constants
        cells = state.u[basis.element_dofs].reshape(-1, basis.mesh.dim(), basis.nelems)
        slopes = np.einsum("ain,naj->ijn", cells, basis.mean_slopes)
        strain = 0.5 * (slopes + slopes.swapaxes(0, 1))
        dim = len(strain)
        stress = np.zeros((basis.nelems, 3, 3))
        stress[:, :dim, :dim] = (2.0 * constants.mu * strain).transpose(2, 0, 1)
        return stress + (constants.lmbda * np.einsum("iin->n", strain))[:, None, None] * np.eye(3)

    @checked()
    def mean_pressure(self, state: PorousState) -> np.ndarray:
        """Mean over each cell of the pressures, (s, n), Pa."""
        self._require_own(state)
        basis = self.pressure_basis
        return np.einsum("san,na->sn", state.p[:, basis.element_dofs], basis.mean_values)

    def _require_own(self, state):
        if len(state.u) != self.n_u or state.p.shape != (len(self.systems), self.pressure_basis.N):
            raise StateError(
                f"the state has {len(state.u)} displacements and pressures {state.p.shape}, this problem {self.n_u} "
                f"and {(len(self.systems), self.pressure_basis.N)}; a state goes with the mesh and medium it was made "
                "for"
            )

    def _solve(self, state, dt, constraint):
        self._require_own(state)
        pattern = self.open_wells(state.t, dt)
        factor = self._factors_for(pattern).get(dt, constraint, lambda dt: self._tangent(dt, pattern))
        t = state.t + dt
        x = self._start(state, dt, constraint)
        begun = len(getattr(factor, "counts", ()))
        x, error = factor.solve(x, lambda x: self.residual(x, state, dt))
        self.iterations = tuple(getattr(factor, "counts", ())[begun:])
        if not error < 1e-6:
            raise ConvergenceError(
                f"the linear system of the step to t = {t:.6g} s (dt = {dt:.6g} s) was solved with the relative error "
                f"{error:.3g}; check the orders of magnitude of the medium's parameters",
                state,
                np.array([error]),
                state.t,
            )
        return PorousState(t, x[: self.n_u], x[self.n_u :].reshape(len(self.systems), -1))

    def _start(self, state, dt, constraint):
        """Unknowns of a state with the values that are prescribed after ``dt``."""
        x = constraint.fill(state.x)
        self.loads.prescribe(x, state.t + dt, pressures=constraint is self.constraint)
        return x
