"""The HTTP side put together: contracts, identity, pages, and the server that listens."""

import logging
from collections.abc import Callable

import uvicorn

from tmf_apis import console
from tmf_apis.app import CONTRACTS_DIR, Application, Engine
from tmf_apis.rest.contracts.contract import load_contracts
from tmf_apis.security.local_keys import jwks_file
from tmf_apis.security.tokens import TokenAuthenticator
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect

log = logging.getLogger(__name__)

#: Longest wait for requests that are under way when the server stops, in seconds.
SHUTDOWN_TIMEOUT = 10
_KEEP_ALIVE_TIMEOUT = 75
_MAX_HEADER_BYTES = 64 * 1024


def build_application(settings: Settings, temporal_ui_url: Callable[[], str]) -> Application:
    """Return the application; it answers 503 until it is opened.

    Args:
        settings: The configuration, authentication decided.
        temporal_ui_url: Tells the URL of the embedded Temporal's own page; empty where none is.
    """
    contracts = load_contracts(CONTRACTS_DIR, settings.data_dir / "cache")
    jwks = settings.jwks
    if settings.is_authentication_required and not jwks:
        jwks = str(jwks_file(settings.data_dir))
        log.warning("TMF_JWKS is not set: tokens of `tmf token` are accepted, no others")
    gate = TokenAuthenticator(settings, enabled=settings.is_authentication_required, jwks=jwks)
    pages = console.ConsoleApplication(settings, contracts, gate, CONTRACTS_DIR)
    application = Application(settings, contracts, gate, pages)
    pages.context.application = application
    pages.context.temporal_ui_url = temporal_ui_url
    return application


def open_engine(application: Application, mongodb_uri: str) -> Engine:
    """Return an engine over a database, its indexes made.

    Raises:
        CannotStart: The database does not answer or cannot be used.
    """
    settings = application.settings
    made = Engine(settings, application.contracts, connect(settings, mongodb_uri))
    made.prepare()
    made.counts.start()
    made.extension_registry.start()
    return made


def create_server(application: Application) -> uvicorn.Server:
    """Return the server; ``run(sockets=[...])`` serves until its ``should_exit`` is set."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        timeout_keep_alive=_KEEP_ALIVE_TIMEOUT,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
    )
    return uvicorn.Server(config)
