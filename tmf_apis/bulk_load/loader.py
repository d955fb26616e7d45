"""Loads files into the database, batch by batch, in constant memory; safe to repeat.

Existing resources are skipped, so repeating an interrupted load continues it. A resource without an
id gets one that is derived from its content. Loading causes no events, because it establishes the
initial state.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

from tmf_apis.bulk_load.resource_types import TypeResolver
from tmf_apis.catalog.stream import RawResource, decompressed_chunks, raw_resources
from tmf_apis.errors import InvalidBody, TmfError, Unavailable
from tmf_apis.rest.http import bodies
from tmf_apis.rest.pipeline.ids import check_id
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.identity import Identity
from tmf_apis.store import bulk
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document

if TYPE_CHECKING:
    from tmf_apis.app import Engine


class RejectHandler(Protocol):
    """Receives rejected lines."""

    def __call__(self, line: int, reason: str, raw: bytes) -> None:
        """Receive the number of a line, the reason of its rejection, and the line itself."""


@dataclass(slots=True)
class LoadResult:
    """The progress and result of loading a file.

    Attributes:
        loaded_count: New or replaced resources.
        skipped_count: Resources that existed already.
        rejected_count: Rejected lines.
    """

    loaded_count: int = 0
    skipped_count: int = 0
    rejected_count: int = 0


@dataclass(slots=True)
class _Line:
    number: int
    raw: bytes
    resource: Resource
    key: str


@dataclass(slots=True)
class _Batch:
    lines: list[_Line] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


class Loader:
    """Loads files into one tenant."""

    def __init__(
        self, engine: "Engine", types: TypeResolver, *, tenant: str = "", replace: bool = False
    ) -> None:
        """Create a loader.

        Args:
            engine: The engine that creates the documents; its indexes exist.
            types: The types of the API version of the files.
            tenant: Tenant of the resources; empty: the default tenant.
            replace: Overwrite existing resources instead of skipping them.
        """
        self._engine, self._types, self._replace = engine, types, replace
        self._identity = Identity("loader", tenant or engine.settings.default_tenant)

    def load(
        self, chunks: Iterable[bytes], default_kind: str, on_reject: RejectHandler
    ) -> Iterator[LoadResult]:
        """Load a file: NDJSON or a JSON array, plain or gzip; yield the result after each batch.

        Args:
            chunks: The content of the file.
            default_kind: Kind of resources without a type; empty: they are rejected.
            on_reject: Receives rejected lines.

        Raises:
            Unavailable: The database does not answer; repeat the load to continue.
        """
        result = LoadResult()
        batches: dict[str, _Batch] = {}
        with ThreadPoolExecutor(1, "loading") as executor:
            pending_write: Future[None] | None = None
            for kind, batch in self._batches(chunks, default_kind, on_reject, result, batches):
                documents = self._documents(kind, batch, on_reject, result)
                if pending_write:
                    pending_write.result()
                pending_write = executor.submit(
                    copy_context().run, self._write, kind, documents, result
                )
                yield result
            if pending_write:
                pending_write.result()
        yield result

    def _batches(
        self,
        chunks: Iterable[bytes],
        default_kind: str,
        on_reject: RejectHandler,
        result: LoadResult,
        batches: dict[str, _Batch],
    ) -> Iterator[tuple[str, _Batch]]:
        for raw_resource in self._raw_resources(chunks):
            try:
                kind, line = self._line(raw_resource, default_kind)
            except TmfError as error:
                result.rejected_count += 1
                on_reject(raw_resource.line, error.message or error.reason, raw_resource.raw)
                continue
            batch = batches.setdefault(kind, _Batch())
            if line.key in batch.keys:  # resources of one id are written in the file's order
                yield kind, batches.pop(kind)
                batch = batches.setdefault(kind, _Batch())
            batch.lines.append(line)
            batch.keys.add(line.key)
            if len(batch.lines) >= bulk.BATCH_SIZE:
                yield kind, batches.pop(kind)
        yield from batches.items()

    def _raw_resources(self, chunks: Iterable[bytes]) -> Iterator[RawResource]:
        number = 1
        limit = self._engine.settings.resource_limit
        try:
            for raw_resource in raw_resources(decompressed_chunks(chunks), limit):
                number = raw_resource.line
                yield raw_resource
        except ValueError as error:  # damaged gzip: the resources before the damage are loaded
            yield RawResource(number, b"", str(error))

    def _line(self, raw_resource: RawResource, default_kind: str) -> tuple[str, _Line]:
        if raw_resource.error:
            raise InvalidBody(raw_resource.error)
        resource = bodies.parse(raw_resource.raw, self._engine.settings)
        if not isinstance(resource, dict):
            raise InvalidBody("/: expected an object")
        if b"null" in raw_resource.raw:
            resource = bodies.without_nulls(resource)
        kind = self._types.kind_for_resource(resource, default_kind)
        id = resource.get("id")
        id = _content_id(kind, resource) if id is None else check_id(id)
        key = f"{self._identity.tenant}:{id}"
        return kind, _Line(raw_resource.line, raw_resource.raw, {**resource, "id": id}, key)

    def _documents(
        self, kind: str, batch: _Batch, on_reject: RejectHandler, result: LoadResult
    ) -> list[Document]:
        """Return the documents of a batch; skip existing resources and report rejected ones."""
        existing_keys = set() if self._replace else self._existing_keys(kind, batch.keys)
        documents = []
        for line in batch.lines:
            if line.key in existing_keys:
                result.skipped_count += 1
                continue
            try:
                documents.append(self._document(kind, line.resource))
            except Unavailable:
                raise
            except TmfError as error:
                result.rejected_count += 1
                on_reject(line.number, error.message or error.reason, line.raw)
        return documents

    def _existing_keys(self, kind: str, keys: Iterable[str]) -> set[str]:
        collection = self._engine.resources.collection(kind)
        with translate_errors():
            rows = collection.find({"_id": {"$in": sorted(keys)}}, {"_id": 1})
            return {row["_id"] for row in rows}

    def _document(self, kind: str, resource: Resource) -> Document:
        writer, identity = self._engine.writer, self._identity
        stored = {**self._types.to_stored(kind, resource), "id": resource["id"]}
        context = writer.request_context(identity, self._types.version, system=True)
        return writer.new_document(
            identity,
            kind,
            stored,
            context,
            lambda body: self._types.check_types(kind, resource, body),
        )

    def _write(self, kind: str, documents: list[Document], result: LoadResult) -> None:
        """Write a batch after its entry in the audit log, which names all its resources."""
        if documents:
            operation = "overwrite" if self._replace else "load"
            ids = [document["id"] for document in documents]
            self._engine.audit_log.record(self._identity, operation, kind=kind, resource=ids)
        if self._replace:
            bulk.replace(self._engine.resources, kind, documents)
            result.loaded_count += len(documents)
            return
        existing_keys = bulk.insert(self._engine.resources, kind, documents)
        result.loaded_count += len(documents) - len(existing_keys)
        result.skipped_count += len(existing_keys)


def _content_id(kind: str, resource: Resource) -> str:
    """Return an id that is derived from the content of a resource."""
    text = orjson.dumps([kind, resource], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]
