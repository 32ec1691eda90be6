"""Kept mail to many recipients: a result for each of them, and nobody twice."""

import pytest

from gatekeeper.delivery import Result
from gatekeeper.delivery.recipients import Parts
from gatekeeper.model import Recipient
from tests.delivery.conftest import CONTENT, people
from tests.peers.sink import Sink, close, drop, say
from tests.peers.tenant_hop import TenantHop


async def deliver(hop, recipients, content=CONTENT, most=1000):
    """As the queue does: part by part, those beyond the next hop's limit in further ones; nobody is tried again."""
    known, parts = {}, Parts(recipients, most)
    while part := parts.take():
        these = await hop.next_hop.deliver("news@example.gov", ("RET=HDRS",), part, content)
        assert [each.recipient for each in these] == part
        known |= {each.recipient: each for each in these}
        parts.put_back([each.recipient for each in these if each.result is Result.BEYOND], len(part))
    return [known[each] for each in recipients]


def results(these):
    return [each.result for each in these]


async def test_everyone_once_a_thousand_at_a_time(hop_to):
    async with Sink() as sink:
        everyone = people(*range(2400))
        these = await deliver(hop_to(sink), everyone)
        assert [each.recipient for each in these] == everyone
        assert set(results(these)) == {Result.DELIVERED}
        assert [len(mail.recipients) for mail in sink.mails] == [1000, 1000, 400]
        assert sink.recipients == [recipient.address for recipient in everyone]


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_one_too_many_goes_into_a_further_transaction(hop_to, limit):
    async with Sink(recipient_limit=limit) as sink:
        everyone = people(*range(limit * 3 + 1 if limit > 1 else 3))
        these = await deliver(hop_to(sink), everyone)
        assert set(results(these)) == {Result.DELIVERED}
        assert sorted(sink.recipients) == sorted(recipient.address for recipient in everyone)
        assert len(sink.mails) == -(-len(everyone) // limit)
        assert sink.commands["RCPT"] < 2 * len(everyone) + limit, "further parts keep to the limit"


@pytest.mark.parametrize("refusal", ["452 4.5.3 too many", "452 too many", "552 5.5.3 too many", "550 5.5.3 too many"])
async def test_however_the_limit_is_said(hop_to, refusal):
    async with TenantHop(recipient_limit=3, refusal=refusal) as sink:
        these = await deliver(hop_to(sink), people(*range(8)))
        assert set(results(these)) == {Result.DELIVERED}
        assert [len(mail.recipients) for mail in sink.mails] == [3, 3, 2]


@pytest.mark.parametrize("final", ["451 4.3.0 later", "554 5.6.0 no"])
@pytest.mark.parametrize("refusal", ["452 4.5.3 too many", "550 5.5.3 too many"])
async def test_who_is_beyond_the_limit_is_not_refused_where_the_message_is(hop_to, refusal, final):
    async with TenantHop(recipient_limit=3, refusal=refusal) as sink:
        sink.at("DOT", say(final))
        these = await deliver(hop_to(sink), people(*range(5)))
        assert set(results(these[:3])) == {Result.DEFERRED if final.startswith("4") else Result.REFUSED}
        assert set(results(these[3:])) == {Result.DEFERRED}


async def test_a_limit_on_recipients_of_one_domain(hop_to):
    async with TenantHop(domain_limit=2) as sink:
        everyone = [Recipient(f"{number}@{'ab'[number % 2]}.example.org") for number in range(9)]
        assert set(results(await deliver(hop_to(sink), everyone))) == {Result.DELIVERED}
        assert sorted(sink.recipients) == sorted(each.address for each in everyone)


async def test_by_the_next_hops_url_no_more_are_offered(hop_to):
    async with Sink() as sink:
        hop = hop_to(f"smtp://127.0.0.1:{sink.port}?recipients=3")
        assert hop.next_hop.most_recipients == 3
        these = await deliver(hop, people(*range(8)))
        assert set(results(these)) == {Result.DELIVERED}
        assert [len(mail.recipients) for mail in sink.mails] == [3, 3, 2] and sink.commands["RCPT"] == 8


async def test_each_has_a_result_of_their_own(hop_to):
    refuse = {
        "b@example.org": "550 5.1.1 no such user",
        "c@example.org": "450 4.2.0 later",
        "d@example.org": "452 4.2.2 full",
        "e@example.org": "552 5.2.2 full",
    }
    async with Sink(refuse=refuse) as sink:
        these = await deliver(hop_to(sink), people("a", "b", "c", "d", "e"))
    later = Result.DEFERRED
    assert results(these) == [Result.DELIVERED, Result.REFUSED, later, later, later]
    assert [str(each.reply) for each in these[1:]] == list(refuse.values())
    assert sink.recipients == ["a@example.org"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("554 5.7.1 spam", Result.REFUSED), ("552 5.3.4 too big", Result.REFUSED), ("451 4.3.0 later", Result.DEFERRED)],
)
async def test_the_answer_to_the_message_is_everyones(hop_to, answer, expected):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no"}) as sink:
        sink.at("DOT", say(answer))
        these = await deliver(hop_to(sink), people("a", "b", "c"))
    assert results(these) == [expected, Result.REFUSED, expected]
    assert str(these[0].reply) == answer


async def test_lost_after_the_dot_is_unknown_for_those_that_were_taken(hop_to):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no"}, recipient_limit=2) as sink:
        sink.at("DOT", drop(), times=1)
        these = await deliver(hop_to(sink), people("a", "b", "c", "d"))
        assert results(these) == [Result.UNKNOWN, Result.REFUSED, Result.UNKNOWN, Result.DEFERRED]
        assert len(sink.mails) == 1


async def test_down_is_said_of_all(hop_to):
    async with Sink() as sink:
        sink.at("MAIL", close())
        assert set(results(await deliver(hop_to(sink), people("a", "b")))) == {Result.DOWN}
    assert set(results(await deliver(hop_to(sink), people("a", "b")))) == {Result.DOWN}


async def test_a_loss_in_the_second_transaction_leaves_the_first_as_it_was(hop_to):
    async with Sink() as sink:
        sink.at("DOT", drop(), skip=1, times=1)
        these = await deliver(hop_to(sink), people(*range(1500)))
    assert set(results(these[:1000])) == {Result.DELIVERED} and set(results(these[1000:])) == {Result.UNKNOWN}
    assert len(sink.recipients) == len(set(sink.recipients)) == 1500


async def test_parameters_go_with_it(hop_to):
    recipient = Recipient("a@example.org", ("NOTIFY=FAILURE",))
    async with Sink() as sink:
        assert results(await deliver(hop_to(sink), [recipient])) == [Result.DELIVERED]
    assert sink.mails[0].mail_parameters == ("RET=HDRS",)
    assert sink.mails[0].recipients == [("a@example.org", ("NOTIFY=FAILURE",))]
