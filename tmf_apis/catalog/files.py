"""The server's own file area, a folder for each tenant, and the URLs that lead into it.

A ``file:`` URL is a path inside the tenant's folder: ``file:july/catalogue.ndjson``. Nothing
leads out of it: no ``..``, no absolute path, no symbolic link on any step of the way.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from tmf_apis.errors import InvalidBody

#: Longest path in the area, in steps.
_MAX_DEPTH = 16
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def path_segments(url: str) -> tuple[str, ...]:
    """Return the steps of a ``file:`` URL's path inside the area.

    Raises:
        InvalidBody: It is not a path inside (HTTP 400).

    >>> path_segments("file:july/catalogue.ndjson")
    ('july', 'catalogue.ndjson')
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidBody(f"/url: not a URL: {error}") from None
    steps = tuple(unquote(step) for step in parts.path.lstrip("/").split("/"))
    odd = parts.netloc or parts.query or parts.fragment or len(steps) > _MAX_DEPTH
    if odd or not all(map(_is_valid_segment, steps)):
        raise InvalidBody(
            "/url: expected file:NAME or file:FOLDER/NAME, a path inside the server's file area"
        )
    return steps


def _is_valid_segment(segment: str) -> bool:
    plain = segment.isprintable() and not set(segment) & {"/", "\\", "\0"}
    return plain and bool(segment) and not segment.startswith(".") and len(segment.encode()) <= 255  # noqa: PLR2004


class FileArea:
    """One tenant's files below the data directory."""

    def __init__(self, data_dir: Path, tenant: str) -> None:
        self._root = data_dir / "files" / f"tenant-{quote(tenant, safe='')}"

    @contextmanager
    def open_for_reading(self, url: str) -> Iterator[BinaryIO]:
        """Open a file of the area.

        Raises:
            OSError: There is none, or it is not a plain file.
        """
        *folders, name = path_segments(url)
        with self._open_folder(folders, create=False) as folder:
            handle = os.open(name, _READ_FLAGS, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{name} is not a plain file")
            yield file

    @contextmanager
    def open_for_writing(self, url: str) -> Iterator[BinaryIO]:
        """Make or replace a file of the area, readable by the server alone; all of it or none.

        Raises:
            OSError: It cannot be written.
        """
        *folders, name = path_segments(url)
        with self._open_folder(folders, create=True) as folder:
            draft = f".{os.urandom(8).hex()}"
            try:
                with os.fdopen(os.open(draft, _WRITE_FLAGS, 0o600, dir_fd=folder), "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise

    @contextmanager
    def open_temporary(self) -> Iterator[BinaryIO]:
        """Open a file without a name, gone when it is closed."""
        self._make_root()
        with TemporaryFile(dir=self._root) as file:
            yield file

    def _make_root(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _open_folder(self, names: list[str], *, create: bool) -> Iterator[int]:
        """Open a folder step by step, links refused."""
        self._make_root()
        folder = os.open(self._root, _DIRECTORY_FLAGS)
        try:
            for name in names:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=folder)
                inner = os.open(name, _DIRECTORY_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)
