"""A proxied transaction: what the next hop says is what our client hears, whatever becomes of the connection."""

import asyncio

import pytest

from gatekeeper.delivery.recipients import Result
from gatekeeper.delivery.relay import SmtpTransaction
from gatekeeper.model import Client, Recipient
from tests.delivery.conftest import CONTENT, people
from tests.peers import free_port
from tests.peers.sink import OFFERS, Sink, close, close_after, delay, drop, hang, reset, say, say_and_close

BARE = [offer for offer in OFFERS if offer != "PIPELINING"]


def codes(replies):
    return [reply.code for reply in replies]


# -- nothing goes wrong ------------------------------------------------------------------------------------------


async def test_a_message_goes_as_it_came(hop_to):
    async with Sink() as sink:
        answers, final = await hop_to(sink).send(people("a", "b"), parameters=["BODY=8BITMIME", "RET=HDRS"])
    assert str(final) == "250 2.0.0 taken"
    assert codes(answers) == [250, 250]
    (mail,) = sink.mails
    assert (mail.sender, mail.addresses, mail.content) == (
        "news@example.gov",
        ["a@example.org", "b@example.org"],
        CONTENT,
    )
    assert mail.mail_parameters == ("BODY=8BITMIME", "RET=HDRS")
    assert mail.helo == "gate.example.gov"


async def test_nothing_is_sent_before_the_first_recipients(hop_to):
    async with Sink() as sink:
        transaction = await hop_to(sink).begin()
        await transaction.abandon()
        assert sink.connections == 0


async def test_mail_is_said_alone_where_its_reply_is_wanted(hop_to):
    async with Sink() as sink:
        transaction = await hop_to(sink).begin()
        assert (await transaction.open()).code == 250
        assert sink.commands["MAIL"] == 1 and sink.commands["RCPT"] == 0
        assert codes(await transaction.recipients(people("a"))) == [250]
        assert (await transaction.data(CONTENT)).ok
        assert sink.commands["MAIL"] == 1


async def test_refused_recipients_are_mirrored_and_the_others_get_the_message(hop_to):
    refuse = {"b@example.org": "550 5.1.1 no such user", "c@example.org": "450 4.2.1 greylisted"}
    async with Sink(refuse=refuse) as sink:
        answers, final = await hop_to(sink).send(people("a", "b", "c"))
    assert list(map(str, answers)) == ["250 2.1.5 ok", "550 5.1.1 no such user", "450 4.2.1 greylisted"]
    assert final.ok
    assert sink.recipients == ["a@example.org"]


@pytest.mark.parametrize("offers", [OFFERS, BARE])
async def test_a_next_hop_that_has_enough_recipients_is_not_asked_for_thousands_more(hop_to, offers):
    """Postfix counts what goes far beyond its limit as errors, and hangs up: the message would never arrive."""
    everybody = people(*map(str, range(2300)))
    async with Sink(recipient_limit=1000, offers=offers) as sink:
        answers, final = await hop_to(sink).send(everybody)
        assert codes(answers) == [250] * 1000 + [452] * 1300 and final.ok
        assert {str(answer) for answer in answers[1000:]} == {"452 4.5.3 too many recipients"}
        assert len(sink.mails[0].addresses) == 1000
        assert 1000 < sink.commands["RCPT"] <= 2000


async def test_a_next_hop_that_has_enough_recipients_is_not_asked_in_later_batches(hop_to):
    async with Sink(recipient_limit=2) as sink:
        transaction = await hop_to(sink).begin()
        assert codes(await transaction.recipients(people("a", "b", "c"))) == [250, 250, 452]
        assert codes(await transaction.recipients(people("d", "e"))) == [452, 452]
        assert (await transaction.data(CONTENT)).ok and sink.commands["RCPT"] == 3


async def test_by_the_next_hops_url_the_limit_is_kept_without_asking(hop_to):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no"}) as sink:
        transaction = await hop_to(f"smtp://127.0.0.1:{sink.port}?recipients=3").begin()
        assert codes(await transaction.recipients(people("a", "b"))) == [250, 550]
        assert codes(await transaction.recipients(people("c", "d", "e", "f"))) == [250, 250, 452, 452]
        assert codes(await transaction.recipients(people("g"))) == [452]
        assert (await transaction.data(CONTENT)).ok
        assert sink.recipients == [f"{name}@example.org" for name in "acd"] and sink.commands["RCPT"] == 4


