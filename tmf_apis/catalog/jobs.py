"""Import and export jobs: a catalogue carried in from a file, or out to one.

A file has one resource a line (NDJSON) or one JSON array of them, gzip or plain, in the form of
v5; ``@type`` (or ``@baseType``, or the job's ``path``) says of which kind a resource is. An
import creates a resource or, where its id exists, replaces it, so it may be repeated as often as
one likes: what is the same already is not written. A line that is at fault is reported with its
number and passed over; the job is ``Failed`` then and its other lines stand.
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
from tmf_apis.catalog.export import Query, media_type, plain_query, write
from tmf_apis.catalog.families import PRODUCTS, Family
from tmf_apis.catalog.files import Area, path_of
from tmf_apis.catalog.states import JOB
from tmf_apis.catalog.stream import Piece, limited, pieces, unpacked
from tmf_apis.errors import InvalidBody, NotFound, TmfError, Unavailable, Unprocessable
from tmf_apis.rest.bodies import parse
from tmf_apis.rest.law import Desk, Resource, rfc3339
from tmf_apis.security import outbound, pinned
from tmf_apis.security.outbound import Policy
from tmf_apis.settings import Settings

#: Faults that stand in the error log; of the others it has the number.
FAULTS = 200

#: Pause between two reports of progress, in seconds.
REPORT_PAUSE = 2.0

#: Longest id in a file, in characters.
_LONGEST_ID = 256

#: Bytes read from a file at once.
_CHUNK = 1 << 16

#: Puts a resource from a file into the stored form, or raises what is wrong with it.
Accept = Callable[[str, Resource], Resource]


def as_it_is(kind: str, resource: Resource) -> Resource:  # noqa: ARG001
    """Return a resource as it came."""
    return resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a job needs beside the desk.

    Attributes:
        settings: Where files are, and the limits.
        policy: Where URLs may lead.
        accept: Checks a resource against the contract.
        query: Turns a job's ``query`` into one of the database.
        family: The catalogue that is carried in and out.
    """

    settings: Settings
    policy: Policy
    accept: Accept = as_it_is
    query: Query = plain_query
    family: Family = PRODUCTS


@dataclass(slots=True)
class _Report:
    """What became of a job so far."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Count a fault and keep its text while there is room."""
        self.counts["failed"] += 1
        if len(self.faults) < FAULTS:
            self.faults.append(text[:500])

    @property
    def log(self) -> str:
        """All faults, a line each."""
        more = self.counts["failed"] - len(self.faults)
        return "\n".join([*self.faults, *([f"and {more} more"] if more else [])])

    def shown(self) -> Resource:
        """Return the attributes of the job that say how far it is."""
        shown: Resource = {"progress": dict(self.counts)}
        return {**shown, "errorLog": self.log} if self.faults else shown


def check_url(around: Surroundings, new: Resource | None) -> None:
    """Let a job pass whose URL may be called or is a path in the file area.

    Of other schemes the job itself says that it cannot.

    Raises:
        InvalidBody: The server must not be sent there (HTTP 400).
    """
    url = str((new or {}).get("url", ""))
    scheme = url.partition(":")[0].lower()
    if scheme == "file":
        path_of(url)
    elif scheme in outbound.PORTS:
        try:
            outbound.read(url, around.policy)
        except InvalidBody as error:
            raise InvalidBody(f"/url: {error.message}") from None


def run_import(around: Surroundings, desk: Desk, job: Resource) -> None:
    """Do an import job from the start to the end; safe to repeat."""
    _run(around.family.importing, desk, job, partial(_import, around))


def run_export(around: Surroundings, desk: Desk, job: Resource) -> None:
    """Do an export job from the start to the end; safe to repeat."""
    _run(around.family.exporting, desk, job, partial(_export, around))


def _run(
    kind: str, desk: Desk, job: Resource, work: Callable[[Desk, Resource, _Report], None]
) -> None:
    if desk.get(kind, job["id"]).get("status") in JOB.final:
        return
    desk.change(kind, job["id"], lambda stored: {**stored, "status": "Running"})
    report, start = _Report(), time.monotonic()
    try:
        work(desk, job, report)
    except Unavailable:
        raise  # the worker tries again
    except (TmfError, OSError, ValueError, httpx.HTTPError) as error:
        report.fault(_words(error))
    now = desk.now + timedelta(seconds=time.monotonic() - start)
    end = {
        "status": "Failed" if report.faults else "Succeeded",
        "completionDate": rfc3339(now),
        **report.shown(),
    }
    desk.change(kind, job["id"], lambda stored: {**stored, **end})


def _words(error: Exception) -> str:
    """Return an error in words that tell nothing about the server's own folders."""
    if isinstance(error, TmfError):
        return error.message or error.reason
    if isinstance(error, OSError) and error.strerror:
        return f"/url: {error.strerror}"
    return f"/url: {error or type(error).__name__}"


def _import(around: Surroundings, desk: Desk, job: Resource, report: _Report) -> None:
    settings = around.settings
    tell = _teller(around.family.importing, desk, job, report, settings.job_seconds)
    with _source(around, desk, job["url"]) as chunks:
        plain = limited(unpacked(chunks), settings.job_bytes)
        for piece in pieces(plain, settings.resource_limit):
            report.counts["lines"] += 1
            try:
                report.counts[_take(around, desk, job, piece)] += 1
            except Unavailable:
                raise
            except TmfError as error:
                report.fault(f"line {piece.line}: {error.message or error.reason}")
            tell()


