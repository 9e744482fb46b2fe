"""Everything femnn raises or warns about on purpose; each message names the cause, the values and the next step."""

import os
import sys
import warnings

import numpy as np

_PACKAGE = os.path.join(os.path.dirname(__file__), "")


class FemnnError(Exception):
    """Base of every error that femnn raises for its user."""


class MeshError(FemnnError, ValueError):
    """The mesh cannot be integrated: wrong cells, no cells, non-finite coordinates, or not a mesh file."""


class FoldedElementError(MeshError):
    """An element is folded or degenerate: its Jacobian determinant changes sign or vanishes.

    Attributes
    ----------
    elements
        Indices of all such elements, shape (k,).
    """

    def __init__(self, message: str, elements: np.ndarray) -> None:
        super().__init__(message)
        self.elements = elements


class ParameterError(FemnnError, ValueError):
    """A number is outside the interval in which the method is defined or trained."""


class LawError(FemnnError):
    """A constitutive law has no answer at some point: its stress is not finite."""


class SingularMatrixError(FemnnError):
    """A system of equations has no unique solution: something is not held, or carries no stiffness.

    Attributes
    ----------
    dofs
        Degrees of freedom that can move freely, shape (k,).
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
    """

    def __init__(self, message: str, x: np.ndarray, residuals: np.ndarray, t: float | None = None) -> None:
        super().__init__(message)
        self.x, self.residuals, self.t = x, residuals, t


class WeightFileError(FemnnError):
    """A weight file is missing, damaged, or not one of femnn's."""


class StateError(FemnnError, ValueError):
    """The history given to a cohesive law is of another law or of another number of points."""


class OutsideRangeError(FemnnError):
    """Separations have left the range that a recurrent law was trained in, and the user asked for an error there."""


class DatasetError(FemnnError):
    """A data set is damaged or was made with other settings than the present ones."""


class TaskError(FemnnError):
    """Some of many independent runs failed; the results of the others are kept."""


class SchedulerError(FemnnError):
    """The Dask scheduler at the given address does not answer, has no workers, or went away."""


class TrainingError(FemnnError):
    """Training cannot go on: the loss became NaN or infinite."""


class FemnnWarning(UserWarning):
    """Base of every warning that femnn gives."""


class MissingExtraError(FemnnError, ImportError):
    """A package is not installed that only one part of femnn needs; the message names the extra that brings it."""


class SimulationError(FemnnError):
    """The process of a simulation has died, or the simulation became unstable."""


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
