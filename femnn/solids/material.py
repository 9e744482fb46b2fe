"""What the laws of the library share: parameters that are checked by name, and kernels compiled when first needed."""

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, floats, number, one_length, one_of
from femnn.exceptions import ParameterError
from femnn.solids.compiled_law import compiled_law
from femnn.solids.laws import CONDITIONS, SIZES, PointLaw


class _Named(type):
    """Arguments that are missing or unknown are errors of femnn, which list those that a law takes."""

    def __init__(cls, *arguments: Any) -> None:
        super().__init__(*arguments)
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
        # without self; else the signature would be that of __call__ below
        cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        try:
            cls.__signature__.bind(*arguments, **named)
        except TypeError as error:
            known = ", ".join(cls.__signature__.parameters)
            raise ParameterError(f"{cls.__name__}: {error}; it takes {known}") from error
        return super().__call__(*arguments, **named)


class Material(PointLaw, metaclass=_Named):
    """A law of the library; every parameter is a number, or an array (n_elements,) with one for each element.

    Attributes
    ----------
    functions
        By kinematics: the function of one point.
    """

    functions: ClassVar[dict[str, Callable]] = {}

    def _prepare(
        self,
        values: dict[str, Any],
        parameters: Sequence[ArrayLike],
        kinematics: str,
        state: ArrayLike = (),
        conditions: Sequence[str] = (),
        expansion: ArrayLike | None = None,
    ) -> None:
        """Take checked ``parameters``, columns of numbers or (n,); ``values`` are what the user passed, to be printed.

        A law that takes an ``expansion`` finds it, and the change of temperature, behind its parameters.
        """
        allowed = [name for name in SIZES if name in self.functions]
        self.kinematics = one_of("kinematics", kinematics, allowed)
        columns, self._values = list(parameters), values
        if expansion is not None:
            heated = bool(np.any(np.asarray(expansion) != 0.0))
            columns.append(expansion)
            conditions = ["temperature", *conditions] if heated else conditions
            columns += [] if heated else [0.0]
        self.parameters = _side_by_side(columns, type(self).__name__)
        self.conditions = tuple(one_of("a condition", name, CONDITIONS) for name in conditions)
        self.virgin = np.asarray(state, dtype=float)
        self._function = self.functions[kinematics]

    @cached_property
    def compiled(self) -> Any:
        """The C function, compiled or loaded when it is first needed."""
        return compiled_law(self._function)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={brief(value)}" for name, value in self._values.items() if value is not None)
        return f"{type(self).__name__}({shown})"


def parameter(name: str, value: ArrayLike, interval: str) -> np.ndarray:
    """``value`` as a number or (n,) in ``interval``; ParameterError, which names the element, if it is not."""
    array = floats(name, value)
    if array.ndim == 0:
        return np.asarray(number(name, array.item(), interval))
    if array.ndim != 1 or not array.size:
        raise ParameterError(f"{name} has shape {array.shape}; pass a number, or (n_elements,)")
    low, high = (float(end) for end in interval[1:-1].split(","))
    wrong = ((array < low) if interval[0] == "[" else (array <= low)) | (
        (array > high) if interval[-1] == "]" else (array >= high)
    )
    if wrong.any():
        first = np.flatnonzero(wrong)[0]
        raise ParameterError(
            f"{name} is {array[first]:g} at element {first} and outside {interval} at {wrong.sum()} of {len(array)}; "
            "pass numbers within"
        )
    return array


def moduli(young: ArrayLike, poisson: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Bulk and shear modulus of Young's modulus and Poisson's ratio, checked."""
    E, nu = parameter("young", young, "(0, inf)"), parameter("poisson", poisson, "(-1, 0.5)")
    same_length(("young", E), ("poisson", nu))
    return E / (3.0 * (1.0 - 2.0 * nu)), E / (2.0 * (1.0 + nu))


def same_length(*named: tuple[str, np.ndarray]) -> None:
    """Raise ParameterError if there are values (n,) of different n among those named; numbers fit all."""
    one_length({name: len(values) for name, values in named if np.ndim(values)})


def _side_by_side(columns, name):
    """Columns of numbers or (n,) as parameters (p,) or (n, p)."""
    arrays = [np.asarray(column, dtype=float) for column in columns]
    lengths = {len(array) for array in arrays if array.ndim}
    if len(lengths) > 1:
        raise ParameterError(
            f"the parameters of {name} are given for {' and '.join(map(str, sorted(lengths)))} elements; pass a "
            "number, or one for each element of the mesh"
        )
    if not lengths:
        return np.array([float(array) for array in arrays])
    return np.ascontiguousarray(np.stack([np.broadcast_to(array, max(lengths)) for array in arrays], axis=1))
