"""The headers of a request as a mapping; a header with one value must not be repeated.

Source: RFC 9110, section 5.3: a recipient can combine repeated headers only if their values are
lists. If a header with one value is repeated, a proxy and this server may read different ones.
"""

from collections.abc import Iterable

from tmf_apis.errors import BadRequest

#: Headers that have one value. ``If-Match`` and ``If-None-Match`` are lists, which must be sent in
#: one header here.
SINGLE_VALUE_HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "cookie", "host", "from", "max-forwards"),
        *("content-length", "content-location", "content-range", "content-type", "date"),
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"),
        *("idempotency-key", "origin", "range", "referer", "user-agent", "x-http-method-override"),
        *("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user"),
    }
)


def request_headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of a request by lower-case name; the values of repeated lists are joined.

    Raises:
        BadRequest: A header that has one value is repeated (HTTP 400).

    >>> request_headers([(b"accept", b"text/html"), (b"accept", b"application/json")])
    {'accept': 'text/html, application/json'}
    """
    pairs = list(pairs)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return headers if len(headers) == len(pairs) else _joined(pairs)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in SINGLE_VALUE_HEADERS:
            raise BadRequest(f"the header {name} has one value; it was sent more than once")
        else:
            headers[name] += f", {value}"
    return headers
