"""Admission of requests: the limits of clients, tenants and addresses.

It runs on the event loop before the body of a request is read and before a thread is taken, so that
a refusal costs little. It accounts for a request; it does not authenticate it. A request without a
token that has been verified before counts for its address.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

from tmf_apis.errors import TooManyRequests
from tmf_apis.rest.http.asgi import Receive, Scope, Send, send_response
from tmf_apis.rest.http.messages import error_response
from tmf_apis.rest.http.rates import Account, Limit, RateLimiter
from tmf_apis.rest.http.routing import ACCOUNT
from tmf_apis.rest.http.shared_accounts import SharedAccount, SharedAccounts
from tmf_apis.security.addresses import address_key
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import current_origin
from tmf_apis.settings import Settings

AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Returns the client whose token has been verified before, or None.
KnownClient = Callable[[Mapping[bytes, bytes]], Identity | None]

#: How long a refusal is delayed, in seconds: clients that send the next request when they have the
#: response to the last one are slowed down.
REFUSAL_DELAY = 0.1


class Admission:
    """The limits of the requests to a server."""

    def __init__(
        self,
        settings: Settings,
        known_client: KnownClient,
        count_refusal: Callable[[str], None],
        shared: SharedAccounts | None = None,
    ) -> None:
        """Create the limits; nothing has been counted yet.

        Args:
            settings: The limits.
            known_client: Returns the client of a request by its headers, without verification.
            count_refusal: Called with the name of the limit for each refused request.
            shared: The accounts of all processes of the server; None: it has one process.
        """
        self._known_client = known_client
        self._count_refusal = count_refusal
        self._clients, self._tenants, self._addresses = (
            RateLimiter(limit, shared=shared) for limit in _limits(settings)
        )

    def enter(self, headers: Mapping[bytes, bytes], address: str) -> "AdmittedRequest":
        """Count a request.

        Args:
            headers: Raw headers, by lower-case name.
            address: The address of the client.

        Raises:
            TooManyRequests: A limit is reached (HTTP 429).
        """
        identity = self._known_client(headers)
        if identity is None:
            key = address_key(address)
            accounts = [(self._addresses, self._addresses.account(key))]
            request = AdmittedRequest("", key, accounts)
        else:
            client = f"{identity.tenant} {identity.subject}"
            accounts = [
                (self._clients, self._clients.account(client)),
                (self._tenants, self._tenants.account(identity.tenant)),
            ]
            request = AdmittedRequest(identity.tenant, client, accounts)
        for limiter, account in accounts:
            if limiter.is_concurrency_exceeded(account):
                self._refuse_concurrency(limiter)
            if limiter.is_rate_exceeded(account):
                self._refuse_rate(limiter, account)
        return request

    def _refuse_concurrency(self, limiter: RateLimiter) -> None:
        limit = limiter.limit
        self._count_refusal(f"{limit.name}_concurrency")
        raise TooManyRequests(
            f"this {limit.name} has {limit.concurrency} requests at a time, the most allowed",
            headers={"Retry-After": "1"},
        )

    def _refuse_rate(self, limiter: RateLimiter, account: Account | SharedAccount) -> None:
        limit = limiter.limit
        self._count_refusal(f"{limit.name}_rate")
        raise TooManyRequests(
            f"this {limit.name} may send {limit.rate:g} requests a second",
            headers={
                "Retry-After": str(limiter.retry_after(account)),
                "RateLimit-Policy": limit.policy(),
                "RateLimit": limiter.state(account),
            },
        )


class AdmittedRequest:
    """A request that is within the limits; as a context, it counts while it is answered.

    Attributes:
        tenant: The tenant; empty if the client is not known.
        client: The client within all tenants, or the address.
    """

    def __init__(
        self, tenant: str, client: str, accounts: list[tuple[RateLimiter, Account | SharedAccount]]
    ) -> None:
        self.tenant = tenant
        self.client = client
        self._accounts = accounts

    def __enter__(self) -> Self:
        """Count the request."""
        for _, account in self._accounts:
            account.begin_request()
        return self

    def __exit__(self, *error: object) -> None:
        """Count the end of the request."""
        for _, account in self._accounts:
            account.end_request()

    def with_rate_headers(self, send: Send) -> Send:
        """Return a function that sends a response with what is left of the rates."""
        limited = [pair for pair in self._accounts if pair[0].limit.rate]
        if not limited:
            return send

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policies = ", ".join([limiter.policy for limiter, _ in limited])
                states = ", ".join([limiter.state(account) for limiter, account in limited])
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"ratelimit-policy", policies.encode()),
                    (b"ratelimit", states.encode()),
                ]
            await send(message)

        return send_with_headers


def _limits(settings: Settings) -> tuple[Limit, Limit, Limit]:
    """Return the limits of each client, each tenant and each address."""
    return (
        Limit("client", settings.client_rate, settings.client_burst, settings.client_concurrency),
        Limit("tenant", settings.tenant_rate, settings.tenant_burst, settings.tenant_concurrency),
        Limit("address", settings.address_rate, settings.address_burst, 0),
    )


class AdmissionMiddleware:
    """Answers the requests that are within the limits, and refuses all others."""

    def __init__(self, app: AsgiApplication, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            address = current_origin.get().address
            request = self._admission.enter(dict(scope["headers"]), address)
        except TooManyRequests as error:
            await asyncio.sleep(REFUSAL_DELAY)
            await send_response(send, error_response(error), head=scope["method"] == "HEAD")
            return
        scope[ACCOUNT] = (request.tenant, request.client)
        with request:
            await self._app(scope, receive, request.with_rate_headers(send))
