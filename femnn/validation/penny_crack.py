"""A penny-shaped crack under shear in a porous body of hexahedra, whose faces slide without friction."""

from typing import Any, NamedTuple

import numpy as np
import skfem

from femnn.checks import checked
from femnn.cohesive.classical import BilinearCohesive
from femnn.fields.facets import facet_means
from femnn.interfaces.split import Interface
from femnn.reservoir.conditions import Conditions
from femnn.reservoir.fault.points import Fault
from femnn.reservoir.fault.problem import FaultedReservoir
from femnn.reservoir.medium import PorousMedium
from femnn.validation.consolidation import cylinder

# Faces press on each other with so many times the shear stress, and their stiffness is so many times that of the rock.
_PRESSED, _STIFF = 10.0, 1e3

# Cells over the radius end at 1 − (1 − r)^grading where equal ones end at r, so that the slip, a root of the distance
# from the tip, changes alike in all of them; beyond, cells grow by this part of their distance from the tip.
_GRADING, _GROWTH = 2.0, 0.7


class Sliding(NamedTuple):
    """Slip of the faces, means over the facets of the crack.

    Attributes
    ----------
    r : (facets,)
        Distance from the middle, m.
    slip : (facets,)
        m.
    exact : (facets,)
        Of a crack in an infinite body, m.
    """

    r: np.ndarray
    slip: np.ndarray
    exact: np.ndarray

    @property
    def error(self) -> float:
        """Largest difference over the largest slip."""
        return float(np.abs(self.slip - self.exact).max() / self.exact.max())


@checked(n="[1, 200]", far="(1, inf)", element="unchecked", method="unchecked")
def penny_crack(
    n: int,
    far: float = 6.0,
    *,
    shear: float = 1e6,
    element: Any = None,
    medium: PorousMedium | None = None,
    method: str = "auto",
) -> Sliding:
    """Slip of a crack of radius 1 m with 2 n cells over it, in a cylinder of radius and half-height ``far`` (m).

    A quarter of the body: by symmetry u_y = 0 where y = 0, u_y = u_z = 0 where x = 0, and u_x = u_y = 0 ahead of the
    crack in its plane. With the shear stress τ far away, Poisson's ratio ν and the shear modulus G the exact slip along
    x is 8 (1 − ν)/(π (2 − ν)) τ/G √(1 − r²) (J. D. Eshelby, Proc. R. Soc. A 241 (1957) 376-396).

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation.penny_crack import penny_crack
    >>> sliding = penny_crack(1, far=3.0, element=skfem.ElementHex1())
    >>> sliding.error < 0.5
    True
    """
    medium = PorousMedium(young=10e9, poisson=0.25, permeability=1e-12) if medium is None else medium
    mesh = _mesh(n, far)
    young, modulus, poisson = float(medium.young[0]), float(medium.mu[0]), float(medium.poisson[0])
    strength = 1e-3 * shear
    stiffness = _STIFF * young / far
    opening = 1e3 * strength / stiffness
    law = BilinearCohesive(strength, strength, strength * opening, strength * opening, stiffness=stiffness)
    # it has slid until nothing of its cohesion was left
    history = np.array([[0.0, share * law.separation_scale, 0.0] for share in np.linspace(0.1, 1.5, 15)])
    stress = -_PRESSED * shear * np.eye(3)
    fault = Fault(Interface.split(mesh, "crack"), law, stress=stress, history=history)
    # far away simple shear: moved ends, and on the mantle the stress that goes with it
    moved = (lambda x, t: shear / modulus * x[2], None, None)
    conditions = Conditions(
        displacement={
            "x": (None, 0.0, 0.0),
            "y": (None, 0.0, None),
            "ahead": (0.0, 0.0, None),
            "top": moved,
            "bottom": moved,
        },
        traction={"mantle": (None, None, lambda x, t: shear * x[0] / np.hypot(x[0], x[1]))},
        pressure={"mantle": 0.0, "top": 0.0, "bottom": 0.0},
    )
    reservoir = FaultedReservoir(medium, conditions, fault, element=element, method=method)
    # so long that no pressure is left
    state = reservoir.step(reservoir.initial_state(), 1e12)
    fields = reservoir.fields(state)
    r = np.linalg.norm(fields.x[:2], axis=0)
    areas = reservoir.points.dx.reshape(len(fault.interface), -1)
    size = 8.0 * (1.0 - poisson) / (np.pi * (2.0 - poisson)) * shear / modulus
    profile = size * np.sqrt(np.maximum(1.0 - r**2, 0.0))
    return Sliding(*(facet_means(areas, name, v) for name, v in (("r", r), ("slip", fields.slip), ("exact", profile))))


