"""Versions of an entity: a request names one as ``{id}:(version=1.0)`` or as ``{id}?version=1.0``.

The current version is stored under the id of the entity, an earlier one under the id with its
version. Both notations select either.

Source: TMF630 part 1, versioned entities.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tmf_apis.errors import InvalidQuery, NotFound, quoted
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.handling import note_without_effect
from tmf_apis.rest.http.messages import Request
from tmf_apis.store.resources import ResourceStore

_ID_WITH_VERSION = re.compile(r"(.+):\(version=([^()]+)\)", re.DOTALL)
#: Most versions that an error message lists.
_MAX_LISTED = 20
_MEMBERS = {"id": 1, "body.version": 1}


def names_version(request: Request) -> bool:
    """Return whether a request to a resource may name a version; fast, because most do not."""
    return "version=" in request.query_string or request.id.endswith(")")


def request_of_version(
    resources: ResourceStore,
    api: Api,
    operation: Operation,
    request: Request,
    access: Mapping[str, Any],
) -> Request:
    """Return a request with the stored id of the version that it names.

    Args:
        resources: The store.
        api: The contract.
        operation: The operation.
        request: The request.
        access: The query of the resources that the client may read at this path.

    Raises:
        NotFound: The entity has no such version; the message lists its versions (HTTP 404).
        InvalidQuery: The request names several versions (HTTP 400).
    """
    if not _has_versions(api, operation):
        note_without_effect(request, {"version"} & {name for name, _ in request.parameters()})
        return request
    id, version = _id_and_version(request)
    if not version:
        return request
    ids = (f"{id}:(version={version})", id)
    keys = [f"{access['tenant']}:{candidate}" for candidate in ids]
    query = {**access, "_id": {"$in": keys}}
    rows = {row["id"]: row for row in resources.find_many(operation.kind, query, _MEMBERS)}
    if ids[0] in rows:
        return replace(request, id=ids[0])
    if id in rows and _version_of(rows[id]) == version:
        return replace(request, id=id)
    if versions := _versions(resources, operation, access, id):
        raise NotFound(
            f"there is no version {version[:100]!r} of {operation.schema} {id[:100]};"
            f" versions: {', '.join(versions)}"
        )
    return request


def _id_and_version(request: Request) -> tuple[str, str]:
    """Return the id of the entity, and the version that the request names; "" if it names none.

    Raises:
        InvalidQuery: The request names several versions (HTTP 400).
    """
    id = request.id
    named = [value for name, value in request.parameters() if name == "version"]
    if match := _ID_WITH_VERSION.fullmatch(id):
        id = match[1]
        named.append(match[2])
    versions = sorted(set(named))
    if len(versions) > 1:
        listed = " and ".join(quoted(version) for version in versions[:2])
        raise InvalidQuery(f"the request names the versions {listed}; it can name one")
    return id, versions[0] if versions else ""


def _has_versions(api: Api, operation: Operation) -> bool:
    return api.queries.attributes(operation.kind, operation.schema).is_declared("version")


def _versions(
    resources: ResourceStore, operation: Operation, access: Mapping[str, Any], id: str
) -> list[str]:
    """Return the versions of an entity that a client may read, the current one first."""
    key = f"{access['tenant']}:{id}"
    earlier = {"$gte": f"{key}:(version=", "$lt": f"{key}:(version>"}  # ">" follows "="
    query = {"$and": [dict(access), {"$or": [{"_id": key}, {"_id": earlier}]}]}
    rows = resources.find_many(operation.kind, query, _MEMBERS, limit=_MAX_LISTED)
    return [_version_of(row) for row in rows]


def _version_of(row: Mapping[str, Any]) -> str:
    return str(row.get("body", {}).get("version", ""))
