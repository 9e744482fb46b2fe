"""Calibration on the mesh at hand: how much stricter than its tolerance the prediction must be on these very cells.

The calibration of the weights promises something about cells like those of its families; nobody knows whether those of
a mesh are. But cells drawn from the mesh at random are like the rest of it by construction: what the prediction does on
them is measured, and the tolerance that it is asked for is divided by 2^shift until few enough miss. This is
split-conformal prediction with the tolerance as score (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a
Random World, 2005, section 4.5 for its groups), in the form for a finite population that
:mod:`femnn.quadrature.adaptive.drawn_cells` has. The promise holds for each class of shapes by itself.

Of a measured cell it is known which prediction keeps the tolerance: it takes the first that does, and costs no caution.
Where caution costs more than a few points, cells that it would give more are measured as well, a fixed number at most:
those that do without it keep what they had. The statement stays as it is, because no other cell changes. Where all
cells of a class are measured and their points are dear, those with points to spare are tried with a looser tolerance,
and take what is measured to be enough.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from femnn.geometry.hexahedron import SIGNS
from femnn.integration.kernels import kernel_array
from femnn.quadrature.adaptive.apriori_estimate import FIRST_TWIST, describe_directions
from femnn.quadrature.adaptive.drawn_cells import RISK, allowed_misses, cells_needed, share_vouched
from femnn.system.compile import njit

#: Cells of each class that are measured, unless it has fewer: so many vouch for 1 % with three misses among them.
SAMPLE = 1010

#: Classes of shapes, as :func:`shape_classes` numbers them.
CLASSES = ("compact", "thin")

#: log₂ of what the tolerance is divided by: the first with which few enough cells miss is taken.
SHIFTS = (
    *(k / 64.0 for k in range(17)),
    *(k / 16.0 for k in range(5, 13)),
    0.875,
    1.0,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    3.5,
    4.0,
    5.0,
)

# log₂ of what the tolerance is multiplied by for cells that are all measured, as long as they keep it.
_LOOSER = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)

# Points more than this share are dear: measuring the cells that caution would give more is worth its time.
_DEAR = 0.02

# So many cells are then measured at most, over those that were drawn.
_SPARED = 2

# A thin cell is this much longer along one mean axis than along another.
_THIN = 8.0

# Distributions of shapes further apart than this (Kolmogorov-Smirnov) are not alike. Two draws of one mesh are so by
# chance in one case of 500; a mesh that moves keeps its draw.
_ALIKE = 0.1

# Draws, of which the size of the class is part of the seed.
_SEED = 20_160

_SIGNS = np.array(SIGNS)

# Slacks are float32, and smaller steps than this are none.
_ROUND_OFF = 0.01

#: ``choose(cells, tolerance)`` gives points (n, dim), cells in range (n,), and log₂ of what the tolerance may be
#: divided by before they change (n,); ``keeps(cells, points)`` (n,); ``shapes(cells)`` quantities (k, n) by which
#: samples are compared.
Choose = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray, np.ndarray]]
Keeps = Callable[[np.ndarray, np.ndarray], np.ndarray]
Shapes = Callable[[np.ndarray], np.ndarray]


@njit(over="hexahedra", grain=4096, cache=True, error_model="numpy")
def _classes(begin, end, hexahedra, thin, classes):
    for e in range(begin, end):
        sums = np.zeros((3, 3))
        for a in range(8):
            x, y, z = _SIGNS[a, 0], _SIGNS[a, 1], _SIGNS[a, 2]
            for i in range(3):
                v = hexahedra[e, a, i] - hexahedra[e, 7, i]
                sums[0, i] += v * x
                sums[1, i] += v * y
                sums[2, i] += v * z
        least, most = np.inf, 0.0
        for k in range(3):
            square = sums[k, 0] ** 2 + sums[k, 1] ** 2 + sums[k, 2] ** 2
            least, most = min(least, square), max(most, square)
        classes[e] = most > thin * thin * least


def shape_classes(hexahedra: np.ndarray) -> np.ndarray:
    """The number of the class of each element (n, 8, 3) in ``CLASSES``, (n,).

    Cheap, and the same for an element however it lies: by the lengths of its three mean axes.
    """
    x = kernel_array(hexahedra)
    classes = np.empty(len(x), dtype=np.int64)
    _classes(x, _THIN, classes)
    return classes


@dataclass(frozen=True)
class ClassCalibration:
    """The calibration of one class of cells.

    Attributes
    ----------
    name
        Of the class.
    cells, measured
        Their number, and how many of them were drawn and measured.
    missed
        How many of the drawn cells miss with this shift; these are given more points.
    shift
        log₂ of what the tolerance is divided by for the prediction; infinite if no prediction is good enough, and all
        points are found by integration.
    share
        At most this share of the cells misses; larger than asked for if the measured cells cannot vouch for less.
    reused
        True if the measured cells are those of an earlier mesh that is alike.
    """

    name: str
    cells: int
    measured: int
    missed: int
    shift: float
    share: float
    reused: bool = False


@dataclass(frozen=True, eq=False)
class MeshCalibration:
    """The calibration of the cells of a mesh, class by class.

    Attributes
    ----------
    parts
        By number of the class.
    known : (m,) int64
        The measured cells whose points keep the tolerance.
    points : (m, dim) int64
        These points.
    mended : (k,) int64
        The measured cells whose points are to be found by integration.
    foreseen : (p,) int64
        Cells that were not measured, but whose prediction was made on the way: the shift of their class changes
        nothing about it.
    predictions : (p, dim) int64
        These predictions.
    changed
        True if another mesh was calibrated before, and some cells of this one are not alike.
    """

    parts: dict[int, ClassCalibration]
    known: np.ndarray
    points: np.ndarray
    mended: np.ndarray
    foreseen: np.ndarray
    predictions: np.ndarray
    changed: bool = False

    @property
    def cells(self) -> int:
        """Cells of the mesh."""
        return sum(part.cells for part in self.parts.values())

    @property
    def measured(self) -> int:
        """Measured cells."""
        return sum(part.measured for part in self.parts.values())

    @property
    def share(self) -> float:
        """At most this share of the cells misses."""
        return sum(part.share * part.cells for part in self.parts.values()) / self.cells

    def __str__(self) -> str:
        """What holds, in words that end a sentence on the share of cells that may miss."""
        parts = self.parts.values()
        reused = sum(part.measured for part in parts if part.reused)
        measured = self.measured - reused
        if measured == self.cells:
            text = f"of this mesh at most: all {self.cells:,} cells were measured"
        else:
            by = [f"{measured:,} measured cells"] if measured else []
            by += [f"{reused:,} of an earlier mesh that is alike"] if reused else []
            text = f"of this mesh at most, by {' and '.join(by)}, with a probability of {1.0 - RISK:.0%}"
        if self.changed:
            text += "; measured again, because its cells are not alike those of before"
        missed = sum(part.missed for part in parts)
        if missed:
            text += f"; {missed} of the measured missed and get more points"
        tightened = [
            f"{2.0**part.shift:.2f} ({part.name})" if np.isfinite(part.shift) else f"∞ ({part.name}: all integrated)"
            for part in parts
            if part.shift > 0.0
        ]
        if tightened:
            text += f"; tolerance tightened by {', '.join(tightened)}"
        return text


class CalibrationOnMesh:
    """Calibrates, and remembers what it has measured.

    Parameters
    ----------
    tolerance
        Of the measure.
    share
        Of the cells of a mesh that may miss it.
    sample
        Cells of each class that are measured at most.
    spend_less
        Whether measured cells look for fewer points where their whole class is measured, which takes about as long as
        the measurement itself.
    """

    def __init__(self, tolerance: float, share: float, sample: int = SAMPLE, spend_less: bool = False) -> None:
        self.tolerance, self.share, self.sample, self.spend_less = tolerance, share, sample, spend_less
        self._seen: dict[bytes, MeshCalibration] = {}
        self._known: dict[int, list[tuple[np.ndarray, ClassCalibration]]] = {}

    def __repr__(self) -> str:
        return f"CalibrationOnMesh({self.tolerance:g}, {self.share:g}, {self.sample}, {self.spend_less})"

    def of(
        self, hexahedra: np.ndarray, classes: np.ndarray, choose: Choose, keeps: Keeps, shapes: Shapes
    ) -> MeshCalibration:
        """The calibration for these elements, measured or remembered.

        A mesh that was seen before gets what it got; a class of cells that is alike one of an earlier mesh, so many
        that a sample is drawn, what was measured there; all others are measured.
        """
        drawn = {number: self._drawn(np.flatnonzero(classes == number)) for number in np.unique(classes).tolist()}
        key = _fingerprint(hexahedra)
        if key not in self._seen:
            parts, measured, foreseen = {}, [], []
            for number, (sample, members) in drawn.items():
                given = number, hexahedra, sample, members, choose, keeps, shapes
                parts[number], found, others = self._calibrated(*given)
                measured += found
                foreseen += others
            changed = bool(self._seen) and not all(part.reused for part in parts.values())
            cells, points = _joined(measured, hexahedra.shape[2])
            known = points.all(axis=1)
            predicted, predictions = _joined(foreseen, hexahedra.shape[2])
            self._seen[key] = MeshCalibration(
                parts, cells[known], points[known], cells[~known], predicted, predictions, changed
            )
        return self._seen[key]

    def needed(self, cells: int) -> int:
        """The fewest of ``cells`` that must be measured to vouch for the share."""
        return cells_needed(cells, self.share)

    def _drawn(self, members):
        """The cells to measure among the ``members`` of a class, and these."""
        if len(members) <= self.sample:
            return members, members
        random = np.random.default_rng([_SEED, len(members)])
        return np.sort(members[random.choice(len(members), self.sample, replace=False)]), members

    def _calibrated(self, number, hexahedra, sample, members, choose, keeps, shapes):
        """The calibration of one class; its measured cells, pairs of their numbers and points, 0 if not known; and
        cells that were only predicted, pairs as well."""
        cells, quantities = len(members), None
        if len(sample) < cells:
            quantities = np.sort(shapes(hexahedra[sample]), axis=1)
            for known, part in self._known.get(number, ()):
                if _distance(quantities, known) < _ALIKE:
                    return (
                        ClassCalibration(part.name, cells, part.measured, 0, part.shift, part.share, reused=True),
                        [],
                        [],
                    )
        allowed, share = allowed_misses(cells, len(sample), self.share), self.share
        if allowed < 0:
            allowed, share = 0, share_vouched(cells, len(sample))
        walk = _Walk(hexahedra[sample], self.tolerance, choose, keeps)
        shift, missed = walk.least_shift(allowed)
        if self.spend_less and len(sample) == cells:
            walk.spend_less()
        measured, foreseen = [(sample[walk.judged], walk.points[walk.judged])], []
        if shift > 0.0 and len(sample) < cells and walk.price(shift) > _DEAR:
            others = np.setdiff1d(members, sample)
            spared, unchanged = self._spared(hexahedra, others, shift, walk.changed, choose, keeps)
            measured.append(spared)
            foreseen.append(unchanged)
        part = ClassCalibration(CLASSES[number], cells, len(sample), missed, shift, share)
        if quantities is not None:
            self._known.setdefault(number, []).insert(0, (quantities, part))
        return part, measured, foreseen

    def _spared(self, hexahedra, others, shift, share_of_changed, choose, keeps):
        """Cells that keep the tolerance without the shift, though it would change them, and their points; and cells
        that it does not change, with theirs.

        Of ``others``, which were not drawn, ``_SPARED`` times as many are measured as were drawn at most.
        """
        random, most = np.random.default_rng([_SEED, len(others)]), _SPARED * self.sample
        enough = min(len(others), round(1.2 * most / share_of_changed))
        cells = np.sort(random.permutation(others)[:enough])
        points, in_range, slack = choose(hexahedra[cells], self.tolerance)
        changes = _changes(slack, shift)
        unchanged = in_range & ~changes
        kept = np.flatnonzero(in_range & changes)[:most]
        if len(kept):
            kept = kept[keeps(hexahedra[cells[kept]], points[kept])]
        return (cells[kept], points[kept]), (cells[unchanged], points[unchanged])


class _Walk:
    """The measured cells of a class: which prediction of the ladder ``SHIFTS`` keeps the tolerance on each.

    Attributes
    ----------
    judged : (n,) bool
        Cells that a prediction was made for; all others are integrated in any case.
    points : (n, dim)
        Of the first prediction that keeps the tolerance, 0 where none does.
    """

    def __init__(self, sample: np.ndarray, tolerance: float, choose: Choose, keeps: Keeps) -> None:
        self._sample, self._tolerance, self._choose, self._keeps = sample, tolerance, choose, keeps
        self._first, in_range, self._slack = choose(sample, tolerance)
        self.judged, self.points = in_range, self._first.copy()
        # the number of the first shift with which each keeps the tolerance
        self._needs, waiting = np.zeros(len(sample), dtype=np.int64), np.flatnonzero(in_range)
        waiting = waiting[~self._keep(waiting, self._first[waiting])]
        for number, shift in enumerate(SHIFTS):
            if shift == 0.0 or len(waiting) == 0:
                continue
            self._needs[waiting] = number
            changes = _changes(self._slack[waiting], shift)
            others, waiting = waiting[~changes], waiting[changes]
            points, in_range, _ = choose(sample[waiting], tolerance * 2.0**-shift)
            # one that no prediction is trusted with any more is integrated, if this shift is taken
            self.points[waiting[~in_range]] = 0
            waiting, points = waiting[in_range], points[in_range]
            asked = (points != self.points[waiting]).any(axis=1)
            self.points[waiting[asked]] = points[asked]
            kept = asked.copy()
            kept[asked] = self._keep(waiting[asked], points[asked])
            waiting = np.concatenate([others, waiting[~kept]])
        self._needs[waiting], self.points[waiting] = len(SHIFTS), 0
        self._chosen = self._first

    def _keep(self, cells, points):
        """True where the points keep the tolerance on these cells of the sample."""
        return self._keeps(self._sample[cells], points) if len(cells) else np.empty(0, dtype=bool)

    def least_shift(self, allowed: int) -> tuple[float, int]:
        """The first shift with which at most ``allowed`` cells miss, and how many do; infinite if there is none."""
        for number, shift in enumerate(SHIFTS):
            missed = self._needs > number
            if missed.sum() <= allowed and shift > 0.0:
                missed |= self._misses_after_all(shift, ~missed)
            if missed.sum() <= allowed:
                return shift, int(missed.sum())
        self._chosen = np.full_like(self._first, -1)
        return np.inf, 0

    def _misses_after_all(self, shift, expected):
        """Those of the ``expected`` to keep the tolerance that miss it: a stricter prediction may take points from one
        axis."""
        changed = np.flatnonzero(_changes(self._slack, shift))
        self._chosen, in_range = self._first.copy(), self.judged.copy()
        points, in_range[changed], _ = self._choose(self._sample[changed], self._tolerance * 2.0**-shift)
        self._chosen[changed] = points
        doubtful = np.flatnonzero(expected & in_range & self.judged & (self._chosen < self.points).any(axis=1))
        misses = np.zeros(len(expected), dtype=bool)
        misses[doubtful] = ~self._keep(doubtful, self._chosen[doubtful])
        return misses

    def spend_less(self) -> None:
        """Let cells whose first prediction keeps the tolerance take a cheaper one that does, if a looser gives one."""
        waiting = np.flatnonzero(self.judged & (self._needs == 0))
        for shift in _LOOSER:
            if len(waiting) == 0:
                return
            points, in_range, _ = self._choose(self._sample[waiting], self._tolerance * 2.0**shift)
            cheaper = in_range & (points.prod(axis=1) < self.points[waiting].prod(axis=1))
            tried, kept = waiting[cheaper], points[cheaper]
            keeps = self._keep(tried, kept)
            self.points[tried[keeps]] = kept[keeps]
            waiting = np.sort(np.concatenate([waiting[~cheaper], tried[keeps]]))

    @property
    def changed(self) -> float:
        """The share of the cells that the shift taken changes."""
        return float(np.mean(self.judged & (self._chosen != self._first).any(axis=1)))

    def price(self, shift: float) -> float:
        """Points that the shift taken costs, over those without one; infinite where all are integrated."""
        if not np.isfinite(shift):
            return np.inf
        return float(self._chosen.prod(axis=1).sum() / self._first.prod(axis=1).sum() - 1.0)


def _changes(slack, shift):
    """True for cells that other points are chosen for when the tolerance is divided by 2^shift."""
    return slack < shift + _ROUND_OFF


def _joined(pairs, dim):
    """Cells in ascending order and their points, of pairs of both."""
    cells = np.concatenate([np.empty(0, dtype=np.int64), *(cells for cells, _ in pairs)])
    points = np.concatenate([np.empty((0, dim), dtype=np.int64), *(points for _, points in pairs)])
    order = np.argsort(cells)
    return cells[order], points[order]


def _fingerprint(hexahedra):
    return hashlib.blake2b(np.ascontiguousarray(hexahedra).data, digest_size=16).digest()


def shapes_of_hexahedra(hexahedra: np.ndarray) -> np.ndarray:
    """Quantities (k, n) of elements (n, 8, 3) by which samples are compared."""
    features, estimates = describe_directions(hexahedra)
    twists = features[:, :, FIRST_TWIST:]
    return np.stack(
        [
            features[:, :, 0].max(axis=1),
            features[:, :, 2].min(axis=1),
            twists.max(axis=(1, 2)),
            twists.mean(axis=(1, 2)),
            *(estimates[:, :, n].max(axis=1) for n in (0, 2, 6)),
            *(estimates[:, :, n].min(axis=1) for n in (0, 2)),
        ]
    )


def _distance(first, second):
    """The largest distance of Kolmogorov and Smirnov between sorted quantities (k, n) and (k, m)."""
    distances = []
    for a, b in zip(first, second, strict=True):
        both = np.concatenate([a, b])
        below = np.searchsorted(a, both, "right") / len(a) - np.searchsorted(b, both, "right") / len(b)
        distances.append(np.abs(below).max())
    return max(distances)
