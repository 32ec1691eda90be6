"""`gatekeeper mailing export`: messages byte for byte, and to whom each was to go."""

from __future__ import annotations

import json

from tests.peers.gate import Gate


def test_an_export_has_the_messages_their_envelopes_and_what_happened():
    """Clauses C1 and C6: a record is given out whole, for a store that keeps it."""
    content = b"From: head@doa.example.gov\r\nSubject: Open enrolment\r\n\r\nHello\r\n"
    people = [f"user{i}@{'doa' if i % 2 else 'dphhs'}.example.gov" for i in range(2100)]
    with Gate("maildir:out") as gate:
        assert gate.send("head@doa.example.gov", people, content)[0] == 250
        refused = gate.cli("mailing", "export", "M-1", "--by", "jo@example.gov", "--to", "theirs", check=False)
        assert refused.returncode == 77 and not (gate.home / "theirs").exists()
        gate.cli("mailing", "export", "M-1", "--by", "cio@example.gov", "--to", "copy")
        again = gate.cli("mailing", "export", "M-1", "--by", "cio@example.gov", "--to", "copy", check=False)
        assert again.returncode == 73
        document = json.loads((gate.home / "copy" / "mailing.json").read_text())
        (kept,) = document["kept"]
        assert (gate.home / "copy" / kept["file"]).read_bytes().endswith(content)
        assert [each["address"] for each in kept["envelope"]["recipients"]] == people
        assert {each["state"] for each in kept["envelope"]["recipients"]} == {"waiting"}
        acts = [event["act"] for event in document["timeline"]]
        assert acts[0] == "held" and acts[-1] == "exported"


def test_messages_are_read_on_the_terminal_without_what_nobody_sees():
    """Clauses S4 and D4: reading is an act of its own."""
    content = (
        b"From: =?utf-8?q?Benefits_=E2=80=AEx?= <head@doa.example.gov>\r\nSubject: Open enrolment\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello \x1b[2J http://benefits.example.org/x\r\n"
    )
    people = [f"user{i}@{'doa' if i % 2 else 'dphhs'}.example.gov" for i in range(2100)]
    with Gate("maildir:out") as gate:
        assert gate.send("head@doa.example.gov", people, content)[0] == 250
        nobody = gate.cli("mailing", "show", "M-1", "--content", check=False)
        assert nobody.returncode == 64 and "--by" in nobody.stderr
        shown = gate.cli("mailing", "show", "M-1", "--content", "--by", "cio@example.gov").stdout.splitlines()
        assert 'From: "Benefits [U+202E]x" <head@doa.example.gov>' in shown
        assert "  | Hello [U+001B][2J http://benefits.example.org/x" in shown
        assert shown[-3:] == ["links:", "  http://benefits.example.org/x", "files: none"]
        assert any(line.startswith("defect: From, Sender or a Resent field can be read") for line in shown)
        reading = ["mailing", "show", "M-1", "--content", "--by", "cio@example.gov", "--json"]
        document = json.loads(gate.cli(*reading).stdout)
        assert document["messages"][0]["links"] == ["http://benefits.example.org/x"]
        timeline = json.loads(gate.cli("mailing", "show", "M-1", "--json").stdout)["timeline"]
        assert [event["by"] for event in timeline if event["act"] == "read"] == ["cio@example.gov"] * 2
