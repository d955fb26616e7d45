"""Unix sockets of the embedded servers, which only their user can open."""

import hashlib
import http.client
import os
import socket
import tempfile
from pathlib import Path

from tmf_apis.store.process import CannotStart

#: Longest path of a unix socket that every system accepts, in bytes (macOS has the shortest).
MAX_SOCKET_PATH = 100


def socket_path(folder: Path, name: str) -> Path:
    """Return the path of a socket: in the data directory, or in /tmp if that path is too long.

    Raises:
        CannotStart: Another user can access the directory in /tmp.
    """
    path = folder / name
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short_folder = Path(tempfile.gettempdir()) / f"tmf-{os.geteuid()}-{digest}"
    short_folder.mkdir(mode=0o700, exist_ok=True)
    if short_folder.stat().st_uid != os.geteuid() or short_folder.stat().st_mode & 0o077:
        raise CannotStart(
            f"other users can access {short_folder}; remove it, or shorten TMF_DATA_DIR"
        )
    return short_folder / name


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
