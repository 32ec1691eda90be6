"""What the content digest sees, and what it does not."""

import hashlib

import pytest

from gatekeeper.message import read_facts
from tests.message.samples import message

BASE = (
    *("From: Ann <ann@example.gov>", "To: bob@example.gov", "Subject: a b", "MIME-Version: 1.0", "Message-ID: <a@b>"),
    *("", "line one", "", "line three"),
)


def digest(*lines: str | bytes) -> str:
    return read_facts(message(*lines)).content_digest


def test_it_is_the_hash_that_the_docstring_describes():
    seen = b"from:Ann <ann@example.gov>\nmime-version:1.0\nsubject:a b\nto:bob@example.gov\n\nline one\n\nline three"
    assert digest(*BASE) == hashlib.sha256(seen).hexdigest()


SAME = {
    "trace": ("Received: from a by b", *BASE),
    "signed": ("DKIM-Signature: v=1; b=abc", "X-Spam: no", *BASE),
    "new id": tuple(line.replace("<a@b>", "<c@d>") for line in BASE),
    "empty lines at the end": (*BASE, "", ""),
    "folded": tuple(line.replace("a b", "a\r\n\t b ") for line in BASE),
    "name in capitals": tuple(line.replace("Subject", "SUBJECT") for line in BASE),
    "other order": (BASE[2], BASE[0], BASE[1], *BASE[3:]),
}


@pytest.mark.parametrize("lines", SAME.values(), ids=SAME)
def test_what_it_does_not_see(lines):
    assert digest(*lines) == digest(*BASE)


def test_line_ends_and_a_missing_last_one_are_not_seen():
    content = message(*BASE)
    for other in (content.replace(b"\r\n", b"\n"), content.rstrip(), content.replace(b": ", b":")):
        assert read_facts(other).content_digest == digest(*BASE)


@pytest.mark.parametrize("text", ["Ann", "ann@", "bob", "a b", "1.0", "one", "line three"])
def test_what_it_sees(text):
    assert digest(*(line.replace(text, "x") for line in BASE)) != digest(*BASE)


@pytest.mark.parametrize("field", ["Sender: c@d", "Cc: c@d", "Reply-To: c@d", "Content-Type: text/html", "To: c@d"])
def test_a_field_more_is_seen(field):
    assert digest(field, *BASE) != digest(*BASE)


SHOWN_BY_SOME = {  # a program that ends the header at what is no field shows what stands there as text
    "no colon": ("Come to http://evil.example",),
    "no name": (": Come to http://evil.example",),
    "a name of two words": ("Come to: http://evil.example",),
    "a blank before the colon": ("X-Note : Come to http://evil.example",),
    "behind it": ("no field", "X-Note: Come to http://evil.example"),
    "a blank line": (" ", "X-Note: Come to http://evil.example"),
    "beyond the fields that are read": (*("X-A: b",) * 2_000, "Subject: Come to http://evil.example"),
}


@pytest.mark.parametrize("lines", SHOWN_BY_SOME.values(), ids=SHOWN_BY_SOME)
def test_it_sees_what_some_programs_show(lines):
    other = tuple(line.replace("evil", "ewig") for line in lines)
    assert len({digest(*BASE), digest(*BASE[:5], *lines, *BASE[5:]), digest(*BASE[:5], *other, *BASE[5:])}) == 3


def copy(*lines: str | bytes) -> str:
    return read_facts(message(*lines)).copy_digest


NAMED_OTHERWISE = {
    "From": tuple(line.replace("Ann <ann@", "Bob <bob@") for line in BASE),
    "no From": BASE[1:],
    "Sender": ("Sender: c@d", *BASE),
    "both, and more than one": ("Sender: c@d", "From: e@f", "From: g@h", *BASE),
}


@pytest.mark.parametrize("lines", [*SAME.values(), *NAMED_OTHERWISE.values()], ids=[*SAME, *NAMED_OTHERWISE])
def test_copies_are_alike_whoever_sends_them(lines):
    assert copy(*lines) == copy(*BASE)


@pytest.mark.parametrize("text", ["bob", "a b", "1.0", "one", "line three"])
def test_what_makes_it_another_message(text):
    assert copy(*(line.replace(text, "x") for line in BASE)) != copy(*BASE)


@pytest.mark.parametrize("field", ["Cc: c@d", "Reply-To: c@d", "Content-Type: text/html", "To: c@d"])
def test_a_field_more_makes_it_another_message(field):
    assert copy(field, *BASE) != copy(*BASE)


@pytest.mark.parametrize("size", [0, 1, 2_046, 2_047, 8_191, 8_193, 262_144, 262_145, 600_000])
def test_copies_of_any_size_are_alike_and_differ_from_longer_ones(size):
    head = b"From: %b@example.gov\r\nSubject: a\r\n\r\n"
    one, two, longer = (head % who + b"x" * number for who, number in ((b"a", size), (b"b", size), (b"a", size + 1)))
    assert read_facts(one).copy_digest == read_facts(two).copy_digest != read_facts(longer).copy_digest


@pytest.mark.parametrize("shift", range(-3, 4))
def test_line_ends_count_alike_where_pieces_meet(shift):
    body = b"x" * (262_144 + shift) + b"\r\ny\r\n\r\nz"
    facts = read_facts(b"From: a@example.gov\r\n\r\n" + body)
    assert facts.content_digest == read_facts(b"From: a@example.gov\n\n" + body.replace(b"\r\n", b"\n")).content_digest
    assert facts.defects == ()
    assert facts.copy_digest == read_facts(b"From: b@example.gov\n\n" + body.replace(b"\r\n", b"\n")).copy_digest


def test_a_bare_cr_is_seen():
    one, two = (read_facts(b"From: a@example.gov\r\n\r\n" + body) for body in (b"a\rb\r\n", b"ab\r\n"))
    assert one.defects == ("bare-cr",)
    assert one.content_digest != two.content_digest


def test_what_is_cut_off_a_long_header_is_seen():
    long = "X-Long: " + "x" * 300_000
    assert digest("From: a@b", long, "Subject: a", "", "t") != digest("From: a@b", long, "Subject: b", "", "t")
