"""Abaqus input files (``.inp``), also CalculiX's: parts, instances, sets and surfaces.

meshio's reader numbers the nodes of all parts alike, ends a block at a comment and passes over whatever it does not
know, so this one is of our own. It follows the Abaqus Keywords Reference Guide.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.abaqus_cards import data_file, read_cards
from femnn.mesh_files.abaqus_generate import copy_elements, generate_between, generate_elements, generate_fill
from femnn.mesh_files.abaqus_sets import Surfaces, add_sets
from femnn.mesh_files.abaqus_types import kind_and_nodes, warnings_of_types
from femnn.mesh_files.contents import CellBlock, MeshContents, counted, listed, merge_points, positions, text_lines
from femnn.mesh_files.frames import cartesian, frame_of_points, rotated

# Keywords that make nodes or elements, or move them, in ways that are not read.
_REFUSED = {
    "NCOPY": "copies nodes",
    "NMAP": "moves nodes",
    "PARAMETER": "computes values by formulas",
    "IMPORT": "takes the model from the results of another analysis",
    "SYMMETRIC MODEL GENERATION": "generates the model from a part of it",
    "SUBSTRUCTURE GENERATE": "condenses the model",
    "MATRIX INPUT": "reads matrices in place of elements",
}
# Keywords that change the mesh that the file describes, which is read without that change.
_CHANGING = {"IMPERFECTION": "moves nodes", "MODEL CHANGE": "takes elements away or brings them back in steps"}
# Keywords that join what the mesh leaves apart.
_JOINING = (
    "TIE",
    "MPC",
    "EQUATION",
    "COUPLING",
    "CONTACT PAIR",
    "RIGID BODY",
    "EMBEDDED ELEMENT",
    "SHELL TO SOLID COUPLING",
)
# Keyword that ends what another began.
_ENDS = {"PART": "END PART", "INSTANCE": "END INSTANCE", "ASSEMBLY": "END ASSEMBLY", "STEP": "END STEP"}
_SYSTEMS = {"": "rectangular", "R": "rectangular", "C": "cylindrical", "S": "spherical"}


@dataclass(eq=False, repr=False)
class Elements:
    """One block of elements of one type, with node numbers as the file gives them."""

    type: str
    numbers: np.ndarray
    nodes: np.ndarray
    where: str

    def __repr__(self):
        return f"Elements({len(self.numbers)} {self.type})"


@dataclass(eq=False, repr=False)
class Scope:
    """A scope of numbers and names: a part, an instance with its own mesh, the assembly, or the whole file.

    ``node_sets``, ``element_sets`` and ``surfaces`` keep what the file says by upper-case name; ``names`` keeps how the
    names are written.
    """

    nodes: list = field(default_factory=list)
    elements: list = field(default_factory=list)
    node_sets: dict = field(default_factory=dict)
    element_sets: dict = field(default_factory=dict)
    surfaces: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    internal: set = field(default_factory=set)

    def __repr__(self):
        return f"Scope({len(self.nodes)} blocks of nodes, {self.elements})"

    def all_nodes(self):
        """Numbers (n,) and coordinates (n, 3) of the nodes so far."""
        if not self.nodes:
            return np.empty(0, dtype=np.int64), np.empty((0, 3))
        return tuple(np.concatenate(arrays) for arrays in zip(*self.nodes, strict=True))

    def add_nodes(self, numbers, coordinates, set_name=None):
        """Nodes by number, and a set of them where it is named."""
        self.nodes.append((numbers, coordinates))
        self.add_set(self.node_sets, set_name, numbers)

    def add_elements(self, elements, set_name=None):
        """A block of elements, and a set of them where it is named."""
        self.elements.append(elements)
        self.add_set(self.element_sets, set_name, elements.numbers)

    def add_set(self, sets, name, members, instance=None):
        """More members of a set: numbers, or names of sets; ``instance`` is the one whose they are."""
        if name:
            self.names.setdefault(name.upper(), name)
            sets.setdefault(name.upper(), []).append((instance, members))


@dataclass(eq=False, repr=False)
class Placed:
    """A scope in its place: coordinates in the assembly, and where its nodes and elements stand among all."""

    name: str
    scope: Scope
    numbers: np.ndarray
    points: np.ndarray
    first_point: int = 0
    element_numbers: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    first_cell: int = 0

    def __repr__(self):
        return f"Placed({self.name!r}, {len(self.numbers)} nodes)"


def read_abaqus(path) -> MeshContents:
    """Contents of an Abaqus input file.

    Raises
    ------
    MeshError
        If a keyword makes or moves nodes or elements in a way that is not read, if a node or element is defined twice,
        or if the file ends within a part, an instance, the assembly or an element.
    """
    reader = _Reader(Path(path))
    for card in read_cards(path):
        reader.take(card)
    return reader.contents()


class _Reader:
    """Takes one keyword after the other and keeps the parts, the instances and the assembly."""

    def __init__(self, path) -> None:
        self.path = path
        self.scope = self.model = Scope()
        self.parts: dict[str, tuple[str, Scope]] = {}
        self.instances: list[tuple] = []
        self.open: list[tuple[str, str]] = []
        self.seen: dict[str, int] = {}
        self.system, self.has_assembly, self.last = None, False, None

    def take(self, card):
        """One keyword with its data."""
        keyword = self.last = card.keyword
        self.seen[keyword] = self.seen.get(keyword, 0) + 1
        if keyword in _REFUSED:
            raise MeshError(
                f"{card.where}: *{keyword} {_REFUSED[keyword]}, which is not read; write the model out in full (in "
                "Abaqus/CAE: import it and export the part again) or convert it"
            )
        if keyword in _ENDS:
            self.open.append((_ENDS[keyword], card.where))
        elif keyword.startswith("END ") and self.open:
            self._close(card)
        action = getattr(self, "_" + keyword.replace(" ", "_").lower(), None)
        if action is not None:
            action(card)

    def _close(self, card):
        expected, where = self.open.pop()
        if card.keyword != expected:
            raise MeshError(f"{card.where}: *{card.keyword} stands where *{expected} has to end what began at {where}")
        if (card.keyword == "END INSTANCE" and self.has_assembly) or card.keyword in ("END PART", "END ASSEMBLY"):
            self.scope = self.model

    def _part(self, card):
        name = card.name("NAME")
        if name.upper() in self.parts:
            raise MeshError(f"{card.where}: a second part is called {name}; rename one of them")
        self.scope, self.system = Scope(), None
        self.parts[name.upper()] = (name, self.scope)

    def _assembly(self, card):
        self.has_assembly, self.scope = True, self.model

    def _instance(self, card):
        if "LIBRARY" in card.parameters:
            raise MeshError(f"{card.where}: the instance is imported from results (LIBRARY=); write its part out")
        self.scope, self.system = Scope(), None
        self.instances.append((card.name("NAME"), card.name("PART"), card.numbers(7), self.scope, card.where))

    def _system(self, card):
        self.system = None
        values = [card.numbers(6)[0], card.numbers(3)[1]] if len(card.data) > 1 else [*card.numbers(6)[:1]]
        if values:
            self.system = frame_of_points(card.where, values[0][:3], values[0][3:], values[1] if values[1:] else None)

    def _node(self, card):
        rows = self._with_input(card).numbers(4)
        kind = card.parameters.get("SYSTEM", "").upper()
        if kind not in _SYSTEMS:
            raise MeshError(f"{card.where}: *NODE has SYSTEM={kind}; known are R, C and S")
        points = cartesian(_SYSTEMS[kind], rows[:, 1:])
        if self.system is not None:
            origin, axes = self.system
            points = origin + points @ axes
        self.scope.add_nodes(rows[:, 0].astype(np.int64), points, card.parameters.get("NSET"))

    def _element(self, card):
        kind = card.name("TYPE").upper()
        _, count = kind_and_nodes(kind)
        numbers, nodes = _element_rows(self._with_input(card), count)
        self.scope.add_elements(Elements(kind, numbers, nodes, card.where), card.parameters.get("ELSET"))

    def _ngen(self, card):
        self.scope.add_nodes(*generate_between(card, self.scope), card.parameters.get("NSET"))

    def _nfill(self, card):
        self.scope.add_nodes(*generate_fill(card, self.scope), card.parameters.get("NSET"))

    def _elgen(self, card):
        for elements in generate_elements(card, self.scope):
            self.scope.add_elements(elements, card.parameters.get("ELSET"))

    def _elcopy(self, card):
        for elements in copy_elements(card, self.scope):
            self.scope.add_elements(elements, card.parameters.get("NEW SET"))

    def _nset(self, card):
        self._set(card, self.scope.node_sets, "NSET")

    def _elset(self, card):
        self._set(card, self.scope.element_sets, "ELSET")

    def _set(self, card, sets, parameter):
        name, instance = card.name(parameter), card.parameters.get("INSTANCE")
        if "INTERNAL" in card.parameters:
            self.scope.internal.add((parameter, name.upper()))
        members = []
        if parameter == "NSET" and card.parameters.get("ELSET"):
            members.append(("ELSET", card.parameters["ELSET"]))
        if "GENERATE" in card.parameters:
            members += [_generated(card, row) for row in card.numbers(3, np.int64)]
        else:
            members += [value for row in self._with_input(card).fields() for value in row if value]
        self.scope.add_set(sets, name, members, instance)

    def _surface(self, card):
        name = card.name("NAME")
        self.scope.names.setdefault(name.upper(), name)
        surface = (card.parameters.get("TYPE", "ELEMENT").upper(), list(card.fields()), card)
        self.scope.surfaces.setdefault(name.upper(), []).append(surface)

    def _with_input(self, card):
        """The keyword with the lines of its ``INPUT=`` file before its own."""
        if card.parameters.get("INPUT"):
            path = data_file(card.parameters["INPUT"], self.path.parent, card.where)
            lines = [line.strip() for line in text_lines(path)]
            card.data = [line for line in lines if line and not line.startswith("**")] + card.data
        return card

    def contents(self):
        """All that was taken, placed in the assembly."""
        if self.open:
            expected, where = self.open[-1]
            raise MeshError(f"{self.path} ends before the *{expected} that belongs to {where}; export it again")
        remarks, warnings = [], []
        placed = [self._place(*instance) for instance in self.instances]
        if self.parts:
            placed += self._parts_without_instance(remarks, warnings)
        placed.insert(0, Placed("", self.model, *merge_points(self.path, "node", *self.model.all_nodes())))
        contents = self._assembled(placed, remarks, warnings)
        contents.has_end = bool(self.parts) or self.last not in ("NODE", "ELEMENT")
        add_sets(contents, placed)
        Surfaces(contents, placed).add()
        for keyword in _CHANGING:
            if keyword in self.seen:
                contents.warnings.append(f"*{keyword} {_CHANGING[keyword]}; the mesh is read as it is before")
        joining = [f"*{keyword}" for keyword in _JOINING if keyword in self.seen]
        if joining:
            contents.remarks.append(f"{listed(joining, 10)} join parts in Abaqus, but not in the mesh")
        if "TRANSFORM" in self.seen:
            contents.remarks.append("*TRANSFORM turns directions of loads and supports; the mesh does not depend on it")
        return contents

    def _parts_without_instance(self, remarks, warnings):
        used = {part.upper() for _, part, *_ in self.instances}
        unused = {name: scope for key, (name, scope) in self.parts.items() if key not in used}
        if self.has_assembly:
            if unused:
                warnings.append(f"parts without an instance are left out: {listed(unused)}")
            return []
        remarks.append(f"there is no *ASSEMBLY; each part is taken once: {listed(unused)}")
        return [Placed(n, s, *merge_points(self.path, "node", *s.all_nodes())) for n, s in unused.items()]

    def _place(self, name, part, rows, scope, where):
        if part.upper() not in self.parts:
            raise MeshError(f"{where}: there is no part {part} (parts: {listed(n for n, _ in self.parts.values())})")
        scope = scope if scope.nodes else self.parts[part.upper()][1]
        numbers, points = merge_points(self.path, "node", *scope.all_nodes())
        if len(rows):
            points = points + rows[0, :3]
        if len(rows) > 1:
            points = rotated(points, rows[1, :3], rows[1, 3:6], np.radians(rows[1, 6]))
        return Placed(name, scope, numbers, points)

    def _assembled(self, placed, remarks, warnings):
        blocks, left = [], {}
        for instance in placed:
            instance.first_point = sum(len(other.points) for other in placed[: placed.index(instance)])
            instance.first_cell = sum(len(block.nodes) for block in blocks)
            kept = self._blocks(instance, left)
            numbers = [block.numbers for block in kept]
            instance.element_numbers = np.concatenate(numbers) if numbers else instance.element_numbers
            self._check_elements(instance)
            blocks += kept
        if left:
            warnings.append(f"elements of types that are no part of a solid mesh are left out: {counted(left)}")
        warnings += warnings_of_types(part.type for instance in placed for part in instance.scope.elements)
        points = np.concatenate([instance.points for instance in placed])
        return MeshContents(
            points,
            blocks or [CellBlock("other", np.empty((0, 1), int))],
            remarks=remarks,
            warnings=warnings,
            program="abaqus",
        )

    def _blocks(self, instance, left):
        blocks = []
        for elements in instance.scope.elements:
            kind, _ = kind_and_nodes(elements.type)
            place = positions(elements.nodes, instance.numbers)
            if kind == "other":
                left[elements.type] = left.get(elements.type, 0) + len(elements.numbers)
            elif (place < 0).any():
                row, column = np.argwhere(place < 0)[0]
                raise MeshError(
                    f"{elements.where}: element {elements.numbers[row]} refers to point {elements.nodes[row, column]}, "
                    "which is not defined; export the mesh again"
                )
            blocks.append(CellBlock(kind, place + instance.first_point, elements.numbers))
        return blocks

    def _check_elements(self, instance):
        unique, counts = np.unique(instance.element_numbers, return_counts=True)
        if (counts > 1).any():
            of = f" in {instance.name}" if instance.name else ""
            raise MeshError(
                f"{self.path} defines element {unique[counts > 1][0]} twice{of}; "
                f"{np.sum(counts > 1)} are: number the elements differently, or write each part as one of its own"
            )


def _generated(card, row):
    first, last, step = row
    step = step or 1
    if step < 0 or (last - first) % step:
        raise MeshError(f"{card.where}: GENERATE from {first} does not meet {last} in steps of {step}")
    return np.arange(first, last + 1, step)


def _element_rows(card, count):
    """Numbers (n,) and nodes (n, count) of elements, whose lists of nodes may go over several lines."""
    try:
        rows = [[int(value) for value in row if value] for row in card.fields()]
    except ValueError as error:
        raise MeshError(f"{card.where}: an element is no list of numbers: {error}") from error
    if count is None:
        # a type of unknown size: a comma at its end continues a line
        ends = [not line.rstrip().endswith(",") for line in card.data]
        rows = _joined_rows(rows, ends)
        count = max(map(len, rows), default=1) - 1
        rows = [(row + row[-1:] * count)[: count + 1] for row in rows]
    if any(len(row) != count + 1 for row in rows):
        rows = _rows_of(card, rows, count + 1)
    table = np.array(rows, dtype=np.int64).reshape(-1, count + 1)
    return table[:, 0], table[:, 1:]


def _joined_rows(rows, ends):
    joined, current = [], []
    for row, end in zip(rows, ends, strict=True):
        current = current + row
        if end:
            joined.append(current)
            current = []
    return [*joined, current] if current else joined


def _rows_of(card, rows, length):
    """Rows of one length, put together from lines of any."""
    joined, current = [], []
    for row in [*rows, None]:
        if len(current) == length:
            joined.append(current)
            current = []
        if row is None and not current:
            return joined
        if row is None or len(current) + len(row) > length:
            short = current or row
            raise MeshError(
                f"{card.where}: element {short[0]} of type {card.parameters['TYPE']} has {len(short) - 1} nodes, "
                f"not {length - 1}; the file may be cut off, export it again"
            )
        current = current + row
    return joined
