"""Responses along separation paths as laws are trained on them, and how well a law follows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from femnn.checks import checked, floats, instance
from femnn.cohesive.classical import BilinearCohesive, ExponentialCohesive
from femnn.cohesive.law import Law
from femnn.cohesive.paths import KINDS, respond, separation_paths
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.exceptions import ParameterError

# Largest value of data over their scale, or scale over value, that one unit for both can mean.
_FARTHEST = 50.0


@dataclass(frozen=True, eq=False, repr=False)
class PathData:
    """Responses along separation paths, each from the virgin state on.

    Attributes
    ----------
    separations, tractions : (n, steps, 3)
        m and Pa.
    separation_scale, traction_scale : float
        Complete softening, m; the strength that errors are measured by, Pa.
    microstructure : dict of (n, steps)
        Porosity, coordination number, ... by name.
    about : dict
        Where the data come from, for the card.

    Raises
    ------
    ParameterError
        If arrays do not fit each other or are not finite.

    See Also
    --------
    femnn.cohesive.training.layer_data : of precompressed layers, from a data set

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.training import PathData
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> data = PathData.of_law(law, n=8, steps=40)
    >>> data.separations.shape, data.tractions.shape
    ((8, 40, 3), (8, 40, 3))
    """

    separations: np.ndarray
    tractions: np.ndarray
    separation_scale: float
    traction_scale: float
    microstructure: dict[str, np.ndarray] = field(default_factory=dict)
    about: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        instance("microstructure", self.microstructure, Mapping)
        arrays = {"separations": self.separations, "tractions": self.tractions, **self.microstructure}
        for name, values in arrays.items():
            instance(name, values, np.ndarray)
            if floats(name, values, finite=False).ndim < 2:
                raise ParameterError(f"{name} have shape {values.shape}; pass (paths, points, ...)")
            if not np.isfinite(values).all():
                path = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
                raise ParameterError(f"{name} of path {path} are not finite; remove such paths before training")
            if values.shape[:2] != self.separations.shape[:2]:
                raise ParameterError(f"{name} have shape {values.shape}, separations {self.separations.shape}")

    def __len__(self):
        return len(self.separations)

    def __repr__(self):
        return f"PathData({len(self)} paths of {self.separations.shape[1]} points, {list(self.microstructure)})"

    def __getitem__(self, rows) -> "PathData":
        """Some of the paths."""
        return replace(
            self,
            separations=self.separations[rows],
            tractions=self.tractions[rows],
            microstructure={name: values[rows] for name, values in self.microstructure.items()},
        )

    @classmethod
    @checked()
    def of_law(cls, law: Law, n: int, steps: int, kind: str = "all", seed: int = 0) -> "PathData":
        """Responses of a law along drawn paths: of a classical one, or of one of your own."""
        paths = separation_paths(n, steps, law.separation_scale, kind, seed)
        drawn = {"paths": {"n": n, "steps": steps, "kind": kind, "seed": seed}}
        tractions = respond(law, paths)[0]
        if isinstance(law, BilinearCohesive | ExponentialCohesive):
            described = {"name": type(law).__name__, "parameters": law.parameters}
            strength = min(law.normal_strength, law.shear_strength)
            return cls(paths, tractions, law.separation_scale, strength, about={"law": described, **drawn})
        # the most that resists, contact left aside
        strength = float(np.linalg.norm(np.maximum(tractions, [0.0, -np.inf, -np.inf]), axis=2).max())
        if strength == 0.0:
            raise ParameterError(f"{law!r} has no traction on the drawn paths, there is nothing to learn")
        return cls(paths, tractions, law.separation_scale, strength, about={"law": law.name, **drawn})

    def require_virgin_starts(self) -> None:
        """ParameterError, which names the paths, unless all start at separation zero, where the interface is virgin."""
        start = np.linalg.norm(self.separations[:, 0], axis=1)
        away = np.flatnonzero(start > 1e-9 * self.separation_scale)
        if len(away):
            raise ParameterError(
                f"{len(away)} of {len(self)} paths do not start at separation zero: {_listed(away)}; path {away[0]} "
                f"starts at {self.separations[away[0], 0].tolist()} m. A law starts from the virgin interface: put the "
                "way there before them"
            )

    def require_scales(self) -> None:
        """ParameterError, which has the ratio, if separations or tractions are of another size than their scales."""
        tension = np.maximum(self.tractions, [0.0, -np.inf, -np.inf])
        for what, values, scale, unit in (
            ("separation", self.separations, self.separation_scale, "m"),
            ("traction", tension, self.traction_scale, "Pa"),
        ):
            largest = float(np.linalg.norm(values, axis=2).max())
            ratio = largest / scale
            if not 1.0 / _FARTHEST <= ratio <= _FARTHEST:
                raise ParameterError(
                    f"the largest {what} of the data is {largest:.3g} {unit}, {ratio:.3g} times the {what} scale of "
                    f"{scale:.3g} {unit}; {_guess(ratio)}pass a scale of the size of the data"
                )

    def x(self) -> np.ndarray:
        """Separations in separation scales, (n, steps, 3)."""
        return self.separations / self.separation_scale

    def trained_range(self) -> dict:
        """For a card: least and largest opening and sliding."""
        x = self.x()
        sliding = np.linalg.norm(x[..., 1:], axis=-1)
        return {
            "low": [float(x[..., 0].min()), 0.0],
            "high": [float(x[..., 0].max()), float(sliding.max())],
            "units": "opening and sliding in separation scales",
        }

    @checked()
    def require(self, names: Iterable[str]) -> None:
        """ParameterError if microstructure of some name is missing."""
        missing = [name for name in names if name not in self.microstructure]
        if missing:
            raise ParameterError(f"the data have no {missing[0]}; they have {', '.join(self.microstructure) or 'none'}")

    @checked()
    def standardised(self, names: Iterable[str], scaling: Mapping[str, list[float]]) -> np.ndarray:
        """Microstructure of some names, less its ``mean`` and over its ``scale``: (n, steps, len(names))."""
        columns = [
            (self.microstructure[name] - mean) / scale
            for name, mean, scale in zip(names, scaling["mean"], scaling["scale"], strict=True)
        ]
        return np.stack(columns, axis=-1) if columns else np.empty((*self.separations.shape[:2], 0))


def _listed(paths):
    shown = ", ".join(map(str, paths[:10]))
    return f"{shown}, ..." if len(paths) > 10 else shown


def _guess(ratio):
    """What a ratio near a power of 1000 says of the units."""
    thousands = round(np.log10(ratio) / 3.0) if ratio > 0.0 else 0
    near = thousands != 0 and abs(np.log10(ratio) - 3 * thousands) < 0.7
    return f"that is about 10^{3 * thousands}: are their units the same? Else " if near else ""


@checked()
def accuracy(law: Law, data: PathData) -> dict[str, float]:
    """Errors of a law along paths, over ``data.traction_scale``: mean, 95th percentile and largest, a dict.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.training import PathData, accuracy
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> data = PathData.of_law(law, n=8, steps=40)
    >>> accuracy(law, data)
    {'mean': 0.0, 'p95': 0.0, 'largest': 0.0}

    Its network misses by a few percent of the strength:

    >>> accuracy(femnn.RecurrentCohesive.load("default"), data)["mean"] < 0.05
    True
    """
    error = np.linalg.norm(responses(law, data) - data.tractions, axis=2) / data.traction_scale
    return {"mean": float(error.mean()), "p95": float(np.quantile(error, 0.95)), "largest": float(error.max())}


@checked()
def responses(law: Law, data: PathData) -> np.ndarray:
    """Tractions (n, steps, 3) of any law along the paths of ``data``, with their microstructure where it takes some.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.cohesive.training import PathData, responses
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> data = PathData.of_law(law, n=8, steps=40)
    >>> np.allclose(responses(law, data), data.tractions)
    True
    """
    if not isinstance(law, RecurrentCohesive) or law.microstructure is None or not law.microstructure.inputs:
        return respond(law, data.separations)[0]
    columns = np.stack([data.microstructure[name] for name in law.microstructure.inputs], axis=-1)
    state, tractions = law.initial_state(len(data)), np.empty(data.separations.shape)
    for step in range(data.separations.shape[1]):
        at_step = law.with_microstructure(columns[:, step])
        tractions[:, step], _, state = at_step.update(data.separations[:, step], state)
    return tractions


@checked()
def unseen(
    law: BilinearCohesive | ExponentialCohesive, n: int = 400, steps: int = 80, seed: int = 1_000_003
) -> dict[str, PathData]:
    """Paths of every kind that no training with a smaller seed has seen, PathData by kind.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.training import unseen
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> tests = unseen(law, n=8, steps=40)
    >>> sorted(tests)
    ['cyclic', 'mixed', 'monotonic', 'random']
    """
    return {kind: PathData.of_law(law, n, steps, kind, seed) for kind in KINDS}
