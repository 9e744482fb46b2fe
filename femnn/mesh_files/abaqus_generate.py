"""Nodes and elements that an Abaqus input file generates: ``*Ngen``, ``*Nfill``, ``*Elgen`` and ``*Elcopy``."""

from dataclasses import replace
from itertools import product

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import positions


def generate_between(card, scope):
    """Numbers and coordinates of nodes on the straight lines between two nodes each."""
    if card.parameters.get("LINE"):
        raise MeshError(
            f"{card.where}: *NGEN along a curve (LINE={card.parameters['LINE']}) is not read; write the nodes out"
        )
    numbers, points = [], []
    for first, last, step in card.numbers(3, np.int64):
        inner = np.arange(first, last, step or 1)[1:]
        if len(inner) and (last - first) % (step or 1):
            raise MeshError(f"{card.where}: *NGEN from {first} does not meet {last} in steps of {step}")
        start, end = _points_of(card, scope, np.array([first, last]))
        fraction = ((inner - first) / (last - first))[:, None] if len(inner) else np.empty((0, 1))
        numbers += [[first], inner, [last]]
        points += [start[None], start + fraction * (end - start), end[None]]
    return _joined(numbers, points)


def generate_fill(card, scope):
    """Numbers and coordinates of nodes on the lines from the nodes of one set to those of another."""
    unread = [f"{name}={value}" for name, value in card.parameters.items() if name != "NSET" and value != "1"]
    if unread:
        raise MeshError(f"{card.where}: *NFILL with {unread[0]} is not read; write the nodes out")
    numbers, points = [], []
    for row in card.fields():
        from_set, to_set, intervals, step = row[0], row[1], int(row[2]), int(row[3]) if row[3:] and row[3] else 1
        first, last = (members(card, scope, name, scope.node_sets) for name in (from_set, to_set))
        if len(first) != len(last):
            raise MeshError(f"{card.where}: *NFILL between sets of {len(first)} and {len(last)} nodes")
        start, end = _points_of(card, scope, first), _points_of(card, scope, last)
        for k in range(intervals + 1):
            numbers.append(last if k == intervals else first + k * step)
            points.append(end if k == intervals else start + k / intervals * (end - start))
    return _joined(numbers, points)


def generate_elements(card, scope):
    """Rows, layers and further repetitions of elements, as blocks."""
    for row in card.numbers(10, np.int64):
        master = int(row[0])
        source = next((e for e in scope.elements if master in e.numbers), None)
        if source is None:
            raise MeshError(f"{card.where}: *ELGEN starts from element {master}, which is not defined before")
        nodes = source.nodes[np.flatnonzero(source.numbers == master)[0]]
        counts = np.maximum(row[1::3], 1)
        node_steps, steps = np.where(row[2::3] == 0, 1, row[2::3]), np.where(row[3::3] == 0, 1, row[3::3])
        shifts = np.array(list(product(*map(range, counts))), dtype=np.int64)
        new = shifts.any(axis=1)
        yield replace(
            source,
            numbers=(master + shifts @ steps)[new],
            nodes=(nodes + (shifts @ node_steps)[:, None])[new],
            where=card.where,
        )
        if card.parameters.get("ELSET"):
            scope.add_set(scope.element_sets, card.parameters["ELSET"], np.array([master]))


def copy_elements(card, scope):
    """The elements of a set once more, their numbers and those of their nodes shifted, as blocks."""
    if "REFLECT" in card.parameters:
        raise MeshError(f"{card.where}: *ELCOPY with REFLECT is not read; write the elements out")
    old = members(card, scope, card.name("OLD SET"), scope.element_sets)
    shift, node_shift = int(card.name("ELEMENT SHIFT")), int(card.name("SHIFT NODES"))
    for block in list(scope.elements):
        chosen = np.isin(block.numbers, old)
        if chosen.any():
            numbers, nodes = block.numbers[chosen] + shift, block.nodes[chosen] + node_shift
            yield replace(block, numbers=numbers, nodes=nodes, where=card.where)


def members(card, scope, name, sets, depth=0):
    """Numbers in a set that is defined so far, in increasing order; a number stands for itself."""
    if name.lstrip("-").isdigit():
        return np.array([int(name)])
    if name.upper() not in sets or depth > 20:
        raise MeshError(f"{card.where}: there is no set {name} before *{card.keyword}")
    numbers = [np.empty(0, dtype=np.int64)]
    for _, entries in sets[name.upper()]:
        for entry in [entries] if isinstance(entries, np.ndarray) else entries:
            numbers.append(entry if isinstance(entry, np.ndarray) else members(card, scope, entry, sets, depth + 1))
    return np.unique(np.concatenate(numbers))


def _points_of(card, scope, numbers):
    known, points = scope.all_nodes()
    place = positions(numbers, known)
    if (place < 0).any():
        raise MeshError(
            f"{card.where}: *{card.keyword} needs node {numbers[place < 0][0]}, which is not defined before"
        )
    return points[place]


def _joined(numbers, points):
    """Each node once, though lines share their ends."""
    if not numbers:
        return np.empty(0, dtype=np.int64), np.empty((0, 3))
    numbers, first = np.unique(np.concatenate(numbers), return_index=True)
    return numbers, np.concatenate(points)[first]
