"""A perforated plate whose material is a cell: what laws of it cost, and how far they are from each other."""

import hashlib
import os
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import skfem

from femnn.checks import checked, integer, number
from femnn.exceptions import ParameterError, WeightFileError
from femnn.io.atomic import atomic_write
from femnn.multiscale.fe2.cell import PeriodicCell
from femnn.multiscale.fe2.composite import Composite, simulate_cell_paths, simulate_reduced_paths
from femnn.multiscale.fe2.gated import GatedLaw
from femnn.multiscale.fe2.law import CellLaw, driven, follow
from femnn.multiscale.fe2.paths import draw_strain_paths
from femnn.multiscale.fe2.recurrent import RecurrentLaw
from femnn.multiscale.fe2.reduced_cell import ReducedCellLaw, record_cell
from femnn.networks.options import TrainingOptions
from femnn.quadrature.gauss import GaussLegendre
from femnn.solids.solid import Solid
from femnn.solvers.nonlinear.load_path import LoadPath
from femnn.solvers.nonlinear.newton import newton


class PerforatedPlate:
    """A quarter of a square plate with a round hole, one element thick, pulled along y.

    Parameters
    ----------
    around, outwards
        Elements along the quarter of the hole, an even number, and from it to the edge.

    Attributes
    ----------
    mesh : skfem.MeshHex
        Half edge 1, radius of the hole 0.4, thickness 0.2.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import PerforatedPlate
    >>> path, forces = PerforatedPlate().stretch(femnn.LinearElastic(3e9, 0.3), by=0.01, steps=1, progress=False)
    >>> bool(forces[-1] > 0.0)
    True
    """

    @checked(around="[2, inf)", outwards="[1, inf)")
    def __init__(self, around: int = 4, outwards: int = 2) -> None:
        around += around % 2
        angles, shares = np.linspace(0.0, 0.5 * np.pi, around + 1), np.linspace(0.0, 1.0, outwards + 1)
        grid = skfem.MeshHex.init_tensor(shares, angles, np.array([0.0, 0.2]))
        share, angle, z = grid.p
        hole = 0.4 * np.stack([np.cos(angle), np.sin(angle)])
        edge = np.stack([np.cos(angle), np.sin(angle)]) / np.maximum(np.cos(angle), np.sin(angle))
        plane = (1.0 - share) * hole + share * edge
        self.mesh = skfem.MeshHex(np.concatenate([plane, z[None]]), grid.t)

    @checked(by="(-inf, inf)", steps="[1, inf)")
    def stretch(
        self, law: Any, *, by: float = 0.01, steps: int = 5, progress: bool = True
    ) -> tuple[LoadPath, np.ndarray]:
        """The path of the plate as its upper edge is moved ``by``, and the force on it after each step."""
        solid, p = Solid(self.mesh, GaussLegendre(2), law), self.mesh.p
        sides = [3 * np.flatnonzero(np.abs(p[k]) < 1e-9) + k for k in range(3)]
        upper = 3 * np.flatnonzero(np.abs(p[1] - 1.0) < 1e-9) + 1
        fixed = np.unique(np.concatenate([*sides, upper]))
        values = np.zeros(solid.n_dofs)
        values[upper] = by
        forces: list[float] = []

        def keep(step: Any) -> None:
            forces.append(float(solid.internal_force(step.u)[upper].sum()))
            solid.rollback()

        path = newton(
            solid,
            np.zeros(solid.n_dofs),
            fixed,
            values[fixed],
            steps=steps,
            rtol=1e-6,
            callback=keep,
            progress=progress,
        )
        return path, np.array(forces)


@dataclass(frozen=True)
class Sizes:
    """What a study takes of everything: training paths, modes, tolerance; data and epochs of the recurrent law.

    Attributes
    ----------
    training, images, steps, modes, tol
        Paths of the full cell, their images that modes are learned from, and their steps; modes and tolerance of the
        reduced cell.
    data, units, openings, width, epochs
        Paths of the reduced cell; units of the recurrent law that yield and that open, cells of the LSTM and GRU, and
        epochs of their training.
    amplitude
        Largest equivalent strain of all paths.

    Examples
    --------
    >>> from femnn.validation import Sizes
    >>> sizes = Sizes(training=2, steps=8, modes=6, data=10, epochs=2)
    >>> sizes.modes, sizes.amplitude
    (6, 0.03)
    """

    training: int = 8
    steps: int = 40
    modes: int = 30
    tol: float = 5e-3
    data: int = 200
    units: int = 8
    openings: int = 0
    width: int = 32
    epochs: int = 60
    amplitude: float = 0.03
    images: int = 1

    def __post_init__(self) -> None:
        for name in ("training", "images", "steps", "modes", "data", "units", "width", "epochs"):
            integer(name, getattr(self, name), 1)
        integer("openings", self.openings, 0)
        number("tol", self.tol, "(0, 1)")
        number("amplitude", self.amplitude, "(0, inf)")


