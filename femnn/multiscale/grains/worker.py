"""The process that runs LAMMPS on one job: ``python -m femnn.multiscale.grains.worker FOLDER``.

FOLDER holds ``job.json`` and, to shear a layer, ``path.npz``; it gets the files of a prepared sample, or
``result.npz``. A process of its own keeps LAMMPS (GPL-2) and its MPI out of the user's, and nothing but one job is lost
when it dies.
"""

import sys
from pathlib import Path

import numpy as np

from femnn.multiscale.grains import measures
from femnn.multiscale.grains.lammps import AXES, FREE, TOP, Drive, Simulation
from femnn.multiscale.grains.sample import guarded, prepare, read_facts

# A point of a path takes this many runs of LAMMPS; the last ones are averaged.
RUNS, AVERAGED = 5, 3
# Time steps of a run at least: waves cross the layer several times at every point.
_LEAST_STEPS = 45
# Time steps of a run under commanded tractions, which prescribe no pace: a few relaxation times of the driver.
_LOADING_STEPS = 45


def shear(layer, folder, sample):
    """Drive a prepared layer along ``path.npz`` and write ``result.npz``."""
    facts, path = read_facts(sample), guarded(folder / "path.npz").arrays()
    simulation = Simulation(layer)
    simulation.resume(sample / "sample.restart")
    drive = Drive(simulation, facts)
    steps = _steps_per_run(layer, path)
    meter = Meter(simulation, facts, steps)
    simulation.check_held(facts)
    points = [meter.point(np.zeros(2))]
    for increment, loads, shears in zip(*_commands(path), strict=True):
        velocity = increment / (RUNS * steps * layer["time_step"])
        points.append(meter.point(velocity[1:], _driver(drive, path, velocity, loads, shears, facts)))
    record = {name: np.array([point[name] for point in points]) for name in points[0]}
    np.savez(folder / "result.npz", **record)


def _commands(path):
    """Increments of the separation (k - 1, 3); pressures and shear tractions at the ends of the runs of each."""
    load, fraction = path["load"], np.arange(1, RUNS + 1) / RUNS
    loads = load[:-1, None] + fraction * np.diff(load)[:, None]
    shear = path.get("shear", np.zeros((len(load), 2)))
    shears = shear[:-1, None] + fraction[:, None] * np.diff(shear, axis=0)[:, None]
    return np.diff(path["separation"], axis=0), loads, shears


def _steps_per_run(layer, path):
    """Time steps: the same for all points, so that the longest increment is not faster than the speed."""
    increment = np.diff(path["separation"], axis=0)
    if str(path["control"]) != "displacement":
        increment[:, 0] = 0.0
    if str(path["control"]) == "traction":
        return _LOADING_STEPS
    longest = np.linalg.norm(increment, axis=1).max()
    return max(_LEAST_STEPS, int(np.ceil(longest / (layer["speed"] * layer["time_step"] * RUNS))))


def _driver(drive, path, velocity, loads, shears, facts):
    """Function to call before each run of a point."""

    def before(number):
        for axis, speed, traction in zip("xy", velocity[1:], shears[number], strict=True):
            if str(path["control"]) == "traction":
                # the top pushes the grains along, they push it back
                drive.load(axis, -float(traction), limited=True)
            else:
                drive.move(axis, float(speed))
        if str(path["control"]) == "displacement":
            drive.move("z", float(velocity[0]))
        else:
            drive.load("z", float(loads[number]), float(path["stiffness"]), facts["place"][2])

    return before


class Meter:
    """Measures a layer while it is sheared."""

    def __init__(self, simulation, facts, steps) -> None:
        self._simulation, self._facts, self._steps = simulation, facts, steps
        simulation.average(steps)
        self._radius, self._free = simulation.per_grain("radius"), simulation.per_grain("type") == FREE
        self._diameter = measures.surface_diameter(2.0 * self._radius)
        self._start, self._first = np.array(facts["place"]), True
        self._lift = facts["top"] - self._height_of_top()

    def point(self, velocity, before=lambda number: None):
        """Go through the runs of a point, and return the means over the last ones, by name."""
        means = []
        for number in range(RUNS):
            before(number)
            self._simulation.run_all(f"run {self._steps} pre {'yes' if self._first else 'no'} post no")
            self._first = False
            if number >= RUNS - AVERAGED:
                means.append(self._measure())
        mean = {name: np.mean([values[name] for values in means], axis=0) for name in means[0]}
        thickness = mean.pop("thickness")
        top, bottom = mean.pop("top"), mean.pop("bottom")
        mean["traction"] = (top + bottom) / 2.0
        mean["mismatch"] = measures.mismatch(mean["traction"], top) * 2.0
        rate = np.linalg.norm(velocity) / thickness
        mean["inertial"] = measures.inertial_number(rate, -mean["traction"][0])
        return mean

    def _measure(self):
        values = self._simulation.averages()
        area, bottom = self._facts["area"], self._facts["bottom"]
        height, contacts = self._simulation.per_grain("x")[:, 2], self._simulation.contacts()
        top = self._lift + self._height_of_top()
        porosity = measures.porosity(height, self._radius, bottom, top, area)
        return {
            "separation": (values[2] - self._start)[AXES],
            "top": -values[0][AXES] / area,
            "bottom": values[1][AXES] / area,
            "love_weber": measures.love_weber(contacts, height, bottom, top, area)[:, 0],
            "porosity": porosity,
            "permeability": measures.kozeny_carman(porosity, self._diameter),
            "coordination": measures.coordination_number(contacts, self._free),
            "fabric": measures.fabric_tensor(contacts),
            "unbalanced": self._unbalanced(contacts),
            "thickness": top - bottom,
        }

    def _height_of_top(self):
        return self._simulation.per_grain("x")[self._simulation.per_grain("type") == TOP, 2].mean()

    def _unbalanced(self, contacts):
        """Mean resultant force on a free grain over the mean contact force."""
        resultant = np.linalg.norm(self._simulation.per_grain("f")[self._free], axis=1).mean()
        return resultant / max(np.linalg.norm(contacts.force, axis=1).mean(), 1e-12) if len(contacts.force) else 0.0


def main(folder):
    """Do the job in a folder."""
    job = guarded(folder / "job.json").json()
    if job["sample"] is None:
        prepare(job["layer"], folder)
    else:
        shear(job["layer"], folder, Path(job["sample"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
