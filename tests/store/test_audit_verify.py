"""Whoever changes what is recorded, with what the database has and no more: `audit verify` finds it, and says where."""

from __future__ import annotations

import asyncio
import json
import tempfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, literal, select, update

from gatekeeper.audit.recorder import Auditor
from gatekeeper.ledger.accounts import disable_account
from gatekeeper.ledger.service import Narrowed
from gatekeeper.ledger.signins import Signins
from gatekeeper.ops.metrics import Metrics
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.store import (
    Database,
    Store,
    audit_ageing,
    audit_chain,
    audit_rows,
    audit_verify,
    modes,
    removal,
    rulesets,
)
from gatekeeper.store.db.schema import (
    audit_blocks,
    audit_chains,
    audit_frames,
    batches,
    bodies,
    body_chunks,
    events,
    mailings,
    permit_scopes,
    permits,
    requests,
    suspensions,
)
from gatekeeper.store.db.schema import modes as mode_rows
from gatekeeper.store.db.schema import rulesets as ruleset_rows
from tests.ledger.scene import CIO, DEPUTY, HEAD, SENDER, Scene
from tests.store.arrivals import NOON, people
from tests.store.databases import lay_out

DAY = 86_400.0


async def a_day(scene: Scene) -> None:
    """Two processes record; people approve, deny, ask, permit, narrow, suspend, observe and disable."""
    auditors = [Auditor(scene.store, name) for name in ("worker-1", "worker-2")]
    for auditor, subject in zip(auditors, ("Open enrolment ", "Parking is moved "), strict=True):
        auditor.store.now = scene.clock
        scene.pipeline.report = Reporter(Metrics(), auditor).report
        await scene.send(people(3), subject="lunch")
        await scene.send(people(240), subject=subject, text=subject.encode() * 20)
        auditor.flush()
        await scene.send(people(4), subject="budget")
        auditor.flush()
        auditor.stop()
    service = scene.service
    service.approve(1, CIO)
    service.deny(2, CIO, "Too many", category="audience")
    scene.ask()
    service.approve_request(1, CIO)
    service.narrow(2, CIO, "Fewer", Narrowed(max_users=230))
    scene.ask(subject="Flu shots")
    service.deny_request(2, CIO, "No", category="content")
    service.suspend("sender", SENDER, CIO, "Chain letters", date(2026, 12, 31))
    service.declare_emergency("DOA", HEAD, "Flood", 4)
    service.revoke(3, DEPUTY, "Over")
    store, now = scene.store, scene.now
    for digest in ("version: 1\n", "version: 1 # later\n"):
        rules = rulesets.StoredRuleset(sha256(digest.encode()).hexdigest(), "rules.yaml", digest, "gate", None)
        store.call(partial(rulesets.put_in_force, ruleset=rules, now=now))
    store.call(partial(modes.change, new=modes.ModeChange(now, "observe", now + 60, CIO, "root", "tried")))
    disable_account(Signins(store, clock=scene.clock), HEAD, CIO)


@contextmanager
def used(url: str):
    store = Store(Database(url, timeout=30))
    store.open()
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(store, Path(folder))
        asyncio.run(a_day(scene))
    yield store
    store.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def day(request, tmp_path_factory):
    """A store on which much was done, once for each kind of database; tests change it and take that back."""
    if request.param == "postgres":
        url = next(request.getfixturevalue("laid_out_urls"))
    else:
        url = lay_out(tmp_path_factory.mktemp("audit") / "gate.db")
    with used(url) as store:
        yield store


def found_after(store: Store, change: Callable) -> str:
    """What is found after a change, which is taken back."""
    with store.database.engine.connect() as connection:
        change(connection)
        reports, problems = audit_rows.verify_all(connection)
        bodies_ = [audit_rows.problem_of_body(connection, digest) for digest in audit_rows.stored_bodies(connection)]
        connection.rollback()
    chains = [f"chain {one.id} ({one.name}): {one.problem}" for one in reports if one.problem]
    return "\n".join([*chains, *problems, *filter(None, bodies_)])


def test_a_day_of_many_acts_is_whole(day):
    assert found_after(day, lambda connection: None) == ""
    reports, _ = day.call(audit_rows.verify_all)
    assert [(one.name.split(" on ")[0], one.records) for one in reports[1:]] == [("worker-1", 3), ("worker-2", 3)]
    assert reports[0].records > 20


# -- what an attacker can write ----------------------------------------------------------------------------------


