"""What a text says and where it leads, read for comparison: nothing that a browser shows is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatekeeper.message.template_links import addresses_in, link_of, links_in_text
from gatekeeper.message.template_words import _LEADING, MOST_WORDS, html_text, plain_text, split_words
from tests.peers.node import Ask, node

PIECES = [
    *"<>\"'=/ !-&;a",
    *("<p>", "</p>", "<p ", "<a href=", "<a href='https://evil.example/x'>", "</a>", " https://evil.example/y "),
    *("<!--", "-->", "--!>", "<!-->", "<!doctype html>", "<![CDATA[", "]]>", "<?x", "</ x>", "one", "two", "three"),
    *("<style>", "</style>", "<script>", "</script>", "<title>", "</title>", "<textarea>", "</textarea>"),
    *("<xmp>", "</xmp>", "<svg>", "<math>", "<table>", "<td>", "<select>", "<option>", "<noscript>", "<template>"),
    *("&lt;", "&amp;", "&#x65;", "&nbsp", " title=", " style='display:none'", "<form action=//evil.example>"),
    *("</template>", "<base href="),
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Ask]:
    with node("html_reader.js") as ask:
        yield ask


def words(text: str) -> Counter[str]:
    return Counter(split_words(links_in_text(text)[1]))


def letters(words: Counter[str]) -> Counter[str]:
    """Return how often each character is there: browsers join what stands beside a comment to one word."""
    return Counter("".join(words.elements()))


@given(html=st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_that_a_browser_shows_is_read(browser, html):
    shown, read = browser(html), html_text(html, MOST_WORDS)
    known = letters(Counter(read.spelled)) + letters(words(unescape(read.styles)))  # styles are compared as they stand
    missing = sum((letters(words(text)) for text in shown["texts"]), Counter[str]()) - known
    assert not missing or html in read.styles, (missing, read.spelled)
    leads = {link for _, name, value in shown["leads"] if name in _LEADING for link in link_of(value)}
    assert leads <= read.links | {link.removeprefix("form:") for link in read.links}


@pytest.mark.parametrize(
    ("url", "leads"),
    [
        ("https://Benefits.example.gov/enrolment/Guide?for=you", ["benefits.example.gov/enrolment/Guide"]),
        ("http:evil.example", ["evil.example"]),
        ("HTTPS:\\\\evil.example\\a", ["evil.example/a"]),
        (" ht\ntps://evil.\texample/ ", ["evil.example"]),
        ("//evil.example/x", ["evil.example/x"]),
        ("https://a.example\u3002gov/", ["a.example.gov"]),
        ("https://doa.example.gov@evil.example/", ["doa.example.gov@evil.example"]),
        ("https://a.example:8443/", ["a.example:8443"]),
        ("ftp://files.example.gov/a", ["ftp://files.example.gov/a"]),
        ("https://a.example/r?u=https%3A%2F%2Fevil.example%2Fa", ["a.example/r", "inside:evil.example"]),
        ("https://a.example/r?u=https%253A%252F%252Fevil.example", ["a.example/r", "inside:evil.example"]),
        ("https://a.example/r?u=aHR0cHM6Ly9ldmlsLmV4YW1wbGUvYQ", ["a.example/r", "inside:evil.example"]),
        ("https://a.example/r#evil.example", ["a.example/r", "inside:evil.example"]),
        ("https://a.example/r?to=eve@evil.example", ["a.example/r", "inside:eve@evil.example"]),
        ("https://a.example/r?id=4711&t=eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4fwpMeJf36POk6y", ["a.example/r"]),
        ("mailto:Ann+17@example.gov?subject=x", ["mailto:ann@example.gov"]),
        ("mailto:ann@example.gov?cc=eve@evil.example", ["mailto:ann@example.gov", "inside:eve@evil.example"]),
        ("tel:+1 (406) 555-0100", ["tel:14065550100"]),
        ("sms:+14065550100?body=see%20evil.example", ["sms:14065550100", "inside:evil.example"]),
        ("cid:picture", []),
        ("#here", []),
        ("page.html", []),
        ("", []),
    ],
)
def test_what_a_link_leads_to(url, leads):
    assert [*link_of(url)] == leads


@pytest.mark.parametrize("url", ["data:text/html,<p>", "javascript:go()", "https://a.example/" + "x" * 3000])
def test_what_is_its_own_document_is_known_by_its_digest(url):
    (link,) = link_of(url)
    assert link != next(iter(link_of(url + "y")))


def test_links_that_programs_make_of_a_text():
    text = (
        "See www.a.example, b.example.org/pay; ask J.Smith, at x.com (or evil\u3002org). //c.example/d ftp://e.example"
    )
    links, _ = links_in_text(text)
    assert {*links} == {"www.a.example", "b.example.org/pay", "x.com", "evil.org", "c.example/d", "ftp://e.example"}
    assert [*addresses_in("write to Ann+x@A.example.")] == ["ann@a.example"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00", {"89370400440532013000"}),
        ("GB29 NWBK 6016 1331 9268 19", {"60161331926819"}),
        ("call (406) 555-0100", {"4065550100"}),
        ("card 4111-1111-1111-1111", {"4111111111111111"}),
        ("wallet bc1qar0srrr7xfkvy5l643lydnw9re59gtzz", {"bc1qar0srrr7xfkvy5l643lydnw9re59gtzz"}),
        ("\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", {"12345678"}),
        ("write to ann@example.gov", {"ann@example.gov"}),
        ("on 30.11.2026, 2026-11-30 and 11/30/2026 at 10:00, room 4711, 20261130T100000Z", set()),
    ],
)
def test_what_is_like_an_account(text, tokens):
    assert plain_text(text, MOST_WORDS).tokens == tokens
    assert html_text(f"<p>{text.replace(' ', '<b></b> ')}</p>", MOST_WORDS).tokens == tokens


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("One, two - three!", 3),
        ("paytothisaccountnow", 2),
        ("\u4e2d\u6587\u3092", 3),
        ("pay_to.this/account", 4),
        ("5 \u20ac", 2),
    ],
)
def test_how_many_words(text, number):
    assert len(plain_text(text, MOST_WORDS).spelled) == number


def test_a_text_that_is_too_long_says_so():
    assert plain_text("word " * MOST_WORDS, MOST_WORDS).whole
    assert not plain_text("word " * (MOST_WORDS + 1), MOST_WORDS).whole


@given(html=st.text("<>\"'=/!-&;abp \n", max_size=80))
def test_any_html_is_read(html):
    html_text(html, MOST_WORDS)
