"""A clamped beam that is struck with a hammer, and sensors on it: which modulus and which damping does it have?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import skfem

from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.forms import assemble_mass
from femnn.checks import checked, integer, number
from femnn.identification.vibration import VibrationModel
from femnn.quadrature.gauss import GaussLegendre
from femnn.reduced.pod import POD

# What the snapshots of the basis are computed with: nothing that is to be found.
_TRIALS = [
    {"root": root, "tip": tip, "stiffness_damping": 2e-5}
    for root, tip in ((150e9, 150e9), (150e9, 250e9), (250e9, 150e9), (250e9, 250e9))
]


@dataclass(frozen=True, eq=False)
class VibratingBeam:
    """A steel beam of 1 × 0.05 × 0.05 m, clamped at x = 0, whose halves ``root`` and ``tip`` have moduli of their own.

    Hexahedra with incompatible modes; a blow of 4 ms strikes the free end; sensors measure deflections at the middle
    and at the end.

    Attributes
    ----------
    cells : int
        Along the beam, an even number.
    duration, rate : float
        Of the record, s and 1/s.

    Examples
    --------
    >>> beam = VibratingBeam(cells=4)
    >>> beam.model(modes=2)
    VibrationModel(2 modes, 2 sensors, parameters root, tip, mass_damping, stiffness_damping)
    """

    cells: int = 12
    duration: float = 0.25
    rate: float = 2000.0
    density: float = 7850.0
    poisson: float = 0.3

    def __post_init__(self) -> None:
        integer("cells", self.cells, at_least=2)
        for name in ("duration", "rate", "density"):
            number(name, getattr(self, name), "(0, inf)")

    @cached_property
    def t(self) -> np.ndarray:
        """Times of the record, s."""
        return np.arange(round(self.duration * self.rate) + 1) / self.rate

    @cached_property
    def history(self) -> np.ndarray:
        """Force of the hammer at the times of the record, N."""
        return np.where(self.t < 4e-3, 500.0 * np.sin(np.pi * self.t / 4e-3), 0.0)

    @cached_property
    def mesh(self) -> skfem.MeshHex:
        """The mesh, the clamp not yet held."""
        return skfem.MeshHex.init_tensor(
            np.linspace(0.0, 1.0, self.cells + 1), np.linspace(0.0, 0.05, 2), np.linspace(0.0, 0.05, 2)
        )

    @cached_property
    def free(self) -> np.ndarray:
        """Degrees of freedom that are not clamped."""
        return np.flatnonzero(np.repeat(self.mesh.p[0] > 1e-9, 3))

    @cached_property
    def matrices(self) -> tuple[dict[str, Any], Any]:
        """Stiffnesses of the halves at a modulus of 1 Pa, and the mass, of the free degrees of freedom."""
        middle = self.mesh.p[0][self.mesh.t].mean(axis=0)
        stiffnesses = {
            # a modulus must be positive: the other half has next to none
            name: assemble_elasticity(
                self.mesh, GaussLegendre(2), np.where(half, 1.0, 1e-12), self.poisson, formulation="incompatible"
            )[self.free][:, self.free]
            for name, half in (("root", middle < 0.5), ("tip", middle > 0.5))
        }
        mass = assemble_mass(self.mesh, GaussLegendre(3), self.density, components=3)
        return stiffnesses, mass[self.free][:, self.free]

    @cached_property
    def sensors(self) -> np.ndarray:
        """Of the free degrees of freedom: deflections at the middle and at the end."""
        return np.array([self._deflection(0.5), self._deflection(1.0)])

    @cached_property
    def load(self) -> np.ndarray:
        """A force of 1 N at the end."""
        load = np.zeros(len(self.free))
        load[self._deflection(1.0)] = 1.0
        return load

    @checked(modes="[1, inf)")
    def model(self, modes: int = 6) -> VibrationModel:
        """The reduced model: modes of the motions of four beams with other moduli and another damping."""
        stiffnesses, mass = self.matrices
        motions = [self._resolved.motion(self.t, trial, self.history) for trial in _TRIALS]
        pod = POD.fit(np.concatenate(motions).T, inner=mass, modes=modes)
        return VibrationModel(stiffnesses, mass, pod, self.sensors, load=self.load)

    @checked()
    def measure(self, parameters: Mapping[str, float], noise: float = 0.0, seed: int = 0) -> np.ndarray:
        """What the sensors read (times, 2), m, by the full model; ``noise`` is a share of the largest deflection."""
        seen = self._resolved.motion(self.t, parameters, self.history)[:, self.sensors]
        return seen + noise * np.abs(seen).max() * np.random.default_rng(seed).standard_normal(seen.shape)

    @cached_property
    def _resolved(self):
        """The full model, every degree of freedom a mode of its own."""
        stiffnesses, mass = self.matrices
        return VibrationModel(stiffnesses, mass, np.eye(len(self.free)), self.sensors, load=self.load)

    def _deflection(self, x):
        node = int(np.argmin(np.abs(self.mesh.p - np.array([[x], [0.0], [0.0]])).sum(axis=0)))
        return int(np.searchsorted(self.free, 3 * node + 1))
