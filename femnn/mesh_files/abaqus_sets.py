"""Sets and surfaces of an Abaqus model, with the instances they belong to, as sets of cells, points and faces."""

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import listed, positions

#: Vertices of the faces S1 to S6 of a hexahedron, counted from 0 (Abaqus Analysis User's Guide, "Solid elements").
FACES = np.array([[0, 1, 2, 3], [4, 7, 6, 5], [0, 4, 5, 1], [1, 5, 6, 2], [2, 6, 7, 3], [3, 7, 4, 0]])
#: Vertices of the edges S1 to S4 of a quadrilateral.
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
_LABELS = ("S1", "S2", "S3", "S4", "S5", "S6")


class Members:
    """Positions of the members of sets, which may name other sets, also of other instances."""

    def __init__(self, contents, placed) -> None:
        self.contents, self.placed = contents, placed
        self.by_name = {instance.name.upper(): instance for instance in placed if instance.name}

    def of(self, home, what, name, seen=()):
        """Positions of cells or points (``what``: ELSET or NSET) of a set of ``home``, or of ``INSTANCE.NAME``."""
        home, name = self.resolve(home, name)
        sets = home.scope.element_sets if what == "ELSET" else home.scope.node_sets
        if name.upper() not in sets or (home.name, name.upper()) in seen:
            raise KeyError(name)
        places = [np.empty(0, dtype=np.int64)]
        for instance, entries in sets[name.upper()]:
            target = self.by_name.get(instance.upper()) if instance else home
            if target is None:
                raise KeyError(f"{instance}.{name}")
            numbers = []
            for entry in [entries] if isinstance(entries, np.ndarray) else entries:
                if isinstance(entry, str) and not entry.lstrip("-").isdigit():
                    places.append(self._named(target, what, entry, (*seen, (home.name, name.upper()))))
                elif isinstance(entry, tuple):
                    places.append(self._nodes_of(target, entry[1]))
                else:
                    numbers.append(np.atleast_1d(np.asarray(entry, dtype=np.int64)))
            if numbers:
                places.append(self.numbered(target, what, np.concatenate(numbers), name))
        return np.unique(np.concatenate(places))

    def resolve(self, home, name):
        """The instance and the bare name of ``INSTANCE.NAME``; ``home`` where the name is a plain one."""
        instance, _, plain = name.partition(".")
        return (self.by_name[instance.upper()], plain) if plain and instance.upper() in self.by_name else (home, name)

    def _named(self, target, what, entry, seen):
        home, plain = self.resolve(target, entry)
        if plain.isdigit():
            return self.numbered(home, what, np.array([int(plain)]), entry)
        return self.of(home, what, plain, seen)

    def numbered(self, target, what, numbers, name):
        """Positions of cells or points by their numbers in the file."""
        known, first = target.element_numbers, target.first_cell
        if what == "NSET":
            known, first = target.numbers, target.first_point
        place = positions(numbers, known)
        if (place < 0).any():
            kind = "elements" if what == "ELSET" else "nodes"
            missing = numbers[place < 0]
            self.contents.warnings.append(
                f"set {name} names {len(missing):,} {kind} that do not exist ({listed(missing.tolist())})"
            )
        return place[place >= 0] + first

    def _nodes_of(self, home, element_set):
        cells = self.of(home, "ELSET", element_set)
        start, nodes = 0, [np.empty(0, dtype=np.int64)]
        for block in self.contents.blocks:
            inside = cells[(cells >= start) & (cells < start + len(block.nodes))] - start
            nodes.append(block.nodes[inside].ravel())
            start += len(block.nodes)
        return np.unique(np.concatenate(nodes))


def public_names(placed, of_scope):
    """Sets to name, as (instance, key, name): ``SET`` where that is unique, else ``INSTANCE.SET``."""
    items = [(home, key) for home in placed for key in of_scope(home.scope)]
    keys = [key for _, key in items]
    for home, key in items:
        name = home.scope.names[key]
        yield home, key, f"{home.name}.{name}" if home.name and keys.count(key) > 1 else name


