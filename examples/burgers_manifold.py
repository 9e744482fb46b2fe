"""A travelling shock, reduced: a subspace, local bases, and a network that most coefficients follow from.

    python examples/burgers_manifold.py --out results

The inviscid Burgers equation in two dimensions with two parameters: nine runs to learn from, and a parameter that none
of them had. A shock that travels fills many modes, of which only a few matter at any one time (local bases), and most
of which follow from a few (manifolds). Some minutes on two cores, most of them the training of the network, which goes
on from where it was if it is interrupted.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from femnn.plotting import save
from femnn.reduced.fit_closure import OPTIONS
from femnn.validation import BURGERS_TESTS, Burgers, BurgersStudy, error_over_time, relative_error

# What the runs last, and the number of steps on a mesh of 100 × 100 cells.
DURATION, STEPS = 25.0, 500


def main(cells=100, modes=160, subspace=80, chosen=200, clusters=10, epochs=300, parameters=BURGERS_TESTS[0], out="."):
    """Reduce the problem in three ways and follow their errors in time.

    Parameters
    ----------
    cells
        Along each side; the time step grows with them.
    modes
        Of the global basis, and of the closure.
    subspace, chosen
        Modes of the linear model, and cells that empirical cubature may choose.
    clusters
        Local bases.
    epochs
        Of the network.
    parameters
        Velocity of the inflow, and the rate at which production grows along x.

    Returns
    -------
    dict
        By model: ``error`` over space and time, ``seconds``, ``cells``; of the full model its ``seconds``.
    """
    folder = Path(out)
    steps = max(20, STEPS * cells // 100)
    burgers = Burgers(cells, steps=steps, dt=DURATION / steps)
    burgers.solve(parameters, steps=1)  # compile
    begun = time.perf_counter()
    truth = burgers.solve(parameters)
    figures = {"full": {"seconds": time.perf_counter() - begun}}
    print(f"{burgers}: {figures['full']['seconds']:.2f} s; nine such runs to learn from")
    study = BurgersStudy(burgers, modes)
    modes = study.pod.r
    options = dataclasses.replace(OPTIONS, epochs=epochs)
    folder.mkdir(parents=True, exist_ok=True)
    runs = [
        study.linear(min(subspace, modes), chosen),
        study.local(clusters, 3e-4),
        study.network(
            min(10, modes // 2),
            max(chosen // 2, 20),
            modes,
            (64, modes),
            options,
            folder / "burgers_manifold.state",
            lag=max(1, steps // 50),
        ),
    ]
    states = {}
    for run in runs:
        run.march(parameters)  # compile
        begun = time.perf_counter()
        path = run.march(parameters)
        seconds = time.perf_counter() - begun
        states[run.name] = run.states(path)
        figures[run.name] = {
            "error": relative_error(states[run.name], truth),
            "seconds": seconds,
            "cells": run.cells,
        }
        print(
            f"{run.name}: {run.dimension} unknowns, {run.cells or 'no'} cells of {cells**2:,}, "
            f"error {figures[run.name]['error']:.3%}, {seconds:.4f} s"
        )
    plot(burgers, truth, states, folder / "burgers_manifold.png")
    return figures


def plot(burgers, truth, states, path):
    """Errors over time, and u along the middle of the domain at five times."""
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    times = np.arange(burgers.steps + 1) * burgers.dt
    for name, found in states.items():
        left.semilogy(times[1:], error_over_time(found, truth)[1:], label=name)
    left.set(xlabel="time", ylabel="error of the state, relative")
    left.legend()
    middle = burgers.n // 2
    for step in np.linspace(0, burgers.steps, 6).astype(int)[1:]:
        for k, field in enumerate([truth, *states.values()]):
            u = field[step, : burgers.n**2].reshape(burgers.n, burgers.n)[middle]
            style = {"color": "black", "linewidth": 2.5, "alpha": 0.35} if k == 0 else {"color": f"C{k - 1}"}
            right.plot(burgers.centres, u, linestyle="-" if k == 0 else ["--", ":", "-."][(k - 1) % 3], **style)
    right.set(xlabel="x", ylabel="u at half of the height", title="black: the full model")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=100, help="along each side")
    parser.add_argument("--epochs", type=int, default=300, help="of the network")
    parser.add_argument("--inflow", type=float, default=BURGERS_TESTS[0][0])
    parser.add_argument("--growth", type=float, default=BURGERS_TESTS[0][1])
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.cells, epochs=arguments.epochs, parameters=(arguments.inflow, arguments.growth), out=arguments.out)
