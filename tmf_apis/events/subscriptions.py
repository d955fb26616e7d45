"""Hub subscriptions: the events that a client wants to receive, and its callback URL.

A subscription is a document of the collection ``Subscription``::

    _id, api, version, callback, query, tenant, subject
    parties   the subscriber's parties; null: the operator, who receives all events of the tenant
    pii       whether the subscriber had the scope ``pii``: it receives personal attributes
    url       the callback URL with its host in ASCII
    base      URL of this server as the subscriber knows it: the start of each href it receives
    fields    the selected fields; empty: all
    filter    the compiled query as MongoDB Extended JSON; absent without a query
    created   time of the registration, UTC
    since     the same as a cluster time of the database, see ``store/write_times.py``
    state     "active" or "disabled"; "disabled" has a ``reason``
    lane      {failures, next, error}: failures in a row, time of the next attempt, last error
    lease     the lease of the process that delivers to it
    same      hash of the members that identify a duplicate registration

A subscription is managed by the operator, and by clients that act for all of its parties: a client
that acts for one of two parties must not read or end what serves the other one, too.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from bson import json_util
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.errors import Conflict, InvalidBody, NotFound, TooManyRequests
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.security.outbound import OutboundPolicy, check_url
from tmf_apis.store import write_times

COLLECTION = "Subscription"

#: How long a client with too many subscriptions should wait, in seconds.
_LIMIT_PAUSE = "60"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """The registration of a subscription by a client.

    Attributes:
        api: The API's number, "TMF622".
        version: "v4" or "v5".
        callback: The URL that receives the events; it is called unchanged.
        query: ``attribute=value&...&fields=a,b``, on the notification; empty: all events.
        base_url: URL of this server as the client knows it.
        sees_personal_data: The client has the scope ``pii``.
    """

    api: str
    version: str
    callback: str
    query: str = ""
    base_url: str = ""
    sees_personal_data: bool = True


#: Compiles the filter of a subscription (its query without ``fields``) to a MongoDB query on the
#: notification; raises ``InvalidBody`` or ``InvalidQuery`` if the filter is invalid.
QueryCompiler = Callable[[SubscriptionRequest, str], Mapping[str, Any]]


def split_query(query: str) -> tuple[str, tuple[str, ...]]:
    """Return the filter and the selected fields of a subscription's query.

    >>> split_query("eventType=ProductOrderStateChangeEvent&fields=eventId,event.productOrder.id")
    ('eventType=ProductOrderStateChangeEvent', ('eventId', 'event.productOrder.id'))
    """
    parts = query.lstrip("?").split("&")
    lists = [part.removeprefix("fields=") for part in parts if part.startswith("fields=")]
    fields = (name.strip() for text in lists for name in unquote_plus(text).split(","))
    filter = "&".join(part for part in parts if part and not part.startswith("fields="))
    return filter, tuple(dict.fromkeys(name for name in fields if name))


class SubscriptionRepository:
    """The subscriptions of one database; a client sees its own only."""

    def __init__(
        self,
        database: Database[Document],
        policy: OutboundPolicy,
        *,
        limit: int,
        client_limit: int = 0,
    ) -> None:
        """Create the repository.

        Args:
            database: The database of the subscriptions.
            policy: Hosts that callbacks may have.
            limit: Most subscriptions of one tenant.
            client_limit: Most subscriptions of one party; 0: any number.
        """
        self._database = database
        self._policy = policy
        self._limit = limit
        self._client_limit = client_limit
        self._audit_log = AuditLog(database)

    @property
    def collection(self) -> Collection[Document]:
        """Return the collection of subscriptions."""
        return self._database[COLLECTION]

    def prepare(self) -> None:
        """Create the indexes; add the parties to the hashes of earlier releases."""
        self.collection.create_index("same", unique=True)
        for document in self.collection.find({"parties": {"$type": "array"}}):
            if (same := _duplicate_hash(document)) != document["same"]:
                self.collection.update_one({"_id": document["_id"]}, {"$set": {"same": same}})
        self.collection.create_index([("tenant", 1), ("api", 1), ("version", 1), ("_id", 1)])

    def create(
        self, request: SubscriptionRequest, identity: Identity, compile_query: QueryCompiler
    ) -> Document:
        """Register a subscription and return its document.

        Raises:
            Forbidden: The client acts for no party (HTTP 403).
            InvalidBody: The callback is not permitted, or the query is invalid (HTTP 400).
            Conflict: The client has registered the same callback and query before (HTTP 409).
            TooManyRequests: The tenant has reached the limit of subscriptions (HTTP 429).
        """
        identity.require_owner()
        try:
            target = check_url(request.callback, self._policy)
        except InvalidBody as error:
            raise InvalidBody(f"/callback: {error.message}") from None
        document = _document(request, identity) | {"url": target.url}
        filter, fields = split_query(request.query)
        document["fields"] = list(fields)
        if filter:
            document["filter"] = self._serialized_filter(compile_query(request, filter))
        self._check_limits(identity)
        try:
            self._audit_log.record_with(
                identity,
                "subscribe",
                lambda session: self.collection.insert_one(document, session=session),
                kind="Hub",
                resource=document["_id"],
            )
        except DuplicateKeyError:
            raise Conflict(f"{request.callback} is already registered with this query") from None
        return document

    def load_disabled(self, id: str, request: SubscriptionRequest, identity: Identity) -> None:
        """Store a subscription that gets no events under a given id, unless it exists."""
        document = _document(request, identity) | {"_id": id, "url": request.callback, "fields": []}
        disabled = {**document, "state": "disabled", "reason": "part of the demo data"}
        self.collection.update_one({"_id": id}, {"$setOnInsert": disabled}, upsert=True)

    def _check_limits(self, identity: Identity) -> None:
        """Check the number of subscriptions of a tenant and of a party.

        Raises:
            TooManyRequests: A limit is reached (HTTP 429).
        """
        is_party = identity.parties is not None
        for name, limit, query in (
            ("tenant", self._limit, {"tenant": identity.tenant}),
            ("client", self._client_limit if is_party else 0, _owner_filter(identity)),
        ):
            has_limit = limit or name == "tenant"
            if has_limit and self.collection.count_documents(query) >= limit:
                raise TooManyRequests(
                    f"a {name} has at most {limit} hub subscriptions",
                    headers={"Retry-After": _LIMIT_PAUSE},
                    limit=f"{name}_hubs",
                )

    def list(self, api: str, version: str, identity: Identity) -> list[Document]:
        """Return the subscriptions of a client to an API, oldest first."""
        query = {**_owner_filter(identity), "api": api, "version": version}
        return list(self.collection.find(query).sort("created", 1).limit(self._limit))

    def get(self, id: str, api: str, version: str, identity: Identity) -> Document:
        """Return one subscription of a client.

        Raises:
            NotFound: The client has no subscription with this id (HTTP 404).
        """
        query = {**_owner_filter(identity), "_id": id, "api": api, "version": version}
        if (document := self.collection.find_one(query)) is None:
            raise NotFound(f"there is no hub subscription {id}")
        return document

    def delete(self, id: str, api: str, version: str, identity: Identity) -> None:
        """End a subscription; its pending deliveries are dropped.

        Raises:
            NotFound: The client has no subscription with this id (HTTP 404).
        """
        query = {**_owner_filter(identity), "_id": id, "api": api, "version": version}

        def remove(session: ClientSession) -> None:
            if not self.collection.delete_one(query, session=session).deleted_count:
                raise NotFound(f"there is no hub subscription {id}")

        self._audit_log.record_with(identity, "unsubscribe", remove, kind="Hub", resource=id)

    def _serialized_filter(self, query: Mapping[str, Any]) -> str:
        """Return a compiled query as text.

        Raises:
            InvalidBody: MongoDB cannot run the query (HTTP 400).
        """
        try:
            self._database.aggregate([{"$documents": [{"eventId": ""}]}, {"$match": query}])
        except OperationFailure as error:
            raise InvalidBody(f"/query: the database refuses it: {error.details}") from error
        return json_util.dumps(query)


def sees_personal_data(subscription: Mapping[str, Any]) -> bool:
    """Return whether a subscriber receives personal attributes.

    Those of earlier releases do if they were registered without authentication.
    """
    return bool(subscription.get("pii", subscription.get("subject") == "anonymous"))


def is_active_at(subscription: Mapping[str, Any], event: PendingEvent) -> bool:
    """Return whether an event was written after a subscription was made.

    Events and subscriptions of earlier releases have no cluster time; the clocks of the servers
    that wrote them are compared then.
    """
    since, written = subscription.get("since"), event.get("written")
    if since and written:
        return bool(written > since)
    created: datetime | None = subscription.get("created")
    if created is None:
        return True
    at = datetime.fromisoformat(event["at"])
    return at >= created.replace(tzinfo=UTC, microsecond=created.microsecond // 1000 * 1000)


def can_see(subscription: Mapping[str, Any], event: PendingEvent) -> bool:
    """Return whether a subscriber is permitted to receive an event."""
    parties = subscription.get("parties")
    return parties is None or not {*parties, EVERYONE}.isdisjoint(event["parties"])


def _document(request: SubscriptionRequest, identity: Identity) -> Document:
    document = {
        "_id": str(uuid.uuid4()),
        "api": request.api,
        "version": request.version,
        "callback": request.callback,
        "query": request.query,
        "base": request.base_url.rstrip("/"),
        "tenant": identity.tenant,
        "parties": identity.owners,
        "pii": identity.sees_personal_data,
        "subject": identity.subject,
        "created": datetime.now(UTC),
        "since": write_times.NOW,
        "state": "active",
        "lane": {"failures": 0},
    }
    return {**document, "same": _duplicate_hash(document)}


def _duplicate_hash(subscription: Mapping[str, Any]) -> str:
    """Return a hash that is the same for two registrations of one client with the same content."""
    names = ("tenant", "subject", "api", "version", "callback", "query")
    key = tuple(subscription[name] for name in names)
    if (parties := subscription["parties"]) is not None:
        key = (*key, *parties)
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _owner_filter(identity: Identity) -> Document:
    """Return the query for the subscriptions that a client manages."""
    if identity.owners is None:
        return {"tenant": identity.tenant}
    all_are_own = {"$type": "array", "$ne": [], "$not": {"$elemMatch": {"$nin": identity.owners}}}
    return {"tenant": identity.tenant, "parties": all_are_own}
