"""Numbers estimated from measurements: nonlinear least squares, intervals, and parameters that cannot be told apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from femnn.checks import brief, called, checked, floats, number
from femnn.exceptions import ConvergenceError, ParameterError

# Least singular value of the Jacobian with columns of unit length, over the largest, at which measurements still tell
# parameters apart. Sensitivities of integrated equations are exact to about 1e-10.
IDENTIFIABLE = 1e-7

# Length of a column over the longest, at which it has vanished: units of parameters differ, so this is nearly nothing.
_IDLE = 1e-100

# Share of a parameter in a combination that the measurements do not tell, from which on it is named.
_NAMED = 0.1


@dataclass(frozen=True, eq=False)
class Estimate:
    """Parameters as measurements have them, and how far they are known.

    Intervals rest on three assumptions: the equation holds, the noise of the values is independent and of one size, and
    it is small enough for the model to be linear within the intervals.

    Attributes
    ----------
    names : tuple
        Of the parameters.
    values : (p,)
    covariance : (p, p)
        s² (JᵀJ)⁻¹ with the Jacobian J of the prediction and the variance s² of the residuals.
    residuals : (n,)
        Prediction less measurement.
    evaluations : int
        Of the model.

    Examples
    --------
    >>> t = np.linspace(0.0, 1.0, 50)
    >>> noise = 0.01 * np.random.default_rng(1).standard_normal(50)
    >>> columns = np.stack([np.ones(50), t], axis=1)
    >>> measured = 1.0 + 2.0 * t + noise
    >>> line = estimate_parameters(lambda p: (columns @ p, columns), measured, ("a", "b"), (0.0, 0.0))
    >>> low, high = line.interval("b")
    >>> bool(low < 2.0 < high), bool(abs(line["b"] - 2.0) < 0.02)
    (True, True)
    """

    names: tuple[str, ...]
    values: np.ndarray
    covariance: np.ndarray
    residuals: np.ndarray
    evaluations: int

    def __getitem__(self, name: str) -> float:
        """Value of a parameter."""
        return float(self.values[self._place(name)])

    def __repr__(self) -> str:
        parts = (f"{name} = {self[name]:.6g} ± {self.standard_error(name):.2g}" for name in self.names)
        return f"Estimate({', '.join(parts)}; residual {self.noise:.3g}, {self.freedom} degrees of freedom)"

    @property
    def freedom(self) -> int:
        """Measurements less parameters."""
        return len(self.residuals) - len(self.values)

    @property
    def noise(self) -> float:
        """Standard deviation s of the residuals, in their unit."""
        return float(np.sqrt(self.residuals @ self.residuals / self.freedom))

    @property
    def correlation(self) -> np.ndarray:
        """Correlations (p, p) of the errors of the parameters."""
        errors = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(errors, errors)

    def standard_error(self, name: str) -> float:
        """Standard deviation of a parameter."""
        place = self._place(name)
        return float(np.sqrt(self.covariance[place, place]))

    def interval(self, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Ends of the interval that holds the true value in a share ``confidence`` of repeated measurements.

        Student's distribution with as many degrees of freedom as there are measurements less parameters.
        """
        number("confidence", confidence, "(0, 1)")
        half = float(stats.t.ppf(0.5 + 0.5 * confidence, self.freedom)) * self.standard_error(name)
        return self[name] - half, self[name] + half

    def _place(self, name):
        if name not in self.names:
            raise ParameterError(f"there is no parameter {name!r}; estimated were {', '.join(self.names)}")
        return self.names.index(name)


@checked(measured="n", start="p", lower="any", upper="any", tol="(0, 1)", max_evaluations="[1, inf)")
def estimate_parameters(
    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    measured: ArrayLike,
    names: Sequence[str],
    start: ArrayLike,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    tol: float = 1e-12,
    max_evaluations: int = 200,
) -> Estimate:
    """The parameters with which a model predicts measurements with the least sum of squares.

    Parameters
    ----------
    predict
        ``predict(p)`` gives the prediction (n,) and its derivatives (n, p) by the parameters.
    measured : (n,)
    names
        One for each parameter; errors and results use them.
    start : (p,)
        Where the search begins. The nearest minimum is found, so it must be in its basin.
    lower, upper : (p,)
        Bounds; none if None.
    tol
        Relative change of the parameters or of the sum of squares at which the search ends.
    max_evaluations
        Of the model.

    Raises
    ------
    ParameterError
        If arguments do not fit together, the start lies outside the bounds, or the measurements do not tell some of the
        parameters apart: the error names these.
    ConvergenceError
        If the search does not end.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.identification import estimate_parameters
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> columns = np.stack([np.ones(20), t], axis=1)
    >>> line = estimate_parameters(lambda p: (columns @ p, columns), 1.0 + 2.0 * t, ("a", "b"), (0.0, 0.0))
    >>> round(line["a"], 9), round(line["b"], 9)
    (1.0, 2.0)
    """
    measured, start = floats("measured", measured), floats("start", start)
    names = tuple(names)
    if len(set(names)) != len(start):
        raise ParameterError(f"there are {len(start)} starting values for the parameters {names}; pass one for each")
    if len(measured) <= len(start):
        raise ParameterError(
            f"{len(measured)} measurements cannot tell {len(start)} parameters and their errors; measure more, or free "
            "fewer parameters"
        )
    low = np.full(len(start), -np.inf) if lower is None else np.asarray(lower, dtype=float)
    high = np.full(len(start), np.inf) if upper is None else np.asarray(upper, dtype=float)
    _require_start_within(names, start, low, high)
    model = _Model(predict, measured, names)
    require_identifiable(names, model.jacobian(start))
    result = optimize.least_squares(
        model.residual,
        start,
        model.jacobian,
        bounds=(low, high),
        x_scale="jac",
        ftol=tol,
        xtol=tol,
        gtol=None,
        max_nfev=max_evaluations,
    )
    if result.status <= 0:
        raise ConvergenceError(
            f"least squares did not settle within {max_evaluations} evaluations: root of the mean square from "
            f"{_rms(model.residual(start)):.3g} to {_rms(result.fun):.3g}; pass a better start, or a larger "
            "max_evaluations",
            result.x,
            np.array([_rms(result.fun)]),
        )
    return estimate_at(names, result.x, result.fun, model.jacobian(result.x), model.evaluations)


