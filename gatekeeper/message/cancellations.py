"""Tell whether a message calls off an invitation and says nothing else (RFC 5546 3.2.5).

All that a mail program may show is compared as it is written: fields of headers, texts, files, what stands between
parts, properties of calendars. A cancellation has none that the approved message has not, but for what says only that
it is one: its method, its state, "Canceled:" before the title, and the day of an occurrence of a series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.address_fields import read_addresses
from gatekeeper.message.calendars import CALENDARS, Property, read_properties
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.facts import read_facts
from gatekeeper.message.headers import Header, text_of, unstructured
from gatekeeper.message.html_tags import names
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import Part, Structure, read_structure
from gatekeeper.message.subject_words import MARKS
from gatekeeper.message.text_normalisation import fold
from gatekeeper.message.text_parts import TextPart, read_text_parts
from gatekeeper.message.transfer_encoding import decoded_text

_LIMITS = Limits()
_MOST_CALENDAR = 1_000_000  # octets of an invitation
_MOST_PEOPLE = 10_000
_LONGEST_MARK = 48  # characters
_TITLES = ("subject", "thread-topic")
_SHOWN_FIELDS = (
    *("from", "sender", "reply-to", "resent-from", "resent-sender", "comments", "keywords", "organization"),
    *("x-face", "face", "list-id", "list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner"),
    *("list-archive", "archived-at"),
)
_SHOWN_OF_PARTS = ("content-description", "content-location", "content-base")
_UNSHOWN_PARAMETERS = names(
    "boundary charset method format delsp type component protocol micalg size modification-date"
)
_BLANK_HTML = re.compile(  # tags that show nothing, and no style that draws or that shows itself
    r"""(?>\s|&nbsp;|<!doctype html>|<meta [^<>:]{0,60}text/html;\s?charset=[\w-]{1,20}"\s?/?>"""
    r"""|<style(?:\stype="text/css")?(?:\sstyle="display:\s?none;?")?>\s*+p\s?\{[\s0;:]*+(?>margin-(?:top|bottom)[\s0;:]++)*+\}\s*+</style>"""
    r"""|</?(?:html|head|body|div|p|br|span)(?>\s++(?:(?:dir|lang|class)="[\w\s-]{0,60}\""""
    r"""|style="(?>\s?(?:font|font-family|font-size|color|margin|margin-top|margin-bottom):[\w\s,.#%-]{0,90};?)*+"))*+\s?/?>)*+""",
    re.I,
)
_LONGEST_BLANK = 2_000  # characters; with more tags a picture can be drawn

# Properties of which the values below say no more than that an event is called off.
_STATES = names(
    "METHOD DTSTAMP CREATED LAST-MODIFIED SEQUENCE STATUS TRANSP CLASS PRIORITY X-MICROSOFT-CDO-BUSYSTATUS"
    " X-MICROSOFT-CDO-INTENDEDSTATUS X-MICROSOFT-CDO-APPT-SEQUENCE X-MICROSOFT-CDO-OWNERAPPTID"
    " X-MICROSOFT-CDO-IMPORTANCE X-MICROSOFT-CDO-INSTTYPE X-MICROSOFT-CDO-ALLDAYEVENT"
    " X-MICROSOFT-CDO-OWNER-CRITICAL-CHANGE X-MICROSOFT-CDO-ATTENDEE-CRITICAL-CHANGE X-MICROSOFT-DISALLOW-COUNTER"
    " X-MICROSOFT-DONOTFORWARDMEETING X-MICROSOFT-ISRESPONSEREQUESTED X-MS-OLK-APPTLASTSEQUENCE X-MS-OLK-APPTSEQTIME"
    " X-MOZ-GENERATION X-MOZ-LASTACK"
)
_STATE = re.compile(
    r"-?\d{1,10}|\d{8}T\d{6}Z?|CANCEL|CANCELLED|CONFIRMED|TENTATIVE|OPAQUE|TRANSPARENT|PUBLIC|PRIVATE|CONFIDENTIAL|BUSY"
    r"|FREE|OOF|TRUE|FALSE",
    re.I,
)
_STATE_OF_PERSON = re.compile(
    r"PARTSTAT=(?:NEEDS-ACTION|ACCEPTED|DECLINED|TENTATIVE|DELEGATED)|RSVP=(?:TRUE|FALSE)"
    r"|ROLE=(?:CHAIR|(?:REQ|OPT|NON)-PARTICIPANT)|CUTYPE=(?:INDIVIDUAL|GROUP|RESOURCE|ROOM|UNKNOWN)"
    r'|X-NUM-GUESTS=\d{1,2}|SCHEDULE-STATUS="?[\d.]{1,9}"?',
    re.I,
)
_PEOPLE = frozenset({"ORGANIZER", "ATTENDEE"})
_TEXTS = frozenset({"DESCRIPTION", "SUMMARY", "LOCATION", "COMMENT"})
_REPEATING = frozenset({"RRULE", "RDATE"})
_DAY = re.compile(r"\d{8}(?=T\d{6}Z?\Z|\Z)")
_BREAK = re.compile(r"\\[nN]")
_NUMBERS = re.compile(r"[\d.]+")


