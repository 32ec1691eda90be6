"""What a sender is told when mail is held, released or sent with a warning."""

from datetime import UTC, datetime
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model import Action, Reason
from gatekeeper.notices import (
    AgencyShare,
    ApprovalNote,
    MailingSummary,
    Organisation,
    held_notice,
    released_notice,
    warning_notice,
)
from gatekeeper.notices.texts import KINDS, built_in, fill, plain
from tests.notices.reading import read, text_of

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
STATE = Organisation("Mass electronic mail", "servicedesk@example.gov, 406-555-0100", "gate.example.gov")
APPROVAL = Reason("approval", Action.HOLD, "1220.XS2 III.A", "This mailing reaches 2400 users and needs approval.")
MAILING = MailingSummary(
    number="M-17",
    sender="head@doa.example.gov",
    subject="Open enrolment",
    users=2400,
    external=3,
    agencies={"DOA": AgencyShare("Administration", 1300), "DPHHS": AgencyShare("Health", 1100)},
    reasons=(APPROVAL,),
    message_id="abc@doa.example.gov",
    link="https://gate.example.gov/mailing/M-17",
)
TEMPLATES = sorted(file.name[:-4] for file in resources.files("gatekeeper.notices").joinpath("templates").iterdir())
HOSTILE = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            "\r\n",
            "\n",
            "Bcc: x@example.org",
            "=?utf-8?q?",
            "?=",
            "\u202e",
            "\ud800",
            "é",
            " ",
            "$",
            "\0",
            "a" * 90,
            '"',
            "\r\n\r\n",
        ]
    )
).map("".join)


def test_a_held_sender_learns_what_was_counted_what_to_do_and_whom_to_ask():
    message = read(held_notice(MAILING, STATE, NOW))
    assert message["Subject"] == "Held for approval (M-17): Open enrolment"
    assert message["From"] == "Gatekeeper <servicedesk@example.gov>" and message["To"] == "head@doa.example.gov"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["In-Reply-To"] == message["References"] == "<abc@doa.example.gov>"
    text = text_of(message)
    assert "2,400 users in 2 agencies (Administration 1,300, Health 1,100), and 3 people outside" in text
    assert "needs approval. (1220.XS2 III.A)" in text and "do not send it again" in text
    assert "servicedesk@example.gov, 406-555-0100" in text and MAILING.link in text


def test_a_released_sender_learns_who_approved():
    text = text_of(read(released_notice(MAILING, STATE, NOW, ApprovalNote(("cio@example.gov",), "Fine this year."))))
    assert (
        "approved by cio@example.gov. It goes to its recipients, as soon as" in text
        and "They add: Fine this year." in text
    )


def test_nothing_is_said_where_there_is_nothing_to_say():
    text = text_of(read(released_notice(MailingSummary("M-1", "a@example.gov", None, 1), STATE, NOW)))
    assert "approved. It goes to" in text and "They add" not in text and "See it here" not in text
    assert "Reaches: 1 user " in text and "(no subject)" in text


def test_a_warned_sender_learns_all_reasons():
    reasons = (APPROVAL, Reason("attachments", Action.WARN, "", "Link to the file instead."))
    text = text_of(read(warning_notice(MailingSummary("M-2", "a@example.gov", "x", 300, reasons=reasons), STATE, NOW)))
    assert "1. This mailing reaches" in text and "2. Link to the file instead." in text


@pytest.mark.parametrize("render", [held_notice, released_notice, warning_notice])
def test_a_notice_fits_one_screen(render):
    lines = read(render(MAILING, STATE, NOW)).get_content().splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 78


def test_the_same_notice_rendered_again_is_the_same_mail():
    assert held_notice(MAILING, STATE, NOW) == held_notice(MAILING, STATE, NOW)
    assert (
        read(held_notice(MAILING, STATE, NOW))["Message-ID"] != read(warning_notice(MAILING, STATE, NOW))["Message-ID"]
    )


def test_long_and_odd_message_ids():
    long = "x" * 200 + "@doa.example.gov"
    assert (
        read(held_notice(MailingSummary("M-1", "a@b.example.gov", "s", 1, message_id=long), STATE, NOW))["References"]
        == f"<{long}>"
    )
    for odd in ("a b@c", "a\r\nBcc: x@y", "a>@b", "ü@b", "x" * 2000):
        message = read(held_notice(MailingSummary("M-1", "a@b.example.gov", "s", 1, message_id=odd), STATE, NOW))
        assert "In-Reply-To" not in message and "References" not in message


def test_without_an_address_in_the_contact_postmaster_answers():
    assert Organisation("Rules", "406-555-0100", "gate.example.gov").address == "postmaster@gate.example.gov"


def test_an_address_that_needs_smtputf8_stays_as_it_is():
    assert "To: <jörg@example.gov>\r\n".encode() in held_notice(
        MailingSummary("M-1", "jörg@example.gov", "s", 1), STATE, NOW
    )


@pytest.mark.parametrize("sender", ["", "a@b\r\nBcc: c@d", "a\0@b"])
def test_an_address_that_is_none_is_refused(sender):
    with pytest.raises(ValueError, match="is no address to write to"):
        held_notice(MailingSummary("M-1", sender, "s", 1), STATE, NOW)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware datetime"):
        held_notice(MAILING, STATE, datetime(2026, 1, 1))


@settings(max_examples=60, deadline=None)
@given(subject=HOSTILE, reason=HOSTILE, agency=HOSTILE, title=HOSTILE, number=HOSTILE)
def test_hostile_values_break_no_header_and_always_parse(subject, reason, agency, title, number):
    mailing = MailingSummary(
        number,
        "a@example.gov",
        subject,
        3,
        0,
        {agency: AgencyShare(agency, 3)},
        (Reason("r", Action.HOLD, "", reason),),
    )
    octets = held_notice(mailing, Organisation(title, title, "gate.example.gov"), NOW)
    message = read(octets)
    assert octets.isascii()
    ours = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
    assert set(message) == ours | {"Content-Type", "Content-Transfer-Encoding"}
    expected = plain(f"Held for approval ({plain(number)}): {plain(subject, 200) or '(no subject)'}", 260)
    assert message["Subject"].split() == expected.split()
    assert plain(title) in text_of(message)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_uses_known_names_and_says_whom_to_ask(name):
    text = built_in(name)
    asked = {word for each in (text.subject, *text.paragraphs) for word in each.get_identifiers()}
    about_one = {"subject"} if name not in ("list", "signin") else set()
    assert {"contact"} | about_one <= asked <= KINDS[name]


def test_every_kind_has_its_template():
    assert sorted(KINDS) == TEMPLATES


def test_a_missing_value_is_an_error():
    with pytest.raises(KeyError):
        fill(built_in("held"), {"number": "M-1"})