async def test_a_recipient_that_alone_is_refused_for_now_stops_nobody_else(hop_to):
    refuse = {"0@example.org": "452 4.2.2 mailbox full"}
    async with Sink(refuse=refuse) as sink:
        answers, final = await hop_to(sink).send(people(*map(str, range(1200))))
    assert codes(answers) == [452] + [250] * 1199 and final.ok


async def test_without_a_recipient_there_is_no_data(hop_to):
    async with Sink(refuse={"a@example.org": "550 5.1.1 no"}) as sink:
        _, final = await hop_to(sink).send(people("a"))
        assert final.code == 554
        assert sink.commands["DATA"] == 0


@pytest.mark.parametrize("offers", [OFFERS, BARE])
async def test_a_refused_mail_is_the_reply_to_each_recipient(hop_to, offers):
    async with Sink(offers=offers) as sink:
        sink.at("MAIL", say("552 5.3.4 too big"), times=1)
        hop = hop_to(sink)
        transaction = await hop.begin()
        assert codes(await transaction.recipients(people("a", "b"))) == [552, 552]
        assert not (await transaction.data(CONTENT)).ok
        _, final = await hop.send()
        assert final.ok and sink.connections == 1


async def test_data_refused_is_mirrored(hop_to):
    async with Sink() as sink:
        sink.at("DATA", say("554 5.7.1 not today"), times=1)
        hop = hop_to(sink)
        assert str((await hop.send())[1]) == "554 5.7.1 not today"
        assert (await hop.send())[1].ok
        assert sink.connections == 1


async def test_the_final_refusal_is_mirrored(hop_to):
    async with Sink() as sink:
        sink.at("DOT", say("554-5.7.1 spam\r\n554 5.7.1 see example.org"))
        _, final = await hop_to(sink).send()
    assert final.lines == ("5.7.1 spam", "5.7.1 see example.org")
    assert sink.mails == []


# -- pipelining --------------------------------------------------------------------------------------------------


async def test_five_hundred_recipients_are_one_write(hop_to):
    async with Sink() as sink:
        answers, final = await hop_to(sink).send(people(*range(500)))
        assert len(answers) == 500 and final.ok
        assert sink.waiting == 501, "MAIL and all RCPT lie in the server's buffer at once"
        assert len(sink.mails[0].recipients) == 500


async def test_ten_thousand_recipients_block_nobody(hop_to):
    async with Sink() as sink:
        answers, final = await hop_to(sink).send(people(*range(10_000)))
        assert len(answers) == 10_000 and final.ok
        assert len(sink.recipients) == 10_000


async def test_without_pipelining_one_command_at_a_time(hop_to):
    async with Sink(offers=BARE) as sink:
        answers, final = await hop_to(sink).send(people(*range(20)))
        assert len(answers) == 20 and final.ok
        assert sink.waiting == 1


async def test_without_pipelining_a_connection_that_was_kept_gets_one_command_at_a_time_too(hop_to):
    async with Sink(offers=BARE) as sink:
        hop = hop_to(sink)
        for number in (1, 3):
            for _ in range(2):
                answers, final = await hop.send(people(*range(number)))
                assert len(answers) == number and final.ok
        assert sink.connections == 1 and sink.waiting == 1


async def test_helo_where_ehlo_is_not_known(hop_to):
    async with Sink(ehlo=False) as sink:
        _, final = await hop_to(sink).send(people("a"), parameters=["SIZE=100", "ENVID=QQ1"])
        assert final.ok
        assert sink.commands["HELO"] == 1 and sink.mails[0].mail_parameters == ()


# -- what the next hop does not offer ----------------------------------------------------------------------------


async def test_dsn_parameters_go_where_they_are_offered(hop_to):
    recipient = Recipient("a@example.org", ("NOTIFY=NEVER", "ORCPT=rfc822;a@example.gov"))
    async with Sink() as with_dsn, Sink(offers=["PIPELINING"]) as without:
        for sink in (with_dsn, without):
            assert (await hop_to(sink).send([recipient], parameters=["RET=FULL"]))[1].ok
    assert with_dsn.mails[0].recipients == [("a@example.org", recipient.parameters)]
    assert without.mails[0].recipients == [("a@example.org", ())]
    assert without.mails[0].mail_parameters == ()


