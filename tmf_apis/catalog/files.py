"""The server's file area, with a directory for each client, and its ``file:`` URLs.

The operator has one directory for each tenant; so has each set of parties that clients act for. A
``file:`` URL is a path within the client's directory: ``file:july/catalogue.ndjson``. It cannot
lead out of the directory: ``..``, absolute paths and symbolic links are refused. Names are compared
in the Unicode form NFC.
"""

import hashlib
import os
import stat
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

import orjson

from tmf_apis.errors import InvalidBody

#: Largest number of segments of a path.
_MAX_DEPTH = 16
#: Largest length of a segment, in bytes.
_MAX_SEGMENT_BYTES = 255
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def path_segments(url: str) -> tuple[str, ...]:
    """Return the path segments of a ``file:`` URL.

    Raises:
        InvalidBody: The URL is not a path within the file area (HTTP 400).

    >>> path_segments("file:july/catalogue.ndjson")
    ('july', 'catalogue.ndjson')
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidBody(f"/url: not a URL: {error}") from None
    names = map(unquote, parts.path.lstrip("/").split("/"))
    segments = tuple(unicodedata.normalize("NFC", name) for name in names)
    is_more_than_path = parts.netloc or parts.query or parts.fragment
    is_valid = len(segments) <= _MAX_DEPTH and all(map(_is_valid_segment, segments))
    if is_more_than_path or not is_valid:
        raise InvalidBody(
            "/url: expected file:NAME or file:FOLDER/NAME, a path inside the server's file area"
        )
    return segments


def _is_valid_segment(segment: str) -> bool:
    is_plain = segment.isprintable() and not set(segment) & {"/", "\\", "\0"}
    is_visible = bool(segment) and not segment.startswith(".")
    return is_plain and is_visible and len(segment.encode()) <= _MAX_SEGMENT_BYTES


def directory_name(tenant: str, parties: Collection[str] | None) -> str:
    """Return the name of the directory of a client.

    The ids of parties are not part of it: they may contain any character.

    >>> directory_name("default", None)
    'tenant-default'
    >>> directory_name("default", {"42"})[:22]
    'party-5358984f444eb395'
    """
    if parties is None:
        return f"tenant-{quote(tenant, safe='')}"
    return "party-" + hashlib.sha256(orjson.dumps([tenant, *sorted(parties)])).hexdigest()


class FileArea:
    """The files of one client, below the data directory."""

    def __init__(self, data_dir: Path, tenant: str, parties: Collection[str] | None = None) -> None:
        """Create the area.

        Args:
            data_dir: The data directory.
            tenant: The tenant of the client.
            parties: The parties that it acts for; None: the operator.
        """
        self._root = data_dir / "files" / directory_name(tenant, parties)

    def usage(self) -> tuple[int, int]:
        """Return the number of files and directories in the area, and the bytes of the files."""
        count = size = 0
        for folder, folders, files in os.walk(self._root):
            count += len(folders) + len(files)
            with suppress(FileNotFoundError):  # replaced meanwhile
                size += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)  # noqa: PTH118
        return count, size

    @contextmanager
    def open_for_reading(self, url: str) -> Iterator[BinaryIO]:
        """Open a file.

        Raises:
            OSError: The file does not exist or is not a regular file.
        """
        *folders, name = path_segments(url)
        with self._open_folder(folders, create=False) as folder:
            handle = os.open(name, _READ_FLAGS, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(f"{name} is not a regular file")
            yield file

    @contextmanager
    def open_for_writing(self, url: str) -> Iterator[BinaryIO]:
        """Create or replace a file atomically; only the server's user can read it.

        Raises:
            OSError: The file cannot be written.
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
        """Open a temporary file without a name, which is removed when it is closed."""
        self._make_root()
        with TemporaryFile(dir=self._root) as file:
            yield file

    def _make_root(self) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _open_folder(self, names: list[str], *, create: bool) -> Iterator[int]:
        """Open a directory segment by segment; symbolic links are refused."""
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
