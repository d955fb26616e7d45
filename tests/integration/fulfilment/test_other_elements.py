"""Orders on a subscriber register and a switch, which the product uses by catalogue data alone."""

import json

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import hlr, switch
from adapters.lab.hlr import HlrLab
from adapters.lab.switch import SwitchLab
from adapters.values import Intent
from tests.support.catalog import characteristic, product_specification, resource, service
from tests.support.fulfilment_harness import FulfilmentHarness, order_item
from tmf_apis.inventory.characteristics import resource_characteristics, values_by_name
from tmf_apis.inventory.elements import managed_elements, target_of
from tmf_apis.inventory.ports import service_of
from tmf_apis.network_operations.targets import DiscoveryTarget
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.discovery import Candidate, Discovery
from tmf_apis.reconciliation.remedies import RemedyExecutor
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

IMSI, OTHER_IMSI, NUMBER = "901700000000011", "901700000000012", "491700000100"
needs_hlr = pytest.mark.skipif(
    hlr.hlr_unavailable_reason() is not None, reason=str(hlr.hlr_unavailable_reason())
)
needs_switch = pytest.mark.skipif(
    switch.switch_unavailable_reason() is not None, reason=str(switch.switch_unavailable_reason())
)


class Operator(FulfilmentHarness):
    """An operator with real elements that discovery adds to the inventory."""

    def discover(self, lab, **options):
        """Discover an element by its address; return its resource."""
        target = lab.target
        self.secrets.update(getattr(lab, "credentials", {}))
        self.credentials.write_text(json.dumps(self.secrets))
        credentials = (target.credentials,) if target.credentials else ()
        options = {**target.options, **options}
        candidate = Candidate(
            DiscoveryTarget(target.address, is_explicit=True), target.adapter, credentials, options
        )
        discovery = Discovery(self.repository, Credentials(self.credentials))
        (outcome,) = self.run_async(discovery.run([candidate])).outcomes
        assert outcome.status == "created", outcome
        return outcome.element

    def ask_element(self, question):
        """Call a function with the adapter of the only element; return its result."""
        (element,) = managed_elements(self.repository)

        async def ask():
            secrets = Credentials(self.credentials)
            async with registry.create_adapter(target_of(element, ""), secrets) as adapter:
                return await question(adapter)

        return self.run_async(ask())

    def audit(self):
        """Audit all elements; return the differences and the number of compared services."""
        result = self.run_async(
            Auditor(self.repository, self.connections).run(managed_elements(self.repository))
        )
        assert not result.unreachable
        return [difference.message for _, difference in result.differences], result.services_checked


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


