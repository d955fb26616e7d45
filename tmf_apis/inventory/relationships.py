"""Relationships between resources, and the inverse of each relationship type.

The contract types ``relationshipType`` as free text; types that are not listed have no inverse.

Source: TMF639 v5.0.0, ResourceRelationship; SID, ResourceRelationship (containment, dependency,
connection).
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

#: A relationship: its type and the id of the other resource.
Edge = tuple[str, str]

_INVERSE_PAIRS = (
    ("contains", "isContainedIn"),
    ("parent", "child"),
    ("hasParent", "hasChild"),
    ("childOf", "parentOf"),
    ("hosts", "isHostedOn"),
    ("reliesOn", "isReliedOnBy"),
    ("dependsOn", "isDependencyOf"),
    ("uses", "isUsedBy"),
    ("supports", "isSupportedBy"),
    ("realizes", "isRealizedBy"),
    ("connectsTo", "isConnectedTo"),
    ("terminates", "isTerminatedBy"),
    ("protects", "isProtectedBy"),
    ("targets", "isTargetedBy"),
    ("adjacentTo", "adjacentTo"),
)

#: The inverse of each type; the inverse of an inverse is the type itself.
INVERSE_TYPES: Mapping[str, str] = dict(_INVERSE_PAIRS) | {
    second: first for first, second in _INVERSE_PAIRS
}

#: Types of a resource that is inside the other one; ``parent`` is the role of the other one.
CONTAINED_IN_TYPES = frozenset({"isContainedIn", "parent", "hasParent", "childOf", "isHostedOn"})

#: Types of a resource that contains the other one.
CONTAINS_TYPES = frozenset(INVERSE_TYPES[type_] for type_ in CONTAINED_IN_TYPES)

#: Types of a resource that does not work without the other one, which cannot be deleted first.
DEPENDENCY_TYPES = CONTAINED_IN_TYPES | {
    "reliesOn",
    "dependsOn",
    "uses",
    "isSupportedBy",
    "isRealizedBy",
}


def edges(resource: Resource | None) -> set[Edge]:
    """Return the relationships of a resource that have a type and an id."""
    return {
        (type_, target)
        for relationship in _relationships(resource)
        if isinstance(type_ := relationship.get("relationshipType"), str)
        and (target := target_id(relationship))
    }


def target_ids(resource: Resource | None, types: frozenset[str]) -> set[str]:
    """Return the ids of the resources that a resource is related to by one of some types."""
    return {target for type_, target in edges(resource) if type_ in types}


def with_edge(resource: Resource, edge: Edge, other: Resource) -> Resource:
    """Return the resource with a relationship to ``other``; unchanged if it has it already."""
    if edge in edges(resource):
        return resource
    reference = {"@type": "ResourceRef", "id": edge[1]}
    if isinstance(other.get("name"), str):
        reference["name"] = other["name"]
    if isinstance(other.get("@type"), str):
        reference["@referredType"] = other["@type"]
    added = {"@type": "ResourceRelationship", "relationshipType": edge[0], "resource": reference}
    return {**resource, "resourceRelationship": [*_relationships(resource), added]}


def without_edge(resource: Resource, edge: Edge) -> Resource:
    """Return the resource without a relationship; unchanged if it does not have it."""
    if edge not in edges(resource):
        return resource
    remaining = [
        relationship
        for relationship in _relationships(resource)
        if (relationship.get("relationshipType"), target_id(relationship)) != edge
    ]
    rest = {key: value for key, value in resource.items() if key != "resourceRelationship"}
    return {**rest, "resourceRelationship": remaining} if remaining else rest


def target_id(relationship: Mapping[str, Any]) -> str | None:
    """Return the id of the other resource, or None if the relationship has no id."""
    other = relationship.get("resource")
    id = other.get("id") if isinstance(other, Mapping) else None
    return id if isinstance(id, str) and id else None


def _relationships(resource: Resource | None) -> list[dict[str, Any]]:
    return json_objects((resource or {}).get("resourceRelationship"))
