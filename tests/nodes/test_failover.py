"""The primary is gone and its standby is promoted under load: whoever was told 250 finds his batch at the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.scene import Downstream, approve, asleep, message, people, send
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.postgres import Postgres
from tests.workers.scene import PATIENCE, Stream, acknowledged, streams

ALL_HELD = RULES.replace("users: {over: 2000}, agencies: {over: 1}", "external: {over: 0}")  # as streams send
FLAGS = ("--database-timeout", "2s", "--lease", "2s")


def both(primary: Postgres, standby: Postgres) -> str:
    """The address of whichever takes writes, as docs/operations.md has it."""
    hosts = "&".join(f"host={each.host}:{each.port}" for each in (primary, standby))
    return f"postgresql://postgres@/postgres?{hosts}&target_session_attrs=read-write"


@contextmanager
def two_nodes(primary: Postgres, standby: Postgres) -> Iterator[tuple[Downstream, list[Gate]]]:
    with ExitStack() as stack:
        downstream = stack.enter_context(Downstream())
        options = {"rules": ALL_HELD, "database": both(primary, standby), "flags": FLAGS}
        gates = [stack.enter_context(asleep(downstream.address, **options)) for _ in range(2)]
        for gate in gates:
            gate.start()
        yield downstream, gates


def wait_more(running: Sequence[Stream], number: int, why: Callable[[], str]) -> None:
    """Wait until so many more were acknowledged."""
    before = acknowledged(running)
    wait_for(lambda: acknowledged(running) >= before + number, why, PATIENCE)


@pytest.mark.soak
def test_no_acknowledged_batch_is_lost_with_the_primary_where_its_standby_is_synchronous():
    with Postgres() as primary, primary.standby() as standby, two_nodes(primary, standby) as (downstream, gates):
        primary.wait_for_standby()
        with streams(gates[0], 4) as (some, contents), streams(gates[1], 4) as (others, _):
            for running in (some, others):
                wait_more(running, 40, gates[0].log)
            primary.stop("immediate")
            standby.promote()
            for gate, running in zip(gates, (some, others), strict=True):
                wait_more(running, 40, gate.log)
        taken = {name for stream in [*some, *others] for name in stream.acknowledged}
        kept = {mailing["subject"]: mailing["id"] for mailing in gates[0].mailings("held")}
        assert len(taken) >= 160 and taken <= kept.keys(), f"{len(taken - kept.keys())} of {len(taken)} were lost"
        assert not [mail for mail in downstream.sink.mails if mail.sender], "what was held went out"
        first = some[0].acknowledged[0]
        approve(gates[1], kept[first])
        wait_for(lambda: downstream.copies(contents[first]).total() == 1, gates[0].log, PATIENCE)


@pytest.mark.soak
def test_without_the_standby_that_it_waits_for_mail_is_put_off_and_then_goes_on():
    everyone = people(3)
    with Postgres() as primary, primary.standby() as standby, two_nodes(primary, standby) as (downstream, (gate, _)):
        primary.wait_for_standby()
        assert send(gate, everyone, message("before")).startswith("250")
        standby.stop("immediate")
        answer = send(gate, everyone, message("without"))
        assert answer.startswith("451 4.3.0"), answer
        standby.start()
        wait_for(lambda: send(gate, everyone, message("after")).startswith("250"), gate.log, PATIENCE)
        assert downstream.copies(message("after")) == dict.fromkeys(everyone, 1)
        assert not downstream.copies(message("without")), "it was put off, and went out all the same"
