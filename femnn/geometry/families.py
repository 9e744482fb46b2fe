"""Families of hexahedral meshes with known volumes and faces: the problems on which a rule has to prove itself.

Every function returns a ``skfem.MeshHex`` whose faces are named boundaries. None of them contains a folded element.
"""

import numpy as np
from skfem import MeshHex

from femnn.checks import checked, integer, number
from femnn.exceptions import ParameterError
from femnn.geometry.validity import bernstein_coefficients
from femnn.system.memory import require_memory

_CUBE_FACES = (
    ("left", 0, 0.0),
    ("right", 0, 1.0),
    ("front", 1, 0.0),
    ("back", 1, 1.0),
    ("bottom", 2, 0.0),
    ("top", 2, 1.0),
)

# The Kershaw layers along x: the compressed end of y and z is at 0 ("left"), then at 1, at 0, and at 1 again.
_KERSHAW_STATIONS = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0]) / 6.0
_KERSHAW_SHARE_OF_RIGHT = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])

_COOK_LENGTH, _COOK_CLAMPED_HEIGHT, _COOK_FREE_HEIGHT, _COOK_RISE = 48.0, 44.0, 16.0, 44.0

_BEAM_LENGTH, _BEAM_WIDTH, _BEAM_DEPTH = 12.0, 1.1, 0.32

# A vertex drawn too close to its neighbours is drawn again; so many rounds settle any distortion that is allowed.
_MOST_ROUNDS = 500
_MOST_DISTORTION = 0.4
# Smallest over largest det J that passes: an element that is flat at one point is no better than a folded one.
_LEAST_SHARE = 1e-2


@checked(n="[1, inf)")
def kershaw(n: int, epsilon_y: float = 0.3, epsilon_z: float = 0.3) -> MeshHex:
    """Kershaw's mesh of the unit cube: layers squeezed to alternating ends of y and z, with sheared layers between.

    Each element is the exact image of a brick, trilinear on it, so the volume of the mesh is 1 to rounding error.

    Parameters
    ----------
    n
        Elements along each side, a multiple of 6 so that element faces fall on the kinks of the map.
    epsilon_y, epsilon_z
        Height of the squeezed cells over that of the uniform mesh, in (0, 1]; 1 gives the uniform mesh, and aspect
        ratio and shear grow without bound towards 0. The benchmarks use 0.3.

    Returns
    -------
    ``skfem.MeshHex`` of n³ elements with the boundaries ``left``, ``right`` (x = 0, 1), ``front``, ``back`` (y) and
    ``bottom``, ``top`` (z).

    Raises
    ------
    ParameterError
        If ``n`` is not a positive multiple of 6 or an epsilon is outside (0, 1].

    Notes
    -----
    D. S. Kershaw, "Differencing of the diffusion equation in Lagrangian hydrodynamic codes", J. Comput. Phys. 39 (1981)
    375-395; the three-dimensional generalisation is that of the CEED bake-off problems (T. Kolev et al., "Efficient
    exascale discretizations", Int. J. High Perform. Comput. Appl. 35 (2021) 527-552), with linear transitions.

    Examples
    --------
    >>> kershaw(6).nelements
    216
    """
    _check_counts(n=n, ny=n, nz=n)
    if n % 6:
        raise ParameterError(
            f"n = {n!r} elements a side, but the Kershaw mesh needs a positive multiple of 6 for its six layers; "
            "pass 6, 12, 18, ..."
        )
    for name, epsilon in (("epsilon_y", epsilon_y), ("epsilon_z", epsilon_z)):
        if not 0.0 < epsilon <= 1.0:
            raise ParameterError(
                f"{name} = {epsilon!r} is outside (0, 1], where the Kershaw map is one-to-one; pass 0.3 as the "
                "benchmarks do, or 1 for the uniform mesh"
            )
    mesh = _grid(n, n, n)
    x, y, z = mesh.p
    fraction = np.interp(x, _KERSHAW_STATIONS, _KERSHAW_SHARE_OF_RIGHT)
    placed = np.stack([x, _squeeze(y, epsilon_y, fraction), _squeeze(z, epsilon_z, fraction)])
    return _named(mesh, placed, _cube_faces(mesh))


