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

from tmf_apis.fulfilment.characteristics import of_resource, with_values
from tmf_apis.rest.law import Resource

POOL = "pool"
#: ``relationshipType`` of a value to its pool.
FROM = "isAllocatedFrom"
#: From this prefix on (IPv4) the first and last address of a network are not for hosts.
_POINT_TO_POINT = 31


@dataclass(frozen=True, slots=True)
class Part:
    """Values in a row.

    Attributes:
        first: The first, as a number.
        size: How many there are.
        kind: 4 or 6 for addresses, 0 for numbers.
        width: Digits of a number that begins with zeros.
    """

    first: int
    size: int
    kind: int = 0
    width: int = 0

    def at(self, place: int) -> str:
        """Return a value as text."""
        number = self.first + place
        if self.kind:
            made = ipaddress.IPv4Address if self.kind == 4 else ipaddress.IPv6Address  # noqa: PLR2004
            return str(made(number))
        return str(number).zfill(self.width)


@dataclass(frozen=True, slots=True)
class Range:
    """Everything that is in a pool.

    >>> parsed("198.18.1.0/30,7-9").values()
    ['198.18.1.1', '198.18.1.2', '7', '8', '9']
    """

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """How many values there are."""
        return sum(part.size for part in self.parts)

    def at(self, place: int) -> str:
        """Return a value by its place, from 0."""
        for part in self.parts:
            if place < part.size:
                return part.at(place)
            place -= part.size
        raise IndexError(place)

    def values(self) -> list[str]:
        """Return every value."""
        return [self.at(place) for place in range(self.size)]

    def has(self, value: str) -> bool:
        """Return whether a value is in the pool."""
        for part in self.parts:
            number = _number(value)
            if number is None or number[1] != part.kind:
                continue
            place = number[0] - part.first
            if 0 <= place < part.size and part.at(place) == value:
                return True
        return False

    def from_(self, start: str) -> Iterator[int]:
        """Yield the places of all values, from one that follows from a text."""
        first = zlib.crc32(start.encode()) % (self.size or 1)
        yield from range(first, self.size)
        yield from range(first)


def parsed(text: str) -> Range:
    """Return the values of a range.

    Raises:
        ValueError: It is none; the message says why.
    """
    parts = tuple(_part(one.strip()) for one in text.split(",") if one.strip())
    if not parts:
        raise ValueError("it is empty")
    return Range(parts)


def _part(text: str) -> Part:
    if "/" in text:
        network = ipaddress.ip_network(text, strict=False)
        first, size = int(network.network_address), network.num_addresses
        if network.version == 4 and network.prefixlen < _POINT_TO_POINT:  # noqa: PLR2004
            first, size = first + 1, size - 2
        return Part(first, size, network.version)
    low, _, high = text.partition("-")
    one, other = _number(low.strip()), _number((high or low).strip())
    if one is None or other is None or one[1] != other[1] or other[0] < one[0]:
        raise ValueError(f"{text} is no range")
    zeros = low.strip().startswith("0") and not one[1]
    return Part(one[0], other[0] - one[0] + 1, one[1], len(low.strip()) if zeros else 0)


def _number(text: str) -> tuple[int, int] | None:
    if text.isascii() and text.isdigit():
        return int(text), 0
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address), address.version


def values_of(pool: Mapping[str, Any]) -> Range | None:
    """Return what is in a pool; None where that cannot be read."""
    try:
        return parsed(str(of_resource(pool).get("range", "")))
    except ValueError:
        return None


def id_of(tenant: str, pool: str, value: str) -> str:
    """Return the id of the resource that a value is."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:pool:{pool}/{value}"))


def resource_of(tenant: str, pool: Mapping[str, Any], category: str, value: str) -> Resource:
    """Return the resource that a value of a pool is, free."""
    made: Resource = {
        "@type": "LogicalResource",
        "id": id_of(tenant, str(pool["id"]), value),
        "category": category,
        "name": value,
        "value": value,
        "resourceRelationship": [
            {
                "@type": "ResourceRelationship",
                "relationshipType": FROM,
                "resource": {"@type": "ResourceRef", "id": pool["id"], "name": pool.get("name")},
            }
        ],
    }
    number = value.isdigit() and not value.startswith("0") and len(value) < _DIGITS
    return with_values(made, {category: int(value) if number else value})


#: Longer numbers are names made of digits, not numbers to count with.
_DIGITS = 6
