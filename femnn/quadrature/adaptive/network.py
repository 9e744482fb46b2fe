"""The directional network: log₂ Error for each number of points along one direction, as a correction of an estimate.

One small network serves the three directions of an element. It is shown the features of
:mod:`femnn.quadrature.adaptive.apriori_estimate` and the material, and gives for each candidate the correction of the
a-priori estimate and its own spread. The errors e of the three directions add up as (Σ e^p)^(1/p): their parts cancel a
little. Two more outputs, averaged over the directions, give p and what the spreads have in common.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from femnn.exceptions import WeightFileError
from femnn.integration.kernels import _FAST, kernel_array
from femnn.networks.perceptron import Perceptron
from femnn.networks.vector_math import BLOCK, vector_dense, vector_exp2, vector_silu
from femnn.quadrature.adaptive.apriori_estimate import (
    CANDIDATES,
    FEATURES,
    FIRST_TWIST,
    describe_blocks,
    describe_directions,
)
from femnn.quadrature.adaptive.directional_errors import FEWEST, MOST
from femnn.system.compile import njit

# An element whose relative twists t are all below this is a parallelepiped: its Error falls with their square. So does
# its energy ratio, but bending of a flat element is so much softer than stretching that the ratio of 2×2×2 points grows
# to 0.5 (t a²)² with the aspect a, and to 0.4 (t a)² for the Laplace form (measured for a to 1,000). It is below a
# twentieth of the tolerance where t a^k is below this share of its root.
_PARALLEL, _SHARE_OF_ROOT = np.float32(1e-5), 0.3

#: The power k of the aspect, by measure; the Error does not know of soft modes.
FLATNESS = {"entries": 0, "energy": 2, "laplace-entries": 0, "laplace-energy": 1}

_PADDED = -(-FEATURES // 4) * 4

# Elements whose features are held at a time: some megabytes, which stay in the cache.
_AT_ONCE = 64 * BLOCK

# Outputs: a correction and a log₂ spread for each candidate, log₂(p - 1), and the log₂ of the common spread.
POWER = 2 * CANDIDATES
OUTPUTS = POWER + 2

# Between these log₂(p - 1) and log₂ spreads are taken; and no spread is smaller than round-off.
LEAST_POWER, MOST_POWER = np.float32(-6.0), np.float32(3.0)
LEAST_SPREAD, MOST_SPREAD = np.float32(-8.0), np.float32(3.0)

# A smaller estimate (log₂) is the round-off of a direction without any error, and no floor for what is believed.
_ROUND_OFF = np.float32(-28.0)
_ZERO, _ONE, _THIRD = np.float32(0.0), np.float32(1.0), np.float32(1.0 / 3.0)
_INFINITE = np.float32(1e30)


def material_feature(poisson: ArrayLike) -> np.ndarray:
    """The feature of the material, which resolves nearly incompressible ones."""
    return np.log(1.0 - 2.0 * np.asarray(poisson, dtype=float))


@dataclass(frozen=True, eq=False, repr=False)
class DirectionalNetwork:
    """A trained network in the form of the vector kernels.

    Attributes
    ----------
    layers
        Weights and biases, float32, standardisation folded in, inputs padded to a multiple of four.
    low, high : (FEATURES,) float32
        Range of the features of training.
    least : (CANDIDATES,) float32
        Smallest corrections of the estimate that are believed: an Error far below it would need luck, not convergence.
    flatness
        The power of the aspect with which the measure grows for flat elements, of ``FLATNESS``.
    """

    layers: tuple[np.ndarray, ...]
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    flatness: int = 0

    @classmethod
    def of(
        cls, perceptron: Perceptron, measure: str, low: np.ndarray, high: np.ndarray, least: np.ndarray
    ) -> "DirectionalNetwork":
        """From a perceptron that was trained for a ``measure``, and the limits of its training.

        Raises
        ------
        WeightFileError
            Unless it is a network of two hidden layers of even width, a multiple of four, for these features.
        """
        shape = perceptron.architecture
        fits = shape.inputs == FEATURES and shape.outputs == OUTPUTS and shape.activation == "silu"
        if not fits or len(shape.hidden) != 2 or any(width % 4 for width in shape.hidden):
            raise WeightFileError(
                f"a directional network has {FEATURES} inputs, {OUTPUTS} outputs and two SiLU layers whose widths are "
                f"multiples of four; this one is {shape}; train it again with this version of femnn"
            )
        t = {name: np.asarray(values, dtype=float) for name, values in perceptron.tensors().items()}
        first = t["weight0"] / t["input_scale"]
        bias = t["bias0"] - first @ t["input_mean"]
        last, last_bias = t["weight2"] * t["output_scale"][:, None], t["bias2"] * t["output_scale"] + t["output_mean"]
        arrays = (np.pad(first, ((0, 0), (0, _PADDED - FEATURES))), bias, t["weight1"], t["bias1"], last, last_bias)
        layers = tuple(np.ascontiguousarray(values, dtype=np.float32) for values in arrays)
        low, high, least = (kernel_array(v, np.float32) for v in (low, high, least))
        return cls(layers, low, high, least, FLATNESS[measure])

    def __repr__(self) -> str:
        return f"DirectionalNetwork({'-'.join(str(len(bias)) for bias in self.layers[1::2])})"

    def log_errors(self, hexahedra: np.ndarray, poisson: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log₂ directional Error and its spread, each (n, 3, CANDIDATES), and p (n,), float32: for plots and tests."""
        features, estimates = describe_directions(hexahedra)
        column = np.full((*features.shape[:2], 1), material_feature(poisson), dtype=np.float32)
        rows = np.concatenate([features, column], axis=2).reshape(-1, FEATURES)
        values = np.pad(rows, ((0, 0), (0, _PADDED - FEATURES)))
        for layer in range(3):
            values = values @ self.layers[2 * layer].T + self.layers[2 * layer + 1]
            if layer < 2:
                values *= 1.0 / (1.0 + np.exp(-values))
        values = values.reshape(len(features), 3, OUTPUTS)
        power, common = values[:, :, POWER:].mean(axis=1).T
        spreads = np.exp2(np.clip(values[:, :, CANDIDATES:POWER], LEAST_SPREAD, MOST_SPREAD))
        spreads += np.exp2(np.clip(common, LEAST_SPREAD, MOST_SPREAD))[:, None, None]
        corrections = values[:, :, :CANDIDATES]
        corrections = np.where(estimates > _ROUND_OFF, np.maximum(corrections, self.least), corrections)
        return estimates + corrections, spreads, 1.0 + np.exp2(np.clip(power, LEAST_POWER, MOST_POWER))

    def choose(self, hexahedra, tolerance, poisson, caution=0.0, anisotropic=True):
        """Points and elements in range of :meth:`choose_with_slack`, whose parameters these are."""
        return self.choose_with_slack(hexahedra, tolerance, poisson, caution, anisotropic)[:2]

    def choose_with_slack(self, hexahedra, tolerance, poisson, caution=0.0, anisotropic=True):
        """Points along each axis that are predicted to meet a tolerance at the least cost.

        Parameters
        ----------
        hexahedra : (n, 8, 3)
            Healthy elements.
        tolerance
            Of the measure that the network was trained for.
        poisson
            Poisson's ratio, a number or (n,).
        caution
            Spreads that are added to the predicted log₂ Error.
        anisotropic
            Let the numbers along the three axes differ.

        Returns
        -------
        points : (n, 3) int64
        in_range : (n,) bool
            True where the element lies in the range of training and a candidate meets the tolerance; else ``points``
            are MOST along each axis.
        slack : (n,) float32
            log₂ of what the tolerance may be divided by before other points are chosen.
        """
        x = kernel_array(hexahedra)
        points, in_range = np.empty((len(x), 3), dtype=np.int64), np.empty(len(x), dtype=np.bool_)
        slack = np.empty(len(x), dtype=np.float32)
        bound = 2.0 * np.log2(_SHARE_OF_ROOT) + np.log2(tolerance)
        settings = np.array([np.log2(tolerance), caution, 0.5 * bound, self.flatness], dtype=np.float32)
        material = np.empty(len(x), dtype=np.float32)
        material[:] = material_feature(poisson)
        for start in range(0, len(x), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            features, estimates = describe_blocks(x[part], _PADDED)
            given = features, estimates, material[part], self.layers, self.low, self.high, self.least, settings
            _choose(*given, bool(anisotropic), points[part], in_range[part], slack[part])
        return points, in_range, slack


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _clipped_exp2(row, low, high, powers, bits):
    for b in range(BLOCK):
        row[0, b] = min(max(row[0, b], low), high)
    vector_exp2(row, 0, powers, bits)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _mean_over_directions(outputs, number, low, high, row, powers, bits, result):
    """2^ the mean over the three directions of output ``number``, clipped, into ``result`` (BLOCK,)."""
    for b in range(BLOCK):
        row[0, b] = (outputs[0, number, b] + outputs[1, number, b] + outputs[2, number, b]) * _THIRD
    _clipped_exp2(row, low, high, powers, bits)
    for b in range(BLOCK):
        result[b] = row[0, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_spreads(outputs, common, caution, row, powers, bits, relative):
    for n in range(CANDIDATES):
        for b in range(BLOCK):
            row[0, b] = outputs[CANDIDATES + n, b]
        _clipped_exp2(row, LEAST_SPREAD, MOST_SPREAD, powers, bits)
        for b in range(BLOCK):
            relative[n, b] += caution * (row[0, b] + common[b])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _relative_errors(estimate, outputs, least, power, common, settings, row, powers, bits, relative):
    """(e/tolerance)^p of one direction into ``relative`` (CANDIDATES, BLOCK), made to fall with n."""
    log_tolerance, caution = settings[0], settings[1]
    for n in range(CANDIDATES):
        for b in range(BLOCK):
            correction = max(outputs[n, b], least[n]) if estimate[n, b] > _ROUND_OFF else outputs[n, b]
            relative[n, b] = estimate[n, b] + correction - log_tolerance
    if caution > _ZERO:
        _add_spreads(outputs, common, caution, row, powers, bits, relative)
    for n in range(CANDIDATES - 2, -1, -1):
        for b in range(BLOCK):
            relative[n, b] = max(relative[n, b], relative[n + 1, b])
    for n in range(CANDIDATES):
        for b in range(BLOCK):
            relative[n, b] *= _ONE + power[b]
        vector_exp2(relative, n, powers, bits)


@njit(cache=True, error_model="numpy")
def _first_below(relative, axis, b, start, bound):
    """The first candidate from ``start`` on whose relative error is at most ``bound``; CANDIDATES if none is."""
    n = start
    while n < CANDIDATES and relative[axis, n, b] > bound:
        n += 1
    return n


@njit(cache=True, error_model="numpy")
def _cheapest(relative, b, points):
    """The tensor rule of element ``b`` with the fewest points whose relative errors add up to at most 1: their sum.

    It is ``_INFINITE`` if there is none. All are tried. Of several the one with the least error, so that it does not
    matter which axis is called the first.
    """
    least, best = (MOST + 1) ** 3, _ONE
    # along each axis alone, fewer points than these are never enough
    x0 = _first_below(relative, 0, b, 0, _ONE)
    y0 = _first_below(relative, 1, b, 0, _ONE)
    z0 = _first_below(relative, 2, b, 0, _ONE)
    for x in range(x0, CANDIDATES):
        if (x + FEWEST) * (y0 + FEWEST) * (z0 + FEWEST) > least:
            break
        budget = _ONE - relative[0, x, b]
        for y in range(y0, CANDIDATES):
            if (x + FEWEST) * (y + FEWEST) * (z0 + FEWEST) > least:
                break
            remaining = budget - relative[1, y, b]
            if remaining <= _ZERO:
                continue
            z = _first_below(relative, 2, b, z0, remaining)
            cost = (x + FEWEST) * (y + FEWEST) * (z + FEWEST)
            if z == CANDIDATES or cost > least:
                continue
            total = relative[0, x, b] + relative[1, y, b] + relative[2, z, b]
            if cost < least or total < best:
                least, best = cost, total
                points[0], points[1], points[2] = x + FEWEST, y + FEWEST, z + FEWEST
    return best if least <= MOST**3 else _INFINITE


@njit(cache=True, error_model="numpy")
def _cheapest_equal(relative, b, points):
    """The same with equal numbers along the three axes."""
    for n in range(CANDIDATES):
        total = relative[0, n, b] + relative[1, n, b] + relative[2, n, b]
        if total <= _ONE:
            points[:] = n + FEWEST
            return total
    return _INFINITE


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _mark(rows, low, high, inside, shape):
    """Clear ``inside`` for elements out of the range of training; largest twist, least and largest aspect to ``shape``.

    Rows of ``shape`` (3, BLOCK): the twist, and log₂ of the squared length over those of the other two directions.
    """
    for k in range(FEATURES):
        for b in range(BLOCK):
            inside[b] &= (rows[k, b] >= low[k]) & (rows[k, b] <= high[k])
    for k in range(FIRST_TWIST, FEATURES - 1):
        for b in range(BLOCK):
            shape[0, b] = max(shape[0, b], rows[k, b])
    for b in range(BLOCK):
        shape[1, b], shape[2, b] = min(shape[1, b], rows[0, b]), max(shape[2, b], rows[0, b])


@njit(cache=True, error_model="numpy")
def _exact_slack(shape, b, settings):
    """The slack of element ``b`` if it is so nearly a parallelepiped that 2×2×2 points keep the tolerance, else < 0."""
    twist, log_aspect = shape[0, b], (shape[2, b] - shape[1, b]) / np.float32(6.0)
    if twist >= _PARALLEL:
        return -_ONE
    flatness = settings[3]
    if flatness == _ZERO:
        return _INFINITE
    # the square of this is what 2×2×2 points leave
    return np.float32(2.0) * (settings[2] - np.log2(max(twist, np.float32(1e-30))) - flatness * log_aspect)


@njit(over="features", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _choose(
    begin, end, features, estimates, material, layers, low, high, least, settings, anisotropic, points, in_range, slack
):
    weight0, bias0, weight1, bias1, weight2, bias2 = layers
    first_values = np.empty((weight0.shape[0], BLOCK), dtype=np.float32)
    second_values = np.empty((weight1.shape[0], BLOCK), dtype=np.float32)
    outputs = np.empty((3, OUTPUTS, BLOCK), dtype=np.float32)
    power, common = np.empty(BLOCK, dtype=np.float32), np.empty(BLOCK, dtype=np.float32)
    relative = np.empty((3, CANDIDATES, BLOCK), dtype=np.float32)
    row, powers = np.empty((1, BLOCK), dtype=np.float32), np.empty(BLOCK, dtype=np.float32)
    bits, inside, shape = powers.view(np.int32), np.empty(BLOCK, dtype=np.bool_), np.empty((3, BLOCK), dtype=np.float32)
    for block in range(begin, end):
        inside[:] = True
        shape[:] = _ZERO
        first, count = BLOCK * np.int64(block), len(material)
        for axis in range(3):
            rows = features[block, axis]
            for b in range(BLOCK):
                rows[FEATURES - 1, b] = material[min(first + b, count - 1)]
            _mark(rows, low, high, inside, shape)
            vector_dense(rows, weight0, bias0, first_values)
            vector_silu(first_values, row, powers, bits)
            vector_dense(first_values, weight1, bias1, second_values)
            vector_silu(second_values, row, powers, bits)
            vector_dense(second_values, weight2, bias2, outputs[axis])
        _mean_over_directions(outputs, POWER, LEAST_POWER, MOST_POWER, row, powers, bits, power)
        _mean_over_directions(outputs, POWER + 1, LEAST_SPREAD, MOST_SPREAD, row, powers, bits, common)
        for axis in range(3):
            _relative_errors(
                estimates[block, axis], outputs[axis], least, power, common, settings, row, powers, bits, relative[axis]
            )
        for b in range(min(BLOCK, count - first)):
            chosen = points[first + b]
            chosen[:] = MOST
            exact = _exact_slack(shape, b, settings)
            if exact > _ZERO:
                chosen[:] = FEWEST
                in_range[first + b], slack[first + b] = True, exact
                continue
            total = _cheapest(relative, b, chosen) if anisotropic else _cheapest_equal(relative, b, chosen)
            in_range[first + b] = total < _INFINITE and inside[b]
            # relative errors are powers of those over the tolerance
            slack[first + b] = -np.log2(max(total, np.float32(1e-30))) / (_ONE + power[b])
            if not in_range[first + b]:
                chosen[:] = MOST
