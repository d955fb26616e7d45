"""Additions to the bodies of requests: types, times and initial states."""

import pytest

from tests.support.body_factory import BodyFactory
from tests.support.contract_collections import CONTRACTS, validators
from tmf_apis.rest.contracts.body_defaults import BodyDefaults, ConcreteTypes, additions_text
from tmf_apis.rest.contracts.json_schemas import form_base

CREATES = [
    (contract, operation)
    for contract in CONTRACTS
    for operation in contract.operations
    if operation.action in {"create", "subscribe"} and contract.version == "v5"
]
NOW = "2026-01-02T03:04:05.678Z"


def defaults_of(contract, *, fills=True):
    return BodyDefaults(contract.document, is_typed=contract.version == "v5", fills=fills)


def contract_of(number, version="v5"):
    return next(c for c in CONTRACTS if (c.number, c.version) == (number, version))


def without_types(value):
    """Return a value without the types of its objects, except those that nothing else tells."""
    if isinstance(value, list):
        return [without_types(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_types(inner) for name, inner in value.items() if name != "@type"}


@pytest.mark.parametrize(
    ("contract", "operation"), CREATES, ids=[f"{c.number}-{o.body_schema}" for c, o in CREATES]
)
@pytest.mark.parametrize("is_full", [False, True])
def test_every_body_without_types_is_completed_to_a_valid_one(contract, operation, is_full):
    bodies = BodyFactory(contract)
    schema = operation.body_schema
    body = bodies.full(schema) if is_full else bodies.minimal(schema)
    bare = without_types(body)
    for name in ("lastUpdate", "lifecycleStatus"):
        bare.pop(name, None)
    filled = defaults_of(contract).filled(
        schema, bare, now=NOW, state={"lifecycleStatus": "In study"}
    )
    problems = [
        f"{list(e.instance_path)} {e.message}"
        for e in validators(contract).validator(schema).iter_errors(filled)
    ]
    assert problems == []
    assert {name: filled[name] for name in bare}.keys() == bare.keys()


@pytest.mark.parametrize("fills", [True, False])
def test_a_union_as_type_becomes_the_type_of_the_shape(fills):
    defaults = defaults_of(contract_of("TMF622"), fills=fills)
    order = {
        "@type": "ProductOrder",
        "productOrderItem": [
            {
                "@type": "ProductOrderItem",
                "id": "1",
                "action": "add",
                "product": {"@type": "ProductRefOrValue", "id": "7"},
            },
            {
                "@type": "ProductOrderItem",
                "id": "2",
                "action": "add",
                "product": {
                    "@type": "ProductRefOrValue",
                    "description": "line",
                    "place": [
                        {
                            "@type": "RelatedPlaceRefOrValue",
                            "role": "site",
                            "place": {"@type": "PlaceRefOrValue", "id": "3", "name": "Home"},
                        }
                    ],
                },
            },
        ],
    }
    first, second = defaults.typed("ProductOrder_FVO", order)["productOrderItem"]
    assert first["product"]["@type"] == "ProductRef"
    assert second["product"]["@type"] == "Product"
    [place] = second["product"]["place"]
    assert place["@type"] == "RelatedPlaceRefOrValue"
    assert place["place"]["@type"] == "PlaceRef"
    assert defaults.typed("ProductOrder_FVO", order, b"no such name") is order or fills


def test_attachments_of_published_examples_are_valid():
    contract = contract_of("TMF620")
    body = {
        "@type": "ProductSpecification", "name": "Firewall", "lastUpdate": NOW,
        "lifecycleStatus": "In study",
        "attachment": [
            {"@type": "AttachmentRefOrValue", "id": "22", "href": "http://x/22", "name": "sheet"},
            {
                "@type": "AttachmentRefOrValue", "attachmentType": "picture",
                "mimeType": "image/png", "url": "http://x/1.png", "name": "photo",
            },
        ],
    }  # fmt: skip
    typed = defaults_of(contract, fills=False).typed("ProductSpecification_FVO", body)
    assert [a["@type"] for a in typed["attachment"]] == ["AttachmentRef", "Attachment"]
    validators(contract).check("ProductSpecification_FVO", typed)


def test_version_4_is_not_changed():
    contract = contract_of("TMF622", "v4")
    body = {"productOrderItem": [{"product": {"@type": "ProductRefOrValue", "id": "7"}}]}
    assert defaults_of(contract).typed("ProductOrder_Create", body) is body


def test_additions_are_listed_with_their_pointers():
    before = {"a": [{"b": 1}], "c": 2}
    after = {"a": [{"b": 1, "@type": "A"}], "c": 2, "lastUpdate": "now"}
    assert additions_text(before, after) == '/a/0/@type "A", /lastUpdate "now"'
    assert additions_text(before, before) == ""


@pytest.mark.parametrize(
    ("medium", "type"),
    [
        ({"emailAddress": "a@b.de"}, "EmailContactMedium"),
        ({"phoneNumber": "1"}, "PhoneContactMedium"),
        ({"faxNumber": "1", "preferred": True}, "FaxContactMedium"),
        ({"city": "Paris", "foo": 1}, "GeographicAddressContactMedium"),
        ({"socialNetworkId": "x"}, "SocialContactMedium"),
        ({"preferred": True}, "ContactMedium"),
        ({"foo": 1}, "ContactMedium"),
        ({"emailAddress": "a@b.de", "phoneNumber": "1"}, "ContactMedium"),
        ({"@type": "ContactMedium", "emailAddress": "a@b.de"}, "ContactMedium"),
    ],
)
def test_the_attributes_of_an_object_tell_its_type(medium, type):
    defaults = defaults_of(contract_of("TMF629"))
    body = {"name": "x", "contactMedium": [medium]}
    filled = defaults.filled("Customer_FVO", body, now=NOW, state={})
    assert filled["contactMedium"] == [{"@type": type, **medium}]


SUBTYPES = [
    (contract, base, subtype)
    for contract in CONTRACTS
    if contract.version == "v5"
    for base, schema in contract.document["components"]["schemas"].items()
    for subtype in schema.get("discriminator", {}).get("mapping", {})
    if "oneOf" not in schema and subtype != base
    if subtype in contract.document["components"]["schemas"]
]


@pytest.mark.parametrize(
    ("contract", "base", "subtype"),
    SUBTYPES,
    ids=[f"{c.number}-{base}-{subtype}" for c, base, subtype in SUBTYPES],
)
def test_a_full_object_of_a_subtype_has_its_type_or_the_declared_one(contract, base, subtype):
    value = BodyFactory(contract).full(subtype)
    value.pop("@type", None)
    types = ConcreteTypes(contract.document)
    assert form_base(types._concrete_type(base, value)) in {form_base(base), subtype}
