"""Paths that a fine scale is driven along, its responses, and data sets of them: one format for grains and cells.

A data set is a file of NumPy arrays (``NAME.npz``), one row a path, and beside it the card ``NAME.json`` that says
where they come from. Nothing here executes what it reads.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked, floats, instance, one_of
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import GuardedFile
from femnn.io.weight_files import card_text

FORMAT = "femnn-path-data"
VERSION = 1

# Bits of the mantissa of float32; those that separations keep beside the ones that were asked for.
_MANTISSA, _FINER = 23, 4

# What earlier releases wrote: this for grains, no format for cells.
_EARLIER = ("femnn grain paths 1", None)

#: How a path is commanded. The first three prescribe the shear, and normal to it the separation; the pressure; a
#: pressure that grows with opening. The last one prescribes the pressure and the shear traction.
CONTROLS = ("displacement", "load", "stiffness", "traction")


@dataclass(frozen=True, eq=False, repr=False)
class PathCommand:
    """Commands at k points, reached one after another along straight lines.

    Lengths and pressures are in the units of what is driven: see :mod:`femnn.multiscale.grains` and
    :mod:`femnn.multiscale.rve`.

    Attributes
    ----------
    separation : (k, 3), or (k, 2) for a cell in plane strain
        Zero first. Its normal component counts only under the control ``"displacement"``.
    load : (k,)
        Pressure under the other controls.
    stiffness : float
        By how much the pressure grows for each unit of opening, under the control ``"stiffness"``.
    control, kind : str
        One of :data:`CONTROLS`; what the path is like, for tables.
    shear : (k, 2), (k, 1) in plane strain, or None
        Shear traction, under the control ``"traction"`` only; the separations are zero there, and not followed. A layer
        that cannot carry it slides as fast as its driver allows.

    Raises
    ------
    ParameterError
        If shapes do not fit, values are not finite, or the path does not start at zero.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import PathCommand
    >>> opening = np.column_stack([np.linspace(0.0, 0.1, 5), np.zeros((5, 2))])
    >>> PathCommand(opening, np.ones(5), kind="opening").separation.shape
    (5, 3)
    """

    separation: np.ndarray
    load: np.ndarray
    stiffness: float = 0.0
    control: str = "displacement"
    kind: str = ""
    shear: np.ndarray | None = None

    def __post_init__(self) -> None:
        separation = floats("separation", self.separation, finite=False)
        load = floats("load", self.load, finite=False)
        if load.ndim != 1 or len(load) < 2 or separation.shape not in ((len(load), 3), (len(load), 2)):
            raise ParameterError(
                f"separations have shape {separation.shape}, loads {load.shape}; a path of k > 1 points needs (k, 3) "
                "and (k,)"
            )
        one_of("control", self.control, CONTROLS)
        if not (np.isfinite(separation).all() and np.isfinite(load).all()) or separation[0].any():
            raise ParameterError("a path must be finite and start at separation zero, where everything is at rest")
        if (self.shear is None) != (self.control != "traction"):
            raise ParameterError(
                f"control={self.control!r} {'needs' if self.shear is None else 'takes no'} shear tractions; they go "
                "with control='traction' alone"
            )
        if self.shear is not None:
            shear = floats("shear", self.shear)
            if shear.shape != separation[:, 1:].shape or shear[0].any() or separation.any():
                raise ParameterError(
                    f"shear has shape {shear.shape}, starts at {shear[:1].tolist()}; under control='traction' it must "
                    f"be {separation[:, 1:].shape} and start at zero, and the separations must be zero"
                )
            object.__setattr__(self, "shear", shear)
        object.__setattr__(self, "separation", separation)
        object.__setattr__(self, "load", load)

    def __len__(self) -> int:
        return len(self.load)

    def __repr__(self) -> str:
        return f"PathCommand({len(self)} points, control={self.control!r}, kind={self.kind!r})"


class _Columns:
    """Arrays by name, which are attributes, too."""

    columns: dict[str, np.ndarray]

    def __getattr__(self, name: str) -> np.ndarray:
        # copying and pickling ask before there are columns
        columns = self.__dict__.get("columns", {})
        if name not in columns:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(columns)}")
        return columns[name]


@dataclass(frozen=True, eq=False, repr=False)
class PathResponse(_Columns):
    """Separations that were reached at the k points of a path, and the response there.

    Attributes
    ----------
    separation, traction : (k, 3), or (k, 2) for a cell in plane strain
        Normal first; tractions are positive in tension.
    columns : dict of (k, ...)
        Further quantities by name, each of which is an attribute: see
        :func:`femnn.multiscale.grains.layer.run_path` and :func:`femnn.multiscale.rve.response.follow`.
    state : object
        At the end, to go on from; None where that is not possible.
    failure : str
        Why the path ended early, else empty.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.multiscale.grains import PathResponse
    >>> response = PathResponse(np.zeros((2, 3)), -np.eye(2, 3), columns={"porosity": np.array([0.42, 0.43])})
    >>> response.porosity, sorted(response.arrays())
    (array([0.42, 0.43]), ['porosity', 'separation', 'traction'])
    """

    separation: np.ndarray
    traction: np.ndarray
    columns: dict[str, np.ndarray]
    state: Any = None
    failure: str = ""

    def __len__(self) -> int:
        return len(self.separation)

    def __repr__(self) -> str:
        return f"PathResponse({len(self)} points, {', '.join(self.columns)})"

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        return {"separation": self.separation, "traction": self.traction, **self.columns}


@dataclass(frozen=True, eq=False, repr=False)
class PathDataSet(_Columns):
    """Responses of one or several samples: n rows, each a sample that was driven along a path of k points.

    Attributes
    ----------
    columns : dict of (n, ...)
        By name, each of which is an attribute, too. There always are ``separation`` and ``traction`` (n, k, 3), normal
        first, tractions positive in tension; ``seed`` (n,) of the sample; ``path`` (n,), the number of the commanded
        path, the same in other samples. Others are listed where a data set is made:
        :func:`femnn.multiscale.grains.run.simulate_grains`, :func:`femnn.multiscale.rve.dataset.simulate_paths`.
    about : dict
        The card.

    Raises
    ------
    DatasetError
        If separations or tractions are missing, or columns have other numbers of rows.

    Examples
    --------
    >>> from femnn.multiscale.grains import load
    >>> data = load()
    >>> row = data.response(0)
    >>> row.separation.shape, row.porosity.shape
    ((140, 3), (140,))
    """

    columns: dict[str, np.ndarray]
    about: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = dict(instance("columns", self.columns, Mapping))
        missing = [name for name in ("separation", "traction") if name not in columns]
        if missing:
            raise DatasetError(f"the data set has no {missing[0]}; it has {', '.join(columns) or 'nothing'}")
        n = len(columns["separation"])
        # without numbers, every row is a path by itself
        columns.setdefault("seed", np.zeros(n, int))
        columns.setdefault("path", np.arange(n))
        for name, values in columns.items():
            if np.shape(values)[:1] != (n,):
                raise DatasetError(f"{name} has shape {np.shape(values)}, but the data set has {n} rows")
        object.__setattr__(self, "columns", columns)

    def __len__(self) -> int:
        return len(self.separation)

    def __repr__(self) -> str:
        return f"PathDataSet({len(self)} paths of {self.separation.shape[1]} points, {', '.join(self.columns)})"

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> "PathDataSet":
        """Some of the rows."""
        return PathDataSet({name: values[rows] for name, values in self.columns.items()}, self.about)

    @checked()
    def response(self, row: int) -> PathResponse:
        """One of the rows, with the columns that have a value for each point."""
        shape = self.separation.shape[:2]
        others = {name: values[row] for name, values in self.columns.items() if values.shape[:2] == shape}
        return PathResponse(others.pop("separation"), others.pop("traction"), others)

    @checked(bits="[4, 23]")
    def rounded(self, bits: int) -> "PathDataSet":
        """The same with so many binary digits behind the first of each number, which files take less room for.

        Samples of grains differ in the second or third digit; ``bits=12`` keeps four. Separations keep four bits more:
        small ones follow long ones.

        Examples
        --------
        >>> import numpy as np
        >>> from femnn.multiscale.grains import load
        >>> data = load()
        >>> bool(np.allclose(data.rounded(12).porosity, data.porosity, rtol=2.0**-13, atol=0.0))
        True
        """
        columns = {name: _rounded(values, bits) for name, values in self.columns.items()}
        columns["separation"] = _rounded(self.separation, min(bits + _FINER, _MANTISSA))
        return PathDataSet(columns, {**self.about, "bits": bits})

    @property
    def main_seed(self) -> int:
        """Seed of the sample that most paths were run on."""
        seeds, counts = np.unique(self.seed, return_counts=True)
        return int(seeds[counts.argmax()])

    def repeated(self) -> list[np.ndarray]:
        """Rows of each commanded path that was run on several samples."""
        rows = [np.flatnonzero(self.path == number) for number in np.unique(self.path)]
        return [same for same in rows if len(np.unique(self.seed[same])) > 1]

    @classmethod
    @checked()
    def of(
        cls, responses: Sequence[Mapping[str, np.ndarray]], labels: Sequence[Mapping[str, int | str]], about: dict
    ) -> "PathDataSet":
        """Of the arrays of each response and of numbers and words that label it, in float32, int32 and text."""
        columns = {name: np.stack([np.float32(arrays[name]) for arrays in responses]) for name in responses[0]}
        for name, label in labels[0].items():
            kind = "U16" if isinstance(label, str) else np.int32
            columns[name] = np.array([label[name] for label in labels], dtype=kind)
        return cls(columns, about)

    @checked()
    def save(self, file: str | os.PathLike) -> Path:
        """Write the data set and its card beside it, which gets the hash of the file; the path of the file."""
        file = Path(file)
        with atomic_write(file) as temporary, open(temporary, "wb") as opened:
            np.savez_compressed(opened, allow_pickle=False, **self.columns)
        card = {"format": FORMAT, "version": VERSION}
        card |= {name: value for name, value in self.about.items() if name not in card}
        card |= {"rows": len(self), "points": self.separation.shape[1]}
        card |= {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        with atomic_write(file.with_suffix(".json")) as temporary:
            temporary.write_text(card_text(card, file), encoding="utf-8")
        return file

    @classmethod
    @checked()
    def load(cls, file: str | os.PathLike) -> "PathDataSet":
        """From a file that :meth:`save` or an earlier release wrote, or from one of your own, which needs no card.

        Raises
        ------
        DatasetError
            If the file is missing, damaged, of another format, or not the one of its card.
        """
        path = Path(file)
        remedy = "make it and its card again, with `femnn simulate grains` or `femnn simulate rve`"
        # not with_suffix, which has no answer for "/"
        both = (path, path.parent / f"{path.stem}.json")
        data, card = (GuardedFile(p, DatasetError, "path data set", remedy) for p in both)
        content = data.content()
        # a card that is there but is no regular file is refused, not left out
        about = card.card() if os.path.lexists(card.path) else {"file": path.name}
        _check_card(about, card, path, hashlib.sha256(content).hexdigest())
        with data.checked():
            columns = data.arrays(content)
            for name, values in columns.items():
                if values.dtype.kind not in "biufU":
                    raise ValueError(f"{name} is of type {values.dtype}, neither numbers nor texts")
            return cls(columns, about)


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers in float32 with so many bits of the mantissa, to the nearest; others as they are."""
    if values.dtype.kind != "f":
        return values
    bare, dropped = np.ascontiguousarray(values, dtype=np.float32), _MANTISSA - bits
    if not dropped:
        return bare
    # half of the last bit that stays is added, the rest cut off; the next power of two follows by itself
    whole = bare.view(np.uint32) + np.uint32(1 << (dropped - 1))
    return (whole & np.uint32(0xFFFFFFFF ^ ((1 << dropped) - 1))).view(np.float32)


def _check_card(about: dict, card: GuardedFile, file: Path, digest: str) -> None:
    name, version = about.get("format"), about.get("version")
    if name not in (FORMAT, *_EARLIER) or (name == FORMAT and version != VERSION):
        raise DatasetError(
            f"{card.path} is of format {name!r}, version {version!r}, but this femnn reads {FORMAT!r}, version "
            f"{VERSION}; install the femnn that wrote it, or make the data again"
        )
    if digest != about.get("sha256", digest):
        raise DatasetError(
            f"{file} has the hash {digest[:12]}, its card says {str(about['sha256'])[:12]}; one of them is damaged or "
            "of another run: make both again"
        )
