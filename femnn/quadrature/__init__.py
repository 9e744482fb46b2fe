"""Quadrature rules for hexahedra: classical ones, and rules that networks choose, correct or move per element.

Every rule has the same interface: ``rule.groups(hexahedra)`` gives the points and weights of each group of cells, and
:func:`femnn.bases` makes scikit-fem bases of them. :class:`GaussLegendre` and :class:`Irons` are the references;
:class:`AdaptiveGauss` chooses the number of Gauss points, :class:`CorrectedGauss` their weights, :class:`MovedGauss`
points and weights. Each learned rule has a folder with its network, data and training.

>>> import femnn
>>> from femnn.quadrature import AdaptiveGauss, GaussLegendre
>>> elements = femnn.distorted_hexahedra(100, 0.2, seed=0)
>>> AdaptiveGauss(1e-3).count_points(elements) < GaussLegendre(4).count_points(elements)
True
"""

from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.irons import Irons
from femnn.quadrature.moved.rule import MovedGauss
from femnn.quadrature.patch_conditions import patch_residual
from femnn.quadrature.rule import CellGroup, Rule

__all__ = [
    "AdaptiveGauss",
    "CellGroup",
    "CorrectedGauss",
    "GaussLegendre",
    "Irons",
    "MovedGauss",
    "Rule",
    "patch_residual",
]
