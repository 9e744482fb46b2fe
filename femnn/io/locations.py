"""Folders of the meshes, benchmarks and examples of femnn: in the wheel, or beside the package in a checkout."""

from pathlib import Path

from femnn.checks import checked, one_of
from femnn.exceptions import FemnnError

#: Folder of the package.
PACKAGE = Path(__file__).resolve().parents[1]


@checked()
def data_folder(name: str) -> Path:
    """Folder ``"meshes"``, ``"benchmarks"``, ``"examples"``, ``"flows"`` or ``"films"``.

    Raises
    ------
    ParameterError
        If ``name`` is none of these.
    FemnnError
        If neither the wheel's nor the checkout's folder exists.

    Examples
    --------
    >>> from femnn.io import data_folder
    >>> (data_folder("examples") / "poisson_swap.py").is_file()
    True
    """
    one_of("name", name, ("meshes", "benchmarks", "examples", "flows", "films"))
    in_wheel, checkout = PACKAGE / "data" / name, PACKAGE.parent
    if in_wheel.is_dir():
        return in_wheel
    # beside an installed package lie other packages, not our folders
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise FemnnError(
        f"the {name} are neither at {in_wheel} nor at {checkout / name}; install femnn from its wheel, or with "
        "`pip install -e .` from a complete checkout"
    )
