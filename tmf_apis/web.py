"""The HTTP side put together: contracts, identity, pages, and the server that listens."""

import logging
from collections.abc import Callable

import uvicorn

from tmf_apis import console
from tmf_apis.app import CONTRACTS, Application, Engine
from tmf_apis.rest.contracts import load
from tmf_apis.security.local import jwks_file
from tmf_apis.security.tokens import Gate
from tmf_apis.settings import Settings
from tmf_apis.store.connection import connect

log = logging.getLogger(__name__)

#: Longest wait for requests that are under way when the server stops, in seconds.
GRACE = 10
_KEEP_ALIVE = 75
_HEADERS = 64 * 1024


def build(settings: Settings, temporal_page: Callable[[], str]) -> Application:
    """Return the application; it answers 503 until it is opened.

    Args:
        settings: The configuration, authentication decided.
        temporal_page: Tells the URL of the embedded Temporal's own page; empty where none is.
    """
    contracts = load(CONTRACTS, settings.data_dir / "cache")
    jwks = settings.jwks
    if settings.authenticated and not jwks:
        jwks = str(jwks_file(settings.data_dir))
        log.warning("TMF_JWKS is not set: tokens of `tmf token` are accepted, no others")
    gate = Gate(settings, enabled=settings.authenticated, jwks=jwks)
    pages = console.Pages(settings, contracts, gate, CONTRACTS)
    application = Application(settings, contracts, gate, pages)
    pages.office.application = application
    pages.office.temporal = temporal_page
    return application


def engine(application: Application, uri: str) -> Engine:
    """Return an engine over a database, its indexes made.

    Raises:
        CannotStart: The database does not answer or cannot be used.
    """
    settings = application.settings
    made = Engine(settings, application.contracts, connect(settings, uri))
    made.prepare()
    made.counts.start()
    made.registry.start()
    return made


def server(application: Application) -> uvicorn.Server:
    """Return the server; ``run(sockets=[...])`` serves until its ``should_exit`` is set."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=_KEEP_ALIVE,
        h11_max_incomplete_event_size=_HEADERS,
    )
    return uvicorn.Server(config)
