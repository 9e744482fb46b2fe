"""Slip driven by fluid on a plane fault with constant friction, in a body that no fluid enters: the front of the slip.

Fluid spreads along the fault with the hydraulic diffusivity α = k_∥/(μ S). Without fracture energy the front is where
the stress intensity vanishes, and it is self-similar: R = λ √(4 α t), with λ of one number alone, the stress parameter
T. It is small for a fault that is critically stressed, which slips far ahead of the fluid, and large for one that is
marginally pressurised. Strength f (σ₀ − p) with friction f and the compression σ₀ in situ, shear stress τ₀ in situ:

- a line in plane strain with the constant pressure P at its middle, p = P erfc(x/√(4αt)): T = (f σ₀ − τ₀)/(f P),
  from 0 to 1, and T = (2/π) ∫₀¹ erfc(λ s)/√(1 − s²) ds (P. Bhattacharya and R. C. Viesca, Science 364 (2019) 464-468;
  R. C. Viesca, J. Fluid Mech. 916 (2021) R2);
- a circle for ν = 0 fed at the constant rate Q, p = p* E₁(r²/(4αt)) with p* = Q μ/(4 π k_∥ a), a being the thickness
  of the core: T = (f σ₀ − τ₀)/(f p*), and T = ∫₀¹ E₁(λ² s²) s/√(1 − s²) ds (A. Sáez, B. Lecampion, P. Bhattacharya and
  R. C. Viesca, J. Mech. Phys. Solids 160 (2022) 104754).
"""

from typing import Any, NamedTuple

import numpy as np
import skfem
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erfc, exp1

from femnn.checks import checked
from femnn.cohesive.classical import ContactCohesive
from femnn.interfaces.split import Interface
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.fault.flow import ConstantCore
from femnn.reservoir.fault.points import Fault
from femnn.reservoir.fault.problem import FaultedReservoir
from femnn.reservoir.medium import PorousMedium

# Rock that no fluid enters and whose deformation moves none; its stiffness, Pa; compression in situ, Pa, and friction.
_ROCK = {"permeability": 1e-24, "porosity": 1e-9, "biot": 2e-9}
_YOUNG, _PRESSED, _FRICTION = 20e9, 10e6, 0.6
# Core: permeability along and across it, m², thickness, m, and what it stores, 1/Pa; α is 1 m²/s.
_CORE = {"permeability": 1e-9, "thickness": 1.0, "along": 1e-12, "compressibility": 1e-9}
_VISCOSITY, _DIFFUSIVITY = 1e-3, 1.0

# Stiffness of the faces over that of a cell of rock: what opens must store little beside the core.
_STIFF = 300.0

# Where shear and strength differ by less than this part, the fault slides.
_SLIDES = 1e-6

# Cells grow by this factor beyond the slip.
_GROWTH = 1.4

# The front is read off what slides within this many cells of the furthest vertex that does.
_READ = 3.0


class SlipFront(NamedTuple):
    """Front of the slip in the course of time.

    Attributes
    ----------
    t : (n,)
        s.
    front : (n,)
        Half-length or radius, m: where the slip comes to nothing like the power 3/2 of the distance.
    exact : (n,)
        λ √(4 α t), m.
    pressure_error : (n,)
        Largest error of the pressure on the fault beyond a tenth of the front, over that at a tenth of it.
    balance : float
        Of the fluid, the worst of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation.slip_front import SlipFront
    >>> SlipFront(np.ones(1), np.array([1.02]), np.ones(1), np.zeros(1), 0.0).error.round(3)
    array([0.02])
    """

    t: np.ndarray
    front: np.ndarray
    exact: np.ndarray
    pressure_error: np.ndarray
    balance: float

    @property
    def error(self) -> np.ndarray:
        """Of the front over what it should be, (n,), with its sign."""
        return self.front / self.exact - 1.0


@checked(stress="(0, 1)")
def line_front(stress: float) -> float:
    """λ of a line fed at constant pressure, for the stress parameter ``stress``.

    Examples
    --------
    Critically stressed faults have λ = 2/(π^{3/2} T), marginally pressurised ones λ = π^{3/2}/4 (1 − T):

    >>> import math
    >>> from femnn.validation.slip_front import line_front
    >>> round(line_front(0.01) / (2.0 / math.pi**1.5 / 0.01), 2), round(line_front(0.99) / (math.pi**1.5 / 4 * 0.01), 2)
    (1.0, 1.0)
    """

    def left(size):
        return 2.0 / np.pi * quad(lambda angle: erfc(size * np.sin(angle)), 0.0, 0.5 * np.pi, limit=200)[0] - stress

    return float(brentq(left, 1e-9, 2.0 / stress, xtol=1e-12))


