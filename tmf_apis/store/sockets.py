"""Unix sockets of the embedded servers, which only their user can open."""

import contextlib
import hashlib
import http.client
import os
import re
import socket
import stat
import tempfile
from pathlib import Path

from tmf_apis.store.process import CannotStart

#: Longest path of a unix socket that every system accepts, in bytes (macOS has the shortest).
MAX_SOCKET_PATH = 100
#: Directory of the sockets that cannot be in the data directory; those in it are private.
SYSTEM_TEMPORARY = Path("/tmp")  # noqa: S108
_PLAIN_PATH = re.compile(r"[a-z0-9/_. -]+")


def socket_path(folder: Path, name: str) -> Path:
    """Return the path of a socket: in the data directory, or in /tmp if that path cannot be used.

    A path may be too long for a socket. Addresses are texts for MongoDB, its driver and Temporal,
    which change capital letters, split at commas and colons, decode percent signs and refuse some
    bytes; only what all of them leave alone is used.

    Raises:
        CannotStart: Another user can access the directory in /tmp.
    """
    path = folder / name
    if _is_usable(path):
        return path
    digest = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    short_name = f"tmf-{os.geteuid()}-{digest}"
    short_folder = _temporary_directory() / short_name
    with contextlib.suppress(FileExistsError):
        short_folder.mkdir(mode=0o700)
    status = short_folder.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if status.st_uid != os.geteuid() or not is_private:
        raise CannotStart(
            f"other users can access {short_folder}; remove it, or shorten TMF_DATA_DIR"
        )
    return short_folder / name


def _temporary_directory() -> Path:
    """Return /tmp for all servers, whatever TMPDIR they have; TMPDIR where /tmp is not writable."""
    if os.access(SYSTEM_TEMPORARY, os.W_OK | os.X_OK):
        return SYSTEM_TEMPORARY
    return Path(tempfile.gettempdir())


def _is_usable(path: Path) -> bool:
    """Return whether the servers and their clients can use the path of a socket."""
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH and bool(_PLAIN_PATH.fullmatch(str(path)))


class UnixHTTPConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        """Store the path of the socket.

        Args:
            path: The socket.
            timeout: Time limit of each step, in seconds.
        """
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
