"""Times with their spread: medians of alternating runs, and figures that show no more digits than the spread leaves."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def in_turns(
    work: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each function, by its name, in ``rounds`` rounds in which each has its turn.

    Drift of the machine then touches all alike. What has to be compiled or loaded must have been before. With
    ``time.process_time`` as the ``clock``, what runs in one thread is timed alike where other programs have the core.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            started = clock()
            function()
            seconds[name].append(clock() - started)
    return seconds


def median_and_spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Median, and half the distance between the quartiles; no spread of a single run, and neither of none."""
    if not len(values):
        return None, None
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(median), float(0.5 * (high - low)) if len(values) > 1 else None


def with_spread(value: float | None, spread: float | None) -> str:
    """A time in words, rounded to its spread; one digit and a "≈" where that is not known.

    >>> with_spread(13.3241, 0.27), with_spread(0.6774, 0.0432), with_spread(43.56, None)
    ('13.3 ± 0.3', '0.68 ± 0.04', '≈ 40')
    """
    if value is None:
        return "–"
    if spread is None:
        return f"≈ {float(f'{value:.1g}'):g}"
    # never more than three digits: clocks and machines are not as good as one calm run looks
    least = max(spread, 0.001 * abs(value))
    if least == 0.0:
        return f"{value:g}"
    digits = -math.floor(math.log10(least))
    shown = f"{float(f'{least:.0e}'):.{max(digits, 0)}f}"
    return f"{round(value, digits):.{max(digits, 0)}f} ± {shown}"
