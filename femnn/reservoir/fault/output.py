"""States of a reservoir with a fault as files: for a restart, and the fault for ParaView."""

import zipfile
from pathlib import Path

import meshio
import numpy as np

from femnn.cohesive.law import State
from femnn.exceptions import StateError
from femnn.io.atomic import atomic_write
from femnn.io.time_series import padded, time_series
from femnn.reservoir.fault.problem import FaultedState
from femnn.reservoir.output import named

_FIELDS = ("u", "p", "traction", "rate", "leak_off")


def save_state(path, state):
    """Write a restart file, history of the fault included, whole or not at all."""
    arrays = {name: getattr(state, name) for name in _FIELDS}
    history = state.history
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            t=np.float64(state.t),
            law=np.array(history.law),
            values=history.values,
            outside=history.outside,
            **arrays,
        )


def load_state(path, reservoir):
    """The state in a restart file.

    Raises
    ------
    StateError
        If the file is damaged, or is of another mesh, medium or law.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _FIELDS}
            t, history = float(file["t"]), State(file["values"], str(file["law"]), file["outside"])
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise StateError(f"{path} is no whole restart file: {error}; start from an older one") from error
    state = FaultedState(t, arrays["u"], arrays["p"], history, *(arrays[name] for name in _FIELDS[2:]))
    try:
        reservoir.check(state)
    except StateError as error:
        raise StateError(f"{path} does not fit: {error}") from error
    return state


class FaultSeries:
    """A series of the fault's facets with their times, which ParaView opens beside that of the reservoir.

    Means over each facet: separation since the state in situ and its rate, effective traction (normal first), pressures
    of both sides and leak-off of each system, damage, and the share of points outside the trained range of the law.

    Parameters
    ----------
    path, start
        As :func:`femnn.io.time_series.time_series` takes them.
    reservoir : FaultedReservoir
    """

    def __init__(self, path, reservoir, start=None):
        self.path, self._reservoir, self._files = Path(path), reservoir, time_series(path, start)

    def write(self, state):
        """Add a state."""
        reservoir = self._reservoir
        interface, fields = reservoir.points.fault.interface, reservoir.fields(state)
        corners = interface.minus_vertices
        cells = [("line", np.arange(corners.size).reshape(corners.shape))]
        values = {
            "separation": fields.separation,
            "rate": fields.rate,
            "traction": fields.traction,
            **named("pressure_minus", reservoir.systems, fields.pressure[0]),
            **named("pressure_plus", reservoir.systems, fields.pressure[1]),
            **named("leak_off", reservoir.systems, fields.leak_off),
            "damage": fields.damage,
            "outside": fields.outside.astype(float),
        }
        data = {name: [self._mean(own)] for name, own in values.items()}
        points = padded(interface.mesh.p.T[corners.ravel()])
        self._files.write(state.t, meshio.Mesh(points, cells, cell_data=data))

    def _mean(self, values):
        points = self._reservoir.points
        share = points.dx.reshape(len(points.fault.interface), -1)
        share = share / share.sum(axis=1, keepdims=True)
        return np.einsum("nq,nq...->n...", share, values.reshape(*share.shape, *values.shape[1:]))


class FaultHistory:
    """History of a fault from state to state; :meth:`add` is a callback of ``march``.

    Parameters
    ----------
    reservoir : FaultedReservoir
    slip
        Sliding since the state in situ (m) from which on the fault counts as slipping.
    most
        Sliding at which ``add`` returns true, so that the march ends. Default: it does not.

    Attributes
    ----------
    times : list of float
        s.
    fields : list of FaultFields
    outside : list of int
        Points outside the trained range of the law that are not broken.
    onset : float or None
        First time at which the fault slips.
    """

    def __init__(self, reservoir, slip=1e-3, most=np.inf):
        self._reservoir, self._slip, self._most = reservoir, slip, most
        self.times, self.fields, self.outside, self.onset = [], [], [], None

    def add(self, state):
        """Take up a state; whether it slid further than ``most``."""
        self.times.append(state.t)
        self.fields.append(self._reservoir.fields(state))
        self.outside.append(self._reservoir.outside(state))
        largest = float(self.slip[-1].max())
        if self.onset is None and largest >= self._slip:
            self.onset = state.t
        return largest >= self._most

    @property
    def slip(self):
        """Sliding since the state in situ, (times, points), m."""
        return np.array([np.linalg.norm(own.separation[:, 1:], axis=1) for own in self.fields])

    @property
    def slip_rate(self):
        """(times, points), m/s."""
        return np.array([np.linalg.norm(own.rate[:, 1:], axis=1) for own in self.fields])

    @property
    def traction(self):
        """Effective, (times, points, 3), Pa."""
        return np.array([own.traction for own in self.fields])

    @property
    def pressure(self):
        """Of minus and plus side, (times, 2, systems, points), Pa."""
        return np.array([own.pressure for own in self.fields])

    @property
    def leaked(self):
        """Flow across the whole fault, (times, systems), m³/s (m²/s in two dimensions)."""
        return np.array([own.leak_off @ self._reservoir.points.dx for own in self.fields])
