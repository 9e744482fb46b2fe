"""The equation of a pendulum from its film: terms and coefficients of many starts, and how many numbers a film takes.

Each start draws its network, the frames that it is trained on and their order; what a start found is kept in the folder
of the figures, so that an interrupted run goes on.
"""

import json
from pathlib import Path

import click
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.exceptions import DatasetError, MissingExtraError
from femnn.identification import (
    WeakForm,
    discover,
    film_ideal_pendulum,
    fit_sindy_autoencoder,
    load_pendulum_film,
    numbers_needed,
    pysindy_equation,
    state_rows,
)
from femnn.identification.sindy import TOLERANCE, enough
from femnn.io import atomic_write, markdown
from femnn.system import description

#: Noise of each pixel, over the brightness of the bob; noise (rad) of a measured angle.
NOISE, ANGLE_NOISE = 0.01, 0.01

#: Films by name: how they are made, their noise, the terms of their equation, and their share of the starts.
CASES = {
    "ideal": ("ideal", 0.0, {"sin z"}, 1.0),
    "ideal, 1 % noise": ("ideal", NOISE, {"sin z"}, 0.2),
    "ideal, camera at a slant": ("slant", 0.0, {"sin z"}, 0.1),
    "bar of hexahedra, 8 bits": ("bar", 0.0, {"sin z", "z'"}, 0.2),
    "bar of hexahedra, 1 % noise and blur": ("bar", NOISE, {"sin z", "z'"}, 0.2),
}


