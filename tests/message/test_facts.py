"""What a message says about itself: header fields and the defects of each of them."""

import base64
import re

import pytest

from gatekeeper.message import DEFECTS, Limits, charsets, read_facts
from gatekeeper.model import Facts, Mailbox
from tests.message.samples import HEAD, message

FROM = "From: ann@example.gov"


def test_a_plain_message():
    facts = read_facts(
        message(
            "Received: from a.example.gov by b.example.gov; Thu, 1 Jan 2026 10:00:00 +0000",
            "Received: from c.example.gov by a.example.gov; Thu, 1 Jan 2026 09:00:00 +0000",
            "From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.gov>",
            "Sender: desk@example.gov",
            "To: Bob <bob@example.gov>,",
            "\tcarol@example.gov",
            "CC: dan@example.org",
            "Bcc: eve@example.org",
            "Subject: =?iso-8859-1?q?Gr=FC=DFe?= =?utf-8?b?IHVuZCBk?=",
            " =?utf-8?b?YW5r?=",
            "Message-ID: <one@example.gov>",
            "List-Id: All Staff <Staff.Lists.example.gov>",
            "List-Unsubscribe: <mailto:leave@example.gov>, <https://example.gov/leave?x=1>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "",
            "See https://Forms.Example.org/a and www.example.net.",
        )
    )
    assert facts.received == 2
    assert facts.author == (Mailbox("Jörg", "joerg@example.gov"),)
    assert facts.sender == (Mailbox("", "desk@example.gov"),)
    assert [box.address for box in facts.to + facts.cc + facts.bcc] == [
        "bob@example.gov",
        "carol@example.gov",
        "dan@example.org",
        "eve@example.org",
    ]
    assert facts.subject == "Grüße und dank"
    assert facts.message_id == "one@example.gov"
    assert facts.list_id == "staff.lists.example.gov"
    assert facts.unsubscribe == ("mailto:leave@example.gov", "https://example.gov/leave?x=1")
    assert facts.one_click
    assert facts.links == {"forms.example.org", "www.example.net"}
    assert facts.defects == ()


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\n", b"x", b"\r\nonly a body"])
def test_a_message_without_a_header(content):
    facts = read_facts(content)
    assert facts.defects == (("malformed-header", "missing-from") if content == b"x" else ("missing-from",))
    assert facts.subject is None


HEADER_DEFECTS = [
    (["To: a@example.gov"], "missing-from"),
    (["From:"], "missing-from"),
    (["From: nobody"], "malformed-from"),
    (["From: <>"], "malformed-from"),
    (["From: a@example.gov b@example.gov", "Sender: a@example.gov"], "malformed-from"),
    ([FROM, "From: eve@example.org"], "duplicate-from"),
    ([FROM, "Sender: a@example.gov", "Sender: b@example.gov"], "duplicate-from"),
    (["From: a@example.gov, b@example.gov"], "several-authors"),
    ([FROM, "Subject: one", "Subject: two"], "duplicate-subject"),
    ([FROM, "To: a@example.gov", "To: b@example.gov"], "duplicate-recipients"),
    ([FROM, "Message-ID: <a@b>", "Message-ID: <c@d>"], "duplicate-field"),
    ([FROM, "Content-Type: text/plain", "content-type: text/html"], "duplicate-mime"),
    ([FROM, "To: a@example.gov b@example.gov"], "malformed-recipients"),
    ([FROM, "this line is no field"], "malformed-header"),
    ([FROM, "Subject : spaced"], "malformed-header"),
    ([FROM, "Subject: a", " ", " b"], "malformed-header"),
    ([FROM, b"Subject: caf\xe9"], "undecodable-header"),
    ([FROM, b"Subject: a\0b"], "control-character"),
    ([FROM, b"Subject: a\rBcc: b"], "control-character"),
    ([FROM, "Subject: =?utf-8?q?a=0D=0ABcc:_x?="], "control-character"),
    ([FROM, "Subject: =?x-klingon?q?a?="], "unknown-charset"),
    ([FROM, "Subject: =?utf-8?q?=FF=FE?="], "undecodable-text"),
    ([FROM, "Subject: =?utf-8?b?a?="], "malformed-encoded-word"),
    ([FROM, "Subject: =?utf-8?b?cut off"], "malformed-encoded-word"),
    ([FROM, "Content-Type: nonsense"], "malformed-content-type"),
    ([FROM, 'Content-Type: text/plain; charset="utf-8'], "malformed-parameter"),
    ([FROM, "Content-Type: text/plain; charset=utf-8; charset=utf-7"], "clashing-parameters"),
    ([FROM, "Content-Disposition: inline; filename*0=a.txt; filename*0=b.exe"], "clashing-parameters"),
    ([FROM, "Content-Type: text/plain; charset=x-klingon"], "unknown-charset"),
    ([FROM, "Content-Transfer-Encoding: rot13"], "unknown-encoding"),
    ([FROM, "Content-Type: message/partial; id=a; number=1"], "partial-message"),
]


