"""Read what is searched: the words of the ledger and of kept messages, and what of a message cannot be searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from gatekeeper.archive.words import subject_words, words_of
from gatekeeper.message.preview import Contents, read_contents
from gatekeeper.model import Mailbox
from gatekeeper.store import Connection, Store, batches, texts
from gatekeeper.store.texts import CONTENT, Made

MOST_OCTETS = 25_000_000  # of a message that is read
_MOST_WORDS = 1_000_000
_AT_ONCE = 10  # messages in one transaction: a step
_MATTERS = 200
_STEPS = 50  # for which is looked at once: to find what is unread, all that was read is passed over
_LOCK = 0x7465787473  # an advisory lock of Postgres
_SEALED = "-----BEGIN PGP MESSAGE-----"  # RFC 9580 6.2, within a text
_ENCRYPTED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
TOO_LARGE, CUT, ENCRYPTED, FILE = (
    "over the limit of 25 MB: nothing of its text was read",
    "over a limit: its end was not read",
    "encrypted",
    "attachment: its name is searched, its text is not",
)


def catch_up(store: Store, most: int | None = None, is_over: Callable[[], bool] = lambda: False) -> int:
    """Read what is new since the last time; return the number of things that were read. Raises StoreError.

    It is read and cut into words beside the writer, which only gets the words. Args: `most` steps, None for all;
    `is_over` is asked before each.
    """
    steps = _STEPS if most is None else most
    done = 0
    while not is_over():
        matters, contents = _read_matters(store, steps * _MATTERS, is_over), _read_contents(store, steps, is_over)
        done += matters + contents
        is_all = matters < steps * _MATTERS and contents < steps * _AT_ONCE and not is_over()
        if is_all and not store.writer.read(texts.is_filled):
            _write(store, partial(texts.note_filled, now=store.now()))
        if is_all or most is not None:
            break
    return done


def _read_matters(store: Store, limit: int, is_over: Callable[[], bool]) -> int:
    """Read what has changed; return how much that was, of timelines the events."""
    unread = store.writer.read(partial(texts.unread_matters, now=store.now(), limit=limit))
    slices = [unread.matters[start : start + _MATTERS] for start in range(0, len(unread.matters), _MATTERS)]
    if not slices and unread.events >= _MATTERS // 2:  # a few that are about something else are read again
        slices = [()]
    for left, some in zip(reversed(range(len(slices))), slices, strict=True):
        if is_over():
            break
        made = store.writer.read(partial(_matters, matters=some))
        _write(store, partial(texts.write, made=made, now=store.now(), mark=0 if left else unread.mark))
    return max(len(unread.matters), unread.events if unread.events == limit else 0)


def _matters(connection: Connection, matters: Iterable[tuple[str, int]]) -> list[Made]:
    return [_matter(connection, kind, key) for kind, key in matters]


def _matter(connection: Connection, kind: str, key: int) -> Made:
    said = texts.matter_texts(connection, kind, key)
    subject, others = said or ("", [])
    return Made(kind, key, None, _words(subject, [subject, *others]) if said else None)


def _read_contents(store: Store, steps: int, is_over: Callable[[], bool]) -> int:
    found = store.writer.read(partial(texts.unread_contents, now=store.now(), limit=steps * _AT_ONCE))
    for start in range(0, len(found), _AT_ONCE):
        made = [_content(store, digest, size) for digest, size in found[start : start + _AT_ONCE] if not is_over()]
        if made:
            _write(store, partial(texts.write, made=made, now=store.now()))
    return len(found)


def _write(store: Store, function: Callable[[Connection], None]) -> None:
    """Write as the only one: who reads the same at this moment puts theirs in its place, not beside it."""
    store.writer.call(function, [_LOCK])


def _content(store: Store, digest: bytes, size: int) -> Made:
    if size > MOST_OCTETS:
        return Made(CONTENT, None, digest, (), (), (("message", TOO_LARGE),))
    return content_text(digest, store.writer.read(partial(batches.read_body, digest=digest)))


def content_text(digest: bytes, octets: bytes) -> Made:
    """Return what is searched of a message. Never raises, whatever the octets."""
    contents = read_contents(octets, hidden=True)
    facts = contents.facts
    files = tuple(dict.fromkeys(each.name for each in contents.files if each.name))
    people = (_named(box) for boxes in (facts.author, facts.sender, facts.to, facts.cc) for box in boxes)
    shown = [
        facts.subject or "",
        *people,
        *files,
        *(text for each in contents.texts for text in (each.text, each.hidden)),
    ]
    words = _words(facts.subject or "", shown)
    return Made(CONTENT, None, digest, words, tuple(map(_plain, files)), tuple(_unsearched(contents, len(words))))


def _named(box: Mailbox) -> str:
    return f"{box.name} {box.address}"


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _words(subject: str, shown: Iterable[str]) -> tuple[str, ...]:
    """Return the words of a thing: those of its subject, marked as such, then all of it."""
    words = subject_words(subject)
    for each in shown:
        if len(words) >= _MOST_WORDS:
            break
        words += words_of(each)
    return tuple(words[:_MOST_WORDS])


def _unsearched(contents: Contents, words: int) -> Iterator[tuple[str, str]]:
    """Yield what of a message cannot be found by its words, and why."""
    facts = contents.facts
    if words >= _MOST_WORDS or any(each.is_cut for each in contents.texts):
        yield "text", CUT
    if facts.defects:
        yield "message", f"defective ({', '.join(facts.defects)}): mail programs may show another text"
    yield from ((each.type, ENCRYPTED) for each in contents.texts if _SEALED in each.text)
    for each in contents.files:
        yield each.name or each.type, ENCRYPTED if each.type in _ENCRYPTED else FILE
