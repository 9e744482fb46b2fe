"""Method 2: networks that correct the eight weights of 2×2×2 Gauss points, element by element.

A *classifier* says whether other weights would help; a *regressor* gives them, as factors on Gauss weights
(A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351, section 4). Both see the element in its canonical pose.
"""

import numpy as np

from femnn.exceptions import ParameterError
from femnn.geometry.quality import distance_from_parallelepiped
from femnn.geometry.symmetry import canonical_pose, permutations_of
from femnn.integration.convergence import converged_stiffness
from femnn.integration.gauss import tensor_gauss
from femnn.integration.optimal_weights import weight_systems
from femnn.networks.element_data import Dataset
from femnn.networks.features import features_named
from femnn.networks.perceptron import Architecture, Perceptron, standardisation

#: An element counts as improvable when the best weights bring its R_error below this.
IMPROVABLE = 0.98

#: A regressor's weights count as helpful when they bring R_error below this.
HELPFUL = 0.98

#: Targets of a regressor: R_error itself, exactly optimal weights, or the best of the random trials.
TARGETS = ("error", "optimal", "trials")

_FEATURES = "invariant"

# Elements whose systems are held at a time: 2000 matrices of 300 × 8 take 38 MB.
_CHUNK = 2000


def train_classifier(training, validation, improved, options, hidden=(30,) * 4, activation="sigmoid", **run):
    """Train the classifier; arguments as :func:`femnn.quadrature.adaptive.classifier.train_classifier`.

    ``improved`` holds the labels of both parts, two arrays of bool: :func:`improvable` for the published classifier,
    or the elements that a regressor really improves, from :func:`predicted_r_error`.

    Returns
    -------
    network : Perceptron
        From ``invariant`` features to one logit; positive means that other weights help.
    history : History
    """
    from femnn.networks.training import train_perceptron

    architecture, scales, loss, data = classifier_rows((training, validation), improved, hidden, activation)
    return train_perceptron(architecture, scales, loss, *data, options, **run)


