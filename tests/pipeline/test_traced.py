"""A transaction's span: what it says, and the trace that the message's header names."""

from __future__ import annotations

import io
import logging
from dataclasses import replace

import pytest

from gatekeeper.ops.log import configure
from gatekeeper.ops.metrics import Metrics
from gatekeeper.ops.tracing import SpanTaken
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging, Ops
from tests.peers.gate import RULES
from tests.pipeline.test_pipeline import NextHop, message
from tests.store.arrivals import people

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Exporter:
    """Keeps spans in place of exporting them."""

    def __init__(self) -> None:
        self.spans: list[SpanTaken] = []

    def export(self, taken: SpanTaken) -> str:
        self.spans.append(taken)
        return TRACE


@pytest.fixture
def restored_log():
    logger = logging.getLogger("gatekeeper")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


async def test_a_transaction_is_a_span_without_an_address(store, tmp_path, restored_log):
    (tmp_path / "rules.yaml").write_text(RULES)
    exporter, stream = Exporter(), io.StringIO()
    configure(Ops(None, "text", "plain", "info"), b"k", stream)
    report = Reporter(Metrics(), None, exporter).report
    judging = Judging(tmp_path / "rules.yaml", "enforce", 0, "", "gate")
    pipeline = Pipeline(judging, ActivePolicy(tmp_path / "rules.yaml"), store, report)
    held = message(people(2400), subject="enrolment")
    await pipeline.receive(replace(held, content=f"Traceparent: {PARENT}\r\n".encode() + held.content), NextHop())
    logging.getLogger("gatekeeper").handlers[0].flush()
    (span,) = exporter.spans
    assert span.name == "smtp transaction" and span.parent == {"traceparent": PARENT} and not span.failure
    about = dict(span.attributes)
    assert about["gatekeeper.status"] == "held" and about["gatekeeper.recipients"] == 2400
    assert about["gatekeeper.mailing"] == "M-1" and "@" not in str(span)
    assert f" trace={TRACE}\n" in stream.getvalue() and f"smtp {about['gatekeeper.id']} from=" in stream.getvalue()
