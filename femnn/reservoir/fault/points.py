"""A sealing fault as an interface in a porous body: what its points answer to separations and pressures.

The two faces carry the same total traction, and between them the core bears the effective traction of the law and the
pressure of its fluid. In excess of the state in situ (law's traction T₀ at the separation δ₀)

    t = T(δ₀ + δ) − T₀ − p_f n,        p_f = Σ_i ψ_i (w⁻ p_i⁻ + w⁺ p_i⁺)

with the separation δ, the shares ψ_i of the pore systems in the pores, and the weights w of the two faces. Fluid
crosses the core, and fills what opens: of pore system i, the minus and the plus side gain by area

    −q_i − w⁻ ψ_i ∂t δ_n    and    q_i − w⁺ ψ_i ∂t δ_n,        q_i = k_i/(μ a) (p_i⁻ − p_i⁺)

so that the power of p_f on the opening is that of the fluid which fills it, and the coupling is symmetric.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, hstack, vstack

from femnn.checks import checked, instance, one_of
from femnn.cohesive.law import Law, State
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces.bases import InterfaceBases
from femnn.interfaces.elements import checked_quadrature
from femnn.interfaces.split import Interface
from femnn.reservoir.fault.in_situ import driven_along, loaded_to, tractions

PRESSURES = ("mean", "highest")

# Points along an axis of a facet where displacements of these degrees have their nodes, and weights (trapezoids and
# Simpson's): a stiff fault does not make its tractions oscillate.
_AT_NODES = {
    1: (np.array([0.0, 1.0]), np.array([0.5, 0.5])),
    2: (np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6.0),
}

# Step of the differences by which predictions of a law are derived, over its separation scale.
_STEP = 1e-6


class Fault:
    """A fault: where it is, its law, what flows across it and what it bears in situ.

    Parameters
    ----------
    interface
        :class:`femnn.Interface` of the split mesh; of several faults that were split together, each has its part
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
        ``"mean"`` of the two faces acts in the fault, as in the middle of a homogeneous core, or the ``"highest"`` of
        them, as at the face where the fault slips first (B. Jha and R. Juanes, Water Resources Research 50 (2014)
        3776-3808).
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
        pressure: str = "mean",
        quadrature: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        one_of("pressure", pressure, PRESSURES)
        instance("interface", interface, Interface, remedy="femnn.Interface.split(mesh, facets)")
        self.interface, self.law, self.cores, self.pressure = interface, law, cores, pressure
        self.stress, self.history = stress, history
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
    """

    force: np.ndarray
    tangent: np.ndarray
    state: State
    traction: np.ndarray
    leaked: np.ndarray


class FaultPoints:
    """The integration points of a fault in a porous problem.

    Parameters
    ----------
    fault : Fault
    porous : PorousProblem
        On the split mesh.

    Attributes
    ----------
    x : (dim, points)
        Places.
    frames : (3, dim, points)
        Normal from minus to plus, and the shear directions.
    dx : (points,)
        Area of each, m² (m per metre of thickness).
    shares : (s, points)
        ψ.
    operator : (points · (3 + 2s), n) sparse
        Generalised strains of all unknowns, point by point.
    shear_modulus : (points,)
        Of the rock on both sides, Pa.
    separation : (points, 3)
        In situ, δ₀.
    traction : (points, 3)
        In situ, T₀.
    state : State
        History in situ.
    """

    #: Points of each fault among all: here of the only one.
    parts: tuple[slice, ...]

    def __init__(self, fault, porous) -> None:
        self.fault, self.law, self.systems = fault, fault.law, porous.systems
        u, p = porous.displacement_basis, porous.pressure_basis
        quadrature = _at_nodes(u) if fault.quadrature is None else fault.quadrature
        moving = InterfaceBases(fault.interface, u.elem, quadrature, u.dofs)
        pressed = InterfaceBases(fault.interface, p.elem, quadrature, p.dofs)
        self.dx, self.points = moving.dx.ravel(), moving.points
        self.parts, self.interface = (slice(0, self.points),), fault.interface
        dim, s = u.mesh.dim(), len(self.systems)
        self.x = np.asarray(moving.minus.global_coordinates()).reshape(dim, -1)
        self.frames = moving.frames.reshape(3, dim, -1)
        self.operator = self._operator(moving, pressed, s)
        cells = u.mesh.f2t[0, [fault.interface.minus, fault.interface.plus]]
        repeat = self.points // len(fault.interface)
        self.shares = np.repeat(_shares(porous.constants.biot)[:, cells].mean(axis=1), repeat, axis=1)
        medium, n = porous.medium, u.mesh.nelements
        modulus = 0.5 * np.broadcast_to(medium.young / (1.0 + medium.poisson), n)
        viscosity = np.broadcast_to(medium.viscosity, n)
        self.shear_modulus, self._viscosity = (
            np.repeat(values[cells].mean(axis=0), repeat) for values in (modulus, viscosity)
        )
        self._cores = _per_system(fault.cores, self.systems)
        self._bring_in_situ()

    def _operator(self, moving, pressed, s):
        """Rows of all points, the generalised strain of each side by side."""
        jump = _values(moving.plus) - _values(moving.minus)
        # row i · points + k is axis i of point k
        axis, point = np.indices((len(self.frames[0]), self.points))
        turns = [
            csr_array((direction.ravel(), (point.ravel(), (axis * self.points + point).ravel())))
            for direction in self.frames
        ]  # fmt: skip
        rows = [turn @ jump for turn in turns]
        width, n_p = jump.shape[1], pressed.minus.N
        empty = csr_array((self.points, width))
        parts = [hstack([row, csr_array((self.points, s * n_p))]) for row in rows]
        for side in (pressed.minus, pressed.plus):
            values = _values(side)
            for system in range(s):
                before, after = (csr_array((self.points, k * n_p)) for k in (system, s - 1 - system))
                parts.append(hstack([empty, before, values, after]))
        order = np.arange(len(parts) * self.points).reshape(len(parts), -1).T.ravel()
        operator = csr_array(vstack(parts, format="csr")[order])
        # scipy would sort them at some later product, and sums would round differently from then on
        operator.sort_indices()
        return operator

    def _bring_in_situ(self):
        fault, law = self.fault, self.law
        # at once, so that no rate is in it, whatever time the law was told elsewhere
        law.set_time(getattr(law, "start", 0.0))
        path = np.zeros((0, 3)) if fault.history is None else fault.history
        state, separation = driven_along(law, path, self.points)
        if fault.stress is None:
            self.separation, self.traction, self.state = separation, law.update(separation, state).traction, state
            return
        wanted = tractions(fault.stress, self.x, self.frames)
        if (wanted[:, 0] > 0.0).any():
            worst = int(wanted[:, 0].argmax())
            raise ParameterError(
                f"the stress in situ pulls the fault open at {self.x[:, worst].tolist()} with {wanted[worst, 0]:.4g} "
                "Pa; give effective stresses that are negative in compression"
            )
        self.separation, self.state, self.traction = loaded_to(law, wanted, state, separation)

    def strains(self, x):
        """Generalised strains (points, 3 + 2s) of the unknowns (n,)."""
        return (self.operator @ x).reshape(self.points, -1)

    def set_time(self, t):
        """Tell the law the time of the state that is sought next."""
        self.law.set_time(t)

    def damage(self, history):
        """Damage of each point, NaN where the law has none, (points,)."""
        return self.law.damage(history)

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
        weights = self._weights(minus, plus)
        force, slope = np.zeros((n, 3 + 2 * s)), np.zeros((n, 3 + 2 * s, 3 + 2 * s))
        force[:, :3] = traction - self.traction
        slope[:, :3, :3] = tangent
        leaked = np.zeros((s, n))
        for i, (value, by_separation) in enumerate(self._transmissivities(change, state)):
            at, difference = (3 + i, 3 + s + i), minus[i] - plus[i]
            leaked[i] = dt * value * difference
            for side, place, weight, sign in zip((minus, plus), at, weights, (-1.0, 1.0), strict=True):
                fraction = self.shares[i] * weight
                force[:, 0] -= fraction * side[i]
                slope[:, 0, place] = slope[:, place, 0] = -fraction
                slope[:, place, at[0]] = sign * dt * value
                slope[:, place, at[1]] = -sign * dt * value
                slope[:, place, :3] += sign * dt * difference[:, None] * by_separation
        force[:, 3:] = self.gained(strains, before, leaked)
        return PointResponse(force, slope, new, traction, leaked)

    def opened(self, strains, before):
        """Volume (s, points) of each system that fills what opened in a step."""
        return self.shares * (strains[:, 0] - before[:, 0])

    def gained(self, strains, before, leaked):
        """Volumes (points, 2s) that the minus and then the plus face of each system gain in a step."""
        s = len(self.systems)
        weights, opened = self._weights(strains[:, 3 : 3 + s].T, strains[:, 3 + s :].T), self.opened(strains, before)
        return np.concatenate([-leaked - weights[0] * opened, leaked - weights[1] * opened]).T

    def _weights(self, minus, plus):
        """Weights (2, points) of the two faces in the pressure of the fault."""
        if self.fault.pressure == "mean":
            return np.full((2, self.points), 0.5)
        higher = (self.shares * (minus - plus)).sum(axis=0) >= 0.0
        return np.array([higher, ~higher], dtype=float)

    def _transmissivities(self, change, state):
        """k/(μ a) of each system and its derivatives, (points,) and (points, 3)."""
        predicted = self._predicted(change, state)
        for core in self._cores:
            if core is None:
                yield np.zeros(self.points), np.zeros((self.points, 3))
            else:
                value, slope = core.transmissivity(change, predicted)
                yield value / self._viscosity, slope / self._viscosity[:, None]

    def _predicted(self, change, state):
        """Predictions of the law beside the traction, by name, with central differences for derivatives."""
        microstructure = getattr(self.law, "microstructure", None)
        if microstructure is None or not microstructure.predicted:
            return {}
        separation, step = self.separation + change, _STEP * self.law.separation_scale
        values = self.law.predict_microstructure(separation, state)
        slopes = np.stack(
            [
                self.law.predict_microstructure(separation + h, state)
                - self.law.predict_microstructure(separation - h, state)
                for h in step * np.eye(3)
            ],
            axis=-1,
        ) / (2.0 * step)  # fmt: skip
        return {name: (values[:, k], slopes[:, k]) for k, name in enumerate(microstructure.predicted)}


class JoinedPoints:
    """The points of several faults, one fault after the other, as one: with what :class:`FaultPoints` has and does.

    Parameters
    ----------
    parts : list of FaultPoints
        In the same porous problem.
    """

    def __init__(self, parts) -> None:
        densities = {part.points // len(part.interface) for part in parts}
        if len(densities) > 1:
            raise ParameterError(
                f"the faults have {sorted(densities)} points on a facet; give all the same quadrature, or none"
            )
        self._members, self.systems = parts, parts[0].systems
        ends = np.cumsum([0, *(part.points for part in parts)])
        self.points, self.parts = int(ends[-1]), tuple(map(slice, ends[:-1], ends[1:]))
        self.interface = joined(part.interface for part in parts)
        self.x, self.frames, self.shares = (
            np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("x", "frames", "shares")
        )
        self.dx, self.shear_modulus, self.separation, self.traction = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("dx", "shear_modulus", "separation", "traction")
        )
        self.operator = csr_array(vstack([part.operator for part in parts], format="csr"))
        self._widths = [part.state.values.shape[1] for part in parts]
        self.state = self._together([part.state for part in parts])

    strains = FaultPoints.strains

    def set_time(self, t):
        """Tell all laws the time of the state that is sought next."""
        for member in self._members:
            member.set_time(t)

    def damage(self, history):
        """Damage of each point, NaN where its law has none, (points,)."""
        states = self._apart(history)
        return np.concatenate([member.damage(own) for member, own in zip(self._members, states, strict=True)])

    def respond(self, strains, before, state, dt):
        """:class:`PointResponse` after a step, as :meth:`FaultPoints.respond`."""
        responses = [
            member.respond(strains[part], before[part], own, dt)
            for member, part, own in zip(self._members, self.parts, self._apart(state), strict=True)
        ]
        force, tangent, traction = (
            np.concatenate([getattr(response, name) for response in responses])
            for name in ("force", "tangent", "traction")
        )
        leaked = np.concatenate([response.leaked for response in responses], axis=1)
        return PointResponse(force, tangent, self._together([r.state for r in responses]), traction, leaked)

    def opened(self, strains, before):
        """Volume (s, points) of each system that fills what opened in a step."""
        return self.shares * (strains[:, 0] - before[:, 0])

    def gained(self, strains, before, leaked):
        """Volumes (points, 2s) that the minus and then the plus face of each system gain in a step."""
        return np.concatenate(
            [
                member.gained(strains[part], before[part], leaked[:, part])
                for member, part in zip(self._members, self.parts, strict=True)
            ]
        )

    def _together(self, states):
        """One state of all points: values of laws that have few are filled up with zeros."""
        width = max(self._widths)
        values = [np.pad(state.values, ((0, 0), (0, width - state.values.shape[1]))) for state in states]
        name = " + ".join(state.law for state in states)
        return State(np.concatenate(values), name, np.concatenate([state.outside for state in states]))

    def _apart(self, state):
        """The state of each fault."""
        return [
            State(np.ascontiguousarray(state.values[part, :width]), member.state.law, state.outside[part])
            for member, part, width in zip(self._members, self.parts, self._widths, strict=True)
        ]


def joined(interfaces):
    """One interface of several in the same mesh.

    Raises
    ------
    MeshError
        If they are of different meshes, or two have a facet in common.
    """
    interfaces = list(interfaces)
    first = interfaces[0]
    for k, interface in enumerate(interfaces):
        if interface.mesh is not first.mesh:
            raise MeshError(
                f"fault {k} is in another mesh than fault 0; split all faults together, by "
                "femnn.Interface.split(mesh, [name, ...]), and give each its part, interface.named(name)"
            )
        for j, other in enumerate(interfaces[:k]):
            common = np.intersect1d(interface.minus, other.minus)
            if len(common):
                raise MeshError(
                    f"faults {j} and {k} overlap: {len(common)} facets belong to both, the first at "
                    f"{first.mesh.p[:, first.mesh.facets[:, common[0]]].mean(axis=1).tolist()}; give each to one fault"
                )
    names = ("minus", "plus", "minus_vertices", "plus_vertices")
    return replace(first, **{name: np.concatenate([getattr(i, name) for i in interfaces]) for name in names})


def _at_nodes(displacement):
    """Points and weights at the nodes of the displacements on a facet."""
    scalar, dim = displacement.elem.elem, displacement.mesh.dim()
    # triquadratic elements say 6, trilinear ones 3
    points, weights = _AT_NODES[scalar.maxdeg // dim]
    if dim == 2:
        return points[None], weights
    return np.stack(np.meshgrid(points, points, indexing="ij")).reshape(2, -1), np.outer(weights, weights).ravel()


def _values(basis):
    """Values at the points of a facet basis for all unknowns: (components · points, N), sparse."""
    data = np.array([np.asarray(shape[0]) for shape in basis.basis])
    data = data.reshape(len(data), -1, *basis.dx.shape)
    components, facets, points = data.shape[1:]
    row = np.arange(components * facets * points).reshape(components, facets, points)
    rows = np.broadcast_to(row, data.shape)
    columns = np.broadcast_to(basis.element_dofs[:, None, :, None], data.shape)
    values = csr_array(
        (data.ravel(), (rows.ravel(), columns.ravel())), shape=(components * facets * points, basis.N)
    )  # fmt: skip
    values.eliminate_zeros()
    return values


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
