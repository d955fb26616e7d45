"""A ``tmf serve`` process for tests, on a free port and with its own data directory."""

import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.support.paths import OPENAPI, ROOT
from tmf_apis.security import local_keys
from tmf_apis.settings import Settings

#: Every scope of every API, and that of personal attributes.
ALL_SCOPES = (
    "tmf639:elements",
    *(
        f"{api}:{verb}"
        for api in sorted({file.stem.split("-")[0].lower() for file in OPENAPI.glob("*.yaml")})
        for verb in ("read", "create", "update", "delete", "subscribe", "notify")
    ),
    "pii",
)


class ServerProcess:
    """A ``tmf serve`` process.

    Attributes:
        folder: The data directory.
        environment: The environment variables, in addition to those of the tests.
        options: Further options of the command.
        url: The URL of the server; "" before the start.
        process: The process; None before the start.
    """

    #: Further options of the command.
    options = ()

    def __init__(self, folder, **environment):
        self.folder = folder
        self.environment = environment
        self.url = ""
        self.process = None

    @property
    def log(self):
        """The output of the process, without a last line that is being written."""
        text = self.folder.with_suffix(".log").read_text(errors="replace")
        return text[: text.rfind("\n") + 1]

    @property
    def settings(self):
        """Settings with the same data directory."""
        return Settings(data_dir=self.folder)

    def start(self, *, wait=150.0, port=0):
        """Start the server and wait up to ``wait`` seconds until it is ready."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TMF_")}
        with self.folder.with_suffix(".log").open("ab") as log:
            position = log.tell()
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                [
                    *(sys.executable, "-m", "tmf_apis", "serve"),
                    *("--port", str(port or free_port()), "--data-dir", str(self.folder)),
                    *self.options,
                ],
                cwd=ROOT,
                env={**inherited, **self.environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        scheme = "https" if "TMF_TLS_CERT" in self.environment else "http"
        self.url = f"{scheme}://127.0.0.1:{self.process.args[5]}"
        if wait:
            self.await_ready(wait, position)
        return self

    def await_ready(self, wait=150.0, position=0):
        """Wait up to ``wait`` seconds until the server is ready."""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.log[position:][-2000:]}")
            with contextlib.suppress(httpx.HTTPError), self.client() as client:
                if client.get("/health/ready", timeout=5.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server was not ready in {wait} s: {self.log[-2000:]}")

    def client(self, token="", **headers):
        """Return an HTTP client of the server."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, verify=False)  # noqa: S501

    def token(self, *, scopes=ALL_SCOPES, tenant="", parties=None, subject="tester", hours=1.0):
        """Return a token that the server accepts."""
        return local_keys.issue_token(
            dataclasses.replace(Settings(), data_dir=self.folder),
            subject=subject,
            scopes=scopes,
            tenant=tenant,
            parties=parties,
            hours=hours,
        )

    def child_pid(self, name):
        """Return the process id of the child whose command matches a pattern, or None."""
        with contextlib.suppress(OSError):
            tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
            for pid in " ".join((task / "children").read_text() for task in tasks).split():
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                    if re.search(name.encode(), command):
                        return int(pid)
        return None

    def kill(self):
        """Kill the process."""
        self.process.kill()
        self.process.wait()

    def stop(self, wait=30.0):
        """Terminate the process and return its exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def free_port():
    """Return a TCP port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
