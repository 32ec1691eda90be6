"""Replies whose HTML says what their plain text says are told early, and no others are taken for such."""

from __future__ import annotations

from random import Random

import pytest

from gatekeeper.message import Limits, mime_tree, shown_text, text_keys
from gatekeeper.message.body_text import own_text
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.fingerprint import OWN
from gatekeeper.message.repeated_reply import repeats_above_quote
from gatekeeper.message.text_parts import TextPart
from tests.message.samples import message

PART = mime_tree.read_structure(message("Content-Type: text/html", "", ""), Limits(), DefectCollector()).root
SAID = [
    "The yearly survey of all employees begins next week and takes ten minutes.",
    "Please answer every question about parking and about the garden party.",
    "Nothing that somebody writes there is shown to people who decide about budgets.",
]
QUOTED = "Quite another matter that nobody has spoken of until the present morning."
WROTE = "On Mon, 12 Oct 2026 at 09:14 Bob Smith <bob@example.gov> wrote:"
BELOW = [WROTE, f"> {QUOTED}", "> x"]
HEADER = ["From: Bob Smith <bob@example.gov>", "Sent: Monday, October 12, 2026 9:14 AM", "To: Ann", "Subject: x"]
SHOWN_WROTE = WROTE.replace("<", "&lt;<a href='mailto:bob@example.gov'>").replace("> w", "</a>&gt; w")
SHOWN_HEADER = "<br>".join(f"<b>{line.replace(':', ':</b>', 1).replace('<', '&lt;')}" for line in HEADER)
LINES, BREAKS = "</div><div>".join(SAID), "<br>\r\n".join(SAID)
QUOTE = f"<blockquote>{QUOTED}<br>x</blockquote>"


def told(plain: list[str], html: str) -> bool:
    said = text_keys._said("\r\n".join(plain))
    return repeats_above_quote(said.own, said.whole, TextPart(PART, b"", html, html.lower()), OWN)


