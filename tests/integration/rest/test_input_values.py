"""Invalid texts, times and currencies over HTTP: POST, patches, hubs, filters and import jobs."""

import json

import pytest

from tmf_apis.store.connection import mongo_client
from tmf_apis.store.embedded_mongod import EmbeddedMongod

CATALOG = "/tmf-api/productCatalogManagement"
OFFERING = f"{CATALOG}/v5/productOffering"
PRICE = f"{CATALOG}/v4/productOfferingPrice"
MERGE, PATCH = "application/merge-patch+json", "application/json-patch+json"


VALID = {
    "@type": "ProductOffering",
    "name": "x",
    "description": "one\ntwo\tthree",
    "lifecycleStatus": "In study",
    "lastUpdate": "2026-01-01T00:00:00Z",
}


@pytest.fixture
def offering(api):
    created = api.post(OFFERING, json=VALID)
    assert created.status_code == 201, created.text
    return created.json()


def price(**money):
    return {"name": "p", "price": {"unit": "EUR", "value": 1, **money}}


def patch(api, url, value, media_type):
    return api.patch(url, content=json.dumps(value), headers={"Content-Type": media_type})


WRONG = {
    "a control character": {"description": "a\u0007"},
    "a line break in a name": {"name": "a\nb"},
    "a long name": {"name": "n" * 5000},
    "a long text": {"description": "n" * 70_000},
    "a time without offset": {"validFor": {"startDateTime": "2026-01-01T10:00:00"}},
    "a leap second": {"validFor": {"startDateTime": "2026-12-31T23:59:60Z"}},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_every_way_to_write_refuses_an_invalid_value(api, offering, change):
    name, value = next(iter(change.items()))
    url = offering["href"]
    step = {"op": "add", "path": f"/{name}", "value": value}
    new = {"op": "add", "path": "/-", "value": {**offering, **change}}
    assert api.post(OFFERING, json={**VALID, **change}).status_code == 400
    assert patch(api, url, {"@type": "ProductOffering", **change}, MERGE).status_code == 400
    assert patch(api, url, [step], PATCH).status_code == 400
    bulk = patch(api, OFFERING, [new, {**step, "path": f"/{offering['id']}/{name}"}], PATCH)
    assert [outcome["status"] for outcome in bulk.json()] == [400, 400]
    assert api.get(url).json() == offering
    assert api.get(OFFERING).headers["x-total-count"] == "1"


def test_a_json_patch_cannot_move_a_text_to_where_it_is_invalid(api, offering):
    step = {"op": "copy", "from": "/description", "path": "/name"}
    response = patch(api, offering["href"], [step], PATCH)
    assert response.status_code == 400
    assert response.json()["message"] == "/name: the character U+000A is not allowed"


@pytest.mark.parametrize("unit", ["euros!!", "eur", "", "EURO", 7])
def test_an_amount_needs_a_currency(api, unit):
    refused = api.post(PRICE, json=price(unit=unit))
    assert refused.status_code == 400
    assert "/price/unit" in refused.json()["message"]
    created = api.post(PRICE, json=price())
    assert created.status_code == 201, created.text
    change = {"price": {"unit": unit}}
    assert patch(api, created.json()["href"], change, MERGE).status_code == 400


def test_nested_prices_of_orders_need_a_currency(api):
    def order(unit):
        amount = {"taxIncludedAmount": {"unit": unit, "value": 1}}
        item = {
            "id": "1",
            "action": "add",
            "itemPrice": [{"priceType": "recurring", "price": amount}],
        }
        return {"productOrderItem": [item]}

    path = "/tmf-api/productOrderingManagement/v4/productOrder"
    refused = api.post(path, json=order("euros!!"))
    assert refused.status_code == 400
    assert "currency" in refused.json()["message"]
    assert api.post(path, json=order("EUR")).status_code == 201


def test_version_4_accepts_the_times_of_the_published_examples(api):
    body = {"name": "c", "validFor": {"startDateTime": "2017-08-23T00:00"}}
    created = api.post(f"{CATALOG}/v4/category", json=body)
    assert created.status_code == 201, created.text
    assert created.json()["validFor"]["startDateTime"] == "2017-08-23T00:00:00.000Z"


@pytest.mark.parametrize(
    "query",
    ["name=%00", "name=a%1bb", "description.regex=%07", "lastUpdate.gt=2026-01-01T10:00:00",
     "lastUpdate=2026-12-31T23:59:60Z", "name=%C2%9B", "lastUpdate.lt=0000-01-01T00:00:00Z",
     "filter=%24%5B%3F(%40.name%3D%3D%27%07%27)%5D", "na%07me=x", "fields=a%00", "sort=a%0a"],
)  # fmt: skip
def test_a_query_refuses_the_same_values(api, query):
    response = api.get(f"{OFFERING}?{query}")
    assert response.status_code == 400, response.text
    hub = {"@type": "Hub", "callback": "http://127.0.0.1:9/x", "query": query}
    assert api.post(f"{CATALOG}/v5/hub", json=hub).status_code == 400


def test_an_import_job_reports_the_rows_with_invalid_values(authenticated_server, api, tenant):
    area = authenticated_server.folder / "files" / f"tenant-{tenant}"
    area.mkdir(parents=True)
    rows = [{"@type": "ProductOffering", "name": "x", **change} for change in WRONG.values()]
    rows.append({"@type": "ProductOfferingPrice", **price(unit="euros!!")})
    rows.append({"@type": "ProductOffering", "id": "good", "name": "x"})
    (area / "in").write_text("\n".join(map(json.dumps, rows)))
    job = api.post(f"{CATALOG}/v5/importJob", json={"@type": "ImportJob", "url": "file:in"}).json()
    while job["status"] not in {"Failed", "Succeeded"}:
        job = api.get(job["href"]).json()
    errors = job["errorLog"].split("\n")
    assert [error.partition(":")[0] for error in errors] == [f"line {n}" for n in range(1, 8)]
    assert [offering["id"] for offering in api.get(OFFERING).json()] == ["good"]


def test_stored_values_of_an_earlier_release_stay_readable_and_changeable(
    authenticated_server, api, tenant, offering
):
    settings = authenticated_server.settings
    old = {"body.name": "a\nb", "body.note": [{"text": "\a"}], "body.version": "v" * 2000}
    with mongo_client(settings, EmbeddedMongod(settings).uri) as client:
        key = f"{tenant}:{offering['id']}"
        collection = client[settings.mongodb_database].ProductOffering
        assert collection.update_one({"_id": key}, {"$set": old}).matched_count == 1
    url = offering["href"]
    change = {"@type": "ProductOffering", "description": "new"}
    response = patch(api, url, change, MERGE)
    assert response.status_code == 200, response.text
    assert (response.json()["name"], response.json()["description"]) == ("a\nb", "new")
    step = {"op": "add", "path": "/note/-", "value": {"@type": "Note", "text": "fine"}}
    assert patch(api, url, [step], PATCH).status_code == 200
    wrong = {**step, "value": {"@type": "Note", "text": "\b"}}
    assert patch(api, url, [wrong], PATCH).status_code == 400
    assert (
        patch(api, url, [{"op": "replace", "path": "/name", "value": "b"}], PATCH).status_code
        == 200
    )
    assert len(api.get(OFFERING).json()) == 1