class TwoScales:
    """The three laws of one composite: full, reduced and recurrent, each made when it is first asked for.

    Parameters
    ----------
    composite, sizes
    folder
        Where snapshots, data and laws are kept; what is there is used again.
    workers
        Of the simulation of data; 0 for this process.
    progress
        Show bars, if stderr is a terminal.

    Examples
    --------
    >>> from femnn.multiscale.fe2 import Composite
    >>> from femnn.validation import Sizes, TwoScales
    >>> studied = TwoScales(Composite(cells=3), Sizes(training=2, steps=8, modes=8, tol=1e-2), "study", progress=False)
    >>> law = studied.reduced()
    >>> studied.unseen(2).shape
    (2, 8, 6)
    """

    @checked(workers="unchecked")
    def __init__(
        self,
        composite: Composite,
        sizes: Sizes,
        folder: str | os.PathLike,
        *,
        workers: int | None = 0,
        progress: bool = True,
    ) -> None:
        self.composite, self.sizes, self.folder = composite, sizes, Path(folder)
        self.workers, self.progress = workers, progress
        self.cell: PeriodicCell = composite.cell()
        self.full = CellLaw(self.cell)
        #: Seconds of the processor that each of the steps took.
        self.seconds: dict[str, float] = {}

    def reduced(self) -> ReducedCellLaw:
        """The hyper-reduced cell, trained on paths of seed 0."""
        sizes = self.sizes
        paths = draw_strain_paths(sizes.training, sizes.steps, sizes.amplitude)
        name = _digest(self.composite, sizes.training, sizes.steps, sizes.amplitude)
        kept = self._kept(paths)
        if kept is not None:
            return kept
        snapshots = self._timed("snapshots", record_cell, self.cell, paths, self.folder / f"snapshots-{name}")
        law = self._timed(
            "reduced", ReducedCellLaw.fit, self.cell, paths, modes=sizes.modes, images=sizes.images,
            tol=sizes.tol, snapshots=snapshots, on_unmet="warn", on_outside="ignore",
        )  # fmt: skip
        law.save(self.folder / "reduced-cell")
        return law

    def _kept(self, paths):
        """The reduced cell of an earlier run along these paths, or None."""
        sizes = self.sizes
        try:
            law = ReducedCellLaw.load(self.folder / "reduced-cell", self.cell, on_outside="ignore")
        except (WeightFileError, ParameterError):
            return None
        strains = hashlib.sha256(paths.tobytes()).hexdigest()
        known = {"strains": strains, "images": sizes.images, "modes": sizes.modes, "tol": sizes.tol}
        return law if all(law.report.get(name) == value for name, value in known.items()) else None

    def recurrent(self) -> RecurrentLaw:
        """The recurrent law, trained on the paths of :meth:`data`."""
        # it loads torch
        from femnn.multiscale.fe2.fit_recurrent import fit_recurrent_law

        sizes = self.sizes
        options = TrainingOptions(learning_rate=2e-2, batch_size=16, epochs=sizes.epochs, gradient_clip=1.0, threads=1)
        law = self._trained("recurrent", fit_recurrent_law, options=options, units=sizes.units, openings=sizes.openings)
        law.on_outside = "ignore"
        return law

    @checked(epochs="[1, inf)")
    def gated(self, kind: str, epochs: int | None = None) -> GatedLaw:
        """A law of LSTM or GRU cells, trained on the paths of :meth:`data`, for the epochs of the others if None."""
        # it loads torch
        from femnn.multiscale.fe2.fit_gated import fit_gated_law

        options = TrainingOptions(
            learning_rate=1e-2, batch_size=16, epochs=epochs or self.sizes.epochs, gradient_clip=1.0, threads=1
        )
        return self._trained(kind, fit_gated_law, options=options, kind=kind, width=self.sizes.width)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Strains and stresses (n, steps, 6) of paths of seed 2 that the reduced cell in the folder is driven along."""
        sizes = self.sizes
        made_of = (
            self.composite, sizes.training, sizes.images, sizes.modes, sizes.tol, sizes.data, sizes.steps,
            sizes.amplitude,
        )  # fmt: skip
        return self._timed(
            "data", simulate_reduced_paths, self.composite, self.folder / "reduced-cell",
            self.folder / f"paths-{_digest(*made_of)}",
            paths=sizes.data, steps=sizes.steps, amplitude=1.2 * sizes.amplitude, seed=2, workers=self.workers,
        )  # fmt: skip

    @cached_property
    def _elastic(self):
        return self.cell.respond(np.zeros(6), self.cell.initial_state()).tangent

    def _trained(self, name, fit, **options):
        strains, stresses = self.data
        made_of = (name, self.sizes, options, strains.tobytes(), stresses.tobytes())
        checkpoint = self.folder / f"training-{_digest(*made_of)}"
        law, _ = self._timed(name, fit, strains, stresses, self._elastic, checkpoint=checkpoint, **options)
        law.save(self.folder / f"{name}-law")
        return law

    @checked(count="[1, inf)", finer="[1, inf)")
    def references(self, count: int, finer: int = 1) -> tuple[np.ndarray, np.ndarray, float]:
        """Strains and stresses of the full cell along the unseen paths, and seconds of the processor of a step."""
        sizes = self.sizes
        return simulate_cell_paths(
            self.composite,
            self.folder / f"unseen-{_digest(self.composite, sizes.steps, sizes.amplitude, finer)}",
            paths=count,
            steps=sizes.steps,
            amplitude=sizes.amplitude,
            finer=finer,
            seed=1,
            workers=self.workers,
            progress=self.progress,
        )

    @checked(count="[1, inf)", finer="[1, inf)")
    def unseen(self, count: int, finer: int = 1) -> np.ndarray:
        """Paths (count, steps, 6) that no training saw, with ``finer`` times the steps along the same lines."""
        return draw_strain_paths(count, finer * self.sizes.steps, self.sizes.amplitude, seed=1)

    @checked(across="[1, inf)")
    def plate(self, across: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Displacement (n,) and forces (steps,) of a plate of the full cell, and seconds of the processor; kept."""
        file = self.folder / f"plate-{_digest(self.composite, across)}.npz"
        if not file.exists():
            started = time.process_time()
            path, forces = PerforatedPlate(2 * across, across).stretch(self.full, progress=self.progress)
            seconds = time.process_time() - started
            with atomic_write(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, u=path.u, forces=forces, seconds=seconds)
        with np.load(file) as kept:
            return kept["u"], kept["forces"], float(kept["seconds"])

    def _timed(self, name, function, *arguments, **named):
        started = time.process_time()
        answer = function(*arguments, progress=self.progress, **named)
        self.seconds[name] = time.process_time() - started
        return answer


