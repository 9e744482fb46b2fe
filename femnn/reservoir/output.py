"""States of a porous body as files: for a restart, and for ParaView."""

import os
from pathlib import Path

import meshio
import numpy as np

from femnn.checks import checked
from femnn.exceptions import StateError
from femnn.io.restart import read_restart, write_restart
from femnn.io.time_series import padded, time_series
from femnn.reservoir.problem import PorousProblem
from femnn.reservoir.states import PorousState

_KIND = "state of a porous body"


@checked()
def save_state(path: str | os.PathLike, state: PorousState) -> None:
    """Write a :class:`femnn.reservoir.PorousState` as a restart file, whole or not at all.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import Conditions, PorousMedium, PorousProblem, load_state, save_state
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"top": 0.0})
    >>> problem = PorousProblem(skfem.MeshQuad().refined(1).with_defaults(), medium, conditions)
    >>> save_state("restart.npz", problem.initial_state(t=60.0))
    >>> load_state("restart.npz", problem).t
    60.0
    """
    write_restart(path, _KIND, {"t": float(state.t)}, {"u": state.u, "p": state.p})


@checked()
def load_state(path: str | os.PathLike, problem: PorousProblem) -> PorousState:
    """The state in a restart file.

    Raises
    ------
    StateError
        If the file is damaged, or is of another problem.

    Examples
    --------
    >>> import skfem
    >>> from femnn.exceptions import StateError
    >>> from femnn.reservoir import Conditions, PorousMedium, PorousProblem, load_state, save_state
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"top": 0.0})
    >>> coarse, fine = (PorousProblem(skfem.MeshQuad().refined(n).with_defaults(), medium, conditions) for n in (1, 2))
    >>> save_state("coarse.npz", coarse.initial_state())
    >>> try:
    ...     load_state("coarse.npz", fine)
    ... except StateError as error:
    ...     print("coarse.npz" in str(error))
    True
    """
    file = read_restart(path, _KIND)
    t, u, p = file.number("t"), file.array("u", (None,)), file.array("p", (None, None))
    try:
        return problem.initial_state(t, u, p)
    except StateError as error:
        raise StateError(
            f"{path} does not fit: {error}; a restart goes with the mesh and medium it was made for"
        ) from (error)


class Series:
    """A series of files with their times, which ParaView opens.

    Displacements and pressures are written at the vertices, effective stress (positive in tension) and the flow of
    Darcy's law (m/s, per system) as means over the cells.

    Parameters
    ----------
    path, start
        As :func:`femnn.io.time_series.time_series` takes them: a PVD or XDMF file, and when a run goes on.
    problem : PorousProblem

    Examples
    --------
    >>> import skfem
    >>> from pathlib import Path
    >>> from femnn.reservoir import Conditions, PorousMedium, PorousProblem, Series
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"top": 0.0})
    >>> problem = PorousProblem(skfem.MeshQuad().refined(1).with_defaults(), medium, conditions)
    >>> series = Series("body.pvd", problem)
    >>> series.write(problem.initial_state())
    >>> Path("body.pvd").exists()
    True
    """

    @checked()
    def __init__(self, path: str | os.PathLike, problem: PorousProblem, *, start: float | None = None) -> None:
        self.path, self._problem, self._files = Path(path), problem, time_series(path, start)

    @checked()
    def write(self, state: PorousState) -> None:
        """Add a state."""
        self._files.write(state.t, fields_of(self._problem, state))


def fields_of(problem: PorousProblem, state: PorousState) -> meshio.Mesh:
    """The mesh of a body with the fields of :class:`Series`."""
    mesh = problem.displacement_basis.mesh
    cells = [("quad" if mesh.dim() == 2 else "hexahedron", mesh.t[_order(mesh)].T)]
    cell_data = {name: [values] for name, values in _means(problem, state).items()}
    return meshio.Mesh(padded(mesh.p.T), cells, _at_vertices(problem, state), cell_data)


def _at_vertices(problem, state):
    displacement = state.u[problem.displacement_basis.nodal_dofs].T
    pressure = state.p[:, problem.pressure_basis.nodal_dofs[0]]
    return {"displacement": padded(displacement), **named("pressure", problem.systems, pressure)}


def _means(problem, state):
    constants, basis, flows = problem.constants, problem.pressure_basis, []
    for mobility, pressure in zip(constants.mobility, state.p, strict=True):
        slope = np.einsum("an,naj->jn", pressure[basis.element_dofs], basis.mean_slopes)
        flows.append(padded(-np.einsum("ijn,jn->ni", mobility, slope)))
    stress = problem.effective_stress(state).reshape(-1, 9)
    return {"effective_stress": stress, **named("darcy_flow", problem.systems, flows)}


def named(field, systems, values):
    """Values of a field in each pore system by name; those of a single system have the name of the field."""
    if len(systems) == 1:
        return {field: values[0]}
    return {f"{field}_{system}": part for system, part in zip(systems, values, strict=True)}


def _order(mesh):
    """scikit-fem's vertices of a cell in VTK's order."""
    return [0, 1, 2, 3] if mesh.dim() == 2 else [0, 3, 6, 2, 1, 5, 7, 4]
