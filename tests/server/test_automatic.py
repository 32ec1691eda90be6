"""Automatic mail, by both listeners: to many it is mail like any other, to one it counts by whom it comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.postfix.mails import Letter
from tests.server.test_parity import Gate, open_gate
from tests.store.arrivals import people

AUTHOR, DAEMON = "jo@doa.example.gov", "mailer-daemon@doa.example.gov"
REPORT = "Content-Type: multipart/report; boundary=b; report-type="
STATUS = [
    "Reporting-MTA: dns; mx.example.gov",
    "",
    "Final-Recipient: rfc822; x@example.org",
    "Action: failed",
    "Status: 5.1.1",
]
RECEIPT = ["Final-Recipient: rfc822; jo@doa.example.gov", "Disposition: manual-action/MDN-sent-manually; displayed"]
FEW = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")


def reply(about: str = "never@sent.example.gov", author: str = AUTHOR) -> list[str]:
    head = [f"From: {author}", "Subject: Away", "Auto-Submitted: auto-replied (vacation)", f"References: <{about}>"]
    return [*head, "Message-ID: <away@doa.example.gov>", "", "I am away."]


def report(kind: str, fields: list[str], about: str = "never@sent.example.gov") -> list[str]:
    """A DSN or an MDN, with the header of what it is about."""
    machine = ["--b", f"Content-Type: message/{kind}", "", *fields]
    returned = ["--b", "Content-Type: text/rfc822-headers", "", f"Message-ID: <{about}>", "", "--b--"]
    head = [f"From: {DAEMON}", "Subject: Returned", f"{REPORT}{kind}", "", "--b", "", "It did not arrive."]
    return [*head, *machine, *returned]


def letter(lines: list[str], to: Sequence[str], sender: str = "") -> Letter:
    return Letter("", sender, tuple(to), "".join(f"{line}\r\n" for line in lines).encode())


KINDS = {
    "a reply": reply(),
    "a delivery report": report("delivery-status", STATUS),
    "a receipt": report("disposition-notification", RECEIPT),
}


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with Sink() as sink, open_gate(tmp_path, sink, FEW) as gate:
        yield gate


@pytest.fixture(params=["smtp", "milter"])
def send(request: pytest.FixtureRequest, gate: Gate) -> Any:
    """What was decided about a letter that comes by the listener."""

    async def send(letter: Letter) -> str:
        await (gate.by_smtp if request.param == "smtp" else gate.by_milter)(letter)
        outcome = gate.passages[-1].outcome
        assert outcome, gate.passages[-1].failure
        return outcome.verdict.action.value

    return send


@pytest.mark.parametrize("kind", KINDS)
async def test_to_many_it_is_mail_like_any_other(send: Any, kind: str) -> None:
    assert await send(letter(KINDS[kind], people(24))) == "hold"


@pytest.mark.parametrize("kind", KINDS)
async def test_one_by_one_it_counts_together_whatever_it_says(send: Any, gate: Gate, kind: str) -> None:
    """Nothing joins these but where they come from: subject, Message-ID and text differ."""
    found = []
    for number, person in enumerate(people(24)):
        lines = [line.replace("away", f"away{number}") for line in KINDS[kind]]
        lines[1] = f"Subject: matter {number}"
        found.append(await send(letter(lines, [person])))
    assert found == ["relay"] * 20 + ["hold"] * 4
    assert [mailing.counts.users for mailing in gate.mailings()] == [24]


async def test_rules_that_look_at_more_than_counts_are_not_asked(send: Any) -> None:
    """A report has no subject of its own, and may have files."""
    for person in people(15):
        assert await send(letter([line for line in reply() if "Subject" not in line], [person])) == "relay"


async def test_a_reply_that_is_not_from_the_null_sender_is_mail_like_any_other(send: Any) -> None:
    bare = [line for line in reply() if "Subject" not in line]
    found = [await send(letter(bare, [person], AUTHOR)) for person in people(15)]
    assert found[-1] == "reject"  # mass mail without a subject
