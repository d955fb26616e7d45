"""Import and export jobs of a catalogue.

A file has one resource a line (NDJSON) or is a JSON array of resources. It is in the form of v5 and
may be compressed by gzip. The kind of a resource follows from its ``@type``, its ``@baseType`` or
the ``path`` of the job.

An import creates a resource, or replaces the one with the same id. It can be repeated: a resource
that is the same already is not written. An invalid line is skipped and reported with its number;
the job is then ``Failed``, but its other lines have been imported.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
import orjson

from tmf_apis.catalog.definitions import PRODUCT_CATALOG, CatalogDefinition
from tmf_apis.catalog.export import QueryBuilder, attribute_query, write_resources
from tmf_apis.catalog.files import FileArea, path_segments
from tmf_apis.catalog.formats import file_format
from tmf_apis.catalog.import_batch import ImportBatch, JobReport, Row
from tmf_apis.catalog.states import JOB_LIFECYCLE
from tmf_apis.catalog.stream import RawResource, decompressed_chunks, limited_chunks, raw_resources
from tmf_apis.errors import Forbidden, InvalidBody, TmfError, Unavailable, Unprocessable
from tmf_apis.rest.contracts import texts
from tmf_apis.rest.contracts.dates import rfc3339
from tmf_apis.rest.http.bodies import parse
from tmf_apis.rest.pipeline.ids import check_id
from tmf_apis.rest.pipeline.policy import Repository, Resource
from tmf_apis.security import outbound, pinned_http
from tmf_apis.security.outbound import OutboundPolicy
from tmf_apis.settings import Settings

#: Interval between two updates of the progress, in seconds.
PROGRESS_INTERVAL = 2.0

#: Number of bytes that are read at once.
_CHUNK_SIZE = 1 << 16

#: Returns the stored form of a resource from a file, or raises an error if it is invalid.
ImportValidator = Callable[[str, Resource], Resource]


def skip_validation(kind: str, resource: Resource) -> Resource:  # noqa: ARG001
    """Return a resource unchanged."""
    return resource


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """The parts of the server that a job uses besides the repository.

    Attributes:
        settings: The data directory and the limits.
        outbound_policy: The hosts that URLs may name.
        validate: Validates a resource against the contract.
        build_query: Builds a query of the database from the ``query`` of a job.
        definition: The catalogue.
    """

    settings: Settings
    outbound_policy: OutboundPolicy
    validate: ImportValidator = skip_validation
    build_query: QueryBuilder = attribute_query
    definition: CatalogDefinition = PRODUCT_CATALOG


def check_target(context: JobContext, new: Resource | None) -> None:
    """Check that the URL of a job is permitted or in the file area, and that its format is offered.

    A URL with an unknown scheme is accepted; the job itself reports it.

    Raises:
        InvalidBody: The server must not send requests to the URL, or the format is not offered
            (HTTP 400).
    """
    if new:
        file_format(new)
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
    """Run an import job; safe to repeat.

    A job of a party fails: only the operator writes the entities of the catalogues, by a job as by
    a POST.
    """
    _run_job(context.definition.import_job_kind, repository, job, partial(_import_file, context))


def run_export(context: JobContext, repository: Repository, job: Resource) -> None:
    """Run an export job; safe to repeat."""
    _run_job(context.definition.export_job_kind, repository, job, partial(_export_file, context))


def _run_job(
    kind: str,
    repository: Repository,
    job: Resource,
    transfer: Callable[[Repository, Resource, JobReport], None],
) -> None:
    if repository.get(kind, job["id"]).get("status") in JOB_LIFECYCLE.final_states:
        return
    repository.change(kind, job["id"], lambda stored: {**stored, "status": "Running"})
    report, start = JobReport(), time.monotonic()
    try:
        transfer(repository, job, report)
    except Unavailable:
        raise  # the worker repeats the job
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
    """Return the message of an error without the paths of the server."""
    if isinstance(error, TmfError):
        return error.message or error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"/url: {error.strerror}"
    return f"/url: {error or type(error).__name__}"


def _import_file(
    context: JobContext, repository: Repository, job: Resource, report: JobReport
) -> None:
    if not repository.context.is_staff:
        raise Forbidden("only the operator can import into a catalogue")
    settings = context.settings
    batch = ImportBatch(repository, context.definition, report)
    report_progress = _progress_reporter(
        context.definition.import_job_kind, repository, job, report, settings.job_seconds,
        before=batch.flush,
    )  # fmt: skip
    with _open_source(context, repository, job["url"]) as chunks:
        plain = limited_chunks(decompressed_chunks(chunks), settings.job_bytes)
        try:
            for raw_resource in raw_resources(plain, settings.resource_limit):
                report.counts["lines"] += 1
                try:
                    row = _parse_row(context, job, raw_resource)
                except Unavailable:
                    raise
                except TmfError as error:
                    batch.add_error(raw_resource.line, error)
                else:
                    batch.add(row)
                report_progress()
        finally:
            batch.flush()


def _progress_reporter(  # noqa: PLR0913
    kind: str,
    repository: Repository,
    job: Resource,
    report: JobReport,
    max_seconds: float,
    *,
    before: Callable[[], None] = lambda: None,
) -> Callable[[], None]:
    """Return a function that stores the progress at intervals and ends a job after its time.

    ``before`` is called before the progress is stored.
    """
    start = last = time.monotonic()

    def report_progress() -> None:
        nonlocal last
        now = time.monotonic()
        if now - start > max_seconds:
            raise Unprocessable(f"the job took longer than {max_seconds:g} seconds")
        if now - last > PROGRESS_INTERVAL:
            last = now
            before()
            repository.change(
                kind, job["id"], lambda stored: {**stored, **report.progress_attributes()}
            )

    return report_progress


def _parse_row(context: JobContext, job: Resource, raw_resource: RawResource) -> Row:
    """Return a valid row of a file in its stored form, with its id.

    Raises:
        InvalidBody: The row is invalid (HTTP 400).
    """
    if raw_resource.error:
        raise InvalidBody(raw_resource.error)
    resource = parse(raw_resource.raw, context.settings)
    if not isinstance(resource, dict):
        raise InvalidBody("expected a JSON object")
    if texts.may_violate(raw_resource.raw, context.settings):
        texts.check_texts(resource, context.settings)
    kind = _kind_of(context.definition, resource, job)
    resource = {"@type": kind, **{k: v for k, v in resource.items() if v is not None}}
    if resource["@type"] in context.definition.kind_aliases:
        resource["@type"] = kind
    id = resource.get("id")
    id = _content_id(kind, resource) if id is None else check_id(id)
    name = resource.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidBody("/name: expected a text that is not blank")
    resource.pop("href", None)
    new = {**context.validate(kind, resource), "id": id}
    return Row(raw_resource.line, kind, new, len(raw_resource.raw))


def _kind_of(definition: CatalogDefinition, resource: Resource, job: Resource) -> str:
    for name in (resource.get("@type"), resource.get("@baseType")):
        if kind := definition.kind_of_type(name):
            return kind
    if kind := definition.kind_at_path(str(job.get("path") or "")):
        return kind
    raise InvalidBody(f"/@type: expected one of {', '.join(definition.entity_kinds)}")


def _content_id(kind: str, resource: Resource) -> str:
    """Return an id for a resource without one, which depends on its content only."""
    text = orjson.dumps([kind, resource], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]


@contextmanager
def _open_source(
    context: JobContext, repository: Repository, url: str
) -> Iterator[Iterator[bytes]]:
    settings = context.settings
    if _scheme(url) == "file":
        with _file_area(context, repository).open_for_reading(url) as file:
            yield iter(lambda: file.read(_CHUNK_SIZE), b"")
        return
    headers = {"Accept": "application/x-ndjson, application/json", "Accept-Encoding": "identity"}
    with (
        pinned_http.pinned_client(
            context.outbound_policy, timeout=settings.callback_timeout
        ) as client,
        client.stream("GET", _permitted_url(context, url), headers=headers) as response,
    ):
        if not response.is_success:
            raise InvalidBody(f"/url: the server answered {response.status_code}")
        yield response.iter_raw(_CHUNK_SIZE)


def _permitted_url(context: JobContext, url: str) -> str:
    """Return a URL of a job in ASCII.

    Raises:
        InvalidBody: The server must not send requests to the URL (HTTP 400).
    """
    return outbound.parse_url(url, context.outbound_policy).url


def _scheme(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in {"file", *outbound.DEFAULT_PORTS}:
        raise InvalidBody(f"/url: expected https, http or file, not {scheme or 'no scheme'}")
    return scheme


def _export_file(
    context: JobContext, repository: Repository, job: Resource, report: JobReport
) -> None:
    settings = context.settings
    report_progress = _progress_reporter(
        context.definition.export_job_kind, repository, job, report, settings.job_seconds
    )
    area = _file_area(context, repository)
    is_file = _scheme(job["url"]) == "file"
    max_bytes = _max_export_bytes(settings, area) if is_file else settings.job_bytes
    target: AbstractContextManager[BinaryIO] = (
        area.open_for_writing(job["url"]) if is_file else area.open_temporary()
    )
    with target as file:
        for kind in write_resources(context.definition, repository, job, file, context.build_query):
            report.counts["lines"] += 1
            report.counts[kind] += 1
            if file.tell() > max_bytes:
                raise InvalidBody(f"the file would be larger than {max_bytes} bytes")
            report_progress()
        if not is_file:
            _upload(context, job["url"], file, file_format(job).media_type)


def _file_area(context: JobContext, repository: Repository) -> FileArea:
    """Return the files of the client that created a job."""
    parties = repository.context.parties
    return FileArea(context.settings.data_dir, repository.tenant, parties)


def _max_export_bytes(settings: Settings, area: FileArea) -> int:
    """Return the largest size that a new file of an area may have.

    Raises:
        InvalidBody: The area is full (HTTP 400).
    """
    count, size = area.usage()
    if count >= settings.job_area_files or size >= settings.job_area_bytes:
        raise InvalidBody(
            f"/url: the file area is full: {count} files and folders of"
            f" {settings.job_area_files}, {size} bytes of {settings.job_area_bytes}"
        )
    return min(settings.job_bytes, settings.job_area_bytes - size)


def _upload(context: JobContext, url: str, file: BinaryIO, content_type: str) -> None:
    size = file.tell()
    file.seek(0)
    chunks: Iterator[bytes] = iter(lambda: file.read(_CHUNK_SIZE), b"")
    headers = {"Content-Type": content_type, "Content-Length": str(size)}
    with pinned_http.pinned_client(
        context.outbound_policy, timeout=context.settings.callback_timeout
    ) as client:
        response = client.put(_permitted_url(context, url), content=chunks, headers=headers)
    if not response.is_success:
        raise InvalidBody(f"/url: the server answered {response.status_code}")
