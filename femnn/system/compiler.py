"""The compiler of kernels: Numba's own, without what it does for nothing.

Kernels are made of many small functions, and half of the time of a first call went into what none of them needs. Each
function that only other kernels call was turned into machine code by itself, though its callers take it in and optimise
it again. Functions of NumPy, ``np.empty`` for instance, were compiled anew for each combination of options of their
callers, those included that mean nothing to them. Operators on numbers were typed anew at every place, by trying all
that Numba has under their names. And every kernel got a wrapper for C, which nothing calls.
"""

from typing import Any, cast

from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder, Flags
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.targetconfig import TargetConfig
from numba.core.typed_passes import NativeLowering
from numba.core.typing import Context

# Options of a function that what it calls does not inherit.
_OWN = frozenset({"no_cpython_wrapper", "no_cfunc_wrapper", "release_gil", "no_compile"})

# What values are made of, and the signatures of operators on them, by function and types.
_VALUES = (types.Number, types.Boolean, types.Array, types.BaseTuple, types.SliceType)
_found: dict[tuple, Any] = {}


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
        if kws or not isinstance(func, types.Function) or not all(isinstance(kind, _VALUES) for kind in args):
            return super().resolve_function_type(func, args, kws)
        key = func, tuple(args)
        if key not in _found:
            signature = super().resolve_function_type(func, args, kws)
            # what stands for other code was compiled with the options of this caller
            if signature is None or func.get_impl_key(signature) != func.typing_key:
                return signature
            _found[key] = signature
        return _found[key]


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


class InnerCompiler(KernelCompiler):
    """Compiler of functions that nothing but kernels call: they are left as they are for whoever takes them in."""

    def _compile_core(self) -> Any:
        return Compiler._compile_core(self)

    def define_pipelines(self) -> list:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_InnerLowering if kind is NativeLowering else kind, text) for kind, text in passes.passes]
        passes.finalize()
        return [passes]


@register_pass(mutates_CFG=True, analysis_only=False)
class _InnerLowering(NativeLowering):
    _name = "inner_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        # stands for the function that Python would call: callers find the code by it
        key = object()
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        state.cr = state.cr._replace(cfunc=key)
        return True


class _InnerLibrary(JITCodeLibrary):
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
