"""Spans of database commands that a request or an order causes.

Source: OpenTelemetry semantic conventions for MongoDB.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import monitoring

from tmf_apis import tracing

if TYPE_CHECKING:
    from tmf_apis.span_exporter import Span

#: Most commands that are observed at the same time.
_MAX_COMMANDS = 10_000


def command_facts(command: Mapping[str, Any], database: str) -> tuple[str, dict[str, str]]:
    """Return the name and the attributes of the span of a command.

    Args:
        command: The command; its first member has the name and the collection.
        database: Name of the database.
    """
    name, collection = next(iter(command.items()))
    target = collection if isinstance(collection, str) else ""
    return f"{name} {target}".rstrip(), {
        "db.system.name": "mongodb",
        "db.namespace": database,
        "db.operation.name": name,
        "db.collection.name": target,
    }


class CommandSpans(monitoring.CommandListener):
    """Records each command as a span, without its values."""

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Start the span of a command."""
        started = tracing.start(*command_facts(event.command, event.database_name), "client")
        if started and len(self._spans) < _MAX_COMMANDS:
            self._spans[event.request_id] = started[0]

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """End the span of a command."""
        if span := self._spans.pop(event.request_id, None):
            span.end()

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """End the span of a command with the code of its error."""
        if span := self._spans.pop(event.request_id, None):
            tracing.set_error(span, str(event.failure.get("codeName", "failed")))
            span.end()
