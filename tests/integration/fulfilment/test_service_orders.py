"""Service orders: over HTTP with a simulated network, and step by step with failures."""

import asyncio
import uuid

import pytest

from adapters import registry
from adapters.credentials import Credentials
from adapters.snmp import mib
from adapters.snmp.simulated_port import WRONG_VALUE
from adapters.values import Target
from tests.support.fulfilment_harness import FINAL_STATES, MEGABIT, port_state
from tests.support.fulfilment_harness import order_item as product_item
from tests.support.live_server import ThreadedGateway, live_server
from tests.support.waiting import wait_until
from tmf_apis.engine import CONTRACTS_DIR, Engine
from tmf_apis.errors import Conflict, NotFound
from tmf_apis.fulfilment.execution.failure_reporter import REPORT_AFTER_ATTEMPTS
from tmf_apis.reconciliation.discovery import register
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client as client_of

ORDERS = "/serviceOrdering/v4/serviceOrder"
CANCELS = "/serviceOrdering/v4/cancelServiceOrder"
SERVICES = "/serviceInventory/v4/service"
SPECIFICATIONS = "/serviceCatalogManagement/v4/serviceSpecification"
RESOURCES = "/resourceInventoryManagement/v5/resource"
INTERNET = "standard-broadband"
KIND = "ServiceOrder"
ADA = {"@type": "RelatedParty", "id": "ada", "role": "customer", "@referredType": "Individual"}


