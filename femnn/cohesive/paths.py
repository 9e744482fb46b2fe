"""Separation paths on which laws are compared and recurrent laws are trained: seeded, of many kinds and step lengths.

A path is a polyline in (opening, shear, shear) that starts at zero. Between its points a law is loaded along straight
lines, so a path can be refined or coarsened without changing what it means.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of, positive
from femnn.cohesive.law import Law, State
from femnn.exceptions import ParameterError
from femnn.system.memory import require_memory

#: Every kind that :func:`separation_paths` draws.
KINDS = ("monotonic", "cyclic", "mixed", "random")

# Waves of a random walk: their sum is a Gaussian process with a squared-exponential covariance, up to O(1/waves).
_WAVES = 24


@checked(n="[1, inf)", steps="[2, inf)", seed="[0, inf]")
def separation_paths(
    n: int, steps: int, scale: float, kind: str = "random", seed: int = 0, closing: float = 0.02
) -> np.ndarray:
    """Draw separation paths.

    Parameters
    ----------
    n
        Number of paths.
    steps
        Points of each, the zero at the beginning included; at least 2.
    scale
        Separation of complete softening, m: a law's ``separation_scale``. Paths reach up to 1.3 of it.
    kind
        ``"monotonic"``: straight, of any mode. ``"cyclic"``: loading in one mode with unloading to a fraction, to zero
        or into closure, each cycle further. ``"mixed"``: the mode changes at every one of some corners. ``"random"``:
        a Gaussian process in all three components. ``"all"``: equal shares of these, in this order.
    seed
        The same seed gives the same paths.
    closing
        Interpenetration never exceeds this fraction of the scale.

    Returns
    -------
    (n, steps, 3) float64, m
        Lengths of steps differ between paths and along each by about a factor of ten.

    Raises
    ------
    ParameterError
        If a value is not allowed.

    Examples
    --------
    >>> from femnn.cohesive import separation_paths
    >>> paths = separation_paths(3, steps=50, scale=1e-5, kind="cyclic")
    >>> paths.shape, bool(abs(paths).max() < 1.3e-5), float(abs(paths[:, 0]).max())
    ((3, 50, 3), True, 0.0)

    See Also
    --------
    femnn.cohesive.respond : what a law answers along them
    """
    scale, closing = positive("scale", scale), positive("closing", closing)
    require_memory(24 * n * steps, f"{n:,} paths of {steps:,} points")
    if kind == "all":
        counts = [n // len(KINDS) + (i < n % len(KINDS)) for i in range(len(KINDS))]
        parts = [
            separation_paths(count, steps, scale, name, seed, closing)
            for name, count in zip(KINDS, counts, strict=True)
            if count
        ]
        return np.concatenate(parts)
    one_of("kind", kind, (*KINDS, "all"))
    draws = np.random.default_rng([seed, KINDS.index(kind)])
    times = _times(draws, n, steps)
    paths = {"monotonic": _monotonic, "cyclic": _cyclic, "mixed": _mixed, "random": _random}[kind](draws, times)
    opening = paths[..., 0]
    # smooth, with slope 1 at zero: a path that closes slides on
    paths[..., 0] = np.where(opening < 0.0, -closing * np.tanh(-opening / closing), opening)
    return scale * paths


@checked(paths="n s k", factor="[1, inf)")
def refined(paths: ArrayLike, factor: int) -> np.ndarray:
    """The same polylines with ``factor`` steps for each one: (n, 1 + factor·(steps − 1), 3).

    Examples
    --------
    >>> from femnn.cohesive import refined
    >>> refined([[[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]]], 2)
    array([[[0. , 0. , 0. ],
            [0.5, 0. , 1. ],
            [1. , 0. , 2. ]]])
    """
    paths = np.asarray(paths, dtype=np.float64)
    fraction = np.arange(factor) / factor
    between = paths[:, :-1, None] + fraction[:, None] * np.diff(paths, axis=1)[:, :, None]
    points = between.reshape(len(paths), between.shape[1] * factor, paths.shape[-1])
    return np.concatenate([points, paths[:, -1:]], axis=1)


@checked(paths="n s 3")
def respond(law: Law, paths: ArrayLike) -> tuple[np.ndarray, State]:
    """Tractions (n, steps, 3) of a law along paths from the virgin state, and the state at their ends.

    ParameterError for a law that depends on time: a path tells no times. Step it by yourself, with ``law.set_time``.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive import respond, separation_paths
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> tractions, state = respond(law, separation_paths(3, steps=50, scale=law.separation_scale))
    >>> tractions.shape, len(state)
    ((3, 50, 3), 3)
    """
    if law.depends_on_time:
        raise ParameterError(
            f"{law.name} depends on the rate, but a path tells no times; call law.set_time(t) and law.update for each "
            "step of yours"
        )
    paths = np.asarray(paths, dtype=np.float64)
    state = law.initial_state(len(paths))
    tractions = np.empty(paths.shape)
    for step in range(paths.shape[1]):
        tractions[:, step], _, state = law.update(paths[:, step], state)
    return tractions, state


def _times(draws, n, steps):
    """From 0 to 1, (n, steps), in steps of different lengths."""
    lengths = np.exp(draws.uniform(0.0, 1.0, (n, 1)) * draws.normal(0.0, 0.8, (n, steps - 1)))
    times = np.concatenate([np.zeros((n, 1)), np.cumsum(lengths, axis=1)], axis=1)
    return times / times[:, -1:]


def _directions(draws, n):
    """Unit vectors (n, 3) with positive opening, uniform in mode angle and in shear direction; pure modes included."""
    mode = draws.uniform(-0.15, 1.15, n).clip(0.0, 1.0) * np.pi / 2
    angle = draws.uniform(0.0, 2.0 * np.pi, n)
    return np.stack([np.cos(mode), np.sin(mode) * np.cos(angle), np.sin(mode) * np.sin(angle)], axis=1)


def _reaches(draws, shape):
    """Reach of paths in units of the scale, most of them between onset and complete softening."""
    return np.exp(draws.uniform(np.log(0.02), np.log(1.3), shape))


def _monotonic(draws, times):
    n = len(times)
    # quadratic in time: small steps about the peak, as a solver takes them
    course = times ** draws.uniform(1.0, 2.5, (n, 1))
    return _directions(draws, n)[:, None] * (_reaches(draws, (n, 1)) * course)[..., None]


def _cyclic(draws, times):
    n, corners = len(times), 9
    peaks = np.sort(_reaches(draws, (n, corners // 2)), axis=1)
    course = np.zeros((n, corners))
    course[:, 1::2] = peaks
    floor = draws.choice([-1.0, 0.0, 0.3], (n, corners // 2))
    course[:, 2::2] = floor * peaks
    directions = _directions(draws, n)
    paths = _polyline(course[..., None] * directions[:, None], times)
    # shear cycles under pressure: friction
    pressed = draws.uniform(size=n) < 0.5
    paths[pressed, :, 0] -= draws.uniform(0.0, 0.03, (pressed.sum(), 1)) * np.minimum(10 * times[pressed], 1.0)
    return paths


def _mixed(draws, times):
    n, corners = len(times), 7
    points = _directions(draws, n * corners).reshape(n, corners, 3) * _reaches(draws, (n, corners, 1))
    points[..., 0] *= draws.choice([1.0, 1.0, -0.05], (n, corners))
    points[:, 0] = 0.0
    return _polyline(points, times)


def _random(draws, times):
    n = len(times)
    frequency = draws.normal(size=(n, 3, _WAVES)) * np.exp(draws.uniform(np.log(2.0), np.log(12.0), (n, 1, 1)))
    phase = draws.uniform(0.0, 2.0 * np.pi, (n, 3, _WAVES))
    walk = np.stack(
        [np.cos(times[:, None] * frequency[:, i, :, None] + phase[:, i, :, None]).sum(axis=1) for i in range(3)],
        axis=-1,
    ) * np.sqrt(2.0 / _WAVES)
    walk -= walk[:, :1]
    size = _reaches(draws, (n, 1, 1)) * np.array([0.5, 0.5, 0.5])
    drift = np.array([0.4, 0.0, 0.0]) * draws.uniform(-0.5, 1.0, (n, 1, 1))
    return (size * (walk + drift * times[..., None])).clip(-1.3, 1.3)


def _polyline(corners, times):
    """Points (n, steps, 3) along polylines (n, corners, 3) at times that run from 0 to 1."""
    place = times * (corners.shape[1] - 1)
    piece = np.minimum(place.astype(int), corners.shape[1] - 2)
    start = np.take_along_axis(corners, piece[..., None], axis=1)
    end = np.take_along_axis(corners, piece[..., None] + 1, axis=1)
    return start + (place - piece)[..., None] * (end - start)
