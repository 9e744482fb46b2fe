"""Flows remembered by networks: coefficients of modes, forecast by networks with memory and by everything simpler.

Each network is trained with several seeds; the table has means and scatter. Trainings and the figures of each flow are
kept in the folder of the figures: an interrupted run goes on, and flows can be measured one by one.
"""

import dataclasses
import json
from pathlib import Path

import click
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.exceptions import DatasetError
from femnn.io import atomic_write, markdown
from femnn.io.guarded import GuardedFile
from femnn.reduced.dynamics import KINDS, hurst_exponent
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.system import description
from femnn.validation import (
    FLOW_CASES,
    burgers_state_errors,
    coefficient_errors,
    flow_case,
    phase_errors,
    stationarity,
    summarise,
)

# Networks that Mohan and Gaitonde compared: which they found better comes first.
_PAIRS = (
    ("lstm", "bilstm", "LSTM better than BiLSTM"),
    ("lstm, one each", "bilstm, one each", "the same, one network for each coefficient"),
)

# Differences of means beyond so many of their standard errors are taken for real.
_BEYOND = 2.0


@click.command(cls=Command)
@click.option("--case", "cases", type=click.Choice(FLOW_CASES), multiple=True, help="Which flow; else all of them.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Which network; may be repeated.")
@click.option(
    "--each", "each", type=click.Choice(KINDS), multiple=True,
    help="Of which kind there is a network for each coefficient as well; else of all.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Networks of each kind.")
