"""Rows of a table that are kept as they come: a run that was stopped goes on with those that are missing."""

import json
import re
import zlib
from pathlib import Path

from femnn.io import atomic_write
from femnn.system import description


class KeptRows:
    """Figures of rows, each in a file of a folder, with what they depend on.

    Parameters
    ----------
    folder
        Is made with the first row.
    anew
        Measure again what an earlier run has left.
    """

    def __init__(self, folder: Path, anew: bool = False) -> None:
        self.folder, self.anew = folder, anew

    def find(self, label, key):
        """Figures of the row ``label``, a dict, that an earlier run with the same ``key`` has left; None without."""
        path = self._path(label)
        if path.exists() and not self.anew:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == self._key(label, key):
                return kept["figures"]
        return None

    def get(self, label, key, measure, is_lasting=lambda figures: True):
        """Figures of the row ``label``, a dict: those of an earlier run with the same ``key``, else of ``measure()``.

        The machine is part of the key. Figures for which ``is_lasting`` is false are not kept.
        """
        figures = self.find(label, key)
        if figures is None:
            figures = measure()
            if is_lasting(figures):
                content = {"key": self._key(label, key), "figures": figures}
                with atomic_write(self._path(label)) as temporary:
                    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return figures

    def _path(self, label):
        return self.folder / f"{re.sub(r'[^a-z0-9]+', '-', label.lower())}.json"

    @staticmethod
    def _key(label, key):
        return {"of": label, "machine": description(), **key}


def version_of_femnn() -> str:
    """Checksum of femnn's sources."""
    sources = sorted((Path(__file__).resolve().parents[2] / "femnn").rglob("*.py"))
    return f"{zlib.crc32(b''.join(path.read_bytes() for path in sources)):08x}"
