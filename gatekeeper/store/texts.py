"""What is searched: the words of mailings, requests, permits, suspensions and kept messages, in the database's index.

`texts` has what was read, and what of it could not be; `text_words` its words: a table of FTS5 on SQLite, of tsvectors
on Postgres. Long texts are in parts, which overlap by as many words as a phrase may have, so that no limit of an index
on places of words is ever reached. Words come folded (archive/words.py): no database reads them its own way. All of it
is made again from the ledger and the bodies where it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, text

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED
from gatekeeper.store.db.schema import (
    IS_MASS,
    batches,
    bodies,
    events,
    mailings,
    permits,
    requests,
    suspensions,
    texts,
)
from gatekeeper.store.views import NUMBERED

PART = 256  # words in a row of the index: no word can be in it more often than Postgres notes (256)
OVERLAP = 31
_SHIFT = 16  # bits of an FTS5 row's number that say which part of a text it is
_SETTLED_SECONDS = 5.0
_YOUNG_SECONDS = 30 * 86_400.0  # longer than any mailing takes in messages
_MOST_PARTS = 1 << _SHIFT
CONTENT = "content"  # the kind of text of a message
MARK, FILLED = "mark", "filled"  # kinds of no text: how far the timeline was read; that all was read once
KINDS = {"mailing": mailings, "request": requests, "permit": permits, "suspension": suspensions}
Words = Sequence[str]


@immutable
class Made:
    """The text of one thing, as it is to be searched."""

    kind: str
    matter: int | None  # key of the mailing, request, permit or suspension
    digest: bytes | None  # of the message
    words: tuple[str, ...] | None  # None where it is no record any more, or not yet
    files: tuple[str, ...] = ()
    unsearched: tuple[tuple[str, str], ...] = ()  # which part, and why it is not searched


# -- what is to be read ------------------------------------------------------------------------------------------

IS_RECORD = and_(*NUMBERED, mailings.c.sender.is_not(None), or_(IS_MASS, mailings.c.held_at.is_not(None)))


@immutable
class Unread:
    """What is to be read: mailings, requests, permits and suspensions by kind and key, and how far that goes."""

    matters: tuple[tuple[str, int], ...]
    mark: int  # the newest event that it covers
    events: int  # how many it covers


def unread_contents(connection: Connection, now: float, limit: int) -> list[tuple[bytes, int]]:
    """Return digests and sizes of kept messages that were not read yet: of mass and held mail, and of requests."""
    whole = and_(bodies.c.complete, ~exists().where(texts.c.digest == bodies.c.digest))
    if is_filled(connection):
        whole = and_(bodies.c.stored_at > now - _YOUNG_SECONDS, whole)
    kept = select(batches.c.id).join(mailings, mailings.c.id == batches.c.mailing_id)
    kept = kept.where(batches.c.body == bodies.c.digest, batches.c.state.not_in(UNACKNOWLEDGED), IS_RECORD)
    needed = or_(kept.exists(), exists().where(requests.c.body == bodies.c.digest))
    query = select(bodies.c.digest, bodies.c.size).where(whole, needed).limit(limit)
    return [(bytes(digest), size) for digest, size in connection.execute(query)]


def unread_matters(connection: Connection, now: float, limit: int) -> Unread:
    """Return what was not read yet, or has changed since.

    On Postgres the events of the last seconds wait: one with a lower number may be committed later.
    """
    mark = int(connection.execute(select(func.max(texts.c.matter_id)).where(texts.c.kind == MARK)).scalar() or 0)
    columns = [events.c[f"{kind}_id"] for kind in KINDS]
    query = select(events.c.id, *columns).where(events.c.id > mark).order_by(events.c.id).limit(limit)
    if connection.dialect.name == "postgresql":
        query = query.where(events.c.at < now - _SETTLED_SECONDS)
    rows = connection.execute(query).all()
    keys = ((kind, key) for _, *keys in rows for kind, key in zip(KINDS, keys, strict=True) if key is not None)
    lacking = (("mailing", key) for key in _lacking(connection, now, limit))
    return Unread(tuple(dict.fromkeys([*keys, *lacking])), rows[-1].id if rows else mark, len(rows))


def _lacking(connection: Connection, now: float, limit: int) -> Iterator[int]:
    """Yield mailings that no event tells of: to many, without a stop. Once all were read, only young ones are new."""
    unread = (IS_RECORD, ~_read_already("mailing", mailings.c.id))
    young = [mailings.c.started_at > now - _YOUNG_SECONDS] if is_filled(connection) else []
    yield from connection.execute(select(mailings.c.id).where(IS_MASS, *young, *unread).limit(limit)).scalars()
    if not young:
        held = select(mailings.c.id).where(mailings.c.held_at.is_not(None), *unread)
        yield from connection.execute(held.limit(limit)).scalars()


def is_filled(connection: Connection) -> bool:
    """Return True where everything has been read once."""
    return connection.execute(select(texts.c.id).where(texts.c.kind == FILLED).limit(1)).first() is not None


def note_filled(connection: Connection, now: float) -> None:
    """Note that everything has been read once."""
    connection.execute(insert(texts).values(kind=FILLED, files="", made_at=now))


def _read_already(kind: str, key: Any) -> Any:
    return exists().where(texts.c.kind == kind, texts.c.matter_id == key)


_SHOWN = {  # what is searched of each kind, the subject first
    "mailing": ("subject", "sender", "agency", "reasons"),
    "request": ("subject", "requester", "agency", "senders", "purpose", "audiences", "reason"),
    "permit": ("subject", "given_by", "purpose", "reason", "lists"),
    "suspension": ("name", "reason", "given_by"),
}
_WITHOUT_SUBJECT = ("suspension",)


def matter_texts(connection: Connection, kind: str, key: int) -> tuple[str, list[str]] | None:
    """Return the subject and the other texts of a mailing, request, permit or suspension; None for no record."""
    table = KINDS[kind]
    query = select(*(table.c[name] for name in _SHOWN[kind])).where(table.c.id == key)
    row = connection.execute(query.where(IS_RECORD) if kind == "mailing" else query).first()
    if row is None:
        return None
    subject, *others = ("", *row) if kind in _WITHOUT_SUBJECT else row
    about = [text for value in others for text in _texts_in(value)]
    told = select(events.c.by, events.c.text).where(events.c[f"{kind}_id"] == key).order_by(events.c.id)
    about += [text for by, said in connection.execute(told) for text in (by, said) if text]
    return subject or "", about


def _texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a value of a column, which may be JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for name in ("rule", "cite", "text") for text in _texts_in(value.get(name)))
    elif isinstance(value, list):
        yield from (text for each in value for text in _texts_in(each))


# -- writing -----------------------------------------------------------------------------------------------------


def write(connection: Connection, made: Iterable[Made], now: float, mark: int = 0) -> None:
    """Put texts in the place of what was read of the same things before. Args: `mark` is the newest event read."""
    for each in made:
        forget(connection, _of(each))
        if each.words is None or (each.kind == CONTENT and not _is_needed(connection, each.digest or b"")):
            continue
        row = {
            "kind": each.kind,
            "matter_id": each.matter,
            "digest": each.digest,
            "files": "".join(f"\n{name}" for name in each.files),
            "unsearched": [list(part) for part in each.unsearched] or None,
            "made_at": now,
        }
        id: int = connection.execute(insert(texts).values(**row).returning(texts.c.id)).scalar_one()
        _write_words(connection, id, each.words)
    if mark:
        connection.execute(delete(texts).where(texts.c.kind == MARK))
        connection.execute(insert(texts).values(kind=MARK, matter_id=mark, files="", made_at=now))


def _of(made: Made) -> Any:
    if made.kind == CONTENT:
        return texts.c.digest == made.digest
    return and_(texts.c.kind == made.kind, texts.c.matter_id == made.matter)


def _is_needed(connection: Connection, digest: bytes) -> bool:
    """Return False where a body was removed while it was read."""
    return connection.execute(select(bodies.c.digest).where(bodies.c.digest == digest)).first() is not None


def _write_words(connection: Connection, id: int, words: Words) -> None:
    step = PART - OVERLAP
    parts = [words[start : start + PART] for start in range(0, max(len(words) - OVERLAP, 1), step)][:_MOST_PARTS]
    if connection.dialect.name == "sqlite":
        rows = [{"row": (id << _SHIFT) + part, "words": " ".join(each)} for part, each in enumerate(parts)]
        connection.execute(text("INSERT INTO text_words (rowid, words) VALUES (:row, :words)"), rows)
        return
    rows = [{"id": id, "part": part, "words": _vector(each)} for part, each in enumerate(parts)]
    adding = "INSERT INTO text_words (text_id, part, words) VALUES (:id, :part, CAST(:words AS tsvector))"
    connection.execute(text(adding), rows)


def _vector(words: Words) -> str:
    """Return words with their places as Postgres reads a tsvector; letters and digits need no escapes."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(str(place))
    return " ".join(f"'{word}':{','.join(each)}" for word, each in places.items())


