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

    def get(self, label, key, measure, is_lasting=lambda figures: True):
        """Figures of the row ``label``, a dict: those of an earlier run with the same ``key``, else of ``measure()``.

        The machine is part of the key. Figures for which ``is_lasting`` is false are not kept.
        """
        path = self.folder / f"{re.sub(r'[^a-z0-9]+', '-', label.lower())}.json"
        key = {"of": label, "machine": description(), **key}
        if path.exists() and not self.anew:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return kept["figures"]
        figures = measure()
        if is_lasting(figures):
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps({"key": key, "figures": figures}, indent=1), encoding="utf-8")
        return figures


def version_of_femnn() -> str:
    """Checksum of femnn's sources."""
    sources = sorted((Path(__file__).resolve().parents[2] / "femnn").rglob("*.py"))
    return f"{zlib.crc32(b''.join(path.read_bytes() for path in sources)):08x}"
