"""What each kind of operation does, for every resource of every contract alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from tmf_apis.errors import (
    Conflict,
    InvalidBody,
    InvalidQuery,
    NotFound,
    Unprocessable,
    UnsupportedMediaType,
)
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.contracts.dates import DateNormalizer
from tmf_apis.rest.contracts.schemas import Schemas
from tmf_apis.rest.http import bodies, monitors, preconditions
from tmf_apis.rest.http.idempotency import IdempotencyKey
from tmf_apis.rest.http.locks import KeyedLock
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.pipeline import patching
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.representation import (
    array_json,
    client_view,
    etag,
    resource_json,
)
from tmf_apis.rest.pipeline.write_access import WriteResult
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.query import list_query
from tmf_apis.rest.query.fields import FieldSelection, selected_resource
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_names import subtypes_of
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translate_errors
from tmf_apis.store.resources import Document, is_same_json

#: Longest Idempotency-Key, in characters.
_MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Api:
    """One contract and what is made of it once.

    Attributes:
        contract: The contract.
        schemas: Its validators.
        dates: Where its times are.
        queries: Its query compiler.
    """

    contract: Contract
    schemas: Schemas
    dates: DateNormalizer
    queries: list_query.ListQueryCompiler

    def create_schema(self, operation: Operation) -> str | None:
        """Return the schema that resources of an operation's path are created by, if they are."""
        return next(
            (
                one.body_schema
                for one in self.contract.operations
                if one.action == "create" and one.resource == operation.resource
            ),
            None,
        )


