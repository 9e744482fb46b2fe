"""From a cell of blocks and cracks to a law of the fault: the meso-scale between grains and reservoir.

    python examples/rve_to_law.py --law runs/cohesive-grains.safetensors --out results

The cracks of a periodic cell carry a recurrent law of a layer of grains. The cell is sheared to and fro under pressure
and drawn; then it is driven along many random paths, a second recurrent law learns its homogenised response, and both
are compared on unseen paths. ParaView opens the PVD files. Units: grain diameter d, pressure p0 of the layer.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

import femnn
from femnn.cli.train_layer import CELL_EPOCHS, train_layer
from femnn.cohesive.training import path_data, responses, rms_errors
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.multiscale.rve import (
    KINDS,
    CellPermeability,
    CellSeries,
    FaultCell,
    Spring,
    WorkingRange,
    follow,
    law_named,
    simulate_paths,
)
from femnn.plotting import save

# Paths of this seed are not among those that laws learn from.
UNSEEN_SEED = 1_000_003
# Training, validation and test need one path each.
FEWEST_PATHS = 3
# Of displacements in the picture, as a share of the cell at the largest shear.
MAGNIFIED = 0.12


class Journey:
    """A cell sheared to and fro under its pressure, with a pause for half of it: what it does at every point."""

    def __init__(self, cell, law, points, out=None, progress=True):
        self.rve, self.working = cell.rve(law), WorkingRange.of(law)
        self.conduits = CellPermeability(self.rve, cell.filling, cell.matrix)
        reach, pressure = 0.6 * self.working.shear, self.working.pressure
        t = np.linspace(0.0, 1.0, points)
        shear = np.interp(t, [0.0, 0.4, 0.5, 0.9, 1.0], [0.0, reach, reach, -0.3 * reach, 0.2 * reach])
        load = np.interp(t, [0.0, 0.4, 0.5, 1.0], [-1.0, -1.0, -0.5, -0.5]) * pressure
        series = None if out is None else CellSeries(Path(out) / "rve-to-law.pvd", self.rve)
        self.permeability, self.responses = [], []

        def record(number, response):
            self.responses.append(response)
            self.permeability.append(self.conduits.tensor(response.state))
            if series is not None:
                series.write(number, response)

        # the shear direction is that of −x: the top goes to the right first
        path = np.column_stack([np.zeros(points), -shear])
        springs = [None, *(Spring(value) for value in load[1:])]
        self.path = follow(self.rve, path, springs, callback=record, progress=progress)

    @property
    def shown(self):
        """Where the shear begins to turn, and where it has turned back."""
        shear = np.abs(self.path.separation[:, 1])
        return [int(np.searchsorted(shear, 0.15 * shear.max())), int(shear.argmax()), len(shear) - 1]


def errors(law, data):
    """Gaps between a law and a cell along the same paths: of tractions over their mean size, of ln t_n and t_s/t_n."""
    found = responses(law, data)
    gap = np.linalg.norm(found - data.tractions, axis=2).mean() / np.linalg.norm(data.tractions, axis=2).mean()
    return {"traction": float(gap), **rms_errors(found, data)}


def speed(law, journey, data, points=1000):
    """Seconds of an update with tangent: of the cell, and of a point of the law among many."""
    rve, path = journey.rve, journey.path
    state, begun = rve.initial_state(), time.perf_counter()
    for goal in path.separation[: len(path.separation) // 3]:
        state = rve.update(goal, state).state
    cell = (time.perf_counter() - begun) / (len(path.separation) // 3)
    steps = np.resize(data.separations, (points, *data.separations.shape[1:]))
    state = law.update(steps[:, 0], law.initial_state(points)).state
    begun = time.perf_counter()
    for step in range(1, steps.shape[1]):
        state = law.update(steps[:, step], state).state
    return {"cell": cell, "law": (time.perf_counter() - begun) / points / (steps.shape[1] - 1)}


def main(law, second=None, cell=None, paths=360, unseen=40, points=100, epochs=None, workers=None, out="results",
         progress=True):  # fmt: skip
    """Figures of the law against the cell; writes pictures, the series, both data sets and the law.

    ``law`` is that of the cracks, ``second`` one of the cell that has been trained already, name or file each.
    """
    if (second is None and paths < FEWEST_PATHS) or unseen < 1 or points < 2:
        # before hours of simulation, not after them
        raise femnn.ParameterError(
            f"paths={paths}, unseen={unseen}, points={points} are too few: at least {FEWEST_PATHS} paths to learn "
            "from, 1 to test on, and 2 points of each are needed; some hundred paths make a law of use"
        )
    out, micro = Path(out), law_named(law)
    cell = FaultCell.around(micro) if cell is None else cell
    journey = Journey(cell, micro, points, out, progress)
    print(f"{journey.rve.cell.mesh.nelements} quadrilaterals, {journey.rve.n_jumps} unknowns on cracks")
    print(f"largest gap of Hill and Mandel's condition: {journey.path.hill_mandel.max():.1e}")
    how = {"points": points, "workers": workers, "progress": progress}
    if second is None:
        data, _ = simulate_paths(law, out / "rve", cell, paths=paths, **how)
        options = replace(OPTIONS["isotropic"], epochs=CELL_EPOCHS if epochs is None else epochs)
        learned, _ = train_layer(out / "cohesive-rve", data, options=options, progress=progress)
    else:
        learned = femnn.RecurrentCohesive.load(second)
    drawn, _ = simulate_paths(law, out / "rve-unseen", cell, paths=unseen, seed=UNSEEN_SEED, **how)
    data = path_data(drawn.separation, drawn.traction)
    figures = errors(learned, data) | {f"seconds, {key}": value for key, value in speed(learned, journey, data).items()}
    figures["times faster"] = figures["seconds, cell"] / figures["seconds, law"]
    for name, value in figures.items():
        print(f"  {name:20} {value:.3g}")
    draw_cell(out / "rve-to-law-cell.png", journey)
    draw_paths(out / "rve-to-law.png", journey, drawn, responses(learned, data))
    return figures


def draw_cell(path, journey):
    """Blocks in the colours of their shear stress, cracks in those of their opening, deformed, at three points."""
    rve, shown = journey.rve, [journey.responses[k] for k in journey.shown]
    width, height = rve.cell.width, rve.cell.height
    magnify = MAGNIFIED * height / np.abs(journey.path.separation).max()
    stresses = [np.abs(rve.stress(response.state)[:, 2]) / journey.working.pressure for response in shown]
    openings = [rve.separations(own.state)[:, 0].reshape(rve.elements.dx.shape).mean(axis=1) for own in shown]
    norms = Normalize(0.0, np.quantile(stresses, 0.98)), Normalize(0.0, np.max(openings))
    figure = Figure(figsize=(13.0, 6.4), layout="constrained")
    all_axes = figure.subplots(1, 3, sharey=True)
    for axes, response, stress, opening in zip(all_axes, shown, stresses, openings, strict=True):
        place = rve.cell.mesh.p.T + magnify * rve.displacement(response.state).reshape(-1, 2)
        share = norms[1](np.maximum(opening, 0.0))
        for turn in (-1.0, 0.0, 1.0):
            moved = place + np.array([turn * width, 0.0])
            blocks = PolyCollection(moved[rve.cell.mesh.t.T], array=stress, cmap="Blues", norm=norms[0])
            blocks.set(edgecolor="face", linewidth=0.3)
            axes.add_collection(blocks)
            # the crack is drawn half-way between its faces
            ends = 0.5 * (moved[rve.cell.interface.minus_vertices] + _other_faces(rve.cell, moved))
            axes.add_collection(LineCollection(ends, colors=colormaps["autumn"](share), linewidths=1.0 + 5.0 * share))
        separation, traction = response.state.separation, response.traction
        axes.set(
            title=f"shear {-separation[1]:.2f} d, opening {separation[0]:.2f} d\n"
            f"shear traction {-traction[1]:.2f} p0, pressure {-traction[0]:.2f} p0",
            xlim=(-0.15 * width, 1.25 * width),
            ylim=(-0.03 * height, 1.1 * height),
            aspect="equal",
            xlabel="x, d",
        )
    all_axes[0].set_ylabel("y, d")
    labels = "shear stress in the blocks, p0", "opening of the cracks, d"
    for norm, cmap, label in zip(norms, ("Blues", "autumn"), labels, strict=True):
        figure.colorbar(ScalarMappable(norm, cmap), ax=all_axes, label=label, location="bottom", shrink=0.5, pad=0.02)
    all_axes[1].set_xlabel(f"x, d; displacements × {magnify:.0f}")
    save(figure, path)


def _other_faces(cell, moved):
    """Places (n, 2, 2) of the upper faces of the cracks, where they are not across the seam."""
    lower, upper = cell.interface.minus_vertices, cell.interface.plus_vertices
    turns = np.round((cell.mesh.p[0, upper] - cell.mesh.p[0, lower]) / cell.width)
    return moved[upper] - turns[..., None] * np.array([cell.width, 0.0])


def draw_paths(path, journey, drawn, tractions):
    """Unseen paths by the cell and by the law; what the cracks of the cell conduct while it is sheared."""
    figure = Figure(figsize=(15.0, 7.5), layout="constrained")
    axes = figure.subplots(2, 4)
    kinds = [rows for kind in KINDS if len(rows := np.flatnonzero(drawn.kind == kind))][:3]
    for column, rows in enumerate(kinds):
        for number, row in enumerate(rows[:3]):
            colour, shear = f"C{number}", drawn.separation[row, :, 1]
            for source, style in ((drawn.traction, "-"), (tractions, "--")):
                axes[0, column].plot(shear, source[row, :, 1], style, color=colour, linewidth=1.4)
                axes[1, column].plot(-source[row, :, 0], style, color=colour, linewidth=1.4)
        axes[0, column].set(
            xlabel="shear, d", ylabel="shear traction, p0", title=f"unseen paths: {drawn.kind[rows[0]]}"
        )
        axes[1, column].set(xlabel="point of the path", ylabel="pressure, p0")
    lines = [axes[0, 0].plot([], [], f"k{style}", label=name)[0] for style, name in (("-", "cell"), ("--", "law"))]
    figure.legend(handles=lines, loc="outside lower left", ncols=2, title="unseen paths, a colour each")
    tensors = np.array(journey.permeability)
    shear = -journey.path.separation[:, 1]
    axes[0, 3].plot(shear, journey.path.separation[:, 0], label="cell")
    axes[0, 3].plot(shear, journey.path.crack_separation[:, 0], "--", label="its cracks")
    axes[0, 3].set(xlabel="shear, d", ylabel="opening, d", title="the journey of the first picture")
    axes[0, 3].legend()
    axes[1, 3].plot(shear, tensors[:, 1, 1] / tensors[0, 1, 1], label="along the fault")
    axes[1, 3].plot(shear, tensors[:, 0, 0] / tensors[0, 0, 0], label="across it")
    axes[1, 3].set(xlabel="shear, d", ylabel="permeability over the first")
    axes[1, 3].legend()
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="grains", help="law of the cracks, name or weight file [grains]")
    parser.add_argument("--second", help="law of the cell, name or weight file [trained here]")
    parser.add_argument("--paths", type=int, default=360, help="paths to learn from [360]")
    parser.add_argument("--workers", type=int, help="worker processes [one for each core]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for all files [results]")
    given = parser.parse_args()
    try:
        main(given.law, given.second, paths=given.paths, workers=given.workers, out=given.out)
    except femnn.FemnnError as error:
        parser.error(str(error))
