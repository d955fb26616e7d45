"""Adapters of which no exception but an ``ElementError`` leaves an operation that reads.

An element may answer anything, and an adapter may be by a third party: what it does not expect is a
failure of that element, not of the process.
"""

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Any

from adapters.base import Adapter
from adapters.errors import AdapterFailed, ElementError

#: The guarded operations. Those that change an element are not among them: their callers have to
#: know that the state of the element is not known.
GUARDED_OPERATIONS = (
    "__aenter__", "probe", "inventory", "read", "services", "counters", "usage",
    "active_conditions",
)  # fmt: skip
_log = logging.getLogger(__name__)


@cache
def guarded(adapter: type[Adapter]) -> type[Adapter]:
    """Return a subclass of an adapter whose reading operations raise only ``ElementError``."""
    operations: dict[str, Any] = {
        name: _guarded_operation(getattr(adapter, name)) for name in GUARDED_OPERATIONS
    }
    operations["faults"] = _guarded_iterator(adapter.faults)
    members = {"__module__": adapter.__module__, "__doc__": adapter.__doc__, **operations}
    return type(adapter.__name__, (adapter,), members)


def _guarded_operation(
    operation: Callable[..., Awaitable[object]],
) -> Callable[..., Awaitable[object]]:
    @functools.wraps(operation)
    async def run(self: Adapter, *arguments: object, **options: object) -> object:
        try:
            return await operation(self, *arguments, **options)
        except ElementError:
            raise
        except Exception as error:
            raise _failure(self, operation.__name__, error) from error

    return run


def _guarded_iterator(
    operation: Callable[..., AsyncIterator[Any]],
) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(operation)
    async def run(self: Adapter) -> AsyncIterator[Any]:
        try:
            async for item in operation(self):
                yield item
        except ElementError:
            raise
        except Exception as error:
            raise _failure(self, operation.__name__, error) from error

    return run


def _failure(adapter: Adapter, operation: str, error: Exception) -> AdapterFailed:
    name = adapter.target.name
    _log.warning("an adapter failed", extra={"element": name}, exc_info=error)
    text = f"the adapter {adapter.target.adapter} does not understand the element: "
    return AdapterFailed(name, f"{text}{operation}: {type(error).__name__}: {str(error)[:200]}")
