"""Tetrahedra of parts, and their subdivision into hexahedra: the commonest way to an all-hexahedral mesh.

Every tetrahedron becomes four hexahedra, one at each vertex, by its edge middles, face centres and centre; gmsh's
``Mesh.SubdivisionAlgorithm = 2`` does the same. As the subdivision is affine, all these hexahedra have one and the
same warp J₀⁻¹h, about the largest that meshers make, until surfaces are snapped or points smoothed.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import scipy

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.meshers.cells import Cells

# Rounds in which inner points of the tetrahedra move to better places.
_ROUNDS = 14

# Candidates for a place, over the number that is wanted: enough to leave no gaps.
_CANDIDATES = 12

# A tetrahedron at the surface that is as flat as this is left out, as is one outside the part.
_FLAT = 0.08

# Of differences of distances; parts are about one across.
_STEP = 1e-6

Distance = Callable[[np.ndarray], np.ndarray]


@checked(points="n 3", tetrahedra="int m 4")
def subdivided(points: np.ndarray, tetrahedra: np.ndarray) -> Cells:
    """The hexahedra of tetrahedra (m, 4) on points (n, 3): four each, (4 m, 8).

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry.meshers import subdivided
    >>> mesh = skfem.MeshTet()
    >>> cells = subdivided(mesh.p.T, mesh.t.T)
    >>> mesh.nelements, cells.cells.shape
    (5, (20, 8))
    """
    _require_within(points, tetrahedra)
    keys = [points]
    offsets = len(points)
    numbers: dict[tuple[int, ...], np.ndarray] = {}
    for size in (2, 3, 4):
        subsets = list(combinations(range(4), size))
        members = np.sort(tetrahedra[:, subsets].reshape(-1, size), axis=1)
        unique, number = np.unique(members, axis=0, return_inverse=True)
        keys.append(points[unique].mean(axis=1))
        number = offsets + number.reshape(len(tetrahedra), len(subsets))
        numbers |= {subset: number[:, k] for k, subset in enumerate(subsets)}
        offsets += len(unique)

    def at(*corners):
        return tetrahedra[:, corners[0]] if len(corners) == 1 else numbers[tuple(sorted(corners))]

    cells = [
        np.stack([at(a), at(a, b), at(a, b, c), at(a, c), at(a, d), at(a, b, d), at(a, b, c, d), at(a, c, d)], axis=1)
        for a, b, c, d in ((0, 1, 2, 3), (1, 2, 0, 3), (2, 0, 1, 3), (3, 2, 1, 0))
    ]
    return Cells(np.concatenate(keys), np.stack(cells, axis=1).reshape(-1, 8))


@checked(points="n 3", tetrahedra="int m 4")
def tetrahedral_quality(points: np.ndarray, tetrahedra: np.ndarray) -> np.ndarray:
    """Mean ratio of tetrahedra, (m,): 12 (3 V)^(2/3) over the sum of squared edges, 1 if regular and 0 if flat.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.geometry.meshers import tetrahedral_quality
    >>> regular = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    >>> tetrahedral_quality(regular, np.array([[0, 1, 2, 3]])).round(12)
    array([1.])
    """
    _require_within(points, tetrahedra)
    x = points[tetrahedra]
    volume = np.abs(np.linalg.det(x[:, 1:] - x[:, :1])) / 6.0
    squares = sum(((x[:, a] - x[:, b]) ** 2).sum(axis=1) for a, b in combinations(range(4), 2))
    return 12.0 * np.cbrt(3.0 * volume) ** 2 / squares


def _require_within(points, tetrahedra):
    if len(tetrahedra) and not 0 <= tetrahedra.min() <= tetrahedra.max() < len(points):
        raise ParameterError(
            f"tetrahedra has vertices from {tetrahedra.min()} to {tetrahedra.max()}, there are {len(points)} points"
        )


class Part(NamedTuple):
    """A part: ``distance`` of points (n, 3), signed, negative inside; the box (2, 3) about it, as tight as it can be.

    ``rims`` are sharp edges along circles in planes of constant z, as (x, y, z, radius).
    """

    name: str
    distance: Distance
    box: np.ndarray
    rims: tuple = ()


def _ball():
    return Part("ball", lambda x: np.linalg.norm(x, axis=1) - 1.0, np.array([[-1.0] * 3, [1.0] * 3]))


def _brick(sizes):
    def distance(x):
        out = np.abs(x) - sizes
        return np.linalg.norm(np.maximum(out, 0.0), axis=1) + np.minimum(out.max(axis=1), 0.0)

    return Part("brick", distance, np.array([-sizes, sizes]))


def _cylinder(radius, height):
    def distance(x):
        out = np.stack([np.hypot(x[:, 0], x[:, 1]) - radius, np.abs(x[:, 2]) - height], axis=1)
        return np.linalg.norm(np.maximum(out, 0.0), axis=1) + np.minimum(out.max(axis=1), 0.0)

    rims = tuple((0.0, 0.0, z, radius) for z in (-height, height))
    return Part("cylinder", distance, np.array([[-radius, -radius, -height], [radius, radius, height]]), rims)


def _holed(brick, centre, radius):
    """A brick with a hole along z, or with a spherical pore if the centre has three coordinates."""

    def distance(x):
        return np.maximum(brick.distance(x), radius - np.linalg.norm(x[:, : len(centre)] - centre, axis=1))

    if len(centre) == 3:
        return brick._replace(name="porous block", distance=distance)
    rims = tuple((*centre, z, radius) for z in brick.box[:, 2])
    return Part("holed block", distance, brick.box, rims)


def draw_part(random: np.random.Generator) -> Part:
    """A ball, a cylinder, a brick, or a brick with a hole or a pore, of drawn sizes."""
    kind = random.integers(5)
    if kind == 0:
        return _ball()
    if kind == 1:
        return _cylinder(random.uniform(0.5, 1.0), random.uniform(0.4, 1.2))
    sizes = random.uniform(0.5, 1.0, 3)
    if kind == 2:
        return _brick(sizes)
    axes = kind - 1
    radius = random.uniform(0.3, 0.55) * sizes[:axes].min()
    return _holed(_brick(sizes), random.uniform(-0.3, 0.3, axes) * (sizes[:axes] - radius), radius)


def tetrahedra_in(
    part: Part, spacing: float, random: np.random.Generator, grading: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Tetrahedra of a part as a Delaunay mesher makes them: points spaced, triangulated, optimised, without slivers.

    Parameters
    ----------
    part
    spacing
        Of the points where they are closest.
    random
        Draws the points.
    grading
        Spacing at the far end of the box over that at its near end.

    Returns
    -------
    points : (n, 3)
    tetrahedra : (m, 4)
    """
    distance, box = part.distance, part.box
    along = random.normal(size=3)
    along /= np.linalg.norm(along)
    reach = (np.abs(along) * np.ptp(box, axis=0)).sum()

    def wanted(x):
        return spacing * grading ** np.clip((x - box.mean(axis=0)) @ along / reach + 0.5, 0.0, 1.0)

    fixed, free = _cloud(part, wanted, spacing, random)
    points = np.concatenate([fixed, free])
    least = -1.0
    for step in range(_ROUNDS):
        tetrahedra = _inside(points, distance)
        quality = tetrahedral_quality(points, tetrahedra)
        worst = quality.min()
        if worst > least:
            least, best = worst, (points, tetrahedra)
        if step >= _ROUNDS // 2 and worst > 0.25:
            break
        target = _optimal_places(points, tetrahedra)
        shaken = np.unique(tetrahedra[quality < 0.2])
        target[shaken] += 0.15 * wanted(points[shaken])[:, None] * random.normal(size=(len(shaken), 3))
        target[: len(fixed)] = points[: len(fixed)]
        # inner points must not come too near to the surface, where flat cells would be made
        near = distance(target) > -0.35 * wanted(target)
        points = np.where(near[:, None], points, target)
    return best


