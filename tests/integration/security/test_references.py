"""References: a party names only its own resources, by every verb, in every attribute.

The references are derived from the contracts, so a new contract is covered without a line here.
"""

import json
import uuid
from contextlib import ExitStack

import pytest

from tests.support.contract_collections import COLLECTIONS, collections_with
from tests.support.policies import policy_of
from tests.support.reference_bodies import body_with_reference, reference_paths
from tmf_apis.rest.contracts.reference_schema import ACCOUNT
from tmf_apis.rest.pipeline.party_guard import is_public
from tmf_apis.rest.pipeline.party_rules import Access

ALICE, BOB = "alice", "bob"
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
QUERY_PATCH = {"Content-Type": "application/json-patch-query+json"}
#: Kinds that parties only read; test_attributes.py shows that.
READ_ONLY_APIS = {"TMF620", "TMF633", "TMF634", "NETWORK"}
WRITABLE = [
    c
    for c in COLLECTIONS
    if {"create", "patch"} & set(c.operations)
    and c.contract.number not in READ_ONLY_APIS
    and c.kind != "CustomerBill"
    and reference_paths(c)
]
CREATABLE = [c for c in WRITABLE if "create" in c.operations]
PATCHABLE = [c for c in WRITABLE if {"create", "patch"} <= set(c.operations)]
REPLACEABLE = [c for c in PATCHABLE if "replace" in c.operations]
DRY_RUNNABLE = [c for c in CREATABLE if c.kind in {"ProductOrder", "ServiceOrder"}]
#: Longest paths over HTTP; test_named_references.py has those of any length.
MAX_DEPTH, MAX_PATCH_DEPTH = 4, 3
MISSING = "0" * 32
MISSING_ACCOUNT = "acc-00000000"


class Parties:
    """Two parties of one tenant, each with a resource of every kind.

    Attributes:
        staff: A client of the operator.
        alice: A client of the party that attacks.
        ids: For each party, the id of its resource of each kind.
        urls: For each party, the URLs of its resources.
    """

    def __init__(self, staff, clients):
        self.staff = staff
        self.alice = clients[ALICE]
        self.ids = {ALICE: {}, BOB: {}}
        self.urls = {ALICE: [], BOB: []}
        for party, client in clients.items():
            for collection in collections_with("create"):
                kind = collection.kind
                is_public = collection.contract.number in READ_ONLY_APIS
                if is_public or "Alarms" in collection.schema or kind in self.ids[party]:
                    continue
                if kind in {"CustomerBillOnDemand", "CheckServiceQualification"}:
                    continue
                self._create(party, client, collection)

    def _create(self, party, client, collection):
        body = own_body(collection, client, party)
        if collection.kind == "Customer":
            self.ids[party][ACCOUNT] = account = f"acc-{uuid.uuid4().hex[:8]}"
            typed = {"@type": "AccountRef", "@referredType": "BillingAccount"}
            body["account"] = [{"id": account, "name": account, **typed}]
        if collection.kind in {"Customer", "Service"}:  # with attributes that the operator decides
            client = self.staff
        created = collection.create(client, body).json()
        self.ids[party][collection.kind] = created["id"]
        self.urls[party].append(created["href"])

    def snapshot(self):
        """Return the resources of bob with their tags, as staff sees them."""
        answers = [self.staff.get(url) for url in self.urls[BOB]]
        return [(answer.json(), answer.headers["etag"]) for answer in answers]


def own_body(collection, client, party):
    """Return a valid body of a resource of a party."""
    body = collection.body(client)
    if collection.kind == "Customer":
        body["engagedParty"]["id"] = party
    if collection.kind == "ServiceOrder":
        del body["serviceOrderItem"][0]["service"]["id"]
    if collection.kind == "Service":
        body["relatedParty"] = [{"id": party, "@referredType": "Individual"}]
    return body


@pytest.fixture(scope="module")
def parties(authenticated_server):
    """Two parties of a tenant of this module only."""
    tenant = f"t{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:

        def client(**claims):
            token = authenticated_server.token(tenant=tenant, **claims)
            return stack.enter_context(authenticated_server.client(token))

        clients = {party: client(subject=party, parties=[party]) for party in (ALICE, BOB)}
        yield Parties(client(subject="staff"), clients)


def member(kind, id, node):
    """Return a reference: the members of an object, or a plain id."""
    if node.is_plain:
        return id
    return {"id": id} if kind == node.kind else {"id": id, "@referredType": kind}


def cases(collection, max_depth):
    """Yield path, nodes and kind of each reference that is checked; a generic one has two kinds.

    References to the catalogue, which everybody reads, and in attributes of the server, which are
    ignored, are not.
    """
    policy = policy_of(collection.kind)
    rules = policy.party_rules
    for path, nodes in reference_paths(collection):
        if len(path) > max_depth or {"relatedParty", "engagedParty"} & set(path[-2:]):
            continue
        if path[0] in policy.server_owned or rules.access(merged(path)) in {
            Access.ANYWHERE,
            Access.TASK,
        }:
            continue
        kinds = [nodes[-1].kind] if nodes[-1].kind else ["Product", "Resource"]
        for kind in kinds:
            if not is_public(policy_of(kind)):
                yield path, nodes, kind


