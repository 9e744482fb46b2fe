"""The formulations by name, and what each of them is made for."""

from typing import Any

import numpy as np
import skfem

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation, degree, scalar_element
from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.formulations.twists import GIVEN, INCOMPATIBLE, MEAN_DILATATION, STABILISED
from femnn.assembly.groups import check_rule
from femnn.checks import one_of
from femnn.exceptions import ParameterError
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule

#: Formulations of trilinear elements, see docs/theory/formulations.md.
FORMULATIONS = ("standard", "mean-dilatation", "incompatible", "stabilised", "learned")

#: What the kernels call them.
KINDS = {
    "mean-dilatation": MEAN_DILATATION,
    "incompatible": INCOMPATIBLE,
    "stabilised": STABILISED,
    "learned": GIVEN,
}

#: Formulations that evaluate the material at one point of the element, whatever the rule.
ONE_POINT = ("stabilised", "learned")

# Points nearer together than this along an axis do not see what is linear in it.
_LEAST_SPREAD = 1e-2

# Nodes of straight quadrilaterals.
_CORNERS = 4

# First moments of points about the middle beyond this would spoil the patch test of incompatible modes.
_LOPSIDED = 1e-12

# Deviatoric part of Voigt strains.
_DEVIATORIC = np.eye(6)
_DEVIATORIC[:3, :3] -= 1.0 / 3.0


def require_formulation(formulation: Any, element: skfem.Element | None) -> str:
    """Name of the formulation; ParameterError unless it is one of :data:`FORMULATIONS` and the element allows it.

    An object with a method ``twists`` is the network of a learned one.
    """
    if callable(getattr(formulation, "twists", None)):
        formulation = "learned"
    one_of("formulation", formulation, FORMULATIONS)
    if formulation != "standard" and degree(scalar_element(element)) > 1:
        raise ParameterError(
            f"formulation={formulation!r} is made for linear elements; pass element=skfem.ElementHex1() or "
            "ElementQuad1(), or formulation='standard' for elements of degree 2, which bend by themselves"
        )
    return formulation


def require_constant(coefficients: Coefficients, formulation: str) -> None:
    """Raise ParameterError if the material varies from point to point of an element."""
    if coefficients.step:
        raise ParameterError(
            f"formulation={formulation!r} needs a material that is constant in each element, this one varies from "
            "point to point; pass one value per element, or formulation='standard'"
        )


def materials(formulation: str, form: int, numbers: np.ndarray) -> np.ndarray:
    """The four materials that the kernels read, (4 m, 2) or (4 m, 36), from ``numbers`` (m, 2) or (m, 36)."""
    if form == ISOTROPIC:
        deviatoric = np.stack([-2.0 / 3.0 * numbers[:, 1], numbers[:, 1]], axis=1)
        four = [numbers, deviatoric, deviatoric, deviatoric]
    else:
        tensors = numbers.reshape(-1, 6, 6)
        right = tensors @ _DEVIATORIC
        four = [tensors, right, _DEVIATORIC @ tensors, _DEVIATORIC @ right]
    if formulation == "mean-dilatation":
        four = [four[3]] * 4
    return np.ascontiguousarray(np.concatenate([part.reshape(len(numbers), -1) for part in four]))


def require_points(groups: list, formulation: str) -> None:
    """Raise ParameterError if elements have too few points for a formulation that integrates their twists."""
    if formulation in ONE_POINT:
        return
    for group in groups:
        spread = np.ptp(group.X, axis=-1).min() if group.X.size else 1.0
        if len(group.cells) and (group.W.shape[-1] < 8 or spread < _LEAST_SPREAD):
            raise ParameterError(
                f"formulation={formulation!r} needs two points or more along each axis, element {group.cells[0]} has "
                f"{group.W.shape[-1]} in all; pass femnn.GaussLegendre(2), or formulation='stabilised' for one point"
            )


def require_cells(formulation: str, discretisation: Discretisation, plane: str) -> None:
    """Raise ParameterError if quadrilaterals or curved cells have no such formulation, or not with these points."""
    straight = discretisation.dim == 2 and discretisation.hexahedra.shape[1] == _CORNERS
    if formulation != "mean-dilatation" and not (formulation in ("incompatible", "stabilised") and straight):
        raise ParameterError(
            f"formulation={formulation!r} is made for straight hexahedra; on quadrilaterals pass 'incompatible', which "
            "bends and does not lock, on curved cells 'mean-dilatation' against locking, or an element of degree 2, "
            "which bends by itself"
        )
    if formulation == "incompatible":
        _require_mirrored_points(discretisation.groups)
    elif formulation == "mean-dilatation" and plane == "stress":
        raise ParameterError(
            "formulation='mean-dilatation' is made for plane strain; plane stress does not lock in volume, pass "
            "'incompatible', which bends, or 'standard'"
        )


def _require_mirrored_points(groups):
    """Raise ParameterError if quadrilaterals have too few points for incompatible modes, or none that mirror others."""
    for group in groups:
        X, W = np.asarray(group.X), np.asarray(group.W)
        lopsided = np.abs((W * (X - 0.5)).sum(axis=-1)).max() if X.size else 0.0
        if len(group.cells) and (np.ptp(X, axis=-1).min() < _LEAST_SPREAD or lopsided > _LOPSIDED):
            raise ParameterError(
                "formulation='incompatible' needs two points or more along each axis, symmetric about the middle, "
                f"element {group.cells[0]} has {W.shape[-1]} in all; pass femnn.GaussLegendre(2)"
            )


def rule_of(formulation: str, rule: Rule) -> Rule:
    """The rule that integrates an element: the user's, or 2×2×2 points, which find mean gradients exactly."""
    check_rule(rule)
    return GaussLegendre(2) if formulation in ONE_POINT else rule
