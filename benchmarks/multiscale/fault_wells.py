"""Wells beside the sealing fault, from weak to far too strong: how far each runs, and why it ends.

    femnn bench fault-wells

The small case of ``examples/sealing_fault.py`` with wells of 1e-4 to 1e-3 m³/s per metre. Each law stands in the fault
as it is, and with a viscous traction beside it, whose time steps an estimate of their error chooses. A run ends after
40 days, where the pressure exceeds the least compression of fault or rock, or where a step finds no equilibrium.
Viscous faults run once more past such pressures, which no rock would bear, to see that nothing else stops them.
Each row is a file in the folder ``rows`` of ``--out``: a command that was stopped goes on with the rows that are
missing, and measures anew those of another machine or version of femnn; ``--kept`` prints what is there.
"""

import time
from functools import partial
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.multiscale.fault_convergence import COLUMNS, ROWS, STEPS, sealing_fault
from benchmarks.support.kept import KeptRows, version_of_femnn
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.cohesive import ViscousCohesive
from femnn.exceptions import ConvergenceError, OutsideRangeError
from femnn.io import markdown
from femnn.reservoir import march
from femnn.reservoir.fault import FaultedReservoir, FaultHistory
from femnn.system import description

RATES = (1e-4, 1.6e-4, 2.5e-4, 4e-4, 1e-3)

# Sliding faster than this is an event, m/s.
_FAST = 1e-7

# Name of the law in the example, its recurrent law, and that of the cracks of a cell.
LAWS = {
    "classical": ("classical", "default", None),
    "recurrent": ("recurrent", "default", None),
    "cell": ("recurrent", "rve", None),
    "loop": ("rve", "rve", "grains"),
}

# The well beside which the law of the cell is compared with the cell in the loop.
LOOP_RATE = 4e-4


def measure(example, name, rate, viscosity, on_fracture, slip_error):
    """One well: how far its run came and by what it ended."""
    law = example.law_of(*LAWS[name])
    if viscosity:
        law = ViscousCohesive(law, viscosity)
    example.RATE = example.GRAIN_RATE = rate
    made = example.reservoir_of(law, COLUMNS, ROWS)
    chosen = {"slip_error": slip_error} if viscosity else {}
    reservoir = FaultedReservoir(
        made.porous.medium, made.porous.conditions, made.faults, on_fracture=on_fracture, **chosen
    )
    history, state, days = FaultHistory(reservoir), reservoir.initial_state(), example.DAYS
    history.add(state)

    def keep(new):
        nonlocal state
        state = new
        return history.add(new)

    steps = {"is_easy": reservoir.is_easy, "min_step": 1.0} if viscosity else {}
    begun, why = time.process_time(), f"{days:g} days are over"
    try:
        times = example.DAY * days * np.arange(1, STEPS + 1) / STEPS
        march(reservoir.step, state, times, callback=keep, **steps)
    except OutsideRangeError as error:
        why = str(error.__cause__).partition(" at t = ")[0]
    except ConvergenceError as error:
        why = _reason(str(error))
    spans = np.diff(history.times)
    return {
        "law": name,
        "fractures": "end it" if on_fracture == "raise" else "pass",
        "margin": -float(np.linalg.eigvalsh(reservoir.stress(state).transpose(2, 0, 1)).max()) / 1e6,
        "viscosity": f"{viscosity:.0e}" if viscosity else "none",
        "rate": rate,
        "days": history.times[-1] / example.DAY,
        "slip": 1e3 * float(history.slip[-1].max()),
        "steps": len(spans),
        "shortest": float(spans.min()) if len(spans) else np.nan,
        "longest": float(spans.max()) if len(spans) else np.nan,
        "events": len(history.events(_FAST)),
        "outside": max(history.outside),
        "seconds": time.process_time() - begun,
        "end": why,
    }


