"""The spans of requests, if an exporter is set.

Source: OpenTelemetry semantic conventions for HTTP server spans.
"""

from typing import TYPE_CHECKING

from tmf_apis import tracing
from tmf_apis.rest.http.access_log import AccessRecord
from tmf_apis.rest.http.asgi import Scope

if TYPE_CHECKING:
    from tmf_apis.span_exporter import Span

#: From this status on a request has failed.
_FAILED = 500


class RequestSpan:
    """The span of a request.

    Attributes:
        trace: Its ``traceparent``.
    """

    def __init__(self, span: "Span", trace: str) -> None:
        self._span = span
        self.trace = trace

    def end(self, record: AccessRecord) -> None:
        """Add the outcome of the request and end the span."""
        if record.operation:
            self._span.update_name(record.operation)
        self._span.set_attribute("http.response.status_code", record.status)
        self._span.set_attribute("tmf.request.id", record.origin.request_id)
        if record.identity:
            self._span.set_attribute("user.id", record.identity.subject)
        if record.status >= _FAILED:
            tracing.set_error(self._span, str(record.status))
        self._span.end()


def start_request_span(scope: Scope, trace: str) -> RequestSpan | None:
    """Start the span of a request; None if no spans are exported, or for a health check.

    Args:
        scope: The ASGI scope of the request.
        trace: The ``traceparent`` of the client; empty: none.
    """
    if not tracing.is_enabled() or scope["path"].startswith("/health/"):
        return None
    attributes = {
        "http.request.method": scope.get("method", ""),
        "url.path": scope["path"][:300],
        "url.scheme": scope.get("scheme", "http"),
        "client.address": str((scope.get("client") or ("",))[0]),
    }
    started = tracing.start(scope.get("method", ""), attributes, "server", trace)
    return RequestSpan(*started) if started else None
