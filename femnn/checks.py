"""Checks of arguments: a value of the right kind, or an error that names the argument, the value and what to pass.

Everything that a user passes as a number or as an array of numbers comes in through :func:`number`, :func:`integer` or
:func:`numbers`, which take whatever holds real numbers (lists, tuples, integers of any size, float32, read-only and
strided arrays, torch tensors without gradients, pandas series and frames) and refuse what NumPy would turn into numbers
in silence: complex numbers, masked arrays, dates, texts. :func:`checked` does so for all arguments of a function.
"""

import collections.abc
import functools
import inspect
import os
import re
import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import skfem

from femnn.exceptions import DatasetError, MeshError, ParameterError

_Function = TypeVar("_Function", bound=Callable)

# Types whose instances hold no others: a list of them needs no look inside.
_PLAIN = frozenset({float, int, bool, np.float64, np.float32, np.int64, np.int32, np.bool_})

# Elements of a list that are looked at in search of masked arrays.
_DEEPEST = 8

#: Counts beyond this fit into no memory.
LARGEST_COUNT = 2**48

# Numbers below are denormal.
_LEAST = float(np.finfo(float).tiny)

# Bytes in one name of a path, and in a whole path, beyond which no common file system goes.
_LONGEST_NAME, _LONGEST_PATH = 255, 4096


