"""Forecasts of flows side by side: networks of several seeds and their rivals, on the coefficients of one flow.

A :class:`FlowCase` is the coefficients of a flow in its modes, those to learn from and those to test by. ``rivals``
fits what is no network, ``networks`` what is one, and :func:`summarise` makes rows of a table of their errors.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, floats, one_of
from femnn.exceptions import DatasetError, MissingExtraError
from femnn.io.guarded import GuardedFile
from femnn.io.locations import data_folder
from femnn.networks.options import TrainingOptions
from femnn.reduced.dynamics.comparison import ForecastErrors, compare_forecasters, forecast_starts
from femnn.reduced.dynamics.external import DynamicModes, SparseDynamics
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.latent import KINDS, OPTIONS, LatentDynamics
from femnn.reduced.dynamics.rivals import Autoregression, FourierSeries, Mean, Persistence
from femnn.reduced.dynamics.series import require_equal_steps
from femnn.validation.burgers_wave import REYNOLDS_TESTS, REYNOLDS_TRAINING, BurgersWave
from femnn.validation.cylinder_wake import wake_figures
from femnn.validation.turbulence import KINDS as TURBULENCE


@dataclass(frozen=True, eq=False, repr=False)
class FlowCase:
    """Coefficients of a flow in its modes.

    Attributes
    ----------
    name : str
    training, tests : list of (m, n)
        Series at equal steps.
    dt : float
        Step, in ``unit``.
    unit : str
        Of time: "periods", "eddy turnovers".
    window : (p, q)
        Rows that networks and linear models see, and those that they predict.
    steps : int
        How far forecasts reach.
    hold_out : str
        Of :meth:`femnn.reduced.dynamics.LatentDynamics.fit`.
    training_parameters, test_parameters : (runs, k), or None
    test_names : list of str
    periodic : bool
        Whether Fourier series are among the rivals.
    galerkin : Forecaster, or None
        The projected equation, where it is known.

    Examples
    --------
    >>> from femnn.validation import flow_case
    >>> case = flow_case("wake")
    >>> case.unit, case.window, case.mean.shape
    ('periods', (10, 10), (8,))
    """

    name: str
    training: list[np.ndarray]
    tests: list[np.ndarray]
    dt: float
    unit: str
    window: tuple[int, int]
    steps: int
    hold_out: str = "last"
    training_parameters: np.ndarray | None = None
    test_parameters: np.ndarray | None = None
    test_names: Sequence[str] = ("test",)
    periodic: bool = False
    galerkin: Forecaster | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        series = f"{len(self.training)} and {len(self.tests)} series of {self.training[0].shape[1]} coefficients"
        return f"FlowCase({self.name}: {series})"

    @property
    def mean(self) -> np.ndarray:
        """Of the training series, (n,)."""
        return np.concatenate(self.training).mean(axis=0)

    def rivals(self) -> tuple[list[Forecaster], list[str]]:
        """What is no network, fitted; and what is left out, with the reason."""
        shared: dict[str, Any] = {"hold_out": self.hold_out}
        both = {**shared, "parameters": self.training_parameters}
        makers: dict[str, Any] = {
            "persistence": lambda: Persistence(self.training[0].shape[1]),
            "mean": lambda: Mean(self.mean),
            "linear autoregression": lambda: Autoregression.fit(self.training, self.window, **both),
            "dynamic mode decomposition": lambda: DynamicModes.fit(self.training, self.window, **shared),
            "latent SINDy": lambda: SparseDynamics.fit(self.training, self.window, **both),
        }
        if self.periodic:
            makers["Fourier series"] = lambda: FourierSeries.fit(self.training, lookback=self.window[0])
        models, left_out = [] if self.galerkin is None else [self.galerkin], []
        for name, make in makers.items():
            try:
                models.append(make())
            except (MissingExtraError, DatasetError) as error:
                left_out.append(f"{name}: {error}")
        return models, left_out

    @checked(kinds="unchecked", seeds="[1, inf)", weights="[50, inf)")
    def networks(
        self,
        kinds: Sequence[str] = KINDS,
        seeds: int = 5,
        *,
        separate: bool = False,
        weights: int = 8000,
        options: TrainingOptions = OPTIONS,
        folder: str | os.PathLike | None = None,
        progress: bool = True,
    ) -> dict[str, list[LatentDynamics]]:
        """Networks by name, one of each seed; ``folder`` keeps their trainings, which then go on where they were."""
        found: dict[str, list[LatentDynamics]] = {}
        for kind in kinds:
            for seed in range(seeds):
                sizes = f"{weights}-{options.epochs}-{options.batch_size}-{seed}"
                file = f"{self.name}-{kind}{'-each' if separate else ''}-{sizes}.state"
                model = LatentDynamics.fit(
                    self.training,
                    kind,
                    self.window,
                    separate=separate,
                    weights=weights,
                    parameters=self.training_parameters,
                    dt=self.dt,
                    hold_out=self.hold_out,
                    options=replace(options, seed=seed),
                    checkpoint=None if folder is None else Path(folder) / file,
                    progress=progress,
                )
                found.setdefault(model.name, []).append(model)
        return found

    @checked()
    def errors(self, models: Sequence[Forecaster]) -> list[list[ForecastErrors]]:
        """Errors of each model on each test, all from the same starts: (models, tests)."""
        names = {str(k): model for k, model in enumerate(models)}
        columns = []
        for k, test in enumerate(self.tests):
            setting = None if self.test_parameters is None else self.test_parameters[k : k + 1]
            errors = compare_forecasters(names, test, self.steps, self.mean, dt=self.dt, parameters=setting)
            columns.append({error.name: replace(error, name=names[error.name].name) for error in errors})
        return [[column[name] for column in columns] for name in names]


@checked(window="[1, inf)")
def summarise(errors: Sequence[Sequence[ForecastErrors]], window: int = 1) -> list[dict[str, Any]]:
    """Rows of a table, one for each name: means over the seeds and their scatter, for each test.

    Each row has ``model``, ``seeds`` and, in lists over the tests, ``one_step``, ``window`` (free-running error over
    the first ``window`` steps), ``error``, ``horizon``, the ``scatter`` of the last three (standard deviation over
    seeds; 0 for one), and whether each ``reaches_end``.

    Examples
    --------
    >>> from femnn.reduced.dynamics import Autoregression, Persistence
    >>> from femnn.validation import flow_case, summarise
    >>> case = flow_case("wake")
    >>> rows = summarise(case.errors([Persistence(8), Autoregression.fit(case.training, case.window)]))
    >>> sorted(row["model"] for row in rows)
    ['linear autoregression', 'persistence']
    """
    rows: dict[str, list[Sequence[ForecastErrors]]] = {}
    for per_test in errors:
        rows.setdefault(per_test[0].name, []).append(per_test)
    return [_row(name, runs, window) for name, runs in rows.items()]


def _row(name, runs, window):
    def over(value):
        return np.array([[value(error) for error in per_test] for per_test in runs], dtype=float)

    error, horizon = over(lambda e: e.mean), over(lambda e: e.horizon)
    first = over(lambda e: np.sqrt(np.mean(e.over_time[:window] ** 2)))
    with np.errstate(invalid="ignore"):
        return {
            "model": name,
            "seeds": len(runs),
            "one_step": over(lambda e: e.one_step).mean(axis=0).tolist(),
            "window": first.mean(axis=0).tolist(),
            "window_scatter": first.std(axis=0).tolist(),
            "error": error.mean(axis=0).tolist(),
            "error_scatter": error.std(axis=0).tolist(),
            "horizon": horizon.mean(axis=0).tolist(),
            "horizon_scatter": horizon.std(axis=0).tolist(),
            "reaches_end": over(lambda e: e.reaches_end).all(axis=0).tolist(),
        }


@checked(cells="[4, inf)", steps="[60, inf)", modes="[1, inf)")
def burgers_case(cells: int = 1024, steps: int = 1000, modes: int = 4) -> FlowCase:
    """Viscous Burgers' equation: four Reynolds numbers to learn from, two to test by.

    Networks see the last three rows and the Reynolds number, and predict the next one.

    >>> burgers_case(64, 100)
    FlowCase(burgers: 4 and 2 series of 4 coefficients)
    """
    burgers = BurgersWave(cells, steps=steps)
    pod = burgers.modes(modes)

    def coefficients(numbers: ArrayLike) -> list[np.ndarray]:
        return [pod.project(burgers.solve(number).T).T for number in floats("numbers", numbers)]

    return FlowCase(
        "burgers",
        coefficients(REYNOLDS_TRAINING),
        coefficients(REYNOLDS_TESTS),
        burgers.dt,
        "of the run",
        (3, 1),
        steps - 2,
        "scattered",
        np.array(REYNOLDS_TRAINING)[:, None],
        np.array(REYNOLDS_TESTS)[:, None],
        [f"Re = {number:g}" for number in REYNOLDS_TESTS],
        galerkin=burgers.galerkin(pod),
        more={"problem": burgers, "pod": pod, "modes": pod.modes},
    )


@checked()
def burgers_state_errors(case: FlowCase, models: Sequence[Forecaster]) -> dict[str, dict[str, float]]:
    """Errors over space and time of forecasts of Burgers' equation, by test and name of the model.

    They are relative to the closed solution, modes that are left out included; networks are means over their seeds.
    ``"projection"`` is what the modes themselves leave.

    Examples
    --------
    >>> from femnn.reduced.dynamics import Persistence
    >>> from femnn.validation import burgers_state_errors
    >>> from femnn.validation.flow_study import burgers_case
    >>> case = burgers_case(64, 100)
    >>> errors = burgers_state_errors(case, [Persistence(case.mean.size)])
    >>> [sorted(row) for row in errors.values()]
    [['persistence', 'projection'], ['persistence', 'projection']]
    """
    burgers, pod = case.more["problem"], case.more["pod"]
    found: dict[str, dict[str, float]] = {}
    for name, number, test in zip(case.test_names, REYNOLDS_TESTS, case.tests, strict=True):
        truth = burgers.solve(number)
        first = len(test) - case.steps
        size = np.linalg.norm(truth[first:])
        left = np.linalg.norm(pod.lift(test.T).T - truth) / np.linalg.norm(truth)
        errors: dict[str, list[float]] = {"projection": [float(left)]}
        for model in models:
            setting = [number] if model.n_parameters else None
            q = model.forecast(test[:first], case.steps, setting)
            missed = float(np.linalg.norm(pod.lift(q.T).T - truth[first:]) / size)
            errors.setdefault(model.name, []).append(missed if np.isfinite(missed) else np.inf)
        found[name] = {model: float(np.mean(values)) for model, values in errors.items()}
    return found


@checked()
def wake_case(path: str | os.PathLike | None = None) -> FlowCase:
    """The wake of a cylinder at Re = 100: its last twenty periods test, those before are learned from, four or more.

    ``path`` is a file of :func:`femnn.validation.simulate_wake`; None takes the coefficients that come with femnn,
    which ``femnn simulate wake`` made.

    >>> wake_case()
    FlowCase(wake: 1 and 1 series of 8 coefficients)
    """
    path = data_folder("flows") / "cylinder-wake.npz" if path is None else Path(path)
    file = GuardedFile(path, DatasetError, "file of a wake", "simulate it again with `femnn simulate wake`")
    arrays = file.arrays()
    with file.checked():
        times, coefficients, lift = (arrays[name] for name in ("times", "coefficients", "lift"))
        more: dict[str, Any] = {name: arrays[name] for name in ("modes", "settings") if name in arrays}
        period = wake_figures(times, arrays["drag"], lift).period
        step = require_equal_steps(times)
    ahead = round(20.0 * period / step)
    window = (10, 10)
    first = len(coefficients) - ahead - window[0]
    if first < 4 * period / step:
        raise DatasetError(
            f"{path} has {len(times) * step / period:.1f} periods; 20 of them test and at least 4 are learned from: "
            "simulate more --periods"
        )
    return FlowCase(
        "wake",
        [coefficients[: first + window[0]]],
        [coefficients[first:]],
        step / period,
        "periods",
        window,
        ahead,
        periodic=True,
        more=more,
    )


@checked(stride="[1, inf)")
def turbulence_case(path: str | os.PathLike, name: str = "turbulence", stride: int = 5) -> FlowCase:
    """Turbulence in a periodic box: five planes to learn from, a sixth to test by, as Mohan and Gaitonde had it.

    Parameters
    ----------
    path
        A file of :func:`femnn.validation.reduce_turbulence`.
    name
        Of the case.
    stride
        Snapshots from one row of a series to the next. Each plane makes as many series to learn from, which start one
        snapshot after the other. Rows that follow each other closely are nearly equal, and a network would have to
        learn from their differences alone.

    Examples
    --------
    >>> from femnn.io import data_folder
    >>> from femnn.validation import turbulence_case
    >>> turbulence_case(data_folder("flows") / "isotropic.npz")
    FlowCase(turbulence: 25 and 1 series of 5 coefficients)
    """
    path = Path(path)
    remedy = "make it again with `femnn simulate turbulence`"
    file = GuardedFile(path, DatasetError, "file of coefficients of turbulence", remedy)
    arrays = file.arrays()
    with file.checked():
        series = list(arrays["coefficients"].astype(float))
        statistics, modes = arrays["statistics"], arrays["modes"]
    step = stride * require_equal_steps(statistics[:, 0])
    turnover = float(statistics[:, -1].mean())
    test = series[-1][::stride]
    reach = min(round(2.0 * turnover / step), len(test) // 3)
    return FlowCase(
        name,
        [part[first::stride] for part in series[:-1] for first in range(stride)],
        [test],
        step / turnover,
        "eddy turnovers",
        (10, 10),
        max(reach, 1),
        more={"modes": modes, "file": path},
    )


@checked()
def coefficient_errors(case: FlowCase, models: Sequence[Forecaster]) -> dict[str, np.ndarray]:
    """Errors of each coefficient over the rows that a window predicts, means over the tests and over seeds, by name.

    Each is the root of the mean square of what free-running forecasts miss, relative to that coefficient's deviation
    from the mean of the training. Windows that predict one row are followed over all steps of the case.

    Examples
    --------
    >>> from femnn.reduced.dynamics import Persistence
    >>> from femnn.validation import coefficient_errors, flow_case
    >>> coefficient_errors(flow_case("mhd"), [Persistence(5)])["persistence"].shape
    (5,)
    """
    steps = case.window[1] if case.window[1] > 1 else case.steps
    lookback = max(model.lookback for model in models)
    found: dict[str, list[np.ndarray]] = {}
    for model in models:
        missed, size = [], []
        for k, test in enumerate(case.tests):
            firsts = forecast_starts(len(test), lookback, steps)
            histories = np.stack([test[first - lookback : first] for first in firsts])
            truth = np.stack([test[first : first + steps] for first in firsts])
            setting = None
            if case.test_parameters is not None and model.n_parameters:
                setting = np.tile(case.test_parameters[k], (len(firsts), 1))
            missed.append(((model.forecast(histories, steps, setting) - truth) ** 2).mean(axis=(0, 1)))
            size.append(((truth - case.mean) ** 2).mean(axis=(0, 1)))
        found.setdefault(model.name, []).append(np.sqrt(np.sum(missed, axis=0) / np.sum(size, axis=0)))
    return {name: np.mean(values, axis=0) for name, values in found.items()}


@checked()
def phase_errors(case: FlowCase, models: Sequence[Forecaster]) -> dict[str, float]:
    """By how many of its periods a forecast of a wake is early or late at its end; means of absolute values by name.

    The first two coefficients turn about their mean once in a period; phases are compared over the last of them.

    Examples
    --------
    >>> from femnn.reduced.dynamics import FourierSeries
    >>> from femnn.validation import flow_case, phase_errors
    >>> case = flow_case("wake")
    >>> fourier = FourierSeries.fit(case.training, harmonics=6, lookback=case.window[0])
    >>> phase_errors(case, [fourier])["Fourier series"] < 0.02
    True
    """
    test = case.tests[0]
    found: dict[str, list[float]] = {}
    first, last = len(test) - case.steps, round(1.0 / case.dt)
    deviation = test[:, :2].std(axis=0)

    def phase(rows: np.ndarray) -> np.ndarray:
        x, y = ((rows[-last:, :2] - case.mean[:2]) / deviation).T
        return np.exp(1j * np.arctan2(y, x))

    truth = phase(test)
    for model in models:
        forecast = model.forecast(test[:first], case.steps)
        turned = np.angle((phase(forecast) * truth.conj()).mean()) / (2.0 * np.pi)
        found.setdefault(model.name, []).append(abs(float(turned)) if np.isfinite(turned) else np.inf)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _shipped_turbulence(name: str) -> Any:
    def make(steps: int, data: str | os.PathLike | None) -> FlowCase:
        return turbulence_case(data_folder("flows") / f"{name}.npz" if data is None else data, name)

    return make


#: Flows there are, by what makes them.
_MAKERS: dict[str, Any] = {
    "burgers": lambda steps, data: burgers_case(steps=steps),
    "wake": lambda steps, data: wake_case(data),
    **{name: _shipped_turbulence(name) for name in TURBULENCE},
}
FLOW_CASES = tuple(_MAKERS)


@checked(steps="[60, inf)")
def flow_case(name: str, *, steps: int = 1000, data: str | os.PathLike | None = None) -> FlowCase:
    """A flow by its name, one of :data:`FLOW_CASES`.

    Parameters
    ----------
    name
        Of the flow.
    steps
        Of Burgers' equation.
    data
        What ``femnn simulate turbulence`` or ``femnn simulate wake`` wrote, in place of the shipped coefficients.

    Examples
    --------
    >>> from femnn.validation import flow_case
    >>> flow_case("wake")
    FlowCase(wake: 1 and 1 series of 8 coefficients)
    """
    return _MAKERS[one_of("name", name, FLOW_CASES)](steps, data)
