"""Linear elasticity from vertex coordinates to the sparse matrix, without scikit-fem's form arrays."""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficient, Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import ISOTROPIC, TANGENT
from femnn.assembly.formulations.choice import require_cells, require_formulation, rule_of
from femnn.assembly.formulations.learned import learned_twists
from femnn.assembly.formulations.stiffness import fill_formulated
from femnn.assembly.fused import fill_matrix
from femnn.assembly.pattern import Pattern
from femnn.assembly.plane import plane_lame, plane_stiffness, require_plane
from femnn.assembly.tabulated import INCOMPATIBLE, MEAN_DILATATION, STABILISED
from femnn.checks import floats
from femnn.exceptions import ParameterError
from femnn.integration.lame import lame_parameters
from femnn.quadrature.rule import Rule


def assemble_elasticity(
    mesh: skfem.Mesh,
    rule: Rule,
    young: Coefficient | None = None,
    poisson: Coefficient | None = None,
    *,
    stiffness: Coefficient | None = None,
    hourglass: Any = None,
    formulation: Any = "standard",
    plane: str = "strain",
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
    out: csr_matrix | None = None,
) -> csr_matrix:
    """Stiffness matrix of linear elasticity, as ``skfem.asm`` of the same form would give it.

    Coefficients may be constant, arrays with a last axis of one value per element, lists with an array
    ``(..., m, nqp)`` for each group of the rule, or functions of the points x (3, m, nqp) that give such arrays.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex``, ``MeshHex2``, ``MeshQuad`` or ``MeshQuad2``.
    rule
        Any rule of femnn that is made for these cells.
    young, poisson
        Young's modulus (Pa) and Poisson's ratio of an isotropic material.
    stiffness
        In place of these: (6, 6) stiffness (Pa) of any linear material, in Voigt order xx, yy, zz, yz, xz, xy with
        engineering shear strains; for quadrilaterals also (3, 3) of xx, yy, xy.
    hourglass
        A :class:`femnn.HourglassCorrection`, which adds to ``GaussLegendre(2)`` what its points miss; coefficients must
        then be constant in each element.
    formulation
        Trilinear elements that bend and do not lock, for materials that are constant in each element:
        ``"standard"`` chases exact integration, which locks; ``"mean-dilatation"`` (B-bar) for nearly incompressible
        materials; ``"incompatible"`` with nine modes of their own, condensed, which bends too; ``"stabilised"``, nearly
        as good without integration; ``"learned"``, by a network, for isotropic materials, or a
        :class:`femnn.assembly.formulations.learned.LearnedTwists` of one's own. The last two use no ``rule``. See
        docs/theory/formulations.md. Quadrilaterals have all but the last, curved cells the first two.
    plane
        ``"strain"`` or ``"stress"``: what is zero out of the plane of quadrilaterals, of unit thickness.
    element
        ``skfem.ElementHex1()``, ``ElementHexS2()`` or ``ElementHex2()``, for quadrilaterals ``ElementQuad1()``,
        ``ElementQuadS2()`` or ``ElementQuad2()``, or ``skfem.ElementVector`` of them; None is the linear one, also on
        curved cells.
    on_folded
        ``"raise"`` stops at folded or degenerate elements; ``"skip"`` leaves them out, with a warning; ``"warn"``
        integrates those whose det J has one sign at all their points, see :meth:`femnn.Rule.groups`.
    pattern
        ``femnn.Pattern.of(mesh, element)``, to reuse for meshes of the same connectivity; None builds it.
    out
        A matrix of an earlier call with the same pattern: its entries are overwritten, and no memory is allocated.

    Returns
    -------
    scipy.sparse.csr_matrix
        Rows and columns numbered like the degrees of freedom of ``skfem.ElementVector(element)``. The same bits for any
        number of threads. Matrices of one pattern share their (read-only) structure; ``copy()`` gives one of its own.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError
    MemoryError
        If the matrix needs more memory than the machine has available; nothing is allocated then.

    Examples
    --------
    >>> import femnn, skfem
    >>> K = femnn.assemble_elasticity(skfem.MeshHex().refined(1), femnn.GaussLegendre(2), young=210e9, poisson=0.3)
    >>> K.shape
    (81, 81)
    """
    name = require_formulation(formulation, element)
    discretisation = Discretisation.of(mesh, rule_of(name, rule), element, on_folded, pattern)
    form, coefficients = elastic_coefficients(young, poisson, stiffness, discretisation, plane)
    if discretisation.is_tabulated:
        form = _form_of_cells(name, form, hourglass, plane, discretisation)
        x, points = discretisation.hexahedra, discretisation.points
        return fill_matrix(form, x, discretisation.pattern, points, coefficients, discretisation.dim, out)
    if name != "standard":
        if hourglass is not None:
            raise ParameterError(
                f"formulation={name!r} and hourglass= exclude each other: the correction chases exact "
                "integration, which locks; pass one of them"
            )
        twists = learned_twists(formulation, form, discretisation, coefficients) if name == "learned" else None
        return fill_formulated(name, form, discretisation, coefficients, twists, out)
    if hourglass is not None:
        if not hasattr(hourglass, "add_to"):
            raise ParameterError(f"hourglass is {hourglass!r}; pass femnn.HourglassCorrection(), or None")
        hourglass.require(rule, element, form, coefficients)
    matrix = fill_matrix(
        form, discretisation.hexahedra, discretisation.pattern, discretisation.points, coefficients, 3, out
    )
    if hourglass is not None:
        hourglass.add_to(matrix, discretisation, form, coefficients)
    return matrix


