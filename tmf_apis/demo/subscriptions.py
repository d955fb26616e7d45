"""Hub subscriptions of the demo operator: for each API one to read and one to end."""

from typing import TYPE_CHECKING

from tmf_apis.events.subscriptions import SubscriptionRequest
from tmf_apis.rest.contracts.contract import event_types
from tmf_apis.security.identity import Identity

if TYPE_CHECKING:
    from tmf_apis.app import Engine

#: Number of subscriptions of each API and version.
_NUMBERS = ("1", "2")


def subscription_id(api: str, version: str, number: str) -> str:
    """Return the id of a subscription.

    >>> subscription_id("TMF622", "v5", "1")
    'subscription-tmf622-v5-1'
    """
    return f"subscription-{api.lower()}-{version}-{number}"


def load_subscriptions(engine: "Engine") -> None:
    """Store the subscriptions; they are disabled, because nobody listens at their callbacks."""
    identity = Identity("demo", engine.settings.default_tenant)
    for contract in engine.contracts:
        for number in _NUMBERS:
            request = SubscriptionRequest(
                api=contract.number,
                version=contract.version,
                callback=f"http://127.0.0.1:9000/demo/{number}",
                query=f"eventType={min(event_types(contract))}",
            )
            id = subscription_id(contract.number, contract.version, number)
            engine.subscriptions.load_disabled(id, request, identity)
