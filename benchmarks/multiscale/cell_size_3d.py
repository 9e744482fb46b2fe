"""How large a cell of a fault in space has to be: its response by size, seed and direction of shear.

As `cell_size` does for the plane: blocks and filling keep their size, and cells of more of them are sheared under their
pressure, along x, along y and half-way between. What the directions differ by is what a law that is isotropic about
the normal leaves out.
"""

import click
import numpy as np

from benchmarks.multiscale.cell_options import cell_options
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.multiscale.rve import CellPermeability, FaultCell3D, Spring, follow, law_named
from femnn.system import description

#: Blocks along x and y, and rows.
SIZES = ((2, 1), (3, 1), (3, 2), (4, 2))

_DIRECTIONS = {"x": 0.0, "diagonal": 45.0, "y": 90.0}

# Asked: of the mean of a size against the next one, of the directions, of the work inside.
_STEP, _ISOTROPIC, _WORK = 0.03, 0.03, 1e-8


@click.command(cls=Command)
@cell_options("cell-size-3d", law="grains", seeds=3, sizes=3, known=len(SIZES), shear=0.75, points=25)
def main(law, seeds, sizes, shear, points, out, as_json):
    """Shear cells of hexahedra of several sizes and seeds under their pressure."""
    figures = measure(law, SIZES[:sizes], seeds, shear, points)
    publish(out, "cell-size-3d", figures, report(figures), as_json)


def measure(law_name, sizes=SIZES[:3], seeds=3, shear=0.75, points=25):
    """Figures of each size: means over seeds, standard deviations, what directions differ by; targets."""
    law, rows = law_named(law_name), []
    for count, blocks in sizes:
        peaks, lasts, openings, conducted, gaps = [], [], [], [], []
        for seed in range(seeds):
            cell = FaultCell3D.around(law, count=count, slices=count, rows=blocks, seed=seed)
            rve = cell.rve(law)
            sheared = [_sheared(rve, cell, law, shear, points, angle) for angle in _DIRECTIONS.values()]
            for values, key in ((peaks, "peak"), (lasts, "last"), (openings, "opening"), (gaps, "gap")):
                values.append([each[key] for each in sheared])
            conducted.append(np.mean([each["conducted"] for each in sheared], axis=0))
        means = np.mean(peaks, axis=1)
        across, along = np.mean(conducted, axis=0)
        rows.append({
            "blocks": f"{count} × {count} × {blocks}", "seeds": seeds, "unknowns": rve.n_jumps,
            "peak": float(means.mean()), "peak_scatter": float(means.std(ddof=1)),
            "anisotropy": float(np.mean(np.ptp(peaks, axis=1) / means)),
            "last": float(np.mean(lasts)), "opening": float(np.mean(openings)),
            "across": float(across), "along": float(along), "gap": float(np.max(gaps)),
        })  # fmt: skip
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        row["step"] = None if following is None else abs(row["peak"] / following["peak"] - 1.0)
    figures = {"machine": description(), "law": law.name, "shear": shear, "rows": rows}
    return figures | {"targets": _targets(rows)}


def _sheared(rve, cell, law, shear, points, angle):
    """Peak and last friction ratio of a cell along a direction, last opening of a row, permeabilities, gap of work."""
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    # dense at first, where the peak is
    course = cell.rows * shear * law.separation_scale * np.linspace(0.0, 1.0, points) ** 1.5
    path = np.column_stack([0.0 * course, course[:, None] * way])
    pressure = -float(law.update(np.zeros((1, 3)), law.initial_state(1)).traction[0, 0])
    response = follow(rve, path, [None, *[Spring(-pressure)] * (points - 1)], on_failure="warn")
    ratio = response.traction[:, 1:] @ way / np.maximum(-response.traction[:, 0], 1e-9 * pressure)
    conduits = CellPermeability(rve, cell.filling, cell.matrix)
    across, *along = np.diagonal(conduits.tensor(response.state)) / cell.matrix
    return {
        "peak": float(ratio.max()),
        "last": float(ratio[-1]),
        "opening": float(response.separation[-1, 0] / law.separation_scale / cell.rows),
        "conducted": [across, np.mean(along)],
        "gap": max(response.hill_mandel.max(), response.hill_mandel_tangent.max()),
    }


def _targets(rows):
    last, before = rows[-1], rows[-2]
    return [
        target(f"peak ratio of {before['blocks']} blocks off {last['blocks']}", f"≤ {_STEP:.0%}",
               f"{before['step']:.1%}"),
        target(f"peak ratios of {last['blocks']} blocks along x, y and between, apart", f"≤ {_ISOTROPIC:.0%}",
               f"{last['anisotropy']:.1%}"),
        target("Hill and Mandel, worst step of all", f"≤ {_WORK:.0e}", f"{max(row['gap'] for row in rows):.1e}"),
    ]  # fmt: skip


def report(figures):
    """Tables of the figures of :func:`measure`."""
    columns = {
        "blocks": ("blocks", "{}"), "unknowns": ("jumps", "{:,}"), "seeds": ("seeds", "{}"),
        "peak": ("peak ratio", "{:.3f}"), "peak_scatter": ("± between seeds", "{:.3f}"),
        "step": ("off the next size", "{:.1%}"), "anisotropy": ("directions apart", "{:.1%}"),
        "last": ("last ratio", "{:.3f}"), "opening": ("opening of a row, d", "{:.3f}"),
        "across": ("permeability across, blocks = 1", "{:.3g}"), "along": ("along", "{:.3g}"),
    }  # fmt: skip
    return "\n\n".join([
        f"Machine: {figures['machine']}",
        f"Cells in space whose cracks have the law {figures['law']}; each row is sheared by {figures['shear']:g} d "
        "under its pressure along x, y and half-way between, and figures are means of the three:",
        markdown(figures["rows"], columns),
        targets_table(figures["targets"]),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
