"""Preparation of a layer of grains in LAMMPS: pour, compress, clamp between two slabs, settle under the pressure."""

import json
from pathlib import Path

import numpy as np

from femnn.exceptions import DatasetError
from femnn.io.guarded import Contents, GuardedFile, sealed
from femnn.multiscale.grains.lammps import BOTTOM, FREE, HELD_ERROR, TOP, Drive, Simulation

#: Share of the volume that grains take when they are poured.
POURED = 0.56

# What a sample is compressed to: relative error of the pressure, and kinetic energy per grain.
_PRESSURE_ERROR, _STILL = 1e-3, 1e-7
_PATIENCE = 300


def prepare(layer, folder):
    """A layer under confining pressure between two rough slabs, at rest: ``sample.restart`` and ``sample.json``."""
    simulation = Simulation(layer)
    draws = np.random.default_rng(layer["seed"])
    diameters = draws.uniform(1.0, layer["diameter_ratio"], layer["grains"])
    diameters /= diameters.mean()
    _pour(simulation, draws, diameters)
    _compress(simulation)
    facts = _clamp(simulation)
    _settle(simulation, facts)
    # a restart file loses the springs of grains that have gone through a side of the box since neighbours were found
    simulation.run_all("run 0", "reset_timestep 0", f"write_restart {folder / 'sample.restart'}")
    grains = {"place": simulation.per_grain("x"), "radius": simulation.per_grain("radius")}
    np.savez_compressed(folder / "grains.npz", kind=simulation.per_grain("type"), **grains)
    write_facts(folder, facts)


def write_facts(folder: Path, facts: dict) -> None:
    """Write the facts of a sample, with the hashes of its other files."""
    files = {name: guarded(folder / name).sha256() for name in ("sample.restart", "grains.npz")}
    (folder / "sample.json").write_text(json.dumps(sealed({**facts, "files": files}), indent=1))


def read_facts(folder: Path) -> dict:
    """The facts of a sample; DatasetError unless its files are those that were prepared."""
    file = guarded(folder / "sample.json")
    facts = Contents(file, file.card())
    facts.number("area", above=0.0)
    facts.number("top", above=facts.number("bottom"))
    facts.numbers("place", 3)
    # earlier samples have no hashes
    hashes = facts.part("files") if "files" in facts.fields else Contents(file, {})
    for name in hashes.fields:
        if hashes.text(name) != guarded(folder / name).sha256():
            raise guarded(folder / name).refused("its sha256 is not the one in sample.json")
    return dict(facts.fields)


def guarded(path: Path) -> GuardedFile:
    """A file of a sample, to be read with checks."""
    return GuardedFile(path, DatasetError, "file of a sample", f"delete {path.parent} to prepare it again")


def _pour(simulation, draws, diameters):
    """Random points, pushed apart until overlaps are small."""
    n, run = len(diameters), simulation.run_all
    height = (np.pi / 6.0 * (diameters**3).sum() / POURED / simulation.layer["aspect"] ** 2) ** (1 / 3)
    width = simulation.layer["aspect"] * height
    run(f"region box block 0 {width} 0 {width} 0 {height}", "create_box 3 box")
    place = draws.uniform(size=(n, 3)) * [width, width, height]
    numbers = list(range(1, n + 1))
    simulation.lammps.create_atoms(n, numbers, [FREE] * n, place.ravel().tolist())
    run("set group all diameter 1 density 1")
    arrays = simulation.lammps.numpy
    order = arrays.extract_atom("id")[:n] - 1
    arrays.extract_atom("radius")[:n] = diameters[order] / 2.0
    arrays.extract_atom("rmass")[:n] = np.pi / 6.0 * diameters[order] ** 3
    run("pair_style soft 1.0", "pair_coeff * * 20", "minimize 1e-4 1e-4 300 1000")
    simulation.set_contacts(simulation.layer["preparation_friction"])
    run("fix move all nve/limit 0.02", "fix slow all viscous 0.5", "run 1500", "unfix move", "unfix slow")


def _compress(simulation):
    """Isotropic compression to the confining pressure."""
    run, get = simulation.run_all, simulation.lammps.get_thermo
    run(
        "fix move all nve/sphere",
        f"fix damp all damping/cundall {simulation.layer['damping']} {simulation.layer['damping']}",
        "compute virial all pressure NULL virial",
        "thermo_style custom step press ke",
        "thermo_modify press virial norm no",
        "thermo 500",
        f"fix servo all press/berendsen iso 1 1 1 modulus {simulation.layer['stiffness'] / 10}",
        "fix_modify servo press virial",
    )
    for _ in range(_PATIENCE):
        run("run 500")
        still = get("ke") < _STILL * simulation.layer["grains"]
        if still and abs(get("press") - 1.0) < _PRESSURE_ERROR:
            break
    else:
        raise RuntimeError(f"the grains do not come to rest: pressure {get('press')} instead of 1")
    run("unfix servo")


def _clamp(simulation):
    """Glue the grains at the bottom and at the top of the box together; the facts of the layer between them."""
    run, slab = simulation.run_all, simulation.layer["slab"]
    simulation.set_contacts(simulation.layer["friction"])
    run("run 0")
    low, high, *_ = simulation.lammps.extract_box()
    bottom, top = low[2] + slab, high[2] - slab
    run(
        f"region bottom block INF INF INF INF INF {bottom}",
        f"region top block INF INF INF INF {top} INF",
        f"set region bottom type {BOTTOM}",
        f"set region top type {TOP}",
        "run 0",  # change_box fails without
        "unfix move",
        "unfix damp",
        "change_box all boundary p p f",
        f"change_box all z final {low[2] - 1.0} {high[2] + 3.0}",
    )
    return {"area": (high[0] - low[0]) * (high[1] - low[1]), "bottom": bottom, "top": top}


def _settle(simulation, facts):
    """Let the layer come to rest under the confining pressure, without shear traction."""
    simulation.hold()
    simulation.run_all("run 0")
    start = simulation.place_of_top()
    drive = Drive(simulation, facts)
    for _ in range(_PATIENCE):
        for axis, load in zip("xyz", (0.0, 0.0, 1.0), strict=True):
            drive.load(axis, load)
        simulation.run_all("run 3000")
        for axis in "xyz":
            drive.move(axis, 0.0)
        simulation.run_all("run 2000")
        if simulation.unheld(facts) < HELD_ERROR:
            break
    simulation.check_held(facts)
    facts["place"] = simulation.place_of_top()
    facts["top"] += facts["place"][2] - start[2]
    simulation.run_all("unfix drive")
