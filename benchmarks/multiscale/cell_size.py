"""How large a cell of a fault has to be: its response by size and seed of its blocks.

Cells of more and more blocks, of the same size of block and filling, are sheared under their pressure; blocks keep
their size, so that a cell of twice as many columns and rows is twice as wide and high, and is sheared twice as far. The
scatter between seeds and the step to the next size say what a law of one cell can be worth.
"""

from dataclasses import replace

import click
import numpy as np

from benchmarks.multiscale.cell_options import cell_options
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.multiscale.rve import FaultCell, Spring, follow, law_named
from femnn.system import description

#: Blocks in a row, and rows.
SIZES = ((2, 1), (4, 2), (6, 3), (8, 4), (12, 6))

# Asked: of the mean of a size against the next one, and of the mean of the seeds (its standard error).
_STEP = 0.03


@click.command(cls=Command)
@cell_options("cell-size", law="fault-grains", seeds=5, sizes=len(SIZES), known=len(SIZES), shear=1.0, points=60)
def main(law, seeds, sizes, shear, points, out, as_json):
    """Shear cells of several sizes and seeds under their pressure."""
    figures = measure(law, SIZES[:sizes], seeds, shear, points)
    publish(out, "cell-size", figures, report(figures), as_json)


def measure(law_name, sizes=SIZES, seeds=5, shear=1.0, points=60):
    """Figures of each size: means over seeds and standard deviations; targets."""
    law = law_named(law_name)
    usual = FaultCell.around(law)
    rows = []
    for count, blocks in sizes:
        cell = replace(usual, count=count, rows=blocks, size=usual.size * count / usual.count)
        numbers = [_sheared(replace(cell, seed=seed), law, shear, points) for seed in range(seeds)]
        row = {"blocks": f"{count} × {blocks}", "seeds": seeds}
        for name in numbers[0]:
            values = np.array([each[name] for each in numbers])
            row |= {name: float(np.nanmean(values)), f"{name}_scatter": float(np.nanstd(values, ddof=1))}
        rows.append(row)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        row["step"] = None if following is None else abs(row["peak"] / following["peak"] - 1.0)
    figures = {"machine": description(), "law": law.name, "rows": rows}
    return figures | {"targets": _targets(rows)}


def _sheared(cell, law, shear, points):
    """Peak and last friction ratio of a cell, and its last opening and shear of a row."""
    path = np.zeros((points, 2))
    # dense at first, where the peak is
    path[:, 1] = cell.rows * shear * law.separation_scale * np.linspace(0.0, 1.0, points) ** 1.5
    pressure = -float(law.update(np.zeros((1, 3)), law.initial_state(1)).traction[0, 0])
    springs = [None, *[Spring(-pressure, 0.0)] * (points - 1)]
    response = follow(cell.rve(law), path, springs, on_failure="warn")
    ratio = response.traction[:, 1] / np.maximum(-response.traction[:, 0], 1e-9 * pressure)
    return {
        "peak": float(ratio.max()),
        "last": float(ratio[-1]),
        "opening": float(response.separation[-1, 0] / law.separation_scale / cell.rows),
        "reached": float(response.separation[-1, 1] / law.separation_scale / cell.rows),
    }


def _targets(rows):
    last, before = rows[-1], rows[-2]
    error = last["peak_scatter"] / np.sqrt(last["seeds"])
    return [
        target(f"peak ratio of {before['blocks']} blocks off {last['blocks']}", f"≤ {_STEP:.0%}",
               f"{before['step']:.1%}"),
        target(f"standard error of the mean peak of {last['seeds']} cells of {last['blocks']}", f"≤ {_STEP:.0%}",
               f"{error / last['peak']:.1%}"),
    ]  # fmt: skip


def report(figures):
    """Tables of the figures of :func:`measure`."""
    columns = {
        "blocks": ("blocks", "{}"), "seeds": ("seeds", "{}"), "peak": ("peak ratio", "{:.3f}"),
        "peak_scatter": ("± between seeds", "{:.3f}"), "step": ("off the next size", "{:.1%}"),
        "last": ("last ratio", "{:.3f}"), "last_scatter": ("±", "{:.3f}"),
        "opening": ("opening of a row, d", "{:.3f}"), "opening_scatter": ("±", "{:.3f}"),
        "reached": ("shear of a row, d", "{:.2f}"),
    }  # fmt: skip
    return "\n\n".join([
        f"Machine: {figures['machine']}",
        f"Cells whose cracks have the law {figures['law']}, sheared under its pressure:",
        markdown(figures["rows"], columns),
        targets_table(figures["targets"]),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
