"""Templates of plain-language texts, with checked names, and values that can break neither a header nor a line."""

from __future__ import annotations

import difflib
import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template

from gatekeeper.lib.immutable import immutable

_WIDTH = 76
_ALWAYS = frozenset({"number", "subject", "title", "contact", "look"})
_REPORT = _ALWAYS | {"reasons", "recipients", "until"}
_RETURNED = _REPORT | {"headline", "sent", "by"}
_NOTICE = _ALWAYS | {"reach", "reasons", "by", "comment"}
_MATTER = _ALWAYS | {"what", "details", "reasons", "asked", "otherwise", "how", "since", "sent", "before", "excerpt"}
KINDS: Mapping[str, frozenset[str]] = {  # the template of each kind of mail, and the names that it may use
    "held": _NOTICE | {"sent", "decides", "otherwise"},
    "released": _NOTICE | {"headline", "what", "rest", "going"},
    "warning": _NOTICE,
    **dict.fromkeys(("denied", "returned", "refused", "withdrawn", "lapsed"), _RETURNED),
    **dict.fromkeys(("undeliverable", "delayed"), _REPORT),
    **dict.fromkeys(("waiting", "reminder"), _MATTER),
    **dict.fromkeys(("passed-on", "still-waiting"), _MATTER | {"done"}),
    "decided": _ALWAYS | {"what", "details", "outcome", "by", "then", "sent", "comment"},
    "request": _ALWAYS | {"headline", "details", "outcome", "by", "comment", "next", "permit", "asked", "otherwise"},
    "emergency": _ALWAYS | {"headline", "what", "details", "comment", "sent", "next"},
    "custodian": _ALWAYS | {"headline", "what", "details", "comment", "next"},
    "report": _ALWAYS | {"what", "details", "next"},
    "undelivered": _ALWAYS | {"what", "details", "next"},
    "list": frozenset({"title", "contact", "look", "headline", "waiting", "decided", "how"}),
    "signin": frozenset({"title", "contact", "who", "when", "place", "program", "how", "link"}),
    "preflight": frozenset({"subject", "title", "contact", "headline", "verdict", "reach", "reasons", "next"}),
}
NO_SUBJECT = "(no subject)"
LARGEST_TEMPLATE = 16_384  # octets
_ITEM = re.compile(r"\s*(?:\d+\.\s+|[A-Z][a-z]+(?: [a-z]+)?:\s\s+)?")  # a list number or a label
_ALONE = re.compile(r"^\$(\w+)$", re.MULTILINE)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, bidi overrides, halves of surrogate pairs
_SUBJECT = re.compile(r"Subject:[ \t]*(\S.*)\n(?:[ \t]*\n)+")


def plain(value: str, limit: int = 1000) -> str:
    """Return one line of visible text: no control or invisible characters, blanks folded, at most `limit` long."""
    start = value[: 4 * limit]  # so that a subject of a quarter of a megabyte costs nothing
    visible = "".join(" " if unicodedata.category(character) in _HIDDEN else character for character in start)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def ascii_text(value: str, limit: int = 512) -> str:
    """Return `plain` text with a question mark for each character beyond ASCII."""
    return plain(value, limit).replace("…", "...").encode("ascii", "replace").decode("ascii")


# -- templates ---------------------------------------------------------------------------------------------------


@immutable
class NoticeTemplate:
    """One template: its subject line and its paragraphs."""

    subject: Template
    paragraphs: tuple[Template, ...]


@immutable
class NoticeTemplates:
    """The templates of an organisation: its own, and the built-in ones for all other kinds."""

    own: Mapping[str, NoticeTemplate] = field(default_factory=dict)
    digest: str = ""  # hex SHA-256 of the organisation's own templates

    def of(self, kind: str) -> NoticeTemplate:
        """Return the template of a kind."""
        return self.own.get(kind) or built_in(kind)


BUILT_IN = NoticeTemplates()