@immutable
class _Message:
    """What a message shows, and what its calendars are for."""

    methods: frozenset[str]  # "" for a calendar that has none
    uids: frozenset[str]
    said: frozenset[tuple[str, ...]]  # what it is, and what it says

    @property
    def has_organizer(self) -> bool:
        return any("ORGANIZER" in each[:2] for each in self.said)


def cancels(content: bytes, approved: bytes) -> bool:
    """Return True where `content` only calls off what the message `approved` invites to.

    It has the same UID and organizer, no defect, and nothing to show that the approved message has not. Never raises;
    time is linear in the sizes.
    """
    own = _read(content)
    if own is None or own.methods != {"CANCEL"} or len(own.uids) != 1 or not own.has_organizer:
        return False
    its = _read(approved)
    return (
        its is not None
        and its.methods <= {"REQUEST", "PUBLISH", ""}
        and own.uids == its.uids
        and own.said <= its.said
        and not read_facts(content, _LIMITS).defects
    )


def _read(content: bytes) -> _Message | None:
    """Read a message that has a calendar; None where it has none, or a very large one."""
    defects = DefectCollector()
    structure = read_structure(content, _LIMITS, defects)
    calendars = [part for part in structure.parts if part.type in CALENDARS]
    if not calendars or any(part.end - part.start > _MOST_CALENDAR for part in calendars):
        return None
    read = [(part, _properties(content, part)) for part in calendars]
    said = {*_of_header(structure.root.header), *_of_parts(content, structure)}
    for _, properties in read:
        said.update(_of_calendar(properties))
    return _Message(
        methods=frozenset(method for part, properties in read for method in _methods(part, properties)),
        uids=frozenset(each.value.strip() for _, properties in read for each in properties if each.name == "UID"),
        said=frozenset(said),
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _title(text: str) -> str:
    """Return a subject or summary in lower case, without one mark such as "Canceled:" before it."""
    title = _one_line(text).casefold()
    mark, colon, rest = title.partition(":")
    is_marked = colon and len(mark) <= _LONGEST_MARK and fold(mark).strip() in MARKS
    return rest.strip() if is_marked else title


# -- header and parts --------------------------------------------------------------------------------------------


def _of_header(header: Header) -> Iterator[tuple[str, ...]]:
    defects = DefectCollector()
    for name in _TITLES:
        yield from (("title", _title(unstructured(value, defects))) for value in header.all(name))
    for name in _SHOWN_FIELDS:
        yield from ((name, _one_line(unstructured(value, defects))) for value in header.all(name))
    for value in (*header.all("to"), *header.all("cc")):  # each copy may have the address of its recipient there
        read = read_addresses(text_of(value, defects), _MOST_PEOPLE, lambda phrase: decode_words(phrase, defects))
        yield from (("person", box.name) for box in read.mailboxes if box.name not in ("", box.address))


def _of_parts(content: bytes, structure: Structure) -> Iterator[tuple[str, ...]]:
    for start, end in structure.gaps:
        if octets := content[start:end].strip():
            yield "between the parts", octets.decode("latin-1")
    texts = {id(text.part): text for text in read_text_parts(content, structure.parts, _LIMITS, DefectCollector())}
    for part in structure.parts:
        yield from _of_fields(part)
        if part.is_message or not (part.children or part.type in CALENDARS or id(part) in texts):
            octets = content[part.start : part.end]
            yield part.type, part.encoding, blake2b(octets, digest_size=16).hexdigest()
        elif part.type not in CALENDARS and id(part) in texts and not _is_blank(texts[id(part)]):
            yield part.type, _one_line(texts[id(part)].text)


def _of_fields(part: Part) -> Iterator[tuple[str, ...]]:
    for name in _SHOWN_OF_PARTS:
        yield from ((name, value.decode("latin-1")) for value in part.header.all(name))
    for name, values in (*part.content_type.parameters.items(), *part.disposition.parameters.items()):
        if name not in _UNSHOWN_PARAMETERS:
            yield from ((name, value) for value in values)


def _is_blank(text: TextPart) -> bool:
    if not text.is_html or len(text.text) > _LONGEST_BLANK:
        return not text.text.strip()
    return _BLANK_HTML.fullmatch(text.text) is not None


# -- calendars ---------------------------------------------------------------------------------------------------


def _properties(content: bytes, part: Part) -> list[Property]:
    octets = decoded_text(content[part.start : part.end], part.encoding, DefectCollector())
    return list(read_properties(octets.decode("utf-8", "replace")))


def _methods(part: Part, properties: list[Property]) -> Iterator[str]:
    found = [each.value.strip().upper() for each in properties if each.name == "METHOD"]
    yield from found or [""]
    yield from map(str.upper, part.content_type.all("method"))


def _of_calendar(properties: list[Property]) -> Iterator[tuple[str, ...]]:
    of_events = [each for each in properties if each.component == "VEVENT"]
    repeats = any(each.name in _REPEATING for each in of_events)
    occurrences = {(each.written, each.value) for each in of_events if each.name == "RECURRENCE-ID"}
    for each in properties:
        is_time = each.component == "VEVENT" and each.name in ("DTSTART", "DTEND", "RECURRENCE-ID")
        if not is_time:
            yield from _of_property(each)
            continue
        is_of_one = bool(occurrences) and (each.name != "DTSTART" or (each.written, each.value) in occurrences)
        if is_of_one or repeats:
            name = "DTSTART" if each.name == "RECURRENCE-ID" else each.name
            yield "at any day of the series", name, each.written, _DAY.sub("", each.value.strip())
        if not is_of_one:
            yield each.name, each.written, each.value.strip()


def _of_property(read: Property) -> Iterator[tuple[str, ...]]:
    """Yield what a property shows; nothing for a mere state."""
    component, name, written, value = read
    text = _one_line(_BREAK.sub(" ", value))
    if name in _STATES and not written and _STATE.fullmatch(text):
        return
    if name in _PEOPLE:
        shown = [each for each in read.parameters if not _STATE_OF_PERSON.fullmatch(each)]
        yield component, name, *sorted(shown), text.lower()
        yield from (("person", each[3:].strip('"')) for each in shown if each.upper().startswith("CN="))
        return
    if name == "PRODID":  # of a program that was updated since
        text = _NUMBERS.sub("", text)
    elif name == "SUMMARY":
        text = _title(text)
    if written:
        yield component, name, written
    if text or name not in _TEXTS:
        yield component, name, written, text
