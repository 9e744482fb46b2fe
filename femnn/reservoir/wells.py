"""Wells that hold a pressure: what flows between them and the pores around them, and when they are shut.

A well of radius r_w that holds p_w feeds each pore system by

    q_i = J_i (p_w − p_i(x)),        J_i = 2 π k_i/(μ ln(r_e/r_w))

per metre of its length, p_i(x) being the computed pressure at its place: the pressure at the distance r_e from a line
source (D. W. Peaceman, SPE J. 18 (1978) 183-194), which depends on the mesh and the place in it: it is measured by
a line source in the cells around it, with the logarithm's pressure on their border.
"""

import numpy as np
import skfem
from scipy.sparse import block_diag, csr_array
from scipy.sparse.linalg import splu
from skfem.models.poisson import laplace

from femnn.exceptions import MeshError, ParameterError
from femnn.reservoir.conditions import Well, evaluate, per_system
from femnn.reservoir.schedule import Schedule

# Rings of cells around a well in which its line source is computed.
_RINGS = 4


class PressureWells:
    """All wells of a body that hold a pressure.

    Parameters
    ----------
    wells : sequence of Well
    pressure
        scikit-fem's basis of the pressures.
    systems
        Names of the pore systems.
    mobility : (s, dim, dim, n)
        Permeability over viscosity of each cell.

    Attributes
    ----------
    wells : list of Well
        Those that hold a pressure.

    Raises
    ------
    ParameterError
        If a well has neither a rate nor a pressure, or both, or its cell is smaller than its radius.
    MeshError
        If a well is outside the mesh.
    """

    def __init__(self, wells, pressure, systems, mobility) -> None:
        self._basis, self._systems = pressure, systems
        for well in wells:
            if (well.rate is None) == (well.pressure is None):
                given = "neither a rate nor a pressure" if well.rate is None else "both a rate and a pressure"
                raise ParameterError(f"the well at {np.asarray(well.x).tolist()} has {given}; give one of them")
        self.wells = [well for well in wells if well.pressure is not None]
        self._places = [np.asarray(well.x, dtype=float)[:, None] for well in self.wells]
        self._probes = [self._probe(well.x) for well in self.wells]
        self._pressures = [
            per_system(well.pressure, systems, _named(well, "pressure"), alike=True) for well in self.wells
        ]
        self._factors = [self._factors_of(well, mobility) for well in self.wells]

    def open_at(self, t):
        """Whether each well is open in each system in a step whose pressures count at the time ``t``: tuple of bool."""
        return tuple(
            pressure is not None and (not isinstance(pressure, Schedule) or pressure.covers(t))
            for own in self._pressures
            for pressure in own
        )

    def flow(self, pattern):
        """What open wells take by pressure, (s · n_p, s · n_p) sparse, symmetric."""
        n, s = self._basis.N, len(self._systems)
        blocks = [csr_array((n, n)) for _ in range(s)]
        for (well, system), is_open in zip(np.ndindex(len(self.wells), s), pattern, strict=True):
            if is_open:
                column = self._probes[well]
                blocks[system] = blocks[system] + self._factors[well][system] * (column @ column.T)
        return csr_array(block_diag(blocks))

    def rates(self, t, p):
        """Volume by time (wells, s) into the body under the pressures p (s, n_p), m³/s (m²/s in two dimensions)."""
        s, rates = len(self._systems), np.zeros((len(self.wells), len(self._systems)))
        around = self._pressures_at_wells(p)
        for (well, system), is_open in zip(np.ndindex(len(self.wells), s), self.open_at(t), strict=True):
            if is_open:
                what = _named(self.wells[well], "pressure")
                held = evaluate(self._pressures[well][system], self._places[well], t, what)[0]
                rates[well, system] = self._factors[well][system] * (held - around[well, system])
        return rates

    def held(self, t):
        """Place (dim,) and highest pressure at the time ``t`` of each well that is open."""
        s, pattern = len(self._systems), self.open_at(t)
        for number, well in enumerate(self.wells):
            values = [
                evaluate(pressure, self._places[number], t, _named(well, "pressure"))[0]
                for pressure, is_open in zip(
                    self._pressures[number], pattern[s * number : s * (number + 1)], strict=True
                )
                if is_open
            ]
            if values:
                yield self._places[number][:, 0], float(max(values))

    def inflow(self, t, p):
        """Volume by time of the test functions, (s, n_p), under the pressures p (s, n_p)."""
        fed = np.zeros((len(self._systems), self._basis.N))
        for column, rates in zip(self._probes, self.rates(t, p), strict=True):
            fed += rates[:, None] * column.toarray()[:, 0]
        return fed

    def _probe(self, x):
        return probe(self._basis, x)

    def _pressures_at_wells(self, p):
        """Computed pressures (wells, s) at the places of the wells."""
        at = [[(column.T @ own)[0] for own in p] for column in self._probes]
        return np.array(at).reshape(len(self.wells), len(self._systems))

    def _factors_of(self, well, mobility):
        """J of each system, m³/(Pa s), by metre in two dimensions."""
        if well.well_index is not None:
            given = per_system(well.well_index, self._systems, "well_index")
            factors = [0.0 if own is None else float(own) for own in given]
            if not all(np.isfinite(own) and own >= 0.0 for own in factors):
                raise ParameterError(f"{_named(well, 'well_index')} is {factors}; give numbers that are not negative")
            return factors
        if self._basis.mesh.dim() == 3:
            raise ParameterError(
                f"{_named(well, 'pressure')} is given, but a point in three dimensions has no length: give "
                "Well(..., well_index=), flow by pressure in m³/(Pa s): of a straight one 2 π k length/(μ ln(r_e/r_w))"
            )
        cell = _cells_at(self._basis, well.x)[0]
        around = equivalent_radius(self._basis.mesh, well.x)
        if not (np.isfinite(well.radius) and 0.0 < well.radius < around):
            raise ParameterError(
                f"{_named(well, 'radius')} is {well.radius:g} m; it must be positive and below {around:.3g} m, from "
                "where on the mesh resolves the flow: take larger cells, or hold the pressure on the facets of a hole"
            )
        # of an anisotropic medium the geometric mean
        mean = np.sqrt(np.maximum(np.linalg.det(mobility[:, :, :, cell]), 0.0))
        return (2.0 * np.pi * mean / np.log(around / well.radius)).tolist()