def merged(path):
    """Return a path in which repeated names count once."""
    return tuple(name for index, name in enumerate(path) if path[index - 1 : index] != (name,))


def answers_of(parties, collection, send, *, max_depth=MAX_PATCH_DEPTH):
    """Return the problems of the answers to foreign, missing and own ids, in every attribute."""
    base = own_body(collection, parties.alice, ALICE)
    problems = []
    for path, nodes, kind in cases(collection, max_depth):
        missing = MISSING_ACCOUNT if kind == ACCOUNT else MISSING
        foreign = parties.ids[BOB].get(kind, "1" * 32)
        answers = []
        own = parties.ids[ALICE].get(kind)
        for id in (foreign, missing, *([own] if own and len(path) == 1 else [])):
            body = body_with_reference(collection, base, path, nodes, member(kind, id, nodes[-1]))
            response = send(body, path[0])
            answers.append((response.status_code, neutral(response, id)))
        problem = problem_of(answers, ".".join(path))
        if problem:
            problems.append(problem)
    return problems


def neutral(response, id):
    """Return the text of an answer without the id that the client sent."""
    return response.text.replace(id, "ID")


def problem_of(answers, path):
    """Return the reason why two answers reveal or permit something; empty if they do not."""
    (status, text), other, *own = answers
    if (status, text) != other:
        return f"{path}: {answers}"
    if own and "there is no" in own[0][1]:
        return f"{path}: the own resource is refused: {own}"
    expected = {403: "only the operator", 404: "there is no"}
    if status == 400 and path.count(".") >= MAX_PATCH_DEPTH:
        return ""  # a body of that depth is not always valid
    if status not in expected or expected[status] not in text:
        return f"{path}: {status} {text[:300]}"
    return ""


@pytest.mark.parametrize("collection", CREATABLE, ids=str)
def test_a_new_resource_names_no_resource_of_others(parties, collection):
    before = parties.snapshot()

    def send(body, _):
        return parties.alice.post(collection.path, json=body)

    assert answers_of(parties, collection, send, max_depth=MAX_DEPTH) == []
    assert parties.snapshot() == before


@pytest.mark.parametrize("collection", DRY_RUNNABLE, ids=str)
def test_a_dry_run_names_no_resource_of_others(parties, collection):
    def send(body, _):
        return parties.alice.post(collection.path, json=body, params={"dryRun": "true"})

    assert answers_of(parties, collection, send) == []


@pytest.fixture
def own_url(parties, request):
    """The URL of a resource of alice in the collection of the test."""
    collection = request.getfixturevalue("collection")
    client = parties.staff if collection.kind == "Service" else parties.alice
    created = collection.create(client, own_body(collection, parties.alice, ALICE)).json()
    return f"{collection.path}/{created['id']}"


def merge_patch(client, url, name, value):
    """Send a merge patch."""
    return client.patch(url, json={name: value}, headers=MERGE)


def json_patch(client, url, name, value):
    """Send a JSON patch."""
    patch = [{"op": "add", "path": f"/{name}", "value": value}]
    return client.patch(url, content=json.dumps(patch), headers=JSON_PATCH)


def query_patch(client, url, name, value):
    """Send a JSON patch with queries in its paths."""
    patch = [{"op": "add", "path": f"/{name}", "value": value}]
    return client.patch(url, content=json.dumps(patch), headers=QUERY_PATCH)


@pytest.mark.parametrize("collection", PATCHABLE, ids=str)
@pytest.mark.parametrize("send_patch", [merge_patch, json_patch, query_patch])
def test_a_patch_names_no_resource_of_others(parties, collection, own_url, send_patch):
    before = parties.snapshot()

    def send(body, name):
        return send_patch(parties.alice, own_url, name, body[name])

    assert answers_of(parties, collection, send) == []
    assert parties.snapshot() == before


@pytest.mark.parametrize("collection", PATCHABLE, ids=str)
def test_a_bulk_patch_names_no_resource_of_others(parties, collection, own_url):
    before = parties.snapshot()
    id = own_url.rpartition("/")[2]

    def send(body, name):
        patch = [{"op": "add", "path": f"/{id}/{name}", "value": body[name]}]
        response = parties.alice.patch(
            collection.path, content=json.dumps(patch), headers=JSON_PATCH
        )
        item = response.json()[0]
        response.status_code = item["status"]
        return response

    assert answers_of(parties, collection, send) == []
    assert parties.snapshot() == before


@pytest.mark.parametrize("collection", REPLACEABLE, ids=str)
def test_a_replacement_names_no_resource_of_others(parties, collection, own_url):
    def send(body, _):
        return parties.alice.put(own_url, json=body)

    assert answers_of(parties, collection, send) == []
