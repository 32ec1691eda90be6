"""A cancellation waits for nobody: it goes to whom the approved invitation has reached, where it says nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatekeeper.message import cancels
from tests.ledger.scene import CIO, Scene, limited, people

SMALL = limited(20, mass=10)
ORGANIZER = "news@doa.example.gov"
TEXT = "All of the department meet on Monday at nine in the great hall, to hear what the year has brought."
EVERYONE = people(30)


def calendar(
    method, text=TEXT, uid="town-hall-17", organizer=ORGANIZER, summary="Town hall", more="", status="CONFIRMED"
):
    return (
        f"BEGIN:VCALENDAR\r\nPRODID:-//Example//Calendar 1.0//EN\r\nVERSION:2.0\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nORGANIZER;CN=News:mailto:{organizer}\r\nSUMMARY:{summary}\r\nDTSTAMP:20261123T090000Z\r\n"
        f"DTSTART:20261130T090000Z\r\nDESCRIPTION:{text}\r\nLOCATION:Great hall\r\nSTATUS:{status}\r\n{more}"
        "SEQUENCE:0\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )


def message(method, subject="Town hall", body=TEXT, number=1, rest="", **more):
    text = more.pop("described", body)
    return (
        f"From: {ORGANIZER}\r\nSubject: {subject}\r\nMessage-ID: <{method}{number}@x>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n{rest}"
        f"--b\r\nContent-Type: text/calendar; charset=utf-8; method={method}\r\n\r\n"
        f"{calendar(method, text, **more)}--b--\r\n"
    ).encode()


def called_off(**more):
    more = {"subject": "Canceled: Town hall", "summary": "Canceled: Town hall", "status": "CANCELLED", **more}
    return message("CANCEL", **more)


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


async def send(scene, content, recipients=EVERYONE, sender=ORGANIZER):
    made = replace(scene.message(recipients, sender=sender), content=content)
    return (await scene.pipeline.receive(made, scene.hop)).text


async def approve_an_invitation(scene):
    assert "Held for approval as M-1" in await send(scene, message("REQUEST"))
    scene.service.approve(1, CIO, "a good thing")


async def test_it_goes_to_whom_the_invitation_reached(scene):
    await approve_an_invitation(scene)
    scene.now += 5 * 86_400  # long after its keys join anything
    assert "queued" in await send(scene, called_off())
    assert "queued" in await send(scene, called_off(number=2), EVERYONE[:25])
    events = [(event.act, event.text) for event in scene.service.show(1).events if event.act == "called-off"]
    assert events == [("called-off", f"by {ORGANIZER}, to 30"), ("called-off", f"by {ORGANIZER}, to 25")]


async def test_with_no_text_at_all_it_goes_as_well(scene):
    await approve_an_invitation(scene)
    assert "queued" in await send(scene, called_off(body="", described=""))


@pytest.mark.parametrize(
    "other",
    [
        {"body": f"{TEXT} Instead, buy at the fair in the town."},
        {"described": f"{TEXT} Instead, buy at the fair."},
        {"body": "https://fair.example.org/"},
        {"uid": "another-event"},
        {"organizer": "other@doa.example.gov"},
        {"summary": "Fair in the town"},
        {"more": "COMMENT:Come to the fair\r\n"},
        {"more": "ATTACH:https://fair.example.org/plan.pdf\r\n"},
        {"more": "ATTENDEE;CN=Come to the fair:mailto:a@doa.example.gov\r\n"},
        {"more": "X-ALT-DESC;FMTTYPE=text/html:<b>Come to the fair</b>\r\n"},
        {"more": "Come to the fair\r\n"},
        {"rest": "--b\r\nContent-Type: application/pdf; name=fair.pdf\r\n\r\n%PDF\r\n"},
    ],
    ids=str,
)
async def test_whatever_says_more_or_is_of_another_event_is_held(scene, other):
    await approve_an_invitation(scene)
    assert "Held for approval" in await send(scene, called_off(**other))


async def test_an_updated_invitation_is_compared_with_what_was_approved(scene):
    await approve_an_invitation(scene)
    answer = await send(scene, message("REQUEST", "Updated: Town hall", number=2, more="COMMENT:Now at ten\r\n"))
    assert "Held for approval" in answer and "content" in answer


async def test_nobody_else_gets_it_and_nobody_else_sends_it(scene):
    await approve_an_invitation(scene)
    assert "Held for approval" in await send(scene, called_off(), people(31))
    assert "Held for approval" in await send(scene, called_off(number=2), sender="other@doa.example.gov")


async def test_what_nobody_approved_is_called_off_by_nobody_alone(scene):
    assert "Held for approval as M-1" in await send(scene, message("REQUEST"))
    assert "Held for approval" in await send(scene, called_off())
    scene.service.deny(1, CIO, "not now")
    assert "Held for approval" in await send(scene, called_off(number=2))


def test_only_a_cancellation_cancels():
    approved = message("REQUEST")
    assert cancels(called_off(), approved) and cancels(called_off(body=""), approved)
    for content in (approved, message("REPLY"), called_off().replace(b"text/calendar", b"text/plain"), b"", b"\0" * 50):
        assert not cancels(content, approved)
    for other in (b"", called_off(), message("REQUEST", uid="another")):
        assert not cancels(called_off(), other)
