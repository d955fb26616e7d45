"""Fulfilment without Temporal, for tests: orders on a real database and simulated elements.

``FulfilmentHarness.run_order`` runs the steps of the workflow one by one, so that a test can
inspect, break or stop an order between two steps.
"""

import asyncio
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from adapters import registry
from adapters.credentials import Credentials
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Target
from tests.support.consistency import check_consistency
from tmf_apis.element_access.access_policy import UNRESTRICTED
from tmf_apis.element_access.connections import Connections
from tmf_apis.engine import Engine
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.execution.composition import Fulfilment
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.fulfilment.execution.payloads import BatchRef, Cancellation
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering.order_schema import ORDER_SCHEMAS
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

CATALOG_DEFAULTS = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
FAST_OPTIONS = {"timeout": "0.2", "retries": "0"}
FINAL_STATES = {"completed", "failed", "partial", "cancelled", "rejected"}
#: One Mbit/s in the gateway's unit, kbit/s.
MEGABIT = 1000
#: Longest time until a condition holds on a busy machine, in seconds.
WAIT_TIMEOUT = 20.0


class FulfilmentHarness:
    """An operator with simulated gateways; a context manager."""

    def __init__(self, contracts, database, folder, **settings):
        settings = {"fulfilment_patience": 1.0, "fulfilment_fallout": (), **settings}
        self.settings = Settings(mongodb_database=database.name, **settings)
        self.database = database
        self.engine = Engine(self.settings, list(contracts.values()), database)
        self.engine.prepare()
        self.use_new_tenant()
        self.credentials = folder / "credentials.json"
        self.secrets = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._executor = ThreadPoolExecutor(4)
        self.connections = None
        self.access_policy = UNRESTRICTED
        self.restart_worker()

    def use_new_tenant(self):
        """Use an empty tenant from now on."""
        self.tenant = f"t{uuid.uuid4().hex[:8]}"
        self.repositories = RepositoryFactory(self.engine.writer, "test")
        self.repository = self.repositories.for_tenant(self.tenant)
        self.gateways = {}

    def configure(self, **settings):
        """Restart the worker with other settings."""
        defaults = {"fulfilment_patience": 1.0, "fulfilment_fallout": ()}
        self.settings = replace(self.settings, **{**defaults, **settings})
        self.restart_worker()

    def restart_worker(self):
        """Replace the worker by a new one, which has only the data in the database."""
        if self.connections is not None:
            self.run_async(self.connections.close())
        self.connections = Connections(Credentials(self.credentials), policy=self.access_policy)
        self.fulfilment = Fulfilment(
            self.database,
            RepositoryFactory(self.engine.writer, "tmf-apis"),
            self.connections,
            self._executor,
            self.settings,
        )
        self.intake = self.fulfilment.activities._intake
        self.runner = self.fulfilment.activities._runner

    def __enter__(self):
        self.fulfilment.create_indexes()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.run_async(self.connections.close())
        self.stop_gateways()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._executor.shutdown()

    def stop_gateways(self):
        """Stop all gateways."""
        for gateway in self.gateways.values():
            self.run_async(gateway.__aexit__(None, None, None))
        self.gateways = {}

    def run_async(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(150)

    def add_gateway(self, name, *, ports=4, place=None):
        """Start a simulated gateway, register it in the inventory and return it."""
        gateway = SimulatedGateway(name, ports=ports)
        credential = f"{self.tenant}-{name}"
        gateway.community = credential
        self.run_async(gateway.__aenter__())
        self.gateways[name] = gateway
        self.secrets[credential] = {"community": gateway.community}
        self.credentials.write_text(json.dumps(self.secrets))
        target = Target(name, gateway.target.address, "snmp", credential, FAST_OPTIONS)

        async def register_gateway():
            async with registry.create_adapter(target, Credentials(self.credentials)) as adapter:
                return await register(self.repository, adapter, place=place)

        self.run_async(register_gateway())
        return gateway

    def create_offering(self, down=100, up=40):
        """Create a broadband offering with rates in Mbit/s and return its id."""
        characteristics = speed_characteristics(down, up)
        specification = self.repository.create(
            "ProductSpecification",
            {
                "name": f"Access {down}",
                "productSpecCharacteristic": characteristics,
                **CATALOG_DEFAULTS,
            },
        )
        return self.repository.create(
            "ProductOffering",
            {
                "name": f"Fibre {down}",
                "productSpecification": {"id": specification["id"]},
                **CATALOG_DEFAULTS,
            },
        )["id"]

    def create_offering_of(self, name, services, resources, product, *, state="Launched"):
        """Create the specifications of a product and its offering; return the offering's id."""
        for kind, specifications in (
            ("ServiceSpecification", services),
            ("ResourceSpecification", resources),
        ):
            for specification in specifications:
                body = {"name": specification["id"], **specification, **CATALOG_DEFAULTS}
                self.repository.create(kind, body)
        self.repository.create(
            "ProductSpecification", {"name": name, **product, **CATALOG_DEFAULTS}
        )
        reference = {"id": product["id"]}
        offering = {"name": name, "productSpecification": reference, **CATALOG_DEFAULTS}
        return self.repository.create("ProductOffering", {**offering, "lifecycleStatus": state})[
            "id"
        ]

    def create_resource(self, category, name, *, on="", place="", **characteristics):
        """Add a free logical resource to the inventory, perhaps in an element or at a place."""
        values = [{"name": key, "value": value} for key, value in characteristics.items()]
        body = {"@type": "LogicalResource", "category": category, "name": name}
        if on:
            element = {"relationshipType": "isContainedIn", "resource": {"id": on}}
            body["resourceRelationship"] = [{"@type": "ResourceRelationship", **element}]
        if place:
            body["place"] = [{"@type": "RelatedPlaceRef", "role": "site", "place": {"id": place}}]
        return self.repository.create("Resource", {**body, "resourceCharacteristic": values})

    def resources_of(self, category):
        return self.repository.find("Resource", {"category": category})

    def complete_order(self, *items):
        """Place and run an order; return its id."""
        order = self.run_order(self.place_order(*items))
        assert order["state"] == "completed", order.get("productOrderErrorMessage")
        return order["id"]

    def place_order(self, *order_items, kind="ProductOrder", parties=None, **more):
        """Place an order as a client does, or as a partner with parties; return its key."""
        body = {
            "@type": kind,
            ORDER_SCHEMAS[kind].item_schema.items_attribute: list(order_items),
            **more,
        }
        client = Identity("client", self.tenant, parties and frozenset(parties))
        written = self.engine.writer.create(
            client, kind, body, self.engine.writer.request_context(client)
        )
        return OrderKey(self.tenant, written.id, kind)

    def change_resource(self, kind, id, **attributes):
        """Change attributes of a resource as a client does."""
        client = Identity("client", self.tenant)
        return self.engine.writer.change(
            client, kind, id, lambda old: {**old, **attributes},
            self.engine.writer.request_context(client),
        ).body  # fmt: skip

    def request_cancellation(self, key):
        """Request the cancellation of an order as a client does; return the id of the request."""
        client = Identity("client", self.tenant)
        schema = ORDER_SCHEMAS[key.kind]
        task = {schema.order_reference: {"@type": f"{key.kind}Ref", "id": key.order}}
        task["cancellationReason"] = "moved away"
        return self.engine.writer.create(
            client, schema.cancel_task_kind, task, self.engine.writer.request_context(client)
        ).id

    def resolve_cancellation(self, key, task):
        return self.fulfilment.cancellation_resolver.resolve(Cancellation(key, task))

    def accept(self, key):
        intake_result, _ = self.intake.accept(key)
        if intake_result.batches and not intake_result.reserved:
            for number in range(intake_result.batches):
                self.intake.reserve(BatchRef(key, number))
        return intake_result

    def advance(self, key, number=0):
        return self.run_async(self.runner.advance(BatchRef(key, number)))

    def run_order(self, key, *, timeout=WAIT_TIMEOUT):
        """Run an order until it is finished or waits for an event; return the order."""
        intake_result = self.accept(key)
        deadline = time.monotonic() + timeout
        for number in range(intake_result.batches):
            while (progress := self.advance(key, number)).incomplete:
                if not 0 < progress.retry_in < 60:
                    break
                assert time.monotonic() < deadline, self.get_order(key)
                time.sleep(min(progress.retry_in, 0.5))
        return self.get_order(key)

    def advance_until(self, key, condition, *, timeout=WAIT_TIMEOUT):
        """Advance an order until a condition holds; return the true value of the condition."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, self.get_order(key)
            progress = self.advance(key)
            time.sleep(min(progress.retry_in, 0.05))
        return value

    def advance_until_complete(self, key, *, timeout=WAIT_TIMEOUT):
        """Advance the first batch of an order until it is complete."""
        deadline = time.monotonic() + timeout
        while (progress := self.advance(key)).incomplete:
            assert time.monotonic() < deadline, key
            time.sleep(min(progress.retry_in, 0.05))

    def open_fallout_tasks(self):
        return self.repository.find("FalloutTask", {"state": "open"})

    def get_order(self, key):
        return self.repository.get(key.kind, key.order)

    def task_states(self, key):
        """Return the states of an order's tasks by task id."""
        documents = self.database[TASKS].find({"of": key.qualified_id, "what": "task"})
        return {document["task"]["id"]: document["state"] for document in documents}

    def find_port(self, gateway, name):
        return self.repository.find("Resource", {"name": f"{gateway} {name}"})[0]

    def assert_consistent(self, *, idle=True):
        """See ``check_consistency``."""
        check_consistency(self, idle=idle)


def is_missing(harness, kind, id):
    """Return whether a resource does not exist."""
    try:
        harness.repository.get(kind, id)
    except NotFound:
        return True
    return False


def order_item(  # noqa: PLR0913
    action="add", *, id="1", offering=None, port="", product="", place="", **more
):
    """Return an item of a product order."""
    value = {"@type": "Product", **({"id": product} if product else {})}
    if port:
        value["productCharacteristic"] = [
            {"@type": "StringCharacteristic", "name": "accessPort", "valueType": "string",
             "value": port}
        ]  # fmt: skip
    if place:
        site = {"@type": "PlaceRef", "id": place}
        value["place"] = [{"@type": "RelatedPlaceRefOrValue", "role": "site", "place": site}]
    value |= more.pop("value", {})
    item = {"@type": "ProductOrderItem", "id": id, "action": action}
    if offering:
        item["productOffering"] = {"@type": "ProductOfferingRef", "id": offering}
    if len(value) > 1:
        item["product"] = value
    return {**item, **more}


def speed_characteristics(down, up):
    """Return the specification's characteristics of broadband with rates in Mbit/s."""
    values = {"serviceType": "broadband", "downstreamSpeed": down, "upstreamSpeed": up}
    return [
        {
            "@type": "CharacteristicSpecification",
            "name": name,
            "valueType": "string" if name == "serviceType" else "integer",
            "characteristicValueSpecification": [
                {"@type": "CharacteristicValueSpecification", "value": value}
            ],
        }
        for name, value in values.items()
    ]


def port_state(gateway, name):
    """Return tag and rates, in kbit/s, of a port."""
    port = gateway.port(name)
    return port.tag, port.downstream_kbps, port.upstream_kbps


def clear_port(gateway, name):
    """Remove a service from a port, as if by hand at the gateway's console."""
    port = gateway.port(name)
    port.tag, port.downstream_kbps, port.upstream_kbps = "", 0, 0


def order_waiting_for_person(operator, offering):
    """Return the key of an order that waits for a fallout task, and the task."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable", "undo"))
    operator.gw.fault_injection.silent = True
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    operator.accept(key)
    (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    return key, task


@contextmanager
def silent_after_failure(operator):
    """Make the gateway "gw" silent after the first failed task, which prevents compensation."""
    provisioner = operator.runner._provisioner
    execute = provisioner.execute

    async def execute_and_silence(entry):
        try:
            await execute(entry)
        except Exception:
            operator.gw.fault_injection.silent = True
            raise

    provisioner.execute = execute_and_silence
    try:
        yield
    finally:
        provisioner.execute = execute
