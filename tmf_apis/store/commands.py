"""Database commands at a third of the driver's processor time.

``Database.command`` and the methods of collections pass each command through layers for causal
consistency, transactions and cursors, which take several times as long as the command itself
(decision 0038). ``CommandChannel`` uses the driver below these layers. The driver still selects the
server, makes, authenticates and checks the connections, and hears of every error.

Source: MongoDB specifications, "Retryable Writes".
"""

import itertools
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import Binary, Int64
from pymongo import _csot
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    DocumentTooLarge,
    NetworkTimeout,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.helpers_shared import _check_command_response, _check_write_command_response
from pymongo.server_selectors import writable_server_selector
from pymongo.server_type import SERVER_TYPE
from pymongo.synchronous.helpers import _handle_reauth

from tmf_apis import tracing
from tmf_apis.store import wire
from tmf_apis.store.command_spans import command_facts

Document = dict[str, Any]

_MAX_REQUEST_ID = 0x7FFF_FFFF
#: Size up to which no command has a document that is too large, in bytes.
_SMALL = 2**23
#: Attempts at a command whose connection is lost, or whose server is no longer the primary.
_MAX_ATTEMPTS = 3
#: Age at which an unused session is replaced, in seconds; the server forgets it after 30 minutes.
_SESSION_AGE = 600.0
#: Errors after which another attempt would only take the same time again.
_TIMEOUTS = (NetworkTimeout, ServerSelectionTimeoutError)
_RETRYABLE = "RetryableWriteError"


@dataclass(slots=True)
class _Session:
    """A session, in which the server recognises the repetition of a write.

    Attributes:
        id: Its logical session id.
        writes: Number of its writes.
        used_at: When it was last used, in seconds of the monotonic clock.
    """

    id: Document = field(default_factory=lambda: {"id": Binary(uuid.uuid4().bytes, 4)})
    writes: int = 0
    used_at: float = 0.0


class CommandChannel:
    """Runs commands on the primary of one database. Its methods may be called by any thread."""

    def __init__(self, database: Database[Document]) -> None:
        self._client = database.client
        self._name = database.name
        self._codec_options = database.codec_options
        self._write_concern = database.write_concern.document
        self._request_ids = itertools.count(1)
        self._sessions: deque[_Session] = deque()
        self._server: Any = None

    def read(self, command: Mapping[str, Any]) -> Document:
        """Return the reply to a command that writes nothing; repeat it after a lost connection.

        Args:
            command: The command; its first member has the name.

        Raises:
            PyMongoError: As ``Database.command`` does.
        """
        message = {**command, "$db": self._name}
        for _ in range(_MAX_ATTEMPTS - 1):
            try:
                return self._run(message)
            except _TIMEOUTS:
                raise
            except AutoReconnect:
                continue
        return self._run(message)

    def write(self, command: Mapping[str, Any]) -> Document:
        """Return the reply to a command that writes one document, once however often it is sent.

        Args:
            command: An ``insert``, ``update`` or ``delete`` of one document.

        Raises:
            PyMongoError: As the methods of collections do, ``DuplicateKeyError`` among them.
        """
        session = self._take_session()
        session.writes += 1
        message = {
            **command,
            "writeConcern": self._write_concern,
            "lsid": session.id,
            "txnNumber": Int64(session.writes),
            "$db": self._name,
        }
        try:
            return self._run_write(message)
        finally:
            session.used_at = time.monotonic()
            self._sessions.append(session)

    def _run_write(self, message: Document) -> Document:
        for _ in range(_MAX_ATTEMPTS - 1):
            try:
                return self._run(message)
            except _TIMEOUTS:
                raise
            except PyMongoError as error:
                if not (isinstance(error, AutoReconnect) or error.has_error_label(_RETRYABLE)):
                    raise
        return self._run(message)

    def _take_session(self) -> _Session:
        """Return a session that no other thread uses, the most recently used one."""
        try:
            session = self._sessions.pop()
        except IndexError:
            return _Session()
        return session if time.monotonic() - session.used_at < _SESSION_AGE else _Session()

    def _run(self, message: Document) -> Document:
        if not tracing.is_enabled():
            return self._send(message)
        with tracing.span(*command_facts(message, self._name), kind="client"):
            return self._send(message)

    def _send(self, message: Document) -> Document:
        request_id = next(self._request_ids) & _MAX_REQUEST_ID
        with self._checkout(next(iter(message))) as connection:
            return self._exchange(connection, message, request_id)

    def _checkout(self, name: str) -> Any:  # noqa: ANN401
        """Return the context of a connection to the primary.

        The driver selects the server if the last one is no longer the primary of a replica set;
        the monitor of the driver, and every error, change its description.
        """
        server = self._server
        if server is None or server.description.server_type != SERVER_TYPE.RSPrimary:
            server = self._client._select_server(writable_server_selector, None, name)  # noqa: SLF001
            self._server = server
        return self._client._checkout(server, None)  # noqa: SLF001

    @_handle_reauth
    def _exchange(self, connection: Any, message: Document, request_id: int) -> Document:  # noqa: ANN401
        """Send a command over a connection and return the reply.

        Raises:
            PyMongoError: The connection is lost, or the reply has an error.
        """
        is_direct = _csot.get_timeout() is None and wire.has_plain_socket(connection)
        if not is_direct:
            connection.apply_timeout(message)
        body = bson.encode(message, codec_options=self._codec_options)
        if len(body) > _SMALL and (size := self._document_size(message)) > connection.max_bson_size:
            raise DocumentTooLarge(f"a document has {size} bytes")
        reply = wire.exchange if is_direct else wire.exchange_by_driver
        response: Document = bson.decode(reply(connection, request_id, body), self._codec_options)
        _check_command_response(response, connection.max_wire_version)
        _check_write_command_response(response)
        return response

    def _document_size(self, message: Document) -> int:
        """Return the size of the largest document that a command inserts, in bytes."""
        documents = message.get("documents", ())
        sizes = [len(bson.encode(row, codec_options=self._codec_options)) for row in documents]
        return max(sizes, default=0)
