"""Ways of choosing integration points for a tolerance: what AdaptiveGauss has to beat.

Every rival with a free parameter gets the value with which it misses the tolerance no more often than the confidence
allows on the very elements that it is judged on: better than it could do in practice.
"""

import time

import numpy as np

from femnn.geometry import scaled_jacobian
from femnn.integration import elasticity_stiffness, tensor_gauss
from femnn.integration.convergence import FLOOR
from femnn.quadrature.adaptive.apriori_estimate import describe_directions
from femnn.quadrature.adaptive.by_integration import points_by_integration
from femnn.quadrature.adaptive.directional_errors import MEASURES, MOST, converged_points, directional_tables
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors

FEWEST, BINS = 2, 20
COUNTS = np.arange(FEWEST, MOST + 1)

# Error of (nx, ny, nz) ≈ (Σ e^p)^(1/p) of the directional errors e where no network says how they add up: the scatter
# on random elements is 5 % for the entries and 10 % for the energy.
POWER = {"entries": 1.25, "energy": 1.6, "laplace-entries": 1.25, "laplace-energy": 1.6}


class Elements:
    """Elements with the Errors of all n×n×n rules, and their cheapest rules for any tolerance."""

    def __init__(self, hexahedra, measure, poisson=0.3):
        self.hexahedra, self.measure, self.poisson = hexahedra, measure, poisson
        # what lies beyond convergence is round-off
        most = np.minimum(converged_points(hexahedra)[0].max(axis=1), MOST)
        starts = np.concatenate([[0], np.cumsum(most - FEWEST + 1)])
        rules = equal(np.concatenate([COUNTS[: n - FEWEST + 1] for n in most]))
        errors = tensor_rule_errors(hexahedra, rules, poisson, measure, starts)
        self.errors = np.full((len(hexahedra), len(COUNTS)), FLOOR)
        for e, n in enumerate(most):
            self.errors[e, : n - FEWEST + 1] = errors[starts[e] : starts[e + 1]]
        tables = directional_tables(hexahedra, np.full((len(hexahedra), 1), poisson))
        self.directional = tables[:, 0, MEASURES.index(measure)]

    def __len__(self):
        return len(self.hexahedra)

    def needed(self, tolerance):
        """Fewest equal points that keep the tolerance, (n,); where the table does not reach, found by integration."""
        n = (self.errors < tolerance).argmax(axis=1) + FEWEST
        beyond = self._beyond(tolerance)
        n[beyond] = self._by_integration(beyond, tolerance, False)[:, 0]
        return n

    def _beyond(self, tolerance):
        return np.flatnonzero((self.errors >= tolerance).all(axis=1))

    def _by_integration(self, elements, tolerance, anisotropic):
        return points_by_integration(self.hexahedra[elements], tolerance, self.poisson, self.measure, anisotropic)[0]

    def missed(self, points, tolerance):
        """Errors of rules (n, 3) over the tolerance."""
        n = points[:, 0]
        if (points == n[:, None]).all() and n.max() <= MOST:
            return self.errors[np.arange(len(n)), n - FEWEST] / tolerance
        return tensor_rule_errors(self.hexahedra, points, self.poisson, self.measure) / tolerance

    def anisotropic_oracle(self, tolerance):
        """Points of the cheapest tensor rule that keeps the tolerance, (n,): from the measured directional errors, and
        checked; where their sum is wrong, one more point along the cheapest direction until it is right."""
        power = POWER[self.measure]
        points = np.array([cheapest((own / tolerance) ** power) for own in self.directional])
        beyond = self._beyond(tolerance)
        points[beyond] = self._by_integration(beyond, tolerance, True)
        for _ in range(6):
            wrong = np.setdiff1d(np.flatnonzero(self.missed(points, tolerance) >= 1.0), beyond)
            if len(wrong) == 0:
                break
            tighter = np.array([cheapest((self.directional[e] / (0.9 * tolerance)) ** power) for e in wrong])
            same = (tighter <= points[wrong]).all(axis=1)
            points[wrong] = np.maximum(points[wrong], tighter)
            points[wrong[same], points[wrong[same]].argmin(axis=1)] += 1
        return np.minimum(points.prod(axis=1), self.needed(tolerance) ** 3)


def cheapest(relative):
    """The tensor rule with the fewest points whose relative errors, (3, candidates), add up to 1 at most."""
    total = relative[0][:, None, None] + relative[1][None, :, None] + relative[2][None, None, :]
    cost = COUNTS[:, None, None] * COUNTS[None, :, None] * COUNTS[None, None, :]
    place = np.where(total <= 1.0, cost, np.iinfo(np.int64).max).argmin()
    return COUNTS[list(np.unravel_index(place, cost.shape))]


