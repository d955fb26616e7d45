"""Checks of times and periods whose form the contract has already validated."""

from collections.abc import Mapping
from typing import Any

from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts import dates


def canonical_timestamp(value: object) -> str | None:
    """Return a time in the stored form, which compares as text; None if it is not a time.

    >>> canonical_timestamp("2026-01-02T03:04:05.678+02:00")
    '2026-01-02T01:04:05.678Z'
    >>> canonical_timestamp("soon") is canonical_timestamp(None) is None
    True
    """
    return dates.canonical_timestamp(value) if isinstance(value, str) else None


def check_order(holder: Mapping[str, Any], first: str, last: str, *, pointer: str = "") -> None:
    """Check that ``last`` is not before ``first``; either may be absent.

    Args:
        holder: The object with both times.
        first: Name of the earlier time.
        last: Name of the later time.
        pointer: JSON pointer of ``holder``.

    Raises:
        InvalidBody: ``last`` is before ``first`` (HTTP 400).
    """
    start, end = canonical_timestamp(holder.get(first)), canonical_timestamp(holder.get(last))
    if start and end and end < start:
        raise InvalidBody(
            f"{pointer}/{last}: {holder[last]} is before {first} {holder[first]};"
            " expected the same time or a later one"
        )


def check_valid_for(resource: Mapping[str, Any], *, pointer: str = "") -> None:
    """Check that ``validFor`` does not end before it starts.

    Raises:
        InvalidBody: The period ends before it starts (HTTP 400).
    """
    period = resource.get("validFor")
    if isinstance(period, Mapping):
        check_order(period, "startDateTime", "endDateTime", pointer=f"{pointer}/validFor")
