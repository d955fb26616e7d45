"""The thread through the house: order to element to inventory, notification to alarm to hub."""

import asyncio
import json
import time
import uuid
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from adapters import condition_types, lab, registry
from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from adapters.snmp.wire import ber
from adapters.snmp.wire.message import Variable
from adapters.values import Target
from tests.support.fulfilment_harness import speed_characteristics
from tests.support.live_server import (
    ALARMS,
    CATALOGUE,
    INVENTORY,
    OPERATIONS,
    ORDERS,
    Subscriber,
    ThreadedGateway,
    live_server,
    wait_until,
)
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.fulfilment.execution.workflow import OrderWorkflow
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of
from tmf_apis.temporal_payloads import DATA_CONVERTER

MEGABIT = 1000  # in the gateway's unit, kbit/s
HASTE = {"timeout": "0.3", "retries": "1"}
WRITTEN = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("house")


@pytest.fixture(scope="module")
def database(mongodb_uri):
    name = f"thread_{uuid.uuid4().hex[:8]}"
    settings = Settings(mongodb_database=name)
    with client_of(settings, mongodb_uri) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="module")
def credentials(folder):
    """The operator's file of secrets; elements are added as they come."""
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
def desk(folder, server, database):
    contracts = load_contracts(CONTRACTS_DIR, folder / "cache")
    engine = Engine(Settings(mongodb_database=database.name), contracts, database)
    return RepositoryFactory(engine.writer, "test").for_tenant("default")


def add(desk, credentials, target, secrets):
    """Put an element into the inventory, the way an operator does."""
    known = json.loads(credentials.read_text())
    credentials.write_text(json.dumps({**known, **secrets}))

    async def go():
        async with registry.create_adapter(target, Credentials(credentials)) as adapter:
            return await register(desk, adapter)

    return asyncio.run(go())


@pytest.fixture(scope="module")
def running_gateway(server, desk, credentials):
    with ThreadedGateway("gw-sim", "127.0.0.31", server.trap_port) as gateway:
        plain = gateway.simulator.target
        target = Target(plain.name, plain.address, "snmp", plain.credentials, HASTE)
        gateway.known = add(desk, credentials, target, gateway.simulator.credentials)
        yield gateway


@pytest.fixture
def gateway(running_gateway):
    """The simulated gateway, well behaved."""
    running_gateway.simulator.fault_injection = type(running_gateway.simulator.fault_injection)()
    running_gateway.simulator.set_count = 0
    yield running_gateway
    running_gateway.simulator.fault_injection = type(running_gateway.simulator.fault_injection)()


@pytest.fixture(scope="module")
def offering(server):
    """Makes an offering of so many Mbit/s down and up."""

    def make(down, up):
        characteristics = speed_characteristics(down, up)
        specification = server.post(
            f"{CATALOGUE}/productSpecification",
            {
                "@type": "ProductSpecification",
                "name": f"Access {down}/{up}",
                "productSpecCharacteristic": characteristics,
                **WRITTEN,
            },
        )
        reference = {"@type": "ProductSpecificationRef", "id": specification["id"]}
        return server.post(
            f"{CATALOGUE}/productOffering",
            {
                "@type": "ProductOffering",
                "name": f"Fibre {down}",
                "productSpecification": reference,
                **WRITTEN,
            },
        )["id"]

    return make


@pytest.fixture(scope="module")
def fibre(offering):
    return offering(100, 40)


@pytest.fixture(scope="module")
def subscriber(server):
    with Subscriber() as one:
        for path in (ORDERS, ALARMS, INVENTORY):
            server.post(f"{path}/hub", {"@type": "Hub", "callback": one.callback})
        yield one


def port_of(server, gateway, port):
    return server.get(f"{INVENTORY}/resource/{gateway.known.ports[port]}")


def characteristics(resource):
    return {one["name"]: one["value"] for one in resource.get("resourceCharacteristic", ())}


def alarms_on(server, gateway, port, **query):
    return server.get(f"{ALARMS}/alarm", **{"alarmedObject.id": gateway.known.ports[port], **query})


def assert_free(server, gateway, port):
    found = port_of(server, gateway, port)
    assert (found["usageState"], found["allocationStatus"]) == ("idle", "free")
    assert not {"serviceId", "reservedFor", "downstreamSpeed"} & characteristics(found).keys()
    assert gateway.port_state(port) == ("", 0, 0)


