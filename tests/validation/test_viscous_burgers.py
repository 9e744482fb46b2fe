"""The viscous Burgers equation, and its reduced model on the manifold of an autoencoder with a sparse decoder."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from femnn.exceptions import ParameterError, WeightFileError
from femnn.networks import Architecture, Perceptron, TrainingOptions
from femnn.reduced import POD, SparseDecoder, random_feature_decoder
from femnn.reduced.decoder_kernels import decoder_work, part_of_decoder, place_rows, slopes_of_rows
from femnn.reduced.fit_autoencoder import fit_autoencoder
from femnn.validation import (
    VISCOUS_TRAINING,
    LocalViscous,
    SampledViscous,
    ViscousBurgers,
    relative_error,
    viscous_decoder,
    viscous_random_decoder,
)

BURGERS = ViscousBurgers(12, steps=40, duration=0.8, reynolds=100.0)
OPTIONS = TrainingOptions(learning_rate=1e-2, batch_size=16, epochs=150, threads=1)


@pytest.fixture(scope="module")
def decoder():
    return viscous_decoder(BURGERS, 3, stride=1, size=4, modes=12, options=OPTIONS, progress=False)


def test_the_full_model_solves_the_equations():
    states = BURGERS.solve(1.0)
    n, h, dt = BURGERS.n, BURGERS.h, BURGERS.dt
    u, v = (states.reshape(len(states), 2, n, n)[:, k] for k in range(2))
    for field in (u, v):
        new = field[1:]
        assert (new[:, [0, -1]] == 0.0).all()
        middle = new[:, 1:-1, 1:-1]
        along = u[1:, 1:-1, 1:-1] * (middle - new[:, 1:-1, :-2]) / h
        across = v[1:, 1:-1, 1:-1] * (middle - new[:, :-2, 1:-1]) / h
        spread = (new[:, 1:-1, :-2] + new[:, 1:-1, 2:] + new[:, :-2, 1:-1] + new[:, 2:, 1:-1] - 4.0 * middle) / h**2
        rate = (middle - field[:-1, 1:-1, 1:-1]) / dt
        assert np.abs(rate + along + across - spread / BURGERS.reynolds).max() < 1e-6 * np.abs(rate).max()


def test_sweeps_and_newtons_method_give_the_same():
    states = BURGERS.solve(1.0)
    np.testing.assert_allclose(BURGERS.solve(1.0, "newton", steps=10), states[:11], atol=1e-9)


def test_a_decoder_is_its_derivative_its_parts_and_its_file(decoder, tmp_path):
    z = np.array([0.3, -0.2, 0.5]) * decoder.size
    differences = [(decoder.lift(z + 1e-5 * e) - decoder.lift(z - 1e-5 * e)) / 2e-5 for e in np.eye(3)]
    np.testing.assert_allclose(decoder.tangent(z).T, differences, atol=1e-7)
    rows = np.array([0, 1, 13])
    part, whole = decoder.part(rows), decoder.lift(z)
    assert len(np.unique(part.units)) < len(decoder.bias)
    work, found, slopes = decoder_work(part), np.empty(3), np.empty((3, 3))
    place_rows(part, z, work, found)
    np.testing.assert_allclose(found, whole[rows], atol=1e-6)
    slopes_of_rows(part, z, work, slopes)
    np.testing.assert_allclose(slopes, decoder.tangent(z)[rows], atol=1e-6)
    np.testing.assert_allclose(decoder.lift(decoder.project(whole)), whole, atol=1e-6)
    again = SparseDecoder.load(decoder.save(tmp_path / "decoder"))
    np.testing.assert_array_equal(again.lift(z), whole)
    np.testing.assert_array_equal(again.project(whole), decoder.project(whole))
    with pytest.raises(WeightFileError):
        POD.load(tmp_path / "decoder")


def test_a_reduced_run_on_a_few_nodes_follows_the_full_one(decoder):
    truth = BURGERS.solve(1.0)
    states = [BURGERS.solve(amplitude) for amplitude in (0.9, 1.1)]
    ends, starts = (np.concatenate([run[k::8][:4] for run in states]) for k in (5, 4))
    model = SampledViscous.fit(BURGERS, decoder, ends, starts, n_cells=30, lag=2, progress=False)
    assert len(model.cells) <= 30
    best = relative_error(np.stack([decoder.lift(decoder.project(state)) for state in truth]), truth)
    found = relative_error(decoder.lift(model.march(1.0)), truth)
    assert best < 0.03
    assert found < 4.0 * best


@pytest.mark.parametrize("n", [1, 3])
def test_kernels_give_rows_of_any_pattern(n):
    generator = np.random.default_rng(n)
    weight, bias = generator.standard_normal((70, n)), generator.standard_normal(70)
    output = generator.standard_normal((23, 70)) * (generator.random((5, 70)) < 0.4)[generator.integers(0, 5, 23)]
    output[7], output[11], offset, z = output[3], 0.0, generator.standard_normal(23), generator.standard_normal(n)
    part = part_of_decoder(weight, bias, csr_array(output), offset)
    assert part.places[7] == part.places[3]
    assert len(part.groups) <= 7
    work, found, slopes = decoder_work(part), np.empty(23), np.empty((23, n))
    place_rows(part, z, work, found)
    y = weight @ z + bias
    gate = 1.0 / (1.0 + np.exp(-y))
    np.testing.assert_allclose(found, offset + output @ (y * gate), atol=2e-5)
    slopes_of_rows(part, z, work, slopes)
    np.testing.assert_allclose(slopes, output @ ((gate * (1.0 + y * (1.0 - gate)))[:, None] * weight), atol=2e-5)


def test_drawn_units_give_the_snapshots_and_equal_values_equal_rows():
    decoder = viscous_random_decoder(BURGERS, 3, stride=1, size=4)
    truth, half = BURGERS.solve(1.0), len(decoder.offset) // 2
    found = np.stack([decoder.lift(decoder.encode(state)) for state in truth])
    assert relative_error(found, truth) < 1e-3
    rows, runs = decoder.output.toarray(), np.concatenate([BURGERS.solve(amplitude) for amplitude in VISCOUS_TRAINING])
    # u and v are the same from the start on, but for rounding at a few nodes
    same = (runs[:, :half] == runs[:, half:]).all(axis=0)
    assert same.mean() > 0.9
    np.testing.assert_array_equal(rows[:half][same], rows[half:][same])
    again = viscous_random_decoder(BURGERS, 3, stride=1, size=4)
    np.testing.assert_array_equal(again.lift(np.ones(3)), decoder.lift(np.ones(3)))
    model = SampledViscous.fit(BURGERS, decoder, truth[4::8], truth[3:-1:8], n_cells=40, lag=2, progress=False)
    assert relative_error(decoder.lift(model.march(1.0)), truth) < 1e-3
    with pytest.raises(ParameterError, match="each of 8 values once"):
        random_feature_decoder(np.zeros((20, 8)), np.zeros((4, 2), dtype=int), np.zeros((4, 1), dtype=int), 1)


def test_the_quadratic_form_and_viscosity_are_those_of_the_full_model():
    states = BURGERS.solve(1.0)
    new, old = states[1:], states[:-1]
    rate = BURGERS.viscous(new) - BURGERS.bilinear(new, new)
    np.testing.assert_allclose(rate, (new - old) / BURGERS.dt, atol=1e-7)
    generator = np.random.default_rng(0)
    w, z = generator.standard_normal((2, 288))
    np.testing.assert_allclose(BURGERS.bilinear(w, z), BURGERS.bilinear(z, w))
    for call in (lambda: BURGERS.viscous(w[1:]), lambda: BURGERS.bilinear(w[1:], z)):
        with pytest.raises(ParameterError, match="288 values"):
            call()


def test_local_bases_follow_the_full_model_and_converge_to_it():
    truth = BURGERS.solve(1.0)
    errors = [
        relative_error(LocalViscous.fit(BURGERS, 2, tol=tol, stride=1, progress=False).march(1.0).states(), truth)
        for tol in (3e-2, 3e-3, 3e-4)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2e-3


def test_blocks_are_a_partition_and_know_their_neighbours():
    blocks, neighbours = BURGERS.blocks(4)
    assert np.array_equal(np.sort(blocks.ravel()), np.arange(2 * 144))
    assert sorted(neighbours[0].tolist()) == [0, 1, 3, 4, 9, 9, 9, 9, 9]
    assert sorted(neighbours[4].tolist()) == list(range(9))
    with pytest.raises(ParameterError, match="does not divide"):
        BURGERS.blocks(5)


def test_differences_are_those_of_neighbours():
    n = BURGERS.n
    i, j = np.meshgrid(np.arange(n), np.arange(n))
    state = np.concatenate([(2.0 * i + 3.0 * j).ravel(), (5.0 * i).ravel()])
    found = BURGERS.differences() @ state
    assert sorted(set(found.round(12).tolist())) == [0.0, 2.0, 3.0, 5.0]
    assert len(found) == 4 * n * (n - 1)


def test_what_is_refused(decoder):
    states = np.random.default_rng(0).standard_normal((20, 8))
    blocks = np.arange(8).reshape(4, 2)
    with pytest.raises(ParameterError, match="each of 8 values once"):
        fit_autoencoder(states, blocks // 2, np.zeros((4, 1), dtype=int), 1)
    with pytest.raises(ParameterError, match="sparse matrix of 8 columns"):
        fit_autoencoder(states, blocks, np.zeros((4, 1), dtype=int), 1, differences=np.eye(8))
    with pytest.raises(ParameterError, match="stands for none"):
        fit_autoencoder(states, blocks, np.full((4, 1), 5), 1)
    with pytest.raises(ParameterError, match="does not fit"):
        SampledViscous(ViscousBurgers(9), decoder)
    with pytest.raises(ParameterError, match="nodes inside"):
        SampledViscous(BURGERS, decoder, [0], [1.0])
    for call in (lambda: decoder.lift([1.0]), lambda: decoder.tangent(np.ones(2)), lambda: decoder.project(np.ones(2))):
        with pytest.raises(ParameterError, match="shape"):
            call()
    encoder = Perceptron(Architecture(1, 2, (), "silu"), {"weight0": [[1.0], [1.0]], "bias0": [0.0, 0.0]})
    with pytest.raises(ParameterError, match="sparse matrix of shape"):
        SparseDecoder([[1.0]], [0.0], np.ones((2, 1)), [0.0, 1.0], encoder, [[1.0], [0.0]], 1.0)
    with pytest.raises(ParameterError, match="must go from 1 to 1"):
        SparseDecoder([[1.0]], [0.0], csr_array(np.ones((2, 1))), [0.0, 1.0], encoder, [[1.0], [0.0]], 1.0)
