"""Viscous Burgers' equation in one dimension with a solution in closed form: a front that is carried and smeared.

    u_t + u u_x = u_xx / Re on 0 < x < 1,    u(x, t) = x / (t + 1) / (1 + √((t + 1)/t₀) exp(Re x² / (4 t + 4)))

with t₀ = exp(Re/8): the problem and the numbers of S. E. Ahmed, O. San, A. Rasheed and T. Iliescu, Physica D 405 (2020)
132412, who compare Galerkin projection, an LSTM and a hybrid of both at four modes.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.reduced.dynamics.rivals import GalerkinForecaster
from femnn.reduced.pod import POD
from femnn.reduced.quadratic import QuadraticGalerkin

#: Reynolds numbers of the training and of the tests.
REYNOLDS_TRAINING, REYNOLDS_TESTS = (200.0, 400.0, 600.0, 800.0), (500.0, 1000.0)


class BurgersWave:
    """The closed solution on ``cells`` + 1 vertices at ``steps`` + 1 times from 0 to 1.

    Examples
    --------
    >>> burgers = BurgersWave(64, steps=20)
    >>> burgers.solve(200.0).shape
    (21, 65)
    """

    @checked(cells="[4, inf)", steps="[1, inf)")
    def __init__(self, cells: int = 1024, *, steps: int = 1000) -> None:
        self.cells, self.steps, self.dt = cells, steps, 1.0 / steps
        self.x = np.linspace(0.0, 1.0, cells + 1)

    def __repr__(self) -> str:
        return f"BurgersWave({self.cells}, steps={self.steps})"

    @checked(reynolds="(0, 4000]")
    def solve(self, reynolds: float) -> np.ndarray:
        """The solution (steps + 1, cells + 1), a row for each time."""
        t = np.linspace(0.0, 1.0, self.steps + 1)[:, None]
        # one exponential of the difference: t₀ alone would overflow at large Reynolds numbers
        growth = np.exp(np.minimum(reynolds * self.x**2 / (4.0 * t + 4.0) - reynolds / 16.0, 700.0))
        return self.x / (t + 1.0) / (1.0 + np.sqrt(t + 1.0) * growth)

    @checked(modes="[1, inf)", training="r")
    def modes(self, modes: int = 4, training: ArrayLike = REYNOLDS_TRAINING) -> POD:
        """Modes of all snapshots at the Reynolds numbers of the ``training``, about their mean."""
        snapshots = np.concatenate([self.solve(reynolds) for reynolds in np.asarray(training)]).T
        return POD.fit(snapshots, modes=modes, offset=snapshots.mean(axis=1), method="randomised")

    @checked()
    def galerkin(self, pod: POD) -> GalerkinForecaster:
        """Galerkin's projection of the equation on some modes: central differences, trapezoidal rule.

        The Reynolds number is its parameter.
        """
        # viscosity is linear: a further unknown that is always 1 makes it a part of the bilinear form
        extended = POD(
            np.vstack([pod.modes, np.zeros(pod.r)]),
            pod.singular_values,
            np.append(pod.offset, 1.0),
            np.empty(0, dtype=np.int64),
            pod.low,
            pod.high,
        )

        def model(parameters: np.ndarray) -> QuadraticGalerkin:
            viscosity = 1.0 / float(parameters[0])
            return QuadraticGalerkin(extended, lambda w, z: self._bilinear(w, z, viscosity), progress=False)

        return GalerkinForecaster(model, np.zeros(self.cells + 2), pod.r, self.dt, 1)

    def _bilinear(self, w, z, viscosity):
        """(u v)_x / 2 - ν (a v_xx + b u_xx) / 2 of states (u, a) and (v, b), zero at both ends, where u is."""
        u, a, v, b = w[..., :-1], w[..., -1:], z[..., :-1], z[..., -1:]
        h = 1.0 / self.cells
        product, mixed = u * v, a * v + b * u
        result = np.zeros((*np.broadcast_shapes(w.shape, z.shape),))
        result[..., 1:-2] = (product[..., 2:] - product[..., :-2]) / (4.0 * h)
        result[..., 1:-2] -= 0.5 * viscosity / h**2 * (mixed[..., 2:] - 2.0 * mixed[..., 1:-1] + mixed[..., :-2])
        return result
