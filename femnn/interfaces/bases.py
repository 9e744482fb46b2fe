"""Cohesive interfaces with scikit-fem's facet bases and forms: any element, the numbers of the fused path.

The two sides are two facet bases on one numbering of the degrees of freedom. scikit-fem places the integration points
by each facet's own vertex order, so that those of the two sides do not coincide; here the plus side takes the points of
the minus side, and both know them in their cells without rounding, so that the same mesh gives the same bits.
"""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from skfem.helpers import ddot, dot

from femnn.checks import instance, shaped
from femnn.exceptions import ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.interfaces.elements import InterfaceElements, checked_quadrature, facet_gauss
from femnn.interfaces.split import Interface


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
    both : skfem.CompositeBasis
        For forms ``(u_minus, u_plus, v_minus, v_plus, w)``.
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
            local = _local(mesh, basis.tind, vertices, elements.shapes)
            basis.basis = [element.gbasis(basis.mapping, local, j, tind=basis.tind) for j in range(basis.Nbfun)]
        self.both = self.minus @ self.plus
        # (3, dim, n, nqp): the frames do not depend on the element of the displacements
        self.frames = elements.frames.transpose(2, 3, 0, 1)

    @property
    def points(self) -> int:
        """Number of integration points: states of laws have this length."""
        return self.dx.size

    @property
    def ndof(self) -> int:
        """Degrees of freedom of the basis."""
        return self.minus.N

    @property
    def dx(self) -> np.ndarray:
        """Area that belongs to each point, (n, nqp)."""
        return self.minus.dx

    def separation(self, u: ArrayLike) -> np.ndarray:
        """Separation (points, 3) in the frames, facet by facet."""
        u = shaped("the displacement", u, (self.minus.N,))
        jump = np.asarray(self.plus.interpolate(u)) - np.asarray(self.minus.interpolate(u))
        return np.einsum("ji...,i...->...j", self.frames, jump).reshape(-1, 3)

    def force(self, traction: ArrayLike) -> np.ndarray:
        """Internal force of tractions (points, 3)."""
        local = shaped("the traction", traction, (self.points, 3)).reshape(*self.frames.shape[2:], 3)
        return cohesive_force.assemble(self.both, traction=np.einsum("ji...,...j->i...", self.frames, local))

    def stiffness(self, tangent: ArrayLike) -> csr_matrix:
        """Tangent matrix of the tangents (points, 3, 3) of a law."""
        local = shaped("the tangent", tangent, (self.points, 3, 3)).reshape(*self.frames.shape[2:], 3, 3)
        rotated = np.einsum("ai...,...ab,bj...->ij...", self.frames, local, self.frames)
        return cohesive_stiffness.assemble(self.both, tangent=rotated)


def _local(mesh, cells, vertices, shapes):
    """Points (dim, n, nqp) in the reference cells: those of facets with ``vertices`` (n, k) of the cells (n,)."""
    corners = (mesh.t[:, cells].T[:, None, :] == vertices[:, :, None]).argmax(axis=2)
    return np.einsum("qa,nad->dnq", shapes, mesh.elem.doflocs[corners])