def estimate_at(
    names: Sequence[str], values: np.ndarray, residuals: np.ndarray, jacobian: np.ndarray, evaluations: int = 1
) -> Estimate:
    """The estimate that given ``values`` (p,) make, with residuals (n,) and Jacobian (n, p) of the prediction there.

    Raises
    ------
    ParameterError
        If the Jacobian does not tell the parameters apart.
    """
    lengths, _, rows = require_identifiable(names, jacobian)
    variance = float(residuals @ residuals) / (len(residuals) - len(values))
    # from the inverse of R: JᵀJ would square the condition
    factor = np.linalg.inv(rows) / lengths[:, None]
    return Estimate(
        tuple(names), np.asarray(values, dtype=float), variance * (factor @ factor.T), residuals, evaluations
    )


def require_identifiable(names: Sequence[str], jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths (p,) of the Jacobian's columns, and Q, R of the columns made of unit length.

    Raises
    ------
    ParameterError
        If a column vanishes, or a combination of parameters does: the message names the parameters in it.
    """
    lengths = np.linalg.norm(jacobian, axis=0)
    least = _IDLE * lengths.max(initial=0.0)
    idle = [name for name, length in zip(names, lengths, strict=True) if length <= least]
    if idle or not len(lengths):
        raise ParameterError(
            f"the measurements do not depend on {', '.join(idle) or 'any parameter'}: its column of the Jacobian "
            "vanishes; hold it fixed, or measure what it changes"
        )
    basis, rows = np.linalg.qr(jacobian / lengths)
    _, values, directions = np.linalg.svd(rows)
    if values[-1] <= IDENTIFIABLE * values[0]:
        share = np.abs(directions[-1])
        joint = [name for name, part in zip(names, share, strict=True) if part >= _NAMED * share.max()]
        raise ParameterError(
            f"the measurements do not tell {' and '.join(joint)} apart: the Jacobian is singular, its singular values "
            f"are from {values[-1]:.1e} to {values[0]:.1e}; hold one of them fixed"
        )
    return lengths, basis, rows


class _Model:
    """Residual and Jacobian of one call of a user's model, which gives both at once."""

    def __init__(self, predict, measured, names) -> None:
        self.predict, self.measured, self.names = predict, measured, names
        self.at, self.evaluations = None, 0

    def residual(self, values):
        return self._evaluated(values)[0] - self.measured

    def jacobian(self, values):
        return self._evaluated(values)[1]

    def _evaluated(self, values):
        if self.at is None or not np.array_equal(self.at, values):
            prediction, jacobian = map(np.asarray, called("predict", self.predict, values))
            wanted = len(self.measured), len(self.names)
            if prediction.shape != wanted[:1] or jacobian.shape != wanted:
                raise ParameterError(
                    f"predict gives arrays {prediction.shape} and {jacobian.shape}; expected are {wanted[:1]} and "
                    f"{wanted}"
                )
            if not (np.isfinite(prediction).all() and np.isfinite(jacobian).all()):
                found = ", ".join(f"{name} = {value:.6g}" for name, value in zip(self.names, values, strict=True))
                raise ParameterError(
                    f"the model is not finite at {found}; pass a start nearer to the solution, or bounds"
                )
            self.at, self.found = values.copy(), (prediction, jacobian)
            self.evaluations += 1
        return self.found


def _require_start_within(names, start, low, high):
    if low.shape != start.shape or high.shape != start.shape:
        raise ParameterError(
            f"bounds have shapes {low.shape} and {high.shape}; pass one of each for {', '.join(names)}"
        )
    for name, value, least, most in zip(names, start, low, high, strict=True):
        if not least <= value <= most:
            raise ParameterError(
                f"the start {name} = {brief(float(value))} is impossible: it must lie between {least:g} and {most:g}"
            )


def _rms(values):
    return float(np.sqrt(np.mean(values**2)))
