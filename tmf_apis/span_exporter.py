"""The exporter of spans: OpenTelemetry's SDK behind what ``tracing`` needs.

Only ``tracing`` imports it, and only if an exporter is set: the SDK takes a tenth of a second.
"""

from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

__all__ = ["Span", "SpanExporter"]

#: Longest wait for the collector when the process ends, in milliseconds.
_FLUSH_TIMEOUT = 3000


class SpanExporter:
    """Starts spans and sends them to a collector in the background."""

    def __init__(self, endpoint: str, service: str) -> None:
        """Create the exporter.

        Args:
            endpoint: URL of a collector; empty: the variables of OpenTelemetry name it.
            service: The name of the service.
        """
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces" if endpoint else None)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("tmf_apis")

    def start(self, name: str, attributes: Mapping[str, str | int], kind: str, parent: str) -> Span:
        """Start a span.

        Args:
            name: Its name.
            attributes: Facts about it.
            kind: "internal", "server", "client", "producer" or "consumer".
            parent: The ``traceparent`` of its parent; empty: it begins a trace.
        """
        return self._tracer.start_span(
            name,
            context=_parent_context(parent),
            kind=SpanKind[kind.upper()],
            attributes=dict(attributes),
            record_exception=False,
        )

    def shutdown(self) -> None:
        """Send the last spans, within some seconds."""
        self._provider.force_flush(_FLUSH_TIMEOUT)
        self._provider.shutdown()


def trace_parent(span: Span) -> str:
    """Return the ``traceparent`` that names a span."""
    own = span.get_span_context()
    return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"


def set_error(span: Span, reason: str) -> None:
    """Mark a span as failed."""
    span.set_status(Status(StatusCode.ERROR, reason))


def _parent_context(parent: str) -> context.Context:
    """Return a context whose span is the one that ``traceparent`` names; an empty one for none."""
    if not parent:
        return context.Context()
    _, trace_id, span_id, flags = parent.split("-")
    remote = trace.SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(int(flags, 16)),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), context.Context())
