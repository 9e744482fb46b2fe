"""Is the trilinear map one-to-one? A proof, not a sample, because the host integrates a folded cell silently.

det J of a trilinear map is a polynomial of degree 2 along each axis. Its 27 Bernstein coefficients bound it: one sign
of all coefficients proves one sign of det J; subdivision settles the rest (Johnen, Weill, Remacle, "Robust and
efficient validation of the linear hexahedral element", Procedia Engineering 203 (2017) 271-283).
"""

import numpy as np
from numpy.typing import ArrayLike
from skfem import Mesh

from femnn.checks import floats, one_of
from femnn.exceptions import FoldedElementError, MeshError
from femnn.geometry.bernstein import classify_cells
from femnn.geometry.cells import HEXAHEDRON, cell_array, cells, determinants, kind_of_array
from femnn.geometry.hexahedron import VERTICES, in_own_units
from femnn.geometry.mesh import element_array, vertex_array
from femnn.geometry.mesh import hexahedra as mesh_hexahedra
from femnn.system.compile import njit

VALID, FOLDED, DEGENERATE = 0, 1, 2
_UNKNOWN = -1

#: det J below this fraction of the largest Bernstein coefficient counts as zero.
DEGENERATE_SHARE = 1e-9

#: Sizes of elements between which det J, their cube, and its inverse are normal numbers in double precision.
SMALLEST_SIZE, LARGEST_SIZE = 1e-95, 1e95

# Digits that the coordinates of an element far from the origin must have left.
_DIGITS_LEFT = 1e-6

# Boxes looked at before an element is called degenerate: its det J then comes too near zero to tell its sign.
_MOST_BOXES = 4096


def _lines():
    """Vertices behind and ahead of each edge, (axis, place along the two other axes, 2)."""
    lines = np.empty((3, 2, 2, 2), dtype=np.int64)
    for axis in range(3):
        for i in range(2):
            for j in range(2):
                ends = [np.insert([i, j], axis, end) for end in range(2)]
                lines[axis, i, j] = [int(np.flatnonzero((end == VERTICES).all(axis=1))[0]) for end in ends]
    return lines


_LINES = _lines()

# Vertices, middles and centre, (3, 27).
_LATTICE = np.stack(np.meshgrid(*3 * [np.array([0.0, 0.5, 1.0])], indexing="ij")).reshape(3, 27)


@njit(cache=True, error_model="numpy", forceinline=True)
def _lattice_columns(hexahedra, e, axis, columns):
    """Derivatives of the map along one axis into ``columns[axis]`` (3, 3, 3): bilinear in the other two axes."""
    for c in range(3):
        for i in range(2):
            for j in range(2):
                ahead, behind = _LINES[axis, i, j, 1], _LINES[axis, i, j, 0]
                columns[axis, 2 * i, 2 * j, c] = hexahedra[e, ahead, c] - hexahedra[e, behind, c]
        for i in range(0, 3, 2):
            columns[axis, i, 1, c] = 0.5 * (columns[axis, i, 0, c] + columns[axis, i, 2, c])
        for j in range(3):
            columns[axis, 1, j, c] = 0.5 * (columns[axis, 0, j, c] + columns[axis, 2, j, c])


@njit(cache=True, error_model="numpy", forceinline=True)
def _lattice_values(hexahedra, e, columns, values):
    """det J of element ``e`` on the lattice into ``values`` (3, 3, 3), by way of ``columns`` (3, 3, 3, 3)."""
    for axis in range(3):
        _lattice_columns(hexahedra, e, axis, columns)
    for j in range(3):
        for k in range(3):
            u0, u1, u2 = columns[0, j, k, 0], columns[0, j, k, 1], columns[0, j, k, 2]
            for i in range(3):
                v0, v1, v2 = columns[1, i, k, 0], columns[1, i, k, 1], columns[1, i, k, 2]
                w0, w1, w2 = columns[2, i, j, 0], columns[2, i, j, 1], columns[2, i, j, 2]
                values[i, j, k] = u0 * (v1 * w2 - v2 * w1) + u1 * (v2 * w0 - v0 * w2) + u2 * (v0 * w1 - v1 * w0)


@njit(cache=True, error_model="numpy", forceinline=True)
def _to_bernstein(values):
    """Lattice values (3, 3, 3) to Bernstein coefficients in place, axis by axis: only the middle ones change."""
    for i in range(3):
        for j in range(3):
            values[1, i, j] = 2.0 * values[1, i, j] - 0.5 * (values[0, i, j] + values[2, i, j])
    for i in range(3):
        for j in range(3):
            values[i, 1, j] = 2.0 * values[i, 1, j] - 0.5 * (values[i, 0, j] + values[i, 2, j])
    for i in range(3):
        for j in range(3):
            values[i, j, 1] = 2.0 * values[i, j, 1] - 0.5 * (values[i, j, 0] + values[i, j, 2])


