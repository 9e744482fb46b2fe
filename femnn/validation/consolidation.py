"""Bodies of hexahedra whose consolidation is known: Cryer's ball, de Leeuw's cylinder and Mandel's slab.

An eighth of the ball and a quarter of the cylinder and of the slab; all cells but those of a slab that is not distorted
are general hexahedra. Sides are named ``x``, ``y``, ``z`` (planes of symmetry), ``surface`` and ``end``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import skfem

from femnn.checks import checked
from femnn.reservoir.analytic import CryerSphere, DeLeeuwCylinder, MandelSlab
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.medium import PorousMedium
from femnn.reservoir.problem import PorousProblem
from femnn.reservoir.states import PorousState

# Edge of the block in the middle over the radius, and how far its faces bulge towards the surface, 0 to 1.
_INNER, _BULGE = 0.45, 0.5

_SAME = 1e-9

# Displacements of the planes of symmetry.
_PLANES = {"x": (0.0, None, None), "y": (None, 0.0, None), "z": (None, None, 0.0)}


@checked(n="[1, 1000]", radius="(0, inf)", seed="[0, inf)", distortion="[0, 0.3]")
def ball(n: int, radius: float = 1.0, *, distortion: float = 0.0, seed: int = 0) -> skfem.MeshHex:
    """An eighth of a ball in 4 n³ hexahedra: a block in the middle, and one towards each third of the surface.

    Examples
    --------
    >>> from femnn.validation.consolidation import ball
    >>> mesh = ball(2)
    >>> mesh.nelements, sorted(mesh.boundaries)
    (32, ['surface', 'x', 'y', 'z'])
    """
    return _named(_distorted(_blocks(n, n, 3, radius), distortion, seed), radius, 3)


@checked(n="[1, 1000]", layers="[1, 1000]", radius="(0, inf)", seed="[0, inf)", distortion="[0, 0.3]")
def cylinder(n: int, radius: float = 1.0, *, layers: int = 2, distortion: float = 0.0, seed: int = 0) -> skfem.MeshHex:
    """A quarter of a cylinder in 3 n² ``layers`` hexahedra; it is as high as its cells are long.

    Examples
    --------
    >>> from femnn.validation.consolidation import cylinder
    >>> cylinder(2, layers=1).nelements
    12
    """
    return _named(_distorted(_blocks(n, layers, 2, radius), distortion, seed), radius, 2)


@checked(n="[1, 1000]", layers="[1, 1000]", seed="[0, inf)", distortion="[0, 0.3]")
def slab(
    n: int,
    half_width: float = 1.0,
    half_height: float = 0.2,
    *,
    layers: int = 2,
    distortion: float = 0.0,
    seed: int = 0,
) -> skfem.MeshHex:
    """A quarter of Mandel's slab in n × layers × 2 hexahedra, finer towards the drained side ``surface``.

    Examples
    --------
    >>> from femnn.validation.consolidation import slab
    >>> slab(4, layers=1).nelements
    8
    """
    x = half_width * (1.0 - np.linspace(1.0, 0.0, n + 1) ** 1.5)
    y = np.linspace(0.0, layers * half_width / n, layers + 1)
    mesh = _distorted(skfem.MeshHex.init_tensor(x, y, np.linspace(0.0, half_height, 3)), distortion, seed)
    return mesh.with_boundaries(
        {
            "x": lambda p: p[0] == 0.0,
            "y": lambda p: (p[1] == 0.0) | (p[1] == y[-1]),
            "z": lambda p: p[2] == 0.0,
            "surface": lambda p: p[0] == half_width,
            "end": lambda p: p[2] == half_height,
        }
    )


@checked(load="(0, inf)", mesh="unchecked")
def cryer(mesh: skfem.MeshHex, medium: PorousMedium, load: float, **options: Any) -> tuple[PorousProblem, CryerSphere]:
    """Cryer's ball of a mesh of :func:`ball` and its solution; ``options`` are those of ``PorousProblem``.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import PorousMedium
    >>> from femnn.validation.consolidation import ball, cryer
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> problem, exact = cryer(ball(2), medium, load=1e6, element=skfem.ElementHex1())
    >>> exact.radius
    1.0
    """
    return PorousProblem(mesh, medium, _pressed(load, 3), **options), CryerSphere(medium, _radius(mesh, 3), load)


@checked(load="(0, inf)", mesh="unchecked")
def de_leeuw(
    mesh: skfem.MeshHex, medium: PorousMedium, load: float, **options: Any
) -> tuple[PorousProblem, DeLeeuwCylinder]:
    """De Leeuw's cylinder of a mesh of :func:`cylinder` and its solution.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import PorousMedium
    >>> from femnn.validation.consolidation import cylinder, de_leeuw
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> problem, exact = de_leeuw(cylinder(2), medium, load=1e6, element=skfem.ElementHex1())
    >>> exact.radius
    1.0
    """
    return PorousProblem(mesh, medium, _pressed(load, 2), **options), DeLeeuwCylinder(medium, _radius(mesh, 2), load)


@checked(load="(0, inf)", mesh="unchecked")
def mandel(mesh: skfem.MeshHex, medium: PorousMedium, load: float, **options: Any) -> tuple[PorousProblem, MandelSlab]:
    """Mandel's slab of a mesh of :func:`slab`, pressed by ``load`` (Pa) on the mean, and its solution.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import PorousMedium
    >>> from femnn.validation.consolidation import mandel, slab
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> problem, exact = mandel(slab(4), medium, load=1e6, element=skfem.ElementHex1())
    >>> exact.a, exact.force
    (1.0, 1000000.0)
    """
    width, height = float(mesh.p[0].max()), float(mesh.p[2].max())
    conditions = Conditions(
        displacement=_PLANES,
        rigid={"end": 2},
        traction={"end": (0.0, 0.0, -load)},
        pressure={"surface": 0.0},
    )
    return PorousProblem(mesh, medium, conditions, **options), MandelSlab(medium, width, height, load * width)


def _pressed(load, axes) -> Conditions:
    """A body pressed from all sides around its middle or axis."""

    def along(axis: int) -> Callable:
        return lambda x, t: -load * x[axis] / np.linalg.norm(x[:axes], axis=0)

    traction = tuple(along(axis) if axis < axes else None for axis in range(3))
    return Conditions(displacement=_PLANES, traction={"surface": traction}, pressure={"surface": 0.0})


def _radius(mesh, axes):
    return float(np.linalg.norm(mesh.p[:axes], axis=0).max())


def _blocks(n, layers, axes, radius):
    """Block in the middle and one towards each part of the surface, their common vertices merged."""
    grid = skfem.MeshHex.init_tensor(*(np.linspace(0.0, 1.0, m + 1) for m in (n, n, layers)))
    height = np.array([[1.0], [1.0], [1.0 if axes == 3 else layers / n]])
    points, cells = [_middle(grid.p, axes)], [grid.t]
    for axis in range(axes):
        # the axis runs outwards, from the block's face to the surface
        face = grid.p.copy()
        face[axis] = 1.0
        inner = _middle(face, axes)
        outer = np.tan(0.25 * np.pi * face)
        outer[:axes] /= np.linalg.norm(outer[:axes], axis=0)
        outer[axes:] = face[axes:]
        points.append(inner + grid.p[axis] * (outer - inner))
        cells.append(grid.t + len(cells) * grid.nvertices)
    points = np.concatenate(points, axis=1)
    _, first, same = np.unique(
        np.round(points / _SAME).astype(np.int64), axis=1, return_index=True, return_inverse=True
    )
    cells = same.ravel()[np.concatenate(cells, axis=1)]
    return skfem.MeshHex(radius * height * points[:, first], np.ascontiguousarray(cells))


def _middle(x, axes):
    """Points of the unit cube in the block in the middle."""
    across = x[:axes]
    length, largest = np.linalg.norm(across, axis=0), across.max(axis=0)
    bulge = 1.0 + _BULGE * (np.divide(largest, length, out=np.ones_like(length), where=length > 0.0) - 1.0)
    return np.concatenate([_INNER * across * bulge, x[axes:]])


def _distorted(mesh, distortion, seed):
    """With inner vertices moved by up to ``distortion`` of the shortest edge at each."""
    if distortion == 0.0:
        return mesh
    ends = mesh.p[:, mesh.edges]
    lengths = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=0)
    shortest = np.full(mesh.nvertices, np.inf)
    for end in mesh.edges:
        np.minimum.at(shortest, end, lengths)
    shortest[mesh.boundary_nodes()] = 0.0
    moves = np.random.default_rng(seed).uniform(-distortion, distortion, mesh.p.shape) * shortest
    return type(mesh)(mesh.p + moves, mesh.t)


def _named(mesh, radius, axes):
    facets = mesh.boundary_facets()
    corners = mesh.p[:, mesh.facets[:, facets]]
    around = np.abs(np.linalg.norm(corners[:axes], axis=0) - radius).max(axis=0) < _SAME * radius
    names = {"surface": facets[around]}
    for axis, name in enumerate("xyz"):
        flat = np.ptp(corners[axis], axis=0) < _SAME * radius
        names[name] = facets[flat & ~around & ((corners[axis, 0] < _SAME * radius) | (axis >= axes))]
    return mesh.with_boundaries(names)


class ManufacturedBody:
    """u = a φ t and p_i = P_i φ t with φ = sin πx sin πy sin πz in the unit cube, and the loads that they need.

    Linear in time, so that steps of the implicit Euler method are exact.

    Parameters
    ----------
    medium
        A uniform ``PorousMedium`` or ``DualPorousMedium`` with scalar permeabilities.

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import distorted_cube
    >>> from femnn.reservoir import PorousMedium
    >>> from femnn.validation.consolidation import ManufacturedBody
    >>> body = ManufacturedBody(PorousMedium(young=1e9, poisson=0.2, permeability=1e-12))
    >>> problem = body.problem(distorted_cube(3, 0.1), element=skfem.ElementHex1())
    >>> body.errors(problem, problem.step(problem.initial_state(), 1.0)).shape
    (3,)
    """

    @checked(medium="unchecked")
    def __init__(self, medium: PorousMedium) -> None:
        self.medium, self._amplitudes = medium, np.array([1e-3, -2e-3, 1.5e-3])
        self._given = medium.constants(1, 3)
        self._pressures = np.array([1e6, -0.7e6])[: len(self._given.biot)]

    @checked(mesh="unchecked")
    def problem(self, mesh: skfem.MeshHex, **options: Any) -> PorousProblem:
        """The problem on a mesh of the unit cube; ``options`` are those of ``PorousProblem``."""
        mesh = mesh.with_boundaries({"around": mesh.boundary_facets()})
        conditions = Conditions(
            displacement={"around": (0.0, 0.0, 0.0)},
            pressure={"around": 0.0},
            body_force=[lambda x, t, i=i: self._force(i, x, t) for i in range(3)],
            source=[lambda x, t, i=i: self._source(i, x, t) for i in range(len(self._pressures))],
        )
        return PorousProblem(mesh, self.medium, conditions, **options)

    @checked()
    def errors(self, problem: PorousProblem, state: PorousState) -> np.ndarray:
        """Errors of u in L2 and H1 and of the pressures in L2, each over the size of what it should be, (3,)."""
        u, p, t = problem.displacement_basis, problem.pressure_basis, state.t
        x = np.asarray(u.global_coordinates())
        found, phi = u.interpolate(state.u), np.prod(np.sin(np.pi * x), axis=0)
        pairs = (
            (np.asarray(found), t * self._amplitudes[:, None, None] * phi),
            (found.grad, t * self._amplitudes[:, None, None, None] * self._slope(x)),
            (np.array([p.interpolate(own) for own in state.p]), t * self._pressures[:, None, None] * phi),
        )
        return np.array([np.sqrt(((a - b) ** 2 * u.dx).sum() / (b**2 * u.dx).sum()) for a, b in pairs])

    @staticmethod
    def _slope(x):
        sines, cosines = np.sin(np.pi * x), np.pi * np.cos(np.pi * x)
        return np.array([cosines[i] * sines[(i + 1) % 3] * sines[(i + 2) % 3] for i in range(3)])

    def _force(self, i, x, t):
        sines, cosines = np.sin(np.pi * x), np.cos(np.pi * x)
        phi = sines.prod(axis=0)
        lmbda, mu, a = self._given.lmbda[0], self._given.mu[0], self._amplitudes
        gradient = -a[i] * phi
        for j in {0, 1, 2} - {i}:
            gradient = gradient + a[j] * cosines[i] * cosines[j] * sines[3 - i - j]
        of_strain = np.pi**2 * ((lmbda + mu) * gradient - 3.0 * mu * a[i] * phi)
        return t * (self._given.biot[:, 0] @ self._pressures * self._slope(x)[i] - of_strain)

    def _source(self, system, x, t):
        given, phi = self._given, np.sin(np.pi * x).prod(axis=0)
        stored = given.biot[system, 0] * np.tensordot(self._amplitudes, self._slope(x), 1)
        stored = stored + given.storage[system, :, 0] @ self._pressures * phi
        flow = 3.0 * np.pi**2 * given.mobility[system, 0, 0, 0] * self._pressures[system]
        leaves = self._pressures[system] - self._pressures[1 - system] if len(self._pressures) == 2 else 0.0
        return stored + t * (flow + given.exchange[0] * leaves) * phi
