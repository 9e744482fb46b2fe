"""What methods of training are worth: femnn's networks by 21 of them, until they settle, for equal passes and time.

Three sets of elements: one trains, one chooses first steps, weights and the best method, one reports; five seeds. Every
run is kept in the folder of the figures, so that an interrupted benchmark goes on, and several processes or machines
may each do a share of the runs.
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
from femnn.validation.retraining import CHANGES, retraining_task, shipped_figures
from femnn.validation.training_problems import PROBLEMS
from femnn.validation.training_study import (
    METHODS,
    SETTLED,
    settling_task,
    study_problem,
    training_task,
    tuning_task,
)

#: How `femnn train` trains: the optimizer and schedule of its default options.
DEFAULT = "adam-annealing"

#: Where runs are compared: where they settle, after equal passes, after equal time.
ENDS = ("settled", "passes", "seconds")

#: The method by which activation and initialisation are varied, and the network of which.
VARIED_BY = "adam"
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


def _share(context, parameter, value):
    """A check of an option: "2/3" as (1, 3), the second of three shares."""
    number, slash, count = value.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"{value!r} is no share; give 2/3 for the second of three")
    return int(number) - 1, int(count)


@click.command(cls=Command)
@click.option("--problems", callback=_names(PROBLEMS), help="Networks, with commas.  [default: all]")
@click.option("--methods", callback=_names(METHODS), help="Methods, with commas.  [default: all]")
@click.option("--elements", type=click.IntRange(min=50), default=2400, show_default=True)
@click.option(
    "--passes",
    type=click.FloatRange(min=0, min_open=True),
    default=64.0,
    show_default=True,
    help="Of runs for equal passes; a method settles at these or after doublings.",
)
@click.option(
    "--most",
    type=click.FloatRange(min=0, min_open=True),
    default=4096.0,
    show_default=True,
    help="Passes after which a method that has not settled is given up.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=0.3,
    show_default=True,
    help="Of the processor, one thread, for each run of equal time.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--activations/--no-activations", default=True, show_default=True, help="Vary these and initial weights.")
@click.option(
    "--retrain",
    type=click.IntRange(min=0),
    default=40_000,
    show_default="as shipped",
    help="Elements for the regressor of CorrectedGauss at the budget of `femnn train weights`; 0 leaves that out.",
)
@click.option(
    "--share", callback=_share, metavar="K/N", default="1/1", help="Only do the K-th of N shares of the runs, no table."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/training"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(problems, methods, elements, passes, most, seconds, seeds, activations, retrain, share, out, as_json):
    """Train the networks of the quadrature rules by each method, and name the best."""
    study = _Study(out / "runs", elements, {"passes": passes, "seconds": seconds}, most, seeds)
    rows = [(name, method, {}) for name in problems for method in methods]
    if activations:
        rows += [(name, VARIED_BY, network) for name in problems if name in _VARIED for network in _networks()]
    changes = list(CHANGES) if retrain else []
    mine = slice(share[0], None, share[1])
    done = [study.row(*row) for row in rows[mine]]
    retrained = [study.retrained(change, retrain) for change in changes[mine]]
    if share[1] > 1:
        return
    figures = {"machine": description(), **measure(study, problems, rows, done)}
    if changes:
        figures["retrained"] = {"elements": retrain, "shipped": shipped_figures(study.folder), "rows": retrained}
    publish(out, "training", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def _networks():
    return [
        {"activation": activation, "initialisation": initialisation}
        for activation in ACTIVATIONS
        for initialisation in (*INITIALISATIONS, *([None] if activation == "sigmoid" else []))
    ]


def measure(study, problems, rows, done):
    """Figures of all runs, as JSON can hold them."""
    tables = {name: [] for name in problems}
    varied = {}
    for (name, _, network), row in zip(rows, done, strict=True):
        (varied.setdefault(name, []) if network else tables[name]).append(row)
    for some in (*tables.values(), *varied.values()):
        _mark(some, study.seeds)
    return {
        "elements": study.elements,
        "limits": study.limits,
        "most": study.most,
        "seeds": study.seeds,
        "rows": {name: [len(part[0]) for part in study.problem(name).rows] for name in problems},
        "constant": {name: study.problem(name).constant for name in problems},
        "figure": {name: study.problem(name).figure_name for name in problems},
        "tables": tables,
        "varied": varied,
        "best": {end: _winner(tables, end) for end in ENDS},
        "targets": _targets(tables),
    }


class _Study:
    """Runs of one size, kept in a folder."""

    def __init__(self, folder, elements, limits, most, seeds) -> None:
        self.folder, self.elements, self.limits, self.most, self.seeds = folder, elements, limits, most, seeds

    def problem(self, name):
        return study_problem(name, self.elements, str(self.folder))

    def row(self, name, method, network):
        """Tune the first step of a method, then train with every seed: until it settles, and for equal time."""
        data = {"problem": name, "elements": self.elements, "folder": str(self.folder), "method": method, **network}
        key = "-".join(str(part) for part in (name, method, *network.values()))
        tuned = self._run(tuning_task, {f"{key}-tuning": {**data, "passes": self.limits["passes"]}})[0]
        row = {"method": method, **network, "rate": float(tuned["rate"]), "tried": tuned["tried"].tolist()}
        data["rate"] = row["rate"]
        # the first comparison is of the equal passes with half of them
        runs = {"passes": self.limits["passes"] / 2.0, "most": self.most}
        ends = self._run(
            settling_task, {f"{key}-settled-{seed}": {**data, **runs, "seed": seed} for seed in range(self.seeds)}
        )
        larger = self.problem(name).larger
        row["passes"] = _summary([_course(values, "second") for values in ends], larger)
        row["settled"] = _summary([_course(values, "best") for values in ends], larger)
        row["settled"] |= {what: _spread([values[what] for values in ends]) for what in ("passes", "seconds")}
        row["settled"] |= {"of": len(ends), "number": sum(bool(values["settled"]) for values in ends)}
        if not network:
            runs = {"measure": "seconds", "limit": self.limits["seconds"]}
            timed = self._run(
                training_task, {f"{key}-seconds-{seed}": {**data, **runs, "seed": seed} for seed in range(self.seeds)}
            )
            row["seconds"] = _summary(timed, larger)
            row["seconds"]["passes"] = _spread([values["passes"][-1] for values in timed])
        click.echo(f"{key}: {row['settled']}", err=True)
        return row

    def retrained(self, change, elements):
        """The regressor of `CorrectedGauss`, trained again at full length with a change."""
        data = {"change": change, "elements": elements, "folder": str(self.folder), "seed": 0}
        key = f"retrained-{elements}-{list(CHANGES).index(change)}"
        figures = self._run(retraining_task, {key: data})[0]
        return {"change": change, **{name: float(value) for name, value in figures.items()}}

    def _run(self, function, tasks):
        done = run_tasks(function, tasks, self.folder, workers=0, progress=False).require_all()
        return [done.load(key) for key in tasks]


def _course(values, which):
    """The arrays of one course of a `settling_task`."""
    return {name.removeprefix(f"{which}."): array for name, array in values.items() if name.startswith(f"{which}.")}


def _summary(courses, larger):
    """Mean and standard deviation over seeds of what the best weights of each run give, and which runs diverged."""
    summary = {name: _spread([values[name] for values in courses]) for name in ("figure", "loss")}
    summary["chosen"] = _spread([values["chosen"].min() for values in courses])
    diverged = [str(values["stopped"]) for values in courses if str(values["stopped"]).startswith("diverged")]
    return {**summary, "larger": larger, "diverged": diverged}


def _spread(values):
    values = np.asarray(values, dtype=float)
    return [float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0]


def _mark(rows, seeds):
    """Say of every row and end whether it is the best by the rows that report, or within the scatter of it."""
    for end in ENDS:
        there = [row[end] for row in rows if end in row]
        if not there:
            continue
        sign = -1.0 if there[0]["larger"] else 1.0
        best = min(there, key=lambda figures: sign * figures["figure"][0])
        for figures in there:
            apart = abs(figures["figure"][0] - best["figure"][0])
            # twice the deviation of the difference of two means
            scatter = 2.0 * np.hypot(figures["figure"][1], best["figure"][1]) / np.sqrt(seeds)
            figures["mark"] = "best" if figures is best else "within" if apart <= scatter else ""


def _winner(tables, end):
    """The method with the best mean rank over the networks, by its mean loss on the rows that choose."""
    ranks = Counter()
    for rows in tables.values():
        for rank, row in enumerate(sorted(rows, key=lambda row: row[end]["chosen"][0])):
            ranks[row["method"]] += rank
    return min(ranks, key=ranks.__getitem__)


def _targets(tables):
    rows = [row for some in tables.values() for row in some]
    settled, runs = (sum(row["settled"][what] for row in rows) for what in ("number", "of"))
    diverged = [words for row in rows for end in ENDS for words in row[end]["diverged"]]
    kept = [
        target("runs that settle by the common rule", "all", f"{settled} of {runs} ({settled / runs:.1%})"),
        target("runs that diverge", "0", f"{len(diverged)}"),
    ]
    for name, some in tables.items():
        default = next((row for row in some if row["method"] == DEFAULT), None)
        for end in ENDS if default else ():
            within = [row["method"] for row in some if row[end]["mark"]]
            kept.append(
                target(
                    f"{name}, {_HEADS[end]}: the default of `femnn train` is within the scatter of the best, of whom "
                    "there are",
                    "yes",
                    f"{'yes' if default[end]['mark'] else 'no'}, {len(within)}",
                )
            )
    return kept


#: Words for each of the ends.
_HEADS = {"settled": "settled", "passes": "equal passes", "seconds": "equal time"}


def report(figures):
    """Tables in markdown."""
    limits = figures["limits"]
    best = figures["best"]
    parts = [
        f"{figures['elements']:,} elements, of which a sixth trains, a third chooses and half report. Every "
        f"method trains for {limits['passes'] / 2:g} passes over the rows that train, for twice as many, and so on. It "
        f"has settled when twice the passes bring less than {SETTLED:.0%} of what it has gained over the best constant "
        f"answer, by the loss on the rows that choose; after {figures['most']:,.0f} passes it is given up. Passes and "
        "processor time until a method is there, but for that share, are those of the shortest run that gets there. "
        f"Beside them are runs of equal passes, {limits['passes']:g}, and of equal time, {limits['seconds']:g} s of "
        "the processor on one thread. A pass is one value of the loss of every row, trial steps included. Figures are "
        f"those of the rows that report: means and standard deviations over {figures['seeds']} seeds. The best is "
        "**bold**; ≈ marks means that differ from its mean by less than twice the error of the difference. By the "
        f"rows that choose the best mean rank has `{best['settled']}` where methods have settled, `{best['passes']}` "
        f"for equal passes and `{best['seconds']}` for equal time; `femnn train` has `{DEFAULT}`."
    ]
    for name, rows in figures["tables"].items():
        parts += [
            f"**{name}**: {_rows(figures, name)}",
            markdown([_shown(row) for row in rows], _columns(figures, name, rows, ENDS)),
        ]
    for name, rows in figures["varied"].items():
        columns = {"activation": ("activation", "{}"), "initialisation": ("initial weights", "{}")}
        columns |= {key: words for key, words in _columns(figures, name, rows, ENDS[:2]).items() if key != "method"}
        parts += [
            f"**{name}** by `{VARIED_BY}`, with other activations and initial weights:",
            markdown([_shown(row) for row in rows], columns),
        ]
    if "retrained" in figures:
        parts += _retrained(figures["retrained"])
    return "\n\n".join([*parts, targets_table(figures["targets"])])


def _retrained(figures):
    """Words and a table of the regressor at full length."""
    shipped = figures["shipped"]
    rows = [{"change": "as shipped", **shipped}, *figures["rows"]]
    for row in rows:
        row["ran"] = f"{row['epochs']:.0f}" if "epochs" in row else "–"
        row["chosen"] = f"{row['validation']:.4f}" if "validation" in row else "–"
    columns = {
        "change": ("trained", "{}"),
        "mean_r_error": ("mean R_error", "{:.4f}"),
        "share_below_1": ("R_error < 1", "{:.2%}"),
        "chosen": ("loss of validation", "{}"),
        "ran": ("epochs", "{}"),
    }
    return [
        f"The shipped regressor of `CorrectedGauss`, and once more with the same budget, {figures['elements']:,} "
        f"elements, and the same seed, but for one change. R_error is that of its weights on fresh cells, those "
        f"that other weights would help; the best weights have {shipped['optimum']:.4f} there.",
        markdown(rows, columns),
    ]


def _rows(figures, name):
    train, choose, reporting = figures["rows"][name]
    return (
        f"{train:,} rows train, {choose:,} choose, {reporting:,} report; the best constant answer has a loss of "
        f"{figures['constant'][name]:.4f} on the rows that choose."
    )


def _columns(figures, name, rows, ends):
    """Columns of a table; there is none of the loss where it is the figure itself."""
    heads = {
        "settled": "settled",
        "passes": f"{figures['limits']['passes']:g} passes",
        "seconds": f"{figures['limits']['seconds']:g} s",
    }
    what = ["figure"] if rows[0]["settled"]["figure"] == rows[0]["settled"]["loss"] else ["figure", "loss"]
    words = {"figure": figures["figure"][name], "loss": "loss"}
    columns = {"method": ("method", "{}"), "rate": ("first step", "{}")}
    columns |= {f"{end}-{which}": (f"{words[which]}, {heads[end]}", "{}") for end in ends for which in what}
    return columns | {
        "number": ("settled", "{}"),
        "there-passes": ("passes until there", "{:,.0f}"),
        "there-seconds": ("s until there", "{:.2f}"),
    }


def _shown(row):
    shown = {
        "method": f"`{row['method']}`",
        "activation": row.get("activation", ""),
        # the shipped way of a sigmoid
        "initialisation": {"xavier": "Xavier", "he": "He", None: "4 × Xavier"}[row.get("initialisation")],
        "rate": f"{row['rate']:.2g}" if METHODS[row["method"]].tuned else "searched",
        "number": f"{row['settled']['number']} of {row['settled']['of']}",
        "there-passes": row["settled"]["passes"][0],
        "there-seconds": row["settled"]["seconds"][0],
    }
    for end in (end for end in ENDS if end in row):
        mean, spread = row[end]["figure"]
        text = f"{mean:.1%} ± {spread:.1%}" if row[end]["larger"] else f"{mean:.4f} ± {spread:.4f}"
        mark = row[end]["mark"]
        shown[f"{end}-figure"] = f"**{text}**" if mark == "best" else f"≈ {text}" if mark else text
        mean, spread = row[end]["loss"]
        shown[f"{end}-loss"] = f"{mean:.4f} ± {spread:.4f}"
    return shown


if __name__ == "__main__":
    main()
