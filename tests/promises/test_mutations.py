"""The random schedules see what they are there to see: each of these faults in the gate makes one of them fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest

from gatekeeper.store import active_mailing, batches, gathering, jobs, mailing_keys, mailing_match, people, unit_of_work
from tests.promises.schedule import Schedule, make
from tests.promises.test_random_schedules import office, play_all, url  # noqa: F401

decide = import_module("gatekeeper.store.decide")  # the room exports its function by that name
Mutation = Callable[[pytest.MonkeyPatch], None]
_TRIES = 40  # schedules in which a fault must show


def locks_nothing(patch):
    patch.setattr(mailing_keys.ArrivalHashes, "locks", ())


def counts_each_batch_alone(patch):
    patch.setattr(unit_of_work.UnitOfWork, "led_to", lambda unit, pending: {})


def counts_each_kind_of_key_alone(patch):
    patch.setattr(mailing_match, "_is_one", lambda chosen, other: False)


def counts_people_twice(patch):
    real = people.grow

    def grow(counts, audience, new, tallies):
        return real(counts, audience, new | _doubled(audience), tallies)

    patch.setattr(decide, "grow", grow)


def _doubled(audience):
    return {b"again": people.PersonRow(True, next(iter(audience.users.values()), None), False)}


def notes_who_is_reached_too_late(patch):
    real = active_mailing.ActiveMailing.grow
    patch.setattr(active_mailing.ActiveMailing, "grow", lambda *args, reached: real(*args, reached=False))


def forgets_who_was_reached_when_it_closes(patch):
    patch.setattr(mailing_match, "count_reached", lambda connection, mailing_id: 0)


def does_not_wait(patch):
    patch.setattr(
        decide,
        "_handling_of",
        lambda *args: decide.Handling.HOLD if args[2].action == "hold" else decide.Handling.PASS,
    )


def ends_a_gather_as_it_was_read(patch):
    real = gathering._unchanged
    patch.setattr(gathering, "_unchanged", lambda connection, found: _row(connection, found) or real(connection, found))


def _row(connection, found):
    query = gathering.select(gathering.mailings).where(gathering.mailings.c.id == found.mailing.key)
    row = connection.execute(query).mappings().first()
    return row if row and row["state"] == "gathering" else None


def leaves_what_was_gathered_when_it_holds(patch):
    for room in (mailing_match, decide):
        patch.setattr(room, "hold_gathered", lambda connection, mailing_id: None)


def seals_whatever_was_decided(patch):
    real = batches._SEALED
    patch.setattr(batches, "_SEALED", SimpleNamespace(get=lambda state: real.get(state, batches.BatchState.HELD)))


def forgets_whom_it_counted(patch):
    patch.setattr(unit_of_work, "add_people", lambda connection, added: list(added))


def passes_what_is_held(patch):
    patch.setattr(decide, "_handling_of", lambda *args: decide.Handling.PASS)


def keeps_a_resend_again(patch):
    patch.setattr(decide, "_find_repeated", lambda unit, pending: None)


def says_250_before_it_is_sealed(patch):
    async def keep(store, arrival, batch_id):
        return True

    patch.setattr("gatekeeper.store.Store.keep", keep)


def leases_to_everyone(patch):
    real = jobs.lease
    patch.setattr(jobs, "lease", lambda connection, now, seconds, limit, in_hand: real(connection, now, -1.0, limit))
    patch.setattr(jobs, "extend", lambda connection, job, until: True)
    patch.setattr(jobs, "still_ours", lambda connection, job: True)


def looks_for_its_mailing_only_once(patch):
    """What was so before: on Postgres, who had waited for a mailing that was denied meanwhile began afresh."""

    def look_up(connection, keys, since):
        found = mailing_keys.mailings_of_keys(connection, keys, since)
        ids = {row["id"] for row in found}
        locked = (
            mailing_keys.select(mailing_keys.mailings.c.id).where(mailing_keys.mailings.c.id.in_(ids)).with_for_update()
        )
        connection.execute(locked)
        return found

    patch.setattr(unit_of_work, "lock_mailings_of_keys", look_up)


ANYWHERE: list[Mutation] = [
    counts_each_batch_alone,
    counts_each_kind_of_key_alone,
    counts_people_twice,
    notes_who_is_reached_too_late,
    forgets_who_was_reached_when_it_closes,
    does_not_wait,
    ends_a_gather_as_it_was_read,
    leaves_what_was_gathered_when_it_holds,
    seals_whatever_was_decided,
    forgets_whom_it_counted,
    passes_what_is_held,
    keeps_a_resend_again,
    says_250_before_it_is_sealed,
    leases_to_everyone,
]
ON_POSTGRES: list[Mutation] = [locks_nothing, looks_for_its_mailing_only_once]


def interesting() -> Iterator[Schedule]:
    """Those in which enough happens."""
    return (schedule for seed in range(10_000) if len((schedule := make(str(seed), "small")).rounds) > 6)


@pytest.mark.soak
@pytest.mark.parametrize("mutation", [*ANYWHERE, *ON_POSTGRES], ids=lambda mutation: mutation.__name__)
async def test_a_fault_is_seen(mutation, url, tmp_path, office, monkeypatch):  # noqa: F811
    if mutation in ON_POSTGRES and url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    mutation(monkeypatch)
    chosen = interesting()
    with pytest.raises((AssertionError, TimeoutError)):
        await play_all([("small", next(chosen).seed) for _ in range(_TRIES)], url, tmp_path, office, monkeypatch)
