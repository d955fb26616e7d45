"""TMF642 Alarm Management: what is wrong in the network, who looks after it, when it is over."""

from functools import partial

from tmf_apis.alarms import actions, links, model, rules
from tmf_apis.alarms.finding import AlarmKey, find_open
from tmf_apis.rest.law import Law, Room, touches
from tmf_apis.rest.owners import party_ids
from tmf_apis.settings import Settings

__all__ = ["AlarmKey", "find_open", "room"]


def room(settings: Settings) -> Room:  # noqa: ARG001
    """Return the room: alarms, and the six tasks that act on many of them at once."""
    alarm = Law(
        lifecycle=rules.ALARM,
        on_create=rules.on_create,
        on_change=rules.on_change,
        check=links.check,
        after=links.mirror,
        concerns=touches("parentAlarm", "correlatedAlarm"),
        parties=party_ids,
        state_event=frozenset({"state", "ackState"}),
    )
    tasks = {
        deed.kind: Law(
            lifecycle=rules.TASK,
            server_owned=frozenset({deed.result, "failure"}),
            on_create=rules.on_create_task,
            act=partial(actions.act, deed),
            begin=partial(actions.begin, deed),
            parties=party_ids,
        )
        for deed in actions.DEEDS
    }
    return Room(number="TMF642", laws={"Alarm": alarm, **tasks}, models=model.MODELS)