class TemplatesError(ValueError):
    """Templates that cannot be used; `problems` has all mistakes as `file:line: what was expected`."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@cache
def built_in(kind: str) -> NoticeTemplate:
    """Return the built-in template of a kind. Raises KeyError for an unknown kind."""
    text = resources.files(__package__).joinpath("templates", f"{kind}.txt").read_text(encoding="utf-8")
    problems = list(_problems(text, KINDS[kind], kind))
    if problems:
        raise TemplatesError(problems)
    return _text(text)


def read_templates(folder: Path | None) -> NoticeTemplates:
    """Read an organisation's own templates, each in a file KIND.txt; with None there are none.

    Raises TemplatesError with all problems: a folder that is not there, kinds and names that are unknown.
    """
    if folder is None:
        return BUILT_IN
    if not folder.is_dir():
        raise TemplatesError([f"{folder}: no such folder; expected one with templates of notices, such as held.txt"])
    problems: list[str] = []
    read = {path.stem: _read(path, problems) for path in sorted(folder.glob("*.txt"))}
    if problems:
        raise TemplatesError(problems)
    digest = hashlib.sha256("\0".join(f"{kind}\0{text}" for kind, text in read.items()).encode()).hexdigest()
    return NoticeTemplates({kind: _text(text, kind) for kind, text in read.items()}, digest)


def _read(path: Path, problems: list[str]) -> str:
    if path.stem not in KINDS:
        near = difflib.get_close_matches(path.stem, KINDS, n=1)
        hint = f"did you mean {near[0]}.txt?" if near else f"expected one of {', '.join(sorted(KINDS))}"
        problems.append(f"{path}: no notice is called {path.stem}; {hint}")
        return ""
    try:
        text = _octets_of(path).decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return ""
    except ValueError as error:
        problems.append(f"{path}: {error}" if not isinstance(error, UnicodeError) else f"{path}: expected UTF-8")
        return ""
    problems += _problems(text, KINDS[path.stem], str(path))
    return text


def _octets_of(path: Path) -> bytes:
    with path.open("rb") as file:
        octets = file.read(LARGEST_TEMPLATE + 1)
    if len(octets) > LARGEST_TEMPLATE:
        raise ValueError(f"expected at most {LARGEST_TEMPLATE} octets: a notice is one screen")
    return octets


def _problems(text: str, names: frozenset[str], name: str) -> Iterator[str]:
    """Yield what is wrong with a template, each problem with its line."""
    if not _body(text).strip():
        yield f"{name}: nothing stands here; expected the text of the notice"
    for number, line in enumerate(text.split("\n"), 1):
        if not Template(line).is_valid():
            yield f"{name}:{number}: a $ that belongs to no name; expected $$ where the reader shall see $"
        for word in Template(line).get_identifiers():
            if word not in names:
                near = difflib.get_close_matches(word, names, n=1)
                hint = f"did you mean ${near[0]}?" if near else f"expected some of ${', $'.join(sorted(names))}"
                yield f"{name}:{number}: unknown name ${word}; {hint}"


def _text(text: str, kind: str = "") -> NoticeTemplate:
    """Split a template into subject and paragraphs. Without a subject line it has that of the built-in template."""
    found = _SUBJECT.match(text)
    subject = Template(found[1].strip()) if found else built_in(kind).subject
    return NoticeTemplate(
        subject, tuple(Template(each.strip("\n")) for each in re.split(r"\n\s*\n", _body(text).strip()))
    )


def _body(text: str) -> str:
    found = _SUBJECT.match(text)
    return text[found.end() :] if found else text


# -- filled in ---------------------------------------------------------------------------------------------------


def fill_subject(text: NoticeTemplate, values: Mapping[str, str]) -> str:
    """Fill in the subject line. Raises KeyError where the template asks for a name that `values` lacks."""
    return plain(text.subject.substitute(values))


def fill(text: NoticeTemplate, values: Mapping[str, str]) -> str:
    """Fill the template and wrap its lines. A line that is only an empty value removes its whole paragraph.

    Raises KeyError where the template asks for a name that `values` lacks.
    """
    paragraphs = [each.substitute(values) for each in text.paragraphs if not _empty(each.template, values)]
    lines = [line for each in "\n\n".join(paragraphs).splitlines() for line in _wrapped(each)]
    return "\n".join(lines) + "\n"


def _empty(paragraph: str, values: Mapping[str, str]) -> bool:
    return any(not values[word] for word in _ALONE.findall(paragraph))


def _wrapped(line: str) -> list[str]:
    """Fold a long line between words, never within one: links stay whole."""
    marker = _ITEM.match(line)
    indent = " " * (marker.end() if marker else 0)
    return textwrap.wrap(
        line.rstrip(), _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def numbered_list(texts: Sequence[str]) -> str:
    """Return the texts one a line, numbered where there is more than one."""
    if len(texts) == 1:
        return f"  {plain(texts[0])}"
    return "\n".join(f"  {position}. {plain(text)}" for position, text in enumerate(texts, 1))


def labelled(lines: Mapping[str, str]) -> str:
    """Return labels and values, one a line; labels with an empty value are left out."""
    kept = {label: plain(value, 300) for label, value in lines.items() if value}
    width = max((len(label) for label in kept), default=0) + 3
    return "\n".join(f"{label + ':':<{width}}{value}" for label, value in kept.items())


def by_all(people: Sequence[str]) -> str:
    """Return who did it, as it ends a clause: ` by jo@example.gov and sam@example.gov`; "" for nobody."""
    named = [plain(each) for each in people]
    first, last = ", ".join(named[:-1]), "".join(named[-1:])
    return f" by {first} and {last}" if first else f" by {last}" if last else ""


def say_count(count: int, one: str, many: str) -> str:
    """Return a count in words: `1 user`, `2,400 users`."""
    return f"{count:,} {one if count == 1 else many}"
