"""Hypothesis strategies for documents of the contracts, with attributes that none declares."""

import functools
from dataclasses import dataclass

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.paths import OPENAPI
from tmf_apis.rest.views.kind_names import KIND_NAMES

#: Kind and v4 schema of every kind and subtype that v4 has.
V4_SCHEMAS = [
    *((kind, names.v4) for kind, names in KIND_NAMES.items() if names.v4),
    ("Resource", "PhysicalResource"),
    ("Resource", "LogicalResource"),
]
few_examples = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
SCALARS = {
    "string": st.sampled_from(["", "a", "b", "10", "x y", "2026-01-02T03:04:05.000Z"]),
    "integer": st.integers(-2, 9),
    "number": st.sampled_from([0, 1, 2.5]),
    "boolean": st.booleans(),
}
ANY_VALUE = st.recursive(
    st.sampled_from(["text", 1, 2.5, True]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "name", "@type", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@dataclass(frozen=True)
class ContractStrategies:
    """Strategies for the documents of one contract.

    Attributes:
        api: The number of the contract, such as ``"TMF620"``.
        version: "v4" or "v5".
        extra: Names of undeclared attributes that any object may have, with any value.
    """

    api: str
    version: str
    extra: tuple[str, ...] = ("extension",)

    @property
    def schemas(self):
        """The schemas of the contract."""
        return _schemas(f"{self.api}-{self.version}.yaml")

    def resolved_schema(self, node):
        """Return a schema with its reference and ``allOf`` merged."""
        if "$ref" in node:
            return self.resolved_schema(self.schemas[node["$ref"].rsplit("/", 1)[1]])
        merged, properties = dict(node), {}
        for part in map(self.resolved_schema, node.get("allOf", ())):
            properties |= part.get("properties", {})
            merged = {**part, **merged}
        properties |= node.get("properties", {})
        return {**merged, "properties": properties} if properties else merged

    def properties(self, schema):
        """Return the attributes of a named schema."""
        return self.resolved_schema(self.schemas[schema]).get("properties", {})

    def documents(self, schema, depth=4):
        """Return a strategy for documents of a named schema with some of its attributes."""
        return _objects(self, self.properties(schema), depth)

    def values(self, node, depth):
        """Return a strategy for the values of a schema."""
        node = self.resolved_schema(node)
        if choices := node.get("oneOf") or node.get("anyOf"):
            return st.sampled_from(choices).flatmap(lambda choice: self.values(choice, depth))
        if "enum" in node:
            return st.sampled_from(node["enum"])
        if node.get("properties"):
            return _objects(self, node["properties"], depth) if depth > 0 else st.just({"x": 1})
        if node.get("type") == "array":
            return st.lists(self.values(node.get("items", {}), depth), max_size=2)
        return SCALARS.get(node.get("type"), ANY_VALUE)


@functools.cache
def _schemas(file):
    contract = yaml.load((OPENAPI / file).read_bytes(), Loader=yaml.CSafeLoader)
    return contract["components"]["schemas"]


@st.composite
def _objects(draw, contract, properties, depth):
    names = draw(st.lists(st.sampled_from(sorted(properties)), max_size=6, unique=True))
    document = {name: draw(contract.values(properties[name], depth - 1)) for name in names}
    if draw(st.integers(0, 3)) == 0:
        document[draw(st.sampled_from(contract.extra))] = draw(ANY_VALUE)
    return document
