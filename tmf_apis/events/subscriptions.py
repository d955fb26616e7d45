"""Hub subscriptions: who wants to be told what, and where.

A subscription is a document of the collection ``Subscription``::

    _id, api, version, callback, query, tenant, parties (null: the operator's own), subject
    url       the callback as it is called: its host in ASCII
    base      URL of this server as the subscriber knows it: the start of every href it is sent
    fields    the parts it wants; empty: all
    filter    the compiled query as MongoDB Extended JSON; absent without one
    created   when, UTC
    state     "active" or "disabled", with the reason
    lane      {failures, next}: how delivery to it is going
    lease     who delivers to it now
    same      what makes it the same as another one
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from bson import json_util
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from tmf_apis.errors import Conflict, InvalidBody, NotFound, TooManyRequests
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.security.identity import EVERYONE, Identity
from tmf_apis.security.outbound import OutboundPolicy, check_url

COLLECTION = "Subscription"
#: Longest query of a subscription, in characters.
MAX_QUERY_LENGTH = 4096

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """What a client registers.

    Attributes:
        api: The API's number, "TMF622".
        version: "v4" or "v5".
        callback: Where to send; exactly this URL is called.
        query: ``attribute=value&...&fields=a,b``, over the notification; empty: everything.
        base_url: URL of this server as the client knows it.
    """

    api: str
    version: str
    callback: str
    query: str = ""
    base_url: str = ""


#: Turns the filter of a subscription (its query without ``fields``) into a MongoDB query over the
#: notification; raises ``InvalidBody`` or ``InvalidQuery`` where it cannot.
QueryCompiler = Callable[[SubscriptionRequest, str], Mapping[str, Any]]


def split_query(query: str) -> tuple[str, tuple[str, ...]]:
    """Return the filter and the fields of a subscription's query.

    >>> split_query("eventType=ProductOrderStateChangeEvent&fields=eventId,event.productOrder.id")
    ('eventType=ProductOrderStateChangeEvent', ('eventId', 'event.productOrder.id'))
    """
    parts = query.lstrip("?").split("&")
    chosen = [part.removeprefix("fields=") for part in parts if part.startswith("fields=")]
    names = (name.strip() for part in chosen for name in unquote_plus(part).split(","))
    rest = "&".join(part for part in parts if part and not part.startswith("fields="))
    return rest, tuple(dict.fromkeys(name for name in names if name))


class SubscriptionRepository:
    """The subscriptions of one database, each client seeing its own."""

    def __init__(self, database: Database[Document], policy: OutboundPolicy, *, limit: int) -> None:
        """Take the database.

        Args:
            database: Where they lie.
            policy: Where callbacks may lead.
            limit: Most subscriptions of one tenant.
        """
        self._database = database
        self._policy = policy
        self._limit = limit

    @property
    def collection(self) -> Collection[Document]:
        """The documents."""
        return self._database[COLLECTION]

    def prepare(self) -> None:
        """Make the indexes."""
        self.collection.create_index("same", unique=True)
        self.collection.create_index([("tenant", 1), ("api", 1), ("version", 1), ("_id", 1)])

    def create(
        self, request: SubscriptionRequest, identity: Identity, compile_query: QueryCompiler
    ) -> Document:
        """Register a subscription and return its document.

        Raises:
            InvalidBody: The callback leads where the server must not go, or the query is wrong.
            Conflict: The same client has registered exactly this already (HTTP 409).
            TooManyRequests: The tenant has as many as it may (HTTP 429).
        """
        try:
            target = check_url(
                request.callback,
                allow_loopback=self._policy.allow_loopback,
                allowed_hosts=self._policy.allowed_hosts,
            )
        except InvalidBody as error:
            raise InvalidBody(f"/callback: {error.message}") from None
        document = _document(request, identity) | {"url": target.url}
        text, fields = split_query(request.query)
        document["fields"] = list(fields)
        if text:
            document["filter"] = self._serialized_filter(compile_query(request, text))
        if self.collection.count_documents({"tenant": identity.tenant}) >= self._limit:
            raise TooManyRequests(f"a tenant has at most {self._limit} hub subscriptions")
        try:
            self.collection.insert_one(document)
        except DuplicateKeyError:
            raise Conflict(f"{request.callback} is registered with this query already") from None
        return document

    def list(self, api: str, version: str, identity: Identity) -> list[Document]:
        """Return a client's subscriptions to an API, oldest first."""
        query = {**_owner_filter(identity), "api": api, "version": version}
        return list(self.collection.find(query).sort("created", 1).limit(self._limit))

    def get(self, id: str, api: str, version: str, identity: Identity) -> Document:
        """Return one subscription of a client.

        Raises:
            NotFound: It has none with this id (HTTP 404).
        """
        query = {**_owner_filter(identity), "_id": id, "api": api, "version": version}
        if (found := self.collection.find_one(query)) is None:
            raise NotFound(f"there is no hub subscription {id}")
        return found

    def delete(self, id: str, api: str, version: str, identity: Identity) -> None:
        """End a subscription; what waits for it is not delivered any more.

        Raises:
            NotFound: The client has none with this id (HTTP 404).
        """
        query = {**_owner_filter(identity), "_id": id, "api": api, "version": version}
        if not self.collection.delete_one(query).deleted_count:
            raise NotFound(f"there is no hub subscription {id}")

    def _serialized_filter(self, query: Mapping[str, Any]) -> str:
        """Return a compiled query as text, after MongoDB itself has accepted it."""
        try:
            self._database.aggregate([{"$documents": [{"eventId": ""}]}, {"$match": query}])
        except OperationFailure as error:
            raise InvalidBody(f"/query: the database refuses it: {error.details}") from error
        return json_util.dumps(query)


def can_see(subscription: Mapping[str, Any], event: PendingEvent) -> bool:
    """Return whether a subscriber may know of an event."""
    parties = subscription.get("parties")
    return parties is None or not {*parties, EVERYONE}.isdisjoint(event["parties"])


def _document(request: SubscriptionRequest, identity: Identity) -> Document:
    same = (
        identity.tenant, identity.subject, request.api, request.version, request.callback,
        request.query,
    )  # fmt: skip
    return {
        "_id": str(uuid.uuid4()),
        "api": request.api,
        "version": request.version,
        "callback": request.callback,
        "query": request.query,
        "base": request.base_url.rstrip("/"),
        "tenant": identity.tenant,
        "parties": None if identity.parties is None else sorted(identity.parties),
        "subject": identity.subject,
        "created": datetime.now(UTC),
        "state": "active",
        "lane": {"failures": 0},
        "same": hashlib.sha256(repr(same).encode()).hexdigest(),
    }


def _owner_filter(identity: Identity) -> Document:
    if identity.parties is None:
        return {"tenant": identity.tenant}
    return {"tenant": identity.tenant, "parties": {"$in": sorted(identity.parties)}}
