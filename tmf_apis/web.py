"""The composition of the HTTP side: contracts, authentication, pages and the listening server."""

import logging
import ssl
from collections.abc import Callable

import uvicorn

from tmf_apis.app import CONTRACTS_DIR, Application, Engine, Readiness
from tmf_apis.console import ConsoleApplication, PageContext
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.rest.http.connection_limits import ConnectionLimits
from tmf_apis.rest.http.event_loop import LimitedConfig
from tmf_apis.rest.http.protocol import limited_protocol
from tmf_apis.rest.http.shared_accounts import SharedAccounts
from tmf_apis.retention_kinds import check_retention
from tmf_apis.security.local_keys import jwks_file
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect
from tmf_apis.store.embedded_temporal import TemporalAccess
from tmf_apis.store.shared_state import SharedState

log = logging.getLogger(__name__)

#: Longest wait for requests in progress when the server stops, in seconds.
SHUTDOWN_TIMEOUT = 10
_KEEP_ALIVE_TIMEOUT = 75


def build_application(
    settings: Settings,
    temporal_access: Callable[[], TemporalAccess | None],
    shared: SharedState | None = None,
) -> Application:
    """Return the application; it answers 503 until an engine is attached.

    Args:
        settings: The configuration; ``auth`` is "on" or "off".
        temporal_access: Returns how the embedded Temporal can be reached; None if none runs.
        shared: What the HTTP processes of the server share; None: this is the only one.

    Raises:
        CannotStart: A setting names a kind that no contract has.
    """
    contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    check_retention(settings, contracts)
    jwks = settings.jwks
    needs_keys = settings.is_authentication_required and not settings.introspection_url
    if needs_keys and not jwks:
        jwks = str(jwks_file(settings.data_dir))
        log.warning("TMF_JWKS is not set: only tokens of `tmf token` are accepted")
    authenticator = TokenAuthenticator(
        settings, enabled=settings.is_authentication_required, jwks=jwks
    )
    readiness = Readiness()
    context = PageContext(settings, contracts, authenticator, readiness, temporal_access)
    pages = ConsoleApplication(context)
    return Application(settings, contracts, authenticator, pages, readiness, shared=shared)


def open_engine(application: Application, mongodb_uri: str) -> Engine:
    """Return an engine on a database; its indexes exist and its caches are updated continuously.

    Raises:
        CannotStart: The database does not answer or cannot be used.
    """
    settings = application.settings
    database = connect(settings, mongodb_uri)
    engine = Engine(settings, application.contracts, database, application.shared)
    engine.prepare()
    engine.counts.start()
    engine.resources.usage.start(engine.kinds)
    engine.extension_registry.start()
    return engine


def create_server(application: Application, tls: ssl.SSLContext | None) -> uvicorn.Server:
    """Return the server; ``run(sockets=[...])`` serves until its ``should_exit`` is set.

    Args:
        application: The application.
        tls: The TLS context of the listening socket; None: no TLS.
    """
    settings = application.settings
    shared = SharedAccounts(application.shared) if application.shared else None
    limits = ConnectionLimits(
        settings, application.metrics.count_refusal, application.access_log, shared=shared
    )
    config = LimitedConfig(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        timeout_keep_alive=_KEEP_ALIVE_TIMEOUT,
        http=limited_protocol(limits),
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
    )
    config.load()
    config.ssl = tls
    config.handshake_seconds = settings.header_seconds
    return uvicorn.Server(config)
