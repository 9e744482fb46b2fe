"""What holds a body besides fixed degrees of freedom, to be added to it: springs, elastic beds, rigid planes.

>>> import skfem, femnn
>>> mesh = skfem.MeshHex().with_boundaries({"floor": lambda x: x[2] == 0.0})
>>> body = femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.LinearElastic(1e6, 0.3))
>>> body + Bedding(mesh, "floor", normal=1e7)
Solid + Bedding
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.discretisation import degree, scalar_element
from femnn.checks import brief, called, checked, indices, number, shaped, vector
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import RelativeMapping, require_hexahedra
from femnn.solvers.nonlinear.load_path import NonlinearProblem

_LEAST_LENGTH = 1e-12


class _Linear(NonlinearProblem):
    """A constant matrix."""

    def __init__(self, mesh, matrix):
        self.points, self.matrix, self.n_dofs = mesh, matrix, matrix.shape[0]

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Force (n_dofs,) and stiffness."""
        return self.internal_force(u), self.matrix

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """Force (n_dofs,)."""
        return self.matrix @ vector(u, self.n_dofs, "the displacement")


class Springs(_Linear):
    """Linear springs between vertices, or between vertices and the ground.

    Parameters
    ----------
    mesh
        That of the body, a ``skfem.MeshHex``; trilinear elements.
    vertices
        Where the springs begin (k,).
    stiffness
        Of each spring (N/m): a number for the same in all directions, (3,) along the axes, or a matrix (3, 3).
    to
        Vertices (k,) where they end; None for the ground.

    Raises
    ------
    MeshError, ParameterError

    Examples
    --------
    >>> mesh = skfem.MeshHex()
    >>> force, _ = Springs(mesh, [0], 100.0, to=[7]).residual_and_tangent(np.arange(24.0) * 1e-3)
    >>> force[:3].round(12), force[-3:].round(12)
    (array([-2.1, -2.1, -2.1]), array([2.1, 2.1, 2.1]))
    """

    @checked(stiffness="| 3 | 3 3")
    def __init__(
        self, mesh: skfem.Mesh, vertices: ArrayLike, stiffness: ArrayLike, *, to: ArrayLike | None = None
    ) -> None:
        require_hexahedra(mesh)
        n = mesh.p.shape[1]
        first = np.atleast_1d(indices("vertices", vertices, n))
        second = first if to is None else np.atleast_1d(indices("to", to, n))
        if first.ndim != 1 or first.shape != second.shape or not first.size:
            raise ParameterError(f"springs go from {first.shape} to {second.shape} vertices; pass lists of one length")
        own = np.asarray(stiffness, dtype=float)
        own = own * np.eye(3) if own.ndim == 0 else np.diag(own) if own.ndim == 1 else own
        if np.abs(own - own.T).max() > 1e-12 * np.abs(own).max() or np.linalg.eigvalsh(own).min() < 0.0:
            raise ParameterError(f"stiffness={brief(stiffness)} is no spring: it must be symmetric and not negative")
        ends = [(first, first, 1.0)]
        if to is not None:
            ends += [(second, second, 1.0), (first, second, -1.0), (second, first, -1.0)]
        rows = np.concatenate([_dofs(a)[:, :, None] + 0 * _dofs(b)[:, None, :] for a, b, _ in ends])
        columns = np.concatenate([0 * _dofs(a)[:, :, None] + _dofs(b)[:, None, :] for a, b, _ in ends])
        values = np.concatenate([np.broadcast_to(sign * own, (len(a), 3, 3)) for a, _, sign in ends])
        super().__init__(mesh, csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * n, 3 * n)))


