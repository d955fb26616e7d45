"""TMF642: the differences between v4 and v5."""

from tmf_apis.rest.views.shared_views import Views, related_place
from tmf_apis.rest.views.transforms import NestedViews, type_rename

VIEWS: Views = {
    "Alarm": (
        NestedViews(
            affectedService="AffectedService", alarmedObject="AlarmedObject", place="Place"
        ),
    ),
    "AckAlarm": (
        NestedViews(alarmPattern="Alarm", ackedAlarm="Alarm"),
        type_rename("AckAlarms", "AckAlarm"),
    ),
    "UnAckAlarm": (
        NestedViews(alarmPattern="Alarm", unAckedAlarm="Alarm"),
        type_rename("UnAckAlarms", "UnAckAlarm"),
    ),
    "ClearAlarm": (
        NestedViews(alarmPattern="Alarm", clearedAlarm="Alarm"),
        type_rename("ClearAlarms", "ClearAlarm"),
    ),
    "CommentAlarm": (
        NestedViews(alarmPattern="Alarm", commentedAlarm="Alarm"),
        type_rename("CommentAlarms", "CommentAlarm"),
    ),
    "GroupAlarm": (
        NestedViews(correlatedAlarm="Alarm", groupedAlarm="Alarm", parentAlarm="Alarm"),
        type_rename("GroupAlarms", "GroupAlarm"),
    ),
    "UnGroupAlarm": (
        NestedViews(correlatedAlarm="Alarm", unGroupedAlarm="Alarm", parentAlarm="Alarm"),
        type_rename("UnGroupAlarms", "UnGroupAlarm"),
    ),
    "AffectedService": (type_rename("AffectedService", "ServiceRef"),),
    "AlarmedObject": (type_rename("AlarmedObject", "AlarmedObjectRef"),),
    "Place": related_place(
        "RelatedPlace",
        container="relatedPlace",
        reference_type="Place",
        members=("id", "href", "name"),
    ),
}
