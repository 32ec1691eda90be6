"""However a text is dressed, its copies have a key in common; replies with words of their own do not have that key."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.message import read_facts
from gatekeeper.message.shown_text import shown_text
from tests.message.dressings import HIDDEN, HTML, PLACES, SPACES, WORDS, noise
from tests.message.samples import HEAD, message, mixed

TEXT = """the annual survey of all employees has started today and runs for three weeks. Please take ten minutes to
tell us what works well in your office and what should be changed; all answers are anonymous, and a summary is
published in the spring. Those who took part last year will find that most of the questions are the same as before.
Your personal link is https://forms.example.org/survey?id=4711 and your number is 4711, which nobody else can use.
"""
SHORT = "the water in the east building is off until noon, use the west one"
PLAIN = "Content-Type: text/plain; charset=utf-8"
AS_HTML = "Content-Type: text/html; charset=utf-8"


def plain(text: str) -> bytes:
    return message(*HEAD, PLAIN, "", text)


def html(text: str) -> bytes:
    return message(*HEAD, AS_HTML, "", f"<html><body>{text}</body></html>")


def beside(text: str, seeded: random.Random) -> bytes:
    """HTML beside a random plain text."""
    return mixed("--b", PLAIN, "", noise(seeded, 90), "--b", AS_HTML, "", text, "--b--", kind="alternative")


def nested(head: str, text: str) -> bytes:
    inside = ("Content-Type: message/rfc822", "", "From: a@b.example", "Subject: x", head, "", text)
    return mixed("--b", PLAIN, "", "FYI, see below", "--b", *inside, "--b--")


def behind(place: str, text: str, seeded: random.Random) -> str:
    return place.format(noise(seeded)) + f"<div>{text}</div>"


WAYS: dict[str, Callable[[str, random.Random], bytes]] = {
    "plain": lambda text, seeded: plain(text),
    "html": lambda text, seeded: html(text),
    "beside": beside,
    "nested": lambda text, seeded: nested(PLAIN, text),
    "nested html": lambda text, seeded: nested(AS_HTML, text),
    "a second text": lambda text, seeded: mixed("--b", PLAIN, "", noise(seeded, 90), "--b", PLAIN, "", text, "--b--"),
}
FINGERPRINTS = set(read_facts(plain(TEXT)).fingerprints)


def keys_of(content: bytes) -> set[str]:
    facts = read_facts(content)
    return {*facts.fingerprints, facts.short_key} - {""}


@pytest.mark.parametrize("name", [*WORDS, *SPACES, *PLACES])
@pytest.mark.parametrize("seed", range(4))
def test_a_dressed_text_shares_a_fingerprint(name, seed):
    dress = (WORDS | SPACES | PLACES)[name]
    assert keys_of(plain(dress(TEXT, random.Random(seed)))) & FINGERPRINTS


@pytest.mark.parametrize("name", HTML)
@pytest.mark.parametrize("way", ["html", "beside", "nested html"])
def test_dressed_html_has_the_fingerprints_of_what_it_shows(name, way):
    seeded = random.Random(name)
    assert keys_of(WAYS[way](HTML[name](TEXT, seeded), seeded)) >= FINGERPRINTS


@pytest.mark.parametrize("place", HIDDEN)
def test_hidden_text_does_not_count(place):
    seeded = random.Random(place)
    content = html(behind(place, TEXT, seeded))
    assert set(read_facts(content).fingerprints) == FINGERPRINTS


@given(
    way=st.sampled_from(sorted(WAYS)),
    dress=st.sampled_from(["", *WORDS]),
    spaces=st.sets(st.sampled_from(sorted(SPACES)), max_size=2),
    place=st.sampled_from(["", *PLACES]),
    markup=st.sampled_from(sorted(HTML)),
    hidden=st.sampled_from(["", *HIDDEN]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=300, deadline=None, derandomize=True)  # a dressing leaves a few texts in ten thousand none
def test_all_of_it_together_keeps_a_key_in_common(way, dress, spaces, place, markup, hidden, seed):
    seeded = random.Random(seed)
    text = WORDS[dress](TEXT, seeded) if dress else TEXT
    for each in sorted(spaces):
        text = SPACES[each](text, seeded)
    if "html" in way or way == "beside":
        text = HTML[markup](text, seeded)
        text = behind(hidden, text, seeded) if hidden else text
    elif place and way != "a second text":  # there is something else beside it
        text = PLACES[place](text, seeded)
    assert keys_of(WAYS[way](text, seeded)) & FINGERPRINTS


def test_html_that_repeats_the_plain_text_adds_no_fingerprint():
    markup = TEXT.replace("\n", "\r\n<p>").replace("&", "&amp;")
    both = mixed("--b", PLAIN, "", TEXT, "--b", AS_HTML, "", f"<p>{markup}", "--b--", kind="alternative")
    assert read_facts(both).fingerprints == read_facts(plain(TEXT)).fingerprints


def test_html_that_says_something_else_adds_its_own():
    seeded = random.Random(1)
    facts = read_facts(beside(f"<p>{TEXT}</p>", seeded))
    assert len(facts.fingerprints) == 8
    assert facts.short_key == ""


# -- replies -------------------------------------------------------------------------------------------------------

OWN = "I have read it and would rather take part in the autumn, because my department is closed until then."
QUOTING = {
    "marks": "{own}\n\nOn Mon, 2 March 2026 Bob <bob@example.gov> wrote:\n> {quoted}",
    "marks, German": "{own}\n\nAm Montag schrieb Bob:\n> {quoted}",
    "below": "On Monday Bob wrote:\n> {quoted}\n\n{own}",
    "a line": "{own}\n\n-----Original Message-----\nFrom: Bob\nSubject: survey\n\n{text}",
    "a header of Outlook": "{own}\n\n______________________\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\n{text}",
    "a header, German": "{own}\n\nVon: Bob\nGesendet: Montag\nAn: Ann\nBetreff: x\n\n{text}",
    "a forward of Gmail": "{own}\n\n---------- Forwarded message ---------\nFrom: Bob\nDate: x\nTo: y\n\n{text}",
    "a forward of Apple": "{own}\n\nBegin forwarded message:\n\n> From: Bob\n> Subject: x\n>\n> {quoted}",
}
QUOTING_HTML = {
    "blockquote": "<div>{own}</div><div>On Monday Bob wrote:</div><blockquote type=cite>{text}</blockquote>",
    "Gmail": '<div>{own}</div><div class="gmail_quote"><div class="gmail_attr">On x, Bob wrote:<br></div>{text}</div>',
    "Outlook": "<p>{own}</p><div style='border-top:solid #E1E1E1 1.0pt'><p><b>From:</b> Bob<br><b>Sent:</b> Monday<br>"
    "<b>To:</b> Ann<br><b>Subject:</b> x</p></div><p>{text}</p>",
    "Thunderbird": '{own}<div class="moz-cite-prefix">On x, Bob wrote:<br></div><blockquote cite=x>{text}</blockquote>',
}
WORDS_OF_THEIR_OWN = [OWN, "We come on Monday, three of us.", "Room and time are fine, see you there tomorrow."]
WORDS_OF_THEIR_OWN += ["Can you call me?", "Will get back to you tomorrow.", "Monday works for us."]


@pytest.mark.parametrize("own", WORDS_OF_THEIR_OWN)
@pytest.mark.parametrize("quoting", QUOTING.values(), ids=QUOTING)
def test_a_reply_with_words_of_its_own_does_not_join_by_what_it_quotes(quoting, own):
    content = plain(quoting.format(own=own, quoted=TEXT.replace("\n", "\n> "), text=TEXT))
    assert not keys_of(content) & FINGERPRINTS
    assert keys_of(content) == keys_of(plain(own))


@pytest.mark.parametrize("own", WORDS_OF_THEIR_OWN)
@pytest.mark.parametrize("quoting", QUOTING_HTML.values(), ids=QUOTING_HTML)
def test_a_reply_in_html_does_not_join_by_what_it_quotes(quoting, own):
    assert keys_of(html(quoting.format(own=own, text=TEXT))) == keys_of(plain(own))


def test_a_reply_in_both_forms_has_the_keys_of_its_own_words():
    words = (
        *("--b", PLAIN, "", QUOTING["marks"].format(own=OWN, quoted=TEXT.replace("\n", "\n> "))),
        "--b",
        AS_HTML,
        "",
    )
    content = mixed(*words, QUOTING_HTML["Gmail"].format(own=OWN, text=TEXT), "--b--", kind="alternative")
    assert keys_of(content) == keys_of(plain(OWN))


def test_a_message_forwarded_as_a_file_with_words_of_its_own_has_these():
    inside = ("--b", "Content-Type: message/rfc822", "", "From: a@b.example", "", TEXT, "--b--")
    assert keys_of(mixed("--b", PLAIN, "", OWN, *inside)) == keys_of(plain(OWN))


@pytest.mark.parametrize(
    "page",
    [
        "<dl><dt hidden>secret<dd>shown</dl>",
        "<dl><dd hidden>secret<dt>shown</dl>",
        "<dl><dd hidden>secret<dl><dd>more</dl><dd>shown</dl>",
        "<ul><li hidden>secret<ul><li>more</ul><li>shown</ul>",
        "<table><tr hidden><td>secret<tr><td>shown</table>",
        "<table><tr><td hidden>secret<th>shown</table>",
        "<table><tr><th hidden>secret<td>shown</table>",
        "<select><option hidden>secret<option>shown</select>",
        "<select><option hidden>secret</select><select><option>shown</select>",
    ],
)
def test_what_is_hidden_ends_where_html_says_though_nothing_closes_it(page):
    """HTML 13.1.2.4: the end tags that may be left out."""
    assert shown_text(page, 100).split() == ["shown"]
