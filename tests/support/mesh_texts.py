"""Small meshes as the text of Abaqus and Nastran files, and what is measured on a mesh that was read."""

import numpy as np
import skfem

#: Corners of the unit cube in the order of Abaqus, Nastran, Gmsh and VTK.
CUBE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=float)


def write(path, text):
    """Write a text file and give its path back."""
    path.write_text(text)
    return path


def abaqus_nodes(points=CUBE, first=1):
    """Data lines of ``*Node``."""
    return "".join(f"{first + k}, {x:g}, {y:g}, {z:g}\n" for k, (x, y, z) in enumerate(points))


#: Two unit cubes, one on the other, as nodes 1 to 12 and elements 1 and 2.
TOWER = np.vstack([CUBE, CUBE[4:] + np.array([0.0, 0.0, 1.0])])
TOWER_ELEMENTS = "1, 1, 2, 3, 4, 5, 6, 7, 8\n2, 5, 6, 7, 8, 9, 10, 11, 12\n"


def volume(mesh):
    """Volume of a mesh of hexahedra."""
    return skfem.Basis(mesh, skfem.ElementHex1(), intorder=3).dx.sum()


def centres(mesh, facets):
    """Centres of facets as a sorted list of tuples."""
    return sorted(map(tuple, mesh.p[:, mesh.facets[:, facets]].mean(axis=1).T.round(9).tolist()))
