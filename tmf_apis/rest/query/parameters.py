"""The query string of a request, as pairs of names and values."""

from urllib.parse import parse_qsl

from tmf_apis.errors import InvalidQuery

Parameters = list[tuple[str, str]]

_MAX_PARAMETERS = 200
#: Parameters that have one value; sent twice, it would be unclear which one counts. ``fields`` is a
#: list, which may be split over several parameters, and repeated attribute filters mean OR.
SINGLE_VALUED = frozenset(
    {"after", "before", "depth", "dryRun", "filter", "limit", "offset", "sort"}
)


def parse_parameters(query_string: str) -> Parameters:
    """Return the query parameters in their order.

    >>> parse_parameters("a=1&b=x%20y&a=")
    [('a', '1'), ('b', 'x y'), ('a', '')]

    Raises:
        InvalidQuery: The query string is not UTF-8, has too many parameters, or repeats one of
            ``SINGLE_VALUED`` (HTTP 400).
    """
    if not query_string:
        return []
    try:
        parameters = parse_qsl(
            query_string, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except UnicodeDecodeError:
        raise InvalidQuery("the query string is not UTF-8") from None
    except ValueError:
        raise InvalidQuery(f"more than {_MAX_PARAMETERS} query parameters") from None
    _check_repetitions(parameters)
    return parameters


def _check_repetitions(parameters: Parameters) -> None:
    """Refuse two values of a parameter that has one.

    Raises:
        InvalidQuery: A parameter of ``SINGLE_VALUED`` occurs more than once (HTTP 400).
    """
    seen = set[str]()
    for name, _ in parameters:
        if name in seen:
            raise InvalidQuery(f"{name} occurs more than once; it has one value")
        if name in SINGLE_VALUED:
            seen.add(name)
