"""Valid bodies for every create of every contract, made from the contract itself.

``minimal`` has what the contract requires and no more, ``full`` every attribute that a client may
set; what the law asks for beyond the contract (an alarm for the task to work on) is in ``MUST``.
"""

import itertools

from tmf_apis.rest.contracts.contract import Contract

COMPONENTS = "#/components/schemas/"
TIME = "2026-01-02T03:04:05.678Z"
#: Values of attributes whose meaning is more than their type, wherever they are.
ATTRIBUTE_VALUES = {
    "href": "http://example.com/1",
    "url": "https://example.com/file.json",
    "callback": "https://example.com/told",
    "version": "1.1",
    "emailAddress": "someone@example.com",
    "alarmType": "communicationsAlarm",
    "perceivedSeverity": "critical",
    "plannedOutageIndicator": "InService",
    "probableCause": "lossOfSignal",
    "priority": "1",
    "requestedInitialState": "acknowledged",
    "target": "127.0.0.1:9",
}
#: Attributes left out of full bodies, by schema without its ending: the law has them made by the
#: server, or has to do with other resources that must be there.
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


#: Schemas with one body that is always right.
FIXED_BODIES = {"AlarmedObject": {"id": "element-1"}}


class BodyFactory:
    """Bodies for one contract."""

    def __init__(self, contract: Contract):
        self.contract = contract
        self._schemas = contract.document["components"]["schemas"]
        self._numbers = itertools.count(1)

    def minimal(self, schema):
        """What must be there."""
        return self._without_identity(self._object(schema, full=False, depth=8))

    def full(self, schema):
        """All that may be there, three levels deep."""
        return self._without_identity(self._object(schema, full=True, depth=3))

    @staticmethod
    def _without_identity(body):
        """A resource itself has no id before it is made."""
        return {name: value for name, value in body.items() if name not in {"id", "href"}}

    def merged_schema(self, node):
        """A schema with what it refers to and inherits in one piece."""
        if "$ref" in node:
            return self.merged_schema(self._schemas[node["$ref"].removeprefix(COMPONENTS)])
        properties, required = {}, []
        whole = dict(node)
        for part in node.get("allOf", ()):
            inherited = self.merged_schema(part)
            properties |= inherited.get("properties", {})
            required += inherited.get("required", [])
            whole = {**inherited, **whole}
        properties |= node.get("properties", {})
        required += node.get("required", [])
        return {**whole, "properties": properties, "required": required}

    def _object(self, name, *, full, depth):
        schema = self.merged_schema({"$ref": COMPONENTS + name})
        made = {}
        base = name.removesuffix("_FVO").removesuffix("_Create").removesuffix("_MVO")
        if base in FIXED_BODIES:
            return dict(FIXED_BODIES[base])
        for attribute, node in schema["properties"].items():
            wanted = mandatory = attribute in schema["required"]
            if full and depth > 0 and attribute not in EXCLUDED_ATTRIBUTES.get(base, ()):
                wanted = wanted or attribute not in {"id", "href", "@schemaLocation", "@baseType"}
            if attribute == "@type" and wanted:
                made["@type"] = self._type(base, schema)
            elif mandatory or (wanted and (depth > 1 or "$ref" not in str(node))):
                value = self._value(attribute, node, full=full, depth=depth - 1)
                if mandatory or value not in ({}, [], None):
                    made[attribute] = value
        if "id" in schema["properties"]:
            made.setdefault("id", f"id {next(self._numbers)}")
        return made

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
        kind = node.get("type")
        if "enum" in node:
            return node["enum"][0]
        if kind == "array":
            item = self._value(attribute, node.get("items", {}), full=full, depth=depth)
            return None if item in ({}, None) else [item] * max(1, node.get("minItems", 1))
        if kind == "object" or "properties" in node or "allOf" in node:
            made = {
                name: self._value(name, inner, full=full, depth=depth - 1)
                for name, inner in self.merged_schema(node)["properties"].items()
            }
            return {k: v for k, v in made.items() if v not in ({}, [], None)} or {"x": "1"}
        if kind == "boolean":
            return True
        if kind in {"integer", "number"}:
            return 1 if kind == "integer" else 1.5
        formats = {"date-time": TIME, "date": TIME[:10], "dateTime": TIME}
        return formats.get(node.get("format"), f"{attribute} {next(self._numbers)}")
