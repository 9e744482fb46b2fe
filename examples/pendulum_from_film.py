"""Which equation does this thing follow? A film of a bar that swings, and nothing else, is asked.

    python examples/pendulum_from_film.py --out results

The bar is made of hexahedra that swing under gravity and the drag of air; its film is blurred and noisy. An autoencoder
reduces each frame to one number, that number is straightened and scaled until its equation is sparse, and the best of
some starts is chosen by what the film says of it. The coefficients are then compared with those that mass, moment of
inertia and drag give. A minute on two cores.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from femnn.identification import best_start, fit_sindy_autoencoder, load_pendulum_film
from femnn.plotting import save


def main(starts=3, noise=0.01, modes=48, units=256, rounds=12, out="."):
    """Find the equation, print it beside the truth, and draw what was found.

    Parameters
    ----------
    starts
        Of the autoencoder.
    noise
        Of each pixel, over the brightness of the bar.
    modes, units, rounds
        Of the autoencoder.

    Returns
    -------
    dict
        Coefficients by term, those of the rigid bar, and what the equation leaves of the acceleration.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    taken = load_pendulum_film()
    film = taken.film.disturbed(noise, blur=0.7, seed=1)
    print(film)
    results = [fit_sindy_autoencoder(film, modes=modes, units=units, rounds=rounds, seed=k) for k in range(starts)]
    for result in results:
        print(f"start {result.seed}: {result!r}")
    best = best_start(results)
    rigid = taken.pendulum
    print(f"start {best.seed} leaves least for its terms: {best.equation}")
    print(f"a rigid bar: z'' = -{rigid.damping:.3f} z' - {rigid.stiffness:.3f} sin z")
    plot(taken, film, best, folder / "pendulum_from_film.png")
    truth = {"sin z": -rigid.stiffness, "z'": -rigid.damping}
    return {"found": best.equation.terms, "truth": truth, "left": best.equation.left}


def plot(taken, film, best, path):
    """Frames and what comes back of them; the number beside the angle; what further terms are worth."""
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    grid = figure.add_gridspec(2, 12, height_ratios=(1.0, 1.5))
    shown = [0, 25, 50, 100]
    rows = film.clips[0].reshape(len(film.clips[0]), -1)[shown].astype(float)
    decoded = best.code.decode(best.series[0][shown, None]).reshape(-1, *film.shape)
    for k, (frame, back) in enumerate(zip(rows.reshape(-1, *film.shape), decoded, strict=True)):
        axes = figure.add_subplot(grid[0, 3 * k : 3 * k + 3])
        axes.imshow(np.concatenate([frame, back], axis=1), cmap="gray", vmin=0.0, vmax=1.0)
        axes.axvline(film.shape[1] - 0.5, color="white", linewidth=0.8)
        axes.set_title(f"{shown[k] * film.dt:.1f} s: z = {best.series[0][shown[k]]:+.2f}", fontsize="medium")
        axes.set_axis_off()
    # the sign of a coordinate is nobody's to find
    z, angle = np.concatenate(best.series), np.concatenate(taken.angles)
    sign = np.sign(np.corrcoef(z, angle)[0, 1])

    axes = figure.add_subplot(grid[1, 0:5])
    for number, (series, own) in enumerate(zip(best.series, taken.angles, strict=True)):
        times = film.dt * np.arange(len(own))
        axes.plot(times, own, color=f"C{number}", linewidth=1.0, label="angle of the bar" if number == 0 else None)
        axes.plot(
            times[::6], sign * series[::6], ".", color=f"C{number}", markersize=4,
            label="number of the film" if number == 0 else None,
        )  # fmt: skip
    axes.set(xlabel="time (s)", ylabel="z, angle (rad)", title=str(best.equation))
    axes.legend(fontsize="small")

    axes = figure.add_subplot(grid[1, 5:9])
    axes.plot(angle, 1e3 * (sign * z - angle), ".", markersize=1.5)
    axes.set(xlabel="angle (rad)", ylabel="number less angle (mrad)", title="nothing told the film its angle")

    axes = figure.add_subplot(grid[1, 9:12])
    left = best.equation.left_by_terms
    axes.semilogy(np.arange(1, len(left) + 1), left, "o-", markersize=4)
    axes.axvline(len(best.equation.terms), color="0.6", linewidth=0.8)
    axes.set(xlabel="terms of the equation", title="left of the acceleration")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--noise", type=float, default=0.01, help="of each pixel")
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    main(arguments.starts, arguments.noise, out=arguments.out)
