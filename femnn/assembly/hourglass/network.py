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
    PATTERNS,
    ROWS,
    factors_of_lanes,
    gauss_factors,
)
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.element_lanes import LANES, gather, in_lanes, shared_lanes, spread, twist_values
from femnn.integration.kernels import _FAST, kernel_array
from femnn.networks.perceptron import Architecture, Perceptron, standardisation
from femnn.system.compile import njit

#: θ: the fraction of the Gauss points' S that no prediction can take away.
KEPT = 0.5

#: Columns of E, an even number; with the eight of D more than the twelve that S can have.
EXTRA = 6

OUTPUTS = 12 * (8 + EXTRA)

_CORNERS = shared_lanes(SIGNS)
_ROOT = np.sqrt(1.0 - KEPT)

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
            twist_values(warps[block], corners, 3 * a, values)
            for b in range(LANES):
                least[block, b] = min(least[block, b], values[b])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _scale(warp, outputs, factors, moved, extra):
    """D and E from the outputs of the network, and half of what multiplies D in ``factors`` (96 rows)."""
    for b in range(LANES):
        square = 0.0
        for r in range(12):
            square += warp[LANES * r + b] * warp[LANES * r + b]
        moved[b], extra[b] = square, np.sqrt(square)
    # the first rows last: until then they hold the scales
    for back in range(96):
        r = 95 - back
        for b in range(LANES):
            moved[LANES * r + b] = moved[b] * outputs[LANES * r + b]
    for back in range(12 * EXTRA):
        r = 12 * EXTRA - 1 - back
        for b in range(LANES):
            extra[LANES * r + b] = extra[b] * outputs[LANES * (96 + r) + b]
    for r in range(96):
        for b in range(LANES):
            factors[LANES * r + b] = _ROOT * factors[LANES * r + b] + 0.5 * moved[LANES * r + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _entries(factors, moved, work, differences):
    """F' Dᵀ + D F'ᵀ, the upper triangle, into ``differences`` (144 rows); ``work`` (16 rows) is a row of both."""
    for r in range(12):
        for p in range(8):
            for b in range(LANES):
                work[LANES * p + b] = factors[LANES * (8 * r + p) + b]
                work[LANES * (8 + p) + b] = moved[LANES * (8 * r + p) + b]
        for c in range(r, 12):
            for b in range(LANES):
                differences[LANES * (12 * r + c) + b] = (
                    work[b] * moved[LANES * (8 * c) + b]
                    + work[LANES + b] * moved[LANES * (8 * c + 1) + b]
                    + work[LANES * 2 + b] * moved[LANES * (8 * c + 2) + b]
                    + work[LANES * 3 + b] * moved[LANES * (8 * c + 3) + b]
                    + work[LANES * 4 + b] * moved[LANES * (8 * c + 4) + b]
                    + work[LANES * 5 + b] * moved[LANES * (8 * c + 5) + b]
                    + work[LANES * 6 + b] * moved[LANES * (8 * c + 6) + b]
                    + work[LANES * 7 + b] * moved[LANES * (8 * c + 7) + b]
                )
            for b in range(LANES):
                differences[LANES * (12 * r + c) + b] += (
                    work[LANES * 8 + b] * factors[LANES * (8 * c) + b]
                    + work[LANES * 9 + b] * factors[LANES * (8 * c + 1) + b]
                    + work[LANES * 10 + b] * factors[LANES * (8 * c + 2) + b]
                    + work[LANES * 11 + b] * factors[LANES * (8 * c + 3) + b]
                    + work[LANES * 12 + b] * factors[LANES * (8 * c + 4) + b]
                    + work[LANES * 13 + b] * factors[LANES * (8 * c + 5) + b]
                    + work[LANES * 14 + b] * factors[LANES * (8 * c + 6) + b]
                    + work[LANES * 15 + b] * factors[LANES * (8 * c + 7) + b]
                )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_extra(extra, differences):
    """Add E Eᵀ to the upper triangle."""
    for r in range(12):
        for c in range(r, 12):
            for p in range(0, EXTRA, 2):
                for b in range(LANES):
                    one = extra[LANES * (EXTRA * r + p) + b] * extra[LANES * (EXTRA * c + p) + b]
                    other = extra[LANES * (EXTRA * r + p + 1) + b] * extra[LANES * (EXTRA * c + p + 1) + b]
                    differences[LANES * (12 * r + c) + b] += one + other


@njit(over="warps", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _differences(begin, end, warps, outputs, points, patterns, differences):
    values, means, roots, work = np.empty(13 * LANES), np.empty(13 * LANES), np.empty(8 * LANES), np.empty(96 * LANES)
    factors, extra, row = np.empty(96 * LANES), np.empty(12 * EXTRA * LANES), np.empty(16 * LANES)
    own, whole, packed = np.empty(OUTPUTS * LANES), np.empty(144 * LANES), np.empty(78 * LANES)
    for block in range(begin, end):
        factors_of_lanes(warps[block], points, patterns, values, means, roots, work, factors)
        # from here on work holds D
        gather(outputs, block, own)
        _scale(warps[block], own, factors, work, extra)
        _entries(factors, work, row, whole)
        _add_extra(extra, whole)
        for entry in range(78):
            for b in range(LANES):
                packed[LANES * entry + b] = whole[LANES * _UPPER[entry] + b]
        spread(packed, block, differences)


def differences(network: Perceptron, warps: np.ndarray) -> np.ndarray:
    """S_predicted less S of the 2×2×2 points, shape (n, 78), the upper triangle row by row.

    ``warps`` (n, 3, 4) are those of healthy elements in the canonical pose.
    """
    result = np.empty((len(warps), 78))
    outputs = kernel_array(network(hourglass_features(warps)))
    _differences(in_lanes(warps), outputs, GAUSS_POINTS, PATTERNS, result)
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
