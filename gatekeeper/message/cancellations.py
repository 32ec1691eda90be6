"""Tell whether a message calls off an invitation and says nothing else (RFC 5546 3.2.5)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.attachments import find_files
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.html_tags import names
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import Part, Structure, read_structure
from gatekeeper.message.subject import subject_key
from gatekeeper.message.template_words import MOST_WORDS, html_text, plain_text
from gatekeeper.message.text_parts import read_text_parts
from gatekeeper.message.transfer_encoding import decoded

CALENDARS = frozenset({"text/calendar", "application/ics"})
_LIMITS = Limits()
_MOST_CALENDAR = 1_000_000  # octets of an invitation
_FOLD = re.compile(r"\r?\n[ \t]")  # RFC 5545 3.1
_LINE = re.compile(r'([A-Za-z0-9-]++)((?:;(?:[^":;]++|"[^"]*+")*+)*+):(.*+)', re.DOTALL)
_NAMED = re.compile(r';CN=("[^"]*+"|[^;:"]*+)', re.IGNORECASE)
_BREAK = re.compile(r"\\[nN]")
_PEOPLE = frozenset({"ORGANIZER", "ATTENDEE"})
# Properties that nobody reads as text, and that a cancellation may change.
_MACHINE = names(
    "VERSION PRODID CALSCALE METHOD DTSTAMP CREATED LAST-MODIFIED SEQUENCE STATUS TRANSP CLASS PRIORITY UID BEGIN END"
    " DTSTART DTEND DURATION RRULE RDATE EXDATE RECURRENCE-ID TZID TZOFFSETFROM TZOFFSETTO TZNAME TRIGGER ACTION REPEAT"
    " REQUEST-STATUS"
)
_OF_PROGRAMS = ("X-MICROSOFT-", "X-MS-", "X-GOOGLE-", "X-APPLE-", "X-ZIMBRA-", "X-MOZ-")


@immutable
class _Message:
    """What a message shows, and what its calendars say."""

    words: Counter[bytes]
    links: frozenset[str]
    files: frozenset[tuple[str, str]]  # name and type
    defects: frozenset[str]
    whole: bool
    methods: frozenset[str]
    uids: frozenset[str]
    said: frozenset[tuple[str, str]]  # properties that are shown


def cancels(content: bytes, approved: bytes) -> bool:
    """Return True where `content` only calls off what the message `approved` invites to.

    It has the same UID and organizer, and no word, link, file, place or person that the approved message has not. Never
    raises; time is linear in the sizes.
    """
    own = _read(content)
    if own is None or own.methods != {"CANCEL"}:
        return False
    its = _read(approved)
    return (
        its is not None
        and its.methods <= {"REQUEST", "PUBLISH"}
        and len(own.uids) == 1
        and own.uids == its.uids
        and any(name == "ORGANIZER" for name, _ in own.said)
        and own.whole
        and its.whole
        and not own.words - its.words
        and own.links <= its.links
        and own.files <= its.files
        and own.defects <= its.defects
        and own.said <= its.said
    )


def _read(content: bytes) -> _Message | None:
    """Read a message that has a calendar; None where it has none."""
    defects = DefectCollector()
    structure = read_structure(content, _LIMITS, defects)
    calendars = [part for part in structure.parts if part.type in CALENDARS]
    if not calendars:
        return None
    parts = [part for part in structure.parts if part.type not in CALENDARS]
    texts = read_text_parts(content, parts, _LIMITS, defects)
    shown = [(html_text if each.is_html else plain_text)(each.text, MOST_WORDS) for each in texts]
    lines = list(_lines(content, calendars))
    small = all(part.end - part.start <= _MOST_CALENDAR for part in calendars)
    return _Message(
        words=Counter(word for text in shown for word in text.hashed()),
        links=frozenset[str]().union(*(text.links for text in shown)),
        files=frozenset(_files(content, structure, defects)),
        defects=frozenset(defects.found),
        whole=small and all(text.whole for text in shown),
        methods=frozenset(value.strip().upper() for name, _, value in lines if name == "METHOD"),
        uids=frozenset(value.strip() for name, _, value in lines if name == "UID"),
        said=frozenset(_said(lines)),
    )


def _files(content: bytes, structure: Structure, defects: DefectCollector) -> Iterator[tuple[str, str]]:
    for file in find_files(content, structure, frozenset(), defects):
        if file.part.type not in CALENDARS:  # read as a calendar
            yield file.name, f"{file.part.type} {content[file.part.start : file.part.end].hex()}"


# -- calendars ---------------------------------------------------------------------------------------------------


def _lines(content: bytes, calendars: Iterable[Part]) -> Iterator[tuple[str, str, str]]:
    """Yield name, parameters and value of each property; a line that is none of it as a value of the name ""."""
    for part in calendars:
        octets = decoded(content[part.start : min(part.end, part.start + _MOST_CALENDAR)], part.encoding)
        for line in _FOLD.sub("", octets.decode("utf-8", "replace")).splitlines():
            if found := _LINE.fullmatch(line):
                yield found[1].upper(), found[2], found[3]
            elif line.strip():
                yield "", "", line


def _said(lines: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the properties that are shown, with their values as they are read."""
    for name, parameters, value in lines:
        text = " ".join(_BREAK.sub(" ", value).split())
        if name in _PEOPLE:
            named = _NAMED.search(parameters)
            yield name, f"{named[1] if named else ''} {text.lower()}"
        elif name == "SUMMARY":
            yield name, subject_key(text)
        elif text and name not in _MACHINE and not name.startswith(_OF_PROGRAMS):
            yield name, text
