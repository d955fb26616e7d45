"""Every resource that matches, read some at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.law import Desk, Resource

#: Resources read at once.
BATCH = 500


def every(
    desk: Desk, kind: str, query: Mapping[str, Any], *, batch: int = BATCH
) -> Iterator[Resource]:
    """Return all resources that match, in order of their ids, ``batch`` of them in memory.

    What is changed meanwhile may be missed or seen as it is by then, never twice.
    """
    last = ""
    while True:
        later = {"$and": [query, {"id": {"$gt": last}}]}
        found = desk.find(kind, later, limit=batch)
        yield from found
        if len(found) < batch:
            return
        last = found[-1]["id"]
