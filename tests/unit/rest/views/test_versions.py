"""Conversion between v4 and v5: it loses nothing, and queries of both find the same resources."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.contract_collections import CONTRACTS
from tests.support.document_strategies import V4_SCHEMAS, ContractStrategies, few_examples
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.views import alarms, billing, catalog, customer, inventory, ordering
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.versions import (
    from_stored,
    stored_paths,
    stored_value,
    to_stored,
)
from tmf_apis.settings import Settings

TABLES = [module.VIEWS for module in (alarms, billing, catalog, customer, inventory, ordering)]
NAMES = sorted(
    {
        name
        for table in TABLES
        for view in table.values()
        for step in view
        for name in step.affected_members
    }
)
VALUES = sorted(
    {
        value
        for table in TABLES
        for view in table.values()
        for step in view
        for mapping in [getattr(step, "mapping", {}), {getattr(step, "type", "x"): "y"}]
        for value in mapping
    }
)


def affected_documents(kind):
    """Return a strategy for documents with the members that the views of the kind's API affect."""
    table = next((table for table in TABLES if kind in table), {})
    names = {"id", "name", "@type", "extension"}
    names |= {name for view in table.values() for step in view for name in step.affected_members}
    values = st.sampled_from([*VALUES, "text", 7, True])
    inner = st.recursive(
        values,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(names)), inner, max_size=6)
        ),
        max_leaves=20,
    )
    return st.dictionaries(st.sampled_from(sorted(names)), inner, max_size=8)


def assert_lossless(kind, document):
    before = copy.deepcopy(document)
    stored = to_stored(kind, "v4", document)
    assert from_stored(kind, "v4", stored) == before
    v4_form = from_stored(kind, "v4", document)
    assert to_stored(kind, "v4", v4_form) == before
    assert document == before, "the argument was changed"


@pytest.mark.parametrize(("kind", "schema"), V4_SCHEMAS)
@few_examples
@given(data=st.data())
def test_a_v4_document_survives_a_round_trip(kind, schema, data):
    assert_lossless(
        kind, data.draw(ContractStrategies(KIND_NAMES[kind].api, "v4", NAMES).documents(schema))
    )


@pytest.mark.parametrize("kind", KIND_NAMES)
@few_examples
@given(data=st.data())
def test_a_v5_document_survives_a_round_trip_through_v4(kind, data):
    assert_lossless(
        kind, data.draw(ContractStrategies(KIND_NAMES[kind].api, "v5", NAMES).documents(kind))
    )


@pytest.mark.parametrize("kind", KIND_NAMES)
@settings(few_examples, max_examples=60)
@given(data=st.data())
def test_any_document_survives_a_round_trip(kind, data):
    assert_lossless(kind, data.draw(affected_documents(kind)))


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_v5_documents_are_not_converted(kind):
    document = {"@type": kind, "place": [{}], "relatedParty": [{"id": "1"}]}
    assert to_stored(kind, "v5", document) is document
    assert from_stored(kind, "v5", document) is document
    assert stored_paths(kind, "v5", "relatedParty.id") == ("relatedParty.id",)
    assert stored_value(kind, "v5", "@type", "Catalog") == "Catalog"


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_document_without_differences_is_the_same_object(kind):
    document = {"name": "x", "extension": {"id": "1"}}
    assert to_stored(kind, "v4", document) is document
    assert from_stored(kind, "v4", document) is document


