"""The border for files that are read: what lies there comes out whole and checked, or as one error of the family.

A file may have been cut off, damaged, swapped or written to do harm. Special files are not opened, sizes that a file
claims are compared with what is there before memory is taken, and nothing that is read is executed.
"""

import difflib
import hashlib
import io
import json
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil
import safetensors.numpy

from femnn.exceptions import FemnnError, ParameterError

#: Field of a card with the hash of all its other fields.
CARD_HASH = "card_sha256"

# Nothing that deflate compresses shrinks further than by this factor: larger claims are damage.
_MOST_COMPRESSION = 1100
# No card of ours is nested deeper than a few levels; deep ones exhaust the stack of whoever walks through them.
_DEEPEST = 100
# Ratio of difflib: a name with a few damaged characters reaches it, "sha256" does not.
_SIMILAR = 0.75
# Characters of a reason that an error quotes: texts from a file may be of any length.
_LONGEST_REASON = 400

_SPECIAL = {
    stat.S_ISDIR: "a folder",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def special(mode: int) -> str | None:
    """The kind of a file that is no regular one, in words, by its ``st_mode``."""
    return next((name for is_kind, name in _SPECIAL.items() if is_kind(mode)), None)


def require_regular(path: str | os.PathLike) -> None:
    """Raise ParameterError where ``path`` is a folder, pipe, socket or device, which nothing may take the place of."""
    try:
        kind = special(os.stat(path).st_mode)
    except OSError:
        return  # nothing is there, or whoever writes learns why not
    if kind:
        raise ParameterError(f"{path} is {kind}, nothing is written there; pass the path of a regular file")


@dataclass(frozen=True)
class GuardedFile:
    """A file that is read as an error of the family, or whole; every method raises ``error`` where it is not.

    Attributes
    ----------
    path
        Where it is.
    error
        Class of what is raised: WeightFileError, StateError, ...
    name
        What the file should be, for messages: "restart file".
    remedy
        Next step of the user.

    Examples
    --------
    >>> import tempfile
    >>> from femnn.exceptions import StateError
    >>> file = GuardedFile(Path(tempfile.mkdtemp()), StateError, "restart file", "start from an older one")
    >>> file.arrays()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    femnn.exceptions.StateError: ... is no whole restart file: it is no file but a folder; start from an older one
    """

    path: Path
    error: type[FemnnError]
    name: str
    remedy: str

    def refused(self, reason: object, name: str | None = None) -> FemnnError:
        """The error that says, on one line, why the file is not whole."""
        words = " ".join(str(reason).split()) or type(reason).__name__
        if len(words) > _LONGEST_REASON:
            words = f"{words[:_LONGEST_REASON]}..."
        # an undecodable byte or half a surrogate pair could not be printed
        words = words.encode(errors="backslashreplace").decode()
        return self.error(f"{self.path} is no whole {name or self.name}: {words}; {self.remedy}")

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn whatever the values of this file make the block stumble over into its error."""
        try:
            yield
        # zip, zlib, NumPy and checks of arguments each raise errors of their own
        except Exception as error:
            if isinstance(error, self.error) and str(self.path) in str(error):
                raise
            raise self.refused(f"{error}" if isinstance(error, FemnnError | ValueError) else repr(error)) from error

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file opened for reading; a pipe or device, which might never end, is refused at once."""
        try:
            kind = special(os.stat(self.path).st_mode)
            # not to wait, should a pipe have taken its place in this moment
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            descriptor = None if kind else os.open(self.path, flags)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            reason = getattr(error, "strerror", None) or str(error)
            reason = "there is no file" if isinstance(error, FileNotFoundError) else f"it cannot be read: {reason}"
            raise self.refused(reason) from error
        if descriptor is None:
            raise self.refused(f"it is no file but {kind}")
        with os.fdopen(descriptor, "rb") as file:
            yield file

    def content(self) -> bytes:
        """All bytes."""
        with self.opened() as file, self.checked():
            _require_available(os.fstat(file.fileno()).st_size)
            return file.read()

    def sha256(self) -> str:
        """Hash of the bytes, which are read piece by piece."""
        result = hashlib.sha256()
        with self.opened() as file, self.checked():
            while piece := file.read(2**24):
                result.update(piece)
        return result.hexdigest()

    def json(self, content: bytes | str | None = None) -> Any:
        """The value of ``content``, or of the file, which is JSON."""
        content = self.content() if content is None else content
        with self.checked():
            return parse_json(content)

    def card(self, content: bytes | str | None = None) -> dict[str, Any]:
        """The fields that ``content``, or the file, holds as JSON, with the checks of :meth:`require_whole`."""
        card = self.json(content)
        if not isinstance(card, dict):
            raise self.refused(f"it holds no fields but {type(card).__name__}")
        self.require_whole(card)
        return card

    def require_whole(self, card: Mapping[str, Any]) -> None:
        """Check the hash of a card's fields where it has one: cards of earlier files have none."""
        if CARD_HASH in card:
            if card[CARD_HASH] != card_digest(card):
                raise self.refused(f"its {CARD_HASH} is not that of its fields")
        # a damaged name must not turn a card with a hash into an earlier one
        elif similar := difflib.get_close_matches(CARD_HASH, card, 1, _SIMILAR):
            raise self.refused(f"it has the unknown field {similar[0]!r}")

    def arrays(self, content: bytes | None = None) -> dict[str, np.ndarray]:
        """Arrays by name of ``content``, or of the file, which is a NumPy archive."""
        if content is not None:
            with self.checked():
                return _archive(io.BytesIO(content))
        with self.opened() as file, self.checked():
            return _archive(file)

    def tensors(self, content: bytes | None = None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Arrays and metadata of ``content``, or of the file, which has the safetensors layout."""
        content = self.content() if content is None else content
        try:
            length = int.from_bytes(content[:8], "little")
            header = parse_json(content[8 : 8 + length]) if 8 + length <= len(content) else None
            if not isinstance(header, dict):
                raise ValueError("it has no header")
            metadata = header.get("__metadata__", {})
            return safetensors.numpy.load(content), metadata
        except Exception as error:  # of safetensors, and KeyError for a type that NumPy lacks, such as bfloat16
            raise self.refused(error, f"safetensors file ({len(content)} bytes)") from error


@dataclass(frozen=True, eq=False)
class Contents:
    """Fields and arrays of a file, taken out by methods that raise its error where a value is missing or nonsensical.

    Attributes
    ----------
    file : GuardedFile
    fields : dict
        Numbers, texts, lists and dicts by name.
    arrays : dict of arrays
        By name.
    place
        Where in the file the fields are, for messages: ``"test.random."``.
    """

    file: GuardedFile
    fields: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    place: str = ""

    def __repr__(self) -> str:
        return f"Contents({self.file.path.name!r}: {', '.join([*self.fields, *self.arrays])})"

    def text(self, name: str) -> str:
        """A text."""
        return self._field(name, str, "a text")

    def number(self, name: str, low: float = -math.inf, high: float = math.inf, *, above: float = -math.inf) -> float:
        """A finite number from ``low`` to ``high``, and larger than ``above``."""
        return self._number(f"{self.place}{name}", self.fields.get(name), low, high, above)

    def count(self, name: str, low: int = 0) -> int:
        """An integer of at least ``low``."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.file.refused(f"{self.place}{name} is {value!r}, not an integer from {low}")
        return value

    def numbers(self, name: str, length: int | None = None) -> list[float]:
        """A list of finite numbers."""
        values = self._list(name, length, "numbers")
        return [self._number(f"{self.place}{name}[{k}]", value) for k, value in enumerate(values)]

    def box(self, low: str, high: str, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Two lists of numbers, of which no entry of the first exceeds that of the second."""
        below, above = np.array(self.numbers(low, length)), np.array(self.numbers(high, length))
        if (below > above).any():
            raise self.file.refused(f"{self.place}{low} exceeds {self.place}{high}")
        return below, above

    def interval(self, name: str) -> tuple[float, float]:
        """Two finite numbers, the lower one first."""
        low, high = self.numbers(name, 2)
        if low > high:
            raise self.file.refused(f"{self.place}{name} goes from {low:g} down to {high:g}")
        return low, high

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        values = self._list(name, None, "texts")
        if not all(isinstance(value, str) for value in values):
            raise self.file.refused(f"{self.place}{name} is {values!r}, not texts")
        return values

    def part(self, name: str) -> "Contents":
        """The fields of a field."""
        return Contents(self.file, self._field(name, dict, "a dict of fields"), {}, f"{self.place}{name}.")

    def optional(self, name: str) -> "Contents | None":
        """The fields of a field; None where there is none, or null."""
        return None if self.fields.get(name) is None else self.part(name)

    def array(self, name: str, shape: tuple, dtype: Any = float) -> np.ndarray:
        """A finite array of ``dtype``; None in ``shape`` stands for any length, None as type for any real numbers."""
        values = self.arrays.get(name)
        if values is None or (values.dtype.kind not in "fiu" if dtype is None else values.dtype != dtype):
            has = "missing" if values is None else f"of type {values.dtype}"
            expected = "real" if dtype is None else str(np.dtype(dtype))
            raise self.file.refused(f"{name} is {has}, expected are {expected} numbers")
        if values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
            expected = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
            raise self.file.refused(f"{name} has shape {values.shape}, expected is {expected}")
        if not np.isfinite(values).all():
            raise self.file.refused(f"{name} is not finite")
        return values

    def bounds(self, low: str, high: str, shape: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Two arrays, of which no entry of the first exceeds that of the second."""
        below, above = self.array(low, shape, None), self.array(high, shape, None)
        if below.shape != above.shape or (below > above).any():
            raise self.file.refused(f"{low} exceeds {high}, or is of another shape")
        return below, above

    def _number(
        self, name: str, value: Any, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
    ) -> float:
        # parse_json has refused what is too large for a float
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.file.refused(f"{name} is {value!r}, not a finite number")
        if not low <= value <= high or value <= above:
            raise self.file.refused(f"{name} is {value!r}, which is out of its range")
        return float(value)

    def _field(self, name: str, kind: type, expected: str) -> Any:
        value = self.fields.get(name)
        if not isinstance(value, kind):
            raise self.file.refused(f"{self.place}{name} is {value!r}, not {expected}")
        return value

    def _list(self, name: str, length: int | None, expected: str) -> list:
        values = self._field(name, list, f"a list of {expected}")
        if length not in (None, len(values)):
            raise self.file.refused(f"{self.place}{name} has {len(values)} {expected}, expected are {length}")
        return values


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text; ValueError if it is none, ambiguous, not finite or nested too deeply.

    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: the name 'a' is there twice
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=lambda digits: _finite(float(digits), digits),
            parse_int=lambda digits: _finite(int(digits), digits),
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
        inner = (v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list))
        level = [value for values in inner for value in values]
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair could not be printed
    return value


def sealed(card: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a card, which JSON can hold, and their hash as the last one."""
    fields = {name: value for name, value in card.items() if name != CARD_HASH}
    # what is hashed is what a reader will find: lists for tuples, texts for numbers as names
    return {**fields, CARD_HASH: card_digest(json.loads(json.dumps(fields, allow_nan=False)))}


def card_digest(card: Mapping[str, Any]) -> str:
    """SHA-256 over the fields of a card but its own, as JSON with sorted names."""
    fields = {name: value for name, value in card.items() if name != CARD_HASH}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, allow_nan=False).encode()).hexdigest()


def digest(tensors: Mapping[str, np.ndarray], text: str = "") -> str:
    """SHA-256 over text and the names, types, shapes and values of arrays; order of the names does not matter."""
    result = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        values = tensors[name]
        result.update(f"{name} {values.dtype.str} {values.shape}".encode())
        rows = np.atleast_1d(values)
        # in pieces: a large array, maybe mapped from a file, is never copied whole
        for start in range(0, len(rows), 4096):
            result.update(rows[start : start + 4096].tobytes())
    return result.hexdigest()


def _archive(file: BinaryIO) -> dict[str, np.ndarray]:
    """Arrays of a NumPy archive; nothing is unpacked whose size cannot be."""
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
            raise ValueError("its names are not those of different arrays")
        methods = {entry.compress_type for entry in entries}
        if not methods <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError("it is compressed as NumPy does not compress")
        claimed = sum(entry.file_size for entry in entries)
        if claimed > _MOST_COMPRESSION * size:
            raise ValueError(f"it claims to hold {claimed:,} bytes")
        _require_available(2 * claimed)
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(content: bytes) -> np.ndarray:
    """One array in NumPy's format; its header must claim what is there."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array in it is of version {version}")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    start, claimed = file.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError("an array in it holds Python's objects, which might execute something")
    if min(shape, default=0) < 0 or claimed != len(content) - start:
        raise ValueError(f"an array in it claims {claimed:,} bytes, {len(content) - start:,} are there")
    if not claimed:
        return np.zeros(shape, dtype)
    return np.ndarray(shape, dtype, bytearray(content), start, order="F" if fortran else "C")


def _require_available(need: int) -> None:
    available = psutil.virtual_memory().available
    if need > available:
        raise ValueError(f"it needs {need:,} bytes of memory, {available:,} are available")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {twice!r} is there twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which JSON does not know")


def _finite(value: float, digits: str) -> float:
    if not -1e308 <= value <= 1e308:
        raise ValueError(f"{digits[:20]} is too large a number")
    return value
