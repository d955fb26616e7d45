"""The MongoDB documents of resources: what a write stores, with its events; pure, no I/O.

``store/model.py`` has the layout.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tmf_apis.errors import Forbidden
from tmf_apis.events import outbox
from tmf_apis.rest.pipeline.audit_records import audit_record
from tmf_apis.rest.pipeline.owners import STANDARD_OWNER_ROLES, OwnerRoles
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.pipeline.policy_application import needs_after_commit, owning_parties
from tmf_apis.rest.pipeline.representation import json_fragments
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.store.resources import Document

#: The members of a document that a change needs.
READ_PROJECTION = dict.fromkeys(
    ("id", "rev", "body", "owner", "parties", "loose", "reshaped", "todo"), 1
)
_CACHED_MEMBERS = ("_id", "seal", *READ_PROJECTION)
_DEFAULT_POLICY = ResourcePolicy()


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """A change of one document.

    Attributes:
        document: The document as it was read.
        resource: The new resource, with its id.
        changes: The members of the document to set.
        events: The events of the change.
    """

    document: Document
    resource: Resource
    changes: Document
    events: list[Document]

    @property
    def rev(self) -> int:
        """The version that the document has after the change."""
        return int(self.document["rev"]) + 1

    @property
    def new_document(self) -> Document:
        """The document after the change."""
        return {**self.document, **self.changes, "rev": self.rev}


class DocumentBuilder:
    """Builds the documents of every kind."""

    def __init__(
        self,
        policies: Mapping[str, ResourcePolicy],
        forms: ServedForms,
        kinds: KindRegistry,
        owner_roles: OwnerRoles = STANDARD_OWNER_ROLES,
        personal_attributes: PersonalAttributes | None = None,
    ) -> None:
        """Store the tables that documents are built from.

        Args:
            policies: The policy of each kind that has one.
            forms: The forms of the kinds in each version.
            kinds: The kinds that are served.
            owner_roles: The roles in which a related party owns a resource.
            personal_attributes: The table of personal attributes; None: the default one.
        """
        self.owner_roles = owner_roles
        self.personal_attributes = personal_attributes or PersonalAttributes()
        self._policies = policies
        self.kinds = kinds
        self.forms = forms

    def policy_of(self, kind: str) -> ResourcePolicy:
        """Return a kind's policy; a kind without one gets a policy that allows everything."""
        return self._policies.get(kind, _DEFAULT_POLICY)

    def new_document(
        self, identity: Identity, kind: str, id: str, resource: Resource, context: RequestContext
    ) -> Document:
        """Return the document of a new resource, without its event.

        Raises:
            Forbidden: A party may not create resources of this kind, or the client acts for no
                party (HTTP 403).
        """
        identity.require_owner()
        body = stored_body(resource)
        parties = owning_parties(self.policy_of(kind), {**body, "id": id}, self.owner_roles)
        owner = identity.owners
        if owner is not None and (EVERYONE in parties or self._is_staff_only(kind, body)):
            raise Forbidden(f"only the operator can create a {kind}")
        if owner and (named := [party for party in owner if party in parties]):
            owner = named  # what a client makes for one of its parties is not the others'
        document: Document = {
            "_id": f"{identity.tenant}:{id}",
            "tenant": identity.tenant,
            "id": id,
            "rev": 1,
            "parties": sorted({*parties, *(owner or ())}),
            "body": body,
        }
        incomplete = _types_incomplete(context)
        document |= self._text(
            kind, id, body, types_incomplete=incomplete, trusted=() if incomplete else ("v5",)
        )
        if owner is not None:
            document["owner"] = owner
        return document

    def parties_after(self, kind: str, document: Document, resource: Resource) -> list[str]:
        """Return the parties to which a document belongs after a change, sorted."""
        owners = owning_parties(self.policy_of(kind), resource, self.owner_roles)
        creator = document.get("owner", ())
        if creator and self._is_staff_only(kind, resource):
            return []
        return sorted({*owners, *creator})

    def _is_staff_only(self, kind: str, resource: Resource) -> bool:
        is_staff_only = self.policy_of(kind).is_staff_only
        return is_staff_only is not None and is_staff_only(resource)

    def creation_event(self, kind: str, document: Document, context: RequestContext) -> Document:
        """Return the create event of a new document."""
        body = document["body"]
        event = outbox.resource_created(
            kind, body, tenant=document["tenant"], id=document["id"], rev=1,
            parties=document["parties"], now=context.now,
        )  # fmt: skip
        event["audit"] = audit_record(self.policy_of(kind), context, None, body)
        return _with_request(event, context)

    def update(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        resource: Resource,
        context: RequestContext,
    ) -> DocumentUpdate:
        """Return the update that stores a changed resource, with its events."""
        policy, old, body = self.policy_of(kind), document["body"], stored_body(resource)
        id, rev = document["id"], document["rev"] + 1
        parties = self.parties_after(kind, document, resource)
        origin: outbox.EventOrigin = {
            "tenant": identity.tenant, "id": id, "rev": rev, "parties": parties, "now": context.now,
        }  # fmt: skip
        events = outbox.change_events(
            kind, old, body, state_attributes=policy.state_event_attributes,
            extra_events=policy.extra_events(old, body) if policy.extra_events else (),
            **origin,
        ) or [outbox.unannounced_write(kind, **origin)]  # fmt: skip
        events[0]["audit"] = audit_record(policy, context, old, body)
        events = [_with_request(event, context) for event in events]
        incomplete = bool(document.get("loose")) or _types_incomplete(context)
        changes: Document = {"body": body, "parties": parties}
        trusted = () if incomplete or is_reshaped(document, "v5") else ("v5",)
        if "reshaped" in document:
            changes["reshaped"] = []
        changes |= self._text(kind, id, body, types_incomplete=incomplete, trusted=trusted)
        if needs_after_commit(policy, old, body):
            changes["todo"] = pending_side_effect(document, rev, context)
        return DocumentUpdate(document, resource, changes, events)

    def deletion_event(
        self, identity: Identity, kind: str, document: Document, context: RequestContext
    ) -> Document:
        """Return the delete event of a document."""
        policy, body = self.policy_of(kind), document["body"]
        event = outbox.resource_deleted(
            kind, body, tenant=identity.tenant, id=document["id"], rev=document["rev"] + 1,
            parties=self.parties_after(kind, document, resource_of(document)), now=context.now,
        )  # fmt: skip
        event["audit"] = audit_record(policy, context, body, None)
        return _with_request(event, context)

    def text_of(self, kind: str, document: Document, body: Resource) -> dict[str, bytes]:
        """Return the JSON of each version of a document with another body."""
        incomplete = bool(document.get("loose"))
        text: dict[str, bytes] = self._text(
            kind, document["id"], body, types_incomplete=incomplete
        )["text"]
        return text

    def _text(
        self,
        kind: str,
        id: str,
        body: Resource,
        *,
        types_incomplete: bool,
        trusted: Collection[str] = (),
    ) -> Document:
        """Return the members of a document that hold the JSON of each version."""
        text, reshaped = json_fragments(
            self.kinds, kind, id, body, self.forms,
            types_incomplete=types_incomplete, trusted=trusted,
        )  # fmt: skip
        members: Document = {"text": text}
        if types_incomplete:
            members["loose"] = True
        if reshaped:
            members["reshaped"] = reshaped
        return members


