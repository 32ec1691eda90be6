"""A part of a list costs the same however long the list is, and a mailing the same however many it goes to.

Counted are the steps of SQLite's virtual machine, which are the same on any machine.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import event

from bench.large_ledger import APPROVER, OWNER, REQUESTER, RULES, Size, fill
from gatekeeper.ledger.service import LedgerService, Sought
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import read_ruleset
from gatekeeper.store import Database, Store
from tests.store.arrivals import NOON
from tests.store.databases import lay_out, memory
from tests.store.test_large_ledger import counted

FEW = Size(mailings=6_000, held=10, recipients=1_000, requests=100, permits=50)
MANY = replace(FEW, mailings=24_000)  # of both a list is counted up to a thousand
WIDE = replace(FEW, recipients=20_000)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """A ledger of each size, with the way to count steps on it."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    letterhead, found = Letterhead(read_ruleset(path), "gate.example.gov"), {}
    with TemporaryDirectory(dir=memory()) as folder:
        for size in (FEW, MANY, WIDE):
            store = Store(Database(lay_out(Path(folder) / f"{size.mailings}-{size.recipients}.db"), 5))
            store.open()
            store.call(lambda connection, size=size: fill(connection, size, NOON.timestamp()))
            store.database.dispose()
            found[size] = LedgerService(store, letterhead, clock=NOON.timestamp)
        yield found
        for service in found.values():
            service.store.close()


def steps(service, look):
    """How many steps a look takes, the second time: what it is about to show is stored then."""
    look(service)
    service.store.database.dispose()
    with counted(service.store) as found:
        look(service)
    return len(found)


LISTS = {
    "all": lambda by: lambda service: service.mailings(Sought(), by),
    "held": lambda by: lambda service: service.mailings(Sought(("held",)), by),
    "later": lambda by: lambda service: service.mailings(Sought(after="M-5500"), by),
    "queue": lambda by: lambda service: service.waiting(by),
}


@pytest.mark.parametrize("by", [APPROVER, REQUESTER, OWNER])
@pytest.mark.parametrize("name", LISTS)
def test_a_part_of_a_long_list_costs_what_one_of_a_short_list_does(services, name, by):
    look = LISTS[name](by)
    few, many = steps(services[FEW], look), steps(services[MANY], look)
    assert many <= 1.5 * few, (few, many)


def test_a_mailing_costs_what_it_is_made_of_and_not_whom_it_goes_to(services):
    """Its batches are read as sums: those of a hundred recipients each, twenty times as many."""
    for look in (
        lambda service: service.look(1, APPROVER),
        lambda service: service.mailings(Sought(("held",)), APPROVER),
        lambda service: service.recipients(1, APPROVER),
    ):
        few, wide = steps(services[FEW], look), steps(services[WIDE], look)
        assert wide <= 20 * few, (few, wide)
        assert wide <= 20_000 * 2, "no recipient is read but those that are shown"


def test_what_is_beside_a_mailing_is_found_by_its_time(services):
    service = services[FEW]
    mailing = service.look(3_000, APPROVER).case.mailing
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        if "mailings.agencies" in statement and "BETWEEN" in statement:
            plans.extend(row[-1] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(service.store.database.engine, "before_cursor_execute", explain)
    try:
        assert service.surroundings(mailing, APPROVER).neighbours
    finally:
        event.remove(service.store.database.engine, "before_cursor_execute", explain)
    assert any("mailings_by_mass" in plan for plan in plans), plans
