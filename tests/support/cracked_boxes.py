"""Boxes with named planes to split, straight and bent, and a law for what was split."""

import numpy as np
import skfem

import femnn
from support.properties import rotation

LAW = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.4)


def box(dim, cells=4):
    """The unit cube or square with its planes x = 1/2, y = 1/2, ..., and the half of the first where y < 1/2."""
    axis = np.linspace(0.0, 1.0, cells + 1)
    kind = {2: skfem.MeshQuad, 3: skfem.MeshHex}[dim]
    mesh = kind.init_tensor(*[axis] * dim)
    planes = {f"x{i}": lambda x, i=i: np.isclose(x[i], 0.5) for i in range(dim)}
    planes["crack"] = lambda x: np.isclose(x[0], 0.5) & (x[1] < 0.5)
    planes["end"] = lambda x: np.isclose(x[0], 1.0)
    mesh = mesh.with_boundaries(planes, boundaries_only=False)
    return mesh.with_subdomains({"left": lambda x: x[0] < 0.5})


def bent(mesh):
    """Distorted and turned, so that no facet lies in a coordinate plane."""
    x = mesh.p.copy()
    x += 0.06 * np.sin(3.0 * x[::-1] + np.arange(len(x))[:, None])
    turn = rotation(4)[: len(x), : len(x)]
    return type(mesh)(np.linalg.qr(turn)[0] @ x, mesh.t, _boundaries=mesh.boundaries)
