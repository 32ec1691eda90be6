"""Plain-language texts: templates with checked names, and values that can break neither a header nor a line."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template

WIDTH = 76
NAMES = frozenset(
    {"number", "subject", "reach", "reasons", "recipients", "title", "contact", "look", "by", "comment", "until"}
)
NO_SUBJECT = "(no subject)"
_ITEM = re.compile(r"\s*(?:\d+\.\s+|[A-Z][a-z]+:\s\s+)?")  # what the folded rest of a line stands under
_ALONE = re.compile(r"^\$(\w+)$", re.MULTILINE)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, bidi overrides, halves of surrogate pairs


def plain(value: str, limit: int = 1000) -> str:
    """Make one line of visible text: no control or invisible characters, blanks folded, at most `limit` characters."""
    start = value[: 4 * limit]  # so that a subject of a quarter of a megabyte costs nothing
    visible = "".join(" " if unicodedata.category(character) in _HIDDEN else character for character in start)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def ascii_text(value: str, limit: int = 512) -> str:
    """As `plain`, with a question mark for all that is not ASCII."""
    return plain(value, limit).replace("…", "...").encode("ascii", "replace").decode("ascii")


@cache
def template(name: str) -> tuple[Template, ...]:
    """Read templates/NAME.txt, a paragraph each; raises ValueError where it asks for a name that nothing fills."""
    text = resources.files(__package__).joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")
    unknown = set(Template(text).get_identifiers()) - NAMES
    if unknown or not Template(text).is_valid():
        raise ValueError(f"template {name}: unknown names {sorted(unknown)}: expected some of {sorted(NAMES)}")
    return tuple(Template(paragraph) for paragraph in text.strip().split("\n\n"))


def fill(name: str, values: Mapping[str, str]) -> str:
    """Fill the template and wrap its lines; a line that is nothing but an empty value takes its paragraph with it.

    Raises KeyError where the template asks for a name that `values` lacks.
    """
    paragraphs = [each.substitute(values) for each in template(name) if not _empty(each.template, values)]
    lines = [line for text in "\n\n".join(paragraphs).splitlines() for line in _wrapped(text)]
    return "\n".join(lines) + "\n"


def _empty(paragraph: str, values: Mapping[str, str]) -> bool:
    return any(not values[word] for word in _ALONE.findall(paragraph))


def _wrapped(line: str) -> list[str]:
    """Fold a long line between words, never within one: links stay whole."""
    marker = _ITEM.match(line)
    indent = " " * (marker.end() if marker else 0)
    return textwrap.wrap(
        line.rstrip(), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def numbered(texts: Sequence[str]) -> str:
    """List the texts a line each, numbered where there is more than one."""
    if len(texts) == 1:
        return f"  {plain(texts[0])}"
    return "\n".join(f"  {position}. {plain(text)}" for position, text in enumerate(texts, 1))


def people(count: int, one: str, many: str) -> str:
    """Say how many: `1 user`, `2,400 users`."""
    return f"{count:,} {one if count == 1 else many}"
