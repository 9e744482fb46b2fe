"""Calibration on the mesh at hand: how much stricter than its tolerance the prediction must be on these very cells.

The calibration of the weights promises something about cells like those of its families; nobody knows whether those of
a mesh are. But cells drawn from the mesh at random are like the rest of it by construction: what the prediction does on
them is measured, and the tolerance that it is asked for is divided by 2^shift until few enough miss. This is
split-conformal prediction with the tolerance as score (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a
Random World, 2005, section 4.5 for its groups), in the form for a finite population that
:mod:`femnn.quadrature.adaptive.drawn_cells` has. The promise holds for each class of shapes by itself.
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
SHIFTS = (*(k / 16.0 for k in range(13)), 0.875, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)

# A thin cell is this much longer along one mean axis than along another.
_THIN = 8.0

# Distributions of shapes further apart than this (Kolmogorov-Smirnov) are not alike. Two draws of one mesh are so by
# chance in one case of 500; a mesh that moves keeps its draw.
_ALIKE = 0.1

# Draws, of which the size of the class is part of the seed.
_SEED = 20_160

_SIGNS = np.array(SIGNS)

#: ``choose(cells, tolerance)`` gives points (n, dim) and cells in range (n,); ``keeps(cells, points)`` (n,);
#: ``shapes(cells)`` quantities (k, n) by which samples are compared.
Choose = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]
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
        Their number, and how many of them were measured.
    missed
        How many of the measured missed the tolerance in the end; these are given more points.
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
    mended : (m,) int64
        The measured cells that miss, whose points are to be found by integration.
    changed
        True if another mesh was calibrated before, and some cells of this one are not alike.
    """

    parts: dict[int, ClassCalibration]
    mended: np.ndarray
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
        if len(self.mended):
            text += f"; {len(self.mended)} of the measured missed and get more points"
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
    """

    def __init__(self, tolerance: float, share: float, sample: int = SAMPLE) -> None:
        self.tolerance, self.share, self.sample = tolerance, share, sample
        self._seen: dict[bytes, MeshCalibration] = {}
        self._known: dict[int, list[tuple[np.ndarray, ClassCalibration]]] = {}

    def __repr__(self) -> str:
        return f"CalibrationOnMesh({self.tolerance:g}, {self.share:g}, {self.sample})"

    def of(
        self, hexahedra: np.ndarray, classes: np.ndarray, choose: Choose, keeps: Keeps, shapes: Shapes
    ) -> MeshCalibration:
        """The calibration for these elements, measured or remembered.

        A mesh that was seen before gets what it got; a class of cells that is alike one of an earlier mesh, so many
        that a sample is drawn, what was measured there; all others are measured.
        """
        drawn = {number: self._drawn(np.flatnonzero(classes == number)) for number in np.unique(classes).tolist()}
        key = _fingerprint(hexahedra, drawn)
        if key not in self._seen:
            parts, mended = {}, [np.empty(0, dtype=np.int64)]
            for number, (sample, cells) in drawn.items():
                parts[number], missed = self._calibrated(number, hexahedra[sample], cells, choose, keeps, shapes)
                mended.append(sample[missed])
            changed = bool(self._seen) and not all(part.reused for part in parts.values())
            self._seen[key] = MeshCalibration(parts, np.sort(np.concatenate(mended)), changed)
        return self._seen[key]

    def needed(self, cells: int) -> int:
        """The fewest of ``cells`` that must be measured to vouch for the share."""
        return cells_needed(cells, self.share)

    def _drawn(self, members):
        """The cells to measure among the members of a class, and the number of these."""
        if len(members) <= self.sample:
            return members, len(members)
        random = np.random.default_rng([_SEED, len(members)])
        return np.sort(members[random.choice(len(members), self.sample, replace=False)]), len(members)

    def _calibrated(self, number, sample, cells, choose, keeps, shapes):
        """The calibration of one class, and numbers of the cells of its sample that miss."""
        quantities = None
        if len(sample) < cells:
            quantities = np.sort(shapes(sample), axis=1)
            for known, part in self._known.get(number, ()):
                if _distance(quantities, known) < _ALIKE:
                    return (
                        ClassCalibration(part.name, cells, part.measured, 0, part.shift, part.share, reused=True),
                        np.empty(0, dtype=np.int64),
                    )
        allowed, share = allowed_misses(cells, len(sample), self.share), self.share
        if allowed < 0:
            allowed, share = 0, share_vouched(cells, len(sample))
        shift, missed = self._least_shift(sample, allowed, choose, keeps)
        part = ClassCalibration(CLASSES[number], cells, len(sample), len(missed), shift, share)
        if quantities is not None:
            self._known.setdefault(number, []).insert(0, (quantities, part))
        return part, missed

    def _least_shift(self, sample, allowed, choose, keeps):
        """The first shift with which at most ``allowed`` of the sample miss, and numbers of those that do."""
        points, in_range = choose(sample, self.tolerance)
        # all others are integrated in any case
        kept = ~in_range
        kept[in_range] = keeps(sample[in_range], points[in_range])
        for shift in SHIFTS:
            if shift > 0.0:
                again, in_range = choose(sample, self.tolerance * 2.0**-shift)
                # more points along each axis keep what fewer do
                asked = np.flatnonzero(in_range & (again != points).any(axis=1))
                asked = asked[~(kept[asked] & (again[asked] >= points[asked]).all(axis=1))]
                kept[~in_range] = True
                kept[asked] = keeps(sample[asked], again[asked])
                points = again
            if len(sample) - kept.sum() <= allowed:
                return shift, np.flatnonzero(~kept)
        return np.inf, np.empty(0, dtype=np.int64)


def _fingerprint(hexahedra, drawn):
    """Of a mesh, by its measured cells."""
    digest = hashlib.blake2b(digest_size=16)
    for number, (sample, cells) in drawn.items():
        digest.update(f"{number} {cells}".encode())
        digest.update(np.ascontiguousarray(hexahedra[sample]).data)
    return digest.digest()


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
