"""Ending: the gateway leaves the inventory, and where there is more to be seen."""

from tmf_apis.demo.walkthrough.context import ALARMS, BILLS, ORDERING, RESOURCES, WalkthroughContext

_LINK_PATHS = {
    "Orders in progress": f"{ORDERING}/productOrder?state=inProgress",
    "Open alarms": f"{ALARMS}/alarm?state=raised&sort=-alarmRaisedTime",
    "Unpaid bills": f"{BILLS}/customerBill?state=sent",
    "Customers, v4": "/tmf-api/customerManagement/v4/customer?limit=5",
}


def withdraw_gateway(context: WalkthroughContext) -> None:
    """Lock the gateway, which is about to be switched off, and forget its address."""
    name = context.element.target.name
    context.start_step(f"{name} is switched off, so it leaves the network")
    (found,) = context.get(f"{RESOURCES}/resource", name=name, category="accessGateway")
    characteristics = [
        one for one in found["resourceCharacteristic"] if one["name"] != "managementAddress"
    ]
    states = {"administrativeState": "locked", "operationalState": "disabled"}
    body = {"@type": found["@type"], **states, "resourceCharacteristic": characteristics}
    context.patch(f"{RESOURCES}/resource/{found['id']}", body)
    context.print_line(
        "locked in the inventory, without an address: no order takes its ports any more"
    )


def show_links(context: WalkthroughContext) -> None:
    """Show where everything is."""
    context.start_step("Look around")
    for name, url in {
        **context.links,
        **{n: context.base_url + path for n, path in _LINK_PATHS.items()},
    }.items():
        context.print_line(f"{name:20}{url}")
