"""One process or rank of ``porous_ranks``: prints its figures as one line of JSON.

porous_ranks_worker.py serial|ranks EDGE
"""

import json
import sys
import time

import skfem

from benchmarks.reservoir.porous_3d import medium
from femnn.geometry import distorted_cube
from femnn.parallel import peak_memory
from femnn.quadrature import AdaptiveGauss
from femnn.reservoir import Conditions, PorousProblem, Well


def body(n):
    """The body of ``femnn bench porous-3d``."""
    mesh = distorted_cube(n, 0.1).scaled(100.0)
    sides = {"bottom": lambda x: x[2] == 0.0, "left": lambda x: x[0] == 0.0, "top": lambda x: x[2] == 100.0}
    return mesh.with_boundaries(sides)


def steps(make, comm=None):
    """Three steps of one length: times, iterations, balance, memory, the greatest of all ranks."""

    def greatest(value):
        return value if comm is None else max(comm.allgather(value))

    begun = time.perf_counter()
    problem = make()
    ready = greatest(time.perf_counter() - begun)
    state, seconds, spent, counts, balances = problem.initial_state(), [], [], [], []
    for _ in range(3):
        greatest(0.0)
        begun, used = time.perf_counter(), time.process_time()
        new = problem.step(state, 3600.0)
        seconds.append(greatest(time.perf_counter() - begun))
        spent.append(greatest(time.process_time() - used))
        counts.append(sum(problem.iterations))
        balances.append(float(problem.balance(state, new).error.max()))
        state = new
    return {
        "set-up, s": ready, "first step, s": seconds[0], "step, s": max(seconds[1:]), "processor, s": max(spent[1:]),
        "iterations": max(counts),
        "memory, GB": greatest(peak_memory()) / 1e9, "balance": max(balances),
    }  # fmt: skip


def main(kind, n):
    conditions = Conditions(
        displacement={"bottom": (0.0, 0.0, 0.0), "left": (0.0, None, None)},
        traction={"top": (0.0, 0.0, -1e6)},
        pressure={"top": 0.0},
        wells=[Well((61.0, 43.0, 37.0), (1e-3, None))],
    )
    rule = AdaptiveGauss(calibrate="families")
    if kind == "serial":
        options = {"element": skfem.ElementHex1(), "rule": rule, "method": "minres"}
        # what is compiled is compiled before
        steps(lambda: PorousProblem(body(3), medium(2), conditions, **options))
        figures = steps(lambda: PorousProblem(body(n), medium(2), conditions, **options))
    else:
        from femnn.parallel import DistributedMesh, RankPorousProblem, world

        comm = world()
        for edge in (3, n):
            distributed = DistributedMesh.of(body(edge) if comm.rank == 0 else None)
            figures = steps(
                lambda own=distributed: RankPorousProblem(own, medium(2), conditions, rule=rule), comm
            )  # fmt: skip
        if comm.rank:
            return
    print(json.dumps({"cells": n**3, **figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
