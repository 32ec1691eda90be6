"""Observing for a while: it begins when somebody says so, and ends by itself whatever else happens."""

from __future__ import annotations

from functools import partial

from gatekeeper.policy.mode import Mode
from gatekeeper.store import Database, Store, modes


def say(store, word, until):
    said = modes.ModeChange(100.0, word, until, "cio@example.gov", "root", "why")
    store.call(partial(modes.change, new=said))


async def test_it_ends_by_itself_though_the_database_is_away(store):
    now = [1000.0]
    mode = Mode(clock=lambda: now[0])
    say(store, "observe", 1060.0)
    assert not mode.observes
    await mode.refresh(store)
    assert mode.observes
    await mode.refresh(Store(Database("sqlite:////nowhere/gate.db", 0.1)))
    assert mode.observes, "what was said holds"
    now[0] = 1060.0
    assert not mode.observes


async def test_the_last_word_counts(store):
    mode = Mode(clock=lambda: 1000.0)
    say(store, "observe", 2000.0)
    say(store, "enforce", None)
    await mode.refresh(store)
    assert not mode.observes
    assert [said.mode for said in store.call(partial(modes.changes_since, since=0.0))] == ["observe", "enforce"]


def test_a_setting_has_no_end():
    assert Mode("observe", clock=lambda: 1e12).observes
