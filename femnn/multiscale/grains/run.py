"""Many paths of many samples of grains, run as independent tasks, into one data set."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.path_data import PathDataSet
from femnn.multiscale.grains.commands import draw_path, plan_paths
from femnn.multiscale.grains.dataset import scatter
from femnn.multiscale.grains.fault_commands import fault_path, fault_plan
from femnn.multiscale.grains.layer import VERSION, GrainLayer, prepare, require_lammps, run_path
from femnn.multiscale.grains.measures import mismatch
from femnn.tasks.run import load_result, run_tasks, task_name

_UNITS = "mean grain diameter d, confining pressure p0; components (normal, shear, shear), tension positive"


@task_name("femnn.multiscale.granular_runs.respond")
def respond(layer, number, points):
    """Arrays of the response of a layer, given by its parameters, along the drawn path with a number."""
    return run_path(GrainLayer(**layer), draw_path(number, points)).arrays()


@task_name("femnn.multiscale.grains.run.respond_fault")
def respond_fault(layer, number, points):
    """Arrays of the response of a layer along the fault path with a number."""
    return run_path(GrainLayer(**layer), fault_path(number, points)).arrays()


@task_name("femnn.multiscale.granular_runs.settle")
def settle(layer):
    """Have the sample of a layer in the cache; its folder's name."""
    return {"sample": np.array(prepare(GrainLayer(**layer)).name)}


@checked()
def simulate_grains(
    folder: str | os.PathLike, paths: int = 320, seeds: int = 5, layer: GrainLayer | None = None, points: int = 140,
    workers: int | None = None, scheduler: str | None = None, progress: bool = True,
) -> tuple[PathDataSet, dict[str, str]]:  # fmt: skip
    """Shear layers of grains along drawn paths and write ``FOLDER/grain-paths.npz`` with its card.

    Every path is a task of its own, kept in ``FOLDER/paths`` when done: an interrupted run goes on when it is called
    again. A path whose process dies is tried once more, then left out of the data set and reported.

    Parameters
    ----------
    folder
    paths, seeds
        Rows of the data set, and samples: see :func:`femnn.multiscale.grains.commands.plan_paths`.
    layer
        Its seed is that of the first sample; default: the layer of the shipped data.
    points
        Of each path, the start included.
    workers, scheduler, progress
        See :func:`femnn.tasks.run.run_tasks`.

    Returns
    -------
    data : PathDataSet
        In units of the mean grain diameter d and the confining pressure p0; every path starts near the traction
        (-1, 0, 0). Its columns are what :func:`femnn.multiscale.grains.layer.run_path` lists, for n rows;
        ``love_weber_mismatch`` (n,), the median over the points of the distance of the two tractions over their size;
        ``seed`` and ``path``; ``control`` and ``kind`` (n,) of text.
    failures : dict
        Message by name of each path that failed twice.

    Raises
    ------
    MissingExtraError
        If LAMMPS is not installed.
    TaskError
        If a sample cannot be prepared, or no path came through.

    Examples
    --------
    Two paths of a layer that is far too small, each in a file of its own:

    >>> from femnn.multiscale.grains import GrainLayer, simulate_grains
    >>> data, failures = simulate_grains(
    ...     "grains", paths=2, seeds=1, layer=GrainLayer(grains=100), points=4, workers=0, progress=False
    ... )
    >>> data.traction.shape, failures
    ((2, 4, 3), {})
    """
    layer = GrainLayer() if layer is None else layer
    folder = Path(folder)
    samples = [replace(layer, seed=layer.seed + seed) for seed in range(seeds)]
    rows = {f"path{number:04d}-seed{layer.seed + seed}": (number, seed) for number, seed in plan_paths(paths, seeds)}
    results, failures, version = _run(respond, rows, samples, folder, points, workers, scheduler, progress)
    about = {
        "what": "layers of grains between rough slabs, sheared in LAMMPS (femnn.multiscale.grains)",
        "units": _UNITS,
        "layer": {name: value for name, value in asdict(layer).items() if name != "seed"},
        "version": version,
        "command": f"femnn simulate grains --paths {paths} --seeds {seeds} --grains {layer.grains} --points {points} "
        f"--seed {layer.seed}",
        "missing": sorted(failures),
    }
    responses = {key: load_result(file) for key, file in results.items()}
    data = gather({key: rows[key] for key in results}, responses, layer.seed, points, about)
    data.save(folder / "grain-paths.npz")
    return data, failures


