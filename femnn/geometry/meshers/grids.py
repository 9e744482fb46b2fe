"""Structured and grid-based meshes: mapped blocks, polycubes, grids snapped to a surface, transitions of an octree."""

import numpy as np

from femnn.exceptions import MeshError
from femnn.geometry.meshers.cells import Cells, extruded, grid, mean_of_neighbours, merged, turned, waves
from femnn.geometry.meshers.tetrahedra import led_to_surface

_DRAWS = 50


def mapped(cells: int, random: np.random.Generator) -> Cells:
    """A block of graded spacings under a smooth map: a sector of a pipe, a spherical shell, a torus, or waves."""
    shares = np.exp(random.uniform(-0.5, 0.5, 3))
    counts = np.maximum(3, np.round(np.cbrt(cells) * shares / np.cbrt(shares.prod()))).astype(int)
    block = grid(*(_graded(n, random) for n in counts))
    x, y, z = block.points.T
    stretch = np.exp(random.uniform(0.0, np.log(8.0), 3))
    kind = ("pipe", "shell", "torus", "waves")[random.integers(4)]
    inner, turn, rise = random.uniform(0.2, 1.5), random.uniform(0.5, 3.0), random.uniform(0.3, 2.0)
    if kind == "pipe":
        radius, angle = inner + x, turn * y
        target = np.stack([radius * np.cos(angle), radius * np.sin(angle), 3.0 * rise * z], axis=1)
    elif kind == "shell":
        directions = np.tan(random.uniform(0.3, 0.9) * np.stack([y - 0.5, z - 0.5], axis=1) * 1.6)
        directions = np.insert(directions, 2, 1.0, axis=1)
        target = (inner + x)[:, None] * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    elif kind == "torus":
        radius, around = inner + x, turn * y
        far, along = 1.2 * (inner + 1.0) + radius * np.cos(around), rise * z
        target = np.stack([far * np.cos(along), far * np.sin(along), radius * np.sin(around)], axis=1)
    else:
        target = block.points * stretch
        target = target + waves(target, random, random.uniform(0.02, 0.15))
    if np.linalg.det(_centre_jacobian(target, block.cells)).mean() < 0.0:
        target = target * np.array([1.0, 1.0, -1.0])
    return _from_block(block, target)


def _from_block(block, target):
    """The block led to ``target`` from its affine image, which has neither folds nor another handedness."""
    linear = np.linalg.lstsq(np.insert(block.points, 3, 1.0, axis=1), target, rcond=None)[0]
    start = np.insert(block.points, 3, 1.0, axis=1) @ linear
    moved = Cells(target, block.cells)
    return moved if not moved.folded().any() else Cells(start, block.cells).moved(target)


def _centre_jacobian(points, cells):
    x = points[cells]
    return np.stack(
        [x[:, [1, 2, 5, 6]].mean(axis=1), x[:, [2, 3, 6, 7]].mean(axis=1), x[:, 4:].mean(axis=1)], axis=1
    ) - x.mean(axis=1, keepdims=True)


def _graded(n, random):
    """n + 1 coordinates of [0, 1], the spacing growing from one end to the other by up to 20."""
    growth = np.exp(random.uniform(-1.0, 1.0) * np.log(20.0) * random.integers(2))
    steps = growth ** np.linspace(0.0, 1.0, n)
    return np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])


def polycube(cells: int, random: np.random.Generator) -> Cells:
    """A union of boxes in a grid, led to the rounded part that it stands for, as polycube maps do."""
    voxels = _boxes(random)
    fine = max(2, round(np.cbrt(cells / voxels.sum())))
    result = _voxel_mesh(np.kron(voxels, np.ones((fine,) * 3, dtype=bool)), 1.0 / fine)
    skin = result.skin()
    edges = skin[:, [[0, 1], [1, 2], [2, 3], [3, 0]]].reshape(-1, 2)
    mean = mean_of_neighbours(edges, len(result.points))
    target = result.points.copy()
    for _ in range(int(fine * random.uniform(0.5, 4.0))):
        target = mean @ target
    target = target + waves(target, random, random.uniform(0.0, 0.12))
    return _relaxed(result, target, random)


