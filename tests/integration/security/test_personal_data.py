"""Personal attributes: encrypted wherever they are stored, and masked without the scope ``pii``."""

import uuid

import orjson
import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from tests.support.contract_collections import CONTRACTS, collections_with
from tests.support.server import ALL_SCOPES
from tmf_apis.security.personal_attributes import MASK, PersonalAttributes
from tmf_apis.store.embedded_mongod import EmbeddedMongod

CUSTOMERS = "/tmf-api/customerManagement/v5/customer"
CUSTOMERS_V4 = "/tmf-api/customerManagement/v4/customer"
TABLE = PersonalAttributes()
#: The collections whose resources can have personal attributes.
PERSONAL = [c for c in collections_with("create") if TABLE.rules(c.kind)]


@pytest.fixture
def secret():
    """A text that occurs nowhere else."""
    return f"zq{uuid.uuid4().hex}"


@pytest.fixture
def staff(authenticated_server, tenant):
    """Staff without the scope ``pii``."""
    scopes = tuple(scope for scope in ALL_SCOPES if scope != "pii")
    token = authenticated_server.token(tenant=tenant, scopes=(*scopes, "admin"))
    with authenticated_server.client(token) as client:
        yield client


@pytest.fixture
def occurrences(authenticated_server):
    """A function that returns the collections in whose documents a text occurs, as it is stored."""
    uri = EmbeddedMongod(authenticated_server.settings).uri
    options = CodecOptions(document_class=RawBSONDocument)
    with MongoClient(uri) as client:
        database = client.get_database("tmf", codec_options=options)

        def search(text):
            return [
                name
                for name in database.list_collection_names()
                for document in database[name].find()
                if text.encode() in document.raw
            ]

        yield search


def customer(secret, **members):
    return {
        "@type": "Customer",
        "name": "a customer",
        "engagedParty": {"@type": "PartyRef", "id": f"party-{secret}", "name": "a party"},
        "contactMedium": [
            {
                "@type": "EmailContactMedium",
                "id": "1",
                "preferred": True,
                "emailAddress": f"{secret}@example.net",
            },
            {"@type": "PhoneContactMedium", "id": "2", "phoneNumber": "+44 7700 900123"},
        ],
        **members,
    }


def create(client, path, resource):
    response = client.post(path, json=resource)
    assert response.status_code == 201, response.text
    return response.json()


def test_personal_values_come_back_as_they_were_sent(api, secret):
    sent = customer(secret)
    created = create(api, CUSTOMERS, sent)
    assert created["contactMedium"] == sent["contactMedium"]
    assert api.get(f"{CUSTOMERS}/{created['id']}").json() == created
    assert api.get(CUSTOMERS).json() == [created]
    assert api.get(CUSTOMERS, params={"fields": "contactMedium"}).json()[0][
        "contactMedium"
    ] == sent["contactMedium"]  # fmt: skip


@pytest.mark.parametrize("path", [CUSTOMERS, CUSTOMERS_V4])
@pytest.mark.parametrize("parameters", [{}, {"fields": "name,contactMedium"}])
def test_without_the_scope_personal_values_are_masked(api, staff, secret, path, parameters):
    id = create(api, CUSTOMERS, customer(secret))["id"]
    for url in (path, f"{path}/{id}"):
        response = staff.get(url, params=parameters)
        assert response.status_code == 200
        assert f"{secret}@" not in response.text
        assert MASK in response.text
        assert "a customer" in response.text


def test_the_response_to_a_write_is_masked_without_the_scope(api, staff, secret):
    response = staff.post(CUSTOMERS, json=customer(secret))
    assert response.status_code == 201
    assert f"{secret}@" not in response.text
    url = f"{CUSTOMERS}/{response.json()['id']}"
    response = staff.patch(url, json={"name": "another name"})
    assert response.status_code == 200
    assert f"{secret}@" not in response.text
    assert api.get(url).json()["contactMedium"] == customer(secret)["contactMedium"]


