"""Numbers and times over HTTP: every way to write keeps a value, or refuses it."""

import json
from datetime import datetime
from decimal import Decimal

import httpx
import pytest

CATALOG = "/tmf-api/productCatalogManagement"
PRICES = {
    f"{CATALOG}/v4/productOfferingPrice": {"name": "p"},
    f"{CATALOG}/v5/productOfferingPrice": {
        "name": "p", "@type": "ProductOfferingPrice", "lifecycleStatus": "In study",
        "priceType": "recurring",
        "lastUpdate": "2026-01-01T00:00:00Z",
    },
}  # fmt: skip
KEPT = ["99999999999999.9", "0.1", "10.10", "1E+2", "-0.0", "9007199254740993", "1e300"]
LOST = ["99999999999999999.99", "0.12345678901234567", "1e-400", "9223372036854775808", "1e999"]
#: In the order of time.
TIMES = [
    "0001-01-01T00:00:00Z", "0999-12-31T23:59:59.9999Z", "2024-02-29t23:00:00.1234567891z",
    "2026-01-01T00:30:00+14:00", "2025-12-31T10:30:00.001-00:00", "2026-01-01 00:00:00-12:00",
    "9999-12-31T23:59:59.999Z",
]  # fmt: skip


def with_raw_number(value, number):
    return json.dumps(value).replace('"@"', number)


def send(call, url, value, number, media_type="application/json"):
    content = with_raw_number(value, number)
    return call(url, content=content, headers={"Content-Type": media_type})


def value_of(response, number):
    price = json.loads(response.text, parse_float=Decimal, parse_int=Decimal)["price"]
    return price["value"] == Decimal(number)


@pytest.mark.parametrize("url", PRICES, ids=["v4", "v5"])
def test_every_way_to_write_keeps_a_number_or_refuses_it(api, url):
    money = {"price": {"unit": "EUR", "value": "@"}}
    patch, query = "application/json-patch+json", "application/json-patch-query+json"
    merge = "application/merge-patch+json"
    step = {"op": "replace", "path": "/price/value", "value": "@"}
    created = send(api.post, url, {**PRICES[url], **money}, "1").json()
    own, typed = created["href"], {"@type": created["@type"]}
    for number in KEPT + LOST:
        answers = [
            send(api.post, url, {**PRICES[url], **money}, number),
            send(api.patch, own, {**typed, **money}, number, merge),
            send(api.patch, own, [step], number, patch),
            send(api.patch, own, [{**step, "path": "$.price.value"}], number, query),
        ]
        in_bulk = {**step, "path": f"/{created['id']}/price/value"}
        bulk = send(api.patch, url, [in_bulk], number, patch)
        if number in LOST:
            assert {answer.status_code for answer in (*answers, bulk)} == {400}, number
            continue
        assert [answer.status_code for answer in (*answers, bulk)] == [201, 200, 200, 200, 200]
        answers.append(api.get(own))
        assert all(value_of(answer, number) for answer in answers), number


def test_prices_are_filtered_and_sorted_by_value(api):
    url = next(iter(PRICES))
    numbers = sorted([*KEPT, "-1e-280", "0.30000000000000004", "9007199254740992"], key=Decimal)
    for number in numbers[::2] + numbers[1::2]:
        money = {"price": {"unit": "EUR", "value": "@"}}
        assert send(api.post, url, {**PRICES[url], **money}, number).status_code == 201

    def values(**parameters):
        text = api.get(url, params=parameters).text
        rows = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        return [row["price"]["value"] for row in rows]

    expected = [Decimal(number) for number in numbers]
    assert values(sort="price.value") == expected
    assert values(sort="-price.value") == expected[::-1]
    for number in numbers:
        parameters = {"price.value": number}
        assert values(**parameters) == [v for v in expected if v == Decimal(number)]
        assert values(**{"price.value.gt": number, "sort": "price.value"}) == [
            v for v in expected if v > Decimal(number)
        ]
    for number in LOST:
        for name in ("price.value", "price.value.lt"):
            refused = api.get(url, params={name: number})
            assert refused.status_code == 400
            assert "15 significant digits" in refused.json()["message"]


def test_times_are_stored_filtered_and_sorted_by_instant(api):
    url = next(iter(PRICES))
    stored = []
    for time in TIMES[::2] + TIMES[1::2]:
        created = api.post(url, json={"name": "p", "validFor": {"startDateTime": time}})
        assert created.status_code == 201, created.text
        start = created.json()["validFor"]["startDateTime"]
        assert start == datetime.fromisoformat(start).strftime("%Y").zfill(4) + start[4:]
        stored.append(start)
    stored.sort()

    def starts(**parameters):
        rows = api.get(url, params=parameters).json()
        return [row["validFor"]["startDateTime"] for row in rows]

    assert starts(sort="validFor.startDateTime") == stored
    for position, time in enumerate(TIMES):
        assert starts(**{"validFor.startDateTime": time}) == [stored[position]]
        later = {"validFor.startDateTime.gt": time, "sort": "validFor.startDateTime"}
        assert starts(**later) == stored[position + 1 :]
        path = f"$[?(@.validFor.startDateTime<'{time}')]"
        assert sorted(starts(filter=path)) == stored[:position]


@pytest.mark.parametrize("limit", ["1001", "1" + "0" * 30, "9" * 500])
def test_a_limit_above_the_largest_page_is_cut_to_it(api, limit):
    answer = api.get(next(iter(PRICES)), params={"limit": limit})
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("offset", ["5", "100001", "9" * 30, "9" * 500])
@pytest.mark.parametrize("query", [{}, {"sort": "-name"}, {"name": "p"}, {"fields": "name"}])
def test_an_offset_past_the_end_is_an_empty_list(api, offset, query):
    url = next(iter(PRICES))
    for _ in range(3):
        assert api.post(url, json={"name": "p"}).status_code == 201
    answer = api.get(url, params={**query, "offset": offset, "limit": "2"})
    assert (answer.status_code, answer.json()) == (200, [])
    assert (answer.headers["X-Total-Count"], answer.headers["X-Result-Count"]) == ("3", "0")
    links = [link.split(">")[0].strip(" <") for link in answer.headers["Link"].split(",")]
    assert all(httpx.URL(link).params["limit"] == "2" for link in links)
    assert [len(api.get(link).json()) for link in links] == [2, 2, 1]  # first, prev, last


@pytest.mark.parametrize("number", ["1e300", "-1e300", "1.5e19", "1e18", "-2.0"])
def test_an_encrypted_number_keeps_its_value_and_is_found(api, number):
    url = "/tmf-api/customerManagement/v5/customer"
    party = {"@type": "PartyRef", "id": f"number {number}", "@referredType": "Individual"}
    own = {"@type": "Characteristic", "name": "taxNumber", "value": "@"}
    customer = {"@type": "Customer", "name": "x", "engagedParty": party, "characteristic": [own]}
    created = send(api.post, url, customer, number)
    assert created.status_code == 201, created.text
    answer = api.get(url, params={"characteristic.value": number, "engagedParty.id": party["id"]})
    assert [float(row["characteristic"][0]["value"]) for row in answer.json()] == [float(number)]
