"""Forces that hold a body, and curves of force over displacement along a load path."""

from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import checked, indices, integer, vector
from femnn.exceptions import ParameterError
from femnn.solvers.nonlinear.load_path import Step


@checked(boundary="unchecked", internal="unchecked", load="unchecked")
def reactions(mesh: skfem.Mesh, boundary: str | ArrayLike, internal: ArrayLike, load: ArrayLike = 0.0) -> np.ndarray:
    """Resultant force (3,) (N) that the surroundings exert on the vertices of a boundary, beside the load.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex``; displacements have three degrees of freedom a vertex.
    boundary
        Name of a boundary of the mesh, or numbers of vertices.
    internal
        Internal forces (N,): ``K @ u``, or what ``solid.internal_force(u)`` gives.
    load
        External forces (N,).

    Raises
    ------
    ParameterError
        If the mesh has no such boundary, whose names are listed, or the vectors do not fit.

    Examples
    --------
    >>> mesh = skfem.MeshHex().with_boundaries({"left": lambda x: x[0] == 0.0})
    >>> reactions(mesh, "left", np.ones(24))
    array([4., 4., 4.])
    """
    vertices = boundary_vertices(mesh, boundary)
    n = 3 * mesh.p.shape[1]
    force = vector(internal, n, "the internal force")
    if np.ndim(load) or load != 0.0:
        force = force - vector(load, n, "the load")
    return force.reshape(-1, 3)[vertices].sum(axis=0)


def boundary_vertices(mesh: skfem.Mesh, boundary: Any) -> np.ndarray:
    """Vertices of a named boundary, or these numbers themselves; ParameterError, with the names, if there is none."""
    if isinstance(boundary, str):
        names = mesh.boundaries or {}
        if boundary not in names:
            known = ", ".join(map(repr, sorted(names))) or "none"
            raise ParameterError(
                f"the mesh has no boundary {boundary!r}; there are: {known}. mesh.with_boundaries(...) names more"
            )
        return np.unique(mesh.facets[:, np.asarray(names[boundary])])
    return np.unique(indices("boundary", boundary, mesh.p.shape[1]))


class LoadCurve:
    """A curve of force over displacement: pass it to :func:`femnn.newton` or :func:`femnn.arc_length` as ``callback``.

    Parameters
    ----------
    mesh
        The mesh of the problem, three degrees of freedom a vertex.
    boundary
        Name of a boundary, or numbers of vertices.
    component
        0, 1 or 2: x, y or z.

    Attributes
    ----------
    t, displacement, force : (steps,)
        Of every step: its t, the mean displacement of the boundary (m), and the sum of the internal forces there (N),
        which is load plus reaction.

    Raises
    ------
    ParameterError
        If the mesh has no such boundary or component.

    Examples
    --------
    >>> mesh = skfem.MeshHex().refined(1).with_boundaries({"end": lambda x: x[0] == 1.0})
    >>> curve = LoadCurve(mesh, "end", 0)
    >>> curve.force
    array([], dtype=float64)
    """

    @checked(boundary="unchecked")
    def __init__(self, mesh: skfem.Mesh, boundary: str | ArrayLike, component: int) -> None:
        self._dofs = 3 * boundary_vertices(mesh, boundary) + integer("component", component, 0, 2)
        self._n = 3 * mesh.p.shape[1]
        self._rows: list[tuple[float, float, float]] = []

    def __call__(self, step: Step) -> None:
        """Take the figures of a step."""
        if step.u is None or step.force is None or len(step.u) < self._n:
            raise ParameterError("the step has no displacement and force of this mesh; pass the curve as callback=")
        self._rows.append((step.t, float(step.u[self._dofs].mean()), float(step.force[self._dofs].sum())))

    @property
    def t(self) -> np.ndarray:
        """t of every step."""
        return self._column(0)

    @property
    def displacement(self) -> np.ndarray:
        """Mean displacement of the boundary at every step (m)."""
        return self._column(1)

    @property
    def force(self) -> np.ndarray:
        """Sum of the internal forces of the boundary at every step (N)."""
        return self._column(2)

    def _column(self, k):
        return np.array([row[k] for row in self._rows])

    def __repr__(self) -> str:
        return f"LoadCurve({len(self._rows)} steps, {len(self._dofs)} vertices)"
