"""The training loop: it learns, it repeats itself bit by bit, it can be interrupted, and it says what went wrong."""

import json
import math
import re

import numpy as np
import pytest
import torch

from femnn.exceptions import DatasetError, ParameterError, TrainingError, WeightFileError
from femnn.networks import Architecture, TrainingOptions, standardisation
from femnn.networks import training as training_module
from femnn.networks.options import OPTIMIZERS, SCHEDULES
from femnn.networks.torch_perceptron import build, to_perceptron
from femnn.networks.training import train

ARCHITECTURE = Architecture(3, 2, (12, 12), "tanh")
QUICK = TrainingOptions(epochs=8, batch_size=50, learning_rate=1e-2, threads=1)


def function(x):
    return np.column_stack([np.sin(2 * x[:, 0]) * x[:, 1], np.exp(x[:, 2]) - x[:, 0] ** 2])


def squares(prediction, target):
    return (prediction - target).square().mean()


def samples(n, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return x, function(x)


TRAINING, VALIDATION = samples(330, 0), samples(110, 1)


def fresh(architecture=ARCHITECTURE, seed=0, dtype=torch.float32):
    return build(architecture, standardisation(*TRAINING), seed, dtype)


def run(options=QUICK, loss=squares, module=None, **keywords):
    module = module or fresh()
    return module, train(module, loss, TRAINING, VALIDATION, options, progress=False, **keywords)


def bits(module):
    return {name: values.numpy().tobytes() for name, values in module.state_dict().items()}


def course(history):
    """Everything in a history that a repetition must give again."""
    return history.training_loss, history.validation_loss, history.learning_rate, history.best_epoch, history.stopped


def history_in(path):
    """History of a checkpoint, whatever training it belongs to: eight bytes of length, then a header in JSON."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["state"])["history"]


class InterruptingLoss:
    """Squares, with an interrupt in call number ``when``."""

    def __init__(self, when, error=KeyboardInterrupt):
        self.calls, self.when, self.error = 0, when, error

    def __call__(self, prediction, target):
        self.calls += 1
        if self.calls == self.when:
            raise self.error
        return squares(prediction, target)


class Dropped(torch.nn.Module):
    """A network with dropout, whose layers are modules, and one frozen parameter."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(3, 20), torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(20, 2)
            )
        self.frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)

    def forward(self, features):
        return self.layers(features) + self.frozen


def test_a_known_function_is_learned_and_generalises():
    training, validation, test = samples(2000, 2), samples(500, 3), samples(500, 4)
    module = build(Architecture(3, 2, (30, 30), "tanh"), standardisation(*training), seed=0)
    options = TrainingOptions(epochs=150, batch_size=100, learning_rate=1e-2, threads=1)
    history = train(module, squares, training, validation, options, progress=False)
    error = to_perceptron(module)(test[0]) - test[1]
    assert np.sqrt((error**2).mean()) < 0.01 * test[1].std()
    assert history.stopped == "epochs"
    assert history.epochs == 150
    # the loss that is reported is the loss of the network that is handed back
    found = np.square(to_perceptron(module)(validation[0]) - validation[1]).mean()
    assert found == pytest.approx(history.best_loss, rel=1e-3)
    assert "150 epochs" in str(history)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimizer_and_schedule_reduces_the_loss(optimizer, schedule):
    options = TrainingOptions(
        optimizer=optimizer,
        schedule=schedule,
        epochs=10,
        batch_size=30,
        learning_rate=0.1 if optimizer == "sgd" else 1e-2,
        weight_decay=1e-4,
        threads=1,
    )
    _, history = run(options)
    start = squares(fresh()(torch.tensor(VALIDATION[0], dtype=torch.float32)), torch.tensor(VALIDATION[1])).item()
    assert history.best_loss < 0.5 * start
    assert history.training_loss[-1] < 0.7 * history.training_loss[0]
    assert len(history.seconds) == history.epochs == 10
    assert min(history.seconds) > 0


def test_schedules_take_the_course_that_they_state():
    rates = {
        name: [TrainingOptions(schedule=name, epochs=20, learning_rate=2.0).rate(epoch) for epoch in range(20)]
        for name in SCHEDULES
    }
    assert rates["constant"] == [2.0] * 20
    assert rates["step"] == pytest.approx([2.0] * 10 + [0.2] * 5 + [0.02] * 5)
    assert rates["cosine"][0] == 2.0
    assert rates["cosine"][10] == pytest.approx(1.0)
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    assert rates["onecycle"][0] == pytest.approx(0.08)
    assert rates["onecycle"][6] == pytest.approx(2.0)
    assert np.argmax(rates["onecycle"]) == 6
    assert all(0 < rate <= 2.0 for course in rates.values() for rate in course)
    _, history = run(TrainingOptions(schedule="step", epochs=4, learning_rate=1e-2, threads=1))
    assert history.learning_rate == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4])


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    torch.manual_seed(1)
    first, history = run()
    torch.manual_seed(2)
    second, again = run()
    assert bits(first) == bits(second)
    assert course(history) == course(again)
    other, _ = run(TrainingOptions(epochs=8, batch_size=50, learning_rate=1e-2, threads=1, seed=1))
    assert bits(first) != bits(other)


