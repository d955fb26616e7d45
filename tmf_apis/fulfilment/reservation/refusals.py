"""Messages of refusals, which hide other parties' orders and the operator's capacity."""

from collections.abc import Sequence

from tmf_apis.errors import NotFound, Unfulfillable
from tmf_apis.rest.pipeline.policy import Repository

_ORDER_KINDS = ("ProductOrder", "ServiceOrder")


def message_for(error: Unfulfillable, readers: Sequence[Repository] | None) -> str:
    """Return the message of a refusal that all its readers may see.

    The operator may see the full message, and so may a party that can read the order that the
    message is about.

    Args:
        error: The refusal.
        readers: A repository for each party that will read the message; empty if only the operator
            will read it; None if the party is unknown.
    """
    if readers is None:
        return error.public_message
    if not readers or (
        error.order and all(can_read_order(reader, error.order) for reader in readers)
    ):
        return str(error)
    return error.public_message


def can_read_order(reader: Repository, order: str, *kinds: str) -> bool:
    """Return whether a repository shows an order.

    Args:
        reader: The repository.
        order: Id of the order.
        *kinds: The kinds that the order may have; none for any.
    """
    for kind in kinds or _ORDER_KINDS:
        try:
            reader.get(kind, order)
        except NotFound:
            continue
        return True
    return False