async def test_addresses_beyond_ascii_need_smtputf8(hop_to):
    everyone = [Recipient("żółw@example.org"), Recipient("a@example.org")]
    async with Sink(offers=["PIPELINING"]) as sink:
        first, second = await hop_to(sink).next_hop.deliver("news@example.gov", ["SMTPUTF8"], everyone, CONTENT)
        assert (first.result, first.reply.code, first.reply.enhanced) == (Result.REFUSED, 553, "5.6.7")
        assert second.result is Result.DELIVERED and sink.recipients == ["a@example.org"]
    async with Sink() as sink:
        _, final = await hop_to(sink).send(everyone, parameters=["SMTPUTF8"])
        assert final.ok and sink.recipients == ["żółw@example.org", "a@example.org"]


async def test_a_sender_beyond_ascii_is_refused_without_smtputf8(hop_to):
    async with Sink(offers=["PIPELINING"]) as sink:
        (only,) = await hop_to(sink).next_hop.deliver("ż@example.gov", [], people("a"), CONTENT)
        assert (only.result, only.reply.enhanced) == (Result.REFUSED, "5.6.7")
        assert sink.commands["MAIL"] == 0


@pytest.mark.parametrize(
    ("parameters", "content", "enhanced"),
    [
        (["BODY=8BITMIME"], "Subject: x\r\n\r\ncafé\r\n".encode(), "5.6.3"),
        (["BODY=8BITMIME"], b"Subject: x\r\n\r\ncafe\r\n", "2.0.0"),
        ([], "Subject: x\r\n\r\ncafé\r\n".encode(), "2.0.0"),
        (["SMTPUTF8"], "Subject: café\r\n\r\nx\r\n".encode(), "5.6.9"),
        (["SMTPUTF8"], "Subject: x\r\n\r\ncafé\r\n".encode(), "2.0.0"),
    ],
)
async def test_what_cannot_go_without_a_conversion_is_refused(hop_to, parameters, content, enhanced):
    async with Sink(offers=["PIPELINING"]) as sink:
        (only,) = await hop_to(sink).next_hop.deliver("news@example.gov", parameters, people("a"), content)
        assert only.reply.enhanced == enhanced
        assert [mail.content for mail in sink.mails] == ([content] if only.reply.ok else [])


async def test_a_client_that_was_offered_it_is_deferred(hop_to):
    """It comes again, and is told what there is; nobody has refused its mail."""
    everyone = [Recipient("żółw@example.org"), Recipient("a@example.org")]
    content = "Subject: x\r\n\r\ncafé\r\n".encode()
    async with Sink(offers=["PIPELINING"]) as sink:
        answers, final = await hop_to(sink).send(everyone, content, parameters=["SMTPUTF8", "BODY=8BITMIME"])
        assert codes([*answers, final]) == [451, 250, 451] and not sink.mails
        assert codes((await hop_to(sink).send(sender="ż@example.gov", parameters=["SMTPUTF8"]))[0]) == [451]


async def test_kept_mail_waits_for_a_host_that_took_it_once(hop_to):
    async with Sink() as first, Sink(offers=["PIPELINING"]) as second:
        hop = hop_to(first, second)
        await hop.next_hop.extensions()
        await first.down()
        (only,) = await hop.next_hop.deliver("ż@example.gov", ["SMTPUTF8"], people("a"), CONTENT)
        assert only.result is Result.DEFERRED
        await first.up()
        (only,) = await hop_to(first, second).next_hop.deliver("ż@example.gov", ["SMTPUTF8"], people("a"), CONTENT)
        assert only.result is Result.DELIVERED


@pytest.mark.parametrize("parameters", [["SMTPUTF8"], ["BODY=8BITMIME"]])
async def test_kept_mail_waits_for_a_host_that_was_not_reached_since_the_start(hop_to, parameters):
    """Only the fallback host answers, and lacks what the message needs; nobody knows yet what the first one has."""
    content = "Subject: é\r\n\r\ncafé\r\n".encode()
    async with Sink() as first, Sink(offers=["PIPELINING"]) as fallback:
        hop = hop_to(first, fallback)
        await first.down()
        (only,) = await hop.next_hop.deliver("news@example.gov", parameters, people("a"), content)
        assert only.result is Result.DEFERRED and not fallback.mails
        await first.up()
        (only,) = await hop_to(first, fallback).next_hop.deliver("news@example.gov", parameters, people("a"), content)
        assert only.result is Result.DELIVERED and [mail.content for mail in first.mails] == [content]


