"""A setting that an element does not have is refused before anything is reserved or changed."""

import pytest

from tests.support.catalog import characteristic, product_specification, resource, service
from tests.support.fulfilment_harness import order_item
from tmf_apis.errors import Conflict
from tmf_apis.fulfilment import dry_run
from tmf_apis.fulfilment.design.order_designer import OrderDesigner
from tmf_apis.inventory.ports import holder_of


def catalogue(*settings):
    """Return the specifications of a line with a speed and further settings."""
    speed = characteristic("downstream", source=("line", "speed"), type="integer")
    line = service("line", speed, *settings, resources=["port", "number"])
    resources = [
        resource("port", "accessPort", contained_in="gateway"),
        resource("gateway", "accessGateway"),
        resource("number", "vlan"),
    ]
    line["specCharacteristic"][0]["charSpecRelationship"][0]["parentSpecificationId"] = "access"
    product = product_specification("access", services=["line"], speed=[100])
    return [line], resources, product


def add_pool(operator):
    values = {"poolOf": "vlan", "range": "3001-3002"}
    characteristics = [{"name": name, "value": value} for name, value in values.items()]
    body = {"name": "VLANs", "category": "pool", "resourceCharacteristic": characteristics}
    operator.repository.create("Resource", {"@type": "LogicalResource", **body})


@pytest.mark.parametrize(("name", "source", "reason"), [
    ("downn", "vlan", "has no setting downn; it has downstream, enabled, upstream; did you mean"),
    ("vlan", "vlan", "has no setting vlan; it has downstream, enabled, upstream"),
    ("upstream", "vlam", "upstream maps from vlam, which vlan 300"),
])  # fmt: skip
def test_an_order_for_a_setting_that_the_element_does_not_have_fails_untouched(
    operator, name, source, reason
):
    """An earlier release has launched the offering, which the check refuses now."""
    add_pool(operator)
    mapping = {"relationshipType": "mapsFrom", "parentSpecificationId": "number", "name": source}
    setting = characteristic(name, type="integer", charSpecRelationship=[mapping])
    specifications = catalogue(setting)
    offering = operator.create_offering_of("Line", *specifications, state="In test")
    with pytest.raises(Conflict, match=f"cannot be fulfilled.* {name}"):
        operator.change_resource("ProductOffering", offering, lifecycleStatus="Active")
    launched = {"$set": {"body.lifecycleStatus": "Launched"}}
    operator.database["ProductOffering"].update_one({"id": offering}, launched)
    draft = {"id": "dry", "productOrderItem": [order_item(offering=offering)]}
    plan = dry_run.fulfilment_plan(
        OrderDesigner(), "ProductOrder", operator.repository, operator.repository, draft
    )
    assert not plan["feasible"]
    order = operator.run_order(operator.place_order(order_item(offering=offering)))
    assert order["state"] == "failed"
    messages = [plan["missing"][0]["reason"], order["productOrderErrorMessage"][0]["message"]]
    assert [reason in message for message in messages] == [True, True], messages
    assert operator.gw.set_count == 0
    assert not [each for each in operator.repository.find("Resource", {}) if holder_of(each)]
