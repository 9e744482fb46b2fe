"""Which method should train a network? The regressor of CorrectedGauss by some of them, and what each is worth.

    python examples/train_with_what.py --out results

In some minutes. `--methods` takes names with commas; without any known name the message lists all. `femnn bench
training` compares 21 methods on five networks.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.io import markdown
from femnn.networks import Recipe, make_dataset
from femnn.plotting import save
from femnn.validation.training_problems import training_problem
from femnn.validation.training_study import METHODS, train_until_settled, tuned_rate

NAMES = ("descent-exact", "l-bfgs", "sgd-nesterov", "sgd-armijo", "adam", "adam-annealing")


def main(names=NAMES, elements=2_400, passes=32.0, most=4096.0, seeds=3, out="results"):
    """Tune the first step of each method, train until it settles, and report on elements that no run has seen.

    Parameters
    ----------
    passes, most
        Over the training rows: of the first run, and after which a method that has not settled is given up.

    Returns
    -------
    dict
        By method: ``rate``, ``ends`` (a SettledCourse for every seed), and ``figures`` (seeds,): mean R_error.
    """
    unknown = set(names) - set(METHODS)
    if unknown:
        raise femnn.exceptions.ParameterError(
            f"there is no method {', '.join(sorted(unknown))}; there are: {', '.join(METHODS)}"
        )
    print(f"drawing and labelling {elements:,} elements")
    file = Path(out) / "train_with_what" / f"elements-{elements}.safetensors"
    problem = training_problem("regressor", make_dataset(file, Recipe(elements, seed=7)))
    results = {}
    for name in names:
        # tuned by the rows that choose and by a seed that no other run has
        rate, _ = tuned_rate(problem, name, 2.0 * passes)
        ends = [
            train_until_settled(problem, name, passes=passes, most=most, rate=rate, seed=seed) for seed in range(seeds)
        ]
        results[name] = {"rate": rate, "ends": ends, "figures": np.array([end.best.figure for end in ends])}
        print(f"{name}: mean R_error {results[name]['figures'].mean():.4f}")
    report(results)
    plot(results, Path(out) / "train_with_what.png")
    return results


def report(results):
    rows = [
        {
            "method": METHODS[name].words,
            "rate": f"{result['rate']:.2g}" if METHODS[name].tuned else "searched",
            "figure": f"{result['figures'].mean():.4f} ± {result['figures'].std():.4f}",
            "passes": np.mean([end.passes for end in result["ends"]]),
            "seconds": np.mean([end.seconds for end in result["ends"]]),
            "settled": f"{sum(end.settled for end in result['ends'])} of {len(result['ends'])}",
        }
        for name, result in sorted(results.items(), key=lambda item: item[1]["figures"].mean())
    ]
    columns = {
        "method": ("method", "{}"),
        "rate": ("first step", "{}"),
        "figure": ("mean R_error", "{}"),
        "passes": ("passes until there", "{:,.0f}"),
        "seconds": ("s of the processor", "{:.2f}"),
        "settled": ("settled", "{}"),
    }
    print("\n" + markdown(rows, columns))


def plot(results, path):
    figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    passes, seconds, figures = figure.subplots(1, 3)
    for place, (name, result) in enumerate(results.items()):
        color = f"C{place}"
        for number, end in enumerate(result["ends"]):
            label, course = name if number == 0 else None, end.courses[-1]
            best = np.minimum.accumulate(course.chosen)
            # the first look is at fresh weights, after no passes
            passes.plot(course.passes[1:], best[1:], color=color, linewidth=1.2, label=label)
            seconds.plot(course.seconds[1:], best[1:], color=color, linewidth=1.2)
        figures.plot(result["figures"], np.full(len(result["figures"]), place), "o", color=color, alpha=0.7)
    passes.set(xlabel="passes over the training rows", ylabel="loss on the rows that choose", title="Until they settle")
    seconds.set(xlabel="seconds of the processor", title="The same runs by time")
    for axes in (passes, seconds):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(alpha=0.3, which="both")
    passes.legend(fontsize="small")
    figures.set_yticks(range(len(results)), list(results))
    figures.invert_yaxis()
    figures.grid(alpha=0.3)
    figures.locator_params(axis="x", nbins=5)
    figures.set(xlabel="mean R_error of elements that report", title="What it is worth")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(NAMES))
    parser.add_argument("--elements", type=int, default=2_400)
    parser.add_argument("--passes", type=float, default=32.0, help="of the first run, which double until it settles")
    parser.add_argument("--most", type=float, default=4096.0, help="passes after which a method is given up")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    try:
        main(
            arguments.methods.split(","),
            arguments.elements,
            arguments.passes,
            arguments.most,
            arguments.seeds,
            arguments.out,
        )
    except femnn.FemnnError as error:
        parser.error(str(error))
