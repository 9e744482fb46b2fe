"""Training of directional networks on the errors along each direction, and on those of whole tensor rules."""

import math
from typing import NamedTuple

import numpy as np

from femnn.networks.perceptron import Architecture, standardisation
from femnn.quadrature.adaptive.apriori_estimate import CANDIDATES, FEATURES
from femnn.quadrature.adaptive.network import (
    LEAST_POWER,
    LEAST_SPREAD,
    MOST_POWER,
    MOST_SPREAD,
    OUTPUTS,
    POWER,
)

# Fraction of the corrections in training that are not believed to be as small as they are.
_UNBELIEVED = 0.005

# Weight of the directions' own errors beside those of whole rules in training.
_DIRECTIONS = 0.3
_LOG2_E = math.log2(math.e)


class Rows(NamedTuple):
    """Data of a directional network; elements of one material in rows.

    Attributes
    ----------
    features : (n, 3, FEATURES) float32
    corrections : (n, 3, CANDIDATES) float32
        log₂ directional Error over the estimate; NaN where it is not known because it is round-off.
    picks : (n, rules, 3) int64
        Tensor rules, as numbers of candidates.
    offsets : (n, rules, 3) float32
        The log₂ estimates of these along each direction.
    wholes : (n, rules) float32
        log₂ Error of these rules, NaN where it is round-off.
    """

    features: np.ndarray
    corrections: np.ndarray
    picks: np.ndarray
    offsets: np.ndarray
    wholes: np.ndarray


def train_directional(training, validation, options, hidden=(64, 64), **run):
    """Train a directional network.

    Parameters
    ----------
    training, validation
        Their rows.
    options
        See :class:`femnn.networks.training.TrainingOptions`.
    hidden
        Widths of the two hidden layers, multiples of four.
    run
        ``checkpoint``, ``progress``, ``time_limit`` of :func:`femnn.networks.training.train`.

    Returns
    -------
    network : Perceptron
        From features to the outputs that :class:`DirectionalNetwork` reads.
    history : History
    """
    from femnn.networks.training import train_perceptron

    architecture, scales, loss = directional_network(training, hidden)
    return train_perceptron(architecture, scales, loss, training, validation, options, **run)


def directional_network(training, hidden=(64, 64)):
    """Architecture of a directional network, the standardisation that its training rows measure, and its loss."""
    scales = standardisation(training.features.reshape(-1, FEATURES))
    targets = training.corrections.reshape(-1, CANDIDATES)
    known = np.isfinite(targets)
    mean = [targets[known[:, n], n].mean() if known[:, n].any() else 0.0 for n in range(CANDIDATES)]
    scales["output_mean"] = np.concatenate([mean, np.full(CANDIDATES, -2.0), [-1.0, -4.0]])
    scales["output_scale"] = np.concatenate([np.full(CANDIDATES, 0.5), np.ones(CANDIDATES + 2)])
    return Architecture(FEATURES, OUTPUTS, hidden, "silu"), scales, _directional_loss


def _directional_loss(outputs, corrections, picks, offsets, wholes):
    """Likelihood of whole rules, and some of that of their directions, see :class:`Rows`."""
    whole, spread, predicted, spreads = rules_of_outputs(outputs, picks, offsets)
    return _laplace(whole, spread, wholes) + _DIRECTIONS * _laplace(predicted, spreads, corrections)


def rules_of_outputs(outputs, picks, offsets):
    """log₂ Error of whole rules and its spread, (n, rules), and both of directions, (n, 3, CANDIDATES), tensors."""
    import torch

    power, common = outputs[:, :, POWER:].mean(dim=1).unbind(dim=1)
    power = 1.0 + torch.exp2(power.clamp(float(LEAST_POWER), float(MOST_POWER)))[:, None, None]
    spreads = torch.exp2(outputs[:, :, CANDIDATES:POWER].clamp(float(LEAST_SPREAD), float(MOST_SPREAD)))
    spreads = spreads + torch.exp2(common.clamp(float(LEAST_SPREAD), float(MOST_SPREAD)))[:, None, None]
    predicted = outputs[:, :, :CANDIDATES]
    places = picks.swapaxes(1, 2)
    # (rows, 3, rules)
    parts = power * (offsets.swapaxes(1, 2) + predicted.gather(2, places))
    whole = torch.logsumexp(parts / _LOG2_E, dim=1) * _LOG2_E / power[:, 0]
    spread = (torch.softmax(parts / _LOG2_E, dim=1) * spreads.gather(2, places)).sum(dim=1)
    return whole, spread, predicted, spreads


def _laplace(predicted, spread, target):
    """Mean negative log-likelihood of Laplace's distribution: medians, and mean absolute deviations from them."""
    import torch

    known = torch.isfinite(target)
    missed = (predicted - torch.nan_to_num(target)).abs()
    return (known * (missed / spread + torch.log(spread))).sum() / known.sum().clamp(min=1)


def least_corrections(corrections: np.ndarray) -> np.ndarray:
    """A low quantile of each column of the ``corrections`` (n, CANDIDATES), NaN where not known, (CANDIDATES,)."""
    least = np.zeros(corrections.shape[1])
    for n, column in enumerate(corrections.T):
        known = column[np.isfinite(column)]
        if len(known):
            least[n] = np.quantile(known, _UNBELIEVED)
    return least


def extended(corrections: np.ndarray) -> np.ndarray:
    """Corrections (n, CANDIDATES) with NaN where the Error is round-off, continued by the last known of each row.

    There the estimate is right in any case; but a network left without an answer would invent one. Rows without any
    known correction stay as they are.
    """
    result = corrections.copy()
    for n in range(1, result.shape[1]):
        missing = np.isnan(result[:, n])
        result[missing, n] = result[missing, n - 1]
    return result
