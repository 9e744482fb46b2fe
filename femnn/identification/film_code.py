"""Autoencoders of films: pictures as a few numbers and back, of which one may follow an equation of second order.

Hidden layers are drawn and stay as they are (W. F. Schmidt, M. A. Kraaijveld, R. P. W. Duin, ICPR 1992), which leaves
linear output layers to train: these are found by least squares and by Gauss and Newton's method in place of thousands
of steps along gradients. With enough units nothing is lost, and a start takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from femnn.checks import brief, checked, instance, numbers
from femnn.exceptions import DatasetError, ParameterError
from femnn.identification.dimension import farthest_rows, geodesic_coordinates, intrinsic_dimension
from femnn.identification.film import Film
from femnn.identification.library import Library, WeakForm
from femnn.identification.sindy import TOLERANCE, SparseEquation, enough, flat_gauge, sparsest, unit_gauge
from femnn.reduced.pod import POD

# Frames that are ordered along the curve or surface of all frames; that modes are computed from.
_ORDERED, _FRAMES = 600, 2500

# Size of what enters the hidden units of an encoder; how quickly those of a decoder bend, over the deviation of the
# numbers.
_GAIN, _SHARPNESS = 1.5, 16.0

# Ridges of layers that are fitted, over the mean of the diagonal, to choose from; what damps the first step of Gauss
# and Newton's method.
_RIDGES, _DAMPING = 10.0 ** np.arange(-9.0, -1.0), 1e-6

# Steps from the number that the encoder gives to that whose picture is nearest, each at most this share of the
# deviation of the numbers.
_PROJECTIONS, _STEP = 3, 0.2

# Weight of what the equation leaves of the acceleration beside what is left of the pictures, both squared and relative.
_EQUATION = 1.0


@dataclass(eq=False)
class RandomFeatures:
    """A network of one hidden layer, which was drawn and stays as it is, and a linear one behind it.

    Attributes
    ----------
    weight : (units, inputs)
    bias : (units,)
        Of the hidden layer; its units are x · logistic(x).
    last : (units + 1, outputs)
        Of the layer behind it, the constants last.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 9)[:, None]
    >>> network = RandomFeatures(np.ones((3, 1)), np.arange(3.0))
    >>> network.fit(x, x**2)
    >>> network(x).shape
    (9, 1)
    """

    weight: np.ndarray
    bias: np.ndarray
    last: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    ridge: float = 1e-8

    def hidden(self, inputs: np.ndarray) -> np.ndarray:
        """Values of the units and a one (n, units + 1)."""
        drawn = inputs @ self.weight.T + self.bias
        return np.concatenate([drawn * _logistic(drawn), np.ones((len(drawn), 1))], axis=1)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs (n, outputs) of inputs (n, inputs)."""
        return self.hidden(inputs) @ self.last

    def slopes(self, inputs: np.ndarray) -> np.ndarray:
        """Derivatives (n, outputs, inputs)."""
        drawn = inputs @ self.weight.T + self.bias
        gate = _logistic(drawn)
        rise = gate * (1.0 + drawn * (1.0 - gate))
        return np.einsum("nu,uo,ui->noi", rise, self.last[:-1], self.weight, optimize=True)

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Fit the last layer by least squares, with the ridge of :meth:`choose_ridge`."""
        hidden = self.hidden(inputs)
        self.last = _solved(hidden.T @ hidden, hidden.T @ targets, self.ridge)

    def choose_ridge(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Take the ridge with which four fifths of the rows tell the others best: noise needs more of it."""
        hidden, held_out = self.hidden(inputs), np.arange(len(inputs)) % 5 == 4
        known = hidden[~held_out]
        values, vectors = np.linalg.eigh(known.T @ known)
        right, basis = vectors.T @ (known.T @ targets[~held_out]), hidden[held_out] @ vectors
        ridges = np.maximum(_RIDGES * values.mean(), 1e-14 * values[-1])
        missed = [((basis @ (right / (np.abs(values) + a)[:, None]) - targets[held_out]) ** 2).sum() for a in ridges]
        self.ridge = float(_RIDGES[int(np.argmin(missed))])

    def step_to(self, targets: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The step (n, inputs) of Gauss and Newton's method towards inputs whose outputs are nearest to ``targets``."""
        left, slopes = targets - self(inputs), self.slopes(inputs)
        metric = np.einsum("noi,noj->nij", slopes, slopes, optimize=True)
        k = metric.shape[1]
        metric += 1e-3 * np.trace(metric, axis1=1, axis2=2).mean() / k * np.eye(k)
        step = np.linalg.solve(metric, np.einsum("noi,no->ni", slopes, left)[..., None])[..., 0]
        # where the pictures hardly change, a step may lead anywhere
        most = _STEP * inputs.std(axis=0)
        return np.clip(step, -most, most)


@dataclass(frozen=True, eq=False)
class FilmCode:
    """Pictures as a few numbers, and pictures of numbers.

    Attributes
    ----------
    pod : POD
        Modes of the pictures: the first layer of the encoder and the last of the decoder, both linear.
    encoder, decoder : RandomFeatures
        Between coefficients of the modes and the numbers.

    Examples
    --------
    >>> from femnn.identification.film import picture_of_angle
    >>> pictures = picture_of_angle(np.linspace(-1.0, 1.0, 200)).reshape(200, -1)
    >>> fit_film_code([pictures], 1, modes=10, units=40)
    FilmCode(2601 pixels, 10 modes, 40 units, 1 numbers)
    """

    pod: POD
    encoder: RandomFeatures
    decoder: RandomFeatures

    def __repr__(self) -> str:
        r, k = self.pod.r, self.decoder.weight.shape[1]
        return f"FilmCode({self.pod.n} pixels, {r} modes, {len(self.encoder.bias)} units, {k} numbers)"

    @checked(rows="n p")
    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Numbers (n, latent) of pictures as rows (n, pixels): where the decoder comes nearest to them."""
        coefficients = self.pod.project(rows.T).T
        numbers = self.encoder(coefficients)
        for _ in range(_PROJECTIONS):
            numbers = numbers + self.decoder.step_to(coefficients, numbers)
        return numbers

    @checked(numbers="n k")
    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Pictures (n, pixels) of numbers (n, latent)."""
        return self.pod.lift(self.decoder(numbers).T).T

    @checked(rows="n p", truth="n p")
    def error(self, rows: np.ndarray, truth: np.ndarray | None = None) -> float:
        """What pictures (n, pixels) differ from after encoding and decoding, over the deviation from their mean.

        ``truth`` are the same pictures without noise, where these are known; None takes ``rows``.
        """
        truth = rows if truth is None else truth
        left = self.decode(self.encode(rows)) - truth
        return float(np.sqrt((left**2).sum() / ((truth - self.pod.offset) ** 2).sum()))


@dataclass(frozen=True, eq=False)
class SindyAutoencoder:
    """A film as the motion of one number that follows a sparse equation; made by :func:`fit_sindy_autoencoder`.

    Attributes
    ----------
    code : FilmCode
    equation : SparseEquation
        Of the number.
    series : list of (n,)
        The number over time, for each clip.
    error : float
        What is left of the pictures, see :meth:`FilmCode.error`.
    seed : int
        Of the start.

    Examples
    --------
    >>> from femnn.identification.recording import film_ideal_pendulum
    >>> film = film_ideal_pendulum(n=4, frames=180, size=31, highest=0.6).film
    >>> found = fit_sindy_autoencoder(film, modes=24, units=80, rounds=2)
    >>> list(found.equation.terms), len(found.series)
    (['sin z'], 4)
    """

    code: FilmCode
    equation: SparseEquation
    series: list[np.ndarray]
    error: float
    seed: int

    def __repr__(self) -> str:
        return f"SindyAutoencoder({self.equation!r}, {self.error:.2%} of the pictures left)"


def _logistic(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _solved(matrix, right, ridge):
    return np.linalg.solve(matrix + ridge * np.trace(matrix) / len(matrix) * np.eye(len(matrix)), right)


class _Autoencoder:
    """Encoder and decoder between coefficients (n, r) and numbers (n, k), in training."""

    def __init__(self, units, coefficients, numbers, generator) -> None:
        r, k = coefficients.shape[1], numbers.shape[1]
        self.total = float((coefficients**2).sum(axis=1).mean())
        weight = generator.standard_normal((units, r)) * _GAIN / np.sqrt(self.total)
        self.encoder = RandomFeatures(weight, generator.uniform(-_GAIN, _GAIN, units))
        directions = generator.standard_normal((units, k))
        self.directions = directions / np.linalg.norm(directions, axis=1)[:, None]
        self.order = generator.permutation(units)
        self.aim(coefficients, numbers)

    def aim(self, coefficients, numbers):
        """Fit both to ``numbers``, over which the units of the decoder are spread evenly."""
        self.encoder.choose_ridge(coefficients, numbers)
        self.encoder.fit(coefficients, numbers)
        places = farthest_rows(numbers, min(len(self.order), len(numbers)))
        places = numbers[np.resize(places, len(self.order))][self.order]
        weight = _SHARPNESS / (numbers.std(axis=0).max() * numbers.shape[1]) * self.directions
        self.decoder = RandomFeatures(weight, -(weight * places).sum(axis=1))
        self.decoder.choose_ridge(numbers, coefficients)
        self.decoder.fit(numbers, coefficients)

    def refine(self, coefficients, rounds, extra=None):
        """Gauss and Newton's method for the encoder, and least squares for the decoder, in turns.

        ``extra(z)`` gives rows (m, units + 1) and right sides (m,) that are weighted like the sum over frames.
        """
        hidden = self.encoder.hidden(coefficients)
        damping, loss = max(_DAMPING, self.encoder.ridge), np.inf
        kept, equations = self.encoder.last, None
        for left_over in range(rounds, -1, -1):
            now, found = self._normal_equations(coefficients, hidden, extra)
            if now > loss:
                # from the last weights once more, by a shorter step
                damping = 30.0 * damping
            else:
                loss, kept, equations, damping = now, self.encoder.last, found, damping / 3.0
            if left_over:
                change = _solved(*equations, damping)
                self.encoder.last = kept + change.reshape(kept.shape[1], len(kept)).T
        self.encoder.last = kept
        self.decoder.fit(hidden @ kept, coefficients)

    def _normal_equations(self, coefficients, hidden, extra):
        """The loss, and matrix and right side of a step of the encoder's last layer; the decoder is fitted before."""
        numbers = hidden @ self.encoder.last
        self.decoder.fit(numbers, coefficients)
        left, slopes = coefficients - self.decoder(numbers), self.decoder.slopes(numbers)
        k, size = numbers.shape[1], len(left) * self.total
        metric = np.einsum("noi,noj->nij", slopes, slopes, optimize=True) / size
        matrix = np.block([[hidden.T @ (metric[:, i, j, None] * hidden) for j in range(k)] for i in range(k)])
        right = (hidden.T @ np.einsum("noi,no->ni", slopes, left)).T.ravel() / size
        loss = float((left**2).sum()) / size
        if extra is None:
            return loss, (matrix, right)
        rows, missed = extra(numbers[:, 0])
        return loss + float(missed @ missed), (matrix + rows.T @ rows, right + rows.T @ missed)

    def projected(self, coefficients):
        """Numbers (n, k) where the decoder comes nearest to the pictures, which the encoder begins with."""
        numbers = self.encoder(coefficients)
        for _ in range(_PROJECTIONS):
            numbers = numbers + self.decoder.step_to(coefficients, numbers)
            self.decoder.fit(numbers, coefficients)
        return numbers


@dataclass(frozen=True, eq=False)
class _Coefficients:
    """A film in the coefficients of its modes."""

    pod: POD
    clips: list[np.ndarray]

    @classmethod
    def of(cls, rows, modes, generator):
        joined = np.concatenate(rows)
        frames = joined[np.sort(generator.permutation(len(joined))[:_FRAMES])].astype(float)
        seed = int(generator.integers(2**31))
        pod = POD.fit(
            frames.T, modes=min(modes, len(frames)), offset=frames.mean(axis=0), method="randomised", seed=seed
        )
        return cls(pod, [pod.project(clip.T.astype(float)).T for clip in rows])

    def autoencoder(self, latent, units, generator):
        """One whose numbers are coordinates along what the frames lie on, and all coefficients (n, r)."""
        joined = np.concatenate(self.clips)
        some = joined[generator.permutation(len(joined))[: 5 * _ORDERED]]
        drawn = some[farthest_rows(some, min(_ORDERED, len(some)), int(generator.integers(len(some))))]
        numbers = geodesic_coordinates(drawn, latent)
        return _Autoencoder(units, drawn, numbers / numbers[:, 0].std(), generator), joined

    def code(self, autoencoder):
        """The trained networks."""
        return FilmCode(self.pod, autoencoder.encoder, autoencoder.decoder)


def _pictures(rows):
    """The clips as arrays (n, p) with the same p; integers stay integers, which may be of eight bits."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not len(rows):
        raise ParameterError(f"rows={brief(rows)} is not allowed; pass a list of clips (n, p), a picture in each row")
    clips = [numbers(f"clip {k}", clip) for k, clip in enumerate(rows)]
    for k, clip in enumerate(clips):
        if clip.ndim != 2 or 0 in clip.shape or clip.shape[1] != clips[0].shape[1]:
            raise ParameterError(
                f"clip {k} has the shape {clip.shape}, the first {clips[0].shape}; pass clips (n, p) with pictures of "
                "one size"
            )
    return clips


@checked(rows="unchecked", latent="[1, inf)", modes="[1, inf)", units="[1, inf)", rounds="[1, inf)", seed="[0, inf)")
def fit_film_code(
    rows: Sequence[np.ndarray], latent: int, *, modes: int = 48, units: int = 256, rounds: int = 8, seed: int = 0
) -> FilmCode:
    """Train an autoencoder of pictures.

    Left to themselves, networks fold the curve on which the frames of a pendulum lie: distant angles get one number.
    They start therefore from coordinates along that curve, :func:`femnn.identification.geodesic_coordinates`, which
    know distances between neighbouring frames and nothing else.

    Parameters
    ----------
    rows : sequence of (n, p)
        Pictures as rows, a list of clips.
    latent
        Numbers for each picture.
    modes, units
        Of the linear layer that the network begins and ends with, and of the hidden layers between.
    rounds
        Of Gauss and Newton's method.
    seed
        Of the hidden layers and of the frames that are ordered.

    Examples
    --------
    >>> from femnn.identification.film import picture_of_angle
    >>> pictures = picture_of_angle(np.linspace(-1.0, 1.0, 300)).reshape(300, -1)
    >>> code = fit_film_code([pictures], 1, modes=20, units=80)
    >>> bool(code.error(pictures) < 0.05)
    True
    """
    generator = np.random.default_rng(seed)
    film = _Coefficients.of(_pictures(rows), modes, generator)
    autoencoder, joined = film.autoencoder(latent, units, generator)
    autoencoder.refine(joined, rounds)
    return film.code(autoencoder)


@checked(
    modes="[1, inf)", units="[1, inf)", rounds="[1, inf)", tolerance="(0, 1)", most_left="(0, inf)", seed="[0, inf)"
)
def fit_sindy_autoencoder(
    film: Film,
    library: Library | None = None,
    *,
    modes: int = 48,
    units: int = 256,
    rounds: int = 12,
    tolerance: float = TOLERANCE,
    most_left: float = 0.2,
    seed: int = 0,
) -> SindyAutoencoder:
    """One start of an autoencoder whose number follows a sparse equation of second order.

    The autoencoder begins as that of :func:`fit_film_code`. Its number is any smooth function of an angle: it is
    straightened, :func:`femnn.identification.flat_gauge`, and scaled so that a sine of the library has the argument of
    the equation, :func:`femnn.identification.unit_gauge`. Encoder, decoder and coefficients are then trained together,
    towards the pictures and towards the weak form of the equation (after K. Champion, B. Lusch, J. N. Kutz, S. L.
    Brunton, PNAS 116 (2019) 22445-22451, who need derivatives of pictures); last, all terms of the library are chosen
    from again.

    Parameters
    ----------
    film
        At least one of its clips must hold a period.
    library
        Terms of the equation; sines and polynomials of degree 4 if None.
    modes, units, rounds, seed
        As of :func:`fit_film_code`.
    tolerance, most_left
        As of :func:`femnn.identification.discover`.

    Raises
    ------
    DatasetError
        If no clip holds a period, or the library cannot represent the equation.

    Examples
    --------
    >>> from femnn.identification.recording import film_ideal_pendulum
    >>> film = film_ideal_pendulum(n=4, frames=180, size=31, highest=0.6).film.disturbed(0.01)
    >>> fit_sindy_autoencoder(film, modes=24, units=80, rounds=2).equation.library.degree
    4
    """
    instance("film", film, Film)
    library = Library() if library is None else instance("library", library, Library)
    generator, rows = np.random.default_rng(seed), film.rows()
    data = _Coefficients.of(rows, modes, generator)
    autoencoder, joined = data.autoencoder(1, units, generator)
    autoencoder.refine(joined, max(1, rounds // 4))
    cuts = np.cumsum([len(clip) for clip in rows])[:-1]
    series = np.split(autoencoder.projected(joined)[:, 0], cuts)
    weak = WeakForm.of(series, film.dt)
    gauge = flat_gauge(series, film.dt, weak)
    flat = [gauge(z) for z in series]
    scale, shift = unit_gauge(flat, film.dt, library, weak=weak, tolerance=tolerance)
    series = [scale * (z - shift) for z in flat]
    equation = sparsest(series, weak, library, tolerance, most_left)
    autoencoder.aim(joined, np.concatenate(series)[:, None])
    hidden = autoencoder.encoder.hidden(joined)
    autoencoder.refine(joined, rounds, _Law(equation, weak, cuts, hidden))
    series = np.split(autoencoder.projected(joined)[:, 0], cuts)
    equation = sparsest(series, weak, library, tolerance, most_left)
    code = data.code(autoencoder)
    return SindyAutoencoder(code, equation, series, code.error(np.concatenate(rows)), seed)


class _Law:
    """What an equation, whose coefficients are fitted anew, leaves of the acceleration, and its derivative."""

    def __init__(self, equation, weak, cuts, hidden) -> None:
        self.library, self.weak, self.cuts = equation.library, weak, cuts
        self.support = np.flatnonzero(equation.coefficients)
        # all that is linear in the weights is computed once: the hidden layer stays as it is
        self.features = [
            None if len(own) < 4 * weak.half + 1 else (*weak.smoothed(own), weak.accelerations(own[self._inner]))
            for own in np.split(hidden, cuts)
        ]

    @property
    def _inner(self):
        return slice(self.weak.half, -self.weak.half)

    def __call__(self, z):
        """Rows (m, units + 1) and right sides (m,) of Gauss and Newton's method."""
        weak, parts, targets, columns = self.weak, [], [], []
        for own, features in zip(np.split(z, self.cuts), self.features, strict=True):
            if features is None:
                continue
            smooth, velocity = weak.smoothed(own)
            columns.append(weak.integrals(self.library.values(smooth, velocity)[:, self.support]))
            targets.append(weak.accelerations(own[self._inner]))
            parts.append((self.library.slopes(smooth, velocity), features))
        target, matrix = np.concatenate(targets), np.concatenate(columns)
        coefficients = np.linalg.lstsq(matrix, target, rcond=None)[0]
        rows = []
        for slopes, (value, rise, acceleration) in parts:
            by_z, by_velocity = (slope[:, self.support] @ coefficients for slope in slopes)
            rows.append(acceleration - weak.integrals(by_z[:, None] * value + by_velocity[:, None] * rise))
        size = np.sqrt(_EQUATION / (target**2).sum())
        return size * np.concatenate(rows), -size * (target - matrix @ coefficients)


@dataclass(frozen=True, eq=False)
class NumbersNeeded:
    """How many numbers rows of data take; made by :func:`numbers_needed`.

    Attributes
    ----------
    errors : (most,)
        Of autoencoders of 1, 2, ... numbers for held-out clips, see :meth:`FilmCode.error`.
    linear : (m,)
        Of as many modes of proper orthogonal decomposition, for the same clips.
    neighbours : float
        By :func:`femnn.identification.intrinsic_dimension`, which trains nothing.

    Examples
    --------
    >>> needed = NumbersNeeded(np.array([0.5, 0.1]), np.array([0.8, 0.3, 0.05]), 1.9)
    >>> needed.answer, needed.modes
    (2, 3)
    """

    errors: np.ndarray
    linear: np.ndarray
    neighbours: float

    def __repr__(self) -> str:
        return (
            f"NumbersNeeded({self.answer}: autoencoders leave {', '.join(f'{e:.2g}' for e in self.errors)}, as much as "
            f"{self.modes} modes; by neighbours {self.neighbours:.2f})"
        )

    @property
    def answer(self) -> int:
        """The dimension by neighbours, rounded: what autoencoders leave depends on how well they were trained."""
        return max(1, round(self.neighbours))

    @property
    def modes(self) -> int:
        """Modes that leave no more than the autoencoder of :attr:`answer` numbers; all if more are needed."""
        reached = np.flatnonzero(self.linear <= self.errors[min(self.answer, len(self.errors)) - 1])
        return int(reached[0]) + 1 if len(reached) else len(self.linear)


@checked(rows="unchecked", most="[2, inf)", modes="[1, inf)", units="[1, inf)", rounds="[1, inf)", seed="[0, inf)")
def numbers_needed(
    rows: Sequence[np.ndarray], most: int = 3, *, modes: int = 48, units: int = 400, rounds: int = 4, seed: int = 0
) -> NumbersNeeded:
    """How many numbers a film takes, a frame each or a state each.

    Parameters
    ----------
    rows : sequence of (n, p)
        Clips: :meth:`Film.rows` for frames, of which a pendulum's take its angle; :func:`state_rows` for what goes on
        by itself, which needs the velocity, too. Each fifth of them is held out.
    most
        Numbers that are tried.
    modes, units, rounds, seed
        As of :func:`fit_film_code`.

    Raises
    ------
    DatasetError
        If there are fewer than five clips.

    Examples
    --------
    >>> from femnn.identification.recording import film_ideal_pendulum
    >>> film = film_ideal_pendulum(n=110, frames=5, size=31, highest=0.5).film
    >>> numbers_needed(film.rows(), 2, modes=10, units=30, rounds=1).answer
    1
    """
    rows = _pictures(rows)
    if len(rows) < 5:
        raise DatasetError(f"{len(rows)} clips leave none to judge by; pass five or more, or cut long ones into pieces")
    known = [clip for k, clip in enumerate(rows) if k % 5 != 4]
    held_out = np.concatenate(rows[4::5]).astype(float)
    codes = [fit_film_code(known, k + 1, modes=modes, units=units, rounds=rounds, seed=seed) for k in range(most)]
    pod = codes[0].pod
    centred = held_out - pod.offset
    shares = (pod.project(held_out.T) ** 2).sum(axis=1).cumsum() / (centred**2).sum()
    # one row of each clip: rows of one clip follow each other on a curve, whatever the dimension
    generator = np.random.default_rng(seed)
    some = np.stack([clip[generator.integers(len(clip))] for clip in known]).astype(float)
    return NumbersNeeded(
        np.array([code.error(held_out) for code in codes]),
        np.sqrt(np.maximum(1.0 - shares, 0.0)),
        intrinsic_dimension(pod.project(some.T).T),
    )


def state_rows(film: Film) -> list[np.ndarray]:
    """Frames, and beside them how quickly each pixel changes, in a unit in which both deviate alike: rows (n - 4, 2p).

    The rate is the slope of a line through five frames.

    Examples
    --------
    >>> from femnn.identification.film import picture_of_angle
    >>> film = Film([picture_of_angle(np.sin(np.arange(30.0) / 5.0))], 0.1)
    >>> state_rows(film)[0].shape
    (26, 5202)
    """
    instance("film", film, Film)
    frames, rates = [], []
    for rows in film.rows():
        frames.append(rows[2:-2])
        rates.append((2.0 * (rows[4:] - rows[:-4]) + rows[3:-1] - rows[1:-3]) / np.float32(10.0 * film.dt))
    unit = np.concatenate(frames).std() / np.concatenate(rates).std()
    return [np.concatenate([frame, unit * rate], axis=1) for frame, rate in zip(frames, rates, strict=True)]


@checked()
def best_start(results: Sequence[SindyAutoencoder]) -> SindyAutoencoder:
    """Of several starts that with the fewest terms among those that leave little, and of these the one with least.

    The rule is that of :func:`femnn.identification.discover` for one start: it knows what equations leave of the
    acceleration of the film's own number, and nothing of the truth.

    Examples
    --------
    >>> from femnn.identification.recording import film_ideal_pendulum
    >>> film = film_ideal_pendulum(n=4, frames=180, size=31, highest=0.6).film
    >>> starts = [fit_sindy_autoencoder(film, modes=24, units=80, rounds=1, seed=seed) for seed in (0, 1)]
    >>> best_start(starts) in starts
    True
    """
    if not len(results):
        raise DatasetError("there are no starts to choose from; pass one or more results of fit_sindy_autoencoder")
    least = min(result.equation.left for result in results)
    near = [result for result in results if result.equation.left <= enough(least, TOLERANCE)]
    return min(near, key=lambda result: (len(result.equation.terms), result.equation.left))
