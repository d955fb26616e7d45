"""The hub (who wants to be told) and the listeners (what other systems tell).

Source: TMF630 part 1, "Notification"; published contracts, ``/hub`` and ``/listener``.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from tmf_apis.errors import InvalidBody, UnsupportedMediaType
from tmf_apis.events.signatures import subscription_key
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest, split_query
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.http import bodies
from tmf_apis.rest.http.handlers import Api
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.query.fields import FieldSelection
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translate_errors

#: Collection of what other systems have told.
INBOX_COLLECTION = "Notification"
_MAX_EVENT_ID_LENGTH = 256

Document = dict[str, Any]
QueryCompiler = Callable[[SubscriptionRequest, str], Mapping[str, Any]]


class HubHandlers:
    """The operations of ``/hub`` and ``/listener`` of every contract."""

    def __init__(
        self,
        database: Database[Document],
        subscriptions: SubscriptionRepository,
        secret: bytes,
        compile_query: QueryCompiler,
        settings: Settings,
    ) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self._secret = secret
        self._compile_query = compile_query
        self._settings = settings

    def prepare(self) -> None:
        """Make the indexes of the inbox."""
        self._database[INBOX_COLLECTION].create_index([("tenant", 1), ("eventId", 1)], unique=True)
        self._database[INBOX_COLLECTION].create_index([("tenant", 1), ("received", -1)])

    def subscribe(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer POST /hub: 201 with the subscription and, once, the key of its signatures."""
        body = self._parse_object(request)
        api.schemas.check(operation.body_schema or operation.schema, body)
        query = body.get("query") or ""
        FieldSelection.parse(split_query(query)[1])
        wanted = SubscriptionRequest(
            api=api.contract.number,
            version=api.contract.version,
            callback=body["callback"],
            query=query,
            base_url=request.base_url,
        )
        with translate_errors():
            document = self._subscriptions.create(wanted, request.identity, self._compile_query)
        shown = self._subscription_resource(api, request, document)
        headers = {
            "Location": f"{request.base_url}{api.contract.base_path}/hub/{document['_id']}",
            "X-Hub-Secret": subscription_key(self._secret, document["_id"]),
        }
        return json_response(201, shown, headers)

    def list_subscriptions(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Answer GET /hub: the client's own subscriptions to this API."""
        contract = api.contract
        with translate_errors():
            found = self._subscriptions.list(contract.number, contract.version, request.identity)
        headers = {"X-Total-Count": str(len(found)), "X-Result-Count": str(len(found))}
        return json_response(
            200, [self._subscription_resource(api, request, one) for one in found], headers
        )

    def retrieve_subscription(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Answer GET /hub/{id}."""
        contract = api.contract
        with translate_errors():
            found = self._subscriptions.get(
                request.id, contract.number, contract.version, request.identity
            )
        return json_response(200, self._subscription_resource(api, request, found))

    def unsubscribe(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Answer DELETE /hub/{id}: 204."""
        contract = api.contract
        with translate_errors():
            self._subscriptions.delete(
                request.id, contract.number, contract.version, request.identity
            )
        return Response(204)

    def receive_event(self, api: Api, operation: Operation, request: Request) -> Response:
        """Answer POST /listener/...: kept once, however often it is sent."""
        body = self._parse_object(request)
        api.schemas.check(operation.body_schema or operation.schema, body)
        event_id = body.get("eventId")
        if not isinstance(event_id, str) or not 0 < len(event_id) <= _MAX_EVENT_ID_LENGTH:
            raise InvalidBody(f"/eventId: expected text of 1 to {_MAX_EVENT_ID_LENGTH} characters")
        answer = _listener_response(operation, api, request, event_id)
        document = {
            "tenant": request.identity.tenant,
            "eventId": event_id,
            "api": api.contract.number,
            "version": api.contract.version,
            "eventType": body.get("eventType") or operation.event_type,
            "subject": request.identity.subject,
            "parties": sorted(request.identity.parties or ()),
            "received": datetime.now(UTC),
            "body": body,
        }
        with translate_errors():
            try:
                self._database[INBOX_COLLECTION].insert_one(document)
            except DuplicateKeyError:
                return answer
        return answer

    def _parse_object(self, request: Request) -> Document:
        kind = bodies.media_type(request.headers)
        if kind != bodies.JSON:
            raise UnsupportedMediaType(f"{kind} is not accepted here; send {bodies.JSON}")
        body = bodies.parse(request.body, self._settings)
        if not isinstance(body, dict):
            raise InvalidBody("/: expected an object")
        return dict(bodies.without_nulls(body))

    def _subscription_resource(self, api: Api, request: Request, document: Document) -> Document:
        shown: Document = {"id": document["_id"]}
        if api.contract.version != "v4":
            shown["href"] = f"{request.base_url}{api.contract.base_path}/hub/{document['_id']}"
        shown["callback"] = document["callback"]
        if document["query"]:
            shown["query"] = document["query"]
        if api.contract.version != "v4":
            shown["@type"] = "Hub"
        return shown


def _listener_response(operation: Operation, api: Api, request: Request, event_id: str) -> Response:
    """Return the answer that the contract has: 204, or in v4 201 with an EventSubscription."""
    responses = api.contract.document["paths"][operation.path]["post"]["responses"]
    if "201" not in responses:
        return Response(204)
    return json_response(201, {"id": event_id, "callback": request.base_url + request.path})
