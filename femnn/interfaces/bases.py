"""Cohesive interfaces with scikit-fem's facet bases: any element.

The two sides are two facet bases on one numbering of the degrees of freedom. scikit-fem places the integration points
by each facet's own vertex order, so that those of the two sides do not coincide; here the plus side takes the points of
the minus side, and both know them in their cells without rounding, so that the same mesh gives the same bits.

Where the two sides of every pair have the same shape functions, as all elements with values at nodes have, forces and
stiffness come from the kernels of :class:`femnn.interfaces.jumps.Jumps`; elsewhere from scikit-fem's forms.
"""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from skfem.element import ElementH1
from skfem.helpers import ddot, dot

from femnn.checks import instance, shaped
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.interfaces.elements import InterfaceElements, checked_quadrature, facet_gauss, facet_shapes
from femnn.interfaces.jumps import Jumps
from femnn.interfaces.split import Interface

# Differences of shape functions below this are rounding.
_SAME = 1e-9


@skfem.LinearForm
def cohesive_force(v_minus, v_plus, w):
    """∫ t·[v]; field ``traction`` (dim, n, nqp) in global directions."""
    return dot(w["traction"], v_plus - v_minus)


@skfem.BilinearForm
def cohesive_stiffness(u_minus, u_plus, v_minus, v_plus, w):
    """∫ [v]·D [u]; field ``tangent`` (dim, dim, n, nqp) in global directions."""
    jump, test = u_plus - u_minus, v_plus - v_minus
    return ddot(w["tangent"], np.einsum("i...,j...->ij...", test, jump))