def add_sets(contents, placed):
    """Give the contents all sets of elements and nodes but those that Abaqus calls internal."""
    members = Members(contents, placed)
    for what, target in (("ELSET", contents.cell_sets), ("NSET", contents.point_sets)):

        def visible(scope, what=what):
            sets = scope.element_sets if what == "ELSET" else scope.node_sets
            return [key for key in sets if (what, key) not in scope.internal]

        for home, key, name in public_names(placed, visible):
            try:
                target[name] = members.of(home, what, key)
            except KeyError as error:
                contents.warnings.append(f"set {name} names {error.args[0]}, which does not exist, and is left out")


class Surfaces:
    """Surfaces: faces of elements, free faces of sets of elements, or nodes."""

    def __init__(self, contents, placed) -> None:
        self.contents, self.placed, self.members = contents, placed, Members(contents, placed)
        self.starts = np.cumsum([0, *(len(block.nodes) for block in contents.blocks)])

    def add(self):
        """Give the contents all surfaces."""
        for home, key, name in public_names(self.placed, lambda scope: scope.surfaces):
            for kind, rows, card in home.scope.surfaces[key]:
                if "COMBINE" in card.parameters or kind not in ("ELEMENT", "NODE"):
                    what = "COMBINE=" + card.parameters["COMBINE"] if "COMBINE" in card.parameters else "TYPE=" + kind
                    self.contents.warnings.append(f"surface {name} with {what} is not read and left out")
                    continue
                try:
                    self._add(home, name, kind, rows)
                except KeyError as error:
                    self.contents.warnings.append(
                        f"surface {name} names {error.args[0]}, which does not exist, and is left out"
                    )

    def _add(self, home, name, kind, rows):
        for row in rows:
            if not row[0]:
                continue
            if kind == "NODE":
                points = self._all(home, "NSET", row[0])
                self.contents.point_sets[name] = np.union1d(self.contents.point_sets.get(name, points[:0]), points)
                continue
            faces = self._faces(self._all(home, "ELSET", row[0]), row[1].upper() if row[1:] else "", name)
            known = self.contents.facet_sets.get(name, faces[:0])
            self.contents.facet_sets[name] = np.concatenate([known, faces])

    def _all(self, home, what, name):
        target, plain = self.members.resolve(home, name)
        if plain.isdigit():
            return self.members.numbered(target, what, np.array([int(plain)]), name)
        return self.members.of(target, what, plain)

    def _faces(self, cells, label, name):
        """Faces of cells by label: S1 to S6; SPOS, SNEG or none for shells; none for the free faces of solids.

        In a model without solids the labels S1 to S4 name the edges of its quadrilaterals.
        """
        is_plane = not any(block.is_volume for block in self.contents.blocks)
        chosen = [np.empty((0, 2 if is_plane else 4), dtype=np.int64)]
        for block, start, stop in zip(self.contents.blocks, self.starts[:-1], self.starts[1:], strict=True):
            nodes = block.nodes[cells[(cells >= start) & (cells < stop)] - start]
            if not len(nodes):
                continue
            sides = EDGES if is_plane else FACES
            if block.kind.startswith("quad" if is_plane else "hexahedron") and label in ("", *_LABELS[: len(sides)]):
                every = nodes[:, sides]
                chosen.append(every[:, int(label[1]) - 1] if label else every.reshape(-1, sides.shape[1]))
            elif block.kind.startswith("quad") and not is_plane and label in ("", "SPOS", "SNEG"):
                chosen.append(nodes[:, :4])
            elif block.kind.startswith(("hexahedron", "quad")):
                raise MeshError(
                    f"surface {name} has faces {label} of {block.kind} cells; known are S1 to S6 of hexahedra, and S1 "
                    "to S4 of quadrilaterals in a plane"
                )
        faces = np.concatenate(chosen)
        return faces if label else self._free(faces, is_plane)

    def _free(self, faces, is_plane):
        """Those faces that only one cell of the whole mesh has."""
        kind, sides = ("quad", EDGES) if is_plane else ("hexahedron", FACES)
        solid = [
            block.nodes[:, sides].reshape(-1, sides.shape[1])
            for block in self.contents.blocks
            if block.kind.startswith(kind)
        ]
        if not solid or not len(faces):
            return faces
        every = np.sort(np.concatenate(solid), axis=1)
        unique, counts = np.unique(every, axis=0, return_counts=True)
        shared = {tuple(row) for row in unique[counts > 1].tolist()}
        return faces[[tuple(sorted(row)) not in shared for row in faces.tolist()]]
