"""The code in the documentation runs as it stands."""

import re

import numpy as np
from click.testing import CliRunner
from support.cohesive_properties import assert_dissipates, assert_tangent_is_consistent
from support.locations import ROOT
from support.pages import run_page
from support.properties import assert_has_degree, assert_invariant, assert_keeps_contract

import femnn
from femnn.cohesive.paths import separation_paths


def test_readme(monkeypatch, capsys):
    page = run_page("../README.md", ROOT, monkeypatch)
    assert 0.0 < np.abs(page["u"]).max() < 1e-6
    # as the table of the page has it, which a command prints
    (points,) = re.findall(r"\| AdaptiveGauss\(tol=0\.001\) +\| +([\d,]+) \|", (ROOT / "README.md").read_text("utf-8"))
    assert f"{points} points" in capsys.readouterr().out


def test_getting_started(tmp_path, monkeypatch):
    page = run_page("getting-started.md", tmp_path, monkeypatch)
    np.testing.assert_allclose(page["fused"].toarray(), page["K"].toarray(), atol=1e-12 * abs(page["K"]).max())
    assert page["solution"].residual < 1e-8
    assert (page["errors"] < 2e-3).all()
    # pulled apart by far more than the interface bears elastically
    assert page["path"].t == 1.0
    assert page["problem"].damage()[0].min() > 0.0


def test_page_of_meshes(tmp_path, monkeypatch):
    page = run_page("how-to/my-mesh.md", tmp_path, monkeypatch)
    assert page["errors"].max() > 1e-3
    assert page["u"][page["basis"].get_dofs("load").nodal["u^3"]].max() < 0.0


def test_page_that_swaps_the_rule(tmp_path, monkeypatch):
    page = run_page("how-to/swap-the-rule.md", tmp_path, monkeypatch)
    assert page["points"] < page["basis"].dx.size
    assert abs(page["K_adaptive"] - page["K"]).max() < 1e-3 * abs(page["K"]).max()
    assert page["errors"].max() < 2e-3


def test_page_of_a_joint(tmp_path, monkeypatch):
    page = run_page("how-to/cohesive-joint.md", tmp_path, monkeypatch)
    assert page["path"].t == 1.0
    # pulled by more than the glue bears: it is torn
    assert page["problem"].damage()[0].min() == 1.0


def test_page_of_own_weights(tmp_path, monkeypatch, capsys):
    run_page("how-to/own-weights.md", tmp_path, monkeypatch)
    assert "60 elements" in capsys.readouterr().out


def test_page_of_other_programs(tmp_path, monkeypatch):
    page = run_page("how-to/other-programs.md", tmp_path, monkeypatch)
    assert page["block"].X.shape == (3, len(page["block"].W))


def test_page_that_adds_a_rule(tmp_path, monkeypatch):
    page = run_page("how-to/add-a-rule.md", tmp_path, monkeypatch)
    elements = page["elements"]
    assert_keeps_contract(page["rule"], elements)
    assert_invariant(page["rule"], elements)
    (group,) = page["rule"].groups(elements)
    assert_has_degree(group.X, group.W, 1)
    # what the page says of it
    assert 8 < np.median(page["ratio"]) < 15


def test_page_that_adds_a_law(tmp_path, monkeypatch):
    page = run_page("how-to/add-a-law.md", tmp_path, monkeypatch)
    law, rough = page["law"], page["rough"]
    paths = separation_paths(20, 15, law.separation_scale, "mixed", seed=4)
    assert_tangent_is_consistent(law, paths, 1e-6)
    assert_dissipates(rough, paths)
    assert 0.2 < page["problem"].damage()[0].max() < 1.0


def test_page_that_trains_a_law(tmp_path, monkeypatch):
    page = run_page("how-to/train-a-law.md", tmp_path, monkeypatch)
    assert len(page["held_out"]) == 4
    assert page["figures"]["held out"]["mean"] < 0.5


def test_page_of_nearly_incompressible_bodies(tmp_path, monkeypatch):
    page = run_page("how-to/nearly-incompressible.md", tmp_path, monkeypatch)
    for name in ("K2", "K3", "K4"):
        asymmetry = abs(page[name] - page[name].T).max()
        assert asymmetry < 1e-9 * abs(page[name]).max(), name
    assert page["path"].t == 1.0
    assert 1.0e3 < 2e3 * page["error_of_the_limit"].t < 1.3e3


