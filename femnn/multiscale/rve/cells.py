"""Cells of the meso-scale: elastic blocks between cracks, in plane strain or in space, periodic along the interface.

Blocks lie in running bond. In the plane each is a hexagon, whose lower and upper side have a corner where a joint of
the next row ends. A hexagon is two quadrilaterals, so that every such pattern has a conforming mesh of them; in space
it is four hexahedra. Sets of parallel cracks that go on for ever cut a volume into parallelepipeds.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, integer, number
from femnn.exceptions import ParameterError
from femnn.multiscale.rve.cut import TOUCH, Cell, between_blocks, cut_cell

#: Families of cracks of a network: between its rows; and joints whose normals are along x and y, but for their dip.
FAMILIES = ("flat", "x", "y")

# Blocks of the rock below and above a band of blocks.
_BELOW, _ABOVE = -1, -2

# Blocks and elements beyond this make no cell that fits into a memory.
_MOST = 10**6

# m; squares of other lengths, and their inverses, are no numbers.
_SIZES = "[1e-150, 1e150]"

# Sine of the angle between two sets of cracks below which they are one.
_PARALLEL = 1e-2


@checked(width=_SIZES, height=_SIZES)
def parallel_cracks(
    width: float, height: float, heights: ArrayLike = (0.5,), columns: int = 16, rows: int = 10, shift: float = 0.0,
    *, depth: float | None = None, slices: int = 3,
) -> Cell:  # fmt: skip
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
    depth, slices
        Of a cell in space: its second period, m, and elements along it, at least 3. None is plane strain.

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
    if not (np.diff(levels) > TOUCH).all():
        raise ParameterError(f"heights={heights!r} are not allowed; list each crack once, from below")
    _count("columns", columns, 3)
    _count("rows", rows, len(levels) - 1)
    layers = np.maximum(np.round(rows * np.diff(levels)).astype(int), 1)
    y = np.concatenate([np.linspace(a, b, n + 1)[:-1] for a, b, n in zip(levels, levels[1:], layers, strict=False)])
    y = height * np.append(y, 1.0)
    lines = [width * (np.linspace(0.0, 1.0, columns + 1) + shift)]
    if depth is not None:
        _count("slices", slices, 3)
        lines.append(np.linspace(0.0, number("depth", depth, _SIZES), slices + 1))
    corners = _elements(np.stack(np.meshgrid(*lines, y, indexing="ij"), axis=-1))
    block = np.searchsorted(cracks, corners[..., -1].mean(axis=1) / height)
    name = f"parallel_cracks({width!r}, {height!r}, {tuple(cracks.tolist())!r}, {columns}, {rows}, {float(shift)!r}"
    name += ")" if depth is None else f", depth={depth!r}, slices={slices})"
    return cut_cell(corners, _periods(width, depth), height, block, between_blocks(block), name)


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
    corners, block = _band([width], height, [count], 1, [angle], band, 0.0, 0, refine, shift, False)
    name = f"echelon_cracks({width!r}, {height!r}, {count}, {angle!r}, {band!r}, {refine}, {shift!r})"
    cracked = between_blocks(block, lambda a, b: (a != b) & (np.minimum(a, b) >= 0))
    return cut_cell(corners, _periods(width, None), height, block, cracked, name)


@checked(angle="unchecked")
def block_network(
    width: float, height: float, count: int = 4, rows: int = 2, angle: float | Sequence[float] = 60.0,
    band: float = 0.6, jitter: float = 0.15, seed: int = 0, refine: int = 1, shift: float = 0.0, mirror: bool = False,
    *, depth: float | None = None, slices: int | None = None, families: Sequence[str] = FAMILIES,
) -> Cell:  # fmt: skip
    """A band of blocks in running bond between intact rock: cracks along the interface and inclined ones between them.

    Parameters
    ----------
    width, height
        m.
    count, rows
        Blocks in a row, at least 2, and rows of them; every other row is moved by half a block.
    angle
        Between inclined cracks and the interface, degrees, 20 to 160; in space a pair for those of x and y, or one for
        both.
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
        In space x and y are alike, too, if there are as many blocks of one size along both.
    depth, slices
        Of a cell in space: its second period, m, and blocks along it, at least 2; default: as many as fit with the
        width of the others. None is plane strain.
    families
        Which of :data:`FAMILIES` are cracked; blocks on both sides of the others are one. Without flat ones joints end
        in rock.

    Examples
    --------
    >>> from femnn.multiscale.rve import block_network
    >>> cell = block_network(1e-2, 1e-2, count=3, rows=2, seed=1)
    >>> len(set(cell.block.tolist())), cell.mesh.nelements
    (8, 36)
    >>> block_network(1e-2, 1e-2, count=2, rows=1, depth=1e-2).mesh.nelements
    64
    """
    angles = [angle] if depth is None else [angle, angle]
    if isinstance(angle, Sequence):
        angles = list(angle)
        if len(angles) != (1 if depth is None else 2):
            raise ParameterError(f"angle={brief(angle)} is not allowed; pass one angle, or two for a cell with a depth")
    angles = [number("angle", each) for each in angles]
    if mirror and any(each != 90.0 for each in angles):
        raise ParameterError(f"angle={angle!r} with mirror=True is not allowed; only upright cracks, 90, have a mirror")
    unknown = [family for family in families if family not in FAMILIES]
    if unknown or isinstance(families, str):
        raise ParameterError(f"families={families!r} is not allowed; it lists some of {', '.join(FAMILIES)}")
    widths, counts = [width], [count]
    if depth is not None:
        widths.append(number("depth", depth, _SIZES))
        counts.append(max(2, round(min(depth / width, _MOST) * count)) if slices is None else slices)
    elif slices is not None:
        raise ParameterError(f"slices={slices!r} without a depth is not allowed; pass depth=, or leave both out")
    corners, block = _band(widths, height, counts, rows, angles, band, jitter, seed, refine, shift, mirror)
    name = (
        f"block_network({width!r}, {height!r}, {count}, {rows}, {angle!r}, {band!r}, {jitter!r}, {seed}, {refine}, "
        f"{shift!r}, {bool(mirror)}"
    )
    if depth is not None:
        name += f", depth={depth!r}, slices={counts[1]}"
    if set(families) != set(FAMILIES):
        name += f", families={tuple(families)!r}"

    def is_cracked(a, b):
        # the first of row, x and y in which they differ is what lies between them
        differ = np.array(_places(a, counts)) != np.array(_places(b, counts))
        first = np.eye(len(differ), dtype=bool)[differ.argmax(axis=0)].T & differ
        return (first & np.isin(FAMILIES[: len(differ)], list(families))[:, None]).any(axis=0)

    # blocks that are not all cut apart are counted anew
    whole = block if set(families) >= set(FAMILIES[: len(counts) + 1]) else None
    return cut_cell(corners, _periods(width, depth), height, whole, between_blocks(block, is_cracked), name + ")")


@checked(normals="unchecked", spacing="unchecked", cuts="unchecked")
def joint_sets(
    normals: ArrayLike, spacing: ArrayLike, cuts: Sequence[bool] | None = None, count: int = 1, refine: int = 3
) -> Cell:
    """A volume of rock that sets of parallel cracks cut into parallelepipeds; it repeats in all directions.

    Parameters
    ----------
    normals : (dim, dim)
        Of the sets, one a row, of any length: three in space, two in the plane.
    spacing
        Distance of the cracks of each set, m: one number, or one for each.
    cuts
        Whether each set is cracked: the others only say where elements end. Default: all.
    count
        Blocks of the cell along each edge.
    refine
        Elements along the edge of a block; 3 in ``count`` · ``refine`` are the least.

    Raises
    ------
    ParameterError
        If a value is not allowed, two sets are nearly parallel, or all three normals lie in a plane.

    Examples
    --------
    Bedding that dips by 30 degrees, and two sets of upright joints:

    >>> import numpy as np
    >>> from femnn.multiscale.rve import joint_sets
    >>> bedding = [np.sin(np.pi / 6), 0.0, np.cos(np.pi / 6)]
    >>> cell = joint_sets([bedding, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], spacing=[0.5, 1.0, 1.0])
    >>> cell.mesh.nelements, cell.height is None, round(cell.volume, 6)
    (27, True, 0.57735)
    """
    normals = np.array(floats("normals", normals))
    if normals.shape not in ((2, 2), (3, 3)):
        raise ParameterError(
            f"normals have shape {normals.shape}; pass one vector for each set, (3, 3), or (2, 2) in the plane"
        )
    dim, lengths = len(normals), np.linalg.norm(normals, axis=1)
    if not (lengths > 0.0).all():
        raise ParameterError(f"normal {lengths.argmin()} has no length; pass a vector in its direction")
    normals /= lengths[:, None]
    # elements are right-handed
    normals[-1] *= np.sign(np.linalg.det(normals)) or 1.0
    spacing = floats("spacing", spacing)
    if spacing.shape not in ((), (dim,)):
        raise ParameterError(f"spacing has shape {spacing.shape}; pass one distance, or one for each of the {dim} sets")
    spacing = np.broadcast_to(spacing, (dim,))
    for each in spacing:
        number("spacing", float(each), _SIZES)
    cuts = [True] * dim if cuts is None else cuts
    if not isinstance(cuts, list | tuple) or [type(cut) for cut in cuts] != [bool] * dim or not any(cuts):
        raise ParameterError(
            f"cuts={brief(cuts)} is not allowed; pass True or False for each of the {dim} sets, one of them True"
        )
    _count("count", count, 1)
    _count("refine", refine, 1)
    if count * refine < 3:
        raise ParameterError(f"count={count} blocks of refine={refine} elements are not allowed; take 3 or more in all")
    if count * refine > _MOST ** (1.0 / dim):
        raise ParameterError(f"a cell of {(count * refine) ** dim:.3g} elements fits into no memory; take fewer")
    if abs(np.linalg.det(normals)) < _PARALLEL ** (dim - 1):
        raise ParameterError(
            f"the normals {brief(normals.round(4).tolist())} are nearly parallel or in a plane: the cracks overlap, "
            "and cut out no blocks; merge such sets into one"
        )
    edges = np.linalg.inv(normals).T * spacing[:, None]
    n = count * refine
    corners = _elements(np.moveaxis(np.indices((n + 1,) * dim), 0, -1) / refine @ edges)
    index = np.indices((n,) * dim).reshape(dim, -1).T

    def cracked(around):
        inner = np.flatnonzero(around.f2t[1] != -1)
        a, b = index[around.f2t[:, inner]]
        axis = (a != b).argmax(axis=1)
        low, high = np.sort(np.take_along_axis(np.stack([a, b]), axis[None, :, None], axis=2)[..., 0], axis=0)
        # neighbours across a seam are the first and the last
        upper = np.where(high - low == 1, high, low)
        return inner[(upper % refine == 0) & np.array(cuts)[axis]]

    name = f"joint_sets({normals.tolist()!r}, {spacing.tolist()!r}, {tuple(cuts)!r}, {count}, {refine})"
    return cut_cell(corners, count * edges, None, None, cracked, name)


def _count(name, value, least):
    integer(name, value, least, None if name == "seed" else _MOST)


def _between(name, value, low, high):
    if not low <= value <= high:
        raise ParameterError(f"{name}={value!r} is not allowed; it must be between {low:g} and {high:g}")


def _periods(width, depth):
    """Periods (k, dim) of a zone."""
    return np.array([[width, 0.0]]) if depth is None else np.array([[width, 0.0, 0.0], [0.0, depth, 0.0]])


def _places(block, counts):
    """Row of each block and its place in the row, by x and y."""
    places = []
    for count in reversed(counts):
        block, place = np.where(block < 0, block, block // count), np.where(block < 0, 0, block % count)
        places.append(place)
    return [block, *reversed(places)]


def _check_band(counts, rows, angles, band, jitter, seed, refine):
    for name, value, least in (
        *(("count" if k == 0 else "slices", count, 2) for k, count in enumerate(counts)),
        ("rows", rows, 1), ("seed", seed, 0), ("refine", refine, 1),
    ):  # fmt: skip
        _count(name, value, least)
    for angle in angles:
        _between("angle", angle, 20.0, 160.0)
    _between("jitter", jitter, 0.0, 0.3)
    if not 0.0 < band < 1.0:
        raise ParameterError(
            f"band={band!r} is not allowed: cracks must be inside the cell; it must be between 0 and 1, both excluded"
        )


def _band(widths, height, counts, rows, angles, band, jitter, seed, refine, shift, mirror):
    """Corners (n, 2^dim, dim) of the elements of a band of blocks and of the rock below and above; block of each.

    ``widths``, ``counts``, ``angles`` are by x, and y in space. Blocks are numbered row by row, in a row by x, then y.
    """
    width, height, dim = number("width", widths[0], _SIZES), number("height", height, _SIZES), len(widths) + 1
    _check_band(counts, rows, angles, band, jitter, seed, refine)
    halves, rise = [0.5 * each / count for each, count in zip(widths, counts, strict=True)], band * height / rows
    shape = [2 * count for count in counts]
    numbers = np.indices(shape)
    lines = np.zeros((rows + 3, *shape, dim))
    up = np.arange(rows + 1).reshape(-1, *[1] * (dim - 1))
    for axis, (half, angle) in enumerate(zip(halves, angles, strict=True)):
        lines[1:-1, ..., axis] = rise / np.tan(np.radians(angle)) * up + half * numbers[axis]
    lines[1:-1, ..., -1] = 0.5 * (1.0 - band) * height + rise * up
    moves = np.random.default_rng(seed).uniform(-1.0, 1.0, (rows + 1, *shape, dim))
    if mirror:
        moves = _mirrored(moves, swapped=len(set(widths)) == 1 == len(set(counts)))
    lines[1:-1] += jitter * moves * [*halves, min(rise, *halves)]
    lines[[0, -1], ..., :-1] = lines[[1, -2], ..., :-1]
    lines[-1, ..., -1] = height
    # once around, and the first of the next turn
    for axis, each in enumerate(widths):
        next_turn = np.take(lines, [0], axis=axis + 1) + each * np.eye(dim)[axis]
        lines = np.concatenate([lines, next_turn], axis=axis + 1)
    lines[..., 0] += shift * width
    corners, block = [], []
    for row, (low, high) in enumerate(pairwise(lines)):
        needed = (high - low)[..., -1].mean() / halves[0]
        if not needed <= _MOST:
            raise ParameterError(
                f"a cell {width:g} wide and {height:g} high needs {needed:.3g} layers of elements; make it less slender"
            )
        cuts = [*[refine] * (dim - 1), refine * max(1, round(needed))]
        if row in (0, rows + 1):
            of_row = np.full(shape, _BELOW if row == 0 else _ABOVE)
        else:
            # joints stand on the even corners of the lowest row, on the odd ones of the next, and so on
            of_row = np.full(shape, row - 1)
            for place, count in zip(numbers, counts, strict=True):
                of_row = count * of_row + ((place - (row - 1) % 2) // 2) % count
        corners.append(_refined(_elements(np.stack([low, high], axis=-2)), cuts))
        block.append(np.repeat(of_row.ravel(), np.prod(cuts)))
    return np.concatenate(corners), np.concatenate(block)


def _mirrored(moves, swapped):
    """Moves of the corners of blocks that are their own image in upright planes of x, and of y and the diagonal."""
    dim = moves.shape[-1]
    for axis in range(dim - 1):
        back = -np.arange(moves.shape[axis + 1])
        image = np.take(moves, back, axis=axis + 1) * (1.0 - 2.0 * np.eye(dim)[axis])
        moves = (moves + image) / np.sqrt(2.0)
    if dim == 3 and swapped:
        moves = (moves + moves.transpose(0, 2, 1, 3)[..., [1, 0, 2]]) / np.sqrt(2.0)
    return moves


def _elements(points, leading=0):
    """Elements (n, 2^dim, dim) between the points of a lattice (..., dim), whose first axes may count lattices."""
    dim = points.shape[-1]
    counts = [n - 1 for n in points.shape[leading:-1]]
    lattices = [slice(None)] * leading
    corners = [
        points[(*lattices, *(slice(k, k + n) for k, n in zip(node, counts, strict=True)))] for node in _nodes(dim)
    ]
    return np.stack(corners, axis=-2).reshape(-1, 2**dim, dim)


def _nodes(dim):
    """Places (2^dim, dim) of the nodes in the unit element, in scikit-fem's order."""
    return (skfem.ElementQuad1 if dim == 2 else skfem.ElementHex1).doflocs.astype(int)


def _refined(elements, cuts):
    """Elements (n, 2^dim, dim), each cut into so many along its axes."""
    dim = elements.shape[2]
    place = np.meshgrid(*(np.linspace(0.0, 1.0, n + 1) for n in cuts), indexing="ij")
    shapes = [np.prod([x if k else 1.0 - x for k, x in zip(node, place, strict=True)], axis=0) for node in _nodes(dim)]
    return _elements(np.einsum("k...,nki->n...i", np.stack(shapes), elements), leading=1)
