"""Error against points, and against time with a cheap law, a general form and an expensive law.

Every rule of ``candidates.py`` on the same elements: random ones, a distorted cube, and meshes. Cheap is isotropic
linear elasticity in the fused kernel, with a stored pattern; the form is scikit-fem's own of the same, bases included,
which is what any other form costs; expensive is a copper crystal with twelve slip systems, solved by Newton's method at
every point. Times are processor time on one thread, medians of rounds over all rules, prediction included, with half
the distance of their quartiles. A rule is on a front if every better one is dearer, by more than the spread of both.
Times that contradict arithmetic are taken again, and left out if they go on to.
"""

import gc
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import process_time

import click
import numba
import numpy as np
import skfem
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from skfem.models.elasticity import lame_parameters, linear_elasticity
from tqdm import tqdm

import femnn
from benchmarks.rules.candidates import CANDIDATES, References, chosen, separate
from benchmarks.rules.crystal import copper
from benchmarks.support.publishing import publish
from benchmarks.support.timing import in_turns, median_and_spread, with_spread
from femnn.cli import Command
from femnn.geometry import distorted_cube
from femnn.io import data_folder, markdown
from femnn.mesh_files import read_mesh
from femnn.plotting import save
from femnn.system import description

_SEED = 20_260
_POISSON = 0.3
_YOUNG = 210e9

# scikit-fem's form takes some 2 kB a point: of larger meshes it is timed on so many elements.
_MOST_ELEMENTS = 3000

_TIMED = ("cheap", "form", "expensive")

# Rounds are taken again so often before times that contradict each other are left out.
_AGAIN = 3

#: What a rule may cost: heading of the panel, and words for the fronts that a rule is on.
COSTS = {
    "points": ("points an element", "points"),
    "cheap": ("µs an element, linear elasticity, fused", "cheap law"),
    "form": ("µs an element, linear elasticity, scikit-fem's form", "form"),
    "expensive": ("µs an element, crystal plasticity", "expensive law"),
}


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--elements", type=click.IntRange(min=1), default=5000, show_default=True, help="Random elements.")
@click.option("--cube", type=click.IntRange(min=1), default=17, show_default=True, help="Elements a side of the cube.")
@click.option("--repeat", type=click.IntRange(min=1), default=9, show_default=True, help="Rounds with the cheap law.")
@click.option("--form", type=click.IntRange(min=0), default=3, show_default=True, help="Rounds with scikit-fem's form.")
@click.option(
    "--expensive", type=click.IntRange(min=0), default=3, show_default=True, help="Rounds with the expensive law."
)
@click.option("--only", multiple=True, type=click.Choice([c.name for c in CANDIDATES]), help="This rule, not all.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/pareto"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, elements, cube, repeat, form, expensive, only, out, as_json):
    """Measure on random elements, a distorted cube and the meshes PATHS; without any, on the bracket of femnn."""
    numba.set_num_threads(1)
    paths = paths or [data_folder("meshes") / "bracket.vtu"]
    meshes = {
        "random": separate(femnn.distorted_hexahedra(elements, (0.05, 0.35), _SEED)),
        "distorted cube": distorted_cube(cube, 0.3, _SEED),
        **{path.stem: read_mesh(path) for path in paths},
    }
    candidates, tables = chosen(only), {}
    rounds = {"prediction": repeat, "cheap": repeat, "form": form, "expensive": expensive}
    measure(distorted_cube(2, 0.2), candidates, dict.fromkeys(rounds, 1))  # compiles
    for name, mesh in tqdm(meshes.items(), desc="meshes", disable=None):
        tables[name] = measure(mesh, candidates, rounds)
    figures = {"machine": description(), "meshes": tables}
    figures["price"] = {name: {cost: _price(rows, cost) for cost in _TIMED} for name, rows in tables.items()}
    report = _report(figures)
    _draw(tables, out / "pareto.png")
    publish(out, "pareto", figures, report, as_json)


def measure(mesh, candidates, rounds):
    """One row of figures for each candidate; ``rounds`` says how often each of its times is taken."""
    hexahedra = femnn.hexahedra(mesh)
    references = References(hexahedra, _POISSON)
    trials, rows = [Trial(mesh, hexahedra, candidate) for candidate in candidates], []
    seconds = {name: [[] for _ in trials] for name in rounds}
    for _ in range(1 + _AGAIN):
        for name, repeat in rounds.items():
            _take(trials, name, repeat, seconds[name])
        wrong = contradictions(candidates, _times(seconds))
        if not wrong:
            break
    times = _times(seconds)
    for i, name in wrong:
        times[name][i] = None, None
    for i, candidate in enumerate(candidates):
        errors, patch = references.compare(candidate)
        rows.append(
            {
                "rule": candidate.name,
                "elements": len(hexahedra),
                "unsettled": references.unsettled,
                "learned": candidate.learned,
                # a correction of the hourglass modes serves one law: it is no rule of points
                "points": trials[i].points / len(hexahedra),
                "any_law": candidate.hourglass is None,
                "mean": float(errors.mean()),
                "median": float(np.median(errors)),
                "worst": float(errors.max()),
                "patch": patch,
                **{name: own[i][0] for name, own in times.items()},
                **{f"{name}_spread": own[i][1] for name, own in times.items()},
            }
        )
    return _with_fronts(rows)


