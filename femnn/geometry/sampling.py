"""Random hexahedra to learn from and to measure on."""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.exceptions import ParameterError
from femnn.geometry.coordinates import TWISTS
from femnn.geometry.hexahedron import VERTICES
from femnn.geometry.validity import VALID, bernstein_coefficients, classify
from femnn.system.memory import require_memory

_MOST_ROUNDS = 200


@checked(n="[1, inf)", seed="[0, inf]", aspect="[1, inf)", shear="[0, 0.5)", structured="[0, 1]", rotated="[0, 1]")
def distorted_hexahedra(
    n: int,
    displacement: ArrayLike,
    seed: int,
    *,
    aspect: float = 1.0,
    shear: float = 0.0,
    structured: float = 0.0,
    rotated: float = 0.0,
) -> np.ndarray:
    """Unit cubes with every vertex coordinate moved at random; folded ones are drawn again.

    Parameters
    ----------
    n
        Number of elements.
    displacement
        Half width d of the uniform distribution U(-d, d) of each coordinate's move: a number, or a pair (low, high)
        from which d itself is drawn uniformly for every element.
    seed
        Seed of the generator; the same seed gives the same bits.
    aspect
        The distorted cubes are stretched along their axes by factors drawn log-uniformly from [1, a], where a is drawn
        log-uniformly from [1, aspect] for every element: mild stretches are as frequent as strong ones.
    shear
        And sheared before that by a matrix with ones on and U(-s, s) off its diagonal, s drawn from U(0, shear).
    structured
        Fraction of elements that are like those of swept and mapped meshes, in which most of the twelve twists (see
        :func:`femnn.geometry.coordinates.modes`) are missing: each is kept with a probability p and enlarged by p^-1/2,
        p drawn from U(0, 1) for every such element. Their displacement is multiplied by U(0, 1) besides, because such
        meshes hold many elements that are nearly parallelepipeds.
    rotated
        Fraction of elements that are turned at random, all orientations alike.

    Returns
    -------
    Array of shape (n, 8, 3); every element has one sign of det J throughout.

    Raises
    ------
    ParameterError
        If n < 1, aspect < 1, shear is outside [0, 0.5), structured or rotated outside [0, 1], seed or displacement
        negative, or if hardly any cube with such displacements is free of folds.

    Notes
    -----
    With one number, the sampling of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351, section 4.

    Examples
    --------
    >>> import femnn
    >>> femnn.distorted_hexahedra(100, 0.2, seed=0).shape
    (100, 8, 3)
    """
    low, high = _displacement_interval(displacement)
    require_memory(8 * 24 * n, f"an array of {n:,} elements")
    random = np.random.default_rng(seed)
    amplitude = random.uniform(low, high, n)
    hexahedra = np.empty((n, 8, 3))
    missing = np.arange(n)
    is_structured = random.uniform(size=n) < structured if structured else np.zeros(n, dtype=bool)
    amplitude[is_structured] *= random.uniform(size=is_structured.sum())
    for _ in range(_MOST_ROUNDS):
        moves = random.uniform(-1.0, 1.0, (len(missing), 8, 3))
        chosen = is_structured[missing]
        moves[chosen] = _with_fewer_twists(moves[chosen], random)
        hexahedra[missing] = VERTICES + amplitude[missing, None, None] * moves
        missing = missing[classify(hexahedra[missing]) != VALID]
        if len(missing) == 0:
            return _rotate(_transform(hexahedra, random, aspect, shear), random, rotated)
    raise ParameterError(
        f"{len(missing)} of {n} cubes were still folded after {_MOST_ROUNDS} draws at displacement {displacement!r}; "
        "use a displacement below 0.7"
    )


def nearly_folded(n: int, share: float, seed: int) -> np.ndarray:
    """Distorted unit cubes (n, 8, 3), one vertex of each pushed inwards until the smallest Bernstein coefficient of
    det J is ``share`` of their mean.

    >>> values = np.abs(bernstein_coefficients(nearly_folded(3, 1e-3, seed=0))).reshape(3, -1)
    >>> bool(np.allclose(values.min(axis=1), 1e-3 * values.mean(axis=1), rtol=1e-6))
    True
    """
    vertices = VERTICES + np.random.default_rng(seed).uniform(-0.15, 0.15, (n, 8, 3))
    low, high = np.zeros(n), np.ones(n)
    for _ in range(50):
        middle = 0.5 * (low + high)
        coefficients = bernstein_coefficients(_pushed(vertices, middle)).reshape(n, -1)
        coefficients *= np.sign(coefficients.sum(axis=1, keepdims=True))
        healthy = coefficients.min(axis=1) > share * coefficients.mean(axis=1)
        low, high = np.where(healthy, middle, low), np.where(healthy, high, middle)
    return _pushed(vertices, low)


def _pushed(vertices, way):
    """The first vertex of each element moved a part of the ``way`` (n,) to the opposite one."""
    result = vertices.copy()
    result[:, 0] += way[:, None] * (vertices[:, 7] - vertices[:, 0])
    return result


def _with_fewer_twists(moves, random):
    twists = np.einsum("eai,ak->eki", moves, TWISTS) / 8.0
    probability = random.uniform(size=(len(moves), 1, 1))
    kept = random.uniform(size=twists.shape) < probability
    change = twists * np.where(kept, 1.0 / np.sqrt(np.maximum(probability, 0.1)), 0.0) - twists
    return moves + np.einsum("ak,eki->eai", TWISTS, change)


def _displacement_interval(displacement):
    low, high = np.broadcast_to(displacement, 2) if np.shape(displacement) in ((), (1,), (2,)) else (np.nan, np.nan)
    if not (np.isfinite(low) and np.isfinite(high) and 0.0 <= low <= high):
        raise ParameterError(
            f"displacement is {brief(displacement)}; it must be a number >= 0, or a pair (low, high) of such"
        )
    return low, high


def _transform(hexahedra, random, aspect, shear):
    if aspect == 1.0 and shear == 0.0:
        return hexahedra
    n = len(hexahedra)
    affine = random.uniform(0.0, shear, (n, 1, 1)) * random.uniform(-1.0, 1.0, (n, 3, 3))
    affine[:, range(3), range(3)] = 1.0
    stretch = np.exp(np.log(aspect) * random.uniform(0.0, 1.0, (n, 1)) * random.uniform(0.0, 1.0, (n, 3)))
    return np.einsum("eij,eaj->eai", affine * stretch[:, None, :], hexahedra - 0.5)


def _rotate(hexahedra, random, fraction):
    if fraction == 0.0:
        return hexahedra
    is_rotated = random.uniform(size=len(hexahedra)) < fraction
    result = hexahedra.copy()
    # normal quaternions are uniform rotations
    matrices = scipy.spatial.transform.Rotation.from_quat(random.normal(size=(int(is_rotated.sum()), 4))).as_matrix()
    result[is_rotated] = np.einsum("eij,eaj->eai", matrices, hexahedra[is_rotated])
    return result
