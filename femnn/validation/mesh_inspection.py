"""Findings of ``femnn inspect`` about a mesh: shape of its elements, points they need, Error of the rules."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from skfem import MeshHex
from tqdm import tqdm

from femnn.assembly.hourglass.correction import HourglassCorrection
from femnn.checks import checked
from femnn.exceptions import FemnnWarning
from femnn.geometry.mesh import hexahedra
from femnn.geometry.quality import aspect, distance_from_parallelepiped, scaled_jacobian, signed_volume
from femnn.geometry.validity import DEGENERATE, FOLDED, VALID, classify
from femnn.integration.convergence import FLOOR, MOST_POINTS, errors_and_reference, smallest_points
from femnn.integration.error import error_against, stiffness_error
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.classifier import FEWEST
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.quadrature.moved.rule import MovedGauss

#: Uniform rules that every report shows.
UNIFORM = (2, 3, 4)

#: Rules that take the place of Gauss points, and of how many per axis; the first is in the table of every report.
LEARNED: dict[str, tuple[Callable[[], Any], int]] = {
    "CorrectedGauss()": (CorrectedGauss, 2),
    "CorrectedGauss(3, patch=True)": (lambda: CorrectedGauss(3, patch=True), 3),
    "MovedGauss()": (MovedGauss, 2),
    "MovedGauss(patch=True)": (lambda: MovedGauss(patch=True), 2),
    "HourglassCorrection()": (HourglassCorrection, 2),
}

# Elements whose matrices are held at a time.
_CHUNK = 2048

# An Error below this is round-off, and a gain that leaves more than this share of it is not worth a network.
_EXACT, _WORTH_IT = 1e-9, 0.95


class ByStatus:
    """What has a status for each element, as :func:`femnn.geometry.validity.classify` gives it."""

    status: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """Indices of the elements that can be integrated."""
        return np.flatnonzero(self.status == VALID)

    @property
    def folded(self) -> np.ndarray:
        """Indices of the elements whose det J changes sign."""
        return np.flatnonzero(self.status == FOLDED)

    @property
    def degenerate(self) -> np.ndarray:
        """Indices of the elements whose det J vanishes somewhere."""
        return np.flatnonzero(self.status == DEGENERATE)


@dataclass(frozen=True, eq=False, repr=False)
class Shape(ByStatus):
    """Status and quality of all elements, each of shape (n,).

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import measure_shape
    >>> shape = measure_shape(skfem.MeshHex().refined(1))
    >>> [row[0] for row in shape.table()]
    ['scaled Jacobian', 'longest / shortest axis', 'distance from parallelepiped', 'volume']
    """

    status: np.ndarray
    scaled_jacobian: np.ndarray
    aspect: np.ndarray
    distance: np.ndarray
    volume: np.ndarray

    def __repr__(self) -> str:
        return f"<Shape of {len(self.status)} elements, {len(self.valid)} of them valid>"

    def table(self) -> list[tuple[str, float, float, float]]:
        """Rows (measure, least, median, largest) for the reader."""
        measures = {
            "scaled Jacobian": self.scaled_jacobian,
            "longest / shortest axis": self.aspect,
            "distance from parallelepiped": self.distance,
            "volume": self.volume,
        }
        return [(name, *_least_median_largest(values)) for name, values in measures.items()]


@dataclass(frozen=True)
class RuleFigures:
    """A rule on the elements that can be integrated: its points, its Error, and the elements where it misses tol.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import measure_integration
    >>> elements = femnn.distorted_hexahedra(20, 0.2, seed=0)
    >>> found = measure_integration(elements, femnn.AdaptiveGauss(1e-3), poisson=0.3, progress=False)
    >>> row = found.table[0]
    >>> row.rule, row.points, row.misses
    ('GaussLegendre(2)', 160, 20)
    """

    rule: str
    points: int
    median: float
    p99: float
    worst: float
    misses: int


@dataclass(frozen=True)
class LearnedFigures:
    """What a learned rule makes of as many Gauss points on a mesh.

    Attributes
    ----------
    rule
        As a user writes it.
    gauss
        Gauss points per axis that it takes the place of.
    changed
        Number of elements that do not keep these.
    mean_r_error
        Mean of its Error over theirs on the elements where they are inexact; None if they are exact in all.
    worst_r_error
        The largest of these.
    """

    rule: str
    gauss: int
    changed: int
    mean_r_error: float | None
    worst_r_error: float | None

    @property
    def pays(self) -> bool:
        """Whether it leaves so little of the Error that it is worth its network."""
        return self.mean_r_error is not None and self.mean_r_error < _WORTH_IT


@dataclass(frozen=True, eq=False, repr=False)
class Integration:
    """Points and Errors of the valid elements, arrays of shape (n_valid,).

    Attributes
    ----------
    chosen : (n_valid, 3)
        Points along each axis that AdaptiveGauss takes.
    needed
        Fewest points per axis whose Error is below ``tol``; ``MOST_POINTS`` where none below that suffice.
    outside
        Outside the range that the network was trained in.
    errors
        Error of each rule by its name.
    table
        Figures of each rule, and of the uniform one that meets ``tol`` in every element where there is one.
    uniform
        Points per axis of that one, or None.
    learned
        What each rule that replaces Gauss points gains on this mesh.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import measure_integration
    >>> elements = femnn.distorted_hexahedra(20, 0.2, seed=0)
    >>> found = measure_integration(elements, femnn.AdaptiveGauss(1e-3), poisson=0.3, progress=False)
    >>> found.tol, found.needed.shape, found.adaptive.shape
    (0.001, (20,), (20,))
    """

    tol: float
    chosen: np.ndarray
    needed: np.ndarray
    outside: np.ndarray
    errors: dict[str, np.ndarray]
    table: list[RuleFigures]
    uniform: int | None
    learned: list[LearnedFigures]

    def __repr__(self) -> str:
        return f"<Integration of {len(self.chosen)} elements at tol={self.tol:g}, uniform={self.uniform}>"

    @property
    def adaptive(self) -> np.ndarray:
        """Error of AdaptiveGauss."""
        return self.errors["AdaptiveGauss"]

    @property
    def violations(self) -> np.ndarray:
        """Valid elements where AdaptiveGauss misses ``tol``."""
        return np.flatnonzero(self.adaptive >= self.tol)

    @property
    def unsettled(self) -> np.ndarray:
        """Valid elements for which no number of points below ``MOST_POINTS`` suffices."""
        return np.flatnonzero(self.needed == MOST_POINTS)


@checked()
def measure_shape(mesh: MeshHex) -> Shape:
    """Status and quality of the elements of a mesh.

    Examples
    --------
    >>> import skfem
    >>> from femnn.validation import measure_shape
    >>> shape = measure_shape(skfem.MeshHex().refined(1))
    >>> float(shape.scaled_jacobian.min().round(9)), float(abs(shape.volume).sum())
    (1.0, 1.0)
    """
    x = hexahedra(mesh)
    return Shape(classify(x), scaled_jacobian(x), aspect(x), distance_from_parallelepiped(x), np.abs(signed_volume(x)))


@checked()
def make_rule(
    tol: float, confidence: float | None, anisotropic: bool, poisson: float, weights: str | os.PathLike
) -> AdaptiveGauss:
    """The AdaptiveGauss of an inspection, with all parameters checked before any work is done.

    Examples
    --------
    >>> from femnn.validation import make_rule
    >>> rule = make_rule(1e-3, confidence=0.99, anisotropic=True, poisson=0.3, weights="integration-points")
    >>> rule.tol
    0.001
    """
    lame_parameters(1.0, poisson)
    return AdaptiveGauss(tol, confidence, anisotropic, poisson=poisson, weights=weights)


@checked(vertices="n 8 3", poisson="(-1, 0.5)")
def measure_integration(
    vertices: np.ndarray, rule: AdaptiveGauss, poisson: float, progress: bool = True
) -> Integration:
    """Points and Errors on healthy elements.

    Parameters
    ----------
    vertices : (n_valid, 8, 3)
    rule
        An AdaptiveGauss.
    poisson
        Poisson's ratio of the stiffness.
    progress
        Show a progress bar, if stderr is a terminal.

    Examples
    --------
    >>> import femnn
    >>> from femnn.validation import measure_integration
    >>> elements = femnn.distorted_hexahedra(20, 0.2, seed=0)
    >>> found = measure_integration(elements, femnn.AdaptiveGauss(1e-3), poisson=0.3, progress=False)
    >>> found.chosen.shape, len(found.violations)
    ((20, 3), 0)
    """
    with warnings.catch_warnings():
        # it counts positions in this array; the report counts elements of the mesh
        warnings.simplefilter("ignore", FemnnWarning)
        chosen, in_range = rule.choose(vertices)
    learned = {name: (make(), gauss) for name, (make, gauss) in LEARNED.items()}
    table, of_learned = np.empty((len(vertices), MOST_POINTS)), np.empty((len(learned), len(vertices)))
    with tqdm(total=len(vertices), unit="element", desc="errors", disable=None if progress else True) as bar:
        for start in range(0, len(vertices), _CHUNK):
            part = slice(start, start + _CHUNK)
            table[part], of_learned[:, part] = _errors_of_part(vertices[part], learned, poisson)
            bar.update(len(vertices[part]))
    needed = np.clip(smallest_points(table[:, :-1], rule.tol), FEWEST, MOST_POINTS)
    errors = {"CorrectedGauss": of_learned[0]}
    errors["AdaptiveGauss"] = tensor_rule_errors(vertices, chosen, poisson, "entries")
    errors |= {f"GaussLegendre({n})": table[:, n - 1] for n in UNIFORM}
    uniform = int(needed.max()) if needed.max() < MOST_POINTS else None
    figures = _rule_table(rule.tol, chosen, needed, uniform, errors, table)
    gains = [
        _gain(name, gauss, own, table) for (name, (_, gauss)), own in zip(learned.items(), of_learned, strict=True)
    ]
    return Integration(rule.tol, chosen, needed, ~in_range, errors, figures, uniform, gains)


def _errors_of_part(vertices, learned, poisson):
    """Errors of n = 1..MOST_POINTS points per axis (n, MOST_POINTS) and of learned rules (rules, n), in one walk."""
    errors, references, doubt = errors_and_reference(vertices, MOST_POINTS - 1, poisson)
    of_learned = [_learned_error(vertices, rule, references, poisson) for rule, _ in learned.values()]
    # the largest rule is the reference itself where the walk goes so far: its Error is what is left in doubt
    return np.column_stack([errors, np.maximum(doubt, FLOOR)]), np.maximum(of_learned, FLOOR)


def _learned_error(vertices, rule, references, poisson):
    if isinstance(rule, HourglassCorrection):
        return stiffness_error(rule.stiffness(vertices, poisson=poisson), references)
    return error_against(vertices, rule, references, poisson)


def _gain(name, gauss, own, table):
    """Figures of a learned rule with the Errors ``own`` (n,), from the table of n×n×n points."""
    standard = table[:, gauss - 1]
    inexact = standard > _EXACT
    ratios = own[inexact] / standard[inexact]
    changed = int((np.abs(ratios - 1.0) > 1e-9).sum())
    if len(ratios) == 0:
        return LearnedFigures(name, gauss, changed, None, None)
    return LearnedFigures(name, gauss, changed, float(ratios.mean()), float(ratios.max()))


def _rule_table(tol, chosen, needed, uniform, errors, table):
    def figures(name, per_element, of_rule):
        points = int(np.sum(np.broadcast_to(per_element, len(of_rule)), dtype=np.int64))
        median, p99 = np.percentile(of_rule, [50, 99])
        return RuleFigures(name, points, float(median), float(p99), float(of_rule.max()), int(np.sum(of_rule >= tol)))

    least = table[np.arange(len(needed)), needed - 1]
    rows = [figures(f"GaussLegendre({n})", n**3, errors[f"GaussLegendre({n})"]) for n in UNIFORM]
    if uniform is not None and uniform not in UNIFORM:
        rows.append(figures(f"GaussLegendre({uniform})", uniform**3, table[:, uniform - 1]))
    rows.append(figures("AdaptiveGauss", chosen.prod(axis=1), errors["AdaptiveGauss"]))
    rows.append(figures("CorrectedGauss", 8, errors["CorrectedGauss"]))
    rows.append(figures("fewest n×n×n", needed**3, least))
    return rows


def _least_median_largest(values):
    return float(values.min()), float(np.median(values)), float(values.max())
