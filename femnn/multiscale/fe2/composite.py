"""A composite by a few numbers, so that workers can make its cell, and data of many paths of its reduced cell."""

import os
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from femnn.checks import checked, integer, number
from femnn.cohesive.classical import BilinearCohesive
from femnn.io.weight_files import load_weights
from femnn.multiscale.fe2.cell import PeriodicCell
from femnn.multiscale.fe2.law import driven, follow
from femnn.multiscale.fe2.paths import draw_strain_paths
from femnn.multiscale.fe2.periodicity import cell_with_inclusions
from femnn.multiscale.fe2.reduced_cell import KIND, ReducedCellLaw
from femnn.solids.plasticity import J2
from femnn.tasks.run import run_tasks, task_name

# Number of the simulation in fingerprints of results.
_VERSION = "1"

# Paths of one task: cells side by side share the work of a call.
_TOGETHER = 25


@dataclass(frozen=True)
class Composite:
    """A ductile matrix with one stiff ball in a cube, which may come off; the response has cubic symmetry.

    Parameters
    ----------
    cells
        Hexahedra along an edge.
    radius
        Of the ball, over the edge.
    young, poisson, strength, hardening
        Of the matrix: Young's modulus (Pa), Poisson's ratio, yield stress and slope of isotropic hardening (Pa).
    inclusion
        Young's modulus of the ball (Pa), whose Poisson's ratio is that of the matrix.
    bond
        Strength of the interface in opening (Pa), a quarter more in shear; 0 for a perfect bond.
    toughness
        Of the interface in opening (J/m² for an edge of 1 m), half as much again in shear.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> Composite(cells=4).cell()
    PeriodicCell(64 hexahedra, 192 fluctuations)
    """

    cells: int = 6
    radius: float = 0.35
    young: float = 3e9
    poisson: float = 0.3
    strength: float = 30e6
    hardening: float = 150e6
    inclusion: float = 70e9
    bond: float = 0.0
    toughness: float = 4e5

    def __post_init__(self) -> None:
        integer("cells", self.cells, 2)
        for name in ("radius", "young", "strength", "inclusion", "toughness"):
            number(name, getattr(self, name), "(0, inf)")
        number("poisson", self.poisson, "(-1, 0.5)")
        for name in ("hardening", "bond"):
            number(name, getattr(self, name), "[0, inf)")

    def cell(self) -> PeriodicCell:
        """The cell of these numbers."""
        mesh = cell_with_inclusions(self.cells, radius=self.radius)
        ball = mesh.subdomains["inclusion"]
        young, strength = np.full(mesh.nelements, self.young), np.full(mesh.nelements, self.strength)
        # a ball that never yields
        young[ball], strength[ball] = self.inclusion, 1e6 * self.strength
        law = J2(young, self.poisson, strength, isotropic=self.hardening)
        if not self.bond:
            return PeriodicCell(mesh, law)
        interface = BilinearCohesive(
            self.bond, 1.25 * self.bond, self.toughness, 1.5 * self.toughness, stiffness=10.0 * self.young
        )
        return PeriodicCell(mesh, law, facets="interface", cohesive=interface)


@task_name("femnn.multiscale.fe2.simulate_reduced")
@checked(first="[0, inf)", count="[1, inf)", steps="[1, inf)", amplitude="(0, inf)", seed="[0, inf)")
def simulate_reduced(
    composite: Composite, law: str, sha256: str, first: int, count: int, steps: int, amplitude: float, seed: int
) -> dict[str, np.ndarray]:
    """Strains and stresses (count, steps, 6) of the reduced cell in a file along drawn paths, from number ``first`` on.

    ``sha256`` is that of the file ``law``, so that results are those of this one.

    Examples
    --------
    >>> import hashlib
    >>> from femnn.multiscale.fe2 import Composite, ReducedCellLaw, draw_strain_paths, simulate_reduced
    >>> composite = Composite(cells=3)
    >>> paths = draw_strain_paths(2, steps=8)
    >>> law = ReducedCellLaw.fit(composite.cell(), paths, modes=8, tol=1e-2, on_outside="ignore", progress=False)
    >>> file = law.save("cell")
    >>> sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    >>> sorted(simulate_reduced(composite, str(file), sha256, first=0, count=1, steps=4, amplitude=0.03, seed=0))
    ['strain', 'stress']
    """
    paths = draw_strain_paths(first + count, steps, amplitude, seed=seed)[first:]
    return {"strain": paths, "stress": follow(_loaded(composite, law, sha256), paths, progress=False)}