def forget(connection: Connection, chosen: Any) -> int:
    """Remove texts with their words; return their number. Args: `chosen` is a condition on `texts`."""
    ids = list(connection.execute(select(texts.c.id).where(chosen)).scalars())
    for id in ids:
        if connection.dialect.name == "sqlite":
            span = {"first": id << _SHIFT, "last": (id << _SHIFT) + _MOST_PARTS - 1}
            connection.execute(text("DELETE FROM text_words WHERE rowid BETWEEN :first AND :last"), span)
        else:
            connection.execute(text("DELETE FROM text_words WHERE text_id = :id"), {"id": id})
    if ids:
        connection.execute(delete(texts).where(texts.c.id.in_(ids)))
    return len(ids)


def forget_contents(connection: Connection, digests: Sequence[bytes]) -> int:
    """Remove what was read of messages that are removed; return their number."""
    return forget(connection, texts.c.digest.in_(digests)) if digests else 0


def forget_matter(connection: Connection, kind: str, key: int) -> int:
    """Remove what was read of a mailing, request, permit or suspension."""
    return forget(connection, and_(texts.c.kind == kind, texts.c.matter_id == key))


def clear_step(connection: Connection, *, begins: bool) -> bool:
    """Take a step of making one segment of all of the index, in which no word is left that was removed (SQLite).

    Return False where nothing is left to do, as on Postgres, which has its vacuum. To build the index anew would come
    to the same, take six times as long, and keep mail waiting all of that time.

    Args: `begins` is True for the first step.
    """
    if connection.dialect.name != "sqlite":
        return False
    before = connection.execute(_CHANGES).scalar_one()
    pages = -_PAGES if begins else _PAGES
    connection.execute(text("INSERT INTO text_words (text_words, rank) VALUES ('merge', :pages)"), {"pages": pages})
    return begins or bool(connection.execute(_CHANGES).scalar_one() - before >= _SOMETHING)


