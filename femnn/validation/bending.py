"""Problems that show whether trilinear elements bend and lock, with their reference displacements.

Beams after R. H. MacNeal, R. L. Harder, A proposed standard set of problems to test finite element accuracy, Finite
Elements in Analysis and Design 1 (1985) 3-20, in their units; the membrane after R. D. Cook, in plane strain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem

from femnn.assembly.elasticity import assemble_elasticity
from femnn.checks import checked, one_of
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.solvers.linear.solver import solve

#: Meshes of the straight cantilever.
STRAIGHT = ("regular", "trapezoids", "parallelograms")


@dataclass(frozen=True, eq=False, repr=False)
class BendingProblem:
    """A linear elastic body that bends.

    Attributes
    ----------
    name
    mesh
    young, poisson
    fixed
        Degrees of freedom that are held.
    loads
        Nodal forces (n,) by the name of the load.
    references
        Displacement in the direction of the load where it is measured, by the name of the load.
    measured
        Degrees of freedom whose mean displacement that is, by the name of the load.

    Examples
    --------
    >>> from femnn.validation import straight_beam
    >>> beam = straight_beam()
    >>> found = beam.displacements("incompatible")
    >>> bool(found["in plane"] > 0.9)
    True
    """

    name: str
    mesh: skfem.MeshHex
    young: float
    poisson: float
    fixed: np.ndarray
    loads: dict[str, np.ndarray]
    references: dict[str, float]
    measured: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return f"BendingProblem({self.name!r}, {self.mesh.nelements} elements, {', '.join(self.loads)})"

    def displacements(self, formulation: Any = "standard", rule: Rule | None = None) -> dict[str, float]:
        """Displacement over the reference by the name of the load, with a formulation of the elements.

        Raises
        ------
        ParameterError
            As :func:`femnn.assemble_elasticity` does.
        """
        rule = GaussLegendre(2) if rule is None else rule
        matrix = assemble_elasticity(self.mesh, rule, self.young, self.poisson, formulation=formulation)
        result = {}
        for name, load in self.loads.items():
            u = solve(matrix, load, self.fixed, method="splu").x
            result[name] = float(u[self.measured[name]].mean() / self.references[name])
        return result


def _problem(name, mesh, material, held, end, directions):
    """Held at the vertices ``held``, loaded by a unit force over the facets of the vertices ``end``."""
    loads, measured, references = {}, {}, {}
    shares = np.zeros(mesh.p.shape[1])
    facets = mesh.facets[:, np.isin(mesh.facets, end).all(axis=0)]
    np.add.at(shares, facets, 1.0 / facets.size)
    for label, (component, reference) in directions.items():
        force = np.zeros((mesh.p.shape[1], 3))
        force[:, component] = shares
        loads[label], references[label], measured[label] = force.ravel(), reference, 3 * end + component
    fixed = (3 * held[:, None] + np.arange(3)).ravel()
    return BendingProblem(name, mesh, *material, fixed, loads, references, measured)


def _tensor(*axes):
    return skfem.MeshHex.init_tensor(*axes)


def _moved(mesh, function: Callable):
    return skfem.MeshHex(np.ascontiguousarray(function(*mesh.p)), mesh.t)


@checked()
def straight_beam(kind: str = "regular") -> BendingProblem:
    """The cantilever 6 × 0.2 × 0.1 of six elements: ``"regular"``, ``"trapezoids"`` or ``"parallelograms"``.

    Examples
    --------
    >>> straight_beam()
    BendingProblem('straight beam, regular', 6 elements, in plane, out of plane)
    """
    one_of("kind", kind, STRAIGHT)
    mesh = _tensor(np.arange(7.0), [0.0, 0.2], [0.0, 0.1])
    places = mesh.p[0].astype(int)
    inner = (places > 0) & (places < 6)

    def slanted(x, y, z):
        shift = np.where(y > 0.1, 0.1, -0.1) * inner
        if kind == "trapezoids":
            shift = shift * np.where(places % 2, 1.0, -1.0)
        return np.stack([x + (0.0 if kind == "regular" else shift), y, z])

    held, end = np.flatnonzero(places == 0), np.flatnonzero(places == 6)
    directions = {"in plane": (1, 0.1081), "out of plane": (2, 0.4321)}
    return _problem(f"straight beam, {kind}", _moved(mesh, slanted), (1e7, 0.3), held, end, directions)


def curved_beam() -> BendingProblem:
    """A quarter of a circle, radii 4.12 and 4.32, thickness 0.1, six elements; loaded along the radius and the axis.

    Examples
    --------
    >>> from femnn.validation import curved_beam
    >>> curved_beam()
    BendingProblem('curved beam', 6 elements, in plane, out of plane)
    """
    mesh = _tensor(np.arange(7.0), [4.12, 4.32], [0.0, 0.1])
    places = mesh.p[0].astype(int)

    def bent(s, r, z):
        return np.stack([r * np.cos(np.pi * s / 12.0), r * np.sin(np.pi * s / 12.0), z])

    held, end = np.flatnonzero(places == 0), np.flatnonzero(places == 6)
    directions = {"in plane": (1, 0.08734), "out of plane": (2, 0.5022)}
    return _problem("curved beam", _moved(mesh, bent), (1e7, 0.25), held, end, directions)


def twisted_beam() -> BendingProblem:
    """Length 12, width 1.1, thickness 0.32, twisted by a right angle, 12 × 2 × 1 elements.

    Examples
    --------
    >>> from femnn.validation import twisted_beam
    >>> twisted_beam()
    BendingProblem('twisted beam', 24 elements, in plane, out of plane)
    """
    mesh = _tensor(np.arange(13.0), np.linspace(-0.55, 0.55, 3), [-0.16, 0.16])
    places = mesh.p[0].astype(int)

    def turned(x, y, z):
        c, s = np.cos(np.pi * x / 24.0), np.sin(np.pi * x / 24.0)
        return np.stack([x, c * y - s * z, s * y + c * z])

    held, end = np.flatnonzero(places == 0), np.flatnonzero(places == 12)
    directions = {"in plane": (2, 0.005424), "out of plane": (1, 0.001754)}
    return _problem("twisted beam", _moved(mesh, turned), (29e6, 0.22), held, end, directions)


@checked(n="[1, inf)", poisson="(-1, 0.5)")
def cook_membrane(n: int = 8, poisson: float = 0.4999) -> BendingProblem:
    """The tapered panel with n × n elements, plane strain by one element across; the reference is 1.

    E = 240.565, a shear force of 100 on the end; the corner rises by 8.0 on fine meshes for ν = 0.4999.

    Examples
    --------
    >>> from femnn.validation import cook_membrane
    >>> panel = cook_membrane(4, poisson=0.3)
    >>> panel.mesh.nelements, sorted(panel.loads)
    (16, ['shear'])
    """
    mesh = _tensor(np.linspace(0.0, 1.0, n + 1), np.linspace(0.0, 1.0, n + 1), [0.0, 1.0])
    s, t = mesh.p[:2].copy()
    panel = _moved(mesh, lambda x, y, z: np.stack([48.0 * x, 44.0 * x + y * (44.0 - 28.0 * x), z]))
    held, end = np.flatnonzero(s < 1e-9), np.flatnonzero(s > 1.0 - 1e-9)
    problem = _problem("Cook's membrane", panel, (240.565, poisson), held, end, {"shear": (1, 1.0)})
    fixed = np.unique(np.concatenate([problem.fixed, 3 * np.arange(len(s)) + 2]))
    corner = 3 * np.flatnonzero((s > 1.0 - 1e-9) & (t > 1.0 - 1e-9)) + 1
    load = {"shear": 100.0 * problem.loads["shear"]}
    return BendingProblem(problem.name, panel, 240.565, poisson, fixed, load, problem.references, {"shear": corner})
