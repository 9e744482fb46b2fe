"""From the contents of a mesh file to a scikit-fem mesh: which cells are taken, and what the sets become."""

import meshio
import numpy as np
import skfem
from skfem.io.meshio import from_meshio

from femnn.exceptions import MeshError
from femnn.geometry.cells import CellKind
from femnn.geometry.validity import VALID, classify
from femnn.mesh_files.contents import LATTICE_ORDER, MeshContents, counted
from femnn.mesh_files.node_orders import TAKEN, cell_coordinates, complete, number_in_file

# Nodes that two cells share may differ by this share of the size of a cell.
_SAME = 1e-6
# A plane mesh lies in its plane within this share of its size.
_FLAT = 1e-9


def mesh_of(path, contents: MeshContents) -> skfem.Mesh:
    """Mesh of the hexahedra in a file, or of its quadrilaterals, with its sets as subdomains and boundaries.

    What is left out is counted in ``contents.remarks``, what is lost in ``contents.warnings``.

    Raises
    ------
    MeshError
        If there are volume cells that are no hexahedra, neither hexahedra nor a plane mesh of quadrilaterals, both
        straight and curved cells, or points that do not exist.
    """
    dim = 3 if any(block.is_volume and len(block.nodes) for block in contents.blocks) else 2
    kind = _checked_kind(path, contents, dim)
    blocks = [block for block in contents.blocks if TAKEN.get(block.kind) is kind and len(block.nodes)]
    _check_points(path, contents.points, blocks)
    if dim == 2:
        _check_plane(path, contents, blocks)
    is_taken = np.concatenate([np.full(len(b.nodes), TAKEN.get(b.kind) is kind) for b in contents.blocks])
    x = np.concatenate([complete(b.kind, cell_coordinates(path, contents, b)[..., :dim]) for b in blocks])
    x, order = _with_healthy_order(path, contents, kind, blocks, x)
    vertices = np.concatenate([block.nodes[:, : kind.n_vertices] for block in blocks])[:, order]
    degenerate = _degenerate(vertices)
    if degenerate:
        contents.remarks.append(degenerate)
    vertices, new_place = _without_loose_points(contents, vertices, blocks, dim)
    mesh = _straight_mesh(path, contents, vertices, new_place, is_taken, dim)
    names = _Names(mesh, contents, new_place)
    names.add_cells(np.where(is_taken, np.cumsum(is_taken) - 1, -1))
    names.add_facets()
    names.add_points()
    points = mesh.p if kind.degree == 1 else _with_nodes_between(path, mesh, kind, x)
    return kind.mesh(points, mesh.t, names.boundaries or None, names.subdomains or None)


def _checked_kind(path, contents, dim) -> CellKind:
    """The kind of the cells that make the mesh: straight or curved, of ``dim`` dimensions."""
    cells = "hexahedra" if dim == 3 else "quadrilaterals"
    inner = {block.kind for block in contents.blocks if _dimension(block) == dim}
    counts = contents.count()
    counts = {kind: count for kind, count in counts.items() if kind in inner} or counts
    taken = {kind: count for kind, count in counts.items() if kind in TAKEN}
    others = counted({kind: count for kind, count in counts.items() if kind not in TAKEN})
    if not inner & set(counts):
        found = ", ".join([others or "none at all", *contents.warnings])
        raise MeshError(f"{path} has no volume cells (its cells: {found}); femnn integrates hexahedra, or plane quads")
    if not taken and all(kind.startswith(("hexahedron", "lagrange_hexa", "bezier_hexa", "quad")) for kind in counts):
        raise MeshError(
            f"{path} has cells with other nodes than are read ({others}); export it with first-order elements, or with "
            f"{'20 or 27' if dim == 3 else '8 or 9'} nodes"
        )
    if not taken:
        raise MeshError(f"{path} has no {cells} but {others}; femnn integrates {cells}, mesh the part with these")
    if others:
        raise MeshError(
            f"{path} mixes {sum(taken.values()):,} {cells} with {others}; the {cells} alone would be a part with "
            f"holes: split the file, or mesh the part with {cells} alone"
        )
    if len({TAKEN[kind] for kind in taken}) > 1:
        raise MeshError(
            f"{path} mixes {counted(taken)}; straight and curved edges would not fit together: export all cells with "
            "elements of one order"
        )
    return TAKEN[next(iter(taken))]


def _dimension(block):
    """Dimension of the cells of a block, of those that can make a mesh."""
    if block.is_volume:
        return 3
    return 2 if block.kind.startswith(("quad", "triangle", "polygon", "lagrange_quad", "lagrange_triangle")) else 1


