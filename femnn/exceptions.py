"""Everything femnn raises or warns about on purpose; each message names the cause, the values and the next step."""


class FemnnError(Exception):
    """Base of every error that femnn raises for its user."""


class MeshError(FemnnError, ValueError):
    """The mesh is not one that femnn can integrate: wrong cells, no cells, non-finite coordinates, not a mesh file."""


class FoldedElementError(MeshError):
    """An element is folded or degenerate: its Jacobian determinant changes sign or vanishes.

    Attributes
    ----------
    elements
        Indices of all such elements, shape (k,).
    """

    def __init__(self, message, elements):
        super().__init__(message)
        self.elements = elements


class ParameterError(FemnnError, ValueError):
    """A number is outside the interval in which the method is defined or trained."""


class LawError(FemnnError):
    """A constitutive law has no answer at some point: its stress is not finite."""


class WeightFileError(FemnnError):
    """A weight file is missing, damaged, or not one of femnn's."""


class DatasetError(FemnnError):
    """A data set is damaged or was made with other settings than those asked for."""


class TrainingError(FemnnError):
    """Training cannot go on: the loss became NaN or infinite."""


class FemnnWarning(UserWarning):
    """Base of every warning that femnn gives."""