def brief(value: Any) -> str:
    """``repr(value)`` on one short line, whatever ``value`` is."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array {value.shape} of {value.dtype}"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    try:
        text = " ".join(reprlib.repr(value).split())
    except Exception:  # a foreign __repr__ may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def number(name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """``value`` as a float in ``interval``, such as "[0, 1)"; ParameterError if it is no such real number.

    Denormal numbers are refused: they have few digits, and products with them vanish.
    """
    plain = _plain(value)
    if not isinstance(plain, Real):
        raise ParameterError(f"{name}={brief(value)} is not allowed; pass a real number in {interval}")
    try:
        result = float(plain)
    except OverflowError as error:
        raise ParameterError(f"{name} is larger than any float; pass a real number in {interval}") from error
    if not _is_within(result, interval):
        raise ParameterError(f"{name}={brief(value)} is not allowed; pass a real number in {interval}")
    return _normal(name, result)


def positive(name: str, value: Any, zero: bool = False) -> float:
    """``value`` as a float; ParameterError unless it is finite and positive (or zero, where that is allowed).

    Denormal numbers are refused as by :func:`number`.
    """
    plain: Any = _plain(value)
    try:
        fits = isinstance(plain, Real) and np.isfinite(float(plain)) and (float(plain) > 0.0 or (zero and plain == 0))
    except OverflowError:
        fits = False
    if not fits:
        raise ParameterError(f"{name}={brief(value)} is not allowed; it must be finite and {'>= 0' if zero else '> 0'}")
    return _normal(name, float(plain))


def integer(name: str, value: Any, at_least: int | None = None, at_most: int | None = LARGEST_COUNT) -> int:
    """``value`` as an int; ParameterError unless it is of a type for integers and within bounds.

    ``at_most`` is what arrays can be long, None for numbers that count nothing, such as seeds.
    """
    plain: Any = _plain(value)
    fits = isinstance(plain, Integral) and (at_least is None or int(plain) >= at_least)
    if not fits or (at_most is not None and plain > at_most):
        least = "" if at_least is None else f" of at least {at_least}"
        most = "" if at_most in (None, LARGEST_COUNT) else f", at most {at_most}"
        raise ParameterError(f"{name}={brief(value)} is not allowed; pass an integer{least}{most}")
    return int(plain)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """``value`` if it is one of the ``choices``, such as "raise", "warn" and "skip"; ParameterError if it is not."""
    # an array would compare element by element
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f"{name}={brief(value)} is not allowed; pass {' or '.join(map(repr, choices))}")
    return value


def numbers(
    name: str,
    values: Any,
    *,
    finite: bool = True,
    error: type[ParameterError | MeshError | DatasetError] = ParameterError,
) -> np.ndarray:
    """``values`` as an array of bool or integers, where they are such, or of float64; an ``error`` if they are neither.

    Parameters
    ----------
    name
        Of the argument, as the error calls it.
    values
        Whatever holds real numbers, see the head of this module.
    finite
        Refuse NaN and infinity.
    error
        Class of the error, which says what is wrong with the values.
    """
    array = values if type(values) is np.ndarray else _converted(name, values, error)
    kind = array.dtype.kind
    if kind == "O" and _are_reals(array):
        try:
            array, kind = array.astype(float), "f"
        except OverflowError as overflow:
            raise error(f"{name} has an integer larger than any float; pass finite numbers") from overflow
    if kind not in "biuf":
        raise error(
            f"{name} is no array of numbers: {brief(values)} is {_NAMES.get(kind, array.dtype)}; pass real numbers"
        )
    if kind == "f":
        array = array if array.dtype == np.float64 else array.astype(np.float64)
        if finite and not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            where = f" at {place}" if place else ""
            raise error(f"{name} is {array[place]}{where}; pass finite numbers")
    return array


def floats(
    name: str,
    values: Any,
    *,
    finite: bool = True,
    error: type[ParameterError | MeshError | DatasetError] = ParameterError,
) -> np.ndarray:
    """``values`` as an array of float64, as :func:`numbers`; the same array if it is one."""
    return np.asarray(numbers(name, values, finite=finite, error=error), dtype=float)


def indices(name: str, values: Any, n: int | None = None) -> np.ndarray:
    """``values`` as an array of integers, 0 to ``n`` - 1; ParameterError if they are none. An empty list is one."""
    array = numbers(name, values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ParameterError(f"{name} is {brief(values)}; pass indices, which are integers")
    if n is not None and array.size and not 0 <= int(array.min()) <= int(array.max()) < n:
        raise ParameterError(f"{name} has indices from {array.min()} to {array.max()}; they must be from 0 to {n - 1}")
    return array


def shaped(name: str, values: Any, shape: tuple[int, ...], of_what: str = "") -> np.ndarray:
    """``values`` as a contiguous float array of ``shape``, finite or not; ParameterError if they are no such array.

    Every array that a user passes to a compiled kernel goes through here or through a stricter check: a kernel reads
    beyond an array that is too short.
    """
    array = floats(name, values, finite=False)
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.shape != tuple(shape):
        raise ParameterError(f"{name} has shape {array.shape}, expected is {tuple(shape)}{of_what and ', ' + of_what}")
    return array


def vector(values: Any, n: int, name: str) -> np.ndarray:
    """``values`` as a vector (n,) of finite floats; ParameterError if they are no such vector."""
    array = shaped(name, values, (n,), "one value for each degree of freedom")
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} is not finite at degree of freedom {np.flatnonzero(~np.isfinite(array))[0]}")
    return array


def one_length(lengths: Mapping[str, int]) -> None:
    """Raise ParameterError if arguments, by name, hold values for unlike numbers of elements."""
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} for {n}" for name, n in lengths.items())
        raise ParameterError(f"there are values of {listed} elements; pass one for each element of the mesh")


def instance(name: str, value: Any, *kinds: type, remedy: str = "") -> Any:
    """``value`` if it is of one of these classes; a ParameterError, or a MeshError for meshes, if it is not."""
    if not isinstance(value, kinds):
        wanted = " or a ".join(kind.__name__ for kind in kinds)
        error = MeshError if any(issubclass(kind, skfem.Mesh) for kind in kinds) else ParameterError
        raise error(f"{name} is {brief(value)}, a {type(value).__name__}; pass {remedy or 'a ' + wanted}")
    return value


def require_path(name: str, value: Any) -> str | os.PathLike:
    """``value`` if it can be the name of a file or folder; ParameterError if no file system takes it."""
    given = instance(name, value, str, os.PathLike, remedy="the path of a file or folder")
    try:
        text = os.fsencode(given)
    except Exception as error:  # lone surrogates, and a foreign __fspath__ may raise anything
        raise ParameterError(f"{name}={brief(value)} is no path: {error}; pass the path of a file or folder") from error
    if b"\0" in text:
        raise ParameterError(f"{name}={brief(value)} is no path: it has a null byte; pass the path of a file or folder")
    longest = max(map(len, text.split(os.sep.encode())))
    if longest > _LONGEST_NAME or len(text) > _LONGEST_PATH:
        raise ParameterError(
            f"{name}={brief(value)} is no path: of its {len(text)} bytes {longest} are one name, and file systems take "
            f"{_LONGEST_PATH} and {_LONGEST_NAME}; choose a shorter one"
        )
    return given


def called(name: str, function: Callable, *arguments: Any) -> Any:
    """What a user's ``function`` gives; ParameterError if it does not take these arguments."""
    try:
        return function(*arguments)
    except TypeError as error:
        count = f"{len(arguments)} argument{'s' * (len(arguments) > 1)}"
        raise ParameterError(f"{name} cannot be called with {count}: {error}") from error


