"""Unstructured quadrilaterals of plane parts, extruded: swept meshes, subdivided triangles, boundary layers."""

import numpy as np
import scipy

from femnn.geometry.meshers.cells import Cells, extruded, mean_of_neighbours, waves

_ROUNDS = 12

# Thinnest cells of a boundary layer: their aspect is drawn up to this.
_MOST_ASPECT = 1000.0


def triangles_in(shape: str, spacing: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (m, 3) on points (n, 2) of a plane ``shape`` of ``SHAPES``, as a Delaunay mesher makes them."""
    fixed, hole = SHAPES[shape](spacing, random)
    box = fixed.min(axis=0), fixed.max(axis=0)
    count = int(12 * np.prod(box[1] - box[0]) / spacing**2) + 50
    free = box[0] + random.uniform(size=(count, 2)) * (box[1] - box[0])
    free = free[~_outside(free, shape, hole, 0.5 * spacing)]
    points = np.concatenate([fixed, free])
    near = scipy.spatial.cKDTree(points).query_ball_point(points, 0.8 * spacing)
    taken = np.ones(len(points), dtype=bool)
    for k, others in enumerate(near):
        if taken[k]:
            taken[[j for j in others if j > k and j >= len(fixed)]] = False
    points = points[taken]
    for step in range(_ROUNDS + 1):
        triangles = scipy.spatial.Delaunay(points).simplices
        x = points[triangles]
        area = np.abs(np.linalg.det(x[:, 1:] - x[:, :1]))
        triangles = triangles[~_outside(x.mean(axis=1), shape, hole, 0.0) & (area > 1e-3 * spacing**2)]
        if step < _ROUNDS:
            edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
            points[len(fixed) :] = (mean_of_neighbours(edges, len(points)) @ points)[len(fixed) :]
    used, triangles = np.unique(triangles, return_inverse=True)
    return points[used], triangles.reshape(-1, 3)


def _closed(corners, spacing):
    """Points along a closed line, about so far apart."""
    parts = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        count = max(1, round(np.linalg.norm(b - a) / spacing))
        parts.append(a + np.linspace(0.0, 1.0, count, endpoint=False)[:, None] * (b - a))
    return np.concatenate(parts)


def _circle(radius, spacing):
    angle = np.linspace(0.0, 2.0 * np.pi, max(8, round(2.0 * np.pi * radius / spacing)), endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _square(spacing, random):
    height = random.uniform(0.4, 1.0)
    return _closed(np.array([[-1.0, -height], [1.0, -height], [1.0, height], [-1.0, height]]), spacing), 0.0


def _holed_square(spacing, random):
    hole = random.uniform(0.25, 0.6)
    outer = _closed(np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), spacing)
    return np.concatenate([outer, _circle(hole, spacing)]), hole


def _disc(spacing, random):
    return _circle(1.0, spacing), 0.0


def _ring(spacing, random):
    hole = random.uniform(0.3, 0.7)
    return np.concatenate([_circle(1.0, spacing), _circle(hole, spacing)]), hole


#: Plane parts by name: functions that give the points of their boundary and the radius of their hole.
SHAPES = {"square": _square, "holed square": _holed_square, "disc": _disc, "ring": _ring}


def _outside(points, shape, hole, margin):
    radius = np.linalg.norm(points, axis=1)
    beyond = radius > 1.0 - margin if shape in ("disc", "ring") else np.zeros(len(points), dtype=bool)
    return beyond | (radius < hole + (margin if hole else 0.0))


def quadrilaterals_in(
    shape: str, spacing: float, random: np.random.Generator, paired: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Quadrilaterals (m, 4) on points (n, 2): every triangle split in three, or most of them ``paired`` before."""
    points, triangles = triangles_in(shape, 2.0 * spacing, random)
    pairs, single = _paired(points, triangles) if paired else (np.empty((0, 4), dtype=np.int64), triangles)
    edges = np.concatenate([pairs[:, [[0, 1], [1, 2], [2, 3], [3, 0]]], np.empty((0, 4, 2), dtype=np.int64)])
    sides = np.concatenate([edges.reshape(-1, 2), single[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)])
    unique, number = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
    number = number.reshape(-1) + len(points)
    first = len(points) + len(unique)
    quads = []
    for polygons, numbers, start in (
        (pairs, number[: 4 * len(pairs)].reshape(-1, 4), first),
        (single, number[4 * len(pairs) :].reshape(-1, 3), first + len(pairs)),
    ):
        centre, corners = start + np.arange(len(polygons)), polygons.shape[1]
        quads += [np.stack([polygons[:, k], numbers[:, k], centre, numbers[:, k - 1]], axis=1) for k in range(corners)]
    centres = [points[part].mean(axis=1) for part in (pairs, single)]
    points = np.concatenate([points, points[unique].mean(axis=1), *centres])
    return points, np.concatenate(quads)


def _paired(points, triangles):
    """Quadrilaterals of pairs of triangles, the best pairs first, and the triangles that are left."""
    sides = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    order = np.lexsort(sides.T)
    same = np.flatnonzero((sides[order[1:]] == sides[order[:-1]]).all(axis=1))
    first, second = order[same] // 3, order[same + 1] // 3
    # about their common side: the end of it, the third corner of one, the other end, the third corner of the other
    a, c = sides[order[same]].T
    b = triangles[first].sum(axis=1) - a - c
    d = triangles[second].sum(axis=1) - a - c
    quads = np.stack([a, b, c, d], axis=1)
    x = points[quads]
    to_next, to_last = np.roll(x, -1, axis=1) - x, np.roll(x, 1, axis=1) - x
    lengths = np.linalg.norm(to_next, axis=2) * np.linalg.norm(to_last, axis=2)
    sines = (to_next[..., 0] * to_last[..., 1] - to_next[..., 1] * to_last[..., 0]) / lengths
    clockwise = sines.sum(axis=1) < 0.0
    quality = np.where(clockwise, -sines.max(axis=1), sines.min(axis=1))
    quads[clockwise] = quads[clockwise][:, ::-1]
    free, chosen = np.ones(len(triangles), dtype=bool), []
    for k in np.argsort(-quality):
        if quality[k] > 0.3 and free[first[k]] and free[second[k]]:
            free[first[k]] = free[second[k]] = False
            chosen.append(k)
    return quads[chosen].reshape(-1, 4), triangles[free]


def _settled(points, quads, random):
    """The plane mesh smoothed, as far as extruded cells do not fold."""
    flat = _extruded(points, quads, np.array([0.0, 1.0]))
    sides = quads[:, [[0, 1], [1, 2], [2, 3], [3, 0]]].reshape(-1, 2)
    _, number, count = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True, return_counts=True)
    edge = np.zeros(len(points), dtype=bool)
    edge[sides[count[number.reshape(-1)] == 1]] = True
    target, mean = points.copy(), mean_of_neighbours(sides, len(points))
    for _ in range(int(random.integers(0, 6))):
        target[~edge] = (mean @ target)[~edge]
    target = np.concatenate([np.insert(target, 2, z, axis=1) for z in (0.0, 1.0)])
    return flat.moved(target).points[: len(points), :2]