@pytest.mark.parametrize("path", [CUSTOMERS, CUSTOMERS_V4])
def test_a_mask_that_comes_back_leaves_the_value_as_it_is(api, staff, secret, path):
    id = create(api, CUSTOMERS, customer(secret))["id"]
    masked = staff.get(f"{path}/{id}").json()
    second = masked["contactMedium"][1]
    second["preferred"] = False
    response = staff.patch(f"{path}/{id}", json={"contactMedium": [second]})
    assert response.status_code == 200, response.text
    media = api.get(f"{CUSTOMERS}/{id}").json()["contactMedium"]
    assert [medium.get("phoneNumber") for medium in media] == ["+44 7700 900123"]
    assert media[0]["preferred"] is False


def test_a_mask_for_an_unknown_value_is_refused(api, staff, secret):
    id = create(api, CUSTOMERS, customer(secret))["id"]
    medium = {"@type": "EmailContactMedium", "id": "9", "emailAddress": MASK}
    patch = [{"op": "add", "path": "/contactMedium/-", "value": medium}]
    headers = {"content-type": "application/json-patch+json"}
    response = staff.patch(f"{CUSTOMERS}/{id}", json=patch, headers=headers)
    assert response.status_code == 403, response.text
    assert "pii" in response.json()["message"]


@pytest.mark.parametrize("path", [CUSTOMERS, CUSTOMERS_V4])
def test_a_mask_in_a_new_resource_is_refused(api, staff, secret, path):
    """An order would write it over the value of the product that it changes."""
    party = {"@type": "PartyRef", "id": secret, "@referredType": "Individual"}
    created = create(api, CUSTOMERS, customer(secret, engagedParty=party))
    read = staff.get(f"{path}/{created['id']}").json()
    response = staff.post(path, json=read)
    assert response.status_code == 403, response.text
    assert "is masked; leave it out" in response.json()["message"]
    del read["contactMedium"]
    assert staff.post(path, json=read).status_code == 201


def test_a_test_of_a_json_patch_does_not_reveal_a_value(api, staff, secret):
    id = create(api, CUSTOMERS, customer(secret))["id"]
    path = "/contactMedium/0/emailAddress"
    patch = [{"op": "test", "path": path, "value": f"{secret}@example.net"}]
    headers = {"content-type": "application/json-patch+json"}
    assert staff.patch(f"{CUSTOMERS}/{id}", json=patch, headers=headers).status_code == 409
    assert api.patch(f"{CUSTOMERS}/{id}", json=patch, headers=headers).status_code == 200


@pytest.mark.parametrize("path", [CUSTOMERS, CUSTOMERS_V4])
def test_a_guess_of_a_value_is_answered_as_another_value(api, staff, secret, path):
    answers = []
    for text in (f"{secret}@example.net", "other@example.net"):
        url = f"{path}/{create(api, CUSTOMERS, customer(secret))['id']}"
        media = staff.get(url).json()["contactMedium"]
        holder = media[0] if path == CUSTOMERS else media[0]["characteristic"]
        holder["emailAddress"] = text
        answer = staff.patch(url, json={"contactMedium": media})
        assert answer.status_code == 200, answer.text
        answers.append((answer.status_code, answer.headers["etag"]))
        assert text in api.get(url).text
    assert answers == [(200, '"2"')] * 2


def test_a_guess_of_a_value_that_cannot_change_is_refused_as_another_value(api, staff, secret):
    characteristic = {"@type": "StringCharacteristic", "name": "phoneNumber", "value": secret}
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": "add",
        "product": {"@type": "Product", "productCharacteristic": [characteristic]},
        "productOffering": {"@type": "ProductOfferingRef", "id": "an offering"},
    }
    path = "/tmf-api/productOrderingManagement/v5/productOrder"
    order = create(api, path, {"@type": "ProductOrder", "productOrderItem": [item]})
    url = f"{path}/{order['id']}"
    assert api.patch(url, json={"state": "cancelled"}).status_code == 200
    items = staff.get(url).json()["productOrderItem"]
    assert staff.patch(url, json={"productOrderItem": items}).status_code == 200
    answers = set()
    for text in (secret, "another"):
        items[0]["product"]["productCharacteristic"][0]["value"] = text
        answers.add(staff.patch(url, json={"productOrderItem": items}).status_code)
    assert answers == {409}


