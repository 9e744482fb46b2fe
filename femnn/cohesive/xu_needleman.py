"""The reversible exponential potential of Xu and Needleman, for comparison."""

import numpy as np

from femnn.checks import positive
from femnn.cohesive.law import Law


class XuNeedleman(Law):
    """Tractions from the potential of Xu & Needleman (J. Mech. Phys. Solids 42 (1994) 1397-1434, Eq. 2.9), r = 0.

    The same keywords as the other laws: the works of separation are the toughnesses, the characteristic lengths follow
    from the strengths, δn = φn/(e σ), δt = φt/(√(e/2) τ); q = φt/φn.

    Known defects, which is why :class:`femnn.ExponentialCohesive` is the one to take:

    - it is elastic: unloading gives all the work back, nothing is remembered (the state is empty);
    - for q ≠ 1 the work of separation depends on the path in a way that no interface shows, and a normal traction is
      left after complete shear (van den Bosch, Schreurs & Geers, Eng. Fract. Mech. 73 (2006) 1220-1234);
    - closing stiffens exponentially instead of by a penalty, and depends on the shear.

    Parameters
    ----------
    normal_strength, shear_strength
        Largest tractions in pure opening and pure shear, Pa.
    normal_toughness, shear_toughness
        Works of separation φn and φt, J/m².

    Examples
    --------
    >>> from femnn.cohesive import XuNeedleman
    >>> law = XuNeedleman(80e6, 100e6, 969.0, 1719.0)
    >>> opening = 969.0 / (2.718281828 * 80e6)  # where the normal traction is largest, m
    >>> traction = law.update([[opening, 0.0, 0.0]], law.initial_state(1)).traction
    >>> float(traction[0, 0].round(-3))
    80000000.0
    """

    def __init__(
        self, normal_strength: float, shear_strength: float, normal_toughness: float, shear_toughness: float
    ) -> None:
        self.normal_strength = positive("normal_strength", normal_strength)
        self.shear_strength = positive("shear_strength", shear_strength)
        self.normal_toughness = positive("normal_toughness", normal_toughness)
        self.shear_toughness = positive("shear_toughness", shear_toughness)
        self.normal_length = self.normal_toughness / (np.e * self.normal_strength)
        self.shear_length = self.shear_toughness / (np.sqrt(np.e / 2.0) * self.shear_strength)
        # where 1 % of the strength is left: κ exp(1 − κ) = 0.01, and √2 κ exp(1/2 − κ²) = 0.01
        self.separation_scale = max(7.638352 * self.normal_length, 2.525507 * self.shear_length)

    def __repr__(self):
        return (
            f"XuNeedleman({self.normal_strength!r}, {self.shear_strength!r}, {self.normal_toughness!r}, "
            f"{self.shear_toughness!r})"
        )

    def _virgin(self, n):
        return np.empty((n, 0))

    def _update(self, separation, values):
        a = separation[:, 0] / self.normal_length
        b = separation[:, 1:] / self.shear_length
        q = self.shear_toughness / self.normal_toughness
        decay, fade = np.exp(-a), np.exp(-(b**2).sum(axis=1))
        # φ/φn = 1 − (1 + a) exp(−a) [1 − q + q exp(−b²)]
        normal = self.normal_toughness / self.normal_length * a * decay * (1.0 - q + q * fade)
        shear_factor = 2.0 * self.normal_toughness / self.shear_length * q * (1.0 + a) * decay * fade
        traction = np.concatenate([normal[:, None], shear_factor[:, None] * b], axis=1)
        tangent = np.empty((len(separation), 3, 3))
        tangent[:, 0, 0] = self.normal_toughness / self.normal_length**2 * (1.0 - a) * decay * (1.0 - q + q * fade)
        cross = -2.0 * self.normal_toughness / (self.normal_length * self.shear_length) * q * a * decay * fade
        tangent[:, 0, 1:] = tangent[:, 1:, 0] = cross[:, None] * b
        outer = np.eye(2) - 2.0 * b[:, :, None] * b[:, None, :]
        tangent[:, 1:, 1:] = (shear_factor / self.shear_length)[:, None, None] * outer
        return traction, tangent, values
