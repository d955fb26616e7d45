"""GET /admin/fulfilment-tasks: the settings of an order's tasks before and after."""

from contextlib import ExitStack
from functools import partial

import pytest

from tests.support.fulfilment_harness import order_item
from tests.support.server import ALL_SCOPES
from tests.support.waiting import wait_until
from tmf_apis.fulfilment.execution.journal_sealing import JournalSealer
from tmf_apis.fulfilment.execution.task_reports import TaskReader
from tmf_apis.fulfilment.values import OrderKey
from tmf_apis.security.personal_attributes import MASK, PersonalAttributes
from tmf_apis.settings import Settings

TASKS = "/admin/fulfilment-tasks"
CATALOG = "/tmf-api/productCatalogManagement/v5"
SERVICES = "/tmf-api/serviceCatalogManagement/v4/serviceSpecification"
RESOURCES = "/tmf-api/resourceCatalog/v4/resourceSpecification"
INVENTORY = "/tmf-api/resourceInventoryManagement/v5/resource"
ORDERS = "/tmf-api/productOrderingManagement/v5/productOrder"
STATUS = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
MBIT = 1_000_000


def reader(operator, *personal, sees_personal_data=False):
    table = PersonalAttributes.from_settings(Settings(pii_characteristics=personal))
    sealer = JournalSealer(operator.engine.data_keys, table, encrypt=False)
    return TaskReader(operator.database, sealer, table, sees_personal_data)


