"""Loads and supports by the names of boundaries: the vectors and degrees of freedom that the solvers take."""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from skfem.helpers import dot

from femnn.assembly.coefficients import Coefficient
from femnn.assembly.discretisation import degree, scalar_element
from femnn.assembly.forces import assemble_body_force
from femnn.checks import checked, integer, number, shaped
from femnn.exceptions import ParameterError
from femnn.geometry.cells import kind_of_mesh
from femnn.geometry.mesh import RelativeMapping
from femnn.quadrature.gauss import GaussLegendre

# How far the normals of a plane boundary may differ from one axis.
_PLANE = 1e-6


class Loads:
    """Forces and supports of a body, gathered call by call; each call returns the object, so that they can be chained.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex``, ``MeshHex2``, ``MeshQuad`` or ``MeshQuad2`` with named boundaries:
        ``mesh.with_boundaries(...)`` or from :func:`femnn.read_mesh`.
    element
        One that :func:`femnn.assemble_elasticity` takes on it; None is the linear one.

    Raises
    ------
    MeshError, ParameterError

    Examples
    --------
    >>> import femnn
    >>> mesh = skfem.MeshHex().refined(1).with_boundaries(
    ...     {"floor": lambda x: x[2] == 0.0, "top": lambda x: x[2] == 1.0}
    ... )
    >>> loads = Loads(mesh).pressure("top", 2e6).fix("floor")
    >>> float(loads.force.reshape(-1, 3).sum(axis=0)[2].round(6))
    -2000000.0
    >>> K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    >>> u = femnn.solve(K, loads.force, loads.fixed, loads.values).x
    """

    @checked()
    def __init__(self, mesh: skfem.Mesh, element: skfem.Element | None = None) -> None:
        kind_of_mesh(mesh)
        self.mesh, self._scalar, self._dim = mesh, scalar_element(element, mesh), int(mesh.dim())
        self._element = skfem.ElementVector(self._scalar)
        self._basis = skfem.CellBasis(mesh, self._element, intorder=1, mapping=RelativeMapping(mesh))
        self._force = np.zeros(self._basis.N)
        self._held: dict[int, float] = {}

    @property
    def force(self) -> np.ndarray:
        """Consistent nodal forces (N,) of all loads, numbered like the degrees of freedom of the element."""
        return self._force.copy()

    @property
    def fixed(self) -> np.ndarray:
        """Degrees of freedom that are held, ascending."""
        return np.array(sorted(self._held), dtype=np.int64)

    @property
    def values(self) -> np.ndarray:
        """Their displacements (m)."""
        return np.array([self._held[dof] for dof in sorted(self._held)])

    @checked(traction="dim")
    def traction(self, boundary: str, traction: ArrayLike) -> "Loads":
        """Force per area (dim,) (Pa) on a boundary."""
        t = self._vector("traction", traction)
        return self._on_facets(boundary, lambda v, w: sum(t[i] * v[i] for i in range(self._dim)))

    @checked()
    def pressure(self, boundary: str, pressure: float) -> "Loads":
        """Pressure (Pa) on a boundary, positive against the body; it stays as it is when the body moves."""
        p = number("pressure", pressure)
        return self._on_facets(boundary, lambda v, w: -p * dot(w.n, v))

    @checked(force="dim")
    def resultant(self, boundary: str, force: ArrayLike) -> "Loads":
        """Force (dim,) (N) that is spread evenly over the area of a boundary."""
        facets = self._facets(boundary)
        basis = skfem.FacetBasis(
            self.mesh,
            scalar_element(None, self.mesh),
            facets=facets,
            intorder=2 * self._geometry + 1,
            mapping=RelativeMapping(self.mesh),
        )
        return self.traction(boundary, self._vector("force", force) / basis.dx.sum())

    def body_force(self, force: Coefficient) -> "Loads":
        """Force per volume (N/m³) as in :func:`femnn.assemble_body_force`, a component for each dimension."""
        rule = GaussLegendre(degree(self._scalar) + self._geometry)
        added = assemble_body_force(self.mesh, rule, force, element=self._scalar)
        self._force += shaped("the body force", added, self._force.shape, f"which needs {self._dim} components")
        return self

    @checked(component="unchecked")
    def displace(self, boundary: str, component: Any, value: float) -> "Loads":
        """Displacement (m) of a boundary in one of its components, 0, 1 or 2, or in several."""
        value, facets = number("value", value), self._facets(boundary)
        components = [integer("component", c, 0, self._dim - 1) for c in np.atleast_1d(component).tolist()]
        dofs = self._basis.get_dofs(facets).all()
        chosen = dofs[np.isin(dofs % self._dim, components)]
        clash = [dof for dof in chosen if self._held.get(int(dof), value) != value]
        if clash:
            raise ParameterError(
                f"boundary {boundary!r} is to move by {value:g}, but degree of freedom {clash[0]} and {len(clash) - 1} "
                f"others of it are already held at {self._held[int(clash[0])]:g}; let one boundary end before the other"
            )
        self._held |= {int(dof): value for dof in chosen}
        return self

    def fix(self, boundary: str) -> "Loads":
        """Hold a boundary in all components."""
        return self.displace(boundary, range(self._dim), 0.0)

    @checked()
    def symmetry(self, boundary: str) -> "Loads":
        """Hold a plane boundary, normal to an axis, in the direction of its normal."""
        axis = _axis(self.mesh, self._facets(boundary), boundary)
        return self.displace(boundary, axis, 0.0)

    def _on_facets(self, boundary, form):
        basis = skfem.FacetBasis(
            self.mesh,
            self._element,
            facets=self._facets(boundary),
            intorder=2 * max(degree(self._scalar), self._geometry) + 1,
            dofs=self._basis.dofs,
            mapping=RelativeMapping(self.mesh),
        )
        self._force += skfem.LinearForm(form).assemble(basis)
        return self

    @property
    def _geometry(self):
        """Degree of the map of the cells along each axis."""
        return kind_of_mesh(self.mesh).degree

    def _vector(self, name, values):
        return shaped(name, values, (self._dim,), "a component for each dimension")

    def _facets(self, boundary):
        return _facets(self.mesh, boundary)

    def __repr__(self) -> str:
        total = self._force.reshape(-1, self._dim).sum(axis=0)
        return f"Loads(resultant {total.tolist()} N, {len(self._held)} degrees of freedom held)"


