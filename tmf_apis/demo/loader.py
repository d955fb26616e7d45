"""Loader of the demo operator into an empty database."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tmf_apis.demo.examples import with_examples
from tmf_apis.demo.generator import SEED, operator_resources
from tmf_apis.demo.subscriptions import load_subscriptions
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
    """Load the demo operator into the default tenant, if the tenant is empty.

    A mark in the database stores the seed, the time of the start and whether the load is complete.
    The next start completes a load that was interrupted, with the same dates.

    Args:
        engine: The engine of the server.
        report_progress: Called with a message for people after each batch.
        seed: Seed of the operator.

    Returns:
        Number of resources that were written.
    """
    tenant = engine.settings.default_tenant
    marks, mark_id = engine.database[META_COLLECTION], f"demo:{tenant}"
    mark = marks.find_one({"_id": mark_id})
    if mark is None:
        if _has_resources(engine, tenant):
            return 0
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        new_mark: dict[str, Any] = {"seed": seed, "now": now, "done": False}
        marks.update_one({"_id": mark_id}, {"$setOnInsert": new_mark}, upsert=True)
        mark = marks.find_one({"_id": mark_id}) or new_mark
    if mark["done"]:
        return 0
    started, written = time.monotonic(), 0
    now = mark["now"].replace(tzinfo=UTC)
    resources = with_examples(operator_resources(mark["seed"], now), now)
    with ThreadPoolExecutor(1, "demo-loader") as executor:
        futures: list[Future[set[str]]] = []
        for kind, documents in _batches(_documents(engine, resources)):
            futures.append(executor.submit(_write, engine, kind, documents))
            written += len(documents)
            report_progress(f"demo data is being loaded: {written} resources")
        for future in futures:
            future.result()
    load_subscriptions(engine)
    marks.update_one({"_id": mark_id}, {"$set": {"done": True}})
    seconds = round(time.monotonic() - started, 2)
    log.info("demo operator loaded", extra={"resources": written, "seconds": seconds})
    return written


def _write(engine: "Engine", kind: str, documents: list[Document]) -> set[str]:
    """Insert a batch after its entry in the audit log."""
    identity = Identity("demo", engine.settings.default_tenant)
    ids = [document["id"] for document in documents]
    engine.audit_log.record(identity, "load", kind=kind, resource=ids)
    return bulk.insert(engine.resources, kind, documents)


def _has_resources(engine: "Engine", tenant: str) -> bool:
    collections = (engine.resources.collection(kind) for kind in engine.kinds)
    return any(collection.find_one({"tenant": tenant}, {"_id": 1}) for collection in collections)


def _documents(
    engine: "Engine", resources: Iterable[tuple[str, Resource]]
) -> Iterator[tuple[str, Document]]:
    identity = Identity("demo", engine.settings.default_tenant)
    context = engine.writer.request_context(identity, system=True)
    for kind, resource in resources:
        yield kind, engine.writer.new_document(identity, kind, resource, context)


def _batches(documents: Iterable[tuple[str, Document]]) -> Iterator[tuple[str, list[Document]]]:
    """Yield batches of documents of the same kind."""
    incomplete: dict[str, list[Document]] = {}
    for kind, document in documents:
        batch = incomplete.setdefault(kind, [])
        batch.append(document)
        if len(batch) == bulk.BATCH_SIZE:
            yield kind, incomplete.pop(kind)
    yield from incomplete.items()
