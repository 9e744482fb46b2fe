"""Porous bodies with known answers."""

import numpy as np
import skfem

from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, PorousProblem

LENGTH, LOAD = 10.0, 1e6


def single(**changed):
    """A sandstone of one pore system."""
    given = {"young": 1e9, "poisson": 0.2, "permeability": 1e-14, "porosity": 0.2, "grain_bulk": 30e9}
    return PorousMedium(**{**given, **changed})


def dual(**changed):
    """The same with fissures: permeable macropores of a third of the pore space."""
    given = {
        "young": 1e9,
        "poisson": 0.2,
        "permeability": 1e-14,
        "porosity": 0.2,
        "grain_bulk": 30e9,
        "macro_fraction": 0.3,
        "micro_permeability": 1e-16,
        "exchange": 1e-16,
    }
    return DualPorousMedium(**{**given, **changed})


def line(n, grading=1.0):
    """n intervals of the depth, finer towards the top."""
    return LENGTH * (1.0 - np.linspace(1.0, 0.0, n + 1) ** grading)


def sides(mesh):
    """The mesh with its sides named, exactly: scikit-fem's with_defaults takes in the ends of short facets around."""
    (left, bottom), (right, top) = mesh.p.min(axis=1), mesh.p.max(axis=1)
    return mesh.with_boundaries(
        {
            "left": lambda x: x[0] == left,
            "right": lambda x: x[0] == right,
            "bottom": lambda x: x[1] == bottom,
            "top": lambda x: x[1] == top,
        }
    )


def column(medium, n=20, theta=1.0, grading=1.0, **changed):
    """A column under pressure on its drained top, in plane strain."""
    mesh = sides(skfem.MeshQuad.init_tensor(np.array([0.0, 1.0]), line(n, grading)))
    given = {
        "displacement": {"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)},
        "traction": {"top": (0.0, -LOAD)},
        "pressure": {"top": 0.0},
    }
    return PorousProblem(mesh, medium, Conditions(**{**given, **changed}), theta=theta)


def slab(medium, n=20, a=10.0, b=2.0, pressure=LOAD):
    """A quarter of Mandel's slab."""
    x = a * (1.0 - np.linspace(1.0, 0.0, n + 1) ** 1.5)
    mesh = sides(skfem.MeshQuad.init_tensor(x, np.linspace(0.0, b, 3)))
    conditions = Conditions(
        displacement={"left": (0.0, None), "bottom": (None, 0.0)},
        rigid={"top": 1},
        traction={"top": (0.0, -pressure)},
        pressure={"right": 0.0},
    )
    return PorousProblem(mesh, medium, conditions)


def depth(problem):
    """Depth of each pressure below the top of a column."""
    return LENGTH - problem.pressure_basis.doflocs[1]


def top(problem, state):
    """Displacement of the top of a column."""
    return state.u[problem.displacement_basis.get_dofs("top").all(["u^2"])]


class Manufactured:
    """u = amplitudes · φ t and p = pressures · φ t with φ = sin πx sin πy on the unit square, and what they need."""

    def __init__(self, medium):
        self.medium, self.amplitudes = medium, np.array([1e-3, -2e-3])
        self.given = medium.constants(1, 2)
        self.pressures = np.array([1e6, -0.7e6])[: len(self.given.biot)]

    def displacement(self, x, t):
        return self.amplitudes[:, None, None] * self._phi(x) * t

    def pressure(self, x, t):
        return self.pressures[:, None, None] * self._phi(x) * t

    @staticmethod
    def _phi(x):
        return np.sin(np.pi * x[0]) * np.sin(np.pi * x[1])

    @staticmethod
    def _slope(x):
        return np.pi * np.array([
            np.cos(np.pi * x[0]) * np.sin(np.pi * x[1]),
            np.sin(np.pi * x[0]) * np.cos(np.pi * x[1]),
        ])  # fmt: skip

    def body_force(self, x, t):
        lmbda, mu, a = self.given.lmbda[0], self.given.mu[0], self.amplitudes
        mixed = np.cos(np.pi * x[0]) * np.cos(np.pi * x[1])
        of_strain = np.array([
            -2.0 * mu * a[i] * self._phi(x) + (lmbda + mu) * (a[1 - i] * mixed - a[i] * self._phi(x))
            for i in range(2)
        ])  # fmt: skip
        return t * (-(np.pi**2) * of_strain + self.given.biot[:, 0] @ self.pressures * self._slope(x))

    def source(self, system, x, t):
        given = self.given
        stored = given.biot[system, 0] * np.tensordot(self.amplitudes, self._slope(x), 1)
        stored += given.storage[system, :, 0] @ self.pressures * self._phi(x)
        flow = 2.0 * np.pi**2 * given.mobility[system, 0, 0, 0] * self.pressures[system]
        leaves = self.pressures[system] - self.pressures[1 - system] if len(self.pressures) == 2 else 0.0
        return stored + t * (flow + given.exchange[0] * leaves) * self._phi(x)

    def problem(self, n):
        """The problem on a mesh of n×n quadrilaterals that are no parallelograms."""
        mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 2)
        bent = np.array([np.sin(2.0 * np.pi * mesh.p[1]), np.sin(2.0 * np.pi * mesh.p[0])]) * self._phi(mesh.p)
        mesh = skfem.MeshQuad(mesh.p + 0.08 * bent, mesh.t).with_boundaries({"around": lambda x: x[0] == x[0]})
        systems = range(len(self.pressures))
        conditions = Conditions(
            displacement={"around": (0.0, 0.0)},
            pressure={"around": 0.0},
            body_force=[lambda x, t, i=i: self.body_force(x, t)[i] for i in range(2)],
            source=[lambda x, t, i=i: self.source(i, x, t) for i in systems],
        )
        return PorousProblem(mesh, self.medium, conditions)

    def errors(self, problem, state):
        """Errors of u in L2 and H1 and of the pressures in L2, each over the size of what it should be."""
        u, p = problem.displacement_basis, problem.pressure_basis
        x, t = np.asarray(u.global_coordinates()), state.t
        found = u.interpolate(state.u)
        slope = t * self.amplitudes[:, None, None, None] * self._slope(x)
        pressures = np.array([p.interpolate(own) for own in state.p])
        pairs = (
            (np.asarray(found), self.displacement(x, t)),
            (found.grad, slope),
            (pressures, self.pressure(x, t)),
        )
        return [np.sqrt(((a - b) ** 2 * u.dx).sum() / (b**2 * u.dx).sum()) for a, b in pairs]
