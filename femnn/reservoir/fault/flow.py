"""Flow across and along a sealing fault, and what its core stores, as the core opens, slides or loosens.

Per area and pore system the flow from the minus to the plus side is q = k/(μ a) (p⁻ − p⁺), with the permeability k of
the core across itself, its thickness a and the fluid's viscosity μ. A core answers

    transmissivity(change, predicted) -> (k/a (n,) in m, its derivative by the separation (n, 3))

``change`` (n, 3) is the separation since the state in situ, opening and two shears, m; ``predicted`` maps the names of
what the fault's law predicts beside the traction to pairs (values (n,), derivatives (n, 3)).

A core that conducts along itself, as the damaged zone of a seal does, answers as well

    conductance(change, predicted) -> (k_∥ a (n,) in m³, its derivative by the separation (n, 3))

for the flow −k_∥ a/μ ∂p/∂s along the fault, p being the mean of the two faces, or None if it does not; and its
``storage`` is the volume that it takes up by area and pressure, m/Pa. One with a finite ``fluid_bulk`` takes up more as
its pores open,

    capacity(predicted) -> (n,) in m/Pa

by what the law predicts of the state that a step starts from.
"""

from collections.abc import Mapping

import numpy as np

from femnn.checks import checked, positive
from femnn.cohesive.conducting import KOZENY, LEAST_POROSITY, GrainConduits
from femnn.exceptions import ParameterError