@checked(stress="(0, inf)")
def circle_front(stress: float) -> float:
    """λ of a circle fed at constant rate without Poisson's effect, for the stress parameter ``stress``.

    Examples
    --------
    Critically stressed faults have λ = 1/√(2 T), marginally pressurised ones λ = exp((2 − γ − T)/2)/2 with Euler's γ:

    >>> import math
    >>> from femnn.validation.slip_front import circle_front
    >>> round(circle_front(0.01) / math.sqrt(1.0 / 0.02), 2)
    1.0
    >>> round(circle_front(8.0) / (0.5 * math.exp(0.5 * (2.0 - 0.57721566 - 8.0))), 2)
    1.0
    """

    def left(size):
        def of_angle(angle):
            sine = np.sin(angle)
            return exp1((size * sine) ** 2) * sine if sine > 0.0 else 0.0

        return quad(of_angle, 0.0, 0.5 * np.pi, limit=200)[0] - stress

    return float(brentq(left, 1e-9, 2.0 / np.sqrt(stress) + 1.0, xtol=1e-12))


@checked(stress="(0, 1)", n="[4, 1000]", far="(1, inf)", steps="[2, 1000]", distortion="[0, 0.3]")
def line_slip(stress: float, n: int = 30, *, far: float = 12.0, steps: int = 24, distortion: float = 0.1) -> SlipFront:
    """Slip on a line in plane strain, with ``n`` cells over its half-length in the end.

    Parameters
    ----------
    stress
        T.
    n
        Cells over the front in the end.
    far
        Distance of the sides of the body over that length, or over that which the fluid gets to where it is longer.
    steps
        Time steps, in each of which the front is to grow by the same length: their errors of first order in dt/t fall.
    distortion
        Of the cells that the fault does not pass, over their edges.

    Examples
    --------
    >>> from femnn.validation.slip_front import line_slip
    >>> slip = line_slip(0.5, n=8, steps=8)
    >>> bool(abs(slip.error[-1]) < 0.25)
    True
    """
    size = line_front(stress)
    x, z = _axes(n, far, max(1.3, 2.0 / size))
    mesh = _distorted(skfem.MeshQuad.init_tensor(x, z), distortion, {0: (0.0, x[-1]), 1: (z[0], 0.0, z[-1])})
    mesh = mesh.with_boundaries(
        {
            "axis": lambda p: p[0] == 0.0,
            # off the fault: faces that do not open at its mouth would bear what the fluid takes over
            "held": lambda p: (p[0] == 0.0) & (np.abs(p[1]) > 0.75 / n),
            "far": lambda p: (p[0] == x[-1]) | (np.abs(p[1]) == z[-1]),
            "fault": lambda p: (p[1] == 0.0) & (p[0] < 0.7 * x[-1]),
        },
        boundaries_only=False,
    )
    highest = 0.5 * _PRESSED
    conditions = Conditions(
        # the slip is even along the fault, so that its middle rises nowhere
        displacement={"held": (None, 0.0), "far": (0.0, 0.0)},
        pressure={"axis": highest, "far": 0.0},
    )
    shear = _FRICTION * (_PRESSED - stress * highest)
    in_situ = np.array([[-_PRESSED, shear], [shear, -_PRESSED]])
    reservoir = _reservoir(mesh, conditions, in_situ, n, skfem.ElementQuad1())

    def pressure(distance, t):
        return highest * erfc(distance / np.sqrt(4.0 * _DIFFUSIVITY * t))

    return _followed(reservoir, size, steps, pressure, 1.0 / n)


@checked(stress="(0, inf)", n="[3, 1000]", far="(1, inf)", steps="[2, 1000]", distortion="[0, 0.3]", method="unchecked")
def circle_slip(
    stress: float,
    n: int = 10,
    *,
    far: float = 5.0,
    steps: int = 10,
    distortion: float = 0.1,
    method: str = "gmres",
) -> SlipFront:
    """Slip on a plane without Poisson's effect, with ``n`` hexahedra over its radius in the end: a quarter of the body.

    The fluid comes in through the facet in the middle.

    Parameters
    ----------
    stress, n, far, steps, distortion
        As :func:`line_slip` takes them.
    method
        As :class:`femnn.reservoir.fault.FaultedReservoir` takes it.

    Examples
    --------
    >>> from femnn.validation.slip_front import circle_slip
    >>> slip = circle_slip(1.0, n=3, steps=3, far=3.0)
    >>> bool(abs(slip.error[-1]) < 0.5)
    True
    """
    size = circle_front(stress)
    x, z = _axes(n, far, max(1.3, 2.0 / size))
    mesh = skfem.MeshHex.init_tensor(x, x, z)
    mesh = _distorted(mesh, distortion, {0: (0.0, x[-1]), 1: (0.0, x[-1]), 2: (z[0], 0.0, z[-1])})
    corners = mesh.p[:, mesh.facets]
    outer = np.isin(np.arange(mesh.nfacets), mesh.boundary_facets())
    level = (corners[2] == 0.0).all(axis=0)
    on_fault = level & (corners[:2].max(axis=(0, 1)) < 0.8 * x[-1])
    well = on_fault & (corners[:2] == 0.0).all(axis=0).any(axis=0)
    sides = {
        "x": outer & (corners[0] == 0.0).all(axis=0),
        # off the fault: faces that do not open would bear what the fluid takes over
        "held": outer & (corners[0] == 0.0).all(axis=0) & (corners[2] != 0.0).all(axis=0),
        "y": outer & (corners[1] == 0.0).all(axis=0),
        "far": outer & ((corners[:2] == x[-1]).all(axis=1).any(axis=0) | (np.abs(corners[2]) == z[-1]).all(axis=0)),
        "fault": on_fault,
        "well": well,
    }
    mesh = mesh.with_boundaries({name: np.flatnonzero(own) for name, own in sides.items()})
    # so weak that the strength is left nearly everywhere
    scale = 0.04 * _PRESSED / max(1.0, 0.25 * stress)
    edges = mesh.p[:2, mesh.facets[:, np.flatnonzero(well)[0]]]
    facet = float(np.prod(np.ptp(edges, axis=1)))
    rate = 4.0 * np.pi * scale * _CORE["along"] * _CORE["thickness"] / _VISCOSITY
    conditions = Conditions(
        displacement={
            "x": (None, 0.0, None),
            "held": (None, None, 0.0),
            "y": (None, 0.0, None),
            "far": (0.0, 0.0, 0.0),
        },
        pressure={"far": 0.0},
        # a quarter of the rate, through both faces
        flux={"well": 0.125 * rate / facet},
    )
    shear = _FRICTION * (_PRESSED - stress * scale)
    in_situ = np.diag([-_PRESSED] * 3)
    in_situ[0, 2] = in_situ[2, 0] = shear
    reservoir = _reservoir(mesh, conditions, in_situ, n, skfem.ElementHex1(), method)

    def pressure(distance, t):
        return scale * exp1(np.maximum(distance, 1e-9) ** 2 / (4.0 * _DIFFUSIVITY * t))

    return _followed(reservoir, size, steps, pressure, 1.0 / n)


