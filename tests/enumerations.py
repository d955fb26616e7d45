"""The words that a contract of this project allows; another test holds it to the published one."""

import functools
from pathlib import Path

import yaml

CONTRACTS = Path(__file__).parent.parent / "openapi"


@functools.cache
def schemas(contract):
    """All schemas of a contract such as ``TMF642-v5``."""
    text = (CONTRACTS / f"{contract}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CSafeLoader)["components"]["schemas"]


def enumeration(contract, name):
    """The values of ``Schema`` or ``Schema.attribute``."""
    kind, _, attribute = name.partition(".")
    schema = schemas(contract)[kind]
    if attribute:
        owners = [one.get("properties", {}) for one in [schema, *schema.get("allOf", [])]]
        (schema,) = (one[attribute] for one in owners if attribute in one)
    return set(schema["enum"])
