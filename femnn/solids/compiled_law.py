"""A law that a user wrote for one point, compiled to a C function and kept on the disk.

A C function has one type for all laws, so that the assembly is compiled once and not for every law. Numba itself keeps
no function that calls another one of whose code it cannot tell whether it has changed; here the key is what the law
computes: its bytecode, that of the functions it calls, and the values of the globals that it reads.
"""

import hashlib
import inspect
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache, NullCache
from numba.core.ccallback import CFunc
from numba.core.compiler import Compiler

from femnn.checks import brief
from femnn.exceptions import ParameterError
from femnn.system.compile import njit

_VECTOR, _MATRIX = numba.types.float64[::1], numba.types.float64[:, ::1]
#: Of the C function of a law.
SIGNATURE = numba.types.void(_VECTOR, _VECTOR, _VECTOR, _VECTOR, _MATRIX, _VECTOR)

# Modules whose names say what they compute, in one version of Numba.
_FIXED = ("builtins", "math", "numba", "numpy")

# Larger arrays that a law reads are no constants to the compiler, which then keeps nothing.
_LARGEST_CONSTANT = 1000


def compiled_law(function: Callable) -> Any:
    """The C function of a law for one point, plain or compiled by Numba; see :class:`femnn.PointLaw`.

    Raises
    ------
    ParameterError
        If it is no function, or none that Numba can compile.
    """
    plain = getattr(function, "py_func", function)
    if not callable(plain):
        raise ParameterError(f"the law is {brief(plain)}; give a function")
    return law_callback(plain)


@lru_cache(maxsize=64)
def law_callback(plain: Callable) -> Any:
    """The same of a plain function: once for all parameters."""
    name = getattr(plain, "__name__", repr(plain))
    try:
        # by Numba's own compiler: what a law prints is not known to a C function that takes it in
        law = njit(error_model="numpy", pipeline_class=Compiler)(plain)

        def guarded(strain, state, parameters, stress, tangent, new_state):
            # a C function cannot raise: what it has written by then would pass for its answer
            try:
                law(strain, state, parameters, stress, tangent, new_state)
            except Exception:
                stress[:] = np.nan

        return _compiled(guarded, name, _cache_of(guarded, plain))
    except Exception as error:  # the compiler lets through whatever it stumbles over
        raise ParameterError(f"Numba cannot compile the law {name!r}: {error}") from error


def _compiled(guarded, name, cache):
    callback = CFunc(guarded, (SIGNATURE.args, SIGNATURE.return_type), {}, {"error_model": "numpy"})
    callback.__name__ = name
    callback._cache = cache
    try:
        callback.compile()
    except OSError:
        # what was compiled cannot be kept
        return _compiled(guarded, name, NullCache())
    return callback


def _cache_of(guarded, plain):
    if inspect.getmodule(plain) is None:
        # what is kept names the module of a function, which a later process would not find
        return NullCache()
    try:
        return _LawCache(guarded, _fingerprint(plain))
    except (RuntimeError, _NotKnownError):
        # no folder can be written, or nobody can tell what the law computes: every process compiles it
        return NullCache()


class _LawCache(FunctionCache):
    """Keeps C functions of laws under the fingerprint of what they compute."""

    def __init__(self, function: Callable, fingerprint: str) -> None:
        super().__init__(function)
        self.fingerprint = fingerprint

    def _index_key(self, signature: Any, codegen: Any) -> tuple:
        return signature, codegen.magic_tuple(), self.fingerprint

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except ImportError:
            # a module that the law was compiled with is not there any more
            return None


class _NotKnownError(Exception):
    """A law reads something of which it cannot be told whether it has changed."""


def _fingerprint(function: Callable) -> str:
    digest = hashlib.sha256()
    _add_function(digest, function, set())
    return digest.hexdigest()


def _add_function(digest, function, seen):
    if id(function) in seen:
        return
    seen.add(id(function))
    if not isinstance(function, types.FunctionType):
        raise _NotKnownError
    _add_code(digest, function.__code__)
    _add_value(digest, function.__defaults__, seen)
    named = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
        named[name] = cell.cell_contents
    for name in sorted(named):
        digest.update(f"{name}:".encode())
        _add_value(digest, named[name], seen)


def _add_code(digest, code):
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount)).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(digest, constant)
        else:
            digest.update(repr(constant).encode())


def _names(code):
    """Names that a function and those within it read, its attributes among them."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _add_value(digest, value, seen):
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        digest.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, tuple):
        digest.update(f"tuple {len(value)};".encode())
        for part in value:
            _add_value(digest, part, seen)
    elif isinstance(value, np.ndarray) and value.dtype != object and value.size <= _LARGEST_CONSTANT:
        digest.update(f"array {value.dtype} {value.shape} {value.tobytes().hex()};".encode())
    elif isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] in _FIXED:
        digest.update(f"module {value.__name__};".encode())
    elif callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] in _FIXED:
        digest.update(f"function {value.__module__} {value.__name__};".encode())
    else:
        _add_function(digest, getattr(value, "py_func", value), seen)
