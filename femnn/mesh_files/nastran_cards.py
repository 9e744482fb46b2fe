"""Nastran bulk data as cards: small, large and free fields, continuations, included files."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import text_lines

_DEEPEST = 20
# Columns of the name, the data and the label of the continuation on lines of fixed fields.
_SMALL = list(pairwise(range(0, 88, 8)))
_LARGE = [(0, 8), (8, 24), (24, 40), (40, 56), (56, 72), (72, 80)]


@dataclass(eq=False, repr=False)
class BulkCard:
    """A card: its name without ``*`` and all its data fields, those of continuations too, as stripped texts."""

    name: str
    where: str
    fields: list = field(default_factory=list)

    def __repr__(self):
        return f"BulkCard({self.name}, {self.fields})"

    def text(self, k):
        """Field ``k`` (1 is the first after the name), empty where the card ends before."""
        return self.fields[k - 1] if k <= len(self.fields) else ""

    def integer(self, k, default=None):
        """Field ``k`` as an integer; ``default`` where it is blank."""
        text = self.text(k)
        if not text and default is not None:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise MeshError(
                f"{self.where}: field {k + 1} of {self.name} is {text or 'blank'}, not an integer; the file may be cut "
                "off, or its columns are shifted"
            ) from error

    def real(self, k):
        """Field ``k`` as a number, in Nastran's short forms too (``1.-3``, ``2.5D2``); zero where it is blank."""
        text = self.text(k).upper().replace("D", "E")
        if not text:
            return 0.0
        try:
            return float(re.sub(r"(?<=[0-9.])([+-])", r"E\1", text) if "E" not in text else text)
        except ValueError as error:
            raise MeshError(f"{self.where}: field {k + 1} of {self.name} is {text}, not a number") from error


def read_bulk(path):
    """The cards of the bulk data section of a Nastran file, or of one of bulk data alone; True if ENDDATA ends it.

    Raises
    ------
    MeshError
        If ``BEGIN BULK`` has no ``ENDDATA``, if the file has superelements or repeats cards with ``=``, or if
        continuations stand in another order than the cards.
    """
    lines = list(_lines(Path(path), Path(path).parent, 0))
    start = next((k for k, (_, line) in enumerate(lines) if _begins(line)), None)
    end = next((k for k, (_, line) in enumerate(lines) if line.strip().upper().startswith("ENDDATA")), None)
    if start is not None and end is None:
        raise MeshError(f"{path} has BEGIN BULK but no ENDDATA: it was cut off; export it again")
    if start is None and any(line.strip().upper() == "CEND" for _, line in lines):
        raise MeshError(f"{path} ends before BEGIN BULK: it was cut off; export it again")
    if start is None and end is None and not any(re.match(r"(GRID|CHEXA)", line, re.IGNORECASE) for _, line in lines):
        raise MeshError(f"{path} has no bulk data: neither BEGIN BULK nor GRID; give a Nastran input file")
    begins = [(where, line) for where, line in lines[:end] if _begins(line)]
    if len(begins) > 1 or (begins and "SUPER" in begins[0][1].upper()):
        raise MeshError(f"{begins[-1][0]}: superelements ({begins[-1][1]}) are not read; export the model without them")
    cards, expected = [], ""
    for where, line in lines[0 if start is None else start + 1 : end]:
        name, fields, label = _fields(line, where)
        if name.startswith(("=", "*(")):
            raise MeshError(f"{where}: cards that are repeated with {name} are not read; write them out in full")
        if name and name[0] not in "+*":
            # meshio writes CHEXA_ for 20 nodes
            cards.append(BulkCard(name.upper().rstrip("*_"), where, fields))
        elif not cards:
            raise MeshError(f"{where}: a continuation stands before any card; the file is damaged, export it again")
        else:
            _check_label(name, expected, where)
            cards[-1].fields += fields
        expected = label
    return cards, end is not None


def _begins(line):
    return line.lstrip()[:6].upper() == "BEGIN "


def _check_label(name, expected, where):
    # the first letter of the label stands for the sign
    if name[1:] and expected and name[1:].upper() not in (expected.upper(), expected[1:].upper()):
        raise MeshError(
            f"{where}: the continuation {name} does not follow the card that it continues (label {expected}); sort the "
            "bulk data, or export it again"
        )


def _lines(path, folder, depth):
    """Lines with their places, without comments and blank ones; an included file stands in place of its statement."""
    if depth > _DEEPEST:
        raise MeshError(f"{path} includes itself, or files are included more than {_DEEPEST} deep")
    include, start = "", ""
    for number, line in enumerate(text_lines(path), 1):
        line, where = line.partition("$")[0].rstrip(), f"{path}, line {number}"
        if include or line.lstrip()[:7].upper() == "INCLUDE":
            start = start if include else where
            include += line.strip()
            # a name in quotation marks goes on until they close
            if include.count("'") == 1 or include.count('"') == 1:
                continue
            yield from _lines(_included(include, folder, start), folder, depth + 1)
            include = ""
        elif line.strip():
            yield where, line
    if include:
        raise MeshError(f"{start}: the file ends within {include[:40]!r}; it was cut off, export it again")


def _included(statement, folder, where):
    name = re.sub(r"^\s*INCLUDE\s*", "", statement, flags=re.IGNORECASE).strip("'\" ").replace("\\", "/")
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    raise MeshError(f"{where}: there is no file {folder / name}; put it there, or paste its lines in its place")


def _fields(line, where):
    """Name (empty or with + or * for continuations), data fields of one line, and the label of the continuation."""
    if "," in line:
        return _free_fields([part.strip() for part in line.split(",")], where)
    line = line.expandtabs(8)
    ends = _LARGE if "*" in line[:8] else _SMALL
    name, *data, label = [line[a:b].strip() for a, b in ends]
    return name, data, label


def _free_fields(parts, where):
    size = 4 if "*" in parts[0] else 8
    if any(parts[size + 2 :]):
        raise MeshError(f"{where}: {len(parts)} fields on a line of free format, at most {size + 2} are allowed")
    parts += [""] * (size + 2 - len(parts))
    data, label = parts[1 : size + 1], parts[size + 1]
    last = next((k for k in range(size - 1, -1, -1) if data[k]), None)
    if last is not None and data[last][0] in "+*" and not re.match(r"[+][.0-9]", data[last]):
        # the sign of a continuation may stand right after the last datum
        data[last], label = "", data[last]
    return parts[0], data, label
