"""What people who decide see of a message: the text that mail programs show, where links lead, which files it has."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.message.preview import read_contents, read_opening
from tests.message.test_hostile import MARKUP, PIECES

HEAD = b"From: a@doa.example.gov\r\nMIME-Version: 1.0\r\n"
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"


def parts(kind: str, *octets: bytes, boundary: bytes = b"b") -> bytes:
    """A multipart with its own boundary."""
    head = b'Content-Type: multipart/%s; boundary="%s"\r\n\r\n' % (kind.encode(), boundary)
    return head + b"".join(b"--%s\r\n%s\r\n" % (boundary, each) for each in octets) + b"--%s--\r\n" % boundary


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PLAIN + b"Hello", "Hello"),
        (HTML + b"<p>Hello</p><p style='display:none'>x</p>", "Hello"),
        (parts("alternative", PLAIN + b"harmless", HTML + b"<b>harmful</b>"), "harmful"),
        (parts("mixed", PLAIN + b"one", PLAIN + b"two"), "one two"),
        (parts("mixed", parts("alternative", PLAIN + b"a", HTML + b"b", boundary=b"i"), PLAIN + b"end"), "b end"),
        (parts("alternative", PLAIN + b"only plain says it", HTML + b"<img src='cid:1'>"), "only plain says it"),
        (b"\r\n", ""),
    ],
)
def test_the_opening_is_what_mail_programs_show(content, text):
    assert " ".join(read_opening(HEAD + content).text.split()) == text


def test_contents_have_each_text_where_links_lead_and_files_with_their_digest():
    pdf = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    pdf += b"Content-Disposition: attachment; filename=p.pdf\r\n\r\naGVsbG8="
    html = (
        HTML
        + b"<a href='https://evil.example.org/login'>https://good.example.gov</a> <form action='//f.example.net/x'>"
    )
    found = read_contents(HEAD + parts("mixed", PLAIN + b"see www.p.example.org", html, pdf))
    assert [(part.type, part.text.strip()) for part in found.texts] == [
        ("text/plain", "see www.p.example.org"),
        ("text/html", "https://good.example.gov"),
    ]
    assert set(found.links) == {
        "www.p.example.org", "https://evil.example.org/login", "https://good.example.gov", "//f.example.net/x",
    }  # fmt: skip
    (file,) = found.files
    assert (file.name, file.size, file.digest) == ("p.pdf", 5, hashlib.sha256(b"hello").hexdigest())


@given(st.lists(st.sampled_from([*PIECES, *(each.encode() for each in MARKUP)]), max_size=60).map(b"".join))
@settings(max_examples=150, deadline=None)
def test_any_octets_can_be_looked_at(content):
    opening, found = read_opening(content), read_contents(content)
    assert opening.facts == found.facts and len(opening.text) <= 20_000
    assert all(file.size >= 0 for file in found.files)