class InterfaceBases:
    """A pair of facet bases on an :class:`femnn.Interface`.

    Parameters
    ----------
    interface
        The pairs of faces.
    element
        Any vectorial element for the cells of the mesh.
    quadrature
        As :class:`femnn.interfaces.elements.InterfaceElements` takes it.
    dofs
        ``basis.dofs`` of the cells' basis, to share its numbering; default: that of a new basis.

    Attributes
    ----------
    minus, plus : skfem.FacetBasis
    x : (n, nqp, dim), dx : (n, nqp)
        Integration points, in the order of the facets' vertices, and the area that belongs to each.
    both : skfem.CompositeBasis
        For forms ``(u_minus, u_plus, v_minus, v_plus, w)``.
    fused : Jumps or None
        What gives forces and stiffness; None where the sides have different shape functions.

    Notes
    -----
    The default of two points per axis integrates what quadratic elements transmit through a joint with fewer points
    than a side has nodes; ``femnn.interfaces.facet_gauss(3, 3)`` resists every jump of ``ElementHex2``.

    Examples
    --------
    >>> import femnn
    >>> mesh = skfem.MeshHex().refined(1).with_boundaries({"joint": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> interface = femnn.Interface.split(mesh, "joint")
    >>> bases = InterfaceBases(interface, skfem.ElementVector(skfem.ElementHex2()))
    >>> K = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(3), 1e9, 0.3, element=skfem.ElementHex2())
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> femnn.CohesiveProblem(K, [(bases, law)]).damage()[0].shape
    (4, 4)
    """

    def __init__(
        self,
        interface: Interface,
        element: skfem.Element,
        quadrature: tuple[ArrayLike, ArrayLike] | None = None,
        dofs: Any = None,
    ) -> None:
        mesh = instance("interface", interface, Interface, remedy="femnn.Interface.split(mesh, facets)").mesh
        if getattr(instance("element", element, skfem.Element), "refdom", None) is not mesh.refdom:
            raise ParameterError(f"{type(element).__name__} does not live on the cells of a {type(mesh).__name__}")
        if dofs is not None:
            instance("dofs", dofs, skfem.Dofs, remedy="basis.dofs of the cells' basis, or None")
        quadrature = facet_gauss(mesh.dim()) if quadrature is None else checked_quadrature(quadrature, mesh.dim())
        self.minus, self.plus = (
            skfem.FacetBasis(
                mesh, element, mapping=RelativeMapping(mesh), facets=facets, quadrature=quadrature, dofs=dofs
            )
            for facets in (interface.minus, interface.plus)
        )
        if dofs is None:
            self.plus.dofs = self.minus.dofs
        elements = InterfaceElements(interface, quadrature)
        for basis, vertices in ((self.minus, interface.minus_vertices), (self.plus, interface.plus_vertices)):
            local = _local(mesh, basis.tind, vertices, elements.shapes[0])
            basis.basis = [element.gbasis(basis.mapping, local, j, tind=basis.tind) for j in range(basis.Nbfun)]
        self.both = self.minus @ self.plus
        # (3, dim, n, nqp): the frames do not depend on the element of the displacements
        self.frames = elements.frames.transpose(2, 3, 0, 1)
        self.interface, self.x, self.dx = interface, elements.x, elements.dx
        self.fused = self._fuse(elements)

    @property
    def points(self) -> int:
        """Number of integration points: states of laws have this length."""
        return int(self.dx.size)

    @property
    def ndof(self) -> int:
        """Degrees of freedom of the basis."""
        return self.minus.N

    def separation(self, u: ArrayLike) -> np.ndarray:
        """Separation (points, 3) in the frames, facet by facet."""
        if self.fused is not None:
            return self.fused.separation(u)
        u = shaped("the displacement", u, (self.ndof,))
        jump = np.asarray(self.plus.interpolate(u)) - np.asarray(self.minus.interpolate(u))
        return np.einsum("ji...,i...->...j", self.frames, jump).reshape(-1, 3)

    def force(self, traction: ArrayLike) -> np.ndarray:
        """Internal force of tractions (points, 3)."""
        if self.fused is not None:
            return self.fused.force(traction)
        local = shaped("the traction", traction, (self.points, 3)).reshape(*self.frames.shape[2:], 3)
        return cohesive_force.assemble(self.both, traction=np.einsum("ji...,...j->i...", self.frames, local))

    def stiffness(self, tangent: ArrayLike) -> csr_matrix:
        """Tangent matrix of the tangents (points, 3, 3) of a law."""
        if self.fused is not None:
            return self.fused.stiffness(tangent)
        local = shaped("the tangent", tangent, (self.points, 3, 3)).reshape(*self.frames.shape[2:], 3, 3)
        rotated = np.einsum("ai...,...ab,bj...->ij...", self.frames, local, self.frames)
        return cohesive_stiffness.assemble(self.both, tangent=rotated)

    def _fuse(self, elements):
        """The pairs of facets as :class:`Jumps`, or None if the sides have different shape functions."""
        vector = self.minus.elem
        scalar, dim = getattr(vector, "elem", None), self.interface.mesh.dim()
        if type(vector) is not skfem.ElementVector or vector.dim != dim or not isinstance(scalar, ElementH1):
            return None
        sides = []
        for basis, vertices in (
            (self.minus, self.interface.minus_vertices),
            (self.plus, self.interface.plus_vertices),
        ):
            local = _local(self.interface.mesh, basis.tind, vertices, facet_shapes(_probes(dim))[0])
            values = _values(scalar, basis, local)
            # only functions of nodes on the facet do not vanish there
            on_facet = np.abs(values).max(axis=2) > _SAME
            counts = on_facet.sum(axis=1)
            if (counts != counts[0]).any():
                return None
            rows = np.arange(len(values))[:, None]
            chosen = np.argsort(~on_facet, axis=1, kind="stable")[:, : counts[0]]
            # a fixed combination of the values tells functions apart; the two sides are then in one order
            key = values[rows, chosen] @ np.cos(1.0 + np.arange(values.shape[2]) ** 2)
            chosen = chosen[rows, np.argsort(key, axis=1)]
            dofs = basis.element_dofs.T[rows[:, :, None], dim * chosen[:, :, None] + np.arange(dim)]
            sides.append((chosen, values[rows, chosen], dofs.reshape(len(dofs), -1)))
        (chosen, minus, dofs), (_, plus, others) = sides
        if minus.shape != plus.shape or np.abs(minus - plus).max() > _SAME:
            return None
        jumps = Jumps()
        local = _local(self.interface.mesh, self.minus.tind, self.interface.minus_vertices, elements.shapes[0])
        at_points = _values(scalar, self.minus, local)[np.arange(len(chosen))[:, None], chosen]
        jumps.shapes = np.ascontiguousarray(at_points.transpose(0, 2, 1))
        jumps.frames, jumps.dx = elements.frames, elements.dx
        jumps.dofs, jumps.ndof = np.concatenate([dofs, others], axis=1), self.ndof
        return jumps


def _probes(dim):
    """Points (dim - 1, n) in a facet without any symmetry, which tell all shape functions of low order apart."""
    axis = np.array([0.03, 0.21, 0.38, 0.57, 0.83, 0.94])
    return axis[None] if dim == 2 else np.stack(np.meshgrid(axis, 1.0 - axis**1.1, indexing="ij")).reshape(2, -1)


def _values(scalar, basis, local):
    """Scalar shape functions (n, k, nqp) of the cells of a facet basis at ``local`` points (dim, n, nqp)."""
    n = basis.Nbfun // basis.mesh.dim()
    functions = [scalar.gbasis(basis.mapping, local, a, tind=basis.tind)[0] for a in range(n)]
    return np.stack([np.broadcast_to(np.asarray(f), local.shape[1:]) for f in functions], axis=1)


def _local(mesh, cells, vertices, shapes):
    """Points (dim, n, nqp) in the reference cells: those of facets with ``vertices`` (n, k) of the cells (n,)."""
    corners = (mesh.t[:, cells].T[:, None, :] == vertices[:, :, None]).argmax(axis=2)
    return np.einsum("qa,nad->dnq", shapes, mesh.elem.doflocs[corners])
