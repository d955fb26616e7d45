"""The home location register of the lab: osmo-hlr on loopback with a database of its own.

It needs the Debian package osmo-hlr, but not root; see ``hlr_unavailable_reason``.
"""

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
from adapters.lab.processes import log_tail, stop_process
from adapters.osmo_hlr.register import CTRL_PORT, GSUP_PORT, VTY_PORT
from adapters.values import Target

COMMAND = ("osmo-hlr", "-c", "osmo-hlr.cfg", "-l", "hlr.db")
#: Time to open its ports, in seconds.
START_TIMEOUT = 10.0
#: The port of GSUP cannot be configured, so each HLR has an address of its own.
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
    """Return in one line why this machine cannot run an HLR; None if it can."""
    if shutil.which("osmo-hlr", path=PATH) is None:
        return "the HLR needs a package: apt-get install osmo-hlr"
    return None


class HlrLab:
    """An HLR without subscribers; a context manager.

    Args:
        name: Name of the element.
        imsis: The SIM cards in its credentials; their keys are random.
        password: Password of the command line; empty: none.

    Attributes:
        sim_keys: The keys of the SIM cards by IMSI.
        address: IP address of the HLR.
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
        """The target of the HLR."""
        return Target(self.name, f"{self.address}:{CTRL_PORT}", "osmo-hlr", self.name)

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """The content of the credentials file."""
        return {self.name: {**self.sim_keys, "vty": self._password}}

    def up(self) -> Self:
        """Start the HLR with an empty database.

        Raises:
            LabError: The HLR does not start; its files are removed again.
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
        """Stop the HLR and remove its files; safe to repeat."""
        self.stop()
        if self._directory.name.startswith("tmfhlr-"):
            shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start the HLR with its existing database and wait until its ports are open.

        Raises:
            LabError: The HLR does not start in time.
        """
        log = self._directory / "log"
        with log.open("ab") as log_file:
            self._process = subprocess.Popen(  # noqa: S603
                # the HLR is killed when the thread that started it ends
                ("setpriv", "--pdeathsig", "KILL", *COMMAND),  # noqa: S607
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log_file,
                env={"PATH": PATH},
                start_new_session=True,
            )
        end = time.monotonic() + START_TIMEOUT
        while not all(
            is_listening(self.address, port) for port in (CTRL_PORT, VTY_PORT, GSUP_PORT)
        ):
            if time.monotonic() > end or self._process.poll() is not None:
                raise LabError(f"osmo-hlr: {log_tail(log)}")
            time.sleep(0.02)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop the HLR with a signal; SIGKILL simulates a crash."""
        if self._process is not None:
            stop_process(self._process, stop_signal)
            self._process = None

    @property
    def log(self) -> str:
        """The log of the HLR."""
        return (self._directory / "log").read_text("utf-8", "replace")


def is_listening(address: str, port: int) -> bool:
    """Return whether a TCP port is open."""
    with socket.socket() as tcp:
        tcp.settimeout(0.5)
        return tcp.connect_ex((address, port)) == 0


def free_address() -> str:
    """Return a loopback address at which the ports of an HLR are free."""
    while True:
        third, fourth = secrets.token_bytes(2)
        address = f"127.72.{third}.{max(1, fourth % 255)}"
        if not any(is_listening(address, port) for port in (CTRL_PORT, VTY_PORT, GSUP_PORT)):
            return address
