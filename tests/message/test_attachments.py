"""What counts as a file, by which name and size; and the cuts of a multipart that hide one."""

import base64

import pytest

from gatekeeper.message import Limits, read_facts
from tests.message.samples import HEAD, message, mixed


def files(content: bytes) -> list[tuple[str, str, int]]:
    return [(file.name, file.type, file.size) for file in read_facts(content).attachments]


def part(*header: str, body: str = "data") -> bytes:
    return mixed("--b", "", "text", "--b", *header, "", body, "--b--")


FILES = [
    (["Content-Type: application/pdf"], [("", "application/pdf", 4)]),
    (["Content-Type: application/pdf; name=a.pdf"], [("a.pdf", "application/pdf", 4)]),
    (["Content-Disposition: attachment"], [("", "text/plain", 4)]),
    (["Content-Disposition: inline; filename=notes.txt"], [("notes.txt", "text/plain", 4)]),
    (["Content-Disposition: attachment; filename=a b.txt"], [("a b.txt", "text/plain", 4)]),
    (["Content-Disposition: attachment; filename*=utf-8'en'%e2%82%ac.txt"], [("€.txt", "text/plain", 4)]),
    (
        ["Content-Disposition: attachment;", " filename*0*=utf-8''%e2%82;", " filename*1*=%ac;", ' filename*2=".txt"'],
        [("€.txt", "text/plain", 4)],
    ),
    (['Content-Type: image/png; name="=?utf-8?q?=E2=82=AC?=.png"'], [("€.png", "image/png", 4)]),
    (["Content-Type: text/calendar; method=REQUEST"], []),
    (["Content-Type: text/html"], []),
    (["Content-Type: image/png"], [("", "image/png", 4)]),
    (["Content-Type: application/ms-tnef; name=winmail.dat"], [("winmail.dat", "application/ms-tnef", 4)]),  # no TNEF
    (["Content-Type: application/pgp-signature"], [("", "application/pgp-signature", 4)]),
]


@pytest.mark.parametrize(("header", "expected"), FILES)
def test_a_part_of_a_multipart(header, expected):
    content = part(*header)
    assert files(content) == expected
    assert set(read_facts(content).defects) <= {"malformed-parameter"}


TNEF = base64.b64encode(b"\x78\x9f\x3e\x22" + bytes(200)).decode()
CONTAINERS = [
    (["Content-Type: application/ms-tnef; name=winmail.dat"], TNEF, True),
    (["Content-Type: application/ms-tnef", "Content-Disposition: attachment; filename=winmail.dat"], TNEF, True),
    (["Content-Type: application/vnd.ms-tnef"], TNEF, True),
    (["Content-Type: application/octet-stream; name=winmail.dat"], TNEF, False),  # who opens it sees a file
    (["Content-Type: application/ms-tnef; name=pay.xlsx"], TNEF, False),
    (["Content-Type: application/ms-tnef; name=winmail.dat"], base64.b64encode(b"%PDF-1.7 not TNEF").decode(), False),
    (["Content-Type: application/ms-tnef; name=winmail.dat"], "", False),
]


@pytest.mark.parametrize(("header", "body", "is_container"), CONTAINERS)
def test_a_message_of_exchange_is_a_container_and_no_attachment(header, body, is_container):
    facts = read_facts(part(*header, "Content-Transfer-Encoding: base64", body=body))
    assert (facts.tnef, len(facts.attachments)) == (is_container, 0 if is_container else 1)


def test_files_beside_a_container_are_attachments():
    content = mixed(
        "--b", "", "text",
        "--b", "Content-Type: application/ms-tnef", "Content-Transfer-Encoding: base64", "", TNEF,
        "--b", "Content-Type: application/pdf; name=a.pdf", "", "data", "--b--",
    )  # fmt: skip
    assert read_facts(content).tnef and files(content) == [("a.pdf", "application/pdf", 4)]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 1000, 300_000])
def test_the_size_of_base64_is_that_of_what_it_holds(size):
    body = base64.encodebytes(bytes(size)).decode().replace("\n", "\r\n")
    content = part("Content-Type: application/pdf", "Content-Transfer-Encoding: base64", body=body)
    assert files(content) == [("", "application/pdf", size)]
    assert read_facts(content).defects == ()


