"""Groups of a rule as other programs take them: vertices in VTK's order, one set of points for each block of cells."""

from typing import NamedTuple

import numpy as np
import skfem

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.hexahedron import jacobian_determinant
from femnn.geometry.mesh import hexahedra
from femnn.quadrature.rule import Rule

# Corners of the unit cube in the order of VTK, which the other programs share.
_VTK = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])


class Block(NamedTuple):
    """Cells that share their points, for another program.

    Attributes
    ----------
    cells : (m,) int
        Numbers of the elements in the mesh.
    connectivity : (m, 8) int
        Their vertices in the order of VTK, with a positive Jacobian determinant.
    X : (3, nqp)
        Points in [0, 1]³ with the axes of that order.
    W : (nqp,)
        Weights, whose sum is 1 for Gauss points.

    Examples
    --------
    >>> import femnn, skfem
    >>> (block,) = shared_blocks(skfem.MeshHex(), femnn.GaussLegendre(2))
    >>> block.connectivity.shape, block.X.shape
    ((1, 8), (3, 8))
    """

    cells: np.ndarray
    connectivity: np.ndarray
    X: np.ndarray
    W: np.ndarray


@checked()
def shared_blocks(mesh: skfem.Mesh, rule: Rule) -> list[Block]:
    """The groups of a rule, with the axes of VTK's order of vertices.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        With points that the cells of a group share: Gauss points of any number, adaptive ones, Irons', a cubature of
        points.

    Raises
    ------
    ParameterError
        If each cell has points or weights of its own: ``MovedGauss``, ``CorrectedGauss``.

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import distorted_cube
    >>> blocks = shared_blocks(distorted_cube(2, 0.2, seed=1), femnn.GaussLegendre((2, 3, 2)))
    >>> blocks[0].X.shape
    (3, 12)
    """
    x = hexahedra(mesh)
    places = np.asarray(mesh.elem.refdom.p).T
    blocks = []
    for group in rule.groups(x):
        if group.X.ndim != 2 or group.W.ndim != 1:
            raise ParameterError(
                f"{rule!r} gives each cell points or weights of its own, other programs take one set for many cells; "
                "take AdaptiveGauss, GaussLegendre or Irons, or assemble with femnn.assemble_elasticity"
            )
        # scikit-fem's cells may have either sign; other programs take the mirror image of those with the negative one
        negative = jacobian_determinant(x[group.cells], np.full((3, 1), 0.5))[:, 0] < 0.0
        for mirrored in (False, True):
            cells = group.cells[negative == mirrored]
            if len(cells):
                corners = _VTK * [-1, 1, 1] + [1, 0, 0] if mirrored else _VTK
                order = [int(np.flatnonzero((places == corner).all(axis=1))[0]) for corner in corners]
                points = group.X.copy()
                if mirrored:
                    points[0] = 1.0 - points[0]
                blocks.append(Block(cells, mesh.t[order][:, cells].T, points, group.W))
    return blocks
