"""A real mobile subscriber register on loopback: osmo-hlr with a database of its own.

Needs the Debian package osmo-hlr and no root. ``missing()`` says what is not there.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from adapters.lab.network import PATH, LabError
from adapters.osmo_hlr.register import CTRL_PORT, GSUP_PORT, VTY_PORT
from adapters.values import Target

COMMAND = ("osmo-hlr", "-c", "osmo-hlr.cfg", "-l", "hlr.db")
#: Seconds that it has to answer.
START_TIMEOUT = 10.0
#: The interface of serving nodes has a fixed port, so each HLR has an address of its own.
CONFIGURATION = """\
log stderr
 logging color 0
 logging level set-all notice
{password}line vty
 bind {address}
ctrl
 bind {address}
hlr
 gsup
  bind ip {address}
"""


def hlr_unavailable_reason() -> str | None:
    """Return what is missing for an HLR on this machine, in one line; None if nothing is."""
    if shutil.which("osmo-hlr", path=PATH) is None:
        return "the HLR needs a package: apt-get install osmo-hlr"
    return None


class HlrLab:
    """An HLR without subscribers; a context manager.

    Args:
        name: What the element is called.
        imsis: The SIM cards whose keys are in its credentials; the keys are random.
        password: Of its command line; empty: none.
    """

    def __init__(
        self, name: str = "hlr-lab", *, imsis: Sequence[str] = (), password: str = ""
    ) -> None:
        self.name = name
        self.sim_keys = {
            imsi: f"milenage k {secrets.token_hex(16)} opc {secrets.token_hex(16)}"
            for imsi in imsis
        }
        self._password = password
        self.address = ""
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def target(self) -> Target:
        """How to reach it."""
        return Target(self.name, f"{self.address}:{CTRL_PORT}", "osmo-hlr", self.name)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """What belongs into the credentials file."""
        return {self.name: {**self.sim_keys, "vty": self._password}}

    def up(self) -> Self:
        """Start it with an empty database.

        Raises:
            LabError: It does not start; nothing is left behind.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="tmfhlr-"))
        self.address = free_address()
        password = f"enable password {self._password}\n" if self._password else ""
        text = CONFIGURATION.format(address=self.address, password=password)
        (self._directory / "osmo-hlr.cfg").write_text(text, "utf-8")
        try:
            self.start()
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Stop it and remove its files; may be called twice."""
        self.stop()
        if self._directory.name.startswith("tmfhlr-"):
            shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start it with the database that is there, and wait until it answers.

        Raises:
            LabError: It does not.
        """
        log = self._directory / "log"
        with log.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: S603
                # However we end, it ends with the thread that started it.
                ("setpriv", "--pdeathsig", "KILL", *COMMAND),  # noqa: S607
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={"PATH": PATH},
                start_new_session=True,
            )
        end = time.monotonic() + START_TIMEOUT
        while not all(
            is_listening(self.address, port) for port in (CTRL_PORT, VTY_PORT, GSUP_PORT)
        ):
            if time.monotonic() > end or self._process.poll() is not None:
                raise LabError(f"osmo-hlr: {log.read_text('utf-8', 'replace')[-500:]}")
            time.sleep(0.02)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; with SIGKILL it cannot tidy up."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, stop_signal)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._directory / "log").read_text("utf-8", "replace")


def is_listening(address: str, port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as link:
        link.settimeout(0.5)
        return link.connect_ex((address, port)) == 0


def free_address() -> str:
    """Return an address of loopback at which nobody has an HLR's port."""
    while True:
        one, other = secrets.token_bytes(2)
        address = f"127.72.{one}.{max(1, other % 255)}"
        if not any(is_listening(address, port) for port in (CTRL_PORT, VTY_PORT, GSUP_PORT)):
            return address
