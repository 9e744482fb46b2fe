"""Gmsh's own files (``.msh``), versions 2.2, 4.0 and 4.1, text and binary, with all their physical groups.

meshio's reader keeps one group of each element and one dimension of each name, so this one is of our own. It follows
the description of the formats in the Gmsh reference manual.
"""

import re
from pathlib import Path

import meshio
import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.byte_cursor import Cursor
from femnn.mesh_files.contents import CellBlock, MeshContents, merge_points, node_count, positions

_KINDS = meshio.gmsh.gmsh_to_meshio_type
_GROUPS = {0: "physical_point", 1: "physical_curve", 2: "physical_surface", 3: "physical_volume"}


def read_gmsh(path) -> MeshContents:
    """Contents of a Gmsh file; physical groups without a name are called ``physical_volume_3`` and the like.

    Raises
    ------
    MeshError
        If the file is cut off, holds other numbers of nodes or elements than it claims, or is of another version.
    """
    return _Reader(Path(path)).contents()


class _Section:
    """The numbers of one section, one after the other, as text or binary."""

    def __init__(self, cursor, name) -> None:
        self.cursor, self.name = cursor, name
        if not cursor.binary:
            end = _end(cursor, name)
            self.words, self.used = cursor.data[cursor.place : end].split(), 0

    def take(self, count, kind):
        """The next ``count`` numbers: ``i4``, ``f8``, or ``u8`` for sizes."""
        if self.cursor.binary:
            return self.cursor.raw(int(count), kind, f"${self.name}")
        words = self.words[self.used : self.used + int(count)]
        self.used += int(count)
        try:
            values = np.array(words, dtype="S32").astype(float if kind == "f8" else np.int64)
        except (ValueError, OverflowError) as error:
            raise _damaged(self.cursor.path, self.name) from error
        if len(words) != count:
            raise _damaged(self.cursor.path, self.name)
        return values

    def one(self, kind):
        """The next number as an integer."""
        return int(self.take(1, kind)[0])

    def close(self):
        """The section has to end here."""
        if not self.cursor.binary:
            if self.used != len(self.words):
                raise _damaged(self.cursor.path, self.name)
            self.cursor.place = _end(self.cursor, self.name)
        if self.cursor.next_line() != f"$End{self.name}":
            raise _damaged(self.cursor.path, self.name)


def _end(cursor, name):
    end = cursor.data.find(f"$End{name}".encode(), cursor.place)
    if end < 0:
        raise MeshError(f"{cursor.path} ends within ${name}; it was cut off, export it again")
    return end


def _damaged(path, name):
    return MeshError(
        f"{path} holds other numbers in ${name} than it claims; it was cut off or damaged, export it again"
    )


