"""The wall clock is set while mail is on its way: nothing is due earlier, later or twice for it."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from gatekeeper.store import Database, Store, jobs
from gatekeeper.store.active_mailing import new_row
from gatekeeper.store.db import clock
from gatekeeper.store.db import schema as tables
from gatekeeper.store.db.clock import Clock
from gatekeeper.store.time_bounds import WaitLimits, bound_stored_times

HOUR = 3600.0
LENGTHS = WaitLimits(lease=20.0, quiet=20.0)


class Machine:
    """A machine's two clocks: one that people set, and one that nobody can."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.boot = 1_700_000_000.0, 5_000.0
        monkeypatch.setattr(clock.time, "time", lambda: self.wall)
        monkeypatch.setattr(clock, "boot_seconds", lambda: self.boot)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


@given(st.lists(st.tuples(st.floats(0.0, 900.0), st.floats(-30 * HOUR, 30 * HOUR)), max_size=40))
def test_time_goes_on_at_nearly_its_own_pace_however_the_wall_clock_is_set(steps):
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch)
        one = Clock(shared=False)
        first = before = one.now()
        elapsed = 0.0
        for seconds, jump in steps:
            machine.wall += jump
            machine.passes(seconds)
            now, elapsed = one.now(), elapsed + seconds
            assert now >= before, "time never goes back"
            assert abs(now - first - elapsed) <= elapsed / 10 + 1e-3
            before = now


def test_it_draws_near_to_the_wall_clock_by_a_second_in_ten(machine):
    one = Clock(shared=False)
    one.now()
    machine.wall += 60
    machine.passes(100)
    assert one.now() == pytest.approx(machine.wall - 50)
    machine.passes(500)
    assert one.now() == pytest.approx(machine.wall)


def test_a_machine_that_slept_has_not_lost_the_time(machine):
    one = Clock(shared=False)
    one.now()
    machine.passes(8 * HOUR)
    assert one.now() == pytest.approx(machine.wall)


def opened(path) -> Store:
    store = Store(Database(f"sqlite:///{path}/gate.db", 5))
    store.open(writing=False)
    return store


def test_a_command_goes_by_the_time_of_the_gate_that_runs(machine, tmp_path):
    gate = opened(tmp_path)
    gate.now()
    gate.call(gate.database.clock.tell)
    machine.wall += 3 * HOUR  # the clock was in local time at the start, and is right now
    command = opened(tmp_path)
    assert command.now() == pytest.approx(gate.now()) == pytest.approx(machine.wall - 3 * HOUR)
    machine.passes(61)
    assert opened(tmp_path).now() == pytest.approx(machine.wall), "that gate has said nothing for a minute"


def test_after_the_machine_was_started_anew_the_wall_clock_is_taken(machine, tmp_path, monkeypatch):
    gate = opened(tmp_path)
    machine.wall += HOUR
    gate.call(gate.database.clock.tell)
    monkeypatch.setattr(clock, "boot_name", lambda: "another start")
    assert opened(tmp_path).now() == pytest.approx(machine.wall)


def test_the_servers_clock_is_what_nodes_go_by_and_its_jumps_are_drawn_out(machine, laid_out_url):
    store = Store(Database(laid_out_url, 5))
    store.open(writing=False)
    first = store.now()
    assert first != pytest.approx(machine.wall, abs=1000), "the server has the real time, this machine has not"
    store.database.clock._wall += HOUR
    machine.passes(10)
    assert store.now() == pytest.approx(first + 11, abs=0.1)
    store.close()


def node(url) -> Store:
    store = Store(Database(url, 5))
    store.open(writing=False)
    return store


def test_a_node_that_starts_after_the_servers_clock_was_set_goes_by_the_time_of_the_others(
    machine, laid_out_url, monkeypatch
):
    """Else a mailing that is cut over both would be two, 26 hours apart."""
    monkeypatch.setattr(clock, "server_time", lambda connection: machine.wall)
    running = node(laid_out_url)
    for seconds in (26 * HOUR, -29 * HOUR):
        machine.wall += seconds
        machine.passes(15)
        running.call(running.database.clock.tell)
        starting = node(laid_out_url)
        assert starting.now() == pytest.approx(running.now(), abs=2) != pytest.approx(machine.wall, abs=HOUR)
        starting.close()
    machine.passes(61)
    late = node(laid_out_url)
    assert late.now() == pytest.approx(machine.wall), "of those that ran nobody has said anything for a minute"
    late.close()
    running.close()


# -- leases, gathers, retries ----------------------------------------------------------------------------------------


def queued(store, now: float, **changes: float) -> None:
    store.call(partial(jobs.enqueue, job=jobs.NewJob(jobs.NOTICE, now, recipient="a@example.gov", content=b"x")))
    if changes:
        store.call(lambda connection: connection.execute(update(tables.jobs).values(**changes)))


def leased_at(store, now: float) -> int:
    return len(store.call(partial(jobs.lease, now=now, seconds=LENGTHS.lease, limit=10)))


def bound(store, now: float) -> int:
    return store.call(partial(bound_stored_times, now=now, limits=LENGTHS))


def test_what_a_dead_process_leased_while_its_clock_was_hours_ahead_is_waited_for_as_long_as_a_lease(store):
    now = 1_796_000_000.0
    queued(store, now, lease_until=now + 3 * HOUR + LENGTHS.lease)
    assert bound(store, now) == 1
    assert leased_at(store, now + LENGTHS.lease - 1) == 0, "whoever lives renews it in that time"
    assert leased_at(store, now + LENGTHS.lease) == 1
    assert bound(store, now + LENGTHS.lease) == 0


def test_what_was_queued_by_a_clock_that_was_hours_ahead_goes_at_once(store):
    now = 1_796_000_000.0
    queued(store, now + 3 * HOUR)
    assert leased_at(store, now) == 0
    assert bound(store, now) == 1 and leased_at(store, now) == 1


@pytest.mark.parametrize(
    ("attempts", "ahead", "bounded"), [(0, 30, 0), (12, 1800 * 1.2, 0), (3, 1800, 1), (12, 3000, 1)]
)
def test_a_pause_that_a_job_may_have_is_left_to_it(store, attempts, ahead, bounded):
    now = 1_796_000_000.0
    queued(store, now, attempts=attempts, due_at=now + ahead)
    assert bound(store, now) == bounded


def test_a_gather_that_began_hours_ahead_ends_when_it_has_been_quiet(store):
    now = 1_796_000_000.0
    ahead = now + 3 * HOUR
    row = {
        **new_row(b"source", now),
        "state": "gathering",
        "gather_until": ahead + 20,
        "gather_since": ahead,
        "gather_leased": ahead,
    }
    store.call(lambda connection: connection.execute(insert(tables.mailings).values(**row)))
    assert bound(store, now) == 2
    found = store.call(lambda connection: connection.execute(select(tables.mailings)).mappings().one())
    assert (found["gather_until"], found["gather_since"]) == (now + LENGTHS.quiet, now)
    assert found["gather_leased"] == now + LENGTHS.lease
