"""Autoencoders of films: pictures as a few numbers and back, of which one may follow an equation of second order.

Hidden layers are drawn and stay as they are (W. F. Schmidt, M. A. Kraaijveld, R. P. W. Duin, ICPR 1992), which leaves
linear output layers to train: these are found by least squares and by Gauss and Newton's method in place of thousands
of steps along gradients. With enough units nothing is lost, and a start takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from femnn.checks import checked, instance
from femnn.exceptions import DatasetError
from femnn.identification.dimension import farthest_rows, geodesic_coordinates
from femnn.identification.film import Film
from femnn.identification.library import Library, WeakForm
from femnn.identification.sindy import TOLERANCE, SparseEquation, discover, flat_gauge, unit_gauge
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.reduced.pod import POD

# Frames that are ordered along the curve or surface of all frames; that modes are computed from.
_ORDERED, _FRAMES = 600, 2500

# Size of what enters the hidden units of an encoder; how quickly those of a decoder bend, over the deviation of the
# numbers.
_GAIN, _SHARPNESS = 1.5, 16.0

# Ridge of layers that are fitted, over the mean of the diagonal: the least, and what damps the first step of Gauss and
# Newton's method.
_RIDGE, _DAMPING = 1e-8, 1e-6

# Weight of what the equation leaves of the acceleration beside what is left of the pictures, both squared and relative.
_EQUATION = 1.0


@dataclass(frozen=True, eq=False)
class FilmCode:
    """Pictures as a few numbers, and pictures of numbers.

    Attributes
    ----------
    pod : POD
        Modes of the pictures: the first layer of the encoder and the last of the decoder, both linear.
    encoder, decoder : Perceptron
        Between coefficients of the modes and the numbers.
    """

    pod: POD
    encoder: Perceptron
    decoder: Perceptron

    def __repr__(self) -> str:
        return f"FilmCode({self.pod.n} pixels, {self.encoder.architecture}, {self.decoder.architecture})"

    @checked(rows="n p")
    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Numbers (n, latent) of pictures as rows (n, pixels)."""
        return self.encoder(self.pod.project(rows.T).T)

    @checked(numbers="n k")
    def decode(self, numbers: np.ndarray) -> np.ndarray:
        """Pictures (n, pixels) of numbers (n, latent)."""
        return self.pod.lift(self.decoder(numbers).T).T

    @checked(rows="n p")
    def error(self, rows: np.ndarray) -> float:
        """What is left of pictures (n, pixels) less their mean, root mean square over that of these."""
        left = self.decode(self.encode(rows)) - rows
        return float(np.sqrt((left**2).sum() / ((rows - self.pod.offset) ** 2).sum()))


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
    """

    code: FilmCode
    equation: SparseEquation
    series: list[np.ndarray]
    error: float
    seed: int

    def __repr__(self) -> str:
        return f"SindyAutoencoder({self.equation!r}, {self.error:.2%} of the pictures left)"

    @property
    def score(self) -> float:
        """By which starts are chosen, see :attr:`SparseEquation.score`: nothing of the truth is in it."""
        return self.equation.score


@dataclass
class _Layers:
    """A hidden layer that was drawn, and the linear one behind it."""

    weight: np.ndarray
    bias: np.ndarray
    last: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def hidden(self, inputs):
        """Values of the units and a one (n, units + 1)."""
        drawn = inputs @ self.weight.T + self.bias
        return np.concatenate([drawn * _logistic(drawn), np.ones((len(drawn), 1))], axis=1)

    def __call__(self, inputs):
        return self.hidden(inputs) @ self.last

    def slopes(self, inputs):
        """Derivatives (n, outputs, inputs)."""
        drawn = inputs @ self.weight.T + self.bias
        gate = _logistic(drawn)
        rise = gate * (1.0 + drawn * (1.0 - gate))
        return np.einsum("nu,uo,ui->noi", rise, self.last[:-1], self.weight, optimize=True)

    def fit(self, inputs, targets):
        """Fit the last layer by least squares."""
        hidden = self.hidden(inputs)
        self.last = _solved(hidden.T @ hidden, hidden.T @ targets, _RIDGE)

    def perceptron(self):
        """The layers as a network."""
        units, inputs = self.weight.shape
        outputs = self.last.shape[1]
        tensors = {"weight0": self.weight, "bias0": self.bias, "weight1": self.last[:-1].T, "bias1": self.last[-1]}
        tensors |= {"input_mean": np.zeros(inputs), "input_scale": np.ones(inputs)}
        tensors |= {"output_mean": np.zeros(outputs), "output_scale": np.ones(outputs)}
        return Perceptron(Architecture(inputs, outputs, (units,), "silu"), tensors)


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
        self.encoder = _Layers(weight, generator.uniform(-_GAIN, _GAIN, units))
        directions = generator.standard_normal((units, k))
        self.directions = directions / np.linalg.norm(directions, axis=1)[:, None]
        self.order = generator.permutation(units)
        self.encoder.fit(coefficients, numbers)
        self.aim(coefficients, numbers)

    def aim(self, coefficients, numbers):
        """Spread the units of the decoder evenly over ``numbers``, and fit its last layer."""
        places = farthest_rows(numbers, min(len(self.order), len(numbers)))
        places = numbers[np.resize(places, len(self.order))][self.order]
        weight = _SHARPNESS / numbers.std(axis=0).max() * self.directions
        self.decoder = _Layers(weight, -(weight * places).sum(axis=1))
        self.decoder.fit(numbers, coefficients)

    def refine(self, coefficients, rounds, extra=None):
        """Gauss and Newton's method for the encoder, and least squares for the decoder, in turns.

        ``extra(z, hidden)`` gives rows (m, units + 1) and right sides (m,) that are weighted like the sum over frames.
        """
        hidden = self.encoder.hidden(coefficients)
        damping, loss = _DAMPING, np.inf
        for _ in range(rounds):
            numbers = hidden @ self.encoder.last
            self.decoder.fit(numbers, coefficients)
            left = coefficients - self.decoder(numbers)
            slopes = self.decoder.slopes(numbers)
            k, units = numbers.shape[1], hidden.shape[1]
            metric = np.einsum("noi,noj->nij", slopes, slopes, optimize=True)
            matrix = np.block([[hidden.T @ (metric[:, i, j, None] * hidden) for j in range(k)] for i in range(k)])
            right = (hidden.T @ np.einsum("noi,no->ni", slopes, left)).T.ravel()
            matrix, right = matrix / (len(left) * self.total), right / (len(left) * self.total)
            now = float((left**2).sum()) / (len(left) * self.total)
            if extra is not None:
                rows, missed = extra(numbers[:, 0], hidden)
                matrix, right = matrix + rows.T @ rows, right + rows.T @ missed
                now += float(missed @ missed)
            if now > loss:
                # back to the last weights, and a shorter step from there
                self.encoder.last, damping = before, 30.0 * damping
            else:
                loss, damping, step_matrix, step_right = now, damping / 3.0, matrix, right
                before = self.encoder.last
            change = _solved(step_matrix, step_right, damping)
            self.encoder.last = before + change.reshape(k, units).T
        self.encoder.last = before
        self.decoder.fit(hidden @ before, coefficients)


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
        return FilmCode(self.pod, autoencoder.encoder.perceptron(), autoencoder.decoder.perceptron())


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
    film = _Coefficients.of(rows, modes, generator)
    autoencoder, joined = film.autoencoder(latent, units, generator)
    autoencoder.refine(joined, rounds)
    return film.code(autoencoder)


@checked(modes="[1, inf)", units="[1, inf)", rounds="[1, inf)", tolerance="(0, 1)", most_left="(0, inf)", seed="[0, inf)")
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
    """
    instance("film", film, Film)
    library = Library() if library is None else instance("library", library, Library)
    generator, rows = np.random.default_rng(seed), film.rows()
    data = _Coefficients.of(rows, modes, generator)
    autoencoder, joined = data.autoencoder(1, units, generator)
    autoencoder.refine(joined, max(1, rounds // 4))
    cuts = np.cumsum([len(clip) for clip in rows])[:-1]
    series = np.split(autoencoder.encoder(joined)[:, 0], cuts)
    weak = WeakForm.of(series, film.dt)
    gauge = flat_gauge(series, film.dt, weak)
    flat = [gauge(z) for z in series]
    scale, shift = unit_gauge(flat, film.dt, library, weak=weak, tolerance=tolerance)
    series = [scale * (z - shift) for z in flat]
    equation = discover(series, film.dt, library, weak=weak, tolerance=tolerance, most_left=most_left)
    autoencoder.encoder.fit(joined, np.concatenate(series)[:, None])
    autoencoder.aim(joined, np.concatenate(series)[:, None])
    autoencoder.refine(joined, rounds, _Law(equation, weak, cuts))
    series = np.split(autoencoder.encoder(joined)[:, 0], cuts)
    equation = discover(series, film.dt, library, weak=weak, tolerance=tolerance, most_left=most_left)
    code = data.code(autoencoder)
    return SindyAutoencoder(code, equation, series, code.error(np.concatenate(rows)), seed)


class _Law:
    """What an equation, whose coefficients are fitted anew, leaves of the acceleration, and its derivative."""

    def __init__(self, equation, weak, cuts) -> None:
        self.library, self.weak, self.cuts = equation.library, weak, cuts
        self.support = np.flatnonzero(equation.coefficients)

    def __call__(self, z, hidden):
        """Rows (m, units + 1) and right sides (m,) of Gauss and Newton's method."""
        weak, rows, targets, columns = self.weak, [], [], []
        for own, features in zip(np.split(z, self.cuts), np.split(hidden, self.cuts), strict=True):
            if len(own) < 4 * weak.half + 1:
                continue
            smooth, velocity = weak.smoothed(own)
            terms = self.library.values(smooth, velocity)[:, self.support]
            by_z, by_velocity = (slope[:, self.support] for slope in self.library.slopes(smooth, velocity))
            value, rise = weak.smoothed(features)
            inner = slice(weak.half, -weak.half)
            targets.append(weak.accelerations(own[inner]))
            columns.append(weak.integrals(terms))
            # derivatives of the terms in the weights, to be multiplied by the coefficients
            rows.append((weak.accelerations(features[inner]), by_z, by_velocity, value, rise))
        target, matrix = np.concatenate(targets), np.concatenate(columns)
        coefficients = np.linalg.lstsq(matrix, target, rcond=None)[0]
        changes = [
            acceleration - weak.integrals((by_z @ coefficients)[:, None] * value + (by_v @ coefficients)[:, None] * rise)
            for acceleration, by_z, by_v, value, rise in rows
        ]
        size = np.sqrt(_EQUATION / (target**2).sum())
        return size * np.concatenate(changes), -size * (target - matrix @ coefficients)


def best_start(results: Sequence[SindyAutoencoder]) -> SindyAutoencoder:
    """Of several starts that with the sparsest equation that leaves least, by :attr:`SindyAutoencoder.score`."""
    if not results:
        raise DatasetError("there are no starts to choose from; pass one or more results of fit_sindy_autoencoder")
    return min(results, key=lambda result: result.score)
