"""What a reduced model was made of, as short texts: mesh and numbering, points of a rule, law."""

import hashlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import skfem

from femnn.checks import brief, checked, instance, integer
from femnn.exceptions import ParameterError
from femnn.quadrature.rule import CellGroup
from femnn.solids.laws import PointLaw
from femnn.solids.solid import Solid

# Digits of a SHA-256 that tell two things apart.
_LENGTH = 16


def numbering(source: Any) -> tuple[int, str]:
    """Number of degrees of freedom of ``source``, and a fingerprint of its mesh and numbering.

    A :class:`femnn.Solid` and the bases of scikit-fem on the same mesh with the same element have the same one.

    Parameters
    ----------
    source
        A :class:`femnn.Solid`, a ``skfem.CellBasis`` or a list of them as :func:`femnn.bases` gives, anything with such
        ``bases``, or a number of unknowns, whose numbering is then taken on trust.

    Raises
    ------
    ParameterError
        If it is none of these.

    Examples
    --------
    >>> numbering(12)
    (12, '12 unknowns')
    """
    if isinstance(source, Solid):
        mesh, cells = source.points, source.discretisation.pattern.cells.astype(np.int64)
        dofs = (mesh.dim() * cells[:, :, None] + np.arange(mesh.dim())).reshape(len(cells), -1).T
        return source.n_dofs, _of_arrays(mesh.p, dofs)
    if isinstance(getattr(source, "bases", None), list):
        source = source.bases
    if isinstance(source, list) and source:
        source = source[0]
    if isinstance(source, skfem.CellBasis):
        return int(source.N), _of_arrays(source.mesh.p, source.dofs.element_dofs)
    if isinstance(source, bool) or not isinstance(source, int | np.integer):
        raise ParameterError(
            f"{brief(source)} has no degrees of freedom; pass a femnn.Solid, a basis of scikit-fem or a list of them, "
            "or the number of unknowns"
        )
    n = integer("the number of unknowns", source, at_least=1)
    return n, f"{n} unknowns"


@checked()
def of_cells(cells: np.ndarray) -> str:
    """Fingerprint of the coordinates (n, nodes, dim) of cells, as rules are asked about."""
    return _of_arrays(cells)


def of_groups(groups: list[CellGroup]) -> str:
    """Fingerprint of the points and weights of a rule on a mesh."""
    return _of_arrays(*(array for group in groups for array in (group.cells.astype(np.int64), group.X, group.W)))


def of_columns(columns: np.ndarray) -> list[str]:
    """Fingerprint of each column: a basis that begins with the same modes is known by them."""
    return [_of_arrays(column) for column in columns.T]


def of_law(law: Any) -> str:
    """Fingerprint of a constitutive law: its name, and the code and numbers that it can be told by.

    Of an object it is the class and the numbers, texts and arrays that it holds itself; laws that differ in other
    things alone look the same.
    """
    if isinstance(law, PointLaw):
        content = hashlib.sha256(repr((law.kinematics, law.parameters.tolist(), law.virgin.tolist())).encode())
        content.update(_code(law.function))
        return f"{law.compiled.__name__} {content.hexdigest()[:_LENGTH]}"
    kept = {
        name: value for name, value in sorted(vars(law).items()) if isinstance(value, float | int | str | np.ndarray)
    }
    content = hashlib.sha256()
    for name, value in kept.items():
        content.update(name.encode())
        content.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return f"{type(law).__name__} {content.hexdigest()[:_LENGTH]}"


def of_forms(residual: Any, parameters: Mapping[str, float]) -> str:
    """Fingerprint of a form of scikit-fem, by the code of its function, and of its parameters."""
    function = instance("residual", residual, skfem.assembly.Form).form
    content = hashlib.sha256(_code(function) + repr(sorted(parameters.items())).encode())
    return f"{getattr(function, '__name__', 'form')} {content.hexdigest()[:_LENGTH]}"


def _code(function):
    """Bytes that change with what a function does: its instructions and constants, not where it stands."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(type(function)).encode()
    constants = [_code_of(constant) for constant in code.co_consts]
    return code.co_code + repr((constants, code.co_names)).encode()


def _code_of(constant):
    if isinstance(constant, types.CodeType):
        return constant.co_code.hex()
    return repr(constant)


def _of_arrays(*arrays):
    result = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        values = array.astype(np.int64) if array.dtype.kind in "iu" else array
        result.update(f"{values.shape}".encode())
        result.update(values.tobytes())
    return result.hexdigest()[:_LENGTH]
