"""A mesh, an element and a rule made ready for the fused kernels, with the checks that all of them share."""

from dataclasses import dataclass

import numpy as np
import skfem

from femnn.assembly.groups import check_rule, groups_of
from femnn.assembly.pattern import Pattern
from femnn.assembly.points import Points
from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.geometry.hexahedron import shape_functions
from femnn.geometry.mesh import hexahedra


@dataclass(frozen=True, eq=False, repr=False)
class Discretisation:
    """Arrays that the kernels read.

    Attributes
    ----------
    hexahedra : (n, 8, 3)
    groups : list of CellGroup
        Points and weights of the rule.
    points : Points
        The same, as the kernels read them.
    pattern : Pattern
    """

    hexahedra: np.ndarray
    groups: list
    points: Points
    pattern: Pattern

    @classmethod
    def of(cls, mesh, rule, element=None, on_folded="raise", pattern=None):
        """Check the arguments of an assembly and prepare it; they are those of :func:`femnn.assemble_elasticity`."""
        check_rule(rule)
        element = scalar_element(element)
        vertices = hexahedra(mesh)
        groups = groups_of(rule.for_degree(degree(element)), vertices, on_folded)
        if pattern is None:
            pattern = Pattern.of(mesh, element)
        elif isinstance(pattern, Pattern):
            pattern.require(mesh, element)
        else:
            raise ParameterError(f"pattern is {brief(pattern)}; pass Pattern.of(mesh, element), or None")
        return cls(vertices, groups, Points.of(groups, len(vertices)), pattern)

    def __repr__(self):
        return f"Discretisation({self.pattern!r}, {self.points.total} points)"

    def locations(self):
        """Physical points of each group, list of (3, m, nqp)."""
        return [_physical_points(self.hexahedra[group.cells], group.X) for group in self.groups]


def scalar_element(element):
    """The scalar element of a user's choice: trilinear (None) or triquadratic, whether vector-valued or not."""
    if element is None:
        return skfem.ElementHex1()
    scalar = element.elem if isinstance(element, skfem.ElementVector) else element
    if not isinstance(scalar, skfem.ElementHex1 | skfem.ElementHex2):
        raise ParameterError(
            f"fused assembly knows ElementHex1 and ElementHex2, not {type(scalar).__name__}; "
            "pass one of them, or assemble a scikit-fem form over femnn.bases"
        )
    return scalar


def degree(element):
    """Polynomial degree of the shape functions along one axis."""
    return 2 if isinstance(element, skfem.ElementHex2) else 1


def dofs_of_boundaries(mesh, element):
    """Degrees of freedom (k,) of every named boundary, for three components of a scalar ``element``."""
    dofs = skfem.Dofs(mesh, skfem.ElementVector(element))
    return {name: dofs.get_facet_dofs(np.asarray(facets)).all() for name, facets in (mesh.boundaries or {}).items()}


def _physical_points(hexahedra, points):
    values = shape_functions(points)
    return np.einsum("aq,eai->ieq" if points.ndim == 2 else "aeq,eai->ieq", values, hexahedra)