@pytest.mark.parametrize("make", [fresh, Dropped])
def test_global_random_state_and_threads_are_left_alone(make):
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    run(TrainingOptions(epochs=2, threads=threads + 1), module=make())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_every_row_is_seen_once_per_epoch_in_a_new_order():
    seen = []

    def remember(prediction, target, number):
        if torch.is_grad_enabled():
            seen.append(number.clone())
        return squares(prediction, target)

    numbered = [(*data, np.arange(len(data[0]))) for data in (TRAINING, VALIDATION)]
    options = TrainingOptions(epochs=2, batch_size=100, threads=1)
    history = train(fresh(), remember, *numbered, options, progress=False)
    assert [len(rows) for rows in seen] == [100, 100, 100, 30] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(330))
    assert first.tolist() != second.tolist()
    assert history.epochs == 2


def test_losses_are_means_over_rows_whatever_the_batches(monkeypatch):
    frozen = TrainingOptions(optimizer="sgd", learning_rate=1e-300, epochs=1, batch_size=100, threads=1)
    module = fresh(dtype=torch.float64)
    expected = [squares(module(torch.tensor(x)), torch.tensor(y)).item() for x, y in (TRAINING, VALIDATION)]
    monkeypatch.setattr(training_module, "VALIDATION_ROWS", 37)
    _, history = run(frozen, module=module)
    assert history.training_loss == pytest.approx(expected[:1], rel=1e-12)
    assert history.validation_loss == pytest.approx(expected[1:], rel=1e-12)


@pytest.mark.parametrize("make", [fresh, Dropped])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("when", [1, 5, 8, 33, 60])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path, optimizer, when, make):
    # 8 calls per epoch: 7 batches and 1 validation. 1: nothing done yet; 8, 60: in a validation or a batch
    options = TrainingOptions(
        optimizer=optimizer, epochs=8, batch_size=50, learning_rate=1e-2, gradient_clip=1.0, threads=1
    )
    whole, expected = run(options, module=make())
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(options, InterruptingLoss(when), make(), checkpoint=path)
    history = history_in(path)
    assert history["stopped"] == "interrupt"
    assert len(history["validation_loss"]) == (when - 1) // 8
    loss = InterruptingLoss(math.inf)
    resumed, found = run(options, loss, make(), checkpoint=path)
    assert loss.calls == 64 - 8 * ((when - 1) // 8)
    assert bits(resumed) == bits(whole)
    assert course(found) == course(expected)


def test_two_interrupts_and_a_time_limit_on_the_way(tmp_path):
    whole, expected = run()
    path = tmp_path / "state.safetensors"
    for when in (10, 20):
        with pytest.raises(KeyboardInterrupt):
            run(loss=InterruptingLoss(when), checkpoint=path)
    _, history = run(checkpoint=path, time_limit=1e-9)
    assert history.stopped == "time_limit"
    assert history.epochs == 4
    resumed, found = run(checkpoint=path)
    assert bits(resumed) == bits(whole)
    assert course(found) == course(expected)


def test_a_killed_training_goes_on_from_its_last_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(training_module, "SECONDS_BETWEEN_SAVES", 0.0)
    whole, expected = run()
    path = tmp_path / "state.safetensors"
    with pytest.raises(SystemError):
        run(loss=InterruptingLoss(37, SystemError), checkpoint=path)
    loss = InterruptingLoss(math.inf)
    resumed, found = run(loss=loss, checkpoint=path)
    assert loss.calls == 64 - 4 * 8
    assert bits(resumed) == bits(whole)
    assert course(found) == course(expected)


def test_a_finished_training_is_not_repeated(tmp_path):
    path = tmp_path / "state.safetensors"
    first, expected = run(checkpoint=path)
    loss = InterruptingLoss(math.inf)
    second, found = run(loss=loss, module=fresh(seed=9), checkpoint=path)
    assert loss.calls == 0
    assert bits(first) == bits(second)
    assert course(found) == course(expected)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    run(checkpoint=path, time_limit=1e-9)
    before = path.read_bytes()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        run(checkpoint=path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"options": TrainingOptions(epochs=9, batch_size=50, learning_rate=1e-2)},
            ParameterError,
            "epochs = 8, .* now 9",
        ),
        ({"module": fresh(Architecture(3, 2, (12, 12), "relu"))}, WeightFileError, "12-2 tanh.*12-2 relu"),
        ({"module": fresh(Architecture(3, 2, (13, 12), "tanh"))}, WeightFileError, "3-12-12-2 tanh.*3-13-12-2 tanh"),
        ({"module": fresh(dtype=torch.float64)}, WeightFileError, "float32'.*float64'"),
        ({"training": samples(330, 5)}, DatasetError, "its data has training = .*but it is now"),
        ({"validation": samples(111, 1)}, DatasetError, r"\(110, 3\) float64 .*\(111, 3\) float64"),
    ],
)
def test_a_checkpoint_of_another_training(tmp_path, change, error, message):
    path = tmp_path / "state.safetensors"
    run(checkpoint=path, time_limit=1e-9)
    arguments = {"module": fresh(), "training": TRAINING, "validation": VALIDATION, "options": QUICK, **change}
    with pytest.raises(error, match=message) as caught:
        train(loss=squares, checkpoint=path, progress=False, **arguments)
    assert f"the checkpoint {path}" in str(caught.value)
    assert "delete the file to train from the beginning" in str(caught.value)