def is_reshaped(document: Document, version: str) -> bool:
    """Return whether the JSON of a version is not the body as the transforms make it."""
    reshaped = document.get("reshaped")
    if isinstance(reshaped, list):
        return version in reshaped
    return bool(reshaped)  # an earlier release did not store which version


def resource_of(document: Document) -> Resource:
    """Return the stored form of a document's resource, with its id."""
    return {**document["body"], "id": document["id"]}


def _with_request(event: Document, context: RequestContext) -> Document:
    """Return an event that names the request that has caused it; the event is changed."""
    if context.origin.request_id:
        event["request"] = context.origin.request_id
    if context.origin.trace:
        event["trace"] = context.origin.trace
    return event


def stored_body(resource: Resource) -> Resource:
    """Return a resource without the members that are not stored in its body."""
    return {k: v for k, v in resource.items() if k not in {"id", "href"}}


def cacheable_document(document: Document) -> Document | None:
    """Return a document as ``READ_PROJECTION`` reads it; None if ``after_commit`` is pending."""
    if document.get("todo"):
        return None
    return {name: document[name] for name in _CACHED_MEMBERS if name in document}


def pending_side_effect(document: Document, rev: int, context: RequestContext) -> Document:
    """Return the marker of an ``after_commit`` that has not run yet.

    If an earlier one is pending, the marker has the resource before that earlier write.
    """
    pending = document.get("todo")
    old = pending["old"] if pending else document["body"]
    return side_effect_marker(old, rev, context, pending)


def side_effect_marker(
    old: Resource | None, rev: int, context: RequestContext, pending: Document | None = None
) -> Document:
    """Return the marker of an ``after_commit`` with the rights of the client that wrote.

    Args:
        old: The resource before; None: it is new.
        rev: The version after the write.
        context: The request.
        pending: The marker of an earlier write. If one of the two clients is not a party, neither
            counts as one.
    """
    marker: Document = {"old": old, "at": context.timestamp, "rev": rev}
    parties = context.parties
    if parties is None or (pending and pending.get("parties") is None):
        return marker
    earlier = pending["parties"] if pending else ()
    return {**marker, "parties": sorted({*parties, *earlier})}


def _types_incomplete(context: RequestContext) -> bool:
    """Return whether nested objects may lack their types; v5 clients always send them."""
    return context.system or context.version == "v4"