FORMS = {
    "Gmail": (
        [*SAID, "", *BELOW],
        f"<div dir=ltr><div>{LINES}</div></div><br><div class='gmail_quote'><div class='gmail_attr'>{SHOWN_WROTE}<br>"
        f"</div><blockquote class='gmail_quote'>{QUOTED}<br>x</blockquote></div>\r\n",
    ),
    "Gmail, cut into lines": (
        [" ".join(SAID).replace("week ", "week\r\n"), "", WROTE.replace("> w", ">\r\nw"), *BELOW[1:]],
        f"<div>{' '.join(SAID)}</div><br><div class='gmail_quote'>{SHOWN_WROTE}<br>{QUOTE}</div>",
    ),
    "Thunderbird": (
        [*SAID, "", *BELOW],
        f"<p>{BREAKS}</p><div class=moz-cite-prefix>{SHOWN_WROTE}</div>{QUOTE}</body>",
    ),
    "Apple": (
        [*SAID, "", *BELOW],
        f"<body>{LINES}<div><br>{QUOTE}</div></body>".replace(QUOTE, f"{WROTE[:12]} wrote:<br>{QUOTE}"),
    ),
    "Outlook": (
        [*SAID, "", *HEADER, "", QUOTED],
        f"<p>{BREAKS}</p><div style='border:none'><p>{SHOWN_HEADER}</p></div>{QUOTED}",
    ),
    "Outlook, with a table": (
        [*SAID, "", *HEADER, QUOTED],
        f"{LINES}<hr><div>{SHOWN_HEADER}</div><table><tr><td>{QUOTED}",
    ),
    "a table in a quote": (
        [*SAID, "", *BELOW],
        f"{LINES}<blockquote><table><tbody><tr><td><p>{QUOTED}</p></td></tr></tbody></table></blockquote>",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_replies_of_mail_programs_are_told(form):
    assert told(*FORMS[form])


MORE = "All of you must come on Friday to the great hall where the new building will be presented to everybody."
MAIL = "<div class=gmail_quote>"
OTHERS = {
    "text behind the quote": f"{LINES}{QUOTE}{MORE}",
    "text before it": f"{LINES}<div>{MORE}</div>{QUOTE}",
    "an end tag that ends the quote": f"{LINES}{MAIL}x</div><div>{MORE}</div>",
    "an element in a cell that the cell ends": f"{LINES}{MAIL}<table><td><div></td></table></div>{MORE}</div>",
    "a paragraph that a block ends, with the quote": f"<p>{LINES}<span class=gmail_quote>x<div>{MORE}</div></span>",
    "an item that ends the one around the quote": f"<li>{LINES}{MAIL}x<li>{MORE}</div>",
    "a quote in an attribute": f"{LINES}<a title='<blockquote>'>{MORE}</a>",
    "a quote in a comment": f"{LINES}<!-- <blockquote> -->{MORE}",
    "a comment that hides its end": f"{LINES}<blockquote>x<!-- </blockquote> <blockquote> --></blockquote>{MORE}",
    "a style that hides": f"<style>.a{{display:none}}</style><div class=a>{LINES}</div>{MORE}{QUOTE}",
    "what is said is hidden": f"<div style='display:none'>{LINES}</div>{QUOTE}",
    "other words": f"{LINES.replace('survey', 'picnic')}{QUOTE}",
    "fewer words": f"{SAID[0]}{QUOTE}",
    "no quote": LINES,
}
ABOVE_HEADER = {
    "text above the header": f"{LINES}<div>{MORE}</div>{SHOWN_HEADER}<br>{QUOTED}",
    "a header on the line of what is said": f"{LINES} {SHOWN_HEADER}<br>{MORE}",
    "a header in an attribute": f"{LINES}<p title='{HEADER[0]}\n{HEADER[1]}'>{MORE}",
    "a header of fewer lines": f"{LINES}<br>Sent: {HEADER[1]}<br>{MORE}",
    "a header that is hidden": f"{LINES}<div hidden>{SHOWN_HEADER}</div>{MORE}",
}


@pytest.mark.parametrize("how", OTHERS)
def test_no_other_html_is_taken_for_theirs(how):
    assert not told([*SAID, "", *BELOW], OTHERS[how])


@pytest.mark.parametrize("how", ABOVE_HEADER)
def test_nor_where_a_header_is_quoted(how):
    assert not told([*SAID, "", *HEADER, QUOTED], ABOVE_HEADER[how])


def test_what_is_said_below_the_quote_counts():
    assert not told([*SAID, "", *BELOW, MORE], f"{LINES}{QUOTE}")
    assert not told([*SAID[:1], *BELOW, *SAID[1:]], f"{SAID[0]}{QUOTE}")


_TAGS = """\
<blockquote>|</blockquote>|<blockquote class=gmail_quote>|<div class="gmail_quote">|<div class='gmail_attr'>
<div>|</div>|<p>|</p>|<span class=gmail_quote>|<span>|</span>|<br>|<b>|</b>|<table>|</table>|<tr>|</tr>|<td>|</td>|<ul>
</ul>|<li>|</li>|<pre>|</pre>|<div hidden>|<p style='display:none'>|<!-- x -->|<!--|-->|<style>p{display:none}</style>
<a title='>|</a>|<hr>|<a title="<div>">|<o:p>|</o:p>|<body>|</body>|</html>|<title>|&nbsp;|&gt; |&#10;|\v|> |<div
<img alt='<blockquote>'>|<font color=white>|</font>"""
TAGS = _TAGS.replace("\n", "|").split("|")


def reply(chance: Random) -> tuple[list[str], str]:
    """A reply in both forms, and in the HTML some pieces that do not belong there."""
    own = chance.sample(SAID, chance.randint(1, 3))
    quoted = chance.choices([QUOTED, *SAID, "wrote:"], k=chance.randint(0, 3))
    above = chance.choice(([WROTE], WROTE.replace("> w", ">\tw").split("\t"), [], HEADER))
    marks = "" if above is HEADER else "> "
    plain = [*own, "", *above, *(marks + each for each in quoted or ["x"])]
    if chance.random() < 0.15:
        own.insert(chance.randrange(len(own) + 1), chance.choice([*SAID, *HEADER, WROTE, "-- "]))
    begins = "<p>", "<div>", "", "<span>", "<table><tr><td><p>", "<p><span>"
    begin = chance.choice([*begins, "".join(chance.choices(TAGS, k=2))])
    tag = chance.choice(("div class='gmail_quote'", "blockquote", "span class=gmail_quote", "div"))
    shown = ["<br>".join(above).replace("<", "&lt;"), *(f"<br>{each}" for each in quoted)]
    rest = [f"<{tag}>", *shown, f"</{tag.split()[0]}>"] if chance.random() < 0.75 else []
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        rest.insert(chance.randrange(len(rest) + 1), chance.choice([*TAGS, *SAID, "wrote:"]))
    return plain, begin + chance.choice(("<br>", "</p><p>", "</div><div>", " ")).join(own) + "".join(rest)


def test_what_is_told_is_so():
    """The HTML, read whole, has the sender's words of the plain text."""
    number = 0
    for seed in range(3_000):
        plain, html = reply(Random(seed))
        if told(plain, html):
            number += 1
            own = own_text("\r\n".join(plain), OWN).split()
            shown = own_text(shown_text.shown_text(html, 3 * OWN), OWN).split()
            assert own[: len(shown)] == shown and not set(own[len(shown) :]) & set(" ".join([*SAID, QUOTED]).split()), (
                seed
            )
    assert number > 200
