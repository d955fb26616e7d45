"""References and relationships in catalogue entries, orders and inventory entries; pure."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.pipeline.json_values import json_objects

#: ``relationshipType`` from a resource specification to the element that the resource is on.
CONTAINMENT_TYPES = frozenset({"isContainedIn", "isProvisionedOn", "isManagedBy"})
#: ``relationshipType`` from a characteristic to the one that it gets its value from.
MAPS_FROM = "mapsFrom"


def reference_id(reference: object) -> str:
    """Return the id of a reference; empty if there is none.

    >>> reference_id({"id": "42"}), reference_id(None)
    ('42', '')
    """
    id = reference.get("id") if isinstance(reference, Mapping) else None
    return id if isinstance(id, str) else ""


def referenced_ids(holder: Mapping[str, Any], attribute: str) -> list[str]:
    """Return the ids in a list of references."""
    references = json_objects(holder.get(attribute))
    return [str(reference["id"]) for reference in references if reference.get("id")]


def relationships(
    specification: Mapping[str, Any],
    types: frozenset[str],
    attribute: str = "serviceSpecRelationship",
) -> list[dict[str, Any]]:
    """Return the relationships of a specification that have an id and one of the types."""
    return [
        relationship
        for relationship in json_objects(specification.get(attribute))
        if relationship.get("relationshipType") in types and relationship.get("id")
    ]
