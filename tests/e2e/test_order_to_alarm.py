"""The whole system: from order to element and inventory, from notification to alarm and hub."""

import asyncio
import json
import time
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from adapters import condition_types, lab, registry
from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from adapters.snmp.wire import ber
from adapters.snmp.wire.message import Variable
from tests.support.fulfilment_harness import MEGABIT
from tests.support.live_server import (
    ALARMS,
    CATALOGUE,
    INVENTORY,
    OPERATIONS,
    ORDERS,
    Subscriber,
    ThreadedGateway,
    live_server,
    post_offering,
)
from tests.support.waiting import wait_until
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fulfilment.execution.journal import TASKS
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of
from tmf_apis.store.embedded_temporal import EmbeddedTemporal
from tmf_apis.temporal_payloads import DATA_CONVERTER
from tmf_apis.temporal_worker import connect

FAST_OPTIONS = {"timeout": "0.3", "retries": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("system")


@pytest.fixture(scope="module")
def database(mongodb_uri):
    name = f"order_to_alarm_{uuid.uuid4().hex[:8]}"
    settings = Settings(mongodb_database=name)
    with client_of(settings, mongodb_uri) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="module")
def credentials(folder):
    """The operator's file of secrets; tests add those of their elements."""
    file = folder / "credentials.json"
    file.write_text("{}")
    return file


