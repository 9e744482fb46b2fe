"""Orders in which programs write the nodes of cells: one table, and a look at the coordinates for whether it holds.

The neutral order is that of VTK. Vertices come first everywhere, in one order; the other nodes are named by the
vertices in whose middle they are, two for an edge, four for a face, eight for the centre.
"""

from functools import cache

import numpy as np
import skfem
from skfem.io.meshio import HEX_MAPPING

from femnn.exceptions import MeshError
from femnn.geometry.cells import (
    CURVED_HEXAHEDRON,
    CURVED_QUADRILATERAL,
    HEXAHEDRON,
    QUADRILATERAL,
    CellKind,
)
from femnn.mesh_files.contents import CellBlock, MeshContents

#: Cells that become a mesh: what they are with all their nodes.
TAKEN: dict[str, CellKind] = {
    "quad": QUADRILATERAL,
    "quad8": CURVED_QUADRILATERAL,
    "quad9": CURVED_QUADRILATERAL,
    "hexahedron": HEXAHEDRON,
    "hexahedron20": CURVED_HEXAHEDRON,
    "hexahedron27": CURVED_HEXAHEDRON,
}

#: In place of a node that a file leaves out: it is in the middle of its vertices.
MISSING = -2

# Places in scikit-fem's reference cells of the vertices in VTK's order, as scikit-fem reads them, by dimension.
_VERTICES = {
    2: np.asarray(skfem.ElementQuad1.doflocs, dtype=float),
    3: np.asarray(skfem.ElementHex1.doflocs, dtype=float)[HEX_MAPPING[:8]],
}

_BELOW, _ABOVE, _UPRIGHT = "01 12 23 30", "45 56 67 74", "04 15 26 37"
_VTK_EDGES = f"{_BELOW} {_ABOVE} {_UPRIGHT}"
_GMSH_EDGES = "01 03 04 12 15 23 26 37 45 47 56 67"

#: Nodes after the vertices by program and kind of cell. Sources: vtkTriQuadraticHexahedron.h; Abaqus,
#: "Three-dimensional solid element library"; Gmsh reference manual, "Node ordering"; MSC Nastran Quick Reference Guide,
#: CHEXA; Exodus II manual, "Element types". Programs that are not in it write as VTK does.
ORDERS: dict[str, dict[str, str]] = {
    "vtk": {
        "quad8": _BELOW,
        "quad9": f"{_BELOW} 0123",
        "hexahedron20": _VTK_EDGES,
        "hexahedron27": f"{_VTK_EDGES} 0473 1265 0154 3762 0321 4567 01234567",
    },
    "abaqus": {"hexahedron27": f"{_VTK_EDGES} 01234567 0123 4567 0154 1265 2376 3047"},
    "gmsh": {
        "hexahedron20": _GMSH_EDGES,
        "hexahedron27": f"{_GMSH_EDGES} 0321 0154 0473 1265 2376 4567 01234567",
    },
    "nastran": {"hexahedron20": f"{_BELOW} {_UPRIGHT} {_ABOVE}"},
    "exodus": {
        "hexahedron20": f"{_BELOW} {_UPRIGHT} {_ABOVE}",
        "hexahedron27": f"{_BELOW} {_UPRIGHT} {_ABOVE} 01234567 0123 4567 0154 1265 2376 3047",
    },
}

# A node may be so far from the middle of its vertices, in units of the size of the cell, before another order is tried.
_NEAR = 0.15
# Another order has to fit so much better than the one that the format prescribes.
_BETTER = 0.5


def middles(kind: str, program: str = "vtk") -> list[tuple[int, ...]]:
    """Vertices in whose middle the nodes after the vertices are, in the order of a program.

    >>> middles("quad8")
    [(0, 1), (1, 2), (2, 3), (0, 3)]
    """
    words = ORDERS.get(program, {}).get(kind) or ORDERS["vtk"].get(kind, "")
    return [tuple(sorted(map(int, word))) for word in words.split()]


