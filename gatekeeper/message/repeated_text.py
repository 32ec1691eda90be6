"""Tell at little cost that the HTML of a message shows what its plain text says: of most mail with both, it does.

Each line of the plain text is found in the HTML behind the one before, and between two there is nothing but tags that
separate. What is not told in this way is read and compared; see text_keys.py.
"""

from __future__ import annotations

from functools import lru_cache

from gatekeeper.message.html_tags import decoded, hidden_classes, read_tag, tokens
from gatekeeper.message.text_parts import TextPart

_LONGEST_HEAD = 16_384  # characters; longer ones are read and compared
_LONGEST_KNOWN = 2_000  # characters between two lines


def repeats(plain: str, html: TextPart, most: int) -> bool:
    """Return True where it is plain that the HTML shows the first `most` characters of the text, and only these."""
    source, lower = html.text, html.lower
    start = max(0, lower.find("<body")) if len(lower) == len(source) else 0
    if start > _LONGEST_HEAD or not _shows_nothing(source[:start]):
        return False
    body = source[start:]
    if "&" in body:
        tags = body.count("<")
        body = decoded(body).replace("\xa0", " ")
        if body.count("<") != tags:
            return False
    return _follow(plain.split("\n"), body, most)


def _follow(lines: list[str], body: str, most: int) -> bool:
    at, between = 0, ""
    for line in lines:
        line = line.strip()
        if not line:
            continue
        if not (between and body.startswith(between + line, at)):  # mostly the same stands between two lines
            found = body.find(line, at)
            between = body[at:found]
            if found < 0 or not _separates(between):
                return False
        at += len(between) + len(line)
        most -= len(line)
        if most < 0:
            return True
    return _separates(body[at:])


def _separates(between: str) -> bool:
    return _known(between) if len(between) <= _LONGEST_KNOWN else _read(between)


def _read(between: str) -> bool:
    """Return True for tags and spaces alone that end a word, and neither hide nor quote what is behind them."""
    if "<style" in between.lower() or _is_open(between):
        return False
    found = tokens(between)
    tags = [read_tag(inside) for inside, _ in found]
    texts = "".join([text for _, text in found])
    is_apart = texts.isspace() or (not texts and any(tag.separator for tag in tags))
    return is_apart and all(tag.is_plain for tag in tags)


_known = lru_cache(maxsize=2_048)(_read)


@lru_cache(maxsize=128)  # the programs of an organisation write a few heads
def _shows_nothing(head: str) -> bool:
    """Return True for the head of a page without text, whose styles hide nothing."""
    return not (_is_open(head) or hidden_classes(head) or any(text.strip() for _, text in tokens(head)))


def _is_open(source: str) -> bool:
    """Return True where a quote in a tag may end far behind."""
    return source.count('"') % 2 + source.count("'") % 2 > 0
