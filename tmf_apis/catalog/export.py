"""Writing a catalogue out: which resources, in which form."""

import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, BinaryIO, cast
from urllib.parse import parse_qsl

import orjson

from tmf_apis.catalog.definitions import CatalogDefinition
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Turns the attribute filter of a job (``lifecycleStatus=Launched``) for resources of a kind into
#: a query over the stored form.
QueryBuilder = Callable[[str, str], Mapping[str, Any]]

#: Resources read at once.
_PAGE_SIZE = 500
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z@][A-Za-z0-9@_]*(\.[A-Za-z@][A-Za-z0-9@_]*)*", re.ASCII)
_MAX_FILTER_LENGTH = 8192


def attribute_query(kind: str, text: str) -> Mapping[str, Any]:  # noqa: ARG001
    """Return the query of a plain attribute filter: ``a=x``, ``a.b=x,y``, joined by ``&``.

    Raises:
        InvalidQuery: A name is not one of an attribute (HTTP 400).

    >>> attribute_query("ProductOffering", "?isBundle=true&name=Fast,Faster")
    {'$and': [{'isBundle': {'$in': ['true', True]}}, {'name': {'$in': ['Fast', 'Faster']}}]}
    """
    if len(text) > _MAX_FILTER_LENGTH:
        raise InvalidQuery(f"/query: longer than {_MAX_FILTER_LENGTH} characters")
    clauses = []
    for name, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True):
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise InvalidQuery(f"/query: {name[:80]} is not the name of an attribute")
        values = [form for one in value.split(",") for form in _typed_values(one.strip('"'))]
        clauses.append({name: {"$in": values}})
    return {"$and": clauses} if clauses else {}


def _typed_values(text: str) -> Iterator[Any]:
    """Yield a value as the text, boolean or number that it may stand for."""
    yield text
    if text in {"true", "false"}:
        yield text == "true"
    elif re.fullmatch(r"-?\d{1,18}(\.\d{1,12})?", text, re.ASCII):
        yield float(text) if "." in text else int(text)


def is_json_array(job: Mapping[str, Any]) -> bool:
    """Return whether a job's file is one JSON array instead of one resource a line."""
    url = str(job["url"]).lower().removesuffix(".gz")
    said = str(job.get("contentType", "")).partition(";")[0].strip().lower()
    return url.endswith(".json") or (said == "application/json" and not url.endswith(".ndjson"))


def is_gzip(job: Mapping[str, Any]) -> bool:
    """Return whether a job's file is gzip."""
    return str(job["url"]).lower().endswith(".gz") or "gzip" in str(job.get("contentType", ""))


def media_type(job: Mapping[str, Any]) -> str:
    """Return the media type of a job's file."""
    if is_gzip(job):
        return "application/gzip"
    return "application/json" if is_json_array(job) else "application/x-ndjson"


def write_resources(
    definition: CatalogDefinition,
    repository: Repository,
    job: Mapping[str, Any],
    file: BinaryIO,
    build_query: QueryBuilder,
) -> Iterator[str]:
    """Write the resources that a job asks for into a file; yield the kind of each.

    Raises:
        InvalidQuery: The job's query is not one (HTTP 400).
    """
    one = definition.kind_at_path(str(job.get("path") or ""))
    text = str(job.get("query") or "")
    queries = {
        kind: build_query(kind, text) for kind in ((one,) if one else definition.entity_kinds)
    }
    packed = gzip.GzipFile(fileobj=file, mode="wb", mtime=0) if is_gzip(job) else None
    out = cast("IO[bytes]", packed or file)
    start, between, end = (b"[\n", b",\n", b"\n]\n") if is_json_array(job) else (b"", b"\n", b"\n")
    before = start
    for kind, wanted in queries.items():
        for resource in _read_all(repository, kind, wanted):
            out.write(before + orjson.dumps({"@type": kind, **resource}))
            before = between
            yield kind
    out.write(end if before == between else start + end[1:])
    if packed:
        packed.close()


def _read_all(repository: Repository, kind: str, query: Mapping[str, Any]) -> Iterable[Resource]:
    last = ""
    while True:
        clauses = [clause for clause in ({"id": {"$gt": last}}, query) if clause]
        page = repository.find(kind, {"$and": clauses}, limit=_PAGE_SIZE, sort="id")
        yield from page
        if len(page) < _PAGE_SIZE:
            return
        last = page[-1]["id"]