def _check_points(path, points, blocks):
    if np.ndim(points) != 2 or points.shape[1] != 3:
        raise MeshError(f"{path} has points of shape {np.shape(points)}; cells need three coordinates each")
    element = 0
    for block in blocks:
        vertices = TAKEN[block.kind].n_vertices
        outside = (block.nodes == -1) | (block.nodes >= len(points))
        outside[:, :vertices] |= block.nodes[:, :vertices] < 0
        if outside.any():
            row = int(np.flatnonzero(outside.any(axis=1))[0])
            raise MeshError(
                f"element {element + row}{number_in_file(block, row)} of {path} refers to point "
                f"{int(block.nodes[row][outside[row]][0])}, but the file has {len(points)} points counted from 0; "
                "export the mesh again"
            )
        element += len(block.nodes)


def _check_plane(path, contents, blocks):
    """Quadrilaterals make a plane mesh where they lie in a plane z = constant."""
    points = contents.points[np.unique(np.concatenate([block.nodes[block.nodes >= 0] for block in blocks]))]
    extent = np.ptp(points, axis=0)
    if extent[2] > _FLAT * extent.max():
        flat = [axis for axis, length in zip("xyz", extent, strict=True) if length <= _FLAT * extent.max()]
        what = (
            f"lie in a plane {flat[0]} = constant; turn it into the plane of x and y"
            if flat
            else ("are a shell in space, which has no thickness to integrate; fill it with hexahedra")
        )
        raise MeshError(f"the {counted(contents.count())} cells of {path} {what}")
    contents.remarks.append(f"the quadrilaterals lie in the plane z = {points[0, 2]:g} and are taken as a plane mesh")


def _with_healthy_order(path, contents, kind, blocks, x):
    """The cells, and the order of their vertices: another one where most are folded in that of the file."""
    order = list(range(kind.n_vertices))
    folded = _folded(x)
    vertices = np.concatenate([block.nodes[:, : kind.n_vertices] for block in blocks])
    degenerate = _degenerate(vertices[folded])
    few = 2 * folded.sum() <= len(x)
    if degenerate and (few or kind.degree == 1):
        contents.warnings.append(degenerate)
    if few:
        return x, order
    if kind.degree == 1:
        lattice = LATTICE_ORDER["voxel" if kind.dim == 3 else "pixel"]
        other = complete(blocks[0].kind, _in_file_order(blocks[0].kind, x)[:, lattice])
        if not _folded(other).any():
            contents.warnings.append(
                f"{folded.sum():,} of {len(x):,} cells are folded in the order in which the file has their vertices, "
                "and none with rows of vertices side by side as voxels have them; that order is taken"
            )
            return other, lattice
        return x, order
    first = int(np.flatnonzero(folded)[0])
    block, row = _block_of(blocks, first)
    raise MeshError(
        f"{path}: {folded.sum():,} of {len(x):,} cells with curved edges are folded, the first is element {first}"
        f"{number_in_file(block, row)}; "
        + (degenerate or "their nodes may be in a wrong order: export the mesh again, or with first-order elements")
    )


def _degenerate(vertices):
    """What is to be said about cells of ``vertices`` (n, 4 or 8) that have one of them twice; "" if none has."""
    repeated = int((np.diff(np.sort(vertices, axis=1), axis=1) == 0).any(axis=1).sum())
    cells, others = ("hexahedra", "wedges or pyramids") if vertices.shape[1] == 8 else ("quadrilaterals", "triangles")
    if repeated == 0:
        return ""
    return (
        f"{repeated:,} {cells} name a point more than once: they are {others}, degenerate {cells}; mesh these places "
        "anew"
    )


def _folded(x):
    finite = np.isfinite(x).all(axis=(1, 2))
    folded = np.zeros(len(x), dtype=bool)
    folded[finite] = classify(x[finite]) != VALID
    return folded


def _in_file_order(kind, x):
    """Vertices of straight cells back in the order of VTK."""
    return complete(kind, np.eye(x.shape[1])[None]).transpose(0, 2, 1) @ x


def _block_of(blocks, element):
    for block in blocks:
        if element < len(block.nodes):
            return block, element
        element -= len(block.nodes)
    raise IndexError(element)


def _without_loose_points(contents, cells, blocks, dim):
    """Vertices of the cells with new numbers, and the new number of each point or -1."""
    count = len(contents.points)
    vertex = np.zeros(count, dtype=bool)
    vertex[cells] = True
    used = vertex.copy()
    for block in blocks:
        used[block.nodes[block.nodes >= 0]] = True
    name = "hexahedra" if dim == 3 else "quadrilaterals"
    lower = {kind: n for kind, n in contents.count().items() if kind not in {block.kind for block in blocks}}
    if lower:
        contents.remarks.append(f"left out besides the {name}: {counted(lower)}")
    if not used.all():
        cell = "hexahedron" if dim == 3 else "quadrilateral"
        contents.remarks.append(f"{np.sum(~used):,} of {count:,} points belong to no {cell} and are left out")
        if not contents.has_end:
            _warn_of_unknown_end(contents)
    new_place = np.where(vertex, np.cumsum(vertex) - 1, -1)
    return new_place[cells], new_place


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


