"""Meshes as meshers make them: tetrahedra subdivided, sweeps, boundary layers, mapped, snapped and polycube meshes.

``tetrahedra`` makes and subdivides tetrahedra, ``planes`` extrudes quadrilaterals, ``grids`` has what starts from a
grid; all on ``cells``, which keeps cells from folding. ``families`` draws meshes and cells by name and seed.
"""

from femnn.geometry.meshers.families import FAMILIES, family, family_mesh
from femnn.geometry.meshers.tetrahedra import subdivided, tetrahedral_quality

__all__ = ["FAMILIES", "family", "family_mesh", "subdivided", "tetrahedral_quality"]
