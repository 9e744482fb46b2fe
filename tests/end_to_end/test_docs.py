"""The code in the documentation runs as it stands."""

import numpy as np
from support.pages import run_page

import femnn


def test_assembly_page(tmp_path, monkeypatch):
    page = run_page("assembly.md", tmp_path, monkeypatch)
    # what it says of its results
    assert page["found"].residual < 1e-8
    assert page["path"].t == page["factors"][-1] < 0.8 * max(page["factors"])
    assert page["energy"] == 0.0
    # the law that readers will copy has the right tangent
    law, random = page["concrete"], np.random.default_rng(0)
    strain, state = random.normal(scale=1e-4, size=(20, 6)), np.linspace(0.0, 60.0, 20)[:, None]
    _, tangent, new_state = law.update(strain, state)
    assert 0 < (new_state > np.maximum(state, 10.0)).sum() < 20
    for j, h in enumerate(1e-9 * np.eye(6)):
        slope = (law.update(strain + h, state)[0] - law.update(strain - h, state)[0]) / 2e-9
        np.testing.assert_allclose(tangent[:, :, j], slope, atol=1e-5 * np.abs(tangent).max())
    gradient = random.normal(scale=0.1, size=(5, 3, 3))
    tangent = page["rubber"].law.update(gradient, None)[1].numpy()
    h = 1e-6 * random.normal(size=(3, 3))
    slope = (
        page["rubber"].law.update(gradient + h, None)[0] - page["rubber"].law.update(gradient - h, None)[0]
    ).numpy() / 2.0
    np.testing.assert_allclose(np.einsum("nijkl,kl->nij", tangent, h), slope, atol=1e-6 * np.abs(slope).max())
    assert isinstance(page["solid"], femnn.Solid)


def test_multiscale_page(tmp_path, monkeypatch):
    page = run_page("multiscale.md", tmp_path, monkeypatch)
    assert page["state"].t == 10 * page["day"]
    assert (page["balance"].error < 1e-10).all()
    np.testing.assert_allclose(page["balance"].injected, [1e-5 * page["day"], 0.0])
    # the well fills the macropores, which feed the micropores
    assert page["state"].p[0].max() > page["state"].p[1].max() > 0.0
    assert page["load_state"]("restart.npz", page["problem"]).t == page["state"].t
    assert (tmp_path / "reservoir-0009.vtu").exists()


def test_fault_page(tmp_path, monkeypatch):
    page = run_page("fault.md", tmp_path, monkeypatch)
    assert page["state"].t == 10 * page["day"]
    # it sticks at first, then slides
    assert page["day"] < page["history"].onset <= page["state"].t
    assert page["load_state"]("restart.npz", page["reservoir"]).t == page["state"].t
    for name in ("reservoir-0009.vtu", "fault-0009.vtu"):
        assert (tmp_path / name).exists()
    pressed = page["fields"].pressure[0] - page["fields"].pressure[1]
    assert abs(pressed).max() > 1e5
    # the oblique crack is steeper than its friction
    assert page["path"].t == 1.0
    assert abs(page["slid"][:, 1]).max() > 1e-5


def test_rve_page(tmp_path, monkeypatch):
    page = run_page("rve.md", tmp_path, monkeypatch)
    response = page["response"]
    assert response.hill_mandel.max() < 1e-8
    np.testing.assert_allclose(response.traction[1:, 0], -20e6, rtol=1e-8)
    assert response.traction[-1, 1] > 20e6
    assert (np.linalg.eigvalsh(page["permeability"]) > 0.0).all()
    assert page["permeability"][1, 1] > 100.0 * page["permeability"][0, 0]
    assert page["traction"][0, 0] > 0.0


def test_page_of_many_runs(tmp_path, monkeypatch):
    page = run_page("many-runs.md", tmp_path, monkeypatch)
    # a bar without lateral strain is a row of springs
    seeds = [np.random.default_rng(task["seed"]).normal(size=4) for task in page["tasks"].values()]
    np.testing.assert_allclose(page["moved"], [(1e6 / (210e9 * np.exp(0.3 * drawn))).sum() for drawn in seeds])
    assert page["more"].ran == 1
    assert set(page["outcome"].failures) == {"heavy"}
    assert "no equilibrium at the load 3.0" in page["outcome"].failures["heavy"]
