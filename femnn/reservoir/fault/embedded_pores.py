"""The pressures of the pores around an embedded fault: continuous across it, or one on each side of a fault that seals.

On a fault that seals, p = Σ N_a p_a + Σ N_a (H − H_a) b_a with the Heaviside function H of the crack: vertices keep the
pressures of their own side, and both parts of a cut cell have linear pressures that know nothing of each other, as for
the displacements of T. Belytschko, T. Black, Int. J. Numer. Meth. Engng 45 (1999) 601-620, or the twofold elements of
A. Hansbo, P. Hansbo, CMAME 193 (2004) 3523-3540, which are the same. b_a is zero on facets behind which the fault does
not go on, so that no flow gets lost around a tip. The fault exchanges fluid with each side through half of its core,

    q^± = 2 t A (p_f − p̄^±),

and the kink at the fault, which a continuous linear pressure misses, is resolved.
"""

import numpy as np

from femnn.exceptions import ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.integration.gauss import tensor_gauss
from femnn.interfaces.cut_cells import CutCells


class ContinuousPores:
    """One linear pressure in each cut cell.

    Attributes
    ----------
    columns : (n, c) int
        Unknowns of a pore system around each cut cell: vertices, then the jumps of :attr:`vertices` behind all of them.
    vertices : (b,) int
        At which the pressure jumps.
    sides : list of (n, c)
        Pressures beside the fault that it leaks to, by the unknowns.
    """

    def __init__(self, channels) -> None:
        self.columns, self.vertices = channels.dofs, np.zeros(0, dtype=int)
        self.sides, self._channels = [channels.mean], channels

    def pressed(self, values):
        """Of values by vertex (n, m, k), of what acts at the fault: by unknown, (n, m, c)."""
        return values

    def strained(self, values):
        """Of volumes by vertex (n, k, m) that jumps of the displacements take, by unknown, (n, c, m)."""
        return values

    def leak(self, transmissivity):
        """Transmissibilities (s, n) to each of :attr:`sides`, and their derivatives by the transmissivity (n,)."""
        return self._channels.across(transmissivity)


class SidedPores(ContinuousPores):
    """One linear pressure on each side of a cut cell.

    Parameters
    ----------
    channels : Channels
    porous : PorousProblem
        Its conditions are asked for what would have to know of the sides.
    elements : EmbeddedElements

    Raises
    ------
    ParameterError
        If a well, a flux or a source feeds a cut cell: it would have to be told to which side.
    """

    def __init__(self, channels, porous, elements) -> None:
        super().__init__(channels)
        crack, dofs = channels.crack, channels.dofs
        _require_apart(crack, porous)
        self.vertices, place = np.unique(dofs, return_inverse=True)
        ends = np.isin(self.vertices, porous.pressure_basis.nodal_dofs[0, _at_tips(crack)])
        self.vertices, number = self.vertices[~ends], np.cumsum(~ends) - 1
        jumps = ~ends[place.reshape(dofs.shape)]
        # what does not jump stands for any unknown, with no weight
        own = np.where(jumps, porous.pressure_basis.N + number[place.reshape(dofs.shape)], dofs)
        self.columns = np.concatenate([dofs, own], axis=1)
        n, k = dofs.shape
        plus = crack.plus.astype(float)
        self._by_side = np.zeros((2, n, k, 2 * k))
        for side, jump in enumerate((-plus, 1.0 - plus)):
            self._by_side[side, :, range(k), range(k)] = 1.0
            self._by_side[side, :, range(k), range(k, 2 * k)] = (jump * jumps).T
        self.sides = [np.einsum("na,nac->nc", channels.mean, own) for own in self._by_side]
        self._cells, self._elements, self._porous = CutCells(crack), elements, porous
        self._swelling = self._cells.swelling()

    def pressed(self, values):
        """As of continuous pressures: the mean of both sides acts."""
        return 0.5 * np.einsum("nma,snac->nmc", values, self._by_side)

    def strained(self, values):
        """As of continuous pressures; those of a jump take what its side has."""
        return np.concatenate([values, self._jumps(self._swelling @ self._elements.moved[:, None])], axis=1)

    def leak(self, transmissivity):
        """As of continuous pressures: through half the core, whatever the rock beside it."""
        each = np.ones((len(self._porous.systems), 1)) * self._channels.area
        return 2.0 * transmissivity * each, 2.0 * each

    def swelling(self):
        """∫ q div v of both parts of a cell, by unknown, without what continuous pressures have, (n, c, k · dim)."""
        of_jumps = self._jumps(self._swelling)
        return np.concatenate([np.zeros_like(of_jumps), of_jumps], axis=1)

    def stored(self, first, second):
        """Of two pore systems, what cut cells store by pressure beyond that of continuous pressures, (n, c, c)."""
        constants, cells = self._porous.constants, self._channels.crack.elements
        masses, loads = self._cells.masses(), self._cells.loads()
        storage = constants.storage[first, second][cells][:, None, None, None] * masses
        steady = (0.5 * constants.biot[first] * constants.biot[second] / constants.mu)[cells][:, None, None]
        return self._beyond(storage + steady[:, None] * _unresolved(masses, loads), storage.sum(axis=1)) - self._first(
            steady * _unresolved(masses.sum(axis=1), loads.sum(axis=1))
        )

    def conducted(self, system):
        """Flow in cut cells by pressure beyond that of continuous pressures, (n, c, c)."""
        mobility = self._porous.constants.mobility[system][..., self._channels.crack.elements]
        return self._beyond(self._cells.conduction(mobility), _conduction(self._channels.crack, mobility))

    def exchanged(self):
        """Flow between the pore systems by their difference beyond that of continuous pressures, (n, c, c)."""
        exchange = self._porous.constants.exchange[self._channels.crack.elements]
        masses = exchange[:, None, None, None] * self._cells.masses()
        return self._beyond(masses, masses.sum(axis=1))

    def _jumps(self, of_sides):
        """Rows (n, k, ...) of the jumps of what both sides have, (n, 2, k, ...)."""
        k = of_sides.shape[2]
        return np.einsum("snac,nsaj->ncj", self._by_side[..., k:], of_sides)

    def _beyond(self, of_sides, continuous):
        """Matrices (n, c, c) of those of both sides (n, 2, k, k), less those of continuous pressures (n, k, k)."""
        own = np.einsum("snac,nsab,snbd->ncd", self._by_side, of_sides, self._by_side, optimize=True)
        return own - self._first(continuous)

    def _first(self, blocks):
        n, k, _ = blocks.shape
        whole = np.zeros((n, 2 * k, 2 * k))
        whole[:, :k, :k] = blocks
        return whole


