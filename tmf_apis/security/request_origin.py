"""The origin of a request: the address of its client, its id, and the client itself.

The origin of the current request is a context variable, so that log lines and the audit log have it
without passing it through every function. A pool's thread does not inherit it: the function that
runs there sets it.

Source: W3C Trace Context, section 3.2 (``traceparent``).
"""

import getpass
import os
import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from tmf_apis.security.identity import Identity

#: The header that carries the id of a request, in requests and responses.
REQUEST_ID_HEADER = "x-request-id"
#: Member of the state of a connection (ASGI ``scope["state"]``) with the thumbprint of the client's
#: certificate.
CERTIFICATE_MEMBER = "client_certificate"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}", re.ASCII)
_TRACE_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{1,45}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """The origin of a request, or of work that the server does later because of it.

    Attributes:
        address: Address of the client; empty: a command or the server itself.
        request_id: Id of the request; empty: there was none.
        subject: Subject of the client's token; empty: not authenticated (yet).
        parties: Parties for which the client acts; None: the operator's staff and systems.
        certificate: Thumbprint of the client's TLS certificate (RFC 8705, ``x5t#S256``); empty: the
            client has sent none.
        account: Account of the operating system that runs a command; empty: a request.
        cause: The resource that background work is done for, as "<kind>:<id>"; empty: none.
        trace: The ``traceparent`` that is sent to others and kept for later work; empty: none.
    """

    address: str = ""
    request_id: str = ""
    subject: str = ""
    parties: frozenset[str] | None = None
    certificate: str = ""
    account: str = ""
    cause: str = ""
    trace: str = ""

    def with_identity(self, identity: Identity) -> "RequestOrigin":
        """Return the origin with an authenticated client."""
        return RequestOrigin(  # four times as fast as ``replace``
            self.address, self.request_id, identity.subject, identity.parties, self.certificate,
            trace=self.trace,
        )  # fmt: skip


#: The origin of writes that no request has caused.
NO_ORIGIN = RequestOrigin()
#: The origin of the current request.
current_origin: ContextVar[RequestOrigin] = ContextVar("request_origin", default=NO_ORIGIN)


def request_origin(
    address: str, headers: Mapping[bytes, bytes], certificate: str = ""
) -> RequestOrigin:
    """Return the origin of an HTTP request before its client is authenticated.

    The id is that of ``X-Request-Id``, else the trace id of ``traceparent``, else a new one. A
    value that is not well-formed is ignored.

    Args:
        address: Address of the client; a text that is not an IP address is dropped.
        headers: Raw headers, by lower-case name.
        certificate: Thumbprint of the client's TLS certificate.

    >>> request_origin("127.0.0.1", {b"x-request-id": b"a-1"}).request_id
    'a-1'
    """
    id = headers.get(b"x-request-id", b"").decode("latin-1")
    parent = None
    if value := headers.get(b"traceparent"):
        parent = _TRACE_PARENT.fullmatch(value.decode("latin-1"))
    if not _REQUEST_ID.fullmatch(id):
        id = parent["trace"] if parent else secrets.token_hex(8)
    trace = f"00-{parent['trace']}-{parent['span']}-{parent['flags']}" if parent else ""
    client = address if _ADDRESS.fullmatch(address) else ""
    return RequestOrigin(client, id, certificate=certificate, trace=trace)


def resumed_origin(request_id: str, trace: str) -> RequestOrigin:
    """Return the origin of work that the server does because of an earlier request."""
    return RequestOrigin(request_id=request_id, trace=trace) if request_id else NO_ORIGIN


def command_origin() -> RequestOrigin:
    """Return the origin of the writes of a command."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # the user id has no name
        account = str(os.getuid())
    return RequestOrigin(account=account)
