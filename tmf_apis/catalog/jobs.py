"""Import and export jobs: a catalogue carried in from a file, or out to one.

A file has one resource a line (NDJSON) or one JSON array of them, gzip or plain, in the form of
v5; ``@type`` (or ``@baseType``, or the job's ``path``) says of which kind a resource is. An
import creates a resource or, where its id exists, replaces it, so it may be repeated as often as
one likes: what is the same already is not written. A line that is at fault is reported with its
number and passed over; the job is ``OperationFailed`` then and its other lines stand.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
import orjson

from tmf_apis.catalog import rules
from tmf_apis.catalog.definitions import PRODUCT_CATALOG, CatalogDefinition
from tmf_apis.catalog.export import QueryBuilder, attribute_query, media_type, write_resources
from tmf_apis.catalog.files import FileArea, path_segments
from tmf_apis.catalog.states import JOB_LIFECYCLE
from tmf_apis.catalog.stream import RawResource, decompressed_chunks, limited_chunks, raw_resources
from tmf_apis.errors import InvalidBody, NotFound, TmfError, Unavailable, Unprocessable
from tmf_apis.rest.http.bodies import parse
from tmf_apis.rest.pipeline.policy import Repository, Resource, rfc3339
from tmf_apis.security import outbound, pinned_http
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

#: Faults that stand in the error log; of the others it has the number.
MAX_LOGGED_ERRORS = 200

#: Pause between two reports of progress, in seconds.
PROGRESS_INTERVAL = 2.0

#: Longest id in a file, in characters.
_MAX_ID_LENGTH = 256

#: Bytes read from a file at once.
_CHUNK_SIZE = 1 << 16

#: Puts a resource from a file into the stored form, or raises what is wrong with it.
ImportValidator = Callable[[str, Resource], Resource]


def skip_validation(kind: str, resource: Resource) -> Resource:  # noqa: ARG001
    """Return a resource as it came."""
    return resource


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a job needs beside the desk.

    Attributes:
        settings: Where files are, and the limits.
        outbound_policy: Where URLs may lead.
        validate: Checks a resource against the contract.
        build_query: Turns a job's ``build_query`` into one of the database.
        definition: The catalogue that is carried in and out.
    """

    settings: Settings
    outbound_policy: OutboundPolicy
    validate: ImportValidator = skip_validation
    build_query: QueryBuilder = attribute_query
    definition: CatalogDefinition = PRODUCT_CATALOG


@dataclass(slots=True)
class _JobReport:
    """What became of a job so far."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def add_error(self, text: str) -> None:
        """Count a fault and keep its text while there is room."""
        self.counts["failed"] += 1
        if len(self.errors) < MAX_LOGGED_ERRORS:
            self.errors.append(text[:500])

    @property
    def error_log(self) -> str:
        """All faults, a line each."""
        more = self.counts["failed"] - len(self.errors)
        return "\n".join([*self.errors, *([f"and {more} more"] if more else [])])

    def progress_attributes(self) -> Resource:
        """Return the attributes of the job that say how far it is."""
        shown: Resource = {"progress": dict(self.counts)}
        return {**shown, "errorLog": self.error_log} if self.errors else shown


def check_url(context: JobContext, new: Resource | None) -> None:
    """Let a job pass whose URL may be called or is a path in the file area.

    Of other schemes the job itself says that it cannot.

    Raises:
        InvalidBody: The server must not be sent there (HTTP 400).
    """
    url = str((new or {}).get("url", ""))
    scheme = url.partition(":")[0].lower()
    if scheme == "file":
        path_segments(url)
    elif scheme in outbound.DEFAULT_PORTS:
        try:
            outbound.parse_url(url, context.outbound_policy)
        except InvalidBody as error:
            raise InvalidBody(f"/url: {error.message}") from None


def run_import(context: JobContext, repository: Repository, job: Resource) -> None:
    """Do an import job from the start to the end; safe to repeat."""
    _run_job(context.definition.import_job_kind, repository, job, partial(_import_file, context))


def run_export(context: JobContext, repository: Repository, job: Resource) -> None:
    """Do an export job from the start to the end; safe to repeat."""
    _run_job(context.definition.export_job_kind, repository, job, partial(_export_file, context))


def _run_job(
    kind: str,
    repository: Repository,
    job: Resource,
    work: Callable[[Repository, Resource, _JobReport], None],
) -> None:
    if repository.get(kind, job["id"]).get("status") in JOB_LIFECYCLE.final_states:
        return
    repository.change(kind, job["id"], lambda stored: {**stored, "status": "Running"})
    report, start = _JobReport(), time.monotonic()
    try:
        work(repository, job, report)
    except Unavailable:
        raise  # the worker tries again
    except (TmfError, OSError, ValueError, httpx.HTTPError) as error:
        report.add_error(_client_message(error))
    now = repository.now + timedelta(seconds=time.monotonic() - start)
    end = {
        "status": "Failed" if report.errors else "Succeeded",
        "completionDate": rfc3339(now),
        **report.progress_attributes(),
    }
    repository.change(kind, job["id"], lambda stored: {**stored, **end})


def _client_message(error: Exception) -> str:
    """Return an error in words that tell nothing about the server's own folders."""
    if isinstance(error, TmfError):
        return error.message or error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"/url: {error.strerror}"
    return f"/url: {error or type(error).__name__}"


def _import_file(
    context: JobContext, repository: Repository, job: Resource, report: _JobReport
) -> None:
    settings = context.settings
    tell = _progress_reporter(
        context.definition.import_job_kind, repository, job, report, settings.job_seconds
    )
    with _open_source(context, repository, job["url"]) as chunks:
        plain = limited_chunks(decompressed_chunks(chunks), settings.job_bytes)
        for piece in raw_resources(plain, settings.resource_limit):
            report.counts["lines"] += 1
            try:
                report.counts[_import_resource(context, repository, job, piece)] += 1
            except Unavailable:
                raise
            except TmfError as error:
                report.add_error(f"line {piece.line}: {error.message or error.reason}")
            tell()


