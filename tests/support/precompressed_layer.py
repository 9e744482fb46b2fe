"""A precompressed layer as a small rate-independent model, where tests need responses without grains.

The friction ratio follows the sliding towards a coefficient that falls as the layer dilates, dilation grows with the
sliding along the ratio, and ln t_n is elastic about it. Integrated in small steps; isotropic, and exact at zero.
"""

import numpy as np


def layer_paths(n, steps=60, seed=0):
    """Polylines (n, steps, 3) that start at zero, in every direction of shear."""
    draws = np.random.default_rng(seed)
    moves = draws.normal(size=(n, 7, 3)) * [0.02, 0.15, 0.15]
    corners = np.concatenate([np.zeros((n, 1, 3)), moves.cumsum(axis=1)], axis=1)
    corners[..., 0] = (corners[..., 0] + 0.05 * np.linspace(0.0, 1.0, 8)).clip(-0.05, 0.3)
    place = np.linspace(0.0, 7.0, steps)
    piece = np.minimum(place.astype(int), 6)
    return corners[:, piece] + (place - piece)[:, None] * (corners[:, piece + 1] - corners[:, piece])


def layer_tractions(paths, substeps=20):
    """Responses (n, steps, 3) over p0."""
    n, steps, _ = paths.shape
    ratio, dilation, tractions = np.zeros((n, 2)), np.zeros(n), np.zeros(paths.shape)
    for step in range(steps):
        move = (paths[:, step, 1:] - paths[:, max(step - 1, 0), 1:]) / substeps
        length = np.linalg.norm(move, axis=1)
        for _ in range(substeps):
            dense = (1.0 - dilation / 0.15).clip(-1.0, 1.0)
            ratio += ((0.5 + 0.2 * dense)[:, None] * move - ratio * length[:, None]) / 0.03
            along = (ratio * move).sum(axis=1)
            dilation += 0.3 * dense * along.clip(min=0.0) + 0.1 * along.clip(max=0.0)
        pressure = np.exp((-12.0 * (paths[:, step, 0] - dilation)).clip(-4.0, 4.0))
        tractions[:, step, 0] = -pressure
        tractions[:, step, 1:] = pressure[:, None] * ratio
    return tractions
