"""Fulfilment without Temporal, for tests: orders on a real database and simulated elements.

``FulfilmentHarness.run_order`` does what the workflow does, step by step, so that a test may look, break
something or stop between two steps.
"""

import asyncio
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from adapters import registry
from adapters.credentials import Credentials
from adapters.snmp.simulator import SimulatedGateway
from adapters.values import Target
from tmf_apis.element_access.connections import Connections
from tmf_apis.engine import Engine
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.execution.composition import Fulfilment
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.fulfilment.execution.payloads import BatchRef, Cancellation
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import target_of
from tmf_apis.inventory.ports import element_id_of, holder_of, service_of
from tmf_apis.ordering.items import PRODUCT_ORDER_ITEMS, SERVICE_ORDER_ITEMS
from tmf_apis.ordering.order_schema import ORDER_SCHEMAS
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

CATALOG_DEFAULTS = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
FAST_OPTIONS = {"timeout": "0.2", "retries": "0"}
FINAL_STATES = {"completed", "failed", "partial", "cancelled"}


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
        self.restart_worker()

    def use_new_tenant(self):
        """Be another tenant, without anything."""
        self.tenant = f"t{uuid.uuid4().hex[:8]}"
        self.repository = RepositoryFactory(self.engine.writer, "test").for_tenant(self.tenant)
        self.gateways = {}

    def configure(self, **settings):
        """Work by other settings from now on."""
        plain = {"fulfilment_patience": 1.0, "fulfilment_fallout": ()}
        self.settings = replace(self.settings, **{**plain, **settings})
        self.restart_worker()

    def restart_worker(self):
        """Be a new worker: nothing is known but what is in the database."""
        if self.connections is not None:
            self.run_async(self.connections.close())
        self.connections = Connections(Credentials(self.credentials))
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
        """Switch the gateways off."""
        for one in self.gateways.values():
            self.run_async(one.__aexit__(None, None, None))
        self.gateways = {}

    def run_async(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(150)

    def add_gateway(self, name, *, ports=4, place=None):
        """Put a simulated gateway into the inventory and return it."""
        made = SimulatedGateway(name, ports=ports)
        made.community = f"{self.tenant}-{name}"
        self.run_async(made.__aenter__())
        self.gateways[name] = made
        named = f"{self.tenant}-{name}"
        self.secrets[named] = {"community": made.community}
        self.credentials.write_text(json.dumps(self.secrets))
        target = Target(name, made.target.address, "snmp", named, FAST_OPTIONS)

        async def go():
            async with registry.create_adapter(target, Credentials(self.credentials)) as adapter:
                return await register(self.repository, adapter, place=place)

        self.run_async(go())
        return made

    def create_offering(self, down=100, up=40):
        """Make an offering of so many Mbit/s and return its id."""
        characteristics = speed_characteristics(down, up)
        made = self.repository.create(
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
                "productSpecification": {"id": made["id"]},
                **CATALOG_DEFAULTS,
            },
        )["id"]

    def place_order(self, *order_items, kind="ProductOrder", parties=None, **more):
        """Place an order as a client does, or a partner; return its key."""
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
        """Change a resource as a client does."""
        staff = Identity("client", self.tenant)
        return self.engine.writer.change(
            staff, kind, id, lambda old: {**old, **attributes},
            self.engine.writer.request_context(staff),
        ).body  # fmt: skip

    def request_cancellation(self, key):
        """Ask to cancel an order as a client does; return the id of the request."""
        staff = Identity("client", self.tenant)
        form = ORDER_SCHEMAS[key.kind]
        task = {form.order_reference: {"@type": f"{key.kind}Ref", "id": key.order}}
        task["cancellationReason"] = "moved away"
        return self.engine.writer.create(
            staff, form.cancel_task_kind, task, self.engine.writer.request_context(staff)
        ).id

    def resolve_cancellation(self, key, task):
        return self.fulfilment.cancellation_resolver.resolve(Cancellation(key, task))

    def accept(self, key):
        work, _ = self.intake.accept(key)
        if work.batches and not work.reserved:
            for number in range(work.batches):
                self.intake.reserve(BatchRef(key, number))
        return work

    def advance(self, key, number=0):
        return self.run_async(self.runner.advance(BatchRef(key, number)))

    def run_order(self, key, *, timeout=20.0):
        """Work on an order until it is finished or waits for news; return the order."""
        work = self.accept(key)
        end = time.monotonic() + timeout
        for number in range(work.batches):
            while (
                (report := self.advance(key, number)).incomplete
                and report.retry_in
                and report.retry_in < 60
            ):
                assert time.monotonic() < end, self.get_order(key)
                time.sleep(min(report.retry_in, 0.5))
        return self.get_order(key)

    def get_order(self, key):
        return self.repository.get(key.kind, key.order)

    def task_states(self, key):
        """Return the states of an order's tasks by id."""
        found = self.database[TASKS].find({"of": key.name, "what": "task"})
        return {one["task"]["id"]: one["state"] for one in found}

    def find_port(self, gateway, name):
        return self.repository.find("Resource", {"name": f"{gateway} {name}"})[0]

    def assert_consistent(self, *, idle=True):
        """Hold products, services, resources, orders and elements to each other.

        Args:
            idle: Nothing is under way: no reservation is left.
        """
        check_consistency(self, idle=idle)