def classifier_rows(parts, improved, hidden=(30,) * 4, activation="sigmoid"):
    """What a classifier of the labels ``improved`` of some parts learns from, the first of which trains.

    Returns
    -------
    architecture : Architecture
    scales : dict
        The standardisation that the first part measures.
    loss : callable
        Of predictions and targets.
    rows : list
        Features and targets of every part, float32.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    features = features_named(_FEATURES)
    rows = [
        (features(part.hexahedra)[0].astype(np.float32), labels[:, None].astype(np.float32))
        for part, labels in zip(parts, improved, strict=True)
    ]
    architecture, scales = Architecture(features.size, 1, hidden, activation), standardisation(rows[0][0])
    return architecture, scales, binary_cross_entropy_with_logits, rows


def improvable(dataset: Dataset, labels: str = "optimal") -> np.ndarray:
    """Elements that other weights would help, (n,) bool, by the ``"optimal"`` or the ``"trials"`` labels."""
    return (dataset.trial_optimum if labels == "trials" else dataset.optimum) < IMPROVABLE


def train_regressor(training, validation, options, target="error", hidden=(50,) * 5, activation="sigmoid", **run):
    """Train the regressor on the improvable elements of a data set.

    ``target`` is one of ``TARGETS``: ``"error"`` minimises the mean R_error of the predicted weights, with no labels;
    the others are the published way, least squares on labels. ``run`` goes to
    :func:`femnn.networks.training.train_perceptron`.

    Returns
    -------
    network : Perceptron
        From ``invariant`` features to eight corrections for :func:`correction_factors`.
    history : History
    """
    from femnn.networks.training import train_perceptron

    architecture, scales, loss, data = regressor_rows((training, validation), target, hidden, activation)
    return train_perceptron(architecture, scales, loss, *data, options, **run)


def regressor_rows(parts, target="error", hidden=(50,) * 5, activation="sigmoid"):
    """As :func:`classifier_rows`, for the regressor: rows of the improvable elements of every part."""
    if target not in TARGETS:
        raise ParameterError(f"target is {target!r}; choose one of {', '.join(TARGETS)}")
    features = features_named(_FEATURES)
    labels = "trials" if target == "trials" else "optimal"
    chosen = [part[improvable(part, labels)] for part in parts]
    if min(len(part) for part in chosen) == 0:
        raise ParameterError("no element of the data is improvable; draw more elements or larger displacements")
    described = [features(part.hexahedra)[0].astype(np.float32) for part in chosen]
    factors = [canonical_factors(part, labels) for part in chosen]
    sizes = [correction_size(part.hexahedra)[:, None] for part in chosen]
    scales = standardisation(described[0], (factors[0] - 1.0) / np.maximum(sizes[0], 1e-9))
    if target == "error":
        loss, targets = mean_r_error, [_canonical_systems(part) for part in chosen]
    else:
        spread = factors[0].std(axis=0)
        loss, targets = (
            _mean_square,
            [((part - 1.0) / spread, np.tile(1.0 / spread, (len(part), 1))) for part in factors],
        )
    rows = [
        [values.astype(np.float32) for values in (x, size, *arrays)]
        for x, size, arrays in zip(described, sizes, targets, strict=True)
    ]
    return Architecture(features.size, 8, hidden, activation), scales, loss, rows


def correction_size(hexahedra: np.ndarray) -> np.ndarray:
    """The size that corrections have in elements of this distortion, (n,).

    Optimal factors differ from 1 by the third power of the distance from a parallelepiped, where Gauss weights are
    exact: measured over displacements from 0.05 to 0.35.
    """
    return distance_from_parallelepiped(hexahedra) ** 3


def correction_factors(corrections: np.ndarray, hexahedra: np.ndarray) -> np.ndarray:
    """Factors on Gauss weights in the canonical pose, (n, 8), from the output of a regressor; 1 for parallelepipeds."""
    return 1.0 + correction_size(hexahedra)[:, None] * corrections


def mean_r_error(corrections, sizes, matrices, targets):
    """Mean R_error of predicted corrections, tensors: the loss of a regressor with the target ``"error"``."""
    factors = 1.0 + sizes * corrections
    return ((matrices @ factors[:, :, None]).squeeze(2) - targets).abs().sum(dim=1).mean()


def _mean_square(corrections, sizes, labels, weights):
    return ((sizes * corrections * weights - labels) ** 2).mean()


def canonical_factors(dataset: Dataset, labels: str = "optimal") -> np.ndarray:
    """Labels as factors on Gauss weights at the points of the canonical pose, (n, 8)."""
    points, gauss = tensor_gauss(2, 2, 2)
    weights = dataset.trial_weights if labels == "trials" else dataset.weights
    symmetry = canonical_pose(dataset.hexahedra)[1]
    return np.take_along_axis(weights / gauss, permutations_of(points)[symmetry], axis=1)


def in_given_order(values: np.ndarray, symmetry: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values at the points of the canonical pose, (n, nqp), in the order of the vertices as the mesh has them."""
    inverse = np.argsort(permutations_of(points), axis=1)
    return np.take_along_axis(values, inverse[symmetry], axis=1)


def predicted_r_error(regressor: Perceptron, dataset: Dataset) -> np.ndarray:
    """R_error of the weights that a regressor gives to every element of a data set, (n,)."""
    factors = correction_factors(regressor(features_named(_FEATURES)(dataset.hexahedra)[0]), dataset.hexahedra)
    ratios = []
    for start in range(0, len(dataset), _CHUNK):
        matrices, targets = _canonical_systems(dataset[start : start + _CHUNK])
        residuals = np.einsum("erq,eq->er", matrices, factors[start : start + _CHUNK]) - targets
        ratios.append(np.abs(residuals).sum(axis=1))
    return np.concatenate(ratios)


def _canonical_systems(dataset):
    """Matrices and targets with R_error(factors) = Σ |A factors - b|, in the canonical pose, float32 for training."""
    points, gauss = tensor_gauss(2, 2, 2)
    canonical = canonical_pose(dataset.hexahedra)[0]
    references, _ = converged_stiffness(canonical, dataset.recipe.poisson)
    matrices, targets = weight_systems(canonical, points, references, dataset.recipe.poisson)
    matrices *= gauss
    standard = np.abs(matrices.sum(axis=2) - targets).sum(axis=1)
    matrices /= standard[:, None, None]
    targets /= standard[:, None]
    return matrices.astype(np.float32), targets.astype(np.float32)
