"""The context of the pages: the configuration, the APIs, authentication and the engine."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from flask import g, request
from pymongo.database import Database

from tmf_apis.audit_log.log import AuditLog
from tmf_apis.audit_log.recorder import RefusalRecorder
from tmf_apis.errors import BadRequest, Forbidden, Unauthorized
from tmf_apis.privacy.service import Privacy
from tmf_apis.rest.contracts.contract import Contract
from tmf_apis.rest.contracts.extension_registry import ExtensionRegistry
from tmf_apis.rest.http.access_log import ACCESS_RECORD
from tmf_apis.rest.http.routing import HOST_PATTERN
from tmf_apis.rest.pipeline.policy import ResourcePolicy
from tmf_apis.security.csrf import reject_cross_site
from tmf_apis.security.identity import Identity
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.security.request_origin import current_origin
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings
from tmf_apis.store.data_keys import DataKeys
from tmf_apis.store.embedded_temporal import TemporalAccess


class Engine(Protocol):
    """The part of the engine that the pages use."""

    policies: dict[str, ResourcePolicy]
    database: Database[dict[str, Any]]
    extension_registry: ExtensionRegistry
    audit_log: AuditLog
    refusal_recorder: RefusalRecorder
    data_keys: DataKeys
    privacy: Privacy
    personal_attributes: PersonalAttributes


class Readiness(Protocol):
    """The state of the server, as the pages use it."""

    @property
    def engine(self) -> Engine | None:
        """The engine; None until it is open."""

    def require_engine(self) -> Engine:
        """Return the engine.

        Raises:
            Unavailable: The server is not ready (HTTP 503).
        """

    def problem(self) -> str:
        """Return the reason why the server cannot answer requests now; empty if it can."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """The context of the pages.

    Attributes:
        settings: The configuration.
        contracts: The APIs.
        authenticator: Authenticates requests to the administration.
        readiness: The state of the server and its engine.
        temporal_access: Returns how the embedded Temporal can be reached; None if none runs.
    """

    settings: Settings
    contracts: list[Contract]
    authenticator: TokenAuthenticator
    readiness: Readiness
    temporal_access: Callable[[], TemporalAccess | None]

    def base_url(self) -> str:
        """Return this server's URL as the client knows it, without a trailing slash.

        Raises:
            BadRequest: The Host header is not a host and port (HTTP 400).
        """
        if public := self.settings.public_url.rstrip("/"):
            return public
        host = request.headers.get("Host", "localhost")
        if not HOST_PATTERN.fullmatch(host):
            raise BadRequest("the Host header is not a host and port")
        return f"{request.scheme}://{host}"

    def authorize(self, scopes: Iterable[str]) -> Identity:
        """Return the identity of the client, which must act for the operator and have the scopes.

        Raises:
            Unauthorized: There is no valid token (HTTP 401).
            Forbidden: The token lacks a scope or acts for a party, or the request comes from a
                page of another site (HTTP 403).
        """
        origin, subject = current_origin.get(), ""
        try:
            headers = {name.lower(): value for name, value in request.headers}
            if not self.authenticator.enabled:
                reject_cross_site(request.method, headers, self.settings.public_url)
            identity = self.authenticator.authenticate(headers, origin)
            subject = identity.subject
            g.identity = identity
            if record := request.environ.get("asgi.scope", {}).get(ACCESS_RECORD):
                record.identity = identity
            current_origin.set(origin.with_identity(identity))
            identity.require_scopes(scopes)
            identity.require_staff()
        except (Unauthorized, Forbidden) as error:
            self.authenticator.refusals.record(error, origin, request.path, subject)
            raise
        return identity
