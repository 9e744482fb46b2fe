"""The network that predicts what 2×2×2 Gauss points miss of an element's hourglass part, for every linear material.

All that quadrature gets wrong in a linear stiffness is the matrix S of :mod:`femnn.assembly.hourglass.moments`, 78
smooth functions of the twelve numbers J₀⁻¹h: neither the material nor size, stretch, shear and position of the element
matter.

The network does not give S itself but *factors*. With F Fᵀ the centred S of the Gauss points (F is 12 × 8) and outputs
D (12 × 8) and E (12 × 6),

    S_predicted = θ F Fᵀ + (√(1 - θ) F + D)(√(1 - θ) F + D)ᵀ + E Eᵀ,        θ = 1/2,

so that S_predicted - θ F Fᵀ is positive semi-definite whatever the network says. D falls with the square of the
distance from a parallelepiped and E with the distance, so that the correction is zero for parallelepipeds and small
beside F where the element is nearly one, as the true difference is.
"""

import numpy as np

from femnn.assembly.hourglass.moments import (
    COLUMNS,
    GAUSS_POINTS,
    ROWS,
    factors_of_lanes,
    gauss_factors,
)
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.element_lanes import (
    BLOCK,
    LANES,
    ROW,
    block_of_moments,
    in_lanes,
    shared_lanes,
    spread,
    twist_values,
)
from femnn.integration.kernels import _FAST
from femnn.networks.perceptron import Architecture, Perceptron, standardisation
from femnn.system.compile import njit

#: θ: the fraction of the Gauss points' S that no prediction can take away.
KEPT = 0.5

#: Columns of E, an even number; with the eight of D more than the twelve that S can have.
EXTRA = 6

OUTPUTS = 12 * (8 + EXTRA)

_CORNERS = shared_lanes(SIGNS)
_ROOT = np.sqrt(1.0 - KEPT)

# Numbers without a sign: the compiler sees that no index wraps around.
_PATTERNS, _EXTRA, _FOUR, _SLOPES = np.uint64(8), np.uint64(EXTRA), np.uint64(4), np.uint64(12)
_ROW16, _MOVED = np.uint64(16 * LANES), np.uint64(96 * LANES)

# Places of the upper triangle in a 12 × 12 matrix, row by row.
_UPPER = 12 * ROWS + COLUMNS


def hourglass_features(warps: np.ndarray) -> np.ndarray:
    """Features of the network, shape (n, 13): direction and length of ``warps`` (n, 3, 4) in the canonical pose."""
    flat = np.reshape(warps, (len(warps), 12))
    distance = np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    direction = np.divide(flat, distance, out=np.zeros_like(flat), where=distance > 0)
    return np.concatenate([direction, distance], axis=1)


