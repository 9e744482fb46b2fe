"""Rows of `femnn bench identification` about parameters, physics-informed networks and the beam."""

import time

import numpy as np

from benchmarks.identification.deepxde_pendulum import solve_by_deepxde
from benchmarks.support.targets import target
from femnn.exceptions import MissingExtraError
from femnn.identification import (
    CompoundPendulum,
    Film,
    NetworkOptions,
    SwingEquation,
    angles_of_clip,
    film_compound_pendulum,
    identify_by_network,
    identify_by_neuron,
    identify_swing,
    identify_vibration,
    picture_of_angle,
    solve_by_network,
)
from femnn.identification.pendulum import GRAVITY
from femnn.validation import VibratingBeam

# One clip of ten seconds, 50 values a second, let go at one radian.
_T = np.linspace(0.0, 10.0, 501)
_SWING = SwingEquation(gravity=9.81, length=1.0, damping=0.2)
_TRUE = {"gravity": 9.81, "damping": 0.2}

# Networks take seconds for each draw of the noise.
_OF_NETWORKS = 5

_BEAM = {"root": 200e9, "tip": 210e9, "stiffness_damping": 3e-5}


def parameters(seeds, **_):
    """Gravity and damping from the angle over time, without and with 1 % of noise, by three ways."""
    theta = _SWING.solve(_T, 1.0)
    ways = {
        "least squares through the equation": (identify_swing, seeds),
        "one neuron": (identify_by_neuron, seeds),
        "physics-informed network": (identify_by_network, min(seeds, _OF_NETWORKS)),
    }
    rows = []
    for noise in (0.0, 0.01):
        for name, (identify, draws) in ways.items():
            rows.append({"way": name, "noise": noise} | _errors(identify, theta, noise, draws if noise else 1))
    return {
        "title": "Gravity and damping of a pendulum let go at 1 rad, one clip of 10 s with 501 values. Errors are "
        "roots of mean squares over the draws of the noise, and the greatest of all; held is how often an interval "
        "of 95 % holds the true value.",
        "rows": rows,
        "columns": {
            "way": ("way", "{}"),
            "noise": ("noise, rad", "{:g}"),
            "draws": ("draws", "{}"),
            "gravity": ("error of g", "{:.1e}"),
            "gravity_worst": ("worst", "{:.1e}"),
            "gravity_held": ("held", "{:.0%}"),
            "damping": ("error of c", "{:.1e}"),
            "damping_worst": ("worst", "{:.1e}"),
            "damping_held": ("held", "{:.0%}"),
            "seconds": ("s each", "{:.2g}"),
        },
        "targets": [
            *(
                target(
                    f"{row['way']}: g, {'without' if not row['noise'] else 'with 1 %'} noise, worst of {row['draws']}",
                    limit,
                    f"{row['gravity_worst']:.1e}",
                )
                for row in rows
                for limit in ["≤ 1e-4" if not row["noise"] else "≤ 1e-3"]
                if row["way"] != "one neuron"
            ),
            *(
                target(
                    f"{row['way']}: damping, with 1 % noise, worst of {row['draws']}",
                    "≤ 1e-2",
                    f"{row['damping_worst']:.1e}",
                )
                for row in rows
                if row["noise"] and row["way"] != "one neuron"
            ),
        ],
    }


def _errors(identify, theta, noise, draws):
    """Errors of gravity and damping, relative, and how often intervals hold the truth."""
    errors, held = np.empty((draws, 2)), np.empty((draws, 2))
    begun = time.process_time()
    for seed in range(draws):
        found = identify(_T, theta + noise * np.random.default_rng(seed).standard_normal(len(theta)))
        for k, (name, true) in enumerate(_TRUE.items()):
            low, high = found.interval(name)
            errors[seed, k], held[seed, k] = found[name] / true - 1.0, low <= true <= high
    figures = {"draws": draws, "seconds": (time.process_time() - begun) / draws}
    for k, name in enumerate(_TRUE):
        figures |= {
            name: float(np.sqrt(np.mean(errors[:, k] ** 2))),
            f"{name}_worst": float(np.abs(errors[:, k]).max()),
            f"{name}_held": float(held[:, k].mean()) if draws > 1 else None,
        }
    return figures


