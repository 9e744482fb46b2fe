"""One neuron that learns a pendulum's equation from derivatives of its angle: the tutorials' way, for comparison."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import savgol_filter

from femnn.checks import checked, integer
from femnn.exceptions import ParameterError
from femnn.identification.estimate import Estimate, estimate_at
from femnn.identification.parameters import OF_THE_FREQUENCY
from femnn.identification.records import oscillation, require_equal_times
from femnn.identification.swing import SwingEquation

# Degree of the polynomials that smooth and differentiate.
_DEGREE = 3

# Share of a period over which polynomials are fitted, unless the user says otherwise.
_WINDOW = 0.25


@checked(t="unchecked", theta="unchecked")
def identify_by_neuron(
    t: ArrayLike,
    theta: ArrayLike,
    free: Sequence[str] = ("gravity", "damping"),
    equation: SwingEquation | None = None,
    *,
    window: int | None = None,
) -> Estimate:
    """Parameters of a pendulum as the weights of one linear neuron from sin θ and θ̇ to θ̈.

    Derivatives are those of polynomials of degree three, fitted to a window around each value (A. Savitzky, M. J. E.
    Golay, Analytical Chemistry 36 (1964) 1627-1639). The weights -g/(r ℓ) and -c minimise the mean of squares; torch's
    L-BFGS finds them. Derivatives of noise are noise that is large and depends on its neighbours, and the smoothing
    bends the curve: both bias the weights, and the intervals, which know of neither, are too narrow. Prefer
    :func:`femnn.identification.identify_swing`.

    Parameters
    ----------
    t, theta : (n,)
        Times (s) in equal steps, and angles (rad).
    free
        One of ``"gravity"``, ``"length"``, ``"length_ratio"``, and ``"damping"`` if that is unknown, too.
    equation
        What is known of the others; the ideal pendulum of 1 m if None.
    window
        Values that a polynomial is fitted to: odd, 5 or more. About a fourth of a period if None.

    Raises
    ------
    ParameterError
        As :func:`femnn.identification.identify_swing`, and if time steps are unequal.

    Examples
    --------
    >>> t = np.linspace(0.0, 10.0, 501)
    >>> found = identify_by_neuron(t, SwingEquation(gravity=9.81, damping=0.1).solve(t, 1.0), window=5)
    >>> bool(abs(found["gravity"] - 9.81) < 0.05)
    True
    """
    strongest = oscillation(t, theta)
    step = require_equal_times(t, "smoothed derivatives")
    equation = SwingEquation() if equation is None else equation
    names = (free,) if isinstance(free, str) else tuple(free)
    stiff = [name for name in names if name in OF_THE_FREQUENCY]
    if len(stiff) != 1 or set(names) - {stiff[0], "damping"}:
        raise ParameterError(
            f"free={names!r} is not allowed; a neuron has one weight for {' or '.join(OF_THE_FREQUENCY)}, and one for "
            "damping"
        )
    width = (
        _odd(_WINDOW * 2.0 * np.pi / (strongest.frequency * step)) if window is None else integer("window", window, 5)
    )
    values = np.asarray(theta, dtype=float)
    if width % 2 == 0 or width > len(values):
        raise ParameterError(f"window={width} is not allowed; pass an odd number, at most the {len(values)} values")
    smooth, speed, second = (savgol_filter(values, width, _DEGREE, deriv=order, delta=step) for order in range(3))
    # at the ends polynomials are not centred on their value
    inner = slice(width // 2, len(values) - width // 2)
    inputs = np.stack([np.sin(smooth), speed], axis=1)[inner]
    target = second[inner]
    if "damping" not in names:
        target, inputs = target + equation.damping * inputs[:, 1], inputs[:, :1]
    # torch is loaded only where something is trained
    from femnn.identification.fit_neuron import train_neuron

    weights = train_neuron(inputs, target)
    square = -weights[0]
    if not square > 0.0:
        raise ParameterError(
            f"the neuron finds the weight {weights[0]:.3g} of sin θ, which must be negative: the noise is larger "
            "than the derivatives; pass a longer window, or use identify_swing"
        )
    # dp/dw of what the weights mean
    value, slope = {
        "gravity": (square * equation.length * equation.length_ratio, -equation.length * equation.length_ratio),
        "length": (
            equation.gravity / (square * equation.length_ratio),
            equation.gravity / (square**2 * equation.length_ratio),
        ),
        "length_ratio": (
            equation.gravity / (square * equation.length),
            equation.gravity / (square**2 * equation.length),
        ),
    }[stiff[0]]
    found, slopes = {stiff[0]: value}, {stiff[0]: slope}
    if "damping" in names:
        found["damping"], slopes["damping"] = -weights[1], -1.0
    order = [stiff[0], *(["damping"] if "damping" in names else [])]
    jacobian = inputs / np.array([slopes[name] for name in order])
    places = [order.index(name) for name in names]
    return estimate_at(names, np.array([found[name] for name in names]), inputs @ weights - target, jacobian[:, places])


def _odd(count):
    return max(2 * int(count / 2.0) + 1, 5)