def _take(trials, name, repeat, seconds):
    """``repeat`` more rounds of one kind of work; µs an element of each trial are appended to its list."""
    elements = {}

    def work(i):
        elements[i] = getattr(trials[i], name)()

    found = in_turns({i: partial(work, i) for i in range(len(trials))}, repeat, process_time)
    for i, own in found.items():
        if elements[i]:
            seconds[i] += [1e6 * value / elements[i] for value in own]


def _times(seconds):
    """Median and spread of each trial by the kind of work."""
    return {name: [median_and_spread(own) for own in lists] for name, lists in seconds.items()}


def contradictions(candidates, times):
    """Pairs (candidate, kind of work) whose times cannot be: nothing but noise makes them so.

    A prediction takes no longer than the assembly that contains it, and fewer Gauss points take no longer than more.
    """
    wrong = set()

    def longer(one, other):
        return None not in (one[0], other[0]) and one[0] - (one[1] or 0.0) > other[0] + (other[1] or 0.0)

    for i in range(len(candidates)):
        if longer(times["prediction"][i], times["cheap"][i]):
            wrong |= {(i, "prediction"), (i, "cheap")}
    gauss = sorted((c.name, i) for i, c in enumerate(candidates) if c.name.endswith("Gauss") and not c.learned)
    for name in _TIMED:
        for (_, few), (_, more) in pairwise(gauss):
            if longer(times[name][few], times[name][more]):
                wrong |= {(few, name), (more, name)}
    return sorted(wrong)


class Trial:
    """One candidate on a mesh, ready to be timed; each method gives the elements that it has dealt with."""

    def __init__(self, mesh, hexahedra, candidate):
        self.mesh, self.hexahedra = mesh, hexahedra
        self.rule, self.assemble = candidate.rule(_POISSON), candidate.assembly(_POISSON)
        self.correction = candidate.hourglass and candidate.hourglass()
        self.pattern = femnn.Pattern.of(mesh)
        self.matrix = self.assemble(mesh, _YOUNG, pattern=self.pattern)
        self.points = self.rule.count_points(hexahedra)
        some = np.random.default_rng(_SEED).permutation(mesh.nelements)[:_MOST_ELEMENTS]
        self.part = mesh if len(some) == mesh.nelements else mesh.restrict(np.sort(some))
        # tension along x, beyond yield, that varies a little
        x = (mesh.p - mesh.p.min(axis=1, keepdims=True)) / np.ptp(mesh.p)
        self.displacement = np.ptp(mesh.p) * 1e-3 * np.stack([x[0], -0.3 * x[1] + 0.1 * x[0] ** 2, -0.3 * x[2]])
        self.law = copper()

    def prediction(self):
        """Points and weights alone, with the checks that every rule makes; what a correction predicts besides."""
        self.rule.groups(self.hexahedra)
        if self.correction is not None:
            self.correction.report(self.hexahedra)
        return self.mesh.nelements

    def cheap(self):
        """Linear elasticity in the fused kernel."""
        self.assemble(self.mesh, _YOUNG, pattern=self.pattern, out=self.matrix)
        return self.mesh.nelements

    def form(self):
        """The same by scikit-fem, on a part of large meshes."""
        bases = femnn.bases(self.part, skfem.ElementVector(skfem.ElementHex1()), self.rule)
        stiffness = skfem.asm(linear_elasticity(*lame_parameters(_YOUNG, _POISSON)), bases)
        if self.correction is not None:
            stiffness += self.correction.matrix(self.part, _YOUNG, _POISSON)
        # bases refer to their mappings in circles; the next rule needs the memory
        del bases
        gc.collect()
        return self.part.nelements

    def expensive(self):
        """Residual and tangent of the crystal; a correction of a linear stiffness does not serve it."""
        if self.correction is not None:
            return 0
        solid = femnn.Solid(self.mesh, self.rule, self.law, pattern=self.pattern)
        solid.residual_and_tangent(self.displacement.T.ravel())
        return self.mesh.nelements


def on_front(costs, errors, spreads=None):
    """Which of the rules no other dominates, (n,) bool; costs that are None take no part.

    One with the same Error dominates if it is cheaper, one with a smaller Error unless it is dearer; both by more than
    the ``spreads`` of the two costs, which may be None.
    """
    known = np.array([cost is not None for cost in costs])
    cost = np.array([np.inf if value is None else value for value in costs])
    spread = np.array([value or 0.0 for value in (spreads or [0.0] * len(costs))])
    error, beaten = np.asarray(errors, dtype=float), np.zeros(len(costs), dtype=bool)
    for i in np.flatnonzero(known):
        both = spread + spread[i]
        as_good = (error == error[i]) & (cost < cost[i] - both)
        beaten[i] = (as_good | ((error < error[i]) & (cost <= cost[i] + both))).any()
    return known & ~beaten


