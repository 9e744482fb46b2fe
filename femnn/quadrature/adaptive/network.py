"""The directional network: log₂ Error for each number of points along one direction, as a correction of an estimate.

One small network serves the three directions of an element. It is shown the features of
:mod:`femnn.quadrature.adaptive.apriori_estimate` and the material, and gives for each candidate the correction of the
a-priori estimate and its own spread. The errors e of the three directions add up as (Σ e^p)^(1/p): their parts cancel a
little. Two more outputs, averaged over the directions, give p and what the spreads have in common.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange

from femnn.exceptions import WeightFileError
from femnn.integration.kernels import _FAST
from femnn.networks.vector_math import LANES, dense_lanes, exp2_lanes, silu_lanes
from femnn.quadrature.adaptive.apriori_estimate import (
    CANDIDATES,
    FEATURES,
    FIRST_TWIST,
    describe_block,
    describe_directions,
    work_space,
)
from femnn.quadrature.adaptive.directional_errors import FEWEST, MOST
from femnn.system.compile import njit

# An element whose relative twists are all below this is a parallelepiped: its Error falls with their square.
_PARALLEL = np.float32(1e-5)

_PADDED = -(-FEATURES // 4) * 4

# Outputs: a correction and a log₂ spread for each candidate, log₂(p - 1), and the log₂ of the common spread.
POWER = 2 * CANDIDATES
OUTPUTS = POWER + 2

# Between these log₂(p - 1) and log₂ spreads are taken; and no spread is smaller than round-off.
LEAST_POWER, MOST_POWER = np.float32(-6.0), np.float32(3.0)
LEAST_SPREAD, MOST_SPREAD = np.float32(-8.0), np.float32(3.0)

# A smaller estimate (log₂) is the round-off of a direction without any error, and no floor for what is believed.
_ROUND_OFF = np.float32(-28.0)
_ZERO, _ONE, _THIRD = np.float32(0.0), np.float32(1.0), np.float32(1.0 / 3.0)


def material_feature(poisson):
    """What the network is shown of the material: resolves nearly incompressible ones."""
    return np.log(1.0 - 2.0 * np.asarray(poisson, dtype=float))


@dataclass(frozen=True)
class DirectionalNetwork:
    """A trained network, made ready for lanes.

    Attributes
    ----------
    layers
        Weights and biases, float32, standardisation folded in, inputs padded to a multiple of four.
    low, high : (FEATURES,) float32
        Range of the features of training.
    least : (CANDIDATES,) float32
        Smallest corrections of the estimate that are believed: an Error far below it would need luck, not convergence.
    """

    layers: tuple
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray

    @classmethod
    def of(cls, perceptron, low, high, least):
        """From a :class:`femnn.networks.perceptron.Perceptron` and what its training has seen.

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
        return cls(layers, *(np.require(v, dtype=np.float32, requirements="CW") for v in (low, high, least)))

    def log_errors(self, hexahedra, poisson):
        """log₂ directional Error and its spread, each (n, 3, CANDIDATES), and p (n,), float32: what plots look at."""
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
        known : (n,) bool
            Whether the element lies in the range of training and a candidate meets the tolerance; else ``points`` are
            MOST along each axis.
        """
        x = np.require(hexahedra, dtype=float, requirements="CW")
        points, known = np.empty((len(x), 3), dtype=np.int64), np.empty(len(x), dtype=np.bool_)
        settings = np.array([np.log2(tolerance), caution], dtype=np.float32)
        material = np.empty(len(x), dtype=np.float32)
        material[:] = material_feature(poisson)
        _choose_all(
            x, material, self.layers, self.low, self.high, self.least, settings, bool(anisotropic), points, known
        )
        return points, known


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _clipped_exp2(row, low, high, powers, bits):
    for b in range(LANES):
        row[0, b] = min(max(row[0, b], low), high)
    exp2_lanes(row, 0, powers, bits)


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _shared(outputs, number, low, high, row, powers, bits, result):
    """2^ the mean over the three directions of output ``number``, clipped, into ``result`` (LANES,)."""
    for b in range(LANES):
        row[0, b] = (outputs[0, number, b] + outputs[1, number, b] + outputs[2, number, b]) * _THIRD
    _clipped_exp2(row, low, high, powers, bits)
    for b in range(LANES):
        result[b] = row[0, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _add_spreads(outputs, common, caution, row, powers, bits, relative):
    for n in range(CANDIDATES):
        for b in range(LANES):
            row[0, b] = outputs[CANDIDATES + n, b]
        _clipped_exp2(row, LEAST_SPREAD, MOST_SPREAD, powers, bits)
        for b in range(LANES):
            relative[n, b] += caution * (row[0, b] + common[b])


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _relative_errors(estimate, outputs, least, power, common, settings, row, powers, bits, relative):
    """(e/tolerance)^p of one direction into ``relative`` (CANDIDATES, LANES), made to fall with n."""
    log_tolerance, caution = settings[0], settings[1]
    for n in range(CANDIDATES):
        for b in range(LANES):
            correction = max(outputs[n, b], least[n]) if estimate[n, b] > _ROUND_OFF else outputs[n, b]
            relative[n, b] = estimate[n, b] + correction - log_tolerance
    if caution > _ZERO:
        _add_spreads(outputs, common, caution, row, powers, bits, relative)
    for n in range(CANDIDATES - 2, -1, -1):
        for b in range(LANES):
            relative[n, b] = max(relative[n, b], relative[n + 1, b])
    for n in range(CANDIDATES):
        for b in range(LANES):
            relative[n, b] *= _ONE + power[b]
        exp2_lanes(relative, n, powers, bits)


@njit(cache=True, error_model="numpy")
def _first_below(relative, axis, b, start, bound):
    """The first candidate from ``start`` on whose relative error is at most ``bound``; CANDIDATES if none is."""
    n = start
    while n < CANDIDATES and relative[axis, n, b] > bound:
        n += 1
    return n


@njit(cache=True, error_model="numpy")
def _cheapest(relative, b, points):
    """The tensor rule of one lane with the fewest points whose relative errors add up to 1 at most, by enumeration.

    Of several the one with the least error, so that it does not matter which axis is called the first.
    """
    least, best = (MOST + 1) ** 3, _ONE
    # along each axis alone, fewer points than these are never enough
    x0 = _first_below(relative, 0, b, 0, _ONE)
    y0 = _first_below(relative, 1, b, 0, _ONE)
    z0 = _first_below(relative, 2, b, 0, _ONE)
    for x in range(x0, CANDIDATES):
        if (x + FEWEST) * (y0 + FEWEST) * (z0 + FEWEST) > least:
            break
        left = _ONE - relative[0, x, b]
        for y in range(y0, CANDIDATES):
            if (x + FEWEST) * (y + FEWEST) * (z0 + FEWEST) > least:
                break
            remaining = left - relative[1, y, b]
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
    return least <= MOST**3


@njit(cache=True, error_model="numpy")
def _cheapest_equal(relative, b, points):
    """The same with equal numbers along the three axes."""
    for n in range(CANDIDATES):
        if relative[0, n, b] + relative[1, n, b] + relative[2, n, b] <= _ONE:
            points[:] = n + FEWEST
            return True
    return False


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _mark(own, low, high, inside, exact):
    """Keep in ``inside`` what is in the range of training, in ``exact`` what is a parallelepiped."""
    for k in range(FEATURES):
        for b in range(LANES):
            inside[b] &= (own[k, b] >= low[k]) & (own[k, b] <= high[k])
    for k in range(FIRST_TWIST, FEATURES - 1):
        for b in range(LANES):
            exact[b] &= own[k, b] < _PARALLEL


@njit(parallel=True, cache=True, error_model="numpy", fastmath=_FAST)
def _choose_all(hexahedra, material, layers, low, high, least, settings, anisotropic, points, known):
    weight0, bias0, weight1, bias1, weight2, bias2 = layers
    for block in prange(-(-hexahedra.shape[0] // LANES)):
        work = work_space()
        features = np.zeros((3, _PADDED, LANES), dtype=np.float32)
        estimates = np.empty((3, CANDIDATES, LANES), dtype=np.float32)
        first_values = np.empty((weight0.shape[0], LANES), dtype=np.float32)
        second_values = np.empty((weight1.shape[0], LANES), dtype=np.float32)
        outputs = np.empty((3, OUTPUTS, LANES), dtype=np.float32)
        power, common = np.empty(LANES, dtype=np.float32), np.empty(LANES, dtype=np.float32)
        relative = np.empty((3, CANDIDATES, LANES), dtype=np.float32)
        row, powers = np.empty((1, LANES), dtype=np.float32), np.empty(LANES, dtype=np.float32)
        bits = powers.view(np.int32)
        inside, exact = np.ones(LANES, dtype=np.bool_), np.ones(LANES, dtype=np.bool_)
        first = block * LANES
        describe_block(hexahedra, first, work, features, estimates)
        for axis in range(3):
            own = features[axis]
            for b in range(LANES):
                own[FEATURES - 1, b] = material[min(first + b, hexahedra.shape[0] - 1)]
            _mark(own, low, high, inside, exact)
            dense_lanes(own, weight0, bias0, first_values)
            silu_lanes(first_values, row, powers, bits)
            dense_lanes(first_values, weight1, bias1, second_values)
            silu_lanes(second_values, row, powers, bits)
            dense_lanes(second_values, weight2, bias2, outputs[axis])
        _shared(outputs, POWER, LEAST_POWER, MOST_POWER, row, powers, bits, power)
        _shared(outputs, POWER + 1, LEAST_SPREAD, MOST_SPREAD, row, powers, bits, common)
        for axis in range(3):
            _relative_errors(
                estimates[axis], outputs[axis], least, power, common, settings, row, powers, bits, relative[axis]
            )
        for b in range(min(LANES, hexahedra.shape[0] - first)):
            chosen = points[first + b]
            chosen[:] = MOST
            if exact[b]:
                chosen[:] = FEWEST
                known[first + b] = True
                continue
            found = _cheapest(relative, b, chosen) if anisotropic else _cheapest_equal(relative, b, chosen)
            known[first + b] = found and inside[b]
            if not known[first + b]:
                chosen[:] = MOST
