"""The parties that the results of an order belong to; pure.

What the order of a party creates belongs to that party only, whoever else the order names.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tmf_apis.ordering.order_schema import OrderSchema
from tmf_apis.rest.pipeline.json_values import json_objects
from tmf_apis.rest.pipeline.owners import STANDARD_OWNER_ROLES, party_ids
from tmf_apis.rest.pipeline.policy import Resource

_RELATED_PARTY = "relatedParty"
#: ``role`` of the orderer on a product or service whose order names no party.
_ROLE = "customer"


def restricted_to_parties(
    order: Resource, parties: frozenset[str], schema: OrderSchema
) -> Resource:
    """Return an order that names no other related parties than those of its client.

    An order that names none of them in an owning role gets all of them.

    Args:
        order: The order.
        parties: The parties of the client that placed it.
        schema: The kind of order.
    """
    own = _own_parties(order, parties)
    if not any(related.get("role") in STANDARD_OWNER_ROLES for related in own):
        own = [*own, *map(_RELATED_PARTY_FORMS[schema.kind], sorted(parties))]

    def restrict(item: Resource) -> Resource:
        new = _restricted(item, parties)
        if isinstance(subject := item.get(schema.subject), Mapping):
            new = {**new, schema.subject: _restricted(subject, parties)}
        return new

    return {**schema.item_schema.map_items(order, restrict), _RELATED_PARTY: own}


def _restricted(holder: Mapping[str, Any], parties: frozenset[str]) -> Resource:
    rest = {name: value for name, value in holder.items() if name != _RELATED_PARTY}
    own = _own_parties(holder, parties)
    is_owner = any(related.get("role") in STANDARD_OWNER_ROLES for related in own)
    return {**rest, _RELATED_PARTY: own} if is_owner else rest


def _own_parties(holder: Mapping[str, Any], parties: frozenset[str]) -> list[Resource]:
    """Return the related parties of a holder that are among some parties."""
    return [
        related
        for related in json_objects(holder.get(_RELATED_PARTY))
        if (ids := set(party_ids({_RELATED_PARTY: [related]}))) and ids <= parties
    ]


def _v4_related_party(id: str) -> Resource:
    return {"id": id, "role": _ROLE, "@referredType": "Party"}


def _v5_related_party(id: str) -> Resource:
    party = {"@type": "PartyRef", "id": id, "@referredType": "Party"}
    return {"@type": "RelatedPartyOrPartyRole", "role": _ROLE, "partyOrPartyRole": party}


#: The stored form of a related party, by kind of order.
_RELATED_PARTY_FORMS: Mapping[str, Callable[[str], Resource]] = {
    "ProductOrder": _v5_related_party,
    "ServiceOrder": _v4_related_party,
}
