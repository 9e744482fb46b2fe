"""From a mesh and a rule to matrices and vectors.

Two ways with the same numbers: :func:`bases` gives scikit-fem bases, one for each group of cells, for any form; the
``assemble_...`` functions go straight from vertex coordinates into the sparse matrix, about 100 times faster, for the
common forms. A :class:`Pattern` made once serves all meshes of one connectivity.

>>> import skfem
>>> from femnn import GaussLegendre
>>> from femnn.assembly import assemble_elasticity
>>> assemble_elasticity(skfem.MeshHex(), GaussLegendre(2), young=210e9, poisson=0.3).shape
(24, 24)

What corrects a stiffness of 2×2×2 points for its missing hourglass energy is in :mod:`femnn.assembly.hourglass`.
"""

from femnn.assembly.bases import bases
from femnn.assembly.elasticity import assemble_elasticity, isotropic_stiffness
from femnn.assembly.forces import assemble_body_force, assemble_internal_force
from femnn.assembly.forms import assemble_diffusion, assemble_mass
from femnn.assembly.loads import Loads, symmetry_dofs
from femnn.assembly.pattern import Pattern

__all__ = [
    "Loads",
    "Pattern",
    "assemble_body_force",
    "assemble_diffusion",
    "assemble_elasticity",
    "assemble_internal_force",
    "assemble_mass",
    "bases",
    "isotropic_stiffness",
    "symmetry_dofs",
]
