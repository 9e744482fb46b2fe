"""A sparse decoder without gradients: units are drawn, and what reads them is solved for.

With its hidden layer given, a decoder is linear in all that is left, block after block of its values. Drawn units do
nearly as well as trained ones where they bend among the snapshots, and take seconds in place of minutes (random
features: A. Rahimi, B. Recht, Advances in Neural Information Processing Systems 20 (2007); extreme learning machines:
G.-B. Huang, Q.-Y. Zhu, C.-K. Siew, Neurocomputing 70 (2006) 489-501).
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.reduced.manifolds import size_of
from femnn.reduced.pod import POD
from femnn.reduced.sparse_decoder import SparseDecoder, blocks_of, sparse_output, unit_columns

# Typical change of a unit's input over the spread of the largest coordinate; penalty of the least squares, relative to
# the mean square of what the units of a block give.
_STEEPNESS, _PENALTY = 3.0, 1e-9


@checked(
    states="m k", blocks="int g b", neighbours="int g s", latent="[1, inf)", units="[1, inf)", seed="[0, inf)",
)  # fmt: skip
def random_feature_decoder(
    states: np.ndarray, blocks: ArrayLike, neighbours: ArrayLike, latent: int, *, units: int = 12, seed: int = 0
) -> SparseDecoder:
    """A decoder whose hidden units are drawn, and whose output is the least squares fit of the snapshots.

    Coordinates are the first coefficients of a proper orthogonal decomposition about zero. Where values are the same in
    all snapshots, their rows of the output are, too.

    Parameters
    ----------
    states : (m, N)
        Snapshots, a row each.
    blocks : (g, b) int, neighbours : (g, s) int
        As of :func:`femnn.reduced.fit_autoencoder.fit_autoencoder`.
    latent
        Coordinates of the manifold.
    units
        Of each block.
    seed
        Of the units.

    Raises
    ------
    ParameterError
        If the blocks are no partition of the values, or neighbours are none.

    Examples
    --------
    Eight values of a bump that travels, in four blocks of two:

    >>> from femnn.reduced import random_feature_decoder
    >>> centres = np.linspace(0.0, 1.0, 80)[:, None]
    >>> bumps = np.exp(-20.0 * (np.linspace(0.0, 1.0, 8) - centres) ** 2)
    >>> blocks = np.arange(8).reshape(4, 2)
    >>> neighbours = np.arange(4)[:, None] + [-1, 0, 1]
    >>> neighbours[neighbours < 0] = 4
    >>> decoder = random_feature_decoder(bumps, blocks, neighbours, 2)
    >>> bool(abs(decoder.lift(decoder.encode(bumps[40])) - bumps[40]).max() < 0.02)
    True
    """
    blocks, neighbours = blocks_of(states.shape[1], blocks, neighbours)
    pod = POD.fit(states.T, modes=latent, offset=np.zeros(states.shape[1]), method="randomised", seed=seed)
    coefficients = pod.project(states.T).T
    mean, scale = coefficients.mean(axis=0), np.full(latent, coefficients.std(axis=0).max())
    z = (coefficients - mean) / scale
    generator, count = np.random.default_rng(seed), len(blocks) * units
    weight = _STEEPNESS * generator.standard_normal((count, latent))
    # each bends at one of the snapshots
    bias = -(weight * z[generator.integers(0, len(z), count)]).sum(axis=1)
    inputs = z @ weight.T + bias
    features, offset = inputs / (1.0 + np.exp(-inputs)), states.mean(axis=0)
    columns = unit_columns(len(blocks), neighbours, units)
    factors = np.zeros((*columns.shape, blocks.shape[1]))
    for own, read, result in zip(blocks, columns, factors, strict=True):
        # values that are the same are solved for once
        targets, back = np.unique(states[:, own] - offset[own], axis=1, return_inverse=True)
        result[read >= 0] = _fitted(features[:, read[read >= 0]], targets)[:, back.ravel()]
    encoder = Perceptron(
        Architecture(latent, latent, (), "silu"),
        {"weight0": np.eye(latent), "bias0": np.zeros(latent), "input_mean": mean, "input_scale": scale},
    )
    output = sparse_output(factors, blocks, neighbours, units)
    return SparseDecoder(weight, bias, output, offset, encoder, pod.modes, size_of(z))


def _fitted(features, targets):
    """Factors (units, values) of the least squares with a penalty."""
    gram = features.T @ features
    penalty = _PENALTY * np.trace(gram) / len(gram)
    return np.linalg.solve(gram + penalty * np.eye(len(gram)), features.T @ targets)