class ResourceHandlers:
    """The operations of resources."""

    def __init__(self, writes: ResourceWriter, settings: Settings) -> None:
        self._writes = writes
        self._kinds = writes.kinds
        self._resources = writes.resources
        self._settings = settings
        self._key_locks = KeyedLock()

    def retrieve(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer GET of one resource: 200, or 304 when the client has it."""
        kind, version = operation.kind, api.contract.version
        wanted = _requested_fields(request)
        parts = ("body", "loose") if wanted.tree is not None else (f"text.{version}",)
        shape = dict.fromkeys(("id", "rev", *parts), 1)
        access = {**request.identity.read_filter(), **path_filter(operation)}
        found = self._resources.find_one(kind, access, request.id, shape)
        if found is None:
            raise NotFound(f"there is no {operation.schema} {request.id[:100]}")
        headers = {"ETag": etag(found["rev"])}
        if preconditions.is_not_modified(request.headers, found["rev"]):
            return Response(304, headers=headers)
        if wanted.tree is not None:
            shown = self._client_view(kind, version, request, found)
            return json_response(200, _selected_fields(shown, wanted, version), headers)
        text = found["text"][version]
        return Response(200, resource_json(found["id"], request.base_url, text), headers)

    def list(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer GET of a collection: filtered, sorted, one page."""
        kind, version = operation.kind, api.contract.version
        query = api.queries.parse(operation, request)
        access = {**request.identity.read_filter(), **path_filter(operation)}
        found = list_query.read_page(self._resources, kind, access, query)
        headers = found.headers(request, self._settings)
        status = found.status(self._settings)
        if query.fields.tree is None:
            items = ((one["id"], one["text"][version]) for one in found.documents)
            return Response(status, array_json(items, request.base_url), headers)
        if simple := query.fields.top_level_names(version):
            shown = [
                self._first_level_attributes(kind, version, request, one, simple)
                if "loose" not in one
                else _selected_fields(
                    self._client_view(kind, version, request, one), query.fields, version
                )
                for one in found.documents
            ]
            return json_response(status, shown, headers)
        shown = [
            _selected_fields(self._client_view(kind, version, request, one), query.fields, version)
            for one in found.documents
        ]
        return json_response(status, shown, headers)

    def create(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer POST of a collection: 201 with Location, or the first answer to the same key."""
        kind = operation.kind
        resource = self._parse_resource(api, operation, request)
        if _is_dry_run(request):
            return self._dry_run_response(api, operation, request, resource)
        if (idempotency := self._idempotency_key(operation, request)) is None:
            written = self._create_or_replay(api, operation, request, resource)
            return self._created_response(api, operation, request, written)
        with self._key_locks.hold(idempotency.key):
            written = self._find_first_answer(kind, idempotency) or self._create_or_replay(
                api, operation, request, resource, idempotency
            )
        return self._created_response(api, operation, request, written)

    def _dry_run_response(
        self, api: Api, operation: Operation, request: Request, resource: Resource
    ) -> Response:
        """Answer a POST that is not meant: 200 with what would be made, and become of it."""
        kind, version = operation.kind, api.contract.version
        stored = versions.to_stored(kind, version, resource)
        circumstances = self._writes.request_context(request.identity, version)
        typed = self._stored_form_check(api, operation, resource)
        body, found = self._writes.dry_run(request.identity, kind, stored, circumstances, typed)
        document = {"id": body["id"], "body": body, "loose": True}
        shown = self._client_view(kind, version, request, document)
        return json_response(200, {**shown, **found})

    def _stored_form_check(
        self, api: Api, operation: Operation, resource: Resource
    ) -> Callable[[Resource], None]:
        """Return a last look at what would be stored, with the contract's types."""
        kind, version = operation.kind, api.contract.version
        sent = operation.body_schema or operation.schema

        def typed(body: Resource) -> None:
            members = versions.from_stored(kind, version, body)
            api.schemas.check_additions(operation.schema, sent, resource, members)

        return typed

    def _create_or_replay(
        self,
        api: Api,
        operation: Operation,
        request: Request,
        resource: Resource,
        idempotency: IdempotencyKey | None = None,
    ) -> WriteResult:
        """Make a resource of what the client sent, unless another server just did."""
        kind, version = operation.kind, api.contract.version
        stored = versions.to_stored(kind, version, resource)
        circumstances = self._writes.request_context(request.identity, version)
        try:
            return self._writes.create(
                request.identity, kind, stored, circumstances,
                idempotency=idempotency, validate=self._stored_form_check(api, operation, resource),
            )  # fmt: skip
        except (DuplicateKeyError, Conflict) as error:
            # The same request may have won a moment ago: its answer is the answer of both.
            replayed = self._find_first_answer(kind, idempotency) if idempotency else None
            if replayed is None and isinstance(error, Conflict):
                raise
            if replayed is None:
                raise Conflict("the same Idempotency-Key is being used right now") from None
            return replayed

    def patch(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer PATCH of one resource with the changed resource."""
        kind = bodies.media_type(request.headers)
        patch = patching.parse_patch(
            kind, bodies.parse(request.body, self._settings), self._settings
        )
        pointed = isinstance(patch, patching.JsonPatch)
        return self._apply_change(api, operation, request, patch.apply, is_path_patch=pointed)

    def replace(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer PUT of one resource: every attribute that the client may set is set anew.

        States stay where the client says nothing of them: a resource is always in one.
        """
        resource = self._parse_resource(api, operation, request, is_replacement=True)
        law = self._writes.policy_of(operation.kind)
        owned = law.server_owned | law.state_event_attributes | {"id", "href", "@type"}
        return self._apply_change(
            api,
            operation,
            request,
            lambda old: {**{k: v for k, v in old.items() if k in owned}, **resource},
        )

    def delete(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer DELETE of one resource: 204."""
        self._writes.delete(
            request.identity,
            operation.kind,
            request.id,
            self._writes.request_context(request.identity, api.contract.version),
            precondition=preconditions.if_match(request.headers),
            extra_filter=path_filter(operation),
        )
        return Response(204)

    def monitor(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Answer GET of a monitor: how the task is going that a client did not wait for."""
        kind, _, id = request.id.partition("-")
        law = self._writes.policy_of(kind)
        known = any(o.kind == kind and o.action == "create" for o in api.contract.operations)
        found = None
        if known and law.run_in_background is not None:
            shape = {"id": 1, "rev": 1, "body": 1, "loose": 1}
            found = self._resources.find_one(kind, request.identity.read_filter(), id, shape)
        if found is None:
            raise NotFound(f"there is no monitor {request.id[:100]}")
        task = self._client_view(kind, api.contract.version, request, found)
        shown = monitors.monitor_resource(api.contract, law, task, request)
        return json_response(200, shown, {"ETag": etag(found["rev"])})

    def _apply_change(
        self,
        api: Api,
        operation: Operation,
        request: Request,
        edit: Callable[[Resource], Resource],
        *,
        is_path_patch: bool = False,
    ) -> Response:
        """Change a resource by a function of the client's view of it.

        Args:
            api: The contract.
            operation: The operation.
            request: The request.
            edit: From what the client sees to what it wants.
            is_path_patch: The change is one by paths: it may name what only a client of v5 sees (types
                of nested objects that v4 left out), and put together what no body may have.
        """
        kind, version = operation.kind, api.contract.version

        complete = (
            self._writes.type_defaults.get(kind) if is_path_patch and version != "v4" else None
        )

        def edited(stored: Resource) -> Resource:
            id = stored["id"]
            body = {k: v for k, v in stored.items() if k != "id"}
            before = client_view(self._kinds, kind, version, id, request.base_url, body)
            if complete:
                shown = complete(before)
                after = _with_untouched_members(edit(shown), shown, before)
            else:
                after = edit(before)
            after = _require_same_resource(after, before)
            if b"null" in request.body:
                after = bodies.without_nulls(after)
            if is_same_json(after, before):
                return stored
            if is_path_patch:
                bodies.check_limits(after, self._settings)
            changed = {k: v for k, v in after.items() if v is not before.get(k)}
            after = {**after, **api.dates.normalise(operation.schema, changed)}
            patching.check_size(after, self._settings)
            api.schemas.check_change(
                operation.schema, before, after, create_schema=api.create_schema(operation)
            )
            after = {k: v for k, v in after.items() if k != "href"}
            return {**versions.to_stored(kind, version, after), "id": id}

        written = self._writes.change(
            request.identity,
            kind,
            request.id,
            edited,
            self._writes.request_context(request.identity, version),
            precondition=preconditions.if_match(request.headers),
            extra_filter=path_filter(operation),
        )
        return self._resource_response(api, operation, request, written, 200, {})

    def _client_view(
        self, kind: str, version: str, request: Request, document: Document
    ) -> Resource:
        """Return a stored document as the client sees it, for a part of it to be chosen."""
        body = document.get("body", {})
        shown = client_view(self._kinds, kind, version, document["id"], request.base_url, body)
        complete = self._writes.type_defaults.get(kind)
        return complete(shown) if complete and version != "v4" and "loose" in document else shown

    def _first_level_attributes(
        self,
        kind: str,
        version: str,
        request: Request,
        document: Document,
        names: frozenset[str],
    ) -> Resource:
        """Return first-level attributes of a document whose stored form is the client's own."""
        id, body = document["id"], document.get("body", {})
        path = self._kinds.resource_path(kind, version, id, body)
        shown = {"id": id, "href": request.base_url + path}
        return shown | {name: value for name, value in body.items() if name in names}

    def _parse_resource(
        self, api: Api, operation: Operation, request: Request, *, is_replacement: bool = False
    ) -> Resource:
        """Return the request's resource: parsed, without nulls, times normalised, checked."""
        kind = bodies.media_type(request.headers)
        if kind != bodies.JSON:
            raise UnsupportedMediaType(f"{kind} is not accepted here; send {bodies.JSON}")
        resource = bodies.parse(request.body, self._settings)
        if not isinstance(resource, dict):
            raise InvalidBody("/: expected an object")
        if b"null" in request.body:
            resource = bodies.without_nulls(resource)
        schema = operation.body_schema or operation.schema
        resource = api.dates.normalise(operation.schema, resource)
        api.schemas.check(schema, resource)
        api.schemas.check_resource_type(operation.schema, resource)
        if is_replacement:
            return resource
        resource = {k: v for k, v in resource.items() if k not in {"id", "href"}}
        resource.setdefault("@type", operation.schema)
        return resource

    def _idempotency_key(self, operation: Operation, request: Request) -> IdempotencyKey | None:
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= _MAX_KEY_LENGTH:
            raise InvalidQuery(f"an Idempotency-Key has 1 to {_MAX_KEY_LENGTH} characters")
        identity = request.identity
        return IdempotencyKey.from_request(
            (
                identity.tenant,
                identity.subject,
                ",".join(sorted(identity.parties or ())),
                request.path,
                operation.operation_id,
                key,
            ),
            request.body,
            hours=self._settings.idempotency_hours,
        )

    def _find_first_answer(self, kind: str, idempotency: IdempotencyKey) -> WriteResult | None:
        """Return what the first request with the key made, as it was answered then."""
        collection = self._resources.collection(kind)
        query = {"tenant": idempotency.tenant, "idem.key": idempotency.key}
        with translate_errors():
            first = collection.find_one(query, {"id": 1, "idem": 1, "body": 1})
            if first is None:
                return None
            idem = first["idem"]
            if idem["until"] < time.time():
                collection.update_one({"_id": first["_id"], **query}, {"$unset": {"idem": ""}})
                return None
        if idem["hash"] != idempotency.body_hash:
            raise Unprocessable("the Idempotency-Key was used before with another body")
        return WriteResult(first["id"], 1, first["body"], idem["text"], is_changed=False)

    def _created_response(
        self, api: Api, operation: Operation, request: Request, written: WriteResult
    ) -> Response:
        if monitors.is_requested(request.headers, self._writes.policy_of(operation.kind)):
            location = monitors.monitor_path(api.contract.base_path, operation.kind, written.id)
            return monitors.accepted_response(request.base_url + location)
        path = self._kinds.resource_path(
            operation.kind, api.contract.version, written.id, written.body
        )
        return self._resource_response(
            api, operation, request, written, 201, {"Location": request.base_url + path}
        )

    def _resource_response(  # noqa: PLR0913, PLR0917
        self,
        api: Api,
        operation: Operation,
        request: Request,
        written: WriteResult,
        status: int,
        headers: Mapping[str, str],
    ) -> Response:
        version = api.contract.version
        wanted = _requested_fields(request)
        headers = {**headers, "ETag": etag(written.rev)}
        if wanted.tree is not None or version not in written.json_fragments:
            document = {"id": written.id, "body": written.body, "loose": True}
            shown = self._client_view(operation.kind, version, request, document)
            return json_response(status, _selected_fields(shown, wanted, version), headers)
        return Response(
            status,
            resource_json(written.id, request.base_url, written.json_fragments[version]),
            headers,
        )


def _require_same_resource(after: Any, before: Resource) -> Resource:  # noqa: ANN401
    """Return what a resource was changed to, if it still is that resource.

    Raises:
        InvalidBody: It is no object any more, or another one (HTTP 400).
    """
    if not isinstance(after, dict):
        raise InvalidBody("/: the patch would make the resource something else")
    for name in ("id", "href"):
        if after.get(name) != before[name]:
            raise InvalidBody(f"/{name}: kept by the server and cannot be set")
    return after


def _with_untouched_members(after: Any, completed: Resource, before: Resource) -> Any:  # noqa: ANN401
    """Return a change of what was shown, with what it did not touch as it was before."""
    if not isinstance(after, dict):
        return after
    return {
        name: before[name] if name in before and value == completed.get(name) else value
        for name, value in after.items()
    }


def _requested_fields(request: Request) -> FieldSelection:
    return FieldSelection.parse(value for name, value in request.parameters() if name == "fields")


def _selected_fields(resource: Resource, fields: FieldSelection, version: str) -> Resource:
    return selected_resource(resource, fields, with_type=version != "v4")


def path_filter(operation: Operation) -> dict[str, Any]:
    """Return what resources of an operation's path are, where a kind has several paths.

    TMF639 v4 has physical and logical resources on paths of their own.
    """
    types = subtypes_of(operation.kind, operation.schema)
    if not types:
        return {}
    return {"$or": [{f"body.{name}": {"$in": types}} for name in ("@type", "@baseType")]}


def _is_dry_run(request: Request) -> bool:
    """Return whether a client wants to know only what would become of a new resource.

    Raises:
        InvalidQuery: ``dryRun`` is neither true nor false (HTTP 400).
    """
    wanted = request.parameter("dryRun")
    if wanted not in {None, "true", "false"}:
        raise InvalidQuery("dryRun: expected true or false")
    return wanted == "true"
