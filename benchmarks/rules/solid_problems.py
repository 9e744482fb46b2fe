"""Solids under load whose solutions are known: in closed form, or from quadratic elements on finer meshes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import skfem

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.geometry import cooks_membrane, shape_gradients, thick_sphere, twisted_beam
from femnn.integration import lame_parameters
from femnn.io import data_folder
from femnn.mesh_files import read_mesh
from femnn.validation.rule_comparison import LOAD

_SEED = 1

# Degrees of freedom up to which references are factored.
_FACTORED = 100_000
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class State(NamedTuple):
    """A solution on the mesh of a problem, as far as it is compared.

    Attributes
    ----------
    displacement : (3, n_vertices)
    stress : (6, n_elements)
        Voigt, at the centres of the elements.
    energy
        Strain energy, half the work of the load.
    """

    displacement: np.ndarray
    stress: np.ndarray
    energy: float


@dataclass(frozen=True)
class Problem:
    """A solid, its supports and its load.

    Attributes
    ----------
    name, mesh, young, poisson
    held : dict
        Components that are zero on each boundary, ``{"fixed": "xyz"}``.
    forces : dict
        The resultant (3,) spread evenly over each boundary.
    pressures : dict
        Pressure on each boundary.
    refinements
        Of the mesh, for the reference with quadratic elements.
    exact
        Displacement (3, n) and stress (6, n) at points (3, n), and the strain energy; None where it has to be computed.
    """

    name: str
    mesh: skfem.MeshHex
    young: float
    poisson: float
    held: dict
    forces: dict
    pressures: dict
    refinements: int = 1
    exact: Callable | None = None

    def loaded(self, mesh, element):
        """Load vector and fixed degrees of freedom, for vector-valued ``element`` on a refinement of the mesh."""
        force, fixed = 0.0, []
        for name, resultant in self.forces.items():
            basis = skfem.FacetBasis(mesh, element, facets=name)
            traction = np.asarray(resultant) / _area.assemble(basis)
            form = skfem.LinearForm(lambda v, w, t=traction: t[0] * v[0] + t[1] * v[1] + t[2] * v[2])
            force = force + form.assemble(basis)
        for name, pressure in self.pressures.items():
            form = skfem.LinearForm(lambda v, w, p=pressure: -p * (w.n[0] * v[0] + w.n[1] * v[1] + w.n[2] * v[2]))
            force = force + form.assemble(skfem.FacetBasis(mesh, element, facets=name))
        dofs = skfem.Dofs(mesh, element)
        for name, components in self.held.items():
            own = dofs.get_facet_dofs(mesh.boundaries[name])
            fixed += [own.all([f"u^{'xyz'.index(component) + 1}"]) for component in components]
        return force, np.unique(np.concatenate(fixed))

    def solved(self, assemble):
        """The State with the stiffness that ``assemble(mesh, young)`` gives, trilinear elements."""
        force, fixed = self.loaded(self.mesh, skfem.ElementVector(skfem.ElementHex1()))
        u = femnn.solve(assemble(self.mesh, self.young), force, fixed, points=self.mesh).x
        displacement = u.reshape(-1, 3).T
        gradients = _gradients(self.mesh, displacement, np.full((3, 1), 0.5))[..., 0]
        return State(displacement, self._stress(gradients), 0.5 * float(force @ u))

    def reference(self):
        """The State of the converged solution."""
        if self.exact is not None:
            displacement, _, energy = self.exact(self.mesh.p)
            return State(displacement, self.exact(self.mesh.p[:, self.mesh.t].mean(axis=1))[1], energy)
        mesh, element = self.mesh, skfem.ElementHex2()
        for _ in range(self.refinements):
            mesh = refined(mesh)
        force, fixed = self.loaded(mesh, skfem.ElementVector(element))
        stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(4), self.young, self.poisson, element=element)
        basis = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1)
        # multigrid has trouble with quadratic elements that are thin
        method = "splu" if stiffness.shape[0] < _FACTORED else "auto"
        u = femnn.solve(stiffness, force, fixed, points=basis, method=method).x
        gradients = _quadratic_gradients(mesh, u, self.mesh)
        nodes = skfem.Dofs(mesh, skfem.ElementVector(element)).nodal_dofs[:, : self.mesh.nvertices]
        return State(u[nodes], self._stress(gradients), 0.5 * float(force @ u))

    def _stress(self, gradients):
        """Voigt stress (6, n) of displacement gradients (3, 3, n)."""
        strain = np.stack([gradients[i, j] + (gradients[j, i] if i != j else 0.0) for i, j in _VOIGT])
        return isotropic_stiffness(*lame_parameters(self.young, self.poisson)) @ strain


_area = skfem.Functional(lambda w: np.ones_like(w.x[0]))


def refined(mesh):
    """Every element cut in eight, boundaries kept. Old vertices keep their numbers; old centres are the last ones."""
    fine = skfem.MeshHex(mesh.p, mesh.t).refined()
    # scikit-fem numbers vertices, edges, facets, cells; a new facet belongs to the old one whose middle it has
    first = mesh.nvertices + mesh.nedges
    outside = fine.boundary_facets()
    middles = fine.facets[:, outside]
    old = np.where((middles >= first) & (middles < first + mesh.nfacets), middles - first, -1).max(axis=0)
    return fine.with_boundaries({name: outside[np.isin(old, facets)] for name, facets in mesh.boundaries.items()})


def _gradients(mesh, displacement, points):
    """∂u_i/∂x_j (3, 3, n, nqp) of a trilinear displacement (3, n_vertices) at points (3, nqp) of each element."""
    x, u = femnn.hexahedra(mesh), displacement[:, mesh.t]
    slopes = shape_gradients(points)
    jacobians = np.einsum("akq,eai->eqik", slopes, x)
    return np.einsum("iae,akq,eqkj->ijeq", u, slopes, np.linalg.inv(jacobians))


def _quadratic_gradients(fine, u, mesh):
    """∂u_i/∂x_j (3, 3, n) of a triquadratic displacement on a refinement of ``mesh`` at the centres of its elements."""
    element = skfem.ElementVector(skfem.ElementHex2())
    if fine.nelements == mesh.nelements:
        basis = skfem.CellBasis(mesh, element, quadrature=(np.full((3, 1), 0.5), np.ones(1)))
        return np.asarray(basis.interpolate(u).grad)[..., 0]
    # the centres are vertices, at which eight elements have a gradient each
    centres = mesh.nvertices + mesh.nedges + mesh.nfacets + np.arange(mesh.nelements)
    place = np.full(fine.nvertices, -1)
    place[centres] = np.arange(mesh.nelements)
    total = np.zeros((3, 3, mesh.nelements))
    for corner, point in enumerate(fine.elem.doflocs):
        own = np.flatnonzero(place[fine.t[corner]] >= 0)
        # a single point (3, 1) is shared by the elements
        basis = skfem.CellBasis(fine, element, elements=own, quadrature=(np.reshape(point, (3, 1)), np.ones(1)))
        np.add.at(total, (slice(None), slice(None), place[fine.t[corner, own]]), basis.interpolate(u).grad[..., 0])
    return total / 8.0


def cooks_panel(size, distortion=0.25):
    """Cook's membrane, one thick, sheared at its free end by a force of 1; E = 1, ν = 1/3 as in the literature.

    Two-dimensional solutions in plane stress give 23.96 for the rise of the middle of the free end.
    """
    mesh = cooks_membrane(8 * size, 8 * size, size, 1.0, distortion, _SEED)
    held, forces = {"fixed": "xyz"}, {"load": (0.0, 1.0, 0.0)}
    return Problem("Cook's membrane", mesh, 1.0, 1.0 / 3.0, held, forces, {}, refinements=int(size == 1))


def bent_beam(size, distortion=0.25, along=1):
    """The twisted beam of MacNeal and Harder, loaded by a unit force at its free end, along y (1) or z (2).

    At the fixed end the width is along y, so that z is out of its plane there; at the free end it is the other way
    round. Their reference for the displacement of the tip along the force: 5.424e-3 and 1.754e-3 for the two forces.
    """
    mesh = twisted_beam(12 * size, 2 * size, size, distortion, _SEED)
    force = np.eye(3)[along]
    return Problem("twisted beam", mesh, 29e6, 0.22, {"fixed": "xyz"}, {"load": force}, {})


def pressed_sphere(size, distortion=0.25, poisson=0.3):
    """An eighth of a sphere with radii 1 and 2 under an internal pressure of 1; E = 1000. Lamé's solution."""
    young, cubes = 1000.0, 8.0

    def exact(points):
        r = np.linalg.norm(points, axis=0)
        radial = ((1.0 - 2.0 * poisson) * r + 0.5 * (1.0 + poisson) * cubes / r**2) / (young * (cubes - 1.0))
        along, across = (1.0 - cubes / r**3) / (cubes - 1.0), (1.0 + 0.5 * cubes / r**3) / (cubes - 1.0)
        n = points / r
        stress = np.stack([(along - across) * n[i] * n[j] + (across if i == j else 0.0) for i, j in _VOIGT])
        inside = ((1.0 - 2.0 * poisson) + 0.5 * (1.0 + poisson) * cubes) / (young * (cubes - 1.0))
        return radial * n, stress, 0.25 * np.pi * inside

    mesh, symmetry = thick_sphere(4 * size, None, distortion, _SEED), {name: name for name in "xyz"}
    return Problem("thick sphere", mesh, young, poisson, symmetry, {}, {"inner": 1.0}, exact=exact)


def bracket():
    """The bracket of femnn under the load of the demo."""
    mesh = read_mesh(data_folder("meshes") / "bracket.vtu")
    return Problem("bracket", mesh, 210e9, 0.3, {"fixed": "xyz"}, {"load": (0.0, 0.0, -LOAD)}, {}, refinements=0)
