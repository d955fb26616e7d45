"""The element of the story: a real gateway where the machine can have one, in the inventory."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import effect, registry
from adapters.credentials import Credentials
from adapters.errors import ElementError, Unreachable
from adapters.lab.network import LabError
from adapters.lab.stand import SimulatedStand, Stand, stand
from adapters.values import Observed
from tmf_apis.demo.filling import fill
from tmf_apis.demo.sites import sites
from tmf_apis.fulfilment.characteristics import with_values
from tmf_apis.fulfilment.elements import gateways
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk, Resource
from tmf_apis.store.temporal import free_port

if TYPE_CHECKING:
    from tmf_apis.app import Engine

_DOWN = "downstream"
#: Names of the gateways of stories begin with this.
_PREFIX = "gw-demo-"
#: It is on this machine: what is not answered at once is not answered at all.
_HASTE = {"timeout": "0.7", "retries": "1"}


class Element:
    """A gateway that runs, and how the story looks at it."""

    def __init__(self, gateway: Stand, simulated: str, credentials: Path) -> None:
        """Take a gateway.

        Args:
            gateway: It runs.
            simulated: Why it is a simulated one; empty if it is not.
            credentials: The file with its secrets.
        """
        self.gateway, self.simulated = gateway, simulated
        self.target = replace(gateway.target, options=_HASTE)
        self._credentials = Credentials(credentials)

    def fill(self, engine: "Engine", tell: Callable[[str], None]) -> None:
        """Load the demo operator, then put the gateway into its inventory.

        Gateways of earlier stories are taken out of use: they are not there any more.
        """
        fill(engine, tell)
        tell("the gateway is being read")
        desk = Desks(engine.writes, "demo").staff(engine.settings.default_tenant)
        for old in gateways(desk):
            if str(old.get("name", "")).startswith(_PREFIX):
                desk.change("Resource", old["id"], _gone)
        asyncio.run(self._register(desk))

    async def _register(self, desk: Desk) -> None:
        async with registry.connect(self.target, self._credentials) as adapter:
            await register(desk, adapter, place=sites()[0].reference)

    def read(self, service: str) -> Observed | None:
        """Return what the element itself says of a service; None: nothing, or no answer."""

        async def ask() -> Observed | None:
            async with registry.connect(self.target, self._credentials) as adapter:
                return await adapter.read(service)

        try:
            return asyncio.run(ask())
        except ElementError:
            return None

    def throughput(self, port: str) -> int | None:
        """Return what goes through a port downstream, in bit/s, by iperf3; None: nothing does.

        It is sent to a test head at the customer's side, as a probe of the operator does.
        """
        host, _, number = self.gateway.head(port).rpartition(":")
        try:
            return asyncio.run(effect.throughput(self.target.name, (host, int(number)), _DOWN))
        except Unreachable:
            return None


def _gone(gateway: Resource) -> Resource:
    without = with_values(gateway, {"managementAddress": None})
    return {**without, "administrativeState": "locked", "operationalState": "disabled"}


@contextmanager
def running(folder: Path, *, real: bool = True) -> Iterator[Element]:
    """Run a gateway; the environment tells the server's worker of it.

    Args:
        folder: For the file of secrets.
        real: Whether to try for a real one.
    """
    name, trap_port = f"{_PREFIX}{int(time.time()) % 10**6}", free_port()
    gateway: Stand
    gateway, why = stand(name, trap_port=trap_port)
    if not real:
        gateway, why = SimulatedStand(name, trap_port=trap_port), "asked for"
    try:
        gateway.up()
    except LabError as error:
        gateway, why = SimulatedStand(name, trap_port=trap_port), str(error)
        gateway.up()
    try:
        file = folder / "demo-credentials.json"
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(dict(gateway.credentials)))
        os.environ |= {
            "TMF_TRAP_HOST": gateway.server_address,
            "TMF_TRAP_PORT": str(trap_port),
            "TMF_CREDENTIALS_FILE": str(file.absolute()),
        }
        yield Element(gateway, why, file)
    finally:
        gateway.down()
