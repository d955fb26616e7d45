"""The words that a contract of this project allows; another test holds it to the published one."""

import functools

import yaml

from tests.support.paths import OPENAPI

CONTRACTS_DIR = OPENAPI


@functools.cache
def schemas(contract):
    """All schemas of a contract such as ``TMF642-v5``."""
    text = (CONTRACTS_DIR / f"{contract}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]


def enum_values(contract, name):
    """The values of ``Schema`` or ``Schema.plan_attribute``."""
    kind, _, attribute = name.partition(".")
    schema = schemas(contract)[kind]
    if attribute:
        owners = [one.get("properties", {}) for one in [schema, *schema.get("allOf", [])]]
        (schema,) = (one[attribute] for one in owners if attribute in one)
    return set(schema["enum"])
