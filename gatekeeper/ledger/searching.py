"""The verb that searches records for a case (D2), which the case's timeline and the chain of acts note (D4).

Every answer says what it does not cover: what is not here at all, what is gone, what could not be searched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, fields, replace
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from typing import Any

from gatekeeper.address import is_valid, normalise
from gatekeeper.archive.query import Phrase, Query, QueryError, read_query, subject_query
from gatekeeper.archive.words import subject_words, words_of
from gatekeeper.audit.compliance import value_of
from gatekeeper.audit.history import History
from gatekeeper.ledger import cases
from gatekeeper.ledger.context import LedgerError, VerbContext
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.lib.moments import utc_text
from gatekeeper.lifecycle import MailingState, PermitState, RequestState, SuspensionState
from gatekeeper.store import Connection, Store, disposals, record_search, searches, texts
from gatekeeper.store import cases as stored_cases
from gatekeeper.store.cases import CaseView
from gatekeeper.store.db.hashing import keyed
from gatekeeper.store.disposals import DisposalView
from gatekeeper.store.people import hash_person
from gatekeeper.store.record_search import HELD, LEDGER, MASS, Hit, RecordFilters, Unsearched

__all__ = ["PLACES", "Found", "Hit", "Scope", "SearchWanted", "Unsearched", "search"]
DECISIONS, ACCESS = "decisions", "access"
PLACES = (LEDGER, HELD, MASS, DECISIONS, ACCESS)
_MOST_UNSEARCHED = 1_000  # messages whose parts are named; how many there are is told in any case
_LONGEST = 10_000  # characters of a line of the scope
_FOREVER = float(1 << 40)
NOT_HERE = (
    "ordinary mail is not archived here: of it there are keyed hashes, neither texts nor addresses",
    "of mass mail that passed without a stop there are the facts, and its text only where the rules keep it",
    "texts that were to be kept and could not be: the timeline of their mailing says so (content not kept)",
    "attachments are found by their names, not by their texts",
    "of a message subject, people, texts and names of files are searched: no other fields, nor where links lead",
)
_STATES = sorted({state.value for kind in (MailingState, RequestState, PermitState, SuspensionState) for state in kind})
_BY_WORDS = ("query", "places", "since", "until")  # what narrows every place
_NARROWS = {  # what narrows a place besides; the others find nothing there
    DECISIONS: (*_BY_WORDS, "sender", "subject", "rule"),
    ACCESS: (*_BY_WORDS, "sender", "person"),
}


@immutable
class SearchWanted:
    """A search as somebody asks for it; "" and None for anything."""

    query: str = ""
    places: tuple[str, ...] = (LEDGER, HELD, MASS)
    sender: str = ""
    recipient: str = ""
    person: str = ""
    agency: str = ""
    subject: str = ""
    file: str = ""  # a pattern of names, such as *.pdf
    state: str = ""
    rule: str = ""
    since: float | None = None
    until: float | None = None
    mailings: tuple[int, ...] = ()  # only these

    def as_asked(self) -> dict[str, Any]:
        """Return what was asked for, as it is noted."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }


@immutable
class Scope:
    """What an answer covers, and what it does not."""

    asked: dict[str, Any]
    read_as: str  # the query as it was understood; "" without one
    not_here: tuple[str, ...]
    gone: int  # recorded decisions and acts that have aged out
    recorded_from: float | None
    destroyed: tuple[DisposalView, ...]  # disposals of content, by the schedule, that are done
    unsearched_messages: int
    unsearched: tuple[Unsearched, ...]


@immutable
class Found:
    """The answer of a search: counts first, then the newest of what was found."""

    case: CaseView
    counts: dict[str, int]
    hits: tuple[Hit, ...]
    scope: Scope
    digest: str  # of the whole list, where the search was saved
    number: int | None = None  # of the saved search

    @property
    def total(self) -> int:
        """The number of all that was found."""
        return sum(self.counts.values())


@immutable
class _Read:
    """A search whose texts have been read."""

    query: Query | None
    subject: tuple[Phrase, ...]
    filters: RecordFilters


