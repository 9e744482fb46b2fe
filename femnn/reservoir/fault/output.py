"""States of a reservoir with a fault as files: for a restart, and the fault for ParaView."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import meshio
import numpy as np

from femnn.checks import checked, integer
from femnn.cohesive.law import State
from femnn.exceptions import StateError
from femnn.interfaces.output import interface_mesh
from femnn.io.restart import read_restart, write_restart
from femnn.io.time_series import time_series
from femnn.reservoir.fault import embedded_output
from femnn.reservoir.fault.embedded import EmbeddedReservoir
from femnn.reservoir.fault.embedded_states import EmbeddedFields, EmbeddedState, joined
from femnn.reservoir.fault.problem import FaultedReservoir
from femnn.reservoir.fault.states import FaultedState, FaultFields
from femnn.reservoir.output import named

_KIND = "state of a porous body with a fault"


@checked()
def save_state(path: str | os.PathLike, state: FaultedState | EmbeddedState) -> None:
    """Write a restart file, histories of the faults included, whole or not at all.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir, load_state, save_state
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> save_state("fault.npz", reservoir.initial_state())
    >>> load_state("fault.npz", reservoir).t
    0.0
    """
    if isinstance(state, EmbeddedState):
        write_restart(path, embedded_output.KIND, *embedded_output.contents_of(state))
        return
    history = state.history
    arrays = {name: getattr(state, name) for name in ("u", "p", "traction", "rate", "leak_off", "along", "velocity")}
    arrays |= {"values": history.values, "outside": history.outside}
    write_restart(path, _KIND, {"t": float(state.t), "law": history.law}, arrays)


@checked()
def load_state(
    path: str | os.PathLike, reservoir: FaultedReservoir | EmbeddedReservoir
) -> FaultedState | EmbeddedState:
    """The state in a restart file of this kind of reservoir.

    Raises
    ------
    StateError
        If the file is damaged, or is of another mesh, medium or law.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir, load_state, save_state
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> save_state("moment.npz", reservoir.initial_state(t=60.0))
    >>> load_state("moment.npz", reservoir).t
    60.0
    """
    state: Any
    if isinstance(reservoir, EmbeddedReservoir):
        state = embedded_output.state_of(read_restart(path, embedded_output.KIND))
    else:
        state = _state_of(read_restart(path, _KIND))
    try:
        reservoir.check(state)
    except StateError as error:
        raise StateError(f"{path} does not fit: {error}") from error
    return state


def _state_of(file):
    """The state of a fault along facets that a restart file holds."""
    values = file.array("values", (None, None))
    n = len(values)
    return FaultedState(
        file.number("t"),
        file.array("u", (None,)),
        file.array("p", (None, None)),
        history=State(values, file.text("law"), file.array("outside", (n,), bool)),
        traction=file.array("traction", (n, 3)),
        rate=file.array("rate", (n, 3)),
        leak_off=file.array("leak_off", (None, n)),
        along=file.array("along", (None, n)),
        velocity=file.array("velocity", (None,)),
    )


class FaultSeries:
    """A series of the facets of faults with their times, which ParaView opens beside that of the reservoir.

    Means over each facet: separation since the state in situ and its rate, effective traction (normal first), pressures
    of both sides, leak-off and flow along the fault of each system, slip tendency, damage, and the fraction of points
    outside the trained range of the law. Of a fault through cells the same in each cut cell, in space by triangles,
    with the pressure of its fluid and what leaks into the pores, m³/s.

    Parameters
    ----------
    path, start
        As :func:`femnn.io.time_series.time_series` takes them.
    reservoir : FaultedReservoir or EmbeddedReservoir

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultSeries, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> series = FaultSeries("fault.pvd", reservoir)
    >>> series.write(reservoir.initial_state())
    """

    @checked()
    def __init__(
        self,
        path: str | os.PathLike,
        reservoir: FaultedReservoir | EmbeddedReservoir,
        *,
        start: float | None = None,
    ) -> None:
        self.path, self._reservoir, self._files = Path(path), reservoir, time_series(path, start)

    @checked()
    def write(self, state: FaultedState | EmbeddedState) -> None:
        """Add a state."""
        reservoir: Any = self._reservoir
        fields = fields_of(reservoir, state)
        embedded = isinstance(reservoir, EmbeddedReservoir)
        surface = (embedded_output.surface_of if embedded else surface_of)(reservoir, fields)
        self._files.write(state.t, surface)


def fields_of(reservoir: Any, state: Any) -> Any:
    """Fields of all faults of a reservoir, one fault after the other."""
    fields = reservoir.fields(state)
    return fields if isinstance(fields, FaultFields) else joined(fields)


def surface_of(reservoir: FaultedReservoir, fields: FaultFields) -> meshio.Mesh:
    """Facets of the faults with the means of fields at their points, as :class:`FaultSeries` writes them."""
    interface, systems = reservoir.points.interface, reservoir.systems
    values = {
        "separation": fields.separation,
        "rate": fields.rate,
        "traction": fields.traction,
        **named("pressure_minus", systems, fields.pressure[0]),
        **named("pressure_plus", systems, fields.pressure[1]),
        **named("leak_off", systems, fields.leak_off),
        **named("flow_along", systems, _along(fields.along, systems)),
        "slip_tendency": fields.slip_tendency,
        "damage": fields.damage,
        "outside": fields.outside,
    }
    dx = reservoir.points.dx.reshape(-1, reservoir.points.per_facet)
    return interface_mesh(interface, dx, values)


def _along(flows, systems):
    """Flow along the fault of each system, (points,) in the plane, (points, 2) along both shear directions."""
    apart = flows.reshape(len(systems), -1, flows.shape[1])
    return [own[0] if len(own) == 1 else own.T for own in apart]


class Event(NamedTuple):
    """A time in which a fault slid fast.

    Attributes
    ----------
    start, end : float
        s; that of the state before it, and of the last one in it.
    slip : float
        Largest of any point, m.
    area : float
        Of the points that slid, m².
    moment : float
        Shear modulus times slip, summed over the area, N·m.
    magnitude : float
        Of the moment: (log₁₀ M₀ − 9.1)/1.5 (T. C. Hanks, H. Kanamori, J. Geophys. Res. 84 (1979) 2348-2350).
    stress_drop : float
        Shear traction that was lost, Pa, weighted by the slip; negative where sliding strengthens.

    Examples
    --------
    >>> from femnn.reservoir.fault import Event
    >>> event = Event(start=0.0, end=2.0, slip=0.1, area=1e6, moment=3e15, magnitude=4.25, stress_drop=2e6)
    >>> event.end - event.start
    2.0

    See Also
    --------
    femnn.reservoir.fault.FaultHistory.events : finds them
    """

    start: float
    end: float
    slip: float
    area: float
    moment: float
    magnitude: float
    stress_drop: float


class FaultHistory:
    """History of the faults of a reservoir from state to state; :meth:`add` is a callback of ``march``.

    Parameters
    ----------
    reservoir : FaultedReservoir or EmbeddedReservoir
    slip
        Sliding since the state in situ (m) from which on the fault counts as slipping.
    most
        Sliding at which ``add`` returns true, so that the march ends. Default: it does not.

    Attributes
    ----------
    times : list of float
        s.
    fields : list of FaultFields or EmbeddedFields
        Of all faults, one after the other.
    outside : list of int
        Points outside the trained range of the law that are not broken.
    onset : float or None
        First time at which the fault slips.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium, march
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultHistory, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> history = FaultHistory(reservoir)
    >>> last = march(reservoir.step, reservoir.initial_state(), [3600.0, 7200.0], callback=history.add, progress=False)
    >>> history.times, history.onset
    ([3600.0, 7200.0], None)
    """

    @checked(most="(0, inf]", slip="[0, inf)")
    def __init__(
        self, reservoir: FaultedReservoir | EmbeddedReservoir, *, slip: float = 1e-3, most: float = np.inf
    ) -> None:
        self._reservoir: Any = reservoir
        self._slip, self._most = slip, most
        self.times: list[float] = []
        self.fields: list[FaultFields | EmbeddedFields] = []
        self.outside: list[int] = []
        self.onset: float | None = None

    @checked()
    def add(self, state: FaultedState | EmbeddedState) -> bool:
        """Take up a state; whether it slid further than ``most``."""
        fields = fields_of(self._reservoir, state)
        self.times.append(state.t)
        self.fields.append(fields)
        self.outside.append(self._reservoir.outside(state))
        largest = float(fields.slip.max())
        if self.onset is None and largest >= self._slip:
            self.onset = state.t
        return largest >= self._most

    @property
    def slip(self) -> np.ndarray:
        """Sliding since the state in situ, (times, points), m."""
        return np.array([fields.slip for fields in self.fields])

    @property
    def slip_rate(self) -> np.ndarray:
        """(times, points), m/s."""
        return np.array([np.linalg.norm(fields.rate[:, 1:], axis=1) for fields in self.fields])

    @checked(rate="(0, inf)", thickness="(0, inf)", fault="unchecked")
    def events(self, rate: float = 1e-6, *, thickness: float = 1.0, fault: int | None = None) -> list[Event]:
        """Times in which some point slid faster than ``rate`` (m/s), one after the other.

        A state that slid so belongs to the same event as the one before it. In the plane, areas and moments are those
        of a body of this ``thickness`` (m). ``fault`` is the number of the one that is looked at; default: all of them,
        so that faults which slide at the same time share an event. Resolve them by ``largest_slip`` of the reservoir: a
        long step hides its own rate.
        """
        faults = self._reservoir.sites.parts
        part = slice(None) if fault is None else faults[integer("fault", fault, 0, len(faults) - 1)]
        fast = self.slip_rate[:, part].max(axis=1, initial=0.0) >= rate if self.times else np.zeros(0, dtype=bool)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], fast, [False]]).astype(int)))
        # the state before the first one is at hand but at the beginning
        return [self._event(max(first - 1, 0), last - 1, rate, thickness, part) for first, last in edges.reshape(-1, 2)]

    def _event(self, before, last, rate, thickness, part):
        points = self._reservoir.sites
        separations = [self.fields[k].separation[part, 1:] for k in (before, last)]
        slid = np.linalg.norm(separations[1] - separations[0], axis=1)
        rates = self.slip_rate[before + 1 : last + 1, part]
        area = (thickness if len(points.x) == 2 else 1.0) * points.dx[part]
        area = area * ((rates >= rate).any(axis=0) if len(rates) else False)
        moment = float((points.shear_modulus[part] * slid) @ area)
        shear = [np.linalg.norm(self.fields[k].traction[part, 1:], axis=1) for k in (before, last)]
        weights = slid * area
        drop = float((shear[0] - shear[1]) @ weights / weights.sum()) if weights.any() else 0.0
        magnitude = float((np.log10(moment) - 9.1) / 1.5) if moment > 0.0 else -np.inf
        largest = float(np.where(area > 0.0, slid, 0.0).max())
        return Event(self.times[before], self.times[last], largest, float(area.sum()), moment, magnitude, drop)

    @property
    def traction(self) -> np.ndarray:
        """Effective, (times, points, 3), Pa."""
        return np.array([fields.traction for fields in self.fields])

    @property
    def pressure(self) -> np.ndarray:
        """Of minus and plus side, (times, 2, systems, points); of faults through cells in them, (times, cells); Pa."""
        return np.array([fields.pressure for fields in self.fields])

    @property
    def leaked(self) -> np.ndarray:
        """Flow across the whole fault, or out of one through cells, (times, systems), m³/s (m²/s in two dimensions)."""
        dx = self._reservoir.sites.dx
        return np.array([
            fields.leak_off @ dx if isinstance(fields, FaultFields) else fields.leak_off.sum(axis=1)
            for fields in self.fields
        ])  # fmt: skip
