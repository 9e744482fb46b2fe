"""Quadratic manifolds, network closures, local bases: tangents, exactness, what is refused."""

import dataclasses

import numpy as np
import pytest

from femnn.exceptions import DatasetError, ParameterError, TrainingError, WeightFileError
from femnn.networks import Architecture, Perceptron, TrainingOptions
from femnn.networks.torch_perceptron import build, to_perceptron
from femnn.reduced import POD, LocalBases, Manifold, NetworkClosure, QuadraticGalerkin, QuadraticManifold
from femnn.reduced import fit_closure as closures

OPTIONS = TrainingOptions(learning_rate=5e-3, batch_size=32, epochs=30, threads=1)


def curve(n=300):
    """Coefficients (n, 5) of states on a curved surface of two coordinates."""
    q = np.random.default_rng(0).uniform(-1.0, 1.0, (n, 2))
    return np.column_stack([q, 0.3 * q[:, 0] ** 2 - 0.1 * q[:, 1] ** 2, 0.2 * q[:, 0] * q[:, 1], 0.5 * q[:, 1] ** 2])


def closure(activation):
    scales = {"input_mean": [0.2, -0.1, 0.0], "input_scale": [2.0, 1.0, 0.5], "output_scale": [3.0] * 4}
    network = to_perceptron(build(Architecture(3, 4, (6, 5), activation), {**scales, "output_mean": [1.0] * 4}, seed=1))
    return NetworkClosure(network, size=1.0)


