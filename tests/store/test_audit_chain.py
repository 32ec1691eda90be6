"""The audit as it is kept: chains that tell what was changed, merged and aged out without losing that."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from sqlalchemy import delete, select, update

from gatekeeper.store import audit_ageing, audit_chain, audit_verify
from gatekeeper.store.db.schema import audit_blocks, audit_chains

NOW = 1_800_000_000.0


FRAME = audit_chain.frame_name("[]")


def lines(number, start=0):
    return tuple(b'[%d,"%s"]' % (index, FRAME.encode()) for index in range(start, start + number))


def write(store, end, *groups, at=NOW):
    """Write groups of records one after the other, a second apart."""
    for second, group in enumerate(groups):
        written = audit_chain.RecordGroup(group, at + second, at + second)
        end = store.call(
            partial(audit_chain.append, end=end, written=written, payload=audit_chain.pack(group), frames={FRAME: "[]"})
        )
    return end


@pytest.fixture
def chain(store):
    return store.call(partial(audit_chain.begin, name="worker-1", now=NOW))


def problems(store):
    return {report.name: report.problem for report in reports(store) if report.problem}


def reports(store):
    return store.call(audit_verify.verify)[0]


def kept(store):
    found = store.call(partial(audit_chain.blocks_between, since=0, until=2 * NOW))
    read = [line for block in found for line in store.call(partial(audit_chain.lines_of, block=block))]
    return [line for line in read if line.startswith(b"[")]


def acts(store):
    chain = store.call(lambda c: list(audit_chain.blocks_of(c, c.execute(audit_chain.acts_chain()).one().id)))
    return [line for block in chain for line in store.call(partial(audit_chain.lines_of, block=block))]


def test_what_is_written_can_be_read_and_verified(store, chain):
    end = write(store, chain, lines(3), lines(2, 3))
    assert (end.records, kept(store), problems(store)) == (5, list(lines(5)), {})
    assert store.call(audit_chain.read_frames) == {FRAME: "[]"}


def test_writing_again_what_was_committed_changes_nothing(store, chain):
    """The answer of a commit can be lost with the connection."""
    first = write(store, chain, lines(3))
    assert write(store, chain, lines(3)) == first and kept(store) == list(lines(3))


def test_a_chain_that_another_has_written_to_is_given_up(store, chain):
    write(store, chain, lines(3))
    with pytest.raises(audit_chain.ChainLost):
        write(store, chain, lines(2, 7))


def block(store, number):
    query = select(audit_blocks).where(audit_blocks.c.chain_id > 1).order_by(audit_blocks.c.first)
    return store.call(lambda c: c.execute(query).mappings().all())[number]


CHANGES = {
    "a record changed": (
        lambda c, id: c.execute(
            update(audit_blocks).where(audit_blocks.c.id == id).values(payload=audit_chain.pack(lines(2, 9)))
        ),
        "records 3 to 4 are not what was written",
    ),
    "a record removed": (
        lambda c, id: c.execute(
            update(audit_blocks).where(audit_blocks.c.id == id).values(payload=audit_chain.pack(lines(1, 3)))
        ),
        "records 3 to 4 are 1",
    ),
    "a block removed": (
        lambda c, id: c.execute(delete(audit_blocks).where(audit_blocks.c.id == id)),
        "records 3 to 4 are missing",
    ),
    "a block that cannot be read": (
        lambda c, id: c.execute(update(audit_blocks).where(audit_blocks.c.id == id).values(payload=b"?")),
        "records 3 to 4 are damaged",
    ),
    "another name": (
        lambda c, id: c.execute(update(audit_chains).where(audit_chains.c.name != "acts").values(name="x")),
        "its beginning was changed",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_found(store, chain, change):
    write(store, chain, lines(2), lines(2, 2), lines(2, 4))
    act, told = CHANGES[change]
    store.call(partial(act, id=block(store, 1)["id"]))
    assert told in problems(store).values()


def test_an_end_that_was_cut_off_is_found_also_where_the_chain_was_shortened(store, chain):
    end = write(store, chain, lines(2), lines(2, 2))
    last = block(store, 1)
    store.call(lambda c: c.execute(delete(audit_blocks).where(audit_blocks.c.id == last["id"])))
    assert problems(store) == {"worker-1": "it ends with record 2: 4 were written"}
    shortened = {"records": 2, "head": audit_chain.follow(chain.head, lines(2))}
    store.call(lambda c: c.execute(update(audit_chains).where(audit_chains.c.id == end.id).values(**shortened)))
    assert problems(store) == {}, "the database alone cannot tell"
    assert store.call(partial(audit_chain.head_at, chain=end.id, number=4)) is None, "who wrote down the head can"


def test_small_blocks_are_merged_and_nothing_of_them_is_lost(store, chain):
    end = write(store, chain, *(lines(2, 2 * number) for number in range(20)))
    listed = store.call(partial(audit_chain.blocks_between, since=0, until=2 * NOW))
    merger = store.call(partial(audit_ageing.find_block_merge, before=NOW + 3600))
    assert merger and store.call(partial(audit_ageing.merge, merger=merger))
    assert (kept(store), problems(store)) == (list(lines(40)), {})
    blocks = store.call(partial(audit_chain.blocks_between, since=0, until=2 * NOW))
    assert len([block for block in blocks if block.chain == chain.id]) == 1
    # who listed them before the merger still reads each record once
    own = [block for block in listed if block.chain == chain.id]
    assert [line for each in own for line in store.call(partial(audit_chain.lines_of, block=each))] == list(lines(40))
    assert not store.call(partial(audit_ageing.merge, merger=merger)), "it was done already"
    write(store, end, lines(1, 40))
    assert problems(store) == {}


def age_out(store, before):
    return store.call(partial(audit_ageing.age, ageing=audit_ageing.Ageing(before), now=2 * NOW)).records


def test_what_is_aged_out_leaves_a_checkpoint(store, chain):
    """Clause C7: destroyed by the rules, and what is left can still be verified."""
    end = write(store, chain, *(lines(2, 2 * number) for number in range(10)))
    assert age_out(store, NOW + 5) == 10, "acts stay"
    assert (kept(store), problems(store)) == (list(lines(10, 10)), {})
    (worker,) = [report for report in reports(store) if report.name == "worker-1"]
    assert (worker.records, worker.aged_out) == (20, 10)
    assert store.call(partial(audit_chain.head_at, chain=end.id, number=20)) == end.head
    assert age_out(store, 2 * NOW) == 10
    assert [each.name for each in reports(store)] == ["acts"]


def test_only_the_beginning_of_a_chain_ages_out(store, chain):
    """Times of several blocks may not be in order; what is removed must be."""
    end = write(store, chain, lines(1), at=NOW + 100)
    write(store, end, lines(1, 1), at=NOW)
    assert age_out(store, NOW + 50) == 0
    assert problems(store) == {} and len(kept(store)) == 2


def test_acts_are_written_in_the_transaction_of_the_act(store):
    for name in ("a", "b"):
        store.call(partial(audit_chain.note, act={"at": NOW, "act": name}))
    with pytest.raises(ZeroDivisionError):
        store.call(lambda c: (audit_chain.note(c, {"at": NOW, "act": "c"}), 1 / 0))
    assert [json.loads(line)["act"] for line in acts(store)] == ["a", "b"] and problems(store) == {}


async def test_acts_of_one_commit_are_written_but_for_those_that_were_taken_back(store):
    """Each piece of work that a group has in one transaction has its own savepoint."""

    def act(connection, name, fails=False):
        audit_chain.note(connection, {"at": NOW, "act": name})
        if fails:
            raise ZeroDivisionError

    work = [partial(act, name=name, fails=name == "b") for name in "abc"]
    done = await asyncio.gather(*map(store.run, work), return_exceptions=True)
    assert [isinstance(each, ZeroDivisionError) for each in done] == [False, True, False]
    assert [json.loads(line)["act"] for line in acts(store)] == ["a", "c"] and problems(store) == {}
