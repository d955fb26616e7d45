"""Every write of a resource: policy first, then one document write with its events.

Requests of clients, task operations, jobs and workflows all use the same methods, so no write
bypasses a policy. ``policy_application`` and ``documents`` are the pure part, ``creation`` adds new
resources, and ``after_commit`` runs the follow-ups.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tmf_apis.errors import NotFound, PreconditionFailed, Stale
from tmf_apis.rest.pipeline.body_queries import body_query
from tmf_apis.rest.pipeline.creation import ResourceCreator
from tmf_apis.rest.pipeline.dependents import (
    MAX_NAMED_DEPENDENTS,
    blocking_filter,
    refuse_deletion,
)
from tmf_apis.rest.pipeline.documents import (
    DocumentUpdate,
    cacheable_document,
    pending_side_effect,
    resource_of,
)
from tmf_apis.rest.pipeline.policy import RequestContext, Resource
from tmf_apis.rest.pipeline.policy_application import (
    changed_resource,
    check_deletion,
    needs_after_commit,
)
from tmf_apis.rest.pipeline.write_access import WriteResult
from tmf_apis.security.identity import Identity
from tmf_apis.store.resources import Document, is_same_json
from tmf_apis.store.usage import body_size

#: Attempts at a change while other clients change the same resource.
MAX_ATTEMPTS = 12

Edit = Callable[[Resource], Resource]


class ResourceWriter(ResourceCreator):
    """Creates, changes and deletes resources."""

    def change(  # noqa: PLR0913
        self,
        identity: Identity,
        kind: str,
        id: str,
        edit: Edit,
        context: RequestContext,
        *,
        precondition: Callable[[int], bool] | None = None,
        extra_filter: Mapping[str, Any] | None = None,
        cached_document: Document | None = None,
    ) -> WriteResult:
        """Change a resource by a function of its stored form.

        Args:
            identity: The client.
            kind: The kind.
            id: The resource's id.
            edit: Returns the new stored form from the old one with its id; called again if
                another client has changed the resource meanwhile.
            context: The request.
            precondition: Returns whether the client accepts the resource's version.
            extra_filter: A further part of the query that the resource must match.
            cached_document: The document as the client has recently read it. It is read again only
                if it has changed since.

        Raises:
            NotFound: There is none that the client may see (HTTP 404).
            Forbidden: The client may see but not change it (HTTP 403).
            PreconditionFailed: ``precondition`` returned False (HTTP 412).
            Stale: Other clients changed it at each attempt (HTTP 409).
        """
        if cached_document and (
            result := self._change_cached(identity, kind, cached_document, edit, context)
        ):
            return result
        for attempt in range(MAX_ATTEMPTS):
            document = self._read_writable(identity, kind, id, extra_filter)
            _check_precondition(kind, document, precondition)
            update = self._prepare_update(identity, kind, document, edit, context)
            if update is None:
                return WriteResult(id, document["rev"], document["body"], {}, is_changed=False)
            if result := self._write_update(identity, kind, update, context):
                return result
            time.sleep(0.001 * attempt)
        raise _stale(kind, id)

    def change_many(
        self,
        identity: Identity,
        kind: str,
        edits: Mapping[str, Edit],
        context: RequestContext,
        cached_documents: Sequence[Document] = (),
    ) -> dict[str, Resource]:
        """Change resources by functions of their stored forms, in one bulk write where possible.

        Args:
            identity: The client.
            kind: The kind.
            edits: Functions by the ids of the resources; each may be called again.
            context: The request.
            cached_documents: All of the documents as the client has recently read them, see
                ``change``; empty: they are read first.

        Returns:
            The stored forms, with their ids, of the resources that exist.

        Raises:
            TmfError: As ``change`` does; some may be changed then.
        """
        updates = self._prepare_cached(identity, kind, cached_documents, edits, context)
        changed = {update.document["id"]: update.resource for update in updates}
        if not updates:
            for document in self._read_writable_many(identity, kind, edits):
                id = document["id"]
                update = self._prepare_update(identity, kind, document, edits[id], context)
                changed[id] = update.resource if update else resource_of(document)
                updates += [update] if update else []
        exclusive = self.policy_of(kind).exclusive
        is_locked = any(exclusive(resource_of(u.document), u.resource, context) for u in updates)
        if not is_locked and self.resources.replace_many(
            kind, [(u.document, u.changes, u.events) for u in updates]
        ):
            for update in updates:
                self._follow_up(identity, kind, update, context)
            return changed
        for update in updates:  # repeating an edit that has been written changes nothing
            id = update.document["id"]
            try:
                result = self.change(identity, kind, id, edits[id], context)
            except NotFound:
                del changed[id]
            else:
                changed[id] = {**result.body, "id": id}
        return changed

    def delete(  # noqa: PLR0913
        self,
        identity: Identity,
        kind: str,
        id: str,
        context: RequestContext,
        *,
        precondition: Callable[[int], bool] | None = None,
        extra_filter: Mapping[str, Any] | None = None,
    ) -> None:
        """Delete a resource; its delete event is stored until it is delivered.

        Raises:
            NotFound: There is none that the client may see (HTTP 404).
            Forbidden: The client may see but not delete it (HTTP 403).
            PreconditionFailed: ``precondition`` returned False (HTTP 412).
            Conflict: The policy refuses the deletion (HTTP 409).
            Stale: Other clients changed it at each attempt (HTTP 409).
        """
        policy = self.policy_of(kind)
        for _ in range(MAX_ATTEMPTS):
            document = self._read_writable(identity, kind, id, extra_filter)
            _check_precondition(kind, document, precondition)
            old, key, rev = resource_of(document), document["_id"], document["rev"]
            self.guard.check_delete(identity, kind, document, context)
            check_deletion(policy, old, context)
            self._refuse_while_needed(identity, kind, document, context)
            if policy.check:
                policy.check(self._tenant_repository(identity, context), old, None)
            event = self._builder.deletion_event(identity, kind, document, context)
            has_follow_up = needs_after_commit(policy, old, None)
            marker = pending_side_effect(document, rev + 1, context) if has_follow_up else None
            if self.resources.remove(kind, key, rev, [event], marker):
                self.resources.record_bytes(identity.tenant, -body_size(document["body"]))
                if has_follow_up:
                    change = (old, None)
                    self._after_commit.run(identity, context, kind, (key, rev + 1), change)
                return
        raise _stale(kind, id)

    def _refuse_while_needed(
        self, identity: Identity, kind: str, document: Document, context: RequestContext
    ) -> None:
        """Check that no other resource rests on one that is to be deleted.

        Raises:
            Conflict: Another resource rests on it; the message names those that the client can
                read (HTTP 409).
        """
        id, tenant = document["id"], identity.tenant
        parties = self._builder.parties_after(kind, document, resource_of(document))
        allowed = blocking_filter(identity, parties)
        documents: list[Document] = []
        for dependents in self.policy_of(kind).needed_by:
            if context.system and not dependents.blocks_server:
                continue
            query = {"$and": [allowed, body_query(dependents.query(id), tenant)]}
            documents += self.resources.find_many(
                dependents.kind,
                {"_id": {"$ne": document["_id"]}, **query},
                {"id": 1, "body.name": 1, "parties": 1},
                limit=MAX_NAMED_DEPENDENTS + 1,
            )
            if len(documents) > MAX_NAMED_DEPENDENTS:
                break
        refuse_deletion(f"{kind} {id}", [_visible_part(identity, row) for row in documents])

    def resume_after_commits(self, kind: str, before: datetime) -> int:
        """Run the follow-ups of writes whose process died before it ran them.

        Args:
            kind: The kind.
            before: Only writes before this time count; later ones may still be in progress.

        Returns:
            The number of completed follow-ups.

        Raises:
            Unavailable: The database does not answer (HTTP 503).
        """
        return self._after_commit.resume(
            kind, before, lambda identity: self.request_context(identity, system=True)
        )

    def _prepare_update(
        self, identity: Identity, kind: str, document: Document, edit: Edit, context: RequestContext
    ) -> DocumentUpdate | None:
        """Return the update of an edit, checked by the policy; None if the edit changes nothing."""
        policy, old = self.policy_of(kind), resource_of(document)
        new = edit(old)
        if is_same_json(new, old):
            return None
        self.guard.check_change(identity, kind, document, new, context)
        new = changed_resource(policy, kind, old, new, context)
        if is_same_json(new, old):
            return None
        if policy.check:
            policy.check(self._tenant_repository(identity, context), old, new)
        return self._builder.update(identity, kind, document, new, context)

    def _prepare_cached(
        self,
        identity: Identity,
        kind: str,
        documents: Iterable[Document],
        edits: Mapping[str, Edit],
        context: RequestContext,
    ) -> list[DocumentUpdate]:
        """Return the update of each document; empty if an edit fails or changes nothing.

        The cached documents may be stale, so a failure proves nothing.
        """
        updates = []
        try:
            for document in documents:
                edit = edits[document["id"]]
                if update := self._prepare_update(identity, kind, document, edit, context):
                    updates.append(update)
        except Exception:  # noqa: BLE001 - the edit is repeated on the current document
            return []
        return updates if len(updates) == len(edits) else []

    def _change_cached(
        self, identity: Identity, kind: str, document: Document, edit: Edit, context: RequestContext
    ) -> WriteResult | None:
        """Change a resource using its cached document; return None if it has to be read again."""
        edits = {document["id"]: edit}
        updates = self._prepare_cached(identity, kind, [document], edits, context)
        return self._write_update(identity, kind, updates[0], context) if updates else None

    def _write_update(
        self, identity: Identity, kind: str, update: DocumentUpdate, context: RequestContext
    ) -> WriteResult | None:
        """Write an update and run its follow-up; return None if the document is stale."""
        change = (resource_of(update.document), update.resource)
        with self._check_and_write(identity, kind, change, context):
            is_written = self.resources.replace(
                kind, update.document, update.changes, update.events
            )
        if not is_written:
            return None
        result = WriteResult(
            update.document["id"], update.rev, update.changes["body"], update.changes["text"],
            document=cacheable_document(update.new_document),
        )  # fmt: skip
        self._follow_up(identity, kind, update, context)
        return result

    def _follow_up(
        self, identity: Identity, kind: str, update: DocumentUpdate, context: RequestContext
    ) -> None:
        """Run the follow-up of a change, if the policy has one for it."""
        old, new = resource_of(update.document), update.resource
        if needs_after_commit(self.policy_of(kind), old, new):
            version = (update.document["_id"], update.rev)
            self._after_commit.run(identity, context, kind, version, (old, new))


def _visible_part(identity: Identity, document: Document) -> Resource:
    """Return id and name of a document's resource; nothing if the client cannot read it."""
    if not identity.can_read(document["parties"]):
        return {}
    return {"id": document["id"], "name": document["body"].get("name")}


def _check_precondition(
    kind: str, document: Document, precondition: Callable[[int], bool] | None
) -> None:
    if precondition and not precondition(document["rev"]):
        raise PreconditionFailed(f"{kind} {document['id']} is at version {document['rev']}")


def _stale(kind: str, id: str) -> Stale:
    return Stale(f"{kind} {id} was changed by others {MAX_ATTEMPTS} times in a row; try again")