def _cloud(part, wanted, spacing, random):
    """Points on the surface with its sharp edges, and points inside, about as far apart as ``wanted``."""
    distance, box = part.distance, part.box
    volume = np.prod(np.ptp(box, axis=0))
    count = int(_CANDIDATES * volume / spacing**3) + 200
    inside = box[0] + random.uniform(size=(count, 3)) * np.ptp(box, axis=0)
    corners = np.array(np.meshgrid(*box.T)).reshape(3, -1).T
    edges = [_edge_points(box, axis, spacing, random) for axis in range(3)]
    along_edges = np.concatenate([corners, *edges, *(_rim_points(rim, spacing, random) for rim in part.rims)])
    sharp = along_edges[np.abs(distance(along_edges)) < 1e-9 * np.ptp(box)]
    surface = led_to_surface(inside[np.abs(distance(inside)) < spacing], distance)
    surface = surface[np.abs(distance(surface)) < 10.0 * _STEP]
    chosen = _spread([sharp, surface], wanted)
    deep = inside[distance(inside) < -0.6 * wanted(inside)]
    everything = _spread([chosen, deep], wanted)
    return chosen, everything[len(chosen) :]


def _edge_points(box, axis, spacing, random):
    """Points on the four edges of the box along one axis, evenly spaced but for a jitter."""
    length = box[1, axis] - box[0, axis]
    count = max(1, round(length / spacing))
    parts = []
    for corner in np.array(np.meshgrid(*np.delete(box, axis, axis=1).T)).reshape(2, -1).T:
        places = (np.arange(1, count) + random.uniform(-0.15, 0.15, count - 1)) / count
        parts.append(np.insert(np.tile(corner, (count - 1, 1)), axis, box[0, axis] + length * places, axis=1))
    return np.concatenate(parts)


