"""The query string of a request, as pairs of names and values."""

from urllib.parse import parse_qsl

from tmf_apis.errors import InvalidQuery

Parameters = list[tuple[str, str]]

_MAX_PARAMETERS = 200


def parse_parameters(query_string: str) -> Parameters:
    """Return the query parameters in their order.

    >>> parse_parameters("a=1&b=x%20y&a=")
    [('a', '1'), ('b', 'x y'), ('a', '')]

    Raises:
        InvalidQuery: The query string is not UTF-8 or has too many parameters (HTTP 400).
    """
    if not query_string:
        return []
    try:
        return parse_qsl(
            query_string, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except UnicodeDecodeError:
        raise InvalidQuery("the query string is not UTF-8") from None
    except ValueError:
        raise InvalidQuery(f"more than {_MAX_PARAMETERS} query parameters") from None
