"""Reduced models of Burgers' equation side by side: trained on nine parameters, judged at others.

Every model is trained by one method of :class:`BurgersStudy`, on the same snapshots in the same global basis, and gives
a :class:`ReducedRun` that is asked for the states at any parameters.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.networks.options import TrainingOptions
from femnn.networks.perceptron import Perceptron
from femnn.reduced.local import LocalBases
from femnn.reduced.manifolds import Manifold, QuadraticManifold, size_of
from femnn.reduced.pod import POD
from femnn.reduced.quadratic import QuadraticGalerkin
from femnn.validation.burgers import BURGERS_TRAINING, Burgers
from femnn.validation.burgers_reduced import SampledBurgers

# Time steps between those that the cubature learns from; runs begin at different ones.
_STRIDE = 125

# Change of the coordinates after which the iterations of a closure end: its own error is far larger.
_ENOUGH = 3e-5


@dataclass(frozen=True)
class ReducedRun:
    """A trained reduced model.

    Attributes
    ----------
    name : str
    dimension : str
        How many unknowns it has.
    cells : int
        That it evaluates; 0 for none.
    march : callable
        Parameters to a path: what is timed.
    states : callable
        A path to all states (steps + 1, 2 n²).
    model : object

    Examples
    --------
    >>> from femnn.validation import Burgers, BurgersStudy
    >>> study = BurgersStudy(Burgers(12, steps=20), 10, progress=False)
    >>> run = study.local(clusters=2, tol=1e-2)
    >>> run.name, run.states(run.march((4.56, 0.019))).shape
    ('2 local bases, tensors', (21, 288))
    """

    name: str
    dimension: str
    cells: int
    march: Callable[[ArrayLike], Any]
    states: Callable[[Any], np.ndarray]
    model: Any


class BurgersStudy:
    """Snapshots of the training, their modes and coefficients.

    Parameters
    ----------
    burgers
        The full model.
    modes
        Of the global basis.
    training
        Parameters of the runs that are learned from.
    seed
        Of decompositions, clusters, cubatures.
    progress
        Show bars, if stderr is a terminal.

    Attributes
    ----------
    pod : POD
    coefficients : (runs (steps + 1), modes)
        Of all snapshots, run after run.

    Examples
    --------
    >>> study = BurgersStudy(Burgers(16, steps=40), 20, progress=False)
    >>> run = study.local(clusters=3, tol=1e-3)
    >>> truth = study.burgers.solve((4.56, 0.019))
    >>> bool(relative_error(run.states(run.march((4.56, 0.019))), truth) < 0.01)
    True
    """

    @checked(modes="[1, inf)", seed="[0, inf)")
    def __init__(
        self,
        burgers: Burgers,
        modes: int,
        training: Sequence[tuple[float, float]] = BURGERS_TRAINING,
        *,
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        self.burgers, self.seed, self.progress = burgers, seed, progress
        self.training = np.asarray(training, dtype=float)
        snapshots = np.concatenate([burgers.solve(parameters) for parameters in self.training])
        self.pod = POD.fit(snapshots.T, modes=modes, offset=burgers.initial(), method="randomised", seed=seed)
        self.coefficients = self.pod.project(snapshots.T).T

    @checked(modes="[1, inf)", n_cells="[1, inf)")
    def linear(self, modes: int, n_cells: int | None = None) -> ReducedRun:
        """The first ``modes`` of the global basis, by least-squares Petrov-Galerkin on chosen cells, or on all."""
        name = "linear" if n_cells else "linear, all cells"
        manifold = Manifold.linear(modes, size_of(self.coefficients[:, :modes]))
        # a flat manifold bends its test functions little
        return self._sampled(name, manifold, n_cells, lag=4)

    @checked(n="[1, inf)", n_cells="[1, inf)", modes="[2, inf)")
    def quadratic(self, n: int, n_cells: int, modes: int) -> ReducedRun:
        """A quadratic manifold of ``n`` coordinates, from which all ``modes`` follow."""
        manifold = QuadraticManifold.fit(self.coefficients[:, :modes], n, seed=self.seed)
        return self._sampled("quadratic manifold", manifold, n_cells)

    @checked(n="[1, inf)", n_cells="[1, inf)", modes="[2, inf)", lag="[1, inf)")
    def network(
        self,
        n: int,
        n_cells: int,
        modes: int,
        hidden: tuple[int, ...],
        options: TrainingOptions,
        checkpoint: str | os.PathLike | None = None,
        lag: int = 10,
    ) -> ReducedRun:
        """A network closure of ``n`` coordinates, from which all ``modes`` follow.

        Test functions serve ``lag`` time steps, as of :class:`femnn.validation.SampledBurgers`.
        """
        from femnn.reduced.fit_closure import fit_closure  # loads torch

        closure, _ = fit_closure(
            self.coefficients[:, :modes], n, hidden, options, checkpoint=checkpoint, progress=self.progress
        )
        return self._sampled("network closure", closure, n_cells, lag=lag, enough=_ENOUGH)

    @checked(clusters="[1, inf)", tol="(0, 1)", overlap="[0, inf)")
    def local(self, clusters: int, tol: float, overlap: float = 0.2) -> ReducedRun:
        """Galerkin projection in local bases, by tensors: the flux is quadratic, so no cell is needed."""
        bases = LocalBases.fit(self.coefficients, clusters, tol=tol, overlap=overlap, seed=self.seed)
        model = QuadraticGalerkin(self.pod, self.burgers.bilinear, bases, progress=self.progress)
        forcing, ranks = self.burgers.project_source(self.pod.modes), bases.ranks

        def march(parameters: ArrayLike) -> Any:
            return model.march(forcing(parameters), dt=self.burgers.dt, steps=self.burgers.steps)

        name = f"{clusters} local bases, tensors"
        return ReducedRun(name, f"{ranks.min()}-{ranks.max()}", 0, march, lambda path: path.states(), model)

    @checked(modes="[1, inf)")
    def data_driven(
        self,
        modes: int,
        hidden: tuple[int, ...],
        options: TrainingOptions,
        checkpoint: str | os.PathLike | None = None,
    ) -> ReducedRun:
        """A network from parameters and time to the first ``modes`` coefficients, which knows no equation."""
        from femnn.reduced.fit_closure import fit_map  # loads torch

        times = np.arange(self.burgers.steps + 1) * self.burgers.dt
        inputs = np.concatenate([_inputs(parameters, times) for parameters in self.training])
        network, _ = fit_map(
            inputs, self.coefficients[:, :modes], hidden, options, checkpoint=checkpoint, progress=self.progress
        )
        march = partial(_predict, network, times)
        return ReducedRun("parameters and time to coefficients", "–", 0, march, self._lift, network)

    def _sampled(self, name, manifold, n_cells, **options):
        model = SampledBurgers(self.burgers, self.pod, manifold, **options)
        if n_cells is not None:
            length = self.burgers.steps + 1
            first = [run * length + s for run in range(len(self.training)) for s in range(run + 2, length, _STRIDE)]
            ends = np.array(first)
            model = SampledBurgers.fit(
                self.burgers,
                self.pod,
                manifold,
                self.coefficients[ends],
                self.coefficients[ends - 1],
                self.training[ends // length],
                n_cells=n_cells,
                seed=self.seed,
                progress=self.progress,
                **options,
            )
        return ReducedRun(name, str(manifold.n), len(model.cells), model.march, model.states, model)

    def _lift(self, coefficients):
        return coefficients @ self.pod.modes[:, : coefficients.shape[1]].T + self.pod.offset


@checked(states="...", truth="...")
def relative_error(states: np.ndarray, truth: np.ndarray) -> float:
    """Frobenius norm of the difference over space and time, relative to that of the ``truth``.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import relative_error
    >>> truth = np.ones((5, 8))
    >>> round(relative_error(1.01 * truth, truth), 12)
    0.01
    """
    if np.shape(states) != np.shape(truth):
        raise ParameterError(f"states have shape {np.shape(states)}, the truth {np.shape(truth)}; pass equal ones")
    return float(np.linalg.norm(states - truth) / np.linalg.norm(truth))


@checked(states="k n", truth="k n")
def error_over_time(states: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Norm (k,) of the difference at each time, relative to that of the ``truth`` then.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import error_over_time
    >>> truth = np.ones((3, 8))
    >>> error_over_time(truth * np.array([[1.0], [1.1], [1.2]]), truth).round(12)
    array([0. , 0.1, 0.2])
    """
    return np.linalg.norm(states - truth, axis=1) / np.linalg.norm(truth, axis=1)


def _inputs(parameters, times):
    return np.column_stack([np.tile(parameters, (len(times), 1)), times])


def _predict(network: Perceptron, times: np.ndarray, parameters: ArrayLike) -> np.ndarray:
    return network(_inputs(parameters, times))
