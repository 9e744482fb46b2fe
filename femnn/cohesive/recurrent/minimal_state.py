"""The minimal-state cell: a recurrent network whose state is what an interface must remember, and no more.

After the minimal state cells of Bonatti & Mohr (Science Advances 7 (2021) eabf3658), whose hidden variables are as few
as the material needs and whose response does not depend on the size of the steps (self-consistency: J. Mech. Phys.
Solids 158 (2022) 104697). Here the three hidden variables are the damage and the slip, moved by gates that make the
cell dissipative (:mod:`femnn.cohesive.damage`):

- damage: d ← max(d, 1 − min(1, E/e)), a max gate; e is the traction of the intact interface, E the largest one that
  the separation can bear, in units of the traction scale. Of the size r of the separation and its mode θ = s²/r², s the
  sliding, E = A(θ) + B(θ) r + C(r, θ): read from the two hidden layers of a perceptron, the first of which sees θ only.
  In each mode it softens linearly as far as C vanishes, and then Newton's method has nothing to iterate about.
- slip: γ follows the sliding as far as Coulomb's cone makes it, a clip gate.

By construction: no traction at zero separation of a virgin point, dissipation that is never negative, contact, isotropy
of shear, and, since max does not count its arguments, straight steps of any length. Learned: E, the three stiffnesses
and the coefficient of friction. This file evaluates the cell with Numba; :mod:`femnn.cohesive.recurrent.torch_cells`
trains it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive import damage
from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import WeightFileError
from femnn.system.compile import njit

#: Beyond this many separation scales the perceptron sees the same as there: nothing is extrapolated.
REACH = 1.4

TENSORS = ("weight0", "bias0", "linear", "line", "weight1", "bias1", "weight2", "stiffness", "friction")


class MinimalState(Cell):
    """A trained minimal-state cell, evaluated in float64. Its slip is in the unit of the separation.

    Parameters
    ----------
    tensors
        ``weight0`` (m, 1), ``bias0`` (m,) of the mode's hidden layer; ``linear`` (2, m), ``line`` (2,): A and B from
        it; ``weight1`` (k, m + 1), ``bias1`` (k,) of the second layer, which sees the first and the size; ``weight2``
        (1, k): C from it; ``stiffness`` (3,): logarithms of the stiffnesses of opening, shear and contact, in traction
        scales per separation scale; ``friction`` (1,): its inverse softplus.

    Raises
    ------
    WeightFileError
        If tensors are missing or do not fit each other.
    """

    state_size = 3

    def __init__(self, tensors: Mapping[str, ArrayLike]) -> None:
        _check(tensors)
        self.tensors = {name: np.asarray(tensors[name], dtype=np.float64) for name in TENSORS}
        arrays = list(self.tensors.values())
        # transposed: the innermost loop runs over neighbouring numbers
        self._weights = tuple(np.ascontiguousarray(array.T) for array in arrays[:7])
        self._stiffness, self._friction = np.exp(arrays[7]), float(np.logaddexp(0.0, arrays[8][0]))
        self._relative = (float(self._stiffness[0]), float(self._stiffness[1]))

    def step(self, x, state):
        return self.update(x, state, 1.0, 1.0)

    def update(self, separation, state, separation_scale, traction_scale):
        target, gradient = envelope_damage(separation, separation_scale, self._relative, self._weights)
        stiffness = self._in_units(separation_scale, traction_scale)
        return damage.respond(separation, state, target, gradient, stiffness)

    def free_energy(self, separation, state, separation_scale, traction_scale):
        return damage.free_energy(separation, state, self._in_units(separation_scale, traction_scale))

    def damage(self, state):
        return state[:, damage.DAMAGE].copy()

    def _in_units(self, separation_scale, traction_scale):
        """Stiffness of opening, shear and contact, and Coulomb's coefficient, as the damage takes them."""
        return (*(self._stiffness * traction_scale / separation_scale).tolist(), self._friction)


