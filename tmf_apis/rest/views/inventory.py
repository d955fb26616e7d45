"""TMF639: the differences between v4 and v5.

``resourceStatus`` has no counterpart in v5: its values (standby, alarm, available, reserved,
unknown, suspended) are spread over five attributes that may all have a value at the same time. It
keeps its name and is an extension in v5.
"""

from tmf_apis.rest.views.shared_views import Views, related_party, related_place
from tmf_apis.rest.views.structural_transforms import FirstItem, Wrap
from tmf_apis.rest.views.transforms import NestedViews, ValueTranslation

VIEWS: Views = {
    "Resource": (
        NestedViews(
            relatedParty="RelatedParty",
            resourceRelationship="ResourceRelationship",
            place="Place",
            furtherPlace="Place",
        ),
        FirstItem("place", "furtherPlace"),
        ValueTranslation(
            {
                "operationalState": {"enable": "enabled", "disable": "disabled"},
                "administrativeState": {"shutdown": "shuttingDown"},
            }
        ),
    ),
    "ResourceRelationship": (Wrap("resource", {"id": "id", "href": "href"}, "ResourceRef"),),
    "Place": related_place("RelatedPlaceRef"),
    "RelatedParty": related_party(),
}