def _teller(
    kind: str, desk: Desk, job: Resource, report: _Report, longest: float
) -> Callable[[], None]:
    """Return a function that stores the progress now and then, and ends what takes too long."""
    start = last = time.monotonic()

    def tell() -> None:
        nonlocal last
        now = time.monotonic()
        if now - start > longest:
            raise Unprocessable(f"the job took longer than {longest:g} seconds")
        if now - last > REPORT_PAUSE:
            last = now
            desk.change(kind, job["id"], lambda stored: {**stored, **report.shown()})

    return tell


def _take(around: Surroundings, desk: Desk, job: Resource, piece: Piece) -> str:
    """Bring one resource in; return what was done with it."""
    if piece.fault:
        raise InvalidBody(piece.fault)
    resource = parse(piece.raw, around.settings)
    if not isinstance(resource, dict):
        raise InvalidBody("expected a JSON object")
    kind = _kind_of(around.family, resource, job)
    resource = {"@type": kind, **{k: v for k, v in resource.items() if v is not None}}
    if resource["@type"] in around.family.spelled:
        resource["@type"] = kind
    chosen = resource.get("id") or _id_of(kind, resource)
    if not isinstance(chosen, str) or len(chosen) > _LONGEST_ID or not chosen.isprintable():
        raise InvalidBody(f"/id: expected a plain text of at most {_LONGEST_ID} characters")
    name = resource.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InvalidBody("/name: expected a text that is not blank")
    resource.pop("href", None)
    new = {**around.accept(kind, resource), "id": chosen}
    return _put(desk, kind, new, around.family.kept.get(kind, ()))


def _kind_of(family: Family, resource: Resource, job: Resource) -> str:
    for name in (resource.get("@type"), resource.get("@baseType")):
        if kind := family.kind_named(name):
            return kind
    if kind := family.kind_at(str(job.get("path") or "")):
        return kind
    raise InvalidBody(f"/@type: expected one of {', '.join(family.entities)}")


def _id_of(kind: str, resource: Resource) -> str:
    """Return an id that the same resource without one gets each time."""
    text = orjson.dumps([kind, resource], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:32]


def _put(desk: Desk, kind: str, resource: Resource, in_step: tuple[str, ...]) -> str:
    try:
        old = desk.get(kind, resource["id"])
    except NotFound:
        desk.create(kind, resource)
        return "created"

    def replace(stored: Resource) -> Resource:
        kept = {name: stored[name] for name in in_step if name in stored}
        new = rules.completed(kind, {**kept, **resource, "lastUpdate": stored.get("lastUpdate")})
        return stored if _members(new) == _members(stored) else new

    new = desk.change(kind, resource["id"], replace)
    return "unchanged" if _members(new) == _members(old) else "replaced"


def _members(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "href" and value is not None}


@contextmanager
def _source(around: Surroundings, desk: Desk, url: str) -> Iterator[Iterator[bytes]]:
    settings = around.settings
    if _scheme(url) == "file":
        with Area(settings.data_dir, desk.tenant).read(url) as file:
            yield iter(lambda: file.read(_CHUNK), b"")
        return
    headers = {"Accept": "application/x-ndjson, application/json", "Accept-Encoding": "identity"}
    with (
        pinned.client(around.policy, patience=settings.callback_timeout) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        if not answer.is_success:
            raise InvalidBody(f"/url: answered {answer.status_code}")
        yield answer.iter_raw(_CHUNK)


def _scheme(url: str) -> str:
    scheme = urlsplit(url).scheme
    if scheme not in {"file", *outbound.PORTS}:
        raise InvalidBody(f"/url: expected https, http or file, not {scheme or 'no scheme'}")
    return scheme


def _export(around: Surroundings, desk: Desk, job: Resource, report: _Report) -> None:
    settings = around.settings
    tell = _teller(around.family.exporting, desk, job, report, settings.job_seconds)
    area = Area(settings.data_dir, desk.tenant)
    is_file = _scheme(job["url"]) == "file"
    target: AbstractContextManager[BinaryIO] = area.write(job["url"]) if is_file else area.scratch()
    with target as file:
        for kind in write(around.family, desk, job, file, around.query):
            report.counts["lines"] += 1
            report.counts[kind] += 1
            if file.tell() > settings.job_bytes:
                raise InvalidBody(f"the file would be larger than {settings.job_bytes} bytes")
            tell()
        if not is_file:
            _send(around, job["url"], file, media_type(job))


def _send(around: Surroundings, url: str, file: BinaryIO, kind: str) -> None:
    size = file.tell()
    file.seek(0)
    chunks: Iterator[bytes] = iter(lambda: file.read(_CHUNK), b"")
    headers = {"Content-Type": kind, "Content-Length": str(size)}
    with pinned.client(around.policy, patience=around.settings.callback_timeout) as client:
        answer = client.put(url, content=chunks, headers=headers)
    if not answer.is_success:
        raise InvalidBody(f"/url: answered {answer.status_code}")
