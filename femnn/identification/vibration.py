"""Moduli and damping of a structure from sensors: a reduced model that is differentiated exactly, and least squares."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh, expm, expm_frechet
from scipy.sparse import csr_array, issparse

from femnn.checks import brief, checked, floats, indices, number, vector
from femnn.exceptions import ParameterError
from femnn.identification.estimate import Estimate, estimate_parameters
from femnn.identification.records import require_record
from femnn.reduced.pod import POD

#: Names of the two parameters of damping.
DAMPING = ("mass_damping", "stiffness_damping")

# Steps that differ by less, over their length, share one propagator.
_SAME_STEP = 1e-9

# The search begins with so many periods of the lowest frequency, and goes on with twice as long a part of the record.
_FIRST_PERIODS, _LONGER = 2.0, 2.0


class VibrationModel:
    """M q̈ + (α M + β K) q̇ + K q = p(t) f with K = Σ E_i K_i, in the coefficients q of a basis, seen by sensors.

    Linear elasticity is affine in the moduli E_i, so a few small matrices say all about any of them: no element is
    visited again. Between two times the load is linear, and the motion follows by the exponential of a matrix; its
    derivatives by the parameters follow by the derivative of that, and are exact.

    Parameters
    ----------
    stiffnesses
        K_i (n, n) of unit modulus, by the names of the moduli: of the whole structure, or of its parts.
    mass
        M (n, n).
    basis
        Modes that hold for all moduli in question, such as a :class:`femnn.reduced.POD` of motions under some of them,
        or modes (n, r).
    sensors
        Degrees of freedom (k,) whose displacements are measured.
    load
        f (n,); none if None.
    start, velocity
        Displacement and velocity (n,) at the first time; at rest if None.

    Attributes
    ----------
    names : tuple
        Of all parameters: the moduli, then ``"mass_damping"`` α (1/s) and ``"stiffness_damping"`` β (s).

    Raises
    ------
    ParameterError
        If arguments do not fit together, or modes are at rest at all sensors.

    Examples
    --------
    A spring of 4 N/m with a mass of 1 kg, let go:

    >>> from scipy.sparse import eye_array
    >>> one = eye_array(1).tocsr()
    >>> model = VibrationModel({"spring": one}, one, np.ones((1, 1)), [0], start=[1.0])
    >>> t = np.linspace(0.0, np.pi, 9)
    >>> motion, derivatives = model.predict(t, {"spring": 4.0})
    >>> bool(np.allclose(motion[:, 0], np.cos(2.0 * t))), derivatives.shape
    (True, (9, 1, 3))
    """

    @checked(basis="unchecked", load="any", start="any", velocity="any")
    def __init__(
        self,
        stiffnesses: Mapping[str, Any],
        mass: Any,
        basis: POD | np.ndarray,
        sensors: ArrayLike,
        *,
        load: ArrayLike | None = None,
        start: ArrayLike | None = None,
        velocity: ArrayLike | None = None,
    ) -> None:
        modes = basis.modes if isinstance(basis, POD) else floats("basis", basis)
        if modes.ndim != 2 or not stiffnesses or set(stiffnesses) & set(DAMPING):
            raise ParameterError(
                f"modes are {brief(modes)} and stiffnesses {', '.join(stiffnesses) or 'none'}; pass modes (n, r), "
                f"and one stiffness at least under a name other than {' and '.join(DAMPING)}"
            )
        n = len(modes)
        # displacements in modes orthonormal in the mass: the reduced mass is the identity
        mass = _matrix("mass", mass, n)
        reduced = modes.T @ (mass @ modes)
        values, vectors = np.linalg.eigh(reduced)
        if values[0] <= 1e-12 * values[-1]:
            raise ParameterError(
                f"the modes depend on each other, or some have no mass: eigenvalues of the reduced mass are from "
                f"{values[0]:.2g} to {values[-1]:.2g}; take fewer modes"
            )
        self._modes = modes @ (vectors / np.sqrt(values))
        self._stiffnesses = {
            name: self._modes.T @ (_matrix(f"stiffness {name!r}", matrix, n) @ self._modes)
            for name, matrix in stiffnesses.items()
        }
        self.sensors = indices("sensors", sensors, n).ravel()
        self._seen = self._modes[self.sensors]
        if not len(self.sensors) or not np.abs(self._seen).max() > 1e-9 * np.abs(self._modes).max():
            raise ParameterError(
                f"all modes are at rest at the sensors {self.sensors.tolist()}; measure where it moves"
            )
        self._load = np.zeros(self.r) if load is None else self._modes.T @ vector(load, n, "the load")
        mass_modes = mass @ self._modes
        self._start = np.concatenate(
            [
                np.zeros(self.r) if values is None else mass_modes.T @ vector(values, n, name)
                for values, name in ((start, "the start"), (velocity, "the velocity"))
            ]
        )
        if not (self._start.any() or self._load.any()):
            raise ParameterError("nothing moves the structure: no load, no start and no velocity; pass one of them")
        self.names = (*self._stiffnesses, *DAMPING)

    @property
    def r(self) -> int:
        """Number of modes."""
        return self._modes.shape[1]

    def __repr__(self) -> str:
        return f"VibrationModel({self.r} modes, {len(self.sensors)} sensors, parameters {', '.join(self.names)})"

    @checked()
    def frequencies(self, parameters: Mapping[str, float]) -> np.ndarray:
        """Angular frequencies (r,) without damping, rad/s, ascending."""
        stiffness = sum(self._full(parameters)[name] * matrix for name, matrix in self._stiffnesses.items())
        return np.sqrt(np.maximum(eigh(stiffness, eigvals_only=True), 0.0))

    @checked(t="m", history="m")
    def predict(
        self, t: ArrayLike, parameters: Mapping[str, float], history: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Displacements (m, k) at the sensors, and their derivatives (m, k, p) by all parameters :attr:`names`.

        Parameters
        ----------
        t : (m,)
            Times, s, ascending.
        parameters
            Values of :attr:`names`; damping that is missing is 0.
        history : (m,)
            Factor p of the load at these times; 1 if None.

        Raises
        ------
        ParameterError
            If times do not ascend, or parameters are missing or unknown.
        """
        moved = self._moved(t, parameters, history, True)
        seen = np.einsum("kr,mrp->mkp", self._seen, moved)
        return seen[..., 0], seen[..., 1:]

    @checked(t="m", history="m")
    def motion(self, t: ArrayLike, parameters: Mapping[str, float], history: ArrayLike | None = None) -> np.ndarray:
        """Displacements (m, n) of the whole structure, see :meth:`predict`."""
        return self._moved(t, parameters, history, False)[..., 0] @ self._modes.T

    def _moved(self, t, parameters, history, differentiated):
        """Coefficients (m, r, 1 + p) of the modes, and their derivatives if these are wanted."""
        t = np.asarray(t, dtype=float)
        steps = np.diff(t)
        if len(t) < 2 or not (steps > 0.0).all():
            raise ParameterError("the times must ascend, and be two at least; sort them, and leave out what is twice")
        known = self._full(parameters)
        factor = np.ones(len(t)) if history is None else np.asarray(history, dtype=float)
        r, names = self.r, self.names if differentiated else ()
        state = np.zeros((2 * r, 1 + len(names)))
        moved = np.zeros((len(t), r, 1 + len(names)))
        # the first column is the motion, the others its derivatives
        state[:, 0] = self._start
        moved[0] = state[:r]
        propagators: dict[float, Any] = {}
        for k, step in enumerate(steps):
            key = next((one for one in propagators if abs(one - step) <= _SAME_STEP * step), step)
            if key not in propagators:
                propagators[key] = self._propagator(known, key, names)
            forward, slopes = propagators[key]
            driven = np.concatenate([state[:, 0], [factor[k], (factor[k + 1] - factor[k]) / step]])
            state = forward[:, : 2 * r] @ state
            state[:, 0] += forward[:, 2 * r :] @ driven[2 * r :]
            state[:, 1:] += (slopes @ driven).T
            moved[k + 1] = state[:r]
        return moved

    def _propagator(self, known, step, names):
        """Rows of the motion of exp(A h), (2r, 2r + 2), and of its derivatives by parameters (p, 2r, 2r + 2)."""
        r = self.r
        stiffness = sum(known[name] * matrix for name, matrix in self._stiffnesses.items())
        alpha, beta = known["mass_damping"], known["stiffness_damping"]
        # of (ω q, q̇, p, ṗ) with the highest frequency ω, for both to be of one size
        size = np.sqrt(np.linalg.norm(stiffness, 2))
        rates = np.zeros((2 * r + 2, 2 * r + 2))
        rates[:r, r : 2 * r] = size * np.eye(r)
        rates[r : 2 * r, :r] = -stiffness / size
        rates[r : 2 * r, r : 2 * r] = -alpha * np.eye(r) - beta * stiffness
        rates[r : 2 * r, 2 * r] = self._load
        rates[2 * r, 2 * r + 1] = 1.0
        scale = np.concatenate([np.full(r, size), np.ones(r + 2)])
        back = scale / scale[: 2 * r, None]
        slopes = np.zeros((len(names), 2 * r, 2 * r + 2))
        for k, name in enumerate(names):
            slope = np.zeros_like(rates)
            if name in self._stiffnesses:
                slope[r : 2 * r, :r] = -self._stiffnesses[name] / size
                slope[r : 2 * r, r : 2 * r] = -beta * self._stiffnesses[name]
            else:
                slope[r : 2 * r, r : 2 * r] = -np.eye(r) if name == "mass_damping" else -stiffness
            slopes[k] = expm_frechet(rates * step, slope * step, compute_expm=False)[: 2 * r] * back
        return expm(rates * step)[: 2 * r] * back, slopes

    def _full(self, parameters):
        unknown = set(parameters) - set(self.names)
        missing = set(self._stiffnesses) - set(parameters)
        if unknown or missing:
            raise ParameterError(
                f"parameters are {', '.join(parameters)}; the model has {', '.join(self.names)}, of which damping "
                "alone may be missing"
            )
        return dict.fromkeys(DAMPING, 0.0) | {name: number(name, value) for name, value in parameters.items()}


