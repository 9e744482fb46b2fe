"""What methods of training are worth: each trains femnn's networks until it settles, for the same time and passes.

It needs torch, so that the room does not export it.

>>> from femnn.validation.training_study import METHODS
>>> len(METHODS)
21
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from femnn.checks import one_of, positive
from femnn.networks.element_data import Recipe, make_dataset
from femnn.networks.options import SCHEDULES
from femnn.networks.perceptron import ACTIVATIONS
from femnn.networks.torch_line_search import ArmijoSGD, LineSearchDescent
from femnn.networks.torch_perceptron import INITIALISATIONS, build
from femnn.quadrature.adaptive.data import make_directional_data
from femnn.quadrature.adaptive.train import DIRECTIONAL_RECIPE
from femnn.quadrature.moved.fit import make_moved_data
from femnn.quadrature.moved.train import MOVED_RECIPE
from femnn.tasks.run import task_name
from femnn.validation.training_problems import TrainingProblem, training_problem

#: What a run may be measured by.
MEASURES = ("passes", "seconds")

# Of the recipe, which has no nearly exact elements: rounding in float32 is all there is to their R_error.
_DATA_SEED = 7

# Rows of a minibatch, of the first where they grow.
_ROWS = 64

# A run is looked at this often until its limit.
_LOOKS = 40

#: A method has settled when twice the passes bring less than this share of what it has gained over the best constant.
SETTLED = 0.05

# A gain below this share of what the best constant gains over fresh weights is none: the plateau where a network has
# learnt nothing but a constant may outlast a doubling. Where fresh weights are far off, this share of the constant's
# loss is asked for.
_LEAST_GAIN = 0.1

# The first step is tuned by factors of √10 with a seed that no other run has.
_FACTOR, _TUNING_SEED, _MOST_PILOTS = math.sqrt(10.0), 1000, 8


@dataclass(frozen=True)
class TrainingMethod:
    """An optimizer and how its steps and minibatches go on.

    Attributes
    ----------
    make : callable
        ``make(weights, lr=rate)``, an optimizer; an adaptive one takes ``batch_size`` and ``most_rows`` as well.
    rate : float
        Where the tuning of the first step begins; what is used where that is not tuned.
    tuned : bool
        The first step is a setting; line searches find theirs.
    rows : str
        ``"all"`` at once, ``"few"``, ``"growing"`` or ``"adaptive"``, as the optimizer asks.
    schedule : callable
        The rate as a factor of the first, of the share of the run that is over, in [0, 1).
    words : str
    """

    make: Callable[..., torch.optim.Optimizer]
    rate: float
    words: str
    tuned: bool = True
    rows: str = "few"
    schedule: Callable[[float], float] = SCHEDULES["constant"]

    @property
    def scheduled(self) -> bool:
        """Its course depends on how long the run is to be."""
        return self.rows == "growing" or self.schedule is not SCHEDULES["constant"]


def _cyclic(t: float) -> float:
    """Cosines over 1/7, 2/7 and 4/7 of a run, each from the top (Loshchilov & Hutter, ICLR 2017)."""
    start, length = (0.0, 1.0) if t < 1.0 / 7.0 else (1.0, 2.0) if t < 3.0 / 7.0 else (3.0, 4.0)
    return SCHEDULES["cosine"](min((7.0 * t - start) / length, 1.0))


def _growing(t: float) -> int:
    """Rows in place of smaller steps: ten times as many where a step decay takes a tenth (Smith et al., ICLR 2018)."""
    return round(_ROWS / SCHEDULES["step"](t))


_sgd = partial(torch.optim.SGD, fused=True)
_momentum = partial(_sgd, momentum=0.9)
_nesterov = partial(_sgd, momentum=0.9, nesterov=True)
_adam = partial(torch.optim.Adam, fused=True)
_adamw = partial(torch.optim.AdamW, fused=True, weight_decay=0.01)


def _lbfgs(weights, lr):
    return torch.optim.LBFGS(weights, lr, max_iter=5, line_search_fn="strong_wolfe")


def _descent(condition):
    def make(weights, lr):
        return LineSearchDescent(weights, condition, lr)

    words = f"steepest descent, {condition.capitalize() if condition != 'exact' else 'exact'} line search"
    return TrainingMethod(make, 1.0, words, tuned=False, rows="all")


#: Methods by name.
METHODS: Mapping[str, TrainingMethod] = {
    "descent-exact": _descent("exact"),
    "descent-goldstein": _descent("goldstein"),
    "descent-armijo": _descent("armijo"),
    "descent-wolfe": _descent("wolfe"),
    "l-bfgs": TrainingMethod(_lbfgs, 1.0, "L-BFGS, strong Wolfe line search", tuned=False, rows="all"),
    "sgd": TrainingMethod(_sgd, 0.03, "stochastic gradients"),
    "sgd-momentum": TrainingMethod(_momentum, 0.01, "with momentum 0.9"),
    "sgd-nesterov": TrainingMethod(_nesterov, 0.01, "with Nesterov's momentum 0.9"),
    "sgd-step-decay": TrainingMethod(_nesterov, 0.01, "Nesterov's, a tenth at ½ and at ¾", schedule=SCHEDULES["step"]),
    "sgd-annealing": TrainingMethod(_nesterov, 0.03, "Nesterov's, a cosine down to 0", schedule=SCHEDULES["cosine"]),
    "sgd-cyclic": TrainingMethod(
        partial(_nesterov, weight_decay=1e-4), 0.03, "Nesterov's, three cosines, weight decay 1e-4", schedule=_cyclic
    ),
    "sgd-growing": TrainingMethod(_nesterov, 0.01, "Nesterov's, minibatches grow", rows="growing"),
    "sgd-armijo": TrainingMethod(
        ArmijoSGD, 1.0, "Armijo line search, adaptive minibatches", tuned=False, rows="adaptive"
    ),
    "adagrad": TrainingMethod(partial(torch.optim.Adagrad, fused=True), 0.03, "AdaGrad"),
    "rmsprop": TrainingMethod(torch.optim.RMSprop, 0.003, "RMSProp"),
    "adam": TrainingMethod(_adam, 0.01, "Adam"),
    "amsgrad": TrainingMethod(partial(_adam, amsgrad=True), 0.01, "AMSGrad"),
    "adamw": TrainingMethod(_adamw, 0.01, "AdamW, weight decay 0.01"),
    "adam-annealing": TrainingMethod(_adam, 0.01, "Adam, a cosine down to 0", schedule=SCHEDULES["cosine"]),
    "adamw-annealing": TrainingMethod(_adamw, 0.01, "AdamW, a cosine down to 0", schedule=SCHEDULES["cosine"]),
    "adamw-cyclic": TrainingMethod(_adamw, 0.01, "AdamW, three cosines", schedule=_cyclic),
}


@dataclass
class TrainingCourse:
    """Course and end of a run; the first entry of each list is before the first step.

    Attributes
    ----------
    seconds : list of float
        Of the processor, without the looks at the choosing rows.
    passes : list of float
        Rows that the loss was computed of, trial steps included, over the rows that train.
    chosen : list of float
        Loss on the rows that choose.
    trained : list of float
        The last loss that the method computed.
    steps : int
        Calls of the optimizer.
    stopped : str
        ``"limit"``; ``"stationary"``: no step brings the loss down; ``"diverged at step K"``: a loss was NaN or
        infinite.
    figure, loss : float
        On the rows that report, with the weights of the smallest loss on those that choose.
    """

    seconds: list[float] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)
    steps: int = 0
    stopped: str = ""
    figure: float = math.nan
    loss: float = math.nan

    @property
    def best(self) -> float:
        """Smallest loss on the rows that choose."""
        return min(self.chosen)

    def reached(self, loss: float) -> tuple[float, float]:
        """Passes and seconds after which the loss on the rows that choose was no larger; infinite if it never was."""
        for passes, seconds, value in zip(self.passes, self.seconds, self.chosen, strict=True):
            if value <= loss:
                return passes, seconds
        return math.inf, math.inf


@dataclass(frozen=True)
class SettledCourse:
    """What a method is worth where it settles, from `train_until_settled`.

    Attributes
    ----------
    courses : list of TrainingCourse
        For P, 2 P, 4 P, ... passes.
    settled : bool
        The last doubling brought less than the share `SETTLED` of the gain, or no step brings the loss down; else
        the passes were used up, or a loss became NaN or infinite.
    best : TrainingCourse
        The one with the smallest loss on the rows that choose.
    passes, seconds : float
        After which a course was there, but for that share of the gain.
    """

    courses: Sequence[TrainingCourse]
    settled: bool
    best: TrainingCourse
    passes: float
    seconds: float


def train_by(
    problem: TrainingProblem,
    method: str,
    *,
    measure: str = "passes",
    limit: float = 60.0,
    rate: float | None = None,
    seed: int = 0,
    activation: str | None = None,
    initialisation: str | None = None,
) -> TrainingCourse:
    """Train a fresh network by one method until a limit.

    Parameters
    ----------
    problem
        See `training_problem`.
    method
        One of `METHODS`.
    measure, limit
        The run may use so many ``"passes"`` over the training rows, or ``"seconds"`` of the processor (one thread).
    rate
        First step; None takes that of the method.
    seed
        Of fresh weights and the order of the rows.
    activation, initialisation
        Of the network, see :func:`femnn.networks.torch_perceptron.build`; None takes those of the problem.

    Raises
    ------
    ParameterError
        If a name is unknown; the message lists those that there are.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from femnn.networks import Recipe, make_dataset
    >>> with TemporaryDirectory() as folder:
    ...     elements = make_dataset(f"{folder}/elements.safetensors", Recipe(200), progress=False)
    >>> course = train_by(training_problem("regressor", elements), "adam", limit=5)
    >>> course.stopped, course.passes[-1] >= 5, course.best < course.chosen[0]
    ('limit', True, True)
    """
    one_of("measure", measure, MEASURES)
    positive("limit", limit)
    with _one_thread():
        return _run(problem, method, rate, seed, activation, initialisation).until(measure, limit)


def train_until_settled(
    problem: TrainingProblem,
    method: str,
    *,
    passes: float = 32.0,
    most: float = 4096.0,
    rate: float | None = None,
    seed: int = 0,
    activation: str | None = None,
    initialisation: str | None = None,
) -> SettledCourse:
    """Train by one method for P passes, twice as many, and so on, until that brings nearly nothing more.

    The rule is the same for all methods: one has settled when twice the passes lower its smallest loss on the rows that
    choose by less than the share `SETTLED` of what it has gained over the best constant answer, if that is worth a
    tenth of what this answer gains over fresh weights, or of its own loss. A method whose rate falls with the share of
    the run that is over begins anew for every number of passes; the others just go on.

    Parameters
    ----------
    problem, method, rate, seed, activation, initialisation
        As in `train_by`.
    passes
        P.
    most
        Twice as many passes are not tried beyond these.

    Raises
    ------
    ParameterError
        As `train_by`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from femnn.networks import Recipe, make_dataset
    >>> with TemporaryDirectory() as folder:
    ...     elements = make_dataset(f"{folder}/elements.safetensors", Recipe(200), progress=False)
    >>> end = train_until_settled(training_problem("regressor", elements), "adam")
    >>> end.settled, end.passes < 32 * 2 ** len(end.courses), len(end.courses) >= 2
    (True, True, True)
    """
    positive("passes", passes)
    positive("most", most)
    begin = partial(_run, problem, method, rate, seed, activation, initialisation)
    goes_on = not METHODS[method].scheduled if method in METHODS else False
    courses: list[TrainingCourse] = []
    with _one_thread():
        run, settled = begin(), False
        while not settled and passes <= most:
            course = run.until("passes", passes)
            before = min((earlier.best for earlier in courses), default=math.inf)
            courses.append(course)
            now = min(before, course.best)
            gain, fresh = problem.constant - now, courses[0].chosen[0]
            learnt = gain > _LEAST_GAIN * max(min(fresh - problem.constant, problem.constant), 0.0)
            settled = (learnt and before - now <= SETTLED * gain) or course.stopped == "stationary"
            if course.stopped.startswith("diverged"):
                break
            passes *= 2.0
            run = run if goes_on else begin()
    best = min(courses, key=lambda course: course.best)
    there = best.best + SETTLED * max(problem.constant - best.best, 0.0)
    passes, seconds = min(course.reached(there) for course in courses)
    return SettledCourse(courses, settled, best, passes, seconds)


def _run(problem, method, rate, seed, activation, initialisation):
    one_of("method", method, tuple(METHODS))
    activation = (
        problem.architecture.activation if activation is None else one_of("activation", activation, tuple(ACTIVATIONS))
    )
    if initialisation is not None:
        one_of("initialisation", initialisation, INITIALISATIONS)
    architecture = replace(problem.architecture, activation=activation)
    module = build(architecture, problem.scales, seed, initialisation=initialisation)
    return _Run(problem, METHODS[method], module, rate, seed)


@contextmanager
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Run:
    """One training: the rows of the next minibatch, a step, a look at the rows that choose."""

    def __init__(self, problem, method, module, rate, seed) -> None:
        self.problem, self.method, self.module = problem, method, module
        self.rate = method.rate if rate is None else positive("rate", rate)
        self.weights = list(module.parameters())
        self.rows = len(problem.rows[0][0])
        sizes = {"batch_size": min(_ROWS, self.rows), "most_rows": self.rows} if method.rows == "adaptive" else {}
        self.optimizer = method.make(self.weights, lr=self.rate, **sizes)
        self.random = torch.Generator().manual_seed(seed)
        self.order, self.place = torch.randperm(self.rows, generator=self.random), 0
        self.used = {"passes": 0.0, "seconds": 0.0}
        self.course = TrainingCourse()
        self.best = {name: values.clone() for name, values in module.state_dict().items()}
        self.last = math.nan

    def until(self, measure, limit) -> TrainingCourse:
        """Train until a limit, and report; a larger limit may follow."""
        course = self.course
        course.stopped = ""
        if not course.chosen:
            self._look()
        share = self.used[measure] / limit
        next_look = (math.floor(share * _LOOKS) + 1) / _LOOKS
        while not course.stopped:
            started = time.process_time()
            self._step(share)
            self.used["seconds"] += time.process_time() - started
            share = self.used[measure] / limit
            if share >= next_look or course.stopped:
                self._look()
                next_look = (math.floor(share * _LOOKS) + 1) / _LOOKS
            if share >= 1.0 and not course.stopped:
                course.stopped = "limit"
        loss, figure = self._report()
        # what a course has seen stays its own while the run goes on
        seen: dict[str, Any] = {
            name: list(getattr(course, name)) for name in ("seconds", "passes", "chosen", "trained")
        }
        return replace(course, **seen, loss=loss, figure=figure)

    @torch.no_grad()
    def _report(self):
        """Loss and figure on the rows that report, with the best weights."""
        last = {name: values.clone() for name, values in self.module.state_dict().items()}
        self.module.load_state_dict(self.best)
        features, *targets = self.problem.rows[2]
        prediction = self.module(features)
        self.module.load_state_dict(last)
        return float(self.problem.loss(prediction, *targets)), self.problem.figure(prediction)

    def _step(self, share) -> None:
        # line searches keep their steps in the rate
        if self.method.tuned:
            self.optimizer.param_groups[0]["lr"] = self.rate * self.method.schedule(share)
        features, *targets = self._batch(share)

        def closure():
            for weight in self.weights:
                weight.grad = None
            value = self.problem.loss(self.module(features), *targets)
            if torch.is_grad_enabled():
                value.backward()
            self.used["passes"] += len(features) / self.rows
            return value.detach()

        self.last = float(self.optimizer.step(closure))
        self.course.steps += 1
        if not math.isfinite(self.last):
            self.course.stopped = f"diverged at step {self.course.steps}"
        elif getattr(self.optimizer, "stalled", False):
            self.course.stopped = "stationary"

    def _batch(self, share):
        training = self.problem.rows[0]
        count = {
            "all": lambda: self.rows,
            "few": lambda: _ROWS,
            "growing": lambda: _growing(share),
            "adaptive": lambda: self.optimizer.batch_size,
        }[self.method.rows]()
        if count >= self.rows:
            return training
        if self.place + count > self.rows:
            self.order, self.place = torch.randperm(self.rows, generator=self.random), 0
        chosen = self.order[self.place : self.place + count]
        self.place += count
        return [values.index_select(0, chosen) for values in training]

    def _look(self) -> None:
        """Loss on the rows that choose; keeps the best weights, and ends a run that has diverged."""
        course = self.course
        with torch.no_grad():
            features, *targets = self.problem.rows[1]
            loss = float(self.problem.loss(self.module(features), *targets))
        if not math.isfinite(loss):
            course.stopped = course.stopped or f"diverged at step {course.steps}"
            return
        if not course.chosen or loss < course.best:
            self.best = {name: values.clone() for name, values in self.module.state_dict().items()}
        for values, value in (
            (course.seconds, self.used["seconds"]),
            (course.passes, self.used["passes"]),
            (course.chosen, loss),
            (course.trained, self.last),
        ):
            values.append(value)


def tuned_rate(problem: TrainingProblem, method: str, passes: float, **network: Any) -> tuple[float, list[float]]:
    """First step of a method with the smallest loss on the rows that choose, and the steps that were tried.

    Steps differ by √10: it goes from that of the method to the better neighbour until both neighbours are worse, eight
    runs at most; of equal ones, such as those that diverge at once, it takes the smaller.

    Parameters
    ----------
    problem, method
        As in `train_by`.
    passes
        Over the training rows, of each run.
    network
        Activation and initialisation.
    """
    start = METHODS[method].rate
    if not METHODS[method].tuned:
        return start, []
    losses: dict[int, float] = {}

    def loss(power):
        if power not in losses:
            course = train_by(problem, method, limit=passes, rate=start * _FACTOR**power, seed=_TUNING_SEED, **network)
            losses[power] = course.best
        return losses[power]

    power = 0
    while len(losses) < _MOST_PILOTS:
        better = min((power - 1, power, power + 1), key=loss)
        if better == power:
            break
        power = better
    power = min(sorted(losses), key=losses.__getitem__)
    return start * _FACTOR**power, [start * _FACTOR**tried for tried in sorted(losses)]


@lru_cache(maxsize=8)
def study_problem(name: str, elements: int, folder: str) -> TrainingProblem:
    """A problem on randomly drawn elements, which are labelled once and kept in a folder.

    Elements for the points count twice, for they are labelled for two materials.
    """
    elements = elements // 2 if name == "shipped-points" else elements
    kind, make, recipe = {
        "shipped-points": ("directions", make_directional_data, DIRECTIONAL_RECIPE),
        "shipped-moved": ("moved", make_moved_data, MOVED_RECIPE[False]),
    }.get(name, ("elements", make_dataset, Recipe(elements)))
    recipe = replace(recipe, elements=elements, seed=_DATA_SEED)
    return training_problem(name, make(Path(folder) / f"{kind}-{elements}.safetensors", recipe))


@task_name("femnn.validation.training_study.tuning_task")
def tuning_task(problem: str, elements: int, folder: str, method: str, passes: float, **network: Any) -> dict:
    """`tuned_rate` as a task of :func:`femnn.tasks.run.run_tasks`."""
    rate, tried = tuned_rate(study_problem(problem, elements, folder), method, passes, **network)
    return {"rate": np.array(rate), "tried": np.array(tried)}


@task_name("femnn.validation.training_study.training_task")
def training_task(problem: str, elements: int, folder: str, method: str, **run: Any) -> dict:
    """`train_by` as a task: the arrays of a `TrainingCourse`."""
    return _arrays(train_by(study_problem(problem, elements, folder), method, **run))


@task_name("femnn.validation.training_study.settling_task")
def settling_task(problem: str, elements: int, folder: str, method: str, **run: Any) -> dict:
    """`train_until_settled` as a task: the arrays of its second course and of its best, and how it settled."""
    end = train_until_settled(study_problem(problem, elements, folder), method, **run)
    # one that is stationary or diverges at once has no second
    arrays = {f"second.{name}": values for name, values in _arrays(end.courses[:2][-1]).items()}
    arrays |= {f"best.{name}": values for name, values in _arrays(end.best).items()}
    arrays |= {name: np.array(getattr(end, name)) for name in ("settled", "passes", "seconds")}
    return {**arrays, "stopped": np.array(end.courses[-1].stopped), "courses": np.array(len(end.courses))}


def _arrays(course):
    names = ("seconds", "passes", "chosen", "trained", "steps", "stopped", "figure", "loss")
    return {name: np.array(getattr(course, name)) for name in names}