@pytest.mark.parametrize(("lines", "defect"), HEADER_DEFECTS)
def test_a_defect_of_the_header_is_said_alone(lines, defect):
    assert read_facts(message(*lines, "", "text")).defects == (defect,)


ORDINARY = [
    [FROM, "Subject: no encoded =? words ?="],
    [FROM, "Subject: folded", "\tonce"],
    [FROM, "Subject: grüße in UTF-8"],
    [FROM, "Content-Type: text"],
    [FROM, "Content-Type: text/plain; charset=us-ascii (plain); format=flowed;"],
    [FROM, "Content-Type: TEXT/PLAIN; charset=unknown-8bit"],
    ["From: a@example.gov, b@example.gov", "Sender: a@example.gov"],
    [FROM, "To: undisclosed-recipients:;"],
    [FROM, "Comments: one", "Comments: two", "Content-Type: text/plain"],
]


@pytest.mark.parametrize("lines", ORDINARY)
def test_ordinary_habits_are_no_defects(lines):
    assert read_facts(message(*lines, "", b"caf\xe9")).defects == ()


def test_all_of_two_from_fields_are_authors():
    facts = read_facts(message(FROM, "From: eve@example.org", "", "x"))
    assert [box.address for box in facts.author] == ["ann@example.gov", "eve@example.org"]


def test_a_space_before_the_colon_hides_no_field():
    assert read_facts(message(FROM, "Subject : seen", "", "x")).subject == "seen"


@pytest.mark.parametrize("subject", ["", "   ", "=?utf-8?q?_?=", "\u200b\u2060", "=?utf-8?b?4oCL?="])
def test_a_subject_with_nothing_to_see_is_none(subject):
    assert read_facts(message(FROM, f"Subject: {subject}", "", "x")).subject is None


OVER = [
    (Limits(header_bytes=20), "header-over-limit"),
    (Limits(fields=2), "header-over-limit"),
    (Limits(addresses=0), "too-many-addresses"),
    (Limits(text=3), "text-over-limit"),
    (Limits(parameters=1), "too-many-parameters"),
]


@pytest.mark.parametrize(("limits", "defect"), OVER)
def test_over_a_limit_is_a_defect(limits, defect):
    content = message(*HEAD, "Content-Type: text/plain; a=1; b=2", "", "some text")
    assert read_facts(content).defects == ()
    assert defect in read_facts(content, limits).defects


def test_the_charset_table_names_codecs_that_exist():
    for codec in set(charsets._CODECS.values()):
        assert b"".decode(codec) == ""


def test_defects_are_kebab_case_and_explained():
    for name, sentence in DEFECTS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", name)
        assert sentence.endswith(".")


DSN = [
    "From: MAILER-DAEMON@example.gov",
    "To: ann@example.gov",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    "",
    "--b",
    "",
    "Not delivered.",
    "--b",
    "Content-Type: message/delivery-status",
    "",
    "Reporting-MTA: dns; mail.example.gov",
    "",
    "Final-Recipient: rfc822; bob@example.gov",
    "Action: failed",
    "Status: 5.1.1",
    "--b",
    "Content-Type: message/rfc822",
    "",
    "From: ann@example.gov",
    "",
    "hello",
    "--b--",
]
REPLY = [FROM, "To: bob@example.gov", "Auto-Submitted: auto-replied (vacation)", "In-Reply-To: <a@b>", "", "I am away."]
MDN = [
    FROM,
    "Content-Type: multipart/report; report-type=disposition-notification; boundary=b",
    "",
    "--b",
    "",
    "Read.",
    "--b",
    "Content-Type: message/disposition-notification",
    "",
    "Final-Recipient: rfc822; bob@example.gov",
    "Disposition: manual-action/MDN-sent-manually; displayed",
    "--b--",
]