def test_a_repeated_create_gets_the_complete_response_again(api, staff, secret):
    headers = {"Idempotency-Key": secret}
    first = api.post(CUSTOMERS, json=customer(secret), headers=headers)
    again = api.post(CUSTOMERS, json=customer(secret), headers=headers)
    assert again.json() == first.json()
    first = staff.post(CUSTOMERS, json=customer(secret), headers=headers)
    again = staff.post(CUSTOMERS, json=customer(secret), headers=headers)
    assert f"{secret}@" not in again.text
    assert again.json() == first.json()


def personal_members(secret, version):
    """Return attributes that every kind of a version may have as extensions."""
    address = {"street1": secret, "country": secret}
    place = {"characteristic": address} if version == "v4" else address
    return {
        "contactMedium": [
            {
                "@type": "GeographicAddressContactMedium",
                "mediumType": "postalAddress",
                **place,
            }
        ],
        "birthDate": secret,
        "individualIdentification": [{"identificationId": secret, "issuingAuthority": secret}],
        "geographicAddress": {"streetName": secret, "geographicSubAddress": [{"name": secret}]},
        "characteristic": [
            {"@type": "StringCharacteristic", "name": "nationalId", "value": secret},
            {"@type": "ObjectCharacteristic", "name": "e-mail", "value": {"work": [secret]}},
        ],
    }


@pytest.mark.parametrize("collection", PERSONAL, ids=str)
def test_no_personal_value_is_stored_as_it_is(api, staff, occurrences, secret, collection):
    hub = {"callback": "http://127.0.0.1:9/nobody", "@type": "Hub"}
    assert api.post(f"{collection.contract.base_path}/hub", json=hub).status_code == 201
    body = {**collection.body(api), **personal_members(secret, collection.contract.version)}
    headers = {"Idempotency-Key": secret}
    created = api.post(collection.path, json=body, headers=headers)
    assert created.status_code == 201, created.text
    assert secret in created.text
    url = f"{collection.path}/{created.json()['id']}"
    assert secret in api.get(url).text
    assert secret not in staff.get(url).text
    if "patch" in collection.operations:
        changed = api.patch(url, json={"birthDate": f"{secret}!"})
        assert changed.status_code == 200, changed.text
        assert changed.json()["birthDate"] == f"{secret}!"
    if "delete" in collection.operations:
        members = personal_members(secret, collection.contract.version)
        second = api.post(collection.path, json={**collection.body(api), **members})
        response = api.delete(f"{collection.path}/{second.json()['id']}")
        assert response.status_code in {204, 409}, response.text
    assert occurrences(secret) == []


