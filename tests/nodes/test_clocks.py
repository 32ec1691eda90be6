"""A node whose clock is more than a day ahead: what several compare is the database's time, so it changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.scene import Downstream, approve, asleep, message, people, send, wait_queue_empty
from tests.peers import require, wait_for
from tests.peers.gate import RULES

GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {at: [50], quiet: 4s, limit: 10m}}")
AHEAD = ["--exclude-monotonic", "-f", "+30h"]


@pytest.mark.soak
def test_a_node_that_is_thirty_hours_ahead_gathers_and_sends_with_the_others(postgres_url):
    require("faketime")
    everyone, content = people(2400), message("clocks")
    with Downstream() as downstream:
        options = {"rules": GATHER, "database": postgres_url, "flags": ["--lease", "3s"]}
        with (
            asleep(downstream.address, **options) as right,
            asleep(downstream.address, **options) as wrong,
        ):
            wrong.within = ["faketime", *AHEAD]
            right.start()
            wrong.start()
            cuts = [everyone[start : start + 50] for start in range(0, 2400, 50)]
            with ThreadPoolExecutor(4) as pool:
                gates = [(right, wrong)[number % 2] for number in range(len(cuts))]
                answers = list(pool.map(lambda gate, cut: send(gate, cut, content), gates, cuts))
            assert all("not sent yet" in answer for answer in answers), answers
            wait_for(lambda: bool(right.mailings("held")), right.log)
            (mailing,) = right.mailings()
            assert (mailing["users"], mailing["batches"], mailing["sent"]) == (2400, 48, 0)
            assert not downstream.copies(content), "leaked"
            approve(right, mailing["id"])
            wait_queue_empty(right)
            assert downstream.copies(content) == dict.fromkeys(everyone, 1)
            assert "status=" in wrong.log() and wrong.log()[:10] > right.log()[:10], "its clock was right"
