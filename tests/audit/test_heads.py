"""The head of the chain of acts is in the log after each act: who changes the database cannot change that."""

from __future__ import annotations

import logging
from functools import partial

from gatekeeper.audit.heads import ActHeads
from gatekeeper.store import audit_chain, audit_verify


async def test_each_head_is_logged_once_and_at_the_start_the_newest(store, caplog):
    heads = ActHeads(store)
    acts = [partial(audit_chain.note, act={"at": 1.0, "act": name}) for name in "abcd"]
    store.call(acts[0])
    store.call(acts[1])
    with caplog.at_level(logging.INFO, "gatekeeper.audit"):
        await heads.tell()
        for act in acts[2:]:
            store.call(act)
        await heads.tell()
        await heads.tell()
    told = [record.getMessage() for record in caplog.records]
    assert [words.split(", ")[0] for words in told] == [f"audit chain 1: {number} records" for number in (2, 3, 4)]
    (acts_now,), _ = store.call(audit_verify.verify)
    assert told[-1].endswith(acts_now.head.hex())
    at = store.call(partial(audit_chain.head_at, chain=1, number=3))
    assert told[1].endswith(at.hex())


async def test_merged_blocks_are_not_told_again(store, caplog):
    """What was logged up to a record is not logged again where its block has become part of another."""
    heads = ActHeads(store)
    await heads.tell()
    for number in range(3):
        store.call(partial(audit_chain.note, act={"at": 1.0, "act": str(number)}))
    caplog.clear()
    with caplog.at_level(logging.INFO, "gatekeeper.audit"):
        await heads.tell()
        await heads.tell()
    assert len(caplog.records) == 3
