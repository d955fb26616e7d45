"""Published examples, and bodies that lack what the server knows."""

import asyncio

import httpx
import pytest

from tests.support.contract_collections import CONTRACTS, check_response, collection_of
from tests.support.published_samples import SAMPLES
from tmf_apis.app import Application, Readiness
from tmf_apis.engine import Engine
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings

CATALOG = "/tmf-api/productCatalogManagement/v5"
ORDERING = "/tmf-api/productOrderingManagement/v5"


@pytest.fixture
def post(tmp_path, database):
    """Function that sends POST requests to an application with some settings."""

    def post(requests, **changes):
        settings = Settings(data_dir=tmp_path / "data", auth="off", **changes)
        engine = Engine(settings, CONTRACTS, database)
        engine.prepare()
        authenticator = TokenAuthenticator(settings, enabled=False, jwks="")
        application = Application(settings, CONTRACTS, authenticator, None, Readiness())
        application.attach_engine(engine)
        application.readiness.reason = ""

        async def send():
            transport = httpx.ASGITransport(application)
            url = "http://127.0.0.1"
            async with httpx.AsyncClient(transport=transport, base_url=url) as client:
                return [await client.post(path, json=body) for path, body in requests]

        return asyncio.run(send())

    return post


def contract_of(number, version) -> Contract:
    return next(c for c in CONTRACTS if (c.number, c.version) == (number, version))


def test_published_examples_are_accepted(post):
    collections = [collection_of(contract_of(n, v), name) for n, v, name, _ in SAMPLES]
    requests = [(c.path, body) for c, (*_, body) in zip(collections, SAMPLES, strict=True)]
    refused = []
    for collection, response in zip(collections, post(requests), strict=True):
        if response.status_code != 201:
            refused.append((str(collection), response.text))
        else:
            collection.check_response("create", response)
    assert refused == []


BARE = [
    (f"{CATALOG}/productOffering", {"name": "Fibre"}),
    (f"{CATALOG}/productSpecification", {
        "name": "Fibre", "attachment": [{"name": "a", "mimeType": "image/png",
                                         "attachmentType": "picture", "url": "http://x/1.png"}],
    }),
    (f"{CATALOG}/category", {"name": "Access"}),
    (f"{CATALOG}/hub", {"callback": "http://127.0.0.1:9/x"}),
    (f"{CATALOG}/exportJob", {"url": "file:all.json"}),
    (f"{ORDERING}/productOrder", {
        "productOrderItem": [{
            "id": "1", "action": "add", "productOffering": {"id": "1"},
            "product": {"productCharacteristic": [{"name": "speed", "value": "16"}]},
        }],
        "relatedParty": [{"role": "buyer", "partyOrPartyRole": {"id": "7"}}],
        "note": [{"text": "soon"}],
    }),
    ("/tmf-api/customerManagement/v5/customer", {"name": "A", "engagedParty": {"id": "7"}}),
    ("/tmf-api/alarmManagement/v5/alarm", {
        "alarmType": "communicationsAlarm", "perceivedSeverity": "major", "sourceSystemId": "g",
        "probableCause": "lossOfSignal", "alarmedObject": {"id": "1"},
        "alarmRaisedTime": "2026-01-05T10:00:00Z",
    }),
    ("/tmf-api/productInventory/v4/product", {"name": "p"}),
    ("/tmf-api/serviceInventory/v4/service", {"name": "s", "serviceSpecification": {"id": "1"}}),
]  # fmt: skip


def test_the_setting_lets_creates_and_hubs_go_without_what_the_server_knows(post):
    responses = post(BARE, required_attributes="filled", callback_loopback=True)
    assert [r.status_code for r in responses] == [201] * len(BARE), [r.text for r in responses]
    offering, specification, _, hub, _, order = (r.json() for r in responses[:6])
    assert offering["@type"] == "ProductOffering"
    assert offering["lifecycleStatus"]
    assert offering["lastUpdate"]
    assert specification["attachment"][0]["@type"] == "Attachment"
    assert hub["@type"] == "Hub"
    [item] = order["productOrderItem"]
    assert item["productOffering"]["@type"] == "ProductOfferingRef"
    for (path, _), response in zip(BARE, responses, strict=True):
        contract = next(c for c in CONTRACTS if path.startswith(f"{c.base_path}/"))
        name = path.rpartition("/")[2]
        if name != "hub":
            operation = collection_of(contract, name).operations["create"]
            check_response(contract, operation, response)


def test_the_attributes_of_an_object_decide_among_its_types(post):
    media = [{"emailAddress": "a@b.de"}, {"phoneNumber": "+49 1"}, {"preferred": True}]
    customer = {"name": "A", "engagedParty": {"id": "7"}, "contactMedium": media}
    path = "/tmf-api/customerManagement/v5/customer"
    [created] = post([(path, customer)], required_attributes="filled")
    assert created.status_code == 201, created.text
    types = [medium["@type"] for medium in created.json()["contactMedium"]]
    assert types == ["EmailContactMedium", "PhoneContactMedium", "ContactMedium"]


def test_other_mandatory_attributes_stay_mandatory(post):
    requests = [
        (f"{CATALOG}/productOffering", {"description": "x"}),
        (f"{CATALOG}/productOfferingPrice", {"name": "x"}),
        (f"{CATALOG}/hub", {}),
        (f"{ORDERING}/productOrder", {"productOrderItem": [{"id": "1"}]}),
        ("/tmf-api/customerManagement/v5/customer", {"name": "A"}),
    ]
    responses = post(requests, required_attributes="filled")
    assert [r.status_code for r in responses] == [400] * len(requests)
    missing = ("name", "priceType", "callback", "action", "engagedParty")
    for name, response in zip(missing, responses, strict=True):
        assert name in response.json()["message"]


def test_without_the_setting_the_error_says_what_the_server_would_add(post):
    for (path, body), response in zip(BARE, post(BARE, callback_loopback=True), strict=True):
        assert response.status_code == 400, f"{path} {body}"
        error = response.json()
        assert "TMF_REQUIRED_ATTRIBUTES=filled" in error["message"]
        assert "docs/api.md" in error["message"]
        assert error["referenceError"].endswith("/docs")
    assert '/@type "ProductOffering"' in post(BARE[:1])[0].json()["message"]


def test_an_error_about_something_else_says_nothing_about_the_setting(post):
    body = {"@type": "Category", "name": 7}
    [response] = post([(f"{CATALOG}/category", body)])
    assert response.status_code == 400
    assert "TMF_REQUIRED" not in response.text
    assert "referenceError" not in response.json()
