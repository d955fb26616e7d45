"""Every change of a resource goes through here: law, then one write with its events.

Clients' requests, task operations, jobs and workflows all use the same three functions, so no
door to the data leads around the law.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from tmf_apis.errors import (
    Forbidden,
    InvalidBody,
    InvalidQuery,
    NotFound,
    PreconditionFailed,
    Stale,
    TmfError,
    Unavailable,
)
from tmf_apis.events import outbox
from tmf_apis.rest.http.idempotency import IdempotencyKey
from tmf_apis.rest.pipeline.ids import new_id
from tmf_apis.rest.pipeline.owners import party_ids
from tmf_apis.rest.pipeline.policy import (
    Repository,
    RequestContext,
    Resource,
    ResourcePolicy,
    rfc3339,
)
from tmf_apis.rest.pipeline.representation import json_fragments
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.transforms import Transform
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.store import bulk
from tmf_apis.store.model import DELETED_TENANT
from tmf_apis.store.resources import Document, ResourceStore, duplicate_id, is_same_json

log = logging.getLogger(__name__)

#: How often a change without a precondition is tried when others change the resource too.
MAX_ATTEMPTS = 12
#: What a change needs to know of a document.
READ_PROJECTION = {"id": 1, "rev": 1, "body": 1, "owner": 1, "loose": 1, "todo": 1}
_DEFAULT_POLICY = ResourcePolicy()

Edit = Callable[[Resource], Resource]
DocumentUpdate = tuple[Document, list[Document]]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A resource as it stands after a write.

    Attributes:
        id: Its id.
        rev: Its version.
        body: Its stored form.
        json_fragments: Each version's JSON behind the base URL.
        is_changed: Whether there was anything to write.
        document: What is stored now, as ``READ_PROJECTION`` reads it; None where that is not known.
    """

    id: str
    rev: int
    body: Resource
    json_fragments: Mapping[str, bytes]
    is_changed: bool = True
    document: Document | None = None