def _form_of_cells(formulation, form, hourglass, plane, discretisation):
    """Form that the kernels of tabulated cells take; ParameterError if they have none for these choices."""
    if hourglass is not None:
        raise ParameterError(
            "the hourglass correction is made for straight hexahedra with trilinear shape functions, not for these "
            "cells; pass hourglass=None, and femnn.AdaptiveGauss for a tolerance"
        )
    if formulation == "standard":
        return form
    if form != ISOTROPIC:
        raise ParameterError(
            f"formulation={formulation!r} on these cells needs an isotropic material that is constant in each element; "
            "pass young and poisson, or formulation='standard'"
        )
    require_cells(formulation, discretisation, plane)
    return {"incompatible": INCOMPATIBLE, "stabilised": STABILISED}.get(formulation, MEAN_DILATATION)


def elastic_coefficients(young, poisson, stiffness, discretisation, plane="strain"):
    """Form and coefficients of a linear material, from ``young`` and ``poisson`` or from ``stiffness``."""
    require_plane(plane, discretisation.dim)
    if [young is None, poisson is None, stiffness is None] not in ([False, False, True], [True, True, False]):
        raise ParameterError("give young and poisson together, or stiffness alone")
    if stiffness is not None:
        if discretisation.dim == 3:
            return TANGENT, Coefficients.of(stiffness, (6, 6), discretisation, "stiffness")
        tensors = Coefficients.of_shapes(stiffness, ((6, 6), (3, 3)), discretisation, "stiffness")
        size = 3 if tensors.values.shape[1] == 9 else 6
        return TANGENT, tensors._replace(values=plane_stiffness(tensors.values.reshape(-1, size, size), plane))
    return _isotropic(young, poisson, discretisation, plane)


def _isotropic(young, poisson, discretisation, plane):
    """λ and μ where they are constant in each element, which is faster; the stiffness at each point elsewhere."""
    modulus = Coefficients.of(young, (), discretisation, "Young's modulus")
    ratio = Coefficients.of(poisson, (), discretisation, "Poisson's ratio")
    finer = max(modulus, ratio, key=lambda coefficients: (coefficients.step, len(coefficients.values)))
    if finer.step == 0:
        chosen = slice(None) if len(finer.values) > 1 else slice(1)
        lame = lame_parameters(modulus.values[modulus.rows[chosen], 0], ratio.values[ratio.rows[chosen], 0])
        lmbda, mu = plane_lame(*lame, plane)
        return ISOTROPIC, finer._replace(values=np.stack([lmbda, mu], axis=1))
    lame = lame_parameters(_at_points(modulus, discretisation), _at_points(ratio, discretisation))
    lmbda, mu = plane_lame(*lame, plane)
    return TANGENT, finer._replace(values=isotropic_stiffness(lmbda, mu).reshape(-1, 36))


def _at_points(coefficients, discretisation):
    if coefficients.step:
        return coefficients.values[:, 0]
    values = np.empty((discretisation.points.total, 1))
    for view, group in zip(
        discretisation.points.per_group(values, discretisation.groups), discretisation.groups, strict=True
    ):
        view[:] = coefficients.values[coefficients.rows[group.cells]][:, None]
    return values[:, 0]


def isotropic_stiffness(lmbda: ArrayLike, mu: ArrayLike) -> np.ndarray:
    """Voigt stiffness (..., 6, 6) of Lamé's λ and μ (...), in their unit, for engineering shear strains.

    Examples
    --------
    >>> isotropic_stiffness(1.0, 2.0)[0]
    array([5., 1., 1., 0., 0., 0.])
    """
    lmbda, mu = floats("lmbda", lmbda), floats("mu", mu)
    if lmbda.ndim and mu.ndim and lmbda.shape != mu.shape:
        raise ParameterError(f"lmbda has shape {lmbda.shape}, mu {mu.shape}; pass numbers or equal shapes")
    lmbda, mu = np.broadcast_arrays(lmbda, mu)
    stiffness = np.zeros((*lmbda.shape, 6, 6))
    stiffness[..., :3, :3] = lmbda[..., None, None]
    for i in range(6):
        stiffness[..., i, i] += (2.0 if i < 3 else 1.0) * mu
    return stiffness
