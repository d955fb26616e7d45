"""An OpenTelemetry collector for tests: it keeps the spans that it receives."""

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ReceivedSpan:
    """A span with hexadecimal ids and its attributes by name."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict
    is_error: bool


class TraceCollector:
    """Receives spans on a free port of loopback.

    Attributes:
        spans: The spans that have been received.
    """

    def __init__(self):
        self.spans = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.spans += _spans(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def of_trace(self, trace):
        """Return the spans of a trace."""
        return [span for span in list(self.spans) if span.trace == trace]

    def close(self):
        """Stop the collector."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _spans(request):
    for resource_spans in request.resource_spans:
        service = _attributes(resource_spans.resource.attributes)["service.name"]
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(
                    service,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    _attributes(span.attributes),
                    span.status.code == 2,
                )


def _attributes(attributes):
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
