"""Isotropic elasticity from mesh to sparse matrix: femnn against its peers, on the same distorted mesh and points.

Every program runs in a process of its own, on one thread unless stated, in the way its documentation recommends; its
matrix is compared with femnn's, entry by entry, before anything is timed. The runs alternate and medians are taken;
warm-up is left out and cold starts are shown. A pass goes from new vertex coordinates to the matrix, connectivity being
known; what a program may keep while the geometry stays the same is shown apart. Peers come with ``femnn[bench]``; those
that are missing are skipped.
"""

import tempfile
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.assembly_peers.assembly_targets import against_targets
from benchmarks.assembly_peers.figures import draw_rates
from benchmarks.assembly_peers.peers.processes import Process, available, write_mesh
from benchmarks.assembly_peers.peers.programs import PROGRAMS
from benchmarks.assembly_peers.peers.rounds import THREADS, compare
from benchmarks.assembly_peers.peers.scikit_fem import LEARNED
from benchmarks.support.publishing import publish
from benchmarks.support.targets import targets_table
from benchmarks.support.timing import with_spread
from femnn.cli import Command
from femnn.geometry import distorted_cube
from femnn.io import markdown
from femnn.system import description

_DISTORTION = 0.2
_POINTS = (8, 27)
# Rules whose times give the cost of one more point.
_SLOPE = (8, 27, 64, 125)