def characteristics(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


def item(action="add", *, id="1", specification=INTERNET, service="", **more):
    """Return an item of a service order; a new service is a broadband access of 100/40 Mbit/s."""
    value = {"id": service} if service else {}
    if action == "add":
        chosen = {"downstreamSpeed": 100, "upstreamSpeed": 40, **more.pop("chosen", {})}
        value["serviceSpecification"] = {"id": specification}
        value["serviceCharacteristic"] = characteristics(**chosen)
    elif "chosen" in more:
        value["serviceCharacteristic"] = characteristics(**more.pop("chosen"))
    value |= more.pop("value", {})
    return {"id": id, "action": action, "service": value, **more}


# Over HTTP: one server, its worker and a simulated gateway.


@pytest.fixture(scope="module")
def web(tmp_path_factory, mongodb_uri):
    folder = tmp_path_factory.mktemp("services")
    credentials = folder / "credentials.json"
    credentials.write_text('{"SIM": {"community": "sim"}}')
    settings = Settings(mongodb_database=f"services_{uuid.uuid4().hex[:8]}")
    with client_of(settings, mongodb_uri) as client:
        try:
            with (
                live_server(
                    folder,
                    mongodb_uri,
                    settings.mongodb_database,
                    TMF_CREDENTIALS_FILE=str(credentials),
                    TMF_FULFILMENT_PATIENCE="20",
                ) as server,
                ThreadedGateway("gw-web", "127.0.0.1", server.trap_port) as gateway,
            ):
                gateway.simulator.community = "sim"
                address = gateway.simulator.target.address
                target = Target("gw-web", address, "snmp", "SIM", {"timeout": "0.3"})
                engine = Engine(
                    settings,
                    load_contracts(CONTRACTS_DIR, folder / "cache"),
                    client[settings.mongodb_database],
                )
                repository = RepositoryFactory(engine.writer, "test").for_tenant("default")

                async def register_gateway():
                    async with registry.create_adapter(target, Credentials(credentials)) as adapter:
                        await register(repository, adapter)

                asyncio.run(register_gateway())
                server.gateway = gateway
                yield server
        finally:
            client.drop_database(settings.mongodb_database)


def run_order_over_http(web, *items, **more):
    """Place an order and return it in its final state."""
    id = web.post(ORDERS, {"serviceOrderItem": list(items), **more})["id"]

    def final():
        order = web.get(f"{ORDERS}/{id}")
        return order if order["state"] in FINAL_STATES else None

    return wait_until(final)


def service_of(order):
    return order["serviceOrderItem"][0]["service"]


def test_service_orders_provide_change_move_and_end_a_service(web):
    gateway = web.gateway
    port = {"accessPort": "gw-web sub1"}
    order = run_order_over_http(
        web, item(chosen=port), relatedParty=[ADA], description="line of Ada"
    )
    assert order["state"] == "completed", order
    assert {milestone["status"] for milestone in order["milestone"]} == {"Completed"}
    assert order["startDate"] <= order["completionDate"]
    top = service_of(order)
    assert (top["state"], top["supportingResource"][0]["name"]) == ("active", "gw-web sub1")
    service = web.get(f"{SERVICES}/{top['id']}")
    assert (service["category"], service["state"], service["isServiceEnabled"]) == (
        "CFS",
        "active",
        True,
    )
    assert service["relatedParty"][0]["id"] == "ada"
    assert service["serviceSpecification"]["id"] == INTERNET
    reference = service["serviceOrderItem"][0]
    assert (reference["serviceOrderId"], reference["itemAction"]) == (order["id"], "add")
    line = web.get(f"{SERVICES}/{service['supportingService'][0]['id']}")
    assert (line["category"], line["relatedParty"][0]["id"]) == ("RFS", "ada")
    assert line["serviceOrderItem"][0]["serviceOrderId"] == order["id"]
    assert gateway.port_state("sub1") == (line["id"], 100 * MEGABIT, 40 * MEGABIT)
    (resource,) = web.get(RESOURCES, **{"externalIdentifier.id": line["id"]})
    assert (resource["name"], resource["usageState"]) == ("gw-web sub1", "active")

    faster = run_order_over_http(
        web, item("modify", service=top["id"], chosen={"downstreamSpeed": 500})
    )
    assert faster["state"] == "completed", faster
    assert gateway.port_state("sub1") == (line["id"], 500 * MEGABIT, 40 * MEGABIT)
    service = web.get(f"{SERVICES}/{top['id']}")
    speeds = {each["name"]: each["value"] for each in service["serviceCharacteristic"]}
    assert speeds["downstreamSpeed"] == 500
    assert service["serviceOrderItem"][-1]["itemAction"] == "modify"

    for change, state in (
        ({"state": "inactive"}, "inactive"),
        ({"isServiceEnabled": True}, "active"),
        ({"isServiceEnabled": False}, "inactive"),
        ({"state": "active"}, "active"),
    ):
        switched = run_order_over_http(web, item("modify", service=top["id"], value=change))
        assert switched["state"] == "completed", switched
        for id in (top["id"], line["id"]):
            service = web.get(f"{SERVICES}/{id}")
            assert (service["state"], service["isServiceEnabled"]) == (state, state == "active")
        assert gateway.simulator.port("sub1").enabled == (state == "active")

    move = {"accessPort": "gw-web sub2"}
    moved = run_order_over_http(web, item("modify", service=top["id"], chosen=move))
    assert moved["state"] == "completed", moved
    assert gateway.port_state("sub1") == ("", 0, 0)
    assert gateway.port_state("sub2") == (line["id"], 500 * MEGABIT, 40 * MEGABIT)

    ended = run_order_over_http(web, item("delete", service=top["id"]))
    assert (ended["state"], service_of(ended)["state"]) == ("completed", "terminated")
    for id in (top["id"], line["id"]):
        assert web.get(f"{SERVICES}/{id}")["state"] == "terminated"
    assert gateway.port_state("sub2") == ("", 0, 0)


def test_a_rejected_item_is_undone_and_has_an_error_message(web):
    gateway = web.gateway
    gateway.simulator.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    try:
        order = run_order_over_http(
            web, item(chosen={"accessPort": "gw-web sub3"}), item("noChange", id="2", service="x")
        )
    finally:
        gateway.simulator.fault_injection.rejected_sets.clear()
    assert order["state"] == "partial"
    assert [item["state"] for item in order["serviceOrderItem"]] == ["failed", "completed"]
    message = order["errorMessage"]
    assert "sub3 upstream" in message["message"]
    assert [item["id"] for item in message["serviceOrderItem"]] == ["1"]
    assert web.get(f"{SERVICES}/{service_of(order)['id']}")["state"] == "terminated"
    assert gateway.port_state("sub3") == ("", 0, 0)


def test_an_order_that_waits_for_an_element_has_an_alert_and_can_be_cancelled(web):
    gateway = web.gateway
    gateway.simulator.fault_injection.silent = True
    try:
        body = {"serviceOrderItem": [item(chosen={"accessPort": "gw-web sub4"})]}
        id = web.post(ORDERS, body)["id"]
        waiting = wait_until(lambda: (o := web.get(f"{ORDERS}/{id}")).get("jeopardyAlert") and o)
        assert waiting["jeopardyAlert"][0]["jeopardyType"] == "waitingForElement"
        task = web.post(CANCELS, {"serviceOrder": {"id": id}})
        assert task["state"] == "inProgress"
    finally:
        gateway.simulator.fault_injection.silent = False
    done = wait_until(lambda: (t := web.get(f"{CANCELS}/{task['id']}"))["state"] == "done" and t)
    assert done["effectiveCancellationDate"]
    order = web.get(f"{ORDERS}/{id}")
    assert order["state"] == order["serviceOrderItem"][0]["state"] == "cancelled"
    assert gateway.port_state("sub4") == ("", 0, 0)
    (port,) = web.get(RESOURCES, name="gw-web sub4")
    assert port["allocationStatus"] == "free"


def test_a_dry_run_returns_the_plan_and_creates_nothing(web):
    before = len(web.get(ORDERS, limit=100))
    body = {"serviceOrderItem": [item(chosen={"accessPort": "gw-web sub5"})]}
    answer = web.client.post(f"{web.base_url}{ORDERS}?dryRun=true", json=body)
    assert answer.status_code == 200, answer.text
    plan = answer.json()["fulfilmentPlan"]
    assert plan["feasible"], plan
    assert plan["task"][0]["element"]["port"] == "sub5"
    assert [service["facing"] for service in plan["item"][0]["service"]] == ["customer", "resource"]
    assert "product" not in plan["item"][0]
    assert len(web.get(ORDERS, limit=100)) == before


def test_an_order_of_another_system_stays_acknowledged(web):
    unmapped = web.post(SPECIFICATIONS, {"name": "Consulting", "lifecycleStatus": "Active"})["id"]
    id = web.post(ORDERS, {"serviceOrderItem": [item(specification=unmapped)]})["id"]
    assert (
        run_order_over_http(web, item(chosen={"accessPort": "gw-web sub6"}))["state"] == "completed"
    )
    order = web.get(f"{ORDERS}/{id}")
    assert (order["state"], "milestone" in order) == ("acknowledged", False)


# Step by step, without a workflow.


def run_service_order(operator, *items, **more):
    return operator.run_order(operator.place_order(*items, kind=KIND, **more))


def add_service(operator, port="gw sub1", **more):
    """Order a service and return its id."""
    order = run_service_order(operator, item(chosen={"accessPort": port}), **more)
    assert order["state"] == "completed", order
    return service_of(order)["id"]


def test_a_service_order_cannot_change_the_services_of_a_product(operator):
    offering = operator.create_offering()
    key = operator.place_order(product_item(offering=offering, port="gw sub1"))
    product = operator.run_order(key)["productOrderItem"][0]["product"]["id"]
    for service in operator.repository.find("Service", {}):
        for action in ("modify", "delete"):
            with pytest.raises(Conflict, match=f"belongs to product {product}; order a change"):
                operator.place_order(item(action, service=service["id"]), kind=KIND)
    operator.assert_consistent()


def test_an_order_fails_if_its_service_was_assigned_to_a_product_meanwhile(operator):
    service = add_service(operator)
    key = operator.place_order(item("delete", service=service), kind=KIND)
    operator.repository.create("Product", {"id": "p", "name": "p", "status": "active",
                               "realizingService": [{"id": service}]})  # fmt: skip
    order = operator.run_order(key)
    assert order["state"] == "failed"
    assert "belongs to a product" in order["errorMessage"]["message"]
    assert operator.repository.get("Service", service)["state"] == "active"
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT


def test_a_service_order_cannot_change_a_supporting_service(operator):
    service = add_service(operator)
    (part,) = operator.repository.get("Service", service)["supportingService"]
    with pytest.raises(Conflict, match=f"belongs to service {service}"):
        operator.place_order(item("delete", service=part["id"]), kind=KIND)


def test_a_service_belongs_to_the_party_of_its_order(operator):
    service = add_service(operator, parties=["ada"], relatedParty=[ADA])
    bob = {**ADA, "id": "bob"}
    with pytest.raises(NotFound, match="/serviceOrderItem/0/service/id: there is no Service"):
        run_service_order(
            operator, item("delete", service=service), parties=["bob"], relatedParty=[bob]
        )
    assert port_state(operator.gw, "sub1")[1] == 100 * MEGABIT
    order = run_service_order(
        operator, item("delete", service=service), parties=["ada"], relatedParty=[ADA]
    )
    assert order["state"] == "completed", order
    operator.assert_consistent()


def test_a_product_order_cannot_end_a_service_of_a_service_order(operator):
    service = add_service(operator)
    (part,) = operator.repository.get("Service", service)["supportingService"]
    order = operator.run_order(operator.place_order(product_item("delete", product=part["id"])))
    assert order["state"] == "failed"
    assert "ordered by itself" in order["productOrderErrorMessage"][0]["message"]
    operator.assert_consistent()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"serviceSpecification": {"id": "standard-access-line"}}, "a modify does not change"),
        ({"state": "terminated"}, "action delete"),
        ({"state": "active", "isServiceEnabled": False}, "contradict"),
        ({"serviceCharacteristic": characteristics(downstreamSpeed="fast")}, "downstreamSpeed"),
    ],
)
def test_an_invalid_change_fails_and_changes_nothing(operator, value, words):
    service = add_service(operator)
    sets = operator.gw.set_count
    order = run_service_order(operator, item("modify", service=service, value=value))
    assert order["state"] == "failed"
    assert words in order["errorMessage"]["message"]
    assert operator.gw.set_count == sets
    operator.assert_consistent()


