"""An elastic cube whose displacement is prescribed to be a sum of waves: how fast a rule lets the error fall."""

from typing import NamedTuple

import numpy as np
import skfem

import femnn
from femnn.geometry import mirrored_cube, shape_functions, shape_gradients
from femnn.integration import lame_parameters, tensor_gauss

_SEED = 3
_CHUNK = 2048

# Six digits of the stiffness at the distortions of the benchmark.
_EXACT = femnn.GaussLegendre(6)

#: Amplitudes, wave numbers and phases of u(x) = Σ a sin(k · x + φ).
_AMPLITUDES = np.array([[1.0, 0.4, -0.3], [-0.5, 0.8, 0.6], [0.2, -0.3, 0.7]])
_WAVES = np.array([[2.0, 1.0, -1.0], [-1.0, 2.5, 1.5], [1.5, -2.0, 2.0]])
_PHASES = np.array([0.3, 1.1, 2.0])


def displacement(x):
    """u (3, ...) at points x (3, ...)."""
    return np.einsum("wi,w...->i...", _AMPLITUDES, np.sin(_angles(x)))


def gradient(x):
    """∂u_i/∂x_j (3, 3, ...) at points x (3, ...)."""
    return np.einsum("wi,wj,w...->ij...", _AMPLITUDES, _WAVES, np.cos(_angles(x)))


def body_force(x, lame, shear):
    """-div σ (3, ...) at points x (3, ...)."""
    along = (lame + shear) * np.einsum("wi,wi,wj->wj", _AMPLITUDES, _WAVES, _WAVES)
    vectors = along + shear * (_WAVES**2).sum(axis=1, keepdims=True) * _AMPLITUDES
    return np.einsum("wi,w...->i...", vectors, np.sin(_angles(x)))


class Errors(NamedTuple):
    """Relative errors of one solution.

    Attributes
    ----------
    l2, h1
        Of the displacement and of its gradient, in the mean square over the volume.
    added
        Of the displacement from that with exact integration on the same mesh, in the mean square over the vertices.
    """

    l2: float
    h1: float
    added: float


def errors(n, assembles, distortion, poisson=0.3):
    """Errors on ``mirrored_cube(n, distortion)`` for each assembly; None where there is no solution.

    ``assembles`` are functions of a mesh and Young's modulus, as of :class:`candidates.Candidate`; the load is
    integrated alike for all of them.
    """
    mesh = mirrored_cube(n, distortion, _SEED)
    lame, shear = lame_parameters(1.0, poisson)
    force = femnn.assemble_body_force(mesh, _EXACT, lambda x: body_force(x, lame, shear))
    surface = np.unique(mesh.facets[:, mesh.boundary_facets()])
    fixed = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs[:, surface].ravel()
    values, pattern = displacement(mesh.p[:, surface]).ravel(), femnn.Pattern.of(mesh)

    def solve(stiffness):
        return femnn.solve(stiffness, force, fixed, values, points=mesh, method="pyamg", rtol=1e-9).x.reshape(-1, 3)

    exact, found = solve(femnn.assemble_elasticity(mesh, _EXACT, 1.0, poisson, pattern=pattern)), []
    for assemble in assembles:
        try:
            u = solve(assemble(mesh, 1.0, pattern=pattern))
        except femnn.FemnnError:
            found.append(None)
        else:
            found.append(Errors(*_norms(mesh, u), float(np.linalg.norm(u - exact) / np.linalg.norm(exact))))
    return found


def rates(sizes, values):
    """Rates of convergence between successive meshes of ``sizes`` elements a side."""
    return -np.diff(np.log(values)) / np.diff(np.log(sizes))


def _norms(mesh, u):
    """Errors of the displacement (n_vertices, 3) and of its gradient, relative, both by 4×4×4 points."""
    points, weights = tensor_gauss(4, 4, 4)
    functions, slopes = shape_functions(points), shape_gradients(points)
    hexahedra, nodal = femnn.hexahedra(mesh), u[mesh.t.T]
    sums = np.zeros((2, 2))
    for start in range(0, len(hexahedra), _CHUNK):
        x, own = hexahedra[start : start + _CHUNK], nodal[start : start + _CHUNK]
        jacobians = np.einsum("akq,eai->eqik", slopes, x)
        volumes = np.abs(np.linalg.det(jacobians)) * weights
        places = np.einsum("aq,eai->ieq", functions, x)
        found = np.einsum("aq,eai->ieq", functions, own)
        reference = np.einsum("akq,eai->eqik", slopes, own)
        found_gradient = np.moveaxis(reference @ np.linalg.inv(jacobians), (2, 3), (0, 1))
        for row, (here, exact) in enumerate([(found, displacement(places)), (found_gradient, gradient(places))]):
            sums[row] += [np.sum((here - exact) ** 2 * volumes), np.sum(exact**2 * volumes)]
    return tuple(float(value) for value in np.sqrt(sums[:, 0] / sums[:, 1]))


def _angles(x):
    return np.tensordot(_WAVES, x, 1) + _PHASES.reshape(-1, *[1] * (np.ndim(x) - 1))
