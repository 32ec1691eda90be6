"""The audit as it is kept: chains that tell what was changed, merged and aged out without losing that."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import delete, select, update

from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import audit_blocks, audit_chains

NOW = 1_800_000_000.0


def lines(number, start=0):
    return tuple(b'[%d,"x"]' % index for index in range(start, start + number))


def write(store, end, *groups, at=NOW):
    """Write groups of records one after the other, a second apart."""
    for second, group in enumerate(groups):
        written = audit_chain.RecordGroup(group, at + second, at + second)
        end = store.call(
            partial(audit_chain.append, end=end, written=written, payload=audit_chain.pack(group), frames={"f": "[]"})
        )
    return end


@pytest.fixture
def chain(store):
    return store.call(partial(audit_chain.begin, name="worker-1", now=NOW))


def problems(store):
    return {report.name: report.problem for report in store.call(audit_chain.verify) if report.problem}


def kept(store):
    found = store.call(partial(audit_chain.blocks_between, since=0, until=2 * NOW))
    return [line for block in found for line in store.call(partial(audit_chain.lines_of, block=block))]


def test_what_is_written_can_be_read_and_verified(store, chain):
    end = write(store, chain, lines(3), lines(2, 3))
    assert (end.records, kept(store), problems(store)) == (5, list(lines(5)), {})
    assert store.call(audit_chain.read_frames) == {"f": "[]"}


def test_writing_again_what_was_committed_changes_nothing(store, chain):
    """The answer of a commit can be lost with the connection."""
    first = write(store, chain, lines(3))
    assert write(store, chain, lines(3)) == first and kept(store) == list(lines(3))


def test_a_chain_that_another_has_written_to_is_given_up(store, chain):
    write(store, chain, lines(3))
    with pytest.raises(audit_chain.ChainLost):
        write(store, chain, lines(2, 7))


def block(store, number):
    return store.call(lambda c: c.execute(select(audit_blocks).order_by(audit_blocks.c.first)).mappings().all())[number]


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
    "another name": (lambda c, id: c.execute(update(audit_chains).values(name="x")), "its beginning was changed"),
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
    merger = store.call(partial(audit_chain.find_block_merge, before=NOW + 3600))
    assert merger and store.call(partial(audit_chain.merge, merger=merger))
    assert (kept(store), problems(store)) == (list(lines(40)), {})
    assert len(store.call(partial(audit_chain.blocks_between, since=0, until=2 * NOW))) == 1
    # who listed them before the merger still reads each record once
    assert [line for each in listed for line in store.call(partial(audit_chain.lines_of, block=each))] == list(
        lines(40)
    )
    assert not store.call(partial(audit_chain.merge, merger=merger)), "it was done already"
    write(store, end, lines(1, 40))
    assert problems(store) == {}


def test_what_is_aged_out_leaves_a_checkpoint(store, chain):
    """Clause C7: destroyed by the rules, and what is left can still be verified."""
    end = write(store, chain, *(lines(2, 2 * number) for number in range(10)))
    assert store.call(partial(audit_chain.age_out, before=NOW + 5)) == 10
    assert (kept(store), problems(store)) == (list(lines(10, 10)), {})
    reports = {report.name: report for report in store.call(audit_chain.verify)}
    assert (reports["worker-1"].records, reports["worker-1"].aged_out) == (20, 10)
    assert store.call(partial(audit_chain.head_at, chain=end.id, number=20)) == end.head
    assert store.call(partial(audit_chain.age_out, before=2 * NOW)) == 10
    assert list(reports) == ["acts", "worker-1"] and [each.name for each in store.call(audit_chain.verify)] == ["acts"]


def test_only_the_beginning_of_a_chain_ages_out(store, chain):
    """Times of several blocks may not be in order; what is removed must be."""
    end = write(store, chain, lines(1), at=NOW + 100)
    write(store, end, lines(1, 1), at=NOW)
    assert store.call(partial(audit_chain.age_out, before=NOW + 50)) == 0 and problems(store) == {}


def test_acts_are_written_in_the_transaction_of_the_act(store):
    for act in (b'{"act":"a"}', b'{"act":"b"}'):
        store.call(partial(audit_chain.note, line=act, at=NOW))
    with pytest.raises(ZeroDivisionError):
        store.call(lambda c: (audit_chain.note(c, b'{"act":"c"}', NOW), 1 / 0))
    assert kept(store) == [b'{"act":"a"}', b'{"act":"b"}'] and problems(store) == {}
