"""A machine whose wall clock is set while mail is on its way, and a world of workers that go by it.

On SQLite all workers are on one machine. On Postgres they go by the server's clock, which is what is set; the answer of
the server is replaced, for it has the clock of the machine that the tests run on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from gatekeeper.store import Store
from gatekeeper.store.db import clock
from gatekeeper.store.time_bounds import JITTER, WaitLimits, bound_stored_times, pause_after
from tests.promises.schedule import LIMIT, QUIET, RETRY
from tests.promises.world import LEASE, World
from tests.store.arrivals import NOON

HOUR = 3600.0
JUMPS = {"60 s": 60.0, "3 h": 3 * HOUR, "26 h": 26 * HOUR, "back 3 h": -3 * HOUR, "DST": HOUR, "DST ends": -HOUR}
LOCAL_TIME = 7 * HOUR  # by which a machine in Denver is behind that takes its clock for UTC

LONGEST = max(RETRY, LIMIT, LEASE, pause_after(6) * JITTER)  # seconds; the next hop here says 451 six times at most


class Machine:
    """Two clocks: one that people set, and one that nobody can; and which start of the machine it is."""

    def __init__(self, patch) -> None:
        self.wall, self.boot, self.starts, self.elapsed = NOON.timestamp(), 5_000.0, 1, 0.0
        patch.setattr(clock.time, "time", lambda: self.wall)
        patch.setattr(clock, "boot_seconds", lambda: self.boot)
        patch.setattr(clock, "boot_name", lambda: f"start {self.starts}")
        patch.setattr(clock, "server_time", lambda connection: self.wall)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds
        self.elapsed += seconds

    def starts_anew(self, wall: float) -> None:
        """The machine is started again, with its wall clock at that time."""
        self.wall, self.boot, self.starts = wall, 10.0, self.starts + 1


class ClockedWorld(World):
    """Workers that each have a clock of their own, on a machine whose wall clock is set now and then."""

    machine: Machine  # set before a world is made
    figures: Counter[str]

    def __post_init__(self) -> None:
        self.dice = Random(f"{self.schedule.seed} clocks")
        self.wrong = 0.0  # by which the wall clock has been wrong since the machine was started
        new_clock(self.office)
        super().__post_init__()

    @property
    def now(self) -> float:
        return self.office.now()

    @now.setter
    def now(self, value: float) -> None:
        if hasattr(self, "dice"):
            self.machine.passes(max(0.0, value - self.now))

    @property
    def elapsed(self) -> float:
        return self.machine.elapsed

    def clock_of(self, store: Store) -> Callable[[], float]:
        return store.now

    async def begin_round(self) -> None:
        """Set the wall clock, or start the machine again; whoever runs tells the time that it goes by."""
        self.office.call(self.office.database.clock.tell)
        chance = self.dice.random()
        if chance < 0.2:
            name, seconds = self.dice.choice(list(JUMPS.items()))
            self._set(seconds)
            self.figures[name] += 1
        elif chance < 0.25 and not self.wrong and not self.schedule.calm:
            await self._start_anew()
        elif self.wrong and chance > 0.7:
            self._set(self.wrong)  # the time is fetched from the network
            self.wrong = 0.0

    def _set(self, seconds: float) -> None:
        """Set the wall clock; who runs says within 15 seconds which time it goes by."""
        self.machine.wall += seconds
        self.machine.passes(0 if self.schedule.calm else 15)  # all of a calm one comes within `quiet`
        self.office.call(self.office.database.clock.tell)

    def idle(self, seconds: float) -> None:
        """As it is said there; whoever runs asks the server for the time now and then."""
        super().idle(seconds)
        self.machine.passes(seconds)
        for store in (self.office, *(worker.store for worker in self.workers if worker.alive)):
            store.writer.read(lambda connection: None)

    def check_wait(self, seconds: float) -> None:
        """Nothing waits longer than it would if nobody had set a clock: a gather, a lease, the client's next try."""
        assert seconds <= LONGEST, f"what is next is {seconds:.0f} s ahead"

    async def _start_anew(self) -> None:
        """The machine is started with its clock in local time, as if that were UTC.

        But for that the time is the one that the gate went by: where all processes are gone, nobody knows another.
        """
        self.wrong = LOCAL_TIME
        self.machine.starts_anew(self.office.now() - LOCAL_TIME)
        for worker in self.workers:
            worker.kill()
        new_clock(self.office)
        limits = WaitLimits(LEASE, QUIET)
        self.office.call(partial(bound_stored_times, now=self.office.now(), limits=limits))
        await self.replace_the_dead()
        self.figures["RTC in local time"] += 1


def new_clock(store: Store) -> None:
    """Let a store go by a clock of a new process."""
    store.database.clock = clock.Clock(shared=not store.database.is_sqlite)
    store.writer.read(store.database.clock.adopt)
