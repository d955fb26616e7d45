"""Stored owners follow the owning roles after an upgrade and after a change of the setting."""

from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.owners import OwnerRoles
from tmf_apis.rest.pipeline.ownership_migration import update_parties
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.security.identity import EVERYONE

POLICIES = {"BillCycle": ResourcePolicy(parties=lambda _: (EVERYONE,))}
KINDS = ["BillCycle", "Product"]


def builder(*roles):
    """Return a builder with the standard roles, or with those of a test."""
    return DocumentBuilder(
        POLICIES, ServedForms(), KindRegistry(), OwnerRoles(*[roles] if roles else [])
    )


def store(database, id, *related, **members):
    """Store a product as an earlier release did: every related party owns it."""
    body = {"relatedParty": [{"id": party, "role": role} for party, role in related]}
    document = {"_id": f"t:{id}", "tenant": "t", "id": id, "rev": 3, "body": body, **members}
    document["parties"] = sorted({party for party, _ in related} | set(members.get("owner", ())))
    database["Product"].insert_one(document)


def owners(database):
    """Return the parties of each product."""
    return {document["id"]: document["parties"] for document in database["Product"].find()}


def test_parties_in_other_roles_lose_what_earlier_releases_gave_them(database):
    store(database, "1", ("ada", "customer"), ("bob", "installer"))
    store(database, "2", ("bob", "installer"), owner=["eve"])
    store(database, "3", ("ada", "Buyer"))
    assert update_parties(database, builder(), KINDS) == 2
    assert owners(database) == {"1": ["ada"], "2": ["eve"], "3": ["ada"]}
    assert update_parties(database, builder(), KINDS) == 0
    assert database["Product"].distinct("rev") == [3]


def test_a_changed_setting_gives_and_takes(database):
    store(database, "1", ("ada", "customer"), ("bob", "installer"))
    update_parties(database, builder(), KINDS)
    assert update_parties(database, builder("installer"), KINDS) == 1
    assert owners(database) == {"1": ["bob"]}


def test_catalogues_and_deleted_resources_stay_as_they_are(database):
    database["BillCycle"].insert_one({"_id": "t:1", "tenant": "t", "id": "1", "rev": 1,
                                      "parties": [EVERYONE], "body": {}})  # fmt: skip
    store(database, "1", ("bob", "installer"))
    database["Product"].update_one({}, {"$set": {"tenant": "~gone"}})
    assert update_parties(database, builder(), KINDS) == 0
    assert owners(database) == {"1": ["bob"]}