def test_an_order_sets_the_bandwidth_of_a_port(server, gateway, fibre, subscriber, record_property):
    began = time.monotonic()
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub1"))
    record_property("seconds", time.monotonic() - began)
    product = order["productOrderItem"][0]["product"]
    assert order["state"] == "completed"
    assert order["completionDate"] >= order["creationDate"]
    assert gateway.port_state("sub1") == (product["id"], 100 * MEGABIT, 40 * MEGABIT)
    port = port_of(server, gateway, "sub1")
    assert (port["usageState"], port["operationalState"]) == ("active", "enabled")
    shown = characteristics(port)
    assert (shown["downstreamSpeed"], shown["serviceId"]) == (100, product["id"])
    assert product["realizingResource"][0]["id"] == port["id"]
    events = wait_until(
        lambda: (
            (
                found := subscriber.events_of(
                    "ProductOrderStateChangeEvent", "productOrder", order["id"]
                )
            )
            and found[-1]["state"] == "completed"
            and found
        )
    )
    assert [one["state"] for one in events] == ["inProgress", "completed"]
    assert wait_until(
        lambda: subscriber.events_of("ResourceStateChangeEvent", "resource", port["id"])
    )


def test_a_service_is_changed_and_ended_by_orders(server, gateway, fibre, offering):
    first = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub2"))
    service = first["productOrderItem"][0]["product"]["id"]
    faster = server.place_order("modify", offering=offering(1000, 500), product=service)
    assert server.wait_for_order(faster)["state"] == "completed"
    assert gateway.port_state("sub2") == (service, 1000 * MEGABIT, 500 * MEGABIT)
    assert characteristics(port_of(server, gateway, "sub2"))["upstreamSpeed"] == 500
    assert (
        server.wait_for_order(server.place_order("delete", product=service))["state"] == "completed"
    )
    assert_free(server, gateway, "sub2")


def test_an_element_that_refuses_is_left_as_it_was(server, gateway, fibre, subscriber):
    gateway.simulator.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub3"))
    assert order["state"] == "failed"
    assert order["productOrderItem"][0]["state"] == "failed"
    assert "sub3 upstream" in order["productOrderErrorMessage"][0]["message"]
    assert_free(server, gateway, "sub3")
    events = wait_until(
        lambda: subscriber.events_of("ProductOrderStateChangeEvent", "productOrder", order["id"])[
            1:
        ]
    )
    assert events[-1]["state"] == "failed"


def test_an_element_that_lies_is_found_out(server, gateway, fibre):
    gateway.simulator.fault_injection.ignore_sets = True
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub3"))
    assert order["state"] == "failed"
    assert "instead of" in order["productOrderErrorMessage"][0]["message"]
    assert_free(server, gateway, "sub3")


def test_a_port_in_use_is_not_given_away(server, gateway, fibre):
    service = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub4"))
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub4"))
    assert order["state"] == "failed"
    assert "has service" in order["productOrderErrorMessage"][0]["message"]
    tag = service["productOrderItem"][0]["product"]["id"]
    assert gateway.port_state("sub4") == (tag, 100 * MEGABIT, 40 * MEGABIT)


def test_an_order_for_nothing_that_we_sell_is_left_to_others(server, gateway):
    order = server.place_order(offering="of-another-system")
    time.sleep(1)
    assert server.get(f"{ORDERS}/productOrder/{order}")["state"] == "acknowledged"


def test_an_order_that_waits_for_its_element_can_be_cancelled(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub5")
    wait_until(lambda: port_of(server, gateway, "sub5")["allocationStatus"] == "reserved")
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
            (found := server.get(f"{ORDERS}/cancelProductOrder/{task['id']}"))["state"] == "done"
            and found
        )
    )
    assert done["effectiveCancellationDate"]
    assert_free(server, gateway, "sub5")