def test_other_threads_may_go_on(tmp_path):
    path = tmp_path / "state.safetensors"
    run(checkpoint=path, time_limit=1e-9)
    _, history = run(TrainingOptions(epochs=8, batch_size=50, learning_rate=1e-2, threads=2), checkpoint=path)
    assert history.epochs == 8


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    run(checkpoint=path, time_limit=1e-9)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightFileError, match=re.escape(f"delete {path} to train from the beginning")):
        run(checkpoint=path)


class WorseningLoss:
    """A validation loss that is 5, 4, 3, 9, 9, 9, ...; remembers the weights that had the 3."""

    def __init__(self, module):
        self.module, self.values, self.best = module, [5.0, 4.0, 3.0], None

    def __call__(self, prediction, target):
        if torch.is_grad_enabled():
            return squares(prediction, target)
        value = self.values.pop(0) if self.values else 9.0
        if value == 3.0:
            self.best = bits(self.module)
        return torch.tensor(value)


def test_early_stopping_hands_back_the_best_weights():
    module = fresh()
    loss = WorseningLoss(module)
    _, history = run(TrainingOptions(epochs=50, patience=4, threads=1), loss, module)
    assert history.validation_loss == [5, 4, 3, 9, 9, 9, 9]
    assert history.best_epoch == 2
    assert history.best_loss == 3
    assert history.stopped == "patience"
    assert bits(module) == loss.best
    assert not module.training


def test_an_interrupt_and_an_error_hand_back_the_best_weights_too():
    for error in (KeyboardInterrupt, SystemError):
        module = fresh()
        worsening, interrupting = WorseningLoss(module), InterruptingLoss(8 * 5 + 3, error)

        def loss(*batch, worsening=worsening, interrupting=interrupting):
            interrupting(*batch)
            return worsening(*batch)

        with pytest.raises(error):
            run(loss=loss, module=module)
        assert bits(module) == worsening.best


def test_the_best_weights_from_before_an_interrupt_are_kept(tmp_path):
    path, options = tmp_path / "state.safetensors", TrainingOptions(epochs=20, batch_size=330, patience=6, threads=1)
    module = fresh()
    worsening, interrupting = WorseningLoss(module), InterruptingLoss(2 * 6)

    def loss(*batch):
        interrupting(*batch)
        return worsening(*batch)

    with pytest.raises(KeyboardInterrupt):
        run(options, loss, module, checkpoint=path)
    resumed = fresh(seed=1)
    later = WorseningLoss(resumed)
    later.values = []
    _, history = run(options, later, resumed, checkpoint=path)
    assert history.validation_loss == [5, 4, 3, 9, 9, 9, 9, 9, 9]
    assert history.best_epoch == 2
    assert history.stopped == "patience"
    assert bits(resumed) == worsening.best


def test_features_may_be_of_any_type_and_data_large_and_read_only(tmp_path):
    """Rows of a memory map, three-dimensional, reversed, float32 or float64, tensors: all give the same network."""
    rest = np.broadcast_to(TRAINING[1][:, None, :], (330, 5, 2)).copy()
    mapped = np.lib.format.open_memmap(tmp_path / "rest.npy", "w+", rest.dtype, rest.shape)
    mapped[:] = rest
    mapped.flush()

    def loss(prediction, target):
        return (prediction[:, None, :] - target).square().mean()

    validation = (VALIDATION[0], VALIDATION[1][:, None, :].repeat(5, 1))
    results = []
    for features, targets in (
        (TRAINING[0], rest),
        (TRAINING[0].astype(np.float32), np.load(tmp_path / "rest.npy", mmap_mode="r")),
        (torch.tensor(TRAINING[0]), torch.tensor(rest)),
        (TRAINING[0][::-1].copy()[::-1], np.asfortranarray(rest)),
    ):
        module = fresh()
        train(module, loss, (features, targets), validation, QUICK, progress=False)
        results.append(bits(module))
    assert all(result == results[0] for result in results)


