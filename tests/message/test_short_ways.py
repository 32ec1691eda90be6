"""Short ways of the reader, each against the plain definition of what it finds, over real, broken and hostile mail."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.message import (
    Limits,
    attachments,
    body_text,
    facts,
    headers,
    html_tags,
    links,
    mime_tree,
    part_fields,
    read_facts,
    repeated_text,
    shown_text,
    subject,
    text_keys,
    words,
)
from gatekeeper.message.address_fields import _read_any, read_addresses
from gatekeeper.message.content_digest import _with_lf
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.mime_tree import _Walk
from gatekeeper.message.text_normalisation import fold
from gatekeeper.message.text_parts import TextPart
from gatekeeper.message.transfer_encoding import text_size
from tests.message.samples import corpus, corpus_facts, message
from tests.message.test_hostile import HOSTILE, PIECES, TINY

octets = st.one_of(st.binary(max_size=400), st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join))


@pytest.fixture
def whole_way(monkeypatch):
    """Read every field and every size anew: nothing is known from before, and no part is passed over."""
    for module in (facts, headers, html_tags, part_fields, text_keys, words):
        monkeypatch.setattr(module, "_LONGEST_KNOWN", -1)
    monkeypatch.setattr(facts, "read_addresses", _read_any)
    monkeypatch.setattr(attachments, "_SIZE_SHOWS_NO_DEFECT", "")
    monkeypatch.setattr(_Walk, "_find_hyphens", lambda walk: walk.content.find(b"\n--", walk.at))
    monkeypatch.setattr(links, "linked_pieces", plain_pieces)
    monkeypatch.setattr(text_keys, "repeats", lambda plain, html, most: False)
    monkeypatch.setattr(text_keys, "repeats_above_quote", lambda own, plain, html, most: False)
    monkeypatch.setattr(subject, "_ends_with_a_word", lambda key: False)


def plain_pieces(text: TextPart, defects: DefectCollector) -> Iterator[str]:
    """The text, and for HTML the values of its attributes one by one, as links.py explains them."""
    yield text.text.lower()
    if text.is_html:
        for value in links._ATTRIBUTE.findall(text.text.lower()):
            yield links._ENTITY.sub(links._character, re.sub(r"[\t\r\n]", "", value.strip("\"'")))


def broken(seed: int, count: int) -> Iterator[bytes]:
    """Real mail with octets changed, pieces cut out, doubled and strewn in."""
    seeded = random.Random(seed)
    for content in seeded.choices(corpus(), k=count):
        changed = bytearray(content[:20_000])
        for _ in range(seeded.randint(1, 8)):
            at = seeded.randrange(len(changed))
            changed[at : at + seeded.choice((0, 0, 1, 50))] = seeded.choice((*PIECES, changed[at - 40 : at]))
        yield bytes(changed)


def test_real_mail_has_the_same_facts_the_whole_way(whole_way):
    assert tuple(map(read_facts, corpus()[::2])) == corpus_facts()[::2]


def test_broken_and_hostile_mail_has_the_same_facts_the_whole_way(request):
    contents = [*broken(seed=11, count=400), *(made(2_000) for made in HOSTILE.values())]
    found = [read_facts(content, limits) for content in contents for limits in (Limits(), TINY)]
    request.getfixturevalue("whole_way")
    assert [read_facts(content, limits) for content in contents for limits in (Limits(), TINY)] == found


@given(octets)
@settings(max_examples=300)
def test_delimiters_are_all_found(content):
    walk, found = _Walk(content, Limits(), DefectCollector()), []
    while (at := walk._find_hyphens()) >= 0:
        found.append(at)
        walk.at = at + 1
    assert found == [match.start() for match in re.finditer(rb"\n(?=--)", content)]


@pytest.mark.parametrize("cut", range(-4, 5))
def test_a_delimiter_is_found_where_the_search_begins_anew(cut):
    content = b"-" + b"x" * (mime_tree._NEAR - 2 + cut) + b"\n--b"
    assert _Walk(content, Limits(), DefectCollector())._find_hyphens() == content.index(b"\n--")


@given(st.text(alphabet="re:fwd [](2/5)#1 ofparton.!?éß中", max_size=60))
@settings(max_examples=300)
def test_a_subject_that_ends_with_a_plain_word_keeps_its_end(text):
    folded = fold(text).strip()
    if folded and subject._ends_with_a_word(folded):
        with patch.object(subject, "_ends_with_a_word", lambda key: False):
            assert subject._without_end(folded) == folded


@given(octets)
@settings(max_examples=300)
def test_line_ends_become_lf(content):
    assert bytes(_with_lf(content)) == content.replace(b"\r\n", b"\n")


@given(st.lists(st.sampled_from(["=", '"', "'", "http://a.b", "&#58;", "&amp;", "\n", "www.c.d/", ">", "@", "x"])))
@settings(max_examples=300)
def test_links_in_attributes_are_those_of_each_value(pieces):
    part = mime_tree.read_structure(message("Content-Type: text/html", "", ""), Limits(), DefectCollector()).root
    text = TextPart(part, b"", "".join(pieces), "".join(pieces))
    each = [links._URL.findall(piece) + links._WWW.findall(piece) for piece in plain_pieces(text, DefectCollector())]
    _, joined = links.linked_pieces(text, DefectCollector())
    assert set(links._URL.findall(joined) + links._WWW.findall(joined)) == {
        host for hosts in each[1:] for host in hosts
    }


@given(octets)
@settings(max_examples=100, deadline=None)
def test_a_size_shows_no_defect_where_it_is_not_worked_out(content):
    defects = DefectCollector()
    text_size(content, 0, len(content), attachments._SIZE_SHOWS_NO_DEFECT, defects)
    assert defects.found == ()


NAMES = ["Ann", " ", "  ", "O'Neil", "é", '"', "\\", "=?utf-8?q?a?=", "=", ".", "@", ",", ";", ":", "(", ")", "[", "_"]
ADDRESSES = ["a@b", "<a@b.c>", "<", ">", "a.b+c=d@e.f", "<@r:a@b>", "a", "\u00a0", "\t", "?", "<a @b>", "<>", "-"]


def _read_both_ways(text: str, limit: int) -> None:
    decode = partial(decode_words, defects=DefectCollector())
    assert read_addresses(text, limit, decode) == _read_any(text, limit, decode)


@given(st.lists(st.sampled_from([*NAMES, *ADDRESSES]), max_size=7).map("".join), st.sampled_from([0, 1, 2, 100]))
@settings(max_examples=1_000)
def test_an_ordinary_address_field_is_read_as_any_other(text, limit):
    _read_both_ways(text, limit)


def test_address_fields_of_real_mail_are_read_alike_both_ways():
    fields = re.compile(rb"^(?:from|sender|to|cc|reply-to):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
    for content in corpus():
        for value in fields.findall(content[:4_000]):
            _read_both_ways(value.decode("latin-1"), 100)


LINES = [
    "the annual survey",
    "of all employees",
    "Dear Ann,",
    "> quoted",
    "a",
    "x.example",
    "and & so on",
    "",
    "wo",
    "rd",
]
BETWEEN = ["<p>", "</p>\r\n<p class=x>", "<br>", " ", "", "<b>", "<b></b>", "<div style='display:none'>", "</div>"]
BETWEEN += [
    "<blockquote>",
    "<pre>",
    "<!-- x -->",
    "<style>p{display:none}</style>",
    "<td>",
    "&zwnj;",
    "other",
    "&nbsp;",
]
BETWEEN += ["<span style=color:#1F497D>", "<span style=color:white>", "<img src=cid:x>", "<a href=x>", "\n", "&lt;"]
BETWEEN += ["<p title='>", "<p hidden>", "  ", "<span>x</span>"]


@given(st.lists(st.tuples(st.sampled_from(BETWEEN), st.sampled_from(LINES)), max_size=8), st.sampled_from(BETWEEN))
@settings(max_examples=1_000)
def test_html_that_plainly_repeats_a_text_shows_its_words(pieces, last):
    part = mime_tree.read_structure(message("Content-Type: text/html", "", ""), Limits(), DefectCollector()).root
    html = "".join(between + line.replace("&", "&amp;") for between, line in pieces) + last
    for source in (html, f"<html><head><style>p {{color:red}}</style></head><body>{html}</body></html>"):
        plain = "\n".join(line for _, line in pieces)
        if repeated_text.repeats(plain, TextPart(part, b"", source, source.lower()), 3_000):
            assert shown_text.shown_text(source, 3_000).split() == plain.split()


@given(
    st.sampled_from(["</p>\r\n<p class=x>", "<br>", "<div>"]),
    st.lists(st.sampled_from(LINES[:3]), min_size=2, max_size=9),
)
def test_lines_with_the_same_between_them_are_found_in_html(between, lines):
    part = mime_tree.read_structure(message("Content-Type: text/html", "", ""), Limits(), DefectCollector()).root
    plain = "\r\n\r\n".join(lines)
    for shown, told in ((lines, True), ([*lines, "more"], False), ([*lines[:-1], "other"], False)):
        source = f"<p>{between.join(shown)}</p>"
        assert repeated_text.repeats(plain, TextPart(part, b"", source, source.lower()), 3_000) is told


@pytest.mark.parametrize("name", ["_SAYS", "QUOTED_HEADER", "_FIELD", "_CLOSING"])
def test_first_letters_leave_no_word_out(name):
    pattern = getattr(body_text, name)
    whole = re.compile(re.sub(r"\(\?=\[\w+\]\)", "", pattern.pattern), pattern.flags)
    assert whole != pattern
    words = re.sub(r"\\.|[?+()]", "", pattern.pattern)
    for word in re.findall(r"\w[\w ']+", words):
        for line in (word, f"Bob {word}:", f"\n{word}: Bob\nDate: today", f"{word.upper()}:"):
            assert bool(pattern.search(line)) == bool(whole.search(line)), line
