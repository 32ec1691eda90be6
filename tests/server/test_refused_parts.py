"""A refused part refuses the rest of its mailing, whichever listener each part comes by (clause C9, DESIGN 3.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatekeeper.background.gathering import GatherRunner
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.store import jobs, views
from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.postfix.mails import Letter
from tests.server.test_parity import Gate, open_gate
from tests.store.arrivals import people

CLERK = "clerk@doa.example.gov"
GATHERED = RULES.replace("within: 24h", "within: 24h, gather: {from: 50, quiet: 1s, limit: 5s}")


def part(recipients: list[str], number: int = 1, subject: str = "") -> Letter:
    head = f"From: {CLERK}\r\nMessage-ID: <{number}@doa.example.gov>\r\n" + (
        f"Subject: {subject}\r\n" if subject else ""
    )
    return Letter("", CLERK, tuple(recipients), f"{head}\r\nAs agreed.\r\n".encode())


async def reply_to(gate: Gate, by: str, letter: Letter) -> str:
    answer: Any = await (gate.by_smtp if by == "smtp" else gate.by_milter)(letter)
    return answer if isinstance(answer, str) else answer.verdict


@pytest.mark.parametrize("first", ["smtp", "milter"])
@pytest.mark.parametrize("then", ["smtp", "milter"])
async def test_three_hundred_cut_at_250(tmp_path: Path, first: str, then: str) -> None:
    """The first 250 get 550, and so do the other 50, who alone were no mass mailing; with a subject all pass."""
    everyone = people(300)
    async with Sink() as sink, open_gate(tmp_path, sink, RULES) as gate:
        refusals = [await reply_to(gate, first, part(everyone[:250])), await reply_to(gate, then, part(everyone[250:]))]
        assert all(each.startswith("550 5.7.1 Not sent. 1) Add a subject line") for each in refusals)
        assert refusals[0] == refusals[1]
        for start, end in ((0, 250), (250, 300)):
            assert "550" not in await reply_to(gate, then, part(everyone[start:end], 2, "Minutes"))


@pytest.mark.parametrize("by", ["smtp", "milter"])
async def test_three_hundred_cut_at_200(tmp_path: Path, by: str) -> None:
    """The first 200 are gathered, and end in one delivery report when the rest is refused: nobody gets any."""
    everyone = people(300)
    async with Sink() as sink, open_gate(tmp_path, sink, GATHERED) as gate:
        await reply_to(gate, by, part(everyone[:200]))
        outcome = gate.passages[0].outcome
        assert outcome and outcome.gathered
        assert (await reply_to(gate, by, part(everyone[200:290]))).startswith("550 5.7.1 Not sent. 1) Add a subject")
        policy = ActivePolicy(tmp_path / "rules.yaml")
        letterhead = Letterhead(policy.current.ruleset, "gate.example.gov")
        await GatherRunner(policy, gate.store, lambda: letterhead).end_due()
        assert (await reply_to(gate, by, part(everyone[290:]))).startswith("550 5.7.1 Not sent. 1) Add a subject")
        assert [each.state for each in gate.store.call(views.list_mailings)] == ["denied"]
        waiting = gate.store.call(jobs.waiting_jobs)
        assert [(job["kind"], job["recipient"]) for job in waiting] == [("dsn", CLERK)]
        assert sink.mails == []