class _Reader:
    def __init__(self, path) -> None:
        self.path, self.cursor = path, Cursor(path, path.read_bytes())
        self.names: dict[tuple[int, int], str] = {}
        self.physicals: dict[tuple[int, int], list[int]] = {}
        self.version = None
        self.numbers = self.points = self.cells = None
        self.remarks: list[str] = []

    def contents(self):
        while True:
            line = self.cursor.next_line()
            if not line:
                break
            if not line.startswith("$"):
                raise MeshError(f"{self.path} has {line[:40]!r} where a section ($...) has to begin; export it again")
            self._section(line[1:])
        missing = next((n for n, v in (("Nodes", self.numbers), ("Elements", self.cells)) if v is None), None)
        if missing:
            raise MeshError(f"{self.path} has no ${missing}; it was cut off or holds no mesh, export it again")
        return self._assembled()

    def _section(self, name):
        if name == "MeshFormat":
            return self._format()
        if self.version is None and name in ("Nodes", "Elements", "Entities"):
            raise MeshError(f"{self.path} has ${name} before $MeshFormat; export it as version 4.1")
        action = {
            "PhysicalNames": self._physical_names,
            "Entities": self._entities,
            "PartitionedEntities": self._partitioned_entities,
            "Nodes": self._nodes,
            "Elements": self._elements,
        }.get(name, self._skip)
        return action(name)

    def _skip(self, name):
        if name == "Periodic":
            self.remarks.append("periodic links ($Periodic) are left out")
        self.cursor.place = _end(self.cursor, name)
        self.cursor.line()

    def _format(self):
        words = self.cursor.line().split()
        if len(words) != 3 or words[0] not in ("2", "2.1", "2.2", "4.0", "4", "4.1"):
            raise MeshError(
                f"{self.path} is a Gmsh file of version {' '.join(words[:1]) or 'none'}; export it as 4.1 or 2.2 "
                "(gmsh OLD.msh -save -format msh41 -o NEW.msh)"
            )
        self.version, self.size = float(words[0]), f"u{words[2]}"
        # Gmsh writes 4 for 4.0, other programs for 4.1, which counts four things where 4.0 counts two
        counts = re.search(rb"\$Nodes\s*\n([^\n]*)", self.cursor.data)
        if words[0] == "4" and words[1] == "0" and counts and len(counts[1].split()) == 4:
            self.version = 4.1
        if words[1] == "1":
            one = self.cursor.data[self.cursor.place : self.cursor.place + 4]
            self.cursor.place += 4
            if one not in (b"\x01\0\0\0", b"\0\0\0\x01"):
                raise MeshError(f"{self.path} is binary, but has no mark of its byte order; export it again")
            self.cursor.binary, self.cursor.order = True, "<" if one[0] else ">"
        if self.cursor.next_line() != "$EndMeshFormat":
            raise _damaged(self.path, "MeshFormat")

    def _physical_names(self, name):
        end = _end(self.cursor, name)
        lines = self.cursor.data[self.cursor.place : end].decode("utf-8", "replace").strip().splitlines()
        entries = [re.fullmatch(r'\s*(\d)\s+(-?\d+)\s+"(.*)"\s*', line) for line in lines[1:]]
        if not lines or not lines[0].strip().isdigit() or int(lines[0]) != len(entries) or not all(entries):
            raise _damaged(self.path, name)
        self.names = {(int(match[1]), int(match[2])): match[3] for match in entries}
        self.cursor.place = end
        self.cursor.line()

    def _entities(self, name):
        section, size = _Section(self.cursor, name), self.size
        for dim, count in enumerate(section.take(4, size)):
            for _ in range(int(count)):
                tag = section.one("i4")
                section.take(3 if dim == 0 and self.version == 4.1 else 6, "f8")
                self._groups(section, dim, tag)
        section.close()

    def _partitioned_entities(self, name):
        if self.version != 4.1:
            raise MeshError(f"{self.path} is partitioned; export it without partitions, or as version 4.1")
        section, size = _Section(self.cursor, name), self.size
        section.one(size)
        section.take(2 * section.one(size), "i4")
        for dim, count in enumerate(section.take(4, size)):
            for _ in range(int(count)):
                tag = section.take(3, "i4")[0]
                section.take(section.one(size), "i4")
                section.take(3 if dim == 0 else 6, "f8")
                self._groups(section, dim, int(tag))
        section.close()

    def _groups(self, section, dim, tag):
        # a negative number turns the orientation of the entity within the group
        self.physicals[dim, tag] = np.abs(section.take(section.one(self.size), "i4"))
        if dim > 0:
            section.take(section.one(self.size), "i4")

    def _nodes(self, name):
        if self.version < 4:
            count = self._count(name)
            if self.cursor.binary:
                rows = self.cursor.raw(count, [("number", "i4"), ("x", "f8", 3)], "$Nodes")
                self.numbers, self.points = rows["number"].astype(np.int64), rows["x"]
                return self._closed(name)
            section = _Section(self.cursor, name)
            rows = section.take(4 * count, "f8").reshape(-1, 4)
            self.numbers, self.points = rows[:, 0].astype(np.int64), rows[:, 1:]
            return section.close()
        section, numbers, points = _Section(self.cursor, name), [], []
        blocks, total = (int(value) for value in section.take(4 if self.version == 4.1 else 2, self.size)[:2])
        for _ in range(blocks):
            head = section.take(3, "i4")
            count = section.one(self.size)
            read = self._nodes_41 if self.version == 4.1 else self._nodes_40
            block = read(section, count, 3 + (int(head[0 if self.version == 4.1 else 1]) if head[2] else 0))
            numbers.append(block[0])
            points.append(block[1])
        self.numbers = np.concatenate([np.empty(0, dtype=np.int64), *numbers])
        self.points = np.concatenate([np.empty((0, 3)), *points])
        if len(self.numbers) != total:
            raise _damaged(self.path, name)
        return section.close()

    def _nodes_41(self, section, count, width):
        numbers = section.take(count, self.size).astype(np.int64)
        return numbers, section.take(count * width, "f8").reshape(-1, width)[:, :3]

    def _nodes_40(self, section, count, width):
        rows = [(section.one("i4"), section.take(width, "f8")[:3]) for _ in range(count)]
        numbers = np.array([number for number, _ in rows], dtype=np.int64)
        return numbers, np.array([point for _, point in rows]).reshape(-1, 3)

    def _count(self, name):
        text = self.cursor.next_line()
        if not text.isdigit():
            raise _damaged(self.path, name)
        return int(text)

    def _closed(self, name):
        if self.cursor.next_line() != f"$End{name}":
            raise _damaged(self.path, name)

    def _elements(self, name):
        # kind: list of (numbers, physical groups, nodes)
        self.cells = {}
        if self.version >= 4:
            return self._elements_4(name)
        count = self._count(name)
        read = self._elements_22_binary if self.cursor.binary else self._elements_22
        if read(count) != count:
            raise _damaged(self.path, name)
        return self._closed(name)

    def _elements_22(self, _):
        end = _end(self.cursor, "Elements")
        lines = self.cursor.data[self.cursor.place : end].strip().splitlines()
        rows = {}
        for line in lines:
            try:
                row = list(map(int, line.split()))
                kind, tags = self._kind(row[1]), row[2]
                if len(row) != 3 + tags + node_count(kind):
                    raise ValueError
            except (ValueError, IndexError) as error:
                if isinstance(error, MeshError):
                    raise
                raise MeshError(
                    f"{self.path} has the damaged element {line[:60].decode('latin-1')!r}; export it again"
                ) from error
            rows.setdefault(kind, []).append((row[0], abs(row[3]) if tags else 0, row[3 + tags :]))
        for kind, elements in rows.items():
            numbers, groups, nodes = (np.array(column, dtype=np.int64) for column in zip(*elements, strict=True))
            self._add(kind, numbers, [groups], nodes)
        self.cursor.place = end
        return len(lines)

    def _elements_22_binary(self, count):
        done = 0
        while done < count:
            code, here, tags = (int(value) for value in self.cursor.raw(3, "i4", "$Elements"))
            kind = self._kind(code)
            width = 1 + tags + node_count(kind)
            rows = self.cursor.raw(here * width, "i4", "$Elements").reshape(here, width).astype(np.int64)
            groups = np.abs(rows[:, 1]) if tags else np.zeros(here, dtype=np.int64)
            self._add(kind, rows[:, 0], [groups], rows[:, 1 + tags :])
            done += max(here, 1)
        return done

    def _elements_4(self, name):
        section = _Section(self.cursor, name)
        new = self.version == 4.1
        blocks, total = (int(value) for value in section.take(4 if new else 2, self.size)[:2])
        for _ in range(blocks):
            head = section.take(3, "i4")
            dim, tag = (int(head[0]), int(head[1])) if new else (int(head[1]), int(head[0]))
            kind, count = self._kind(int(head[2])), section.one(self.size)
            width = 1 + node_count(kind)
            rows = section.take(count * width, self.size if new else "i4").reshape(-1, width).astype(np.int64)
            groups = [np.full(count, group) for group in self.physicals.get((dim, tag), [])]
            self._add(kind, rows[:, 0], groups, rows[:, 1:])
            total -= count
        if total:
            raise _damaged(self.path, name)
        return section.close()

    def _kind(self, code):
        if code not in _KINDS:
            raise MeshError(f"{self.path} has elements of Gmsh's type {code}, which is not known; mesh with order 1")
        return _KINDS[code]

    def _add(self, kind, numbers, groups, nodes):
        self.cells.setdefault(kind, []).append((numbers, groups, nodes))

    def _assembled(self):
        self.numbers, self.points = merge_points(self.path, "node", self.numbers, self.points)
        blocks, members, first = [], {}, 0
        for kind, parts in self.cells.items():
            dim = 0 if kind == "vertex" else 1 if kind.startswith("line") else 3
            dim = 2 if kind.startswith(("triangle", "quad")) else dim
            start = first
            for _, groups, nodes in parts:
                for column in groups:
                    for group in np.unique(column[column != 0]):
                        members.setdefault((dim, int(group)), []).append(start + np.flatnonzero(column == group))
                start += len(nodes)
            numbers = np.concatenate([part[0] for part in parts])
            node_numbers = np.concatenate([part[2] for part in parts])
            nodes = positions(node_numbers, self.numbers)
            if (nodes < 0).any():
                row, column = np.argwhere(nodes < 0)[0]
                raise MeshError(
                    f"{self.path}: element {numbers[row]} refers to point {node_numbers[row, column]}, which is not "
                    "among its nodes; export the mesh again"
                )
            blocks.append(CellBlock(kind, nodes, numbers))
            first = start
        contents = MeshContents(self.points, blocks, remarks=self.remarks)
        for key, cells in members.items():
            name = self.names.get(key) or f"{_GROUPS[key[0]]}_{key[1]}"
            known = contents.cell_sets.get(name, np.empty(0, dtype=np.int64))
            contents.cell_sets[name] = np.concatenate([known, *cells])
        for key in self.names:
            if key not in members:
                contents.remarks.append(f"the physical group {self.names[key]} has no elements")
        return _without_repetitions(contents) if self.version < 4 else contents


