"""Ordinary mail, decided together: all that waits at the writer, in half a dozen statements.

Nine messages of ten are of mailings that nobody asks about: never kept, no mass mail, no permit, no two mailings that
turn out to be one. What `decide` would read and write for them one by one is read at once, followed in memory in the
order of arrival, and written at once. Whatever turns out to be anything else is left to `decide`, which comes after,
and so is what follows it in the same mailing: the small rest of cut-up mail must not overtake it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import KEPT_BATCHES, MailingState
from gatekeeper.model import Action, Counts, Outcome, Standing, Verdict
from gatekeeper.store.arrival import Arrival, Judge
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.db.statements import BulkInsert, Row, SelectAmong, driver_rows
from gatekeeper.store.mailing_match import KINDS, ArrivalHashes, lock_mailings_of_keys, new_row, point_keys
from gatekeeper.store.people import PersonRow, add_everyone, find_new, grow, hash_people
from gatekeeper.store.rows import counts_of, grow_mailings, grown_row
from gatekeeper.store.standing import depends_on_ledger

_MOST = 200  # people of a batch; more are mass mail by most rules, and would be looked at twice


@immutable
class PendingDecision:
    """One transaction that waits to be decided."""

    arrival: Arrival
    hashes: ArrivalHashes
    judge: Judge

    @property
    def may_be_ordinary(self) -> bool:
        """False where it is certain from the transaction alone that more must be read, or that it will be kept."""
        arrival, audience = self.arrival, self.arrival.audience
        opens = arrival.gathering is not None and arrival.gathering.opens
        tallied = audience.unlisted is not None or audience.unconsented is not None or bool(audience.watched)
        few = len(audience.users) + len(audience.externals) <= _MOST
        return few and not (opens or tallied or arrival.returning or arrival.answers)

    @property
    def names(self) -> set[Hash]:
        """What it has in common with others of its mailing, and with a resend of it."""
        return {self.hashes.identity, *(key for key, _ in self.hashes.keys)}


@dataclass(slots=True)
class _Passed:
    """What was found of a case that passes, for when its mailing has an id."""

    place: int
    verdict: Verdict
    counts: Counts
    mailing: Row


@dataclass(slots=True)
class _Sweep:
    """The mailings that the cases lead to, and what is to be written of them."""

    connection: Connection
    secret: bytes
    kept: set[Hash] = field(default_factory=set)  # identities of batches that are kept
    leads: dict[Hash, Row] = field(default_factory=dict)  # key -> a mailing that takes in batches
    opened: list[Row] = field(default_factory=list)
    grown: dict[int, Row] = field(default_factory=dict)
    keys: dict[Hash, tuple[Row, str]] = field(default_factory=dict)  # that are to lead to a mailing
    added: dict[int, tuple[Row, dict[Hash, PersonRow]]] = field(default_factory=dict)  # by the identity of the row
    left: set[Hash] = field(default_factory=set)  # names of what is left to `decide`
    left_rows: set[int] = field(default_factory=set)  # and its mailings, by the identity of their rows

    def decide_in_turn(self, place: int, case: PendingDecision) -> _Passed | Outcome | None:
        """An Outcome for what is refused, None for what is not ordinary or comes after such of its mailing."""
        found = self._decide(place, case) if case.may_be_ordinary and not self._follows(case) else None
        if found is None:
            self.left |= case.names
            self.left_rows.update(id(self.leads[name]) for name in case.names if name in self.leads)
        return found

    def _follows(self, case: PendingDecision) -> bool:
        """Whether something of its mailing was left before it, or itself, sent twice."""
        return bool(self.left) and (
            not self.left.isdisjoint(case.names)
            or any(id(self.leads[key]) in self.left_rows for key, _ in case.hashes.keys if key in self.leads)
        )

    def _decide(self, place: int, case: PendingDecision) -> _Passed | Outcome | None:
        """An Outcome for what is refused, None for what is not ordinary."""
        mailing, kind = self._find(case)
        if case.hashes.identity in self.kept or (mailing is not None and not _is_ordinary(mailing)):
            return None
        people = hash_people(self.secret, case.arrival.audience)
        if mailing is None:
            new, counts = people, Counts.of(case.arrival.audience)
        else:
            new = self._find_new(mailing, people)
            counts = grow(counts_of(mailing), case.arrival.audience, new, mailing["tallies"])
        verdict = case.judge(counts, Standing(state=MailingState.OPEN.value))
        if depends_on_ledger(verdict) or verdict.permits:
            return None
        if verdict.action in (Action.REJECT, Action.DEFER):
            return Outcome(verdict, counts)
        mailing = mailing if mailing is not None else self._open(case)
        self._note(case, mailing, new, counts, kind)
        return _Passed(place, verdict, counts, mailing)

    def _find(self, case: PendingDecision) -> tuple[Row | None, str | None]:
        """The one mailing that the case's keys lead to, and the kind that tells most; of several one that is none."""
        since = (case.arrival.now - case.arrival.within).timestamp()
        found = [
            (self.leads[key], kind)
            for key, kind in case.hashes.keys
            if key in self.leads and self.leads[key]["started_at"] > since
        ]
        if not found:
            return None, None
        first = found[0][0]
        if any(row is not first for row, _ in found):
            return {"state": None}, None
        return first, min((kind for _, kind in found), key=KINDS.index)

    def _find_new(self, mailing: Row, people: dict[Hash, PersonRow]) -> dict[Hash, PersonRow]:
        _, added = self.added.get(id(mailing), (mailing, {}))
        unseen = {hash_: person for hash_, person in people.items() if hash_ not in added} if added else people
        return find_new(self.connection, mailing, unseen) if mailing["id"] is not None else unseen

    def _open(self, case: PendingDecision) -> Row:
        mailing = new_row(case.hashes.source, case.arrival.now.timestamp()) | {"id": None, "number": None}
        self.opened.append(mailing)
        return mailing

    def _note(
        self, case: PendingDecision, mailing: Row, new: dict[Hash, PersonRow], counts: Counts, kind: str | None
    ) -> None:
        now = case.arrival.now.timestamp()
        mailing |= grown_row(mailing, counts, now, relayed=len(new), joined_by=kind)
        if mailing["id"] is not None:
            self.grown[mailing["id"]] = mailing
        self.added.setdefault(id(mailing), (mailing, {}))[1].update(new)
        for key, kind_ in case.hashes.keys:
            if self.leads.get(key) is not mailing:
                self.leads[key] = mailing
                self.keys[key] = mailing, kind_

    def write(self) -> None:
        """Write what was followed in memory; from here on the mailings have ids."""
        for mailing, mailing_id in zip(self.opened, _reserve(self.connection, len(self.opened)), strict=True):
            mailing["id"] = mailing_id
        _OPEN.run(self.connection, [tuple(map(mailing.__getitem__, _COLUMNS)) for mailing in self.opened])
        grow_mailings(self.connection, self.grown.values())
        point_keys(self.connection, ((key, row["id"], kind) for key, (row, kind) in self.keys.items()))
        add_everyone(self.connection, {mailing["id"]: new for mailing, new in self.added.values()})


