"""What cells drawn from a finite population say about the rest of it.

A mesh is a population of ``cells``; a sample of them is drawn without replacement and measured, so that what misses
among the sample is known and mended. How many of the others miss follows the hypergeometric law, and no assumption
about the mesh is needed (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, section 3.6).
"""

import math

import numpy as np
import scipy

#: Probability with which a statement about a mesh may be wrong, over the draw of its sample.
RISK = 0.01


def _at_most(found: int, cells: int, marked: int, drawn: int) -> float:
    """Probability that at most ``found`` of ``drawn`` cells are marked when ``marked`` of all ``cells`` are."""
    least = max(0, drawn + marked - cells)
    if least > found:
        return 0.0
    k = np.arange(least, min(found, marked, drawn) + 1)
    # each term by itself: from the first of thousands on, which may underflow, the others could not be reached
    logs = _log_ways(marked, k) + _log_ways(cells - marked, drawn - k) - _log_ways(cells, drawn)
    return min(float(np.exp(logs).sum()), 1.0)


def _log_ways(n, k):
    """log of the ways to choose ``k`` of ``n``."""
    log_factorial = scipy.special.gammaln
    return log_factorial(n + 1) - log_factorial(k + 1) - log_factorial(n - k + 1)


def allowed_misses(cells: int, drawn: int, share: float, risk: float = RISK) -> int:
    """Most misses among the drawn cells with which at most ``share`` of all cells miss once these are mended.

    The statement is wrong with a probability of ``risk`` at most, whatever the number of misses is. -1 if even none
    among so few would not do.
    """
    if drawn >= cells:
        return drawn
    left = math.floor(share * cells * (1.0 + 1e-12))
    if left >= cells - drawn:
        return drawn
    # the most harmful mesh has just one miss too many left
    low, high = -1, drawn
    while low < high:
        found = (low + high + 1) // 2
        if _at_most(found, cells, left + found + 1, drawn) <= risk:
            low = found
        else:
            high = found - 1
    return low


def cells_needed(cells: int, share: float, risk: float = RISK) -> int:
    """The fewest drawn cells that can vouch for ``share``: with no miss among them."""
    low, high = 1, cells
    while low < high:
        middle = (low + high) // 2
        if allowed_misses(cells, middle, share, risk) >= 0:
            high = middle
        else:
            low = middle + 1
    return low


def share_vouched(cells: int, drawn: int, risk: float = RISK) -> float:
    """The smallest share of the cells that drawn ones without any miss can vouch for."""
    low, high = 0, cells
    while low < high:
        middle = (low + high) // 2
        if allowed_misses(cells, drawn, middle / cells, risk) >= 0:
            high = middle
        else:
            low = middle + 1
    return low / cells