@pytest.mark.parametrize("kind", ["quadratic", "silu", "tanh"])
def test_tangents_match_differences(kind):
    generator = np.random.default_rng(2)
    if kind == "quadratic":
        manifold = QuadraticManifold(3, generator.standard_normal((4, 6)), generator.standard_normal(4), 1.0)
    else:
        manifold = closure(kind)
    q, step = generator.standard_normal(3), 1e-6
    differences = [(manifold.lift(q + step * e) - manifold.lift(q - step * e)) / (2 * step) for e in np.eye(3)]
    assert np.allclose(manifold.tangent(q), np.transpose(differences), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_a_closure_gives_what_its_network_gives(activation):
    manifold, q = closure(activation), np.random.default_rng(3).standard_normal((7, 3))
    assert np.allclose(manifold.lift(q)[:, 3:], manifold.network(q), atol=1e-12)
    assert np.array_equal(manifold.project(manifold.lift(q)), q)


def test_a_quadratic_manifold_finds_a_quadratic_surface():
    a = curve()
    manifold = QuadraticManifold.fit(a, 2)
    assert np.abs(manifold.lift(a[:, :2]) - a).max() < 1e-8


def test_the_linear_manifold_is_the_subspace():
    manifold = Manifold.linear(3, 1.0)
    assert manifold.lift([1.0, 2.0, 3.0]).tolist() == [1.0, 2.0, 3.0]
    assert np.array_equal(manifold.tangent(np.ones(3)), np.eye(3))


def test_a_trained_closure_is_the_same_by_seed_and_on_disk(tmp_path):
    a = curve()
    found, history = closures.fit_closure(a, 2, (12,), OPTIONS, progress=False)
    again, _ = closures.fit_closure(a, 2, (12,), OPTIONS, progress=False)
    assert np.array_equal(found.lift(a[:, :2]), again.lift(a[:, :2]))
    assert history.best_loss < 0.25 * history.validation_loss[0]
    read = NetworkClosure.load(found.save(tmp_path / "closure"))
    assert np.array_equal(read.lift(a[:, :2]), found.lift(a[:, :2]))
    with pytest.raises(WeightFileError, match="reduced-closure"):
        POD.load(tmp_path / "closure")


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    a, path = curve(), tmp_path / "closure.state"
    whole, _ = closures.fit_closure(a, 2, (12,), OPTIONS, progress=False)
    calls, step = [], closures.train_perceptron.__globals__["_Run"].epoch

    def interrupted(run):
        calls.append(run)
        if len(calls) == 12:
            raise KeyboardInterrupt
        step(run)

    monkeypatch.setattr(closures.train_perceptron.__globals__["_Run"], "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        closures.fit_closure(a, 2, (12,), OPTIONS, checkpoint=path, progress=False)
    monkeypatch.setattr(closures.train_perceptron.__globals__["_Run"], "epoch", step)
    resumed, history = closures.fit_closure(a, 2, (12,), OPTIONS, checkpoint=path, progress=False)
    assert history.epochs == OPTIONS.epochs
    assert np.array_equal(resumed.lift(a[:, :2]), whole.lift(a[:, :2]))
    with pytest.raises(DatasetError):
        closures.fit_closure(a + 1.0, 2, (12,), OPTIONS, checkpoint=path, progress=False)


def test_what_a_manifold_refuses():
    a = curve()
    with pytest.raises(DatasetError, match="too few"):
        QuadraticManifold.fit(a[:5], 2)
    with pytest.raises(ParameterError, match="leaves none"):
        QuadraticManifold.fit(a, 5)
    with pytest.raises(DatasetError, match="zero"):
        QuadraticManifold.fit(np.hstack([0.0 * a, a]), 5)
    with pytest.raises(ParameterError, match="finite"):
        QuadraticManifold.fit(np.where(a > 0.9, np.nan, a), 2)
    with pytest.raises(ParameterError, match="do not change"):
        closures.fit_map(a[:, :2], np.ones((len(a), 3)), (4,), OPTIONS, progress=False)
    diverging = dataclasses.replace(OPTIONS, optimizer="sgd", learning_rate=1e6)
    with pytest.raises(TrainingError, match="learning rate"):
        closures.fit_closure(a, 2, (12,), diverging, progress=False)
    with pytest.raises(ParameterError, match="silu or tanh"):
        NetworkClosure(Perceptron(Architecture(1, 1, (), "tanh"), {"weight0": [[1.0]], "bias0": [0.0]}), 1.0)
    manifold = QuadraticManifold.fit(a, 2)
    for call in (lambda: manifold.lift([1.0]), lambda: manifold.tangent(a[:, :2]), lambda: manifold.project(a[:, :2])):
        with pytest.raises(ParameterError, match="shape"):
            call()


def test_local_bases_cover_their_snapshots_and_repeat():
    t = np.linspace(0.0, 6.0, 400)
    a = np.stack([np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t), np.cos(3 * t), np.sin(3 * t)], axis=1)
    local, again = (LocalBases.fit(a, 8, tol=1e-2, seed=4) for _ in range(2))
    assert np.array_equal(local.centres, again.centres)
    assert (local.ranks < 6).all()
    left = []
    for row in a:
        k = local.nearest(row)
        left.append(np.linalg.norm(local.lift(k, local.project(k, row)) - row))
    assert np.sqrt(np.mean(np.square(left))) < 2e-2 * np.sqrt((a**2).sum(axis=1).mean())
    with pytest.raises(DatasetError, match="too few"):
        LocalBases.fit(a[:10], 8)
    with pytest.raises(DatasetError, match="different"):
        LocalBases.fit(np.ones((40, 3)), 8)
    with pytest.raises(ParameterError, match="8 clusters"):
        local.lift(8, np.zeros(2))
    with pytest.raises(ParameterError, match="modes"):
        local.lift(0, np.zeros(1 + local.ranks[0]))


def lorenz(w, z):
    """Bilinear part of Lorenz' equations in the coordinates (x, y, z, 1)."""

    def product(i, j):
        return 0.5 * (w[..., i] * z[..., j] + w[..., j] * z[..., i])

    x = 10.0 * (product(1, 3) - product(0, 3))
    y = 28.0 * product(0, 3) - product(1, 3) - product(0, 2)
    return -np.stack([x, y, product(0, 1) - 8.0 / 3.0 * product(2, 3), 0.0 * x], axis=-1)


def test_a_complete_basis_gives_the_full_solution_whatever_the_clusters():
    initial, dt, steps = np.array([1.0, 1.0, 20.0, 1.0]), 1e-3, 800
    states = [initial]
    for _ in range(steps):
        w = states[-1].copy()
        for _ in range(20):
            w = states[-1] - 0.5 * dt * (lorenz(w, w) + lorenz(states[-1], states[-1]))
        states.append(w)
    states = np.array(states)
    pod = POD.fit(np.eye(4), modes=4)
    whole = QuadraticGalerkin(pod, lorenz, progress=False)
    local = QuadraticGalerkin(pod, lorenz, LocalBases.fit(states, 5, tol=1e-14), progress=False)
    assert (local.local.ranks >= 3).all()
    for model in (whole, local):
        path = model.march(np.zeros(4), initial, dt=dt, steps=steps)
        assert np.abs(path.states() - states).max() < 2e-4
    assert len(np.unique(path.clusters)) > 1


def test_what_a_quadratic_model_refuses():
    pod = POD.fit(np.eye(4), modes=4)
    with pytest.raises(ParameterError, match="must give a state"):
        QuadraticGalerkin(pod, lambda w, z: 1.0, progress=False)
    with pytest.raises(ParameterError, match="3 coefficients"):
        QuadraticGalerkin(pod, lorenz, LocalBases.whole(3), progress=False)
    model = QuadraticGalerkin(pod, lorenz, progress=False)
    with pytest.raises(ParameterError, match="source"):
        model.march(np.zeros(3), dt=0.1, steps=1)
