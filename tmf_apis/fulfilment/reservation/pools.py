"""Pools of addresses, numbers and VLAN ids: their values, and the resource of each value.

A pool is a resource of category ``pool`` with the characteristics ``poolOf`` (the category of its
values) and ``range``: parts separated by commas, each a network ("198.18.1.0/24"), a first and a
last value ("100-199") or one value. A value that is reserved becomes a resource whose id follows
from pool and value, so it cannot be created twice.
"""

import ipaddress
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tmf_apis.inventory.characteristics import resource_characteristics, with_characteristics
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.policy import Resource

POOL = "pool"
#: ``relationshipType`` from a value to its pool.
IS_ALLOCATED_FROM = "isAllocatedFrom"
#: IPv4 networks with shorter prefixes reserve their first and last address (RFC 3021).
_POINT_TO_POINT_PREFIX = 31
#: Values with at least this many digits are names, such as telephone numbers, and not numbers.
_MIN_NAME_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """Consecutive values.

    Attributes:
        first: The first value, as a number.
        size: Number of values.
        ip_version: 4 or 6 for addresses, 0 for numbers.
        width: Number of digits of numbers with leading zeros; 0 without leading zeros.
    """

    first: int
    size: int
    ip_version: int = 0
    width: int = 0

    def value_at(self, index: int) -> str:
        """Return the value at an index, as text."""
        number = self.first + index
        if self.ip_version:
            type_ = ipaddress.IPv4Address if self.ip_version == 4 else ipaddress.IPv6Address  # noqa: PLR2004
            return str(type_(number))
        return str(number).zfill(self.width)


@dataclass(frozen=True, slots=True)
class PoolRange:
    """The values of a pool.

    >>> parse_range("198.18.1.0/30,7-9").values()
    ['198.18.1.1', '198.18.1.2', '7', '8', '9']
    """

    intervals: tuple[Interval, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(interval.size for interval in self.intervals)

    def value_at(self, index: int) -> str:
        """Return the value at an index.

        Raises:
            IndexError: The index is out of range.
        """
        for interval in self.intervals:
            if index < interval.size:
                return interval.value_at(index)
            index -= interval.size
        raise IndexError(index)

    def values(self) -> list[str]:
        """Return all values."""
        return [self.value_at(index) for index in range(self.size)]

    def contains(self, value: str) -> bool:
        """Return whether a value is in the pool."""
        for interval in self.intervals:
            number = _parse_number(value)
            if number is None or number[1] != interval.ip_version:
                continue
            index = number[0] - interval.first
            if 0 <= index < interval.size and interval.value_at(index) == value:
                return True
        return False

    def indexes_from(self, seed: str) -> Iterator[int]:
        """Yield the indexes of all values, starting at one that follows from a text."""
        first = zlib.crc32(seed.encode()) % (self.size or 1)
        yield from range(first, self.size)
        yield from range(first)


def parse_range(text: str) -> PoolRange:
    """Return the values of a range.

    Raises:
        ValueError: The range is not valid.
    """
    intervals = tuple(_parse_interval(part.strip()) for part in text.split(",") if part.strip())
    if not intervals:
        raise ValueError("the range is empty")
    return PoolRange(intervals)


def _parse_interval(text: str) -> Interval:
    if "/" in text:
        network = ipaddress.ip_network(text, strict=False)
        first, size = int(network.network_address), network.num_addresses
        if network.version == 4 and network.prefixlen < _POINT_TO_POINT_PREFIX:  # noqa: PLR2004
            first, size = first + 1, size - 2
        return Interval(first, size, network.version)
    low, _, high = text.partition("-")
    start, end = _parse_number(low.strip()), _parse_number((high or low).strip())
    if start is None or end is None or start[1] != end[1] or end[0] < start[0]:
        raise ValueError(f"{text} is not a range")
    (first, ip_version), (last, _) = start, end
    has_leading_zero = low.strip().startswith("0") and not ip_version
    return Interval(
        first, last - first + 1, ip_version, len(low.strip()) if has_leading_zero else 0
    )


def _parse_number(text: str) -> tuple[int, int] | None:
    """Return a number and 0, or an address as a number and its IP version; None if neither."""
    if text.isascii() and text.isdigit():
        return int(text), 0
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return int(address), address.version


def range_of(pool: Mapping[str, Any]) -> PoolRange | None:
    """Return the values of a pool; None if its range is not valid."""
    try:
        return parse_range(str(resource_characteristics(pool).get("range", "")))
    except ValueError:
        return None


def value_resource_id(tenant: str, pool: str, value: str) -> str:
    """Return the id of the resource of a pool value."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tenant}:pool:{pool}/{value}"))


def value_resource(tenant: str, pool: Mapping[str, Any], category: str, value: str) -> Resource:
    """Return the resource of a pool value, not reserved."""
    resource: Resource = {
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
    is_number = value.isdigit() and not value.startswith("0") and len(value) < _MIN_NAME_DIGITS
    return with_characteristics(resource, {category: int(value) if is_number else value})


def pool_id_of(resource: Mapping[str, Any]) -> str:
    """Return the id of the pool that a resource is a value of; empty: it is none."""
    for relationship in json_objects(resource.get("resourceRelationship")):
        pool = relationship.get("resource")
        if relationship.get("relationshipType") == IS_ALLOCATED_FROM and isinstance(pool, dict):
            return str(pool.get("id", ""))
    return ""


def value_of(resource: Mapping[str, Any]) -> str:
    """Return the value, as text, that the resource of a pool value stands for."""
    return str(resource.get("value") or resource.get("name") or "")
