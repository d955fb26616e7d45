"""Management data of elements over HTTP: who writes them and who sees them, by every way."""

import json
from contextlib import ExitStack

import pytest

from tests.support.server import ALL_SCOPES
from tmf_apis.inventory.management import MANAGEMENT_CHARACTERISTICS
from tmf_apis.rest.pipeline.element_scope import ELEMENT_SCOPE

V5 = "/tmf-api/resourceInventoryManagement/v5/resource"
#: TMF639 v4 has a collection for each kind of resource.
V4 = "/tmf-api/resourceInventoryManagement/v4/resource"
HUB = "/tmf-api/resourceInventoryManagement/v5/hub"
DISCOVERY = "/tmf-api/networkOperations/v5/networkDiscovery"
BULK = {"Content-Type": "application/json-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
VALUES = {"adapterOptions": {"hostKey": "SHA256:x"}}
WITHOUT_SCOPE = tuple(scope for scope in ALL_SCOPES if scope != ELEMENT_SCOPE)


@pytest.fixture
def clients(authenticated_server, tenant):
    with ExitStack() as stack:

        def create_client(**claims):
            token = authenticated_server.token(tenant=tenant, **claims)
            return stack.enter_context(authenticated_server.client(token))

        yield create_client


@pytest.fixture
def manager(clients):
    """A member of the staff with the scope for elements."""
    return clients(subject="manager")


@pytest.fixture
def staff(clients):
    """A member of the staff without the scope for elements."""
    return clients(subject="staff", scopes=WITHOUT_SCOPE)


@pytest.fixture
def ada(clients):
    return clients(subject="ada", parties=["ada"])


def characteristic(name):
    value = VALUES.get(name, "127.0.0.1")
    type_ = "ObjectCharacteristic" if isinstance(value, dict) else "StringCharacteristic"
    return {"@type": type_, "name": name, "value": value}


def resource(*names, party=""):
    body = {"@type": "PhysicalResource", "name": "gw", "category": "accessGateway"}
    if names:
        body["resourceCharacteristic"] = [characteristic(name) for name in names]
    if party:
        reference = {"@type": "PartyRef", "id": party}
        related = {"@type": "RelatedPartyRefOrPartyRoleRef", "role": "customer"}
        body["relatedParty"] = [{**related, "partyOrPartyRole": reference}]
    return body


def create(client, body):
    response = client.post(V5, json=body)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def write_attempts(client, plain, element, name):
    """Yield the responses to all requests that write the management characteristic ``name``.

    Args:
        client: The client.
        plain: Id of a resource without management data that the client can change.
        element: Id of a resource with the characteristic.
        name: The characteristic.
    """
    characteristics = [characteristic(name)]
    change = {"@type": "PhysicalResource", "resourceCharacteristic": characteristics}
    addition = [{"op": "add", "path": "/resourceCharacteristic", "value": characteristics}]
    item = [{"op": "add", "path": "/resourceCharacteristic/-", "value": characteristics[0]}]
    yield "POST v5", client.post(V5, json=resource(name))
    yield "POST v4", client.post(V4, json={
        "@type": "Resource", "name": "gw",
        "resourceCharacteristic": [{"name": name, "value": VALUES.get(name, "x")}],
    })  # fmt: skip
    for path in (V5, V4):
        url = f"{path}/{plain}"
        yield f"merge patch {path}", client.patch(url, json=change, headers=MERGE)
        yield f"JSON patch {path}", client.patch(url, content=json.dumps(addition), headers=BULK)
        yield f"patch {path}", client.patch(url, json=change)
    bulk = [{"op": "add", "path": "/-", "value": resource(name)}]
    yield "bulk create", client.patch(V5, content=json.dumps(bulk), headers=BULK)
    yield "PUT", client.put(f"{V5}/{plain}", json=resource(name))
    url = f"{V5}/{element}"
    yield "remove", client.patch(url, json={"@type": "PhysicalResource",
                                            "resourceCharacteristic": []})  # fmt: skip
    yield "add to an element", client.patch(url, content=json.dumps(item), headers=BULK)
    yield "rename", client.patch(url, json={"@type": "PhysicalResource", "name": "x"})
    yield "DELETE", client.delete(url)


def assert_unchanged(manager, plain, element, name):
    assert "resourceCharacteristic" not in manager.get(f"{V5}/{plain}").json()
    stored = manager.get(f"{V5}/{element}").json()
    assert [each["name"] for each in stored["resourceCharacteristic"]] == [name]
    assert len(manager.get(V5).json()) == 2


@pytest.mark.parametrize("name", sorted(MANAGEMENT_CHARACTERISTICS))
def test_staff_without_the_scope_cannot_write_management_data(manager, staff, name):
    plain, element = create(staff, resource()), create(manager, resource(name))
    for what, response in write_attempts(staff, plain, element, name):
        assert response.status_code in {403, 405, 400, 200, 207}, (what, response.text)
        assert response.status_code != 200 or "403" in response.text, (what, response.text)
        if response.status_code == 403:
            assert ELEMENT_SCOPE in response.json()["message"], what
    assert_unchanged(manager, plain, element, name)
    assert staff.get(f"{V5}/{element}").status_code == 200


@pytest.mark.parametrize("name", sorted(MANAGEMENT_CHARACTERISTICS))
def test_a_party_cannot_write_management_data(manager, ada, name):
    plain, element = create(ada, resource()), create(manager, resource(name, party="ada"))
    for what, response in write_attempts(ada, plain, element, name):
        assert response.status_code in {403, 404, 405, 400, 200, 207}, (what, response.text)
        assert response.status_code != 200 or "40" in response.text, (what, response.text)
    assert_unchanged(manager, plain, element, name)


def test_staff_with_the_scope_write_management_data(manager):
    element = create(manager, resource("managementAddress"))
    patch = {"@type": "PhysicalResource", "name": "gw-2"}
    assert manager.patch(f"{V5}/{element}", json=patch).status_code == 200
    assert manager.delete(f"{V5}/{element}").status_code == 204


@pytest.mark.parametrize("name", sorted(MANAGEMENT_CHARACTERISTICS))
@pytest.mark.parametrize("path", [V4, V5])
def test_a_party_sees_nothing_of_an_element_that_names_it(manager, ada, name, path):
    element = create(manager, resource(name, party="ada"))
    assert manager.get(f"{path}/{element}").status_code == 200
    assert ada.get(f"{path}/{element}").status_code == 404
    assert ada.get(f"{path}/{element}", params={"fields": "name"}).status_code == 404
    filters = (
        {},
        {"name": "gw"},
        {"resourceCharacteristic.name": name},
        {"filter": f"$.resourceCharacteristic[?(@.name=='{name}')]"},
        {"sort": "name"},
        {"fields": "resourceCharacteristic"},
    )
    for parameters in filters:
        response = ada.get(path, params=parameters)
        assert response.status_code in {200, 400, 501}, parameters
        if response.status_code == 200:
            assert response.json() == [], parameters
            assert response.headers["X-Total-Count"] == "0", parameters


def test_a_resource_that_becomes_an_element_disappears_for_its_party(manager, ada):
    id = create(manager, resource(party="ada"))
    assert ada.get(f"{V5}/{id}").status_code == 200
    change = {"@type": "PhysicalResource",
              "resourceCharacteristic": [characteristic("managementAddress")]}  # fmt: skip
    assert manager.patch(f"{V5}/{id}", json=change).status_code == 200
    assert ada.get(f"{V5}/{id}").status_code == 404
    change["resourceCharacteristic"] = []
    assert manager.patch(f"{V5}/{id}", json=change).status_code == 200
    assert ada.get(f"{V5}/{id}").status_code == 200


def test_a_party_does_not_change_how_the_network_finds_its_port(manager, ada):
    port_name = {"@type": "StringCharacteristic", "name": "portName", "value": "sub1"}
    mark = {"@type": "ExternalIdentifier", "externalIdentifierType": "service", "id": "s-1",
            "owner": "tmf-apis"}  # fmt: skip
    body = {**resource(party="ada"), "resourceCharacteristic": [port_name]}
    port = create(manager, body)
    for change in (
        {"resourceCharacteristic": [{**port_name, "value": "sub7"}]},
        {"externalIdentifier": [mark]},
        {"name": "gw sub7"},
        {"category": "pool"},
    ):
        response = ada.patch(f"{V5}/{port}", json={"@type": "PhysicalResource", **change})
        assert response.status_code == 403, (change, response.text)
    note = {"@type": "PhysicalResource", "description": "by the door"}
    assert ada.patch(f"{V5}/{port}", json=note).status_code == 200


def test_only_staff_with_the_scope_start_a_discovery(manager, staff, ada):
    task = {"@type": "NetworkDiscovery", "target": ["127.0.0.1:9"]}
    assert manager.post(DISCOVERY, json=task).status_code in {201, 202}
    for client in (staff, ada):
        assert client.post(DISCOVERY, json=task).status_code == 403


def test_elements_of_earlier_releases_become_the_operators(operator):
    resources = operator.database["Resource"]
    element = operator.repository.find("Resource", {"name": "gw"})[0]["id"]
    key = f"{operator.tenant}:{element}"
    resources.update_one({"_id": key}, {"$set": {"parties": ["ada"], "owner": ["ada"]}})
    operator.database["meta"].delete_one({"_id": "ownerRoles"})
    operator.engine.prepare()
    assert resources.find_one({"_id": key})["parties"] == []
