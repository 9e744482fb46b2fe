"""One process or rank of the scaling benchmark: prints its figures as one line of JSON.

    measure.py threads N ROUNDS        an N³ distorted cube on one thread and on two
    measure.py assemble CASE N ROUNDS  assembly on the ranks of mpiexec
    measure.py solve CASE N            assembly and solution on the ranks of mpiexec
    measure.py balance MESH TOL RANKS...

CASE is `bracket`, or the size of a coarse box, such as `8x8x4`; N subdivides each coarse cell.
"""

import json
import sys
import time

import numba
import numpy as np
import skfem

import femnn
from femnn.geometry import distorted_cube
from femnn.io import data_folder
from femnn.mesh_files import read_mesh
from femnn.parallel import Timing, peak_memory

RULE = femnn.GaussLegendre(2)
STEEL = {"young": 210e9, "poisson": 0.3}


def threads(n, rounds):
    """Passes of assembly from new coordinates, connectivity being known, on one thread and two by turns."""
    femnn.assemble_elasticity(distorted_cube(4, 0.2, seed=0), RULE, **STEEL)
    baseline, mesh = peak_memory(), distorted_cube(n, 0.2, seed=0)
    started = time.perf_counter()
    pattern = femnn.Pattern.of(mesh)
    pattern_seconds = time.perf_counter() - started
    matrix = femnn.assemble_elasticity(mesh, RULE, pattern=pattern, **STEEL)
    most = min(2, numba.config.NUMBA_NUM_THREADS)
    seconds = {1: [], most: []}
    for _ in range(rounds):
        for count, times in seconds.items():
            numba.set_num_threads(count)
            started = time.perf_counter()
            femnn.assemble_elasticity(mesh, RULE, pattern=pattern, out=matrix, **STEEL)
            times.append(time.perf_counter() - started)
    peak = peak_memory()
    return {
        "elements": mesh.nelements,
        "pattern": pattern_seconds,
        "seconds": {count: float(np.median(times)) for count, times in seconds.items()},
        "bytes": (peak - baseline) / mesh.nelements,
        "peak": peak,
        "baseline": baseline,
        "matrix": (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes) / mesh.nelements,
    }


def part_of(case, n, comm):
    """The part of this rank, and the name of the boundary that is held."""
    from femnn.parallel import DistributedMesh, partition, subdivided

    if case == "bracket":
        coarse, held = read_mesh(data_folder("meshes") / "bracket.vtu"), "fixed"
    else:
        edges = [np.arange(int(size) + 1.0) for size in case.split("x")]
        coarse, held = skfem.MeshHex.init_tensor(*edges), "low"
        # moved alike whatever the size: no two rows of cells are the same
        p = coarse.p + 0.08 * np.sin(2.1 * coarse.p[[1, 2, 0]] + 1.3 * coarse.p[[2, 0, 1]])
        boundary = coarse.facets_satisfying(lambda x: x[1] == 0.0)
        coarse = skfem.MeshHex(p, coarse.t).with_boundaries({"low": boundary})
    local_mesh = subdivided(coarse, partition(coarse, comm.size), comm.rank, n)
    return DistributedMesh.joined(local_mesh, comm), held


def assemble(case, n, rounds, solution=False):
    """Assembly from coordinates to PETSc's matrix: at first and with the structures kept; then the solution."""
    from femnn.parallel import Rows, assemble_elasticity, solve, world

    comm = world()
    small, held = part_of("2x2x3", 2, comm)
    load = small.sum(femnn.assemble_body_force(small.mesh, RULE, (0.0, 0.0, -77e3)))
    solve(assemble_elasticity(small, RULE, **STEEL), load, small.dofs_on(held))
    stages = Timing(comm)
    distributed, held = part_of(case, n, comm)
    first, again = [], []
    for _ in range(rounds):
        first.append(timed(comm, lambda: assemble_elasticity(distributed, RULE, **STEEL).petsc.destroy()))
    if not solution:
        pattern = femnn.Pattern.of(distributed.mesh)
        kept = {"pattern": pattern, "rows": Rows.of(distributed, pattern.empty_matrix(3))}
        for _ in range(rounds):
            again.append(timed(comm, lambda: assemble_elasticity(distributed, RULE, **kept, **STEEL).petsc.destroy()))
    figures = {
        "case": case,
        "ranks": comm.size,
        "elements": distributed.n_cells,
        "first": float(np.median(first)),
        "again": float(np.median(again)) if again else None,
        "shared": comm.allreduce(len(distributed.vertices)) / distributed.n_vertices - 1.0,
        "assembly_memory": stages.memory(),
    }
    if solution:
        load = distributed.sum(femnn.assemble_body_force(distributed.mesh, RULE, (0.0, 0.0, -77e3)))
        matrix = assemble_elasticity(distributed, RULE, **STEEL)
        found = solve(matrix, load, distributed.dofs_on(held), overwrite=True)
        figures |= {"solution": max(comm.allgather(found.seconds)), "iterations": found.iterations}
        figures |= {"free": found.n_free, "memory": stages.memory()}
    return figures if comm.rank == 0 else None


def timed(comm, action):
    comm.Barrier()
    started = time.perf_counter()
    action()
    comm.Barrier()
    return time.perf_counter() - started


def balance(path, tol, *ranks):
    """Imbalance of integration points between ranks, of partitions with and without costs."""
    from femnn.parallel import FIXED_COST, imbalance, partition, points_per_cell

    mesh = read_mesh(path)
    points = points_per_cell(mesh, femnn.AdaptiveGauss(tol))
    rows = []
    for count in ranks:
        ways = {"equal": None, "weighted": points + FIXED_COST, "points alone": points}
        parts = {way: partition(mesh, count, costs) for way, costs in ways.items()}
        first, second = mesh.f2t[:, mesh.f2t[1] >= 0]
        cut = {way: int((part[first] != part[second]).sum()) for way, part in parts.items()}
        rows.append(
            {
                "ranks": count,
                "points": {way: imbalance(part, points, count) for way, part in parts.items()},
                "cells": {way: imbalance(part, np.ones_like(points), count) for way, part in parts.items()},
                "cut": cut,
            }
        )
    return {"elements": mesh.nelements, "points": int(points.sum()), "rows": rows}


def main(kind, *arguments):
    if kind == "threads":
        found = threads(*map(int, arguments))
    elif kind == "balance":
        found = balance(arguments[0], float(arguments[1]), *map(int, arguments[2:]))
    else:
        found = assemble(arguments[0], *map(int, arguments[1:]), solution=kind == "solve")
    if found is not None:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
