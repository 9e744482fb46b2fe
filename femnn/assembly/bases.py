"""From a rule to scikit-fem bases: the plug between femnn and any form of its user."""

from collections.abc import Sequence
from typing import Any

import skfem

from femnn.assembly.groups import check_rule, groups_of
from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.geometry.cells import cells
from femnn.geometry.connectivity import warn_of_connectivity
from femnn.geometry.mesh import RelativeMapping
from femnn.quadrature.rule import Rule, degree_per_axis


def bases(
    mesh: skfem.Mesh, element: skfem.Element | Sequence[skfem.Element], rule: Rule, *, on_folded: str = "raise"
) -> list[Any]:
    """One ``skfem.CellBasis`` for each group of cells that shares a number of points.

    All share one numbering of the degrees of freedom, so that ``skfem.asm(form, bases)`` gives the matrix or vector of
    the whole mesh, and any of them serves for boundary conditions.

    Parameters
    ----------
    mesh
        A ``skfem.MeshQuad``, ``MeshQuad2``, ``MeshHex`` or ``MeshHex2``.
    element
        Any element of scikit-fem on these cells: ``ElementHex1``, ``ElementQuad2``, ``ElementVector`` of them, ... For
        a mixed form a list of them: all then have the same points, those of the most demanding one.
    rule
        Any rule of femnn that is made for these cells. Rules are told the degree of the element, see
        :meth:`femnn.Rule.for_degree`; those made for trilinear shape functions alone refuse others.
    on_folded
        ``"raise"`` stops at folded or degenerate elements; ``"skip"`` leaves them out of the assembly, with a warning
        that counts them. Degrees of freedom that only they carry then have empty rows. ``"warn"`` integrates those
        whose det J has one sign at all their points, with a warning, see :meth:`femnn.Rule.groups`.

    Returns
    -------
    list of skfem.CellBasis
        For a list of elements: one such list for each of them, of the same length.

    Raises
    ------
    MeshError, FoldedElementError
        If the mesh is not of healthy quadrilaterals or hexahedra.
    ParameterError
        If an element is not one on such cells, ``rule`` is no rule for them or for the degree of the element, or
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

    Displacements and pressures of a Taylor-Hood pair on the same points; ``skfem.asm`` takes both lists.

    >>> elements = [skfem.ElementVector(skfem.ElementQuad2()), skfem.ElementQuad1()]
    >>> displacements, pressures = bases(skfem.MeshQuad().refined(1), elements, GaussLegendre(3))
    >>> skfem.asm(skfem.BilinearForm(lambda u, q, w: skfem.helpers.div(u) * q), displacements, pressures).shape
    (9, 50)

    See Also
    --------
    femnn.assemble_elasticity, femnn.assemble_diffusion, femnn.assemble_mass : the common forms, about 100 times faster.
    """
    check_rule(rule)
    x = cells(mesh)
    single = isinstance(element, skfem.Element)
    elements = [element] if isinstance(element, skfem.Element) else list(_sequence(element))
    for one in elements:
        _check_element(mesh, one)
    warn_of_connectivity(mesh)
    groups = groups_of(rule.for_element(max(elements, key=_demand)), x, on_folded)
    result = []
    for one in elements:
        parts: list[skfem.CellBasis] = []
        for group in groups:
            parts.append(_basis(mesh, one, group, parts[0] if parts else None))
        result.append(parts)
    return result[0] if single else result


def _sequence(element):
    if not isinstance(element, Sequence) or isinstance(element, str) or len(element) == 0:
        raise ParameterError(
            f"{brief(element)} is no element; pass one such as skfem.ElementHex1(), or a list of one or more"
        )
    return element


def _check_element(mesh, element):
    if not isinstance(element, skfem.Element):
        raise ParameterError(f"{brief(element)} is no element; pass one such as skfem.ElementHex1()")
    if element.refdom is not mesh.refdom:
        raise ParameterError(
            f"{type(element).__name__} lives on {element.refdom.name}, the mesh has "
            f"{'hexahedra' if mesh.dim() == 3 else 'quadrilaterals'}; pass an element such as "
            f"skfem.{'ElementHex1' if mesh.dim() == 3 else 'ElementQuad1'}()"
        )


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


def _demand(element):
    return degree_per_axis(element), element.maxdeg
