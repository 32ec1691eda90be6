"""One text from several senders: counted together, held together where that passes a limit, and never made one (M1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gatekeeper.lifecycle import BatchState
from gatekeeper.model import Action, Keys, Place, Source
from gatekeeper.store import Database, Gathering, Store, across, mailings, views
from gatekeeper.store.db.schema import mailings as ROWS
from gatekeeper.store.events import Act
from tests.store.arrivals import NOON, arrival, limit, people
from tests.store.databases import lay_out

CIO = Act(NOON.timestamp() + 60, "cio@example.gov", "root", "no")
LIMIT = 20
JUDGE = limit(LIMIT)


def text(recipients, sender, subject="enrolment", words="one text", login=None, **more):
    """A message of that sender whose text others may send as well."""
    recipients = list(recipients)
    came = arrival(recipients, sender, subject, f"{sender} {recipients} {words}@doa.example.gov", **more)
    transaction = replace(came.transaction, login=login)
    return replace(
        came, transaction=transaction, source=Source(sender), text=f"{subject}\0{words}", least_people=LIMIT + 1
    )


def sender(number):
    return f"clerk{number}@doa.example.gov"


async def send(store, came):
    outcome = await store.decide(came, JUDGE)
    if outcome.batch:
        assert await store.keep(came, outcome.batch)
    return outcome


def listed(store):
    return store.call(views.list_mailings)


def held(store):
    return [each for each in listed(store) if each.state == "held"]


# -- counted together --------------------------------------------------------------------------------------------


async def test_a_fault_or_a_refusal_after_the_common_mailing_was_opened_leaves_none(store):
    """What is said of the common mailing is known only once it is there; where nobody is held, it is gone again."""
    everyone = people(30)
    await send(store, text(everyone[:15], sender(1)))
    for second in (Action.REJECT, OSError("the disk is gone")):
        held_so_far = []

        def judge(counts, standing, second=second, held_so_far=held_so_far):
            verdict = JUDGE(counts, standing)
            if verdict.action is Action.HOLD:
                held_so_far.append(verdict)
            if len(held_so_far) < 3:  # two of all mailings of the text: by their own state, and by the ledger
                return verdict
            if isinstance(second, Exception):
                raise second
            return replace(verdict, action=second)

        try:
            outcome = await store.decide(text(everyone[15:], sender(2)), judge)
        except OSError:
            outcome = None
        assert len(held_so_far) > 2 and (outcome is None or outcome.verdict.action is second)
        assert store.call(lambda connection: connection.execute(select(func.count()).select_from(ROWS)).scalar()) == 1
    assert (await send(store, text(everyone[15:20], sender(2)))).verdict.action is Action.RELAY


async def test_what_passes_the_limit_together_is_held_in_a_mailing_of_its_own(store):
    everyone = people(30)
    for number in range(4):
        outcome = await send(store, text(everyone[number * 5 : number * 5 + 5], sender(number)))
        assert (outcome.verdict.action, outcome.mailing) == (Action.RELAY, None)
    passing = await send(store, text(everyone[20:22], sender(1)))
    assert (passing.verdict.action, passing.mailing, passing.counts.users) == (Action.HOLD, "M-1", 22)
    joining = await send(store, text(everyone[22:], sender(9)))
    assert (joining.verdict.action, joining.mailing, joining.counts.users) == (Action.HOLD, "M-1", 30)
    (mailing,) = listed(store)
    assert (mailing.counts.users, mailing.reached_before, mailing.batches) == (30, 20, 2)
    assert mailing.joined == {"common": 1}


async def test_nobody_else_is_held_for_it(store):
    """A sender's other mail of that subject, and their next, passes: what others send does not change a mailing."""
    everyone = people(40)
    for number in range(5):
        await send(store, text(everyone[number * 5 : number * 5 + 5], sender(number)))
    assert held(store)
    other = await send(store, text(everyone[:3], sender(1), words="other words"))
    elsewhere = await send(store, text(everyone[:3], sender(4), subject="minutes"))
    assert (other.verdict.action, elsewhere.verdict.action) == (Action.RELAY, Action.RELAY)


async def test_each_person_counts_once(store):
    everyone = people(LIMIT)
    for number in range(10):
        assert (await send(store, text(everyone, sender(number)))).verdict.action is Action.RELAY
    assert not listed(store)


