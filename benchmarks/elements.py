"""Many simulated elements in one process, each at a loopback address of its own.

``python -m benchmarks.elements ELEMENTS PORTS SERVICES`` runs them until its standard input is
closed. The first SERVICES access ports of each element have a service.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import IO

from adapters.snmp.simulator import SimulatedGateway
from adapters.snmp.wire.agent import MibView
from benchmarks.requests import ROOT

PORT = 10161
COMMUNITY = "bench"
DOWNSTREAM, UPSTREAM = 100_000, 20_000


def address(number: int) -> str:
    """Return the address of an element.

    >>> address(300)
    '127.16.1.44'
    """
    return f"127.16.{number // 256}.{number % 256}"


class StaticGateway(SimulatedGateway):
    """A gateway that computes its tables once, so that they are cheap to read."""

    _cached_variables: MibView | None = None

    def _mib_view(self) -> MibView:
        if self._cached_variables is None:
            self._cached_variables = super()._mib_view()
        return self._cached_variables


async def _serve(elements: int, ports: int, services: int) -> None:
    for number in range(elements):
        gateway = StaticGateway(
            f"gw-{number:04}", ports=ports, address=(address(number), PORT), community=COMMUNITY
        )
        for port_number in range(1, services + 1):
            port = gateway.port(f"sub{port_number}")
            port.tag = f"s-{number:04}-{port_number}"
            port.downstream_kbps, port.upstream_kbps = DOWNSTREAM, UPSTREAM
        await gateway.__aenter__()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def run_elements(elements: int, ports: int, services: int = 0) -> Iterator[None]:
    """Run simulated elements in another process."""
    command = [sys.executable, "-m", "benchmarks.elements", *map(str, (elements, ports, services))]
    process = Popen(command, stdin=PIPE, stdout=PIPE, cwd=ROOT)  # noqa: S603 - our own program
    output: IO[bytes] = process.stdout  # type: ignore[assignment]
    try:
        if output.readline() != b"ready\n":
            raise RuntimeError("the simulated elements did not start")
        yield
    finally:
        process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
