"""Saturated ground under sudden loads: Terzaghi's column, a column with two pore systems, Mandel's slab.

    python examples/consolidation.py --out results

Each problem is solved with quadratic displacements and linear pressures and compared with its closed solution. The
printed errors are the largest of all states after the first twentieth of the characteristic time. The PVD files are for
ParaView.
"""

import argparse
from pathlib import Path

import numpy as np
import skfem
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from femnn.plotting import save
from femnn.reservoir import (
    Conditions,
    ConsolidatingColumn,
    DualPorousMedium,
    MandelSlab,
    PorousMedium,
    PorousProblem,
    Series,
    march,
)

# A soft sandstone with water; fissures of a third of its pore space.
ROCK = {"young": 1e9, "poisson": 0.2, "permeability": 1e-14, "porosity": 0.2, "grain_bulk": 30e9}
FISSURES = {"macro_fraction": 0.3, "micro_permeability": 1e-16, "exchange": 1e-16}
LENGTH, WIDTH, HEIGHT, LOAD = 10.0, 10.0, 2.0, 1e6
# Of the characteristic time: what is drawn, and from when on errors count.
SHOWN, FIRST = (0.001, 0.01, 0.1, 0.3, 1.0), 0.05


def rectangle(x, y):
    """Quadrilaterals between the lines x and y, with named sides."""
    mesh = skfem.MeshQuad.init_tensor(x, y)
    return mesh.with_boundaries(
        {
            "left": lambda place: place[0] == x[0],
            "right": lambda place: place[0] == x[-1],
            "bottom": lambda place: place[1] == y[0],
            "top": lambda place: place[1] == y[-1],
        }
    )


