"""A resource that others rest on cannot be deleted; another party cannot prevent a deletion."""

import dataclasses
import re
import uuid

import pytest

from tests.support.contract_collections import COLLECTIONS
from tests.support.paths import ROOT
from tmf_apis.engine import Engine
from tmf_apis.errors import Conflict
from tmf_apis.rest.pipeline.party_rules import PartyRules
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.settings import Settings
from tmf_apis.store.connection import mongo_client

TENANT = "acme"
STAFF = Identity("staff", TENANT)
ALICE, BOB = (Identity(name, TENANT, frozenset({name})) for name in ("alice", "bob"))
SERVICE = "/tmf-api/serviceInventory/v4/service"
CATALOG = "/tmf-api/productCatalogManagement/v5"
#: Kinds that can be deleted at any time: records of what has happened or was asked for, and the
#: roots of the catalogues, which nothing refers to.
NOTHING_RESTS_ON = {
    *("Alarm", "Customer", "CustomerBillOnDemand", "ProductOrder", "ServiceOrder"),
    *("ProductCatalog", "ServiceCatalog", "ServiceCandidate", "ResourceCatalog"),
    *("ResourceCandidate", "AppliedCustomerBillingRate"),
    *("ImportJob", "ServiceImportJob", "ResourceImportJob"),
    *("ExportJob", "ServiceExportJob", "ResourceExportJob"),
    *("CapacityReport", "FalloutTask", "NetworkAudit", "NetworkDiscovery", "ResolveDifference"),
    *("CheckServiceQualification", "QueryServiceQualification"),
}


@pytest.fixture(scope="module")
def engine(mongodb_uri, contracts):
    """An engine with a database of this module only."""
    settings = Settings(mongodb_database=f"test_{uuid.uuid4().hex[:12]}")
    with mongo_client(settings, mongodb_uri) as client:
        database = client[settings.mongodb_database]
        engine = Engine(settings, list(contracts.values()), database)
        engine.prepare()
        yield engine
        client.drop_database(database)


def store(engine, kind, body, *, parties=(), owner=None):
    """Store a document and return the id of its resource."""
    id = uuid.uuid4().hex
    document = {"_id": f"{TENANT}:{id}", "tenant": TENANT, "id": id, "rev": 1, "body": body}
    document |= {"parties": list(parties), "text": {}}
    if owner:
        document["owner"] = owner
    engine.database[kind].insert_one(document)
    return id


def with_reference(dependents, id):
    """Return the body of a resource that refers to another one as dependents do."""
    first, *inner = dependents.path.split(".")
    value = id
    for name in reversed(inner):
        value = {name: value}
    if dependents.types:
        value = {"relationshipType": min(dependents.types), **value}
    is_array = first not in {"productSpecification", "serviceSpecification", "billCycle"}
    return {"name": "dependent", first: [value] if is_array else value}


def delete(engine, identity, kind, id):
    engine.writer.delete(identity, kind, id, engine.writer.request_context(identity))


def all_dependencies(engine):
    return [
        (kind, dependents)
        for kind, policy in sorted(engine.policies.items())
        for dependents in policy.needed_by
    ]


def owners_of(engine, kind, identity):
    """Return the parties of a resource of a kind that belongs to an identity."""
    policy = engine.policies[kind]
    is_public = policy.parties is not None and EVERYONE in policy.parties({})
    return [EVERYONE] if is_public else sorted(identity.parties or ())


def test_what_others_rest_on_cannot_be_deleted(engine):
    for kind, dependents in all_dependencies(engine):
        for identity in (STAFF, ALICE):
            parties = owners_of(engine, kind, identity)
            if EVERYONE in parties and identity is ALICE:
                continue
            target = store(engine, kind, {"name": "target"}, parties=parties, owner=identity.owners)
            body = with_reference(dependents, target)
            dependent = store(engine, dependents.kind, body, parties=parties)
            with pytest.raises(Conflict, match=rf"needed by dependent \({dependent}\)"):
                delete(engine, identity, kind, target)
            for name, condition in dependents.active.items():
                ended = condition.get("$ne") or condition["$nin"][0]
                engine.database[dependents.kind].update_one(
                    {"id": dependent}, {"$set": {f"body.{name}": ended}}
                )
            if not dependents.active:
                engine.database[dependents.kind].delete_one({"id": dependent})
            delete(engine, identity, kind, target)


def test_a_resource_of_another_party_keeps_nobody_from_deleting(engine):
    for kind, dependents in all_dependencies(engine):
        for identity in (STAFF, ALICE):
            parties = owners_of(engine, kind, identity)
            if EVERYONE in parties and identity is ALICE:
                continue
            target = store(engine, kind, {"name": "target"}, parties=parties, owner=identity.owners)
            body = with_reference(dependents, target)
            store(engine, dependents.kind, body, parties=["bob"], owner=["bob"])
            delete(engine, identity, kind, target)


