"""The two set-ups of multigrid compared on meshes of cubes, flat and long elements, plates and parts.

Processor time is measured, so that other programs disturb little; run it as ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
python benchmarks/assembly_peers/multigrid.py``, because that of several threads adds up.
"""

import time
from pathlib import Path

import click
import numpy as np
import skfem
from tqdm import tqdm

import femnn
from benchmarks.support.publishing import publish
from femnn import read_mesh
from femnn.cli import Command
from femnn.geometry.families import distorted_cube
from femnn.io.locations import data_folder
from femnn.io.tables import markdown
from femnn.solvers.linear import near_null_space
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.conjugate_gradients import conjugate_gradients
from femnn.solvers.linear.multigrid import Multigrid
from femnn.solvers.linear.system import LinearSystem
from femnn.system.hardware import description

SET_UPS = ("quick", "thorough")

#: Shipped meshes, and the boundary that is held.
SHIPPED = {"bracket": "fixed", "bent_blade": "root", "pipe_junction": "inlet"}


@click.command(cls=Command)
@click.option("--n", default=18, show_default=True, help="Elements along the longer edges of boxes.")
@click.option("--rtol", default=1e-8, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/multigrid"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(n, rtol, out, as_json):
    """Time set-up and iterations of conjugate gradients with each multigrid."""
    rows = []
    for name, mesh, held in tqdm(list(problems(n)), desc="multigrid", disable=None):
        rows += [{"mesh": name, "set_up": set_up, **measure(mesh, held, set_up, rtol)} for set_up in SET_UPS]
    figures = {"machine": description(), "rtol": rtol, "rows": rows}
    publish(out, "multigrid", figures, f"Machine: {figures['machine']}\n\n{table(rows)}\n", as_json)


def problems(n):
    """Name, mesh and held vertices of each problem."""
    yield "cube", *_clamped(distorted_cube(n, 0.2))
    for name, boundary in SHIPPED.items():
        mesh = read_mesh(data_folder("meshes") / f"{name}.vtu")
        yield name, mesh, np.unique(mesh.facets[:, mesh.boundaries[boundary]])
    for aspect in (30, 100):
        yield f"flat elements, {aspect}:1", *_clamped(_stretched(n, n, n, (aspect, aspect, 1.0)))
        yield f"long elements, {aspect}:1", *_clamped(_stretched(n, n, n, (aspect, 1.0, 1.0)))
        yield f"plate, {aspect}:1", *_clamped(_stretched(3 * n, 3 * n, 3, (aspect, aspect, 1.0)))
        yield f"beam, {aspect}:1", *_clamped(_stretched(16 * n, 4, 4, (aspect, 1.0, 1.0)))


def measure(mesh, held, set_up, rtol):
    """Figures of one multigrid on the body under its own weight."""
    rule = femnn.GaussLegendre(2)
    stiffness = femnn.assemble_elasticity(mesh, rule, 210e9, 0.3)
    force = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, -77e3))
    system = LinearSystem.of(stiffness, force, (3 * held[:, None] + np.arange(3)).ravel())
    modes, components = near_null_space(mesh, len(force))
    started = time.process_time()
    blocks = BlockRows.of(system.matrix, components)
    if set_up == "quick":
        cycle = Multigrid.quick(blocks, modes, system.operator.is_free.reshape(-1, components))
    else:
        matrix, dofs, is_free = system.operator.blocks(components)
        cycle = Multigrid.thorough(matrix, components, dofs, modes[dofs] * is_free[:, None])
    ready = time.process_time()
    b = np.zeros(len(force))
    b[system.free] = system.right_side
    iteration = conjugate_gradients(_Free(blocks, system.operator.is_free), b, cycle, rtol, 1000)
    ended = time.process_time()
    return {
        "dofs": len(system.free),
        "set_up_seconds": ready - started,
        "iterations": len(iteration.residuals) - 1,
        "iteration_seconds": ended - ready,
        "seconds": ended - started,
        "residual": system.relative_residual(iteration.x),
        "converged": iteration.converged,
    }


class _Free:
    """A matrix over what is free."""

    def __init__(self, blocks, is_free):
        self.blocks, self.is_free = blocks, is_free

    def __matmul__(self, x):
        return np.where(self.is_free, self.blocks @ x, 0.0)


def table(rows):
    """The figures as markdown."""
    return markdown(
        rows,
        {
            "mesh": ("mesh", "{}"),
            "dofs": ("degrees of freedom", "{:,}"),
            "set_up": ("set-up", "{}"),
            "set_up_seconds": ("set-up, s", "{:.2f}"),
            "iterations": ("iterations", "{}"),
            "iteration_seconds": ("iterations, s", "{:.2f}"),
            "seconds": ("together, s", "{:.2f}"),
            "residual": ("relative residual", "{:.0e}"),
        },
    )


def _stretched(nx, ny, nz, lengths):
    """A box with vertices inside moved by up to 0.2 of the element size."""
    counts = np.array([[nx], [ny], [nz]])
    mesh = skfem.MeshHex.init_tensor(*(np.linspace(0.0, 1.0, count + 1) for count in counts[:, 0]))
    inside = (mesh.p > 1e-9) & (mesh.p < 1.0 - 1e-9)
    moves = 0.2 / counts * np.random.default_rng(0).uniform(-1.0, 1.0, mesh.p.shape)
    return skfem.MeshHex((mesh.p + moves * inside) * np.array(lengths)[:, None], mesh.t)


def _clamped(mesh):
    return mesh, np.flatnonzero(mesh.p[0] <= 1e-12)


if __name__ == "__main__":
    main()
