"""The notifications of every contract: rendering of events, and the queries of subscriptions."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from tmf_apis.errors import InvalidQuery
from tmf_apis.events.envelope import Audience, Json, notification
from tmf_apis.events.outbox import PendingEvent
from tmf_apis.rest.contracts.contract import Contract, Operation, event_types
from tmf_apis.rest.http.api import Api
from tmf_apis.rest.pipeline.representation import identified
from tmf_apis.rest.pipeline.sealing import SealingCodec
from tmf_apis.rest.query.attributes import QueryableAttributes
from tmf_apis.rest.query.event_attributes import EventAttributes
from tmf_apis.rest.query.list_query import ListQueryCompiler
from tmf_apis.rest.query.schema_paths import AttributeType, ValueType
from tmf_apis.rest.views.changed_attributes import ChangedAttributes
from tmf_apis.rest.views.kind_names import lower_first
from tmf_apis.rest.views.kind_registry import KindRegistry
from tmf_apis.rest.views.served_forms import ServedForms

#: Other names that some contracts have for an event.
_EVENT_NAME_ALIASES: Mapping[str, str] = {
    "AttributeValueChange": "Change",
    "Milestone": "MilestoneStateChange",
}
_ENVELOPE_TYPES: Mapping[str, ValueType] = {
    "eventId": "string",
    "eventType": "string",
    "eventTime": "date-time",
    "fieldPath": "string",
}


class NotificationRenderer:
    """Renders the events of one engine as the notifications of its contracts."""

    def __init__(
        self,
        contracts: Iterable[Contract],
        kinds: KindRegistry,
        codec: SealingCodec,
        forms: ServedForms,
    ) -> None:
        """Read the event types of the contracts.

        Args:
            contracts: The contracts of the APIs.
            kinds: The kinds that they serve.
            codec: Decrypts personal values.
            forms: The forms of the kinds in each version.
        """
        contracts = list(contracts)
        self._kinds = kinds
        self._codec = codec
        self._forms = forms
        self._event_types = {c.base_path: event_types(c) for c in contracts}
        self._api_numbers = {o.kind: c.number for c in contracts for o in c.operations}
        self._changed_attributes = ChangedAttributes(contracts)

    def render(self, event: PendingEvent, audience: Audience) -> Json | None:
        """Return an event as the notification of an audience; None if its contract has none."""
        kind, version, kinds = event["kind"], audience.version, self._kinds
        if self._api_numbers.get(kind) != audience.api or not kinds.is_served(kind, version):
            return None
        if (name := self._event_type(event, version)) is None:
            return None
        body = self._codec.open_event(event, masked=not audience.sees_personal_data)
        form, _ = self._forms.form(kind, version, body)
        source = (event["resource"], audience.base_url, body)
        resource = identified(kinds, kind, version, source, form)
        member = kinds.event_member(kind, version, event["body"])
        envelope = notification(event, member, resource, audience) | {"eventType": name}
        if version != "v4":
            envelope["@type"] = name
        if changes := event.get("changes"):
            envelope["fieldPath"] = self._changed_attributes.field_path(kind, version, changes)
        return envelope

    def _event_type(self, event: PendingEvent, version: str) -> str | None:
        """Return the name of an event in a version; None if its contract does not have it."""
        kind, body, kinds = event["kind"], event["body"], self._kinds
        declared = self._event_types[kinds.mount_path(kind, version)]
        changes = (event["what"], _EVENT_NAME_ALIASES.get(event["what"], ""))
        names = (kinds.event_name(version, f"{kind}{name}Event", body) for name in changes if name)
        return next((name for name in names if name in declared), None)


def notification_attributes(
    contract: Contract, api: Api, personal: EventAttributes
) -> QueryableAttributes:
    """Return the attributes that the query of a subscription may name.

    Args:
        contract: The contract.
        api: Its API.
        personal: Its personal attributes.
    """
    return QueryableAttributes(
        type_of=partial(_attribute_type, contract, api.queries),
        stored_values=lambda path, text: (_checked_value(contract, api.queries, path, text),),
        prefix="",
        outside_body={},
        blind_index=personal,
    )


def _checked_value(contract: Contract, queries: ListQueryCompiler, path: str, value: str) -> str:
    """Return a value of a query, in the spelling that resources have.

    Raises:
        InvalidQuery: It is not an event type of the contract (HTTP 400).
    """
    if path in {"eventType", "@type"} and value not in (types := event_types(contract)):
        raise InvalidQuery(
            f"unknown {path} {value[:80]!r}; {contract.number} {contract.version} has"
            f" {', '.join(sorted(types))}"
        )
    _, _, rest = path.partition(".")
    member, _, attribute = rest.partition(".")
    if attribute and (operation := _operation_of(contract, member)):
        return queries.spelling(operation, attribute, value)
    return value


def _operation_of(contract: Contract, member: str) -> Operation | None:
    """Return an operation of the resources that notifications have under a name."""
    return next(
        (o for o in contract.operations if o.kind and lower_first(o.schema) == member), None
    )


def _attribute_type(
    contract: Contract, queries: ListQueryCompiler, path: str
) -> AttributeType | None:
    """Return the type of an attribute of a notification."""
    if path in _ENVELOPE_TYPES:
        return AttributeType(_ENVELOPE_TYPES[path], (False,))
    if path == "@type" and contract.version != "v4":
        return AttributeType("string", (False,))
    event, _, rest = path.partition(".")
    if event != "event":
        return None
    member, _, attribute = rest.partition(".")
    if not member:
        return AttributeType("object", (False,))
    return _member_type(contract, queries, member, attribute)


def _member_type(
    contract: Contract, queries: ListQueryCompiler, member: str, attribute: str
) -> AttributeType | None:
    """Return the type of a resource in a notification, or of one of its attributes."""
    if (operation := _operation_of(contract, member)) is None:
        return None
    if not attribute:
        return AttributeType("object", (False, False))
    type_ = queries.attributes(operation.kind, operation.schema).type_of(attribute)
    if type_ is None:
        return None
    arrays: tuple[Any, ...] = (False, False, *type_.array_segments)
    return AttributeType(type_.value_type, arrays, type_.is_declared)
