"""TMF642: what differs between v4 and v5."""

from tmf_apis.rest.views.moves import Wrap
from tmf_apis.rest.views.parts import Views
from tmf_apis.rest.views.steps import Nest, typed

VIEWS: Views = {
    "Alarm": (
        Nest(affectedService="AffectedService", alarmedObject="AlarmedObject", place="Place"),
    ),
    "AckAlarm": (
        Nest(alarmPattern="Alarm", ackedAlarm="Alarm"),
        typed("AckAlarms", "AckAlarm"),
    ),
    "UnAckAlarm": (
        Nest(alarmPattern="Alarm", unAckedAlarm="Alarm"),
        typed("UnAckAlarms", "UnAckAlarm"),
    ),
    "ClearAlarm": (
        Nest(alarmPattern="Alarm", clearedAlarm="Alarm"),
        typed("ClearAlarms", "ClearAlarm"),
    ),
    "CommentAlarm": (
        Nest(alarmPattern="Alarm", commentedAlarm="Alarm"),
        typed("CommentAlarms", "CommentAlarm"),
    ),
    "GroupAlarm": (
        Nest(correlatedAlarm="Alarm", groupedAlarm="Alarm", parentAlarm="Alarm"),
        typed("GroupAlarms", "GroupAlarm"),
    ),
    "UnGroupAlarm": (
        Nest(correlatedAlarm="Alarm", unGroupedAlarm="Alarm", parentAlarm="Alarm"),
        typed("UnGroupAlarms", "UnGroupAlarm"),
    ),
    "AffectedService": (typed("AffectedService", "ServiceRef"),),
    "AlarmedObject": (typed("AlarmedObject", "AlarmedObjectRef"),),
    "Place": (
        Wrap("relatedPlace", {name: name for name in ("id", "href", "name")}, "Place"),
        typed("RelatedPlaceRefOrValue", "RelatedPlace"),
    ),
}
