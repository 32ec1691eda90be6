"""A refused part refuses its mailing, however a mail server cuts it up, and what was put right passes (DESIGN 3.4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from random import Random

import pytest

from gatekeeper.ledger.service import Sought
from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.store import cleanup, jobs, views
from tests.ledger.scene import CIO, Scene, limited, people

CLERK, UNTIL = "clerk@doa.example.gov", date(2026, 12, 31)
OF_MASS = """\
  - {id: subject, when: {mass: true, subject: {missing: true}}, then: reject, say: Add a subject line.}
  - {id: visible, when: {mass: true, visible: {over: 20}}, then: reject, say: "Move {visible} addresses to Bcc."}
  - {id: outside, when: {external: {over: 400}}, then: reject, say: "{external} outside are too many."}
  - {id: files, when: {attachments: {over: 0}}, then: reject, say: No files.}
"""
GATHERED = "gather: {from: 100, quiet: 20s, limit: 5m}"
TEXT = b"As agreed.\r\n"


def made(recipients, number=1, subject="", visible=0, text=TEXT, sender=CLERK):
    """A part of a message to many."""
    to = ", ".join(people(visible)) or "undisclosed-recipients:;"
    head = f"From: {sender}\r\nTo: {to}\r\nMessage-ID: <{number}@x>\r\n" + (
        f"Subject: {subject}\r\n" if subject else ""
    )
    content = head.encode() + b"\r\n" + text
    to_all = tuple(map(Recipient, recipients))
    return Transaction("smtp", Client("192.0.2.9"), sender, to_all, content, authenticated=True)


def with_file(transaction):
    attached = b"MIME-Version: 1.0\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n"
    return replace(transaction, content=transaction.content.replace(b"\r\n" + TEXT, attached))


@pytest.fixture(params=["gather: off", GATHERED])
def scene(store, tmp_path, request):
    return Scene(store, tmp_path, limited(2000).replace("gather: off", request.param) + OF_MASS)


@pytest.fixture
def gathering(store, tmp_path):
    return Scene(store, tmp_path, limited(2000).replace("gather: off", GATHERED) + OF_MASS)


async def send(scene, *given, **more):
    return (await scene.pipeline.receive(made(*given, **more), scene.hop)).text


async def end(scene, after=30):
    scene.now += after
    await scene.gathers.end_due()


def letters(scene):
    return [(job["kind"], job["recipient"]) for job in scene.store.call(jobs.waiting_jobs)]


# -- cut up ------------------------------------------------------------------------------------------------------

REFUSED = "5.7.1 Not sent. 1) Add a subject line. Help: servicedesk@example.gov (subject)"


async def test_what_follows_a_refused_part_is_refused_alike(scene):
    """Clause C9. 300 users without a subject, cut at 250: the other 50 alone are no mass mailing."""
    everyone = people(300)
    assert await send(scene, everyone[:250]) == await send(scene, everyone[250:]) == REFUSED
    assert await send(scene, everyone[:1]) == REFUSED
    await end(scene)
    assert scene.hop.added == [] and scene.store.call(views.list_mailings) == []


async def test_a_visible_list_is_refused_alike(scene):
    """Clause C9."""
    everyone = people(300)
    for part in (everyone[:250], everyone[250:]):
        assert "Move 30 addresses to Bcc. Help: " in await send(scene, part, subject="Minutes", visible=30)
    assert "queued" in await send(scene, everyone[250:], 2, subject="Minutes", text=b"Hidden now.\r\n")


async def test_what_was_gathered_ends_like_a_later_part_that_is_refused(gathering):
    """Cut at 100: two parts are gathered, the third makes it mass. Nobody gets any, and one report says so."""
    scene, everyone = gathering, people(260)
    for start in (0, 100):
        assert "not sent yet: counting recipients" in await send(scene, everyone[start : start + 100])
    assert await send(scene, everyone[200:250]) == REFUSED
    await end(scene, 0)
    assert [each.state for each in scene.service.mailings().rows] == ["denied"]
    assert letters(scene) == [("dsn", CLERK)]
    assert await send(scene, everyone[250:]) == REFUSED
    await end(scene)
    assert scene.hop.added == [] and letters(scene) == [("dsn", CLERK)]


async def test_a_gather_that_is_refused_at_its_end_refuses_what_comes_later(gathering, tmp_path):
    """Refused by rules that came into force meanwhile."""
    scene, everyone = gathering, people(300)
    (tmp_path / "rules.yaml").write_text(limited(2000).replace("gather: off", GATHERED))
    scene.active_policy.reload()
    assert "counting" in await send(scene, everyone[:250])
    (tmp_path / "rules.yaml").write_text(limited(2000).replace("gather: off", GATHERED) + OF_MASS)
    scene.active_policy.reload()
    await end(scene)
    assert await send(scene, everyone[250:]) == REFUSED
    assert scene.hop.added == [] and [each.state for each in scene.service.mailings().rows] == ["denied"]


async def test_parts_that_left_before_stay_counted(scene):
    """Below the size that is gathered, the first part leaves; the rest is refused, and no more than that."""
    everyone = people(300)
    assert "queued" in await send(scene, everyone[:90])
    assert await send(scene, everyone[90:290]) == REFUSED
    assert await send(scene, everyone[290:]) == REFUSED
    assert len(scene.hop.added) == 1


@pytest.mark.parametrize("numbers", [(1, 1, 1), (1, 2, 3)], ids=["one Message-ID", "one each"])
async def test_a_queue_id_or_a_text_tells_parts_as_well(scene, numbers):
    text = b"This year the enrolment for insurance opens early and closes sooner, so please read what changes now.\r\n"
    everyone = people(300)
    assert await send(scene, everyone[:250], numbers[0], text=text) == REFUSED
    assert await send(scene, everyone[250:], numbers[1], text=text) == REFUSED
    queued = replace(made(everyone[:250], 7, text=b"Other.\r\n"), upstream="4XyZ@192.0.2.9")
    rest = replace(made(everyone[250:], 8, text=b"Cut.\r\n"), upstream="4XyZ@192.0.2.9")
    for part in (queued, rest):
        assert (await scene.pipeline.receive(part, scene.hop)).text == REFUSED


async def test_what_has_no_key_in_common_is_not_taken_for_a_part(scene):
    assert await send(scene, people(250)) == REFUSED
    assert "queued" in await send(scene, people(50, start=250), 2, text=b"Lunch?\r\n")
    other = made(people(50, start=250), 3)
    nameless = replace(other, content=other.content.replace(b"Message-ID: <3@x>\r\n", b""))
    assert "queued" in (await scene.pipeline.receive(nameless, scene.hop)).text


# -- put right ---------------------------------------------------------------------------------------------------


async def test_what_was_put_right_passes_though_it_is_of_the_mailing(scene):
    everyone = people(300)
    assert await send(scene, everyone[:250], text=TEXT * 60) == REFUSED
    assert "Not sent" not in await send(scene, everyone[:250], 2, subject="Minutes", text=TEXT * 60)
    assert "Not sent" not in await send(scene, everyone[250:], 2, subject="Minutes", text=TEXT * 60)
    await end(scene)
    assert len(scene.hop.added) + len(scene.releases()) == 2


async def test_what_was_put_right_while_the_rest_is_gathered_passes(gathering):
    scene, everyone = gathering, people(300)
    text = b"This year the enrolment for insurance opens early and closes sooner, so please read what changes now.\r\n"
    assert "counting" in await send(scene, everyone[:150], text=text)
    assert await send(scene, everyone[150:], text=text) == REFUSED
    assert "queued" in await send(scene, everyone, 2, subject="Enrolment", text=text)
    await end(scene, 0)
    assert [each.state for each in scene.service.mailings().rows] == ["denied"] and scene.releases() == []
    assert "Not sent" not in await send(scene, people(9), 2, subject="Enrolment", text=text)


async def test_fewer_recipients_put_a_new_message_right_that_was_refused_for_numbers_alone(scene):
    """A part of the very message is refused; one that is written anew may go to fewer."""
    outside = [f"{number}@example.com" for number in range(500)]
    assert "500 outside are too many" in await send(scene, outside, subject="Sale")
    assert "500 outside are too many" in await send(scene, outside[:50], subject="Sale")
    assert "Not sent" not in await send(scene, outside[:60], 2, subject="Sale", text=b"To fewer.\r\n")


async def test_who_is_suspended_may_still_write_to_few(scene):
    """Clause C10: mass mail is refused, and what a mail server cuts off it; not a small message of the same words."""
    scene.service.suspend("sender", CLERK, CIO, "Chain letters", UNTIL)
    for part in (people(250), people(50, start=250)):
        assert "suspended until" in await send(scene, part, subject="Minutes", text=TEXT * 30)
    assert "queued" in await send(scene, people(3), 2, subject="Minutes", text=TEXT * 30)
    assert "queued" in await send(scene, people(3), 3, subject="Lunch", text=TEXT * 30)


async def test_a_refusal_for_the_message_alone_is_not_remembered(scene):
    file = with_file(made(people(250), subject="Minutes"))
    assert "No files" in (await scene.pipeline.receive(file, scene.hop)).text
    assert "queued" in await send(scene, people(50), subject="Minutes", text=b"Without.\r\n")
    assert "No files" in (await scene.pipeline.receive(file, scene.hop)).text


async def test_when_the_rule_is_gone_so_is_its_refusal(scene, tmp_path):
    assert await send(scene, people(250)) == REFUSED
    (tmp_path / "rules.yaml").write_text(limited(2000))
    scene.active_policy.reload()
    assert "queued" in await send(scene, people(50))


async def test_a_refusal_is_forgotten_with_its_mailing(scene):
    assert await send(scene, people(250)) == REFUSED
    assert scene.store.call(lambda connection: cleanup.forget_ordinary(connection, scene.now + 1)) == 1
    assert "queued" in await send(scene, people(50))


async def test_a_refusal_counts_nobody(scene):
    """Of a mailing that reached 90, a refused part adds none, and neither does the next."""
    text = b"This year the enrolment for insurance opens early and closes sooner, so please read what changes now.\r\n"
    everyone = people(2500)
    assert "queued" in await send(scene, everyone[:90], text=text)
    for start in (0, 200):
        assert await send(scene, everyone[start + 200 : start + 400], text=text) == REFUSED
    assert "Not sent" not in await send(scene, everyone[:150], 2, subject="Enrolment", text=text)
    held = await send(scene, everyone, 3, subject="Enrolment", text=text)
    assert "Held" in held and scene.service.mailings(Sought(("held",))).rows[0].counts.users == 2500


async def test_what_is_refused_for_what_many_send_is_remembered_of_the_senders_own(scene):
    """160 have it from one sender; a second adds 80 in one part and 30 in another."""
    text = b"This year the enrolment for insurance opens early and closes sooner, so please read what changes now.\r\n"
    told = {"subject": "Enrolment", "visible": 30, "text": text}
    everyone, other = people(300), "deputy@dphhs.example.gov"
    assert "Not sent" not in await send(scene, everyone[:90], **told)
    assert "Not sent" not in await send(scene, everyone[90:160], 2, **told)
    assert "Move 30 addresses" in await send(scene, everyone[160:240], 3, sender=other, **told)
    assert "Move 30 addresses" in await send(scene, everyone[240:270], 3, sender=other, **told)
    assert "Not sent" not in await send(scene, everyone[240:270], 4, sender=other, **{**told, "visible": 0})


# -- however it is cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
async def test_however_it_is_cut_nothing_leaves_once_a_part_is_refused(scene, seed):
    """Cut at random, in any order, with pauses and retries: who was not reached by then is not reached any more.

    No more than what is not yet mass (200) ever leaves, and what was gathered goes back.
    """
    rng, everyone = Random(seed), people(600)
    clerk, left = f"clerk{seed}@doa.example.gov", everyone[:]
    refused, relayed = False, 0
    while left:
        size = rng.choice((10, 50, 100, 120, 250, 300))
        part, left = left[:size], left[size:]
        answer = await send(scene, part, f"s{seed}", sender=clerk)
        relayed += len(part) if "queued" in answer else 0
        assert "Not sent" in answer or not refused
        refused = refused or "Not sent" in answer
        if rng.random() < 0.2:
            await end(scene, rng.choice((1, 21, 400)))
        if rng.random() < 0.2 and refused:
            left += part
    await end(scene, 400)
    kept = [batch for each in scene.service.mailings().rows for batch in scene.service.show(int(each.id[2:])).batches]
    assert {batch.state for batch in kept} <= {"released", "returned"}
    released = sum(batch.tally.recipients for batch in kept if batch.state == "released")
    assert refused and relayed + released <= 200
