"""Sparse equations z'' = f(z, z') of measured coordinates, and the coordinate in which they are sparse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import minimize

from femnn.checks import brief, checked, floats
from femnn.exceptions import DatasetError, ParameterError
from femnn.identification.film import require_smooth
from femnn.identification.library import Library, WeakForm
from femnn.reduced.dynamics.external import require_extra

# What is left of the acceleration is not told apart below this share: coordinates that networks give are no better.
TOLERANCE = 0.01

# What is left may exceed the least of all sizes by this factor, which is what luck with the data does.
_LUCK = 1.05

# In the search for a scale one more term has to divide what is left by this.
_WORTH = 1.5

# Degrees of what acceleration, damping and the square of the velocity depend on in an arbitrary coordinate.
_DEGREES = (9, 3, 7)

# Points at which the map to the flat coordinate is tabulated.
_POINTS = 401

# Rounds of straightening: the first leaves what its polynomials cannot represent.
_ROUNDS = 4

# Ridge that keeps polynomials from swinging where there are few data, over the square of the largest singular value.
_RIDGE = 1e-10


@dataclass(frozen=True, eq=False)
class SparseEquation:
    """z'' = Σ coefficient · term.

    Attributes
    ----------
    library : Library
    coefficients : (number of terms,)
        Zero for the terms that were left out.
    left : float
        What is left of the acceleration, root mean square over that of the acceleration, in data that the coefficients
        were not fitted to.
    left_by_terms : (k,)
        The same for the best equations of 1, 2, ... terms.

    Examples
    --------
    >>> t = 0.05 * np.arange(300)
    >>> equation = discover([2.0 * np.cos(3.0 * t), np.sin(3.0 * t)], 0.05)
    >>> list(equation.terms), round(equation.terms["z"], 1)
    (['z'], -9.0)
    """

    library: Library
    coefficients: np.ndarray
    left: float
    left_by_terms: np.ndarray

    def __str__(self) -> str:
        parts = [f"{value:+.3f} {self.library.terms[k]}" for k, value in self._kept()]
        return ("z'' = " + " ".join(parts)).replace("= +", "= ").replace(" +", " + ").replace(" -", " - ").replace(
            "= - ", "= -"
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"SparseEquation({self}, {self.left:.2%} of the acceleration left)"

    @property
    def terms(self) -> dict[str, float]:
        """The coefficients that are not zero, by term."""
        return {self.library.terms[k]: value for k, value in self._kept()}

    @checked(z="any", velocity="any")
    def acceleration(self, z: ArrayLike, velocity: ArrayLike) -> np.ndarray:
        """z'' of coordinates and velocities of one shape."""
        return self.library.values(z, velocity) @ self.coefficients

    def _kept(self):
        return [(k, float(value)) for k, value in enumerate(self.coefficients) if value != 0.0]


@dataclass(frozen=True, eq=False)
class _System:
    """Integrals of terms (m, k) and of the acceleration (m,), and which half each row belongs to."""

    terms: np.ndarray
    target: np.ndarray
    half: np.ndarray

    @classmethod
    def of(cls, series, weak, library):
        terms, target, half = [], [], []
        for number, z in enumerate(series):
            if len(z) < 4 * weak.half + 1:
                continue
            smooth, velocity = weak.smoothed(z)
            terms.append(weak.integrals(library.values(smooth, velocity)))
            target.append(weak.accelerations(z[weak.half : -weak.half]))
            rows = len(target[-1])
            # clips by turns; of a single one the first half against the second
            half.append(np.full(rows, number % 2) if len(series) > 1 else (np.arange(rows) >= rows // 2).astype(int))
        return cls(np.concatenate(terms), np.concatenate(target), np.concatenate(half))

    def left_out(self, support):
        """Share of the acceleration that equations fitted to one half leave of the other."""
        missed = 0.0
        for own in (0, 1):
            rows = self.half == own
            found = _least_squares(self.terms[~rows][:, support], self.target[~rows])
            missed += ((self.target[rows] - self.terms[rows][:, support] @ found) ** 2).sum()
        return float(np.sqrt(missed / (self.target**2).sum()))

    def nested(self):
        """Supports of all sizes, the full one last: from each the term is dropped that is missed least."""
        support = list(range(self.terms.shape[1]))
        scale = np.sqrt((self.terms**2).mean(axis=0))
        # a term that vanishes everywhere says nothing
        support = [k for k in support if scale[k] > 0.0]
        gram = (self.terms / np.where(scale > 0.0, scale, 1.0)).T @ (self.terms / np.where(scale > 0.0, scale, 1.0))
        right = (self.terms / np.where(scale > 0.0, scale, 1.0)).T @ self.target
        supports = [list(support)]
        while len(support) > 1:
            inverse = np.linalg.pinv(gram[np.ix_(support, support)], rcond=1e-13, hermitian=True)
            found = inverse @ right[support]
            # what the sum of squares grows by without each of them
            growth = found**2 / np.maximum(np.diag(inverse), 1e-300)
            support.pop(int(np.argmin(growth)))
            supports.append(list(support))
        return supports[::-1]

    def sparse(self, tolerance):
        """The smallest of the nested supports that leaves enough little, and what all of them leave."""
        supports = self.nested()
        left = np.array([self.left_out(support) for support in supports])
        return supports[int(np.flatnonzero(left <= enough(left.min(), tolerance))[0])], left

    def score(self, tolerance):
        """How sparse the equation is: the least of what is left, times a factor for each term."""
        left = self.sparse(tolerance)[1]
        return float((np.hypot(left, tolerance) * _WORTH ** np.arange(1, len(left) + 1)).min())


def enough(least: float, tolerance: float) -> float:
    """What an equation may leave if another one, with more terms, leaves ``least``: what differs from it is no news."""
    return float(np.hypot(_LUCK * least, tolerance))


def _least_squares(matrix, target):
    return np.linalg.lstsq(matrix, target, rcond=None)[0]


@checked(series="unchecked", dt="(0, inf)", tolerance="(0, 1)", most_left="(0, inf)")
def discover(
    series: ArrayLike | Sequence[ArrayLike],
    dt: float,
    library: Library | None = None,
    *,
    weak: WeakForm | None = None,
    tolerance: float = TOLERANCE,
    most_left: float = 0.2,
) -> SparseEquation:
    """The sparsest equation of second order that a coordinate follows.

    Terms are dropped one after another, that which is missed least first, and coefficients are fitted to the weak form
    by least squares. Half of the clips tell what equations leave of the acceleration of the other half; the smallest
    equation is taken that leaves no more than the best of all sizes, up to a twentieth and, in the sum of squares,
    ``tolerance``. Like this no threshold has the unit of a coefficient (S. L. Brunton, J. L. Proctor, J. N. Kutz, PNAS
    113 (2016) 3932-3937, compare coefficients with one).

    Parameters
    ----------
    series
        Coordinates (n,) at equal steps, a list of clips.
    dt
        Step (s).
    library
        Terms to choose from; sines and polynomials of degree 4 if None.
    weak
        Test functions; by the shortest period if None.
    tolerance
        Share of the acceleration below which differences do not count.
    most_left
        Share that the best equation may leave.

    Raises
    ------
    DatasetError
        If a clip is not finite, stands still or jumps, if none holds a period, or if the library cannot represent the
        equation.

    Examples
    --------
    >>> from femnn.identification.pendulum import IdealPendulum
    >>> angle, _ = IdealPendulum(2.0, 0.1).swing(2.5, 0.0, 0.05 * np.arange(400))
    >>> print(discover([angle], 0.05))
    z'' = -0.100 z' - 2.000 sin z
    """
    clips = _clips(series)
    for k, z in enumerate(clips):
        require_smooth(z[:, None], f"clip {k}")
    library = Library() if library is None else library
    return sparsest(clips, WeakForm.of(clips, dt) if weak is None else weak, library, tolerance, most_left)


def sparsest(
    clips: Sequence[np.ndarray], weak: WeakForm, library: Library, tolerance: float, most_left: float
) -> SparseEquation:
    """What :func:`discover` finds for clips whose smoothness nobody asks about, as coordinates that networks give."""
    system = _System.of(clips, weak, library)
    support, left = system.sparse(tolerance)
    if left.min() > most_left:
        k = int(np.argmin(left)) + 1
        raise DatasetError(
            f"these {len(library.terms)} terms cannot represent the equation: the best {k} of them leave "
            f"{left.min():.1%} of the acceleration, more than most_left={most_left:g}; pass a library with other "
            "terms, or a coordinate with less noise"
        )
    coefficients = np.zeros(len(library.terms))
    coefficients[support] = _least_squares(system.terms[:, support], system.target)
    return SparseEquation(library, coefficients, system.left_out(support), left)


def _clips(series):
    one = isinstance(series, np.ndarray) and series.ndim == 1
    listed = isinstance(series, Sequence) or (isinstance(series, np.ndarray) and series.ndim > 0)
    if not listed or not len(series):
        raise ParameterError(f"series={brief(series)} is not allowed; pass the coordinates (n,) of one clip, or a list")
    clips = []
    for k, clip in enumerate([series] if one else series):
        z = floats(f"clip {k}", clip, error=DatasetError)
        if z.ndim != 1 or len(z) < 9:
            raise ParameterError(f"clip {k} has the shape {z.shape}; pass nine or more coordinates (n,)")
        clips.append(z)
    return clips


@dataclass(frozen=True, eq=False)
class Gauge:
    """A map from any coordinate to that in which the equation of motion is simplest.

    Attributes
    ----------
    points, values : (m,)
        The map at ascending points; between them it is linear, beyond them it goes on with its last slopes.

    Examples
    --------
    >>> Gauge(np.array([0.0, 1.0]), np.array([0.0, 2.0]))([0.5, 2.0])
    array([1., 4.])
    """

    points: np.ndarray
    values: np.ndarray

    def __repr__(self) -> str:
        x, y = self.points, self.values
        return f"Gauge({x[0]:.3g} to {x[-1]:.3g} becomes {y[0]:.3g} to {y[-1]:.3g})"

    @checked(s="any")
    def __call__(self, s: ArrayLike) -> np.ndarray:
        """The coordinate of values (...)."""
        s, x, y = np.asarray(s, dtype=float), self.points, self.values
        below = y[0] + (s - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
        above = y[-1] + (s - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
        return np.where(s < x[0], below, np.where(s > x[-1], above, np.interp(s, x, y)))


@checked(series="unchecked", dt="(0, inf)")
def flat_gauge(series: Sequence[ArrayLike], dt: float, weak: WeakForm | None = None) -> Gauge:
    """The coordinate without forces that go with the square of the velocity, of mean 0 and deviation 1.

    A coordinate s that a network finds is any smooth function of the one that a physicist would take. In it the
    equation reads s'' = A(s) + B(s) s' + C(s) s'². One coordinate has C = 0, and all that have it are its multiples and
    shifts: z' = exp(-∫ C ds) s'. It needs neither a library nor anything known about the motion.

    Parameters
    ----------
    series
        Coordinates (n,), a list of clips.
    dt
        Step (s).
    weak
        Test functions; by the shortest period if None.

    Examples
    --------
    >>> from femnn.identification.pendulum import IdealPendulum
    >>> angles = [IdealPendulum().swing(start, 0.0, 0.1 * np.arange(200))[0] for start in (0.7, 1.3, 2.0, 2.4)]
    >>> gauge = flat_gauge([np.sinh(0.5 * angle) for angle in angles], 0.1)
    >>> bool(np.corrcoef(gauge(np.sinh(0.5 * angles[3])), angles[3])[0, 1] > 0.999)
    True
    """
    clips = _clips(series)
    weak = WeakForm.of(clips, dt) if weak is None else weak
    joined = np.concatenate(clips)
    points = np.linspace(joined.min(), joined.max(), _POINTS)
    values = points.copy()
    for _ in range(_ROUNDS):
        now = [np.interp(z, points, values) for z in clips]
        values = _straightened(now, values, weak)
    mapped = np.interp(joined, points, values)
    return Gauge(points, (values - mapped.mean()) / mapped.std())


def _straightened(clips, values, weak):
    """The map ``values`` of a coordinate, followed by that which takes away the square of the velocity."""
    low, high = values[0], values[-1]
    matrix, target = [], []
    for z in clips:
        if len(z) < 4 * weak.half + 1:
            continue
        smooth, velocity = weak.smoothed(z)
        x = 2.0 * (smooth - low) / (high - low) - 1.0
        columns = [chebyshev.chebvander(x, d) * velocity[:, None] ** k for k, d in enumerate(_DEGREES)]
        matrix.append(weak.integrals(np.concatenate(columns, axis=1)))
        target.append(weak.accelerations(z[weak.half : -weak.half]))
    rows, right = np.concatenate(matrix), np.concatenate(target)
    scale = np.sqrt((rows**2).mean(axis=0))
    left, sigma, across = np.linalg.svd(rows / scale, full_matrices=False)
    found = across.T @ (sigma / (sigma**2 + _RIDGE * sigma[0] ** 2) * (left.T @ right)) / scale
    x = 2.0 * (values - low) / (high - low) - 1.0
    curvature = chebyshev.chebval(x, found[-_DEGREES[2] - 1 :])
    # polynomials may run away at the ends: no round changes the slopes by more than a factor of e²
    slope = np.exp(-np.clip(cumulative_trapezoid(curvature, values, initial=0.0), -6.0, 6.0))
    return cumulative_trapezoid(slope, values, initial=0.0)


@checked(series="unchecked", dt="(0, inf)", tolerance="(0, 1)")
def unit_gauge(
    series: Sequence[ArrayLike],
    dt: float,
    library: Library | None = None,
    *,
    weak: WeakForm | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[float, float]:
    """Scale and shift in which the equation of a flat coordinate has the fewest terms and leaves the least.

    Polynomials serve every scale, a sine one only: in the library its argument is z itself. The coordinate is
    ``scale · (z - shift)``; of equations that are alike, such as those of z, -z and z + π, that is taken whose
    coordinates are nearest to zero, with the sign of ``series``.

    Parameters
    ----------
    series, dt, library, weak, tolerance
        As of :func:`discover`.

    Returns
    -------
    scale, shift : float

    Examples
    --------
    >>> from femnn.identification.pendulum import IdealPendulum
    >>> angle, _ = IdealPendulum().swing(2.5, 0.0, 0.1 * np.arange(200))
    >>> scale, shift = unit_gauge([0.2 * angle + 0.7], 0.1)
    >>> bool(abs(scale - 5.0) < 0.01), bool(abs(shift - 0.7) < 0.01)
    (True, True)
    """
    clips = _clips(series)
    library = Library() if library is None else library
    weak = WeakForm.of(clips, dt) if weak is None else weak
    joined = np.concatenate(clips)
    middle, spread = 0.5 * (joined.min() + joined.max()), 0.5 * (joined.max() - joined.min())
    if not library.sine:
        return 1.0 / spread, middle
    # a few hundred rows suffice to tell scales apart
    rows = sum(max(0, len(z) - 4 * weak.half) for z in clips) / weak.stride
    coarse = WeakForm(weak.half, weak.dt, weak.stride * max(1, round(rows / 600)))

    def score(place: np.ndarray) -> float:
        scale, shift = np.exp(place[0]) / spread, middle + place[1] * spread
        return np.log(_System.of([scale * (z - shift) for z in clips], coarse, library).score(tolerance))

    # half the range of the coordinate, in the unit of the sine's argument
    starts = np.log(np.geomspace(0.5, 5.0, 20))
    begun = min(starts, key=lambda size: score(np.array([size, 0.0])))
    found = minimize(score, (begun, 0.0), method="Nelder-Mead", options={
        "initial_simplex": [(begun, 0.0), (begun + 0.05, 0.0), (begun, 0.05)], "xatol": 1e-3, "fatol": 1e-4,
        "maxfev": 80,
    }).x  # fmt: skip
    return float(np.exp(found[0]) / spread), float(middle + found[1] * spread)


@checked(series="unchecked", dt="(0, inf)", threshold="[0, inf)")
def pysindy_equation(
    series: Sequence[ArrayLike], dt: float, library: Library | None = None, threshold: float = 0.1
) -> dict[str, float]:
    """What PySINDy finds for an angle: smoothed differences and thresholded least squares, as its documentation has it.

    Parameters
    ----------
    series, dt, library
        As of :func:`discover`.
    threshold
        Coefficients below it are dropped.

    Returns
    -------
    dict
        Coefficients of z'' that are not zero, by term.

    Raises
    ------
    MissingExtraError
        If PySINDy is not installed.

    Examples
    --------
    >>> found = pysindy_equation([np.cos(3.0 * 0.02 * np.arange(400))], 0.02, Library(1, sine=False))
    >>> "z" in found
    True
    """
    pysindy: Any = require_extra("pysindy", "flows", "PySINDy")
    library = Library() if library is None else library
    smooth = pysindy.SmoothedFiniteDifference()
    rows, target = [], []
    for z in _clips(series):
        velocity = smooth(z[:, None], dt)
        rows.append(library.values(z, velocity[:, 0]))
        target.append(smooth(velocity, dt))
    fitted = pysindy.STLSQ(threshold=threshold, alpha=0.0).fit(np.concatenate(rows), np.concatenate(target))
    return {term: float(v) for term, v in zip(library.terms, fitted.coef_[0], strict=True) if v != 0.0}
