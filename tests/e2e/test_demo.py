"""The demo operator: whole, consistent, the same for the same seed, and loaded in one go."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

import orjson
import pytest

from adapters.lab.demo_gateway import SimulatedDemoGateway
from adapters.lab.network import PATH, lab_unavailable_reason
from tmf_apis.app import CONTRACTS_DIR, Engine
from tmf_apis.demo import SEED, load_demo_data, operator_resources
from tmf_apis.demo.gateway import DemoElement
from tmf_apis.demo.offers import OFFERS_BY_ID
from tmf_apis.demo.walkthrough.consistency import ServiceView, is_consistent
from tmf_apis.inventory.elements import managed_elements
from tmf_apis.inventory.relationships import INVERSE_TYPES, edges
from tmf_apis.ordering.states import CANCEL_TASK_LIFECYCLE, ORDER_LIFECYCLE
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.pipeline.repository import RepositoryFactory
from tmf_apis.rest.pipeline.representation import client_view
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.settings import Settings

CATALOGUED = ("Catalog", "Category", "Candidate", "Specification")
WRITTEN = {"lastUpdate": "2026-01-01T00:00:00Z", "lifecycleStatus": "Active"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Orders of these states have no word in v4's list.
ONLY_V5 = {"draft", "inProgress.accepted"}


#: Kinds that there is no version 5 of.
NEW = {
    **{f"Service{one}": ("TMF633", f"Service{one}") for one in CATALOGUED},
    **{f"Resource{one}": ("TMF634", f"Resource{one}") for one in CATALOGUED},
    "Product": ("TMF637", "Product"),
    "Service": ("TMF638", "Service"),
}


def name_of(kind, version):
    return KIND_NAMES[kind].name(version)


@pytest.fixture(scope="module")
def data():
    return list(operator_resources(SEED, NOW))


@pytest.fixture(scope="module")
def by_kind(data):
    found = defaultdict(dict)
    for kind, resource in data:
        assert resource["id"] not in found[kind]
        found[kind][resource["id"]] = resource
    return found


@cache
def contracts(folder):
    return load_contracts(CONTRACTS_DIR, folder)


@cache
def schemas(folder, api, version):
    (one,) = (c for c in contracts(folder) if (c.number, c.version) == (api, version))
    return Schemas(one.document, version)


def text(seed, now):
    return b"".join(orjson.dumps(one) for one in operator_resources(seed, now))


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones():
    assert text(7, NOW) == text(7, NOW)
    assert text(7, NOW) != text(8, NOW)


def test_there_is_as_much_of_everything_as_was_promised(by_kind):
    count = {kind: len(found) for kind, found in by_kind.items()}
    assert 38 <= count["ProductOffering"] <= 45
    assert count["Customer"] == 500
    assert count["Resource"] == 2000
    places = Counter(r["place"][0]["place"]["id"] for r in by_kind["Resource"].values())
    assert len(places) == 20
    assert set(places.values()) == {100}


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_every_resource_is_what_its_contract_says_in_both_versions(data, version, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    kinds = KindRegistry.from_contracts(contracts(folder))
    for kind, resource in data:
        if not kinds.is_served(kind, version) or (
            version == "v4" and resource.get("state") in ONLY_V5
        ):
            continue
        body = {name: value for name, value in resource.items() if name != "id"}
        shown = client_view(kinds, kind, version, resource["id"], "http://here", body)
        api, schema = NEW[kind] if kind in NEW else (KIND_NAMES[kind].api, name_of(kind, version))
        schema = resource["@type"] if kind == "Resource" else schema
        schemas(folder, api, version).check(schema, shown)


def blanks(value):
    if isinstance(value, dict):
        return any(blanks(member) for member in value.values()) or not value
    if isinstance(value, list):
        return any(blanks(member) for member in value) or not value
    return value is None or (isinstance(value, str) and not value.strip())


def test_nothing_is_null_blank_or_empty(data):
    assert [(kind, r["id"]) for kind, r in data if blanks(r)] == []


def test_each_kind_has_its_mandatory_attributes(by_kind):
    for offering in by_kind["ProductOffering"].values():
        parts = {"bundledProductOffering"} if offering["isBundle"] else {"productSpecification"}
        assert offering.keys() >= {"name", "lifecycleStatus", "lastUpdate", *parts}
        assert offering["productOfferingPrice"]
    for specification in by_kind["ProductSpecification"].values():
        assert specification["isBundle"] == ("bundledProductSpecification" in specification)
    wanted = {
        "ProductOfferingPrice": {"name", "priceType", "price"},
        "ProductOrder": {"state", "productOrderItem", "relatedParty", "creationDate"},
        "Customer": {"name", "engagedParty", "status", "contactMedium", "account"},
        "Resource": {"name", "place", "resourceSpecification"},
        "CustomerBill": {"billDocument", "billingAccount", "financialAccount", "state"},
        "AppliedCustomerBillingRate": {"isBilled", "billingAccount", "product", "date"},
        "Alarm": {"alarmRaisedTime", "alarmedObject", "perceivedSeverity", "state", "ackState"},
    }
    for kind, names in wanted.items():
        for resource in by_kind[kind].values():
            assert resource.keys() >= names, (kind, resource["id"])


def test_orders_are_in_every_state(by_kind):
    assert {one["state"] for one in by_kind["ProductOrder"].values()} == ORDER_LIFECYCLE.states
    tasks = {one["state"] for one in by_kind["CancelProductOrder"].values()}
    assert tasks == CANCEL_TASK_LIFECYCLE.states - {"rejected", "cancelled"}
    bills = {one["state"] for one in by_kind["CustomerBill"].values()}
    assert bills == {"new", "onHold", "validated", "sent", "partiallyPaid", "settled"}
    alarms = {one["state"] for one in by_kind["Alarm"].values()}
    assert alarms == {"raised", "updated", "cleared"}


def test_both_sides_know_of_a_relationship(by_kind):
    resources = by_kind["Resource"]
    count = 0
    for id, resource in resources.items():
        for type_, target in edges(resource):
            assert (INVERSE_TYPES[type_], id) in edges(resources[target])
            count += 1
    assert count > 4000
    for id, alarm in by_kind["Alarm"].items():
        for parent in alarm.get("parentAlarm", ()):
            others = by_kind["Alarm"][parent["id"]]["correlatedAlarm"]
            assert id in {one["id"] for one in others}
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


def test_a_reference_leads_to_something_that_is_there(data, by_kind):
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


def test_orders_bills_and_ports_speak_of_the_same_customers_and_products(by_kind):
    accounts = {one["account"][0]["id"] for one in by_kind["Customer"].values()}
    parties = {one["engagedParty"]["id"] for one in by_kind["Customer"].values()}
    products = set()
    for order in by_kind["ProductOrder"].values():
        assert order["relatedParty"][0]["partyOrPartyRole"]["partyId"] in parties
        assert order["billingAccount"]["id"] in accounts
        products |= {i["product"]["id"] for i in order["productOrderItem"] if "id" in i["product"]}
    for rate in by_kind["AppliedCustomerBillingRate"].values():
        assert rate["product"]["id"] in products
        assert rate["billingAccount"]["id"] in accounts
    carried = [
        one["id"]
        for port in by_kind["Resource"].values()
        for one in port.get("externalIdentifier", ())
    ]
    assert set(carried) <= products
    assert len(carried) == len(set(carried)) > 200


def amount(money):
    return Decimal(str(money["value"]))


def test_rates_add_up_to_bills_to_the_penny(by_kind):
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
        paid = sum(amount(one["appliedAmount"]) for one in bill.get("appliedPayment", ()))
        assert amount(bill["remainingAmount"]) == sums[id] - paid


def test_prices_leave_no_part_of_a_penny_as_tax():
    for offer in OFFERS_BY_ID.values():
        for price in (offer.monthly_price, offer.setup_price, (offer.usage_price or ("",))[0]):
            assert Decimal(price or 0) % Decimal("0.05") == 0


@pytest.fixture
def engine(database, tmp_path_factory):
    settings = Settings(auth="off")
    made = Engine(settings, contracts(tmp_path_factory.getbasetemp()), database)
    made.prepare()
    return made


def stored(engine):
    return sum(engine.resources.collection(kind).count_documents({}) for kind in engine.kinds)


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
        parties = [one["partyOrPartyRole"]["id"] for one in order["relatedParty"]]
        assert [one["id"] for one in product["relatedParty"]] == parties


def values(resource, name):
    return {one["name"]: one["value"] for one in resource[name]}


def test_a_service_is_on_the_port_that_says_so(by_kind):
    services, ports = by_kind["Service"], by_kind["Resource"]
    lines = {id: one for id, one in services.items() if one["category"] == "RFS"}
    assert len(lines) > 200
    for id, line in lines.items():
        port = ports[line["supportingResource"][0]["id"]]
        said = values(port, "resourceCharacteristic")
        assert said["serviceId"] == id
        speeds = values(line, "serviceCharacteristic")
        assert speeds["downstream"] == said["downstreamSpeed"] * 1_000_000
        assert speeds["upstream"] == said["upstreamSpeed"] * 1_000_000
        outer = services[f"{id}-cfs"]
        assert outer["supportingService"][0]["id"] == id
        product = by_kind["Product"][id]
        assert product["realizingService"][0]["id"] == outer["id"]
        assert product["realizingResource"][0]["id"] == port["id"]
    carried = {
        external["id"] for port in ports.values() for external in port.get("externalIdentifier", ())
    }
    assert carried == lines.keys()


def test_every_resource_has_a_specification_and_every_access_a_service(by_kind):
    known = by_kind["ResourceSpecification"]
    for resource in by_kind["Resource"].values():
        assert known[resource["resourceSpecification"]["id"]]["category"] == resource["category"]
    (outer,) = {
        one["id"]
        for specification in by_kind["ProductSpecification"].values()
        for one in specification.get("serviceSpecification", ())
    }
    (part,) = by_kind["ServiceSpecification"][outer]["serviceSpecRelationship"]
    line = by_kind["ServiceSpecification"][part["id"]]
    assert {one["id"] for one in line["resourceSpecification"]} <= known.keys()


def test_an_empty_database_is_filled_once(engine):
    said = []
    assert load_demo_data(engine, said.append) == stored(engine) > 5000
    assert said[-1].startswith("demo data is being loaded: ")
    assert load_demo_data(engine, said.append) == 0
    pending = {"events": {"$exists": True}}
    assert engine.resources.collection("Customer").count_documents(pending) == 0


def test_a_filling_that_was_cut_off_is_completed_with_the_same_dates(engine):
    class Cut(Exception):
        pass

    def cut(_):
        raise Cut

    with pytest.raises(Cut):
        load_demo_data(engine, cut)
    assert 0 < stored(engine) < 5000
    begun = engine.database["meta"].find_one({"_id": "demo:default"})["now"]
    assert load_demo_data(engine, lambda _: None) == stored(engine)
    orders = engine.resources.collection("ProductOrder")
    expected = next(r for k, r in operator_resources(SEED, begun) if k == "ProductOrder")
    assert (
        orders.find_one({"id": expected["id"]})["body"]["creationDate"]
        == (expected["creationDate"])
    )


def test_what_is_there_already_is_left_alone(engine):
    engine.resources.collection("Category").insert_one(
        {"_id": "default:mine", "tenant": "default", "id": "mine", "body": {}}
    )
    assert load_demo_data(engine, lambda _: None) == 0
    assert stored(engine) == 1


def told(folder, *options):
    """Return what the story says."""
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-W", "ignore", "-m", "tmf_apis", "demo", "--port", "0", "--exit"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--data-dir", str(folder), *options],
        capture_output=True, text=True, env=environment, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def operation(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def story(operation):
    """What is told of a simulated gateway, step by step."""
    return chapters(told(operation, "--simulated"))


def chapters(text):
    found = re.split(r"\n\d+\. ", text)
    return {one.partition("\n")[0]: one for one in found[1:]}


def chapter(story, word):
    (found,) = (text for title, text in story.items() if word in title)
    return found


def test_the_story_begins_with_what_an_order_would_do(story):
    rehearsal = chapter(story, "dry run")
    assert "feasible: yes" in rehearsal
    assert "downstream 100 Mbit/s, upstream 40 Mbit/s" in rehearsal
    assert "ProductOrder" not in rehearsal


@pytest.mark.parametrize(
    ("word", "standing", "speed"),
    [
        ("What it made", "running", "100/40"),
        ("upgrade", "running", "1000/500"),
        ("breaks in the middle", "running", "1000/500"),
        ("cancels", "gone", ""),
        ("suspended", "suspended", "1000/500"),
        ("resumed", "running", "1000/500"),
        ("cable of", "running", "1000/500"),
        ("mended", "running", "1000/500"),
        ("terminated", "gone", ""),
    ],
)
def test_all_sides_agree_at_every_point_of_the_story(story, word, standing, speed):
    text = chapter(story, word)
    assert f"all agree: {standing}" in text
    sides = ("TMF637 product", "TMF638 customer facing", "TMF638 resource facing",
             "TMF639 resource", "element over SNMP")  # fmt: skip
    for side in sides:
        (line,) = (one for one in text.splitlines() if one.strip().startswith(side))
        assert f" {speed} Mbit/s" in line if speed else "Mbit/s" not in line


def test_one_side_that_says_something_else_is_a_disagreement():
    product = ServiceView("product", "TMF637 product", "active", (100, 40), "Fibre 100")
    element = ServiceView(
        "element", "element over SNMP", "switched on", (100, 40), "gw sub1", link_up=True
    )
    assert is_consistent([product, element], "running")
    for word in ("switched off", "nothing", "elsewhere"):
        assert not is_consistent([product, replace(element, word=word)], "running")


def test_a_change_that_breaks_is_undone_and_says_why(story):
    text = chapter(story, "breaks in the middle")
    assert "the order is failed" in text
    assert "ProductOrderErrorMessageEvent" in text
    assert re.search(r"stopped after downstream: sub\d upstream = 40000000", text)
    assert "the element says 1000/500 Mbit/s" in text


def test_a_cancelled_order_says_what_was_undone(story):
    assert "is waited for" in chapter(story, "falls silent")
    text = chapter(story, "cancels")
    assert "the request is done" in text
    assert re.search(r"Undone: gw-demo-\d+ sub\d: set back on gw-demo-\d+, and free again", text)


def test_a_cut_cable_is_one_alarm(story):
    text = chapter(story, "cable of")
    assert "1 alarm: linkDown, major" in text
    assert "AlarmCreateEvent" in text
    assert text.count(", link down") == 2
    text = chapter(story, "mended")
    assert "the alarm is cleared since" in text
    assert "AlarmStateChangeEvent" in text
    assert text.count(", link up") == 2


def test_the_gateway_leaves_with_the_story(story):
    assert "simulated (asked for)" in chapter(story, "What it made")
    assert "locked in the inventory" in chapter(story, "leaves the network")


@pytest.mark.skipif(lab_unavailable_reason() is not None, reason=str(lab_unavailable_reason()))
@pytest.mark.usefixtures("story")
def test_what_goes_through_a_real_gateway_is_measured(operation):
    story = chapters(told(operation))
    assert "net-snmp in a network of its own" in chapter(story, "What it made")
    if shutil.which("iperf3", path=PATH) is None:
        assert "not measured (no iperf3)" in chapter(story, "What it made")
        return
    speeds = {
        word: int(re.search(r"port: (\d+) Mbit/s downstream", chapter(story, word))[1])
        for word in ("What it made", "upgrade", "breaks in the middle", "resumed")
    }
    slow = speeds.pop("What it made")
    assert slow <= 108
    assert min(speeds.values()) > 108, "faster than before, after what was undone too"
    assert "nobody gets through" in chapter(story, "suspended")


def test_the_gateway_of_an_earlier_story_is_taken_out_of_use(engine, tmp_path):
    desk = RepositoryFactory(engine.writer, "test").for_tenant(engine.settings.default_tenant)
    desk.create("Category", {"name": "Something", **WRITTEN})  # so that nothing is loaded
    for name in ("gw-demo-1", "gw-demo-2"):
        with SimulatedDemoGateway(name, trap_port=0) as gateway:
            file = tmp_path / f"{name}.json"
            file.write_text(json.dumps(dict(gateway.credentials)))
            DemoElement(gateway, "asked for", file).load_demo_data(engine, lambda _: None)
    (here,) = managed_elements(desk)
    assert here["name"] == "gw-demo-2"
    (gone,) = desk.find("Resource", {"name": "gw-demo-1"})
    assert (gone["administrativeState"], gone["operationalState"]) == ("locked", "disabled")
