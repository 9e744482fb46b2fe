"""Blocks of a rule as FElupe, SfePy, NGSolve and MFEM take them.

Sources: the documentation of ``felupe.quadrature.Scheme``, ``sfepy.discrete.Integral``, ``ngsolve.IntegrationRule`` and
``mfem::IntegrationRule``.
"""

import importlib
from typing import Any

import numpy as np
import skfem

from femnn.checks import checked
from femnn.exceptions import MissingExtraError
from femnn.exchange.blocks import shared_blocks
from femnn.quadrature.rule import Rule

# Beyond the orders that a program may use beside these.
_SFEPY_ORDER = 1000


@checked()
def felupe_regions(mesh: skfem.Mesh, rule: Rule) -> list[Any]:
    """A ``felupe.RegionHexahedron`` for each block; the matrices of bodies on them add up.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        With points that the cells of a group share.

    Returns
    -------
    Regions whose meshes have all points and the cells of one block.

    Raises
    ------
    MissingExtraError
        If FElupe is not installed.
    ParameterError
        If each cell has points of its own.

    Examples
    --------
    >>> import femnn, skfem
    >>> regions = felupe_regions(skfem.MeshHex(), femnn.GaussLegendre(2))  # doctest: +SKIP
    >>> regions[0].dV.shape  # doctest: +SKIP
    (8, 1)
    """
    felupe = _program("felupe")
    regions = []
    for block in shared_blocks(mesh, rule):
        # its reference cell is [-1, 1]³
        scheme = felupe.quadrature.Scheme(2.0 * block.X.T - 1.0, 8.0 * block.W)
        cells = felupe.Mesh(_points(mesh), block.connectivity, "hexahedron")
        regions.append(felupe.RegionHexahedron(cells, quadrature=scheme))
    return regions


@checked()
def sfepy_integrals(mesh: skfem.Mesh, rule: Rule) -> tuple[Any, list[tuple[str, Any]]]:
    """A ``sfepy.discrete.fem.Mesh`` and, for each block, a selector of its region and a ``sfepy.discrete.Integral``.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        With points that the cells of a group share.

    Returns
    -------
    mesh, [(selector, integral), ...]
        ``domain.create_region(name, selector)`` makes the region of a term with that integral.

    Raises
    ------
    MissingExtraError
        If SfePy is not installed.
    ParameterError
        If each cell has points of its own.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, integrals = sfepy_integrals(skfem.MeshHex(), femnn.GaussLegendre(2))  # doctest: +SKIP
    >>> integrals[0][0]  # doctest: +SKIP
    'cells of group 0'
    """
    discrete, fem = _program("sfepy.discrete"), _program("sfepy.discrete.fem")
    blocks = shared_blocks(mesh, rule)
    connectivity = np.concatenate([block.connectivity for block in blocks])
    numbers = np.concatenate([np.full(len(block.cells), k) for k, block in enumerate(blocks)])
    made = fem.Mesh.from_data("femnn", _points(mesh), None, [connectivity], [numbers.astype(np.int32)], ["3_8"])
    # SfePy tells integrals apart by their order alone, even where points are given
    integrals = [
        discrete.Integral(f"femnn{k}", _SFEPY_ORDER + k, coors=np.ascontiguousarray(block.X.T), weights=block.W.copy())
        for k, block in enumerate(blocks)
    ]
    return made, [(f"cells of group {k}", integral) for k, integral in enumerate(integrals)]


@checked()
def ngsolve_differentials(mesh: skfem.Mesh, rule: Rule) -> tuple[Any, list[Any]]:
    """A ``ngsolve.Mesh`` and a differential symbol ``dx`` for each block; a form is the sum over them.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        With points that the cells of a group share.

    Returns
    -------
    mesh, [dx, ...]
        ``form += sum(integrand * dx for dx in differentials)``; the materials of the mesh are the blocks.

    Raises
    ------
    MissingExtraError
        If NGSolve is not installed.
    ParameterError
        If each cell has points of its own.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, differentials = ngsolve_differentials(skfem.MeshHex(), femnn.GaussLegendre(2))  # doctest: +SKIP
    >>> len(differentials)  # doctest: +SKIP
    1
    """
    ngsolve, meshing = _program("ngsolve"), _program("netgen.meshing")
    made, blocks = meshing.Mesh(dim=3), shared_blocks(mesh, rule)
    made.AddPoints(_points(mesh))
    for k, block in enumerate(blocks, start=1):
        made.AddElements(dim=3, index=k, data=block.connectivity.astype(np.int32), base=0)
        made.SetMaterial(k, f"femnn{k}")
    made = ngsolve.Mesh(made)
    differentials = [
        ngsolve.dx(
            definedon=made.Materials(f"femnn{k}"),
            intrules={ngsolve.HEX: ngsolve.IntegrationRule(list(map(tuple, block.X.T.tolist())), block.W.tolist())},
        )
        for k, block in enumerate(blocks, start=1)
    ]
    return made, differentials


@checked()
def mfem_integration_rules(mesh: skfem.Mesh, rule: Rule) -> tuple[Any, list[tuple[Any, Any]]]:
    """A ``mfem.ser.Mesh`` and, for each block, a marker of its attribute and a ``mfem.ser.IntegrationRule``.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        With points that the cells of a group share.

    Returns
    -------
    mesh, [(marker, integration rule), ...]
        ``integrator.SetIntRule(integration_rule)``, then ``form.AddDomainIntegrator(integrator, marker)``. MFEM keeps
        neither alive: hold on to the list until all is assembled.

    Raises
    ------
    MissingExtraError
        If PyMFEM is not installed.
    ParameterError
        If each cell has points of its own.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rules = mfem_integration_rules(skfem.MeshHex(), femnn.GaussLegendre(2))  # doctest: +SKIP
    >>> rules[0][1].GetNPoints()  # doctest: +SKIP
    8
    """
    mfem = _program("mfem.ser")
    blocks, points = shared_blocks(mesh, rule), _points(mesh)
    made = mfem.Mesh(3, len(points), sum(len(block.cells) for block in blocks))
    for point in points.tolist():
        made.AddVertex(*point)
    rules = []
    for k, block in enumerate(blocks):
        for cell in block.connectivity.tolist():
            made.AddHex(*cell, k + 1)
        integration = mfem.IntegrationRule(len(block.W))
        for q, (point, weight) in enumerate(zip(block.X.T.tolist(), block.W.tolist(), strict=True)):
            integration.IntPoint(q).Set(*point, weight)
        rules.append((mfem.intArray([int(j == k) for j in range(len(blocks))]), integration))
    # renumbering and mirroring would change which vertex is which
    made.FinalizeMesh(0, False)
    return made, rules


def _program(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = {"netgen": "ngsolve"}.get(name.partition(".")[0], name.partition(".")[0])
        raise MissingExtraError(f"{package} is not installed; pip install {package}") from error


def _points(mesh):
    return np.ascontiguousarray(mesh.p.T, dtype=float)
