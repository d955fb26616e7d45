"""The texts of a resource: no control characters, and no longer than the settings allow.

A name, an id or a link is a single line without characters that change the direction of the text
around them. Every other text may have tabs and line breaks. The rule follows from the name of the
attribute, so it applies to attributes that no contract declares, too.

Source: Unicode 15.1, general category Cc; Unicode Technical Report 36, section 3 (bidirectional
text).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.errors import InvalidBody, listed_faults, shortened
from tmf_apis.settings import Settings

#: Attributes whose text is a name, an identifier, a term or a link.
SINGLE_LINE = re.compile(
    r"@.*|id|name|href|url|callback|referenceError|role|status|state|version|.*(?:Id|Name|Href|Url|Type|Code|Number)"
)
#: Attributes whose text is a link, which may be longer than a name.
LINK = re.compile(r"href|url|callback|@schemaLocation|referenceError|.*(?:Href|Url)")
#: Attributes whose text is an embedded file (``format: base64``); the limit of the body applies.
EMBEDDED_FILES = frozenset({"content"})

#: Control characters except tab and line breaks, and surrogates.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_OR_LAYOUT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
#: Schemes that a browser runs as a script or shows as a page.
_SCRIPT = re.compile(r"\s*(?:javascript|vbscript|data):", re.IGNORECASE)
#: The same characters in UTF-8, for a search in the raw text; escaped ones begin with a backslash.
_RAW_CONTROL_OR_LAYOUT = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")

#: JSON pointer, rule and offending text of a violation.
Violation = tuple[str, str, str]
_Path = tuple[str | int, ...]


def check_texts(value: Any, settings: Settings, before: Any = None) -> None:  # noqa: ANN401
    """Check the texts of a resource or a part of one.

    Args:
        value: The resource.
        settings: The limits.
        before: The resource before a change. Texts that it has are accepted again, so that a
            resource of an earlier release can be changed in its other attributes.

    Raises:
        InvalidBody: A text has a forbidden character, or is too long; the message has the JSON
            pointer (HTTP 400).
    """
    violations = list(_violations(value, "", (), settings))
    if violations and before is not None:
        known = {(rule, text) for _, rule, text in _violations(before, "", (), settings)}
        violations = [new for new in violations if new[1:] not in known]
    if violations:
        faults = (f"{pointer or '/'}: {rule}" for pointer, rule, _ in violations)
        raise InvalidBody(listed_faults(faults))


def may_violate(raw: bytes, settings: Settings) -> bool:
    """Return whether a JSON text may have a text that ``check_texts`` refuses.

    Most bodies have no escape sequence, no unusual character and no long text, which a search in
    the raw text shows faster than a walk through the values.
    """
    if b"\\" in raw or b"\x7f" in raw:
        return True
    if not raw.isascii() and _RAW_CONTROL_OR_LAYOUT.search(raw):
        return True
    limit = min(settings.name_limit, settings.text_limit)
    if len(raw) > limit and max(map(len, raw.split(b'"'))) > limit:
        return True
    lowered = raw.lower()
    return b"script:" in lowered or b"data:" in lowered


def _violations(value: Any, name: str, path: _Path, settings: Settings) -> Iterator[Violation]:  # noqa: ANN401
    """Yield the violations of a value of the attribute ``name``."""
    if isinstance(value, str):
        if rule := _broken_rule(value, name, settings):
            yield _pointer(path), rule, value
    elif isinstance(value, Mapping):
        yield from _violations_of_members(value, path, settings)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _violations(item, name, (*path, index), settings)


def _violations_of_members(
    value: Mapping[str, Any], path: _Path, settings: Settings
) -> Iterator[Violation]:
    for key, member in value.items():
        if len(key) > settings.name_limit or not key.isprintable():
            rule = f"the name {shortened(key)!r} is too long or not printable"
            yield _pointer(path), rule, key
        if isinstance(member, str | dict | list):
            yield from _violations(member, key, (*path, key), settings)


def _broken_rule(text: str, name: str, settings: Settings) -> str:
    """Return the rule that the text of an attribute breaks; empty if there is none."""
    is_single_line = SINGLE_LINE.fullmatch(name) is not None
    is_link = LINK.fullmatch(name) is not None
    is_short = is_single_line and not is_link
    limit = settings.name_limit if is_short else settings.text_limit
    if len(text) > limit and name not in EMBEDDED_FILES:
        return f"at most {limit} characters are allowed, not {len(text)}"
    if is_link and _SCRIPT.match(text):
        return "a link cannot have this scheme"
    pattern = _CONTROL_OR_LAYOUT if is_single_line else CONTROL
    if not text.isprintable() and (match := pattern.search(text)):
        return f"the character U+{ord(match[0]):04X} is not allowed"
    return ""


def _pointer(path: _Path) -> str:
    parts = (shortened(str(part)) for part in path)
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
