"""Commanded paths that a fault needs beyond :mod:`femnn.multiscale.grains.commands`: long slip, cycles, tractions.

Lengths are in mean grain diameters d, pressures in p0.
"""

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.path_data import PathCommand

#: What these paths do: slip far under a constant pressure; turn back and forth up to 30 times; cycle the shear traction
#: under a constant pressure; cycle the pressure under a constant shear traction; lose pressure under a constant shear
#: traction until they slide, and get it back; shear after an overconsolidation up to 20; shear while the pressure jumps
#: between 0.05 and 10; pause under shear, at rest or unloaded, and shear on.
FAULT_KINDS = (
    "long-slip", "reversals", "stress-cycles", "pressure-cycles", "falling-pressure", "overconsolidated",
    "levels", "rest",
)  # fmt: skip

#: What further paths do, of which the first kinds have few: turn back and forth by about a diameter, after a way or at
#: once; the same by hundredths of one; slip to 22 d, and turn back in a third of the paths; shear, lose up to nineteen
#: twentieths of the pressure at rest or on the way, shear back or on, and get some of the pressure back.
FURTHER_KINDS = ("wide-reversals", "small-reversals", "far-slip", "unloaded")

#: Commands of these kinds have numbers from here on.
FIRST_FURTHER = 10_000

#: Paths with known commands that benchmarks measure laws on, never training: name and command, in this order.
REFERENCES = (
    "slip-0.2", "slip-1", "slip-4", "stress-cycles", "pressure-cycles", "small-cycles", "large-cycles",
    "falling-pressure",
)  # fmt: skip

#: Reference paths have numbers from here on, in the order of :data:`REFERENCES`.
FIRST_REFERENCE = 20_000

# Pressures: to prepare, by this share of a path.
_SETTLED = 0.06


@checked(number="[0, inf]", points="[60, inf)")
def draw_fault_path(number: int, points: int = 160) -> PathCommand:
    """The commanded path with a number, the same for every sample.

    Kinds of :data:`FAULT_KINDS` take turns, and from :data:`FIRST_FURTHER` on those of :data:`FURTHER_KINDS`.

    Examples
    --------
    >>> from femnn.multiscale.grains import draw_fault_path
    >>> path = draw_fault_path(2, points=100)
    >>> path.control, path.kind, path.shear.shape
    ('traction', 'stress-cycles', (100, 2))
    """
    draws = np.random.default_rng([number, 11])
    return _DRAWN[_kind(number)](draws, points)


def _kind(number):
    kinds, first = (FURTHER_KINDS, FIRST_FURTHER) if number >= FIRST_FURTHER else (FAULT_KINDS, 0)
    return kinds[(number - first) % len(kinds)]


@checked(name="any", points="[60, inf)")
def reference_path(name: str, points: int = 160) -> PathCommand:
    """A path of :data:`REFERENCES`.

    ``slip-P``: 20 d under the pressure P; ``stress-cycles``: 25 of the shear traction between 0.1 and 0.3;
    ``pressure-cycles``: 25 of the pressure between 1 and 0.7 under the shear traction 0.3; ``small-cycles`` and
    ``large-cycles``: 12 of ±0.026 d, 6 of ±0.5 d; ``falling-pressure``: from 1 to 0.3 under the shear traction 0.3.

    Examples
    --------
    >>> from femnn.multiscale.grains import reference_path
    >>> float(reference_path("slip-1").separation[-1, 1])
    20.0
    """
    if name not in REFERENCES:
        raise ParameterError(f"name={name!r} is not allowed; it must be one of {', '.join(REFERENCES)}")
    if name.startswith("slip-"):
        # dense at first, where the peak is: the step grows from a hundredth of d
        slip = 20.0 * np.linspace(0.0, 1.0, points) ** 1.6
        return _sheared(slip, _settled(points, float(name[5:])), "long-slip")
    if name == "stress-cycles":
        return _tractions(_cycles(0.0, 0.1, 0.3, 25), np.ones(51), points, "stress-cycles")
    if name == "pressure-cycles":
        pressure = np.concatenate([[1.0], _cycles(1.0, 1.0, 0.7, 25)])
        return _tractions(np.minimum(np.arange(len(pressure)), 1) * 0.3, pressure, points, "pressure-cycles")
    if name in ("small-cycles", "large-cycles"):
        reach, count = (0.026, 12) if name == "small-cycles" else (0.5, 6)
        slip = np.concatenate([[0.0], np.tile([reach, -reach], count)])
        return _sheared(_polyline(slip, points), np.ones(points), "reversals")
    return _tractions(np.array([0.0, 0.3, 0.3]), np.array([1.0, 1.0, 0.3]), points, "falling-pressure")


