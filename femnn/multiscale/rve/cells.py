"""Cells of the meso-scale: elastic blocks between cracks, meshed with quadrilaterals, periodic along the interface.

Blocks lie in running bond: each is a hexagon, whose lower and upper side have a corner where a joint of the next row
ends. A hexagon is two quadrilaterals, so that every such pattern has a conforming mesh of them.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from femnn.checks import checked, integer, number
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces.split import Interface

# Vertices closer than this fraction of the width are one.
_TOUCH = 1e-7

# Blocks of the rock below and above a band of blocks.
_BELOW, _ABOVE = -1, -2

# Blocks and elements beyond this make no cell that fits into a memory.
_MOST = 10**6

# m; squares of other lengths, and their inverses, are no numbers.
_SIZES = "[1e-150, 1e150]"


@dataclass(frozen=True, eq=False, repr=False)
class Cell:
    """A mesh cut along its cracks, and which of its vertices are tied. Made by the functions of this module.

    Attributes
    ----------
    mesh : skfem.MeshQuad
        Cut open along cracks and along the seam, where the cell ends and begins again.
    interface : femnn.Interface
        The cracks; normals point up.
    part : (nvertices,) int
        Vertices of the mesh that are one in the periodic cell have the same number.
    uncut : (nvertices,) int
        The same if there were no cracks.
    width, height : float
        Along and across the interface, m.
    block : (nelements,) int
        Block of each element.
    name : str
        Which function made it from what: two cells of one name are alike.

    Examples
    --------
    >>> from femnn.multiscale.rve import parallel_cracks
    >>> cell = parallel_cracks(2e-2, 1e-2, columns=6, rows=4)
    >>> cell.mesh.nelements, cell.width, len(cell.bottom)
    (24, 0.02, 7)
    """

    mesh: skfem.MeshQuad
    interface: Interface
    part: np.ndarray
    uncut: np.ndarray
    width: float
    height: float
    block: np.ndarray
    name: str

    def __repr__(self):
        return self.name

    @property
    def bottom(self) -> np.ndarray:
        """Vertices on the lower side."""
        return np.flatnonzero(self.mesh.p[1] < _TOUCH * self.width)

    @property
    def top(self) -> np.ndarray:
        """Vertices on the upper side."""
        return np.flatnonzero(self.mesh.p[1] > self.height - _TOUCH * self.width)

    @property
    def sides(self) -> np.ndarray:
        """Vertices on the seam."""
        places = np.unique(np.stack([self.part, np.arange(len(self.part))]), axis=1)[0]
        return np.flatnonzero(np.isin(self.part, places[1:][places[1:] == places[:-1]]))


@checked(width=_SIZES, height=_SIZES)
def parallel_cracks(
    width: float, height: float, heights: ArrayLike = (0.5,), columns: int = 16, rows: int = 10, shift: float = 0.0
) -> Cell:
    """Straight cracks along the whole interface; by default a single one half-way up.

    Parameters
    ----------
    width, height
        m.
    heights
        Where the cracks are, over ``height``: ascending, between 0 and 1.
    columns, rows
        Of elements; at least 3 and one for each layer between cracks.
    shift
        Moves the pattern along the interface, over ``width``.

    Raises
    ------
    ParameterError
        If a value is not allowed; a crack out of the cell is named.

    Examples
    --------
    >>> from femnn.multiscale.rve import parallel_cracks
    >>> cell = parallel_cracks(1e-2, 1e-2, heights=(0.3, 0.7), columns=4, rows=6)
    >>> len(set(cell.block.tolist()))
    3
    """
    width, height = number("width", width, _SIZES), number("height", height, _SIZES)
    cracks = np.asarray(heights, dtype=float)
    if cracks.ndim != 1 or not len(cracks) or not ((cracks > 0.0) & (cracks < 1.0)).all():
        raise ParameterError(
            f"heights={heights!r} are not allowed: cracks must be inside the cell, between 0 (bottom) and 1 (top)"
        )
    levels = np.concatenate([[0.0], cracks, [1.0]])
    if not (np.diff(levels) > _TOUCH).all():
        raise ParameterError(f"heights={heights!r} are not allowed; list each crack once, from below")
    _count("columns", columns, 3)
    _count("rows", rows, len(levels) - 1)
    layers = np.maximum(np.round(rows * np.diff(levels)).astype(int), 1)
    y = np.concatenate([np.linspace(a, b, n + 1)[:-1] for a, b, n in zip(levels, levels[1:], layers, strict=False)])
    y = height * np.append(y, 1.0)
    x = width * (np.linspace(0.0, 1.0, columns + 1) + shift)
    corners = np.stack(
        [
            np.stack(np.meshgrid(x[i : i + columns], y[k : k + len(y) - 1], indexing="ij"), axis=-1)
            for i, k in ((0, 0), (1, 0), (1, 1), (0, 1))
        ],
        axis=2,
    ).reshape(-1, 4, 2)
    block = np.searchsorted(cracks, corners[:, :, 1].mean(axis=1) / height)
    name = f"parallel_cracks({width!r}, {height!r}, {tuple(cracks.tolist())!r}, {columns}, {rows}, {float(shift)!r})"
    return _cell(corners, width, height, block, np.not_equal, name)


@checked(count="[1, inf)", refine="[0, 12]")
def echelon_cracks(
    width: float, height: float, count: int = 4, angle: float = 60.0, band: float = 0.4, refine: int = 2,
    shift: float = 0.0,
) -> Cell:  # fmt: skip
    """Straight cracks en echelon: inclined, side by side, each with two tips in intact rock.

    Parameters
    ----------
    width, height
        m.
    count
        Cracks over the width, at least 2.
    angle
        Between cracks and interface, degrees, 20 to 160: below 90 they lean to the right.
    band
        Height of the cracks over ``height``, in the middle of the cell.
    refine
        Elements along half the distance of two cracks.
    shift
        Moves the pattern along the interface, over ``width``.

    Examples
    --------
    >>> from femnn.multiscale.rve import echelon_cracks
    >>> cell = echelon_cracks(1e-2, 1e-2, count=3, angle=45.0)
    >>> cell.name
    'echelon_cracks(0.01, 0.01, 3, 45.0, 0.4, 2, 0.0)'
    """
    corners, block = _band(width, height, count, 1, angle, band, 0.0, 0, refine, shift, False)
    name = f"echelon_cracks({width!r}, {height!r}, {count}, {angle!r}, {band!r}, {refine}, {shift!r})"
    return _cell(corners, width, height, block, lambda a, b: (a != b) & (np.minimum(a, b) >= 0), name)


@checked()
def block_network(
    width: float, height: float, count: int = 4, rows: int = 2, angle: float = 60.0, band: float = 0.6,
    jitter: float = 0.15, seed: int = 0, refine: int = 1, shift: float = 0.0, mirror: bool = False,
) -> Cell:  # fmt: skip
    """A band of blocks in running bond between intact rock: cracks along the interface and inclined ones between them.

    Parameters
    ----------
    width, height
        m.
    count, rows
        Blocks in a row, at least 2, and rows of them; every other row is moved by half a block.
    angle
        Between inclined cracks and the interface, degrees, 20 to 160.
    band
        Height of all rows over ``height``, in the middle of the cell.
    jitter
        By how much corners of blocks inside the band are moved, over their distance, 0 to 0.3.
    seed
        Of the jitter.
    refine
        Elements along half a block.
    shift
        Moves the pattern along the interface, over ``width``.
    mirror
        True makes the pattern its own mirror image, so that both directions of shear are alike; the angle must be 90.

    Examples
    --------
    >>> from femnn.multiscale.rve import block_network
    >>> cell = block_network(1e-2, 1e-2, count=3, rows=2, seed=1)
    >>> len(set(cell.block.tolist())), cell.mesh.nelements
    (8, 36)
    """
    if mirror and angle != 90.0:
        raise ParameterError(f"angle={angle!r} with mirror=True is not allowed; only upright cracks, 90, have a mirror")
    corners, block = _band(width, height, count, rows, angle, band, jitter, seed, refine, shift, mirror)
    name = (
        f"block_network({width!r}, {height!r}, {count}, {rows}, {angle!r}, {band!r}, {jitter!r}, {seed}, {refine}, "
        f"{shift!r}, {bool(mirror)})"
    )
    return _cell(corners, width, height, block, np.not_equal, name)


def _count(name, value, least):
    integer(name, value, least, None if name == "seed" else _MOST)


def _between(name, value, low, high):
    if not low <= value <= high:
        raise ParameterError(f"{name}={value!r} is not allowed; it must be between {low:g} and {high:g}")


def _band(width, height, count, rows, angle, band, jitter, seed, refine, shift, mirror):
    """Corners (n, 4, 2) of the elements of a band of blocks and of the rock below and above, and the block of each."""
    width, height = number("width", width, _SIZES), number("height", height, _SIZES)
    for name, value, least in (("count", count, 2), ("rows", rows, 1), ("seed", seed, 0), ("refine", refine, 1)):
        _count(name, value, least)
    _between("angle", angle, 20.0, 160.0)
    _between("jitter", jitter, 0.0, 0.3)
    if not 0.0 < band < 1.0:
        raise ParameterError(
            f"band={band!r} is not allowed: cracks must be inside the cell; it must be between 0 and 1, both excluded"
        )
    half, rise = 0.5 * width / count, band * height / rows
    lines = np.zeros((rows + 3, 2 * count, 2))
    up = np.arange(rows + 1)[:, None]
    lines[1:-1, :, 0] = rise / np.tan(np.radians(angle)) * up + half * np.arange(2 * count)
    lines[1:-1, :, 1] = 0.5 * (1.0 - band) * height + rise * up
    random = np.random.default_rng(seed)
    moves = random.uniform(-1.0, 1.0, (rows + 1, 2 * count, 2))
    if mirror:
        image = moves[:, -np.arange(2 * count)] * [-1.0, 1.0]
        moves = (moves + image) / np.sqrt(2.0)
    lines[1:-1] += jitter * moves * [half, min(rise, half)]
    lines[[0, -1], :, 0] = lines[[1, -2], :, 0]
    lines[-1, :, 1] = height
    # once around, and the first of the next turn
    lines = np.concatenate([lines, lines[:, :1] + [width, 0.0]], axis=1)
    lines[..., 0] += shift * width
    corners, block = [], []
    for row, (low, high) in enumerate(pairwise(lines)):
        quads = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
        needed = (high - low)[:, 1].mean() / half
        if not needed <= _MOST:
            raise ParameterError(
                f"a cell {width:g} wide and {height:g} high needs {needed:.3g} layers of elements; make it less slender"
            )
        layers = refine * max(1, round(needed))
        numbers = np.arange(2 * count)
        if row in (0, rows + 1):
            numbers = np.full(2 * count, _BELOW if row == 0 else _ABOVE)
        else:
            # joints stand on the even corners of the lowest row, on the odd ones of the next, and so on
            numbers = count * row + ((numbers - (row - 1) % 2) // 2) % count
        corners.append(_refined(quads, refine, layers))
        block.append(np.repeat(numbers, refine * layers))
    return np.concatenate(corners), np.concatenate(block)


def _refined(quads, columns, layers):
    """Quadrilaterals (n, 4, 2) cut into columns × layers each."""
    a, b = np.meshgrid(np.linspace(0.0, 1.0, columns + 1), np.linspace(0.0, 1.0, layers + 1), indexing="ij")
    shapes = np.stack([(1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b])
    grid = np.einsum("kab,nki->nabi", shapes, quads)
    around = [grid[:, :-1, :-1], grid[:, 1:, :-1], grid[:, 1:, 1:], grid[:, :-1, 1:]]
    return np.stack(around, axis=3).reshape(-1, 4, 2)


def _cell(corners, width, height, block, is_cracked, name):
    """Weld elements with given corners (n, 4, 2) around the cylinder, and cut them where ``is_cracked(a, b)``."""
    _check_quadrilaterals(corners, name)
    # elements begin in the cell; what hangs over its end is tied to its beginning
    corners = corners.copy()
    corners[..., 0] -= width * np.floor(corners[..., 0].mean(axis=1) / width + _TOUCH)[:, None]
    uncut = _welded(corners.reshape(-1, 2), width).reshape(-1, 4)
    _, first = np.unique(uncut, return_index=True)
    around = skfem.MeshQuad(np.ascontiguousarray(corners.reshape(-1, 2)[first].T), np.ascontiguousarray(uncut.T))
    inner = np.flatnonzero(around.f2t[1] != -1)
    facets = inner[is_cracked(*block[around.f2t[:, inner]])]
    if not len(facets):
        raise MeshError(f"{name} has no cracks; an RVE needs at least one")
    part = Interface.split(around, facets).mesh.t.T
    # vertices of the same part at another place are copies across the seam
    turns = np.round((corners[..., 0] - around.p[0][uncut]) / width).astype(int)
    keys, first, vertices = np.unique(
        np.stack([part.ravel(), turns.ravel()]), axis=1, return_index=True, return_inverse=True
    )
    mesh = skfem.MeshQuad(
        np.ascontiguousarray(corners.reshape(-1, 2)[first].T), np.ascontiguousarray(vertices.reshape(-1, 4).T)
    )
    interface = _cracks(mesh, around, facets)
    return Cell(mesh, interface, keys[0], uncut.ravel()[first], float(width), float(height), block, name)


def _check_quadrilaterals(corners, name):
    edges = np.roll(corners, -1, axis=1) - corners
    following = np.roll(edges, -1, axis=1)
    turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
    bad = np.flatnonzero((turns <= 0.0).any(axis=1))
    if len(bad):
        raise MeshError(
            f"{name}: {len(bad)} of {len(corners)} elements are folded or not convex; take less jitter, or an angle "
            "closer to 90 degrees"
        )


def _welded(places, width):
    """Numbers (n,) of places (n, 2), the same for those that coincide around the cylinder."""
    x = np.mod(places[:, 0], width)
    x[x >= width] = 0.0
    y = places[:, 1]
    tree = cKDTree(np.stack([x, y - y.min()], axis=1), boxsize=(width, 10.0 * np.ptp(y)))
    pairs = tree.query_pairs(_TOUCH * width, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(places),) * 2)
    return connected_components(graph, directed=False)[1]


def _cracks(mesh, around, facets):
    """The interface in ``mesh`` of facets of the welded mesh ``around``."""
    sides, vertices = [], []
    ends = around.facets[:, facets].T
    for elements in around.f2t[:, facets]:
        local = (around.t2f[:, elements] == facets).argmax(axis=0)
        sides.append(mesh.t2f[local, elements])
        place = (around.t[:, elements].T[:, None, :] == ends[:, :, None]).argmax(axis=2)
        vertices.append(mesh.t[place, elements[:, None]])
    along = np.diff(mesh.p[:, vertices[0]], axis=2)[..., 0]
    centre = mesh.p[:, mesh.t[:, around.f2t[0, facets]]].mean(axis=1)
    outwards = mesh.p[:, vertices[0]].mean(axis=2) - centre
    normal = np.stack([along[1], -along[0]])
    normal *= np.sign((normal * outwards).sum(axis=0))
    # upright cracks point to the left
    flipped = normal[1] - 1e-6 * normal[0] < 0.0
    minus, plus = (np.where(flipped, b, a) for a, b in (sides, sides[::-1]))
    first, second = (np.where(flipped[:, None], b, a) for a, b in (vertices, vertices[::-1]))
    return Interface(mesh, minus, plus, first, second)
