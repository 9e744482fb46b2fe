"""Paths on which cells are driven, so that laws can learn their response: shear under pressure, cycles, normal loading.

The opening of a precompressed fault cannot be drawn: a little less than what its dilation asks for, and the pressure is
a multiple. So most paths prescribe the shear, and the normal direction by its pressure, or by a spring whose pressure
grows with the opening as that of the rock around does.
"""

from dataclasses import dataclass, replace

import numpy as np

from femnn.checks import checked, positive
from femnn.cohesive.law import Law
from femnn.cohesive.paths import separation_paths
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.exceptions import ParameterError
from femnn.io.path_data import PathCommand
from femnn.multiscale.rve.state import Spring

#: Kinds of paths, in the order in which numbers go through them.
KINDS = ("shear", "cyclic", "normal", "random", "opening", "injection")

# Pressures over the one that the law starts under: log-uniform.
_PRESSURES = 0.1, 3.0

# Springs: their pressure grows by this fraction of the first one while the cell is sheared as far as paths reach, times
# what a dilation of a tenth of the shear makes of it.
_SPRINGS = 0.05, 2.0

# Cycles of tractions: how many; their largest shear traction over the first pressure, and their smallest over this.
_CYCLES, _STRENGTHS, _LOWEST = (3, 9), (0.1, 0.35), (-1.0, 0.6)
# Pressures that shear tractions are cycled under, and to which pressure falls in cycles, over the first one.
_HELD, _FALLEN = (0.8, 1.5), (0.7, 0.95)

# Corners of the direction of shear, in space.
_TURNS = 5

# Of the first pressure over the stiffness of the virgin law: prescribed openings.
_OPENINGS = -0.6, 1.5


@dataclass(frozen=True)
class WorkingRange:
    """Range of paths: shear (m), pressure (Pa), normal stiffness of the virgin law (Pa/m); true if it starts pressed.

    A law that starts without traction is pressed by a tenth of its largest traction.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import WorkingRange
    >>> WorkingRange.of(femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0), reach=1e-4).shear
    0.0001
    """

    shear: float
    pressure: float
    stiffness: float
    precompressed: bool

    @classmethod
    @checked()
    def of(cls, law: Law, reach: float | None = None) -> "WorkingRange":
        """Range that fits a law; ``reach`` is the largest shear.

        Default: nine tenths of what a recurrent law was trained on, the separation scale of a classical one.
        """
        virgin = law.update(np.zeros((1, 3)), law.initial_state(1))
        pressure = -float(virgin.traction[0, 0])
        stiffness = float(virgin.tangent[0, 0, 0])
        trained, strength = 1.0 / 0.9, getattr(law, "normal_strength", None)
        if isinstance(law, RecurrentCohesive):
            trained, strength = float(law.card["trained_range"]["high"][1]), law.traction_scale
        if reach is None:
            reach = 0.9 * trained * law.separation_scale
        if pressure > 0.0:
            return cls(positive("reach", reach), pressure, stiffness, True)
        if strength is None:
            raise ParameterError(f"{law.name} has no strength and no pressure; paths have nothing to be scaled by")
        return cls(positive("reach", reach), 0.1 * float(strength), stiffness, False)


@checked()
def springs_of(command: PathCommand) -> list[Spring | tuple[Spring, ...] | None]:
    """Spring that holds the normal direction at each point of a command; None where its opening is prescribed.

    Under ``control="traction"`` one of the normal direction and one of each shear.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.rve import PathCommand, springs_of
    >>> pressed = PathCommand(np.zeros((3, 2)), np.array([1e6, 2e6, 3e6]), control="load")
    >>> springs_of(pressed)[1]
    Spring(load=-2000000.0, stiffness=0.0)
    """
    if command.shear is not None:
        pulled = zip(command.load[1:], command.shear[1:], strict=True)
        return [None, *((Spring(-float(load)), *(Spring(float(each)) for each in shear)) for load, shear in pulled)]
    if command.control == "displacement":
        return [None] * len(command)
    # at the first point the cell is virgin
    return [None, *(Spring(-float(load), command.stiffness) for load in command.load[1:])]


