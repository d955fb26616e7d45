"""Settings that check other resources do not tell a party about the resources of others."""

import uuid

import pytest

from tmf_apis.capacity.inventory_counter import InventoryCounter
from tmf_apis.engine import Engine
from tmf_apis.errors import Conflict, Forbidden, TmfError
from tmf_apis.inventory.elements import ports_by_key
from tmf_apis.security.identity import Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client

TENANT = "acme"
STAFF = Identity("staff", TENANT)
ALICE, BOB = (Identity(name, TENANT, frozenset({name})) for name in ("alice", "bob"))


@pytest.fixture(scope="module")
def engine(mongodb_uri, contracts):
    """An engine that checks references and keeps customers unique."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    settings = Settings(mongodb_database=name, unique_customers=True, check_references=True)
    with mongo_client(settings, mongodb_uri) as client:
        yield Engine(settings, list(contracts.values()), client[name])
        client.drop_database(name)


def create(engine, identity, kind, **body):
    context = engine.writer.request_context(identity)
    return engine.writer.create(identity, kind, {"@type": kind, **body}, context)


def refusal(engine, identity, kind, **body):
    with pytest.raises(TmfError) as refused:
        create(engine, identity, kind, **body)
    return refused.value.status, refused.value.message


def test_a_party_does_not_learn_who_is_a_customer(engine):
    body = {"name": "x", "engagedParty": {"@type": "PartyRef", "id": "alice"}}
    before = refusal(engine, BOB, "Customer", **body)
    assert before[0] == Forbidden.status
    create(engine, ALICE, "Customer", **body)
    assert refusal(engine, BOB, "Customer", **body) == before
    with pytest.raises(Conflict, match="alice is customer"):
        create(engine, ALICE, "Customer", **body)
    with pytest.raises(Conflict, match="alice is customer"):
        create(engine, STAFF, "Customer", **body)


def test_a_party_does_not_make_a_customer_of_a_party_before_that_party_does(engine):
    body = {"name": "x", "engagedParty": {"@type": "PartyRef", "id": "carol"}}
    refusal(engine, BOB, "Customer", **body)
    create(engine, STAFF, "Customer", **body)


def test_a_change_does_not_tell_who_is_a_customer_either(engine):
    created = create(engine, BOB, "Customer", name="x")
    context = engine.writer.request_context(BOB)
    messages = set()
    for party in ("alice", "nobody"):
        edit = {"engagedParty": {"@type": "PartyRef", "id": party}}
        with pytest.raises(Forbidden) as refused:
            engine.writer.change(
                BOB, "Customer", created.id, lambda old, edit=edit: {**old, **edit}, context
            )
        messages.add(refused.value.message)
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("kind", "attribute"), [("Service", "supportingService"), ("Product", "realizingService")]
)
def test_a_reference_to_a_resource_of_others_is_like_one_to_nothing(engine, kind, attribute):
    foreign = create(engine, STAFF, "Service", name="s", relatedParty=[{"id": "alice"}]).id
    answers = set()
    for id in (foreign, "0" * len(foreign)):
        reference = {"@type": "ServiceRef", "id": id}
        status, message = refusal(engine, BOB, kind, name="x", **{attribute: [reference]})
        answers.add((status, message.replace(id, "ID")))
    assert len(answers) == 1


def test_a_resource_of_a_party_is_not_taken_for_one_of_the_network(engine):
    """A party could otherwise answer for an element, a port or a pool under the same name."""
    counter = InventoryCounter(engine.database, TENANT)
    network = engine.writer.repository_for(STAFF, engine.writer.request_context(STAFF))
    relation = {"relationshipType": "isContainedIn", "resource": {"id": "gw"}}
    for identity, name in ((ALICE, "imitation"), (STAFF, "port")):
        id = create(engine, identity, "Resource", name=name, category="accessPort", value=name).id
        engine.database.Resource.update_one(
            {"id": id}, {"$set": {"body.resourceRelationship": [relation]}}
        )
    assert [port.name for port in counter.port_objects("gw").values()] == ["port"]
    assert [port["name"] for port in ports_by_key(network, "gw").values()] == ["port"]


def test_a_resource_of_a_party_is_not_free_for_the_services_of_others(engine):
    specification = {
        "id": create(engine, STAFF, "ResourceSpecification", name="m", category="m").id
    }
    service = create(
        engine, STAFF, "ServiceSpecification", name="s", lifecycleStatus="Active",
        resourceSpecification=[specification],
    )  # fmt: skip
    item = {"id": "1", "service": {"serviceSpecification": {"id": service.id}}}

    def result():
        body = {"serviceQualificationItem": [item]}
        return create(engine, BOB, "CheckServiceQualification", **body).body["qualificationResult"]

    create(engine, ALICE, "Resource", name="m1", category="m")
    assert result() == "unqualified"
    create(engine, STAFF, "Resource", name="m2", category="m")
    assert result() == "qualified"
