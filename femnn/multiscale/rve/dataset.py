"""The data set of a cell: its responses along many paths, computed as independent tasks and kept in one file."""

import os
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.cohesive.law import Law
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.path_data import PathDataSet
from femnn.io.time_series import padded
from femnn.multiscale.rve.cells import block_network
from femnn.multiscale.rve.commands import WorkingRange, draw_cycles, draw_path, springs_of
from femnn.multiscale.rve.permeability import CellPermeability, CrackFilling
from femnn.multiscale.rve.response import follow
from femnn.multiscale.rve.rve import RVE
from femnn.tasks.run import run_tasks, task_name

# Raised when the same arguments give other responses.
_VERSION = "2"

# Of the classical laws that recurrent ones were trained on.
_CLASSICAL = "classical-"

# Below this share of the first pressure a ratio of tractions says little.
_OPEN = 0.05

# Filling of the cracks around a precompressed law: thickness in grains, porosity.
_LAYERS, _POROSITY = 10.0, 0.4


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
        See :func:`femnn.multiscale.rve.cells.block_network`; cracks are upright or flat, but for the jitter, and the
        pattern is its own mirror image: both directions of shear are alike.
    filling : CrackFilling
    matrix
        Permeability of the blocks.

    Examples
    --------
    >>> from femnn.multiscale.rve import FaultCell, law_named
    >>> law = law_named("classical-default")
    >>> cell = FaultCell.around(law, count=2, rows=1, refine=1)
    >>> cell.rve(law).cell.mesh.nelements
    16
    """

    size: float
    young: float
    poisson: float = 0.25
    count: int = 4
    rows: int = 2
    jitter: float = 0.15
    refine: int = 2
    seed: int = 0
    filling: CrackFilling | None = None
    matrix: float | None = None

    @classmethod
    @checked()
    def around(cls, law: Law, thickness: float | None = None, **fields: Any) -> "FaultCell":
        """A cell that fits a law.

        It is 300 separation scales wide. Around a precompressed law, whose scale is the grain diameter, rock has 5,000
        times the pressure for a modulus, and cracks are filled with ten layers of grains; around others rock is so
        stiff that hardly any cell snaps back, and cracks are open. ``fields`` that are not None stay.

        Parameters
        ----------
        law
        thickness
            Of the filling, in separation scales, in place of ten: that of the layers which the law was learned from.

        Raises
        ------
        ParameterError
            If there is a thickness, but no filling: around a law that starts without pressure.
        """
        working, unit = WorkingRange.of(law), float(law.separation_scale)
        if working.precompressed:
            young = 5e3 * working.pressure
            filling = CrackFilling.of_grains(unit, (_LAYERS if thickness is None else thickness) * unit, _POROSITY)
        elif thickness is not None:
            raise ParameterError(
                f"thickness={thickness!r} is that of a filling, but cracks of {law.name} start without pressure and "
                "are open; leave it out, or pass filling="
            )
        else:
            young = 3e4 * working.pressure
            filling = CrackFilling(0.1 * unit)
        fitting: dict = {"size": 300.0 * unit, "young": young, "filling": filling, "matrix": 1e-6 * filling.aperture**2}
        return cls(**(fitting | {name: value for name, value in fields.items() if value is not None}))

    @checked()
    def rve(self, law: Law) -> RVE:
        """The RVE of it."""
        cell = block_network(
            self.size, self.size, self.count, self.rows, 90.0, 0.6, self.jitter, self.seed, self.refine, mirror=True,
            **self._space(),
        )  # fmt: skip
        return RVE(cell, law, self.young, self.poisson)

    @property
    def shears(self) -> int:
        """Directions of shear: one in plane strain, two in space."""
        return 2 if self._space() else 1

    def _space(self):
        """What makes a cell in space of it."""
        return {}


@dataclass(frozen=True)
class FaultCell3D(FaultCell):
    """The same in space: blocks of hexahedra between a flat family of cracks and two upright ones.

    Parameters
    ----------
    slices
        Blocks along the second direction, as deep as they are wide. With ``count`` of them, both directions are alike.

    Examples
    --------
    >>> from femnn.multiscale.rve import FaultCell3D, law_named
    >>> law = law_named("classical-default")
    >>> cell = FaultCell3D.around(law)
    >>> cell.rve(law).cell.mesh.nelements
    64
    """

    count: int = 2
    rows: int = 1
    refine: int = 1
    slices: int = 2

    @classmethod
    @checked()
    def around(cls, law: Law, thickness: float | None = None, **fields: Any) -> "FaultCell3D":
        """As :meth:`FaultCell.around`, with blocks of the same size: a cell of so many is smaller or larger."""
        usual = FaultCell.around(law, thickness, **{name: value for name, value in fields.items() if name in _SHARED})
        given = {name: value for name, value in fields.items() if value is not None}
        given.setdefault("size", usual.size * given.get("count", cls.count) / usual.count)
        return cls(**({name: getattr(usual, name) for name in _SHARED} | given))

    def _space(self):
        return {"depth": self.size * self.slices / self.count, "slices": self.slices}


# Of a cell that fits a law, whatever its blocks.
_SHARED = ("young", "poisson", "seed", "filling", "matrix")


@checked()
def law_named(name: str | os.PathLike) -> Law:
    """A recurrent law by name or file, or the classical one behind it: ``classical-default``, for instance.

    Examples
    --------
    >>> from femnn.multiscale.rve import law_named
    >>> law_named("default").network, type(law_named("classical-default")).__name__
    ('minimal-state', 'BilinearCohesive')
    """
    if str(name).startswith(_CLASSICAL):
        return RecurrentCohesive.load(str(name).removeprefix(_CLASSICAL)).reference()
    return RecurrentCohesive.load(name)


@task_name("femnn.multiscale.rve_data.simulate_path")
def simulate_path(law, cell, number, points, seed, reach, law_name, cycled=False):
    """Response of a cell along the commanded path ``number``: arrays of k points, by name.

    Parameters
    ----------
    law
        Name or file, see :func:`law_named`; ``law_name`` says which law that was, so that results of another one under
        the same name are not taken for these.
    cell : FaultCell
    number, points, seed
        See :func:`femnn.multiscale.rve.commands.draw_path`.
    reach
        Largest shear; None for what fits the law.
    cycled
        Whether the path is that of :func:`femnn.multiscale.rve.commands.draw_cycles`.
    """
    cracks, rve, permeability = _workplace(str(law), cell)
    if cracks.name != law_name:
        raise DatasetError(f"{law} is {cracks.name} here, but the run began with {law_name}; use the same file")
    command = (draw_cycles if cycled else draw_path)(number, points, WorkingRange.of(cracks, reach), seed, cell.shears)
    tensors, porosity, area = [], [], rve.elements.dx.ravel()

    def record(_, response):
        tensors.append(permeability.tensor(response.state))
        porosity.append(permeability.porosity(response.state))

    path = follow(rve, command.separation, springs_of(command), callback=record)
    tensors = np.array(tensors)
    return {
        "separation": padded(path.separation),
        "traction": padded(path.traction),
        "crack_separation": padded(path.crack_separation),
        "aperture": permeability.aperture(tensors),
        "permeability": tensors,
        "porosity": np.array(porosity),
        "hill_mandel": np.maximum(path.hill_mandel, path.hill_mandel_tangent),
        "outside": path.outside / len(area),
        "iterations": path.iterations,
        "cuts": path.cuts,
        "control": np.array(command.control),
        "kind": np.array(command.kind),
    }


@checked(paths="[1, inf)", samples="[1, inf)", cycles="[0, inf)")
def simulate_paths(
    law: str | os.PathLike, folder: str | os.PathLike, cell: FaultCell | None = None, *, paths: int = 360,
    points: int = 100, seed: int = 0, reach: float | None = None, samples: int = 1, each: int | None = None,
    cycles: int = 0, workers: int | None = None, scheduler: str | None = None, progress: bool = True,
) -> tuple[PathDataSet, dict[str, str]]:  # fmt: skip
    """Make the data set ``FOLDER/rve-paths.npz`` and its card.

    Every path of a cell is a task of its own, kept in ``FOLDER/paths`` when done: an interrupted run goes on when it is
    called again, and more samples may be asked for. A path that a cell cannot follow is tried once more, then left out
    of the data set and reported.

    Parameters
    ----------
    law
        Name or file, see :func:`law_named`.
    folder
    cell
        Default: what fits the law.
    paths, points, seed
        How many paths, of how many points, drawn by which seed.
    reach
        Largest shear, in the units of the law; default: what fits it.
    samples
        Patterns of blocks, ``cell`` with its seed and the next ones: a row of the data set is a path of one of them.
    each
        Samples that follow a path; they take turns. Default: all.
    cycles
        So many paths more, of cycles of tractions: see :func:`femnn.multiscale.rve.draw_cycles`.
    workers, scheduler, progress
        See :func:`femnn.tasks.run.run_tasks`.

    Returns
    -------
    data : PathDataSet
        Paths from the virgin state on, in the units of the law of the cracks. ``separation``, ``traction``,
        ``crack_separation`` (n, k, 3) as :func:`femnn.multiscale.rve.response.follow` has them, the last component 0
        of a cell in plane strain; ``aperture``, ``porosity`` (n, k): hydraulic aperture of the cell, mean porosity of
        the fillings; ``permeability`` (n, k, dim, dim), across the interface and along it; ``hill_mandel``, ``outside``
        (n, k): gap of
        work or tangent, whichever is larger; share of crack points out of the trained range of their law;
        ``iterations``, ``cuts`` (n, k); ``seed`` of the cell, ``path``; ``control`` and ``kind`` (n,) of text. Rows of
        one sample stand together.
    failures : dict
        Why paths are missing, by their keys.

    Raises
    ------
    ParameterError, WeightFileError
        If the law, the cell or the paths are not allowed, or ``each`` is more than ``samples``; before any path is run.
    TaskError
        If no path came through.

    Examples
    --------
    Two short paths of a small cell, each in a file of its own:

    >>> from femnn.multiscale.rve import FaultCell, law_named, simulate_paths
    >>> cell = FaultCell.around(law_named("classical-default"), count=2, rows=1, refine=1, jitter=0.0)
    >>> data, failures = simulate_paths(
    ...     "classical-default", "cell", cell, paths=2, points=10, workers=0, progress=False
    ... )
    >>> data.traction.shape
    (2, 10, 3)
    """
    cracks = law_named(law)
    cell = FaultCell.around(cracks) if cell is None else cell
    law, working = str(law), WorkingRange.of(cracks, reach)
    each = samples if each is None else each
    if not 1 <= each <= samples:
        raise ParameterError(f"each={each!r} is not allowed for samples={samples}; pass as many or fewer, at least 1")
    draw_path(0, points, working, seed)
    if cycles:
        draw_cycles(0, points, working, seed)
    _workplace(law, cell)
    rows = _rows(paths + cycles, samples, each)
    shared = {"law": law, "points": points, "seed": seed, "reach": reach, "law_name": cracks.name}
    cells = [replace(cell, seed=cell.seed + sample) for sample in range(samples)]
    # a path that is drawn has the arguments that it had before there were others
    tasks = {
        key: {**shared, "cell": cells[sample], "number": number, **({"cycled": True} if number >= paths else {})}
        for key, (number, sample) in rows.items()
    }
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
    drawn = {"paths": paths, "points": points, "seed": seed}
    more = {"cycles": cycles} if cycles else {}
    asked = {"asked": paths, **more, "points": points, "seed": seed, "failed": outcome.failures}
    about = {
        "what": "a cell of elastic blocks and cracks under macro-separations (femnn.multiscale.rve), one row a path",
        "units": "those of the law of the cracks; components (normal, shear, "
        f"{'0' if cell.shears == 1 else 'second shear'}), tension positive",
        "law": cracks.name,
        "cell": asdict(cell),
        "working_range": asdict(working),
        "paths": asked,
        **({"seeds": [pattern.seed for pattern in cells]} if samples > 1 else {}),
        "command": _command(law, cracks, cell, **drawn, reach=reach, samples=samples, each=each, cycles=cycles),
    }
    responses = [outcome.load(key) for key in outcome.results]
    labels: list[dict[str, int | str]] = []
    for key, arrays in zip(outcome.results, responses, strict=True):
        words = {name: str(arrays.pop(name)) for name in ("control", "kind")}
        number, sample = rows[key]
        labels.append({**words, "seed": cells[sample].seed, "path": number})
    data = PathDataSet.of(responses, labels, about)
    data.about["checks"] = {
        "largest gap of Hill and Mandel": float(data.hill_mandel.max()),
        "share of crack points out of the trained range": float(data.outside.mean()),
        "Newton iterations a step": float(data.iterations.mean()),
        "steps that were cut": int((data.cuts > 0).sum()),
        **_scatter(data, working.pressure),
    }
    return PathDataSet.load(data.save(Path(folder) / "rve-paths.npz")), outcome.failures


def _rows(paths, samples, each):
    """Path and sample by the key of each row, which the first sample has as if it were the only one.

    A process that goes through the rows makes each cell once.
    """
    chosen = [(number, (each * number + k) % samples) for number in range(paths) for k in range(each)]
    return {
        f"path{number:04d}" + (f"-sample{sample}" if sample else ""): (number, sample)
        for number, sample in sorted(chosen, key=lambda row: row[::-1])
    }


def _scatter(data, pressure):
    """Standard deviations between samples, root mean squares over the points of paths under pressure; empty of one."""
    ratio, opening = [], []
    for rows in data.repeated():
        if data.control[rows[0]] != "displacement":
            normal = np.maximum(-data.traction[rows, :, :1], _OPEN * pressure)
            ratio.append((data.traction[rows, :, 1:] / normal).var(axis=0, ddof=1).sum(axis=-1))
            opening.append(data.separation[rows, :, 0].var(axis=0, ddof=1))
    squares = {"ratio": ratio, "opening": opening}
    return {f"scatter between samples, {name}": float(np.sqrt(np.mean(each))) for name, each in squares.items() if each}


def _command(law, cracks, cell, **values):
    """The command that makes the data set again, where there is one."""
    values |= {"cell-seed": cell.seed, "size": cell.size, "young": cell.young}
    left_out = {"reach": None, "cell-seed": 0, "samples": 1, "each": values["samples"], "cycles": 0}
    if isinstance(cell, FaultCell3D):
        values |= {"slices": cell.slices}
        usual = FaultCell3D.around(cracks, count=cell.count)
    else:
        usual = FaultCell.around(cracks)
        left_out |= {"count": usual.count, "rows": usual.rows}
    values |= {"count": cell.count, "rows": cell.rows}
    left_out |= {"size": usual.size, "young": usual.young}
    if cell.filling != usual.filling:
        values["thickness"] = cell.filling.thickness / cracks.separation_scale
    options = [f"--{name} {value}" for name, value in values.items() if left_out.get(name, ()) != value]
    return " ".join([f"femnn simulate rve --law {law}", *options])


@lru_cache(maxsize=2)
def _workplace(law, cell):
    """The law, the cell and its permeability, made once in each process."""
    cracks = law_named(law)
    rve = cell.rve(cracks)
    return cracks, rve, CellPermeability(rve, cell.filling, cell.matrix)
