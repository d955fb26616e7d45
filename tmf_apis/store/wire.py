"""One message to the database and the reply, with as few system calls as possible.

A socket with a time limit in Python waits before each call, and the driver reads a reply in two
parts; in each of these calls the thread gives up the interpreter and has to get it back. Here the
kernel keeps the time limit, and one call reads most replies whole.

Source: MongoDB wire protocol, OP_MSG.
"""

import math
import socket
import ssl
import struct
import sys

from bson.errors import InvalidBSON
from pymongo.synchronous.pool import Connection

#: Length, id of the request, id that it responds to, operation code; then flags, and the kind of
#: the only section: a document.
_HEADER = struct.Struct("<iiiiIB")
_OP_MSG = 2013
_NO_FLAGS = 0
_DOCUMENT = 0
#: Bytes that the first call reads at most; few replies are longer.
_FIRST_READ = 65_536


def message(request_id: int, body: bytes) -> bytes:
    """Return an OP_MSG with one document."""
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, request_id, 0, _OP_MSG, _NO_FLAGS, _DOCUMENT) + body


def has_plain_socket(connection: Connection) -> bool:
    """Return whether the kernel can keep the time limits of a connection: not those of TLS."""
    is_tls = isinstance(connection.conn.get_conn, ssl.SSLSocket)
    return not is_tls and sys.platform != "win32"


def exchange_by_driver(connection: Connection, request_id: int, body: bytes) -> bytes | memoryview:
    """Send a document over any connection and return that of the reply.

    Raises:
        AutoReconnect: The connection is lost, or the time limit of the driver is reached.
    """
    connection.send_message(message(request_id, body), 0)
    return connection.receive_message(request_id).raw_command_response()


def exchange(connection: Connection, request_id: int, body: bytes) -> bytes | memoryview:
    """Send a document over a connection with a plain socket and return that of the reply.

    Raises:
        AutoReconnect: The connection is lost, or the database does not reply in time.
    """
    try:
        return _exchange(connection, request_id, body)
    except BlockingIOError:
        connection._raise_connection_failure(TimeoutError("timed out"))  # noqa: SLF001
    except BaseException as error:  # noqa: BLE001 - the connection cannot be used again
        connection._raise_connection_failure(error)  # noqa: SLF001


def _exchange(connection: Connection, request_id: int, body: bytes) -> memoryview:
    sock = connection.conn.get_conn
    if connection.last_timeout is not None:
        _set_kernel_timeout(connection, sock)
    sock.sendall(message(request_id, body))
    data: bytes | bytearray = sock.recv(_FIRST_READ)
    if len(data) < _HEADER.size or len(data) < int.from_bytes(data[:4], "little"):
        data = _rest(sock, data, connection.max_message_size)
    _, _, responds_to, operation, flags, kind = _HEADER.unpack_from(data)
    if (responds_to, operation, flags, kind) != (request_id, _OP_MSG, _NO_FLAGS, _DOCUMENT):
        raise InvalidBSON("the database sent another message than the reply to the command")
    return memoryview(data)[_HEADER.size :]


def _set_kernel_timeout(connection: Connection, sock: socket.socket) -> None:
    """Give a connection the time limit of the driver, kept by the kernel."""
    fraction, seconds = math.modf(connection.opts.socket_timeout or 0.0)
    limit = struct.pack("ll", int(seconds), int(fraction * 1e6))
    connection.set_conn_timeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _rest(sock: socket.socket, start: bytes | bytearray, limit: int) -> bytearray:
    """Return a whole message whose first bytes have been read."""
    data = bytearray(start)
    while len(data) < _HEADER.size:
        data += _received(sock, _HEADER.size - len(data))
    size = int.from_bytes(data[:4], "little")
    if not _HEADER.size <= size <= limit:
        raise InvalidBSON(f"the database sent a message of {size} bytes")
    while len(data) < size:
        data += _received(sock, size - len(data))
    return data


def _received(sock: socket.socket, size: int) -> bytes:
    if part := sock.recv(size):
        return part
    raise ConnectionResetError("connection closed")
