"""Cells of VTK's unstructured grids, by VTK's numbers of cell types, as blocks."""

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import CellBlock, MeshContents, node_count

# vtkCellType.h
_KINDS = {
    0: "empty", 1: "vertex", 2: "poly_vertex", 3: "line", 4: "poly_line", 5: "triangle", 6: "triangle_strip",
    7: "polygon", 8: "pixel", 9: "quad", 10: "tetra", 11: "voxel", 12: "hexahedron", 13: "wedge", 14: "pyramid",
    15: "penta_prism", 16: "hexa_prism", 21: "line3", 22: "triangle6", 23: "quad8", 24: "tetra10", 25: "hexahedron20",
    26: "wedge15", 27: "pyramid13", 28: "quad9", 29: "hexahedron27", 30: "quad6", 31: "wedge12", 32: "wedge18",
    33: "hexahedron24", 34: "triangle7", 35: "line4", 36: "quadratic_polygon", 42: "polyhedron", 68: "lagrange_curve",
    69: "lagrange_triangle", 70: "lagrange_quad", 71: "lagrange_tetra", 72: "lagrange_hexahedron",
    73: "lagrange_wedge", 74: "lagrange_pyramid", 75: "bezier_curve", 76: "bezier_triangle", 77: "bezier_quad",
    78: "bezier_tetra", 79: "bezier_hexahedron", 80: "bezier_wedge", 81: "bezier_pyramid",
}  # fmt: skip
_FIXED = {1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 21, 23, 25, 28, 29}
# Cells of any order that are quadratic if they have so many points.
_OF_ANY_ORDER = {(72, 8): "hexahedron", (79, 8): "hexahedron", (72, 27): "hexahedron27"}
_OF_ANY_ORDER |= {(70, 4): "quad", (77, 4): "quad", (70, 9): "quad9", (68, 2): "line", (68, 3): "line3"}


def vtk_contents(path, points, connectivity, ends, types, cell_data) -> MeshContents:
    """Contents of an unstructured grid.

    Parameters
    ----------
    path
        The file, for messages.
    points : (n_points, 3)
    connectivity
        Points of all cells, one cell after the other.
    ends : (n_cells,)
        Where each cell ends in ``connectivity``.
    types : (n_cells,)
        VTK's numbers of the cell types.
    cell_data
        Values of the cells by name, each of length n_cells.
    """
    types, ends = np.asarray(types, dtype=np.int64), np.asarray(ends, dtype=np.int64)
    if len(types) != len(ends):
        raise MeshError(f"{path} has {len(ends):,} cells but {len(types):,} cell types; export it again")
    sizes = np.diff(ends, prepend=0)
    if (sizes < 0).any() or (len(ends) and ends[-1] != len(connectivity)):
        raise MeshError(
            f"{path} has {len(connectivity):,} numbers of points for its cells, but counts others; export it again"
        )
    order = np.argsort(types, kind="stable")
    blocks = []
    for code in np.unique(types):
        cells = np.flatnonzero(types == code)
        blocks += _blocks(path, int(code), cells, sizes[cells], ends[cells], connectivity)
    if len({len(values) for values in cell_data.values()} - {len(types)}):
        raise MeshError(f"{path} has cell data of another length than cells; export it again")
    data = {name: np.asarray(values)[order] for name, values in cell_data.items()}
    return MeshContents(points, blocks or [CellBlock("empty", np.empty((0, 1), dtype=int))], cell_data=data)


def _blocks(path, code, cells, sizes, ends, connectivity):
    kind = _KINDS.get(code, f"VTK cell type {code}")
    if len(set(sizes)) == 1:
        kind = _OF_ANY_ORDER.get((code, int(sizes[0])), kind)
    if code in _FIXED or kind in _OF_ANY_ORDER.values():
        count = node_count(kind)
        if (sizes != count).any():
            wrong = int(np.flatnonzero(sizes != count)[0])
            raise MeshError(
                f"{path}: cell {cells[wrong]} is a {kind} with {sizes[wrong]} points; export the mesh again"
            )
        nodes = connectivity[ends[:, None] + np.arange(-count, 0)]
    else:
        # only counted: such cells are left out or refused
        nodes = np.zeros((len(cells), 1), dtype=np.int64)
    return [CellBlock(kind, np.asarray(nodes, dtype=np.int64))]
