"""From the contents of a mesh file to a scikit-fem mesh: which cells are taken, and what the sets become."""

import meshio
import numpy as np
import skfem
from skfem.io.meshio import from_meshio

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import MeshContents, counted


def hexahedral_mesh(path, contents: MeshContents) -> skfem.MeshHex1:
    """Mesh of the hexahedra in a file, with its sets as subdomains and boundaries.

    What is left out is counted in ``contents.remarks``, what is lost in ``contents.warnings``.

    Raises
    ------
    MeshError
        If there are volume cells that are no straight-edged hexahedra, no hexahedra, or points that do not exist.
    """
    _check_kinds(path, contents)
    is_hexahedron = np.concatenate([np.full(len(b.nodes), b.kind == "hexahedron") for b in contents.blocks])
    blocks = [block for block in contents.blocks if block.kind == "hexahedron" and len(block.nodes)]
    cells = np.concatenate([block.nodes for block in blocks])
    _check_points(path, contents.points, blocks)
    repeated = int((np.diff(np.sort(cells, axis=1), axis=1) == 0).any(axis=1).sum())
    if repeated:
        contents.remarks.append(
            f"{repeated:,} hexahedra name a point more than once: they are wedges or pyramids, degenerate hexahedra"
        )
    points, cells, new_place = _without_loose_points(contents, cells)
    mesh = _plain_mesh(path, contents, points, cells, is_hexahedron)
    names = _Names(mesh, contents, new_place)
    names.add_cells(np.where(is_hexahedron, np.cumsum(is_hexahedron) - 1, -1))
    names.add_facets()
    names.add_points()
    return skfem.MeshHex1(mesh.p, mesh.t, names.boundaries or None, names.subdomains or None)


def _check_kinds(path, contents):
    volume = {block.kind for block in contents.blocks if block.is_volume}
    counts = contents.count()
    counts = {kind: count for kind, count in counts.items() if kind in volume} or counts
    others = counted({kind: count for kind, count in counts.items() if kind != "hexahedron"})
    if not volume & set(counts):
        cells = ", ".join([others or "none at all", *contents.warnings])
        raise MeshError(f"{path} has no volume cells (its cells: {cells}); femnn integrates hexahedra")
    if others and all(kind.startswith(("hexahedron", "lagrange_hexahedron", "bezier_hexahedron")) for kind in counts):
        raise MeshError(
            f"{path} has hexahedra with curved edges ({others}), femnn's rules are made for trilinear ones; "
            "export the mesh with first-order elements"
        )
    if "hexahedron" not in counts:
        raise MeshError(f"{path} has no hexahedra but {others}; femnn integrates hexahedra, mesh the part with these")
    if others:
        raise MeshError(
            f"{path} mixes {counts['hexahedron']:,} hexahedra with {others}; the hexahedra alone would be a part with "
            "holes: split the file, or mesh the part with hexahedra alone"
        )


def _check_points(path, points, blocks):
    if np.ndim(points) != 2 or points.shape[1] != 3:
        raise MeshError(f"{path} has points of shape {np.shape(points)}; hexahedra need three coordinates each")
    element = 0
    for block in blocks:
        outside = (block.nodes < 0) | (block.nodes >= len(points))
        if outside.any():
            row = int(np.flatnonzero(outside.any(axis=1))[0])
            number = "" if block.numbers is None else f" (number {block.numbers[row]} in the file)"
            raise MeshError(
                f"element {element + row}{number} of {path} refers to point {int(block.nodes[row][outside[row]][0])}, "
                f"but the file has {len(points)} points counted from 0; export the mesh again"
            )
        element += len(block.nodes)


def _without_loose_points(contents, cells):
    """Points of the hexahedra alone: (points, cells, place of each old point or -1)."""
    count = len(contents.points)
    used = np.zeros(count, dtype=bool)
    used[cells] = True
    lower = {kind: n for kind, n in contents.count().items() if kind != "hexahedron"}
    if lower:
        contents.remarks.append(f"left out besides the hexahedra: {counted(lower)}")
    if used.all():
        return contents.points, cells, np.arange(count)
    contents.remarks.append(f"{np.sum(~used):,} of {count:,} points belong to no hexahedron and are left out")
    if not contents.has_end:
        _warn_of_unknown_end(contents)
    new_place = np.where(used, np.cumsum(used) - 1, -1)
    return contents.points[used], new_place[cells], new_place


