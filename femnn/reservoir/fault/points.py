"""A sealing fault as an interface in a porous body: what its points answer to separations and pressures.

The two faces carry the same total traction, and between them the core bears the effective traction of the law and the
pressure of its fluid. In excess of the state in situ (law's traction T₀ at the separation δ₀)

    t = T(δ₀ + δ) − T₀ − p_f n,        p_f = Σ_i ψ_i (w⁻ p_i⁻ + w⁺ p_i⁺)

with the separation δ, the shares ψ_i of the pore systems in the pores, and the weights w of the two faces. Fluid
crosses the core, and fills what opens: of pore system i, the minus and the plus side gain by area

    −q_i − w⁻ ψ_i ∂t δ_n    and    q_i − w⁺ ψ_i ∂t δ_n,        q_i = k_i/(μ a) (p_i⁻ − p_i⁺)

so that the power of p_f on the opening is that of the fluid which fills it, and the coupling is symmetric. Along the
fault flows −k_∥ a/μ ∂s p̄ by width, with the mean p̄ of the two faces, and the core stores a S ∂t p̄ by area, each face
giving half of both.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, diags_array

from femnn.checks import checked, floats, instance, one_of
from femnn.cohesive.law import Law, State
from femnn.exceptions import ParameterError
from femnn.interfaces.elements import checked_quadrature
from femnn.interfaces.split import Interface
from femnn.reservoir.fault.in_situ import brought_in_situ
from femnn.reservoir.fault.operators import at_nodes, operators
from femnn.reservoir.fault.predictions import predicted_by
from femnn.reservoir.fault.several import SeveralLaws, joined_interface

PRESSURES = ("mean", "highest")

# Pa: the mean acts where the pressures of the faces differ by less, as they have no higher one, and the highest but for
# this much where they differ by more. Equal faces fill together what opens, so that Newton's method meets no jump.
_EQUAL = 5e3


class Fault:
    """A fault: where it is, its law, what flows across it and what it bears in situ.

    Parameters
    ----------
    interface
        :class:`femnn.Interface` of the split mesh, or of several faults the part of one
        (:meth:`femnn.Interface.named`).
    law : Law
        Of the effective traction: classical, recurrent, or an RVE in the loop.
    cores
        What flows across, one for each pore system (:mod:`femnn.reservoir.fault.flow`); None seals perfectly. A single
        one stands for a single pore system, None alone for all.
    stress
        Effective stress in situ (dim, dim), Pa, positive in tension, or a function of the places (dim, n) that gives
        (dim, dim, n). Default: what the law bears after its ``history``; of a virgin law at zero separation, nothing,
        or the pressure that it is precompressed with.
    history
        Separations (k, 3), m, that every point went through in former times, before the stress in situ came on: a fault
        that has slipped. Default: none, it is virgin.
    pressure
        Which pressure acts in the fault. ``"highest"`` is that of the face where it is higher, where the fault slips
        first (B. Jha and R. Juanes, Water Resources Research 50 (2014) 3776-3808): it is never below the mean, so that
        a fault that is safe with it is safe with the other, beside a well as beside a depleted compartment.
        ``"mean"`` is that in the middle of a homogeneous core, which a seal with a thin weak face does not have. Where
        the faces differ by less than 10 kPa, the highest passes smoothly into the mean.
    quadrature
        Points (dim − 1, nqp) and weights (nqp,) of a facet; default: at the nodes of the displacements.

    Raises
    ------
    ParameterError
        If ``pressure`` is unknown, or an argument is of another kind than described.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir.fault import Fault
    >>> mesh = skfem.MeshQuad().refined(2).with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law)
    """

    @checked(stress="any", history="unchecked")
    def __init__(
        self,
        interface: Interface,
        law: Law,
        cores: Any = None,
        *,
        stress: ArrayLike | Callable | None = None,
        history: ArrayLike | None = None,
        pressure: str = "highest",
        quadrature: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        one_of("pressure", pressure, PRESSURES)
        instance("interface", interface, Interface, remedy="femnn.Interface.split(mesh, facets)")
        self.interface, self.law, self.cores, self.pressure = interface, law, cores, pressure
        self.stress = stress
        self.history = None if history is None else floats("history", history)
        self.quadrature = None if quadrature is None else checked_quadrature(quadrature, interface.mesh.dim())


class PointResponse(NamedTuple):
    """Response of the points of a fault; a generalised strain is (δ, p⁻ of each system, p⁺ of each system).

    Attributes
    ----------
    force : (points, 3 + 2s)
        Excess traction, then volumes that each face of each system gains, m³/m² of a time step.
    tangent : (points, 3 + 2s, 3 + 2s)
        Its derivative by the generalised strain.
    state : State
        New history of the law.
    traction : (points, 3)
        Effective, of the law.
    leaked : (s, points)
        Volume that crossed from minus to plus.
    conductance : (s, points)
        k_∥ a/μ, m³/(Pa s).
    by_separation : (s, points, 3)
        Its derivative.
    """

    force: np.ndarray
    tangent: np.ndarray
    state: State
    traction: np.ndarray
    leaked: np.ndarray
    conductance: np.ndarray
    by_separation: np.ndarray


class FaultPoints:
    """The integration points of a fault in a porous problem.

    Parameters
    ----------
    faults : sequence of Fault
        Their points come one fault after the other.
    porous : PorousProblem
        On the split mesh.

    Attributes
    ----------
    interface : Interface
        Of all faults.
    parts : list of slice
        Points of each fault.
    x : (dim, points)
        Places.
    per_facet : int
        Points of each facet.
    width : int
        Of a generalised strain: 3 + 2s.
    frames : (3, dim, points)
        Normal from minus to plus, and the shear directions.
    dx : (points,)
        Area of each, m² (m per metre of thickness).
    facet_size : (points,)
        Length of the facet that each is on, m; of the square of its area in three dimensions.
    shares : (s, points)
        ψ.
    operator : (points · (3 + 2s), n) sparse
        Generalised strains of all unknowns, point by point.
    along_operator : (s · (dim − 1) · points, n) sparse
        Slopes of the mean pressure of the faces along the shear directions of the fault, Pa/m: by system, by direction.
    shear_modulus : (points,)
        Of the rock on both sides, Pa.
    separation : (points, 3)
        In situ, δ₀.
    traction : (points, 3)
        In situ, T₀.
    state : State
        History in situ.
    """

    def __init__(self, faults, porous) -> None:
        self.faults, self.systems = faults, porous.systems
        self.interface = interface = joined_interface(faults)
        u, p = porous.displacement_basis, porous.pressure_basis
        quadrature = at_nodes(u) if faults[0].quadrature is None else faults[0].quadrature
        dim, s = u.mesh.dim(), len(self.systems)
        own = operators(interface, u, p, quadrature, s)
        self.x, self.frames, self.dx = own.x, own.frames, own.dx.ravel()
        self.operator, self.along_operator = own.strains, own.along
        self.points, self.width = self.dx.size, 3 + 2 * s
        cells = u.mesh.f2t[0, [interface.minus, interface.plus]]
        repeat = self.per_facet = own.dx.shape[1]
        counts = [repeat * len(fault.interface) for fault in faults]
        ends = np.cumsum(counts)
        self.parts = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self.law = faults[0].law if len(faults) == 1 else SeveralLaws([fault.law for fault in faults], counts)
        self._mean = np.repeat([fault.pressure == "mean" for fault in faults], counts)
        self.facet_size = np.repeat(own.dx.sum(axis=1) ** (1.0 / (dim - 1)), repeat)
        self.shares = np.repeat(_shares(porous.constants.biot)[:, cells].mean(axis=1), repeat, axis=1)
        medium, n = porous.medium, u.mesh.nelements
        modulus = 0.5 * np.broadcast_to(medium.young / (1.0 + medium.poisson), n)
        viscosity = np.broadcast_to(medium.viscosity, n)
        self.shear_modulus, self._viscosity = (
            np.repeat(values[cells].mean(axis=0), repeat) for values in (modulus, viscosity)
        )
        self._cores = [_per_system(fault.cores, self.systems) for fault in faults]
        # of all states alike
        self._storage = np.zeros((s, self.points))
        for part, cores in zip(self.parts, self._cores, strict=True):
            for system, core in enumerate(cores):
                self._storage[system, part] = getattr(core, "storage", 0.0)
        self._bring_in_situ()
        self._stored_by: tuple[State | None, np.ndarray] = (None, self._storage)

    def _bring_in_situ(self):
        # at once, so that no rate is in it, whatever time the law was told elsewhere
        self.law.set_time(getattr(self.law, "start", 0.0))
        found = [
            brought_in_situ(fault, self.x[:, part], self.frames[:, :, part])
            for fault, part in zip(self.faults, self.parts, strict=True)
        ]
        separations, states, tractions_in_situ = zip(*found, strict=True)
        self.separation, self.traction = np.concatenate(separations), np.concatenate(tractions_in_situ)
        self.state = states[0] if len(states) == 1 else self.law.joined(states)

    def strains(self, x):
        """Generalised strains (points, 3 + 2s) of the unknowns (n,)."""
        return (self.operator @ x).reshape(self.points, self.width)

    def respond(self, strains, before, state, dt):
        """:class:`PointResponse` after a step.

        Parameters
        ----------
        strains, before : (points, 3 + 2s)
            Generalised strains at its end and at its beginning.
        state : State
            History at its beginning.
        dt
            s.
        """
        s, n = len(self.systems), self.points
        change = strains[:, :3]
        minus, plus = strains[:, 3 : 3 + s].T, strains[:, 3 + s :].T
        traction, tangent, new = self.law.update(self.separation + change, state)
        weights, sharpness = self._weights(minus, plus)
        storage = self.storage(state)
        force, slope = np.zeros((n, 3 + 2 * s)), np.zeros((n, 3 + 2 * s, 3 + 2 * s))
        force[:, :3] = traction - self.traction
        force[:, 0] -= self._pressure(minus, plus)
        slope[:, :3, :3] = tangent
        # what opens changes sides as the higher pressure does
        turned = sharpness * (change[:, 0] - before[:, 0])
        sides = np.concatenate([self.shares, -self.shares]).T
        slope[:, 3:, 3:] = -turned[:, None, None] * sides[:, :, None] * sides[:, None]
        leaked = np.zeros((s, n))
        predicted = self._predictions(change, state, new)
        across = self._of_cores("transmissivity", change, predicted)
        for i, (value, by_separation) in enumerate(zip(*across, strict=True)):
            at, difference = (3 + i, 3 + s + i), minus[i] - plus[i]
            leaked[i] = dt * value * difference
            for place, weight, sign in zip(at, weights, (-1.0, 1.0), strict=True):
                fraction = self.shares[i] * weight
                slope[:, 0, place] = slope[:, place, 0] = -fraction
                slope[:, place, at[0]] += sign * dt * value
                slope[:, place, at[1]] -= sign * dt * value
                slope[:, place, :3] += sign * dt * difference[:, None] * by_separation
            for row in at:
                # each face fills half of the core from the mean pressure
                slope[:, row, at[0]] -= 0.25 * storage[i]
                slope[:, row, at[1]] -= 0.25 * storage[i]
        force[:, 3:] = self.gained(strains, before, leaked, storage)
        return PointResponse(force, slope, new, traction, leaked, *self._of_cores("conductance", change, predicted))

    def opened(self, strains, before):
        """Volume (s, points) of each system that fills what opened in a step."""
        return self.shares * (strains[:, 0] - before[:, 0])

    def storage(self, state):
        """Volume by area and pressure (s, points), m/Pa, that the cores store in a step from a history of the law."""
        if self._stored_by[0] is not state:
            values = self._storage.copy()
            for number, (fault, part, cores) in enumerate(zip(self.faults, self.parts, self._cores, strict=True)):
                for system, core in enumerate(cores):
                    if np.isfinite(getattr(core, "fluid_bulk", np.inf)):
                        own = state if len(self.faults) == 1 else self.law.of(number, state)
                        told = fault.law.predictions(own) if hasattr(fault.law, "predictions") else {}
                        values[system, part] += core.capacity(told)
            self._stored_by = state, values
        return self._stored_by[1]

    def stored(self, strains, before, storage):
        """Volume (s, points) of each system that a core of this storage takes up in a step as its pressure rises."""
        s, change = len(self.systems), strains - before
        return 0.5 * storage * (change[:, 3 : 3 + s] + change[:, 3 + s :]).T

    def gained(self, strains, before, leaked, storage):
        """Volumes (points, 2s) that the minus and then the plus face of each system gain in a step."""
        s = len(self.systems)
        weights, _ = self._weights(strains[:, 3 : 3 + s].T, strains[:, 3 + s :].T)
        opened = self.opened(strains, before)
        half = 0.5 * self.stored(strains, before, storage)
        return np.concatenate([-leaked - weights[0] * opened - half, leaked - weights[1] * opened - half]).T

    def flows_along(self, x, conductance):
        """Flow along the fault, (s · (dim − 1), points), m²/s: volume by time and width, by system and direction."""
        return -np.repeat(conductance, self._axes, axis=0) * (self.along_operator @ x).reshape(
            len(self.systems) * self._axes, self.points
        )

    def gained_along(self, flows, dt):
        """Volumes (n,) that the unknowns' test functions gain in a step by flows along the fault."""
        return dt * (self.along_operator.T @ (flows * self.dx).ravel())

    def tangent_along(self, x, response, dt):
        """Derivative (n, n) of what is gained by flow along the fault; None if none flows."""
        if not response.conductance.any():
            return None
        s, width = len(self.systems) * self._axes, self.width
        slopes = (self.along_operator @ x).reshape(s, self.points)
        conductance, by_separation = (
            np.repeat(part, self._axes, axis=0) for part in (response.conductance, response.by_separation)
        )
        factors = -(conductance * self.dx).ravel()
        by_pressure = diags_array(factors) @ self.along_operator
        data = (-by_separation * (slopes * self.dx)[:, :, None]).reshape(-1, 3)
        rows = np.repeat(np.arange(s * self.points), 3)
        columns = (width * np.tile(np.arange(self.points), s)[:, None] + np.arange(3)).ravel()
        picked = csr_array((data.ravel(), (rows, columns)), shape=(s * self.points, self.operator.shape[0]))
        return dt * (self.along_operator.T @ (by_pressure + picked @ self.operator))

    @property
    def _axes(self):
        """Directions along the fault."""
        return len(self.x) - 1

    def _pressure(self, minus, plus):
        """p_f (points,): the mean of the faces, or the higher, without a kink where they are equal."""
        mean, half = 0.5 * (self.shares * (minus + plus)).sum(axis=0), 0.5 * self._difference(minus, plus)
        return mean + np.where(self._mean, 0.0, np.hypot(half, _EQUAL) - _EQUAL)

    def _weights(self, minus, plus):
        """Weights (2, points) of the two faces in the pressure of the fault, and how fast they change with it."""
        half = 0.5 * self._difference(minus, plus)
        size = np.hypot(half, _EQUAL)
        excess = np.where(self._mean, 0.0, 0.5 * half / size)
        sharpness = np.where(self._mean, 0.0, 0.25 * _EQUAL**2 / size**3)
        return np.array([0.5 + excess, 0.5 - excess]), sharpness

    def _difference(self, minus, plus):
        return (self.shares * (minus - plus)).sum(axis=0)

    def _of_cores(self, name, change, predicted):
        """What the cores answer to the method ``name`` over the viscosity, (s, points) and (s, points, 3)."""
        values = np.zeros((len(self.systems), self.points))
        slopes = np.zeros((len(self.systems), self.points, 3))
        for part, cores, own in zip(self.parts, self._cores, predicted, strict=True):
            for system, core in enumerate(cores):
                # a core may be sealed, or know nothing of a flow along itself
                method = getattr(core, name, None)
                answer = None if method is None else method(change[part], own)
                if answer is not None:
                    values[system, part] = answer[0] / self._viscosity[part]
                    slopes[system, part] = answer[1] / self._viscosity[part, None]
        return values, slopes

    def _predictions(self, change, state, new):
        """Of the law of each fault, see :func:`predicted_by`."""
        pairs = [(state, new)]
        if len(self.faults) > 1:
            pairs = [tuple(self.law.of(k, own) for own in (state, new)) for k in range(len(self.faults))]
        return [
            predicted_by(fault.law, self.separation[part] + change[part], *own)
            for fault, part, own in zip(self.faults, self.parts, pairs, strict=True)
        ]


def _shares(biot):
    return biot / biot.sum(axis=0)


def _per_system(cores, systems):
    if cores is None:
        return (None,) * len(systems)
    if hasattr(cores, "transmissivity") and len(systems) == 1:
        return (cores,)
    if hasattr(cores, "transmissivity") or len(cores) != len(systems):
        raise ParameterError(
            f"cores={cores!r}: give one core for each pore system ({', '.join(systems)}), None for one that is sealed"
        )
    return tuple(cores)
