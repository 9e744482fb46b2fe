"""The minimal-state cell: a recurrent network whose state is what an interface must remember, and no more.

After the minimal state cells of Bonatti & Mohr (Science Advances 7 (2021) eabf3658), whose hidden variables are as few
as the material needs and whose response does not depend on the size of the steps (self-consistency: J. Mech. Phys.
Solids 158 (2022) 104697). Here the three hidden variables are the damage and the slip, moved by gates that make the
cell dissipative (:mod:`femnn.cohesive.damage`):

- damage: d ← max(d, 1 − min(1, E(a, s)/e)), a max gate. E, the largest traction that a separation can bear, is a
  perceptron of opening a and sliding s; e is the traction of the intact interface. In units of the traction scale.
- slip: γ follows the sliding as far as Coulomb's cone makes it, a clip gate.

By construction: no traction at zero separation of a virgin point, dissipation that is never negative, contact, isotropy
of shear, and, since max does not count its arguments, straight steps of any length. Learned: E, the three stiffnesses
and the coefficient of friction. This file evaluates the cell with Numba; :mod:`femnn.cohesive.cells` trains it.
"""

import numpy as np
from numba import njit

from femnn.cohesive import damage
from femnn.exceptions import WeightFileError

#: Smoothing of the features at the origin, in units of the separation scale.
SMOOTHING = 1e-3
#: Beyond this many separation scales the perceptron sees the same as there: nothing is extrapolated.
REACH = 1.4

TENSORS = ("weight0", "bias0", "weight1", "bias1", "weight2", "bias2", "direct", "stiffness", "friction")


class MinimalState:
    """A trained minimal-state cell, evaluated in float64.

    Parameters
    ----------
    tensors
        ``weight{k}``, ``bias{k}`` of the perceptron and ``direct`` (1, 4) past its hidden layers; ``stiffness`` (3,):
        logarithms of the stiffnesses of opening, shear and contact, in traction scales per separation scale;
        ``friction`` (1,): its inverse softplus.
    separation_scale, traction_scale
        Units of the cell, m and Pa.

    Raises
    ------
    WeightFileError
        If tensors are missing or do not fit each other.
    """

    def __init__(self, tensors, separation_scale, traction_scale):
        _check(tensors)
        self.tensors = {name: np.asarray(tensors[name], dtype=np.float64) for name in TENSORS}
        arrays = list(self.tensors.values())
        # transposed: the innermost loop runs over neighbouring numbers
        self.weights = tuple(np.ascontiguousarray(array.T) for array in arrays[:7])
        self.separation_scale = separation_scale
        stiffness, friction = np.exp(arrays[7]), np.logaddexp(0.0, arrays[8][0])
        self.relative = (float(stiffness[0]), float(stiffness[1]))
        self.stiffness = (*(stiffness * traction_scale / separation_scale).tolist(), float(friction))

    def initial(self, n):
        """Values of ``n`` virgin points."""
        return np.zeros((n, 3))

    def update(self, separation, values):
        """Traction, tangent and new values, in SI units."""
        target, gradient = envelope_damage(separation, self.separation_scale, self.relative, self.weights)
        return damage.respond(separation, values, target, gradient, self.stiffness)

    def free_energy(self, separation, values):
        """Stored energy of each point, (n,), J/m²."""
        return damage.free_energy(separation, values, self.stiffness)

    def damage(self, values):
        """Damage of each point, (n,)."""
        return values[:, damage.DAMAGE].copy()


