"""Requests and responses, as the handlers see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from tmf_apis.errors import TmfError
from tmf_apis.rest.http.spool import SpooledBody
from tmf_apis.rest.query.parameters import parse_parameters
from tmf_apis.security.identity import Identity
from tmf_apis.security.request_origin import NO_ORIGIN, RequestOrigin


@dataclass(slots=True)
class Request:
    """A request whose body has been read completely.

    Attributes:
        method: In upper case.
        base_url: Scheme and authority of this server, without a trailing slash.
        path: The decoded path.
        query_string: The raw query string.
        headers: By lower-case name.
        body: The raw body.
        identity: The client; anonymous until the request is authenticated.
        id: The ``{id}`` of the path, or "".
        origin: Address of the client and id of the request.
        is_strict: Unknown attributes are refused.
        warnings: Unknown attributes and parameters, for the header ``Warning``; the operations of a
            bulk patch share the list.
    """

    method: str
    base_url: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    identity: Identity
    id: str = ""
    origin: RequestOrigin = NO_ORIGIN
    is_strict: bool = False
    warnings: list[str] = field(default_factory=list)
    _parameters: list[tuple[str, str]] | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters in the order of the query string.

        Raises:
            InvalidQuery: The query string is not UTF-8, has too many parameters, or repeats one
                that has a single value (HTTP 400).
        """
        if self._parameters is None:
            self._parameters = parse_parameters(self.query_string)
        return self._parameters

    def parameter(self, name: str) -> str | None:
        """Return the value of a query parameter, or None."""
        values = (value for key, value in self.parameters() if key == name)
        return next(values, None)


@dataclass(slots=True)
class Response:
    """A response: its status, body, media type and other headers.

    Attributes:
        status: HTTP status code.
        body: The body, unless ``spooled`` has it.
        headers: Further headers.
        media_type: The value of ``Content-Type``.
        spooled: A large body; it is closed when it has been sent.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    spooled: SpooledBody | None = None


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(status, orjson.dumps(value), dict(headers or {}))


def error_response(error: TmfError) -> Response:
    """Return the response to an error, with the body of TMF630."""
    return json_response(error.status, error.body(), error.headers)