def test_an_event_of_another_system_is_stored_encrypted(api, staff, occurrences, secret, tenant):
    event = {
        "eventId": secret[:8],
        "event": {"customer": {"@type": "Customer", **personal_members(secret, "v5")}},
    }
    path = f"{CUSTOMERS.rpartition('/')[0]}/listener/customerCreateEvent"
    response = api.post(path, json={**event, "eventType": "CustomerCreateEvent", "@type": "Event"})
    assert response.status_code < 300, response.text
    assert occurrences(secret) == []
    assert secret not in staff.get("/admin/notifications").text
    assert staff.get("/admin/notifications").json()[0]["eventId"] == secret[:8]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("contactMedium.emailAddress={}@example.net", 1),
        ("contactMedium.emailAddress={}@example.org", 0),
        ("contactMedium.emailAddress.ne={}@example.net", 1),
        ("contactMedium.emailAddress.in=x,{}@example.net", 1),
        ("contactMedium.phoneNumber=%2B44 7700 900123&name=a customer", 2),
        ("filter=$.contactMedium[?(@.emailAddress=='{}@example.net')]", 1),
        ("filter=$.contactMedium.emailAddress", 2),
        ("characteristic.value={}", 1),
        ("characteristic.value=plain", 2),
    ],
)
def test_encrypted_values_are_found_by_equality(api, secret, query, expected):
    names = {"email": secret, "segment": "plain"}
    values = [
        {"@type": "StringCharacteristic", "name": name, "value": value}
        for name, value in names.items()
    ]
    create(api, CUSTOMERS, customer(secret, characteristic=values))
    create(api, CUSTOMERS, customer("other", characteristic=values[1:]))
    response = api.get(f"{CUSTOMERS}?{query.format(secret)}")
    assert response.status_code == 200, response.text
    assert len(response.json()) == expected


@pytest.mark.parametrize(
    "query",
    [
        "contactMedium.emailAddress.gt=a",
        "contactMedium.emailAddress.regex=a",
        "sort=contactMedium.emailAddress",
        "filter=$[?(@.contactMedium.emailAddress>'a')]",
        "filter=$.contactMedium[?(@.emailAddress=~/a/)]",
        "filter=$.contactMedium[?(@.preferred==true && @.emailAddress=='x')]",
    ],
)
def test_other_queries_of_encrypted_values_are_refused(api, staff, query):
    query = query.replace("&", "%26")
    response = api.get(f"{CUSTOMERS}?{query}")
    assert response.status_code == 400, response.text
    assert "encrypted" in response.json()["message"]
    assert staff.get(f"{CUSTOMERS}?{query}").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "contactMedium.emailAddress=x",
        "contactMedium.emailAddress.exists=true",
        "filter=$.contactMedium[?(@.emailAddress=='x')]",
        "filter=$.contactMedium.emailAddress",
        "sort=-contactMedium.phoneNumber",
    ],
)
def test_a_query_of_a_personal_value_needs_the_scope(staff, query):
    assert staff.get(f"{CUSTOMERS}?{query}").status_code == 403


def test_a_masked_value_is_not_found_by_its_value(api, staff, secret):
    value = {"@type": "StringCharacteristic", "name": "email", "value": secret}
    create(api, CUSTOMERS, customer(secret, characteristic=[value]))
    assert staff.get(f"{CUSTOMERS}?characteristic.value={secret}").json() == []


@pytest.mark.parametrize("contract", [c for c in CONTRACTS if c.number == "TMF629"], ids=str)
def test_a_hub_query_names_no_personal_attribute(api, staff, contract):
    query = "event.customer.contactMedium.emailAddress=x"
    hub = {"callback": "http://127.0.0.1:9/x", "query": query, "@type": "Hub"}
    url = f"{contract.base_path}/hub"
    assert api.post(url, json=hub).status_code == 400
    assert staff.post(url, json=hub).status_code == 403


@pytest.mark.parametrize(
    "medium",
    [
        {"@type": "EmailContactMedium", "emailAddress": "{}"},
        {"@type": "EmailContactMedium", "emailAddress": ["{}"]},
        {"@type": "EmailContactMedium", "emailAddress": {"x": "{}"}},
        {"@type": "PhoneContactMedium", "phoneNumber": "{}"},
        {"@type": "EmailContactMedium", "validFor": "{}"},
        {"@type": "EmailContactMedium", "validFor": {"startDateTime": "{}"}},
        {"@type": "EmailContactMedium", "preferred": "{}"},
    ],
    ids=str,
)
def test_an_error_does_not_repeat_a_personal_value(api, secret, medium):
    text = orjson.dumps(medium).decode().replace("{}", secret)
    response = api.post(CUSTOMERS, json=customer("x", contactMedium=[orjson.loads(text)]))
    assert response.status_code == 400
    assert secret not in response.text, response.text
