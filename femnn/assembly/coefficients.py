"""Coefficients of a form: constant, one per element, one per point, or a function of position."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import called, floats
from femnn.exceptions import ParameterError

#: An array for the mesh or for its elements, a list with one per group of the rule, or a function of the points.
Coefficient = ArrayLike | Sequence[np.ndarray] | Callable[[np.ndarray], ArrayLike]


class Coefficients(NamedTuple):
    """Numbers of a coefficient as the kernels read them: point q of element e has ``values[rows[e] + step * q]``.

    Attributes
    ----------
    values : (m, size)
    rows : (n,) int64
    step : int
        1 if every point has a row of its own, 0 if the points of an element share one.
    """

    values: np.ndarray
    rows: np.ndarray
    step: int

    @classmethod
    def of(cls, coefficient, shape, discretisation, name):
        """Coefficient of tensor ``shape``, see :meth:`of_shapes`."""
        return cls.of_shapes(coefficient, (shape,), discretisation, name)

    @classmethod
    def of_shapes(cls, coefficient, shapes, discretisation, name):
        """Coefficient of one of several tensor shapes.

        Parameters
        ----------
        coefficient
            An array of a shape in ``shapes`` for the whole mesh, of ``(*shape, n)`` with one entry per element, a list
            with an array ``(*shape, m, nqp)`` for each group of the rule, or a function of the points x (3, m, nqp)
            that gives such an array: scikit-fem's order of axes.
        shapes
            Tensor shapes to choose from, () for a number.
        name
            What the coefficient is called in errors.

        Raises
        ------
        ParameterError
            If the shape fits none of these or a value is not finite.
        """
        n = len(discretisation.hexahedra)
        if callable(coefficient):
            coefficient = [called(f"the {name}", coefficient, x) for x in discretisation.locations()]
        if isinstance(coefficient, list) and any(isinstance(values, np.ndarray) for values in coefficient):
            return cls._per_point(coefficient, shapes, discretisation, name)
        values = _numbers(coefficient, name)
        if values.shape in shapes:
            return cls(_finite(values.reshape(1, -1), name, "mesh").copy(), np.zeros(n, dtype=np.int64), 0)
        if values.ndim and values.shape[-1] == n and values.shape[:-1] in shapes:
            per_element = np.ascontiguousarray(values.reshape(-1, n).T)
            return cls(_finite(per_element, name, "element"), np.arange(n), 0)
        raise ParameterError(
            f"the {name} has shape {values.shape}; give {_listed(shapes)} for the mesh, {_listed(shapes, n)} with one "
            "entry per element, a list with one array per group of the rule, or a function of the points"
        )

    @classmethod
    def of_tensor(cls, coefficient, discretisation, name):
        """Coefficient of shape (dim, dim), where a number stands for its multiple of the identity, as nine numbers."""
        dim = discretisation.dim
        tensors = cls.of_shapes(coefficient, ((), (dim, dim)), discretisation, name)
        values = tensors.values
        if values.shape[1] == 1:
            return tensors._replace(values=values * np.eye(3).reshape(1, 9))
        if dim == 2:
            values = np.pad(values.reshape(-1, 2, 2), ((0, 0), (0, 1), (0, 1))).reshape(-1, 9)
        return tensors._replace(values=np.ascontiguousarray(values))

    @classmethod
    def _per_point(cls, arrays, shapes, discretisation, name):
        groups = discretisation.groups
        if len(arrays) != len(groups):
            raise ParameterError(f"the {name} has {len(arrays)} arrays, the rule has {len(groups)} groups")
        parts = []
        for number, (array, group) in enumerate(zip(arrays, groups, strict=True)):
            values, points = _numbers(array, name), (len(group.cells), group.W.shape[-1])
            # a function may give one value for all points or elements
            shape = values.shape[: max(values.ndim - 2, 0)]
            if shape not in shapes or not _fits(values.shape[-2:], points):
                raise ParameterError(
                    f"the {name} of group {number} has shape {values.shape}; its {points[0]} elements with {points[1]} "
                    f"points each need {_listed(shapes, *points)}"
                )
            parts.append(np.broadcast_to(values, (*shape, *points)).reshape(-1, points[0] * points[1]).T)
        if len({part.shape[1] for part in parts}) > 1:
            raise ParameterError(f"the {name} has tensors of different shapes in different groups of the rule")
        values = np.ascontiguousarray(np.concatenate(parts))
        return cls(_finite(values, name, "point"), discretisation.points.rows, 1)


def _fits(shape, points):
    return len(shape) == 2 and all(a in (1, b) for a, b in zip(shape, points, strict=True))


def _listed(shapes, *ends):
    return " or ".join(str((*shape, *ends)) for shape in shapes)


def _numbers(values, name):
    return floats(f"the {name}", values, finite=False)


def _finite(values, name, place):
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        where = "" if place == "mesh" else f" at {place} {bad[0]}, and at {len(bad)} of {len(values)}"
        value = values[bad[0]].tolist() if values.shape[1] > 1 else values[bad[0], 0]
        raise ParameterError(f"the {name} is {value}{where}; give finite numbers")
    return values
