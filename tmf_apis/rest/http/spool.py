"""Large response bodies in temporary files, so that slow readers do not hold memory.

The files have no name: the operating system deletes them when they are closed, also after a kill.
"""

import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from tmf_apis.errors import Unavailable

#: Size from which a body is spooled, in bytes.
SPOOL_SIZE = 1_048_576


class Spool:
    """The spooled bodies of one process.

    Attributes:
        used: Bytes of all bodies.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        """Create a spool without bodies.

        Args:
            folder: Folder of the files; it must exist when a body is added.
            limit: Most bytes of all bodies.
        """
        self.used = 0
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()

    def add(self, parts: Iterable[bytes]) -> "SpooledBody":
        """Return a body that consists of the parts.

        Raises:
            Unavailable: The bodies have too many bytes together (HTTP 503).
        """
        body = SpooledBody(self, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115 - closed with the body
        try:
            for part in parts:
                self.reserve(len(part))
                body.write(part)
        except BaseException:
            body.close()
            raise
        return body

    def reserve(self, size: int) -> None:
        """Count bytes that are stored, or no longer stored if ``size`` is negative.

        Raises:
            Unavailable: The bodies would have too many bytes together (HTTP 503).
        """
        with self._lock:
            if size > 0 and self.used + size > self._limit:
                raise Unavailable(
                    "too many large responses are being read; request smaller pages",
                    headers={"Retry-After": "5"},
                )
            self.used += size


class SpooledBody:
    """A response body in a file."""

    def __init__(self, spool: Spool, file: BinaryIO) -> None:
        self._spool = spool
        self._file = file
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def write(self, part: bytes) -> None:
        """Append bytes that have been reserved."""
        self._size += len(part)
        self._file.write(part)

    def read(self, start: int, size: int) -> bytes:
        """Return a part of the body."""
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """Delete the file."""
        if not self._file.closed:
            self._file.close()
            self._spool.reserve(-self._size)

    def __del__(self) -> None:
        self.close()
