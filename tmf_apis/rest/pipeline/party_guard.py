"""Authorization of what a party names and sets in a resource.

The direct way to a resource is closed by the filter of each query. This module closes the ways
through a body: references to resources of others, attributes that the operator decides, and parties
that would own the resource. Every write of a client goes through it, a dry run included. Staff, and
the server itself, are not restricted.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tmf_apis.errors import Forbidden, InvalidBody, NotFound, listed_faults, shortened
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.reference_schema import ReferenceSchema
from tmf_apis.rest.pipeline import decided_attributes
from tmf_apis.rest.pipeline.documents import DocumentBuilder
from tmf_apis.rest.pipeline.named_references import (
    HrefResolver,
    NamedReference,
    ReferenceExtractor,
)
from tmf_apis.rest.pipeline.party_ownership import check_kept_owners, check_owners
from tmf_apis.rest.pipeline.party_rules import Access, Setter
from tmf_apis.rest.pipeline.policy import RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.pipeline.reference_lookup import ReferenceLookup
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.store.resources import Document, ResourceStore

#: Access to a target that the client acts on.
_ACTING = frozenset({Access.OWN, Access.CREATED})
#: Most references to other resources that one request of a party may add.
DEFAULT_REFERENCE_LIMIT = 1000


class PartyGuard:
    """Checks the writes of clients that act for parties."""

    def __init__(
        self,
        resources: ResourceStore,
        builder: DocumentBuilder,
        contracts: Iterable[Contract],
        *,
        reference_limit: int = DEFAULT_REFERENCE_LIMIT,
    ) -> None:
        """Store the collaborators.

        Args:
            resources: Finds the targets of references.
            builder: Has the policies of the kinds and the roles that own a resource.
            contracts: The contracts of all APIs.
            reference_limit: Most references that one request may add.
        """
        self._builder = builder
        self._limit = reference_limit
        contracts = list(contracts)
        self._hrefs = HrefResolver(contracts)
        self._roots = _schemas_by_kind(contracts)
        self._extractors: dict[str, ReferenceExtractor] = {}
        #: Kinds that every party reads: a reference to them needs no look at the database.
        self._public = frozenset(kind for kind in self._roots if is_public(builder.policy_of(kind)))
        rules = {kind: builder.policy_of(kind).party_rules for kind in self._roots}
        self._lookup = ReferenceLookup(resources, rules)

    def extractor(self, kind: str) -> ReferenceExtractor:
        """Return the extractor of the references of a kind."""
        if kind not in self._extractors:
            schema = ReferenceSchema(kind, self._roots.get(kind, ()), self._roots.keys())
            rules = self._builder.policy_of(kind).party_rules
            self._extractors[kind] = ReferenceExtractor(schema, rules, self._hrefs)
        return self._extractors[kind]

    def check_create(
        self, identity: Identity, kind: str, resource: Resource, context: RequestContext
    ) -> None:
        """Check a new resource before any policy sees it.

        Raises:
            Forbidden: The operator decides an attribute, or another party would own it (HTTP 403).
            NotFound: There is no such target that the party may see (HTTP 404).
            InvalidBody: There are too many references (HTTP 400).
        """
        if identity.parties is None or context.system:
            return
        policy = self._builder.policy_of(kind)
        sent = {name: v for name, v in resource.items() if name not in policy.server_owned}
        if is_read_only(policy):
            raise Forbidden(
                f"only the operator can create a {kind}: the token must not have a party"
            )
        decided_attributes.check_new(policy.party_rules, policy.lifecycle, sent)
        check_owners(None, sent, identity.parties, self._builder.owner_roles)
        self._check_references(identity, self.extractor(kind).added(None, sent))

    def check_change(
        self,
        identity: Identity,
        kind: str,
        document: Document,
        new: Resource,
        context: RequestContext,
    ) -> None:
        """Check a change of a resource before any policy sees it.

        Args:
            identity: The client.
            kind: The kind.
            document: The document as it was read.
            new: The requested stored form, with its id.
            context: The request.

        Raises:
            Forbidden: The operator decides an attribute, or the owners would change (HTTP 403).
            NotFound: There is no such target that the party may see (HTTP 404).
            InvalidBody: There are too many references (HTTP 400).
        """
        if identity.parties is None:
            return
        policy = self._builder.policy_of(kind)
        old = {**document["body"], "id": document["id"]}
        is_creator = _is_creator(identity, document)
        if context.system:  # a task of the party
            decided_attributes.check_created(policy.party_rules, old, new, is_creator=is_creator)
            return
        decided_attributes.check_changed(
            policy.party_rules, policy.lifecycle, old, new, is_creator=is_creator
        )
        roles = self._builder.owner_roles
        check_owners(old, new, identity.parties, roles)
        check_kept_owners(
            document.get("parties", ()), self._builder.parties_after(kind, document, new)
        )
        self._check_references(identity, self.extractor(kind).added(old, new))

    def check_delete(
        self, identity: Identity, kind: str, document: Document, context: RequestContext
    ) -> None:
        """Check that a party may delete a resource.

        Raises:
            Forbidden: Only the operator, or only its creator, may delete it (HTTP 403).
        """
        if identity.parties is None or context.system:
            return
        policy = self._builder.policy_of(kind)
        deleted_by = policy.party_rules.deleted_by
        if is_read_only(policy) or deleted_by is Setter.OPERATOR:
            raise Forbidden(f"only the operator can delete a {kind}")
        if deleted_by is Setter.CREATOR and not _is_creator(identity, document):
            raise Forbidden(f"only its creator and the operator can delete this {kind}")

    def _check_references(self, identity: Identity, added: Sequence[NamedReference]) -> None:
        """Check the references that a request adds, with one query for each kind.

        A target of another party and one that does not exist have the same error. Every party
        sees the whole catalogue; whether an unknown offering is refused is up to the operator
        (``TMF_CHECK_REFERENCES``).
        """
        added = [r for r in added if r.kind not in self._public or r.access in _ACTING]
        if not added:
            return
        if len(added) > self._limit:
            raise InvalidBody(
                f"/: {len(added)} references to other resources; allowed: {self._limit}"
            )
        visible = self._lookup.find(identity, added)
        if missing := [r for r in added if (r.kind, r.id) not in visible]:
            raise NotFound(
                listed_faults(
                    f"{r.pointer}: there is no {r.kind} {shortened(r.id)}" for r in missing
                )
            )
        for reference in added:
            target = visible[reference.kind, reference.id]
            owners = target.creators if reference.access is Access.CREATED else target.parties
            if reference.access in _ACTING and not identity.acts_for(owners):
                raise Forbidden(
                    f"{reference.pointer}: only the operator can act on"
                    f" {reference.kind} {shortened(reference.id)}"
                )


def is_read_only(policy: ResourcePolicy) -> bool:
    """Return whether parties can only read the resources of a kind."""
    return is_public(policy) or policy.party_rules.is_read_only


def is_public(policy: ResourcePolicy) -> bool:
    """Return whether every party reads the resources of a kind."""
    return policy.parties is not None and EVERYONE in policy.parties({})


def _is_creator(identity: Identity, document: Document) -> bool:
    return identity.acts_for(document.get("owner", ()))


def _schemas_by_kind(
    contracts: Iterable[Contract],
) -> dict[str, list[tuple[Mapping[str, Any], str]]]:
    """Return the documents and schemas that serve each kind."""
    schemas: dict[str, dict[tuple[int, str], tuple[Mapping[str, Any], str]]] = {}
    for contract in contracts:
        for operation in contract.operations:
            if operation.kind:
                key = (id(contract.document), operation.schema)
                schema = (contract.document, operation.schema)
                schemas.setdefault(operation.kind, {})[key] = schema
    return {kind: list(roots.values()) for kind, roots in schemas.items()}
