"""Tokens of released mail: each is good once for a recipient, and only with the sender and content of its batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import delete

from gatekeeper.store import release_tokens
from gatekeeper.store.db.schema import batch_recipients
from tests.store.arrivals import arrival, limit, people

EVERYONE = people(240)
HEAD, DIGEST = "head@doa.example.gov", "c0ffee"


def issue(store, token, batch_id, positions):
    given = release_tokens.IssuedToken(token, batch_id, positions)
    store.call(partial(release_tokens.issue, secret=store.secret, given=given, now=0.0))


@pytest.fixture
async def redeem(store):
    """Use a token up, for a batch of which the first 120 have one."""
    outcome = await store.decide(arrival(EVERYONE), limit(200))
    issue(store, "first", outcome.batch, range(120))
    issue(store, "second", outcome.batch, range(120, 130))

    def redeem(recipients, token="first", sender=HEAD, digest=DIGEST):
        return store.call(
            partial(
                release_tokens.redeem,
                secret=store.secret,
                token=token,
                mail=release_tokens.ReturnedMail(sender, digest, tuple(recipients)),
            )
        )

    return redeem


async def test_a_token_is_good_once(redeem):
    assert redeem(EVERYONE[:120]) == "M-1"
    assert redeem(EVERYONE[:120]) is None
    assert redeem(EVERYONE[:1]) is None


async def test_a_mail_server_may_cut_the_message_up(redeem):
    for start in range(0, 120, 5):
        assert redeem(EVERYONE[start : start + 5]) == "M-1"
    assert redeem(EVERYONE[:5]) is None
    assert redeem(EVERYONE[120:130], "second") == "M-1"


@pytest.mark.parametrize(
    "otherwise",
    [
        {"token": "other"},
        {"token": ""},
        {"sender": "deputy@doa.example.gov"},
        {"digest": "decaf"},
        {"recipients": [*EVERYONE[:10], "stranger@example.org"]},
        {"recipients": EVERYONE[119:121]},
        {"recipients": []},
    ],
    ids=["another token", "no token", "sender", "content", "one more recipient", "another's token", "nobody"],
)
async def test_it_is_good_for_nothing_else_and_trying_does_not_use_it_up(redeem, otherwise):
    assert redeem(**{"recipients": EVERYONE[:10]} | otherwise) is None
    assert redeem([address.upper() for address in EVERYONE[:10]]) == "M-1"


async def test_a_new_token_ends_the_old_one(store, redeem):
    issue(store, "third", 1, range(10))
    assert redeem(EVERYONE[:10]) is None
    assert redeem(EVERYONE[:10], "third") == "M-1"
    assert redeem(EVERYONE[10:20]) == "M-1"


async def test_it_outlives_the_addresses_of_its_batch_and_not_its_own_time(store, redeem):
    store.call(lambda connection: connection.execute(delete(batch_recipients)))
    assert redeem(EVERYONE[:10]) == "M-1"
    store.call(partial(release_tokens.forget_tokens, before=1.0))
    assert redeem(EVERYONE[10:20]) is None


async def test_mail_that_says_it_was_released_is_never_taken_for_a_resend(store):
    """It would be answered 250 and go nowhere, were its token used up by a mail server that then failed."""
    one = arrival(EVERYONE)
    first = await store.decide(one, limit(200))
    assert (await store.decide(one, limit(200))).repeated
    back = await store.decide(replace(one, returning=True), limit(200))
    assert not back.repeated and back.batch != first.batch
