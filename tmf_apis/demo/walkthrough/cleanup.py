"""Last steps: the gateway is decommissioned, and links to the results are shown."""

from tmf_apis.demo.walkthrough.context import ALARMS, BILLS, ORDERING, RESOURCES, WalkthroughContext

_LINK_PATHS = {
    "Orders in progress": f"{ORDERING}/productOrder?state=inProgress",
    "Open alarms": f"{ALARMS}/alarm?state=raised&sort=-alarmRaisedTime",
    "Unpaid bills": f"{BILLS}/customerBill?state=sent",
    "Customers, v4": "/tmf-api/customerManagement/v4/customer?limit=5",
}


def withdraw_gateway(context: WalkthroughContext) -> None:
    """Lock the gateway, which is about to be switched off, and remove its address."""
    name = context.element.target.name
    context.start_step(f"{name} is switched off and leaves the network")
    (gateway,) = context.get(f"{RESOURCES}/resource", name=name, category="accessGateway")
    characteristics = [
        characteristic
        for characteristic in gateway["resourceCharacteristic"]
        if characteristic["name"] != "managementAddress"
    ]
    states = {"administrativeState": "locked", "operationalState": "disabled"}
    body = {"@type": gateway["@type"], **states, "resourceCharacteristic": characteristics}
    context.patch(f"{RESOURCES}/resource/{gateway['id']}", body)
    context.print_line("locked in the inventory and without an address, so no order uses its ports")


def show_links(context: WalkthroughContext) -> None:
    """Show links to the results."""
    context.start_step("Links")
    for name, url in {
        **context.links,
        **{title: context.base_url + path for title, path in _LINK_PATHS.items()},
    }.items():
        context.print_line(f"{name:20}{url}")