def checked(**wanted: str) -> Callable[[_Function], _Function]:
    """Check the arguments of a function, as its annotations say what they are, before it runs.

    A ``float`` goes through :func:`number`, an ``int`` through :func:`integer`, an ``ArrayLike`` or ``np.ndarray``
    through :func:`numbers`, where it becomes an array of float64 or keeps its integers; a ``str``, ``Sequence``,
    ``Mapping`` or class must be an instance of it, and what may be an ``os.PathLike`` goes through
    :func:`require_path`. ``Any`` and protocols are not looked at.

    Parameters
    ----------
    wanted
        By argument: the interval of a number or integer, "[0, 1)"; the shape of an array, "n 8 3", in which a letter
        stands for the same length in all arguments of one call and "..." for any axes; several of them,
        "3 q | 3 n q"; "int n" for indices. Such arrays become float64, or integers; without a shape, integers stay.
        "any" stands for arrays of any shape that may hold NaN,
        "unchecked" for what the function checks itself.

    Examples
    --------
    >>> @checked(x="n 3", share="[0, 1]")
    ... def scaled(x: np.ndarray, share: float = 0.5) -> np.ndarray:
    ...     return share * x
    >>> scaled([[1, 2, 3]])
    array([[0.5, 1. , 1.5]])
    >>> scaled([[1, 2, 3]], share=2)
    Traceback (most recent call last):
    femnn.exceptions.ParameterError: share=2 is not allowed; pass a real number in [0, 1]
    """

    def decorate(function: _Function) -> _Function:
        parameters = inspect.signature(function).parameters.values()
        names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        # what follows these goes into *args, whatever is named behind that
        by_place = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

        @functools.cache
        def checks() -> dict[str, Callable]:
            # at the first call, when all modules that annotations speak of are loaded
            hints = _hints(inspect.unwrap(function))
            found = {name: _check_of(name, hints.get(name, Any), wanted.get(name)) for name in names}
            return {name: check for name, check in found.items() if check and wanted.get(name) != "unchecked"}

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            lengths: dict[str, int] = {}
            of = checks()
            given = [
                of[name](value, lengths) if name in of else value for name, value in zip(by_place, args, strict=False)
            ]
            for name, value in kwargs.items():
                if name in of:
                    kwargs[name] = of[name](value, lengths)
            return function(*given, *args[len(by_place) :], **kwargs)

        return typing.cast(_Function, guarded)

    return decorate


_NAMES = {
    "c": "complex",
    "M": "a date",
    "m": "a time span",
    "U": "text",
    "S": "bytes",
    "O": "object",
    "V": "structured",
}


