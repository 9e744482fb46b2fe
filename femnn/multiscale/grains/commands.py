"""Paths that a layer of grains is commanded to follow: by displacement, or by load or stiffness normal to it."""

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.path_data import PathCommand

#: What the paths of :func:`draw_path` do: shear with unloading and reloading; shear to and fro; shear that wanders;
#: load and unload in the normal direction, fresh or sheared before; shear that turns in the plane; shear, then open
#: until the grains lose touch, in half of the paths close again and shear on.
KINDS = ("shear", "cyclic", "random", "normal", "turning", "opening")

#: Paths of the kind ``"opening"`` have numbers from here on.
OPENINGS = 10_000

# Of the dilation line, fitted to six runs under constant pressure (rms 0.03 d): ratio without change of volume, what a
# dense layer has more, shear after which the ratio has followed a turn, opening per shear and excess of ratio, opening
# of the loose layer.
_CRITICAL, _EXCESS, _MEMORY, _RATE, _LOOSE = 0.20, 1.0, 0.40, 0.49, 0.123

# Of a layer without shear, d for a unit of (pressure / p0)^(2/3), above and below p0.
_CLOSING, _OPENING = 0.05, 0.09

_WAVES = 12


@checked(points="[1, inf)")
def constant_load(distance: float, points: int = 140, load: float = 1.0, unloading: float = 0.0) -> PathCommand:
    """Shear along x by ``distance`` d under a constant pressure (p0), at the end back by ``unloading`` d.

    Examples
    --------
    >>> from femnn.multiscale.grains import constant_load
    >>> path = constant_load(1.0, points=20)
    >>> path.control, path.separation.shape, float(path.separation[-1, 1])
    ('load', (20, 3), 1.0)
    """
    course = _along(np.array([[0.0, 0.0], [distance, 0.0], [distance - unloading, 0.0]]), np.ones(points - 1))
    return PathCommand(_sheared(course), np.full(points, float(load)), 0.0, "load", "shear")