def _mesh(n, far):
    """Cells of one size over the crack, growing away from it; along z on both sides of it."""
    disc = cylinder(n, layers=1)
    flat = np.flatnonzero(disc.p[2] == 0.0)
    # the disc's cells, which get smaller towards the tip as the slip gets steeper, and rings around it
    step, radii = (0.5 / n) ** _GRADING, [1.0]
    while radii[-1] < far:
        radii.append(min(radii[-1] + step + _GROWTH * (radii[-1] - 1.0), far))
    if len(radii) > 2 and far - radii[-2] < 0.5 * (radii[-2] - radii[-3]):
        del radii[-2]
    heights = np.array(radii) - 1.0
    heights = heights * far / heights[-1]
    z = np.concatenate([-heights[:0:-1], heights])
    faces = disc.facets[:, np.isin(disc.facets, flat).all(axis=0)]
    number = np.full(disc.nvertices, -1)
    number[flat] = np.arange(len(flat))
    quads, p = number[faces], disc.p[:2, flat]
    r = np.minimum(np.hypot(*p), 1.0)
    p = p * np.divide(1.0 - (1.0 - r) ** _GRADING, r, out=np.ones_like(r), where=r > 0.0)
    rim = np.flatnonzero(np.abs(np.hypot(*p) - 1.0) < 1e-9)
    rim = rim[np.argsort(np.arctan2(p[1, rim], p[0, rim]))]
    points, rings, last = [p], [quads], rim
    for radius in radii[1:]:
        now = sum(part.shape[1] for part in points) + np.arange(len(rim))
        points.append(radius * p[:, rim])
        rings.append(np.array([last[:-1], now[:-1], now[1:], last[1:]]))
        last = now
    return _extruded(np.concatenate(points, axis=1), np.concatenate(rings, axis=1), z, far)


def _extruded(p, quads, z, far):
    middle = skfem.MeshQuad(p, quads)
    turn = np.sign(middle.mapping().detDF(np.array([[0.5], [0.5]])).ravel())
    quads = np.where(turn > 0.0, quads, quads[[0, 3, 2, 1]])
    n, layers = p.shape[1], len(z) - 1
    points = np.vstack([np.tile(p, layers + 1), np.repeat(z, n)])
    below = np.concatenate([quads + n * k for k in range(layers)], axis=1)
    # scikit-fem's order of (x, y, z) in the unit cube: 111, 110, 101, 011, 100, 010, 001, 000
    a, b, c, d = below
    cells = np.array([c + n, c, b + n, d + n, b, d, a + n, a])
    mesh = skfem.MeshHex(points, cells)
    corners = mesh.p[:, mesh.facets]
    radius, level = np.hypot(corners[0], corners[1]), corners[2]
    outer = np.zeros(mesh.nfacets, dtype=bool)
    outer[mesh.boundary_facets()] = True
    small = 1e-9 * far
    sides = {
        "x": outer & (np.abs(corners[0]) < small).all(axis=0),
        "y": outer & (np.abs(corners[1]) < small).all(axis=0),
        "mantle": outer & (np.abs(radius - far) < 1e-6 * far).all(axis=0),
        "top": outer & (level == z[-1]).all(axis=0),
        "bottom": outer & (level == z[0]).all(axis=0),
        "ahead": (np.abs(level) < small).all(axis=0) & (radius > 1.0 - 1e-6).all(axis=0),
        "crack": (np.abs(level) < small).all(axis=0) & (radius < 1.0 + 1e-6).all(axis=0),
    }
    return mesh.with_boundaries({name: np.flatnonzero(own) for name, own in sides.items()})
