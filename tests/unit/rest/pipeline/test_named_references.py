"""References in bodies: found in every attribute of every contract, and in free-form values."""

import pytest

from tests.support.contract_collections import COLLECTIONS, CONTRACTS
from tests.support.reference_bodies import KINDS, reference_paths, reference_schema
from tmf_apis.rest.contracts.reference_schema import ACCOUNT, ReferenceSchema
from tmf_apis.rest.pipeline.named_references import HrefResolver, ReferenceExtractor
from tmf_apis.rest.pipeline.party_rules import Access, PartyRules

HREFS = HrefResolver(CONTRACTS)
WITH_BODIES = [c for c in COLLECTIONS if {"create", "patch"} & set(c.operations)]
PRODUCT = "/tmf-api/productInventory/v4/product"


def extractor(kind="Product", rules=None):
    """Return the extractor of a kind with the rules of a test."""
    roots = [
        (contract.document, operation.schema)
        for contract in CONTRACTS
        for operation in contract.operations
        if operation.kind == kind and operation.action == "list"
    ]
    return ReferenceExtractor(ReferenceSchema(kind, roots, KINDS), rules or PartyRules(), HREFS)


def kinds_and_ids(kind, body, rules=None):
    """Return kind and id of the references in a body."""
    return [(r.kind, r.id) for r in extractor(kind, rules).references(body)]


def nested(path, value):
    """Return a body with a value at a path; every attribute is an array."""
    for name in reversed(path):
        value = {name: [value]}
    return value


@pytest.mark.parametrize("collection", WITH_BODIES, ids=str)
def test_every_declared_reference_is_found_at_any_depth(collection):
    references_in = ReferenceExtractor(reference_schema(collection), PartyRules(), HREFS).references
    for path, nodes in reference_paths(collection):
        if {"relatedParty", "engagedParty", "partyOrPartyRole"} & set(path[-1:]):
            continue
        node = nodes[-1]
        kind = node.kind or "Product"
        members = {"id": "x"} if node.kind else {"id": "x", "@referredType": kind}
        value = "x" if node.is_plain else members
        named = [(r.kind, r.id) for r in references_in(nested(path, value))]
        assert named == [(kind, "x")], path


def test_the_declared_type_counts_and_not_the_one_that_the_value_names():
    body = {"realizingService": [{"id": "1", "@type": "Foo", "@referredType": "Bar"}]}
    assert kinds_and_ids("Product", body) == [("Service", "1")]


@pytest.mark.parametrize(
    "value",
    [
        {"id": "1", "@referredType": "Product"},
        {"id": "1", "@type": "ProductRef"},
        {"id": "1", "@type": "ProductRefOrValue"},
        {"href": f"{PRODUCT}/1"},
        {"href": f"https://any.example/prefix{PRODUCT}/1?x=y"},
        {"href": f"https://any.example/{PRODUCT}//1/"},
        {"href": "/tmf-api/productInventory/v4/%70roduct/1"},
    ],
)
def test_a_free_form_value_that_names_a_resource_is_a_reference(value):
    body = {"productCharacteristic": [{"name": "a", "value": {"deep": [value]}}]}
    assert kinds_and_ids("Product", body) == [("Product", "1")]


@pytest.mark.parametrize("type_", [{}, {"@referredType": "Category"}], ids=["no type", "other"])
def test_a_relationship_that_has_an_id_itself_refers_to_its_own_kind_whatever_it_claims(type_):
    related = {"productRelationship": [{"relationshipType": "reliesOn", "id": "1", **type_}]}
    body = {"productOrderItem": [{"product": related}]}
    assert kinds_and_ids("ProductOrder", body) == [("Product", "1")]


@pytest.mark.parametrize(
    "value",
    [
        {"id": "1"},
        {"id": "1", "@type": "Note"},
        {"href": "https://any.example/agreements/1"},
        {"href": f"https://any.example{PRODUCT}"},
        {"href": "https://[broken"},
        {"id": None, "@referredType": "Product"},
    ],
)
def test_a_value_that_names_no_resource_of_this_server_is_none(value):
    body = {"productCharacteristic": [{"name": "a", "value": value}]}
    assert kinds_and_ids("Product", body) == []


def test_an_href_cannot_name_another_resource_than_the_id():
    body = {"realizingResource": [{"id": "own", "href": f"{PRODUCT}/foreign"}]}
    assert kinds_and_ids("Product", body) == [("Resource", "own"), ("Product", "foreign")]
    same = {"product": [{"id": "own", "href": f"{PRODUCT}/own"}]}
    assert kinds_and_ids("Product", same) == [("Product", "own")]


def test_the_items_of_an_order_are_not_references():
    item = {
        "id": "1",
        "@type": "ProductOrderItem",
        "productOrderItemRelationship": [{"id": "2", "relationshipType": "reliesOn"}],
        "productOrderItem": [{"id": "2", "product": {"id": "p"}}],
    }
    assert kinds_and_ids("ProductOrder", {"productOrderItem": [item]}) == [("Product", "p")]


def test_parties_are_not_resources_but_their_accounts_are_held():
    party = {"id": "42", "@referredType": "Customer", "account": [{"id": "a"}]}
    body = {"relatedParty": [{"role": "customer", "partyOrPartyRole": party}]}
    (reference,) = extractor("Customer").references(body)
    assert (reference.kind, reference.id, reference.access) == (ACCOUNT, "a", Access.HELD)


def test_a_change_adds_the_references_that_were_not_there_before():
    extract = extractor("ProductOrder")

    def order(*products, action="add"):
        return {
            "productOrderItem": [
                {"id": str(n), "action": action, "product": {"id": product}}
                for n, product in enumerate(products)
            ]
        }

    def added(old, new):
        return [reference.id for reference in extract.added(old, new)]

    assert added(order("a", "b"), order("b", "a")) == []
    assert added(order("a"), order("a", "b")) == ["b"]
    assert added(order("a"), order("a", "a")) == ["a"]
    assert added(order("a"), order("a", action="delete")) == ["a"]
    assert added(None, order("a")) == ["a"]


def test_the_longest_declared_path_decides():
    rules = PartyRules(
        references={
            "*.service": Access.OWN,
            "serviceOrderItem.service": Access.ANYWHERE,
            "*.serviceRelationship.service": Access.SEE,
        }
    )
    assert rules.access(("serviceOrderItem", "service")) is Access.ANYWHERE
    assert rules.access(("a", "serviceRelationship", "service")) is Access.SEE
    assert rules.access(("a", "service")) is Access.OWN
    assert rules.access(("a", "b")) is None


def test_names_of_clients_are_not_remembered():
    extract = extractor("Product")
    extract.references({f"name {n}": [{"id": "1"}] for n in range(100)})
    assert len(extract.schema.root._children) <= len(extract.schema.root.names)


@pytest.mark.parametrize("id", [["1"], {"a": "1"}, [], {}, [[{"id": 1}]], None, ""], ids=repr)
def test_an_id_that_is_neither_a_text_nor_a_number_names_nothing(id):
    value = {"id": id, "@referredType": "Service"}
    assert kinds_and_ids("Product", {"productCharacteristic": [{"value": value}]}) == []


@pytest.mark.parametrize(
    "path", [f"{PRODUCT}/a/../7", f"/x/..{PRODUCT}/./7", f"{PRODUCT}/a/%2E%2E/7", f"/..{PRODUCT}/7"]
)
def test_an_href_leads_where_a_client_that_follows_it_gets(path):
    assert HREFS.resolve(path) == ("Product", "7")
