"""Where the model of a faulted reservoir ends: points out of range, rock that would fracture, wells that lift it."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from femnn.exceptions import OutsideRangeError, ParameterError, warn
from femnn.interfaces.frames import normals_of
from femnn.interfaces.split import Interface
from femnn.reservoir.conditions import Well

# Distance of a well from a facet, over the size of the facet, at which it is in the fault.
_IN_FAULT = 1e-6


class Limits:
    """Tells when states of a faulted reservoir leave what its model describes.

    Parameters
    ----------
    points : FaultPoints
    porous : PorousProblem
        On the split mesh.
    on_outside, on_fracture
        As :class:`femnn.reservoir.fault.FaultedReservoir` takes them.
    """

    def __init__(self, points: Any, porous: Any, on_outside: str, on_fracture: str) -> None:
        self._points, self._porous = points, porous
        self._on_outside, self._on_fracture = on_outside, on_fracture
        mesh = porous.displacement_basis.mesh
        self._middle = mesh.p[:, mesh.t].mean(axis=1)
        # of the rock: the first that is known
        stress = next((own.stress for own in points.faults if own.stress is not None), None)
        dim = len(self._middle)
        if stress is not None:
            tensors = np.asarray(stress(self._middle) if callable(stress) else stress, dtype=float)
            stress = np.broadcast_to(tensors.reshape(dim, dim, -1), (dim, dim, self._middle.shape[1]))
        self._rest = stress

    def stress(self, state):
        """Effective stress (dim, dim, n), see :meth:`femnn.reservoir.fault.FaultedReservoir.stress`."""
        if self._rest is None:
            raise ParameterError("the fault has no stress in situ; give Fault(..., stress=...) that of the rock")
        dim, constants, pressure = len(self._middle), self._porous.constants, self._porous.mean_pressure(state)
        change = self._porous.effective_stress(state)[:, :dim, :dim].transpose(1, 2, 0)
        lifting = pressure.max(axis=0) - (constants.biot * pressure).sum(axis=0)
        return self._rest + change + lifting * np.eye(dim)[:, :, None]

    def outside(self, state):
        """Number of points that have left the trained range of the law before they were broken."""
        return self._total(self._outside(self._history(state)).sum())

    def _history(self, state):
        """Of the law at the points, as ``_outside`` takes it."""
        return state.history

    def _outside(self, history):
        return history.outside & ~(self._points.law.damage(history) >= 1.0)

    def require_borne(self, t):
        """Raise ParameterError if a well holds a pressure at the time ``t`` that lifts what is above."""
        if self._rest is None:
            return
        for place, pressure in self._porous.wells.held(t):
            away = np.linalg.norm(self._middle - place[:, None], axis=0)
            overburden = self._at_largest(-away, lambda nearest: -float(self._rest[-1, -1, nearest]))
            if pressure > overburden > 0.0:
                raise ParameterError(
                    f"the well at {place.tolist()} holds {pressure / 1e6:.4g} MPa over the pressure at rest at t = "
                    f"{t:.6g} s, but the overburden is only {overburden / 1e6:.4g} MPa above that and would be lifted; "
                    "lower the pressure of the well"
                )

    def report_in_situ(self):
        """Tell that the stress in situ is out of the range that the law was trained in, if it is."""
        points = self._points
        outside = self._outside(points.state)
        count, total = self._total(np.count_nonzero(outside)), self._total(points.points)
        if not count:
            return
        where = self._at_largest(
            np.where(outside, np.linalg.norm(points.traction, axis=1), -1.0),
            lambda worst: (
                f"{(points.traction[worst] / 1e6).round(2).tolist()} MPa at {points.x[:, worst].round(3).tolist()}"
            ),
        )
        message = (
            f"the stress in situ takes {count} of {total} points of the fault out of the range that their law was "
            f"trained in, to {where}; train the law further out, or rescale its traction"
        )
        self._tell_outside(message)

    # a body that several processes share has another one of each of these

    def _total(self, count):
        return int(count)

    def _at_largest(self, values: np.ndarray, told: Callable[[int], Any]) -> Any:
        """What is told of the place of the largest of some values."""
        return told(int(values.argmax()))

    def _warn(self, message):
        warn(message)

    def _tell_outside(self, message):
        if self._on_outside == "raise":
            raise OutsideRangeError(f"{message}, or pass on_outside='warn' to go on with flagged points")
        self._warn(f"{message}, or pass on_outside='raise' to stop there")

    def report(self, old, new):
        """Tell that more points left the trained range, or that rock came to fracture, in a step."""
        # what raises comes first, so that a step which is cut for it has not warned
        reports = [(self._on_outside, self._report_outside), (self._on_fracture, self._report_fracture)]
        for _, told in sorted(reports, key=lambda report: report[0] != "raise"):
            told(old, new)

    def _report_outside(self, old, new):
        before, now = self.outside(old), self.outside(new)
        if now <= before:
            return
        separation = self._points.separation + self._points.strains(new.x)[:, :3]
        own = np.count_nonzero(self._outside(self._history(new)))
        far = self._at_largest(np.array([own]), lambda _: self._points.law.how_far(separation))
        laws = " or ".join(dict.fromkeys(fault.law.name for fault in self._points.faults))
        message = (
            f"{now} of {self._total(self._points.points)} points of the fault have left the range that {laws} was "
            f"trained in at t = {new.t:.6g} s{f' ({far})' if far else ''}; train the law further out"
        )
        if before == 0 or self._on_outside == "raise":
            self._tell_outside(message)

    def _report_fracture(self, old, new):
        before, now = self._fractured(old), self._fractured(new)
        if now is None or (before is not None and self._on_fracture == "warn"):
            return
        message = f"the pressure exceeds {now} at t = {new.t:.6g} s: rock would fracture there, which is not modelled"
        if self._on_fracture == "raise":
            raise OutsideRangeError(f"{message}; lower the rate, or pass on_fracture='warn' to go on")
        self._warn(f"{message}; lower the rate, or pass on_fracture='raise' to stop there")

    def _fractured(self, state):
        """What the pressure exceeds, in words; None where it exceeds nothing."""
        points = self._points
        opened = state.traction[:, 0] - np.maximum(points.traction[:, 0], 0.0)
        count = self._total(np.count_nonzero(opened > 0.0))
        if self._total((points.traction[:, 0] < 0.0).any()) and count:
            by = self._at_largest(opened, lambda worst: _by(opened[worst], points.x[:, worst]))
            return f"the compression of the fault at {count} of {self._total(points.points)} points, by {by}"
        if self._rest is None:
            return None
        missing = np.linalg.eigvalsh(self.stress(state).transpose(2, 0, 1))[:, -1]
        count = self._total(np.count_nonzero(missing > 0.0))
        if not count:
            return None
        by = self._at_largest(missing, lambda worst: _by(missing[worst], self._middle[:, worst]))
        return f"the least compression of the rock in {count} of {self._total(len(missing))} cells, by {by}"


def _by(pressure, x):
    return f"{pressure / 1e6:.3g} MPa at {x.round(3).tolist()}"


def require_beside_all(faults: Sequence, wells: Sequence[Well]) -> None:
    """Raise ParameterError if one of the wells is in one of the faults."""
    for well, fault in product(wells, faults):
        require_beside(fault.interface, well)


def require_beside(interface: Interface, well: Well) -> None:
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