def leaves(value, path=()):
    """Yield the path, without list indexes, and the value of every scalar."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield ".".join(path), value


def values_at(value, path):
    """Return the values that a MongoDB query compares at a path."""
    if isinstance(value, list):
        return [inner for item in value for inner in values_at(item, path)]
    if not path:
        return [value]
    if isinstance(value, dict) and path[0] in value:
        return values_at(value[path[0]], path[1:])
    return []


def stored_values(kind, stored, path):
    """Return the values of a stored document at a v4 path."""
    return [
        value
        for stored_path in stored_paths(kind, "v4", path)
        for value in values_at(stored, tuple(stored_path.split(".")))
    ]


@pytest.mark.parametrize(("kind", "schema"), V4_SCHEMAS)
@few_examples
@given(data=st.data())
def test_a_v4_path_leads_to_the_v4_value(kind, schema, data):
    document = data.draw(ContractStrategies(KIND_NAMES[kind].api, "v4").documents(schema))
    stored = to_stored(kind, "v4", document)
    for path, value in leaves(document):
        candidates = stored_values(kind, stored, path)
        assert stored_value(kind, "v4", path, value) in candidates, path


@pytest.mark.parametrize("kind", [kind for kind, names in KIND_NAMES.items() if names.v4])
@few_examples
@given(data=st.data())
def test_a_v4_path_leads_to_the_value_that_v5_wrote(kind, data):
    stored = data.draw(ContractStrategies(KIND_NAMES[kind].api, "v5").documents(kind))
    for path, value in leaves(from_stored(kind, "v4", stored)):
        candidates = stored_values(kind, stored, path)
        is_default_type = path.endswith("@type") and value not in candidates
        assert is_default_type or stored_value(kind, "v4", path, value) in candidates, path


PAIRS = [
    ("ProductOrder", {"orderDate": "D"}, {"creationDate": "D"}),
    (
        "ProductOrder",
        {"orderDate": "D", "creationDate": "extension"},
        {"creationDate": "D", "orderDate": "extension"},
    ),
    (
        "ProductOrder",
        {"externalId": "PO-1"},
        {"externalId": [{"@type": "ExternalIdentifier", "id": "PO-1"}]},
    ),
    (
        "ProductOrder",
        {
            "externalId": "PO-1",
            "externalIdDetail": {"owner": "crm"},
            "furtherExternalId": [{"@type": "ExternalIdentifier", "id": "7"}],
        },
        {
            "externalId": [
                {"@type": "ExternalIdentifier", "id": "PO-1", "owner": "crm"},
                {"@type": "ExternalIdentifier", "id": "7"},
            ]
        },
    ),
    (
        "ProductOrder",
        {"relatedParty": [{"id": "1", "role": "buyer", "@referredType": "Individual"}]},
        {
            "relatedParty": [
                {
                    "role": "buyer",
                    "partyOrPartyRole": {
                        "@type": "PartyRef",
                        "id": "1",
                        "@referredType": "Individual",
                    },
                }
            ]
        },
    ),
    (
        "ProductOrder",
        {
            "relatedParty": [
                {"@type": "PartyRoleRef", "id": "1", "name": "N", "partyId": "9"},
            ]
        },
        {
            "relatedParty": [
                {
                    "@type": "RelatedPartyRefOrPartyRoleRef",
                    "partyOrPartyRole": {
                        "@type": "PartyRoleRef",
                        "partyId": "9",
                        "id": "1",
                        "name": "N",
                    },
                }
            ]
        },
    ),
    (
        "ProductOrder",
        {
            "productOrderItem": [
                {"product": {"place": [{"@type": "GeographicAddress", "role": "a", "city": "X"}]}}
            ]
        },
        {
            "productOrderItem": [
                {
                    "product": {
                        "place": [
                            {
                                "@type": "RelatedPlaceRefOrValue",
                                "role": "a",
                                "place": {"@type": "GeographicAddress", "city": "X"},
                            }
                        ]
                    }
                }
            ]
        },
    ),
    (
        "ProductOrder",
        {"channel": [{"id": "c", "role": "sales"}]},
        {"channel": [{"role": "sales", "channel": {"@type": "ChannelRef", "id": "c"}}]},
    ),
    (
        "ProductOrder",
        {
            "productOrderItem": [
                {
                    "id": "1",
                    "action": "add",
                    "quoteItem": {"id": "q", "quoteId": "Q"},
                    "productOfferingQualificationItem": {"id": "5"},
                    "productOrderItem": [{"id": "1.1", "quoteItem": {"id": "r"}}],
                }
            ]
        },
        {
            "productOrderItem": [
                {
                    "id": "1",
                    "action": "add",
                    "quoteItem": {"quoteItemId": "q", "quoteId": "Q"},
                    "productOfferingQualificationItem": {"itemId": "5"},
                    "productOrderItem": [{"id": "1.1", "quoteItem": {"quoteItemId": "r"}}],
                }
            ]
        },
    ),
    (
        "ProductOrder",
        {
            "productOrderItem": [
                {
                    "product": {
                        "agreement": [{"id": "a", "name": "N", "agreementItemId": "2"}],
                        "place": [{"id": "p", "role": "installation"}],
                        "productOrderItem": [
                            {"productOrderId": "o", "productOrderHref": "h", "orderItemId": "1"}
                        ],
                        "productPrice": [{"productPriceAlteration": []}],
                        "productRelationship": [
                            {"relationshipType": "bundled", "product": {"id": "x", "name": "X"}}
                        ],
                        "relatedParty": [{"@type": "RelatedParty", "id": "1"}],
                    }
                }
            ]
        },
        {
            "productOrderItem": [
                {
                    "product": {
                        "agreementItem": [
                            {"agreementId": "a", "agreementName": "N", "agreementItemId": "2"}
                        ],
                        "place": [
                            {"role": "installation", "place": {"@type": "PlaceRef", "id": "p"}}
                        ],
                        "productOrderItem": [
                            {"orderId": "o", "orderHref": "h", "orderItemId": "1"}
                        ],
                        "productPrice": [{"priceAlteration": []}],
                        "productRelationship": [
                            {"relationshipType": "bundled", "id": "x", "name": "X"}
                        ],
                        "relatedParty": [
                            {
                                "@type": "RelatedPartyOrPartyRole",
                                "partyOrPartyRole": {"@type": "PartyRef", "id": "1"},
                            }
                        ],
                    }
                }
            ]
        },
    ),
    ("ProductCatalog", {"@type": "Catalog"}, {"@type": "ProductCatalog"}),
    (
        "ProductCatalog",
        {"@type": "Special", "@baseType": "Catalog"},
        {"@type": "Special", "@baseType": "ProductCatalog"},
    ),
    ("Category", {"parentId": "7"}, {"parent": {"@type": "CategoryRef", "id": "7"}}),
    (
        "Category",
        {"parentId": "7", "parent": {"name": "Mobile"}},
        {"parent": {"@type": "CategoryRef", "id": "7", "name": "Mobile"}},
    ),
    (
        "ProductOfferingPrice",
        {"constraint": [{"@type": "ConstraintRef", "id": "1"}]},
        {"policy": [{"@type": "PolicyRef", "id": "1"}]},
    ),
    (
        "ProductOffering",
        {
            "productOfferingPrice": [
                {
                    "recurringChargePeriod": "month",
                    "price": {
                        "dutyFreeAmount": {"unit": "EUR", "value": 10},
                        "taxRate": 19,
                        "percentage": 5,
                    },
                }
            ]
        },
        {
            "productOfferingPrice": [
                {
                    "recurringChargePeriodType": "month",
                    "percentage": 5,
                    "price": {"unit": "EUR", "value": 10, "taxRate": 19},
                }
            ]
        },
    ),
    (
        "ProductSpecification",
        {
            "productSpecCharacteristic": [
                {
                    "name": "speed",
                    "productSpecCharacteristicValue": [{"value": 100}],
                    "productSpecCharRelationship": [{"id": "c", "href": "h"}],
                }
            ]
        },
        {
            "productSpecCharacteristic": [
                {
                    "name": "speed",
                    "characteristicValueSpecification": [{"value": 100}],
                    "charSpecRelationship": [
                        {"characteristicSpecificationId": "c", "parentSpecificationHref": "h"}
                    ],
                }
            ]
        },
    ),
    (
        "Customer",
        {"engagedParty": {"@type": "RelatedParty", "id": "1", "role": "x"}},
        {"engagedParty": {"@type": "PartyRef", "id": "1", "role": "x"}},
    ),
    (
        "Customer",
        {
            "contactMedium": [
                {
                    "mediumType": "email",
                    "preferred": True,
                    "characteristic": {"emailAddress": "a@b", "contactType": "work"},
                }
            ]
        },
        {
            "contactMedium": [
                {
                    "@type": "EmailContactMedium",
                    "preferred": True,
                    "emailAddress": "a@b",
                    "contactType": "work",
                }
            ]
        },
    ),
    (
        "Customer",
        {"contactMedium": [{"mediumType": "Letter box", "characteristic": {"city": "Paris"}}]},
        {
            "contactMedium": [
                {
                    "@type": "GeographicAddressContactMedium",
                    "mediumType": "Letter box",
                    "city": "Paris",
                }
            ]
        },
    ),
    (
        "Customer",
        {"contactMedium": [{"@type": "ContactMedium", "mediumType": "phone"}]},
        {"contactMedium": [{"@type": "PhoneContactMedium", "mediumType": "ContactMedium"}]},
    ),
    (
        "Resource",
        {"place": {"@type": "RelatedPlaceRefOrValue", "id": "s", "role": "site"}},
        {
            "place": [
                {
                    "@type": "RelatedPlaceRef",
                    "role": "site",
                    "place": {"@type": "PlaceRef", "id": "s"},
                }
            ]
        },
    ),
    (
        "Resource",
        {"place": {"id": "s"}, "furtherPlace": [{"id": "t"}]},
        {
            "place": [
                {"place": {"@type": "PlaceRef", "id": "s"}},
                {"place": {"@type": "PlaceRef", "id": "t"}},
            ]
        },
    ),
    ("Resource", {"furtherPlace": []}, {"place": []}),
    (
        "Resource",
        {"resourceRelationship": [{"id": "r", "href": "h", "relationshipType": "contains"}]},
        {
            "resourceRelationship": [
                {
                    "relationshipType": "contains",
                    "resource": {"@type": "ResourceRef", "id": "r", "href": "h"},
                }
            ]
        },
    ),
    (
        "Resource",
        {"operationalState": "enable", "administrativeState": "shutdown", "usageState": "idle"},
        {
            "operationalState": "enabled",
            "administrativeState": "shuttingDown",
            "usageState": "idle",
        },
    ),
    ("Resource", {"resourceStatus": "reserved"}, {"resourceStatus": "reserved"}),
    (
        "Alarm",
        {
            "alarmedObject": {"@type": "AlarmedObject", "id": "o"},
            "affectedService": [{"@type": "AffectedService", "id": "s"}],
            "place": [{"id": "p", "name": "Site 1", "role": "where"}],
        },
        {
            "alarmedObject": {"@type": "AlarmedObjectRef", "id": "o"},
            "affectedService": [{"@type": "ServiceRef", "id": "s"}],
            "place": [
                {
                    "role": "where",
                    "relatedPlace": {"@type": "Place", "id": "p", "name": "Site 1"},
                }
            ],
        },
    ),
    *(
        (
            task,
            {"@type": f"{task}s", done: [{"id": "1", "place": [{"id": "p"}]}]},
            {
                "@type": task,
                done: [{"id": "1", "place": [{"relatedPlace": {"@type": "Place", "id": "p"}}]}],
            },
        )
        for task, done in [
            ("AckAlarm", "ackedAlarm"),
            ("UnAckAlarm", "unAckedAlarm"),
            ("ClearAlarm", "clearedAlarm"),
            ("CommentAlarm", "commentedAlarm"),
            ("GroupAlarm", "groupedAlarm"),
            ("UnGroupAlarm", "unGroupedAlarm"),
            ("AckAlarm", "alarmPattern"),
            ("GroupAlarm", "correlatedAlarm"),
        ]
    ),
    (
        "CustomerBill",
        {"relatedParty": [{"@type": "RelatedPartyRef", "id": "1"}]},
        {
            "relatedParty": [
                {
                    "@type": "RelatedPartyRefOrPartyRoleRef",
                    "partyOrPartyRole": {"@type": "PartyRef", "id": "1"},
                }
            ]
        },
    ),
    (
        "CustomerBill",
        {"amountDue": {"unit": "EUR", "value": 9.9}, "taxItem": [{"taxAmount": {"value": 1}}]},
        {"amountDue": {"unit": "EUR", "value": 9.9}, "taxItem": [{"taxAmount": {"value": 1}}]},
    ),
    (
        "CustomerBillOnDemand",
        {"relatedParty": {"id": "1"}, "customerBill": {"@type": "BillRef", "id": "b"}},
        {
            "relatedParty": {"partyOrPartyRole": {"@type": "PartyRef", "id": "1"}},
            "customerBill": {"@type": "CustomerBillRef", "id": "b"},
        },
    ),
    (
        "AppliedCustomerBillingRate",
        {
            "type": "recurringCharge",
            "bill": {"@type": "BillRef", "id": "b"},
            "characteristic": [{"@type": "AppliedBillingRateCharacteristic", "name": "n"}],
        },
        {
            "appliedBillingRateType": "recurringCharge",
            "bill": {"@type": "CustomerBillRef", "id": "b"},
            "characteristic": [{"@type": "Characteristic", "name": "n"}],
        },
    ),
]


@pytest.mark.parametrize(("kind", "v4", "stored"), PAIRS)
def test_v4_and_stored_forms_correspond(kind, v4, stored):
    assert to_stored(kind, "v4", v4) == stored
    assert from_stored(kind, "v4", stored) == v4


@pytest.mark.parametrize(
    ("kind", "path", "mapped"),
    [
        ("ProductOrder", "orderDate", ("creationDate",)),
        ("ProductOrder", "externalId", ("externalId.id",)),
        ("ProductOrder", "externalIdDetail.owner", ("externalId.owner",)),
        ("ProductOrder", "furtherExternalId.id", ("externalId.id",)),
        ("ProductOrder", "relatedParty.id", ("relatedParty.partyOrPartyRole.id",)),
        ("ProductOrder", "relatedParty.0.id", ("relatedParty.0.partyOrPartyRole.id",)),
        ("ProductOrder", "relatedParty.role", ("relatedParty.role",)),
        ("ProductOrder", "relatedParty", ("relatedParty",)),
        (
            "ProductOrder",
            "productOrderItem.product.agreement.id",
            ("productOrderItem.product.agreementItem.agreementId",),
        ),
        (
            "ProductOrder",
            "productOrderItem.productOrderItem.product.product.place.id",
            ("productOrderItem.productOrderItem.product.product.place.place.id",),
        ),
        (
            "ProductOrder",
            "productOrderItem.product.productRelationship.product.id",
            ("productOrderItem.product.productRelationship.id",),
        ),
        ("ProductOrder", "anything.else", ("anything.else",)),
        ("Category", "parentId", ("parent.id",)),
        ("Customer", "contactMedium.characteristic.city", ("contactMedium.city",)),
        (
            "Customer",
            "contactMedium.mediumType",
            ("contactMedium.mediumType", "contactMedium.@type"),
        ),
        ("Resource", "place.id", ("place.place.id",)),
        ("Resource", "resourceStatus", ("resourceStatus",)),
        ("AckAlarm", "ackedAlarm.place.name", ("ackedAlarm.place.relatedPlace.name",)),
        ("AppliedCustomerBillingRate", "type", ("appliedBillingRateType",)),
        ("CancelProductOrder", "productOrder.id", ("productOrder.id",)),
    ],
)
def test_a_v4_path_is_mapped_to_stored_paths(kind, path, mapped):
    assert stored_paths(kind, "v4", path) == mapped


def test_the_path_of_an_unwrapped_object_includes_all_its_members():
    paths = stored_paths("Customer", "v4", "contactMedium.characteristic")
    assert {"contactMedium.characteristic", "contactMedium.emailAddress"} <= set(paths)


@pytest.mark.parametrize(
    ("kind", "path", "value", "stored"),
    [
        ("ProductCatalog", "@type", "Catalog", "ProductCatalog"),
        ("Resource", "operationalState", "disable", "disabled"),
        ("Resource", "operationalState", "other", "other"),
        ("Resource", "name", "enable", "enable"),
        ("Resource", "operationalState", 7, 7),
        ("Customer", "contactMedium.mediumType", "phone", "PhoneContactMedium"),
        ("Customer", "contactMedium.mediumType", "Telex", "Telex"),
        ("ClearAlarm", "@type", "ClearAlarms", "ClearAlarm"),
    ],
)
def test_a_filter_value_is_translated_to_its_stored_spelling(kind, path, value, stored):
    assert stored_value(kind, "v4", path, value) == stored


def test_extensions_in_v4_for_a_v5_attribute_are_queryable():
    v4, v5 = (
        next(
            contract
            for contract in CONTRACTS
            if (contract.number, contract.version) == ("TMF622", version)
        )
        for version in ("v4", "v5")
    )
    attributes = ListQueryCompiler(v4, Settings(), stored_contract=v5).attributes(
        "ProductOrder", "ProductOrder"
    )
    assert "body.externalId.owner" in attributes.find("externalIdDetail.owner").document_paths
    with pytest.raises(InvalidQuery):
        attributes.find("externalIdDetail.colour")
