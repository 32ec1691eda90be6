"""Spans: exported to a collector where one is named, under the trace that a message's header names."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.ops.tracing import SpanTaken, make_tracing, parent_of

pytest.importorskip("opentelemetry.sdk")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Collector:
    """Takes in what is exported by OTLP over HTTP."""

    def __init__(self) -> None:
        taken = self.taken = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def spans(self) -> list:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        for path, body in self.taken:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                found += [(names, span) for scope in resource.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def collector(monkeypatch) -> Iterator[Collector]:
    made = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{made.server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_span_comes_to_the_collector_under_the_trace_that_was_named(collector):
    tracing = make_tracing()
    assert tracing is not None
    about = {"gatekeeper.id": "f76fa774e43a", "gatekeeper.recipients": 2400}
    parent = {"traceparent": PARENT, "tracestate": "vendor=1"}
    assert tracing.export(SpanTaken("smtp transaction", 0.25, about, parent)) == TRACE
    other = tracing.export(SpanTaken("milter transaction", 0.1, {}, {"traceparent": "nonsense"}, "database away"))
    assert len(other) == 32 and other != TRACE
    tracing.close()
    (names, first), (_, second) = sorted(collector.spans(), key=lambda each: each[1].name, reverse=True)
    assert names["service.name"] == "gatekeeper" and names["service.version"]
    assert (first.trace_id.hex(), first.parent_span_id.hex(), first.trace_state) == (TRACE, SPAN, "vendor=1")
    assert first.end_time_unix_nano - first.start_time_unix_nano == 250_000_000
    values = {each.key: each.value for each in first.attributes}
    assert values["gatekeeper.id"].string_value == "f76fa774e43a"
    assert values["gatekeeper.recipients"].int_value == 2400
    assert second.trace_id.hex() == other and not second.parent_span_id
    assert (second.status.code, second.status.message) == (2, "database away")


def test_without_an_endpoint_nothing_of_it_is_imported():
    program = (
        "import sys, gatekeeper.service.gate; from gatekeeper.ops.tracing import make_tracing; "
        "assert make_tracing({}) is None; "
        "assert make_tracing({'OTEL_EXPORTER_OTLP_ENDPOINT': 'x', 'OTEL_SDK_DISABLED': 'true'}) is None; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_where_the_extra_is_missing_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert make_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) is None
    assert "install gatekeeper-mail[otel]" in caplog.text


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        (f"Traceparent: {PARENT}\r\ntracestate:a=1,b=2 \r\n", {"traceparent": PARENT, "tracestate": "a=1,b=2"}),
        (f"Subject: x\nTRACEPARENT : {PARENT}\n", {"traceparent": PARENT}),
        (f"Subject: x\r\n\r\ntraceparent: {PARENT}\r\n", {}),
        (f"X-traceparent: {PARENT}\r\n", {}),
        ("traceparent:\r\n " + PARENT + "\r\n", {}),
    ],
)  # fmt: skip
def test_the_header_of_a_message_names_its_trace(header: str, parent: dict[str, str]) -> None:
    assert parent_of(header.encode() + b"\r\nHello\r\n") == parent


@given(st.binary(max_size=200))
def test_whatever_stands_there_harms_nothing(text: bytes) -> None:
    found = parent_of(b"traceparent: " + text + b"\r\n\r\n")
    assert all((value.isascii() and value.isprintable()) or "\t" in value for value in found.values())
