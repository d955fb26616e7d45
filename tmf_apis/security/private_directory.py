"""The data directory: its files are for the user of the server only."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

#: The permissions of group and others.
OTHERS = 0o077
PRIVATE = 0o700
#: Entries by which a data directory is recognized; another directory is not changed.
KNOWN_ENTRIES = frozenset(
    {"cache", "files", "keys", "mongodb", "mongod.owner", "mongod.log", "temporal.db",
     "temporal.owner", "temporal.log", "worker.log", "serve.log", "element-transactions"}
)  # fmt: skip
#: Folders whose files are narrowed, too; the others are protected by the data directory.
SECRET_FOLDERS = ("keys",)


class UnsafeDirectory(Exception):
    """Another user could replace the files of the data directory; the message has a remedy."""


@contextmanager
def private_files() -> Iterator[None]:
    """Create files and folders for this user only, until the end of the block."""
    mask = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(mask)


def make_private(folder: Path) -> None:
    """Create the data directory for this user only, or narrow an existing one.

    Raises:
        UnsafeDirectory: The directory belongs to another user, or all users share it.
        OSError: It cannot be created or read.
    """
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid not in {os.geteuid(), 0}:
        raise UnsafeDirectory(
            f"the data directory {folder} belongs to user {status.st_uid}, who could replace its"
            f" files; change its owner to {os.geteuid()}, or name another one in TMF_DATA_DIR"
        )
    if status.st_mode & stat.S_ISVTX:
        raise UnsafeDirectory(
            f"the data directory {folder} is shared by all users; name another one in TMF_DATA_DIR"
        )
    if status.st_mode & OTHERS and not _is_recognized(folder):
        log.warning(
            "other users have access to the data directory, which has other files; remove their"
            " access or name another directory in TMF_DATA_DIR",
            extra={"folder": str(folder), "mode": oct(stat.S_IMODE(status.st_mode))},
        )
        return
    if narrowed := [path for path in _own_paths(folder) if _narrow(path)]:
        log.warning(
            "access of other users to the data directory removed",
            extra={"folder": str(folder), "paths": len(narrowed), "first": str(narrowed[0])},
        )


def _is_recognized(folder: Path) -> bool:
    """Return whether a directory is empty or has entries of a data directory."""
    names = {path.name for path in folder.iterdir()}
    return not names or not names.isdisjoint(KNOWN_ENTRIES)


def _own_paths(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.iterdir()
    for name in SECRET_FOLDERS:
        if (folder / name).is_dir():
            yield from (folder / name).iterdir()


def _narrow(path: Path) -> bool:
    """Remove the access of other users to a path; return whether they had any."""
    with suppress(OSError):  # it has just been deleted, or root owns it
        mode = path.lstat().st_mode
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)
            return True
    return False
