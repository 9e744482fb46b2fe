"""States of a reservoir with faults through its cells as arrays of a restart file, and their faults as a surface."""

from typing import Any

import meshio
import numpy as np

from femnn.cohesive.law import State
from femnn.fields.facets import facet_means
from femnn.io.guarded import Contents
from femnn.io.time_series import padded
from femnn.reservoir.fault.embedded import EmbeddedReservoir
from femnn.reservoir.fault.embedded_states import EmbeddedFields, EmbeddedState
from femnn.reservoir.output import named

#: What restart files of such states hold.
KIND = "state of a porous body with faults through its cells"

_ARRAYS = ("u", "p", "jumps", "fault_pressure", "traction", "rate", "leak_off", "across", "pressure_jumps")


def contents_of(state: EmbeddedState) -> tuple[dict, dict]:
    """Scalars and arrays of a restart file."""
    arrays = {name: getattr(state, name) for name in _ARRAYS}
    scalars: dict[str, Any] = {"t": float(state.t), "faults": len(state.histories)}
    for number, history in enumerate(state.histories):
        arrays |= {f"values {number}": history.values, f"outside {number}": history.outside}
        scalars[f"law {number}"] = history.law
    return scalars, arrays


def state_of(file: Contents) -> EmbeddedState:
    """The state that a restart file holds."""
    histories = []
    for number in range(int(file.number("faults", 1.0, 1e6))):
        values = file.array(f"values {number}", (None, None))
        outside = file.array(f"outside {number}", (len(values),), bool)
        histories.append(State(values, file.text(f"law {number}"), outside))
    points = sum(map(len, histories))
    return EmbeddedState(
        file.number("t"),
        file.array("u", (None,)),
        file.array("p", (None, None)),
        file.array("jumps", (None,)),
        file.array("fault_pressure", (None,)),
        tuple(histories),
        file.array("traction", (points, 3)),
        file.array("rate", (points, 3)),
        file.array("leak_off", (None, None)),
        file.array("across", (None, None)),
        file.array("pressure_jumps", (None, None)),
    )


def surface_of(reservoir: EmbeddedReservoir, fields: EmbeddedFields) -> meshio.Mesh:
    """The faults in the cut cells, in space by triangles, with the means of fields over each cell."""
    outlines, dx = [], []
    for fault in reservoir.faults:
        outlines += fault.crack.outlines()
        dx += list(fault.crack.dx)
    points = np.concatenate(outlines)
    begins = np.cumsum([0, *map(len, outlines)])[:-1]
    corners, owner = [], []
    for cell, (begin, outline) in enumerate(zip(begins, outlines, strict=True)):
        # a line, or a fan around the first corner
        own = [[0, 1]] if points.shape[1] == 2 else [[0, k, k + 1] for k in range(1, len(outline) - 1)]
        corners += [[begin + corner for corner in part] for part in own]
        owner += [cell] * len(own)
    means = {
        **_means(dx, fields, ("separation", "rate", "traction", "slip_tendency", "damage", "outside")),
        "pressure": fields.pressure,
        **named("pressure_minus", reservoir.systems, fields.beside[0]),
        **named("pressure_plus", reservoir.systems, fields.beside[1]),
        **named("leak_off", reservoir.systems, fields.leak_off),
        **named("across", reservoir.systems, fields.across),
    }
    data = {name: [np.asarray(values, dtype=float)[owner]] for name, values in means.items()}
    kind = "line" if points.shape[1] == 2 else "triangle"
    return meshio.Mesh(padded(points), [(kind, np.array(corners))], cell_data=data)


def _means(dx, fields, names):
    """Means of fields over the cut cells, whose points have the areas ``dx``, a list of (nqp,)."""
    ends = np.cumsum([0, *map(len, dx)])
    means = {}
    for name in names:
        values = getattr(fields, name).astype(float)
        own = [
            facet_means(area[None], name, values[begin : begin + len(area)])
            for begin, area in zip(ends[:-1], dx, strict=True)
        ]
        means[name] = np.concatenate(own)
    return means
