"""Parts of JSON values whose shape the contract leaves open."""

from typing import Any


def json_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in a JSON array; empty if the value is not an array.

    >>> json_objects([{"id": "1"}, "text"]), json_objects({"id": "1"}), json_objects(None)
    ([{'id': '1'}], [], [])
    """
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
