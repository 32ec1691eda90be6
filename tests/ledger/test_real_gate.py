"""The ledger by its commands, on a gate that runs: asked in advance, approved, claimed, revoked."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tests.ledger.scene import TEXT
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

CIO, HEAD, SENDER, TODAY = (
    "cio@example.gov",
    "head@doa.example.gov",
    "news@doa.example.gov",
    f"{datetime.now(UTC):%Y-%m-%d}",
)


def message(subject, text=TEXT, sender=SENDER):
    head = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{abs(hash((subject, text)))}@doa.example.gov>\r\n\r\n"
    return head.encode() + text.replace(b"\n", b"\r\n")


def submit(gate, subject, *more):
    words = ("--agency", "DOA", "--by", HEAD, "--sender", SENDER, "--subject", subject, "--planned", TODAY)
    words += ("--users", "2400", "--audience", "DOA", "--audience", "DPHHS", "--purpose", "benefits", *more)
    return gate.ask("request", "submit", *words)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    rules = RULES.replace("within: 24h", "within: 24h, gather: off")
    known = ("--authenticated", "127.0.0.1/32")  # whose senders are who they say; the others of this machine are not
    with Gate(f"maildir:{tmp_path_factory.mktemp('hop')}", rules=rules, flags=known) as running:
        yield running


def held_for(code_and_text):
    """Why a message was held, by its own reply: what its mailing shows changes with each permit that is given."""
    code, text = code_and_text
    assert code == 250 and "Held for approval as" in text, text
    return text


def test_an_agency_asks_the_cio_approves_and_the_gate_obeys_at_the_next_message(gate):
    """Clauses M2, M3, S1 and S5."""
    asked = submit(gate, "Asked for")
    assert (asked["state"], asked["missing"]) == ("submitted", ["approver"])
    assert gate.ask("request", "list", "--state", "submitted")[0]["id"] == asked["id"]
    everyone = people(2400)
    assert "needs approval" in held_for(gate.send(SENDER, everyone, message("Asked for")))
    approved = gate.ask("request", "approve", asked["id"], "--by", CIO)
    permit = gate.ask("permit", "show", approved["permit"])
    assert (permit["max_users"], permit["senders"], permit["request"]) == (2400, [SENDER], asked["id"])
    wait_for(lambda: gate.mailings("released"), gate.log)  # what waits for it
    assert gate.ask("request", "show", asked["id"])["state"] == "used"
    code, text = gate.send(SENDER, everyone[:100], message("Asked for", TEXT + b"P.S."))
    assert code == 250 and "Held" not in text
    revoked = gate.ask("request", "revoke", asked["id"], "--by", CIO, "--reason", "wrong form")
    assert revoked["state"] == "revoked" and revoked["sent"] + revoked["stopped"] == 2500
    assert "it was revoked" in held_for(gate.send(SENDER, everyone, message("Asked for", TEXT + b"P.P.S.")))


def test_each_difference_is_named_through_the_gate(gate, tmp_path):
    exact = tmp_path / "exact.eml"
    exact.write_bytes(message("Very content"))
    approved = submit(gate, "Very content", "--content", str(exact))
    gate.ask("request", "approve", approved["id"], "--by", CIO)
    changed = held_for(gate.send(SENDER, people(2400), message("Very content", TEXT + b".")))
    assert "the content is not what was approved" in changed
    like = tmp_path / "like.eml"
    like.write_bytes(message("A template"))
    approved = submit(gate, "A template", "--content", str(like))
    gate.ask("request", "approve", approved["id"], "--by", CIO, "--binding", "template")
    link = TEXT.replace(b"benefits.example.gov", b"benefits.example.org")
    assert "has other links" in held_for(gate.send(SENDER, people(2400), message("A template", link)))
    approved = submit(gate, "Plain")
    gate.ask("request", "approve", approved["id"], "--by", CIO)
    other = "jo@doa.example.gov"
    assert "the sender is not" in held_for(gate.send(other, people(2400), message("Plain", TEXT, other)))
    assert "2401 users, permit allows 2400" in held_for(gate.send(SENDER, people(2401), message("Plain", b"x")))


def test_the_approved_subject_forged_by_a_host_that_nobody_vouches_for_is_held(gate):
    asked = submit(gate, "Forged")
    gate.ask("request", "approve", asked["id"], "--by", CIO)
    forged = gate.send(SENDER, people(2400), message("Forged", b"Pay here"), client_address="127.0.0.66")
    assert "the sender is not authenticated" in held_for(forged)
    code, text = gate.send(SENDER, people(2400), message("Forged"))
    assert code == 250 and "Held" not in text


def test_one_day_late_is_held_and_said(gate):
    """The planned day and two working days more. What passes here is a ledger that was written days ago."""
    asked = submit(gate, "A day late")
    permit = gate.ask("request", "approve", asked["id"], "--by", CIO)["permit"]
    days = (datetime.fromisoformat(gate.ask("permit", "show", permit)["until"]) - datetime.now(UTC)).days + 1
    with sqlite3.connect(gate.home / "gate.db", timeout=30) as ledger:
        moved = "UPDATE permits SET since = since - :seconds, until = until - :seconds WHERE number = :number"
        ledger.execute(moved, {"seconds": days * 86_400, "number": int(permit.removeprefix("P-"))})
    ledger.close()
    ended = gate.ask("permit", "show", permit)["until"]
    assert ended[:10] == f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    late = held_for(gate.send(SENDER, people(2400), message("A day late")))
    assert f"its last day is over: it ended {ended[:10]}" in late


def test_the_other_commands_of_the_ledger(gate):
    """Clauses M1, M8, S2 and C10."""
    asked = submit(gate, "Changed")
    assert gate.ask("request", "changes", asked["id"], "--by", CIO, "--reason", "fewer")["state"] == "changes"
    again = gate.ask("request", "submit", "--revise", asked["id"], "--by", HEAD, "--users", "2300")
    assert (again["id"], again["state"], again["users"]) == (asked["id"], "submitted", 2300)
    assert gate.ask("request", "deny", asked["id"], "--by", CIO, "--reason", "no")["final"] is True
    refused = gate.cli("request", "submit", "--appeal", asked["id"], "--by", HEAD, "--reason", "please", check=False)
    assert refused.returncode == 77 and "whose decision is final" in refused.stderr
    emergency = ("--agency", "DOA", "--by", HEAD, "--reason", "Flood", "--hours", "1")
    assert gate.ask("permit", "emergency", *emergency)["review"] == "open"
    code, text = gate.send(SENDER, people(2500), message("Flood", b"Stay away from the river"))
    assert code == 250 and "Held" not in text
    (open_review,) = gate.ask("permit", "list", "--review", "open")
    gate.ask("permit", "revoke", open_review["id"], "--by", CIO, "--reason", "It is over")
    gate.ask("permit", "review", open_review["id"], "--by", CIO, "--reason", "Was needed")
    until = f"{datetime.now(UTC).year + 1}-12-31"
    exception = ("--sender", SENDER, "--by", CIO, "--reason", "Writes to all", "--until", until)
    assert gate.ask("permit", "exception", *exception)["kind"] == "exception"
    suspension = gate.ask("suspend", "sender", SENDER, "--by", CIO, "--reason", "Chain letters", "--until", until)
    code, text = gate.send(SENDER, people(300), message("Chain", b"Send this to ten friends"))
    assert code == 550 and "Chain letters" in text
    assert gate.ask("suspend", "end", suspension["id"], "--by", CIO)["state"] == "ended"