@checked(
    thickness="(0, inf)", points="[60, inf)", paths="[1, inf)", samples="[1, inf)", speed="(0, inf)", each="[1, inf)",
    further="[0, inf)", bits="[4, 23]",
)  # fmt: skip
def simulate_fault_grains(
    folder: str | os.PathLike, paths: int = 1000, samples: int = 6, thickness: float = 6.0,
    widths: Sequence[float] = (8.0, 11.0), points: int = 160, seed: int = 0, speed: float = 0.03,
    each: int | None = None, further: int = 0, known: PathDataSet | None = None, bits: int | None = None,
    workers: int | None = None, scheduler: str | None = None, progress: bool = True,
) -> tuple[PathDataSet, dict[str, str]]:  # fmt: skip
    """Drive layers of grains along the paths of a fault and write ``FOLDER/fault-grain-paths.npz`` with its card.

    First all of ``samples`` samples follow :data:`femnn.multiscale.grains.REFERENCES`. Then as many other samples
    follow commands of :func:`femnn.multiscale.grains.draw_fault_path`, which laws are trained on: what measures a law
    shares neither path nor sample with what it learns. Runs resume as those of :func:`simulate_grains`.

    Parameters
    ----------
    folder
    paths
        Rows at least; the last command is run on as many samples as the others.
    samples
        Number of samples for the references, and as many for drawn commands; their sizes take turns.
    thickness, widths
        Of the filling between the slabs and of the period, d: a size for each width.
    points
        Of each path.
    seed
        Of the first sample; the others count on.
    speed
        As :class:`femnn.multiscale.grains.GrainLayer` takes it.
    each
        Samples that follow a drawn command: they take turns, so that more commands fit into as many rows. Default: all.
    further
        Commands of :data:`femnn.multiscale.grains.FURTHER_KINDS`, beside ``paths`` rows: wide and small reversals, slip
        to 22 d, pressures that fall far below the largest one.
    known
        A data set of the same samples: rows that it has are taken from it instead of being run.
    bits
        See :meth:`femnn.io.path_data.PathDataSet.rounded`. Default: all that float32 has.
    workers, scheduler, progress
        See :func:`femnn.tasks.run.run_tasks`.

    Returns
    -------
    data : PathDataSet
        As :func:`simulate_grains` gives it, and ``grains`` (n,), the size of the sample of each row. Reference paths
        have numbers from 20,000 on.
    failures : dict
        Message by name of each path that failed twice.

    Raises
    ------
    MissingExtraError, TaskError
        As :func:`simulate_grains`.
    ParameterError
        If ``widths`` is empty, ``each`` more than ``samples``, or ``known`` of other layers.

    Examples
    --------
    The references alone on one sample that is far too small, in a minute or two of one core:

    >>> from femnn.multiscale.grains import simulate_fault_grains
    >>> data, failures = simulate_fault_grains(  # doctest: +SKIP
    ...     "grains", paths=8, samples=1, thickness=3.0, widths=(5.0,), points=60, workers=0, progress=False
    ... )
    """
    folder = Path(folder)
    if not len(widths):
        raise ParameterError("widths is empty; pass the period of a sample, or those of several sizes, in d")
    each = samples if each is None else each
    if each > samples:
        raise ParameterError(f"each is {each}, but there are {samples} samples; pass as many or fewer")
    plan = fault_plan(paths, samples, each, further)
    layers = [
        GrainLayer.of_thickness(thickness, widths[k % samples % len(widths)], seed=seed + k, speed=speed)
        for k in range(1 + max(k for _, k in plan))
    ]
    rows = {f"path{number:05d}-seed{seed + k}": (number, k) for number, k in plan}
    there = {} if known is None else _known_rows(known, layers, thickness, widths, points)
    missing = {key: row for key, row in rows.items() if (row[0], seed + row[1]) not in there}
    results, failures, version = _run(respond_fault, missing, layers, folder, points, workers, scheduler, progress)
    about = {
        "what": "layers of grains between rough slabs, driven as a fault is, in LAMMPS (femnn.multiscale.grains)",
        "units": _UNITS,
        "layer": {name: value for name, value in asdict(layers[0]).items() if name not in ("seed", "grains", "aspect")},
        "thickness": thickness,
        "widths": [float(width) for width in widths],
        "grains": [layer.grains for layer in layers],
        "version": version,
        "command": f"femnn simulate fault-grains --paths {paths} --samples {samples} --thickness {thickness:g} "
        f"--widths {','.join(f'{width:g}' for width in widths)} --points {points} --seed {seed} --each {each}"
        + (f" --further {further}" if further else "")
        + (f" --bits {bits}" if bits else ""),
        "missing": sorted(failures),
    }
    rows = {key: row for key, row in rows.items() if key not in failures}
    responses = {
        key: _arrays(results.get(key), known, there.get((number, seed + k))) for key, (number, k) in rows.items()
    }
    data = gather(rows, responses, seed, points, about, fault_path, {"grains": [layer.grains for layer in layers]})
    data = data.rounded(bits) if bits else data
    data.save(folder / "fault-grain-paths.npz")
    return data, failures


