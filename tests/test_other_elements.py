"""What is no broadband: a register and a switch are discovered and ordered on, by data alone."""

import json

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.lab import hlr, switch
from adapters.lab.hlr import HlrLab
from adapters.lab.switch import SwitchLab
from adapters.values import Intent
from tests.catalogue import characteristic, product_specification, resource, service
from tests.executing import WRITTEN, Execution, item
from tmf_apis.fulfilment.characteristics import of_resource
from tmf_apis.fulfilment.elements import gateways, target_of
from tmf_apis.fulfilment.reservation.ports import service_of
from tmf_apis.network.targets import Place
from tmf_apis.reconciliation.audit import Audit
from tmf_apis.reconciliation.discovery import Candidate, Discovery
from tmf_apis.settings import Settings
from tmf_apis.store.connection import client as client_of

IMSI, NUMBER = "901700000000011", "491700000100"
needs_hlr = pytest.mark.skipif(hlr.missing() is not None, reason=str(hlr.missing()))
needs_switch = pytest.mark.skipif(switch.missing() is not None, reason=str(switch.missing()))


class Operator(Execution):
    """An operator whose elements are real and come into the inventory by discovery."""

    def discover(self, lab, **options):
        """Look at an element's address and return its resource."""
        target = lab.target
        self.secrets.update(getattr(lab, "credentials", {}))
        self.credentials.write_text(json.dumps(self.secrets))
        credentials = (target.credentials,) if target.credentials else ()
        options = {**target.options, **options}
        place = Candidate(Place(target.address, named=True), target.adapter, credentials, options)
        found = self.do(Discovery(self.desk, Credentials(self.credentials)).run([place]))
        (outcome,) = found.outcomes
        assert outcome.outcome == "created", outcome
        return outcome.element

    def sell(self, name, services, resources, product):
        """Put a product into the catalogues and return the id of its offering."""
        for one in services:
            self.desk.create("ServiceSpecification", {"name": one["id"], **one, **WRITTEN})
        for one in resources:
            self.desk.create("ResourceSpecification", {"name": one["id"], **one, **WRITTEN})
        self.desk.create("ProductSpecification", {"name": name, **product, **WRITTEN})
        reference = {"id": product["id"]}
        offering = {"name": name, "productSpecification": reference, **WRITTEN}
        return self.desk.create("ProductOffering", {**offering, "lifecycleStatus": "Launched"})[
            "id"
        ]

    def stock(self, category, name, **characteristics):
        """Put something that can be taken into the inventory."""
        values = [{"name": key, "value": value} for key, value in characteristics.items()]
        body = {"@type": "LogicalResource", "category": category, "name": name}
        self.desk.create("Resource", {**body, "resourceCharacteristic": values})

    def of(self, category):
        return self.desk.find("Resource", {"category": category})

    def completed(self, *items):
        """Place an order and return its id when it is done."""
        order = self.run(self.post(*items))
        assert order["state"] == "completed", order.get("productOrderErrorMessage")
        return order["id"]

    def ask(self, question):
        """Ask the only element something through its adapter."""
        (element,) = gateways(self.desk)

        async def go():
            secrets = Credentials(self.credentials)
            async with registry.connect(target_of(element), secrets) as adapter:
                return await question(adapter)

        return self.do(go())

    def differences(self):
        """Return what an audit of everything finds, and how many services it has compared."""
        result = self.do(Audit(self.desk, self.connections).run(gateways(self.desk)))
        assert not result.unreachable
        return [one.message for _, one in result.differences], result.checked


@pytest.fixture(scope="module")
def operator(tmp_path_factory, mongodb_uri, contracts):
    with client_of(Settings(mongodb_database="others"), mongodb_uri) as client:
        client.drop_database("others")
        with Operator(contracts, client["others"], tmp_path_factory.mktemp("x")) as it:
            yield it
        client.drop_database("others")


@pytest.fixture
def it(operator):
    operator.fresh()
    operator.policy(fulfilment_patience=10.0)
    return operator


def mobile(it):
    """An offering whose subscriber takes a SIM card, brought to a register, and a number."""
    barred = characteristic("barred", source=("sim-only", "barred"), type="boolean")
    card = service(
        "subscriber",
        characteristic("msisdn", source=("number", "msisdn")),
        characteristic("circuitSwitched", values=[True], type="boolean"),
        characteristic("packetSwitched", values=[True], type="boolean"),
        takes=["card", "number"],
    )
    return it.sell(
        "SIM only",
        [service("mobile", barred, parts=["subscriber"]), card],
        [
            resource("card", "simCard", on="register"),
            resource("number", "msisdn"),
            resource("register", "hlr"),
        ],
        product_specification("sim-only", services=["mobile"], barred=[False, True]),
    )


@needs_hlr
def test_a_mobile_line_is_ordered_barred_freed_and_ended_on_a_real_register(it):
    with HlrLab(imsis=(IMSI,)) as lab:
        element = it.discover(lab)
        assert element["category"] == "hlr"
        it.stock("simCard", "8949001", imsi=IMSI)
        it.stock("pool", "numbers", poolOf="msisdn", range="491700000100-491700000101")
        settings = {"circuitSwitched": True, "packetSwitched": True}

        def attaches(**more):
            intent = Intent("", IMSI, {**settings, **more})
            return it.ask(lambda adapter: adapter.measure(intent))

        product = f"{it.completed(item(offering=mobile(it)))}-1"
        assert attaches().good
        (seen,) = it.ask(lambda adapter: adapter.services())
        (number,) = it.of("msisdn")
        assert (seen.port, seen.settings["msisdn"]) == (IMSI, number["value"])
        assert {service_of(one) for one in (*it.of("simCard"), number)} == {product}
        assert it.differences() == ([], 1)

        it.completed(item("modify", product=product, value={"status": "suspended"}))
        assert attaches().observed["packetSwitched"] == "notAllowed"
        assert it.differences() == ([], 1)
        it.completed(item("modify", product=product, value={"status": "active"}))
        assert attaches().good

        it.completed(item("delete", product=product))
        assert set(attaches().observed.values()) == {"unknownSubscriber"}
        assert {service_of(one) for one in (*it.of("simCard"), *it.of("msisdn"))} == {""}
        it.agrees()


def ethernet(it):
    """An offering of a line whose two ends are in the VLAN that the order names."""
    ends = {"id": "end", "relationshipType": "consistsOf", "minimumQuantity": 2,
            "defaultQuantity": 2, "maximumQuantity": 8, "quantityFrom": "ends"}  # fmt: skip
    return it.sell(
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
                takes=["port"],
            ),
        ],
        [resource("port", "switchPort", on="switch"), resource("switch", "switch")],
        product_specification("e-line", services=["ethernet"], ends=[2, 3], vlan=[100, 200]),
    )  # fmt: skip


@needs_switch
def test_an_ethernet_line_is_ordered_moved_and_ended_on_a_real_switch(it):
    with SwitchLab(ports=3) as lab:
        element = it.discover(lab)
        assert element["category"] == "switch"
        assert len(it.of("switchPort")) == 3

        def tags():
            return {
                port: tag for port in ("sub1", "sub2", "sub3")
                if (tag := lab.control("get", "port", port, "tag").strip()) != "[]"
            }  # fmt: skip

        product = f"{it.completed(item(offering=ethernet(it)))}-1"
        one, other = tags()
        assert tags() == {one: "100", other: "100"}
        assert lab.reaches(one, other)
        on = {of_resource(port)["portName"]: service_of(port) for port in it.of("switchPort")}
        assert {on[one], on[other]} == {product, f"{product}.2"}
        assert it.differences() == ([], 2)

        vlan = {"@type": "IntegerCharacteristic", "name": "vlan", "value": 200}
        it.completed(item("modify", product=product, value={"productCharacteristic": [vlan]}))
        assert set(tags().values()) == {"200"}
        it.completed(item("modify", product=product, value={"status": "suspended"}))
        assert not lab.reaches(one, other)
        it.completed(item("delete", product=product))
        assert tags() == {}
        assert it.differences() == ([], 0)
        it.agrees()
