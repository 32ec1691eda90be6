"""`--seen` through a running gate and its commands, on both databases; and with the gate killed in between."""

from __future__ import annotations

import pytest

from tests.faults.scene import Downstream, held_as, insist, message
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

CIO, SECOND, SENDER = "cio@example.gov", "second@example.gov", "head@doa.example.gov"
SMALL = RULES.replace("users: {over: 2000}", "users: {over: 200}")
TWO = SMALL.replace("people:\n", f"people:\n  {SECOND}: {{roles: [approver]}}\n", 1)
TWO = TWO.replace("    then: hold\n", "    then: hold\n    ask: {any: 2, of: [approver]}\n", 1)
STALE = 65  # EX_DATAERR
BODY, OTHER = message("Open enrolment"), message("Open enrolment").replace(b"fills", b"cheats")


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request):
    return None if request.param == "sqlite" else request.getfixturevalue("laid_out_url")


def approve(gate, *words, by=CIO):
    return gate.cli("mailing", "approve", "M-1", "--by", by, *words, check=False)


def test_what_joined_after_the_look_is_not_sent_and_the_rest_is_sent_by_only_seen(ledger):
    """Held at 240; an approver looks; another body to 400 others joins."""
    with Downstream() as downstream, Gate(downstream.address, rules=SMALL, database=ledger) as gate:
        gate.send(SENDER, people(240), BODY)
        seen = gate.ask("mailing", "show", "M-1")["version"]
        assert gate.mailings("held")[0]["version"] == seen
        gate.send(SENDER, people(400, start=240), OTHER)
        refused = approve(gate, "--seen", seen)
        assert refused.returncode == STALE and "240 users then, 640 now" in refused.stderr
        assert "1 message of other content" in refused.stderr
        shown = gate.ask("mailing", "show", "M-1")
        assert (shown["state"], shown["sent"]) == ("held", 0) and shown["version"] != seen
        (grew,) = [event["text"] for event in shown["timeline"] if event["act"] == "grew"]
        assert grew == "240 to 640 users; 1 batch, 1 of other content"
        for verb in ("deny", "changes"):
            words = ("mailing", verb, "M-1", "--by", CIO, "--reason", "x", "--seen", seen)
            assert gate.cli(*words, check=False).returncode == STALE
        assert approve(gate, "--only-seen").returncode == 64
        part = approve(gate, "--seen", seen, "--only-seen")
        assert part.returncode == 0 and part.stdout.splitlines() == [
            "M-1 is held",
            "by permit P-1; to stop what has not left: gatekeeper permit revoke P-1",
            "what was seen is being sent, to 240 recipients; what came after it, for 400 recipients, is still held",
        ]
        wait_for(lambda: set(downstream.copies(BODY)) == set(people(240)), gate.log)
        shown = gate.ask("mailing", "show", "M-1")
        assert shown["state"] == "held" and not downstream.copies(OTHER)
        plain = approve(gate)
        assert plain.returncode == 0 and "M-1 grew in the last 60 s" in plain.stderr and "--seen" in plain.stderr
        assert "M-1 is released" in plain.stdout


def test_a_yes_to_an_earlier_state_is_shown_as_one(ledger):
    with Gate("maildir:out", rules=TWO, database=ledger) as gate:
        gate.send(SENDER, people(240), BODY)
        assert approve(gate, by=SECOND).returncode == 0
        assert gate.ask("mailing", "show", "M-1")["agreed"] == [SECOND]
        gate.send(SENDER, people(10), OTHER)
        shown = gate.ask("mailing", "show", "M-1")
        assert (shown["agreed"], shown["agreed_to_an_earlier_state"]) == ([], [SECOND]) and shown["missing"]
        assert f"agreed to an earlier state: {SECOND}" in gate.cli("mailing", "show", "M-1").stdout
        assert "who must still agree" in approve(gate).stdout
        assert "M-1 is released" in approve(gate, by=SECOND).stdout


@pytest.mark.parametrize("point", ["decided:1", "body-complete:1", "sealed:1", "notice-queued:1"])
def test_a_gate_that_is_killed_while_more_arrives_has_it_seen_or_not(ledger, point):
    """Whatever the kill left of the second batch, a yes to the first alone does not send it."""
    with Downstream() as downstream, Gate(downstream.address, rules=SMALL, database=ledger) as gate:
        gate.send(SENDER, people(240), BODY)
        seen = gate.ask("mailing", "show", "M-1")["version"]
        gate.kill()
        gate.start(kill_at=point)
        assert held_as(insist(gate, people(10, start=240), OTHER)) == "M-1"
        refused = approve(gate, "--seen", seen)
        assert refused.returncode == STALE and "240 users then, 250 now" in refused.stderr, refused.stderr
        grew = [event["text"] for event in gate.ask("mailing", "show", "M-1")["timeline"] if event["act"] == "grew"]
        assert grew == ["240 to 250 users; 1 batch, 1 of other content"]
        assert approve(gate, "--seen", seen, "--only-seen").returncode == 0
        assert not downstream.copies(OTHER)
        shown = gate.ask("mailing", "show", "M-1")
        assert sorted(each["state"] for each in shown["kept"])[0] == "held"


def test_requests_and_permits_have_versions_too(ledger):
    with Gate("maildir:out", rules=SMALL, database=ledger) as gate:
        words = ("--agency", "DOA", "--by", SENDER, "--sender", SENDER, "--subject", "Survey", "--users", "2400")
        both = ("--audience", "DOA", "--audience", "DPHHS")
        asked = gate.ask("request", "submit", *words, "--planned", "2099-01-04", *both)
        assert gate.ask("request", "list")[0]["version"] == asked["version"]
        gate.ask("request", "submit", "--revise", "R-1", "--by", SENDER, "--users", "9000")
        old = ("R-1", "--by", CIO, "--seen", asked["version"])
        refused = gate.cli("request", "approve", *old, check=False)
        assert refused.returncode == STALE and "2,400 users then, 9,000 now" in refused.stderr
        assert gate.cli("request", "deny", *old, "--reason", "x", check=False).returncode == STALE
        now = gate.ask("request", "show", "R-1")["version"]
        given = gate.ask("request", "approve", "R-1", "--by", CIO, "--seen", now)["permit"]
        seen = gate.ask("permit", "show", given)["version"]
        less = ("permit", "narrow", given, "--by", CIO, "--reason", "x", "--seen", seen, "--max-users")
        assert gate.ask(*less, "5000")["max_users"] == 5000
        assert gate.cli(*less, "4000", check=False).returncode == STALE
        assert gate.ask("permit", "list")[0]["version"] != seen
