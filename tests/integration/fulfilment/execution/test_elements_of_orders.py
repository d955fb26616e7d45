"""Orders and their elements: what an order asks of an element, and what goes wrong there."""

import pytest

from adapters.snmp import mib
from tests.support.fulfilment_harness import (
    MEGABIT,
    clear_port,
    order_item,
    order_waiting_for_person,
    port_state,
    silent_after_failure,
)
from tmf_apis.element_access.element_leases import ElementLeases
from tmf_apis.errors import Forbidden, InvalidBody, NotFound
from tmf_apis.fulfilment.execution import fallout
from tmf_apis.fulfilment.execution.event_handler import OrderEventHandler
from tmf_apis.fulfilment.execution.workflow import workflow_id
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.inventory.ports import holder_of
from tmf_apis.reconciliation.auditor import Auditor
from tmf_apis.security.identity import Identity


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


def complete(operator, *items):
    """Run an order of items to its end; return the id of its first product."""
    key = operator.place_order(*items)
    order = operator.run_order(key)
    assert order["state"] == "completed", order.get("productOrderErrorMessage")
    return f"{key.order}-1"


def differences(operator):
    """Audit all elements; return type and message of each difference."""
    elements = managed_elements(operator.repository)
    result = operator.run_async(Auditor(operator.repository, operator.connections).run(elements))
    return [(difference.type, difference.message) for _, difference in result.differences]


def decide(operator, task, decision):
    operator.change_resource(
        "FalloutTask", task["id"], decision=decision, decisionReason="checked on site"
    )


def test_a_suspended_product_stays_off_when_it_moves_or_changes(operator, fibre_offering):
    product = complete(operator, order_item(offering=fibre_offering, port="gw sub1"))
    complete(operator, order_item("modify", product=product, value={"status": "suspended"}))
    complete(operator, order_item("modify", product=product, port="gw sub2"))
    faster = operator.create_offering(200, 80)
    complete(operator, order_item("modify", product=product, offering=faster))
    assert operator.gw.port("sub1").enabled
    assert not operator.gw.port("sub2").enabled
    assert operator.repository.get("Product", product)["status"] == "suspended"
    operator.assert_consistent()
    assert differences(operator) == []
    complete(operator, order_item("modify", product=product, value={"status": "active"}))
    assert operator.gw.port("sub2").enabled
    assert port_state(operator.gw, "sub2")[1] == 200 * MEGABIT
    operator.assert_consistent()


def test_a_port_that_is_shut_is_found_and_opened_by_any_order(operator, fibre_offering):
    operator.gw.port("sub1").enabled = False  # a spare port
    product = complete(operator, order_item(offering=fibre_offering, port="gw sub1"))
    faster = operator.create_offering(200, 80)
    for item in (
        order_item("modify", product=product, value={"status": "active"}),
        order_item("modify", product=product, offering=faster),
    ):
        assert operator.gw.port("sub1").enabled
        operator.gw.port("sub1").enabled = False
        ((type_, message),) = differences(operator)
        assert (type_, message) == ("settingDiffers", "enabled is False instead of True")
        complete(operator, item)
    assert operator.gw.port("sub1").enabled
    assert differences(operator) == []
    operator.assert_consistent()


def test_an_order_that_fails_leaves_a_spare_port_shut(operator):
    offering = operator.create_offering(250, 40)
    operator.gw.port("sub1").enabled = False
    operator.gw.fault_injection.rounding[mib.SVC_DOWN_KBPS] = 75 * MEGABIT
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    assert operator.run_order(key)["state"] == "failed"
    assert not operator.gw.port("sub1").enabled


def reserved_port(operator):
    """Return the port of the gateway that an order has reserved."""
    names = [port.name for port in operator.gw.ports.values() if port.access]
    (port,) = [
        operator.gw.port(name) for name in names if holder_of(operator.find_port("gw", name))
    ]
    return port


def test_a_port_that_is_taken_on_the_element_is_marked_and_the_next_one_is_used(
    operator, fibre_offering
):
    key = operator.place_order(order_item(offering=fibre_offering))
    operator.accept(key)
    taken = reserved_port(operator)
    taken.tag = "stranger"
    assert operator.run_order(key)["state"] == "completed"
    (used,) = [port for port in operator.gw.ports.values() if port.tag == f"{key.order}-1"]
    assert used.downstream_kbps == 100 * MEGABIT
    marked = operator.find_port("gw", taken.name)
    assert marked["unknownStatus"]
    assert "in use by service 'stranger'" in marked["note"][0]["text"]
    assert [type_ for type_, _ in differences(operator)] == ["unknownOnElement"]
    operator.assert_consistent()


