"""What is no broadband: a register and a switch are discovered and ordered on, by data alone."""

import json

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import hlr, switch
from adapters.lab.hlr import HlrLab
from adapters.lab.switch import SwitchLab
from adapters.values import Intent
from tests.support.catalog import characteristic, product_specification, resource, service
from tests.support.fulfilment_harness import CATALOG_DEFAULTS, FulfilmentHarness, order_item
from tmf_apis.inventory.characteristics import resource_characteristics
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.inventory.ports import service_of
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.discovery import Candidate, Discovery
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

IMSI, NUMBER = "901700000000011", "491700000100"
needs_hlr = pytest.mark.skipif(
    hlr.hlr_unavailable_reason() is not None, reason=str(hlr.hlr_unavailable_reason())
)
needs_switch = pytest.mark.skipif(
    switch.switch_unavailable_reason() is not None, reason=str(switch.switch_unavailable_reason())
)


class Operator(FulfilmentHarness):
    """An operator whose elements are real and come into the inventory by discovery."""

    def discover(self, lab, **options):
        """Look at an element's address and return its resource."""
        target = lab.target
        self.secrets.update(getattr(lab, "credentials", {}))
        self.credentials.write_text(json.dumps(self.secrets))
        credentials = (target.credentials,) if target.credentials else ()
        options = {**target.options, **options}
        place = Candidate(
            DiscoveryTarget(target.address, is_explicit=True), target.adapter, credentials, options
        )
        found = self.run_async(
            Discovery(self.repository, Credentials(self.credentials)).run([place])
        )
        (outcome,) = found.outcomes
        assert outcome.status == "created", outcome
        return outcome.element

    def sell(self, name, services, resources, product):
        """Put a product into the catalogues and return the id of its offering."""
        for one in services:
            self.repository.create(
                "ServiceSpecification", {"name": one["id"], **one, **CATALOG_DEFAULTS}
            )
        for one in resources:
            self.repository.create(
                "ResourceSpecification", {"name": one["id"], **one, **CATALOG_DEFAULTS}
            )
        self.repository.create(
            "ProductSpecification", {"name": name, **product, **CATALOG_DEFAULTS}
        )
        reference = {"id": product["id"]}
        offering = {"name": name, "productSpecification": reference, **CATALOG_DEFAULTS}
        return self.repository.create(
            "ProductOffering", {**offering, "lifecycleStatus": "Launched"}
        )["id"]

    def stock(self, category, name, **characteristics):
        """Put something that can be taken into the inventory."""
        values = [{"name": key, "value": value} for key, value in characteristics.items()]
        body = {"@type": "LogicalResource", "category": category, "name": name}
        self.repository.create("Resource", {**body, "resourceCharacteristic": values})

    def of(self, category):
        return self.repository.find("Resource", {"category": category})

    def completed(self, *items):
        """Place an order and return its id when it is done."""
        order = self.run_order(self.place_order(*items))
        assert order["state"] == "completed", order.get("productOrderErrorMessage")
        return order["id"]

    def ask(self, question):
        """Ask the only element something through its adapter."""
        (element,) = managed_elements(self.repository)

        async def go():
            secrets = Credentials(self.credentials)
            async with registry.create_adapter(target_of(element), secrets) as adapter:
                return await question(adapter)

        return self.run_async(go())

    def differences(self):
        """Return what an audit of everything finds, and how many services it has compared."""
        result = self.run_async(
            Auditor(self.repository, self.connections).run(managed_elements(self.repository))
        )
        assert not result.unreachable
        return [one.message for _, one in result.differences], result.services_checked


@pytest.fixture(scope="module")
def harness(tmp_path_factory, mongodb_uri, contracts):
    with client_of(Settings(mongodb_database="others"), mongodb_uri) as client:
        client.drop_database("others")
        with Operator(contracts, client["others"], tmp_path_factory.mktemp("x")) as harness:
            yield harness
        client.drop_database("others")


@pytest.fixture
def operator(harness):
    harness.use_new_tenant()
    harness.configure(fulfilment_patience=10.0)
    return harness


