"""Traction-separation laws of interfaces: classical ones, and recurrent networks in their place.

A law is a pure update of many points at once: ``traction, tangent, state = law.update(separation, state)``. Separation
and traction are (n, 3), normal first and opening positive, in SI units. Laws of one's own are
functions: :class:`PointCohesive`, compiled; :class:`BatchCohesive`, in NumPy; :class:`TorchCohesive`;
:class:`DamageCohesive`, with contact and friction around a damage. Laws that are told the time are
:class:`ViscousCohesive`, around any other, and :class:`RateStateFriction`. :class:`ConductingCohesive` tells beside the
traction of any law what its layer conducts, by :class:`Conduits`. Laws that were learned are in
:mod:`femnn.cohesive.recurrent`, how they are learned in :mod:`femnn.cohesive.training`, which needs torch.

>>> from femnn.cohesive import BilinearCohesive
>>> law = BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
>>> traction, tangent, state = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1))
>>> traction.shape, tangent.shape
((1, 3), (1, 3, 3))
"""

from femnn.cohesive.classical import BilinearCohesive, ContactCohesive, DamageLaw, ExponentialCohesive
from femnn.cohesive.conducting import CellConduits, ConductingCohesive, Conduits, GrainConduits
from femnn.cohesive.law import Law, Response, State
from femnn.cohesive.loading import respond_to_tractions
from femnn.cohesive.own import BatchCohesive, DamageCohesive, PointCohesive, TorchCohesive, tangent_error
from femnn.cohesive.paths import KINDS, refined, respond, separation_paths
from femnn.cohesive.rate import RateStateFriction, ViscousCohesive
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.cohesive.xu_needleman import XuNeedleman

__all__ = [
    "KINDS", "BatchCohesive", "BilinearCohesive", "CellConduits", "ConductingCohesive", "Conduits", "ContactCohesive",
    "DamageCohesive", "DamageLaw", "ExponentialCohesive", "GrainConduits", "Law", "PointCohesive", "RateStateFriction",
    "RecurrentCohesive", "Response", "State", "TorchCohesive", "ViscousCohesive", "XuNeedleman", "refined", "respond",
    "respond_to_tractions", "separation_paths", "tangent_error",
]  # fmt: skip
