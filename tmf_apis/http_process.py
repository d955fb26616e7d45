"""One of the HTTP processes of ``tmf serve --processes``, started by its supervisor.

It answers requests on the socket that it inherits and has no child processes. One that is started
again listens when it is ready, because the others answer meanwhile.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tmf_apis.metrics_port import serve_metrics
from tmf_apis.server import SUPERVISION_INTERVAL, Server
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.shared_state import Cell, Flag, SharedState

if TYPE_CHECKING:
    from tmf_apis.app import Application, Engine

#: Longest wait of a process for the others at the start of the server, in seconds.
_SIBLING_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """The files and the role that a process gets from its supervisor.

    Attributes:
        number: Number of the process, from 1.
        socket: Descriptor of the listening socket.
        memory: Descriptor of the shared memory.
        metrics: Descriptor of the listening socket for metrics; -1: there is none.
        is_restart: Other processes answer requests while this one starts.
    """

    number: int
    socket: int
    memory: int
    metrics: int
    is_restart: bool


class HttpProcess(Server):
    """One of the HTTP processes."""

    def __init__(
        self,
        settings: Settings,
        inheritance: Inheritance,
        load_data: "Callable[[Engine, Callable[[str], None]], object] | None" = None,
    ) -> None:
        """Take over the inherited files; ``run`` answers requests.

        Args:
            settings: The configuration; it names the database, also an embedded one.
            inheritance: What the process gets from its supervisor.
            load_data: Loads data before the server is ready; the first process does.
        """
        self._sock = socket.socket(fileno=inheritance.socket)
        host, port = self._sock.getsockname()[:2]
        super().__init__(settings, host=host, port=port, workers=0, load_data=load_data)
        self._inheritance = inheritance
        self._supervisor = os.getppid()
        self._shared = self._state = SharedState(
            inheritance.memory, settings.processes, inheritance.number
        )

    @property
    def _is_database_embedded(self) -> bool:
        return self.settings.mongodb_uri == EmbeddedMongod(self.settings).uri

    @contextlib.contextmanager
    def _bound_socket(self) -> Iterator[socket.socket]:
        with self._sock:
            yield self._sock

    def _start_processes(self) -> None:
        """Do nothing: the supervisor has started the embedded servers."""

    def _report_failure(self, reason: str) -> None:
        self._state.set_reason(reason)

    def _is_stopping(self) -> bool:
        return super()._is_stopping() or os.getppid() != self._supervisor

    def _serve_metrics(self, application: "Application") -> None:
        if self._inheritance.metrics >= 0:
            serve_metrics(self._inheritance.metrics, application.metrics.registry)

    def _listen(self, application: "Application", sock: socket.socket) -> None:
        if not self._inheritance.is_restart:
            super()._listen(application, sock)

    def _connect_engine(self, application: "Application") -> "Engine | None":
        """Return the engine once the database runs and the first process has prepared it."""
        self._await(Flag.DATABASE_STARTED)
        if self._inheritance.number > 1:
            self._await(Flag.PREPARED)
        elif self._state.is_set(Flag.PREPARED):
            self._load_data = None
        return super()._connect_engine(application)

    def _await(self, flag: Flag) -> None:
        while not self._state.is_set(flag) and not self._is_stopping():
            self._stopping.wait(SUPERVISION_INTERVAL)

    def _await_siblings(self, application: "Application") -> None:
        """Wait for the others at the start of the server, so that it is ready as a whole."""
        self._state.set_flag(Flag.PREPARED)
        if self._inheritance.is_restart:
            return
        readiness = application.readiness
        # Answers requests from now on: a sibling may find sooner that the server is ready.
        readiness.awaits_siblings, readiness.reason = True, ""
        self._state.set(Cell.READY, 1)
        deadline = time.monotonic() + _SIBLING_TIMEOUT
        while self._state.total(Cell.READY) < self._state.processes:
            if self._is_stopping() or time.monotonic() > deadline:
                break
            self._stopping.wait(SUPERVISION_INTERVAL)
        readiness.awaits_siblings = False

    def _note_ready(self, application: "Application", sock: socket.socket) -> None:
        if self._inheritance.is_restart:
            super()._listen(application, sock)
            self._state.set(Cell.READY, 1)

    def _stop(self) -> None:
        self._state.set(Cell.READY, 0)
        super()._stop()
