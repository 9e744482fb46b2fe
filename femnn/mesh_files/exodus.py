"""Names of blocks and side sets in Exodus files, which meshio does not read."""

import numpy as np

#: Vertices of the six sides of a hexahedron, counted from 0 (Exodus II manual, "Side set node ordering").
SIDES = np.array([[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [0, 4, 7, 3], [0, 3, 2, 1], [4, 5, 6, 7]])


def exodus_sets(path, contents):
    """Give the contents the element blocks as sets of cells and the side sets as sets of faces."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        _add_blocks(file, contents)
        _add_sides(file, contents)


def _add_blocks(file, contents):
    names, numbers = _names(file, "eb_names"), file.variables.get("eb_prop1")
    first = 0
    for k, block in enumerate(contents.blocks):
        number = int(numbers[k]) if numbers is not None and k < len(numbers) else k + 1
        name = names[k] if k < len(names) and names[k] else f"block_{number}"
        contents.cell_sets.setdefault(name, np.arange(first, first + len(block.nodes)))
        first += len(block.nodes)


def _add_sides(file, contents):
    starts = np.cumsum([0, *(len(block.nodes) for block in contents.blocks)])
    names, numbers = _names(file, "ss_names"), file.variables.get("ss_prop1")
    k = 0
    while f"elem_ss{k + 1}" in file.variables:
        cells = np.asarray(file.variables[f"elem_ss{k + 1}"][:], dtype=np.int64) - 1
        sides = np.asarray(file.variables[f"side_ss{k + 1}"][:], dtype=np.int64) - 1
        name = (
            names[k] if k < len(names) and names[k] else f"side_set_{int(numbers[k]) if numbers is not None else k + 1}"
        )
        faces = [np.empty((0, 4), dtype=np.int64)]
        for block, start, stop in zip(contents.blocks, starts[:-1], starts[1:], strict=True):
            inside = (cells >= start) & (cells < stop) & (sides >= 0) & (sides < 6)
            if block.kind == "hexahedron" and inside.any():
                faces.append(np.take_along_axis(block.nodes[cells[inside] - start], SIDES[sides[inside]], axis=1))
        contents.facet_sets[name] = np.concatenate(faces)
        k += 1


def _names(file, variable):
    if variable not in file.variables:
        return []
    rows = np.ma.filled(file.variables[variable][:], b"")
    return [b"".join(np.asarray(row, dtype="S1")).decode("utf-8", "replace").strip("\0 ") for row in rows]
