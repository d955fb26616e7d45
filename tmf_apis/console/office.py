"""What the pages share: the APIs, who asks, and the engine once it is there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import request
from pymongo.database import Database

from tmf_apis.errors import BadRequest, Forbidden, Unavailable
from tmf_apis.rest.contracts import Contract
from tmf_apis.rest.law import Law
from tmf_apis.rest.registry import Registry
from tmf_apis.rest.routing import HOST
from tmf_apis.security.identity import Identity
from tmf_apis.security.sites import keep_out
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings


class Engine(Protocol):
    """What the pages need of the engine."""

    laws: dict[str, Law]
    database: Database[dict[str, Any]]
    registry: Registry


class Application(Protocol):
    """What the pages need of the application; ``engine`` is None until it is ready."""

    waiting_for: str

    @property
    def engine(self) -> Engine | None:
        """The engine."""

    def ready(self) -> str:
        """Return why the server cannot answer requests now; empty when it can."""


@dataclass(slots=True)
class Office:
    """What the pages work on.

    Attributes:
        settings: The configuration.
        contracts: The APIs.
        gate: Tells who asks.
        application: The HTTP application; set once there is one.
        temporal: Returns the URL of the embedded Temporal's page; empty where there is none.
    """

    settings: Settings
    contracts: list[Contract]
    gate: Gate
    application: Application | None = None
    temporal: Callable[[], str] = field(default=lambda: "")

    def engine(self) -> Engine:
        """Return the engine.

        Raises:
            Unavailable: The server is not ready (HTTP 503).
        """
        application = self.application
        if application is None or application.engine is None or application.waiting_for:
            why = application.waiting_for if application else ""
            raise Unavailable(why or "the server is starting", headers={"Retry-After": "1"})
        return application.engine

    def base(self) -> str:
        """Return this server's URL as the client knows it, without a slash at the end.

        Raises:
            BadRequest: The Host header is none (HTTP 400).
        """
        if public := self.settings.public_url.rstrip("/"):
            return public
        host = request.headers.get("Host", "localhost")
        if not HOST.fullmatch(host):
            raise BadRequest("the Host header is not a host and port")
        return f"{request.scheme}://{host}"

    def identity(self, scopes: Iterable[str]) -> Identity:
        """Return who asks, if one of the operator's staff who has the scopes.

        Raises:
            Unauthorized: There is no good token (HTTP 401).
            Forbidden: It lacks a scope, acts for a party, or a page of another site asks
                (HTTP 403).
        """
        headers = {name.lower(): value for name, value in request.headers}
        if not self.gate.enabled:
            keep_out(request.method, headers, self.settings.public_url)
        found = self.gate.identify(headers)
        found.require(scopes)
        if found.parties is not None:
            raise Forbidden("administration is for the operator; the token acts for a party")
        return found