def _boxes(random):
    """A connected union of some boxes in a grid of 3 × 3 × 3 voxels."""
    for _ in range(_DRAWS):
        voxels = np.zeros((3, 3, 3), dtype=bool)
        for _ in range(int(random.integers(2, 5))):
            low = random.integers(0, 3, 3)
            high = np.minimum(low + random.integers(1, 4, 3), 3)
            voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
        if _connected(voxels)[1] == 1 and voxels.sum() >= 2 and not _pinched(voxels):
            return voxels
    raise MeshError(f"{_DRAWS} draws gave no connected union of boxes; choose another seed")


def _connected(voxels):
    """The number of the connected part that each voxel lies in, from 1 on, and how many parts there are."""
    # takes a twentieth of a second to load, which whoever imports femnn would wait for
    from scipy.ndimage import label

    return label(voxels)


def _pinched(voxels):
    """True where two voxels share an edge or a vertex but no face with each other or between them."""
    padded = np.pad(voxels, 1)
    for axis in range(3):
        faces = np.moveaxis(padded, axis, 0)
        a, b, c, d = faces[:, :-1, :-1], faces[:, 1:, :-1], faces[:, :-1, 1:], faces[:, 1:, 1:]
        if ((a & d & ~b & ~c) | (b & c & ~a & ~d)).any():
            return True
    ends = slice(None, -1), slice(1, None)
    corners = np.stack([padded[i, j, k] for i in ends for j in ends for k in ends])
    filled = corners.sum(axis=0)
    across = corners[:4] == corners[:3:-1]
    return bool((((filled == 2) & corners[:4] & across) | ((filled == 6) & ~corners[:4] & across)).any())


def _voxel_mesh(voxels, size):
    block = grid(*(size * np.arange(n + 1.0) for n in voxels.shape))
    cells = block.cells[voxels.ravel()]
    used, cells = np.unique(cells, return_inverse=True)
    return Cells(block.points[used], cells.reshape(-1, 8))


def _relaxed(start, target, random):
    """``start`` with its surface led to ``target`` and its inner points after it."""
    skin = start.on_skin()
    inner = mean_of_neighbours(start.edges(), len(start.points))
    moves = np.where(skin[:, None], target - start.points, 0.0)
    for _ in range(int(random.integers(10, 40))):
        moves[~skin] = (inner @ moves)[~skin]
    return start.moved(start.points + moves)


def _blob(random):
    """The distance, negative inside, of an ellipsoid, a torus or joined balls, turned at random, and its reach."""
    rotation, kind = turned(random), random.integers(3)
    if kind == 0:
        axes = random.uniform(0.5, 1.0, 3)

        def distance(x):
            y = x @ rotation / axes
            return (np.linalg.norm(y, axis=1) - 1.0) * axes.min()

    elif kind == 1:
        thick = random.uniform(0.25, 0.4)

        def distance(x):
            y = x @ rotation
            return np.hypot(np.hypot(y[:, 0], y[:, 1]) - (1.0 - thick), y[:, 2]) - thick

    else:
        centres, radii = random.uniform(-0.5, 0.5, (3, 3)), random.uniform(0.3, 0.5, 3)

        def distance(x):
            apart = np.linalg.norm(x[:, None] - centres, axis=2) - radii
            # a smooth least distance, so that balls are joined by fillets
            return -0.1 * np.log(np.exp(-apart / 0.1).sum(axis=1))

    return distance


def snapped_grid(cells: int, random: np.random.Generator) -> Cells:
    """The cells of a grid inside a smooth part, their surface snapped onto it, with or without a layer around."""
    for _ in range(_DRAWS):
        distance = _blob(random)
        result = _core(distance, cells, random)
        if result is not None:
            break
    else:
        raise MeshError(f"{_DRAWS} parts left no cells of the grid inside; choose another seed")
    core, spacing = result
    if random.integers(2):
        with_layer = _pillowed(core, spacing)
        core = core if with_layer.folded().any() else with_layer
    skin = core.on_skin()
    target = core.points.copy()
    target[skin] = led_to_surface(core.points[skin], distance, rounds=4)
    return _relaxed(core, target, random).smoothed(int(random.integers(0, 4)))


