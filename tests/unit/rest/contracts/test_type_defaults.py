"""Default types of nested objects, for v5 clients that read resources of v4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.document_strategies import V4_SCHEMAS, ContractStrategies, few_examples
from tmf_apis.rest.contracts.type_defaults import TypeDefaults
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.versions import from_stored, to_stored


def type_defaults(kind):
    contract = ContractStrategies(KIND_NAMES[kind].api, "v5")
    return TypeDefaults({"components": {"schemas": contract.schemas}}).transform_for(kind)


def test_a_nested_object_without_a_type_gets_the_type_of_the_contract():
    order = {
        "relatedParty": [{"role": "buyer", "partyOrPartyRole": {"@type": "PartyRef", "id": "1"}}],
        "productOrderItem": [
            {
                "id": "1",
                "product": {"id": "7"},
                "productOrderItem": [{"product": {"description": "line"}}],
            }
        ],
        "extension": {"id": "1"},
    }
    assert type_defaults("ProductOrder")(order) == {
        "relatedParty": [
            {
                "@type": "RelatedPartyRefOrPartyRoleRef",
                "role": "buyer",
                "partyOrPartyRole": {"@type": "PartyRef", "id": "1"},
            }
        ],
        "productOrderItem": [
            {
                "@type": "ProductOrderItem",
                "id": "1",
                "product": {"@type": "ProductRef", "id": "7"},
                "productOrderItem": [
                    {
                        "@type": "ProductOrderItem",
                        "product": {"@type": "Product", "description": "line"},
                    }
                ],
            }
        ],
        "extension": {"id": "1"},
    }


def test_a_document_with_all_types_is_returned_unchanged():
    category = {"@type": "Category", "parent": {"@type": "CategoryRef", "id": "1"}, "name": "x"}
    assert type_defaults("Category")(category) is category


def test_amounts_and_periods_get_no_type():
    bill = {"amountDue": {"unit": "EUR", "value": 1}, "billingPeriod": {"startDateTime": "D"}}
    assert type_defaults("CustomerBill")(bill) is bill


@pytest.mark.parametrize(("kind", "schema"), V4_SCHEMAS)
@few_examples
@given(data=st.data())
def test_type_defaults_only_add_types_and_are_idempotent(kind, schema, data):
    document = data.draw(ContractStrategies(KIND_NAMES[kind].api, "v4").documents(schema))
    stored = to_stored(kind, "v4", document)
    with_types = type_defaults(kind)
    typed = with_types(stored)
    assert with_types(typed) is typed
    assert without_types(typed) == without_types(stored)
    assert to_stored(kind, "v4", from_stored(kind, "v4", typed)) == typed


def without_types(value):
    if isinstance(value, dict):
        return {name: without_types(member) for name, member in value.items() if name != "@type"}
    if isinstance(value, list):
        return [without_types(item) for item in value]
    return value
