"""Requests with attributes of the other version: each version serves all that one lets in."""

from urllib.parse import quote

import pytest

from tests.support.contract_collections import COLLECTIONS

ORDER = "/tmf-api/productOrderingManagement"


def other_version(path):
    return path.replace("/v4/", "/v5/") if "/v4/" in path else path.replace("/v5/", "/v4/")


def check(client, path, action="retrieve"):
    """Check the response of a version against its contract, apart from missing attributes."""
    segment = "/".join(path.split("/")[:5])
    collection = next(c for c in COLLECTIONS if c.path == segment)
    response = client.get(path)
    assert response.status_code in {200, 206}, response.text
    collection.check_response(action, response, types_only=True)
    return response.json()


@pytest.mark.parametrize(
    ("path", "body", "attribute"),
    [
        (
            "/tmf-api/productCatalogManagement/v4/productOffering",
            {"name": "x", "productOfferingCharacteristic": {"name": "r"}},
            "/productOfferingCharacteristic",
        ),
        (
            f"{ORDER}/v4/productOrder",
            {
                "productOrderItem": [{"id": "1", "action": "add"}],
                "productOrderMilestone": {"name": "m"},
            },
            "/productOrderMilestone",
        ),
        (
            "/tmf-api/resourceInventoryManagement/v4/resource",
            {"name": "x", "@type": "PhysicalResource", "serialNumber": {"a": 1}},
            "/serialNumber",
        ),
        (
            "/tmf-api/resourceInventoryManagement/v4/resource",
            {"name": "x", "@type": "SoftwareResource", "targetPlatform": {"a": 1}},
            "/targetPlatform",
        ),
        (
            "/tmf-api/resourceInventoryManagement/v5/resource",
            {"name": "x", "@type": "PhysicalResource", "resourceStatus": "unheard"},
            "/resourceStatus",
        ),
    ],
)
def test_an_attribute_that_the_other_version_cannot_serve_is_refused(api, path, body, attribute):
    response = api.post(path, json=body)
    assert response.status_code == 400, response.text
    assert attribute in response.json()["message"]


def test_a_patch_and_a_bulk_patch_are_refused_like_a_create(api):
    item = {"id": "1", "action": "add"}
    order = api.post(f"{ORDER}/v4/productOrder", json={"productOrderItem": [item]}).json()
    path = f"{ORDER}/v4/productOrder/{order['id']}"
    change = {"productOrderMilestone": {"name": "m"}}
    assert api.patch(path, json=change).status_code == 400
    operation = {"op": "add", "path": "/productOrderMilestone", "value": {"name": "m"}}
    headers = {"Content-Type": "application/json-patch+json"}
    assert api.patch(path, json=[operation], headers=headers).status_code == 400
    bulk = [{**operation, "path": f"/{order['id']}/productOrderMilestone"}]
    response = api.patch(f"{ORDER}/v4/productOrder", json=bulk, headers=headers)
    assert response.json()[0]["status"] == 400
    assert api.patch(path, json={"description": "x"}).status_code == 200


def test_the_parties_of_a_cancellation_have_the_form_of_each_version(api):
    item = {"id": "1", "action": "add", "productOffering": {"id": "x"}}
    party = {"id": "p-1", "role": "customer", "@referredType": "Individual"}
    order = {"productOrderItem": [item], "relatedParty": [party]}
    order = api.post(f"{ORDER}/v4/productOrder", json=order).json()
    body = {"productOrder": {"id": order["id"]}}
    created = api.post(f"{ORDER}/v4/cancelProductOrder", json=body)
    assert created.status_code == 201, created.text
    path = f"{ORDER}/v4/cancelProductOrder/{created.json()['id']}"
    assert created.json()["relatedParty"] == order["relatedParty"]
    assert check(api, path)["relatedParty"] == order["relatedParty"]
    [in_v5] = check(api, other_version(path))["relatedParty"]
    assert (in_v5["partyOrPartyRole"]["id"], in_v5["role"]) == ("p-1", "customer")


