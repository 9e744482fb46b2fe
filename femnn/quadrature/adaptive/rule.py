"""Method 1: for each element the cheapest Gauss rule that meets a tolerance."""

import copy
from numbers import Real

import numpy as np

from femnn.exceptions import ParameterError, warn
from femnn.geometry.mesh import vertex_array
from femnn.geometry.validity import healthy_vertices, require_valid
from femnn.quadrature.adaptive.by_integration import MOST_GIVEN, settle
from femnn.quadrature.adaptive.predictors import load_point_predictor
from femnn.quadrature.adaptive.report import Report, count_rules
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.quadrature.rule import Rule, describe, groups_by_points

_CHOICES = {
    "measure": ("entries", "energy"),
    "form": ("elasticity", "laplace"),
    "on_unmet": ("warn", "error"),
}


class AdaptiveGauss(Rule):
    """Integration-point classifier: nx×ny×nz Gauss points, chosen per element by a network.

    Parameters
    ----------
    tol
        Tolerance of the measure, 1e-8 to 1e-1 with the shipped weights.
    confidence
        Share of elements, alike those of the calibration, that are to meet the tolerance: up to 0.999; below 0.5 it is
        taken as 0.5. ``None`` takes the bare prediction, which misses it about as often as the network errs.
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
        Elements that no candidate brings below the tolerance: ``"warn"`` gives them the best rule there is, ``"error"``
        raises.
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
    or size. Elements outside the range of training are not left to the network: they are settled by comparing
    successive rules. Elements of higher degree get as many more points per axis as their degree is above 1, which keeps
    the rate of decay that det J sets.
    """

    def __init__(
        self,
        tol=1e-3,
        confidence=0.99,
        anisotropic=True,
        measure="entries",
        form="elasticity",
        poisson=0.3,
        *,
        on_unmet="warn",
        verify=False,
        weights="integration-points",
    ):
        if isinstance(tol, bool) or not isinstance(tol, Real) or not 0.0 < tol < np.inf:
            raise ParameterError(f"tol is {tol!r}; give a positive number such as 1e-3")
        if confidence is not None and (isinstance(confidence, bool) or not isinstance(confidence, Real)):
            raise ParameterError(f"confidence is {confidence!r}; give a share such as 0.99, or None")
        if isinstance(poisson, bool) or not isinstance(poisson, Real) or not -1.0 < poisson < 0.5:
            raise ParameterError(f"poisson is {poisson!r}; isotropic elasticity needs a number between -1 and 0.5")
        given = {"measure": measure, "form": form, "on_unmet": on_unmet}
        for name, value in given.items():
            if value not in _CHOICES[name]:
                raise ParameterError(f"{name} is {value!r}; choose one of {', '.join(_CHOICES[name])}")
        for name, value in (("anisotropic", anisotropic), ("verify", verify)):
            if not isinstance(value, bool):
                raise ParameterError(f"{name} is {value!r}; give True or False")
        self.tol, self.confidence, self.anisotropic = float(tol), confidence, anisotropic
        self.measure, self.form, self.poisson = measure, form, float(poisson)
        self.on_unmet, self.verify = on_unmet, verify
        self._name = measure if form == "elasticity" else f"laplace-{measure}"
        self._predictor = load_point_predictor(weights, self._name)
        self._predictor.check(self.tol, confidence, anisotropic, self.poisson)
        self._degree = 1

    @property
    def card(self):
        """What the weights are, how they were trained and tested."""
        return self._predictor.card

    def points_per_axis(self, hexahedra):
        """Points along the three axes, shape (n_elements, 3), for trilinear shape functions.

        All elements must be healthy.
        """
        x = vertex_array(hexahedra)
        require_valid(x)
        return self.choose(x)[0]

    def report(self, mesh):
        """What the rule promises on a mesh, and with ``verify=True`` what it was measured to keep there.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or vertex coordinates (n, 8, 3), all elements healthy.

        Returns
        -------
        Report
        """
        x = healthy_vertices(mesh)
        points, outside, unmet, errors = self._decide(x)
        return Report(
            rule=repr(self),
            elements=len(x),
            points=int((points + self._degree - 1).prod(axis=1).sum()),
            promised=None if self.confidence is None else 1.0 - self.confidence,
            outside=float(outside.mean()),
            unmet=tuple(int(e) for e in unmet),
            missed=None if errors is None else float(np.mean(errors >= self.tol)),
            worst=None if errors is None else float(errors.max() / self.tol),
            counts=count_rules(points),
        )

    def for_degree(self, degree):
        raised = copy.copy(self)
        raised._degree = max(1, degree)
        return raised

    def choose(self, hexahedra):
        """What :meth:`points_per_axis` gives, and which elements the network was not trusted with, (n_elements,) bool.

        The latter are settled by integration. The elements must be known to be healthy: they are not checked again.
        """
        points, outside, unmet, _ = self._decide(hexahedra)
        if len(unmet):
            text = (
                f"{len(unmet)} of {len(hexahedra)} healthy elements, the first is number {unmet[0]} of these, are not "
                f"proved to keep tol={self.tol:g} with {MOST_GIVEN} points per axis"
            )
            if self.on_unmet == "error":
                raise ParameterError(f"{text}; improve them, relax tol, or pass on_unmet='warn': {_listed(unmet)}")
            warn(f"{text} and get these; improve them or relax tol")
        return points, outside

    def _decide(self, hexahedra):
        """Points (n, 3), elements that were settled (n,) bool, numbers of the unmet, measured errors or None."""
        points, known = self._predictor.points(hexahedra, self.tol, self.confidence, self.anisotropic, self.poisson)
        outside = ~known
        errors = None
        unsure = outside
        if self.verify:
            errors = np.zeros(len(hexahedra))
            errors[known] = tensor_rule_errors(hexahedra[known], points[known], self.poisson, self._name)
            unsure = outside | (errors >= self.tol)
        elements = np.flatnonzero(unsure)
        if len(elements) == 0:
            return points, outside, elements, errors
        points[elements], met = settle(hexahedra[elements], self.tol, self.poisson, self._name, self.anisotropic)
        return points, outside, elements[~met], errors

    def _groups(self, hexahedra):
        return groups_by_points(self.choose(hexahedra)[0] + self._degree - 1)

    def __repr__(self):
        text = f"AdaptiveGauss(tol={self.tol:g}, confidence={self.confidence}"
        extras = {
            "anisotropic": (self.anisotropic, True),
            "measure": (self.measure, "entries"),
            "form": (self.form, "elasticity"),
            "poisson": (self.poisson, 0.3),
            "verify": (self.verify, False),
        }
        changed = [f"{name}={value!r}" for name, (value, default) in extras.items() if value != default]
        return ", ".join([text, *changed]) + ")"

    def __str__(self):
        text = describe(self, self.card)
        if self.confidence is None:
            return text
        return (
            f"{text}\n  calibrated: at most {1.0 - self.confidence:.2%} of elements alike these miss the tolerance; "
            "elements outside are settled by comparing successive rules; report(mesh) has the figures of a mesh"
        )


def _listed(elements):
    first = ", ".join(str(e) for e in elements[:20])
    return f"elements {first}{', ...' if len(elements) > 20 else ''}"
