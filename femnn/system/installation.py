"""The installation: versions, extras, and the folder that keeps compiled code."""

import platform
import re
from importlib import metadata

import numba

_REQUIREMENT = re.compile(r"(?P<package>[\w.-]+).*extra\s*==\s*[\"'](?P<extra>[\w-]+)[\"']")


def versions() -> dict[str, str | None]:
    """Version of Python, of femnn and of each package that it needs; None where one is missing.

    Examples
    --------
    >>> from femnn.system import versions
    >>> found = versions()
    >>> found["scikit-fem"].split(".")[0], found["femnn"] is not None
    ('12', True)
    """
    needed = [text for text in metadata.requires("femnn") or () if "extra ==" not in text]
    names = ["femnn", *(re.match(r"[\w.-]+", text)[0] for text in needed)]  # type: ignore[index]
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def extras() -> dict[str, dict[str, str | None]]:
    """For each extra of femnn the versions of its packages; None where one is missing.

    Examples
    --------
    >>> from femnn.system import extras
    >>> sorted(extras()["mpi"])
    ['pymetis']
    """
    packages: dict[str, dict[str, str | None]] = {}
    for text in metadata.requires("femnn") or ():
        match = _REQUIREMENT.match(text)
        if match and match["package"] != "femnn":
            packages.setdefault(match["extra"], {})[match["package"]] = _version(match["package"])
    return packages


def threads() -> dict[str, int]:
    """Number of threads of kernels.

    Examples
    --------
    >>> from femnn.system import threads
    >>> all(count >= 1 for count in threads().values())
    True
    """
    return {"count": numba.get_num_threads()}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
