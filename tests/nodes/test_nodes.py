"""Three nodes, each in a network namespace of its own, on one Postgres: what is promised of one holds for all of them.

`make test` has a mailing over all three and one round; `make soak` two hundred rounds.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from gatekeeper.store import audit_chain, audit_rows
from tests.faults.scene import LIMIT, message, people
from tests.nodes.fleet import PATIENCE, QUIET, Fleet, fleet
from tests.nodes.network import network
from tests.peers import wait_for

log = logging.getLogger("tests.nodes")
OVER, UNDER = people(2400), people(1000)
IN_FLIGHT = 8 * 50  # recipients that a node sends to at once: eight releases of batches of fifty
CAMPAIGN_QUIET = 6  # seconds
FAULTS = ("kill", "cut", "restart", "crash")
OF_ALL = ("restart", "crash")  # faults of Postgres, that catch all nodes with what they have in flight


def deliver(fleet: Fleet, subject: str) -> Counter[str]:
    """Wait until each recipient has it, and nothing is left to send; how often each has it."""
    wait_for(
        lambda: fleet.state(subject)[2] and not _left(fleet, subject),
        lambda: f"{fleet.state(subject)}, {len(fleet.copies(subject))} have it: {fleet.logs()}",
        PATIENCE,
        0.2,
    )
    return fleet.copies(subject)


def _left(fleet: Fleet, subject: str) -> int:
    (mailing,) = (each for each in fleet.service.mailings().rows if each.subject == subject)
    return sum(batch.state.value != "sent" for batch in fleet.service.show(int(mailing.id[2:])).batches)


def in_three_thousand_pieces_of_fifty(fleet: Fleet) -> None:
    everyone, chance = people(3000), random.Random(7)
    with ThreadPoolExecutor(9) as pool:
        coming = fleet.send_cut(pool, everyone, message("whole"), chance)
        answers = [each.result() for each in coming]
    assert all("not sent yet" in answer for answer in answers)
    assert fleet.wait_state("whole", "held") == ("held", 3000, 60)
    assert not fleet.copies("whole"), "leaked"
    assert {gate.host for gate in fleet.gates if gate.metric("gatekeeper_recipients_count")} == {
        gate.host for gate in fleet.gates
    }, "some node took in none of it"
    fleet.approve("whole")
    assert deliver(fleet, "whole") == dict.fromkeys(everyone, 1)


def play(fleet: Fleet, number: int, phase: str, fault: str, chance: random.Random, quiet: int = QUIET) -> int:
    """One round: something happens while a mailing is gathered, held or released. How many got it twice."""
    subject, everyone = f"seed {number} {phase} {fault}", UNDER if phase == "gather" else OVER
    strike = fleet.faults(chance)[fault]
    fleet.taken = taken = []
    with ThreadPoolExecutor(9) as pool:
        coming = fleet.send_cut(pool, everyone, message(subject), chance)
        if phase != "release":
            time.sleep(chance.uniform(0, 2.5))
            strike()
        answers = [each.result() for each in coming]
    assert all("not sent yet" in answer for answer in answers)
    if phase == "gather":
        fleet.wait_state(subject, "open")
    else:
        assert fleet.wait_state(subject, "held") == ("held", len(everyone), len(everyone) // 50), "a batch was lost"
        assert len(fleet.copies(subject)) <= LIMIT, "past the limit"
        assert not fleet.copies(subject) or longest_gap(taken) > quiet - 1, "leaked, though it came together"
        fleet.approve(subject)
    if phase == "release":
        time.sleep(chance.uniform(0, 0.5))
        strike()
    copies = deliver(fleet, subject)
    assert copies.keys() == set(everyone), "somebody has not got it"
    twice = copies.total() - len(everyone)
    assert twice <= in_flight(fleet, phase, fault), f"{twice} got it twice"
    for gate in fleet.gates:
        gate.wait_ready()
    return twice


def in_flight(fleet: Fleet, phase: str, fault: str) -> int:
    """How many may have been sent to, and not written down yet, when it struck."""
    if phase == "hold":
        return 0
    return IN_FLIGHT * (len(fleet.gates) if fault in OF_ALL else 1)


def longest_gap(taken: list[float]) -> float:
    times = sorted(taken)
    return max((later - sooner for sooner, later in pairwise(times)), default=0.0)


def each_node_has_a_chain_of_its_own(fleet: Fleet) -> None:
    """What each of them decided is recorded by itself, and nothing of it was changed or cut off by the crash."""
    chains, problems = fleet.store.call(audit_rows.verify_all)
    assert problems == []
    assert {chain.name: chain.problem for chain in chains} == dict.fromkeys((chain.name for chain in chains), "")
    assert len({chain.name for chain in chains if chain.name != audit_chain.ACTS and chain.records}) == len(fleet.gates)


def rounds(fleet: Fleet, number: int, seed: int) -> Counter[str]:
    chance, twice = random.Random(seed), Counter()
    for each in range(number):
        phase, fault = ("gather", "hold", "release")[each % 3], FAULTS[(each // 3) % 4]
        twice[f"{phase} {fault}"] += play(fleet, each, phase, fault, chance, CAMPAIGN_QUIET)
        fleet.downstream.sink.mails.clear()
        log.warning("round %d, %s %s: %s twice so far", each, phase, fault, dict(twice))
    return twice


def test_a_mailing_cut_over_three_nodes_is_one_and_each_fault_loses_nothing():
    def scenario(net):
        with fleet(net) as three:
            in_three_thousand_pieces_of_fifty(three)
            chance = random.Random(3)
            play(three, 2, "hold", "crash", chance)
            each_node_has_a_chain_of_its_own(three)

    with network(3) as net:
        net.run(scenario, net)


@pytest.mark.soak
def test_two_hundred_rounds_of_killing_cutting_and_restarting():
    def scenario(net):
        with fleet(net, quiet=CAMPAIGN_QUIET) as three:
            return rounds(three, 200, seed=20261125)

    with network(3) as net:
        twice = net.run(scenario, net)
    log.warning("got it twice: %s of 200 rounds", dict(twice))