class ConstantCore:
    """A core of one permeability (m²) and thickness (m), whatever happens to it; permeability 0 seals perfectly.

    Parameters
    ----------
    permeability
        Across, m².
    thickness
        m.
    along
        Permeability along the core, m².
    compressibility
        Volume of fluid that the core takes up by volume and pressure, 1/Pa: porosity over the fluid's bulk modulus and
        what its pores give.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reservoir.fault import ConstantCore
    >>> transmissivity, derivative = ConstantCore(1e-18, thickness=0.5).transmissivity(np.zeros((4, 3)), {})
    >>> transmissivity
    array([2.e-18, 2.e-18, 2.e-18, 2.e-18])
    """

    def __init__(
        self, permeability: float, thickness: float, *, along: float = 0.0, compressibility: float = 0.0
    ) -> None:
        self.permeability = positive("permeability", permeability, zero=True)
        self.thickness = positive("thickness", thickness)
        self.along = positive("along", along, zero=True)
        self.storage = self.thickness * positive("compressibility", compressibility, zero=True)

    @checked()
    def transmissivity(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """See the module."""
        value = np.full(len(change), self.permeability / self.thickness)
        return value, np.zeros_like(change)

    @checked()
    def conductance(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray] | None:
        """See the module."""
        if not self.along:
            return None
        return np.full(len(change), self.along * self.thickness), np.zeros_like(change)


class CrackedCore:
    """A core that cracks as the fault opens and slides: the cubic law.

    Cracks of aperture b, one every ``spacing``, give the permeability k = k₀ + b³/(12 spacing) (D. T. Snow, Water
    Resources Research 5 (1969) 1273-1289), with b = opening · ⟨δ_n⟩ + dilation · |δ_s|, since the state in situ.

    Parameters
    ----------
    permeability
        k₀, in situ, m².
    thickness
        Of the core, m.
    spacing
        Of the cracks that cross the core, along the fault, m; default: its thickness.
    opening
        Aperture per opening of the fault.
    dilation
        Aperture per sliding, of faces that do not fit any more: for laws that do not dilate by themselves.
    along
        Permeability along the core, m². Where it is given, what opens conducts as well, as a slit of the aperture b of
        the opening alone: k_∥ a = along · a + (opening · ⟨δ_n⟩)³/12. Default: nothing flows along.
    compressibility
        As that of :class:`ConstantCore`.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reservoir.fault import CrackedCore
    >>> core = CrackedCore(1e-18, thickness=0.5)
    >>> transmissivity, _ = core.transmissivity(np.array([[0.0, 0.0, 0.0], [1e-4, 0.0, 0.0]]), {})
    >>> bool(transmissivity[1] > transmissivity[0])
    True
    """

    def __init__(
        self,
        permeability: float,
        thickness: float,
        *,
        spacing: float | None = None,
        opening: float = 1.0,
        dilation: float = 0.0,
        along: float | None = None,
        compressibility: float = 0.0,
    ) -> None:
        self.permeability = positive("permeability", permeability, zero=True)
        self.thickness = positive("thickness", thickness)
        self.spacing = self.thickness if spacing is None else positive("spacing", spacing)
        self.opening = positive("opening", opening, zero=True)
        self.dilation = positive("dilation", dilation, zero=True)
        self.along = None if along is None else positive("along", along, zero=True)
        self.storage = self.thickness * positive("compressibility", compressibility, zero=True)

    @checked()
    def transmissivity(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """See the module."""
        sliding = np.linalg.norm(change[:, 1:], axis=1)
        aperture = self.opening * np.maximum(change[:, 0], 0.0) + self.dilation * sliding
        by_aperture = 0.25 * aperture**2 / (self.spacing * self.thickness)
        slope = np.empty_like(change)
        slope[:, 0] = self.opening * by_aperture * (change[:, 0] > 0.0)
        unit = change[:, 1:] / np.where(sliding > 0.0, sliding, 1.0)[:, None]
        slope[:, 1:] = (self.dilation * by_aperture)[:, None] * unit
        permeability = self.permeability + aperture**3 / (12.0 * self.spacing)
        return permeability / self.thickness, slope

    @checked()
    def conductance(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray] | None:
        """See the module."""
        if self.along is None:
            return None
        slit, slope = self.opening * np.maximum(change[:, 0], 0.0), np.zeros_like(change)
        slope[:, 0] = 0.25 * self.opening * slit**2
        return self.along * self.thickness + slit**3 / 12.0, slope


class GranularCore:
    """A core of grains: Kozeny and Carman's k = d² φ³/(180 (1 − φ)²), with the porosity φ as the layer loosens.

    φ is the ``"porosity"`` that the law predicts; for laws that predict none it follows from the opening, as grains
    keep their volume: (1 − φ) (a + opening) is constant.

    Parameters
    ----------
    diameter
        Mean diameter d of the grains, m.
    porosity
        φ in situ, for laws that predict none.
    thickness
        a in situ, m.
    along
        Permeability along the core over that across it: 1 for grains without a preferred direction, 0 for no flow.
    compressibility
        As that of :class:`ConstantCore`.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reservoir.fault import GranularCore
    >>> core = GranularCore(diameter=1e-5, porosity=0.2, thickness=0.5)
    >>> transmissivity, _ = core.transmissivity(np.array([[0.0, 0.0, 0.0], [1e-2, 0.0, 0.0]]), {})
    >>> bool(transmissivity[1] > transmissivity[0])
    True
    """

    def __init__(
        self,
        diameter: float,
        porosity: float,
        thickness: float,
        *,
        along: float = 0.0,
        compressibility: float = 0.0,
    ) -> None:
        self._layer = GrainConduits(diameter, porosity, thickness)
        self.diameter, self.porosity, self.thickness = self._layer.diameter, self._layer.porosity, self._layer.thickness
        self.along = positive("along", along, zero=True)
        self.storage = self.thickness * positive("compressibility", compressibility, zero=True)

    @checked()
    def transmissivity(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """See the module."""
        value, slope, _, _ = self._across(change, predicted)
        return value, slope

    @checked()
    def conductance(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray] | None:
        """See the module."""
        if not self.along:
            return None
        value, slope, thickness, by_opening = self._across(change, predicted)
        # k a = (k/a) a²
        by_thickness = (2.0 * value * thickness)[:, None] * by_opening
        return self.along * value * thickness**2, self.along * (slope * thickness[:, None] ** 2 + by_thickness)

    def _across(self, change, predicted):
        """k/a, its derivative, a, and its derivative."""
        by_opening = np.zeros_like(change)
        by_opening[:, 0] = 1.0
        # squeezed shut, a layer of grains keeps its grains
        least = self.thickness * (1.0 - self.porosity) / (1.0 - LEAST_POROSITY)
        thickness = self.thickness + change[:, 0]
        by_opening[thickness < least] = 0.0
        thickness = np.maximum(thickness, least)
        if "porosity" in predicted:
            porosity, slope = predicted["porosity"]
            within = (porosity > LEAST_POROSITY) & (porosity < 1.0 - LEAST_POROSITY)
            porosity = np.clip(porosity, LEAST_POROSITY, 1.0 - LEAST_POROSITY)
            slope = slope * within[:, None]
        else:
            still = np.zeros(len(change))
            porosity, slope = self._layer.at(change[:, 0], still, still)["porosity"]
        value = self.diameter**2 * porosity**3 / (KOZENY * (1.0 - porosity) ** 2) / thickness
        relative = (3.0 / porosity + 2.0 / (1.0 - porosity))[:, None] * slope - by_opening / thickness[:, None]
        return value, value[:, None] * relative, thickness, by_opening


class PredictedCore:
    """A core that conducts as the fault's law predicts: a tensor with its axes across and along the fault.

    The law predicts ``"permeability_across"`` and ``"permeability_along"``, m², beside the traction: any law in a
    :class:`femnn.cohesive.ConductingCohesive`, an :class:`femnn.multiscale.rve.RVELaw` that is given the permeability
    of its cell, or a recurrent law whose microstructure has them.

    Parameters
    ----------
    thickness
        m; of a cell in the loop its height.
    share
        Of the flow that the law predicts, in this pore system.
    compressibility
        As that of :class:`ConstantCore`.
    fluid_bulk
        Bulk modulus of the fluid in it, Pa: the core then stores φ/K_f by volume and pressure as well, with the
        ``"porosity"`` φ that the law predicts. Default: infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reservoir.fault import PredictedCore
    >>> none = np.zeros((1, 3))
    >>> predicted = {"permeability_across": (np.array([1e-18]), none), "permeability_along": (np.array([1e-13]), none)}
    >>> core = PredictedCore(thickness=0.2)
    >>> core.transmissivity(none, predicted)[0], core.conductance(none, predicted)[0]
    (array([5.e-18]), array([2.e-14]))
    """

    @checked(fluid_bulk="(0, inf]")
    def __init__(
        self, thickness: float, *, share: float = 1.0, compressibility: float = 0.0, fluid_bulk: float = np.inf
    ) -> None:
        self.thickness, self.share = positive("thickness", thickness), positive("share", share)
        self.fluid_bulk = fluid_bulk
        self.storage = self.thickness * positive("compressibility", compressibility, zero=True)

    @checked()
    def transmissivity(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """See the module; ParameterError if the law predicts no permeability."""
        return self._scaled("permeability_across", predicted, self.share / self.thickness)

    @checked()
    def conductance(self, change: np.ndarray, predicted: Mapping) -> tuple[np.ndarray, np.ndarray]:
        """See the module; ParameterError if the law predicts no permeability."""
        return self._scaled("permeability_along", predicted, self.share * self.thickness)

    @checked()
    def capacity(self, predicted: Mapping) -> np.ndarray:
        """See the module; ParameterError if the law predicts no porosity."""
        return self._scaled("porosity", predicted, self.share * self.thickness / self.fluid_bulk)[0]

    @staticmethod
    def _scaled(name, predicted, factor):
        if name not in predicted:
            raise ParameterError(
                f"the core needs {name!r}, but the fault's law predicts {', '.join(map(repr, predicted)) or 'nothing'} "
                "beside the traction; pass RVELaw(rve, CellPermeability(rve, ...)), or put the law into a "
                "femnn.cohesive.ConductingCohesive, or take a core with numbers of its own"
            )
        value, slope = predicted[name]
        return factor * value, factor * slope
