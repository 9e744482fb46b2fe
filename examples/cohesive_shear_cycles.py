"""Two blocks under pressure, sheared to and fro: cohesion breaks, friction remains.

    python examples/cohesive_shear_cycles.py --out results

The same problem with the bilinear law and with the recurrent law that was trained on it. Each cycle goes further than
the one before: the interface unloads along the secant of its damage, rubs, and in the end slides with Coulomb friction
alone. The loops of both laws coincide.
"""

import argparse
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import skfem
from matplotlib.figure import Figure

import femnn
from femnn.interfaces import save_interface
from femnn.plotting import save

FRICTION, PRESSURE = 0.5, 20e6
SIDE, HEIGHT = 1e-3, 0.5e-3
YOUNG = 120e9


def laws():
    """The recurrent law and the classical one behind it, by name."""
    recurrent = femnn.RecurrentCohesive.load("default")
    return {"bilinear": recurrent.reference(), "recurrent": recurrent}


def blocks(law):
    """The problem, the vertices of the top, and the degrees of freedom of bottom and top, which all are prescribed."""
    axis = np.linspace(0.0, SIDE, 4)
    mesh = skfem.MeshHex.init_tensor(axis, axis, np.linspace(0.0, 2.0 * HEIGHT, 5))
    mesh = mesh.with_boundaries({"glue": lambda x: np.isclose(x[2], HEIGHT)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "glue")
    mesh = interface.mesh
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), YOUNG, 0.0)
    problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), law)])
    bottom, top = (np.flatnonzero(np.isclose(mesh.p[2], z)) for z in (0.0, 2.0 * HEIGHT))
    return problem, top, (3 * np.concatenate([bottom, top])[:, None] + np.arange(3)).ravel()


def main(cycles=3, steps=40, out=None, progress=True):
    """Displacement of the top and mean shear traction of every state, by law; writes a picture and the interface."""
    results = {}
    for name, law in laws().items():
        problem, top, fixed = blocks(law)
        reach = 1.1 * law.separation_scale
        peaks = reach * np.arange(1, cycles + 1) / cycles
        course = np.concatenate([[0.0], np.stack([peaks, -peaks], axis=1).ravel(), [0.0]])
        slip = np.concatenate([np.linspace(a, b, round(abs(b - a) / reach * steps) + 1)[1:]
                               for a, b in pairwise(course)])  # fmt: skip
        contact = laws()["bilinear"].stiffness[2]
        pressing = PRESSURE * (2.0 * HEIGHT / YOUNG + 1.0 / contact)
        shear = []

        def moved(t, slip=slip, top=top, n=problem.stiffness.shape[0], pressing=pressing):
            # the first unit of time presses, then one for each step of slip
            values = np.zeros(n)
            values[3 * top] = np.interp(t, np.arange(len(slip) + 2), np.r_[0.0, 0.0, slip])
            values[3 * top + 2] = -pressing * min(t, 1.0)
            return values

        def record(step, top=top, shear=shear):
            shear.append(step.force[3 * top].sum() / SIDE**2)

        femnn.newton(
            problem,
            np.zeros(problem.stiffness.shape[0]),
            fixed,
            moved,
            steps=np.arange(1.0, len(slip) + 2),
            solver=partial(femnn.solve, method="splu"),
            callback=record,
            progress=progress,
        )
        results[name] = slip, np.array(shear[1:])
        if out is not None:
            elements = problem.interfaces[0][0]
            save_interface(Path(out) / f"cohesive_shear_{name}.vtu", elements, damage=law.damage(problem.states[0]))
    if out is not None:
        _draw(Path(out) / "cohesive_shear_cycles.png", results)
    return results


def _draw(path, results):
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    styles = {"linewidth": 4, "alpha": 0.5}, {"linewidth": 1.2, "color": "black"}
    for (name, (slip, shear)), style in zip(results.items(), styles, strict=True):
        axes.plot(1e6 * np.r_[0.0, slip], 1e-6 * np.r_[0.0, shear], label=name, **style)
    axes.set(xlabel="displacement of the top, µm", ylabel="shear traction, MPa")
    axes.legend()
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=3, help="cycles of shear, each larger than the last [3]")
    parser.add_argument("--steps", type=int, default=40, help="steps of the last quarter of a cycle [40]")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of picture and VTU files [results]")
    given = parser.parse_args()
    main(given.cycles, given.steps, given.out)
