"""Where fluid flows in an embedded fault: its part of each cut cell, the ways between them, and to the pores around.

Each cut cell c has one pressure of the fault. With the conductance C = k_∥ a/μ, the area A of the crack in the cell and
the pressure p̄ of the pores at the crack,

    flow between neighbours   T (p_c − p_c'),    1/T = 1/(C w) + 1/(C' w'),    w = ℓ cos/distance to the edge they share
    flow to the pores         L (p_c − p̄),       A/L = d μ/k_n + 1/(4 t),     1/d = 1/d⁻ + 1/d⁺

as in the embedded discrete fracture model (L. Li, S. H. Lee, SPE Reservoir Evaluation & Engineering 11 (2008) 750-758;
H. Hajibeygi, D. Karvounis, P. Jenny, J. Comput. Phys. 230 (2011) 8729-8742), with the mobility k_n/μ of the rock along
the normal and the transmissibility t of the core by area. The pressures of the pores are linear in cells here, not one
for each: d is the distance over which a linear pressure misses the kink at the fault, from those d⁻ and d⁺ of the two
sides, twice the mean distance of the parts of the cell from the crack, which makes steady flow to a plane exact.
"""

from itertools import combinations

import numpy as np

from femnn.exceptions import MeshError, ParameterError
from femnn.geometry.mesh import RelativeMapping
from femnn.integration.gauss import gauss_legendre, tensor_gauss
from femnn.interfaces.embedded_crack import EmbeddedCrack

# Points along the other axes of a cell by which the parts on both sides of a crack are measured.
_POINTS = 6

# Length of the crack in a cell over the size of the cell, below which there is no room for a pressure of its own.
_LEAST = 1e-4

# Of Newton's method for places in reference cells, and a step that ends it.
_MOST_ITERATIONS, _CLOSE = 50, 1e-10


class Channels:
    """The parts of an embedded crack in the cells of a porous problem, and what they are connected to.

    Parameters
    ----------
    crack : EmbeddedCrack
    porous : PorousProblem

    Attributes
    ----------
    area : (n,)
        Of the crack in each cut cell, m² (m per metre of thickness).
    shapes : (n, nqp, k)
        Of the pressures of the pores, at the points of the crack.
    mean : (n, k)
        Their means over the crack in each cell.
    dofs : (n, k) int
        Pressures of a pore system.
    resistance : (s, n)
        d μ/k_n of each pore system, Pa s/m; infinite where it does not conduct.
    rock : (n,)
        The same for a cell from side to side, of the pore system that conducts best.
    pairs : (c, 2) int
        Cut cells that share a facet which the crack crosses.
    ways : (c, 2)
        w of both: conductance times this is half a transmissibility.
    viscosity : (n,)
        Pa s.

    Raises
    ------
    MeshError
        If the crack cuts off hardly anything of a cell.
    """

    def __init__(self, crack: EmbeddedCrack, porous) -> None:
        self.crack, mesh = crack, crack.mesh
        self.area = crack.dx.sum(axis=1)
        _require_room(crack, self.area)
        mapping = RelativeMapping(mesh)
        basis = porous.pressure_basis
        self.dofs = basis.element_dofs[:, crack.elements].T
        local = _local(crack, mapping)
        values = [basis.elem.lbasis(local, a)[0] for a in range(basis.Nbfun)]
        self.shapes = np.stack(values, axis=-1)
        self.mean = np.einsum("nqk,nq->nk", self.shapes, crack.dx) / self.area[:, None]
        mobility = porous.constants.mobility[..., crack.elements]
        across = np.einsum("i,sijn,j->sn", crack.normal, mobility, crack.normal)
        with np.errstate(divide="ignore"):
            below, above = _sides(crack, mapping)
            self.resistance = below * above / (below + above) / across
            self.rock = (below + above) / across.max(axis=0)
        self.pairs, self.ways = _neighbours(crack)
        self.viscosity = np.broadcast_to(porous.medium.viscosity, mesh.nelements)[crack.elements]

    def __len__(self) -> int:
        return len(self.area)

    def mean_of(self, values):
        """Means (n, ...) over the crack in each cell of values (points, ...)."""
        values = values.reshape(*self.crack.dx.shape, *values.shape[1:])
        return np.einsum("nq...,nq->n...", values, self.crack.dx) / self.area.reshape(-1, *[1] * (values.ndim - 2))

    def along(self, conductance):
        """Transmissibilities T (c,) of conductances (n,), and their derivatives (c, 2) by those of both cells."""
        halves = self.ways * conductance[self.pairs]
        total = halves.sum(axis=1)
        safe = np.where(total > 0.0, total, 1.0)
        return halves.prod(axis=1) / safe, self.ways * (halves[:, ::-1] / safe[:, None]) ** 2

    def across(self, transmissibility):
        """Transmissibilities L (s, n) to the pores for that of the core by area (n,), m/(Pa s), and derivatives."""
        with np.errstate(divide="ignore", invalid="ignore"):
            skin = 0.25 / transmissibility
            leak = self.area / (self.resistance + skin)
            slope = np.where(leak > 0.0, leak**2 * skin / transmissibility, 0.0)
        return leak, slope / self.area

    def nearest(self, place):
        """The cut cell that holds a place (dim,); ParameterError if the crack does not pass there."""
        offset = np.asarray(place, dtype=float) - self.crack.centre
        distance = np.linalg.norm(offset, axis=1)
        cell = int(distance.argmin())
        size = _sizes(self.crack)[cell]
        if abs(offset[cell] @ self.crack.normal) > 1e-3 * size or distance[cell] > size * len(offset[cell]) ** 0.5:
            raise ParameterError(
                f"the well of the fault is at {np.asarray(place).tolist()}, {distance[cell]:.3g} m from the middle of "
                f"the fault in the nearest cut cell, {self.crack.centre[cell].tolist()}; put it on the fault, or into "
                "the conditions if it feeds the pores"
            )
        return cell


