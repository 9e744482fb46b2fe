"""Injection beside a sealing fault: the fault slips, leaks and lets the pressure through.

    python examples/sealing_fault.py --law recurrent --law classical --out results
    python examples/sealing_fault.py --recurrent cohesive-rve --cracks cohesive-grains

A reservoir with two pore systems, 800 m wide and 500 m high, has a fault that dips with 60 degrees. The rock presses on
it with 10.5 MPa and shears it with 4.3 MPa; its friction is 0.5. A well feeds the macropores on the right. The pressure
reduces the compression until friction is too weak; sliding cracks the core of the fault, and fluid passes.
The fault carries a classical law, a recurrent network, or a cell with cracks in it that is solved at every integration
point. By default the network is the one that learned the classical law, and the cell has one crack with that law; the
second command takes a network that learned the cell of blocks whose cracks carry a law of grains, and that cell.
A small case is computed with all three, and their histories are compared. ParaView opens the PVD files, of the
reservoir and of the fault.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skfem
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

import femnn
from femnn.exceptions import ParameterError
from femnn.interfaces import facet_gauss
from femnn.multiscale.rve import RVE, FaultCell, RVELaw, parallel_cracks
from femnn.plotting import save
from femnn.reservoir import Conditions, DualPorousMedium, Series, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    Fault,
    FaultedReservoir,
    FaultedState,
    FaultHistory,
    FaultSeries,
    save_state,
)

DAY = 86400.0
WIDTH, HEIGHT, FAULT = 800.0, 500.0, 300.0
# m per m of height: 60 degrees
DIP = 1.0 / np.tan(np.pi / 3.0)
ROCK = {
    "young": 10e9,
    "poisson": 0.25,
    "grain_bulk": 36e9,
    "porosity": 0.2,
    "permeability": 1e-14,
    "macro_fraction": 0.3,
    "micro_permeability": 1e-16,
    "exchange": 1e-17,
}
# effective stress in situ, horizontal and vertical; injection in m³/s per metre, into a fault of grains (they rub more)
# too; days to it
STRESS, RATE, GRAIN_RATE, DAYS = np.diag([-8e6, -18e6]), 1.2e-4, 1.6e-4, 40.0
SHOWN_DAY = 5.0
# of the classical law: strength in opening, and sliding after which only friction is left
STRENGTH, SLIDING = 10e6, 0.05
# of layers of grains: pressure in situ and diameter
PRESSURE, GRAIN = 10.5e6, 5e-3
FRICTION = 0.5

LAWS = ("classical", "recurrent", "rve")
SHOWN = {"classical": "classical law", "recurrent": "recurrent law", "rve": "RVE in the loop"}


class Run(NamedTuple):
    """A reservoir, its state after :data:`SHOWN_DAY` days, its history, and the worst mass balance of a step."""

    reservoir: FaultedReservoir
    moment: FaultedState
    history: FaultHistory
    balance: float


def law_of(name, recurrent="default", cracks=None):
    """A law by its name in :data:`LAWS`, in the units of this fault; for the others see :func:`main`."""
    if name == "recurrent":
        return _in_units(femnn.RecurrentCohesive.load(recurrent))
    if name == "rve" and cracks is not None:
        learned, macro = (femnn.RecurrentCohesive.load(given) for given in (cracks, recurrent))
        behind = macro.card["data"].get("law")
        if behind != learned.name:
            raise ParameterError(f"{macro.name} learned a cell whose cracks have {behind}, not {learned.name}")
        cell = FaultCell.around(learned)
        cell = replace(cell, size=GRAIN * cell.size, young=PRESSURE * cell.young, filling=None, matrix=None)
        return RVELaw(cell.rve(_in_units(learned)))
    learned = femnn.RecurrentCohesive.load("default")
    given = learned.reference().parameters
    stress, length = STRENGTH / learned.traction_scale, SLIDING / learned.separation_scale
    factors = {"strength": stress, "toughness": stress * length, "stiffness": stress / length}
    law = femnn.BilinearCohesive(**{key: factors.get(key.rpartition("_")[2], 1.0) * own for key, own in given.items()})
    if name == "classical":
        return law
    # so thin that its blocks hardly give
    return RVELaw(RVE(parallel_cracks(0.02, 0.01, columns=3, rows=2), law, ROCK["young"], ROCK["poisson"]))


def _in_units(law):
    """A learned law with the scales of this fault."""
    if law.precompressed is None:
        return law.rescaled(separation_scale=SLIDING, traction_scale=STRENGTH)
    return law.rescaled(separation_scale=GRAIN, traction_scale=PRESSURE)


def mesh_of(columns, rows):
    """Quadrilaterals that follow the dip of the fault, its facets named ``fault``."""
    x, y = np.linspace(-WIDTH / 2, WIDTH / 2, columns + 1), np.linspace(-HEIGHT / 2, HEIGHT / 2, rows + 1)
    mesh = skfem.MeshQuad.init_tensor(x, y)
    middle = mesh.p[:, mesh.facets].mean(axis=1)
    sides = {
        "left": middle[0] == x[0],
        "right": middle[0] == x[-1],
        "bottom": middle[1] == y[0],
        "top": middle[1] == y[-1],
        "fault": (middle[0] == 0.0) & (np.abs(middle[1]) < FAULT / 2),
    }
    sides["fault"] &= np.ptp(mesh.p[0, mesh.facets], axis=0) == 0.0
    sheared = mesh.p[0] + DIP * mesh.p[1] * (1.0 - 2.0 * np.abs(mesh.p[0]) / WIDTH)
    boundaries = {name: np.flatnonzero(own) for name, own in sides.items()}
    return skfem.MeshQuad(np.array([sheared, mesh.p[1]]), mesh.t).with_boundaries(boundaries)


def reservoir_of(law, columns, rows):
    """The problem: far sides keep their pressure, the base and they are smooth."""
    # a cohesive fault has slid before, until no cohesion was left; a layer of grains has none
    grains = law.update(np.zeros((1, 3)), law.initial_state(1)).traction.any()
    slid = None if grains else np.array([[0.0, share * SLIDING, 0.0] for share in np.linspace(0.1, 1.0, 10)])
    conditions = Conditions(
        displacement={"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)},
        pressure={"left": 0.0, "right": 0.0},
        wells=[Well((80.0, 10.0), (GRAIN_RATE if grains else RATE, None))],
    )
    cores = CrackedCore(1e-20, 1.0, spacing=10.0, opening=0.1, dilation=5e-4), ConstantCore(1e-21, 1.0)
    interface = femnn.Interface.split(mesh_of(columns, rows), "fault")
    # two points on each facet: fewer cells to solve
    # a homogeneous core, its middle slides
    fault = Fault(interface, law, cores, stress=STRESS, history=slid, pressure="mean", quadrature=facet_gauss(2))
    return FaultedReservoir(DualPorousMedium(**ROCK), conditions, fault)


def follow(reservoir, steps, out=None, name="", series="pvd", progress=True):
    """Inject for :data:`DAYS` days; series of files and a restart file in ``out``."""
    state, history = reservoir.initial_state(), FaultHistory(reservoir)
    history.add(state)
    writers = [] if out is None else [
        Series(Path(out) / f"sealing-fault-{name}.{series}", reservoir.porous),
        FaultSeries(Path(out) / f"sealing-fault-{name}-fault.{series}", reservoir),
    ]  # fmt: skip
    before, worst, moment = state, 0.0, state

    def keep(state):
        nonlocal before, worst, moment
        moment = state if state.t <= SHOWN_DAY * DAY else moment
        worst, before = max(worst, reservoir.balance(before, state).error.max()), state
        for own in writers:
            own.write(state)
        if out is not None:
            save_state(Path(out) / f"sealing-fault-{name}.npz", state)
        return history.add(state)

    times = DAY * DAYS * np.arange(1, steps + 1) / steps
    march(reservoir.step, state, times, callback=keep, progress=progress)
    return Run(reservoir, moment, history, worst)


def differences(found, wanted):
    """Of the histories of two runs: largest slip and pressure of the macropores on the fault, in L2 and at most."""
    result = {}
    for what, of_run in (("slip", _slip), ("pressure", _pressure)):
        times = wanted.history.times
        a, b = np.interp(times, found.history.times, of_run(found)), of_run(wanted)
        result[f"{what}, L2"] = float(np.linalg.norm(a - b) / np.linalg.norm(b))
        result[f"{what}, max"] = float(np.abs(a - b).max() / np.abs(b).max())
    return result


def _slip(run):
    return run.history.slip.max(axis=1)


def _pressure(run):
    return run.history.pressure[:, :, 0].mean(axis=1).max(axis=1)


def _figures(run):
    history = run.history
    return {
        "onset, days": np.nan if history.onset is None else history.onset / DAY,
        "slip, mm": 1e3 * history.slip.max(),
        "pressure, MPa": _pressure(run).max() / 1e6,
        "mass balance": run.balance,
        "outside": max(history.outside),
    }


def main(
    laws=("classical", "recurrent"),
    cells=(48, 40),
    steps=120,
    small=(8, 10, 15),
    recurrent="default",
    cracks=None,
    out=None,
    series="pvd",
    progress=True,
):
    """Figures by law, and what the recurrent law's histories of the small case miss; writes a picture and the series.

    Parameters
    ----------
    laws
        Names in :data:`LAWS`.
    cells, steps
        Columns and rows of the mesh, time steps.
    small
        Columns, rows and steps of the small case; None leaves it out.
    recurrent
        Name or file of the recurrent law.
    cracks
        Name or file of the law of the cracks in the cell; None: one crack with the classical law.
    out, series
        Folder of what is written, None for nothing; ``"pvd"`` (VTU files) or ``"xdmf"``.
    """
    # a law of grains has nothing to do with the classical one
    known = LAWS if cracks is None else LAWS[1:]
    made = {name: law_of(name, recurrent, cracks) for name in (*laws, *(known if small else ()))}
    runs = {name: follow(reservoir_of(made[name], *cells), steps, out, name, series, progress) for name in laws}
    figures = {name: _figures(run) for name, run in runs.items()}
    _print(figures)
    compared = {}
    if small is not None:
        *size, count = small
        little = {name: follow(reservoir_of(made[name], *size), count, progress=progress) for name in known}
        print("small case")
        _print({name: _figures(run) for name, run in little.items()})
        compared = {
            f"recurrent law / {SHOWN[name]}": differences(little["recurrent"], little[name])
            for name in known
            if name != "recurrent"
        }
        _print(compared)
    if out is not None:
        _draw(Path(out) / "sealing-fault.png", runs)
    return figures, compared


def _print(rows):
    for name, row in rows.items():
        print(f"{name:28}" + "".join(f"  {key} {value:.3g}" for key, value in row.items()))


def _draw(path, runs):
    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    first = next(iter(runs.values()))
    for place, system in enumerate(first.reservoir.systems):
        _map(figure, axes[0, place], first, place, f"{system}pores after {SHOWN_DAY:g} days")
    for number, (name, run) in enumerate(runs.items()):
        style = {
            "color": f"C{number}",
            "label": SHOWN[name],
            "linestyle": ("-", "--", ":")[number % 3],
        }
        _histories(axes, run, style)
    sigma = np.linspace(0.0, 1.1 * -first.history.traction[0, :, 0].min(), 2)
    axes[1, 1].plot(sigma / 1e6, FRICTION * sigma / 1e6, color="grey", linewidth=0.8, label=f"Coulomb, {FRICTION}")
    axes[0, 2].set(title="slip after 10, 20, 30, 40 days", xlabel="depth below the top, m", ylabel="slip, mm")
    axes[1, 0].set(title="largest slip", xlabel="days", ylabel="slip, mm")
    axes[1, 1].set(title="where it slips most", xlabel="effective pressure, MPa", ylabel="shear traction, MPa")
    axes[1, 2].set(title="macropores on the fault: right (above), left", xlabel="days", ylabel="pressure, MPa")
    axes[1, 1].legend(loc="lower right")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    save(figure, path)


def _map(figure, axes, run, system, title):
    mesh = run.reservoir.porous.displacement_basis.mesh
    triangles = np.concatenate([mesh.t[[0, 1, 2]], mesh.t[[0, 2, 3]]], axis=1).T
    drawn = axes.tripcolor(Triangulation(*mesh.p, triangles), run.moment.p[system] / 1e6, shading="gouraud")
    interface = run.reservoir.points.interface
    axes.plot(*mesh.p[:, interface.minus_vertices].transpose(0, 2, 1), color="w", linewidth=1.5)
    figure.colorbar(drawn, ax=axes, location="bottom", label="pressure over that at rest, MPa")
    axes.set(title=title, aspect="equal", xlabel="x, m", ylabel="y, m")


def _histories(axes, run, style):
    history, days = run.history, np.array(run.history.times) / DAY
    x = history.fields[0].x
    order, worst = np.argsort(x[1]), history.slip[-1].argmax()
    last = len(days) - 1
    for share in range(1, 5):
        label = {"label": style["label"] if share == 4 else None, "alpha": 0.25 * share}
        axes[0, 2].plot(HEIGHT / 2 - x[1, order], 1e3 * history.slip[share * last // 4, order], **{**style, **label})
    axes[1, 0].plot(days, 1e3 * history.slip.max(axis=1), **style)
    outside = np.array(history.outside) > 0
    axes[1, 0].plot(days[outside], 1e3 * history.slip.max(axis=1)[outside], "x", color=style["color"])
    traction = history.traction[:, worst]
    axes[1, 1].plot(-traction[:, 0] / 1e6, np.abs(traction[:, 1]) / 1e6, **style)
    for side in range(2):
        axes[1, 2].plot(days, history.pressure[:, side, 0, worst] / 1e6, **style)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", action="append", choices=LAWS, help="law of the large case [classical and recurrent]")
    parser.add_argument("--recurrent", default="default", help="name or weight file of the recurrent law [default]")
    parser.add_argument(
        "--cracks", help="name or weight file of the law in the cracks of a cell [one crack with the classical law]"
    )
    parser.add_argument("--small", action="store_true", help="a coarse mesh and few steps, about a minute")
    parser.add_argument("--series", choices=("pvd", "xdmf"), default="pvd", help="kind of series [pvd]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of picture and series [results]")
    given = parser.parse_args()
    sizes = {"cells": (16, 20), "steps": 30} if given.small else {}
    laws = given.law or ("classical", "recurrent")
    main(laws, recurrent=given.recurrent, cracks=given.cracks, out=given.out, series=given.series, **sizes)