class ResourceWriter:
    """Creates, changes and deletes resources."""

    def __init__(
        self,
        resources: ResourceStore,
        policies: Mapping[str, ResourcePolicy],
        flags: Mapping[str, bool],
        kinds: KindRegistry,
    ) -> None:
        self.resources = resources
        self.kinds = kinds
        self._policies = policies
        self._flags = flags
        self.repository_for: Callable[[Identity, RequestContext], Repository]
        #: For each kind, what gives nested objects the types that v5 must have.
        self.type_defaults: Mapping[str, Transform] = {}

    def policy_of(self, kind: str) -> ResourcePolicy:
        """Return a kind's law; one that allows everything where no room has any."""
        return self._policies.get(kind, _DEFAULT_POLICY)

    def request_context(
        self, identity: Identity, version: str = "v5", *, system: bool = False
    ) -> RequestContext:
        """Return what rules may depend on, as of now."""
        return RequestContext(
            now=datetime.now(UTC),
            version=version,
            subject=identity.subject,
            flags=self._flags,
            system=system,
            make_id=new_id,
            parties=identity.parties,
        )

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
        """Make a resource.

        Args:
            identity: Who asks.
            kind: The kind.
            resource: Its stored form; an ``id`` in it is taken as it is.
            context: Time, version and who asks.
            idempotency: The request's key, kept with the resource.
            validate: A last look at what would be stored (the contract's types).

        Raises:
            Conflict: The id is taken.
            Forbidden: A party may not make resources of this kind.
        """
        law = self.policy_of(kind)
        id = str(resource.get("id") or new_id())
        body = self._apply_create_policy(law, kind, {**resource, "id": id}, context)
        if law.check:
            law.check(self._tenant_repository(identity, context), None, body)
        if law.handle and not context.system:
            survey = self._tenant_repository if law.tenant_wide else self.repository_for
            body = law.handle(survey(identity, context), body)
        if validate:
            validate(body)
        document = self._built_document(
            identity, kind, id, body, types_incomplete=_types_incomplete(context)
        )
        key, body, text = document["_id"], document["body"], document["text"]
        document["events"] = [
            outbox.resource_created(
                kind, body, tenant=identity.tenant, id=id, rev=1,
                parties=document["parties"], now=context.now,
            )
        ]  # fmt: skip
        document |= {"idem": idempotency.to_document(text)} if idempotency else {}
        todo = law.after_commit is not None and law.after_commit_if(None, body)
        if todo:
            document["todo"] = {"old": None, "at": context.timestamp, "rev": 1}
        try:
            self.resources.insert(kind, document)
        except DuplicateKeyError as error:
            if idempotency and "idem" in str(error.details):
                raise
            raise duplicate_id(kind, id) from None
        if todo:
            change = (None, {**body, "id": id})
            self._run_after_commit(identity, context, kind, (key, 1), change)
        return WriteResult(id, 1, body, text, document=_cacheable_document(document))

    def new_document(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        validate: Callable[[Resource], None] | None = None,
    ) -> Document:
        """Return what is stored for a new resource, for those who store many at once.

        What the law looks up in other resources is not looked up, and nobody is told of it: a
        loader brings whole what belongs together.

        Args:
            identity: Whose it becomes.
            kind: The kind.
            resource: Its stored form; an ``id`` in it is taken as it is.
            context: Time, version and who asks.
            validate: A last look at what would be stored (the contract's types).

        Raises:
            TmfError: The law or ``validate`` refuses it.
        """
        id = str(resource.get("id") or new_id())
        body = self._apply_create_policy(
            self.policy_of(kind), kind, {**resource, "id": id}, context
        )
        if validate:
            validate(body)
        return self._built_document(
            identity, kind, id, body, types_incomplete=_types_incomplete(context)
        )

    def dry_run(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        context: RequestContext,
        validate: Callable[[Resource], None],
    ) -> tuple[Resource, Mapping[str, Any]]:
        """Return what a new resource would be, and what would become of it; nothing is written.

        Raises:
            InvalidQuery: Resources of this kind cannot be tried (HTTP 400).
            TmfError: As if it were made.
        """
        law = self.policy_of(kind)
        if law.dry_run is None:
            raise InvalidQuery(f"dryRun: a {kind} cannot be tried")
        id = str(resource.get("id") or new_id())
        body = self._apply_create_policy(law, kind, {**resource, "id": id}, context)
        staff = self._tenant_repository(identity, context)
        if law.check:
            law.check(staff, None, body)
        validate(body)
        self._built_document(identity, kind, id, body, types_incomplete=_types_incomplete(context))
        return body, law.dry_run(staff, self.repository_for(identity, context), {**body, "id": id})

    def create_many(
        self,
        identity: Identity,
        kind: str,
        resources: Iterable[Resource],
        context: RequestContext,
    ) -> tuple[list[Document], set[str]]:
        """Make many resources with their events.

        Other resources are neither looked at nor follow; see ``new_document``.

        Returns:
            What was stored, and the ids of those that were there already.

        Raises:
            TmfError: The law refuses one of them; nothing is written then.
            Unavailable: The database does not answer; some may be written (HTTP 503).
        """
        documents = [self.new_document(identity, kind, one, context) for one in resources]
        for one in documents:
            one["events"] = [
                outbox.resource_created(
                    kind, one["body"], tenant=identity.tenant, id=one["id"], rev=1,
                    parties=one["parties"], now=context.now,
                )
            ]  # fmt: skip
        there = set[str]()
        for start in range(0, len(documents), bulk.BATCH_SIZE):
            there |= bulk.insert(self.resources, kind, documents[start : start + bulk.BATCH_SIZE])
        return [one for one in documents if one["_id"] not in there], {
            key.partition(":")[2] for key in there
        }

    def _built_document(
        self, identity: Identity, kind: str, id: str, body: Resource, *, types_incomplete: bool
    ) -> Document:
        law, body = self.policy_of(kind), _stored_body(body)
        parties = self._party_ids(law, {**body, "id": id})
        owner = sorted(identity.parties or ())
        if owner and EVERYONE in parties:
            raise Forbidden(f"a {kind} is made by the operator only")
        document: Document = {
            "_id": f"{identity.tenant}:{id}",
            "tenant": identity.tenant,
            "id": id,
            "rev": 1,
            "parties": sorted({*parties, *owner}),
            "body": body,
            "text": json_fragments(
                self.kinds,
                kind,
                id,
                body,
                self.type_defaults.get(kind) if types_incomplete else None,
            ),
        }
        if types_incomplete:
            document["loose"] = True
        if owner:
            document["owner"] = owner
        return document

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
            identity: Who asks.
            kind: The kind.
            id: The resource's id.
            edit: From the stored form with its id to the new one; called again when somebody
                else was faster.
            context: Time, version and who asks.
            precondition: Whether the resource's version is one that the client accepts.
            extra_filter: A further part of the query that the resource must match.
            cached_document: The document as the client has read it a moment ago: it need not be read again
                if nobody has changed it since.

        Raises:
            NotFound: There is none that the client may see.
            Forbidden: The client may see but not change it.
            PreconditionFailed: ``precondition`` says no.
            Stale: Others kept changing it.
        """
        if cached_document and (
            written := self._change_cached(identity, kind, cached_document, edit, context)
        ):
            return written
        for attempt in range(MAX_ATTEMPTS):
            document = self._read_writable(identity, kind, id, extra_filter)
            if precondition and not precondition(document["rev"]):
                raise PreconditionFailed(f"{kind} {id} is at version {document['rev']}")
            old = {**document["body"], "id": id}
            new = self._edited_resource(identity, kind, old, edit, context)
            if new is None:
                return WriteResult(id, document["rev"], _stored_body(old), {}, is_changed=False)
            if written := self._write_update(identity, kind, document, new, context):
                self._run_after_change(identity, kind, document, (written.rev, new), context)
                return written
            time.sleep(0.001 * attempt)
        raise Stale(f"{kind} {id} was changed by others {MAX_ATTEMPTS} times in a row; try again")

    def change_many(
        self,
        identity: Identity,
        kind: str,
        edits: Mapping[str, Edit],
        context: RequestContext,
        cached_documents: Sequence[Document] = (),
    ) -> dict[str, Resource]:
        """Change resources by functions of their stored forms, in one go where nobody interferes.

        Args:
            identity: Who asks.
            kind: The kind.
            edits: Functions by the ids of the resources; each may be called again.
            context: Time, version and who asks.
            cached_documents: All of them as the client has read them a moment ago, as of ``change``.

        Returns:
            The stored forms, with their ids, of those that are there.

        Raises:
            TmfError: As ``change`` does; some may be changed then.
        """
        made, changes = self._prepare_cached(identity, kind, cached_documents, edits, context)
        if not made:
            found = self._read_writable_many(identity, kind, edits)
            made, changes = self._prepared_updates(identity, kind, found, edits, context)
        if self.resources.replace_many(kind, [(one, *how) for one, _, how in changes]):
            for document, new, _ in changes:
                self._run_after_change(
                    identity, kind, document, (document["rev"] + 1, new), context
                )
            return made
        for document, _, _ in changes:  # those that are done are not written again
            id = document["id"]
            try:
                written = self.change(identity, kind, id, edits[id], context)
            except NotFound:
                del made[id]
            else:
                made[id] = {**written.body, "id": id}
        return made

    def _prepare_cached(
        self,
        identity: Identity,
        kind: str,
        cached_documents: Sequence[Document],
        edits: Mapping[str, Edit],
        context: RequestContext,
    ) -> tuple[dict[str, Resource], list[tuple[Document, Resource, DocumentUpdate]]]:
        """Return as ``_prepared_updates`` does, but nothing where it may say it of what is over."""
        with suppress(Exception):
            made, changes = self._prepared_updates(identity, kind, cached_documents, edits, context)
            if len(changes) == len(edits):
                return made, changes
        return {}, []

    def _prepared_updates(
        self,
        identity: Identity,
        kind: str,
        documents: Iterable[Document],
        edits: Mapping[str, Edit],
        context: RequestContext,
    ) -> tuple[dict[str, Resource], list[tuple[Document, Resource, DocumentUpdate]]]:
        """Return what becomes of resources by their ids, and what has to be written for it."""
        made, changes = dict[str, Resource](), list[tuple[Document, Resource, DocumentUpdate]]()
        for document in documents:
            old = {**document["body"], "id": document["id"]}
            new = self._edited_resource(identity, kind, old, edits[old["id"]], context)
            made[old["id"]] = old if new is None else new
            if new is not None:
                change = self._document_update(identity, kind, document, new, context)
                changes.append((document, new, change))
        return made, changes

    def _read_writable_many(
        self, identity: Identity, kind: str, ids: Iterable[str]
    ) -> list[Document]:
        access = identity.write_filter()
        keys = [f"{identity.tenant}:{id}" for id in ids]
        return (
            self.resources.find_many(kind, {"_id": {"$in": keys}, **access}, READ_PROJECTION)
            if keys
            else []
        )

    def _change_cached(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        edit: Edit,
        context: RequestContext,
    ) -> WriteResult | None:
        """Change a resource that may have been changed meanwhile; None: look at it again."""
        old = {**document["body"], "id": document["id"]}
        try:
            new = self._edited_resource(identity, kind, old, edit, context)
        except Exception:  # noqa: BLE001 - whatever an edit says, it may say it of what is over
            return None
        if new is None:
            return None
        written = self._write_update(identity, kind, document, new, context)
        if written:
            self._run_after_change(identity, kind, document, (written.rev, new), context)
        return written

    def _edited_resource(
        self, identity: Identity, kind: str, old: Resource, edit: Edit, context: RequestContext
    ) -> Resource | None:
        """Return what becomes of a resource, held to the law; None: nothing."""
        law, new = self.policy_of(kind), edit(old)
        if is_same_json(new, old):
            return None
        new = self._apply_change_policy(law, kind, old, new, context)
        if is_same_json(new, old):
            return None
        if law.check:
            law.check(self._tenant_repository(identity, context), old, new)
        return new

    def _run_after_change(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        written: tuple[int, Resource],
        context: RequestContext,
    ) -> None:
        """Do what follows from a change, if anything does.

        Args:
            identity: Who asked.
            kind: The kind.
            document: What was changed.
            written: Its version, and what it is by now.
            context: Time, version and who asks.
        """
        law, (rev, new) = self.policy_of(kind), written
        old = {**document["body"], "id": document["id"]}
        if law.after_commit and law.after_commit_if(old, new):
            self._run_after_commit(identity, context, kind, (document["_id"], rev), (old, new))

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
        """Delete a resource; its delete event is kept until it is delivered.

        Raises:
            NotFound: There is none that the client may see.
            Forbidden: The client may see but not change it.
            Conflict: The law keeps it.
        """
        law = self.policy_of(kind)
        for _ in range(MAX_ATTEMPTS):
            document = self._read_writable(identity, kind, id, extra_filter)
            if precondition and not precondition(document["rev"]):
                raise PreconditionFailed(f"{kind} {id} is at version {document['rev']}")
            old = {**document["body"], "id": id}
            if law.on_delete:
                law.on_delete(old, context)
            if law.check:
                law.check(self._tenant_repository(identity, context), old, None)
            parties = sorted({*self._party_ids(law, old), *document.get("owner", ())})
            event = outbox.resource_deleted(
                kind, document["body"], tenant=identity.tenant, id=id, rev=document["rev"] + 1,
                parties=parties, now=context.now,
            )  # fmt: skip
            key, rev = document["_id"], document["rev"]
            follow = law.after_commit is not None and law.after_commit_if(old, None)
            todo = _pending_side_effect(document, rev + 1, context) if follow else None
            if self.resources.remove(kind, key, rev, [event], todo):
                if follow:
                    self._run_after_commit(identity, context, kind, (key, rev + 1), (old, None))
                return
        raise Stale(f"{kind} {id} was changed by others {MAX_ATTEMPTS} times in a row; try again")

    def _apply_create_policy(
        self, policy: ResourcePolicy, kind: str, resource: Resource, context: RequestContext
    ) -> Resource:
        """Return a new resource with the server's attributes, its first state and defaults."""
        if not context.system:
            resource = {k: v for k, v in resource.items() if k not in policy.server_owned}
        if machine := policy.lifecycle:
            wanted = resource.get(machine.attribute)
            state = machine.initial_state(kind, wanted, system=context.system)
            resource[machine.attribute] = state
        resource.setdefault("@type", kind)
        return policy.on_create(resource, context)

    def _apply_change_policy(
        self,
        policy: ResourcePolicy,
        kind: str,
        old: Resource,
        new: Resource,
        context: RequestContext,
    ) -> Resource:
        if new.get("id") != old["id"]:
            raise InvalidBody("/id: the id of a resource does not change")
        if not context.system:
            for name in policy.server_owned:
                if new.get(name) != old.get(name):
                    raise InvalidBody(f"/{name}: kept by the server and cannot be set")
        if machine := policy.lifecycle:
            before, after = old.get(machine.attribute), new.get(machine.attribute)
            if after is None and before is not None:
                raise InvalidBody(f"/{machine.attribute}: cannot be removed")
            if before is not None and after is not None:
                machine.transition(kind, before, after, system=context.system)
        return policy.on_change(old, new, context)

    def _write_update(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        new: Resource,
        context: RequestContext,
    ) -> WriteResult | None:
        changes, events = self._document_update(identity, kind, document, new, context)
        if not self.resources.replace(kind, document, changes, events):
            return None
        rev = document["rev"] + 1
        now = _cacheable_document({**document, **changes, "rev": rev})
        return WriteResult(document["id"], rev, changes["body"], changes["text"], document=now)

    def _document_update(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        new: Resource,
        context: RequestContext,
    ) -> DocumentUpdate:
        """Return what is written where a resource changes, and the events that tell of it."""
        law = self.policy_of(kind)
        body = _stored_body(new)
        id, rev = document["id"], document["rev"]
        parties = sorted({*self._party_ids(law, new), *document.get("owner", ())})
        loose = document.get("loose") or _types_incomplete(context)
        defaults = self.type_defaults.get(kind) if loose else None
        text = json_fragments(self.kinds, kind, id, body, defaults)
        events = outbox.change_events(
            kind, document["body"], body, tenant=identity.tenant, id=id, rev=rev + 1,
            parties=parties, now=context.now, state_attributes=law.state_event_attributes,
            extra_events=law.extra_events(document["body"], body) if law.extra_events else (),
        )  # fmt: skip
        changes: Document = {"body": body, "text": text, "parties": parties}
        if loose:
            changes["loose"] = True
        if law.after_commit and law.after_commit_if(document["body"], body):
            changes["todo"] = _pending_side_effect(document, rev + 1, context)
        return changes, events

    def _read_writable(
        self, identity: Identity, kind: str, id: str, extra_filter: Mapping[str, Any] | None
    ) -> Document:
        access = identity.write_filter()
        document = self.resources.find_one(
            kind, {**access, **(extra_filter or {})}, id, READ_PROJECTION
        )
        if document is None:
            readable = {**identity.read_filter(), **(extra_filter or {})}
            if self.resources.find_one(kind, readable, id, {"_id": 1}) is not None:
                raise Forbidden(f"{kind} {id} is changed by the operator only")
            raise NotFound(f"there is no {kind} {id}")
        return document

    def _party_ids(self, policy: ResourcePolicy, resource: Resource) -> list[str]:
        """Return whom a resource belongs to.

        Everybody only where the law says so of the whole kind: what a client writes into a
        resource does not open it.
        """
        parties = policy.parties or party_ids
        found = {str(party) for party in parties(resource)}
        if EVERYONE in found and EVERYONE not in parties({}):
            found.remove(EVERYONE)
        return sorted(found)

    def _tenant_repository(self, identity: Identity, context: RequestContext) -> Repository:
        """Return a desk that sees the whole tenant, for checks and follow-ups of the law."""
        staff = Identity(identity.subject, identity.tenant)
        if not context.system:
            context = replace(context, system=True)
        return self.repository_for(staff, context)

    def _run_after_commit(
        self,
        identity: Identity,
        context: RequestContext,
        kind: str,
        written: tuple[str, int],
        change: tuple[Resource | None, Resource | None],
    ) -> None:
        """Do the follow-up of a write, and note that it is done unless a later one waits."""
        after = self.policy_of(kind).after_commit
        assert after is not None  # noqa: S101
        after(self._tenant_repository(identity, context), *change)
        self.resources.clear_side_effect(kind, *written)

    def resume_after_commits(self, kind: str, before: datetime) -> int:
        """Do the follow-ups of writes whose process died before it had done them.

        Args:
            kind: The kind.
            before: Writes since then may still be under way and are left alone.

        Returns:
            How many there were.
        """
        query = {"todo.at": {"$lt": rfc3339(before)}}
        found = self.resources.find_many(kind, query, limit=1000)
        return sum(self._resume_after_commit(kind, document) for document in found)

    def _resume_after_commit(self, kind: str, document: Document) -> bool:
        """Do the follow-up of one write; one that cannot be done waits for the next time."""
        key, id, todo = document["_id"], document["id"], document["todo"]
        identity = Identity("server", key.partition(":")[0])
        old = todo["old"] and {**todo["old"], "id": id}
        new = {**document["body"], "id": id} if document["tenant"] != DELETED_TENANT else None
        circumstances = self.request_context(identity, system=True)
        try:
            self._run_after_commit(identity, circumstances, kind, (key, todo["rev"]), (old, new))
        except Unavailable:
            raise
        except TmfError as error:
            log.warning("a follow-up waits: %s", error, extra={"kind": kind, "resource": id})
            return False
        return True


def _pending_side_effect(document: Document, rev: int, context: RequestContext) -> Document:
    """Return the note of a follow-up: from what the resource was when none was waiting."""
    waiting = document.get("todo")
    old = waiting["old"] if waiting else document["body"]
    return {"old": old, "at": context.timestamp, "rev": rev}


def _cacheable_document(document: Document) -> Document | None:
    """Return what would be read of a document; None where a follow-up will change it."""
    if document.get("todo"):
        return None
    return {name: document[name] for name in ("_id", *READ_PROJECTION) if name in document}


def _types_incomplete(context: RequestContext) -> bool:
    """Return whether a write may leave out types of nested objects: v5 clients name them all."""
    return context.system or context.version == "v4"


def _stored_body(resource: Resource) -> Resource:
    return {k: v for k, v in resource.items() if k not in {"id", "href"}}