async def test_kept_mail_that_no_host_can_take_is_refused(hop_to):
    content = "Subject: x\r\n\r\ncafé\r\n".encode()
    async with Sink(offers=["PIPELINING"]) as first, Sink(offers=["PIPELINING"]) as second:
        hop = hop_to(first, second)
        await hop.next_hop.extensions()
        (only,) = await hop.next_hop.deliver("news@example.gov", ["BODY=8BITMIME"], people("a"), content)
        assert only.reply.enhanced == "5.6.3"


@pytest.mark.parametrize("address", ["a\r\nRCPT TO:<b@example.org>", "a> X=<b", "a b@example.org"])
async def test_no_address_smuggles_a_command(hop_to, address):
    async with Sink() as sink:
        answers, _ = await hop_to(sink).send([Recipient(address)])
        assert codes(answers) == [553]
        assert sink.commands["RCPT"] == 0


# -- kept connections --------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_and_used_again(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        for _ in range(3):
            assert (await hop.send())[1].ok
        assert sink.connections == 1 and len(sink.mails) == 3


async def test_an_abandoned_transaction_leaves_nothing_behind(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        transaction = await hop.begin()
        await transaction.recipients(people("held"))
        await transaction.abandon()
        assert (await hop.send(people("a")))[1].ok
        assert sink.connections == 1 and sink.commands["RSET"] == 1 and sink.recipients == ["a@example.org"]


async def test_an_idle_connection_is_left_in_time(hop_to):
    async with Sink() as sink:
        await hop_to(sink, idle=0.05).send()
        await asyncio.sleep(0.2)
        assert sink.commands["QUIT"] == 1 and sink.open_connections == 0


async def test_a_kept_connection_that_was_closed_is_noticed(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        await hop.send()
        await sink.close_kept()
        assert (await hop.send())[1].ok
        assert sink.connections == 2 and len(sink.mails) == 2


async def test_a_cancelled_transaction_spoils_no_connection(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        sink.at("RCPT", delay(0.2), times=1)
        transaction = await hop.begin()
        asking = asyncio.create_task(transaction.recipients(people("a", "b")))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await transaction.abandon()
        answers, final = await hop.send(people("c"))
        assert codes(answers) == [250] and final.ok
        assert sink.recipients == ["c@example.org"]


@pytest.mark.parametrize("kept", [False, True], ids=["on a fresh connection", "on a kept one"])
@pytest.mark.parametrize("size", [0, 2, 1200])
async def test_nobody_hears_of_what_was_abandoned(hop_to, kept, size):
    async with Sink() as sink:
        hop = hop_to(sink)
        if kept:
            await hop.send(people("first"))
        sink.at("MAIL" if size == 0 else "RCPT", delay(0.1), times=1)
        transaction, heard = hop.next_hop.begin("news@example.gov", (), None), []
        transaction.ask(people(*map(str, range(size))), heard.append)
        await asyncio.sleep(0.02)
        await transaction.abandon()
        await asyncio.sleep(0.2)
        assert heard == [] and not hop.errors
        assert (await hop.send(people("last")))[1].ok and sink.recipients[-1] == "last@example.org"


async def test_a_fault_of_ours_is_answered_too(hop_to, monkeypatch, caplog):
    async def broken(self, recipients):
        raise ZeroDivisionError

    monkeypatch.setattr(SmtpTransaction, "_ask_in_parts", broken)
    async with Sink() as sink:
        answers, final = await hop_to(sink).send(people("a", "b"))
        assert codes([*answers, final]) == [451, 451, 451]
    assert "ZeroDivisionError" in caplog.text


async def test_many_transactions_at_once_each_have_their_own_connection(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        results = await asyncio.gather(*(hop.send(people(number)) for number in range(20)))
        assert all(final.ok for _, final in results)
        assert sorted(sink.recipients) == sorted(f"{number}@example.org" for number in range(20))
        assert all(len(mail.recipients) == 1 for mail in sink.mails)


# -- a loss before the dot ---------------------------------------------------------------------------------------

LOSSES = [close(), reset(), say_and_close("421 4.3.2 shutting down"), say("421 4.3.2 shutting down")]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda act: act.kind)
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "fresh"])
@pytest.mark.parametrize("offers", [OFFERS, BARE], ids=["pipelining", "bare"])
async def test_a_loss_before_the_dot_is_not_noticed_outside(hop_to, step, loss, kept, offers):
    async with Sink(offers=offers) as sink:
        hop = hop_to(sink)
        if kept:
            await hop.send(people("before"))
            sink.mails.clear()
        sink.at(step, loss, times=1)
        answers, final = await hop.send(people("a", "b"))
        assert codes(answers) == [250, 250] and final.ok
        assert [mail.addresses for mail in sink.mails] == [["a@example.org", "b@example.org"]]


async def test_a_loss_between_batches_says_everything_again(hop_to):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no"}) as sink:
        transaction = await hop_to(sink).begin()
        assert codes(await transaction.recipients(people("a", "b"))) == [250, 550]
        await sink.close_kept()
        assert codes(await transaction.recipients(people("c"))) == [250]
        await sink.close_kept()
        assert (await transaction.data(CONTENT)).ok
        assert [mail.addresses for mail in sink.mails] == [["a@example.org", "c@example.org"]]


async def test_a_loss_within_the_message_sends_it_again(hop_to):
    content = b"Subject: big\r\n\r\n" + b"x" * 78 + b"\r\n" * 100_000 + b"0123456789" * 1_000_000 + b"\r\n"
    async with Sink() as sink:
        sink.at("BLOCK", close(), times=1)
        _, final = await hop_to(sink).send(content=content)
        assert final.ok
        assert [mail.content == content for mail in sink.mails] == [True]


@pytest.mark.parametrize(
    "other",
    [{"a@example.org": "550 5.1.1 no"}, {"a@example.org": "450 4.2.0 later"}, {"b@example.org": "250 2.1.5 ok"}],
)
@pytest.mark.parametrize("when", ["recipients", "data"])
async def test_other_answers_after_a_loss_are_451(hop_to, other, when):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no"}) as sink:
        hop = hop_to(sink)
        transaction = await hop.begin()
        assert codes(await transaction.recipients(people("a", "b"))) == [250, 550]
        await sink.close_kept()
        sink.refuse.update(other)
        if when == "recipients":
            assert [answer.enhanced for answer in await transaction.recipients(people("c"))] == ["4.4.1"]
        final = await transaction.data(CONTENT)
        assert (final.code, final.enhanced) == (451, "4.4.1")
        assert sink.mails == [] and sink.commands["DATA"] == 0
        assert hop.errors["replay"] == 1


async def test_the_same_refusal_in_other_words_is_the_same(hop_to):
    async with Sink(refuse={"b@example.org": "550 5.1.1 no (id 1)"}) as sink:
        transaction = await hop_to(sink).begin()
        await transaction.recipients(people("a", "b"))
        await sink.close_kept()
        sink.refuse["b@example.org"] = "550 5.1.1 no (id 2)"
        assert (await transaction.data(CONTENT)).ok


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BLOCK"])
async def test_a_next_hop_that_always_closes_is_down(hop_to, step):
    async with Sink() as sink:
        sink.at(step, close())
        hop = hop_to(sink)
        _, final = await hop.send(content=b"x" * 3_000_000)
        assert (final.code, final.enhanced) == (451, "4.4.1")
        assert sink.mails == [] and sink.connections <= 5
        assert hop.errors["closed"] >= 2


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_next_hop_that_hangs_is_down_in_time(hop_to, step):
    async with Sink() as sink:
        sink.at(step, hang())
        hop = hop_to(sink, timeout=0.1)
        _, final = await hop.send()
        assert (final.code, final.enhanced) == (451, "4.4.1")
        assert hop.errors["timeout"] >= 1 and sink.mails == []


async def test_a_kept_connection_that_hangs_is_replaced(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink, timeout=0.2)
        await hop.send()
        sink.at("MAIL", hang(), times=1)
        assert (await hop.send())[1].ok
        assert sink.connections == 2


NONSENSE = [
    (step, answer)
    for step in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
    for answer in ("rubbish", "999 what", "354 go on")
    if (step, answer) != ("DATA", "354 go on")  # which is right there
]


@pytest.mark.parametrize(("step", "answer"), NONSENSE)
async def test_nonsense_is_never_taken_for_success(hop_to, step, answer):
    async with Sink() as sink:
        sink.at(step, say_and_close(answer))
        _, final = await hop_to(sink, timeout=1).send()
        assert final.enhanced == ("4.4.2" if step == "DOT" else "4.4.1")


async def test_success_instead_of_354_is_no_success(hop_to):
    async with Sink() as sink:
        sink.at("DATA", say("250 2.0.0 taken"))
        _, final = await hop_to(sink).send()
        assert (final.code, final.enhanced) == (451, "4.4.1")


# -- the message itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [close(), reset(), drop(), say_and_close("nonsense")], ids=lambda act: act.kind)
async def test_a_loss_after_the_dot_is_unknown_and_never_tried_again(hop_to, loss):
    async with Sink() as sink:
        sink.at("DOT", loss)
        hop = hop_to(sink)
        transaction = await hop.begin()
        await transaction.recipients(people("a"))
        final = await transaction.data(CONTENT)
        assert (final.code, final.enhanced) == (451, "4.4.2")
        assert transaction.outcome_unknown and hop.errors["unknown"] == 1
        assert sink.commands["DOT"] == 1 and sink.connections == 1


async def test_no_answer_to_the_dot_is_unknown(hop_to):
    async with Sink() as sink:
        sink.at("DOT", delay(5))
        _, final = await hop_to(sink, timeout=0.1).send()
        assert (final.code, final.enhanced) == (451, "4.4.2")
        assert len(sink.mails) == 1


async def test_a_late_answer_to_the_dot_is_waited_for(hop_to):
    async with Sink() as sink:
        sink.at("DOT", delay(0.3))
        assert (await hop_to(sink).send())[1].ok


async def test_421_after_the_dot_is_a_refusal_for_now(hop_to):
    async with Sink() as sink:
        sink.at("DOT", say_and_close("421 4.3.2 shutting down"), times=1)
        hop = hop_to(sink)
        assert str((await hop.send())[1]) == "451 4.3.2 shutting down"
        assert (await hop.send())[1].ok and sink.connections == 2


@pytest.mark.parametrize("answer", ["552 5.3.4 too big", "452 4.3.1 disk full"])
async def test_a_refusal_within_the_message_is_mirrored(hop_to, answer):
    async with Sink() as sink:
        sink.at("BLOCK", say_and_close(answer), times=1)
        hop = hop_to(sink)
        assert str((await hop.send(content=b"x" * 20_000_000))[1]) == answer
        assert (await hop.send())[1].ok
        assert len(sink.mails) == 1


async def test_success_within_the_message_is_no_success(hop_to):
    async with Sink() as sink:
        sink.at("BLOCK", say("250 2.0.0 taken"))
        _, final = await hop_to(sink).send(content=b"x" * 20_000_000)
        assert (final.code, final.enhanced) == (451, "4.4.1")
        assert sink.mails == []


# -- several hosts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "act"),
    [
        ("CONNECT", say_and_close("421 4.3.2 busy")),
        ("CONNECT", say_and_close("554 5.3.2 no service")),
        ("CONNECT", close()),
        ("CONNECT", hang()),
        ("EHLO", hang()),
        ("EHLO", say("451 4.3.0 later")),
        ("EHLO", close()),
        ("MAIL", say("421 4.3.2 busy")),
        ("EHLO", close_after()),
    ],
    ids=str,
)
async def test_the_next_host_is_tried(hop_to, step, act):
    async with Sink() as first, Sink() as second:
        first.at(step, act)
        _, final = await hop_to(first, second, timeout=0.3).send()
        assert final.ok
        assert first.mails == [] and len(second.mails) == 1