@checked(n="[1, inf)", seed="[0, inf]")
def distorted_cube(n: int, distortion: float, seed: int = 0) -> MeshHex:
    """The unit cube in n³ elements whose vertices are moved at random.

    Vertices inside move by U(-distortion, distortion)/n in x, y and z. Those on the surface slide within their face
    or along their edge by the same law and corners stay, so the volume and the six faces are exact.

    Parameters
    ----------
    n
        Elements along each side.
    distortion
        Largest displacement of a coordinate over the element size, in [0, 0.4]. Vertices of folded elements are drawn
        again, which happens to few of them below 0.3.
    seed
        Seed of the random numbers.

    Returns
    -------
    ``skfem.MeshHex`` with the boundaries ``left``, ``right`` (x = 0, 1), ``front``, ``back`` (y), ``bottom``, ``top``
    (z).

    Raises
    ------
    ParameterError
        If ``n`` is not a positive integer or ``distortion`` is outside [0, 0.4].

    Examples
    --------
    >>> sorted(distorted_cube(2, 0.2).boundaries)
    ['back', 'bottom', 'front', 'left', 'right', 'top']
    """
    _check_counts(n=n, ny=n, nz=n)
    _check_distortion(distortion)
    mesh = _grid(n, n, n)
    return _named(mesh, _distort(mesh, (n, n, n), distortion, seed), _cube_faces(mesh))


