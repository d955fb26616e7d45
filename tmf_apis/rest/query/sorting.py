"""Compile the ``sort=`` parameter to the keys of a MongoDB sort.

Source: TMF630 part 1, "Sorting".
"""

from dataclasses import dataclass

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.attributes import QueryableAttributes, dotted_path
from tmf_apis.rest.query.schema_paths import ValueType

#: Most attributes in one sort.
KEY_LIMIT = 5


@dataclass(frozen=True, slots=True)
class SortKey:
    """One attribute to sort by.

    Attributes:
        path: Path in the database document.
        direction: 1 ascending, -1 descending; a missing value is the smallest.
        kind: The type according to the contract.
        is_multi_valued: A resource may have several values, or values of several types. Ascending
            order then uses the smallest value, descending order the greatest, and the list has no
            cursors.
    """

    path: str
    direction: int
    kind: ValueType = "string"
    is_multi_valued: bool = False


#: Every sort ends with ``_id``, which is unique; generated ids sort by the time of creation.
ID_KEY = SortKey("_id", 1)


def sort_keys(text: str, attributes: QueryableAttributes) -> tuple[SortKey, ...]:
    """Return the keys of ``sort=a,-b``; the last key is always the document's ``_id``.

    Args:
        text: The parameter; empty sorts by creation. A plus sign may arrive as a space.
        attributes: The attributes that the parameter may name.

    Raises:
        InvalidQuery: An attribute is unknown or an object, there are more than ``KEY_LIMIT``
            attributes, or several of them are multi-valued (HTTP 400).
    """
    if not text.strip(" "):
        return (ID_KEY,)
    names = [text] if "[?" in text else text.split(",")
    if len(names) > KEY_LIMIT:
        raise InvalidQuery(f"sort: at most {KEY_LIMIT} attributes")
    keys: dict[str, SortKey] = {}
    for name in names:
        key = _sort_key(name, attributes)
        keys.setdefault(key.path, key)
        if key.path == "_id":
            break
    if sum(key.is_multi_valued for key in keys.values()) > 1:
        raise InvalidQuery("sort: only one attribute may have several values")
    keys.setdefault("_id", ID_KEY)
    return tuple(keys.values())


def _sort_key(name: str, attributes: QueryableAttributes) -> SortKey:
    name = name.strip(" ")
    direction = -1 if name.startswith("-") else 1
    path = name.lstrip(" ").removeprefix("-" if direction < 0 else "+")
    attribute = attributes.find(dotted_path(path, "sort"))
    if attribute.type.value_type == "object":
        raise InvalidQuery(f"sort: {attribute.path!r} has parts; name one of them")
    if attribute.blind:
        attribute.blind.require_plain("cannot be sorted by")
    if attribute.document_paths == ("id",):
        return SortKey("_id", direction)
    is_multi_valued = attribute.type.is_multi_valued or attribute.type.value_type == "any"
    kind = attribute.type.value_type
    return SortKey(attribute.document_paths[0], direction, kind, is_multi_valued)


def reversed_keys(keys: tuple[SortKey, ...]) -> tuple[SortKey, ...]:
    """Return the keys of the opposite order."""
    return tuple(SortKey(key.path, -key.direction, key.kind, key.is_multi_valued) for key in keys)


def mongodb_sort(keys: tuple[SortKey, ...]) -> list[tuple[str, int]]:
    """Return the keys in the form that MongoDB takes."""
    return [(key.path, key.direction) for key in keys]