def equal(n):
    """The same number of points n (elements,) along the three axes, (elements, 3)."""
    return np.repeat(np.asarray(n)[:, None], 3, axis=1)


def uniform(elements, tolerance, allowed):
    """One n for all elements; ``allowed`` is the share that may miss the tolerance."""
    needed = np.sort(elements.needed(tolerance))
    n = needed[len(needed) - 1 - int(allowed * len(needed))]
    return equal(np.full(len(elements), n)), 0.0


def majority(elements, tolerance, allowed):
    """The most frequent n, whatever it misses."""
    counts = np.bincount(elements.needed(tolerance))
    return equal(np.full(len(elements), counts.argmax())), 0.0


def by_scaled_jacobian(elements, tolerance, allowed):
    """One n for each of twenty classes of scaled Jacobian."""
    started = time.process_time()
    quality = scaled_jacobian(elements.hexahedra)
    seconds = time.process_time() - started
    bins = np.digitize(quality, np.quantile(quality, np.linspace(0, 1, BINS + 1)[1:-1]))
    needed, chosen = elements.needed(tolerance), np.empty(len(elements), dtype=np.int64)
    for b in np.unique(bins):
        own = np.sort(needed[bins == b])
        chosen[bins == b] = own[len(own) - 1 - int(allowed * len(own))]
    return equal(chosen), seconds


def by_ellipse(elements, tolerance, allowed):
    """The classical a-priori bound C ρ⁻²ⁿ, ρ from the roots of det J along nine lines in each direction."""
    started = time.process_time()
    rho = least_log_rho(elements.hexahedra).min(axis=1)
    seconds = time.process_time() - started
    bound = -2.0 * rho[:, None] * COUNTS
    return _safest(elements, tolerance, allowed, lambda c: equal(_first(bound + c, np.log(tolerance)))), seconds


def by_residues(elements, tolerance, allowed):
    """The estimate that the network corrects, times a constant, in every direction."""
    started = time.process_time()
    _, estimates = describe_directions(elements.hexahedra)
    seconds = time.process_time() - started
    power, logs = POWER[elements.measure], estimates.astype(float) - np.log2(tolerance)

    def choose(constant):
        relative = np.exp2(power * (logs + constant / np.log(2.0)))
        return np.array([cheapest(own) for own in relative])

    return _safest(elements, tolerance, allowed, choose, steps=10), seconds


def by_comparison(elements, tolerance, allowed):
    """A posteriori: n = 1, 2, ... until n and n + 1 differ by less than a share of the tolerance."""
    x = elements.hexahedra
    started = time.process_time()
    differences = np.zeros((len(x), len(COUNTS)))
    going = np.arange(len(x))
    before = elasticity_stiffness(x, *tensor_gauss(FEWEST, FEWEST, FEWEST), poisson=elements.poisson)
    for k, n in enumerate(COUNTS):
        after = elasticity_stiffness(x[going], *tensor_gauss(n + 1, n + 1, n + 1), poisson=elements.poisson)
        largest = np.abs(after).max(axis=(1, 2))
        differences[going, k] = np.abs(after - before).sum(axis=(1, 2)) / largest
        on = differences[going, k] > 0.2 * tolerance
        going, before = going[on], after[on]
        if len(going) == 0:
            break
    seconds = time.process_time() - started
    logs = np.log(np.maximum(differences, FLOOR))
    return _safest(elements, tolerance, allowed, lambda c: equal(_first(logs + c, np.log(tolerance)))), seconds


def _first(logs, bound):
    meets = logs < bound
    return np.where(meets.any(axis=1), meets.argmax(axis=1) + FEWEST, MOST)


def _safest(elements, tolerance, allowed, choose, steps=14):
    """The choice with the smallest constant that misses the tolerance no more often than allowed, by bisection."""
    low, high = -10.0, 10.0
    for _ in range(steps):
        middle = 0.5 * (low + high)
        often = np.mean(elements.missed(choose(middle), tolerance) >= 1.0)
        low, high = (low, middle) if often <= allowed else (middle, high)
    return choose(high)


RIVALS = {
    "uniform n×n×n": uniform,
    "majority class": majority,
    "scaled-Jacobian classes": by_scaled_jacobian,
    "a-priori bound C ρ⁻²ⁿ": by_ellipse,
    "a-priori residues, no network": by_residues,
    "a-posteriori n against n + 1": by_comparison,
}
