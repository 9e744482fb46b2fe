"""Where the model of a reservoir with faults through its cells ends, told as of those along facets."""

from typing import Any

import numpy as np

from femnn.reservoir.fault.embedded_equations import EmbeddedEquations, body_of
from femnn.reservoir.fault.limits import Limits
from femnn.reservoir.fault.several import SeveralLaws


class _Points:
    """What :class:`Limits` asks of the points of all faults."""

    def __init__(self, equations: EmbeddedEquations) -> None:
        parts = equations.parts
        self._equations, self.faults = equations, tuple(part.fault for part in parts)
        counts = [part.elements.points for part in parts]
        laws = [fault.law for fault in self.faults]
        self.law = laws[0] if len(laws) == 1 else SeveralLaws(laws, counts)
        self.points = sum(counts)
        self.state = tuple(part.state for part in parts)
        self.x = np.concatenate([part.x for part in parts], axis=1)
        self.traction = np.concatenate([part.traction for part in parts])
        self.separation = np.concatenate([part.separation for part in parts])

    def strains(self, x):
        """Separations since the state in situ, (points, 3)."""
        return self._equations.separations(self._equations.split(x)[1])


class EmbeddedLimits(Limits):
    """Tells when states of a reservoir with embedded faults leave what its model describes.

    Parameters
    ----------
    equations : EmbeddedEquations
    porous : PorousProblem
    on_outside, on_fracture
        As :class:`femnn.reservoir.fault.EmbeddedReservoir` takes them.
    """

    def __init__(self, equations: EmbeddedEquations, porous: Any, on_outside: str, on_fracture: str) -> None:
        self._equations = equations
        super().__init__(_Points(equations), porous, on_outside, on_fracture)

    def stress(self, state):
        """Effective stress (dim, dim, n), see :meth:`femnn.reservoir.fault.EmbeddedReservoir.stress`."""
        constants, found = self._porous.constants, super().stress(body_of(state))
        slopes, dim = self._porous.displacement_basis.mean_slopes, len(found)
        for part, jumps in zip(self._equations.parts, self._equations.jumps, strict=True):
            cells = part.fault.crack.elements
            moved = np.einsum("nij,nj->ni", part.elements.moved, state.jumps[jumps].reshape(len(cells), -1))
            taken = np.einsum("nai,naj->ijn", moved.reshape(len(cells), -1, dim), slopes[cells])
            strain = 0.5 * (taken + taken.swapaxes(0, 1))
            spherical = constants.lmbda[cells] * np.einsum("iin->n", strain) * np.eye(dim)[:, :, None]
            found[:, :, cells] -= 2.0 * constants.mu[cells] * strain + spherical
        return found

    def _history(self, state):
        return state.histories

    def _outside(self, history):
        laws = [fault.law for fault in self._points.faults]
        return np.concatenate([
            own.outside & ~(law.damage(own) >= 1.0) for own, law in zip(history, laws, strict=True)
        ])  # fmt: skip
