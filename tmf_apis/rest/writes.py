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
from tmf_apis.rest.idempotency import Idempotency
from tmf_apis.rest.ids import new_id
from tmf_apis.rest.law import Circumstances, Desk, Law, Resource, rfc3339
from tmf_apis.rest.owners import party_ids
from tmf_apis.rest.representation import texts
from tmf_apis.rest.views.steps import Transform
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.store import bulk
from tmf_apis.store.model import GONE
from tmf_apis.store.resources import Document, Resources, same, taken

log = logging.getLogger(__name__)

#: How often a change without a precondition is tried when others change the resource too.
ATTEMPTS = 12
#: What a change needs to know of a document.
READ = {"id": 1, "rev": 1, "body": 1, "owner": 1, "loose": 1, "todo": 1}
_PLAIN = Law()

Edit = Callable[[Resource], Resource]
Change = tuple[Document, list[Document]]


@dataclass(frozen=True, slots=True)
class Written:
    """A resource as it stands after a write.

    Attributes:
        id: Its id.
        rev: Its version.
        body: Its stored form.
        text: Each version's JSON behind the base URL.
        changed: Whether there was anything to write.
        document: What is stored now, as ``READ`` reads it; None where that is not known.
    """

    id: str
    rev: int
    body: Resource
    text: Mapping[str, bytes]
    changed: bool = True
    document: Document | None = None


