"""The base of all writes: policies, request contexts, repositories and writable documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tmf_apis.errors import Forbidden, NotFound
from tmf_apis.rest.pipeline.after_commit import AfterCommit
from tmf_apis.rest.pipeline.documents import READ_PROJECTION, DocumentBuilder
from tmf_apis.rest.pipeline.ids import new_id
from tmf_apis.rest.pipeline.party_guard import PartyGuard
from tmf_apis.rest.pipeline.policy import Repository, RequestContext, Resource, ResourcePolicy
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms
from tmf_apis.security.identity import Identity
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.security.request_origin import RequestOrigin, current_origin
from tmf_apis.store.named_locks import NamedLocks
from tmf_apis.store.resources import Document, ResourceStore

#: Creates the repository of an identity; the first argument is the writer that it writes through.
MakeRepository = Callable[[Any, Identity, RequestContext], Repository]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A resource after a write.

    Attributes:
        id: Its id.
        rev: Its version.
        body: Its stored form.
        json_fragments: The JSON of each API version, starting after the base URL of the href.
        is_changed: Whether the write changed anything.
        document: The stored document as ``READ_PROJECTION`` reads it; None if it may be outdated.
    """

    id: str
    rev: int
    body: Resource
    json_fragments: Mapping[str, bytes]
    is_changed: bool = True
    document: Document | None = None


class WriteAccess:
    """Gives writes access to policies, request contexts, repositories and writable documents."""

    def __init__(
        self,
        resources: ResourceStore,
        builder: DocumentBuilder,
        flags: Mapping[str, bool],
        make_repository: MakeRepository,
        guard: PartyGuard | None = None,
    ) -> None:
        """Store the collaborators.

        Args:
            resources: The collections.
            builder: Builds documents by the policies of the kinds.
            flags: The operator's settings that policies depend on.
            make_repository: Creates the repository that a policy reads and writes through.
            guard: Checks what parties name and set; default: one that knows no contract.
        """
        self.resources = resources
        self._builder = builder
        self._flags = flags
        self._make_repository = make_repository
        self.guard = guard or PartyGuard(resources, builder, ())
        self._locks = NamedLocks(resources.database)
        self._after_commit = AfterCommit(resources, builder.policy_of, self.repository_for)

    @property
    def kinds(self) -> KindRegistry:
        """The kinds that are served."""
        return self._builder.kinds

    @property
    def personal_attributes(self) -> PersonalAttributes:
        """The table of personal attributes."""
        return self._builder.personal_attributes

    @property
    def forms(self) -> ServedForms:
        """The forms of the kinds in each version."""
        return self._builder.forms

    def policy_of(self, kind: str) -> ResourcePolicy:
        """Return a kind's policy; a kind without one gets a policy that allows everything."""
        return self._builder.policy_of(kind)

    def repository_for(self, identity: Identity, context: RequestContext) -> Repository:
        """Return a repository that sees and changes what an identity may."""
        return self._make_repository(self, identity, context)

    def request_context(
        self,
        identity: Identity,
        version: str = "v5",
        *,
        system: bool = False,
        origin: RequestOrigin | None = None,
    ) -> RequestContext:
        """Return the context of a request that an identity makes now.

        Args:
            identity: The client.
            version: The API version of the request.
            system: The server itself makes the request.
            origin: The origin for the audit log; None: that of the current request.
        """
        return RequestContext(
            now=datetime.now(UTC),
            version=version,
            subject=identity.subject,
            flags=self._flags,
            system=system,
            make_id=new_id,
            parties=identity.parties,
            origin=current_origin.get() if origin is None else origin,
            scopes=identity.scopes,
        )

    def _read_writable(
        self, identity: Identity, kind: str, id: str, extra_filter: Mapping[str, Any] | None
    ) -> Document:
        """Return the document of a resource that an identity may change.

        Raises:
            NotFound: There is none that the identity may see (HTTP 404).
            Forbidden: The identity may see but not change it (HTTP 403).
        """
        extra = extra_filter or {}
        query = {**identity.write_filter(), **extra}
        document = self.resources.find_one(kind, query, id, READ_PROJECTION)
        if document is None:
            readable = {**identity.read_filter(), **extra}
            if self.resources.find_one(kind, readable, id, {"_id": 1}) is not None:
                raise Forbidden(f"only the operator can change {kind} {id}")
            raise NotFound(f"there is no {kind} {id}")
        return document

    def _read_writable_many(
        self, identity: Identity, kind: str, ids: Iterable[str]
    ) -> list[Document]:
        if not (keys := [f"{identity.tenant}:{id}" for id in ids]):
            return []
        query = {"_id": {"$in": keys}, **identity.write_filter()}
        return self.resources.find_many(kind, query, READ_PROJECTION)

    @contextmanager
    def _check_and_write(
        self,
        identity: Identity,
        kind: str,
        change: tuple[Resource | None, Resource],
        context: RequestContext,
    ) -> Iterator[None]:
        """Make the policy's check and the write in the context one step, if the policy asks for it.

        The check has succeeded before; it is repeated while others wait.

        Raises:
            TmfError: The check refuses the change now.
        """
        policy = self.policy_of(kind)
        name = policy.exclusive(*change, context)
        if not name:
            yield
            return
        with self._locks.hold(identity.tenant, name):
            if policy.check:
                policy.check(self._tenant_repository(identity, context), *change)
            yield

    def _tenant_repository(self, identity: Identity, context: RequestContext) -> Repository:
        """Return a repository that sees the whole tenant, for the checks of a policy.

        Its context is that of the client, so that a check knows for whom it decides.
        """
        return self.repository_for(Identity(identity.subject, identity.tenant), context)