@checked(paths="[1, inf)", seeds="[1, inf)")
def plan_paths(paths: int = 320, seeds: int = 5) -> list[tuple[int, int]]:
    """Rows of a data set: number of the commanded path and seed of the sample of each.

    All samples follow a sixteenth as many paths as there are rows, and a quarter as many again that open the layer; the
    other rows are paths of the first sample, of which so many open it that they are a fifth of the rows or so: little
    is known of a layer that comes apart.

    Examples
    --------
    >>> from femnn.multiscale.grains import plan_paths
    >>> rows = plan_paths(paths=32, seeds=2)
    >>> len(rows), rows[:2]
    (32, [(0, 0), (0, 1)])
    """
    if seeds < 1 or paths < seeds:
        raise ParameterError(f"paths={paths}, seeds={seeds}: there must be a seed, and a path for each")
    opening = 3 * paths // 16
    shared = 0 if seeds == 1 else max(1, paths // 16)
    followed = [*range(shared), *(OPENINGS + number for number in range(shared // 4))]
    rows = [(number, seed) for number in followed for seed in range(seeds)]
    rows += [(OPENINGS + number, 0) for number in range(shared // 4, opening)]
    return rows + [(number, 0) for number in range(shared, shared + paths - len(rows))]


@checked(number="[0, inf]", points="[1, inf)")
def draw_path(number: int, points: int = 140) -> PathCommand:
    """The commanded path with a number, in d and p0: the same for every sample; controls and kinds take turns.

    >>> path = draw_path(3, points=20)
    >>> path.control, path.kind, path.separation.shape
    ('displacement', 'normal', (20, 3))
    """
    draws = np.random.default_rng([number, 7])
    if number >= OPENINGS:
        return PathCommand(_opening(draws, points), np.ones(points), 0.0, "displacement", "opening")
    # 5 kinds and 4 places of controls: every pair comes once in twenty
    control = ("displacement", "load", "stiffness", "displacement")[number % 4]
    kind = KINDS[number % 5]
    steps = draws.uniform(0.5, 1.0, points - 1)
    course, load = _COURSES[kind](draws, steps)
    if kind != "normal":
        lowest, highest = (0.15, 2.0) if control == "displacement" else (0.3, 3.0)
        load = _levels(draws, points, lowest, highest, varying=kind == "random")
    separation = _sheared(course)
    stiffness = 0.0
    if control == "displacement":
        separation[:, 0] = _openings(draws, course, load, kind)
    elif control == "stiffness":
        stiffness = float(np.exp(draws.uniform(np.log(1.0), np.log(20.0))))
    return PathCommand(separation, load, stiffness, control, kind)


@checked(course="k 2")
def dilation_line(course: np.ndarray) -> np.ndarray:
    """About how far a layer opens under constant pressure while it is sheared along ``course`` (k, 2), d.

    Taylor's stress-dilatancy: it opens by the excess of the stress ratio in the direction of shear over the critical
    one. The ratio follows the direction of shear with a short memory, so that a reversal contracts the layer; what it
    can reach falls as the layer loosens.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import dilation_line
    >>> course = np.column_stack([np.linspace(0.0, 1.0, 50), np.zeros(50)])
    >>> opening = dilation_line(course)
    >>> float(opening[0]), bool(opening[-1] > 0.0)
    (0.0, True)
    """
    opening, ratio = np.zeros(len(course)), np.zeros(2)
    for point, step in enumerate(np.diff(course, axis=0)):
        length = np.hypot(*step)
        towards = step / length if length > 0.0 else np.zeros(2)
        most = _CRITICAL + _EXCESS * (1.0 - opening[point] / _LOOSE)
        ratio = ratio + (most * towards - ratio) * (1.0 - np.exp(-length / _MEMORY))
        opening[point + 1] = opening[point] + _RATE * (ratio @ towards - _CRITICAL) * length
    return opening


def _sheared(course):
    return np.concatenate([np.zeros((len(course), 1)), course], axis=1)


def _along(corners, steps):
    """Points (k, 2) on a polyline, their distances in proportion to ``steps`` (k - 1,)."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    place = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum() * lengths[-1]
    return np.stack([np.interp(place, lengths, corners[:, axis]) for axis in range(2)], axis=1)


def _direction(draws):
    """Mostly along x, to or fro; sometimes any."""
    angle = draws.uniform(0.0, 2.0 * np.pi) if draws.uniform() < 0.2 else np.pi * draws.integers(2)
    return np.array([np.cos(angle), np.sin(angle)])


def _shear(draws, steps):
    reach = draws.uniform(0.8, 2.2)
    stops = np.sort(draws.uniform(0.1, 1.0, draws.integers(0, 4))) * reach
    back = draws.uniform(0.05, 0.4, len(stops))
    corners = [0.0, *np.stack([stops, stops - back], axis=1).ravel(), reach]
    return _along(np.outer(corners, _direction(draws)), steps), None


def _cyclic(draws, steps):
    reach, total = draws.uniform(0.1, 0.6), draws.uniform(1.5, 2.6)
    ends = [0.0]
    sign = 1.0
    while total > 0.0:
        ends.append(sign * reach * draws.uniform(0.6, 1.0))
        total -= abs(ends[-1] - ends[-2])
        sign = -sign
    return _along(np.outer(ends, _direction(draws)), steps), None


def _random(draws, steps):
    times = np.linspace(0.0, 1.0, 400)
    walk = np.stack([_wave(draws, times, 12.0) for _ in range(2)], axis=1)
    if draws.uniform() < 0.6:
        walk[:, 1] = 0.0
    length = np.linalg.norm(np.diff(walk, axis=0), axis=1).sum()
    return _along(walk * draws.uniform(1.2, 2.6) / length, steps), None


def _normal(draws, steps):
    """Load and unload; shear before in half of the paths."""
    first = int(draws.integers(0, 2)) * len(steps) // 3
    course = np.zeros((len(steps) + 1, 2))
    if first:
        course[: first + 1] = _along(np.outer([0.0, draws.uniform(0.2, 0.8)], _direction(draws)), steps[:first])
        course[first + 1 :] = course[first]
    peaks = np.exp(draws.uniform(np.log(1.5), np.log(5.0), 3))
    floors = np.exp(draws.uniform(np.log(0.05), np.log(0.9), 3))
    corners = np.log([1.0, *np.stack([peaks, floors], axis=1).ravel(), 1.0])
    times = np.linspace(0.0, len(corners) - 1, len(steps) + 1 - first)
    load = np.ones(len(steps) + 1)
    load[first:] = np.exp(np.interp(times, np.arange(len(corners)), corners))
    return course, load


def _turning(draws, steps):
    angles = np.cumsum([np.pi * draws.integers(2), *draws.uniform(0.5, 2.6, 2) * draws.choice([-1.0, 1.0], 2)])
    legs = draws.uniform(0.4, 0.9, 3)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _along(np.concatenate([np.zeros((1, 2)), np.cumsum(legs, axis=0)]), steps), None


def _opening(draws, points):
    """Separations: shear, open with or without shear, then close and shear, or open further."""
    before, after = draws.uniform(0.0, 0.8), draws.uniform(0.2, 0.6)
    meanwhile = draws.choice([0.0, draws.uniform(0.05, 0.3)])
    reach, closed = draws.uniform(0.08, 0.3), draws.uniform(-0.05, 0.0)
    corners = [0.0, 0.3, 0.55, 0.65, 0.85, 1.0]
    sheared = np.cumsum([0.0, before, meanwhile, meanwhile / 2.0, meanwhile / 2.0, after])
    opened = np.array([0.0, 0.0, reach, reach, *draws.choice([[closed, closed], [1.2 * reach, 1.5 * reach]])])
    times = np.linspace(0.0, 1.0, points)
    course = np.outer(np.interp(times, corners, sheared), _direction(draws))
    separation = _sheared(course)
    separation[:, 0] = dilation_line(course) + np.interp(times, corners, opened)
    return separation


_COURSES = dict(zip(KINDS, (_shear, _cyclic, _random, _normal, _turning), strict=False))


def _wave(draws, times, most):
    """A smooth random course from zero, of about unit size."""
    frequency = draws.normal(size=_WAVES) * draws.uniform(2.0, most)
    phase = draws.uniform(0.0, 2.0 * np.pi, _WAVES)
    wave = np.cos(times[:, None] * frequency + phase).sum(axis=1) * np.sqrt(2.0 / _WAVES)
    return wave - wave[0]


def _levels(draws, points, lowest, highest, varying):
    """Loads: soon at a level that is kept, or that wanders."""
    times = np.linspace(0.0, 1.0, points)
    level = draws.uniform(np.log(lowest), np.log(highest)) * np.minimum(times / 0.08, 1.0)
    return np.exp(np.clip(level + (0.4 * _wave(draws, times, 12.0) if varying else 0.0), np.log(0.15), np.log(5.0)))


def _openings(draws, course, load, kind):
    """About the dilation line; a layer opens and closes by some hundredths of d for a factor of its pressure."""
    times = np.linspace(0.0, 1.0, len(course))
    pressed = np.where(load > 1.0, _CLOSING, _OPENING) * (1.0 - load ** (2 / 3))
    wander = 0.0 if kind == "normal" else draws.uniform(0.0, 0.03) * _wave(draws, times, 8.0)
    return dilation_line(course) + pressed + wander
