"""What methods of training are worth: femnn's networks by 21 of them, for equal passes and equal time, five seeds each.

Three sets of elements: one trains, one chooses first steps, weights and the best method, one reports. Every run is kept
in the folder of the figures, so that an interrupted benchmark goes on.
"""

from collections import Counter
from pathlib import Path

import click
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.networks.perceptron import ACTIVATIONS
from femnn.networks.torch_perceptron import INITIALISATIONS
from femnn.system import description
from femnn.tasks import run_tasks
from femnn.validation.training_study import MEASURES, METHODS, PROBLEMS, study_problem, training_task, tuning_task

#: How `femnn train` trains: the optimizer and schedule of its default options.
DEFAULT = "adam-annealing"

# Networks whose activation and initialisation are varied as well.
_VARIED = ("regressor",)


def _names(known):
    """A check of an option: names with commas between them, all of them known."""

    def check(context, parameter, value):
        names = [name.strip() for name in value.split(",")] if value else list(known)
        for name in names:
            if name not in known:
                raise click.BadParameter(f"{name!r} is unknown; there are: {', '.join(known)}")
        return names

    return check


@click.command(cls=Command)
@click.option("--problems", callback=_names(PROBLEMS), help="Networks, with commas.  [default: all]")
@click.option("--methods", callback=_names(METHODS), help="Methods, with commas.  [default: all]")
@click.option("--elements", type=click.IntRange(min=50), default=2000, show_default=True)
@click.option("--passes", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=0.3,
    show_default=True,
    help="Of the processor, one thread, for each run of equal time.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--activations/--no-activations", default=True, show_default=True, help="Vary these and initial weights.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/training"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(problems, methods, elements, passes, seconds, seeds, activations, out, as_json):
    """Train the networks of the quadrature rules by each method, and name the best."""
    limits = {"passes": passes, "seconds": seconds}
    figures = {"machine": description(), **measure(out, problems, methods, elements, limits, seeds, activations)}
    publish(out, "training", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def measure(out, problems, methods, elements, limits, seeds, activations=True):
    """Figures of all runs, as JSON can hold them."""
    study = _Study(out / "runs", elements, limits, seeds)
    tables = {name: [study.row(name, method) for method in methods] for name in problems}
    for rows in tables.values():
        _mark(rows, seeds)
    varied = {}
    if activations:
        for name in (name for name in problems if name in _VARIED):
            varied[name] = [
                study.row(name, DEFAULT, ("passes",), activation=activation, initialisation=initialisation)
                for activation in ACTIVATIONS
                for initialisation in (*INITIALISATIONS, *([None] if activation == "sigmoid" else []))
            ]
            _mark(varied[name], seeds)
    return {
        "elements": elements,
        "limits": limits,
        "seeds": seeds,
        "rows": {name: [len(part[0]) for part in study.problem(name).rows] for name in problems},
        "figure": {name: study.problem(name).figure_name for name in problems},
        "tables": tables,
        "varied": varied,
        "best": {measure: _winner(tables, measure) for measure in MEASURES},
        "targets": _targets(tables),
    }


class _Study:
    """Runs of one size, kept in a folder."""

    def __init__(self, folder, elements, limits, seeds) -> None:
        self.folder, self.elements, self.limits, self.seeds = folder, elements, limits, seeds

    def problem(self, name):
        return study_problem(name, self.elements, str(self.folder))

    def row(self, name, method, measures=MEASURES, **network):
        """Tune the first step of a method, then train with every seed under every measure."""
        data = {"problem": name, "elements": self.elements, "folder": str(self.folder), "method": method, **network}
        key = "-".join(str(part) for part in (name, method, *network.values()))
        tuned = self._run(tuning_task, {f"{key}-tuning": {**data, "passes": self.limits["passes"]}})[0]
        row = {"method": method, **network, "rate": float(tuned["rate"]), "tried": tuned["tried"].tolist()}
        for measure in measures:
            runs = {"measure": measure, "limit": self.limits[measure], "rate": row["rate"]}
            courses = self._run(
                training_task, {f"{key}-{measure}-{seed}": {**data, **runs, "seed": seed} for seed in range(self.seeds)}
            )
            row[measure] = _summary(courses, self.problem(name).larger)
            click.echo(f"{key}, {measure}: {row[measure]['figure']}", err=True)
        return row

    def _run(self, function, tasks):
        done = run_tasks(function, tasks, self.folder, workers=0, progress=False).require_all()
        return [done.load(key) for key in tasks]


def _summary(courses, larger):
    """Mean and standard deviation over seeds of what the best weights of each run give, and how the runs ended."""
    summary = {name: _spread([values[name] for values in courses]) for name in ("figure", "loss")}
    summary["chosen"] = _spread([values["chosen"].min() for values in courses])
    for name in ("passes", "seconds"):
        summary[name] = float(np.mean([values[name][-1] for values in courses]))
    summary["larger"] = larger
    summary["ended"] = dict(Counter(str(values["stopped"]).partition(" at ")[0] for values in courses))
    diverged = [str(values["stopped"]) for values in courses if str(values["stopped"]).startswith("diverged")]
    return {**summary, "diverged": diverged}


def _spread(values):
    values = np.asarray(values, dtype=float)
    return [float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0]


def _mark(rows, seeds):
    """Say of every row and measure whether it is the best by the rows that report, or within the scatter of it."""
    for measure in MEASURES:
        there = [row[measure] for row in rows if measure in row]
        if not there:
            continue
        sign = -1.0 if there[0]["larger"] else 1.0
        best = min(there, key=lambda figures: sign * figures["figure"][0])
        for figures in there:
            apart = abs(figures["figure"][0] - best["figure"][0])
            # twice the deviation of the difference of two means
            scatter = 2.0 * np.hypot(figures["figure"][1], best["figure"][1]) / np.sqrt(seeds)
            figures["mark"] = "best" if figures is best else "within" if apart <= scatter else ""


def _winner(tables, measure):
    """The method with the best mean rank over the networks, by its mean loss on the rows that choose."""
    ranks = Counter()
    for rows in tables.values():
        for rank, row in enumerate(sorted(rows, key=lambda row: row[measure]["chosen"][0])):
            ranks[row["method"]] += rank
    return min(ranks, key=ranks.__getitem__)


def _targets(tables):
    ended = Counter()
    for rows in tables.values():
        for row in rows:
            for measure in MEASURES:
                ended.update(row[measure]["ended"])
    runs = sum(ended.values())
    kept = [
        target("runs that end by the common rule before their limit", "–", f"{(runs - ended['limit']) / runs:.0%}"),
        target("runs that diverge", "0", f"{ended['diverged']}"),
    ]
    for name, rows in tables.items():
        within = [row["method"] for row in rows if row["seconds"]["mark"]]
        default = next((row["seconds"]["mark"] for row in rows if row["method"] == DEFAULT), None)
        if default is not None:
            kept.append(
                target(
                    f"{name}: the default of `femnn train` is within the scatter of the best, of whom there are",
                    "yes",
                    f"{'yes' if default else 'no'}, {len(within)}",
                )
            )
    return kept


def report(figures):
    """Tables in markdown."""
    limits = figures["limits"]
    best = figures["best"]
    parts = [
        f"{figures['elements']:,} elements, of which half train, an eighth chooses and the rest reports. Each run ends "
        f"after {limits['passes']:g} passes over the rows that train, or after {limits['seconds']:g} s of the "
        "processor on one thread, or earlier when the loss on the rows that choose no longer comes down. A pass is one "
        "value of the loss of every row, trial steps included. Figures are those of the rows that report: means and "
        f"standard deviations over {figures['seeds']} seeds. The best is **bold**; ≈ marks means that differ from its "
        "mean by less than twice the error of the difference. By the rows that choose the best mean rank has "
        f"`{best['seconds']}` for equal time and `{best['passes']}` for equal passes; `femnn train` has `{DEFAULT}`."
    ]
    for name, rows in figures["tables"].items():
        train, choose, reporting = figures["rows"][name]
        columns = {
            "method": ("method", "{}"),
            "rate": ("first step", "{}"),
            **{
                f"{measure}-{what}": (f"{head} after {limits[measure]:g} {unit}", "{}")
                for measure, unit in (("passes", "passes"), ("seconds", "s"))
                for what, head in (("figure", figures["figure"][name]), ("loss", "loss"))
            },
            "number": (f"passes in {limits['seconds']:g} s", "{:.0f}"),
            "settled": ("settled", "{}"),
        }
        parts += [
            f"**{name}**: {train:,} rows train, {choose:,} choose, {reporting:,} report.",
            markdown([_shown(row) for row in rows], columns),
        ]
    for name, rows in figures["varied"].items():
        columns = {
            "activation": ("activation", "{}"),
            "initialisation": ("initial weights", "{}"),
            "rate": ("first step", "{}"),
            "passes-figure": (figures["figure"][name], "{}"),
            "passes-loss": ("loss", "{}"),
        }
        parts += [
            f"**{name}** by `{DEFAULT}`, {limits['passes']:g} passes, with other activations and initial weights:",
            markdown([_shown(row) for row in rows], columns),
        ]
    return "\n\n".join([*parts, targets_table(figures["targets"])])


def _shown(row):
    shown = {
        "method": f"`{row['method']}`",
        "activation": row.get("activation", ""),
        # the shipped way of a sigmoid
        "initialisation": {"xavier": "Xavier", "he": "He", None: "4 × Xavier"}[row.get("initialisation")],
        "rate": f"{row['rate']:.2g}" if METHODS[row["method"]].tuned else "searched",
    }
    for measure in (measure for measure in MEASURES if measure in row):
        mean, spread = row[measure]["figure"]
        text = f"{mean:.1%} ± {spread:.1%}" if row[measure]["larger"] else f"{mean:.4f} ± {spread:.4f}"
        mark = row[measure]["mark"]
        shown[f"{measure}-figure"] = f"**{text}**" if mark == "best" else f"≈ {text}" if mark else text
        mean, spread = row[measure]["loss"]
        shown[f"{measure}-loss"] = f"{mean:.4f} ± {spread:.4f}"
    if "seconds" in row:
        shown["number"] = row["seconds"]["passes"]
        ended = Counter(row["passes"]["ended"]) + Counter(row["seconds"]["ended"])
        shown["settled"] = f"{sum(ended.values()) - ended['limit']} of {sum(ended.values())}"
    return shown


if __name__ == "__main__":
    main()