async def test_people_are_read_only_where_the_sum_of_all_mailings_would_not_pass(store, monkeypatch):
    """Beyond the limit, but of one agency, a text goes on: each message had all of its people read."""
    reads = []
    read = across._people
    monkeypatch.setattr(across, "_people", lambda *args: reads.append(args) or read(*args))
    ours = people(90, "doa.example.gov")
    for number in range(30):
        came = text(ours[3 * number : 3 * number + 3], sender(number))
        assert (await send(store, came)).verdict.action is Action.RELAY
    assert not reads
    other = await send(store, text(people(1, "dphhs.example.gov"), sender(99)))
    assert (other.verdict.action, other.counts.users) == (Action.HOLD, 91) and reads


async def test_of_rules_that_are_only_observed_the_counts_are_exact(store):
    told = []

    def judge(counts, standing):
        told.append(counts.users)
        return JUDGE(counts, standing)

    everyone = people(LIMIT + 1, "doa.example.gov")
    for number, observes in enumerate((False, False, True)):
        came = replace(text(everyone, sender(number)), observes_counts=observes)
        assert (await store.decide(came, judge)).verdict.action is Action.RELAY
    assert told[-1] == LIMIT + 1 and 2 * (LIMIT + 1) in told


async def test_subject_and_text_must_both_be_the_same(store):
    everyone = people(60)
    for number in range(12):
        came = text(everyone[number * 5 : number * 5 + 5], sender(number), words=f"words {number}")
        assert (await send(store, came)).verdict.action is Action.RELAY
    for number in range(12):
        came = text(everyone[number * 5 : number * 5 + 5], sender(number + 20), subject=f"subject {number}")
        assert (await send(store, came)).verdict.action is Action.RELAY


async def test_another_text_in_between_hides_nothing(store):
    """Each sender's mailing begins with another text; what counts is whether it has the common one as well."""
    everyone = people(30)
    for number in range(6):
        await send(store, text(everyone[:1], sender(number), words=f"words {number}"))
        await send(store, text(everyone[number * 5 : number * 5 + 5], sender(number)))
        await send(store, text(everyone[:1], sender(number), words=f"more words {number}"))
    (mailing,) = held(store)
    assert mailing.counts.users == 30


async def test_what_is_sent_at_once_is_counted_together(store):
    """Forty senders, one commit: each sees those before it."""
    everyone = people(40)
    outcomes = await asyncio.gather(*(send(store, text([each], sender(n))) for n, each in enumerate(everyone)))
    assert sum(outcome.verdict.action is Action.RELAY for outcome in outcomes) == LIMIT
    (mailing,) = listed(store)
    assert (mailing.counts.users, mailing.batches) == (40, 20)


async def test_a_day_later_it_counts_anew(store):
    everyone = people(40)
    for number in range(4):
        await send(store, text(everyone[number * 5 : number * 5 + 5], sender(number)))
    late = await send(store, text(everyone[20:], sender(8), after=90_000))
    assert late.verdict.action is Action.RELAY


async def test_a_mailing_that_is_held_by_itself_is_its_senders_alone(store):
    everyone = people(50)
    own = await send(store, text(everyone[:25], sender(0)))
    assert (own.mailing, own.verdict.action) == ("M-1", Action.HOLD)
    other = await send(store, text(everyone[25:30], sender(1)))
    assert (other.mailing, other.verdict.action) == ("M-2", Action.HOLD)
    assert (await send(store, text(everyone[30:35], sender(0)))).mailing == "M-1"


# -- replies and forwards ----------------------------------------------------------------------------------------


async def test_somebody_who_got_it_may_pass_it_on_where_a_login_says_who_it_is(store):
    everyone = people(LIMIT)
    await send(store, text(everyone, sender(0)))
    for number in range(LIMIT):
        came = text([f"friend{number}@dphhs.example.gov"], everyone[number], login=everyone[number])
        assert (await send(store, came)).verdict.action is Action.RELAY
    stranger = text(["friend99@dphhs.example.gov"], sender(5), login=sender(5))
    assert (await send(store, stranger)).verdict.action is Action.HOLD


async def test_a_name_that_anybody_can_write_passes_nothing_on(store):
    everyone = people(LIMIT)
    await send(store, text(everyone, sender(0)))
    came = text(["friend@dphhs.example.gov"], everyone[3])
    assert (await send(store, came)).verdict.action is Action.HOLD


# -- people decide -----------------------------------------------------------------------------------------------


async def fill(store):
    everyone = people(60)
    for number in range(5):
        await send(store, text(everyone[number * 5 : number * 5 + 5], sender(number)))
    (mailing,) = held(store)
    return mailing, everyone