def test_a_resource_facing_service_is_ordered_in_its_own_units(operator):
    line = characteristics(downstream=50_000_000, upstream=10_000_000, accessPort="gw sub2")
    new = item(specification="standard-access-line", value={"serviceCharacteristic": line})
    order = run_service_order(operator, new)
    assert order["state"] == "completed", order
    id = service_of(order)["id"]
    assert port_state(operator.gw, "sub2") == (id, 50 * MEGABIT, 10 * MEGABIT)
    assert operator.repository.get("Service", id)["category"] == "RFS"
    operator.assert_consistent()
    assert run_service_order(operator, item("delete", service=id))["state"] == "completed"
    assert port_state(operator.gw, "sub2") == ("", 0, 0)
    operator.assert_consistent()


def test_a_rejected_change_leaves_the_service_as_it_was(operator):
    service = add_service(operator)
    operator.gw.fault_injection.rejected_sets[mib.SVC_UP_KBPS] = WRONG_VALUE
    order = run_service_order(
        operator, item("modify", service=service, chosen={"upstreamSpeed": 80})
    )
    assert order["state"] == "failed"
    assert port_state(operator.gw, "sub1")[1:] == (100 * MEGABIT, 40 * MEGABIT)
    operator.assert_consistent()


def test_nested_items_fail_together_with_all_or_nothing(operator):
    inner = [item(id=f"1.{n}", chosen={"accessPort": port}) for n, port in
             ((1, "gw sub1"), (2, "no such port"))]  # fmt: skip
    bundle = {"id": "1", "action": "add", "service": {}, "serviceOrderItem": inner}
    order = run_service_order(operator, bundle, allOrNothing=True)
    assert order["state"] == "failed"
    assert "with item 1.2" in order["errorMessage"]["message"]
    assert operator.gw.set_count == 0
    operator.assert_consistent()