def change(table, where, **values):
    return lambda connection: one(connection.execute(update(table).where(where).values(**values)))


def remove(table, where):
    return lambda connection: one(connection.execute(delete(table).where(where)))


def one(result):
    assert result.rowcount > 0, "it is there to be changed"


def swap_frames(connection):
    connection.execute(update(audit_frames).values(text=audit_frames.c.text + " "))


def name_frame_anew(connection):
    """Another text under the name that belongs to it, and the old one gone: records lead nowhere."""
    (row,) = connection.execute(select(audit_frames)).all()
    other = row.text.replace('"users"', '"external"', 1)
    connection.execute(delete(audit_frames))
    connection.execute(insert(audit_frames).values(name=audit_chain.frame_name(other), text=other))


def chain_of(connection, name):
    found = connection.execute(select(audit_chains).where(audit_chains.c.name.like(f"{name}%")))
    return found.one()


def blocks_of(connection, chain):
    return list(audit_chain.blocks_of(connection, chain.id))


def drop_first_block(name):
    """The first block is gone, and the chain says that so many have aged out."""

    def dropped(connection):
        chain = chain_of(connection, name)
        first = blocks_of(connection, chain)[0]
        connection.execute(delete(audit_blocks).where(audit_blocks.c.id == first.id))
        gone = {"aged_out": first.records, "checkpoint": first.head}
        connection.execute(update(audit_chains).where(audit_chains.c.id == chain.id).values(**gone))

    return dropped


def drop_last_block(connection):
    """The end is cut off, and the chain says that it ends there."""
    chain = chain_of(connection, "worker-1")
    *_, before, last = blocks_of(connection, chain)
    connection.execute(delete(audit_blocks).where(audit_blocks.c.id == last.id))
    ends = {"records": last.first - 1, "head": before.head}
    connection.execute(update(audit_chains).where(audit_chains.c.id == chain.id).values(**ends))


def drop_chain(name):
    def dropped(connection):
        chain = chain_of(connection, name)
        connection.execute(delete(audit_blocks).where(audit_blocks.c.chain_id == chain.id))
        connection.execute(delete(audit_chains).where(audit_chains.c.id == chain.id))

    return dropped


def add_chain(connection):
    """A chain of an attacker's own, whole in itself."""
    head = audit_chain.root("worker-3", 5.0)
    row = {"name": "worker-3", "began_at": 5.0, "records": 0, "head": head, "aged_out": 0, "checkpoint": head}
    connection.execute(insert(audit_chains).values(**row))


def write_anew(name, new):
    """Rewrite lines of a chain, and every head after them: whole in itself."""

    def written(connection):
        chain = chain_of(connection, name)
        head = bytes(chain.checkpoint)
        for block in blocks_of(connection, chain):
            lines = [new(line) for line in audit_chain.lines_of(connection, block)]
            head = audit_chain.follow(head, lines)
            changed = update(audit_blocks).where(audit_blocks.c.id == block.id)
            connection.execute(changed.values(payload=audit_chain.pack(lines), head=head))
        connection.execute(update(audit_chains).where(audit_chains.c.id == chain.id).values(head=head))

    return written


def literal_of(column, values):
    return literal(values[column.name]).label(column.name) if column.name in values else column


