"""A gateway to show things on: the lab's where the machine can have it, or else a simulated one."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, Self

from adapters.lab.agent import CLASS, UNITS, mirror
from adapters.lab.gateway import MISBEHAVIOUR, Lab
from adapters.lab.network import PATH, LabError, available
from adapters.profile import BROADBAND_GATEWAY, KBIT
from adapters.simulator import Misbehaviour, SimulatedGateway
from adapters.values import Target

START = 10.0  # seconds
INCONSISTENT_VALUE = 12  # error-status, RFC 3416 section 3


class Stand(Protocol):
    """A gateway that runs; a context manager."""

    @property
    def server_address(self) -> str:
        """Address at which the server hears the gateway's notifications."""

    @property
    def target(self) -> Target:
        """How to reach it."""

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """What belongs into the credentials file."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def up(self) -> Self:
        """Start it."""

    def down(self) -> None:
        """End it; may be called twice."""

    def cut(self, port: str) -> None:
        """Cut the cable of a port."""

    def mend(self, port: str) -> None:
        """Mend the cable of a port."""

    def refuse(self, setting: str) -> None:
        """Refuse to change a setting ("downstream", "upstream") from now on."""

    def hang(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed."""

    def behave(self) -> None:
        """Do what is asked again."""

    def rates(self, port: str) -> tuple[int, int]:
        """Return what a port is limited to down and up, in bit/s, looked at from inside."""

    def head(self, port: str) -> str:
        """Return "host:port" of a test head at the customer's side; empty: there is none."""


class LabStand(Lab):
    """The lab's gateway, which can be made to misbehave."""

    def refuse(self, setting: str) -> None:
        """Refuse to change a setting from now on."""
        self._misbehave(f"refuse {_column(setting).rpartition('.')[2]}")

    def hang(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed; it is changed when all is well."""
        self._misbehave(f"hang {_column(setting).rpartition('.')[2]}")

    def behave(self) -> None:
        """Do what is asked again."""
        self._misbehave("")

    def rates(self, port: str) -> tuple[int, int]:
        """Return what the kernel limits a port to, in bit/s; 0: to nothing."""
        return self._rate(port), self._rate(mirror(port))

    def head(self, port: str) -> str:
        """Return where the iperf3 server behind a port is; empty: there is no iperf3 here."""
        return self.site.head(port) if shutil.which("iperf3", path=PATH) else ""

    def _misbehave(self, how: str) -> None:
        new = self.site.files / f"{MISBEHAVIOUR}.new"
        new.write_text(how, "utf-8")
        new.rename(self.site.files / MISBEHAVIOUR)

    def _rate(self, device: str) -> int:
        try:
            said = self.site.run(self.site.gateway, "tc", "-s", "class", "show", "dev", device)
        except LabError:  # no such device: nothing was ever limited there
            return 0
        found = CLASS.search(said)
        return int(found[1]) * UNITS[found[2]] if found else 0


def _column(setting: str) -> str:
    return BROADBAND_GATEWAY.attribute(setting).column


class SimulatedStand:
    """A simulated gateway in a thread of its own.

    Args:
        name: What the element is called.
        ports: Number of access ports.
        trap_port: UDP port on loopback that notifications go to; 0: it sends none.
    """

    server_address = "127.0.0.1"

    def __init__(self, name: str, *, ports: int = 4, trap_port: int) -> None:
        traps = (self.server_address, trap_port) if trap_port else None
        self._gateway = SimulatedGateway(name, ports=ports, traps=traps)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def target(self) -> Target:
        """How to reach it."""
        return self._gateway.target

    @property
    def credentials(self) -> Mapping[str, Mapping[str, str]]:
        """What belongs into the credentials file."""
        return self._gateway.credentials

    def up(self) -> Self:
        """Start it.

        Raises:
            RuntimeError: It does not start.
        """
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self._thread.start()
        if not self._ready.wait(START):
            raise RuntimeError("the simulated gateway does not start")
        return self

    def down(self) -> None:
        """End it."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(START)
            self._loop = None

    def cut(self, port: str) -> None:
        """Cut the cable of a port."""
        self._do(lambda: self._gateway.cut(port))

    def mend(self, port: str) -> None:
        """Mend the cable of a port."""
        self._do(lambda: self._gateway.mend(port))

    def refuse(self, setting: str) -> None:
        """Refuse to change a setting from now on."""
        refused = Misbehaviour(refuse={_column(setting): INCONSISTENT_VALUE})
        self._do(lambda: setattr(self._gateway, "misbehaviour", refused))

    def hang(self, setting: str) -> None:
        """Fall silent as soon as a setting is to be changed."""
        hanging = Misbehaviour(hang=_column(setting))
        self._do(lambda: setattr(self._gateway, "misbehaviour", hanging))

    def behave(self) -> None:
        """Do what is asked again."""
        self._do(lambda: setattr(self._gateway, "misbehaviour", Misbehaviour()))

    def rates(self, port: str) -> tuple[int, int]:
        """Return what a port is said to be limited to, in bit/s."""
        one = self._gateway.port(port)
        return one.down * KBIT, one.up * KBIT

    def head(self, port: str) -> str:  # noqa: ARG002
        """Return nothing: no traffic goes through a simulated gateway."""
        return ""

    def _do(self, deed: Callable[[], None]) -> None:
        if self._loop is None:
            raise RuntimeError("the simulated gateway is not up")

        async def do() -> None:
            deed()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(START)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._gateway:
            self._ready.set()
            await self._end.wait()


def stand(name: str, *, ports: int = 4, trap_port: int) -> tuple[Stand, str]:
    """Return a gateway that is not up yet, and why it is not a real one; empty if it is."""
    if (reason := available()) is None:
        return LabStand(name, ports=ports, trap_port=trap_port), ""
    return SimulatedStand(name, ports=ports, trap_port=trap_port), reason
