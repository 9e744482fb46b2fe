"""A network that moves the weights of 3×3×3 Gauss points only where the patch test allows it.

The 24 integrals of the patch test (:mod:`femnn.quadrature.patch_conditions`) leave 14 of the 27 weights free. Their
directions are no smooth functions of the shape, so the network gives 27 raw changes, of which the part that passes is
taken by orthogonal projection. The changes are proportional to the fourth power of the distance from a parallelepiped,
as the optimal ones are (measured over displacements from 0.05 to 0.3), and are shortened where a weight would come near
zero.
"""

import numpy as np

from femnn.geometry.quality import distance_from_parallelepiped
from femnn.integration.convergence import converged_stiffness
from femnn.integration.gauss import tensor_gauss
from femnn.integration.optimal_weights import weight_systems
from femnn.networks.perceptron import Architecture, standardisation
from femnn.quadrature.patch_conditions import passing_changes, patch_bases

#: Least weight over the Gauss weight.
LEAST = 0.1

FEATURES = "directed"

# Fraction of the predicted change that is made. R_error is convex along it and falls steeply at first: with four fifths
# its mean rises from 0.822 to 0.830 and a third fewer elements come out worse than with Gauss weights.
_STEP = 0.8

# How much more an element counts that comes out worse than Gauss weights, and from which logarithm of R_error on.
_PENALTY, _ALARM = 2.0, -0.05

# Elements whose systems are held in float64 at a time: 1000 matrices of 300 × 27 take 65 MB.
_CHUNK = 1000


def passing_weights(raw: np.ndarray, hexahedra: np.ndarray) -> np.ndarray:
    """Weights (n, 27) that pass the patch test, all positive, of elements in the canonical pose.

    ``raw`` (n, 27) is the output of the network. Gauss weights for parallelepipeds.
    """
    points, gauss = tensor_gauss(3, 3, 3)
    size = _STEP * distance_from_parallelepiped(hexahedra) ** 4
    changes = passing_changes(hexahedra, points, size[:, None] * raw)
    # Gauss weights pass, so every point on the line from them passes
    falls = np.maximum(-changes / gauss, 0.0).max(axis=1)
    shorten = np.minimum(1.0, (1.0 - LEAST) / np.maximum(falls, 1e-300))
    return gauss + shorten[:, None] * changes


def patch_systems(hexahedra: np.ndarray, poisson: float) -> list[np.ndarray]:
    """Systems of equations for the training, of elements in the canonical pose.

    Returns
    -------
    free : (m, 27, 14)
        Orthonormal directions in which weights may change.
    matrices : (m, 300, 14), targets : (m, 300)
        R_error(t) = Σ |matrices t - targets| of a change ``free @ t`` of the weights; all float32.
    kept : (n,) bool
        Elements with a converged reference and an error above round-off, m of them; the others teach nothing.
    """
    parts = [_systems(hexahedra[i : i + _CHUNK], poisson) for i in range(0, len(hexahedra), _CHUNK)]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _systems(hexahedra, poisson):
    points, gauss = tensor_gauss(3, 3, 3)
    references, doubt = converged_stiffness(hexahedra, poisson)
    matrices, targets = weight_systems(hexahedra, points, references, poisson)
    targets -= matrices @ gauss
    standard = np.abs(targets).sum(axis=1)
    kept = (doubt < 1e-3 * standard) & (standard > 1e-9)
    bases = patch_bases(hexahedra[kept], points)
    # the rows after the thirteenth of a complete basis are orthogonal to all integrands
    free = np.linalg.svd(bases)[2][:, bases.shape[1] :].mT
    scale = standard[kept]
    arrays = free, matrices[kept] @ free / scale[:, None, None], targets[kept] / scale[:, None]
    return [*(values.astype(np.float32) for values in arrays), kept]


def train_patch_weights(training, validation, options, hidden=(128, 128, 128), activation="silu", **run):
    """Train the network on the logarithm of R_error itself.

    Parameters
    ----------
    training, validation
        Tuples (features (m, 19), distances (m,), free, matrices, targets) with the last three of :func:`patch_systems`.
    options, run
        As for :func:`femnn.networks.training.train`.

    Returns
    -------
    network : Perceptron
        From ``directed`` features to 27 raw changes for :func:`passing_weights`.
    history : History
    """
    from femnn.networks.training import train_perceptron

    scales = standardisation(training[0])
    # optimal changes over the fourth power of the distance are of this size
    scales |= {"output_mean": np.zeros(27), "output_scale": np.full(27, 0.01)}
    architecture = Architecture(training[0].shape[1], 27, hidden, activation)
    data = [[np.asarray(values, dtype=np.float32) for values in part] for part in (training, validation)]
    return train_perceptron(architecture, scales, _penalised_logarithm, *data, options, **run)


def _penalised_logarithm(raw, distances, free, matrices, targets):
    steps = (distances**4)[:, None, None] * (free.mT @ raw[:, :, None])
    ratio = ((matrices @ steps).squeeze(2) - targets).abs().sum(dim=1)
    # logarithms: a few nearly folded elements would rule a mean of ratios
    logarithm = ratio.log()
    return (logarithm + _PENALTY * (logarithm - _ALARM).relu()).mean()
