"""Every resource that matches, read some at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Resources read at once.
BATCH_SIZE = 500


def iter_resources(
    repository: Repository, kind: str, query: Mapping[str, Any], *, batch_size: int = BATCH_SIZE
) -> Iterator[Resource]:
    """Return all resources that match, in order of their ids, ``batch_size`` of them in memory.

    What is changed meanwhile may be missed or seen as it is by then, never twice.
    """
    last = ""
    while True:
        later = {"$and": [query, {"id": {"$gt": last}}]}
        found = repository.find(kind, later, limit=batch_size)
        yield from found
        if len(found) < batch_size:
            return
        last = found[-1]["id"]
