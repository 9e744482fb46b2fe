"""How long does a network remember a flow? Coefficients of modes, forecast by networks and by everything simpler.

    python examples/flow_memory.py --out results

Burgers' equation in one dimension at four Reynolds numbers, of which four modes are kept. Networks that see the last
three rows of coefficients and the Reynolds number predict the next row, and go on from their own predictions, at
Reynolds numbers that none of them saw. Beside them: the projected equation, a linear recurrence, sparse equations
(with the extra femnn[flows]), and the last value. A minute or two on two cores, most of it training.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from femnn.plotting import save
from femnn.reduced.dynamics import hurst_exponent
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.validation import burgers_case, burgers_state_errors, summarise
from femnn.validation.flow_pictures import draw_errors, draw_forecasts

# Of the forecasts that the picture shows.
SHOWN = ("Galerkin projection", "linear autoregression", "lstm", "gru")


def main(cells=1024, steps=1000, kinds=("lstm", "gru"), seeds=3, epochs=60, weights=3000, out="."):
    """Train, forecast two unseen runs, print the errors and draw them.

    Parameters
    ----------
    cells, steps
        Of the closed solution in space and time.
    kinds, seeds, epochs, weights
        Of the networks.

    Returns
    -------
    dict
        By test: errors of the state over space and time, by model.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    case = burgers_case(cells, steps)
    print(f"{case}; Hurst exponents {np.round(hurst_exponent(case.training[0]), 2)}: smooth, nothing like noise")
    models, left_out = case.rivals()
    options = dataclasses.replace(OPTIONS, epochs=epochs, learning_rate=5e-3)
    networks = case.networks(kinds, seeds, weights=weights, options=options, folder=folder)
    models += [network for found in networks.values() for network in found]
    errors = case.errors(models)
    for row in summarise(errors):
        scores = ", ".join(
            f"{test} {error:.3g} ± {scatter:.1g}"
            for test, error, scatter in zip(case.test_names, row["error"], row["error_scatter"], strict=True)
        )
        print(f"{row['model']}: free-running error {scores}")
    for reason in left_out:
        print(f"left out: {reason}")
    figures = burgers_state_errors(case, models)
    for test, found in figures.items():
        print(f"{test}: error of the state, " + ", ".join(f"{name} {error:.2%}" for name, error in found.items()))
    plot(case, models, errors, folder / "flow_memory.png")
    return figures


def plot(case, models, errors, path):
    """Modes, errors over time of both tests, and three coefficients of the second with bands over seeds."""
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    grid = figure.add_gridspec(6, 2)
    axes = figure.add_subplot(grid[:2, 0])
    modes = case.more["modes"]
    for k, mode in enumerate(modes.T):
        axes.plot(np.linspace(0.0, 1.0, len(modes)), mode, label=f"mode {k + 1}")
    axes.set(xlabel="x")
    axes.legend(fontsize="small")
    for k, test in enumerate(case.test_names):
        axes = figure.add_subplot(grid[2 * k + 2 : 2 * k + 4, 0])
        draw_errors(axes, [found[k] for found in errors if found[k].name != "mean"], "time")
        axes.set_title(test, fontsize="medium")
    shown = [model for model in models if model.name in SHOWN]
    panels = [figure.add_subplot(grid[2 * k : 2 * k + 2, 1]) for k in range(3)]
    draw_forecasts(panels, case, shown, test=len(case.tests) - 1)
    panels[0].set_title(case.test_names[-1], fontsize="medium")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=1000, help="snapshots of each run, less one")
    parser.add_argument("--seeds", type=int, default=3, help="networks of each kind")
    parser.add_argument("--epochs", type=int, default=60, help="of each training")
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.cells, arguments.steps, seeds=arguments.seeds, epochs=arguments.epochs, out=arguments.out)
