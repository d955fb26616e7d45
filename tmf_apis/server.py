"""``tmf serve``: the database, Temporal, the worker and the HTTP side in one process tree.

The main thread supervises (children die with the thread that forks them), HTTP has a thread of
its own. The server listens from the first moment and answers 503 until it is ready.
"""

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tmf_apis.gc_tuning import tune_gc
from tmf_apis.security.addresses import is_loopback
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.embedded_temporal import EmbeddedTemporal
from tmf_apis.store.managed_process import ManagedProcess
from tmf_apis.store.process import CannotStart, ChildProcess

if TYPE_CHECKING:  # imported when the database is coming up: they take longer than that
    import uvicorn

    from tmf_apis.app import Application, Engine

log = logging.getLogger(__name__)

#: Pause between two steps of supervision, in seconds.
_SUPERVISION_INTERVAL = 0.05
#: Pause between two attempts to reach the operator's own database, in seconds.
_DATABASE_RETRY_PAUSE = 2.0
#: Longest wait for requests that are under way when the server stops, in seconds.
_SHUTDOWN_GRACE = 10


def resolve_auth(settings: Settings, host: str) -> Settings:
    """Return the settings with authentication decided: off only on loopback.

    Raises:
        CannotStart: It is switched off for an address that others reach.
    """
    if settings.auth not in {"auto", "on", "off"}:
        raise CannotStart(f"TMF_AUTH={settings.auth!r}: expected on, off or auto")
    if settings.auth == "off" and not is_loopback(host):
        raise CannotStart(
            f"authentication is off (TMF_AUTH=off), so {host} cannot be listened on; "
            "set TMF_AUTH=on, or listen on 127.0.0.1"
        )
    if settings.auth == "auto":
        return replace(settings, auth="off" if is_loopback(host) else "on")
    return settings


