"""One measurement of ``porous_3d`` in a process of its own: a list [kind, arguments ...] as JSON, figures as JSON."""

import json
import sys
import time

import numpy as np

from benchmarks.reservoir.porous_3d import ELEMENTS, MESHES, against_series, medium
from benchmarks.support.memory import peak
from femnn.geometry import distorted_cube
from femnn.reservoir import Conditions, PorousProblem, Well
from femnn.validation.consolidation import ManufacturedBody
from femnn.validation.penny_crack import penny_crack


def orders(pair, systems, coarse):
    """Errors of u, ∇u and p on distorted meshes, each twice as fine as the one before, and orders between these."""
    body, element, counts = (
        ManufacturedBody(medium(systems)),
        ELEMENTS[pair](),
        MESHES[pair]["small" if coarse else "full"],
    )
    errors = []
    for n in counts:
        problem = body.problem(distorted_cube(n, 0.1), element=element)
        errors.append(body.errors(problem, problem.step(problem.initial_state(), 1.0)))
    errors = np.array(errors)
    found = np.log2(errors[:-1] / errors[1:])
    return {
        "pair": pair, "systems": systems, "cells": [n**3 for n in counts], "errors": errors.tolist(),
        "orders": found.tolist(),
    }  # fmt: skip


def size(pair, cells):
    """Steps of a distorted body with two pore systems and a well: time, memory, iterations and balance."""
    n = round(cells ** (1.0 / 3.0))
    mesh = distorted_cube(n, 0.1).scaled(100.0)
    mesh = mesh.with_boundaries(
        {"bottom": lambda x: x[2] == 0.0, "left": lambda x: x[0] == 0.0, "top": lambda x: x[2] == 100.0}
    )
    conditions = Conditions(
        displacement={"bottom": (0.0, 0.0, 0.0), "left": (0.0, None, None)},
        traction={"top": (0.0, 0.0, -1e6)},
        pressure={"top": 0.0},
        wells=[Well((61.0, 43.0, 37.0), (1e-3, None))],
    )
    begun = time.process_time()
    problem = PorousProblem(mesh, medium(2), conditions, element=ELEMENTS[pair](), method="minres")
    ready = time.process_time()
    state, seconds, counts, balances = problem.initial_state(), [], [], []
    # of one length: what is set up once shows in the first
    for _ in range(3):
        start = time.process_time()
        new = problem.step(state, 3600.0)
        seconds.append(time.process_time() - start)
        counts.append(sum(problem.iterations))
        balances.append(float(problem.balance(state, new).error.max()))
        state = new
    return {
        "pair": pair, "cells": mesh.nelements, "unknowns": len(state.x), "set-up, s": ready - begun,
        "first step, s": seconds[0], "step, s": max(seconds[1:]), "iterations": max(counts),
        "memory, GB": peak() / 1e9, "balance": max(balances),
    }  # fmt: skip


def crack(n):
    """Slip of a penny-shaped crack with 2 n cells over its radius."""
    return {"over the radius": 2 * n, "error": penny_crack(n, element=ELEMENTS["Q1-Q1"]()).error}


if __name__ == "__main__":
    kind, *arguments = json.loads(sys.argv[1])
    work = {"series": against_series, "orders": orders, "size": size, "crack": crack}[kind]
    print(json.dumps(work(*arguments)))
