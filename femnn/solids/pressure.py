"""Pressure that stays normal to a boundary and grows with its area, as a body deforms: of gas or of fluid."""

from collections.abc import Callable
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.discretisation import degree, scalar_element
from femnn.checks import brief, called, checked, number, vector
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import require_hexahedra
from femnn.integration.gauss import gauss_legendre
from femnn.solvers.nonlinear.load_path import NonlinearProblem

# Shape functions of nodes that are not on a facet are below this there.
_ZERO = 1e-12


class FollowerPressure(NonlinearProblem):
    """The forces of a pressure on the deformed boundary, to be added to a body: ``body + FollowerPressure(...)``.

    With the deformed place x(ξ, η) of a facet the force on node a is -p ∫ N_a (x,ξ × x,η) dξ dη; as part of a problem
    it counts as an internal force with the other sign. Its derivative, the load stiffness, is unsymmetric facet by
    facet, and symmetric as a whole where the boundary is closed, or its rim is held or slides in planes of symmetry
    (K. Schweizerhof, E. Ramm, Comput. Struct. 18 (1984) 1099-1114).

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with named boundaries, that of the body.
    boundary
        Name of a boundary.
    pressure
        Pa, positive against the body. A number is multiplied by the t of :func:`femnn.newton` or the λ of
        :func:`femnn.arc_length`; a function gives the pressure at t.
    element
        ``skfem.ElementHex1()`` (None) or ``skfem.ElementHex2()``, that of the body.
    symmetric
        Give the symmetric part of the load stiffness, with which solvers for symmetric matrices serve. It is the whole
        where the boundary is closed or ends in held or symmetry planes; elsewhere Newton's method takes more
        iterations to the same state.

    Attributes
    ----------
    t : float
        Where :meth:`set_time` left it; 1 at first.

    Raises
    ------
    MeshError, ParameterError

    Examples
    --------
    >>> mesh = skfem.MeshHex().with_boundaries({"top": lambda x: x[2] == 1.0})
    >>> pressure = FollowerPressure(mesh, "top", 2e6)
    >>> force, tangent = pressure.residual_and_tangent(np.zeros(24))
    >>> float(force.reshape(-1, 3).sum(axis=0)[2].round(3))
    2000000.0

    See Also
    --------
    femnn.Loads.pressure : pressure that stays as it is when the body moves
    """

    @checked(pressure="unchecked")
    def __init__(
        self,
        mesh: skfem.Mesh,
        boundary: str,
        pressure: float | Callable[[float], float],
        element: skfem.Element | None = None,
        *,
        symmetric: bool = False,
    ) -> None:
        require_hexahedra(mesh)
        names = mesh.boundaries or {}
        if boundary not in names:
            known = ", ".join(map(repr, sorted(names))) or "none"
            raise ParameterError(
                f"the mesh has no boundary {brief(boundary)}; there are: {known}. mesh.with_boundaries(...) names more"
            )
        if not callable(pressure):
            pressure = number("pressure", pressure)
        self.points, self.symmetric, self.t, self._pressure = mesh, symmetric, 1.0, pressure
        facets = np.asarray(names[boundary])
        if not len(facets):
            raise ParameterError(f"the boundary {boundary!r} has no facets, nothing can be pressed there")
        inner = facets[mesh.f2t[1, facets] != -1]
        if len(inner):
            raise ParameterError(
                f"facet {inner[0]} of boundary {boundary!r} lies between two cells, and has no outside to press on"
            )
        self._tabulate(mesh, facets, scalar_element(element))

    def _tabulate(self, mesh, facets, scalar):
        """Shape functions and their slopes along the facets at the points of each, and where the entries go."""
        dofs = skfem.Dofs(mesh, scalar)
        cells = mesh.f2t[0, facets]
        vertices = mesh.facets[:, facets].T
        local = (mesh.t[:, cells].T[:, None, :] == vertices[:, :, None]).argmax(axis=2)
        corners = mesh.elem.doflocs[local]  # (n, 4, 3) in the reference cell, around the facet
        axis, weights = gauss_legendre(degree(scalar) + 1)
        a, b = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
        self._weights = np.outer(weights, weights).ravel()
        values = np.stack([(1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b])
        slopes = np.stack([np.stack([b - 1, 1 - b, b, -b]), np.stack([a - 1, -a, a, 1 - a])])
        place = np.einsum("aq,fai->ifq", values, corners)
        along = np.einsum("daq,fai->difq", slopes, corners)
        shapes, gradients = zip(*(scalar.lbasis(place, j) for j in range(dofs.element_dofs.shape[0])), strict=True)
        shape = np.stack([np.broadcast_to(own, place.shape[1:]) for own in shapes])  # (k, n, nqp)
        slope = np.stack([np.einsum("ifq,difq->dfq", own, along) for own in gradients])  # (k, 2, n, nqp)
        on_facet = np.abs(shape).max(axis=2) > _ZERO  # (k, n)
        order = np.argsort(~on_facet, axis=0, kind="stable")[: on_facet.sum(axis=0).max()]
        self._shape = np.take_along_axis(shape, order[:, :, None], axis=0)
        self._slope = np.take_along_axis(slope, order[:, None, :, None], axis=0)
        nodes = np.take_along_axis(dofs.element_dofs[:, cells], order, axis=0).T  # (n, k)
        self._dofs = 3 * nodes[:, :, None] + np.arange(3)
        # trilinear geometry: nodes of quadratic elements lie where the vertices put them
        basis = skfem.CellBasis(mesh, scalar, intorder=1)
        self._x, self.n_dofs = np.asarray(basis.doflocs).T, 3 * dofs.N
        x = np.einsum("kdfq,fki->dfqi", self._slope, self._x[nodes])
        middle = mesh.p[:, mesh.t[:, cells]].mean(axis=1).T
        centre = mesh.p[:, mesh.facets[:, facets]].mean(axis=1).T
        outwards = np.einsum("fqi,fi->f", np.cross(x[0], x[1]), centre - middle)
        self._side = np.sign(outwards)
        keys = self._dofs.reshape(len(facets), -1)
        pairs = (self.n_dofs * keys[:, :, None].astype(np.int64) + keys[:, None, :]).ravel()
        unique, self._places = np.unique(pairs, return_inverse=True)
        self._indices = (unique % self.n_dofs).astype(np.int32)
        self._indptr = np.searchsorted(unique, np.arange(self.n_dofs + 1, dtype=np.int64) * self.n_dofs).astype(
            np.int32
        )

    @checked()
    def set_time(self, t: float) -> None:
        """The pressure from now on is that of ``t``; solvers call it before they evaluate."""
        self.t = t

    @property
    def pressure(self) -> float:
        """Pressure (Pa) at :attr:`t`."""
        if callable(self._pressure):
            return number("the pressure", called("pressure", self._pressure, self.t))
        return self.t * self._pressure

    def residual_and_tangent(self, u: ArrayLike) -> tuple[np.ndarray, csr_matrix]:
        """Force (n_dofs,) and load stiffness at displacement ``u``."""
        along = self._tangents(u)
        local = np.zeros((len(self._dofs), *2 * self._dofs.shape[1:]))
        factor = self.pressure * self._side[:, None] * self._weights
        # δ(x,ξ × x,η) = -[x,η]× δx,ξ + [x,ξ]× δx,η
        for sign, direction, slope in ((-1.0, along[1], self._slope[:, 0]), (1.0, along[0], self._slope[:, 1])):
            weighted = sign * factor[:, :, None, None] * _cross_matrix(direction)
            local += np.einsum("afq,fqij,bfq->faibj", self._shape, weighted, slope, optimize=True)
        if self.symmetric:
            local = 0.5 * (local + local.transpose(0, 3, 4, 1, 2))
        data = np.bincount(self._places, local.ravel(), minlength=len(self._indices))
        tangent = csr_matrix((data, self._indices, self._indptr), shape=(self.n_dofs, self.n_dofs))
        return self._force(along), tangent

    def internal_force(self, u: ArrayLike) -> np.ndarray:
        """Force (n_dofs,)."""
        return self._force(self._tangents(u))

    def _tangents(self, u):
        """x,ξ and x,η of the deformed boundary, (2, facets, nqp, 3)."""
        x = self._x + vector(u, self.n_dofs, "the displacement").reshape(-1, 3)
        return np.einsum("kdfq,fki->dfqi", self._slope, x[self._dofs[:, :, 0] // 3])

    def _force(self, along):
        area = np.cross(along[0], along[1]) * (self.pressure * self._side[:, None] * self._weights)[:, :, None]
        local = np.einsum("afq,fqi->fai", self._shape, area)
        return np.bincount(self._dofs.ravel(), local.ravel(), minlength=self.n_dofs)

    def __repr__(self) -> str:
        return f"FollowerPressure({self.pressure:g} Pa on {len(self._dofs)} facets)"


def _cross_matrix(a: Any) -> np.ndarray:
    """Matrices (..., 3, 3) that take b to a × b."""
    zero = np.zeros(a.shape[:-1])
    rows = [[zero, -a[..., 2], a[..., 1]], [a[..., 2], zero, -a[..., 0]], [-a[..., 1], a[..., 0], zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
