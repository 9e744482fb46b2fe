"""Families of cells of any kind, drawn at random: what estimates of quadrature errors are calibrated and tested on."""

from collections.abc import Callable

import numpy as np

from femnn.checks import checked, one_of
from femnn.geometry.cells import CellKind
from femnn.geometry.validity import VALID, classify

# Largest displacements of nodes along an axis, by dimension and degree of the map: more folds most cells.
_DISPLACEMENTS = {(2, 1): 0.35, (2, 2): 0.11, (3, 1): 0.3, (3, 2): 0.07}
# Rounds of drawing after which a family is given up, which happens to none of those below.
_ROUNDS = 1000


def _random(kind, n, rng):
    spread = _DISPLACEMENTS[kind.dim, kind.degree] * rng.random((n, 1, 1))
    return kind.nodes + spread * rng.uniform(-1.0, 1.0, (n, *kind.nodes.shape))


def _stretched(kind, n, rng):
    """Random cells, longer along some axes by up to thirty, and turned."""
    axes = np.linalg.qr(rng.standard_normal((n, kind.dim, kind.dim)))[0]
    return (_random(kind, n, rng) * 10.0 ** rng.uniform(0.0, 1.5, (n, 1, kind.dim))) @ axes


def _bent(kind, n, rng):
    """Small pieces of a square or cube under a smooth map, as in a mesh that follows curved surfaces everywhere."""
    size, corner = rng.uniform(0.1, 0.7, (n, 1, 1)), rng.uniform(0.0, 1.0, (n, 1, kind.dim))
    x = corner + size * kind.nodes
    strength = rng.uniform(0.0, 0.25, (n, 1, 1))
    waves = rng.uniform(1.0, 4.0, (n, kind.dim, kind.dim))
    return x + strength * np.sin(x @ waves + rng.uniform(0.0, 6.0, (n, 1, kind.dim)))


def _bulged(kind, n, rng):
    """Parallelepipeds with one bulged side, as at the surface of a mesh whose inside is straight."""
    centred = kind.nodes - 0.5
    shear = np.eye(kind.dim) + 0.5 * rng.uniform(-1.0, 1.0, (n, kind.dim, kind.dim))
    depth = rng.uniform(-0.25, 0.25, (n, 1))
    skew = 0.3 * rng.uniform(-1.0, 1.0, (n, kind.dim))
    # zero on the opposite side; round or, where nodes are at the vertices alone, slanted on this one
    across = centred[:, 1:]
    round_off = depth * (1.0 - 4.0 * (across**2).mean(axis=1)) if kind.degree == 2 else 0.0
    slanted = np.einsum("na,ka->nk", skew[:, 1:], across)
    lift = kind.nodes[:, 0] * (round_off + slanted)
    x = np.broadcast_to(kind.nodes, (n, *kind.nodes.shape)).copy()
    x[:, :, 0] += lift
    return x @ shear


_FAMILIES: dict[str, Callable] = {"random": _random, "stretched": _stretched, "bent": _bent, "bulged": _bulged}

#: Names of the families.
FAMILIES = tuple(_FAMILIES)


@checked(name="unchecked", n="[1, inf)", seed="[0, inf)")
def cells_of_family(kind: CellKind, name: str, n: int, seed: int) -> np.ndarray:
    """Healthy cells (n, nodes, dim) of a family; folded ones are drawn again.

    Examples
    --------
    >>> from femnn.geometry import QUADRILATERAL
    >>> cells_of_family(QUADRILATERAL, "stretched", 5, seed=0).shape
    (5, 4, 2)
    """
    draw = _FAMILIES[one_of("name", name, FAMILIES)]
    rng = np.random.default_rng([seed, FAMILIES.index(name)])
    x = draw(kind, n, rng)
    for _ in range(_ROUNDS):
        folded = np.flatnonzero(classify(x) != VALID)
        if len(folded) == 0:
            break
        x[folded] = draw(kind, len(folded), rng)
    return x