def _with_fronts(rows):
    """Add to each row the costs at which it is on the front of the mean Error."""
    for row in rows:
        row["fronts"] = []
    for cost in COSTS:
        costs = [row[cost] if row["any_law"] or cost != "points" else None for row in rows]
        spreads = [row.get(f"{cost}_spread") for row in rows]
        for row, front in zip(rows, on_front(costs, [row["mean"] for row in rows], spreads), strict=True):
            row["fronts"] += [cost] * bool(front)
    return rows


def _price(rows, cost):
    """µs of one more point, by least squares over the Gauss rules; None for fewer than two of them."""
    rows = [row for row in rows if not row["learned"] and row[cost] is not None]
    if len({row["points"] for row in rows}) < 2:
        return None
    return float(np.polyfit([row["points"] for row in rows], [row[cost] for row in rows], 1)[0])


def _report(figures):
    parts = [
        f"Machine: {figures['machine']}",
        "Error against converged integration, ν = 0.3. Patch test: the largest relative error of the nodal forces under"
        " constant strain. Prediction: points and weights with the checks that every rule makes, or what 2×2×2 points "
        "miss, before it is added to a stiffness; it is contained in the times beside it, which are processor time per "
        "element on one thread: medians of rounds in turn, with half the distance between the quartiles. A rule is on "
        "a front if every better one is dearer by more than both spreads. Random elements share no vertices: their "
        "matrix has more entries than that of a mesh.",
    ]
    columns = {
        "rule": ("rule", "{}"),
        "points": ("points", "{:.1f}"),
        "mean": ("mean Error", "{:.1e}"),
        "median": ("median", "{:.1e}"),
        "patch": ("patch test", "{:.0e}"),
        "prediction": ("prediction, µs", "{}"),
        "cheap": ("cheap law, µs", "{}"),
        "form": ("form, µs", "{}"),
        "expensive": ("expensive law, µs", "{}"),
        "front": ("on the front of", "{}"),
    }
    for name, rows in figures["meshes"].items():
        price = figures["price"][name]
        words = f"{name}, {rows[0]['elements']:,} elements"
        if price["cheap"] is not None:
            words += f"; one more point costs {1e3 * price['cheap']:.0f} ns with the cheap law"
        if price["form"] is not None:
            words += f", {price['form']:.0f} µs with scikit-fem's form"
        if price["expensive"] is not None:
            words += f", {price['expensive']:.1f} µs with the expensive law"
        shown = [{**row, "front": ", ".join(COSTS[cost][1] for cost in row["fronts"])} for row in rows]
        for row in shown:
            row |= {cost: with_spread(row[cost], row[f"{cost}_spread"]) for cost in ("prediction", *_TIMED)}
        parts += [f"{words}:", markdown(shown, columns)]
    return "\n\n".join(parts) + "\n"


def _draw(tables, path):
    """A row of panels for each mesh: mean Error against each cost, the front drawn through what it holds."""
    figure = Figure(figsize=(4.0 * len(COSTS), 3.8 * len(tables)), layout="constrained")
    for panels, (name, rows) in zip(
        figure.subplots(len(tables), len(COSTS), squeeze=False), tables.items(), strict=True
    ):
        # a rule with zero-energy modes lies far above all others
        top = 3.0 * max(row["mean"] for row in rows if row["points"] > 1.0 or len(rows) == 1)
        for axes, (cost, (label, _)) in zip(panels, COSTS.items(), strict=True):
            front = sorted((row[cost], row["mean"]) for row in rows if cost in row["fronts"])
            if front:
                axes.plot(*zip(*front, strict=True), "-", color="0.6", drawstyle="steps-post", zorder=1)
            shown = [(i, row) for i, row in enumerate(rows, 1) if row[cost] is not None and row["mean"] < top]
            for number, row in shown:
                _mark(axes, row[cost], row["mean"], number, row, cost in row["fronts"])
            costs = [row[cost] for _, row in shown] or [1.0]
            axes.set(xscale="log", yscale="log", xlabel=label, ylabel="mean Error", title=name)
            axes.set(xlim=(min(costs) / 1.4, 1.4 * max(costs)), ylim=(None, top))
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(alpha=0.3)
    names = [f"{number}  {row['rule']}" for number, row in enumerate(rows, start=1)]
    handles = [Line2D([], [], linestyle="none") for _ in names]
    figure.legend(handles, names, loc="outside lower center", ncols=6, handlelength=0, fontsize=9)
    save(figure, path)


def _mark(axes, cost, error, number, row, on_front):
    """A numbered circle, or a diamond where only one law is served: orange if learned, filled if on the front."""
    colour = "#d55e00" if row["learned"] else "#0072b2"
    fill = colour if on_front else "white"
    axes.plot(cost, error, "o" if row["any_law"] else "D", color=colour, mfc=fill, markersize=11, zorder=2 + on_front)
    text = "white" if on_front else colour
    axes.annotate(number, (cost, error), color=text, ha="center", va="center", fontsize=7, zorder=2.5 + on_front)


if __name__ == "__main__":
    main()