def film(**_):
    """Gravity and length ratio from films: a bob without edges, and a bar of hexahedra."""
    rows = []
    ideal = SwingEquation(gravity=9.81, length=1.0, damping=0.1)
    t = np.linspace(0.0, 10.0, 251)
    rows += _of_film("bob", Film([picture_of_angle(ideal.solve(t, 1.0))], t[1]), t, ideal, ideal.solve(t, 1.0))
    taken = film_compound_pendulum(CompoundPendulum(cells=(2, 6, 1), drag=2.0, dt=0.01), np.array([1.0]), 10.0)
    # the rigid bar that the soft one nearly is
    rigid = taken.pendulum
    bar = SwingEquation(gravity=GRAVITY, length=1.0, length_ratio=GRAVITY / rigid.stiffness, damping=rigid.damping)
    t = taken.film.dt * np.arange(taken.film.n_frames)
    rows += _of_film("bar of hexahedra", taken.film, t, bar, taken.angles[0])
    return {
        "title": "The same from films of 10 s, 25 frames of 51×51 pixels a second. The bar swings by femnn's time "
        "integrator, in steps of 10 ms. Errors are against what the angle itself gives by least squares; the last "
        "column is against the equation, which for the bar is that of a rigid one.",
        "rows": rows,
        "columns": {
            "film": ("film", "{}"),
            "noise": ("noise of a pixel", "{:g}"),
            "blur": ("blur, pixels", "{:g}"),
            "angle": ("rms error of θ, rad", "{:.1e}"),
            "ratio": ("error of g/(r ℓ)", "{:.1e}"),
            "damping": ("of c", "{:.1e}"),
            "rigid": ("of g/(r ℓ), against the equation", "{:.1e}"),
        },
        "targets": [
            target(
                f"{row['film']}: g/(r ℓ), noise {row['noise']:g}",
                "≤ 1e-4" if not row["noise"] else "≤ 1e-3",
                f"{row['ratio']:.1e}",
            )
            for row in rows
            if row["noise"] <= 0.01 and not row["blur"]
        ],
    }


def _of_film(name, clean, t, equation, angle):
    """Rows of one film; parameters are compared with those of the angle itself, for a bar is not quite rigid."""
    free = ("length_ratio", "damping")
    itself = identify_swing(t, angle, free, equation)
    for noise, blur in ((0.0, 0.0), (0.01, 0.0), (0.05, 1.0)):
        seen = angles_of_clip(clean.disturbed(noise, blur).clips[0])
        found = identify_swing(t, seen, free, equation, offset=True)
        yield {
            "film": name,
            "noise": noise,
            "blur": blur,
            "angle": float(np.sqrt(np.mean((seen - angle) ** 2))),
            "ratio": abs(itself["length_ratio"] / found["length_ratio"] - 1.0),
            "damping": abs(found["damping"] / itself["damping"] - 1.0),
            "rigid": abs(equation.length_ratio / found["length_ratio"] - 1.0),
        }


def network(periods, **_):
    """Motions by physics-informed networks: linear and nonlinear, and the usual optimiser and DeepXDE beside."""
    swing, rows, notes = SwingEquation(gravity=9.81, length=1.0), [], []
    linear = swing.replaced(linear=True)
    cases = [
        ("windows, Gauss-Newton", linear, 1.5, {}),
        *(("windows, Gauss-Newton", swing, amplitude, {}) for amplitude in (0.5, 1.5, 2.5)),
        ("windows, L-BFGS", swing, 1.5, {"width": 10, "depth": 2, "method": "lbfgs", "iterations": 300}),
    ]
    # one period as well, which the rival is asked for, too
    runs = [(*case, periods) for case in cases] + [("windows, Gauss-Newton", swing, 1.5, {}, 1)]
    for name, equation, amplitude, options, over in runs:
        duration = over * equation.period(amplitude)
        begun = time.process_time()
        motion = solve_by_network(
            equation, amplitude, duration=duration, options=NetworkOptions(**options), progress=False
        )
        rows.append(
            _row(name, equation, amplitude, over, len(motion.windows), motion.angle, time.process_time() - begun)
        )
    for causality in (0.0, 1.0):
        options = NetworkOptions(width=30, depth=2, points=80, iterations=300, causality=causality)
        begun = time.process_time()
        motion = solve_by_network(
            swing, 1.5, duration=2.0 * swing.period(1.5), windows=1, options=options, progress=False
        )
        name = "one network, causal weights" if causality else "one network, equal weights"
        rows.append(_row(name, swing, 1.5, 2, 1, motion.angle, time.process_time() - begun))
    notes += _of_deepxde(swing, periods, rows)
    return {
        "title": "The angle of an ideal pendulum of 1 m by physics-informed networks, float64. Errors are the "
        "greatest of all times, against Jacobi's functions. DeepXDE trains its own way: Adam, then L-BFGS.",
        "rows": rows,
        "notes": notes,
        "columns": {
            "way": ("way", "{}"),
            "equation": ("equation", "{}"),
            "amplitude": ("let go at, rad", "{:g}"),
            "periods": ("periods", "{}"),
            "windows": ("networks", "{}"),
            "error": ("error of θ, rad", "{:.1e}"),
            "seconds": ("s", "{:.2g}"),
        },
        "targets": [
            target(
                f"{row['equation']}, {row['amplitude']:g} rad, {row['periods']} periods",
                "≤ 1e-3",
                f"{row['error']:.1e}",
            )
            for row in rows
            if row["way"] == "windows, Gauss-Newton"
        ],
    }