@pytest.fixture(scope="module")
def server(folder, mongodb_uri, database, credentials):
    with live_server(
        folder,
        mongodb_uri,
        database.name,
        TMF_CREDENTIALS_FILE=str(credentials),
        TMF_FULFILMENT_PATIENCE="12",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def repository(folder, server, database):
    contracts = load_contracts(CONTRACTS_DIR, folder / "cache")
    engine = Engine(Settings(mongodb_database=database.name), contracts, database)
    return RepositoryFactory(engine.writer, "test").for_tenant("default")


def register_element(repository, credentials, target, secrets):
    """Add an element to the inventory as an operator does."""
    existing = json.loads(credentials.read_text())
    credentials.write_text(json.dumps({**existing, **secrets}))

    async def register_with_adapter():
        async with registry.create_adapter(target, Credentials(credentials)) as adapter:
            return await register(repository, adapter)

    return asyncio.run(register_with_adapter())


@pytest.fixture(scope="module")
def running_gateway(server, repository, credentials):
    with ThreadedGateway("gw-sim", "127.0.0.31", server.trap_port) as gateway:
        target = replace(gateway.simulator.target, options=FAST_OPTIONS)
        gateway.registered = register_element(
            repository, credentials, target, gateway.simulator.credentials
        )
        yield gateway


@pytest.fixture
def gateway(running_gateway):
    """The simulated gateway, without faults."""
    running_gateway.simulator.fault_injection = type(running_gateway.simulator.fault_injection)()
    running_gateway.simulator.set_count = 0
    yield running_gateway
    running_gateway.simulator.fault_injection = type(running_gateway.simulator.fault_injection)()


@pytest.fixture(scope="module")
def offering(server):
    """A function that creates an offering with rates in Mbit/s."""

    return partial(post_offering, server.post)


@pytest.fixture(scope="module")
def fibre(offering):
    return offering(100, 40)


@pytest.fixture(scope="module")
def subscriber(server):
    with Subscriber() as subscriber:
        for path in (ORDERS, ALARMS, INVENTORY):
            server.post(f"{path}/hub", {"@type": "Hub", "callback": subscriber.callback})
        yield subscriber


def port_resource(server, gateway, port):
    return server.get(f"{INVENTORY}/resource/{gateway.registered.ports[port]}")


def characteristics(resource):
    return {each["name"]: each["value"] for each in resource.get("resourceCharacteristic", ())}


def alarms_on(server, gateway, port, **query):
    return server.get(
        f"{ALARMS}/alarm", **{"alarmedObject.id": gateway.registered.ports[port], **query}
    )


def assert_free(server, gateway, port):
    resource = port_resource(server, gateway, port)
    assert (resource["usageState"], resource["allocationStatus"]) == ("idle", "free")
    assert not {"serviceId", "reservedFor", "downstreamSpeed"} & characteristics(resource).keys()
    assert gateway.port_state(port) == ("", 0, 0)


def test_an_order_sets_the_bandwidth_of_a_port(server, gateway, fibre, subscriber, record_property):
    start = time.monotonic()
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub1"))
    record_property("seconds", time.monotonic() - start)
    product = order["productOrderItem"][0]["product"]
    assert order["state"] == "completed"
    assert order["completionDate"] >= order["creationDate"]
    assert gateway.port_state("sub1") == (product["id"], 100 * MEGABIT, 40 * MEGABIT)
    port = port_resource(server, gateway, "sub1")
    assert (port["usageState"], port["operationalState"]) == ("active", "enabled")
    values = characteristics(port)
    assert (values["downstreamSpeed"], values["serviceId"]) == (100, product["id"])
    assert product["realizingResource"][0]["id"] == port["id"]
    assert wait_for_order_states(subscriber, order["id"], "completed") == [
        "inProgress",
        "completed",
    ]
    assert wait_until(
        lambda: subscriber.events_of("ResourceStateChangeEvent", "resource", port["id"])
    )


def wait_for_order_states(subscriber, order, last):
    """Wait for the event of an order's last state; return the states of all its events."""

    def states():
        events = subscriber.events_of("ProductOrderStateChangeEvent", "productOrder", order)
        states = [event["state"] for event in events]
        return states if states[-1:] == [last] else None

    return wait_until(states)


def test_a_service_is_changed_and_ended_by_orders(server, gateway, fibre, offering):
    first = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub2"))
    service = first["productOrderItem"][0]["product"]["id"]
    faster = server.place_order("modify", offering=offering(1000, 500), product=service)
    assert server.wait_for_order(faster)["state"] == "completed"
    assert gateway.port_state("sub2") == (service, 1000 * MEGABIT, 500 * MEGABIT)
    assert characteristics(port_resource(server, gateway, "sub2"))["upstreamSpeed"] == 500
    assert (
        server.wait_for_order(server.place_order("delete", product=service))["state"] == "completed"
    )
    assert_free(server, gateway, "sub2")


def test_an_element_that_rejects_a_change_is_left_as_it_was(server, gateway, fibre, subscriber):
    gateway.simulator.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub3"))
    assert order["state"] == "failed"
    assert order["productOrderItem"][0]["state"] == "failed"
    assert "sub3 upstream" in order["productOrderErrorMessage"][0]["message"]
    assert_free(server, gateway, "sub3")
    wait_for_order_states(subscriber, order["id"], "failed")


def test_an_element_that_ignores_a_change_fails_verification(server, gateway, fibre):
    gateway.simulator.fault_injection.ignore_sets = True
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub3"))
    assert order["state"] == "failed"
    assert "instead of" in order["productOrderErrorMessage"][0]["message"]
    assert_free(server, gateway, "sub3")


def test_a_port_in_use_is_not_reserved(server, gateway, fibre):
    service = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub4"))
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub4"))
    assert order["state"] == "failed"
    assert "has service" in order["productOrderErrorMessage"][0]["message"]
    tag = service["productOrderItem"][0]["product"]["id"]
    assert gateway.port_state("sub4") == (tag, 100 * MEGABIT, 40 * MEGABIT)


def test_an_order_of_another_system_stays_acknowledged(server, gateway, fibre):
    order = server.place_order()
    later = server.place_order(offering=fibre, port="no such port")
    assert server.wait_for_order(later)["state"] == "failed"  # the worker has seen both orders
    assert server.get(f"{ORDERS}/productOrder/{order}")["state"] == "acknowledged"


def test_an_order_for_an_unknown_offering_is_rejected(server, gateway, fibre):
    order = server.wait_for_order(server.place_order(offering="no-such"))
    assert order["state"] == order["productOrderItem"][0]["state"] == "rejected"
    assert "no offering no-such" in order["productOrderErrorMessage"][0]["message"]


def test_orders_for_one_product_run_in_the_order_of_their_arrival(server, gateway, fibre, offering):
    fast = offering(500, 100)
    products = [
        server.wait_for_order(server.place_order(offering=fibre))["productOrderItem"][0]["product"]
        for _ in range(2)
    ]
    orders = [
        (
            server.place_order("modify", offering=fast, product=product["id"]),
            server.place_order("modify", product=product["id"], status="suspended"),
            server.place_order("modify", product=product["id"], status="active"),
        )
        for product in products
    ]
    for product, (*_, last) in zip(products, orders, strict=True):
        for order in orders[products.index(product)]:
            assert server.wait_for_order(order)["state"] == "completed"
        done = server.get(f"{ORDERS}/productOrder/{last}")
        assert "productOrderJeopardyAlert" not in done
        assert done["productOrderItem"][0]["product"]["status"] == "active"
        port = server.get(f"{INVENTORY}/resource/{product['realizingResource'][0]['id']}")
        name = characteristics(port)["portName"]
        assert gateway.port_state(name)[1] == 500 * MEGABIT
        assert gateway.simulator.port(name).enabled
        ended = server.place_order("delete", product=product["id"])
        assert server.wait_for_order(ended)["state"] == "completed"


def test_an_order_that_waits_for_its_element_can_be_cancelled(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub5")
    wait_until(lambda: port_resource(server, gateway, "sub5")["allocationStatus"] == "reserved")
    task = server.post(
        f"{ORDERS}/cancelProductOrder",
        {
            "@type": "CancelProductOrder",
            "productOrder": {"@type": "ProductOrderRef", "id": order},
            "cancellationReason": "moved away",
        },
    )
    assert task["state"] == "inProgress"
    gateway.simulator.fault_injection.silent = False
    assert server.wait_for_order(order)["state"] == "cancelled"
    done = wait_until(
        lambda: (
            (answer := server.get(f"{ORDERS}/cancelProductOrder/{task['id']}"))["state"] == "done"
            and answer
        )
    )
    assert done["effectiveCancellationDate"]
    assert_free(server, gateway, "sub5")


def test_a_link_that_is_down_is_one_alarm_until_it_is_up(server, gateway, fibre, subscriber):
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub6"))
    service = order["productOrderItem"][0]["product"]["id"]
    gateway.call(gateway.simulator.cut_link, "sub6")
    wait_until(lambda: alarms_on(server, gateway, "sub6"))
    down = wait_until(
        lambda: (
            (port := port_resource(server, gateway, "sub6"))["operationalState"] == "disabled"
            and port
        )
    )
    assert down["usageState"] == "idle"
    gateway.call(_repeat_link_down, gateway.simulator, "sub6")
    (alarm,) = wait_until(
        lambda: [
            alarm
            for alarm in alarms_on(server, gateway, "sub6")
            if "reported 2 times" in alarm["alarmDetails"]
        ]
    )
    assert len(alarms_on(server, gateway, "sub6")) == 1
    assert (alarm["state"], alarm["perceivedSeverity"]) == ("raised", "major")
    assert alarm["affectedService"][0]["id"] == service
    gateway.call(gateway.simulator.restore_link, "sub6")
    wait_until(lambda: alarms_on(server, gateway, "sub6", state="cleared"))
    wait_until(lambda: port_resource(server, gateway, "sub6")["usageState"] == "active")
    assert len(alarms_on(server, gateway, "sub6")) == 1
    assert wait_until(lambda: subscriber.events_of("AlarmCreateEvent", "alarm", alarm["id"]))
    wait_until(
        lambda: [
            event
            for event in subscriber.events_of("AlarmStateChangeEvent", "alarm", alarm["id"])
            if event["state"] == "cleared"
        ]
    )


def _repeat_link_down(simulator, name):
    index = next(index for index, port in simulator.ports.items() if port.name == name)
    simulator._notify(
        condition_types.LINK_DOWN,
        Variable(f"{mib.IF_INDEX}.{index}", ber.INTEGER, index),
        simulator._variable(mib.IF_ADMIN_STATUS, index),
    )


def test_a_notification_without_a_rule_is_an_indeterminate_alarm(server, gateway):
    def alarms_after_notification():  # the worker may not know the gateway yet
        gateway.call(gateway.simulator._notify, "1.3.6.1.4.1.64999.0.77")
        return [
            alarm
            for alarm in server.get(f"{ALARMS}/alarm", perceivedSeverity="indeterminate")
            if "64999.0.77" in alarm["specificProblem"]
        ]

    alarms = wait_until(alarms_after_notification, pause=0.5)
    assert alarms[0]["alarmedObject"]["id"] == gateway.registered.element_id


def test_notifications_of_an_unknown_sender_are_counted_and_raise_no_alarm(server, gateway):
    with ThreadedGateway("stranger", "127.0.0.66", server.trap_port):
        wait_until(lambda: "notifications dropped" in server.worker_log(), timeout=30)
    assert not server.get(f"{ALARMS}/alarm", sourceSystemId="stranger")


def test_a_task_is_done_by_the_worker(server, gateway):
    task = server.post(
        f"{ALARMS}/commentAlarm",
        {
            "@type": "CommentAlarm",
            "alarmPattern": [{"@type": "Alarm", "sourceSystemId": "gw-sim"}],
            "comment": {"@type": "Comment", "comment": "seen"},
        },
    )
    assert task["state"] in {"done", "inProgress", "acknowledged"}
    job = server.post(
        f"{CATALOGUE}/exportJob",
        {
            "@type": "ExportJob",
            "url": "file:catalogue.ndjson",
            "contentType": "application/x-ndjson",
        },
    )
    done = wait_until(
        lambda: (
            (answer := server.get(f"{CATALOGUE}/exportJob/{job['id']}"))["status"]
            not in {"Not Started", "Running"}
            and answer
        )
    )
    assert done["status"] == "Succeeded"


def test_an_order_continues_after_the_worker_was_killed(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub7")
    wait_until(lambda: port_resource(server, gateway, "sub7")["allocationStatus"] == "reserved")
    server.kill("tmf_apis work")
    gateway.simulator.fault_injection.silent = False
    assert server.wait_for_order(order, timeout=60)["state"] == "completed"
    assert gateway.simulator.set_count == 3  # tag, down and up once each


def test_an_alarm_is_cleared_although_the_link_up_notification_was_lost(server, gateway, fibre):
    server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub8"))
    gateway.call(gateway.simulator.cut_link, "sub8")
    wait_until(lambda: alarms_on(server, gateway, "sub8", state="raised"))
    traps, gateway.simulator.trap_address = gateway.simulator.trap_address, None
    gateway.call(gateway.simulator.restore_link, "sub8")
    gateway.simulator.trap_address = traps
    gateway.call(
        gateway.simulator._notify, condition_types.WARM_START
    )  # makes the worker poll the gateway
    wait_until(lambda: alarms_on(server, gateway, "sub8", state="cleared"))


def test_an_order_continues_after_temporal_was_killed(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub9")
    wait_until(lambda: port_resource(server, gateway, "sub9")["allocationStatus"] == "reserved")
    server.kill("server start-dev")
    gateway.simulator.fault_injection.silent = False
    assert server.wait_for_order(order, timeout=60)["state"] == "completed"
    assert gateway.simulator.set_count == 3


def test_a_held_order_stops_and_continues_when_released(server, gateway, fibre, database):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub10")
    wait_until(lambda: port_resource(server, gateway, "sub10")["allocationStatus"] == "reserved")
    path = f"{ORDERS}/productOrder/{order}"
    server.patch(path, {"state": "held"})
    gateway.simulator.fault_injection.silent = False
    head = {"_id": f"default:{order}", "held": True}
    wait_until(lambda: database[TASKS].find_one(head))  # the worker has stopped
    assert server.get(path)["state"] == "held"
    server.patch(path, {"state": "inProgress"})
    assert server.wait_for_order(order)["state"] == "completed"


def test_an_order_continues_after_the_decision_of_its_fallout_task(
    server, gateway, fibre, subscriber
):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub11")
    tasks = wait_until(
        lambda: server.get(f"{OPERATIONS}/falloutTask", **{"state": "open", "order.id": order}),
        timeout=60,
    )
    wait_until(lambda: server.get(f"{ORDERS}/productOrder/{order}")["state"] == "pending")
    gateway.simulator.fault_injection.silent = False
    done = server.patch(f"{OPERATIONS}/falloutTask/{tasks[0]['id']}", {"decision": "retry"})
    assert done["state"] == "resolved"
    assert server.wait_for_order(order)["state"] == "completed"
    for event in ("Milestone", "JeopardyAlert"):
        assert wait_until(
            lambda event=event: subscriber.events_of(
                f"ProductOrder{event}Event", "productOrder", order
            )
        )


def test_orders_without_a_port_get_different_free_ports(server, gateway, fibre):
    orders = [server.place_order(offering=fibre) for _ in range(3)]
    ports = [
        server.wait_for_order(order)["productOrderItem"][0]["product"]["realizingResource"][0]["id"]
        for order in orders
    ]
    assert len(set(ports)) == 3


def test_the_histories_of_all_workflows_replay(server):
    temporal = EmbeddedTemporal(Settings(data_dir=server.data_dir))
    wait_until(temporal.check_ready, timeout=60)

    async def replay():
        client = await connect(temporal.address, "default")
        replayer = Replayer(
            workflows=[OrderWorkflow],
            workflow_runner=UnsandboxedWorkflowRunner(),
            data_converter=DATA_CONVERTER,
        )
        histories = client.list_workflows("WorkflowType='ProductOrder'").map_histories()
        results = await replayer.replay_workflows(histories, raise_on_replay_failure=True)
        return len(results.replay_failures)

    assert asyncio.run(replay()) == 0


def test_the_worker_uses_little_memory(server, record_property):
    pid = next(pid for command, pid in server.children().items() if "tmf_apis work" in command)
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    record_property("MiB", resident)
    assert resident < 220  # the validators of all versions are some 40 of them


@pytest.mark.skipif(bool(lab.lab_unavailable_reason()), reason=str(lab.lab_unavailable_reason()))
def test_an_order_and_its_alarm_on_a_real_gateway(server, repository, credentials, fibre):
    with lab.SnmpLab("gw-lab", trap_port=server.trap_port) as gateway:
        element = register_element(repository, credentials, gateway.target, gateway.credentials)
        order = server.wait_for_order(server.place_order(offering=fibre, port="gw-lab sub1"))
        assert order["state"] == "completed", order
        service = order["productOrderItem"][0]["product"]["id"]

        async def read():
            async with registry.create_adapter(gateway.target, Credentials(credentials)) as adapter:
                return await adapter.read(service)

        state = asyncio.run(read())
        rates = (state.settings["downstream"], state.settings["upstream"])
        assert (state.port, rates) == ("sub1", (100_000_000, 40_000_000))
        query = {"alarmedObject.id": element.ports["sub1"]}
        wait_until(lambda: "receiving notifications" in server.worker_log())
        gateway.cut_link("sub1")
        wait_until(lambda: server.get(f"{ALARMS}/alarm", state="raised", **query))
        gateway.restore_link("sub1")
        wait_until(lambda: server.get(f"{ALARMS}/alarm", state="cleared", **query))
        assert len(server.get(f"{ALARMS}/alarm", **query)) == 1
        assert (
            server.wait_for_order(server.place_order("delete", product=service))["state"]
            == "completed"
        )
        assert asyncio.run(read()) is None
