"""The operations of resources, the same for every resource of every contract."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pymongo.errors import DuplicateKeyError

from tmf_apis.errors import (
    Conflict,
    Faults,
    InvalidBody,
    NotFound,
    UnsupportedMediaType,
    listed_faults,
    shortened,
)
from tmf_apis.rest.contracts import texts
from tmf_apis.rest.contracts.contract import Contract, Operation
from tmf_apis.rest.http import (
    bodies,
    completion,
    dry_runs,
    entity_versions,
    monitors,
    preconditions,
)
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.expansion import (
    PROJECTION,
    Expansion,
    ReferenceExpander,
    content_etag,
)
from tmf_apis.rest.http.handling import (
    note_ignored,
    note_unknown,
    note_unknown_fields,
    refuse_displaced,
)
from tmf_apis.rest.http.ignored_attributes import ignored_attributes
from tmf_apis.rest.http.locks import KeyedLock
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.http.rendering import ResourceRenderer, requested_fields
from tmf_apis.rest.http.replay import find_first_result, request_key
from tmf_apis.rest.http.spool import SPOOL_SIZE, Spool
from tmf_apis.rest.pipeline import patching
from tmf_apis.rest.pipeline.idempotency import IdempotencyKey
from tmf_apis.rest.pipeline.ids import check_id
from tmf_apis.rest.pipeline.masked_changes import merged
from tmf_apis.rest.pipeline.policy import Resource
from tmf_apis.rest.pipeline.quotas import Quotas
from tmf_apis.rest.pipeline.representation import array_json, array_parts, etag, resource_json
from tmf_apis.rest.pipeline.write_access import WriteResult
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.rest.query import list_query
from tmf_apis.rest.query.displaced_attributes import displaced_attributes
from tmf_apis.rest.query.fields import FieldSelection, selected_resource
from tmf_apis.rest.query.unknown_attributes import unknown_attributes
from tmf_apis.rest.views import versions
from tmf_apis.rest.views.kind_names import is_type_of_kind, subtypes_of
from tmf_apis.settings import Settings
from tmf_apis.store.resources import Document, is_same_json


class ResourceHandlers:
    """The handlers of the operations of resources."""

    def __init__(
        self,
        writer: ResourceWriter,
        quotas: Quotas,
        settings: Settings,
        spool: Spool,
        contracts: Iterable[Contract] = (),
    ) -> None:
        """Store the collaborators.

        Args:
            writer: Writes resources.
            quotas: The quotas of tenants and clients.
            settings: The limits.
            spool: Holds large answers.
            contracts: The contracts of all APIs, into which references can be expanded.
        """
        self._writer = writer
        self._quotas = quotas
        self._renderer = ResourceRenderer(writer.kinds, writer.forms, writer.personal_attributes)
        self._resources = writer.resources
        self._settings = settings
        self._expander = ReferenceExpander(
            contracts, writer.resources, self._renderer, writer.guard, settings
        )
        self._key_locks = KeyedLock()
        self._spool = spool

    def retrieve(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle GET of a resource: 200, or 304 if the client has this version."""
        kind, version = operation.kind, api.contract.version
        fields = requested_fields(request)
        if fields.tree is not None:
            note_unknown_fields(request, api.queries.attributes(kind, operation.schema))
        expansion = self._expander.requested(operation, request) if request.query_string else None
        is_whole = fields.tree is None and expansion is None
        members = (f"text.{version}",) if is_whole else ("body", "loose", "reshaped")
        projection = dict.fromkeys(("id", "rev", *members), 1)
        access = {**request.identity.read_filter(), **path_filter(operation)}
        masked = not request.identity.sees_personal_data
        request = self._request_of_version(api, operation, request)
        document = self._resources.find_one(kind, access, request.id, projection, masked=masked)
        if document is None:
            raise NotFound(f"there is no {operation.schema} {shortened(request.id)}")
        if expansion:
            return self._expanded_response(operation, version, request, document, expansion)
        headers = {"ETag": etag(document["rev"])}
        if preconditions.is_not_modified(request.headers, document["rev"]):
            return Response(304, headers=headers)
        if fields.tree is not None:
            resource = self._renderer.resource(kind, version, request.base_url, document, fields)
            return json_response(200, resource, headers)
        fragment = document["text"][version]
        return Response(200, resource_json(document["id"], request.base_url, fragment), headers)

    def _expanded_response(
        self,
        operation: Operation,
        version: str,
        request: Request,
        document: Document,
        expansion: Expansion,
    ) -> Response:
        """Return a resource with its references expanded, with an entity tag of the content."""
        kind = operation.kind
        resource = self._renderer.resource(kind, version, request.base_url, document)
        resources = self._expander.expanded(kind, version, request, [resource], expansion)
        fields = requested_fields(request)
        selected = selected_resource(resources[0], fields, with_type=version != "v4")
        response = json_response(200, selected)
        tag = content_etag(response.body)
        response.headers["ETag"] = f'"{tag}"'
        if preconditions.is_not_modified(request.headers, tag):
            return Response(304, headers=response.headers)
        return response

    def list(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle GET of a collection: filter, sort and return one page."""
        kind, version = operation.kind, api.contract.version
        blind_index = self._resources.codec.blind_index(kind, request.identity)
        query = api.queries.parse(operation, request.parameters(), blind_index)
        if query.fields.tree is not None:
            note_unknown_fields(request, api.queries.attributes(kind, operation.schema))
        expansion = self._expander.requested(operation, request) if request.query_string else None
        if expansion:
            query = replace(query, projection=PROJECTION)
        access = {**request.identity.read_filter(), **path_filter(operation)}
        masked = not request.identity.sees_personal_data
        page = list_query.read_page(self._resources, kind, access, query, masked=masked)
        url = request.base_url + request.path.rstrip("/")
        headers = page.headers(url, request.parameters(), self._settings)
        status = page.status(self._settings)
        if query.fields.tree is None and expansion is None:
            items = [(document["id"], document["text"][version]) for document in page.documents]
            if sum(len(fragment) for _, fragment in items) < SPOOL_SIZE:
                return Response(status, array_json(items, request.base_url), headers)
            page.documents.clear()
            parts = array_parts(_consumed(items), request.base_url)
            return Response(status, headers=headers, spooled=self._spool.add(parts))
        fields = FieldSelection() if expansion else query.fields
        resources = self._renderer.resources(
            kind, version, request.base_url, page.documents, fields
        )
        if expansion:
            expanded = self._expander.expanded(kind, version, request, resources, expansion)
            with_type = version != "v4"
            resources = [selected_resource(r, query.fields, with_type=with_type) for r in expanded]
        response = json_response(status, resources, headers)
        if len(response.body) < SPOOL_SIZE:
            return response
        return Response(status, headers=headers, spooled=self._spool.add([response.body]))

    def create(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle POST of a collection: 201, or the first response to the same idempotency key."""
        kind = operation.kind
        resource = self._parse_resource(api, operation, request)
        self._renderer.refuse_masks(kind, request.identity, resource)
        if dry_runs.is_requested(request):
            return self._dry_run_response(api, operation, request, resource)
        idempotency = request_key(operation, request, self._settings)
        if idempotency is None:
            result = self._create_or_replay(api, operation, request, resource)
            return self._created_response(api, operation, request, result)
        with self._key_locks.hold(idempotency.key):
            result = find_first_result(
                self._resources, kind, idempotency
            ) or self._create_or_replay(api, operation, request, resource, idempotency)
        return self._created_response(api, operation, request, result)

    def _dry_run_response(
        self, api: Api, operation: Operation, request: Request, resource: Resource
    ) -> Response:
        """Handle ``dryRun=true``: 200 with the resource that would be created and its plan."""
        kind, version = operation.kind, api.contract.version
        stored = self._stored_form(kind, version, resource)
        context = self._writer.request_context(request.identity, version)
        validate = self._stored_form_check(api, operation, resource)
        body, plan = self._writer.dry_run(request.identity, kind, stored, context, validate)
        body = self._renderer.visible(kind, request.identity, body)
        document = {"id": body["id"], "body": body, "loose": True, "reshaped": True}
        new = self._renderer.resource(kind, version, request.base_url, document)
        return json_response(200, {**new, **plan})

    def _stored_form(
        self, kind: str, version: str, resource: Resource, reported: str = ""
    ) -> Resource:
        """Return the stored form of a new resource, which every version can serve.

        Args:
            kind: The kind.
            version: The version of the client.
            resource: The resource in the form of the client.
            reported: The faults in that version; those of the same values are left out.

        Raises:
            InvalidBody: Another version has an attribute of another type (HTTP 400).
        """
        ignored = self._writer.policy_of(kind).ignored_in_create
        stored = versions.to_stored(kind, version, resource)
        sent = {name: value for name, value in stored.items() if name not in ignored}
        return {**stored, **self._writer.forms.accepted(kind, version, sent, reported=reported)}

    def _stored_form_check(
        self, api: Api, operation: Operation, resource: Resource
    ) -> Callable[[Resource], None]:
        """Return a function that validates the stored form of a new resource with the contract."""
        kind, version = operation.kind, api.contract.version
        body_schema = operation.body_schema or operation.schema

        def check(body: Resource) -> None:
            members = versions.from_stored(kind, version, body)
            api.schemas.check_additions(operation.schema, body_schema, resource, members)

        return check

    def _create_or_replay(
        self,
        api: Api,
        operation: Operation,
        request: Request,
        resource: Resource,
        idempotency: IdempotencyKey | None = None,
    ) -> WriteResult:
        """Create the resource of a request, unless another server has just done so."""
        kind, version = operation.kind, api.contract.version
        stored = self._stored_form(kind, version, resource)
        context = self._writer.request_context(request.identity, version)
        self._quotas.check_create(request.identity, kind)
        try:
            result = self._writer.create(
                request.identity, kind, stored, context,
                idempotency=idempotency, validate=self._stored_form_check(api, operation, resource),
            )  # fmt: skip
        except (DuplicateKeyError, Conflict) as error:
            # The same request may have succeeded in the meantime: both get the same response.
            first_result = (
                find_first_result(self._resources, kind, idempotency) if idempotency else None
            )
            if first_result is not None:
                return first_result
            if isinstance(error, Conflict):
                raise
            raise Conflict("another request with this Idempotency-Key is running") from None
        self._quotas.record_create(request.identity, kind)
        return result

    def patch(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle PATCH of a resource: 200 with the changed resource."""
        media_type = bodies.media_type(request.headers)
        value = bodies.parse(request.body, self._settings)
        patch = patching.parse_patch(media_type, value, self._settings)
        is_json_patch = isinstance(patch, patching.JsonPatch)
        return self._apply_change(api, operation, request, patch.apply, is_json_patch=is_json_patch)

    def replace(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle PUT of a resource: replace all attributes that the client may set.

        Attributes that hold a state keep their value if the body does not have them, because a
        resource always has a state; those that the operator decides do so for a party.
        """
        resource = self._parse_resource(api, operation, request, is_replacement=True)
        policy = self._writer.policy_of(operation.kind)
        preserved = policy.server_owned | policy.state_event_attributes | {"id", "href", "@type"}
        if not request.identity.is_staff:
            preserved |= policy.party_rules.decided_names

        def edit(old: Resource) -> Resource:
            return {**{k: v for k, v in old.items() if k in preserved}, **resource}

        return self._apply_change(api, operation, request, edit)

    def delete(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle DELETE of a resource: 204."""
        request = self._request_of_version(api, operation, request)
        self._writer.delete(
            request.identity,
            operation.kind,
            request.id,
            self._writer.request_context(request.identity, api.contract.version),
            precondition=preconditions.if_match(request.headers),
            extra_filter=path_filter(operation),
        )
        return Response(204)

    def monitor(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Handle GET of a monitor: the progress of a task that runs in the background."""
        kind, _, id = request.id.partition("-")
        policy = self._writer.policy_of(kind)
        can_create = any(o.kind == kind and o.action == "create" for o in api.contract.operations)
        document = None
        if can_create and policy.run_in_background is not None:
            projection = dict.fromkeys(("id", "rev", "body", "loose", "reshaped"), 1)
            access = request.identity.read_filter()
            masked = not request.identity.sees_personal_data
            document = self._resources.find_one(kind, access, id, projection, masked=masked)
        if document is None:
            raise NotFound(f"there is no monitor {shortened(request.id)}")
        version = api.contract.version
        task = self._renderer.resource(kind, version, request.base_url, document)
        monitor = monitors.monitor_resource(api.contract, policy, task, request)
        return json_response(200, monitor, {"ETag": etag(document["rev"])})

    def _apply_change(
        self,
        api: Api,
        operation: Operation,
        request: Request,
        edit: Callable[[Resource], Resource],
        *,
        is_json_patch: bool = False,
    ) -> Response:
        """Change a resource by a function of its form in the client's version.

        Args:
            api: The contract.
            operation: The operation.
            request: The request.
            edit: Returns the changed resource; its argument and result have the client's form.
            is_json_patch: The change is a JSON Patch. It may refer to the types of nested objects
                that only v5 shows, and its result may exceed the limits of a body.
        """
        self._quotas.check_storage(request.identity)
        request = self._request_of_version(api, operation, request)
        kind, version = operation.kind, api.contract.version
        with_types = self._renderer.type_defaults(kind, version) if is_json_patch else None

        def edit_stored(stored: Resource) -> Resource:
            before, is_repaired = self._renderer.client_form(
                kind, version, request.base_url, stored
            )
            visible = self._renderer.visible(kind, request.identity, before)
            if with_types:
                typed = with_types(visible)
                after = _with_untouched_members(edit(typed), typed, visible)
            else:
                after = edit(visible)
            guessed: list[str] = []
            if visible is not before:
                guessed = self._renderer.guessed_texts(kind, after, before)
                after = self._renderer.unmasked(kind, after, visible, before)
            after = _require_same_resource(after, before)
            if b"null" in request.body:
                after = bodies.without_nulls(after)
            if is_same_json(after, before) and not guessed:
                return stored
            if is_json_patch:
                bodies.check_limits(after, self._settings)
            after = api.defaults.typed(operation.schema, after, request.body)
            changed = self._checked_change(api, operation, before, after, stored)
            different = {k: v for k, v in after.items() if k not in before or v != before[k]}
            self._note_unknown(api, operation, request, different, (before, after))
            if is_repaired:
                shown = versions.to_stored(kind, version, before)
                changed = merged(changed, shown, stored)
            changed = self._writer.forms.accepted(kind, version, changed, stored)
            return {**self._renderer.with_sent_texts(kind, changed, guessed), "id": stored["id"]}

        result = self._writer.change(
            request.identity,
            kind,
            request.id,
            edit_stored,
            self._writer.request_context(request.identity, version),
            precondition=preconditions.if_match(request.headers),
            extra_filter=path_filter(operation),
        )
        return self._renderer.response(kind, version, request, result)

    def _with_all_faults(
        self, error: InvalidBody, kind: str, version: str, body: Resource, before: Resource
    ) -> InvalidBody:
        """Return the error of a change with the faults that it has in the other versions, too."""
        faults = Faults()
        faults.messages.append(error.message)
        with faults.collect():
            self._writer.forms.accepted(kind, version, body, before, reported=error.message)
        return InvalidBody(listed_faults(faults.messages), reference=error.reference)

    def _request_of_version(self, api: Api, operation: Operation, request: Request) -> Request:
        """Return a request with the stored id of the version of an entity that it names, if any.

        Raises:
            NotFound: The entity has no such version (HTTP 404).
        """
        if not entity_versions.names_version(request):
            return request
        access = {**request.identity.read_filter(), **path_filter(operation)}
        return entity_versions.request_of_version(self._resources, api, operation, request, access)

    def _checked_change(
        self, api: Api, operation: Operation, before: Resource, after: Resource, stored: Resource
    ) -> Resource:
        """Return the stored form of a changed resource after validating it with the contract.

        Args:
            api: The API.
            operation: The operation.
            before: The resource before, in the client's form.
            after: The changed resource.
            stored: The stored form before.

        Raises:
            InvalidBody: It violates the contract; the message has the faults in the other
                versions, too (HTTP 400).
        """
        changed = {k: v for k, v in after.items() if v is not before.get(k)}
        after = {**after, **api.dates.normalise(operation.schema, changed)}
        patching.check_size(after, self._settings)
        kind, version = operation.kind, api.contract.version
        new = versions.to_stored(kind, version, {k: v for k, v in after.items() if k != "href"})
        try:
            texts.check_texts(changed, self._settings, before)
            api.schemas.check_change(
                operation.schema, before, after, create_schema=api.create_schema(operation)
            )
        except InvalidBody as error:
            raise self._with_all_faults(error, kind, version, new, stored) from None
        return new

    def _parse_resource(
        self, api: Api, operation: Operation, request: Request, *, is_replacement: bool = False
    ) -> Resource:
        """Return the resource of a request: parsed, without nulls, times normalized, validated."""
        resource = self._parse_object(request)
        faults = Faults()
        if not is_replacement and texts.may_violate(request.body, self._settings):
            with faults.collect():
                texts.check_texts(resource, self._settings)
        if b"null" in request.body:
            resource = bodies.without_nulls(resource)
        schema = operation.body_schema or operation.schema
        resource = api.dates.normalise(operation.schema, resource)
        policy = self._writer.policy_of(operation.kind)
        if not is_replacement:
            with faults.collect():
                note_ignored(request, ignored_attributes(policy, operation.kind, api, resource))
        with faults.collect():
            resource = completion.validated_body(api, schema, resource, request, policy)
        with faults.collect():
            api.schemas.check_resource_type(operation.schema, resource)
        with faults.collect():
            self._note_unknown(api, operation, request, resource)
        if faults.messages and not is_replacement:
            with faults.collect():
                reported = "; ".join(faults.messages)
                self._stored_form(operation.kind, api.contract.version, resource, reported)
        faults.refuse()
        if is_replacement:
            return resource
        accepts_id = policy.accepts_ids and request.identity.is_staff and "href" not in resource
        if accepts_id and "id" in resource:
            check_id(resource["id"])
        dropped = {"href"} if accepts_id else {"id", "href"}
        resource = {k: v for k, v in resource.items() if k not in dropped}
        resource.setdefault("@type", operation.schema)
        is_known = is_type_of_kind(operation.kind, resource["@type"])
        if not is_known and subtypes_of(operation.kind, operation.schema):
            resource.setdefault("@baseType", operation.schema)  # it stays in its collection
        return resource

    def _parse_object(self, request: Request) -> Resource:
        """Return the JSON object that is the body of a request.

        Raises:
            InvalidBody: The body is no JSON object, or exceeds a limit (HTTP 400).
            UnsupportedMediaType: It is not JSON (HTTP 415).
        """
        media_type = bodies.media_type(request.headers)
        if media_type != bodies.JSON:
            raise UnsupportedMediaType(
                f"{shortened(media_type)} is not accepted here; send {bodies.JSON}"
            )
        resource = bodies.parse(request.body, self._settings)
        if not isinstance(resource, dict):
            raise InvalidBody("/: expected an object")
        return resource

    @staticmethod
    def _note_unknown(
        api: Api,
        operation: Operation,
        request: Request,
        body: Resource,
        change: tuple[Resource, Resource] | None = None,
    ) -> None:
        """Warn of the attributes of a body that no type of the contract has, or refuse them.

        Those that the other version would show as something else are always refused.

        Args:
            api: The API.
            operation: The operation.
            request: The request.
            body: The body of a new resource, or the members that a change gives other values.
            change: The resource before and after a change; what it had before is not the client's.

        Raises:
            InvalidBody: An attribute is refused (HTTP 400).
        """
        node = api.queries.body_node(operation)
        if node is None or not (unknown := unknown_attributes(body, node)):
            return
        before, after = change or ({}, body)
        known = unknown_attributes(before, node)
        kind, version = operation.kind, api.contract.version
        displaced = displaced_attributes(kind, version, after, node, unknown)
        if displaced and known:
            old = {each.path for each in displaced_attributes(kind, version, before, node, known)}
            displaced = {each: path for each, path in displaced.items() if each.path not in old}
        refuse_displaced(version, displaced)
        old_paths = {each.path for each in known}
        note_unknown(request, [each for each in unknown if each.path not in old_paths])

    def _created_response(
        self, api: Api, operation: Operation, request: Request, result: WriteResult
    ) -> Response:
        kind = operation.kind
        if monitors.is_requested(request.headers, self._writer.policy_of(kind)):
            path = monitors.monitor_path(api.contract.base_path, kind, result.id)
            return monitors.accepted_response(request.base_url + path)
        return self._renderer.response(kind, api.contract.version, request, result, status=201)


def _require_same_resource(after: Any, before: Resource) -> Resource:  # noqa: ANN401
    """Return a changed resource after checking that it is an object with the same identity.

    Raises:
        InvalidBody: It is not an object, or has another ``id`` or ``href`` (HTTP 400).
    """
    if not isinstance(after, dict):
        raise InvalidBody("/: the result of the patch is not an object")
    for name in ("id", "href"):
        if after.get(name) != before[name]:
            raise InvalidBody(f"/{name}: only the server sets this attribute")
    return after


def _with_untouched_members(after: Any, typed: Resource, before: Resource) -> Any:  # noqa: ANN401
    """Return a changed resource, with the unchanged members as they were before.

    Args:
        after: The result of the change of ``typed``.
        typed: The resource with the types of its nested objects added.
        before: The resource without them.
    """
    if not isinstance(after, dict):
        return after
    return {
        name: before[name] if name in before and value == typed.get(name) else value
        for name, value in after.items()
    }


def path_filter(operation: Operation) -> dict[str, Any]:
    """Return the query for the types on an operation's path; empty for the path of a whole kind.

    TMF639 v4 has separate paths for physical and logical resources.
    """
    types = subtypes_of(operation.kind, operation.schema)
    if not types:
        return {}
    return {"$or": [{f"body.{name}": {"$in": types}} for name in ("@type", "@baseType")]}


def _consumed(items: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the items; each can be freed as soon as it has been used."""
    items.reverse()
    while items:
        yield items.pop()
