"""The parameter ``dryRun``: a request that shows what a create would do, and writes nothing."""

from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.contracts.contract import Operation
from tmf_apis.rest.http.messages import Request

_READING_METHODS = frozenset({"GET", "HEAD"})


def is_requested(request: Request) -> bool:
    """Return whether a request has ``dryRun=true``.

    Raises:
        InvalidQuery: ``dryRun`` is neither true nor false (HTTP 400).
    """
    value = request.parameter("dryRun")
    if value not in {None, "true", "false"}:
        raise InvalidQuery("dryRun: expected true or false")
    return value == "true"


def refuse_unless_create(operation: Operation, request: Request) -> None:
    """Refuse ``dryRun=true`` for writes other than a create, which would be carried out.

    Raises:
        InvalidQuery: ``dryRun`` is malformed, or the operation has no dry run (HTTP 400).
    """
    is_write = request.method not in _READING_METHODS and operation.action != "create"
    if is_requested(request) and is_write:
        raise InvalidQuery(f"dryRun: {request.method} has no dry run here; POST of orders has")