async def test_after_a_denial_the_next_is_held_anew(store):
    mailing, everyone = await fill(store)
    store.call(partial(mailings.close, mailing=mailing, name="deny", act=CIO, left=BatchState.RETURNED))
    again = await send(store, text(everyone[25:30], sender(7), after=120))
    assert (again.verdict.action, again.mailing, again.counts.users) == (Action.HOLD, "M-2", 25)


# -- whatever happens, no more than the limit ----------------------------------------------------------------------

MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 5),  # who sends
        st.integers(0, 2),  # which text
        st.lists(st.integers(0, 39), min_size=1, max_size=9, unique=True),  # to whom
        st.booleans(),  # gathered
    ),
    min_size=1,
    max_size=40,
)


@given(MESSAGES, st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_text_never_reaches_more_than_the_limit(messages, together, random: Random):
    """However it is spread over senders, texts and commits. Gathered mail has not left yet, but may, and counts."""

    async def play(store):
        everyone = people(40)
        reached: dict[int, set[str]] = {}
        waiting = list(messages)
        while waiting:
            now, waiting = waiting[:together], waiting[together:]
            random.shuffle(now)
            came = [
                replace(
                    text([everyone[each] for each in whom], sender(who), words=f"text {what}", login=sender(who)),
                    gathering=Gathering(opens=True, quiet=20, limit=300) if waits else None,
                )
                for who, what, whom, waits in now
            ]
            outcomes = await asyncio.gather(*(send(store, each) for each in came))
            for (_, what, whom, _), outcome in zip(now, outcomes, strict=True):
                if outcome.verdict.action is Action.RELAY:
                    reached.setdefault(what, set()).update(everyone[each] for each in whom)
        return reached

    def run(folder: Path):
        store = Store(Database(lay_out(folder / "gate.db"), timeout=5))
        store.open()
        try:
            return asyncio.run(play(store))
        finally:
            store.close()

    with TemporaryDirectory() as folder:
        reached = run(Path(folder))
    assert all(len(users) <= LIMIT for users in reached.values()), reached


@given(MESSAGES)
@settings(max_examples=20, deadline=None)
def test_the_sum_of_all_mailings_lets_pass_what_exact_counts_do(messages):
    everyone = people(40)

    async def play(store, *, exact):
        verdicts = []
        for who, what, whom, _ in messages:
            came = text([everyone[each] for each in whom], sender(who), words=f"text {what}", login=sender(who))
            outcome = await send(store, replace(came, observes_counts=exact))
            verdicts.append((outcome.verdict, outcome.mailing))
        return verdicts

    def run(folder: str, *, exact: bool):
        store = Store(Database(lay_out(Path(folder) / "gate.db"), timeout=5))
        store.open()
        try:
            return asyncio.run(play(store, exact=exact))
        finally:
            store.close()

    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert run(one, exact=False) == run(other, exact=True)


# -- with `source: agency` -----------------------------------------------------------------------------------------


def of_agency(came, agency="DOA", shared=("text:0-the one",)):
    """The same, its text joining across the agency."""
    place = Place(came.source.mailbox, agency=agency)
    keyed = Keys(strong=came.keys.strong, weak=(f"subject:{came.facts.subject_key}", *shared))
    return replace(came, by_agency=True, keys=keyed, source=replace(came.source, places=(place,)), text="")


async def test_an_answer_that_quotes_everything_is_not_of_the_mailing_that_it_answers(store):
    everyone = people(LIMIT)
    await send(store, of_agency(text(everyone, sender(0))))
    answer = of_agency(text([sender(0)], everyone[2], subject="re", login=everyone[2]))
    assert (await send(store, answer)).counts.users == 1
    colleague = of_agency(text(["z@dphhs.example.gov"], sender(5), subject="another", login=sender(5)))
    assert (await send(store, colleague)).counts.users == LIMIT + 1


async def test_only_a_text_that_is_the_same_by_all_its_fingerprints_joins_across_an_agency(store):
    """One fingerprint joins too many short texts of an agency: two that share a sentence may share it."""
    one, like_it = ("text:0-one", "text:1-one"), ("text:0-one", "text:1-another")
    for number, (other, users) in enumerate([(one, 2), (like_it, 1)]):
        first, second = sender(10 + number), sender(20 + number)
        await send(store, of_agency(text(["a@doa.example.gov"], first, f"one {number}", "a"), f"A{number}", one))
        second = of_agency(text(["b@doa.example.gov"], second, f"two {number}", "b"), f"A{number}", other)
        assert (await send(store, second)).counts.users == users
    of_one = of_agency(text(["c@doa.example.gov"], sender(21), "three", "c"), "A1", ("text:0-two", "text:1-another"))
    assert (await send(store, of_one)).counts.users == 2  # one sender's texts join by each of them