def _unresolved(masses, loads):
    """∫ (p − Πp)(q − Πq) with means Πp, (..., k, k), as :func:`femnn.reservoir.integrals.unresolved` has it."""
    volumes = loads.sum(axis=-1)[..., None, None]
    return masses - loads[..., :, None] * loads[..., None, :] / volumes


def _conduction(crack, mobility):
    """What the porous problem has of cut cells, by its own two points along each axis, (n, k, k)."""
    mesh, mapping = crack.mesh, RelativeMapping(crack.mesh)
    dim = mesh.dim()
    points, weights = tensor_gauss(*[2] * dim)
    element = mesh.elem()
    slopes = np.array([element.lbasis(points, a)[1] for a in range(len(mesh.t))])
    flat = np.repeat(points[:, None], len(crack), axis=1)
    slopes = np.einsum("ijnq,aiq->nqaj", mapping.invDF(flat, tind=crack.elements), slopes)
    dx = np.abs(mapping.detDF(flat, tind=crack.elements)) * weights
    return np.einsum("nqai,ijn,nqbj,nq->nab", slopes, mobility, slopes, dx, optimize=True)


def _crossed(crack):
    """Facets (f,) of cut cells that the crack goes through."""
    mesh = crack.mesh
    side = np.zeros(mesh.nvertices)
    found = []
    for element, plus in zip(crack.elements, crack.plus, strict=True):
        side[mesh.t[:, element]] = np.where(plus, 1.0, -1.0)
        facets = mesh.t2f[:, element]
        found.append(facets[np.abs(side[mesh.facets[:, facets]].sum(axis=0)) < len(mesh.facets)])
    return np.unique(np.concatenate(found))


def _at_tips(crack):
    """Vertices of the facets through which the crack goes, but behind which it cuts no cell of the mesh."""
    mesh, facets = crack.mesh, _crossed(crack)
    neighbours = mesh.f2t[:, facets]
    ends = facets[(neighbours[1] >= 0) & ~np.isin(neighbours, crack.elements).all(axis=0)]
    return np.unique(mesh.facets[:, ends])


def _require_apart(crack, porous):
    """Raise ParameterError if the conditions feed a cut cell."""
    mesh, conditions = crack.mesh, porous.conditions
    finder = mesh.element_finder(mapping=porous.pressure_basis.mapping)
    for well in conditions.wells:
        place = np.asarray(well.x, dtype=float)
        if np.isin(finder(*place[:, None]), crack.elements).any():
            raise ParameterError(
                f"the well at {place.tolist()} is in a cell that a sealing fault cuts, and would feed both its sides; "
                "move it to a cell beside the fault, refine the mesh there, or give the well to the fault"
            )
    if conditions.source is not None:
        raise ParameterError(
            "a source feeds all cells, also those that a sealing fault cuts, where it would have to be told from side "
            "to side; feed wells or fluxes beside the fault, or let facets follow it (Fault)"
        )
    crossed = _crossed(crack)
    for name in conditions.flux:
        facets = np.intersect1d(np.asarray(mesh.boundaries[name]), crossed)
        if len(facets):
            raise ParameterError(
                f"the flux into {name!r} feeds {len(facets)} facets that a sealing fault goes through, and would feed "
                "both of its sides; leave these facets out of the boundary, or end the fault before"
            )
