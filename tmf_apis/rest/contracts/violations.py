"""The messages of violations of a contract: place and rule, without the value.

A value may be personal, and it may be long; the rule is never cut away by it.
"""

from collections.abc import Iterable
from typing import Any

import jsonschema_rs

from tmf_apis.errors import listed_faults, quoted, shortened

#: What a value does that breaks a rule, before the limit of the rule.
_LIMITS = {
    "minimum": "is less than the minimum of",
    "maximum": "is greater than the maximum of",
    "exclusiveMinimum": "is less than or equal to the minimum of",
    "exclusiveMaximum": "is greater than or equal to the maximum of",
    "multipleOf": "is not a multiple of",
    "minLength": "is shorter than",
    "maxLength": "is longer than",
    "minItems": "has less items than",
    "maxItems": "has more items than",
    "minProperties": "has less properties than",
    "maxProperties": "has more properties than",
    "pattern": "does not match",
}
_OTHER_RULES = {"uniqueItems": "has the same item twice", "not": "is not allowed"}
#: Most alternatives of which a message gives the reason.
_MAX_ALTERNATIVES = 3
#: Longest rule in a message; only lists of enumerations of hundreds of values are longer.
_RULE_LIMIT = 2000


def json_pointer(path: Iterable[str | int]) -> str:
    """Return an RFC 6901 JSON pointer.

    >>> json_pointer(["productOrderItem", 0, "a/b"])
    '/productOrderItem/0/a~1b'
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def violation_message(errors: Iterable[jsonschema_rs.ValidationError]) -> str:
    """Return the message of violations: JSON pointer and rule of each."""
    return listed_faults(
        f"{_short_pointer(error.instance_path) or '/'}: {_rule(error)}" for error in errors
    )


def _short_pointer(path: Iterable[str | int]) -> str:
    return json_pointer(shortened(part) if isinstance(part, str) else part for part in path)


def _rule(error: jsonschema_rs.ValidationError) -> str:
    """Return the rule that a value breaks."""
    kind: Any = error.kind
    name, rule = kind.name, kind.value
    subject = _subject(error)
    if name == "enum":
        return f"{subject} is not one of {', '.join(map(_json_text, rule))}"[:_RULE_LIMIT]
    if name == "const":
        return f"{subject} is not {_json_text(rule)}"
    if name == "type":
        types = ", ".join(f'"{type_name}"' for type_name in rule)
        return f"{subject} is not of type{'s' if len(rule) > 1 else ''} {types}"
    if name in {"anyOf", "oneOf"}:
        return _alternatives(subject, rule)
    return _other_rule(name, rule, subject)


def _alternatives(subject: str, branches: object) -> str:
    reasons = (
        [_rule(branch[0]) for branch in branches if branch] if isinstance(branches, list) else []
    )
    unique = list(dict.fromkeys(reasons))[:_MAX_ALTERNATIVES]
    reason = f": {', or '.join(unique)}" if unique else ""
    return f"{subject} fits none of the alternatives{reason}"


def _subject(error: jsonschema_rs.ValidationError) -> str:
    """Return how a message speaks of a value; the name of a type is shown."""
    path = list(error.instance_path)
    if path and str(path[-1]).startswith("@") and isinstance(error.instance, str):
        return quoted(error.instance).replace("'", '"')
    return "the value"


def _other_rule(name: str, rule: Any, subject: str) -> str:  # noqa: ANN401
    """Return the message of a rule that is neither a type nor a choice."""
    if name == "format":
        return f'{subject} is not a "{rule}"'
    if name == "required":
        return f'"{rule}" is a required property'
    if name in _LIMITS:
        return f"{subject} {_LIMITS[name]} {_json_text(rule)}"
    if name == "additionalProperties":
        return f"{', '.join(map(quoted, list(rule)[:_MAX_ALTERNATIVES]))}: not an attribute here"
    return f"{subject} {_OTHER_RULES.get(name, f'violates the rule {name}')}"


def _json_text(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