def _known_rows(known, layers, thickness, widths, points):
    """Rows of a data set by path and seed, of layers that are what is asked for."""
    wanted = {name: value for name, value in asdict(layers[0]).items() if name not in ("seed", "grains", "aspect")}
    wanted = {"layer": wanted, "thickness": thickness, "widths": [float(width) for width in widths]}
    for name, value in {**wanted, "points": points}.items():
        found = known.separation.shape[1] if name == "points" else known.about.get(name)
        if found != value:
            raise ParameterError(
                f"the data set of known rows has {name} {found}, asked for is {value}; pass one of the same layers, or "
                "known=None"
            )
    sizes = {layer.seed: layer.grains for layer in layers}
    rows = enumerate(zip(known.path.tolist(), known.seed.tolist(), known.grains.tolist(), strict=True))
    return {(path, seed): row for row, (path, seed, grains) in rows if sizes.get(seed) == grains}


def _arrays(result, known, row):
    """Arrays of a result, or of a row that was known."""
    return known.response(row).arrays() if result is None else load_result(result)


def _run(task, rows, layers, folder, points, workers, scheduler, progress):
    """Prepare the samples and run the rows, (number, sample) by key: results, failures and the version."""
    version = f"{VERSION}, LAMMPS {require_lammps()}"
    run = partial(run_tasks, workers=workers, scheduler=scheduler, version=version)
    samples = [asdict(layer) for layer in layers]
    used = sorted({k for _, k in rows.values()})
    prepared = {f"seed{samples[k]['seed']}": {"layer": samples[k]} for k in used}
    run(settle, prepared, folder / "samples", progress=False).require_all()
    tasks = {key: {"layer": samples[k], "number": number, "points": points} for key, (number, k) in rows.items()}
    outcome = run(task, tasks, folder / "paths", progress=progress)
    if tasks and not outcome.results:
        outcome.require_all()
    return outcome.results, outcome.failures, version


def gather(rows, responses, first_seed, points, about, command=draw_path, more=None):
    """The data set of arrays by key; ``rows`` has (number, seed) by key, ``more`` labels by the seed."""
    labels = []
    for number, seed in rows.values():
        path = command(number, points)
        labels.append({"seed": first_seed + seed, "path": number, "control": path.control, "kind": path.kind})
        labels[-1] |= {name: values[seed] for name, values in (more or {}).items()}
    about = {**about, "seeds": sorted({label["seed"] for label in labels})}
    responses = [responses[key] for key in rows]
    for arrays in responses:
        tractions = (np.float32(arrays[name]) for name in ("traction", "love_weber"))
        arrays["love_weber_mismatch"] = np.median(mismatch(*tractions))
    data = PathDataSet.of(responses, labels, about)
    about["checks"] = _checks(data)
    return data


def _checks(data):
    """Departure of the runs from quasi-static ones, and scatter between samples."""
    figures = {
        "inertial number, median": np.median(data.inertial),
        "mismatch of the slabs, median": np.median(data.mismatch),
        "mismatch of Love-Weber, median": np.median(data.love_weber_mismatch),
        "mismatch of Love-Weber, worst row": data.love_weber_mismatch.max(),
        "unbalanced force, median": np.median(data.unbalanced),
    }
    if len(np.unique(data.path)) < len(data):
        figures |= {f"scatter between samples, {name}": value for name, value in scatter(data).items()}
    return {name: float(f"{value:.3g}") for name, value in figures.items()}
