"""Points of uniform rules over those of an adaptive one: the ratio depends on how often the uniform one may miss."""

import numpy as np


def uniform_gains(needed, points, misses, promised):
    """Points per axis of three uniform rules, and their points over those of an adaptive rule.

    Parameters
    ----------
    needed : (n,) int
        Points per axis that bring each element below the tolerance.
    points : float
        Of the adaptive rule on all elements.
    misses : int
        Elements in which that misses the tolerance.
    promised : float
        Share of the elements in which it may.

    Returns
    -------
    dict
        ``uniform`` and ``gain``: the smallest rule that misses the tolerance nowhere; ``uniform_equal`` and
        ``gain_equal``: that misses it in no more elements than the adaptive one does; ``uniform_promised`` and
        ``gain_promised``: in no more than that promises.
    """
    descending = np.sort(needed)[::-1]
    allowed = {"": 0, "_equal": misses, "_promised": int(promised * len(needed))}
    found = {}
    for name, count in allowed.items():
        n = int(descending[min(count, len(descending) - 1)])
        found |= {f"uniform{name}": n, f"gain{name}": float(n**3 * len(needed) / points)}
    return found


#: Headings and formats of the three ratios.
GAIN_COLUMNS = {
    "gain": ("uniform that misses nowhere / adaptive points", "{:.1f}"),
    "gain_equal": ("uniform at equal misses / adaptive points", "{:.1f}"),
    "gain_promised": ("uniform at the promised misses / adaptive points", "{:.1f}"),
}