def test_a_link_that_goes_down_is_one_alarm_until_it_is_up(server, gateway, fibre, subscriber):
    order = server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub6"))
    service = order["productOrderItem"][0]["product"]["id"]
    gateway.call(gateway.simulator.cut_link, "sub6")
    wait_until(lambda: alarms_on(server, gateway, "sub6"))
    down = wait_until(
        lambda: (
            (port := port_of(server, gateway, "sub6"))["operationalState"] == "disabled" and port
        )
    )
    assert down["usageState"] == "idle"
    gateway.call(_report_again, gateway.simulator, "sub6")
    counted = wait_until(
        lambda: [
            one
            for one in alarms_on(server, gateway, "sub6")
            if "reported 2 times" in one["alarmDetails"]
        ]
    )
    assert len(alarms_on(server, gateway, "sub6")) == 1
    alarm = counted[0]
    assert (alarm["state"], alarm["perceivedSeverity"]) == ("raised", "major")
    assert alarm["affectedService"][0]["id"] == service
    gateway.call(gateway.simulator.restore_link, "sub6")
    wait_until(lambda: alarms_on(server, gateway, "sub6", state="cleared"))
    wait_until(lambda: port_of(server, gateway, "sub6")["usageState"] == "active")
    assert len(alarms_on(server, gateway, "sub6")) == 1
    assert wait_until(lambda: subscriber.events_of("AlarmCreateEvent", "alarm", alarm["id"]))
    wait_until(
        lambda: [
            one
            for one in subscriber.events_of("AlarmStateChangeEvent", "alarm", alarm["id"])
            if one["state"] == "cleared"
        ]
    )


def _report_again(gateway, port):
    index = next(key for key, one in gateway.ports.items() if one.name == port)
    gateway._notify(
        condition_types.LINK_DOWN,
        Variable(f"{mib.IF_INDEX}.{index}", ber.INTEGER, index),
        gateway._variable(mib.IF_ADMIN_STATUS, index),
    )


def test_a_notification_that_no_rule_knows_is_an_alarm_all_the_same(server, gateway):
    gateway.call(gateway.simulator._notify, "1.3.6.1.4.1.64999.0.77")
    found = wait_until(
        lambda: [
            one
            for one in server.get(f"{ALARMS}/alarm", perceivedSeverity="indeterminate")
            if "64999.0.77" in one["specificProblem"]
        ]
    )
    assert found[0]["alarmedObject"]["id"] == gateway.known.element_id


def test_a_stranger_is_counted_and_leaves_no_alarm(server, gateway):
    with ThreadedGateway("stranger", "127.0.0.66", server.trap_port):
        wait_until(lambda: "notifications dropped" in server.worker_log(), timeout=20)
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
            (found := server.get(f"{CATALOGUE}/exportJob/{job['id']}"))["status"]
            not in {"Not Started", "Running"}
            and found
        )
    )
    assert done["status"] == "Succeeded"