def _of_deepxde(swing, periods, rows):
    """Add rows of the rival; what is left out, and why."""
    for over, hard in ((1, True), (1, False), *(((periods, True),) if periods > 1 else ())):
        begun = time.process_time()
        try:
            angle = solve_by_deepxde(swing, 1.5, over * swing.period(1.5), hard=hard, points=100 * over)
        except MissingExtraError as error:
            return [f"Left out: {error}."]
        name = f"DeepXDE, {'hard' if hard else 'soft'} initial conditions"
        rows.append(_row(name, swing, 1.5, over, 1, angle, time.process_time() - begun))
    return []


def _row(name, equation, amplitude, periods, windows, angle, seconds):
    t = np.linspace(0.0, periods * equation.period(amplitude), 1001)
    return {
        "way": name,
        "equation": "linear" if equation.linear else "nonlinear",
        "amplitude": amplitude,
        "periods": periods,
        "windows": windows,
        "error": float(np.abs(angle(t) - equation.exact(t, amplitude)).max()),
        "seconds": seconds,
    }


def beam(seeds, **_):
    """Moduli of two halves and damping of a beam, from two sensors and a known blow, by a reduced model."""
    struck, rows = VibratingBeam(), []
    start = {"root": 170e9, "tip": 170e9}
    for modes in (4, 8):
        model = struck.model(modes)
        for noise in (0.0, 0.01):
            draws = min(seeds, 40) if noise else 1
            errors, held = np.empty((draws, 3)), np.empty((draws, 3))
            begun = time.process_time()
            for seed in range(draws):
                measured = struck.measure(_BEAM, noise, seed)
                found = identify_vibration(model, struck.t, measured, start, history=struck.history)
                for k, (name, true) in enumerate(_BEAM.items()):
                    low, high = found.interval(name)
                    errors[seed, k], held[seed, k] = found[name] / true - 1.0, low <= true <= high
            rows.append(
                {
                    "modes": modes,
                    "noise": noise,
                    "draws": draws,
                    "seconds": (time.process_time() - begun) / draws,
                }
                | {name: float(np.sqrt(np.mean(errors[:, k] ** 2))) for k, name in enumerate(_BEAM)}
                | {f"{name}_held": float(held[:, k].mean()) if draws > 1 else None for k, name in enumerate(_BEAM)}
            )
    unknowns = len(struck.free)
    return {
        "title": f"Young's moduli of the two halves of a clamped beam and its damping β, from two sensors after a "
        f"blow of 4 ms; {unknowns} unknowns reduced to the modes. The search starts 15 and 19 % too low; noise is a "
        "share of the largest deflection.",
        "rows": rows,
        "columns": {
            "modes": ("modes", "{}"),
            "noise": ("noise", "{:g}"),
            "draws": ("draws", "{}"),
            "root": ("error of E, root", "{:.1e}"),
            "root_held": ("held", "{:.0%}"),
            "tip": ("of E, tip", "{:.1e}"),
            "tip_held": ("held", "{:.0%}"),
            "stiffness_damping": ("of β", "{:.1e}"),
            "stiffness_damping_held": ("held", "{:.0%}"),
            "seconds": ("s each", "{:.2g}"),
        },
        "targets": [
            target(
                f"damping, {row['modes']} modes, noise {row['noise']:g}", "≤ 1e-2", f"{row['stiffness_damping']:.1e}"
            )
            for row in rows
        ],
    }
