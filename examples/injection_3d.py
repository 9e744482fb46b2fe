"""Twenty years of injection into a graben between two sealing faults: when and where they slip.

    python meshes/generate.py graben --out results
    python examples/injection_3d.py --mesh results/graben.vtu --law classical --law chain --out results
    python examples/injection_3d.py --small

A block of rock with two pore systems, 1,000 × 600 × 500 m in 51,000 hexahedra: sand under a seal, and between two
faults, which dip with 60 degrees towards each other and end inside the block, a compartment that has sunk by 45 m. The
rock presses on the faults with about 10.5 MPa and shears them with 4.3 MPa. A well feeds the macropores of the sunken
sand, every five years at a higher rate; the west and the east side of the block keep their pressure. Sliding cracks
the cores of the faults, and fluid passes. The faults carry a classical law with a friction of 0.5, the recurrent
network that learned it, or the law at the end of the chain from grains to cells.
ParaView opens the PVD files, of the block and of the faults. After every step a restart file is written: a run that was
stopped goes on from there when it is started again. The first command makes the mesh and needs gmsh, ``--small`` has a
coarse one of its own.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import skfem
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

import femnn
from femnn.io import atomic_write
from femnn.plotting import save
from femnn.reservoir import Conditions, DualPorousMedium, Schedule, Series, Well, march
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
# of the coarse mesh: the block, places of the faults at half its height, their lengths along the strike and their
# heights, and their dip: m per m of height, 60 degrees
SIZE, FAULTS = np.array([1000.0, 600.0, 500.0]), {"west": -240.0, "east": 240.0}
LENGTH, HEIGHT, DIP = 400.0, 320.0, 1.0 / np.tan(np.pi / 3.0)
# bottom and top of its sand, and how far it has sunk between the faults
SAND, THROW = (-60.0, 60.0), 45.0
ROCK = {"young": 10e9, "poisson": 0.25, "grain_bulk": 36e9, "porosity": 0.2, "macro_fraction": 0.3}
# of sand and seal, m²
PERMEABILITY = {"permeability": (1e-14, 1e-18), "micro_permeability": (1e-16, 1e-19), "exchange": (1e-18, 1e-19)}
# effective stress in situ; rates into the macropores, m³/s, each for as many years
STRESS, RATES, YEARS = np.diag([-8e6, -12e6, -18e6]), (3.0e-3, 4.5e-3, 6.0e-3, 8.0e-3), 20.0
WELL = (10.0, 20.0, -45.0)
# of the classical law: strength in opening, and sliding after which only friction is left; of the layers of grains in
# the chain: pressure in situ and diameter
STRENGTH, SLIDING, PRESSURE, GRAIN = 10e6, 0.05, 10.5e6, 5e-3
SLIPS = 1e-3
# sliding in one step, beyond which it is cut
LARGEST_SLIP = 0.2 * SLIDING
# points of a cell that depend on nothing but the cell
RULE = femnn.AdaptiveGauss(calibrate="families")
LAWS = ("classical", "recurrent", "chain")


def law_of(name):
    """A law by its name in :data:`LAWS`, in the units of these faults."""
    if name == "chain":
        return femnn.RecurrentCohesive.load("rve").rescaled(separation_scale=GRAIN, traction_scale=PRESSURE)
    learned = femnn.RecurrentCohesive.load("default")
    if name == "recurrent":
        return learned.rescaled(separation_scale=SLIDING, traction_scale=STRENGTH)
    given = learned.reference().parameters
    stress, length = STRENGTH / learned.traction_scale, SLIDING / learned.separation_scale
    factors = {"strength": stress, "toughness": stress * length, "stiffness": stress / length}
    return femnn.BilinearCohesive(**{key: factors.get(key.rpartition("_")[2], 1.0) * own for key, own in given.items()})


def coarse_mesh(cells):
    """Hexahedra that follow the dip of the faults, with the names that ``meshes/graben.py`` gives as well."""
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
    middle = mesh.p[:, mesh.t].mean(axis=1)
    level = middle[2] + np.where(np.abs(middle[0]) < FAULTS["east"], THROW, 0.0)
    sand = np.flatnonzero((level > SAND[0]) & (level < SAND[1]))
    # a hat of height 1 over each fault, 0 on the sides and in the middle
    hats = sum(
        np.sign(place) * np.interp(mesh.p[0], sorted({x[0], 0.0, place, x[-1]}), _hat(place))
        for place in FAULTS.values()
    )
    p = mesh.p.copy()
    p[0] += DIP * p[2] * hats
    return skfem.MeshHex(p, mesh.t).with_boundaries(sides).with_subdomains({"sand": sand})


def _hat(place):
    """1 at a fault, 0 at the sides and in the middle of the block, in their order."""
    return [0.0, 1.0, 0.0, 0.0] if place < 0.0 else [0.0, 0.0, 1.0, 0.0]


def reservoir_of(law, mesh):
    """The problem: smooth sides and base, the west and the east keep their pressure."""
    interface = femnn.Interface.split(mesh, list(FAULTS))
    faults = faults_of(law, [interface.named(name) for name in FAULTS])
    options = {"element": skfem.ElementHex1(), "rule": RULE, "largest_slip": LARGEST_SLIP}
    return FaultedReservoir(rock_of(sand_of(mesh)), conditions(), faults, **options)


def sand_of(mesh):
    """Which cells are of sand, bool (n,)."""
    is_sand = np.zeros(mesh.nelements, dtype=bool)
    is_sand[mesh.subdomains["sand"]] = True
    return is_sand


def rock_of(is_sand):
    """Sand and seal, cell by cell."""
    return DualPorousMedium(**ROCK, **{name: np.where(is_sand, *pair) for name, pair in PERMEABILITY.items()})


def faults_of(law, interfaces):
    """The faults in situ."""
    # a cohesive fault has slid before, until no cohesion was left; a layer of grains has none
    grains = law.update(np.zeros((1, 3)), law.initial_state(1)).traction.any()
    slid = None if grains else np.array([[0.0, share * SLIDING, 0.0] for share in np.linspace(0.1, 1.0, 10)])
    cores = CrackedCore(1e-20, 1.0, spacing=10.0, opening=0.02, dilation=5e-4), ConstantCore(1e-21, 1.0)
    return [Fault(own, law, cores, stress=STRESS, history=slid) for own in interfaces]


def conditions():
    """Smooth sides, the pressure at the west and the east side, and the well."""
    held = {"left": (0.0, None, None), "right": (0.0, None, None), "bottom": (None, None, 0.0)}
    held |= {"front": (None, 0.0, None), "back": (None, 0.0, None)}
    return Conditions(
        displacement=held, pressure={"left": 0.0, "right": 0.0}, wells=[Well(WELL, (planned_rate(), None))]
    )


def planned_rate():
    """The rate of the well over the years, m³/s."""
    edges = YEAR * YEARS * np.linspace(0.0, 1.0, len(RATES) + 1)
    return Schedule(list(zip(edges[:-1], edges[1:], RATES, strict=True)))


def planned_times(steps):
    """Ends of the steps, s: they grow from months to a year, and again after every change of the rate."""
    edges = planned_rate().edges
    shares = np.linspace(0.0, 1.0, max(steps // len(RATES), 1) + 1)[1:] ** 2
    return np.concatenate([start + (end - start) * shares for start, end in pairwise(edges)])


def follow(name, mesh, steps, out, stop=None, progress=True):
    """Inject with a law; rows of figures by time. ``stop``: steps after which the run ends, to go on later."""
    reservoir, out = reservoir_of(law_of(name), mesh), Path(out)
    restart, figures = out / f"injection-3d-{name}.npz", out / f"injection-3d-{name}.json"
    rows, state, start = [], reservoir.initial_state(), None
    if restart.exists() and figures.exists():
        state = load_state(restart, reservoir)
        # a run that was killed may have left a row whose state was not written any more
        rows = [row for row in json.loads(figures.read_text(encoding="utf-8")) if row["years"] * YEAR < 1.0 + state.t]
        start = state.t
    writers = [
        Series(out / f"injection-3d-{name}.pvd", reservoir.porous, start=start),
        FaultSeries(out / f"injection-3d-{name}-faults.pvd", reservoir, start=start),
    ]
    before, made, begun = state, 0, time.process_time()

    def keep(state):
        nonlocal before, made, begun
        for own in writers:
            own.write(state)
        spent = time.process_time() - begun
        rows.append(figures_of(reservoir, before, state) | {"iterations": reservoir.iterations, "seconds": spent})
        before, made, begun = state, made + 1, time.process_time()
        with atomic_write(figures) as temporary:
            temporary.write_text(json.dumps(rows), encoding="utf-8")
        save_state(restart, state)
        return stop is not None and made >= stop

    march(reservoir.step, state, planned_times(steps), callback=keep, progress=progress)
    return reservoir, before, rows


def figures_of(reservoir, old, new):
    """Figures of a step."""
    fields, sites = reservoir.fields(new), reservoir.sites
    row = {"years": new.t / YEAR, "balance": float(reservoir.balance(old, new).error.max())}
    for fault, part in zip(FAULTS, sites.parts, strict=True):
        slip, area = fields.slip[part], sites.dx[part]
        row[fault] = {
            "slip": float(slip.max()),
            "slipping area": float(area[slip > SLIPS].sum()),
            "pressure": float(fields.pressure[:, 0, part].max()),
            "leak-off": abs(float(fields.leak_off[0, part] @ area)),
        }
    return row


def main(laws=("classical",), mesh=None, cells=(12, 8, 10), steps=16, out="results", stop=None, progress=True):
    """Rows of figures by time for each law; writes a picture, the series and restart files.

    Parameters
    ----------
    laws
        Names in :data:`LAWS`.
    mesh
        File that ``meshes/generate.py graben`` made; None for a coarse mesh.
    cells
        Of the coarse mesh along the three axes.
    steps
        Time steps; where a fault slides far they are cut.
    out
        Folder of what is written; runs go on from the restart files in it.
    stop
        End each run after so many steps.
    """
    mesh = coarse_mesh(cells) if mesh is None else femnn.read_mesh(mesh)
    runs = {name: follow(name, mesh, steps, out, stop, progress) for name in laws}
    for name, (_, _, rows) in runs.items():
        print(f"{name}: {told(rows)} of processor time")
    _draw(Path(out) / "injection-3d.png", runs)
    return {name: rows for name, (_, _, rows) in runs.items()}


def told(rows):
    """What came of a run, in words."""
    onset = next((row["years"] for row in rows if max(row[fault]["slip"] for fault in FAULTS) > SLIPS), None)
    slips = "does not slip" if onset is None else f"slips from {onset:.3g} years on"
    last = ", ".join(f"{fault} {1e3 * rows[-1][fault]['slip']:.3g} mm" for fault in FAULTS)
    balance, minutes = max(row["balance"] for row in rows), sum(row["seconds"] for row in rows) / 60.0
    return (
        f"{slips}; after {rows[-1]['years']:.3g}: {last}; balance {balance:.0e}; {len(rows)} steps, "
        f"{minutes:.3g} minutes"
    )


def _draw(path, runs):
    figure = Figure(figsize=(15, 12), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1.0, 1.1, 0.9))
    reservoir, state, _ = next(iter(runs.values()))
    for axis, system in zip(top.subplots(1, 2), range(2), strict=True):
        _section(axis, reservoir, state, system)
    for axis, (name, fault) in zip(
        np.ravel(middle.subplots(1, 2 * len(runs))), ((a, b) for a in runs for b in FAULTS), strict=True
    ):
        _patch(axis, *runs[name][:2], name, fault)
    shown = (
        ("slip", 1e3, "largest slip, mm"),
        ("slipping area", 1e-3, "area that has slipped, 1000 m²"),
        ("pressure", 1e-6, "highest pressure, MPa"),
        ("leak-off", 1e3, "leak-off of the macropores, l/s"),
    )
    for axis, (key, factor, label) in zip(bottom.subplots(1, 4), shown, strict=True):
        for number, (name, (_, _, rows)) in enumerate(runs.items()):
            years = [row["years"] for row in rows]
            for fault, style in zip(FAULTS, ("-", "--"), strict=True):
                values = [factor * row[fault][key] for row in rows]
                axis.plot(years, values, style, color=f"C{number}", label=f"{name}, {fault}")
        axis.set(xlabel="years", ylabel=label)
        if key == "slip":
            axis.legend()
    save(figure, path)


def _section(axis, reservoir, state, system):
    """Pressure of a pore system in the middle of the block, across the faults."""
    basis = reservoir.porous.pressure_basis
    mesh = basis.mesh
    corners = mesh.p[:, mesh.facets]
    # facets of the layer of cells that ends in the middle
    cut = np.flatnonzero((np.abs(corners[1]) < 1e-6).all(axis=0))
    pressure = state.p[system, basis.nodal_dofs[0, mesh.facets[:, cut]]].mean(axis=0) / 1e6
    polygons = corners[:, :, cut][[0, 2]].transpose(2, 1, 0)
    drawn = axis.add_collection(PolyCollection(polygons, array=pressure, edgecolors="face", linewidths=0.2))
    sides = reservoir.points.interface.minus_vertices
    for ends in mesh.p[:, sides].transpose(1, 0, 2):
        on = ends[:, np.abs(ends[1]) < 1e-6]
        if on.shape[1] == 2:
            axis.plot(on[0], on[2], color="w", linewidth=1.5)
    axis.autoscale()
    axis.figure.colorbar(drawn, ax=axis, label="MPa")
    years = state.t / YEAR
    name = reservoir.systems[system]
    axis.set(title=f"pressure of the {name}pores after {years:.3g} years", xlabel="x, m", ylabel="height, m")
    axis.set_aspect("equal")


def _patch(axis, reservoir, state, law, fault):
    """Slip of a fault, seen along the first axis."""
    part = reservoir.points.parts[list(FAULTS).index(fault)]
    own = reservoir.points.interface.named(fault)
    corners = own.mesh.p[1:, own.minus_vertices].transpose(1, 2, 0)
    slip = 1e3 * reservoir.fields(state).slip[part].reshape(len(own), -1).mean(axis=1)
    drawn = axis.add_collection(PolyCollection(corners, array=slip, cmap="magma", edgecolors="face", linewidths=0.2))
    axis.autoscale()
    axis.figure.colorbar(drawn, ax=axis, label="slip, mm", location="bottom")
    axis.set(title=f"{law} law, {fault} fault", xlabel="along the strike, m", ylabel="height, m", aspect="equal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", action="append", choices=LAWS, help="law of the faults [classical and chain]")
    parser.add_argument("--mesh", type=Path, default=Path("results/graben.vtu"), help="[results/graben.vtu]")
    parser.add_argument("--cells", type=int, nargs=3, default=(12, 8, 10), help="of the coarse mesh [12 8 10]")
    parser.add_argument("--steps", type=int, help="time steps [24; 16 with --small]")
    parser.add_argument("--small", action="store_true", help="a coarse mesh and few steps, about a minute")
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="folder of picture, series, restarts [results]"
    )
    given = parser.parse_args()
    if not given.small and not given.mesh.exists():
        parser.error(
            f"{given.mesh} does not exist; make it: python meshes/generate.py graben --out {given.mesh.parent}"
        )
    sizes = {"cells": given.cells} if given.small else {"mesh": given.mesh}
    sizes["steps"] = given.steps or (16 if given.small else 24)
    main(given.law or ("classical", "chain"), out=given.out, **sizes)