class Writes:
    """Creates, changes and deletes resources."""

    def __init__(
        self, resources: Resources, laws: Mapping[str, Law], flags: Mapping[str, bool]
    ) -> None:
        self.resources = resources
        self._laws = laws
        self._flags = flags
        self.desk: Callable[[Identity, Circumstances], Desk]
        #: For each kind, what gives nested objects the types that v5 must have.
        self.complete: Mapping[str, Transform] = {}

    def law(self, kind: str) -> Law:
        """Return a kind's law; one that allows everything where no room has any."""
        return self._laws.get(kind, _PLAIN)

    def circumstances(
        self, identity: Identity, version: str = "v5", *, system: bool = False
    ) -> Circumstances:
        """Return what rules may depend on, as of now."""
        return Circumstances(
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
        circumstances: Circumstances,
        *,
        idempotency: Idempotency | None = None,
        check: Callable[[Resource], None] | None = None,
    ) -> Written:
        """Make a resource.

        Args:
            identity: Who asks.
            kind: The kind.
            resource: Its stored form; an ``id`` in it is taken as it is.
            circumstances: Time, version and who asks.
            idempotency: The request's key, kept with the resource.
            check: A last look at what would be stored (the contract's types).

        Raises:
            Conflict: The id is taken.
            Forbidden: A party may not make resources of this kind.
        """
        law = self.law(kind)
        id = str(resource.get("id") or new_id())
        body = self._lawful(law, kind, {**resource, "id": id}, circumstances)
        if law.check:
            law.check(self._staff(identity, circumstances), None, body)
        if law.act and not circumstances.system:
            survey = self._staff if law.surveys else self.desk
            body = law.act(survey(identity, circumstances), body)
        if check:
            check(body)
        document = self._document(identity, kind, id, body, loose=_loose(circumstances))
        key, body, text = document["_id"], document["body"], document["text"]
        document["events"] = [
            outbox.created(
                kind, body, tenant=identity.tenant, id=id, rev=1,
                parties=document["parties"], now=circumstances.now,
            )
        ]  # fmt: skip
        document |= {"idem": idempotency.kept(text)} if idempotency else {}
        todo = law.after is not None and law.concerns(None, body)
        if todo:
            document["todo"] = {"old": None, "at": circumstances.timestamp, "rev": 1}
        try:
            self.resources.insert(kind, document)
        except DuplicateKeyError as error:
            if idempotency and "idem" in str(error.details):
                raise
            raise taken(kind, id) from None
        if todo:
            change = (None, {**body, "id": id})
            self._afterwards(identity, circumstances, kind, (key, 1), change)
        return Written(id, 1, body, text, document=_as_read(document))

    def document(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        circumstances: Circumstances,
        check: Callable[[Resource], None] | None = None,
    ) -> Document:
        """Return what is stored for a new resource, for those who store many at once.

        What the law looks up in other resources is not looked up, and nobody is told of it: a
        loader brings whole what belongs together.

        Args:
            identity: Whose it becomes.
            kind: The kind.
            resource: Its stored form; an ``id`` in it is taken as it is.
            circumstances: Time, version and who asks.
            check: A last look at what would be stored (the contract's types).

        Raises:
            TmfError: The law or ``check`` refuses it.
        """
        id = str(resource.get("id") or new_id())
        body = self._lawful(self.law(kind), kind, {**resource, "id": id}, circumstances)
        if check:
            check(body)
        return self._document(identity, kind, id, body, loose=_loose(circumstances))

    def rehearse(
        self,
        identity: Identity,
        kind: str,
        resource: Resource,
        circumstances: Circumstances,
        check: Callable[[Resource], None],
    ) -> tuple[Resource, Mapping[str, Any]]:
        """Return what a new resource would be, and what would become of it; nothing is written.

        Raises:
            InvalidQuery: Resources of this kind cannot be tried (HTTP 400).
            TmfError: As if it were made.
        """
        law = self.law(kind)
        if law.rehearse is None:
            raise InvalidQuery(f"dryRun: a {kind} cannot be tried")
        id = str(resource.get("id") or new_id())
        body = self._lawful(law, kind, {**resource, "id": id}, circumstances)
        staff = self._staff(identity, circumstances)
        if law.check:
            law.check(staff, None, body)
        check(body)
        self._document(identity, kind, id, body, loose=_loose(circumstances))
        return body, law.rehearse(staff, self.desk(identity, circumstances), {**body, "id": id})

    def create_many(
        self,
        identity: Identity,
        kind: str,
        resources: Iterable[Resource],
        circumstances: Circumstances,
    ) -> tuple[list[Document], set[str]]:
        """Make many resources with their events.

        Other resources are neither looked at nor follow; see ``document``.

        Returns:
            What was stored, and the ids of those that were there already.

        Raises:
            TmfError: The law refuses one of them; nothing is written then.
            Unavailable: The database does not answer; some may be written (HTTP 503).
        """
        documents = [self.document(identity, kind, one, circumstances) for one in resources]
        for one in documents:
            one["events"] = [
                outbox.created(
                    kind, one["body"], tenant=identity.tenant, id=one["id"], rev=1,
                    parties=one["parties"], now=circumstances.now,
                )
            ]  # fmt: skip
        there = set[str]()
        for start in range(0, len(documents), bulk.BATCH):
            there |= bulk.insert(self.resources, kind, documents[start : start + bulk.BATCH])
        return [one for one in documents if one["_id"] not in there], {
            key.partition(":")[2] for key in there
        }

    def _document(
        self, identity: Identity, kind: str, id: str, body: Resource, *, loose: bool
    ) -> Document:
        law, body = self.law(kind), _members(body)
        parties = self._parties(law, {**body, "id": id})
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
            "text": texts(kind, id, body, self.complete.get(kind) if loose else None),
        }
        if loose:
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
        circumstances: Circumstances,
        *,
        precondition: Callable[[int], bool] | None = None,
        within: Mapping[str, Any] | None = None,
        known: Document | None = None,
    ) -> Written:
        """Change a resource by a function of its stored form.

        Args:
            identity: Who asks.
            kind: The kind.
            id: The resource's id.
            edit: From the stored form with its id to the new one; called again when somebody
                else was faster.
            circumstances: Time, version and who asks.
            precondition: Whether the resource's version is one that the client accepts.
            within: A further part of the query that the resource must match.
            known: The document as the client has read it a moment ago: it need not be read again
                if nobody has changed it since.

        Raises:
            NotFound: There is none that the client may see.
            Forbidden: The client may see but not change it.
            PreconditionFailed: ``precondition`` says no.
            Stale: Others kept changing it.
        """
        if known and (
            written := self._changed_as_known(identity, kind, known, edit, circumstances)
        ):
            return written
        for attempt in range(ATTEMPTS):
            document = self._writable(identity, kind, id, within)
            if precondition and not precondition(document["rev"]):
                raise PreconditionFailed(f"{kind} {id} is at version {document['rev']}")
            old = {**document["body"], "id": id}
            new = self._edited(identity, kind, old, edit, circumstances)
            if new is None:
                return Written(id, document["rev"], _members(old), {}, changed=False)
            if written := self._replace(identity, kind, document, new, circumstances):
                self._follow(identity, kind, document, (written.rev, new), circumstances)
                return written
            time.sleep(0.001 * attempt)
        raise Stale(f"{kind} {id} was changed by others {ATTEMPTS} times in a row; try again")

    def change_many(
        self,
        identity: Identity,
        kind: str,
        edits: Mapping[str, Edit],
        circumstances: Circumstances,
        known: Sequence[Document] = (),
    ) -> dict[str, Resource]:
        """Change resources by functions of their stored forms, in one go where nobody interferes.

        Args:
            identity: Who asks.
            kind: The kind.
            edits: Functions by the ids of the resources; each may be called again.
            circumstances: Time, version and who asks.
            known: All of them as the client has read them a moment ago, as of ``change``.

        Returns:
            The stored forms, with their ids, of those that are there.

        Raises:
            TmfError: As ``change`` does; some may be changed then.
        """
        made, changes = self._as_known(identity, kind, known, edits, circumstances)
        if not made:
            found = self._documents(identity, kind, edits)
            made, changes = self._prepared(identity, kind, found, edits, circumstances)
        if self.resources.replace_many(kind, [(one, *how) for one, _, how in changes]):
            for document, new, _ in changes:
                self._follow(identity, kind, document, (document["rev"] + 1, new), circumstances)
            return made
        for document, _, _ in changes:  # those that are done are not written again
            id = document["id"]
            try:
                written = self.change(identity, kind, id, edits[id], circumstances)
            except NotFound:
                del made[id]
            else:
                made[id] = {**written.body, "id": id}
        return made

    def _as_known(
        self,
        identity: Identity,
        kind: str,
        known: Sequence[Document],
        edits: Mapping[str, Edit],
        circumstances: Circumstances,
    ) -> tuple[dict[str, Resource], list[tuple[Document, Resource, Change]]]:
        """Return as ``_prepared`` does, but nothing where it may say it of what is over."""
        with suppress(Exception):
            made, changes = self._prepared(identity, kind, known, edits, circumstances)
            if len(changes) == len(edits):
                return made, changes
        return {}, []

    def _prepared(
        self,
        identity: Identity,
        kind: str,
        documents: Iterable[Document],
        edits: Mapping[str, Edit],
        circumstances: Circumstances,
    ) -> tuple[dict[str, Resource], list[tuple[Document, Resource, Change]]]:
        """Return what becomes of resources by their ids, and what has to be written for it."""
        made, changes = dict[str, Resource](), list[tuple[Document, Resource, Change]]()
        for document in documents:
            old = {**document["body"], "id": document["id"]}
            new = self._edited(identity, kind, old, edits[old["id"]], circumstances)
            made[old["id"]] = old if new is None else new
            if new is not None:
                change = self._change_of(identity, kind, document, new, circumstances)
                changes.append((document, new, change))
        return made, changes

    def _documents(self, identity: Identity, kind: str, ids: Iterable[str]) -> list[Document]:
        access = identity.writable()
        keys = [f"{identity.tenant}:{id}" for id in ids]
        return self.resources.many(kind, {"_id": {"$in": keys}, **access}, READ) if keys else []

    def _changed_as_known(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        edit: Edit,
        circumstances: Circumstances,
    ) -> Written | None:
        """Change a resource that may have been changed meanwhile; None: look at it again."""
        old = {**document["body"], "id": document["id"]}
        try:
            new = self._edited(identity, kind, old, edit, circumstances)
        except Exception:  # noqa: BLE001 - whatever an edit says, it may say it of what is over
            return None
        if new is None:
            return None
        written = self._replace(identity, kind, document, new, circumstances)
        if written:
            self._follow(identity, kind, document, (written.rev, new), circumstances)
        return written

    def _edited(
        self, identity: Identity, kind: str, old: Resource, edit: Edit, circumstances: Circumstances
    ) -> Resource | None:
        """Return what becomes of a resource, held to the law; None: nothing."""
        law, new = self.law(kind), edit(old)
        if same(new, old):
            return None
        new = self._legal(law, kind, old, new, circumstances)
        if same(new, old):
            return None
        if law.check:
            law.check(self._staff(identity, circumstances), old, new)
        return new

    def _follow(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        written: tuple[int, Resource],
        circumstances: Circumstances,
    ) -> None:
        """Do what follows from a change, if anything does.

        Args:
            identity: Who asked.
            kind: The kind.
            document: What was changed.
            written: Its version, and what it is by now.
            circumstances: Time, version and who asks.
        """
        law, (rev, new) = self.law(kind), written
        old = {**document["body"], "id": document["id"]}
        if law.after and law.concerns(old, new):
            self._afterwards(identity, circumstances, kind, (document["_id"], rev), (old, new))

    def delete(  # noqa: PLR0913
        self,
        identity: Identity,
        kind: str,
        id: str,
        circumstances: Circumstances,
        *,
        precondition: Callable[[int], bool] | None = None,
        within: Mapping[str, Any] | None = None,
    ) -> None:
        """Delete a resource; its delete event is kept until it is delivered.

        Raises:
            NotFound: There is none that the client may see.
            Forbidden: The client may see but not change it.
            Conflict: The law keeps it.
        """
        law = self.law(kind)
        for _ in range(ATTEMPTS):
            document = self._writable(identity, kind, id, within)
            if precondition and not precondition(document["rev"]):
                raise PreconditionFailed(f"{kind} {id} is at version {document['rev']}")
            old = {**document["body"], "id": id}
            if law.on_delete:
                law.on_delete(old, circumstances)
            if law.check:
                law.check(self._staff(identity, circumstances), old, None)
            parties = sorted({*self._parties(law, old), *document.get("owner", ())})
            event = outbox.deleted(
                kind, document["body"], tenant=identity.tenant, id=id, rev=document["rev"] + 1,
                parties=parties, now=circumstances.now,
            )  # fmt: skip
            key, rev = document["_id"], document["rev"]
            follow = law.after is not None and law.concerns(old, None)
            todo = _todo(document, rev + 1, circumstances) if follow else None
            if self.resources.remove(kind, key, rev, [event], todo):
                if follow:
                    self._afterwards(identity, circumstances, kind, (key, rev + 1), (old, None))
                return
        raise Stale(f"{kind} {id} was changed by others {ATTEMPTS} times in a row; try again")

    def _lawful(
        self, law: Law, kind: str, resource: Resource, circumstances: Circumstances
    ) -> Resource:
        """Return a new resource with the server's attributes, its first state and defaults."""
        if not circumstances.system:
            resource = {k: v for k, v in resource.items() if k not in law.server_owned}
        if machine := law.lifecycle:
            wanted = resource.get(machine.attribute)
            state = machine.start(kind, wanted, system=circumstances.system)
            resource[machine.attribute] = state
        resource.setdefault("@type", kind)
        return law.on_create(resource, circumstances)

    def _legal(
        self, law: Law, kind: str, old: Resource, new: Resource, circumstances: Circumstances
    ) -> Resource:
        if new.get("id") != old["id"]:
            raise InvalidBody("/id: the id of a resource does not change")
        if not circumstances.system:
            for name in law.server_owned:
                if new.get(name) != old.get(name):
                    raise InvalidBody(f"/{name}: kept by the server and cannot be set")
        if machine := law.lifecycle:
            before, after = old.get(machine.attribute), new.get(machine.attribute)
            if after is None and before is not None:
                raise InvalidBody(f"/{machine.attribute}: cannot be removed")
            if before is not None and after is not None:
                machine.move(kind, before, after, system=circumstances.system)
        return law.on_change(old, new, circumstances)

    def _replace(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        new: Resource,
        circumstances: Circumstances,
    ) -> Written | None:
        changes, events = self._change_of(identity, kind, document, new, circumstances)
        if not self.resources.replace(kind, document, changes, events):
            return None
        rev = document["rev"] + 1
        now = _as_read({**document, **changes, "rev": rev})
        return Written(document["id"], rev, changes["body"], changes["text"], document=now)

    def _change_of(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        new: Resource,
        circumstances: Circumstances,
    ) -> Change:
        """Return what is written where a resource changes, and the events that tell of it."""
        law = self.law(kind)
        body = _members(new)
        id, rev = document["id"], document["rev"]
        parties = sorted({*self._parties(law, new), *document.get("owner", ())})
        loose = document.get("loose") or _loose(circumstances)
        text = texts(kind, id, body, self.complete.get(kind) if loose else None)
        events = outbox.changes(
            kind, document["body"], body, tenant=identity.tenant, id=id, rev=rev + 1,
            parties=parties, now=circumstances.now, states=law.states,
            news=law.news(document["body"], body) if law.news else (),
        )  # fmt: skip
        changes: Document = {"body": body, "text": text, "parties": parties}
        if loose:
            changes["loose"] = True
        if law.after and law.concerns(document["body"], body):
            changes["todo"] = _todo(document, rev + 1, circumstances)
        return changes, events

    def _writable(
        self, identity: Identity, kind: str, id: str, within: Mapping[str, Any] | None
    ) -> Document:
        access = identity.writable()
        document = self.resources.one(kind, {**access, **(within or {})}, id, READ)
        if document is None:
            readable = {**identity.readable(), **(within or {})}
            if self.resources.one(kind, readable, id, {"_id": 1}) is not None:
                raise Forbidden(f"{kind} {id} is changed by the operator only")
            raise NotFound(f"there is no {kind} {id}")
        return document

    def _parties(self, law: Law, resource: Resource) -> list[str]:
        """Return whom a resource belongs to.

        Everybody only where the law says so of the whole kind: what a client writes into a
        resource does not open it.
        """
        parties = law.parties or party_ids
        found = {str(party) for party in parties(resource)}
        if EVERYONE in found and EVERYONE not in parties({}):
            found.remove(EVERYONE)
        return sorted(found)

    def _staff(self, identity: Identity, circumstances: Circumstances) -> Desk:
        """Return a desk that sees the whole tenant, for checks and follow-ups of the law."""
        staff = Identity(identity.subject, identity.tenant)
        if not circumstances.system:
            circumstances = replace(circumstances, system=True)
        return self.desk(staff, circumstances)

    def _afterwards(
        self,
        identity: Identity,
        circumstances: Circumstances,
        kind: str,
        written: tuple[str, int],
        change: tuple[Resource | None, Resource | None],
    ) -> None:
        """Do the follow-up of a write, and note that it is done unless a later one waits."""
        after = self.law(kind).after
        assert after is not None  # noqa: S101
        after(self._staff(identity, circumstances), *change)
        self.resources.followed(kind, *written)

    def resume(self, kind: str, before: datetime) -> int:
        """Do the follow-ups of writes whose process died before it had done them.

        Args:
            kind: The kind.
            before: Writes since then may still be under way and are left alone.

        Returns:
            How many there were.
        """
        query = {"todo.at": {"$lt": rfc3339(before)}}
        found = self.resources.many(kind, query, limit=1000)
        return sum(self._resumed(kind, document) for document in found)

    def _resumed(self, kind: str, document: Document) -> bool:
        """Do the follow-up of one write; one that cannot be done waits for the next time."""
        key, id, todo = document["_id"], document["id"], document["todo"]
        identity = Identity("server", key.partition(":")[0])
        old = todo["old"] and {**todo["old"], "id": id}
        new = {**document["body"], "id": id} if document["tenant"] != GONE else None
        circumstances = self.circumstances(identity, system=True)
        try:
            self._afterwards(identity, circumstances, kind, (key, todo["rev"]), (old, new))
        except Unavailable:
            raise
        except TmfError as error:
            log.warning("a follow-up waits: %s", error, extra={"kind": kind, "resource": id})
            return False
        return True


def _todo(document: Document, rev: int, circumstances: Circumstances) -> Document:
    """Return the note of a follow-up: from what the resource was when none was waiting."""
    waiting = document.get("todo")
    old = waiting["old"] if waiting else document["body"]
    return {"old": old, "at": circumstances.timestamp, "rev": rev}


def _as_read(document: Document) -> Document | None:
    """Return what would be read of a document; None where a follow-up will change it."""
    if document.get("todo"):
        return None
    return {name: document[name] for name in ("_id", *READ) if name in document}


def _loose(circumstances: Circumstances) -> bool:
    """Return whether a write may leave out types of nested objects: v5 clients name them all."""
    return circumstances.system or circumstances.version == "v4"


def _members(resource: Resource) -> Resource:
    return {k: v for k, v in resource.items() if k not in {"id", "href"}}
