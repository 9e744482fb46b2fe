"""Abaqus input files as a list of keywords with their parameters and data lines, included files among them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import text_lines

_DEEPEST = 20


@dataclass(eq=False, repr=False)
class Card:
    """A keyword, its parameters by upper-case name, and the data lines below it without comments."""

    keyword: str
    parameters: dict
    where: str
    data: list = field(default_factory=list)

    def __repr__(self):
        return f"Card(*{self.keyword}, {len(self.data)} lines)"

    def name(self, parameter):
        """Value of a parameter that the keyword cannot do without."""
        value = self.parameters.get(parameter)
        if not value:
            raise MeshError(f"{self.where}: *{self.keyword} has no {parameter}=; export the mesh again")
        return value

    def fields(self):
        """Data lines as lists of stripped fields; a comma at the end of a line gives no empty one."""
        for line in self.data:
            yield [value.strip() for value in line.rstrip().removesuffix(",").split(",")]

    def numbers(self, columns, kind=float):
        """The first ``columns`` numbers of each data line, blanks being zero, as an array."""
        rows = [(row + [""] * columns)[:columns] for row in self.fields()]
        try:
            values = np.array([[_number(value) for value in row] for row in rows], dtype=float)
        except ValueError as error:
            raise MeshError(f"{self.where}: the data of *{self.keyword} are no numbers: {error}") from error
        return values.reshape(-1, columns).astype(kind)


def _number(text):
    return float(text.upper().replace("D", "E")) if text else 0.0


def read_cards(path) -> list:
    """All keywords of an Abaqus input file in their order.

    Raises
    ------
    MeshError
        If a file that is included does not exist or includes itself, or if the file uses ``*Parameter``.
    """
    cards, continued = [], None
    for where, line in _lines(Path(path), Path(path).parent, 0):
        if continued is not None or line.startswith("*"):
            text = line if continued is None else continued + line
            continued = text if text.endswith(",") else None
            if continued is None:
                cards.append(_keyword(text, where))
        elif cards:
            cards[-1].data.append(line)
        else:
            raise MeshError(
                f"{where}: {line[:40]!r} stands before any keyword; an Abaqus input file begins with *Heading"
            )
    if continued is not None:
        raise MeshError(f"{path} ends within the keyword {continued[:40]!r}; it was cut off, export it again")
    return cards


def _lines(path, folder, depth):
    """Lines with their places, without comments and blank ones; an included file stands in place of its keyword."""
    if depth > _DEEPEST:
        raise MeshError(f"{path} includes itself, or files are included more than {_DEEPEST} deep")
    for number, line in enumerate(text_lines(path), 1):
        line, where = line.strip(), f"{path}, line {number}"
        if not line or line.startswith("**"):
            continue
        if re.match(r"\*\s*INCLUDE\b", line, re.IGNORECASE):
            yield from _lines(_included(line, folder, where), folder, depth + 1)
        else:
            yield where, line


def _included(line, folder, where):
    name = _keyword(line, where).name("INPUT").strip("\"'")
    return data_file(name, folder, where)


def data_file(name, folder, where) -> Path:
    """Path of a file that another one names: beside that one, or as it stands."""
    for path in (folder / name.replace("\\", "/"), Path(name)):
        if path.is_file():
            return path
    raise MeshError(f"{where}: there is no file {folder / name}; put it there, or paste its lines in its place")


def _keyword(text, where):
    first, *options = _split(text)
    keyword = re.sub(r"\s+", " ", first.lstrip("*").strip().upper())
    parameters = {}
    for part in options:
        key, _, value = part.partition("=")
        if key.strip():
            parameters[re.sub(r"\s+", " ", key.strip().upper())] = value.strip().strip('"')
    return Card(keyword, parameters, where)


def _split(text):
    """Parts between commas that are outside quotation marks."""
    return re.findall(r'(?:[^,"]|"[^"]*"?)+', text) or [""]