@pytest.mark.parametrize("step", ["accepted", "set in part"])
def test_an_order_is_cancelled_before_its_point_of_no_return(operator, step):
    operator.configure(fulfilment_patience=20.0)
    operator.gw.fault_injection.unanswered_sets[mib.SVC_UP_KBPS] = 99
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    operator.accept(key)
    assert {each["state"] for each in operator.repository.find("Service", {})} == {"reserved"}
    assert operator.get_order(key)["serviceOrderItem"][0]["service"]["state"] == "reserved"
    operator.assert_consistent(idle=False)
    if step == "set in part":
        assert operator.advance(key).incomplete
    task = operator.request_cancellation(key)
    operator.gw.fault_injection.unanswered_sets.clear()
    operator.run_order(key)
    operator.resolve_cancellation(key, task)
    assert operator.get_order(key)["state"] == "cancelled"
    assert operator.repository.get("CancelServiceOrder", task)["state"] == "done"
    assert "Undone: gw sub1" in operator.get_order(key)["note"][0]["text"]
    operator.assert_consistent()


def test_a_service_in_operation_is_past_the_point_of_no_return(operator):
    operator.configure(fulfilment_patience=20.0)
    far = operator.add_gateway("far")
    far.fault_injection.silent = True
    key = operator.place_order(
        item(id="1", chosen={"accessPort": "gw sub1"}),
        item(id="2", chosen={"accessPort": "far sub1"}),
        kind=KIND,
    )
    operator.accept(key)
    operator.advance(key)
    with pytest.raises(Conflict, match="point of no return"):
        operator.request_cancellation(key)
    far.fault_injection.silent = False
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_a_second_order_for_a_service_waits_for_the_first(operator):
    service = add_service(operator)
    first = operator.place_order(
        item("modify", service=service, chosen={"upstreamSpeed": 80}), kind=KIND
    )
    second = operator.place_order(item("delete", service=service), kind=KIND)
    operator.accept(first)
    assert operator.accept(second).blocked
    assert "the same service" in operator.get_order(second)["jeopardyAlert"][0]["message"]
    assert operator.advance(first).orders_to_wake == (second,)
    assert operator.run_order(second)["state"] == "completed"
    operator.assert_consistent()


