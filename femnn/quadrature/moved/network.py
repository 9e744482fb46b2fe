"""Method 2 taken further: a network that moves the 2×2×2 Gauss points of an element and changes their weights.

The network sees an element in its canonical pose and gives the moves of the eight points and the logarithms of their
weights. Near ties the mean over several poses is taken (:func:`femnn.geometry.symmetry.weighted_poses`), so that points
and weights commute with all 48 symmetries of the cube and change continuously, whatever the network says.

The Error of Gauss points is quadratic in the warp J₀⁻¹h, so the moves are too: the network is shown the warp's
direction and size and predicts the moves over the size squared. They vanish in parallelepipeds.
"""

from functools import cache

import numpy as np

from femnn.geometry.coordinates import invariant_coordinates
from femnn.geometry.symmetry import coordinate_symmetries, likely_poses, permutations_of, symmetries
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import kernel_array
from femnn.networks.activations import exp, tanh
from femnn.networks.perceptron import Perceptron
from femnn.quadrature.moved.projection import GAUSS_POINTS
from femnn.system.compile import njit

#: Numbers that the network sees, and that it gives: for each point moves along ξ, η, ζ and the logarithm of the weight.
FEATURES, OUTPUTS = 19, 32

#: Largest move of a point along an axis of [-1, 1]³: the faces are 0.42 away. And largest logarithm of a weight.
MOST_MOVE, MOST_LOGARITHM = 0.4, 2.0

# Directions and sizes in units in which they are of the order of one.
_DIRECTION, _SIZE = 3.0, 2.0

# Elements whose 48 weights are held at a time, and those whose points are placed at a time.
_CHUNK, _AT_ONCE = 2048, 16


def describe(hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of elements that are no parallelepipeds.

    Returns
    -------
    features : (n, FEATURES)
        Direction of the warp (12), metric (6), size of the warp, in units of the order of one.
    size : (n,)
        Norm of the warp.
    """
    features = np.empty((len(hexahedra), FEATURES))
    features[:, :18] = invariant_coordinates(hexahedra)
    size = np.linalg.norm(features[:, :12], axis=1)
    features[:, :12] *= _DIRECTION / np.maximum(size, np.finfo(float).tiny)[:, None]
    features[:, 18] = _SIZE * size
    return features, size


@cache
def feature_symmetries() -> tuple[np.ndarray, np.ndarray]:
    """As :func:`femnn.geometry.symmetry.coordinate_symmetries`, for the FEATURES numbers that the network sees."""
    index, sign = coordinate_symmetries()
    return np.concatenate([index, np.full((48, 1), 18)], axis=1), np.concatenate([sign, np.ones((48, 1))], axis=1)


@cache
def _ways_back():
    """For each pose the origin of its points, (48, 8), and the transposed rotations of moves, (48, 3, 3)."""
    carried = permutations_of(tensor_gauss(2, 2, 2)[0])
    return np.argsort(carried, axis=1), np.ascontiguousarray(symmetries().transpose(0, 2, 1))


def predicted_moves(network: Perceptron, features: np.ndarray) -> np.ndarray:
    """Moves over the size of the warp squared, (n, 8, 4), from the features (n, FEATURES) of :func:`describe`."""
    parts = np.array_split(features, max(1, -(-len(features) // _CHUNK)))
    return np.concatenate([_mean_over_poses(network, part) for part in parts])


def _mean_over_poses(network, features):
    if len(features) == 0:
        return np.empty((0, 8, 4))
    counts, poses, weights = likely_poses(features[:, :12])
    starts = np.concatenate([[0], np.cumsum(counts)])
    index, sign = feature_symmetries()
    rows = np.empty((starts[-1], FEATURES))
    _describe_poses(kernel_array(features), starts, poses, index, sign, rows)
    moves = np.empty((len(features), 8, 4))
    _mean(starts, poses, weights, *_ways_back(), kernel_array(network(rows)), moves)
    return moves


@njit(over="features", cache=True, error_model="numpy")
def _describe_poses(begin, end, features, starts, poses, index, sign, rows):
    """The features of each element in each of its poses."""
    for e in range(begin, end):
        for j in range(starts[e + 1] - starts[e]):
            g = poses[e, j]
            for k in range(FEATURES):
                rows[starts[e] + j, k] = sign[g, k] * features[e, index[g, k]]


@njit(over="moves", cache=True, error_model="numpy")
def _mean(begin, end, starts, poses, weights, sources, rotations, answers, moves):
    """What the network answers to the poses of each element, taken back and averaged."""
    for e in range(begin, end):
        moves[e] = 0.0
        for j in range(starts[e + 1] - starts[e]):
            g, row, weight = poses[e, j], starts[e] + j, weights[e, j]
            for q in range(8):
                place = 4 * sources[g, q]
                x, y, z = answers[row, place], answers[row, place + 1], answers[row, place + 2]
                for i in range(3):
                    moves[e, q, i] += weight * (
                        x * rotations[g, 0, i] + y * rotations[g, 1, i] + z * rotations[g, 2, i]
                    )
                moves[e, q, 3] += weight * answers[row, place + 3]


def placed(moves: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 8, 3) in [-1, 1]³ and weights (n, 8), Gauss weights 1, from the moves of :func:`predicted_moves`.

    Points lie inside the cube and weights are positive whatever the network says.
    """
    points, weights = np.empty((len(moves), 8, 3)), np.empty((len(moves), 8))
    _place(kernel_array(moves), size, GAUSS_POINTS, points, weights)
    return points, weights


@njit(over="moves", grain=256, cache=True, error_model="numpy")
def _place(begin, end, moves, size, gauss, points, weights):
    shares, logarithms = np.empty((_AT_ONCE, 8, 4)), np.empty((_AT_ONCE, 8))
    for first in range(begin, end, _AT_ONCE):
        count = min(_AT_ONCE, end - first)
        for e in range(count):
            square = size[first + e] ** 2
            for q in range(8):
                for i in range(3):
                    shares[e, q, i] = square * moves[first + e, q, i] / MOST_MOVE
                shares[e, q, 3] = square * moves[first + e, q, 3] / MOST_LOGARITHM
        tanh(shares[:count].reshape(-1))
        for e in range(count):
            for q in range(8):
                for i in range(3):
                    points[first + e, q, i] = gauss[q, i] + MOST_MOVE * shares[e, q, i]
                logarithms[e, q] = MOST_LOGARITHM * shares[e, q, 3]
        exp(logarithms[:count].reshape(-1))
        weights[first : first + count] = logarithms[:count]
