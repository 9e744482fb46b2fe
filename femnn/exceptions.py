"""Everything femnn raises or warns about on purpose; each message names the cause, the values and the next step."""

import os
import sys
import warnings

import numpy as np

_PACKAGE = os.path.join(os.path.dirname(__file__), "")


class FemnnError(Exception):
    """Base of every error that femnn raises for its user.

    Examples
    --------
    >>> import femnn
    >>> from femnn.exceptions import FemnnError
    >>> try:
    ...     femnn.GaussLegendre(0)
    ... except FemnnError as error:
    ...     print(type(error).__name__)
    ParameterError
    """


class MeshError(FemnnError, ValueError):
    """The mesh cannot be integrated: wrong cells, no cells, non-finite coordinates, or not a mesh file.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.exceptions import MeshError
    >>> try:
    ...     femnn.hexahedra(skfem.MeshTet())
    ... except MeshError as error:
    ...     print(type(error).__name__)
    MeshError
    """


class FoldedElementError(MeshError):
    """An element is folded or degenerate: its Jacobian determinant changes sign or vanishes.

    Attributes
    ----------
    elements
        Indices of all such elements, shape (k,).

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.exceptions import FoldedElementError
    >>> vertices = femnn.hexahedra(skfem.MeshHex().refined(1))
    >>> vertices[3] = vertices[3][[7, 1, 2, 3, 4, 5, 6, 0]]
    >>> try:
    ...     femnn.GaussLegendre(2).groups(vertices)
    ... except FoldedElementError as error:
    ...     print(error.elements)
    [3]
    """

    def __init__(self, message: str, elements: np.ndarray) -> None:
        super().__init__(message)
        self.elements = elements


class ParameterError(FemnnError, ValueError):
    """A number is outside the interval in which the method is defined or trained.

    Examples
    --------
    >>> import femnn
    >>> from femnn.exceptions import ParameterError
    >>> try:
    ...     femnn.AdaptiveGauss(tol=-1.0)
    ... except ParameterError as error:
    ...     print("tol" in str(error))
    True

    It is a ``ValueError``, too:

    >>> issubclass(ParameterError, ValueError)
    True
    """


class LawError(FemnnError):
    """A constitutive law has no answer at some point: its stress is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.cohesive import BatchCohesive
    >>> from femnn.exceptions import LawError
    >>> broken = lambda x, state: (x * np.nan, np.zeros((len(x), 3, 3)), state)
    >>> law = BatchCohesive(broken, separation_scale=1.0, name="none")
    >>> try:
    ...     law.update([[1e-4, 0.0, 0.0]], law.initial_state(1))
    ... except LawError as error:
    ...     print(type(error).__name__)
    LawError
    """


class SingularMatrixError(FemnnError):
    """A system of equations has no unique solution: something is not held, or carries no stiffness.

    Attributes
    ----------
    dofs
        Degrees of freedom that can move freely, shape (k,).

    Examples
    --------
    >>> import femnn, scipy.sparse
    >>> from femnn.exceptions import SingularMatrixError
    >>> matrix = scipy.sparse.csr_matrix([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> try:
    ...     femnn.solve(matrix, [1.0, -1.0, 2.0])
    ... except SingularMatrixError as error:
    ...     print(error.dofs)
    [0 1]
    """

    def __init__(self, message: str, dofs: np.ndarray) -> None:
        super().__init__(message)
        self.dofs = dofs


class ConvergenceError(FemnnError):
    """A solver gave up before it met its tolerance.

    Attributes
    ----------
    x
        The last iterate of a linear solver; the last state in equilibrium of a nonlinear one.
    residuals
        Relative norms of the residual, one for each iteration.
    t
        Where ``x`` lies on the load path of a nonlinear solver, else None.
    part
        Of the step that failed, may succeed.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.exceptions import ConvergenceError
    >>> try:
    ...     raise ConvergenceError("no equilibrium at t = 0.4", np.zeros(3), np.array([1.0, 0.1]), t=0.3)
    ... except ConvergenceError as error:
    ...     print(error.t, error.residuals)
    0.3 [1.  0.1]
    """

    def __init__(
        self, message: str, x: np.ndarray, residuals: np.ndarray, t: float | None = None, *, part: float = 0.5
    ) -> None:
        super().__init__(message)
        self.x, self.residuals, self.t, self.part = x, residuals, t, part


