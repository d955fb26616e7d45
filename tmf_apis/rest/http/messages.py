"""A request and its answer, as the handlers see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson

from tmf_apis.errors import InvalidQuery, TmfError
from tmf_apis.security.identity import Identity

_MAX_PARAMETERS = 200


@dataclass(slots=True)
class Request:
    """What the client sent, read in full.

    Attributes:
        method: In upper case.
        base_url: Scheme and authority that the client used, without a slash at the end.
        path: Decoded path.
        query_string: The raw query string.
        headers: By lower-case name; the last one wins.
        body: The raw body.
        id: The ``{id}`` of the path, or "".
        identity: Who asks; set once it is known.
    """

    method: str
    base_url: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    identity: Identity
    id: str = ""
    _parameters: list[tuple[str, str]] | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters in their order.

        Raises:
            InvalidQuery: They are not UTF-8 or too many (HTTP 400).
        """
        if self._parameters is None:
            self._parameters = self._parse_parameters() if self.query_string else []
        return self._parameters

    def _parse_parameters(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(
                self.query_string,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_PARAMETERS,
            )
        except UnicodeDecodeError:
            raise InvalidQuery("the query string is not UTF-8") from None
        except ValueError:
            raise InvalidQuery(f"more than {_MAX_PARAMETERS} query parameters") from None

    def parameter(self, name: str) -> str | None:
        """Return the last value of a query parameter, or None."""
        return next((v for n, v in reversed(self.parameters()) if n == name), None)


@dataclass(slots=True)
class Response:
    """What goes back: status, headers beside the content type, and the body's bytes."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(status, orjson.dumps(value), dict(headers or {}))


def error_response(error: TmfError) -> Response:
    """Return the one form that every error has."""
    return json_response(error.status, error.body(), error.headers)