def check_consistency(harness, *, idle=True):  # noqa: C901, PLR0912 - one look at everything
    """See ``FulfilmentHarness.assert_consistent``."""
    products = {one["id"]: one for one in harness.repository.find("Product", {}, limit=5000)}
    services = {one["id"]: one for one in harness.repository.find("Service", {}, limit=5000)}
    resources = {one["id"]: one for one in harness.repository.find("Resource", {}, limit=5000)}
    on = {service_of(one): one for one in resources.values() if service_of(one)}
    for order in harness.repository.find("ProductOrder", {}, limit=5000):
        for _, item in PRODUCT_ORDER_ITEMS.items_with_pointers(order):
            status = (item.get("product") or {}).get("status", "").strip()
            product = products.get((item.get("product") or {}).get("id", ""))
            if (
                status
                and product
                and order["state"] != "failed"
                and _is_last_order(order, item, product)
            ):
                assert product["status"] == status, (order["id"], item, product)
    for id, product in products.items():
        realizing = [one["id"] for one in product.get("realizingService", ())]
        states = {services[one]["state"] for one in realizing if one in services}
        expected = {
            "active": {"active"}, "suspended": {"inactive"}, "pendingActive": {"reserved"},
            "pendingTerminate": {"active", "inactive"},
        }.get(product["status"], {"terminated"})  # fmt: skip
        assert states <= expected, (id, product["status"], states)
        if product["status"] in {"active", "suspended"}:
            for one in product.get("realizingResource", ()):
                assert service_of(resources[one["id"]]) in realizing, (id, one)
    for order in harness.repository.find("ServiceOrder", {}, limit=5000):
        for _, item in SERVICE_ORDER_ITEMS.items_with_pointers(order):
            service = services.get((item.get("service") or {}).get("id", ""))
            if service is None or order["state"] == "failed":
                continue
            last = service["serviceOrderItem"][-1]
            if (last["serviceOrderId"], last["itemId"]) == (order["id"], item["id"]):
                assert service["state"] == item["service"]["state"], (order, service)
    for id, service in services.items():
        if "serviceOrderItem" in service:
            assert not service.get("relatedEntity"), service
            below = {services[one["id"]]["state"] for one in service.get("supportingService", ())}
            assert below <= {service["state"]}, (id, service["state"], below)
            for one in service.get("supportingResource", ()):
                if service["state"] != "terminated":
                    rests = {id, *(part["id"] for part in service.get("supportingService", ()))}
                    assert service_of(resources[one["id"]]) in rests, (id, one)
    for id, service in services.items():
        if service.get("category") == "RFS" and service["state"] in {"active", "inactive"}:
            assert id in on, f"service {id} is on nothing"
    for id, resource in on.items():
        assert services[id]["state"] in {"active", "inactive"}, (id, resource["name"])
    if idle:
        held = [one["name"] for one in resources.values() if holder_of(one)]
        assert not held, f"still reserved: {held}"
    for name, gateway in harness.gateways.items():
        for port in gateway.ports.values():
            if not port.access:
                continue
            found = [
                one
                for one in resources.values()
                if resource_characteristics(one).get("portName") == port.name
                and element_id_of(one)
                and target_of(resources[element_id_of(one)]).name == name
            ]
            if idle and found and not found[0].get("unknownStatus"):
                assert port.tag == service_of(found[0]), (name, port, found[0])
                if service := services.get(port.tag):
                    settings = {
                        one["name"]: one["value"] for one in service["serviceCharacteristic"]
                    }
                    assert port.downstream_kbps * 1000 == settings["downstream"], (port, settings)
                    assert port.enabled == (service["state"] == "active"), (port, service)


def _is_last_order(order, item, product):
    references = product.get("productOrderItem") or [{}]
    last = references[-1]
    return (last.get("productOrderId"), last.get("orderItemId")) == (order["id"], item["id"])


def is_missing(harness, kind, id):
    """Return whether a resource is not there."""
    try:
        harness.repository.get(kind, id)
    except NotFound:
        return True
    return False


def order_item(action="add", *, id="1", offering=None, port="", product="", place="", **more):
    """Return an item of an order."""
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
    made = {"@type": "ProductOrderItem", "id": id, "action": action}
    if offering:
        made["productOffering"] = {"@type": "ProductOfferingRef", "id": offering}
    if len(value) > 1:
        made["product"] = value
    return {**made, **more}


def speed_characteristics(down, up):
    """Return the characteristics of broadband of so many Mbit/s."""
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
