"""Types of Abaqus elements as kinds of cells."""

import re
from collections.abc import Iterable

from femnn.mesh_files.contents import node_count

# Families of continuum elements: stress, heat, acoustic, pore pressure, piezoelectric, continuum shell.
_SOLID = {4: "tetra", 5: "pyramid", 6: "wedge", 8: "hexahedron", 10: "tetra10", 13: "pyramid13", 15: "wedge15"}
_SOLID |= {20: "hexahedron20", 27: "hexahedron27"}
_SURFACE = {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8", 9: "quad9"}
_LINE = {2: "line", 3: "line3"}

_PATTERNS = [
    (r"(?:C|DC|DCC|AC|FC|EMC|Q)3D(\d+)", _SOLID),
    (r"F3D(6|8)", _SOLID),
    (r"SC(6|8)R", _SOLID),
    (r"CSS(8)", _SOLID),
    (r"(?:CPS|CPE|CPEG|CAX|CGAX|DC2D|DCAX|AC2D|ACAX|M3D|SFM3D|R3D|S|DS|DCPE|F3D|AC2D)(\d+)", _SURFACE),
    (r"STRI(3|65)", {3: "triangle", 65: "triangle6"}),
    (r"(?:B|PIPE)[23](\d)", {1: "line", 2: "line3", 3: "line"}),
    (r"(?:T2D|T3D|RB2D|RB3D|R2D|FRAME2D|DC1D)(\d)", _LINE),
]


def kind_and_nodes(name: str):
    """Kind of cell and number of nodes of a type such as ``C3D8R``; ``("other", None)`` for what is no mesh of a body.

    >>> kind_and_nodes("C3D8R"), kind_and_nodes("S4"), kind_and_nodes("MASS")
    (('hexahedron', 8), ('quad', 4), ('other', None))
    """
    for pattern, kinds in _PATTERNS:
        match = re.match(pattern, name)
        if match and int(match[1]) in kinds:
            kind = kinds[int(match[1])]
            return kind, node_count(kind)
    return "other", None


def warnings_of_types(names: Iterable[str]) -> list[str]:
    """What should be said about types whose cells are read, but which mean another problem than their cells show.

    >>> warnings_of_types(["CAX8R", "CPE4"])[0][:47]
    'cells of the axisymmetric types CAX8R are read '
    """
    names = list(names)
    axial = sorted({name for name in names if re.match("CAX|CGAX|DCAX|ACAX", name)})
    shells = sorted({name for name in names if re.match(r"(?:S|DS|M3D|SFM3D)\d", name)})
    said = []
    if axial:
        said.append(
            f"cells of the axisymmetric types {', '.join(axial)} are read as plane ones: femnn assembles plane strain "
            "and plane stress, not a body that is turned about an axis"
        )
    # beside a body they are its faces
    if shells and not any(kind_and_nodes(name)[0] in _SOLID.values() for name in names):
        said.append(
            f"cells of the types {', '.join(shells)}, of shells and membranes, are read as plane ones if they are "
            "flat: femnn assembles plane strain and plane stress, not the bending of a shell"
        )
    return said
