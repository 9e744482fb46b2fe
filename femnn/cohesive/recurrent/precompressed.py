"""Laws of precompressed, frictional layers: a network answers ln(t_n/p0) and t_s/t_n, the layer is never cohesive.

t_n = -T_n is the pressure on the layer, t_s its shear traction; T = (-t_n, t_n y1, t_n y2). Grains repel, so t_n is
positive, spans orders of magnitude and varies between samples by a factor, while the friction ratio t_s/t_n hardly
does: hence errors are taken in ln t_n and t_s/t_n (Wang & Sun, CMAME 334 (2018) 337-380, learn the tractions).

ln t_n has a pole where grains lose touch. So that the network need not bend there, its first answer q is what Hertz's
contacts make linear in the opening: t_n/p0 = s^1.5, where s goes from 1 + q, for pressed layers, smoothly to zero, for
open ones; q = 0 is the virgin layer.
"""

from dataclasses import dataclass

import numpy as np

from femnn.cohesive.recurrent.cell import Cell
from femnn.io.guarded import Contents
from femnn.system.compile import njit

#: Hertz: pressures over p0 are this power of what is linear in the approach of the grains.
POWER = 1.5
#: How smoothly a layer loses touch, in units of q.
ROUNDING = 0.05
_VIRGIN = 1.0 + np.sqrt(1.0 + ROUNDING**2)


def answer_of(pressure: np.ndarray) -> np.ndarray:
    """The answer q of a network that means a pressure (over p0) which is not near zero."""
    return np.maximum(pressure, 0.0) ** (1.0 / POWER) - 1.0


def pressure_of(q, root=np.sqrt):
    """Pressure over p0 of an answer q; ``root`` is the square root of the arrays' library."""
    w = 1.0 + q
    return ((w + root(w * w + ROUNDING**2)) / _VIRGIN) ** POWER


@dataclass(frozen=True)
class Precompressed:
    """Limits of a law of a precompressed layer, and how it goes on beyond the openings that it was trained on.

    There the network sees the nearest opening that it knows, and q goes on with a fixed slope: closing further
    stiffens as Hertz's contacts do, opening further ends without traction. A network that knows where it has slid to
    sees its sliding cut back, too.

    Attributes
    ----------
    low, high : float
        Trained openings, in separation scales.
    slope : float
        Of q against closing, beyond them.
    reach : float
        Largest sliding that the network is shown; infinite for isotropic cells.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.recurrent import Precompressed
    >>> limits = femnn.RecurrentCohesive.load("grains").precompressed
    >>> isinstance(limits, Precompressed), limits.low < 0.0 < limits.high
    (True, True)
    """

    low: float
    high: float
    slope: float
    reach: float = np.inf

    @classmethod
    def of(cls, fields: Contents | None) -> "Precompressed | None":
        """From the field of a card, WeightFileError if it cannot be; None for a law whose network answers tractions."""
        if fields is None:
            return None
        low = fields.number("low")
        reach = np.inf if fields.fields.get("reach") is None else fields.number("reach", above=0.0)
        return cls(low, fields.number("high", above=low), fields.number("slope", 0.0), reach)

    def fields(self) -> dict:
        """For a card: what :meth:`of` reads."""
        reach = None if np.isinf(self.reach) else self.reach
        return {"low": self.low, "high": self.high, "slope": self.slope, "reach": reach}

    def around(self, cell: Cell) -> Cell:
        """The cell that answers tractions where ``cell`` answers q and t_s/t_n."""
        return _Layer(self, cell)

    def shown(self, x: np.ndarray) -> np.ndarray:
        """Separations as the network sees them."""
        opening = x[:, :1].clip(self.low, self.high)
        sliding = np.linalg.norm(x[:, 1:], axis=1, keepdims=True)
        if sliding.max(initial=0.0) <= self.reach:
            return np.concatenate([opening, x[:, 1:]], axis=1)
        return np.concatenate([opening, x[:, 1:] * np.minimum(1.0, self.reach / np.maximum(sliding, 1e-300))], axis=1)

    def through_sliding(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """Derivatives by the sliding that was there, from those by the sliding that was shown."""
        sliding = np.linalg.norm(x[:, 1:], axis=1)
        far = sliding > self.reach
        unit = x[far, 1:] / sliding[far, None]
        cut = (self.reach / sliding[far])[:, None, None] * (np.eye(2) - unit[:, :, None] * unit[:, None, :])
        dy = dy.copy()
        dy[far, :, 1:] = dy[far, :, 1:] @ cut
        return dy


class _Layer(Cell):
    """Tractions of a precompressed layer from the answers of another cell."""

    def __init__(self, precompressed, cell) -> None:
        self.tensors, self.state_size = {}, cell.state_size
        self._precompressed, self._cell = precompressed, cell

    def step(self, x, state):
        layer = self._precompressed
        y, dy, state = self._cell.step(layer.shown(x), state)
        dy = np.ascontiguousarray(dy[:, :, :3])
        if np.isfinite(layer.reach):
            dy = layer.through_sliding(x, dy)
        traction, tangent = _tractions(x[:, 0], y, dy, layer.low, layer.high, layer.slope)
        return traction, tangent, state


@njit(cache=True, error_model="numpy")
def _tractions(opening, y, dy, low, high, slope):
    n = len(opening)
    traction, tangent = np.empty((n, 3)), np.empty((n, 3, 3))
    for k in range(n):
        beyond, by_opening = 0.0, 0.0
        if opening[k] < low:
            beyond = opening[k] - low
        elif opening[k] > high:
            beyond = opening[k] - high
        if beyond != 0.0:
            by_opening = -slope
            dy[k, :, 0] = 0.0
        w = 1.0 + (y[k, 0] - slope * beyond)
        root = np.sqrt(w * w + ROUNDING**2)
        # far open the sum would cancel
        touch = (w + root if w > 0.0 else ROUNDING**2 / (root - w)) / _VIRGIN
        pressure = touch * np.sqrt(touch)
        growth = POWER * pressure / root
        traction[k, 0] = -pressure
        for i in range(1, 3):
            traction[k, i] = pressure * y[k, i]
        for j in range(3):
            moved = growth * (dy[k, 0, j] + (by_opening if j == 0 else 0.0))
            tangent[k, 0, j] = -moved
            for i in range(1, 3):
                tangent[k, i, j] = moved * y[k, i] + pressure * dy[k, i, j]
    return traction, tangent
