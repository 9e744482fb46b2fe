"""From typed statements to LLVM's instructions: Numba's own way, without instructions that LLVM would remove again.

Numba copies the whole record of an array into memory for each entry that is read or written, loads and stores numbers
for the sake of references that they do not have, and looks up each operator anew at each place where it stands.
"""

from typing import Any

from numba.core import ir, types
from numba.core.cgutils import get_item_pointer2
from numba.core.lowering import Lower
from numba.np.arrayobj import fix_integer_index, load_item, store_item

#: Signatures of operators on numbers and arrays that typing found, by function and types.
found: dict[tuple, Any] = {}


class KernelLower(Lower):
    """Writes the instructions of one function."""

    def init(self) -> None:
        super().init()
        self._operators: dict[tuple, Any] = {}
        self._counted: dict[types.Type, bool] = {}

    def lower_inst(self, inst: Any) -> None:
        if isinstance(inst, ir.Del):
            self.delvar(inst.value)
        elif isinstance(inst, ir.Assign) and not isinstance(inst.value, ir.Arg):
            name = inst.target.name
            self.storevar(self.lower_assign(self.typeof(name), inst), name)
        else:
            super().lower_inst(inst)

    def lower_binop(self, resty: Any, expr: Any, op: Any) -> Any:
        signature = self.fndesc.calltypes[expr]
        implementation = None
        if expr.static_lhs is ir.UNDEFINED and expr.static_rhs is ir.UNDEFINED:
            implementation = self._operator(op, signature.args)
        if implementation is None:
            return super().lower_binop(resty, expr, op)
        operands = [
            self.context.cast(self.builder, self.loadvar(side.name), self.typeof(side.name), kind)
            for side, kind in zip((expr.lhs, expr.rhs), signature.args, strict=True)
        ]
        result = implementation(self.builder, operands)
        return self.context.cast(self.builder, result, signature.return_type, resty)

    def _operator(self, op: Any, arguments: tuple) -> Any:
        """What stands for an operator; None if it is not known."""
        key = op, arguments
        if key not in self._operators:
            function = self.context.typing_context.resolve_value_type(op)
            signature = found.get((function, arguments))
            self._operators[key] = None if signature is None else self.context.get_function(function, signature)
        return self._operators[key]

    def lower_getitem(self, resty: Any, expr: Any, value: Any, index: Any, signature: Any) -> Any:
        array = self.typeof(value.name)
        pointer = self._entry(array, value, index) if array.__class__ is types.Array and resty == array.dtype else None
        if pointer is None:
            return super().lower_getitem(resty, expr, value, index, signature)
        return load_item(self.context, self.builder, array, pointer)

    def lower_setitem(self, target: Any, index: Any, value: Any, signature: Any) -> Any:
        array = self.typeof(target.name)
        pointer = self._entry(array, target, index) if array.__class__ is types.Array else None
        if pointer is None:
            return super().lower_setitem(target, index, value, signature)
        kind, item = self.typeof(value.name), self.loadvar(value.name)
        for wanted in (signature.args[2], array.dtype):
            item, kind = self.context.cast(self.builder, item, kind, wanted), wanted
        return store_item(self.context, self.builder, array, item, pointer)

    def _entry(self, array: types.Array, variable: Any, index: Any) -> Any:
        """Pointer to a number in an array; None if this is for Numba."""
        index_kind: Any = self.typeof(index.name)
        is_tuple = isinstance(index_kind, types.BaseTuple)
        kinds = list(index_kind) if is_tuple else [index_kind]
        if (
            len(kinds) != array.ndim
            or not all(isinstance(kind, types.Integer) for kind in kinds)
            or not isinstance(array.dtype, types.Number | types.Boolean)
            or self.context.enable_boundscheck
        ):
            return None
        whole, record = self.loadvar(variable.name), self.context.data_model_manager[array]
        values = [self.loadvar(index.name)]
        if is_tuple:
            values = [self.builder.extract_value(values[0], k) for k in range(len(kinds))]
        shape, strides = (
            [self.builder.extract_value(whole, [record.get_field_position(name), k]) for k in range(array.ndim)]
            for name in ("shape", "strides")
        )
        indices = [
            fix_integer_index(self.context, self.builder, kind, value, size)
            for kind, value, size in zip(kinds, values, shape, strict=True)
        ]
        data = self.builder.extract_value(whole, record.get_field_position("data"))
        return get_item_pointer2(self.context, self.builder, data, shape, strides, array.layout, indices)

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        if argidx is not None or self._is_counted(self.typeof(name)):
            super().storevar(value, name, argidx)
            return
        self._alloca_var(name, self.typeof(name))
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.getvar(name))

    def delvar(self, name: str) -> None:
        if self._is_counted(self.typeof(name)):
            super().delvar(name)

    def incref(self, typ: types.Type, val: Any) -> None:
        if self._is_counted(typ):
            super().incref(typ, val)

    def decref(self, typ: types.Type, val: Any) -> None:
        if self._is_counted(typ):
            super().decref(typ, val)

    def _is_counted(self, kind: types.Type) -> bool:
        """Whether values of a type have references that are counted."""
        if kind not in self._counted:
            self._counted[kind] = self.context.data_model_manager[kind].contains_nrt_meminfo()
        return self._counted[kind]
