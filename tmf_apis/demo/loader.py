"""The demo operator in an empty database: loaded once, whole, in a few seconds."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tmf_apis.demo.generator import SEED, operator_resources
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.identity import Identity
from tmf_apis.store import bulk
from tmf_apis.store.indexes import META_COLLECTION
from tmf_apis.store.resources import Document

if TYPE_CHECKING:
    from tmf_apis.app import Engine

log = logging.getLogger(__name__)


def load_demo_data(
    engine: "Engine", report_progress: Callable[[str], None], *, seed: int = SEED
) -> int:
    """Load the demo operator into the default tenant, unless the tenant has anything already.

    A mark in the database says when it was begun and whether it is whole, so that one that was
    cut off is completed by the next start, with the same dates.

    Args:
        engine: What writes.
        report_progress: Is told how far it is.
        seed: Which operator.

    Returns:
        How many resources were written.
    """
    tenant = engine.settings.default_tenant
    marks, mark = engine.database[META_COLLECTION], f"demo:{tenant}"
    begun = marks.find_one({"_id": mark})
    if begun is None:
        if _has_resources(engine, tenant):
            return 0
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        start: dict[str, Any] = {"seed": seed, "now": now, "done": False}
        marks.update_one({"_id": mark}, {"$setOnInsert": start}, upsert=True)
        begun = marks.find_one({"_id": mark}) or start
    if begun["done"]:
        return 0
    started, written = time.monotonic(), 0
    now = begun["now"].replace(tzinfo=UTC)
    with ThreadPoolExecutor(1, "filling") as pool:
        waiting: list[Future[set[str]]] = []
        for kind, documents in _batches(_documents(engine, operator_resources(begun["seed"], now))):
            waiting.append(pool.submit(bulk.insert, engine.resources, kind, documents))
            written += len(documents)
            report_progress(f"demo data is being loaded: {written} resources")
        for one in waiting:
            one.result()
    marks.update_one({"_id": mark}, {"$set": {"done": True}})
    seconds = round(time.monotonic() - started, 2)
    log.info("demo operator loaded", extra={"resources": written, "seconds": seconds})
    return written


def _has_resources(engine: "Engine", tenant: str) -> bool:
    collections = (engine.resources.collection(kind) for kind in engine.kinds)
    return any(one.find_one({"tenant": tenant}, {"_id": 1}) for one in collections)


def _documents(
    engine: "Engine", resources: Iterable[tuple[str, Resource]]
) -> Iterator[tuple[str, Document]]:
    identity = Identity("demo", engine.settings.default_tenant)
    circumstances = engine.writer.request_context(identity, system=True)
    for kind, resource in resources:
        yield kind, engine.writer.new_document(identity, kind, resource, circumstances)


def _batches(documents: Iterable[tuple[str, Document]]) -> Iterator[tuple[str, list[Document]]]:
    """Yield the documents of one kind together, a batch at a time."""
    waiting: dict[str, list[Document]] = {}
    for kind, document in documents:
        batch = waiting.setdefault(kind, [])
        batch.append(document)
        if len(batch) == bulk.BATCH_SIZE:
            yield kind, waiting.pop(kind)
    yield from waiting.items()