def hourglass_range(warps: np.ndarray) -> np.ndarray:
    """The numbers that say if an element is in the range of training, shape (n, 14).

    Its warps in the canonical pose, their length, and the least det J of its vertices, over det J of its centre.
    """
    flat, blocks = np.reshape(warps, (-1, 12)), in_lanes(warps)
    least = np.empty((len(blocks), LANES))
    _least_determinants(blocks, _CORNERS, least)
    size = np.sqrt((flat * flat).sum(axis=1, keepdims=True))
    return np.concatenate([flat, size, least.reshape(-1, 1)[: len(flat)]], axis=1)


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _least_determinants(begin, end, warps, corners, least):
    """The least det J of the vertices of each lane, over det J of its centre."""
    values = np.empty(13 * LANES)
    for block in range(begin, end):
        least[block] = np.inf
        for a in range(8):
            twist_values(warps[block], corners, 3 * a, values, 0)
            for b in range(BLOCK):
                least[block, b] = min(least[block, b], values[b])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _scale(warp, outputs, squares, sizes, factors, moved, extra):
    """D and E from the outputs of the network, and half of what multiplies D in ``factors`` (96 rows)."""
    for b in range(BLOCK):
        square = 0.0
        for r in range(_SLOPES):
            square += warp[BLOCK * r + b] * warp[BLOCK * r + b]
        squares[b], sizes[b] = square, np.sqrt(square)
    for r in range(0, 96, 4):
        first = np.uint64(LANES * r)
        for b in range(BLOCK):
            for p in range(_FOUR):
                i = first + BLOCK * p + b
                change = squares[b] * outputs[i]
                moved[i] = change
                factors[i] = _ROOT * factors[i] + 0.5 * change
    for r in range(0, 12 * EXTRA, 4):
        first = np.uint64(LANES * r)
        for b in range(BLOCK):
            for p in range(_FOUR):
                i = first + BLOCK * p + b
                extra[i] = sizes[b] * outputs[_MOVED + i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _entries(k, m, factors, moved, differences):
    """F' Dᵀ + D F'ᵀ, the block of two twists, into ``differences`` (144 rows), nine sums at once."""
    one, other, block = np.uint64(LANES * 24 * k), np.uint64(LANES * 24 * m), block_of_moments(k, m)
    for b in range(BLOCK):
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
        for p in range(_PATTERNS):
            r, c = one + BLOCK * p + b, other + BLOCK * p + b
            x, y, z = factors[r], factors[r + ROW[8]], factors[r + _ROW16]
            f, g, h = moved[c], moved[c + ROW[8]], moved[c + _ROW16]
            s00, s01, s02 = s00 + x * f, s01 + x * g, s02 + x * h
            s10, s11, s12 = s10 + y * f, s11 + y * g, s12 + y * h
            s20, s21, s22 = s20 + z * f, s21 + z * g, s22 + z * h
            x, y, z = moved[r], moved[r + ROW[8]], moved[r + _ROW16]
            f, g, h = factors[c], factors[c + ROW[8]], factors[c + _ROW16]
            s00, s01, s02 = s00 + x * f, s01 + x * g, s02 + x * h
            s10, s11, s12 = s10 + y * f, s11 + y * g, s12 + y * h
            s20, s21, s22 = s20 + z * f, s21 + z * g, s22 + z * h
        i = block + b
        differences[i], differences[i + ROW[1]], differences[i + ROW[2]] = s00, s01, s02
        i += ROW[12]
        differences[i], differences[i + ROW[1]], differences[i + ROW[2]] = s10, s11, s12
        i += ROW[12]
        differences[i], differences[i + ROW[1]], differences[i + ROW[2]] = s20, s21, s22


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_extra(k, m, extra, differences):
    """Add the block of E Eᵀ."""
    one, other = np.uint64(LANES * 3 * EXTRA * k), np.uint64(LANES * 3 * EXTRA * m)
    block = block_of_moments(k, m)
    for b in range(BLOCK):
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
        for p in range(_EXTRA):
            r, c = one + BLOCK * p + b, other + BLOCK * p + b
            x, y, z = extra[r], extra[r + ROW[EXTRA]], extra[r + ROW[2 * EXTRA]]
            f, g, h = extra[c], extra[c + ROW[EXTRA]], extra[c + ROW[2 * EXTRA]]
            s00, s01, s02 = s00 + x * f, s01 + x * g, s02 + x * h
            s10, s11, s12 = s10 + y * f, s11 + y * g, s12 + y * h
            s20, s21, s22 = s20 + z * f, s21 + z * g, s22 + z * h
        i = block + b
        differences[i] += s00
        differences[i + ROW[1]] += s01
        differences[i + ROW[2]] += s02
        i += ROW[12]
        differences[i] += s10
        differences[i + ROW[1]] += s11
        differences[i + ROW[2]] += s12
        i += ROW[12]
        differences[i] += s20
        differences[i + ROW[1]] += s21
        differences[i + ROW[2]] += s22


@njit(over="warps", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _differences(begin, end, warps, outputs, points, differences):
    values, means, roots, work = np.empty(13 * LANES), np.empty(13 * LANES), np.empty(8 * LANES), np.empty(96 * LANES)
    factors, extra, squares, sizes = (
        np.empty(96 * LANES),
        np.empty(12 * EXTRA * LANES),
        np.empty(LANES),
        np.empty(LANES),
    )
    whole, packed = np.empty(144 * LANES), np.empty(78 * LANES)
    for block in range(begin, end):
        factors_of_lanes(warps[block], points, values, means, roots, work, factors)
        # from here on work holds D
        _scale(warps[block], outputs[block], squares, sizes, factors, work, extra)
        for k in range(4):
            for m in range(k, 4):
                _entries(k, m, factors, work, whole)
                _add_extra(k, m, extra, whole)
        for entry in range(78):
            place, own = np.uint64(LANES * entry), np.uint64(LANES * _UPPER[entry])
            for b in range(BLOCK):
                packed[place + b] = whole[own + b]
        spread(packed, block, differences)


def differences(network: Perceptron, warps: np.ndarray) -> np.ndarray:
    """S_predicted less S of the 2×2×2 points, shape (n, 78), the upper triangle row by row.

    ``warps`` (n, 3, 4) are those of healthy elements in the canonical pose.
    """
    result = np.empty((len(warps), 78))
    _differences(in_lanes(warps), network.in_lanes(hourglass_features(warps), LANES), GAUSS_POINTS, result)
    return result


def train_hourglass(training, validation, options, hidden=(64, 64), activation="silu", **run):
    """Train the network on R_error of the stiffness itself, each element with a metric and a Poisson's ratio.

    Parameters
    ----------
    training, validation
        Tuples (warps (n, 3, 4), differences (n, 78), inverses (n, 3, 3), vectors (n, 8, 4), constants (n, 2)) of
        elements in the canonical pose: exact differences, J₀⁻¹, γ, and λ and μ.
    options, run
        As for :func:`femnn.networks.training.train`.

    Returns
    -------
    network : Perceptron
        For :func:`differences`.
    history : History
    """
    from femnn.networks.training import train_perceptron

    data = [_training_rows(*part) for part in (training, validation)]
    scales = standardisation(data[0][0])
    # outputs of the size of the true factors, at first
    scales |= {"output_mean": np.zeros(OUTPUTS), "output_scale": np.full(OUTPUTS, 0.3)}
    architecture = Architecture(data[0][0].shape[1], OUTPUTS, hidden, activation)
    return train_perceptron(architecture, scales, _mean_r_error, *data, options, **run)


def _training_rows(warps, exact, inverses, vectors, constants):
    import torch

    factors = gauss_factors(warps)
    features = hourglass_features(warps)
    square = np.empty((len(warps), 12, 12))
    square[:, ROWS, COLUMNS] = square[:, COLUMNS, ROWS] = exact
    rows = [
        np.asarray(a, dtype=np.float32)
        for a in (features, features[:, -1], factors, square, inverses, vectors, constants)
    ]
    parts = [torch.from_numpy(a) for a in rows[3:]]
    standard = [_entry_sums(*(part[i : i + 4096] for part in parts)) for i in range(0, len(warps), 4096)]
    return [*rows, torch.cat(standard).numpy()]


def _mean_r_error(outputs, distance, factors, exact, inverses, vectors, constants, standard):
    change = (distance**2)[:, None, None] * outputs[:, :96].reshape(-1, 12, 8)
    extra = distance[:, None, None] * outputs[:, 96:].reshape(-1, 12, EXTRA)
    cross = _ROOT * factors @ change.mT
    predicted = cross + cross.mT + change @ change.mT + extra @ extra.mT
    return (_entry_sums(predicted - exact, inverses, vectors, constants) / standard).mean()


def _entry_sums(differences, inverses, vectors, constants):
    """Σ_ij |k_ij| of the isotropic stiffness (n, 24, 24) whose hourglass part is S = ``differences`` (n, 12, 12)."""
    import torch

    n = len(differences)
    moments = torch.einsum("epi,ekpc->ekic", inverses, differences.reshape(n, 4, 3, 12)).reshape(n, 12, 4, 3)
    moments = torch.einsum("erlq,eqj->erlj", moments, inverses).reshape(n, 4, 3, 4, 3)
    nodal = torch.einsum("eak,ekilj,ebl->eaibj", vectors, moments, vectors)
    trace = nodal.diagonal(dim1=2, dim2=4).sum(-1)[:, :, None, :, None] * torch.eye(3)[:, None, :]
    lmbda, mu = constants.T[..., None, None, None, None]
    return (lmbda * nodal + mu * (nodal.transpose(2, 4) + trace)).abs().sum(dim=(1, 2, 3, 4))