APPROVED, DENIED = events.c.act == "approved", events.c.act == "denied"
EVENT = {"at": 1.0, "act": "approved", "by": CIO, "login": "root"}
CHANGES = {
    "the text of a frame": (swap_frames, "its text was changed"),
    "a frame under another name": (name_frame_anew, "is gone, without which they cannot be read"),
    "all frames gone": (remove(audit_frames, audit_frames.c.name != ""), "without which they cannot be read"),
    "the text of a ruleset": (
        change(ruleset_rows, ruleset_rows.c.id == 1, text="version: 2\n"),
        "ruleset 1: its text is not that of its digest",
    ),
    "a ruleset with its digest": (
        change(
            ruleset_rows,
            ruleset_rows.c.id == 1,
            text="version: 2\n",
            digest=sha256(b"version: 2\n").hexdigest(),
        ),
        "ruleset 1: digest is",
    ),
    "a ruleset gone": (remove(ruleset_rows, ruleset_rows.c.id == 1), "ruleset 1: it is gone"),
    "the approver": (change(events, APPROVED & events.c.mailing_id.is_not(None), by=DEPUTY), f"by is '{DEPUTY}'"),
    "the time of an approval": (change(events, APPROVED, at=5.0), "at is 5.0, and was"),
    "the login": (change(events, APPROVED, login="nobody"), "login is 'nobody'"),
    "the reason of a denial": (change(events, DENIED, text="Fine"), "text is 'Fine', and was 'Too many'"),
    "the category of a denial": (change(events, DENIED, details={"category": "other"}), "details is {'category'"),
    "an approval made a denial": (change(events, APPROVED, act="denied"), "act is 'denied', and was 'approved'"),
    "an approval of another mailing": (
        change(
            events,
            APPROVED & events.c.mailing_id.is_not(None),
            mailing_id=select(mailings.c.id).where(mailings.c.number == 2).scalar_subquery(),
        ),
        "mailing_id is 'M-2', and was 'M-1'",
    ),
    "an approval that nobody gave any more": (change(events, APPROVED, by=None, login=None), "it is gone"),
    "an act gone": (remove(events, DENIED), f"(denied by {CIO}): it is gone"),
    "an act of nobody": (lambda c: c.execute(insert(events).values(**EVENT)), "it is not in the chain of acts"),
    "an act of an operator that was none": (
        lambda c: c.execute(insert(events).values(at=1.0, act="approved", login="root")),
        "(approved by root): it is not in the chain of acts",
    ),
    "an act of nobody under a number that is free": (
        lambda c: c.execute(insert(events).values(id=-5, **EVENT)),
        "events: the acts of 0 have aged out, and 1 have none",
    ),
    "the ceiling of a permit": (change(permits, permits.c.number == 2, ceiling=9_999), "P-2: ceiling is 9999"),
    "whose a permit is": (
        change(permit_scopes, permit_scopes.c.permit_id == 2, name="eve@doa.example.gov"),
        "P-2: scopes is",
    ),
    "a permit that nobody gave": (
        lambda c: c.execute(
            insert(permits).from_select(
                [column.name for column in permits.c],
                select(*(literal_of(column, {"id": 99, "number": 99}) for column in permits.c)).where(
                    permits.c.number == 1
                ),
            )
        ),
        "P-99: no act gave it",
    ),
    "a permit gone": (
        lambda c: (
            c.execute(delete(permit_scopes).where(permit_scopes.c.permit_id == 3)),
            c.execute(update(events).where(events.c.permit_id == 3).values(permit_id=None)),
            c.execute(delete(permits).where(permits.c.number == 3)),
        ),
        "P-3: it is gone",
    ),
    "a revoked permit in force again": (
        change(permits, permits.c.number == 3, state="in force"),
        "P-3: it is in force, and the last act left it revoked",
    ),
    "what a request asks for": (change(requests, requests.c.number == 1, subject="Other"), "R-1: subject is 'Other'"),
    "a denied request approved": (change(requests, requests.c.number == 2, state="approved"), "R-2: it is approved"),
    "a suspension": (change(suspensions, suspensions.c.number == 1, until=5.0), "S-1: until is 5.0"),
    "a denied mailing released": (
        change(mailings, mailings.c.number == 2, state="released"),
        "M-2: it is released, and the last act left it denied",
    ),
    "who observed": (change(mode_rows, mode_rows.c.id > 0, by=DEPUTY), f"by is '{DEPUTY}', and was '{CIO}'"),
    "that somebody observed": (remove(mode_rows, mode_rows.c.id > 0), "mode 1 (mode observe by"),
    "the first block of a process, with its bookkeeping": (
        drop_first_block("worker-1"),
        "its first 2 records are gone: 0 have aged out, by the chain of acts",
    ),
    "the first block of acts, with its bookkeeping": (drop_first_block("acts"), "(acts): its first 1 records are gone"),
    "the end of a process, with its bookkeeping": (
        drop_last_block,
        "it ends with record 2: the chain of acts has record 3 of it",
    ),
    "a whole chain": (drop_chain("worker-2"), "the whole chain is gone"),
    "the chain of acts": (drop_chain("acts"), "(acts): the whole chain is gone"),
    "a chain of somebody else's": (add_chain, "(worker-3): no act says that it began"),
    "the name of a chain": (
        change(audit_chains, audit_chains.c.name.like("worker-1%"), name="worker-9"),
        "(worker-9): its beginning was changed",
    ),
    "a chain written anew": (
        write_anew("worker-1", lambda line: line.replace(b'"relay"', b'"hold"')),
        "are not what the chain of acts has",
    ),
    "lines of acts that are none": (write_anew("acts", lambda line: b"x" + line), "records are no acts"),
    "a record": (
        lambda c: c.execute(
            update(audit_blocks)
            .where(audit_blocks.c.chain_id == chain_of(c, "worker-1").id)
            .values(payload=zlib.compress(b"[1]"))
        ),
        "are 1",
    ),
    "the octets of a message": (
        change(body_chunks, body_chunks.c.position == 0, data=b"From: eve@example.org\r\n\r\n"),
        "): it is not what came in",
    ),
    "a message gone": (
        lambda c: (c.execute(delete(body_chunks)), c.execute(delete(bodies))),
        "M-1: a message of it is gone",
    ),
    "the message of a batch": (change(batches, batches.c.id > 0, body=b"\1" * 32), "a message of it is gone"),
}