def equivalent_radius(mesh: skfem.Mesh, x: np.ndarray) -> float:
    """Distance from a line source at which its pressure is that which linear pressures have in its place, m."""
    place = np.asarray(x, dtype=float)
    element = skfem.ElementQuad1()
    chosen = _cells_at(skfem.CellBasis(mesh, element, intorder=3), place)
    for _ in range(_RINGS):
        vertices = np.zeros(mesh.p.shape[1], dtype=bool)
        vertices[mesh.t[:, chosen]] = True
        chosen = np.flatnonzero(vertices[mesh.t].any(axis=0))
    patch = mesh.restrict(chosen, skip_boundaries=True, skip_subdomains=True)
    basis = skfem.CellBasis(patch, element, intorder=3)
    stiffness, source = csr_array(laplace.assemble(basis)), np.asarray(basis.probes(place[:, None]).todense())[0]
    border = np.zeros(basis.N, dtype=bool)
    border[patch.boundary_nodes()] = True
    distance = np.linalg.norm(patch.p - place[:, None], axis=0)
    # a vertex under the source is inside
    values = np.where(border, -np.log(np.maximum(distance, 1e-300)) / (2.0 * np.pi), 0.0)
    inner = np.flatnonzero(~border)
    right = (source - stiffness @ values)[inner]
    values[inner] = splu(stiffness[inner][:, inner].tocsc()).solve(right)
    return float(np.exp(-2.0 * np.pi * (source @ values)))


def probe(basis, x):
    """Column (n_p, 1) of the shape functions at a well; MeshError if it is outside the mesh."""
    place = place_of(basis, x)
    try:
        return csr_array(basis.probes(place[:, None]).T)
    except ValueError as error:
        raise MeshError(
            f"the well at {place.tolist()} is outside the mesh, which spans {basis.mesh.p.min(axis=1).tolist()} to "
            f"{basis.mesh.p.max(axis=1).tolist()}"
        ) from error


def place_of(basis, x):
    """Place (dim,) of a well; MeshError if it is none."""
    dim, place = basis.mesh.dim(), np.asarray(x, dtype=float)
    if place.shape != (dim,) or not np.isfinite(place).all():
        raise MeshError(f"the well is at {place.tolist()}; give {dim} finite coordinates")
    return place


def _cells_at(basis, x):
    return np.atleast_1d(basis.mesh.element_finder(mapping=basis.mapping)(*np.asarray(x, dtype=float)[:, None]))


def _named(well: Well, what: str) -> str:
    return f"{what} of the well at {np.asarray(well.x).tolist()}"
