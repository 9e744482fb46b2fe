"""Contents of a mesh file, in one form for all formats: points, blocks of cells, sets, and remarks."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from femnn.exceptions import MeshError

# How the names of cells begin that have fewer than three dimensions.
_FLAT: tuple[str, ...] = ("vertex", "line", "triangle", "quad", "pixel", "poly_", "polygon", "empty", "other")
_FLAT += tuple(f"{family}_{shape}" for family in ("lagrange", "bezier") for shape in ("curve", "triangle", "quad"))
_CORNERS = {"vertex": 1, "line": 2, "triangle": 3, "quad": 4, "pixel": 4, "tetra": 4, "pyramid": 5, "wedge": 6}
_CORNERS |= {"hexahedron": 8, "voxel": 8}

#: Places of VTK's numbering of a voxel's or pixel's points in the numbering of a hexahedron or quadrilateral.
LATTICE_ORDER = {"voxel": [0, 1, 3, 2, 4, 5, 7, 6], "pixel": [0, 1, 3, 2]}
_LATTICE_KIND = {"voxel": "hexahedron", "pixel": "quad"}


@dataclass(eq=False, repr=False)
class CellBlock:
    """Cells of one kind, in the node order of the program that wrote them; vertices come first, in VTK's order.

    Attributes
    ----------
    kind
        meshio's name: ``hexahedron``, ``hexahedron20``, ``quad``, ...
    nodes : (n, nodes per cell)
        Positions in :attr:`MeshContents.points`; -1 for a point that the file does not define, and
        :data:`femnn.mesh_files.node_orders.MISSING` for a node that it leaves out.
    numbers : (n,)
        Numbers of the cells in the file, where it numbers them.
    """

    kind: str
    nodes: np.ndarray
    numbers: np.ndarray | None = None

    def __repr__(self):
        return f"CellBlock({len(self.nodes)} {self.kind})"

    @property
    def is_volume(self) -> bool:
        """True for cells of three dimensions, and for those of an unknown kind, which might be of three."""
        return not self.kind.startswith(_FLAT)


@dataclass(eq=False, repr=False)
class MeshContents:
    """Points, cells and sets of a mesh file.

    Attributes
    ----------
    points : (n_points, 3)
    blocks
        Blocks of cells in the order of the file; cells are counted through all of them.
    cell_sets
        Name to positions of cells: those of the mesh become a subdomain of that name, their faces a boundary.
    facet_sets
        Name to faces of hexahedra, each by its four vertices, (n, 4), or to edges of quadrilaterals, (n, 2).
    point_sets
        Name to positions of points.
    cell_data
        Values of all cells by name, only those in which scikit-fem keeps names.
    remarks
        What was done that needs no attention, such as lines and points left out.
    warnings
        What the file asks for and the mesh does not give, such as a set of elements that do not exist.
    program
        Whose order the nodes of quadratic cells have, see :mod:`femnn.mesh_files.node_orders`.
    has_end
        The format marks the end of its data, or counts them: a file that was cut off is found by that.
    """

    points: np.ndarray
    blocks: list
    cell_sets: dict = field(default_factory=dict)
    facet_sets: dict = field(default_factory=dict)
    point_sets: dict = field(default_factory=dict)
    cell_data: dict = field(default_factory=dict)
    remarks: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    program: str = "vtk"
    has_end: bool = True

    def __repr__(self):
        return f"MeshContents({len(self.points)} points, {self.blocks})"

    def count(self) -> dict:
        """Number of cells by kind, in the order of the file."""
        counts: dict[str, int] = {}
        for block in self.blocks:
            if len(block.nodes):
                counts[block.kind] = counts.get(block.kind, 0) + len(block.nodes)
        return counts


def node_count(kind: str) -> int:
    """Number of nodes of a kind of cell: ``hexahedron`` has 8, ``hexahedron20`` has 20."""
    return _CORNERS[kind] if kind in _CORNERS else int(re.sub(r"\D", "", kind))


def listed(items, most: int = 5) -> str:
    """Some of the items, for a message of one line."""
    items = list(items)
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more


def counted(counts: dict) -> str:
    """Numbers by name as words: ``3 quad, 1 line``."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


def straighten(contents: MeshContents) -> MeshContents:
    """Turn voxels into hexahedra and pixels into quadrilaterals, in place: the same cells, their points reordered."""
    for block in contents.blocks:
        if block.kind in _LATTICE_KIND:
            order, kind = LATTICE_ORDER[block.kind], _LATTICE_KIND[block.kind]
            contents.remarks.append(f"{len(block.nodes):,} {block.kind}s are taken as cells of kind {kind}")
            block.nodes, block.kind = block.nodes[:, order], kind
    return contents


def text_lines(path) -> list[str]:
    """Lines of a text file, in UTF-8 if it is that, else in Latin-1, with or without a mark of the byte order."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def positions(wanted: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Position of each wanted number among ``numbers``, -1 where it is not among them; of any shape."""
    wanted = np.asarray(wanted, dtype=np.int64)
    if len(numbers) == 0:
        return np.full(wanted.shape, -1)
    order = np.argsort(numbers, kind="stable")
    place = order[np.clip(np.searchsorted(numbers, wanted, sorter=order), 0, len(numbers) - 1)]
    return np.where(numbers[place] == wanted, place, -1)


def merge_points(path, what: str, numbers: np.ndarray, points: np.ndarray):
    """Points by number, each once: what is defined twice with the same coordinates is one, with others an error."""
    unique, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    if len(unique) == len(numbers):
        return numbers, points
    differs = (points != points[first[inverse]]).any(axis=1)
    if differs.any():
        number = int(numbers[differs][0])
        first_place, last_place = (points[numbers == number][k].tolist() for k in (0, -1))
        raise MeshError(
            f"{path} defines {what} {number} twice, at {first_place} and at {last_place}; number the {what}s of its "
            "parts differently, or write each part as a part of its own"
        )
    kept = np.sort(first)
    return numbers[kept], points[kept]
