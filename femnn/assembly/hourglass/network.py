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

from femnn.assembly.hourglass.moments import COLUMNS, GAUSS_POINTS, PATTERNS, ROWS, gauss_factors
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.kernels import _FAST, kernel_array
from femnn.integration.twist_moments import twist_slopes
from femnn.networks.perceptron import Architecture, Perceptron, standardisation
from femnn.system.compile import njit

#: θ: the fraction of the Gauss points' S that no prediction can take away.
KEPT = 0.5

#: Columns of E; with the eight of D more than the twelve that S can have.
EXTRA = 6

OUTPUTS = 12 * (8 + EXTRA)

_CORNERS = np.array(SIGNS)
_ROOT = np.sqrt(1.0 - KEPT)


def hourglass_features(warps: np.ndarray) -> np.ndarray:
    """Features of the network, shape (n, 13): direction and length of ``warps`` (n, 3, 4) in the canonical pose."""
    flat = np.reshape(warps, (len(warps), 12))
    distance = np.linalg.norm(flat, axis=1, keepdims=True)
    direction = np.divide(flat, distance, out=np.zeros_like(flat), where=distance > 0)
    return np.concatenate([direction, distance], axis=1)


def hourglass_range(warps: np.ndarray) -> np.ndarray:
    """The numbers that say if an element is in the range of training, shape (n, 14).

    Its warps in the canonical pose, their length, and the least det J of its vertices, over det J of its centre.
    """
    result = np.empty((len(warps), 14))
    _describe(kernel_array(warps), _CORNERS, result)
    return result


@njit(over="warps", cache=True, error_model="numpy")
def _describe(begin, end, warps, corners, result):
    for e in range(begin, end):
        slopes, square, least = np.empty(12), 0.0, np.inf
        for i in range(3):
            for k in range(4):
                result[e, 4 * i + k] = warps[e, i, k]
                square += warps[e, i, k] ** 2
        for a in range(8):
            least = min(least, twist_slopes(warps[e], corners[a, 0], corners[a, 1], corners[a, 2], slopes))
        result[e, 12], result[e, 13] = np.sqrt(square), least


@njit(over="warps", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _differences(begin, end, warps, outputs, points, patterns, rows, columns, differences):
    for e in range(begin, end):
        factors, work, extra = np.empty((12, 8)), np.empty((12, 8)), np.empty((12, EXTRA))
        gauss_factors(warps[e], points, patterns, work, factors)
        square = 0.0
        for i in range(3):
            for k in range(4):
                square += warps[e, i, k] ** 2
        distance = np.sqrt(square)
        for r in range(12):
            for p in range(8):
                # from here on work holds D
                work[r, p] = square * outputs[e, 8 * r + p]
                factors[r, p] = _ROOT * factors[r, p] + 0.5 * work[r, p]
            for p in range(EXTRA):
                extra[r, p] = distance * outputs[e, 96 + EXTRA * r + p]
        for entry in range(rows.shape[0]):
            r, c = rows[entry], columns[entry]
            total = 0.0
            for p in range(8):
                total += factors[r, p] * work[c, p] + work[r, p] * factors[c, p]
            for p in range(EXTRA):
                total += extra[r, p] * extra[c, p]
            differences[e, entry] = total


def differences(network: Perceptron, warps: np.ndarray) -> np.ndarray:
    """S_predicted less S of the 2×2×2 points, shape (n, 78), the upper triangle row by row.

    ``warps`` (n, 3, 4) are those of healthy elements in the canonical pose.
    """
    warps = kernel_array(warps)
    result = np.empty((len(warps), 78))
    outputs = network(hourglass_features(warps))
    _differences(warps, outputs, GAUSS_POINTS, PATTERNS, ROWS, COLUMNS, result)
    return result


@njit(over="warps", cache=True, error_model="numpy", fastmath=_FAST)
def _all_factors(begin, end, warps, points, patterns, factors):
    for e in range(begin, end):
        gauss_factors(warps[e], points, patterns, np.empty((12, 8)), factors[e])


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

    factors = np.empty((len(warps), 12, 8))
    _all_factors(kernel_array(warps), GAUSS_POINTS, PATTERNS, factors)
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
