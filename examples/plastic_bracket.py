"""A bracket loaded beyond yield and unloaded: a user's material law, with two quadrature rules.

    python examples/plastic_bracket.py --out results

Steel that yields after von Mises and hardens, written for one point as a Numba function: the radial return of J. C.
Simo, T. J. R. Hughes, Computational Inelasticity (1998), box 3.2. `femnn.newton` follows the load up and down again;
the plastic part remains. Trilinear elements are too stiff where plastic flow keeps the volume: the example compares the
rules on one mesh, and does not predict the deflection of the bracket.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.io import aligned, atomic_write, data_folder
from femnn.mesh_files import read_mesh
from femnn.plotting import draw_surface, save
from femnn.validation import load_case

#: Structural steel: Young's modulus (Pa), Poisson's ratio, yield stress (Pa), hardening modulus (Pa).
STEEL = {"young": 210e9, "poisson": 0.3, "strength": 235e6, "hardening": 2e9}


def radial_return(strain, state, parameters, stress, tangent, new_state):
    """One point of J2 plasticity with linear isotropic hardening.

    ``state`` holds the plastic strain (6,), Voigt, and the equivalent plastic strain; ``parameters`` the bulk and shear
    moduli, yield stress and hardening modulus.
    """
    bulk, shear, strength, hardening = parameters
    volume = strain[0] + strain[1] + strain[2]
    for i in range(3):
        # the plastic strain has no volume
        stress[i] = 2.0 * shear * (strain[i] - state[i] - volume / 3.0)
        stress[i + 3] = shear * (strain[i + 3] - state[i + 3])
    norm = 0.0
    for i in range(3):
        norm += stress[i] ** 2 + 2.0 * stress[i + 3] ** 2
    norm = np.sqrt(norm)
    flow = (norm - np.sqrt(2.0 / 3.0) * (strength + hardening * state[6])) / (2.0 * shear + 2.0 / 3.0 * hardening)
    new_state[:] = state
    share, along = 1.0, 0.0  # of the elastic shear stiffness: in general, and what is lost in the direction of flow
    if flow > 0.0:
        share = 1.0 - 2.0 * shear * flow / norm
        along = (2.0 * shear) ** 2 * (1.0 / (2.0 * shear + 2.0 / 3.0 * hardening) - flow / norm) / norm**2
        for i in range(3):
            new_state[i] += flow * stress[i] / norm
            new_state[i + 3] += 2.0 * flow * stress[i + 3] / norm
        new_state[6] += np.sqrt(2.0 / 3.0) * flow
    for i in range(6):
        for j in range(6):
            tangent[i, j] = -along * stress[i] * stress[j]
    for i in range(3):
        for j in range(3):
            tangent[i, j] += bulk - 2.0 / 3.0 * shear * share
        tangent[i, i] += 2.0 * shear * share
        tangent[i + 3, i + 3] += shear * share
    for i in range(3):
        stress[i] = share * stress[i] + bulk * volume
        stress[i + 3] *= share


def steel(young, poisson, strength, hardening):
    """The law, ready for :class:`femnn.Solid`."""
    bulk, shear = young / (3.0 * (1.0 - 2.0 * poisson)), young / (2.0 * (1.0 + poisson))
    return femnn.PointLaw(radial_return, (bulk, shear, strength, hardening), initial_state=np.zeros(7))


def main(mesh=None, tol=1e-2, peak=3.0, steps=5, material=None, out="results"):
    """Load a ``skfem.MeshHex``, the bracket if None, up to ``peak`` times its load case in ``steps``, and unload it.

    Returns
    -------
    dict of dict
        The record of each rule by its name, see :func:`load_and_unload`.
    """
    mesh = read_mesh(data_folder("meshes") / "bracket.vtu") if mesh is None else mesh
    case, material = load_case(mesh), STEEL if material is None else material
    print(f"{case.description}; up to {peak:g} times that, and back to nothing\n")
    rules = {"GaussLegendre(2)": femnn.GaussLegendre(2), f"AdaptiveGauss({tol:g})": femnn.AdaptiveGauss(tol)}
    records = {name: load_and_unload(mesh, rule, case, peak, steps, material) for name, rule in rules.items()}
    report(records)
    plot(records, mesh, Path(out) / "plastic_bracket.png")
    write_fields(Path(out) / "plastic_bracket.vtu", mesh, list(records.values())[-1])
    return records


def load_and_unload(mesh, rule, case, peak, steps, material):
    """Follow one rule up in ``steps`` steps and down in half as many.

    Returns
    -------
    dict
        ``points``, ``iterations``, ``cuts``, ``seconds`` of femnn.newton, compilation not counted; for each state of
        equilibrium, lists that start with the unloaded one: ``load`` (N), ``displacement``
        (m, the mean at the load), ``dissipated`` (J). At the end: energy ``stored`` by hardening and ``locked`` in by
        stresses (J), ``u`` (n,), and ``plastic_strain`` (n_vertices,), equivalent, averaged around each vertex.
    """
    solid = femnn.Solid(mesh, rule, steel(**material))
    solid.residual_and_tangent(np.zeros(solid.n_dofs))
    solid.rollback()
    record = {"load": [0.0], "displacement": [0.0], "dissipated": [0.0]}
    resultant = np.linalg.norm(case.force.reshape(-1, 3).sum(axis=0))

    def multiple(t):
        return peak * min(t, 2.0 - t)

    def integral(values):
        # the shape functions add to one
        return float(femnn.assemble_body_force(mesh, rule, values).sum())

    def keep(step):
        hardened = [state[..., 6] for state in solid.states]
        record["load"].append(float(resultant * multiple(step.t)))
        record["displacement"].append(float(case.force @ step.u / resultant))
        record["dissipated"].append(material["strength"] * integral(hardened))

    started = time.perf_counter()
    path = femnn.newton(
        solid,
        lambda t: multiple(t) * case.force,
        fixed=np.setdiff1d(np.arange(solid.n_dofs), case.free),
        steps=[*np.linspace(0.0, 1.0, steps + 1)[1:], *np.linspace(1.0, 2.0, (steps + 1) // 2 + 1)[1:]],
        rtol=1e-6,
        # no more exact than the step
        solver=partial(femnn.solve, points=mesh, rtol=1e-6),
        callback=keep,
    )
    seconds = time.perf_counter() - started
    elastic = [strain - state[..., :6] for strain, state in zip(solid.strains(path.u), solid.states, strict=True)]
    stressed = [np.einsum("eqi,eqi->eq", *pair) for pair in zip(solid.stresses(path.u), elastic, strict=True)]
    hardened = [state[..., 6] for state in solid.states]
    return {
        **record,
        "stored": 0.5 * material["hardening"] * integral([own**2 for own in hardened]),
        "locked": 0.5 * integral(stressed),
        "u": path.u,
        "plastic_strain": femnn.assemble_body_force(mesh, rule, hardened) / femnn.assemble_body_force(mesh, rule, 1.0),
        "points": rule.count_points(femnn.hexahedra(mesh)),
        "iterations": path.iterations,
        "cuts": path.cuts,
        "seconds": seconds,
    }


def report(records):
    heading = ["rule", "points", "steps", "iterations", "time (s)", "largest (mm)", "residual (mm)", "dissipated (J)"]
    rows = [
        [
            name,
            f"{record['points']:,}",
            f"{len(record['load']) - 1}",
            f"{record['iterations']}",
            f"{record['seconds']:.1f}",
            f"{1e3 * max(record['displacement']):.4f}",
            f"{1e3 * record['displacement'][-1]:.4f}",
            f"{record['dissipated'][-1]:.4f}",
        ]
        for name, record in records.items()
    ]
    print(f"\n{aligned([heading, *rows])}\n\ndisplacement: mean at the load, along it")


def plot(records, mesh, path):
    figure = Figure(figsize=(13.0, 5.5), layout="constrained")
    axes, surface_axes = figure.add_subplot(121), figure.add_subplot(122, projection="3d")
    for (name, record), style in zip(records.items(), ("o-", "s--"), strict=True):
        curve = 1e3 * np.array(record["displacement"]), 1e-3 * np.array(record["load"])
        axes.plot(*curve, style, markersize=4, label=name)
    axes.set(xlabel="mean displacement at the load (mm)", ylabel="load (kN)")
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    name, record = list(records.items())[-1]
    surface_axes.view_init(elev=24, azim=-52)
    of_cells = 100.0 * record["plastic_strain"][mesh.t].mean(axis=0)
    surface = draw_surface(surface_axes, mesh, of_cells, cmap="magma_r", linewidth=0.1)
    figure.colorbar(surface, ax=surface_axes, label="equivalent plastic strain (%)", shrink=0.7)
    surface_axes.set_title(f"After unloading, {name}")
    save(figure, path)


def write_fields(path, mesh, record):
    """Displacement and plastic strain after unloading, for ParaView."""
    fields = {"displacement": record["u"].reshape(-1, 3), "plastic_strain": record["plastic_strain"]}
    with atomic_write(path) as temporary:
        mesh.save(temporary, point_data=fields)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mesh", nargs="?", help="a file of hexahedra; the bracket if not given")
    parser.add_argument("--tol", type=float, default=1e-2, help="tolerance of AdaptiveGauss")
    parser.add_argument("--peak", type=float, default=3.0, help="largest load, in multiples of the load case")
    parser.add_argument("--steps", type=int, default=5, help="steps of loading; half as many unload")
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    mesh = arguments.mesh and read_mesh(arguments.mesh)
    main(mesh, arguments.tol, arguments.peak, arguments.steps, out=arguments.out)