def _warn_of_unknown_end(contents):
    """Points that no cell and no set has are the only trace of lines that are missing at the end of some formats."""
    loose = np.ones(len(contents.points), dtype=bool)
    for nodes in [*(block.nodes for block in contents.blocks), *contents.point_sets.values()]:
        loose[nodes[nodes >= 0]] = False
    if loose.any():
        contents.warnings.append(
            f"{loose.sum():,} points belong to no cell and no set; the format does not mark its end: see whether the "
            "file was cut off"
        )


def _plain_mesh(path, contents, points, cells, is_hexahedron):
    """The mesh with no names but those that scikit-fem itself wrote into the cell data."""
    data = {name: [np.asarray(values)[is_hexahedron]] for name, values in contents.cell_data.items()}
    try:
        return from_meshio(meshio.Mesh(points, [("hexahedron", cells)], cell_data=data))
    except Exception as error:
        raise MeshError(f"scikit-fem cannot make a mesh of {path}: {str(error).splitlines()[0]}") from error


class _Names:
    """Subdomains and boundaries of a mesh, filled from the sets of its file."""

    def __init__(self, mesh, contents, new_place) -> None:
        self.mesh, self.contents, self.new_place = mesh, contents, new_place
        self.boundaries, self.subdomains = dict(mesh.boundaries or {}), dict(mesh.subdomains or {})
        self._index = None

    def add_cells(self, element):
        """Sets of cells: their hexahedra (by ``element`` of each cell, or -1) and their quadrilaterals."""
        starts = np.cumsum([0, *(len(block.nodes) for block in self.contents.blocks)])
        for name, members in self.contents.cell_sets.items():
            members = np.unique(np.asarray(members, dtype=np.int64))
            elements = element[members]
            elements = elements[elements >= 0]
            if len(elements):
                self.subdomains[_free(name, self.subdomains, "cells", self.contents)] = elements.astype(np.int32)
            quads = self._quads(members, starts)
            if len(quads):
                self.contents.facet_sets[name] = np.concatenate([self.contents.facet_sets.get(name, quads[:0]), quads])
            elif not len(elements):
                self.contents.remarks.append(f"set {name} has neither hexahedra nor faces and is left out")

    def _quads(self, members, starts):
        quads = [np.empty((0, 4), dtype=np.int64)]
        for block, start, stop in zip(self.contents.blocks, starts[:-1], starts[1:], strict=True):
            if block.kind == "quad":
                quads.append(block.nodes[members[(members >= start) & (members < stop)] - start])
        return np.concatenate(quads)

    def add_facets(self):
        """Sets of faces, on the surface and inside the mesh."""
        for name, quads in self.contents.facet_sets.items():
            vertices = np.where(quads >= 0, self.new_place[quads], -1)
            facets = self._facets_of(vertices)
            lost = int(np.sum(facets < 0))
            facets = np.unique(facets[facets >= 0])
            if lost:
                self.contents.warnings.append(f"{lost:,} of {len(quads):,} faces of {name} are no face of a hexahedron")
            if len(facets):
                self.boundaries[_free(name, self.boundaries, "faces", self.contents)] = facets

    def _facets_of(self, vertices):
        if self._index is None:
            keys = np.sort(self.mesh.facets.T, axis=1).astype(np.int64)
            order = np.lexsort(keys.T[::-1])
            self._index = _rows(keys[order]), order
        keys, order = self._index
        wanted = _rows(np.sort(vertices, axis=1).astype(np.int64))
        place = np.clip(np.searchsorted(keys, wanted), 0, len(keys) - 1)
        return np.where(keys[place] == wanted, order[place], -1)

    def add_points(self):
        """Sets of points: all faces whose vertices belong; of a set that fills whole cells, those on the surface."""
        for name, members in self.contents.point_sets.items():
            places = self.new_place[np.asarray(members, dtype=np.int64)]
            belongs = np.zeros(self.mesh.nvertices, dtype=bool)
            belongs[places[places >= 0]] = True
            inside = belongs[self.mesh.facets].all(axis=0)
            if belongs[self.mesh.t].all(axis=0).any():
                inside &= self.mesh.f2t[1] == -1
            if inside.any():
                self.boundaries[_free(name, self.boundaries, "nodes", self.contents)] = np.flatnonzero(inside)
            else:
                self.contents.remarks.append(f"point set {name} covers no whole face and is left out")


def _rows(keys):
    """Rows of four integers as one sortable value each."""
    return np.ascontiguousarray(keys).view([("", np.int64)] * 4).ravel()


def _free(name, taken, what, contents):
    """A name that nothing else has: the given one, or it with a word that tells the two apart."""
    if name not in taken:
        return name
    new, k = f"{name}_{what}", 2
    while new in taken:
        new, k = f"{name}_{what}_{k}", k + 1
    contents.warnings.append(f"two sets are called {name}; the one of {what} is called {new}")
    return new