def read(store: Store, wanted: SearchWanted) -> _Read:
    """Read the texts of a search. Raises LedgerError where they cannot be read."""
    unknown = set(wanted.places) - set(PLACES)
    if unknown:
        raise LedgerError(f"{', '.join(sorted(unknown))}: expected some of {', '.join(PLACES)}")
    if wanted.state and wanted.state not in _STATES:
        raise LedgerError(f"state {wanted.state!r}: expected one of {', '.join(_STATES)}")
    for name in ("sender", "recipient", "person"):
        if (address := getattr(wanted, name)) and not is_valid(address):
            raise LedgerError(f"{name} {address!r}: expected an address")
    try:
        query = read_query(wanted.query) if wanted.query else None
        subject = subject_query(wanted.subject, subject_words) if wanted.subject else ()
    except QueryError as error:
        raise LedgerError(f"the search cannot be read: {error}") from None
    return _Read(query, subject, _filters(store, wanted))


def _filters(store: Store, wanted: SearchWanted) -> RecordFilters:
    named = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    shared = {each.name: named[each.name] for each in fields(RecordFilters) if each.name in named}
    people = {name: normalise(named[name]) if named[name] else "" for name in ("sender", "recipient", "person")}
    hashes = {f"{name}_hash": hash_person(store.secret, people[name]) for name in ("recipient", "person")}
    return RecordFilters(**{**shared, **people, **hashes, "places": frozenset(wanted.places)})


def search(ctx: VerbContext, store: Store, case: int, wanted: SearchWanted, limit: int | None) -> Found:
    """Return what a search finds, for a records officer or an auditor. Args: `limit` of what is listed.

    Raises NotFound, NotAllowed, LedgerError.
    """
    cases.check_sees_records(ctx)
    found, looked = cases.find_open(ctx, case), read(store, wanted)
    looked = replace(looked, filters=record_search.narrowed(ctx.connection, looked.filters))
    counts, hits = _stored(ctx.connection, wanted, looked, limit)
    more = [*_decisions(store, wanted, looked), *_access(store, wanted, looked)]
    for each in more:
        counts[each.place] = counts.get(each.place, 0) + 1
    listed = tuple([*hits, *more][:limit])
    return Found(found, counts, listed, _scope(ctx, wanted, looked), digest_of(listed))


def _stored(
    connection: Connection, wanted: SearchWanted, looked: _Read, limit: int | None
) -> tuple[dict[str, int], list[Hit]]:
    ids = ids_of(connection, wanted, looked)
    return record_search.find(connection, ids, looked.filters, limit) if ids is None or ids else ({}, [])


def ids_of(connection: Connection, wanted: SearchWanted, looked: _Read) -> set[int] | None:
    """Return the ids of texts that have the words; None where no words are looked for."""

    def with_phrase(phrase: Phrase) -> set[int]:
        return texts.ids_with(connection, phrase.words, is_prefix=phrase.is_prefix)

    found = looked.query.find(with_phrase, partial(texts.all_ids, connection)) if looked.query else None
    for phrase in looked.subject:
        found = with_phrase(phrase) if found is None else found & with_phrase(phrase)
    if wanted.file:
        pattern = wanted.file.casefold()
        named = {id for id, names in texts.names_of_files(connection) if any(fnmatchcase(n, pattern) for n in names)}
        found = named if found is None else found & named
    return found


def digest_of(hits: Sequence[Hit]) -> str:
    """Return the digest of a list of what was found."""
    return sha256("\n".join(f"{hit.place} {hit.kind} {hit.id} {hit.digest}" for hit in hits).encode()).hexdigest()


def note(ctx: VerbContext, found: Found, *, save: bool) -> int | None:
    """Note a search on the timeline of its case before its answer is shown; return its number where it is saved."""
    asked = found.scope.asked
    number = None
    if save:
        number = searches.save(ctx.connection, found.case.key, asked, (found.counts, found.digest), ctx.act)
    details = {"asked": asked, "counts": found.counts, "digest": found.digest}
    text = f"search {number}: {_shown(found)}" if number else _shown(found)
    stored_cases.note(ctx.connection, found.case.key, "searched", replace(ctx.act, reason=text, details=details))
    return number


def _shown(found: Found) -> str:
    counted = ", ".join(f"{number} {name}" for name, number in found.counts.items()) or "nothing"
    usual = {"query": found.scope.asked.get("query"), "places": list(SearchWanted().places)}
    asked = ((name, value) for name, value in found.scope.asked.items() if value != usual.get(name))
    narrowed = [f"{name} {said(name, value)}" for name, value in asked]
    return f"{', '.join([found.scope.read_as or 'no words', *narrowed])}; found {counted}"


