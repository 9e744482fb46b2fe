"""The injection of ``injection_3d.py`` on MPI ranks: each has its own cells and the points of the faults at them.

    mpiexec.openmpi -n 2 python examples/injection_on_ranks.py --mesh results/graben.vtu
    mpiexec.openmpi -n 2 python examples/injection_on_ranks.py --small

After every step rank 0 writes the figures, all ranks a checkpoint, from which a run on any number of them goes on, and
the PVD files of the block and of the faults for ParaView. Needs the extra `mpi` and Debian's packages; `make test-mpi`
builds an environment with them.
"""

import argparse
import json
import time
from pathlib import Path

import injection_3d as injection

import femnn
from femnn.io import atomic_write
from femnn.parallel import (
    DistributedMesh,
    RankFaultedReservoir,
    RankFaultSeries,
    RankSeries,
    checkpoint,
    together,
    world,
)
from femnn.reservoir import march


def reservoir_of(law, mesh, comm):
    """The problem of ``injection_3d.reservoir_of`` over all ranks, of a ``mesh`` that rank 0 has; collective."""
    split, interfaces, is_sand = None, [], None
    with together(comm):
        if comm.rank == 0:
            interface = femnn.Interface.split(mesh, list(injection.FAULTS))
            split, interfaces = interface.mesh, [interface.named(name) for name in injection.FAULTS]
            is_sand = injection.sand_of(mesh)
    distributed = DistributedMesh.of(split, interfaces=interfaces, comm=comm, paired=True)
    rock = injection.rock_of(comm.bcast(is_sand)[distributed.cells])
    faults = injection.faults_of(law, [distributed.interface(number) for number in range(len(injection.FAULTS))])
    options = {"rule": injection.RULE, "largest_slip": injection.LARGEST_SLIP}
    return RankFaultedReservoir(distributed, rock, injection.conditions(), faults, **options)


def main(law="classical", mesh=None, cells=(12, 8, 10), steps=16, out="results", stop=None):
    """Rows of figures by time, on all ranks; arguments as ``injection_3d.main`` takes them, of one law; collective."""
    comm, out = world(), Path(out)
    whole = None
    with together(comm):
        if comm.rank == 0:
            whole = injection.coarse_mesh(cells) if mesh is None else femnn.read_mesh(mesh)
    reservoir = reservoir_of(injection.law_of(law), whole, comm)
    state, rows, start, stem = reservoir.initial_state(), [], None, f"injection-on-ranks-{law}"
    restart, figures = out / f"{stem}.safetensors", out / f"{stem}.json"
    if comm.bcast(restart.exists() and figures.exists()):
        state = checkpoint.load_state(restart, reservoir)
        with together(comm):
            rows = json.loads(figures.read_text(encoding="utf-8"))
        # a run that was killed may have left a row whose state was not written any more
        rows, start = [row for row in rows if row["years"] * injection.YEAR < 1.0 + state.t], state.t
    writers = [
        RankSeries(out / f"{stem}.pvd", reservoir.porous, start=start),
        RankFaultSeries(out / f"{stem}-faults.pvd", reservoir, start=start),
    ]
    before, made, begun = state, 0, time.perf_counter()

    def keep(state):
        nonlocal before, made, begun
        for own in writers:
            own.write(state)
        spent = comm.allreduce(time.perf_counter() - begun, op=max)
        row = injection.figures_of(reservoir, before, state)
        rows.append(row | {"iterations": reservoir.iterations, "seconds": spent})
        before, made, begun = state, made + 1, time.perf_counter()
        with together(comm):
            if comm.rank == 0:
                with atomic_write(figures) as temporary:
                    temporary.write_text(json.dumps(rows), encoding="utf-8")
        checkpoint.save_state(restart, reservoir, state)
        return stop is not None and made >= stop

    march(reservoir.step, state, injection.planned_times(steps), callback=keep, progress=comm.rank == 0)
    if comm.rank == 0:
        print(f"{law} law on {comm.size} ranks: {injection.told(rows)}")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="classical", choices=injection.LAWS, help="law of the faults [classical]")
    parser.add_argument("--mesh", type=Path, default=Path("results/graben.vtu"), help="[results/graben.vtu]")
    parser.add_argument("--cells", type=int, nargs=3, default=(12, 8, 10), help="of the coarse mesh [12 8 10]")
    parser.add_argument("--steps", type=int, help="time steps [24; 16 with --small]")
    parser.add_argument("--small", action="store_true", help="a coarse mesh and few steps")
    parser.add_argument("--stop", type=int, help="end after so many steps, to go on later")
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="folder of figures, series, checkpoints [results]"
    )
    given = parser.parse_args()
    mesh = None if given.small else given.mesh
    steps = given.steps or (16 if given.small else 24)
    main(given.law, mesh, tuple(given.cells), steps, given.out, given.stop)
