"""Nested types, for v5 readers of what v4 wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.document_strategies import ContractStrategies
from tests.unit.rest.views.test_versions import V4, patient
from tmf_apis.rest.contracts.type_defaults import TypeDefaults
from tmf_apis.rest.views.kind_names import KIND_NAMES
from tmf_apis.rest.views.versions import from_stored, to_stored


def completion(kind):
    contract = ContractStrategies(KIND_NAMES[kind].api, "v5")
    return TypeDefaults({"components": {"schemas": contract.schemas}}).transform_for(kind)


def test_a_nested_object_without_a_type_gets_that_of_the_contract():
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
    assert completion("ProductOrder")(order) == {
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


def test_a_document_that_has_its_types_is_the_same_object():
    category = {"@type": "Category", "parent": {"@type": "CategoryRef", "id": "1"}, "name": "x"}
    assert completion("Category")(category) is category


def test_amounts_and_periods_have_no_type():
    bill = {"amountDue": {"unit": "EUR", "value": 1}, "billingPeriod": {"startDateTime": "D"}}
    assert completion("CustomerBill")(bill) is bill


@pytest.mark.parametrize(("kind", "schema"), V4)
@patient
@given(data=st.data())
def test_completion_only_adds_types_and_adds_them_once(kind, schema, data):
    document = data.draw(ContractStrategies(KIND_NAMES[kind].api, "v4").documents(schema))
    stored = to_stored(kind, "v4", document)
    complete = completion(kind)
    seen = complete(stored)
    assert complete(seen) is seen
    assert without_types(seen) == without_types(stored)
    seen_by_v4 = from_stored(kind, "v4", seen)
    assert to_stored(kind, "v4", seen_by_v4) == seen


def without_types(value):
    if isinstance(value, dict):
        return {name: without_types(one) for name, one in value.items() if name != "@type"}
    if isinstance(value, list):
        return [without_types(one) for one in value]
    return value
