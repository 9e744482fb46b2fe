"""The pendulum by DeepXDE, a library of physics-informed networks, with torch as its backend."""

import contextlib
import os
import sys
from collections.abc import Callable

import numpy as np

from femnn.exceptions import MissingExtraError
from femnn.identification import SwingEquation


def solve_by_deepxde(
    equation: SwingEquation,
    theta: float,
    duration: float,
    *,
    hard: bool = True,
    adam: int = 2000,
    lbfgs: int = 3000,
    points: int = 100,
    seed: int = 0,
) -> Callable[[np.ndarray], np.ndarray]:
    """Angles as a function of times (n,), for a release at ``theta``: three layers of 32, Adam, then L-BFGS, float64.

    Parameters
    ----------
    hard
        Put the initial conditions into the output, in the same way as femnn does; else penalise them.

    Raises
    ------
    MissingExtraError
        If DeepXDE is not installed.
    """
    # it looks for the backend as it is imported, and says which it takes
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    import torch

    before = torch.get_default_dtype()
    # what it prints is no figure
    with contextlib.redirect_stdout(sys.stderr):
        try:
            import deepxde
        except ImportError as error:
            raise MissingExtraError("the rival needs DeepXDE: pip install 'femnn[bench]'") from error
        deepxde.config.set_default_float("float64")
        deepxde.config.set_random_seed(seed)
        try:
            return _trained(deepxde, torch, equation, theta, duration, hard, adam, lbfgs, points)
        finally:
            torch.set_default_dtype(before)


def _trained(deepxde, torch, equation, theta, duration, hard, adam, lbfgs, points):
    square = equation.square_frequency

    def residual(t, angle):
        speed = deepxde.grad.jacobian(angle, t)
        acceleration = deepxde.grad.hessian(angle, t)
        return (acceleration - equation.acceleration(angle, speed, torch)) / square

    time = deepxde.geometry.TimeDomain(0.0, duration)

    def at_begin(_, on_initial):
        return on_initial

    conditions = (
        []
        if hard
        else [
            deepxde.icbc.IC(time, lambda t: theta + 0.0 * t, at_begin),
            deepxde.icbc.OperatorBC(
                time, lambda t, angle, _: deepxde.grad.jacobian(angle, t), lambda t, _: bool(np.isclose(t[0], 0.0))
            ),
        ]
    )
    data = deepxde.data.PDE(time, residual, conditions, num_domain=points, num_boundary=2, train_distribution="uniform")
    network = deepxde.nn.FNN([1, 32, 32, 32, 1], "tanh", "Glorot uniform")
    network.apply_feature_transform(lambda t: 2.0 * t / duration - 1.0)
    if hard:
        network.apply_output_transform(lambda t, out: theta + square * t**2 / (1.0 + square * t**2) * out)
    model = deepxde.Model(data, network)
    model.compile("adam", lr=1e-3)
    model.train(iterations=adam, verbose=0)
    deepxde.optimizers.set_LBFGS_options(maxiter=lbfgs)
    model.compile("L-BFGS")
    model.train(verbose=0)
    return lambda t: np.asarray(model.predict(np.asarray(t, dtype=float)[:, None]))[:, 0]
