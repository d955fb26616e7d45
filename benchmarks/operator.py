"""An operator to place orders with: a running server, its processes, a catalogue, elements."""

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
from benchmarks.requests import memory, processor_time, running, until_ready, uri_of
from tmf_apis.engine import CONTRACTS, Engine
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts import load
from tmf_apis.rest.desk import Desks
from tmf_apis.rest.law import Desk
from tmf_apis.settings import Settings
from tmf_apis.store.connection import Documents, connect
from tmf_apis.store.temporal import free_port

ORDERS = "/tmf-api/productOrderingManagement/v5/productOrder"
CATALOGUE = "/tmf-api/productCatalogManagement/v5"
FINAL = ("completed", "failed", "partial", "cancelled", "rejected")
#: What the children of the server have in their commands.
CHILDREN = {"worker": "tmf_apis work", "temporal": "temporal", "mongod": "mongod"}
OURS = ("server", "worker")
_WRITTEN = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}


@dataclass
class Operator:
    """A running server.

    Attributes:
        url: Where it answers.
        pids: Process ids by name: server, worker, temporal, mongod.
        desk: Writes resources beside it.
        database: Its database.
        client: Speaks to it.
        folder: For its files.
    """

    url: str
    pids: Mapping[str, int]
    desk: Desk
    database: Documents
    client: httpx.Client
    folder: Path
    _secrets: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a resource and return it."""
        answer = self.client.post(f"{self.url}{path}", json=body)
        if answer.status_code != 201:  # noqa: PLR2004
            raise SystemExit(f"{path}: {answer.status_code} {answer.text}")
        return answer.json()

    def offering(self, down: int = 100, up: int = 40) -> str:
        """Make an offering of broadband and return its id."""
        values = {"serviceType": "broadband", "downstreamSpeed": down, "upstreamSpeed": up}
        value = "CharacteristicValueSpecification"
        characteristics = [
            {
                "@type": "CharacteristicSpecification",
                "name": name,
                "valueType": "string" if isinstance(one, str) else "integer",
                "characteristicValueSpecification": [{"@type": value, "value": one}],
            }
            for name, one in values.items()
        ]
        specification = self.post(
            f"{CATALOGUE}/productSpecification",
            {"@type": "ProductSpecification", "name": f"Access {down}/{up}",
             "productSpecCharacteristic": characteristics, **_WRITTEN},
        )  # fmt: skip
        reference = {"@type": "ProductSpecificationRef", "id": specification["id"]}
        made = {"@type": "ProductOffering", "name": f"Fibre {down}",
                "productSpecification": reference, **_WRITTEN}  # fmt: skip
        return str(self.post(f"{CATALOGUE}/productOffering", made)["id"])

    def build(self, elements: int, ports: int) -> list[str]:
        """Put elements that answer at once into the inventory; return their places."""
        made = []
        for number in range(1, elements + 1):
            name, place = f"instant-{number}", f"site-{number}"
            made += self._element(name, place, ports)
        started = time.monotonic()
        for start in range(0, len(made), 1000):
            self.desk.create_many("Resource", made[start : start + 1000])
        self.settle()
        print(f"{len(made):,} resources made in {time.monotonic() - started:.1f} s")
        return [f"site-{number}" for number in range(1, elements + 1)]

    @staticmethod
    def _element(name: str, place: str, ports: int) -> list[dict[str, Any]]:
        def characteristic(key: str, value: object) -> dict[str, Any]:
            kinds = {str: ("String", "string"), int: ("Integer", "integer"),
                     dict: ("Object", "object")}  # fmt: skip
            kind, type_ = kinds[type(value)]
            return {"@type": f"{kind}Characteristic", "name": key, "valueType": type_,
                    "value": value}  # fmt: skip

        site = {"@type": "PlaceRef", "id": place, "name": place}
        places = [{"@type": "RelatedPlaceRef", "role": "site", "place": site}]
        facts = {"managementAddress": "127.0.0.1", "adapter": "instant",
                 "adapterOptions": {"ports": str(ports)}}  # fmt: skip
        gateway = {
            "@type": "PhysicalResource", "id": name, "name": name, "category": "accessGateway",
            "resourceCharacteristic": [characteristic(*one) for one in facts.items()],
            "place": places,
        }  # fmt: skip
        within = {
            "@type": "ResourceRelationship", "relationshipType": "isContainedIn",
            "resource": {"@type": "ResourceRef", "id": name, "name": name},
        }  # fmt: skip
        names = [instant.port(number) for number in range(1, ports + 1)]
        return [gateway] + [
            {
                "@type": "PhysicalResource", "id": f"{name}-{one}", "name": f"{name} {one}",
                "category": "accessPort", "allocationStatus": "free",
                "resourceStatus": "available", "operationalState": "enabled",
                "resourceCharacteristic": [
                    characteristic("portName", one), characteristic("speed", 1000)
                ],
                "resourceRelationship": [within], "place": places,
            }
            for one in names
        ]  # fmt: skip

    def add(self, target: Target, secrets: Mapping[str, Any]) -> Mapping[str, str]:
        """Put a real element into the inventory; return the ids of its ports by name."""
        self._secrets |= secrets
        file = self.folder / "credentials.json"
        file.write_text(json.dumps(self._secrets))

        async def go() -> Mapping[str, str]:
            async with registry.connect(target, Credentials(file)) as adapter:
                return (await register(self.desk, adapter)).ports

        return asyncio.run(go())

    def settle(self) -> None:
        """Wait until every event is handed on."""
        waiting = {"events.0.due": {"$exists": True}}
        end = time.monotonic() + 300
        while any(self.database[kind].find_one(waiting) for kind in ("Resource", "ProductOrder")):
            if time.monotonic() > end:
                raise SystemExit("events are not handed on")
            time.sleep(0.1)

    def times(self) -> dict[str, float]:
        """Return the processor time of each process so far, in seconds."""
        return {name: processor_time(pid) for name, pid in self.pids.items()}

    def sizes(self) -> dict[str, float]:
        """Return the resident memory of each process, in MiB."""
        return {name: memory(pid) for name, pid in self.pids.items()}

    def ended(self) -> int:
        """Return how many orders have a final state."""
        query = {"tenant": "default", "body.state": {"$in": FINAL}}
        return self.database["ProductOrder"].count_documents(query)


def order(offering: str, *, place: str = "", port: str = "", items: int = 1) -> dict[str, Any]:
    """Return an order of so many equal items."""
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
def operator(folder: Path) -> Iterator[Operator]:
    """Run a server with a data directory of its own until the block ends."""
    instant.announce(folder / "packages")
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
        "TMF_TRAP_HOST": "0.0.0.0",  # noqa: S104 - the lab's gateways are on links of their own
        "PYTHONPATH": os.pathsep.join(path),
    }
    command = [sys.executable, "-m", "tmf_apis", "serve", "--port", str(port)]
    with running(command, environment) as server:
        until_ready(f"http://127.0.0.1:{port}/health/ready", 120)
        pids = {"server": server.pid, **_children(server.pid)}
        settings = Settings(data_dir=data)
        database = connect(settings, uri_of(data))
        engine = Engine(settings, load(CONTRACTS, data / "cache"), database)
        desk = Desks(engine.writes, "benchmark").staff("default")
        with httpx.Client(timeout=60) as client:
            yield Operator(f"http://127.0.0.1:{port}", pids, desk, database, client, folder)
        database.client.close()


def _children(server: int) -> dict[str, int]:
    """Return the processes of a server by name; waits until all of them are there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = {}
        for one in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((one / "stat").read_text().rpartition(")")[2].split()[1])
                command = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if int(one.name) and parent == server:
                    for name, word in CHILDREN.items():
                        if word in command and name not in found:
                            found[name] = int(one.name)
                            break
        if found.keys() == CHILDREN.keys():
            return found
        time.sleep(0.1)
    raise SystemExit("worker, Temporal or database do not run")
