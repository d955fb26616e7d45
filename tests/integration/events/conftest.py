"""Subscriptions of this test's database."""

import pytest

from tmf_apis.events.subscriptions import SubscriptionRepository, SubscriptionRequest
from tmf_apis.security.identity import Identity
from tmf_apis.security.outbound import OutboundPolicy

OPERATOR = Identity("operator", "acme")


def compile_query(_request, text):
    """Compile a filter of equalities; ``name=~pattern`` is a regular expression."""
    pairs = (part.partition("=") for part in text.split("&"))
    return {name: {"$regex": value[1:]} if value[:1] == "~" else value for name, _, value in pairs}


@pytest.fixture
def subscriptions(database):
    """The repository of subscriptions; a tenant can have 10."""
    repository = SubscriptionRepository(database, OutboundPolicy(allow_loopback=True), limit=10)
    repository.prepare()
    return repository


@pytest.fixture
def subscribe(subscriptions):
    """Function that registers a subscription and returns its document."""

    def subscribe(
        query="", *, callback="http://127.0.0.1:9/cb", identity=OPERATOR, api="TMF622", version="v4"
    ):
        request = SubscriptionRequest(
            api=api, version=version, callback=callback, query=query, base_url="b"
        )
        return subscriptions.create(request, identity, compile_query)

    return subscribe