def test_frozen_parameters_stay():
    module, _ = run(module=Dropped())
    assert module.frozen.tolist() == [0, 0]


def test_gradient_clipping_limits_the_step():
    options = {"optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "learning_rate": 1.0, "epochs": 1}
    module = fresh()
    before = torch.cat([weight.detach().flatten().clone() for weight in module.parameters()])
    run(TrainingOptions(**options, batch_size=330, gradient_clip=1e-3, threads=1), module=module)
    after = torch.cat([weight.detach().flatten() for weight in module.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["training", "validation"])
def test_a_loss_that_is_not_finite(value, which):
    module, calls = fresh(), []

    def loss(prediction, target):
        calls.append(None)
        bad = len(calls) > 16 and torch.is_grad_enabled() == (which == "training")
        return squares(prediction, target) * (value if bad else 1.0)

    # seven minibatches an epoch
    step = {"training": 15, "validation": 21}[which]
    message = rf"the {which} loss became {value} in epoch 2 at learning rate 0\.00854, step {step} of the training"
    with pytest.raises(TrainingError, match=message) as error:
        run(loss=loss, module=module)
    assert "choose a smaller learning_rate (it is 0.01) or a gradient_clip" in str(error.value)
    assert "the network has the weights of epoch 1, the best" in str(error.value)
    assert all(torch.isfinite(values).all() for values in module.state_dict().values())


def test_the_progress_bar_is_silent_where_nobody_looks(capsys):
    train(fresh(), squares, TRAINING, VALIDATION, TrainingOptions(epochs=2, threads=1), progress=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("optimizer", "lbfgs", "pass 'adam' or 'adamw' or 'sgd'"),
        ("schedule", "linear", "pass 'constant' or 'cosine' or 'step' or 'onecycle'"),
        ("learning_rate", 0, r"a real number in \(0, inf\)"),
        ("learning_rate", "1e-3", r"a real number in \(0, inf\)"),
        ("learning_rate", None, r"a real number in \(0, inf\)"),
        ("weight_decay", -1e-3, r"a real number in \[0, inf\)"),
        ("weight_decay", math.inf, r"a real number in \[0, inf\)"),
        ("momentum", 1.0, r"a real number in \[0, 1\)"),
        ("batch_size", 0, "an integer of at least 1"),
        ("batch_size", 10.5, "an integer of at least 1"),
        ("epochs", True, "an integer of at least 1"),
        ("patience", 0, "an integer of at least 1"),
        ("gradient_clip", math.nan, r"a real number in \(0, inf\)"),
        ("batch_size", 10**400, "an integer of at least 1"),
        ("optimizer", np.array(["adam", "sgd"]), "pass 'adam'"),
        ("seed", -1, "an integer of at least 0"),
        ("threads", 0, "an integer of at least 1"),
    ],
)
def test_impossible_options(name, value, allowed):
    with pytest.raises(ParameterError, match=f"^{name}=.* is not allowed; .*{allowed}"):
        TrainingOptions(**{name: value})


def test_numbers_of_numpy_are_options_too(tmp_path):
    options = TrainingOptions(epochs=np.int64(2), learning_rate=np.float32(0.5), seed=np.uint8(3))
    assert options == TrainingOptions(epochs=2, learning_rate=0.5, seed=3)
    run(options, checkpoint=tmp_path / "state.safetensors")


@pytest.mark.parametrize(
    ("training", "validation", "message"),
    [
        ((), VALIDATION, "the training data are empty"),
        ((TRAINING[0], TRAINING[1][:-1]), VALIDATION, r"the training arrays have \[330, 329\] rows"),
        (TRAINING, (np.empty((0, 3)), np.empty((0, 2))), r"the validation arrays have \[0, 0\] rows"),
        (TRAINING, VALIDATION[:1], r"training rows have the shapes \[\(3,\), \(2,\)\], validation rows \[\(3,\)\]"),
    ],
)
def test_arrays_that_do_not_fit(training, validation, message):
    with pytest.raises(ParameterError, match=message):
        train(fresh(), squares, training, validation, QUICK, progress=False)


def test_other_impossible_arguments():
    with pytest.raises(ParameterError, match="time_limit=0 is not allowed"):
        run(time_limit=0)
    with pytest.raises(ParameterError, match="Tanh has no weights to train"):
        run(module=torch.nn.Tanh())
