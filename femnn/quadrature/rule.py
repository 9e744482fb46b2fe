"""The contract that every rule keeps: a rule is two arrays for each group of cells."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import brief, floats, indices, instance, integer, one_of
from femnn.exceptions import FoldedElementError, ParameterError, warn
from femnn.geometry.cells import HEXAHEDRON, CellKind, cell_array, determinants, kind_of_array
from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import VALID, classify, valid_elements
from femnn.integration.gauss import tensor_gauss

# How far rounding may put a point out of the reference cube.
_ROUNDING = 1e-12


class CellGroup(NamedTuple):
    """Cells that share a number of quadrature points.

    Attributes
    ----------
    cells : (m,) int
        Indices into the elements that the rule was asked about.
    X : (dim, nqp) or (dim, m, nqp)
        Points in [0, 1]^dim, shared or one set per cell.
    W : (nqp,) or (m, nqp)
        Weights; Gauss weights sum to 1.

    Examples
    --------
    >>> import femnn
    >>> (group,) = femnn.GaussLegendre(2).groups(femnn.distorted_hexahedra(5, 0.2, seed=0))
    >>> group.cells, group.X.shape, group.W.shape, group.n_points
    (array([0, 1, 2, 3, 4]), (3, 8), (8,), 40)
    """

    cells: np.ndarray
    X: np.ndarray
    W: np.ndarray

    @property
    def n_points(self) -> int:
        """Number of integration points of the whole group."""
        return len(self.cells) * self.W.shape[-1]


class Rule(ABC):
    """A quadrature rule for hexahedra, or for other cells as well.

    A subclass implements :meth:`_groups` for healthy elements; the checks that scikit-fem does not make are made here.
    What a rule is not made for it says in ``cell_kinds``, ``highest_degree`` and ``integrates_values``, and refuses it
    by an error.

    See Also
    --------
    femnn.bases : One scikit-fem basis for each group of a rule.

    Examples
    --------
    A rule of one point at the centre:

    >>> import femnn, numpy as np
    >>> from femnn.quadrature import CellGroup, Rule
    >>> class Centre(Rule):
    ...     def _groups(self, hexahedra):
    ...         return [CellGroup(np.arange(len(hexahedra)), np.full((3, 1), 0.5), np.ones(1))]
    >>> Centre().count_points(femnn.distorted_hexahedra(5, 0.2, seed=0))
    5
    """

    #: The kinds of cells that the rule integrates.
    cell_kinds: ClassVar[tuple[CellKind, ...]] = (HEXAHEDRON,)

    #: True for a rule of a whole mesh, which gives the cells that its groups do not hold the weight zero.
    leaves_out: ClassVar[bool] = False

    #: Highest degree of shape functions along an axis that the rule is made for; None serves any.
    highest_degree: int | None = None

    #: False if the points serve products of gradients alone, and are worse than as many Gauss points for a mass.
    integrates_values: bool = True

    def groups(self, hexahedra: ArrayLike, on_folded: str = "raise") -> list[CellGroup]:
        """Quadrature points and weights of every element.

        Parameters
        ----------
        hexahedra : (n, 8, 3), or (n, nodes, dim)
            Coordinates in scikit-fem's order, as :func:`femnn.hexahedra` or :func:`femnn.geometry.cells` gives them.
        on_folded
            ``"raise"`` stops at folded or degenerate elements; ``"skip"`` leaves them out of all groups; ``"warn"``
            integrates those whose det J has one sign at all their points, as other programs do, with a warning. They
            get the points of a rule whose points are fixed, and Gauss points of the degree of the element from one that
            chooses by the shape: a shape that folds is none of its.

        Returns
        -------
        list of CellGroup
            Their ``cells`` partition the elements (the healthy ones, if others are skipped); those of a rule that
            ``leaves_out`` elements are the others.

        Raises
        ------
        MeshError
            If the array has another shape or values that are not finite.
        FoldedElementError
            With ``on_folded="raise"``; with ``"warn"``, if det J changes its sign between the points of an element; and
            if no element is left.
        ParameterError
            If ``on_folded`` is none of these, if the rule is not one for such cells, or if the rule's own answer is not
            what :class:`CellGroup` says, misses an element or names one twice.

        Warns
        -----
        FemnnWarning
            With ``on_folded="warn"``, if there are folded elements; it counts them.
        """
        x = cell_array(hexahedra)
        kind = kind_of_array(x)
        self._require_kind(kind)
        if one_of("on_folded", on_folded, ("raise", "skip", "warn")) == "warn":
            return self._with_folded(x, kind.dim)
        valid = valid_elements(x, on_folded)
        if len(valid) == 0:
            raise FoldedElementError(
                f"all {len(x)} elements are folded or degenerate, nothing is left to integrate; repair the mesh",
                np.arange(len(x)),
            )
        taken = x if len(valid) == len(x) else x[valid]
        groups = _checked(self, self._groups(taken), len(valid), kind.dim)
        return [group._replace(cells=valid[group.cells]) for group in groups]

    def _require_kind(self, kind):
        if kind not in self.cell_kinds:
            raise ParameterError(
                f"{type(self).__name__} is a rule for {' and '.join(k.name for k in self.cell_kinds)}, these are "
                f"{kind.name}, of which it knows nothing; pass femnn.AdaptiveGauss(tol=1e-3) for a tolerance, or "
                "femnn.GaussLegendre(3)"
            )

    def _with_folded(self, x, dim):
        """Groups of healthy elements, and of folded ones of which no point tells that they fold."""
        status = classify(x)
        valid, folded = np.flatnonzero(status == VALID), np.flatnonzero(status != VALID)
        groups = []
        if len(valid):
            checked_groups = _checked(self, self._groups(x[valid]), len(valid), dim)
            groups = [group._replace(cells=valid[group.cells]) for group in checked_groups]
        if len(folded):
            (group,) = _checked(self, [self._group_of_folded(x[folded])], len(folded), dim)
            signs = np.sign(determinants(in_own_units(x[folded])[0], group.X))
            torn = folded[(signs != signs[:, :1]).any(axis=1) | (signs[:, 0] == 0.0)]
            if len(torn):
                raise FoldedElementError(
                    f"det J of element {torn[0]} changes its sign between its {group.W.shape[-1]} integration points, "
                    f"as in {len(torn)} of {len(x)} elements; repair the mesh or pass on_folded='skip'",
                    torn,
                )
            warn(
                f"{len(folded)} of {len(x)} elements, the first is number {folded[0]}, are folded or degenerate, but "
                f"det J has one sign at all their {group.W.shape[-1]} integration points: they are integrated there, "
                "and no tolerance is promised for them"
            )
            groups.append(group._replace(cells=folded[group.cells]))
        return groups

    def _group_of_folded(self, hexahedra: np.ndarray) -> CellGroup:
        """One group of shared points for elements (n, nodes, dim) that fold: Gauss points, or those of a fixed rule."""
        kind = kind_of_array(hexahedra)
        return CellGroup(np.arange(len(hexahedra)), *tensor_gauss(*[kind.degree + 1] * kind.dim))

    def count_points(self, hexahedra: ArrayLike, on_folded: str = "raise") -> int:
        """Number of integration points on all these elements; arguments and errors as for :meth:`groups`."""
        return sum(group.n_points for group in self.groups(hexahedra, on_folded))

    def for_degree(self, degree: int) -> "Rule":
        """The rule for shape functions of degree ``degree`` along each axis; rules with fixed points stay the same.

        Raises
        ------
        ParameterError
            If the rule is made for lower degrees alone.
        """
        integer("degree", degree, at_least=1)
        if self.highest_degree is not None and degree > self.highest_degree:
            raise ParameterError(
                f"{self!r} is made for shape functions of degree {self.highest_degree} along each axis, this element "
                f"has degree {degree}: its stiffness would be wrong, or have zero-energy modes; pass AdaptiveGauss or "
                f"GaussLegendre({degree + 1})"
            )
        return self

    def for_element(self, element: skfem.Element) -> "Rule":
        """The rule for a scalar element or a vector of one, by the degree of its shape functions along each axis.

        Raises
        ------
        ParameterError
            If the rule is made for other elements.
        """
        return self.for_degree(degree_per_axis(element))

    def require_values(self) -> None:
        """Raise ParameterError unless the rule integrates products of values, as a mass has them."""
        if not self.integrates_values:
            raise ParameterError(
                f"{self!r} is made for products of gradients; for those of values, as in a mass, its points are worse "
                "than as many Gauss points: pass GaussLegendre(3), which is exact for trilinear elements"
            )

    @abstractmethod
    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        """The groups of healthy elements (n, 8, 3), or (n, nodes, dim); ``cells`` index this array."""


def _checked(rule, answer, n, dim):
    """What a rule answers for ``n`` elements, if kernels can read it and it integrates each of them once."""
    name = type(rule).__name__
    try:
        groups = [CellGroup(*group) for group in answer]
    except TypeError as error:
        raise ParameterError(f"{name}._groups gives {brief(answer)}; it must give a list of CellGroup") from error
    groups = [_checked_group(f"group {k} of {name}", group, n, dim) for k, group in enumerate(groups)]
    times = np.zeros(n, dtype=np.int64)
    for group in groups:
        times += np.bincount(group.cells, minlength=n)
    wrong = np.flatnonzero(times > 1 if rule.leaves_out else times != 1)
    if len(wrong):
        raise ParameterError(
            f"{name} has element {wrong[0]} in {times[wrong[0]]} of its groups' places, and so {len(wrong)} of {n} "
            "elements; cells of all groups together must be each element once"
        )
    return groups


def _checked_group(name, group, n, dim):
    cells = indices(f"{name}: cells", group.cells, n)
    X, W = floats(f"{name}: X", group.X), floats(f"{name}: W", group.W)
    m, nqp = cells.size, W.shape[-1] if W.ndim else 0
    if cells.ndim != 1 or X.shape not in ((dim, nqp), (dim, m, nqp)) or W.shape not in ((nqp,), (m, nqp)) or nqp == 0:
        raise ParameterError(
            f"{name} has cells {cells.shape}, X {X.shape} and W {W.shape}; they must be (m,), ({dim}, nqp) "
            f"or ({dim}, m, nqp), and (nqp,) or (m, nqp), with a point or more"
        )
    if X.size and not -_ROUNDING <= X.min() <= X.max() <= 1.0 + _ROUNDING:
        raise ParameterError(f"{name} has points from {X.min():g} to {X.max():g}; they must be in [0, 1]")
    return CellGroup(cells, X, W)


def degree_per_axis(element: skfem.Element) -> int:
    """Degree of shape functions along one axis: scikit-fem's ``maxdeg`` counts all axes together.

    >>> degree_per_axis(skfem.ElementHex2()), degree_per_axis(skfem.ElementVector(skfem.ElementQuad1()))
    (2, 1)
    """
    instance("element", element, skfem.Element)
    return max(1, int(np.ceil(element.maxdeg / element.refdom.dim())))


def groups_by_points(points_per_axis: np.ndarray) -> list[CellGroup]:
    """One group for each tensor rule that occurs in ``points_per_axis`` (n_elements, dim)."""
    base = 100 ** np.arange(points_per_axis.shape[1])[::-1]
    codes = points_per_axis @ base
    order = np.argsort(codes, kind="stable")
    values, starts = np.unique(codes[order], return_index=True)
    return [
        CellGroup(cells, *tensor_gauss(*(int(code) // base % 100).tolist()))
        for code, cells in zip(values, np.split(order, starts[1:]), strict=True)
    ]


def describe(rule: Any, card: Mapping[str, Any]) -> str:
    """The printed form of a learned rule, which says how far to trust it."""
    lines = [
        repr(rule),
        f"  {card['what']}",
        f"  trained on: {card['trained_range']}",
        f"  seed {card['training'].get('seed', 'unknown')}, weights sha256 {card['sha256'][:12]}",
    ]
    return "\n".join(lines)