@njit(over="hexahedra", grain=1024, cache=True, error_model="numpy")
def _fill_bernstein(begin, end, hexahedra, coefficients):
    for e in range(begin, end):
        columns = np.empty((3, 3, 3, 3))
        _lattice_values(hexahedra, e, columns, coefficients[e])
        _to_bernstein(coefficients[e])


def lattice_determinants(hexahedra: ArrayLike) -> np.ndarray:
    """det J on the 3×3×3 lattice of vertices, edge middles, face middles and the centre, shape (n, 3, 3, 3)."""
    return determinants(element_array(hexahedra), _LATTICE).reshape(-1, 3, 3, 3)


def bernstein_coefficients(hexahedra: ArrayLike) -> np.ndarray:
    """Bernstein coefficients of det J, shape (n, 3, 3, 3), of the elements (n, 8, 3); they enclose its values.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import bernstein_coefficients
    >>> coefficients = bernstein_coefficients(femnn.hexahedra(skfem.MeshHex()))
    >>> coefficients.shape, float(coefficients.min()), float(coefficients.max())
    ((1, 3, 3, 3), -1.0, -1.0)
    """
    x = element_array(hexahedra)
    coefficients = np.empty((len(x), 3, 3, 3))
    _fill_bernstein(x, coefficients)
    return coefficients


@njit(cache=True)
def _halve(box, axis, lower, upper):
    """De Casteljau at 1/2 along one axis: the Bernstein coefficients of both halves."""
    for i in range(3):
        for j in range(3):
            if axis == 0:
                a, b, c = box[0, i, j], box[1, i, j], box[2, i, j]
            elif axis == 1:
                a, b, c = box[i, 0, j], box[i, 1, j], box[i, 2, j]
            else:
                a, b, c = box[i, j, 0], box[i, j, 1], box[i, j, 2]
            ab, bc = 0.5 * (a + b), 0.5 * (b + c)
            middle = 0.5 * (ab + bc)
            if axis == 0:
                lower[0, i, j], lower[1, i, j], lower[2, i, j] = a, ab, middle
                upper[0, i, j], upper[1, i, j], upper[2, i, j] = middle, bc, c
            elif axis == 1:
                lower[i, 0, j], lower[i, 1, j], lower[i, 2, j] = a, ab, middle
                upper[i, 0, j], upper[i, 1, j], upper[i, 2, j] = middle, bc, c
            else:
                lower[i, j, 0], lower[i, j, 1], lower[i, j, 2] = a, ab, middle
                upper[i, j, 0], upper[i, j, 1], upper[i, j, 2] = middle, bc, c


@njit(cache=True)
def _least_corner(box):
    least = box[0, 0, 0]
    for i in range(0, 3, 2):
        for j in range(0, 3, 2):
            for k in range(0, 3, 2):
                least = min(least, box[i, j, k])
    return least


@njit(cache=True, error_model="numpy")
def _extremes(coefficients):
    least = most = coefficients[0, 0, 0]
    for i in range(3):
        for j in range(3):
            for k in range(3):
                least, most = min(least, coefficients[i, j, k]), max(most, coefficients[i, j, k])
    return least, most


@njit(cache=True)
def _copy_box(source, target):
    for i in range(3):
        for j in range(3):
            for k in range(3):
                target[i, j, k] = source[i, j, k]


@njit(cache=True)
def _turn_positive(coefficients):
    """Change the signs of coefficients whose mean is negative."""
    total = 0.0
    for i in range(3):
        for j in range(3):
            for k in range(3):
                total += coefficients[i, j, k]
    if total < 0.0:
        for i in range(3):
            for j in range(3):
                for k in range(3):
                    coefficients[i, j, k] = -coefficients[i, j, k]


@njit(cache=True)
def _classify_one(coefficients):
    """VALID, FOLDED or DEGENERATE for one element with coefficients (3, 3, 3) of positive mean."""
    least, most = _extremes(coefficients)
    zero = DEGENERATE_SHARE * max(-least, most)
    # the last one is the work space of a box that is halved
    boxes = np.empty((_MOST_BOXES + 1, 3, 3, 3))
    axes = np.empty(_MOST_BOXES, dtype=np.int64)
    _copy_box(coefficients, boxes[0])
    axes[0] = 0
    waiting, seen = 1, 0
    status = VALID
    while waiting > 0:
        waiting -= 1
        seen += 1
        box, axis = boxes[_MOST_BOXES], axes[waiting]
        _copy_box(boxes[waiting], box)
        least = _least_corner(box)
        if least < -zero:
            return FOLDED
        if least <= zero:
            status = DEGENERATE
        lowest = _extremes(box)[0]
        if lowest > zero or (status == DEGENERATE and lowest >= -zero):
            continue
        if seen + waiting + 2 >= _MOST_BOXES:
            return DEGENERATE
        _halve(box, axis, boxes[waiting], boxes[waiting + 1])
        axes[waiting] = axes[waiting + 1] = (axis + 1) % 3
        waiting += 2
    return status


