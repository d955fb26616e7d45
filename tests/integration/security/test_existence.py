"""Settings that check other resources do not tell a party about the resources of others."""

import uuid

import pytest

from tmf_apis.engine import Engine
from tmf_apis.errors import Conflict, Forbidden, TmfError
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
