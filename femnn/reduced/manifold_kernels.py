"""Numba kernels of manifolds: features of the free coordinates and their slopes.

Without hidden layers, ``widths`` = (n,), the features are the products q_i q_j with i ≤ j. Else they are the last
hidden layer of a perceptron: ``layers`` holds 0 for the activation x · sigmoid(x) or 1 for tanh, then weights (outputs,
inputs) and bias of each layer.
"""

import math

import numpy as np

from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True)
def count_features(widths):
    """How many features there are."""
    n = widths[0]
    return n * (n + 1) // 2 if len(widths) == 1 else widths[-1]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def features(q, widths, layers, h, work):
    """Write the features ``h`` (m,) of coordinates; ``work`` (2, widest)."""
    n = len(q)
    if len(widths) == 1:
        k = 0
        for i in range(n):
            for j in range(i, n):
                h[k] = q[i] * q[j]
                k += 1
        return
    work[0, :n] = q
    place = 1
    for layer in range(len(widths) - 1):
        inputs, outputs = widths[layer], widths[layer + 1]
        weight = layers[place : place + inputs * outputs].reshape(outputs, inputs)
        bias = layers[place + inputs * outputs :][:outputs]
        after = work[(layer + 1) % 2, :outputs]
        np.dot(weight, work[layer % 2, :inputs], after)
        if layers[0] == 1.0:
            for o in range(outputs):
                after[o] = math.tanh(after[o] + bias[o])
        else:
            for o in range(outputs):
                z = after[o] + bias[o]
                after[o] = z / (1.0 + math.exp(-z))
        place += (inputs + 1) * outputs
    h[:] = work[(len(widths) - 1) % 2, : len(h)]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _activated(z, is_tanh):
    """Value and slope of an activation."""
    if is_tanh:
        value = math.tanh(z)
        return value, 1.0 - value * value
    gate = 1.0 / (1.0 + math.exp(-z))
    return z * gate, gate * (1.0 + z * (1.0 - gate))


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def slopes_of_features(q, widths, layers, slopes, work):
    """Write the derivatives ``slopes`` (m, n) of the features; ``work`` (2, widest, n + 1)."""
    n = len(q)
    if len(widths) == 1:
        slopes[:] = 0.0
        k = 0
        for i in range(n):
            for j in range(i, n):
                slopes[k, i] += q[j]
                slopes[k, j] += q[i]
                k += 1
        return
    # values and derivatives side by side: column n holds the values
    work[0, :n] = 0.0
    for i in range(n):
        work[0, i, i] = 1.0
        work[0, i, n] = q[i]
    place = 1
    for layer in range(len(widths) - 1):
        inputs, outputs = widths[layer], widths[layer + 1]
        weight = layers[place : place + inputs * outputs].reshape(outputs, inputs)
        bias = layers[place + inputs * outputs :][:outputs]
        after = work[(layer + 1) % 2, :outputs]
        np.dot(weight, work[layer % 2, :inputs], after)
        for o in range(outputs):
            after[o, n], slope = _activated(after[o, n] + bias[o], layers[0] == 1.0)
            for i in range(n):
                after[o, i] *= slope
        place += (inputs + 1) * outputs
    last = work[(len(widths) - 1) % 2]
    for o in range(len(slopes)):
        for i in range(n):
            slopes[o, i] = last[o, i]


@njit(cache=True)
def features_of_rows(rows, widths, layers):
    """Features (number, m) of rows (number, n)."""
    h = np.empty((len(rows), count_features(widths)))
    work = np.empty((2, widths.max()))
    for row in range(len(rows)):
        features(rows[row], widths, layers, h[row], work)
    return h


@njit(cache=True)
def slopes_at(q, widths, layers):
    """Derivatives (m, n) of the features at q (n,)."""
    slopes = np.empty((count_features(widths), len(q)))
    slopes_of_features(q, widths, layers, slopes, np.empty((2, widths.max(), len(q) + 1)))
    return slopes