def _core(distance, cells, random):
    box = 1.3 * np.ones(3)
    points = random.uniform(-box, box, (4000, 3))
    spacing = np.cbrt(np.mean(distance(points) < 0.0) * np.prod(2.0 * box) / cells)
    if spacing == 0.0:
        return None
    axes = [np.arange(-1.4, 1.4 + spacing, spacing) + random.uniform(-0.5, 0.5) * spacing for _ in range(3)]
    shape = [len(axis) - 1 for axis in axes]
    block = grid(*axes)
    middles = block.points[block.cells].mean(axis=1)
    inside = (distance(middles) < -random.uniform(0.0, 0.6) * spacing).reshape(shape)
    parts, count = _connected(inside)
    if count == 0:
        return None
    inside = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    if _pinched(inside) or inside.sum() < cells // 8:
        return None
    used, kept = np.unique(block.cells[inside.ravel()], return_inverse=True)
    return Cells(block.points[used], kept.reshape(-1, 8)), spacing


def _pillowed(core, spacing):
    """The mesh with a layer of cells around it, which takes the bad angles of the snapped surface."""
    skin = core.skin()
    a, b, c, d = (core.points[skin[:, k]] for k in range(4))
    normals = np.zeros_like(core.points)
    np.add.at(normals, skin, np.cross(c - a, d - b)[:, None])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    outer = core.points + 0.6 * spacing * np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0.0)
    number = np.full(len(core.points), -1)
    on = np.unique(skin)
    number[on] = len(core.points) + np.arange(len(on))
    layer = np.concatenate([skin, number[skin]], axis=1)
    return Cells(np.concatenate([core.points, outer[on]]), np.concatenate([core.cells, layer]))


# A coarse side of length 3 that meets three fine ones: corners, and the quadrilaterals between.
_TEMPLATE = np.array([[0.0, 0.0], [3.0, 0.0], [1.0, 0.5], [2.0, 0.5], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
_TEMPLATE_QUADS = np.array([[0, 1, 3, 2], [0, 2, 5, 4], [2, 3, 6, 5], [3, 1, 7, 6]])


def octree(cells: int, random: np.random.Generator) -> Cells:
    """Coarse cells that meet cells a third as wide by templates, as octree meshers leave them, mapped and smoothed."""
    # in every coarse column lie 2 coarse cells, 4 × 1 and 3 × 4 of the two templates, and 18 fine ones
    side = max(2, round(np.sqrt(cells / 36.0)))
    thick = random.uniform(1.2, 3.5, 2)
    columns = 3.0 * np.arange(side + 1.0)
    parts = [grid(columns, columns, np.array([-6.0, -3.0, 0.0]))]
    fine = np.arange(3.0 * side + 1.0)
    for axis, (base, along) in enumerate(((0.0, columns), (thick[0], fine))):
        for k in range(side):
            plane = _TEMPLATE * [1.0, thick[axis]] + [3.0 * k, base]
            # the template lies along x first, and stands on coarse steps of y; then along y, on fine steps of x
            layers = [np.insert(plane, 1 - axis, at, axis=1) for at in along]
            order = slice(None) if axis == 1 else slice(None, None, -1)
            parts.append(extruded(_TEMPLATE_QUADS, np.stack(layers[order])))
    top = thick.sum()
    parts.append(grid(fine, fine, top + np.array([0.0, 1.0, 2.0])))
    starts = np.cumsum([0] + [len(part.points) for part in parts])
    numbered = [part.cells + start for part, start in zip(parts, starts, strict=False)]
    result = merged(np.concatenate([part.points for part in parts]), np.concatenate(numbered), digits=6)
    result = result.smoothed(int(random.integers(0, 4)))
    stretch = np.array([1.0, 1.0, np.exp(random.uniform(-1.0, 1.0))])
    result = Cells(result.points * stretch, result.cells)
    return result.moved(result.points + waves(result.points, random, random.uniform(0.0, 0.08)))