@click.option("--epochs", type=click.IntRange(min=1), default=60, show_default=True, help="Of each training at most.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Windows in a step.")
@click.option("--weights", type=click.IntRange(min=50), default=3000, show_default=True, help="Of each network, about.")
@click.option("--steps", type=click.IntRange(min=60), default=1000, show_default=True, help="Of Burgers' equation.")
@click.option("--data", type=click.Path(path_type=Path), help="What `femnn simulate wake` or `turbulence` wrote.")
@click.option("--separate/--no-separate", default=True, show_default=True, help="Try a network for each coefficient.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/flows"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cases, kinds, each, seeds, epochs, batch, weights, steps, data, separate, out, as_json):
    """Forecast flows by networks with memory, and by everything simpler.

    Figures of flows that were measured before with the same settings are taken from --out, those of other flows in it
    are printed as well.
    """
    out.mkdir(parents=True, exist_ok=True)
    kinds = kinds or KINDS
    separate = [kind for kind in each or kinds if kind in kinds] if separate else []
    shared = {"kinds": list(kinds), "each": separate, "seeds": seeds, "epochs": epochs, "batch": batch}
    for name in cases or FLOW_CASES:
        settings = {**shared, "weights": weights, "steps": steps, "data": data and str(data)}
        if name != "burgers":
            del settings["steps"]
        piece = _piece(out, name)
        if piece is None or piece["settings"] != settings:
            case = flow_case(name, steps=steps, data=data)
            measured = measure(case, settings, out)
            with atomic_write(out / f"{name}.json") as temporary:
                temporary.write_text(json.dumps({"settings": settings, "figures": measured}), encoding="utf-8")
    pieces = [piece for piece in (_piece(out, name) for name in FLOW_CASES) if piece is not None]
    figures = {"machine": description(), "cases": [{**piece["figures"], **piece["settings"]} for piece in pieces]}
    publish(out, "flows", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def _piece(out, name):
    """What was measured of a flow, or None."""
    path = out / f"{name}.json"
    if not path.exists():
        return None
    file = GuardedFile(path, DatasetError, "figures of a flow", "delete it, and measure again")
    with file.checked():
        piece = json.loads(file.content())
        return {"settings": dict(piece["settings"]), "figures": dict(piece["figures"])}


def measure(case, settings, out):
    """Figures of one flow, and a picture of it."""
    options = dataclasses.replace(OPTIONS, epochs=settings["epochs"], batch_size=settings["batch"])
    models, left_out = case.rivals()
    trained = []
    for each, kinds in ((False, settings["kinds"]), (True, settings["each"])):
        for kind in kinds:
            (networks,) = case.networks(
                (kind,), settings["seeds"], separate=each, weights=settings["weights"], options=options, folder=out
            ).values()
            # as the trainings themselves measured it, which may have been before an interrupt
            seconds = max(sum(network.history.seconds) for network in networks)
            click.echo(f"{case.name}: {networks[0]!r}, {seconds:.0f} s at most", err=True)
            trained.append({"model": networks[0].name, "weights": networks[0].n_weights, "seconds": seconds})
            models += networks
    errors = case.errors(models)
    rows = summarise(errors, case.window[1])
    by_name = {row["model"]: row for row in trained}
    for row in rows:
        row |= {key: by_name.get(row["model"], {}).get(key) for key in ("weights", "seconds")}
    _draw(case, models, errors, rows, out / f"flows-{case.name}.png")
    turbulent = "file" in case.more
    return {
        "case": case.name,
        "unit": case.unit,
        "step": case.dt,
        "reaches": case.dt * case.steps,
        "window": list(case.window),
        "tests": list(case.test_names),
        "series": [len(case.training), len(case.tests)],
        "times": max(len(part) for part in case.training),
        "memory": _memory(case, models, rows),
        "rows": rows,
        "left_out": left_out,
        "findings": _findings(rows) if turbulent else [],
        "ahead": _ahead(case, errors) if turbulent else None,
        "state": _state(case.more["file"]) if turbulent else None,
        "targets": _targets(case, models, rows),
    }


def _draw(case, models, errors, rows, path):
    """Forecasts of linear autoregression and of the best network."""
    from femnn.validation.flow_pictures import draw_flow_case  # loads matplotlib

    draw_flow_case(case, models, errors, ("linear autoregression", _best_network(rows)), path)


def _best_network(rows):
    """The one with the least free-running error of the last test."""
    return min((row for row in rows if row["seconds"] is not None), key=lambda row: row["error"][-1])["model"]


def _memory(case, models, rows):
    """Hurst exponents of the coefficients by both methods, and the errors of each; None for series too short."""
    longest = max(case.training, key=len)
    if len(longest) < 100:
        return None
    columns = {
        f"Hurst, {method.upper()}": np.mean([hurst_exponent(part, method) for part in case.training], axis=0).tolist()
        for method in ("dfa", "rs")
    }
    for name in ("persistence", "linear autoregression", _best_network(rows)):
        chosen = [model for model in models if model.name == name]
        columns[f"error: {name}"] = coefficient_errors(case, chosen)[name].tolist()
    return columns


def _findings(rows):
    """The comparisons of Mohan and Gaitonde, each with its verdict."""
    by_name = {row["model"]: row for row in rows}
    wanted = [
        *_PAIRS,
        ("lstm", "lstm, one each", "LSTM: one for all, one for each"),
        ("bilstm", "bilstm, one each", "BiLSTM: one for all, one for each"),
    ]
    found = []
    for first, second, what in wanted:
        if first not in by_name or second not in by_name:
            continue
        for key, measure_of in (("window", "over the window"), ("error", "free-running")):
            a, b = by_name[first], by_name[second]
            scatter = [row[f"{key}_scatter"][0] for row in (a, b)]
            difference = b[key][0] - a[key][0]
            # of the difference of two means of so many seeds each
            error = np.sqrt(sum(s**2 for s in scatter) / max(a["seeds"] - 1, 1))
            ratio = float(difference / error) if error > 0.0 and np.isfinite(difference) else None
            found.append(
                {
                    "what": what, "error": measure_of, "first": [a[key][0], scatter[0]],
                    "second": [b[key][0], scatter[1]], "standard_errors": ratio, "names": [first, second],
                }
            )  # fmt: skip
    return found


def _ahead(case, errors):
    """Where a network's error is below linear autoregression's beyond its scatter over seeds, and below the mean's."""
    curves = {}
    for per_test in errors:
        curves.setdefault(per_test[0].name, []).append(per_test[0].over_time)
    linear = curves["linear autoregression"][0]
    best = None
    for name, found in curves.items():
        if len(found) < 2:
            continue
        mean, uncertain = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
        better = np.flatnonzero((mean + _BEYOND * uncertain < linear) & (mean < 1.0))
        if len(better):
            gain = float((linear / mean)[better].max())
            if best is None or gain > best["gain"]:
                k = better[int(np.argmax((linear / mean)[better]))]
                best = {
                    "model": name, "gain": gain, "at": case.dt * (int(k) + 1), "error": float(mean[k]),
                    "scatter": float(np.std([curve[k] for curve in found])), "linear": float(linear[k]),
                    "from": case.dt * (int(better[0]) + 1), "to": case.dt * (int(better[-1]) + 1),
                }  # fmt: skip
    return best


def _state(path):
    figures = stationarity(path)
    return {**dataclasses.asdict(figures), "spectra": figures.spectra.tolist()}


def _targets(case, models, rows):
    """What the flow is held to, as far as it was measured."""
    networks = [row for row in rows if row["seconds"] is not None]
    best = {test: min(networks, key=lambda row, k=k: row["error"][k]) for k, test in enumerate(case.test_names)}
    linear = next(row for row in rows if row["model"] == "linear autoregression")
    kept = []
    if case.name == "burgers":
        for test, states in burgers_state_errors(case, models).items():
            galerkin = states["Galerkin projection"]
            for name, called in (("lstm", "LSTM"), ("lstm, one each", "an LSTM each")):
                if name in states:
                    what = f"{test}: error of the state by {called}, mean of seeds"
                    kept.append(target(what, f"< Galerkin's {galerkin:.2%}", f"{states[name]:.2%}"))
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
    kept.append(target(f"seconds of the longest training, {slowest['model']}", "≤ 600", f"{slowest['seconds']:.0f}"))
    return kept


def report(figures):
    """Tables in markdown."""
    return "\n\n".join(part for case in figures["cases"] for part in _report(case))


def _report(case):
    columns = {"model": ("model", "{}"), "weights": ("weights", "{:,}")}
    several = case["window"][1] > 1
    for k, test in enumerate(case["tests"]):
        columns |= {f"one{k}": (f"{test}: one step", "{}")}
        columns |= {f"window{k}": (f"{case['window'][1]} steps", "{}")} if several else {}
        columns |= {f"error{k}": ("free-running", "{}"), f"horizon{k}": ("horizon", "{}")}
    columns["seconds"] = ("s to train", "{:.0f}")
    rows = [_cells(row, len(case["tests"]), case["reaches"]) for row in case["rows"]]
    inputs, outputs = case["window"]
    yield (
        f"**{case['case']}**: {case['series'][0]} series of {case['times']:,} times to learn from, {case['series'][1]} "
        f"to test by, in steps of {case['step']:.3g} {case['unit']}; {inputs} rows go in, {outputs} come out. "
        f"Forecasts reach over {case['reaches']:.3g} {case['unit']}; networks are means over {case['seeds']} seeds, ± "
        f"is their standard deviation, at most {case['epochs']} epochs with {case['batch']} windows in a step."
    )
    if case["state"]:
        yield _stationary(case["state"])
    yield markdown(rows, columns)
    yield from _found(case)
    if case["memory"]:
        yield (
            "Hurst exponents of the coefficients, means over the series, beside errors over "
            f"{outputs if several else 'all'} steps:"
        )
        names = list(case["memory"])
        lines = [
            {"k": str(k + 1)}
            | {
                name: f"{value:.2f}" if name.startswith("Hurst") else f"{value:.2g}"
                for name, value in zip(names, values, strict=True)
            }
            for k, values in enumerate(zip(*case["memory"].values(), strict=True))
        ]
        yield markdown(lines, {"k": ("coefficient", "{}")} | {name: (name, "{}") for name in names})
    yield from (f"Left out: {reason}." for reason in case["left_out"])
    yield "Targets:"
    yield targets_table(case["targets"])


def _stationary(state):
    halves, by_chance = state["halves"], state["scatter"]
    parts = [
        f"{what} {halves[name][0]:.3g} and {halves[name][1]:.3g} (by chance {by_chance[name]:.1g})"
        for name, what in (
            ("energy", "energy"), ("magnetic_energy", "magnetic energy"), ("dissipation", "dissipation"),
            ("taylor_reynolds", "Reynolds number of Taylor's scale"),
        )
        if halves[name][0] > 0.0
    ]  # fmt: skip
    shells = range(1, 9)
    spectra = [
        f"energy of the {field} at k = 1 to {shells[-1]}: "
        + ", ".join(f"{state['spectra'][0][part][k]:.2g} / {state['spectra'][1][part][k]:.2g}" for k in shells)
        for part, field in enumerate(("velocity", "field")[: len(state["spectra"][0])])
    ]
    return (
        f"The record is of {state['turnovers']:.0f} turnovers. Means over its first and second half: "
        f"{'; '.join(parts)}. "
        f"Dissipation is {state['balance']:.1%} of the power of the force, the energy grows by {state['growth']:.1%}; "
        f"largest wave number times Kolmogorov's length {state['resolution']:.2f}. First / second half, "
        f"{'; '.join(spectra)}."
    )


def _found(case):
    """What Mohan and Gaitonde found, and whether it is so here; and whether any network beats the linear model."""
    rows = []
    for row in case["findings"]:
        ratio = row["standard_errors"]
        if ratio is None or abs(ratio) < _BEYOND:
            verdict = "no difference beyond the scatter"
        else:
            verdict = f"{row['names'][0 if ratio > 0.0 else 1]} is better"
        (first, around), (second, about) = row["first"], row["second"]
        rows.append(
            {
                "what": row["what"], "error": row["error"], "first": f"{first:.3g} ± {around:.1g}",
                "second": f"{second:.3g} ± {about:.1g}", "ratio": "–" if ratio is None else f"{ratio:+.1f}",
                "verdict": verdict,
            }
        )  # fmt: skip
    if rows:
        yield "What Mohan and Gaitonde compared (they found the LSTM better than the BiLSTM):"
        yield markdown(
            rows,
            {
                "what": ("compared", "{}"), "error": ("error", "{}"), "first": ("first", "{}"),
                "second": ("second", "{}"), "ratio": ("difference, standard errors", "{}"),
                "verdict": ("here", "{}"),
            },
        )  # fmt: skip
        yield _statement(case)
    if "ahead" in case and case["state"]:
        best = case["ahead"]
        if best is None:
            yield (
                "No network beats linear autoregression beyond the scatter of its seeds at any horizon up to where the "
                "mean is as good."
            )
        else:
            yield (
                f"A network beats linear autoregression: {best['model']}, most at {best['at']:.2g} {case['unit']} "
                f"({best['error']:.3g} ± {best['scatter']:.1g} against {best['linear']:.3g}), between "
                f"{best['from']:.2g} and {best['to']:.2g}."
            )


def _statement(case):
    """Whether the finding holds, from the comparisons of LSTM with BiLSTM."""
    names = [what for *_, what in _PAIRS]
    ratios = [row["standard_errors"] or 0.0 for row in case["findings"] if row["what"] in names]
    if ratios and all(ratio > _BEYOND for ratio in ratios):
        return "Their finding holds on this flow in every comparison."
    if ratios and all(ratio < -_BEYOND for ratio in ratios):
        return "Their finding is reversed on this flow in every comparison."
    held, reversed_ = sum(ratio > _BEYOND for ratio in ratios), sum(ratio < -_BEYOND for ratio in ratios)
    return (
        f"Their finding does not hold on this flow: of {len(ratios)} comparisons {held} agree with it, {reversed_} "
        f"say the opposite and {len(ratios) - held - reversed_} show no difference beyond the scatter of the seeds."
    )


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
            f"window{k}": around(row["window"][k], row["window_scatter"][k]),
            f"error{k}": around(row["error"][k], row["error_scatter"][k]),
            f"horizon{k}": f"≥ {reaches:.3g}" if end else around(row["horizon"][k], row["horizon_scatter"][k]),
        }
    return cells


if __name__ == "__main__":
    main()
