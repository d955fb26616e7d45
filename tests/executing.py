"""Fulfilment without Temporal, for tests: orders on a real database and simulated elements.

``Execution.run`` does what the workflow does, step by step, so that a test may look, break
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
from adapters.simulator import SimulatedGateway
from adapters.values import Target
from tmf_apis.elements.connections import Connections
from tmf_apis.engine import Engine
from tmf_apis.errors import NotFound
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import target_of
from tmf_apis.fulfilment.execution.assembling import Fulfilment
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.fulfilment.execution.steps import Cancellation, Part
from tmf_apis.fulfilment.reservation.ports import holder_of, is_on, service_of
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.ordering import items
from tmf_apis.ordering.forms import FORMS
from tmf_apis.ordering.items import SERVICE
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.desk import Desks
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings

WRITTEN = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
HASTE = {"timeout": "0.2", "retries": "0"}
FINAL = {"completed", "failed", "partial", "cancelled"}


class Execution:
    """An operator with simulated gateways; a context manager."""

    def __init__(self, contracts, database, folder, **settings):
        settings = {"fulfilment_patience": 1.0, "fulfilment_fallout": (), **settings}
        self.settings = Settings(mongodb_database=database.name, **settings)
        self.database = database
        self.engine = Engine(self.settings, list(contracts.values()), database)
        self.engine.prepare()
        self.fresh()
        self.credentials = folder / "credentials.json"
        self.secrets = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._threads = ThreadPoolExecutor(4)
        self.connections = None
        self.start()

    def fresh(self):
        """Be another tenant, without anything."""
        self.tenant = f"t{uuid.uuid4().hex[:8]}"
        self.desk = Desks(self.engine.writes, "test").staff(self.tenant)
        self.gateways = {}

    def policy(self, **settings):
        """Work by other settings from now on."""
        plain = {"fulfilment_patience": 1.0, "fulfilment_fallout": ()}
        self.settings = replace(self.settings, **{**plain, **settings})
        self.start()

    def start(self):
        """Be a new worker: nothing is known but what is in the database."""
        if self.connections is not None:
            self.do(self.connections.close())
        self.connections = Connections(Credentials(self.credentials))
        self.fulfilment = Fulfilment(
            self.database,
            Desks(self.engine.writes, "tmf-apis"),
            self.connections,
            self._threads,
            self.settings,
        )
        self.accepting = self.fulfilment.activities._accepting
        self.advancing = self.fulfilment.activities._advancing

    def __enter__(self):
        self.fulfilment.prepare()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.do(self.connections.close())
        self.leave()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._threads.shutdown()

    def leave(self):
        """Switch the gateways off."""
        for one in self.gateways.values():
            self.do(one.__aexit__(None, None, None))
        self.gateways = {}

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(150)

    def gateway(self, name, *, ports=4, place=None):
        """Put a simulated gateway into the inventory and return it."""
        made = SimulatedGateway(name, ports=ports)
        made.community = f"{self.tenant}-{name}"
        self.do(made.__aenter__())
        self.gateways[name] = made
        named = f"{self.tenant}-{name}"
        self.secrets[named] = {"community": made.community}
        self.credentials.write_text(json.dumps(self.secrets))
        target = Target(name, made.target.address, "snmp", named, HASTE)

        async def go():
            async with registry.connect(target, Credentials(self.credentials)) as adapter:
                return await register(self.desk, adapter, place=place)

        self.do(go())
        return made

    def offering(self, down=100, up=40):
        """Make an offering of so many Mbit/s and return its id."""
        characteristics = speeds(down, up)
        made = self.desk.create(
            "ProductSpecification",
            {"name": f"Access {down}", "productSpecCharacteristic": characteristics, **WRITTEN},
        )
        return self.desk.create(
            "ProductOffering",
            {"name": f"Fibre {down}", "productSpecification": {"id": made["id"]}, **WRITTEN},
        )["id"]

    def post(self, *some, kind="ProductOrder", parties=None, **more):
        """Place an order as a client does, or a partner; return its key."""
        body = {"@type": kind, FORMS[kind].items.member: list(some), **more}
        client = Identity("client", self.tenant, parties and frozenset(parties))
        written = self.engine.writes.create(
            client, kind, body, self.engine.writes.circumstances(client)
        )
        return OrderKey(self.tenant, written.id, kind)

    def change(self, kind, id, **attributes):
        """Change a resource as a client does."""
        staff = Identity("client", self.tenant)
        return self.engine.writes.change(
            staff, kind, id, lambda old: {**old, **attributes},
            self.engine.writes.circumstances(staff),
        ).body  # fmt: skip

    def cancel(self, key):
        """Ask to cancel an order as a client does; return the id of the request."""
        staff = Identity("client", self.tenant)
        form = FORMS[key.kind]
        task = {form.reference: {"@type": f"{key.kind}Ref", "id": key.order}}
        task["cancellationReason"] = "moved away"
        return self.engine.writes.create(
            staff, form.task, task, self.engine.writes.circumstances(staff)
        ).id

    def settle(self, key, task):
        return self.fulfilment.cancelling.settle(Cancellation(key, task))

    def accept(self, key):
        work, _ = self.accepting.accept(key)
        if work.batches and not work.reserved:
            for number in range(work.batches):
                self.accepting.reserve(Part(key, number))
        return work

    def advance(self, key, number=0):
        return self.do(self.advancing.advance(Part(key, number)))

    def run(self, key, *, within=20.0):
        """Work on an order until it is finished or waits for news; return the order."""
        work = self.accept(key)
        end = time.monotonic() + within
        for number in range(work.batches):
            while (report := self.advance(key, number)).open and report.wait and report.wait < 60:
                assert time.monotonic() < end, self.order(key)
                time.sleep(min(report.wait, 0.5))
        return self.order(key)

    def order(self, key):
        return self.desk.get(key.kind, key.order)

    def states(self, key):
        """Return the states of an order's tasks by id."""
        found = self.database[TASKS].find({"of": key.name, "what": "task"})
        return {one["task"]["id"]: one["state"] for one in found}

    def port(self, gateway, name):
        return self.desk.find("Resource", {"name": f"{gateway} {name}"})[0]

    def agrees(self, *, whole=True):
        """Hold products, services, resources, orders and elements to each other.

        Args:
            whole: Nothing is under way: no reservation is left.
        """
        agree(self, whole=whole)


