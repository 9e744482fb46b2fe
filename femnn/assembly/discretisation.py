"""A mesh, an element and a rule made ready for the fused kernels, with the checks that all of them share."""

from dataclasses import dataclass, replace

import numpy as np
import skfem

from femnn.assembly.groups import check_rule, groups_of
from femnn.assembly.pattern import NODAL, Pattern
from femnn.assembly.points import Points
from femnn.assembly.tabulated_points import TabulatedPoints
from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.geometry.cells import HEXAHEDRON, cells, kind_of_array, kind_of_mesh
from femnn.geometry.hexahedron import shape_functions
from femnn.geometry.mesh import require_hexahedra

# Elements that have closed formulas on straight hexahedra.
_CLOSED = (skfem.ElementHex1, skfem.ElementHex2)


@dataclass(frozen=True, eq=False, repr=False)
class Discretisation:
    """Arrays that the kernels read.

    Attributes
    ----------
    hexahedra : (n, 8, 3), or (n, nodes, dim) of other cells
    groups : list of CellGroup
        Points and weights of the rule.
    points : Points or TabulatedPoints
        The same, as the kernels read them: with closed formulas for straight hexahedra with trilinear or triquadratic
        shape functions, with tables for all others.
    pattern : Pattern
    element : skfem.Element
        Scalar.
    """

    hexahedra: np.ndarray
    groups: list
    points: Points | TabulatedPoints
    pattern: Pattern
    element: skfem.Element

    @classmethod
    def of(cls, mesh, rule, element=None, on_folded="raise", pattern=None):
        """Check the arguments of an assembly and prepare it; they are those of :func:`femnn.assemble_elasticity`."""
        check_rule(rule)
        x = cells(mesh)
        element = scalar_element(element, mesh)
        groups = groups_of(rule.for_element(element), x, on_folded)
        if pattern is None:
            pattern = Pattern.of(mesh, element)
        elif isinstance(pattern, Pattern):
            pattern.require(mesh, element)
        else:
            raise ParameterError(f"pattern is {brief(pattern)}; pass Pattern.of(mesh, element), or None")
        kind = kind_of_array(x)
        if kind is HEXAHEDRON and isinstance(element, _CLOSED):
            return cls(x, groups, Points.of(groups, len(x)), pattern, element)
        return cls(x, groups, TabulatedPoints.of(groups, len(x), kind, element), pattern, element)

    def with_groups(self, groups):
        """The same with other groups of cells, points and weights."""
        n = len(self.hexahedra)
        points = Points.of(groups, n)
        if self.is_tabulated:
            points = TabulatedPoints.of(groups, n, kind_of_array(self.hexahedra), self.element)
        return replace(self, groups=groups, points=points)

    def __repr__(self):
        return f"Discretisation({self.pattern!r}, {self.points.total} points)"

    @property
    def dim(self):
        """Number of dimensions, 2 or 3."""
        return self.hexahedra.shape[2]

    @property
    def is_tabulated(self):
        """Whether the shape functions are tabulated at the points."""
        return isinstance(self.points, TabulatedPoints)

    def locations(self):
        """Physical points of each group, list of (dim, m, nqp)."""
        return [_physical_points(self.hexahedra[group.cells], group.X) for group in self.groups]


def scalar_element(element, mesh=None):
    """The scalar element of a user's choice, whether vector-valued or not; None is the linear one of the ``mesh``."""
    if mesh is not None:
        kind_of_mesh(mesh)
    if element is None:
        return skfem.ElementHex1() if mesh is None or mesh.dim() == 3 else skfem.ElementQuad1()
    scalar = element.elem if isinstance(element, skfem.ElementVector) else element
    if not isinstance(scalar, NODAL) or (mesh is not None and scalar.refdom is not mesh.refdom):
        refdom = skfem.refdom.RefHex if mesh is None else mesh.refdom
        *names, last = (kind.__name__ for kind in NODAL if kind.refdom is refdom)
        raise ParameterError(
            f"fused assembly knows {', '.join(names)} and {last} on {refdom.name.lower()} cells, not "
            f"{type(scalar).__name__}; pass one of them, or assemble a scikit-fem form over femnn.bases"
        )
    return scalar


def require_closed(mesh, element, what):
    """Raise an error unless these are straight hexahedra with trilinear or triquadratic shape functions."""
    require_hexahedra(mesh)
    scalar = scalar_element(element, mesh)
    if not isinstance(scalar, _CLOSED):
        raise ParameterError(f"{what} knows ElementHex1 and ElementHex2, not {type(scalar).__name__}; pass one of them")


def degree(element):
    """Polynomial degree of the shape functions along one axis."""
    return 1 if isinstance(element, skfem.ElementHex1 | skfem.ElementQuad1) else 2


def dofs_of_boundaries(mesh, element):
    """Degrees of freedom (k,) of every named boundary, for a vector of a scalar ``element``."""
    dofs = skfem.Dofs(mesh, skfem.ElementVector(element))
    return {name: dofs.get_facet_dofs(np.asarray(facets)).all() for name, facets in (mesh.boundaries or {}).items()}


def _physical_points(x, points):
    kind = kind_of_array(x)
    if kind is HEXAHEDRON:
        values = shape_functions(points)
    else:
        values = kind.shapes(points.reshape(kind.dim, -1)).reshape(-1, *points.shape[1:])
    return np.einsum("aq,eai->ieq" if points.ndim == 2 else "aeq,eai->ieq", values, x)
