"""PUT, which only TMF639 v4 has, for logical resources."""

import httpx
import pytest

PATH = "/tmf-api/resourceInventoryManagement/v4/logicalResource"


@pytest.fixture
def resource(server):
    body = {"@type": "LogicalResource", "name": "vlan 7", "value": "7", "description": "old"}
    created = httpx.post(server.url + PATH, json=body)
    assert created.status_code == 201, created.text
    return created


def test_put_replaces_all_attributes(resource):
    url = resource.headers["location"]
    response = httpx.put(url, json={"@type": "LogicalResource", "name": "vlan 8"})
    assert response.status_code == 200, response.text
    replaced = response.json()
    assert (replaced["id"], replaced["href"], replaced["name"]) == (
        resource.json()["id"],
        url,
        "vlan 8",
    )
    assert "description" not in replaced
    assert "value" not in replaced
    assert httpx.get(url).json() == replaced


def test_an_invalid_put_changes_nothing(resource):
    url = resource.headers["location"]
    assert httpx.put(url, json={"name": 5}).status_code == 400
    assert httpx.put(url, json={"name": "x"}, headers={"If-Match": '"9"'}).status_code == 412
    assert httpx.get(url).json() == resource.json()


def test_put_does_not_create_a_resource(server):
    response = httpx.put(f"{server.url}{PATH}/nothing", json={"name": "x"})
    assert response.status_code == 404
