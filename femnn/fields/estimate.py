"""Strain energy, and the error of a solution that a recovered stress shows."""

from typing import Any, NamedTuple

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.assembly.coefficients import Coefficient
from femnn.assembly.discretisation import require_closed, scalar_element
from femnn.fields.recovery import recover
from femnn.fields.stress import strains_and_stiffness
from femnn.geometry.cells import determinants
from femnn.quadrature.rule import Rule


class ErrorEstimate(NamedTuple):
    """Error of a solution in the energy norm.

    Attributes
    ----------
    relative
        Estimated error over the norm of solution and error together, 0 to 1.
    elements : (n,)
        Estimated error of each element, √J: where to refine.
    energy : (n,)
        Strain energy of each element (J).
    """

    relative: float
    elements: np.ndarray
    energy: np.ndarray


def strain_energy(
    mesh: skfem.Mesh,
    rule: Rule,
    u: ArrayLike,
    young: Coefficient | None = None,
    poisson: Coefficient | None = None,
    *,
    stiffness: Coefficient | None = None,
    formulation: Any = "standard",
    plane: str = "strain",
    element: skfem.Element | None = None,
    on_folded: str = "raise",
) -> np.ndarray:
    """Strain energy (n,) (J) of every element: ∫ σ : ε / 2 by the points of the rule; arguments as for ``stress``.

    Formulations of one point give the energy of their mean strain, without that of their twists.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Examples
    --------
    >>> import femnn, numpy as np, skfem
    >>> from femnn.fields import strain_energy
    >>> mesh = skfem.MeshHex().refined(1)
    >>> u = (np.diag([1e-3, 0.0, 0.0]) @ mesh.p).T.ravel()
    >>> energies = strain_energy(mesh, femnn.GaussLegendre(2), u, young=200e9, poisson=0.0)
    >>> float(energies.sum().round(6))  # E strain² / 2 of a cubic metre, J
    100000.0
    """
    found = strains_and_stiffness(
        mesh, rule, u, young, poisson, stiffness, formulation, element, on_folded, None, plane
    )
    strains, tensors, rows, discretisation = found
    densities = 0.5 * np.einsum("qi,qij,qj->q", strains, tensors[rows], strains)
    return _integrals(discretisation, densities)


def error_estimate(
    mesh: skfem.Mesh,
    rule: Rule,
    u: ArrayLike,
    young: Coefficient | None = None,
    poisson: Coefficient | None = None,
    *,
    stiffness: Coefficient | None = None,
    formulation: Any = "standard",
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    method: str = "patches",
) -> ErrorEstimate:
    """How far recovered stresses are from those of the solution, in the norm of energy.

    Arguments as for :func:`femnn.stress` and :func:`femnn.recover`. O. C. Zienkiewicz, J. Z. Zhu, IJNME 24 (1987)
    337-357.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError, ConvergenceError

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rule = skfem.MeshHex().refined(2), femnn.GaussLegendre(2)
    >>> K = femnn.assemble_elasticity(mesh, rule, 210e9, 0.3)
    >>> held = (3 * (mesh.p[2] == 0.0).nonzero()[0][:, None] + [0, 1, 2]).ravel()
    >>> u = femnn.solve(K, femnn.assemble_body_force(mesh, rule, (1e4, 0.0, 0.0)), held, points=mesh).x
    >>> estimate = femnn.error_estimate(mesh, rule, u, 210e9, 0.3)
    >>> bool(0.0 < estimate.relative < 1.0)
    True
    """
    require_closed(mesh, element, "the error estimate")
    found = strains_and_stiffness(mesh, rule, u, young, poisson, stiffness, formulation, element, on_folded, None)
    strains, tensors, rows, discretisation = found
    stresses = np.einsum("qij,qj->qi", tensors[rows], strains)
    views = discretisation.points.per_group(stresses, discretisation.groups)
    nodal = recover(mesh, rule, views, method=method, element=element, on_folded=on_folded)
    basis = scalar_element(element)
    differences = np.empty_like(stresses)
    for group, own, target in zip(
        discretisation.groups, views, discretisation.points.per_group(differences, discretisation.groups), strict=True
    ):
        values = nodal[discretisation.pattern.cells[group.cells]]
        points = group.X if group.X.ndim == 2 else group.X.reshape(3, -1)
        shapes = np.stack([basis.lbasis(points, a)[0] for a in range(values.shape[1])])
        if group.X.ndim == 2:
            target[:] = np.einsum("aq,eak->eqk", shapes, values) - own
        else:
            target[:] = np.einsum("aeq,eak->eqk", shapes.reshape(len(shapes), *group.X.shape[1:]), values) - own
    compliances = np.linalg.inv(tensors)
    squares = _integrals(discretisation, np.einsum("qi,qij,qj->q", differences, compliances[rows], differences))
    energy = _integrals(discretisation, 0.5 * np.einsum("qi,qi->q", strains, stresses))
    total, wrong = 2.0 * energy.sum(), squares.sum()
    relative = float(np.sqrt(wrong / (total + wrong))) if total + wrong > 0.0 else 0.0
    return ErrorEstimate(relative, np.sqrt(np.maximum(squares, 0.0)), energy)


def _integrals(discretisation, values):
    """Integrals (n,) over the elements of values at all points (total,)."""
    result = np.zeros(len(discretisation.hexahedra))
    for group, part in zip(
        discretisation.groups, discretisation.points.per_group(values, discretisation.groups), strict=True
    ):
        x = discretisation.hexahedra[group.cells]
        if group.X.ndim == 2:
            values = determinants(x, group.X)
        else:
            each = [determinants(x[[i]], group.X[:, i])[0] for i in range(len(x))]
            values = np.stack(each)
        result[group.cells] = (group.W * np.abs(values) * part).sum(axis=1)
    return result