_PAGES = 100  # of the index that are written in a step
_CHANGES = text("SELECT total_changes()")
_SOMETHING = 2  # changes of a step that did more than to say that it was taken


# -- finding -----------------------------------------------------------------------------------------------------


def ids_with(connection: Connection, words: Words, *, is_prefix: bool = False) -> set[int]:
    """Return the ids of texts in which these words follow each other; of the last a beginning is enough if so said."""
    if connection.dialect.name == "sqlite":
        phrase = '"' + " ".join(words) + '"' + (" *" if is_prefix else "")
        query = f"SELECT rowid >> {_SHIFT} FROM text_words WHERE text_words MATCH :phrase"
    else:
        phrase = " <-> ".join(f"'{word}'" for word in words) + (":*" if is_prefix else "")
        query = "SELECT text_id FROM text_words WHERE words @@ CAST(:phrase AS tsquery)"
    return {row[0] for row in connection.execute(text(query), {"phrase": phrase})}


def all_ids(connection: Connection) -> set[int]:
    """Return the ids of all texts."""
    return set(connection.execute(select(texts.c.id).where(texts.c.kind.not_in((MARK, FILLED)))).scalars())


def names_of_files(connection: Connection) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the names of files by text, of those that have any."""
    for id, files in connection.execute(select(texts.c.id, texts.c.files).where(texts.c.files != "")):
        yield id, tuple(files.split("\n")[1:])