class _Facets:
    """Shape functions, areas and places at the points of a named boundary, and the sparse matrices over it."""

    def __init__(self, mesh, boundary, element):
        require_hexahedra(mesh)
        names = mesh.boundaries or {}
        if not isinstance(boundary, str) or boundary not in names:
            known = ", ".join(map(repr, sorted(names))) or "none"
            raise ParameterError(
                f"the mesh has no boundary {brief(boundary)}; there are: {known}. mesh.with_boundaries(...) names more"
            )
        scalar = scalar_element(element)
        basis = skfem.FacetBasis(
            mesh,
            scalar,
            facets=np.asarray(names[boundary]),
            intorder=2 * degree(scalar) + 1,
            mapping=RelativeMapping(mesh),
        )
        self.n_dofs, self.dx = 3 * basis.N, np.asarray(basis.dx)
        self.x = np.moveaxis(np.asarray(basis.global_coordinates()), 0, -1)
        self.normals = np.moveaxis(np.asarray(basis.normals), 0, -1)
        self.shapes = np.stack([np.broadcast_to(np.asarray(own[0]), self.dx.shape) for own in basis.basis])
        self.dofs = _dofs(np.asarray(basis.element_dofs).T)
        keys = self.dofs.reshape(len(self.dofs), -1)
        pairs = (self.n_dofs * keys[:, :, None].astype(np.int64) + keys[:, None, :]).ravel()
        unique, self._places = np.unique(pairs, return_inverse=True)
        self._indices = (unique % self.n_dofs).astype(np.int32)
        self._indptr = np.searchsorted(unique, np.arange(self.n_dofs + 1) * self.n_dofs).astype(np.int32)

    def values(self, u):
        """A field (facets, nqp, 3) of nodal values."""
        return np.einsum("aeq,eai->eqi", self.shapes, u[self.dofs])

    def force(self, traction):
        """∫ N_a t_i (n_dofs,) of tractions (facets, nqp, 3)."""
        local = np.einsum("aeq,eqi,eq->eai", self.shapes, traction, self.dx)
        return np.bincount(self.dofs.ravel(), local.ravel(), minlength=self.n_dofs)

    def matrix(self, slopes):
        """∫ N_a ∂t_i/∂u_j N_b of slopes (facets, nqp, 3, 3); the pattern is always the same."""
        local = np.einsum("aeq,eqij,beq,eq->eaibj", self.shapes, slopes, self.shapes, self.dx, optimize=True)
        data = np.bincount(self._places, local.ravel(), minlength=len(self._indices))
        return csr_matrix((data, self._indices, self._indptr), shape=(self.n_dofs, self.n_dofs))


class Bedding(_Linear):
    """An elastic bed under a boundary: springs that are spread over its area (E. Winkler).

    Parameters
    ----------
    mesh, element
        Those of the body.
    boundary
        Name of a boundary.
    normal, tangential
        Stiffness per area (Pa/m) against motion along the normal and along the boundary.

    Raises
    ------
    MeshError, ParameterError

    Examples
    --------
    >>> mesh = skfem.MeshHex().with_boundaries({"floor": lambda x: x[2] == 0.0})
    >>> force, _ = Bedding(mesh, "floor", normal=1e6).residual_and_tangent(np.full(24, 1e-3))
    >>> force.reshape(-1, 3).sum(axis=0).round(9) + 0.0
    array([   0.,    0., 1000.])
    """

    @checked(normal="[0, inf)", tangential="[0, inf)")
    def __init__(
        self,
        mesh: skfem.Mesh,
        boundary: str,
        normal: float,
        tangential: float = 0.0,
        *,
        element: skfem.Element | None = None,
    ) -> None:
        facets = _Facets(mesh, boundary, element)
        along = np.einsum("eqi,eqj->eqij", facets.normals, facets.normals)
        super().__init__(mesh, facets.matrix(normal * along + tangential * (np.eye(3) - along)))