def _against_loop(rows):
    """Rows of targets: slip with the law of the cell against that with the cell in the loop, where both ended."""
    found = {(row["law"], row["viscosity"], row["fractures"], row["rate"]): row for row in rows}
    targets = []
    for (name, *case), wanted in found.items():
        own = found.get(("cell", *case))
        if name == "loop" and own is not None:
            gap = f"{abs(own['slip'] / wanted['slip'] - 1.0):.1%}"
            if own["days"] != wanted["days"]:
                gap += f", after {own['days']:.2f} and {wanted['days']:.2f} days"
            what = f"viscosity {case[0]}, fractures {case[1]}, {case[2]:.0e} m³/s/m: slip of the law against the loop"
            targets.append(target(what, "≤ 5%", gap))
    return targets


def _reason(message):
    """Of an error without equilibrium: its residual and eigenvalue."""
    told = message.partition("; the relative residual is ")[2].partition("; the last state")[0]
    residual, _, stability = told.partition(", 1e-09 is asked for")
    eigenvalue = stability.partition("bonded rock is ")[2].partition(":")[0]
    return f"no equilibrium, relative residual {residual}, smallest eigenvalue {eigenvalue}" if told else message


SHOWN = {
    "law": ("law", "{}"),
    "viscosity": ("viscosity, Pa·s/m", "{}"),
    "fractures": ("fractures", "{}"),
    "rate": ("well, m³/s/m", "{:.1e}"),
    "days": ("days", "{:.1f}"),
    "slip": ("slip, mm", "{:.2f}"),
    "steps": ("steps", "{}"),
    "shortest": ("shortest, s", "{:.2g}"),
    "longest": ("longest, s", "{:.2g}"),
    "events": ("events", "{}"),
    "margin": ("least compression, MPa", "{:.2f}"),
    "outside": ("points out of range", "{}"),
    "end": ("ended by", "{}"),
}


@click.command(cls=Command)
@click.option("--law", "laws", multiple=True, type=click.Choice(list(LAWS)), help="Law of the fault [all].")
@click.option("--rate", "rates", multiple=True, type=click.FloatRange(min=0.0), help="Of a well, m³/s/m [six].")
@click.option("--viscosity", default=1e13, show_default=True, type=click.FloatRange(min=0.0), help="Pa·s/m.")
@click.option("--slip-error", default=1e-3, show_default=True, help="Of a step, m.")
@click.option("--kept", "only_kept", is_flag=True, help="Print the rows that earlier runs have left, measure none.")
@click.option("--anew", is_flag=True, help="Measure again what an earlier run has left in the folder --out.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/fault-wells"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(laws, rates, viscosity, slip_error, only_kept, anew, out, as_json):
    """How far wells of every strength run beside the sealing fault, and why they end."""
    example = sealing_fault()
    kept, key = KeptRows(out / "rows", anew), {"version": version_of_femnn(), "slip error": slip_error}
    cases = [
        (name, rate, own, on_fracture)
        for name in laws or LAWS
        for own, on_fracture in ((0.0, "raise"), (viscosity, "raise"), (viscosity, "warn"))
        for rate in rates or ((LOOP_RATE,) if name == "loop" else RATES)
    ]
    rows = []
    for case in tqdm(cases, desc="fault-wells", unit="well", disable=None):
        name, rate, own, on_fracture = case
        label = f"{name}, {rate:g}, viscosity {own:g}, on fracture {on_fracture}"
        if not only_kept:
            rows.append(kept.get(label, key, partial(measure, example, *case, slip_error)))
        elif (row := kept.find(label, key)) is not None:
            rows.append(row)
    figures = {"machine": description(), "slip error, m": slip_error, "wells": rows, "targets": _against_loop(rows)}
    report = "\n\n".join([
        f"Machine: {figures['machine']}; error of the sliding in a step {slip_error:g} m where there is a viscosity",
        markdown(rows, SHOWN),
        *([targets_table(figures["targets"])] if figures["targets"] else []),
    ])  # fmt: skip
    publish(out, "fault-wells", figures, report, as_json)


if __name__ == "__main__":
    main()
