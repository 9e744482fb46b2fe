"""A plane beam that swings: neo-Hookean, large rotations, hardly damped, in full and by reduced models.

Geometry, material, viscosity and initial velocity are those of MFEM's example 10, which libROM's example of nonlinear
elasticity reduces. Velocities are the harder part: waves run through the beam, which displacements hardly show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import skfem
from scipy.sparse import csr_array, eye_array, kron

from femnn.assembly.bases import bases
from femnn.assembly.forms import assemble_diffusion, assemble_mass
from femnn.checks import checked, instance, integer, number
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.rule import Rule
from femnn.reduced.cubature import EmpiricalCubature
from femnn.reduced.dense import solve_dense
from femnn.reduced.pod import POD
from femnn.reduced.problem import ReducedProblem
from femnn.reduced.snapshots import Snapshots
from femnn.solids.laws import PointLaw
from femnn.solids.solid import Solid
from femnn.solvers.linear.solver import solve
from femnn.solvers.nonlinear.second_order import SecondOrder
from femnn.solvers.nonlinear.time_march import march

_LENGTH, _SHEAR, _BULK = 8.0, 0.25, 5.0

#: Tolerance of Newton's method in a time step, full and reduced.
RTOL = 1e-10


def plane_neo_hooke(gradient, state, parameters, stress, tangent, new_state):  # type: ignore[no-untyped-def]
    """W = μ/2 (F:F/J - 2) + K/2 (J - 1)² of the plane part of F, for :class:`femnn.PointLaw`; parameters μ and K."""
    shear, bulk = parameters
    place, f, cofactor = np.array([0, 1, 3, 4]), np.empty(4), np.empty(4)
    for p in range(4):
        f[p] = gradient[place[p]] + (1.0 if p in (0, 3) else 0.0)
    cofactor[0], cofactor[1], cofactor[2], cofactor[3] = f[3], -f[2], -f[1], f[0]
    volume, square = f[0] * f[3] - f[1] * f[2], f[0] ** 2 + f[1] ** 2 + f[2] ** 2 + f[3] ** 2
    if volume <= 0.0:
        return
    stress[:] = 0.0
    # P = μ F/J + slope · cof F, and its derivative
    slope = bulk * (volume - 1.0) - 0.5 * shear * square / volume**2
    curvature = bulk + shear * square / volume**3
    for p in range(4):
        stress[place[p]] = shear * f[p] / volume + slope * cofactor[p]
        for q in range(4):
            mixed = -shear * (f[p] * cofactor[q] + cofactor[p] * f[q]) / volume**2
            tangent[place[p], place[q]] = curvature * cofactor[p] * cofactor[q] + mixed
        tangent[place[p], place[p]] += shear / volume
        # cof F is linear in F: each entry is one other, or less it
        tangent[place[p], place[3 - p]] += slope * (1.0 if p in (0, 3) else -1.0)


@dataclass(frozen=True, eq=False)
class Swing:
    """A run of a beam.

    Attributes
    ----------
    u, v : (steps + 1, k)
        Displacements and velocities, or their coefficients in a basis.
    iterations : int
        Of Newton's method, all together.

    Examples
    --------
    >>> from femnn.validation import DynamicBeam
    >>> swing = DynamicBeam((8, 1), steps=5).run(1.0)
    >>> swing.u.shape[0], swing.v.shape == swing.u.shape
    (6, True)
    """

    u: np.ndarray
    v: np.ndarray
    iterations: int

    def __repr__(self) -> str:
        return f"Swing({len(self.u) - 1} steps of {self.u.shape[1]} unknowns)"


@dataclass(frozen=True, eq=False)
class DynamicBeam:
    """A beam of 8 × 1, held at its left end, that is thrown upwards and swings back.

    Attributes
    ----------
    cells : tuple
        Quadrilaterals of second order along the beam and across.
    dt, steps
        Of the implicit steps.
    viscosity
        Of the velocities' gradients; the density is 1.
    average_points
        Of :class:`femnn.solvers.SecondOrder`: with 2, the default, full and reduced runs keep the energies that they
        integrate; 1 is the midpoint rule.

    Examples
    --------
    >>> beam = DynamicBeam((8, 1), steps=5)
    >>> swing = beam.run(1.0)
    >>> bool(beam.drift(swing.u, swing.v) < 1e-9)
    True
    """

    cells: tuple = (32, 4)
    dt: float = 0.01
    steps: int = 500
    viscosity: float = 1e-2
    average_points: int = 2

    def __post_init__(self) -> None:
        number("dt", self.dt, "(0, inf)")
        integer("steps", self.steps, at_least=1)
        number("viscosity", self.viscosity, "[0, inf)")
        integer("average_points", self.average_points, at_least=1)

    def __repr__(self) -> str:
        return f"DynamicBeam({'×'.join(map(str, self.cells))} quadrilaterals, {self.steps} steps)"

    @cached_property
    def mesh(self) -> skfem.MeshQuad:
        """The mesh, with the boundary ``held``."""
        axes = [np.linspace(0.0, side, n + 1) for side, n in zip((_LENGTH, 1.0), self.cells, strict=True)]
        return skfem.MeshQuad.init_tensor(*axes).with_boundaries({"held": lambda x: np.abs(x[0]) < 1e-9})

    @cached_property
    def solid(self) -> Solid:
        """The body, with 3×3 points."""
        law = PointLaw(plane_neo_hooke, (_SHEAR, _BULK), kinematics="finite")
        return Solid(self.mesh, GaussLegendre(3), law, element=skfem.ElementQuad2())

    @cached_property
    def held(self) -> np.ndarray:
        """Degrees of freedom that are held."""
        return self.solid.boundaries["held"]

    @cached_property
    def mass(self) -> csr_array:
        """Mass (n, n)."""
        return csr_array(assemble_mass(self.mesh, GaussLegendre(3), components=2, element=skfem.ElementQuad2()))

    @cached_property
    def damping(self) -> csr_array:
        """What multiplies velocities (n, n)."""
        one = assemble_diffusion(self.mesh, GaussLegendre(3), self.viscosity, element=skfem.ElementQuad2())
        return csr_array(kron(one, eye_array(2)))

    @checked(scale="(-inf, inf)")
    def thrown(self, scale: float) -> np.ndarray:
        """Initial velocity (n,), ``scale`` times that of MFEM's example 10."""
        nodes = np.empty((2, self.solid.n_dofs // 2))
        element = skfem.ElementQuad2()
        basis = skfem.CellBasis(self.mesh, element)
        nodes[:] = basis.doflocs
        x, factor = nodes[0], 0.1 / 64.0 * scale
        return factor * np.stack([-(x**2), x**2 * (_LENGTH - x)], axis=1).ravel()

    @checked(scale="(-inf, inf)")
    def run(self, scale: float, model: "SwingModel | None" = None) -> Swing:
        """All steps from the initial velocity, in full or by a reduced model, whose run is of coefficients."""
        velocity = self.thrown(scale)
        options: dict[str, Any] = {"rtol": RTOL, "average_points": self.average_points}
        if model is None:
            motion = SecondOrder(self.solid, self.mass, self.damping, fixed=self.held, solver=_solve, **options)
            start = motion.start(v=velocity)
        else:
            motion = SecondOrder(model.problem, model.mass, model.damping, solver=solve_dense, **options)
            start = motion.start(v=model.basis.project(velocity))
        kept = [start]
        march(motion.step, start, self.dt * np.arange(1, self.steps + 1), callback=kept.append, progress=False)
        return Swing(np.stack([state.u for state in kept]), np.stack([state.v for state in kept]), motion.iterations)

    @checked(swings="unchecked", modes="[1, inf)", tol="(0, 1)", every="[1, inf)")
    def reduce(self, swings: Sequence[Swing], modes: int, tol: float, every: int = 10) -> "SwingModel":
        """Modes of displacements and velocities, and points for the forces of every so many steps.

        Parameters
        ----------
        swings
            Full runs to learn from.
        modes, tol
            Of the basis, and of the cubature.
        every
            Steps between the states that the cubature learns from.
        """
        u, v = (np.concatenate([getattr(swing, name)[1:] for swing in swings]).T for name in "uv")
        # velocities have the size of displacements in the basis
        columns = np.concatenate([u, v * (np.linalg.norm(u) / np.linalg.norm(v))], axis=1)
        basis = POD.fit(columns, self.mass, modes=modes, fixed=self.held, method="randomised")
        snapshots = Snapshots(self.solid)
        for state in u.T[every - 1 :: every]:
            snapshots.append(state)
        options: dict[str, Any] = {"tol": tol, "measure": "force", "on_unmet": "warn", "progress": False}
        return SwingModel(self, basis, EmpiricalCubature.fit(self.solid, basis, snapshots, **options))

    @checked(u="k n", v="k n")
    def drift(self, u: np.ndarray, v: np.ndarray, rule: Rule | None = None) -> float:
        """The largest change of what should stay: kinetic and strain energy and what viscosity took, over the first.

        A reduced run keeps the energy that its cubature integrates: that is its ``rule``.
        """
        middle = np.diff(u, axis=0) / self.dt
        lost = np.cumsum(self.dt * np.einsum("sn,sn->s", middle, (self.damping @ middle.T).T))
        energy = 0.5 * np.einsum("sn,sn->s", v, (self.mass @ v.T).T) + self._strain_energies(u, rule)
        energy[1:] += lost
        return float(np.abs(energy / energy[0] - 1.0).max())

    def _strain_energies(self, u, rule):
        """∫ W of states (k, n)."""
        total = np.zeros(len(u))
        for part in bases(self.mesh, skfem.ElementVector(skfem.ElementQuad2()), rule or self.solid.rule):
            for k, state in enumerate(u):
                f = np.moveaxis(part.interpolate(state).grad, (0, 1), (-2, -1)) + np.eye(2)
                jacobian = np.linalg.det(f)
                density = 0.5 * _SHEAR * ((f**2).sum(axis=(-1, -2)) / jacobian - 2.0)
                total[k] += ((density + 0.5 * _BULK * (jacobian - 1.0) ** 2) * part.dx).sum()
        return total


@dataclass(eq=False)
class SwingModel:
    """A reduced model of a :class:`DynamicBeam`.

    Examples
    --------
    >>> from femnn.validation import DynamicBeam
    >>> beam = DynamicBeam((8, 1), steps=20)
    >>> model = beam.reduce([beam.run(1.0)], modes=4, tol=1e-3)
    >>> model.basis
    POD(4 modes of 102 unknowns)
    """

    beam: DynamicBeam
    basis: POD
    cubature: EmpiricalCubature
    problem: ReducedProblem = field(init=False)
    mass: csr_array = field(init=False)
    damping: csr_array = field(init=False)

    def __post_init__(self) -> None:
        instance("beam", self.beam, DynamicBeam)
        self.problem = ReducedProblem(self.beam.solid, self.basis, self.cubature, on_outside="ignore")
        self.mass, self.damping = (self.problem.mass(matrix) for matrix in (self.beam.mass, self.beam.damping))

    def __repr__(self) -> str:
        return f"SwingModel({self.problem!r})"

    @checked()
    def lift(self, swing: Swing) -> Swing:
        """A reduced run as one of all unknowns."""
        modes = self.basis.modes.T
        return Swing(swing.u @ modes + self.basis.offset, swing.v @ modes, swing.iterations)


def _solve(K, f, fixed, values):
    """Sparse factors: fewer than the unknowns at which iterations pay, so that no mesh is needed."""
    return solve(K, f, fixed, values)
