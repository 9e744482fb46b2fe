"""Mesh files of every format that meshio writes, cut off or with bits flipped.

A mesh file has no checksum: a flipped digit of a coordinate is another mesh. What can be told is told: the number of
elements stays, or something is said; vertices exist and are finite; it ends in time and with one line.
"""

import meshio
import numpy as np
import skfem

from benchmarks.faults.campaign import Kind, Lost, Tally, damaged, judged
from femnn.geometry.hexahedron import TO_VTK
from femnn.mesh_files import read_with_remarks

# name in the table: suffix, meshio's name of the format, how it is written
FORMATS = {
    "Abaqus .inp": (".inp", "abaqus", {}),
    "Nastran .bdf": (".bdf", "nastran", {}),
    "Gmsh 2.2 .msh, text": (".msh", "gmsh22", {"binary": False}),
    "Gmsh 2.2 .msh, binary": (".msh", "gmsh22", {"binary": True}),
    "Gmsh 4.1 .msh, text": (".msh", "gmsh", {"binary": False}),
    "Gmsh 4.1 .msh, binary": (".msh", "gmsh", {"binary": True}),
    "VTK .vtk, text": (".vtk", "vtk", {"binary": False}),
    "VTK .vtk, binary": (".vtk", "vtk", {"binary": True}),
    "VTK 4.2 .vtk, text": (".vtk", "vtk42", {"binary": False}),
    "VTK .vtu, text": (".vtu", "vtu", {"binary": False}),
    "VTK .vtu, binary": (".vtu", "vtu", {}),
    "Medit .mesh": (".mesh", "medit", {}),
    "Medit .meshb": (".meshb", "medit", {}),
    "Tecplot .dat": (".dat", "tecplot", {}),
    "Kratos .mdpa": (".mdpa", "mdpa", {}),
    "SU2 .su2": (".su2", "su2", {}),
    "AVS-UCD .avs": (".avs", "avsucd", {}),
    "FLAC3D .f3grid, text": (".f3grid", "flac3d", {"binary": False}),
    "FLAC3D .f3grid, binary": (".f3grid", "flac3d", {"binary": True}),
    "PERMAS .dato": (".dato", "permas", {}),
    "Netgen .vol": (".vol", "netgen", {}),
    "UGRID .ugrid": (".b8.ugrid", "ugrid", {}),
}

_ELEMENTS = 8


def _kind(name):
    suffix, meshio_name, options = FORMATS[name]

    def prepare(folder):
        mesh = skfem.MeshHex().refined(1)
        path = folder / f"whole{suffix}"
        meshio.write(path, meshio.Mesh(mesh.p.T, [("hexahedron", mesh.t.T[:, TO_VTK])]), meshio_name, **options)
        content = path.read_bytes()
        _read(path)

        def case(draw, folder):
            path = folder / f"damaged{suffix}"
            path.write_bytes(damaged(content, draw))
            return judged(lambda: _read(path))

        return case

    return Kind(f"mesh file: {name}", 200, 20.0, prepare, __name__)


def _read(path) -> Tally:
    mesh, remarks, warned = read_with_remarks(path)
    if mesh.nelements != _ELEMENTS and not (remarks or warned):
        raise Lost(f"{mesh.nelements} of {_ELEMENTS} elements are read, and nothing is said")
    if not np.isfinite(mesh.p).all():
        raise Lost("coordinates are read that are not finite")
    if mesh.t.min() < 0 or mesh.t.max() >= mesh.p.shape[1]:
        raise Lost("elements are read that refer to vertices which do not exist")


def kinds():
    """A kind for each format."""
    return [_kind(name) for name in FORMATS]
