"""Tell at little cost that the HTML of a reply says what its plain text says, above what both quote.

What a sender quotes is not what the sender says, so the quotes are not compared. That all behind a place in HTML is
quoted is told from tags that are well nested. What is not told in this way is read whole.
"""

from __future__ import annotations

import re

from gatekeeper.message.body_text import QUOTED_HEADER, own_text
from gatekeeper.message.html_tags import BREAK, NAME, QUOTING, VOID, read_tag, tokens
from gatekeeper.message.repeated_text import end_of_lines, start_of_body
from gatekeeper.message.shown_text import ENDS_PARAGRAPH, READ, plainly_shown
from gatekeeper.message.text_parts import TextPart
from gatekeeper.message.words import plain_words

_MOST_LEFT = 20  # words of the line above a quote that stay in a plain text where a program has cut it: a day, a name
_QUOTED_LINES = re.compile(r"(?>\n(?:>[^\n]*+|[^\S\n]*+))*+")
_QUOTES = ("<blockquote", *QUOTING)
_WITHIN = {  # element: in which others it stands, so that its start ends nothing further out
    **dict.fromkeys(("td", "th"), ("tr",)),
    "tr": ("table", "tbody", "thead", "tfoot"),
    **dict.fromkeys(("tbody", "thead", "tfoot"), ("table",)),
    "li": ("ul", "ol"),
    **dict.fromkeys(("dt", "dd"), ("dl",)),
    "option": ("select",),
}


def repeats_above_quote(own: str, plain: str, html: TextPart, most: int) -> bool:
    """Return True where it is plain that the HTML quotes something, and says above it what a plain text says.

    Args: `own` are the sender's own words in the plain text, at most `most` characters.
    """
    quote = plain.find("\n>")
    header = None if quote >= 0 else QUOTED_HEADER.search(plain, 0, 3 * most)
    start = start_of_body(html) if header or quote >= 0 else -1
    if start < 0 or len(html.lower) != len(html.text) or BREAK in html.text or html.lower.find("<style", start) >= 0:
        return False
    if header:
        date = plain[header.end() :].partition("\n")[0].strip()
        return _repeats_above_header(plain[: header.start()], date, html.text[start : READ[0]], own, most)
    if len(html.text) > READ[0] or not _QUOTED_LINES.fullmatch(plain, quote):
        return False
    return _repeats_above_marks(plain[:quote], html, start, own, most)


# -- what programs quote below From, Sent and To -----------------------------------------------------------------


def _repeats_above_header(above: str, date: str, body: str, own: str, most: int) -> bool:
    """Args: `date` stands in the header of what is quoted, and `above` before it."""
    lines = _lines(above, own)
    end = end_of_lines(lines, body) if lines and date else -1
    at = body.find(date, max(0, end)) if date else -1
    if at < 0:
        return False
    if end >= 0:
        shown = _shown(body[end : at + len(date)])
        header = shown.lstrip()
        return "\n" in shown[: -len(header)] and QUOTED_HEADER.match(f"\n{header}") is not None
    shown = _shown(body[: at + len(date)])
    if not QUOTED_HEADER.search(f"\n{shown}", 0, 3 * most):
        return False
    return _says_no_more(own_text(f"{shown}\n>" if ">" in above or "|" in above else shown, most), own, most)


# -- what programs quote with marks at the lines, and in elements ------------------------------------------------


def _repeats_above_marks(above: str, html: TextPart, start: int, own: str, most: int) -> bool:
    lines = _lines(above, own)
    end = end_of_lines(lines, html.text[start:]) if lines else -1
    if end >= 0 and _is_quoted(html.text[start + end :]):
        return True
    shown = _above_quotes(html, start)
    return bool(shown) and _says_no_more(own_text(f"{shown}\n>", most), own, most)


def _above_quotes(html: TextPart, start: int) -> str:
    """Return what HTML shows before its first quote, where nothing else stands behind it; "" for unknown."""
    found = [at for at in (html.lower.find(mark, start) for mark in _QUOTES) if at >= 0]
    at = html.lower.rfind("<", start, min(found) + 1) if found else -1
    return _shown(html.text[start:at]) if at >= 0 and _is_quoted(html.text[at:]) else ""


def _is_quoted(rest: str) -> bool:
    """Return True where all text of a piece of HTML, up to its end, is within quotes and its tags are well nested."""
    (_, before), *pieces = tokens(rest)
    opened: list[str] = []
    in_paragraph = False
    quote = 0  # place in these of what quotes, from 1
    for inside, text in pieces:
        if quote and inside == "br":
            continue
        named = NAME.match(inside)
        name = named[0].lower() if named else ""
        if name[:1] == "/":
            if opened and opened.pop() != name[1:]:
                return False
            in_paragraph = in_paragraph and name != "/p"
            quote = quote if quote <= len(opened) else 0
        elif name and name not in VOID:
            if (in_paragraph and name in ENDS_PARAGRAPH) or not _goes_within(name, opened[-1:]):
                return False
            in_paragraph = in_paragraph or name == "p"
            opened.append(name)
            quote = quote or (len(opened) if name in ENDS_PARAGRAPH and read_tag(inside).quotes else 0)
        if not quote and text.strip() not in ("", "&nbsp;"):
            return False
    return not before.strip()


def _goes_within(name: str, around: list[str]) -> bool:
    """Return True for an element that stands where it belongs, so that its start ends none of those around it."""
    return name not in _WITHIN or any(each in _WITHIN[name] for each in around)


# -- what both say -----------------------------------------------------------------------------------------------


def _lines(above: str, own: str) -> list[str]:
    """Return the lines of a text as HTML writes them, without the one that says who wrote what is quoted below.

    Empty where more of them may be no words of the sender's: the HTML may not have these as lines of their own.
    """
    lines = [line for line in map(str.strip, above.split("\n")) if line]
    if lines and lines[-1][-1] == ":" and lines[-1] not in own:
        del lines[-1]
    if any(">" in line or "|" in line or (line[-1] == ":" and line not in own) for line in lines):
        return []
    return [line.replace("&", "&amp;").replace("<", "&lt;") for line in lines]


def _shown(source: str) -> str:
    """Return the text of a piece of HTML that ends outside a tag and hides nothing; "" for any other."""
    first, *pieces = tokens(source)
    if len(first[1]) + sum([len(inside) + len(text) + 2 for inside, text in pieces]) != len(source):
        return ""
    if any(not inside or inside.count('"') % 2 or inside.count("'") % 2 for inside in {inside for inside, _ in pieces}):
        return ""
    return plainly_shown([first, *pieces]) or ""


def _says_no_more(shown: str, own: str, most: int) -> bool:
    """Return True where two texts have the same words; the second may have the rest of a line above a quote, too."""
    words, others = shown.split(), own.split()
    if len(shown) == len(own) == most:  # both are cut off
        words, others = words[: len(others) - 1], others[: len(words) - 1]
    left = others[len(words) :]
    return others[: len(words)] == words and len(left) <= _MOST_LEFT and not plain_words(" ".join(left))
