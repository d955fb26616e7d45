"""``expand`` and ``depth``: references as resources, with the rights of the client."""

import pytest

from tests.support.server import ALL_SCOPES

CATALOG = "/tmf-api/productCatalogManagement"
PRODUCTS = "/tmf-api/productInventory/v4/product"
SERVICES = "/tmf-api/serviceInventory/v4/service"
ORDERS = "/tmf-api/productOrderingManagement"
MISSING = "0" * 32


def created(client, path, body):
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    return response.json()


def party(id):
    return [{"id": id, "role": "customer", "@referredType": "Individual"}]


def service_of(owner):
    specification = {"id": "s-1", "name": "none"}
    return {
        "name": owner,
        "state": "active",
        "serviceSpecification": specification,
        "relatedParty": party(owner),
    }


@pytest.fixture
def client_with(authenticated_server, tenant):
    def client(scopes=ALL_SCOPES, **claims):
        return authenticated_server.client(
            authenticated_server.token(tenant=tenant, scopes=scopes, **claims)
        )

    return client


@pytest.fixture
def offering(api):
    return created(api, f"{CATALOG}/v4/productOffering", {"name": "Fibre 100"})


@pytest.fixture
def product(api, offering):
    services = [created(api, SERVICES, service_of(owner)) for owner in ("alice", "bob")]
    body = {
        "name": "p",
        "status": "active",
        "productOffering": {"id": offering["id"], "name": "old name"},
        "realizingService": [{"id": id} for id in (*(s["id"] for s in services), MISSING)],
        "billingAccount": {"id": "a-1", "name": "elsewhere"},
        "relatedParty": party("alice"),
    }
    return created(api, PRODUCTS, body)


def test_a_reference_is_expanded_to_the_resource_that_it_names(api, product, offering):
    plain = api.get(product["href"]).json()
    expanded = api.get(product["href"], params={"expand": "productOffering"}).json()
    assert expanded == {**plain, "productOffering": api.get(offering["href"]).json()}
    listed = api.get(PRODUCTS, params={"expand": "productOffering"})
    assert listed.json() == [expanded]
    assert listed.headers["x-total-count"] == "1"


def test_what_a_reference_says_itself_stays_when_it_is_expanded(api, product):
    customers = "/tmf-api/customerManagement/v4/customer"
    engaged = {"id": "p-1", "@referredType": "Individual"}
    customer = created(api, customers, {"name": "c", "role": "subscriber", "engagedParty": engaged})
    asked = {"name": "speed", "value": 500}
    item = {
        "id": "1",
        "action": "modify",
        "product": {"id": product["id"], "productCharacteristic": [asked], "name": "old name"},
    }
    buyer = {"id": customer["id"], "role": "buyer", "@referredType": "Customer"}
    body = {"productOrderItem": [item], "relatedParty": [buyer]}
    order = created(api, f"{ORDERS}/v4/productOrder", body)
    expanded = api.get(f"{order['href']}?expand=*").json()
    [party], [ordered] = expanded["relatedParty"], expanded["productOrderItem"]
    assert (party["name"], party["role"], party["engagedParty"]) == ("c", "buyer", engaged)
    [wanted] = ordered["product"]["productCharacteristic"]
    assert wanted == asked
    assert (ordered["product"]["name"], ordered["product"]["status"]) == ("p", "active")


def test_all_references_are_expanded_to_one_level(api, product):
    plain = api.get(product["href"]).json()
    for query in ("expand=*", "depth=1", "depth=1&expand=*"):
        expanded = api.get(f"{product['href']}?{query}").json()
        assert [s.get("name") for s in expanded["realizingService"]] == ["alice", "bob", None]
        assert expanded["productOffering"]["name"] == "Fibre 100"
        assert expanded["billingAccount"] == plain["billingAccount"]
        assert expanded["realizingService"][2] == plain["realizingService"][2]
    assert api.get(f"{product['href']}?depth=0").json() == plain