@checked(points="[10, inf)", seed="[0, inf]", number="[0, inf]", shears="[1, 2]")
def draw_path(number: int, points: int, working: WorkingRange, seed: int = 0, shears: int = 1) -> PathCommand:
    """The commands of path ``number``: the same ones for the same working range and seed, whatever the cell.

    Separations (k, 1 + shears) and loads are in the units of the working range.

    Parameters
    ----------
    number
        Its kind is that of its place in :data:`KINDS`, over and over.
    points
        At least 10, the zero at the beginning included.
    working : WorkingRange
    shears
        1 for a cell in plane strain. With 2, a path is that of the plane in some upright plane, which turns about the
        normal from corner to corner: by little or by much, or not at all in a third of the paths.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import WorkingRange, draw_path
    >>> working = WorkingRange.of(femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0))
    >>> path = draw_path(0, 20, working)
    >>> path.kind, path.separation.shape
    ('shear', (20, 2))
    """
    if shears == 2:
        return _turning(draw_path(number, points, working, seed), np.random.default_rng([seed, number, 1]))
    kind = KINDS[number % len(KINDS)]
    draws = np.random.default_rng([seed, number])
    if kind == "opening":
        return _opening(draws, number, points, working, seed)
    shear, pressure = _CORNERS[kind](draws)
    start = 1.0 if working.precompressed else 0.0
    corners = np.column_stack([np.append(0.0, shear), np.append(start, pressure)])
    course = _along(draws, corners, points, [1.0, 0.5])
    stiffness, control = 0.0, "load"
    if draws.uniform() < 0.5:
        grown = np.exp(draws.uniform(*np.log(_SPRINGS)))
        stiffness, control = grown * working.pressure / (0.1 * working.shear), "stiffness"
    separation = np.column_stack([np.zeros(points), working.shear * course[:, 0]])
    return PathCommand(separation, course[:, 1] * working.pressure, float(stiffness), control, kind)


@checked(points="[10, inf)", seed="[0, inf]", number="[0, inf]", shears="[1, 2]")
def draw_cycles(number: int, points: int, working: WorkingRange, seed: int = 0, shears: int = 1) -> PathCommand:
    """Cycles of tractions on a cell that starts under pressure: of the shear traction, or of the pressure under one.

    Even numbers cycle the shear traction, odd ones the pressure; the shear is along its first direction, forward or
    back. Parameters are those of :func:`draw_path`.

    Raises
    ------
    ParameterError
        If the working range is that of a law which starts without pressure.

    Examples
    --------
    >>> from femnn.multiscale.rve import WorkingRange, draw_cycles, law_named
    >>> path = draw_cycles(0, 40, WorkingRange.of(law_named("fault-grains")))
    >>> path.kind, path.shear.shape
    ('traction-cycles', (40, 1))
    """
    if not working.precompressed:
        raise ParameterError(
            "a cell whose law starts without pressure bears no cycles of shear traction; leave them out"
        )
    draws = np.random.default_rng([seed, number, 2])
    cycles, shear = draws.integers(*_CYCLES), draws.uniform(*_STRENGTHS)
    if number % 2:
        pressures = np.append(1.0, np.tile([1.0, draws.uniform(*_FALLEN)], cycles))
        corners = np.column_stack([pressures, np.append(0.0, np.full(2 * cycles, shear))])
    else:
        tractions = np.tile([1.0, draws.uniform(*_LOWEST)], cycles) * shear
        corners = np.column_stack(
            [np.append(1.0, np.full(2 * cycles, draws.uniform(*_HELD))), np.append(0.0, tractions)]
        )
    course = working.pressure * _along(draws, corners, points, [1.0, 1.0])
    sheared = np.zeros((points, shears))
    sheared[:, 0] = draws.choice([-1.0, 1.0]) * course[:, 1]
    return PathCommand(
        np.zeros((points, 1 + shears)), course[:, 0], control="traction", kind="traction-cycles", shear=sheared
    )


def is_unseen(numbers: np.ndarray) -> np.ndarray:
    """Which numbers (n,) of paths no law of several cells is trained on: one in five of each kind.

    Examples
    --------
    >>> from femnn.multiscale.rve.commands import is_unseen
    >>> is_unseen(np.arange(30)).nonzero()[0]
    array([ 6,  7,  8,  9, 10, 11])
    """
    return np.asarray(numbers) // len(KINDS) % 5 == 1


