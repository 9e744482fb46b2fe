"""Method 1: networks that say how many Gauss points an element needs.

Two kinds. The *error network* predicts log₁₀ of the Error for every n and so serves any tolerance. The *classifier* is
the published one: one class for each n, for the one tolerance it was trained for (A. Oishi, G. Yagawa, CMAME 327 (2017)
327-351, section 4).
"""

import numpy as np

from femnn.exceptions import ParameterError
from femnn.integration.convergence import FLOOR, smallest_points
from femnn.learning.features import features_named
from femnn.learning.perceptron import Architecture, standardisation

#: Classes are n = FEWEST, FEWEST + 1, ...: one point leaves zero-energy modes, whatever its Error.
FEWEST = 2


def train_error_network(training, validation, options, hidden=(128, 128, 128), activation="silu", **run):
    """Train a network for log₁₀ Error of n = FEWEST, FEWEST + 1, ... points per axis.

    Parameters
    ----------
    training, validation : femnn.learning.datasets.Dataset
    options : femnn.learning.training.TrainingOptions
    hidden, activation
        See :class:`femnn.learning.perceptron.Architecture`.
    run
        ``checkpoint``, ``progress``, ``time_limit`` of :func:`femnn.learning.training.train`.

    Returns
    -------
    network : Perceptron
        From ``determinant`` features to log₁₀ Error.
    history : History
    """
    import torch
    from torch.nn.functional import smooth_l1_loss

    from femnn.learning.network import build, to_perceptron
    from femnn.learning.training import train

    features = features_named("determinant")
    data = [(features(part.hexahedra)[0], np.log10(part.errors[:, FEWEST - 1 :])) for part in (training, validation)]
    architecture = Architecture(features.size, data[0][1].shape[1], hidden, activation)
    module = build(architecture, standardisation(*data[0]), options.seed)
    floor = np.log10(FLOOR) + 1.0

    def loss(prediction, target):
        # near the floor the target is round-off: there only a prediction that is too high is wrong
        known = (target > floor).to(prediction.dtype)
        missed = smooth_l1_loss(prediction, target.to(prediction.dtype), reduction="none", beta=0.1)
        return (known * missed + (1.0 - known) * 0.1 * torch.relu(prediction - floor)).mean()

    history = train(module, loss, *[_single(part) for part in data], options, **run)
    return to_perceptron(module), history


def train_classifier(
    training, validation, tolerance, options, features="normalised", hidden=(30,) * 4, activation="sigmoid", **run
):
    """Train the published classifier for one tolerance; arguments as :func:`train_error_network`.

    Returns
    -------
    network : Perceptron
        From ``features`` to one logit for each n = FEWEST, FEWEST + 1, ...
    history : History

    Raises
    ------
    ParameterError
        If the tolerance leaves the training set with a single class.
    """
    from torch.nn.functional import cross_entropy

    from femnn.learning.network import build, to_perceptron
    from femnn.learning.training import train

    describe = features_named(features)
    data = [(describe(part.hexahedra)[0], classes(part.errors, tolerance)) for part in (training, validation)]
    largest = int(data[0][1].max())
    if largest == 0:
        raise ParameterError(
            f"at tolerance {tolerance:g} every training element needs {FEWEST} points per axis; choose a smaller one"
        )
    architecture = Architecture(describe.size, largest + 1, hidden, activation)
    module = build(architecture, standardisation(data[0][0]), options.seed)

    def loss(prediction, target):
        return cross_entropy(prediction, target.clamp(max=largest))

    history = train(module, loss, *[_single(part) for part in data], options, **run)
    return to_perceptron(module), history


def classes(errors, tolerance):
    """Class of each element, 0 for FEWEST points per axis and so on, from an Error table of n = 1, 2, ..."""
    largest = errors.shape[1]
    return np.minimum(smallest_points(errors[:, FEWEST - 1 :], tolerance) - 1, largest - FEWEST)


def _single(part):
    return [values.astype(np.float32) if values.dtype == np.float64 else values for values in part]
