"""The compiler of kernels: Numba's own, without what it does for nothing.

Kernels are made of many small functions, and half of the time of a first call went into what none of them needs. Each
function that only other kernels call was turned into machine code by itself, though its callers take it in and optimise
it again. So were functions of NumPy, ``np.empty`` for instance, and anew for each combination of options of their
callers, those included that mean nothing to them. Operators on numbers were typed anew at every place, by trying all
that Numba has under their names. And every kernel got a wrapper for C, which nothing calls.
"""

from typing import Any, cast

import numba
import numpy as np
from numba.core import ir, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.target_extension import jit_registry, target_registry
from numba.core.targetconfig import ConfigStack, TargetConfig
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.typing import Context

from femnn.system.lowering import KernelLower, found

# Options of a function that what it calls does not inherit.
_OWN = frozenset({"no_cpython_wrapper", "no_cfunc_wrapper", "release_gil", "no_compile"})

# What values are made of.
_VALUES = (types.Number, types.Boolean, types.Array, types.BaseTuple, types.SliceType)


def _is_literal(kind: types.Type) -> bool:
    return types.unliteral(kind) != kind


class _Flags(Flags):
    """Options of a kernel; they are equal if what it calls is compiled alike."""

    def __hash__(self) -> int:
        return hash(_Flags)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TargetConfig):
            return NotImplemented
        mine, others = self._values, other._values
        return mine == others or all(
            mine.get(name, option.default) == others.get(name, option.default)
            for name, option in cast(Any, self).options.items()
            if name not in _OWN
        )


class _Typing(Context):
    """A view of Numba's types that remembers what operators on numbers and arrays were found to return."""

    # beside what it shares with the whole
    __slots__ = ("whole",)

    def __init__(self, whole: Context) -> None:
        self.__dict__ = whole.__dict__
        self.whole = whole

    def __hash__(self) -> int:
        return hash(self.whole)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and other.__dict__ is self.__dict__

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        if kws or type(func) is not types.Function:
            return super().resolve_function_type(func, args, kws)
        # numbers that stand in the source have the type of all others, which Numba tries first
        plain, exact = (func, tuple(map(types.unliteral, args))), (func, tuple(args))
        known = found.get(exact) or found.get(plain)
        if known is not None:
            return known
        signature = super().resolve_function_type(func, args, kws)
        if (
            signature is not None
            and all(isinstance(kind, _VALUES) for kind in args)
            # what stands for other code was compiled with the options of this caller
            and func.get_impl_key(signature) == func.typing_key
        ):
            found[exact if any(map(_is_literal, signature.args)) else plain] = signature
        return signature


class KernelCompiler(Compiler):
    """Compiler of kernels that Python calls."""

    def __init__(self, typingctx: Any, *rest: Any, **named: Any) -> None:
        super().__init__(_Typing(typingctx), *rest, **named)
        self.state.flags = _Flags(self.state.flags)
        self.state.flags.no_cfunc_wrapper = True

    def _compile_core(self) -> Any:
        result = super()._compile_core()
        # what the functions that it took in have of Python's objects: words that are printed, for instance
        codegen = result.library.codegen
        for environment in result._find_referenced_environments():
            if codegen._engine.get_global_value_address(environment.env_name):
                codegen.set_env(environment.env_name, environment)
        return result

    def define_pipelines(self) -> list:
        passes: Any = DefaultPassBuilder.define_nopython_pipeline(self.state)
        own = {NativeLowering: self._lowering, NopythonRewrites: _KernelRewrites}
        passes.passes = [(own.get(kind, kind), text) for kind, text in passes.passes]
        # no analysis of a function anew after each pass: the last one makes it before it is lowered
        passes._ENFORCING = False
        passes.finalize()
        return [passes]

    @property
    def _lowering(self) -> type:
        return _KernelLowering


class InnerCompiler(KernelCompiler):
    """Compiler of functions that nothing but kernels call: they are left as they are for whoever takes them in."""

    def _compile_core(self) -> Any:
        return Compiler._compile_core(self)

    @property
    def _lowering(self) -> type:
        return _InnerLowering


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelRewrites(NopythonRewrites):
    """Makes loops of expressions of whole arrays, if there are any."""

    _name = "kernel_rewrites"

    def run_pass(self, state: Any) -> bool:
        kinds = state.typemap
        is_wanted = any(isinstance(kind, types.List | types.StringLiteral) for kind in kinds.values()) or any(
            isinstance(kinds.get(statement.target.name), types.Array)
            and isinstance(statement.value, ir.Expr)
            and (
                statement.value.op in ("unary", "binop")
                or (statement.value.op == "call" and _is_ufunc(kinds.get(statement.value.func.name)))
            )
            for block in state.func_ir.blocks.values()
            for statement in block.find_insts(ir.Assign)
        )
        return is_wanted and super().run_pass(state)


def _is_ufunc(kind: types.Type) -> bool:
    return isinstance(kind, types.Function) and isinstance(kind.typing_key, np.ufunc)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):
    _name = "kernel_lowering"
    lowering_class = KernelLower

    def run_pass(self, state: Any) -> bool:
        state.library = _KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _InnerLowering(NativeLowering):
    _name = "inner_lowering"
    lowering_class = KernelLower

    def run_pass(self, state: Any) -> bool:
        state.library = _InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        # stands for the function that Python would call: callers find the code by it
        key = object()
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        state.cr = state.cr._replace(cfunc=key)
        return True


class _KernelLibrary(JITCodeLibrary):
    def _optimize_functions(self, ll_module: Any) -> None:
        """No more than makes functions small: all of them are optimised together, once they are linked."""
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager(opt=1)
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class _InnerLibrary(_KernelLibrary):
    def _optimize_final_module(self) -> None:
        """Left to the kernels that take it in."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class InnerDispatcher(CPUDispatcher):
    """A function for kernels alone."""

    def add_overload(self, cres: Any) -> None:
        self.overloads[tuple(cres.signature.args)] = cres


def _jit(*functions: Any, **options: Any) -> Any:
    """``numba.jit`` for what stands for functions of NumPy: where a kernel calls it, a function for kernels alone."""
    if functions or not isinstance(ConfigStack.top_or_none(), _Flags) or not _SIMPLE.issuperset(options):
        return numba.jit(*functions, **options)

    def decorated(function: Any) -> InnerDispatcher:
        return InnerDispatcher(function, {}, {"nopython": True, "boundscheck": None, **options}, InnerCompiler)

    return decorated


# Options that change nothing in how such a function is made.
_SIMPLE = frozenset({"nopython", "no_cpython_wrapper", "no_cfunc_wrapper", "error_model", "fastmath", "nogil"})

_CPU = target_registry["cpu"]
# an entry of this registry is never overwritten
del jit_registry[_CPU]
jit_registry[_CPU] = _jit
