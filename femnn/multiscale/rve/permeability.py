"""Cracks as conduits: apertures that follow their opening, and the permeability tensor of a cell.

A crack is a layer of thickness h filled with grains of porosity φ, or open (φ = 1). Grains neither come nor go, so that
with the opening δ the layer has (1 − φ) h = (1 − φ0) h0 and h = h0 + δ: the porosity follows the dilation. With
Kozeny and Carman's k ∝ φ³/(1 − φ)² its transmissivity k h then is proportional to (φ h)³ = (φ0 h0 + δ)³: the cubic law
a³/12 of an aperture a that grows as the thickness of the voids does,

    a = a0 (1 + δ/(φ0 h0)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_matrix, csc_array, csr_array, hstack
from scipy.sparse.linalg import splu
from skfem import Basis, ElementHex1, ElementQuad1
from skfem.models.poisson import laplace

from femnn.checks import checked, positive
from femnn.exceptions import ParameterError
from femnn.multiscale.rve.blocks import selection
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellState

# Conductance of cracks over that of blocks, beyond which rounding hides what flows through the blocks.
_MOST_SPAN = 1e14


@dataclass(frozen=True)
class CrackFilling:
    """Filling of the cracks of a cell, before anything moves.

    Parameters
    ----------
    aperture
        Hydraulic aperture, m: that of two plates between which as much flows.
    thickness
        Of the filling, m; default: the aperture, an open crack.
    porosity
        Of the filling, above 0 and at most 1.
    residual
        Least hydraulic aperture over the first one: rough walls never close.

    Examples
    --------
    >>> from femnn.multiscale.rve import CrackFilling
    >>> filling = CrackFilling(aperture=1e-5)
    >>> filling.hydraulic_aperture([0.0, 1e-5])
    array([1.e-05, 2.e-05])
    """

    aperture: float
    thickness: float = None  # type: ignore[assignment]  # the aperture
    porosity: float = 1.0
    residual: float = 0.05

    def __post_init__(self) -> None:
        positive("aperture", self.aperture)
        if self.thickness is None:
            object.__setattr__(self, "thickness", self.aperture)
        positive("thickness", self.thickness)
        for name in ("porosity", "residual"):
            value = positive(name, getattr(self, name))
            if value > 1.0:
                raise ParameterError(f"{name}={value!r} is not allowed; it must be above 0 and at most 1")

    @classmethod
    @checked()
    def of_grains(cls, diameter: float, thickness: float, porosity: float, residual: float = 0.05) -> "CrackFilling":
        """A layer of grains (m): its permeability is Kozeny and Carman's, d² φ³/(180 (1 − φ)²)."""
        if not 0.0 < porosity < 1.0:
            raise ParameterError(f"porosity={porosity!r} is not allowed; grains leave between 0 and 1, both excluded")
        permeability = positive("diameter", diameter) ** 2 * porosity**3 / (180.0 * (1.0 - porosity) ** 2)
        aperture = (12.0 * permeability * positive("thickness", thickness)) ** (1.0 / 3.0)
        return cls(aperture, thickness, porosity, residual)

    @checked()
    def hydraulic_aperture(self, opening: ArrayLike) -> np.ndarray:
        """Hydraulic aperture of cracks that have opened by ``opening``, of any shape, m."""
        grown = 1.0 + np.asarray(opening) / (self.porosity * self.thickness)
        return self.aperture * np.maximum(grown, self.residual)

    @checked()
    def evolved_porosity(self, opening: ArrayLike) -> np.ndarray:
        """Porosity of the filling of cracks that have opened by ``opening``; no less than 0."""
        thickness = self.thickness + np.asarray(opening)
        solid = (1.0 - self.porosity) * self.thickness
        return 1.0 - np.minimum(solid / np.maximum(thickness, np.finfo(float).tiny), 1.0)