@njit(cache=True, error_model="numpy")
def envelope_damage(separation, scale, stiffness, weights):
    """Damage that each separation asks for, (n,), and its derivative by the separation, (n, 3)."""
    n, width = separation.shape[0], weights[1].shape[0]
    target, gradient = np.zeros(n), np.zeros((n, 3))
    features = np.empty((3, 4))
    first, second = np.empty((3, width)), np.empty((3, weights[3].shape[0]))
    for k in range(n):
        opening = max(separation[k, 0], 0.0) / scale
        s1, s2 = separation[k, 1] / scale, separation[k, 2] / scale
        sliding = np.sqrt(s1 * s1 + s2 * s2)
        by_opening, by_sliding = stiffness[0] ** 2 * opening, stiffness[1] ** 2 * sliding
        elastic = np.sqrt(by_opening * opening + by_sliding * sliding)
        if elastic == 0.0:
            continue
        _features(opening, sliding, features)
        _layer(features, weights[0], weights[1], first)
        _layer(first, weights[2], weights[3], second)
        envelope, envelope_a, envelope_s = weights[5][0], 0.0, 0.0
        for i in range(4):
            envelope += weights[6][i, 0] * features[0, i]
            envelope_a += weights[6][i, 0] * features[1, i]
            envelope_s += weights[6][i, 0] * features[2, i]
        for i in range(second.shape[1]):
            envelope += weights[4][i, 0] * second[0, i]
            envelope_a += weights[4][i, 0] * second[1, i]
            envelope_s += weights[4][i, 0] * second[2, i]
        if envelope >= elastic:
            continue
        if envelope <= 0.0:
            target[k] = 1.0
            continue
        left = envelope / elastic
        target[k] = 1.0 - left
        by_a = (left * by_opening / elastic - envelope_a) / elastic / scale
        by_s = (left * by_sliding / elastic - envelope_s) / elastic / scale
        if opening > 0.0:
            gradient[k, 0] = by_a
        if sliding > 0.0:
            gradient[k, 1] = by_s * s1 / sliding
            gradient[k, 2] = by_s * s2 / sliding
    return target, gradient


@njit(cache=True, error_model="numpy")
def _features(opening, sliding, features):
    """Features of the perceptron (row 0) and their derivatives by opening and by sliding (rows 1 and 2)."""
    a, s = min(opening, REACH), min(sliding, REACH)
    by_a, by_s = 1.0 if opening < REACH else 0.0, 1.0 if sliding < REACH else 0.0
    size = np.sqrt(a * a + s * s + SMOOTHING * SMOOTHING)
    share = s * s / (size * size)
    features[0, 0], features[1, 0], features[2, 0] = a, by_a, 0.0
    features[0, 1], features[1, 1], features[2, 1] = s, 0.0, by_s
    features[0, 2], features[1, 2], features[2, 2] = size, by_a * a / size, by_s * s / size
    features[0, 3] = share
    features[1, 3] = -2.0 * by_a * share * a / (size * size)
    features[2, 3] = 2.0 * by_s * s * (1.0 - share) / (size * size)


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _layer(inputs, weight, bias, outputs):
    """One layer and its forward derivatives; the activation z/√(1 + z²) needs no transcendental function."""
    width = bias.shape[0]
    for j in range(width):
        outputs[0, j] = bias[j]
        outputs[1, j] = 0.0
        outputs[2, j] = 0.0
    for i in range(weight.shape[0]):
        value, by_a, by_s = inputs[0, i], inputs[1, i], inputs[2, i]
        for j in range(width):
            outputs[0, j] += weight[i, j] * value
            outputs[1, j] += weight[i, j] * by_a
            outputs[2, j] += weight[i, j] * by_s
    for j in range(width):
        z = outputs[0, j]
        root = 1.0 / np.sqrt(1.0 + z * z)
        slope = root * root * root
        outputs[0, j] = z * root
        outputs[1, j] *= slope
        outputs[2, j] *= slope


def _check(tensors):
    missing = [name for name in TENSORS if name not in tensors]
    if missing:
        raise WeightFileError(f"a minimal-state cell lacks the tensors {', '.join(missing)}; fetch the file again")
    shapes = {name: np.shape(tensors[name]) for name in TENSORS}
    width, second = shapes["bias0"][0], shapes["bias1"][0]
    expected = {
        "weight0": (width, 4),
        "bias0": (width,),
        "weight1": (second, width),
        "bias1": (second,),
        "weight2": (1, second),
        "bias2": (1,),
        "direct": (1, 4),
        "stiffness": (3,),
        "friction": (1,),
    }
    wrong = [f"{name} {shapes[name]} instead of {shape}" for name, shape in expected.items() if shapes[name] != shape]
    if wrong:
        raise WeightFileError(f"these are no tensors of a minimal-state cell: {wrong[0]}; fetch the file again")
