"""TMF639: what differs between v4 and v5.

``resourceStatus`` has no pair: its words (standby, alarm, available, reserved, unknown, suspended)
are spread over five attributes in v5 that may all have a value at once. It keeps its name, v5
reads it as an extension, and the law of the inventory may follow it.
"""

from tmf_apis.rest.views.moves import First, Wrap
from tmf_apis.rest.views.parts import Views, boxed, related_party
from tmf_apis.rest.views.steps import Nest, Spell, typed

VIEWS: Views = {
    "Resource": (
        Nest(
            relatedParty="RelatedParty",
            resourceRelationship="ResourceRelationship",
            place="Place",
            furtherPlace="Place",
        ),
        First("place", "furtherPlace"),
        Spell(
            {
                "operationalState": {"enable": "enabled", "disable": "disabled"},
                "administrativeState": {"shutdown": "shuttingDown"},
            }
        ),
    ),
    "ResourceRelationship": (Wrap("resource", {"id": "id", "href": "href"}, "ResourceRef"),),
    "Place": (boxed("place", "PlaceRef"), typed("RelatedPlaceRefOrValue", "RelatedPlaceRef")),
    "RelatedParty": related_party(),
}
