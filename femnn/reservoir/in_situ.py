"""The stress and pressure that gravity gives a reservoir before anything is injected, and how near planes are to slip.

Problems of poroelasticity are linear in increments over this state, so that gravity and the hydrostatic pressure stay
out of their equations; they come back in the stress that a fault bears in situ, and in what a pressure may reach.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, floats, positive, shaped
from femnn.exceptions import ParameterError

_GRAVITY = 9.81


class InSitu:
    """Rock and water at rest under their own weight: overburden, hydrostatic pressure, and a ratio of the stresses.

    At the depth z the vertical total stress is −(ρ g z + load), the pressure ρ_f g z + overpressure, the effective
    vertical stress their sum, and the effective horizontal stress ``ratio`` times that. The last axis points upwards.

    Parameters
    ----------
    surface
        Height of the ground, or of the sea floor, on the last axis, m.
    density, fluid_density
        Of the saturated rock and of the water, kg/m³.
    ratio
        Effective horizontal over effective vertical stress, one for all horizontal axes or one for each.
    load
        Pressure of the sea on the surface, Pa, which the pores have as well.
    overpressure
        Above the hydrostatic one, Pa: a number, or a function of the places (dim, n).

    Raises
    ------
    ParameterError
        If a number is not positive, or the water is as dense as the rock.

    Examples
    --------
    Two kilometres down:

    >>> rest = InSitu(surface=0.0, density=2400.0, ratio=0.6)
    >>> x = np.array([[0.0], [-2000.0]])
    >>> (rest.total(x)[:, :, 0].diagonal() / 1e6).round(1).tolist(), (rest.pressure(x) / 1e6).round(1).tolist()
    ([-36.1, -47.1], [19.6])
    >>> (rest.stress(x)[:, :, 0].diagonal() / 1e6).round(1).tolist()
    [-16.5, -27.5]

    As what a fault bears in situ: ``Fault(..., stress=rest.stress)``.
    """

    @checked(surface="(-inf, inf)", overpressure="unchecked", ratio="unchecked")
    def __init__(
        self,
        surface: float,
        *,
        density: float = 2400.0,
        fluid_density: float = 1000.0,
        ratio: ArrayLike = 0.7,
        load: float = 0.0,
        overpressure: float | Callable = 0.0,
    ) -> None:
        self.surface = float(surface)
        self.density, self.fluid_density = positive("density", density), positive("fluid_density", fluid_density)
        if self.fluid_density >= self.density:
            raise ParameterError(
                f"the fluid's density {self.fluid_density:g} kg/m³ is not below that of the saturated rock, "
                f"{self.density:g} kg/m³: its pressure would lift the overburden; check the two"
            )
        self.ratio = np.atleast_1d(floats("ratio", ratio))
        if self.ratio.ndim != 1 or (self.ratio <= 0.0).any():
            raise ParameterError(f"ratio is {self.ratio.tolist()}; give a positive number, or one per horizontal axis")
        self.load, self.overpressure = positive("load", load, zero=True), overpressure

    def __repr__(self) -> str:
        return f"InSitu(surface={self.surface:g}, density={self.density:g}, ratio={self.ratio.tolist()})"

    def pressure(self, x: ArrayLike) -> np.ndarray:
        """Of the pores at the places x (dim, n), (n,), Pa.

        Raises
        ------
        ParameterError
            If it reaches the overburden there, or a place lies above the surface.
        """
        return self._vertical(x)[0]

    def total(self, x: ArrayLike) -> np.ndarray:
        """Total stress at the places x (dim, n), (dim, dim, n), Pa, positive in tension."""
        pressure, _ = self._vertical(x)
        effective = self.stress(x)
        return effective - np.eye(len(effective))[:, :, None] * pressure

    def stress(self, x: ArrayLike) -> np.ndarray:
        """Effective stress at the places x (dim, n), (dim, dim, n), Pa, positive in tension."""
        x = floats("x", x)
        _, vertical = self._vertical(x)
        dim = len(x)
        if len(self.ratio) not in (1, dim - 1):
            raise ParameterError(f"ratio has {len(self.ratio)} numbers, there are {dim - 1} horizontal axes")
        factors = np.append(np.broadcast_to(self.ratio, dim - 1), 1.0)
        return np.eye(dim)[:, :, None] * factors[:, None, None] * vertical

    def _vertical(self, x):
        """Pressure and effective vertical stress, (n,) each."""
        x = floats("x", x)
        if x.ndim != 2 or len(x) not in (2, 3):
            raise ParameterError(f"x has shape {x.shape}; give places (dim, n) in two or three dimensions")
        depth = self.surface - x[-1]
        if len(depth) and depth.min() < 0.0:
            raise ParameterError(
                f"a place is {x[-1].max():g} m high, above the surface at {self.surface:g} m; raise the surface"
            )
        above = self.overpressure(x) if callable(self.overpressure) else self.overpressure
        above = np.broadcast_to(floats("overpressure", above), depth.shape)
        pressure = self.load + self.fluid_density * _GRAVITY * depth + above
        overburden = self.load + self.density * _GRAVITY * depth
        lifted = np.flatnonzero((pressure >= overburden) & (above > 0.0))
        if len(lifted):
            worst = int(lifted[(pressure - overburden)[lifted].argmax()])
            raise ParameterError(
                f"the pressure at x = {x[:, worst].tolist()} is {pressure[worst] / 1e6:.4g} MPa, but the overburden "
                f"there is {overburden[worst] / 1e6:.4g} MPa and would be lifted; lower the overpressure"
            )
        return pressure, pressure - overburden


@checked(normals="any")
def slip_tendency(stress: ArrayLike, normals: ArrayLike | None = None) -> np.ndarray:
    """Shear over normal traction of planes in an effective stress: what their friction has to bear.

    A. Morris, D. A. Ferrill, D. B. Henderson, Geology 24 (1996) 275-278.

    Parameters
    ----------
    stress : (dim, dim, n)
        Effective, positive in tension, Pa.
    normals : (dim, n) or (dim,)
        Of the planes; default: for each stress the plane that slips first.

    Returns
    -------
    (n,) ndarray
        Infinite where a plane is not pressed.

    Examples
    --------
    >>> stress = np.diag([-10e6, -30e6])[:, :, None]
    >>> slip_tendency(stress, [np.sin(np.pi / 3), np.cos(np.pi / 3)]).round(3), slip_tendency(stress).round(3)
    (array([0.577]), array([0.577]))
    """
    stress = floats("stress", stress)
    if stress.ndim != 3 or stress.shape[0] != stress.shape[1]:
        raise ParameterError(f"stress has shape {stress.shape}; give (dim, dim, n)")
    if normals is None:
        values = np.linalg.eigvalsh(stress.transpose(2, 0, 1))
        least, most = -values[:, -1], -values[:, 0]
        # Mohr's circle, seen from the origin
        shear, normal = 0.5 * (most - least), np.sqrt(np.maximum(most * least, 0.0))
        pressed = least > 0.0
    else:
        across = floats("normals", normals).reshape(len(stress), -1)
        across = shaped("normals", np.broadcast_to(across, (len(stress), stress.shape[2])), stress.shape[1:])
        across = across / np.linalg.norm(across, axis=0)
        traction = np.einsum("ijn,jn->in", stress, across)
        along = np.einsum("in,in->n", traction, across)
        shear, normal = np.linalg.norm(traction - along * across, axis=0), -along
        pressed = normal > 0.0
    return np.divide(shear, normal, out=np.full(len(shear), np.inf), where=pressed & (normal > 0.0))
