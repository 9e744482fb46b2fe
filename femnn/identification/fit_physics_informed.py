"""Training of physics-informed networks of a pendulum with torch: the equation alone, or parameters from a record."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import least_squares
from torch.func import jacrev, vmap
from tqdm import tqdm

from femnn.exceptions import TrainingError
from femnn.identification.estimate import Estimate, estimate_at
from femnn.identification.parameters import OF_THE_FREQUENCY
from femnn.identification.physics_informed import NetworkMotion, NetworkOptions, NetworkWindow
from femnn.identification.swing import PARAMETERS, SwingEquation, swing_acceleration

# Pairs of steps and gradients that L-BFGS keeps.
_HISTORY = 100

# Largest of the first weights and biases, for times from -1 to 1.
_SPREAD = 4.0

# Shares of the equation's weight, in turn: a network that does not yet follow the record would pull the parameters off.
_GROWING = (1e-4, 1e-2, 1.0)

# Rounds of training between which causal weights are set anew.
_ROUNDS = 10

Residual = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def train_windows(
    equation: SwingEquation,
    theta: float,
    omega: float,
    duration: float,
    windows: int,
    options: NetworkOptions,
    progress: bool,
) -> NetworkMotion:
    """One network after the other, each from where the last one ends."""
    length = duration / windows
    kept, residuals, evaluations = [], [], 0
    for k in tqdm(range(windows), unit="window", disable=None if progress else True):
        training = _Window(equation, k * length, length, theta, omega, options)
        evaluations += training.run()
        window = training.window()
        # between the points of training, where nobody has looked
        tau = np.linspace(0.0, length, 2 * options.points + 1)
        angle, speed, acceleration = window.motion(tau)
        left = (acceleration - equation.acceleration(angle, speed)) / equation.square_frequency
        residuals.append(float(np.sqrt(np.mean(left**2))))
        kept.append(window)
        theta, omega = float(angle[-1]), float(speed[-1])
    return NetworkMotion(equation, tuple(kept), np.array(residuals), evaluations)


class _Window:
    """The network of one window, and what it is trained to: no residual of the equation."""

    def __init__(self, equation, begin, length, theta, omega, options) -> None:
        self.equation, self.options = equation, options
        frequencies = np.sqrt(equation.square_frequency) * np.array(options.harmonics)
        self.layers = _Layers(options, len(frequencies))
        self.flat = self.layers.start(options.seed)
        self.about = begin, length, theta, omega, equation.square_frequency, frequencies
        self.tau = torch.tensor(length * _chebyshev(options.points))

    def run(self):
        """Train; the number of evaluations."""
        options, evaluations = self.options, 0
        rounds = _ROUNDS if options.causality else 1
        share = torch.ones_like(self.tau)
        for _ in range(rounds):
            share = self.causal() if options.causality else share
            sums = _Sums([(self.residual, self.tau, share.sqrt() / len(self.tau) ** 0.5)])
            self.flat, more, left = minimise(
                sums, self.flat, options.method, options.iterations // rounds + 1, options.tol
            )
            evaluations += more
            if left <= options.tol and float(share.min()) > 0.5:
                break
        return evaluations

    def residual(self, flat, tau):
        """Residual (n,) of the equation at times (n,), over g/(r ℓ)."""
        angle, speed, acceleration = self.live(flat).motion(tau, torch)
        left = acceleration - self.equation.acceleration(angle, speed, torch)
        return left / self.equation.square_frequency

    def causal(self):
        """Weights (points,): times whose past is not yet solved do not count."""
        squares = self.residual(self.flat, self.tau).square()
        return torch.exp(-self.options.causality * (torch.cumsum(squares, 0) - squares))

    def live(self, flat):
        return NetworkWindow(*self.about, *self.layers.parts(flat))

    def window(self):
        """The window with arrays of NumPy."""
        arrays = (tuple(part.numpy().copy() for part in parts) for parts in self.layers.parts(self.flat))
        return NetworkWindow(*self.about, *arrays)


def train_on_record(
    t: np.ndarray,
    theta: np.ndarray,
    guess: dict[str, float],
    equation: SwingEquation,
    frequency: float,
    physics: float,
    options: NetworkOptions,
) -> Estimate:
    """Network and parameters that fit a record and the equation together."""
    layers, known = _Layers(options, len(options.harmonics)), {name: getattr(equation, name) for name in PARAMETERS}
    length, size, count = float(t[-1] - t[0]), float(np.abs(theta).max()), len(guess)
    about = 0.0, length, 0.0, 0.0, 1.0, frequency * np.array(options.harmonics)

    def parameters(flat):
        # unknowns of size one: logarithms of what is positive, rates in units of the frequency
        return {
            name: start * torch.exp(flat[k]) if name in OF_THE_FREQUENCY else start + frequency * flat[k]
            for k, (name, start) in enumerate(guess.items())
        }

    def motion(flat, tau):
        return (size * part for part in NetworkWindow(*about, *layers.parts(flat[count:])).network(tau, torch))

    def misfit(flat, at):
        """Of times and measured angles (n, 2)."""
        return (next(motion(flat, at[:, 0])) - at[:, 1]) / size

    def residual(flat, tau):
        angle, speed, acceleration = motion(flat, tau)
        of = known | parameters(flat)
        square = of["gravity"] / (of["length"] * of["length_ratio"])
        right = swing_acceleration(
            angle, speed, square, of["damping"], of["drag"], linear=equation.linear, library=torch
        )
        return (acceleration - right) / (size * frequency**2)

    record = torch.tensor(np.stack([t - t[0], theta], axis=1))
    asked = torch.tensor(length * _chebyshev(options.points))
    flat = torch.cat([torch.zeros(count, dtype=torch.float64), layers.start(options.seed)])
    evaluations = 0
    for share in _GROWING:
        weight = physics * share / len(asked)
        sums = _Sums(
            [
                (misfit, record, torch.full((len(t),), len(t) ** -0.5, dtype=torch.float64)),
                (residual, asked, torch.full((len(asked),), weight**0.5, dtype=torch.float64)),
            ]
        )
        flat, more, _ = minimise(sums, flat, options.method, options.iterations // len(_GROWING) + 1, options.tol)
        evaluations += more
    values = {name: float(value) for name, value in parameters(flat).items()}
    angle, speed, _ = (part.numpy() for part in motion(flat, record[:, 0]))
    _, derivatives = equation.replaced(**values).sensitivities(t, float(angle[0]), float(speed[0]), tuple(values))
    return estimate_at(
        (*values, "theta", "omega"),
        np.array([*values.values(), angle[0], speed[0]]),
        angle - theta,
        np.concatenate([derivatives[:, 0, 2:], derivatives[:, 0, :2]], axis=1),
        evaluations,
    )


class _Sums:
    """A sum of squares: functions (unknowns, rows) -> (n,) that treat each row by itself, their rows and factors."""

    def __init__(self, terms: list[tuple[Residual, torch.Tensor, torch.Tensor]]) -> None:
        self.terms = terms
        # derivatives row by row: a row of the Jacobian depends on one row alone
        self.slopes = [vmap(jacrev(_of_one(function)), in_dims=(None, 0)) for function, _, _ in terms]

    def values(self, flat):
        return torch.cat([factor * function(flat, rows) for function, rows, factor in self.terms])

    def jacobian(self, flat):
        parts = zip(self.terms, self.slopes, strict=True)
        return torch.cat([factor[:, None] * slope(flat, rows) for (_, rows, factor), slope in parts])


def _of_one(function):
    return lambda flat, row: function(flat, row[None])[0]


def minimise(
    sums: _Sums, start: torch.Tensor, method: str, iterations: int, tol: float
) -> tuple[torch.Tensor, int, float]:
    """Unknowns of the least sum of squares, evaluations, and the root of that sum.

    Raises
    ------
    TrainingError
        If the sum is not finite.
    """
    return (_by_gauss_newton if method == "gauss-newton" else _by_lbfgs)(sums, start, iterations, tol)


def _by_gauss_newton(sums, start, iterations, tol):
    """SciPy's trust region, with the Jacobian of all weights: few weights make that cheap."""

    def values(flat):
        return _finite(sums.values(torch.tensor(flat)).numpy(), "residuals")

    def jacobian(flat):
        return _finite(sums.jacobian(torch.tensor(flat)).numpy(), "derivatives")

    # directions of small derivatives leave a hundred times the gradient
    found = least_squares(values, start.numpy(), jacobian, max_nfev=iterations, ftol=1e-6, xtol=None, gtol=0.01 * tol)
    return torch.tensor(found.x), int(found.nfev), float(np.sqrt(2.0 * found.cost))