def test_a_resource_that_the_operator_made_for_a_party_keeps_the_operator_from_deleting(engine):
    for kind, dependents in all_dependencies(engine):
        target = store(engine, kind, {}, parties=owners_of(engine, kind, STAFF))
        body = with_reference(dependents, target)
        store(engine, dependents.kind, body, parties=["bob"])
        with pytest.raises(Conflict):
            delete(engine, STAFF, kind, target)


def test_the_refusal_does_not_name_what_the_client_cannot_read(engine):
    for kind, dependents in all_dependencies(engine):
        if owners_of(engine, kind, ALICE) == [EVERYONE]:
            continue
        target = store(engine, kind, {}, parties=["alice"], owner=["alice"])
        dependent = store(engine, dependents.kind, with_reference(dependents, target))
        with pytest.raises(Conflict) as refused:
            delete(engine, ALICE, kind, target)
        assert dependent not in refused.value.message
        assert "dependent" not in refused.value.message


def test_dependents_are_found_by_an_index(engine):
    for _, dependents in all_dependencies(engine):
        query = {"tenant": TENANT, f"body.{dependents.path}": "x"}
        plan = str(engine.database[dependents.kind].find(query).explain()["queryPlanner"])
        assert f"'body.{dependents.path}': 1" in plan, dependents


def test_each_kind_that_can_be_deleted_says_what_rests_on_it(engine):
    deletable = {c.kind for c in COLLECTIONS if "delete" in c.operations} & set(engine.policies)
    silent = {kind for kind in deletable if not engine.policies[kind].needed_by}
    assert silent - NOTHING_RESTS_ON == set()


def test_the_table_in_the_documentation_has_what_the_policies_declare(engine):
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    section = text.partition("## Deleting what others rest on")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", section, re.MULTILINE)
    documented = {kind: re.sub(r" \([^)]*\)", "", kinds).split(", ") for kind, kinds in rows}
    declared = {}
    for kind, dependents in all_dependencies(engine):
        kinds = declared.setdefault(kind, [])
        kinds += [dependents.kind] if dependents.kind not in kinds else []
    assert documented == declared


def test_a_check_knows_the_client_for_whom_it_decides(engine):
    """A check that takes each client for the server itself never refuses anything."""
    contexts = []

    def record(repository, old, new):
        contexts.append((repository.context.system, repository.context.parties))

    for kind, policy in list(engine.policies.items()):
        if policy.check is None:
            continue
        parties = owners_of(engine, kind, ALICE)
        identity = STAFF if EVERYONE in parties else ALICE
        id = store(engine, kind, {"name": "x"}, parties=parties, owner=identity.owners)
        engine.policies[kind] = dataclasses.replace(
            policy,
            check=record,
            party_rules=PartyRules(),
            on_delete=None,
            after_commit=None,
            on_change=lambda _, new, __: new,
        )
        try:
            context = engine.writer.request_context(identity)
            engine.writer.change(identity, kind, id, lambda old: {**old, "name": "y"}, context)
            delete(engine, identity, kind, id)
        finally:
            engine.policies[kind] = policy
        assert contexts == [(False, identity.parties)] * 2, kind
        contexts.clear()


def test_a_service_that_another_rests_on_is_409(api):
    body = {"name": "s", "serviceSpecification": {"id": "spec"}}

    def create(**attributes):
        response = api.post(SERVICE, json={**body, "state": "designed", **attributes})
        assert response.status_code == 201, response.text
        return response.json()

    lower = create()
    upper = create(supportingService=[{"id": lower["id"]}])
    refused = api.delete(f"{SERVICE}/{lower['id']}")
    assert refused.status_code == 409
    assert upper["id"] in refused.json()["message"]
    assert api.delete(f"{SERVICE}/{upper['id']}").status_code == 204
    assert api.delete(f"{SERVICE}/{lower['id']}").status_code == 204


def test_a_specification_of_an_offering_is_409(api):
    path = f"{CATALOG}/productSpecification"
    body = {
        "@type": "ProductSpecification",
        "name": "spec",
        "lifecycleStatus": "Active",
        "lastUpdate": "2026-01-01T00:00:00Z",
    }
    response = api.post(path, json=body)
    assert response.status_code == 201, response.text
    specification = response.json()
    offering = {
        "@type": "ProductOffering",
        "name": "offering",
        "lifecycleStatus": "Active",
        "lastUpdate": "2026-01-01T00:00:00Z",
        "productSpecification": {"@type": "ProductSpecificationRef", "id": specification["id"]},
    }
    response = api.post(f"{CATALOG}/productOffering", json=offering)
    assert response.status_code == 201, response.text
    created = response.json()
    assert api.delete(specification["href"]).status_code == 409
    assert api.patch(created["href"], json={"lifecycleStatus": "Retired"}).status_code == 200
    assert api.delete(specification["href"]).status_code == 204