def _digest(*made_of):
    """A name for what was made of these."""
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]


@checked(found="n t 6", expected="n t 6")
def path_errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Error of the stress of each path, (n,): norm over its steps, relative to that of the expected stress.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import path_errors
    >>> expected = np.ones((2, 5, 6))
    >>> path_errors(expected * np.array([1.0, 1.02])[:, None, None], expected).round(12)
    array([0.  , 0.02])
    """
    return np.linalg.norm(found - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))


@checked(paths="any")
def timed_follow(law: Any, paths: np.ndarray) -> tuple[np.ndarray, float]:
    """Stresses along paths, and the seconds of the processor.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import draw_strain_paths
    >>> from femnn.validation import timed_follow
    >>> stresses, seconds = timed_follow(femnn.J2(3e9, 0.3, 60e6), draw_strain_paths(2, steps=5))
    >>> stresses.shape, seconds >= 0.0
    ((2, 5, 6), True)
    """
    started = time.process_time()
    stresses = follow(law, paths, progress=False)
    return stresses, time.process_time() - started


@checked(paths="n t 6")
def drive_cell(cell: PeriodicCell, paths: np.ndarray) -> tuple[np.ndarray, float]:
    """Stresses of a full cell along paths (n, steps, 6), without its tangents, and the seconds of the processor.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_with_inclusions, draw_strain_paths
    >>> from femnn.validation import drive_cell
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.LinearElastic(3e9, 0.3))
    >>> stresses, seconds = drive_cell(cell, draw_strain_paths(1, steps=3))
    >>> stresses.shape
    (1, 3, 6)
    """
    started = time.process_time()
    stresses = np.stack([[stress for stress, _ in driven(cell, path)] for path in paths])
    return stresses, time.process_time() - started
