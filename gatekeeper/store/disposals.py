"""Disposals: what of kept content is to be destroyed by the schedule, a list that is frozen by its digest (C7).

The list is found beside the writer, and written a part at a time. What is destroyed is destroyed in removal.py, a slice
a transaction: after a kill it goes on with what is still listed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import field
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, Update, exists, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import DisposalState, advance
from gatekeeper.store import removal
from gatekeeper.store.db.schema import batches, disposal_items, disposals, mailings
from gatekeeper.store.due import Age, contents_due, is_over
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.preserved import begin_removal, kept
from gatekeeper.store.rows import next_number

LISTED, DESTROYED, ELSEWHERE, KEPT = "listed", "destroyed", "elsewhere", "kept"  # states of an item
CONTENT_DESTROYED = "content destroyed"  # act on a mailing's timeline
GATE = "gate"  # the login of what the gate does by itself
_OPEN = (DisposalState.LISTING, DisposalState.PROPOSED, DisposalState.SIGNED)
_OPEN_AGAIN, _GONE_ALREADY = "it is open again", "it is gone already"
_AT_ONCE = 500  # mailings that are looked at together


@immutable
class Found:
    """A message of a mailing that is due."""

    mailing: int  # key
    number: int
    body: bytes
    octets: int

    @property
    def line(self) -> bytes:
        """The item as the digest of a list takes it."""
        return f"M-{self.number} {self.body.hex()} {self.octets}\n".encode()


@immutable
class NewDisposal:
    """What a list is about: the class, what the schedule says of it, and before when things were due."""

    name: str
    schedule: str
    cite: str
    keep: str
    cutoff: float
    backups: float | None  # seconds
    automatic: bool = False


@immutable
class DisposalView:
    """A disposal as people see it."""

    key: int = field(repr=False)
    id: str
    state: DisposalState
    name: str  # of the class
    schedule: str
    cite: str
    keep: str
    cutoff: float
    backups: float | None
    automatic: bool
    items: int
    octets: int
    digest: str
    proposed_by: str
    proposed_at: float
    signed_by: str | None
    signed_at: float | None
    done_at: float | None
    certificate: str | None

    @property
    def number(self) -> int:
        """The 3 of D-3."""
        return int(self.id.removeprefix("D-"))

    @property
    def backups_until(self) -> float | None:
        """When copies in backups are gone too; None where nobody has said it, or it is not done."""
        return None if self.done_at is None or self.backups is None else self.done_at + self.backups


@immutable
class Item:
    """An item of a disposal, and what became of it."""

    mailing: str  # such as M-17
    digest: str
    octets: int
    state: str
    why: str | None  # what keeps it, such as H-2

    @property
    def reason(self) -> str | None:
        """The same without names of holds and cases: not everybody may know of them."""
        return self.why if self.why in (None, _OPEN_AGAIN, _GONE_ALREADY) else "it is preserved"


# -- the list ----------------------------------------------------------------------------------------------------


def find_due(connection: Connection, age: Age, *, passed: bool) -> list[Found]:
    """Return the messages that are due, that nothing keeps, and that no other open disposal has; in their order."""
    of_open = select(disposals.c.id).where(disposals.c.state.in_(_OPEN))
    listed = exists().where(
        disposal_items.c.mailing_id == mailings.c.id,
        disposal_items.c.state == LISTED,
        disposal_items.c.disposal_id.in_(of_open),
    )
    query = contents_due(age, passed=passed).where(~listed).order_by(mailings.c.number)
    keys = list(connection.execute(query).scalars())
    found: list[Found] = []
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        held = kept(connection, part)
        found += _messages(connection, [key for key in part if key not in held])
    return found


def _messages(connection: Connection, keys: Sequence[int]) -> Iterator[Found]:
    size = func.max(func.coalesce(batches.c.size, 0))
    query = select(batches.c.mailing_id, mailings.c.number, batches.c.body, size)
    query = query.join(mailings, mailings.c.id == batches.c.mailing_id)
    query = query.where(batches.c.mailing_id.in_(keys), batches.c.body != removal.NO_BODY)
    query = query.group_by(batches.c.mailing_id, mailings.c.number, batches.c.body)
    for key, number, body, octets in connection.execute(query.order_by(mailings.c.number, batches.c.body)):
        yield Found(key, number, bytes(body), octets)


def digest_of(found: Iterable[Found]) -> str:
    """Return the digest of a list."""
    hashed = sha256()
    for each in found:
        hashed.update(each.line)
    return hashed.hexdigest()


def begin(connection: Connection, wanted: NewDisposal, act: Act) -> int:
    """Begin a list; return its number."""
    number = next_number(connection, "disposal")
    row = {
        "number": number,
        "state": DisposalState.LISTING.value,
        "class": wanted.name,
        "schedule": wanted.schedule,
        "cite": wanted.cite,
        "keep": wanted.keep,
        "cutoff": wanted.cutoff,
        "backups": wanted.backups,
        "automatic": wanted.automatic,
        "items": 0,
        "octets": 0,
        "digest": "",
        "proposed_by": act.by,
        "proposed_at": act.at,
    }
    key: int = connection.execute(insert(disposals).values(**row).returning(disposals.c.id)).scalar_one()
    note(connection, key, "disposal begun", act)
    return number


def add_items(connection: Connection, number: int, first: int, found: Sequence[Found]) -> None:
    """Add a part of a list. Args: `first` is the position of its first item."""
    key = connection.execute(select(disposals.c.id).where(disposals.c.number == number)).scalar_one()
    rows = [
        {
            "disposal_id": key,
            "position": first + place,
            "mailing_id": each.mailing,
            "number": each.number,
            "body": each.body,
            "octets": each.octets,
            "state": LISTED,
        }
        for place, each in enumerate(found)
    ]
    connection.execute(insert(disposal_items), rows)


def propose(connection: Connection, disposal: DisposalView, digest: str, act: Act) -> None:
    """Freeze a list: it is proposed by whoever has made it; one that needs no signature is to be destroyed at once."""
    state = advance(disposal.state, "list")
    totals = select(func.count(), func.coalesce(func.sum(disposal_items.c.octets), 0))
    items, octets = connection.execute(totals.where(disposal_items.c.disposal_id == disposal.key)).one()
    if disposal.automatic:
        state = advance(state, "sign")
    values = {"state": state.value, "items": items, "octets": octets, "digest": digest}
    connection.execute(update(disposals).where(disposals.c.id == disposal.key).values(**values))
    note(connection, disposal.key, "disposal listed" if disposal.automatic else "disposal proposed", act)


def sign(connection: Connection, disposal: DisposalView, act: Act) -> None:
    """Sign a disposal: its list may be destroyed. Raises LifecycleError where it is not proposed."""
    state = advance(disposal.state, "sign")
    values = {"state": state.value, "signed_by": act.by, "signed_at": act.at}
    connection.execute(update(disposals).where(disposals.c.id == disposal.key).values(**values))
    note(connection, disposal.key, "disposal signed", act)


def withdraw(connection: Connection, disposal: DisposalView, act: Act) -> None:
    """Withdraw a disposal that nobody has signed. Raises LifecycleError where somebody has."""
    state = advance(disposal.state, "withdraw")
    values = {"state": state.value, "withdrawn_by": act.by, "withdrawn_at": act.at}
    connection.execute(update(disposals).where(disposals.c.id == disposal.key).values(**values))
    note(connection, disposal.key, "disposal withdrawn", act)


def note(connection: Connection, key: int, name: str, act: Act) -> None:
    """Write an act about a disposal on its timeline."""
    text = act.reason or None
    record(connection, Event(act.at, name, by=act.by or None, login=act.login, text=text, disposal_id=key))


# -- destroying --------------------------------------------------------------------------------------------------


def destroy_slice(connection: Connection, number: int, now: float, limit: int = 50) -> int:
    """Destroy the next messages of a signed disposal; return how many were looked at.

    What something keeps since the list was made, or what is open again, stays, and the list says why.
    """
    disposal = find_disposal(connection, number, lock=True)
    if disposal is None or disposal.state is not DisposalState.SIGNED:
        return 0
    mine = (disposal_items.c.disposal_id == disposal.key, disposal_items.c.state == LISTED)
    query = select(disposal_items.c.mailing_id, disposal_items.c.body).where(*mine)
    listed: dict[int, set[bytes]] = {}  # key of a mailing -> digests
    for key, body in connection.execute(query.order_by(disposal_items.c.position).limit(limit)):
        listed.setdefault(key, set()).add(bytes(body))
    if not listed:
        return 0
    held = _held(connection, listed)
    for key, digests in listed.items():
        if key in held:
            changed = update(disposal_items).where(*mine, disposal_items.c.mailing_id == key)
            connection.execute(changed.values(state=KEPT, why=held[key]))
        else:
            _destroy(connection, disposal, key, digests, now)
    return sum(map(len, listed.values()))


def _held(connection: Connection, keys: Collection[int]) -> dict[int, str]:
    """Return those of the mailings that stay, and why."""
    begin_removal(connection)
    held = {key: ", ".join(names) for key, names in kept(connection, keys).items()}
    over = set(connection.execute(select(mailings.c.id).where(mailings.c.id.in_(keys), is_over())).scalars())
    return held | {key: _OPEN_AGAIN for key in keys if key not in held and key not in over}


def _destroy(connection: Connection, disposal: DisposalView, key: int, digests: set[bytes], now: float) -> None:
    """Destroy listed messages of a mailing; those that came since the list was made stay.

    Of two lists that were made at once, the second finds what the first has destroyed gone already.
    """
    own = select(batches.c.body).where(batches.c.mailing_id == key, batches.c.body.in_(digests))
    there = {bytes(body) for body in connection.execute(own).scalars()}
    mine = update(disposal_items).where(
        disposal_items.c.disposal_id == disposal.key, disposal_items.c.mailing_id == key
    )
    _note_became(connection, mine, digests - there, KEPT, _GONE_ALREADY)
    if not there:
        return
    began = connection.execute(select(mailings.c.destroyed).where(mailings.c.id == key)).scalar() == disposal.number
    left = removal.destroy_content(connection, key, there, disposal.number, now)
    _note_became(connection, mine, left, ELSEWHERE)
    _note_became(connection, mine, there - left, DESTROYED)
    if not began:  # a large mailing is destroyed in several slices
        record(connection, Event(now, CONTENT_DESTROYED, mailing_id=key, text=disposal.id))


def _note_became(
    connection: Connection, items: Update, digests: Collection[bytes], state: str, why: str | None = None
) -> None:
    if digests:
        connection.execute(items.where(disposal_items.c.body.in_(digests)).values(state=state, why=why))


def finish(connection: Connection, number: int, certificate: str, now: float) -> bool:
    """Write that all of a disposal is destroyed, with the digest of its certificate; return False where it is not.

    Args: `now` is the time that the certificate has.
    """
    disposal = find_disposal(connection, number, lock=True)
    if disposal is None or disposal.state is not DisposalState.SIGNED or _is_listed(connection, disposal):
        return False
    values = {"state": advance(disposal.state, "destroy").value, "done_at": now, "certificate": certificate}
    connection.execute(update(disposals).where(disposals.c.id == disposal.key).values(**values))
    note(connection, disposal.key, "destroyed", Act(now, "", GATE))
    return True


def _is_listed(connection: Connection, disposal: DisposalView) -> bool:
    query = select(disposal_items.c.position).where(disposal_items.c.disposal_id == disposal.key)
    return connection.execute(query.where(disposal_items.c.state == LISTED).limit(1)).first() is not None


# -- reading -----------------------------------------------------------------------------------------------------


def list_disposals(connection: Connection, state: str | None = None, most: int | None = None) -> list[DisposalView]:
    """Return disposals, newest first; of one state, where named. Args: `most` that are returned; None for all."""
    query = select(disposals).order_by(disposals.c.number.desc()).limit(most)
    query = query if state is None else query.where(disposals.c.state == state)
    return [_view(row) for row in connection.execute(query).mappings()]


def find_disposal(connection: Connection, number: int, *, lock: bool = False) -> DisposalView | None:
    """Return one disposal by its number. Args: `lock` keeps others from changing it meanwhile."""
    query = select(disposals).where(disposals.c.number == number)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _view(row) if row else None


def newest_of(connection: Connection, name: str) -> float | None:
    """Return when the newest disposal of a class was made that needed no signature; None where there is none."""
    query = select(func.max(disposals.c.proposed_at)).where(disposals.c["class"] == name, disposals.c.automatic)
    newest: float | None = connection.execute(query).scalar()
    return newest


def items_of(connection: Connection, disposal: DisposalView) -> Iterator[Item]:
    """Yield the items of a disposal in their order."""
    query = select(disposal_items).where(disposal_items.c.disposal_id == disposal.key)
    for row in connection.execute(query.order_by(disposal_items.c.position)).mappings():
        yield Item(f"M-{row['number']}", bytes(row["body"]).hex(), row["octets"], row["state"], row["why"])


def count_items(connection: Connection, disposal: DisposalView) -> dict[str, int]:
    """Return how many items of a disposal are in each state."""
    query = select(disposal_items.c.state, func.count()).where(disposal_items.c.disposal_id == disposal.key)
    found = connection.execute(query.group_by(disposal_items.c.state))
    return dict.fromkeys((LISTED, DESTROYED, ELSEWHERE, KEPT), 0) | dict(map(tuple, found))


def listed_digest(connection: Connection, disposal: DisposalView) -> str:
    """Return the digest of a list as it is now."""
    table = disposal_items.c
    query = select(table.mailing_id, table.number, table.body, table.octets).where(table.disposal_id == disposal.key)
    rows = connection.execute(query.order_by(table.position))
    return digest_of(Found(key, number, bytes(body), octets) for key, number, body, octets in rows)


def _view(row: RowMapping) -> DisposalView:
    same = (
        "schedule", "cite", "keep", "cutoff", "backups", "automatic", "items", "octets", "digest", "proposed_by",
        "proposed_at", "signed_by", "signed_at", "done_at", "certificate",
    )  # fmt: skip
    return DisposalView(
        key=row["id"],
        id=f"D-{row['number']}",
        state=DisposalState(row["state"]),
        name=row["class"],
        **{name: row[name] for name in same},
    )