@click.command(cls=Command)
@click.option(
    "--n",
    "sizes",
    multiple=True,
    type=click.IntRange(min=1),
    default=(30, 50),
    show_default=True,
    help="Elements along each edge of a distorted cube; may be given several times.",
)
@click.option(
    "--repeat", type=click.IntRange(min=1), default=7, show_default=True, help="Rounds, all programs in each."
)
@click.option("--only", multiple=True, type=click.Choice(list(PROGRAMS)), help="This peer, not all; may be repeated.")
@click.option("--million", is_flag=True, help="Also 100³ elements with femnn.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/assembly"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(sizes, repeat, only, million, out, as_json):
    """Elements per second, cold start and memory of assembly in femnn and in other programs."""
    names, skipped = available(dict.fromkeys(["femnn", *only]) if only else PROGRAMS)
    figures = {"machine": description(), "sizes": sizes, "skipped": skipped, "million": None}
    with tempfile.TemporaryDirectory() as folder, tqdm(disable=None, bar_format="{desc} {elapsed}") as bar:
        rows, slopes, learned = [], [], []
        for n in sizes:
            path = _mesh_file(folder, n)
            for rule in _POINTS:
                rows += compare([(name, rule) for name in names], path, n**3, repeat, bar.set_description_str)
            slopes += compare([("femnn", rule) for rule in _SLOPE], path, n**3, repeat, bar.set_description_str)
        # the learned rules on the smallest mesh: scikit-fem takes minutes on the others
        smallest = min(sizes)
        both = [(name, rule) for rule in LEARNED for name in ("femnn", "scikit-fem") if name in names]
        learned = compare(both, _mesh_file(folder, smallest), smallest**3, repeat, bar.set_description_str)
        if million:
            bar.set_description_str("femnn, 10⁶ elements")
            figures["million"] = _million(_mesh_file(folder, 100))
    figures.update(rows=rows, slopes=slopes, learned=learned)
    figures["targets"] = against_targets(figures)
    report = _report(figures)
    draw_rates(rows, out / "assembly.png")
    publish(out, "assembly", figures, report, as_json)


def _mesh_file(folder, n):
    path = Path(folder) / f"{n}.npz"
    if not path.exists():
        write_mesh(distorted_cube(n, _DISTORTION, seed=0), path)
    return path


def _million(path):
    """Seconds and bytes from the arrays of 100³ elements to the matrix, in fresh processes."""
    with Process("femnn", 8, path, THREADS) as process:
        seconds = process.ask("first")["seconds"]
    with Process("femnn", 8, path, THREADS) as process:
        return {"seconds": seconds, **process.ask("memory")}


def _report(figures):
    """All figures as markdown."""
    timed = [row for row in figures["rows"] if row["problem"] is None]
    lines = [
        f"Machine: {figures['machine']}",
        "Million elements a second from new vertex coordinates to the matrix on one thread and on two, and where a "
        "program keeps the geometry, from there; medians of rounds in turn, with half the distance between the "
        "quartiles. First ever: seconds from the arrays of a mesh to the first matrix in a fresh process, imports "
        "apart, with nothing compiled before; with caches: in the next process. Memory: growth until the first matrix, "
        "and its ratio to the matrix as CSR. "
        "Difference: from femnn's matrix, over its largest entry.",
        _table(timed),
        _learned(figures["learned"]),
        *_notes(figures),
        targets_table(figures["targets"]),
    ]
    return "\n\n".join(filter(None, lines)) + "\n"


def _table(rows):
    shown = []
    for row in sorted(rows, key=lambda row: (row["elements"], row["rule"], row["coordinates"])):
        shown.append({**row, **_rates(row), "growth": row["growth"] / 1e6, "share": row["growth"] / row["csr"]})
    columns = {
        "elements": ("elements", "{:,}"),
        "rule": ("points", "{}"),
        "program": ("program", "{}"),
        "coordinates": ("1 thread", "{}"),
        "threads": (f"{THREADS} threads", "{}"),
        "geometry": ("same geometry", "{}"),
        **_STARTS,
        "imports": ("imports, s", "{:.1f}"),
        "growth": ("memory, MB", "{:,.0f}"),
        "share": ("memory / CSR", "{:.1f}"),
        "difference": ("difference", "{:.0e}"),
        "passes": ("passes", "{}"),
    }
    return markdown(shown, columns) if shown else ""


#: Seconds of both kinds of cold start, one run each.
_STARTS = {"first_ever": ("first ever, s", "{:.1f}"), "cold": ("with caches, s", "{:.1f}")}


def _rates(row):
    """Million elements a second, with their spread, instead of seconds."""
    found = {}
    for way in ("coordinates", "threads", "geometry"):
        seconds, spread = row[way], row[f"{way}_spread"]
        rate = seconds and row["elements"] / seconds / 1e6
        found[way] = with_spread(rate, spread and rate * spread / seconds)
    return found


def _learned(rows):
    """Learned rules, prediction included, beside scikit-fem's form with the same points."""
    rows = [row for row in rows if row["problem"] is None]
    forms = {row["rule"]: row for row in rows if row["name"] == "scikit-fem"}
    shown = []
    for row in (row for row in rows if row["name"] == "femnn"):
        form = forms.get(row["rule"])
        shown.append(
            {
                "rule": row["rule"],
                **_rates(row),
                **{name: row[name] for name in _STARTS},
                "form": form and _rates(form)["coordinates"],
                "ratio": form and form["coordinates"] / row["coordinates"],
                "difference": form and form["difference"],
            }
        )
    columns = {
        "rule": ("rule", "{}"),
        "coordinates": ("1 thread", "{}"),
        "threads": (f"{THREADS} threads", "{}"),
        **_STARTS,
        "form": ("scikit-fem's form", "{}"),
        "ratio": ("1 thread / form", "{:.2g}"),
        "difference": ("difference", "{:.0e}"),
    }
    if not shown:
        return ""
    heading = f"Learned rules on {rows[0]['elements']:,} elements, prediction and checks of the mesh included:"
    return f"{heading}\n\n{markdown(shown, columns)}"


def _notes(figures):
    """What was run and how, and what was not."""
    ran = {row["name"]: row["version"] for row in figures["rows"] if row["problem"] is None}
    ways = [f"- {PROGRAMS[name].title} {version}: {PROGRAMS[name].way}" for name, version in ran.items()]
    yield "\n".join(["What is timed:\n", *ways])
    for title, reason in figures["skipped"].items():
        yield f"Skipped: {title}, {reason}."
    for row in [*figures["rows"], *figures["slopes"], *figures["learned"]]:
        if row["problem"] is not None:
            yield f"Not timed: {row['program']}, {row['rule']}, {row['elements']:,} elements: {row['problem']}."
    if figures["million"]:
        seconds, peak = figures["million"]["seconds"], figures["million"]["peak"]
        yield (
            f"10⁶ elements, 8 points, femnn: {seconds:.1f} s from the arrays to the first matrix on one thread, "
            f"{peak / 1e9:.2f} GB for the whole process."
        )


if __name__ == "__main__":
    main()
