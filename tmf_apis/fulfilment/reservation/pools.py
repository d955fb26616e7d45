"""Pools of addresses, numbers and VLAN ids: what is in them, and the resource of one value.

A pool is a resource of category ``pool`` with the characteristics ``poolOf`` (the category of what
is taken from it) and ``range``: parts separated by commas, each a network ("198.18.1.0/24"), two
ends ("100-199") or one value. A value that was taken is a resource with an id of its own that
follows from pool and value: nobody can make it twice.
"""

import ipaddress
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.rest.pipeline.policy import Resource

POOL = "pool"
#: ``relationshipType`` of a value to its pool.
IS_ALLOCATED_FROM = "isAllocatedFrom"
#: From this prefix on (IPv4) the first and last address of a network are not for hosts.
_POINT_TO_POINT_PREFIX = 31


@dataclass(frozen=True, slots=True)
class Interval:
    """Values in a row.

    Attributes:
        first: The first, as a number.
        size: How many there are.
        ip_version: 4 or 6 for addresses, 0 for numbers.
        width: Digits of a number that begins with zeros.
    """

    first: int
    size: int
    ip_version: int = 0
    width: int = 0

    def value_at(self, index: int) -> str:
        """Return a value as text."""
        number = self.first + index
        if self.ip_version:
            made = ipaddress.IPv4Address if self.ip_version == 4 else ipaddress.IPv6Address  # noqa: PLR2004
            return str(made(number))
        return str(number).zfill(self.width)


@dataclass(frozen=True, slots=True)
class PoolRange:
    """Everything that is in a pool.

    >>> parse_range("198.18.1.0/30,7-9").values()
    ['198.18.1.1', '198.18.1.2', '7', '8', '9']
    """

    intervals: tuple[Interval, ...]

    @property
    def size(self) -> int:
        """How many values there are."""
        return sum(part.size for part in self.intervals)

    def value_at(self, index: int) -> str:
        """Return a value by its place, from 0."""
        for part in self.intervals:
            if index < part.size:
                return part.value_at(index)
            index -= part.size
        raise IndexError(index)

    def values(self) -> list[str]:
        """Return every value."""
        return [self.value_at(place) for place in range(self.size)]

    def contains(self, value: str) -> bool:
        """Return whether a value is in the pool."""
        for part in self.intervals:
            number = _parse_number(value)
            if number is None or number[1] != part.ip_version:
                continue
            place = number[0] - part.first
            if 0 <= place < part.size and part.value_at(place) == value:
                return True
        return False

    def indexes_from(self, seed: str) -> Iterator[int]:
        """Yield the places of all values, from one that follows from a text."""
        first = zlib.crc32(seed.encode()) % (self.size or 1)
        yield from range(first, self.size)
        yield from range(first)


def parse_range(text: str) -> PoolRange:
    """Return the values of a range.

    Raises:
        ValueError: It is none; the message says why.
    """
    parts = tuple(_parse_interval(one.strip()) for one in text.split(",") if one.strip())
    if not parts:
        raise ValueError("it is empty")
    return PoolRange(parts)


def _parse_interval(text: str) -> Interval:
    if "/" in text:
        network = ipaddress.ip_network(text, strict=False)
        first, size = int(network.network_address), network.num_addresses
        if network.version == 4 and network.prefixlen < _POINT_TO_POINT_PREFIX:  # noqa: PLR2004
            first, size = first + 1, size - 2
        return Interval(first, size, network.version)
    low, _, high = text.partition("-")
    one, other = _parse_number(low.strip()), _parse_number((high or low).strip())
    if one is None or other is None or one[1] != other[1] or other[0] < one[0]:
        raise ValueError(f"{text} is no range")
    zeros = low.strip().startswith("0") and not one[1]
    return Interval(one[0], other[0] - one[0] + 1, one[1], len(low.strip()) if zeros else 0)


def _parse_number(text: str) -> tuple[int, int] | None:
    if text.isascii() and text.isdigit():
        return int(text), 0
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address), address.version


def range_of(pool: Mapping[str, Any]) -> PoolRange | None:
    """Return what is in a pool; None where that cannot be read."""
    try:
        return parse_range(str(resource_characteristics(pool).get("range", "")))
    except ValueError:
        return None


def value_resource_id(tenant: str, pool: str, value: str) -> str:
    """Return the id of the resource that a value is."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:pool:{pool}/{value}"))


def value_resource(tenant: str, pool: Mapping[str, Any], category: str, value: str) -> Resource:
    """Return the resource that a value of a pool is, free."""
    made: Resource = {
        "@type": "LogicalResource",
        "id": value_resource_id(tenant, str(pool["id"]), value),
        "category": category,
        "name": value,
        "value": value,
        "resourceRelationship": [
            {
                "@type": "ResourceRelationship",
                "relationshipType": IS_ALLOCATED_FROM,
                "resource": {"@type": "ResourceRef", "id": pool["id"], "name": pool.get("name")},
            }
        ],
    }
    number = value.isdigit() and not value.startswith("0") and len(value) < _MIN_NAME_DIGITS
    return with_characteristics(made, {category: int(value) if number else value})


#: Longer numbers are names made of digits, not numbers to count with.
_MIN_NAME_DIGITS = 6
