"""A place in the bytes of a file: lines, and arrays of numbers as text or binary, with counts that are kept."""

import re

import numpy as np

from femnn.exceptions import MeshError

# the next line that begins with a word; nan and inf are numbers
_WORD = re.compile(rb"\n[ \t]*(?!nan\b|inf\b|-)[A-Za-z$_]", re.IGNORECASE)


class Cursor:
    """Reads the bytes of a file from front to back; what ends too early is a MeshError."""

    def __init__(self, path, data: bytes, binary: bool = False, order: str = "<") -> None:
        self.path, self.data, self.place = path, data, 0
        self.binary, self.order = binary, order

    def __repr__(self):
        return f"Cursor({str(self.path)!r}, {self.place} of {len(self.data)} bytes)"

    def line(self) -> str:
        """The rest of this line, stripped; empty at a blank line and at the end of the file."""
        end = self.data.find(b"\n", self.place)
        end = len(self.data) if end < 0 else end
        text, self.place = self.data[self.place : end], end + 1
        return text.decode("latin-1").strip()

    def next_line(self) -> str:
        """The next line that is not blank; empty at the end of the file."""
        while not self.at_end():
            text = self.line()
            if text:
                return text
        return ""

    def at_end(self) -> bool:
        """True where nothing is left."""
        return self.place >= len(self.data)

    def table(self, count: int, kind, what: str) -> np.ndarray:
        """``count`` numbers of a NumPy type: binary, or all the text until the next line that begins with a word."""
        if self.binary:
            return self.raw(count, kind, what)
        match = _WORD.search(self.data, max(self.place - 1, 0))
        end = match.start() if match else len(self.data)
        words = self.data[self.place : end].split()
        if len(words) != count:
            raise MeshError(
                f"{self.path} claims {count:,} numbers for {what} and has {len(words):,}; it was cut off or damaged, "
                "export it again"
            )
        self.place = end
        return self._numbers(words, kind, what)

    def raw(self, count: int, kind, what: str) -> np.ndarray:
        """``count`` binary numbers."""
        kind = np.dtype(kind).newbyteorder(self.order)
        size = count * kind.itemsize
        if count < 0 or self.place + size > len(self.data):
            raise MeshError(
                f"{self.path} claims {count:,} numbers for {what}, more than it holds; it was cut off or damaged, "
                "export it again"
            )
        values = np.frombuffer(self.data, kind, count, self.place)
        self.place += size
        return values.astype(kind.newbyteorder("="))

    def _numbers(self, words, kind, what):
        try:
            values = np.array(words, dtype="S").astype(float if np.dtype(kind).kind == "f" else np.int64)
        except (ValueError, OverflowError) as error:
            raise MeshError(f"{self.path}: {what} holds what is no number ({error}); export the mesh again") from error
        return values
