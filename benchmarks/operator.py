"""Operator of the fulfilment benchmark: a running server with catalogue and elements."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from adapters import registry
from adapters.credentials import Credentials
from adapters.values import Target
from benchmarks import instant
from benchmarks.requests import database_uri, memory, processor_time, run_process, wait_until_ready
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.policy import Repository
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase, connect
from tmf_apis.store.embedded_temporal import free_port

ORDERS_PATH = "/tmf-api/productOrderingManagement/v5/productOrder"
CATALOGUE_PATH = "/tmf-api/productCatalogManagement/v5"
FINAL_STATES = ("completed", "failed", "partial", "cancelled", "rejected")
#: Text in the command lines of the child processes of the server.
CHILD_COMMANDS = {"worker": "tmf_apis work", "temporal": "temporal", "mongod": "mongod"}
OWN_PROCESSES = ("server", "worker")
_ENTITY_ATTRIBUTES = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}


@dataclass
class Operator:
    """A running server.

    Attributes:
        url: URL of the server.
        pids: Process ids by name: server, worker, temporal, mongod.
        repository: Repository that writes directly into the database.
        database: Database of the server.
        client: HTTP client.
        folder: Folder for files.
    """

    url: str
    pids: Mapping[str, int]
    repository: Repository
    database: MongoDatabase
    client: httpx.Client
    folder: Path
    _secrets: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a resource and return it."""
        response = self.client.post(f"{self.url}{path}", json=body)
        if response.status_code != 201:  # noqa: PLR2004
            raise SystemExit(f"{path}: {response.status_code} {response.text}")
        resource: dict[str, Any] = response.json()
        return resource

    def create_offering(self, down: int = 100, up: int = 40) -> str:
        """Create a broadband offering and return its id."""
        values = {"serviceType": "broadband", "downstreamSpeed": down, "upstreamSpeed": up}
        characteristics = [
            {
                "@type": "CharacteristicSpecification",
                "name": name,
                "valueType": "string" if isinstance(value, str) else "integer",
                "characteristicValueSpecification": [
                    {"@type": "CharacteristicValueSpecification", "value": value}
                ],
            }
            for name, value in values.items()
        ]
        specification = self.post(
            f"{CATALOGUE_PATH}/productSpecification",
            {"@type": "ProductSpecification", "name": f"Access {down}/{up}",
             "productSpecCharacteristic": characteristics, **_ENTITY_ATTRIBUTES},
        )  # fmt: skip
        reference = {"@type": "ProductSpecificationRef", "id": specification["id"]}
        offering = {"@type": "ProductOffering", "name": f"Fibre {down}",
                "productSpecification": reference, **_ENTITY_ATTRIBUTES}  # fmt: skip
        return str(self.post(f"{CATALOGUE_PATH}/productOffering", offering)["id"])

    def add_instant_elements(self, elements: int, ports: int) -> list[str]:
        """Put elements that answer immediately into the inventory; return the ids of the places."""
        resources = []
        for number in range(1, elements + 1):
            name, place = f"instant-{number}", f"site-{number}"
            resources += self._element_resources(name, place, ports)
        started = time.monotonic()
        for start in range(0, len(resources), 1000):
            self.repository.create_many("Resource", resources[start : start + 1000])
        self.wait_for_event_delivery()
        print(f"{len(resources):,} resources created in {time.monotonic() - started:.1f} s")
        return [f"site-{number}" for number in range(1, elements + 1)]

    @staticmethod
    def _element_resources(name: str, place: str, ports: int) -> list[dict[str, Any]]:
        def characteristic(key: str, value: object) -> dict[str, Any]:
            kinds = {str: ("String", "string"), int: ("Integer", "integer"),
                     dict: ("Object", "object")}  # fmt: skip
            kind, type_ = kinds[type(value)]
            return {"@type": f"{kind}Characteristic", "name": key, "valueType": type_,
                    "value": value}  # fmt: skip

        site = {"@type": "PlaceRef", "id": place, "name": place}
        places = [{"@type": "RelatedPlaceRef", "role": "site", "place": site}]
        characteristics = {"managementAddress": "127.0.0.1", "adapter": "instant",
                 "adapterOptions": {"ports": str(ports)}}  # fmt: skip
        gateway = {
            "@type": "PhysicalResource", "id": name, "name": name, "category": "accessGateway",
            "resourceCharacteristic": [characteristic(*item) for item in characteristics.items()],
            "place": places,
        }  # fmt: skip
        within = {
            "@type": "ResourceRelationship", "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": name, "name": name},
        }  # fmt: skip
        names = [instant.port_name(number) for number in range(1, ports + 1)]
        return [gateway] + [
            {
                "@type": "PhysicalResource", "id": f"{name}-{port}", "name": f"{name} {port}",
                "category": "accessPort", "allocationStatus": "free",
                "resourceStatus": "available", "operationalState": "enabled",
                "resourceCharacteristic": [
                    characteristic("portName", port), characteristic("speed", 1000)
                ],
                "resourceRelationship": [within], "place": places,
            }
            for port in names
        ]  # fmt: skip

    def add_element(self, target: Target, secrets: Mapping[str, Any]) -> Mapping[str, str]:
        """Register a real element in the inventory; return the ids of its ports by name."""
        self._secrets |= secrets
        file = self.folder / "credentials.json"
        file.write_text(json.dumps(self._secrets))

        async def register_element() -> Mapping[str, str]:
            async with registry.create_adapter(target, Credentials(file)) as adapter:
                return (await register(self.repository, adapter)).ports

        return asyncio.run(register_element())

    def wait_for_event_delivery(self) -> None:
        """Wait until all events are delivered."""
        undelivered = {"events.0.due": {"$exists": True}}
        end = time.monotonic() + 300
        while any(
            self.database[kind].find_one(undelivered) for kind in ("Resource", "ProductOrder")
        ):
            if time.monotonic() > end:
                raise SystemExit("events are not delivered")
            time.sleep(0.1)

    def processor_times(self) -> dict[str, float]:
        """Return the processor time of each process so far, in seconds."""
        return {name: processor_time(pid) for name, pid in self.pids.items()}

    def memory_sizes(self) -> dict[str, float]:
        """Return the resident memory of each process, in MiB."""
        return {name: memory(pid) for name, pid in self.pids.items()}

    def count_final_orders(self) -> int:
        """Return the number of orders with a final state."""
        query = {"tenant": "default", "body.state": {"$in": FINAL_STATES}}
        return self.database["ProductOrder"].count_documents(query)


