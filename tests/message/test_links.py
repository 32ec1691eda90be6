"""Hosts that texts link to, however they are written down."""

import base64
import quopri

import pytest

from gatekeeper.message import read_facts
from tests.message.samples import HEAD, message, mixed

PLAIN = [
    ("see http://example.org/a", {"example.org"}),
    ("HTTPS://WWW.Example.ORG:8080/?q", {"www.example.org"}),
    ("(http://example.org), <https://example.net>.", {"example.org", "example.net"}),
    ("visit www.example.org.", {"www.example.org"}),
    ("http://user:pass@example.org/", {"example.org"}),
    ("http://example.org@evil.example.net/", {"evil.example.net"}),
    (r"https:\\example.org\x", {"example.org"}),
    ("http://bücher.example", {"xn--bcher-kva.example"}),
    ("http://[2001:db8::1]/", {"[2001:db8::1]"}),
    ("http://192.0.2.1/", {"192.0.2.1"}),
    ("http://ex%61mple.org/", {"example.org"}),
    ("ftp://example.org mailto:a@example.org example.org", set()),
    ("http:// nothing", set()),
]


@pytest.mark.parametrize(("text", "hosts"), PLAIN)
def test_hosts_in_plain_text(text, hosts):
    assert read_facts(message(*HEAD, "Content-Type: text/plain; charset=utf-8", "", text)).links == hosts


HTML = [
    ('<a href="https://example.org/x">', {"example.org"}),
    ("<a href='&#104;ttps&colon;//ex&#x61;mple.org'>", {"example.org"}),
    ("<a href=http://example.org>", {"example.org"}),
    ('<a href="ht\r\ntp://exam\tple.org">', {"example.org"}),
    ('<img src="https://example.net/p.png">', {"example.net"}),
    ("text http://example.org/", {"example.org"}),
]


@pytest.mark.parametrize(("text", "hosts"), HTML)
def test_hosts_in_html(text, hosts):
    assert read_facts(message(*HEAD, "Content-Type: text/html", "", text)).links == hosts


LINK = b"words before it, so long that a line must end here: https://forms.example.org/survey?id=1 after\r\n"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("quoted-printable", quopri.encodestring(LINK)), ("base64", base64.encodebytes(LINK)), ("8BIT", LINK)],
)
@pytest.mark.parametrize("kind", ["plain", "html"])
def test_no_transfer_encoding_hides_a_link(encoding, body, kind):
    head = (*HEAD, f"Content-Type: text/{kind}", f"Content-Transfer-Encoding: {encoding}", "")
    assert read_facts(message(*head, body)).links == {"forms.example.org"}


def test_a_soft_line_break_within_a_host_hides_nothing():
    head = (*HEAD, "Content-Transfer-Encoding: quoted-printable", "")
    assert read_facts(message(*head, "https://for=", "ms.example.org/")).links == {"forms.example.org"}


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "utf-32le"])
def test_no_charset_hides_a_link(charset):
    body = base64.encodebytes("see https://example.org/".encode(charset))
    head = (*HEAD, f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: base64", "")
    assert read_facts(message(*head, body)).links == {"example.org"}


def test_text_of_every_part_but_attached_ones():
    content = mixed(
        *("--b", "", "http://one.example", "--b", "Content-Type: text/html", "", "http://two.example"),
        *("--b", "Content-Disposition: attachment; filename=a.txt", "", "http://three.example", "--b--"),
    )
    assert read_facts(content).links == {"one.example", "two.example"}
