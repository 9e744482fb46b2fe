"""Flows remembered by networks: coefficients of modes, forecast by networks with memory and by everything simpler.

Each network is trained with several seeds; the table has means and scatter. Trainings are kept in the folder of the
figures, so that an interrupted run goes on.
"""

import dataclasses
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.reduced.dynamics import KINDS, hurst_exponent
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.system import description
from femnn.validation import FLOW_CASES, burgers_state_errors, flow_case, phase_errors, summarise


@click.command(cls=Command)
@click.option("--case", "cases", type=click.Choice(FLOW_CASES), multiple=True, help="Which flow; may be repeated.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Which network; may be repeated.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Networks of each kind.")
@click.option("--epochs", type=click.IntRange(min=1), default=60, show_default=True, help="Of each training at most.")
@click.option("--weights", type=click.IntRange(min=50), default=3000, show_default=True, help="Of each network, about.")
@click.option("--steps", type=click.IntRange(min=60), default=1000, show_default=True, help="Of Burgers' equation.")
@click.option("--data", type=click.Path(path_type=Path), help="What `femnn simulate wake` or `turbulence` wrote.")
@click.option("--separate/--no-separate", default=True, show_default=True, help="Try a network for each coefficient.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/flows"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cases, kinds, seeds, epochs, weights, steps, data, separate, out, as_json):
    """Forecast flows by networks with memory, and by everything simpler."""
    out.mkdir(parents=True, exist_ok=True)
    figures = {"machine": description(), "seeds": seeds, "epochs": epochs, "weights": weights, "cases": []}
    for name in cases or ("burgers",):
        case = flow_case(name, steps=steps, data=data)
        figures["cases"].append(measure(case, kinds or KINDS, seeds, epochs, weights, separate, out))
    publish(out, "flows", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def measure(case, kinds, seeds, epochs, weights, separate, out):
    """Figures of one flow."""
    options = dataclasses.replace(OPTIONS, epochs=epochs)
    models, left_out = case.rivals()
    trained = []
    for each in (False, True)[: 1 + separate]:
        for kind in kinds:
            begun = time.process_time()
            (networks,) = case.networks(
                (kind,), seeds, separate=each, weights=weights, options=options, folder=out
            ).values()
            seconds = (time.process_time() - begun) / seeds
            click.echo(f"{case.name}: {networks[0]!r}, {seconds:.0f} s each", err=True)
            trained.append({"model": networks[0].name, "weights": networks[0].n_weights, "seconds": seconds})
            models += networks
    errors = case.errors(models)
    rows = summarise(errors)
    by_name = {row["model"]: row for row in trained}
    for row in rows:
        row |= {key: by_name.get(row["model"], {}).get(key) for key in ("weights", "seconds")}
    return {
        "case": case.name,
        "unit": case.unit,
        "step": case.dt,
        "reaches": case.dt * case.steps,
        "window": list(case.window),
        "tests": case.test_names,
        "series": [len(case.training), len(case.tests)],
        "hurst": _hurst(case),
        "rows": rows,
        "left_out": left_out,
        "targets": _targets(case, models, rows),
    }


def _hurst(case):
    """Hurst exponents of the coefficients, by both methods; None for series that are too short."""
    longest = max(case.training, key=len)
    if len(longest) < 100:
        return None
    return {method: np.atleast_1d(hurst_exponent(longest, method)).tolist() for method in ("dfa", "rs")}


def _targets(case, models, rows):
    """What the flow is held to, as far as it was measured."""
    networks = [row for row in rows if row["seconds"] is not None]
    best = {test: min(networks, key=lambda row, k=k: row["error"][k]) for k, test in enumerate(case.test_names)}
    linear = next(row for row in rows if row["model"] == "linear autoregression")
    kept = []
    if case.name == "burgers":
        for test, states in burgers_state_errors(case, models).items():
            lstm, galerkin = states.get("lstm"), states["Galerkin projection"]
            if lstm is not None:
                limit = f"< Galerkin's {galerkin:.2%}"
                kept.append(target(f"{test}: error of the state by LSTM, mean of seeds", limit, f"{lstm:.2%}"))
    if case.name == "wake":
        late = phase_errors(case, models)
        network = min((row["model"] for row in networks), key=late.__getitem__)
        for name, limit in ((network, "≤ 0.02"), ("Fourier series", "–"), ("linear autoregression", "–")):
            kept.append(target(f"phase error after 20 periods, in periods: {name}", limit, f"{late[name]:.2g}"))
    for k, test in enumerate(case.test_names):
        kept.append(
            target(
                f"{test}: error of the best network, {best[test]['model']}",
                f"< linear autoregression's {linear['error'][k]:.3g}",
                f"{best[test]['error'][k]:.3g} ± {best[test]['error_scatter'][k]:.1g}",
            )
        )
    slowest = max(networks, key=lambda row: row["seconds"])
    kept.append(target(f"seconds of a training, {slowest['model']}", "≤ 600", f"{slowest['seconds']:.0f}"))
    return kept


def report(figures):
    """Tables in markdown."""
    parts = []
    for case in figures["cases"]:
        columns = {"model": ("model", "{}"), "weights": ("weights", "{:,}")}
        for k, test in enumerate(case["tests"]):
            columns |= {
                f"one{k}": (f"{test}: one step", "{}"),
                f"error{k}": ("free-running", "{}"),
                f"horizon{k}": ("horizon", "{}"),
            }
        columns["seconds"] = ("s to train", "{:.0f}")
        rows = [_cells(row, len(case["tests"]), case["reaches"]) for row in case["rows"]]
        hurst = case["hurst"] and "; ".join(
            f"{method.upper()} {', '.join(f'{value:.2f}' for value in values)}"
            for method, values in case["hurst"].items()
        )
        inputs, outputs = case["window"]
        parts += [
            f"**{case['case']}**: {case['series'][0]} series to learn from, {case['series'][1]} to test by, in steps "
            f"of {case['step']:.3g} {case['unit']}; {inputs} rows go in, {outputs} come out. Forecasts reach over "
            f"{case['reaches']:.3g} {case['unit']}; networks are means over {figures['seeds']} seeds, ± is their "
            "standard deviation.",
            markdown(rows, columns),
            f"Hurst exponents of the coefficients: {hurst or 'none, the series are too short'}.",
            *(f"Left out: {reason}." for reason in case["left_out"]),
            "Targets:",
            targets_table(case["targets"]),
        ]
    return "\n\n".join(parts)


def _cells(row, tests, reaches):
    def around(mean, scatter):
        if not np.isfinite(mean):
            return "diverges"
        return f"{mean:.3g}" if row["seeds"] == 1 else f"{mean:.3g} ± {scatter:.1g}"

    cells = {"model": row["model"], "weights": row["weights"], "seconds": row["seconds"]}
    for k in range(tests):
        end = row["reaches_end"][k]
        cells |= {
            f"one{k}": f"{row['one_step'][k]:.2g}",
            f"error{k}": around(row["error"][k], row["error_scatter"][k]),
            f"horizon{k}": f"≥ {reaches:.3g}" if end else around(row["horizon"][k], row["horizon_scatter"][k]),
        }
    return cells


if __name__ == "__main__":
    main()
