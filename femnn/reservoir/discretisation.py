"""Which meshes, elements and rules a porous body takes."""

import numpy as np
import skfem

from femnn.checks import brief
from femnn.exceptions import FoldedElementError, MeshError, ParameterError
from femnn.geometry.connectivity import PartialMesh
from femnn.geometry.mesh import hexahedra, require_vertices
from femnn.geometry.validity import require_valid
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.gauss import GaussLegendre

# Of the bases, by the degree of the displacements: exact for the quadratic ones of parallelograms and boxes.
_ORDERS = {1: 3, 2: 5}


def elements(mesh, element):
    """Elements of displacements and pressures."""
    quadratic, linear = (
        (skfem.ElementHex2, skfem.ElementHex1) if mesh.dim() == 3 else (skfem.ElementQuad2, skfem.ElementQuad1)
    )
    own = quadratic() if element is None else getattr(element, "elem", element)
    if not isinstance(own, quadratic | linear):
        raise ParameterError(
            f"the displacements have element={brief(element)}; pass skfem.{quadratic.__name__}(), "
            f"skfem.{linear.__name__}() or None"
        )
    return own, linear()


def degree(element):
    """Of displacements: 1 or 2."""
    return 1 if isinstance(element, skfem.ElementHex1 | skfem.ElementQuad1) else 2


def integration_order(element):
    """Of the bases, exact for these displacements in parallelograms and boxes if they are quadratic."""
    return _ORDERS[degree(element)]


def rule_for(element):
    """The rule that stiffness and flow are integrated with by default."""
    return AdaptiveGauss() if isinstance(element, skfem.ElementHex1) else GaussLegendre(3)


def require_sound(mesh):
    """Raise MeshError, or FoldedElementError, unless a mesh is sound."""
    if type(mesh) in (skfem.MeshHex1, PartialMesh):
        require_valid(hexahedra(mesh), "repair the mesh")
        return
    if type(mesh) is not skfem.MeshQuad1:
        raise MeshError(
            f"the mesh is a {type(mesh).__name__}; a porous body takes a skfem.MeshQuad or a skfem.MeshHex with "
            "straight edges"
        )
    if mesh.nelements == 0:
        raise MeshError("the mesh has no cells; check the file or the selection it came from")
    require_vertices(mesh)
    if not np.isfinite(mesh.p).all():
        raise MeshError(f"vertex {np.flatnonzero(~np.isfinite(mesh.p).all(axis=0))[0]} is not finite; repair the mesh")
    _check_unfolded(mesh)


def _check_unfolded(mesh):
    # det J is linear along each axis of a quadrilateral, so its corners tell all
    determinant = mesh.mapping().detDF(mesh.elem.refdom.p)
    folded = np.flatnonzero(~((determinant > 0.0).all(axis=1) | (determinant < 0.0).all(axis=1)))
    if len(folded):
        values = determinant[folded[0]]
        raise FoldedElementError(
            f"element {folded[0]} is folded or degenerate: its det J goes from {values.min():.4g} to "
            f"{values.max():.4g}, one of {len(folded)} such elements; repair the mesh",
            folded,
        )
