"""The hub, where clients subscribe to events, and the listeners for events of other systems.

Source: TMF630 part 1, "Notification"; published contracts, ``/hub`` and ``/listener``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tmf_apis.errors import InvalidBody, UnsupportedMediaType
from tmf_apis.events.inbox import Inbox
from tmf_apis.events.signatures import subscription_key
from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest, split_query
from tmf_apis.rest.contracts import texts
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.http import bodies, completion
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.http.handling import note_unknown, note_unknown_names, note_without_effect
from tmf_apis.rest.http.messages import Request, Response, json_response
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.fields import FieldSelection
from tmf_apis.rest.query.unknown_attributes import unknown_attributes
from tmf_apis.settings import Settings
from tmf_apis.store.connection import translate_errors

_MAX_EVENT_ID_LENGTH = 256

Document = dict[str, Any]
QueryCompiler = Callable[[SubscriptionRequest, str], Mapping[str, Any]]


class HubHandlers:
    """The handlers of ``/hub`` and ``/listener`` of every contract."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        inbox: Inbox,
        subscriptions: SubscriptionRepository,
        secret: bytes,
        compile_query: QueryCompiler,
        attributes_of: Callable[[Api], QueryableAttributes],
        settings: Settings,
    ) -> None:
        """Store the collaborators.

        Args:
            inbox: Stores the events of other systems.
            subscriptions: The subscriptions of clients.
            secret: The key of the signatures.
            compile_query: Compiles the query of a subscription.
            attributes_of: Returns the attributes of the notifications of an API.
            settings: The limits.
        """
        self._inbox = inbox
        self._subscriptions = subscriptions
        self._secret = secret
        self._compile_query = compile_query
        self._attributes_of = attributes_of
        self._settings = settings

    def prepare(self) -> None:
        """Create the indexes of the inbox."""
        self._inbox.prepare()

    def subscribe(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle POST /hub: 201 with the subscription and, only here, its signature key."""
        body = self._parse_object(request)
        schema = operation.body_schema or operation.schema
        body = completion.validated_body(api, schema, body, request)
        if node := api.queries.body_node(operation):
            note_unknown(request, unknown_attributes(body, node))
        query = body.get("query") or ""
        fields = split_query(query)[1]
        FieldSelection.parse(fields)
        note_unknown_names(request, fields, self._attributes_of(api))
        note_without_effect(request, sorted({name for name, _ in request.parameters()}))
        subscription = SubscriptionRequest(
            api=api.contract.number,
            version=api.contract.version,
            callback=body["callback"],
            query=query,
            base_url=request.base_url,
            sees_personal_data=request.identity.sees_personal_data,
        )
        with translate_errors():
            document = self._subscriptions.create(
                subscription, request.identity, self._compile_query
            )
        headers = {
            "Location": f"{request.base_url}{api.contract.base_path}/hub/{document['_id']}",
            "X-Hub-Secret": subscription_key(self._secret, document["_id"]),
        }
        return json_response(201, _subscription_resource(api, request, document), headers)

    def list_subscriptions(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Handle GET /hub: the client's own subscriptions to this API."""
        contract = api.contract
        with translate_errors():
            documents = self._subscriptions.list(
                contract.number, contract.version, request.identity
            )
        count = str(len(documents))
        headers = {"X-Total-Count": count, "X-Result-Count": count}
        resources = [_subscription_resource(api, request, document) for document in documents]
        return json_response(200, resources, headers)

    def retrieve_subscription(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Handle GET /hub/{id}."""
        contract = api.contract
        with translate_errors():
            document = self._subscriptions.get(
                request.id, contract.number, contract.version, request.identity
            )
        return json_response(200, _subscription_resource(api, request, document))

    def unsubscribe(self, api: Api, operation: Operation, request: Request) -> Response:  # noqa: ARG002
        """Handle DELETE /hub/{id}: 204."""
        contract = api.contract
        with translate_errors():
            self._subscriptions.delete(
                request.id, contract.number, contract.version, request.identity
            )
        return Response(204)

    def receive_event(self, api: Api, operation: Operation, request: Request) -> Response:
        """Handle POST /listener/...: store the event, once for each client and ``eventId``."""
        body = self._parse_object(request)
        api.schemas.check(operation.body_schema or operation.schema, body)
        event_id = body.get("eventId")
        if not isinstance(event_id, str) or not 0 < len(event_id) <= _MAX_EVENT_ID_LENGTH:
            raise InvalidBody(f"/eventId: expected text of 1 to {_MAX_EVENT_ID_LENGTH} characters")
        event = {
            "eventId": event_id,
            "api": api.contract.number,
            "version": api.contract.version,
            "eventType": body.get("eventType") or operation.event_type,
            "body": body,
        }
        with translate_errors():
            self._inbox.add(request.identity, event)
        return _listener_response(operation, api, request, event_id)

    def _parse_object(self, request: Request) -> Document:
        media_type = bodies.media_type(request.headers)
        if media_type != bodies.JSON:
            raise UnsupportedMediaType(f"{media_type} is not accepted here; send {bodies.JSON}")
        body = bodies.parse(request.body, self._settings)
        if not isinstance(body, dict):
            raise InvalidBody("/: expected an object")
        if texts.may_violate(request.body, self._settings):
            texts.check_texts(body, self._settings)
        return dict(bodies.without_nulls(body))


def _subscription_resource(api: Api, request: Request, document: Document) -> Document:
    """Return a stored subscription as the contract describes it."""
    resource: Document = {"id": document["_id"]}
    if api.contract.version != "v4":
        resource["href"] = f"{request.base_url}{api.contract.base_path}/hub/{document['_id']}"
    resource["callback"] = document["callback"]
    if document["query"]:
        resource["query"] = document["query"]
    if api.contract.version != "v4":
        resource["@type"] = "Hub"
    return resource


def _listener_response(operation: Operation, api: Api, request: Request, event_id: str) -> Response:
    """Return the response of the contract: 204, or in v4 201 with an EventSubscription."""
    responses = api.contract.document["paths"][operation.path]["post"]["responses"]
    if "201" not in responses:
        return Response(204)
    return json_response(201, {"id": event_id, "callback": request.base_url + request.path})
