"""How alarms and the tasks on them lie in the database."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import by
from tmf_apis.store.model import Stored


class Alarm(Stored):
    """One problem, from its raise to its clear."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Alarm",
        "indexes": [
            by("sourceSystemId", "externalAlarmId"),
            by("state", "alarmRaisedTime"),
            by("perceivedSeverity", "alarmRaisedTime"),
            by("ackState"),
            by("alarmType"),
            by("probableCause"),
            by("alarmedObject.id"),
            by("alarmRaisedTime"),
            by("parentAlarm.id"),
            by("correlatedAlarm.id"),
        ],
    }


def _task(kind: str) -> type[Stored]:
    meta = {"collection": kind, "indexes": [by("state")]}
    return type(kind, (Stored,), {"meta": meta, "__module__": __name__, "__doc__": "A task."})


MODELS: tuple[type[Stored], ...] = (
    Alarm,
    *map(
        _task,
        ("AckAlarm", "UnAckAlarm", "ClearAlarm", "CommentAlarm", "GroupAlarm", "UnGroupAlarm"),
    ),
)
