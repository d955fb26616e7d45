"""Products of orders: what they have, and that a party sets nothing that the operator decides."""

import pytest

from tests.support.policies import policy_of
from tmf_apis.fulfilment.execution.inventory_records import ordered_product, product
from tmf_apis.fulfilment.values import ProductPlan
from tmf_apis.rest.pipeline.party_rules import Setter

#: Accounts must be the party's own; agreements are in another system.
CHECKED_AS_REFERENCE = {"billingAccount", "agreement"}


def test_an_order_of_a_party_sets_no_attribute_of_a_product_that_the_operator_decides():
    decided = policy_of("Product").party_rules.setters
    item = {"id": "1", "product": {name: [] for name in decided}}
    passed_on = set(ordered_product({"productOrderItem": [item]}, item))
    assert passed_on >= {"productPrice", "billingAccount"}
    rules = policy_of("ProductOrder").party_rules
    for name in (passed_on & {*decided}) - CHECKED_AS_REFERENCE:
        assert rules.setters[f"productOrderItem.product.{name}"] is Setter.OPERATOR, name


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"speed": 16}, ("speed", 16)), ({}, ("offering", "Home bundle"))],
)
def test_every_product_of_an_order_has_a_characteristic(values, expected):
    plan = ProductPlan("7", name="Home bundle", offering="o", characteristics=values)
    item = {"id": "1", "action": "add"}
    new = product({"id": "7"}, plan, item, {"id": "o1", "productOrderItem": [item]}, "active")
    assert [(c["name"], c["value"]) for c in new["productCharacteristic"]] == [expected]
    again = product(new, plan, item, {"id": "o2", "productOrderItem": [item]}, "active")
    assert again["productCharacteristic"] == new["productCharacteristic"]


def test_a_product_has_no_objects_and_types_that_only_version_5_has():
    party = {
        "@type": "RelatedPartyOrPartyRole",
        "role": "customer",
        "partyOrPartyRole": {"@type": "PartyRoleRef", "id": "1", "partyId": "2"},
    }
    address = {"@type": "GeographicAddress", "city": "Paris"}
    ordered_form = {
        "@type": "Product",
        "relatedParty": [party],
        "place": [{"@type": "RelatedPlaceRefOrValue", "role": "site", "place": address}],
        "productCharacteristic": [{"@type": "StringCharacteristic", "name": "a", "value": "b"}],
    }
    item = {"id": "1", "product": ordered_form}
    ordered = ordered_product({"productOrderItem": [item]}, item)
    assert ordered["relatedParty"] == [
        {
            "@referredType": "Party",
            "@type": "RelatedParty",
            "id": "1",
            "partyId": "2",
            "role": "customer",
        }
    ]
    assert ordered["place"] == [{"role": "site", **address}]
    assert ordered["productCharacteristic"] == [
        {"@type": "Characteristic", "name": "a", "value": "b"}
    ]
