"""Characteristics of resources and products: read and set by name.

Source: TMF639 v5.0.0, Characteristic and the types that extend it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tmf_apis.rest.law import Resource

_TYPES: Mapping[type, tuple[str, str]] = {
    bool: ("BooleanCharacteristic", "boolean"),
    int: ("IntegerCharacteristic", "integer"),
    float: ("NumberCharacteristic", "number"),
    str: ("StringCharacteristic", "string"),
    dict: ("ObjectCharacteristic", "object"),
}


def values(characteristics: object) -> dict[str, Any]:
    """Return the values of a list of characteristics by name.

    >>> values([{"name": "adapter", "value": "snmp"}, {"name": "colour"}])
    {'adapter': 'snmp'}
    """
    return {
        str(one["name"]): one["value"]
        for one in objects(characteristics)
        if "name" in one and one.get("value") is not None
    }


def of_resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a resource's characteristics by name."""
    return values(resource.get("resourceCharacteristic"))


def with_values(resource: Resource, changes: Mapping[str, Any]) -> Resource:
    """Return a resource with characteristics set; those whose value is None are taken away."""
    before = list(objects(resource.get("resourceCharacteristic")))
    known = {one.get("name") for one in before}
    gone = {name for name, value in changes.items() if value is None}
    after = [_set(one, changes) for one in before if one.get("name") not in gone]
    new = {name: value for name, value in changes.items() if name not in known}
    after += [_made(name, value) for name, value in new.items() if value is not None]
    rest = {key: value for key, value in resource.items() if key != "resourceCharacteristic"}
    return {**rest, "resourceCharacteristic": after} if after else rest


def _set(one: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    name = str(one.get("name"))
    if name not in changes or one.get("value") == changes[name]:
        return one
    return {**one, "value": changes[name]}


def _made(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    type_, value_type = _TYPES[type(value)]
    return {"@type": type_, "name": name, "valueType": value_type, "value": value}


def objects(value: object) -> Iterable[dict[str, Any]]:
    """Return the JSON objects of an array; nothing where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
