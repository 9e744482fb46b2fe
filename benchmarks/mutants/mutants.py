"""Which of a few dozen small mutations of the code the tests notice, by room.

Each mutation is a line of benchmarks/mutants/mutations.py: a file, a text in it, what takes its place, and the tests
that must fail then. They are tried one after another in a copy of the project. A mutation whose text is no longer found
is an error of the run.
"""

import json
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.mutants.mutations import MUTATIONS
from benchmarks.mutants.running import Copy, fingerprint, lost_anchors
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import BAD_NEWS, Command
from femnn.exceptions import FemnnError
from femnn.io import atomic_write, markdown
from femnn.system import description

#: Share of the mutations that tests must notice.
LEAST_CAUGHT = 0.95


@click.command(cls=Command)
@click.option("--only", multiple=True, help="Rooms or files whose names contain this; may be repeated.")
@click.option("--seconds", type=click.FloatRange(min=1.0), default=900.0, show_default=True,
              help="Tests that take longer hang.")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="Print the mutations.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/mutants"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.pass_context
def main(context, only, seconds, listing, out, as_json):
    """Try mutations of the code, and count those that the tests notice.

    The exit code is 1 if they notice less than 95 %. A run that was interrupted goes on; a mutation is tried again when
    it, its file or its tests have changed.
    """
    chosen = [each for each in MUTATIONS if not only or any(part in each.room or part in each.file for part in only)]
    if not chosen:
        raise FemnnError(f"no mutation is in {' or '.join(only)}; --list says which there are")
    if listing:
        click.echo("\n".join(f"{each.room:<26} {each.name}" for each in chosen))
        return
    outcomes = tried(Path(__file__).resolve().parents[2], chosen, out, seconds)
    figures = {"machine": description(), "rows": rows(chosen, outcomes), "survivors": survivors(chosen, outcomes)}
    caught, count = figures["rows"][-1]["caught"], len(chosen)
    figures["targets"] = [target("mutations that tests notice", f"≥ {LEAST_CAUGHT:.0%}", f"{caught / count:.1%}")]
    publish(out, "mutants", figures, report(figures), as_json)
    if caught < LEAST_CAUGHT * count:
        context.exit(BAD_NEWS)


def tried(root, mutations, out, seconds):
    """Outcome of each mutation, see :meth:`Copy.notices`, kept in ``out`` and read from there if nothing changed.

    Raises
    ------
    FemnnError
        If a mutation's text or test is not in the project, or tests fail before anything is changed.
    """
    lost = lost_anchors(root, mutations)
    if lost:
        raise FemnnError(f"{len(lost)} mutations have lost their place, mend them: {'; '.join(lost)}")
    file = out / "outcomes.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    marks = [fingerprint(root, mutation) for mutation in mutations]
    waiting = [(mark, mutation) for mark, mutation in zip(marks, mutations, strict=True) if mark not in kept]
    if waiting:
        copy = Copy(root, out.resolve() / "tree", seconds)
        copy.require_passing(sorted({test for _, mutation in waiting for test in mutation.tests}))
        for mark, mutation in tqdm(waiting, unit="mutation", disable=None):
            kept[mark] = {"mutation": mutation.name, **copy.notices(mutation)}
            with atomic_write(file) as temporary:
                temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return [kept[mark] for mark in marks]


def rows(mutations, outcomes):
    """A row of the table for each room, and one for all."""
    found = {}
    for mutation, outcome in zip(mutations, outcomes, strict=True):
        found.setdefault(mutation.room, []).append(outcome["caught"])
    found["all"] = [outcome["caught"] for outcome in outcomes]
    return [
        {"room": room, "mutations": len(caught), "caught": sum(caught), "survived": len(caught) - sum(caught)}
        for room, caught in found.items()
    ]


def survivors(mutations, outcomes):
    """What was changed and not noticed, with the reason where one is known."""
    return [
        {"file": mutation.file, "old": mutation.old, "new": mutation.new, "why": mutation.survives or "no test"}
        for mutation, outcome in zip(mutations, outcomes, strict=True)
        if not outcome["caught"]
    ]


def report(figures):
    """The figures in markdown."""
    columns = {key: (key, "{}") for key in ("room", "mutations", "caught", "survived")}
    parts = [
        "# Mutations",
        f"Machine: {figures['machine']}",
        markdown(figures["rows"], columns),
        targets_table(figures["targets"]),
    ]
    parts += [
        f"- {each['file']}: `{_line(each['old'])}` became `{_line(each['new'])}`: {each['why']}"
        for each in figures["survivors"]
    ]
    return "\n\n".join(parts)


def _line(text):
    return " ".join(text.split())


if __name__ == "__main__":
    main()