def _plain(value: Any) -> Any:
    """The Python or NumPy scalar in ``value``, an array of no axes for instance; None if it holds no real number."""
    # a span of time is an integer to NumPy
    if isinstance(value, bool | np.bool_ | np.timedelta64):
        return None
    if isinstance(value, Real):
        return value
    if isinstance(value, str | bytes | list | tuple | dict | np.ma.MaskedArray) or not hasattr(value, "__array__"):
        return None
    try:
        array = np.asarray(value)
    except Exception:  # a foreign __array__ may raise anything
        return None
    return array.item() if array.ndim == 0 and array.dtype.kind in "iuf" else None


def _normal(name: str, value: float) -> float:
    if 0.0 < abs(value) < _LEAST:
        raise ParameterError(f"{name}={value!r} is not allowed; numbers below {_LEAST:.2g} lose their digits")
    return value


def _is_within(value: Any, interval: str) -> bool:
    low, high = _ends(interval)
    return (low < value or (interval[0] == "[" and value == low)) and (
        value < high or (interval[-1] == "]" and value == high)
    )


@functools.cache
def _ends(interval: str) -> tuple[float, float]:
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def _converted(name: str, values: Any, error: Any) -> np.ndarray:
    """The array that NumPy makes of ``values``, if it loses nothing by that."""
    if values is None:
        raise error(f"{name} is no array of numbers: it is None; pass real numbers")
    try:
        if _has_mask(values):
            raise error(
                f"{name} is a masked array or has one in it, whose mask would be lost; pass its filled() values"
            )
        return np.asarray(values)
    except (MeshError, ParameterError, MemoryError):
        raise
    except Exception as cause:  # a foreign __array__ may raise anything
        raise error(f"{name} is no array of numbers: {cause}; pass real numbers") from cause


def _has_mask(values: Any, depth: int = 0) -> bool:
    if isinstance(values, list | tuple) and depth < _DEEPEST:
        return not set(map(type, values)) <= _PLAIN and any(_has_mask(value, depth + 1) for value in values)
    return isinstance(values, np.ma.MaskedArray)


def _are_reals(array: np.ndarray) -> bool:
    """Whether these objects are integers too large for NumPy, or other real numbers."""
    return array.size > 0 and all(isinstance(v, Real) and not isinstance(v, bool) for v in array.ravel())


def _check_of(name: str, hint: Any, wanted: str | None) -> Any:
    """A function (value, lengths) that gives the argument as it should be, or None for no check."""
    if _holds_arrays(hint):
        kinds = [np.ndarray, *(kind for kind in _kinds(hint) if kind in (type(None), slice, collections.abc.Callable))]
    else:
        kinds = _kinds(hint)
    if not kinds or any(map(_is_open, kinds)):
        return None
    may_be_none, may_be_called = type(None) in kinds, collections.abc.Callable in kinds
    classes = tuple(kind for kind in kinds if kind not in (float, int, bool, np.ndarray, type(None)))
    inner = _inner_check_of(name, hint, kinds)
    if collections.abc.Sequence in classes:
        classes += (np.ndarray,)
    convert = next((_CONVERSIONS[kind] for kind in _CONVERSIONS if kind in kinds), None)

    def check(value: Any, lengths: dict[str, int]) -> Any:
        if (value is None and may_be_none) or (may_be_called and callable(value)):
            return value
        if convert is None or (classes and isinstance(value, classes)):
            value = instance(name, value, *classes)
            if isinstance(value, np.ndarray) and value.ndim == 0:
                raise ParameterError(f"{name} is {brief(value)}, an array of no axes; pass a sequence")
            if inner is not None:
                inner(value)
            return value
        return convert(name, value, wanted, lengths)

    return check