class RigidPlane(NonlinearProblem):
    """A rigid plane without friction that a boundary must not pass, by a penalty.

    Where the boundary is beyond the plane by the depth d, it is pushed back with the pressure ``penalty`` · d. The
    penalty bounds the penetration: at a pressure p it is p/penalty. Some ten to a hundred times Young's modulus over
    the size of the cells is stiff enough, and keeps Newton's method going.

    Parameters
    ----------
    mesh, element
        Those of the body.
    boundary
        Name of the boundary that may come into contact.
    point, normal
        A point (3,) of the plane, and its normal (3,) towards the body.
    penalty
        Pressure over depth (Pa/m), of the undeformed area.
    motion
        Displacement (3,) of the plane at the t of the solver, a function; None for a plane at rest.

    Attributes
    ----------
    t
        That of the last :meth:`set_time`.

    Raises
    ------
    MeshError, ParameterError

    Examples
    --------
    >>> mesh = skfem.MeshHex().with_boundaries({"floor": lambda x: x[2] == 0.0})
    >>> plane = RigidPlane(mesh, "floor", point=(0, 0, 0), normal=(0, 0, 1), penalty=1e6)
    >>> force = plane.internal_force(np.tile([0.0, 0.0, -1e-3], 8))
    >>> force.reshape(-1, 3).sum(axis=0).round(9) + 0.0
    array([    0.,     0., -1000.])
    """

    @checked(point="3", normal="3", penalty="(0, inf)", motion="unchecked")
    def __init__(
        self,
        mesh: skfem.Mesh,
        boundary: str,
        point: ArrayLike,
        normal: ArrayLike,
        penalty: float,
        *,
        motion: Callable[[float], ArrayLike] | None = None,
        element: skfem.Element | None = None,
    ) -> None:
        self._facets = _Facets(mesh, boundary, element)
        n, length = np.asarray(normal, dtype=float), float(np.linalg.norm(np.asarray(normal, dtype=float)))
        if not length > _LEAST_LENGTH:
            raise ParameterError(f"normal={brief(normal)} has no direction; pass a vector that points to the body")
        if motion is not None and not callable(motion):
            raise ParameterError(f"motion={brief(motion)} is no function of t; pass one that gives (3,)")
        self.points, self.n_dofs, self.penalty, self.t = mesh, self._facets.n_dofs, penalty, 0.0
        self._normal, self._motion = n / length, motion
        self._start = (self._facets.x - np.asarray(point, dtype=float)) @ self._normal
        self._moved = 0.0
        self.set_time(0.0)

    def set_time(self, t: float) -> None:
        """Move the plane to where it is at t."""
        self.t = number("t", t)
        if self._motion is not None:
            moved = called("motion", self._motion, self.t)
            self._moved = float(shaped("the motion of the plane", moved, (3,)) @ self._normal)

    @property
    def depends_on_time(self) -> bool:
        """Whether the plane moves."""
        return self._motion is not None

    def pressure(self, u: ArrayLike) -> np.ndarray:
        """Contact pressure (facets, nqp) (Pa) at displacement ``u``, 0 where the boundary is free."""
        u = vector(u, self.n_dofs, "the displacement")
        gap = self._start - self._moved + self._facets.values(u) @ self._normal
        return self.penalty * np.maximum(-gap, 0.0)

    def resultant(self, u: ArrayLike) -> float:
        """Force (N) with which plane and body press on each other."""
        return float((self.pressure(u) * self._facets.dx).sum())

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """Force (n_dofs,) that the body exerts on the plane."""
        return self._facets.force(-self.pressure(u)[..., None] * self._normal)

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Force (n_dofs,) and its derivative at displacement ``u``."""
        pressure = self.pressure(u)
        slopes = np.where(pressure > 0.0, self.penalty, 0.0)[..., None, None] * np.outer(self._normal, self._normal)
        return self._facets.force(-pressure[..., None] * self._normal), self._facets.matrix(slopes)


def _dofs(nodes: Any) -> np.ndarray:
    """Degrees of freedom (..., 3) of nodes (...)."""
    return 3 * np.asarray(nodes)[..., None] + np.arange(3)