async def test_a_host_that_failed_is_tried_last_for_a_while(hop_to):
    async with Sink() as first, Sink() as second:
        first.at("CONNECT", close())
        hop = hop_to(first, second, idle=0)
        for _ in range(3):
            assert (await hop.send())[1].ok
        assert first.connections == 1 and second.connections == 3


async def test_all_down_is_451_and_they_are_tried_again_at_once(hop_to):
    async with Sink() as sink:
        hop = hop_to(sink)
        await sink.down()
        answers, final = await hop.send()
        assert [str(answer)[:9] for answer in [*answers, final]] == ["451 4.4.1", "451 4.4.1"]
        assert hop.errors["connect"] == 1
        await sink.up()
        assert (await hop.send())[1].ok


async def test_a_refusal_of_one_host_is_not_taken_to_another(hop_to):
    async with Sink(refuse={"a@example.org": "450 4.2.0 later"}) as first, Sink() as second:
        answers, _ = await hop_to(first, second).send()
        assert codes(answers) == [450] and second.connections == 0


# -- what is offered ---------------------------------------------------------------------------------------------


async def test_only_what_all_hosts_offer_is_offered(hop_to):
    async with Sink(offers=["PIPELINING", "SIZE 2000", "DSN"]) as one, Sink(offers=["SIZE 1000", "DSN", "X"]) as two:
        hop = hop_to(one, two)
        assert await hop.next_hop.extensions() == {"SIZE": "1000", "DSN": ""}
        await hop.next_hop.extensions()
        assert one.connections == two.connections == 1