def column(medium, cells):
    """The column, its closed solution, and the depth of each of its pressures."""
    z = LENGTH * (1.0 - np.linspace(1.0, 0.0, cells + 1) ** 2)
    mesh = rectangle(np.array([0.0, LENGTH / 10.0]), z)
    conditions = Conditions(
        displacement={"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)},
        traction={"top": (0.0, -LOAD)},
        pressure={"top": 0.0},
    )
    problem = PorousProblem(mesh, medium, conditions)
    return problem, ConsolidatingColumn(medium, LENGTH, LOAD), LENGTH - problem.pressure_basis.doflocs[1]


def slab(medium, cells):
    """A quarter of the slab, its closed solution, and the distance of each pressure from the middle."""
    x = WIDTH * (1.0 - np.linspace(1.0, 0.0, cells + 1) ** 1.5)
    mesh = rectangle(x, np.linspace(0.0, HEIGHT, 3))
    conditions = Conditions(
        displacement={"left": (0.0, None), "bottom": (None, 0.0)},
        rigid={"top": 1},
        traction={"top": (0.0, -LOAD)},
        pressure={"right": 0.0},
    )
    problem = PorousProblem(mesh, medium, conditions)
    return problem, MandelSlab(medium, WIDTH, HEIGHT, LOAD * WIDTH), problem.pressure_basis.doflocs[0]


def follow(problem, exact, place, steps, series, progress):
    """States, and the figures: errors of pressure and settlement, the worst mass balance of a step."""
    states, error, settled, balance = [problem.initial_state()], 0.0, 0.0, 0.0
    top = problem.displacement_basis.get_dofs("top").all(["u^2"])[0]

    def record(state):
        nonlocal error, settled, balance
        balance = max(balance, problem.balance(states[-1], state).error.max())
        states.append(state)
        if series is not None and len(states) % (steps // 20) == 0:
            series.write(state)
        if state.t >= FIRST * exact.time:
            missed = np.abs(state.p - exact.pressure(place, state.t)).max(axis=-1)
            error = max(error, (missed / exact.undrained_pressure).max())
            expected = sinking(exact, state.t)
            settled = max(settled, abs(-state.u[top] / expected - 1.0))

    march(problem.step, states[0], exact.time * np.geomspace(1e-4, 1.0, steps), callback=record, progress=progress)
    return states[1:], {"pressure error": error, "settlement error": settled, "mass balance": balance}


def sinking(exact, t):
    """Downward displacement of the top by the closed solution."""
    if isinstance(exact, MandelSlab):
        return -exact.displacement(0.0, HEIGHT, t)[1]
    return exact.settlement(t)


def main(cells=30, steps=300, out=None, progress=True):
    """Figures by problem; writes a picture and the series of states."""
    rock, fissured = PorousMedium(**ROCK), DualPorousMedium(**ROCK, **FISSURES)
    problems = {"Terzaghi": column(rock, cells), "dual": column(fissured, cells), "Mandel": slab(rock, cells)}
    figures, drawn = {}, {}
    for name, (problem, exact, place) in problems.items():
        series = None if out is None else Series(Path(out) / f"consolidation-{name.lower()}.pvd", problem)
        states, figures[name] = follow(problem, exact, place, steps, series, progress)
        drawn[name] = states, exact, place
        print(f"{name:10}" + "".join(f"  {key} {value:.1e}" for key, value in figures[name].items()))
    middle = [state.p[0, drawn["Mandel"][2] == 0.0].max() for state in drawn["Mandel"][0]]
    figures["Mandel"]["rise"] = max(middle) / drawn["Mandel"][1].undrained_pressure
    print(f"{'':10}  highest pressure over the undrained one (Mandel-Cryer): {figures['Mandel']['rise']:.4f}")
    if out is not None:
        _draw(Path(out) / "consolidation.png", drawn, middle)
    return figures


def _draw(path, drawn, middle):
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2)
    _profiles(axes[0, 0], *drawn["Terzaghi"])
    axes[0, 0].set(title="Terzaghi's column", xlabel="depth, m")
    _profiles(axes[0, 1], *drawn["dual"])
    axes[0, 1].set(title="two pore systems: macropores ●, micropores ■", xlabel="depth, m")
    _profiles(axes[1, 0], *drawn["Mandel"])
    axes[1, 0].set(title="Mandel's slab", xlabel="distance from the middle, m")
    states, exact, _ = drawn["Mandel"]
    times = np.array([state.t for state in states])
    axes[1, 1].semilogx(times / exact.time, [exact.pressure(0.0, t) / 1e6 for t in times], "k", label="series")
    axes[1, 1].semilogx(times[::8] / exact.time, np.array(middle)[::8] / 1e6, "o", markersize=4, label="femnn")
    axes[1, 1].axhline(exact.undrained_pressure / 1e6, color="grey", linewidth=0.8, linestyle="--", label="undrained")
    axes[1, 1].set(title="Mandel-Cryer effect in the middle", xlabel="time over a²/c", ylabel="pressure, MPa")
    axes[1, 1].legend()
    handles = [Line2D([], [], color=f"C{k}", marker="o", linewidth=1, markersize=4) for k in range(len(SHOWN))]
    labels = [f"{share:g}" for share in SHOWN]
    title = "time over the characteristic one; lines: closed solutions, points: femnn"
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN), title=title)
    save(figure, path)


def _profiles(axes, states, exact, place):
    """Pressures over the place at the shown times: computed points on lines of the closed solution."""
    fine = np.linspace(0.0, place.max(), 400)
    nodes = np.unique(place, return_index=True)[1]
    times = np.array([state.t for state in states])
    for number, share in enumerate(SHOWN):
        state = states[np.abs(times - share * exact.time).argmin()]
        expected = np.atleast_2d(exact.pressure(fine, state.t))
        for own, found, line, marker in zip(expected, state.p, ("-", "--"), ("o", "s"), strict=False):
            axes.plot(fine, own / 1e6, line, color=f"C{number}", linewidth=1)
            axes.plot(place[nodes], found[nodes] / 1e6, marker, color=f"C{number}", markersize=3)
    axes.set_ylabel("pressure, MPa")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=30, help="cells along the flow [30]")
    parser.add_argument(
        "--steps", type=int, default=300, help="time steps, of growing length, up to the characteristic time [300]"
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of picture and VTU files [results]")
    given = parser.parse_args()
    main(given.cells, given.steps, given.out)
