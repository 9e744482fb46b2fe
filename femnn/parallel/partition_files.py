"""A partition on disk: one file a rank, so that later runs read on each rank what it needs and no more."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.exceptions import MeshError
from femnn.io import guarded
from femnn.io.atomic import atomic_write
from femnn.io.guarded import Contents, GuardedFile, sealed
from femnn.parallel.local_mesh import LocalMesh, fingerprint
from femnn.parallel.ranks import communicator, together


def file_name(rank, ranks):
    """Name of the file of one rank."""
    return f"part-{rank}-of-{ranks}.npz"


@checked()
def digest(path: str | Path) -> str:
    """Fingerprint of a mesh file; MeshError if it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from femnn.parallel import digest
    >>> _ = Path("part.mesh").write_text("some mesh")
    >>> len(digest("part.mesh"))
    64
    """
    return GuardedFile(Path(path), MeshError, "mesh file", "check the path and its permissions").sha256()


@checked()
def write_local_mesh(folder: str | Path, rank: int, ranks: int, local_mesh: LocalMesh, source: str = "") -> Path:
    """Write what one rank gets, whole or not at all; ``source`` is the :func:`digest` of the mesh file.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import local_meshes, write_local_mesh
    >>> mesh = skfem.MeshHex().refined(1)
    >>> for rank, part in enumerate(local_meshes(mesh, np.array([0, 0, 0, 0, 1, 1, 1, 1]), ranks=2)):
    ...     print(write_local_mesh("parts", rank, 2, part).name)
    part-0-of-2.npz
    part-1-of-2.npz
    """
    arrays: dict[str, Any] = {
        "cells": local_mesh.cells,
        "vertices": local_mesh.vertices,
        "points": local_mesh.points,
        "corners": local_mesh.corners,
    }
    arrays |= {f"boundary {name}": corners for name, corners in local_mesh.boundaries.items()}
    for number, sides in enumerate(local_mesh.interfaces):
        arrays |= {f"interface {number} {part}": side for part, side in zip(_SIDES, sides, strict=True)}
    card = {
        "n_cells": int(local_mesh.n_cells),
        "n_vertices": int(local_mesh.n_vertices),
        "mesh_id": local_mesh.mesh_id,
        "source": source,
        "rank": rank,
        "ranks": ranks,
        "interfaces": len(local_mesh.interfaces),
    }
    card["sha256"] = guarded.digest(arrays)
    path = Path(folder) / file_name(rank, ranks)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, card=np.array(json.dumps(sealed(card))), **arrays)
    return path


@checked()
def read_local_mesh(folder: str | Path, mesh: Any = None, comm: Any = None) -> LocalMesh:
    """The :class:`LocalMesh` of this rank from the files of a partition; collective.

    Parameters
    ----------
    folder
        Where ``femnn partition`` wrote them.
    mesh
        What they must be of: the path of the mesh file, of which rank 0 reads the bytes, or a ``skfem.MeshHex``; None
        trusts the files.

    Raises
    ------
    MeshError
        On all ranks, if a file is not there or damaged, or is of another mesh.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import local_meshes, read_local_mesh, world, write_local_mesh
    >>> mesh, ranks = skfem.MeshHex().refined(2), world().size
    >>> for rank, part in enumerate(local_meshes(mesh, np.arange(64) % ranks, ranks)):
    ...     file = write_local_mesh("kept", rank, ranks, part)
    >>> read_local_mesh("kept", mesh).n_cells
    64
    """
    comm = communicator(comm)
    expected = None
    with together(comm):
        if comm.rank == 0 and mesh is not None:
            expected = _identity(mesh)
    expected = comm.bcast(expected)
    with together(comm):
        local_mesh, card = _read(Path(folder), comm.rank, comm.size)
        if expected is not None and card[expected[0]] != expected[1]:
            raise MeshError(
                f"{folder} is a partition of another mesh: fingerprint {card[expected[0]][:12] or 'none'}, the mesh "
                f"given has {expected[1][:12]}; run `femnn partition` again on this mesh"
            )
    return local_mesh


_SIDES = ("pairs", "minus", "plus")


def _identity(mesh):
    """Which entry of the card names a mesh, and what it must be."""
    if isinstance(mesh, str | Path):
        return "source", digest(mesh)
    return "mesh_id", fingerprint(mesh)


def _read(folder, rank, ranks):
    path = folder / file_name(rank, ranks)
    if not path.exists():
        numbers = [file.stem.rpartition("-")[2] for file in folder.glob("part-*-of-*.npz")]
        others = sorted({int(ranks) for ranks in numbers if ranks.isdecimal()})
        known = f"there are partitions for {others} ranks" if others else "there is no partition"
        raise MeshError(f"{path} does not exist, {known}; run `femnn partition MESH --ranks {ranks} --out {folder}`")
    file = GuardedFile(path, MeshError, "part of a partition", "run `femnn partition` again")
    arrays = file.arrays()
    with file.checked():
        contents = Contents(file, file.card(arrays.pop("card").item()), arrays)
        # earlier parts have no hash
        if "sha256" in contents.fields and contents.text("sha256") != guarded.digest(arrays):
            raise ValueError("its arrays are not those that were written, by their sha256")
        if (contents.count("rank"), contents.count("ranks")) != (rank, ranks):
            raise ValueError("it is of another rank")
        return _local_mesh(contents), {name: contents.text(name) for name in ("mesh_id", "source")}


def _local_mesh(contents):
    """The mesh of a part, its numbers checked: what is built of it reads them without a check."""
    n_cells, n_vertices = contents.count("n_cells"), contents.count("n_vertices")
    cells = _numbers(contents, "cells", (None,), n_cells)
    vertices = _numbers(contents, "vertices", (None,), n_vertices)
    corners = _numbers(contents, "corners", (8, len(cells)), len(vertices), np.int32)
    names = [name for name in contents.arrays if name.startswith("boundary ")]
    boundaries = {name.partition(" ")[2]: _numbers(contents, name, (None, 4), n_vertices) for name in names}
    sides = []
    for i in range(contents.count("interfaces")):
        pairs = contents.array(f"interface {i} pairs", (None,), np.int64)
        corners_of = (_numbers(contents, f"interface {i} {side}", (len(pairs), 4), n_vertices) for side in _SIDES[1:])
        sides.append((pairs, *corners_of))
    points = contents.array("points", (3, len(vertices)))
    mesh_id = contents.text("mesh_id")
    return LocalMesh(cells, vertices, points, corners, n_cells, n_vertices, mesh_id, boundaries, sides)


def _numbers(contents, name, shape, limit, dtype=np.int64):
    """An array of integers from 0 to ``limit`` - 1."""
    values = contents.array(name, shape, dtype)
    if values.size and not 0 <= values.min() <= values.max() < limit:
        raise contents.file.refused(f"{name} has numbers from {values.min()} to {values.max()}, there are {limit}")
    return values
