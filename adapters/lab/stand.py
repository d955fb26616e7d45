"""A gateway to show things on: the lab's where the machine can have it, or else a simulated one."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, Self

from adapters.lab.gateway import Lab
from adapters.lab.network import available
from adapters.simulator import SimulatedGateway
from adapters.values import Target

START = 10.0  # seconds


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
        return Lab(name, ports=ports, trap_port=trap_port), ""
    return SimulatedStand(name, ports=ports, trap_port=trap_port), reason