@checked()
def symmetry_dofs(basis: skfem.CellBasis, boundary: str) -> np.ndarray:
    """Degrees of freedom that a plane of symmetry holds, ascending: for vectorial elements of any order on any mesh.

    Parameters
    ----------
    basis
        Of ``skfem.ElementVector`` of an element with values at nodes, on a mesh with named boundaries.
    boundary
        Name of a plane boundary, normal to an axis.

    Raises
    ------
    ParameterError
        If there is no such boundary, it is not normal to an axis, or the element has no components.

    Examples
    --------
    >>> mesh = skfem.MeshQuad().refined(1).with_boundaries({"left": lambda x: x[0] == 0.0})
    >>> symmetry_dofs(skfem.CellBasis(mesh, skfem.ElementVector(skfem.ElementQuad2())), "left").shape
    (5,)
    """
    axis = _axis(basis.mesh, _facets(basis.mesh, boundary), boundary)
    name = f"u^{axis + 1}"
    if name not in basis.elem.dofnames:
        raise ParameterError(
            f"{type(basis.elem).__name__} has no component {name!r} but {', '.join(sorted(set(basis.elem.dofnames)))}; "
            "pass a basis of skfem.ElementVector"
        )
    return np.sort(basis.get_dofs(_facets(basis.mesh, boundary)).all([name]))


def _facets(mesh, boundary):
    names = mesh.boundaries or {}
    if not isinstance(boundary, str) or boundary not in names:
        known = ", ".join(map(repr, sorted(names))) or "none"
        raise ParameterError(
            f"the mesh has no boundary {boundary!r}; there are: {known}. mesh.with_boundaries(...) names more"
        )
    return np.asarray(names[boundary])


def _axis(mesh, facets, boundary):
    """The axis that a boundary is normal to."""
    # curved facets may turn between their vertices
    basis = skfem.FacetBasis(mesh, mesh.elem(), facets=facets, intorder=3, mapping=_mapping(mesh))
    normals = np.asarray(basis.normals).reshape(mesh.dim(), -1)
    axis = int(np.argmax(np.abs(normals).sum(axis=1)))
    if not normals.size or (1.0 - np.abs(normals[axis])).max() > _PLANE:
        off = normals[:, np.argmin(np.abs(normals[axis]))].round(4).tolist() if normals.size else "none"
        raise ParameterError(
            f"boundary {boundary!r} is not a plane normal to an axis: a normal is {off}; name its plane parts, or turn "
            "the mesh"
        )
    return axis


def _mapping(mesh):
    """That which keeps distances of a mesh far from the origin, where there is one."""
    return RelativeMapping(mesh) if isinstance(mesh, skfem.MeshHex1 | skfem.MeshQuad1) else mesh.mapping()
