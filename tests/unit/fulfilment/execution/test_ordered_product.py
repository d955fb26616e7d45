"""Products of orders: a party sets nothing by an order that the operator decides."""

from tests.support.policies import policy_of
from tmf_apis.fulfilment.execution.inventory_records import ordered_product
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
