"""TMF639: what differs between v4 and v5.

``resourceStatus`` has no pair: its words (standby, alarm, available, reserved, unknown, suspended)
are spread over five attributes in v5 that may all have a value at once. It keeps its name, v5
reads it as an extension, and the law of the inventory may follow it.
"""

from tmf_apis.rest.views.shared_views import Views, related_party, wrapped_reference
from tmf_apis.rest.views.structural_transforms import FirstItem, Wrap
from tmf_apis.rest.views.transforms import NestedViews, ValueTranslation, type_rename

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
    "Place": (
        wrapped_reference("place", "PlaceRef"),
        type_rename("RelatedPlaceRefOrValue", "RelatedPlaceRef"),
    ),
    "RelatedParty": related_party(),
}