def _inner_check_of(name: str, hint: Any, kinds: list) -> Callable[[Any], Any] | None:
    """A check of a path, or of each value in a sequence or mapping, or None."""
    if os.PathLike in kinds:
        return lambda value: require_path(name, value) if isinstance(value, str | os.PathLike) else None
    container, parts = typing.get_origin(hint), typing.get_args(hint)
    if container not in (collections.abc.Sequence, collections.abc.Mapping) or typing.get_origin(parts[-1]) is tuple:
        return None
    check = _check_of(f"a value of {name}", parts[-1], "any" if _holds_arrays(parts[-1]) else None)

    def check_all(values: Any) -> None:
        for value in values.values() if isinstance(values, Mapping) else values:
            check(value, {})

    return check_all if check else None


def _hints(function: Callable) -> dict[str, Any]:
    """Annotations of a function; Any for those that only a type checker can read."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {name: hint for name, hint in function.__annotations__.items() if not isinstance(hint, str)}


def _kinds(hint: Any) -> list:
    """Classes, and what else is no class, of an annotation."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return [typing.get_origin(kind) or kind for kind in (typing.get_args(hint) if is_union else (hint,))]


def _holds_arrays(hint: Any) -> bool:
    """Whether an annotation is that of an array, or has ArrayLike, itself a union, among its alternatives."""
    return any(kind is np.ndarray or getattr(kind, "__name__", "") == "_SupportsArray" for kind in _kinds(hint))


def _is_open(kind: Any) -> bool:
    """Whether an annotation says nothing that a look at the value alone could check."""
    return (
        kind in (Any, object)
        or not isinstance(kind, type)
        or (getattr(kind, "_is_protocol", False) and kind.__module__ != "collections.abc")
    )


def _checked_number(name: str, value: Any, interval: str, lengths: dict[str, int]) -> float:
    return number(name, value, interval or "(-inf, inf)")


def _checked_integer(name: str, value: Any, interval: str, lengths: dict[str, int]) -> int:
    low, high = _ends(interval or "[-inf, inf]")
    most = LARGEST_COUNT if interval and interval.endswith(")") else None
    if np.isfinite(high):
        most = int(high)
    return integer(name, value, None if np.isinf(low) else int(low), most)


def _checked_bool(name: str, value: Any, wanted: str | None, lengths: dict[str, int]) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"{name}={brief(value)} is not allowed; pass True or False")
    return bool(value)


def _checked_array(name: str, values: Any, wanted: str | None, lengths: dict[str, int]) -> np.ndarray:
    error = MeshError if name == "hexahedra" else ParameterError
    array = numbers(name, values, finite=wanted != "any", error=error)
    if wanted in (None, "any"):
        return array
    if wanted.startswith("int "):
        array, wanted = indices(name, array), wanted[4:]
    else:
        array = np.asarray(array, dtype=float)
    for shape in wanted.split("|"):
        if _fits(array.shape, shape.split(), lengths):
            return array
    shapes = " or ".join(f"({re.sub(' +', ', ', shape.strip())})" for shape in wanted.split("|"))
    known = ", ".join(f"{letter} = {length}" for letter, length in lengths.items())
    raise error(f"{name} has shape {array.shape}, expected is {shapes}{known and ' with ' + known}")


def _fits(shape: Any, axes: Any, lengths: dict[str, int]) -> bool:
    if "..." in axes and len(shape) >= len(axes) - 1:
        any_axes, place = len(shape) - len(axes) + 1, axes.index("...")
        shape, axes = shape[:place] + shape[place + any_axes :], axes[:place] + axes[place + 1 :]
    if len(shape) != len(axes):
        return False
    found = dict(lengths)
    for length, axis in zip(shape, axes, strict=True):
        if length != (int(axis) if axis.isdigit() else found.setdefault(axis, length)):
            return False
    lengths.update(found)
    return True


# By what an annotation names first.
_CONVERSIONS: dict[type, Callable[..., Any]] = {
    np.ndarray: _checked_array,
    float: _checked_number,
    int: _checked_integer,
    bool: _checked_bool,
}