UNREADABLE = {
    "events": ("UPDATE events SET details = 'x'", "event: a row cannot be read"),
    "permits": ("UPDATE permits SET rules = 'x'", "case or hold: a row cannot be read"),
    "chains": ("UPDATE audit_chains SET records = 'x', head = 'y'", "(acts): it ends with record"),
    "blocks": ("UPDATE audit_blocks SET records = 'x' WHERE chain_id > 1", "rows that the gate does not write"),
    "payload": ("UPDATE audit_blocks SET payload = 'x', head = 'y'", "are damaged"),
    "bodies": ("UPDATE body_chunks SET data = 'x'", "it is not what came in"),
}


@pytest.mark.parametrize("day", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", UNREADABLE)
def test_what_the_gate_never_writes_is_found_and_no_fault(day, table):
    """SQLite takes a text for octets, a number or JSON."""
    words, told = UNREADABLE[table]
    assert told in found_after(day, lambda connection: connection.exec_driver_sql(words))


@pytest.mark.parametrize("named", CHANGES)
def test_what_was_changed_is_found_and_its_place_told(day, named):
    act, told = CHANGES[named]
    assert told in found_after(day, act)


def test_a_chain_of_acts_that_is_written_anew_shows_only_against_the_log(day):
    """What an attacker with the database can do who makes all hashes again: a head from the log tells it apart."""
    reports, _ = day.call(audit_rows.verify_all)
    logged = reports[0].head
    forged = f'"{DEPUTY}"'.encode()

    def forge(connection):
        write_anew("acts", lambda line: line.replace(f'"{CIO}"'.encode(), forged))(connection)
        for table in (events, mode_rows):
            connection.execute(update(table).where(table.c.by == CIO).values(by=DEPUTY))
        for table, column in ((permits, permits.c.given_by), (suspensions, suspensions.c.given_by)):
            connection.execute(update(table).where(column == CIO).values(given_by=DEPUTY))
        connection.execute(update(requests).where(requests.c.decided_by == CIO).values(decided_by=DEPUTY))
        assert audit_chain.head_at(connection, reports[0].id, reports[0].records) != logged

    assert found_after(day, forge) == ""


def test_people_can_act_also_where_the_chain_of_acts_was_removed(store, tmp_path):
    """Which stays found: of the other chains no act says that they began."""
    scene = Scene(store, tmp_path)
    asyncio.run(a_day(scene))
    store.call(drop_chain("acts"))
    scene.service.revoke(2, CIO, "Over")
    found = found_after(store, lambda connection: None)
    assert "(worker-1" in found and "no act says that it began" in found
    assert "it is not in the chain of acts" in found and age_out(scene) == 0


# -- while it goes on --------------------------------------------------------------------------------------------


def test_what_is_written_meanwhile_is_no_change(day):
    """On Postgres each statement sees what was committed before it: one look must be of one moment."""

    def look(connection):
        audit_verify.fix_moment(connection)
        add = partial(audit_chain.note, act={"at": NOON.timestamp(), "act": "looked", "by": CIO})
        reports, problems = audit_rows.verify_all(connection, lambda records: day.call(add))
        return [one.problem for one in reports if one.problem] + problems

    assert day.writer.read(look) == [] and found_after(day, lambda connection: None) == ""


# -- what ages out -----------------------------------------------------------------------------------------------


@pytest.fixture
def aged(store, tmp_path):
    """A day that is 40 days past and of which half has aged out, with a process and a person that go on."""
    scene = Scene(store, tmp_path)
    asyncio.run(a_day(scene))
    end = store.call(partial(audit_chain.begin, name="worker-3", now=scene.now))
    for later in (0, 40 * DAY):
        line = (b'[%d,""]' % later,)
        group = audit_chain.RecordGroup(line, scene.now + later, scene.now + later)
        append = partial(audit_chain.append, end=end, written=group, payload=audit_chain.pack(line), frames={})
        end = store.call(append)
    scene.now += 40 * DAY
    assert age_out(scene) > 20
    scene.service.revoke(2, CIO, "Over")
    return scene


def age_out(scene, days=30):
    """Age out what is so old, acts as well, as programs before schema 38 did: how many records.

    What was said then has to be understood for as long as such a database lives.
    """
    before = scene.now - days * DAY

    def work(connection):
        acts = chain_of(connection, "acts")
        gone, removed = audit_ageing._gone_before(connection, acts.id), 0
        for block in blocks_of(connection, acts):
            try:
                lines = audit_chain.lines_of(connection, block)
            except zlib.error:
                break
            if block.last_at >= before or not removal.remove_block(connection, block):
                break
            removed += block.records
            for table, key in (act["row"] for act in map(json.loads, lines) if "row" in act):
                number, highest = gone.get(table, (0, 0))
                gone[table] = [number + 1, max(highest, key)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(audit_ageing, "_gone_before", lambda *_: gone)
            aged = audit_ageing.age(connection, audit_ageing.Ageing(before), scene.now)
        if removed and not aged.records:
            chains = audit_ageing._beginnings(connection, before)
            said = {"records": removed, "before": before, "ended": [], "rows": gone, "chains": chains}
            audit_chain.note(connection, {"at": scene.now, "act": audit_chain.AGED_OUT, **said})
        return removed + aged.records

    return scene.store.call(work)


def acts_of(store):
    reports, _ = store.call(audit_rows.verify_all)
    blocks = store.call(lambda c: list(audit_chain.blocks_of(c, reports[0].id)))
    return [json.loads(line) for block in blocks for line in store.call(partial(audit_chain.lines_of, block=block))]


def test_what_has_aged_out_adds_up_with_the_acts_that_say_so(aged):
    assert found_after(aged.store, lambda connection: None) == ""
    reports, _ = aged.store.call(audit_rows.verify_all)
    assert [(one.name.split(" on ")[0], one.records - one.aged_out) for one in reports] == [
        ("acts", 3),
        ("worker-3", 1),
    ]
    (said,) = [act for act in acts_of(aged.store) if act["act"] == "aged out"]
    assert said["rows"]["events"][0] > 5 and said["rows"]["rulesets"] == [2, 2]
    assert len(said["ended"]) == 2 and len(said["chains"]) == 2


def test_what_the_ledger_had_of_acts_that_aged_out_still_adds_up_in_number(aged):
    store = aged.store
    assert "events: the acts of" in found_after(store, remove(events, events.c.act == "denied"))
    backdated = lambda c: c.execute(insert(events).values(id=-5, **EVENT))  # noqa: E731
    assert "have none" in found_after(store, backdated)
    assert "it is not in the chain of acts" in found_after(store, lambda c: c.execute(insert(events).values(**EVENT)))
    assert "R-1: " in found_after(store, lambda c: c.execute(update(requests).values(subject="Other"))), (
        "the last act about it is there"
    )


def test_more_gone_than_has_aged_out_is_found(aged):
    store = aged.store
    assert "its first" in found_after(store, drop_first_block("worker-3"))
    assert "its first" in found_after(store, drop_first_block("acts"))
    assert "the whole chain is gone" in found_after(store, drop_chain("worker-3"))


def test_each_time_that_something_ages_out_it_says_all_that_has(aged):
    """The act that said so first ages out itself."""
    store = aged.store
    before = [act for act in acts_of(store) if act["act"] == "aged out"][-1]["rows"]["events"]
    for _ in range(2):
        aged.now += 40 * DAY
        age_out(aged)
        assert found_after(store, lambda connection: None) == ""
    after = [act for act in acts_of(store) if act["act"] == "aged out"]
    assert len(after) == 1 and after[0]["rows"]["events"][0] == before[0] + 2, (
        "the revoking, of a permit and its request"
    )


def test_a_damaged_block_of_acts_does_not_age_out_nor_keeps_others_from_it(store, tmp_path):
    scene = Scene(store, tmp_path)
    asyncio.run(a_day(scene))
    first = store.call(lambda c: blocks_of(c, chain_of(c, "acts"))[0])
    store.call(lambda c: c.execute(update(audit_blocks).where(audit_blocks.c.id == first.id).values(payload=b"?")))
    scene.now += 40 * DAY
    assert age_out(scene) == 6, "of the two workers"
    assert "(acts): records 1 to 1 are damaged" in found_after(store, lambda connection: None)
