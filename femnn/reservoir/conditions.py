"""Supports, loads, drains and feeds of a porous body: by named boundary, constant or changing with place and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from femnn.exceptions import MeshError, ParameterError


class Well(NamedTuple):
    """A well, in the plane one that crosses it: it feeds a rate, or it holds a pressure.

    Attributes
    ----------
    x : (dim,)
        Place, m.
    rate
        m³/s (m²/s in two dimensions, per metre of thickness): a number for a single pore system, or one per system.
    pressure
        Over that at rest, Pa: a number for all systems, or one per system, None where the well is not open to it. A
        :class:`femnn.reservoir.Schedule` shuts the well outside its intervals. What flows is
        2 π k/(μ ln(r_e/r_w)) (p_w − p), see :mod:`femnn.reservoir.wells`.
    radius
        r_w, m, of wells that hold a pressure.
    well_index
        Flow by pressure, m³/(Pa s), one per system, in place of what ``radius`` gives; needed in three dimensions.

    Rates and pressures may be functions (x, t). Give one of the two.

    Examples
    --------
    >>> from femnn.reservoir import Conditions, Well
    >>> wells = [Well(x=(50.0, 20.0), rate=1e-5), Well(x=(90.0, 20.0), pressure=-2e6, radius=0.1)]
    >>> Conditions(wells=wells).wells[0].rate
    1e-05

    See Also
    --------
    femnn.reservoir.Schedule : rates and pressures that change in time
    """

    x: Sequence
    rate: object = None
    pressure: object = None
    radius: float = 0.1
    well_index: object = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """Boundary conditions and loads. A boundary that is not named is free of traction and closed to the fluid.

    Every value is a number or a function of the place x (dim, ...) and the time t. What is one per pore system is a
    sequence (macropores, micropores); in a single pore system it may be the value itself, and so may pressures that are
    the same in both. None stands for nothing prescribed. Where two boundaries meet, the one named later prescribes.

    Parameters
    ----------
    displacement
        ``{boundary: one value per axis}``, m.
    rigid
        ``{boundary: axis}``: it stays plane, all its points have the same unknown displacement along the axis, as
        under a rigid smooth plate.
    traction
        ``{boundary: one value per axis}``, Pa; pressure on the top of a column is (0, −p).
    pressure
        ``{boundary: one value per system}``, Pa.
    flux
        ``{boundary: one value per system}``: volume that flows into the body per area and time, m/s; also on facets
        inside the mesh, such as those of a well's screen.
    wells
        Sequence of :class:`Well`.
    body_force
        One value per axis, N/m³.
    source
        One value per system: volume of fluid per volume and time, 1/s.

    Examples
    --------
    >>> from femnn.reservoir import Conditions
    >>> drained = Conditions(displacement={"bottom": (0.0, 0.0)}, traction={"top": (0.0, -1e6)}, pressure={"top": 0.0})
    >>> sorted(drained.displacement), drained.wells
    (['bottom'], ())
    """

    displacement: Mapping = field(default_factory=dict)
    rigid: Mapping = field(default_factory=dict)
    traction: Mapping = field(default_factory=dict)
    pressure: Mapping = field(default_factory=dict)
    flux: Mapping = field(default_factory=dict)
    wells: Sequence = ()
    body_force: Sequence | None = None
    source: object = None


def boundary(mesh, name):
    """Facets of a named boundary, (k,).

    Raises
    ------
    MeshError
        If the mesh has no such boundary, or it has no facets.
    """
    boundaries = mesh.boundaries or {}
    if name not in boundaries:
        names = ", ".join(map(repr, boundaries)) or "none"
        raise MeshError(
            f"the mesh has no boundary {name!r}, it has {names}; name it with mesh.with_boundaries({{{name!r}: ...}})"
        )
    facets = np.asarray(boundaries[name])
    if len(facets) == 0:
        raise MeshError(f"boundary {name!r} of the mesh has no facets; check how it was named")
    return facets


def per_axis(values, dim, what):
    """One value per axis as a tuple."""
    if not isinstance(values, Sequence | np.ndarray) or len(values) != dim:
        raise ParameterError(
            f"{what} is {values!r}; give one value for each of the {dim} axes, None where there is none"
        )
    return tuple(values)


def per_system(value, systems, what, alike=False):
    """One value per pore system as a tuple; ``alike``: a single value holds for all."""
    if isinstance(value, Sequence | np.ndarray):
        if len(value) == len(systems):
            return tuple(value)
    elif alike or len(systems) == 1:
        return (value,) * len(systems)
    raise ParameterError(
        f"{what} is {value!r}; give one value for each pore system ({', '.join(systems)}), None where there is none"
    )


def evaluate(value, x, t, what):
    """A value at places x (dim, ...) and time t, as an array of their shape.

    Raises
    ------
    ParameterError
        If it is not finite there, or has another shape.
    """
    try:
        values = np.broadcast_to(np.asarray(value(x, t) if callable(value) else value, dtype=float), x.shape[1:])
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what} is no number for each of the places {x.shape[1:]}: {error}") from error
    if not np.isfinite(values).all():
        at = x.reshape(len(x), -1)[:, np.flatnonzero(~np.isfinite(values.ravel()))[0]]
        raise ParameterError(f"{what} is not finite at x = {at.tolist()}, t = {t:.6g} s; repair the function")
    return values
