"""Data of the demo operator: complete, consistent and reproducible."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest

from tmf_apis.app import CONTRACTS_DIR
from tmf_apis.demo import SEED, operator_resources
from tmf_apis.demo.offers import OFFERS_BY_ID
from tmf_apis.inventory.relationships import INVERSE_TYPES, edges
from tmf_apis.ordering.states import CANCEL_TASK_LIFECYCLE, ORDER_LIFECYCLE
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.pipeline.representation import client_view
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.kind_registry import KindRegistry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: States of orders that version 4 does not have.
STATES_OF_V5_ONLY = {"draft", "inProgress.accepted"}
CATALOG_ENTITIES = ("Catalog", "Category", "Candidate", "Specification")
#: API and schema of the kinds that exist in version 4 only.
SCHEMAS_OF_V4_ONLY = {
    **{f"Service{entity}": ("TMF633", f"Service{entity}") for entity in CATALOG_ENTITIES},
    **{f"Resource{entity}": ("TMF634", f"Resource{entity}") for entity in CATALOG_ENTITIES},
    "Product": ("TMF637", "Product"),
    "Service": ("TMF638", "Service"),
}


@pytest.fixture(scope="module")
def data():
    """All resources, each with its kind."""
    return list(operator_resources(SEED, NOW))


@pytest.fixture(scope="module")
def by_kind(data):
    """The resources by kind and id."""
    resources = defaultdict(dict)
    for kind, resource in data:
        assert resource["id"] not in resources[kind]
        resources[kind][resource["id"]] = resource
    return resources


@pytest.fixture(scope="module")
def contracts(tmp_path_factory):
    """All contracts."""
    return load_contracts(CONTRACTS_DIR, tmp_path_factory.getbasetemp() / "contracts")


@pytest.fixture(scope="module")
def schemas_of(contracts):
    """A function that returns the schemas of an API in a version."""
    schemas = {}

    def find(api, version):
        if (api, version) not in schemas:
            (contract,) = (
                each for each in contracts if (each.number, each.version) == (api, version)
            )
            schemas[api, version] = Schemas(contract.document, version)
        return schemas[api, version]

    return find


def serialized(seed):
    return b"".join(orjson.dumps(pair) for pair in operator_resources(seed, NOW))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_bytes():
    assert serialized(7) == serialized(7)
    assert serialized(7) != serialized(8)


def test_the_numbers_of_resources_are_as_documented(by_kind):
    counts = {kind: len(resources) for kind, resources in by_kind.items()}
    assert 38 <= counts["ProductOffering"] <= 45
    assert counts["Customer"] == 500
    assert counts["Resource"] == 2000
    places = Counter(each["place"][0]["place"]["id"] for each in by_kind["Resource"].values())
    assert len(places) == 20
    assert set(places.values()) == {100}


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_every_resource_conforms_to_its_contract(data, contracts, schemas_of, version):
    kinds = KindRegistry.from_contracts(contracts)
    for kind, resource in data:
        if not kinds.is_served(kind, version) or (
            version == "v4" and resource.get("state") in STATES_OF_V5_ONLY
        ):
            continue
        body = {name: value for name, value in resource.items() if name != "id"}
        view = client_view(kinds, kind, version, resource["id"], "http://localhost", body)
        api, schema = SCHEMAS_OF_V4_ONLY.get(kind) or (
            KIND_NAMES[kind].api,
            KIND_NAMES[kind].name(version),
        )
        schemas_of(api, version).check(resource["@type"] if kind == "Resource" else schema, view)


def has_blanks(value):
    if isinstance(value, dict):
        return any(has_blanks(member) for member in value.values()) or not value
    if isinstance(value, list):
        return any(has_blanks(member) for member in value) or not value
    return value is None or (isinstance(value, str) and not value.strip())


def test_no_value_is_null_blank_or_empty(data):
    assert [(kind, resource["id"]) for kind, resource in data if has_blanks(resource)] == []


def test_each_kind_has_its_mandatory_attributes(by_kind):
    for offering in by_kind["ProductOffering"].values():
        parts = {"bundledProductOffering"} if offering["isBundle"] else {"productSpecification"}
        assert offering.keys() >= {"name", "lifecycleStatus", "lastUpdate", *parts}
        assert offering["productOfferingPrice"]
    for specification in by_kind["ProductSpecification"].values():
        assert specification["isBundle"] == ("bundledProductSpecification" in specification)
    mandatory = {
        "ProductOfferingPrice": {"name", "priceType", "price"},
        "ProductOrder": {"state", "productOrderItem", "relatedParty", "creationDate"},
        "Customer": {"name", "engagedParty", "status", "contactMedium", "account"},
        "Resource": {"name", "place", "resourceSpecification"},
        "CustomerBill": {"billDocument", "billingAccount", "financialAccount", "state"},
        "AppliedCustomerBillingRate": {"isBilled", "billingAccount", "product", "date"},
        "Alarm": {
            *("alarmRaisedTime", "alarmedObject", "perceivedSeverity", "state", "ackState"),
            *("alarmType", "probableCause", "sourceSystemId", "externalAlarmId"),
        },
        "Product": {
            *("name", "status", "productCharacteristic", "productOffering", "startDate"),
            *("productSpecification", "relatedParty", "billingAccount", "productOrderItem"),
        },
        "Service": {
            *("name", "state", "serviceSpecification", "serviceCharacteristic", "category"),
            *("serviceType", "serviceDate", "startDate", "relatedParty", "place"),
        },
        **dict.fromkeys(
            ("ServiceSpecification", "ServiceCandidate", "ServiceCategory", "ServiceCatalog"),
            frozenset(("name", "lifecycleStatus", "lastUpdate", "version")),
        ),
        **dict.fromkeys(
            ("ResourceSpecification", "ResourceCandidate", "ResourceCategory", "ResourceCatalog"),
            frozenset(("name", "lifecycleStatus", "lastUpdate")),
        ),
    }
    for kind, names in mandatory.items():
        for resource in by_kind[kind].values():
            missing = {name for name in names if resource.get(name) in (None, "", [], {})}
            assert not missing, (kind, resource["id"])


def test_every_product_has_characteristics_with_a_name_and_a_value(by_kind):
    for product in by_kind["Product"].values():
        for each in (product, *product.get("product", ())):
            assert each["productCharacteristic"]
            for characteristic in each["productCharacteristic"]:
                assert characteristic["name"]
                assert characteristic["value"] is not None


def test_orders_are_in_every_state(by_kind):
    def states(kind):
        return {resource["state"] for resource in by_kind[kind].values()}

    assert states("ProductOrder") == ORDER_LIFECYCLE.states
    assert states("CancelProductOrder") == CANCEL_TASK_LIFECYCLE.states - {"rejected", "cancelled"}
    assert states("CustomerBill") == {
        *("new", "onHold", "validated", "sent", "partiallyPaid", "settled"),
    }
    assert states("Alarm") == {"raised", "updated", "cleared"}


def test_every_relationship_has_its_inverse(by_kind):
    resources = by_kind["Resource"]
    count = 0
    for id, resource in resources.items():
        for type_, target in edges(resource):
            assert (INVERSE_TYPES[type_], id) in edges(resources[target])
            count += 1
    assert count > 4000
    for id, alarm in by_kind["Alarm"].items():
        for parent in alarm.get("parentAlarm", ()):
            correlated = by_kind["Alarm"][parent["id"]]["correlatedAlarm"]
            assert id in {reference["id"] for reference in correlated}
    for id, category in by_kind["Category"].items():
        for child in category.get("subCategory", ()):
            assert by_kind["Category"][child["id"]]["parent"]["id"] == id


def references(value):
    if isinstance(value, dict):
        if "id" in value and "@referredType" in value:
            yield value["@referredType"], value["id"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_reference_has_a_target(data, by_kind):
    kinds = {kind: kind for kind in by_kind} | {
        "PhysicalResource": "Resource",
        "LogicalResource": "Resource",
    }
    missing = {
        (kind, id)
        for _, resource in data
        for kind, id in references(resource)
        if kind in kinds and id not in by_kind[kinds[kind]]
    }
    assert missing == set()


def test_orders_rates_and_ports_refer_to_existing_customers_and_products(by_kind):
    accounts = {customer["account"][0]["id"] for customer in by_kind["Customer"].values()}
    parties = {customer["engagedParty"]["id"] for customer in by_kind["Customer"].values()}
    products = set()
    for order in by_kind["ProductOrder"].values():
        assert order["relatedParty"][0]["partyOrPartyRole"]["partyId"] in parties
        assert order["billingAccount"]["id"] in accounts
        for item in order["productOrderItem"]:
            if "id" in item["product"]:
                products.add(item["product"]["id"])
    for rate in by_kind["AppliedCustomerBillingRate"].values():
        assert rate["product"]["id"] in products
        assert rate["billingAccount"]["id"] in accounts
    services = [
        identifier["id"]
        for port in by_kind["Resource"].values()
        for identifier in port.get("externalIdentifier", ())
    ]
    assert set(services) <= products
    assert len(services) == len(set(services)) > 200


def amount(money):
    return Decimal(str(money["value"]))


def test_rates_add_up_to_bills_exactly(by_kind):
    sums = defaultdict(Decimal)
    for rate in by_kind["AppliedCustomerBillingRate"].values():
        (tax,) = rate["appliedTax"]
        included = amount(rate["taxIncludedAmount"])
        assert included == amount(rate["taxExcludedAmount"]) + amount(tax["taxAmount"])
        assert rate["isBilled"] == ("bill" in rate)
        if "bill" in rate:
            sums[rate["bill"]["id"]] += included
    for id, bill in by_kind["CustomerBill"].items():
        assert amount(bill["taxIncludedAmount"]) == sums[id] == amount(bill["amountDue"])
        payments = bill.get("appliedPayment", ())
        paid = sum(amount(payment["appliedAmount"]) for payment in payments)
        assert amount(bill["remainingAmount"]) == sums[id] - paid


def test_the_tax_of_every_price_is_a_whole_number_of_pence():
    for offer in OFFERS_BY_ID.values():
        for price in (offer.monthly_price, offer.setup_price, (offer.usage_price or ("",))[0]):
            assert Decimal(price or 0) % Decimal("0.05") == 0


def test_a_completed_item_is_a_product_of_its_customer(by_kind):
    items = {
        item["product"]["id"]: (order, item)
        for order in by_kind["ProductOrder"].values()
        for item in order["productOrderItem"]
        if item["state"] == "completed"
    }
    products = by_kind["Product"]
    assert products.keys() == items.keys()
    for id, product in products.items():
        order, item = items[id]
        (reference,) = product["productOrderItem"]
        assert (reference["productOrderId"], reference["orderItemId"]) == (order["id"], item["id"])
        assert product["productOffering"]["id"] == item["productOffering"]["id"]
        assert product["billingAccount"]["id"] == order["billingAccount"]["id"]
        parties = [related["partyOrPartyRole"]["id"] for related in order["relatedParty"]]
        assert [related["id"] for related in product["relatedParty"]] == parties


def characteristic_values(resource, name):
    return {characteristic["name"]: characteristic["value"] for characteristic in resource[name]}


def test_services_and_ports_agree(by_kind):
    services, ports = by_kind["Service"], by_kind["Resource"]
    lines = {id: service for id, service in services.items() if service["category"] == "RFS"}
    assert len(lines) > 200
    for id, line in lines.items():
        port = ports[line["supportingResource"][0]["id"]]
        port_values = characteristic_values(port, "resourceCharacteristic")
        assert port_values["serviceId"] == id
        speeds = characteristic_values(line, "serviceCharacteristic")
        assert speeds["downstream"] == port_values["downstreamSpeed"] * 1_000_000
        assert speeds["upstream"] == port_values["upstreamSpeed"] * 1_000_000
        customer_facing = services[f"{id}-cfs"]
        assert customer_facing["supportingService"][0]["id"] == id
        product = by_kind["Product"][id]
        assert product["realizingService"][0]["id"] == customer_facing["id"]
        assert product["realizingResource"][0]["id"] == port["id"]
    identified = {
        identifier["id"]
        for port in ports.values()
        for identifier in port.get("externalIdentifier", ())
    }
    assert identified == lines.keys()


def test_every_resource_has_a_specification_and_every_access_a_service(by_kind):
    specifications = by_kind["ResourceSpecification"]
    for resource in by_kind["Resource"].values():
        specification = specifications[resource["resourceSpecification"]["id"]]
        assert specification["category"] == resource["category"]
    (access,) = {
        reference["id"]
        for specification in by_kind["ProductSpecification"].values()
        for reference in specification.get("serviceSpecification", ())
    }
    (part,) = by_kind["ServiceSpecification"][access]["serviceSpecRelationship"]
    line = by_kind["ServiceSpecification"][part["id"]]
    needed = {reference["id"] for reference in line["resourceSpecification"]}
    assert needed <= specifications.keys()
