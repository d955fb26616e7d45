"""Read and set characteristics of resources and products by name.

Source: TMF639 v5.0.0, Characteristic and the types that extend it.
"""

from collections.abc import Mapping
from typing import Any

from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

_CHARACTERISTIC_TYPES: Mapping[type, tuple[str, str]] = {
    bool: ("BooleanCharacteristic", "boolean"),
    int: ("IntegerCharacteristic", "integer"),
    float: ("NumberCharacteristic", "number"),
    str: ("StringCharacteristic", "string"),
    dict: ("ObjectCharacteristic", "object"),
}


def values_by_name(characteristics: object) -> dict[str, Any]:
    """Return the values of a list of characteristics by name.

    >>> values_by_name([{"name": "adapter", "value": "snmp"}, {"name": "colour"}])
    {'adapter': 'snmp'}
    """
    return {
        str(characteristic["name"]): characteristic["value"]
        for characteristic in json_objects(characteristics)
        if "name" in characteristic and characteristic.get("value") is not None
    }


def resource_characteristics(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a resource's characteristics by name."""
    return values_by_name(resource.get("resourceCharacteristic"))


def with_characteristics(resource: Resource, changes: Mapping[str, Any]) -> Resource:
    """Return a resource with characteristics set by name; a value of None removes one."""
    before = json_objects(resource.get("resourceCharacteristic"))
    old_names = {characteristic.get("name") for characteristic in before}
    removed = {name for name, value in changes.items() if value is None}
    after = [
        _with_new_value(characteristic, changes)
        for characteristic in before
        if characteristic.get("name") not in removed
    ]
    after += [
        _new_characteristic(name, value)
        for name, value in changes.items()
        if name not in old_names and value is not None
    ]
    rest = {key: value for key, value in resource.items() if key != "resourceCharacteristic"}
    return {**rest, "resourceCharacteristic": after} if after else rest


def _with_new_value(characteristic: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    name = str(characteristic.get("name"))
    if name not in changes or characteristic.get("value") == changes[name]:
        return characteristic
    return {**characteristic, "value": changes[name]}


def _new_characteristic(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    type_, value_type = _CHARACTERISTIC_TYPES[type(value)]
    return {"@type": type_, "name": name, "valueType": value_type, "value": value}
