"""``tmf serve --processes``: several processes that answer requests on one port.

The supervisor owns the listening socket, the embedded servers and the workers; the HTTP processes
inherit the socket and accept connections from it. A connection that waits for a process that dies
is accepted by another one.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tmf_apis.server import SHUTDOWN_GRACE, SUPERVISION_INTERVAL, Server
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart
from tmf_apis.store.process_group import InheritingProcess, stop_processes
from tmf_apis.store.shared_state import Cell, Flag, SharedState

log = logging.getLogger(__name__)

#: Most connections that wait until a process accepts them.
_BACKLOG = 2048
#: Folder in memory for the counters of metrics; without it, they are in the data directory.
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - a new folder in it that only this user can open
_METRICS_PREFIX = "tmf-metrics-"


class ProcessServer(Server):
    """The supervisor of several HTTP processes."""

    def __init__(self, settings: Settings, *, host: str, port: int, demo: bool = False) -> None:
        """Store the configuration; ``run`` starts the server.

        Args:
            settings: The configuration, with the number of processes.
            host: The address to listen on.
            port: The TCP port; 0 for a free one.
            demo: Load a demo operator into an empty database first.
        """
        super().__init__(settings, host=host, port=port)
        self._state = SharedState.create(settings.processes)
        self._demo = demo
        self._sockets: list[socket.socket] = []
        self._environment: dict[str, str] = {}
        self._children: list[InheritingProcess] = []
        #: The last process of each number whose end has been handled.
        self._ended: dict[int, int] = {}

    @property
    def _has_engine(self) -> bool:
        return self._state.is_set(Flag.PREPARED)

    def _serve(self, sock: socket.socket) -> None:
        """Supervise the processes until the server stops."""
        sock.listen(_BACKLOG)
        with self._metrics_socket() as metrics, _metrics_folder(self.settings.data_dir) as folder:
            self._sockets = [sock, *([metrics] if metrics else [])]
            self._environment = self._child_environment(folder)
            files = (self._state.file, *(s.fileno() for s in self._sockets))
            self._children = [
                InheritingProcess(f"HTTP process {number}", files)
                for number in range(1, self.settings.processes + 1)
            ]
            try:
                while not self._is_stopping():
                    self._supervise_all()
                    pause = SUPERVISION_INTERVAL * (4 if self._has_engine else 1)
                    self._stopping.wait(pause)
            finally:
                self._stopping.set()
                stop_processes(self._children, SHUTDOWN_GRACE + 5)

    def _supervise_all(self) -> None:
        for process in self._processes:
            self._supervise_process(process)
        if self._mongod is None or self._mongod.is_ready:
            self._state.set_flag(Flag.DATABASE_STARTED)
        for number, child in enumerate(self._children, 1):
            self._keep(number, child)
        if self._state.total(Cell.READY):
            self._keep_workers()

    def _keep(self, number: int, child: InheritingProcess) -> None:
        """Start a process, or start it again after it has ended."""
        if child.is_running:
            return
        if child.pid and self._ended.get(number) != child.pid:
            self._ended[number] = child.pid
            self._handle_exit(number, child)
        if not self._is_stopping() and child.check_restart_due():
            child.run(self._command(number), self._environment)

    def _handle_exit(self, number: int, child: InheritingProcess) -> None:
        """Forget what a process was doing; stop if the server cannot start at all."""
        reason = self._state.reason(number) or _exit_reason(child.returncode or 0)
        self._state.forget_process(number)
        if not self._has_engine and self._state.reason(number):
            self._failures.append(reason)
            self._stopping.set()
            return
        self._state.set(Cell.RESTARTS, self._state.get(Cell.RESTARTS, number) + 1, number)
        log.error(
            "an HTTP process ended; restarting it",
            extra={"http_process": number, "pid": child.pid, "reason": reason},
        )

    def _command(self, number: int) -> list[str]:
        sock, *metrics = (str(s.fileno()) for s in self._sockets)
        is_restart = bool(self._state.total(Cell.READY))
        return [
            *(sys.executable, "-m", "tmf_apis", "serve-process"),
            *("--number", str(number)),
            *("--socket", sock),
            *("--memory", str(self._state.file)),
            *(("--metrics", metrics[0]) if metrics else ()),
            *(("--restart",) if is_restart else ()),
            *(("--demo",) if self._demo and number == 1 else ()),
        ]

    def _child_environment(self, metrics_folder: Path) -> dict[str, str]:
        """Return the environment of the processes: the settings, as they are in this process."""
        settings = self.settings
        own_addresses = self._settings_with_own_address().own_addresses
        return {
            **os.environ,
            "TMF_AUTH": settings.auth,
            "TMF_PROCESSES": str(settings.processes),
            "TMF_OWN_ADDRESSES": ",".join(own_addresses),
            "TMF_DATA_DIR": str(Path(settings.data_dir).absolute()),
            "TMF_MONGODB_URI": self.uri,
            "TMF_TLS_CERT": settings.tls_cert,
            "TMF_TLS_KEY": settings.tls_key,
            "TMF_TLS_CLIENT_CA": settings.tls_client_ca,
            "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder),
        }

    @contextlib.contextmanager
    def _metrics_socket(self) -> Iterator[socket.socket | None]:
        """Yield the listening socket of the port for metrics; None if no port is set.

        Raises:
            CannotStart: The port cannot be used.
        """
        host, port = self.settings.metrics_host, self.settings.metrics_port
        if not port:
            yield None
            return
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = socket.create_server((host, port), family=family)
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {host} port {port} for metrics: {error.strerror};"
                " choose another with TMF_METRICS_PORT"
            ) from error
        with sock:
            sock.settimeout(0)  # the processes compete for each connection
            log.info("metrics at http://%s:%s/metrics", host, port)
            yield sock


def _exit_reason(status: int) -> str:
    """Return why a process ended.

    >>> _exit_reason(-9), _exit_reason(1)
    ('killed by SIGKILL', 'status 1')
    """
    if status >= 0:
        return f"status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


@contextlib.contextmanager
def _metrics_folder(data_dir: Path) -> Iterator[Path]:
    """Yield a folder for the counters of the processes; remove those of servers that were killed.

    A server holds a lock on its folder as long as it lives.
    """
    base = _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK) else data_dir
    for old in base.glob(f"{_METRICS_PREFIX}*"):
        if old.lstat().st_uid == os.geteuid():
            with contextlib.suppress(OSError), _locked(old):
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=_METRICS_PREFIX, dir=base))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder.

    Raises:
        BlockingIOError: Another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
