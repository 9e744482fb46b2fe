"""Responses of precompressed, frictional layers as training data: targets, splits, other steps, rotated paths."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, instance
from femnn.cohesive.training.data import PathData
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.path_data import PathDataSet

#: Below this fraction of p0 ln t_n is not followed further down.
FLOOR = 1e-3
#: Below this fraction of p0 a layer counts as open: t_s/t_n means little there, and ln t_n runs into a pole. Errors and
#: scatter leave such points out, and whatever a law answers below counts as this share.
OPEN = 0.05

#: Microstructure by the name under which commands know it. Components of the fabric tensor: n along the normal, s and t
#: across; the last two are the ones that no scalar or vector holds, which only networks without symmetries take.
MICROSTRUCTURE = {
    "none": (),
    "porosity-coordination": ("porosity", "coordination"),
    "fabric": ("fabric_nn", "fabric_ns", "fabric_nt", "fabric_ss", "fabric_st"),
    "all": ("porosity", "coordination", "fabric_nn", "fabric_ns", "fabric_nt", "fabric_ss", "fabric_st"),
}
#: Pairs of columns that rotate with the shear.
VECTORS = (("fabric_ns", "fabric_nt"),)
#: Columns that rotate twice as fast as the shear.
TENSORS = ("fabric_ss", "fabric_st")

# Columns of a data set that go into the microstructure.
_MICRO = ("porosity", "coordination", "fabric")

# Separations below this are rounding errors of a position.
_REST = 1e-6
# Moves that turn by more are corners of a path, which resampling must not cut.
_CORNER = np.cos(np.radians(20.0))


@checked()
def layer_data(data: PathDataSet, rows: np.ndarray | Sequence[int] | slice = slice(None)) -> PathData:
    """Some rows of a data set as training data; see :func:`path_data`.

    Examples
    --------
    >>> from femnn.cohesive.training import layer_data
    >>> from femnn.multiscale.grains import load
    >>> data = layer_data(load(), slice(0, 5))
    >>> data.tractions.shape, sorted(data.microstructure)[:3]
    ((5, 140, 3), ['coordination', 'fabric_nn', 'fabric_ns'])
    """
    micro = {name: data.columns[name][rows] for name in _MICRO if name in data.columns}
    return path_data(data.separation[rows], data.traction[rows], **micro, about=data.about)


def mean_paths(data: PathDataSet, rows: np.ndarray) -> PathData:
    """The mean over samples of some rows of a data set, one for each path, in the order of their numbers."""
    paths = [rows[data.path[rows] == path] for path in np.unique(data.path[rows])]
    separation, traction = (
        np.array([values[same].mean(axis=0, dtype=float) for same in paths])
        for values in (data.separation, data.traction)
    )
    return path_data(separation, traction, about=data.about)


@checked(separation="any", traction="any")
def path_data(
    separation: ArrayLike,
    traction: ArrayLike,
    porosity: ArrayLike | None = None,
    coordination: ArrayLike | None = None,
    fabric: ArrayLike | None = None,
    about: dict | None = None,
) -> PathData:
    """Responses of a particle model or an RVE as training data.

    Parameters
    ----------
    separation, traction : (n, k, 3)
        Dimensionless (diameters and p0); opening and compression as everywhere: T_n < 0 under pressure.
    porosity, coordination : (n, k), optional
    fabric : (n, k, 3, 3), optional
        In the frame of the separation, normal first.
    about : dict
        For the card.

    Returns
    -------
    PathData

    Raises
    ------
    DatasetError
        If paths do not start at zero separation under pressure, or arrays do not fit or are not finite.

    Examples
    --------
    A layer that slides under a constant pressure, in diameters and pressures:

    >>> import numpy as np
    >>> from femnn.cohesive.training import path_data
    >>> slip = np.linspace(0.0, 0.5, 30)
    >>> separation = np.stack([0.0 * slip, slip, 0.0 * slip], axis=-1)[None]
    >>> traction = np.stack([-np.ones(30), np.minimum(slip / 0.1, 0.5), 0.0 * slip], axis=-1)[None]
    >>> path_data(separation, traction).tractions.shape
    (1, 30, 3)
    """
    separation, traction = (np.asarray(each, dtype=np.float64) for each in (separation, traction))
    if separation.ndim != 3 or separation.shape[2] != 3 or traction.shape != separation.shape:
        raise DatasetError(f"separations {separation.shape} and tractions {traction.shape} must both be (n, k, 3)")
    start = np.abs(separation[:, 0]).max(axis=1, initial=0.0)
    if not start.max(initial=0.0) < _REST:
        path = int(start.argmax())
        raise DatasetError(f"path {path} starts at the separation {separation[path, 0]}; it must start at zero")
    separation = separation.copy()
    separation[:, 0] = 0.0
    pressure = -traction[:, 0, 0]
    off = np.abs(pressure - 1.0)
    if not off.max(initial=0.0) < 0.25:
        path = int(off.argmax())
        raise DatasetError(
            f"path {path} starts under the pressure {pressure[path]:.3g} p0 instead of 1; divide by the confining "
            "pressure of the virgin layer, and leave out layers that are not precompressed"
        )
    columns = {"porosity": porosity, "coordination": coordination}
    if fabric is not None:
        fabric = np.asarray(fabric, dtype=np.float64)
        columns |= {
            "fabric_nn": fabric[..., 0, 0],
            "fabric_ns": fabric[..., 0, 1],
            "fabric_nt": fabric[..., 0, 2],
            # half the difference and the product: what rotates by twice the angle
            "fabric_ss": 0.5 * (fabric[..., 1, 1] - fabric[..., 2, 2]),
            "fabric_st": fabric[..., 1, 2],
        }
    micro = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items() if values is not None}
    try:
        return PathData(separation, traction, 1.0, 1.0, micro, about or {})
    except ParameterError as error:
        raise DatasetError(f"{error}") from error


@checked()
def targets(data: PathData) -> np.ndarray:
    """Targets of a law, (n, k, 4): ln(t_n/p0), t_s/t_n, and 1 where the layer is pressed, 0 where it is open.

    Examples
    --------
    >>> from femnn.cohesive.training import layer_data, targets
    >>> from femnn.multiscale.grains import load
    >>> targets(layer_data(load(), slice(0, 5))).shape
    (5, 140, 4)
    """
    pressure = -data.tractions[..., :1] / data.traction_scale
    floored = np.maximum(pressure, FLOOR)
    ratio = np.where(pressure > FLOOR, data.tractions[..., 1:] / data.traction_scale / floored, 0.0)
    return np.concatenate([np.log(floored), ratio, pressure > OPEN], axis=-1)


def errors(tractions: np.ndarray, data: PathData) -> tuple[np.ndarray, ...]:
    """Errors of tractions (n, k, 3) in ln t_n and in t_s/t_n against ``data``, (n, k) each; NaN where that is open."""
    answered, expected = targets(replace(data, tractions=tractions)), targets(data)
    gap = np.linalg.norm(answered[..., 1:3] - expected[..., 1:3], axis=-1)
    pressed = expected[..., 3] > 0.0
    logarithm = np.maximum(answered[..., 0], np.log(OPEN)) - expected[..., 0]
    return tuple(np.where(pressed, each, np.nan) for each in (logarithm, gap))


@checked()
def rms_errors(tractions: np.ndarray, data: PathData) -> dict[str, float]:
    """Root mean squares of :func:`errors`: a dict of ``ln_normal`` and ``ratio``.

    Examples
    --------
    >>> from femnn.cohesive.training import layer_data, rms_errors
    >>> from femnn.multiscale.grains import load
    >>> data = layer_data(load(), slice(0, 5))
    >>> errors = rms_errors(1.1 * data.tractions, data)
    >>> round(errors["ln_normal"], 2), round(errors["ratio"], 2)
    (0.1, 0.0)
    """
    return {
        name: float(np.sqrt(np.nanmean(each**2)))
        for name, each in zip(("ln_normal", "ratio"), errors(tractions, data), strict=True)
    }


def split(groups: np.ndarray, seed: int, shares: tuple[float, float] = (0.7, 0.1)) -> list[np.ndarray]:
    """Rows for training, for validation and for tests; rows of one group (n,), one commanded path, stay together."""
    names = np.unique(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    if len(names) < 3:
        raise DatasetError(f"{len(names)} different paths cannot be split; training, validation and test need one each")
    training, validation = (max(1, round(share * len(names))) for share in shares)
    # one at least is left for each of the others
    training = min(training, len(names) - 2)
    parts = np.split(names[order], [training, min(training + validation, len(names) - 1)])
    return [np.flatnonzero(np.isin(groups, part)) for part in parts]


def resampled(data: PathData, points: int, copies: int, seed: int) -> PathData:
    """Paths with ``points`` of their points, ``copies`` times over with others, so that steps of many lengths occur.

    The first point, the last and the sharpest corners stay.
    """
    steps = data.separations.shape[1]
    points = min(points, steps)
    draws = np.random.default_rng(seed)
    move = np.diff(data.separations, axis=1)
    length = np.linalg.norm(move, axis=2)
    cosine = (move[:, 1:] * move[:, :-1]).sum(-1) / np.maximum(length[:, 1:] * length[:, :-1], 1e-300)
    turning = np.ones((len(data), steps))
    turning[:, 1:-1] = np.where(cosine < _CORNER, 1.0 - cosine, 0.0)
    turning[:, [0, -1]] = 10.0
    rows, places = [], []
    for _ in range(copies):
        # a random order, dense in one part of the path and sparse in another, below all corners
        pace, phase = draws.uniform(0.02, 0.2, (len(data), 1)), draws.uniform(0.0, 2.0 * np.pi, (len(data), 1))
        wave = np.sin(np.arange(steps) * pace + phase)
        chance = draws.uniform(size=(len(data), steps)) ** np.exp(wave)
        rank = np.where(turning > 0.0, -1.0 - turning, 1.0 - chance)
        places.append(np.sort(np.argsort(rank, axis=1, kind="stable")[:, :points], axis=1))
        rows.append(np.arange(len(data)))
    at = np.concatenate(rows)[:, None], np.concatenate(places)
    return replace(
        data,
        separations=data.separations[at],
        tractions=data.tractions[at],
        microstructure={name: values[at] for name, values in data.microstructure.items()},
    )


def joined(sets: Sequence[PathData], seed: int) -> PathData:
    """One set of several, with as many points of each path as the shortest has; what not all of them have is left out.

    The points are chosen as :func:`resampled` does.
    """
    points = min(data.separations.shape[1] for data in sets)
    parts = [resampled(data, points, 1, seed) for data in sets]
    names = [name for name in parts[0].microstructure if all(name in part.microstructure for part in parts)]
    return replace(
        parts[-1],
        separations=np.concatenate([part.separations for part in parts]),
        tractions=np.concatenate([part.tractions for part in parts]),
        microstructure={name: np.concatenate([part.microstructure[name] for part in parts]) for name in names},
    )


def rotated(data: PathData, copies: int, seed: int) -> PathData:
    """The paths ``copies`` times over, rotated about the normal by random angles and mirrored at random."""
    draws = np.random.default_rng(seed)
    rows = np.tile(np.arange(len(data)), copies)
    angle, mirror = draws.uniform(0.0, 2.0 * np.pi, len(rows)), draws.choice([-1.0, 1.0], len(rows))
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    c2, s2 = np.cos(2.0 * angle)[:, None], np.sin(2.0 * angle)[:, None]
    mirror = mirror[:, None]

    def pair(one, two, c, s):
        two = mirror * two
        return c * one - s * two, s * one + c * two

    def vectors(values):
        return np.stack([values[..., 0], *pair(values[..., 1], values[..., 2], c, s)], axis=-1)

    micro = {name: values[rows] for name, values in data.microstructure.items()}
    for (one, two), turns in ((VECTORS[0], (c, s)), (TENSORS, (c2, s2))):
        if one in micro and two in micro:
            micro[one], micro[two] = pair(micro[one], micro[two], *turns)
    return replace(
        data,
        separations=vectors(data.separations[rows]),
        tractions=vectors(data.tractions[rows]),
        microstructure=micro,
    )


@checked()
def scatter(samples: Sequence[PathData]) -> dict[str, float]:
    """Scatter of ln t_n and of t_s/t_n between samples that follow the same path: what no law of one can be held to.

    Parameters
    ----------
    samples
        One a path, with one row a sample.

    Returns
    -------
    dict
        ``ln_normal`` and ``ratio``: standard deviations over samples, root mean squares over paths and those points at
        which no sample is open.

    Examples
    --------
    >>> from femnn.cohesive.training import layer_data, scatter
    >>> from femnn.multiscale.grains import load
    >>> data = load()
    >>> samples = [layer_data(data, rows) for rows in data.repeated()]
    >>> sorted(scatter(samples))
    ['ln_normal', 'ratio']
    """
    squares: dict[str, list[np.ndarray]] = {"ln_normal": [], "ratio": []}
    if isinstance(samples, np.ndarray) or not len(samples):
        raise ParameterError("samples are empty or an array; pass a list of PathData, one a path")
    for data in samples:
        instance("a value of samples", data, PathData)
        y = targets(data)
        y = y[:, (y[..., 3] > 0.0).all(axis=0)]
        squares["ln_normal"].append(y[..., 0].var(axis=0, ddof=1))
        squares["ratio"].append(y[..., 1:3].var(axis=0, ddof=1).sum(-1))
    return {name: float(np.sqrt(np.concatenate(each).mean())) for name, each in squares.items()}
