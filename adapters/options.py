"""The options of a target, checked against those that its adapter knows."""

from adapters.errors import Misconfigured
from adapters.values import Target


def check_options(target: Target, *known: frozenset[str]) -> None:
    """Refuse a target with options that its adapter does not know.

    Args:
        target: The target.
        known: Sets of option names that the adapter knows.

    Raises:
        Misconfigured: There are others; the message names them.
    """
    if unknown := sorted(set(target.options).difference(*known)):
        raise Misconfigured(target.name, f"no such option: {', '.join(unknown)}")
