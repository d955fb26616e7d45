"""Ending: the gateway leaves the inventory, and where there is more to be seen."""

from tmf_apis.demo.story.stage import ALARMS, BILLS, ORDERING, RESOURCES, Stage

_LOOK = {
    "Orders in progress": f"{ORDERING}/productOrder?state=inProgress",
    "Open alarms": f"{ALARMS}/alarm?state=raised&sort=-alarmRaisedTime",
    "Unpaid bills": f"{BILLS}/customerBill?state=sent",
    "Customers, v4": "/tmf-api/customerManagement/v4/customer?limit=5",
}


def withdraw(stage: Stage) -> None:
    """Lock the gateway, which is about to be switched off, and forget its address."""
    name = stage.element.target.name
    stage.head(f"{name} is switched off, so it leaves the network")
    (found,) = stage.get(f"{RESOURCES}/resource", name=name, category="accessGateway")
    characteristics = [
        one for one in found["resourceCharacteristic"] if one["name"] != "managementAddress"
    ]
    states = {"administrativeState": "locked", "operationalState": "disabled"}
    body = {"@type": found["@type"], **states, "resourceCharacteristic": characteristics}
    stage.patch(f"{RESOURCES}/resource/{found['id']}", body)
    stage.say("locked in the inventory, without an address: no order takes its ports any more")


def look_around(stage: Stage) -> None:
    """Show where everything is."""
    stage.head("Look around")
    for name, url in {**stage.links, **{n: stage.base + path for n, path in _LOOK.items()}}.items():
        stage.say(f"{name:20}{url}")
