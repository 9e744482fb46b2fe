"""From a rule to scikit-fem bases: the plug between femnn and any form of its user."""

import numpy as np
import skfem

from femnn.assembly.groups import check_rule, groups_of
from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.geometry.connectivity import warn_of_connectivity
from femnn.geometry.mesh import RelativeMapping, hexahedra
from femnn.quadrature.rule import Rule


def bases(mesh: skfem.Mesh, element: skfem.Element, rule: Rule, *, on_folded: str = "raise") -> list[skfem.CellBasis]:
    """One ``skfem.CellBasis`` for each group of cells that shares a number of points.

    All share one numbering of the degrees of freedom, so that ``skfem.asm(form, bases)`` gives the matrix or vector of
    the whole mesh, and any of them serves for boundary conditions.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    element
        Any element of scikit-fem on hexahedra: ``ElementHex1``, ``ElementHex2``, ``ElementVector`` of them, ...
    rule
        Any rule of femnn. Rules are told the degree of the element, see :meth:`femnn.Rule.for_degree`; those made for
        trilinear shape functions alone refuse others.
    on_folded
        ``"raise"`` stops at folded or degenerate elements; ``"skip"`` leaves them out of the assembly, with a warning
        that counts them. Degrees of freedom that only they carry then have empty rows. ``"warn"`` integrates those
        whose det J has one sign at all their points, with a warning, see :meth:`femnn.Rule.groups`.

    Returns
    -------
    list of skfem.CellBasis

    Raises
    ------
    MeshError, FoldedElementError
        If the mesh is not of healthy trilinear hexahedra.
    ParameterError
        If the element is not one on hexahedra, ``rule`` is no rule or is not made for the degree of the element, or
        ``on_folded`` is none of the three.

    Warns
    -----
    FemnnWarning
        If elements coincide, or vertices belong to no element.

    Examples
    --------
    >>> from femnn import GaussLegendre
    >>> from skfem.models import laplace
    >>> skfem.asm(laplace, bases(skfem.MeshHex(), skfem.ElementHex1(), GaussLegendre(2))).shape
    (8, 8)

    See Also
    --------
    femnn.assemble_elasticity, femnn.assemble_diffusion, femnn.assemble_mass : the common forms, about 100 times faster.
    """
    check_rule(rule)
    vertices = hexahedra(mesh)
    if not isinstance(element, skfem.Element):
        raise ParameterError(f"{brief(element)} is no element; pass one such as skfem.ElementHex1()")
    if element.refdom is not mesh.refdom:
        raise ParameterError(
            f"{type(element).__name__} lives on {element.refdom.name}, the mesh has hexahedra; "
            "pass an element such as skfem.ElementHex1()"
        )
    warn_of_connectivity(mesh)
    result: list[skfem.CellBasis] = []
    for group in groups_of(rule.for_degree(_degree_per_axis(element)), vertices, on_folded):
        result.append(_basis(mesh, element, group, result[0] if result else None))
    return result


def _basis(mesh, element, group, first):
    # A mapping of its own: the mesh's default one keeps nine arrays per set of points for as long as the mesh lives.
    mapping = RelativeMapping(mesh)
    basis = skfem.CellBasis(
        mesh,
        element,
        mapping=mapping,
        elements=group.cells,
        quadrature=(group.X, group.W),
        dofs=None if first is None else first.dofs,
        disable_doflocs=first is not None,
    )
    if first is not None and hasattr(first, "doflocs"):
        basis.doflocs = first.doflocs
    mapping.__dict__.pop("_cache", None)
    return basis


def _degree_per_axis(element):
    """Polynomial degree along one axis: scikit-fem's ``maxdeg`` counts all three together."""
    return max(1, int(np.ceil(element.maxdeg / 3)))
