"""A partition on disk: one file a rank, so that later runs read on each rank what it needs and no more."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import brief, checked
from femnn.exceptions import MeshError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.parallel.local_mesh import LocalMesh, fingerprint
from femnn.parallel.ranks import together, world


def file_name(rank, ranks):
    """Name of the file of one rank."""
    return f"part-{rank}-of-{ranks}.npz"


@checked()
def digest(path: str | Path) -> str:
    """Fingerprint of a file, read piece by piece."""
<<<<<<< HEAD
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**24):
            sha.update(piece)
    return sha.hexdigest()
=======
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(2**24):
                found.update(piece)
    except (OSError, ValueError) as error:
        raise ParameterError(f"{brief(path)} cannot be read: {error}; pass the path of a file") from error
    return found.hexdigest()
>>>>>>> b093b0a (Say which function of a user cannot be called, and refuse files that cannot be read)


@checked()
def write_local_mesh(folder: str | Path, rank: int, ranks: int, local_mesh: LocalMesh, source: str = "") -> Path:
    """Write what one rank gets, whole or not at all; ``source`` is the :func:`digest` of the mesh file."""
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
    path = Path(folder) / file_name(rank, ranks)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, card=np.array(json.dumps(card)), **arrays)
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
    """
    comm = world() if comm is None else comm
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
        try:
            return "source", digest(mesh)
        except OSError as error:
            raise MeshError(f"{mesh} cannot be opened: {error.strerror}") from error
    return "mesh_id", fingerprint(mesh)


def _read(folder, rank, ranks):
    path = folder / file_name(rank, ranks)
    if not path.exists():
        others = sorted({int(file.stem.rpartition("-")[2]) for file in folder.glob("part-*-of-*.npz")})
        known = f"there are partitions for {others} ranks" if others else "there is no partition"
        raise MeshError(f"{path} does not exist, {known}; run `femnn partition MESH --ranks {ranks} --out {folder}`")
    try:
        with np.load(path, allow_pickle=False) as file:
            card = json.loads(str(file["card"]))
            boundaries = {name.partition(" ")[2]: file[name] for name in file.files if name.startswith("boundary ")}
            sides = [tuple(file[f"interface {i} {part}"] for part in _SIDES) for i in range(card["interfaces"])]
            arrays = [file[name] for name in ("cells", "vertices", "points", "corners")]
            local_mesh = LocalMesh(*arrays, card["n_cells"], card["n_vertices"], card["mesh_id"], boundaries, sides)
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise MeshError(f"{path} is damaged: {error}; run `femnn partition` again") from error
    return local_mesh, card
