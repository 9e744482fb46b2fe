"""States of a cell as files for ParaView: its blocks, and its cracks beside them."""

import os
from pathlib import Path

import meshio

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.hexahedron import TO_VTK
from femnn.interfaces.output import interface_mesh
from femnn.io.time_series import padded, time_series
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellResponse


class CellSeries:
    """Series of the blocks of a cell in ``path``, and of its cracks in ``NAME-cracks`` beside it.

    Blocks have their displacement, and means over each element of the stress (xx, yy, xy, or all six by Voigt); cracks
    the means over each facet of separation, traction (normal first) and damage, and the fraction of points out of the
    trained range.

    Parameters
    ----------
    path, start
        As :func:`femnn.io.time_series.time_series` takes them; the times are numbers of steps, or what you pass.
    rve : femnn.multiscale.rve.rve.RVE

    Examples
    --------
    >>> import femnn
    >>> from pathlib import Path
    >>> from femnn.multiscale.rve import RVE, CellSeries, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> series = CellSeries("cell.pvd", rve)
    >>> series.write(1.0, rve.update([1e-6, 0.0], rve.initial_state()))
    >>> sorted(path.name for path in Path(".").glob("cell*.pvd"))
    ['cell-cracks.pvd', 'cell.pvd']
    """

    @checked()
    def __init__(self, path: str | os.PathLike, rve: RVE, start: float | None = None) -> None:
        if rve.cell.planes:
            raise ParameterError(
                "embedded cracks have no facets to write; save rve.displacement and rve.stress instead"
            )
        path = Path(path)
        self._rve = rve
        self._blocks = time_series(path, start)
        self._cracks = time_series(path.with_name(f"{path.stem}-cracks{path.suffix}"), start)

    @checked()
    def write(self, t: float, response: CellResponse) -> None:
        """Add a :class:`femnn.multiscale.rve.rve.CellResponse`."""
        rve, mesh, state = self._rve, self._rve.cell.mesh, response.state
        displacement = rve.displacement(state).reshape(-1, rve.cell.dim)
        fields = {"stress": [rve.stress(state)], "block": [rve.cell.block.astype(float)]}
        cells = [("quad", mesh.t.T) if mesh.dim() == 2 else ("hexahedron", mesh.t[TO_VTK].T)]
        self._blocks.write(
            t,
            meshio.Mesh(padded(mesh.p.T), cells, {"displacement": padded(displacement)}, fields),
        )
        values = {
            "separation": rve.separations(state),
            "traction": response.cracks.traction,
            "damage": rve.law.damage(state.cracks),
            "outside": state.cracks.outside,
        }
        cracks = interface_mesh(rve.cell.interface, rve.elements.dx, values)
        cracks.point_data["displacement"] = padded(displacement[rve.cell.interface.minus_vertices.ravel()])
        self._cracks.write(t, cracks)
