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
def features(q, widths, layers, with_slopes, h, slopes, work):  # noqa: C901
    """Write features ``h`` (m,) and, if asked for, their derivatives ``slopes`` (m, n); ``work`` (2, widest, n + 1)."""
    n = len(q)
    if len(widths) == 1:
        slopes[:] = 0.0
        k = 0
        for i in range(n):
            for j in range(i, n):
                h[k] = q[i] * q[j]
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
        before, after = work[layer % 2, :inputs], work[(layer + 1) % 2, :outputs]
        if with_slopes:
            np.dot(weight, before, after)
        else:
            for o in range(outputs):
                total = 0.0
                for i in range(inputs):
                    total += weight[o, i] * before[i, n]
                after[o, n] = total
        for o in range(outputs):
            z = after[o, n] + bias[o]
            if layers[0] == 1.0:
                value = math.tanh(z)
                slope = 1.0 - value * value
            else:
                gate = 1.0 / (1.0 + math.exp(-z))
                value, slope = z * gate, gate * (1.0 + z * (1.0 - gate))
            if with_slopes:
                for i in range(n):
                    after[o, i] *= slope
            after[o, n] = value
        place += (inputs + 1) * outputs
    last = work[(len(widths) - 1) % 2]
    for o in range(len(h)):
        h[o] = last[o, n]
        if with_slopes:
            for i in range(n):
                slopes[o, i] = last[o, i]


@njit(cache=True)
def features_of_rows(rows, widths, layers):
    """Features (number, m) and slopes (number, m, n) of rows (number, n)."""
    n, m = rows.shape[1], count_features(widths)
    h, slopes = np.empty((len(rows), m)), np.empty((len(rows), m, n))
    work = np.empty((2, widths.max(), n + 1))
    for row in range(len(rows)):
        features(rows[row], widths, layers, True, h[row], slopes[row], work)
    return h, slopes