def create_mobile_offering(operator):
    """Create an offering with a SIM card, which is provisioned on a register, and a number."""
    barred = characteristic("barred", source=("sim-only", "barred"), type="boolean")
    card = service(
        "subscriber",
        characteristic("msisdn", source=("number", "msisdn")),
        characteristic("circuitSwitched", values=[True], type="boolean"),
        characteristic("packetSwitched", values=[True], type="boolean"),
        resources=["card", "number"],
    )
    return operator.create_offering_of(
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
def test_a_mobile_line_is_provided_suspended_resumed_and_ended_on_a_real_register(operator):
    with HlrLab(imsis=(IMSI,)) as lab:
        element = operator.discover(lab)
        assert element["category"] == "hlr"
        operator.create_resource("simCard", "8949001", imsi=IMSI)
        operator.create_resource(
            "pool", "numbers", poolOf="msisdn", range="491700000100-491700000101"
        )
        settings = {"circuitSwitched": True, "packetSwitched": True}

        def attach(**more):
            intent = Intent("", IMSI, {**settings, **more})
            return operator.ask_element(lambda adapter: adapter.measure(intent))

        product = (
            f"{operator.complete_order(order_item(offering=create_mobile_offering(operator)))}-1"
        )
        assert attach().good
        (service,) = operator.ask_element(lambda adapter: adapter.services())
        (number,) = operator.resources_of("msisdn")
        assert (service.port, service.settings["msisdn"]) == (IMSI, number["value"])
        (card,) = operator.resources_of("simCard")
        assert {service_of(card), service_of(number)} == {product}
        assert operator.audit() == ([], 1)

        operator.complete_order(
            order_item("modify", product=product, value={"status": "suspended"})
        )
        assert attach().observed["packetSwitched"] == "notAllowed"
        assert operator.audit() == ([], 1)
        operator.complete_order(order_item("modify", product=product, value={"status": "active"}))
        assert attach().good

        operator.complete_order(order_item("delete", product=product))
        assert set(attach().observed.values()) == {"unknownSubscriber"}
        resources = [*operator.resources_of("simCard"), *operator.resources_of("msisdn")]
        assert {service_of(resource) for resource in resources} == {""}
        operator.assert_consistent()


def apply_remedy(operator, remedy):
    """Apply a remedy to the only difference of the only element; return its outcome."""
    (element,) = managed_elements(operator.repository)
    auditor = Auditor(operator.repository, operator.connections)
    ((_, difference),) = operator.run_async(auditor.run([element])).differences
    assert remedy in difference.remedies
    executor = RemedyExecutor(operator.repository, operator.connections, "a-1")
    outcome = operator.run_async(executor.apply(element, difference, remedy))
    assert outcome.status == "done", outcome
    return outcome.message


@needs_hlr
def test_barred_and_unknown_subscribers_of_a_real_register_are_found_and_resolved(operator):
    other = "901700000000012"
    with HlrLab(imsis=(IMSI, other)) as lab:
        operator.discover(lab)
        operator.create_resource("simCard", "8949001", imsi=IMSI)
        operator.create_resource(
            "pool", "numbers", poolOf="msisdn", range="491700000100-491700000101"
        )
        offering = create_mobile_offering(operator)
        product = f"{operator.complete_order(order_item(offering=offering))}-1"

        def provide(imsi, *, present=True, **settings):
            async def change(adapter):
                return await adapter.apply(
                    await adapter.plan(Intent("", imsi, settings, present=present))
                )

            operator.ask_element(change)

        provide(IMSI, enabled=False)
        assert operator.audit() == (["enabled is False instead of True"], 1)
        operator.complete_order(order_item("modify", product=product, value={"status": "active"}))
        assert operator.audit() == ([], 1)
        provide(IMSI, enabled=False)
        apply_remedy(operator, "correctNetwork")
        assert operator.audit() == ([], 1)

        provide(other)
        apply_remedy(operator, "acceptIntoInventory")
        assert operator.audit() == ([], 2)
        (card,) = [
            card
            for card in operator.resources_of("simCard")
            if resource_characteristics(card)["imsi"] == other
        ]
        assert operator.repository.get("Service", service_of(card))["state"] == "active"
        provide(other, present=False)
        apply_remedy(operator, "acceptIntoInventory")
        provide(other)
        apply_remedy(operator, "correctNetwork")
        assert operator.audit() == ([], 1)
        services = operator.ask_element(lambda adapter: adapter.services())
        assert [each.port for each in services] == [IMSI]


def ordered(**values):
    return {
        "productCharacteristic": [
            {"@type": "StringCharacteristic", "name": name, "value": value}
            for name, value in values.items()
        ]
    }


@needs_hlr
@pytest.mark.parametrize("is_suspended", [False, True], ids=["active", "suspended"])
def test_a_sim_swap_keeps_the_number_and_a_new_number_is_set_on_a_real_register(
    operator, is_suspended
):
    with HlrLab(imsis=(IMSI, OTHER_IMSI)) as lab:
        operator.discover(lab)
        for name, imsi in (("8949001", IMSI), ("8949002", OTHER_IMSI)):
            operator.create_resource("simCard", name, imsi=imsi)
        operator.create_resource(
            "pool", "numbers", poolOf="msisdn", range="491700000100-491700000103"
        )
        offering = create_mobile_offering(operator)
        number, other_number = "491700000102", "491700000103"
        first = ordered(simCard="8949001", msisdn=number)
        product = f"{operator.complete_order(order_item(offering=offering, value=first))}-1"
        if is_suspended:
            operator.complete_order(
                order_item("modify", product=product, value={"status": "suspended"})
            )

        def assert_has(imsi, number):
            (service,) = operator.ask_element(lambda adapter: adapter.services())
            assert (service.port, service.settings["msisdn"]) == (imsi, number)
            values = values_by_name(
                operator.repository.get("Product", product)["productCharacteristic"]
            )
            (card,) = (each for each in operator.resources_of("simCard") if service_of(each))
            assert (values["msisdn"], values["simCard"]) == (number, card["name"])
            rfs = operator.repository.get("Service", product)
            assert values_by_name(rfs["serviceCharacteristic"])["msisdn"] == number
            assert operator.audit() == ([], 1)
            operator.assert_consistent()

        assert_has(IMSI, number)
        for change, imsi, expected in (
            ({"simCard": "8949002"}, OTHER_IMSI, number),
            ({"simCard": "8949001", "msisdn": number}, IMSI, number),
            ({"msisdn": other_number}, IMSI, other_number),
            ({"simCard": "8949002", "msisdn": number}, OTHER_IMSI, number),
        ):
            operator.complete_order(order_item("modify", product=product, value=ordered(**change)))
            assert_has(imsi, expected)


def create_ethernet_offering(operator):
    """Create an offering of a line whose two ends are in the VLAN that the order names."""
    ends = {"id": "end", "relationshipType": "consistsOf", "minimumQuantity": 2,
            "defaultQuantity": 2, "maximumQuantity": 8, "quantityFrom": "ends"}  # fmt: skip
    return operator.create_offering_of(
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
def test_an_ethernet_line_is_provided_changed_and_ended_on_a_real_switch(operator):
    with SwitchLab(ports=3) as lab:
        element = operator.discover(lab)
        assert element["category"] == "switch"
        assert len(operator.resources_of("switchPort")) == 3

        def tags():
            return {
                port: tag for port in ("sub1", "sub2", "sub3")
                if (tag := lab.run_vsctl("get", "port", port, "tag").strip()) != "[]"
            }  # fmt: skip

        product = (
            f"{operator.complete_order(order_item(offering=create_ethernet_offering(operator)))}-1"
        )
        first, second = tags()
        assert tags() == {first: "100", second: "100"}
        assert lab.can_reach(first, second)
        services = {
            resource_characteristics(port)["portName"]: service_of(port)
            for port in operator.resources_of("switchPort")
        }
        assert {services[first], services[second]} == {product, f"{product}.2"}
        assert operator.audit() == ([], 2)

        vlan = {"@type": "IntegerCharacteristic", "name": "vlan", "value": 200}
        operator.complete_order(
            order_item("modify", product=product, value={"productCharacteristic": [vlan]})
        )
        assert set(tags().values()) == {"200"}
        operator.complete_order(
            order_item("modify", product=product, value={"status": "suspended"})
        )
        assert not lab.can_reach(first, second)
        operator.complete_order(order_item("delete", product=product))
        assert tags() == {}
        assert operator.audit() == ([], 0)
        operator.assert_consistent()