@click.command(cls=Command)
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, help="Which film; may be repeated.")
@click.option(
    "--starts", type=click.IntRange(min=1), default=10, show_default=True, help="Of the first film; fewer of others."
)
@click.option("--clips", type=click.IntRange(min=2), default=20, show_default=True, help="Of an ideal pendulum.")
@click.option("--counted", type=click.IntRange(min=50), default=400, show_default=True, help="Clips for the dimension.")
@click.option("--units", type=click.IntRange(min=8), default=256, show_default=True, help="Of each hidden layer.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/pendulum"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cases, starts, clips, counted, units, out, as_json):
    """Find the equation of a pendulum in its film, with many starts."""
    out.mkdir(parents=True, exist_ok=True)
    figures = {"machine": description(), "starts": starts, "clips": clips, "films": [], "angles": [], "numbers": []}
    for name in cases or CASES:
        figures["films"].append(measure(name, starts, clips, units, out / "starts.json"))
    figures["angles"] = angles(clips)
    figures["numbers"] = count(counted)
    figures["targets"] = _targets(figures)
    publish(out, "pendulum", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def filmed(name, clips):
    """The film of a case with its noise, the same without, and what the pendulum did."""
    kind, noise, *_ = CASES[name]
    if kind == "bar":
        taken = load_pendulum_film()
    else:
        taken = film_ideal_pendulum(n=clips, tilt=0.6 if kind == "slant" else 0.0)
    blur = 0.7 if kind == "bar" and noise else 0.0
    clear = taken.film.disturbed(blur=blur) if blur else taken.film
    return (clear.disturbed(noise, seed=1) if noise else clear), clear, taken


def measure(name, starts, clips, units, kept):
    """Figures of all starts on one film."""
    film, clear, taken = filmed(name, clips)
    starts = max(1, round(CASES[name][3] * starts))
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    rows = []
    for seed in range(starts):
        key = f"{name}, {clips} clips, {units} units, seed {seed}"
        if key not in known:
            known[key] = start(film, clear, taken, units, seed)
            with atomic_write(kept) as temporary:
                temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
        rows.append(known[key])
        click.echo(f"{key}: {rows[-1]['equation']}", err=True)
    right = [row for row in rows if set(row["terms"]) == CASES[name][2]]
    # the choice among starts, as best_start makes it: by what their own data say of them
    near = [row for row in rows if row["left"] <= enough(min(row["left"] for row in rows), TOLERANCE)]
    chosen = min(near, key=lambda row: (len(row["terms"]), row["left"]))
    return {
        "film": name,
        "starts": starts,
        "right": len(right),
        "sine": [_sine_error(row, taken) for row in right],
        "damping": [abs(row["terms"]["z'"] / taken.pendulum.damping + 1.0) for row in right if "z'" in row["terms"]],
        "acceleration": [row["acceleration"] for row in rows],
        "pictures": [row["pictures"] for row in rows],
        "chosen": chosen,
        "chosen_sine": _sine_error(chosen, taken) if "sin z" in chosen["terms"] else None,
    }


def start(film, clear, taken, units, seed):
    """What one start found, and how far it is from the truth."""
    try:
        found = fit_sindy_autoencoder(film, units=units, seed=seed)
    except DatasetError as error:
        return {"equation": str(error), "terms": {}, "left": 1e9, "acceleration": 1.0, "pictures": 1.0}
    weak, inner = WeakForm.of(found.series, film.dt), None
    inner = slice(weak.half, -weak.half)
    numbers = np.concatenate([weak.smoothed(z) for z in found.series], axis=1)
    truth = np.concatenate([own[inner] for own in taken.accelerations])
    angles = np.concatenate([own[inner] for own in taken.angles])
    # the sign of a coordinate is nobody's to find
    sign = np.sign(np.corrcoef(numbers[0], angles)[0, 1])
    missed = sign * found.equation.acceleration(*numbers) - truth
    pictures = found.code.error(*(np.concatenate(own.rows()).astype(float) for own in (film, clear)))
    return {
        "equation": str(found.equation),
        "terms": found.equation.terms,
        "left": found.equation.left,
        "acceleration": float(np.sqrt((missed**2).mean() / (truth**2).mean())),
        "pictures": pictures,
    }


def _sine_error(row, taken):
    return abs(row["terms"]["sin z"] / taken.pendulum.stiffness + 1.0)


def angles(clips):
    """Equations of angles that are known, by the weak form and by PySINDy."""
    rows = []
    for name, taken in (("ideal", film_ideal_pendulum(n=clips, size=8)), ("bar of hexahedra", load_pendulum_film())):
        for noise in (0.0, ANGLE_NOISE):
            generator, dt = np.random.default_rng(1), taken.film.dt
            series = [own + noise * generator.standard_normal(len(own)) for own in taken.angles]
            found = {"weak form": str(discover(series, dt))}
            try:
                terms = pysindy_equation(series, dt)
                found["PySINDy"] = " ".join(f"{value:+.3f} {term}" for term, value in terms.items()) or "nothing"
            except MissingExtraError as error:
                found["PySINDy"] = str(error)
            rows += [{"pendulum": name, "noise": noise, "method": key, "equation": text} for key, text in found.items()]
    return rows


def count(clips):
    """How many numbers frames and states take, with and without noise."""
    taken = film_ideal_pendulum(n=clips, frames=10, highest=0.5).film
    rows = []
    for noise in (0.0, NOISE):
        # blur averages the noise, and leaves dimensions as they are
        film = (taken.disturbed(noise, seed=1) if noise else taken).disturbed(blur=4.0)
        for what, data in (("frame", film.rows()), ("frame and its rate", state_rows(film))):
            needed = numbers_needed(data, units=200, rounds=1)
            rows.append({
                "what": what, "noise": noise, "answer": needed.answer, "neighbours": needed.neighbours,
                "modes": needed.modes, "errors": needed.errors.tolist(),
                "linear": needed.linear[[0, 1, 2, 5, 10, 20]].tolist(),
            })  # fmt: skip
    return rows


def _targets(figures):
    kept = []
    limits = {"ideal": (0.01, "≤ 5 %"), "ideal, 1 % noise": (0.05, "≤ 5 %")}
    for film in figures["films"]:
        name, n = film["film"], film["starts"]
        wanted = f"≥ {int(0.9 * n)} of {n}" if name == "ideal" else "–"
        kept.append(target(f"{name}: starts with the right terms", wanted, f"{film['right']} of {n}"))
        if film["sine"]:
            limit, acceleration = limits.get(name, (None, "–"))
            aim = "–" if limit is None else f"≤ {limit:.0%}"
            kept.append(
                target(f"{name}: error of the sine's coefficient, worst right start", aim, f"{max(film['sine']):.2%}")
            )
            worst = max(film["acceleration"])
            kept.append(target(f"{name}: error of θ'', rms, worst start", acceleration, f"{worst:.2%}"))
        if film["damping"]:
            kept.append(target(f"{name}: error of the damping, worst right start", "–", f"{max(film['damping']):.2%}"))
    for row, wanted in zip(figures["numbers"], (1, 2, 1, 2), strict=True):
        noise = "" if row["noise"] == 0.0 else ", 1 % noise"
        kept.append(
            target(
                f"numbers of a {row['what']}{noise}, by neighbours",
                wanted,
                f"{row['neighbours']:.2f}: {row['answer']}",
            )
        )
    return kept


def report(figures):
    """Tables in markdown."""
    films = [
        {
            "film": film["film"],
            "right": f"{film['right']} of {film['starts']}",
            "sine": _span(film["sine"]),
            "acceleration": _span(film["acceleration"]),
            "pictures": _span(film["pictures"]),
            "equation": film["chosen"]["equation"],
        }
        for film in figures["films"]
    ]
    names = {
        "film": "film", "right": "right terms", "sine": "error of the sine", "acceleration": "error of θ''",
        "pictures": "error of pictures", "equation": "equation of the chosen start",
    }  # fmt: skip
    angle_columns = {key: (key, "{}") for key in ("pendulum", "noise", "method", "equation")}
    numbers = [
        {
            "what": row["what"],
            "noise": f"{row['noise']:.0%}",
            "answer": row["answer"],
            "neighbours": f"{row['neighbours']:.2f}",
            "errors": ", ".join(f"{value:.2g}" for value in row["errors"]),
            "linear": ", ".join(f"{value:.2g}" for value in row["linear"]),
        }
        for row in figures["numbers"]
    ]
    number_names = {
        "what": "of each", "noise": "noise", "neighbours": "by neighbours", "answer": "answer",
        "errors": "left by 1, 2, 3 numbers", "linear": "left by 1, 2, 3, 6, 11, 21 modes",
    }  # fmt: skip
    return "\n\n".join([
        "Errors are relative, median and worst over the starts, that of the "
        "sine over those with the right terms; pictures are compared with those without noise.",
        markdown(films, {key: (name, "{}") for key, name in names.items()}),
        "Angles that are known, with noise in rad:",
        markdown(figures["angles"], angle_columns),
        "How many numbers a film takes:",
        markdown(numbers, {key: (name, "{}") for key, name in number_names.items()}),
        "Targets:",
        targets_table(figures["targets"]),
    ])  # fmt: skip


def _span(values):
    return f"{np.median(values):.2%}, {max(values):.2%}" if values else "–"


if __name__ == "__main__":
    main()