class Server:
    """One server: what ``tmf serve`` runs until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        host: str,
        port: int,
        worker: bool = True,
        load_data: "Callable[[Engine, Callable[[str], None]], object] | None" = None,
    ) -> None:
        """Take the configuration.

        Args:
            settings: The configuration.
            host: Address to listen on.
            port: TCP port; 0 for a free one.
            worker: Whether to run relay and workflows in this tree too.
            load_data: Loads data before the server is ready; given the engine and a function that
                tells how far it is.
        """
        self.settings = resolve_auth(settings, host)
        self._host, self._port = host, port
        self._load_data = load_data
        self._processes: list[ManagedProcess] = []
        self._mongod = None if settings.mongodb_uri else EmbeddedMongod(self.settings)
        self._temporal = None if settings.temporal_address else EmbeddedTemporal(self.settings)
        self._worker = ChildProcess("worker", settings.data_dir / "worker.log") if worker else None
        self._stopping = threading.Event()
        self._signal_received = False
        self._application: Application | None = None
        self._http: uvicorn.Server | None = None
        self._http_thread: threading.Thread | None = None
        self._failures: list[str] = []

    @property
    def port(self) -> int:
        """The TCP port; 0 while a free one is still to be found."""
        return self._port

    @property
    def uri(self) -> str:
        """The database's URI."""
        return self._mongod.uri if self._mongod else self.settings.mongodb_uri

    def run(self) -> int:
        """Serve until a signal says stop; return the exit status."""
        previous = {
            s: signal.signal(s, self._handle_signal) for s in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            with self._bound_socket() as sock:
                self._start_processes()
                opening = threading.Thread(
                    target=self._start_application, args=(sock,), name="opening"
                )
                opening.start()
                self._supervise(opening)
        finally:
            self._stop()
            for one, handler in previous.items():
                signal.signal(one, handler)
        for reason in self._failures:
            log.error("%s", reason)
        return 1 if self._failures else 0

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # Not the event: the main thread may hold its lock at this moment, and would for ever.
        self._signal_received = True

    @contextlib.contextmanager
    def _bound_socket(self) -> Iterator[socket.socket]:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((self._host, self._port))
        except OSError as error:
            sock.close()
            raise CannotStart(
                f"cannot listen on {self._host} port {self._port}: {error.strerror}; "
                "choose another with --port"
            ) from error
        self._port = sock.getsockname()[1]
        with sock:
            yield sock

    def _start_processes(self) -> None:
        """Start the embedded servers; they come up while the contracts are read."""
        folder = self.settings.data_dir
        for owned in (self._mongod, self._temporal):
            if owned is not None:
                owned.prepare()
                self._processes.append(owned)
                owned.supervise()
        if self.settings.auth == "off":
            log.warning(
                "authentication is off: everybody on this machine may do everything",
                extra={"host": self._host},
            )
        folder.mkdir(parents=True, exist_ok=True)

    def _temporal_ui_url(self) -> str:
        """Return the URL of the embedded Temporal's own page; empty where there is none."""
        return self._temporal.ui_url if self._temporal and self._temporal.state else ""

    def _start_application(self, sock: socket.socket) -> None:
        """Listen, connect, load, and be ready; runs beside the supervision."""
        try:
            gc.disable()  # what is imported and built now stays
            from tmf_apis import web  # noqa: PLC0415 - after the database was told to start

            started = time.monotonic()
            application = self._application = web.build_application(
                self.settings, self._temporal_ui_url
            )
            self._http = web.create_server(application)
            serve = {"target": self._http.run, "kwargs": {"sockets": [sock]}, "name": "http"}
            self._http_thread = threading.Thread(**serve)  # type: ignore[arg-type]
            self._http_thread.start()
            engine = self._connect_engine(application)
            if engine is None:
                return
            if self._load_data:
                application.readiness.reason = "demo data is being loaded"
                self._load_data(engine, self._set_unready_reason)
            application.attach_engine(engine)
            application.readiness.reason = ""
            seconds = round(time.monotonic() - started, 2)
            log.info("ready at http://%s:%s", self._host, self._port, extra={"seconds": seconds})
        except CannotStart as error:
            self._failures.append(str(error))
            self._stopping.set()
        except Exception:
            log.exception("cannot start")
            self._failures.append("cannot start; the log above has the reason")
            self._stopping.set()
        finally:
            tune_gc()

    def _set_unready_reason(self, text: str) -> None:
        if self._application:
            self._application.readiness.reason = text

    def _connect_engine(self, application: "Application") -> "Engine | None":
        """Return the engine; keeps trying while the operator's own database does not answer."""
        from tmf_apis import web  # noqa: PLC0415 - imported by now

        while not self._stopping.is_set():
            if self._mongod and not self._mongod.is_ready:
                time.sleep(_SUPERVISION_INTERVAL)
                continue
            try:
                return web.open_engine(application, self.uri)
            except CannotStart as error:
                if self._mongod is not None:
                    raise
                application.readiness.reason = str(error)
                log.error("%s; trying again", error)  # noqa: TRY400
                self._stopping.wait(_DATABASE_RETRY_PAUSE)
        return None

    def _supervise(self, startup: threading.Thread) -> None:
        while not self._is_stopping() and (startup.is_alive() or self._is_serving()):
            for owned in self._processes:
                self._supervise_process(owned)
            if self._worker and self._application and not self._application.readiness.reason:
                self._keep_worker(self._worker)
            self._stopping.wait(
                _SUPERVISION_INTERVAL if startup.is_alive() else _SUPERVISION_INTERVAL * 4
            )
        self._stopping.set()
        startup.join(_SHUTDOWN_GRACE)
        if self._http:
            self._http.should_exit = True
        if self._http_thread:
            self._http_thread.join(_SHUTDOWN_GRACE + 5)

    def _is_stopping(self) -> bool:
        return self._signal_received or self._stopping.is_set()

    def _is_serving(self) -> bool:
        return self._http_thread is not None and self._http_thread.is_alive()

    def _supervise_process(self, process: ManagedProcess) -> None:
        opened = self._application is not None and self._application.readiness.engine is not None
        first = not process.is_ready and process is self._mongod and not opened
        if first and process.child.pid and not process.child.is_running:
            self._failures.append(process.diagnosis())
            self._stopping.set()
            return
        try:
            process.supervise()
        except CannotStart as error:
            self._failures.append(str(error))
            self._stopping.set()

    def _keep_worker(self, worker: ChildProcess) -> None:
        if worker.is_running:
            worker.rotate_log()
            return
        if not worker.check_restart_due():
            return
        if self._temporal is not None and not self._temporal.state:
            return
        if worker.pid:
            log.error("the worker ended, starting it again", extra={"status": worker.returncode})
        worker.start([sys.executable, "-m", "tmf_apis", "work"], self._worker_environment())

    def _worker_environment(self) -> dict[str, str]:
        """Return the worker's environment: our settings, and where our servers are."""
        settings = self.settings
        address = self._temporal.address if self._temporal else settings.temporal_address
        return {
            **os.environ,
            "TMF_AUTH": settings.auth,
            "TMF_DATA_DIR": str(Path(settings.data_dir).absolute()),
            "TMF_MONGODB_URI": self.uri,
            "TMF_TEMPORAL_ADDRESS": address,
            "TMF_PUBLIC_URL": settings.public_url or f"http://{self._host}:{self._port}",
        }

    def _stop(self) -> None:
        self._stopping.set()
        if self._worker:
            self._worker.stop(_SHUTDOWN_GRACE)
        if self._application and (engine := self._application.readiness.engine):
            engine.counts.stop()
            engine.extension_registry.stop()
            engine.database.client.close()
        for owned in reversed(self._processes):
            owned.stop()
