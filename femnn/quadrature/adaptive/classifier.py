"""Method 1 as published: one class for each number of Gauss points, for the one tolerance it was trained for.

A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351, section 4. :mod:`femnn.quadrature.adaptive.network` takes it further.
"""

import numpy as np

from femnn.exceptions import ParameterError
from femnn.integration.convergence import smallest_points
from femnn.networks.features import features_named
from femnn.networks.perceptron import Architecture, standardisation

#: Classes are n = FEWEST, FEWEST + 1, ...: one point leaves zero-energy modes, whatever its Error.
FEWEST = 2


def train_classifier(
    training, validation, tolerance, options, features="normalised", hidden=(30,) * 4, activation="sigmoid", **run
):
    """Train the published classifier for one tolerance.

    Parameters
    ----------
    training, validation
        Labelled elements.
    tolerance
        Of the Error.
    options
        See :class:`femnn.networks.training.TrainingOptions`.
    features
        Name of the description of elements, see :mod:`femnn.networks.features`.
    hidden, activation
        See :class:`femnn.networks.perceptron.Architecture`.
    run
        ``checkpoint``, ``progress``, ``time_limit`` of :func:`femnn.networks.training.train`.

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

    from femnn.networks.training import train_perceptron

    describe = features_named(features)
    data = [(describe(part.hexahedra)[0], classes(part.errors, tolerance)) for part in (training, validation)]
    largest = int(data[0][1].max())
    if largest == 0:
        raise ParameterError(
            f"at tolerance {tolerance:g} every training element needs {FEWEST} points per axis; choose a smaller one"
        )
    architecture = Architecture(describe.size, largest + 1, hidden, activation)

    def loss(prediction, target):
        return cross_entropy(prediction, target.clamp(max=largest))

    rows = [_single(part) for part in data]
    return train_perceptron(architecture, standardisation(data[0][0]), loss, *rows, options, **run)


def classes(errors: np.ndarray, tolerance: float) -> np.ndarray:
    """Class of each element, 0 for FEWEST points per axis and so on, from an Error table of n = 1, 2, ..."""
    largest = errors.shape[1]
    return np.minimum(smallest_points(errors[:, FEWEST - 1 :], tolerance) - 1, largest - FEWEST)


def _single(part):
    return [values.astype(np.float32) if values.dtype == np.float64 else values for values in part]
