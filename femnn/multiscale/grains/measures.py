"""Averages inside a layer of grains: over its contacts, and over the space that its grains take.

Vectors have the components (normal to the layer, first shear, second shear), as separations have. Contacts are given
by their branch vectors, from the second grain's centre to the first's, and by the forces on the first grain.
"""

from typing import NamedTuple

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError

# Below this fraction of the confining pressure a layer counts as carrying that much, where one divides by its traction.
LEAST_PRESSURE = 0.05


class Contacts(NamedTuple):
    """Contacts between grains.

    Attributes
    ----------
    first, second : (c,) int
        Which grains touch.
    branch : (c, 3)
        Centre of the first less that of the second.
    force : (c, 3)
        On the first.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import Contacts
    >>> touching = Contacts(np.array([0]), np.array([1]), np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 2.0]]))
    >>> touching.branch.shape
    (1, 3)
    """

    first: np.ndarray
    second: np.ndarray
    branch: np.ndarray
    force: np.ndarray


@checked()
def love_weber(contacts: Contacts, height: np.ndarray, bottom: float, top: float, area: float) -> np.ndarray:
    """Mean stress (3, 3) of the slice between two heights, positive in tension (Love-Weber, Weber 1966).

    -1/V Σ force ⊗ branch, with only the part of each branch that lies in the slice: then the mean over the slice of
    the force through its horizontal planes is what the sum is in equilibrium, whatever the grains do that it cuts.

    Parameters
    ----------
    contacts : Contacts
    height : (n,)
        Of the centres of all grains.
    bottom, top, area : float
        Of the slice.

    Examples
    --------
    Two grains, one above the other, that push each other apart with a force of 2:

    >>> import numpy as np
    >>> from femnn.multiscale.grains import Contacts, love_weber
    >>> touching = Contacts(np.array([1]), np.array([0]), np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 2.0]]))
    >>> love_weber(touching, np.array([0.0, 1.0]), bottom=0.0, top=1.0, area=4.0) + 0.0
    array([[ 0. ,  0. ,  0. ],
           [ 0. ,  0. ,  0. ],
           [ 0. ,  0. , -0.5]])
    """
    ends = height[contacts.first], height[contacts.second]
    low, high = np.minimum(*ends), np.maximum(*ends)
    inside = (np.minimum(high, top) - np.maximum(low, bottom)).clip(0.0)
    level = high - low < 1e-12
    fraction = np.where(level, (low >= bottom) & (low <= top), inside / np.where(level, 1.0, high - low))
    total = np.einsum("c,ci,cj->ij", fraction, contacts.force, contacts.branch)
    return -total / (area * (top - bottom))


@checked()
def coordination_number(contacts: Contacts, counted: np.ndarray) -> float:
    """Contacts per grain, mean over the grains that are ``counted`` (n,) bool.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import Contacts, coordination_number
    >>> chain = Contacts(np.array([0, 1]), np.array([1, 2]), np.ones((2, 3)), np.ones((2, 3)))
    >>> float(coordination_number(chain, np.array([True, True, True])).round(3))
    1.333
    """
    return (counted[contacts.first].sum() + counted[contacts.second].sum()) / counted.sum()


@checked()
def fabric_tensor(contacts: Contacts) -> np.ndarray:
    """Mean of n ⊗ n over the contacts with normals n (Satake 1982), (3, 3) with trace 1; isotropic without contacts.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import Contacts, fabric_tensor
    >>> upright = Contacts(np.array([0]), np.array([1]), np.array([[0.0, 0.0, 1.0]]), np.ones((1, 3)))
    >>> fabric_tensor(upright)
    array([[0., 0., 0.],
           [0., 0., 0.],
           [0., 0., 1.]])
    """
    if not len(contacts.branch):
        return np.eye(3) / 3.0
    normal = contacts.branch / np.linalg.norm(contacts.branch, axis=1)[:, None]
    return normal.T @ normal / len(normal)


def porosity(height, radius, bottom, top, area):
    """Fraction of the slice between two heights that spheres leave free, cut ones counted by their part inside.

    Overlaps at contacts count twice; those of the layers here are below 0.2 % of the solid.
    """
    solid = _below(top - height, radius) - _below(bottom - height, radius)
    return 1.0 - solid.sum() / (area * (top - bottom))


def _below(plane, radius):
    """Volumes of spheres about zero that lie below planes at these heights."""
    plane = np.clip(plane, -radius, radius)
    return np.pi / 3.0 * (plane + radius) ** 2 * (2.0 * radius - plane)


def kozeny_carman(porosity, diameter):
    """Permeability φ³ d²/(180 (1 − φ)²) of a packing of spheres (Carman 1937), in the unit of ``diameter`` squared.

    ``diameter`` is the mean by surface, Σd³/Σd²: see :func:`surface_diameter`.
    """
    return porosity**3 * diameter**2 / (180.0 * (1.0 - porosity) ** 2)


def surface_diameter(diameters):
    """Sauter's mean diameter: the one with the same surface per volume as all spheres together."""
    return (diameters**3).sum() / (diameters**2).sum()


def inertial_number(rate, pressure):
    """Shear rate × d √(ρ/p), in units where d, ρ and the confining pressure are 1; quasi-static below about 1e-3."""
    return rate / np.sqrt(np.maximum(pressure, LEAST_PRESSURE))


@checked(traction="... 3", other="... 3")
def mismatch(traction: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distance of two tractions (..., 3) over the size of the first, at least :data:`LEAST_PRESSURE`.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import mismatch
    >>> float(mismatch(np.array([-1.0, 0.5, 0.0]), np.array([-1.0, 0.4, 0.0])).round(3))
    0.089
    """
    if traction.shape != other.shape and other.ndim > 1 and traction.ndim > 1:
        raise ParameterError(f"tractions have shape {traction.shape}, the others {other.shape}; pass equal shapes")
    size = np.linalg.norm(traction, axis=-1)
    return np.linalg.norm(traction - other, axis=-1) / np.maximum(size, LEAST_PRESSURE)