def _axes(n, far, reach):
    """Places along the fault from its middle, and across it; the front ends at 1."""
    step, places = 1.0 / n, list(np.linspace(0.0, 1.3, round(1.3 * n) + 1))
    heights = [0.0, step]
    for line in (places, heights):
        while line[-1] < far * max(1.0, 0.5 * reach):
            line.append(line[-1] + _GROWTH * (line[-1] - line[-2]))
    return np.array(places), np.concatenate([-np.array(heights)[:0:-1], heights])


def _distorted(mesh, distortion, planes):
    """Vertices moved at random by up to this part of the shortest edge at each, but along ``planes`` of each axis."""
    ends = mesh.p[:, mesh.edges if mesh.dim() == 3 else mesh.facets]
    lengths = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=0)
    shortest = np.full(mesh.nvertices, np.inf)
    for end in mesh.edges if mesh.dim() == 3 else mesh.facets:
        np.minimum.at(shortest, end, lengths)
    moves = np.random.default_rng(0).uniform(-distortion, distortion, mesh.p.shape) * shortest
    for axis, places in planes.items():
        moves[:, np.isin(mesh.p[axis], places)] = 0.0
    return type(mesh)(mesh.p + moves, mesh.t)


def _reservoir(mesh, conditions, stress, n, element: Any, method="auto"):
    law = ContactCohesive(_STIFF * _YOUNG * n, friction=_FRICTION)
    fault = Fault(Interface.split(mesh, "fault"), law, ConstantCore(**_CORE), stress=stress)
    rock = PorousMedium(young=_YOUNG, poisson=0.0, viscosity=_VISCOSITY, **_ROCK)
    return FaultedReservoir(rock, conditions, fault, element=element, method=method)


def _followed(reservoir, size, steps, pressure, cell):
    state, rows, balance = reservoir.initial_state(), [], 0.0
    distance = np.linalg.norm(reservoir.points.x[:-1], axis=0)
    last = 1.0 / (4.0 * _DIFFUSIVITY * size**2)
    for t in last * np.linspace(1.0 / steps, 1.0, steps) ** 2:
        new = reservoir.step(state, t - state.t)
        balance, state = max(balance, float(reservoir.balance(state, new).error.max())), new
        fields = reservoir.fields(state)
        slides = fields.slip_tendency >= _FRICTION * (1.0 - _SLIDES)
        exact = size * np.sqrt(4.0 * _DIFFUSIVITY * t)
        beyond = distance > 0.1 * exact
        gap = np.abs(fields.pressure.mean(axis=(0, 1)) - pressure(distance, t))[beyond].max()
        front = _front(distance[slides], fields.slip[slides], _READ * cell)
        rows.append((t, front, exact, gap / pressure(0.1 * exact, t)))
    return SlipFront(*np.array(rows).T, balance)


def _front(distance, slip, width):
    """Where the slip (n,) of what slides comes to nothing, by its values within ``width`` of the furthest ``distance``.

    Its stress intensity vanishes at the front, so that it falls there like the power 3/2 of what is left: its power 2/3
    is a line.
    """
    if not len(distance):
        return 0.0
    near = distance > distance.max() - width
    if np.ptp(distance[near]) <= 0.0:
        return float(distance.max())
    slope, value = np.polyfit(distance[near], slip[near] ** (2.0 / 3.0), 1)
    return float(-value / slope) if slope < 0.0 else float(distance.max())
