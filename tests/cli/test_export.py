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
