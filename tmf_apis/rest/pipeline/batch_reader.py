"""Large query results, read in batches."""

from collections.abc import Iterator, Mapping
from typing import Any

from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Resources in one batch.
BATCH_SIZE = 500


def iter_resources(
    repository: Repository, kind: str, query: Mapping[str, Any], *, batch_size: int = BATCH_SIZE
) -> Iterator[Resource]:
    """Yield all resources that match a query, in order of their ids.

    At most ``batch_size`` resources are in memory. A resource that changes meanwhile is yielded in
    its old or its new form or not at all, but never twice.
    """
    last = ""
    while True:
        later = {"$and": [query, {"id": {"$gt": last}}]}
        batch = repository.find(kind, later, limit=batch_size)
        yield from batch
        if len(batch) < batch_size:
            return
        last = batch[-1]["id"]
