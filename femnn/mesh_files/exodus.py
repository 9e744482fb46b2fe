"""Names of blocks and side sets in Exodus files, which meshio does not read."""

import re

import numpy as np

#: Vertices of the six sides of a hexahedron, counted from 0 (Exodus II manual, "Side set node ordering").
SIDES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [0, 4, 7, 3], [0, 3, 2, 1], [4, 5, 6, 7]])
#: Vertices of the four sides of a quadrilateral.
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])


def exodus_sets(path, contents):
    """Give the contents the element blocks as sets of cells and the side sets as sets of faces."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        # meshio takes the blocks in the order of their variables, Exodus counts elements in that of their numbers
        order = [int(name[7:]) for name in file.variables if re.fullmatch(r"connect\d+", name)]
        sizes = [len(block.nodes) for block in contents.blocks]
        if len(order) != len(sizes):
            contents.warnings.append(
                "names of element blocks and side sets are not read: the file has blocks without cells"
            )
            return
        starts = np.cumsum([0, *sizes[:-1]])
        _add_blocks(file, contents, order, starts)
        cells = np.concatenate([np.arange(sizes[k]) + starts[k] for k in np.argsort(order)])
        _add_sides(file, contents, cells, starts)


def _add_blocks(file, contents, order, starts):
    names, numbers = _names(file, "eb_names"), file.variables.get("eb_prop1")
    for k, block, start in zip(order, contents.blocks, starts, strict=True):
        number = int(numbers[k - 1]) if numbers is not None and k <= len(numbers) else k
        name = names[k - 1] if k <= len(names) and names[k - 1] else f"block_{number}"
        contents.cell_sets.setdefault(name, np.arange(start, start + len(block.nodes)))


def _add_sides(file, contents, cells, starts):
    names, numbers = _names(file, "ss_names"), file.variables.get("ss_prop1")
    k = 0
    while f"elem_ss{k + 1}" in file.variables:
        elements = cells[np.asarray(file.variables[f"elem_ss{k + 1}"][:], dtype=np.int64) - 1]
        sides = np.asarray(file.variables[f"side_ss{k + 1}"][:], dtype=np.int64) - 1
        number = int(numbers[k]) if numbers is not None and k < len(numbers) else k + 1
        name = names[k] if k < len(names) and names[k] else f"side_set_{number}"
        plane = not any(block.is_volume for block in contents.blocks)
        table = EDGES if plane else SIDES
        faces = [np.empty((0, table.shape[1]), dtype=np.int64)]
        for block, start in zip(contents.blocks, starts, strict=True):
            inside = (elements >= start) & (elements < start + len(block.nodes)) & (sides >= 0) & (sides < len(table))
            if block.kind.startswith("quad" if plane else "hexahedron") and inside.any():
                nodes = block.nodes[elements[inside] - start]
                faces.append(np.take_along_axis(nodes, table[sides[inside]], axis=1))
        contents.facet_sets[name] = np.concatenate(faces)
        k += 1


def _names(file, variable):
    if variable not in file.variables:
        return []
    rows = np.ma.filled(file.variables[variable][:], b"")
    return [b"".join(np.asarray(row, dtype="S1")).decode("utf-8", "replace").strip("\0 ") for row in rows]