def test_an_order_with_a_fallout_task_is_pending_until_a_retry_is_decided(operator):
    operator.configure(fulfilment_patience=0.1, fulfilment_fallout=("unreachable",))
    operator.gw.fault_injection.silent = True
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    operator.accept(key)

    (task,) = operator.advance_until(key, operator.open_fallout_tasks)
    assert (task["order"]["id"], task["order"]["@referredType"]) == (key.order, KIND)
    assert task["order"]["href"].endswith(f"{ORDERS}/{key.order}")
    order = operator.get_order(key)
    assert order["state"] == order["serviceOrderItem"][0]["state"] == "pending"
    operator.gw.fault_injection.silent = False
    operator.change_resource("FalloutTask", task["id"], decision="retry")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_an_order_in_progress_cannot_be_rewritten(operator):
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    operator.accept(key)
    for name, value in (
        ("serviceOrderItem", [item(chosen={"accessPort": "gw sub2"})]),
        ("requestedStartDate", "2027-01-01T00:00:00.000Z"),
    ):
        with pytest.raises(Conflict, match=name):
            operator.change_resource(KIND, key.order, **{name: value})
    operator.change_resource(KIND, key.order, state="held")
    assert operator.advance(key).incomplete
    assert operator.gw.set_count == 0
    operator.change_resource(KIND, key.order, state="inProgress")
    assert operator.run_order(key)["state"] == "completed"
    operator.assert_consistent()


def test_milestones_and_alerts_are_events(operator):
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    operator.run_order(key)
    stored = operator.database[KIND].find_one({"id": key.order, "tenant": operator.tenant})
    assert [event["what"] for event in stored["events"]].count("Milestone") == 2


def test_a_repeated_failure_is_an_alert_in_the_attribute_of_a_service_order(operator):
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    reporter = operator.fulfilment.activities._failure_reporter
    reporter.report_failure(key, "acceptance", KeyError("bandwidth"), REPORT_AFTER_ATTEMPTS)
    order = operator.get_order(key)
    assert "productOrderJeopardyAlert" not in order
    (alert,) = order["jeopardyAlert"]
    assert (alert["@type"], alert["jeopardyType"]) == (
        "ServiceOrderJeopardyAlert",
        "waitingForPerson",
    )


def test_recovery_withdraws_tasks_of_earlier_versions(operator):
    key = operator.place_order(item(chosen={"accessPort": "gw sub1"}), kind=KIND)
    reporter = operator.fulfilment.activities._failure_reporter
    reporter.report_failure(key, "taking up", KeyError("bandwidth"), REPORT_AFTER_ATTEMPTS)
    reporter.report_recovery(key, "acceptance", REPORT_AFTER_ATTEMPTS + 1)
    assert not operator.open_fallout_tasks()