def _turning(path, draws):
    """The same path with its shear in an upright plane that turns about the normal as shear goes on."""
    shear = path.separation[:, 1]
    way = np.abs(np.diff(shear, prepend=0.0)).cumsum()
    # once in a third of the paths the direction stays; in the others it turns by this in all, at random corners
    most = draws.choice([0.0, 0.5, np.pi])
    turns = np.cumsum(most * draws.uniform(-1.0, 1.0, _TURNS))
    angle = draws.uniform(0.0, 2.0 * np.pi) + np.interp(way, np.linspace(0.0, way[-1] or 1.0, _TURNS), turns)
    # what is driven in each direction is the sum of steps, so that the path does not jump when it turns far from zero
    steps = np.diff(shear, prepend=0.0)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    separation = np.column_stack([path.separation[:, 0], steps.cumsum(axis=0)])
    return replace(path, separation=separation)


def _pressures(draws, n):
    return np.exp(draws.uniform(*np.log(_PRESSURES), n))


def _shear(draws):
    """To some pressure, then one way."""
    pressure = _pressures(draws, 1)[0]
    reach = draws.choice([-1.0, 1.0]) * np.exp(draws.uniform(np.log(0.2), 0.0))
    return np.array([0.0, reach]), np.array([pressure, pressure])


def _cyclic(draws):
    """To some pressure, then to and fro, further in each cycle."""
    turns = draws.integers(2, 6)
    pressure = _pressures(draws, 1)[0]
    reach = np.sort(np.exp(draws.uniform(np.log(0.05), 0.0, turns)))
    signs = draws.choice([-1.0, 1.0]) * (-1.0) ** np.arange(turns)
    back = draws.choice([-1.0, 0.0, 0.5], turns)
    # some cycles end half-way
    reach = reach * np.where(signs * signs[0] > 0.0, 1.0, np.abs(back))
    return np.append(0.0, signs * reach), np.full(turns + 1, pressure)


def _normal(draws):
    """Sheared in parts; between them pressure comes and goes at rest."""
    parts = draws.integers(2, 5)
    shear = np.cumsum(draws.choice([-1.0, 1.0]) * draws.uniform(0.0, 1.0 / parts, parts))
    shear = np.repeat(np.append(0.0, shear), 2)[:-1]
    pressure = np.repeat(_pressures(draws, parts + 1), 2)[1:]
    return shear, np.append(pressure, pressure[-1])[: len(shear)]


def _random(draws):
    """Shear and pressure change together."""
    corners = draws.integers(3, 8)
    return draws.uniform(-1.0, 1.0, corners) * np.exp(draws.uniform(np.log(0.2), 0.0)), _pressures(draws, corners)


def _injection(draws):
    """Sheared a little under its pressure; then fluid takes the pressure away, and it slides further and further."""
    little, far = np.exp(draws.uniform(np.log((0.002, 0.1)), np.log((0.05, 1.0))))
    left = np.sort(draws.uniform(0.15, 1.0, 2))[::-1]
    sign = draws.choice([-1.0, 1.0])
    return sign * np.array([little, little * draws.uniform(1.0, 4.0), far]), np.array([1.0, *left])


_CORNERS = {"shear": _shear, "cyclic": _cyclic, "normal": _normal, "random": _random, "injection": _injection}


def _opening(draws, number, points, working, seed):
    """Opening and shear are both prescribed."""
    if not working.precompressed:
        path = separation_paths(number + 1, points, working.shear, "random", seed, closing=0.002)[number, :, :2]
        return PathCommand(path, np.zeros(points), kind="opening")
    corners = draws.integers(2, 6)
    opening = draws.uniform(*_OPENINGS, corners) * working.pressure / working.stiffness
    shear = draws.uniform(-1.0, 1.0, corners) * np.exp(draws.uniform(np.log(0.005), np.log(0.2))) * working.shear
    path = np.column_stack([np.append(0.0, opening), np.append(0.0, shear)])
    course = _along(draws, path, points, [working.stiffness / working.pressure, 1.0 / working.shear])
    return PathCommand(course, np.zeros(points), kind="opening")


def _along(draws, corners, points, weights):
    """Points (points, 2) along a polyline, dense and sparse in turns; lengths are measured with weights."""
    length = np.linalg.norm(np.diff(corners, axis=0) * weights, axis=1) + 1e-9
    place = np.append(0.0, np.cumsum(length)) / length.sum()
    steps = np.exp(0.4 * draws.normal(size=points - 1))
    times = np.append(0.0, np.cumsum(steps)) / steps.sum()
    # corners are points of the path
    if len(place) > 2:
        nearest = 1 + np.abs(times[1:-1, None] - place[1:-1]).argmin(axis=0)
        times[nearest] = place[1:-1]
        times = np.sort(times)
    return np.column_stack([np.interp(times, place, corner) for corner in corners.T])
