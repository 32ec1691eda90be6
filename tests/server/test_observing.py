"""A gate that only observes bounces nobody who sends as none of ours."""

from __future__ import annotations

import json

from tests.peers import wait_for
from tests.peers.gate import Gate

MESSAGE = b"From: x@elsewhere.example\r\nSubject: Hello\r\n\r\nHi\r\n"


def test_a_foreign_sender_passes_and_is_counted():
    with Gate("maildir:out", flags=["--mode", "observe"]) as gate:
        assert gate.send("x@elsewhere.example", ["bo@dphhs.example.gov"], MESSAGE)[0] == 250
        assert gate.metric("gatekeeper_observed_total", verdict="reject") == 1
        assert "sender would be refused client=127.0.0.1 from=<x@elsewhere.example>" in gate.log()
        assert gate.metric("gatekeeper_refused_total", listener="smtp", stage="mail", reason="not-allowed") == 0
        assert gate.send("jo@doa.example.gov", ["bo@dphhs.example.gov"], MESSAGE)[0] == 250
        assert gate.log().count("watched=sender-domains") == 1
        wait_for(lambda: '"sender-domains": 1' in gate.cli("report", "--json").stdout, gate.log)
        document = json.loads(gate.cli("report", "--json").stdout)
        (rule,) = (each for each in document["by_rule"] if each["rule"] == "sender-domains")
        assert (rule["action"], rule["messages"], rule["observed"]) == ("reject", 1, True)


def test_when_it_enforces_it_is_refused_and_counted():
    with Gate("maildir:out") as gate:
        assert gate.send("x@elsewhere.example", ["bo@dphhs.example.gov"], MESSAGE)[0] == 550
        assert gate.metric("gatekeeper_refused_total", listener="smtp", stage="mail", reason="not-allowed") == 1
