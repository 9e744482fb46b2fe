"""Reduced models of the viscous Burgers equation that take no training by gradients: drawn decoders and local bases."""

from dataclasses import dataclass

import numpy as np

from femnn.checks import checked
from femnn.reduced.local import LocalBases
from femnn.reduced.pod import POD
from femnn.reduced.quadratic import QuadraticGalerkin, ReducedPath
from femnn.reduced.random_features import random_feature_decoder
from femnn.reduced.sparse_decoder import SparseDecoder
from femnn.validation.viscous_burgers import VISCOUS_TRAINING, ViscousBurgers

# Modes of the global basis in which local ones are found: they leave 1e-4 of the snapshots.
_MODES = 80


@checked(latent="[1, inf)", stride="[1, inf)", size="[1, inf)", units="[1, inf)", seed="[0, inf)")
def viscous_random_decoder(
    burgers: ViscousBurgers, latent: int = 8, *, stride: int = 5, size: int = 6, units: int = 12, seed: int = 0
) -> SparseDecoder:
    """A decoder of every ``stride``-th state of the training by :func:`femnn.reduced.random_feature_decoder`.

    Squares of ``size`` nodes are its blocks, as in :func:`femnn.validation.viscous_decoder`.

    Examples
    --------
    >>> from femnn.validation import ViscousBurgers, viscous_random_decoder
    >>> viscous_random_decoder(ViscousBurgers(8, steps=10, duration=0.2), 2, stride=1, size=4).n
    2
    """
    return random_feature_decoder(_snapshots(burgers, stride), *burgers.blocks(size), latent, units=units, seed=seed)


@dataclass(frozen=True)
class LocalViscous:
    """Galerkin projection in local bases: the equation is quadratic, so that its tensors need no node.

    Attributes
    ----------
    burgers
        The full model.
    model : femnn.reduced.QuadraticGalerkin

    Examples
    --------
    >>> from femnn.validation import LocalViscous, ViscousBurgers
    >>> burgers = ViscousBurgers(12, steps=20, duration=0.4)
    >>> model = LocalViscous.fit(burgers, clusters=2, tol=1e-3, stride=1, progress=False)
    >>> states = model.march(1.0).states()
    >>> bool(abs(states - burgers.solve(1.0)).max() < 0.05)
    True
    """

    burgers: ViscousBurgers
    model: QuadraticGalerkin

    @classmethod
    @checked(clusters="[1, inf)", tol="(0, 1)", stride="[1, inf)", seed="[0, inf)")
    def fit(
        cls,
        burgers: ViscousBurgers,
        clusters: int = 10,
        *,
        tol: float = 5e-4,
        stride: int = 5,
        seed: int = 0,
        progress: bool = True,
    ) -> "LocalViscous":
        """Local bases of every ``stride``-th state of the training, see :meth:`femnn.reduced.LocalBases.fit`."""
        states = _snapshots(burgers, stride)
        modes = min(_MODES, len(states))
        pod = POD.fit(states.T, modes=modes, offset=np.zeros(states.shape[1]), method="randomised", seed=seed)
        local = LocalBases.fit(pod.project(states.T).T, clusters, tol=tol, seed=seed)
        return cls(burgers, QuadraticGalerkin(pod, burgers.bilinear, local, linear=burgers.viscous, progress=progress))

    @checked(amplitude="(0, inf)")
    def march(self, amplitude: float) -> ReducedPath:
        """All time steps of the full model, by backward Euler as there."""
        burgers, first = self.burgers, self.burgers.initial(amplitude)
        return self.model.march(np.zeros(self.model.pod.r), first, dt=burgers.dt, steps=burgers.steps, share=1.0)


def _snapshots(burgers, stride):
    return np.concatenate([burgers.solve(amplitude)[::stride] for amplitude in VISCOUS_TRAINING])
