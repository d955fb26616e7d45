"""The kinds of an engine: their paths, their names in each version, and the names of events."""

from dataclasses import replace

import pytest
from pymongo import MongoClient

from tests.support.contract_collections import CONTRACTS
from tests.support.document_strategies import V4_SCHEMAS, ContractStrategies
from tmf_apis.engine import Engine
from tmf_apis.rest.views.kind_names import API_NAMES, KIND_NAMES, SUBTYPES
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.settings import Settings

KNOWN = KindRegistry()
TICKETS = "/tmf-api/troubleTicket/v4"


def trouble_ticket_contract():
    """A contract of an API that the code does not know, with the operations of customers."""
    customers = next(c for c in CONTRACTS if (c.number, c.version) == ("TMF629", "v4"))
    operations = tuple(
        replace(operation, kind="TroubleTicket", schema="TroubleTicket")
        for operation in customers.operations
        if operation.kind
    )
    return replace(
        customers, number="TMF621", base_path=TICKETS, mounts=(TICKETS,), operations=operations
    )


@pytest.mark.parametrize(
    ("kind", "body", "v4", "v5"),
    [
        ("ProductCatalog", {}, "catalog", "productCatalog"),
        ("UnGroupAlarm", {}, "unGroupAlarms", "unGroupAlarm"),
        ("BillCycle", {}, "billCycle", "billCycle"),
        ("Resource", {}, "resource", "resource"),
        ("Resource", {"@type": "PhysicalResource"}, "physicalResource", "resource"),
        ("Resource", {"@type": "SoftwareResource"}, "logicalResource", "resource"),
        ("Resource", {"@type": "X", "@baseType": "LogicalResource"}, "logicalResource", "resource"),
        ("Resource", {"@type": ["x"]}, "resource", "resource"),
    ],
)
def test_each_version_has_its_own_collection_segment(kind, body, v4, v5):
    assert KNOWN.collection_segment(kind, "v4", body) == v4
    assert KNOWN.collection_segment(kind, "v5", body) == v5


def test_the_path_of_a_resource_of_a_subtype_is_below_the_collection_of_the_subtype():
    mount = "/tmf-api/resourceInventoryManagement/v4"
    port = {"@type": "PhysicalResource"}
    assert KNOWN.resource_path("Resource", "v4", "1/0/7", port) == (
        f"{mount}/physicalResource/1%2F0%2F7"
    )
    assert KNOWN.resource_path("Resource", "v4", "7", {}) == f"{mount}/resource/7"


@pytest.mark.parametrize(
    ("stored", "body", "v4"),
    [
        ("ProductCatalogCreateEvent", {}, "CatalogCreateEvent"),
        ("AckAlarmStateChangeEvent", {}, "AckAlarmsStateChangeEvent"),
        ("ResourceDeleteEvent", {"@type": "PhysicalResource"}, "PhysicalResourceDeleteEvent"),
        ("ResourceDeleteEvent", {"@type": "LogicalResource"}, "ResourceDeleteEvent"),
        ("ProductOrderJeopardyAlertEvent", {}, "ProductOrderJeopardyAlertEvent"),
        ("SomethingElse", {}, "SomethingElse"),
    ],
)
def test_each_version_has_its_own_event_name(stored, body, v4):
    assert KNOWN.event_name("v4", stored, body) == v4
    assert KNOWN.event_name("v5", stored, body) == stored


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize("api", API_NAMES)
def test_every_event_of_a_contract_is_the_event_of_a_kind(api, version):
    kinds = [kind for kind, names in KIND_NAMES.items() if names.api == api]
    subjects = {
        KNOWN.event_name(version, f"{kind}CreateEvent", {"@type": schema}): kind
        for kind in kinds
        for schema in (kind, *SUBTYPES.get(kind, ()))
    }
    subjects = {name.removesuffix("CreateEvent"): kind for name, kind in subjects.items()}
    for name in ContractStrategies(api, version).schemas:
        if name.endswith("Event") and name not in {"Event", "BaseEvent"}:
            subject = max((s for s in subjects if name.startswith(s)), key=len)
            stored = subjects[subject] + name.removeprefix(subject)
            body = {"@type": subject} if subject in SUBTYPES.get(subjects[subject], ()) else {}
            assert KNOWN.event_name(version, stored, body) == name


@pytest.mark.parametrize(("kind", "schema"), V4_SCHEMAS)
def test_the_member_of_an_event_is_the_published_one(kind, schema):
    payload = f"{schema}CreateEventPayload"
    if payload not in ContractStrategies(KIND_NAMES[kind].api, "v4").schemas:
        pytest.skip("no events of this kind in v4")
    assert list(ContractStrategies(KIND_NAMES[kind].api, "v4").properties(payload)) == [
        KNOWN.event_member(kind, "v4", {"@type": schema})
    ]


def test_every_kind_is_a_schema_of_its_contract():
    for kind, names in KIND_NAMES.items():
        assert kind in ContractStrategies(names.api, "v5").schemas
        assert names.v4 is None or names.v4 in ContractStrategies(names.api, "v4").schemas
    for table in SUBTYPES.values():
        assert set(table.values()) <= set(ContractStrategies("TMF639", "v4").schemas)
        assert set(table) <= set(ContractStrategies("TMF639", "v5").schemas)


def test_a_known_kind_keeps_its_path_and_name():
    kinds = KindRegistry()
    kinds.register("Alarm", "v4", "/elsewhere", "Warning")
    assert kinds.resource_path("Alarm", "v4", "7", {}) == KNOWN.resource_path(
        "Alarm", "v4", "7", {}
    )


def test_a_path_is_computed_from_all_registrations():
    kinds = KindRegistry()
    kinds.register("TicketImportJob", "v4", TICKETS)
    assert kinds.resource_path("TicketImportJob", "v4", "7", {}) == f"{TICKETS}/ticketImportJob/7"
    kinds.register("TicketImportJob", "v4", TICKETS, "ImportJob")
    assert kinds.resource_path("TicketImportJob", "v4", "7", {}) == f"{TICKETS}/importJob/7"


def test_two_engines_in_one_process_do_not_share_their_kinds():
    with MongoClient("mongodb://127.0.0.1:1", connect=False) as client:
        contracts = [trouble_ticket_contract()]
        with_tickets = Engine(Settings(), contracts, client["with_tickets"])
        without_tickets = Engine(Settings(), list(CONTRACTS), client["without_tickets"])
    assert with_tickets.kind_registry.is_served("TroubleTicket", "v4")
    assert not without_tickets.kind_registry.is_served("TroubleTicket", "v4")
    assert without_tickets.kind_registry.is_served("ServiceOrder", "v4")
    assert not with_tickets.kind_registry.is_served("ServiceOrder", "v4")
