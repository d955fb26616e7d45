"""The gateway of the walkthrough: a real one if the machine supports it, or a simulated one."""

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
#: Prefix of the names of gateways.
_NAME_PREFIX = "gw-demo-"
#: The gateway is on this machine, so short timeouts are sufficient.
_CONNECTION_OPTIONS = {"timeout": "0.7", "retries": "1"}


class DemoElement:
    """A running gateway, as the walkthrough reads and measures it."""

    def __init__(self, gateway: DemoGateway, simulation_reason: str, credentials: Path) -> None:
        """Wrap a gateway.

        Args:
            gateway: The running gateway.
            simulation_reason: Reason for a simulated gateway; empty: the gateway is real.
            credentials: Path of its credentials file.
        """
        self.gateway, self.simulation_reason = gateway, simulation_reason
        self.target = replace(gateway.target, options=_CONNECTION_OPTIONS)
        self._credentials = Credentials(credentials)

    def load_demo_data(self, engine: "Engine", report_progress: Callable[[str], None]) -> None:
        """Load the demo operator, then register the gateway in its inventory.

        Gateways of earlier walkthroughs no longer exist, so they are decommissioned.
        """
        load_demo_data(engine, report_progress)
        report_progress("the gateway is being read")
        repository = RepositoryFactory(engine.writer, "demo").for_tenant(
            engine.settings.default_tenant
        )
        for element in managed_elements(repository):
            if str(element.get("name", "")).startswith(_NAME_PREFIX):
                repository.change("Resource", element["id"], _decommissioned_gateway)
        asyncio.run(self._register(repository))

    async def _register(self, repository: Repository) -> None:
        async with registry.create_adapter(self.target, self._credentials) as adapter:
            await register(repository, adapter, place=sites()[0].reference)

    def read(self, service_id: str) -> Observed | None:
        """Read a service from the gateway; None: it has no such service or does not answer."""

        async def read_service() -> Observed | None:
            async with registry.create_adapter(self.target, self._credentials) as adapter:
                return await adapter.read(service_id)

        try:
            return asyncio.run(read_service())
        except ElementError:
            return None

    def measure_throughput(self, port: str) -> int | None:
        """Measure the downstream throughput of a port with iperf3, in bit/s; None: no traffic.

        The traffic goes to a test head at the customer's side, like that of an operator's probe.
        """
        host, _, number = self.gateway.test_head(port).rpartition(":")
        try:
            return asyncio.run(
                effect.measure_throughput(self.target.name, (host, int(number)), _DIRECTION)
            )
        except Unreachable:
            return None


def _decommissioned_gateway(gateway: Resource) -> Resource:
    without_address = with_characteristics(gateway, {"managementAddress": None})
    return {**without_address, "administrativeState": "locked", "operationalState": "disabled"}


@contextmanager
def run_gateway(folder: Path, *, real: bool = True) -> Iterator[DemoElement]:
    """Run a gateway, and set the environment by which the server's worker reaches it.

    Args:
        folder: Folder of the credentials file.
        real: Run a real gateway if possible.
    """
    name, trap_port = f"{_NAME_PREFIX}{int(time.time()) % 10**6}", free_port()
    gateway: DemoGateway
    gateway, simulation_reason = create_demo_gateway(name, trap_port=trap_port)
    if not real:
        gateway, simulation_reason = SimulatedDemoGateway(name, trap_port=trap_port), "requested"
    try:
        gateway.up()
    except LabError as error:
        gateway, simulation_reason = SimulatedDemoGateway(name, trap_port=trap_port), str(error)
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
        yield DemoElement(gateway, simulation_reason, file)
    finally:
        gateway.down()
