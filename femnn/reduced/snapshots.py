"""Solutions that a reduced model learns from: collected in memory or in a folder that grows while they are computed."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats, number, vector
from femnn.exceptions import DatasetError, FemnnError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import Contents, GuardedFile, digest, sealed
from femnn.reduced.fingerprint import numbering
from femnn.solvers.nonlinear.load_path import Step
from femnn.system.memory import require_memory

FORMAT, VERSION = "femnn-snapshots", 1
_HEADER, _FILE = "snapshots.json", re.compile(r"\d{6}\.safetensors")
_REMEDY = "compute the snapshots again in another folder"


class Snapshot(NamedTuple):
    """One solution.

    Attributes
    ----------
    u : (n,)
        Displacements, or whatever the unknowns are.
    t : float
        Time, or load factor.
    path : int
        Number of the run that it is of: laws with memory start anew with each.
    parameters : dict
        Numbers of the run by name.
    velocity, load : (n,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced import Snapshot
    >>> moment = Snapshot(np.zeros(12), t=0.5, parameters={"load": 2.0})
    >>> moment.t, moment.path, moment.parameters
    (0.5, 0, {'load': 2.0})
    """

    u: np.ndarray
    t: float = 0.0
    path: int = 0
    parameters: Mapping[str, float] = {}
    velocity: np.ndarray | None = None
    load: np.ndarray | None = None


class Head(NamedTuple):
    """What is known of a snapshot without reading its vectors; attributes as of :class:`Snapshot`.

    Examples
    --------
    >>> from femnn.reduced import Snapshots
    >>> snapshots = Snapshots(3)
    >>> snapshots.append([0.0, 1.0, 2.0], t=0.5)
    >>> snapshots.heads[0]
    Head(t=0.5, path=0, parameters={})
    """

    t: float
    path: int
    parameters: Mapping[str, float]


class Snapshots:
    """Solutions of one discretisation, in the order in which they were computed.

    Parameters
    ----------
    source
        What the solutions are of: a :class:`femnn.Solid`, a basis of scikit-fem or the list of :func:`femnn.bases`, a
        :class:`femnn.reduced.FormProblem`, or the number of unknowns. Its mesh and numbering are kept as a fingerprint.
    path
        Folder to keep them in, one file each; one that has snapshots is continued. None keeps them in memory.

    Raises
    ------
    DatasetError
        If the folder holds snapshots of another mesh or numbering, is damaged or has a gap.

    Examples
    --------
    >>> snapshots = Snapshots(3)
    >>> snapshots.append([0.0, 1.0, 2.0], t=0.5)
    >>> snapshots
    Snapshots(1 of 3 unknowns, 1 path)

    The states of a load path, as :func:`femnn.newton` finds them: ``newton(..., callback=snapshots.record)``, and
    before each run ``snapshots.begin(parameters)``.
    """

    @checked()
    def __init__(self, source: Any, path: str | os.PathLike | None = None) -> None:
        self.n, self.fingerprint = numbering(source)
        self.folder = None if path is None else Path(path)
        self._kept: list[Snapshot] = []
        self._heads: list[Head] = []
        self._path = 0
        self._parameters: dict[str, float] = {}
        if self.folder is not None:
            try:
                self._open()
            except (OSError, ValueError) as error:
                if isinstance(error, FemnnError):
                    raise
                raise ParameterError(f"snapshots cannot be kept in {brief(self.folder)}: {error}") from error
            self._heads = [_head(self._read(k)) for k in range(self._count())]
            self._path = self._heads[-1].path if self._heads else 0

    def __len__(self) -> int:
        return len(self._heads)

    def __repr__(self) -> str:
        paths = len({head.path for head in self._heads})
        return f"Snapshots({len(self)} of {self.n} unknowns, {paths} path{'s' * (paths != 1)})"

    def __getitem__(self, k: int) -> Snapshot:
        if not -len(self) <= k < len(self):
            raise IndexError(f"there are {len(self)} snapshots, no number {k}")
        k %= len(self)
        return self._kept[k] if self.folder is None else self._read(k)

    def __iter__(self) -> Iterator[Snapshot]:
        return (self[k] for k in range(len(self)))

    @property
    def heads(self) -> list[Head]:
        """Times, paths and parameters of all, without their vectors: to see what is there without reading it."""
        return list(self._heads)

    @checked()
    def begin(self, parameters: Mapping[str, float] | None = None) -> None:
        """Start a new path: what is appended from now on belongs to a run with these ``parameters``."""
        parameters = {} if parameters is None else parameters
        self._parameters = {str(name): number(f"parameter {name}", value) for name, value in parameters.items()}
        if self._heads:
            known = self._heads[0].parameters.keys()
            if known != self._parameters.keys():
                raise ParameterError(
                    f"the parameters are {sorted(self._parameters)}, those of the snapshots so far {sorted(known)}; "
                    "give every run the same names"
                )
            self._path = self._heads[-1].path + 1

    @checked(u="any", velocity="any", load="any", t="(-inf, inf)")
    def append(
        self, u: ArrayLike, *, t: float = 0.0, velocity: ArrayLike | None = None, load: ArrayLike | None = None
    ) -> None:
        """Add a solution; in a folder it is whole on the disk when this returns.

        Parameters
        ----------
        u, velocity, load : (n,)
            Solution, its rate and the external force, the last two if they are to be kept.
        t
            Time, or load factor.

        Raises
        ------
        ParameterError
            If an array has another length or is not finite; nothing is added then.
        """
        vectors = {"u": u, "velocity": velocity, "load": load}
        arrays = {
            name: vector(values, self.n, "the snapshot" if name == "u" else f"its {name}").copy()
            for name, values in vectors.items()
            if values is not None
        }
        snapshot = Snapshot(t=t, path=self._path, parameters=self._parameters, **arrays)
        if self.folder is None:
            self._kept.append(snapshot)
        else:
            self._write(len(self), snapshot, arrays)
        self._heads.append(_head(snapshot))

    @checked()
    def record(self, step: Step) -> None:
        """Add a step of :func:`femnn.newton` or :func:`femnn.arc_length`: pass this method as their ``callback``."""
        self.append(vector(step.u, self.n, "the displacement of the step"), t=step.t)

    @checked(count="[0, inf)")
    def truncate(self, count: int) -> None:
        """Keep the first ``count`` snapshots alone, such as those before a run that was broken off."""
        if self.folder is not None:
            for k in reversed(range(count, len(self))):
                (self.folder / _name(k)).unlink()
        del self._kept[count:], self._heads[count:]
        self._path = self._heads[-1].path if self._heads else 0

    @checked(size="[1, inf)")
    def blocks(self, size: int = 64, name: str = "u") -> Iterator[np.ndarray]:
        """Solutions as columns (n, ``size`` or fewer), block after block; ``name`` is u, velocity or load.

        Raises
        ------
        ParameterError
            If a snapshot has none of that name.
        """
        for start in range(0, len(self), size):
            found = [getattr(self[k], name, None) for k in range(start, min(len(self), start + size))]
            columns = [column for column in found if column is not None]
            if len(columns) < len(found):
                raise ParameterError(
                    f"some snapshots from number {start} on have no {name}; append it to each, or take another"
                )
            yield np.stack(columns, axis=1)

    @checked()
    def matrix(self, name: str = "u") -> np.ndarray:
        """All of them as columns (n, number), for sets that fit into memory."""
        require_memory(8 * self.n * len(self), f"a matrix of {len(self)} snapshots of {self.n:,} unknowns")
        return np.concatenate(list(self.blocks(64, name)), axis=1) if len(self) else np.empty((self.n, 0))

    @checked()
    def require(self, source: Any) -> None:
        """Raise DatasetError unless the snapshots are of the mesh and numbering of ``source``."""
        n, fingerprint = numbering(source)
        on_trust = n == self.n and any(text.endswith("unknowns") for text in (fingerprint, self.fingerprint))
        if (n, fingerprint) != (self.n, self.fingerprint) and not on_trust:
            raise DatasetError(
                f"the snapshots are of another mesh or numbering: they have {self.n} unknowns and the fingerprint "
                f"{self.fingerprint}, this one has {n} and {fingerprint}; compute snapshots of this one"
            )

    # --- files

    def _open(self):
        """Write the header of a new folder, or check that of an old one."""
        path = self.folder / _HEADER
        if not path.exists():
            if self.folder.exists() and self._count():
                raise DatasetError(f"{self.folder} has snapshots but no {_HEADER}; {_REMEDY}")
            fields = {"format": FORMAT, "version": VERSION, "unknowns": self.n, "fingerprint": self.fingerprint}
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(sealed(fields), indent=2), encoding="utf-8")
            return
        file = GuardedFile(path, DatasetError, "header of snapshots", _REMEDY)
        header = Contents(file, file.card())
        if header.text("format") != FORMAT or header.count("version") > VERSION:
            raise file.refused(f"its format is {header.fields['format']!r}, version {header.fields['version']}")
        found = header.count("unknowns"), header.text("fingerprint")
        if found != (self.n, self.fingerprint):
            raise DatasetError(
                f"{self.folder} holds snapshots of another mesh or numbering: {found[0]} unknowns, fingerprint "
                f"{found[1]}, here {self.n} and {self.fingerprint}; pass another folder"
            )

    def _count(self):
        """Number of files, which follow each other without a gap."""
        names = sorted(entry for entry in os.listdir(self.folder) if _FILE.fullmatch(entry))
        for k, name in enumerate(names):
            if name != _name(k):
                raise DatasetError(f"{self.folder} has {name} but no {_name(k)}; put it back, or {_REMEDY}")
        return len(names)

    def _write(self, k, snapshot, arrays):
        text = json.dumps({"t": snapshot.t, "path": snapshot.path, "parameters": dict(snapshot.parameters)})
        content = safetensors.numpy.save(arrays, metadata={"snapshot": text, "sha256": digest(arrays, text)})
        with atomic_write(self.folder / _name(k)) as temporary:
            temporary.write_bytes(content)

    def _read(self, k):
        file = GuardedFile(self.folder / _name(k), DatasetError, "snapshot", _REMEDY)
        tensors, entries = file.tensors()
        if entries.get("sha256") != digest(tensors, entries.get("snapshot", "")):
            raise file.refused("its numbers are not those that were written, by their sha256")
        contents = Contents(file, file.json(entries["snapshot"]), tensors)
        vectors = {name: contents.array(name, (self.n,)) for name in ("u", "velocity", "load") if name in tensors}
        parameters = {name: contents.part("parameters").number(name) for name in contents.fields["parameters"]}
        if "u" not in vectors:
            raise file.refused(f"it has no u but {brief(sorted(tensors))}")
        return Snapshot(t=contents.number("t"), path=contents.count("path"), parameters=parameters, **vectors)


def _head(snapshot):
    return Head(snapshot.t, snapshot.path, snapshot.parameters)


def as_snapshots(snapshots: Any) -> Snapshots:
    """``snapshots`` as they are, or a matrix (n, number) of columns as snapshots; ParameterError for anything else."""
    if isinstance(snapshots, Snapshots):
        return snapshots
    columns = floats("snapshots", snapshots)
    if columns.ndim != 2 or columns.shape[0] == 0:
        raise ParameterError(f"snapshots have shape {columns.shape}; pass Snapshots, or columns (n, number)")
    collected = Snapshots(len(columns))
    for column in columns.T:
        collected.append(column)
    return collected


def _name(k):
    return f"{k:06d}.safetensors"