def decide_together(
    connection: Connection, secret: bytes, cases: Sequence[PendingDecision]
) -> list[Outcome | Exception | None]:
    """Decide those that are ordinary: for each its Outcome, or what its judge raised; None is left to `decide`.

    Raises DBAPIError; what was written is to be taken back then.
    """
    results: list[Outcome | Exception | None] = [None] * len(cases)
    if not any(case.may_be_ordinary for case in cases):
        return results
    sweep = _Sweep(connection, secret, *_read(connection, cases))
    passed: list[_Passed] = []
    for place, case in enumerate(cases):
        found: _Passed | Outcome | Exception | None
        try:
            found = sweep.decide_in_turn(place, case)
        except SQLAlchemyError:
            raise  # the database's fault is everyone's
        except Exception as error:
            found = error
        if isinstance(found, _Passed):
            passed.append(found)
        else:
            results[place] = found
    sweep.write()
    for each in passed:
        results[each.place] = Outcome(each.verdict, each.counts, key=each.mailing["id"])
    return results


def _is_ordinary(mailing: Row) -> bool:
    return mailing["state"] == MailingState.OPEN and mailing["number"] is None and not mailing["mass"]


def _read(connection: Connection, cases: Sequence[PendingDecision]) -> tuple[set[Hash], dict[Hash, Row]]:
    """What is kept of these already, and the mailings that their keys lead to, each as one row however many do."""
    identities = [case.hashes.identity for case in cases]
    kept = {bytes(row["identity"]) for row in _KEPT.rows(connection, identities) if row["state"] in KEPT_BATCHES}
    keys = list({key: None for case in cases for key, _ in case.hashes.keys})
    since = min((case.arrival.now - case.arrival.within).timestamp() for case in cases)
    rows: dict[int, Row] = {}
    leads = {
        bytes(row["key"]): rows.setdefault(row["id"], row) for row in lock_mailings_of_keys(connection, keys, since)
    }
    return kept, leads


def _reserve(connection: Connection, number: int) -> Iterable[int]:
    """That many ids of mailings that nobody else gets."""
    if not number:
        return ()
    if connection.dialect.name == "sqlite":  # of which we are the only writer until we commit
        last = driver_rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = ?", (mailings.name,))
        first = last[0][0] + 1 if last else 1
        return range(first, first + number)
    taking = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
    return [row[0] for row in driver_rows(connection, taking, (mailings.name, number))]


_COLUMNS = ("id", *new_row(b"", 0.0))
_OPEN = BulkInsert(lambda _: insert(mailings), _COLUMNS)
_KEPT = SelectAmong(batches.c.identity, lambda among: select(batches.c.identity, batches.c.state).where(among))
