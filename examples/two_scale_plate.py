"""A perforated plate whose material is a cell: in full at every point, hyper-reduced, and as a recurrent law.

    python examples/two_scale_plate.py --out results

The cell, a stiff ball in a matrix that yields, is followed along a few paths of strain. From them come the modes and
points of the hyper-reduced cell; this is followed along many more paths, from which a recurrent law learns. Then a
quarter of a plate with a hole is pulled three times, with each of them as its material.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from femnn.io import atomic_write, markdown
from femnn.multiscale.fe2 import Composite, follow
from femnn.plotting import draw_surface, save
from femnn.validation import PerforatedPlate, Sizes, TwoScales, drive_cell, path_errors

SIZES = Sizes(training=6, modes=24, data=120, epochs=60)

COLUMNS = {
    "law": ("law", "{}"),
    "path": ("error on unseen paths", "{:.2%}"),
    "force": ("error of the force", "{:.2%}"),
    "displacement": ("of the displacement", "{:.2%}"),
    "seconds": ("seconds", "{:.2f}"),
}


def main(cells=5, sizes=SIZES, across=2, unseen=2, out="results"):
    """Make the three laws, pull the plate with each, and compare; the rows of the table."""
    out = Path(out)
    study = TwoScales(Composite(cells=cells), sizes, out / f"two-scales-{cells}")
    laws = {"full cell": study.full, "reduced cell": study.reduced(), "recurrent law": study.recurrent()}
    print(*laws.values(), sep="\n")
    paths = study.unseen(unseen)
    stresses = {"full cell": drive_cell(study.cell, paths)[0]}
    stresses |= {name: follow(law, paths) for name, law in laws.items() if name not in stresses}
    plate = PerforatedPlate(2 * across, across)
    rows, solved = [], {}
    for name, law in laws.items():
        started = time.process_time()
        print(f"the plate with the {name}")
        solved[name] = plate.stretch(law)
        (path, forces), (expected, all_forces) = solved[name], solved["full cell"]
        rows.append(
            {
                "law": name,
                "path": float(path_errors(stresses[name], stresses["full cell"]).mean()),
                "force": float(np.abs(forces - all_forces).max() / np.abs(all_forces).max()),
                "displacement": float(np.linalg.norm(path.u - expected.u) / np.linalg.norm(expected.u)),
                "seconds": time.process_time() - started,
            }
        )
    print(markdown(rows, COLUMNS))
    draw(study, laws, plate, solved, paths[0], {name: values[0] for name, values in stresses.items()}, out)
    with atomic_write(out / "two_scale_plate.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


def draw(study, laws, plate, solved, path, stresses, out):
    """The cell with the chosen points, a path that no law has seen, and the plate."""
    figure = Figure(figsize=(13.0, 4.2), layout="constrained")
    axes = figure.add_subplot(1, 3, 1, projection="3d")
    ball = study.cell.mesh.restrict(study.cell.mesh.subdomains["inclusion"])
    draw_surface(axes, ball, alpha=0.25, linewidth=0.2)
    reduced, mesh = laws["reduced cell"], study.cell.mesh
    middles = mesh.p[:, mesh.t].mean(axis=1)
    chosen, counts = np.unique(reduced.cells, return_counts=True)
    axes.scatter(*middles[:, chosen], s=12.0 * counts, c="tab:red", depthshade=True)
    axes.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
    axes.set_title(f"{len(reduced.volumes)} of {8 * mesh.nelements:,} points, and the inclusion")
    axes = figure.add_subplot(1, 3, 2)
    for (name, stress), style in zip(stresses.items(), ("k-", "--", ":"), strict=True):
        strain, shear = (np.append(0.0, values[:, 5]) for values in (path, stress))
        axes.plot(strain, shear / 1e6, style, label=name, linewidth=2.0)
    axes.set(xlabel="shear strain xy", ylabel="shear stress xy (MPa)", title="a path that no law has seen")
    axes.legend()
    axes = figure.add_subplot(1, 3, 3)
    for (name, (_, forces)), style in zip(solved.items(), ("k-", "--", ":"), strict=True):
        axes.plot(np.arange(len(forces) + 1), np.append(0.0, forces) / 1e6, style, label=name, linewidth=2.0)
    axes.set(xlabel="step", ylabel="force on the edge (MN)", title=f"a plate of {plate.mesh.nelements} elements")
    axes.legend()
    save(figure, out / "two_scale_plate.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5, help="hexahedra along an edge of the cell")
    parser.add_argument("--across", type=int, default=2, help="elements of the plate from the hole to its edge")
    parser.add_argument("--unseen", type=int, default=2, help="paths to be tried on")
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.cells, across=arguments.across, unseen=arguments.unseen, out=arguments.out)
