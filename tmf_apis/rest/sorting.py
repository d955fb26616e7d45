"""The ``sort=`` parameter, as keys of a MongoDB sort.

Source: TMF630 part 1, "Sorting".
"""

from dataclasses import dataclass

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.attributes import Attributes
from tmf_apis.rest.schema_paths import Kind

#: Most attributes in one sort.
KEY_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute to sort by.

    Attributes:
        path: Path in the database document.
        direction: 1 rising, -1 falling; what is missing is the smallest.
        kind: The contract's type.
        many: A resource may have several values, or values of several types: rising order is by
            the smallest and falling order by the greatest; there are no cursors then.
    """

    path: str
    direction: int
    kind: Kind = "string"
    many: bool = False


#: ``_id`` is unique and rises with the time of creation: every sort ends with it.
IDENTITY = Key("_id", 1)


def sort_keys(text: str, attributes: Attributes) -> tuple[Key, ...]:
    """Return what ``sort=a,-b`` sorts by, always ending with the document's ``_id``.

    Args:
        text: The parameter; empty sorts by creation. A plus sign may have arrived as a space.
        attributes: What may be named.

    Raises:
        InvalidQuery: An attribute is unknown or has parts, or there are too many (HTTP 400).
    """
    if not text.strip(" "):
        return (IDENTITY,)
    names = text.split(",")
    if len(names) > KEY_LIMIT:
        raise InvalidQuery(f"sort: at most {KEY_LIMIT} attributes")
    keys: dict[str, Key] = {}
    for name in names:
        key = _key(name, attributes)
        keys.setdefault(key.path, key)
        if key.path == "_id":
            break
    if sum(key.many for key in keys.values()) > 1:
        raise InvalidQuery("sort: only one attribute may have several values")
    keys.setdefault("_id", IDENTITY)
    return tuple(keys.values())


def _key(name: str, attributes: Attributes) -> Key:
    name = name.strip(" ")
    direction = -1 if name.startswith("-") else 1
    attribute = attributes.find(name.lstrip(" ").removeprefix("-" if direction < 0 else "+"))
    if attribute.type.kind == "object":
        raise InvalidQuery(f"sort: {attribute.path!r} has parts; name one of them")
    if attribute.stored == ("id",):
        return Key("_id", direction)
    many = attribute.type.in_array or attribute.type.kind == "any"
    return Key(attribute.stored[0], direction, attribute.type.kind, many)


def backwards(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return the keys of the opposite order."""
    return tuple(Key(key.path, -key.direction, key.kind, key.many) for key in keys)


def mongodb_sort(keys: tuple[Key, ...]) -> list[tuple[str, int]]:
    """Return the keys as MongoDB takes them."""
    return [(key.path, key.direction) for key in keys]
