"""Large response bodies in temporary files, so that slow readers do not hold memory.

The files have no name: the operating system deletes them when they are closed, also after a kill.
They are encrypted with a key that is only in memory, because responses have personal values.
"""

import os
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from tmf_apis.errors import Unavailable
from tmf_apis.store.shared_state import Cell, SharedState

#: Size of a block of AES, in bytes.
_BLOCK = 16
#: Size from which a body is spooled, in bytes.
SPOOL_SIZE = 1_048_576


class Spool:
    """The spooled bodies of one process.

    Attributes:
        used: Bytes of all bodies.
    """

    def __init__(self, folder: Path, limit: int, shared: SharedState | None = None) -> None:
        """Create a spool without bodies.

        Args:
            folder: Folder of the files; it must exist when a body is added.
            limit: Most bytes of all bodies.
            shared: Counts the bodies of all processes of the server; None: it has one process.
        """
        self.used = 0
        self._folder = folder
        self._limit = limit
        self._shared = shared
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
            used = self._shared.total(Cell.SPOOLED) if self._shared else self.used
            if size > 0 and used + size > self._limit:
                raise Unavailable(
                    "too many large responses are being read; request smaller pages",
                    headers={"Retry-After": "5"},
                )
            self.used += size
            if self._shared:
                self._shared.set(Cell.SPOOLED, self.used)


class SpooledBody:
    """A response body in a file."""

    def __init__(self, spool: Spool, file: BinaryIO) -> None:
        self._spool = spool
        self._file = file
        self._size = 0
        self._key, self._nonce = os.urandom(32), os.urandom(_BLOCK)
        self._encryptor = self._cipher(0).encryptor()

    def _cipher(self, block: int) -> Cipher[CTR]:
        """Return the cipher that starts at a block of the body."""
        counter = (int.from_bytes(self._nonce) + block) % (1 << 8 * _BLOCK)
        return Cipher(AES(self._key), CTR(counter.to_bytes(_BLOCK)))

    def __len__(self) -> int:
        return self._size

    def write(self, part: bytes) -> None:
        """Append bytes that have been reserved."""
        self._size += len(part)
        self._file.write(self._encryptor.update(part))

    def read(self, start: int, size: int) -> bytes:
        """Return a part of the body."""
        block, offset = divmod(start, _BLOCK)
        self._file.seek(start - offset)
        encrypted = self._file.read(offset + size)
        return self._cipher(block).decryptor().update(encrypted)[offset:]

    def close(self) -> None:
        """Delete the file."""
        if not self._file.closed:
            self._file.close()
            self._spool.reserve(-self._size)

    def __del__(self) -> None:
        self.close()
