"""The preference ``handling``: unknown attributes are accepted with a warning, or refused.

TMF630 permits attributes that a contract does not declare, so they are stored. A client that has
misspelt one is told by the header ``Warning``; with ``Prefer: handling=strict`` or
``TMF_HANDLING=strict`` the request is refused instead.

Source: RFC 7240, section 4.4; RFC 7234, section 5.5 (``Warning``, code 299).
"""

import re
from collections.abc import Iterable, Mapping

from tmf_apis.errors import InvalidBody, InvalidQuery, listed_faults
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.contracts.violations import json_pointer
from tmf_apis.rest.http.messages import Request, Response
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.unknown_attributes import Unknown
from tmf_apis.settings import Settings

STRICT = "strict"
_HANDLING = re.compile(
    r'(?:^|[,;\s])handling\s*=\s*"?(strict|lenient)"?(?=$|[,;\s])', re.IGNORECASE
)
#: Most names in one warning.
_MAX_NAMES = 8
#: Actions whose requests have no filters, so that a parameter with another name has no effect.
_ACTIONS_WITHOUT_FILTERS = frozenset({"retrieve", "create", "patch", "replace", "delete"})
_PARAMETERS = frozenset({"fields", "expand", "depth", "dryRun", "version"})


def preferred_handling(headers: Mapping[str, str]) -> str:
    """Return the handling that a client prefers; empty without a preference.

    >>> preferred_handling({"prefer": "respond-async, handling=strict"}), preferred_handling({})
    ('strict', '')
    """
    if "prefer" not in headers:
        return ""
    match = _HANDLING.search(headers["prefer"])
    return match[1].lower() if match else ""


def apply_preference(request: Request, settings: Settings) -> str:
    """Set whether a request is handled strictly; return the client's preference."""
    handling = preferred_handling(request.headers)
    request.is_strict = (handling or settings.handling) == STRICT
    return handling


def note_unknown(request: Request, unknown: Iterable[Unknown]) -> None:
    """Warn of unknown attributes of a body, or refuse them.

    Raises:
        InvalidBody: The handling is strict (HTTP 400).
    """
    unknown = list(unknown)
    if unknown and request.is_strict:
        raise InvalidBody(
            listed_faults(f"{each.pointer}: unknown attribute{each.suggestion}" for each in unknown)
        )
    request.warnings += [f"unknown attribute {each.path}{each.suggestion}" for each in unknown]


def refuse_displaced(version: str, displaced: Mapping[Unknown, str]) -> None:
    """Refuse the attributes of a body that belong to the other version of its API.

    Args:
        version: The version of the client.
        displaced: The attributes, with the path of the client's version; empty if it has none.

    Raises:
        InvalidBody: There are such attributes (HTTP 400).
    """
    if not displaced:
        return
    own, other = ("4", "5") if version == "v4" else ("5", "4")
    raise InvalidBody(
        listed_faults(
            f"{each.pointer}: an attribute of version {other};"
            f" version {own} has {path or 'another form'} instead"
            for each, path in displaced.items()
        )
    )


def note_ignored(request: Request, ignored: Iterable[tuple[str | int, ...]]) -> None:
    """Warn of attributes of a POST that the server sets itself, or refuse them.

    Args:
        request: The request.
        ignored: The names and positions that lead to each attribute.

    Raises:
        InvalidBody: The handling is strict (HTTP 400).
    """
    pointers = [json_pointer(steps) for steps in ignored]
    if pointers and request.is_strict:
        raise InvalidBody(
            listed_faults(f"{each}: only the server sets this attribute" for each in pointers)
        )
    request.warnings += [f"{each} is ignored: only the server sets it" for each in pointers]


def note_unknown_fields(request: Request, attributes: QueryableAttributes) -> None:
    """Warn of names in ``fields`` that the contract does not have, or refuse them.

    Raises:
        InvalidQuery: The handling is strict (HTTP 400).
    """
    names = (
        name
        for parameter, value in request.parameters()
        if parameter == "fields"
        for name in value.split(",")
    )
    note_unknown_names(request, names, attributes)


def note_unknown_names(
    request: Request, names: Iterable[str], attributes: QueryableAttributes
) -> None:
    """Warn of names of selected attributes that the contract does not have, or refuse them.

    Raises:
        InvalidQuery: The handling is strict (HTTP 400).
    """
    names = (name.strip(" ").replace("[*]", "").removeprefix("$.") for name in names)
    faults = [
        f"unknown attribute {name!r} in fields{attributes.suggestion(name)}"
        for name in names
        if name and name != "none" and attributes.type_of(name) is None
    ]
    _note(request, faults)


def note_parameters(operation: Operation, request: Request) -> None:
    """Warn of parameters that have no effect on a single resource, or refuse them.

    Raises:
        InvalidQuery: The handling is strict (HTTP 400).
    """
    if operation.action in _ACTIONS_WITHOUT_FILTERS and operation.kind:
        names = {name for name, _ in request.parameters()} - _PARAMETERS
        note_without_effect(request, sorted(names))


def note_without_effect(request: Request, names: Iterable[str]) -> None:
    """Warn of parameters that have no effect, or refuse them.

    Raises:
        InvalidQuery: The handling is strict (HTTP 400).
    """
    _note(request, [f"the parameter {name[:60]!r} has no effect here" for name in names])


def _note(request: Request, faults: list[str]) -> None:
    if faults and request.is_strict:
        raise InvalidQuery(listed_faults(faults))
    request.warnings += faults


def with_handling(response: Response, request: Request, handling: str) -> Response:
    """Return a response with the warnings of its request and the preference that was applied."""
    if request.warnings:
        response.headers["Warning"] = warning_header(request.warnings)
        response.headers["Vary"] = "Prefer"
    if handling:
        applied = response.headers.get("Preference-Applied")
        preference = f"handling={handling}"
        response.headers["Preference-Applied"] = (
            f"{applied}, {preference}" if applied else preference
        )
        response.headers["Vary"] = "Prefer"
    return response


def warning_header(warnings: Iterable[str]) -> str:
    r"""Return the value of ``Warning`` for some texts: one quoted ASCII text on one line.

    >>> warning_header(['unknown attribute a"b'])
    '299 - "unknown attribute a\\"b"'
    """
    text = listed_faults(warnings, _MAX_NAMES)
    safe = "".join(c if " " <= c <= "~" else "?" for c in text)
    return '299 - "' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'
