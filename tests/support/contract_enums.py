"""The enumerations of the contracts in ``openapi/``."""

import functools

import yaml

from tests.support.paths import OPENAPI

CONTRACTS_DIR = OPENAPI


@functools.cache
def schemas(contract):
    """Return the schemas of a contract such as ``TMF642-v5``."""
    text = (CONTRACTS_DIR / f"{contract}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]


def enum_values(contract, name):
    """Return the values of a schema, or of an attribute ``Schema.attribute``."""
    kind, _, attribute = name.partition(".")
    schema = schemas(contract)[kind]
    if attribute:
        properties = [part.get("properties", {}) for part in [schema, *schema.get("allOf", [])]]
        (schema,) = (part[attribute] for part in properties if attribute in part)
    return set(schema["enum"])
