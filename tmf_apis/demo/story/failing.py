"""Failing: a cable is cut, and mended."""

from typing import Any

from tmf_apis.demo.story.agreement import agree
from tmf_apis.demo.story.buying import FAST
from tmf_apis.demo.story.orders import Bought
from tmf_apis.demo.story.stage import ALARMS, Stage


def fault(stage: Stage, bought: Bought) -> None:
    """Break the line and mend it."""
    query = {"alarmedObject.id": bought.port, "specificProblem": "linkDown"}

    def alarms(*states: str) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = stage.get(
            f"{ALARMS}/alarm", state=",".join(states), sort="-alarmRaisedTime", **query
        )
        return found or None

    stage.head(
        f"Somebody cuts the cable of {stage.element.target.name} {bought.port_name} (TMF642)"
    )
    stage.element.gateway.cut(bought.port_name)
    found = stage.until(lambda: alarms("raised", "updated"), "the alarm")
    raised = found[0]
    stage.until_heard("AlarmCreateEvent", raised["id"])
    affected = ", ".join(one["id"] for one in raised.get("affectedService", ())) or "nobody"
    stage.say(
        f"{len(found)} alarm: {raised['specificProblem']}, {raised['perceivedSeverity']},"
        f" {raised['probableCause']}; affects {affected}"
    )
    stage.links["The alarm"] = f"{stage.base}{ALARMS}/alarm/{raised['id']}"
    agree(stage, bought, "running", FAST, link=False)
    stage.head("The cable is mended")
    stage.element.gateway.mend(bought.port_name)

    def cleared() -> dict[str, Any] | None:
        one: dict[str, Any] = stage.get(f"{ALARMS}/alarm/{raised['id']}")
        return one if one["state"] == "cleared" else None

    since = stage.until(cleared, "the alarm to clear")["alarmClearedTime"]
    stage.until_heard(
        "AlarmStateChangeEvent", raised["id"], lambda one: one.get("state") == "cleared"
    )
    stage.say(f"the alarm is cleared since {since}")
    agree(stage, bought, "running", FAST)
