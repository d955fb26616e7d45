"""The additions of the server to the body of a request, which precede its validation.

An object whose ``@type`` is the name of a union (``AttachmentRefOrValue``), as in published
examples, gets the type of its shape: the reference or the value.

With ``TMF_REQUIRED_ATTRIBUTES=filled``, a body may lack mandatory attributes that the server knows:
the types of objects, the time of the last update and the initial state of a resource. Other
mandatory attributes remain mandatory.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.contracts.json_schemas import form_base
from tmf_apis.rest.contracts.type_defaults import TypeDefaults

Json = dict[str, Any]
#: Mandatory times of some create schemas that are the time of the request.
_REQUEST_TIMES = ("creationDate", "lastUpdate")
#: Most attributes that an error message lists.
_MAX_LISTED = 5


class ConcreteTypes(TypeDefaults):
    """Adds the type whose attributes an object has: ``EmailContactMedium`` of a ``ContactMedium``.

    If the attributes tell no subtype, or several, it is the type that the contract declares.
    """

    def _with_nested_types(self, schema: str, value: Json) -> Json:
        return super()._with_nested_types(self._concrete_type(schema, value), value)

    def _typed_object(self, schema: str, value: Json, typed: Json) -> Json:
        return super()._typed_object(self._concrete_type(schema, value), value, typed)

    def _concrete_type(self, schema: str, value: Json) -> str:
        """Return the subtype that has the most of the attributes that a type does not have."""
        subtypes = () if "@type" in value else self._subtypes(schema)
        own = value.keys() - self._cached_shape(schema)[0].keys() if subtypes else set()
        counts = {name: len(own & self._cached_shape(name)[0].keys()) for name in subtypes}
        most = max(counts.values(), default=0)
        best = [name for name, count in counts.items() if count == most]
        return best[0] if most and len(best) == 1 else schema

    def _subtypes(self, schema: str) -> list[str]:
        """Return the subtypes of a type, by its discriminator."""
        mapping = self._schemas.get(schema, {}).get("discriminator", {}).get("mapping", {})
        names = (str(reference).rsplit("/", 1)[-1] for reference in mapping.values())
        return [name for name in names if name != schema and name in self._schemas]


class BodyDefaults:
    """The additions to the bodies of one contract."""

    def __init__(self, document: Mapping[str, Any], *, is_typed: bool, fills: bool) -> None:
        """Read the unions of a contract.

        Args:
            document: The OpenAPI document.
            is_typed: Objects have types (version 5).
            fills: Add mandatory attributes.
        """
        self.fills = fills
        self._is_typed = is_typed
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]
        self._union_types = TypeDefaults(document, adds_types=False)
        self._all_types = ConcreteTypes(document)
        unions = {form_base(name) for name, schema in self._schemas.items() if "oneOf" in schema}
        self._union_names = (*(name.encode() for name in sorted(unions)), b"RefOrValue")

    def typed(self, schema: str, resource: Json, raw: bytes | None = None) -> Json:
        """Return a resource in which no type is a union, or is missing if missing ones are added.

        Args:
            schema: The schema of the resource.
            resource: The resource; the result is the same object if nothing changes.
            raw: The JSON of the request; without the name of a union, no type can be one.
        """
        if not self._is_typed:
            return resource
        if self.fills:
            return self._all_types.transform_for(schema)(resource)
        if raw is not None and not any(name in raw for name in self._union_names):
            return resource
        return self._union_types.transform_for(schema)(resource)

    def filled(self, schema: str, resource: Json, *, now: str, state: Mapping[str, str]) -> Json:
        """Return a body with the mandatory attributes that the server knows.

        Args:
            schema: The schema of the body.
            resource: The body.
            now: The time of the request, in the stored form.
            state: Name and initial value of the attribute with the state; empty without one.
        """
        required = self._all_types.required_attributes(schema)
        known = {**dict.fromkeys(_REQUEST_TIMES, now), **state}
        if self._is_typed:
            known["@type"] = form_base(schema)
            resource = self._all_types.transform_for(schema)(resource)
        missing = {n: v for n, v in known.items() if n in required and n not in resource}
        return {**resource, **missing} if missing else resource


def additions_text(before: Any, after: Any) -> str:  # noqa: ANN401
    """Return the attributes that a body has been given, as text; empty if there are none.

    >>> additions_text({"a": {}}, {"a": {"@type": "Money"}, "@type": "X"})
    '/a/@type "Money", /@type "X"'
    """
    additions = [f'{pointer} "{value}"' for pointer, value in _additions(before, after, "")]
    rest = len(additions) - _MAX_LISTED
    return ", ".join(additions[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _additions(before: Any, after: Any, pointer: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    if before is after:
        return
    if isinstance(after, dict) and isinstance(before, dict):
        for name, value in after.items():
            if name in before:
                yield from _additions(before[name], value, f"{pointer}/{name}")
        yield from ((f"{pointer}/{name}", v) for name, v in after.items() if name not in before)
    elif isinstance(after, list) and isinstance(before, list):
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _additions(old, new, f"{pointer}/{position}")