def said(name: str, value: Any) -> str:
    """Return what narrows a search as one line, as people read it."""
    if name in ("since", "until"):
        return str(utc_text(value))
    return marked_line(", ".join(map(str, value)) if isinstance(value, list) else str(value), _LONGEST)


def _scope(ctx: VerbContext, wanted: SearchWanted, looked: _Read) -> Scope:
    connection = ctx.connection
    gone, first = record_search.aged_out(connection)
    number, parts = record_search.unsearched(connection, looked.filters, _MOST_UNSEARCHED)
    read_as = str(looked.query) if looked.query else ""
    destroyed = tuple(disposals.list_destroyed(connection))
    not_here = (*NOT_HERE, *_left_out(wanted, ctx.ruleset.agencies))
    return Scope(wanted.as_asked(), read_as, not_here, gone, first, destroyed, number, tuple(parts))


def _left_out(wanted: SearchWanted, agencies: Collection[str]) -> Iterator[str]:
    """Yield what is not looked at because of how the search is narrowed: nothing of it is known."""
    if wanted.agency and wanted.agency not in agencies:
        yield f"the rules in force have no agency {wanted.agency!r}"
    if LEDGER in wanted.places and (wanted.recipient or wanted.rule):
        yield "requests, permits and suspensions: neither a recipient nor a rule finds them"
    elif LEDGER in wanted.places and (wanted.sender or wanted.agency):
        yield "permits: neither a sender nor an agency finds them"
    for place, narrows in _NARROWS.items():
        if place in wanted.places and (others := sorted(set(wanted.as_asked()) - set(narrows))):
            yield f"{place}: {', '.join(others)} does not find anything there"


def _finds_none(place: str, wanted: SearchWanted) -> bool:
    return place not in wanted.places or not set(wanted.as_asked()) <= set(_NARROWS[place])


# -- what was decided, and who looked ----------------------------------------------------------------------------


def _decisions(store: Store, wanted: SearchWanted, looked: _Read) -> Iterator[Hit]:
    """Yield recorded decisions, which are read one by one: a period makes that quick."""
    if _finds_none(DECISIONS, wanted):
        return
    query, filters = looked.query, looked.filters
    source = keyed(store.secret, filters.sender).hex()[:16]
    for record, frame in History(store, wanted.since or 0.0, wanted.until or _FOREVER).records():
        sender = value_of(record, frame, "sender") if frame else None
        subject = value_of(record, frame, "subject") if frame else None
        said = [str(text) for row in record.reasons for text in row[2:]]
        words = [word for text in (sender, subject, *said) if text for word in words_of(str(text))]
        rules = {row[0] for row in record.reasons}
        if (
            (query is None or query.matches(words))
            and (not filters.sender or filters.sender == sender or source == record.source)
            and (not filters.rule or filters.rule in rules)
            and (not wanted.subject or set(words_of(wanted.subject)) <= set(words_of(str(subject or ""))))
        ):
            id = record.mailing or record.id
            yield Hit(DECISIONS, "decision", id, record.at, record.verdict, sender or "", str(subject or ""))


def _access(store: Store, wanted: SearchWanted, looked: _Read) -> Iterator[Hit]:
    """Yield what people did to records: who looked, searched, exported, decided."""
    if _finds_none(ACCESS, wanted):
        return
    query, who = looked.query, looked.filters.person or looked.filters.sender
    for act in History(store, wanted.since or 0.0, wanted.until or _FOREVER).acts():
        by, name, said = (
            str(act.get("by") or ""),
            str(act.get("act") or ""),
            str(act.get("text") or act.get("reason") or ""),
        )
        words = words_of(f"{name} {by} {said} {act.get('details') or ''} {act.get('for') or ''}")
        if by and (query is None or query.matches(words)) and (not who or who == by):
            yield Hit(ACCESS, "act", _matter_of(act), float(act.get("at", 0.0)), name, by, said)


def _matter_of(act: dict[str, Any]) -> str:
    """Return the id of what an act is about; its name where that has none."""
    letters = {"mailing_id": "M", "request_id": "R", "permit_id": "P", "suspension_id": "S", "case_id": "C"}
    for column, letter in letters.items():
        if isinstance(about := act.get(column), dict) and about.get("number"):
            return f"{letter}-{about['number']}"
    return str(act.get("act"))
