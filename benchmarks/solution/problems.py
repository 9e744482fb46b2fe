"""The problems of the benchmark: meshes, supports and loads as arrays, which every program starts from."""

import numpy as np
import skfem
from scipy.spatial import cKDTree

from benchmarks.solution.arrays import Problem
from femnn import read_mesh
from femnn.exceptions import MeshError
from femnn.geometry import distorted_cube
from femnn.io.locations import data_folder

#: The name of a problem that asks for the memory of a large one.
LARGE = "cube 100"


def names(quick=False):
    """Names of all problems, or of small ones."""
    if quick:
        return ["cube 6", "neo-Hookean 3", "triquadratic 2"]
    return [
        "cube 20", "cube 30", "cube 50", "bracket", "bunny", "neo-Hookean 12", "neo-Hookean 16", "triquadratic 8",
        "triquadratic 12", "plastic bracket",
    ]  # fmt: skip


def problem(name, meshes=None):
    """The :class:`Problem` of a name; ``meshes`` is a folder with the file of the bunny.

    Raises
    ------
    MeshError
        If its file is not there.
    """
    what, _, size = name.partition(" ")
    none = np.zeros(0, dtype=int)
    if name in ("bracket", "plastic bracket"):
        mesh = read_mesh(data_folder("meshes") / "bracket.vtu")
        facets = mesh.facets[:, mesh.boundaries["fixed"]]
        held = np.unique(facets)
        if name == "bracket":
            mesh, held = mesh.refined(), _in_facets(mesh.p[:, facets], mesh.refined().p)
        return Problem("linear" if name == "bracket" else "plastic", mesh.p, mesh.t, held, none)
    if what == "bunny":
        if meshes is None:
            raise MeshError("no folder with bunny_out.mesh was given")
        mesh = read_mesh(meshes / "bunny_out.mesh")
        return Problem("linear", mesh.p, mesh.t, np.flatnonzero(_part(mesh.p[2]) <= 0.05), none)
    if what == "neo-Hookean":
        mesh = skfem.MeshHex.init_tensor(*(np.linspace(0.0, 1.0, int(size) + 1),) * 3)
        return Problem(what, mesh.p, mesh.t, np.flatnonzero(mesh.p[0] == 0.0), np.flatnonzero(mesh.p[0] == 1.0))
    mesh = distorted_cube(int(size), 0.2, seed=0)
    held = np.flatnonzero(mesh.p[0] <= 1e-12)
    return Problem("linear" if what == "cube" else what, mesh.p, mesh.t, held, none)


def _in_facets(corners, p):
    """Vertices of a mesh that was refined once that lie in facets (3, 4, m) of the one before."""
    middles = 0.5 * (corners + np.roll(corners, 1, axis=1))
    places = np.concatenate([corners, middles, corners.mean(axis=1, keepdims=True)], axis=1).reshape(3, -1)
    distance, nearest = cKDTree(p.T).query(places.T)
    return np.unique(nearest[distance <= 1e-9 * np.ptp(p)])


def _part(x):
    return (x - x.min()) / np.ptp(x)
