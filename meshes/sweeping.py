"""Swept hexahedra: plane quadrilaterals made with gmsh, stacked through a third direction, joined and named."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import click
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skfem import MeshHex

# ``vtk[_SKFEM_FROM_VTK]`` is how scikit-fem orders the vertices of a hexahedron that it reads from a file
_SKFEM_FROM_VTK = [0, 4, 3, 1, 7, 5, 2, 6]
_SAME_POINT = 1e-7  # m: parts that meet agree to 1e-12, and no edge is shorter than 1e-4


@dataclass
class Sweep:
    """Hexahedra of one swept block: points (n, 3), cells (m, 8) in VTK order, surfaces as masks of their points.

    ``surfaces`` are parts of the skin, ``inner`` surfaces within, ``regions`` masks of cells.
    """

    points: np.ndarray
    cells: np.ndarray
    surfaces: dict = field(default_factory=dict)
    inner: dict = field(default_factory=dict)
    regions: dict = field(default_factory=dict)


def import_gmsh():
    try:
        import gmsh
    except (ImportError, OSError) as error:
        raise click.ClickException(
            f"gmsh cannot be imported ({error}); install the extra with `pip install -e .[mesh]` and, on Debian, its "
            "libraries with `apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1`"
        ) from error
    return gmsh


@contextmanager
def plane_model(size, algorithm=8):
    """A gmsh session that makes quadrilaterals only, about ``size`` long, the same on every run.

    gmsh's algorithm 8 (frontal-Delaunay for quads) aligns the cells, 5 (Delaunay) mixes them more.
    """
    gmsh = import_gmsh()
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        options = {
            "General.Terminal": 0,
            "General.NumThreads": 1,
            "Mesh.RandomSeed": 1,
            "Mesh.Algorithm": algorithm,
            "Mesh.RecombineAll": 1,
            "Mesh.RecombinationAlgorithm": 1,
            # splits every cell once more, so that no triangle is left; counts and sizes below are before the split
            "Mesh.SubdivisionAlgorithm": 1,
            "Mesh.Smoothing": 10,
            "Mesh.MeshSizeMax": 2 * size,
            "Mesh.MeshSizeExtendFromBoundary": 1,
        }
        for name, value in options.items():
            gmsh.option.setNumber(name, value)
        yield gmsh
    finally:
        gmsh.finalize()


def divide(gmsh, curves, count, ends=1.0):
    """Ask for ``count`` elements, an even number, along each curve; ``ends`` below 1 crowds them to its two ends."""
    for curve in curves:
        gmsh.model.mesh.setTransfiniteCurve(curve, count // 2 + 1, "Bump", ends)


def mesh_plane(gmsh, curves):
    """Points (n, 2) and quadrilaterals (m, 4) of the model, and a mask of the points on each named group of curves."""
    gmsh.model.mesh.generate(2)
    kinds = gmsh.model.mesh.getElementTypes(2)
    if list(kinds) != [3]:
        raise click.ClickException(f"gmsh left cells of the types {list(kinds)} besides quadrilaterals (3)")
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    quads = gmsh.model.mesh.getElementsByType(3)[1].reshape(-1, 4)
    used = np.unique(quads)
    index = np.zeros(int(tags.max()) + 1, dtype=int)
    index[used] = np.arange(used.size)
    points = np.empty((used.size, 2))
    kept = np.isin(tags, used)
    points[index[tags[kept]]] = coordinates.reshape(-1, 3)[kept, :2]
    masks = {}
    for name, group in curves.items():
        on = [gmsh.model.mesh.getNodes(1, curve, includeBoundary=True)[0] for curve in group]
        masks[name] = np.isin(np.arange(used.size), index[np.concatenate(on)])
    return points, index[quads], masks


def sweep(quads, layers, masks):
    """Stack quadrilaterals through ``layers`` of the same points, shape (nlayers, n, 3); masks are repeated."""
    nlayers, n, _ = layers.shape
    bottom = quads[None] + n * np.arange(nlayers - 1)[:, None, None]
    cells = np.concatenate([bottom, bottom + n], axis=2).reshape(-1, 8)
    surfaces = {name: np.tile(mask, nlayers) for name, mask in masks.items()}
    return Sweep(layers.reshape(-1, 3), cells, surfaces)


def on_layer(layers, layer):
    """Mask of the points of one layer of a sweep."""
    mask = np.zeros(layers.shape[:2], dtype=bool)
    mask[layer] = True
    return mask.ravel()


def join(sweeps):
    """One mesh of all sweeps: coinciding points merged, cells right-handed, surfaces as named boundaries."""
    starts = np.cumsum([0] + [len(s.points) for s in sweeps])
    points = np.concatenate([s.points for s in sweeps])
    cells = np.concatenate([s.cells + start for s, start in zip(sweeps, starts, strict=False)])
    pairs = cKDTree(points).query_pairs(_SAME_POINT, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points),) * 2)
    number, label = connected_components(graph, directed=False)
    merged = np.empty((number, 3))
    merged[label] = points
    # a nanometre is enough, and the files then do not depend on the last bits of a machine's sine
    mesh = right_handed(np.round(merged, 9), label[cells])
    boundaries = {}
    skin = mesh.boundary_facets()
    for kind, facets in (("surfaces", skin), ("inner", np.setdiff1d(np.arange(mesh.nfacets), skin))):
        for name in dict.fromkeys(name for s in sweeps for name in getattr(s, kind)):
            mask = np.zeros(number, dtype=bool)
            for s, start in zip(sweeps, starts, strict=False):
                mask[label[start + np.flatnonzero(getattr(s, kind).get(name, []))]] = True
            boundaries[name] = facets[mask[mesh.facets[:, facets]].all(axis=0)]
    mesh = mesh.with_boundaries(boundaries)
    names = dict.fromkeys(name for s in sweeps for name in s.regions)
    if not names:
        return mesh
    parts = {
        name: np.concatenate([s.regions.get(name, np.zeros(len(s.cells), dtype=bool)) for s in sweeps])
        for name in names
    }
    return mesh.with_subdomains({name: np.flatnonzero(own) for name, own in parts.items()})


def right_handed(points, cells):
    """The mesh of cells in VTK order, those that are inside out turned upside down."""
    x = points[cells]
    edges = x[:, [1, 3, 4]] - x[:, :1]
    cells = np.where(np.linalg.det(edges)[:, None] > 0, cells, cells[:, [4, 5, 6, 7, 0, 1, 2, 3]])
    t = np.ascontiguousarray(cells[:, _SKFEM_FROM_VTK].T.astype(np.int32))
    return MeshHex(np.ascontiguousarray(points.T), t)


def fading(distance, reach):
    """1 at distance 0, falling smoothly to 0 at ``reach``."""
    return np.clip(1.0 - distance / reach, 0.0, 1.0) ** 2
