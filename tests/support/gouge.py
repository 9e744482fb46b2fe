"""A classical precompressed layer for tests: exponential in the opening, frictional with elastic stick, dilatant."""

import numpy as np

from femnn.cohesive import Law


class Gouge(Law):
    """T = (-p, shear), p = pressure · exp(-stiffness (opening - dilation)); |shear| <= friction · p.

    The stick is elastic with ``shear_stiffness`` · p, and the dilation is ``most`` (1 - exp(-slip / length)) of the
    slip accumulated before the step: explicit, so that the tangent is simple. In units of grains.
    """

    separation_scale = 1.0

    def __init__(self, pressure=1.0, stiffness=40.0, friction=0.5, shear_stiffness=60.0, most=0.1, length=0.3):
        self.pressure, self.stiffness, self.friction = pressure, stiffness, friction
        self.shear_stiffness, self.most, self.length = shear_stiffness, most, length

    def __repr__(self):
        return f"Gouge({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def _virgin(self, n):
        # slip in both directions, its accumulated length
        return np.zeros((n, 3))

    def _update(self, separation, values):
        dilation = self.most * -np.expm1(-values[:, 2] / self.length)
        # linear beyond a hundredfold pressure, so that no trial overflows
        exponent = -self.stiffness * (separation[:, 0] - dilation)
        steep = np.exp(np.minimum(exponent, np.log(100.0)))
        p = self.pressure * (steep + 100.0 * np.maximum(exponent - np.log(100.0), 0.0))
        dp = -self.stiffness * self.pressure * steep
        elastic = separation[:, 1:] - values[:, :2]
        length = np.linalg.norm(elastic, axis=1)
        slides = self.shear_stiffness * length > self.friction
        unit = elastic / np.where(length > 0.0, length, 1.0)[:, None]
        ratio = np.where(slides[:, None], self.friction * unit, self.shear_stiffness * elastic)
        traction = np.column_stack([-p, p[:, None] * ratio])
        tangent = np.zeros((len(p), 3, 3))
        tangent[:, 0, 0] = -dp
        tangent[:, 1:, 0] = dp[:, None] * ratio
        across = np.eye(2) - unit[:, :, None] * unit[:, None]
        turning = (self.friction / np.where(length > 0.0, length, 1.0))[:, None, None] * across
        tangent[:, 1:, 1:] = p[:, None, None] * np.where(
            slides[:, None, None], turning, self.shear_stiffness * np.eye(2)
        )
        slip = np.where(slides[:, None], separation[:, 1:] - ratio / self.shear_stiffness, values[:, :2])
        moved = np.linalg.norm(slip - values[:, :2], axis=1)
        return traction, tangent, np.column_stack([slip, values[:, 2] + moved])
