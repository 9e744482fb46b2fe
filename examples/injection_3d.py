"""Twenty years of injection between two sealing faults in three dimensions: when and where they slip.

    python examples/injection_3d.py --small --out results
    python examples/injection_3d.py --law classical --law recurrent --cells 60 28 30

A block of rock with two pore systems, 800 × 600 × 500 m of hexahedra, has two faults that dip with 60 degrees towards
each other and end inside it. The rock presses on them with 10.5 MPa and shears them with 4.3 MPa; friction is 0.5.
A well between them feeds the macropores; the west and the east side of the block keep their pressure. Sliding cracks
the cores of the faults, and fluid passes. The faults carry a classical law, or the recurrent network that learned it.
ParaView opens the PVD files, of the block and of the faults. After every step a restart file is written: a run that was
stopped goes on from there when it is started again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import skfem
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

import femnn
from femnn.io import atomic_write
from femnn.plotting import save
from femnn.reservoir import Conditions, DualPorousMedium, Series, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    Fault,
    FaultedReservoir,
    FaultSeries,
    load_state,
    save_state,
)

YEAR = 365.25 * 86400.0
SIZE, FAULTS = np.array([800.0, 600.0, 500.0]), {"west": -150.0, "east": 150.0}
# extents of a fault along the second and third axis, and its dip: m per m of height, 60 degrees
LENGTH, HEIGHT, DIP = 350.0, 300.0, 1.0 / np.tan(np.pi / 3.0)
ROCK = {
    "young": 10e9,
    "poisson": 0.25,
    "grain_bulk": 36e9,
    "porosity": 0.2,
    "permeability": 1e-15,
    "macro_fraction": 0.3,
    "micro_permeability": 1e-17,
    "exchange": 1e-18,
}
# effective stress in situ; m³/s into the macropores, from the start to half of the time
STRESS, RATE, YEARS = np.diag([-8e6, -12e6, -18e6]), 4e-3, 20.0
# of the classical law: strength in opening, and sliding after which only friction is left
STRENGTH, SLIDING = 10e6, 0.05
SLIPS = 1e-3
LAWS = ("classical", "recurrent")


def law_of(name):
    """A law by its name in :data:`LAWS`, in the units of these faults."""
    learned = femnn.RecurrentCohesive.load("default")
    if name == "recurrent":
        return learned.rescaled(separation_scale=SLIDING, traction_scale=STRENGTH)
    given = learned.reference().parameters
    stress, length = STRENGTH / learned.traction_scale, SLIDING / learned.separation_scale
    factors = {"strength": stress, "toughness": stress * length, "stiffness": stress / length}
    return femnn.BilinearCohesive(**{key: factors.get(key.rpartition("_")[2], 1.0) * own for key, own in given.items()})


def mesh_of(cells):
    """Hexahedra that follow the dip of the faults, which have the names of :data:`FAULTS`."""
    x, y, z = (np.linspace(-0.5 * size, 0.5 * size, count + 1) for size, count in zip(SIZE, cells, strict=True))
    # columns of vertices that stand on the faults
    places = {name: x[np.abs(x - place).argmin()] for name, place in FAULTS.items()}
    for name, place in FAULTS.items():
        x[x == places[name]] = place
    mesh = skfem.MeshHex.init_tensor(x, y, z)
    corners = mesh.p[:, mesh.facets]
    centre, spread = corners.mean(axis=1), np.ptp(corners, axis=1)
    outer = mesh.boundary_facets()
    sides = {
        "left": outer[centre[0, outer] == x[0]],
        "right": outer[centre[0, outer] == x[-1]],
        "front": outer[centre[1, outer] == y[0]],
        "back": outer[centre[1, outer] == y[-1]],
        "bottom": outer[centre[2, outer] == z[0]],
    }
    within = (np.abs(centre[1]) < 0.5 * LENGTH) & (np.abs(centre[2]) < 0.5 * HEIGHT) & (spread[0] == 0.0)
    sides |= {name: np.flatnonzero(within & (centre[0] == place)) for name, place in FAULTS.items()}
    # a hat of height 1 over each fault, 0 on the sides and in the middle: one fault dips to the east, one to the west
    hats = sum(
        np.sign(place) * np.interp(mesh.p[0], sorted({x[0], 0.0, place, x[-1]}), _hat(place))
        for place in FAULTS.values()
    )
    p = mesh.p.copy()
    p[0] += DIP * p[2] * hats
    return skfem.MeshHex(p, mesh.t).with_boundaries(sides)


def _hat(place):
    """1 at a fault, 0 at the sides and in the middle of the block, in their order."""
    return [0.0, 1.0, 0.0, 0.0] if place < 0.0 else [0.0, 0.0, 1.0, 0.0]


def reservoir_of(law, cells):
    """The problem: smooth sides and base, the west and the east keep their pressure."""
    interface = femnn.Interface.split(mesh_of(cells), list(FAULTS))
    slid = np.array([[0.0, share * SLIDING, 0.0] for share in np.linspace(0.1, 1.0, 10)])
    cores = CrackedCore(1e-20, 1.0, spacing=10.0, opening=0.1, dilation=5e-4), ConstantCore(1e-21, 1.0)
    faults = [Fault(interface.named(name), law, cores, stress=STRESS, history=slid, pressure="mean") for name in FAULTS]
    held = {"left": (0.0, None, None), "right": (0.0, None, None), "bottom": (None, None, 0.0)}
    held |= {"front": (None, 0.0, None), "back": (None, 0.0, None)}
    conditions = Conditions(
        displacement=held,
        pressure={"left": 0.0, "right": 0.0},
        wells=[Well((20.0, 10.0, 5.0), (lambda x, t: RATE * (t <= 0.5 * YEARS * YEAR), None))],
    )
    return FaultedReservoir(
        DualPorousMedium(**ROCK), conditions, faults, element=skfem.ElementHex1(), largest_slip=0.2 * SLIDING
    )


def follow(name, cells, steps, out, stop=None, progress=True):
    """Inject with a law; rows of figures by time. ``stop``: steps after which the run ends, to go on later."""
    reservoir, out = reservoir_of(law_of(name), cells), Path(out)
    restart, figures = out / f"injection-3d-{name}.npz", out / f"injection-3d-{name}.json"
    rows, state, start = [], reservoir.initial_state(), None
    if restart.exists() and figures.exists():
        state = load_state(restart, reservoir)
        rows, start = json.loads(figures.read_text(encoding="utf-8")), state.t
    writers = [
        Series(out / f"injection-3d-{name}.pvd", reservoir.porous, start=start),
        FaultSeries(out / f"injection-3d-{name}-faults.pvd", reservoir, start=start),
    ]
    before, made = state, 0

    def keep(state):
        nonlocal before, made
        rows.append(_row(reservoir, before, state))
        before, made = state, made + 1
        for own in writers:
            own.write(state)
        with atomic_write(figures) as temporary:
            temporary.write_text(json.dumps(rows), encoding="utf-8")
        save_state(restart, state)
        return stop is not None and made >= stop

    # the steps grow from months to years, and again when the well is shut
    half = 0.5 * YEARS * YEAR * np.linspace(0.0, 1.0, steps // 2 + 1)[1:] ** 2
    march(reservoir.step, state, np.concatenate([half, half[-1] + half]), callback=keep, progress=progress)
    return reservoir, before, rows


def _row(reservoir, old, new):
    fields = reservoir.fields(new)
    row = {"years": new.t / YEAR, "balance": float(reservoir.balance(old, new).error.max())}
    for fault, part in zip(FAULTS, reservoir.points.parts, strict=True):
        slip, area = fields.slip[part], reservoir.points.dx[part]
        row[fault] = {
            "slip": float(slip.max()),
            "slipping area": float(area[slip > SLIPS].sum()),
            "pressure": float(fields.pressure[:, 0, part].mean(axis=0).max()),
            "leak-off": abs(float(fields.leak_off[0, part] @ area)),
        }
    return row


def main(laws=("classical",), cells=(60, 28, 30), steps=80, out="results", stop=None, progress=True):
    """Rows of figures by time for each law; writes a picture, the series and restart files.

    Parameters
    ----------
    laws
        Names in :data:`LAWS`.
    cells
        Along the three axes.
    steps
        Time steps; where a fault slides far they are cut.
    out
        Folder of what is written; runs go on from the restart files in it.
    stop
        End each run after so many steps.
    """
    runs = {name: follow(name, cells, steps, out, stop, progress) for name in laws}
    for name, (_, _, rows) in runs.items():
        onset = next((row["years"] for row in rows if max(row[fault]["slip"] for fault in FAULTS) > SLIPS), np.nan)
        last = ", ".join(f"{fault} {1e3 * rows[-1][fault]['slip']:.3g} mm" for fault in FAULTS)
        balance = max(row["balance"] for row in rows)
        print(f"{name}: slips from {onset:.3g} years on; after {rows[-1]['years']:.3g}: {last}; balance {balance:.0e}")
    _draw(Path(out) / "injection-3d.png", runs)
    return {name: rows for name, (_, _, rows) in runs.items()}


def _draw(path, runs):
    figure = Figure(figsize=(13, 7), layout="constrained")
    axes = figure.subplots(2, 3)
    reservoir, state, _ = next(iter(runs.values()))
    fields = reservoir.fields(state)
    for axis, (fault, part) in zip(axes[:, 0], zip(FAULTS, reservoir.points.parts, strict=True), strict=True):
        own = reservoir.points.interface.named(fault)
        corners = own.mesh.p[1:, own.minus_vertices].transpose(1, 2, 0)
        slip = 1e3 * fields.slip[part].reshape(len(own), -1).mean(axis=1)
        drawn = axis.add_collection(PolyCollection(corners, array=slip))
        axis.autoscale()
        figure.colorbar(drawn, ax=axis, label="slip, mm")
        axis.set(title=f"{fault} fault at the end", xlabel="along it, m", ylabel="height, m", aspect="equal")
    shown = (
        ("slip", 1e3, "largest slip, mm"),
        ("slipping area", 1.0, "area that has slipped, m²"),
        ("pressure", 1e-6, "highest pressure, MPa"),
        ("leak-off", 1e3, "leak-off of the macropores, l/s"),
    )
    for axis, (key, factor, label) in zip(axes[:, 1:].ravel(), shown, strict=True):
        for number, (name, (_, _, rows)) in enumerate(runs.items()):
            years = [row["years"] for row in rows]
            for fault, style in zip(FAULTS, ("-", "--"), strict=True):
                values = [factor * row[fault][key] for row in rows]
                axis.plot(years, values, style, color=f"C{number}", label=f"{name}, {fault}")
        axis.set(xlabel="years", ylabel=label)
    axes[0, 1].legend()
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", action="append", choices=LAWS, help="law of the faults [classical]")
    parser.add_argument("--cells", nargs=3, type=int, default=(60, 28, 30), help="along the axes [60 28 30]")
    parser.add_argument("--steps", type=int, default=80, help="time steps [80]")
    parser.add_argument("--small", action="store_true", help="a coarse mesh and few steps, about a minute")
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="folder of picture, series, restarts [results]"
    )
    given = parser.parse_args()
    sizes = {"cells": (12, 8, 8), "steps": 16} if given.small else {"cells": given.cells, "steps": given.steps}
    main(given.law or ("classical",), out=given.out, **sizes)
