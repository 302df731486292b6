"""Folders for one run, in the temporary directory: gone with their owner, however that ends.

Who makes one holds a lock on it (flock's, on the folder itself), which the kernel lets go of with
the process, after a SIGKILL too. So a folder whose lock is free has no owner, whoever has its pid
by now. The next process that starts a machine removes those. It leaves alone what is somebody
else's: another user's, a link, and folders of other names. A folder has its name only when it is
locked, so that none is taken away between the two.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

PREFIX = "highwater-run-"
_UNNAMED = ".highwater-new-"  # no lock yet, for some microseconds
_UNNAMED_SECONDS = 60.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def folder() -> Iterator[Path]:
    """A new empty folder, and nothing of it afterwards."""
    sweep_once()
    made = Path(tempfile.mkdtemp(prefix=_UNNAMED))
    lock = os.open(made, _FOLDER)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = made.rename(made.with_name(PREFIX + made.name.removeprefix(_UNNAMED)))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


@cache
def sweep_once() -> None:
    sweep()


def sweep() -> None:
    """Remove the folders that nobody owns any more."""
    place = Path(tempfile.gettempdir())
    for found in (*place.glob(f"{PREFIX}*"), *filter(_is_old, place.glob(f"{_UNNAMED}*"))):
        with suppress(OSError):  # not a folder, not ours, locked, or gone by now
            _remove_unowned(found)


def _is_old(found: Path) -> bool:
    try:
        return time.time() - found.lstat().st_mtime > _UNNAMED_SECONDS
    except OSError:
        return False


def _remove_unowned(found: Path) -> None:
    lock = os.open(found, _FOLDER)
    try:
        if os.fstat(lock).st_uid != os.getuid():
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), found.lstat()):
            shutil.rmtree(found, ignore_errors=True)
    finally:
        os.close(lock)
