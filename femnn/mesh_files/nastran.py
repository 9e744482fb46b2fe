"""Nastran bulk data (``.bdf``, ``.nas``, ``.fem``, ``.dat``): grids in any coordinate system, solids, shells.

meshio's reader takes small fields with marked continuations, and passes over coordinate systems, so this one is of our
own. It follows the MSC and NX Nastran Quick Reference Guides.
"""

import re

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import CellBlock, MeshContents, listed, merge_points, positions
from femnn.mesh_files.frames import cartesian, frame_of_axis
from femnn.mesh_files.nastran_cards import read_bulk
from femnn.mesh_files.node_orders import MISSING

# Elements: the kind of cell by how many nodes are given.
_CELLS = {
    "CHEXA": {8: "hexahedron", 20: "hexahedron20"},
    "CPENTA": {6: "wedge", 15: "wedge15"},
    "CTETRA": {4: "tetra", 10: "tetra10"},
    "CPYRAM": {5: "pyramid", 13: "pyramid13"},
    "CPYRA": {5: "pyramid", 13: "pyramid13"},
    "CQUAD4": {4: "quad"},
    "CQUADR": {4: "quad"},
    "CSHEAR": {4: "quad"},
    "CTRIA3": {3: "triangle"},
    "CTRIAR": {3: "triangle"},
    "CQUAD8": {4: "quad", 8: "quad8"},
    "CTRIA6": {6: "triangle6"},
    "CBAR": {2: "line"},
    "CBEAM": {2: "line"},
    "CROD": {2: "line"},
}
# Cards that begin like elements but are no solids or shells: masses, springs, joints, conditions.
_NO_SOLIDS = re.compile(
    "C(ONM|MASS|ELAS|BUSH|DAMP|GAP|ONROD|TUBE|VISC|RAC|LOAD|REEP|SUPER|WELD|FAST|SEAM|AERO|BARAO|ONV|HBDY|SET|YJOIN|METHOD"
    "|BEAM3|BEND|AABSF|BARAO|NTHPT|RAKTP|ONTACT|ONSM)"
)
_KINDS = {"C": "cylindrical", "R": "rectangular", "S": "polar"}


def read_nastran(path) -> MeshContents:
    """Contents of a Nastran file; the cells of each property are a set ``property_NUMBER``.

    Raises
    ------
    MeshError
        If the file is cut off, if it has coordinate systems or solids of a kind that is not read, or if a grid is
        defined twice.
    """
    cards, has_end = read_bulk(path)
    for card in cards:
        if re.match(r"CORD3|CHEX(?!A$)|CIHEX|CHEXA.", card.name):
            raise MeshError(f"{card.where}: {card.name} is not read; write the model with CORD1*, CORD2* and CHEXA")
    grids = [card for card in cards if card.name == "GRID"]
    numbers = np.array([card.integer(1) for card in grids], dtype=np.int64)
    systems = _Systems(path, cards, grids, numbers)
    numbers, points = merge_points(path, "GRID", numbers, systems.points())
    blocks, sets = _cells(cards, numbers)
    contents = MeshContents(points, blocks, {f"property_{number}": cells for number, cells in sets.items()})
    contents.program = "nastran"
    known = {*_CELLS, "GRID", "GRDSET", *(card.name for card in cards if card.name.startswith("CORD"))}
    contents.has_end = has_end
    others = {card.name for card in cards} - known
    elements = {name for name in others if name.startswith("C") and not _NO_SOLIDS.match(name)}
    if elements:
        contents.warnings.append(
            f"cards that are not known and may be elements are left out: {listed(sorted(elements), 10)}"
        )
    if others - elements:
        contents.remarks.append(
            f"cards that do not make the mesh are passed over: {listed(sorted(others - elements), 10)}"
        )
    return contents


