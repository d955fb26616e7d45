"""POST /productOrder?dryRun=true over HTTP: the plan of an order, without any change."""

import json
import uuid
from contextlib import ExitStack

import pytest

V4, V5 = (f"/tmf-api/productOrderingManagement/{version}/productOrder" for version in ("v4", "v5"))
CATALOGUE = "/tmf-api/productCatalogManagement/v5"
INVENTORY = "/tmf-api/resourceInventoryManagement/v5/resource"
STATUS = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


def create(client, path, body):
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def offering_body(client, **values):
    characteristics = [
        {
            "@type": "CharacteristicSpecification",
            "name": name,
            "valueType": "string" if isinstance(value, str) else "integer",
            "characteristicValueSpecification": [
                {"@type": "CharacteristicValueSpecification", "value": value}
            ],
        }
        for name, value in values.items()
    ]
    specification = {"@type": "ProductSpecification", "name": "Access", **STATUS}
    id = create(client, f"{CATALOGUE}/productSpecification",
              {**specification, "productSpecCharacteristic": characteristics})  # fmt: skip
    return {
        "@type": "ProductOffering",
        "name": "Fibre",
        "productSpecification": {"@type": "ProductSpecificationRef", "id": id},
        **STATUS,
    }


@pytest.fixture(scope="module")
def fibre(client):
    """The id of an offering that can be fulfilled."""
    body = offering_body(client, serviceType="broadband", downstreamSpeed=100, upstreamSpeed=40)
    return create(client, f"{CATALOGUE}/productOffering", body)


@pytest.fixture(scope="module")
def site(client):
    """The id of a place with one free port."""
    return create_site(client)


def create_site(client):
    """Create an element with one free port; return the id of its place."""
    site, tag = uuid.uuid4().hex[:8], uuid.uuid4().hex[:8]
    address = [{"@type": "StringCharacteristic", "name": "managementAddress", "value": "192.0.2.7"}]
    gateway = create(client, INVENTORY, {
        "@type": "PhysicalResource", "category": "accessGateway", "name": f"gw-{tag}",
        "administrativeState": "unlocked",
        "place": [{"@type": "RelatedPlaceRefOrValue", "role": "site",
                   "place": {"@type": "PlaceRef", "id": site}}],
        "resourceCharacteristic": address,
    })  # fmt: skip
    containment = {"@type": "ResourceRelationship", "relationshipType": "isContainedIn",
              "resource": {"@type": "ResourceRef", "id": gateway}}  # fmt: skip
    create(client, INVENTORY, {
        "@type": "PhysicalResource", "category": "accessPort", "name": f"port-{tag}",
        "resourceRelationship": [containment],
    })  # fmt: skip
    return site


def order(fibre, site, count=1, version="v5"):
    place = {"id": site, "@type": "PlaceRef"}
    related_place = {"role": "site", "@type": "RelatedPlaceRefOrValue", "place": place}
    if version == "v4":
        related_place = {"role": "site", "id": site}
    return {
        "@type": "ProductOrder",
        "productOrderItem": [
            {
                "@type": "ProductOrderItem",
                "id": str(number),
                "action": "add",
                "productOffering": {"@type": "ProductOfferingRef", "id": fibre},
                "product": {"@type": "Product", "place": [related_place]},
            }
            for number in range(1, count + 1)
        ],
    }


@pytest.mark.parametrize(("path", "version"), [(V4, "v4"), (V5, "v5")])
def test_a_dry_run_returns_the_plan_and_creates_nothing(client, fibre, site, path, version):
    before = client.get(path).headers["X-Total-Count"]
    response = client.post(f"{path}?dryRun=true", json=order(fibre, site, version=version))
    assert response.status_code == 200, response.text
    plan = response.json()["fulfilmentPlan"]
    assert plan["feasible"], plan
    (task,) = plan["task"]
    assert task["setting"] == {"downstream": 100_000_000, "upstream": 40_000_000}
    assert task["element"]["name"].startswith("gw-")
    assert task["resource"][0]["name"].startswith("port-")
    assert "the service is removed" in task["undo"]
    assert client.get(f"{path}/{response.json()['id']}").status_code == 404
    assert client.get(path).headers["X-Total-Count"] == before


def test_missing_resources_are_reported(client, fibre, site):
    response = client.post(f"{V5}?dryRun=true", json=order(fibre, site, count=2))
    assert response.status_code == 200
    plan = response.json()["fulfilmentPlan"]
    assert not plan["feasible"]
    (missing,) = plan["missing"]
    assert missing["orderItemId"] == "2"
    assert f"no access port is free at {site}" in missing["reason"]


def test_a_dry_run_applies_the_rules_of_a_real_order(client, fibre, site):
    wrong = order(fibre, site)
    wrong["productOrderItem"][0]["quantity"] = -1
    real, dry = (client.post(path, json=wrong) for path in (V5, f"{V5}?dryRun=true"))
    assert (real.status_code, dry.status_code) == (400, 400)
    assert real.json()["message"] == dry.json()["message"]
    assert client.post(f"{V5}?dryRun=perhaps", json=order(fibre, site)).status_code == 400
    other = client.post(f"{CATALOGUE}/category?dryRun=true",
                        json={"@type": "Category", "name": "x", **STATUS})  # fmt: skip
    assert other.status_code == 400


def test_an_offering_that_cannot_be_fulfilled_cannot_be_launched(client):
    body = offering_body(client, serviceType="broadband", downstreamSpeed=100)
    response = client.post(f"{CATALOGUE}/productOffering", json=body)
    assert response.status_code == 409
    assert "upstreamSpeed" in response.json()["message"]
    draft = {**body, "lifecycleStatus": "In design"}
    assert client.post(f"{CATALOGUE}/productOffering", json=draft).status_code == 201


@pytest.fixture
def token_client(authenticated_server, tenant):
    """A function that returns clients of the test's tenant."""
    with ExitStack() as stack:

        def create_client(**claims):
            token = authenticated_server.token(tenant=tenant, **claims)
            return stack.enter_context(authenticated_server.client(token))

        yield create_client


@pytest.mark.parametrize(("path", "version"), [(V4, "v4"), (V5, "v5")])
def test_a_dry_run_shows_a_party_nothing_of_the_network(token_client, path, version):
    staff, ada = token_client(), token_client(parties=["ada"])
    body = offering_body(staff, serviceType="broadband", downstreamSpeed=100, upstreamSpeed=40)
    fibre, site = create(staff, f"{CATALOGUE}/productOffering", body), create_site(staff)
    request = order(fibre, site, version=version)
    plans = []
    for client in (staff, ada):
        response = client.post(f"{path}?dryRun=true", json=request)
        assert response.status_code == 200, response.text
        plan = response.json()["fulfilmentPlan"]
        assert plan["feasible"], plan
        plans.append(json.dumps(plan))
    for detail in ("gw-", "port-", '"element"', '"resource"', '"setting"', "snmp"):
        assert (detail in plans[0], detail in plans[1]) == (True, False), detail
    assert "downstreamSpeed" in plans[1]
