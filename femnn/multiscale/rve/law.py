"""A cell at every integration point of an interface: the RVE in the loop, behind the contract of the laws."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.cohesive.law import Law, Response, State
from femnn.exceptions import ParameterError
from femnn.multiscale.rve.permeability import CellPermeability
from femnn.multiscale.rve.rve import RVE

# Of the differences by which permeabilities are derived, over the aperture of the cracks, whose cube they follow.
_STEP = 1e-4


class RVELaw(Law):
    """The homogenised response of a cell of a zone as a law of interfaces.

    The state of a point is the packed state of its cell. A step that a cell cannot take raises a ConvergenceError,
    which femnn's solvers answer with a shorter step. The second shear of a cell in plane strain, out of the plane, must
    be zero: its traction and all its entries of the tangent are zero, which nothing in a two-dimensional problem reads.
    The shear directions of a cell in space, its x and y, are those of the frame of each facet of the interface.

    Parameters
    ----------
    rve
        Cell of every point, with blocks, cracks and driving.
    permeability
        Of that cell: :meth:`predictions` then tells what a fault's core conducts.

    Raises
    ------
    ParameterError
        If the cell is a volume, or the permeability is of another cell.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, RVELaw, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> law = RVELaw(RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9))
    >>> response = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1))
    >>> response.traction.shape, bool(response.traction[0, 0] > 0.0)
    ((1, 3), True)
    """

    @checked()
    def __init__(self, rve: RVE, permeability: CellPermeability | None = None) -> None:
        if rve.cell.height is None:
            raise ParameterError(
                f"{rve.cell.name} is a volume, which answers strains with stresses, but a law of interfaces needs a "
                "zone; pass block_network or parallel_cracks"
            )
        if permeability is not None and permeability.rve is not rve:
            raise ParameterError(
                "the permeability belongs to another cell; pass CellPermeability(rve, ...) of this one"
            )
        self.rve, self.permeability = rve, permeability
        self.separation_scale = float(rve.law.separation_scale)

    def __repr__(self):
        return f"RVELaw({self.rve.name})"

    def update(self, separation: ArrayLike, state: State) -> Response:
        """As :meth:`femnn.cohesive.law.Law.update`; points any of whose cracks have left the trained range are flagged.

        Raises
        ------
        ParameterError
            If the second shear is not zero.
        ConvergenceError
            If a cell finds no equilibrium.
        """
        response = super().update(separation, state)
        flags = response.state.values[:, -self.rve.elements.points :].any(axis=1)
        return response._replace(state=replace(response.state, outside=response.state.outside | flags))

    def damage(self, state: State) -> np.ndarray:
        """Mean damage of the cracks of each point, weighted by area, (n,); NaN where their law has no such number."""
        area = self.rve.elements.dx.ravel()
        cells = [self.rve.unpack(values).cracks for values in state.values]
        return np.array([self.rve.law.damage(cracks) @ area / area.sum() for cracks in cells])

    def predictions(self, state: State) -> dict:
        """What the cells conduct: ``"permeability_across"`` and ``"permeability_along"`` the interface, m².

        In space, the latter is the mean of both directions along it. Beside them ``"porosity"``, the mean of the
        fillings, and ``"aperture"``, m, of the one straight crack that conducts as much along. Each is a pair of values
        (n,) and derivatives by the separation (n, 3), along which the jumps of the cracks follow as in the step that
        led to ``state``. Nothing without ``permeability``.
        """
        self._require_state(state)
        if self.permeability is None:
            return {}
        values, slopes = np.zeros((4, len(state))), np.zeros((4, len(state), 3))
        step = _STEP * self.permeability.filling.aperture
        for point, packed in enumerate(state.values):
            cell = self.rve.unpack(packed)
            values[:, point] = self._conducted(cell, 0.0)
            for axis, way in enumerate(np.vstack([cell.follow, np.eye(self.rve.n_driven)]).T):
                ends = [self._conducted(cell, h * way) for h in (step, -step)]
                slopes[:, point, axis] = (ends[0] - ends[1]) / (2.0 * step)
        names = ("permeability_across", "permeability_along", "porosity", "aperture")
        return {name: (values[k], slopes[k]) for k, name in enumerate(names)}

    def _conducted(self, cell, moved):
        """Permeabilities, porosity and aperture (4,) of a cell that has moved from its state."""
        cell = cell._replace(x=cell.x + moved)
        tensor = self.permeability.tensor(cell)
        across, *along = tensor.diagonal()
        return np.array([across, np.mean(along), self.permeability.porosity(cell), self.permeability.aperture(tensor)])

    def _virgin(self, n):
        return np.tile(self.rve.pack(self.rve.initial_state()), (n, 1))

    def _update(self, separation, values):
        known = self.rve.n_driven
        outwards = np.abs(separation[:, known:])
        if (outwards > 1e-9 * np.abs(separation).max()).any():
            point = int(outwards.ravel().argmax())
            raise ParameterError(
                f"the second shear of point {point} is {separation[point, 2]:.6g}, but an RVE is a plane strain cell "
                "and knows one shear only; use it in two-dimensional problems, give its cell a depth, or train a law"
            )
        traction, tangent, new = np.zeros_like(separation), np.zeros((len(separation), 3, 3)), np.empty_like(values)
        for point, (goal, packed) in enumerate(zip(separation[:, :known], values, strict=True)):
            response = self.rve.update(goal, self.rve.unpack(packed))
            traction[point, :known], tangent[point, :known, :known] = response.traction, response.tangent
            new[point] = self.rve.pack(response.state)
        return traction, tangent, new
