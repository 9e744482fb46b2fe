"""Method 1: for each element the cheapest Gauss rule that meets a tolerance."""

import copy
import os
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of
from femnn.exceptions import ParameterError, warn
from femnn.geometry.cells import HEXAHEDRON, KINDS, CellKind, kind_of_array
from femnn.geometry.validity import healthy_cells
from femnn.integration.gauss import tensor_gauss
from femnn.quadrature.adaptive.choosers import CellChooser, Chooser, HexahedronChooser, Request
from femnn.quadrature.adaptive.directional_errors import MOST
from femnn.quadrature.adaptive.on_mesh import CLASSES, SAMPLE, CalibrationOnMesh, MeshCalibration
from femnn.quadrature.adaptive.predictors import load_point_predictor
from femnn.quadrature.adaptive.report import Report, count_rules
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
        Fraction of the elements of a mesh that are to meet the tolerance: up to 0.999; below 0.5 it is taken as 0.5.
        ``None`` takes the bare prediction, which misses it about as often as the network errs.
    anisotropic
        Let the numbers along the three axes differ; False gives n×n×n.
    measure
        ``"entries"``: the Error of Oishi and Yagawa, see :func:`femnn.integration_error`. ``"energy"``: the largest
        relative change of the element's energy. If every element keeps it, which the confidence does not make sure and
        ``verify=True`` checks, and loads are integrated as before, the energy-norm error that quadrature adds to a
        solution is at most tol/(1 - tol).
    form
        ``"elasticity"``, isotropic, or ``"laplace"``.
    poisson
        Poisson's ratio of the elasticity, -0.5 to 0.4999 with the shipped weights.
    calibrate
        ``"mesh"``: on each mesh cells are drawn and measured, by a fixed seed, and the tolerance that the prediction is
        asked for is divided until few enough of them miss; then at most ``1 - confidence`` of *this* mesh misses the
        tolerance, with a probability of 99 % over the draw, whatever its cells are, besides those that a warning or
        error of ``on_unmet`` names. Of a mesh of few cells all are measured. ``"families"``: the promise of the weights
        holds, for elements alike those of their calibration, and nothing is measured.
    sample
        Cells of each class of shapes, compact and thin, that are drawn and measured at most; where caution costs many
        points, up to twice as many others are measured and spared it. 1010 vouch for a confidence of 0.99 and take some
        tens of milliseconds a mesh; a warning says how many a higher one needs.
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
    What was measured on a mesh is kept, and serves meshes whose cells are alike: refined ones, time steps. A rule that
    is made anew gives the same points for the same mesh, whatever the number of threads. Ranks measure each its own
    part, and pieces of a mesh each themselves: the promise then holds for every part. The rotation of a mesh may change
    which of the measured cells miss, because the Error of Oishi and Yagawa depends on it; the prediction does not.
    Quadrilaterals, cells with curved edges, and shape functions of a higher degree have an estimate of their own, from
    the Legendre series of det J J⁻¹J⁻ᵀ, in the place of the network (docs/theory/quadrature.md). Both measures are then
    those of the element that is assembled; energies are calibrated on the mesh at hand alone.

    Examples
    --------
    >>> import femnn
    >>> rule = AdaptiveGauss(1e-3)
    >>> elements = femnn.distorted_hexahedra(100, 0.2, seed=0)
    >>> bool((femnn.integration_error(elements, rule) < 1e-3).mean() > 0.98)
    True
    """

    cell_kinds = KINDS

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
        self._request = Request(tol, confidence, anisotropic, measure, form, poisson)
        self._predictor = load_point_predictor(weights, self._request.name)
        self._predictor.check(self.tol, confidence, anisotropic, self.poisson)
        # of the shape functions along each axis; None for those that map the cells
        self._degree: int | None = None
        # by kind of cell and degree of the shape functions
        self._choosers: dict[tuple[CellKind, int], tuple[Chooser, CalibrationOnMesh | None]] = {}

    @property
    def card(self) -> dict[str, Any]:
        """The card of the weights: their training and test."""
        return self._predictor.card

    def points_per_axis(self, hexahedra: ArrayLike) -> np.ndarray:
        """Points along the axes, shape (n_elements, dim); all elements must be healthy."""
        return self.choose(healthy_cells(hexahedra))[0]

    def report(self, mesh: Any) -> Report:
        """The promise of the rule on a mesh, and with ``verify=True`` measured figures.

        Parameters
        ----------
        mesh
            A mesh of quadrilaterals or hexahedra, or coordinates (n, nodes, dim) of them, all healthy.

        Returns
        -------
        Report
        """
        x = healthy_cells(mesh)
        decision = self._decide(x)
        points, errors = decision.points, decision.errors
        return Report(
            rule=repr(self),
            elements=len(x),
            n_points=int(points.prod(axis=1).sum()),
            promised=self._promised(decision.on_mesh),
            out_of_range=float((~decision.in_range).mean()),
            unmet=tuple(int(e) for e in decision.unmet),
            missed=None if errors is None else float(np.mean(errors >= self.tol)),
            worst=None if errors is None else float(errors.max() / self.tol),
            counts=count_rules(points),
            on_mesh=decision.on_mesh,
        )

    def _promised(self, on_mesh):
        if self.confidence is None:
            return None
        return 1.0 - self.confidence if on_mesh is None else max(1.0 - self.confidence, on_mesh.share)

    @checked(degree="[1, 100]")
    def for_degree(self, degree: int) -> "AdaptiveGauss":
        # what was measured is shared: it is kept by degree
        raised = copy.copy(self)
        raised._degree = degree
        return raised

    def _degree_for(self, kind):
        return kind.degree if self._degree is None else self._degree

    def _chooser(self, kind):
        degree = self._degree_for(kind)
        key = kind, degree
        if key not in self._choosers:
            is_trilinear = kind is HEXAHEDRON and degree == 1
            # a rule that measures every element needs no calibration on some
            on_mesh = None
            if self.calibrate == "mesh" and self.confidence is not None and not self.verify:
                # points of trilinear elements are cheap, and their network leaves few to spare
                share = 1.0 - max(self.confidence, 0.5)
                on_mesh = CalibrationOnMesh(self.tol, share, self.sample, spend_less=not is_trilinear)
            chooser: Chooser
            if is_trilinear:
                chooser = HexahedronChooser(self._request, self._predictor)
            else:
                self._require_calibrated_energy()
                # the mesh itself says what caution its cells need: that of other families is no part of it
                request = self._request if on_mesh is None else replace(self._request, confidence=None)
                chooser = CellChooser(request, degree)
            self._choosers[key] = chooser, on_mesh
        return self._choosers[key]

    def _require_calibrated_energy(self):
        """Raise ParameterError if nothing vouches for the energies of cells of other kinds."""
        if (
            self.measure == "energy"
            and self.confidence is not None
            and self.calibrate == "families"
            and not self.verify
        ):
            raise ParameterError(
                "energies of such cells are calibrated on the mesh at hand alone; pass calibrate='mesh', verify=True, "
                "or confidence=None for the bare estimate"
            )

    @checked(hexahedra="any")
    def choose(self, hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points along the axes, (n_elements, dim), and elements in the range of training, (n_elements,) bool.

        The points of the others are found by integration. The elements must be known to be healthy: they are not
        checked again.
        """
        decision = self._decide(hexahedra)
        self._warn_of(decision, hexahedra)
        return decision.points, decision.in_range

    def _warn_of(self, decision, x):
        unmet = decision.unmet
        if len(unmet):
            text = (
                f"{len(unmet)} of {len(x)} healthy elements, the first is number {unmet[0]} of these, are not proved "
                f"to keep tol={self.tol:g} with {self._chooser(kind_of_array(x))[0].most} points per axis"
            )
            if self.on_unmet == "raise":
                raise ParameterError(f"{text}; improve them, relax tol, or pass on_unmet='warn': {_listed(unmet)}")
            warn(f"{text} and get these; improve them or relax tol")

    def _decide(self, x: np.ndarray) -> "_Decision":
        kind = kind_of_array(x)
        chooser, calibration = self._chooser(kind)
        if calibration is not None:
            points, in_range, unsure, on_mesh = self._calibrated(x, chooser, calibration)
        else:
            points, in_range = chooser.predicted(x, self.tol)
            unsure, on_mesh = ~in_range, None
        errors = None
        if self.verify:
            errors = np.zeros(len(x))
            errors[in_range] = chooser.errors(x[in_range], points[in_range])
            unsure = unsure | (errors >= self.tol)
        elements = np.flatnonzero(unsure)
        unmet = elements
        if len(elements):
            points[elements], met = chooser.settled(x[elements])
            unmet = elements[~met]
        return _Decision(points, in_range, unmet, errors, on_mesh)

    def _calibrated(self, x, chooser, calibration):
        """Points and elements in range, those whose points are to be integrated for, and the calibration."""
        classes = chooser.classes(x)
        on_mesh = calibration.of(x, classes, chooser.predicted_with_slack, chooser.keeps, chooser.shapes)
        weak = [part for part in on_mesh.parts.values() if part.share > calibration.share]
        if weak:
            needed = max(calibration.needed(part.cells) for part in weak)
            warn(
                f"confidence is {self.confidence}, but {self.sample:,} measured cells of a class of shapes vouch for "
                f"{1.0 - max(part.share for part in weak):.2%} alone; pass sample={needed} or a confidence "
                "that is smaller"
            )
        shifts = {number: part.shift for number, part in on_mesh.parts.items()}
        points = np.full((len(x), x.shape[2]), MOST, dtype=np.int64)
        in_range, unsure = np.ones(len(x), dtype=bool), np.ones(len(x), dtype=bool)
        points[on_mesh.known], points[on_mesh.foreseen] = on_mesh.points, on_mesh.predictions
        waiting = np.ones(len(x), dtype=bool)
        for done in (on_mesh.known, on_mesh.foreseen):
            waiting[done], unsure[done] = False, False
        waiting[on_mesh.mended] = False
        shift_of = np.array([shifts.get(number, 0.0) for number in range(len(CLASSES))])[classes]
        for shift in sorted(set(shifts.values())):
            cells = np.flatnonzero(waiting & (shift_of == shift))
            if np.isfinite(shift) and len(cells):
                points[cells], in_range[cells] = chooser.predicted(x[cells], self.tol * 2.0**-shift)
                unsure[cells] = ~in_range[cells]
        return points, in_range, unsure, on_mesh

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        return groups_by_points(self.choose(hexahedra)[0])

    def _group_of_folded(self, hexahedra: np.ndarray) -> CellGroup:
        kind = kind_of_array(hexahedra)
        return CellGroup(np.arange(len(hexahedra)), *tensor_gauss(*(kind.dim * [1 + self._degree_for(kind)])))

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
            return f"{text}\n  no confidence: {self._predictor.unsure}, and nothing bounds how many elements miss"
        if self.calibrate == "families" or self.verify:
            promise = (
                f"at most {1.0 - self.confidence:.2%} of elements alike those of the calibration miss the tolerance"
            )
        else:
            promise = (
                f"at most {1.0 - self.confidence:.2%} of the cells of any mesh miss the tolerance, by measuring "
                f"{self.sample:,} cells of each class of shapes"
            )
        return (
            f"{text}\n  calibrated: {promise}; on elements out of range successive rules are compared; report(mesh) "
            "has the figures of a mesh"
        )


def _listed(elements):
    first = ", ".join(str(e) for e in elements[:20])
    return f"elements {first}{', ...' if len(elements) > 20 else ''}"
