"""The connection to MongoDB: one client per process, checks at startup, error translation."""

import uuid
from types import TracebackType
from typing import Any

import mongoengine
import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)
from pymongo.uri_parser import parse_uri

from tmf_apis import tracing
from tmf_apis.errors import Stale, TmfError, TooLarge, Unavailable
from tmf_apis.settings import Settings
from tmf_apis.store.command_spans import CommandSpans
from tmf_apis.store.process import CannotStart

MongoDatabase = Database[dict[str, Any]]

#: Oldest supported major version of MongoDB.
MIN_SERVER_VERSION = 6
#: MongoDB error code: the key or a unique value exists already.
DUPLICATE_KEY = 11000
#: MongoDB error codes: the document exceeds 16 MB, before or after an update.
TOO_LARGE_CODES = frozenset({10334, 17419, 17420, 17280})
#: MongoDB error code: two transactions wrote the same document.
WRITE_CONFLICT = 112
#: MongoDB error code: the disk is full.
OUT_OF_DISK_SPACE = 14031
#: MongoDB error codes: the credentials are wrong or lack a privilege.
AUTH_ERROR_CODES = frozenset({13, 18})

NO_ANSWER = "the database does not answer; try again"
RETRY_HEADERS = {"Retry-After": "1"}


def connect(settings: Settings, uri: str) -> MongoDatabase:
    """Connect to the database, check the server and bind mongoengine to the same client.

    Raises:
        CannotStart: The URI is invalid, no usable server answers within ``mongodb_timeout``, or
            the server is too old or not a replica set. The message contains no credentials.
    """
    database = mongo_client(settings, uri)[settings.mongodb_database]
    try:
        check_server(database, uri)
    except CannotStart:
        database.client.close()
        raise
    _bind_mongoengine(database)
    return database


def mongo_client(settings: Settings, uri: str) -> MongoClient[dict[str, Any]]:
    """Return a client with the read and write concerns that the server relies on.

    Raises:
        CannotStart: The URI is invalid.
    """
    wait = max(int(settings.mongodb_timeout * 1000), 1)
    try:
        _servers(uri)  # raises on an invalid URI, on which MongoClient would leak a warning
        return MongoClient(
            uri,
            appname="tmf-apis",
            tz_aware=True,
            uuidRepresentation="standard",
            w="majority",
            journal=True,
            retryWrites=True,
            retryReads=True,
            readPreference="primary",
            serverSelectionTimeoutMS=wait,
            connectTimeoutMS=wait,
            socketTimeoutMS=wait + settings.query_time,
            waitQueueTimeoutMS=wait,
            event_listeners=[CommandSpans()] if tracing.is_enabled() else [],
        )
    except (ConfigurationError, InvalidURI, TypeError, ValueError) as error:
        raise CannotStart(f"TMF_MONGODB_URI is not a usable MongoDB URI: {error}") from None


def check_server(database: MongoDatabase, uri: str) -> None:
    """Check that the server can be used.

    Raises:
        CannotStart: It does not answer, rejects the credentials, is too old or is not a replica
            set.
    """
    servers = _servers(uri)
    try:
        hello = database.client.admin.command("hello")
        version = database.client.server_info()["version"]
        database.command("ping")
    except ServerSelectionTimeoutError as error:
        raise CannotStart(
            f"no MongoDB primary answers at {servers}: {_first_sentence(error)};"
            " start it, or correct TMF_MONGODB_URI"
        ) from error
    except OperationFailure as error:
        hint = (
            "; correct the user and password in TMF_MONGODB_URI"
            if error.code in AUTH_ERROR_CODES
            else ""
        )
        reason = f"{_first_sentence(error)}{hint}"
        raise CannotStart(f"MongoDB at {servers} refuses: {reason}") from error
    except PyMongoError as error:
        reason = _first_sentence(error)
        raise CannotStart(f"MongoDB at {servers} cannot be used: {reason}") from error
    if int(version.split(".", 1)[0]) < MIN_SERVER_VERSION:
        raise CannotStart(
            f"MongoDB at {servers} is {version}; {MIN_SERVER_VERSION}.0 or newer is needed"
        )
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise CannotStart(
            f"MongoDB at {servers} is not a replica set, which transactions and change streams"
            " need; start it with --replSet and run rs.initiate() once (one node is enough)"
        )