def test_a_draft_order_is_acknowledged_in_v4_until_a_client_changes_its_state(api):
    address = {"@type": "GeographicAddress", "city": "Paris"}
    place = {"@type": "RelatedPlaceRefOrValue", "role": "site", "place": address}
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": "add",
        "product": {"@type": "Product", "place": [place]},
    }
    body = {
        "@type": "ProductOrder",
        "requestedInitialState": "draft",
        "productOrderItem": [item],
    }
    created = api.post(f"{ORDER}/v5/productOrder", json=body)
    assert created.json()["state"] == "draft"
    path = f"{ORDER}/v4/productOrder/{created.json()['id']}"
    order = check(api, path)
    assert order["state"] == "acknowledged"
    assert order["productOrderItem"][0]["product"]["place"] == [
        {"@type": "GeographicAddress", "role": "site", "city": "Paris"}
    ]
    orders = api.get(f"{ORDER}/v4/productOrder?state=acknowledged&fields=state").json()
    assert [order["state"] for order in orders] == ["acknowledged"]
    assert api.get(f"{ORDER}/v4/productOrder?state=draft").json() == []
    for query, count in (
        ("state>draft", 0),
        ("state<=draft", 1),
        ("filter=$[?(@.state > 'draft')]", 0),
        ("filter=$[?(@.state <= 'draft')]", 1),
        ("state.regex=^ackno", 1),
        ("state.regex=draft", 0),
        ("filter=$[?(@.state =~ /^ACK/i)]", 1),
        ("state.ne=acknowledged", 0),
        ("state.nin=acknowledged,held", 0),
        ("productOrderItem.state>zz", 0),
    ):
        response = api.get(f"{ORDER}/v4/productOrder?{quote(query, '=$')}")
        assert (response.status_code, response.headers["x-total-count"]) == (200, str(count)), query
    for version in ("v4", "v5"):
        assert api.get(f"{ORDER}/{version}/productOrder?sort=-state").status_code == 200
    echo = {"state": "acknowledged", "productOrderItem": order["productOrderItem"]}
    assert api.patch(path, json={**echo, "description": "x"}).status_code == 200
    stored = check(api, other_version(path))
    assert stored["state"] == "draft"
    assert stored["productOrderItem"][0]["product"]["place"] == [place]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"perceivedSeverity": "MAJOR", "state": "Raised"}, ("major", "raised")),
        ({"perceivedSeverity": "major", "state": "RAISED"}, ("major", "raised")),
    ],
)
def test_an_alarm_has_the_published_spelling_in_both_versions(api, sent, kept):
    path = "/tmf-api/alarmManagement/v4/alarm"
    body = {"alarmType": "equipmentAlarm", "probableCause": "x", "sourceSystemId": "s"}
    body |= {"alarmedObject": {"id": "o"}, "alarmRaisedTime": "2026-01-02T03:04:05Z"}
    created = api.post(path, json={**body, **sent})
    assert created.status_code == 201, created.text
    own = f"{path}/{created.json()['id']}"
    for version in (own, other_version(own)):
        alarm = check(api, version)
        assert (alarm["perceivedSeverity"], alarm["state"]) == kept
    assert api.patch(own, json={"state": "CLEARED"}).json()["state"] == "cleared"
    assert api.patch(own, json={"state": "Updated"}).status_code == 409
    assert api.patch(own, json={"state": "gone"}).status_code == 400


def create_alarm(api, **attributes):
    body = {"alarmType": "equipmentAlarm", "probableCause": "x", "sourceSystemId": "s"}
    body |= {"alarmedObject": {"id": "o"}, "alarmRaisedTime": "2026-01-02T03:04:05Z"}
    body |= {"perceivedSeverity": "major", "state": "raised"}
    return api.post("/tmf-api/alarmManagement/v4/alarm", json={**body, **attributes})


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("perceivedSeverity=MAJOR", 1),
        ("perceivedSeverity=major", 1),
        ("perceivedSeverity=MAJOR,Minor", 2),
        ("perceivedSeverity.in=MAJOR,Minor", 2),
        ("perceivedSeverity=MAJOR;state=UPDATED", 1),
        ("perceivedSeverity!=MAJOR", 1),
        ("perceivedSeverity.nin=MAJOR,MINOR", 0),
        ("alarmType=EQUIPMENT_ALARM", 2),
        ("filter=$[?(@.perceivedSeverity == 'MAJOR')]", 1),
        ("filter=$[?(@.perceivedSeverity in ['MAJOR', 'Minor'])]", 2),
        ("perceivedSeverity>MAJOR", 1),
        ("perceivedSeverity.regex=^maj", 1),
        ("perceivedSeverity.regex=MAJ", 0),
        ("perceivedSeverity=nonsense", 0),
    ],
)
def test_a_filter_takes_the_spellings_of_a_body(api, query, count):
    assert create_alarm(api, perceivedSeverity="MAJOR").status_code == 201
    assert create_alarm(api, perceivedSeverity="minor").status_code == 201
    response = api.get(f"/tmf-api/alarmManagement/v4/alarm?{quote(query, '=$&;')}")
    assert response.status_code == 200, response.text
    assert response.headers["x-total-count"] == str(count)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("operationalState=enable", "b"),
        ("operationalState=enabled", ""),
        ("operationalState.regex=e$", "ab"),
        ("operationalState.regex=d$", ""),
        ("operationalState>disable", "b"),
        ("operationalState>=disable", "ab"),
        ("filter=$[?(@.operationalState >= 'disable')]", "ab"),
        ("sort=operationalState", "ab"),
        ("sort=-operationalState", "ba"),
    ],
)
def test_a_query_compares_the_values_that_its_version_shows(api, query, names):
    path = "/tmf-api/resourceInventoryManagement/v4/resource"
    for name, state in (("b", "enable"), ("a", "disable")):
        body = {"name": name, "@type": "LogicalResource", "operationalState": state}
        assert api.post(path, json=body).status_code == 201
    response = api.get(f"{path}?{quote(query, '=$')}")
    assert response.status_code == 200, response.text
    found_names = [resource["name"] for resource in response.json()]
    assert (found_names if "sort" in query else sorted(found_names)) == list(names)


