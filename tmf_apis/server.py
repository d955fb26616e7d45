"""``tmf serve``: the database, Temporal, the worker and the HTTP server in one process tree.

The main thread starts and supervises the child processes, because they end with the thread that
forks them; HTTP has a thread of its own. The server listens at once and answers 503 until it is
ready.
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

from tmf_apis import tracing
from tmf_apis.gc_tuning import tune_gc
from tmf_apis.open_files import raise_open_files_limit
from tmf_apis.security.addresses import is_loopback
from tmf_apis.security.private_directory import private_files
from tmf_apis.security.tls import ReloadingContext, TlsFiles, UnusableTlsFiles
from tmf_apis.settings import Settings
from tmf_apis.store.embedded_mongod import EmbeddedMongod
from tmf_apis.store.embedded_temporal import EmbeddedTemporal, TemporalAccess
from tmf_apis.store.managed_process import ManagedProcess, prepare_data_directory
from tmf_apis.store.process import CannotStart, ChildProcess
from tmf_apis.store.process_group import stop_processes
from tmf_apis.store.shared_state import SharedState

if TYPE_CHECKING:  # slow imports: done at run time while the database starts
    import uvicorn

    from tmf_apis.app import Application, Engine

log = logging.getLogger(__name__)

#: Pause between two steps of supervision, in seconds.
SUPERVISION_INTERVAL = 0.05
#: Pause between two attempts to reach an external database, in seconds.
_DATABASE_RETRY_PAUSE = 2.0
#: Longest wait for open requests when the server stops, in seconds.
SHUTDOWN_GRACE = 10


def resolve_auth(settings: Settings, host: str) -> Settings:
    """Return the settings with ``auth`` resolved to "on" or "off"; "auto" is off on loopback only.

    Args:
        settings: The settings.
        host: The address to listen on.

    Raises:
        CannotStart: The value is unknown, or "off" for an address that other machines reach.
    """
    if settings.auth not in {"auto", "on", "off"}:
        raise CannotStart(f"TMF_AUTH={settings.auth!r}: expected on, off or auto")
    if settings.auth == "off" and not is_loopback(host):
        raise CannotStart(
            f"authentication is off (TMF_AUTH=off), so the server cannot listen on {host}; "
            "set TMF_AUTH=on, or listen on 127.0.0.1"
        )
    if settings.auth == "auto":
        return replace(settings, auth="off" if is_loopback(host) else "on")
    return settings


def _tls_context(settings: Settings) -> ReloadingContext | None:
    """Return the TLS context of the settings; None without TLS.

    Raises:
        CannotStart: The files cannot be used; the message has the reason.
    """
    if not settings.tls_cert:
        if settings.tls_key or settings.tls_client_ca:
            raise CannotStart("TLS needs a certificate: --tls-cert or TMF_TLS_CERT")
        return None
    files = TlsFiles(
        settings.tls_cert, settings.tls_key, settings.tls_client_ca, settings.tls_client_auth
    )
    try:
        return ReloadingContext(files)
    except UnusableTlsFiles as error:
        raise CannotStart(f"cannot serve over TLS: {error}") from None


def _workers(settings: Settings, count: int) -> list[ChildProcess]:
    """Return the workers, not yet started; each has a log of its own."""
    names = ["worker", *(f"worker-{number}" for number in range(2, count + 1))][:count]
    return [ChildProcess(name, settings.data_dir / f"{name}.log") for name in names]


class Server:
    """The process tree of ``tmf serve``."""

    def __init__(
        self,
        settings: Settings,
        *,
        host: str,
        port: int,
        workers: int | None = None,
        load_data: "Callable[[Engine, Callable[[str], None]], object] | None" = None,
    ) -> None:
        """Store the configuration; ``run`` starts the server.

        Args:
            settings: The configuration.
            host: The address to listen on.
            port: The TCP port; 0 for a free one.
            workers: Number of workers in this process tree; None: that of the settings.
            load_data: Loads data before the server is ready. It is called with the engine and a
                function that reports its progress, a text.
        """
        self.settings = resolve_auth(settings, host)
        self._host, self._port = host, port
        self._load_data = load_data
        self._processes: list[ManagedProcess] = []
        self._mongod = None if settings.mongodb_uri else EmbeddedMongod(self.settings)
        self._temporal = None if settings.temporal_address else EmbeddedTemporal(self.settings)
        self._workers = _workers(settings, settings.workers if workers is None else workers)
        self._stopping = threading.Event()
        self._signal_received = False
        self._tls = _tls_context(settings)
        self._shared: SharedState | None = None
        self._application: Application | None = None
        self._http: uvicorn.Server | None = None
        self._http_thread: threading.Thread | None = None
        self._failures: list[str] = []

    @property
    def port(self) -> int:
        """The TCP port; 0 until a free port has been chosen."""
        return self._port

    @property
    def uri(self) -> str:
        """The URI of the database."""
        return self._mongod.uri if self._mongod else self.settings.mongodb_uri

    @property
    def _is_database_embedded(self) -> bool:
        return self._mongod is not None

    @property
    def _listening_url(self) -> str:
        """The URL of the address on which the server listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit status."""
        with private_files():  # until the last thread that writes files has ended
            self._run_until_signal()
        for reason in self._failures:
            self._report_failure(reason)
        return 1 if self._failures else 0

    def _run_until_signal(self) -> None:
        previous_handlers = {
            number: signal.signal(number, self._handle_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            with self._bound_socket() as sock:
                raise_open_files_limit(self.settings)
                prepare_data_directory(self.settings.data_dir)
                self._start_processes()
                self._serve(sock)
        finally:
            self._stop()
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)

    def _report_failure(self, reason: str) -> None:
        log.error("%s", reason)

    def _serve(self, sock: socket.socket) -> None:
        """Answer requests until the server stops."""
        startup = threading.Thread(target=self._start_application, args=(sock,), name="startup")
        startup.start()
        self._supervise(startup)

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # Do not set the event here: the interrupted main thread may hold its lock (deadlock).
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
        """Start the embedded servers; they get ready while the contracts are read."""
        for process in (self._mongod, self._temporal):
            if process is not None:
                process.prepare()
                self._processes.append(process)
                process.supervise()
        is_public_url_https = self.settings.public_url.startswith("https://")
        if not (self._tls or is_public_url_https or is_loopback(self._host)):
            log.warning(
                "tokens and data are not encrypted on the network: the server listens without TLS"
                " (TMF_TLS_CERT), and TMF_PUBLIC_URL names no https proxy in front of it",
                extra={"host": self._host},
            )
        if self.settings.auth == "off":
            log.warning(
                "authentication is off: every user of this machine has full access",
                extra={"host": self._host},
            )

    def _settings_with_own_address(self) -> Settings:
        """Return the settings with the address on which this server listens."""
        netloc = self._listening_url.partition("://")[2]
        own_addresses = (*self.settings.own_addresses, netloc)
        if self.settings.metrics_port:
            own_addresses += (f"{self.settings.metrics_host}:{self.settings.metrics_port}",)
        return replace(self.settings, own_addresses=own_addresses)

    def _temporal_access(self) -> TemporalAccess | None:
        """Return how the embedded Temporal can be reached; None if there is none."""
        return self._temporal.access if self._temporal and self._temporal.state else None

    def _start_application(self, sock: socket.socket) -> None:
        """Listen, connect to the database, load data and answer requests; runs in a thread."""
        try:
            gc.disable()  # the objects that are created now are never garbage
            from tmf_apis import web  # noqa: PLC0415 - slow; the database starts meanwhile

            started = time.monotonic()
            tracing.configure(self.settings, "tmf-server")
            application = self._application = web.build_application(
                self._settings_with_own_address(), self._temporal_access, self._shared
            )
            self._serve_metrics(application)
            self._listen(application, sock)
            engine = self._connect_engine(application)
            if engine is None:
                return
            if self._load_data:
                application.readiness.reason = "demo data is being loaded"
                self._load_data(engine, self._set_unready_reason)
            application.attach_engine(engine)
            self._await_siblings(application)
            application.readiness.reason = ""
            self._note_ready(application, sock)
            seconds = round(time.monotonic() - started, 2)
            log.info("ready at %s", self._listening_url, extra={"seconds": seconds})
            if self._mongod and self._mongod.is_owner:
                self._mongod.checkpoint()
        except CannotStart as error:
            self._failures.append(str(error))
            self._stopping.set()
        except Exception:
            log.exception("cannot start")
            self._failures.append("cannot start; see the error above")
            self._stopping.set()
        finally:
            tune_gc()

    def _await_siblings(self, application: "Application") -> None:
        """Wait until all processes of the server can answer requests; here, there is one."""

    def _note_ready(self, application: "Application", sock: socket.socket) -> None:
        """Do what remains when requests can be answered."""

    def _listen(self, application: "Application", sock: socket.socket) -> None:
        """Answer requests in a thread; until the engine is attached, with 503."""
        from tmf_apis import web  # noqa: PLC0415 - already imported

        self._http = web.create_server(application, self._tls.context if self._tls else None)
        self._http_thread = threading.Thread(
            target=self._http.run, kwargs={"sockets": [sock]}, name="http"
        )
        self._http_thread.start()

    def _serve_metrics(self, application: "Application") -> None:
        """Serve the metrics on a port of their own, without a token, if one is set.

        Raises:
            CannotStart: The port cannot be used.
        """
        host, port = self.settings.metrics_host, self.settings.metrics_port
        if not port:
            return
        from prometheus_client import start_http_server  # noqa: PLC0415 - already imported

        try:
            start_http_server(port, host, application.metrics.registry)
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {host} port {port} for metrics: {error.strerror};"
                " choose another with TMF_METRICS_PORT"
            ) from error
        log.info("metrics at http://%s:%s/metrics", host, port)

    def _set_unready_reason(self, text: str) -> None:
        if self._application:
            self._application.readiness.reason = text

    def _connect_engine(self, application: "Application") -> "Engine | None":
        """Return the engine, or None at shutdown; retry while an external database is down."""
        from tmf_apis import web  # noqa: PLC0415 - already imported

        while not self._stopping.is_set():
            if self._mongod and not self._mongod.is_ready:
                time.sleep(SUPERVISION_INTERVAL)
                continue
            try:
                return web.open_engine(application, self.uri)
            except CannotStart as error:
                if self._is_database_embedded:
                    raise
                application.readiness.reason = str(error)
                log.error("cannot start yet; trying again", extra={"error": str(error)})  # noqa: TRY400
                self._stopping.wait(_DATABASE_RETRY_PAUSE)
        return None

    def _supervise(self, startup: threading.Thread) -> None:
        while not self._is_stopping() and (startup.is_alive() or self._is_serving()):
            for process in self._processes:
                self._supervise_process(process)
            if self._tls:
                self._tls.reload_if_changed()
            if self._application and not self._application.readiness.reason:
                self._keep_workers()
            self._stopping.wait(
                SUPERVISION_INTERVAL if startup.is_alive() else SUPERVISION_INTERVAL * 4
            )
        self._stopping.set()
        startup.join(SHUTDOWN_GRACE)
        if self._http:
            self._http.should_exit = True
        if self._http_thread:
            self._http_thread.join(SHUTDOWN_GRACE + 5)

    def _is_stopping(self) -> bool:
        return self._signal_received or self._stopping.is_set()

    def _is_serving(self) -> bool:
        return self._http_thread is not None and self._http_thread.is_alive()

    @property
    def _has_engine(self) -> bool:
        """Return whether the database has been opened since the start."""
        return self._application is not None and self._application.readiness.engine is not None

    def _supervise_process(self, process: ManagedProcess) -> None:
        """Restart an embedded server that ended; give up if mongod ends before it was ready."""
        is_first_start = not process.is_ready and process is self._mongod and not self._has_engine
        if is_first_start and process.child.pid and not process.child.is_running:
            self._failures.append(process.diagnosis())
            self._stopping.set()
            return
        try:
            process.supervise()
        except CannotStart as error:
            self._failures.append(str(error))
            self._stopping.set()

    def _keep_workers(self) -> None:
        for worker in self._workers:
            self._keep_worker(worker)

    def _keep_worker(self, worker: ChildProcess) -> None:
        if worker.is_running:
            worker.rotate_log()
            return
        if not worker.check_restart_due():
            return
        if self._temporal is not None and not self._temporal.state:
            return
        if worker.pid:
            log.error(
                "the worker ended; restarting it",
                extra={"status": worker.returncode, "worker": worker.name},
            )
        worker.start([sys.executable, "-m", "tmf_apis", "work"], self._worker_environment())

    def _worker_environment(self) -> dict[str, str]:
        """Return the worker's environment: the settings and the addresses of the servers."""
        settings = self.settings
        address = self._temporal.address if self._temporal else settings.temporal_address
        return {
            **os.environ,
            "TMF_AUTH": settings.auth,
            "TMF_WORKERS": str(len(self._workers)),
            "TMF_OWN_ADDRESSES": ",".join(self._settings_with_own_address().own_addresses),
            "TMF_DATA_DIR": str(Path(settings.data_dir).absolute()),
            "TMF_MONGODB_URI": self.uri,
            "TMF_TEMPORAL_ADDRESS": address,
            "TMF_PUBLIC_URL": settings.public_url or self._listening_url,
        }

    def _stop(self) -> None:
        self._stopping.set()
        stop_processes(self._workers, SHUTDOWN_GRACE)
        if self._application and (engine := self._application.readiness.engine):
            engine.counts.stop()
            engine.resources.usage.stop()
            engine.extension_registry.stop()
            engine.database.client.close()
        for process in reversed(self._processes):
            process.stop()
        tracing.shutdown()
