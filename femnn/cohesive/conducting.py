"""What a layer conducts as it slides and opens: porosity, hydraulic aperture, permeability across and along.

Beside any law of the traction stand :class:`Conduits`, which say from opening, sliding and pressure what flows; a
:class:`ConductingCohesive` carries both, so that the core of a fault reads them where it reads the traction.

Of grains the answer is closed. They neither come nor go, so (1 − φ)(h + δ) stays what it is, and Kozeny and Carman give
k = d² φ³/(180 (1 − φ)²), the same in all directions. Of a cell of blocks and cracks most of it is: what its blocks do
not take up of the opening, u = δ + H (p − p₀)/M with their constrained modulus M, opens its n layers of cracks, which
conduct n a₀³ (1 + u/(n φ₀ h₀))³/(12 H) along, beside the blocks. What that leaves in ln k of the cell is fitted by a
polynomial, which is constant outside the range of its data.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import brief, checked, instance, positive
from femnn.cohesive.law import Law, State
from femnn.cohesive.wrapping import WrappingLaw
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.guarded import Contents
from femnn.io.path_data import PathDataSet
from femnn.io.weight_files import load_weights, locate, save_weights, weight_file

#: Kozeny and Carman's number for spheres; what is left of the pores where a layer is squeezed shut.
KOZENY, LEAST_POROSITY = 180.0, 1e-3

_KIND = "cell-conduits"

# What is fitted of a cell, and the names of the numbers that the closed part has.
_FITTED = ("ln permeability_across", "ln permeability_along", "porosity")
_CLOSED = ("height", "matrix", "layers", "aperture", "thickness", "porosity", "residual", "compliance", "pressure")

# Of the ridge, over the number of points: keeps directions that no path has gone at zero.
_RIDGE = 1e-8

# Openings of cracks that leave a porosity.
_LEAST_THICKNESS = 1e-3


class Conduits(ABC):
    """What a layer conducts, by its opening (m), its sliding (m) and the pressure that it bears (Pa).

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.cohesive import Conduits, GrainConduits
    >>> isinstance(GrainConduits(diameter=1e-3, porosity=0.4, thickness=0.01), Conduits)
    True
    """

    @abstractmethod
    def at(self, opening: np.ndarray, sliding: np.ndarray, pressure: np.ndarray) -> dict:
        """Values (n,) and derivatives (n, 3) by opening, sliding and pressure, of all (n,), by name.

        ``"porosity"``; ``"aperture"``, m: of the slit that conducts as much along; ``"permeability_across"`` and
        ``"permeability_along"``, m².
        """


class GrainConduits(Conduits):
    """A layer of grains: their volume stays, Kozeny and Carman's permeability follows the porosity.

    Parameters
    ----------
    diameter
        Of the grains, mean by surface (Σd³/Σd²), m.
    porosity
        φ₀ at zero opening.
    thickness
        h₀ there, m.

    Raises
    ------
    ParameterError
        If a number is not positive, or the porosity not below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.cohesive import GrainConduits
    >>> layer = GrainConduits(diameter=1e-3, porosity=0.4, thickness=0.01)
    >>> told = layer.at(np.array([0.0, 1e-3]), np.zeros(2), np.ones(2))
    >>> told["porosity"][0].round(3), bool(np.diff(told["permeability_along"][0])[0] > 0.0)
    (array([0.4  , 0.455]), True)
    """

    def __init__(self, diameter: float, porosity: float, thickness: float) -> None:
        self.diameter, self.thickness = positive("diameter", diameter), positive("thickness", thickness)
        self.porosity = positive("porosity", porosity)
        if self.porosity >= 1.0:
            raise ParameterError(f"porosity is {porosity}; it must be in (0, 1)")

    def __repr__(self) -> str:
        return f"GrainConduits({self.diameter:.17g}, {self.porosity:.17g}, {self.thickness:.17g})"

    @classmethod
    @checked(rows="unchecked")
    def fit(cls, data: PathDataSet, rows: Sequence[int] | np.ndarray | slice = slice(None)) -> "GrainConduits":
        """The layer that responses (:func:`femnn.multiscale.grains.load`) tell of, in their units.

        Raises
        ------
        DatasetError
            If they have no porosity or permeability.

        Examples
        --------
        >>> from femnn.cohesive import GrainConduits
        >>> from femnn.multiscale.grains import load
        >>> layer = GrainConduits.fit(load())
        >>> round(layer.porosity, 2), round(layer.thickness, 1)
        (0.39, 6.2)
        """
        porosity, permeability, opening = (
            _column(data, name, rows) for name in ("porosity", "permeability", "separation")
        )
        opening = opening[..., 0]
        # (1 - φ₀)/(1 - φ) is the thickness over that at first
        grown = (1.0 - porosity[:, :1]) / (1.0 - porosity) - 1.0
        thickness = float((opening**2).sum() / (opening * grown).sum())
        squared = KOZENY * permeability * (1.0 - porosity) ** 2 / porosity**3
        return cls(float(np.sqrt(squared.mean())), float(porosity[:, 0].mean()), thickness)

    @checked(separation_scale="(0, inf)")
    def rescaled(self, separation_scale: float) -> "GrainConduits":
        """The same layer with all lengths so many times as large."""
        return GrainConduits(separation_scale * self.diameter, self.porosity, separation_scale * self.thickness)

    @checked(opening="n", sliding="n", pressure="n")
    def at(self, opening: np.ndarray, sliding: np.ndarray, pressure: np.ndarray) -> dict:
        """See :class:`Conduits`."""
        n = len(opening)
        # squeezed shut, a layer of grains keeps its grains
        least = self.thickness * (1.0 - self.porosity) / (1.0 - LEAST_POROSITY)
        moves = self.thickness + opening > least
        thickness = np.maximum(self.thickness + opening, least)
        porosity = 1.0 - (1.0 - self.porosity) * self.thickness / thickness
        slope = moves * (1.0 - porosity) / thickness
        permeability = self.diameter**2 * porosity**3 / (KOZENY * (1.0 - porosity) ** 2)
        grows = (3.0 / porosity + 2.0 / (1.0 - porosity)) * slope
        aperture = np.cbrt(12.0 * permeability * thickness)

        def by_opening(values):
            return np.column_stack([values, np.zeros((n, 2))])

        alike = permeability, by_opening(permeability * grows)
        return {
            "porosity": (porosity, by_opening(slope)),
            "aperture": (aperture, by_opening(aperture * (grows + moves / thickness) / 3.0)),
            "permeability_across": alike,
            "permeability_along": alike,
        }


class CellConduits(Conduits):
    """A cell of blocks and cracks, learned from its responses (:func:`femnn.multiscale.rve.simulate_paths`).

    Make one with :meth:`fit` or :meth:`load`; it is in the units of the data until :meth:`rescaled`.

    Attributes
    ----------
    card : dict
        Where it comes from, its range and its errors on paths that were kept from the fit.

    Examples
    --------
    The cell behind ``RecurrentCohesive.load("rve")``, with grains of 5 mm under 10.5 MPa:

    >>> import numpy as np
    >>> from femnn.cohesive import CellConduits
    >>> cell = CellConduits.load("cell-conduits").rescaled(separation_scale=5e-3, traction_scale=10.5e6)
    >>> told = cell.at(np.array([0.0, 2e-3]), np.zeros(2), np.full(2, 10.5e6))
    >>> bool(told["permeability_along"][0][0] > 50.0 * told["permeability_across"][0][0])
    True
    """

    @checked(coefficients="10 3", mean="3", scale="3", low="3", high="3")
    def __init__(self, closed: dict, coefficients: np.ndarray, mean: np.ndarray, scale: np.ndarray, low: np.ndarray,
                 high: np.ndarray, card: dict) -> None:  # fmt: skip
        if set(closed) != set(_CLOSED):
            raise ParameterError(f"closed={brief(closed)} is not allowed; make conduits with CellConduits.fit or load")
        self.closed, self.coefficients, self.card = closed, coefficients, card
        self._mean, self._scale, self._low, self._high = mean, scale, low, high
        self.separation_scale = self.traction_scale = 1.0

    def __repr__(self) -> str:
        numbers = np.concatenate([list(self.closed.values()), self.coefficients.ravel(), self._low, self._high])
        digest = hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()[:12]
        return f"CellConduits({digest} at {self.separation_scale:.17g} m, {self.traction_scale:.17g} Pa)"

    @classmethod
    @checked(rows="unchecked")
    def fit(cls, data: PathDataSet, rows: Sequence[int] | np.ndarray | slice = slice(None)) -> "CellConduits":
        """From some rows of a data set of a cell, by least squares.

        Raises
        ------
        DatasetError
            If the data have no permeability, or their card does not describe the cell.
        """
        closed = _closed_of(data)
        opening, sliding, pressure, targets = _learned_from(data, rows)
        features = np.column_stack([opening, sliding, pressure])
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
        low, high = features.min(axis=0), features.max(axis=0)
        made = cls(closed, np.zeros((10, 3)), mean, scale, low, high, {})
        terms, _ = made._terms(features)
        left = targets - made._base(features)[0]
        # the ridge as rows of zeros
        ridge = np.sqrt(_RIDGE * len(terms)) * np.eye(terms.shape[1])
        right = np.vstack([left, np.zeros((len(ridge), left.shape[1]))])
        made.coefficients = np.linalg.lstsq(np.vstack([terms, ridge]), right, rcond=None)[0]
        made.card = {
            "kind": _KIND,
            "what": "porosity, aperture and permeability of a cell of blocks and cracks by opening, sliding, pressure",
            "architectures": {"closed": closed, "polynomial": {"degree": 2, "of": list(_FITTED)}},
            "trained_range": {"low": low.tolist(), "high": high.tolist(), "units": "opening, sliding, pressure"},
            "data": {key: data.about[key] for key in ("law", "cell", "command", "sha256") if key in data.about},
            "training": {"method": "least squares", "points": len(terms)},
            "test": {},
        }
        return made

    @classmethod
    def load(cls, name_or_path: str | os.PathLike) -> "CellConduits":
        """From a file that :meth:`save` wrote, or the shipped ``"cell-conduits"``.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        tensors, card = load_weights(name_or_path, _KIND)
        file = weight_file(locate(name_or_path)[0])
        stored = Contents(file, {}, tensors)
        part = Contents(file, card["architectures"], place="architectures.").part("closed")
        arrays = {name: stored.array(name, (3,)) for name in ("mean", "scale", "low", "high")}
        closed = {name: part.number(name) for name in _CLOSED}
        with file.checked():
            return cls(closed, stored.array("coefficients", (10, 3)), **arrays, card=card)

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write a weight file and its card, in the units of the data."""
        arrays = {"mean": self._mean, "scale": self._scale, "low": self._low, "high": self._high}
        return save_weights(path, {"coefficients": self.coefficients, **arrays}, self.card)

    @checked(separation_scale="(0, inf)", traction_scale="(0, inf)")
    def rescaled(self, separation_scale: float = 1.0, traction_scale: float = 1.0) -> "CellConduits":
        """The same cell in other units: what one length and one pressure of the data become, m and Pa."""
        made = CellConduits(
            self.closed, self.coefficients, self._mean, self._scale, self._low, self._high, self.card
        )  # fmt: skip
        made.separation_scale, made.traction_scale = separation_scale, traction_scale
        return made

    @checked(rows="unchecked")
    def errors(self, data: PathDataSet, rows: Sequence[int] | np.ndarray | slice = slice(None)) -> dict[str, float]:
        """Root mean square errors on rows of a data set, in its own units: of ln k across and along, of porosity."""
        opening, sliding, pressure, targets = _learned_from(data, rows)
        found = self._fitted(np.column_stack([opening, sliding, pressure]))[0]
        return dict(zip(_FITTED, np.sqrt(((found - targets) ** 2).mean(axis=0)).tolist(), strict=True))

    @staticmethod
    @checked(rows="unchecked")
    def spreads(data: PathDataSet, rows: Sequence[int] | np.ndarray | slice = slice(None)) -> dict[str, float]:
        """Standard deviations on rows of a data set of what :meth:`errors` are of: a constant would miss so much."""
        return dict(zip(_FITTED, _learned_from(data, rows)[3].std(axis=0).tolist(), strict=True))

    @checked(opening="n", sliding="n", pressure="n")
    def at(self, opening: np.ndarray, sliding: np.ndarray, pressure: np.ndarray) -> dict:
        """See :class:`Conduits`."""
        units = np.array([self.separation_scale, self.separation_scale, self.traction_scale])
        values, slopes = self._fitted(np.column_stack([opening, sliding, pressure]) / units)
        slopes = slopes / units
        area = self.separation_scale**2
        across, along = area * np.exp(values[:, :2]).T
        by_across, by_along = across[:, None] * slopes[:, 0], along[:, None] * slopes[:, 1]
        height, matrix = self.separation_scale * self.closed["height"], area * self.closed["matrix"]
        in_cracks = np.maximum(along - matrix, np.finfo(float).tiny)
        aperture = np.cbrt(12.0 * height * in_cracks)
        return {
            "porosity": (values[:, 2], slopes[:, 2]),
            "aperture": (aperture, (aperture / (3.0 * in_cracks))[:, None] * by_along),
            "permeability_across": (across, by_across),
            "permeability_along": (along, by_along),
        }

    def _fitted(self, features):
        """ln k across, ln k along and porosity (n, 3), and derivatives (n, 3, 3) by the features."""
        base, by_base = self._base(features)
        terms, by_feature = self._terms(features)
        return base + terms @ self.coefficients, by_base + np.einsum("ntf,tk->nkf", by_feature, self.coefficients)

    def _base(self, features):
        """The closed part, (n, 3), and its derivatives (n, 3, 3)."""
        own, n = self.closed, len(features)
        layers, void = own["layers"], own["layers"] * own["porosity"] * own["thickness"]
        opened = features[:, 0] + own["compliance"] * (features[:, 2] - own["pressure"])
        ratio = 1.0 + opened / void
        moves = ratio > own["residual"]
        ratio = np.maximum(ratio, own["residual"])
        cracks = layers * own["aperture"] ** 3 / (12.0 * own["height"]) * ratio**3
        along = own["matrix"] + cracks
        solid = (1.0 - own["porosity"]) * layers * own["thickness"]
        filled = layers * own["thickness"] + opened
        loose = filled > solid * (1.0 + _LEAST_THICKNESS)
        filled = np.maximum(filled, solid * (1.0 + _LEAST_THICKNESS))
        open_cracks = own["porosity"] == 1.0
        porosity = np.ones(n) if open_cracks else 1.0 - solid / filled
        values = np.column_stack([np.full(n, np.log(own["matrix"])), np.log(along), porosity])
        along_grows = moves * 3.0 * cracks / ratio / void / along
        loosens = np.zeros(n) if open_cracks else loose * solid / filled**2
        by_opened = np.column_stack([np.zeros(n), along_grows, loosens])
        return values, by_opened[:, :, None] * np.array([1.0, 0.0, own["compliance"]])

    def _terms(self, features):
        """Terms (n, 10) of the polynomial, and derivatives (n, 10, 3) by the features; constant beyond the range."""
        inside = (features >= self._low) & (features <= self._high)
        z = (np.clip(features, self._low, self._high) - self._mean) / self._scale
        n = len(z)
        first, second = np.triu_indices(3)
        terms = np.column_stack([np.ones(n), z, z[:, first] * z[:, second]])
        slopes = np.zeros((n, 10, 3))
        slopes[:, 1:4] = np.eye(3)
        place = np.arange(4, 10)
        for k, (i, j) in enumerate(zip(first, second, strict=True)):
            slopes[:, place[k], i] += z[:, j]
            slopes[:, place[k], j] += z[:, i]
        return terms, slopes * (inside / self._scale)[:, None]


class ConductingCohesive(WrappingLaw):
    """Any law, and what the layer conducts at its separation and pressure.

    :meth:`predictions` tells it where a fault's core asks (:class:`femnn.reservoir.fault.PredictedCore`,
    :class:`femnn.reservoir.fault.GranularCore`), so that permeability, flow along and storage follow its slip.

    Parameters
    ----------
    law : Law
        In m and Pa, as the conduits.
    conduits : Conduits

    Raises
    ------
    ParameterError
        If the law depends on time: wrap this one, ``ViscousCohesive(ConductingCohesive(...), ...)``.

    Examples
    --------
    A layer of grains of 5 mm that rested under 10.5 MPa slides by two diameters:

    >>> import femnn, numpy as np
    >>> from femnn.cohesive import ConductingCohesive, GrainConduits
    >>> from femnn.multiscale.grains import load
    >>> scales = {"separation_scale": 5e-3, "traction_scale": 10.5e6}
    >>> grains = femnn.RecurrentCohesive.load("grains").rescaled(**scales)
    >>> law = ConductingCohesive(grains, GrainConduits.fit(load()).rescaled(5e-3))
    >>> state = law.initial_state(1)
    >>> for slip in np.linspace(0.0, 1e-2, 20):
    ...     state = law.update([[0.1 * slip, slip, 0.0]], state).state
    >>> permeability, derivative = law.predictions(state)["permeability_across"]
    >>> bool(permeability[0] > law.predictions(law.initial_state(1))["permeability_across"][0][0]), derivative.shape
    (True, (1, 3))
    """

    #: Separation, pressure, and its derivative by the separation.
    columns = 7

    @checked(law="unchecked", conduits="unchecked")
    def __init__(self, law: Law, conduits: Conduits) -> None:
        super().__init__(law)
        self.conduits = instance("conduits", conduits, Conduits)
        if law.depends_on_time:
            raise ParameterError(
                f"{law.name} depends on time, so that its pressure is no pressure of the layer alone; put this law "
                "into that one: ViscousCohesive(ConductingCohesive(law, conduits), viscosity)"
            )

    def __repr__(self) -> str:
        return f"ConductingCohesive({self.law.name}, {self.conduits!r})"

    def predictions(self, state: State) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Values (n,) and derivatives by the separation (n, 3) of what the conduits tell, by name."""
        self._require_state(state)
        separation, pressure, by_separation = np.split(state.values[:, -self.columns :], [3, 4], axis=1)
        sliding = np.linalg.norm(separation[:, 1:], axis=1)
        along = np.divide(
            separation[:, 1:], sliding[:, None], out=np.zeros((len(state), 2)), where=sliding[:, None] > 0.0
        )
        told = self.conduits.at(separation[:, 0], sliding, pressure[:, 0])
        return {
            name: (
                values,
                np.column_stack([slopes[:, 0], slopes[:, 1, None] * along]) + slopes[:, 2, None] * by_separation,
            )
            for name, (values, slopes) in told.items()
        }

    def _virgin(self, n):
        begin = np.zeros((1, 3))
        response = self.law.update(begin, self.law.initial_state(1))
        return np.hstack([self.law._virgin(n), np.tile(self._told(begin, response), (n, 1))])

    def _update(self, separation, values):
        response = self.law.update(separation, self._beneath(values))
        told = self._told(separation, response)
        return response.traction, response.tangent, np.hstack([response.state.values, told])

    @staticmethod
    def _told(separation, response):
        return np.column_stack([separation, -response.traction[:, 0], -response.tangent[:, 0]])


