"""HTTP over a plain socket, for requests that no client library sends."""

import contextlib
import re
import socket

#: Longest wait for a response, in seconds.
TIMEOUT = 15.0


@contextlib.contextmanager
def connection(address, *, receive_buffer=0):
    """A connection to (host, port); a small receive buffer makes a slow reader felt early."""
    with socket.socket() as sock:
        sock.settimeout(TIMEOUT)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(address)
        yield sock


def received_until_closed(sock):
    """Return all bytes until the server closes or resets the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := sock.recv(65536):
            received += chunk
    return bytes(received)


def response(sock):
    """Return status, head and body of the next response."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = sock.recv(65536)
        if not chunk:
            return 0, received, b""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    while length and len(body) < int(length[1]):
        body += sock.recv(65536)
    return int(head.split()[1]), head, body
