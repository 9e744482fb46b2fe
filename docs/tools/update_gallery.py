"""Run the examples and keep their pictures in ``docs/images/examples``: ``make gallery``.

    python docs/tools/update_gallery.py [NAME ...]

Without names those whose picture is there and whose run is a matter of minutes. The site itself runs no example.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images" / "examples"

#: Examples whose pictures other commands write, or which take many minutes, a cluster of ranks or LAMMPS.
BY_NAME_ALONE = {
    "bracket_on_ranks",
    "burgers_manifold",
    "grains_to_law",
    "injection_3d",
    "injection_on_ranks",
    "rve_to_law",
    "sealing_fault",
    "three_scales",
}


def main(names):
    """Run each example in a folder of its own and take its picture over."""
    scripts = {path.stem: path for path in sorted((ROOT / "examples").glob("*.py"))}
    unknown = set(names) - set(scripts)
    if unknown:
        raise SystemExit(f"there is no example {', '.join(sorted(unknown))}; there are {', '.join(scripts)}")
    for name in names or sorted(set(scripts) - BY_NAME_ALONE):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, scripts[name], "--out", folder], check=True)
            picture = Path(folder) / f"{name}.png"
            if picture.exists():
                shutil.copyfile(picture, PICTURES / picture.name)
                print(f"{name}: {picture.name}")
            else:
                print(f"{name}: wrote no {picture.name}, its picture is another command's")


if __name__ == "__main__":
    main(sys.argv[1:])
