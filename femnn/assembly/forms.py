"""Diffusion and mass through the fused kernels."""

import skfem
from scipy.sparse import csr_matrix

from femnn.assembly.coefficients import Coefficient, Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import DIFFUSION, MASS
from femnn.assembly.fused import fill_matrix
from femnn.assembly.groups import check_rule
from femnn.assembly.pattern import Pattern
from femnn.checks import integer
from femnn.exceptions import ParameterError
from femnn.quadrature.rule import Rule


def assemble_diffusion(
    mesh: skfem.Mesh,
    rule: Rule,
    diffusivity: Coefficient = 1.0,
    *,
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
    out: csr_matrix | None = None,
) -> csr_matrix:
    """Matrix of ∫ ∇v · D ∇u dx for one degree of freedom per node.

    Parameters
    ----------
    diffusivity
        A number or a (dim, dim) tensor D, symmetric or not; constant, per element, per point or a function of the
        points as the coefficients of :func:`femnn.assemble_elasticity`, which the other arguments follow too.

    Returns
    -------
    scipy.sparse.csr_matrix
        Numbered like the degrees of freedom of ``element``.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh = skfem.MeshHex().refined(1)
    >>> K = femnn.assemble_diffusion(mesh, femnn.GaussLegendre(2), diffusivity=3.0)
    >>> round(float(mesh.p[0] @ K @ mesh.p[0]), 9)  # ∫ |∇x|² D over the unit cube
    3.0
    """
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    tensor = Coefficients.of_tensor(diffusivity, discretisation, "diffusivity")
    return fill_matrix(
        DIFFUSION, discretisation.hexahedra, discretisation.pattern, discretisation.points, tensor, 1, out
    )


def assemble_mass(
    mesh: skfem.Mesh,
    rule: Rule,
    density: Coefficient = 1.0,
    *,
    components: int = 1,
    element: skfem.Element | None = None,
    on_folded: str = "raise",
    pattern: Pattern | None = None,
    out: csr_matrix | None = None,
) -> csr_matrix:
    """Matrix of ∫ ρ v · u dx.

    Parameters
    ----------
    density
        ρ (kg/m³); constant, per element, per point or a function of the points.
    components
        Degrees of freedom per node: 1, or as many as there are dimensions for the consistent mass of a displacement. A
        point rule that suffices for the stiffness may be too short for the mass: 3×3×3 points integrate it exactly for
        trilinear elements. Rules made for stiffness alone (:attr:`femnn.Rule.integrates_values`) are refused.

    Returns
    -------
    scipy.sparse.csr_matrix
        Numbered like the degrees of freedom of ``element``, or of ``skfem.ElementVector(element)``.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError, MemoryError

    Examples
    --------
    >>> import femnn, skfem
    >>> M = femnn.assemble_mass(skfem.MeshHex().refined(1), femnn.GaussLegendre(3), density=7850.0)
    >>> round(float(M.sum()), 6)  # of a cubic metre of steel, kg
    7850.0
    """
    integer("components", components)
    check_rule(rule)
    rule.require_values()
    discretisation = Discretisation.of(mesh, rule, element, on_folded, pattern)
    if components not in (1, discretisation.dim):
        raise ParameterError(f"components is {components!r}; fields on this mesh have 1 or {discretisation.dim}")
    coefficients = Coefficients.of(density, (), discretisation, "density")
    return fill_matrix(
        MASS, discretisation.hexahedra, discretisation.pattern, discretisation.points, coefficients, components, out
    )
