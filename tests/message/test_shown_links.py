"""What links say and where they lead; names of files that came by mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.file_names import saved_name, warnings_of
from gatekeeper.message.preview import read_contents
from gatekeeper.message.shown_links import host_of

HEAD = b"MIME-Version: 1.0\r\nContent-Type: text/%b; charset=utf-8\r\n\r\n"


def links(text, kind=b"html"):
    found = read_contents(HEAD % kind + text).shown_links
    return [(each.text, each.url, each.host, each.differs) for each in found]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (b'<a href="https://a.gov/x">see here</a>', ("see here", "https://a.gov/x", "a.gov", False)),
        (b'<a href="https://evil.com/">https://a.gov</a>', ("https://a.gov", "https://evil.com/", "evil.com", True)),
        (b'<a href="https://www.a.gov/x">a.gov</a>', ("a.gov", "https://www.a.gov/x", "www.a.gov", False)),
        (b'<a href="https://evil.com/a.gov">a.gov</a>', ("a.gov", "https://evil.com/a.gov", "evil.com", True)),
        (b'<a href="https://a.gov@evil.com/">a.gov</a>', ("a.gov", "https://a.gov@evil.com/", "evil.com", True)),
        (b'<a href="//evil.com/">a.gov</a>', ("a.gov", "//evil.com/", "evil.com", True)),
        (b'<a href="mailto:x@evil.com">x@a.gov</a>', ("x@a.gov", "mailto:x@evil.com", "evil.com", True)),
        (b"<A HREF='https://a.gov'><b>one</b> <i>two</i></A>", ("one two", "https://a.gov", "a.gov", False)),
        (b'<a href="https:&#47;&#47;evil.com">a.gov</a>', ("a.gov", "https://evil.com", "evil.com", True)),
    ],
)
def test_what_a_link_says_and_where_it_leads(html, found):
    assert links(html) == [found]


def test_links_of_plain_text_stand_as_they_are():
    assert links(b"see https://a.gov/x and b.gov", b"plain") == [
        ("", "https://a.gov/x", "a.gov", False), ("", "b.gov", "b.gov", False),
    ]  # fmt: skip


@given(st.binary(max_size=400))
def test_no_octets_are_too_strange(octets):
    for each in read_contents(HEAD % b"html" + octets).shown_links:
        assert isinstance(each.host, str)


@given(st.text(max_size=60))
def test_every_text_has_a_host_or_none(text):
    assert isinstance(host_of(text), str)


@pytest.mark.parametrize(
    ("name", "saved", "warned"),
    [
        ("plan.pdf", "plan.pdf", ()),
        ("../../etc/passwd", "passwd", ()),
        ("C:\\temp\\plan.pdf.exe", "plan.pdf.exe", ("runs", "two-endings")),
        ("plan\u202efdp.exe", "planfdp.exe", ("runs",)),
        ("table.xlsm", "table.xlsm", ("macros",)),
        ("report.2026.pdf", "report.2026.pdf", ()),
        ("a\r\nb\x00.txt", "ab.txt", ()),
        ('quote".txt', "quote_.txt", ()),
        ("...", "file", ()),
        ("x" * 300 + ".docx", "x" * 95 + ".docx", ()),
    ],
)
def test_a_name_is_cleaned_and_what_is_suspicious_about_it_is_said(name, saved, warned):
    assert (saved_name(name, "file"), warnings_of(name)) == (saved, warned)


@given(st.text(max_size=200))
def test_no_name_leads_elsewhere(name):
    saved = saved_name(name, "file")
    assert saved and len(saved) <= 100 and not set(saved) & set('/\\"\r\n\0') and not saved.startswith(".")