def mobile(operator):
    """An offering whose subscriber takes a SIM card, brought to a register, and a number."""
    barred = characteristic("barred", source=("sim-only", "barred"), type="boolean")
    card = service(
        "subscriber",
        characteristic("msisdn", source=("number", "msisdn")),
        characteristic("circuitSwitched", values=[True], type="boolean"),
        characteristic("packetSwitched", values=[True], type="boolean"),
        resources=["card", "number"],
    )
    return operator.sell(
        "SIM only",
        [service("mobile", barred, parts=["subscriber"]), card],
        [
            resource("card", "simCard", contained_in="register"),
            resource("number", "msisdn"),
            resource("register", "hlr"),
        ],
        product_specification("sim-only", services=["mobile"], barred=[False, True]),
    )


@needs_hlr
def test_a_mobile_line_is_ordered_barred_freed_and_ended_on_a_real_register(operator):
    with HlrLab(imsis=(IMSI,)) as lab:
        element = operator.discover(lab)
        assert element["category"] == "hlr"
        operator.stock("simCard", "8949001", imsi=IMSI)
        operator.stock("pool", "numbers", poolOf="msisdn", range="491700000100-491700000101")
        settings = {"circuitSwitched": True, "packetSwitched": True}

        def attaches(**more):
            intent = Intent("", IMSI, {**settings, **more})
            return operator.ask(lambda adapter: adapter.measure(intent))

        product = f"{operator.completed(order_item(offering=mobile(operator)))}-1"
        assert attaches().good
        (seen,) = operator.ask(lambda adapter: adapter.services())
        (number,) = operator.of("msisdn")
        assert (seen.port, seen.settings["msisdn"]) == (IMSI, number["value"])
        assert {service_of(one) for one in (*operator.of("simCard"), number)} == {product}
        assert operator.differences() == ([], 1)

        operator.completed(order_item("modify", product=product, value={"status": "suspended"}))
        assert attaches().observed["packetSwitched"] == "notAllowed"
        assert operator.differences() == ([], 1)
        operator.completed(order_item("modify", product=product, value={"status": "active"}))
        assert attaches().good

        operator.completed(order_item("delete", product=product))
        assert set(attaches().observed.values()) == {"unknownSubscriber"}
        assert {service_of(one) for one in (*operator.of("simCard"), *operator.of("msisdn"))} == {
            ""
        }
        operator.assert_consistent()


def ethernet(operator):
    """An offering of a line whose two ends are in the VLAN that the order names."""
    ends = {"id": "end", "relationshipType": "consistsOf", "minimumQuantity": 2,
            "defaultQuantity": 2, "maximumQuantity": 8, "quantityFrom": "ends"}  # fmt: skip
    return operator.sell(
        "Ethernet line",
        [
            service(
                "ethernet",
                characteristic("ends", source=("e-line", "ends"), type="integer"),
                characteristic("vlan", source=("e-line", "vlan"), type="integer"),
                parts=[ends],
            ),
            service(
                "end", characteristic("vlan", source=("ethernet", "vlan"), type="integer"),
                resources=["port"],
            ),
        ],
        [resource("port", "switchPort", contained_in="switch"), resource("switch", "switch")],
        product_specification("e-line", services=["ethernet"], ends=[2, 3], vlan=[100, 200]),
    )  # fmt: skip


@needs_switch
def test_an_ethernet_line_is_ordered_moved_and_ended_on_a_real_switch(operator):
    with SwitchLab(ports=3) as lab:
        element = operator.discover(lab)
        assert element["category"] == "switch"
        assert len(operator.of("switchPort")) == 3

        def tags():
            return {
                port: tag for port in ("sub1", "sub2", "sub3")
                if (tag := lab.run_vsctl("get", "port", port, "tag").strip()) != "[]"
            }  # fmt: skip

        product = f"{operator.completed(order_item(offering=ethernet(operator)))}-1"
        one, other = tags()
        assert tags() == {one: "100", other: "100"}
        assert lab.can_reach(one, other)
        on = {
            resource_characteristics(port)["portName"]: service_of(port)
            for port in operator.of("switchPort")
        }
        assert {on[one], on[other]} == {product, f"{product}.2"}
        assert operator.differences() == ([], 2)

        vlan = {"@type": "IntegerCharacteristic", "name": "vlan", "value": 200}
        operator.completed(
            order_item("modify", product=product, value={"productCharacteristic": [vlan]})
        )
        assert set(tags().values()) == {"200"}
        operator.completed(order_item("modify", product=product, value={"status": "suspended"}))
        assert not lab.can_reach(one, other)
        operator.completed(order_item("delete", product=product))
        assert tags() == {}
        assert operator.differences() == ([], 0)
        operator.assert_consistent()
