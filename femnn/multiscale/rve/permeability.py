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
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad1
from skfem.models.poisson import laplace

from femnn.checks import checked, positive
from femnn.exceptions import ParameterError
from femnn.multiscale.rve.blocks import selection
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellState


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

    The mean flow is that of pressures p = G·x on bottom and top, and periodic but for G·x along the interface. Then
    G·k·G is a minimum over all pressures inside: k is symmetric and positive definite, and no lower than it would be
    if bottom and top did not hold the pressure.

    Parameters
    ----------
    rve, filling
        The cell, and what is in its cracks.
    matrix
        Permeability of the blocks, m².

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
        ends = cell.interface.minus_vertices
        on_crack = np.isin(cell.uncut, cell.uncut[ends])
        # pressures of vertices: first those on cracks, then the two given ones; the others are condensed
        inner, cracks = (selection(cell.uncut, chosen) for chosen in (~held & ~on_crack, ~held & on_crack))
        # those of a unit gradient across the interface, and of one along it
        outer = np.column_stack([cracks.toarray(), cell.mesh.p[1], -cell.mesh.p[0]])
        conduction = csr_array(laplace.assemble(Basis(cell.mesh, ElementQuad1(), intorder=3)))
        follow = splu((inner.T @ conduction @ inner).tocsc()).solve(inner.T @ (conduction @ outer))
        shapes = outer - inner @ follow
        self._blocks = self.matrix * (shapes.T @ (conduction @ shapes))
        # pressure differences along each facet of a crack, over its length
        length = np.linalg.norm(cell.mesh.p[:, ends[:, 1]] - cell.mesh.p[:, ends[:, 0]], axis=0)
        self._slopes = (outer[ends[:, 1]] - outer[ends[:, 0]]) / length[:, None]

    @checked()
    def tensor(self, state: CellState) -> np.ndarray:
        """Permeability (2, 2) of a state of the cell, m²: across the interface and along it."""
        dx = self.rve.elements.dx
        aperture = self.filling.hydraulic_aperture(self.rve.separations(state)[:, 0]).reshape(dx.shape)
        conductance = (aperture**3 / 12.0 * dx).sum(axis=1)
        matrix = self._blocks + self._slopes.T @ (conductance[:, None] * self._slopes)
        follow = np.linalg.solve(matrix[:-2, :-2], matrix[:-2, -2:])
        flow = matrix[-2:, -2:] - matrix[-2:, :-2] @ follow
        return 0.5 * (flow + flow.T) / (self.rve.cell.width * self.rve.cell.height)

    @checked()
    def porosity(self, state: CellState) -> float:
        """Mean porosity of the fillings of the cracks, by their area."""
        area = self.rve.elements.dx.ravel()
        opening = self.rve.separations(state)[:, 0]
        return float(self.filling.evolved_porosity(opening) @ area / area.sum())

    @checked(tensor="... 2 2")
    def aperture(self, tensor: ArrayLike) -> np.ndarray:
        """Hydraulic aperture of the one straight crack that conducts as much along the interface as (..., 2, 2), m."""
        along = np.maximum(np.asarray(tensor)[..., 1, 1] - self.matrix, 0.0)
        return (12.0 * self.rve.cell.height * along) ** (1.0 / 3.0)