def test_the_settings_before_and_after_a_change_are_shown(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.run_order(key)
    fast = operator.create_offering(1000, 500)
    product = f"{key.order}-1"
    change = operator.place_order(order_item("modify", offering=fast, product=product))
    operator.run_order(change)
    reports, total = reader(operator).read(change, limit=10, offset=0)
    (report,) = reports
    assert total == 1
    before = {"downstream": 100 * MBIT, "upstream": 40 * MBIT, "enabled": True}
    assert report["settingBefore"] == before
    after = {"downstream": 1000 * MBIT, "upstream": 500 * MBIT, "enabled": True}
    assert report["settingAfter"] == after
    assert report["change"][0] == {
        "attribute": "downstream",
        "before": 100 * MBIT,
        "after": 1000 * MBIT,
    }
    assert (report["state"], report["element"]["port"]) == ("active", "sub1")
    assert set(report["element"]) == {"id", "name", "adapter", "port"}, "no address, no credentials"


def test_personal_settings_are_masked(operator, fibre_offering):
    key = operator.place_order(order_item(offering=fibre_offering, port="gw sub1"))
    operator.run_order(key)
    masked = partial(reader(operator, "downstream", "accessPort").read, key, limit=10, offset=0)
    ((report,), _) = masked()
    shown = {"downstream": MASK, "upstream": 40 * MBIT, "enabled": True}
    assert report["settingAfter"] == shown
    steps = {each["attribute"]: (each["before"], each["after"]) for each in report["change"]}
    assert steps["downstream"] == (MASK, MASK)
    assert report["element"]["port"] == MASK
    assert "sub1" not in str(report["resource"])
    visible = reader(operator, "downstream", sees_personal_data=True)
    ((report,), _) = visible.read(key, limit=10, offset=0)
    assert report["settingAfter"]["downstream"] == 100 * MBIT


def test_tasks_are_paged_and_those_of_other_tenants_do_not_exist(operator, fibre_offering):
    items = [order_item(offering=fibre_offering, port=f"gw sub{n}", id=str(n)) for n in (1, 2, 3)]
    key = operator.place_order(*items)
    operator.run_order(key)
    tasks = reader(operator)
    pages = [tasks.read(key, limit=1, offset=n) for n in range(4)]
    assert [[each["orderItemId"] for each in page] for page, _ in pages] == [
        ["1"],
        ["2"],
        ["3"],
        [],
    ]
    assert {total for _, total in pages} == {3}
    foreign = [
        OrderKey("other", key.order),
        OrderKey(key.tenant, key.order, "ServiceOrder"),
        OrderKey(key.tenant.partition(":")[0], f"x:{key.order}"),
    ]
    assert [tasks.read(each, limit=1, offset=0) for each in foreign] == [None, None, None]


@pytest.fixture
def client_of(authenticated_server, tenant):
    """A function that returns clients of the test's tenant or of another tenant."""

    with ExitStack() as stack:

        def create(*, other="", **claims):
            token = authenticated_server.token(tenant=tenant + other, **claims)
            return stack.enter_context(authenticated_server.client(token))

        yield create


def post(client, path, **body):
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def fulfilled_order(client):
    """Order a number of a pool, which needs no element; return the id of the order."""
    characteristics = [
        {"@type": "StringCharacteristic", "name": name, "value": value, "valueType": "string"}
        for name, value in {"poolOf": "vlan", "range": "100-199"}.items()
    ]
    post(client, INVENTORY, **{"@type": "LogicalResource"}, name="VLANs", category="pool",
         resourceCharacteristic=characteristics)  # fmt: skip
    number = post(client, RESOURCES, **{"@type": "LogicalResourceSpecification"}, name="VLAN",
                  category="vlan")  # fmt: skip
    service = post(
        client,
        SERVICES,
        **{"@type": "ResourceFacingServiceSpecification"},
        name="Line",
        resourceSpecification=[{"id": number}],
        specCharacteristic=[
            {
                "name": "vlan",
                "charSpecRelationship": [
                    {
                        "relationshipType": "mapsFrom",
                        "parentSpecificationId": number,
                        "name": "vlan",
                    }
                ],
            }
        ],
    )
    specification = post(
        client,
        f"{CATALOG}/productSpecification",
        **{"@type": "ProductSpecification"},
        name="Line",
        **STATUS,
        serviceSpecification=[{"@type": "ServiceSpecificationRef", "id": service}],
    )
    offering = post(
        client,
        f"{CATALOG}/productOffering",
        **{"@type": "ProductOffering"},
        name="Line",
        **STATUS,
        productSpecification={"@type": "ProductSpecificationRef", "id": specification},
    )
    item = {
        "@type": "ProductOrderItem",
        "id": "1",
        "action": "add",
        "productOffering": {"@type": "ProductOfferingRef", "id": offering},
    }
    order = post(client, ORDERS, **{"@type": "ProductOrder"}, productOrderItem=[item])
    wait_until(
        lambda: client.get(f"{ORDERS}/{order}").json()["state"] in {"completed", "failed"},
        timeout=120,
    )
    assert client.get(f"{ORDERS}/{order}").json()["state"] == "completed"
    return order


def test_only_administrators_of_the_tenant_read_tasks(client_of, tenant):
    scopes = (*ALL_SCOPES, "admin")
    admin = client_of(scopes=scopes)
    order = fulfilled_order(admin)
    response = admin.get(TASKS, params={"order": order})
    assert response.status_code == 200, response.text
    (task,) = response.json()
    assert (task["state"], task["settingAfter"]) == (
        "active",
        {"vlan": task["settingAfter"]["vlan"]},
    )
    assert response.headers["x-total-count"] == "1"
    entries = admin.get("/admin/audit-log", params={"kind": "FulfilmentTask"}).json()
    assert [entry["resource"] for entry in entries] == [order], entries

    def status(client, **parameters):
        return client.get(TASKS, params=parameters).status_code

    assert status(client_of(other="x", scopes=scopes), order=order) == 404, "a foreign token"
    assert status(client_of(scopes=scopes, parties=["ada"]), order=order) == 403, "a partner"
    assert status(client_of(), order=order) == 403, "no scope admin"
    assert status(admin, order="missing") == 404
    assert status(admin) == 400
    assert status(admin, order=order, kind="Product") == 400
    assert status(admin, order=order, limit=-1) == 400