def _progress_reporter(
    kind: str, repository: Repository, job: Resource, report: _JobReport, max_seconds: float
) -> Callable[[], None]:
    """Return a function that stores the progress now and then, and ends what takes too long."""
    start = last = time.monotonic()

    def tell() -> None:
        nonlocal last
        now = time.monotonic()
        if now - start > max_seconds:
            raise Unprocessable(f"the job took longer than {max_seconds:g} seconds")
        if now - last > PROGRESS_INTERVAL:
            last = now
            repository.change(
                kind, job["id"], lambda stored: {**stored, **report.progress_attributes()}
            )

    return tell


def _import_resource(
    context: JobContext, repository: Repository, job: Resource, raw_resource: RawResource
) -> str:
    """Bring one resource in; return what was done with it."""
    if raw_resource.error:
        raise InvalidBody(raw_resource.error)
    resource = parse(raw_resource.raw, context.settings)
    if not isinstance(resource, dict):
        raise InvalidBody("expected a JSON object")
    kind = _kind_of(context.definition, resource, job)
    resource = {"@type": kind, **{k: v for k, v in resource.items() if v is not None}}
    if resource["@type"] in context.definition.kind_aliases:
        resource["@type"] = kind
    chosen = resource.get("id") or _content_id(kind, resource)
    if not isinstance(chosen, str) or len(chosen) > _MAX_ID_LENGTH or not chosen.isprintable():
        raise InvalidBody(f"/id: expected a plain text of at most {_MAX_ID_LENGTH} characters")
    name = resource.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidBody("/name: expected a text that is not blank")
    resource.pop("href", None)
    new = {**context.validate(kind, resource), "id": chosen}
    return _create_or_replace(
        repository, kind, new, context.definition.server_maintained_attributes.get(kind, ())
    )


def _kind_of(definition: CatalogDefinition, resource: Resource, job: Resource) -> str:
    for name in (resource.get("@type"), resource.get("@baseType")):
        if kind := definition.kind_of_type(name):
            return kind
    if kind := definition.kind_at_path(str(job.get("path") or "")):
        return kind
    raise InvalidBody(f"/@type: expected one of {', '.join(definition.entity_kinds)}")


def _content_id(kind: str, resource: Resource) -> str:
    """Return an id that the same resource without one gets each time."""
    text = orjson.dumps([kind, resource], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]


def _create_or_replace(
    repository: Repository, kind: str, resource: Resource, maintained_attributes: tuple[str, ...]
) -> str:
    try:
        old = repository.get(kind, resource["id"])
    except NotFound:
        repository.create(kind, resource)
        return "created"

    def replace(stored: Resource) -> Resource:
        kept = {name: stored[name] for name in maintained_attributes if name in stored}
        new = rules.with_defaults(
            kind, {**kept, **resource, "lastUpdate": stored.get("lastUpdate")}
        )
        return stored if _comparable_attributes(new) == _comparable_attributes(stored) else new

    new = repository.change(kind, resource["id"], replace)
    return "unchanged" if _comparable_attributes(new) == _comparable_attributes(old) else "replaced"


def _comparable_attributes(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "href" and value is not None}


@contextmanager
def _open_source(
    context: JobContext, repository: Repository, url: str
) -> Iterator[Iterator[bytes]]:
    settings = context.settings
    if _scheme(url) == "file":
        with FileArea(settings.data_dir, repository.tenant).open_for_reading(url) as file:
            yield iter(lambda: file.read(_CHUNK_SIZE), b"")
        return
    headers = {"Accept": "application/x-ndjson, application/json", "Accept-Encoding": "identity"}
    with (
        pinned_http.pinned_client(
            context.outbound_policy, timeout=settings.callback_timeout
        ) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if not answer.is_success:
            raise InvalidBody(f"/url: answered {answer.status_code}")
        yield answer.iter_raw(_CHUNK_SIZE)


def _scheme(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in {"file", *outbound.DEFAULT_PORTS}:
        raise InvalidBody(f"/url: expected https, http or file, not {scheme or 'no scheme'}")
    return scheme


def _export_file(
    context: JobContext, repository: Repository, job: Resource, report: _JobReport
) -> None:
    settings = context.settings
    tell = _progress_reporter(
        context.definition.export_job_kind, repository, job, report, settings.job_seconds
    )
    area = FileArea(settings.data_dir, repository.tenant)
    is_file = _scheme(job["url"]) == "file"
    target: AbstractContextManager[BinaryIO] = (
        area.open_for_writing(job["url"]) if is_file else area.open_temporary()
    )
    with target as file:
        for kind in write_resources(context.definition, repository, job, file, context.build_query):
            report.counts["lines"] += 1
            report.counts[kind] += 1
            if file.tell() > settings.job_bytes:
                raise InvalidBody(f"the file would be larger than {settings.job_bytes} bytes")
            tell()
        if not is_file:
            _upload(context, job["url"], file, media_type(job))


def _upload(context: JobContext, url: str, file: BinaryIO, content_type: str) -> None:
    size = file.tell()
    file.seek(0)
    chunks: Iterator[bytes] = iter(lambda: file.read(_CHUNK_SIZE), b"")
    headers = {"Content-Type": content_type, "Content-Length": str(size)}
    with pinned_http.pinned_client(
        context.outbound_policy, timeout=context.settings.callback_timeout
    ) as client:
        answer = client.put(url, content=chunks, headers=headers)
    if not answer.is_success:
        raise InvalidBody(f"/url: answered {answer.status_code}")
