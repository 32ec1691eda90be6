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
    start = start_of_body(html)
    if start < 0:
        return False
    body = html.text[start:]
    if "&" in body:
        tags = body.count("<")
        body = decoded(body).replace("\xa0", " ")
        if body.count("<") != tags:
            return False
    lines, is_whole = _beginning(plain, most)
    end = end_of_lines(lines, body)
    return end >= 0 and (not is_whole or _separates(body[end:]))


def start_of_body(html: TextPart) -> int:
    """Return where the body of a page begins; -1 where its head shows text, or hides some."""
    start = max(0, html.lower.find("<body")) if len(html.lower) == len(html.text) else 0
    return start if start <= _LONGEST_HEAD and _shows_nothing(html.text[:start]) else -1


def _beginning(plain: str, most: int) -> tuple[list[str], bool]:
    """Return the lines of a text up to so many characters, without empty ones, and whether they are all it has."""
    lines = [line for line in map(str.strip, plain.split("\n")) if line]
    if len(plain) <= most:  # most texts
        return lines, True
    for number, line in enumerate(lines, 1):
        most -= len(line)
        if most < 0:
            return lines[:number], False
    return lines, True


def end_of_lines(lines: list[str], body: str) -> int:
    """Return where the lines end that stand in the HTML one behind the other; -1 where they do not."""
    at, between = 0, ""
    for number, line in enumerate(lines):
        if number == 2 and len(between) * len(lines) < len(body):  # mostly the same stands between all of them
            rest = between.join(["", *lines[2:]])
            if body.startswith(rest, at):
                return at + len(rest)
        if not (between and body.startswith(between + line, at)):
            found = body.find(line, at)
            between = body[at:found]
            if found < 0 or not _separates(between):
                return -1
        at += len(between) + len(line)
    return at


def _separates(between: str) -> bool:
    return _known(between) if len(between) <= _LONGEST_KNOWN else _read(between)


def _read(between: str) -> bool:
    """Return True for tags and spaces alone that end a word, and neither hide nor quote what is behind them."""
    if "<style" in between.lower() or _is_open(between):
        return False
    found = tokens(f"{between}x")
    if not found[-1][1].endswith("x"):  # it stands in a tag, or in what is not shown
        return False
    tags = [read_tag(inside) for inside, _ in found]
    texts = "".join([text for _, text in found])[:-1]
    is_apart = texts.isspace() or (not texts and any(tag.separator for tag in tags))
    return is_apart and all(tag.is_plain for tag in tags)


_known = lru_cache(maxsize=2_048)(_read)


@lru_cache(maxsize=128)  # the programs of an organisation write a few heads
def _shows_nothing(head: str) -> bool:
    """Return True for the head of a page without text, whose styles and tags hide and quote nothing."""
    if _is_open(head) or hidden_classes(head):
        return False
    return all(read_tag(inside).is_plain and not text.strip() for inside, text in tokens(head))


def _is_open(source: str) -> bool:
    """Return True where a quote in a tag may end far behind."""
    return source.count('"') % 2 + source.count("'") % 2 > 0
