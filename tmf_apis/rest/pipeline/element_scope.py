"""The scope for network elements: what leads the worker to an address with credentials."""

from tmf_apis.errors import Forbidden
from tmf_apis.rest.pipeline.policy import RequestContext

#: The scope that a client needs to create, change or delete resources with management data, and to
#: start tasks that do so.
ELEMENT_SCOPE = "tmf639:elements"


def require_element_scope(context: RequestContext, reason: str) -> None:
    """Check that the client is staff and has the scope for elements.

    Args:
        context: The request.
        reason: Why the scope is needed, for the message.

    Raises:
        Forbidden: The client acts for a party, or its token lacks the scope (HTTP 403).
    """
    if not context.is_staff:
        raise Forbidden(f"{reason}: only the operator's staff may do this")
    if context.scopes is not None and ELEMENT_SCOPE not in context.scopes:
        raise Forbidden(f"{reason}: the token lacks the scope {ELEMENT_SCOPE}")