@njit(cache=True, error_model="numpy")
def envelope_damage(separation, scale, stiffness, weights):
    """Damage that each separation asks for, (n,), and its derivative by the separation, (n, 3)."""
    n = separation.shape[0]
    target, gradient = np.zeros(n), np.zeros((n, 3))
    first, second = np.empty((2, len(weights[1]))), np.empty((3, len(weights[5])))
    for k in range(n):
        opening = max(separation[k, 0], 0.0) / scale
        s1, s2 = separation[k, 1] / scale, separation[k, 2] / scale
        sliding = np.sqrt(s1 * s1 + s2 * s2)
        by_opening, by_sliding = stiffness[0] ** 2 * opening, stiffness[1] ** 2 * sliding
        elastic = np.sqrt(by_opening * opening + by_sliding * sliding)
        if elastic == 0.0:
            continue
        envelope, envelope_a, envelope_s = _envelope(opening, sliding, weights, first, second)
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
def _envelope(opening, sliding, weights, first, second):
    """The largest traction that a separation can bear, and its derivatives by opening and by sliding."""
    weight0, bias0, linear, line, weight1, bias1, weight2 = weights
    a, s = min(opening, REACH), min(sliding, REACH)
    size = np.sqrt(a * a + s * s)
    mode = (s / size) ** 2
    _mode_layer(mode, weight0, bias0, first)
    at_zero, slope, at_zero_by_mode, slope_by_mode = line[0], line[1], 0.0, 0.0
    for i in range(first.shape[1]):
        at_zero += linear[i, 0] * first[0, i]
        slope += linear[i, 1] * first[0, i]
        at_zero_by_mode += linear[i, 0] * first[1, i]
        slope_by_mode += linear[i, 1] * first[1, i]
    envelope, by_mode, by_size = at_zero + slope * size, at_zero_by_mode + slope_by_mode * size, slope
    _layer(first, size, weight1, bias1, second)
    for i in range(second.shape[1]):
        envelope += weight2[i, 0] * second[0, i]
        by_mode += weight2[i, 0] * second[1, i]
        by_size += weight2[i, 0] * second[2, i]
    by_a, by_s = by_size * a / size, by_size * s / size
    turn = 2.0 * by_mode / size**3
    by_a, by_s = by_a - turn * a * s * s / size, by_s + turn * s * a * a / size
    return envelope, by_a if opening < REACH else 0.0, by_s if sliding < REACH else 0.0


@njit(cache=True, error_model="numpy")
def _mode_layer(mode, weight, bias, outputs):
    """The first layer and its derivative by the mode; z/√(1 + z²) needs no transcendental function."""
    for j in range(len(bias)):
        z = bias[j] + weight[0, j] * mode
        root = 1.0 / np.sqrt(1.0 + z * z)
        outputs[0, j] = z * root
        outputs[1, j] = root * root * root * weight[0, j]


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _layer(inputs, size, weight, bias, outputs):
    """The second layer and its derivatives by the mode and by the size."""
    width, last = bias.shape[0], inputs.shape[1]
    for j in range(width):
        outputs[0, j] = bias[j] + weight[last, j] * size
        outputs[1, j] = 0.0
    for i in range(last):
        value, by_mode = inputs[0, i], inputs[1, i]
        for j in range(width):
            outputs[0, j] += weight[i, j] * value
            outputs[1, j] += weight[i, j] * by_mode
    for j in range(width):
        z = outputs[0, j]
        root = 1.0 / np.sqrt(1.0 + z * z)
        slope = root * root * root
        outputs[0, j] = z * root
        outputs[1, j] *= slope
        outputs[2, j] = slope * weight[last, j]


def _check(tensors):
    missing = [name for name in TENSORS if name not in tensors]
    if missing:
        raise WeightFileError(f"a minimal-state cell lacks the tensors {', '.join(missing)}; fetch the file again")
    shapes = {name: np.shape(tensors[name]) for name in TENSORS}
    width, second = shapes["bias0"][0], shapes["bias1"][0]
    expected = {
        "weight0": (width, 1),
        "bias0": (width,),
        "linear": (2, width),
        "line": (2,),
        "weight1": (second, width + 1),
        "bias1": (second,),
        "weight2": (1, second),
        "stiffness": (3,),
        "friction": (1,),
    }
    wrong = [f"{name} {shapes[name]} instead of {shape}" for name, shape in expected.items() if shapes[name] != shape]
    if wrong:
        raise WeightFileError(f"these are no tensors of a minimal-state cell: {wrong[0]}; fetch the file again")
