"""The problems of the benchmark: meshes, supports and loads as arrays, which every program starts from."""

from typing import NamedTuple

import numpy as np
import skfem
from scipy.spatial import cKDTree

from femnn import read_mesh
from femnn.exceptions import MeshError
from femnn.geometry import TO_VTK, distorted_cube
from femnn.io.locations import data_folder

YOUNG, POISSON, WEIGHT = 210e9, 0.3, -77e3
SHEAR = YOUNG / (2 * (1 + POISSON))
LAME = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))

#: λ and μ of the neo-Hookean blocks (J. Bonet's W = μ/2 (tr C - 3) - μ ln J + λ/2 ln² J), and how far they are pulled.
RUBBER, PULLED, STEPS = (2.0, 1.0), 0.3, 5

#: Yield stress and hardening modulus (Pa) of the plastic bracket, and its load in multiples of its own weight.
YIELD, HARDENING, OVERLOAD = 250e6, 2e9, 400.0

#: The name of a problem that asks for the memory of a large one.
LARGE = "cube 100"


class Problem(NamedTuple):
    """What is to be solved.

    Attributes
    ----------
    kind
        ``"linear"``, ``"triquadratic"``, ``"neo-Hookean"`` or ``"plastic"``.
    p : (3, n) float64, t : (8, m)
        Vertices and elements in scikit-fem's order.
    held : (k,)
        Vertices that are held; for triquadratic elements what lies on the same plane as well.
    pulled : (l,)
        Vertices that are moved along the first axis, in neo-Hookean blocks.
    """

    kind: str
    p: np.ndarray
    t: np.ndarray
    held: np.ndarray
    pulled: np.ndarray

    @property
    def mesh(self):
        """The mesh of scikit-fem."""
        return skfem.MeshHex(self.p, self.t)

    @property
    def cells(self):
        """(m, 8): vertices in VTK's order, right-handed, as other programs expect them."""
        return np.ascontiguousarray(self.t[TO_VTK[[4, 5, 6, 7, 0, 1, 2, 3]]].T, dtype=np.int32)


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