def test_an_ordered_port_that_is_taken_on_the_element_is_marked(operator, fibre_offering):
    operator.gw.port("sub1").tag = "stranger"
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "in use by service 'stranger'" in order["productOrderErrorMessage"][0]["message"]
    assert operator.find_port("gw", "sub1")["unknownStatus"]
    assert operator.gw.port("sub1").tag == "stranger"
    operator.assert_consistent()


def order_at_another_element(operator, offering):
    """Return an order and its fallout task: another box answers at the address of the gateway."""
    operator.gw.serial = "SIM-OTHER"
    key = operator.place_order(order_item(offering=offering, port="gw sub1"))
    operator.accept(key)
    (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    assert "serial number is SIM-OTHER instead of" in task["reason"]
    assert operator.gw.set_count == 0
    assert operator.get_order(key)["state"] == "pending"
    return key, task


def test_another_element_at_the_address_is_not_configured(operator, fibre_offering):
    key, task = order_at_another_element(operator, fibre_offering)
    decide(operator, task, "cancel")
    assert operator.run_order(key)["state"] == "failed"
    assert operator.gw.set_count == 0
    operator.assert_consistent()


def test_an_order_continues_when_the_right_element_is_back(operator, fibre_offering):
    serial = operator.gw.serial
    key, task = order_at_another_element(operator, fibre_offering)
    operator.gw.serial = serial
    decide(operator, task, "retry")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_forced_order_configures_another_element(operator, fibre_offering):
    key, task = order_at_another_element(operator, fibre_offering)
    decide(operator, task, "force")
    assert operator.run_order(key)["state"] == "completed"
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT


def test_a_forced_change_overwrites_what_is_on_the_port(operator, fibre_offering):
    operator.configure(fulfilment_fallout=("conflict",))
    product = complete(operator, order_item(offering=fibre_offering, port="gw sub1"))
    operator.gw.port("sub1").tag, operator.gw.port("sub2").tag = "stranger", product
    faster = operator.create_offering(200, 80)
    key = operator.place_order(order_item("modify", product=product, offering=faster))
    operator.accept(key)
    (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    decide(operator, task, "force")
    assert operator.run_order(key)["state"] == "completed"
    assert port_state(operator.gw, "sub1") == (product, 200 * MEGABIT, 80 * MEGABIT)
    assert operator.gw.port("sub2").tag == ""
    operator.assert_consistent()


def test_a_forced_undo_restores_the_state_before(operator, fibre_offering):
    operator.configure(fulfilment_fallout=("undo",))
    product = complete(operator, order_item(offering=fibre_offering, port="gw sub1"))
    faster = operator.create_offering(250, 80)
    operator.gw.fault_injection.rounding[mib.SVC_DOWN_KBPS] = 75 * MEGABIT
    execute = operator.runner._provisioner.execute

    async def execute_and_disturb(entry):
        try:
            await execute(entry)
        except Exception:
            operator.gw.fault_injection.rounding.clear()
            operator.gw.port("sub1").downstream_kbps = 7 * MEGABIT
            raise

    operator.runner._provisioner.execute = execute_and_disturb
    key = operator.place_order(order_item("modify", product=product, offering=faster))
    operator.accept(key)
    (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    operator.runner._provisioner.execute = execute
    assert "downstream is 225000000 instead of 250000000" in task["reason"]
    decide(operator, task, "force")
    assert operator.run_order(key)["state"] == "failed"
    assert port_state(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def orders_in_an_outage(operator, offering):
    """Return the orders that wait for a gateway that does not answer, and their fallout task."""
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable",))
    operator.gw.fault_injection.silent = True
    keys = [
        operator.place_order(order_item(offering=offering, port=f"gw sub{number}"))
        for number in (1, 2, 3)
    ]
    for key in keys:
        operator.accept(key)
        operator.advance_until(key, lambda key=key: operator.get_order(key)["state"] == "pending")
    (task,) = operator.open_fallout_tasks()
    assert [each["id"] for each in task["affectedOrder"]] == [key.order for key in keys]
    return keys, task


def test_an_outage_opens_one_task_that_resumes_all_orders(operator, fibre_offering):
    keys, task = orders_in_an_outage(operator, fibre_offering)
    operator.gw.fault_injection.silent = False
    decide(operator, task, "retry")
    signals = []

    class Client:
        def signal(self, id, *_):
            signals.append(id)
            return True

    handler = OrderEventHandler(operator.repositories, operator.fulfilment.journal, Client())
    body = operator.repository.get("FalloutTask", task["id"])
    handler.handle_decision({"what": "StateChange", "tenant": operator.tenant, "body": body})
    assert signals == [workflow_id(key) for key in keys]
    operator.configure(fulfilment_patience=30.0)
    for key in keys:
        assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_outage_of_many_orders_opens_another_task_when_one_is_full(
    operator, fibre_offering, monkeypatch
):
    monkeypatch.setattr(fallout, "MAX_AFFECTED_ORDERS", 2)
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable",))
    operator.gw.fault_injection.silent = True
    keys = [
        operator.place_order(order_item(offering=fibre_offering, port=f"gw sub{number}"))
        for number in (1, 2, 3)
    ]
    for key in keys:
        operator.accept(key)
        operator.advance_until(key, lambda key=key: operator.get_order(key)["state"] == "pending")
    tasks = operator.open_fallout_tasks()
    affected = [[each["id"] for each in task["affectedOrder"]] for task in tasks]
    assert sorted(affected, key=len) == [[keys[2].order], [keys[0].order, keys[1].order]]
    operator.gw.fault_injection.silent = False
    for task in tasks:
        decide(operator, task, "retry")
    operator.configure(fulfilment_patience=30.0)
    for key in keys:
        assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_cancelled_order_leaves_the_task_of_an_outage_to_the_others(operator, fibre_offering):
    keys, task = orders_in_an_outage(operator, fibre_offering)
    for key in keys:
        state = operator.repository.get("FalloutTask", task["id"])["state"]
        assert state == "open"
        request = operator.request_cancellation(key)
        operator.advance_until_complete(key)
        operator.resolve_cancellation(key, request)
    assert operator.repository.get("FalloutTask", task["id"])["state"] == "cancelled"
    operator.assert_consistent()


def test_a_second_outage_opens_a_task_of_its_own(operator, fibre_offering):
    keys, first = orders_in_an_outage(operator, fibre_offering)
    decide(operator, first, "retry")
    for key in keys:
        operator.advance_until(key, operator.open_fallout_tasks)
        operator.advance_until(key, lambda key=key: operator.get_order(key)["state"] == "pending")
    (second,) = operator.open_fallout_tasks()
    assert second["id"] != first["id"]


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_a_product_is_deployed_again_by_the_status_that_it_has(operator, fibre_offering, status):
    product = complete(operator, order_item(offering=fibre_offering, port="gw sub1"))
    item = order_item("modify", product=product, value={"status": status})
    complete(operator, item)
    clear_port(operator.gw, "sub1")
    operator.gw.port("sub1").enabled = status == "suspended"
    complete(operator, item)
    assert port_state(operator.gw, "sub1") == (product, 100 * MEGABIT, 40 * MEGABIT)
    assert operator.gw.port("sub1").enabled == (status == "active")
    assert differences(operator) == []
    operator.assert_consistent()


def test_only_staff_with_the_scope_for_elements_may_force_a_change(operator, fibre_offering):
    _, task = order_waiting_for_person(operator, fibre_offering)
    writer = operator.engine.writer
    for identity in (
        Identity("staff", operator.tenant, scopes=frozenset({"network:write"})),
        Identity("partner", operator.tenant, frozenset({"partner"})),
        Identity("foreigner", "another-tenant"),
    ):
        with pytest.raises((Forbidden, NotFound)):
            writer.change(
                identity,
                "FalloutTask",
                task["id"],
                lambda old: {**old, "decision": "force", "decisionReason": "because"},
                writer.request_context(identity),
            )
    with pytest.raises(InvalidBody, match="decisionReason"):
        operator.change_resource("FalloutTask", task["id"], decision="force")