def fault_plan(paths: int, samples: int, each: int, further: int = 0) -> list[tuple[int, int]]:
    """Command and sample of each of so many paths at least: references on the first samples, drawn ones on others.

    ``each`` of as many samples again, which take turns, follow a drawn command; ``further`` commands are of
    :data:`FURTHER_KINDS`, beside those paths.

    Examples
    --------
    >>> from femnn.multiscale.grains.fault_commands import fault_plan
    >>> fault_plan(28, 3, 2)[-4:]
    [(0, 3), (0, 4), (1, 5), (1, 3)]
    """
    references = -(-min(paths, len(REFERENCES) * samples) // samples)
    plan = [(FIRST_REFERENCE + i, k) for i in range(references) for k in range(samples)]
    drawn = -(-max(0, paths - len(plan)) // each)
    numbers = [*range(drawn), *range(FIRST_FURTHER, FIRST_FURTHER + further)]
    return plan + [(n, samples + (each * n + k) % samples) for n in numbers for k in range(each)]


def fault_path(number: int, points: int) -> PathCommand:
    """The command with a number of :func:`fault_plan`."""
    if number >= FIRST_REFERENCE:
        return reference_path(REFERENCES[number - FIRST_REFERENCE], points)
    return draw_fault_path(number, points)


def is_reference(numbers: np.ndarray) -> np.ndarray:
    """Which numbers (n,) are those of reference paths."""
    return numbers >= FIRST_REFERENCE


def is_unseen(numbers: np.ndarray) -> np.ndarray:
    """Which numbers (n,) of drawn commands no law is trained on: one in five of each kind, and all references."""
    further = (numbers - FIRST_FURTHER) // len(FURTHER_KINDS)
    turn = np.where(numbers >= FIRST_FURTHER, further, numbers // len(FAULT_KINDS))
    return is_reference(numbers) | (turn % 5 == 1)


def _cycles(start, low, high, count):
    return np.concatenate([[start], np.tile([high, low], count)])


def _polyline(corners, points):
    """``points`` on a line of corners, in equal lengths; all corners that fit are points."""
    length = np.append(0.0, np.cumsum(np.abs(np.diff(corners)) + 1e-9))
    at = np.linspace(0.0, length[-1], points)
    inner = length[1:-1]
    if len(inner):
        at[np.clip(np.searchsorted(at, inner), 1, points - 2)] = inner
        at = np.sort(at)
    return np.interp(at, length, corners)


def _settled(points, pressure):
    """Pressures that go from 1 to their value at first, evenly in their logarithm."""
    share = np.minimum(np.linspace(0.0, 1.0, points) / _SETTLED, 1.0)
    return np.exp(share * np.log(pressure))


def _sheared(slip, load, kind, stiffness=0.0):
    separation = np.zeros((len(slip), 3))
    separation[:, 1] = slip
    return PathCommand(separation, load, stiffness, "stiffness" if stiffness else "load", kind)


def _tractions(shear, load, points, kind):
    """Corners of shear traction and pressure, each leg with about the same number of points."""
    place = np.linspace(0.0, len(shear) - 1, points)
    place[np.clip(np.round(np.arange(len(shear)) * (points - 1) / (len(shear) - 1)).astype(int), 0, points - 1)] = (
        np.arange(len(shear))
    )
    course = np.zeros((points, 2))
    course[:, 0] = np.interp(place, np.arange(len(shear)), shear)
    pressure = np.interp(place, np.arange(len(shear)), load)
    return PathCommand(np.zeros((points, 3)), pressure, 0.0, "traction", kind, course)


def _between(draws, low, high, size=None):
    """Evenly in the logarithm."""
    return np.exp(draws.uniform(np.log(low), np.log(high), size))


def _long_slip(draws, points):
    reach, power = _between(draws, 3.0, 15.0), draws.uniform(1.0, 2.0)
    stiffness = float(_between(draws, 0.5, 10.0)) if draws.uniform() < 0.25 else 0.0
    slip = reach * np.linspace(0.0, 1.0, points) ** power
    return _sheared(slip, _settled(points, _between(draws, 0.1, 5.0)), "long-slip", stiffness)


def _reversals(draws, points):
    turns, reach = int(draws.integers(6, 31)), _between(draws, 0.01, 0.6)
    ends = reach * draws.uniform(0.6, 1.0, turns) * (-1.0) ** np.arange(turns) + draws.choice([0.0, reach])
    slip = _polyline(np.append(0.0, ends), points)
    return _sheared(slip, _settled(points, _between(draws, 0.3, 3.0)), "reversals")


def _stress_cycles(draws, points):
    pressure, count = _between(draws, 0.4, 2.5), int(draws.integers(12, 26))
    low, high = draws.uniform(-0.25, 0.2), draws.uniform(0.25, 0.4)
    shear = pressure * np.append(0.0, _cycles(0.0, low, high, count))
    return _tractions(shear, np.append(1.0, np.full(len(shear) - 1, pressure)), points, "stress-cycles")


def _pressure_cycles(draws, points):
    shear, count = draws.uniform(0.15, 0.32), int(draws.integers(12, 26))
    lowest = draws.uniform(shear / 0.46, 0.9)
    pressure = np.append(1.0, _cycles(1.0, draws.uniform(1.0, 1.5), lowest, count))
    return _tractions(shear * np.minimum(np.arange(len(pressure)), 1), pressure, points, "pressure-cycles")


def _falling_pressure(draws, points):
    first, ratio = _between(draws, 0.5, 3.0), draws.uniform(0.1, 0.35)
    shear = ratio * first
    lowest = shear / draws.uniform(0.45, 0.9)
    back = draws.uniform(lowest, first)
    return _tractions(
        np.array([0.0, 0.0, shear, shear, shear, shear]),
        np.array([1.0, first, first, lowest, back, draws.uniform(lowest, back)]), points, "falling-pressure",
    )  # fmt: skip


def _overconsolidated(draws, points):
    high = _between(draws, 2.0, 10.0)
    low = high / _between(draws, 2.0, 20.0)
    times = np.linspace(0.0, 1.0, points)
    load = np.exp(np.interp(times, [0.0, 0.12, 0.24, 1.0], np.log([1.0, high, low, low])))
    slip = np.interp(times, [0.0, 0.24, 1.0], [0.0, 0.0, _between(draws, 0.8, 4.0)])
    return _sheared(slip, load, "overconsolidated")


def _levels(draws, points):
    times = np.linspace(0.0, 1.0, points)
    levels = _between(draws, 0.05, 10.0, 6)
    corners = np.concatenate([[0.0], *([0.16 * i + 0.02, 0.16 * i + 0.14] for i in range(6)), [1.0]])
    load = np.exp(np.interp(times, corners, np.log([1.0, *np.repeat(levels, 2), levels[-1]])))
    turns = draws.integers(0, 3)
    ends = np.cumsum(draws.uniform(0.3, 1.5, turns + 1) * (-1.0) ** np.arange(turns + 1))
    return _sheared(_polyline(np.append(0.0, ends), points), load, "levels")


def _rest(draws, points):
    times = np.linspace(0.0, 1.0, points)
    first, back, second = draws.uniform(0.1, 1.5), draws.choice([0.0, 0.02, 0.05]), draws.uniform(0.3, 1.5)
    slip = np.interp(times, [0.0, 0.35, 0.4, 0.6, 1.0], [0.0, first, first - back, first - back, first + second])
    return _sheared(slip, _settled(points, _between(draws, 0.3, 3.0)), "rest")


def _wide_reversals(draws, points):
    turns, reach = int(draws.integers(2, 10)), _between(draws, 0.25, 1.2)
    ends = reach * draws.uniform(0.7, 1.0, turns) * (-1.0) ** np.arange(turns) + draws.choice([0.0, 0.0, 1.5 * reach])
    slip = _polyline(np.append(0.0, ends), points)
    return _sheared(slip, _settled(points, _between(draws, 0.2, 4.0)), "wide-reversals")


def _small_reversals(draws, points):
    turns, reach = int(draws.integers(8, 25)), _between(draws, 0.005, 0.06)
    way = draws.choice([0.0, 0.0, _between(draws, 0.1, 1.5)])
    ends = way + reach * draws.uniform(0.8, 1.0, turns) * (-1.0) ** np.arange(turns)
    # the way before takes a quarter of the points, though it is the longer one
    before = points // 4 if way else 1
    slip = np.append(np.linspace(0.0, way, before), _polyline(np.append(way, ends), points - before + 1)[1:])
    return _sheared(slip, _settled(points, _between(draws, 0.3, 4.0)), "small-reversals")


def _far_slip(draws, points):
    reach, power = _between(draws, 12.0, 22.0), draws.uniform(1.0, 1.4)
    back = points // 5 if draws.uniform() < 1.0 / 3.0 else 0
    slip = reach * np.linspace(0.0, 1.0, points - back) ** power
    if back:
        slip = np.append(slip, reach - np.linspace(0.0, draws.uniform(0.5, 2.0), back + 1)[1:])
    return _sheared(slip, _settled(points, _between(draws, 0.1, 5.0)), "far-slip")


def _unloaded(draws, points):
    times = np.linspace(0.0, 1.0, points)
    high = _between(draws, 1.0, 10.0)
    low = high / _between(draws, 3.0, 20.0)
    back = _between(draws, low, high)
    load = np.exp(
        np.interp(times, [0.0, 0.08, 0.35, 0.5, 0.8, 0.9, 1.0], np.log([1.0, high, high, low, low, back, back]))
    )
    first, meanwhile = draws.uniform(0.1, 1.0), draws.choice([0.0, draws.uniform(0.02, 0.3)])
    then, last = draws.uniform(0.3, 1.2, 2) * draws.choice([-1.0, -1.0, 1.0], 2)
    slip = np.cumsum([0.0, 0.0, first, meanwhile, then, 0.0, last])
    return _sheared(np.interp(times, [0.0, 0.05, 0.35, 0.5, 0.8, 0.84, 1.0], slip), load, "unloaded")


_DRAWN = dict(
    zip(
        (*FAULT_KINDS, *FURTHER_KINDS),
        (
            _long_slip, _reversals, _stress_cycles, _pressure_cycles, _falling_pressure, _overconsolidated, _levels,
            _rest, _wide_reversals, _small_reversals, _far_slip, _unloaded,
        ),
        strict=True,
    )
)  # fmt: skip
