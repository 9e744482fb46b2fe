"""The study of training methods: each trains, settles by one rule and says how; the benchmark goes on and names."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from femnn.exceptions import DatasetError, ParameterError
from femnn.networks import Architecture, Recipe, make_dataset
from femnn.quadrature.adaptive.data import make_directional_data
from femnn.quadrature.adaptive.train import DIRECTIONAL_RECIPE
from femnn.quadrature.corrected.networks import improvable
from femnn.quadrature.moved.fit import make_moved_data
from femnn.quadrature.moved.train import MOVED_RECIPE
from femnn.validation import retraining
from femnn.validation import training_study as study
from femnn.validation.training_problems import TrainingProblem, training_problem
from femnn.validation.training_study import (
    METHODS,
    SETTLED,
    TrainingMethod,
    train_by,
    train_until_settled,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "elements.safetensors"
    return make_dataset(path, Recipe(240, seed=3), progress=False)


@pytest.fixture(scope="module")
def toy():
    """A smooth function of two variables, for which a network takes a moment."""
    rows = []
    for seed, count in enumerate((300, 80, 200)):
        x = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, 2)).astype(np.float32)
        rows.append([torch.tensor(x), torch.tensor(np.sin(3.0 * x[:, :1]) * x[:, 1:])])
    return toy_problem(rows)


def toy_problem(rows, loss=None):
    def squares(prediction, target):
        return ((prediction - target) ** 2).mean()

    def root(prediction):
        return float(squares(prediction, rows[2][1])) ** 0.5

    return TrainingProblem("toy", Architecture(2, 1, (12, 12), "sigmoid"), {}, loss or squares, rows, root, "rms error")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_keeps_its_limit(method, toy):
    course = train_by(toy, method, limit=40.0)
    assert course.best < 0.98 * course.chosen[0]
    assert len(course.seconds) == len(course.passes) == len(course.chosen) == len(course.trained)
    assert (np.diff(course.passes) > 0.0).all()
    assert course.stopped == "limit"
    # a call of a line search takes some passes more
    assert 40.0 <= course.passes[-1] < (120.0 if METHODS[method].rows == "all" else 42.0)
    # the best weights report
    assert course.loss == pytest.approx(course.figure**2, rel=1e-5)
    again = train_by(toy, method, limit=40.0)
    assert (again.chosen, again.loss, again.passes) == (course.chosen, course.loss, course.passes)
    assert train_by(toy, method, limit=40.0, seed=1).chosen != course.chosen


def test_equal_time_is_time_of_the_processor(toy):
    course = train_by(toy, "adam", measure="seconds", limit=0.1)
    assert course.stopped == "limit"
    assert course.seconds[-1] >= 0.1


@pytest.mark.parametrize("method", ["l-bfgs", "sgd-nesterov", "sgd-growing", "rmsprop", "adam", "adamw-cyclic"])
def test_methods_settle_by_the_rule(method, toy):
    end = train_until_settled(toy, method, passes=16.0)
    assert end.settled
    bests = np.minimum.accumulate([course.best for course in end.courses])
    gains = toy.constant - bests
    brought = -np.diff(bests)
    assert brought[-1] <= SETTLED * gains[-1]
    # and not before
    assert (brought[:-1] > SETTLED * gains[1:-1]).all()
    assert end.best.best == bests[-1]
    # as many passes as it takes to get all but that share of the gain
    assert end.passes <= end.courses[-1].passes[-1]
    assert min(course.reached(bests[-1] + SETTLED * gains[-1])[0] for course in end.courses) == end.passes
    again = train_until_settled(toy, method, passes=16.0)
    assert [course.chosen for course in again.courses] == [course.chosen for course in end.courses]


@pytest.mark.parametrize("method", ["adam", "descent-armijo"])
def test_what_has_no_schedule_goes_on(method, toy):
    first, second, *_ = train_until_settled(toy, method, passes=16.0).courses
    assert second.chosen[: len(first.chosen)] == first.chosen
    assert first.chosen == train_by(toy, method, limit=16.0).chosen
    assert first.passes[-1] < 32.0 <= second.passes[-1]


def test_what_has_a_schedule_begins_anew(toy):
    courses = train_until_settled(toy, "adam-annealing", passes=16.0).courses
    for limit, course in zip((16.0, 32.0, 64.0), courses, strict=False):
        assert course.chosen == train_by(toy, "adam-annealing", limit=limit).chosen


def test_a_method_that_learns_but_a_constant_is_given_up(toy):
    end = train_until_settled(toy, "sgd", rate=1e-9, passes=16.0, most=64.0)
    assert not end.settled
    assert len(end.courses) == 3
    assert end.passes < math.inf


def test_the_best_constant(toy):
    answers = np.linspace(-0.2, 0.2, 401)
    truth = toy.rows[0][1].numpy()
    best = answers[np.argmin([((answer - truth) ** 2).mean() for answer in answers])]
    assert toy.constant == pytest.approx(((best - toy.rows[1][1].numpy()) ** 2).mean(), rel=1e-3)


def test_the_best_constant_of_a_standardised_classifier(dataset):
    problem = training_problem("classifier", dataset)
    share = float(problem.rows[0][1].mean())
    labels = problem.rows[1][1].numpy()
    entropy = -np.mean(labels * np.log(share) + (1.0 - labels) * np.log(1.0 - share))
    assert problem.constant == pytest.approx(entropy, rel=1e-4)


@pytest.fixture(scope="module")
def data_of(dataset, tmp_path_factory):
    """The elements of each problem."""
    folder = tmp_path_factory.mktemp("shipped")
    directions = make_directional_data(
        folder / "directions.safetensors", replace(DIRECTIONAL_RECIPE, elements=60), progress=False
    )
    moved = make_moved_data(folder / "moved.safetensors", replace(MOVED_RECIPE[False], elements=60), progress=False)
    return {"shipped-points": directions, "shipped-moved": moved}


@pytest.mark.parametrize("name", ["shipped-points", "shipped-moved"])
def test_problems_of_shipped_networks(name, data_of):
    problem = training_problem(name, data_of[name])
    course = train_by(problem, "adam", limit=15.0)
    assert course.best < course.chosen[0]
    if name == "shipped-points":
        assert "-64-64-" in str(problem.architecture)
        assert course.best < problem.constant
        # estimates alone are often right, and no share is above 1
        assert 0.5 < course.figure <= 1.0
    else:
        assert "-96-96-96-" in str(problem.architecture)
        assert course.figure == pytest.approx(course.loss)
        # the same moves for all elements are better than none, whose R_error is 1
        assert problem.constant < 1.0


@pytest.mark.parametrize("name", ["classifier", "regressor", "shipped-regressor"])
def test_problems_are_those_of_the_rules(name, dataset):
    problem = training_problem(name, dataset)
    assert len(problem.rows) == 3
    course = train_by(problem, "adam", limit=15.0)
    assert course.best < course.chosen[0]
    if name == "classifier":
        assert str(problem.architecture) == "18-30-30-30-30-1 sigmoid"
        assert [len(rows[0]) for rows in problem.rows] == [40, 80, 120]
        labels = improvable(dataset[120:])
        signs = torch.tensor(np.where(labels, 1.0, -1.0))[:, None]
        assert problem.figure(signs) == 1.0
        assert problem.figure(-signs) == 0.0
    else:
        assert str(problem.architecture) == "18-50-50-50-50-50-8 sigmoid"
        # no correction leaves Gauss weights, whose R_error is 1
        assert problem.figure(torch.zeros(len(problem.rows[2][0]), 8)) == pytest.approx(1.0, abs=1e-4)
    if name == "shipped-regressor":
        assert course.loss == pytest.approx(course.figure)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "prelu", "elu", "silu"])
@pytest.mark.parametrize("initialisation", ["xavier", "he"])
def test_other_activations_and_weights(activation, initialisation, toy):
    course = train_by(toy, "adam", limit=10.0, activation=activation, initialisation=initialisation)
    assert course.best < course.chosen[0]


def test_initial_weights_have_the_deviations_of_their_sources():
    from femnn.networks.torch_perceptron import build

    architecture = Architecture(400, 300, (300,), "sigmoid")
    found = {
        name: float(build(architecture, seed=1, initialisation=name).weight0.std()) for name in (None, "xavier", "he")
    }
    assert found["xavier"] == pytest.approx(math.sqrt(2.0 / 700.0), rel=0.01)
    assert found["he"] == pytest.approx(math.sqrt(2.0 / 400.0), rel=0.01)
    assert found[None] == pytest.approx(4.0 * found["xavier"], rel=1e-5)
    with pytest.raises(ParameterError, match="'xavier' or 'he'"):
        build(architecture, initialisation="zeros")


def test_the_first_step_is_tuned_to_a_minimum(toy):
    rate, tried = study.tuned_rate(toy, "sgd", 10.0)
    losses = {step: train_by(toy, "sgd", limit=10.0, rate=step, seed=1000).best for step in tried}
    assert rate == min(losses, key=losses.get)
    # both neighbours are worse
    assert min(tried) < rate < max(tried)
    assert study.tuned_rate(toy, "l-bfgs", 10.0) == (1.0, [])


def test_steps_that_are_far_too_long_diverge_and_tuning_leaves_them(toy, monkeypatch):
    monkeypatch.setitem(METHODS, "wild", replace(METHODS["sgd"], rate=1e6))
    course = train_by(toy, "wild", limit=10.0)
    rate, tried = study.tuned_rate(toy, "wild", 5.0)
    assert rate < 1e4
    assert len(tried) <= 8
    assert np.isfinite(course.loss)


def test_a_loss_that_becomes_nan_names_the_step_and_keeps_the_best(toy):
    calls = []

    def loss(prediction, target):
        if torch.is_grad_enabled():
            calls.append(None)
        return ((prediction - target) ** 2).mean() * (math.nan if len(calls) >= 20 else 1.0)

    course = train_by(toy_problem(toy.rows, loss), "adam", limit=100.0)
    assert course.stopped == "diverged at step 20"
    assert np.isfinite(course.chosen).all()
    good = train_by(toy, "adam", limit=100.0)
    assert 2 <= len(course.chosen) < len(good.chosen)
    assert course.chosen == good.chosen[: len(course.chosen)]
    # the weights of a look before the step, not those that it spoilt
    assert course.figure**2 == pytest.approx(course.best, rel=0.5)


def test_a_stationary_run_ends():
    still = [[torch.zeros(9, 2), torch.zeros(9, 1)] for _ in range(3)]
    problem = toy_problem(still, lambda prediction, target: (prediction * 0.0 + 1.0).mean())
    assert train_by(problem, "descent-armijo", limit=9.0).stopped == "stationary"
    assert train_until_settled(problem, "descent-armijo").settled


def test_schedules():
    cyclic = [study._cyclic(t) for t in (0.0, 0.999 / 7, 1.001 / 7, 2.999 / 7, 3.001 / 7, 5.0 / 7, 1.2)]
    np.testing.assert_allclose(cyclic, [1.0, 0.0, 1.0, 0.0, 1.0, 0.5, 0.0], atol=1e-4)
    assert [study._growing(t) for t in (0.0, 0.5, 0.75)] == [64, 640, 6400]


def test_what_is_refused(toy, dataset):
    with pytest.raises(ParameterError, match="method='adamm' is not allowed; pass 'descent-exact' or"):
        train_by(toy, "adamm")
    with pytest.raises(ParameterError, match="'passes' or 'seconds'"):
        train_by(toy, "adam", measure="epochs")
    with pytest.raises(ParameterError, match="activation"):
        train_by(toy, "adam", activation="step")
    with pytest.raises(ParameterError, match="limit"):
        train_by(toy, "adam", limit=0.0)
    with pytest.raises(ParameterError, match="'classifier' or 'regressor'"):
        training_problem("gauss", dataset)
    yes = dataset[improvable(dataset)]
    with pytest.raises(DatasetError, match="elements that train are all of the class improvable"):
        training_problem("classifier", yes)
    with pytest.raises(DatasetError, match="no element is left to train; draw more elements than 0"):
        training_problem("regressor", dataset[:0])
    with pytest.raises(ParameterError, match="'descent-exact' or"):
        train_until_settled(toy, "adamm")
    with pytest.raises(ParameterError, match="passes"):
        train_until_settled(toy, "adam", passes=0.0)


SMALL = ["--elements", "300", "--passes", "4", "--most", "16", "--seconds", "0.02", "--seeds", "2", "--retrain", "300"]


@pytest.fixture
def calls(monkeypatch):
    """Runs of the study, and a regressor that is not trained for long at full length."""
    counted = []

    def counting(train):
        def counted_run(problem, method, **run):
            counted.append(run)
            if len(counted) == 5:
                raise KeyboardInterrupt
            return train(problem, method, **run)

        return counted_run

    for name in ("train_by", "train_until_settled"):
        monkeypatch.setattr(study, name, counting(getattr(study, name)))
    monkeypatch.setattr(retraining, "REGRESSOR_OPTIONS", replace(retraining.REGRESSOR_OPTIONS, epochs=1))
    monkeypatch.setattr(retraining, "_FRESH", 60)
    return counted


def test_the_benchmark_names_the_best_and_goes_on_where_it_stopped(tmp_path, calls):
    from benchmarks.networks import training

    arguments = [*SMALL, "--problems", "regressor", "--methods", "adam,descent-armijo", "--out", str(tmp_path)]
    assert CliRunner().invoke(training.main, arguments).exit_code != 0
    assert list((tmp_path / "runs").glob("*.npz"))
    before = len(calls)
    done = CliRunner().invoke(training.main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    rows = figures["tables"]["regressor"]
    assert [row["method"] for row in rows] == ["adam", "descent-armijo"]
    for end in ("settled", "passes", "seconds"):
        assert "best" in {row[end]["mark"] for row in rows}
        assert figures["best"][end] in METHODS
    assert all(0 <= row["settled"]["number"] <= row["settled"]["of"] == 2 for row in rows)
    # six activations with two initial weights each, and the sigmoid's own
    assert len(figures["varied"]["regressor"]) == 13
    assert [row["change"] for row in figures["retrained"]["rows"]] == list(retraining.CHANGES)
    # nothing that was kept has run again
    finished = len(calls)
    assert finished > before
    assert CliRunner().invoke(training.main, arguments).exit_code == 0
    assert len(calls) == finished
    table = (tmp_path / "training.md").read_text(encoding="utf-8")
    assert "| `descent-armijo` | searched" in table
    assert "| as shipped " in table


def test_shares_of_the_benchmark_make_a_whole(tmp_path, calls):
    from benchmarks.networks import training

    calls.extend([None] * 5)
    arguments = [*SMALL[:-1], "0", "--no-activations", "--problems", "regressor", "--methods", "adam,adamw,adagrad"]
    arguments += ["--out", str(tmp_path)]
    kept = []
    for share in ("1/2", "2/2"):
        assert CliRunner().invoke(training.main, [*arguments, "--share", share]).exit_code == 0
        kept.append({path.name for path in (tmp_path / "runs").glob("*.npz")})
        assert not (tmp_path / "training.md").exists()
    of_adamw = {name for name in kept[1] if name.startswith("regressor-adamw-")}
    assert of_adamw
    assert kept[1] - kept[0] == of_adamw
    before = len(calls)
    assert CliRunner().invoke(training.main, arguments).exit_code == 0
    assert len(calls) == before
    for wrong in ("0/2", "3/2", "2", "a/b"):
        done = CliRunner().invoke(training.main, [*arguments, "--share", wrong])
        assert done.exit_code == 2
        assert "give 2/3 for the second of three" in " ".join(done.output.split())


def test_the_benchmark_lists_what_there_is():
    from benchmarks.networks import training

    for option, known in (("--methods", "l-bfgs"), ("--problems", "shipped-regressor")):
        done = CliRunner().invoke(training.main, [option, "adamm"])
        assert done.exit_code == 2
        said = " ".join(done.output.split())
        assert "'adamm' is unknown; there are: " in said
        assert known in said


def test_methods_of_the_study_are_described():
    assert all(isinstance(method, TrainingMethod) and method.words for method in METHODS.values())
