"""Rules of femnn in other finite element programs: their own meshes and integration rules, ready to be assembled.

Each function takes a mesh and a rule and returns what the program takes: :func:`felupe_regions`,
:func:`sfepy_integrals`, :func:`ngsolve_differentials`, :func:`mfem_integration_rules`. What they share is
:func:`shared_blocks`, which serves any other program. Vertices keep their numbers.

>>> import femnn
>>> from femnn.exchange import shared_blocks
>>> from femnn.geometry import distorted_cube
>>> blocks = shared_blocks(distorted_cube(3, 0.3, seed=1), femnn.AdaptiveGauss(1e-2))
>>> sum(len(block.cells) for block in blocks)
27
"""

from femnn.exchange.blocks import Block, shared_blocks
from femnn.exchange.programs import (
    felupe_regions,
    mfem_integration_rules,
    ngsolve_differentials,
    sfepy_integrals,
)

__all__ = [
    "Block",
    "felupe_regions",
    "mfem_integration_rules",
    "ngsolve_differentials",
    "sfepy_integrals",
    "shared_blocks",
]
