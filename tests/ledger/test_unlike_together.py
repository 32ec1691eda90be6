"""Two unlike things in one: files of a template, links and permits of a mailing, a resend of what was released."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import update

from gatekeeper.ledger.service import Exempted, LedgerError, Terms
from gatekeeper.lifecycle import BatchState
from gatekeeper.message import read_facts
from gatekeeper.model import Scope
from gatekeeper.store import batch_views
from gatekeeper.store.db.schema import permit_uses
from gatekeeper.store.permit_uses import give_back
from tests.ledger.scene import CIO, RULES, SENDER, TODAY, Scene
from tests.store.arrivals import people

DAY = 86_400.0
TEXT = b"Dear colleagues, this year the enrolment for health insurance opens early and closes sooner than before.\r\n"


def letter(*files, text=TEXT, within="multipart/mixed", extra=b""):
    """A message with files, each a name and its octets."""
    head = f"From: {SENDER}\r\nSubject: Open enrolment\r\nMIME-Version: 1.0\r\nContent-Type: {within}; boundary=b\r\n"
    parts = [b"Content-Type: text/plain\r\n\r\n" + text, *map(part_of, files)]
    return head.encode() + extra + b"\r\n" + b"".join(b"--b\r\n" + part for part in parts) + b"--b--\r\n"


def part_of(file):
    name, octets = file
    return b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="%s"\r\n\r\n%s\r\n' % (
        name,
        octets,
    )


A, B = (b"plan.pdf", b"%PDF plan A"), (b"plan.pdf", b"%PDF plan B")
FORM, OTHER = (b"form.pdf", b"%PDF form"), (b"other.pdf", b"%PDF plan A")


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path)


async def send(scene, content, recipients=None, **more):
    """A message of ours, with an id of its own as its program gives it."""
    made = scene.message(recipients or people(240), **more)
    head, rest = content.split(b"\r\n", 1)
    own = head + b"\r\nMessage-ID: <%d@x>\r\n" % scene.sent + rest
    return await scene.pipeline.receive(type(made)(**{**vars_of(made), "content": own}), scene.hop)


def vars_of(made):
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


# -- a template --------------------------------------------------------------------------------------------------

SWAPPED = {
    "the same files": ((A, FORM), None),
    "another content under a name": ((B, FORM), "files of the same name"),
    "another name for a content": ((OTHER, FORM), "other.pdf"),
    "one more": ((A, FORM, (b"more.pdf", b"%PDF")), "more.pdf"),
    "one less": ((A,), "form.pdf"),
    "the second swapped, not the first": ((A, (b"form.pdf", b"%PDF other form")), "files of the same name"),
    "none": ((), "plan.pdf"),
}


@pytest.mark.parametrize("named", SWAPPED)
async def test_a_template_permit_lets_no_file_be_swapped(scene, named):
    files, told = SWAPPED[named]
    scene.ask(content=letter(A, FORM))
    scene.service.approve_request(1, CIO, terms=Terms(binding="template"))
    reply = await send(scene, letter(*files, text=TEXT.replace(b"colleagues", b"Ann")))
    if told is None:
        assert "queued" in reply.text
    else:
        assert "Held" in reply.text and told in scene.mailing().reasons[0].text


async def test_a_template_is_not_made_of_messages_that_differ_in_links(scene):
    """Who approves a mailing as a template approves what all of its messages are like."""
    link = b"More: https://benefits.example.gov/%s\r\n"
    for start, page in ((0, b"guide"), (240, b"other")):
        await send(scene, letter(text=TEXT + link % page), people(240, start=start))
    with pytest.raises(LedgerError, match="other links"):
        scene.service.approve(1, CIO, terms=Terms(binding="template", max_users=1_000))
    assert scene.mailing().state == "held" and scene.releases() == []


async def test_a_template_is_made_of_messages_that_differ_in_a_word_only(scene):
    for start, name in ((0, b"Ann"), (240, b"Bob")):
        await send(scene, letter(text=TEXT.replace(b"colleagues", name)), people(240, start=start))
    scene.service.approve(1, CIO, terms=Terms(binding="template", max_users=1_000))
    assert (scene.mailing().state, len(scene.releases())) == ("released", 2)


REPORTED = {
    "a report's own part": (b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n", []),
    "a PDF in a report": (part_of(A), ["plan.pdf"]),
    "a PDF without a name in a report": (b"Content-Type: application/pdf\r\n\r\n%PDF\r\n", ["application/pdf"]),
    "a PDF under a report's type": (
        b'Content-Type: message/delivery-status; name="plan.pdf"\r\n\r\n%PDF\r\n',
        ["plan.pdf"],
    ),
}


@pytest.mark.parametrize("named", REPORTED)
def test_a_file_in_a_report_is_a_file(named):
    part, expected = REPORTED[named]
    head = b"From: a@doa.example.gov\r\nMIME-Version: 1.0\r\n"
    head += b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    facts = read_facts(head + b"--b\r\n\r\nIt failed.\r\n--b\r\n" + part + b"--b--\r\n")
    assert [each.name or each.type for each in facts.attachments] == expected


# -- two permits -------------------------------------------------------------------------------------------------

FILES = "  - {id: files, when: {users: {over: 100}, attachments: {over: 0}}, then: hold, say: No files.}\n"


@pytest.fixture
def by_two(store, tmp_path):
    """A mailing that was let go by two permits, each of which answers one of its rules."""
    scene = Scene(store, tmp_path, RULES + FILES)
    for rule in ("approval", "files"):
        scene.service.grant_exception(Exempted(Scope(frozenset({SENDER})), TODAY, (rule,)), CIO, "it may")
    return scene


@pytest.mark.parametrize(("revoked", "rule"), [(1, "approval"), (2, "files")])
async def test_what_comes_after_one_of_two_permits_is_revoked_is_held_for_that_rule(by_two, revoked, rule):
    scene = by_two
    assert "queued" in (await send(scene, letter(A))).text
    assert [permit.mailings for permit in (scene.permit(1), scene.permit(2))] == [("M-1",), ("M-1",)]
    scene.service.revoke(revoked, CIO, "no more")
    assert "Held" in (await send(scene, letter(A), people(20, start=300))).text
    assert [reason.rule for reason in scene.mailing().reasons] == [rule]
    assert scene.permit(3 - revoked).state == "in force"


async def test_of_two_mailings_of_a_permit_one_that_goes_back_gives_back_one_use(scene):
    """And only where nothing of it was sent."""
    scene.ask()
    scene.service.approve_request(1, CIO, terms=Terms(uses=3))
    for number in range(2):
        assert (
            "queued"
            in (await scene.send(text=b"words of mailing %d alone " % number * 9, subject="Open enrolment")).text
        )
        scene.now += 1.1 * DAY
    assert (scene.permit().used, scene.permit().mailings) == (2, ("M-1", "M-2"))
    held = scene.mailing(2)
    scene.store.call(partial(give_back, mailing_id=held.key, now=scene.now))
    assert scene.permit().used == 2, "it was sent"
    scene.store.call(lambda c: c.execute(update(permit_uses).values(relayed=0)))
    scene.store.call(partial(give_back, mailing_id=held.key, now=scene.now))
    assert (scene.permit().used, scene.permit().mailings, scene.permit().state) == (1, ("M-1",), "in force")


# -- a resend of what was released -------------------------------------------------------------------------------


async def test_a_resend_after_the_release_takes_nothing_of_what_is_not_sent_yet(scene):
    """The same answer, and the batch that waits for the next hop stays, with its recipients and its message."""
    made = scene.message(people(240))
    first = await scene.pipeline.receive(made, scene.hop)
    scene.service.approve(1, CIO)
    again = await scene.pipeline.receive(made, scene.hop)
    assert first.code == again.code == 250 and "M-1" in again.text and scene.hop.added == []
    (batch,) = scene.store.call(partial(batch_views.find_batches, mailing_key=scene.mailing().key))
    assert (batch.state, len(batch.recipients)) == (BatchState.RELEASED, 240)
    assert len(scene.releases()) == 1 and scene.service.message(batch).endswith(made.content)


@pytest.mark.parametrize("act", ["deny", "withdraw"])
async def test_a_resend_after_the_mailing_was_closed_is_a_new_message(scene, act):
    made = scene.message(people(240))
    await scene.pipeline.receive(made, scene.hop)
    scene.service.deny(1, CIO, "no") if act == "deny" else scene.service.withdraw(1, SENDER)
    assert "Held for approval as M-2" in (await scene.pipeline.receive(made, scene.hop)).text
    assert scene.mailing(1).batches == scene.mailing(2).batches == 1
