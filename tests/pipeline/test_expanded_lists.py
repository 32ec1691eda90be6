"""A mailing whose members come in the place of their list is one to the list, and counts exactly whom it reaches."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.store import views
from tests.background.test_gathering import Gate
from tests.pipeline.test_pipeline import NextHop
from tests.store.arrivals import people

ALL = people(60)
OTHERS = people(60, start=100)
NEWS = "news@doa.example.gov"
_numbers = count(1)
RULES = f"""\
version: 1
agencies:
  DOA: {{name: Administration, domains: [doa.example.gov]}}
  DPHHS: {{name: Health, domains: [dphhs.example.gov]}}
domains: [example.gov]
lists: {{all@example.gov: {{file: all.txt, senders: [{NEWS}]}}}}
mailing: {{source: sender, within: 24h, gather: off}}
mass: {{people: {{over: 10}}}}
rules:
  - {{id: approval, when: {{users: {{over: 20}}}}, unless: {{designated: true}}, then: hold, say: Ask first.}}
"""


def part(to, *, orcpt=True, shown="all@example.gov", author=NEWS, number=1):
    """One transaction of a mailing, as a service hands it over that has expanded the list."""
    content = (
        f"From: {author}\r\nTo: {shown}\r\nSubject: News {number}\r\nMessage-ID: <{number}@x>\r\n\r\nHello\r\n".encode()
    )
    original = ("ORCPT=rfc822;all@example.gov",) if orcpt else ()
    recipients = tuple(Recipient(each, original) for each in to)
    client = Client("192.0.2.1")
    return Transaction("smtp", client, author, recipients, content, login=author, authenticated=True)


@pytest.fixture
def pipeline(store, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    (tmp_path / "all.txt").write_text("\n".join(ALL))
    return Pipeline(Judging(path, "enforce", 0, "", "gate.example.gov"), ActivePolicy(path), store)


async def send(pipeline, *parts):
    hop = NextHop()
    return ["held" if "Held" in (await pipeline.receive(each, hop)).text else "passed" for each in parts]


@pytest.mark.parametrize(
    ("orcpt", "shown"), [(True, "all@example.gov"), (True, "undisclosed:;"), (False, "All <all@example.gov>")]
)
async def test_a_designated_sender_of_a_list_that_was_expanded(pipeline, orcpt, shown):
    cut = [part(ALL[start : start + 13], orcpt=orcpt, shown=shown) for start in range(0, 60, 13)]
    assert set(await send(pipeline, *cut)) == {"passed"}
    assert set(await send(pipeline, part([NEWS], orcpt=False, shown=shown))) == {"passed"}, "a copy to oneself"


async def test_who_is_not_designated_is_counted_as_ever(pipeline, store):
    assert await send(pipeline, part(ALL, author="jo@doa.example.gov")) == ["held"]
    (mailing,) = await store.read(views.list_mailings)
    assert (mailing.counts.users, mailing.counts.external, mailing.counts.lists) == (60, 0, {"all@example.gov"})


async def test_a_to_that_names_a_list_with_others_in_the_envelope_is_no_list(pipeline):
    assert await send(pipeline, part([*ALL[:20], *OTHERS[:5]], orcpt=False)) == ["held"]


async def test_others_who_came_before_the_members_count_with_them(pipeline):
    before, after = part(OTHERS[:15], orcpt=False, shown="x@example.org"), part(ALL)
    assert await send(pipeline, before, after) == ["passed", "held"]


async def test_one_stranger_a_part_is_no_copy_to_oneself(pipeline):
    parts = [part([*ALL[start : start + 5], OTHERS[start]]) for start in range(0, 60, 5)]
    answers = await send(pipeline, *parts)
    assert answers[:3] == ["passed"] * 3 and set(answers[4:]) == {"held"}


@pytest.mark.parametrize("strangers", [0, 5])
async def test_what_is_gathered_is_judged_as_a_whole(pipeline, store, tmp_path, strangers):
    """The parts wait for each other; a stranger among the later ones holds all of them."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace("gather: off", "gather: {from: 5, quiet: 20s}"))
    gate = Gate(store, path)
    parts = [part(ALL[start : start + 13]) for start in range(0, 60, 13)]
    parts += [part([NEWS], orcpt=False), *([part(OTHERS[:strangers], orcpt=False)] if strangers else [])]
    await send(gate.pipeline, *parts)
    await gate.pass_time(30)
    mailing = gate.mailing()
    assert (mailing.state, mailing.counts.users) == (("held", 66) if strangers else ("open", 61))
    assert gate.queued().count("release") == (0 if strangers else len(parts))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(ALL), min_size=6, max_size=12) | st.sets(st.sampled_from(ALL), max_size=6),
            st.sets(st.sampled_from(OTHERS), max_size=1) | st.sets(st.sampled_from(OTHERS), max_size=9),
            st.booleans(),
            st.sampled_from(["all@example.gov", "x@example.org", NEWS, "all@example.gov, x@example.org"]),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_nobody_gets_around_the_count(pipeline, cut):
    """However a designated sender cuts it, and whatever its parts say: strangers get it only within the limit."""
    number = next(_numbers)  # a mailing of its own
    parts = [
        part(sorted(to | others), orcpt=orcpt, shown=shown, number=number)
        for to, others, orcpt, shown in cut
        if to | others
    ]
    answers = asyncio.run(send(pipeline, *parts))
    sent = [one for one, answer in zip(parts, answers, strict=True) if answer == "passed"]
    passed = {each.address for one in sent for each in one.recipients}
    assert len(passed) <= 20 or len(passed - {*ALL}) <= 1
