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
from adapters.lab.demo_gateway import DemoGateway, SimulatedDemoGateway, create_demo_gateway
from adapters.lab.network import LabError
from adapters.values import Observed
from tmf_apis.demo.loader import load_demo_data
from tmf_apis.demo.sites import sites
from tmf_apis.inventory.characteristics import with_characteristics
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.store.embedded_temporal import free_port

if TYPE_CHECKING:
    from tmf_apis.app import Engine

_DIRECTION = "downstream"
#: Names of the gateways of stories begin with this.
_NAME_PREFIX = "gw-demo-"
#: It is on this machine: what is not answered at once is not answered at all.
_CONNECTION_OPTIONS = {"timeout": "0.7", "retries": "1"}


class DemoElement:
    """A gateway that runs, and how the story looks at it."""

    def __init__(self, gateway: DemoGateway, simulation_reason: str, credentials: Path) -> None:
        """Take a gateway.

        Args:
            gateway: It runs.
            simulation_reason: Why it is a simulated one; empty if it is not.
            credentials: The file with its secrets.
        """
        self.gateway, self.simulation_reason = gateway, simulation_reason
        self.target = replace(gateway.target, options=_CONNECTION_OPTIONS)
        self._credentials = Credentials(credentials)

    def load_demo_data(self, engine: "Engine", report_progress: Callable[[str], None]) -> None:
        """Load the demo operator, then put the gateway into its inventory.

        Gateways of earlier stories are taken out of use: they are not there any more.
        """
        load_demo_data(engine, report_progress)
        report_progress("the gateway is being read")
        desk = RepositoryFactory(engine.writer, "demo").for_tenant(engine.settings.default_tenant)
        for old in managed_elements(desk):
            if str(old.get("name", "")).startswith(_NAME_PREFIX):
                desk.change("Resource", old["id"], _decommissioned_gateway)
        asyncio.run(self._register(desk))

    async def _register(self, repository: Repository) -> None:
        async with registry.create_adapter(self.target, self._credentials) as adapter:
            await register(repository, adapter, place=sites()[0].reference)

    def read(self, service_id: str) -> Observed | None:
        """Return what the element itself says of a service; None: nothing, or no answer."""

        async def ask() -> Observed | None:
            async with registry.create_adapter(self.target, self._credentials) as adapter:
                return await adapter.read(service_id)

        try:
            return asyncio.run(ask())
        except ElementError:
            return None

    def measure_throughput(self, port: str) -> int | None:
        """Return what goes through a port downstream, in bit/s, by iperf3; None: nothing does.

        It is sent to a test head at the customer's side, as a probe of the operator does.
        """
        host, _, number = self.gateway.test_head(port).rpartition(":")
        try:
            return asyncio.run(
                effect.measure_throughput(self.target.name, (host, int(number)), _DIRECTION)
            )
        except Unreachable:
            return None


def _decommissioned_gateway(gateway: Resource) -> Resource:
    without = with_characteristics(gateway, {"managementAddress": None})
    return {**without, "administrativeState": "locked", "operationalState": "disabled"}


@contextmanager
def run_gateway(folder: Path, *, real: bool = True) -> Iterator[DemoElement]:
    """Run a gateway; the environment tells the server's worker of it.

    Args:
        folder: For the file of secrets.
        real: Whether to try for a real one.
    """
    name, trap_port = f"{_NAME_PREFIX}{int(time.time()) % 10**6}", free_port()
    gateway: DemoGateway
    gateway, why = create_demo_gateway(name, trap_port=trap_port)
    if not real:
        gateway, why = SimulatedDemoGateway(name, trap_port=trap_port), "asked for"
    try:
        gateway.up()
    except LabError as error:
        gateway, why = SimulatedDemoGateway(name, trap_port=trap_port), str(error)
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
        yield DemoElement(gateway, why, file)
    finally:
        gateway.down()
