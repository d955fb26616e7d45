"""What the pages share: the APIs, who asks, and the engine once it is there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import request
from pymongo.database import Database

from tmf_apis.errors import BadRequest, Forbidden, Unavailable
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.rest.http.routing import HOST_PATTERN
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.security.csrf import reject_cross_site
from tmf_apis.security.identity import Identity
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings


class Engine(Protocol):
    """What the pages need of the engine."""

    policies: dict[str, ResourcePolicy]
    database: Database[dict[str, Any]]
    extension_registry: ExtensionRegistry


class Application(Protocol):
    """What the pages need of the application; ``require_engine`` is None until it is ready."""

    unready_reason: str

    @property
    def engine(self) -> Engine | None:
        """The engine."""

    def readiness_problem(self) -> str:
        """Return why the server cannot answer requests now; empty when it can."""


@dataclass(slots=True)
class PageContext:
    """What the pages work on.

    Attributes:
        settings: The configuration.
        contracts: The APIs.
        authenticator: Tells who asks.
        application: The HTTP application; set once there is one.
        temporal_ui_url: Returns the URL of the embedded Temporal's page; empty where there is none.
    """

    settings: Settings
    contracts: list[Contract]
    authenticator: TokenAuthenticator
    application: Application | None = None
    temporal_ui_url: Callable[[], str] = field(default=lambda: "")

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises:
            Unavailable: The server is not ready (HTTP 503).
        """
        application = self.application
        if application is None or application.engine is None or application.unready_reason:
            why = application.unready_reason if application else ""
            raise Unavailable(why or "the server is starting", headers={"Retry-After": "1"})
        return application.engine

    def base_url(self) -> str:
        """Return this server's URL as the client knows it, without a slash at the end.

        Raises:
            BadRequest: The Host header is none (HTTP 400).
        """
        if public := self.settings.public_url.rstrip("/"):
            return public
        host = request.headers.get("Host", "localhost")
        if not HOST_PATTERN.fullmatch(host):
            raise BadRequest("the Host header is not a host and port")
        return f"{request.scheme}://{host}"

    def authorize(self, scopes: Iterable[str]) -> Identity:
        """Return who asks, if one of the operator's staff who has the scopes.

        Raises:
            Unauthorized: There is no good token (HTTP 401).
            Forbidden: It lacks a scope, acts for a party, or a page of another site asks
                (HTTP 403).
        """
        headers = {name.lower(): value for name, value in request.headers}
        if not self.authenticator.enabled:
            reject_cross_site(request.method, headers, self.settings.public_url)
        found = self.authenticator.authenticate(headers)
        found.require_scopes(scopes)
        if found.parties is not None:
            raise Forbidden("administration is for the operator; the token acts for a party")
        return found