async def test_a_host_that_is_down_does_not_narrow_the_offer(hop_to):
    async with Sink() as sink:
        hop = hop_to(f"smtp://127.0.0.1:{free_port()},127.0.0.1:{sink.port}")
        assert (await hop.next_hop.extensions())["8BITMIME"] == ""


async def test_what_is_offered_is_not_known_while_nobody_answers(hop_to):
    async with Sink(offers=["DSN"]) as sink:
        hop = hop_to(sink)
        await sink.down()
        assert await hop.next_hop.extensions() is None and hop.next_hop.extensions_known() is None
        await sink.up()
        assert (await hop.send())[1].ok
        assert await hop.next_hop.extensions() == {"DSN": ""} == hop.next_hop.extensions_known()
        await sink.down()
        assert not (await hop.send())[1].ok
        assert await hop.next_hop.extensions() is None


async def test_a_host_that_offers_something_else_is_asked_anew(hop_to):
    async with Sink(offers=["DSN"]) as sink:
        hop = hop_to(sink, idle=0)
        assert await hop.next_hop.extensions() == {"DSN": ""}
        sink.offers = ["SMTPUTF8"]
        assert (await hop.send())[1].ok
        assert await hop.next_hop.extensions() == {"SMTPUTF8": ""}


# -- for whom we speak -------------------------------------------------------------------------------------------