def test_an_order_shows_its_product_in_both_versions(api, product):
    item = {"id": "1", "action": "modify", "product": {"id": product["id"]}}
    order = created(api, f"{ORDERS}/v4/productOrder", {"productOrderItem": [item]})
    for version in ("v4", "v5"):
        url = f"{ORDERS}/{version}/productOrder/{order['id']}"
        expanded = api.get(url, params={"expand": "productOrderItem.product"}).json()
        assert expanded["productOrderItem"][0]["product"]["name"] == "p"
        assert expanded["productOrderItem"][0]["product"]["href"] == product["href"]


def test_fields_select_in_what_is_expanded(api, product):
    query = {"expand": "productOffering", "fields": "productOffering.name"}
    selected = api.get(product["href"], params=query).json()
    offering = {"name": "Fibre 100"}
    assert selected == {"id": product["id"], "href": product["href"], "productOffering": offering}
    assert api.get(PRODUCTS, params=query).json() == [selected]


def test_the_entity_tag_is_that_of_the_content(api, product, offering):
    url = f"{product['href']}?expand=productOffering"
    first = api.get(url).headers["etag"]
    assert api.get(url, headers={"If-None-Match": first}).status_code == 304
    assert api.get(product["href"]).headers["etag"] != first
    api.patch(offering["href"], json={"description": "new"})
    changed = api.get(url, headers={"If-None-Match": first})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first
    assert api.patch(product["href"], json={}, headers={"If-Match": first}).status_code == 412


def test_what_a_party_cannot_read_stays_the_reference_that_it_is(client_with, product):
    with client_with(parties=["alice"]) as alice:
        plain = alice.get(product["href"]).json()
        for query in ("expand=*", "expand=realizingService"):
            expanded = alice.get(f"{product['href']}?{query}").json()
            assert expanded["realizingService"][0]["name"] == "alice"
            assert expanded["realizingService"][1:] == plain["realizingService"][1:]


def test_a_token_without_the_scope_of_the_other_api_sees_the_reference(client_with, product):
    scopes = [scope for scope in ALL_SCOPES if scope not in {"tmf620:read", "tmf638:read"}]
    with client_with(scopes) as client:
        expanded = client.get(f"{product['href']}?expand=*")
        assert expanded.json() == client.get(product["href"]).json()


def test_what_is_expanded_is_masked_as_the_resource_itself(client_with, api):
    item = {"id": "1", "action": "add", "productOffering": {"id": "x"}}
    contact = {"productOrderItem": [item], "notificationContact": "me@example.com"}
    order = created(api, f"{ORDERS}/v4/productOrder", contact)
    task = created(api, f"{ORDERS}/v4/cancelProductOrder", {"productOrder": {"id": order["id"]}})
    with client_with([scope for scope in ALL_SCOPES if scope != "pii"]) as masked:
        texts = []
        for reader in (masked, api):
            expanded = reader.get(f"{task['href']}?expand=productOrder").json()["productOrder"]
            read = reader.get(order["href"]).json()
            assert {name: expanded[name] for name in read} == read
            texts.append(str(expanded))
    assert ["me@example.com" in text for text in texts] == [False, True]


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("expand=nothing", 400, "productOffering"),
        ("expand=name", 400, "not a reference"),
        ("expand=" + "x" * 3000, 400, "not a reference"),
        ("expand=$.productOffering", 501, "JSONPath"),
        ("depth=2", 501, "one level"),
        ("depth=x", 400, "0 or 1"),
        ("depth=0&expand=productOffering", 400, "contradicts"),
        ("depth=1&depth=1", 400, "more than once"),
    ],
)
def test_what_cannot_be_expanded_is_refused_with_the_reason(api, product, query, status, word):
    for url in (product["href"], PRODUCTS):
        response = api.get(f"{url}?{query}")
        assert response.status_code == status, response.text
        assert word in response.json()["message"]


def test_other_requests_refuse_the_directives(api, product):
    requests = [("POST", PRODUCTS), ("PATCH", product["href"]), ("DELETE", product["href"])]
    for method, url in requests:
        for query in ("expand=*", "depth=1"):
            response = api.request(method, f"{url}?{query}", json={"name": "x"})
            assert response.status_code == 501, (method, response.text)
            assert query[:5] in response.json()["message"]
    headers = {"Content-Type": "application/json-patch+json"}
    in_bulk = api.patch(f"{PRODUCTS}?expand=*", content=b"[]", headers=headers)
    assert in_bulk.status_code == 501
