"""Where meshes, benchmarks and examples of femnn lie: in the wheel, or beside the package in a checkout."""

from pathlib import Path

from femnn.exceptions import FemnnError

_PACKAGE = Path(__file__).resolve().parents[1]


def data_folder(name):
    """Folder ``"meshes"``, ``"benchmarks"`` or ``"examples"``.

    Raises
    ------
    FemnnError
        If neither the wheel's nor the checkout's folder exists.
    """
    in_wheel, checkout = _PACKAGE / "data" / name, _PACKAGE.parent
    if in_wheel.is_dir():
        return in_wheel
    # beside an installed package lie other packages, not our folders
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise FemnnError(
        f"the {name} are neither at {in_wheel} nor at {checkout / name}; install femnn from its wheel, or with "
        "`pip install -e .` from a complete checkout"
    )