class CellPermeability:
    """Permeability of a cell: Darcy's law in the blocks, the cubic law along the cracks, one pressure for both.

    The mean flow is that of pressures p = G·x, periodic but for G·x where the cell repeats; bottom and top of a zone
    have the pressure G·x. Then G·k·G is a minimum over all pressures inside: k is symmetric and positive definite, and
    that of a zone no lower than it would be if bottom and top did not hold the pressure.

    Parameters
    ----------
    rve, filling
        The cell, and what is in its cracks.
    matrix
        Permeability of the blocks, m².

    Raises
    ------
    ParameterError
        If the permeabilities of cracks and blocks span more than double precision can solve for.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, CellPermeability, CrackFilling, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> conducts = CellPermeability(rve, CrackFilling(aperture=1e-5), matrix=1e-18)
    >>> across, along = conducts.tensor(rve.initial_state()).diagonal()
    >>> bool(along > across)  # the crack lies along the interface
    True
    """

    @checked(matrix="(0, inf)")
    def __init__(self, rve: RVE, filling: CrackFilling, matrix: float) -> None:
        cell = rve.cell
        self.rve, self.filling, self.matrix = rve, filling, positive("matrix", matrix)
        held = np.isin(cell.uncut, cell.uncut[np.concatenate([cell.bottom, cell.top])])
        if cell.height is None:
            # pressures of a volume are known but for a constant
            held = cell.uncut == cell.uncut[0]
        on_crack = np.isin(cell.uncut, cell.uncut[_beside_cracks(rve)])
        # pressures of vertices: first those on cracks, then those of unit gradients; the others are condensed
        inner, cracks = (selection(cell.uncut, chosen) for chosen in (~held & ~on_crack, ~held & on_crack))
        outer = csc_array(hstack([cracks, csc_array(cell.mesh.p.T @ cell.axes.T)]))
        element = ElementQuad1() if cell.dim == 2 else ElementHex1()
        conduction = csr_array(laplace.assemble(Basis(cell.mesh, element, intorder=3)))
        self._conduction = (outer.T @ conduction @ outer).toarray()
        if inner.shape[1]:
            coupling = (inner.T @ conduction @ outer).toarray()
            self._conduction -= coupling.T @ splu((inner.T @ conduction @ inner).tocsc()).solve(coupling)
        slopes = rve.elements.slopes() if cell.planes else _along_facets(cell.interface, rve.elements.shape_derivatives)
        self._slopes = csr_array(slopes @ outer)

    @checked()
    def tensor(self, state: CellState) -> np.ndarray:
        """Permeability (dim, dim) of a state of the cell, m², along the axes of the cell.

        Across the interface and along it for a zone, by coordinates for a volume.
        """
        cell, dx = self.rve.cell, self.rve.elements.dx
        aperture = self.filling.hydraulic_aperture(self.rve.separations(state)[:, 0]).reshape(dx.shape)
        # over the permeability of the blocks
        conductance = np.repeat((aperture**3 / 12.0 * dx).ravel() / self.matrix, cell.dim)
        n = self._conduction.shape[0] - cell.dim
        matrix = self._conduction + (self._slopes.T @ (conductance[:, None] * self._slopes.toarray()))
        self._require_solvable(matrix.diagonal()[:n])
        pressure = np.vstack([-_solved(matrix[:n, :n], matrix[:n, n:]), np.eye(cell.dim)])
        # the energy of the pressures, in which their own errors are squared: cracks conduct much more than blocks do
        along = self._slopes @ pressure
        flow = pressure.T @ self._conduction @ pressure + along.T @ (conductance[:, None] * along)
        return 0.5 * self.matrix * (flow + flow.T) / cell.volume

    @checked()
    def porosity(self, state: CellState) -> float:
        """Mean porosity of the fillings of the cracks, by their area."""
        area = self.rve.elements.dx.ravel()
        opening = self.rve.separations(state)[:, 0]
        return float(self.filling.evolved_porosity(opening) @ area / area.sum())

    @checked(tensor="... d d")
    def aperture(self, tensor: ArrayLike) -> np.ndarray:
        """Hydraulic aperture of the one straight crack that conducts as much along the interface as (..., dim, dim), m.

        In space, as much as the mean of both directions.
        """
        if self.rve.cell.height is None:
            raise ParameterError("a volume has no interface that one crack could stand for; read its tensor")
        along = np.asarray(tensor).diagonal(axis1=-2, axis2=-1)[..., 1:].mean(axis=-1)
        return (12.0 * self.rve.cell.height * np.maximum(along - self.matrix, 0.0)) ** (1.0 / 3.0)

    def _require_solvable(self, diagonal):
        if not len(diagonal):
            return
        span = diagonal.max() / self._conduction.diagonal()[: len(diagonal)].min()
        if not span <= _MOST_SPAN:
            raise ParameterError(
                f"the cracks conduct up to {span:.1e} times what the blocks around them do, but double precision can "
                f"solve for {_MOST_SPAN:.0e} only; beside such cracks blocks of matrix={self.matrix:.3g} m² are as "
                f"tight as blocks of {self.matrix * span / _MOST_SPAN:.1g} m²: pass that"
            )


def _beside_cracks(rve):
    """Vertices whose pressures say what flows in the cracks."""
    cell = rve.cell
    return cell.mesh.t[:, rve.elements.cut] if cell.planes else cell.interface.minus_vertices


def _along_facets(interface, derivatives):
    """Matrix (points·dim, nvertices) from pressures of vertices to their gradients along the cracks, at their points.

    ``derivatives`` (dim − 1, nqp, k) are those of the shape functions of a facet.
    """
    vertices = interface.minus_vertices
    corners = interface.mesh.p.T[vertices]
    along = np.einsum("jqa,nai->nqji", derivatives, corners)
    # the gradient in the facet that has these derivatives
    dual = np.linalg.pinv(along)
    slopes = np.einsum("nqij,jqa->nqia", dual, derivatives)
    rows = np.broadcast_to(np.arange(slopes[..., 0].size).reshape(slopes.shape[:3])[..., None], slopes.shape)
    columns = np.broadcast_to(vertices[:, None, None], slopes.shape)
    shape = (slopes[..., 0].size, interface.mesh.nvertices)
    return csr_array(coo_matrix((slopes.ravel(), (rows.ravel(), columns.ravel())), shape=shape))


def _solved(matrix, right):
    """Solution of a symmetric positive definite system whose entries may span many powers of ten."""
    if not len(matrix):
        return right
    scale = 1.0 / np.sqrt(matrix.diagonal())
    factors = cho_factor(scale[:, None] * matrix * scale)
    return scale[:, None] * cho_solve(factors, scale[:, None] * right)
