"""New resources: policy and contract checks, then one insert with the create event."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError

from tmf_apis.errors import InvalidQuery, TmfError, Unavailable
from tmf_apis.rest.pipeline.documents import (
    cacheable_document,
    resource_of,
    side_effect_marker,
)
from tmf_apis.rest.pipeline.idempotency import IdempotencyKey
from tmf_apis.rest.pipeline.ids import new_id
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.pipeline.policy_application import needs_after_commit, new_resource
from tmf_apis.rest.pipeline.write_access import WriteAccess, WriteResult
from tmf_apis.security.identity import Identity
from tmf_apis.store import bulk
from tmf_apis.store.resources import Document, duplicate_id


class ResourceCreator(WriteAccess):
    """Creates resources, one or many at a time."""

    def create(  # noqa: PLR0913
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        *,
        idempotency: IdempotencyKey | None = None,
        validate: Callable[[Resource], None] | None = None,
    ) -> WriteResult:
        """Create a resource.

        Args:
            identity: The client.
            kind: The kind.
            resource: Its stored form; its ``id`` is used if it has one.
            context: The request.
            idempotency: The request's key, stored with the resource.
            validate: Raises an error if the final form violates the contract.

        Raises:
            Conflict: There is already a resource with this id (HTTP 409).
            Forbidden: A party may not create resources of this kind, or not so, or the client acts
                for no party (HTTP 403).
            NotFound: A party names a resource that it cannot see (HTTP 404).
            TmfError: The policy or ``validate`` refuses it.
            DuplicateKeyError: Another request with the idempotency key was faster.
        """
        document = self._checked_document(identity, kind, resource, context, validate)
        if idempotency:
            document["idem"] = idempotency.to_document(document["text"])
        with self._check_and_write(identity, kind, (None, resource_of(document)), context):
            self._insert(kind, document)
        self._run_follow_up(identity, kind, document, context)
        return WriteResult(
            document["id"], 1, document["body"], document["text"],
            document=cacheable_document(document),
        )  # fmt: skip

    def create_each(
        self,
        identity: Identity,
        kind: str,
        resources: Iterable[Resource],
        context: RequestContext,
    ) -> list[TmfError | None]:
        """Create resources as ``create`` does, those that no check refuses in one bulk write.

        The checks see the database as it was before. The ids are different.

        Returns:
            The error of each resource; None if it was created.

        Raises:
            Unavailable: The database does not answer; some may be written (HTTP 503).
        """
        outcomes: list[TmfError | None] = []
        documents: dict[int, Document] = {}
        for number, resource in enumerate(resources):
            outcomes.append(None)
            try:
                documents[number] = self._checked_document(identity, kind, resource, context)
            except Unavailable:
                raise
            except TmfError as error:
                outcomes[number] = error
        existing = bulk.insert(self.resources, kind, list(documents.values()))
        for number, document in documents.items():
            if document["_id"] in existing:
                outcomes[number] = duplicate_id(kind, document["id"])
            else:
                self._run_follow_up(identity, kind, document, context)
        return outcomes

    def _checked_document(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        validate: Callable[[Resource], None] | None = None,
    ) -> Document:
        """Return the document of a new resource, with its event and the marker of its follow-up.

        Raises:
            TmfError: The policy or ``validate`` refuses it.
        """
        identity.require_owner()
        self.guard.check_create(identity, kind, resource, context)
        policy = self.policy_of(kind)
        id, body = _new_body(policy, kind, resource, context)
        if policy.check:
            policy.check(self._tenant_repository(identity, context), None, body)
        if policy.handle and not context.system:
            scope = self._tenant_repository if policy.tenant_wide else self.repository_for
            body = policy.handle(scope(identity, context), body)
        if validate:
            validate(body)
        document = self._builder.new_document(identity, kind, id, body, context)
        document["events"] = [self._builder.creation_event(kind, document, context)]
        if needs_after_commit(policy, None, document["body"]):
            document["todo"] = side_effect_marker(None, 1, context)
        return document

    def _run_follow_up(
        self, identity: Identity, kind: str, document: Document, context: RequestContext
    ) -> None:
        """Run the follow-up of a create, if it has one."""
        if "todo" in document:
            change = (None, resource_of(document))
            self._after_commit.run(identity, context, kind, (document["_id"], 1), change)

    def _insert(self, kind: str, document: Document) -> None:
        """Insert a document.

        Raises:
            Conflict: There is already a resource with this id (HTTP 409).
            DuplicateKeyError: Another request with the idempotency key was faster.
        """
        try:
            self.resources.insert(kind, document)
        except DuplicateKeyError as error:
            if "idem" in document and "idem" in str(error.details):
                raise
            raise duplicate_id(kind, document["id"]) from None

    def new_document(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        validate: Callable[[Resource], None] | None = None,
    ) -> Document:
        """Return the document of a new resource, for callers that store many at once.

        The policy's ``check``, ``handle`` and ``after_commit`` are not called and no event is
        added: a loader stores complete, consistent sets of resources.

        Args:
            identity: The owner.
            kind: The kind.
            resource: Its stored form; its ``id`` is used if it has one.
            context: The request.
            validate: Raises an error if the final form violates the contract.

        Raises:
            TmfError: The policy or ``validate`` refuses it.
        """
        id, body = _new_body(self.policy_of(kind), kind, resource, context)
        if validate:
            validate(body)
        return self._builder.new_document(identity, kind, id, body, context)

    def dry_run(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        validate: Callable[[Resource], None],
    ) -> tuple[Resource, Mapping[str, Any]]:
        """Return the resource that a create would store, and the policy's plan for it.

        Nothing is written.

        Raises:
            InvalidQuery: The kind has no dry run (HTTP 400).
            TmfError: As ``create`` does.
        """
        identity.require_owner()
        policy = self.policy_of(kind)
        if policy.dry_run is None:
            raise InvalidQuery(f"dryRun: {kind} has no dry run")
        self.guard.check_create(identity, kind, resource, context)
        id, body = _new_body(policy, kind, resource, context)
        tenant_wide = self._tenant_repository(identity, context)
        if policy.check:
            policy.check(tenant_wide, None, body)
        validate(body)
        self._builder.new_document(identity, kind, id, body, context)  # raises as a create does
        own = self.repository_for(identity, context)
        return body, policy.dry_run(tenant_wide, own, {**body, "id": id})

    def create_many(
        self,
        identity: Identity,
        kind: str,
        resources: Iterable[Resource],
        context: RequestContext,
    ) -> tuple[list[Document], set[str]]:
        """Create many resources with their events; see ``new_document``.

        Returns:
            The documents that were stored, and the ids of the resources that existed already.

        Raises:
            TmfError: The policy refuses a resource; nothing is written then.
            Unavailable: The database does not answer; some may be written (HTTP 503).
        """
        documents = [self.new_document(identity, kind, new, context) for new in resources]
        for document in documents:
            document["events"] = [self._builder.creation_event(kind, document, context)]
        existing = set[str]()
        for start in range(0, len(documents), bulk.BATCH_SIZE):
            batch = documents[start : start + bulk.BATCH_SIZE]
            existing |= bulk.insert(self.resources, kind, batch)
        stored = [document for document in documents if document["_id"] not in existing]
        return stored, {key.partition(":")[2] for key in existing}


def _new_body(
    policy: ResourcePolicy, kind: str, resource: Resource, context: RequestContext
) -> tuple[str, Resource]:
    """Return the id of a new resource, and its stored form."""
    id = str(resource.get("id") or new_id())
    return id, new_resource(policy, kind, {**resource, "id": id}, context)