@checked(t="unchecked", measured="any", history="any")
def identify_vibration(
    model: VibrationModel,
    t: ArrayLike,
    measured: ArrayLike,
    start: Mapping[str, float],
    free: Sequence[str] | None = None,
    *,
    history: ArrayLike | None = None,
) -> Estimate:
    """Moduli and damping with which a model moves like the sensors of a structure did.

    Least squares through the motion, with its exact derivatives. A modulus that is off by some per cent is a whole
    period late after some dozen of them, where least squares see a minimum that is none: the search begins with two
    periods, and goes on with twice as many until the record ends.

    Parameters
    ----------
    model
    t : (m,)
        Times, s, ascending in any steps; the motion begins at the first.
    measured : (m, k)
        Displacements at the sensors; all with noise of one size.
    start
        Values of the parameters that are held, and of the free ones where the search begins.
    free
        Which are unknown; all moduli and ``"stiffness_damping"`` if None.
    history : (m,)
        Factor of the load, see :meth:`VibrationModel.predict`.

    Raises
    ------
    ParameterError
        If the record is too short for a period, constant, not finite or not ascending, a start is impossible, or the
        sensors do not tell parameters apart.
    ConvergenceError
        If the search does not end.

    Examples
    --------
    >>> from scipy.sparse import eye_array
    >>> one = eye_array(1).tocsr()
    >>> model = VibrationModel({"spring": one}, one, np.ones((1, 1)), [0], start=[1.0])
    >>> t = np.linspace(0.0, 40.0, 400)
    >>> measured = np.exp(-0.02 * t) * np.cos(2.0 * t)
    >>> found = identify_vibration(model, t, measured[:, None], {"spring": 4.4, "mass_damping": 0.01}, ("spring",))
    >>> bool(abs(found["spring"] - 4.0) < 0.01)
    True
    """
    names = tuple(name for name in model.names if name != "mass_damping") if free is None else tuple(free)
    measured = np.asarray(measured, dtype=float)
    sensors = len(model.sensors)
    if measured.ndim != 2 or measured.shape[1] != sensors:
        raise ParameterError(f"measured has the shape {measured.shape}; pass one column for each of {sensors} sensors")
    busiest = measured[:, int(np.argmax(np.ptp(measured, axis=0)))] if len(measured) else measured.ravel()
    t, _ = require_record(t, busiest)
    if not np.isfinite(measured).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(measured))[0])
        raise ParameterError(f"measured is {measured[place]} at {place}; pass finite values, leave out the others")
    unknown = [name for name in names if name not in model.names]
    if unknown or not names:
        raise ParameterError(f"free={names!r} is not allowed; pass some of {', '.join(model.names)}")
    values = {name: number(f"the start of {name}", value) for name, value in start.items()}
    for name in names:
        values.setdefault(name, 0.0)
    wrong = [name for name in model.names if name in values and name not in DAMPING and not values[name] > 0.0]
    if wrong:
        raise ParameterError(f"the start {wrong[0]} = {values[wrong[0]]:g} is impossible: a modulus is greater than 0")
    search = _Search(model, t, measured, names, values, history)
    length = t[-1] - t[0]
    until = min(_FIRST_PERIODS * 2.0 * np.pi / search.slowest(), length)
    while True:
        found = search.run(until)
        if until >= length:
            break
        until = min(_LONGER * until, length)
    period = 2.0 * np.pi / search.slowest()
    if period > length:
        raise ParameterError(
            f"the record of {length:.4g} s is too short: the lowest frequency that is found has a period of "
            f"{period:.4g} s; measure one period at least, better five"
        )
    return found


