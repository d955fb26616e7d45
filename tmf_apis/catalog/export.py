"""Selecting the resources of an export job and writing them to a file."""

import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, BinaryIO, cast
from urllib.parse import parse_qsl

import orjson

from tmf_apis.catalog.definitions import CatalogDefinition
from tmf_apis.catalog.formats import file_format
from tmf_apis.errors import InvalidQuery, shortened
from tmf_apis.rest.pipeline.policy import Repository, Resource

#: Returns the query over the stored form for a kind and the attribute filter of a job
#: (``lifecycleStatus=Launched``).
QueryBuilder = Callable[[str, str], Mapping[str, Any]]

#: Number of resources that are read at once.
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
            raise InvalidQuery(f"/query: {shortened(name)} is not the name of an attribute")
        values = [typed for text in value.split(",") for typed in _typed_values(text.strip('"'))]
        clauses.append({name: {"$in": values}})
    return {"$and": clauses} if clauses else {}


def _typed_values(text: str) -> Iterator[Any]:
    """Yield a text and the boolean or number that it may stand for."""
    yield text
    if text in {"true", "false"}:
        yield text == "true"
    elif re.fullmatch(r"-?\d{1,18}(\.\d{1,12})?", text, re.ASCII):
        yield float(text) if "." in text else int(text)


def write_resources(
    definition: CatalogDefinition,
    repository: Repository,
    job: Mapping[str, Any],
    file: BinaryIO,
    build_query: QueryBuilder,
) -> Iterator[str]:
    """Write the resources of an export job to a file; yield the kind of each.

    Raises:
        InvalidQuery: The query of the job is invalid (HTTP 400).
    """
    kind_at_path = definition.kind_at_path(str(job.get("path") or ""))
    text = str(job.get("query") or "")
    kinds = (kind_at_path,) if kind_at_path else definition.entity_kinds
    queries = {kind: build_query(kind, text) for kind in kinds}
    form = file_format(job)
    gzip_file = gzip.GzipFile(fileobj=file, mode="wb", mtime=0) if form.is_gzip else None
    out = cast("IO[bytes]", gzip_file or file)
    start, separator, end = (
        (b"[\n", b",\n", b"\n]\n") if form.is_json_array else (b"", b"\n", b"\n")
    )
    prefix = start
    for kind, query in queries.items():
        for resource in _read_all(repository, kind, query):
            out.write(prefix + orjson.dumps({"@type": kind, **resource}))
            prefix = separator
            yield kind
    is_empty = prefix == start
    out.write((b"[]\n" if form.is_json_array else b"") if is_empty else end)
    if gzip_file:
        gzip_file.close()


def _read_all(repository: Repository, kind: str, query: Mapping[str, Any]) -> Iterable[Resource]:
    last_id = ""
    while True:
        clauses = [clause for clause in ({"id": {"$gt": last_id}}, query) if clause]
        page = repository.find(kind, {"$and": clauses}, limit=_PAGE_SIZE, sort="id")
        yield from page
        if len(page) < _PAGE_SIZE:
            return
        last_id = page[-1]["id"]