@checked(paths="[1, inf)", steps="[1, inf)", amplitude="(0, inf)", seed="[0, inf)")
def simulate_reduced_paths(
    composite: Composite,
    law: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    paths: int = 200,
    steps: int = 40,
    amplitude: float = 0.03,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Strains and stresses (paths, steps, 6) of a reduced cell along drawn paths, spread over processes and resumed.

    Parameters
    ----------
    composite, law
        What the cell is made of, and the file that :meth:`ReducedCellLaw.save` wrote for it.
    folder
        Where results are kept; tasks that are there are not run again.
    paths, steps, amplitude, seed
        See :func:`femnn.multiscale.fe2.draw_strain_paths`.
    workers, progress
        See :func:`femnn.tasks.run_tasks`.

    Raises
    ------
    TaskError
        If paths have no response.

    Examples
    --------
    >>> from femnn.multiscale.fe2 import Composite, ReducedCellLaw, draw_strain_paths, simulate_reduced_paths
    >>> composite = Composite(cells=3)
    >>> paths = draw_strain_paths(2, steps=8)
    >>> law = ReducedCellLaw.fit(composite.cell(), paths, modes=8, tol=1e-2, on_outside="ignore", progress=False)
    >>> file = law.save("reduced")
    >>> options = {"paths": 2, "steps": 4, "workers": 0, "progress": False}
    >>> strains, stresses = simulate_reduced_paths(composite, file, "driven", **options)
    >>> strains.shape, stresses.shape
    ((2, 4, 6), (2, 4, 6))
    """
    sha256 = load_weights(law, KIND)[1]["sha256"]
    shared = {"composite": composite, "law": str(law), "sha256": sha256}
    shared |= {"steps": steps, "amplitude": amplitude, "seed": seed}
    tasks = {
        f"paths{first:06d}": {**shared, "first": first, "count": min(_TOGETHER, paths - first)}
        for first in range(0, paths, _TOGETHER)
    }
    outcome = run_tasks(
        simulate_reduced, tasks, folder, workers=workers, version=_VERSION, progress=progress
    ).require_all()
    parts = [outcome.load(key) for key in outcome.results]
    return np.concatenate([part["strain"] for part in parts]), np.concatenate([part["stress"] for part in parts])


@task_name("femnn.multiscale.fe2.simulate_cell")
@checked(path="[0, inf)", steps="[1, inf)", amplitude="(0, inf)", finer="[1, inf)", seed="[0, inf)")
def simulate_cell(
    composite: Composite, path: int, steps: int, amplitude: float, finer: int, seed: int
) -> dict[str, np.ndarray]:
    """Strains and stresses (finer · steps, 6) of the full cell along a drawn path, and the seconds of the processor.

    The tangent is left out, which a path of strains does not need.

    Examples
    --------
    >>> from femnn.multiscale.fe2 import Composite, simulate_cell
    >>> sorted(simulate_cell(Composite(cells=3), path=0, steps=4, amplitude=0.03, finer=1, seed=1))
    ['seconds', 'strain', 'stress']
    """
    strains = draw_strain_paths(path + 1, finer * steps, amplitude, seed=seed)[path]
    cell = _cell(composite)
    started = time.process_time()
    stresses = np.stack([stress for stress, _ in driven(cell, strains)])
    return {"strain": strains, "stress": stresses, "seconds": np.array(time.process_time() - started)}


@checked(paths="[1, inf)", steps="[1, inf)", amplitude="(0, inf)", finer="[1, inf)", seed="[0, inf)")
def simulate_cell_paths(
    composite: Composite,
    folder: str | os.PathLike,
    *,
    paths: int = 20,
    steps: int = 40,
    amplitude: float = 0.03,
    finer: int = 1,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Strains and stresses (paths, finer · steps, 6) of the full cell along drawn paths, and seconds of a step.

    Every path is a task of its own, so that a run of hours is spread over processes and goes on where it stopped.

    Parameters
    ----------
    composite
        What the cell is made of.
    folder
        Where results are kept; tasks that are there are not run again.
    paths, steps, amplitude, seed
        See :func:`femnn.multiscale.fe2.draw_strain_paths`.
    finer
        How many times the steps, along the same lines.
    workers, progress
        See :func:`femnn.tasks.run_tasks`.

    Raises
    ------
    TaskError
        If paths have no response.

    Examples
    --------
    >>> from femnn.multiscale.fe2 import Composite, simulate_cell_paths
    >>> options = {"paths": 2, "steps": 4, "workers": 0, "progress": False}
    >>> strains, stresses, seconds = simulate_cell_paths(Composite(cells=3), "full", **options)
    >>> strains.shape, stresses.shape, seconds > 0.0
    ((2, 4, 6), (2, 4, 6), True)
    """
    shared = {"composite": composite, "steps": steps, "amplitude": amplitude, "finer": finer, "seed": seed}
    tasks = {f"path{path:06d}": {**shared, "path": path} for path in range(paths)}
    outcome = run_tasks(
        simulate_cell, tasks, folder, workers=workers, version=_VERSION, progress=progress
    ).require_all()
    parts = [outcome.load(key) for key in outcome.results]
    strains, stresses = (np.stack([part[name] for part in parts]) for name in ("strain", "stress"))
    return strains, stresses, sum(float(part["seconds"]) for part in parts) / (paths * finer * steps)


@lru_cache(maxsize=2)
def _cell(composite):
    """The cell of a composite, made once in each process."""
    return composite.cell()


@lru_cache(maxsize=2)
def _loaded(composite, law, sha256):  # the hash tells files of one name apart
    """The reduced cell of a file, made once in each process."""
    return ReducedCellLaw.load(law, _cell(composite), on_outside="ignore")