def test_the_size_of_quoted_printable():
    body = "=41=42=\r\nC"
    content = part("Content-Type: application/x", "Content-Transfer-Encoding: quoted-printable", body=body)
    assert files(content) == [("", "application/x", 3)]


@pytest.mark.parametrize("body", ["QUJ", "QUJD*", "QQ==\r\nQUJD", "QUJD\r\n-- list footer", "Q==="])
def test_base64_that_decoders_read_differently(body):
    content = part("Content-Type: application/pdf", "Content-Transfer-Encoding: base64", body=body)
    assert read_facts(content).defects == ("malformed-base64",)


def test_a_name_that_ends_in_two_ways_is_given_in_both():
    content = part("Content-Type: application/pdf; name=a.exe", "Content-Disposition: attachment; filename=a.txt")
    assert files(content) == [("a.txt", "application/pdf", 4), ("a.exe", "application/pdf", 0)]
    assert read_facts(content).defects == ("clashing-names",)


def test_an_ascii_name_beside_the_real_one_is_ordinary():
    content = part("Content-Disposition: attachment; filename=EUR.txt; filename*=utf-8''%e2%82%ac.TXT")
    assert files(content) == [("€.TXT", "text/plain", 4)]
    assert read_facts(content).defects == ()


RELATED = [
    ("--b", "Content-Type: text/html", "", '<img src="CID:one@x">', "--b"),
    ("Content-Type: image/png; name=image001.png", "Content-ID: <one@x>", "", "data", "--b--"),
]


def test_an_image_that_the_html_shows_is_no_file():
    lines = [*RELATED[0], *RELATED[1]]
    assert files(mixed(*lines, kind="related")) == []
    assert len(files(mixed(*lines))) == 1
    assert len(files(mixed(*lines, kind="related").replace(b"CID:one", b"cid:two"))) == 1


def test_signatures_are_no_files_where_they_sign():
    lines = ("--b", "", "text", "--b", "Content-Type: application/pkcs7-signature; name=smime.p7s", "", "data", "--b--")
    assert files(mixed(*lines, kind="signed")) == []
    assert len(files(mixed(*lines))) == 1


def test_a_forwarded_message_and_the_files_in_it():
    content = mixed(
        *("--b", "", "see below", "--b", "Content-Type: message/rfc822", ""),
        *("From: bob@example.gov", "Content-Type: multipart/mixed; boundary=c", ""),
        *("--c", "", "text", "--c", "Content-Type: application/pdf; name=in.pdf", "", "data", "--c--", "--b--"),
    )
    assert [(name, kind) for name, kind, _ in files(content)] == [("", "message/rfc822"), ("in.pdf", "application/pdf")]
    assert read_facts(content).defects == ()


def test_messages_of_a_digest_are_no_files():
    assert files(mixed("--b", "", "From: a@example.gov", "", "one", "--b", "", "", "two", "--b--", kind="digest")) == []


UUENCODED = ("begin 644 cat.txt", "#0V%T", "`", "end")


def test_uuencode_in_a_text():
    assert files(message(*HEAD, "", "hello", *UUENCODED, "bye")) == [("cat.txt", "application/octet-stream", 3)]
    assert files(message(*HEAD, "", *UUENCODED)) == [("cat.txt", "application/octet-stream", 3)]
    encoded = base64.encodebytes(message("hello", *UUENCODED)).replace(b"\n", b"\r\n").rstrip()
    assert len(files(message(*HEAD, "Content-Transfer-Encoding: base64", "", encoded))) == 1


@pytest.mark.parametrize("place", ["preamble", "epilogue"])
def test_uuencode_where_only_old_programs_look(place):
    inside = ("--b", "", "text", "--b--")
    lines = (*UUENCODED, *inside) if place == "preamble" else (*inside, *UUENCODED)
    assert len(files(mixed(*lines))) == 1


def test_begin_is_a_word_too():
    assert files(message(*HEAD, "", "begin 644 times", "and end", "begin", "end")) == []


def test_uuencode_without_an_end():
    assert read_facts(message(*HEAD, "", *UUENCODED[:2])).defects == ("malformed-uuencode",)


def test_yenc_in_a_text():
    lines = ("=ybegin line=128 size=584 name=cat.jpg", "xx", "=yend size=584")
    assert files(message(*HEAD, "", *lines)) == [("cat.jpg", "application/octet-stream", 584)]


STRUCTURE = [
    (message(*HEAD, "Content-Type: multipart/mixed", "", "--b", "", "x"), {"missing-boundary"}),
    (mixed("--b", "", "x"), {"unclosed-multipart"}),
    (mixed("no parts at all"), {"unclosed-multipart"}),
    (mixed("--b", "", "x", "--b--", "--b", "Content-Type: application/pdf", "", "x"), {"part-after-end"}),
    (mixed("--b", "", "--bc", "x", "--b--"), {"clashing-boundary"}),
    (
        mixed("--b", "Content-Type: multipart/mixed; boundary=bb", "", "--bb", "", "x", "--bb--", "--b--"),
        {"clashing-boundary"},
    ),
    (
        mixed("--b", "Content-Type: multipart/mixed; boundary=b", "", "--b", "", "x", "--b--"),
        {"clashing-boundary"},
    ),
    (
        mixed("--b", "Content-Type: multipart/mixed; boundary=c", "", "--c", "", "x", "--b--"),
        {"unclosed-multipart"},
    ),
    (
        mixed("--b", "", "x", "--b--").replace(b"Subject", b"Content-Transfer-Encoding: base64\r\nSubject"),
        {"encoded-container"},
    ),
    (
        mixed("--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "QUJD", "--b--"),
        {"encoded-container"},
    ),
]


@pytest.mark.parametrize(("content", "defects"), STRUCTURE)
def test_cuts_that_can_be_read_in_two_ways(content, defects):
    assert set(read_facts(content).defects) == defects


ORDINARY = [
    mixed("preamble", "--b  ", "", "x", "--b--\t", "list footer"),
    mixed("--b", "", "-- ", "signature", "--b--"),
    mixed("--b", "", "--", "--other", "--b--"),
    mixed("--b", "Content-Type: multipart/alternative; boundary=b.ALT", "", "--b.ALT", "", "x", "--b.ALT--", "--b--"),
    mixed("--b--b", "", "x", "--b--b--", boundary="b--b"),
]


@pytest.mark.parametrize("content", ORDINARY)
def test_ordinary_multiparts_have_no_defects(content):
    assert read_facts(content).defects == ()
    assert read_facts(content.replace(b"\r\n", b"\n")).defects == ()


def test_a_header_that_a_delimiter_cuts_short_is_still_a_part():
    content = mixed("--b", "Content-Type: application/pdf; name=a.pdf", "--b--")
    assert files(content) == [("a.pdf", "application/pdf", 0)]


def test_limits_on_parts_and_depth_are_defects():
    many = mixed(*("--b", "", "x") * 5, "--b--")
    assert read_facts(many).defects == ()
    assert "too-many-parts" in read_facts(many, Limits(parts=5)).defects
    deep = message(*HEAD, *("Content-Type: message/rfc822", "") * 4, "", "x")
    assert read_facts(deep).defects == ()
    assert read_facts(deep, Limits(depth=3)).defects == ("too-deep",)
    lines = mixed("--b", "", *["--"] * 9, "--b--")
    assert "too-many-parts" in read_facts(lines, Limits(boundary_lines=5)).defects
    inserted = message(*HEAD, "", *("begin 644 a.txt", "#86)C", "`", "end") * 3)
    assert [len(read_facts(inserted, Limits(parts=most)).attachments) for most in (3, 2)] == [3, 3]
    assert [read_facts(inserted, Limits(parts=most)).defects for most in (3, 2)] == [(), ("too-many-parts",)]
    begins = message(*HEAD, "", *["begin"] * 9)
    assert read_facts(begins, Limits(inserts=5)).defects == ("too-many-parts",)