@pytest.mark.parametrize("lines", [DSN, MDN])
def test_reports_are_automatic(lines):
    facts = read_facts(message(*lines))
    assert facts.automatic
    assert facts.attachments == ()
    assert facts.defects == ()


@pytest.mark.parametrize(
    "submitted",
    [
        "auto-replied",
        "auto-replied (vacation)",
        "(so (RFC 3834) \\) says) AUTO-Replied ; owner-token=x",
        "auto-generated\r\nX-Auto-Response-Suppress: All",
    ],
)
def test_an_auto_reply_is_automatic(submitted):
    facts = read_facts(message(*REPLY).replace(b"auto-replied (vacation)", submitted.encode()))
    assert facts.automatic and facts.answers == ("a@b",)


RELATED = [
    "Content-Type: multipart/related; boundary=r",
    "",
    "--r",
    "Content-Type: text/html",
    "",
    "<p>It did not arrive.</p>",
    "--r--",
]


def test_reports_as_some_mail_servers_write_them_are_automatic():
    """Words with pictures (RFC 2387), and a status that is encoded, which RFC 3464 2.1 does not allow."""
    head, fields = DSN[:4], "\r\n".join(DSN[10:15])
    status = ["Content-Type: message/delivery-status", "Content-Transfer-Encoding: base64", ""]
    encoded = base64.encodebytes(fields.encode()).decode().split()
    lines = [*head, "--b", *RELATED, "--b", *status, *encoded, "--b--"]
    assert read_facts(message(*lines)).automatic


def test_what_a_report_answers_stands_in_the_header_that_it_returns():
    returned = ["--b", "Content-Type: text/rfc822-headers", "", "Subject: x", "Message-ID:", " <one@b>", "", "<two@b>"]
    dsn = read_facts(message(*DSN[:15], *returned, "--b--"))
    assert dsn.automatic and dsn.answers == ("one@b",)
    mdn = [*MDN[:-1], "Original-Message-ID: <three@b>", "--b--"]
    assert read_facts(message("References: <four@b>", *mdn)).answers == ("four@b", "three@b")
    assert read_facts(message(FROM, "In-Reply-To: <a@b>", "", "By hand.")).answers == ()
    many = " ".join(f"<{number}@b>" for number in range(5_000))
    assert len(read_facts(message(f"References: {many}", *MDN)).answers) <= 10


@pytest.mark.parametrize("cut", ["report-type=delivery-status; ", "Final-Recipient", "Action:", "Reporting-MTA"])
def test_a_report_without_what_it_must_have_is_not(cut):
    assert not read_facts(message(*DSN).replace(cut.encode(), b"X-", 1)).automatic


def test_a_reply_to_many_or_to_nothing_is_not():
    reply = message(*REPLY).replace(b" (vacation)", b"")
    assert not read_facts(reply.replace(b"To: bob", b"To: carol@example.gov, bob", 1)).automatic
    assert not read_facts(reply.replace(b"In-Reply-To", b"X-Reply-To")).automatic
    assert not read_facts(reply.replace(b"auto-replied", b"auto-generated")).automatic


def test_the_facts_of_nothing_are_the_defaults_but_for_what_is_computed():
    facts = read_facts(b"\r\n")
    digests = {name: getattr(facts, name) for name in ("content_digest", "copy_digest")}
    assert facts == Facts(size=2, defects=("missing-from",), **digests)


@pytest.mark.parametrize("hiding", ["\u200b", "\u0301", "\u3164", "\u202e", "\x01"])
def test_a_subject_behind_invisible_characters_is_a_subject(hiding):
    content = message("From: a@example.gov", f"Subject: {hiding * 2000}Enrolment", "", "text")
    assert "Enrolment" in (read_facts(content).subject or "")
    assert read_facts(message("From: a@example.gov", f"Subject: {hiding * 2000}", "", "text")).subject is None


def test_a_field_beyond_the_limit_is_not_read():
    """What is read must not hang on how much there is: what is beyond a limit decides nothing."""
    content = b"From: a@example.gov\r\nTo: b@example.gov\r\nSubject: beyond\r\n\r\nx\r\n"
    assert read_facts(content, Limits(fields=3)).subject == "beyond"
    assert read_facts(content, Limits(fields=2)).subject is None
