"""Times inside a resource, compared as times; the shape was checked against the contract."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts import dates


def canonical_timestamp(value: object) -> str | None:
    """Return a time as it is kept, so that it compares as text; None where it is none.

    >>> canonical_timestamp("2026-01-02T03:04:05.678+02:00")
    '2026-01-02T01:04:05.678Z'
    >>> canonical_timestamp("soon") is canonical_timestamp(None) is None
    True
    """
    return dates.canonical_timestamp(value) if isinstance(value, str) else None


def check_order(holder: Mapping[str, Any], first: str, last: str, *, pointer: str = "") -> None:
    """Let ``holder`` pass if ``last`` is not before ``first``, or one of them is absent.

    Args:
        holder: The object with both times.
        first: Name of the earlier one.
        last: Name of the later one.
        pointer: JSON pointer of ``holder``.

    Raises:
        InvalidBody: They are the wrong way round (HTTP 400).
    """
    start, end = canonical_timestamp(holder.get(first)), canonical_timestamp(holder.get(last))
    if start and end and end < start:
        raise InvalidBody(
            f"{pointer}/{last}: {holder[last]} is before {first} {holder[first]}; expected that or later"
        )


def check_valid_for(resource: Mapping[str, Any], *, pointer: str = "") -> None:
    """Let ``resource`` pass if its ``validFor`` does not end before it starts.

    Raises:
        InvalidBody: It does (HTTP 400).
    """
    period = resource.get("validFor")
    if isinstance(period, Mapping):
        check_order(period, "startDateTime", "endDateTime", pointer=f"{pointer}/validFor")
