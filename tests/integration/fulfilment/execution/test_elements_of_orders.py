"""Orders and their elements: what an order asks of an element, and what goes wrong there."""

from adapters.snmp import mib
from tests.support.fulfilment_harness import (
    MEGABIT,
    order_item,
    port_state,
    silent_after_failure,
)
from tmf_apis.element_access.element_leases import ElementLeases


def requests_of_an_order(operator, offering, gateway):
    """Return the number of requests that an order, a suspension and the end of a service take."""
    element = operator.gateways[gateway]
    before = element.request_count
    add = operator.place_order(order_item(offering=offering, port=f"{gateway} sub3"))
    assert operator.run_order(add)["state"] == "completed"
    product = f"{add.order}-1"
    off = order_item("modify", product=product, value={"status": "suspended"})
    for item in (off, order_item("delete", product=product)):
        assert operator.run_order(operator.place_order(item))["state"] == "completed"
    return element.request_count - before


def test_the_requests_of_an_order_do_not_grow_with_the_ports(operator, fibre_offering):
    counts = []
    for name, ports in (("small", 8), ("large", 512)):
        operator.add_gateway(name, ports=ports)
        operator.restart_worker()
        counts.append(requests_of_an_order(operator, fibre_offering, name))
    assert counts[0] == counts[1]
    operator.assert_consistent()


def test_an_element_that_starts_in_the_middle_of_an_order_is_waited_for(operator, fibre_offering):
    operator.configure(fulfilment_patience=30.0)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    change_port = operator.gw._change_port

    def change_and_start(name, change):
        change_port(name, change)
        operator.gw.fault_injection.starting = True
        operator.gw._change_port = change_port

    operator.gw._change_port = change_and_start
    (alert,) = operator.advance_until(
        key, lambda: operator.get_order(key).get("productOrderJeopardyAlert")
    )
    assert "genErr: it is starting" in alert["message"]
    operator.gw.fault_injection.starting = False
    assert operator.run_order(key)["state"] == "completed"
    assert port_state(operator.gw, "sub1")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_waiting_for_other_orders_of_an_element_is_no_outage(operator, fibre_offering):
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable",))
    operator.connections._leases = ElementLeases(operator.database, acquire_timeout=0.1)
    other_worker = ElementLeases(operator.database)
    lease = other_worker.hold("gw")
    operator.run_async(lease.__aenter__())
    attempts, hold = [], operator.connections._leases.hold
    operator.connections._leases.hold = lambda name: attempts.append(name) or hold(name)
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.accept(key)
    operator.advance_until(key, lambda: len(attempts) > 3)
    assert not operator.open_fallout_tasks()
    assert not operator.get_order(key).get("productOrderJeopardyAlert")
    operator.run_async(lease.__aexit__(None, None, None))
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_change_that_an_element_rounds_is_undone(operator):
    offering = operator.create_offering(250, 40)
    operator.gw.fault_injection.rounding[mib.SVC_DOWN_KBPS] = 75 * MEGABIT
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "failed"
    (error,) = order["productOrderErrorMessage"]
    assert "downstream is 225000000 instead of 250000000" in error["message"]
    assert "quarantined" not in error["message"]
    assert port_state(operator.gw, "sub1") == ("", 0, 0)
    assert "unknownStatus" not in operator.find_port("gw", "sub1")
    operator.assert_consistent()


def test_the_first_reason_is_shown_while_the_undo_waits(operator):
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("undo",))
    offering = operator.create_offering(250, 40)
    operator.gw.fault_injection.rounding[mib.SVC_DOWN_KBPS] = 75 * MEGABIT
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    operator.accept(key)
    with silent_after_failure(operator):
        (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    alerts = operator.get_order(key)["productOrderJeopardyAlert"]
    for text in (task["reason"], *(alert["message"] for alert in alerts)):
        assert "downstream is 225000000 instead of 250000000" in text
        assert "no answer" in text