def test_a_worker_that_is_killed_in_the_middle_of_an_order_goes_on(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub7")
    wait_until(lambda: port_of(server, gateway, "sub7")["allocationStatus"] == "reserved")
    server.kill("tmf_apis work")
    gateway.simulator.fault_injection.silent = False
    assert server.wait_for_order(order, timeout=60)["state"] == "completed"
    assert gateway.simulator.set_count == 3  # tag, down, up: nothing was done twice


def test_an_alarm_is_cleared_though_nobody_heard_that_the_link_is_up(server, gateway, fibre):
    server.wait_for_order(server.place_order(offering=fibre, port="gw-sim sub8"))
    gateway.call(gateway.simulator.cut_link, "sub8")
    wait_until(lambda: alarms_on(server, gateway, "sub8", state="raised"))
    traps, gateway.simulator.trap_address = gateway.simulator.trap_address, None
    gateway.call(gateway.simulator.restore_link, "sub8")
    gateway.simulator.trap_address = traps
    gateway.call(gateway.simulator._notify, condition_types.WARM_START)  # look at it anew
    wait_until(lambda: alarms_on(server, gateway, "sub8", state="cleared"))


def test_an_order_goes_on_when_temporal_was_killed(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub9")
    wait_until(lambda: port_of(server, gateway, "sub9")["allocationStatus"] == "reserved")
    server.kill("server start-dev")
    gateway.simulator.fault_injection.silent = False
    assert server.wait_for_order(order, timeout=60)["state"] == "completed"
    assert gateway.simulator.set_count == 3


def test_an_order_is_held_and_let_go_on_by_its_customer(server, gateway, fibre):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub10")
    wait_until(lambda: port_of(server, gateway, "sub10")["allocationStatus"] == "reserved")
    path = f"{ORDERS}/productOrder/{order}"
    server.patch(path, {"state": "held"})
    gateway.simulator.fault_injection.silent = False
    time.sleep(3)
    assert server.get(path)["state"] == "held"
    server.patch(path, {"state": "inProgress"})
    assert server.wait_for_order(order)["state"] == "completed"


def test_what_waits_for_a_person_goes_on_by_the_decision(server, gateway, fibre, subscriber):
    gateway.simulator.fault_injection.silent = True
    order = server.place_order(offering=fibre, port="gw-sim sub11")
    found = wait_until(
        lambda: server.get(f"{OPERATIONS}/falloutTask", **{"state": "open", "order.id": order}),
        timeout=60,
    )
    wait_until(lambda: server.get(f"{ORDERS}/productOrder/{order}")["state"] == "pending")
    gateway.simulator.fault_injection.silent = False
    done = server.patch(f"{OPERATIONS}/falloutTask/{found[0]['id']}", {"decision": "retry"})
    assert done["state"] == "resolved"
    assert server.wait_for_order(order)["state"] == "completed"
    for event in ("Milestone", "JeopardyAlert"):
        assert wait_until(
            lambda event=event: subscriber.events_of(
                f"ProductOrder{event}Event", "productOrder", order
            )
        )


def test_without_a_wish_a_free_port_is_chosen_and_no_two_orders_get_the_same(
    server, gateway, fibre
):
    orders = [server.place_order(offering=fibre) for _ in range(3)]
    ports = [
        server.wait_for_order(order)["productOrderItem"][0]["product"]["realizingResource"][0]["id"]
        for order in orders
    ]
    assert len(set(ports)) == 3


def test_what_has_happened_can_be_run_again_with_the_same_steps(server):
    """The workflow's code is deterministic: its histories replay."""

    async def replay():
        command = next(one for one in server.children() if "server start-dev" in one)
        port = command.split("--port ", 1)[1].split()[0]
        client = await Client.connect(f"127.0.0.1:{port}", data_converter=DATA_CONVERTER)
        replayer = Replayer(
            workflows=[OrderWorkflow],
            workflow_runner=UnsandboxedWorkflowRunner(),
            data_converter=DATA_CONVERTER,
        )
        histories = client.list_workflows("WorkflowType='ProductOrder'").map_histories()
        results = await replayer.replay_workflows(histories, raise_on_replay_failure=True)
        return len(results.replay_failures)

    assert asyncio.run(replay()) == 0


def test_the_worker_stays_small(server, record_property):
    pid = next(pid for command, pid in server.children().items() if "tmf_apis work" in command)
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    record_property("MiB", resident)
    assert resident < 150


@pytest.mark.skipif(bool(lab.lab_unavailable_reason()), reason=str(lab.lab_unavailable_reason()))
def test_the_thread_on_a_real_gateway(server, desk, credentials, fibre):
    with lab.SnmpLab("gw-lab", trap_port=server.trap_port) as gateway:
        known = add(desk, credentials, gateway.target, gateway.credentials)
        order = server.wait_for_order(server.place_order(offering=fibre, port="gw-lab sub1"))
        assert order["state"] == "completed", order
        service = order["productOrderItem"][0]["product"]["id"]

        async def read():
            async with registry.create_adapter(gateway.target, Credentials(credentials)) as adapter:
                return await adapter.read(service)

        found = asyncio.run(read())
        rates = (found.settings["downstream"], found.settings["upstream"])
        assert (found.port, rates) == ("sub1", (100_000_000, 40_000_000))
        wanted = {"alarmedObject.id": known.ports["sub1"]}
        wait_until(lambda: "receiving notifications" in server.worker_log())
        gateway.cut_link("sub1")
        wait_until(lambda: server.get(f"{ALARMS}/alarm", state="raised", **wanted))
        gateway.restore_link("sub1")
        wait_until(lambda: server.get(f"{ALARMS}/alarm", state="cleared", **wanted))
        assert len(server.get(f"{ALARMS}/alarm", **wanted)) == 1
        assert (
            server.wait_for_order(server.place_order("delete", product=service))["state"]
            == "completed"
        )
        assert asyncio.run(read()) is None
