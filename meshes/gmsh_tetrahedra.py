"""Parts filled with tetrahedra by gmsh, subdivided into hexahedra: ball, brick with inner points, holed block."""

import numpy as np
from sweeping import import_gmsh, right_handed

PARTS = ("ball", "brick", "block")

# What gmsh calls a hexahedron of eight nodes.
_HEXAHEDRON = 5


def gmsh_tetrahedra(part, size, seed=1):
    """The hexahedra of a ``part`` of ``PARTS``, about ``size`` long, with ``Mesh.SubdivisionAlgorithm = 2``."""
    gmsh = import_gmsh()
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        options = {
            "General.Terminal": 0,
            "General.NumThreads": 1,
            "Mesh.RandomSeed": seed,
            "Mesh.SubdivisionAlgorithm": 2,
            # of the tetrahedra, whose edges the subdivision halves
            "Mesh.MeshSizeMax": 2 * size,
            "Mesh.MeshSizeMin": 2 * size,
        }
        for name, value in options.items():
            gmsh.option.setNumber(name, value)
        _make(gmsh, part, size, np.random.default_rng(seed))
        gmsh.model.mesh.generate(3)
        tags, coordinates, _ = gmsh.model.mesh.getNodes()
        number = np.zeros(int(tags.max()) + 1, dtype=int)
        number[tags.astype(int)] = np.arange(len(tags))
        cells = number[gmsh.model.mesh.getElementsByType(_HEXAHEDRON)[1].astype(int)].reshape(-1, 8)
    finally:
        gmsh.finalize()
    used, cells = np.unique(cells, return_inverse=True)
    return right_handed(coordinates.reshape(-1, 3)[used], cells.reshape(-1, 8))


def _make(gmsh, part, size, random):
    solid = gmsh.model.occ
    if part == "ball":
        solid.addSphere(0.0, 0.0, 0.0, 1.0)
    else:
        body = solid.addBox(-1.0, -0.7, -0.5, 2.0, 1.4, 1.0)
        if part == "block":
            solid.cut([(3, body)], [(3, solid.addCylinder(0.2, 0.1, -0.6, 0.0, 0.0, 1.2, 0.35))])
        else:
            inside = np.array([1.0, 0.7, 0.5]) - 0.8 * size
            inner = inside * random.uniform(-1.0, 1.0, (int(0.1 / size**3), 3))
            points = [(0, solid.addPoint(*place)) for place in inner]
            solid.fragment([(3, body)], points)
    solid.synchronize()
