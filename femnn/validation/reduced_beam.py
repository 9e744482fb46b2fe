"""A hyperelastic beam of distorted hexahedra under three loads, solved in full and by reduced models."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import skfem
from scipy.stats import qmc

from femnn.checks import checked, instance
from femnn.quadrature.gauss import GaussLegendre
from femnn.reduced.cubature import EmpiricalCubature
from femnn.reduced.dense import solve_dense
from femnn.reduced.pod import POD
from femnn.reduced.problem import ReducedProblem
from femnn.reduced.snapshots import Snapshots
from femnn.solids.laws import PointLaw
from femnn.solids.solid import Solid
from femnn.solvers.nonlinear.load_path import LoadPath
from femnn.solvers.nonlinear.newton import newton

LENGTH = 8.0

#: Largest forces along y and z, and the largest torque, at the free end of a beam of section 1 × 1 and modulus 1.
LARGEST = (6e-4, 6e-4, 3e-3)

#: Tolerance of Newton's method, full and reduced.
RTOL = 1e-6


def neo_hooke(gradient, state, parameters, stress, tangent, new_state):  # type: ignore[no-untyped-def]
    """Compressible neo-Hooke, P = μ (F - F⁻ᵀ) + λ ln J F⁻ᵀ, for :class:`femnn.PointLaw`; parameters λ and μ."""
    lame, shear = parameters
    f = gradient.copy()
    f[0], f[4], f[8] = f[0] + 1.0, f[4] + 1.0, f[8] + 1.0
    cofactor = np.empty(9)
    for i in range(3):
        for j in range(3):
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            cofactor[3 * i + j] = f[3 * a + c] * f[3 * b + d] - f[3 * a + d] * f[3 * b + c]
    volume = f[0] * cofactor[0] + f[1] * cofactor[1] + f[2] * cofactor[2]
    if volume <= 0.0:
        stress[:] = np.nan
        return
    inverse = cofactor / volume  # F⁻ᵀ
    pressure = lame * np.log(volume)
    for p in range(9):
        stress[p] = shear * (f[p] - inverse[p]) + pressure * inverse[p]
        for q in range(9):
            i, j, k, m = p // 3, p % 3, q // 3, q % 3
            tangent[p, q] = (
                lame * inverse[p] * inverse[q] + (shear - pressure) * inverse[3 * i + m] * inverse[3 * k + j]
            )
        tangent[p, p] += shear


@dataclass(frozen=True, eq=False)
class ReducedBeam:
    """A beam that is held at x = 0, and pulled sideways and twisted at its end.

    Attributes
    ----------
    cells : tuple
        Hexahedra along x, y and z.
    distortion
        Vertices inside move by so much of the size of a cell.
    steps
        Of the load.
    seed
        Of the distortion.

    Examples
    --------
    >>> from femnn.validation import ReducedBeam
    >>> beam = ReducedBeam((6, 2, 2), steps=1)
    >>> u, seconds = beam.solve([0.2, 0.0, 0.0])
    >>> u.u.shape
    (189,)
    """

    cells: tuple = (80, 16, 16)
    distortion: float = 0.2
    steps: int = 3
    seed: int = 0

    def __repr__(self) -> str:
        return f"ReducedBeam({'×'.join(map(str, self.cells))} hexahedra)"

    @cached_property
    def mesh(self) -> skfem.MeshHex:
        """The mesh, with the boundaries ``held`` and ``tip``."""
        axes = [np.linspace(0.0, LENGTH, self.cells[0] + 1)] + [np.linspace(-0.5, 0.5, n + 1) for n in self.cells[1:]]
        mesh = skfem.MeshHex.init_tensor(*axes)
        inside = np.setdiff1d(np.arange(mesh.p.shape[1]), mesh.boundary_nodes())
        moved = mesh.p.copy()
        sizes = np.array([axis[1] - axis[0] for axis in axes])
        drawn = np.random.default_rng(self.seed).uniform(-self.distortion, self.distortion, (3, len(inside)))
        moved[:, inside] += sizes[:, None] * drawn
        return skfem.MeshHex(moved, mesh.t).with_boundaries(
            {"held": lambda x: np.abs(x[0]) < 1e-9, "tip": lambda x: np.abs(x[0] - LENGTH) < 1e-9}
        )

    @cached_property
    def solid(self) -> Solid:
        """The body: Young's modulus 1 and Poisson's ratio 0.3 at small strains, 2×2×2 points."""
        law = PointLaw(neo_hooke, (0.3 / (1.3 * 0.4), 1.0 / 2.6), kinematics="finite")
        return Solid(self.mesh, GaussLegendre(2), law)

    @cached_property
    def held(self) -> np.ndarray:
        """Degrees of freedom that are held."""
        return (
            skfem.Dofs(self.mesh, skfem.ElementVector(skfem.ElementHex1()))
            .get_facet_dofs(self.mesh.boundaries["held"])
            .all()
        )

    @cached_property
    def forces(self) -> np.ndarray:
        """Nodal forces (n, 3) of unit loads: along y, along z, and a torque."""
        basis = skfem.FacetBasis(self.mesh, skfem.ElementVector(skfem.ElementHex1()), facets="tip", intorder=3)
        inertia = 1.0 / 6.0
        directions: list[Callable] = [
            lambda v, w: v[1],
            lambda v, w: v[2],
            lambda v, w: (w.x[1] * v[2] - w.x[2] * v[1]) / inertia,
        ]
        return np.stack([skfem.LinearForm(direction).assemble(basis) for direction in directions], axis=1)

    @checked(loads="3")
    def force(self, loads: np.ndarray) -> np.ndarray:
        """Nodal forces (n,) of ``loads`` (3,), each as a part of :data:`LARGEST`."""
        return self.forces @ (np.array(LARGEST) * loads)

    @checked(loads="3")
    def solve(self, loads: np.ndarray, callback: Callable | None = None) -> tuple[LoadPath, float]:
        """The full solution, and the seconds that it took."""
        started = time.perf_counter()
        path = newton(
            self.solid, self.force(loads), self.held, steps=self.steps, rtol=RTOL, callback=callback, progress=False
        )
        return path, time.perf_counter() - started

    @checked(loads="k 3")
    def snapshots(self, loads: np.ndarray, folder: str | os.PathLike | None = None) -> Snapshots:
        """Solutions of all steps under each of the ``loads``; those that are in the folder already are not repeated."""
        snapshots = Snapshots(self.solid, folder)
        whole = sum(head.t == 1.0 for head in snapshots.heads)
        # a path that was broken off begins anew
        snapshots.truncate(max((k + 1 for k, head in enumerate(snapshots.heads) if head.t == 1.0), default=0))
        for load in loads[whole:]:
            snapshots.begin(dict(zip("yzt", load.tolist(), strict=True)))
            self.solve(load, callback=snapshots.record)
        return snapshots

    @checked()
    def reduce(self, snapshots: Snapshots, modes: int, **options: Any) -> "ReducedModel":
        """Modes, cubature with the ``options`` of :meth:`femnn.reduced.EmpiricalCubature.fit`, and reduced problem."""
        started = time.perf_counter()
        basis = POD.fit(snapshots, modes=modes, fixed=self.held)
        cubature = EmpiricalCubature.fit(self.solid, basis, snapshots, **options)
        return ReducedModel(self, basis, cubature, time.perf_counter() - started)


@dataclass(eq=False)
class ReducedModel:
    """A reduced model of a :class:`ReducedBeam`, and the seconds that its making took.

    Examples
    --------
    >>> from femnn.validation import ReducedBeam, training_loads
    >>> beam = ReducedBeam((6, 2, 2), steps=1)
    >>> model = beam.reduce(beam.snapshots(training_loads(4)), modes=3, tol=1e-3, progress=False)
    >>> displacement, path, seconds = model.solve([0.2, 0.1, 0.0])
    >>> displacement.shape, len(path.u)
    ((189,), 3)
    """

    beam: ReducedBeam
    basis: POD
    cubature: EmpiricalCubature
    seconds: float
    problem: ReducedProblem = field(init=False)

    def __post_init__(self) -> None:
        instance("beam", self.beam, ReducedBeam)
        self.problem = ReducedProblem(self.beam.solid, self.basis, self.cubature, on_outside="ignore")

    def __repr__(self) -> str:
        return f"ReducedModel({self.problem!r})"

    @checked(loads="3")
    def solve(self, loads: np.ndarray) -> tuple[np.ndarray, LoadPath, float]:
        """Displacement (n,), the path, and the seconds that it took, from the nodal forces to the displacement."""
        force = self.beam.force(loads)
        started = time.perf_counter()
        problem = self.problem
        path = newton(
            problem,
            problem.load(force),
            problem.fixed,
            steps=self.beam.steps,
            rtol=RTOL,
            solver=solve_dense,
            progress=False,
        )
        u = problem.lift(path.u)
        return u, path, time.perf_counter() - started


@checked(count="[1, 65536]", seed="[0, inf)")
def training_loads(count: int, seed: int = 1) -> np.ndarray:
    """Loads (count, 3) in [-1, 1], spread evenly (Sobol).

    Examples
    --------
    >>> from femnn.validation import training_loads
    >>> loads = training_loads(8)
    >>> loads.shape, bool(abs(loads).max() <= 1.0)
    ((8, 3), True)
    """
    return 2.0 * qmc.Sobol(3, seed=seed).random(2 ** int(np.ceil(np.log2(count))))[:count] - 1.0


@checked(count="[1, 65536]", seed="[0, inf)")
def unseen_loads(count: int, seed: int = 7) -> np.ndarray:
    """Loads (count, 3) in [-1, 1], drawn at random.

    Examples
    --------
    >>> from femnn.validation import unseen_loads
    >>> loads = unseen_loads(5)
    >>> loads.shape, bool(abs(loads).max() <= 1.0)
    ((5, 3), True)
    """
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 3))
