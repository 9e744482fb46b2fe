"""Activation functions of many values by one compiled loop: NumPy passes over them six times."""

import math

import numpy as np

from femnn.networks.vector_math import BIAS, EXP, LARGEST, ONE, SHIFT, TWO
from femnn.networks.vector_math import LOG2_E as SINGLE_LOG2_E
from femnn.system.compile import njit

# Values worked on at a time, for loops that become vector instructions.
_BLOCK = 64

# e^-t = 2^k e^r with |r| at most ½ log 2, where a polynomial of this degree leaves 1e-17; log 2 in two parts, the first
# of which has so few digits that k times it is exact.
_DEGREE = 12
_TAYLOR = tuple(1.0 / math.factorial(k) for k in range(_DEGREE + 1))
_LOG2_E, _LOG2_HIGH, _LOG2_LOW = 1.0 / math.log(2.0), 0.693145751953125, 1.42860682030941723212e-6
_LARGEST = 700.0


@njit(cache=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _add_exp_of_minus(part, factor, one, bits, powers, rest):
    """``one`` + e^(-factor x) of ``part`` (at most _BLOCK values) into ``rest``; the others are work space."""
    count = len(part)
    for b in range(count):
        x = min(max(-factor * part[b], -_LARGEST), _LARGEST)
        whole = np.floor(x * _LOG2_E + 0.5)
        rest[b] = (x - whole * _LOG2_HIGH) - whole * _LOG2_LOW
        bits[b] = (np.int64(whole) + 1023) << 52
    for b in range(count):
        r = rest[b]
        total = _TAYLOR[12]
        total = total * r + _TAYLOR[11]
        total = total * r + _TAYLOR[10]
        total = total * r + _TAYLOR[9]
        total = total * r + _TAYLOR[8]
        total = total * r + _TAYLOR[7]
        total = total * r + _TAYLOR[6]
        total = total * r + _TAYLOR[5]
        total = total * r + _TAYLOR[4]
        total = total * r + _TAYLOR[3]
        total = total * r + _TAYLOR[2]
        total = total * r + _TAYLOR[1]
        total = total * r + _TAYLOR[0]
        rest[b] = one + total * powers[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def silu(values):
    """x/(1 + e^-x) of ``values`` (n,) in place; NaN stays NaN."""
    bits = np.empty(_BLOCK, dtype=np.int64)
    powers, rest = bits.view(np.float64), np.empty(_BLOCK)
    for start in range(0, len(values), _BLOCK):
        # a view, so that the compiler knows that no index wraps around
        part = values[start : start + _BLOCK]
        _add_exp_of_minus(part, 1.0, 1.0, bits, powers, rest)
        for b in range(len(part)):
            part[b] /= rest[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def tanh(values):
    """The hyperbolic tangent of ``values`` (n,) in place, to 2e-16 of one."""
    bits = np.empty(_BLOCK, dtype=np.int64)
    powers, rest = bits.view(np.float64), np.empty(_BLOCK)
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        _add_exp_of_minus(part, 2.0, 1.0, bits, powers, rest)
        for b in range(len(part)):
            # what is no number stays none
            part[b] = 2.0 / rest[b] - 1.0 if part[b] == part[b] else part[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def exp(values):
    """e^x of ``values`` (n,) in place, to 4e-16 of it; of what is beyond ±700 that of ±700."""
    bits = np.empty(_BLOCK, dtype=np.int64)
    powers, rest = bits.view(np.float64), np.empty(_BLOCK)
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        _add_exp_of_minus(part, -1.0, 0.0, bits, powers, rest)
        for b in range(len(part)):
            part[b] = rest[b] if part[b] == part[b] else part[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _add_bias_and_single_exp(part, own, bits, powers, rest):
    """Add ``own`` to float32 values x in ``part``, and 1 + e^-x of the sums as :func:`_add_exp_of_minus`."""
    count = len(part)
    for b in range(count):
        part[b] += own[b]
    for b in range(count):
        x = min(max(-SINGLE_LOG2_E * part[b], -LARGEST), LARGEST)
        whole = np.floor(x)
        bits[b] = (np.int32(whole) + BIAS) << SHIFT
        rest[b] = TWO * (x - whole) - ONE
    for b in range(count):
        t = rest[b]
        p = EXP[5]
        p = p * t + EXP[4]
        p = p * t + EXP[3]
        p = p * t + EXP[2]
        p = p * t + EXP[1]
        p = p * t + EXP[0]
        rest[b] = ONE + p * powers[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def single_silu(rows, bias):
    """x/(1 + e^-x) of float32 ``rows`` (n, k) plus ``bias`` (k,) in place, to 3e-7; NaN stays NaN."""
    bits = np.empty(_BLOCK, dtype=np.int32)
    powers, rest = bits.view(np.float32), np.empty(_BLOCK, dtype=np.float32)
    for e in range(len(rows)):
        for start in range(0, len(bias), _BLOCK):
            part, own = rows[e, start : start + _BLOCK], bias[start : start + _BLOCK]
            _add_bias_and_single_exp(part, own, bits, powers, rest)
            for b in range(len(part)):
                part[b] /= rest[b]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def single_sigmoid(rows, bias):
    """1/(1 + e^-x) of float32 ``rows`` (n, k) plus ``bias`` (k,) in place, to 3e-7."""
    bits = np.empty(_BLOCK, dtype=np.int32)
    powers, rest = bits.view(np.float32), np.empty(_BLOCK, dtype=np.float32)
    for e in range(len(rows)):
        for start in range(0, len(bias), _BLOCK):
            part, own = rows[e, start : start + _BLOCK], bias[start : start + _BLOCK]
            _add_bias_and_single_exp(part, own, bits, powers, rest)
            for b in range(len(part)):
                part[b] = ONE / rest[b] if part[b] == part[b] else part[b]
