"""Beams that delaminate, with a classical or a recurrent cohesive law by swapping one name.

    python examples/cohesive_beams.py dcb enf mmb --law bilinear --law recurrent --out results

Double cantilever (mode I), end-notched flexure (mode II) and mixed-mode bending of AS4/PEEK, in plane strain. The
crack is followed by its dissipation, through the maximum of the load and, where the beam snaps back, around it. The
recurrent law was trained on the bilinear one; nothing else differs.
"""

import argparse
from pathlib import Path

import meshio
import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.assembly.interface_output import save_interface
from femnn.commands.beams import Beam, classical, closed_form, delaminate, mixed_mode
from femnn.files import atomic_write
from femnn.plotting import save
from femnn.tables import markdown

# Camanho & Dávila (NASA/TM-2002-211737), Table 2
AS4_PEEK = {
    "normal_strength": 80e6,
    "shear_strength": 100e6,
    "normal_toughness": 969.0,
    "shear_toughness": 1719.0,
    "friction": 0.5,
}

LAWS = {
    "bilinear": lambda: femnn.BilinearCohesive(**AS4_PEEK),
    "exponential": lambda: femnn.ExponentialCohesive(**AS4_PEEK),
    "recurrent": lambda: femnn.RecurrentCohesive.load("default"),
}
TITLES = {"dcb": "Double cantilever beam", "enf": "End-notched flexure", "mmb": "Mixed-mode bending"}


def main(tests=("dcb",), laws=("bilinear", "recurrent"), growth=5e-3, out=None, progress=True):
    """Run every test with every law; returns the results by test and law, and writes pictures and VTU files."""
    results = {}
    for test in tests:
        beam = Beam(test, growth=growth)
        results[test] = {name: delaminate(beam, LAWS[name](), progress=progress) for name in laws}
        print(f"\n{TITLES[test]}\n\n{_table(beam, results[test])}")
        if out is not None:
            _draw(Path(out) / f"{test}.png", beam, results[test])
            for name, result in results[test].items():
                _write(Path(out), f"{test}_{name}", result)
    return results


def plateau(result):
    """Energy release rate while the crack grows steadily, J/m²: the median over the last third of the growth."""
    grown = result.cracked if np.isfinite(result.cracked).all() else result.displacement
    return float(np.median(result.release[grown > grown[0] + 0.67 * (grown[-1] - grown[0])]))


def difference(one, other):
    """Largest difference of two load-displacement curves at the same displacement, over the largest load.

    Where a beam snaps back, the displacement does not tell states apart: there loads are compared along the curves'
    own length.
    """
    curves = []
    for result in (one, other):
        d, p = (np.concatenate([[0.0], values]) for values in (result.displacement, result.load))
        d, p = d / one.displacement.max(), p / one.load.max()
        curves.append(np.stack([d, p], axis=1))
    # distance of each state of the second from the first curve, between the ends that both have reached
    a, b = curves[0][:-1], curves[0][1:]
    along = b - a
    to_point = curves[1][:, None] - a
    share = np.clip((to_point * along).sum(axis=2) / (along**2).sum(axis=1), 0.0, 1.0)
    gaps = np.linalg.norm(to_point - share[..., None] * along, axis=2).min(axis=1)
    reached = curves[1][:, 1] >= curves[0][-1, 1]
    rising = np.arange(len(gaps)) <= curves[1][:, 1].argmax()
    return float(gaps[reached | rising].max())


def _table(beam, results):
    rows = []
    for name, result in results.items():
        own = classical(LAWS[name]())
        rows.append(
            {
                "law": name,
                "load": result.load.max(),
                "release": plateau(result),
                "toughness": mixed_mode(beam, own, beam.crack + 0.5 * beam.growth)[1],
                "states": len(result.load),
                "iterations": int(result.iterations.sum()),
            }
        )
    columns = {
        "law": ("law", "{}"),
        "load": ("largest load, N/m", "{:,.0f}"),
        "release": ("G while growing, J/m²", "{:.1f}"),
        "toughness": ("closed form, J/m²", "{:.1f}"),
        "states": ("states", "{}"),
        "iterations": ("Newton iterations", "{}"),
    }
    return markdown(rows, columns)


def _draw(path, beam, results):
    figure = Figure(figsize=(10, 4), layout="constrained")
    curve, interface = figure.subplots(1, 2)
    if beam.test != "mmb":
        load, displacement = closed_form(beam, LAWS["bilinear"](), beam.crack + np.linspace(0.0, beam.growth, 50))
        curve.plot(1e3 * displacement, 1e-3 * load, "k--", linewidth=1, label="beam theory")
    for name, result in results.items():
        # the recurrent law lies on the one it was trained on
        style = {"linestyle": "--" if name == "recurrent" else "-", "marker": ".", "markersize": 3}
        (line,) = curve.plot(1e3 * np.r_[0.0, result.displacement], 1e-3 * np.r_[0.0, result.load], label=name, **style)
        elements = result.setup.problem.interfaces[0][0]
        damage = result.setup.problem.damage()[0]
        order = np.argsort(elements.x[..., 0].ravel())
        interface.plot(1e3 * elements.x[..., 0].ravel()[order], damage.ravel()[order], color=line.get_color(), **style)
    curve.set(xlabel="displacement, mm", ylabel="load, kN per m of width", title=TITLES[beam.test])
    curve.legend()
    interface.set(xlabel="place along the beam, mm", ylabel="damage", title="Interface at the end")
    interface.set_xlim(1e3 * (beam.crack - 1e-3), 1e3 * (beam.crack + beam.growth + 6e-3))
    save(figure, path)


def _write(folder, name, result):
    """The deformed beam and its interface for ParaView."""
    mesh, problem = result.setup.mesh, result.setup.problem
    # ParaView wants three coordinates
    points, moved = np.zeros((2, mesh.nvertices, 3))
    points[:, :2], moved[:, :2] = mesh.p.T, result.u.reshape(-1, 2)
    with atomic_write(folder / f"{name}.vtu") as temporary:
        meshio.Mesh(points, [("quad", mesh.t.T)], point_data={"displacement": moved}).write(temporary)
    elements, law = problem.interfaces[0]
    save_interface(folder / f"{name}_interface.vtu", elements, result.u, damage=law.damage(problem.states[0]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", default=["dcb"], choices=list(TITLES), metavar="TEST", help="dcb, enf, mmb")
    parser.add_argument("--law", action="append", choices=list(LAWS), help="repeat for several [bilinear, recurrent]")
    parser.add_argument("--growth", type=float, default=5e-3, help="how far the crack is followed, m [0.005]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of pictures and VTU files [results]")
    given = parser.parse_args()
    main(given.tests, given.law or ("bilinear", "recurrent"), given.growth, given.out)
