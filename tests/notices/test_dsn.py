"""Delivery status notifications, read back by a strict reader of RFC 3464."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model import Recipient
from gatekeeper.notices import DeliveryReport, Occasion, RecipientReport, delivery_status
from tests.notices.reading import parts_of, read, status_of, text_of
from tests.notices.test_notices import HOSTILE, NOW, STATE

CONTENT = (
    b"From: head@doa.example.gov\r\nSubject: =?utf-8?q?B=C3=A4ke_sale?=\r\nX-Folded: a\r\n\tb\r\n"
    b"Message-ID: <abc@doa.example.gov>\r\n\r\nsecret body\r\n"
)
REPORT = DeliveryReport(
    occasion=Occasion.DENIED,
    number="M-17",
    sender="head@doa.example.gov",
    arrived=NOW - timedelta(hours=3),
    recipients=(RecipientReport(Recipient("a@dphhs.example.gov")), RecipientReport(Recipient("b@dphhs.example.gov"))),
    content=CONTENT,
    subject="Bäke sale",
    reasons=("personal advertisement", "It reaches 2400 users in 2 agencies."),
    message_id="abc@doa.example.gov",
)


def sent(report=REPORT):
    octets = delivery_status(report, STATE, NOW)
    assert octets is not None
    return octets


def to_one(*parameters, **fields):
    return replace(REPORT, recipients=(RecipientReport(Recipient("a@dphhs.example.gov", parameters), **fields),))


def test_a_denial_says_what_happened_all_reasons_what_to_do_and_whom_to_ask():
    message = read(sent())
    assert message["Subject"] == "Not sent, not approved (M-17): Bäke sale"
    assert message["Auto-Submitted"] == "auto-replied" and message["In-Reply-To"] == "<abc@doa.example.gov>"
    text = text_of(message)
    assert "was denied" in text and "M-17" in text and "ask first: servicedesk@example.gov" in text
    assert "1. personal advertisement 2. It reaches 2400 users" in text and "a@dphhs.example.gov" in text


def test_fields_for_programs():
    report = replace(
        to_one(
            "ORCPT=rfc822;A+2BB@dphhs.example.gov",
            status="5.1.1",
            diagnostic="550 5.1.1 no\r\nsuch user",
            remote="mx.example.org",
        ),
        occasion=Occasion.UNDELIVERABLE,
        parameters=("RET=HDRS", "ENVID=QQ+2B17"),
    )
    about, each = status_of(sent(report))
    assert about["Reporting-MTA"] == "dns; gate.example.gov" and about["Original-Envelope-Id"] == "QQ+17"
    assert parsedate_to_datetime(about["Arrival-Date"]) == REPORT.arrived
    assert each == {
        "Original-Recipient": "rfc822; A+B@dphhs.example.gov",
        "Final-Recipient": "rfc822; a@dphhs.example.gov",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.org",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
    }


def test_the_senders_own_headers_come_back_and_not_the_body():
    last = parts_of(read(sent()))[2]
    assert last.get_content_type() == "text/rfc822-headers"
    assert last.get_payload(decode=True).rstrip() + b"\r\n\r\nsecret body\r\n" == CONTENT


def test_raw_utf8_and_broken_headers_come_back_octet_by_octet():
    for header in ("Subject: Bäke".encode(), b"X: \xff\xfe", b"X: " + b"y" * 3000, b"X: a\rb\0"):
        last = parts_of(read(sent(replace(REPORT, content=header + b"\r\n\r\nbody"))))[2]
        assert last.get_payload(decode=True).rstrip() == header


def test_a_huge_header_is_cut_at_a_line():
    lines = b"".join(b"X-%d: filler\r\n" % number for number in range(5000))
    returned = parts_of(read(sent(replace(REPORT, content=lines + b"\r\nbody"))))[2].get_payload(decode=True)
    assert len(returned) <= 16_400 and lines.startswith(returned.rstrip() + b"\r\n")


def test_a_message_without_header_or_without_body():
    assert parts_of(read(sent(replace(REPORT, content=b"\r\nbody"))))[2].get_payload(decode=True).strip() == b""
    assert (
        parts_of(read(sent(replace(REPORT, content=b"Subject: x\r\n"))))[2].get_payload(decode=True).strip()
        == b"Subject: x"
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (CONTENT, "message/rfc822"),
        (CONTENT + b"x" * 70 + b"\r\n" * 33_000, "text/rfc822-headers"),  # over the bound
        (CONTENT + "ü\r\n".encode(), "text/rfc822-headers"),  # not 7bit
        (CONTENT + b"x" * 1200 + b"\r\n", "text/rfc822-headers"),
    ],
)
def test_ret_full_returns_what_is_small_and_7bit(content, kind):
    octets = sent(replace(REPORT, content=content, parameters=("RET=FULL",)))
    assert parts_of(read(octets))[2].get_content_type() == kind
    assert (content in octets) == (kind == "message/rfc822")


def test_those_who_asked_for_no_report_are_left_out():
    report = replace(REPORT, recipients=(*to_one("NOTIFY=NEVER").recipients, *REPORT.recipients[1:]))
    assert [block["Final-Recipient"] for block in status_of(sent(report))[1:]] == ["rfc822; b@dphhs.example.gov"]
    assert "a@dphhs.example.gov" not in text_of(read(sent(report)))


@pytest.mark.parametrize(
    ("notify", "occasion", "told"),
    [
        ("NOTIFY=NEVER", Occasion.DENIED, False),
        ("notify=success", Occasion.DENIED, False),
        ("NOTIFY=SUCCESS,FAILURE", Occasion.DENIED, True),
        ("NOTIFY=FAILURE", Occasion.DELAYED, False),
        ("NOTIFY=DELAY", Occasion.DELAYED, True),
        ("ORCPT=rfc822;x@example.gov", Occasion.DELAYED, True),
    ],
)
def test_notify_is_honoured(notify, occasion, told):
    assert (delivery_status(replace(to_one(notify), occasion=occasion), STATE, NOW) is not None) == told


def test_a_delay_is_no_failure():
    report = replace(to_one(status="4.4.1"), occasion=Occasion.DELAYED, retry_until=NOW + timedelta(days=5))
    each = status_of(sent(report))[1]
    assert (each["Action"], each["Status"]) == ("delayed", "4.4.1")
    assert parsedate_to_datetime(each["Will-Retry-Until"]) == NOW + timedelta(days=5)
    assert "We go on trying until" in text_of(read(sent(report)))


def test_an_address_that_is_not_ascii_is_carried_in_7bit():
    report = replace(REPORT, recipients=(RecipientReport(Recipient("jörg@example.org")),))
    assert status_of(sent(report))[1]["Final-Recipient"] == "utf-8; j\\x{F6}rg@example.org"


def test_a_report_about_2400_recipients_lists_them_all_and_names_a_few():
    many = tuple(RecipientReport(Recipient(f"user{number}@dphhs.example.gov")) for number in range(2400))
    octets = sent(replace(REPORT, recipients=many))
    assert len(status_of(octets)) == 2401 and len(octets) < 400 * 2400
    assert "and 2,390 other recipients" in text_of(read(octets)) and "user10@" not in text_of(read(octets))


@pytest.mark.parametrize("occasion", Occasion)
def test_every_occasion_has_its_text_with_and_without_reasons(occasion):
    for reasons in (REPORT.reasons, ()):
        text = text_of(read(sent(replace(REPORT, occasion=occasion, reasons=reasons))))
        assert "M-17" in text and "servicedesk@example.gov" in text and ("personal" in text) == bool(reasons)
        assert "Why: " not in text or reasons


def test_nothing_is_sent_to_the_null_sender():
    with pytest.raises(ValueError, match="is no address"):
        delivery_status(replace(REPORT, sender=""), STATE, NOW)


@settings(max_examples=60, deadline=None)
@given(
    subject=HOSTILE,
    reason=HOSTILE,
    diagnostic=HOSTILE,
    envid=HOSTILE,
    orcpt=HOSTILE,
    address=HOSTILE,
    content=st.binary(max_size=200),
)
def test_hostile_values_break_no_field_and_always_parse(subject, reason, diagnostic, envid, orcpt, address, content):
    recipient = Recipient(f"x{address}@example.gov", (f"ORCPT=rfc822;{orcpt}",))
    report = replace(
        REPORT,
        subject=subject,
        reasons=(reason,),
        recipients=(
            RecipientReport(recipient, status=diagnostic, diagnostic=f"550 {diagnostic}", remote=f"mx {orcpt}"),
        ),
        parameters=(f"ENVID={envid}", "RET=FULL"),
        content=content,
    )
    octets = sent(report)
    assert octets.isascii() and len(status_of(octets)) == 2
    assert "Bcc" not in read(octets) and len(parts_of(read(octets))) == 3
    assert datetime(2026, 1, 1, tzinfo=UTC) < parsedate_to_datetime(status_of(octets)[0]["Arrival-Date"])
