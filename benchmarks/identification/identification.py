"""Parameters from measurements: of a pendulum and of a beam, and physics-informed networks, beside simpler ways.

Each part can be run by itself.
"""

from pathlib import Path

import click

from benchmarks.identification.parameter_rows import beam, film, network, parameters
from benchmarks.support.publishing import publish
from benchmarks.support.targets import targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.system import description

#: What each part measures: a function of a number of seeds that gives title, rows, columns and targets.
PARTS = {"parameters": parameters, "film": film, "network": network, "beam": beam}


@click.command(cls=Command)
@click.option("--part", "parts", type=click.Choice(tuple(PARTS)), multiple=True, help="What; may be repeated.")
@click.option("--seeds", type=click.IntRange(min=2), default=100, show_default=True, help="Draws of the noise.")
@click.option("--periods", type=click.IntRange(min=1), default=5, show_default=True, help="Of networks alone.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/identification"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(parts, seeds, periods, out, as_json):
    """Find parameters from records, and motions by physics-informed networks."""
    out.mkdir(parents=True, exist_ok=True)
    figures = {"machine": description(), "seeds": seeds, "parts": {}}
    for name in parts or PARTS:
        figures["parts"][name] = PARTS[name](seeds=seeds, periods=periods)
    publish(out, "identification", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def report(figures):
    """Tables in markdown."""
    blocks = []
    for part in figures["parts"].values():
        columns = {key: tuple(value) for key, value in part["columns"].items()}
        blocks += [part["title"], markdown(part["rows"], columns), *part.get("notes", ())]
        if part["targets"]:
            blocks += ["Targets:", targets_table(part["targets"])]
    return "\n\n".join(blocks)


if __name__ == "__main__":
    main()
