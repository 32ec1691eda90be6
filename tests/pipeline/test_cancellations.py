"""A cancellation waits for nobody: it goes to whom the approved invitation has reached, where it says nothing else."""

from __future__ import annotations

from base64 import b64encode
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


def test_a_cancellation_as_programs_write_it_says_nothing_more():
    approved = message("REQUEST", more="X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE\r\nX-MICROSOFT-CDO-APPT-SEQUENCE:0\r\n")
    own = {"more": "X-MICROSOFT-CDO-BUSYSTATUS:FREE\r\nX-MICROSOFT-CDO-APPT-SEQUENCE:1\r\nTRANSP:TRANSPARENT\r\n"}
    blank = (
        '<html dir="ltr">\r\n<head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">\r\n'
        '<style type="text/css" style="display:none;"> P {margin-top:0;margin-bottom:0;} </style>\r\n</head>\r\n'
        '<body dir="ltr">\r\n<div style="font-size: 12pt;"><br>&nbsp;</div>\r\n</body>\r\n</html>\r\n'
    )
    for sent in (
        called_off(**own),
        called_off(body="", rest=f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{blank}"),
        called_off().replace(b"PRODID:-//Example//Calendar 1.0//EN", b"PRODID:-//Example//Calendar 1.0.7//EN"),
        called_off().replace(b"DTSTAMP:20261123T090000Z", b"DTSTAMP:20261127T153000Z"),
        called_off(subject="Abgesagt: Town hall", summary="Cancelled: Town hall"),
        called_off().replace(b"MIME-Version", b"To: someone@doa.example.gov\r\nDate: Mon, 30 Nov 2026\r\nMIME-Version"),
    ):
        assert cancels(sent, approved)


def test_an_occurrence_of_a_series_may_be_called_off():
    weekly = "RRULE:FREQ=WEEKLY;BYDAY=MO\r\n"
    approved = message("REQUEST", more=weekly)
    start, again = b"DTSTART:20261130T090000Z", b"DTSTART:20261207T090000Z\r\nRECURRENCE-ID:20261207T090000Z"
    assert cancels(called_off(more=weekly), approved)
    assert cancels(called_off().replace(start, again), approved)
    assert not cancels(called_off().replace(start, again), message("REQUEST"))
    assert not cancels(called_off().replace(start, again.replace(b"07T09", b"08T09", 1)), approved)


FAIR = "Come to the fair"
HTML = "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello</p>%s\r\n"
PDF = "--b\r\nContent-Type: application/pdf; name=plan.pdf\r\n%s\r\n%%PDF\r\n"
PGP, BASE64 = "application/pgp-signature", "Content-Transfer-Encoding: base64"


@pytest.mark.parametrize(
    "more",
    [
        "PRODID:Come to the fair",
        "STATUS:Come to the fair",
        "REQUEST-STATUS:2.0;Come to the fair",
        "REQUEST-STATUS:2.0",
        "CLASS:FAIR",
        "TZID:Come to the fair",
        "DTSTART:20261201T090000Z",
        "DTSTART;TZID=Come to the fair:20261130T090000Z",
        "DTSTART:4065550199",
        "RRULE:FREQ=DAILY",
        "RECURRENCE-ID:20261207T090000Z",
        "LOCATION:https://fair.example.org/",
        "LOCATION;ALTREP=\"https://fair.example.org/\":Great hall",
        "URL:https://fair.example.org/",
        "url:https://fair.example.org/",
        "CONFERENCE;VALUE=URI:https://fair.example.org/",
        "X-MICROSOFT-SKYPETEAMSMEETINGURL:https://fair.example.org/",
        "X-MICROSOFT-LOCATIONS:[{\"DisplayName\":\"Come to the fair\"}]",
        "X-GOOGLE-CONFERENCE:https://fair.example.org/",
        "X-APPLE-STRUCTURED-LOCATION;X-TITLE=Come to the fair:geo:46.5,-112.0",
        "SUMMARY:[Come to the fair in the town] Town hall",
        "SUMMARY:Town hall (ref: fair.example.org)",
        "SUMMARY:4065550199 Town hall",
        "SUMMARY;ALTREP=\"https://fair.example.org/\":Town hall",
        "ORGANIZER;CN=News;CN=Come to the fair:mailto:news@doa.example.gov",
        "ORGANIZER;X-A=\";CN=News\";CN=Come to the fair:mailto:news@doa.example.gov",
        "ORGANIZER;CN=News;DIR=\"https://fair.example.org/\":mailto:news@doa.example.gov",
        "ORGANIZER;CN=News;PARTSTAT=Come to the fair:mailto:news@doa.example.gov",
        "BEGIN:VALARM\r\nDESCRIPTION:Come to the fair\r\nEND:VALARM",
        "BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nATTACH;VALUE=URI:https://fair.example.org/a.wav\r\nEND:VALARM",
        "BEGIN:FAIR\r\nEND:FAIR",
        "DESCRIPTION\r\n :Come to the fair",
        "SEQUENCE:0\x85Come to the fair",
        "METHOD:REQUEST",
        "X-COME-TO-THE-FAIR:0",
    ],
)  # fmt: skip
def test_no_property_says_more_than_the_approved_ones(more):
    assert not cancels(called_off(more=f"{more}\r\n"), message("REQUEST"))


@pytest.mark.parametrize(
    "fields, body",
    [
        ("text/markdown", FAIR),
        ("text/plain; name=fair.txt\r\nContent-Disposition: attachment", FAIR),
        ("text/plain; name=Come-to-the-fair", TEXT),
        ("text/plain\r\nContent-Disposition: inline; filename=Come-to-the-fair", TEXT),
        ("text/plain\r\nContent-Description: Come to the fair", TEXT),
        ("text/plain\r\nContent-Disposition: attachment", FAIR),
        ("text/plain", "_/ _ .--. (__) .--."),
        ("text/plain", "The great hall is to hear the year"),
        ("text/plain", TEXT.removeprefix("All of ")),
        ("text/plain; charset=utf-7", "+AEMAbwBtAGU-"),
        ("text/html", TEXT),
        ("image/png", "PNG"),
        ("message/rfc822", f"Subject: Come to the fair\r\n\r\n{TEXT}"),
        ("message/partial; id=a; number=1", "Subject: Come to the fair\r\n"),
        ('message/external-body; access-type=URL; URL="https://fair.example.org/"', ""),
        ("multipart/digest; boundary=d", f"--d\r\n\r\nSubject: Come to the fair\r\n\r\n{TEXT}\r\n--d--"),
        ("multipart/signed; boundary=d", f"--d\r\n\r\n{TEXT}\r\n--d\r\nContent-Type: {PGP}\r\n\r\n{FAIR}\r\n--d--"),
        ("multipart/mixed; boundary=d", f"--e\r\n\r\n{FAIR}\r\n--d--"),
        ("multipart/mixed; boundary=d", f"{FAIR}\r\n--d\r\n\r\n{TEXT}\r\n--d--"),
        ("multipart/mixed; boundary=d", f"--d\r\n\r\n{TEXT}\r\n--d--\r\n{FAIR}"),
        ("multipart/mixed", f"--d\r\n\r\n{TEXT}\r\n--d--\r\n{FAIR}"),
        ("text/calendar; name=Come-to-the-fair.ics", calendar("CANCEL")),
        ("application/ics", calendar("CANCEL", FAIR)),
        ("text/calendar", calendar("REQUEST")),
        ("text/calendar", calendar("CANCEL").replace("METHOD:CANCEL\r\n", "")),
        ("text/calendar; method=REQUEST", calendar("CANCEL")),
        (f"text/calendar\r\n{BASE64}", f"{b64encode(calendar('CANCEL').encode()).decode()}\r\n{FAIR}!"),
    ],
)
def test_no_part_says_more_than_the_approved_ones(fields, body):
    part = f"--b\r\nContent-Type: {fields}\r\n\r\n{body}\r\n"
    assert not cancels(called_off(rest=part), message("REQUEST"))


def test_a_part_that_was_approved_may_come_again():
    part = f"--b\r\nContent-Type: text/markdown\r\n\r\n{FAIR}\r\n"
    assert cancels(called_off(rest=part), message("REQUEST", rest=part))


@pytest.mark.parametrize(
    "there, then",
    [
        ("\r\n\r\n--b\r\n", "\r\n\r\nCome to the fair\r\n--b\r\n"),
        ("--b--\r\n", "--b--\r\nCome to the fair\r\n"),
        ("Subject: Canceled: Town hall", "Subject: [Come to the fair in the town] Canceled: Town hall"),
        ("Subject: Canceled: Town hall", "Subject: Canceled: Town hall\r\nSubject: Come to the fair"),
        ("From: ", "From: Come to the fair <x@example.gov>, "),
        (f"From: {ORGANIZER}", f"From: Come to the fair <{ORGANIZER}>"),
        ("MIME-Version", "Reply-To: fair@example.org\r\nMIME-Version"),
        ("MIME-Version", "Sender: Come to the fair <news@doa.example.gov>\r\nMIME-Version"),
        ("MIME-Version", "To: Come to the fair <a@doa.example.gov>\r\nMIME-Version"),
        ("MIME-Version", "Comments: Come to the fair\r\nMIME-Version"),
        ("MIME-Version", "Organization: Come to the fair\r\nMIME-Version"),
        ("MIME-Version", "List-Unsubscribe: <https://fair.example.org/>\r\nMIME-Version"),
        ("MIME-Version", "Content-Description: Come to the fair\r\nMIME-Version"),
    ],
)
def test_no_field_and_nothing_between_the_parts_says_more(there, then):
    sent = called_off().replace(there.encode(), then.encode(), 1)
    assert sent != called_off() and not cancels(sent, message("REQUEST"))


def test_a_file_that_was_approved_is_no_more():
    approved = message("REQUEST", rest=PDF % "")
    assert cancels(called_off(rest=PDF % ""), approved)
    assert not cancels(called_off(rest=PDF % "Content-Transfer-Encoding: base64\r\n"), approved)
    assert not cancels(called_off(rest=PDF % "Content-Description: Come to the fair\r\n"), approved)


@pytest.mark.parametrize(
    "inside",
    [
        FAIR,
        "<style>p::after{content:'Come to the fair'}</style>",
        "<!--[if mso]>Come to the fair<![endif]-->",
        "<ol><li style='list-style-type:\"Come to the fair\"'></ol>",
        "<table><tr><td bgcolor=black><td><td bgcolor=black></table>",
        "<a href='https://www.example.gov/?Come=to+the+fair'>",
        "<svg><text x=1>fair</text></svg>",
        "<style>head, style {display:block} Come to the fair {}</style>",
        '<div style="width: 9px; background: black"></div>',
    ],
)
def test_no_html_says_more_than_the_approved_one(inside):
    approved = message("REQUEST", rest=HTML % "")
    assert cancels(called_off(rest=HTML % ""), approved)
    assert not cancels(called_off(rest=HTML % inside), approved)
    assert not cancels(called_off(rest=(HTML % inside).replace("Hello", "")), approved)
    assert cancels(called_off(rest=HTML % inside), message("REQUEST", rest=HTML % inside))


@pytest.mark.parametrize(
    "forged", [{"authenticated": False}, {"login": "other@doa.example.gov"}], ids=["nobody vouches", "another's login"]
)
async def test_a_forged_name_calls_nothing_off(scene, forged):
    """What anybody can write as MAIL FROM and From does not stand for the organizer."""
    await approve_an_invitation(scene)
    made = replace(scene.message(EVERYONE, sender=ORGANIZER), content=called_off(), **forged)
    assert "Held for approval" in (await scene.pipeline.receive(made, scene.hop)).text