ALICE = Client("192.0.2.7", "mail.example.gov", "mail+1.example.gov", 2525)
BOB = Client("2001:db8::1")


async def test_xclient_connections_are_one_clients_alone(hop_to):
    async with Sink(xclient=True) as sink:
        hop = hop_to(sink)
        for client in (ALICE, ALICE, BOB, None):
            assert (await hop.send(client=client))[1].ok
    assert [mail.client.get("ADDR") for mail in sink.mails] == ["192.0.2.7", "192.0.2.7", "IPV6:2001:db8::1", None]
    assert sink.mails[0].client["HELO"] == "mail+2B1.example.gov"
    assert sink.connections == 3


async def test_a_host_that_refuses_xclient_gets_no_mail_of_that_client(hop_to):
    """It would take the mail for ours."""
    async with Sink(xclient=True) as sink:
        sink.at("XCLIENT", say("550 5.7.0 not you"))
        hop = hop_to(sink)
        _, final = await hop.send(client=ALICE)
        assert final.code == 451 and not sink.mails and hop.errors["greeting"] == 1
        assert (await hop.send(client=None))[1].ok


async def test_xforward_goes_with_each_transaction_of_a_shared_connection(hop_to):
    async with Sink(offers=[*OFFERS, "XFORWARD NAME ADDR"]) as sink:
        sink.at("CONNECT", say("220 hello"))
        hop = hop_to(sink)
        for client in (ALICE, BOB):
            assert (await hop.send(client=client))[1].ok
        assert [line for _, line in sink.log if line.startswith("XFORWARD")] == [
            "XFORWARD NAME=mail.example.gov ADDR=192.0.2.7",
            "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1",
        ]
        assert sink.connections == 1
