"""Parameters of a pendulum from its angle over time: least squares through the equation of motion."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ellipk

from femnn.checks import checked, number
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.identification.estimate import Estimate, estimate_parameters
from femnn.identification.records import Oscillation, oscillation, require_record
from femnn.identification.swing import PARAMETERS, SwingEquation

#: Parameters of which the frequency tells one.
OF_THE_FREQUENCY = ("gravity", "length", "length_ratio")

# Share of the variance that the equation may leave before other starts are tried, and before it is refused.
_GOOD, _REFUSED = 0.1, 0.5

# Ratio of frequencies of start and record beyond which a search is hopeless; large swings are so many times slower.
_OTHER, _SLOWEST = 2.0, 3.0

# Frequencies that are tried, over that of the record, where the first start ends badly.
_STARTS = (1.0, 0.97, 1.03, 0.94, 1.06)


@checked(t="unchecked", theta="unchecked")
def identify_swing(
    t: ArrayLike,
    theta: ArrayLike,
    free: Sequence[str] = ("gravity", "damping"),
    equation: SwingEquation | None = None,
    *,
    start: Mapping[str, float] | None = None,
    offset: bool = False,
) -> Estimate:
    """Parameters of a pendulum, by least squares through its equation of motion.

    The angle is predicted over the whole record, from an initial angle and angular velocity that are estimated as well,
    and so are its derivatives: no measured value is ever differentiated.

    Parameters
    ----------
    t : (n,)
        Times, s, ascending, in any steps.
    theta : (n,)
        Measured angles, rad.
    free
        What is unknown, of :data:`PARAMETERS`.
    equation
        What is known of the others; the ideal pendulum of 1 m, without resistance, if None.
    start
        Where the search begins, for any of ``free``; what is missing is taken from frequency and decay of the record.
    offset
        Estimate the angle at rest as well, as parameter ``"offset"``.

    Returns
    -------
    Estimate
        Of ``free``, then ``"theta"`` and ``"omega"``, the initial angle (rad) and angular velocity (rad/s), then
        ``"offset"``.

    Raises
    ------
    ParameterError
        If the record is too short for a period, constant, not finite or not ascending; the pendulum turns over; a start
        is impossible; or parameters cannot be told apart, such as gravity and length.
    ConvergenceError
        If the search does not end, or no start leads to a motion like the record.

    Examples
    --------
    >>> t = np.linspace(0.0, 10.0, 300)
    >>> theta = SwingEquation(gravity=9.81, damping=0.1).solve(t, 1.0)
    >>> found = identify_swing(t, theta + 0.01 * np.random.default_rng(0).standard_normal(300))
    >>> bool(abs(found["gravity"] - 9.81) < 0.01), bool(abs(found["damping"] - 0.1) < 0.005)
    (True, True)
    """
    t, theta = require_record(t, theta)
    equation = SwingEquation() if equation is None else equation
    free = _free(free)
    strongest = oscillation(t, theta)
    if np.ptp(theta) >= 2.0 * np.pi:
        raise ParameterError(
            f"the angle goes from {theta.min():.3g} to {theta.max():.3g} rad: the pendulum turns over, or degrees were "
            "passed; pass radians of a motion that swings"
        )
    start = {name: _within(name, value) for name, value in (start or {}).items()}
    unknown = set(start) - set(free)
    if unknown:
        raise ParameterError(
            f"there is a start for {sorted(unknown)[0]!r}, which is not free; free are {', '.join(free)}"
        )
    _require_start_like_the_record(first_guess(free, equation, strongest) | start, equation, strongest)
    record = _Record(t, theta, free, equation, offset)
    found, errors = [], []
    for factor in _STARTS:
        try:
            found.append(record.search(start, strongest, factor))
        except ConvergenceError as error:
            errors.append(error)
            continue
        if record.left(found[-1]) <= _GOOD:
            return found[-1]
    if not found:
        raise errors[0]
    best = min(found, key=record.left)
    if record.left(best) > _REFUSED:
        raise ConvergenceError(
            f"no start leads to a motion like the record: the best, {best}, leaves {record.left(best):.0%} of its "
            "variance; free other parameters, pass a start, or ask whether this is the equation of the motion",
            best.values,
            np.array([best.noise]),
        )
    return best


class _Record:
    """A record, and which parameters of the equation are to be found from it."""

    def __init__(self, t, theta, free, equation, offset) -> None:
        self.t, self.theta, self.free, self.equation, self.offset = t, theta, free, equation, offset
        self.names = (*free, "theta", "omega", *(("offset",) if offset else ()))

    def search(self, start, strongest, factor):
        values = first_guess(self.free, self.equation, strongest, factor) | start
        angle = strongest.amplitude * np.cos(strongest.phase) + (0.0 if self.offset else strongest.mean)
        speed = -strongest.amplitude * strongest.frequency * np.sin(strongest.phase)
        first = [*(values[name] for name in self.free), angle, speed, *([strongest.mean] if self.offset else [])]
        positive = [name in OF_THE_FREQUENCY for name in self.names]
        # a tenth of the guess, squared in the frequency: least squares must not run off to where nothing moves
        lower = [0.05 * value if bounded else -np.inf for value, bounded in zip(first, positive, strict=True)]
        upper = [20.0 * value if bounded else np.inf for value, bounded in zip(first, positive, strict=True)]
        return estimate_parameters(self.predict, self.theta, self.names, first, lower=lower, upper=upper)

    def predict(self, values):
        p = len(self.free)
        equation = self.equation.replaced(**dict(zip(self.free, map(float, values[:p]), strict=True)))
        motion, derivatives = equation.sensitivities(self.t, values[p], values[p + 1], self.free)
        columns = [derivatives[:, 0, 2:], derivatives[:, 0, :2]]
        angle = motion[:, 0]
        if self.offset:
            angle = angle + values[p + 2]
            columns.append(np.ones((len(self.t), 1)))
        return angle, np.concatenate(columns, axis=1)

    def left(self, estimate):
        """Share of the variance that an estimate leaves."""
        return float(np.mean(estimate.residuals**2) / np.var(self.theta))


def first_guess(
    free: Sequence[str], equation: SwingEquation, strongest: Oscillation, factor: float = 1.0
) -> dict[str, float]:
    """What the strongest frequency and its decay say about the ``free`` parameters."""
    size = min(strongest.amplitude, 3.0)
    slower = 1.0 if equation.linear else 2.0 * ellipk(np.sin(0.5 * size) ** 2) / np.pi
    square = (factor * strongest.frequency * slower) ** 2
    guess = {
        "gravity": square * equation.length * equation.length_ratio,
        "length": equation.gravity / (square * equation.length_ratio),
        "length_ratio": equation.gravity / (square * equation.length),
        "damping": 2.0 * strongest.decay,
        # speeds are about the amplitude times the frequency; 8/3π of quadratic resistance acts like linear
        "drag": 0.0 if "damping" in free else 2.4 * strongest.decay / (strongest.amplitude * strongest.frequency),
    }
    return {name: float(guess[name]) for name in free}


def _require_start_like_the_record(values, equation, strongest):
    """Raise ParameterError for a start, or known parameters, from which no search finds the frequency of a record."""
    frequency = float(np.sqrt(equation.replaced(**values).square_frequency))
    if not 1.0 / _OTHER <= frequency / strongest.frequency <= _OTHER * _SLOWEST:
        given = ", ".join(f"{name} = {value:.6g}" for name, value in values.items())
        raise ParameterError(
            f"the start {given} is impossible: small swings would have {frequency:.4g} rad/s, the record has "
            f"{strongest.frequency:.4g}; pass a start nearer to it, or none, and check the parameters that are held"
        )


def _free(free):
    names = (free,) if isinstance(free, str) else tuple(free)
    unknown = [name for name in names if name not in PARAMETERS]
    if unknown or not names or len(set(names)) != len(names):
        raise ParameterError(f"free={names!r} is not allowed; pass some of {', '.join(PARAMETERS)}, each once")
    return names


def _within(name, value):
    if name in OF_THE_FREQUENCY:
        return number(f"the start of {name}", value, "(0, inf)")
    return number(f"the start of {name}", value)