def _by_lbfgs(sums, start, iterations, tol):
    """Torch's L-BFGS with a strong Wolfe search."""
    flat = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [flat],
        max_iter=iterations,
        max_eval=2 * iterations,
        history_size=_HISTORY,
        tolerance_grad=1e-14,
        tolerance_change=1e-4 * tol**2,
        line_search_fn="strong_wolfe",
    )
    evaluations = 0

    def closure():
        nonlocal evaluations
        optimizer.zero_grad()
        loss = sums.values(flat).square().sum()
        loss.backward()
        evaluations += 1
        _finite(loss.detach().numpy(), "loss")
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return flat.detach(), evaluations, float(sums.values(flat).norm())


def _finite(values, what):
    if not np.isfinite(values).all():
        raise TrainingError(
            f"the {what} of a physics-informed network are not finite; pass another seed, or more windows"
        )
    return values


class _Layers:
    """Shapes of the weights and biases, which the optimisers see as one vector."""

    def __init__(self, options, harmonics) -> None:
        sizes = [1, *[options.width] * options.depth, 1 + 2 * harmonics]
        self.shapes = list(pairwise(sizes))

    def start(self, seed):
        """Weights after Glorot, but those of the first layer, which are spread over the window, and of the last, zero.

        With small first weights the network is nearly a polynomial of low degree, whose Jacobian is all but singular.
        """
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for layer, shape in enumerate(self.shapes):
            weight, bias = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape[1], dtype=torch.float64)
            if layer == 0:
                weight.uniform_(-_SPREAD, _SPREAD, generator=generator)
                bias.uniform_(-_SPREAD, _SPREAD, generator=generator)
            elif layer < len(self.shapes) - 1:
                torch.nn.init.xavier_uniform_(weight, generator=generator)
            parts += [weight.ravel(), bias]
        return torch.cat(parts)

    def parts(self, flat):
        """Weights and biases in a vector."""
        weights, biases, place = [], [], 0
        for inputs, outputs in self.shapes:
            weights.append(flat[place : place + inputs * outputs].reshape(inputs, outputs))
            place += inputs * outputs
            biases.append(flat[place : place + outputs])
            place += outputs
        return tuple(weights), tuple(biases)


def _chebyshev(points):
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(points) + 0.5) / points)