@njit(over="hexahedra", grain=1024, cache=True, error_model="numpy")
def _classify_by_signs(begin, end, hexahedra, status):
    """VALID where the signs of the coefficients prove it, which is nearly everywhere; else ``_UNKNOWN``."""
    columns, coefficients = np.empty((3, 3, 3, 3)), np.empty((3, 3, 3))
    for e in range(begin, end):
        _lattice_values(hexahedra, e, columns, coefficients)
        _to_bernstein(coefficients)
        least, most = _extremes(coefficients)
        is_proved = least > DEGENERATE_SHARE * most or most < DEGENERATE_SHARE * least
        status[e] = VALID if is_proved else _UNKNOWN


@njit(over="coefficients", grain=16, cache=True, error_model="numpy")
def _classify_by_halving(begin, end, coefficients, status):
    for e in range(begin, end):
        _turn_positive(coefficients[e])
        status[e] = _classify_one(coefficients[e])


def classify(hexahedra: ArrayLike) -> np.ndarray:
    """Status of each element by the sign of its det J: VALID, FOLDED or DEGENERATE, shape (n,) of int.

    The elements are of any kind, (n, nodes, dim); see :mod:`femnn.geometry.cells`.

    Either sign is healthy: scikit-fem's own meshes have det J < 0. An element is degenerate when det J vanishes
    somewhere without changing sign, a collapsed edge for instance.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import VALID, classify
    >>> x = femnn.hexahedra(skfem.MeshHex().refined(1))
    >>> x[3] = x[3][[7, 1, 2, 3, 4, 5, 6, 0]]
    >>> (classify(x) != VALID).nonzero()[0]
    array([3])
    """
    array = np.asarray(floats("hexahedra", hexahedra, finite=False, error=MeshError))
    if array.shape != (0, 8, 3) and kind_of_array(array) is not HEXAHEDRON:
        x, _ = in_own_units(cell_array(array))
        return classify_cells(x, DEGENERATE_SHARE, _MOST_BOXES, (VALID, FOLDED, DEGENERATE))
    x = element_array(array)
    # the kernel takes differences of coordinates, so that only sizes matter
    if not _has_moderate_sizes(x):
        x, _ = in_own_units(x)
    status = np.empty(len(x), dtype=np.int64)
    _classify_by_signs(x, status)
    unknown = np.flatnonzero(status == _UNKNOWN)
    if len(unknown):
        # its kernel is compiled by who has such elements
        settled = np.empty(len(unknown), dtype=np.int64)
        _classify_by_halving(bernstein_coefficients(x[unknown]), settled)
        status[unknown] = settled
    return status


def valid_elements(hexahedra: np.ndarray, on_folded: str = "raise") -> np.ndarray:
    """Indices of the elements that can be integrated.

    Parameters
    ----------
    hexahedra
        Vertex coordinates, shape (n, 8, 3).
    on_folded
        ``"raise"`` stops at the first folded or degenerate element, ``"skip"`` leaves all of them out.

    Raises
    ------
    FoldedElementError
        With ``on_folded="raise"``; its ``elements`` lists all of them.
    ParameterError
        If ``on_folded`` is neither.

    See Also
    --------
    femnn.Rule.groups : ``on_folded="warn"``, which depends on the points of a rule.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import valid_elements
    >>> x = femnn.hexahedra(skfem.MeshHex().refined(1))
    >>> x[3] = x[3][[7, 1, 2, 3, 4, 5, 6, 0]]
    >>> valid_elements(x, on_folded="skip")
    array([0, 1, 2, 4, 5, 6, 7])
    """
    if one_of("on_folded", on_folded, ("raise", "skip")) == "raise":
        require_valid(hexahedra, "repair the mesh or pass on_folded='skip'")
        return np.arange(len(hexahedra))
    return np.flatnonzero(classify(hexahedra) == VALID)


def require_valid(hexahedra: np.ndarray, remedy: str = "repair the mesh or leave such elements out") -> None:
    """Raise FoldedElementError, which names the ``remedy``, unless every element (n, 8, 3) can be integrated.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.exceptions import FoldedElementError
    >>> from femnn.geometry import require_valid
    >>> x = femnn.hexahedra(skfem.MeshHex().refined(1))
    >>> require_valid(x)
    >>> x[3] = x[3][[7, 1, 2, 3, 4, 5, 6, 0]]
    >>> try:
    ...     require_valid(x)
    ... except FoldedElementError as error:
    ...     print(error.elements)
    [3]
    """
    status = classify(hexahedra)
    bad = np.flatnonzero(status != VALID)
    if len(bad):
        raise FoldedElementError(f"{_describe(hexahedra, bad, status)}; {remedy}", bad)


