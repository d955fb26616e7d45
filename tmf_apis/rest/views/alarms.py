"""TMF642: what differs between v4 and v5."""

from tmf_apis.rest.views.parts import Views
from tmf_apis.rest.views.steps import Nest, Wrap, typed

VIEWS: Views = {
    "Alarm": (
        Nest("affectedService", "AffectedService"),
        Nest("alarmedObject", "AlarmedObject"),
        Nest("place", "Place"),
    ),
    "AckAlarm": (
        Nest("alarmPattern", "Alarm"),
        Nest("ackedAlarm", "Alarm"),
        *typed("AckAlarms", "AckAlarm"),
    ),
    "UnAckAlarm": (
        Nest("alarmPattern", "Alarm"),
        Nest("unAckedAlarm", "Alarm"),
        *typed("UnAckAlarms", "UnAckAlarm"),
    ),
    "ClearAlarm": (
        Nest("alarmPattern", "Alarm"),
        Nest("clearedAlarm", "Alarm"),
        *typed("ClearAlarms", "ClearAlarm"),
    ),
    "CommentAlarm": (
        Nest("alarmPattern", "Alarm"),
        Nest("commentedAlarm", "Alarm"),
        *typed("CommentAlarms", "CommentAlarm"),
    ),
    "GroupAlarm": (
        Nest("correlatedAlarm", "Alarm"),
        Nest("groupedAlarm", "Alarm"),
        Nest("parentAlarm", "Alarm"),
        *typed("GroupAlarms", "GroupAlarm"),
    ),
    "UnGroupAlarm": (
        Nest("correlatedAlarm", "Alarm"),
        Nest("unGroupedAlarm", "Alarm"),
        Nest("parentAlarm", "Alarm"),
        *typed("UnGroupAlarms", "UnGroupAlarm"),
    ),
    "AffectedService": typed("AffectedService", "ServiceRef"),
    "AlarmedObject": typed("AlarmedObject", "AlarmedObjectRef"),
    "Place": (
        Wrap("relatedPlace", {name: name for name in ("id", "href", "name")}, "Place"),
        *typed("RelatedPlaceRefOrValue", "RelatedPlace"),
    ),
}