def _straight_mesh(path, contents, cells, new_place, is_taken, dim):
    """The mesh of the vertices with no names but those that scikit-fem itself wrote into the cell data."""
    data = {name: [np.asarray(values)[is_taken]] for name, values in contents.cell_data.items()}
    points = contents.points[new_place >= 0][:, :dim]
    try:
        return from_meshio(meshio.Mesh(points, [("hexahedron" if dim == 3 else "quad", cells)], cell_data=data))
    except Exception as error:
        raise MeshError(f"scikit-fem cannot make a mesh of {path}: {str(error).splitlines()[0]}") from error


def _with_nodes_between(path, mesh, kind, x):
    """Coordinates of all nodes of a mesh with curved edges, (dim, n); ``x`` are those of its cells."""
    table = skfem.assembly.Dofs(mesh, kind.element).element_dofs
    points = np.empty((kind.dim, table.max() + 1))
    for k, nodes in enumerate(table):
        points[:, nodes] = x[:, k].T
    off = np.abs(points[:, table] - x.transpose(2, 1, 0)).max(axis=(0, 1)) / np.ptp(x, axis=1).max(axis=1)
    if off.max() > _SAME:
        first = int(np.argmax(off))
        raise MeshError(
            f"{path}: element {first} and one beside it put a node that they share at different places, "
            f"{off[first]:.1e} of the element's size apart; export the mesh again"
        )
    return points


class _Names:
    """Subdomains and boundaries of a mesh, filled from the sets of its file."""

    def __init__(self, mesh, contents, new_place) -> None:
        self.mesh, self.contents, self.new_place = mesh, contents, new_place
        self.boundaries, self.subdomains = dict(mesh.boundaries or {}), dict(mesh.subdomains or {})
        self._index = None

    def add_cells(self, element):
        """Sets of cells: those of the mesh (by ``element`` of each cell, or -1) and those that are facets of it."""
        starts = np.cumsum([0, *(len(block.nodes) for block in self.contents.blocks)])
        for name, members in self.contents.cell_sets.items():
            members = np.unique(np.asarray(members, dtype=np.int64))
            elements = element[members]
            elements = elements[elements >= 0]
            if len(elements):
                self.subdomains[_free(name, self.subdomains, "cells", self.contents)] = elements.astype(np.int32)
            facets = self._flat_cells(members, starts)
            if len(facets):
                known = self.contents.facet_sets.get(name, facets[:0])
                self.contents.facet_sets[name] = np.concatenate([known, facets])
            elif not len(elements):
                what = "hexahedra nor faces" if self.mesh.dim() == 3 else "quadrilaterals nor edges"
                self.contents.remarks.append(f"set {name} has neither {what} and is left out")

    def _flat_cells(self, members, starts):
        """Vertices of those cells that can be facets of the mesh."""
        per_facet = len(self.mesh.facets)
        facets = [np.empty((0, per_facet), dtype=np.int64)]
        for block, start, stop in zip(self.contents.blocks, starts[:-1], starts[1:], strict=True):
            if block.kind.startswith("quad" if per_facet == 4 else "line"):
                facets.append(block.nodes[members[(members >= start) & (members < stop)] - start, :per_facet])
        return np.concatenate(facets)

    def add_facets(self):
        """Sets of facets, on the surface and inside the mesh."""
        face, cell = ("face", "hexahedron") if self.mesh.dim() == 3 else ("edge", "quadrilateral")
        for name, given in self.contents.facet_sets.items():
            vertices = np.where(given >= 0, self.new_place[given], -1)
            facets = self._facets_of(vertices)
            lost = int(np.sum(facets < 0))
            facets = np.unique(facets[facets >= 0])
            if lost:
                self.contents.warnings.append(f"{lost:,} of {len(given):,} {face}s of {name} are no {face} of a {cell}")
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
        """Sets of points: all facets whose vertices belong; of a set that fills whole cells, those on the surface."""
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
                face = "face" if self.mesh.dim() == 3 else "edge"
                self.contents.remarks.append(f"point set {name} covers no whole {face} and is left out")


def _rows(keys):
    """Rows of integers as one sortable value each."""
    return np.ascontiguousarray(keys).view([("", np.int64)] * keys.shape[1]).ravel()


def _free(name, taken, what, contents):
    """A name that nothing else has: the given one, or it with a word that tells the two apart."""
    if name not in taken:
        return name
    new, k = f"{name}_{what}", 2
    while new in taken:
        new, k = f"{name}_{what}_{k}", k + 1
    contents.warnings.append(f"two sets are called {name}; the one of {what} is called {new}")
    return new
