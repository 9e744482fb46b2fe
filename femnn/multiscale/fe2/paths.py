"""Paths of macroscopic strain: cyclic and not proportional, drawn from a seed."""

import numpy as np

from femnn.checks import checked
from femnn.solids.tensors import COLUMN, ROW

# Components by Voigt.
_PAIRS = tuple(zip(ROW.tolist(), COLUMN.tolist(), strict=True))


@checked(
    count="[1, inf)", steps="[1, inf)", amplitude="(0, inf)", turns="[1, inf)", volumetric="[0, inf)", seed="[0, inf)"
)
def draw_strain_paths(
    count: int, steps: int = 40, amplitude: float = 0.03, *, turns: int = 4, volumetric: float = 0.1, seed: int = 0
) -> np.ndarray:
    """Paths (count, steps, 6) that go from turn to turn in straight lines, each leg in another direction.

    Parameters
    ----------
    count, steps
        Number of paths and of steps of each, which are shared by the legs by their length.
    amplitude
        Largest norm √(2/3 e:e) of the deviatoric strain at a turn, an equivalent strain; it is drawn between a third of
        it and all.
    turns
        Legs of a path.
    volumetric
        Spread of the strain along each axis that comes on top, over the amplitude.
    seed
        Paths of one seed are the first of those of a larger ``count``.

    Examples
    --------
    >>> draw_strain_paths(3, steps=10).shape
    (3, 10, 6)
    """
    paths = np.empty((count, steps, 6))
    for k, path in enumerate(paths):
        rng = np.random.default_rng([seed, k])
        tensors = rng.standard_normal((turns, 3, 3))
        tensors = 0.5 * (tensors + tensors.transpose(0, 2, 1))
        tensors -= np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 3.0 * np.eye(3)
        sizes = np.sqrt(2.0 / 3.0) * np.linalg.norm(tensors, axis=(1, 2))
        tensors *= (amplitude * rng.uniform(1 / 3, 1.0, turns) / sizes)[:, None, None]
        tensors += (volumetric * amplitude * rng.standard_normal(turns))[:, None, None] * np.eye(3)
        # each second turn leads back across the origin: cycles
        tensors[1::2] = -0.5 * tensors[: turns - turns % 2 : 2] + 0.5 * tensors[1::2]
        corners = np.concatenate([np.zeros((1, 6)), to_voigt(tensors)])
        lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
        at = np.linspace(0.0, lengths[-1], steps + 1)[1:]
        path[:] = np.stack([np.interp(at, lengths, column) for column in corners.T], axis=1)
    return paths


def to_voigt(tensors: np.ndarray) -> np.ndarray:
    """Strains (n, 6) by Voigt, with engineering shear strains, of tensors (n, 3, 3)."""
    return np.stack([(1.0 if i == j else 2.0) * tensors[:, i, j] for i, j in _PAIRS], axis=1)


def to_tensors(strains: np.ndarray) -> np.ndarray:
    """Tensors (n, 3, 3) of strains (n, 6), the inverse of :func:`to_voigt`."""
    tensors = np.zeros((len(strains), 3, 3))
    for k, (i, j) in enumerate(_PAIRS):
        tensors[:, i, j] = tensors[:, j, i] = strains[:, k] * (1.0 if i == j else 0.5)
    return tensors
