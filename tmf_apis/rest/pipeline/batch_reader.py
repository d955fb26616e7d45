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

    At most ``batch_size`` resources are in memory. If a resource changes meanwhile, its old form is
    yielded, or its new form, or neither, but never both.
    """
    last_id = ""
    while True:
        remaining = {"$and": [query, {"id": {"$gt": last_id}}]}
        batch = repository.find(kind, remaining, limit=batch_size)
        yield from batch
        if len(batch) < batch_size:
            return
        last_id = batch[-1]["id"]
