"""Pictures of forecasts: modes, coefficients, errors over time with bands over seeds. Loads matplotlib."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from femnn.plotting import save
from femnn.reduced.dynamics.comparison import ForecastErrors
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.latent import LatentDynamics
from femnn.validation.cylinder_wake import CylinderWake
from femnn.validation.flow_study import FlowCase
from femnn.validation.own_flow import OwnFlow

# Coefficients and modes that are drawn at most, and forecasts in the picture of errors.
_DRAWN, _LINES = 3, 6

# Errors of diverging models leave the picture.
_HIGHEST = 3.0


def draw_errors(axes: Axes, errors: Sequence[ForecastErrors], unit: str) -> None:
    """Errors over time; a line for each name, with a band from the least to the largest where it has several seeds."""
    by_name: dict[str, list[np.ndarray]] = {}
    for error in errors:
        by_name.setdefault(error.name, []).append(error.over_time)
    for k, (name, curves) in enumerate(by_name.items()):
        times = errors[0].dt * np.arange(1, len(curves[0]) + 1)
        curves = [np.minimum(curve, 1e3) for curve in curves]
        axes.plot(times, np.median(curves, axis=0), color=f"C{k}", label=name)
        if len(curves) > 1:
            axes.fill_between(times, np.min(curves, axis=0), np.max(curves, axis=0), color=f"C{k}", alpha=0.2)
    axes.axhline(1.0, color="0.5", linewidth=0.8, linestyle="--")
    axes.set(xlabel=unit, ylabel="error; 1 is that of the mean", yscale="log", ylim=(None, _HIGHEST))
    axes.legend(fontsize="small")


def draw_forecasts(axes: Sequence[Axes], case: FlowCase, models: Sequence[Forecaster], test: int = 0) -> None:
    """The first coefficients of a test, and what models make of them from its first rows on; bands over seeds."""
    series = case.tests[test]
    first = max(model.lookback for model in models)
    times = case.dt * (np.arange(len(series)) - first)
    setting = None if case.test_parameters is None else case.test_parameters[test]
    steps = min(case.steps, len(series) - first)
    by_name: dict[str, list[np.ndarray]] = {}
    for model in models:
        own = setting if model.n_parameters else None
        by_name.setdefault(model.name, []).append(model.forecast(series[:first], steps, own))
    for i, panel in enumerate(axes):
        panel.plot(times[: first + steps], series[: first + steps, i], color="black", linewidth=2.5, alpha=0.35)
        for k, (name, found) in enumerate(by_name.items()):
            bands = np.stack(found)[..., i]
            ahead = times[first : first + steps]
            panel.plot(ahead, np.median(bands, axis=0), color=f"C{k}", label=name)
            if len(bands) > 1:
                panel.fill_between(ahead, bands.min(axis=0), bands.max(axis=0), color=f"C{k}", alpha=0.2)
        margin = 0.6 * np.ptp(series[:, i]) + 1e-12
        panel.set(ylabel=f"coefficient {i + 1}", ylim=(series[:, i].min() - margin, series[:, i].max() + margin))
    axes[0].legend(fontsize="small")
    axes[-1].set(xlabel=f"time, {case.unit}; grey: the flow")


def draw_flow_case(
    case: FlowCase,
    models: Sequence[Forecaster],
    errors: Sequence[Sequence[ForecastErrors]],
    shown: Sequence[str],
    path: str | os.PathLike,
) -> None:
    """Modes, if the case has them, coefficients of the last test with forecasts, and errors over time as one PNG file.

    Parameters
    ----------
    case, models
        A flow, and what forecasts it.
    errors
        Of :meth:`FlowCase.errors`.
    shown
        Names of the models whose forecasts are drawn beside the coefficients, with bands over seeds; with them, LSTM
        and BiLSTM, and what is no network, errors over time are drawn.
    path
        Where to.
    """
    drawn = min(_DRAWN, case.training[0].shape[1])
    figure = Figure(figsize=(13.0, 7.0), layout="constrained")
    known = "modes" in case.more
    grid = figure.add_gridspec(drawn, 3 if known else 2, width_ratios=(0.8, 1.2, 1.2) if known else None)
    for k in range(drawn if known else 0):
        _draw_flow_mode(figure.add_subplot(grid[k, 0]), case, k)
    panels = [figure.add_subplot(grid[k, -2]) for k in range(drawn)]
    draw_forecasts(panels, case, [model for model in models if model.name in shown], test=len(case.tests) - 1)
    panels[0].set_title(f"{case.name}: forecasts of {case.test_names[-1]}", fontsize="medium")
    networks = {model.name for model in models if isinstance(model, LatentDynamics)}
    kept = {"lstm", "bilstm", *shown}
    last = [per_test[-1] for per_test in errors if per_test[-1].name in kept or per_test[-1].name not in networks]
    draw_errors(
        figure.add_subplot(grid[:, -1]), [error for error in last if error.name != "mean"], f"time, {case.unit}"
    )
    save(figure, path)


def _draw_flow_mode(axes, case, k):
    """A line over one dimension, dots at the nodes of a wake, or a plane of turbulence."""
    mode = np.asarray(case.more["modes"], dtype=float)[:, k]
    if case.name == "wake":
        velocity = CylinderWake(int(case.more["settings"][0])).velocity
        x, y = velocity.doflocs
        values = mode[: velocity.N]
        axes.scatter(x, y, c=values, s=3.0, cmap="RdBu_r", vmin=-np.abs(values).max(), vmax=np.abs(values).max())
        axes.set_aspect("equal")
    elif "file" in case.more:
        n = round(np.sqrt(len(mode) / 3.0))
        parts = mode.reshape(3, n, n)
        strongest = int(np.argmax(np.linalg.norm(parts, axis=(1, 2))))
        axes.imshow(parts[strongest].T, origin="lower", cmap="RdBu_r", extent=(0.0, 2.0 * np.pi, 0.0, 2.0 * np.pi))
        axes.set_title(f"velocity along {'xyz'[strongest]}, in a plane of y and z", fontsize="small")
    else:
        axes.plot(np.linspace(0.0, 1.0, len(mode)), mode)
    axes.set(ylabel=f"mode {k + 1}")


def draw_own_flow(flow: OwnFlow, path: str | os.PathLike) -> None:
    """Modes, energy, forecasts of the best model and errors of all as one PNG file."""
    drawn = min(_DRAWN, flow.pod.r)
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    grid = figure.add_gridspec(drawn, 3)
    for k in range(drawn):
        _draw_mode(figure.add_subplot(grid[k, 0]), flow, k)
    best = [model for model in flow.models if model.name == flow.errors[0].name]
    panels = [figure.add_subplot(grid[k, 1]) for k in range(drawn)]
    draw_forecasts(panels, flow.case, best)
    panels[0].set_title(f"forecast of the best: {best[0].name}", fontsize="medium")
    half = max(1, drawn // 2)
    spectrum = figure.add_subplot(grid[:half, 2])
    values = flow.pod.singular_values
    spectrum.semilogy(np.arange(1, len(values) + 1), np.maximum(values / values[0], 1e-16), ".-")
    spectrum.axvline(flow.pod.r + 0.5, color="0.5", linewidth=0.8, linestyle="--")
    spectrum.set(xlabel="mode", ylabel="singular value, relative", xlim=(0, min(len(values), 4 * flow.pod.r + 10)))
    if half < drawn:
        draw_errors(figure.add_subplot(grid[half:, 2]), flow.errors[:_LINES], flow.case.unit)
    save(figure, path)


def _draw_mode(axes, flow, k):
    mode, points = flow.pod.modes[:, k], flow.series.points
    flat = points is not None and np.ptp(points[:, 2:], axis=0).max(initial=0.0) < 1e-9 * np.ptp(points)
    if flat and np.ptp(points[:, 1]) > 0.0:
        values = mode.reshape(len(points), -1)[:, 0]
        axes.scatter(points[:, 0], points[:, 1], c=values, s=4.0, cmap="RdBu_r")
        axes.set_aspect("equal")
    else:
        axes.plot(mode)
    axes.set(ylabel=f"mode {k + 1}")
