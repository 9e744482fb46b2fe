"""Method 1: for each element the cheapest Gauss rule that meets a tolerance."""

import copy
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of
from femnn.exceptions import ParameterError, warn
from femnn.geometry.validity import healthy_array, healthy_vertices
from femnn.quadrature.adaptive.by_integration import MOST_GIVEN, points_by_integration
from femnn.quadrature.adaptive.directional_errors import MOST
from femnn.quadrature.adaptive.on_mesh import CLASSES, SAMPLE, CalibrationOnMesh, MeshCalibration, shape_classes
from femnn.quadrature.adaptive.predictors import load_point_predictor
from femnn.quadrature.adaptive.report import Report, count_rules
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.quadrature.adaptive.tolerance_test import keeps_tolerance
from femnn.quadrature.rule import CellGroup, Rule, describe, groups_by_points


class _Decision(NamedTuple):
    """Points (n, 3), elements in range (n,) bool, numbers of the unmet, measured errors (n,), and the calibration on
    the mesh, if any."""

    points: np.ndarray
    in_range: np.ndarray
    unmet: np.ndarray
    errors: np.ndarray | None
    on_mesh: MeshCalibration | None


class AdaptiveGauss(Rule):
    """Integration-point classifier: nx×ny×nz Gauss points, chosen per element by a network.

    Parameters
    ----------
    tol
        Tolerance of the measure, 1e-8 to 1e-1 with the shipped weights.
    confidence
        Fraction of elements, alike those of the calibration, that are to meet the tolerance: up to 0.999; below 0.5 it
        is taken as 0.5. ``None`` takes the bare prediction, which misses it about as often as the network errs.
    anisotropic
        Let the numbers along the three axes differ; False gives n×n×n.
    measure
        ``"entries"``: the Error of Oishi and Yagawa, see :func:`femnn.integration_error`. ``"energy"``: the largest
        relative change of the element's energy; if every element keeps it, the energy-norm error that quadrature adds
        to a solution is at most about ``tol``, whatever the mesh and the load.
    form
        ``"elasticity"``, isotropic, or ``"laplace"``.
    poisson
        Poisson's ratio of the elasticity, -0.5 to 0.4999 with the shipped weights.
    on_unmet
        Elements that no candidate brings below the tolerance: ``"warn"`` gives them the best rule there is and warns,
        ``"raise"`` raises.
    verify
        Integrate every element to convergence and give more points to those that miss the tolerance. Costs some tenths
        of a millisecond an element; :meth:`report` then holds measured figures.
    weights
        Name of shipped weights or path of a file from ``femnn train points``.

    Raises
    ------
    ParameterError
        If a value is not allowed, or outside what the network was trained and calibrated for.
    WeightFileError
        If the weights are missing, damaged or foreign.

    Notes
    -----
    Method 1 of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351, taken further: one network for all tolerances and for
    every direction. The numbers commute with the 48 symmetries of the cube and do not depend on position, orientation
    or size. Elements out of the range of training are not left to the network: successive rules are compared on them.
    Elements of higher degree get as many more points per axis as their degree is above 1, which keeps
    the rate of decay that det J sets.

    Examples
    --------
    >>> import femnn
    >>> rule = AdaptiveGauss(1e-3)
    >>> elements = femnn.distorted_hexahedra(100, 0.2, seed=0)
    >>> bool((femnn.integration_error(elements, rule) < 1e-3).mean() > 0.98)
    True
    """

    @checked(tol="(0, inf)", poisson="(-1, 0.5)", sample="[1, inf)", weights="unchecked")
    def __init__(
        self,
        tol: float = 1e-3,
        confidence: float | None = 0.99,
        anisotropic: bool = True,
        measure: str = "entries",
        form: str = "elasticity",
        poisson: float = 0.3,
        *,
        calibrate: str = "mesh",
        sample: int = SAMPLE,
        on_unmet: str = "warn",
        verify: bool = False,
        weights: str | os.PathLike = "integration-points",
    ) -> None:
        one_of("measure", measure, ("entries", "energy"))
        one_of("form", form, ("elasticity", "laplace"))
        one_of("calibrate", calibrate, ("mesh", "families"))
        one_of("on_unmet", on_unmet, ("warn", "raise"))
        self.tol, self.confidence, self.anisotropic = tol, confidence, anisotropic
        self.measure, self.form, self.poisson = measure, form, poisson
        self.calibrate, self.sample = calibrate, sample
        self.on_unmet, self.verify = on_unmet, verify
        self._name = measure if form == "elasticity" else f"laplace-{measure}"
        self._predictor = load_point_predictor(weights, self._name)
        self._predictor.check(self.tol, confidence, anisotropic, self.poisson)
        self._degree = 1
        # a rule that measures every element needs no calibration on some
        on_mesh = calibrate == "mesh" and confidence is not None and not verify
        self._on_mesh = CalibrationOnMesh(tol, 1.0 - max(confidence, 0.5), sample) if on_mesh else None

    @property
    def card(self) -> dict[str, Any]:
        """The card of the weights: their training and test."""
        return self._predictor.card

    def points_per_axis(self, hexahedra: ArrayLike) -> np.ndarray:
        """Points along the three axes, shape (n_elements, 3), for trilinear shape functions.

        All elements must be healthy.
        """
        return self.choose(healthy_array(hexahedra))[0]

    def report(self, mesh: Any) -> Report:
        """The promise of the rule on a mesh, and with ``verify=True`` measured figures.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or vertex coordinates (n, 8, 3), all elements healthy.

        Returns
        -------
        Report
        """
        x = healthy_vertices(mesh)
        decision = self._decide(x)
        points, errors = decision.points, decision.errors
        return Report(
            rule=repr(self),
            elements=len(x),
            n_points=int((points + self._degree - 1).prod(axis=1).sum()),
            promised=None if self.confidence is None else 1.0 - self.confidence,
            out_of_range=float((~decision.in_range).mean()),
            unmet=tuple(int(e) for e in decision.unmet),
            missed=None if errors is None else float(np.mean(errors >= self.tol)),
            worst=None if errors is None else float(errors.max() / self.tol),
            counts=count_rules(points),
            on_mesh=decision.on_mesh,
        )

    @checked(degree="[1, 100]")
    def for_degree(self, degree: int) -> "AdaptiveGauss":
        raised = copy.copy(self)
        raised._degree = max(1, degree)
        return raised

    @checked(hexahedra="n 8 3")
    def choose(self, hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points along the three axes, (n_elements, 3), and elements in the range of training, (n_elements,) bool.

        The points of the others are found by integration. The elements must be known to be healthy: they are not
        checked again.
        """
        decision = self._decide(hexahedra)
        self._warn_of(decision, len(hexahedra))
        return decision.points, decision.in_range

    def _warn_of(self, decision, n):
        unmet = decision.unmet
        if len(unmet):
            text = (
                f"{len(unmet)} of {n} healthy elements, the first is number {unmet[0]} of these, are not proved to "
                f"keep tol={self.tol:g} with {MOST_GIVEN} points per axis"
            )
            if self.on_unmet == "raise":
                raise ParameterError(f"{text}; improve them, relax tol, or pass on_unmet='warn': {_listed(unmet)}")
            warn(f"{text} and get these; improve them or relax tol")

    def _decide(self, hexahedra: np.ndarray) -> "_Decision":
        if self._on_mesh is not None:
            points, in_range, unsure, on_mesh = self._calibrated(hexahedra)
        else:
            points, in_range = self._predicted(hexahedra, self.tol)
            unsure, on_mesh = ~in_range, None
        errors = None
        if self.verify:
            errors = np.zeros(len(hexahedra))
            chosen = hexahedra[in_range], points[in_range]
            errors[in_range] = tensor_rule_errors(*chosen, self.poisson, self._name)
            unsure = unsure | (errors >= self.tol)
        elements = np.flatnonzero(unsure)
        unmet = elements
        if len(elements):
            points[elements], met = points_by_integration(
                hexahedra[elements], self.tol, self.poisson, self._name, self.anisotropic
            )
            unmet = elements[~met]
        return _Decision(points, in_range, unmet, errors, on_mesh)

    def _predicted(self, hexahedra, tol):
        return self._predictor.choose(hexahedra, tol, self.confidence, self.anisotropic, self.poisson)

    def _calibrated(self, hexahedra):
        """Points and elements in range, those whose points are to be integrated for, and the calibration."""

        def keeps(some, points):
            return keeps_tolerance(some, points, self.tol, self.poisson, self._name)

        classes = shape_classes(hexahedra)
        on_mesh = self._on_mesh.of(hexahedra, classes, self._predicted, keeps)
        shifts = {number: part.shift for number, part in on_mesh.parts.items()}
        if len(set(shifts.values())) == 1:
            (shift,) = set(shifts.values())
            members = {shift: slice(None)}
        else:
            shift_of = np.array([shifts.get(number, 0.0) for number in range(len(CLASSES))])[classes]
            members = {shift: np.flatnonzero(shift_of == shift) for shift in sorted(set(shifts.values()))}
        points = np.full((len(hexahedra), 3), MOST, dtype=np.int64)
        in_range, unsure = np.ones(len(hexahedra), dtype=bool), np.ones(len(hexahedra), dtype=bool)
        for shift, cells in members.items():
            if np.isfinite(shift):
                points[cells], in_range[cells] = self._predicted(hexahedra[cells], self.tol * 2.0**-shift)
                unsure[cells] = ~in_range[cells]
        unsure[on_mesh.mended] = True
        return points, in_range, unsure, on_mesh

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        return groups_by_points(self.choose(hexahedra)[0] + self._degree - 1)

    def __repr__(self) -> str:
        text = f"AdaptiveGauss(tol={self.tol:g}, confidence={self.confidence}"
        extras = {
            "anisotropic": (self.anisotropic, True),
            "measure": (self.measure, "entries"),
            "form": (self.form, "elasticity"),
            "poisson": (self.poisson, 0.3),
            "calibrate": (self.calibrate, "mesh"),
            "sample": (self.sample, SAMPLE),
            "verify": (self.verify, False),
        }
        changed = [f"{name}={value!r}" for name, (value, default) in extras.items() if value != default]
        return ", ".join([text, *changed]) + ")"

    def __str__(self) -> str:
        text = describe(self, self.card)
        if self.confidence is None:
            return text
        return (
            f"{text}\n  calibrated: at most {1.0 - self.confidence:.2%} of elements alike these miss the tolerance; "
            "on elements out of range successive rules are compared; report(mesh) has the figures of a mesh"
        )


def _listed(elements):
    first = ", ".join(str(e) for e in elements[:20])
    return f"elements {first}{', ...' if len(elements) > 20 else ''}"
