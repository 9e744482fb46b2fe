"""Pendulums whose equation is known: the ideal one, and a bar of hexahedra that swings by femnn's own integrator."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array

from femnn.assembly.bases import bases
from femnn.assembly.forces import assemble_body_force
from femnn.assembly.forms import assemble_mass
from femnn.checks import brief, checked, floats, instance, integer, number, shaped
from femnn.exceptions import ParameterError
from femnn.integration.lame import lame_parameters
from femnn.quadrature.gauss import GaussLegendre
from femnn.solids.hyperelastic import NeoHooke
from femnn.solids.solid import Solid
from femnn.solids.supports import Bedding
from femnn.solvers.nonlinear.second_order import SecondOrder
from femnn.solvers.nonlinear.time_march import march

#: Acceleration of gravity, m/s².
GRAVITY = 9.80665

# Tolerances of the ordinary differential equation: nothing that is measured here is as accurate.
_RTOL, _ATOL = 1e-10, 1e-12

# Days of computation.
_MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class IdealPendulum:
    """θ'' = -κ sin θ - c θ', θ being zero where the pendulum hangs.

    Parameters
    ----------
    stiffness
        κ (1/s²): g/l of a mass on a string, m g d/I of a body with the moment of inertia I about its hinge, whose
        centre of mass is d away from it.
    damping
        c (1/s).

    Examples
    --------
    Small swings have the period 2π/√κ:

    >>> angle, _ = IdealPendulum(4.0).swing(1e-3, 0.0, [0.0, np.pi / 2, np.pi])
    >>> bool(abs(angle - [1e-3, -1e-3, 1e-3]).max() < 1e-8)
    True
    """

    stiffness: float = 1.0
    damping: float = 0.0

    def __post_init__(self) -> None:
        number("stiffness", self.stiffness, "(0, inf)")
        number("damping", self.damping, "[0, inf)")

    @checked(times="m", angle="(-inf, inf)", velocity="(-inf, inf)")
    def swing(self, angle: float, velocity: float, times: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Angles and angular velocities (m,) at ascending ``times``, from those at the first of them on."""
        times = np.asarray(times, dtype=float)
        if (np.diff(times) <= 0.0).any():
            raise ParameterError("the times do not ascend; pass them in order, each once")
        if len(times) == 1:
            return np.array([angle]), np.array([velocity])
        path = solve_ivp(
            lambda t, y: (y[1], self.acceleration(y[0], y[1])),
            (times[0], times[-1]),
            (angle, velocity),
            method="DOP853",
            t_eval=times,
            rtol=_RTOL,
            atol=_ATOL,
        )
        return path.y[0], path.y[1]

    @checked(angle="any", velocity="any")
    def acceleration(self, angle: ArrayLike, velocity: ArrayLike) -> np.ndarray:
        """θ'' of angles and angular velocities of one shape."""
        return -self.stiffness * np.sin(angle) - self.damping * np.asarray(velocity)

    @checked(angle="any", velocity="any")
    def energy(self, angle: ArrayLike, velocity: ArrayLike) -> np.ndarray:
        """θ'²/2 - κ cos θ, which never grows; below κ the pendulum does not turn over."""
        return 0.5 * np.asarray(velocity) ** 2 - self.stiffness * np.cos(angle)

    @checked(n="[1, inf)", highest="(-1, 1)", seed="[0, inf)")
    def starts(self, n: int, highest: float = 0.99, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Angles and angular velocities (n,) drawn evenly where the energy is at most ``highest`` times κ.

        With 0.99 these are the starts of K. Champion et al., PNAS 116 (2019) 22445-22451.
        """
        generator, kept = np.random.default_rng(seed), np.empty((2, 0))
        reach = np.array([[np.pi], [2.1 * np.sqrt(self.stiffness)]])
        while kept.shape[1] < n:
            drawn = reach * generator.uniform(-1.0, 1.0, (2, 4 * n))
            kept = np.concatenate([kept, drawn[:, self.energy(*drawn) <= highest * self.stiffness]], axis=1)
        return kept[0, :n], kept[1, :n]


@dataclass(frozen=True, eq=False)
class Swing:
    """A run of a :class:`CompoundPendulum`.

    Attributes
    ----------
    t : (k,)
        Times (s).
    u, v : (k, n)
        Displacements (m) and velocities (m/s).

    Examples
    --------
    >>> Swing(np.zeros(2), np.zeros((2, 6)), np.zeros((2, 6)))
    Swing(2 times, 6 unknowns)
    """

    t: np.ndarray
    u: np.ndarray
    v: np.ndarray

    def __repr__(self) -> str:
        return f"Swing({len(self.t)} times, {self.u.shape[1]} unknowns)"


@dataclass(frozen=True, eq=False)
class CompoundPendulum:
    """A bar of trilinear hexahedra that hangs from a hinge line and swings through any angle.

    The bar is neo-Hookean and nearly rigid, so that its motion is that of a physical pendulum, θ'' = -(m g d/I) sin θ
    - c θ', up to the strains that inertia and weight cause: :attr:`rigid`. The air takes a force per area that is the
    velocity times ``drag``, on the whole surface.

    Parameters
    ----------
    cells
        Across, which must be even for the hinge line to lie on nodes, along, and in depth.
    size
        Width, length and depth (m). The hinge line is in the middle of the upper end, along the depth.
    density, young, poisson
        kg/m³, Pa, -.
    drag
        Pa s/m.
    dt
        Steps (s) of the midpoint rule.

    Examples
    --------
    >>> pendulum = CompoundPendulum(cells=(2, 4, 1))
    >>> swing = pendulum.swing(0.5, 0.05)
    >>> angle, velocity = pendulum.angles(swing)
    >>> expected, _ = pendulum.rigid.swing(0.5, 0.0, swing.t)
    >>> bool(abs(angle - expected).max() < 1e-4)
    True
    """

    cells: tuple[int, int, int] = (2, 10, 1)
    size: tuple[float, float, float] = (0.12, 1.0, 0.06)
    density: float = 1100.0
    young: float = 2e8
    poisson: float = 0.3
    drag: float = 0.0
    dt: float = 0.005

    def __post_init__(self) -> None:
        if len(instance("cells", self.cells, tuple, list)) != 3:
            raise ParameterError(
                f"cells={brief(self.cells)} is not allowed; pass three numbers: across, along, in depth"
            )
        for k, count in enumerate(self.cells):
            integer(f"cells[{k}]", count, at_least=1)
        if self.cells[0] % 2:
            raise ParameterError(f"there are {self.cells[0]} cells across; pass an even number: the hinge is between")
        for length in shaped("size", self.size, (3,), "width, length and depth"):
            number("a length of size", length, "(0, inf)")
        for name in ("density", "young", "dt"):
            number(name, getattr(self, name), "(0, inf)")
        number("poisson", self.poisson, "(-1, 0.5)")
        number("drag", self.drag, "[0, inf)")

    def __repr__(self) -> str:
        return f"CompoundPendulum({'×'.join(map(str, self.cells))} hexahedra, drag {self.drag:g} Pa s/m)"

    @cached_property
    def mesh(self) -> skfem.MeshHex:
        """The bar at rest, hanging along -y from the hinge line x = y = 0, with the boundary ``surface``."""
        width, length, depth = self.size
        x, y, z = (
            np.linspace(low, high, n + 1)
            for low, high, n in zip((-width / 2, -length, 0.0), (width / 2, 0.0, depth), self.cells, strict=True)
        )
        return skfem.MeshHex.init_tensor(x, y, z).with_boundaries({"surface": lambda p: np.full(p.shape[1], True)})

    @cached_property
    def solid(self) -> Solid:
        """The body, with 2×2×2 points."""
        return Solid(self.mesh, GaussLegendre(2), NeoHooke(self.young, self.poisson))

    @cached_property
    def mass(self) -> csr_array:
        """Mass (n, n)."""
        return csr_array(assemble_mass(self.mesh, GaussLegendre(3), self.density, components=3))

    @cached_property
    def damping(self) -> csr_array:
        """What multiplies velocities (n, n): drag over the surface, as of the undeformed bar."""
        bed = Bedding(self.mesh, "surface", self.drag, self.drag)
        return csr_array(bed.residual_and_tangent(np.zeros(self.solid.n_dofs))[1])

    @cached_property
    def weight(self) -> np.ndarray:
        """Forces of gravity (n,)."""
        return assemble_body_force(self.mesh, GaussLegendre(2), (0.0, -GRAVITY * self.density, 0.0))

    @cached_property
    def hinge(self) -> np.ndarray:
        """Degrees of freedom of the hinge line, which are held."""
        nodes = np.flatnonzero(np.hypot(*self.mesh.p[:2]) < 1e-9 * self.size[1])
        return (3 * nodes[:, None] + np.arange(3)).ravel()

    @cached_property
    def rigid(self) -> IdealPendulum:
        """The pendulum that the bar would be if it were rigid: by its mass, moment of inertia and moment of drag."""
        turn = self._positions @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        turn, fall = turn.ravel(), np.tile([0.0, 1.0, 0.0], len(self._positions))
        inertia, moment = turn @ (self.mass @ turn), fall @ (self.mass @ self._positions.ravel())
        return IdealPendulum(float(-GRAVITY * moment / inertia), float(turn @ (self.damping @ turn) / inertia))

    @checked(angle="(-inf, inf)", duration="(0, inf)", velocity="(-inf, inf)", every="[1, inf)")
    def swing(self, angle: float, duration: float, velocity: float = 0.0, every: int = 4) -> Swing:
        """Let go at an angle (rad) with an angular velocity (rad/s), and keep one of ``every`` steps.

        Raises
        ------
        ParameterError
            If the duration takes more than a million steps.
        ConvergenceError
            If Newton's method fails: the steps are too long for such a velocity.
        """
        if duration / self.dt > _MOST_STEPS:
            raise ParameterError(
                f"duration={duration:g} s takes more than {_MOST_STEPS:,} steps of dt={self.dt:g} s; pass a shorter "
                "one, or longer steps"
            )
        motion = SecondOrder(self.solid, self.mass, self.damping, self.weight, self.hinge)
        turned = self._rotated(angle)
        speed = velocity * np.stack([-turned[:, 1], turned[:, 0], 0.0 * turned[:, 0]], axis=1)
        kept = [motion.start((turned - self._positions).ravel(), speed.ravel())]
        steps = round(duration / (self.dt * every)) * every
        times = self.dt * np.arange(1, steps + 1)
        march(motion.step, kept[0], times, callback=kept.append, progress=False)
        kept = kept[::every]
        return Swing(*(np.stack([np.asarray(getattr(state, name)) for state in kept]) for name in ("t", "u", "v")))

    def angles(self, swing: Swing) -> tuple[np.ndarray, np.ndarray]:
        """Angles (rad), without jumps of 2π, and angular velocities (rad/s) (k,) of the body as a whole.

        The angle is that of the rotation which is nearest to the motion in the mean over the mass, the velocity its
        angular momentum over its moment of inertia about the hinge.
        """
        here = (swing.u + self._positions.ravel()).reshape(len(swing.t), -1, 3)
        weights = np.asarray(self.mass.sum(axis=1)).reshape(-1, 3)[:, 0]
        x, y = self._positions[:, 0], self._positions[:, 1]
        cosine = np.einsum("n,kn->k", weights * x, here[..., 0]) + np.einsum("n,kn->k", weights * y, here[..., 1])
        sine = np.einsum("n,kn->k", weights * x, here[..., 1]) - np.einsum("n,kn->k", weights * y, here[..., 0])
        turn = np.stack([-here[..., 1], here[..., 0], 0.0 * here[..., 0]], axis=-1).reshape(len(swing.t), -1)
        momentum = (self.mass @ turn.T).T
        velocity = np.einsum("kn,kn->k", momentum, swing.v) / np.einsum("kn,kn->k", momentum, turn)
        return np.unwrap(np.arctan2(sine, cosine)), velocity

    def energies(self, swing: Swing) -> dict[str, np.ndarray]:
        """Kinetic, strain and potential energy (k,) (J), the last zero at the height of the hinge, and what is lost.

        ``"lost"`` (W) is what drag takes at each time.
        """
        places = swing.u + self._positions.ravel()
        return {
            "kinetic": 0.5 * np.einsum("kn,kn->k", swing.v, (self.mass @ swing.v.T).T),
            "strain": self._strain_energies(swing.u),
            "potential": -places @ self.weight,
            "lost": np.einsum("kn,kn->k", swing.v, (self.damping @ swing.v.T).T),
        }

    @checked(u="k n")
    def outlines(self, u: np.ndarray) -> np.ndarray:
        """Polygons (k, corners, 2) of the side that faces the camera, of displacements (k, n)."""
        front = np.flatnonzero(self.mesh.p[2] > self.size[2] * (1.0 - 1e-9))
        x, y = self.mesh.p[:2, front] / np.array(self.size)[:2, None]
        edge = front[(np.abs(np.abs(x) - 0.5) < 1e-9) | (np.abs(np.abs(y + 0.5) - 0.5) < 1e-9)]
        centred = self.mesh.p[:2, edge] / np.array(self.size)[:2, None] + np.array([[0.0], [0.5]])
        edge = edge[np.argsort(np.arctan2(centred[1], centred[0]))]
        return (u.reshape(len(u), -1, 3) + self._positions)[:, edge, :2]

    # --- inside

    @cached_property
    def _positions(self):
        """Nodes (n/3, 3) in the order of the degrees of freedom, which is that of the vertices."""
        return np.ascontiguousarray(self.mesh.p.T)

    def _rotated(self, angle):
        c, s = np.cos(angle), np.sin(angle)
        return self._positions @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])

    def _strain_energies(self, u):
        lmbda, mu = lame_parameters(self.young, self.poisson)
        total = np.zeros(len(u))
        for part in bases(self.mesh, skfem.ElementVector(skfem.ElementHex1()), self.solid.rule):
            for k, state in enumerate(floats("u", u)):
                f = np.moveaxis(part.interpolate(state).grad, (0, 1), (-2, -1)) + np.eye(3)
                log = np.log(np.linalg.det(f))
                density = 0.5 * mu * ((f**2).sum(axis=(-1, -2)) - 3.0) - mu * log + 0.5 * lmbda * log**2
                total[k] += (density * part.dx).sum()
        return total