def order_body(offering: str, *, place: str = "", port: str = "", items: int = 1) -> dict[str, Any]:
    """Return the body of an order with a number of equal items."""
    product: dict[str, Any] = {"@type": "Product"}
    if place:
        site = {"@type": "PlaceRef", "id": place, "name": place}
        product["place"] = [{"@type": "RelatedPlaceRefOrValue", "role": "site", "place": site}]
    if port:
        product["productCharacteristic"] = [
            {"@type": "StringCharacteristic", "name": "accessPort", "valueType": "string",
             "value": port}
        ]  # fmt: skip
    reference = {"@type": "ProductOfferingRef", "id": offering}
    return {
        "@type": "ProductOrder",
        "productOrderItem": [
            {"@type": "ProductOrderItem", "id": str(number), "action": "add",
             "productOffering": reference, **({"product": product} if place or port else {})}
            for number in range(1, items + 1)
        ],
    }  # fmt: skip


@contextlib.contextmanager
def run_operator(folder: Path) -> Iterator[Operator]:
    """Run a server with a data directory of its own while the context is entered."""
    instant.write_entry_point(folder / "packages")
    credentials = folder / "credentials.json"
    credentials.write_text("{}")
    port = free_port()
    data = folder / "data"
    path = [str(folder / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        "TMF_DATA_DIR": str(data),
        "TMF_AUTH": "off",
        "TMF_LOG_LEVEL": "WARNING",
        "TMF_CREDENTIALS_FILE": str(credentials),
        "TMF_CAPACITY_INTERVAL": "0",
        "TMF_TRAP_HOST": "0.0.0.0",  # noqa: S104 - the gateways of the lab are on separate links
        "PYTHONPATH": os.pathsep.join(path),
    }
    command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(port)]
    with run_process(command, environment) as server:
        wait_until_ready(f"http://127.0.0.1:{port}/health/ready", 120)
        pids = {"server": server.pid, **_find_child_processes(server.pid)}
        settings = Settings(data_dir=data)
        database = connect(settings, database_uri(data))
        engine = Engine(settings, load_contracts(CONTRACTS_DIR, data / "cache"), database)
        repository = RepositoryFactory(engine.writer, "benchmark").for_tenant("default")
        with httpx.Client(timeout=60) as client:
            yield Operator(f"http://127.0.0.1:{port}", pids, repository, database, client, folder)
        database.client.close()


def _find_child_processes(server: int) -> dict[str, int]:
    """Wait until all child processes of a server run and return their ids by name."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pids = {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if int(process.name) and parent == server:
                    for name, word in CHILD_COMMANDS.items():
                        if word in command and name not in pids:
                            pids[name] = int(process.name)
                            break
        if pids.keys() == CHILD_COMMANDS.keys():
            return pids
        time.sleep(0.1)
    raise SystemExit("worker, Temporal or the database does not run")
