"""Build wheel and source, check them, and try the wheel where the repository is not at hand: ``make release``.

The wheel is installed into an environment of its own in a temporary folder, where ``femnn doctor`` and ``femnn demo``
run and a mesh in a format of another program is inspected. ``--no-demo`` leaves the demo out; everything built lies in
``dist/``.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"

# A mesh as a newcomer brings it: from another program, which knows nothing of scikit-fem.
OWN_MESH = """
import skfem
from skfem.io.meshio import to_meshio

mesh = skfem.MeshHex.init_tensor([0.0, 1.0, 2.5], [0.0, 1.0], [0.0, 0.7, 1.0])
mesh = skfem.MeshHex(mesh.p + 0.1 * mesh.p[[1, 2, 0]] * mesh.p[[2, 0, 1]], mesh.t)
to_meshio(mesh).write("own.inp")
"""

#: Bytes of the wheel.
LARGEST = 10_000_000

# What the package reads at run time, beside its code.
NEEDED = (
    "femnn/py.typed",
    "femnn/data/pretrained/",
    "femnn/data/meshes/bracket.vtu",
    "femnn/data/examples/",
    "femnn/data/benchmarks/",
    "femnn/validation/viewer/twgl.min.js",
    "femnn_command.py",
)


def main(demo=True):
    """Build, check, install, try."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir())
    wheel, sdist = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    check_wheel(wheel)
    check_sdist(sdist)
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(wheel, Path(folder), demo)
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB; {sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB")


def check_wheel(path):
    """Stop unless the wheel is small and whole, and holds no caches."""
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}; leave something out")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    missing = [needed for needed in NEEDED if not any(name.startswith(needed) for name in names)]
    unwanted = [name for name in names if "__pycache__" in name or name.startswith(("tests/", "docs/"))]
    if missing or unwanted:
        raise SystemExit(f"{path.name} lacks {missing} and has {unwanted[:5]}, which is no part of it")


def check_sdist(path):
    """Stop unless the source archive can be tested and documented by who packs it."""
    with tarfile.open(path) as archive:
        names = archive.getnames()
    folders = {name.split("/")[1] for name in names if "/" in name}
    missing = {"femnn", "tests", "docs", "examples", "benchmarks", "meshes", "pyproject.toml", "LICENSE"} - folders
    if missing:
        raise SystemExit(f"{path.name} lacks {sorted(missing)}")


def try_wheel(wheel, folder, demo):
    """Install the wheel where nothing else of the project is, and run it."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    # first and by itself: where a CPU build of this version is at hand, nothing larger is pulled
    subprocess.run([python, "-m", "pip", "install", "--quiet", "torch==2.13.0"])
    run(python, "-m", "pip", "install", "--quiet", wheel)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = run(python, "-c", "import femnn; print(femnn.__file__)", cwd=folder, env=environment, output=True)
    if not Path(where.strip()).is_relative_to(folder):
        raise SystemExit(f"femnn was imported from {where.strip()}, not from the wheel")
    run(python.parent / "femnn", "doctor", cwd=folder, env=environment)
    run(python, "-c", OWN_MESH, cwd=folder, env=environment)
    run(python.parent / "femnn", "inspect", "own.inp", "--html", "own.html", cwd=folder, env=environment)
    if demo:
        run(python.parent / "femnn", "demo", "--out", folder / "demo", cwd=folder, env=environment)


def run(*command, output=False, **options):
    """Run a command; stop with its exit code if it fails."""
    done = subprocess.run(list(map(str, command)), text=True, stdout=subprocess.PIPE if output else None, **options)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    main("--no-demo" not in sys.argv[1:])
