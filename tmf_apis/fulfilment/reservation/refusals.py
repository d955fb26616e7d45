"""What a party reads of a refusal: never whose another order is, nor how much the operator has."""

from collections.abc import Sequence

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.rest.pipeline.policy import Repository

_ORDER_KINDS = ("ProductOrder", "ServiceOrder")


def message_for(error: Unfulfillable, readers: Sequence[Repository] | None) -> str:
    """Return why something is refused, in words that whoever reads them may know.

    The operator's own people read all of it, and so does a party that may read the order that it
    is about.

    Args:
        error: The refusal.
        readers: What each party that will read it may see; empty: only the operator's people
            will; None: a party of which nothing is known.
    """
    if readers is None:
        return error.public_message
    if not readers or (error.order and all(can_read_order(one, error.order) for one in readers)):
        return str(error)
    return error.public_message


def can_read_order(reader: Repository, order: str, *kinds: str) -> bool:
    """Return whether a desk may read an order, of whichever kind."""
    for kind in kinds or _ORDER_KINDS:
        try:
            reader.get(kind, order)
        except NotFound:
            continue
        return True
    return False