def _rim_points(rim, spacing, random):
    x, y, z, radius = rim
    count = max(6, round(2.0 * np.pi * radius / spacing))
    angle = 2.0 * np.pi * (np.arange(count) + random.uniform(-0.15, 0.15, count)) / count
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(count, z)], axis=1)


def led_to_surface(points: np.ndarray, distance: Distance, rounds: int = 8) -> np.ndarray:
    """Points (n, 3) led along the slope of the ``distance`` to its zero, by differences."""
    for _ in range(rounds):
        slopes = [(distance(points + step) - distance(points - step)) / (2.0 * _STEP) for step in _STEP * np.eye(3)]
        points = points - distance(points)[:, None] * np.stack(slopes, axis=1)
    return points


def _spread(sets, wanted):
    """Points of several sets, earlier ones first, none nearer to another than 0.8 of what is wanted there."""
    points = np.concatenate(sets)
    limit = 0.8 * wanted(points)
    neighbours = scipy.spatial.cKDTree(points).query_ball_point(points, limit)
    taken = np.ones(len(points), dtype=bool)
    for k, near in enumerate(neighbours):
        if taken[k]:
            taken[[j for j in near if j > k]] = False
    return points[taken]


def _inside(points, distance):
    """Tetrahedra of the part: those outside, and flat ones at its surface, are left out."""
    tetrahedra = scipy.spatial.Delaunay(points).simplices
    quality = tetrahedral_quality(points, tetrahedra)
    tetrahedra = tetrahedra[(distance(points[tetrahedra].mean(axis=1)) < 0.0) & (quality > 1e-6)]
    while True:
        faces = np.sort(tetrahedra[:, list(combinations(range(4), 3))], axis=2)
        _, number, count = np.unique(faces.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
        exposed = (count[number.reshape(-1, 4)] == 1).any(axis=1)
        flat = exposed & (tetrahedral_quality(points, tetrahedra) < _FLAT)
        if not flat.any():
            return tetrahedra
        tetrahedra = tetrahedra[~flat]


def _optimal_places(points, tetrahedra):
    """Where points should be so that their Delaunay tetrahedra are round: means of the circumcentres about them.

    Optimal Delaunay triangulation (L. Chen, J. Xu, J. Comput. Math. 22 (2004) 299-308); a circumcentre far away is
    replaced by the centre.
    """
    x = points[tetrahedra]
    edges = x[:, 1:] - x[:, :1]
    volume = np.abs(np.linalg.det(edges))
    centre = x.mean(axis=1)
    around = x[:, 0] + np.linalg.solve(2.0 * edges, (edges**2).sum(axis=2)[..., None])[..., 0]
    size = np.sqrt((edges**2).sum(axis=2).max(axis=1))
    far = np.linalg.norm(around - centre, axis=1) > 0.6 * size
    around[far] = centre[far]
    sums, weights = np.zeros_like(points), np.zeros(len(points))
    np.add.at(sums, tetrahedra, (volume[:, None] * around)[:, None])
    np.add.at(weights, tetrahedra, volume[:, None])
    return np.where(weights[:, None] > 0.0, sums / np.maximum(weights, 1e-300)[:, None], points)


def subdivided_part(cells: int, random: np.random.Generator) -> Cells:
    """Hexahedra of a drawn part's tetrahedra, about so many: graded, stretched, snapped and smoothed as drawn."""
    part = draw_part(random)
    volume = np.prod(np.ptp(part.box, axis=0)) * 0.8
    grading = np.exp(random.uniform(0.0, np.log(3.0)) * random.integers(2))
    # 28 hexahedra in a cube of the spacing, which grows from one end of the part to the other
    spacing = np.cbrt(28.0 * volume / cells) / np.sqrt(grading)
    points, tetrahedra = tetrahedra_in(part, spacing, random, grading)
    result = subdivided(points, tetrahedra)
    variant = random.integers(3)
    if variant == 1:
        skin = result.on_skin()
        near = skin & (np.abs(part.distance(result.points)) < 0.3 * spacing)
        target = result.points.copy()
        target[near] = led_to_surface(target[near], part.distance)
        result = result.moved(target)
    if variant == 2:
        result = result.smoothed(int(random.integers(1, 4)))
    stretch = np.exp(random.uniform(0.0, np.log(4.0), 3) * random.integers(2))
    return Cells(result.points * stretch, result.cells)
