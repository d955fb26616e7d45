"""The collections of alarms and of their tasks, with their indexes."""

from typing import Any, ClassVar

from tmf_apis.store.indexes import body_index
from tmf_apis.store.model import StoredResource


class Alarm(StoredResource):
    """An alarm, from its raise to its clear."""

    meta: ClassVar[dict[str, Any]] = {
        "collection": "Alarm",
        "indexes": [
            body_index("sourceSystemId", "externalAlarmId"),
            body_index("state", "alarmRaisedTime"),
            body_index("perceivedSeverity", "alarmRaisedTime"),
            body_index("ackState"),
            body_index("alarmType"),
            body_index("probableCause"),
            body_index("alarmedObject.id"),
            body_index("alarmRaisedTime"),
            body_index("parentAlarm.id"),
            body_index("correlatedAlarm.id"),
        ],
    }


def _task_model(kind: str) -> type[StoredResource]:
    meta = {"collection": kind, "indexes": [body_index("state")]}
    return type(
        kind, (StoredResource,), {"meta": meta, "__module__": __name__, "__doc__": "A task."}
    )


MODELS: tuple[type[StoredResource], ...] = (
    Alarm,
    *map(
        _task_model,
        ("AckAlarm", "UnAckAlarm", "ClearAlarm", "CommentAlarm", "GroupAlarm", "UnGroupAlarm"),
    ),
)