def _extruded(points, quads, heights):
    layers = np.stack([np.insert(points, 2, z, axis=1) for z in heights])
    return extruded(quads, layers)


def swept(cells: int, random: np.random.Generator) -> Cells:
    """A plane mesh of paired triangles, subdivided once, swept along an arc with twist and taper."""
    spacing, shape, layers = _sizes(cells, random)
    points, quads = quadrilaterals_in(shape, spacing, random, paired=True)
    points = _settled(points, quads, random)
    length = layers * spacing * np.exp(random.uniform(np.log(0.3), np.log(5.0)))
    straight = _extruded(points, quads, np.linspace(0.0, length, layers + 1))
    x, s = straight.points, straight.points[:, 2] / length
    twist, taper, bend = random.uniform(0.0, 1.2), random.uniform(0.0, 0.6), random.uniform(0.0, 1.2)
    size, angle = 1.0 - taper * s, twist * s
    u = size * (np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1])
    v = size * (np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1])
    # bent about an axis that no point of the section reaches
    radius = max(length / max(bend, 1e-3), 1.5)
    turn = length * s / radius
    bent = np.stack([radius - (radius - u) * np.cos(turn), v, (radius - u) * np.sin(turn)], axis=1)
    return straight.moved(bent)


def subdivided_quadrilaterals(cells: int, random: np.random.Generator) -> Cells:
    """A plane mesh of triangles split in three, extruded straight or nearly so, from flat to long."""
    spacing, shape, layers = _sizes(cells, random)
    points, quads = quadrilaterals_in(shape, spacing, random, paired=False)
    points = _settled(points, quads, random) if random.integers(2) else points
    height = layers * spacing * np.exp(random.uniform(np.log(0.1), np.log(10.0)))
    result = _extruded(points, quads, np.linspace(0.0, height, layers + 1))
    if random.integers(2):
        result = result.moved(result.points + waves(result.points, random, random.uniform(0.0, 0.08)))
    return result


def boundary_layer(cells: int, random: np.random.Generator) -> Cells:
    """Layers grown from a curved wall along its vertex normals, the first of an aspect of 10 to 1,000."""
    layers = int(random.integers(8, 15))
    spacing = np.sqrt(3.5 * layers / cells)
    shape = list(SHAPES)[random.integers(len(SHAPES))]
    points, quads = quadrilaterals_in(shape, spacing, random, paired=bool(random.integers(2)))
    points = _settled(points, quads, random)
    slope, direction = random.uniform(0.0, 0.35, 3), random.uniform(0.0, 2.0 * np.pi, 3)
    waves_along = np.stack([np.cos(direction), np.sin(direction)]) * random.uniform(1.0, 3.0, 3)
    wall = np.insert(points, 2, (slope * np.sin(points @ waves_along) / 3.0).sum(axis=1), axis=1)
    normals = np.zeros_like(wall)
    a, b, c, d = (wall[quads[:, k]] for k in range(4))
    np.add.at(normals, quads, np.cross(c - a, d - b)[:, None])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first = spacing * np.exp(-random.uniform(np.log(10.0), np.log(_MOST_ASPECT)))
    growth = random.uniform(1.1, 1.7)
    offsets = np.concatenate([[0.0], np.cumsum(first * growth ** np.arange(layers))])
    offsets *= min(1.0, 0.5 / offsets[-1])
    straight = extruded(quads, wall + offsets[:, None, None] * np.array([0.0, 0.0, 1.0]))
    # where the wall is rough, thicknesses differ from vertex to vertex
    thickness = 1.0 + random.uniform(0.0, 0.3) * random.uniform(-1.0, 1.0, len(wall))
    grown = wall + (offsets[:, None] * thickness)[..., None] * normals
    return straight.moved(grown.reshape(-1, 3))


def _sizes(cells, random):
    layers = int(random.integers(3, 9))
    return np.sqrt(3.5 * layers / cells), list(SHAPES)[random.integers(len(SHAPES))], layers
