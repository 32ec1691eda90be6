"""A running gate writes to people: each kind of mail, sent by the queue and read back by another program's parser."""

from __future__ import annotations

import mailbox
from datetime import UTC, datetime, timedelta
from email import message_from_binary_file, policy
from email.message import EmailMessage

from tests.peers import wait_for
from tests.peers.gate import RULES, Gate

CIO, SECOND, HEAD, ADMIN = "cio@example.gov", "second@example.gov", "head@doa.example.gov", "admin@example.gov"
NEWS, ASK = "news@doa.example.gov", "may-i@example.gov"
TOLD = RULES.replace("people:\n", f"people:\n  {SECOND}: {{roles: [approver]}}\n  {ADMIN}: {{roles: [admin]}}\n")
TOLD += f"preflight: {ASK}\nheld: {{remind: 4s, escalate: {{after: 8s}}, expire: 12s}}\n"
SENT = {
    "Held for approval (M-1): Open enrolment",
    "Waits for your decision (M-1): Open enrolment",
    "Still waits for your decision (M-1): Open enrolment",
    "Still waiting (M-1): Open enrolment",
    "Passed on (M-1): Open enrolment",
    "Decided (M-1): Open enrolment",
    "Not sent, not decided in time (M-1): Open enrolment",
    "Received (R-1): Survey",
    "Waits for your decision (R-1): Survey",
    "Approved (R-1): Survey",
    "Decided (R-1): Survey",
    "You may send this: Lunch",
}


ON_A_SLOW_MACHINE = {  # where the approval below comes later than a reminder
    "Still waits for your decision (R-1): Survey",
    "Still waiting (R-1): Survey",
    "Passed on (R-1): Survey",
}


def message(subject: str) -> bytes:
    return (
        f"From: {NEWS}\r\nSubject: {subject}\r\nMessage-ID: <{subject[:4]}@doa.example.gov>\r\n\r\nHello\r\n".encode()
    )


def letters(gate: Gate) -> list[EmailMessage]:
    """What the gate has sent by itself; there is nothing else in the maildir."""
    box = mailbox.Maildir(gate.home / "out", lambda file: message_from_binary_file(file, policy=policy.default))
    return list(box)  # type: ignore[arg-type]


def test_every_notice_arrives_and_nothing_else_does():
    people = [f"user{number}@{('doa', 'dphhs')[number % 2]}.example.gov" for number in range(2400)]
    tomorrow = str((datetime.now(UTC) + timedelta(days=1)).date())
    asked = "request submit --agency DOA --purpose survey --subject Survey --users 2400 --audience DOA --audience DPHHS"
    with Gate("maildir:out", rules=TOLD) as gate:
        assert gate.send(NEWS, people, message("Open enrolment"))[0] == 250
        assert "sent to nobody" in gate.send(NEWS, [ASK, people[0]], message("Lunch"))[1]
        gate.cli(*asked.split(), "--by", HEAD, "--sender", NEWS, "--planned", tomorrow)
        wait_for(
            lambda: subjects(gate) >= {"Waits for your decision (R-1): Survey"}, lambda: str(subjects(gate)), 60, 0.5
        )
        gate.cli("request", "approve", "R-1", "--by", CIO)
        wait_for(lambda: subjects(gate) >= SENT, lambda: f"missing: {SENT - subjects(gate)}", 120, 0.5)
        assert subjects(gate) - ON_A_SLOW_MACHINE == SENT
        found = letters(gate)
    assert all(each["Auto-Submitted"] in ("auto-generated", "auto-replied") for each in found)
    assert not [defect for each in found for part in each.walk() for defect in part.defects]
    assert all(len(each.get_body(("plain",)).get_content().splitlines()) <= 36 for each in found)
    threads = {each["References"] for each in found if "(M-1)" in each["Subject"] and CIO in (each["To"] or "")} - {
        None
    }
    assert len(threads) == 1  # all about one mailing, after the first, name the first


def subjects(gate: Gate) -> set[str]:
    return {str(each["Subject"]) for each in letters(gate)}
