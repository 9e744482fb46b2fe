"""The data set of a cell: its responses along many paths, computed as independent tasks and kept in one file."""

import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from femnn.cohesive.recurrent import RecurrentCohesive
from femnn.exceptions import DatasetError, ParameterError, TaskError
from femnn.files import atomic_write, sha256
from femnn.multiscale.rve import RVE
from femnn.multiscale.rve_cells import block_network
from femnn.multiscale.rve_hydraulics import CellPermeability, CrackFilling
from femnn.multiscale.rve_paths import WorkingRange, command
from femnn.multiscale.rve_response import follow
from femnn.tasks import run_tasks

# Raised when the same arguments give other responses.
_VERSION = "1"

# Of the classical laws that recurrent ones were trained on.
_CLASSICAL = "classical-"


@dataclass(frozen=True)
class FaultCell:
    """A network of blocks with its filling; lengths and stresses in the units of the law.

    Parameters
    ----------
    size
        Width and height of the cell.
    young, poisson
        Of the blocks.
    count, rows, jitter, refine, seed
        See :func:`femnn.multiscale.rve_cells.block_network`; cracks are upright or flat, but for the jitter, and the
        pattern is its own mirror image: both directions of shear are alike.
    filling : CrackFilling
    matrix
        Permeability of the blocks.
    """

    size: float
    young: float
    poisson: float = 0.25
    count: int = 4
    rows: int = 2
    jitter: float = 0.15
    refine: int = 2
    seed: int = 0
    filling: CrackFilling = None
    matrix: float = None

    @classmethod
    def around(cls, law, **given):
        """A cell that fits a law.

        For a precompressed law in units of grains: 300 grain diameters, rock of 5,000 pressures, cracks filled by ten
        layers of grains. For a law in SI: 300 separation scales, rock as stiff as leaves no snap-back, open cracks.
        What is ``given`` stays.
        """
        working = WorkingRange.of(law)
        if working.precompressed:
            unit, young = 1.0, 5e3 * working.pressure
            filling = CrackFilling.of_grains(unit, 10.0 * unit, 0.4)
        else:
            unit = law.separation_scale
            young = 3e4 * working.pressure
            filling = CrackFilling(0.1 * unit)
        fitting = {"size": 300.0 * unit, "young": young, "filling": filling, "matrix": 1e-6 * filling.aperture**2}
        return cls(**(fitting | {name: value for name, value in given.items() if value is not None}))

    def rve(self, law):
        """The RVE of it."""
        cell = block_network(
            self.size, self.size, self.count, self.rows, 90.0, 0.6, self.jitter, self.seed, self.refine, mirror=True
        )
        return RVE(cell, law, self.young, self.poisson)


def law_named(name):
    """A recurrent law by name or file, or the classical one behind it: ``classical-default``, for instance."""
    if str(name).startswith(_CLASSICAL):
        return RecurrentCohesive.load(str(name).removeprefix(_CLASSICAL)).reference()
    return RecurrentCohesive.load(name)


def simulate_path(law, cell, number, points, seed, reach, law_name):
    """Response of a cell along the commanded path ``number``: arrays of k points, by name.

    Parameters
    ----------
    law
        Name or file, see :func:`law_named`; ``law_name`` says which law that was, so that results of another one under
        the same name are not taken for these.
    cell : FaultCell or dict of its fields
    number, points, seed
        See :func:`femnn.multiscale.rve_paths.command`.
    reach
        Largest shear; None for what fits the law.
    """
    own_law, rve, permeability = _workplace(str(law), _frozen(cell))
    if own_law.name != law_name:
        raise DatasetError(f"{law} is {own_law.name} here, but the run began with {law_name}; use the same file")
    commands = command(number, points, WorkingRange.of(own_law, reach), seed)
    tensors, porosity, area = [], [], rve.elements.dx.ravel()

    def record(_, found):
        tensors.append(permeability.tensor(found.state))
        opening = rve.separations(found.state)[:, 0]
        porosity.append(permeability.filling.evolved_porosity(opening) @ area / area.sum())

    path = follow(rve, commands.separation, commands.springs, callback=record)
    tensors = np.array(tensors)
    columns = {
        "separation": _three(path.separation),
        "traction": _three(path.traction),
        "crack_separation": _three(path.crack_separation),
        "permeability": tensors,
        "aperture": permeability.aperture(tensors),
        "porosity": np.array(porosity),
        "hill_mandel": np.maximum(path.hill_mandel, path.hill_mandel_tangent),
        "outside": path.outside,
        "cuts": path.cuts,
        "iterations": path.iterations,
    }
    return {**columns, "kind": np.array(commands.kind), "control": np.array(commands.control)}


def simulate_paths(
    law, folder, cell=None, *, paths=240, points=100, seed=0, reach=None, workers=None, scheduler=None, progress=True
):
    """Make the data set ``FOLDER/rve-paths.npz`` and its card, resuming what is there in ``FOLDER/paths``.

    Parameters
    ----------
    law
        Name or file, see :func:`law_named`.
    folder
    cell : FaultCell
        Default: what fits the law.
    paths, points, seed
        How many paths, of how many points, drawn by which seed.
    reach
        Largest shear, in the units of the law; default: what fits it.
    workers, scheduler, progress
        See :func:`femnn.tasks.run_tasks`.

    Returns
    -------
    file : Path
    failures : dict
        Why paths are missing, by their keys.

    Raises
    ------
    TaskError
        If more than a tenth of the paths failed; the file is written all the same if there is any.
    """
    own = law_named(law)
    cell = FaultCell.around(own) if cell is None else cell
    if paths < 1:
        raise ParameterError(f"paths={paths!r} is not allowed; it must be at least 1")
    law = law if str(law).startswith(_CLASSICAL) else str(law)
    shared = {"law": law, "cell": cell, "points": points, "seed": seed, "reach": reach, "law_name": own.name}
    tasks = {f"path-{number:04d}": {**shared, "number": number} for number in range(paths)}
    _workplace(law, cell).cell  # what is not allowed is said before tasks start
    outcome = run_tasks(
        simulate_path,
        tasks,
        Path(folder) / "paths",
        workers=workers,
        scheduler=scheduler,
        version=_VERSION,
        progress=progress,
    )
    if not outcome.results:
        outcome.require_all()
    file = Path(folder) / "rve-paths.npz"
    _save(file, {int(key[5:]): outcome.load(key) for key in outcome.results}, cell.seed)
    about = {
        "what": "responses of a cell of blocks and cracks, one row a path",
        "law": own.name,
        "cell": asdict(cell),
        "paths": {"asked": paths, "points": points, "seed": seed, "reach": WorkingRange.of(own, reach).shear},
        "working_range": asdict(WorkingRange.of(own, reach)),
        "failures": outcome.failures,
        "sha256": sha256(file),
    }
    with atomic_write(file.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if len(outcome.failures) > 0.1 * paths:
        key, message = next(iter(outcome.failures.items()))
        raise TaskError(
            f"{len(outcome.failures)} of {paths} paths failed, first {key}: {message}; {file} has the others. Take a "
            "smaller reach or stiffer blocks"
        )
    return file, outcome.failures
