"""The notifications of all kinds over HTTP, held to the contracts of their subscribers."""

import pytest

from tests.support.callback_listener import CallbackListener
from tests.support.contract_collections import CONTRACTS, collections_with, validators
from tests.support.waiting import wait_until
from tmf_apis.rest.contracts.contract import event_types

CREATABLE = [c for c in collections_with("create") if c.kind != "ResolveDifference"]
CHANGE = {"description": "changed", "name": "changed"}


@pytest.fixture
def listener():
    running = CallbackListener()
    yield running
    running.close()


@pytest.fixture
def received(api, listener):
    """The notifications of all contracts: (contract, body)."""
    for contract in CONTRACTS:
        callback = f"{listener.url}/{contract.number}/{contract.version}"
        body = {"@type": "Hub", "callback": callback}
        response = api.post(f"{contract.base_path}/hub", json=body)
        assert response.status_code == 201, response.text
    by_path = {f"/cb/{c.number}/{c.version}": c for c in CONTRACTS}

    def received():
        pairs = zip(list(listener.paths), list(listener.received), strict=False)
        return [(by_path[path], body) for path, body in pairs]

    return received


def write_everything(api):
    """Create, change and delete a resource of every kind; return the ids that have events."""
    ids = set()
    for collection in CREATABLE:
        url = collection.create(api, full=True).headers["location"]
        if f"{collection.schema}CreateEvent" in event_types(collection.contract):
            ids.add(url.rpartition("/")[2])
        if "patch" in collection.operations:
            for name, value in CHANGE.items():
                api.patch(url, json={name: value})
        if "delete" in collection.operations:
            api.delete(url)
    return ids


def test_every_notification_of_every_kind_is_valid_in_both_versions(api, received):
    ids = write_everything(api)

    def resource_ids():
        return {resource["id"] for _, body in received() for resource in body["event"].values()}

    wait_until(lambda: ids <= resource_ids(), timeout=60)
    types = set()
    for contract, body in received():
        type_ = body["eventType"]
        assert type_ in event_types(contract)
        types.add((contract.number, contract.version, type_))
        if contract.version == "v5":
            assert body["@type"] == type_
        else:
            assert "@type" not in body
        assert ("fieldPath" in body) == (type_.endswith("ChangeEvent"))
        if type_ in contract.document["components"]["schemas"]:
            problems = [
                f"{list(error.instance_path)}: {error.message}"
                for error in validators(contract).validator(type_).iter_errors(body)
                if " is a required property" not in error.message
                or error.message.startswith('"@type"')
            ]
            assert problems == [], f"{contract.number} {contract.version} {body}"
    assert {version for _, version, _ in types} == {"v4", "v5"}


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_a_change_names_its_attributes_as_the_version_does(api, listener, version):
    base = f"/tmf-api/productCatalogManagement/{version}"
    query = "eventType=CategoryAttributeValueChangeEvent"
    hub = {"@type": "Hub", "callback": listener.url, "query": query}
    assert api.post(f"{base}/hub", json=hub).status_code == 201
    categories = "/tmf-api/productCatalogManagement/v5/category"
    body = {"@type": "Category", "name": "a"}
    parent, child = (api.post(categories, json=body).json() for _ in range(2))
    change = {"parent": {"@type": "CategoryRef", "id": parent["id"]}, "description": "b"}
    assert api.patch(child["href"], json=change).status_code == 200
    wait_until(lambda: [b for b in listener.received if _category(b)["id"] == child["id"]])
    [event] = [b for b in listener.received if _category(b)["id"] == child["id"]]
    changed = set(event["fieldPath"].split(","))
    assert {"description", "parentId" if version == "v4" else "parent"} <= changed
    assert not {"lastUpdate", "name", "id"} & changed


def test_a_hub_query_takes_the_spellings_of_a_body(api, listener):
    base = "/tmf-api/alarmManagement/v4"
    query = "event.alarm.perceivedSeverity=MAJOR"
    hub = {"callback": listener.url, "query": query}
    assert api.post(f"{base}/hub", json=hub).status_code == 201
    for severity in ("minor", "Major"):
        body = {"alarmType": "equipmentAlarm", "probableCause": "x", "sourceSystemId": "s"}
        body |= {"alarmedObject": {"id": "o"}, "alarmRaisedTime": "2026-01-02T03:04:05Z"}
        body |= {"perceivedSeverity": severity, "state": "raised"}
        assert api.post(f"{base}/alarm", json=body).status_code == 201
    wait_until(lambda: listener.received)
    [event] = listener.received
    assert event["event"]["alarm"]["perceivedSeverity"] == "major"


def _category(body):
    return body["event"]["category"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: f"{c.number}-{c.version}")
def test_an_unknown_event_type_in_a_hub_query_is_400_and_lists_the_known_ones(api, contract):
    known, *_ = sorted(event_types(contract))
    unknown = "NoSuchEvent"
    for query in (
        f"eventType={unknown}",
        f"eventType={known},{unknown}",
        f"eventType={known};{unknown}",
        f"eventType={known}&eventType={unknown}",
        f"eventType.in={unknown},{known}",
        f"eventType.ne={unknown}",
        f'eventType="{unknown}"',
        f"eventType={known}&fields=eventId&eventType=={unknown}",
        f"eventType={known.upper()}",
        "eventType=",
    ):
        hub = {"@type": "Hub", "callback": "http://127.0.0.1:9/x", "query": query}
        response = api.post(f"{contract.base_path}/hub", json=hub)
        assert response.status_code == 400, query
        assert known in response.json()["message"]
    hub["query"] = f"eventType={known}"
    assert api.post(f"{contract.base_path}/hub", json=hub).status_code == 201
