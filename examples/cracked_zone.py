"""A zone of blocks in space: sheared one way, then across, under its pressure; what it bears and what it conducts.

    python examples/cracked_zone.py --law grains --out results

Hexahedral blocks lie in running bond between a flat family of cracks and two upright ones, whose law is that of a layer
of grains. ParaView opens the PVD files. Units: grain diameter d, pressure p0 of the layer.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from femnn.multiscale.rve import (
    CellPermeability,
    CellSeries,
    FaultCell3D,
    Spring,
    WorkingRange,
    follow,
    law_named,
)
from femnn.plotting import draw_surface, save

# Of displacements in the picture, as a share of the cell at the largest shear.
MAGNIFIED = 0.15


def main(law="grains", count=2, rows=1, points=41, out="results", progress=True):
    """Returns friction ratios along x and y, opening and permeabilities over that of the blocks, (points, ...) each."""
    out, cracks = Path(out), law_named(law)
    out.mkdir(parents=True, exist_ok=True)
    cell = FaultCell3D.around(cracks, count=count, slices=count, rows=rows)
    rve, working = cell.rve(cracks), WorkingRange.of(cracks)
    conduits = CellPermeability(rve, cell.filling, cell.matrix)
    # along x, then along y
    reach, t = 0.3 * working.shear, np.linspace(0.0, 2.0, points)
    path = reach * np.column_stack([0.0 * t, np.minimum(t, 1.0), np.maximum(t - 1.0, 0.0)])
    series, tensors, last = CellSeries(out / "cracked-zone.pvd", rve), [], []

    def record(number, response):
        series.write(float(number), response)
        tensors.append(conduits.tensor(response.state) / cell.matrix)
        last[:] = [response]

    pressed = [Spring(-working.pressure)] * (points - 1)
    response = follow(rve, path, [None, *pressed], callback=record, progress=progress)
    figures = {
        "ratio": response.traction[:, 1:] / working.pressure,
        "opening": response.separation[:, 0],
        "permeability": np.diagonal(np.array(tensors), axis1=1, axis2=2),
        "hill_mandel": response.hill_mandel,
    }
    print(f"{rve.cell.mesh.nelements} hexahedra, {rve.n_jumps} jumps; gap of work {response.hill_mandel.max():.1e}")
    print(f"friction ratio along x {figures['ratio'][points // 2, 0]:.3f}, then along y {figures['ratio'][-1, 1]:.3f}")
    draw(out / "cracked_zone.png", rve, last[0], path, figures, working)
    return figures


def draw(path, rve, response, sheared, figures, working):
    """The cell in the colours of its shear stress, deformed, at the end; tractions; permeabilities."""
    figure = Figure(figsize=(14.0, 4.6), layout="constrained")
    solid = figure.add_subplot(1, 3, 1, projection="3d")
    solid.view_init(22.0, -58.0)
    stress = np.linalg.norm(rve.stress(response.state)[:, 3:5], axis=1) / working.pressure
    moved = rve.displacement(response.state).reshape(-1, 3).T
    magnify = MAGNIFIED * rve.cell.height / np.abs(moved).max()
    surface = draw_surface(solid, rve.cell.mesh, stress, magnify * moved, cmap="Blues")
    figure.colorbar(surface, ax=solid, label="shear stress on flat planes, p0", shrink=0.7, pad=0.0)
    solid.set_title(f"after both shears; displacements × {magnify:.0f}")
    way = np.linalg.norm(np.diff(sheared[:, 1:], axis=0, prepend=0.0), axis=1).cumsum()
    tractions, conducted = figure.add_subplot(1, 3, 2), figure.add_subplot(1, 3, 3)
    for k, name in enumerate("xy"):
        tractions.plot(way, figures["ratio"][:, k], label=f"along {name}")
    tractions.plot(way, figures["opening"], "k--", label="opening, d")
    tractions.set(xlabel="length of the path, d", title="shear traction over the pressure")
    for k, name in enumerate(("across", "along x", "along y")):
        of_blocks = figures["permeability"][:, k]
        conducted.plot(way, of_blocks / of_blocks[0], label=f"{name}, from {of_blocks[0]:.3g} times the blocks")
    conducted.set(xlabel="length of the path, d", title="permeability over the first")
    for axes in (tractions, conducted):
        # where the direction changes
        axes.axvline(way[len(way) // 2], color="0.8", zorder=0)
        axes.legend(loc="upper left" if axes is conducted else "center right", framealpha=0.6)
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="grains", help="of the cracks, as `femnn simulate rve` takes it")
    parser.add_argument("--count", type=int, default=2, help="blocks along x and along y")
    parser.add_argument("--rows", type=int, default=1, help="rows of blocks")
    parser.add_argument("--points", type=int, default=41, help="of the path, an odd number")
    parser.add_argument("--out", default="results", help="folder of pictures and files")
    main(**vars(parser.parse_args()))
