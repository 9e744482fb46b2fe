"""States of a porous body or of its faults on ranks as files for ParaView: each rank writes its own cells or facets."""

import os
from pathlib import Path
from xml.etree import ElementTree

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.time_series import PvdIndex
from femnn.parallel.faulted import RankFaultedReservoir
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.ranks import together
from femnn.reservoir.fault.output import surface_of
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
            mesh = self._own(state)
            with atomic_write(self.path.with_name(pieces[self._comm.rank])) as temporary:
                mesh.write(temporary)
        with together(self._comm):
            if self._comm.rank == 0:
                _write_pieces(self.path.with_name(f"{stem}.pvtu"), mesh, pieces)
            self._index.add(state.t, f"{stem}.pvtu", write=self._comm.rank == 0)

    def _own(self, state):
        """What this rank writes."""
        return fields_of(self._problem, state)


class RankFaultSeries(RankSeries):
    """A series of the facets of faults, which ParaView opens: what :class:`femnn.reservoir.fault.FaultSeries` writes.

    Parameters
    ----------
    path, start
        As :class:`RankSeries` takes them.
    reservoir
        :class:`femnn.parallel.RankFaultedReservoir`; a :class:`RankSeries` of its ``porous`` shows the body.

    Raises
    ------
    ParameterError
        If the suffix is another one.

    Examples
    --------
    >>> import femnn, skfem
    >>> from pathlib import Path
    >>> from femnn.parallel import DistributedMesh, RankFaultedReservoir, RankFaultSeries
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault
    >>> mesh = skfem.MeshHex().refined(1).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> interface = femnn.Interface.split(mesh, "fault")
    >>> distributed = DistributedMesh.of(interface.mesh, interfaces=[interface], paired=True)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> reservoir = RankFaultedReservoir(
    ...     distributed,
    ...     PorousMedium(young=1e9, poisson=0.2, permeability=1e-14),
    ...     Conditions(displacement={"left": (0.0, 0.0, 0.0)}, pressure={"right": 0.0}),
    ...     Fault(distributed.interface(0), law, ConstantCore(1e-18, 1.0)),
    ... )
    >>> series = RankFaultSeries("faults.pvd", reservoir)
    >>> series.write(reservoir.initial_state())
    >>> Path("faults-0000.pvtu").exists()
    True
    """

    @checked()
    def __init__(self, path: str | os.PathLike, reservoir: RankFaultedReservoir, *, start: float | None = None) -> None:
        super().__init__(path, reservoir.porous, start=start)
        self._reservoir = reservoir

    def _own(self, state):
        return surface_of(self._reservoir, self._reservoir.own_fields(state))


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
