"""An outage: a cable is cut and repaired."""

from typing import Any

from tmf_apis.demo.walkthrough.consistency import wait_for_consistency
from tmf_apis.demo.walkthrough.context import ALARMS, WalkthroughContext
from tmf_apis.demo.walkthrough.first_order import FIBRE_1000_SPEED
from tmf_apis.demo.walkthrough.orders import Purchase


def cut_and_repair_cable(context: WalkthroughContext, purchase: Purchase) -> None:
    """Cut the cable of a port and repair it; wait for the alarm to be raised and cleared."""
    query = {"alarmedObject.id": purchase.port_id, "specificProblem": "linkDown"}

    def alarms(*states: str) -> list[dict[str, Any]] | None:
        alarm_list: list[dict[str, Any]] = context.get(
            f"{ALARMS}/alarm", state=",".join(states), sort="-alarmRaisedTime", **query
        )
        return alarm_list or None

    context.start_step(
        f"The cable of {context.element.target.name} {purchase.port_name} is cut (TMF642)"
    )
    context.element.gateway.cut_link(purchase.port_name)
    alarm_list = context.wait_for(lambda: alarms("raised", "updated"), "the alarm")
    raised = alarm_list[0]
    context.wait_for_event("AlarmCreateEvent", raised["id"])
    affected = (
        ", ".join(service["id"] for service in raised.get("affectedService", ())) or "no service"
    )
    context.print_line(
        f"{len(alarm_list)} alarm: {raised['specificProblem']}, {raised['perceivedSeverity']},"
        f" {raised['probableCause']}; affects {affected}"
    )
    context.links["The alarm"] = f"{context.base_url}{ALARMS}/alarm/{raised['id']}"
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED, link_up=False)
    context.start_step("The cable is repaired")
    context.element.gateway.restore_link(purchase.port_name)

    def find_cleared_alarm() -> dict[str, Any] | None:
        alarm: dict[str, Any] = context.get(f"{ALARMS}/alarm/{raised['id']}")
        return alarm if alarm["state"] == "cleared" else None

    since = context.wait_for(find_cleared_alarm, "the alarm to clear")["alarmClearedTime"]
    context.wait_for_event(
        "AlarmStateChangeEvent", raised["id"], lambda alarm: alarm.get("state") == "cleared"
    )
    context.print_line(f"the alarm was cleared at {since}")
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED)