def agree(it, *, whole=True):  # noqa: C901, PLR0912 - one look at everything
    """See ``Execution.agrees``."""
    products = {one["id"]: one for one in it.desk.find("Product", {}, limit=5000)}
    services = {one["id"]: one for one in it.desk.find("Service", {}, limit=5000)}
    resources = {one["id"]: one for one in it.desk.find("Resource", {}, limit=5000)}
    on = {service_of(one): one for one in resources.values() if service_of(one)}
    for order in it.desk.find("ProductOrder", {}, limit=5000):
        for _, item in items.of(order):
            status = (item.get("product") or {}).get("status", "").strip()
            product = products.get((item.get("product") or {}).get("id", ""))
            if status and product and order["state"] != "failed" and _is_last(order, item, product):
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
    for order in it.desk.find("ServiceOrder", {}, limit=5000):
        for _, item in SERVICE.of(order):
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
    if whole:
        held = [one["name"] for one in resources.values() if holder_of(one)]
        assert not held, f"still reserved: {held}"
    for name, gateway in it.gateways.items():
        for port in gateway.ports.values():
            if not port.access:
                continue
            found = [
                one
                for one in resources.values()
                if of_resource(one).get("portName") == port.name
                and is_on(one)
                and target_of(resources[is_on(one)]).name == name
            ]
            if whole and found and not found[0].get("unknownStatus"):
                assert port.tag == service_of(found[0]), (name, port, found[0])
                if service := services.get(port.tag):
                    settings = {
                        one["name"]: one["value"] for one in service["serviceCharacteristic"]
                    }
                    assert port.down * 1000 == settings["downstream"], (port, settings)
                    assert port.enabled == (service["state"] == "active"), (port, service)


def _is_last(order, item, product):
    references = product.get("productOrderItem") or [{}]
    last = references[-1]
    return (last.get("productOrderId"), last.get("orderItemId")) == (order["id"], item["id"])


def gone(it, kind, id):
    """Return whether a resource is not there."""
    try:
        it.desk.get(kind, id)
    except NotFound:
        return True
    return False


def item(  # noqa: PLR0913 - what an item may say
    action="add", *, id="1", offering=None, port="", product="", place="", **more
):
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


def speeds(down, up):
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