def cell_coordinates(path, contents: MeshContents, block: CellBlock) -> np.ndarray:
    """Coordinates of all nodes of the cells of a block, (n, nodes, 3), in the order of VTK.

    Where the coordinates tell of another order than the format prescribes, that one is taken, with a warning.

    Raises
    ------
    MeshError
        If no order fits.
    """
    count = TAKEN[block.kind].n_vertices
    x = contents.points[np.maximum(block.nodes, 0)]
    neutral = middles(block.kind)
    if not neutral:
        return x
    expected = middles(block.kind, contents.program)
    for k, vertices in enumerate(expected):
        missing = block.nodes[:, count + k] == MISSING
        x[missing, count + k] = x[missing][:, vertices].mean(axis=1)
    order = _order_by_place(path, contents, block, x, expected, neutral)
    return np.concatenate([x[:, :count], x[:, [count + order.index(vertices) for vertices in neutral]]], axis=1)


def _order_by_place(path, contents, block, x, expected, neutral):
    # slow to load, and most meshes have no such cells
    from scipy.optimize import linear_sum_assignment

    count = x.shape[1] - len(expected)
    size = np.ptp(x[:, :count], axis=1).max(axis=1)
    size[size == 0.0] = 1.0
    candidates = np.stack([x[:, vertices].mean(axis=1) for vertices in neutral], axis=1)
    distance = np.stack(
        [
            np.median(np.linalg.norm(candidates - x[:, [count + k]], axis=2) / size[:, None], axis=0)
            for k in range(len(expected))
        ]
    )
    as_expected = np.mean([distance[k, neutral.index(vertices)] for k, vertices in enumerate(expected)])
    if as_expected <= _NEAR:
        return expected
    rows, columns = linear_sum_assignment(distance)
    best = distance[rows, columns].mean()
    if best < min(_NEAR, _BETTER * as_expected):
        contents.warnings.append(
            f"nodes of the {len(x):,} {block.kind} cells stand in another order than {contents.program} files have; "
            "the order that their coordinates show is taken"
        )
        return [neutral[column] for column in columns]
    off = np.linalg.norm(candidates - x[:, count:][:, [expected.index(v) for v in neutral]], axis=2) / size[:, None]
    element = int(off.max(axis=1).argmax())
    raise MeshError(
        f"{path}: no order of nodes fits its {block.kind} cells; in element {element}{number_in_file(block, element)} "
        f"a node is {off[element].max():.2g} of the cell's size away from the middle of its vertices: export the mesh "
        "again, or with first-order elements"
    )


def number_in_file(block: CellBlock, row: int) -> str:
    """Words for the number of a cell in its file, where the file numbers its cells."""
    return "" if block.numbers is None else f" (number {block.numbers[row]} in the file)"


@cache
def _completion(kind: str) -> np.ndarray:
    """Matrix (nodes of the mesh, nodes in the file) from nodes in VTK's order to all nodes in scikit-fem's order."""
    target = TAKEN[kind]
    places = _places(kind, target.dim)
    element = {"quad8": skfem.ElementQuadS2(), "hexahedron20": skfem.ElementHexS2()}.get(kind, target.element)
    own = np.asarray(element.doflocs, dtype=float)
    order = [int(np.flatnonzero((places == place).all(axis=1))[0]) for place in own]
    shapes = np.stack([element.lbasis(target.nodes.T, a)[0] for a in range(len(own))], axis=1)
    matrix = np.zeros((len(target.nodes), len(own)))
    matrix[:, order] = shapes
    return matrix


def _places(kind, dim):
    """Places in the reference cell of the nodes of a cell, which are in VTK's order."""
    vertices = _VERTICES[dim]
    return np.array([*vertices, *(vertices[list(of)].mean(axis=0) for of in middles(kind))])


def complete(kind: str, x: np.ndarray) -> np.ndarray:
    """All nodes of cells in scikit-fem's order, from the nodes (n, nodes, dim) of a file in VTK's.

    Serendipity cells (8 and 20 nodes) become cells with 9 and 27: these polynomials are among the others, so that the
    geometry is the same.
    """
    return np.einsum("ab,nbi->nai", _completion(kind), x)