def _cells(cards, grid_numbers):
    rows, sets = {}, {}
    for card in cards:
        if card.name in _CELLS:
            kind, nodes = _kind_and_nodes(card)
            rows.setdefault(kind, []).append((card, nodes))
    blocks, first = [], 0
    for kind, cells in rows.items():
        nodes = np.array([nodes for _, nodes in cells], dtype=np.int64)
        place = np.where(nodes == 0, MISSING, positions(nodes, grid_numbers))
        if (place == -1).any():
            row, column = np.argwhere(place == -1)[0]
            card = cells[row][0]
            raise MeshError(
                f"{card.where}: {card.name} {card.text(1)} refers to point {nodes[row, column]}, for which there is no "
                "GRID; export the mesh again"
            )
        numbers = np.array([card.integer(1) for card, _ in cells])
        blocks.append(CellBlock(kind, place, numbers))
        for k, (card, _) in enumerate(cells):
            # the property of an element is by default the one of its own number
            sets.setdefault(card.integer(2, int(numbers[k])), []).append(first + k)
        first += len(cells)
    _check_numbers(blocks, rows)
    return blocks or [CellBlock("other", np.empty((0, 1), dtype=int))], sets


def _check_numbers(blocks, rows):
    numbers = np.concatenate([block.numbers for block in blocks]) if blocks else np.empty(0)
    unique, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        number = unique[counts > 1][0]
        card = next(card for cells in rows.values() for card, _ in cells if card.integer(1) == number)
        raise MeshError(f"{card.where}: element {number} is defined twice; number the elements differently")


def _kind_and_nodes(card):
    kinds = _CELLS[card.name]
    texts = [card.text(k) for k in range(3, 3 + max(kinds))]
    count = sum(map(bool, texts))
    least = min(kinds)
    if count == least and all(texts[:least]):
        return kinds[least], [card.integer(k) for k in range(3, 3 + least)]
    if count > least and all(texts[:least]):
        # quadratic: a node between vertices may be left out
        return kinds[max(kinds)], [card.integer(k, 0) for k in range(3, 3 + max(kinds))]
    raise MeshError(
        f"{card.where}: {card.name} {card.text(1)} has {count} of at least {least} nodes; the file may be cut off, "
        "export it again"
    )


class _Systems:
    """Coordinate systems, and the grids in them."""

    def __init__(self, path, cards, grids, numbers) -> None:
        self.path, self.grids, self.numbers = path, grids, numbers
        self.cards, self.frames = {}, {0: ("rectangular", np.zeros(3), np.eye(3))}
        for card in cards:
            if card.name.startswith("CORD"):
                for shift in (0, 4) if card.name[4] == "1" else (0,):
                    if card.text(1 + shift):
                        self.cards[card.integer(1 + shift)] = (card, shift)
        self.default = next((card.integer(2, 0) for card in cards if card.name == "GRDSET"), 0)

    def points(self):
        """Coordinates of all grids in the basic system, (n, 3)."""
        of = np.array([card.integer(2, self.default) for card in self.grids], dtype=np.int64)
        coordinates = np.array([[card.real(k) for k in (3, 4, 5)] for card in self.grids]).reshape(-1, 3)
        points = np.empty((len(of), 3))
        for system in np.unique(of):
            points[of == system] = self.to_basic(int(system), coordinates[of == system])
        return points

    def to_basic(self, system, coordinates, within=()):
        """Coordinates of a system as those of the basic one."""
        kind, origin, axes = self._frame(system, within)
        return origin + cartesian(kind, coordinates) @ axes

    def _frame(self, system, within):
        if system in self.frames:
            return self.frames[system]
        if system not in self.cards:
            raise MeshError(f"{self.path} uses coordinate system {system}, which it does not define")
        card, shift = self.cards[system]
        if system in within:
            raise MeshError(f"{card.where}: coordinate system {system} is defined by itself")
        within = (*within, system)
        if card.name[4] == "1":
            corners = np.array([self._grid(card, card.integer(k + shift), within) for k in (2, 3, 4)])
        else:
            values = np.array([card.real(k) for k in range(3, 12)]).reshape(3, 3)
            corners = self.to_basic(card.integer(2, 0), values, within)
        self.frames[system] = (_KINDS[card.name[5]], *frame_of_axis(card.where, *corners))
        return self.frames[system]

    def _grid(self, card, number, within):
        place = positions(np.array([number]), self.numbers)[0]
        if place < 0:
            raise MeshError(f"{card.where}: {card.name} refers to grid {number}, which does not exist")
        grid = self.grids[place]
        return self.to_basic(grid.integer(2, self.default), np.array([[grid.real(k) for k in (3, 4, 5)]]), within)[0]
