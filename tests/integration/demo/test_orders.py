"""`tmf serve --demo` sells no access: an order says that the gateways are in the inventory only."""

import pytest

from tests.support.demo_server import demo_server
from tests.support.waiting import wait_until

ORDERS = "/tmf-api/productOrderingManagement/v5/productOrder"
FINAL = {"completed", "failed", "partial", "rejected"}


@pytest.fixture(scope="module")
def client(tmp_path_factory, mongodb_uri):
    folder = tmp_path_factory.mktemp("demo") / "data"
    with demo_server(folder, mongodb_uri, "demo_orders") as server, server.client() as client:
        yield client


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}?dryRun=true"])
def test_an_order_says_that_the_gateways_are_in_the_inventory_only(client, path):
    offering = {"@type": "ProductOfferingRef", "id": "offering-fibre-100"}
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": "add",
        "productOffering": offering,
        "product": {
            "@type": "Product",
            "place": [
                {
                    "@type": "RelatedPlaceRefOrValue",
                    "role": "site",
                    "place": {"@type": "PlaceRef", "id": "site-01"},
                }
            ],
        },
    }
    response = client.post(path, json={"@type": "ProductOrder", "productOrderItem": [item]})
    if "dryRun" in path:
        assert response.status_code == 200, response.text
        ((missing,),) = [response.json()["fulfilmentPlan"]["missing"]]
        reason = missing["reason"]
    else:
        assert response.status_code == 201, response.text
        href = response.json()["href"]
        wait_until(lambda: client.get(href).json()["state"] in FINAL, timeout=120)
        order = client.get(href).json()
        assert order["state"] == "failed"
        reason = order["productOrderErrorMessage"][0]["message"]
    assert "is in the inventory only; it has no managementAddress" in reason, reason
