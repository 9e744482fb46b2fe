"""POD: the best subspace in its inner product, prescribed values, files, and snapshots that teach nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array

from femnn.exceptions import DatasetError, ParameterError, WeightFileError
from femnn.reduced import POD, Snapshots

N, FIXED = 60, np.array([0, 1, 59])
INNER = csr_array(diags_array([[2.0] * N, [-0.9] * (N - 1), [-0.9] * (N - 1)], offsets=[0, 1, -1]))


def columns(count=12, seed=0):
    """Snapshots whose singular values fall from 1 to 1e-6, zero where they are held."""
    random = np.random.default_rng(seed)
    left = np.linalg.qr(random.normal(size=(N, count)))[0]
    left[FIXED] = 0.0
    return left @ np.diag(np.logspace(0, -6, count)) @ np.linalg.qr(random.normal(size=(count, count)))[0]


@pytest.mark.parametrize("inner", [None, INNER], ids=["Euclidean", "weighted"])
@pytest.mark.parametrize("method", ["exact", "randomised"])
def test_the_error_of_the_projection_is_the_tail_of_the_singular_values(inner, method):
    snapshots = columns()
    pod = POD.fit(snapshots, inner, modes=5, fixed=FIXED, method=method)
    weight = np.eye(N) if inner is None else inner.toarray()
    np.testing.assert_allclose(pod.modes.T @ weight @ pod.modes, np.eye(5), atol=1e-12)
    np.testing.assert_array_equal(pod.modes[FIXED], 0.0)
    left = snapshots - pod.lift(pod.project(snapshots))
    expected = np.linalg.svd(np.linalg.cholesky(weight).T @ snapshots, compute_uv=False)
    assert np.sqrt(np.trace(left.T @ weight @ left)) == pytest.approx(np.sqrt((expected[5:] ** 2).sum()), rel=1e-6)
    np.testing.assert_allclose(pod.singular_values[:5], expected[:5], rtol=1e-8)


def test_energy_chooses_the_number_of_modes():
    values = np.linalg.svd(columns(), compute_uv=False)
    share = np.cumsum(values**2) / (values**2).sum()
    for energy in (0.9, 0.999, 0.9999999):
        assert POD.fit(columns(), energy=energy).r == np.searchsorted(share, energy) + 1


def test_small_modes_are_as_exact_as_large_ones():
    """A Gram matrix of the snapshots would lose all of them below 1e-8."""
    random = np.random.default_rng(1)
    left = np.linalg.qr(random.normal(size=(N, 6)))[0]
    snapshots = left @ np.diag(10.0 ** -np.arange(0.0, 12.0, 2.0)) @ np.linalg.qr(random.normal(size=(6, 6)))[0]
    pod = POD.fit(snapshots, modes=6)
    np.testing.assert_allclose(np.abs(left.T @ pod.modes).max(axis=1), 1.0, atol=1e-4)


def test_prescribed_values_that_change_are_carried_by_modes_of_their_own():
    random = np.random.default_rng(2)
    shapes = random.normal(size=(N, 2))
    snapshots = columns() + shapes @ random.normal(size=(2, 12))
    pod = POD.fit(snapshots, INNER, modes=8, fixed=FIXED)
    assert (pod.n_lifting, pod.r) == (2, 10)
    np.testing.assert_array_equal(pod.modes[FIXED, 2:], 0.0)
    u = snapshots[:, 3]
    q = pod.project(u)
    np.testing.assert_allclose(pod.lifting(u), q[:2], rtol=1e-9)
    np.testing.assert_allclose(pod.lift(q)[FIXED], u[FIXED], rtol=1e-9)
    # a combination of what was seen, but not another shape
    np.testing.assert_allclose(pod.modes[FIXED, :2] @ pod.lifting(shapes @ [1.0, 2.0]), (shapes @ [1.0, 2.0])[FIXED])
    with pytest.raises(ParameterError, match="add a snapshot that moves like this"):
        pod.lifting([1.0, 0.0, 0.0])


def test_an_offset_is_where_coefficients_are_zero():
    offset = np.linspace(1.0, 2.0, N)
    pod = POD.fit(columns() + offset[:, None], modes=4, offset=offset)
    np.testing.assert_allclose(pod.lift(np.zeros(4)), offset)
    np.testing.assert_allclose(pod.project(offset), 0.0, atol=1e-15)
    assert pod.distance(offset) == 0.0


def test_states_are_told_whether_they_are_in_range():
    pod = POD.fit(columns(), modes=4)
    for u in columns().T:
        assert pod.in_range(pod.project(u))
    assert not pod.in_range(10.0 * pod.project(columns()[:, 0]))
    assert pod.distance(pod.modes @ [1.0, 2.0, 0.0, 1.0]) < 1e-14
    strange = np.random.default_rng(3).normal(size=N)
    assert 0.5 < pod.distance(strange) <= 1.0


def test_a_saved_basis_is_the_same(tmp_path):
    snapshots = columns() + np.ones((N, 1)) * np.arange(12)
    pod = POD.fit(snapshots, INNER, modes=5, fixed=FIXED)
    again = POD.load(pod.save(tmp_path / "basis"))
    for name in ("modes", "singular_values", "offset", "fixed", "low", "high"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pod, name))
    np.testing.assert_array_equal(again.project(snapshots), pod.project(snapshots))
    assert (again.errors, again.fingerprint, again.n_lifting) == (pod.errors, pod.fingerprint, 1)
    content = bytearray((tmp_path / "basis.safetensors").read_bytes())
    content[-5] ^= 1
    (tmp_path / "basis.safetensors").write_bytes(content)
    with pytest.raises(WeightFileError, match="damaged"):
        POD.load(tmp_path / "basis")
    with pytest.raises(WeightFileError, match="is of kind"):
        POD.load("cohesive-default")


def test_fewer_modes_are_the_first():
    pod = POD.fit(columns(), modes=6)
    np.testing.assert_array_equal(pod.truncated(3).modes, pod.modes[:, :3])
    with pytest.raises(ParameterError):
        pod.truncated(7)


def test_snapshots_that_teach_nothing_are_refused():
    alike = np.tile(columns()[:, :1], (1, 4))
    for snapshots, modes, message in (
        (alike, 1, "are alike"),
        (np.zeros((N, 4)), 1, "are at rest"),
        (columns()[:, :3], 4, "too few for 4 modes"),
    ):
        with pytest.raises(DatasetError, match=message):
            POD.fit(snapshots, modes=modes)
    with pytest.raises(DatasetError, match="no snapshots"):
        POD.fit(Snapshots(N), energy=0.9)
    bad = columns()
    bad[3, 4] = np.nan
    for snapshots in (bad, np.zeros(5), np.zeros((N, 2, 2)), None):
        with pytest.raises(ParameterError, match="snapshots"):
            POD.fit(snapshots, modes=1)


def test_arguments_that_do_not_fit_are_refused():
    for keywords, message in (
        ({}, "the one or the other"),
        ({"modes": 2, "energy": 0.9}, "the one or the other"),
        ({"modes": 2, "inner": np.eye(N)}, "inner is"),
        ({"modes": 2, "inner": csr_array(-np.eye(N))}, "not positive definite"),
        ({"modes": 2, "method": "svd"}, "method="),
        ({"energy": 0.9, "method": "randomised"}, "needs a number of modes"),
        ({"modes": 0}, "modes=0"),
        ({"modes": 2, "offset": np.zeros(3)}, "offset"),
        ({"modes": 2, "fixed": [N]}, "there are 0 to"),
    ):
        with pytest.raises(ParameterError, match=message):
            POD.fit(columns(), **keywords)
    pod = POD.fit(columns(), modes=2)
    for call in (pod.project, pod.lift, pod.distance):
        with pytest.raises(ParameterError):
            call(np.zeros(7))
