"""Failing: a cable is cut, and mended."""

from typing import Any

from tmf_apis.demo.walkthrough.consistency import wait_for_consistency
from tmf_apis.demo.walkthrough.context import ALARMS, WalkthroughContext
from tmf_apis.demo.walkthrough.first_order import FIBRE_1000_SPEED
from tmf_apis.demo.walkthrough.orders import Purchase


def cut_and_mend_cable(context: WalkthroughContext, purchase: Purchase) -> None:
    """Break the line and mend it."""
    query = {"alarmedObject.id": purchase.port_id, "specificProblem": "linkDown"}

    def alarms(*states: str) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = context.get(
            f"{ALARMS}/alarm", state=",".join(states), sort="-alarmRaisedTime", **query
        )
        return found or None

    context.start_step(
        f"Somebody cuts the cable of {context.element.target.name} {purchase.port_name} (TMF642)"
    )
    context.element.gateway.cut_link(purchase.port_name)
    found = context.wait_for(lambda: alarms("raised", "updated"), "the alarm")
    raised = found[0]
    context.wait_for_event("AlarmCreateEvent", raised["id"])
    affected = ", ".join(one["id"] for one in raised.get("affectedService", ())) or "nobody"
    context.print_line(
        f"{len(found)} alarm: {raised['specificProblem']}, {raised['perceivedSeverity']},"
        f" {raised['probableCause']}; affects {affected}"
    )
    context.links["The alarm"] = f"{context.base_url}{ALARMS}/alarm/{raised['id']}"
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED, link_up=False)
    context.start_step("The cable is mended")
    context.element.gateway.restore_link(purchase.port_name)

    def cleared() -> dict[str, Any] | None:
        one: dict[str, Any] = context.get(f"{ALARMS}/alarm/{raised['id']}")
        return one if one["state"] == "cleared" else None

    since = context.wait_for(cleared, "the alarm to clear")["alarmClearedTime"]
    context.wait_for_event(
        "AlarmStateChangeEvent", raised["id"], lambda one: one.get("state") == "cleared"
    )
    context.print_line(f"the alarm is cleared since {since}")
    wait_for_consistency(context, purchase, "running", FIBRE_1000_SPEED)
