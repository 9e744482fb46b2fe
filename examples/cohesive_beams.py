"""Delaminating beams with classical and recurrent cohesive laws, swapped by name.

    python examples/cohesive_beams.py dcb enf mmb --law bilinear --law recurrent --out results

Double cantilever (mode I), end-notched flexure (mode II) and mixed-mode bending of AS4/PEEK, in plane strain. The
path is controlled by its dissipation, so that it passes the maximum of the load and the snap-back beyond. The
recurrent laws were trained on the bilinear and on the exponential one; nothing else differs.
"""

import argparse
from pathlib import Path

import meshio
import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.interfaces import save_interface
from femnn.io import atomic_write, markdown
from femnn.plotting import save
from femnn.validation import Beam, classical, closed_form, delaminate, mixed_mode, plateau
from femnn.validation.delamination import TITLES

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
    "recurrent-exponential": lambda: femnn.RecurrentCohesive.load("exponential"),
}


def make(name):
    """A law by its name, or a recurrent one from the path of its weights."""
    return LAWS[name]() if name in LAWS else femnn.RecurrentCohesive.load(name)


def main(tests=("dcb",), laws=("bilinear", "recurrent"), growth=5e-3, out=None, progress=True):
    """Run every test with every law; returns the results by test and law, and writes pictures and VTU files."""
    results = {}
    for test in tests:
        beam = Beam(test, growth=growth)
        results[test] = {name: delaminate(beam, make(name), progress=progress) for name in laws}
        print(f"\n{TITLES[test]}\n\n{_table(beam, results[test])}")
        if out is not None:
            _draw(Path(out) / f"{test}.png", beam, results[test])
            for name, result in results[test].items():
                _write(Path(out), f"{test}_{Path(name).stem}", result)
    return results


def _table(beam, results):
    rows = []
    for name, result in results.items():
        own = classical(result.setup.law)
        rows.append(
            {
                "law": Path(name).stem,
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
    for number, (name, result) in enumerate(results.items()):
        style = {"label": Path(name).stem, "color": f"C{number}", "linewidth": 4, "alpha": 0.5}
        if isinstance(result.setup.law, femnn.RecurrentCohesive):
            # it lies on the law it was trained on: a thin line on a broad one
            style |= {"color": "black", "linewidth": 1.2, "alpha": 1.0}
            style["linestyle"] = "-" if name == "recurrent" else "--"
        curve.plot(1e3 * np.r_[0.0, result.displacement], 1e-3 * np.r_[0.0, result.load], **style)
        interface.plot(*_zone(result), **style)
    if beam.test != "mmb":
        law = classical(next(iter(results.values())).setup.law)
        load, displacement = closed_form(beam, law, beam.crack + np.linspace(0.0, beam.growth, 50))
        curve.plot(1e3 * displacement, 1e-3 * load, "r:", linewidth=1.5, label="beam theory")
    curve.set(xlabel="displacement, mm", ylabel="load, kN per m of width", title=TITLES[beam.test])
    curve.legend()
    interface.set(xlabel="distance from the place of damage ½, mm", ylabel="damage", title="Process zone at the end")
    interface.set_xlim(-5.0, 5.0)
    save(figure, path)


def _zone(result):
    """Places along the interface, mm from where the damage falls through ½, and the damage there.

    The last states of two laws have cracks of slightly different lengths: seen from the tip they can be compared.
    """
    place = 1e3 * result.setup.problem.interfaces[0][0].x[..., 0].ravel()
    damage = result.setup.problem.damage()[0].ravel()
    if not np.isfinite(damage).all():  # a network that knows no damage
        return [], []
    order = np.argsort(place)
    place, damage = place[order], damage[order]
    ahead = np.argmax(damage < 0.5)
    share = (damage[ahead - 1] - 0.5) / (damage[ahead - 1] - damage[ahead])
    return place - (place[ahead - 1] + share * (place[ahead] - place[ahead - 1])), damage


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", default=["dcb"], choices=list(TITLES), metavar="TEST", help="dcb, enf, mmb")
    parser.add_argument(
        "--law", action="append", help=f"{', '.join(LAWS)} or a weight file; may be repeated [bilinear, recurrent]"
    )
    parser.add_argument("--growth", type=float, default=5e-3, help="growth of the crack, m [0.005]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of pictures and VTU files [results]")
    given = parser.parse_args()
    main(given.tests, given.law or ("bilinear", "recurrent"), given.growth, given.out)
