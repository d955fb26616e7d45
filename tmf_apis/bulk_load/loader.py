"""Files into the database, batch by batch, in constant memory; safe to repeat.

A resource that is there already is passed over, so a load that was cut off goes on where it
stopped when it is repeated. A line without id gets one that follows from its content. Loading
tells no subscriber: what is loaded was there before anybody could subscribe.
"""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import orjson

from tmf_apis.bulk_load.resource_types import TypeResolver
from tmf_apis.catalog.stream import RawResource, decompressed_chunks, raw_resources
from tmf_apis.errors import InvalidBody, TmfError, Unavailable
from tmf_apis.rest.http import bodies
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.security.identity import Identity
from tmf_apis.store import bulk
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document

if TYPE_CHECKING:
    from tmf_apis.app import Engine

_MAX_ID_LENGTH = 200


class RejectHandler(Protocol):
    """Hears of lines that are at fault."""

    def __call__(self, line: int, reason: str, raw: bytes) -> None:
        """Take a line number, what is wrong, and the line itself."""


@dataclass(slots=True)
class LoadResult:
    """What became of a file's lines.

    Attributes:
        loaded_count: New resources, or replaced ones.
        skipped_count: Resources that were there already.
        rejected_count: Lines at fault.
    """

    loaded_count: int = 0
    skipped_count: int = 0
    rejected_count: int = 0

    @property
    def line_count(self) -> int:
        """How many resources were read."""
        return self.loaded_count + self.skipped_count + self.rejected_count


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
        """Take the engine.

        Args:
            engine: What makes documents; its indexes are there.
            types: The types of the version that the files are in.
            tenant: Whose the resources become; default: the default tenant.
            replace: Write over what is there instead of passing it over.
        """
        self._engine, self._types, self._replace = engine, types, replace
        self._identity = Identity("loader", tenant or engine.settings.default_tenant)

    def load(
        self, chunks: Iterable[bytes], default_kind: str, on_reject: RejectHandler
    ) -> Iterator[LoadResult]:
        """Load one file, plain or gzip, NDJSON or one array; yield how far it is.

        Args:
            chunks: The file's bytes.
            default_kind: The kind of resources that name none; empty: such a line is at fault.
            on_reject: Hears of lines that are at fault.

        Raises:
            Unavailable: The database does not answer; repeat the load to go on.
        """
        outcome = LoadResult()
        batches: dict[str, _Batch] = {}
        with ThreadPoolExecutor(1, "loading") as pool:
            writing: Future[None] | None = None
            for kind, batch in self._batches(chunks, default_kind, on_reject, outcome, batches):
                documents = self._documents(kind, batch, on_reject, outcome)
                if writing:
                    writing.result()
                writing = pool.submit(self._write, kind, documents, outcome)
                yield outcome
            if writing:
                writing.result()
        yield outcome

    def _batches(
        self,
        chunks: Iterable[bytes],
        default_kind: str,
        on_reject: RejectHandler,
        outcome: LoadResult,
        batches: dict[str, _Batch],
    ) -> Iterator[tuple[str, _Batch]]:
        for piece in self._pieces(chunks):
            try:
                kind, line = self._line(piece, default_kind)
            except TmfError as error:
                outcome.rejected_count += 1
                on_reject(piece.line, error.message or error.reason, piece.raw)
                continue
            batch = batches.setdefault(kind, _Batch())
            if line.key in batch.keys:  # the same id again: only in the order of the file
                yield kind, batches.pop(kind)
                batch = batches.setdefault(kind, _Batch())
            batch.lines.append(line)
            batch.keys.add(line.key)
            if len(batch.lines) >= bulk.BATCH_SIZE:
                yield kind, batches.pop(kind)
        yield from batches.items()

    def _pieces(self, chunks: Iterable[bytes]) -> Iterator[RawResource]:
        number = 1
        try:
            for piece in raw_resources(
                decompressed_chunks(chunks), self._engine.settings.resource_limit
            ):
                number = piece.line
                yield piece
        except ValueError as error:  # damaged gzip: what came before it stands
            yield RawResource(number, b"", str(error))

    def _line(self, piece: RawResource, default_kind: str) -> tuple[str, _Line]:
        if piece.error:
            raise InvalidBody(piece.error)
        resource = bodies.parse(piece.raw, self._engine.settings)
        if not isinstance(resource, dict):
            raise InvalidBody("/: expected an object")
        if b"null" in piece.raw:
            resource = bodies.without_nulls(resource)
        kind = self._types.kind_for_resource(resource, default_kind)
        id = resource.get("id", None) or _content_id(kind, resource)
        if not isinstance(id, str) or len(id) > _MAX_ID_LENGTH or not id.isprintable():
            raise InvalidBody(f"/id: expected a plain text of at most {_MAX_ID_LENGTH} characters")
        key = f"{self._identity.tenant}:{id}"
        return kind, _Line(piece.line, piece.raw, {**resource, "id": id}, key)

    def _documents(
        self, kind: str, batch: _Batch, on_reject: RejectHandler, outcome: LoadResult
    ) -> list[Document]:
        """Return what is to be stored of a batch; lines that are there already are passed over."""
        there = set() if self._replace else self._existing_keys(kind, batch.keys)
        made = []
        for line in batch.lines:
            if line.key in there:
                outcome.skipped_count += 1
                continue
            try:
                made.append(self._document(kind, line.resource))
            except Unavailable:
                raise
            except TmfError as error:
                outcome.rejected_count += 1
                on_reject(line.number, error.message or error.reason, line.raw)
        return made

    def _existing_keys(self, kind: str, keys: Iterable[str]) -> set[str]:
        collection = self._engine.resources.collection(kind)
        with translate_errors():
            found = collection.find({"_id": {"$in": sorted(keys)}}, {"_id": 1})
            return {one["_id"] for one in found}

    def _document(self, kind: str, resource: Resource) -> Document:
        writes, identity = self._engine.writer, self._identity
        stored = {**self._types.to_stored(kind, resource), "id": resource["id"]}
        circumstances = writes.request_context(identity, self._types.version, system=True)
        return writes.new_document(
            identity,
            kind,
            stored,
            circumstances,
            lambda body: self._types.check_types(kind, resource, body),
        )

    def _write(self, kind: str, documents: list[Document], outcome: LoadResult) -> None:
        if self._replace:
            bulk.replace(self._engine.resources, kind, documents)
            outcome.loaded_count += len(documents)
            return
        there = bulk.insert(self._engine.resources, kind, documents)
        outcome.loaded_count += len(documents) - len(there)
        outcome.skipped_count += len(there)


def _content_id(kind: str, resource: Resource) -> str:
    """Return an id that the same resource without one gets each time."""
    text = orjson.dumps([kind, resource], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]
