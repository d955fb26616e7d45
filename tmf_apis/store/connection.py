"""The connection to MongoDB: one client a process, checked at the start, its errors translated."""

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

from tmf_apis.errors import Stale, TmfError, TooLarge, Unavailable
from tmf_apis.settings import Settings
from tmf_apis.store.process import CannotStart

MongoDatabase = Database[dict[str, Any]]

#: The oldest server that can be used.
MIN_SERVER_VERSION = 6
#: MongoDB error codes: the document, or what an update makes of it, is over 16 MB.
TOO_LARGE_CODES = frozenset({10334, 17419, 17420, 17280})
#: MongoDB error code: two transactions wrote the same document.
WRITE_CONFLICT = 112
OUT_OF_DISK_SPACE = 14031
#: MongoDB error codes: the credentials are wrong, or do not allow what we do.
AUTH_ERROR_CODES = frozenset({13, 18})

NO_ANSWER = "the database does not answer; try again"
RETRY_HEADERS = {"Retry-After": "1"}


def connect(settings: Settings, uri: str) -> MongoDatabase:
    """Return the database, checked, with mongoengine's documents bound to the same client.

    Raises:
        CannotStart: The URI is wrong, nothing usable answers there in ``mongodb_timeout``, or the
            server is too old or no replica set. The message has no credentials in it.
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
    """Return the client with the settings that every write and read of ours relies on.

    Raises:
        CannotStart: The URI is wrong.
    """
    wait = max(int(settings.mongodb_timeout * 1000), 1)
    try:
        _servers(uri)  # a client that is refused half made would complain when it is collected
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
        )
    except (ConfigurationError, InvalidURI, TypeError, ValueError) as error:
        raise CannotStart(f"TMF_MONGODB_URI is not a usable MongoDB URI: {error}") from None


def check_server(database: MongoDatabase, uri: str) -> None:
    """See whether the server can be used.

    Raises:
        CannotStart: It does not answer, refuses us, is too old or no replica set.
    """
    place = _servers(uri)
    try:
        hello = database.client.admin.command("hello")
        version = database.client.server_info()["version"]
        database.command("ping")
    except ServerSelectionTimeoutError as error:
        raise CannotStart(
            f"no MongoDB primary answers at {place}: {_first_sentence(error)};"
            " start it, or correct TMF_MONGODB_URI"
        ) from error
    except OperationFailure as error:
        hint = (
            "; correct the user and password in TMF_MONGODB_URI"
            if error.code in AUTH_ERROR_CODES
            else ""
        )
        raise CannotStart(f"MongoDB at {place} refuses: {_first_sentence(error)}{hint}") from error
    except PyMongoError as error:
        raise CannotStart(f"MongoDB at {place} cannot be used: {_first_sentence(error)}") from error
    if int(version.split(".", 1)[0]) < MIN_SERVER_VERSION:
        raise CannotStart(
            f"MongoDB at {place} is {version}; {MIN_SERVER_VERSION}.0 or newer is needed"
        )
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise CannotStart(
            f"MongoDB at {place} is not a replica set, which transactions and change streams need;"
            " start it with --replSet and run rs.initiate() once (one node is enough)"
        )


def ping(database: MongoDatabase, timeout: float) -> bool:
    """Return whether the database would take a write now; waits up to ``timeout`` seconds."""
    try:
        with pymongo.timeout(timeout):
            return bool(database.client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False


def tmf_error(error: BaseException) -> TmfError | None:
    """Return what a driver error means to a client; None where it is ours to handle.

    A duplicate key is left to the caller, who knows which one it is.
    """
    match error:
        case ExecutionTimeout():
            meaning = Unavailable("the query took too long and was stopped; make it narrower")
        case WTimeoutError():
            meaning = Unavailable("the write was not confirmed in time; read before repeating it")
        case ConnectionFailure() | InvalidOperation():  # the latter: the client is closed, we stop
            meaning = Unavailable(NO_ANSWER, headers=RETRY_HEADERS)
        case DocumentTooLarge():
            return TooLarge("the resource is larger than the database can store")
        case OperationFailure():
            return _operation_error(error)
        case _:
            return None
    return meaning


def _operation_error(error: OperationFailure) -> TmfError | None:
    """Return what the server's refusal means to a client, by its code."""
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
    """A context that turns driver errors into the errors of the API."""

    __slots__ = ("_excluded",)

    def __init__(self, excluded: tuple[type[PyMongoError], ...]) -> None:
        self._excluded = excluded

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise the translation in place of the driver's error, which stays its cause."""
        if not isinstance(error, PyMongoError | DocumentTooLarge) or isinstance(
            error, self._excluded
        ):
            return
        if meaning := tmf_error(error):
            raise meaning from error


_TRANSLATE_ALL = _ErrorTranslation(())


def translate_errors(*excluded: type[PyMongoError]) -> _ErrorTranslation:
    """Return a context in which driver errors become ``tmf_apis.errors``, but those ``excluded``.

    Raises:
        Unavailable: The database does not answer, or not in time (HTTP 503).
        TooLarge: The document is over what MongoDB stores (HTTP 413).
        Stale: Two transactions met (HTTP 409).
    """
    return _ErrorTranslation(excluded) if excluded else _TRANSLATE_ALL


def _bind_mongoengine(database: MongoDatabase) -> None:
    """Bind mongoengine to this client: no second pool; one it was bound to before stays open."""
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
    """Return the first sentence of a driver's message; the rest is its view of the topology."""
    return str(error).split(", Timeout:", 1)[0].split(" (configured timeouts", 1)[0][:300]
