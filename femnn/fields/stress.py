"""Stresses of linear elasticity at the points of a rule, with the strains that the assembly used."""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.assembly.coefficients import Coefficient, Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.elasticity import elastic_coefficients, isotropic_stiffness
from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.formulations.choice import ONE_POINT, require_cells, require_constant, require_formulation
from femnn.assembly.groups import check_rule
from femnn.assembly.pattern import Pattern
from femnn.assembly.plane import in_plane
from femnn.checks import vector
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.solids.laws import PointLaw
from femnn.solids.solid import Solid


def stress(
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
    pattern: Pattern | None = None,
) -> list[np.ndarray]:
    """Stresses at the points of a rule.

    Parameters
    ----------
    mesh, rule, young, poisson, stiffness, formulation, plane, element, on_folded, pattern
        Those of :func:`femnn.assemble_elasticity` that ``u`` was found with.
    u
        Displacements (N,) (m), numbered like the degrees of freedom of ``skfem.ElementVector(element)``.

    Returns
    -------
    list of (m, nqp, 6) arrays
        One for each group of ``rule.groups``, Voigt order xx, yy, zz, yz, xz, xy (Pa), those of quadrilaterals too.
        Formulations of one point have one mean stress an element, (n, 1, 6), whatever the rule.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Notes
    -----
    Stresses of trilinear elements are most accurate at the centres; :func:`femnn.recover` carries them to the nodes. A
    formulation gives the stresses of its own strains, incompatible modes included.

    Examples
    --------
    >>> import femnn
    >>> mesh = skfem.MeshHex().refined(1)
    >>> (sigma,) = stress(mesh, femnn.GaussLegendre(2), np.zeros(81), 210e9, 0.3)
    >>> sigma.shape
    (8, 8, 6)
    """
    strains, tensors, rows, discretisation = strains_and_stiffness(
        mesh, rule, u, young, poisson, stiffness, formulation, element, on_folded, pattern, plane
    )
    stresses = np.einsum("qij,qj->qi", tensors[rows], strains)
    return discretisation.points.per_group(stresses, discretisation.groups)


def strains_and_stiffness(
    mesh, rule, u, young, poisson, stiffness, formulation, element, on_folded, pattern, plane="strain"
):
    """Strains at all points (total, 6), stiffnesses (k, 6, 6), which of them each point has (total,), Discretisation.

    Arguments are those of :func:`stress`.
    """
    name = require_formulation(formulation, element)
    check_rule(rule)
    if name in ONE_POINT:
        rule = GaussLegendre(1)
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    form, material = elastic_coefficients(young, poisson, stiffness, discretisation, plane)
    u = vector(u, discretisation.dim * discretisation.pattern.n_nodes, "the displacement")
    tensors = isotropic_stiffness(*material.values.T) if form == ISOTROPIC else material.values.reshape(-1, 6, 6)
    if plane == "stress":
        tensors = in_plane(tensors)
    rows = _rows_of_points(material, discretisation)
    if discretisation.is_tabulated and name != "standard":
        require_cells(name, discretisation, plane)
    law = _linear(tensors[0])
    if name == "incompatible":
        # whose modes depend on the material
        require_constant(material, name)
        law = _linear(tensors[material.rows])
    # strains of all others do not depend on it; one point has the mean strain, whatever stabilises it, and that of a
    # quadrilateral is the strain at its centre
    kind = ("standard" if discretisation.is_tabulated else "stabilised") if name in ONE_POINT else name
    options = {"element": element, "on_folded": on_folded, "pattern": discretisation.pattern}
    solid = Solid(mesh, rule, law, formulation=kind, **options)
    strains = np.concatenate([part.reshape(-1, 6) for part in solid.strains(u)])
    return strains, tensors, rows, discretisation


def _rows_of_points(material: Coefficients, discretisation):
    rows = np.empty(discretisation.points.total, dtype=np.int64)
    views = discretisation.points.per_group(rows, discretisation.groups)
    for view, group in zip(views, discretisation.groups, strict=True):
        view[:] = material.rows[group.cells][:, None] + material.step * np.arange(view.shape[1])
    return rows


def _hooke(strain, state, parameters, stress, tangent, new_state):
    for i in range(6):
        stress[i] = 0.0
        for j in range(6):
            tangent[i, j] = parameters[6 * i + j]
            stress[i] += tangent[i, j] * strain[j]


def _linear(tensors):
    """The law of one stiffness (6, 6), or of one for each element (n, 6, 6)."""
    return PointLaw(_hooke, tensors.reshape(*tensors.shape[:-2], 36))
