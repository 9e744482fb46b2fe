"""Gauss-Legendre rules on [0, 1] and their tensor products on the cube."""

import functools
from functools import cache

import numpy as np

from femnn.checks import checked


@checked(n="[1, 1000]")
@cache
def gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of the n-point Gauss-Legendre rule on [0, 1], each of shape (n,); the weights sum to 1.

    Examples
    --------
    >>> from femnn.integration import gauss_legendre
    >>> points, weights = gauss_legendre(2)
    >>> points.round(4), weights
    (array([0.2113, 0.7887]), array([0.5, 0.5]))
    >>> float((weights * points**3).sum().round(12))
    0.25
    """
    points, weights = np.polynomial.legendre.leggauss(n)
    points, weights = 0.5 * (points + 1.0), 0.5 * weights
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights


@checked(nx="[1, 1000]", ny="[1, 1000]", nz="[1, 1000]")
@cache
def tensor_gauss(nx: int, ny: int, nz: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Points (dim, n) and weights (n,) of the tensor rule on [0, 1]³, or on [0, 1]² without ``nz``.

    The last axis runs fastest.

    Examples
    --------
    >>> from femnn.integration import tensor_gauss
    >>> points, weights = tensor_gauss(2, 3, 4)
    >>> points.shape, float(weights.sum().round(12))
    ((3, 24), 1.0)
    """
    rules = [gauss_legendre(n) for n in (nx, ny, nz) if n is not None]
    points = np.stack(np.meshgrid(*[rule[0] for rule in rules], indexing="ij")).reshape(len(rules), -1)
    weights = functools.reduce(np.multiply.outer, [rule[1] for rule in rules]).reshape(-1)
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights
