"""Remedies for the services of orders: products, services, resources and elements agree again."""

import pytest

from tests.support.fulfilment_harness import MEGABIT, clear_port, order_item, port_state
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.reconciliation.comparison import (
    ACCEPT_INTO_INVENTORY,
    CORRECT_NETWORK,
    OPEN_TASK,
    PORT_DIFFERS,
    UNKNOWN_ON_ELEMENT,
)
from tmf_apis.reconciliation.remedies import RemedyExecutor, close_outdated_tasks


def audit(operator):
    elements = managed_elements(operator.repository)
    auditor = Auditor(operator.repository, operator.connections)
    return [each for _, each in operator.run_async(auditor.run(elements)).differences]


def apply(operator, difference, remedy, *, audit_id="a-1"):
    """Return the outcome of a remedy for a difference of the only gateway."""
    (element,) = managed_elements(operator.repository)
    executor = RemedyExecutor(operator.repository, operator.connections, audit_id)
    outcome = operator.run_async(executor.apply(element, difference, remedy))
    return outcome.status, outcome.message


def order(operator, offering, port):
    """Order a service on a port of the gateway; return the id of its product."""
    key = operator.place_order(order_item(offering=offering, port=f"gw {port}"))
    assert operator.run_order(key)["state"] == "completed"
    return f"{key.order}-1"


def values(resource, attribute):
    return {each["name"]: each["value"] for each in resource.get(attribute, ())}


def exchange(gateway, *ports):
    """Give each port the service of the next one."""
    members = [gateway.port(name) for name in ports]
    states = [(port.tag, port.downstream_kbps, port.upstream_kbps) for port in members]
    for port, state in zip(members, states[1:] + states[:1], strict=True):
        port.tag, port.downstream_kbps, port.upstream_kbps = state


@pytest.mark.parametrize("ports", [("sub1", "sub2"), ("sub1", "sub2", "sub3")])
@pytest.mark.parametrize("remedy", [CORRECT_NETWORK, ACCEPT_INTO_INVENTORY])
def test_services_that_have_changed_places_are_put_right(operator, fibre_offering, ports, remedy):
    products = [order(operator, fibre_offering, port) for port in ports]
    exchange(operator.gw, *ports)
    differences = audit(operator)
    assert [each.type for each in differences] == [PORT_DIFFERS] * len(ports)
    assert all(remedy in each.remedies for each in differences)
    assert apply(operator, differences[0], remedy)[0] == "done"
    assert audit(operator) == []
    on_element = [operator.gw.port(name).tag for name in ports]
    assert on_element == (products if remedy == CORRECT_NETWORK else products[1:] + products[:1])
    operator.assert_consistent()


def test_a_service_whose_port_a_stranger_has_is_not_offered_what_cannot_work(
    operator, fibre_offering
):
    product = order(operator, fibre_offering, "sub1")
    exchange(operator.gw, "sub1", "sub2")
    operator.gw.port("sub1").tag = "stranger"
    by_type = {each.type: each for each in audit(operator)}
    assert by_type[PORT_DIFFERS].remedies == (ACCEPT_INTO_INVENTORY, OPEN_TASK)
    assert by_type[UNKNOWN_ON_ELEMENT].remedies == (CORRECT_NETWORK, OPEN_TASK)
    assert apply(operator, by_type[UNKNOWN_ON_ELEMENT], CORRECT_NETWORK)[0] == "done"
    (difference,) = audit(operator)
    assert CORRECT_NETWORK in difference.remedies
    assert apply(operator, difference, CORRECT_NETWORK)[0] == "done"
    assert operator.gw.port("sub1").tag == product
    operator.assert_consistent()


def missing(gateway):
    clear_port(gateway, "sub1")


def stranger(gateway):
    gateway.port("sub1").tag = "stranger"


def another_rate(gateway):
    gateway.port("sub1").downstream_kbps = 60 * MEGABIT


def shut(gateway):
    gateway.port("sub1").enabled = False


def moved(gateway):
    exchange(gateway, "sub1", "sub4")


def twice(gateway):
    gateway.port("sub4").tag = gateway.port("sub1").tag


@pytest.mark.parametrize("remedy", [CORRECT_NETWORK, ACCEPT_INTO_INVENTORY])
@pytest.mark.parametrize("drift", [missing, stranger, another_rate, shut, moved, twice])
def test_every_remedy_that_is_offered_works(operator, fibre_offering, drift, remedy):
    order(operator, fibre_offering, "sub1")
    drift(operator.gw)
    while resolvable := [each for each in audit(operator) if remedy in each.remedies]:
        assert apply(operator, resolvable[0], remedy)[0] == "done", resolvable[0]
    if remedy == CORRECT_NETWORK and drift is not twice:
        assert audit(operator) == []
        operator.assert_consistent()


def test_an_accepted_rate_is_in_the_services_and_the_product(operator, fibre_offering):
    product = order(operator, fibre_offering, "sub1")
    operator.gw.port("sub1").downstream_kbps = 60 * MEGABIT
    (difference,) = audit(operator)
    assert apply(operator, difference, ACCEPT_INTO_INVENTORY)[0] == "done"
    assert audit(operator) == []
    service = operator.repository.get("Service", product)
    assert values(service, "serviceCharacteristic")["downstream"] == 60_000_000
    above = operator.repository.get("Service", f"{product}-cfs")
    assert values(above, "serviceCharacteristic")["downstreamSpeed"] == 60
    owner = operator.repository.get("Product", product)
    assert values(owner, "productCharacteristic")["downstreamSpeed"] == 60
    assert values(owner, "productCharacteristic")["upstreamSpeed"] == 40
    port = operator.find_port("gw", "sub1")
    assert values(port, "resourceCharacteristic")["downstreamSpeed"] == 60
    operator.assert_consistent()


def test_an_accepted_shut_port_suspends_the_product(operator, fibre_offering):
    product = order(operator, fibre_offering, "sub1")
    for enabled, status in ((False, "suspended"), (True, "active")):
        operator.gw.port("sub1").enabled = enabled
        (difference,) = audit(operator)
        assert apply(operator, difference, ACCEPT_INTO_INVENTORY)[0] == "done"
        assert operator.repository.get("Product", product)["status"] == status
        assert audit(operator) == []
        services = [operator.repository.get("Service", f"{product}{end}") for end in ("", "-cfs")]
        assert {each["isServiceEnabled"] for each in services} == {enabled}
    operator.assert_consistent()


@pytest.mark.parametrize("how", ["remedy", "by hand"])
def test_the_task_of_a_difference_closes_with_it(operator, fibre_offering, how):
    order(operator, fibre_offering, "sub1")
    operator.gw.port("sub1").downstream_kbps = 60 * MEGABIT
    (difference,) = audit(operator)
    first = apply(operator, difference, OPEN_TASK)
    assert apply(operator, difference, OPEN_TASK, audit_id="a-2") == first  # one for a difference
    (task,) = operator.open_fallout_tasks()
    if how == "remedy":
        assert apply(operator, difference, CORRECT_NETWORK)[0] == "done"
    else:
        operator.gw.port("sub1").downstream_kbps = 100 * MEGABIT
        (element,) = managed_elements(operator.repository)
        close_outdated_tasks(operator.repository, element, audit(operator))
    state = operator.repository.get("FalloutTask", task["id"])["state"]
    assert state == ("resolved" if how == "remedy" else "cancelled")
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT
