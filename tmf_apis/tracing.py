"""Traces in the format of OpenTelemetry, if an exporter is set; otherwise nothing is loaded.

A span is made for each request, database command, step of an order or task, connection to an
element, and delivery of an event. The context of the current span is the ``traceparent`` of the
current origin, so that it reaches other threads, the worker, later deliveries and subscribers.

Source: W3C Trace Context; OpenTelemetry semantic conventions.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tmf_apis.security.request_origin import current_origin
from tmf_apis.settings import Settings

if TYPE_CHECKING:
    from tmf_apis.span_exporter import Span, SpanExporter

#: Variables of OpenTelemetry that name an exporter's endpoint.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: The credentials in a URL, which are not logged.
_CREDENTIALS = re.compile(r"//[^/@]*@")
_MAX_REASON = 300

Attributes = Mapping[str, str | int]
log = logging.getLogger(__name__)


class _Exporter:
    """The exporter of this process; None until ``configure`` has found one."""

    current: "SpanExporter | None" = None


def configure(settings: Settings, service: str) -> None:
    """Export the spans of this process, if an exporter is set.

    Args:
        settings: ``otlp_endpoint`` is the URL of a collector; empty: the variables of OpenTelemetry
            decide, such as OTEL_EXPORTER_OTLP_ENDPOINT.
        service: The name of the service, unless OTEL_SERVICE_NAME has another.
    """
    endpoint = settings.otlp_endpoint.rstrip("/")
    is_set = endpoint or any(os.environ.get(name) for name in _ENDPOINTS)
    if not is_set or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    from tmf_apis.span_exporter import SpanExporter  # noqa: PLC0415 - see there

    name = os.environ.get("OTEL_SERVICE_NAME") or service
    _Exporter.current = SpanExporter(endpoint, name)
    where = _CREDENTIALS.sub("//", endpoint) or "named by the variables of OpenTelemetry"
    log.info("exporting traces", extra={"endpoint": where, "service": name})


def shutdown() -> None:
    """Send the last spans; a collector that does not answer delays this by some seconds only."""
    if (exporter := _Exporter.current) is not None:
        _Exporter.current = None
        exporter.shutdown()


def is_enabled() -> bool:
    """Return whether spans are exported."""
    return _Exporter.current is not None


@contextmanager
def span(name: str, attributes: Attributes, *, kind: str = "internal") -> "Iterator[Span | None]":
    """Record the time of a block as a span; inside it, the current origin has the span's context.

    Args:
        name: Name of the span, with few different values.
        attributes: Facts about the block.
        kind: "internal", "server", "client", "producer" or "consumer".

    Yields:
        The span; None if no spans are exported or the current origin has no trace.
    """
    started = start(name, attributes, kind)
    if started is None:
        yield None
        return
    current, trace = started
    token = current_origin.set(replace(current_origin.get(), trace=trace))
    try:
        yield current
    except Exception as error:
        set_error(current, f"{type(error).__name__}: {error}")
        raise
    finally:
        current_origin.reset(token)
        current.end()


def start(
    name: str, attributes: Attributes, kind: str, parent: str | None = None
) -> "tuple[Span, str] | None":
    """Start a span; return it and its ``traceparent``. None if no spans are exported.

    Args:
        name: Name of the span.
        attributes: Facts about it.
        kind: Its kind, see ``span``.
        parent: The ``traceparent`` of its parent; empty: it begins a trace. None: that of the
            current origin; without one, there is no span.
    """
    exporter = _Exporter.current
    if exporter is None:
        return None
    if parent is None and not (parent := current_origin.get().trace):
        return None
    from tmf_apis.span_exporter import trace_parent  # noqa: PLC0415 - loaded by ``configure``

    current = exporter.start(name, attributes, kind, parent)
    return current, trace_parent(current)


def set_error(current: "Span", reason: str) -> None:
    """Mark a span as failed."""
    from tmf_apis.span_exporter import set_error  # noqa: PLC0415 - loaded by ``configure``

    set_error(current, reason[:_MAX_REASON])
