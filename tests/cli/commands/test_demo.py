"""`gatekeeper demo`: a sample day, told truly."""

from __future__ import annotations

from tests.peers import free_port
from tests.peers.gate import Gate


def test_the_sample_day_has_a_message_of_every_verdict():
    with Gate("maildir:out") as gate:
        verdicts = [(each["verdict"], each["rules"]) for each in gate.ask("demo")]
    assert verdicts == [
        ("relay", []),
        ("reject", ["subject"]),
        ("reject", ["blind-copy"]),
        ("warn", ["attachments"]),
        ("hold", ["approval"]),
    ]


def test_a_next_hop_that_is_down_is_what_the_demo_says():
    with Gate(f"smtp://127.0.0.1:{free_port()}") as gate:
        refused = gate.cli("demo", check=False).stderr
        assert "relays to smtp:: expected one with --next-hop maildir:DIR; --really sends" in refused
        assert "to see it work" not in gate.log()
        replies = {each["reply"][:9] for each in gate.ask("demo", "--really")}
    assert replies == {"451 4.4.1"}
