"""Export spans by OpenTelemetry: one of each transaction, and one of each request to the console.

Spans are exported where the extra `otel` is installed and OTEL_EXPORTER_OTLP_ENDPOINT says where to. All else is set by
the variables of OpenTelemetry's own specification, which its library reads. Where it is off, nothing of it is imported.

A span continues the trace that is named by a `traceparent` field (W3C Trace Context): of the message's header, or of
the HTTP request. No span holds an address of somebody, or a subject.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from gatekeeper.lib import __version__
from gatekeeper.lib.immutable import immutable

log = logging.getLogger("gatekeeper.tracing")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NAMES = ("traceparent", "tracestate")
_LAST_SECONDS = 5.0  # that what waits to be exported has at the end
_HEADER = 65_536  # octets in which the fields are looked for
_FIELDS = re.compile(
    rb"^(traceparent|tracestate)[ \t]*:[ \t]*([!-~ \t]{1,512}?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)


@immutable
class SpanTaken:
    """What is known of a piece of work that has just ended."""

    name: str
    seconds: float
    attributes: Mapping[str, str | int | float | bool]
    parent: Mapping[str, str] = field(default_factory=dict)  # traceparent and tracestate, as they came
    failure: str = ""  # "" where it went well


class Tracing:
    """Exports spans in a thread of its own."""

    def __init__(self, tracer: Any, provider: Any) -> None:
        """Args: `tracer` and `provider` are OpenTelemetry's."""
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer, self._provider = tracer, provider
        self._kind, self._failed = SpanKind.SERVER, StatusCode.ERROR
        self._propagator = TraceContextTextMapPropagator()

    def export(self, taken: SpanTaken) -> str:
        """Export a span that ends now; return the id of its trace, by which it is found."""
        end = time.time_ns()
        span = self._tracer.start_span(
            taken.name,
            self._propagator.extract(dict(taken.parent)),
            self._kind,
            taken.attributes,
            start_time=end - int(taken.seconds * 1e9),
        )
        if taken.failure:
            span.set_status(self._failed, taken.failure)
        span.end(end)
        return f"{span.get_span_context().trace_id:032x}"

    def close(self) -> None:
        """Export what waits, for a few seconds at most."""
        ending = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        ending.start()
        ending.join(_LAST_SECONDS)


def parent_of_request(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of an HTTP request that name the trace which it belongs to; {} for none."""
    return {name: headers[name] for name in _NAMES if name in headers}


def parent_of(content: bytes) -> dict[str, str]:
    """Return the fields of a message's header that name the trace which it belongs to; {} for none."""
    end = content.find(b"\r\n\r\n", 0, _HEADER)
    found = _FIELDS.finditer(content, 0, end if end >= 0 else _HEADER)
    return {each[1].decode().lower(): each[2].decode() for each in found}


def make_tracing(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Return what exports spans as the environment says; None where it says nothing, or the extra is not installed."""
    if not any(environment.get(name) for name in _ENDPOINTS) or environment.get("OTEL_SDK_DISABLED") == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning("no spans are exported, since %s is missing: install gatekeeper-mail[otel]", error.name)
        return None
    own = {"service.name": environment.get("OTEL_SERVICE_NAME") or "gatekeeper", "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(own))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    others = logging.getLogger("opentelemetry")  # what cannot be exported is told in the gate's own log
    others.handlers[:], others.propagate = logging.getLogger("gatekeeper").handlers, False
    return Tracing(provider.get_tracer("gatekeeper", __version__), provider)
