"""What an engineer reads off a solution: stresses at points and nodes, errors, reactions, load curves, files.

>>> import numpy as np, skfem, femnn
>>> mesh, rule = skfem.MeshHex().refined(2), femnn.GaussLegendre(2)
>>> u = (np.diag([1e-3, 0.0, 0.0]) @ mesh.p).T.ravel()
>>> stresses = femnn.stress(mesh, rule, u, young=210e9, poisson=0.3)
>>> nodal = femnn.recover(mesh, rule, stresses)
>>> float(von_mises(nodal).max().round(-3))
161538000.0

Stresses are in Voigt order xx, yy, zz, yz, xz, xy; fields at points are a list with an array (m, nqp, ...) for each
group of the rule, as all of femnn gives them.
"""

from femnn.fields.estimate import error_estimate, strain_energy
from femnn.fields.invariants import principal, von_mises
from femnn.fields.output import save_fields
from femnn.fields.reactions import LoadCurve, reactions
from femnn.fields.recovery import recover
from femnn.fields.stress import stress

__all__ = [
    "LoadCurve",
    "error_estimate",
    "principal",
    "reactions",
    "recover",
    "save_fields",
    "strain_energy",
    "stress",
    "von_mises",
]