def require_size(hexahedra: np.ndarray) -> None:
    """Raise MeshError if det J of an element (n, 8, 3) under- or overflows double precision in its units of length."""
    x = np.asarray(hexahedra, dtype=float)
    if _has_moderate_sizes(x):
        return
    _, sizes = in_own_units(x)
    beyond = np.flatnonzero((sizes < SMALLEST_SIZE) | (sizes > LARGEST_SIZE))
    if len(beyond):
        power = "cube" if x.shape[2] == 3 else "square"
        raise MeshError(
            f"element {beyond[0]} has a size of {sizes[beyond[0]]:.1e}, as have {len(beyond)} of {len(sizes)} of this "
            f"order: det J, its {power}, under- or overflows beyond {SMALLEST_SIZE:g} and {LARGEST_SIZE:g}; choose "
            "other units of length"
        )


def _has_moderate_sizes(x):
    """True if all sizes of elements (n, 8, 3) are surely between SMALLEST_SIZE and LARGEST_SIZE, seen at a glance."""
    if not x.size:
        return True
    diagonals = np.abs(x[:, 0] - x[:, -1]).T
    shortest = np.maximum.reduce(diagonals).min()
    return bool(shortest > SMALLEST_SIZE and x.max() < 0.25 * LARGEST_SIZE and x.min() > -0.25 * LARGEST_SIZE)


def healthy_array(hexahedra: ArrayLike) -> np.ndarray:
    """Vertex coordinates (n, 8, 3) from a user, all elements healthy; raises as :func:`healthy_vertices`."""
    x = vertex_array(hexahedra)
    require_valid(x)
    return x


def healthy_vertices(mesh: Mesh | np.ndarray) -> np.ndarray:
    """Vertex coordinates (n, 8, 3) of a ``skfem.MeshHex``, or such an array as it is, if every element is healthy.

    Raises
    ------
    MeshError
        If it is neither, see :func:`femnn.geometry.mesh.hexahedra` and :func:`femnn.geometry.mesh.vertex_array`.
    FoldedElementError
        If an element cannot be integrated.
    """
    return healthy_array(mesh if isinstance(mesh, np.ndarray) else mesh_hexahedra(mesh))


def healthy_cells(mesh: Mesh | ArrayLike) -> np.ndarray:
    """Coordinates (n, nodes, dim) of the cells of a mesh of any kind, or of such an array, if all are healthy.

    Raises
    ------
    MeshError
        If it is neither, see :mod:`femnn.geometry.cells`.
    FoldedElementError
        If a cell cannot be integrated.
    """
    x = cells(mesh) if isinstance(mesh, Mesh) else cell_array(mesh)
    require_valid(x)
    return x


def _describe(hexahedra, bad, status):
    first = bad[0]
    scaled, (size,) = in_own_units(hexahedra[first : first + 1])
    kind = kind_of_array(scaled)
    points = np.concatenate([kind.nodes.T, np.full((kind.dim, 1), 0.5)], axis=1)
    values = determinants(scaled, points)[0]
    beyond = not SMALLEST_SIZE <= size <= LARGEST_SIZE
    if not beyond:
        values *= size**kind.dim
    low, high = int(np.argmin(values)), int(np.argmax(values))
    if status[first] == FOLDED:
        cause = "folded"
        finding = f"det J = {values[high]:.3g} {_place(high, kind)} but {values[low]:.3g} {_place(low, kind)}"
        # the product of two cubes of sizes would under- or overflow
        if np.sign(values[low]) == np.sign(values[high]):
            finding = f"det J is {values[low]:.3g} to {values[high]:.3g} at its vertices and changes sign between them"
    else:
        cause = "degenerate"
        finding = f"det J is {values[low]:.3g} to {values[high]:.3g} at its vertices and comes to zero in it"
    if beyond:
        finding += f", in units of the {'cube' if kind.dim == 3 else 'square'} of its size {size:.1e}"
    spacing = float(np.spacing(np.abs(hexahedra[first]).max()))
    if spacing > _DIGITS_LEFT * size:
        finding += f"; its size is {size:.1e}, and coordinates so far from the origin are {spacing:.1e} apart"
    count = f"{len(bad)} of {len(hexahedra)} elements are folded or degenerate"
    return f"element {first} is {cause}: {finding} ({count})"


def _place(index, kind):
    if index >= kind.n_vertices and (kind.degree == 1 or index == len(kind.nodes)):
        return "at the centre"
    return f"at {'vertex' if index < kind.n_vertices else 'node'} {index}"
