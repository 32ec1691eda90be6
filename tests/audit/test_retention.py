"""Recorded decisions are merged, and removed when the rules no longer keep them, which is recorded (policy C7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial

import pytest

from gatekeeper.audit.retention import Retention
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.store import audit_chain
from tests.peers.gate import RULES
from tests.store.test_audit_chain import acts, lines, problems, write


@pytest.fixture
def retention(store, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES + "audit: {keep: 30d}\n")
    return Retention(ActivePolicy(tmp_path / "rules.yaml"), store)


def listed(store):
    return [block for block in store.call(partial(audit_chain.blocks_between, since=0, until=1e12)) if block.chain > 1]


async def test_small_groups_become_one(store, retention):
    chain = store.call(partial(audit_chain.begin, name="worker-1", now=store.now() - 900))
    write(store, chain, *(lines(2, 2 * number) for number in range(20)), at=store.now() - 900)
    await retention.tidy()
    assert [block.records for block in listed(store)] == [40] and problems(store) == {}


async def test_what_is_too_old_is_removed_and_that_is_recorded(store, retention):
    old = store.now() - 40 * 86_400
    chain = store.call(partial(audit_chain.begin, name="worker-1", now=old))
    end = write(store, chain, lines(3), lines(2, 3), at=old)
    write(store, end, lines(1, 5), at=store.now())
    await retention.tidy()
    (left,), (*_, line) = listed(store), acts(store)
    assert (left.first, left.records, problems(store)) == (6, 1, {})
    assert (json.loads(line)["act"], json.loads(line)["records"]) == ("aged out", 5), "what people do is kept for ever"


async def test_months_are_those_of_the_organisation(store, tmp_path):
    """At three in the morning of 1 March in UTC it is still February in Denver: a month ago is 28 January there."""
    rules = RULES.replace("timezone: UTC", "timezone: America/Denver")
    rules += "records: {classes: {decisions: {keep: 1 month, cite: GS7-12}}}\n"
    (tmp_path / "rules.yaml").write_text(rules)
    store.now = datetime(2027, 3, 1, 3, tzinfo=UTC).timestamp
    old = datetime(2027, 1, 30, tzinfo=UTC).timestamp()
    chain = store.call(partial(audit_chain.begin, name="worker-1", now=old))
    write(store, chain, lines(3), at=old)
    await Retention(ActivePolicy(tmp_path / "rules.yaml"), store).tidy()
    assert [block.records for block in listed(store)] == [3]