def test_a_list_is_sorted_by_its_types(api):
    path = "/tmf-api/productCatalogManagement/v4/catalog"
    for number, type in enumerate(["Zoo", "Catalog", "Zoo", "Catalog"]):
        body = {"name": f"n{number}", "@type": type, "@baseType": "Catalog"}
        assert api.post(path, json=body).status_code == 201
    types = [catalog["@type"] for catalog in api.get(f"{path}?sort=@type").json()]
    assert types == ["Catalog", "Catalog", "Zoo", "Zoo"]


@pytest.mark.parametrize("query", ["@type>A", "@type.regex=Cat", "@type.lte=A,B"])
def test_a_comparison_without_meaning_is_refused(api, query):
    response = api.get(f"/tmf-api/productCatalogManagement/v4/catalog?{quote(query, '=$')}")
    assert response.status_code == 400
    assert "has other values in this version than are stored" in response.json()["message"]


def test_the_faults_in_both_versions_are_in_one_answer(api):
    faulty = {"ackState": 5, "perceivedSeverity": "unheard", "state": "gone"}
    refused = create_alarm(api, **faulty)
    assert refused.status_code == 400
    message = refused.json()["message"]
    assert message.count("/ackState: ") == 1
    assert message.count("/perceivedSeverity: the value is not one of ") == 1
    assert "/state: " in message
    assert "(in v5, which serves this resource too)" in message
    alarm = create_alarm(api).json()
    changed = api.patch(alarm["href"], json=faulty)
    assert changed.status_code == 400
    for name in faulty:
        assert changed.json()["message"].count(f"/{name}: ") == 1


BASES = [
    ("productCatalogManagement/v4/category", "Category"),
    ("productOrderingManagement/v4/productOrder", "ProductOrder"),
    ("resourceInventoryManagement/v4/resource", "Resource"),
    ("alarmManagement/v4/alarm", "Alarm"),
]


@pytest.mark.parametrize(("path", "kind"), BASES)
@pytest.mark.parametrize("base", [{}, {"@baseType": "Unheard"}])
def test_v5_shows_a_base_of_a_type_that_no_contract_has(api, path, kind, base):
    v4 = f"/tmf-api/{path}"
    collection = next(c for c in COLLECTIONS if c.path == v4)
    created = api.post(v4, json={**collection.body(api), "@type": "Unheard", **base})
    assert created.status_code == 201, created.text
    own = f"{v4}/{created.json()['id']}"
    for query in ("", "?fields=name,@baseType"):
        in_v5 = api.get(f"{other_version(own)}{query}").json()
        assert (in_v5["@type"], in_v5["@baseType"]) == ("Unheard", kind)
    assert api.get(own).json().get("@baseType") == base.get("@baseType")
    changes = [{"@type": "Unheard", "description": "y"}, {"@baseType": kind, "description": "z"}]
    for change in changes:
        changed = api.patch(other_version(own), json=change)
        assert changed.status_code == 200, changed.text
        assert changed.json()["@baseType"] == kind
