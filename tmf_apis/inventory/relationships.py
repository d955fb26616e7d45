"""Relationship types, each with the name that it has when read from the other side.

The contract types ``relationshipType`` as free text; a type that is not here is left alone.

Source: TMF639 v5.0.0, ResourceRelationship; SID, ResourceRelationship (containment, dependency,
connection).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.pipeline.policy import Resource

#: A relationship of one resource: its type and the id of the other.
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

#: From each type to its inverse; the inverse of the inverse is the type itself.
INVERSE_TYPES: Mapping[str, str] = dict(_INVERSE_PAIRS) | {
    second: first for first, second in _INVERSE_PAIRS
}

#: Types that say: I am inside the other one. ``parent`` names what the other one is.
CONTAINED_IN_TYPES = frozenset({"isContainedIn", "parent", "hasParent", "childOf", "isHostedOn"})

#: Types that say: the other one is inside me.
CONTAINS_TYPES = frozenset(INVERSE_TYPES[one] for one in CONTAINED_IN_TYPES)

#: Types that say: I do not work without the other one, so it may not go before me.
DEPENDENCY_TYPES = CONTAINED_IN_TYPES | {
    "reliesOn",
    "dependsOn",
    "uses",
    "isSupportedBy",
    "isRealizedBy",
}


def edges(resource: Resource | None) -> set[Edge]:
    """Return the relationships of a resource that name a type and an id."""
    return {
        (one["relationshipType"], target)
        for one in _relationships(resource)
        if isinstance(one.get("relationshipType"), str) and (target := target_id(one))
    }


def target_ids(resource: Resource | None, types: frozenset[str]) -> set[str]:
    """Return the ids that a resource is related to by one of these types."""
    return {target for type_, target in edges(resource) if type_ in types}


def with_edge(resource: Resource, edge: Edge, other: Resource) -> Resource:
    """Return the resource with a relationship to ``other``; as it is where it has it already."""
    if edge in edges(resource):
        return resource
    reference = {"@type": "ResourceRef", "id": edge[1]}
    if isinstance(other.get("name"), str):
        reference["name"] = other["name"]
    if isinstance(other.get("@type"), str):
        reference["@referredType"] = other["@type"]
    made = {"@type": "ResourceRelationship", "relationshipType": edge[0], "resource": reference}
    return {**resource, "resourceRelationship": [*_relationships(resource), made]}


def without_edge(resource: Resource, edge: Edge) -> Resource:
    """Return the resource without a relationship; as it is where it has none like it."""
    if edge not in edges(resource):
        return resource
    kept = [
        one
        for one in _relationships(resource)
        if (one.get("relationshipType"), target_id(one)) != edge
    ]
    rest = {key: value for key, value in resource.items() if key != "resourceRelationship"}
    return {**rest, "resourceRelationship": kept} if kept else rest


def target_id(relationship: Mapping[str, Any]) -> str | None:
    """Return the id of the other resource, or None where the relationship names none."""
    other = relationship.get("resource")
    found = other.get("id") if isinstance(other, Mapping) else None
    return found if isinstance(found, str) and found else None


def _relationships(resource: Resource | None) -> Iterator[dict[str, Any]]:
    value = (resource or {}).get("resourceRelationship")
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))