def _sizes(crack):
    """Longest extents along an axis of the cut cells, (n,)."""
    corners = crack.mesh.p[:, crack.mesh.t[:, crack.elements]]
    return np.ptp(corners, axis=1).max(axis=0)


def _require_room(crack, area):
    length, size = area ** (1.0 / (crack.mesh.dim() - 1)), _sizes(crack)
    small = length < _LEAST * size
    if small.any():
        first = int(small.argmax())
        raise MeshError(
            f"the fault cuts off hardly anything of {np.count_nonzero(small)} cells: in element "
            f"{crack.elements[first]} of the size {size[first]:.3g} m it is {length[first]:.3g} m long, "
            f"{_LEAST * size[first]:.3g} m is the least; move it a little"
        )


def _local(crack, mapping):
    """Places (dim, n, nqp) of the points of a crack in the reference cell.

    The crack is flat and the faces of hexahedra are not, so that points may be a little outside, where scikit-fem's own
    search does not go.
    """
    x = crack.x.transpose(2, 0, 1)
    local = np.full(x.shape, 0.5)
    for _ in range(_MOST_ITERATIONS):
        missing = x - mapping.F(local, tind=crack.elements)
        step = np.einsum("ijkl,jkl->ikl", mapping.invDF(local, tind=crack.elements), missing)
        local = local + step
        size = np.abs(step).max(axis=(0, 2))
        if (size < _CLOSE).all():
            return local
    raise MeshError(
        f"the fault has points in element {crack.elements[size.argmax()]} that are no points of it; the element is too "
        "distorted for a fault through it, repair it or move the fault"
    )


def _sides(crack, mapping):
    """d⁻ and d⁺ (n,): between boxes, how far the cell reaches on both sides of the crack."""
    dim, n = crack.mesh.dim(), len(crack)
    points, weights = tensor_gauss(_POINTS, _POINTS) if dim == 3 else gauss_legendre(_POINTS)
    points = points.reshape(dim - 1, -1)
    steepest, sides = np.full(n, -1.0), np.ones((2, n))
    for axis in range(dim):
        low, middle, high = (np.insert(points, axis, place, axis=0) for place in (0.0, 0.5, 1.0))
        # cells are linear along each of their axes, so that integrals along one are exact
        low, high = (
            (mapping.F(ends, tind=crack.elements).transpose(1, 2, 0) - crack.centre[:, None]) @ crack.normal
            for ends in (low, high)
        )
        volume = np.abs(mapping.detDF(middle, tind=crack.elements)) * weights
        reach = [np.maximum(sign * low, 0.0) + np.maximum(sign * high, 0.0) for sign in (-1.0, 1.0)]
        slope = (np.abs(high - low) * volume).sum(axis=1) / volume.sum(axis=1)
        chosen = slope > steepest
        for side, own in zip(sides, reach, strict=True):
            part = (volume * own / (reach[0] + reach[1]))[chosen]
            side[chosen] = (own[chosen] * part).sum(axis=1) / part.sum(axis=1)
        steepest = np.maximum(slope, steepest)
    return sides


def _neighbours(crack):
    """Pairs (c, 2) of cut cells at a facet that the crack crosses, and ℓ cos/distance to it from both, (c, 2)."""
    mesh, dim = crack.mesh, crack.mesh.dim()
    place = np.full(mesh.nelements, -1)
    place[crack.elements] = np.arange(len(crack))
    inner = np.flatnonzero(mesh.f2t[1] >= 0)
    facets = inner[(place[mesh.f2t[:, inner]] >= 0).all(axis=0)]
    corners = mesh.elem.doflocs
    candidates = np.array(list(combinations(range(len(corners)), 2)))
    edges = candidates[np.abs(corners[candidates[:, 0]] - corners[candidates[:, 1]]).sum(axis=1) == 1.0]
    pairs, ways = [], []
    for facet in facets:
        both = place[mesh.f2t[:, facet]]
        vertices = mesh.t[edges, crack.elements[both[0]]]
        away = (mesh.p[:, vertices].transpose(1, 2, 0) - crack.centre[both[0]]) @ crack.normal
        crossed = np.isin(vertices, mesh.facets[:, facet]).all(axis=1) & ((away > 0.0).sum(axis=1) == 1)
        if np.count_nonzero(crossed) != dim - 1:
            continue
        first, second = away[crossed].T
        part = (first / (first - second))[:, None]
        ends = (1.0 - part) * mesh.p[:, vertices[crossed, 0]].T + part * mesh.p[:, vertices[crossed, 1]].T
        pairs.append(both)
        ways.append([_way(ends, crack.centre[cell], crack.normal) for cell in both])
    return np.array(pairs, dtype=int).reshape(-1, 2), np.array(ways).reshape(-1, 2)


def _way(ends, centre, normal):
    """ℓ cos/distance from a centre to the edge between ``ends`` (1 or 2, dim) in the plane of a crack."""
    way = ends.mean(axis=0) - centre
    if len(ends) == 1:
        return 1.0 / np.linalg.norm(way)
    across = np.cross(normal, ends[1] - ends[0])
    return abs(way @ across) / (way @ way)
