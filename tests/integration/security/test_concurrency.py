"""Simultaneous requests have the effect of requests one after another."""

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tmf_apis.engine import Engine
from tmf_apis.errors import TmfError
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client
from tmf_apis.store.embedded_mongod import EmbeddedMongod

BILLING = "/tmf-api/customerBillManagement/v4"
ORDERING = "/tmf-api/productOrderingManagement/v4"
CATALOG = "/tmf-api/productCatalogManagement/v4"
SERVICE = "/tmf-api/serviceInventory/v4/service"
RESOURCE = "/tmf-api/resourceInventoryManagement/v4/resource"
ALARMS = "/tmf-api/alarmManagement/v4"
FINAL_STATES = {"done", "rejected", "terminatedWithError"}


def simultaneously(*calls):
    """Run functions at the same moment in threads; return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(run, calls))


@pytest.fixture(scope="module")
def engine(authenticated_server, contracts):
    """An engine with the database of the running server."""
    settings = Settings(data_dir=authenticated_server.folder)
    with mongo_client(settings, EmbeddedMongod(settings).uri) as client:
        yield Engine(settings, list(contracts.values()), client[settings.mongodb_database])


@pytest.mark.parametrize("count", [6, 12])
def test_simultaneous_bills_on_demand_make_one_bill(api, engine, tenant, count):
    staff = Identity("loader", tenant)
    account = {"id": f"account-{uuid.uuid4().hex}"}
    rates = [
        {
            "id": f"rate-{uuid.uuid4().hex}",
            "billingAccount": account,
            "taxExcludedAmount": {"unit": "EUR", "value": 10},
        }
        for _ in range(40)
    ]
    context = engine.writer.request_context(staff, system=True)
    engine.writer.create_many(staff, "AppliedCustomerBillingRate", rates, context)

    def order_bill():
        response = api.post(
            f"{BILLING}/customerBillOnDemand",
            json={"billingAccount": account, "relatedParty": {"id": "p"}},
        )
        assert response.status_code in {201, 409}, response.text
        return response.json().get("href")

    tasks = [href for href in simultaneously(*[order_bill] * count) if href]
    deadline = time.monotonic() + 60
    states = {}
    while len(states) < len(tasks) and time.monotonic() < deadline:
        time.sleep(0.2)
        bodies = {href: api.get(href).json() for href in tasks}
        states = {href: body for href, body in bodies.items() if body["state"] in FINAL_STATES}
    assert len(states) == len(tasks)
    (bill,) = api.get(f"{BILLING}/customerBill").json()
    assert bill["taxExcludedAmount"] == {"unit": "EUR", "value": 400}
    done = [body for body in states.values() if body["state"] == "done"]
    assert done
    assert {body["customerBill"]["id"] for body in done} == {bill["id"]}
    stored = api.get(f"{BILLING}/appliedCustomerBillingRate", params={"limit": "100"}).json()
    assert {(rate["isBilled"], rate["bill"]["id"]) for rate in stored} == {(True, bill["id"])}


def test_an_order_is_cancelled_once(api):
    item = {"id": "1", "action": "add", "productOffering": {"id": "none"}}
    order = api.post(f"{ORDERING}/productOrder", json={"productOrderItem": [item]}).json()
    body = {"productOrder": {"id": order["id"]}}

    def cancel():
        return api.post(f"{ORDERING}/cancelProductOrder", json=body).status_code

    statuses = simultaneously(*[cancel] * 8)
    assert statuses.count(201) <= 1
    assert set(statuses) <= {201, 409}


def test_an_alarm_is_acknowledged_once(api):
    alarm = {
        "alarmType": "environmentalAlarm",
        "perceivedSeverity": "major",
        "probableCause": "fire",
        "sourceSystemId": "s",
        "state": "raised",
        "alarmRaisedTime": "2026-01-01T00:00:00Z",
        "alarmedObject": {"id": "x"},
    }
    created = api.post(f"{ALARMS}/alarm", json=alarm)
    assert created.status_code == 201, created.text
    body = {"alarmPattern": [{"id": created.json()["id"]}], "ackUserId": "u", "ackSystemId": "s"}

    def acknowledge():
        return api.post(f"{ALARMS}/ackAlarms", json=body)

    responses = simultaneously(*[acknowledge] * 8)
    assert {response.status_code for response in responses} == {201}, responses[0].text
    assert {response.json()["state"] for response in responses} == {"done"}
    assert api.get(created.json()["href"]).headers["etag"] == '"2"'


def ring_of_changes(api, create, change, count=6):
    """Change each of some resources to rest on the next one, all at once; return the statuses."""
    ids = [create() for _ in range(count)]
    pairs = zip(ids, [*ids[1:], ids[0]], strict=True)
    calls = [partial(change, id, next_id) for id, next_id in pairs]
    return [response.status_code for response in simultaneously(*calls)]


def test_simultaneous_changes_close_no_ring_of_services(api):
    def create():
        body = {"name": "s", "state": "designed", "serviceSpecification": {"id": "x"}}
        return api.post(SERVICE, json=body).json()["id"]

    def change(id, next_id):
        return api.patch(f"{SERVICE}/{id}", json={"supportingService": [{"id": next_id}]})

    statuses = ring_of_changes(api, create, change)
    assert sorted(statuses) == [200] * 5 + [409]


def test_simultaneous_changes_close_no_ring_of_categories(api):
    def create():
        return api.post(f"{CATALOG}/category", json={"name": "c"}).json()["id"]

    def change(id, next_id):
        return api.patch(f"{CATALOG}/category/{id}", json={"parentId": next_id})

    statuses = ring_of_changes(api, create, change)
    assert sorted(statuses) == [200] * 5 + [400]


def test_simultaneous_changes_close_no_ring_of_resources(api):
    def create():
        relation = {"relationshipType": "near", "id": "elsewhere"}
        body = {"name": "r", "@type": "PhysicalResource", "resourceRelationship": [relation]}
        return api.post(RESOURCE, json=body).json()["id"]

    def change(id, next_id):
        relation = {"relationshipType": "isContainedIn", "id": next_id}
        patch = [{"op": "add", "path": "/resourceRelationship/-", "value": relation}]
        headers = {"Content-Type": "application/json-patch+json"}
        return api.patch(f"{RESOURCE}/{id}", content=json.dumps(patch), headers=headers)

    statuses = ring_of_changes(api, create, change)
    assert sorted(statuses) == [200] * 5 + [409]


def test_simultaneous_bundles_close_no_ring(api):
    def create():
        return api.post(f"{CATALOG}/productOffering", json={"name": "o"}).json()["id"]

    def change(id, next_id):
        part = {"id": next_id}
        return api.patch(f"{CATALOG}/productOffering/{id}", json={"bundledProductOffering": [part]})

    statuses = ring_of_changes(api, create, change)
    assert sorted(statuses) == [200] * 5 + [400]


@pytest.mark.parametrize("count", [6, 12])
def test_simultaneous_customers_of_a_party_become_one(mongodb_uri, contracts, count):
    settings = Settings(mongodb_database=f"test_{uuid.uuid4().hex[:12]}", unique_customers=True)
    with mongo_client(settings, mongodb_uri) as client:
        engine = Engine(settings, list(contracts.values()), client[settings.mongodb_database])
        staff = Identity("staff", "acme")
        body = {"@type": "Customer", "name": "c", "engagedParty": {"id": "p"}}

        def create():
            try:
                context = engine.writer.request_context(staff)
                engine.writer.create(staff, "Customer", dict(body), context)
            except TmfError as error:
                return error.status
            return 201

        statuses = simultaneously(*[create] * count)
        client.drop_database(settings.mongodb_database)
    assert sorted(statuses) == [201] + [409] * (count - 1)