class WeightFileError(FemnnError):
    """A weight file is missing, damaged, or not one of femnn's.

    Examples
    --------
    >>> import femnn
    >>> from femnn.exceptions import WeightFileError
    >>> try:
    ...     femnn.AdaptiveGauss(weights="none-of-that-name")
    ... except WeightFileError as error:
    ...     print("integration-points" in str(error))
    True
    """


class StateError(FemnnError, ValueError):
    """The history given to a cohesive law is of another law or of another number of points.

    Examples
    --------
    >>> from femnn.cohesive import BilinearCohesive
    >>> from femnn.exceptions import StateError
    >>> law = BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> try:
    ...     law.update([[1e-6, 0.0, 0.0]], law.initial_state(2))
    ... except StateError as error:
    ...     print(type(error).__name__)
    StateError
    """


class OutsideRangeError(FemnnError):
    """A step leaves what its model describes, such as the trained range of a law, and the user asked for an error.

    Attributes
    ----------
    x
        The last state inside, where :func:`femnn.reservoir.march` stops for it; else None.
    t
        Its time; else None.

    Examples
    --------
    A reservoir whose fault leaves the range that its law knows ends with it under ``on_outside="raise"``:

    >>> from femnn.exceptions import FemnnError, OutsideRangeError
    >>> issubclass(OutsideRangeError, FemnnError)
    True
    """

    def __init__(self, message: str, x: object = None, t: float | None = None) -> None:
        super().__init__(message)
        self.x, self.t = x, t


class DatasetError(FemnnError):
    """A data set is damaged or was made with other settings than the present ones.

    Examples
    --------
    >>> from femnn.exceptions import DatasetError
    >>> from femnn.networks import load_dataset
    >>> try:
    ...     load_dataset("none.safetensors")
    ... except DatasetError as error:
    ...     print("none.safetensors" in str(error))
    True
    """


class TaskError(FemnnError):
    """Some of many independent runs failed; the results of the others are kept.

    Examples
    --------
    >>> from femnn.exceptions import TaskError
    >>> from femnn.tasks import Outcome
    >>> try:
    ...     Outcome(failures={"seed-3": "the layer became unstable"}).require_all()
    ... except TaskError as error:
    ...     print("seed-3" in str(error))
    True
    """


class SchedulerError(FemnnError):
    """The Dask scheduler at the given address does not answer, has no workers, or went away.

    Examples
    --------
    Whoever starts runs on a cluster catches it to start them again; what had ended is kept:

    >>> from femnn.exceptions import FemnnError, SchedulerError
    >>> issubclass(SchedulerError, FemnnError)
    True
    """


class TrainingError(FemnnError):
    """Training cannot go on: the loss became NaN or infinite.

    Examples
    --------
    A learning rate that is too large ends a training with it:

    >>> from femnn.exceptions import FemnnError, TrainingError
    >>> issubclass(TrainingError, FemnnError)
    True
    """


class FemnnWarning(UserWarning):
    """Base of every warning that femnn gives.

    Examples
    --------
    Treat what femnn warns of as an error:

    >>> import warnings
    >>> from femnn.exceptions import FemnnWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", FemnnWarning)
    ...     try:
    ...         warnings.warn("two cells were left out", FemnnWarning)
    ...     except FemnnWarning as warning:
    ...         print(warning)
    two cells were left out
    """


class MissingExtraError(FemnnError, ImportError):
    """A package is not installed that only one part of femnn needs; the message names the extra that brings it.

    Examples
    --------
    Go on without a part that is not installed:

    >>> from femnn.exceptions import MissingExtraError
    >>> try:
    ...     raise MissingExtraError("gmsh is not installed: pip install femnn[mesh]")
    ... except ImportError as error:
    ...     print(error)
    gmsh is not installed: pip install femnn[mesh]
    """


class SimulationError(FemnnError):
    """The process of a simulation has died, or the simulation became unstable.

    Examples
    --------
    Paths of grains whose process died raise it; a set of many paths reports them instead:

    >>> from femnn.exceptions import FemnnError, SimulationError
    >>> issubclass(SimulationError, FemnnError)
    True
    """


def warn(message: str, category: type[Warning] = FemnnWarning) -> None:
    """Give a warning that points at the line outside femnn from which the user came, by whatever route.

    Parameters
    ----------
    message
        Cause, values and next step.
    category
        A subclass of :class:`FemnnWarning`, or that itself.
    """
    # the level 2 of warnings.warn is our caller; one more for each further frame that lies in femnn
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