def _column(data: PathDataSet, name: str, rows: Any = slice(None)) -> np.ndarray:
    if name not in data.columns:
        raise DatasetError(f"the data set has no {name}; it has {', '.join(data.columns)}")
    try:
        chosen = data.columns[name][rows].astype(float)
    except (IndexError, TypeError, ValueError) as error:
        raise ParameterError(f"rows={brief(rows)} choose none of the {len(data)} rows: {error}") from error
    if not len(chosen) or chosen.ndim < 2:
        raise ParameterError(f"rows={brief(rows)} choose no rows; pass a slice, numbers or a mask of {len(data)}")
    return chosen


def _learned_from(data: PathDataSet, rows: Any) -> tuple[np.ndarray, ...]:
    """Opening, sliding and pressure (m,) of all points, and what is fitted, (m, 3)."""
    separation, traction, tensors, porosity = (
        _column(data, name, rows) for name in ("separation", "traction", "permeability", "porosity")
    )
    if tensors.ndim != 4 or tensors.shape[2:] not in ((2, 2), (3, 3)):
        raise DatasetError(f"the permeability has shape {tensors.shape}; a cell's is (n, k, 2, 2), or 3 by 3 in space")
    sliding = np.linalg.norm(separation[..., 1:], axis=-1)
    # in space the mean of both directions
    along = np.diagonal(tensors, axis1=2, axis2=3)[..., 1:].mean(axis=-1)
    targets = [np.log(tensors[..., 0, 0]), np.log(along), porosity]
    flat = [values.ravel() for values in (separation[..., 0], sliding, -traction[..., 0])]
    return (*flat, np.stack(targets, axis=-1).reshape(-1, 3))


def _closed_of(data: PathDataSet) -> dict[str, float]:
    """Numbers of the closed part, from the card of a data set."""
    try:
        cell: Any = data.about["cell"]
        filling, young, poisson = cell["filling"], cell["young"], cell["poisson"]
        constrained = young * (1.0 - poisson) / ((1.0 + poisson) * (1.0 - 2.0 * poisson))
        numbers = {
            "height": cell["size"],
            "matrix": cell["matrix"],
            # a band of rows of blocks has a crack below each, and one above all
            "layers": cell["rows"] + 1,
            "aperture": filling["aperture"],
            "thickness": filling["thickness"],
            "porosity": filling["porosity"],
            "residual": filling["residual"],
            "compliance": cell["size"] / constrained,
            "pressure": float(-_column(data, "traction")[:, 0, 0].mean()),
        }
        return {name: float(numbers[name]) for name in _CLOSED}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"the card of the data does not describe the cell ({error!r}); pass what `femnn simulate rve` made"
        ) from error