def ping(database: MongoDatabase, timeout: float) -> bool:
    """Return whether the database accepts writes; waits up to ``timeout`` seconds."""
    try:
        with pymongo.timeout(timeout):
            return bool(database.client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False


def tmf_error(error: BaseException) -> TmfError | None:
    """Return the API error for a driver error; None if the caller has to handle it.

    A duplicate key is not translated: the caller knows which one it is.
    """
    match error:
        case ExecutionTimeout():
            return Unavailable("the query took too long and was stopped; make it narrower")
        case WTimeoutError():
            return Unavailable("the write was not confirmed in time; read before repeating it")
        case ConnectionFailure() | InvalidOperation():  # the latter: the client is closed
            return Unavailable(NO_ANSWER, headers=RETRY_HEADERS)
        case DocumentTooLarge():
            return TooLarge("the resource is larger than the database can store")
        case OperationFailure():
            return _operation_error(error)
    return None


def _operation_error(error: OperationFailure) -> TmfError | None:
    """Return the API error for a MongoDB error code; None: there is none."""
    if error.code in TOO_LARGE_CODES:
        return TooLarge("the resource is larger than the database can store")
    if error.code == WRITE_CONFLICT:
        return Stale("another request changed the same resource; try again")
    if error.code == OUT_OF_DISK_SPACE:
        return Unavailable("the database has no disk space left")
    if error.has_error_label("RetryableWriteError"):
        return Unavailable(NO_ANSWER, headers=RETRY_HEADERS)
    return None


class _ErrorTranslation:
    """A context manager that replaces driver errors by the errors of the API."""

    __slots__ = ("_excluded",)

    def __init__(self, excluded: tuple[type[PyMongoError], ...]) -> None:
        self._excluded = excluded

    def __enter__(self) -> None:
        """Enter the context."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the API error, with the driver's error as its cause."""
        if not isinstance(error, PyMongoError | DocumentTooLarge) or isinstance(
            error, self._excluded
        ):
            return
        if translation := tmf_error(error):
            raise translation from error


_TRANSLATE_ALL = _ErrorTranslation(())


def translate_errors(*excluded: type[PyMongoError]) -> _ErrorTranslation:
    """Return a context manager that raises ``tmf_apis.errors`` instead of driver errors.

    Args:
        excluded: Driver errors that are not translated.

    Raises:
        Unavailable: The database does not answer in time (HTTP 503).
        TooLarge: The document is larger than MongoDB can store (HTTP 413).
        Stale: Two transactions wrote the same document (HTTP 409).
    """
    return _ErrorTranslation(excluded) if excluded else _TRANSLATE_ALL


def _bind_mongoengine(database: MongoDatabase) -> None:
    """Make mongoengine use this client; a client that it used before stays open."""
    for alias in (f"tmf-{uuid.uuid4().hex}", "default"):
        mongoengine.disconnect(alias)
        mongoengine.connect(
            database.name,
            alias=alias,
            mongo_client_class=lambda **_: database.client,
            uuidRepresentation="standard",
        )


def _servers(uri: str) -> str:
    """Return the servers of a URI, without user, password and options."""
    if uri.startswith("mongodb+srv://"):
        return uri.rsplit("@", 1)[-1].removeprefix("mongodb+srv://").split("/", 1)[0]
    nodes = parse_uri(uri)["nodelist"]
    return ",".join(f"{host}:{port}" if port else str(host) for host, port in nodes)


def _first_sentence(error: Exception) -> str:
    """Return a driver's message without the description of the topology."""
    return str(error).split(", Timeout:", 1)[0].split(" (configured timeouts", 1)[0][:300]
