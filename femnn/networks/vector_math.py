"""Vector arithmetic in float32 that Numba's compiler has no instructions for: log₂, 2^x and small dense layers.

Arrays are (rows, BLOCK), one column for each element of a block; inner loops run over the elements and become vector
instructions. All constants are float32, because one float64 would halve the width of everything behind it.
"""

import numpy as np

from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Elements of a block, which are worked on at a time.
BLOCK = 64


def _power_series(function, degree):
    interpolant = np.polynomial.chebyshev.chebinterpolate(lambda t: function(0.5 * (t + 1.0)), degree)
    return tuple(np.float32(c) for c in np.polynomial.chebyshev.cheb2poly(interpolant))


# log₂(1 + u) and 2^u for u = (t + 1)/2 in [0, 1], as polynomials in t: 4e-6 and 2e-7 at most.
_LOG = _power_series(lambda u: np.log2(1.0 + u), 7)
EXP = _power_series(np.exp2, 5)
_ZERO, ONE, TWO, _THREE = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(3.0)
_MANTISSA, _ONE_BITS, SHIFT, BIAS = np.int32(0x7FFFFF), np.int32(0x3F800000), np.int32(23), np.int32(127)
LARGEST = np.float32(60.0)
LOG2_E = np.float32(1.0 / np.log(2.0))


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def vector_log2(values, bits, row, exponents):
    """log₂ of one row of positive ``values`` in place; ``bits`` is its int32 view, ``exponents`` work space."""
    for b in range(BLOCK):
        whole = bits[row, b]
        exponents[b] = np.float32((whole >> SHIFT) - BIAS)
        bits[row, b] = (whole & _MANTISSA) | _ONE_BITS
    for b in range(BLOCK):
        t = TWO * values[row, b] - _THREE
        p = _LOG[7]
        p = p * t + _LOG[6]
        p = p * t + _LOG[5]
        p = p * t + _LOG[4]
        p = p * t + _LOG[3]
        p = p * t + _LOG[2]
        p = p * t + _LOG[1]
        p = p * t + _LOG[0]
        values[row, b] = p + exponents[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def vector_exp2(values, row, powers, bits):
    """2^x of one row of ``values`` in place; ``powers`` (BLOCK,) float32 and its int32 view ``bits`` are work space."""
    for b in range(BLOCK):
        x = min(max(values[row, b], -LARGEST), LARGEST)
        whole = np.floor(x)
        bits[b] = (np.int32(whole) + BIAS) << SHIFT
        values[row, b] = TWO * (x - whole) - ONE
    for b in range(BLOCK):
        t = values[row, b]
        p = EXP[5]
        p = p * t + EXP[4]
        p = p * t + EXP[3]
        p = p * t + EXP[2]
        p = p * t + EXP[1]
        p = p * t + EXP[0]
        values[row, b] = p * powers[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def vector_dense(values, weight, bias, result):
    """result = weight @ values + bias: (inputs, BLOCK) to (outputs, BLOCK); outputs even, inputs a multiple of four."""
    for j in range(0, weight.shape[0], 2):
        for b in range(BLOCK):
            result[j, b] = bias[j]
            result[j + 1, b] = bias[j + 1]
        for k in range(0, weight.shape[1], 4):
            u0, u1, u2, u3 = weight[j, k], weight[j, k + 1], weight[j, k + 2], weight[j, k + 3]
            v0, v1, v2, v3 = weight[j + 1, k], weight[j + 1, k + 1], weight[j + 1, k + 2], weight[j + 1, k + 3]
            for b in range(BLOCK):
                x0, x1, x2, x3 = values[k, b], values[k + 1, b], values[k + 2, b], values[k + 3, b]
                result[j, b] += u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3
                result[j + 1, b] += v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def vector_silu(values, gates, powers, bits):
    """x/(1 + e^-x) of all rows of ``values`` in place; ``gates`` (1, BLOCK) is work space, as are the others."""
    for row in range(values.shape[0]):
        for b in range(BLOCK):
            gates[0, b] = -LOG2_E * values[row, b]
        vector_exp2(gates, 0, powers, bits)
        for b in range(BLOCK):
            values[row, b] = values[row, b] / (ONE + gates[0, b])
