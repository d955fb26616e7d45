"""PUT, which of the contracts only TMF639 v4 has, for logical resources."""

import httpx
import pytest

PATH = "/tmf-api/resourceInventoryManagement/v4/logicalResource"


@pytest.fixture
def resource(server):
    body = {"@type": "LogicalResource", "name": "vlan 7", "value": "7", "description": "old"}
    made = httpx.post(server.url + PATH, json=body)
    assert made.status_code == 201, made.text
    return made


def test_put_sets_every_attribute_anew(resource):
    place = resource.headers["location"]
    answer = httpx.put(place, json={"@type": "LogicalResource", "name": "vlan 8"})
    assert answer.status_code == 200, answer.text
    now = answer.json()
    assert (now["id"], now["href"], now["name"]) == (resource.json()["id"], place, "vlan 8")
    assert "description" not in now
    assert "value" not in now
    assert httpx.get(place).json() == now


def test_put_of_what_the_contract_does_not_allow_changes_nothing(resource):
    place = resource.headers["location"]
    assert httpx.put(place, json={"name": 5}).status_code == 400
    assert httpx.put(place, json={"name": "x"}, headers={"If-Match": '"9"'}).status_code == 412
    assert httpx.get(place).json() == resource.json()


def test_put_makes_no_resource(server):
    answer = httpx.put(f"{server.url}{PATH}/nothing", json={"name": "x"})
    assert answer.status_code == 404