def _without_repetitions(contents):
    """Each volume cell once, though version 2.2 writes it once for each of its physical groups."""
    first = 0
    for block in contents.blocks:
        count = len(block.nodes)
        if block.is_volume and len(contents.cell_sets) > 1:
            _, kept, inverse = np.unique(block.nodes, axis=0, return_index=True, return_inverse=True)
            same = kept[inverse.ravel()]
            repeated = (same != np.arange(count)) & _in_other_groups(contents, same, first)
            if repeated.any():
                _merge(contents, block, np.where(repeated, same, np.arange(count)), repeated, first)
                count -= int(repeated.sum())
        first += count
    return contents


def _in_other_groups(contents, same, first):
    """True where a cell is in no group together with the first of its nodes."""
    together = np.zeros(len(same), dtype=bool)
    for cells in contents.cell_sets.values():
        inside = np.zeros(len(same), dtype=bool)
        inside[cells[(cells >= first) & (cells < first + len(same))] - first] = True
        together |= inside & inside[same]
    return ~together


def _merge(contents, block, same, repeated, first):
    contents.remarks.append(
        f"{repeated.sum():,} {block.kind} cells that are written once for each of their groups are taken once"
    )
    place = (np.cumsum(~repeated) - 1)[same]
    block.nodes, block.numbers = block.nodes[~repeated], block.numbers[~repeated]
    for name, cells in contents.cell_sets.items():
        inside = (cells >= first) & (cells < first + len(same))
        after = cells >= first + len(same)
        contents.cell_sets[name] = np.concatenate(
            [cells[~inside & ~after], first + np.unique(place[cells[inside] - first]), cells[after] - repeated.sum()]
        )
