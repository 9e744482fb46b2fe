"""States of a porous body on ranks as files for ParaView: each rank writes its own cells."""

import os
from pathlib import Path
from xml.etree import ElementTree

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.time_series import PvdIndex
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.ranks import together
from femnn.reservoir.output import fields_of
from femnn.reservoir.states import PorousState


class RankSeries:
    """A series of files with their times, which ParaView opens: what :class:`femnn.reservoir.Series` is in one process.

    Each state is a VTU file of every rank with its own cells and a PVTU file that names these; no rank has the whole.

    Parameters
    ----------
    path
        A ``.pvd`` file, on a file system that all ranks see.
    problem
        :class:`femnn.parallel.RankPorousProblem`.
    start
        Time that a run goes on from: what an existing file has up to there stays. Default: a new series.

    Raises
    ------
    ParameterError
        If the suffix is another one.

    Examples
    --------
    >>> import skfem
    >>> from pathlib import Path
    >>> from femnn.parallel import DistributedMesh, RankPorousProblem, RankSeries
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> problem = RankPorousProblem(
    ...     DistributedMesh.of(skfem.MeshHex().refined(1).with_defaults()),
    ...     PorousMedium(young=1e9, poisson=0.2, permeability=1e-14),
    ...     Conditions(displacement={"bottom": (0.0, 0.0, 0.0)}, pressure={"top": 0.0}),
    ... )
    >>> series = RankSeries("body.pvd", problem)
    >>> series.write(problem.initial_state())
    >>> Path("body-0000.pvtu").exists()
    True
    """

    @checked()
    def __init__(self, path: str | os.PathLike, problem: RankPorousProblem, *, start: float | None = None) -> None:
        self.path, self._problem, self._comm = Path(path), problem, problem.distributed.comm
        if self.path.suffix != ".pvd":
            raise ParameterError(f"{path} has the suffix {self.path.suffix!r}; a series of ranks is a .pvd file")
        # all ranks read it before one writes
        with together(self._comm):
            self._index = PvdIndex(self.path, start if self.path.exists() else None)

    @checked()
    def write(self, state: PorousState) -> None:
        """Add a state; collective."""
        stem, pieces = self._index.stem, [f"{self._index.stem}-{rank}.vtu" for rank in range(self._comm.size)]
        with together(self._comm):
            mesh = fields_of(self._problem, state)
            with atomic_write(self.path.with_name(pieces[self._comm.rank])) as temporary:
                mesh.write(temporary)
        with together(self._comm):
            if self._comm.rank == 0:
                _write_pieces(self.path.with_name(f"{stem}.pvtu"), mesh, pieces)
            self._index.add(state.t, f"{stem}.pvtu", write=self._comm.rank == 0)


def _write_pieces(path, mesh, pieces):
    """A PVTU file of pieces that have the fields of ``mesh``."""
    root = ElementTree.Element("VTKFile", type="PUnstructuredGrid", version="0.1", byte_order="LittleEndian")
    grid = ElementTree.SubElement(root, "PUnstructuredGrid", GhostLevel="0")
    points = ElementTree.SubElement(grid, "PPoints")
    ElementTree.SubElement(points, "PDataArray", type="Float64", NumberOfComponents="3")
    cell_data = {name: values[0] for name, values in mesh.cell_data.items()}
    for kind, fields in (("PPointData", mesh.point_data), ("PCellData", cell_data)):
        entry = ElementTree.SubElement(grid, kind)
        for name, values in fields.items():
            components = str(values.shape[1] if values.ndim == 2 else 1)
            ElementTree.SubElement(entry, "PDataArray", type="Float64", Name=name, NumberOfComponents=components)
    for piece in pieces:
        ElementTree.SubElement(grid, "Piece", Source=piece)
    with atomic_write(path) as temporary:
        ElementTree.ElementTree(root).write(os.fspath(temporary), encoding="utf-8", xml_declaration=True)
