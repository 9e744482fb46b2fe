"""Recurrent networks as traction-separation laws: the law, and the cells behind it.

A cell is one step of a network with its derivative, see :class:`Cell`; :data:`NETWORKS` lists those there are. Shipped
laws are evaluated by Numba; :func:`femnn.cohesive.recurrent.as_module.as_module` is the torch module of a law again.
"""

from femnn.cohesive.recurrent.cell import Cell
from femnn.cohesive.recurrent.law import NETWORKS, SHIPPED, RecurrentCohesive, warn_outside
from femnn.cohesive.recurrent.microstructure import Microstructure
from femnn.cohesive.recurrent.precompressed import Precompressed

__all__ = ["NETWORKS", "SHIPPED", "Cell", "Microstructure", "Precompressed", "RecurrentCohesive", "warn_outside"]