class _Search:
    """Least squares over the first part of a record, from where the last one ended."""

    def __init__(self, model, t, measured, names, values, history) -> None:
        self.model, self.t, self.measured, self.names, self.values = model, t, measured, names, values
        self.history = None if history is None else vector(history, len(t), "the history")
        # unknowns of size one: moduli over their start, damping in units of what damps one period
        period = 2.0 * np.pi / self.slowest()
        sizes = {"mass_damping": 1.0 / period, "stiffness_damping": period}
        self.sizes = np.array([sizes.get(name, values[name]) for name in names])

    def slowest(self):
        """Lowest angular frequency that is not zero."""
        frequencies = self.model.frequencies({k: v for k, v in self.values.items() if k in self.model.names})
        return float(frequencies[frequencies > 1e-6 * frequencies[-1]][0])

    def run(self, until):
        count = int(np.searchsorted(self.t - self.t[0], until * (1.0 + 1e-12), side="right"))
        count = min(max(count, 2 * len(self.names) + 2), len(self.t))
        t, measured = self.t[:count], self.measured[:count].ravel()
        history = None if self.history is None else self.history[:count]
        columns = [self.model.names.index(name) for name in self.names]

        def predict(scaled):
            values = self.values | dict(zip(self.names, scaled * self.sizes, strict=True))
            motion, slopes = self.model.predict(t, values, history)
            return motion.ravel(), slopes.reshape(len(measured), -1)[:, columns] * self.sizes

        first = np.array([self.values[name] for name in self.names]) / self.sizes
        lower = [1e-3 if name not in DAMPING else -np.inf for name in self.names]
        scaled = estimate_parameters(predict, measured, self.names, first, lower=lower)
        values = scaled.values * self.sizes
        self.values |= dict(zip(self.names, map(float, values), strict=True))
        covariance = scaled.covariance * np.outer(self.sizes, self.sizes)
        return Estimate(self.names, values, covariance, scaled.residuals, scaled.evaluations)


def _matrix(name, matrix, n):
    if issparse(matrix):
        array = csr_array(matrix)
        floats(name, array.data)
    else:
        array = floats(name, matrix)
    if array.shape != (n, n):
        raise ParameterError(f"{name} has the shape {array.shape}; the modes have {n} rows: pass a matrix {(n, n)}")
    return array
