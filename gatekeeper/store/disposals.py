"""Disposals: what is to be destroyed by the schedule, a list that is frozen by its digest (C7).

The list is found beside the writer (due_lists.py), and written a part at a time; destroying.py destroys what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import DisposalState, advance
from gatekeeper.store.acts import name_of
from gatekeeper.store.db.schema import disposal_items, disposals
from gatekeeper.store.events import GATE, Act, Event, record
from gatekeeper.store.rows import next_number

LISTED, DESTROYED, ELSEWHERE, KEPT = "listed", "destroyed", "elsewhere", "kept"  # states of an item
CONTENT, ACTS = "content", "acts"  # kinds of items; the others are matters of the ledger
OPEN = (DisposalState.LISTING, DisposalState.PROPOSED, DisposalState.SIGNED)
OPEN_AGAIN, GONE_ALREADY, CHANGED = "it is open again", "it is gone already", "it has changed since"
OF_CONTENT = ("held", "mass")  # classes whose items are messages


@immutable
class Found:
    """What is due: a message of a mailing, a matter of the ledger, or a block of acts."""

    key: int  # of the mailing or other matter; of acts, the number of the last
    number: int  # of acts, the number of the first
    digest: bytes
    octets: int
    kind: str = CONTENT

    @property
    def name(self) -> str:
        """What people call it, such as M-17."""
        if self.kind == ACTS:
            return f"acts {self.number} to {self.key}"
        return name_of("mailing" if self.kind == CONTENT else self.kind, self.number)

    @property
    def line(self) -> bytes:
        """The item as the digest of a list takes it."""
        return f"{self.name} {self.digest.hex()} {self.octets}\n".encode()


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
    disposed: int | None = None  # the number of the disposal by which its list was destroyed

    @property
    def number(self) -> int:
        """The 3 of D-3."""
        return int(self.id.removeprefix("D-"))

    @property
    def is_of_content(self) -> bool:
        """Return True for a list of messages."""
        return self.name in OF_CONTENT

    @property
    def backups_until(self) -> float | None:
        """When copies in backups are gone too; None where nobody has said it, or it is not done."""
        return None if self.done_at is None or self.backups is None else self.done_at + self.backups


@immutable
class Item:
    """An item of a disposal, and what became of it."""

    name: str  # such as M-17
    digest: str
    octets: int
    state: str
    why: str | None  # what keeps it, such as H-2; of acts, how many of them are destroyed
    kind: str = CONTENT

    @property
    def reason(self) -> str | None:
        """The same without names of holds and cases: not everybody may know of them."""
        said = self.why in (None, OPEN_AGAIN, GONE_ALREADY, CHANGED) or self.state != KEPT
        return self.why if said else "it is preserved"


# -- the list ----------------------------------------------------------------------------------------------------


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
            "kind": each.kind,
            "mailing_id": each.key,
            "number": each.number,
            "body": each.digest,
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


# -- its end ----------------------------------------------------------------------------------------------------


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


def list_destroyed(connection: Connection) -> list[DisposalView]:
    """Return the disposals that are done, newest first, with as many items as were destroyed: what was kept is none."""
    query = select(disposal_items.c.disposal_id, func.count()).where(disposal_items.c.state == KEPT)
    left = {key: number for key, number in connection.execute(query.group_by(disposal_items.c.disposal_id))}  # noqa: C416
    done = list_disposals(connection, DisposalState.DONE)
    return [replace(each, items=each.items - left.get(each.key, 0)) for each in done]


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
        found = found_of(row)
        yield Item(found.name, found.digest.hex(), found.octets, row["state"], row["why"], found.kind)


def found_of(row: RowMapping) -> Found:
    """Return an item of a list as it was found."""
    return Found(row["mailing_id"], row["number"], bytes(row["body"]), row["octets"], row["kind"])


def count_items(connection: Connection, disposal: DisposalView) -> dict[str, int]:
    """Return how many items of a disposal are in each state."""
    query = select(disposal_items.c.state, func.count()).where(disposal_items.c.disposal_id == disposal.key)
    found = connection.execute(query.group_by(disposal_items.c.state))
    return dict.fromkeys((LISTED, DESTROYED, ELSEWHERE, KEPT), 0) | dict(map(tuple, found))


def listed_digest(connection: Connection, disposal: DisposalView) -> str:
    """Return the digest of a list as it is now."""
    query = select(disposal_items).where(disposal_items.c.disposal_id == disposal.key)
    rows = connection.execute(query.order_by(disposal_items.c.position)).mappings()
    return digest_of(map(found_of, rows))


def _view(row: RowMapping) -> DisposalView:
    same = (
        "schedule", "cite", "keep", "cutoff", "backups", "automatic", "items", "octets", "digest", "proposed_by",
        "proposed_at", "signed_by", "signed_at", "done_at", "certificate", "disposed",
    )  # fmt: skip
    return DisposalView(
        key=row["id"],
        id=f"D-{row['number']}",
        state=DisposalState(row["state"]),
        name=row["class"],
        **{name: row[name] for name in same},
    )
