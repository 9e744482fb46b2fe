"""Writing files so that an interrupt or a full disk never leaves half of one in place of a good one.

Temporary files and folders are locked as long as their process lives. What a killed process leaves behind has lost its
lock: the next process that writes into the same folder recognises it by name and lock, and removes it.
"""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from femnn.checks import checked, require_path
from femnn.exceptions import ParameterError
from femnn.io.guarded import require_regular

try:
    import fcntl
except ImportError:  # not POSIX: nothing is locked, and so nothing of other processes is ever removed
    fcntl = None  # type: ignore[assignment]

# Locks of some network file systems hold on one computer only: names say on which one they were made.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_MARK = f"-femnn-{_HOST}-"
_TEMPORARY = re.compile(r"\..+-femnn-(?P<host>[0-9a-f]{8})-[a-z0-9_]{8}(\.[^.]*)?")

#: Seconds after which what another computer has made counts as abandoned, if it is not locked.
_LONG_AGO = 24 * 3600.0


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, remove it otherwise.

    The suffix is kept, because writers such as meshio choose their format by it. Temporary files that killed processes
    have left in the folder are removed, those of living ones never. Where ``path`` is a folder, pipe or device,
    ParameterError is raised at once.

    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "table.txt"
    >>> with atomic_write(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(require_path("path", path))
    require_regular(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ParameterError(
            f"{path} cannot be written: {error.filename} is no folder; choose another place"
        ) from error

    def create() -> str:
        # a name that just fits into the file system leaves no room for the mark; nothing has a long format
        stem, suffix = (os.fsencode(part)[:100].decode(errors="ignore") for part in (path.stem, path.suffix))
        descriptor, name = tempfile.mkstemp(prefix=f".{stem}{_MARK}", suffix=suffix, dir=path.parent)
        os.close(descriptor)
        return name

    with _locked(create, path.parent) as temporary:
        try:
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            # mkstemp makes private files; what we leave behind follows the user's umask
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(name: str, parent: str | os.PathLike | None = None) -> Iterator[Path]:
    """Yield a new folder that is removed when the block ends, or by the next such call if this process is killed.

    Parameters
    ----------
    name
        Its name begins with ``.NAME``.
    parent
        Folder to make it in; by default the one of the system for temporary files.

    Examples
    --------
    >>> from femnn.io import temporary_folder
    >>> with temporary_folder("example") as folder:
    ...     _ = (folder / "numbers.txt").write_text("1 2 3")
    ...     folder.name.startswith(".example"), folder.exists()
    (True, True)
    >>> folder.exists()
    False
    """
    parent = _temporary(parent)
    with _locked(lambda: tempfile.mkdtemp(prefix=f".{name}{_MARK}", dir=parent), parent) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(create: Callable[[], str], folder: Path) -> Iterator[Path]:
    """Yield what ``create`` makes in ``folder``, locked; remove what was abandoned there."""
    remove_abandoned(folder)
    temporary, descriptor = Path(create()), None
    while fcntl is not None and (descriptor := _lock(temporary)) is None:
        temporary = Path(create())
    try:
        yield temporary
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(temporary: Path) -> int | None:
    """Descriptor that keeps the lock; None if another process took the file for abandoned before it was locked."""
    try:
        descriptor = os.open(temporary, os.O_RDONLY if temporary.is_dir() else os.O_RDWR)
    except FileNotFoundError:
        return None
    # a file system without locks: nobody else can lock it either, and so it is safe
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if temporary.exists():
        return descriptor
    os.close(descriptor)
    return None


@checked()
def remove_abandoned(folder: str | os.PathLike | None = None) -> None:
    """Remove femnn's temporary files in ``folder`` whose processes are dead; None is the system's for such files.

    Examples
    --------
    Whatever else lies in the folder is left alone:

    >>> from pathlib import Path
    >>> from femnn.io import remove_abandoned
    >>> _ = Path("mine.txt").write_text("1 2 3")
    >>> remove_abandoned(".")
    >>> Path("mine.txt").exists()
    True
    """
    if fcntl is None:
        return
    folder = _temporary(folder)
    # a folder that cannot be listed, or an entry that went away meanwhile, is no reason not to write
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            with contextlib.suppress(OSError):
                if match and (match["host"] == _HOST or entry.stat().st_mtime < time.time() - _LONG_AGO):
                    _remove_if_abandoned(entry)


def _temporary(folder: str | os.PathLike | None) -> Path:
    return Path(tempfile.gettempdir() if folder is None else folder)


def _remove_if_abandoned(entry: os.DirEntry) -> None:
    is_folder = entry.is_dir(follow_symlinks=False)
    if entry.stat(follow_symlinks=False).st_uid != os.getuid():
        return
    descriptor = os.open(entry.path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: its process lives
        if is_folder:
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    finally:
        os.close(descriptor)
