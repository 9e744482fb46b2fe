"""A campaign of faults: damaged files, killed and interrupted runs, foreign arguments, elements of any shape.

Each kind of fault is tried in a process of its own. Whatever is tried must end in a right answer or in an error of
femnn that says why not; an exception of another library, a hang, a crash, damage that is taken for good and other bits
after a resumption are losses. Each loss is kept with the command that repeats it.
"""

import json
import math
import tempfile
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.faults import calls, kills, mesh_files, other_files, shapes
from benchmarks.faults.campaign import Tally, run
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import BAD_NEWS, Command
from femnn.exceptions import FemnnError
from femnn.io import atomic_write, markdown
from femnn.system import description

# in the order of the table
KINDS = [kind for module in (mesh_files, other_files, kills, calls, shapes) for kind in module.kinds()]


@click.command(cls=Command)
@click.option("--share", type=click.FloatRange(min=0.0, min_open=True), default=1.0, show_default=True,
              help="Size of the campaign; 1 is all: 200 damages of each kind of file, 100 kills, ...")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all that is drawn.")
@click.option("--only", multiple=True, help="Kinds whose names contain this; may be repeated.")
@click.option("--case", "number", type=click.IntRange(min=0), help="One case alone, by its number.")
@click.option("--list", "listing", is_flag=True, help="Print the kinds and their numbers of cases.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/faults"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.pass_context
def main(context, share, seed, only, number, listing, out, as_json):
    """Try faults of every kind, and count what was answered, refused and lost.

    The exit code is 1 if anything was lost.
    """
    chosen = [kind for kind in KINDS if not only or any(part in kind.name for part in only)]
    if not chosen:
        raise FemnnError(f"no kind of fault contains {' or '.join(only)}; --list says which there are")
    if listing:
        click.echo("\n".join(f"{kind.cases:>6}  {kind.name}" for kind in chosen))
        return
    progress = Progress(out / "unfinished.json", {"share": share, "seed": seed, "case": number})
    numbers = {
        kind.name: range(math.ceil(share * kind.cases)) if number is None else range(number, number + 1)
        for kind in chosen
    }
    with tqdm(total=sum(map(len, numbers.values())), unit="case", disable=None) as bar:
        for kind in chosen:
            bar.set_description_str(kind.name)
            if kind.name in progress.tallies:
                bar.update(len(numbers[kind.name]))
                continue
            with tempfile.TemporaryDirectory(prefix="femnn-faults-") as folder:
                tally = run(kind, seed, numbers[kind.name], Path(folder), out / "lost", bar.update)
            progress.keep(kind.name, tally)
    tallies = {kind.name: progress.tallies[kind.name] for kind in chosen}
    figures = {"machine": description(), "share": share, "seed": seed, "rows": rows(tallies)}
    figures["lost"] = {name: tally.lost for name, tally in tallies.items() if tally.lost}
    figures["targets"] = [target("lost of all that was tried", "0", f"{sum(row['lost'] for row in figures['rows']):,}")]
    publish(out, "faults", figures, report(figures), as_json)
    progress.forget()
    if figures["lost"]:
        click.echo(f"what was lost is kept in {out / 'lost'}", err=True)
        context.exit(BAD_NEWS)


class Progress:
    """Tallies of the kinds that are finished, in a file from which an interrupted campaign goes on."""

    def __init__(self, path, settings):
        self.path, self.settings, self.tallies = path, settings, {}
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before["settings"] == settings:
                self.tallies = {name: Tally(**counts) for name, counts in before["tallies"].items()}

    def keep(self, name, tally):
        """Note that a kind is finished."""
        self.tallies[name] = tally
        text = json.dumps({"settings": self.settings, "tallies": {n: vars(t) for n, t in self.tallies.items()}})
        with atomic_write(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def forget(self):
        """The campaign is finished: the next one begins anew."""
        self.path.unlink(missing_ok=True)


def rows(tallies):
    """A row of the table for each kind."""
    return [
        {
            "kind": name,
            "tried": tally.tried,
            "answered": tally.answered,
            "refused": tally.refused,
            "stopped": tally.stopped,
            "lost": len(tally.lost),
        }
        for name, tally in tallies.items()
    ]


def report(figures):
    """The figures in markdown."""
    counts = ("tried", "answered", "refused", "stopped", "lost")
    columns = {"kind": ("kind", "{}"), **{key: (key, "{:,}") for key in counts}}
    sums = {key: sum(row[key] for row in figures["rows"]) for key in counts}
    parts = [
        "# A campaign of faults",
        f"Machine: {figures['machine']}; share {figures['share']:g}, seed {figures['seed']}",
        markdown([*figures["rows"], {"kind": "all", **sums}], columns),
        targets_table(figures["targets"]),
    ]
    parts += [
        f"- {name}, case {number}: {' '.join(reason.split())[:300]}"
        for name, lost in figures["lost"].items()
        for number, reason in lost
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
