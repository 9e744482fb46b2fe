"""Structures that the tests solve on ranks and on one, and how the results are compared."""

import numpy as np
import skfem

import femnn
from support.example_files import example

#: The same points for an element wherever it is: calibrated on the mesh, a part of it would be measured by itself.
RULE = femnn.AdaptiveGauss(1e-3, calibrate="families")
COHESIVE = femnn.BilinearCohesive(3e6, 3e6, 2000.0, 2000.0)


def steel():
    """J2 plasticity with hardening, compiled."""
    bracket = example("plastic_bracket")
    return bracket.steel(**bracket.STEEL)


class Damage(femnn.ConstitutiveLaw):
    """Elastic stiffness over 1 + κ/κ₀, κ the largest strain so far: remembers, and needs no compiling."""

    kinematics = "small"
    young, scale = 1e9, 5e-3

    def initial_state(self, n):
        return np.zeros((n, 1))

    def update(self, strain, state):
        size = np.linalg.norm(strain, axis=1)
        largest = np.maximum(state[:, 0], size)
        share = 1.0 / (1.0 + largest / self.scale)
        slope = np.where(size >= largest, share**2 / self.scale / np.maximum(size, 1e-300), 0.0)
        tangent = share[:, None, None] * np.eye(6) - slope[:, None, None] * strain[:, :, None] * strain[:, None, :]
        return self.young * share[:, None] * strain, self.young * tangent, largest[:, None]


def beam(n=(6, 3, 3), seed=0):
    """A beam 2 by 1 by 1 of moved vertices, those of its ends and of the plane x = 1 apart."""
    mesh = skfem.MeshHex.init_tensor(*(np.linspace(0.0, length, k + 1) for length, k in zip((2, 1, 1), n, strict=True)))
    inner = ~np.isin(mesh.p[0], (0.0, 1.0, 2.0))
    p = mesh.p.copy()
    p[:, inner] += np.random.default_rng(seed).uniform(-0.05, 0.05, size=(3, inner.sum()))
    mesh = skfem.MeshHex(p, mesh.t).with_boundaries({"held": lambda x: x[0] == 0.0, "pulled": lambda x: x[0] == 2.0})
    return mesh.with_boundaries({"cut": lambda x: x[0] == 1.0}, boundaries_only=False)


def pulled(mesh, far):
    """Degrees of freedom held at x = 0 and pulled along x at x = 2, and their values; for any part of the beam."""
    left, right = (3 * np.flatnonzero(mesh.p[0] == x) for x in (0.0, 2.0))
    fixed = np.concatenate([left, left + 1, left + 2, right])
    return fixed, np.concatenate([np.zeros(3 * len(left)), np.full(len(right), far)])


def cut_beam(mesh, interface):
    """A beam that is elastic but for the cohesive interface at x = 1; ``mesh`` may be a part of the split mesh."""
    elements = femnn.InterfaceElements(interface)
    return femnn.CohesiveProblem(femnn.assemble_elasticity(mesh, RULE, 30e9, 0.2), [(elements, COHESIVE)])


def difference(found, expected):
    """Largest difference, relative to the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()