@checked(n="[1, inf)", seed="[0, inf]")
def mirrored_cube(n: int, distortion: float, seed: int = 0) -> MeshHex:
    """The unit cube in n³ elements that repeat the same 64 shapes: copies of one distorted cube and its mirror images.

    Under refinement nothing changes but the size: elements tend neither to parallelepipeds nor to other averages.

    Parameters
    ----------
    n
        Elements along each side, a multiple of 4.
    distortion, seed
        Of the cube of 4³ elements that is repeated, see :func:`distorted_cube`, which says what is returned, too.

    Raises
    ------
    ParameterError
        If ``n`` is not a positive multiple of 4 or ``distortion`` is outside [0, 0.4].

    Examples
    --------
    >>> mirrored_cube(8, 0.3).nelements
    512
    """
    _check_counts(n=n, ny=n, nz=n)
    if n % 4:
        raise ParameterError(f"n = {n!r} elements a side of a cube that repeats 4 of them; pass 4, 8, 12, ...")
    cell, mesh, copies = distorted_cube(4, distortion, seed), _grid(n, n, n), n // 4
    shape = np.empty((5, 5, 5, 3))
    shape[tuple(np.rint(4.0 * _grid(4, 4, 4).p).astype(int))] = cell.p.T
    lattice = np.rint(n * mesh.p).astype(int)
    copy = np.minimum(lattice // 4, copies - 1)
    mirrored = copy % 2 == 1
    within = lattice - 4 * copy
    place = shape[tuple(np.where(mirrored, 4 - within, within))].T
    return _named(mesh, (copy + np.where(mirrored, 1.0 - place, place)) / copies, _cube_faces(mesh))


@checked(nx="[1, inf)", ny="[1, inf)", nz="[1, inf)", seed="[0, inf]")
def cooks_membrane(
    nx: int, ny: int | None = None, nz: int = 1, thickness: float = 1.0, distortion: float = 0.0, seed: int = 0
) -> MeshHex:
    """Cook's membrane: the tapered, swept panel 48 long, 44 high where it is clamped and 16 at its free end, extruded.

    Parameters
    ----------
    nx, ny, nz
        Elements along the length, the height (``nx`` if not given) and the thickness.
    thickness
        Extent in z, in the panel's own unit of length (the panel is usually read in mm).
    distortion
        Largest displacement of a vertex over the local element size, in [0, 0.4], as in :func:`distorted_cube`. At 0
        the elements tend to parallelepipeds under refinement; above 0 they do not.
    seed
        Seed of the random numbers.

    Returns
    -------
    ``skfem.MeshHex`` with the boundaries ``fixed`` (x = 0), ``load`` (x = 48), ``lower``, ``upper`` (the sloping
    edges) and ``bottom``, ``top`` (z = 0, thickness). Its volume is 48 · (44 + 16)/2 · thickness.

    Raises
    ------
    ParameterError
        If a count is not a positive integer, ``thickness`` is not positive or ``distortion`` is outside [0, 0.4].

    Notes
    -----
    R. D. Cook, "Improved two-dimensional finite element", J. Struct. Div. ASCE 100 (1974) 1851-1863.

    Examples
    --------
    >>> cooks_membrane(4, 3).nelements
    12
    """
    ny = nx if ny is None else ny
    _check_counts(nx=nx, ny=ny, nz=nz)
    _check_distortion(distortion)
    if not 0.0 < thickness < np.inf:
        raise ParameterError(f"thickness = {thickness!r} is not a positive length; pass 1.0 for the classical panel")

    def place(reference):
        length, height, through = reference
        taper = _COOK_CLAMPED_HEIGHT + (_COOK_FREE_HEIGHT - _COOK_CLAMPED_HEIGHT) * length
        return np.stack([_COOK_LENGTH * length, _COOK_RISE * length + taper * height, thickness * through])

    mesh = _grid(nx, ny, nz)
    names = dict(zip(("fixed", "load", "lower", "upper", "bottom", "top"), _cube_faces(mesh).values(), strict=True))
    return _named(mesh, place(_distort(mesh, (nx, ny, nz), distortion, seed, place)), names)


@checked(nx="[1, inf)", ny="[1, inf)", nz="[1, inf)", seed="[0, inf]")
def twisted_beam(nx: int, ny: int = 1, nz: int = 1, distortion: float = 0.0, seed: int = 0) -> MeshHex:
    """The beam of MacNeal and Harder: 12 long along x, its section of 1.1 × 0.32 turned by 90° from end to end.

    Parameters
    ----------
    nx, ny, nz
        Elements along the length, the width 1.1 and the depth 0.32. The published meshes have 12, 2, 1.
    distortion, seed
        As in :func:`cooks_membrane`.

    Returns
    -------
    ``skfem.MeshHex`` with the boundaries ``fixed`` (x = 0, the width along y), ``load`` (x = 12, the width along z),
    ``front``, ``back`` (ends of the width) and ``bottom``, ``top`` (of the depth).

    Raises
    ------
    ParameterError
        If a count is not a positive integer or ``distortion`` is outside [0, 0.4].

    Notes
    -----
    R. H. MacNeal, R. L. Harder, "A proposed standard set of problems to test finite element accuracy", Finite Elem.
    Anal. Des. 1 (1985) 3-20.

    Examples
    --------
    >>> twisted_beam(12, 2).nelements
    24
    """
    _check_counts(nx=nx, ny=ny, nz=nz)
    _check_distortion(distortion)

    def place(reference):
        angle = 0.5 * np.pi * reference[0]
        width, depth = _BEAM_WIDTH * (reference[1] - 0.5), _BEAM_DEPTH * (reference[2] - 0.5)
        across = np.cos(angle) * width - np.sin(angle) * depth, np.sin(angle) * width + np.cos(angle) * depth
        return np.stack([_BEAM_LENGTH * reference[0], *across])

    mesh = _grid(nx, ny, nz)
    names = dict(zip(("fixed", "load", "front", "back", "bottom", "top"), _cube_faces(mesh).values(), strict=True))
    return _named(mesh, place(_distort(mesh, (nx, ny, nz), distortion, seed, place)), names)


@checked(n="[1, inf)", layers="[1, inf)", seed="[0, inf]")
def thick_sphere(n: int, layers: int | None = None, distortion: float = 0.0, seed: int = 0) -> MeshHex:
    """An eighth of a hollow sphere with radii 1 and 2, in three patches that meet on its diagonal.

    Parameters
    ----------
    n
        Elements along each side of a patch, two of which share a quarter of a circle.
    layers
        Elements along the radius, ``n`` if not given.
    distortion, seed
        As in :func:`cooks_membrane`. Vertices of the spheres and of the planes of symmetry stay there.

    Returns
    -------
    ``skfem.MeshHex`` of 3 n² layers elements with the boundaries ``inner``, ``outer`` and ``x``, ``y``, ``z``, the
    planes of symmetry on which this coordinate is zero.

    Raises
    ------
    ParameterError
        If a count is not a positive integer or ``distortion`` is outside [0, 0.4].

    Examples
    --------
    >>> thick_sphere(2, 3).nelements
    36
    """
    layers = n if layers is None else layers
    _check_counts(n=n, ny=n, layers=layers)
    _check_distortion(distortion)
    grid = _grid(layers, n, n)
    through, *sides = grid.p
    ones = np.ones_like(through)
    # points of the cube's three outer faces, which are turned into directions, and the place along the radius
    patches = [np.insert(np.stack(sides[::-1] if axis == 1 else sides), axis, ones, axis=0) for axis in range(3)]
    faces = np.concatenate(patches, axis=1)
    coordinates = np.concatenate([faces, np.tile(through, 3)[None]])
    _, kept, number = np.unique(coordinates.round(9), axis=1, return_index=True, return_inverse=True)
    cells = number.reshape(-1)[np.concatenate([grid.t + k * grid.nvertices for k in range(3)], axis=1)]
    coordinates = coordinates[:, kept]
    counts = np.array([[n], [n], [n], [layers]])
    free = coordinates > 1e-9
    free[3] &= coordinates[3] < 1.0 - 1e-9

    def place(coordinates):
        directions = np.tan(0.25 * np.pi * coordinates[:3])
        return (1.0 + coordinates[3]) * directions / np.linalg.norm(directions, axis=0)

    placed = place(_moved(coordinates, cells, free / counts, distortion, seed, place))
    mesh = MeshHex(np.ascontiguousarray(placed), np.ascontiguousarray(cells))
    on_facets = coordinates[:, mesh.facets]
    names = {name: np.flatnonzero((on_facets[axis] < 1e-9).all(axis=0)) for axis, name in enumerate("xyz")}
    names["inner"] = np.flatnonzero((on_facets[3] < 1e-9).all(axis=0))
    names["outer"] = np.flatnonzero((on_facets[3] > 1.0 - 1e-9).all(axis=0))
    return mesh.with_boundaries(names)


def _grid(nx, ny, nz):
    return MeshHex.init_tensor(*(np.linspace(0.0, 1.0, n + 1) for n in (nx, ny, nz)))


def _cube_faces(mesh):
    """Facets on the six faces of the unit cube, by name; read off before vertices move."""
    middles = mesh.p[:, mesh.facets].mean(axis=1)
    return {name: np.flatnonzero(np.abs(middles[axis] - value) < 1e-12) for name, axis, value in _CUBE_FACES}


def _named(mesh, points, boundaries):
    return MeshHex(np.ascontiguousarray(points), mesh.t).with_boundaries(boundaries)


def _squeeze(u, epsilon, share_of_right):
    """Kershaw's coordinate: cells squeezed by epsilon below 1/2 ("left") or above it ("right"), and blends of both."""
    left = np.interp(u, [0.0, 0.5, 1.0], [0.0, 0.5 * epsilon, 1.0])
    right = np.interp(u, [0.0, 0.5, 1.0], [0.0, 1.0 - 0.5 * epsilon, 1.0])
    return (1.0 - share_of_right) * left + share_of_right * right


def _distort(mesh, counts, distortion, seed, place=lambda points: points):
    """Points of the unit-cube grid moved at random, its faces kept; ``place`` makes the mesh of them."""
    free = (mesh.p > 1e-12) & (mesh.p < 1.0 - 1e-12)
    return _moved(mesh.p, mesh.t, np.where(free, 1.0 / np.reshape(counts, (3, 1)), 0.0), distortion, seed, place)


def _moved(coordinates, cells, reach, distortion, seed, place):
    """Coordinates (k, n) after moves of U(-distortion, distortion) times ``reach`` (k, n) that fold no element.

    ``place`` makes the points (3, n) of them. Drawing again only what folds keeps the law of the displacements wherever
    no element folds.
    """
    if distortion == 0.0:
        return coordinates
    random = np.random.default_rng(seed)
    reach = distortion * reach
    offsets = reach * random.uniform(-1.0, 1.0, coordinates.shape)
    suspects = np.arange(cells.shape[1])
    for _ in range(_MOST_ROUNDS):
        moved = coordinates + offsets
        folded = suspects[_folded(place(moved), cells[:, suspects])]
        if folded.size == 0:
            return moved
        # one vertex of each folded element at a time: redrawing all eight would fold as many neighbours
        again = np.unique(random.permuted(cells[:, folded], axis=0)[0])
        offsets[:, again] = reach[:, again] * random.uniform(-1.0, 1.0, (len(coordinates), again.size))
        suspects = np.flatnonzero(np.isin(cells, again).any(axis=0))
    raise ParameterError(
        f"distortion = {distortion} with seed {seed} still folds {folded.size} of {cells.shape[1]} elements after "
        f"{_MOST_ROUNDS} draws; pass a smaller distortion or another seed"
    )


def _folded(points, cells):
    """True for elements whose det J is not proved to keep clear of zero: scikit-fem's healthy grids have det J < 0."""
    determinants = bernstein_coefficients(points[:, cells].transpose(2, 1, 0)).reshape(-1, 27)
    return determinants.max(axis=1) >= _LEAST_SHARE * determinants.min(axis=1)


def _check_counts(**counts):
    """Raise ParameterError unless all are counts of elements along an axis, MemoryError for more than fit."""
    product = 1
    for name, count in counts.items():
        product *= integer(name, count, at_least=1)
    require_memory(8 * 24 * product, f"a mesh of {product:,} elements")


def _check_distortion(distortion):
    if not 0.0 <= number("distortion", distortion) <= _MOST_DISTORTION:
        raise ParameterError(
            f"distortion = {distortion!r} is outside [0, {_MOST_DISTORTION}], where meshes without folded elements can "
            "be drawn; pass 0.1 for mild and 0.3 for strong distortion"
        )
