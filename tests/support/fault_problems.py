"""Reservoirs with a fault for tests, and laws that answer what one can work out by hand."""

from dataclasses import replace

import numpy as np
import skfem

import femnn
from femnn.cohesive import Law
from femnn.exceptions import LawError
from femnn.reservoir import Conditions, Well
from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
from support.porous_problems import dual, sides, single

DAY = 86400.0


class Springs(Law):
    """Linear, precompressed: (−pressure, 0, 0) + stiffness · separation."""

    separation_scale = 1e-3

    def __init__(self, stiffness, pressure=0.0):
        self.stiffness, self.pressure = stiffness, pressure

    def __repr__(self):
        return f"Springs({self.stiffness!r}, {self.pressure!r})"

    def _virgin(self, n):
        return np.zeros((n, 0))

    def _update(self, separation, values):
        traction = self.stiffness * separation - self.pressure * np.eye(3)[0]
        return traction, np.tile(self.stiffness * np.eye(3), (len(separation), 1, 1)), values


class Brittle(Springs):
    """Has no answer to steps longer than ``most`` m."""

    def __init__(self, stiffness, most):
        super().__init__(stiffness)
        self.most = most

    def _virgin(self, n):
        return np.zeros((n, 3))

    def _update(self, separation, values):
        if np.abs(separation - values).max() > self.most:
            raise LawError(f"a step of {np.abs(separation - values).max():.3g} m is too long")
        return *super()._update(separation, values)[:2], separation.copy()


def rectangle(nx=6, ny=4, length=40.0, height=20.0, dip=0.0):
    """A mesh with a fault in the middle, its sides named; ``dip``: horizontal shift per height of the fault."""
    mesh = sides(
        skfem.MeshQuad.init_tensor(np.linspace(-length / 2, length / 2, nx + 1), np.linspace(0, height, ny + 1))
    )
    fault = np.flatnonzero(np.abs(mesh.p[0, mesh.facets]).max(axis=0) < 1e-9)
    p = mesh.p.copy()
    p[0] += dip * (p[1] - height / 2) * (1.0 - 2.0 * np.abs(p[0]) / length)
    return skfem.MeshQuad(p, mesh.t).with_boundaries({**mesh.boundaries, "fault": fault})


def conditions(**changed):
    """Held on smooth sides, drained on the right, fed on the left of the fault."""
    given = {
        "displacement": {"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)},
        "pressure": {"right": 0.0},
        "wells": [Well((-8.0, 9.0), (2e-6, None))],
    }
    return Conditions(**{**given, **changed})


SEALING = (ConstantCore(1e-18, 1.0), None)


def reservoir(law=None, cores=SEALING, medium=None, mesh=None, given=None, **changed):
    """A small reservoir with two pore systems and a fault."""
    law = Springs(1e10, 5e6) if law is None else law
    mesh = rectangle(dip=0.4) if mesh is None else mesh
    own = {name: changed.pop(name) for name in ("max_iterations", "on_outside", "on_fracture") if name in changed}
    fault = Fault(femnn.Interface.split(mesh, "fault"), law, cores, **changed)
    return FaultedReservoir(dual() if medium is None else medium, given or conditions(), fault, **own)


def damaged():
    """A law that rubs and softens, and the way to a state in which it has nearly done so."""
    law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5, stiffness=3e10)
    return law, np.array([[0.0, s, 0.0] for s in np.linspace(0.0, 0.018, 5)])


def blocks(law, side, pressure, **changed):
    """Two blocks, one upon the other, with 10 MPa and 3 MPa of shear on the fault between them.

    The pressure of ``side`` is the time in seconds, in Pa.
    """
    mesh = sides(skfem.MeshQuad.init_tensor(np.linspace(0.0, 4.0, 3), np.linspace(-1.0, 1.0, 3)))
    middle = mesh.p[:, mesh.facets].mean(axis=1)
    own = {"fault": middle[1] == 0.0, "foot": (middle[0] == 0.0) & (middle[1] < 0.0)}
    mesh = mesh.with_boundaries({**mesh.boundaries, **{name: np.flatnonzero(on) for name, on in own.items()}})
    interface = femnn.Interface.split(mesh, "fault")
    body = interface.mesh
    upper = body.t2f[:, body.p[1, body.t].mean(axis=0) > 0.0]
    parts = {"upper": np.unique(upper), "lower": np.setdiff1d(np.arange(body.nfacets), upper)}
    interface = replace(interface, mesh=body.with_boundaries({**body.boundaries, **parts}))
    given = Conditions(
        displacement={"bottom": (None, 0.0), "foot": (0.0, None)},
        pressure={name: (lambda x, t: t) if side in (name, "both") else 0.0 for name in parts},
    )
    # hardly swells
    medium = single(biot=0.011, porosity=0.01, grain_bulk=None)
    stress = np.array([[-10e6, 3e6], [3e6, -10e6]])
    return FaultedReservoir(medium, given, Fault(interface, law, stress=stress, pressure=pressure), **changed)
