"""Valid bodies for every POST of every contract, generated from the contract.

``minimal`` has only the attributes that the contract requires, ``full`` all that a client may set.
``contract_collections`` adds references to resources that the policies require, such as the alarm
of an alarm task.
"""

import itertools

from tmf_apis.rest.contracts.contract import Contract

COMPONENTS = "#/components/schemas/"
TIME = "2026-01-02T03:04:05.678Z"
#: Values of attributes that need more than a value of their type.
ATTRIBUTE_VALUES = {
    "href": "http://example.com/1",
    "url": "https://example.com/file.json",
    "callback": "https://example.com/listener",
    "version": "1.1",
    "contentType": "application/json",
    "emailAddress": "someone@example.com",
    "alarmType": "communicationsAlarm",
    "perceivedSeverity": "critical",
    "plannedOutageIndicator": "InService",
    "probableCause": "lossOfSignal",
    "priority": "1",
    "requestedInitialState": "acknowledged",
    "target": "127.0.0.1:9",
}
#: Attributes that full bodies do not have, by schema without its suffix: the server sets them, or
#: they refer to resources that must exist.
EXCLUDED_ATTRIBUTES = {
    "Category": {"parent", "parentId", "subCategory"},
    "ProductOrderItem": {"productOrderItemRelationship", "productOrderItem", "state"},
    "ProductOrder": {"state", "cancellationDate", "cancellationReason", "orderRelationship"},
    "ServiceOrderItem": {"serviceOrderItemRelationship", "serviceOrderItem", "state"},
    "ServiceOrder": {"state", "cancellationDate", "cancellationReason", "orderRelationship"},
    "Customer": {"status"},
    "Alarm": {"state", "ackState", "parentAlarm", "correlatedAlarm"},
    "Resource": {"resourceRelationship"},
    "PhysicalResource": {"resourceRelationship"},
    "LogicalResource": {"resourceRelationship"},
}
#: Bodies of schemas that are always the same.
FIXED_BODIES = {"AlarmedObject": {"id": "element-1"}, "Money": {"unit": "EUR", "value": 1.5}}
#: Attributes that no body has unless they are required.
_SERVER_ATTRIBUTES = {"id", "href", "@schemaLocation", "@baseType"}


class BodyFactory:
    """Generator of bodies for one contract."""

    def __init__(self, contract: Contract):
        self.contract = contract
        self._schemas = contract.document["components"]["schemas"]
        self._numbers = itertools.count(1)

    def minimal(self, schema):
        """Return a body with the required attributes."""
        return self._without_identity(self._object(schema, full=False, depth=8))

    def full(self, schema):
        """Return a body with all attributes that a client may set, three levels deep."""
        return self._without_identity(self._object(schema, full=True, depth=3))

    @staticmethod
    def _without_identity(body):
        """Return a body without id and href, which the server sets."""
        return {name: value for name, value in body.items() if name not in {"id", "href"}}

    def merged_schema(self, node):
        """Return a schema with its reference and its inherited attributes merged."""
        if "$ref" in node:
            return self.merged_schema(self._schemas[node["$ref"].removeprefix(COMPONENTS)])
        properties, required = {}, []
        merged = dict(node)
        for part in node.get("allOf", ()):
            inherited = self.merged_schema(part)
            properties |= inherited.get("properties", {})
            required += inherited.get("required", [])
            merged = {**inherited, **merged}
        properties |= node.get("properties", {})
        required += node.get("required", [])
        return {**merged, "properties": properties, "required": required}

    def _object(self, name, *, full, depth):
        schema = self.merged_schema({"$ref": COMPONENTS + name})
        body = {}
        base = name.removesuffix("_FVO").removesuffix("_Create").removesuffix("_MVO")
        if base in FIXED_BODIES:
            return dict(FIXED_BODIES[base])
        for attribute, node in schema["properties"].items():
            is_included = is_required = attribute in schema["required"]
            if full and depth > 0 and attribute not in EXCLUDED_ATTRIBUTES.get(base, ()):
                is_included = is_included or attribute not in _SERVER_ATTRIBUTES
            if attribute == "@type" and is_included:
                body["@type"] = self._type(base, schema)
            elif is_required or (is_included and (depth > 1 or "$ref" not in str(node))):
                value = self._value(attribute, node, full=full, depth=depth - 1)
                if is_required or value not in ({}, [], None):
                    body[attribute] = value
        if "id" in schema["properties"]:
            body.setdefault("id", f"id {next(self._numbers)}")
        return body

    def _type(self, base, schema):
        base = base.removesuffix("RefOrValue") or base
        mapping = schema.get("discriminator", {}).get("mapping", {})
        names = [name.removesuffix("_FVO").removesuffix("_MVO") for name in mapping]
        return base if base in names or not names else names[0]

    def _value(self, attribute, node, *, full, depth):
        if attribute in ATTRIBUTE_VALUES and "$ref" not in node and node.get("type") == "string":
            return ATTRIBUTE_VALUES[attribute]
        if "$ref" in node:
            name = node["$ref"].removeprefix(COMPONENTS)
            target = self._schemas[name]
            choices = target.get("oneOf") or target.get("anyOf")
            if choices:
                return self._value(attribute, choices[0], full=full, depth=depth)
            if "properties" in target or "allOf" in target:
                return self._object(name, full=full and depth >= 0, depth=depth)
            return self._value(attribute, target, full=full, depth=depth)
        if choices := node.get("oneOf") or node.get("anyOf"):
            return self._value(attribute, choices[0], full=full, depth=depth)
        if list(node.get("allOf", ())) and "properties" not in node:
            return self._value(attribute, node["allOf"][0], full=full, depth=depth)
        return self._simple_value(attribute, node, full=full, depth=depth)

    def _simple_value(self, attribute, node, *, full, depth):
        value_type = node.get("type")
        if "enum" in node:
            return node["enum"][0]
        if value_type == "array":
            item = self._value(attribute, node.get("items", {}), full=full, depth=depth)
            return None if item in ({}, None) else [item] * max(1, node.get("minItems", 1))
        if value_type == "object" or "properties" in node or "allOf" in node:
            members = {
                name: self._value(name, inner, full=full, depth=depth - 1)
                for name, inner in self.merged_schema(node)["properties"].items()
            }
            return {k: v for k, v in members.items() if v not in ({}, [], None)} or {"x": "1"}
        if value_type == "boolean":
            return True
        if value_type in {"integer", "number"}:
            return 1 if value_type == "integer" else 1.5
        formats = {"date-time": TIME, "date": TIME[:10], "dateTime": TIME}
        return formats.get(node.get("format"), f"{attribute} {next(self._numbers)}")