def test_page_that_adds_a_benchmark(tmp_path, monkeypatch):
    page = run_page("how-to/add-a-benchmark.md", tmp_path, monkeypatch)
    done = CliRunner().invoke(page["main"], ["--elements", "20", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "| 2×2×2 points keep the volume | ≤ 1e-12 |" in (tmp_path / "volume.md").read_text(encoding="utf-8")


def test_page_of_materials(tmp_path, monkeypatch):
    page = run_page("how-to/materials.md", tmp_path, monkeypatch)
    assert (np.diff(page["curve"].force) < 0.0).all()
    # the page says what the bodies do
    assert max(page["plastic"]) > 0.0
    assert 0.0 < page["opened"] < 1.0
    assert (np.diff(page["sinking"]) < 0.0).all()
    assert max(state[..., 6].max() for state in page["warm"].states) > 0.0
    assert page["nodal"].shape == (page["mesh"].p.shape[1], 6)
    assert page["force"] > 0.0
    assert page["stress"].shape == (1, 3, 3)


def test_page_of_flows(tmp_path, monkeypatch):
    page = run_page("theory/flows.md", tmp_path, monkeypatch)
    assert page["errors"][0].name == "linear autoregression"
    assert page["errors"][0].mean < 1e-4


def test_page_of_identification(tmp_path, monkeypatch):
    page = run_page("theory/identification.md", tmp_path, monkeypatch)
    for start in page["starts"]:
        assert set(start.equation.terms) == {"sin z"}
        assert abs(start.equation.terms["sin z"] + 1.0) < 0.05


def test_page_of_your_own_flow(tmp_path, monkeypatch):
    page = run_page("how-to/my-flow.md", tmp_path, monkeypatch)
    assert page["flow"].pod.r == 4
    # waves go on as they are
    later = page["t"][-1] + 0.1 * np.arange(1, 21)[:, None]
    expected = np.sin(6.0 * page["x"] - later) + 0.3 * np.cos(9.0 * page["x"] - 2.0 * later)
    assert np.abs(page["flow"].pod.lift(page["ahead"].T).T - expected).max() < 1e-4


def test_page_of_reduced_models(tmp_path, monkeypatch):
    page = run_page("theory/reduced.md", tmp_path, monkeypatch)
    expected = page["beam"].solve(np.array([0.3, 0.4, -0.2]))[0].u
    assert np.linalg.norm(page["u"] - expected) < 0.02 * np.linalg.norm(expected)
    # let go, the beam has gained what the load had put into it
    assert page["motion"].kinetic_energy(page["state"]) > 0.0
    np.testing.assert_allclose(page["small"], page["small"].T)
    flow = page["flow"]
    expected = femnn.newton(flow, 1.5 * page["heating"], page["inlet"], steps=1, progress=False).u
    assert np.linalg.norm(page["temperature"] - expected) < 0.02 * np.linalg.norm(expected)


def test_page_of_travelling_fronts(tmp_path, monkeypatch):
    page = run_page("theory/reduced-fronts.md", tmp_path, monkeypatch)
    assert page["relative_error"](page["run"].states(page["path"]), page["truth"]) < 0.05
    assert page["relative_error"](page["found"], page["viscous"].solve(1.0)) < 0.1


def test_assembly_page(tmp_path, monkeypatch):
    page = run_page("how-to/assemble-and-solve.md", tmp_path, monkeypatch)
    # what it says of its results
    assert page["solution"].residual < 1e-8
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
    page = run_page("theory/multiscale.md", tmp_path, monkeypatch)
    assert page["state"].t == 10 * page["day"]
    assert (page["balance"].error < 1e-10).all()
    np.testing.assert_allclose(page["balance"].injected, [1e-5 * page["day"], 0.0])
    # the well fills the macropores, which feed the micropores
    assert page["state"].p[0].max() > page["state"].p[1].max() > 0.0
    assert page["load_state"]("restart.npz", page["problem"]).t == page["state"].t
    assert (tmp_path / "reservoir-0009.vtu").exists()


def test_fault_page(tmp_path, monkeypatch):
    page = run_page("how-to/faults.md", tmp_path, monkeypatch)
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
    page = run_page("theory/rve.md", tmp_path, monkeypatch)
    response = page["response"]
    assert response.hill_mandel.max() < 1e-8
    np.testing.assert_allclose(response.traction[1:, 0], -20e6, rtol=1e-8)
    assert response.traction[-1, 1] > 20e6
    assert (np.linalg.eigvalsh(page["permeability"]) > 0.0).all()
    assert page["permeability"][1, 1] > 100.0 * page["permeability"][0, 0]
    assert page["traction"][0, 0] > 0.0
    assert page["turned"].hill_mandel.max() < 1e-8
    np.testing.assert_allclose(page["turned"].traction[1:, 0], -20e6, rtol=1e-8)
    assert (np.linalg.eigvalsh(page["conducts"]) > 1e-18).all()
    assert page["through_cells"].planes


def test_page_of_many_runs(tmp_path, monkeypatch):
    page = run_page("how-to/many-runs.md", tmp_path, monkeypatch)
    # a bar without lateral strain is a row of springs
    seeds = [np.random.default_rng(task["seed"]).normal(size=4) for task in page["tasks"].values()]
    np.testing.assert_allclose(page["moved"], [(1e6 / (210e9 * np.exp(0.3 * drawn))).sum() for drawn in seeds])
    assert page["more"].ran == 1
    assert set(page["outcome"].failures) == {"heavy"}
    assert "no equilibrium at the load 3.0" in page["outcome"].failures["heavy"]


def test_page_of_training(tmp_path, monkeypatch):
    page = run_page("theory/training.md", tmp_path, monkeypatch)
    assert (np.diff(page["losses"]) <= 0.0).all()
    assert page["losses"][-1] < 0.1 * page["losses"][0]
